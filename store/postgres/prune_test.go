package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

// An account that had nothing more to remove is looked at again after a minute. One
// that has more to remove goes on at once.
func TestAccountsWithNothingToRemoveRest(t *testing.T) {
	t.Parallel()
	var sent statements
	s := openWatched(t, func(c *pgx.ConnConfig) { c.Tracer = &sent })
	account, other := addAccount(t, s), addAccount(t, s)
	end := noon.AddDate(0, 0, 30)
	lasting := contacts.JournalEntry{Kind: contacts.JournalEvent, EndsAt: end.AddDate(1, 0, 0), Data: "{}"}
	ending := contacts.JournalEntry{Kind: contacts.JournalEvent, EndsAt: end, Data: "{}"}
	write := func(now time.Time, e contacts.JournalEntry) (looked int) {
		t.Helper()
		m := contacts.Mutation{AccountID: account}
		for i := range 64 { // one of which has others removed
			e.At, e.Subject[15] = now, byte(i)
			m.Journal = append(m.Journal, e)
		}
		sent.take()
		if err := applyBatch(t.Context(), s, contacts.MutationBatch{Mutations: []contacts.Mutation{m}, Now: now}); err != nil {
			t.Fatal(err)
		}
		for _, sql := range sent.take() {
			if strings.HasPrefix(sql, "DELETE FROM ") {
				looked++
			}
		}
		return looked
	}
	late := end.Add(2 * time.Hour)
	for i, step := range []struct {
		now  time.Time
		e    contacts.JournalEntry
		want int
	}{
		{noon, ending, 1}, {noon, ending, 0}, {noon.Add(59 * time.Second), ending, 0}, {noon.Add(time.Minute), ending, 1}, {noon.Add(-time.Hour), ending, 1},
		{late, lasting, 1}, {late, lasting, 1}, {late, lasting, 1}, // of 5 * 64 they remove 2 * 64 each
		{late, lasting, 0},
	} {
		if got := write(step.now, step.e); got != step.want {
			t.Errorf("write %d looks for ended events %d times, want %d", i, got, step.want)
		}
	}
	entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Limit: 1000})
	if err != nil || len(entries) != 4*64 || entries[0].Sequence != 5*64+1 {
		t.Errorf("%d entries are left (%v), want those that have not ended", len(entries), err)
	}
	account = other
	if got := write(late, lasting); got != 1 {
		t.Errorf("another account: looked %d times, want 1", got)
	}
}
