//go:build cgo

package sqlite_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// Updates share a transaction with each other and with creates, and one that
// cannot be made is its caller's alone.
func TestUpdatesAndCreatesShareATransaction(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	var stored []*contacts.ContactRecord
	for range 4 {
		stored = append(stored, mustCreate(t, g.store, a))
	}
	update := func(r *contacts.ContactRecord, version int64, f func(*contacts.Contact)) func() error {
		next := *r
		next.Contact.Version = version + 1
		f(&next.Contact)
		return func() error {
			return apply(t.Context(), g.store, updateOf(&next, version))
		}
	}
	rename := func(c *contacts.Contact) { c.FirstName = "Bob" }
	errs := g.crowd(t, []func() error{
		update(stored[0], 1, rename),
		func() error { return create(t.Context(), g.store, newContact(a)) },
		update(stored[1], 7, rename),                                      // not its version
		update(stored[2], 1, func(c *contacts.Contact) { c.TeamID = 99 }), // no team
		update(newContact(a), 1, rename),                                  // no contact
		update(stored[0], 1, rename),                                      // no more its version
		update(stored[3], 1, rename),
	}, nil)
	for i, want := range []error{nil, nil, contacts.ErrConflict, contacts.ErrTeamNotFound, contacts.ErrNotFound, contacts.ErrConflict, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("change %d: got %v, want %v", i, errs[i], want)
		}
	}
	if n := g.commits.Load(); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	for i, want := range []string{"Bob", "Ada", "Ada", "Bob"} {
		r, err := g.store.FindContact(t.Context(), a, stored[i].Contact.ID)
		if err != nil || r.Contact.FirstName != want {
			t.Errorf("contact %d: %v, %v; want %s", i, r, err, want)
		}
	}
}

// An update touches the look-ups of what has changed and no others, and the
// look-ups of a run that was read before it come after it to no harm.
func TestLookupsOfAnUpdate(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := mustOpen(t, sqlite.NewPlan().RunLength(1000), path)
	a := mustAccount(t, s)
	r := mustCreate(t, s, a)
	entries := func(want int) {
		t.Helper()
		var n int
		if err := plain(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM lookup").Scan(&n); err != nil || n != want {
			t.Errorf("%d look-ups, %v; want %d", n, err, want)
		}
	}
	change(t, s, r, func(c *contacts.Contact) { c.FirstName, c.DeletedAt = "Bob", noon })
	entries(0) // they come with a run
	change(t, s, r, func(c *contacts.Contact) { c.Tags = []string{"math", "new"} })
	entries(1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries(5)
	s = open(t, path)
	change(t, s, r, func(c *contacts.Contact) {
		c.Email, c.Tags, c.PhoneNumbers, c.DeletedAt = "bob@example.com", []string{"new", "math"}, c.PhoneNumbers[:1], noon
	})
	entries(4)
	for what, want := range map[string]bool{"bob@example.com": true, "ada@example.com": false} {
		list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Deleted: true, Email: what, Limit: 2})
		if err != nil || (len(list.Records) == 1) != want {
			t.Errorf("%s: %d contacts, %v", what, len(list.Records), err)
		}
	}
}

// However many runs are in the middle, in two stores, a search finds a contact by
// what it has, and by nothing that it had.
func TestSearchWhileContactsChangeAndRunsAreMerged(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	stores := []*sqlite.Store{
		mustOpen(t, sqlite.NewPlan().RunLength(7).CatchUpAfter(3), path),
		mustOpen(t, sqlite.NewPlan().RunLength(5).CatchUpAfter(20), path),
	}
	a := mustAccount(t, stores[0])
	names := []string{"one", "two", "three"}
	var records []*contacts.ContactRecord
	for i := range 300 {
		s := stores[i%2]
		r := newContact(a)
		r.Contact.Tags = []string{names[i%3]}
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
		old := records[len(records)/2]
		change(t, stores[i/2%2], old, func(c *contacts.Contact) { c.Tags = []string{names[i/3%3]} })
		if i%10 > 0 {
			continue
		}
		want := make(map[string]map[uuid.UUID]bool)
		for _, r := range records {
			tag := r.Contact.Tags[0]
			if want[tag] == nil {
				want[tag] = make(map[uuid.UUID]bool)
			}
			want[tag][r.Contact.ID] = true
		}
		for _, name := range names {
			ids, err := s.SearchTag(t.Context(), a, name)
			if err != nil || len(ids) != len(want[name]) {
				t.Fatalf("%q: %d contacts, %v; want %d", name, len(ids), err, len(want[name]))
			}
			for _, id := range ids {
				if !want[name][id] {
					t.Fatalf("%q: a contact that has it no more", name)
				}
			}
		}
	}
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
