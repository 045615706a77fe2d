//go:build cgo

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A writer owns the one connection that changes the file, and lets the changes
// that wait at the same time share a transaction and its sync: group commit.
//
// Whoever finds nobody leading leads: it takes all that waits, in the order of
// arrival, commits it, and goes on while more has come. Nothing is ever held
// back for company, so a lone change commits at once; a crowd forms by itself
// while the one before it is being synced.
type writer struct {
	connector  *connector
	migrations []migration
	most       int // contacts in a transaction; a single change may hold more

	mu      sync.Mutex
	queue   []*change // first come, first in
	leading bool
	idle    sync.Cond // signals that leading has become false
	nobody  func()    // ends the leader's waiting for other processes; nil: it has never waited

	index *indexer

	// The leader alone touches what follows. conn is nil where the last one
	// could not be made sound again, until the next transaction.
	conn  *writeConn
	crowd bool // the last transaction that could be shared had more than one change
}

// A change is a job that waits for its transaction, or is in it.
type change struct {
	ctx  context.Context
	job  job
	size int // in contacts

	alone   bool          // it shares its transaction with nobody
	again   bool          // it was undone with others, and is made again without any
	started bool          // guarded by writer.mu: it may be stored from now on
	done    chan struct{} // closed when err is there
	err     error
}

// A job changes rows within a transaction. A statement of it that failed with a
// constraint has done nothing, and the job may carry on after it. If it returns
// an error, nothing that it did stays.
//
// A job may be run again, from the start, after its transaction was undone, and
// may still run when its caller has given up: it must not touch what the caller
// may change then.
type job func(*writeConn) error

// defaultMost is where larger transactions gain little more.
const defaultMost = 1024

func openWriter(ctx context.Context, c *connector, steps []migration, most int) (*writer, error) {
	w := &writer{connector: c, migrations: steps, most: most}
	w.idle.L = &w.mu
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *writer) connect(ctx context.Context) error {
	db, err := w.connector.open(ctx)
	if err != nil {
		return err
	}
	conn, err := newWriteConn(ctx, db, w.migrations)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	w.conn = conn
	return nil
}

// do runs the job in a transaction; when it returns nil, all that the job did is
// durable. The size of the job is how many contacts it creates or changes.
//
// When ctx is done before the transaction began, the job is dropped and do
// returns the context's error. When it is done later, do returns at once with
// ErrOutcomeUnknown beside it. After an error that does not match
// ErrOutcomeUnknown nothing is stored.
func (w *writer) do(ctx context.Context, size int, j job) error {
	return w.commit(&change{ctx: ctx, job: j, size: size, done: make(chan struct{})})
}

// doAlone is do for a job that may fail halfway, or is of any size: it shares its
// transaction with nobody.
func (w *writer) doAlone(ctx context.Context, size int, j job) error {
	return w.commit(&change{ctx: ctx, job: j, size: size, alone: true, done: make(chan struct{})})
}

// commit sees the change through.
func (w *writer) commit(c *change) error {
	ctx := c.ctx
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	w.queue = append(w.queue, c)
	lead := !w.leading
	w.leading = true
	w.mu.Unlock()

	if lead {
		if ctx.Done() == nil {
			w.lead(c) // nothing can call us away, so no other goroutine is needed
		} else {
			go w.lead(nil)
		}
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return w.abandon(c)
	}
}

// abandon takes back a change whose context is done, as far as that can be.
func (w *writer) abandon(c *change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	default:
	}
	if c.started {
		return fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, c.ctx.Err())
	}
	w.queue = slices.DeleteFunc(w.queue, func(q *change) bool { return q == c })
	if len(w.queue) == 0 && w.nobody != nil {
		w.nobody()
	}
	return c.ctx.Err()
}

// lead commits what waits until nothing does. If own is given, it returns when
// that is done, and leaves what waits then to another goroutine.
func (w *writer) lead(own *change) {
	for {
		w.commitNext()

		w.mu.Lock()
		if len(w.queue) == 0 {
			w.leading = false
			w.idle.Broadcast()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		if own != nil && isDone(own) {
			go w.lead(nil)
			return
		}
	}
}

func isDone(c *change) bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// commitNext commits one transaction of what waits.
func (w *writer) commitNext() {
	if w.crowd {
		gather(w.waiting)
	}
	switch err := w.begin(); {
	case errors.Is(err, errNobody):
		return
	case err != nil:
		w.finish(w.takeAll(), err)
		return
	}
	batch := w.take()
	if len(batch) == 0 || !batch[0].alone { // one that shares with nobody says nothing of the others
		w.crowd = len(batch) > 1
	}
	if len(batch) == 0 { // all of them gave up
		w.undo()
		return
	}
	indexed, err := w.run(batch, !batch[0].again)
	if err != nil && (len(batch) > 1 || indexed || isBusy(err)) && !errors.Is(err, contacts.ErrOutcomeUnknown) {
		// One of them failed, or the look-ups did. A failure is nobody else's.
		w.putBack(batch)
		return
	}
	w.finish(batch, err)
}

// waiting returns how many changes wait, the size of a full transaction at most.
func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min(len(w.queue), w.most)
}

// begin begins a transaction. It waits for other processes as long as anybody
// waits for it, and then returns errNobody.
func (w *writer) begin() error {
	if w.conn != nil {
		if err := w.conn.begin.exec(); !isBusy(err) {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.mu.Lock()
	w.nobody = cancel
	empty := len(w.queue) == 0
	w.mu.Unlock()
	if empty {
		return errNobody
	}
	err := retry(ctx, func() error { return w.tryBegin(ctx) })
	if err != nil && ctx.Err() != nil {
		return errNobody
	}
	return err
}

func (w *writer) tryBegin(ctx context.Context) error {
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	return w.conn.begin.exec()
}

// errNobody reaches no caller: there is none.
var errNobody = errors.New("everybody has given up")

// take takes the changes of the next transaction off the queue: as many as fit,
// in their order. From here on they may be stored.
func (w *writer) take() []*change {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, 0
	for _, c := range w.queue {
		single := c.again || c.alone
		if n > 0 && (single || size+c.size > w.most) {
			break
		}
		n++
		if size += c.size; single {
			break
		}
	}
	return w.start(n)
}

// takeAll takes the whole queue.
func (w *writer) takeAll() []*change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.start(len(w.queue))
}

// start takes n changes off the queue, and drops those whose context is done.
func (w *writer) start(n int) []*change {
	batch := make([]*change, 0, n)
	for _, c := range w.queue[:n] {
		if err := c.ctx.Err(); err != nil {
			c.end(err)
			continue
		}
		c.started = true
		batch = append(batch, c)
	}
	w.queue = slices.Delete(w.queue, 0, n)
	return batch
}

// finish tells the changes how it went.
func (w *writer) finish(batch []*change, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range batch {
		c.end(err)
	}
}

func (c *change) end(err error) {
	c.err = err
	close(c.done)
}

// run runs the jobs of the transaction that has begun, merges a part of the
// look-ups too if it is asked to, and commits.
func (w *writer) run(batch []*change, merge bool) (merged bool, err error) {
	size := 0
	for _, c := range batch {
		size += c.size
	}
	if size > 0 {
		w.index.wrote()
	}
	for _, c := range batch {
		if err := c.job(w.conn); err != nil {
			w.undo()
			return false, err
		}
	}
	if merge {
		if merged, err = w.index.merge(w.conn, size); err != nil {
			w.undo()
			return merged, err
		}
	}
	if err := w.conn.commit.exec(); err != nil {
		w.undo()
		return merged, commitError(err)
	}
	if merged {
		w.index.committed()
	}
	return merged, nil
}

// putBack puts changes that were undone at the head of the queue, each to be made
// without the others. Those whose callers have gone are dropped.
func (w *writer) putBack(batch []*change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := make([]*change, 0, len(batch)+len(w.queue))
	for _, c := range batch {
		if err := c.ctx.Err(); err != nil {
			c.end(err)
			continue
		}
		c.again, c.started = true, false
		waiting = append(waiting, c)
	}
	w.queue = append(waiting, w.queue...)
}

// undo makes the connection ready for the next transaction, whatever state the
// last one left it in.
func (w *writer) undo() {
	if w.conn.db.AutoCommit() { // SQLite has rolled back by itself
		return
	}
	if err := w.conn.rollback.exec(); err != nil {
		_ = w.conn.close() // it has failed already
		w.conn = nil
	}
}

// commitError says what a failed COMMIT means. SQLite has taken the transaction
// back: no reader sees it, and the next one overwrites it in the -wal file. But
// where it failed after the last byte was written there, when syncing it, a
// crash before the next transaction can bring it back.
func commitError(err error) error {
	switch e, _ := errors.AsType[sqlite3.Error](err); e.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked, // never began to write
		sqlite3.ErrFull,       // the last byte was not written
		sqlite3.ErrConstraint: // refused before writing
		return err
	default:
		return fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, err)
	}
}

// settle waits for changes whose callers have given up, and brings the look-ups
// up to the contacts as far as it can: searches are complete without. No change
// may come any more.
func (w *writer) settle() {
	w.index.stop() // it makes changes, too
	w.mu.Lock()
	for w.leading {
		w.idle.Wait()
	}
	w.mu.Unlock()
	_ = w.index.finish(w)
}

// close copies the -wal file into the main one and closes the connection. It
// must be the last call.
func (w *writer) close() error {
	if w.conn == nil {
		return nil
	}
	// Where others are reading, it copies what it can; one of them, or the
	// next to open the file, does the rest.
	_, err := queryValue(w.conn.db, "PRAGMA wal_checkpoint(TRUNCATE)")
	if isBusy(err) {
		err = nil
	}
	return errors.Join(err, w.conn.close())
}
