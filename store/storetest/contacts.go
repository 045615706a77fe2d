package storetest

import (
	"fmt"
	"slices"
	"time"

	"example.com/contacts"
)

const timesRule = "Times keep their microseconds, are in UTC, and the zero time stays the zero time."

// instants are times that stores are known to change.
var instants = []time.Time{
	{},
	time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
	time.Date(1582, 10, 15, 0, 0, 0, 0, time.UTC),
	time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
	time.Unix(0, 0).UTC(),
	noon,
	time.Date(2038, 1, 19, 3, 14, 8, 1000, time.UTC),
	time.Date(2262, 4, 11, 23, 47, 16, 854776000, time.UTC), // beyond an int64 of nanoseconds
	time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
}

var contactCases = []testCase{
	{
		"full record",
		"Fidelity: a record comes back equal, field by field. " + timesRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1<<53+1)
			r := newFullContact(a, 1<<53+1)
			s.create(t, r)
			s.wantContacts(t, r)
		},
	},
	{
		"do-not-call fields",
		"The do-not-call fields of a contact and of its phone numbers are not kept.",
		func(t *test, s *store) {
			r := newFullContact(s.tenant(t, 1), 1)
			given := *r
			given.Contact.DoNotCallSequence, given.Contact.DoNotCallErased, given.Contact.DoNotCallChangesAt = 1, 1, noon
			given.Contact.PhoneNumbers = slices.Clone(r.Contact.PhoneNumbers)
			p := &given.Contact.PhoneNumbers[0]
			p.DoNotCall, p.DoNotCallDate, p.DoNotCallReason = true, noon, "asked on the phone"
			s.create(t, &given)
			s.wantContacts(t, r)
		},
	},
	{
		"minimal record",
		"Fidelity: a record comes back equal, field by field.",
		func(t *test, s *store) {
			a := s.tenant(t)
			minimal := newContact(a)
			bare := &contacts.ContactRecord{Contact: contacts.Contact{ID: newID(), AccountID: a}}
			s.create(t, minimal, bare)
			s.wantContacts(t, minimal, bare)
		},
	},
	{
		"deleted record",
		"Fidelity: a record comes back equal, field by field. It does not judge: a deleted contact is found too.",
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			full, minimal := newFullContact(a, 1), newContact(a)
			full.Contact.DeletedAt, minimal.Contact.DeletedAt = noon.Add(2*time.Microsecond), noon
			s.create(t, full, minimal)
			s.wantContacts(t, full, minimal)
		},
	},
	{
		"empty slices",
		"Empty slices come back as nil.",
		func(t *test, s *store) {
			r := newContact(s.tenant(t))
			r.Contact.Tags = []string{}
			r.Contact.PhoneNumbers = []contacts.PhoneNumber{}
			s.create(t, r)
			r.Contact.Tags, r.Contact.PhoneNumbers = nil, nil
			s.wantContacts(t, r)
		},
	},
	{
		"times",
		timesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			var add contacts.Directory
			for _, at := range instants {
				r := newContact(a)
				r.Contact.CreatedAt, r.Contact.UpdatedAt = noon, at
				records = append(records, r)
				r = newContact(a)
				r.Contact.CreatedAt, r.Contact.UpdatedAt = at, noon
				records = append(records, r)
				account := newAccount()
				account.CreatedAt, account.DisabledAt = at, at
				team := newTeam(account.ID, 1)
				team.CreatedAt = at
				k := newKey(account.ID)
				k.CreatedAt, k.ExpiresAt, k.RevokedAt = at, at, at
				setting := newSetting(account.ID, 1, "events", "{}")
				setting.At = at
				add.Accounts = append(add.Accounts, account)
				add.Teams = append(add.Teams, team)
				add.Keys = append(add.Keys, k)
				add.Settings = append(add.Settings, setting)
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
			wantSame(t, "AddToDirectory", add, s.add(t, add))
			d := s.directory(t)
			wantSame(t, "ListDirectory of accounts", add.Accounts, d.Accounts[1:]) // after the tenant
			wantSame(t, "ListDirectory of teams", add.Teams, d.Teams)
			wantSame(t, "ListDirectory of keys", add.Keys, d.Keys)
			wantSame(t, "ListDirectory of settings", add.Settings, d.Settings)
		},
	},
	{
		"times of deletions",
		timesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for _, at := range instants {
				records = append(records, named(a, "", deleted(at)))
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
		},
	},
	{
		"order of tags and phone numbers",
		"Fidelity: a record comes back equal, field by field.",
		func(t *test, s *store) {
			r := newContact(s.tenant(t))
			for i := range 100 {
				r.Contact.Tags = append(r.Contact.Tags, fmt.Sprintf("tag %d", i*37%100))
			}
			for i := range 50 {
				r.Contact.PhoneNumbers = append(r.Contact.PhoneNumbers, contacts.PhoneNumber{
					ID:          idAt(byte(i * 37 % 50)),
					PhoneNumber: fmt.Sprintf("+1555%07d", i*37%50),
					Primary:     i == 33,
				})
			}
			s.create(t, r)
			s.wantContacts(t, r)
		},
	},
	{
		"no rules",
		"A store receives finished records: it never validates, normalises, defaults or authorises.",
		func(t *test, s *store) {
			a := s.tenant(t)
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon}) // the Service judges that
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
		"contact unknown",
		"FindContact returns a contact of the account. ErrNotFound: the account has no such contact.",
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			_, err := s.FindContact(t.Context(), a, newID())
			wantErr(t, "FindContact", err, contacts.ErrNotFound)
			_, err = s.FindContact(t.Context(), newID(), r.Contact.ID)
			wantErr(t, "FindContact in an unknown account", err, contacts.ErrNotFound)
		},
	},
	{
		"contact exists",
		"ErrExists: the account has a contact of that id.",
		func(t *test, s *store) {
			a := s.tenant(t)
			first := newFullContact(a, 0)
			s.create(t, first)
			impostor := newContact(a)
			impostor.Contact.ID = first.Contact.ID
			for _, again := range []*contacts.ContactRecord{first, impostor} {
				s.wantRefused(t, create(again), contacts.ErrExists)
			}
			s.wantContacts(t, first)
		},
	},
	{
		"deleted contact exists",
		"ErrExists: the account has a contact of that id.",
		func(t *test, s *store) {
			a := s.tenant(t)
			gone := named(a, "gone", deleted(noon))
			s.create(t, gone)
			impostor := newContact(a)
			impostor.Contact.ID = gone.Contact.ID
			s.wantRefused(t, create(impostor), contacts.ErrExists)
			s.wantContacts(t, gone)
		},
	},
	{
		"account or team unknown",
		unknownRule + " ErrTeamNotFound: the account has no team of that id.",
		func(t *test, s *store) {
			a, _ := s.tenant(t, 1), s.tenant(t, 2)
			for _, c := range []struct {
				name string
				r    *contacts.ContactRecord
				want error
			}{
				{"a create in an unknown account", newContact(newID()), contacts.ErrNotFound},
				{"a create in an unknown account with team", newFullContact(newID(), 1), contacts.ErrNotFound},
				{"a create in an unknown team", newFullContact(a, 3), contacts.ErrTeamNotFound},
				{"a create in the team of another", newFullContact(a, 2), contacts.ErrTeamNotFound},
			} {
				wantErr(t, "Apply of "+c.name, s.one(t.Context(), create(c.r)).Err, c.want)
				s.wantNoContacts(t, c.r)
			}
			s.create(t, newFullContact(a, 1))
		},
	},
	{
		"stale",
		staleRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			for version := range int64(3) {
				if version > 0 {
					s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, version, "events", "{}")}})
				}
				for _, wrong := range []int64{version - 1, version + 1} {
					m := create(newContact(a))
					m.Settings = wrong
					s.wantRefused(t, m, contacts.ErrStale)
				}
				m := create(newContact(a))
				m.Settings = version
				s.wantStored(t, m)
			}
		},
	},
}
