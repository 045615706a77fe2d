package main

import (
	"context"

	"github.com/google/uuid"

	"example.com/contacts"
)

type accountsCommand struct {
	List    accountsList    `cmd:"" help:"List all accounts."`
	Create  accountsCreate  `cmd:"" help:"Create an account. It makes the store if there is none."`
	Disable accountsDisable `cmd:"" help:"Make every API key of an account invalid. Nothing is removed."`
	Enable  accountsEnable  `cmd:"" help:"Make the API keys of a disabled account valid again."`
	Policy  accountsPolicy  `cmd:"" help:"Print or set what happens to a contact whose e-mail address or phone number another contact has."`
	Events  accountsEvents  `cmd:"" help:"Print or set whether the changes of contacts are recorded as events."`
}

var accountColumns = []column[contacts.Account]{
	{"ID", func(a contacts.Account) string { return a.ID.String() }},
	{"CREATED", func(a contacts.Account) string { return clock(a.CreatedAt) }},
	{"DISABLED", func(a contacts.Account) string { return clock(a.DisabledAt) }},
	{"NAME", func(a contacts.Account) string { return a.Name }},
}

type accountsList struct{}

func (accountsList) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		return list(s.out, admin.Accounts(ctx), accountColumns...)
	})
}

type accountsCreate struct {
	Name string `arg:"" help:"Its name, for people."`
}

func (c *accountsCreate) Run(ctx context.Context, s *session) error {
	return s.withNewStore(ctx, func(store contacts.Store) error {
		account, err := newAdmin(store).CreateAccount(ctx, c.Name)
		if err != nil {
			return err
		}
		return list(s.out, these(*account), accountColumns...)
	})
}

type accountsDisable struct {
	ID uuid.UUID `arg:"" help:"The account."`
	confirmation
}

func (c *accountsDisable) Run(ctx context.Context, s *session) error {
	if err := c.ask(ctx, s, "Every API key of the account "+c.ID.String()+" becomes invalid."); err != nil {
		return err
	}
	return s.asHost(ctx, func(admin *contacts.Admin) error { return admin.DisableAccount(ctx, c.ID) })
}

type accountsEnable struct {
	ID uuid.UUID `arg:"" help:"The account."`
}

func (c *accountsEnable) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error { return admin.EnableAccount(ctx, c.ID) })
}
