//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/internal/groupcommit"
	"example.com/contacts/store/internal/meter"
	"example.com/contacts/store/internal/migration"
)

// A writer owns the one connection that changes the file. Jobs that wait at the
// same time share a transaction and its sync to the disk.
type writer struct {
	connector         *connector
	steps             []migration.Step
	maxPerTransaction int // rows; a single job may have more

	keepHashes int // of idempotency records in memory, before they move to the table

	queue    *groupcommit.Queue[job]
	index    *indexer
	unmerged *unmergedKeys

	place *place
	meter *meter.Meter

	// The flight under way alone touches what follows. conn is nil if the last
	// connection could not be made sound again, until the next flight.
	conn     *writeConn
	unmarked bool    // the next transaction is to mark the log
	salts    [8]byte // of the log that was marked last
}

// A job changes rows within a transaction. A statement of it that failed with a
// constraint has done nothing, and the job may go on after it. If run returns an
// error, nothing that it did stays.
//
// A job may be run again after its transaction was undone, and may still run when
// its caller has given up: it must not touch what the caller may change then.
type job struct {
	size     int // in rows
	contacts int // how many of them are contacts that are created or changed
	run      func(*writeConn) error

	batch  *application // whose mutations the job applies; nil: it has none
	caller meter.Caller
}

// defaultMaxPerTransaction is where larger transactions gain little more.
const defaultMaxPerTransaction = 1024

// A writeConn is the connection that changes the file.
type writeConn struct {
	conn
	unmerged *unmergedKeys
	pruneFor tally           // rows of this flight that end some day
	pruneAt  int64           // the earliest time of their batches
	prunedTo prunePosition   // how far pruneEntries has come
	args     []driver.Value  // of an update, to be used again
	created  int64           // contacts in the open transaction
	version  int64           // of the file, when keys and journals were read first
	keys     map[madeBy]bool // that were judged, and passed
	journals openJournals
	moved    []*openJournal // those of journals to which the open transaction has appended
	marked   int64          // how far the open transaction has moved the look-ups; 0: not at all

	pack pack // idempotency records of the open transaction that wait to be stored
}

func openWriter(ctx context.Context, c *connector, steps []migration.Step, maxPerTransaction int, unmerged *unmergedKeys, m *meter.Meter) (*writer, error) {
	w := &writer{connector: c, steps: steps, maxPerTransaction: maxPerTransaction, unmerged: unmerged, meter: m}
	w.queue = groupcommit.New(groupcommit.Config[job]{
		Max:   maxPerTransaction,
		Size:  func(j job) int { return j.size },
		Begin: w.begin,
	})
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// connect opens the connection. The file at the path must be the one that the
// store has open, if it has one.
func (w *writer) connect(ctx context.Context) error {
	for {
		if w.place != nil { // before SQLite touches another file
			if err := w.place.look(); err != nil {
				return err
			}
		}
		before, err := findFile(w.connector.path)
		if err != nil {
			return err
		}
		db, err := w.open(ctx)
		if err != nil {
			return err
		}
		// Opening a file for the first time may give it a new place on the disk.
		// Otherwise another process has just replaced it.
		if _, err := still(w.connector.path, before); err != nil && w.place == nil && ctx.Err() == nil {
			if err := db.Close(); err != nil {
				return err
			}
			continue
		}
		if w.place == nil {
			w.place, err = newPlace(w.connector.path, before)
		} else {
			err = w.place.look()
		}
		if err != nil {
			return errors.Join(err, db.Close())
		}
		w.conn = &writeConn{
			conn: conn{db: db}, unmerged: w.unmerged, prunedTo: firstPrunePosition,
			keys: make(map[madeBy]bool), journals: make(openJournals),
		}
		w.unmarked = true
		return nil
	}
}

func (w *writer) open(ctx context.Context) (*sqlite3.SQLiteConn, error) {
	db, err := w.connector.open(ctx)
	if err != nil {
		return nil, err
	}
	err = migrate(ctx, db, w.steps)
	if err == nil {
		err = retry(ctx, func() error { return writeAhead.apply(db) })
	}
	if err == nil { // which makes the -wal file
		err = retry(ctx, func() error { _, err := queryValue(db, findNumberSQL); return err })
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// do commits the job, with others. Its errors are those of [groupcommit.Queue.Do].
func (w *writer) do(ctx context.Context, j job) error { return w.queue.Do(ctx, j) }

// doSolo is do for a job that may fail halfway, or is of any size.
func (w *writer) doSolo(ctx context.Context, j job) error { return w.queue.DoSolo(ctx, j) }

// begin begins a flight. It waits for other processes until ctx ends.
func (w *writer) begin(ctx context.Context) (groupcommit.Tx[job], error) {
	err := w.tryBegin(ctx)
	if isBusy(err) {
		ended := w.meter.LockWait()
		err = retry(ctx, func() error { return w.tryBegin(ctx) })
		ended()
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (w *writer) tryBegin(ctx context.Context) error {
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	if err := w.place.lookBeforeWrite(); err != nil {
		return err
	}
	if err := w.conn.exec(beginWrite); err != nil {
		return err
	}
	w.conn.created, w.conn.marked = 0, 0
	w.conn.pack.clear()
	w.conn.hashes.changed = false
	err := w.unmerged.begin(&w.conn.conn)
	if err == nil {
		err = w.conn.forgetOld()
	}
	if err == nil && w.unmarked {
		err = w.mark()
	}
	if err != nil {
		w.undo()
	}
	return err
}

// maxKnown bounds the keys and journals that a connection remembers.
const maxKnown = 1000

// forgetOld forgets keys and journals if another connection has written since, and has
// the hashes read that came since. Then PRAGMA data_version has changed.
func (c *writeConn) forgetOld() error {
	version, err := c.number(dataVersion)
	if err == nil && (version != c.version || len(c.keys)+len(c.journals) > maxKnown) {
		c.forget()
		c.hashes.stale = true
		c.version = version
	}
	return err
}

// forget forgets keys and journals.
func (c *writeConn) forget() {
	clear(c.keys)
	c.forgetJournals()
}

// mark writes into the log, in the open transaction, which file it belongs to.
func (w *writer) mark() error {
	if err := w.conn.exec(raiseNumber); err != nil {
		return err // it may have ended the transaction, so nothing may follow
	}
	return w.conn.exec(writeHeader)
}

// Commit implements [groupcommit.Tx].
func (w *writer) Commit(_ context.Context, jobs []job, retry bool) error {
	t := w.measure(jobs, retry)
	more, err := w.run(jobs, !retry)
	t.End(resultOf(jobs, err))
	if err != nil && (len(jobs) > 1 || more || isBusy(err)) && !errors.Is(err, contacts.ErrOutcomeUnknown) {
		return groupcommit.ErrSolo
	}
	return err
}

// Discard implements [groupcommit.Tx].
func (w *writer) Discard() { w.undo() }

// run runs the jobs, merges a part of the look-ups and moves hashes too if it is asked
// to, and commits. It reports whether it did more than the jobs.
func (w *writer) run(jobs []job, merge bool) (more bool, err error) {
	n := 0
	for _, j := range jobs {
		n += j.contacts
	}
	if n > 0 {
		w.index.wrote()
	}
	w.conn.pruneFor, w.conn.pruneAt = tally{}, math.MaxInt64
	for _, j := range jobs {
		if err := j.run(w.conn); err != nil {
			w.undo()
			return false, err
		}
	}
	err = w.conn.flush()
	if err == nil {
		err = w.conn.prune()
	}
	if err != nil {
		w.undo()
		return false, err
	}
	merged := false
	if merge {
		if merged, err = w.index.merge(w.conn, n); err == nil && (w.conn.pruneFor.idempotencies > 0 || w.conn.hashes.count > w.keepHashes) {
			more, err = w.conn.moveHashes(w.keepHashes)
		}
		more = more || merged
		if err != nil {
			w.undo()
			return more, err
		}
	}
	if err := w.commit(); err != nil {
		return more, commitError(err)
	}
	if merged {
		w.index.committed()
	}
	return more, nil
}

// commit commits the transaction. It has done so as well if its error matches
// ErrMoved.
func (w *writer) commit() error {
	if err := w.conn.exec(commitWrite); err != nil {
		w.undo()
		return err
	}
	w.unmerged.commit()
	w.index.wroteContacts(w.conn)
	if err := w.place.look(); err != nil {
		return err
	}
	switch salts := w.place.salts(); {
	case w.unmarked:
		w.unmarked, w.salts = false, salts
	case salts != w.salts:
		w.markNewLog()
	}
	return nil
}

// markNewLog marks the log that the last transaction has begun, if nothing is in
// the way. Otherwise the next transaction does it.
func (w *writer) markNewLog() {
	w.unmarked = true
	if err := w.tryBegin(context.Background()); err != nil {
		return
	}
	if err := w.conn.exec(commitWrite); err != nil {
		w.undo()
		return
	}
	w.unmerged.commit()
	w.unmarked, w.salts = false, w.place.salts()
}

// undo undoes the transaction, and gives the connection up if that fails: what
// the next one finds must not depend on the state that this one left it in.
func (w *writer) undo() {
	w.unmerged.undo()
	w.conn.forgetHashes()
	w.conn.forget()
	if w.conn.db.AutoCommit() { // SQLite has rolled back by itself
		return
	}
	if err := w.conn.exec(rollback); err != nil {
		_ = w.conn.close() // it has failed already
		w.conn = nil
	}
}

// commitError says what a failed COMMIT means. SQLite has taken the transaction
// back: no reader sees it, and the next one overwrites it in the -wal file. But
// if it failed after the last byte was written there, when syncing it, a crash
// before the next transaction can bring it back.
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

// drain waits for jobs whose callers have given up, and brings the look-ups up to
// the contacts as far as it can: searches are complete without. No job may come
// any more.
func (w *writer) drain() {
	w.index.stop() // it has jobs, too
	w.queue.Drain()
	_ = w.index.finish(w)
}

// close copies the -wal file into the main one and closes the connection. It
// must be the last call.
func (w *writer) close() error {
	moved := w.place.look()
	err := w.place.close()
	if w.conn == nil {
		return err
	}
	// While others are reading, and on a full disk, it copies what it can; one of
	// them, or the next to open the file, does the rest. Into another file at the
	// path nothing is copied, nor out of another log.
	if moved == nil {
		_, e := queryValue(w.conn.db, "PRAGMA wal_checkpoint(TRUNCATE)")
		if !isBusy(e) && !errors.Is(classify(e), ErrDiskFull) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, w.conn.close())
}
