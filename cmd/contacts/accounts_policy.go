package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"example.com/contacts"
)

type accountsPolicy struct {
	ID   uuid.UUID                 `arg:"" help:"The account."`
	Set  *contacts.DuplicateAction `placeholder:"ACTION" help:"What happens to a contact whose match key is taken: allow or reject."`
	Keys []contacts.KeyKind        `placeholder:"KIND,…" help:"What must be unique beside external ids: email, phone_number. Needs --set. Default: email."`
}

// Run sets the policy if a flag is given, and prints the policy that then holds.
func (c *accountsPolicy) Run(ctx context.Context, s *session) error {
	if c.Set == nil && c.Keys != nil {
		return usage("--keys needs --set: a policy is set whole")
	}
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		if c.Set != nil {
			if err := admin.SetDuplicatePolicy(ctx, c.ID, contacts.DuplicatePolicy{Action: *c.Set, Keys: c.Keys}); err != nil {
				return err
			}
		}
		policy, err := admin.DuplicatePolicy(ctx, c.ID)
		if err != nil {
			return err
		}
		policy.Action = cmp.Or(policy.Action, contacts.DuplicateAllow)
		return list(s.out, these(policy),
			column[contacts.DuplicatePolicy]{"ACTION", func(p contacts.DuplicatePolicy) string { return string(p.Action) }},
			column[contacts.DuplicatePolicy]{"UNIQUE", func(p contacts.DuplicatePolicy) string { return uniqueKinds(p) }},
		)
	})
}

// uniqueKinds names what must be unique under a policy.
func uniqueKinds(p contacts.DuplicatePolicy) string {
	text := string(contacts.KeyExternalID)
	if p.Action == contacts.DuplicateAllow {
		return text
	}
	kinds := p.Keys
	if kinds == nil {
		kinds = []contacts.KeyKind{contacts.KeyEmail}
	}
	for _, kind := range kinds {
		if kind != contacts.KeyExternalID {
			text += fmt.Sprintf(",%s", kind)
		}
	}
	return text
}
