// Package contactstest is for the unit tests of programs that use contacts. One
// call makes a service on a memory store, with an account, a team and a key.
//
//	f := contactstest.New(t, nil)
//	c, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
//
// [Fixture.FailNext] makes the next call fail with a given code, to test how a
// program handles that.
package contactstest

import (
	"context"
	"sync"
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
	Key     string            // may read and write contacts

	failures *failures
}

// New returns a new fixture. Its store is closed when the test ends. The options
// are those of [contacts.New]; nil means the documented behaviour. If the setup
// fails, the test ends.
func New(t testing.TB, opts *contacts.Options) *Fixture {
	t.Helper()
	ctx := context.Background()
	f := &Fixture{Store: memory.New()}
	t.Cleanup(func() {
		if err := f.Store.Close(); err != nil {
			t.Errorf("contactstest: close the store: %v", err)
		}
	})

	var o contacts.Options
	if opts != nil {
		o = *opts
	}
	f.Admin = contacts.NewAdmin(f.Store, &contacts.AdminOptions{Now: o.Now})
	var err error
	if f.Account, err = f.Admin.CreateAccount(ctx, "Test account"); err != nil {
		t.Fatalf("contactstest: create the account: %v", err)
	}
	if f.Team, err = f.Admin.CreateTeam(ctx, contacts.Team{AccountID: f.Account.ID, Name: "Test team"}); err != nil {
		t.Fatalf("contactstest: create the team: %v", err)
	}
	f.Key, _, err = f.Admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   f.Account.ID,
		Name:        "Test key",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
		AllTeams:    true,
	})
	if err != nil {
		t.Fatalf("contactstest: issue the key: %v", err)
	}

	if o.Authenticator == nil {
		o.Authenticator = contacts.KeyAuthenticator(f.Store, o.Now)
	}
	f.failures = &failures{next: o.Authenticator}
	o.Authenticator = f.failures
	if f.Service, err = contacts.New(f.Store, &o); err != nil {
		t.Fatalf("contactstest: new service: %v", err)
	}
	return f
}

// FailNext makes the next call of the service with a key fail with the code and
// the details. The call stores nothing. Later calls work again. If FailNext is
// called twice, the next two calls fail, in that order. Errors of CodeInvalidKey
// and CodeServerError have no details.
//
// A batch fails as a whole. [contacts.Service.Contacts] makes one call for each
// page, and [contacts.Service.CreateContactStream] one for each thousand contacts.
func (f *Fixture) FailNext(code contacts.Code, details ...contacts.FieldError) {
	f.failures.add(&contacts.Error{Code: code, Message: "requested by FailNext", Details: details})
}

// FailNextWith makes the next call fail with a server error that has the cause.
// [errors.Is] finds the cause in the error: [contacts.ErrOutcomeUnknown] or
// [context.Canceled], for example.
func (f *Fixture) FailNextWith(cause error) { f.failures.add(cause) }

// failures is the first thing that every call of the service asks.
type failures struct {
	next contacts.Authenticator

	mu     sync.Mutex
	queued []error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued = append(f.queued, err)
}

// Authenticate implements [contacts.Authenticator].
func (f *failures) Authenticate(ctx context.Context, key string) (*contacts.Principal, error) {
	f.mu.Lock()
	if len(f.queued) > 0 {
		err := f.queued[0]
		f.queued = f.queued[1:]
		f.mu.Unlock()
		return nil, err
	}
	f.mu.Unlock()
	return f.next.Authenticate(ctx, key)
}
