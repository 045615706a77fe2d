package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// The server is killed under load and comes back; the same store goes on. Its own
// commits are not durable.
func TestFaultServerKilled(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const writers, patience = 16, time.Minute
	careless := []string{"synchronous_commit=off", "wal_writer_delay=10s"}
	server := ownServer(t, careless...)
	s := open(t, server.url(), "contacts")
	account := addAccount(t, s)

	var l ledger
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !createSomehow(s, &l, func() *contacts.ContactRecord { return newContact(account) }, i) {
					time.Sleep(50 * time.Millisecond) // there is no server at the moment
				}
			}
		})
	}
	more := func() {
		t.Helper()
		const enough = 60
		for from, began := l.acknowledged(), time.Now(); l.acknowledged() < from+enough; time.Sleep(time.Millisecond) {
			if time.Since(began) > patience {
				t.Fatal("the store does not go on")
			}
		}
	}
	for range extent(2, 60) {
		more()
		server.kill()
		if err := server.start(careless...); err != nil {
			t.Fatal(err)
		}
	}
	more()
	close(stop)
	wg.Wait()
	l.check(t, s)
	wantJournal(t, s, account)
}

// wantJournal checks that the numbers of the journal have no gap, and that each
// entry is about a contact that is there.
func wantJournal(t *testing.T, s contacts.Store, account uuid.UUID) {
	t.Helper()
	const all = 1 << 30
	entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Limit: all})
	if err != nil || len(entries) == 0 {
		t.Fatalf("ListJournal: %d entries, %v", len(entries), err)
	}
	for i, e := range entries {
		if e.Sequence != int64(i)+1 {
			t.Fatalf("entry %d of the journal has the number %d", i, e.Sequence)
		}
		if _, err := s.FindContact(t.Context(), account, uuid.UUID(e.Subject[:16])); err != nil {
			t.Errorf("the journal has an entry about a contact that is not there: %v", err)
		}
	}
}

// createSomehow creates contacts alone, in a batch or in one of all or nothing,
// and notes what it was told. It reports whether it succeeded.
func createSomehow(s contacts.Store, l *ledger, next func() *contacts.ContactRecord, way int) bool {
	records := []*contacts.ContactRecord{next()}
	if way%8 == 1 || way%8 == 2 {
		records = append(records, next(), next())
	}
	batch := contacts.MutationBatch{Now: noon, AllOrNothing: way%8 == 2}
	for _, r := range records {
		batch.Mutations = append(batch.Mutations, creation(r))
	}
	first := &batch.Mutations[0]
	switch way % 8 {
	case 3:
		first.Idempotency = once(0)
		copy(first.Idempotency.Key[:], records[0].Contact.ID[:])
	case 4:
		first.Journal = []contacts.JournalEntry{event(records[0])}
	case 5:
		first.Claims = records[0].MatchKeys()
	}
	err := applyBatch(context.Background(), s, batch)
	for _, r := range records {
		l.note(r, err)
	}
	return err == nil
}
