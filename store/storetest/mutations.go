package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	atomicityRule = "Atomicity: a mutation is stored whole or not at all."
	unknownRule   = "ErrNotFound: the account, the contact of a change, or the entry to replace does not exist."
	orderRule     = "A mutation is judged in this order: account, idempotency record, settings version, ids and versions of its contacts, teams, claims, journal."
	firstRule     = "The first refusal is its error; contacts and entries are judged in their order."
	moveRule      = "Judging comes before writing: a mutation may move a match key, or the id of a phone number, between its own contacts."
)

var mutationCases = []testCase{
	{
		"stored whole",
		atomicityRule,
		func(t *test, s *store) {
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
		func(t *test, s *store) {
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
		func(t *test, s *store) {
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
		"the first of several refusals",
		firstRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			stored, other := newFullContact(a, 1), newFullContact(a, 1)
			s.create(t, stored, other)
			old := changeOf(stored, nil)
			old.Version++
			homeless := creationOf(newFullContact(a, 9))
			refusals := []struct {
				change contacts.ContactChange
				want   error
			}{
				{old, contacts.ErrConflict},
				{changeOf(newContact(a), nil), contacts.ErrNotFound},
				{creationOf(other), contacts.ErrExists},
			}
			for range refusals {
				m := mutationOf(a, homeless) // teams are judged after the versions of all
				for _, r := range refusals {
					m.Contacts = append(m.Contacts, r.change)
				}
				s.wantRefused(t, m, refusals[0].want)
				refusals = append(refusals[1:], refusals[0])
			}
			s.wantContacts(t, stored, other)
		},
	},
	{
		"a key moves between its contacts",
		moveRule,
		func(t *test, s *store) {
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
		func(t *test, s *store) {
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
		func(t *test, s *store) {
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
		unknownRule + " ErrTeamNotFound: the account has no team of that id.",
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			s.tenant(t, 2)
			stored := newFullContact(a, 1)
			s.create(t, stored)
			before := s.allContacts(t, a)
			elsewhere := update(changeOf(stored, func(c *contacts.Contact) { c.AccountID = newID() }))
			toTeam := func(id int64) contacts.Mutation {
				return update(changeOf(stored, func(c *contacts.Contact) { c.TeamID = id }))
			}
			gone := func(c *contacts.Contact) { c.TeamID, c.DeletedAt = 3, noon }
			wrongTeam := remove(stored)
			wrongTeam.AccountID = uuid.Nil
			for name, c := range map[string]struct {
				mutation contacts.Mutation
				want     error
			}{
				"a change in an unknown account":    {elsewhere, contacts.ErrNotFound},
				"a change of an unknown contact":    {update(changeOf(newFullContact(a, 1), nil)), contacts.ErrNotFound},
				"a change to an unknown team":       {toTeam(3), contacts.ErrTeamNotFound},
				"a change to the team of another":   {toTeam(2), contacts.ErrTeamNotFound},
				"a deletion with an unknown team":   {update(changeOf(stored, gone)), contacts.ErrTeamNotFound},
				"a deleted one in an unknown team":  {create(named(a, "gone", gone)), contacts.ErrTeamNotFound},
				"a removal in no account":           {wrongTeam, contacts.ErrNotFound},
				"a removal of an unknown contact":   {remove(newContact(a)), contacts.ErrNotFound},
				"a replacement of an unknown entry": {journal(a, contacts.JournalEntry{Sequence: 1, Kind: contacts.JournalEvent}), contacts.ErrNotFound},
			} {
				got := s.one(t.Context(), c.mutation)
				wantErr(t, "Apply of "+name, got.Err, c.want)
			}
			wantSame(t, "ListContacts", before, s.allContacts(t, a))
		},
	},
	{
		"stale",
		staleRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			kinds := func(version int64) []contacts.Mutation {
				fresh := newContact(a)
				mutations := []contacts.Mutation{
					create(fresh), update(changeOf(r, nil)), remove(r), journal(a, newEntry(1)),
					{AccountID: a, Idempotency: onceAs("key")}, claiming(newContact(a), emailKey("ada@example.com")),
				}
				for i := range mutations {
					mutations[i].Settings = version
				}
				return mutations
			}
			for version := range int64(3) {
				if version > 0 {
					s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, version, "events", "{}")}})
				}
				for _, wrong := range []int64{-1, 0, 1, 2, 3, 1 << 40} {
					if wrong == version {
						continue
					}
					for _, m := range kinds(wrong) {
						s.wantRefused(t, m, contacts.ErrStale)
					}
				}
			}
			s.wantContacts(t, r)
			good := kinds(2)
			for _, m := range append(good[:2], good[3:]...) {
				s.wantStored(t, m)
			}
			// The version of another account is another.
			s.create(t, newContact(s.tenant(t)))
		},
	},
	{
		"stale while settings change",
		staleRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var version atomic.Int64 // at least that of the account
			var done atomic.Bool
			var writers sync.WaitGroup
			for range 4 {
				writers.Go(func() {
					for !done.Load() && !t.Failed() {
						found, err := s.FindAccount(t.Context(), a)
						wantErr(t, "FindAccount", err, nil)
						if err != nil {
							return
						}
						m := create(newContact(a))
						m.Settings = found.SettingsVersion
						m.Journal = []contacts.JournalEntry{newEntry(int(found.SettingsVersion))}
						if err := s.one(t.Context(), m).Err; err != nil && !errors.Is(err, contacts.ErrStale) {
							t.Errorf("Apply while settings change: %v", err)
						}
					}
				})
			}
			for range 30 {
				next := version.Load() + 1
				_, err := s.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, next, "events", "{}")}})
				wantErr(t, "AddToDirectory", err, nil)
				version.Store(next)
				// What is decided by the version before is refused from now on.
				late := create(newContact(a))
				late.Settings = next - 1
				wantErr(t, "Apply with the version before", s.one(t.Context(), late).Err, contacts.ErrStale)
			}
			done.Store(true)
			writers.Wait()
			last := int64(0) // the journal is in the order of the commits
			for _, e := range s.entries(t, a) {
				var n int64
				if _, err := fmt.Sscanf(e.Data, `{"n":%d}`, &n); err != nil || n < last {
					t.Fatalf("a mutation that was decided by settings version %d is stored after one that was decided by %d (%v)", n, last, err)
				}
				last = n
			}
		},
	},
	{
		"stale in a second process",
		staleRule,
		func(t *test, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			for version := range int64(4) {
				both[version%2].add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, version+1, "events", "{}")}})
				for _, s := range both {
					m := create(newContact(a))
					m.Settings = version
					s.wantRefused(t, m, contacts.ErrStale)
					m.Settings = version + 1
					s.wantStored(t, m)
				}
			}
		},
	},
}
