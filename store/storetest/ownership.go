package storetest

import (
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	argumentRule = "Ownership: an argument belongs to the caller, who may change it after the call has returned."
	resultRule   = "A result belongs to the caller too, and changing it changes nothing in the store."
)

var ownershipCases = []testCase{
	{
		"contacts given",
		argumentRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			given := []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(a, 1)}
			want := []*contacts.ContactRecord{copyContact(given[0]), copyContact(given[1])}
			s.create(t, given...)
			spoilContact(given[0])
			clear(given[1].Contact.Tags) // within the slices alone
			clear(given[1].Contact.PhoneNumbers)
			given[0], given[1] = nil, nil
			s.wantContacts(t, want...)
		},
	},
	{
		"contacts found",
		resultRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			want := newFullContact(a, 1)
			s.create(t, want)
			spoilContact(s.contact(t, a, want.Contact.ID))
			s.wantContacts(t, want)
			r := s.contact(t, a, want.Contact.ID)
			clear(r.Contact.Tags) // within the slices alone
			clear(r.Contact.PhoneNumbers)
			s.wantContacts(t, want)
		},
	},
	{
		"contacts found by many",
		resultRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			want := newFullContact(a, 1)
			s.create(t, want)
			// With -race: two callers that change their own results must not meet.
			errs := make([]error, 8)
			together(len(errs), func(i int) {
				r, err := s.FindContact(t.Context(), a, want.Contact.ID)
				if errs[i] = err; err == nil {
					spoilContact(r)
				}
			})
			for _, err := range errs {
				wantErr(t, "FindContact", err, nil)
			}
			s.wantContacts(t, want)
		},
	},
	{
		"contacts listed",
		resultRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			want := []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(a, 1)}
			s.create(t, want...)
			slices.Reverse(want) // newest first
			for _, r := range s.allContacts(t, a) {
				spoilContact(r)
			}
			wantSame(t, "ListContacts after its result was changed", want, s.allContacts(t, a))
			s.wantContacts(t, want...)
		},
	},
	{
		"contacts listed to many",
		resultRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			want := newFullContact(a, 1)
			s.create(t, want)
			// With -race: two callers that change their own results must not meet.
			errs := make([]error, 8)
			together(len(errs), func(i int) {
				list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 1})
				errs[i] = err
				for _, r := range list.Records {
					spoilContact(r)
				}
			})
			for _, err := range errs {
				wantErr(t, "ListContacts", err, nil)
			}
			s.wantContacts(t, want)
		},
	},
	{
		"changes given",
		argumentRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			old := []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(a, 1)}
			s.create(t, old...)
			given := []contacts.ContactChange{changeOf(old[0], nil), changeOf(old[1], nil)}
			want := []*contacts.ContactRecord{copyContact(given[0].Record), copyContact(given[1].Record)}
			s.update(t, given...)
			spoilContact(given[0].Record)
			clear(given[1].Record.Contact.Tags) // within the slices alone
			clear(given[1].Record.Contact.PhoneNumbers)
			clear(given)
			s.wantContacts(t, want...)
		},
	},
	{
		"idempotency given",
		argumentRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			given := onceAs("key")
			want := *given
			batch := batchOf(createOnce(newContact(a), given))
			wantErrs(t, s.outcomes(t, batch))
			*given = contacts.IdempotencyRecord{}
			clear(batch.Mutations)
			s.wantReplay(t, createOnce(newContact(a), &want), want.Result)
		},
	},
	{
		"directory given",
		argumentRule,
		func(t *test, s *store) {
			want := ownedDirectory()
			given := copyDirectory(want)
			s.add(t, given)
			spoilDirectory(given)
			wantSame(t, "ListDirectory", want, s.directory(t))
			s.wantKey(t, "FindKey", want.Keys[0])
		},
	},
	{
		"directory returned",
		resultRule,
		func(t *test, s *store) {
			want := ownedDirectory()
			given := copyDirectory(want)
			spoilDirectory(s.add(t, given))
			wantSame(t, "the argument of AddToDirectory", want, given)
			wantSame(t, "ListDirectory", want, s.directory(t))
			s.wantKey(t, "FindKey", want.Keys[0])
		},
	},
	{
		"directory listed",
		resultRule,
		func(t *test, s *store) {
			want := ownedDirectory()
			s.add(t, want)
			spoilDirectory(s.directory(t))
			wantSame(t, "ListDirectory", want, s.directory(t))
			s.wantKey(t, "FindKey", want.Keys[0])
		},
	},
	{
		"argument unchanged",
		argumentRule,
		func(t *test, s *store) {
			a := s.tenant(t, 4)
			team, k, r := newTeam(a, 0), newKey(a), newFullContact(a, 4)
			given := contacts.Directory{Teams: []contacts.Team{team}, Keys: []contacts.KeyRecord{k}}
			s.add(t, given)
			wantSame(t, "the argument of AddToDirectory", contacts.Directory{Teams: []contacts.Team{team}, Keys: []contacts.KeyRecord{k}}, given)
			want := copyContact(r)
			s.create(t, r)
			wantSame(t, "the contact that Apply was given", want, r)

			query := contacts.ContactQuery{AccountID: a, Teams: []int64{4, 9, 1}, Limit: 1}
			query.IDs, query.MatchKeys = []uuid.UUID{r.Contact.ID, idAt(9), idAt(1)}, r.MatchKeys()
			ids, keys := slices.Clone(query.IDs), slices.Clone(query.MatchKeys)
			s.listContacts(t, query)
			wantSame(t, "the teams of ListContacts", []int64{4, 9, 1}, query.Teams)
			wantSame(t, "the ids of ListContacts", ids, query.IDs)
			wantSame(t, "the match keys of ListContacts", keys, query.MatchKeys)
			subjects := [][32]byte{subject(1), subject(2)}
			s.listJournal(t, contacts.JournalQuery{AccountID: a, Subjects: subjects, Limit: 1})
			wantSame(t, "the subjects of ListJournal", [][32]byte{subject(1), subject(2)}, subjects)

			change, fresh := changeOf(r, nil), newContact(a)
			mutations := func() []contacts.Mutation {
				first := createOnce(copyContact(fresh), onceAs("key"))
				first.Journal, first.Claims = newEntries(2), []contacts.MatchKey{emailKey("ada@example.org"), phoneKey("+15557654321")}
				second := update(change)
				second.Contacts = slices.Clone(second.Contacts)
				second.Contacts[0].Record = copyContact(change.Record)
				return []contacts.Mutation{first, second}
			}
			taken := create(copyContact(r))
			batch := allOrNothing(append(mutations(), taken)...)
			wantErrs(t, s.outcomes(t, batch), contacts.ErrBatchFailed, contacts.ErrBatchFailed, contacts.ErrExists)
			wantSame(t, "the argument of Apply that refused it", append(mutations(), create(r)), batch.Mutations)
			batch = allOrNothing(mutations()...)
			wantErrs(t, s.outcomes(t, batch))
			wantSame(t, "the argument of Apply", mutations(), batch.Mutations)
		},
	},
	{
		"mutation given",
		argumentRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			m := create(newContact(a))
			m.Claims, m.Journal = []contacts.MatchKey{emailKey("grace@example.com")}, newEntries(3)
			batch := batchOf(m)
			wantErrs(t, s.outcomes(t, batch))
			clear(m.Claims)
			clear(m.Journal)
			clear(m.Contacts)
			clear(batch.Mutations)
			s.wantEntries(t, a, numbered(1, newEntries(3))...)
		},
	},
	{
		"journal listed",
		resultRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.apply(t, journal(a, newEntries(5)...))
			// With -race: two callers that change their own results must not meet.
			errs := make([]error, 8)
			together(len(errs), func(i int) {
				entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Backwards: i%2 == 0, Limit: 9})
				errs[i] = err
				clear(entries)
			})
			for _, err := range errs {
				wantErr(t, "ListJournal", err, nil)
			}
			s.wantEntries(t, a, numbered(1, newEntries(5))...)
		},
	},
	{
		"outcomes returned",
		resultRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			holder := named(a, "holder", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			s.wantStored(t, createOnce(holder, onceAs("key")))
			for range 2 {
				outcomes := s.outcomes(t, batchOf(claiming(newContact(a), emailKey("ada@example.com")), createOnce(newContact(a), onceAs("key"))))
				wantErrs(t, outcomes, contacts.ErrDuplicate, nil)
				wantSame(t, "Holders", []contacts.Holder{{ContactID: holder.Contact.ID}}, outcomes[0].Holders)
				wantSame(t, "Result", onceAs("key").Result, outcomes[1].Result)
				clear(outcomes[0].Holders)
				clear(outcomes)
			}
		},
	},
	{
		"key found is shared",
		"FindKey and FindAccount say the exception. The result is shared: neither side changes it.",
		func(t *test, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "1")}})
			key, err := s.FindKey(t.Context(), k.Hash)
			if err != nil {
				t.Fatalf("FindKey: %v", err)
			}
			account, err := s.FindAccount(t.Context(), a)
			if err != nil {
				t.Fatalf("FindAccount: %v", err)
			}
			was := contacts.AccountRecord{Account: s.directory(t).Accounts[0], SettingsVersion: 1, Settings: map[string]string{"events": "1"}}
			s.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: noon})
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 2, "events", "2"), newSetting(a, 3, "duplicates", "3")}})
			wantSame(t, "an account that was held over changes", was, *account)
			k.Account = &was
			wantSame(t, "a key that was held over changes", k, *key)
		},
	},
}

func ownedDirectory() contacts.Directory {
	a := newAccount()
	return contacts.Directory{
		Accounts: []contacts.Account{a},
		Teams:    []contacts.Team{newTeam(a.ID, 1)},
		Keys:     []contacts.KeyRecord{newKey(a.ID)},
		Settings: []contacts.SettingRecord{newSetting(a.ID, 1, "events", "{}")},
	}
}

// spoilContact changes the record and all it holds.
func spoilContact(r *contacts.ContactRecord) {
	clear(r.Contact.Tags)
	clear(r.Contact.PhoneNumbers)
	*r = contacts.ContactRecord{}
}

func copyDirectory(d contacts.Directory) contacts.Directory {
	c := contacts.Directory{
		Accounts: append([]contacts.Account(nil), d.Accounts...),
		Teams:    append([]contacts.Team(nil), d.Teams...),
		Keys:     append([]contacts.KeyRecord(nil), d.Keys...),
		Settings: append([]contacts.SettingRecord(nil), d.Settings...),
	}
	for i, k := range c.Keys {
		c.Keys[i].Permissions = append([]contacts.Permission(nil), k.Permissions...)
		c.Keys[i].TeamIDs = append([]int64(nil), k.TeamIDs...)
	}
	return c
}

// spoilDirectory changes the records and all they hold.
func spoilDirectory(d contacts.Directory) {
	for _, k := range d.Keys {
		clear(k.Permissions)
		clear(k.TeamIDs)
	}
	clear(d.Accounts)
	clear(d.Teams)
	clear(d.Keys)
	clear(d.Settings)
}
