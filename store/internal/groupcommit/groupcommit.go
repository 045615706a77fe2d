// Package groupcommit lets the jobs that wait at the same time share a
// transaction, with its round trips and its sync to the disk.
//
// A job that waits is a waiter. A flight is one transaction and the waiters in
// it. A lane makes one flight after the other, as long as anybody waits. A queue
// has a fixed number of lanes. Nothing is ever held back for company: a lone job
// commits at once. A crowd forms by itself while all lanes are busy.
//
// A flight begins, takes jobs off the queue in their order, and commits. If it
// is undone because of one of its jobs, each job is made again in a flight of
// its own: a solo flight, and a retry. So a failure is never that of another
// job.
package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A Config says how a [Queue] commits its jobs.
type Config[J any] struct {
	// Lanes is how many flights there may be at a time; 0: one.
	Lanes int
	// Max is the size of a flight. A single job may be larger.
	Max int
	// Size returns the size of a job, which may be 0. nil: every job has size 1.
	Size func(J) int
	// Alike reports whether two jobs may share a flight, for a database where a
	// transaction must be about one account. It must be an equivalence: a flight
	// compares with its first job alone. nil: any two may.
	Alike func(a, b J) bool
	// Locks returns the accounts that a job locks until its flight ends. While
	// another flight holds one of them the job is left for a later one, and those
	// after it go first: the database would have it wait too, with all that share
	// its flight. nil: no job locks any.
	Locks func(J) []uuid.UUID
	// Begin begins a flight. It waits for a lock or a connection. Its context
	// ends when nobody waits any more; it is for Begin alone. Begin is called
	// before the flight takes its jobs, so that those that come meanwhile are
	// taken too. Where Begin fails, all that wait get its error.
	Begin func(ctx context.Context) (Tx[J], error)
}

// A Tx is the transaction of one flight. Either Commit or Discard is called,
// once, by the goroutine that called Begin. With one lane, no two flights are
// ever under way, so that one value may serve for all of them.
type Tx[J any] interface {
	// Commit runs the jobs in their order and commits. There is at least one.
	// It must not keep jobs. Its context ends when all callers have given up.
	//
	// If it returns an error, nothing of any job is stored, and every job gets
	// the error, with two exceptions. After an error that matches
	// [contacts.ErrOutcomeUnknown] the jobs may be stored. After an error that
	// matches [ErrSolo] each job is made again in a flight of its own. Commit
	// decides when that is worth while. A lone job is made again for ErrSolo
	// too, as long as its caller waits.
	//
	// retry says that the one job was undone before, in a flight that returned
	// ErrSolo.
	Commit(ctx context.Context, jobs []J, retry bool) error
	// Discard ends a transaction that nobody waits for any more.
	Discard()
}

// ErrSolo is what Commit returns when it has undone its jobs and each is to be
// made again without the others. It reaches no caller.
var ErrSolo = errors.New("groupcommit: undone, to be made again one by one")

// A Queue commits jobs. It is safe for concurrent use.
type Queue[J any] struct {
	config Config[J]

	mu    sync.Mutex
	queue []*waiter[J] // first come, first in
	busy  int          // lanes
	idle  sync.Cond    // signals that busy has become 0
	crowd bool         // the last flight that could be shared had more than one job

	locked map[uuid.UUID]bool // accounts, by the flights under way

	// The context of the lanes that are in Begin, and what ends it; nil: none
	// was needed since nobody waited.
	beginning context.Context
	nobody    context.CancelFunc
}

// A waiter is a job that waits for its flight, or is in it.
type waiter[J any] struct {
	ctx  context.Context
	job  J
	size int

	locks []uuid.UUID

	// Guarded by Queue.mu.
	solo   bool       // it shares its flight with nobody
	retry  bool       // it was undone with its flight
	flight *flight[J] // not nil: it may be stored from now on

	done chan struct{} // closed when err is there
	err  error
}

// A flight is the waiters of one transaction. It goes on as long as one of their
// callers waits for it.
type flight[J any] struct {
	waiters []*waiter[J]
	jobs    []J
	retry   bool

	ctx     context.Context
	waiting int                // callers; guarded by Queue.mu
	cancel  context.CancelFunc // nil: the context of one of the callers cannot end

	// Where waiters and jobs are if there is one, which is the usual number.
	waiter1 [1]*waiter[J]
	job1    [1]J
}

// New returns a queue without jobs. It has no goroutine of its own: lanes end
// when nobody waits.
func New[J any](c Config[J]) *Queue[J] {
	c.Lanes = max(c.Lanes, 1)
	q := &Queue[J]{config: c, locked: make(map[uuid.UUID]bool)}
	q.idle.L = &q.mu
	return q
}

// Do commits the job. When it returns nil, all of the job is durable.
//
// When ctx is done before the job's flight took it, the job is dropped and Do
// returns the context's error. When ctx is done later, Do returns at once with
// [contacts.ErrOutcomeUnknown] beside the context's error. After an error that
// does not match ErrOutcomeUnknown nothing is stored.
//
// The job may be made again after its flight was undone, and may still be made
// when its caller has given up: it must not touch what the caller may change.
func (q *Queue[J]) Do(ctx context.Context, job J) error {
	return q.do(&waiter[J]{ctx: ctx, job: job})
}

// DoSolo is Do for a job of any size that shares its flight with nobody.
func (q *Queue[J]) DoSolo(ctx context.Context, job J) error {
	return q.do(&waiter[J]{ctx: ctx, job: job, solo: true})
}

func (q *Queue[J]) do(w *waiter[J]) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.done = make(chan struct{})
	w.size = 1
	if q.config.Size != nil {
		w.size = q.config.Size(w.job)
	}
	if q.config.Locks != nil {
		w.locks = q.config.Locks(w.job)
	}
	q.mu.Lock()
	q.queue = append(q.queue, w)
	free := q.busy < q.config.Lanes
	if free {
		q.busy++
	}
	q.mu.Unlock()

	switch {
	case free && q.config.Lanes == 1 && w.ctx.Done() == nil:
		// Nothing can call the caller away, and no other lane can take its job:
		// it needs no goroutine beside its own.
		q.lead(w)
	case free:
		go q.lead(nil)
	}
	select {
	case <-w.done:
		return w.err
	case <-w.ctx.Done():
		return q.abandon(w)
	}
}

// Waiting returns how many jobs wait for a flight to take them.
func (q *Queue[J]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}

// Sum returns the sum of f over the jobs that wait for a flight to take them.
func (q *Queue[J]) Sum(f func(J) int) (sum int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.queue {
		sum += f(w.job)
	}
	return sum
}

// Drain returns when no flight is under way, also none whose callers have given
// up. It is to be called when every Do has returned and none will come.
func (q *Queue[J]) Drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endBeginning() // other lanes may have taken the jobs that it was for
	for q.busy > 0 {
		q.idle.Wait()
	}
}

// abandon takes back a job whose context is done, as far as that can be.
func (q *Queue[J]) abandon(w *waiter[J]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.isDone() {
		return w.err
	}
	if f := w.flight; f != nil {
		if f.waiting--; f.waiting == 0 {
			f.cancel()
		}
		return fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, w.ctx.Err())
	}
	i := slices.Index(q.queue, w)
	q.queue = slices.Delete(q.queue, i, i+1)
	if len(q.queue) == 0 {
		q.endBeginning()
	}
	q.wake() // those after it may have been left for it
	return w.ctx.Err()
}

// endBeginning has the lanes that wait in Begin look again whether anybody
// waits. The caller holds mu.
func (q *Queue[J]) endBeginning() {
	if q.nobody != nil {
		q.nobody()
		q.beginning, q.nobody = nil, nil
	}
}

// lead is a lane: it makes flights until nobody waits, or until all that wait need
// what another lane has locked. If own is given, it returns when that is done, and
// leaves the lane to another goroutine.
func (q *Queue[J]) lead(own *waiter[J]) {
	for {
		ctx, crowd := q.next()
		switch {
		case ctx == nil:
			return
		case own != nil && own.isDone():
			go q.lead(nil)
			return
		}
		if crowd {
			Gather(q.gathered)
		}
		q.fly(ctx)
	}
}

// next returns the context for the next Begin, and whether a crowd is expected.
// It returns nil if there is nobody for it to take; the lane has ended then.
func (q *Queue[J]) next() (ctx context.Context, crowd bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.anyFree() {
		if q.busy--; q.busy == 0 {
			q.idle.Broadcast()
		}
		return nil, false
	}
	if q.beginning == nil {
		q.beginning, q.nobody = context.WithCancel(context.Background())
	}
	return q.beginning, q.crowd
}

// gathered returns how many jobs wait, as far as they fill a flight.
func (q *Queue[J]) gathered() int { return min(q.Waiting(), q.config.Max) }

// fly makes one flight.
func (q *Queue[J]) fly(ctx context.Context) {
	tx, err := q.config.Begin(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return // nobody waited any more
	case err != nil:
		q.refuse(err)
		return
	}
	f := q.take()
	if f == nil { // all of them gave up
		tx.Discard()
		return
	}
	err = tx.Commit(f.ctx, f.jobs, f.retry)
	if f.cancel != nil {
		f.cancel()
	}
	if errors.Is(err, ErrSolo) && !errors.Is(err, contacts.ErrOutcomeUnknown) {
		q.putBack(f)
		return
	}
	q.finish(f, err)
}

// take takes the waiters of the next flight off the queue: as many as fit, in
// their order. From here on they may be stored. It returns nil if there are none.
func (q *Queue[J]) take() *flight[J] {
	q.mu.Lock()
	defer q.mu.Unlock()
	var f *flight[J]
	size := 0
	var p passed
	mine := q.share()
	kept := q.queue[:0]
	for i, w := range q.queue {
		if err := w.ctx.Err(); err != nil {
			w.end(err)
			continue
		}
		if !q.isFree(w, &p) {
			kept = append(kept, w)
			continue
		}
		if f != nil {
			if !q.alike(f.waiters[0], w) || !mine.hasRoom(w.locks) {
				kept = append(kept, w)
				continue
			}
			if f.waiters[0].solo || w.solo || size+w.size > q.config.Max {
				kept = append(kept, q.queue[i:]...)
				break
			}
		} else {
			f = newFlight(w, len(q.queue)-i)
		}
		f.waiters, f.jobs = append(f.waiters, w), append(f.jobs, w.job)
		size += w.size
		mine.add(w.locks)
	}
	clear(q.queue[len(kept):])
	q.queue = kept
	if f == nil {
		return nil
	}
	q.depart(f)
	q.wake() // the lanes that share the accounts had nothing to do before
	return f
}

// wake starts a lane that has nothing to do if there is something for it now. The
// caller holds mu.
func (q *Queue[J]) wake() {
	if q.busy < q.config.Lanes && q.anyFree() {
		q.busy++
		go q.lead(nil)
	}
}

// A share is the accounts that a flight locks. The lanes share all that are needed. If
// one flight locked them all, the other lanes would have nothing to do until it ends.
type share struct {
	size     int // of the accounts; 0: none is needed, or there is one lane
	accounts map[uuid.UUID]bool
}

// share returns that of the next flight, which has no accounts yet. The caller holds mu.
func (q *Queue[J]) share() share {
	if q.config.Locks == nil || q.config.Lanes == 1 {
		return share{}
	}
	needed := maps.Clone(q.locked)
	for _, w := range q.queue {
		for _, l := range w.locks {
			needed[l] = true
		}
	}
	return share{size: (len(needed) + q.config.Lanes - 1) / q.config.Lanes}
}

// hasRoom reports whether the share stays small enough with the accounts.
func (s *share) hasRoom(accounts []uuid.UUID) bool {
	more := 0
	for _, a := range accounts {
		if !s.accounts[a] {
			more++
		}
	}
	return s.size == 0 || more == 0 || len(s.accounts)+more <= s.size
}

func (s *share) add(accounts []uuid.UUID) {
	for _, a := range accounts {
		if s.accounts == nil {
			s.accounts = make(map[uuid.UUID]bool)
		}
		s.accounts[a] = true
	}
}

// anyFree reports whether a flight could take a waiter. The caller holds mu.
func (q *Queue[J]) anyFree() bool {
	var p passed
	return slices.ContainsFunc(q.queue, func(w *waiter[J]) bool { return q.isFree(w, &p) })
}

// passed are the accounts of waiters that others pass. Nobody passes them who needs
// one of these: they would wait for ever.
type passed map[uuid.UUID]bool

// isFree reports whether the waiter needs nothing that a flight has locked, or that
// one before it needs.
func (q *Queue[J]) isFree(w *waiter[J], p *passed) bool {
	if !slices.ContainsFunc(w.locks, func(l uuid.UUID) bool { return q.locked[l] || (*p)[l] }) {
		return true
	}
	if *p == nil {
		*p = make(passed)
	}
	for _, l := range w.locks {
		(*p)[l] = true
	}
	return false
}

// newFlight returns a flight with room for as many waiters as it may get.
func newFlight[J any](first *waiter[J], waiting int) *flight[J] {
	const usual = 1024
	f := &flight[J]{}
	if first.solo || waiting == 1 {
		f.waiters, f.jobs = f.waiter1[:0], f.job1[:0]
	} else {
		n := min(waiting, usual)
		f.waiters, f.jobs = make([]*waiter[J], 0, n), make([]J, 0, n)
	}
	return f
}

func (q *Queue[J]) alike(a, b *waiter[J]) bool {
	return q.config.Alike == nil || q.config.Alike(a.job, b.job)
}

// depart marks the waiters of a flight. The caller holds mu.
func (q *Queue[J]) depart(f *flight[J]) {
	endless := false
	for _, w := range f.waiters {
		w.flight = f
		for _, l := range w.locks {
			q.locked[l] = true
		}
		endless = endless || w.ctx.Done() == nil
	}
	f.waiting = len(f.waiters)
	f.ctx = context.Background()
	if !endless {
		f.ctx, f.cancel = context.WithCancel(f.ctx)
	}
	first := f.waiters[0]
	f.retry = first.retry
	if !first.solo || first.retry { // a job that never shares says nothing of the others
		q.crowd = len(f.waiters) > 1
	}
}

// unlock gives back what a flight has locked. The caller holds mu.
func (q *Queue[J]) unlock(f *flight[J]) {
	for _, w := range f.waiters {
		for _, l := range w.locks {
			delete(q.locked, l)
		}
	}
}

// finish tells the waiters of a flight how it went.
func (q *Queue[J]) finish(f *flight[J], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unlock(f)
	for _, w := range f.waiters {
		w.end(err)
	}
}

// refuse tells all that wait that no flight can begin.
func (q *Queue[J]) refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.queue {
		if e := w.ctx.Err(); e != nil {
			w.end(e)
			continue
		}
		w.end(err)
	}
	clear(q.queue)
	q.queue = q.queue[:0]
}

// putBack puts the waiters of a flight that was undone at the head of the queue,
// each for a flight of its own. Those whose callers have gone are dropped.
func (q *Queue[J]) putBack(f *flight[J]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unlock(f)
	queue := make([]*waiter[J], 0, len(f.waiters)+len(q.queue))
	for _, w := range f.waiters {
		if err := w.ctx.Err(); err != nil {
			w.end(err)
			continue
		}
		w.solo, w.retry, w.flight = true, true, nil
		queue = append(queue, w)
	}
	q.queue = append(queue, q.queue...)
}

// end tells the waiter how it went. The caller holds mu.
func (w *waiter[J]) end(err error) {
	w.err = err
	close(w.done)
}

func (w *waiter[J]) isDone() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// Gather lets others come that were woken together with the caller, as long as
// more of them do, so that they share what it is about to do. It waits for nobody
// who is not ready to run. waiting returns how many have come.
func Gather(waiting func() int) {
	const patience = 20
	before := waiting()
	for range patience {
		runtime.Gosched()
		n := waiting()
		if n == before {
			return
		}
		before = n
	}
}
