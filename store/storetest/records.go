package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// The records that the cases are made of, and the calls that must succeed for a
// case to go on.

// noon is a time with microseconds, which a store that keeps milliseconds or
// seconds loses.
var noon = time.Date(2026, time.March, 1, 12, 0, 59, 123456000, time.UTC)

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// idAt returns an id that sorts by its first byte.
func idAt(first byte) uuid.UUID {
	id := newID()
	id[0] = first
	return id
}

func newAccount() contacts.Account {
	return contacts.Account{ID: newID(), Name: "Acme Corp", CreatedAt: noon}
}

func newTeam(account uuid.UUID, id int64) contacts.Team {
	return contacts.Team{AccountID: account, ID: id, Name: "Sales", CreatedAt: noon}
}

// newKey returns a key with every field set but those that make it inactive.
func newKey(account uuid.UUID) contacts.KeyRecord {
	id := newID()
	return contacts.KeyRecord{
		APIKey: contacts.APIKey{
			ID:          id,
			AccountID:   account,
			Name:        "web site",
			Permissions: []contacts.Permission{contacts.PermissionWriteContacts, contacts.PermissionReadContacts},
			TeamIDs:     []int64{9, 2, 1 << 62},
			AllTeams:    true,
			CreatedAt:   noon,
			ExpiresAt:   noon.AddDate(1, 0, 0),
		},
		Hash: sha256.Sum256(id[:]),
	}
}

// newContact returns a contact with no more than a Service always sets.
func newContact(account uuid.UUID) *contacts.ContactRecord {
	return &contacts.ContactRecord{Contact: contacts.Contact{
		ID:        newID(),
		AccountID: account,
		FirstName: "John",
		Country:   "US",
		Status:    "not_contacted",
		Stage:     "lead",
		CreatedAt: noon,
		UpdatedAt: noon,
		Version:   1,
	}}
}

// newFullContact returns a contact with every field set, each to another value:
// it was deleted, too.
func newFullContact(account uuid.UUID, team int64) *contacts.ContactRecord {
	return &contacts.ContactRecord{
		Contact: contacts.Contact{
			ID:        newID(),
			AccountID: account,
			FirstName: "Ada",
			LastName:  "Lovelace",
			Email:     "Ada.Lovelace@example.com",
			Company:   "Analytical Engines Ltd",
			Website:   "https://example.com/ada",
			Address:   "12 St James's Square\nGround floor",
			City:      "London",
			State:     "England",
			ZipCode:   "SW1Y 4JH",
			Country:   "GB",
			Status:    "contacted",
			Stage:     "customer",
			TeamID:    team,
			Tags:      []string{"vip", "math", "VIP"},
			PhoneNumbers: []contacts.PhoneNumber{
				{ID: newID(), PhoneNumber: "+442079460018", PhoneType: "work", DoNotCall: true},
				{ID: newID(), PhoneNumber: "+15551234567", PhoneType: "mobile", Primary: true},
			},
			CreatedAt: noon,
			UpdatedAt: noon.Add(time.Microsecond),
			Version:   1<<53 + 1,
			DeletedAt: noon.Add(2 * time.Microsecond),
		},
		CustomContext:   `{"score":12345678901234567890.10,"source":"letter"}`,
		IndustryContext: `{"field":{"name":"computing","since":1842}}`,
	}
}

// named returns a new contact of that name, changed by change, if there is one.
func named(account uuid.UUID, name string, change func(*contacts.Contact)) *contacts.ContactRecord {
	r := newContact(account)
	r.Contact.FirstName = name
	if change != nil {
		change(&r.Contact)
	}
	return r
}

// deleted makes the contact one that was deleted then.
func deleted(at time.Time) func(*contacts.Contact) {
	return func(c *contacts.Contact) { c.DeletedAt = at }
}

// changeOf returns the change that brings the contact to its next version.
func changeOf(r *contacts.ContactRecord, change func(*contacts.Contact)) contacts.ContactChange {
	next := copyContact(r)
	next.Contact.Version++
	next.Contact.UpdatedAt = next.Contact.UpdatedAt.Add(time.Second)
	if change != nil {
		change(&next.Contact)
	}
	return contacts.ContactChange{Record: next, Version: r.Contact.Version}
}

// tenant adds an account with those teams and returns its id.
func (s *store) tenant(t *testing.T, teams ...int64) uuid.UUID {
	t.Helper()
	account := newAccount()
	add := contacts.Directory{Accounts: []contacts.Account{account}}
	for _, id := range teams {
		add.Teams = append(add.Teams, newTeam(account.ID, id))
	}
	s.add(t, add)
	return account.ID
}

func (s *store) add(t *testing.T, add contacts.Directory) contacts.Directory {
	t.Helper()
	added, err := s.AddToDirectory(t.Context(), add)
	if err != nil {
		t.Fatalf("AddToDirectory: %v", err)
	}
	if len(added.Accounts) != len(add.Accounts) || len(added.Teams) != len(add.Teams) || len(added.Keys) != len(add.Keys) {
		t.Fatalf("AddToDirectory returned another number of records than it was given:\n%s", diff(add, added))
	}
	return added
}

// addKey adds a key of the account and returns it as it was given.
func (s *store) addKey(t *testing.T, account uuid.UUID) contacts.KeyRecord {
	t.Helper()
	k := newKey(account)
	s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{k}})
	return k
}

func (s *store) list(t *testing.T, q contacts.DirectoryQuery) contacts.Directory {
	t.Helper()
	d, err := s.ListDirectory(t.Context(), q)
	if err != nil {
		t.Fatalf("ListDirectory(%+v): %v", q, err)
	}
	return d
}

// directory returns all accounts, teams and keys.
func (s *store) directory(t *testing.T) contacts.Directory {
	t.Helper()
	all := s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
	for _, a := range all.Accounts {
		all.Teams = append(all.Teams, s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: a.ID, Limit: 1000}).Teams...)
		all.Keys = append(all.Keys, s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: a.ID, Limit: 1000}).Keys...)
	}
	return all
}

func (s *store) key(t *testing.T, hash [32]byte) contacts.KeyRecord {
	t.Helper()
	k, err := s.FindKey(t.Context(), hash)
	if err != nil {
		t.Fatalf("FindKey: %v", err)
	}
	return *k
}

func (s *store) deactivate(t *testing.T, d contacts.Deactivation) {
	t.Helper()
	if err := s.Deactivate(t.Context(), d); err != nil {
		t.Fatalf("Deactivate(%+v): %v", d, err)
	}
}

// create stores the contacts as one batch.
func (s *store) create(t *testing.T, records ...*contacts.ContactRecord) {
	t.Helper()
	if outcomes := s.CreateContacts(t.Context(), contacts.ContactBatch{Records: records}); outcomes != nil {
		t.Fatalf("CreateContacts: %v", errors.Join(errorsOf(outcomes)...))
	}
}

func (s *store) contact(t *testing.T, account, id uuid.UUID) *contacts.ContactRecord {
	t.Helper()
	r, err := s.FindContact(t.Context(), account, id)
	if err != nil {
		t.Fatalf("FindContact: %v", err)
	}
	return r
}

// update makes the changes in one call.
func (s *store) update(t *testing.T, changes ...contacts.ContactChange) {
	t.Helper()
	if errs := s.UpdateContacts(t.Context(), changes); errs != nil {
		t.Fatalf("UpdateContacts: %v", errors.Join(errs...))
	}
}

func (s *store) purge(t *testing.T, q contacts.PurgeQuery) int {
	t.Helper()
	n, err := s.PurgeContacts(t.Context(), q)
	if err != nil {
		t.Fatalf("PurgeContacts(%+v): %v", q, err)
	}
	return n
}

func (s *store) listContacts(t *testing.T, q contacts.ContactQuery) contacts.ContactList {
	t.Helper()
	list, err := s.ListContacts(t.Context(), q)
	if err != nil {
		t.Fatalf("ListContacts(%+v): %v", q, err)
	}
	return list
}

// allContacts returns all contacts of the account: those that were not deleted,
// and then those that were, newest first.
func (s *store) allContacts(t *testing.T, account uuid.UUID) []*contacts.ContactRecord {
	t.Helper()
	q := contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 1 << 20}
	all := s.listContacts(t, q).Records
	q.Deleted = true
	return append(all, s.listContacts(t, q).Records...)
}

// wantContacts checks that each of the contacts is found as it was given.
func (s *store) wantContacts(t *testing.T, records ...*contacts.ContactRecord) {
	t.Helper()
	wrong := 0
	for _, want := range records {
		d := diff(want, s.contact(t, want.Contact.AccountID, want.Contact.ID))
		if d == "" {
			continue
		}
		t.Errorf("FindContact (-want +got):\n%s", d)
		if wrong++; wrong == 5 {
			t.Fatal("and perhaps more contacts that are not as they were given")
		}
	}
}

// wantNoContacts checks that none of the contacts is found.
func (s *store) wantNoContacts(t *testing.T, records ...*contacts.ContactRecord) {
	t.Helper()
	for _, r := range records {
		_, err := s.FindContact(t.Context(), r.Contact.AccountID, r.Contact.ID)
		wantErr(t, "FindContact of what was not stored", err, contacts.ErrNotFound)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

// wantChanged checks what UpdateContacts returned, one for each change.
func wantChanged(t *testing.T, got []error, want ...error) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("UpdateContacts: got %d errors for %d changes: %v", len(got), len(want), errors.Join(got...))
	}
	for i := range want {
		if !errors.Is(got[i], want[i]) {
			t.Errorf("UpdateContacts: got error %v for change %d, want %v", got[i], i, want[i])
		}
	}
}

// errorsOf returns the errors of the outcomes; nil for none.
func errorsOf(outcomes []contacts.ContactOutcome) []error {
	var errs []error
	for _, o := range outcomes {
		errs = append(errs, o.Err)
	}
	return errs
}

// wantErrs checks what CreateContacts returned, one for each record.
func wantErrs(t *testing.T, outcomes []contacts.ContactOutcome, want ...error) {
	t.Helper()
	got := errorsOf(outcomes)
	if len(got) != len(want) {
		t.Fatalf("CreateContacts: got %d errors for %d records: %v", len(got), len(want), errors.Join(got...))
	}
	for i := range want {
		if !errors.Is(got[i], want[i]) {
			t.Errorf("CreateContacts: got error %v for record %d, want %v", got[i], i, want[i])
		}
	}
}

func wantSame(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// diff says how the two differ. It takes times in different zones for
// different, and nil and empty slices too.
func diff(want, got any) string {
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() })
	// A report of long texts, byte by byte, is slow to make and nobody reads it.
	type long struct {
		Len        int
		SHA256     string
		Start, End string
	}
	shortened := cmp.FilterValues(func(a, b string) bool { return a != b && len(a)+len(b) > 2000 },
		cmp.Transformer("shortened", func(s string) long {
			return long{len(s), fmt.Sprintf("%x", sha256.Sum256([]byte(s))), s[:min(99, len(s))], s[max(0, len(s)-99):]}
		}))
	d := cmp.Diff(want, got, sameTime, shortened)
	const enough = 8 << 10
	if len(d) > enough {
		d = d[:enough] + "\n…"
	}
	return d
}
