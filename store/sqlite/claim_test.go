//go:build cgo && unix

package sqlite_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// withEmail returns a new contact that has that address and no other match key.
func withEmail(account uuid.UUID, email string) *contacts.ContactRecord {
	r := newContact(account)
	r.Contact.Email, r.Contact.PhoneNumbers = email, nil
	return r
}

// claiming returns the mutation that creates the contact and claims its keys.
func claiming(r *contacts.ContactRecord) contacts.Mutation {
	m := createOf(r)
	m.Claims = r.MatchKeys()
	return m
}

// wantClaimed checks that a dry run and a real call find the address taken by the
// contact, or by none if it is nil. Nothing is stored.
func wantClaimed(t *testing.T, when string, s *sqlite.Store, account uuid.UUID, email string, holder *contacts.ContactRecord) {
	t.Helper()
	for _, dryRun := range []bool{true, false} {
		outcomes := outcomesOf(t, s, contacts.MutationBatch{
			Mutations:    []contacts.Mutation{claiming(withEmail(account, email)), removalOf(newContact(account))},
			Now:          noon,
			AllOrNothing: true, // and the second of them fails
			DryRun:       dryRun,
		})
		if len(outcomes) != 2 {
			t.Fatalf("%d outcomes", len(outcomes))
		}
		switch o := outcomes[0]; {
		case holder == nil:
			if !errors.Is(o.Err, contacts.ErrBatchFailed) {
				t.Errorf("%s, dry run %v: %s is held by %v", when, dryRun, email, o)
			}
		case !errors.Is(o.Err, contacts.ErrDuplicate) || len(o.Holders) != 1 || o.Holders[0].ContactID != holder.Contact.ID:
			t.Errorf("%s, dry run %v: %s is held by %v, want %v", when, dryRun, email, o, holder.Contact.ID)
		}
	}
}

// A claim finds a key wherever it is: merged, in a run that is being merged, not
// merged yet, written by another process a moment ago, and changed or removed
// since. What a transaction or a savepoint wrote before it was undone is not
// found, also where the next contact gets the same seq.
func TestClaimsFindUnmergedKeys(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	plan := func() *sqlite.Plan { return sqlite.NewPlan().RunLength(1000) }
	s, other := mustOpen(t, plan(), path), mustOpen(t, plan(), path)
	a, b := mustAccount(t, s), mustAccount(t, s)
	named := make(map[string]*contacts.ContactRecord)
	add := func(s *sqlite.Store, name string) *contacts.ContactRecord {
		t.Helper()
		r := withEmail(a, name+"@example.com")
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
		named[name] = r
		return r
	}
	all := func(when string) {
		t.Helper()
		for _, in := range []*sqlite.Store{s, other} {
			for name, r := range named {
				wantClaimed(t, when, in, a, name+"@example.com", r)
				wantClaimed(t, when, in, b, name+"@example.com", nil)
			}
			wantClaimed(t, when, in, a, "nobody@example.com", nil)
		}
	}
	add(s, "first")
	all("not merged")
	add(other, "of another process")
	all("written by another process")
	if s.KnownKeys() == 0 || other.KnownKeys() == 0 {
		t.Error("no keys are kept in memory")
	}

	// A batch that fails leaves its seqs to the next contacts, here and there.
	for i, next := range []*sqlite.Store{s, other} {
		x, y := fmt.Sprintf("undone %d@example.com", i), fmt.Sprintf("undone too %d@example.com", i)
		failed := contacts.MutationBatch{AllOrNothing: true, Now: noon, Mutations: []contacts.Mutation{
			claiming(withEmail(a, x)), claiming(withEmail(a, y)), claiming(withEmail(a, x)),
		}}
		outcomes := outcomesOf(t, s, failed)
		if len(outcomes) != 3 || !errors.Is(outcomes[2].Err, contacts.ErrDuplicate) {
			t.Fatalf("a batch that claims a key twice: %v", outcomes)
		}
		add(next, fmt.Sprint("after undone ", i))
		for _, in := range []*sqlite.Store{s, other} {
			wantClaimed(t, "after a savepoint was undone", in, a, x, nil)
			wantClaimed(t, "after a savepoint was undone", in, a, y, nil)
		}
		all("after a savepoint was undone")
	}

	// So does a batch that ends its transaction.
	err := s.Writing(func(c *sqlite3.SQLiteConn) error {
		c.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	huge := newContact(a)
	huge.CustomContext = `{"a":"` + strings.Repeat("0", 200_000) + `"}`
	x, y := withEmail(a, "undone@example.com"), withEmail(a, "undone too@example.com")
	if err := apply(t.Context(), s, claiming(x), claiming(y), createOf(huge)); err == nil {
		t.Fatal("a row over the limit was stored")
	}
	add(other, "after an undone transaction")
	wantClaimed(t, "after a transaction was undone", s, a, "undone@example.com", nil)
	all("after a transaction was undone")

	change(t, s, named["first"], func(c *contacts.Contact) { c.Email = "second@example.com" })
	named["second"] = named["first"]
	delete(named, "first")
	all("changed")
	wantClaimed(t, "changed", s, a, "first@example.com", nil)
	change(t, other, named["second"], func(c *contacts.Contact) { c.Email = "first@example.com" })
	named["first"] = named["second"]
	delete(named, "second")
	all("changed back")

	if err := s.PrepareRun(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(s, "while a run is merged")
	all("in a run that is being merged")
	for i := range 10 {
		add(s, fmt.Sprint("more ", i))
	}
	all("with a part merged")
	if err := other.Close(); err != nil { // which merges all
		t.Fatal(err)
	}
	other = mustOpen(t, plan(), path)
	all("merged")
	if other.KnownKeys() != 0 {
		t.Errorf("%d keys of merged contacts are kept in memory", other.KnownKeys())
	}
	if err := apply(t.Context(), s, removalOf(named["first"])); err != nil {
		t.Fatal(err)
	}
	wantClaimed(t, "removed", s, a, "first@example.com", nil)
	for _, s := range []*sqlite.Store{s, other} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The keys that are kept in memory do not become more with the contacts.
func TestKnownKeysAreBounded(t *testing.T) {
	t.Parallel()
	const length = 20
	s := mustOpen(t, sqlite.NewPlan().RunLength(length), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	most := 0
	for i := range 1000 {
		if i%(2*length) == 0 { // however busy the machine is
			if err := s.PrepareRun(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r := withEmail(a, fmt.Sprint(i, "@example.com"))
		if err := apply(t.Context(), s, claiming(r)); err != nil {
			t.Fatal(err)
		}
		most = max(most, s.KnownKeys())
	}
	if most > 20*length {
		t.Errorf("up to %d keys of 1000 contacts are kept, with runs of %d", most, length)
	}
	if list, err := s.ListContacts(t.Context(), contacts.ContactQuery{
		AccountID: a, AllTeams: true, Limit: 9, MatchKeys: []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: "999@example.com"}, {Kind: contacts.KeyEmail, Value: "3@example.com"}},
	}); err != nil || len(list.Records) != 2 {
		t.Errorf("%d contacts by their keys, %v; want 2", len(list.Records), err)
	}
}

// A store that only reads, while another process writes, finds every contact by its
// keys, and its memory does not grow with the contacts either.
func TestReaderOfKeysIsBounded(t *testing.T) {
	t.Parallel()
	const length = 20
	path := newPath(t)
	plan := func() *sqlite.Plan { return sqlite.NewPlan().RunLength(length) }
	reader, writer := mustOpen(t, plan(), path), mustOpen(t, plan(), path)
	defer reader.Close()
	defer writer.Close()
	a := mustAccount(t, writer)
	most := 0
	for i := range 500 {
		if i%(2*length) == 0 { // however busy the machine is
			if err := writer.PrepareRun(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := apply(t.Context(), writer, createOf(withEmail(a, fmt.Sprint(i, "@example.com")))); err != nil {
			t.Fatal(err)
		}
		if i%5 != 4 {
			continue
		}
		list, err := reader.ListContacts(t.Context(), contacts.ContactQuery{
			AccountID: a, AllTeams: true, Limit: 9, MatchKeys: []contacts.MatchKey{
				{Kind: contacts.KeyEmail, Value: fmt.Sprint(i, "@example.com")}, {Kind: contacts.KeyEmail, Value: "0@example.com"}, {Kind: contacts.KeyEmail, Value: "nobody"},
			},
		})
		if err != nil || len(list.Records) != 2 {
			t.Fatalf("after %d contacts: %d by their keys, %v; want 2", i, len(list.Records), err)
		}
		most = max(most, reader.KnownKeys())
	}
	if most == 0 || most > 20*length {
		t.Errorf("up to %d keys of 500 contacts are kept, with runs of %d", most, length)
	}
}

// A dry run that reads a state of the file from before keys were merged, and
// dropped from memory, finds them.
func TestDryRunFindsKeysThatWereMergedMeanwhile(t *testing.T) {
	t.Parallel()
	const length = 5
	s := mustOpen(t, sqlite.NewPlan().RunLength(length), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	holder := withEmail(a, "ada@example.com")
	if err := apply(t.Context(), s, claiming(holder)); err != nil {
		t.Fatal(err)
	}
	batch := contacts.MutationBatch{Mutations: []contacts.Mutation{claiming(withEmail(a, "ada@example.com"))}, Now: noon}
	outcomes, err := s.DryRunBefore(t.Context(), batch, func() {
		for i := range 100 * length {
			if err := apply(t.Context(), s, claiming(withEmail(a, fmt.Sprint(i)))); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err != nil || len(outcomes) != 1 || !errors.Is(outcomes[0].Err, contacts.ErrDuplicate) {
		t.Errorf("got %v, %v, want ErrDuplicate", outcomes, err)
	}
}

// A claim sees what a plain create has stored in its transaction, after a batch of the
// same transaction has failed and was undone.
func TestClaimSeesTheCreateAfterABatchThatFailed(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	taken := withEmail(a, "z@example.com")
	batches := []contacts.MutationBatch{
		{AllOrNothing: true, Mutations: []contacts.Mutation{claiming(withEmail(a, "x@example.com")), claiming(withEmail(a, "x@example.com"))}},
		{Mutations: []contacts.Mutation{createOf(taken)}},
		{Mutations: []contacts.Mutation{claiming(withEmail(a, "z@example.com"))}},
	}
	for i := range batches {
		batches[i].Now = noon
	}
	if o := g.together(t, batches)[2]; len(o) != 1 || !errors.Is(o[0].Err, contacts.ErrDuplicate) || o[0].Holders[0].ContactID != taken.Contact.ID {
		t.Errorf("got %v, want the create before it as the holder", o)
	}
}

// Mutations of a batch that claim one key look for its holders once, until one of the
// batch is stored. The test is not parallel: it counts allocations.
func TestHoldersOfAClaimAreReadOnceInABatch(t *testing.T) { //nolint:paralleltest // it counts allocations
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	const held, free, deleted = "held@example.com", "free@example.com", 500
	batch := contacts.MutationBatch{Now: noon}
	for range deleted {
		r := withEmail(a, held)
		r.Contact.DeletedAt = noon
		batch.Mutations = append(batch.Mutations, createOf(r))
	}
	holder, next := withEmail(a, held), withEmail(a, held)
	batch.Mutations = append(batch.Mutations, createOf(holder))
	if err := applyBatch(t.Context(), s, batch); err != nil {
		t.Fatal(err)
	}
	moved := *holder
	moved.Contact.Email, moved.Contact.Version = free, holder.Contact.Version+1
	refused := func() contacts.Mutation { return claiming(withEmail(a, held)) }
	outcomes := outcomesOf(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{
		refused(), refused(), updateOf(&moved, holder.Contact.Version), claiming(next), refused(),
	}})
	var got []uuid.UUID
	for _, o := range outcomes {
		var by uuid.UUID
		if errors.Is(o.Err, contacts.ErrDuplicate) {
			by = o.Holders[0].ContactID
		}
		got = append(got, by)
	}
	want := []uuid.UUID{holder.Contact.ID, holder.Contact.ID, uuid.Nil, uuid.Nil, next.Contact.ID}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who holds the key (-want +got):\n%s", diff)
	}
	for _, dryRun := range []bool{false, true} {
		batch := contacts.MutationBatch{Now: noon, DryRun: dryRun, Mutations: make([]contacts.Mutation, 100)}
		for i := range batch.Mutations {
			batch.Mutations[i] = refused()
		}
		n := testing.AllocsPerRun(1, func() { outcomesOf(t, s, batch) })
		if n > 100*deleted {
			t.Errorf("dry run %t: %v allocations for 100 claims of a key that %d contacts have", dryRun, n, deleted+1)
		}
	}
}
