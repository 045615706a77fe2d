package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"example.com/contacts"
)

// The server is killed under load and comes back; the same store goes on.
func TestFaultServerKilled(t *testing.T) {
	t.Parallel()
	const writers, patience = 32, time.Minute
	server := ownServer(t)
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
					time.Sleep(5 * time.Millisecond) // there is no server at the moment
				}
			}
		})
	}
	more := func() {
		t.Helper()
		const enough = 300
		for from, began := l.acknowledged(), time.Now(); l.acknowledged() < from+enough; time.Sleep(time.Millisecond) {
			if time.Since(began) > patience {
				t.Fatal("the store does not go on")
			}
		}
	}
	for range extent(4, 60) {
		more()
		server.kill()
		if err := server.start(); err != nil {
			t.Fatal(err)
		}
	}
	more()
	close(stop)
	wg.Wait()
	l.check(t, s)
}

// createSomehow creates contacts alone, in a batch or in one of all or nothing,
// and notes what it was told. It reports whether it succeeded.
func createSomehow(s contacts.Store, l *ledger, next func() *contacts.ContactRecord, way int) bool {
	batch := contacts.ContactBatch{Records: []*contacts.ContactRecord{next()}}
	switch way % 8 {
	case 1:
		batch.Records = append(batch.Records, next(), next())
	case 2:
		batch.Records = append(batch.Records, next(), next())
		batch.AllOrNothing = true
	case 3:
		id := batch.Records[0].Contact.ID
		once := &contacts.Idempotency{Result: "{}", EndsAt: noon.Add(time.Hour)}
		copy(once.Key[:], id[:])
		batch.Idempotencies, batch.Now = []*contacts.Idempotency{once}, noon
	}
	outcomes := s.CreateContacts(context.Background(), batch)
	for i, r := range batch.Records {
		var err error
		if outcomes != nil {
			err = outcomes[i].Err
		}
		l.note(r, err)
	}
	return outcomes == nil
}
