package storetest

import (
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

// Bench measures the store: contacts created by one caller, by many, in batches
// and with idempotencies, found, listed and changed, and keys and teams found.
// One operation is one record, whatever the size of the batch, or one page, so
// that the figures compare. Contacts have every field filled, two phone numbers,
// two tags and two contexts; numbers and addresses are random and spread over ten
// accounts, or two for the listings, since sequential data flatters every index.
func Bench(b *testing.B, h Harness) {
	for _, c := range []struct {
		name           string
		callers, batch int
		once           bool
	}{
		{"batch=1", 1, 1, false},
		{"batch=100", 1, 100, false},
		{"batch=1000", 1, 1000, false},
		{"parallel", 64, 1, false},
		{"idempotent", 1, 1, true},
		{"idempotent/parallel", 64, 1, true},
	} {
		b.Run("CreateContacts/"+c.name, func(b *testing.B) { benchCreate(b, h, c.callers, c.batch, c.once) })
	}
	b.Run("FindKey", func(b *testing.B) {
		s, d, _ := filled(b, h, 10)
		each(b, func(i int) error {
			_, err := s.FindKey(b.Context(), d.Keys[i%len(d.Keys)].Hash)
			return err
		})
	})
	b.Run("FindTeam", func(b *testing.B) {
		s, d, _ := filled(b, h, 10)
		each(b, func(i int) error {
			team := &d.Teams[i%len(d.Teams)]
			_, err := s.FindTeam(b.Context(), team.AccountID, team.ID)
			return err
		})
	})
	b.Run("FindContact", func(b *testing.B) {
		s, _, records := filled(b, h, 10)
		rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		each(b, func(i int) error {
			r := &records[i%len(records)].Contact
			_, err := s.FindContact(b.Context(), r.AccountID, r.ID)
			return err
		})
	})
	b.Run("ListContacts/first page", func(b *testing.B) {
		s, d, _ := filled(b, h, 2)
		each(b, func(i int) error {
			account := d.Accounts[i%len(d.Accounts)].ID
			_, err := s.ListContacts(b.Context(), contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 25})
			return err
		})
	})
	b.Run("ListContacts/phone number", func(b *testing.B) {
		s, _, records := filled(b, h, 2)
		each(b, func(i int) error {
			r := &records[i%len(records)].Contact
			_, err := s.ListContacts(b.Context(), contacts.ContactQuery{AccountID: r.AccountID, AllTeams: true, PhoneNumber: r.PhoneNumbers[1].PhoneNumber, Limit: 25})
			return err
		})
	})
	b.Run("UpdateContacts", func(b *testing.B) {
		s, _, records := filled(b, h, 10)
		each(b, func(i int) error {
			r := records[i%len(records)]
			r.Contact.Version++
			r.Contact.Stage = fmt.Sprint("stage ", i)
			return errors.Join(s.UpdateContacts(b.Context(), []contacts.ContactChange{{Record: r, Version: r.Contact.Version - 1}})...)
		})
	})
}

// each measures f.
func each(b *testing.B, f func(i int) error) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := f(i); err != nil {
			b.Fatal(err)
		}
	}
}

// round is how many contacts go into one store: a benchmark of a fast store
// would fill the memory otherwise. A round that is over starts a fresh store,
// which takes the same contacts again.
const round = 1 << 16

func benchCreate(b *testing.B, h Harness, callers, size int, once bool) {
	d := benchDirectory(10)
	records := benchContacts(d, min(b.N, round))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= round {
		b.StopTimer()
		s := benchStore(b, h, d)
		batches := benchBatches(records[:min(left, len(records))], size, once)
		var next atomic.Int64
		var wg sync.WaitGroup
		b.StartTimer()
		for range callers {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(len(batches)); i = next.Add(1) {
					if errs := s.CreateContacts(b.Context(), batches[i-1]); errs != nil {
						b.Error(errors.Join(errorsOf(errs)...))
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

// benchBatches divides the contacts into batches of that size; once: each contact
// with an idempotency.
func benchBatches(records []*contacts.ContactRecord, size int, once bool) []contacts.ContactBatch {
	var batches []contacts.ContactBatch
	for part := range slices.Chunk(records, size) {
		batch := contacts.ContactBatch{Records: part}
		if once {
			batch.Now = noon
			for _, r := range part {
				batch.Idempotencies = append(batch.Idempotencies, onceAs(r.Contact.ID.String()))
			}
		}
		batches = append(batches, batch)
	}
	return batches
}

// filled returns a store with ten thousand contacts in so many accounts, and all
// that is in it.
func filled(b *testing.B, h Harness, accounts int) (contacts.Store, contacts.Directory, []*contacts.ContactRecord) {
	d := benchDirectory(accounts)
	s := benchStore(b, h, d)
	records := benchContacts(d, 10_000)
	for batch := range slices.Chunk(records, 1000) {
		if errs := s.CreateContacts(b.Context(), contacts.ContactBatch{Records: batch}); errs != nil {
			b.Fatal(errors.Join(errorsOf(errs)...))
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
		r.Contact.Version, r.Contact.DeletedAt = 1, time.Time{}
		for j := range r.Contact.PhoneNumbers {
			r.Contact.PhoneNumbers[j].PhoneNumber = fmt.Sprintf("+1%010d", rand.Int64N(1e10))
		}
		records[i] = r
	}
	return records
}
