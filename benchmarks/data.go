package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A world is what the contacts of a run belong to, the same in every store.
type world struct {
	directory contacts.Directory   // ten accounts, each with a team and a key
	keys      map[uuid.UUID]string // the secret of each account's key
}

// A contact is one contact in both forms: what a caller gives a Service, and
// what the Service would make of it, for those that are spared its work.
type contact struct {
	key    string
	input  contacts.CreateContactInput
	record *contacts.ContactRecord
}

const (
	dataText = "every field filled, 2 phone numbers, 2 of 40 tags, 2 contexts; " +
		"numbers and e-mail addresses random; 10 accounts, each with a team and a key"

	accounts = 10
	tags     = 40
)

func newWorld(ctx context.Context) (*world, error) {
	store := memory.New()
	defer store.Close()
	admin := contacts.NewAdmin(store, nil)
	w := &world{keys: make(map[uuid.UUID]string)}
	for i := range accounts {
		a, err := admin.CreateAccount(ctx, fmt.Sprintf("Account %d", i))
		if err != nil {
			return nil, err
		}
		t, err := admin.CreateTeam(ctx, contacts.Team{AccountID: a.ID, Name: "Sales"})
		if err != nil {
			return nil, err
		}
		secret, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
			AccountID:   a.ID,
			Permissions: []contacts.Permission{contacts.PermissionReadContacts},
			TeamIDs:     []int64{t.ID},
		})
		if err != nil {
			return nil, err
		}
		// Only a store knows the hash of a key.
		keys, err := store.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: a.ID, Limit: 1})
		if err != nil {
			return nil, err
		}
		w.directory.Accounts = append(w.directory.Accounts, *a)
		w.directory.Teams = append(w.directory.Teams, *t)
		w.directory.Keys = append(w.directory.Keys, keys.Keys...)
		w.keys[a.ID] = secret
	}

	// What is loaded once in a process, such as the rules of phone numbers, is
	// loaded here, before any clock starts.
	svc, err := contacts.New(store, nil)
	if err != nil {
		return nil, err
	}
	for _, c := range w.contacts(100) {
		if _, err := svc.CreateContact(ctx, c.key, c.input); err != nil {
			return nil, err
		}
		if _, err := phonenumbers.Parse(c.input.PhoneNumbers[0].PhoneNumber, ""); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// move gives the contact to another account, so that a caller creates it there.
func (w *world) move(c *contact, account int) {
	c.key, c.input.TeamID = w.keys[w.directory.Accounts[account].ID], w.directory.Teams[account].ID
}

// contacts returns n new contacts, of which no two share a phone number.
func (w *world) contacts(n int) []*contact {
	all := make([]*contact, n)
	known := make(map[string]bool, 2*n)
	for i := range all {
		r := w.record()
		for slices.ContainsFunc(r.Contact.PhoneNumbers, func(p contacts.PhoneNumber) bool { return known[p.PhoneNumber] }) {
			r = w.record()
		}
		for _, p := range r.Contact.PhoneNumbers {
			known[p.PhoneNumber] = true
		}
		c := &r.Contact
		in := contacts.CreateContactInput{
			FirstName: c.FirstName, LastName: c.LastName, Email: c.Email, Company: c.Company, Website: c.Website,
			Address: c.Address, City: c.City, State: c.State, ZipCode: c.ZipCode, Country: c.Country,
			Status: c.Status, Stage: c.Stage, TeamID: c.TeamID, Tags: c.Tags,
			CustomContext:   map[string]any{"lead_source": "website", "score": 85},
			IndustryContext: map[string]any{"employees": 250, "industry": "technology"},
		}
		for _, p := range c.PhoneNumbers {
			in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{
				PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary, DoNotCall: p.DoNotCall,
			})
		}
		all[i] = &contact{w.keys[c.AccountID], in, r}
	}
	return all
}

// records returns n new contacts, as a Service hands them to a store.
func (w *world) records(n int) []*contacts.ContactRecord {
	all := make([]*contacts.ContactRecord, n)
	for i := range all {
		all[i] = w.record()
	}
	return all
}

func (w *world) record() *contacts.ContactRecord {
	team := &w.directory.Teams[rand.IntN(accounts)]
	now := time.Now().UTC().Truncate(time.Microsecond)
	n := rand.Uint64()
	tag := rand.IntN(tags)
	other := (tag + 1 + rand.IntN(tags-1)) % tags
	return &contacts.ContactRecord{
		Contact: contacts.Contact{
			ID: newID(), AccountID: team.AccountID, TeamID: team.ID,
			FirstName: "John", LastName: "Doe", Email: fmt.Sprintf("%x@example.com", n), Company: "Acme Corp", Website: "https://example.com/",
			Address: "123 Main St", City: "San Francisco", State: "CA", ZipCode: "94105", Country: "US", Status: "contacted", Stage: "customer",
			Tags: []string{fmt.Sprintf("tag %d", tag), fmt.Sprintf("tag %d", other)},
			PhoneNumbers: []contacts.PhoneNumber{
				{ID: newID(), PhoneNumber: fmt.Sprintf("+1%010d", 2_000_000_000+n%8_000_000_000), PhoneType: "mobile", Primary: true},
				{ID: newID(), PhoneNumber: fmt.Sprintf("+49%010d", 3_000_000_000+n/8%7_000_000_000), PhoneType: "work"},
			},
			CreatedAt: now, UpdatedAt: now,
		},
		CustomContext:   `{"lead_source":"website","score":85}`,
		IndustryContext: `{"employees":250,"industry":"technology"}`,
	}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
