//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/mattn/go-sqlite3"
)

// A writeConn is a connection that writes, with all statements of the writes.
type writeConn struct {
	db *sqlite3.SQLiteConn

	begin, commit, rollback       statement
	insertAccount, findAccount    statement
	insertTeam, lastTeam          statement
	insertKey, revokeKey          statement
	disableAccount, enableAccount statement
	insertContact                 statement
	insertLookup, insertLookups   statement
	setLookup                     statement
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
		"BEGIN IMMEDIATE":  &c.begin,
		"COMMIT":           &c.commit,
		"ROLLBACK":         &c.rollback,
		insertAccountSQL:   &c.insertAccount,
		findAccountSQL:     &c.findAccount,
		insertTeamSQL:      &c.insertTeam,
		lastTeamSQL:        &c.lastTeam,
		insertKeySQL:       &c.insertKey,
		revokeKeySQL:       &c.revokeKey,
		disableAccountSQL:  &c.disableAccount,
		enableAccountSQL:   &c.enableAccount,
		insertContactSQL:   &c.insertContact,
		insertLookupSQL:    &c.insertLookup,
		insertLookupsSQL(): &c.insertLookups,
		setLookupSQL:       &c.setLookup,
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
type statement struct {
	*sqlite3.SQLiteStmt
	args []driver.NamedValue // of the last run, to be used again
}

// query runs the statement. It is not Exec even for what returns nothing: that
// takes a step over to C for each argument, and this takes one in all.
func (s *statement) query(values ...driver.Value) (driver.Rows, error) {
	s.args = s.args[:0]
	for i, v := range values {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return s.QueryContext(context.Background(), s.args)
}

// exec runs the statement for what it does.
func (s *statement) exec(values ...driver.Value) error {
	rows, err := s.query(values...)
	if err != nil {
		return err
	}
	return rows.Close()
}

// row runs the statement for its first row, and reports whether there was one.
func (s *statement) row(dest []driver.Value, values ...driver.Value) (bool, error) {
	rows, err := s.query(values...)
	if err != nil {
		return false, err
	}
	err = rows.Next(dest)
	if errors.Is(err, io.EOF) {
		return false, rows.Close()
	}
	return err == nil, errors.Join(err, rows.Close())
}
