package modeltest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
)

// entry draws an entry that is appended, or one that replaces another and is
// seldom refused.
func (m *model) entry(t *rapid.T, account uuid.UUID) contacts.JournalEntry {
	e := m.newEntry(t)
	if rapid.IntRange(0, 3).Draw(t, "replace") > 0 {
		return e
	}
	stored := m.replaceable(t, account)
	if len(stored) == 0 || rarely(t, "unknown entry") {
		e.Sequence = 9999
		return e
	}
	old := rapid.SampledFrom(stored).Draw(t, "entry")
	e.Sequence, e.Kind, e.Subject = old.Sequence, old.Kind, old.Subject
	switch {
	case rarely(t, "other subject"):
		e.Subject[31]++
	case rarely(t, "other kind"):
		e.Kind = e.Kind%contacts.JournalErasure + 1
	}
	return e
}

func (m *model) newEntry(t *rapid.T) contacts.JournalEntry {
	e := contacts.JournalEntry{
		Kind:    rapid.SampledFrom([]contacts.JournalKind{contacts.JournalEvent, contacts.JournalEvent, contacts.JournalDoNotCall, contacts.JournalErasure}).Draw(t, "kind"),
		Subject: aSubject(t),
		At:      m.now.Add(rapid.SampledFrom([]time.Duration{0, 0, time.Microsecond, -time.Millisecond, time.Minute}).Draw(t, "at")),
		Data:    rapid.SampledFrom([]string{"", `{}`, `{"a":"\u00e9","b":1.50}`}).Draw(t, "data"),
	}
	if e.Kind == contacts.JournalEvent && rapid.Bool().Draw(t, "ends") {
		e.EndsAt = e.At.Add(rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Hour}).Draw(t, "after"))
	}
	return e
}

func aSubject(t *rapid.T) [32]byte {
	return [32]byte{byte(rapid.IntRange(1, 4).Draw(t, "subject"))}
}

// mayBeGone reports whether a store may have removed the entry by now.
func (m *model) mayBeGone(e contacts.JournalEntry) bool {
	return e.Kind == contacts.JournalEvent && !e.EndsAt.IsZero() && !e.EndsAt.After(m.now.Add(-time.Hour))
}

// replaceable returns the entries of the account that no store may have removed,
// without those that are never replaced.
func (m *model) replaceable(t *rapid.T, account uuid.UUID) []contacts.JournalEntry {
	all, err := m.memory.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Limit: math.MaxInt})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e contacts.JournalEntry) bool { return m.mayBeGone(e) || e.Kind == contacts.JournalErasure })
}

// applyVerbatim copies entries with their numbers: some further on, some that are
// there, some that are in the way of another.
func (m *model) applyVerbatim(t *rapid.T) {
	account := m.account(t)
	stored := m.replaceable(t, account)
	b := contacts.MutationBatch{Now: m.now, Verbatim: true, AllOrNothing: rapid.Bool().Draw(t, "all or nothing")}
	next := m.newest(t, account)
	for range rapid.IntRange(1, 3).Draw(t, "mutations") {
		mutation := contacts.Mutation{AccountID: account}
		if a, err := m.memory.FindAccount(t.Context(), account); err == nil {
			mutation.Settings = a.SettingsVersion
		}
		for range rapid.IntRange(1, 3).Draw(t, "entries") {
			if len(stored) > 0 && rapid.IntRange(0, 2).Draw(t, "there") == 0 {
				e := rapid.SampledFrom(stored).Draw(t, "entry")
				e.Data = `{"copied":true}`
				if rarely(t, "in the way") {
					e.Subject[31]++
				}
				mutation.Journal = append(mutation.Journal, e)
				continue
			}
			e := m.newEntry(t)
			next += rapid.Int64Range(1, 3).Draw(t, "further on")
			e.Sequence = next
			mutation.Journal = append(mutation.Journal, e)
		}
		b.Mutations = append(b.Mutations, mutation)
	}
	m.applyBatch(t, b)
}

// newest returns the number of the newest entry of the account, which is never
// removed.
func (m *model) newest(t *rapid.T, account uuid.UUID) int64 {
	last, err := m.memory.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Backwards: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(last) == 0 {
		return 0
	}
	return last[0].Sequence
}

// cleanUp lets the stores remove what has ended.
func (m *model) cleanUp(t *rapid.T) {
	m.applyBatch(t, contacts.MutationBatch{Now: m.now})
}

// listJournal compares a page of the journal. Stores need not have removed the
// same entries.
func (m *model) listJournal(t *rapid.T) {
	q := contacts.JournalQuery{
		AccountID: m.anyAccount(t),
		Kind:      contacts.JournalKind(rapid.IntRange(0, int(contacts.JournalErasure)).Draw(t, "kind")),
		After:     rapid.Int64Range(0, 12).Draw(t, "after"),
		Backwards: rapid.Bool().Draw(t, "backwards"),
	}
	if rapid.Bool().Draw(t, "by subject") {
		for s := range byte(5) {
			if s == 0 || rapid.Bool().Draw(t, "subject") {
				q.Subjects = append(q.Subjects, [32]byte{s})
			}
		}
	}
	q.Limit = math.MaxInt32
	want, wantErr := m.memory.ListJournal(t.Context(), q)
	want = slices.DeleteFunc(want, m.mayBeGone)
	q.Limit = rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "limit")
	for _, s := range m.tested {
		call := fmt.Sprintf("ListJournal(%+v)", q)
		got, err := s.ListJournal(t.Context(), q)
		sameError(t, call, wantErr, err)
		if len(got) > q.Limit {
			t.Fatalf("%s: %d entries", call, len(got))
		}
		full := len(got) == q.Limit
		got = slices.DeleteFunc(got, m.mayBeGone)
		expected := want
		if full {
			expected = want[:min(len(got), len(want))]
		}
		if diff := cmp.Diff(expected, got, sameEmpty); diff != "" {
			t.Fatalf("%s (-memory +tested):\n%s", call, diff)
		}
	}
}

// sameEmpty takes an empty list for an absent one: entries were left out of both.
var sameEmpty = cmp.FilterValues(
	func(x, y []contacts.JournalEntry) bool { return len(x) == 0 && len(y) == 0 },
	cmp.Comparer(func(x, y []contacts.JournalEntry) bool { return true }),
)
