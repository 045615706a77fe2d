package storetest

import (
	"slices"
	"time"

	"example.com/contacts"
)

const (
	durabilityRule = "Durability: a write that returned without an error outlives the process, if the store promises to outlive it at all. Every later read sees it, from any process on the same store."
	laterReadRule  = "Every later read sees it, from any process on the same store."
)

var durabilityCases = []testCase{
	{
		"all is there after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1, 2), s.tenant(t, 1)
			s.addKey(t, a)
			s.addKey(t, b)
			records := []*contacts.ContactRecord{newFullContact(a, 2), newContact(a), newFullContact(b, 1)}
			for i, text := range hostile {
				r := newFullContact(b, 0)
				r.Contact.LastName = text
				r.Contact.Tags = slices.Clone(hostile[:i+1])
				records = append(records, r)
			}
			s.create(t, records...)
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "1")}})
			before := s.directory(t)

			again := s.reopen(t)
			wantSame(t, "the directory", before, again.directory(t))
			again.wantContacts(t, records...)
			again.wantRefused(t, create(newContact(a)), contacts.ErrStale)
		},
	},
	{
		"revocation holds after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			k, kb := s.addKey(t, a), s.addKey(t, b)
			s.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: noon})
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: b, At: noon})

			again := s.reopen(t)
			again.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: noon.Add(time.Hour)})
			k.RevokedAt = noon
			again.wantKey(t, "FindKey of the revoked key", k)
			again.wantKey(t, "FindKey in the disabled account", kb)
			wantSame(t, "DisabledAt of the account", noon, again.key(t, kb.Hash).Account.DisabledAt)
			again.updateDirectory(t, contacts.DirectoryUpdate{AccountID: b})
			wantSame(t, "DisabledAt of the enabled account", time.Time{}, again.reopen(t).key(t, kb.Hash).Account.DisabledAt)
		},
	},
	{
		"identities stay taken after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a := s.tenant(t, 7)
			k := s.addKey(t, a)
			r := newFullContact(a, 7)
			s.create(t, r)

			again := s.reopen(t)
			impostor := newContact(a)
			impostor.Contact.ID = r.Contact.ID
			again.wantRefused(t, create(impostor), contacts.ErrExists)
			k.ID = newID()
			_, err := again.AddToDirectory(t.Context(), contacts.Directory{Keys: []contacts.KeyRecord{k}})
			wantErr(t, "AddToDirectory of a taken hash", err, contacts.ErrExists)
			added := again.add(t, contacts.Directory{Teams: []contacts.Team{newTeam(a, 0)}})
			wantSame(t, "id of the next team", int64(8), added.Teams[0].ID)
			again.wantContacts(t, r)
		},
	},
	{
		"closed while calls run, then reopened",
		closeRule,
		func(t *test, s *store) {
			records, errs := closeWhileCalled(t, s)
			s.reopen(t).wantResults(t, records, errs)
		},
	},
	{
		"seen by a second process",
		laterReadRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			// A store may not remember that a thing was not there.
			team, k, r := newTeam(a, 1), newKey(a), newFullContact(a, 1)
			other.wantRefused(t, create(r), contacts.ErrTeamNotFound)
			_, err := other.FindKey(t.Context(), k.Hash)
			wantErr(t, "FindKey before", err, contacts.ErrNotFound)
			other.wantNoContacts(t, r)

			s.add(t, contacts.Directory{Teams: []contacts.Team{team}, Keys: []contacts.KeyRecord{k}})
			s.create(t, r)
			other.wantKey(t, "FindKey", k)
			other.wantContacts(t, r)
			wantSame(t, "the directory", s.directory(t), other.directory(t))

			back := newFullContact(a, 1)
			other.create(t, back)
			s.wantContacts(t, back)
		},
	},
	{
		"revocation seen by a second process",
		nextFindRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			k, kept := s.addKey(t, a), s.addKey(t, a)
			other.wantKey(t, "FindKey before", k)
			s.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: noon})
			k.RevokedAt = noon
			other.wantKey(t, "FindKey after the key was revoked", k)
			for _, at := range []time.Time{noon, {}, noon.Add(time.Hour)} {
				s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: at})
				wantSame(t, "DisabledAt of FindKey after the account was disabled or enabled", at, other.key(t, kept.Hash).Account.DisabledAt)
				wantSame(t, "DisabledAt of FindAccount after the account was disabled or enabled", at, other.account(t, a).DisabledAt)
			}
		},
	},
	{
		"one contact by two processes",
		"ErrExists: the account has a contact of that id.",
		func(t *test, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			r := newFullContact(a, 0)
			onlyOne(t, func(i int) error { return both[i%2].one(t.Context(), create(r)).Err })
			for _, s := range both {
				s.wantContacts(t, r)
			}
		},
	},
	{
		"team ids assigned by two processes",
		teamIDRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			ids, errs := assignTeams(t, a, s, other)
			var want []int64
			for i := range ids {
				wantErr(t, "AddToDirectory", errs[i], nil)
				want = append(want, int64(i+1))
			}
			wantSame(t, "the ids, sorted", want, slices.Sorted(slices.Values(ids)))
		},
	},
	{
		"one process closes",
		closeRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t, 1)
			r, later := newFullContact(a, 1), newFullContact(a, 1)
			s.create(t, r)
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			other.create(t, later)
			other.wantContacts(t, r, later)
			_, err := s.FindContact(t.Context(), a, r.Contact.ID)
			wantErr(t, "FindContact of the closed one", err, contacts.ErrClosed)
		},
	},
}
