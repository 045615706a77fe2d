package postgres_test

import (
	"testing"
	"time"

	"example.com/contacts"
)

// Events that have ended go with later writes, however few contacts an account has, and
// however regular the times of its changes are.
func TestEndedEventsGoWithLaterWrites(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	s := open(t, url, newSchema(t, url))
	account := addAccount(t, s)
	r := newContact(account)
	r.Contact.ID[15] = 1
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	now := noon.Truncate(time.Second)
	for range 300 {
		now = now.Add(time.Minute)
		e := event(r)
		e.At, e.EndsAt = now, now.Add(time.Minute)
		batch := contacts.MutationBatch{Mutations: []contacts.Mutation{{AccountID: account, Journal: []contacts.JournalEntry{e}}}, Now: now}
		if err := applyBatch(t.Context(), s, batch); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if ended := now.Add(-time.Hour); len(entries) == 300 || entries[0].EndsAt.Before(ended.Add(-128*time.Minute)) {
		t.Errorf("%d of 300 events are left, from %v on, at %v", len(entries), entries[0].At, now)
	}
}
