package storetest

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	dryRule      = "With DryRun nothing is stored."
	sameRule     = "The outcomes are those that the same call without DryRun would have."
	readOnlyRule = "DryRun works where nothing can be written."
)

var dryRunCases = []testCase{
	{
		"the outcomes of the real call",
		dryRule + " " + sameRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t)
			w := s.mixedWorld(t, a, b)
			for name, batch := range w.batches(a, b) {
				before := s.snapshot(t, a, b)
				dry := batch
				dry.DryRun = true
				first := s.outcomes(t, dry)
				second := s.outcomes(t, dry)
				wantSame(t, "what is stored after a dry run of "+name, before, s.snapshot(t, a, b))
				stored := s.outcomes(t, batch)
				for i, outcomes := range [][]contacts.MutationOutcome{first, second} {
					wantSame(t, fmt.Sprintf("outcomes of dry run %d of %s", i+1, name), plain(stored), plain(outcomes))
				}
			}
			// Its idempotency record is not kept, nor are its match keys.
			r := named(a, "", func(c *contacts.Contact) { c.Email = "dry@example.com" })
			dry := createOnce(r, onceAs("dry"))
			dry.Claims = r.MatchKeys()
			batch := batchOf(dry)
			batch.DryRun = true
			wantErrs(t, s.outcomes(t, batch))
			dry.Idempotency = otherInput(dry.Idempotency)
			s.wantStored(t, dry)
			// Nothing is removed either.
			s.apply(t, journal(a, contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, EndsAt: noon, Data: "ended"}, newEntry(1)))
			before := s.entries(t, a)
			for _, mutations := range [][]contacts.Mutation{nil, {create(newContact(a))}} {
				late := batchAt(noon.AddDate(9, 0, 0), mutations...)
				late.DryRun = true
				wantErrs(t, s.outcomes(t, late))
				wantSame(t, fmt.Sprintf("the journal after a late dry run of %d mutations", len(mutations)), before, s.entries(t, a))
			}
		},
	},
	{
		"where nothing can be written",
		readOnlyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t)
			w := s.mixedWorld(t, a, b)
			readOnly := s.readOnly(t)
			if _, err := readOnly.Apply(t.Context(), batchOf(create(newContact(a)))); err == nil {
				t.Fatal("Harness.ReadOnly: a store that stored a contact")
			}
			for name, batch := range w.batches(a, b) {
				batch.DryRun = true
				outcomes := readOnly.outcomes(t, batch)
				want := s.outcomes(t, batch)
				wantSame(t, "outcomes of "+name, plain(want), plain(outcomes))
			}
		},
	},
}

// A mixedWorld is what a batch may meet.
type mixedWorld struct {
	holder, twin, changed, removed, taken *contacts.ContactRecord
	entry                                 contacts.JournalEntry
}

func (s *store) mixedWorld(t *test, a, b uuid.UUID) mixedWorld {
	t.Helper()
	w := mixedWorld{
		holder:  named(a, "holder", func(c *contacts.Contact) { c.Email = "ada@example.com" }),
		twin:    named(a, "twin", func(c *contacts.Contact) { c.Email, c.DeletedAt = "grace@example.com", noon }),
		changed: withoutKeys(newFullContact(a, 1)), removed: withoutKeys(newFullContact(a, 1)), taken: newContact(a),
	}
	s.create(t, w.holder, w.twin, w.changed, w.removed, w.taken)
	keyed := createOnce(newContact(a), onceAs("old"))
	keyed.Journal = newEntries(2)
	s.wantStored(t, keyed)
	s.wantStored(t, contacts.Mutation{AccountID: a, Idempotency: onceAs("other old")})
	s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(b, 1, "events", "1")}})
	w.entry = numbered(2, newEntries(2)[1:])[0]
	return w
}

// batches returns batches with every outcome that a mutation may have: each on
// its own, all or nothing that fails, and all or nothing that is stored. No two
// mutations of one have a contact, a match key or an idempotency key in common.
func (w mixedWorld) batches(a, b uuid.UUID) map[string]contacts.MutationBatch {
	onB := func(version int64) contacts.Mutation {
		m := create(newContact(b))
		m.Settings = version
		return m
	}
	stale := changeOf(w.taken, nil)
	stale.Version++
	redacted, missing := w.entry, w.entry
	redacted.Data, missing.Sequence = "redacted", 99
	good := func(name string) []contacts.Mutation {
		full := createOnce(withoutKeys(newFullContact(a, 1)), onceAs("fresh "+name))
		full.Claims, full.Journal = []contacts.MatchKey{emailKey("grace@example.com")}, newEntries(3)
		return []contacts.Mutation{
			full,
			createOnce(newContact(a), onceAs("old")),
			onB(1),
			{AccountID: a, Idempotency: onceAs("alone " + name)},
			journal(a, redacted, newEntry(5)),
		}
	}
	each := append(good("each"),
		update(changeOf(w.changed, nil)), remove(w.removed),
		create(newContact(newID())), create(named(a, "", func(c *contacts.Contact) { c.ID = w.holder.Contact.ID })),
		update(stale), remove(newContact(a)), create(withoutKeys(newFullContact(a, 9))),
		claiming(newContact(a), emailKey("ada@example.com")), onB(0),
		journal(a, missing), createOnce(newContact(a), otherInput(onceAs("other old"))),
	)
	verbatim := batchOf(journal(a, numbered(40, newEntries(2))...), journal(b, newEntry(1)))
	verbatim.Mutations[1].Settings = 1
	verbatim.Mutations = append(verbatim.Mutations, journal(a, contacts.JournalEntry{Sequence: 1, Kind: contacts.JournalErasure}))
	verbatim.Verbatim = true
	return map[string]contacts.MutationBatch{
		"mutations on their own": batchOf(each...),
		"a batch that fails":     allOrNothing(append(good("failed"), claiming(newContact(a), emailKey("ada@example.com")), create(withoutKeys(newFullContact(a, 9))))...),
		"a batch that is stored": allOrNothing(good("all")...),
		"numbers brought along":  verbatim,
		"no mutations":           batchOf(),
	}
}

// withoutKeys removes what the contact is recognised by.
func withoutKeys(r *contacts.ContactRecord) *contacts.ContactRecord {
	r.Contact.Email, r.Contact.PhoneNumbers = "", nil
	return r
}

// A snapshot is what is stored in two accounts.
type snapshot struct {
	Directory contacts.Directory
	Contacts  [2][]*contacts.ContactRecord
	Journals  [2][]contacts.JournalEntry
}

func (s *store) snapshot(t *test, a, b uuid.UUID) snapshot {
	t.Helper()
	return snapshot{
		s.directory(t),
		[2][]*contacts.ContactRecord{s.allContacts(t, a), s.allContacts(t, b)},
		[2][]contacts.JournalEntry{s.entries(t, a), s.entries(t, b)},
	}
}

// A plainOutcome is an outcome with the text of the sentinels that its error
// matches.
type plainOutcome struct {
	Matches []string
	Result  string
	Holders []contacts.Holder
}

func plain(outcomes []contacts.MutationOutcome) []plainOutcome {
	var all []plainOutcome
	for _, o := range outcomes {
		p := plainOutcome{Result: o.Result, Holders: o.Holders}
		for _, sentinel := range sentinels {
			if errors.Is(o.Err, sentinel) {
				p.Matches = append(p.Matches, sentinel.Error())
			}
		}
		if o.Err != nil && p.Matches == nil {
			p.Matches = []string{"a fault"}
		}
		all = append(all, p)
	}
	return all
}
