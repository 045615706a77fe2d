package storetest

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	purgeRule    = "PurgeContacts removes contacts for good, with all that is kept of them: of those that match the query, at most Limit, and only such as were deleted."
	purgedRule   = "It returns how many."
	outlivesRule = "An idempotency outlives the contact that it was stored with."
)

var purgeCases = []testCase{
	{
		"only deleted ones",
		purgeRule + " " + purgedRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			kept, gone, restored := named(a, "kept", nil), named(a, "gone", deleted(noon)), named(a, "restored", deleted(noon))
			later := newContact(a)
			s.create(t, kept, gone, restored, later)
			deletion, restoration := changeOf(later, deleted(noon)), changeOf(restored, deleted(time.Time{}))
			s.update(t, deletion, restoration)
			wantSame(t, "PurgeContacts", 2, s.purge(t, contacts.PurgeQuery{AccountID: a, Limit: math.MaxInt}))
			s.wantContacts(t, kept, restoration.Record)
			s.wantNoContacts(t, gone, later)
			wantSame(t, "PurgeContacts when nothing is left", 0, s.purge(t, contacts.PurgeQuery{AccountID: a, Limit: 100}))
			wantSame(t, "PurgeContacts of one that was not deleted", 0, s.purge(t, contacts.PurgeQuery{AccountID: a, ContactID: kept.Contact.ID, Limit: 1}))
			s.wantContacts(t, kept, restoration.Record)
		},
	},
	{
		"each filter",
		purgeRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			one := named(a, "", deleted(noon))
			same := named(b, "", func(c *contacts.Contact) { c.ID, c.DeletedAt = one.Contact.ID, noon })
			all := []*contacts.ContactRecord{
				one, same,
				named(a, "just before", deleted(noon.Add(-time.Microsecond))),
				named(a, "long before", deleted(time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC))),
				named(a, "after", deleted(noon.Add(time.Microsecond))),
				named(a, "not", nil),
				named(b, "before", deleted(noon.AddDate(-1, 0, 0))),
				named(b, "at the end of time", deleted(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))),
				named(b, "not", nil),
			}
			s.create(t, all...)
			for _, account := range []uuid.UUID{newID(), a, b, {}} {
				for _, id := range []uuid.UUID{newID(), one.Contact.ID, {}} {
					for _, before := range []time.Time{time.Unix(-1, 0).UTC(), noon, noon.Add(time.Microsecond), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), {}} {
						q := contacts.PurgeQuery{AccountID: account, ContactID: id, DeletedBefore: before, Limit: 100}
						purged := filter(all, q.Matches)
						wantSame(t, fmt.Sprintf("PurgeContacts(%+v)", q), len(purged), s.purge(t, q))
						s.wantNoContacts(t, purged...)
						s.wantContacts(t, filter(all, func(r *contacts.ContactRecord) bool { return !q.Matches(r) })...)
						if len(purged) > 0 {
							s.create(t, purged...) // for the next query
						}
					}
				}
			}
		},
	},
	{
		"at most the limit",
		purgeRule + " " + purgedRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			var records []*contacts.ContactRecord
			for i := range 20 {
				records = append(records, named([]uuid.UUID{a, b}[i%2], "", deleted(noon)))
			}
			s.create(t, records...)
			left := len(records)
			for _, limit := range []int{1, 2, 14, 2, 5, 1} {
				want := min(limit, left)
				wantSame(t, fmt.Sprintf("PurgeContacts of %d of %d", limit, left), want, s.purge(t, contacts.PurgeQuery{Limit: limit}))
				left -= want
				found := len(s.allContacts(t, a)) + len(s.allContacts(t, b))
				wantSame(t, "contacts that are left", left, found)
			}
		},
	},
	{
		"thousands",
		purgeRule + " " + purgedRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for i := range 3000 {
				records = append(records, named(a, "", func(c *contacts.Contact) {
					c.Tags, c.PhoneNumbers = []string{"vip"}, []contacts.PhoneNumber{{ID: newID(), PhoneNumber: fmt.Sprint("+1555", 1_000_000+i)}}
					if i%1000 != 0 {
						c.DeletedAt = noon
					}
				}))
			}
			s.create(t, records...)
			wantSame(t, "PurgeContacts", 2500, s.purge(t, contacts.PurgeQuery{Limit: 2500}))
			wantSame(t, "PurgeContacts of the rest", 497, s.purge(t, contacts.PurgeQuery{AccountID: a, Limit: 2500}))
			wantSame(t, "ListContacts", 3, len(s.allContacts(t, a)))
		},
	},
	{
		"gone",
		purgeRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			r, sibling := newFullContact(a, 1), newFullContact(a, 1)
			s.create(t, r, sibling)
			wantSame(t, "PurgeContacts", 1, s.purge(t, contacts.PurgeQuery{AccountID: a, ContactID: r.Contact.ID, Limit: 9}))
			s.wantNoContacts(t, r)
			for _, q := range filters(r) {
				q.AccountID, q.AllTeams, q.Deleted, q.Limit, q.Count = a, true, true, 9, true
				s.wantListed(t, q, sibling)
			}
			wantChanged(t, s.UpdateContacts(t.Context(), []contacts.ContactChange{changeOf(r, nil)}), contacts.ErrNotFound)
			wantSame(t, "PurgeContacts again", 0, s.purge(t, contacts.PurgeQuery{AccountID: a, ContactID: r.Contact.ID, Limit: 9}))
			s.wantContacts(t, sibling)
			// Its ids are free, and nothing of it comes back with them.
			again := newContact(a)
			again.Contact.ID = r.Contact.ID
			again.Contact.PhoneNumbers = []contacts.PhoneNumber{{ID: r.Contact.PhoneNumbers[0].ID, PhoneNumber: "+15557654321"}}
			s.create(t, again)
			s.wantContacts(t, again, sibling)
		},
	},
	{
		"nothing comes back",
		purgeRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t)
			for range 3 {
				// The newest contacts are purged, and others come in their place.
				doomed := []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(a, 1)}
				s.create(t, doomed...)
				wantSame(t, "PurgeContacts", 2, s.purge(t, contacts.PurgeQuery{Limit: 9}))
				fresh := []*contacts.ContactRecord{newContact(a), newContact(a), newContact(b)}
				s.create(t, fresh...)
				s.wantContacts(t, fresh...)
				for _, q := range filters(doomed[0]) {
					for _, account := range []uuid.UUID{a, b} {
						q.AccountID, q.AllTeams, q.Limit, q.Count = account, true, 9, true
						s.wantListed(t, q, fresh...)
					}
				}
				for _, r := range fresh {
					s.update(t, changeOf(r, deleted(noon)))
				}
				wantSame(t, "PurgeContacts", 3, s.purge(t, contacts.PurgeQuery{Limit: 9}))
			}
		},
	},
	{
		"idempotency outlives",
		outlivesRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.wantStoredOnce(t, r, onceAs("key"))
			s.purge(t, contacts.PurgeQuery{AccountID: a, Limit: 9})
			s.wantNoContacts(t, r)
			other := onceAs("key")
			other.Input[0]++
			for range 2 {
				s.wantReplay(t, newContact(a), onceAs("key"), onceAs("key").Result)
				wantErr(t, "CreateContacts of another input", s.createOnce(t, newContact(a), other).Err, contacts.ErrIdempotencyConflict)
				s.create(t, newContact(a)) // nor does another contact take it over
			}
			wantSame(t, "number of contacts", 2, len(s.allContacts(t, a)))
		},
	},
	{
		"by many at once",
		purgedRule,
		func(t *testing.T, s *store) { purgeTogether(t, s) },
	},
	{
		"by two processes",
		purgedRule,
		func(t *testing.T, s *store) { purgeTogether(t, s, s.second(t)) },
	},
	{
		"while contacts are restored",
		purgeRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			records := make([]*contacts.ContactRecord, many)
			for i := range records {
				records[i] = newFullContact(a, 0)
			}
			s.create(t, records...)
			changes, errs := make([]contacts.ContactChange, many), make([][]error, many)
			var purged atomic.Int64
			together(2*many, func(i int) {
				if i >= many {
					n, err := s.PurgeContacts(t.Context(), contacts.PurgeQuery{AccountID: a, Limit: 1})
					wantErr(t, "PurgeContacts", err, nil)
					purged.Add(int64(n))
					return
				}
				changes[i] = changeOf(records[i], deleted(time.Time{}))
				errs[i] = s.UpdateContacts(t.Context(), changes[i:i+1])
			})
			// Either it was restored, and stays, or it was gone before.
			var restored []*contacts.ContactRecord
			for i := range errs {
				if errs[i] == nil {
					restored = append(restored, changes[i].Record)
					continue
				}
				wantChanged(t, errs[i], contacts.ErrNotFound)
			}
			left := filter(records, func(r *contacts.ContactRecord) bool {
				_, err := s.FindContact(t.Context(), a, r.Contact.ID)
				return err == nil
			})
			wantSame(t, "number of contacts that are left", len(restored), len(left))
			wantSame(t, "number of contacts that were purged", many-len(restored), int(purged.Load()))
			s.wantContacts(t, restored...)
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			var records []*contacts.ContactRecord
			for i := range 12 {
				records = append(records, named([]uuid.UUID{a, b}[i%2], fmt.Sprint("Ada ", i), deleted(noon)))
			}
			slices.Reverse(records) // not in the order of their ids
			s.create(t, records...)
			s.allContacts(t, a) // a look is no reason to purge others
			wantSame(t, "PurgeContacts", 7, s.purge(t, contacts.PurgeQuery{Limit: 7}))
			left := [][]*contacts.ContactRecord{s.allContacts(t, a), s.allContacts(t, b)}

			again := s.reopen(t)
			wantSame(t, "contacts that are left", left, [][]*contacts.ContactRecord{again.allContacts(t, a), again.allContacts(t, b)})
			wantSame(t, "PurgeContacts of the rest", 5, again.purge(t, contacts.PurgeQuery{Limit: 100}))
		},
	},
	{
		"seen by a second process",
		"Every later read sees it, from any process on the same store.",
		func(t *testing.T, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.create(t, r)
			other.wantContacts(t, r) // it may remember what it has found
			s.purge(t, contacts.PurgeQuery{AccountID: a, Limit: 9})
			other.wantNoContacts(t, r)
			wantSame(t, "ListContacts", 0, len(other.allContacts(t, a)))
			wantChanged(t, other.UpdateContacts(t.Context(), []contacts.ContactChange{changeOf(r, nil)}), contacts.ErrNotFound)
			other.create(t, r)
			s.wantContacts(t, r)
		},
	},
}

// filter returns the records that are kept.
func filter(records []*contacts.ContactRecord, keep func(*contacts.ContactRecord) bool) []*contacts.ContactRecord {
	var kept []*contacts.ContactRecord
	for _, r := range records {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// purgeTogether has many callers, spread over the stores, purge at the same time,
// and checks that each contact was counted once.
func purgeTogether(t *testing.T, stores ...*store) {
	t.Helper()
	s := stores[0]
	a, b := s.tenant(t), s.tenant(t)
	var records []*contacts.ContactRecord
	for i := range 5 * many {
		records = append(records, named([]uuid.UUID{a, b}[i%2], "", deleted(noon)))
	}
	kept := newContact(a)
	s.create(t, records...)
	s.create(t, kept)
	var purged atomic.Int64
	together(many, func(i int) {
		for n := 1; n > 0; {
			var err error
			n, err = stores[i%len(stores)].PurgeContacts(t.Context(), contacts.PurgeQuery{Limit: 1 + i%4})
			wantErr(t, "PurgeContacts at the same time", err, nil)
			if n > 1+i%4 {
				t.Errorf("PurgeContacts: purged %d contacts with a limit of %d", n, 1+i%4)
			}
			purged.Add(int64(n))
		}
	})
	wantSame(t, "number of contacts that all calls purged", int64(len(records)), purged.Load())
	s.wantNoContacts(t, records...)
	s.wantContacts(t, kept)
}
