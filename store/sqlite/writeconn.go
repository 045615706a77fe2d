//go:build cgo

package sqlite

import (
	"context"
	"errors"

	"github.com/mattn/go-sqlite3"
)

// A writeConn is a connection that writes, with all statements of the writes.
type writeConn struct {
	db *sqlite3.SQLiteConn

	begin, commit, rollback        statement
	savepoint, rollbackTo, release statement
	insertAccount, findAccount     statement
	insertTeam, lastTeam           statement
	insertKey, revokeKey           statement
	disableAccount, enableAccount  statement
	insertContact                  statement
	storedContact, updateContact   statement
	deletedOf, deletedOfAll        statement
	deleteContact                  statement
	insertLookup, insertLookups    statement
	deleteLookup, setLookup        statement
	findMark                       statement
	noteLookup, unnoteLookup       statement
	notedLookups, unnoteLookups    statement
	findIdempotency                statement
	insertIdempotency              statement
	pruneIdempotencies             statement
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
		"BEGIN IMMEDIATE":     &c.begin,
		"COMMIT":              &c.commit,
		"ROLLBACK":            &c.rollback,
		"SAVEPOINT batch":     &c.savepoint,
		"ROLLBACK TO batch":   &c.rollbackTo,
		"RELEASE batch":       &c.release,
		insertAccountSQL:      &c.insertAccount,
		findAccountSQL:        &c.findAccount,
		insertTeamSQL:         &c.insertTeam,
		lastTeamSQL:           &c.lastTeam,
		insertKeySQL:          &c.insertKey,
		revokeKeySQL:          &c.revokeKey,
		disableAccountSQL:     &c.disableAccount,
		enableAccountSQL:      &c.enableAccount,
		insertContactSQL:      &c.insertContact,
		storedContactSQL:      &c.storedContact,
		updateContactSQL:      &c.updateContact,
		deletedOfSQL:          &c.deletedOf,
		deletedOfAllSQL:       &c.deletedOfAll,
		deleteContactSQL:      &c.deleteContact,
		insertLookupSQL:       &c.insertLookup,
		insertLookupsSQL():    &c.insertLookups,
		deleteLookupSQL:       &c.deleteLookup,
		setLookupSQL:          &c.setLookup,
		findMarkSQL:           &c.findMark,
		noteLookupSQL:         &c.noteLookup,
		unnoteLookupSQL:       &c.unnoteLookup,
		notedLookupsSQL:       &c.notedLookups,
		unnoteLookupsSQL:      &c.unnoteLookups,
		findIdempotencySQL:    &c.findIdempotency,
		insertIdempotencySQL:  &c.insertIdempotency,
		pruneIdempotenciesSQL: &c.pruneIdempotencies,
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
