//go:build cgo && unix

package sqlite_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/internal/metertest"
	"example.com/contacts/store/sqlite"
)

func TestStats(t *testing.T) {
	t.Parallel()
	metertest.Run(t, "sqlite", func(t *testing.T, o contacts.StoreObserver) metertest.Store { return openObserved(t, o) })
}

func openObserved(t *testing.T, o contacts.StoreObserver) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), storePath(t), &sqlite.Options{Observer: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStatsOfTheFile(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	if got := s.Stats(); got.UnmergedContacts != 0 || got.LogBytes == 0 {
		t.Errorf("before the first contact: %+v", got)
	}
	first := newContact(a)
	for _, r := range []*contacts.ContactRecord{first, newContact(a), newContact(a)} {
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
	}
	failing := createBatch(newContact(a), first)
	failing.AllOrNothing = true
	outcomesOf(t, s, failing)
	before := s.Stats()
	if before.UnmergedContacts != 3 {
		t.Errorf("%d contacts are not in the look-ups, want 3", before.UnmergedContacts)
	}
	other := open(t, path) // what it finds, it did not write
	if got := other.Stats(); got.UnmergedContacts != 3 || got.Transactions != 0 {
		t.Errorf("another process finds %+v", got)
	}
	if err := create(t.Context(), other, newContact(a)); err != nil {
		t.Fatal(err)
	}
	if got := other.Stats(); got.UnmergedContacts != 4 || got.LogBytes <= before.LogBytes {
		t.Errorf("after a create, another process finds %+v", got)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if got := other.Stats(); got.UnmergedContacts != 0 || got.Mutations != 1 {
		t.Errorf("after Close: %+v", got)
	}
}

// A group that is undone because of one of its jobs is made again, one by one.
func TestObserverSeesRetries(t *testing.T) {
	t.Parallel()
	r, begun, held := &metertest.Recorder{}, make(chan struct{}, 9), make(chan struct{})
	r.Begun = func() { begun <- struct{}{}; <-held }
	s := openObserved(t, r)
	a := mustAccount(t, s)
	err := s.Writing(func(c *sqlite3.SQLiteConn) error {
		c.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000) // a row over it ends its transaction
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	huge := newContact(a)
	huge.CustomContext = `{"a":"` + fmt.Sprintf("%0200000d", 0) + `"}`
	errs := make(chan error)
	go func() { errs <- create(t.Context(), s, newContact(a)) }()
	<-begun
	for i, c := range []*contacts.ContactRecord{newContact(a), huge, newContact(a)} {
		go func() { errs <- create(t.Context(), s, c) }()
		s.AwaitQueue(i + 1)
	}
	close(held)
	for range 4 {
		<-errs
	}
	type seen struct{ mutations, retries, failures int }
	var got []seen
	for _, one := range r.Take() {
		x := seen{one.Begin.Mutations, one.Outcome.Retries, 0}
		if one.Outcome.Err != nil {
			x.failures = 1
		}
		got = append(got, x)
	}
	if want := []seen{{1, 0, 0}, {3, 0, 1}, {1, 1, 0}, {1, 1, 1}, {1, 1, 0}}; !slices.Equal(got, want) {
		t.Errorf("mutations, retries and failures of the transactions are %v, want %v", got, want)
	}
	if got := s.Stats(); got.Retries != 3 || got.Transactions != 3 || got.Mutations != 3 {
		t.Errorf("then the store has %+v", got)
	}
}

func TestStatsCountWaitsForALock(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	db := plain(t, filepath.Clean(path))
	exec1(t, db, "BEGIN IMMEDIATE")
	done := make(chan error)
	go func() { done <- create(t.Context(), s, newContact(a)) }()
	for s.Stats().LockWaits == 0 {
		runtime.Gosched()
	}
	exec1(t, db, "COMMIT")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.LockWaits != 1 || got.LockWait <= 0 {
		t.Errorf("it has waited %d times, %v in all", got.LockWaits, got.LockWait)
	}
}
