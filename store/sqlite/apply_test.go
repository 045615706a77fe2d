//go:build cgo && unix

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// TestAllowCostsNothing: a create without an external id, in an account without a
// policy, is one INSERT, which its own constraints judge. Claims, journal and settings
// cost it nothing.
func TestAllowCostsNothing(t *testing.T) {
	t.Parallel()
	plain := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+14155550123"}}}
	known := plain
	known.ExternalID = "1"
	for _, c := range []struct {
		name   string
		policy contacts.DuplicateAction
		in     contacts.CreateContactInput
		want   []string
	}{
		{"nothing is claimed", contacts.DuplicateAllow, plain, []string{"INSERT"}},
		{"an external id", contacts.DuplicateAllow, known, []string{"SELECT", "SELECT", "SELECT", "SELECT", "INSERT", "SELECT"}},
		{"an address", contacts.DuplicateReject, plain, []string{"SELECT", "SELECT", "SELECT", "SELECT", "INSERT", "SELECT"}},
	} {
		s := open(t, storePath(t))
		admin, account := contacts.NewAdmin(s, nil), mustAccount(t, s)
		key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: account, AllTeams: true, Permissions: []contacts.Permission{
			contacts.PermissionReadContacts, contacts.PermissionWriteContacts,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := admin.SetDuplicatePolicy(t.Context(), account, contacts.DuplicatePolicy{Action: c.policy}); err != nil {
			t.Fatal(err)
		}
		svc, err := contacts.New(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		before := s.Statements()
		if _, err := svc.CreateContact(t.Context(), key, c.in); err != nil {
			t.Fatal(err)
		}
		var inTransaction []string
		for _, sql := range s.Statements() {
			if !slices.Contains(before, sql) {
				inTransaction = append(inTransaction, strings.Fields(sql)[0])
			}
		}
		if diff := cmp.Diff(c.want, inTransaction); diff != "" {
			t.Errorf("%s: statements between BEGIN and COMMIT (-want +got):\n%s", c.name, diff)
		}
	}
}

// What the caller of a batch changes after it has given up changes nothing that
// is stored.
func TestBatchOfACallerThatHasGoneIsAsItWas(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	removed, changed := mustCreate(t, g.store, a), mustCreate(t, g.store, a)
	added, next := newContact(a), *changed
	next.Contact.Version, next.Contact.LastName = 2, "King"
	subject := [32]byte{7}
	m := contacts.Mutation{
		AccountID: a,
		Contacts: []contacts.ContactChange{
			{ID: added.Contact.ID, Record: added},
			{ID: next.Contact.ID, Version: 1, Record: &next},
			{ID: removed.Contact.ID, Version: 1},
		},
		Claims:  []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: "nobody@example.com"}},
		Journal: []contacts.JournalEntry{{Kind: contacts.JournalEvent, Subject: subject, At: noon, Data: "{}"}},
	}
	want := added.Contact.ID
	batch := contacts.MutationBatch{Mutations: []contacts.Mutation{m}, Now: noon}

	// The first create of the flight waits until the caller of the batch has
	// changed all of it.
	gone := make(chan struct{})
	var first atomic.Bool
	err := g.store.Writing(func(c *sqlite3.SQLiteConn) error {
		err := c.RegisterFunc("hold", func() int {
			if first.CompareAndSwap(false, true) {
				cancel()
				<-gone
			}
			return 0
		}, false)
		if err != nil {
			return err
		}
		_, err = c.Exec("CREATE TEMP TRIGGER hold BEFORE INSERT ON main.contact_data BEGIN SELECT hold(); END", nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	errs := g.crowd(t, []func() error{
		func() error { return create(t.Context(), g.store, newContact(a)) },
		func() error {
			defer close(gone)
			err := applyBatch(ctx, g.store, batch)
			added.Contact.ID, added.Contact.AccountID, added.Contact.Tags[0] = uuid.Nil, uuid.Nil, "changed"
			added.Contact.PhoneNumbers[0] = contacts.PhoneNumber{}
			next.Contact.LastName = "changed"
			m.Contacts[0], m.Contacts[2].ID = contacts.ContactChange{}, changed.Contact.ID
			m.Claims[0].Value = "ada@example.com"
			m.Journal[0].Subject[0] = 8
			batch.Mutations[0] = contacts.Mutation{}
			return err
		},
	}, nil)
	if errs[0] != nil || !errors.Is(errs[1], contacts.ErrOutcomeUnknown) {
		t.Fatalf("got %v, want a stored one and an unknown one", errs)
	}
	mustCreate(t, g.store, a) // after the flight
	got, err := g.store.FindContact(t.Context(), a, want)
	if err != nil || got.Contact.Tags[0] != "math" || got.Contact.PhoneNumbers[0].PhoneNumber != "+15551234567" {
		t.Errorf("the new contact: %v, %v", got, err)
	}
	got, err = g.store.FindContact(t.Context(), a, changed.Contact.ID)
	if err != nil || got.Contact.LastName != "King" {
		t.Errorf("the changed contact: %v, %v", got, err)
	}
	_, err = g.store.FindContact(t.Context(), a, removed.Contact.ID)
	wantErr(t, "FindContact of the removed one", err, contacts.ErrNotFound)
	entries, err := g.store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Limit: 9})
	if err != nil || len(entries) != 1 || entries[0].Subject != subject {
		t.Errorf("the journal: %v, %v", entries, err)
	}
}

// A batch is told what became of it when it was stored, and not in a flight that
// was undone before.
func TestOutcomesAreThoseOfTheLastRun(t *testing.T) {
	t.Parallel()
	for _, allOrNothing := range []bool{false, true} {
		t.Run(fmt.Sprint(allOrNothing), func(t *testing.T) {
			t.Parallel()
			g, a := newGate(t)
			ctx, cancel := context.WithCancel(t.Context())
			var undone atomic.Bool
			err := g.store.Writing(func(c *sqlite3.SQLiteConn) error {
				c.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000) // a row over it ends its transaction
				c.RegisterRollbackHook(func() {
					if undone.Load() {
						cancel() // so that the first create is not made again
					}
				})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			r, huge := newContact(a), newContact(a)
			huge.CustomContext = `{"a":"` + strings.Repeat("0", 200_000) + `"}`
			batch := createBatch(r)
			batch.AllOrNothing = allOrNothing
			errs := g.crowd(t, []func() error{
				func() error { return create(ctx, g.store, r) },
				func() error { return applyBatch(t.Context(), g.store, batch) }, // finds it there, at first
				func() error { return create(t.Context(), g.store, huge) },
			}, func() { undone.Store(true) })
			if !errors.Is(errs[0], context.Canceled) || errs[1] != nil || errs[2] == nil {
				t.Errorf("got %v, want a cancelled one, a stored one and a refused one", errs)
			}
			wantContact(t, g.store, a, r.Contact.ID)
		})
	}
}

// A dry run takes no write lock of the file, and waits for none.
func TestDryRunBesideALock(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	r := mustCreate(t, s, a)
	db := plain(t, path)
	exec1(t, db, "BEGIN IMMEDIATE")
	batch := createBatch(newContact(a), r)
	batch.DryRun = true
	batch.Mutations[0].Claims = r.MatchKeys()
	outcomes := outcomesOf(t, s, batch)
	if len(outcomes) != 2 {
		t.Fatalf("%d outcomes", len(outcomes))
	}
	wantErr(t, "a claimed key", outcomes[0].Err, contacts.ErrDuplicate)
	wantErr(t, "a taken id", outcomes[1].Err, contacts.ErrExists)
	exec1(t, db, "COMMIT")

	exec1(t, db, "CREATE TABLE changes (n); INSERT INTO changes VALUES (total_changes())")
	before := folder(t, filepath.Dir(path))
	outcomesOf(t, s, batch)
	if after := folder(t, filepath.Dir(path)); after["contacts.db"] != before["contacts.db"] || after["contacts.db-wal"] != before["contacts.db-wal"] {
		t.Error("a dry run has changed the file")
	}
}

// Rows that are in the way and that no other call explains are a fault, and not
// taken for what the contract says.
func TestRefusedByAnotherConstraintIsAFault(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	exec1(t, plain(t, path), "CREATE TRIGGER no BEFORE INSERT ON contact_data BEGIN SELECT RAISE(ABORT, 'no'); END")
	outcomes, err := s.Apply(t.Context(), createBatch(newContact(a)))
	if e, ok := errors.AsType[sqlite3.Error](err); !ok || e.Code != sqlite3.ErrConstraint || outcomes != nil {
		t.Errorf("got %v, %v, want the error of the constraint", outcomes, err)
	}
	for _, known := range []error{contacts.ErrNotFound, contacts.ErrExists, contacts.ErrTeamNotFound, contacts.ErrStale} {
		if errors.Is(err, known) {
			t.Errorf("got %v", err)
		}
	}
}
