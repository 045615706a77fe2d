package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	updateRule     = "A contact change replaces the stored contact if it has the change's Version."
	newRule        = "Version 0 stores a new contact, which may have any version and may be deleted."
	asItIsRule     = "A store keeps a record as it is: it never computes or checks versions, times or ids of phone numbers."
	oneVersionRule = "Of any number of changes that expect one version, in any number of processes, one is stored."
	conflictRule   = "ErrConflict: the stored contact has another version."
)

var updateCases = []testCase{
	{
		"replaced whole",
		updateRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1, 2)
			full, minimal := newFullContact(a, 1), newContact(a)
			s.create(t, full, minimal)
			// To everything, to nothing, and back.
			filled := newFullContact(a, 2)
			filled.Contact.ID, filled.Contact.Version = minimal.Contact.ID, 2
			emptied := &contacts.ContactRecord{Contact: contacts.Contact{ID: full.Contact.ID, AccountID: a, Version: full.Contact.Version + 1}}
			s.update(t,
				contacts.ContactChange{ID: filled.Contact.ID, Record: filled, Version: minimal.Contact.Version},
				contacts.ContactChange{ID: emptied.Contact.ID, Record: emptied, Version: full.Contact.Version},
			)
			s.wantContacts(t, filled, emptied)
			wantSame(t, "ListContacts", []*contacts.ContactRecord{filled, emptied}, s.allContacts(t, a))
			again := changeOf(full, nil)
			again.Record.Contact.Version, again.Version = 1<<60, emptied.Contact.Version
			s.update(t, again)
			s.wantContacts(t, again.Record)
		},
	},
	{
		"empty slices",
		"Empty slices come back as nil.",
		func(t *test, s *store) {
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
		func(t *test, s *store) {
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
		func(t *test, s *store) {
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
		"any version at first",
		newRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for i, version := range []int64{0, 1, 7, 1 << 53, 1<<63 - 1} {
				r := newContact(a)
				r.Contact.Version = version
				if i%2 == 0 {
					r.Contact.DeletedAt = noon
				}
				records = append(records, r)
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
			c := changeOf(records[2], deleted(time.Time{}))
			s.update(t, c)
			s.wantContacts(t, c.Record)
		},
	},
	{
		"as it is",
		asItIsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.create(t, r)
			phones := r.Contact.PhoneNumbers
			for _, change := range []func(*contacts.Contact){
				func(c *contacts.Contact) { c.Version = 3 },                        // lower
				func(c *contacts.Contact) { c.Version = 3 },                        // the same
				func(c *contacts.Contact) { c.Version = 1 << 40 },                  // not the next one
				func(c *contacts.Contact) { c.UpdatedAt = noon.AddDate(-9, 0, 0) }, // back
				func(c *contacts.Contact) { c.CreatedAt = noon.AddDate(9, 0, 0) },  // after the update
				func(c *contacts.Contact) { c.CreatedAt, c.UpdatedAt = time.Time{}, time.Time{} },
				func(c *contacts.Contact) { c.PhoneNumbers[0].ID = newID() },       // another id for a number
				func(c *contacts.Contact) { c.PhoneNumbers[0].PhoneNumber = "+1" }, // another number for an id
				func(c *contacts.Contact) { c.PhoneNumbers[0].Primary, c.PhoneNumbers[1].Primary = false, false },
				func(c *contacts.Contact) { c.PhoneNumbers = []contacts.PhoneNumber{phones[1], phones[0]} },
			} {
				c := changeOf(r, change)
				s.update(t, c)
				s.wantContacts(t, c.Record)
				r = c.Record
			}
		},
	},
	{
		"deleted ones too",
		"Deleted contacts can be changed and removed too.",
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			for _, change := range []func(*contacts.Contact){
				deleted(noon.Add(time.Minute)),
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
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			r.Contact.Version = 1 << 32
			s.create(t, r)
			for _, version := range []int64{1, -1, 1<<32 - 1, 1<<32 + 1, 1 << 33} {
				c := changeOf(r, func(c *contacts.Contact) { c.Tags = []string{"changed"} })
				c.Version = version
				s.wantRefused(t, update(c), contacts.ErrConflict)
			}
			s.wantContacts(t, r)
			// The version is the stored one's, not one that a caller saw once.
			c := changeOf(r, nil)
			s.update(t, c)
			s.wantRefused(t, update(c), contacts.ErrConflict)
			next := changeOf(c.Record, nil)
			s.update(t, next)
			s.wantContacts(t, next.Record)
		},
	},
	{
		"listed by what it is now",
		updateRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1, 2)
			old := newFullContact(a, 1)
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
				s.update(t, contacts.ContactChange{ID: old.Contact.ID, Record: step.is, Version: step.is.Contact.Version - 1})
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
		func(t *test, s *store) {
			a := s.tenant(t)
			oneChanges(t, a, s)
		},
	},
	{
		"one version by two processes",
		oneVersionRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			oneChanges(t, a, s, other)
		},
	},
	{
		"no change lost",
		oneVersionRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			const each = 4
			together(8, func(i int) {
				for n := range each {
					for { // until no other caller has come in between
						found, err := s.FindContact(t.Context(), a, r.Contact.ID)
						if err != nil {
							t.Errorf("FindContact: %v", err)
							return
						}
						c := changeOf(found, func(c *contacts.Contact) { c.Tags = append(c.Tags, fmt.Sprint(i, " ", n)) })
						err = s.one(t.Context(), update(c)).Err
						if err == nil {
							break
						}
						if !errors.Is(err, contacts.ErrConflict) {
							t.Errorf("Apply: %v", err)
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
		atomicityRule + " No reader ever sees a part of it.",
		func(t *test, s *store) {
			a := s.tenant(t, 1, 2)
			ada := newFullContact(a, 1)
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
				s.update(t, contacts.ContactChange{ID: ada.Contact.ID, Record: next, Version: next.Contact.Version - 1})
			}
			done.Store(true)
			readers.Wait()
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
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
			again.wantRefused(t, update(stale), contacts.ErrConflict)
			next := changeOf(records[1], nil)
			again.update(t, next)
			again.wantContacts(t, next.Record)
		},
	},
	{
		"seen by a second process",
		laterReadRule,
		func(t *test, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			for i := range 6 {
				both[(i+1)%2].wantContacts(t, r) // it may remember what it has found
				c := changeOf(r, func(c *contacts.Contact) {
					c.FirstName, c.Tags = fmt.Sprint("Ada ", i), []string{fmt.Sprint("tag ", i)}
				})
				both[i%2].update(t, c)
				both[(i+1)%2].wantContacts(t, c.Record)
				both[(i+1)%2].wantRefused(t, update(c), contacts.ErrConflict)
				r = c.Record
				for j := range i + 1 {
					both[(i+1)%2].wantListed(t, contacts.ContactQuery{AccountID: a, Tag: fmt.Sprint("tag ", j), Limit: 9, Count: true}, r)
				}
			}
		},
	},
	{
		"hostile text in changes",
		textRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for range hostile {
				records = append(records, newFullContact(a, 0))
			}
			s.create(t, records...)
			var changes []contacts.ContactChange
			for i, text := range hostile {
				c := changeOf(records[i], func(c *contacts.Contact) {
					c.FirstName, c.LastName, c.Email, c.Company, c.Website, c.Address = text, text, text, text, text, text
					c.City, c.State, c.ZipCode, c.Country, c.Status, c.Stage, c.ExternalID = text, text, text, text, text, text, text
					c.Tags = []string{text + text, text}
					c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: text, PhoneType: text}}
				})
				changes = append(changes, c)
				records[i] = c.Record
			}
			s.update(t, changes...)
			s.wantContacts(t, records...)
		},
	},
}

// oneChanges has many callers, spread over the stores, change one version of a
// contact at the same time, and checks that one of them did.
func oneChanges(t *test, account uuid.UUID, stores ...*store) {
	t.Helper()
	r := newFullContact(account, 0)
	stores[0].create(t, r)
	for range 4 { // versions
		changes := make([]contacts.ContactChange, many)
		for i := range changes {
			changes[i] = changeOf(r, func(c *contacts.Contact) { c.FirstName, c.Tags = fmt.Sprint("Ada ", i), []string{fmt.Sprint(i)} })
		}
		winner := winnerOf(t, contacts.ErrConflict, func(i int) error {
			return stores[i%len(stores)].one(t.Context(), update(changes[i])).Err
		})
		r = changes[winner].Record
		for _, s := range stores {
			s.wantContacts(t, r)
		}
	}
}
