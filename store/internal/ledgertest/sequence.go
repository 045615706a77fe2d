package ledgertest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/erasetest"
)

// Sequence has callers of each store append to the journal of one account, while
// readers follow it. The stores have the same data.
func Sequence(t *testing.T, stores ...contacts.Store) {
	const callers, rounds = 2, 8
	w := erasetest.New(t, stores[0])
	var writers, readers sync.WaitGroup
	var ended atomic.Bool
	for _, store := range stores {
		readers.Go(func() { Follow(t, store, w.Account.ID, ended.Load) })
		caller := service(t, store)
		for range callers {
			writers.Go(func() {
				if err := Append(t.Context(), caller, w.Key, rounds); err != nil {
					t.Error(err)
				}
			})
		}
	}
	writers.Wait()
	ended.Store(true)
	readers.Wait()
	WantAppended(t, stores[0], w.Account.ID, len(stores)*callers*rounds)
}

// Append appends to the journal of an account in several ways, over and over:
// blocks, one and many, and contacts that ask for a block.
func Append(ctx context.Context, service *contacts.Service, key string, rounds int) error {
	for range rounds {
		source := "test:" + uuid.NewString() // so that nothing is unchanged
		if _, err := service.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: number, Source: source}); err != nil {
			return err
		}
		batch := contacts.BlockCallsBatchInput{Source: source}
		for i := range blocksOfBatch {
			batch.Entries = append(batch.Entries, contacts.DoNotCallInput{PhoneNumber: fmt.Sprintf("+1202555%04d", i)})
		}
		if r, err := service.BlockCallsBatch(ctx, key, batch); err != nil || r.Added != blocksOfBatch {
			return fmt.Errorf("a batch: %+v, %v", r, fmt.Sprint(err))
		}
		if _, err := service.CreateContact(ctx, key, contacts.CreateContactInput{
			FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: newNumber(), DoNotCall: true}},
		}); err != nil {
			return err
		}
	}
	return nil
}

const blocksOfBatch = 3

// Follow reads the journal of an account from its start, until all is read that is
// there when the writers have ended. It checks that the numbers have no gap, not
// even for a while.
func Follow(t testing.TB, store contacts.Store, account uuid.UUID, ended func() bool) {
	next := int64(1)
	for last := false; !last && !t.Failed(); {
		last = ended() // one more time, when all must be there
		for {
			const page = 100
			entries, err := store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, After: next - 1, Limit: page})
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range entries {
				if e.Sequence != next {
					t.Errorf("a reader that has seen %d sees %d next", next-1, e.Sequence)
					return
				}
				next++
			}
			if len(entries) < page {
				break
			}
		}
	}
}

// WantAppended checks how many blocks and companions so many rounds of Append have
// left.
func WantAppended(t testing.TB, store contacts.Store, account uuid.UUID, rounds int) {
	t.Helper()
	const ofRound = 1 + blocksOfBatch + 2 // the last are of the contact
	n, journal := 0, ReadJournal(t, store, account)
	for _, e := range journal {
		if e.Kind == contacts.JournalDoNotCall {
			n++
		}
	}
	if n != rounds*ofRound {
		t.Errorf("the ledger has %d entries, want %d", n, rounds*ofRound)
	}
}

// ReadJournal returns the whole journal of an account.
func ReadJournal(t testing.TB, store contacts.Store, account uuid.UUID) []contacts.JournalEntry {
	t.Helper()
	const all = 1 << 30
	journal, err := store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Limit: all})
	if err != nil {
		t.Fatal(err)
	}
	return journal
}
