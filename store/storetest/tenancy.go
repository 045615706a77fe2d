package storetest

import (
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const tenancyRule = "Tenancy: a record is found only under the account it was stored under."

var tenancyCases = []testCase{
	{
		"contact of another account",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			r := newFullContact(a, 0)
			s.create(t, r)
			for _, other := range []uuid.UUID{b, uuid.Nil} {
				_, err := s.FindContact(t.Context(), other, r.Contact.ID)
				wantErr(t, "FindContact under another account", err, contacts.ErrNotFound)
			}
		},
	},
	{
		"one contact id in two accounts",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			ra, rb := newFullContact(a, 0), newContact(b)
			rb.Contact.ID = ra.Contact.ID
			s.create(t, ra)
			s.create(t, rb)
			s.wantContacts(t, ra, rb)
		},
	},
	{
		"contact in a team of another account",
		tenancyRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			b := s.tenant(t, 2)
			for account, team := range map[uuid.UUID]int64{a: 2, b: 1} {
				r := newFullContact(account, team)
				s.wantRefused(t, create(r), contacts.ErrTeamNotFound)
				s.wantNoContacts(t, r)
				s.create(t, newFullContact(account, 3-team))
			}
		},
	},
	{
		"contacts of another account are not listed",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			records := append(s.createMixed(t, a), s.createMixed(t, b)...)
			for _, q := range filters(records[0]) {
				for _, q.AccountID = range []uuid.UUID{a, b, newID(), {}} {
					for _, q.AllTeams = range []bool{true, false} {
						q.Teams, q.Limit, q.Count = []int64{1}, 100, true
						s.wantListed(t, q, records...)
					}
				}
			}
		},
	},
	{
		"contact of another account is not changed",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			r, same, other := newFullContact(a, 1), newFullContact(b, 1), newFullContact(a, 1)
			same.Contact.ID = r.Contact.ID
			s.create(t, r, same, other)
			c := changeOf(same, func(c *contacts.Contact) { c.FirstName, c.Tags, c.PhoneNumbers = "Grace", nil, nil })
			s.update(t, c)
			s.wantContacts(t, r, c.Record, other)
			foreign := changeOf(other, func(c *contacts.Contact) { c.AccountID = b })
			s.wantRefused(t, update(foreign), contacts.ErrNotFound)
			s.wantContacts(t, r, c.Record, other)
			s.wantNoContacts(t, foreign.Record)
		},
	},
	{
		"contacts of another account are not removed",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			r, same, other := newFullContact(a, 0), newFullContact(b, 0), newFullContact(b, 0)
			same.Contact.ID = r.Contact.ID
			s.create(t, r, same, other)
			for account, want := range map[uuid.UUID]error{newID(): contacts.ErrNotFound, a: contacts.ErrNotFound} {
				m := remove(other)
				m.AccountID = account
				s.wantRefused(t, m, want)
			}
			s.remove(t, r)
			s.wantNoContacts(t, r)
			s.wantContacts(t, same, other)
			wantSame(t, "ListContacts in the other account", []*contacts.ContactRecord{other, same}, s.allContacts(t, b))
		},
	},
	{
		"keys of another account are not held",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			holder := newFullContact(a, 0)
			twin := copyContact(holder)
			twin.Contact.ID, twin.Contact.AccountID, twin.Contact.Email = newID(), b, ""
			deleted := copyContact(holder)
			deleted.Contact.ID, deleted.Contact.DeletedAt = newID(), noon
			s.create(t, holder, deleted)
			m := create(twin)
			m.Claims = holder.MatchKeys()
			s.wantStored(t, m)
			wantSame(t, "Holders in one account", contacts.MutationOutcome{Holders: []contacts.Holder{
				{Key: 0, ContactID: twin.Contact.ID}, {Key: 2, ContactID: twin.Contact.ID}, {Key: 3, ContactID: twin.Contact.ID},
			}}, withoutErr(s.one(t.Context(), claiming(newContact(b), m.Claims...))))
		},
	},
	{
		"journal of another account",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			s.apply(t, journal(a, newEntries(3)...), journal(b, newEntry(7)), journal(a, newEntry(3)), journal(b, newEntry(1)))
			s.wantEntries(t, a, numbered(1, newEntries(4))...)
			want := numbered(1, []contacts.JournalEntry{newEntry(7), newEntry(1)})
			s.wantEntries(t, b, want...)
			wantSame(t, "ListJournal of a subject that both have", want[1:],
				s.listJournal(t, contacts.JournalQuery{AccountID: b, Subjects: [][32]byte{subject(1)}, Limit: 9}))
			foreign := newEntry(3)
			foreign.Sequence, foreign.Data = 4, "foreign"
			s.wantRefused(t, journal(b, foreign), contacts.ErrNotFound)
			s.wantEntries(t, a, numbered(1, newEntries(4))...)
		},
	},
	{
		"directory of another account is not listed",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			ka, kb := s.addKey(t, a), s.addKey(t, b)
			sa, sb := newSetting(a, 1, "events", "1"), newSetting(b, 1, "events", "2")
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{sa, sb}})
			for account, want := range map[uuid.UUID]contacts.Directory{
				a: {Teams: []contacts.Team{newTeam(a, 1)}, Keys: []contacts.KeyRecord{ka}, Settings: []contacts.SettingRecord{sa}},
				b: {Teams: []contacts.Team{newTeam(b, 2)}, Keys: []contacts.KeyRecord{kb}, Settings: []contacts.SettingRecord{sb}},
			} {
				got := s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: account, Limit: 9})
				wantSame(t, "ListDirectory of teams", contacts.Directory{Teams: want.Teams}, got)
				got = s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: account, Limit: 9})
				wantSame(t, "ListDirectory of keys", contacts.Directory{Keys: want.Keys}, got)
				got = s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: account, Limit: 9})
				wantSame(t, "ListDirectory of settings", contacts.Directory{Settings: want.Settings}, got)
				wantSame(t, "Settings of FindAccount", map[string]string{"events": want.Settings[0].Value}, s.account(t, account).Settings)
			}
		},
	},
	{
		"another account is not disabled",
		tenancyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			k := s.addKey(t, b)
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
			wantSame(t, "DisabledAt of the other account", time.Time{}, s.key(t, k.Hash).Account.DisabledAt)
			s.wantKey(t, "FindKey in the other account", k)
		},
	},
}
