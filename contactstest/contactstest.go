// Package contactstest is for the unit tests of programs that use contacts. One
// call makes a service on a memory store, with an account, a team and a key.
//
//	f := contactstest.New(t, nil)
//	c, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
//
// With a [Clock] all times and ids are the same in every run, for golden tests.
//
// [Fixture.Fail] makes the next call of an operation fail with a given code, to
// test how a program handles that. [IgnoreAssigned] and [EquateContexts] are
// options of go-cmp, to compare contacts with what a test expects.
package contactstest

import (
	"context"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A Fixture is a working service. It is safe for concurrent use, and so are its
// fields. The zero value is of no use; see [New].
type Fixture struct {
	Service *contacts.Service
	Admin   *contacts.Admin
	Store   contacts.Store    // holds only the account, the team and the key below
	Account *contacts.Account // owns the team and the key
	Team    *contacts.Team    // the key may access every team of the account
	Key     string            // has every permission of package contacts, for all teams

	t        testing.TB
	failures *failures
}

// New returns a new fixture. Its store is closed when the test ends. The test
// fails then if a failure that it asked for was not used. The options are those of
// [contacts.New]; nil means the documented behaviour. If the setup fails, the test
// ends.
func New(t testing.TB, opts *contacts.Options) *Fixture {
	t.Helper()
	ctx := context.Background()
	f := &Fixture{Store: memory.New(), t: t}
	t.Cleanup(func() {
		if err := f.Store.Close(); err != nil {
			t.Errorf("contactstest: close the store: %v", err)
		}
	})

	var o contacts.Options
	if opts != nil {
		o = *opts
	}
	f.Admin = contacts.NewAdmin(f.Store, &contacts.AdminOptions{
		Permissions: o.Permissions, DoNotCallSecrets: o.DoNotCallSecrets, Now: o.Now, NewID: o.NewID,
	})
	var err error
	if f.Account, err = f.Admin.CreateAccount(ctx, "Test account"); err != nil {
		t.Fatalf("contactstest: create the account: %v", err)
	}
	if f.Team, err = f.Admin.CreateTeam(ctx, contacts.Team{AccountID: f.Account.ID, Name: "Test team"}); err != nil {
		t.Fatalf("contactstest: create the team: %v", err)
	}
	f.Key, _, err = f.Admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: f.Account.ID,
		Name:      "Test key",
		Permissions: []contacts.Permission{
			contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionReadEvents, contacts.PermissionManageDoNotCall,
		},
		AllTeams: true,
	})
	if err != nil {
		t.Fatalf("contactstest: issue the key: %v", err)
	}

	if o.Authenticator == nil {
		o.Authenticator = contacts.KeyAuthenticator(f.Store, o.Now)
	}
	f.failures = &failures{next: o.Authenticator}
	o.Authenticator = f.failures
	t.Cleanup(func() {
		for _, unused := range f.failures.queued {
			t.Errorf("contactstest: %s was not used: no such call came after it", unused.asked)
		}
	})
	if f.Service, err = contacts.New(f.Store, &o); err != nil {
		t.Fatalf("contactstest: new service: %v", err)
	}
	return f
}
