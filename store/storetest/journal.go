package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	appendRule    = "A journal entry with Sequence 0 is appended and gets the next number of its account, starting at 1. The entries of one mutation get consecutive numbers in their order."
	noGapsRule    = "The numbers of an account have no gaps and are in the order of the commits."
	replaceRule   = "An entry with another Sequence replaces the Data of the stored entry that has this number, kind and subject."
	ownRule       = "No entry replaces another of its own mutation."
	listJournal   = "ListJournal returns the entries of an account that match the query, in ascending order of sequence, at most Limit, starting after After."
	backwardsRule = "With Backwards it returns them in descending order, starting before After; 0 is the end of the journal."
	verbatimRule  = "With Verbatim, an entry whose Sequence is above the account's newest is appended with that number, and the next number is one above it."
	upToRule      = "A number up to the newest replaces as it does without Verbatim. Where no stored entry has the number, kind and subject, it is ErrExists."
	noSubjectRule = "Subjects that are empty and not nil match nothing."
)

var journalCases = []testCase{
	{
		"appended",
		appendRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			s.apply(t, journal(a, newEntries(3)...), journal(b, newEntry(0)), journal(a, newEntry(3)))
			s.apply(t, journal(a, newEntry(4)), journal(b, newEntries(2)...))
			m := create(newContact(a))
			m.Journal = newEntries(2)
			s.apply(t, m)
			s.wantEntries(t, a, numbered(1, append(newEntries(5), newEntries(2)...))...)
			s.wantEntries(t, b, numbered(1, append(newEntries(1), newEntries(2)...))...)
			// One of the longest mutations, too.
			long := newEntries(10_000)
			s.apply(t, journal(b, long...), journal(b, newEntry(7)))
			s.wantEntries(t, b, numbered(1, slices.Concat(newEntries(1), newEntries(2), long, []contacts.JournalEntry{newEntry(7)}))...)
			// New contacts, not in the order of their ids. Those that are refused have none.
			c, d := s.tenant(t), s.tenant(t)
			var creates []contacts.Mutation
			for i, account := range []uuid.UUID{c, d, c, c, d} {
				r := newContact(account)
				r.Contact.ID[0] = byte(0xff - i)
				if i%2 == 0 {
					r.Contact.TeamID = 9
				}
				m := create(r)
				m.Journal = []contacts.JournalEntry{newEntry(2 * i), newEntry(2*i + 1)}
				creates = append(creates, m)
			}
			wantErrs(t, s.outcomes(t, batchOf(creates...)), contacts.ErrTeamNotFound, nil, contacts.ErrTeamNotFound, nil, contacts.ErrTeamNotFound)
			s.wantEntries(t, c, numbered(1, creates[3].Journal)...)
			s.wantEntries(t, d, numbered(1, creates[1].Journal)...)
			for _, i := range []int{4, 2, 0} {
				creates[i].Contacts[0].Record.Contact.TeamID = 0
			}
			s.apply(t, creates[2], creates[4], creates[0])
			s.wantEntries(t, c, numbered(1, slices.Concat(creates[3].Journal, creates[2].Journal, creates[0].Journal))...)
			s.wantEntries(t, d, numbered(1, slices.Concat(creates[1].Journal, creates[4].Journal))...)
		},
	},
	{
		"replaced",
		replaceRule + " " + unknownRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			entries := newEntries(4)
			entries[1].Kind, entries[2].EndsAt = contacts.JournalDoNotCall, noon.AddDate(1, 0, 0)
			s.apply(t, journal(a, entries...), journal(b, newEntry(0)))
			want := numbered(1, entries)
			for i := range want {
				given := want[i]
				given.Data = strings.Repeat(`{"replaced":true}`, i)
				want[i].Data = given.Data
				// What else it says is not kept.
				given.At, given.EndsAt = noon.AddDate(2, 0, 0), noon.AddDate(3, 0, 0)
				s.wantStored(t, journal(a, given))
				s.wantEntries(t, a, want...)
			}
			// Several, with new ones between them.
			m := create(newContact(a))
			for i := range want[:3] {
				given := want[i]
				given.Data = fmt.Sprint("again ", i)
				want[i].Data = given.Data
				m.Journal = append(m.Journal, given, newEntry(10+i))
			}
			s.wantStored(t, m)
			want = append(want, numbered(5, []contacts.JournalEntry{newEntry(10), newEntry(11), newEntry(12)})...)
			s.wantEntries(t, a, want...)

			for name, change := range map[string]func(*contacts.JournalEntry){
				"another kind":        func(e *contacts.JournalEntry) { e.Kind = contacts.JournalErasure },
				"another subject":     func(e *contacts.JournalEntry) { e.Subject[31] ^= 1 },
				"a sequence to come":  func(e *contacts.JournalEntry) { e.Sequence = 8 },
				"a sequence far away": func(e *contacts.JournalEntry) { e.Sequence = 1 << 40 },
			} {
				given := want[0]
				given.Data = "changed"
				change(&given)
				m := journal(a, newEntry(9), given)
				got := s.one(t.Context(), m)
				wantErr(t, "Apply with "+name, got.Err, contacts.ErrNotFound)
			}
			s.wantEntries(t, a, want...)
			s.wantEntries(t, b, numbered(1, newEntries(1))...)
		},
	},
	{
		"no entry of its own mutation",
		ownRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.apply(t, journal(a, newEntries(3)...))
			m := journal(a, newEntry(3), numbered(4, []contacts.JournalEntry{newEntry(3)})[0])
			s.wantRefused(t, m, contacts.ErrNotFound)
			m.Journal = m.Journal[:1]
			s.wantStored(t, m)
			s.wantEntries(t, a, numbered(1, newEntries(4))...)
		},
	},
	{
		"times",
		timesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			events := newEntries(len(instants))
			for i, at := range instants {
				events[i].At, events[i].EndsAt = at, at
			}
			batch := batchOf(journal(a, events...))
			batch.Now = instants[1] // before any of them has ended
			wantErrs(t, s.outcomes(t, batch))
			s.wantEntries(t, a, numbered(1, events)...)
		},
	},
	{
		"pages",
		listJournal + " " + backwardsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			all := numbered(1, newEntries(25))
			for i := range all {
				all[i].Kind = []contacts.JournalKind{contacts.JournalEvent, contacts.JournalDoNotCall, contacts.JournalErasure}[i%3]
				all[i].Subject = subject(i % 5)
			}
			given := slices.Clone(all)
			for i := range given {
				given[i].Sequence = 0
			}
			s.apply(t, journal(a, given...))
			for name, q := range map[string]contacts.JournalQuery{
				"all":              {},
				"one kind":         {Kind: contacts.JournalDoNotCall},
				"one subject":      {Subjects: [][32]byte{subject(3)}},
				"one of a kind":    {Kind: contacts.JournalEvent, Subjects: [][32]byte{subject(3)}},
				"several subjects": {Subjects: [][32]byte{subject(0), subject(2), subject(9)}},
				"both":             {Kind: contacts.JournalErasure, Subjects: [][32]byte{subject(1), subject(4)}},
				"five of a kind":   {Kind: contacts.JournalEvent, Subjects: [][32]byte{subject(0), subject(1), subject(2), subject(3), subject(4)}},
				"a subject twice":  {Kind: contacts.JournalEvent, Subjects: [][32]byte{subject(1), subject(1)}},
				"nothing":          {Subjects: [][32]byte{subject(5)}},
				"no kind":          {Kind: 9},
			} {
				q.AccountID = a
				for _, q.Backwards = range []bool{false, true} {
					for _, q.Limit = range []int{1, 3, 24, 25, 1000} {
						for _, q.After = range []int64{0, 1, 2, 12, 24, 25, 26, 1 << 40} {
							wantSame(t, fmt.Sprintf("ListJournal of %s, backwards %v, after %d, limit %d", name, q.Backwards, q.After, q.Limit), listedEntries(q, all), s.listJournal(t, q))
						}
					}
				}
				var pages []contacts.JournalEntry
				q.Backwards, q.Limit, q.After = false, 4, 0
				for range len(all) { // more than there are pages
					page := s.listJournal(t, q)
					if len(page) == 0 {
						break
					}
					pages = append(pages, page...)
					q.After = page[len(page)-1].Sequence
				}
				q.Limit, q.After = 1000, 0
				wantSame(t, "all pages of "+name, listedEntries(q, all), pages)
			}
		},
	},
	{
		"many subjects",
		listJournal,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.apply(t, journal(a, newEntries(60)...))
			all := numbered(1, newEntries(60))
			q := contacts.JournalQuery{AccountID: a, Limit: 100}
			for i := range 10_000 {
				q.Subjects = append(q.Subjects, subject(i*7+3)) // in ascending order
			}
			for _, q.Backwards = range []bool{false, true} {
				wantSame(t, "ListJournal of 10,000 subjects", listedEntries(q, all), s.listJournal(t, q))
			}
		},
	},
	{
		"long pages of subjects",
		listJournal + " " + backwardsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			entries := newEntries(2300)
			for i := range entries {
				entries[i].Subject = subject(i % 2)
			}
			s.apply(t, journal(a, entries...))
			all := numbered(1, entries)
			for name, subjects := range map[string][][32]byte{"a subject": {subject(1)}, "two subjects": {subject(0), subject(1)}} {
				for _, backwards := range []bool{false, true} {
					q := contacts.JournalQuery{AccountID: a, Subjects: subjects, Backwards: backwards, Limit: 3000}
					got := s.listJournal(t, q)
					want := listedEntries(q, all)
					wantSame(t, "number of entries of "+name, len(want), len(got))
					wantSame(t, "ListJournal of "+name, want, got)
				}
			}
		},
	},
	{
		"of no subjects",
		noSubjectRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.apply(t, journal(a, newEntries(3)...))
			for _, q := range []contacts.JournalQuery{{}, {Backwards: true}, {Kind: contacts.JournalEvent}, {Kind: contacts.JournalEvent, Backwards: true}, {After: 1}} {
				q.AccountID, q.Subjects, q.Limit = a, [][32]byte{}, 9
				wantSame(t, "ListJournal", []contacts.JournalEntry(nil), s.listJournal(t, q))
			}
		},
	},
	{
		"byte for byte",
		"Every field comes back as given, byte for byte.",
		func(t *test, s *store) {
			a := s.tenant(t)
			var entries []contacts.JournalEntry
			for i, text := range append([]string{"", `{"b":1, "a":2.50,"a":1e400}`}, hostile...) {
				e := newEntry(i)
				e.Data = text
				e.Subject = [32]byte{0: byte(i), 1: 0xff, 15: byte(i * 7), 31: byte(255 - i)}
				entries = append(entries, e)
			}
			entries[0].Subject, entries[1].Subject[31] = [32]byte{}, 0
			s.apply(t, journal(a, entries...))
			want := numbered(1, entries)
			s.wantEntries(t, a, want...)
			for _, e := range want {
				wantSame(t, "ListJournal of a subject", []contacts.JournalEntry{e}, s.listJournal(t, contacts.JournalQuery{AccountID: a, Subjects: [][32]byte{e.Subject}, Limit: 9}))
			}
			// And as what replaces others.
			for i := range want {
				want[i].Data = entries[len(entries)-1-i].Data
			}
			s.apply(t, journal(a, want...))
			s.wantEntries(t, a, want...)
		},
	},
	{
		"account unknown",
		"An account that does not exist has none.",
		func(t *test, s *store) {
			a := s.tenant(t)
			s.apply(t, journal(a, newEntry(1)))
			for _, account := range []uuid.UUID{newID(), {}} {
				for _, q := range []contacts.JournalQuery{{}, {Backwards: true}, {Kind: contacts.JournalEvent}, {Subjects: [][32]byte{subject(1)}}} {
					q.AccountID, q.Limit = account, 9
					wantSame(t, "ListJournal of an unknown account", []contacts.JournalEntry(nil), s.listJournal(t, q))
				}
			}
			wantSame(t, "ListJournal of an account without entries", []contacts.JournalEntry(nil), s.entries(t, s.tenant(t)))
		},
	},
	{
		"by many at once",
		noGapsRule,
		func(t *test, s *store) { journalTogether(t, s) },
	},
	{
		"by two processes",
		noGapsRule,
		func(t *test, s *store) { journalTogether(t, s, s.second(t)) },
	},
	{
		"numbers brought along",
		verbatimRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			at := func(sequence int64, n int) contacts.JournalEntry {
				e := newEntry(n)
				e.Sequence = sequence
				return e
			}
			verbatim := func(entries ...contacts.JournalEntry) {
				t.Helper()
				s.applyVerbatim(t, journal(a, entries...))
			}
			verbatim(at(7, 1), at(8, 2), at(20, 3))
			verbatim(at(0, 4), at(30, 5), at(0, 6))
			s.apply(t, journal(a, newEntries(2)...))
			verbatim(at(1<<53+1, 7))
			s.apply(t, journal(a, newEntry(8)))
			s.wantEntries(t, a, at(7, 1), at(8, 2), at(20, 3), at(21, 4), at(30, 5), at(31, 6), at(32, 0), at(33, 1), at(1<<53+1, 7), at(1<<53+2, 8))
			q := contacts.JournalQuery{AccountID: a, After: 20, Backwards: true, Limit: 2}
			wantSame(t, "ListJournal backwards", []contacts.JournalEntry{at(8, 2), at(7, 1)}, s.listJournal(t, q))
			// It is no way round anything else.
			batch := batchOf(create(newFullContact(a, 9)), journal(b, at(3, 1)), create(newFullContact(b, 0)))
			batch.Mutations[0].Journal = []contacts.JournalEntry{at(1<<53+9, 9)}
			batch.Verbatim = true
			wantErrs(t, s.outcomes(t, batch), contacts.ErrTeamNotFound, nil, nil)
			s.apply(t, journal(a, newEntry(9)), journal(b, newEntry(2)))
			s.wantEntries(t, b, at(3, 1), at(4, 2))
			wantSame(t, "the newest entry", []contacts.JournalEntry{at(1<<53+3, 9)}, s.listJournal(t, contacts.JournalQuery{AccountID: a, Backwards: true, Limit: 1}))
		},
	},
	{
		"numbers brought along, all or nothing",
		verbatimRule + " " + allOrNothingRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			batch := allOrNothing(journal(a, numbered(7, newEntries(2))...), journal(b, numbered(3, newEntries(1))...), journal(a, newEntry(2)))
			batch.Verbatim = true
			wantErrs(t, s.outcomes(t, batch))
			batch.Mutations = []contacts.Mutation{journal(a, numbered(20, newEntries(1))...), journal(b, numbered(2, newEntries(1))...)}
			wantErrs(t, s.outcomes(t, batch), contacts.ErrBatchFailed, contacts.ErrExists)
			s.wantEntries(t, a, numbered(7, newEntries(3))...)
			s.wantEntries(t, b, numbered(3, newEntries(1))...)
		},
	},
	{
		"numbers brought along again",
		upToRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			apply := func(entries ...contacts.JournalEntry) error {
				batch := batchOf(journal(a, entries...))
				batch.Verbatim = true
				return errors.Join(errorsOf(s.outcomes(t, batch))...)
			}
			want := numbered(5, newEntries(3))
			// A copy that was cut off is made again.
			wantErr(t, "Apply of the first two", apply(want[:2]...), nil)
			wantErr(t, "Apply of all three", apply(want...), nil)
			s.wantEntries(t, a, want...)
			want[1].Data = "redacted meanwhile"
			wantErr(t, "Apply of all three, one of them changed", apply(want...), nil)
			s.wantEntries(t, a, want...)
			for name, change := range map[string]func(*contacts.JournalEntry){
				"another kind":           func(e *contacts.JournalEntry) { e.Kind = contacts.JournalErasure },
				"another subject":        func(e *contacts.JournalEntry) { e.Subject[0] ^= 1 },
				"a number without entry": func(e *contacts.JournalEntry) { e.Sequence = 4 },
			} {
				given := want[2]
				given.Data = "changed"
				change(&given)
				wantErr(t, "Apply of "+name, apply(newEntry(9), given), contacts.ErrExists)
			}
			s.wantEntries(t, a, want...)
		},
	},
	{
		"numbers brought along in any order",
		upToRule + " " + ownRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			first := contacts.JournalEntry{Sequence: 3, Kind: contacts.JournalEvent, Subject: subject(3), At: noon, Data: "first"}
			s.applyVerbatim(t, journal(a, first))
			want := []contacts.JournalEntry{first}
			for _, numbers := range [][]int64{{5, 4}, {0, 4}, {7, 7}, {6, 1}, {0, 0, 5}, {9, 3, 9}, {8, 0, 9}} {
				m := journal(a)
				for _, n := range numbers {
					e := first
					e.Sequence, e.Data = n, "refused"
					m.Journal = append(m.Journal, e)
				}
				batch := batchOf(m)
				batch.Verbatim = true
				outcomes := s.outcomes(t, batch)
				if len(outcomes) != 1 {
					t.Fatalf("Apply of the numbers %v: got %d outcomes, want 1", numbers, len(outcomes))
				}
				wantErr(t, fmt.Sprintf("Apply of the numbers %v", numbers), outcomes[0].Err, contacts.ErrExists)
				s.wantEntries(t, a, want...)
			}
			// In ascending order they are stored, whatever is replaced between them.
			replaced := first
			replaced.Data = "replaced"
			next := numbered(5, newEntries(2))
			s.applyVerbatim(t, journal(a, next[0], replaced, next[1]))
			s.wantEntries(t, a, replaced, next[0], next[1])
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			first := newEntries(5)
			first[3].Kind, first[3].EndsAt = contacts.JournalDoNotCall, time.Time{}
			first[4].EndsAt = noon.AddDate(1, 0, 0)
			s.apply(t, journal(a, first...), journal(b, newEntry(7)))
			want := numbered(1, first)
			want[1].Data = "replaced"
			s.apply(t, journal(a, want[1]))

			again := s.reopen(t)
			again.wantEntries(t, a, want...)
			again.wantEntries(t, b, numbered(1, []contacts.JournalEntry{newEntry(7)})...)
			again.apply(t, journal(a, newEntry(8)), journal(b, newEntry(8)))
			want = append(want, numbered(6, []contacts.JournalEntry{newEntry(8)})...)
			again.reopen(t).wantEntries(t, a, want...)
		},
	},
	{
		"seen by a second process",
		laterReadRule,
		func(t *test, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			var want []contacts.JournalEntry
			for i := range 6 {
				writer, reader := both[i%2], both[1-i%2]
				reader.wantEntries(t, a, want...)
				writer.apply(t, journal(a, newEntry(i)))
				want = append(want, numbered(int64(i+1), []contacts.JournalEntry{newEntry(i)})...)
				reader.wantEntries(t, a, want...)
				want[i/2].Data = fmt.Sprint("replaced ", i)
				reader.apply(t, journal(a, want[i/2]))
				writer.wantEntries(t, a, want...)
			}
		},
	},
}

// applyVerbatim applies a mutation whose entries bring their own numbers.
func (s *store) applyVerbatim(t *test, m contacts.Mutation) {
	t.Helper()
	batch := batchOf(m)
	batch.Verbatim = true
	wantErrs(t, s.outcomes(t, batch))
}

// listedEntries returns what the query asks for if these are all entries.
func listedEntries(q contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
	all = slices.Clone(all)
	if q.Backwards {
		slices.Reverse(all)
	}
	var list []contacts.JournalEntry
	for _, e := range all {
		switch {
		case len(list) == q.Limit:
		case q.Kind != 0 && q.Kind != e.Kind:
		case q.Subjects != nil && !slices.Contains(q.Subjects, e.Subject):
		case q.Backwards && q.After != 0 && e.Sequence >= q.After:
		case !q.Backwards && e.Sequence <= q.After:
		default:
			list = append(list, e)
		}
	}
	return list
}

// journalTogether has many callers, spread over the stores, append to the
// journals of two accounts at the same time, and readers follow them. It checks
// that no reader ever sees a gap, not even for a while, that the entries of a
// mutation follow each other, and that what is refused leaves no gap.
func journalTogether(t *test, stores ...*store) {
	t.Helper()
	const rounds = 6
	accounts := []uuid.UUID{stores[0].tenant(t), stores[0].tenant(t)}
	var done atomic.Bool
	var readers sync.WaitGroup
	for i := range 4 {
		account, s := accounts[i%2], stores[i/2%len(stores)]
		readers.Go(func() {
			next := int64(1)
			for last := false; !last && !t.Failed(); {
				last = done.Load() // one more round, when all must be there
				entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, After: next - 1, Limit: 1000})
				wantErr(t, "ListJournal", err, nil)
				for _, e := range entries {
					if e.Sequence != next {
						t.Errorf("a reader that has seen %d sees %d next", next-1, e.Sequence)
						return
					}
					next++
				}
			}
		})
	}
	stored := make([][2]int, many) // how many entries each caller has stored, by account
	together(many, func(i int) {
		s := stores[i%len(stores)]
		for round := range rounds {
			n := (i+round)%3 + 1
			var batch []contacts.Mutation
			for j, account := range accounts {
				m := contacts.Mutation{AccountID: account}
				if (i+round)%3 == 0 {
					m = create(newContact(account))
				}
				for k := range n {
					e := newEntry(i)
					e.Data = fmt.Sprintf("%d %d %d %d", i, round, k, n)
					m.Journal = append(m.Journal, e)
				}
				if (i+round+j)%4 == 0 { // refused, at the end of the judging
					m.Journal = append(m.Journal, contacts.JournalEntry{Sequence: 1 << 40, Kind: contacts.JournalEvent})
				} else {
					stored[i][j] += n
				}
				batch = append(batch, m)
			}
			if i%2 == 0 {
				slices.Reverse(batch)
			}
			outcomes, err := s.Apply(t.Context(), batchOf(batch...))
			wantErr(t, "Apply", err, nil)
			for at, o := range outcomes {
				refused := batch[at].Journal[len(batch[at].Journal)-1].Sequence != 0
				if refused != errors.Is(o.Err, contacts.ErrNotFound) || !refused && o.Err != nil {
					t.Errorf("Apply at the same time: got error %v", o.Err)
				}
			}
		}
	})
	done.Store(true)
	readers.Wait()
	for j, account := range accounts {
		want := 0
		for i := range stored {
			want += stored[i][j]
		}
		entries := stores[0].entries(t, account)
		wantSame(t, "number of entries", want, len(entries))
		seen := map[string]bool{}
		for at := 0; at < len(entries) && !t.Failed(); {
			var i, round, k, n int
			if _, err := fmt.Sscan(entries[at].Data, &i, &round, &k, &n); err != nil {
				t.Fatalf("the data of an entry has changed: %q", entries[at].Data)
			}
			for k := range n {
				if data := fmt.Sprintf("%d %d %d %d", i, round, k, n); at+k >= len(entries) || entries[at+k].Data != data || seen[data] {
					t.Fatalf("the entries of a mutation do not follow each other: want %q at %d", data, at+k)
				} else {
					seen[data] = true
				}
				wantSame(t, "Sequence", int64(at+k+1), entries[at+k].Sequence)
			}
			at += n
		}
	}
}
