package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

// A transaction sends its statements all at once, when something has to be read.
// BEGIN and its settings go with the first of them, and COMMIT with the last. So a
// transaction takes no more round trips than it has decisions.
type transaction struct {
	conn  *pgxpool.Conn
	batch pgx.Batch
	sent  bool // a part of it
	read  int  // statements of the batch whose results have come
}

const (
	beginSQL    = `BEGIN ISOLATION LEVEL READ COMMITTED`
	readOnlySQL = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
	commitSQL   = `COMMIT`
	rollbackSQL = `ROLLBACK`
)

// exec queues a statement without a result.
func (t *transaction) exec(sql string, args ...any) {
	t.batch.Queue(sql, args...).Exec(func(pgconn.CommandTag) error {
		t.read++
		return nil
	})
}

// count queues a statement and keeps how many rows it touched.
func (t *transaction) count(n *int64, sql string, args ...any) {
	t.batch.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		t.read++
		*n = tag.RowsAffected()
		return nil
	})
}

// query queues a statement whose rows each reads.
func (t *transaction) query(each func(pgx.Rows) error, sql string, args ...any) {
	t.batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		err := eachRow(rows, each)
		if err == nil {
			t.read++
		}
		return err
	})
}

// flush sends what is queued, and returns when all results have been read.
func (t *transaction) flush(ctx context.Context) error {
	if t.batch.Len() == 0 {
		return nil
	}
	t.sent, t.read = true, 0
	err := t.conn.SendBatch(ctx, &t.batch).Close()
	t.batch = pgx.Batch{}
	return err
}

// run sends what is queued, and then several statements in one text.
func (t *transaction) run(ctx context.Context, sql string) error {
	if err := t.flush(ctx); err != nil {
		return err
	}
	_, err := t.conn.Conn().PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// commit sends what is queued, and commits. If the error matches
// ErrOutcomeUnknown it may have.
func (t *transaction) commit(ctx context.Context) error {
	if !t.sent && !isAlive(t.conn.Conn().PgConn().Conn()) {
		// Of a transaction in one round trip nobody would know whether it was
		// stored.
		_ = t.conn.Conn().Close(ctx)
		return errGone
	}
	before, committed := t.batch.Len(), false
	t.batch.Queue(commitSQL).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != commitSQL {
			return pgx.ErrTxCommitRollback
		}
		committed = true
		return nil
	})
	err := t.flush(ctx)
	_, unsent := errors.AsType[pgx.ErrPreprocessingBatch](err) // the driver was still preparing statements
	switch {
	case committed || err == nil:
		return nil
	case unsent || errors.Is(err, pgx.ErrTxCommitRollback) || pgconn.SafeToRetry(err):
		return err
	case state(err) != "" && class(state(err)) != classConnection && t.read < before:
		return err // of a statement before it, so that the server has skipped it
	default:
		return commitError(err)
	}
}

// errGone: the server has closed the connection since it was last used.
var errGone = fmt.Errorf("the server has closed the connection: %w", net.ErrClosed)

// end releases the connection, and undoes the transaction if it is still there.
func (t *transaction) end() {
	const patience = 5 * time.Second // for a server that answers at all
	if c := t.conn.Conn(); !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, _ = c.Exec(ctx, rollbackSQL) // the pool closes it where that fails
		cancel()
	}
	t.conn.Release()
}

// begin returns a transaction on the connection, which it releases when it ends.
func begin(conn *pgxpool.Conn, sql string) *transaction {
	t := &transaction{conn: conn}
	t.exec(sql)
	if !isSet(conn.Conn()) {
		t.exec(settingsSQL)
	}
	return t
}

// transact runs the job in a transaction and commits it. It does so again from the
// start if the transaction lost against another, or if the connection was lost
// before the commit, until the context ends. After an error that does not match
// ErrOutcomeUnknown nothing is stored.
//
// It uses and releases the first connection; nil: one of the pool.
func (s *Store) transact(ctx context.Context, first *pgxpool.Conn, job func(context.Context, *transaction) error) error {
	lost := 0
	for try := 0; ; try++ {
		err := s.transactOnce(ctx, first, job)
		first = nil
		switch {
		case err == nil || errors.Is(err, contacts.ErrOutcomeUnknown):
			return err
		case isConflict(err) || isRace(err) && try < maxRaces:
			if e := wait(ctx, backoff(try)); e != nil {
				return fmt.Errorf("%w: %w", e, err)
			}
		case isLost(err) && ctx.Err() == nil && lost < s.maxLost():
			lost++
		default:
			return err
		}
	}
}

// maxRaces is how often a transaction may find that another has stored the same id
// or key since it looked. The second time it sees that.
const maxRaces = 10

// maxLost is how many connections in a row may turn out to be gone: all of the
// pool, after the server has restarted.
func (s *Store) maxLost() int { return int(s.pool.Config().MaxConns) }

func (s *Store) transactOnce(ctx context.Context, conn *pgxpool.Conn, job func(context.Context, *transaction) error) error {
	if conn == nil {
		var err error
		if conn, err = s.pool.Acquire(ctx); err != nil {
			return err
		}
	}
	t := begin(conn, beginSQL)
	defer t.end()
	if err := job(ctx, t); err != nil {
		return err
	}
	return t.commit(ctx)
}

// read runs a query that changes nothing. It runs it again if the connection turns
// out to be gone.
func (s *Store) read(ctx context.Context, query func() error) error {
	for lost := 0; ; lost++ {
		err := query()
		if err == nil || !isLost(err) || ctx.Err() != nil || lost >= s.maxLost() {
			return err
		}
	}
}

// readOnly runs the job in a transaction that writes nothing. All its statements
// see the same state.
func (s *Store) readOnly(ctx context.Context, job func(context.Context, *transaction) error) error {
	return s.read(ctx, func() error {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		t := begin(conn, readOnlySQL)
		defer t.end()
		return job(ctx, t)
	})
}
