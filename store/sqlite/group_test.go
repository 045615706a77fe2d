//go:build cgo

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// A gate holds the writer of a store, and counts its commits.
type gate struct {
	store   *sqlite.Store
	commits atomic.Int64
	commit  func() // called inside each COMMIT; nil: nothing
}

func newGate(t *testing.T) (*gate, uuid.UUID) {
	g := &gate{}
	plan := sqlite.NewPlan().Connected(func(c *sqlite3.SQLiteConn) error {
		c.RegisterCommitHook(func() int {
			g.commits.Add(1)
			if g.commit != nil {
				g.commit()
			}
			return 0
		})
		return nil
	})
	s, err := plan.Open(t.Context(), storePath(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	g.store = s
	return g, mustAccount(t, s)
}

// holdCommit stops the next COMMIT, which it tells by committing, until release
// is closed.
func (g *gate) holdCommit() (committing <-chan struct{}, release chan<- struct{}) {
	c, r := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g.commit = func() {
		once.Do(func() {
			close(c)
			<-r
		})
	}
	return c, r
}

// crowd makes the callers wait for one another while the writer is held, in
// their order, and returns what each was told once it is let go.
func (g *gate) crowd(t *testing.T, callers []func() error, meanwhile func()) []error {
	t.Helper()
	errs := make([]error, len(callers))
	var wg sync.WaitGroup
	err := g.store.Writing(func(*sqlite3.SQLiteConn) error {
		for i, call := range callers {
			wg.Go(func() { errs[i] = call() })
			g.store.AwaitQueue(i + 1)
		}
		g.commits.Store(0)
		if meanwhile != nil {
			meanwhile()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	return errs
}

// together applies the batches in their order, in one transaction, and returns the
// outcomes of each.
func (g *gate) together(t *testing.T, batches []contacts.MutationBatch) [][]contacts.MutationOutcome {
	t.Helper()
	outcomes := make([][]contacts.MutationOutcome, len(batches))
	var callers []func() error
	for i := range batches {
		callers = append(callers, func() (err error) {
			outcomes[i], err = g.store.Apply(t.Context(), batches[i])
			return err
		})
	}
	if err := errors.Join(g.crowd(t, callers, nil)...); err != nil {
		t.Fatal(err)
	}
	if n := g.commits.Load(); n != 1 {
		t.Fatalf("%d commits for batches that waited, want 1", n)
	}
	return outcomes
}

func TestWaitingCreatesShareOneTransactionInTheirOrder(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	var callers []func() error
	var want []string
	for range 64 {
		r := newContact(a)
		want = append(want, r.Contact.ID.String())
		callers = append(callers, func() error { return create(t.Context(), g.store, r) })
	}
	if err := errors.Join(g.crowd(t, callers, nil)...); err != nil {
		t.Fatal(err)
	}
	if n := g.commits.Load(); n != 1 {
		t.Errorf("%d commits for 64 creates that waited, want 1", n)
	}
	if diff := cmp.Diff(want, g.ids(t)); diff != "" {
		t.Errorf("order in the file (-arrival +stored):\n%s", diff)
	}
}

// ids returns the ids of all contacts in the order in which they were written.
func (g *gate) ids(t *testing.T) (ids []string) {
	t.Helper()
	err := g.store.Writing(func(c *sqlite3.SQLiteConn) error {
		var err error
		ids, err = sqlite.Column(c, "SELECT id FROM contact_data ORDER BY seq")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestFailureInASharedTransactionIsItsOwn(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	taken := newContact(a)
	if err := create(t.Context(), g.store, taken); err != nil {
		t.Fatal(err)
	}
	huge := newContact(a)
	huge.CustomContext = `{"a":"` + fmt.Sprintf("%01000000d", 0) + `"}`
	err := g.store.Writing(func(c *sqlite3.SQLiteConn) error {
		c.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000) // a row over it ends its transaction
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	batch := []*contacts.ContactRecord{newContact(a), newContact(newID()), newContact(a), taken, huge, newContact(a)}
	var callers []func() error
	for _, r := range batch {
		callers = append(callers, func() error { return create(t.Context(), g.store, r) })
	}
	errs := g.crowd(t, callers, nil)
	for i, want := range []error{nil, contacts.ErrNotFound, nil, contacts.ErrExists, nil, nil} {
		if i == 4 {
			if errs[i] == nil || errors.Is(errs[i], contacts.ErrOutcomeUnknown) {
				t.Errorf("the huge one: got %v, want an error that says that it is not stored", errs[i])
			}
			continue
		}
		if !errors.Is(errs[i], want) {
			t.Errorf("create %d: got %v, want %v", i, errs[i], want)
		}
	}
	want := []string{taken.Contact.ID.String(), batch[0].Contact.ID.String(), batch[2].Contact.ID.String(), batch[5].Contact.ID.String()}
	if diff := cmp.Diff(want, g.ids(t)); diff != "" {
		t.Errorf("in the file (-want +got):\n%s", diff)
	}
}

func TestCreateWhoseCallerHasGoneIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting atomic.Bool
	err := g.store.Writing(func(c *sqlite3.SQLiteConn) error {
		c.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
		c.RegisterRollbackHook(func() {
			if waiting.Load() {
				cancel() // while all three are undone
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	huge, patient, gone := newContact(a), newContact(a), newContact(a)
	huge.CustomContext = `{"a":"` + fmt.Sprintf("%0200000d", 0) + `"}`
	errs := g.crowd(t, []func() error{
		func() error { return create(ctx, g.store, gone) },
		func() error { return create(t.Context(), g.store, huge) },
		func() error { return create(t.Context(), g.store, patient) },
	}, func() { waiting.Store(true) })
	if !errors.Is(errs[0], context.Canceled) || errs[1] == nil || errs[2] != nil {
		t.Errorf("got %v, want a cancelled one, a refused one and a stored one", errs)
	}
	if diff := cmp.Diff([]string{patient.Contact.ID.String()}, g.ids(t)); diff != "" {
		t.Errorf("in the file (-want +got):\n%s", diff)
	}
}

func TestCreateWhoseContextEndsWhileItWaitsIsDropped(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second, third := newContact(a), newContact(a), newContact(a)
	returned := make(chan struct{})
	errs := g.crowd(t, []func() error{
		func() error { return create(t.Context(), g.store, first) },
		func() error { defer close(returned); return create(ctx, g.store, second) },
		func() error { return create(t.Context(), g.store, third) },
	}, func() {
		cancel()
		<-returned // while the writer is still held
	})
	if errs[0] != nil || errs[2] != nil {
		t.Errorf("its neighbours: %v, %v", errs[0], errs[2])
	}
	if !errors.Is(errs[1], context.Canceled) || errors.Is(errs[1], contacts.ErrOutcomeUnknown) {
		t.Errorf("got %v, want context.Canceled and a known outcome", errs[1])
	}
	if diff := cmp.Diff([]string{first.Contact.ID.String(), third.Contact.ID.String()}, g.ids(t)); diff != "" {
		t.Errorf("in the file (-want +got):\n%s", diff)
	}
}

func TestCreateWhoseContextEndsInTheCommitIsToldAtOnceThatNobodyKnows(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	committing, release := g.holdCommit()
	r, other := newContact(a), newContact(a)
	got := make(chan error)
	go func() { got <- create(ctx, g.store, r) }()
	<-committing
	cancel()
	err := <-got // the commit has not ended
	if !errors.Is(err, context.Canceled) || !errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Errorf("got %v, want context.Canceled and ErrOutcomeUnknown", err)
	}
	r.Contact.Tags[0] = "the caller's own again"
	close(release)
	if err := create(t.Context(), g.store, other); err != nil {
		t.Errorf("the next create: %v", err)
	}
	if diff := cmp.Diff([]string{r.Contact.ID.String(), other.Contact.ID.String()}, g.ids(t)); diff != "" {
		t.Errorf("in the file (-want +got):\n%s", diff)
	}
}

func TestCloseWaitsForAChangeWhoseCallerHasGone(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	committing, release := g.holdCommit()
	got, closed := make(chan error), make(chan error)
	go func() { got <- create(ctx, g.store, newContact(a)) }()
	<-committing
	cancel()
	<-got
	go func() { closed <- g.store.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v in the middle of a commit", err)
	default:
	}
	close(release)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestDirectoryChangeSharesItsTransactionWithNobody(t *testing.T) {
	t.Parallel()
	g, a := newGate(t)
	errs := g.crowd(t, []func() error{
		func() error { return create(t.Context(), g.store, newContact(a)) },
		func() error { // fails halfway
			_, err := g.store.AddToDirectory(t.Context(), contacts.Directory{
				Accounts: []contacts.Account{{ID: newID()}},
				Teams:    []contacts.Team{{AccountID: newID(), ID: 1}},
			})
			return err
		},
		func() error { return create(t.Context(), g.store, newContact(a)) },
	}, nil)
	if errs[0] != nil || !errors.Is(errs[1], contacts.ErrNotFound) || errs[2] != nil {
		t.Errorf("got %v, want ErrNotFound in the middle alone", errs)
	}
	if n := len(g.ids(t)); n != 2 {
		t.Errorf("%d contacts, want 2", n)
	}
	list, err := g.store.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 9})
	if err != nil || len(list.Accounts) != 1 {
		t.Errorf("%d accounts, %v; want 1", len(list.Accounts), err)
	}
}

// A store does not cut a batch, whatever its size.
func TestBatchOverTheLimitIsOneTransaction(t *testing.T) {
	t.Parallel()
	commits := 0
	s := mustOpen(t, sqlite.NewPlan().MaxPerTransaction(10).Connected(func(c *sqlite3.SQLiteConn) error {
		c.RegisterCommitHook(func() int { commits++; return 0 })
		return nil
	}), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	records := make([]*contacts.ContactRecord, 95)
	for i := range records {
		records[i] = newContact(a)
	}
	records[42] = records[7]
	before := commits
	for i, o := range outcomesOf(t, s, createBatch(records...)) {
		want := error(nil)
		if i == 42 {
			want = contacts.ErrExists
		}
		if !errors.Is(o.Err, want) {
			t.Errorf("record %d: got %v, want %v", i, o.Err, want)
		}
	}
	if commits != before+1 {
		t.Errorf("%d commits, want 1", commits-before)
	}
	for _, r := range records {
		wantContact(t, s, a, r.Contact.ID)
	}
}
