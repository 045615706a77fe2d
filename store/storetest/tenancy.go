package storetest

import (
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
)

const tenancyRule = "Tenancy: a record is found only under the account it was stored under."

var tenancyCases = []testCase{
	{
		"contact of another account",
		tenancyRule,
		func(t *testing.T, s *store) {
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
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			ra, rb := newFullContact(a, 0), newContact(b)
			rb.Contact.ID = ra.Contact.ID
			s.create(t, ra)
			s.create(t, rb)
			s.wantContacts(t, ra, rb)
		},
	},
	{
		"team of another account",
		"FindTeam returns a team of the account. ErrNotFound: the account has no such team, whoever else may have one.",
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			for _, none := range []struct {
				account uuid.UUID
				team    int64
			}{{a, 2}, {b, 1}, {a, 0}, {a, -1}, {a, 3}, {uuid.Nil, 1}, {newID(), 1}} {
				_, err := s.FindTeam(t.Context(), none.account, none.team)
				wantErr(t, "FindTeam", err, contacts.ErrNotFound)
			}
			team, err := s.FindTeam(t.Context(), a, 1)
			if err != nil {
				t.Fatalf("FindTeam: %v", err)
			}
			wantSame(t, "FindTeam", newTeam(a, 1), *team)
		},
	},
	{
		"contact in a team of another account",
		tenancyRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			s.tenant(t, 2)
			r := newFullContact(a, 2)
			errs := s.CreateContacts(t.Context(), contacts.ContactBatch{Records: []*contacts.ContactRecord{r}})
			wantErrs(t, errs, contacts.ErrNotFound)
			s.wantNoContacts(t, r)
		},
	},
	{
		"contacts of another account are not listed",
		tenancyRule,
		func(t *testing.T, s *store) {
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
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			r, same, other := newFullContact(a, 1), newFullContact(b, 1), newFullContact(a, 1)
			same.Contact.ID = r.Contact.ID
			s.create(t, r, same, other)
			c := changeOf(same, func(c *contacts.Contact) { c.FirstName, c.Tags, c.PhoneNumbers = "Grace", nil, nil })
			s.update(t, c)
			s.wantContacts(t, r, c.Record, other)
			foreign := changeOf(other, func(c *contacts.Contact) { c.AccountID = b })
			wantChanged(t, s.UpdateContacts(t.Context(), []contacts.ContactChange{foreign}), contacts.ErrNotFound)
			s.wantContacts(t, r, c.Record, other)
			s.wantNoContacts(t, foreign.Record)
		},
	},
	{
		"contacts of another account are not purged",
		tenancyRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			r, same, other := newFullContact(a, 0), newFullContact(b, 0), newFullContact(b, 0)
			same.Contact.ID = r.Contact.ID
			s.create(t, r, same, other)
			wantSame(t, "PurgeContacts of an unknown account", 0, s.purge(t, contacts.PurgeQuery{AccountID: newID(), ContactID: r.Contact.ID, Limit: 9}))
			wantSame(t, "PurgeContacts of one account", 1, s.purge(t, contacts.PurgeQuery{AccountID: a, Limit: 9}))
			s.wantNoContacts(t, r)
			s.wantContacts(t, same, other)
			wantSame(t, "ListContacts in the other account", []*contacts.ContactRecord{other, same}, s.allContacts(t, b))
		},
	},
	{
		"teams and keys of another account are not listed",
		tenancyRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			ka, kb := s.addKey(t, a), s.addKey(t, b)
			for account, want := range map[uuid.UUID]contacts.Directory{
				a: {Teams: []contacts.Team{newTeam(a, 1)}, Keys: []contacts.KeyRecord{ka}},
				b: {Teams: []contacts.Team{newTeam(b, 2)}, Keys: []contacts.KeyRecord{kb}},
			} {
				got := s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: account, Limit: 9})
				wantSame(t, "ListDirectory of teams", contacts.Directory{Teams: want.Teams}, got)
				got = s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: account, Limit: 9})
				wantSame(t, "ListDirectory of keys", contacts.Directory{Keys: want.Keys}, got)
			}
		},
	},
	{
		"another account is not disabled",
		tenancyRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			k := s.addKey(t, b)
			s.deactivate(t, contacts.Deactivation{AccountID: a, At: noon})
			wantSame(t, "FindKey in the other account", k, s.key(t, k.Hash))
		},
	},
}
