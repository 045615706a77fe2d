package storetest

import (
	"errors"
	"slices"
	"testing"

	"example.com/contacts"
)

const ownershipRule = "Ownership: an argument belongs to the caller, who may change it as soon as the call has returned; a result belongs to the caller too, and changing it changes nothing in the store."

var ownershipCases = []testCase{
	{
		"contacts given",
		ownershipRule,
		func(t *testing.T, s *store) {
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
		ownershipRule,
		func(t *testing.T, s *store) {
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
		ownershipRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			want := newFullContact(a, 1)
			s.create(t, want)
			// With -race, two that change their own results must not meet.
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
		ownershipRule,
		func(t *testing.T, s *store) {
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
		ownershipRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			want := newFullContact(a, 1)
			s.create(t, want)
			// With -race, two that change their own results must not meet.
			errs := make([]error, 8)
			together(len(errs), func(i int) {
				list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Deleted: true, Limit: 1})
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
		ownershipRule,
		func(t *testing.T, s *store) {
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
		ownershipRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			given := onceAs("key")
			want := *given
			batch := onceBatch(newContact(a), given)
			if outcomes := s.CreateContacts(t.Context(), batch); outcomes != nil {
				t.Fatalf("CreateContacts: %v", errors.Join(errorsOf(outcomes)...))
			}
			*given = contacts.Idempotency{}
			clear(batch.Idempotencies)
			wantSame(t, "CreateContacts again", contacts.ContactOutcome{Result: want.Result}, s.createOnce(t, newContact(a), &want))
		},
	},
	{
		"directory given",
		ownershipRule,
		func(t *testing.T, s *store) {
			want := ownedDirectory()
			given := copyDirectory(want)
			s.add(t, given)
			spoilDirectory(given)
			wantSame(t, "ListDirectory", want, s.directory(t))
			wantSame(t, "FindKey", want.Keys[0], s.key(t, want.Keys[0].Hash))
		},
	},
	{
		"directory returned",
		ownershipRule,
		func(t *testing.T, s *store) {
			want := ownedDirectory()
			given := copyDirectory(want)
			spoilDirectory(s.add(t, given))
			wantSame(t, "the argument of AddToDirectory", want, given)
			wantSame(t, "ListDirectory", want, s.directory(t))
			wantSame(t, "FindKey", want.Keys[0], s.key(t, want.Keys[0].Hash))
		},
	},
	{
		"directory listed",
		ownershipRule,
		func(t *testing.T, s *store) {
			want := ownedDirectory()
			s.add(t, want)
			spoilDirectory(s.directory(t))
			wantSame(t, "ListDirectory", want, s.directory(t))
			wantSame(t, "FindKey", want.Keys[0], s.key(t, want.Keys[0].Hash))
		},
	},
	{
		"argument unchanged",
		"Ownership: an argument belongs to the caller",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 4)
			team, k, r := newTeam(a, 0), newKey(a), newFullContact(a, 4)
			given := contacts.Directory{Teams: []contacts.Team{team}, Keys: []contacts.KeyRecord{k}}
			s.add(t, given)
			wantSame(t, "the argument of AddToDirectory", contacts.Directory{Teams: []contacts.Team{team}, Keys: []contacts.KeyRecord{k}}, given)
			want := copyContact(r)
			s.create(t, r)
			wantSame(t, "the argument of CreateContacts", want, r)

			change := changeOf(r, nil)
			want = copyContact(change.Record)
			changes := []contacts.ContactChange{change}
			s.update(t, changes...)
			wantSame(t, "the argument of UpdateContacts", want, changes[0].Record)

			query := contacts.ContactQuery{AccountID: a, Teams: []int64{4, 9, 1}, Deleted: true, Limit: 1}
			s.listContacts(t, query)
			wantSame(t, "the teams of ListContacts", []int64{4, 9, 1}, query.Teams)

			fresh := newContact(a)
			failing := func() contacts.ContactBatch {
				batch := onceBatch(copyContact(fresh), onceAs("key"))
				batch.AllOrNothing = true
				batch.Records = append(batch.Records, copyContact(r)) // which exists
				batch.Idempotencies = append(batch.Idempotencies, onceAs("other key"))
				return batch
			}
			batch := failing()
			s.CreateContacts(t.Context(), batch)
			wantSame(t, "the argument of CreateContacts of all or nothing", failing(), batch)
		},
	},
	{
		"team found",
		ownershipRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			for range 2 {
				team, err := s.FindTeam(t.Context(), a, 1)
				if err != nil {
					t.Fatalf("FindTeam: %v", err)
				}
				wantSame(t, "FindTeam", newTeam(a, 1), *team)
				*team = contacts.Team{}
			}
		},
	},
	{
		"key found is shared",
		"The one exception is said at FindKey. The result is shared: neither side changes it.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			held, err := s.FindKey(t.Context(), k.Hash)
			if err != nil {
				t.Fatalf("FindKey: %v", err)
			}
			s.deactivate(t, contacts.Deactivation{KeyID: k.ID, At: noon})
			s.deactivate(t, contacts.Deactivation{AccountID: a, At: noon})
			wantSame(t, "a result that was held over Deactivate", k, *held)
		},
	},
}

func ownedDirectory() contacts.Directory {
	a := newAccount()
	return contacts.Directory{
		Accounts: []contacts.Account{a},
		Teams:    []contacts.Team{newTeam(a.ID, 1)},
		Keys:     []contacts.KeyRecord{newKey(a.ID)},
	}
}

func copyContact(r *contacts.ContactRecord) *contacts.ContactRecord {
	c := *r
	c.Contact.Tags = append([]string(nil), r.Contact.Tags...)
	c.Contact.PhoneNumbers = append([]contacts.PhoneNumber(nil), r.Contact.PhoneNumbers...)
	return &c
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
}
