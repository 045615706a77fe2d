package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	eachRule         = "Apply judges the mutations of the batch in their order and stores those that pass. A mutation that is refused takes no other with it."
	earlierRule      = "Each sees what the earlier ones stored."
	outcomeRule      = "Apply returns nil if every mutation was stored and no outcome says more, else one outcome for each mutation, in their order."
	wholeCallRule    = "Its error is about the whole call: nothing of the batch was stored, unless it matches ErrOutcomeUnknown."
	allOrNothingRule = "With AllOrNothing either all mutations are stored, in one atomic step, or none."
	batchFailedRule  = "In a batch that failed, each mutation that was not refused itself has ErrBatchFailed."
	replayedRule     = "A mutation that is answered with an earlier Result is not refused."
)

var batchCases = []testCase{
	{
		"each on its own",
		eachRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			taken, changed, removed, stale, homeless := newFullContact(a, 1), newFullContact(b, 2), newContact(a), newFullContact(a, 0), newFullContact(a, 1)
			s.create(t, taken, changed, removed, stale, homeless)
			impostor := named(a, "Impostor", func(c *contacts.Contact) { c.ID = taken.Contact.ID })
			first, middle, last := newFullContact(a, 1), newFullContact(b, 2), newFullContact(a, 0)
			noAccount, noTeam, noContact := newFullContact(newID(), 0), newFullContact(a, 2), newContact(a)
			change, old := changeOf(changed, nil), changeOf(stale, nil)
			old.Version--
			outcomes := s.outcomes(t, batchOf(
				create(first), create(noAccount), create(impostor), create(middle), create(noTeam),
				update(change), update(old), remove(noContact), remove(removed), journal(newID(), newEntry(1)),
				update(changeOf(homeless, func(c *contacts.Contact) { c.TeamID = 2 })), create(last),
			))
			wantErrs(t, outcomes,
				nil, contacts.ErrNotFound, contacts.ErrExists, nil, contacts.ErrTeamNotFound,
				nil, contacts.ErrConflict, contacts.ErrNotFound, nil, contacts.ErrNotFound,
				contacts.ErrTeamNotFound, nil)
			s.wantContacts(t, first, middle, last, taken, change.Record, stale, homeless)
			s.wantNoContacts(t, noAccount, noTeam, noContact, removed)
		},
	},
	{
		"each sees the earlier ones",
		earlierRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			second := changeOf(r, func(c *contacts.Contact) { c.FirstName = "second" })
			third := changeOf(second.Record, deleted(noon))
			again := named(a, "again", func(c *contacts.Contact) { c.ID = r.Contact.ID })
			claimant := named(a, "claimant", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			rival := named(a, "rival", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			keyed := createOnce(newContact(a), onceAs("key"))
			outcomes := s.outcomes(t, batchOf(
				create(r), create(again), update(second), update(second), update(third),
				remove(third.Record), remove(third.Record), create(again),
				claiming(claimant, emailKey("ada@example.com")), claiming(rival, emailKey("ada@example.com")),
				update(changeOf(claimant, func(c *contacts.Contact) { c.Email = "" })), claiming(rival, emailKey("ada@example.com")),
				keyed, createOnce(newContact(a), onceAs("key")), createOnce(newContact(a), otherInput(onceAs("key"))),
				journal(a, newEntry(1)), journal(a, contacts.JournalEntry{Sequence: 1, Kind: contacts.JournalEvent, Subject: subject(1), Data: "replaced"}),
			))
			wantErrs(t, outcomes,
				nil, contacts.ErrExists, nil, contacts.ErrConflict, nil,
				nil, contacts.ErrNotFound, nil,
				nil, contacts.ErrDuplicate,
				nil, nil,
				nil, nil, contacts.ErrIdempotencyConflict,
				nil, nil)
			wantSame(t, "Holders of the second with one claim", []contacts.Holder{{ContactID: claimant.Contact.ID}}, outcomes[9].Holders)
			wantSame(t, "Result of the second with one key", onceAs("key").Result, outcomes[13].Result)
			freed := changeOf(claimant, func(c *contacts.Contact) { c.Email = "" })
			want := []*contacts.ContactRecord{again, freed.Record, rival, keyed.Contacts[0].Record}
			slices.SortFunc(want, newestFirst)
			wantSame(t, "ListContacts", want, s.allContacts(t, a))
			replaced := newEntry(1)
			replaced.Sequence, replaced.Data = 1, "replaced"
			s.wantEntries(t, a, replaced)
		},
	},
	{
		"one outcome for each",
		outcomeRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantStored(t, createOnce(newContact(a), onceAs("key")))
			twin := named(a, "twin", func(c *contacts.Contact) { c.Email, c.DeletedAt = "ada@example.com", noon })
			s.create(t, twin)
			for place := range 3 {
				for name, special := range map[string]struct {
					mutation contacts.Mutation
					err      error
					more     contacts.MutationOutcome
				}{
					"refused":      {create(newContact(newID())), contacts.ErrNotFound, contacts.MutationOutcome{}},
					"replayed":     {createOnce(newContact(a), onceAs("key")), nil, contacts.MutationOutcome{Result: onceAs("key").Result}},
					"with a twin":  {claiming(newContact(a), emailKey("ada@example.com")), nil, contacts.MutationOutcome{Holders: []contacts.Holder{{ContactID: twin.Contact.ID, Deleted: true}}}},
					"without more": {update(changeOf(twin, nil)), nil, contacts.MutationOutcome{}},
				} {
					mutations := each(create, newContact(a), newContact(a), newContact(a))
					mutations[place] = special.mutation
					outcomes := s.outcomes(t, batchOf(mutations...))
					if name == "without more" {
						wantErrs(t, outcomes)
						twin = special.mutation.Contacts[0].Record
						continue
					}
					want := make([]error, 3)
					want[place] = special.err
					wantErrs(t, outcomes, want...)
					for i, got := range outcomes {
						got.Err = nil
						wantSame(t, fmt.Sprintf("outcome %d of a batch whose mutation %d is %s", i, place, name),
							map[bool]contacts.MutationOutcome{true: special.more, false: {}}[i == place], got)
					}
				}
			}
		},
	},
	{
		"accounts mixed",
		"The batch may mix accounts.",
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			records := []*contacts.ContactRecord{
				newFullContact(a, 1), newFullContact(b, 1), newFullContact(a, 0), newFullContact(b, 0),
			}
			mutations := each(create, records...)
			for i := range mutations {
				mutations[i].Idempotency = onceAs(fmt.Sprint(i / 2))
				mutations[i].Claims = []contacts.MatchKey{emailKey(fmt.Sprintf("%d@example.com", i/2))}
				mutations[i].Journal = newEntries(2)
			}
			for _, batch := range []contacts.MutationBatch{batchOf(mutations...), allOrNothing(mutations...)} {
				wantErrs(t, s.outcomes(t, batch))
				s.wantContacts(t, records...)
				for i := range mutations { // then change what is there
					mutations[i].Idempotency, mutations[i].Contacts = nil, []contacts.ContactChange{changeOf(records[i], nil)}
					records[i] = mutations[i].Contacts[0].Record
				}
			}
			for _, account := range []uuid.UUID{a, b} {
				s.wantEntries(t, account, numbered(1, slices.Repeat(newEntries(2), 4))...)
			}
		},
	},
	{
		"large",
		eachRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := make([]*contacts.ContactRecord, contacts.MaxMutations)
			for i := range records {
				records[i] = newFullContact(a, 0)
				records[i].Contact.FirstName = fmt.Sprint("Ada ", i)
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
			changes := make([]contacts.ContactChange, len(records))
			for i, r := range records {
				changes[i] = changeOf(r, func(c *contacts.Contact) { c.FirstName, c.TeamID, c.Tags = fmt.Sprint("Grace ", i), 1, []string{"vip"} })
				records[i] = changes[i].Record
			}
			s.update(t, changes...)
			s.wantContacts(t, records...)
			s.wantListed(t, contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: "vip", Limit: 2000, Count: true}, records...)
		},
	},
	{
		"the whole call fails",
		wholeCallRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			fresh := createOnce(newContact(a), onceAs("key"))
			fresh.Journal = newEntries(1)
			for _, batch := range []contacts.MutationBatch{batchOf(fresh, remove(r)), allOrNothing(fresh, remove(r))} {
				_, err := s.Apply(cancelled, batch)
				wantErr(t, "Apply", err, context.Canceled)
			}
			wantSame(t, "ListContacts", []*contacts.ContactRecord{r}, s.allContacts(t, a))
			s.wantEntries(t, a)
			fresh.Idempotency = otherInput(onceAs("key"))
			s.wantStored(t, fresh)
		},
	},
	{
		"all stored",
		allOrNothingRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			changed, removed := newFullContact(a, 1), newFullContact(b, 2)
			s.create(t, changed, removed)
			change, fresh := changeOf(changed, nil), []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(b, 2), newContact(a)}
			for _, mutations := range [][]contacts.Mutation{
				each(create, newFullContact(a, 1)),
				append(each(create, fresh...), update(change), remove(removed), journal(a, newEntries(2)...)),
				{},
			} {
				wantErrs(t, s.outcomes(t, allOrNothing(mutations...)))
				for _, m := range mutations {
					for _, c := range m.Contacts {
						if c.Record != nil {
							s.wantContacts(t, c.Record)
						}
					}
				}
			}
			s.wantNoContacts(t, removed)
			s.wantEntries(t, a, numbered(1, newEntries(2))...)
		},
	},
	{
		"none stored",
		allOrNothingRule + " " + batchFailedRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 2)
			taken, changed, removed := newContact(a), newFullContact(a, 1), newFullContact(a, 1)
			holder := named(a, "holder", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			s.create(t, taken, changed, removed, holder)
			s.wantStored(t, createOnce(newContact(a), onceAs("key")))
			before := s.allContacts(t, a)
			stale, staleSettings := changeOf(taken, nil), create(newContact(a))
			stale.Version, staleSettings.Settings = 99, 7
			for name, bad := range map[string]struct {
				mutation contacts.Mutation
				want     error
			}{
				"unknown account":        {create(newContact(newID())), contacts.ErrNotFound},
				"unknown team":           {create(newFullContact(a, 2)), contacts.ErrTeamNotFound},
				"id that is taken":       {create(named(a, "Impostor", func(c *contacts.Contact) { c.ID = taken.Contact.ID })), contacts.ErrExists},
				"other input of its key": {createOnce(newContact(a), otherInput(onceAs("key"))), contacts.ErrIdempotencyConflict},
				"old version":            {update(stale), contacts.ErrConflict},
				"unknown contact":        {remove(newContact(a)), contacts.ErrNotFound},
				"claim that is held":     {claiming(newContact(a), emailKey("ada@example.com")), contacts.ErrDuplicate},
				"old settings version":   {staleSettings, contacts.ErrStale},
				"unknown entry":          {journal(a, contacts.JournalEntry{Sequence: 99, Kind: contacts.JournalEvent}), contacts.ErrNotFound},
			} {
				for place := range 3 {
					fresh := []*contacts.ContactRecord{newFullContact(a, 1), newFullContact(b, 2)}
					last := create(newContact(a))
					last.Contacts = append(last.Contacts, changeOf(changed, nil), removalOf(removed))
					last.Journal = newEntries(3)
					good := []contacts.Mutation{create(fresh[0]), create(fresh[1]), last}
					mutations := slices.Clone(good)
					mutations[place] = bad.mutation
					want := slices.Repeat([]error{contacts.ErrBatchFailed}, 3)
					want[place] = bad.want
					wantErrs(t, s.outcomes(t, allOrNothing(mutations...)), want...)
					wantSame(t, "ListContacts after a batch with an "+name, before, s.allContacts(t, a))
					wantSame(t, "ListContacts in the other account", 0, len(s.allContacts(t, b)))
					s.wantEntries(t, a)
				}
			}
			// Nothing of what was good is in the way of another attempt.
			again := changeOf(changed, nil)
			fresh := newFullContact(b, 2)
			wantErrs(t, s.outcomes(t, allOrNothing(create(fresh), update(again), remove(removed), journal(a, newEntries(3)...))))
			s.wantContacts(t, fresh, again.Record, taken)
			s.wantEntries(t, a, numbered(1, newEntries(3))...)
		},
	},
	{
		"one mutation",
		allOrNothingRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			r.Contact.TeamID = 9
			batch := allOrNothing(createOnce(r, onceAs("key")))
			wantErrs(t, s.outcomes(t, batch), contacts.ErrTeamNotFound)
			s.wantNoContacts(t, r)
			r.Contact.TeamID = 0
			wantErrs(t, s.outcomes(t, batch))
			wantSame(t, "Apply again", []contacts.MutationOutcome{{Result: onceAs("key").Result}}, s.outcomes(t, batch))
			s.wantContacts(t, r)
		},
	},
	{
		"several refused",
		batchFailedRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			first, twice := newContact(a), newContact(a)
			twice.Contact.ID = first.Contact.ID
			batch := allOrNothing(create(first), create(newContact(newID())), create(twice), create(newContact(a)), create(newFullContact(a, 9)))
			wantErrs(t, s.outcomes(t, batch),
				contacts.ErrBatchFailed, contacts.ErrNotFound, contacts.ErrExists, contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
			wantSame(t, "number of contacts", 0, len(s.allContacts(t, a)))
		},
	},
	{
		"answered again",
		replayedRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			old, fresh, plain := newContact(a), newContact(a), newContact(a)
			s.wantStored(t, createOnce(old, onceAs("old")))
			mutations := []contacts.Mutation{
				createOnce(newContact(a), onceAs("old")), createOnce(fresh, onceAs("fresh")), createOnce(newContact(a), onceAs("fresh")), create(plain),
			}
			want := []contacts.MutationOutcome{{Result: onceAs("old").Result}, {}, {Result: onceAs("fresh").Result}, {}}
			wantSame(t, "Apply", want, s.outcomes(t, allOrNothing(mutations...)))
			s.wantContacts(t, old, fresh, plain)
			s.wantNoContacts(t, mutations[0].Contacts[0].Record, mutations[2].Contacts[0].Record)
			// And the keys once more.
			want[1].Result = onceAs("fresh").Result
			wantSame(t, "Apply again", want[:3], s.outcomes(t, allOrNothing(mutations[:3]...)))
		},
	},
	{
		"answered again in vain",
		batchFailedRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			old := newContact(a)
			s.wantStored(t, createOnce(old, onceAs("old")))
			batch := allOrNothing(
				createOnce(newContact(a), onceAs("old")), createOnce(newContact(a), onceAs("fresh")), createOnce(newContact(a), onceAs("fresh")),
				create(newFullContact(a, 9)),
			)
			wantErrs(t, s.outcomes(t, batch), contacts.ErrBatchFailed, contacts.ErrBatchFailed, contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
			wantSame(t, "ListContacts", []*contacts.ContactRecord{old}, s.allContacts(t, a))
			s.wantReplay(t, createOnce(newContact(a), onceAs("old")), onceAs("old").Result)
		},
	},
	{
		"refused, then answered again",
		batchFailedRule + " " + replayedRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			old := newContact(a)
			s.wantStored(t, createOnce(old, onceAs("old")))
			again := func() contacts.Mutation { return createOnce(newContact(a), onceAs("old")) }
			refused := func() contacts.Mutation { return create(newFullContact(a, 9)) }
			fresh := func() contacts.Mutation {
				m := createOnce(newContact(a), onceAs("fresh"))
				m.Journal = newEntries(1)
				return m
			}
			for _, batch := range [][]func() contacts.Mutation{
				{refused, again}, {fresh, refused, again}, {refused, fresh, again}, {refused, again, fresh}, {refused, again, again}, {again, refused, again},
			} {
				var mutations []contacts.Mutation
				var want []error
				for _, mutation := range batch {
					m := mutation()
					mutations = append(mutations, m)
					if m.Contacts[0].Record.Contact.TeamID == 9 {
						want = append(want, contacts.ErrTeamNotFound)
					} else {
						want = append(want, contacts.ErrBatchFailed)
					}
				}
				outcomes := s.outcomes(t, allOrNothing(mutations...))
				wantErrs(t, outcomes, want...)
				for _, o := range outcomes {
					wantSame(t, "what else an outcome of the failed batch says", contacts.MutationOutcome{}, withoutErr(o))
				}
				wantSame(t, "ListContacts", []*contacts.ContactRecord{old}, s.allContacts(t, a))
				s.wantEntries(t, a)
			}
			s.wantReplay(t, again(), onceAs("old").Result)
			s.wantStored(t, fresh())
		},
	},
	{
		"idempotency records taken back",
		allOrNothingRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			batch := allOrNothing(createOnce(newContact(a), onceAs("key")), createOnce(newFullContact(a, 9), onceAs("other key")))
			for range 2 { // the first attempt is not remembered
				wantErrs(t, s.outcomes(t, batch), contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
			}
			for _, name := range []string{"key", "other key"} {
				s.wantStored(t, createOnce(newContact(a), otherInput(onceAs(name))))
			}
		},
	},
	{
		"ended idempotency records taken back",
		allOrNothingRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			first := newContact(a)
			s.wantStored(t, createOnce(first, onceAs("key")))
			ends := onceAs("key").EndsAt
			second := otherInput(onceAs("key"))
			second.Result, second.EndsAt = "second", ends.Add(time.Hour)
			batch := batchAt(ends, createOnce(newContact(a), second), create(newFullContact(a, 9)))
			batch.AllOrNothing = true
			wantErrs(t, s.outcomes(t, batch), contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
			// A clock that is some minutes slow still finds what was there.
			slow := batchAt(ends.Add(-time.Minute), createOnce(newContact(a), onceAs("key")), createOnce(newContact(a), second))
			outcomes := s.outcomes(t, slow)
			wantErrs(t, outcomes, nil, contacts.ErrIdempotencyConflict)
			wantSame(t, "Result of the key", onceAs("key").Result, outcomes[0].Result)
			// And by the clock of the batch it has ended, as before.
			late := createOnce(newContact(a), second)
			wantErrs(t, s.outcomes(t, batchAt(ends, late)))
			s.wantContacts(t, first, late.Contacts[0].Record)
		},
	},
	{
		"match keys taken back",
		allOrNothingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			holder := named(a, "holder", func(c *contacts.Contact) { c.Email, c.TeamID = "ada@example.com", 1 })
			s.create(t, holder)
			fresh := func() contacts.Mutation {
				r := named(a, "fresh", func(c *contacts.Contact) { c.Email = "grace@example.com" })
				return claiming(r, r.MatchKeys()...)
			}
			for range 3 {
				wantErrs(t, s.outcomes(t, allOrNothing(fresh(), create(newFullContact(a, 9)))), contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
				wantErrs(t, s.outcomes(t, allOrNothing(fresh(), fresh())), contacts.ErrBatchFailed, contacts.ErrDuplicate)
				freed := update(changeOf(holder, func(c *contacts.Contact) { c.Email = "" }))
				outcomes := s.outcomes(t, allOrNothing(freed, fresh(), claiming(newContact(a), emailKey("grace@example.com"), emailKey("ada@example.com"))))
				wantErrs(t, outcomes, contacts.ErrBatchFailed, contacts.ErrBatchFailed, contacts.ErrDuplicate)
				outcomes = s.outcomes(t, allOrNothing(claiming(newContact(a), emailKey("ada@example.com"))))
				wantErrs(t, outcomes, contacts.ErrDuplicate)
				wantSame(t, "Holders", []contacts.Holder{{ContactID: holder.Contact.ID, TeamID: 1}}, outcomes[0].Holders)
			}
			s.wantStored(t, fresh())
			s.wantContacts(t, holder)
		},
	},
	{
		"three thousand or none",
		allOrNothingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			var records []*contacts.ContactRecord
			var mutations []contacts.Mutation
			for i := range 3000 {
				r := named(a, fmt.Sprint("Ada ", i), func(c *contacts.Contact) { c.TeamID, c.Tags = 1, []string{"vip"} })
				records, mutations = append(records, r), append(mutations, createOnce(r, onceAs(fmt.Sprint("key ", i))))
			}
			last := records[2999]
			last.Contact.TeamID = 2
			want := slices.Repeat([]error{contacts.ErrBatchFailed}, 3000)
			want[2999] = contacts.ErrTeamNotFound
			wantErrs(t, s.outcomes(t, allOrNothing(mutations...)), want...)
			q := contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: "vip", Limit: 5000, Count: true}
			wantSame(t, "ListContacts after the batch failed", contacts.ContactList{}, s.listContacts(t, q))

			last.Contact.TeamID = 1
			wantErrs(t, s.outcomes(t, allOrNothing(mutations...)))
			slices.Reverse(records) // newest first
			wantSame(t, "ListContacts", contacts.ContactList{Records: records, Count: 3000}, s.listContacts(t, q))
		},
	},
	{
		"seen whole",
		allOrNothingRule,
		func(t *test, s *store) {
			const size = 5
			a := s.tenant(t)
			batches := make([]contacts.MutationBatch, many)
			for i := range batches {
				for range size {
					r := named(a, "", func(c *contacts.Contact) { c.Status = fmt.Sprint("of batch ", i) })
					batches[i].Mutations = append(batches[i].Mutations, create(r))
				}
				batches[i].Now, batches[i].AllOrNothing = noon, true
				if i%4 == 0 { // some fail at their end
					batches[i].Mutations[size-1].Contacts[0].Record.Contact.TeamID = 9
				}
			}
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for last := false; !last && !t.Failed(); {
						last = done.Load() // one more round, when all must be there
						list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, Limit: many * size})
						wantErr(t, "ListContacts", err, nil)
						seen := map[string]int{}
						for _, r := range list.Records {
							seen[r.Contact.Status]++
						}
						for status, n := range seen {
							if n != size {
								t.Errorf("ListContacts: got %d contacts %s, which has %d", n, status, size)
							}
						}
						if want := many - many/4; last && len(seen) != want {
							t.Errorf("ListContacts: got the contacts of %d batches, want %d", len(seen), want)
						}
					}
				})
			}
			together(many, func(i int) {
				outcomes, err := s.Apply(t.Context(), batches[i])
				if failed := outcomes != nil; err != nil || failed != (i%4 == 0) {
					t.Errorf("Apply: got %v and %v", errors.Join(errorsOf(outcomes)...), err)
				}
			})
			done.Store(true)
			readers.Wait()
		},
	},
	{
		"one contact in many batches",
		allOrNothingRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			shared := newContact(a)
			batches := make([]contacts.MutationBatch, many)
			for i := range batches {
				batches[i] = allOrNothing(create(newContact(a)), create(shared), create(newContact(a)))
			}
			outcomes := make([][]contacts.MutationOutcome, many)
			winner := winnerOf(t, contacts.ErrExists, func(i int) (err error) {
				outcomes[i], err = s.Apply(t.Context(), batches[i])
				return errors.Join(err, errors.Join(errorsOf(outcomes[i])...))
			})
			for i := range outcomes {
				if i != winner {
					wantErrs(t, outcomes[i], contacts.ErrBatchFailed, contacts.ErrExists, contacts.ErrBatchFailed)
				}
			}
			var want []*contacts.ContactRecord
			for _, m := range batches[winner].Mutations {
				want = append(want, m.Contacts[0].Record)
			}
			slices.SortFunc(want, newestFirst)
			wantSame(t, "ListContacts", want, s.allContacts(t, a))
		},
	},
	{
		"one key in batches that fail",
		allOrNothingRule,
		func(t *test, s *store) {
			const keys = 8
			for k := range keys {
				a := s.tenant(t)
				fails := func(i int) bool { return (i+k)%2 == 0 } // half of the callers, and is never seen
				records, outcomes, errs := make([]*contacts.ContactRecord, many), make([][]contacts.MutationOutcome, many), make([]error, many)
				together(many, func(i int) {
					records[i] = newContact(a)
					once := onceAs("key")
					once.Result = records[i].Contact.ID.String()
					batch := batchOf(createOnce(records[i], once))
					if fails(i) {
						batch = allOrNothing(batch.Mutations[0], create(newFullContact(a, 9)))
					}
					outcomes[i], errs[i] = s.Apply(t.Context(), batch)
				})
				var winners []*contacts.ContactRecord
				for i, got := range outcomes {
					wantErr(t, "Apply", errs[i], nil)
					switch {
					case fails(i):
						wantErrs(t, got, contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
					case got == nil:
						winners = append(winners, records[i])
					}
				}
				wantSame(t, "ListContacts", winners, s.allContacts(t, a))
				if len(winners) != 1 {
					t.Fatalf("%d of many that have one key stored their contacts, want 1", len(winners))
				}
				want := []contacts.MutationOutcome{{Result: winners[0].Contact.ID.String()}}
				for i, got := range outcomes {
					if !fails(i) && got != nil {
						wantSame(t, "Apply of those that did not store theirs", want, got)
					}
				}
			}
		},
	},
	{
		"in opposite orders",
		allOrNothingRule,
		func(t *test, s *store) {
			const callers, rounds = 8, 3
			a := s.tenant(t)
			pair := []*contacts.ContactRecord{newContact(a), newContact(a)}
			s.create(t, pair...)
			together(callers, func(i int) {
				for range rounds {
					for tries := 0; ; tries++ { // until no other caller has come in between
						var changes []contacts.ContactChange
						for _, r := range pair {
							found, err := s.FindContact(t.Context(), a, r.Contact.ID)
							if err != nil || tries == 10_000 {
								t.Errorf("try %d: FindContact: %v", tries, err)
								return
							}
							changes = append(changes, changeOf(found, func(c *contacts.Contact) { c.Tags = append(c.Tags, fmt.Sprint(i)) }))
						}
						if i%2 == 0 {
							slices.Reverse(changes)
						}
						outcomes, err := s.Apply(t.Context(), allOrNothing(update(changes[0]), update(changes[1])))
						if err == nil && outcomes == nil {
							break
						}
						for _, refusal := range append(errorsOf(outcomes), err) {
							if refusal != nil && !errors.Is(refusal, contacts.ErrConflict) && !errors.Is(refusal, contacts.ErrBatchFailed) {
								t.Errorf("Apply at the same time: %v", refusal)
								return
							}
						}
					}
				}
			})
			x, y := s.contact(t, a, pair[0].Contact.ID).Contact, s.contact(t, a, pair[1].Contact.ID).Contact
			wantSame(t, "tags of the second", x.Tags, y.Tags)
			wantSame(t, "Version", int64(1+callers*rounds), x.Version)
			wantSame(t, "Version of the second", x.Version, y.Version)
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			good := []*contacts.ContactRecord{newContact(a), newContact(a)}
			bad := []*contacts.ContactRecord{newContact(a), newFullContact(a, 9)}
			failing := createOnce(bad[0], onceAs("key"))
			failing.Journal = newEntries(1)
			wantErrs(t, s.outcomes(t, allOrNothing(failing, create(bad[1]))), contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
			wantErrs(t, s.outcomes(t, allOrNothing(append(each(create, good...), journal(a, newEntry(7)))...)))

			again := s.reopen(t)
			again.wantContacts(t, good...)
			again.wantNoContacts(t, bad...)
			again.wantEntries(t, a, numbered(1, []contacts.JournalEntry{newEntry(7)})...)
			again.wantStored(t, createOnce(newContact(a), otherInput(onceAs("key"))))
		},
	},
	{
		"a refusal uses up no number",
		noGapsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantStored(t, contacts.Mutation{AccountID: a, Idempotency: onceAs("key")})
			for i := range 4 {
				homeless := create(newFullContact(a, 9))
				homeless.Journal = newEntries(2)
				replayed := journal(a, newEntries(2)...)
				replayed.Idempotency = onceAs("key")
				missing := journal(a, newEntries(2)...)
				missing.Journal[1].Sequence = 99
				outcomes := s.outcomes(t, batchOf(homeless, replayed, journal(a, newEntry(2*i)), missing, journal(a, newEntry(2*i+1))))
				wantErrs(t, outcomes, contacts.ErrTeamNotFound, nil, nil, contacts.ErrNotFound, nil)
				failing := allOrNothing(journal(a, newEntries(3)...), homeless)
				wantErrs(t, s.outcomes(t, failing), contacts.ErrBatchFailed, contacts.ErrTeamNotFound)
			}
			s.wantEntries(t, a, numbered(1, newEntries(8))...)
		},
	},
	{
		"one version twice in a batch",
		oneVersionRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			var changes []contacts.ContactChange
			for i := range 3 {
				changes = append(changes, changeOf(r, func(c *contacts.Contact) { c.FirstName = fmt.Sprint("Ada ", i) }))
			}
			var stored []*contacts.ContactRecord
			for i, o := range s.outcomes(t, batchOf(each(update, changes...)...)) {
				if o.Err == nil {
					stored = append(stored, changes[i].Record)
					continue
				}
				wantErr(t, "Apply", o.Err, contacts.ErrConflict)
			}
			if len(stored) != 1 {
				t.Fatalf("%d of 3 changes that expect one version were stored, want 1", len(stored))
			}
			s.wantContacts(t, stored...)
		},
	},
}
