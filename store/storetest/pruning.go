package storetest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const pruneRule = "Apply with no mutations removes a bounded number of what may be removed. An event may stay for a second more, so that events can be removed together."

var pruningCases = []testCase{
	{
		"only what has ended",
		keptRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			deletedContact := newFullContact(a, 0)
			deletedContact.Contact.DeletedAt = noon
			s.create(t, deletedContact)
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "1"), newSetting(a, 2, "events", "")}})
			directory := s.directory(t)
			ended := newEntries(6)
			for i := range ended {
				ended[i].EndsAt = noon
			}
			ended[3].EndsAt = time.Time{}                // never
			ended[4].EndsAt = noon.Add(time.Microsecond) // an hour ago, less a microsecond
			lasting := onceAs("lasting")
			lasting.EndsAt = noon.AddDate(10, 0, 0)
			m := journal(a, ended...)
			m.Settings, m.Idempotency = 2, lasting
			s.apply(t, m)
			const calls = 20
			for round, now := range []time.Time{noon.Add(time.Hour), noon.AddDate(9, 0, 0)} {
				for range calls {
					wantErrs(t, s.outcomes(t, batchAt(now)))
					more := journal(a, newEntry(9))
					more.Settings = 2
					wantErrs(t, s.outcomes(t, batchAt(now, more)))
				}
				left := map[int64]contacts.JournalEntry{}
				for _, e := range s.entries(t, a) {
					left[e.Sequence] = e
				}
				for i, want := range numbered(1, ended) {
					stays := i == 3 || i == 4 && round == 0
					if got, ok := left[want.Sequence]; ok || stays { // the others may be gone
						wantSame(t, fmt.Sprintf("entry %d", want.Sequence), want, got)
					}
				}
				for n := range int64(calls * (round + 1)) {
					if _, ok := left[7+n]; !ok {
						t.Errorf("entry %d, which never ends, is gone", 7+n)
					}
				}
				s.wantContacts(t, deletedContact)
				wantSame(t, "the directory", directory, s.directory(t))
				again := createOnce(newContact(a), lasting)
				wantSame(t, "Apply again", []contacts.MutationOutcome{{Result: lasting.Result}}, s.outcomes(t, batchAt(now, again)))
			}
		},
	},
	{
		"other kinds than events",
		"Entries of another kind stay, whatever their EndsAt says.",
		func(t *test, s *store) {
			accounts := []uuid.UUID{s.tenant(t), s.tenant(t)}
			entries := newEntries(300)
			for i := range entries {
				entries[i].Kind = []contacts.JournalKind{contacts.JournalDoNotCall, contacts.JournalErasure}[i%2]
				entries[i].EndsAt = noon.Add(-time.Duration(i) * time.Hour)
			}
			for _, a := range accounts {
				s.apply(t, journal(a, entries...))
			}
			want := numbered(1, entries)
			late := noon.AddDate(9, 0, 0)
			for i := range 5 {
				wantErrs(t, s.outcomes(t, batchAt(late)))
				more := newEntry(i)
				more.Kind, more.EndsAt = contacts.JournalDoNotCall, noon
				m := journal(accounts[0], more)
				m.Idempotency = onceAs(newID().String())
				wantErrs(t, s.outcomes(t, batchAt(late, m, journal(accounts[1], more))))
				more.Sequence = int64(len(want) + 1)
				want = append(want, more)
			}
			for _, a := range accounts {
				s.wantEntries(t, a, want...)
			}
		},
	},
	{
		"idempotency records within the hour",
		keptRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantStored(t, createOnce(newContact(a), onceAs("key")))
			ends := onceAs("key").EndsAt
			for range 3 { // a clock that is ahead, by less than an hour
				wantErrs(t, s.outcomes(t, batchAt(ends.Add(time.Hour-time.Microsecond))))
				wantErrs(t, s.outcomes(t, batchAt(ends.Add(time.Hour-time.Microsecond), createOnce(newContact(a), onceAs(newID().String())))))
			}
			again := batchAt(ends.Add(-time.Microsecond), createOnce(newContact(a), onceAs("key")))
			wantSame(t, "Apply by a clock that is right", []contacts.MutationOutcome{{Result: onceAs("key").Result}}, s.outcomes(t, again))
		},
	},
	{
		"idempotency records before their end",
		keptRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			// Some that last, among thousands that end soon, also of another account.
			lasting := func(i int) *contacts.IdempotencyRecord {
				once := onceAs(fmt.Sprint("lasting ", i))
				once.EndsAt = noon.AddDate(0, 0, 1).Add(time.Duration(i) * time.Microsecond)
				return once
			}
			const rounds = 20
			for i := range rounds {
				mutations := []contacts.Mutation{createOnce(newContact(a), lasting(i))}
				for j := range 150 {
					short := onceAs(fmt.Sprint("short ", i, j))
					short.EndsAt = noon.Add(time.Duration(i) * time.Second)
					mutations = append(mutations, createOnce(newContact([]uuid.UUID{a, b}[j%2]), short))
				}
				now := noon.Add(time.Duration(i) * time.Hour) // when many have ended
				wantErrs(t, s.outcomes(t, batchAt(now, mutations...)))
			}
			last := noon.AddDate(0, 0, 1).Add(-time.Microsecond) // the last moment of the first
			wantErrs(t, s.outcomes(t, batchAt(last)))
			for i := range rounds {
				want := []contacts.MutationOutcome{{Result: lasting(i).Result}}
				wantSame(t, "Apply again", want, s.outcomes(t, batchAt(last, createOnce(newContact(a), lasting(i)))))
			}
		},
	},
	{
		"the newest entry",
		"The newest entry of an account is never removed.",
		func(t *test, s *store) {
			accounts := []uuid.UUID{s.tenant(t), s.tenant(t)}
			entries := newEntries(3)
			for i := range entries {
				entries[i].EndsAt = noon
			}
			for _, a := range accounts {
				s.apply(t, journal(a, entries...))
			}
			pruneAll(t, s, noon.AddDate(1, 0, 0), func() bool { return len(s.entries(t, accounts[0]))+len(s.entries(t, accounts[1])) == 2 })
			for _, a := range accounts {
				s.wantEntries(t, a, numbered(3, entries[2:])...)
				s.apply(t, journal(a, newEntry(7))) // so its number is known
				s.wantEntries(t, a, append(numbered(3, entries[2:]), numbered(4, []contacts.JournalEntry{newEntry(7)})...)...)
			}
			pruneAll(t, s, noon.AddDate(1, 0, 0), func() bool { return len(s.entries(t, accounts[0]))+len(s.entries(t, accounts[1])) == 2 })
		},
	},
	{
		"without mutations",
		pruneRule,
		func(t *test, s *store) {
			for _, none := range [][]contacts.Mutation{nil, {}} {
				batch := batchOf(none...)
				batch.Mutations = none
				wantErrs(t, s.outcomes(t, batch))
				batch.AllOrNothing = true
				wantErrs(t, s.outcomes(t, batch))
			}
			// What has ended is removed in the end, wherever it is in the journal.
			a := s.tenant(t)
			entries := newEntries(1000)
			left := 0
			for i := range entries {
				if i%100 != 7 {
					entries[i].EndsAt = noon.Add(time.Duration(i%3) * time.Second)
				} else {
					left++
				}
			}
			entries = append(entries, newEntry(1000))
			s.apply(t, journal(a, entries...))
			pruneAll(t, s, noon.Add(2*time.Hour), func() bool { return len(s.entries(t, a)) == left+1 })
			var want []contacts.JournalEntry
			for i, e := range numbered(1, entries) {
				if entries[i].EndsAt.IsZero() {
					want = append(want, e)
				}
			}
			s.wantEntries(t, a, want...)
			q := contacts.JournalQuery{AccountID: a, After: 300, Limit: 2}
			wantSame(t, "ListJournal after what is gone", listedEntries(q, want), s.listJournal(t, q))
			q.Backwards = true
			wantSame(t, "ListJournal before what is gone", listedEntries(q, want), s.listJournal(t, q))
		},
	},
	{
		"returned as long as it is there",
		"An entry that has ended is returned as long as it is there.",
		func(t *test, s *store) {
			a := s.tenant(t)
			entries := newEntries(3)
			for i := range entries {
				entries[i].EndsAt = noon.Add(time.Duration(i-2) * time.Minute) // ended, but less than an hour ago
			}
			s.apply(t, journal(a, entries...), journal(a, newEntry(7)))
			wantErrs(t, s.outcomes(t, batchAt(noon)))
			s.wantEntries(t, a, append(numbered(1, entries), numbered(4, []contacts.JournalEntry{newEntry(7)})...)...)
			wantSame(t, "ListJournal by subject", numbered(2, entries[1:2]), s.listJournal(t, contacts.JournalQuery{AccountID: a, Subjects: [][32]byte{subject(1)}, Limit: 9}))
		},
	},
}

// pruneAll calls Apply without mutations until all is removed that may be.
func pruneAll(t *test, s *store, now time.Time, done func() bool) {
	t.Helper()
	const calls = 200
	for range calls {
		if done() {
			return
		}
		wantErrs(t, s.outcomes(t, batchAt(now)))
	}
	if !done() {
		t.Errorf("%d calls of Apply without mutations have not removed what has ended", calls)
	}
}
