package main

import (
	"context"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

// entryFlags are what is recorded beside a number.
type entryFlags struct {
	Reason    string `placeholder:"R" help:"What the person said."`
	Reference string `placeholder:"X" help:"The call, form or list that proves it."`
}

type doNotCallBlock struct {
	keyFlags
	entryFlags
	Number  string `arg:"" help:"The number, with + and country code."`
	At      moment `placeholder:"T" help:"When the person said so: a date, or a time of RFC 3339. Default: now."`
	Expires period `placeholder:"31d" help:"How long it holds. Default: until a grant."`
}

func (c *doNotCallBlock) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, mayWrite, func(svc *contacts.Service, key string) error {
		status, err := svc.BlockCalls(ctx, key, contacts.DoNotCallInput{
			PhoneNumber: c.Number, At: c.At.Time, ExpiresAt: c.At.after(c.Expires), Reason: c.Reason, Reference: c.Reference,
		})
		if err != nil {
			return err
		}
		return s.statuses(*status)
	})
}

type doNotCallGrant struct {
	keyFlags
	entryFlags
	listFlags
	Number string `arg:"" optional:"" help:"The number, with + and country code."`
	File   string `placeholder:"FILE" help:"A list of numbers in place of one: a number on each line, or CSV. Its columns reason and reference override the flags."`
}

// Help is printed after the flags.
func (doNotCallGrant) Help() string {
	return "A grant needs a reason and a reference: a consent that cannot be shown is none."
}

func (c *doNotCallGrant) Run(ctx context.Context, s *session) error {
	switch {
	case (c.Number == "") == (c.File == ""):
		return usage("give a number or --file")
	case c.File == "-" && c.KeyFile == "-":
		return usage("standard input cannot be the file and the API key")
	case c.Number != "" && c.listFlags != listFlags{}:
		return usage("--column and --refused need --file: one number has no rows")
	case c.Number != "" && (c.Reason == "" || c.Reference == ""):
		return usage("a grant needs --reason and --reference: a consent that cannot be shown is none")
	}
	return c.act(ctx, s, mayManage, func(svc *contacts.Service, key string) error {
		if c.File != "" {
			return s.importNumbers(ctx, svc, key, c.File, c.listFlags, contactsio.DoNotCallImportOptions{Grants: true, Reason: c.Reason, Reference: c.Reference})
		}
		status, err := svc.GrantCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: c.Number, Reason: c.Reason, Reference: c.Reference})
		if err != nil {
			return err
		}
		return s.statuses(*status)
	})
}
