// Package meter counts the transactions of a store, and shows each to the
// observer of the host.
package meter

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"example.com/contacts"
)

// A Meter measures one store. It is safe for concurrent use.
type Meter struct {
	system   string
	observer contacts.StoreObserver // nil: none

	transactions, mutations, retries, largest atomic.Int64
	lockWaits, lockWait                       atomic.Int64 // lockWait in nanoseconds
}

// New returns a meter for a store of the system; see [contacts.StoreStats].
func New(system string, observer contacts.StoreObserver) *Meter {
	return &Meter{system: system, observer: observer}
}

// A Caller is a call that waits for its transaction. It is zero where nobody
// observes.
type Caller struct {
	ctx   context.Context
	since time.Time
}

// Enter notes that the call of ctx begins to wait.
func (m *Meter) Enter(ctx context.Context) Caller {
	if m.observer == nil {
		return Caller{}
	}
	return Caller{ctx, time.Now()}
}

// A Transaction is one that is being measured. Its goroutine alone uses it. A
// transaction of no mutations is not measured.
type Transaction struct {
	meter     *Meter
	mutations int
	retries   int
	end       func(contacts.StoreTransactionOutcome)
}

// Begin begins to measure a transaction of so many mutations. It has so many
// callers, which caller returns in the order in which they came.
func (m *Meter) Begin(mutations, callers int, caller func(int) Caller) Transaction {
	t := Transaction{meter: m, mutations: mutations}
	if m.observer == nil || mutations == 0 {
		return t
	}
	calls := make([]context.Context, callers)
	for i := range calls {
		calls[i] = caller(i).ctx
	}
	t.end = m.observer.BeginTransaction(calls, contacts.StoreTransaction{
		System: m.system, Mutations: mutations, Waited: time.Since(caller(0).since),
	})
	return t
}

// Retry notes that the transaction is made again.
func (t *Transaction) Retry() { t.retries++ }

// A Result is how a transaction ended.
type Result struct {
	Stored, Failed int   // mutations
	Undone         bool  // without an error, because a mutation of all was refused
	Err            error // in the form that callers get
}

// End ends the measuring.
func (t *Transaction) End(r Result) {
	if t.mutations == 0 {
		return
	}
	m := t.meter
	m.retries.Add(int64(t.retries))
	if r.Err == nil && !r.Undone {
		m.transactions.Add(1)
		m.mutations.Add(int64(r.Stored))
		for size := int64(t.mutations); ; {
			if largest := m.largest.Load(); size <= largest || m.largest.CompareAndSwap(largest, size) {
				break
			}
		}
	}
	if t.end != nil {
		t.end(contacts.StoreTransactionOutcome{
			Failed: r.Failed, Retries: t.retries, Err: r.Err, OutcomeUnknown: errors.Is(r.Err, contacts.ErrOutcomeUnknown),
		})
	}
}

// LockWait notes that a transaction waits for the lock of another process, until
// ended is called.
func (m *Meter) LockWait() (ended func()) {
	from := time.Now()
	m.lockWaits.Add(1)
	return func() { m.lockWait.Add(int64(time.Since(from))) }
}

// Stats returns what was counted.
func (m *Meter) Stats() contacts.StoreStats {
	return contacts.StoreStats{
		System:             m.system,
		Transactions:       m.transactions.Load(),
		Mutations:          m.mutations.Load(),
		Retries:            m.retries.Load(),
		LockWaits:          m.lockWaits.Load(),
		LockWait:           time.Duration(m.lockWait.Load()),
		LargestTransaction: int(m.largest.Load()),
	}
}
