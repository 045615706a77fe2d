package memory

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// A mutation that fails in the middle of a random batch leaves neither its change nor
// its event. A batch that is undone leaves the store as it was.
func TestEventIsAtomic(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	failed := make(map[error]int)
	undone := 0
	for range longtest.Extent(6, 1000) {
		s, accounts := withAccounts(t, 1)
		f := &faulty{account: accounts[0], random: random, versions: make(map[uuid.UUID]int64)}
		for range 50 {
			batch := contacts.MutationBatch{Now: noon, AllOrNothing: random.IntN(2) == 0, DryRun: random.IntN(5) == 0}
			for range 1 + random.IntN(4) {
				batch.Mutations = append(batch.Mutations, f.mutation())
			}
			before := contents(s)
			outcomes, err := s.Apply(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			wrong := false
			for _, o := range outcomes {
				failed[o.Err]++
				wrong = wrong || o.Err != nil
			}
			if batch.DryRun || wrong && batch.AllOrNothing {
				undone++
				if after := contents(s); after != before {
					t.Fatalf("a batch that was undone left (-before +after):\n%s", cmp.Diff(before, after))
				}
			} else {
				for i := range batch.Mutations {
					if outcomes == nil || outcomes[i].Err == nil {
						f.stored(&batch.Mutations[i])
					}
				}
			}
			f.want(t)
		}
	}
	for _, err := range []error{
		nil, contacts.ErrConflict, contacts.ErrExists, contacts.ErrTeamNotFound, contacts.ErrStale, contacts.ErrDuplicate, contacts.ErrNotFound, contacts.ErrBatchFailed,
	} {
		if failed[err] == 0 {
			t.Errorf("no mutation has the outcome %v", err)
		}
	}
	if undone == 0 {
		t.Error("no batch was undone")
	}
}

// faulty makes random mutations, and knows what of them was stored.
type faulty struct {
	account  *account
	random   *rand.Rand
	ids      []uuid.UUID         // that were ever given
	versions map[uuid.UUID]int64 // of the contacts that are there
	journal  []string            // the data of each entry
}

// mutation changes contacts, each with an event. About a third of them is wrong
// somewhere. The others may be wrong too, if the ones before them in the batch changed
// the same contacts.
func (f *faulty) mutation() contacts.Mutation {
	m := contacts.Mutation{AccountID: f.account.ID}
	for range 1 + f.random.IntN(3) {
		id := uuid.Must(uuid.NewV7())
		if len(f.ids) > 0 && f.random.IntN(3) > 0 {
			id = f.ids[f.random.IntN(len(f.ids))]
		}
		if slices.ContainsFunc(m.Contacts, func(c contacts.ContactChange) bool { return c.ID == id }) {
			continue
		}
		f.ids = append(f.ids, id)
		change := contacts.ContactChange{ID: id, Version: f.versions[id]}
		if change.Version == 0 || f.random.IntN(3) > 0 {
			change.Record = &contacts.ContactRecord{Contact: contacts.Contact{
				ID: id, AccountID: f.account.ID, Version: change.Version + 1, Email: fmt.Sprintf("%d@example.com", f.random.IntN(40)),
			}}
		}
		m.Contacts = append(m.Contacts, change)
		e := contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, Data: fmt.Sprint(id, change.Version+1)}
		copy(e.Subject[:], id[:])
		m.Journal = append(m.Journal, e)
	}
	if n := len(f.journal); n > 0 && f.random.IntN(4) == 0 { // as an erasure does
		e := f.account.journal[f.random.IntN(n)]
		e.Data = "redacted"
		m.Journal = append(m.Journal, e)
	}
	last := &m.Contacts[len(m.Contacts)-1]
	switch f.random.IntN(15) {
	case 0:
		last.Version++
	case 1:
		last.Version = 0
	case 2:
		if last.Record != nil {
			last.Record.Contact.TeamID = 9
		}
	case 3:
		m.Settings++
	case 4:
		m.Journal = append(m.Journal, contacts.JournalEntry{Kind: contacts.JournalEvent, Sequence: 1 << 40})
	case 5, 6:
		if last.Record != nil {
			m.Claims = last.Record.MatchKeys()
		}
	}
	return m
}

// stored notes what a mutation has changed.
func (f *faulty) stored(m *contacts.Mutation) {
	for i := range m.Contacts {
		if c := &m.Contacts[i]; c.Record != nil {
			f.versions[c.ID] = c.Record.Contact.Version
		} else {
			delete(f.versions, c.ID)
		}
	}
	for _, e := range m.Journal {
		if e.Sequence > 0 {
			f.journal[e.Sequence-1] = e.Data
		} else {
			f.journal = append(f.journal, e.Data)
		}
	}
}

// want compares the account with what was noted.
func (f *faulty) want(t *testing.T) {
	t.Helper()
	versions := make(map[uuid.UUID]int64)
	for id, c := range f.account.contacts {
		versions[id] = c.version()
	}
	if !maps.Equal(f.versions, versions) {
		t.Fatalf("versions (-want +got):\n%s", cmp.Diff(f.versions, versions))
	}
	var journal []string
	for i, e := range f.account.journal {
		if journal = append(journal, e.Data); e.Sequence != int64(i+1) {
			t.Fatalf("entry %d of the journal has the number %d", i+1, e.Sequence)
		}
	}
	if !slices.Equal(f.journal, journal) {
		t.Fatalf("journal (-want +got):\n%s", cmp.Diff(f.journal, journal))
	}
	wantSubjects(t, f.account)
}

// wantSubjects checks that the entries of the journal are found by their subjects,
// and no others.
func wantSubjects(t *testing.T, a *account) {
	t.Helper()
	want := make(map[[32]byte][]int64)
	for i := range a.journal {
		e := &a.journal[i]
		want[e.Subject] = append(want[e.Subject], e.Sequence)
	}
	if !maps.EqualFunc(want, a.subjects, slices.Equal) {
		t.Fatalf("entries by subject (-want +got):\n%s", cmp.Diff(want, a.subjects))
	}
}
