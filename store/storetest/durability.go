package storetest

import (
	"slices"
	"testing"
	"time"

	"example.com/contacts"
)

const durabilityRule = "Durability: when a write has returned without an error, it outlives the process, as far as the store promises to outlive it at all. Every later read sees it, from any process on the same store."

var durabilityCases = []testCase{
	{
		"all is there after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
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
			before := s.directory(t)

			again := s.reopen(t)
			wantSame(t, "the directory", before, again.directory(t))
			again.wantContacts(t, records...)
		},
	},
	{
		"revocation holds after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			k, kb := s.addKey(t, a), s.addKey(t, b)
			s.deactivate(t, contacts.Deactivation{KeyID: k.ID, At: noon})
			s.deactivate(t, contacts.Deactivation{AccountID: b, At: noon})

			again := s.reopen(t)
			again.deactivate(t, contacts.Deactivation{KeyID: k.ID, At: noon.Add(time.Hour)})
			k.RevokedAt, kb.AccountDisabledAt = noon, noon
			wantSame(t, "FindKey of the revoked key", k, again.key(t, k.Hash))
			wantSame(t, "FindKey in the disabled account", kb, again.key(t, kb.Hash))
			again.deactivate(t, contacts.Deactivation{AccountID: b})
			kb.AccountDisabledAt = time.Time{}
			wantSame(t, "FindKey in the enabled account", kb, again.reopen(t).key(t, kb.Hash))
		},
	},
	{
		"identities stay taken after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 7)
			k := s.addKey(t, a)
			r := newFullContact(a, 7)
			s.create(t, r)

			again := s.reopen(t)
			impostor := newContact(a)
			impostor.Contact.ID = r.Contact.ID
			wantErr(t, "CreateContacts", again.createOne(t, impostor), contacts.ErrExists)
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
		"Close finishes what was accepted and releases what the store holds.",
		func(t *testing.T, s *store) {
			records, errs := closeWhileCalled(t, s)
			s.reopen(t).wantStored(t, records, errs)
		},
	},
	{
		"seen by a second process",
		"Every later read sees it, from any process on the same store.",
		func(t *testing.T, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			// Nobody may remember that a thing was not there.
			team, k, r := newTeam(a, 1), newKey(a), newFullContact(a, 1)
			_, err := other.FindTeam(t.Context(), a, 1)
			wantErr(t, "FindTeam before", err, contacts.ErrNotFound)
			_, err = other.FindKey(t.Context(), k.Hash)
			wantErr(t, "FindKey before", err, contacts.ErrNotFound)
			other.wantNoContacts(t, r)

			s.add(t, contacts.Directory{Teams: []contacts.Team{team}, Keys: []contacts.KeyRecord{k}})
			s.create(t, r)
			wantSame(t, "FindKey", k, other.key(t, k.Hash))
			if _, err := other.FindTeam(t.Context(), a, 1); err != nil {
				t.Errorf("FindTeam: %v", err)
			}
			other.wantContacts(t, r)
			wantSame(t, "the directory", s.directory(t), other.directory(t))

			back := newFullContact(a, 1)
			other.create(t, back)
			s.wantContacts(t, back)
		},
	},
	{
		"revocation seen by a second process",
		"The change holds for the next FindKey in every process on the same store.",
		func(t *testing.T, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			k, kept := s.addKey(t, a), s.addKey(t, a)
			wantSame(t, "FindKey before", k, other.key(t, k.Hash))
			s.deactivate(t, contacts.Deactivation{KeyID: k.ID, At: noon})
			k.RevokedAt = noon
			wantSame(t, "FindKey after the key was revoked", k, other.key(t, k.Hash))
			for _, at := range []time.Time{noon, {}, noon.Add(time.Hour)} {
				s.deactivate(t, contacts.Deactivation{AccountID: a, At: at})
				kept.AccountDisabledAt = at
				wantSame(t, "FindKey after the account was disabled or enabled", kept, other.key(t, kept.Hash))
			}
		},
	},
	{
		"one contact by two processes",
		"ErrExists: the account has a contact of that id, or the batch had it before.",
		func(t *testing.T, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			r := newFullContact(a, 0)
			onlyOne(t, func(i int) error { return both[i%2].createOne(t, r) })
			for _, s := range both {
				s.wantContacts(t, r)
			}
		},
	},
	{
		"team ids assigned by two processes",
		"a team with ID 0 gets the lowest id above every team that its account has then, starting at 1.",
		func(t *testing.T, s *store) {
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
		"Close finishes what was accepted and releases what the store holds.",
		func(t *testing.T, s *store) {
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
