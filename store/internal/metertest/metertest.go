// Package metertest tests the Stats and the observer of a store.
package metertest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/contacts"
)

// A Store is a store that is measured.
type Store interface {
	contacts.Store
	Stats() contacts.StoreStats
}

// A Transaction is one that a [Recorder] has seen.
type Transaction struct {
	Calls   []context.Context
	Begin   contacts.StoreTransaction
	Outcome contacts.StoreTransactionOutcome
	Ends    int
}

// A Recorder is an observer that keeps what it sees. The zero value is ready.
type Recorder struct {
	// Begun is called when a transaction begins, and may hold it. nil: nothing is.
	Begun func()

	mu   sync.Mutex
	seen []*Transaction
}

// BeginTransaction implements [contacts.StoreObserver].
func (r *Recorder) BeginTransaction(calls []context.Context, t contacts.StoreTransaction) func(contacts.StoreTransactionOutcome) {
	seen := &Transaction{Calls: slices.Clone(calls), Begin: t}
	r.mu.Lock()
	r.seen = append(r.seen, seen)
	r.mu.Unlock()
	if r.Begun != nil {
		r.Begun()
	}
	return func(o contacts.StoreTransactionOutcome) {
		r.mu.Lock()
		defer r.mu.Unlock()
		seen.Outcome = o
		seen.Ends++
	}
}

// Take returns what was seen since the last Take.
func (r *Recorder) Take() []*Transaction {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

// number is a key of contexts.
type number struct{}

// Run tests a store that makes one transaction at a time. Open opens it with the
// observer, nil for none. Run closes it.
func Run(t *testing.T, system string, open func(t *testing.T, o contacts.StoreObserver) Store) {
	t.Run("counters", func(t *testing.T) {
		t.Parallel()
		counters(t, system, open(t, nil))
	})
	t.Run("transactions", func(t *testing.T) {
		t.Parallel()
		r := &Recorder{}
		transactions(t, system, open(t, r), r)
	})
	t.Run("group", func(t *testing.T) {
		t.Parallel()
		r, begun, held := &Recorder{}, make(chan struct{}, 2), make(chan struct{})
		r.Begun = func() { begun <- struct{}{}; <-held }
		group(t, open(t, r), r, begun, held)
	})
}

// service returns a Service on the store, with a key that may do everything.
func service(t *testing.T, s Store) (svc *contacts.Service, key string) {
	t.Helper()
	admin := contacts.NewAdmin(s, nil)
	account, err := admin.CreateAccount(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	key, _, err = admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}, AllTeams: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if svc, err = contacts.New(s, nil); err != nil {
		t.Fatal(err)
	}
	return svc, key
}

// batch is ten contacts, of which two are refused.
func batch() contacts.CreateContactsInput {
	in := contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{{FirstName: "Ada"}}, 10)}
	for _, i := range []int{3, 5, 7} {
		in.Contacts[i].ExternalID = "once"
	}
	return in
}

// counters compares the counters with what the test has done, while others read
// them.
func counters(t *testing.T, system string, s Store) {
	if got, want := s.Stats().System, system; got != want {
		t.Errorf("the system is %q, want %q", got, want)
	}
	svc, key := service(t, s)
	if got := s.Stats(); got.Transactions != 0 || got.Mutations != 0 {
		t.Errorf("a change of the directory counts: %+v", got)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for last := int64(0); ; {
			select {
			case <-done:
				return
			default:
			}
			now := s.Stats().Mutations
			if now < last {
				t.Errorf("the mutations went from %d to %d", last, now)
			}
			last = now
			runtime.Gosched()
		}
	})
	ctx := t.Context()
	for range 5 {
		if _, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second is a replay
		if _, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada", IdempotencyKey: "once"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, allOrNothing := range []bool{false, true} { // the second fails
		in := batch()
		in.AllOrNothing = allOrNothing
		if _, err := svc.CreateContacts(ctx, key, in); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	readers.Wait()
	check := func(when string) {
		t.Helper()
		got := s.Stats()
		if got.Mutations != 14 || got.LargestTransaction != 10 || got.Waiting != 0 || got.Retries != 0 || got.LockWaits != 0 || got.LockWait != 0 {
			t.Errorf("%s: %+v, want 14 mutations and at most 10 in a transaction", when, got)
		}
		if got.Transactions < 8 || got.Transactions > 9 { // one that is undone as a whole may be committed, empty
			t.Errorf("%s: %d transactions, want 8 or 9", when, got.Transactions)
		}
	}
	check("before Close")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check("after Close")
}

// transactions compares what the observer sees with what the test has done.
func transactions(t *testing.T, system string, s Store, r *Recorder) {
	defer s.Close()
	svc, key := service(t, s)
	if seen := r.Take(); len(seen) != 0 {
		t.Errorf("%d changes of the directory were observed", len(seen))
	}
	ctx := context.WithValue(t.Context(), number{}, 1)
	see := func(what string, mutations, failed int) {
		t.Helper()
		seen := r.Take()
		if len(seen) != 1 || seen[0].Ends != 1 {
			t.Errorf("%s: %d transactions were seen, want one that ended once", what, len(seen))
			return
		}
		one := seen[0]
		if len(one.Calls) != 1 || one.Calls[0].Value(number{}) != 1 {
			t.Errorf("%s: the calls are not the context of the caller: %v", what, one.Calls)
		}
		if one.Begin.System != system || one.Begin.Mutations != mutations || one.Begin.Waited < 0 || one.Begin.Waited > time.Minute {
			t.Errorf("%s: began as %+v, want %d mutations", what, one.Begin, mutations)
		}
		if want := (contacts.StoreTransactionOutcome{Failed: failed}); one.Outcome != want {
			t.Errorf("%s: ended as %+v, want %+v", what, one.Outcome, want)
		}
	}
	if _, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada"}); err != nil {
		t.Fatal(err)
	}
	see("create", 1, 0)
	in := batch()
	if _, err := svc.CreateContacts(ctx, key, in); err != nil {
		t.Fatal(err)
	}
	see("batch", 10, 2)
	in.AllOrNothing = true
	if _, err := svc.CreateContacts(ctx, key, in); err != nil {
		t.Fatal(err)
	}
	see("all or nothing", 10, 10)
	if _, err := svc.ListContacts(ctx, key, contacts.ListContactsInput{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(ctx, contacts.MutationBatch{Now: time.Now().UTC().Truncate(time.Microsecond)}); err != nil {
		t.Fatal(err)
	}
	if seen := r.Take(); len(seen) != 0 {
		t.Errorf("a read, or upkeep, was observed: %+v", seen[0])
	}
}

// group checks what the observer sees of a transaction that eight callers share.
func group(t *testing.T, s Store, r *Recorder, begun <-chan struct{}, held chan<- struct{}) {
	defer s.Close()
	svc, key := service(t, s)
	var callers sync.WaitGroup
	errs := make([]error, 9)
	create := func(i int) {
		callers.Go(func() {
			ctx := context.WithValue(t.Context(), number{}, i)
			_, errs[i] = svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada"})
		})
	}
	create(0)
	<-begun // and goes no further
	for i := 1; i <= 8; i++ {
		create(i)
		for s.Stats().Waiting < i {
			runtime.Gosched()
		}
	}
	close(held)
	callers.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	seen := r.Take()
	if len(seen) != 2 {
		t.Fatalf("%d transactions were seen, want 2", len(seen))
	}
	var numbers []int
	for _, ctx := range seen[1].Calls {
		numbers = append(numbers, ctx.Value(number{}).(int))
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(numbers, want) {
		t.Errorf("the calls that share the transaction are %v, want %v", numbers, want)
	}
	if b := seen[1].Begin; b.Mutations != 8 || b.Waited <= 0 {
		t.Errorf("it began as %+v, want 8 mutations that have waited", b)
	}
	if got := s.Stats(); got.LargestTransaction != 8 || got.Transactions != 2 || got.Waiting != 0 {
		t.Errorf("then the store has %+v", got)
	}
}
