//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"

	"example.com/contacts"
	"example.com/contacts/store/internal/groupcommit"
)

// Every read and every write of a contact in an account with a do-not-call ledger
// looks up a few subjects. After each commit a connection has to read its pages
// again. So look-ups that come at the same time share a connection and one state of
// the file, which began after each of them came.

// A fewRead is a run of listFewSubjectsSQL, or of the same for one subject.
type fewRead struct {
	query query
	args  []driver.Value
	rows  [][]driver.Value
}

func newFewReads(r *readers) *groupcommit.Queue[*fewRead] {
	const atOnce = 256
	return groupcommit.New(groupcommit.Config[*fewRead]{
		Lanes: max(1, min(runtime.GOMAXPROCS(0), cap(r.idle))/2), // more make smaller groups
		Max:   atOnce,
		Begin: func(ctx context.Context) (groupcommit.Tx[*fewRead], error) {
			c, err := r.take(ctx)
			return fewFlight{r, c}, err
		},
	})
}

// A fewFlight is the connection of reads that share it.
type fewFlight struct {
	readers *readers
	conn    *conn
}

// Commit implements [groupcommit.Tx].
func (f fewFlight) Commit(ctx context.Context, all []*fewRead, _ bool) error {
	read := func(c *conn) error {
		for _, r := range all {
			var err error
			if r.rows, err = c.rows(context.Background(), r.query, r.args...); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 1 {
		defer f.Discard()
		return retry(ctx, func() error { return read(f.conn) })
	}
	if err := f.readers.snapshotOn(ctx, f.conn, read); err != nil {
		return fmt.Errorf("%w: %w", groupcommit.ErrSolo, err)
	}
	return nil
}

// Discard implements [groupcommit.Tx].
func (f fewFlight) Discard() { f.readers.idle <- f.conn }

// listFew answers a query that isFew. A caller that is alone waits for nobody.
func (s *Store) listFew(ctx context.Context, q query, args []driver.Value) ([][]driver.Value, error) {
	defer s.fewReaders.Add(-1)
	if s.fewReaders.Add(1) == 1 {
		return s.readers.rows(ctx, q, args...)
	}
	r := &fewRead{query: q, args: args}
	err := s.fewReads.Do(ctx, r)
	if errors.Is(err, contacts.ErrOutcomeUnknown) {
		return nil, ctx.Err() // it would have changed nothing
	}
	return r.rows, err
}
