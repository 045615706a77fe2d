package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"example.com/contacts"
)

type accountsPolicy struct {
	ID         uuid.UUID                 `arg:"" help:"The account."`
	Set        *contacts.DuplicateAction `enum:"allow,reject,return_existing,upsert" placeholder:"ACTION" help:"What happens to a contact whose match key is taken: allow, reject, return_existing or upsert."`
	Keys       keyKinds                  `placeholder:"KIND" help:"What must be unique besides external ids: email, phone_number. With --set. Default: email."`
	Mode       contacts.UpsertMode       `enum:",fill,overwrite" default:"" placeholder:"MODE" help:"How upsert changes the contact: fill (the default) or overwrite. With --set."`
	TagsMode   contacts.TagsMode         `enum:",add,replace" default:"" placeholder:"MODE" help:"What upsert does with tags: add (the default) or, with --mode=overwrite, replace. With --set."`
	PhoneForms bool                      `help:"Equivalent forms of a phone number match too, such as with and without Brazil's ninth digit. With --set."`
}

// Run sets the policy if a flag is given, and prints the policy that then holds.
func (c *accountsPolicy) Run(ctx context.Context, s *session) error {
	if c.Set == nil && (c.Keys != nil || c.Mode != "" || c.TagsMode != "" || c.PhoneForms) {
		return usage("--keys, --mode, --tags-mode and --phone-forms need --set: a policy is set whole")
	}
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		if c.Set != nil {
			policy := contacts.DuplicatePolicy{Action: *c.Set, Keys: c.Keys, Mode: c.Mode, TagsMode: c.TagsMode, PhoneForms: c.PhoneForms}
			if err := admin.SetDuplicatePolicy(ctx, c.ID, policy); err != nil {
				return err
			}
		}
		policy, err := admin.DuplicatePolicy(ctx, c.ID)
		if err != nil {
			return err
		}
		policy.Action = cmp.Or(policy.Action, contacts.DuplicateAllow)
		if policy.Action == contacts.DuplicateUpsert {
			policy.Mode, policy.TagsMode = cmp.Or(policy.Mode, contacts.UpsertFill), cmp.Or(policy.TagsMode, contacts.TagsAdd)
		}
		return list(s.out, these(policy),
			column[contacts.DuplicatePolicy]{"ACTION", func(p contacts.DuplicatePolicy) string { return string(p.Action) }},
			column[contacts.DuplicatePolicy]{"UNIQUE", uniqueKinds},
			column[contacts.DuplicatePolicy]{"MODE", func(p contacts.DuplicatePolicy) string { return string(p.Mode) }},
			column[contacts.DuplicatePolicy]{"TAGS", func(p contacts.DuplicatePolicy) string { return string(p.TagsMode) }},
			column[contacts.DuplicatePolicy]{"FORMS", forms},
		)
	})
}

// forms says whether equivalent forms of a phone number match under a policy.
func forms(p contacts.DuplicatePolicy) string {
	if p.PhoneForms {
		return "match"
	}
	return ""
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
