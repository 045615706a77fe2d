package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/contacts"
)

// Bench measures the store. Contacts are created by one caller, by many, in
// batches, with idempotency records, with claims and with journal entries, and
// are found, listed and changed; keys and accounts are found. One operation is
// one record or one page, whatever the size of the batch, so that the figures
// compare. Contacts have every field filled, two phone numbers, two tags and two
// contexts. Numbers and addresses are random and spread over ten accounts, or two
// for the listings, because sequential data flatters every index.
func Bench(b *testing.B, h Harness) {
	for _, c := range []struct {
		name           string
		callers, batch int
		more           func(*benchMutation) // what the mutation has beside its contact
	}{
		{"batch=1", 1, 1, nil},
		{"batch=100", 1, 100, nil},
		{"batch=1000", 1, 1000, nil},
		{"parallel", 64, 1, nil},
		{"idempotent", 1, 1, idempotent},
		{"idempotent/parallel", 64, 1, idempotent},
		{"claims", 1, 1, withClaim},
		{"claims/parallel", 64, 1, withClaim},
		{"journal", 1, 1, withEntry},
		{"journal/parallel", 64, 1, withEntry},
	} {
		b.Run("CreateContacts/"+c.name, func(b *testing.B) { benchCreate(b, h, c.callers, c.batch, c.more) })
	}
	b.Run("FindKey", func(b *testing.B) {
		s, d, _ := filled(b, h, 10)
		measure(b, func(i int) error {
			_, err := s.FindKey(b.Context(), d.Keys[i%len(d.Keys)].Hash)
			return err
		})
	})
	b.Run("FindAccount", func(b *testing.B) {
		s, d, _ := filled(b, h, 10)
		measure(b, func(i int) error {
			_, err := s.FindAccount(b.Context(), d.Accounts[i%len(d.Accounts)].ID)
			return err
		})
	})
	b.Run("FindContact", func(b *testing.B) {
		s, _, records := filled(b, h, 10)
		rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		measure(b, func(i int) error {
			r := &records[i%len(records)].Contact
			_, err := s.FindContact(b.Context(), r.AccountID, r.ID)
			return err
		})
	})
	b.Run("ListContacts/first page", func(b *testing.B) {
		s, d, _ := filled(b, h, 2)
		measure(b, func(i int) error {
			account := d.Accounts[i%len(d.Accounts)].ID
			_, err := s.ListContacts(b.Context(), contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 25})
			return err
		})
	})
	b.Run("ListContacts/phone number", func(b *testing.B) {
		s, _, records := filled(b, h, 2)
		measure(b, func(i int) error {
			r := &records[i%len(records)].Contact
			_, err := s.ListContacts(b.Context(), contacts.ContactQuery{AccountID: r.AccountID, AllTeams: true, PhoneNumber: r.PhoneNumbers[1].PhoneNumber, Limit: 25})
			return err
		})
	})
	b.Run("UpdateContacts", func(b *testing.B) {
		s, _, records := filled(b, h, 10)
		batch := batchOf(contacts.Mutation{Contacts: make([]contacts.ContactChange, 1)})
		measure(b, func(i int) error {
			r := records[i%len(records)]
			r.Contact.Version++
			r.Contact.Stage = fmt.Sprint("stage ", i)
			m := &batch.Mutations[0]
			m.AccountID = r.Contact.AccountID
			m.Contacts[0] = contacts.ContactChange{ID: r.Contact.ID, Version: r.Contact.Version - 1, Record: r}
			return applyAll(b, s, batch)
		})
	})
}

// measure measures f.
func measure(b *testing.B, f func(i int) error) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := f(i); err != nil {
			b.Fatal(err)
		}
	}
}

// applyAll applies the batch, of which everything must be stored.
func applyAll(b *testing.B, s contacts.Store, batch contacts.MutationBatch) error {
	outcomes, err := s.Apply(b.Context(), batch)
	if err != nil || outcomes == nil {
		return err
	}
	return errors.Join(errorsOf(outcomes)...)
}

// A benchBatch is a batch that a caller fills again and again, as a program does:
// what was given to Apply may be changed after the call.
type benchBatch struct {
	contacts.MutationBatch
	mutations []benchMutation
}

// A benchMutation has room for all that a mutation of a benchmark holds.
type benchMutation struct {
	contacts.Mutation
	changes [1]contacts.ContactChange
	claims  [1]contacts.MatchKey
	once    contacts.IdempotencyRecord
	entries [1]contacts.JournalEntry
}

func newBenchBatch(size int) *benchBatch {
	return &benchBatch{contacts.MutationBatch{Now: noon, Mutations: make([]contacts.Mutation, size)}, make([]benchMutation, size)}
}

// fill makes the batch create the contacts.
func (b *benchBatch) fill(records []*contacts.ContactRecord, more func(*benchMutation)) {
	b.Mutations = b.Mutations[:len(records)]
	for i, r := range records {
		m := &b.mutations[i]
		m.changes[0] = creationOf(r)
		m.Mutation = contacts.Mutation{AccountID: r.Contact.AccountID, Contacts: m.changes[:]}
		if more != nil {
			more(m)
		}
		b.Mutations[i] = m.Mutation
	}
}

// idempotent gives the mutation an idempotency record.
func idempotent(m *benchMutation) {
	id := m.changes[0].ID
	m.once = contacts.IdempotencyRecord{Key: sha256.Sum256(id[:]), Input: [32]byte(append(id[:], id[:]...)), Result: `{"contact":"first"}`, EndsAt: noon.Add(time.Hour)}
	m.Idempotency = &m.once
}

// withClaim claims the e-mail address of the contact.
func withClaim(m *benchMutation) {
	m.claims[0] = emailKey(m.changes[0].Record.Contact.Email)
	m.Claims = m.claims[:]
}

// withEntry appends an event of common size.
func withEntry(m *benchMutation) {
	id := m.changes[0].ID
	e := &m.entries[0]
	*e = contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, EndsAt: noon.AddDate(0, 1, 0)}
	copy(e.Subject[:], id[:])
	e.Data = `{"v":1,"type":"contact.created","version":1,"actor":{"kind":"key","key_id":"01950000-0000-7000-8000-000000000000","name":"web site"}}`
	m.Journal = m.entries[:]
}

// round is how many contacts go into one store. A benchmark of a fast store would
// fill the memory otherwise. After a round a fresh store takes the same contacts.
const round = 1 << 16

func benchCreate(b *testing.B, h Harness, callers, size int, more func(*benchMutation)) {
	d := benchDirectory(10)
	records := benchContacts(d, min(b.N, round))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= round {
		b.StopTimer()
		s := benchStore(b, h, d)
		given := records[:min(left, len(records))]
		var next atomic.Int64
		var wg sync.WaitGroup
		b.StartTimer()
		for range callers {
			wg.Go(func() {
				batch := newBenchBatch(size)
				for to := next.Add(int64(size)); to-int64(size) < int64(len(given)); to = next.Add(int64(size)) {
					batch.fill(given[to-int64(size):min(to, int64(len(given)))], more)
					if err := applyAll(b, s, batch.MutationBatch); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "contacts/s")
}

// filled returns a store with ten thousand contacts in that number of accounts,
// and what is in it.
func filled(b *testing.B, h Harness, accounts int) (contacts.Store, contacts.Directory, []*contacts.ContactRecord) {
	d := benchDirectory(accounts)
	s := benchStore(b, h, d)
	records := benchContacts(d, 10_000)
	for batch := range slices.Chunk(records, 1000) {
		if err := applyAll(b, s, batchOf(each(create, batch...)...)); err != nil {
			b.Fatal(err)
		}
	}
	return s, d, records
}

func benchStore(b *testing.B, h Harness, d contacts.Directory) contacts.Store {
	s := h.New(b)
	b.Cleanup(func() { s.Close() })
	if _, err := s.AddToDirectory(b.Context(), d); err != nil {
		b.Fatal(err)
	}
	return s
}

// benchDirectory returns accounts with ten teams and ten keys each.
func benchDirectory(accounts int) contacts.Directory {
	var d contacts.Directory
	for range accounts {
		a := newAccount()
		d.Accounts = append(d.Accounts, a)
		for i := range 10 {
			d.Teams = append(d.Teams, newTeam(a.ID, int64(i+1)))
			d.Keys = append(d.Keys, newKey(a.ID))
		}
	}
	return d
}

func benchContacts(d contacts.Directory, n int) []*contacts.ContactRecord {
	records := make([]*contacts.ContactRecord, n)
	for i := range records {
		team := d.Teams[rand.IntN(len(d.Teams))]
		r := newFullContact(team.AccountID, team.ID)
		r.Contact.Email = fmt.Sprintf("%x@example.com", rand.Uint64())
		r.Contact.LastName = fmt.Sprintf("Lovelace %x", rand.Uint32())
		r.Contact.Tags = r.Contact.Tags[:2]
		r.Contact.Version = 1
		for j := range r.Contact.PhoneNumbers {
			r.Contact.PhoneNumbers[j].PhoneNumber = fmt.Sprintf("+1%010d", rand.Int64N(1e10))
		}
		records[i] = r
	}
	return records
}
