//go:build cgo && unix

package sqlite_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// record stores entries in the journal of the account.
func record(t *testing.T, s contacts.Store, now time.Time, account uuid.UUID, entries ...contacts.JournalEntry) {
	t.Helper()
	batch := contacts.MutationBatch{Now: now, Mutations: []contacts.Mutation{{AccountID: account, Journal: entries}}}
	if err := applyBatch(t.Context(), s, batch); err != nil {
		t.Fatal(err)
	}
}

// A shell cannot remove or rewrite entries that are not events. An
// erasure may remove a number and its notes.
func TestLedgerCannotBeEdited(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	const block = `{"type":"block","at":"x","expires_at":"y","phone_number":"+15551234567","reason":"asked"}`
	record(t, s, noon, a,
		contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, Data: "{}"},
		contacts.JournalEntry{Kind: contacts.JournalDoNotCall, At: noon, Data: block},
		contacts.JournalEntry{Kind: contacts.JournalErasure, At: noon, Data: "{}"},
	)
	db := plain(t, path)
	var shown string
	if err := db.QueryRowContext(t.Context(), "SELECT concat_ws(' ', sequence, type, phone_number, dnc_date, dnc_reason) FROM do_not_call").Scan(&shown); err != nil || shown != "2 block +15551234567 x asked" {
		t.Errorf("the view do_not_call shows %q, %v", shown, err)
	}
	for _, sql := range []string{
		"DELETE FROM journal WHERE kind = 2",
		"DELETE FROM journal WHERE kind = 3",
		"UPDATE journal SET kind = 1 WHERE kind = 2",
		"UPDATE journal SET kind = 1 WHERE kind = 3",
		`UPDATE journal SET data = '{"erased":true}' WHERE kind = 3`,
		"UPDATE journal SET sequence = 9 WHERE kind = 3",
		"UPDATE journal SET at = 1 WHERE kind = 2",
		"UPDATE journal SET ends_at = 1 WHERE kind = 2",
		"UPDATE journal SET subject = zeroblob(32), head = 1 WHERE kind = 2",
		`UPDATE journal SET data = json_set(data, '$.phone_number', '+15557654321') WHERE kind = 2`,
		`UPDATE journal SET data = json_set(data, '$.type', 'grant') WHERE kind = 2`,
		`UPDATE journal SET data = json_remove(data, '$.at') WHERE kind = 2`,
		`UPDATE journal SET data = json_remove(data, '$.expires_at') WHERE kind = 2`,
	} {
		if _, err := db.ExecContext(t.Context(), sql); err == nil {
			t.Errorf("%s: no error", sql)
		}
	}
	for _, sql := range []string{
		`UPDATE journal SET data = json_remove(data, '$.phone_number', '$.reason') WHERE kind = 2`,
		`UPDATE journal SET data = '{"erased":true}' WHERE kind = 1`,
		`DELETE FROM journal WHERE kind = 1`,
	} {
		exec1(t, db, sql)
	}
}

// Events that have ended go as new ones come, although the newest of many accounts
// have ended and stay.
func TestEndedEventsGoPastThoseThatStay(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	event := func(n int) contacts.JournalEntry {
		return contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, EndsAt: noon.Add(time.Duration(n) * time.Second), Data: "{}"}
	}
	const idle = 20
	for i := range idle {
		record(t, s, noon, mustAccount(t, s), event(i))
	}
	busy := mustAccount(t, s)
	for i := range 10 {
		record(t, s, noon, busy, event(100+i))
	}
	count := func() int {
		t.Helper()
		return rowsOf(t, path, "journal")
	}
	late := noon.Add(2 * time.Hour)
	lasting := contacts.JournalEntry{Kind: contacts.JournalEvent, At: late, Data: "{}"}
	record(t, s, late.Add(-time.Hour), busy, lasting)
	if n := count(); n != idle+11 {
		t.Errorf("%d entries before an hour has passed, want %d", n, idle+11)
	}
	for range 30 {
		record(t, s, late, busy, lasting)
	}
	if n := count(); n != idle+31 {
		t.Errorf("%d entries, want the newest of each idle account and %d that last", n, 31)
	}

	// A batch without mutations removes more of them at once.
	var many []contacts.JournalEntry
	for i := range 1500 {
		many = append(many, event(200+i))
	}
	record(t, s, noon, busy, many...)
	for _, want := range []int{1000 - idle, 1500 - 1} { // the newest of each account are among those that are looked at
		if err := applyBatch(t.Context(), s, contacts.MutationBatch{Now: late}); err != nil {
			t.Fatal(err)
		}
		if n := idle + 31 + 1500 - count(); n != want {
			t.Errorf("%d entries are removed, want %d", n, want)
		}
	}
}

// A page of the journal about some subjects has no other that begins like one of
// them.
func TestSubjectsWithOneHead(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	var entries []contacts.JournalEntry
	for i := range 6 {
		entries = append(entries, contacts.JournalEntry{Kind: contacts.JournalDoNotCall, Subject: [32]byte{31: byte(i % 3)}, At: noon, Data: fmt.Sprint(i)})
	}
	record(t, s, noon, a, entries...)
	got, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Subjects: [][32]byte{{}, {31: 2}}, Limit: 3})
	if err != nil || len(got) != 3 || got[0].Sequence != 1 || got[1].Sequence != 3 || got[2].Sequence != 4 {
		t.Errorf("got %v, %v", got, err)
	}

	// Of one subject, in two accounts that are written in turns.
	b := mustAccount(t, s)
	for range 3 {
		record(t, s, noon, b, entries...)
		record(t, s, noon, a, entries[2])
	}
	for _, test := range []struct {
		account   uuid.UUID
		after     int64
		backwards bool
		want      []int64
	}{
		{a, 0, false, []int64{3, 6}}, {a, 3, false, []int64{6, 7}}, {a, 4, false, []int64{6, 7}}, {a, 8, false, []int64{9}}, {a, 9, false, nil},
		{a, 0, true, []int64{9, 8}}, {a, 8, true, []int64{7, 6}}, {a, 5, true, []int64{3}}, {a, 3, true, nil}, {a, 100, true, []int64{9, 8}},
		{b, 3, false, []int64{6, 9}}, {b, 0, true, []int64{18, 15}}, {b, 15, true, []int64{12, 9}}, {uuid.UUID{1}, 0, true, nil},
	} {
		got, err := s.ListJournal(t.Context(), contacts.JournalQuery{
			AccountID: test.account, Kind: contacts.JournalDoNotCall, Subjects: [][32]byte{{31: 2}}, After: test.after, Backwards: test.backwards, Limit: 2,
		})
		var sequences []int64
		for _, e := range got {
			sequences = append(sequences, e.Sequence)
		}
		if err != nil || !slices.Equal(sequences, test.want) {
			t.Errorf("after %d, backwards %t: got %d, %v, want %d", test.after, test.backwards, sequences, err, test.want)
		}
	}
}
