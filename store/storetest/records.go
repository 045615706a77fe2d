package storetest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// The records and the batches that the cases are made of.

// noon has microseconds. A store that keeps milliseconds or seconds loses them.
var noon = time.Date(2026, time.March, 1, 12, 0, 59, 123456000, time.UTC)

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// idAt returns an id that sorts by its first byte.
func idAt(first byte) uuid.UUID {
	id := newID()
	id[0] = first
	return id
}

func newAccount() contacts.Account {
	return contacts.Account{ID: newID(), Name: "Acme Corp", CreatedAt: noon}
}

func newTeam(account uuid.UUID, id int64) contacts.Team {
	return contacts.Team{AccountID: account, ID: id, Name: "Sales", CreatedAt: noon}
}

// newKey returns a key with every field set, except the times that make it
// inactive.
func newKey(account uuid.UUID) contacts.KeyRecord {
	id := newID()
	return contacts.KeyRecord{
		APIKey: contacts.APIKey{
			ID:          id,
			AccountID:   account,
			Name:        "web site",
			Permissions: []contacts.Permission{contacts.PermissionWriteContacts, contacts.PermissionReadContacts},
			TeamIDs:     []int64{9, 2, 1 << 62},
			AllTeams:    true,
			CreatedAt:   noon,
			ExpiresAt:   noon.AddDate(1, 0, 0),
		},
		Hash: sha256.Sum256(id[:]),
	}
}

// newContact returns a contact that has only what a Service always sets.
func newContact(account uuid.UUID) *contacts.ContactRecord {
	return &contacts.ContactRecord{Contact: contacts.Contact{
		ID:        newID(),
		AccountID: account,
		FirstName: "John",
		Country:   "US",
		Status:    "not_contacted",
		Stage:     "lead",
		CreatedAt: noon,
		UpdatedAt: noon,
		Version:   1,
	}}
}

// newFullContact returns a live contact with every other field set, each to
// another value.
func newFullContact(account uuid.UUID, team int64) *contacts.ContactRecord {
	return &contacts.ContactRecord{
		Contact: contacts.Contact{
			ID:        newID(),
			AccountID: account,
			FirstName: "Ada",
			LastName:  "Lovelace",
			Email:     "Ada.Lovelace@example.com",
			Company:   "Analytical Engines Ltd",
			Website:   "https://example.com/ada",
			Address:   "12 St James's Square\nGround floor",
			City:      "London",
			State:     "England",
			ZipCode:   "SW1Y 4JH",
			Country:   "GB",
			Status:    "contacted",
			Stage:     "customer",

			ExternalID: "A-1815",
			TeamID:     team,
			Tags:       []string{"vip", "math", "VIP"},
			PhoneNumbers: []contacts.PhoneNumber{
				{ID: newID(), PhoneNumber: "+442079460018", PhoneType: "work"},
				{ID: newID(), PhoneNumber: "+15551234567", PhoneType: "mobile", Primary: true},
			},
			CreatedAt: noon,
			UpdatedAt: noon.Add(time.Microsecond),
			Version:   1<<53 + 1,
		},
		CustomContext:   `{"score":12345678901234567890.10,"source":"letter"}`,
		IndustryContext: `{"field":{"name":"computing","since":1842}}`,
	}
}

// named returns a new contact of that name, changed by change unless that is nil.
func named(account uuid.UUID, name string, change func(*contacts.Contact)) *contacts.ContactRecord {
	r := newContact(account)
	r.Contact.FirstName = name
	if change != nil {
		change(&r.Contact)
	}
	return r
}

// deleted deletes the contact at that time. The zero time restores it.
func deleted(at time.Time) func(*contacts.Contact) {
	return func(c *contacts.Contact) { c.DeletedAt = at }
}

// copyContact returns a copy that shares no slice with the original.
func copyContact(r *contacts.ContactRecord) *contacts.ContactRecord {
	c := *r
	c.Contact.Tags = append([]string(nil), r.Contact.Tags...)
	c.Contact.PhoneNumbers = append([]contacts.PhoneNumber(nil), r.Contact.PhoneNumbers...)
	return &c
}

// newSetting returns a setting of that version.
func newSetting(account uuid.UUID, version int64, name, value string) contacts.SettingRecord {
	return contacts.SettingRecord{
		AccountID: account, Version: version, Name: name, Value: value, At: noon,
		Actor: contacts.Actor{Kind: contacts.ActorKey, KeyID: newID(), Name: "web site"},
	}
}

// onceAs returns an idempotency record that is made of the name and ends an hour
// after noon.
func onceAs(name string) *contacts.IdempotencyRecord {
	return &contacts.IdempotencyRecord{
		Key:    sha256.Sum256([]byte("key of " + name)),
		Input:  sha256.Sum256([]byte("input of " + name)),
		Result: fmt.Sprintf(`{"first":%q}`, name),
		EndsAt: noon.Add(time.Hour),
	}
}

// otherInput returns the record with another input.
func otherInput(once *contacts.IdempotencyRecord) *contacts.IdempotencyRecord {
	other := *once
	other.Input[0]++
	return &other
}

// newEntry returns an event that is made of the number and never ends.
func newEntry(n int) contacts.JournalEntry {
	return contacts.JournalEntry{Kind: contacts.JournalEvent, Subject: subject(n), At: noon, Data: fmt.Sprintf(`{"n":%d}`, n)}
}

// subject returns a subject that is made of the number.
func subject(n int) [32]byte {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], uint64(n))
	return s
}

// newEntries returns that number of different events.
func newEntries(n int) []contacts.JournalEntry {
	entries := make([]contacts.JournalEntry, n)
	for i := range entries {
		entries[i] = newEntry(i)
	}
	return entries
}

// changeOf returns the change that brings the contact to its next version.
func changeOf(r *contacts.ContactRecord, change func(*contacts.Contact)) contacts.ContactChange {
	next := copyContact(r)
	next.Contact.Version++
	next.Contact.UpdatedAt = next.Contact.UpdatedAt.Add(time.Second)
	if change != nil {
		change(&next.Contact)
	}
	return contacts.ContactChange{ID: r.Contact.ID, Record: next, Version: r.Contact.Version}
}

// creationOf returns the change that stores a new contact.
func creationOf(r *contacts.ContactRecord) contacts.ContactChange {
	return contacts.ContactChange{ID: r.Contact.ID, Record: r}
}

// removalOf returns the change that removes the contact.
func removalOf(r *contacts.ContactRecord) contacts.ContactChange {
	return contacts.ContactChange{ID: r.Contact.ID, Version: r.Contact.Version}
}

// mutationOf returns a mutation that makes the changes.
func mutationOf(account uuid.UUID, changes ...contacts.ContactChange) contacts.Mutation {
	return contacts.Mutation{AccountID: account, Contacts: changes}
}

// create returns the mutation that stores a new contact.
func create(r *contacts.ContactRecord) contacts.Mutation {
	return mutationOf(r.Contact.AccountID, creationOf(r))
}

// createOnce returns the mutation that stores a new contact with an idempotency
// record.
func createOnce(r *contacts.ContactRecord, once *contacts.IdempotencyRecord) contacts.Mutation {
	m := create(r)
	m.Idempotency = once
	return m
}

// update returns the mutation that makes one change of a contact.
func update(c contacts.ContactChange) contacts.Mutation {
	return mutationOf(c.Record.Contact.AccountID, c)
}

// remove returns the mutation that removes the contact.
func remove(r *contacts.ContactRecord) contacts.Mutation {
	return mutationOf(r.Contact.AccountID, removalOf(r))
}

// claiming returns the mutation that stores a new contact and claims the keys.
func claiming(r *contacts.ContactRecord, keys ...contacts.MatchKey) contacts.Mutation {
	m := create(r)
	m.Claims = keys
	return m
}

func externalKey(id string) contacts.MatchKey {
	return contacts.MatchKey{Kind: contacts.KeyExternalID, Value: id}
}

func emailKey(address string) contacts.MatchKey {
	return contacts.MatchKey{Kind: contacts.KeyEmail, Value: contacts.MatchEmail(address)}
}

func phoneKey(number string) contacts.MatchKey {
	return contacts.MatchKey{Kind: contacts.KeyPhoneNumber, Value: number}
}

// journal returns the mutation that holds the entries alone.
func journal(account uuid.UUID, entries ...contacts.JournalEntry) contacts.Mutation {
	return contacts.Mutation{AccountID: account, Journal: entries}
}

// each returns a mutation for each element.
func each[E any](mutation func(E) contacts.Mutation, elements ...E) []contacts.Mutation {
	var mutations []contacts.Mutation
	for _, e := range elements {
		mutations = append(mutations, mutation(e))
	}
	return mutations
}

// batchOf returns the batch of the mutations, at noon.
func batchOf(mutations ...contacts.Mutation) contacts.MutationBatch {
	return batchAt(noon, mutations...)
}

// batchAt returns the batch of the mutations, at that time.
func batchAt(now time.Time, mutations ...contacts.Mutation) contacts.MutationBatch {
	return contacts.MutationBatch{Mutations: mutations, Now: now}
}

// allOrNothing returns the batch of the mutations, at noon, all or nothing.
func allOrNothing(mutations ...contacts.Mutation) contacts.MutationBatch {
	return contacts.MutationBatch{Mutations: mutations, Now: noon, AllOrNothing: true}
}
