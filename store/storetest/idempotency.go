package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	idempotencyRule = "An idempotency record is stored with its mutation. If the account has one with this Key that has not ended by batch.Now, nothing of the mutation is stored and nothing more of it is judged."
	replayRule      = "Same Input: the outcome is the earlier Result. Different Input: ErrIdempotencyConflict."
	oneKeyRule      = "Of any number of mutations with one Key, in any number of processes, one is stored."
	outlivesRule    = "An idempotency record outlives the contact that it was stored with."
	keptRule        = "Apply may remove idempotency records and events that ended an hour or more before batch.Now; the hour covers clocks that differ. Nothing else is ever removed unasked."
)

var idempotencyCases = []testCase{
	{
		"same input",
		idempotencyRule + " " + replayRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			first, again := named(a, "first", nil), named(a, "again", nil)
			s.wantStored(t, createOnce(first, onceAs("key")))
			// A caller that sends it again makes another result of it.
			sent := onceAs("key")
			sent.Result, sent.EndsAt = `{"another":"result"}`, sent.EndsAt.Add(time.Hour)
			for range 2 {
				s.wantReplay(t, createOnce(again, sent), onceAs("key").Result)
			}
			wantSame(t, "ListContacts", []*contacts.ContactRecord{first}, s.allContacts(t, a))
			// Another key is another call, and so is none.
			other := named(a, "other", nil)
			s.wantStored(t, createOnce(other, onceAs("other key")))
			s.create(t, again)
			s.wantContacts(t, first, other, again)
		},
	},
	{
		"other input",
		replayRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			first, other := named(a, "first", nil), named(a, "other", nil)
			s.wantStored(t, createOnce(first, onceAs("key")))
			for _, bit := range []int{0, 31} {
				sent := onceAs("key")
				sent.Input[bit] ^= 1
				got := s.one(t.Context(), createOnce(other, sent))
				wantErr(t, "Apply of another input", got.Err, contacts.ErrIdempotencyConflict)
				wantSame(t, "Result of another input", "", got.Result)
			}
			wantSame(t, "ListContacts", []*contacts.ContactRecord{first}, s.allContacts(t, a))
			s.wantReplay(t, createOnce(other, onceAs("key")), onceAs("key").Result)
		},
	},
	{
		"keys to the bit",
		idempotencyRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			first, second := onceAs("key"), onceAs("key")
			second.Key[31] ^= 1
			third := onceAs("key")
			third.Key[0] ^= 0x80
			zero, nearly := onceAs("key"), onceAs("key")
			zero.Key, nearly.Key = [32]byte{}, [32]byte{31: 1}
			for i, once := range []*contacts.IdempotencyRecord{first, second, third, zero, nearly} {
				once.Result = fmt.Sprint(i)
				s.wantStored(t, createOnce(newContact(a), once))
			}
			for i, once := range []*contacts.IdempotencyRecord{first, second, third, zero, nearly} {
				s.wantReplay(t, createOnce(newContact(a), once), fmt.Sprint(i))
			}
		},
	},
	{
		"ended",
		"If the account has one with this Key that has not ended by batch.Now, nothing of the mutation is stored and nothing more of it is judged.",
		func(t *test, s *store) {
			a := s.tenant(t)
			first, ends := named(a, "first", nil), onceAs("key").EndsAt
			s.wantStored(t, createOnce(first, onceAs("key")))

			second := otherInput(onceAs("key"))
			second.Result, second.EndsAt = "late", ends.Add(time.Hour)
			late := createOnce(named(a, "late", nil), second)
			wantErrs(t, s.outcomes(t, batchAt(ends.Add(-time.Microsecond), late)), contacts.ErrIdempotencyConflict)
			s.wantNoContacts(t, late.Contacts[0].Record)
			wantErrs(t, s.outcomes(t, batchAt(ends, late))) // by now it has
			s.wantContacts(t, first, late.Contacts[0].Record)

			// The second one stands in the place of the first.
			again := createOnce(named(a, "again", nil), second)
			wantSame(t, "Apply of the second input", []contacts.MutationOutcome{{Result: "late"}}, s.outcomes(t, batchAt(second.EndsAt.Add(-time.Microsecond), again)))
			wantErrs(t, s.outcomes(t, batchAt(second.EndsAt, again)))
			s.wantContacts(t, again.Contacts[0].Record)
		},
	},
	{
		"scoped by account",
		idempotencyRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			ra, rb := named(a, "Ada", nil), named(b, "Grace", nil)
			s.wantStored(t, createOnce(ra, onceAs("key")))
			other := otherInput(onceAs("key"))
			other.Result = "of the other account"
			s.wantStored(t, createOnce(rb, other))
			s.wantReplay(t, createOnce(newContact(a), onceAs("key")), onceAs("key").Result)
			s.wantReplay(t, createOnce(newContact(b), other), "of the other account")
			s.wantContacts(t, ra, rb)
		},
	},
	{
		"within a batch",
		earlierRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			first, same, conflict := named(a, "first", nil), named(a, "same", nil), named(a, "conflict", nil)
			foreign, none := named(b, "of another account", nil), named(a, "of no key", nil)
			outcomes := s.outcomes(t, batchOf(
				createOnce(first, onceAs("key")), createOnce(same, onceAs("key")), create(none),
				createOnce(conflict, otherInput(onceAs("key"))), createOnce(foreign, onceAs("key")),
			))
			wantErrs(t, outcomes, nil, nil, nil, contacts.ErrIdempotencyConflict, nil)
			for i, want := range []string{"", onceAs("key").Result, "", "", ""} {
				wantSame(t, fmt.Sprint("Result of mutation ", i), want, outcomes[i].Result)
			}
			s.wantContacts(t, first, foreign, none)
			s.wantNoContacts(t, same, conflict)
		},
	},
	{
		"with and without in a batch",
		eachRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantStored(t, createOnce(newContact(a), onceAs("old")))
			fresh, plain, again, homeless := newContact(a), newContact(a), newContact(a), named(a, "", func(c *contacts.Contact) { c.TeamID = 9 })
			outcomes := s.outcomes(t, batchOf(
				create(plain), createOnce(homeless, onceAs("homeless")), createOnce(again, onceAs("old")), createOnce(fresh, onceAs("fresh")),
			))
			wantErrs(t, outcomes, nil, contacts.ErrTeamNotFound, nil, nil)
			wantSame(t, "Result of the one that was sent again", onceAs("old").Result, outcomes[2].Result)
			s.wantContacts(t, plain, fresh)
			s.wantNoContacts(t, homeless, again)
			s.wantReplay(t, createOnce(newContact(a), onceAs("fresh")), onceAs("fresh").Result)
			s.wantStored(t, createOnce(newContact(a), onceAs("homeless")))
		},
	},
	{
		"sent again as it was",
		idempotencyRule + " " + replayRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.wantStored(t, createOnce(r, onceAs("key")))
			s.wantReplay(t, createOnce(r, onceAs("key")), onceAs("key").Result) // though its id is taken
			homeless := named(a, "of a team that is not there", func(c *contacts.Contact) { c.TeamID = 9 })
			s.wantReplay(t, createOnce(homeless, onceAs("key")), onceAs("key").Result)
			s.wantContacts(t, r)
			s.wantNoContacts(t, homeless)
			// Nothing else of it is stored either, or looked at.
			change := update(changeOf(r, nil))
			change.Settings, change.Claims, change.Journal = 9, r.MatchKeys(), newEntries(2)
			change.Idempotency = onceAs("key")
			s.wantReplay(t, change, onceAs("key").Result)
			gone := remove(newContact(a))
			gone.Idempotency = onceAs("key")
			s.wantReplay(t, gone, onceAs("key").Result)
			s.wantContacts(t, r)
			s.wantEntries(t, a)
		},
	},
	{
		"contact changed meanwhile",
		replayRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.wantStored(t, createOnce(r, onceAs("key")))
			for _, change := range []func(*contacts.Contact){func(c *contacts.Contact) { c.FirstName = "Jane" }, deleted(noon)} {
				c := changeOf(r, change)
				s.update(t, c)
				r = c.Record
				s.wantReplay(t, createOnce(newContact(a), onceAs("key")), onceAs("key").Result)
			}
			wantSame(t, "ListContacts", []*contacts.ContactRecord{r}, s.allContacts(t, a))
		},
	},
	{
		"a refusal leaves none",
		idempotencyRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			taken := newContact(a)
			s.create(t, taken)
			for name, bad := range map[string]*contacts.ContactRecord{
				"unknown account": newContact(newID()),
				"unknown team":    named(a, "", func(c *contacts.Contact) { c.TeamID = 9 }),
				"taken id":        taken,
			} {
				if got := s.one(t.Context(), createOnce(bad, onceAs(name))); got.Err == nil {
					t.Errorf("Apply with an %s: no error", name)
				}
				s.wantStored(t, createOnce(newContact(a), otherInput(onceAs(name)))) // a mended input is another one
			}
			s.wantContacts(t, taken)
		},
	},
	{
		"cancelled leaves none",
		"A call whose context was done before it started stores nothing.",
		func(t *test, s *store) {
			a := s.tenant(t)
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			got := s.one(cancelled, createOnce(newContact(a), otherInput(onceAs("key"))))
			wantErr(t, "Apply", got.Err, context.Canceled)
			s.wantStored(t, createOnce(newContact(a), onceAs("key")))
		},
	},
	{
		"hostile results",
		textRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			// A Service keeps JSON in them, but that is nothing to a store.
			var mutations []contacts.Mutation
			for i, text := range hostile {
				once := onceAs(fmt.Sprint("key ", i))
				once.Result = text
				mutations = append(mutations, createOnce(newContact(a), once))
			}
			s.apply(t, mutations...)
			for i, text := range hostile {
				s.wantReplay(t, createOnce(newContact(a), mutations[i].Idempotency), text)
			}
		},
	},
	{
		"one key by many",
		oneKeyRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			oneStores(t, a, s)
		},
	},
	{
		"one key by two processes",
		oneKeyRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			oneStores(t, a, s, other)
		},
	},
	{
		"one key by many inputs",
		oneKeyRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.storeEnded(t, a, onceAs("ended"))
			before := s.allContacts(t, a)
			for _, name := range []string{"key", "ended"} {
				records := make([]*contacts.ContactRecord, many)
				for i := range records {
					records[i] = newContact(a)
				}
				winner := winnerOf(t, contacts.ErrIdempotencyConflict, func(i int) error {
					once := onceAs(name)
					once.Input[0] = byte(i)
					return s.one(t.Context(), createOnce(records[i], once)).Err
				})
				before = append([]*contacts.ContactRecord{records[winner]}, before...)
				wantSame(t, "ListContacts", before, s.allContacts(t, a))
			}
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			lasting := onceAs("key")
			lasting.EndsAt = noon.AddDate(1000, 0, 0)
			s.wantStored(t, createOnce(r, lasting))
			s.wantStored(t, createOnce(newContact(a), onceAs("ended")))

			again := s.reopen(t)
			late := createOnce(newContact(a), lasting)
			wantSame(t, "Apply again", []contacts.MutationOutcome{{Result: lasting.Result}}, again.outcomes(t, batchAt(lasting.EndsAt.Add(-time.Microsecond), late)))
			second := onceAs("ended")
			second.EndsAt = noon.AddDate(1, 0, 0)
			other := createOnce(newContact(a), second)
			wantErrs(t, again.outcomes(t, batchAt(onceAs("ended").EndsAt, other)))

			again = again.reopen(t)
			again.wantRefused(t, createOnce(newContact(a), otherInput(onceAs("ended"))), contacts.ErrIdempotencyConflict)
			again.wantContacts(t, r, other.Contacts[0].Record)
			again.wantNoContacts(t, late.Contacts[0].Record)
		},
	},
	{
		"seen by a second process",
		laterReadRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			// A store may not remember that a key was not there.
			other.wantStored(t, createOnce(newContact(a), onceAs("other key")))
			r := newContact(a)
			s.wantStored(t, createOnce(r, onceAs("key")))
			other.wantReplay(t, createOnce(newContact(a), onceAs("key")), onceAs("key").Result)
			s.wantReplay(t, createOnce(newContact(a), onceAs("other key")), onceAs("other key").Result)
			other.wantContacts(t, r)
		},
	},
	{
		"outlives its contact",
		outlivesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.wantStored(t, createOnce(r, onceAs("key")))
			s.remove(t, r)
			s.wantNoContacts(t, r)
			for range 2 {
				s.wantReplay(t, createOnce(newContact(a), onceAs("key")), onceAs("key").Result)
				s.wantRefused(t, createOnce(newContact(a), otherInput(onceAs("key"))), contacts.ErrIdempotencyConflict)
				s.create(t, newContact(a)) // nor does another contact take it over
			}
			wantSame(t, "number of contacts", 2, len(s.allContacts(t, a)))
		},
	},
}

// storeEnded stores the record so that it has ended at noon, but not so long ago that
// it may be removed.
func (s *store) storeEnded(t *test, account uuid.UUID, once *contacts.IdempotencyRecord) {
	t.Helper()
	ended := *once
	ended.EndsAt = noon.Add(-time.Minute)
	wantErrs(t, s.outcomes(t, batchAt(noon.Add(-time.Hour), createOnce(newContact(account), &ended))))
}

// oneStores has many callers, spread over the stores, send one create at the same
// time, each with a contact of its own. It checks that one stored it, and that
// the others got its result, whose contact was there to be found. Some keys are
// fresh, and others have a record that has ended.
func oneStores(t *test, account uuid.UUID, stores ...*store) {
	t.Helper()
	const keys = 8
	for k := range keys {
		if k%2 == 1 {
			stores[0].storeEnded(t, account, onceAs(fmt.Sprint("key ", k)))
		}
		outcomes := make([]contacts.MutationOutcome, many)
		missing := make([]error, many)
		records := make(map[string]*contacts.ContactRecord, many) // by Result
		sent := make([]*contacts.IdempotencyRecord, many)
		for i := range sent {
			r := newFullContact(account, 0)
			sent[i] = onceAs(fmt.Sprint("key ", k))
			sent[i].Result = r.Contact.ID.String()
			records[sent[i].Result] = r
		}
		together(many, func(i int) {
			s := stores[i%len(stores)]
			outcomes[i] = s.one(t.Context(), createOnce(records[sent[i].Result], sent[i]))
			if r := records[outcomes[i].Result]; r != nil {
				_, missing[i] = s.FindContact(t.Context(), account, r.Contact.ID)
			}
		})
		winner := ""
		for i, o := range outcomes {
			wantErr(t, "Apply with one key at the same time", o.Err, nil)
			wantErr(t, "FindContact of the contact of the result", missing[i], nil)
			if o.Result != "" || o.Err != nil {
				continue
			}
			if winner != "" {
				t.Fatal("more than one of many that have one key stored its contact")
			}
			winner = sent[i].Result
		}
		if winner == "" {
			t.Fatal("none of many that have one key stored its contact")
		}
		for i, o := range outcomes {
			if sent[i].Result != winner {
				wantSame(t, "Result of those that did not store theirs", winner, o.Result)
				stores[0].wantNoContacts(t, records[sent[i].Result])
			}
		}
		stores[0].wantContacts(t, records[winner])
	}
}
