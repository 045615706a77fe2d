package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	atomicityRule = "Atomicity: a mutation is stored whole or not at all."
	orderRule     = "A mutation is judged in this order: account, idempotency record, settings version, ids and versions of its contacts, teams, claims, journal."
	moveRule      = "Judging comes before writing: a mutation may move a match key or an id between its own contacts."
)

var mutationCases = []testCase{
	{
		"stored whole",
		atomicityRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1, 2)
			changed, removed := newFullContact(a, 1), newFullContact(a, 1)
			s.create(t, changed, removed)
			m := createOnce(newFullContact(a, 2), onceAs("key"))
			m.Contacts = append(m.Contacts, changeOf(changed, func(c *contacts.Contact) { c.TeamID = 2 }), removalOf(removed), creationOf(newContact(a)))
			m.Claims = []contacts.MatchKey{emailKey("nobody@example.com")}
			m.Journal = newEntries(3)
			s.wantStored(t, m)
			s.wantNoContacts(t, removed)
			s.wantEntries(t, a, numbered(1, newEntries(3))...)
			s.wantReplay(t, createOnce(newContact(a), onceAs("key")), onceAs("key").Result)
		},
	},
	{
		"refused whole",
		atomicityRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			changed, removed, taken := newFullContact(a, 1), newFullContact(a, 1), newContact(a)
			holder := named(a, "holder", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			s.create(t, changed, removed, taken, holder)
			s.apply(t, journal(a, newEntry(7)))
			before := s.allContacts(t, a)
			stale := changeOf(taken, nil)
			stale.Version = 99
			for _, bad := range []struct {
				name    string
				want    error
				spoiled func(*contacts.Mutation)
			}{
				{"an old settings version", contacts.ErrStale, func(m *contacts.Mutation) { m.Settings = 1 }},
				{"a contact that is not there", contacts.ErrNotFound, func(m *contacts.Mutation) { m.Contacts[2] = changeOf(newContact(a), nil) }},
				{"a removal of what is not there", contacts.ErrNotFound, func(m *contacts.Mutation) { m.Contacts[0] = removalOf(newContact(a)) }},
				{"an old version", contacts.ErrConflict, func(m *contacts.Mutation) { m.Contacts = append(m.Contacts, stale) }},
				{"an old version to remove", contacts.ErrConflict, func(m *contacts.Mutation) { m.Contacts[2].Version++ }},
				{"an id that is taken", contacts.ErrExists, func(m *contacts.Mutation) { m.Contacts = append(m.Contacts, creationOf(taken)) }},
				{"an unknown team", contacts.ErrTeamNotFound, func(m *contacts.Mutation) { m.Contacts[1].Record.Contact.TeamID = 2 }},
				{"a claim that is held", contacts.ErrDuplicate, func(m *contacts.Mutation) { m.Claims = []contacts.MatchKey{emailKey("ada@example.com")} }},
				{"an entry that is not there", contacts.ErrNotFound, func(m *contacts.Mutation) { m.Journal[1].Sequence = 99 }},
			} {
				m := createOnce(newFullContact(a, 1), onceAs("key"))
				m.Contacts = append(m.Contacts, changeOf(changed, nil), removalOf(removed))
				m.Journal = append(newEntries(3), contacts.JournalEntry{Sequence: 1, Kind: contacts.JournalEvent, Subject: subject(7), Data: "replaced"})
				bad.spoiled(&m)
				got := s.one(t.Context(), m)
				wantErr(t, "Apply of a mutation with "+bad.name, got.Err, bad.want)
				wantSame(t, "ListContacts after a mutation with "+bad.name, before, s.allContacts(t, a))
				s.wantEntries(t, a, numbered(1, []contacts.JournalEntry{newEntry(7)})...)
			}
			// Nothing of them is in the way.
			s.wantStored(t, createOnce(newContact(a), otherInput(onceAs("key"))))
		},
	},
	{
		"order of judging",
		orderRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			stored, other := newFullContact(a, 1), newFullContact(a, 1)
			holder := named(a, "holder", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			s.create(t, stored, other, holder)
			s.wantStored(t, createOnce(newContact(a), onceAs("key")))
			// Everything is wrong, and one thing after the other is put right.
			m := createOnce(newFullContact(newID(), 9), otherInput(onceAs("key")))
			m.Settings = 5
			m.Claims = []contacts.MatchKey{emailKey("ada@example.com")}
			m.Journal = []contacts.JournalEntry{{Sequence: 3, Kind: contacts.JournalEvent, Subject: subject(3)}}
			m.Contacts = append(m.Contacts, changeOf(other, nil))
			m.Contacts[1].Version++
			for _, step := range []struct {
				want error
				mend func()
			}{
				{contacts.ErrNotFound, func() {
					m.AccountID, m.Contacts[0].Record.Contact.AccountID = a, a
				}},
				{contacts.ErrIdempotencyConflict, func() { m.Idempotency = onceAs("fresh") }},
				{contacts.ErrStale, func() { m.Settings = 0 }},
				{contacts.ErrConflict, func() { m.Contacts[1] = changeOf(newContact(a), nil) }},
				{contacts.ErrNotFound, func() {
					m.Contacts[1] = creationOf(named(a, "", func(c *contacts.Contact) { c.ID = stored.Contact.ID }))
				}},
				{contacts.ErrExists, func() { m.Contacts[1] = changeOf(other, nil) }},
				{contacts.ErrTeamNotFound, func() { m.Contacts[0].Record.Contact.TeamID = 1 }},
				{contacts.ErrDuplicate, func() { m.Claims = nil }},
				{contacts.ErrNotFound, func() { m.Journal = newEntries(1) }},
			} {
				s.wantRefused(t, m, step.want)
				step.mend()
			}
			s.wantStored(t, m)
			s.wantEntries(t, a, numbered(1, newEntries(1))...)
		},
	},
	{
		"a key moves between its contacts",
		moveRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			const email, number = "ada@example.com", "+15551234567"
			kept, merged := newContact(a), named(a, "merged", func(c *contacts.Contact) {
				c.Email, c.PhoneNumbers = email, []contacts.PhoneNumber{{ID: newID(), PhoneNumber: number}}
			})
			s.create(t, kept, merged)
			phone := merged.Contact.PhoneNumbers[0]
			give := func(c *contacts.Contact) { c.Email, c.PhoneNumbers = email, []contacts.PhoneNumber{phone} }
			take := func(c *contacts.Contact) { c.Email, c.PhoneNumbers = "", nil }
			to, from := kept, merged
			for i := range 4 { // there and back again, in either order
				changes := []contacts.ContactChange{changeOf(to, give), changeOf(from, take)}
				m := mutationOf(a, changes...)
				m.Claims = []contacts.MatchKey{phoneKey(number), emailKey(email)}
				if i%2 == 0 {
					slices.Reverse(m.Contacts)
				}
				s.wantStored(t, m)
				for _, q := range []contacts.ContactQuery{{Email: email}, {PhoneNumber: number}, {MatchKeys: m.Claims}} {
					q.AccountID, q.Limit, q.Count = a, 9, true
					s.wantListed(t, q, changes[0].Record, changes[1].Record)
				}
				to, from = changes[1].Record, changes[0].Record
			}
			// The holder is removed, and another takes its keys and its number.
			heir := newContact(a)
			give(&heir.Contact)
			m := mutationOf(a, creationOf(heir), removalOf(from))
			m.Claims = []contacts.MatchKey{emailKey(email)}
			s.wantStored(t, m)
			s.wantNoContacts(t, from)
			s.wantRefused(t, claiming(newContact(a), emailKey(email)), contacts.ErrDuplicate)
		},
	},
	{
		"without contacts",
		"It may hold an idempotency record alone, or journal entries alone.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			s.wantStored(t, contacts.Mutation{AccountID: a, Idempotency: onceAs("key")})
			s.wantReplay(t, contacts.Mutation{AccountID: a, Idempotency: onceAs("key")}, onceAs("key").Result)
			s.wantReplay(t, createOnce(newContact(a), onceAs("key")), onceAs("key").Result)
			s.wantRefused(t, contacts.Mutation{AccountID: a, Idempotency: otherInput(onceAs("key"))}, contacts.ErrIdempotencyConflict)
			s.wantStored(t, journal(a, newEntries(2)...))
			both := contacts.Mutation{AccountID: a, Idempotency: onceAs("both"), Journal: newEntries(1)}
			s.wantStored(t, both)
			s.wantReplay(t, both, onceAs("both").Result)
			s.wantEntries(t, a, numbered(1, append(newEntries(2), newEntry(0)))...)
			for _, m := range []contacts.Mutation{{Idempotency: onceAs("key")}, {Journal: newEntries(1)}} {
				m.AccountID = newID()
				s.wantRefused(t, m, contacts.ErrNotFound)
			}
			wantSame(t, "ListContacts", 0, len(s.allContacts(t, a)))
		},
	},
	{
		"seen whole",
		"No reader ever sees a part of it.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			pair := []*contacts.ContactRecord{named(a, "0", nil), named(a, "0", nil)}
			s.create(t, pair...)
			const rounds = 100
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for last := false; !last && !t.Failed(); {
						last = done.Load() // one more round, when all must be there
						entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Backwards: true, Limit: 1})
						wantErr(t, "ListJournal", err, nil)
						list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, Limit: 9})
						wantErr(t, "ListContacts", err, nil)
						if len(list.Records) != 2 {
							t.Errorf("ListContacts: got %d contacts, want 2", len(list.Records))
							return
						}
						x, y := list.Records[0].Contact, list.Records[1].Contact
						if x.FirstName != y.FirstName || x.Version != y.Version {
							t.Errorf("ListContacts: got two versions, %d and %d, of contacts that are changed together", x.Version, y.Version)
						}
						if len(entries) == 1 && entries[0].Sequence > x.Version-1 {
							t.Errorf("the journal has entry %d while the contact has version %d", entries[0].Sequence, x.Version)
						}
						entries, err = s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Backwards: true, Limit: 1})
						wantErr(t, "ListJournal", err, nil)
						if want := x.Version - 1; want > 0 && (len(entries) == 0 || entries[0].Sequence < want) {
							t.Errorf("the contact has version %d while the journal ends at %v", x.Version, entries)
						}
						if last && x.Version != rounds+1 {
							t.Errorf("got version %d at the end, want %d", x.Version, rounds+1)
						}
					}
				})
			}
			for i := range rounds {
				var changes []contacts.ContactChange
				for j := range pair {
					c := changeOf(pair[j], func(c *contacts.Contact) { c.FirstName = fmt.Sprint(i + 1) })
					changes, pair[j] = append(changes, c), c.Record
				}
				m := mutationOf(a, changes...)
				m.Journal = []contacts.JournalEntry{newEntry(i)}
				s.apply(t, m)
			}
			done.Store(true)
			readers.Wait()
		},
	},
	{
		"account or team unknown",
		"ErrNotFound: the account, the contact of a change, or the entry that is replaced does not exist. ErrTeamNotFound: the account has no team of that id.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			s.tenant(t, 2)
			stored := newFullContact(a, 1)
			s.create(t, stored)
			before := s.allContacts(t, a)
			elsewhere := update(changeOf(stored, func(c *contacts.Contact) { c.AccountID = newID() }))
			toTeam := func(id int64) contacts.Mutation {
				return update(changeOf(stored, func(c *contacts.Contact) { c.TeamID = id }))
			}
			wrongTeam := remove(stored)
			wrongTeam.AccountID = uuid.Nil
			for name, c := range map[string]struct {
				mutation contacts.Mutation
				want     error
			}{
				"a create in an unknown account":           {create(newContact(newID())), contacts.ErrNotFound},
				"a create in an unknown account with team": {create(newFullContact(newID(), 1)), contacts.ErrNotFound},
				"a create in an unknown team":              {create(newFullContact(a, 3)), contacts.ErrTeamNotFound},
				"a create in the team of another":          {create(newFullContact(a, 2)), contacts.ErrTeamNotFound},
				"a change in an unknown account":           {elsewhere, contacts.ErrNotFound},
				"a change of an unknown contact":           {update(changeOf(newFullContact(a, 1), nil)), contacts.ErrNotFound},
				"a change to an unknown team":              {toTeam(3), contacts.ErrTeamNotFound},
				"a change to the team of another":          {toTeam(2), contacts.ErrTeamNotFound},
				"a removal in no account":                  {wrongTeam, contacts.ErrNotFound},
				"a removal of an unknown contact":          {remove(newContact(a)), contacts.ErrNotFound},
				"a replacement of an unknown entry":        {journal(a, contacts.JournalEntry{Sequence: 1, Kind: contacts.JournalEvent}), contacts.ErrNotFound},
			} {
				got := s.one(t.Context(), c.mutation)
				wantErr(t, "Apply of "+name, got.Err, c.want)
			}
			wantSame(t, "ListContacts", before, s.allContacts(t, a))
		},
	},
	{
		"contact exists",
		"ErrExists: the account has a contact of that id.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			first, gone := newFullContact(a, 0), newContact(a)
			first.Contact.DeletedAt = noon // a deleted one counts too
			s.create(t, first, gone)
			s.remove(t, gone)
			impostor := newContact(a)
			impostor.Contact.ID = first.Contact.ID
			batch := batchOf(create(gone), create(impostor))
			wantErrs(t, s.outcomes(t, batch), nil, contacts.ErrExists)
			s.wantContacts(t, first, gone)
			wantErrs(t, s.outcomes(t, batch), contacts.ErrExists, contacts.ErrExists)
			s.wantContacts(t, first, gone)
		},
	},
}
