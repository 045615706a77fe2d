//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"

	"example.com/contacts"
)

// readers are the connections that only read. One is opened only if no open
// one is idle, because each has a page cache of its own. A read waits while all are
// in use. Reads that may be long never take the last connection: it is for the short
// ones, which every call begins with.
type readers struct {
	connector *connector
	place     *place
	idle      chan *conn    // those that are open
	unopened  chan struct{} // has one for each that may be opened
	long      chan struct{} // has one for each snapshot, one less than there may be connections
}

func openReaders(ctx context.Context, c *connector, p *place, n int) (*readers, error) {
	n = max(n, 2)
	r := &readers{connector: c, place: p, idle: make(chan *conn, n), unopened: make(chan struct{}, n), long: make(chan struct{}, n-1)}
	first, err := r.connect(ctx) // what is wrong with the settings shows here
	if err != nil {
		return nil, err
	}
	for range n - 1 {
		r.unopened <- struct{}{}
	}
	r.idle <- first
	return r, nil
}

func (r *readers) connect(ctx context.Context) (*conn, error) {
	db, err := r.place.connect(ctx, r.connector)
	if err != nil {
		return nil, err
	}
	return &conn{db: db}, nil
}

// take takes a connection, which the caller gives back.
func (r *readers) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.place.lookBeforeRead(); err != nil {
		return nil, err
	}
	select {
	case c := <-r.idle:
		return c, nil
	default:
	}
	select {
	case c := <-r.idle:
		return c, nil
	case <-r.unopened:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := r.connect(ctx)
	if err != nil {
		r.unopened <- struct{}{}
	}
	return c, err
}

// close closes all connections. It must be the last call.
func (r *readers) close() error {
	var errs []error
	for range cap(r.idle) {
		select {
		case c := <-r.idle:
			errs = append(errs, c.close())
		case <-r.unopened:
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
		all, err = c.rows(context.Background(), q, args...)
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
func (r *readers) snapshot(ctx context.Context, f func(*conn) error) error {
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
	return r.snapshotOn(ctx, c, f)
}

// snapshotOn is snapshot on a connection that was taken, which it gives back.
func (r *readers) snapshotOn(ctx context.Context, c *conn, f func(*conn) error) error {
	err := retry(ctx, func() error { return c.snapshot(f) })
	if c.db.AutoCommit() {
		r.idle <- c
	} else { // it still shows the old state
		r.unopened <- struct{}{}
		err = errors.Join(err, c.close())
	}
	return err
}

func (c *conn) snapshot(f func(*conn) error) error {
	if err := c.exec(beginRead); err != nil {
		return err
	}
	return errors.Join(f(c), c.exec(endRead))
}
