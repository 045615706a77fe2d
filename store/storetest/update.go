package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	updateRule     = "UpdateContacts replaces contacts with their changed records, each on its own, if the stored one has the version that the change expects."
	oneVersionRule = "Of any number of changes that expect one version, one is stored."
	conflictRule   = "ErrConflict: the stored contact has another version."
)

var updateCases = []testCase{
	{
		"replaced whole",
		updateRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1, 2)
			full, minimal := newFullContact(a, 1), newContact(a)
			s.create(t, full, minimal)
			// To everything, to nothing, and back.
			filled := newFullContact(a, 2)
			filled.Contact.ID, filled.Contact.Version = minimal.Contact.ID, 2
			emptied := &contacts.ContactRecord{Contact: contacts.Contact{ID: full.Contact.ID, AccountID: a, Version: full.Contact.Version + 1}}
			s.update(t,
				contacts.ContactChange{Record: filled, Version: minimal.Contact.Version},
				contacts.ContactChange{Record: emptied, Version: full.Contact.Version},
			)
			s.wantContacts(t, filled, emptied)
			wantSame(t, "ListContacts", []*contacts.ContactRecord{emptied, filled}, s.allContacts(t, a))
			again := changeOf(full, nil)
			again.Record.Contact.Version, again.Version = 1<<60, emptied.Contact.Version
			s.update(t, again)
			s.wantContacts(t, again.Record)
		},
	},
	{
		"empty slices",
		"empty slices as nil.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.create(t, r)
			c := changeOf(r, func(c *contacts.Contact) { c.Tags, c.PhoneNumbers = []string{}, []contacts.PhoneNumber{} })
			s.update(t, c)
			c.Record.Contact.Tags, c.Record.Contact.PhoneNumbers = nil, nil
			s.wantContacts(t, c.Record)
		},
	},
	{
		"lists replaced",
		updateRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.create(t, r)
			tags, phones := r.Contact.Tags, r.Contact.PhoneNumbers
			for _, change := range []func(*contacts.Contact){
				func(c *contacts.Contact) { c.Tags = []string{tags[2], tags[0]} },
				func(c *contacts.Contact) { c.Tags = []string{"new", tags[0], "newer", tags[2], "newest"} },
				func(c *contacts.Contact) { c.PhoneNumbers = []contacts.PhoneNumber{phones[1], phones[0]} },
				func(c *contacts.Contact) {
					c.PhoneNumbers = []contacts.PhoneNumber{{ID: phones[0].ID, PhoneNumber: phones[1].PhoneNumber}, {ID: phones[1].ID, PhoneNumber: phones[0].PhoneNumber}}
				},
				func(c *contacts.Contact) {
					c.PhoneNumbers = append([]contacts.PhoneNumber{{ID: newID(), PhoneNumber: "+15550000001"}}, phones[1])
				},
				func(c *contacts.Contact) { c.PhoneNumbers, c.Tags = nil, nil },
				func(c *contacts.Contact) { c.PhoneNumbers, c.Tags = phones, tags },
			} {
				c := changeOf(r, change)
				s.update(t, c)
				s.wantContacts(t, c.Record)
				r = c.Record
			}
		},
	},
	{
		"others untouched",
		updateRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			r, sibling, foreign := newFullContact(a, 1), newFullContact(a, 1), newFullContact(b, 1)
			s.create(t, r, sibling, foreign)
			c := changeOf(r, func(c *contacts.Contact) {
				*c = contacts.Contact{ID: c.ID, AccountID: a, FirstName: "Grace", Version: c.Version}
			})
			s.update(t, c)
			s.wantContacts(t, c.Record, sibling, foreign)
		},
	},
	{
		"each on its own",
		updateRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			first, middle, last := newFullContact(a, 1), newFullContact(b, 2), newFullContact(a, 0)
			stale, homeless := newFullContact(a, 0), newFullContact(a, 1)
			s.create(t, first, middle, last, stale, homeless)
			good := []contacts.ContactChange{changeOf(first, deleted(time.Time{})), changeOf(middle, deleted(time.Time{})), changeOf(last, nil)}
			old := changeOf(stale, nil)
			old.Version--
			errs := s.UpdateContacts(t.Context(), []contacts.ContactChange{
				good[0], changeOf(newContact(a), nil), old, good[1],
				changeOf(homeless, func(c *contacts.Contact) { c.TeamID = 2 }), good[2],
			})
			wantChanged(t, errs, nil, contacts.ErrNotFound, contacts.ErrConflict, nil, contacts.ErrNotFound, nil)
			s.wantContacts(t, good[0].Record, good[1].Record, good[2].Record, stale, homeless)
		},
	},
	{
		"one error for each",
		"It returns nil if all were stored, else one error for each change, in their order, nil for those stored.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			records := []*contacts.ContactRecord{newContact(a), newContact(a), newContact(a)}
			s.create(t, records...)
			for bad := range 4 { // the place of the bad one; the last time there is none
				var changes []contacts.ContactChange
				for i := range records {
					changes = append(changes, changeOf(records[i], nil))
				}
				want := make([]error, 3)
				if bad == 3 {
					want = nil
				} else {
					changes[bad].Version = 99
					want[bad] = contacts.ErrConflict
				}
				wantChanged(t, s.UpdateContacts(t.Context(), changes), want...)
				for i := range records {
					if i != bad {
						records[i] = changes[i].Record
					}
				}
			}
			s.wantContacts(t, records...)
			for _, none := range [][]contacts.ContactChange{nil, {}} {
				if errs := s.UpdateContacts(t.Context(), none); errs != nil {
					t.Errorf("UpdateContacts of nothing: got %v, want nil", errs)
				}
			}
		},
	},
	{
		"many at once",
		updateRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			records := make([]*contacts.ContactRecord, 1000)
			for i := range records {
				records[i] = newContact(a)
			}
			s.create(t, records...)
			changes := make([]contacts.ContactChange, len(records))
			for i, r := range records {
				changes[i] = changeOf(r, func(c *contacts.Contact) { c.FirstName, c.TeamID, c.Tags = fmt.Sprint("Ada ", i), 1, []string{"vip"} })
				records[i] = changes[i].Record
			}
			s.update(t, changes...)
			s.wantContacts(t, records...)
			s.wantListed(t, contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: "vip", Limit: 2000, Count: true}, records...)
		},
	},
	{
		"deleted ones too",
		"A contact that was deleted can be changed too.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			for _, change := range []func(*contacts.Contact){
				deleted(noon),
				func(c *contacts.Contact) { c.FirstName = "Jane" }, // stays deleted
				deleted(noon.Add(time.Hour)),
				deleted(time.Time{}),
			} {
				c := changeOf(r, change)
				s.update(t, c)
				s.wantContacts(t, c.Record)
				r = c.Record
			}
		},
	},
	{
		"conflict",
		conflictRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			r.Contact.Version = 1 << 32
			s.create(t, r)
			for _, version := range []int64{0, 1, -1, 1<<32 - 1, 1<<32 + 1, 1 << 33} {
				c := changeOf(r, func(c *contacts.Contact) { c.Tags = []string{"changed"} })
				c.Version = version
				wantChanged(t, s.UpdateContacts(t.Context(), []contacts.ContactChange{c}), contacts.ErrConflict)
			}
			s.wantContacts(t, r)
			// The version is the stored one's, not one that a caller saw once.
			c := changeOf(r, nil)
			s.update(t, c)
			wantChanged(t, s.UpdateContacts(t.Context(), []contacts.ContactChange{c}), contacts.ErrConflict)
			next := changeOf(c.Record, nil)
			s.update(t, next)
			s.wantContacts(t, next.Record)
		},
	},
	{
		"contact or team unknown",
		"ErrNotFound: the account has no such contact, or no such team.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			s.tenant(t, 2)
			r := newFullContact(a, 1)
			s.create(t, r)
			before := s.allContacts(t, a)
			elsewhere := changeOf(r, nil)
			elsewhere.Record.Contact.AccountID = newID()
			for name, c := range map[string]contacts.ContactChange{
				"account":                 elsewhere,
				"contact":                 changeOf(newFullContact(a, 1), nil),
				"team":                    changeOf(r, func(c *contacts.Contact) { c.TeamID = 3 }),
				"team, which another has": changeOf(r, func(c *contacts.Contact) { c.TeamID = 2 }),
			} {
				errs := s.UpdateContacts(t.Context(), []contacts.ContactChange{c})
				if len(errs) != 1 {
					t.Errorf("UpdateContacts with an unknown %s: got %d errors for 1 change", name, len(errs))
					continue
				}
				wantErr(t, "UpdateContacts with an unknown "+name, errs[0], contacts.ErrNotFound)
			}
			wantSame(t, "ListContacts", before, s.allContacts(t, a))
		},
	},
	{
		"listed by what it is now",
		updateRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1, 2)
			old := newFullContact(a, 1)
			old.Contact.DeletedAt = time.Time{}
			sibling := copyContact(old)
			sibling.Contact.ID = newID()
			s.create(t, old, sibling)
			c := changeOf(old, func(c *contacts.Contact) {
				c.Status, c.Stage, c.Email, c.TeamID = "new", "lead", "grace@example.com", 2
				c.FirstName, c.LastName, c.Company = "Grace", "Hopper", "Navy"
				c.Tags = []string{"navy", "math"}
				c.PhoneNumbers = []contacts.PhoneNumber{{ID: c.PhoneNumbers[0].ID, PhoneNumber: "+15557654321"}, {ID: newID(), PhoneNumber: "+15550000002"}}
			})
			for _, step := range []struct{ was, is *contacts.ContactRecord }{
				{old, c.Record},
				{c.Record, changeOf(c.Record, deleted(noon)).Record},
				{nil, changeOf(changeOf(c.Record, nil).Record, deleted(time.Time{})).Record},
			} {
				s.update(t, contacts.ContactChange{Record: step.is, Version: step.is.Contact.Version - 1})
				for _, by := range []*contacts.ContactRecord{old, c.Record} {
					for _, q := range filters(by) {
						q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 9, true
						s.wantListed(t, q, step.is, sibling)
						q.Deleted = true
						s.wantListed(t, q, step.is, sibling)
						q.Deleted, q.AllTeams, q.Teams = false, false, []int64{2}
						s.wantListed(t, q, step.is, sibling)
					}
				}
			}
		},
	},
	{
		"one version by many",
		oneVersionRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			oneChanges(t, a, s)
		},
	},
	{
		"one version by two processes",
		oneVersionRule,
		func(t *testing.T, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			oneChanges(t, a, s, other)
		},
	},
	{
		"one version twice in a call",
		oneVersionRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			var changes []contacts.ContactChange
			for i := range 3 {
				changes = append(changes, changeOf(r, func(c *contacts.Contact) { c.FirstName = fmt.Sprint("Ada ", i) }))
			}
			errs := s.UpdateContacts(t.Context(), changes)
			if len(errs) != len(changes) {
				t.Fatalf("UpdateContacts: got %d errors for %d changes", len(errs), len(changes))
			}
			var stored []*contacts.ContactRecord
			for i, err := range errs {
				if err == nil {
					stored = append(stored, changes[i].Record)
					continue
				}
				wantErr(t, "UpdateContacts", err, contacts.ErrConflict)
			}
			if len(stored) != 1 {
				t.Fatalf("%d of 3 changes that expect one version were stored, want 1", len(stored))
			}
			s.wantContacts(t, stored...)
		},
	},
	{
		"no change lost",
		oneVersionRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			const each = 4
			together(8, func(i int) {
				for n := range each {
					for { // until nobody has come in between
						found, err := s.FindContact(t.Context(), a, r.Contact.ID)
						if err != nil {
							t.Errorf("FindContact: %v", err)
							return
						}
						c := changeOf(found, func(c *contacts.Contact) { c.Tags = append(c.Tags, fmt.Sprint(i, " ", n)) })
						errs := s.UpdateContacts(t.Context(), []contacts.ContactChange{c})
						if errs == nil {
							break
						}
						if err := errors.Join(errs...); !errors.Is(err, contacts.ErrConflict) {
							t.Errorf("UpdateContacts: %v", err)
							return
						}
					}
				}
			})
			var want []string
			for i := range 8 {
				for n := range each {
					want = append(want, fmt.Sprint(i, " ", n))
				}
			}
			got := s.contact(t, a, r.Contact.ID)
			wantSame(t, "what all callers added, sorted", want, slices.Sorted(slices.Values(got.Contact.Tags)))
			wantSame(t, "Version", int64(1+len(want)), got.Contact.Version)
		},
	},
	{
		"seen whole",
		"Atomicity: a record is stored whole, with everything in it, or not at all, and so is a change of it. Nobody ever sees a part of it.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1, 2)
			ada := newFullContact(a, 1)
			ada.Contact.DeletedAt = time.Time{}
			grace := changeOf(ada, func(c *contacts.Contact) {
				*c = contacts.Contact{ID: c.ID, AccountID: a, FirstName: "Grace", TeamID: 2, Tags: []string{"navy"}, PhoneNumbers: []contacts.PhoneNumber{{ID: newID(), PhoneNumber: "+15557654321"}}}
			}).Record
			states := map[string]*contacts.ContactRecord{"Ada": ada, "Grace": grace}
			s.create(t, ada)
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for !done.Load() && !t.Failed() {
						found, err := s.FindContact(t.Context(), a, ada.Contact.ID)
						if err != nil {
							t.Errorf("FindContact: %v", err)
							return
						}
						list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 9})
						if err != nil || len(list.Records) != 1 {
							t.Errorf("ListContacts while a contact is changed: got %d contacts of 1, and error %v", len(list.Records), err)
							return
						}
						for _, got := range []*contacts.ContactRecord{found, list.Records[0]} {
							want := states[got.Contact.FirstName]
							if want == nil {
								t.Errorf("got a contact %q, want one of those that were stored", got.Contact.FirstName)
								return
							}
							want = copyContact(want)
							want.Contact.Version = got.Contact.Version
							wantSame(t, "a contact while it is changed", want, got)
						}
					}
				})
			}
			for i := range 100 {
				next := copyContact([]*contacts.ContactRecord{grace, ada}[i%2])
				next.Contact.Version = ada.Contact.Version + int64(i) + 1
				s.update(t, contacts.ContactChange{Record: next, Version: next.Contact.Version - 1})
			}
			done.Store(true)
			readers.Wait()
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			for i, r := range records {
				if i%3 == 0 {
					continue
				}
				c := changeOf(r, func(c *contacts.Contact) {
					c.Status, c.Tags, c.Email = "changed", []string{"math"}, "changed@example.com"
				})
				s.update(t, c)
				records[i] = c.Record
			}
			again := s.reopen(t)
			again.wantContacts(t, records...)
			for _, q := range filters(records[0]) {
				q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 100, true
				again.wantListed(t, q, records...)
			}
			stale := changeOf(records[1], nil)
			stale.Version--
			wantChanged(t, again.UpdateContacts(t.Context(), []contacts.ContactChange{stale}), contacts.ErrConflict)
			next := changeOf(records[1], nil)
			again.update(t, next)
			again.wantContacts(t, next.Record)
		},
	},
	{
		"seen by a second process",
		"Every later read sees it, from any process on the same store.",
		func(t *testing.T, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			for i := range 6 {
				both[(i+1)%2].wantContacts(t, r) // it may remember what it has found
				c := changeOf(r, func(c *contacts.Contact) { c.FirstName = fmt.Sprint("Ada ", i) })
				both[i%2].update(t, c)
				both[(i+1)%2].wantContacts(t, c.Record)
				wantChanged(t, both[(i+1)%2].UpdateContacts(t.Context(), []contacts.ContactChange{c}), contacts.ErrConflict)
				r = c.Record
			}
		},
	},
}

// oneChanges has many callers, spread over the stores, change one version of a
// contact at the same time, and checks that one of them did.
func oneChanges(t *testing.T, account uuid.UUID, stores ...*store) {
	t.Helper()
	r := newFullContact(account, 0)
	stores[0].create(t, r)
	for range 4 { // versions
		changes := make([]contacts.ContactChange, many)
		for i := range changes {
			changes[i] = changeOf(r, func(c *contacts.Contact) { c.FirstName, c.Tags = fmt.Sprint("Ada ", i), []string{fmt.Sprint(i)} })
		}
		winner := winnerOf(t, contacts.ErrConflict, func(i int) error {
			return errors.Join(stores[i%len(stores)].UpdateContacts(t.Context(), changes[i:i+1])...)
		})
		r = changes[winner].Record
		for _, s := range stores {
			s.wantContacts(t, r)
		}
	}
}
