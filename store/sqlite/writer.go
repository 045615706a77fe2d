//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A writer owns the one connection that changes the file, and decides which
// changes share a transaction. So far each has its own.
type writer struct {
	connector  *connector
	migrations []migration
	turn       chan struct{} // holds one token while somebody has the connection

	// The holder of the turn alone touches conn. It is nil where the last
	// one could not be made sound again, until the next change.
	conn *writeConn
}

func openWriter(ctx context.Context, c *connector, steps []migration) (*writer, error) {
	w := &writer{connector: c, migrations: steps, turn: make(chan struct{}, 1)}
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

// do makes a change: it runs job in a transaction, and when it returns nil, all
// that the job did is durable. If job returns an error, all is undone, and do
// returns that error. A statement that failed with a constraint has done
// nothing, and a job may carry on after it.
//
// A job may be run again, from the start, after its transaction was undone. It
// must not touch what its caller may change once do has returned.
//
// Until the transaction is about to be committed, do returns early when ctx is
// done; from then on it waits for the answer. An error that matches
// ErrOutcomeUnknown says that the answer was not one; after any other error
// nothing is stored.
func (w *writer) do(ctx context.Context, job func(context.Context, *writeConn) error) error {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return retry(ctx, func() error { return w.attempt(ctx, job) })
}

func (w *writer) attempt(ctx context.Context, job func(context.Context, *writeConn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	if err := w.conn.begin.exec(); err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			w.undo()
		}
	}()
	if err := job(ctx, w.conn); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.conn.commit.exec(); err != nil {
		return commitError(err)
	}
	committed = true
	return nil
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

// A writeConn is a connection that writes, with all statements of the writes.
type writeConn struct {
	db *sqlite3.SQLiteConn

	begin, commit, rollback       statement
	insertAccount, findAccount    statement
	insertTeam, lastTeam          statement
	insertKey, revokeKey          statement
	disableAccount, enableAccount statement
	insertContact                 statement
}

func newWriteConn(ctx context.Context, db *sqlite3.SQLiteConn, steps []migration) (*writeConn, error) {
	if err := migrate(ctx, db, steps); err != nil {
		return nil, err
	}
	if err := retry(ctx, func() error { return writeAhead.apply(db) }); err != nil {
		return nil, err
	}
	c := &writeConn{db: db}
	for sql, s := range c.statements() {
		// Preparing may read the schema, for which another process may be in
		// the way.
		err := retry(ctx, func() error {
			prepared, err := db.Prepare(sql)
			if err == nil {
				s.SQLiteStmt = prepared.(*sqlite3.SQLiteStmt)
			}
			return err
		})
		if err != nil {
			return nil, errors.Join(err, c.closeStatements())
		}
	}
	return c, nil
}

func (c *writeConn) statements() map[string]*statement {
	return map[string]*statement{
		"BEGIN IMMEDIATE": &c.begin,
		"COMMIT":          &c.commit,
		"ROLLBACK":        &c.rollback,
		insertAccountSQL:  &c.insertAccount,
		findAccountSQL:    &c.findAccount,
		insertTeamSQL:     &c.insertTeam,
		lastTeamSQL:       &c.lastTeam,
		insertKeySQL:      &c.insertKey,
		revokeKeySQL:      &c.revokeKey,
		disableAccountSQL: &c.disableAccount,
		enableAccountSQL:  &c.enableAccount,
		insertContactSQL:  &c.insertContact,
	}
}

func (c *writeConn) closeStatements() error {
	var errs []error
	for _, s := range c.statements() {
		if s.SQLiteStmt != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// close closes the statements first: SQLite keeps the file open while there is
// one.
func (c *writeConn) close() error { return errors.Join(c.closeStatements(), c.db.Close()) }

// A statement is prepared once and used by one goroutine at a time. It runs
// under no context: an interrupted one would end the whole transaction, which
// others may share, and each is short.
type statement struct{ *sqlite3.SQLiteStmt }

// exec runs the statement for what it does. It goes through Query, which takes
// one step over to C where Exec takes one for each argument.
func (s statement) exec(args ...driver.NamedValue) error {
	rows, err := s.QueryContext(context.Background(), args)
	if err != nil {
		return err
	}
	return rows.Close()
}

// row runs the statement for its first row, and reports whether there was one.
func (s statement) row(dest []driver.Value, args ...driver.NamedValue) (bool, error) {
	rows, err := s.QueryContext(context.Background(), args)
	if err != nil {
		return false, err
	}
	err = rows.Next(dest)
	if errors.Is(err, io.EOF) {
		return false, rows.Close()
	}
	return err == nil, errors.Join(err, rows.Close())
}

// arguments numbers the values for a statement.
func arguments(values ...driver.Value) []driver.NamedValue {
	args := make([]driver.NamedValue, len(values))
	for i, v := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return args
}
