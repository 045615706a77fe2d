package contacts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// An Observer sees each call of a [Service] begin and end, to measure it or to
// trace it. It is set in [Options]. Module example.com/contacts/contactsotel has
// one for OpenTelemetry.
//
// A call is one use of a method that takes an API key. The JSON form of a method is
// the same operation as its Go form. An iterator makes one call for each page that
// it reads, but a history is one call. A stream makes one for each thousand, and
// BlockCallsStream one for each result. A batch is one call. The loop over a history
// is a part of its call: if it panics, the call ends with CodeServerError.
// [Service.Authorize] is a check and no call.
//
// An Observer is used by many goroutines at once. It runs in the goroutine of the
// caller, who waits for it. So it must not block, and it must not panic.
type Observer interface {
	// Begin is called before the API key is looked at. It returns the context for
	// the rest of the call, which is ctx with values added. The function that it
	// returns is called exactly once, when the call ends. It is called also where
	// the call fails or panics.
	Begin(ctx context.Context, call Call) (context.Context, func(Outcome))
}

// A Call is a use of a [Service] that begins.
type Call struct {
	Operation Operation

	// Items is how many contacts or numbers the call was given: 1 for a single
	// one. 0 for a list, and for a batch in JSON, which is read later.
	Items int

	DryRun bool // the call stores nothing
}

// An Outcome is how a call ended. It holds no text of an error, no API key and
// nothing of a contact.
//
// Created to Failed count the items of a call that writes, by what became of them.
// Of a batch they are the items of its results, so their sum is its size. All are
// 0 where Code is set: the call failed as a whole. A question about many numbers has
// Returned and Failed, and their sum is how many it was given. A page of contacts has
// both too where some of them are damaged, and no Code, although its error has one.
type Outcome struct {
	AccountID      uuid.UUID // zero: the API key is not valid
	Code           Code      // of the error; "": the call as a whole has none
	Canceled       bool      // it failed, in whole or in part, while its context was done
	OutcomeUnknown bool      // something may be stored; see [ErrOutcomeUnknown]

	// Tries is how often the call made its write: 1 unless another write came
	// first. 0: it came to no write.
	Tries int

	Created   int // new contacts, and new entries of the do-not-call ledger
	Existing  int // contacts that were found in place of a new one
	Updated   int // contacts that were changed
	Unchanged int // contacts that already were as they should be, and blocks that were not needed
	Restored  int // deleted contacts that were brought back
	Deleted   int // contacts that were deleted
	Replayed  int // items that an earlier call with the same idempotency key has stored
	Failed    int // items that were refused, numbers of [OpCanCallMany] that are no phone numbers, and contacts that are damaged

	Returned int // contacts, groups of contacts, events or entries that a read returned, and numbers that OpCanCallMany judged
	Listed   int // numbers of the question that are on the do-not-call list
}

// A StoreObserver sees each transaction that writes contacts begin and end. The
// durable stores take one in their options. Reads, and changes of the directory,
// are not observed.
//
// A StoreObserver is used by many goroutines at once. The callers of the
// transaction wait for it. So it must not block, and it must not panic.
type StoreObserver interface {
	// BeginTransaction is called when it is known what the transaction holds.
	// Calls are the contexts of the calls that share it, in the order in which
	// they came. The function that it returns is called exactly once, after the
	// commit or after the transaction was undone.
	BeginTransaction(calls []context.Context, t StoreTransaction) func(StoreTransactionOutcome)
}

// A StoreTransaction is a transaction that begins.
type StoreTransaction struct {
	System    string        // "sqlite" or "postgresql"
	Mutations int           // that it holds
	Waited    time.Duration // how long the first of them has waited
}

// A StoreTransactionOutcome is how a transaction ended. No error in it holds
// anything of a contact.
type StoreTransactionOutcome struct {
	Failed         int   // mutations that were refused
	Retries        int   // how often the transaction was made again
	Err            error // of the whole transaction, of which then nothing is stored; nil: none
	OutcomeUnknown bool  // with Err: all of it may be stored
}

// StoreStats are counters of a store since it was opened, and its present state.
// A figure that a store does not have is 0.
type StoreStats struct {
	System             string        // "sqlite" or "postgresql"
	Transactions       int64         // of calls that write contacts, which were committed
	Mutations          int64         // that they have stored
	Retries            int64         // transactions that were made again
	LockWaits          int64         // SQLite: transactions that waited for the lock of another process
	LockWait           time.Duration // SQLite: for how long, in all
	LargestTransaction int           // in mutations
	Waiting            int           // mutations that wait for their transaction now
	UnmergedContacts   int64         // SQLite: contacts that are not in the look-ups yet
	LogBytes           int64         // SQLite: size of the -wal file after the last transaction
	Connections        int           // PostgreSQL: of the pool
	Idle               int           // PostgreSQL: connections that nothing uses now
}

// An observation is what is known of a call for its observer. nil: there is none.
type observation struct {
	outcome Outcome
	partial bool // its error is about some of what it returns
	end     func(Outcome)
}

// beginObserved is begin where there is an observer.
func (c *call) beginObserved(ctx context.Context, items int) (context.Context, *call, error) {
	ctx, end := c.observer.Begin(ctx, Call{Operation: c.op, Items: items, DryRun: c.dryRun})
	if c.one != nil {
		c.observed = &c.one.observation
	} else {
		c.observed = new(observation)
	}
	c.observed.end = end
	defer func() {
		if p := recover(); p != nil { // there is no end of the call yet
			c.endObservation(ctx, CodeServerError)
			panic(p)
		}
	}()
	return ctx, c, c.admit(ctx)
}

// endObservation tells the observer how the call ended.
func (c *call) endObservation(ctx context.Context, code Code) {
	if c.observed.partial {
		code = ""
	}
	o := &c.observed.outcome
	o.Code, o.Tries = code, c.tries
	o.Canceled = len(c.faults) > 0 && ctx.Err() != nil
	c.observed.end(*o)
}

// account notes whose API key the call has.
func (o *observation) account(id uuid.UUID) {
	if o != nil {
		o.outcome.AccountID = id
	}
}

// fault notes a cause of a server error.
func (o *observation) fault(cause error) {
	if o != nil && errors.Is(cause, ErrOutcomeUnknown) {
		o.outcome.OutcomeUnknown = true
	}
}

// returned counts what a read returns.
func (o *observation) returned(n int) {
	if o != nil {
		o.outcome.Returned += n
	}
}

// damaged counts contacts of a page that cannot be read. The page is returned without
// them, so the call as a whole has no code.
func (o *observation) damaged(n int) {
	if o != nil {
		o.outcome.Failed += n
		o.partial = true
	}
}

// resultDeleted is what a delete did. No caller gets it as a [Result].
const resultDeleted Result = "deleted"

// wrote counts an item of the call by what became of it.
func (o *observation) wrote(r Result, replayed bool, err error) {
	if o == nil {
		return
	}
	out := &o.outcome
	switch {
	case err != nil:
		out.Failed++
	case replayed:
		out.Replayed++
	case r == ResultCreated:
		out.Created++
	case r == ResultExisting:
		out.Existing++
	case r == ResultUpdated:
		out.Updated++
	case r == ResultUnchanged:
		out.Unchanged++
	case r == ResultRestored:
		out.Restored++
	case r == resultDeleted:
		out.Deleted++
	}
}

// blocked counts the entries of a list of numbers that must not be called.
func (o *observation) blocked(r *BlockCallsResult) {
	if o == nil {
		return
	}
	o.outcome.Created += r.Added
	o.outcome.Unchanged += r.Unchanged + r.Granted
	o.outcome.Failed += r.Failed
}

// listed counts a number of the question that is on the do-not-call list.
func (o *observation) listed() {
	if o != nil {
		o.outcome.Listed++
	}
}

// judged counts one of many numbers of the question.
func (o *observation) judged(s *DoNotCallStatus) {
	switch {
	case o == nil:
	case s.Err != nil:
		o.outcome.Failed++
	default:
		o.returned(1)
		if s.DoNotCall {
			o.listed()
		}
	}
}
