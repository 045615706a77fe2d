package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

type keysCommand struct {
	List   keysList   `cmd:"" help:"List the API keys of an account, including those that are no longer valid."`
	Issue  keysIssue  `cmd:"" help:"Issue an API key. It is printed this once, and stored nowhere."`
	Revoke keysRevoke `cmd:"" help:"Make an API key invalid for good."`
}

type keysList struct{ accountFlag }

func (c *keysList) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		account, err := c.existing(ctx, admin)
		if err != nil {
			return err
		}
		now := time.Now()
		return list(s.out, admin.Keys(ctx, account),
			column[contacts.APIKey]{"ID", func(k contacts.APIKey) string { return k.ID.String() }},
			column[contacts.APIKey]{"CREATED", func(k contacts.APIKey) string { return clock(k.CreatedAt) }},
			column[contacts.APIKey]{"STATE", func(k contacts.APIKey) string { return stateOf(k, now) }},
			column[contacts.APIKey]{"TEAMS", teamsOf},
			column[contacts.APIKey]{"PERMISSIONS", permissionsOf},
			column[contacts.APIKey]{"NAME", func(k contacts.APIKey) string { return k.Name }},
		)
	})
}

// stateOf says whether a key is valid, and until when.
func stateOf(k contacts.APIKey, now time.Time) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked " + clock(k.RevokedAt)
	case k.ExpiresAt.IsZero():
		return "valid"
	case now.Before(k.ExpiresAt):
		return "valid until " + clock(k.ExpiresAt)
	default:
		return "expired " + clock(k.ExpiresAt)
	}
}

func teamsOf(k contacts.APIKey) string {
	if k.AllTeams {
		return "all"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(k.TeamIDs), " ", ","), "[]")
}

func permissionsOf(k contacts.APIKey) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(k.Permissions), " ", ","), "[]")
}

type keysIssue struct {
	accountFlag
	Name     string                `required:"" placeholder:"N" help:"Its name, for people."`
	Can      []contacts.Permission `required:"" placeholder:"PERMISSION" help:"What it may do: can_read_contacts, can_write_contacts, can_read_events, can_manage_do_not_call."`
	Teams    []int64               `xor:"teams" placeholder:"N" help:"The teams that it may access. Default: none; it sees what is in no team."`
	AllTeams bool                  `xor:"teams" help:"It may access every team, later ones too."`
	Expires  period                `placeholder:"90d" help:"How long it is valid. Default: until it is revoked."`
}

// issued is an API key for programs.
type issued struct {
	Secret string `json:"secret"`
	*contacts.APIKey
}

// Run prints the key alone, so that a shell can take it. A key that cannot be printed
// is of no use, and is revoked.
func (c *keysIssue) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		account, err := c.choose(ctx, admin)
		if err != nil {
			return err
		}
		secret, key, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
			AccountID: account, Name: c.Name, Permissions: c.Can, TeamIDs: c.Teams, AllTeams: c.AllTeams,
			ExpiresAt: moment{}.after(c.Expires),
		})
		if err != nil {
			return err
		}
		if s.JSON {
			err = s.out.object(issued{secret, key})
		} else {
			_, err = fmt.Fprintln(s.out.w, secret)
		}
		if err = errors.Join(err, s.out.flush()); err != nil {
			return errors.Join(err, admin.RevokeKey(context.WithoutCancel(ctx), key.ID))
		}
		return nil
	})
}

type keysRevoke struct {
	ID uuid.UUID `arg:"" help:"The key: its id, as keys list prints it."`
	confirmation
}

func (c *keysRevoke) Run(ctx context.Context, s *session) error {
	if err := c.ask(ctx, s, "The API key "+c.ID.String()+" becomes invalid for good."); err != nil {
		return err
	}
	return s.asHost(ctx, func(admin *contacts.Admin) error { return admin.RevokeKey(ctx, c.ID) })
}
