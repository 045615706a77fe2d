package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/contacts"
)

const (
	allOrNothingRule = "With AllOrNothing either all records are stored, in one atomic step, or none: then each that did not fail itself fails with ErrBatchFailed."
	replayedRule     = "A record that is answered with an earlier Result has not failed."
)

var batchCases = []testCase{
	{
		"all stored",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			for _, records := range [][]*contacts.ContactRecord{
				{newFullContact(a, 1)},
				{newFullContact(a, 1), newFullContact(b, 2), newContact(a)},
				{},
			} {
				if outcomes := s.CreateContacts(t.Context(), contacts.ContactBatch{Records: records, AllOrNothing: true}); outcomes != nil {
					t.Errorf("CreateContacts of %d contacts: got %v, want nil", len(records), errors.Join(errorsOf(outcomes)...))
				}
				s.wantContacts(t, records...)
			}
		},
	},
	{
		"none stored",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			taken := newContact(a)
			s.create(t, taken)
			s.wantStoredOnce(t, newContact(a), onceAs("key"))
			before := s.allContacts(t, a)
			impostor := named(a, "Impostor", func(c *contacts.Contact) { c.ID = taken.Contact.ID })
			otherInput := onceAs("key")
			otherInput.Input[0]++
			for name, bad := range map[string]struct {
				record *contacts.ContactRecord
				once   *contacts.Idempotency
				want   error
			}{
				"unknown account":        {newContact(newID()), nil, contacts.ErrNotFound},
				"unknown team":           {newFullContact(a, 2), nil, contacts.ErrNotFound},
				"id that is taken":       {impostor, nil, contacts.ErrExists},
				"other input of its key": {newContact(a), otherInput, contacts.ErrIdempotencyConflict},
			} {
				for place := range 3 {
					batch := contacts.ContactBatch{
						Records:       []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(b, 2), newContact(a)},
						Idempotencies: make([]*contacts.Idempotency, 3),
						Now:           noon,
						AllOrNothing:  true,
					}
					want := slices.Repeat([]error{contacts.ErrBatchFailed}, 3)
					batch.Records[place], batch.Idempotencies[place], want[place] = bad.record, bad.once, bad.want
					wantErrs(t, s.CreateContacts(t.Context(), batch), want...)
					wantSame(t, "ListContacts after a batch that failed of an "+name, before, s.allContacts(t, a))
					wantSame(t, "ListContacts in the other account", 0, len(s.allContacts(t, b)))

					// Nothing of the good records is in the way of another attempt.
					batch.Records = slices.Delete(batch.Records, place, place+1)
					batch.Idempotencies = nil
					if outcomes := s.CreateContacts(t.Context(), batch); outcomes != nil {
						t.Errorf("CreateContacts without the %s: %v", name, errors.Join(errorsOf(outcomes)...))
					}
					s.wantContacts(t, batch.Records...)
					for _, r := range batch.Records {
						s.update(t, changeOf(r, deleted(noon)))
						s.purge(t, contacts.PurgeQuery{AccountID: r.Contact.AccountID, ContactID: r.Contact.ID, Limit: 1})
					}
				}
			}
			s.wantContacts(t, taken)
		},
	},
	{
		"one record",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			r.Contact.TeamID = 9
			batch := onceBatch(r, onceAs("key"))
			batch.AllOrNothing = true
			wantErrs(t, s.CreateContacts(t.Context(), batch), contacts.ErrNotFound)
			s.wantNoContacts(t, r)
			r.Contact.TeamID = 0
			wantSame(t, "CreateContacts", []contacts.ContactOutcome(nil), s.CreateContacts(t.Context(), batch))
			wantSame(t, "CreateContacts again", []contacts.ContactOutcome{{Result: onceAs("key").Result}}, s.CreateContacts(t.Context(), batch))
			s.wantContacts(t, r)
		},
	},
	{
		"several failures",
		"each that did not fail itself fails with ErrBatchFailed.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			first, twice := newContact(a), newContact(a)
			twice.Contact.ID = first.Contact.ID
			batch := contacts.ContactBatch{
				Records:      []*contacts.ContactRecord{first, newContact(newID()), twice, newContact(a), newFullContact(a, 9)},
				AllOrNothing: true,
			}
			wantErrs(t, s.CreateContacts(t.Context(), batch),
				contacts.ErrBatchFailed, contacts.ErrNotFound, contacts.ErrExists, contacts.ErrBatchFailed, contacts.ErrNotFound)
			wantSame(t, "number of contacts", 0, len(s.allContacts(t, a)))
		},
	},
	{
		"answered again",
		replayedRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			old, fresh, twice, plain := newContact(a), newContact(a), newContact(a), newContact(a)
			s.wantStoredOnce(t, old, onceAs("old"))
			batch := contacts.ContactBatch{
				Records:       []*contacts.ContactRecord{newContact(a), fresh, twice, plain},
				Idempotencies: []*contacts.Idempotency{onceAs("old"), onceAs("fresh"), onceAs("fresh"), nil},
				Now:           noon,
				AllOrNothing:  true,
			}
			want := []contacts.ContactOutcome{{Result: onceAs("old").Result}, {}, {Result: onceAs("fresh").Result}, {}}
			wantSame(t, "CreateContacts", want, s.CreateContacts(t.Context(), batch))
			s.wantContacts(t, old, fresh, plain)
			s.wantNoContacts(t, batch.Records[0], twice)
			// And the whole batch once more.
			batch.Records, batch.Idempotencies = batch.Records[:3], batch.Idempotencies[:3]
			want[1].Result = onceAs("fresh").Result
			wantSame(t, "CreateContacts again", want[:3], s.CreateContacts(t.Context(), batch))
		},
	},
	{
		"answered again in vain",
		"each that did not fail itself fails with ErrBatchFailed.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			old := newContact(a)
			s.wantStoredOnce(t, old, onceAs("old"))
			batch := contacts.ContactBatch{
				Records:       []*contacts.ContactRecord{newContact(a), newContact(a), newContact(a), newFullContact(a, 9)},
				Idempotencies: []*contacts.Idempotency{onceAs("old"), onceAs("fresh"), onceAs("fresh"), nil},
				Now:           noon,
				AllOrNothing:  true,
			}
			wantErrs(t, s.CreateContacts(t.Context(), batch), contacts.ErrBatchFailed, contacts.ErrBatchFailed, contacts.ErrBatchFailed, contacts.ErrNotFound)
			wantSame(t, "ListContacts", []*contacts.ContactRecord{old}, s.allContacts(t, a))
			s.wantReplay(t, newContact(a), onceAs("old"), onceAs("old").Result)
		},
	},
	{
		"idempotencies taken back",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			good := newContact(a)
			batch := contacts.ContactBatch{
				Records:       []*contacts.ContactRecord{good, newFullContact(a, 9)},
				Idempotencies: []*contacts.Idempotency{onceAs("key"), onceAs("other key")},
				Now:           noon,
				AllOrNothing:  true,
			}
			for range 2 { // the first attempt is not remembered
				wantErrs(t, s.CreateContacts(t.Context(), batch), contacts.ErrBatchFailed, contacts.ErrNotFound)
			}
			for _, name := range []string{"key", "other key"} {
				other := onceAs(name)
				other.Input[0]++
				s.wantStoredOnce(t, newContact(a), other)
			}
		},
	},
	{
		"large",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			batch := contacts.ContactBatch{AllOrNothing: true, Now: noon}
			for i := range 3000 {
				batch.Records = append(batch.Records, named(a, fmt.Sprint("Ada ", i), func(c *contacts.Contact) { c.TeamID, c.Tags = 1, []string{"vip"} }))
				batch.Idempotencies = append(batch.Idempotencies, onceAs(fmt.Sprint("key ", i)))
			}
			last := batch.Records[2999]
			last.Contact.TeamID = 2
			want := slices.Repeat([]error{contacts.ErrBatchFailed}, 3000)
			want[2999] = contacts.ErrNotFound
			wantErrs(t, s.CreateContacts(t.Context(), batch), want...)
			q := contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: "vip", Limit: 5000, Count: true}
			wantSame(t, "ListContacts after the batch failed", contacts.ContactList{}, s.listContacts(t, q))

			last.Contact.TeamID = 1
			if outcomes := s.CreateContacts(t.Context(), batch); outcomes != nil {
				t.Fatalf("CreateContacts: %v", errors.Join(errorsOf(outcomes)...))
			}
			slices.Reverse(batch.Records) // newest first
			wantSame(t, "ListContacts", contacts.ContactList{Records: batch.Records, Count: 3000}, s.listContacts(t, q))
		},
	},
	{
		"seen whole",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			const size = 5
			a := s.tenant(t)
			batches := make([]contacts.ContactBatch, many)
			for i := range batches {
				for range size {
					r := named(a, "", func(c *contacts.Contact) { c.Status = fmt.Sprint("of batch ", i) })
					batches[i].Records = append(batches[i].Records, r)
				}
				batches[i].AllOrNothing = true
				if i%4 == 0 { // some fail at their end
					batches[i].Records[size-1].Contact.TeamID = 9
				}
			}
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for last := false; !last && !t.Failed(); {
						last = done.Load() // one more round, when all must be there
						list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, Limit: many * size})
						wantErr(t, "ListContacts", err, nil)
						seen := map[string]int{}
						for _, r := range list.Records {
							seen[r.Contact.Status]++
						}
						for status, n := range seen {
							if n != size {
								t.Errorf("ListContacts: got %d contacts %s, which has %d", n, status, size)
							}
						}
						if want := many - many/4; last && len(seen) != want {
							t.Errorf("ListContacts: got the contacts of %d batches, want %d", len(seen), want)
						}
					}
				})
			}
			together(many, func(i int) {
				outcomes := s.CreateContacts(t.Context(), batches[i])
				if failed := outcomes != nil; failed != (i%4 == 0) {
					t.Errorf("CreateContacts: got %v", errors.Join(errorsOf(outcomes)...))
				}
			})
			done.Store(true)
			readers.Wait()
		},
	},
	{
		"one contact in many batches",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			shared := newContact(a)
			batches := make([]contacts.ContactBatch, many)
			for i := range batches {
				batches[i] = contacts.ContactBatch{Records: []*contacts.ContactRecord{newContact(a), shared, newContact(a)}, AllOrNothing: true}
			}
			outcomes := make([][]contacts.ContactOutcome, many)
			winner := winnerOf(t, contacts.ErrExists, func(i int) error {
				outcomes[i] = s.CreateContacts(t.Context(), batches[i])
				return errors.Join(errorsOf(outcomes[i])...)
			})
			for i := range outcomes {
				if i != winner {
					wantErrs(t, outcomes[i], contacts.ErrBatchFailed, contacts.ErrExists, contacts.ErrBatchFailed)
				}
			}
			want := slices.Clone(batches[winner].Records)
			slices.SortFunc(want, newestFirst)
			wantSame(t, "ListContacts", want, s.allContacts(t, a))
		},
	},
	{
		"one key in batches that fail",
		allOrNothingRule,
		func(t *testing.T, s *store) {
			const keys = 8
			for k := range keys {
				a := s.tenant(t)
				fails := func(i int) bool { return (i+k)%2 == 0 } // half of the callers, and is never seen
				records, outcomes := make([]*contacts.ContactRecord, many), make([][]contacts.ContactOutcome, many)
				together(many, func(i int) {
					records[i] = newContact(a)
					batch := onceBatch(records[i], onceAs("key"))
					batch.Idempotencies[0].Result = records[i].Contact.ID.String()
					if fails(i) {
						batch.Records, batch.Idempotencies = append(batch.Records, newFullContact(a, 9)), append(batch.Idempotencies, nil)
						batch.AllOrNothing = true
					}
					outcomes[i] = s.CreateContacts(t.Context(), batch)
				})
				var winners []*contacts.ContactRecord
				for i, got := range outcomes {
					switch {
					case fails(i):
						wantErrs(t, got, contacts.ErrBatchFailed, contacts.ErrNotFound)
					case got == nil:
						winners = append(winners, records[i])
					}
				}
				wantSame(t, "ListContacts", winners, s.allContacts(t, a))
				if len(winners) != 1 {
					t.Fatalf("%d of many that have one key stored their contacts, want 1", len(winners))
				}
				want := []contacts.ContactOutcome{{Result: winners[0].Contact.ID.String()}}
				for i, got := range outcomes {
					if !fails(i) && got != nil {
						wantSame(t, "CreateContacts of those that did not store theirs", want, got)
					}
				}
			}
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			good := contacts.ContactBatch{Records: []*contacts.ContactRecord{newContact(a), newContact(a)}, AllOrNothing: true}
			bad := contacts.ContactBatch{Records: []*contacts.ContactRecord{newContact(a), newFullContact(a, 9)}, AllOrNothing: true}
			bad.Idempotencies, bad.Now = []*contacts.Idempotency{onceAs("key"), nil}, noon
			wantErrs(t, s.CreateContacts(t.Context(), bad), contacts.ErrBatchFailed, contacts.ErrNotFound)
			wantSame(t, "CreateContacts", []contacts.ContactOutcome(nil), s.CreateContacts(t.Context(), good))

			again := s.reopen(t)
			again.wantContacts(t, good.Records...)
			again.wantNoContacts(t, bad.Records...)
			other := onceAs("key")
			other.Input[0]++
			again.wantStoredOnce(t, newContact(a), other)
		},
	},
}
