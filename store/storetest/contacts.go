package storetest

import (
	"fmt"
	"testing"
	"time"

	"example.com/contacts"
)

var contactCases = []testCase{
	{
		"full record",
		"Fidelity: a record comes back equal, field by field: text byte for byte whatever it holds (NUL excepted, which never arrives), letter case included; times to the microsecond, in UTC, the zero time as the zero time; empty slices as nil.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1<<53+1)
			r := newFullContact(a, 1<<53+1)
			s.create(t, r)
			s.wantContacts(t, r)
		},
	},
	{
		"minimal record",
		"Fidelity: a record comes back equal, field by field",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			minimal := newContact(a)
			bare := &contacts.ContactRecord{Contact: contacts.Contact{ID: newID(), AccountID: a}}
			s.create(t, minimal, bare)
			s.wantContacts(t, minimal, bare)
		},
	},
	{
		"empty slices",
		"empty slices as nil.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r, k := newContact(a), newKey(a)
			r.Contact.Tags = []string{}
			r.Contact.PhoneNumbers = []contacts.PhoneNumber{}
			k.Permissions, k.TeamIDs = []contacts.Permission{}, []int64{}
			s.create(t, r)
			added := s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{k}})

			r.Contact.Tags, r.Contact.PhoneNumbers = nil, nil
			k.Permissions, k.TeamIDs = nil, nil
			s.wantContacts(t, r)
			wantSame(t, "AddToDirectory", []contacts.KeyRecord{k}, added.Keys)
			wantSame(t, "FindKey", k, s.key(t, k.Hash))
			wantSame(t, "ListDirectory", []contacts.KeyRecord{k}, s.directory(t).Keys)
		},
	},
	{
		"times",
		"times to the microsecond, in UTC, the zero time as the zero time",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			var add contacts.Directory
			for _, at := range []time.Time{
				{},
				time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
				time.Date(1582, 10, 15, 0, 0, 0, 0, time.UTC),
				time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
				time.Unix(0, 0).UTC(),
				noon,
				time.Date(2038, 1, 19, 3, 14, 8, 1000, time.UTC),
				time.Date(2262, 4, 11, 23, 47, 16, 854776000, time.UTC), // beyond an int64 of nanoseconds
				time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
			} {
				r := newContact(a)
				r.Contact.CreatedAt, r.Contact.UpdatedAt = noon, at
				records = append(records, r)
				r = newContact(a)
				r.Contact.CreatedAt, r.Contact.UpdatedAt, r.Contact.DeletedAt = at, noon, at
				records = append(records, r)
				account := newAccount()
				account.CreatedAt, account.DisabledAt = at, at
				team := newTeam(account.ID, 1)
				team.CreatedAt = at
				k := newKey(account.ID)
				k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.AccountDisabledAt = at, at, at, at
				add.Accounts = append(add.Accounts, account)
				add.Teams = append(add.Teams, team)
				add.Keys = append(add.Keys, k)
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
			wantSame(t, "AddToDirectory", add, s.add(t, add))
			d := s.directory(t)
			wantSame(t, "ListDirectory of accounts", add.Accounts, d.Accounts[1:]) // behind the tenant
			wantSame(t, "ListDirectory of teams", add.Teams, d.Teams)
			wantSame(t, "ListDirectory of keys", add.Keys, d.Keys)
		},
	},
	{
		"order of tags and phone numbers",
		"a record comes back equal, field by field",
		func(t *testing.T, s *store) {
			r := newContact(s.tenant(t))
			for i := range 100 {
				r.Contact.Tags = append(r.Contact.Tags, fmt.Sprintf("tag %d", i*37%100))
			}
			for i := range 50 {
				r.Contact.PhoneNumbers = append(r.Contact.PhoneNumbers, contacts.PhoneNumber{
					ID:          idAt(byte(i * 37 % 50)),
					PhoneNumber: fmt.Sprintf("+1555%07d", i*37%50),
					Primary:     i == 33,
					DoNotCall:   i%3 == 0,
				})
			}
			s.create(t, r)
			s.wantContacts(t, r)
		},
	},
	{
		"no rules",
		"A [Service] puts the rules on top, so a store is dumb on purpose: it receives finished records and never validates, normalises, defaults or authorises.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			s.deactivate(t, contacts.Deactivation{AccountID: a, At: noon}) // not for a store to heed
			r := newContact(a)
			r.Contact.FirstName = ""
			r.Contact.Email = " NOT an address "
			r.Contact.Website = "javascript:"
			r.Contact.Country = "us"
			r.Contact.Tags = []string{"", "twice", "twice"}
			r.Contact.PhoneNumbers = []contacts.PhoneNumber{
				{ID: newID(), PhoneNumber: "(555) 123-4567"},
				{ID: newID(), PhoneNumber: "(555) 123-4567", Primary: true},
				{ID: newID(), PhoneNumber: "", Primary: true},
			}
			r.Contact.UpdatedAt = noon.Add(-time.Hour)
			same := *r
			same.Contact.ID = newID() // the same person again
			s.create(t, r, &same)
			s.wantContacts(t, r, &same)
		},
	},
	{
		"each on its own",
		"CreateContacts stores the records of the batch, each on its own: one that fails takes no other with it.",
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			taken := newContact(a)
			s.create(t, taken)
			again := newContact(a)
			again.Contact.ID = taken.Contact.ID
			again.Contact.FirstName = "Impostor"

			first, middle, last := newFullContact(a, 1), newFullContact(b, 2), newFullContact(a, 0)
			noAccount, noTeam := newFullContact(newID(), 0), newFullContact(a, 2)
			errs := s.CreateContacts(t.Context(), contacts.ContactBatch{Records: []*contacts.ContactRecord{
				first, noAccount, again, middle, noTeam, last,
			}})
			wantErrs(t, errs, nil, contacts.ErrNotFound, contacts.ErrExists, nil, contacts.ErrNotFound, nil)
			s.wantContacts(t, first, middle, last, taken)
			s.wantNoContacts(t, noAccount, noTeam)
		},
	},
	{
		"one error for each",
		"It returns nil if all were stored, else one outcome for each record, in the order of the batch, the zero value for those stored.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			for bad := range 4 { // the place of the bad one; the last time there is none
				batch := []*contacts.ContactRecord{newContact(a), newContact(a), newContact(a)}
				want := make([]error, 3)
				if bad == 3 {
					want = nil
				} else {
					batch[bad] = newContact(newID())
					want[bad] = contacts.ErrNotFound
				}
				wantErrs(t, s.CreateContacts(t.Context(), contacts.ContactBatch{Records: batch}), want...)
			}
		},
	},
	{
		"accounts mixed",
		"The batch may mix accounts.",
		func(t *testing.T, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			records := []*contacts.ContactRecord{
				newFullContact(a, 1), newFullContact(b, 1), newFullContact(a, 0), newFullContact(b, 0),
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
		},
	},
	{
		"empty batch",
		"An empty batch is no error.",
		func(t *testing.T, s *store) {
			for _, none := range [][]*contacts.ContactRecord{nil, {}} {
				if errs := s.CreateContacts(t.Context(), contacts.ContactBatch{Records: none}); errs != nil {
					t.Errorf("CreateContacts: got %v, want nil", errs)
				}
			}
		},
	},
	{
		"large batch",
		"CreateContacts stores the records of the batch, each on its own",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			records := make([]*contacts.ContactRecord, 1000)
			for i := range records {
				records[i] = newFullContact(a, 1)
				records[i].Contact.FirstName = fmt.Sprint("Ada ", i)
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
		},
	},
	{
		"contact exists",
		"ErrExists: the account has a contact of that id, or the batch had it before.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			first := newFullContact(a, 0)
			impostor := newContact(a)
			impostor.Contact.ID = first.Contact.ID
			batch := contacts.ContactBatch{Records: []*contacts.ContactRecord{first, impostor}}
			wantErrs(t, s.CreateContacts(t.Context(), batch), nil, contacts.ErrExists)
			s.wantContacts(t, first)
			wantErrs(t, s.CreateContacts(t.Context(), batch), contacts.ErrExists, contacts.ErrExists)
			s.wantContacts(t, first)
		},
	},
	{
		"account or team unknown",
		"ErrNotFound: the account, or its team of that id, does not exist.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			s.tenant(t, 2)
			for name, r := range map[string]*contacts.ContactRecord{
				"account":                 newContact(newID()),
				"account, with a team":    newFullContact(newID(), 1),
				"team":                    newFullContact(a, 3),
				"team, which another has": newFullContact(a, 2),
			} {
				errs := s.CreateContacts(t.Context(), contacts.ContactBatch{Records: []*contacts.ContactRecord{r}})
				if len(errs) != 1 {
					t.Errorf("CreateContacts with an unknown %s: got %d errors for 1 record", name, len(errs))
					continue
				}
				wantErr(t, "CreateContacts with an unknown "+name, errs[0].Err, contacts.ErrNotFound)
				s.wantNoContacts(t, r)
			}
		},
	},
	{
		"deleted ones are found",
		"It does not judge: one that was deleted is found too.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			stored, later := named(a, "Ada", deleted(noon)), named(a, "Grace", nil)
			s.create(t, stored, later)
			deletion := changeOf(later, deleted(noon.Add(time.Hour)))
			s.update(t, deletion)
			s.wantContacts(t, stored, deletion.Record)
		},
	},
	{
		"contact unknown",
		"FindContact returns a contact of the account. ErrNotFound: the account has no such contact.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			_, err := s.FindContact(t.Context(), a, newID())
			wantErr(t, "FindContact", err, contacts.ErrNotFound)
			_, err = s.FindContact(t.Context(), newID(), r.Contact.ID)
			wantErr(t, "FindContact in an unknown account", err, contacts.ErrNotFound)
		},
	},
}
