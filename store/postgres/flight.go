package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/internal/groupcommit"
)

// newQueue returns a queue whose flights commit on a connection of the pool.
// Commit releases the connection. Where alone reports that an error may be that of one
// job, each is made again alone.
func newQueue[J any](pool *pgxpool.Pool, c groupcommit.Config[J], commit commitFunc[J], alone func(error) bool) *groupcommit.Queue[J] {
	c.Max = contacts.MaxMutations
	c.Begin = func(ctx context.Context) (groupcommit.Tx[J], error) {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		return &flight[J]{conn, commit, alone}, nil
	}
	return groupcommit.New(c)
}

// A commitFunc commits the jobs of a flight; see [groupcommit.Tx].
type commitFunc[J any] func(ctx context.Context, conn *pgxpool.Conn, jobs []J, retry bool) error

// A flight is what the jobs of a group share.
type flight[J any] struct {
	conn   *pgxpool.Conn
	commit commitFunc[J]
	alone  func(error) bool
}

// Commit implements [groupcommit.Tx].
func (f *flight[J]) Commit(ctx context.Context, jobs []J, retry bool) error {
	err := f.commit(ctx, f.conn, jobs, retry)
	if err != nil && len(jobs) > 1 && f.alone(err) {
		return fmt.Errorf("%w: %w", groupcommit.ErrSolo, err)
	}
	return err
}

// Discard implements [groupcommit.Tx].
func (f *flight[J]) Discard() { f.conn.Release() }
