//go:build cgo

package sqlite_test

import (
	"encoding/binary"
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

// append appends the events of many new contacts, of which neighbours often differ in
// nothing but their subjects and times, with some other entries between them.
func (w *journalWorld) append(rt *rapid.T) {
	b := contacts.MutationBatch{Now: noon, AllOrNothing: rapid.Bool().Draw(rt, "all or nothing"), Verbatim: rapid.Bool().Draw(rt, "verbatim")}
	fails := b.AllOrNothing && rapid.Bool().Draw(rt, "fails")
	newest := [2]int64{w.newest(0), w.newest(1)}
	at, other := noon, rapid.IntRange(0, 60).Draw(rt, "other")
	step := rapid.SampledFrom([]time.Duration{0, time.Microsecond, -time.Microsecond, 300 * time.Millisecond}).Draw(rt, "step")
	apart := rapid.SampledFrom([]uint64{0, 1, 1 << 16, 10 << 16, 300 << 16, 1 << 57}).Draw(rt, "ids apart")
	head := rapid.Uint64().Draw(rt, "head")
	for i := range rapid.SampledFrom([]int{1, 3, 3, 10, 10, 30, 30, 250}).Draw(rt, "entries") {
		n := i % 7 % 2
		r := newContact(w.accounts[n])
		binary.BigEndian.PutUint64(r.Contact.ID[:], head+uint64(i)*apart)
		e := contacts.JournalEntry{Kind: contacts.JournalEvent, At: at, EndsAt: at.Add(time.Hour), Data: `{}`}
		copy(e.Subject[:], r.Contact.ID[:])
		m := contacts.Mutation{AccountID: w.accounts[n], Contacts: []contacts.ContactChange{{Record: r}}}
		switch {
		case i == other:
			e.Kind, e.EndsAt, e.Data = contacts.JournalDoNotCall, time.Time{}, fmt.Sprint(i)
		case i%71 == 70:
			e.Data = fmt.Sprint(i)
		case i%31 == 30:
			e.EndsAt = e.EndsAt.Add(time.Second)
		case i%41 == 40:
			m.Contacts = nil // an event of another contact
		case i%43 == 42:
			e.Subject[20] = 1 // about something else
		}
		at = at.Add(step)
		newest[n]++
		if b.Verbatim {
			if i%23 == 22 {
				newest[n] += 2
			}
			e.Sequence = newest[n]
		}
		m.Journal = []contacts.JournalEntry{e}
		b.Mutations = append(b.Mutations, m)
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
	for range min(len(w.journals[n]), rapid.SampledFrom([]int{0, 0, 1, 2, 6}).Draw(rt, "subjects")) {
		q.Subjects = append(q.Subjects, w.journals[n][rapid.IntRange(0, len(w.journals[n])-1).Draw(rt, "subject")].Subject)
	}
	if len(q.Subjects) > 1 && rapid.Bool().Draw(rt, "unknown") {
		q.Subjects[0][15]++
	}
	w.want(rt, n, q)
}

// Events are the same whether they share rows or not: through several stores on one
// file, after batches that failed, and after some of them were replaced.
func TestEventsThatShareRows(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	var stores [2]*sqlite.Store
	for i := range stores {
		stores[i] = mustOpen(t, sqlite.NewPlan().MaxPerTransaction([]int{1024, 40}[i]), path)
		t.Cleanup(func() {
			if err := stores[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := &journalWorld{stores: stores, accounts: [2]uuid.UUID{mustAccount(t, stores[0]), mustAccount(t, stores[0])}}
		rt.Repeat(map[string]func(*rapid.T){"append": w.append, "replace": w.replace, "list": w.list})
		for n := range w.accounts {
			w.want(rt, n, contacts.JournalQuery{Limit: math.MaxInt})
			w.want(rt, n, contacts.JournalQuery{Limit: math.MaxInt, Backwards: true})
		}
	})
	for f, err := range stores[0].Check(t.Context(), true) {
		if err != nil || f.Code == "integrity" || f.Code == "sequence_wrong" {
			t.Errorf("Check: %+v, %v", f, err)
		}
	}
}

// together returns a batch of n contacts that are created at the same time, with their events. They begin
// to end in an hour, a microsecond after each other.
func together(account uuid.UUID, n int) (b contacts.MutationBatch) {
	b.Now = noon
	for i := range n {
		r := newContact(account)
		r.Contact.ID = uuid.UUID{5: byte(i)}
		at := noon.Add(time.Duration(i) * time.Microsecond)
		e := contacts.JournalEntry{Kind: contacts.JournalEvent, At: at, EndsAt: at.Add(time.Hour), Data: `{"type":"contact.created"}`}
		copy(e.Subject[:], r.Contact.ID[:])
		b.Mutations = append(b.Mutations, contacts.Mutation{
			AccountID: account, Contacts: []contacts.ContactChange{{Record: r}}, Journal: []contacts.JournalEntry{e},
		})
	}
	return b
}

// rowsOf counts the rows of a table.
func rowsOf(t *testing.T, path, table string) (n int) {
	t.Helper()
	if err := plain(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The events of one call share rows, which are removed once all have ended. The newest
// of the account stays, and is found.
func TestEndedEventsThatShareARow(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	const n = 250
	b := together(a, n)
	if err := applyBatch(t.Context(), s, b); err != nil {
		t.Fatal(err)
	}
	if rows, alone, shown := rowsOf(t, path, "event_run"), rowsOf(t, path, "journal"), rowsOf(t, path, "contact_event"); rows != 3 || alone != 0 || shown != n {
		t.Errorf("%d rows of %d events, and %d others, want 3 of %d", rows, shown, alone, n)
	}
	db := plain(t, path)
	var at, contact string
	const newest = "SELECT at, contact_id FROM contact_event ORDER BY sequence DESC LIMIT 1"
	if err := db.QueryRowContext(t.Context(), newest).Scan(&at, &contact); err != nil || at != "2026-03-14T12:00:00.123705Z" || contact != "00000000-00f9-0000-0000-000000000000" {
		t.Errorf("the newest event in the view is of %s at %s, %v", contact, at, err)
	}
	exec1(t, db, "INSERT INTO event_run SELECT 9, 1, 999, contacts, lowest, highest, at, '[', kept, 0, data, replaced FROM event_run LIMIT 1") // which is damaged, and in nobody's way
	for _, test := range []struct {
		after time.Duration // the end of the first
		left  int           // events
	}{{time.Hour - 1, n}, {time.Hour + 98*time.Microsecond, n}, {time.Hour + 99*time.Microsecond, n - 100}, {2 * time.Hour, 1}, {3 * time.Hour, 1}} {
		if err := applyBatch(t.Context(), s, contacts.MutationBatch{Now: noon.Add(time.Hour + test.after)}); err != nil {
			t.Fatal(err)
		}
		exec1(t, db, "DELETE FROM event_run WHERE n = 9")
		if left := rowsOf(t, path, "contact_event"); left != test.left {
			t.Errorf("%v after the first event has ended %d are left, want %d", test.after, left, test.left)
		}
	}
	last := b.Mutations[n-1].Journal
	last[0].Sequence = n
	got, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Kind: contacts.JournalEvent, Subjects: [][32]byte{last[0].Subject}, Limit: 10})
	if diff := cmp.Diff(last, got); diff != "" || err != nil {
		t.Errorf("the newest event: %v (-want +got):\n%s", err, diff)
	}
}

// PruneEvents does not wait for events that have not ended with the others of their row.
func TestPruneEventsOfAHalfEndedRow(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	if err := applyBatch(t.Context(), s, together(a, 10)); err != nil {
		t.Fatal(err)
	}
	record(t, s, noon, a, contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, EndsAt: noon.AddDate(1, 0, 0), Data: "{}"})
	for after, left := range map[time.Duration]int{5 * time.Microsecond: 11, 2 * time.Second: 1} { // the end of the first, and an hour
		now := noon.Add(2*time.Hour + after)
		admin := contacts.NewAdmin(s, &contacts.AdminOptions{Now: func() time.Time { return now }})
		if err := admin.PruneEvents(t.Context(), a); err != nil {
			t.Errorf("%v after the first may go: %v", after, err)
		}
		if n := rowsOf(t, path, "contact_event"); n > left {
			t.Errorf("%v after the first may go %d events are left, want %d", after, n, left)
		}
	}
}

// What events of a row have in common is gone once all of them are replaced.
func TestReplacedEventsThatShareARow(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	b := together(a, 3)
	if err := applyBatch(t.Context(), s, b); err != nil {
		t.Fatal(err)
	}
	for i := range b.Mutations {
		e := b.Mutations[i].Journal[0]
		e.Sequence, e.Data = int64(i+1), fmt.Sprintf(`{"type":"erased %d"}`, i)
		record(t, s, noon, a, e)
	}
	var kept, shown string
	db := plain(t, path)
	if err := db.QueryRowContext(t.Context(), "SELECT group_concat(data || '|') FROM event_run").Scan(&kept); err != nil || kept != "|" {
		t.Errorf("the row keeps %q, %v", kept, err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT group_concat(type) FROM (SELECT type FROM contact_event ORDER BY sequence)").Scan(&shown); err != nil || shown != "erased 0,erased 1,erased 2" {
		t.Errorf("the view shows %q, %v", shown, err)
	}
}

// A file from before events shared rows has its events, and takes new ones.
func TestFileWithoutSharedRows(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := mustOpen(t, sqlite.NewPlan().Until(2), path)
	a := mustAccount(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	exec1(t, plain(t, path), `INSERT INTO journal VALUES (1, 1, 1, 1, 0, zeroblob(32), 0, '{"type":"contact.updated"}', 9e15); INSERT INTO journal_state VALUES (1, 1)`)
	s = open(t, path)
	if err := applyBatch(t.Context(), s, together(a, 3)); err != nil {
		t.Fatal(err)
	}
	entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Limit: 10})
	if err != nil || len(entries) != 4 || entries[0].Data != `{"type":"contact.updated"}` || entries[3].Sequence != 4 {
		t.Errorf("got %+v, %v", entries, err)
	}
	if n := rowsOf(t, path, "contact_event"); n != 4 {
		t.Errorf("the view shows %d events, want 4", n)
	}
}
