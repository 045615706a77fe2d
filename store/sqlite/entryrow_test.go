//go:build cgo

package sqlite_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// A journalWorld is two stores on one file, and what their journals must have.
type journalWorld struct {
	path     string
	stores   [2]*sqlite.Store
	accounts [2]uuid.UUID
	journals [2][]contacts.JournalEntry // of the accounts
}

func (w *journalWorld) apply(rt *rapid.T, b contacts.MutationBatch) []contacts.MutationOutcome {
	outcomes, err := w.stores[rapid.IntRange(0, 1).Draw(rt, "store")].Apply(rt.Context(), b)
	if err != nil {
		rt.Fatal(err)
	}
	return outcomes
}

// newest returns the number of the newest entry.
func (w *journalWorld) newest(n int) int64 {
	if len(w.journals[n]) == 0 {
		return 0
	}
	return w.journals[n][len(w.journals[n])-1].Sequence
}

// append appends many events, of which neighbours often differ in nothing but their
// subjects and times, with some entry of another kind between them.
func (w *journalWorld) append(rt *rapid.T) {
	b := contacts.MutationBatch{Now: noon, AllOrNothing: rapid.Bool().Draw(rt, "all or nothing"), Verbatim: rapid.Bool().Draw(rt, "verbatim")}
	fails := b.AllOrNothing && rapid.Bool().Draw(rt, "fails")
	newest := [2]int64{w.newest(0), w.newest(1)}
	at, other := noon, rapid.IntRange(0, 60).Draw(rt, "other")
	step := rapid.SampledFrom([]time.Duration{0, time.Microsecond, -time.Microsecond, 300 * time.Millisecond}).Draw(rt, "step")
	for i := range rapid.SampledFrom([]int{1, 3, 99, 100, 101, 230}).Draw(rt, "entries") {
		n := i % 7 % 2
		e := contacts.JournalEntry{Kind: contacts.JournalEvent, Subject: [32]byte{7: byte(i % 5), 31: byte(i % 3)}, At: at, EndsAt: at.Add(time.Hour), Data: `{}`}
		switch {
		case i == other:
			e.Kind, e.EndsAt, e.Data = contacts.JournalDoNotCall, time.Time{}, fmt.Sprint(i)
		case i%71 == 70:
			e.Data = fmt.Sprint(i)
		case i%31 == 30:
			e.EndsAt = e.EndsAt.Add(time.Second)
		}
		at = at.Add(step)
		newest[n]++
		if b.Verbatim {
			if i%23 == 22 {
				newest[n] += 2
			}
			e.Sequence = newest[n]
		}
		b.Mutations = append(b.Mutations, contacts.Mutation{AccountID: w.accounts[n], Journal: []contacts.JournalEntry{e}})
		if e.Sequence = newest[n]; !fails {
			w.journals[n] = append(w.journals[n], e)
		}
	}
	if fails {
		b.Mutations = append(b.Mutations, contacts.Mutation{AccountID: w.accounts[0], Settings: 99})
	}
	if outcomes := w.apply(rt, b); (outcomes != nil) != fails {
		rt.Fatalf("%v", errorsOf(outcomes))
	}
}

// replace gives some entries other data, and appends one before and after. One is refused:
// it is about something else than the entry with its number.
func (w *journalWorld) replace(rt *rapid.T) {
	n := rapid.IntRange(0, 1).Draw(rt, "account")
	journal := &w.journals[n]
	added := contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, EndsAt: noon.Add(time.Hour), Data: `{}`}
	b := contacts.MutationBatch{Now: noon}
	record := func(e contacts.JournalEntry) {
		b.Mutations = append(b.Mutations, contacts.Mutation{AccountID: w.accounts[n], Journal: []contacts.JournalEntry{e}})
	}
	add := func() {
		record(added)
		e := added
		e.Sequence = w.newest(n) + 1
		*journal = append(*journal, e)
	}
	add()
	refused := -1
	if rapid.Bool().Draw(rt, "other subject") {
		refused = len(b.Mutations)
		e := (*journal)[len(*journal)-1]
		e.Subject[9]++
		record(e)
	}
	for range rapid.IntRange(1, 3).Draw(rt, "replaced") {
		e := &(*journal)[rapid.IntRange(0, len(*journal)-1).Draw(rt, "entry")]
		e.Data = `{"redacted":true}`
		record(*e)
	}
	add()
	outcomes := w.apply(rt, b)
	if refused >= 0 && (outcomes == nil || !errors.Is(outcomes[refused].Err, contacts.ErrNotFound)) {
		rt.Fatalf("the entry about something else is not refused: %v", errorsOf(outcomes))
	}
	for i, o := range outcomes {
		if i != refused && o.Err != nil {
			rt.Fatalf("mutation %d: %v", i, o.Err)
		}
	}
}

// want reads a page and compares it.
func (w *journalWorld) want(rt *rapid.T, n int, q contacts.JournalQuery) {
	q.AccountID = w.accounts[n]
	var want []contacts.JournalEntry
	for _, e := range w.journals[n] {
		if (q.Kind == 0 || q.Kind == e.Kind) && (q.Subjects == nil || slices.Contains(q.Subjects, e.Subject)) {
			want = append(want, e)
		}
	}
	if q.Backwards {
		slices.Reverse(want)
	}
	want = slices.DeleteFunc(want, func(e contacts.JournalEntry) bool {
		return !q.Backwards && e.Sequence <= q.After || q.Backwards && q.After != 0 && e.Sequence >= q.After
	})
	want = slices.Clip(want[:min(q.Limit, len(want))])
	for _, s := range w.stores {
		got, err := s.ListJournal(rt.Context(), q)
		if err != nil {
			rt.Fatal(err)
		}
		if len(want)+len(got) > 0 {
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("ListJournal(%+v) (-want +got):\n%s", q, diff)
			}
		}
	}
}

func (w *journalWorld) list(rt *rapid.T) {
	n := rapid.IntRange(0, 1).Draw(rt, "account")
	q := contacts.JournalQuery{
		Kind:      rapid.SampledFrom([]contacts.JournalKind{0, 0, contacts.JournalEvent, contacts.JournalDoNotCall}).Draw(rt, "kind"),
		After:     rapid.Int64Range(0, w.newest(n)+2).Draw(rt, "after"),
		Backwards: rapid.Bool().Draw(rt, "backwards"),
		Limit:     rapid.SampledFrom([]int{1, 7, 150, 1000}).Draw(rt, "limit"),
	}
	for i := range byte(rapid.SampledFrom([]int{0, 0, 1, 2, 6}).Draw(rt, "subjects")) {
		q.Subjects = append(q.Subjects, [32]byte{7: i % 5, 31: i % 3})
	}
	w.want(rt, n, q)
}

// Entries are the same whether they share rows or not: through several stores on one
// file, after batches that failed, and after some of them were replaced.
func TestEntriesThatShareRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := &journalWorld{path: storePath(t)}
		for i := range w.stores {
			w.stores[i] = mustOpen(rt, sqlite.NewPlan().MaxPerTransaction([]int{1024, 40}[i]), w.path)
		}
		defer func() {
			for _, s := range w.stores {
				if err := s.Close(); err != nil {
					rt.Error(err)
				}
			}
		}()
		for i := range w.accounts {
			w.accounts[i] = mustAccount(t, w.stores[0])
		}
		rt.Repeat(map[string]func(*rapid.T){"append": w.append, "replace": w.replace, "list": w.list})
		for n := range w.accounts {
			w.want(rt, n, contacts.JournalQuery{Limit: math.MaxInt})
			w.want(rt, n, contacts.JournalQuery{Limit: math.MaxInt, Backwards: true})
		}
		for f, err := range w.stores[0].Check(t.Context(), true) {
			if err != nil || f.Code == "lookup_missing" || f.Code == "sequence_wrong" {
				rt.Fatalf("Check: %+v, %v", f, err)
			}
		}
	})
}

// The events of one call share rows, which are removed once all have ended. The newest
// of the account stays, and is found.
func TestEndedEventsThatShareARow(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	const n = 250
	var entries []contacts.JournalEntry
	for i := range n {
		at := noon.Add(time.Duration(i) * time.Microsecond)
		entries = append(entries, contacts.JournalEntry{Kind: contacts.JournalEvent, Subject: [32]byte{byte(i)}, At: at, EndsAt: at.Add(time.Hour), Data: "{}"})
	}
	record(t, s, noon, a, entries...)
	db := plain(t, path)
	count := func(table string) (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if rows, shown := count("journal"), count("contact_event"); rows != 3 || shown != n {
		t.Errorf("%d rows of %d events, want 3 of %d", rows, shown, n)
	}
	var at string
	if err := db.QueryRowContext(t.Context(), "SELECT max(at) FROM contact_event").Scan(&at); err != nil || at != "2026-03-14T12:00:00.123705Z" {
		t.Errorf("the newest event in the view happened at %s, %v", at, err)
	}
	exec1(t, db, "INSERT INTO journal SELECT 9, 1, 999, kind, zeroblob(0), at, data, ends_at, '[' FROM journal LIMIT 1") // which is damaged, and in nobody's way
	for _, test := range []struct {
		after time.Duration // the end of the first
		left  int           // events
	}{{time.Hour - 1, n}, {time.Hour + 98*time.Microsecond, n}, {time.Hour + 99*time.Microsecond, n - 100}, {2 * time.Hour, 1}, {3 * time.Hour, 1}} {
		if err := applyBatch(t.Context(), s, contacts.MutationBatch{Now: noon.Add(time.Hour + test.after)}); err != nil {
			t.Fatal(err)
		}
		if entries, found := count("contact_event"), count("journal_subject"); entries != test.left || found != test.left {
			t.Errorf("%v after the first event has ended %d are left, and %d are found, want %d", test.after, entries, found, test.left)
		}
	}
	entries[n-1].Sequence = n
	got, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Kind: contacts.JournalEvent, Subjects: [][32]byte{entries[n-1].Subject}, Limit: 10})
	if diff := cmp.Diff(entries[n-1:], got); diff != "" || err != nil {
		t.Errorf("the newest event: %v (-want +got):\n%s", err, diff)
	}
}
