package modeltest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
)

var (
	someNames    = []string{"Ada", "ada", "Åsa", "A\u030asa", "Straße", "STRASSE", "Bob"}
	someTexts    = []string{"", "", "new", "Ünit", "unit", "%_\\"}
	someEmails   = []string{"", "", "ada@example.com", "Bob@example.com", "bob@example.com", "é@example.com"}
	someTags     = []string{"vip", "VIP", "a \"b\" \\", "é", "all"}
	someTeams    = []int64{0, 0, 1, 2, 3} // 3 seldom exists
	someNumbers  = []string{"+15550100", "+15550101", "+15550102", "+15550103"}
	someSearches = []string{"a", "ada", "strasse", "ss", "bob@", "ada bob@", "asa com", "unit s", "e@", "%", "_"} // in the form of FoldSearch
	someForms    = []string{"", "", `{}`, `{"a":[1,2.50,null],"b":"\u00e9"}`}
)

// someAges are how long ago a contact was deleted.
var someAges = []time.Duration{0, time.Second, 5 * time.Second}

func someKey() *rapid.Generator[contacts.MatchKey] {
	return rapid.Custom(func(t *rapid.T) contacts.MatchKey {
		if email := rapid.SampledFrom(someEmails).Draw(t, "e-mail of a key"); email != "" {
			return contacts.MatchKey{Kind: contacts.KeyEmail, Value: contacts.MatchEmail(email)}
		}
		return contacts.MatchKey{Kind: contacts.KeyPhoneNumber, Value: rapid.SampledFrom(someNumbers).Draw(t, "number of a key")}
	})
}

// fill draws all of the record but its ids, its version, its times and its
// deletion.
func fill(t *rapid.T, r *contacts.ContactRecord) {
	c := &r.Contact
	c.FirstName = rapid.SampledFrom(someNames).Draw(t, "first name")
	c.LastName = rapid.SampledFrom(someNames).Draw(t, "last name")
	c.Company = rapid.SampledFrom(someTexts).Draw(t, "company")
	c.Email = rapid.SampledFrom(someEmails).Draw(t, "email")
	c.Status = rapid.SampledFrom(someTexts).Draw(t, "status")
	c.Stage = rapid.SampledFrom(someTexts).Draw(t, "stage")
	c.TeamID = rapid.SampledFrom(someTeams).Draw(t, "team")
	c.Country = "US"
	c.Tags = rapid.SliceOfNDistinct(rapid.SampledFrom(someTags), 0, 3, rapid.ID[string]).Draw(t, "tags")
	if len(c.Tags) == 0 {
		c.Tags = nil // as it comes back
	}
	c.PhoneNumbers = nil
	for i := range rapid.IntRange(0, 2).Draw(t, "numbers") {
		c.PhoneNumbers = append(c.PhoneNumbers, contacts.PhoneNumber{
			ID: newID(), PhoneNumber: rapid.SampledFrom(someNumbers).Draw(t, "number"),
			Primary: i == 0,
		})
	}
	r.CustomContext = rapid.SampledFrom(someForms).Draw(t, "custom context")
	r.IndustryContext = rapid.SampledFrom(someForms).Draw(t, "industry context")
}

// populate stores some contacts that a check starts with.
func (m *model) populate(t *rapid.T) {
	b := contacts.MutationBatch{Now: m.now}
	for range 8 {
		a := m.account(t)
		b.Mutations = append(b.Mutations, contacts.Mutation{AccountID: a, Contacts: []contacts.ContactChange{m.creation(t, a, newID())}})
	}
	m.applyBatch(t, b)
}

// apply makes a batch of mutations of every kind.
func (m *model) apply(t *rapid.T) {
	b := contacts.MutationBatch{
		Now:          m.now,
		AllOrNothing: rapid.IntRange(0, 3).Draw(t, "all or nothing") == 0,
		DryRun:       rapid.IntRange(0, 4).Draw(t, "dry run") == 0,
	}
	// In a dry run no two mutations may have anything in common.
	if b.DryRun {
		for _, a := range m.accounts {
			if a == m.accounts[0] || rapid.Bool().Draw(t, "both accounts") {
				b.Mutations = append(b.Mutations, m.mutation(t, a))
			}
		}
	} else {
		for range rapid.IntRange(1, 6).Draw(t, "mutations") {
			b.Mutations = append(b.Mutations, m.mutation(t, m.anyAccount(t)))
		}
	}
	m.applyBatch(t, b)
}

// applyBatch compares the outcomes.
func (m *model) applyBatch(t *rapid.T, b contacts.MutationBatch) {
	want, wantErr := m.memory.Apply(t.Context(), b)
	got, err := m.store(t).Apply(t.Context(), b)
	if err != nil || wantErr != nil {
		t.Fatalf("Apply: got error %v, want %v", err, wantErr)
	}
	if len(got) != len(want) {
		t.Fatalf("Apply: got %d outcomes, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
	for i := range want {
		call := fmt.Sprintf("Apply, mutation %d of %d", i, len(want))
		if !sameContactError(&b.Mutations[i], want[i].Err, got[i].Err) {
			sameError(t, call, want[i].Err, got[i].Err)
		}
		if got[i].Result != want[i].Result {
			t.Fatalf("%s: got result %q, want %q", call, got[i].Result, want[i].Result)
		}
		if diff := cmp.Diff(want[i].Holders, got[i].Holders); diff != "" {
			t.Fatalf("%s: holders (-memory +tested):\n%s", call, diff)
		}
	}
	for i := range b.Mutations {
		for _, c := range b.Mutations[i].Contacts {
			if id := (contactID{b.Mutations[i].AccountID, c.ID}); !slices.Contains(m.contacts, id) {
				m.contacts = append(m.contacts, id)
			}
		}
	}
}

// sameContactError reports whether both errors are about one of the contacts of
// the mutation: which of several is refused is not said.
func sameContactError(mutation *contacts.Mutation, want, got error) bool {
	of := func(err error) bool {
		return errors.Is(err, contacts.ErrExists) || errors.Is(err, contacts.ErrConflict) ||
			errors.Is(err, contacts.ErrNotFound) && !errors.Is(err, contacts.ErrTeamNotFound)
	}
	return len(mutation.Contacts) > 1 && of(want) && of(got)
}

// mutation draws one of the account.
func (m *model) mutation(t *rapid.T, account uuid.UUID) contacts.Mutation {
	mutation := contacts.Mutation{AccountID: account}
	if a, err := m.memory.FindAccount(t.Context(), account); err == nil {
		mutation.Settings = a.SettingsVersion
	}
	if rarely(t, "stale settings") {
		mutation.Settings++
	}
	if rapid.IntRange(0, 2).Draw(t, "idempotent") == 0 {
		mutation.Idempotency = &contacts.IdempotencyRecord{
			Key:    [32]byte{byte(rapid.IntRange(1, 10).Draw(t, "key"))},
			Input:  [32]byte{byte(rapid.IntRange(1, 2).Draw(t, "input"))},
			Result: newID().String(),
			EndsAt: m.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "ends")) * time.Second),
		}
	}
	for range rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2, 3}).Draw(t, "changes") {
		c := m.change(t, account)
		if !slices.ContainsFunc(mutation.Contacts, func(o contacts.ContactChange) bool { return o.ID == c.ID }) {
			mutation.Contacts = append(mutation.Contacts, c)
		}
	}
	if slices.ContainsFunc(mutation.Contacts, func(c contacts.ContactChange) bool { return c.Record != nil }) && rapid.Bool().Draw(t, "claims") {
		mutation.Claims = rapid.SliceOfNDistinct(someKey(), 1, 3, rapid.ID[contacts.MatchKey]).Draw(t, "claims")
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 3, 6}).Draw(t, "entries") {
		mutation.Journal = append(mutation.Journal, m.entry(t, account))
	}
	return mutation
}

// change draws a change of a contact of the account: a new one, another record,
// a deletion, a restoration or a removal, and seldom one that is refused.
func (m *model) change(t *rapid.T, account uuid.UUID) contacts.ContactChange {
	known := slices.DeleteFunc(slices.Clone(m.contacts), func(c contactID) bool { return c.account != account })
	if len(known) == 0 || rapid.IntRange(0, 2).Draw(t, "new") == 0 {
		return m.creation(t, account, newID())
	}
	id := rapid.SampledFrom(known).Draw(t, "contact").id
	stored := m.stored(contactID{account, id})
	if rarely(t, "taken id") || stored == nil && rapid.Bool().Draw(t, "once more") {
		return m.creation(t, account, id)
	}
	if stored == nil { // it was removed, or never stored
		c := m.creation(t, account, id)
		c.Version = 1
		return c
	}
	c := contacts.ContactChange{ID: id, Version: stored.Contact.Version}
	if rarely(t, "other version") {
		c.Version++
	}
	next := *stored
	switch rapid.IntRange(0, 5).Draw(t, "change") {
	case 0:
		return c // removed
	case 1, 2:
		next.Contact.DeletedAt = m.now
	case 3:
		next.Contact.DeletedAt = time.Time{}
	default:
		fill(t, &next)
	}
	next.Contact.Version, next.Contact.UpdatedAt = c.Version+1, m.now
	c.Record = &next
	return c
}

// creation draws a new contact. A copied one may have any version, and may be
// deleted.
func (m *model) creation(t *rapid.T, account, id uuid.UUID) contacts.ContactChange {
	r := &contacts.ContactRecord{Contact: contacts.Contact{
		ID: id, AccountID: account, CreatedAt: m.now, UpdatedAt: m.now, Version: 1,
	}}
	fill(t, r)
	if rapid.IntRange(0, 3).Draw(t, "copied") == 0 {
		r.Contact.Version = rapid.Int64Range(1, 9).Draw(t, "version")
		r.Contact.DeletedAt = m.now.Add(-rapid.SampledFrom(someAges).Draw(t, "deleted"))
	}
	return contacts.ContactChange{ID: id, Record: r}
}

// addSetting stores a setting, which seldom is not the next one.
func (m *model) addSetting(t *rapid.T) {
	s := contacts.SettingRecord{
		AccountID: m.anyAccount(t), Version: 1,
		Name:  rapid.SampledFrom([]string{"duplicates", "fields"}).Draw(t, "name"),
		Value: rapid.SampledFrom([]string{"", `{}`, `{"a":1}`}).Draw(t, "value"),
		At:    m.now,
		Actor: contacts.Actor{Kind: contacts.ActorKey, KeyID: newID(), Name: "é"},
	}
	if a, err := m.memory.FindAccount(t.Context(), s.AccountID); err == nil {
		s.Version = a.SettingsVersion + 1
	}
	if rarely(t, "other version") {
		s.Version += rapid.SampledFrom([]int64{-1, 1}).Draw(t, "by")
	}
	if s.Version < 1 {
		s.Version = 2
	}
	m.add(t, contacts.Directory{Settings: []contacts.SettingRecord{s}})
	m.findAccounts(t)
}

// addTeams adds teams, of which one may be there.
func (m *model) addTeams(t *rapid.T) {
	a := m.anyAccount(t)
	m.add(t, contacts.Directory{Teams: []contacts.Team{
		{AccountID: a, Name: "é", CreatedAt: m.now},
		{AccountID: a, ID: rapid.Int64Range(0, 9).Draw(t, "team"), CreatedAt: m.now},
	}})
}

// addKey adds a key, whose hash may be taken.
func (m *model) addKey(t *rapid.T) {
	k := contacts.KeyRecord{APIKey: contacts.APIKey{
		ID: newID(), AccountID: m.account(t), Name: "key", CreatedAt: m.now, AllTeams: rapid.Bool().Draw(t, "all teams"),
	}}
	copy(k.Hash[:], k.ID[:])
	if len(m.keys) > 0 && rarely(t, "taken hash") {
		k.Hash = rapid.SampledFrom(m.keys).Draw(t, "key").Hash
	}
	m.add(t, contacts.Directory{Keys: []contacts.KeyRecord{k}})
	m.keys = append(m.keys, k)
}

// add compares what AddToDirectory returns.
func (m *model) add(t *rapid.T, d contacts.Directory) {
	want, wantErr := m.memory.AddToDirectory(t.Context(), d.Clone())
	got, err := m.store(t).AddToDirectory(t.Context(), d.Clone())
	same(t, "AddToDirectory", want, got, wantErr, err)
}

// updateDirectory disables or enables an account, or revokes a key.
func (m *model) updateDirectory(t *rapid.T) {
	u := contacts.DirectoryUpdate{At: m.now}
	switch {
	case len(m.keys) > 0 && rapid.Bool().Draw(t, "of a key"):
		u.KeyID = rapid.SampledFrom(m.keys).Draw(t, "key").ID
	default:
		u.AccountID = m.anyAccount(t)
		if rapid.Bool().Draw(t, "enable") {
			u.At = time.Time{}
		}
	}
	want, got := m.memory.UpdateDirectory(t.Context(), u), m.store(t).UpdateDirectory(t.Context(), u)
	sameError(t, "UpdateDirectory", want, got)
	m.findAccounts(t)
}

// listDirectory compares a page of what an account has.
func (m *model) listDirectory(t *rapid.T) {
	q := contacts.DirectoryQuery{
		Kind:         rapid.SampledFrom([]contacts.DirectoryKind{contacts.DirectoryTeams, contacts.DirectoryKeys, contacts.DirectorySettings}).Draw(t, "kind"),
		AccountID:    m.anyAccount(t),
		AfterTeam:    rapid.Int64Range(0, 3).Draw(t, "after team"),
		AfterVersion: rapid.Int64Range(0, 3).Draw(t, "after version"),
		Limit:        rapid.SampledFrom([]int{1, 2, 1000}).Draw(t, "limit"),
	}
	if len(m.keys) > 0 && rapid.Bool().Draw(t, "after a key") {
		q.After = rapid.SampledFrom(m.keys).Draw(t, "key").ID
	}
	want, wantErr := m.memory.ListDirectory(t.Context(), q)
	for _, s := range m.tested {
		got, err := s.ListDirectory(t.Context(), q)
		same(t, fmt.Sprintf("ListDirectory(%+v)", q), want, got, wantErr, err)
	}
}

// findAccounts compares the accounts and the keys that both stores find.
func (m *model) findAccounts(t *rapid.T) {
	for _, a := range append(slices.Clone(m.accounts), newID()) {
		want, wantErr := m.memory.FindAccount(t.Context(), a)
		for _, s := range m.tested {
			got, err := s.FindAccount(t.Context(), a)
			same(t, "FindAccount", want, got, wantErr, err)
		}
	}
	for _, k := range m.keys {
		want, wantErr := m.memory.FindKey(t.Context(), k.Hash)
		for _, s := range m.tested {
			got, err := s.FindKey(t.Context(), k.Hash)
			same(t, "FindKey", want, got, wantErr, err)
		}
	}
}
