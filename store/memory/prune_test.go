package memory

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// withAccounts returns a store with n accounts.
func withAccounts(t *testing.T, n int) (*Store, []*account) {
	t.Helper()
	s := New()
	t.Cleanup(func() { s.Close() })
	for range n {
		add := contacts.Directory{Accounts: []contacts.Account{{ID: uuid.Must(uuid.NewV7())}}}
		if _, err := s.AddToDirectory(t.Context(), add); err != nil {
			t.Fatal(err)
		}
	}
	return s, s.ordered
}

func apply(t *testing.T, s *Store, batch contacts.MutationBatch) {
	t.Helper()
	outcomes, err := s.Apply(t.Context(), batch)
	if outcomes != nil || err != nil {
		t.Fatalf("Apply: %v and error %v", outcomes, err)
	}
}

func pruned(at time.Time) contacts.MutationBatch { return contacts.MutationBatch{Now: at} }

// events returns a mutation with n events that end at noon.
func events(a *account, n int) contacts.Mutation {
	entry := contacts.JournalEntry{Kind: contacts.JournalEvent, EndsAt: noon}
	return contacts.Mutation{AccountID: a.ID, Journal: slices.Repeat([]contacts.JournalEntry{entry}, n)}
}

// once returns n mutations with one idempotency record each that ends at noon.
func once(a *account, n int) (all []contacts.Mutation) {
	for i := range n {
		r := &contacts.IdempotencyRecord{Result: "{}", EndsAt: noon}
		binary.BigEndian.PutUint32(r.Key[:], uint32(i))
		all = append(all, contacts.Mutation{AccountID: a.ID, Idempotency: r})
	}
	return all
}

func TestApplyWithoutMutationsRemovesSomeOfWhatHasEnded(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 3)
	first, second, third := accounts[0], accounts[1], accounts[2]
	before := noon.Add(-time.Minute)
	apply(t, s, contacts.MutationBatch{Now: before, Mutations: once(first, 100)})
	apply(t, s, contacts.MutationBatch{Now: before, Mutations: []contacts.Mutation{events(second, maxPruned)}})
	apply(t, s, contacts.MutationBatch{Now: before, Mutations: once(third, 100)})
	left := func() [3]int { return [3]int{len(first.idempotency), len(second.journal), len(third.idempotency)} }

	for _, step := range []struct {
		now  time.Time
		want [3]int
	}{
		{noon.Add(contacts.ClockSkew - time.Microsecond), [3]int{100, maxPruned, 100}},
		{noon.Add(contacts.ClockSkew), [3]int{0, 100, 100}},
		{noon.Add(contacts.ClockSkew), [3]int{0, 1, 0}}, // the newest entry stays
	} {
		apply(t, s, pruned(step.now))
		if left() != step.want {
			t.Errorf("at %v: %v records are left, want %v", step.now, left(), step.want)
		}
	}
}

// TestTheSameCallsRemoveTheSameRecords is for stores that replay their calls.
func TestTheSameCallsRemoveTheSameRecords(t *testing.T) {
	t.Parallel()
	var left [2][][32]byte
	for i := range left {
		s, accounts := withAccounts(t, 1)
		apply(t, s, contacts.MutationBatch{Now: noon.Add(-time.Minute), Mutations: once(accounts[0], maxPruned+50)})
		apply(t, s, pruned(noon.Add(contacts.ClockSkew)))
		left[i] = slices.SortedFunc(maps.Keys(accounts[0].idempotency), func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })
	}
	if len(left[0]) != 50 {
		t.Errorf("%d records are left, want 50", len(left[0]))
	}
	if d := cmp.Diff(left[0], left[1]); d != "" {
		t.Errorf("two stores keep different records:\n%s", d)
	}
}

func TestWritesRemoveWhatHasEnded(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	a := accounts[0]
	later := noon.Add(contacts.ClockSkew)
	for range 10 * minPruneAt {
		apply(t, s, contacts.MutationBatch{Now: later, Mutations: []contacts.Mutation{events(a, 1)}})
		if n := len(a.journal); n > minPruneAt {
			t.Fatalf("%d entries are kept, of which all but one have ended", n)
		}
	}
}

func TestNothingElseIsPruned(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	a := accounts[0]
	apply(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{{AccountID: a.ID, Journal: []contacts.JournalEntry{
		{Kind: contacts.JournalDoNotCall, EndsAt: noon},
		{Kind: contacts.JournalErasure, EndsAt: noon},
		{Kind: contacts.JournalEvent},
		{Kind: contacts.JournalEvent, EndsAt: noon.Add(time.Microsecond)},
		{Kind: contacts.JournalEvent, EndsAt: noon},
		{Kind: contacts.JournalEvent},
	}}}})
	apply(t, s, pruned(noon.Add(contacts.ClockSkew)))
	var kept []int64
	for _, e := range a.journal {
		kept = append(kept, e.Sequence)
	}
	if want := []int64{1, 2, 3, 4, 6}; !slices.Equal(kept, want) {
		t.Errorf("entries %v are kept, want %v", kept, want)
	}
	wantSubjects(t, a)
}

func TestDryRunPrunesNothing(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 2)
	a := accounts[0]
	mixed := []contacts.Mutation{events(a, minPruneAt), {AccountID: accounts[1].ID}} // does not prune
	apply(t, s, contacts.MutationBatch{Now: noon, Mutations: mixed})
	later := noon.Add(contacts.ClockSkew)
	apply(t, s, contacts.MutationBatch{Now: later, DryRun: true})
	apply(t, s, contacts.MutationBatch{Now: later, DryRun: true, Mutations: mixed[:1]})
	if n := len(a.journal); n != minPruneAt {
		t.Errorf("%d entries are left, want %d", n, minPruneAt)
	}
}

func TestNothingIsKeptOfARemovedContact(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	a := accounts[0]
	id := uuid.Must(uuid.NewV7())
	r := &contacts.ContactRecord{Contact: contacts.Contact{ID: id, AccountID: a.ID, Version: 1, Email: "ada@example.com"}}
	for _, change := range []contacts.ContactChange{{ID: id, Record: r}, {ID: id, Version: 1}} {
		apply(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{
			{AccountID: a.ID, Contacts: []contacts.ContactChange{change}, Claims: r.MatchKeys()},
		}})
	}
	if len(a.contacts)+len(a.ids)+len(a.index) != 0 {
		t.Errorf("kept: %v, %v, %v", a.contacts, a.ids, a.index)
	}
}
