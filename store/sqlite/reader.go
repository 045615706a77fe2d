//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A query is one of the reads.
type query int

const (
	noQuery query = iota
	findKey
	findTeam
	findContact
	listAccounts
	listTeams
	listKeys
	directoryVersion
	lookupState
	lookupRows
	lookupReach
	listLiving
	listDeleted
	listFound
	countLiving
	countDeleted
	countFound
	countAll
	endLiving
	endDeleted
	beginRead
	endRead
	queries // how many there are
)

func (q query) sql() string {
	return [queries]string{
		findKey:          findKeySQL,
		findTeam:         findTeamSQL,
		findContact:      findContactSQL,
		listAccounts:     listAccountsSQL,
		listTeams:        listTeamsSQL,
		listKeys:         listKeysSQL,
		directoryVersion: directoryVersionSQL,
		lookupState:      lookupStateSQL,
		lookupRows:       lookupRowsSQL,
		lookupReach:      lookupReachSQL,
		listLiving:       listLivingSQL,
		listDeleted:      listDeletedSQL,
		listFound:        listFoundSQL,
		countLiving:      countLivingSQL,
		countDeleted:     countDeletedSQL,
		countFound:       countFoundSQL,
		countAll:         countAllSQL,
		endLiving:        endLivingSQL,
		endDeleted:       endDeletedSQL,
		beginRead:        "BEGIN",
		endRead:          "COMMIT",
	}[q]
}

// readers are the connections that only read. One is opened when it is first
// needed; where all are in use, a read waits. Reads that may be long leave one
// of them to the short ones, which every call begins with.
type readers struct {
	connector *connector
	idle      chan *readConn // as many as there may be; nil stands for one that is not open
	long      chan struct{}  // has one for each snapshot, one less than there may be connections
}

func openReaders(ctx context.Context, c *connector, n int) (*readers, error) {
	n = max(n, 2)
	r := &readers{connector: c, idle: make(chan *readConn, n), long: make(chan struct{}, n-1)}
	first, err := r.connect(ctx) // what is wrong with the settings shows here
	if err != nil {
		return nil, err
	}
	for range n - 1 {
		r.idle <- nil
	}
	r.idle <- first
	return r, nil
}

func (r *readers) connect(ctx context.Context) (*readConn, error) {
	db, err := r.connector.open(ctx)
	if err != nil {
		return nil, err
	}
	return &readConn{db: db}, nil
}

// take takes a connection, which the caller gives back.
func (r *readers) take(ctx context.Context) (*readConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case c := <-r.idle:
		if c != nil {
			return c, nil
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := r.connect(ctx)
	if err != nil {
		r.idle <- nil
	}
	return c, err
}

// close closes all connections. It must be the last call.
func (r *readers) close() error {
	var errs []error
	for range cap(r.idle) {
		if c := <-r.idle; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}

// rows returns all rows of a read. Every read begins after all writes that have
// returned, in this process and in others, and sees them.
//
// The context bounds the waiting. A read that has begun is short, and runs to
// its end.
func (r *readers) rows(ctx context.Context, q query, args ...driver.Value) (all [][]driver.Value, err error) {
	c, err := r.take(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { r.idle <- c }()
	err = retry(ctx, func() error {
		all, err = c.rows(context.Background(), q, args)
		return err
	})
	return all, err
}

// row returns the one row of a read, or ErrNotFound.
func (r *readers) row(ctx context.Context, q query, args ...driver.Value) ([]driver.Value, error) {
	rows, err := r.rows(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, contacts.ErrNotFound
	}
	return rows[0], nil
}

// snapshot runs f with a connection that shows one state of the file, for reads
// that are more than one or may be long. f may be run again, from the start.
func (r *readers) snapshot(ctx context.Context, f func(*readConn) error) error {
	select {
	case r.long <- struct{}{}:
		defer func() { <-r.long }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := r.take(ctx)
	if err != nil {
		return err
	}
	err = retry(ctx, func() error { return c.snapshot(f) })
	if c.db.AutoCommit() {
		r.idle <- c
	} else { // it still shows the old state
		r.idle <- nil
		err = errors.Join(err, c.close())
	}
	return err
}

// A readConn is a connection that reads, with the statements that it has needed
// so far.
type readConn struct {
	db         *sqlite3.SQLiteConn
	statements [queries]statement
}

// rows returns all rows of a read, which ends when ctx is done.
func (c *readConn) rows(ctx context.Context, q query, args []driver.Value) ([][]driver.Value, error) {
	s := &c.statements[q]
	if s.SQLiteStmt == nil {
		prepared, err := c.db.Prepare(q.sql())
		if err != nil {
			return nil, err
		}
		s.SQLiteStmt = prepared.(*sqlite3.SQLiteStmt)
	}
	return s.rows(ctx, args)
}

func (c *readConn) snapshot(f func(*readConn) error) error {
	if _, err := c.rows(context.Background(), beginRead, nil); err != nil {
		return err
	}
	err := f(c)
	_, end := c.rows(context.Background(), endRead, nil)
	return errors.Join(err, end)
}

func (c *readConn) close() error {
	var errs []error
	for _, s := range &c.statements {
		if s.SQLiteStmt != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, c.db.Close())...)
}
