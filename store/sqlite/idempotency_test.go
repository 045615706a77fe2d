//go:build cgo

package sqlite_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// keyed returns a batch of contacts with the keys of those numbers, at a time.
func keyed(account uuid.UUID, now time.Time, keys ...uint64) contacts.ContactBatch {
	batch := contacts.ContactBatch{Now: now}
	for _, key := range keys {
		r := newContact(account)
		i := &contacts.Idempotency{Result: r.Contact.ID.String(), EndsAt: now.Add(time.Hour)}
		binary.BigEndian.PutUint64(i.Key[:], key)
		batch.Records = append(batch.Records, r)
		batch.Idempotencies = append(batch.Idempotencies, i)
	}
	return batch
}

// Idempotencies that have ended go as new ones come, and none that has not.
func TestEndedIdempotenciesGo(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	var first contacts.ContactBatch
	for i := range uint64(100) {
		batch := keyed(a, noon, i)
		if i == 0 {
			batch.Idempotencies[0].EndsAt = noon.Add(24 * time.Hour)
			first = batch
		}
		if err := errors.Join(errorsOf(s.CreateContacts(t.Context(), batch))...); err != nil {
			t.Fatal(err)
		}
	}
	db := plain(t, path)
	for n, want := range []int{99, 98, 97, 96} { // one comes, and two go
		if err := errors.Join(errorsOf(s.CreateContacts(t.Context(), keyed(a, noon.Add(time.Hour), uint64(1000+n))))...); err != nil {
			t.Fatal(err)
		}
		var got int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM idempotency").Scan(&got); err != nil || got != want {
			t.Errorf("%d idempotencies, %v; want %d", got, err, want)
		}
	}
	var many []uint64
	for i := range uint64(60) {
		many = append(many, 2000+i)
	}
	s.CreateContacts(t.Context(), keyed(a, noon.Add(time.Hour), many...))
	var got int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM idempotency").Scan(&got); err != nil || got != 1+4+60 {
		t.Errorf("%d idempotencies, %v; want those that have not ended", got, err)
	}
	first.Now = noon.Add(2 * time.Hour)
	if o := s.CreateContacts(t.Context(), first); len(o) != 1 || o[0].Result != first.Records[0].Contact.ID.String() {
		t.Errorf("got %v, want the first result", o)
	}
}

// A key that occurs in two transactions of one batch is the same key.
func TestKeyInAnotherTransactionOfItsBatch(t *testing.T) {
	t.Parallel()
	s, err := sqlite.NewPlan().Transaction(2).Open(t.Context(), newPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := mustAccount(t, s)
	batch := keyed(a, noon, 1, 2, 3, 1, 2, 4, 1)
	batch.Idempotencies[6].Input[0] = 1
	outcomes := s.CreateContacts(t.Context(), batch)
	for i, first := range []int{-1, -1, -1, 0, 1, -1} {
		want := contacts.ContactOutcome{}
		if first >= 0 {
			want.Result = batch.Records[first].Contact.ID.String()
		}
		if outcomes[i] != want {
			t.Errorf("record %d: got %v, want %v", i, outcomes[i], want)
		}
	}
	wantErr(t, "another input", outcomes[6].Err, contacts.ErrIdempotencyConflict)
}

// A batch that is all or nothing is one transaction, however large it is.
func TestAllOrNothingIsOneTransaction(t *testing.T) {
	t.Parallel()
	commits := 0
	s, err := sqlite.NewPlan().Transaction(3).Connected(func(c *sqlite3.SQLiteConn) error {
		c.RegisterCommitHook(func() int { commits++; return 0 })
		return nil
	}).Open(t.Context(), newPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := mustAccount(t, s)
	batch := keyed(a, noon, 1, 2, 3, 4, 5, 6, 7, 8)
	batch.AllOrNothing = true
	team := batch.Records[7].Contact.TeamID
	batch.Records[7].Contact.TeamID = 99
	before := commits
	for i, o := range s.CreateContacts(t.Context(), batch) {
		want := contacts.ErrBatchFailed
		if i == 7 {
			want = contacts.ErrNotFound
		}
		wantErr(t, "CreateContacts", o.Err, want)
	}
	if commits != before {
		t.Errorf("%d commits of a batch that failed", commits-before)
	}
	batch.Records[7].Contact.TeamID = team
	if outcomes := s.CreateContacts(t.Context(), batch); outcomes != nil {
		t.Errorf("got %v: the batch that failed has left something", outcomes)
	}
	if commits != before+1 {
		t.Errorf("%d commits, want 1", commits-before)
	}
}

// Of creates with one key, through two stores on one file, one stores its contact,
// and all are told the same.
func TestOneKeyAtTheSameTimeInTwoStores(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	stores := []*sqlite.Store{open(t, path), open(t, path)}
	a := mustAccount(t, stores[0])
	for key := range uint64(20) {
		told := make([]string, 16)
		var wg sync.WaitGroup
		for i := range told {
			wg.Go(func() {
				batch := keyed(a, noon, key)
				told[i] = batch.Records[0].Contact.ID.String()
				if o := stores[i%2].CreateContacts(t.Context(), batch); o != nil {
					if o[0].Err != nil {
						t.Error(o[0].Err)
					}
					told[i] = o[0].Result
				}
			})
		}
		wg.Wait()
		for _, id := range told {
			if id != told[0] {
				t.Errorf("told %s and %s", told[0], id)
			}
		}
	}
	list, err := stores[1].ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 100})
	if err != nil || len(list.Records) != 20 {
		t.Errorf("%d contacts for 20 keys, %v", len(list.Records), err)
	}
}

// What a caller changes after it has given up changes nothing that is stored.
func TestIdempotencyOfACallerThatHasGoneIsItsFirst(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	committing, release := g.holdCommit()
	batch := keyed(a, noon, 1)
	id := batch.Idempotencies[0].Result
	got := make(chan []contacts.ContactOutcome)
	go func() { got <- g.store.CreateContacts(ctx, batch) }()
	<-committing
	cancel()
	wantErr(t, "CreateContacts", (<-got)[0].Err, contacts.ErrOutcomeUnknown)
	*batch.Idempotencies[0] = contacts.Idempotency{}
	close(release)
	if o := g.store.CreateContacts(t.Context(), keyed(a, noon, 1)); len(o) != 1 || o[0].Result != id {
		t.Errorf("got %v, want the first result", o)
	}
}
