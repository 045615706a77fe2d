package contacts_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// onEveryStore runs the test on a fresh store of each kind that this package's
// users have.
func onEveryStore(t *testing.T, test func(t *testing.T, store contacts.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, closing(t, memory.New()))
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "contacts.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		test(t, closing(t, store))
	})
}

func closing(t testing.TB, store contacts.Store) contacts.Store {
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store
}

// A world is a service with two accounts, teams in both, and keys of each kind.
type world struct {
	svc   *contacts.Service
	admin *contacts.Admin
	store contacts.Store
	acme  *contacts.Account // owns every key but foreignKey
	other *contacts.Account

	key        string // may read; every team
	limitedKey string // may read; team 101 only
	powerless  string // no permission
	expired    string
	foreignKey string // of the other account

	// The same that may write, too.
	writer, limitedWriter, foreignWriter string
}

const (
	team        int64 = 101 // of acme
	closedTeam  int64 = 102 // of acme; limitedKey may not access it
	foreignTeam int64 = 103 // of other
	absentTeam  int64 = 104
)

// noon is the time in every world.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.FixedZone("", 3600))

func newWorld(t testing.TB, store contacts.Store, opts *contacts.Options) *world {
	t.Helper()
	ctx := t.Context()
	now := func() time.Time { return noon }
	w := &world{store: store, admin: contacts.NewAdmin(store, &contacts.AdminOptions{Now: now})}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.acme, err = w.admin.CreateAccount(ctx, "Acme Corp")
	must(err)
	w.other, err = w.admin.CreateAccount(ctx, "Other Corp")
	must(err)
	for _, team := range []contacts.Team{
		{AccountID: w.acme.ID, ID: team, Name: "Sales"},
		{AccountID: w.acme.ID, ID: closedTeam, Name: "Board"},
		{AccountID: w.other.ID, ID: foreignTeam, Name: "Sales"},
	} {
		_, err = w.admin.CreateTeam(ctx, team)
		must(err)
	}
	read := []contacts.Permission{contacts.PermissionReadContacts}
	issue := func(in contacts.IssueKeyInput) string {
		t.Helper()
		secret, _, err := w.admin.IssueKey(ctx, in)
		must(err)
		return secret
	}
	w.key = issue(contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: read, AllTeams: true})
	w.limitedKey = issue(contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: read, TeamIDs: []int64{team, foreignTeam, absentTeam}})
	w.powerless = issue(contacts.IssueKeyInput{AccountID: w.acme.ID, AllTeams: true})
	w.expired = issue(contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: read, AllTeams: true, ExpiresAt: noon})
	w.foreignKey = issue(contacts.IssueKeyInput{AccountID: w.other.ID, Permissions: read, AllTeams: true})

	both := append(read, contacts.PermissionWriteContacts)
	w.writer = issue(contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: both, AllTeams: true})
	w.limitedWriter = issue(contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: both, TeamIDs: []int64{team, foreignTeam, absentTeam}})
	w.foreignWriter = issue(contacts.IssueKeyInput{AccountID: w.other.ID, Permissions: both, AllTeams: true})

	o := contacts.Options{Now: now}
	if opts != nil {
		o = *opts
		if o.Now == nil {
			o.Now = now
		}
	}
	w.svc, err = contacts.New(store, &o)
	must(err)
	return w
}

// memoryWorld is a world for tests whose subject is no store.
func memoryWorld(t testing.TB, opts *contacts.Options) *world {
	t.Helper()
	return newWorld(t, closing(t, memory.New()), opts)
}

// create creates a contact that must be accepted.
func (w *world) create(t testing.TB, in contacts.CreateContactInput) *contacts.Contact {
	t.Helper()
	c, err := w.svc.CreateContact(t.Context(), w.key, in)
	if err != nil {
		t.Fatalf("CreateContact: %v", err)
	}
	return c
}

// wantError fails the test unless err is an Error of the code, with the details
// where some are given. Of a detail with a Message it is compared too.
func wantError(t testing.TB, err error, code contacts.Code, details ...contacts.FieldError) {
	t.Helper()
	e, ok := err.(*contacts.Error)
	if !ok {
		t.Fatalf("got %T %v, want an *Error with %s", err, err, code)
	}
	if e.Code != code {
		t.Fatalf("got code %s (%v), want %s", e.Code, err, code)
	}
	if details == nil {
		return
	}
	got := make([]contacts.FieldError, len(e.Details))
	for i, d := range e.Details {
		if d.Message == "" {
			t.Errorf("detail %d (%s) has no message", i, d.Field)
		}
		if i >= len(details) || details[i].Message == "" {
			d.Message = ""
		}
		got[i] = d
	}
	if diff := cmp.Diff(details, got); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

// wrong is a detail whose message is not compared.
func wrong(field, code string) contacts.FieldError {
	return contacts.FieldError{Field: field, Code: code}
}

// documented is the example of the documented call.
func documented() contacts.CreateContactInput {
	return contacts.CreateContactInput{
		FirstName: "John", LastName: "Doe", Email: "john@Example.com", Company: "Acme Inc", Website: "example.com",
		Address: "123 Main St\nSuite 4", City: "Springfield", State: "IL", ZipCode: "62701", TeamID: team,
		Tags: []string{"vip", "newsletter"},
		PhoneNumbers: []contacts.PhoneNumberInput{
			{PhoneNumber: "+15551234567", PhoneType: "mobile"},
			{PhoneNumber: "+1 (555) 765-4321", PhoneType: "work", DoNotCall: true},
		},
		CustomContext:   map[string]any{"source": "web", "score": 42, "nested": map[string]any{"list": []any{1.5, true, nil}}},
		IndustryContext: map[string]any{"industry": "software"},
	}
}

// cancelled returns a context that is done.
func cancelled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
