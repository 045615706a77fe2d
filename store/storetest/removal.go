package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	removalRule = "A change without a Record removes the contact with all that is kept of it."
)

var removalCases = []testCase{
	{
		"live and deleted ones",
		removalRule + " Deleted contacts can be changed and removed too.",
		func(t *test, s *store) {
			a := s.tenant(t)
			kept, live, gone, restored, later := named(a, "kept", nil), named(a, "live", nil), named(a, "gone", deleted(noon)), named(a, "restored", deleted(noon)), newContact(a)
			s.create(t, kept, live, gone, restored, later)
			deletion, restoration := changeOf(later, deleted(noon)), changeOf(restored, deleted(time.Time{}))
			s.update(t, deletion, restoration)
			for _, old := range []*contacts.ContactRecord{later, restored} {
				s.wantRefused(t, remove(old), contacts.ErrConflict)
			}
			s.remove(t, live, gone, deletion.Record)
			s.wantContacts(t, kept, restoration.Record)
			s.wantNoContacts(t, live, gone, later)
			for _, r := range []*contacts.ContactRecord{live, gone, deletion.Record} {
				s.wantRefused(t, remove(r), contacts.ErrNotFound)
			}
			s.remove(t, restoration.Record)
			wantSame(t, "ListContacts", []*contacts.ContactRecord{kept}, s.allContacts(t, a))
		},
	},
	{
		"another version",
		conflictRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			r.Contact.Version = 1 << 32
			s.create(t, r)
			for _, version := range []int64{1, -1, 1<<32 - 1, 1<<32 + 1, 1 << 33} {
				s.wantRefused(t, mutationOf(a, contacts.ContactChange{ID: r.Contact.ID, Version: version}), contacts.ErrConflict)
			}
			s.wantContacts(t, r)
			s.remove(t, r)
		},
	},
	{
		"thousands",
		removalRule,
		func(t *test, s *store) {
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
			for part := range slices.Chunk(records, contacts.MaxMutations) {
				s.create(t, part...)
			}
			// As a host cleans up: page by page, until nothing is left.
			q := contacts.ContactQuery{AccountID: a, AllTeams: true, Deleted: true, DeletedBefore: noon.Add(time.Microsecond), Limit: contacts.MaxMutations}
			removed := 0
			for range 3 {
				page := s.listContacts(t, q).Records
				s.remove(t, page...)
				removed += len(page)
			}
			wantSame(t, "number of contacts that were removed", 2997, removed)
			wantSame(t, "ListContacts of deleted ones", contacts.ContactList{}, s.listContacts(t, q))
			wantSame(t, "ListContacts", 3, len(s.allContacts(t, a)))
		},
	},
	{
		"gone",
		removalRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			r, sibling := newFullContact(a, 1), newFullContact(a, 1)
			s.create(t, r, sibling)
			s.remove(t, r)
			s.wantNoContacts(t, r)
			for _, q := range filters(r) {
				q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 9, true
				s.wantListed(t, q, sibling)
			}
			s.wantRefused(t, update(changeOf(r, nil)), contacts.ErrNotFound)
			s.wantRefused(t, remove(r), contacts.ErrNotFound)
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
		removalRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t)
			for range 3 {
				// The newest contacts are removed, and others come in their place.
				doomed := []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(a, 1)}
				s.create(t, doomed...)
				s.remove(t, doomed...)
				fresh := []*contacts.ContactRecord{newContact(a), newContact(a), newContact(b)}
				s.create(t, fresh...)
				s.wantContacts(t, fresh...)
				for _, q := range filters(doomed[0]) {
					for _, account := range []uuid.UUID{a, b} {
						q.AccountID, q.AllTeams, q.Limit, q.Count = account, true, 9, true
						s.wantListed(t, q, fresh...)
					}
				}
				s.remove(t, fresh...)
			}
		},
	},
	{
		"by many at once",
		oneVersionRule,
		func(t *test, s *store) { removeTogether(t, s) },
	},
	{
		"by two processes",
		oneVersionRule,
		func(t *test, s *store) { removeTogether(t, s, s.second(t)) },
	},
	{
		"while contacts are restored",
		oneVersionRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			records := make([]*contacts.ContactRecord, many)
			for i := range records {
				records[i] = newFullContact(a, 0)
				records[i].Contact.DeletedAt = noon
			}
			s.create(t, records...)
			changes, errs := make([]contacts.ContactChange, many), make([]error, 2*many)
			for i, r := range records {
				changes[i] = changeOf(r, deleted(time.Time{}))
			}
			together(2*many, func(i int) {
				if i < many {
					errs[i] = s.one(t.Context(), update(changes[i])).Err
				} else {
					errs[i] = s.one(t.Context(), remove(records[i-many])).Err
				}
			})
			for i := range many { // either it was restored, and stays, or it was gone before
				if errs[i] == nil {
					wantErr(t, "the removal of a contact that was restored", errs[many+i], contacts.ErrConflict)
					s.wantContacts(t, changes[i].Record)
					continue
				}
				wantErr(t, "the restoration of a contact that was removed", errs[i], contacts.ErrNotFound)
				wantErr(t, "the removal of a contact that was not restored", errs[many+i], nil)
				s.wantNoContacts(t, records[i])
			}
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			var records []*contacts.ContactRecord
			for i := range 12 {
				records = append(records, named([]uuid.UUID{a, b}[i%2], fmt.Sprint("Ada ", i), deleted(noon)))
			}
			slices.Reverse(records) // not in the order of their ids
			s.create(t, records...)
			s.allContacts(t, a) // a look is no reason to remove others
			s.remove(t, records[2:9]...)
			left := [][]*contacts.ContactRecord{s.allContacts(t, a), s.allContacts(t, b)}
			wantSame(t, "number of contacts that are left", 5, len(left[0])+len(left[1]))

			again := s.reopen(t)
			wantSame(t, "contacts that are left", left, [][]*contacts.ContactRecord{again.allContacts(t, a), again.allContacts(t, b)})
			again.wantNoContacts(t, records[2:9]...)
			again.wantRefused(t, remove(records[2]), contacts.ErrNotFound)
			again.remove(t, append(left[0], left[1]...)...)
		},
	},
	{
		"seen by a second process",
		laterReadRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.create(t, r)
			other.wantContacts(t, r) // it may remember what it has found
			s.remove(t, r)
			other.wantNoContacts(t, r)
			wantSame(t, "ListContacts", 0, len(other.allContacts(t, a)))
			other.wantRefused(t, update(changeOf(r, nil)), contacts.ErrNotFound)
			other.create(t, r)
			s.wantContacts(t, r)
		},
	},
	{
		"the next page after what has gone",
		goesOnRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			slices.SortFunc(records, newestFirst)
			records = slices.DeleteFunc(records, func(r *contacts.ContactRecord) bool { return !r.Contact.DeletedAt.IsZero() })
			// The last of the page is deleted, and then it is removed.
			q := contacts.ContactQuery{AccountID: a, AllTeams: true, After: records[1].Contact.ID, Limit: 100}
			want := records[2:]
			wantSame(t, "the next page", want, s.listContacts(t, q).Records)
			deletion := changeOf(records[1], deleted(noon))
			s.update(t, deletion)
			wantSame(t, "the next page when the last of this one was deleted", want, s.listContacts(t, q).Records)
			s.remove(t, deletion.Record)
			wantSame(t, "the next page when the last of this one was removed", want, s.listContacts(t, q).Records)
			newest := newContact(a)
			newest.Contact.ID = idAt(0xff)
			s.create(t, newest)
			wantSame(t, "the next page when there is a new contact", want, s.listContacts(t, q).Records)
		},
	},
}

// removeTogether has many callers, spread over the stores, remove the same
// contacts at the same time, and checks that each was removed once.
func removeTogether(t *test, stores ...*store) {
	t.Helper()
	s := stores[0]
	a, b := s.tenant(t), s.tenant(t)
	var records []*contacts.ContactRecord
	for i := range 2 * many {
		records = append(records, named([]uuid.UUID{a, b}[i%2], "", deleted(noon)))
	}
	kept := newContact(a)
	s.create(t, append(records, kept)...)
	removed := make([][]bool, many)
	together(many, func(i int) {
		removed[i] = make([]bool, len(records))
		for at := range records { // each in another order
			n := (at*7 + i*5) % len(records)
			switch err := stores[i%len(stores)].one(t.Context(), remove(records[n])).Err; {
			case err == nil:
				removed[i][n] = true
			case !errors.Is(err, contacts.ErrNotFound):
				t.Errorf("Apply at the same time: got error %v, want %v", err, contacts.ErrNotFound)
			}
		}
	})
	for n := range records {
		times := 0
		for i := range removed {
			if removed[i][n] {
				times++
			}
		}
		wantSame(t, "number of callers that removed a contact", 1, times)
	}
	s.wantNoContacts(t, records...)
	s.wantContacts(t, kept)
}
