package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

// A group lets the jobs that wait at the same time share a transaction, and its
// round trips and its sync: group commit.
//
// There are a few lanes, each a transaction at a time. Whoever finds one free
// has its job taken at once, with all that waits. Nothing is ever held back for
// company: a lone job commits alone, and a crowd forms by itself while all
// lanes are busy.
type group[J any] struct {
	store  *Store
	lanes  int
	size   func(J) int
	commit func(ctx context.Context, first *pgxpool.Conn, jobs []J) error

	mu        sync.Mutex
	queue     []*member[J]                           // first come, first in
	busy      int                                    // lanes
	acquiring map[context.Context]context.CancelFunc // of the lanes that wait for a connection
	idle      sync.Cond                              // signals that busy has become 0
}

// A member is a job that waits for its transaction, or is in it.
type member[J any] struct {
	ctx  context.Context
	job  J
	size int // in contacts

	alone   bool // its transaction failed, and is made again without the others
	started bool // guarded by group.mu: it may be stored from now on
	crew    *crew
	done    chan struct{} // closed when err is there
	err     error
}

// A crew are the members of one transaction, which goes on as long as one of
// them waits for it.
type crew struct {
	waiting int // guarded by group.mu
	cancel  context.CancelFunc
}

// mostInGroup is where larger transactions gain little more, in contacts.
const mostInGroup = 1024

func newGroup[J any](s *Store, lanes int, size func(J) int, commit func(context.Context, *pgxpool.Conn, []J) error) *group[J] {
	g := &group[J]{store: s, lanes: lanes, size: size, commit: commit, acquiring: make(map[context.Context]context.CancelFunc)}
	g.idle.L = &g.mu
	return g
}

// do commits the job; when it returns nil, all of it is durable.
//
// When ctx is done before the transaction began, the job is dropped and do
// returns the context's error. When it is done later, do returns at once with
// ErrOutcomeUnknown beside it. After an error that does not match
// ErrOutcomeUnknown nothing is stored.
//
// The job may be run again after its transaction was undone, and may still run
// when its caller has given up: it must not touch what the caller may change.
func (g *group[J]) do(ctx context.Context, job J) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &member[J]{ctx: ctx, job: job, size: g.size(job), done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, m)
	if g.busy < g.lanes {
		g.busy++
		go g.run()
	}
	g.mu.Unlock()

	select {
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return g.abandon(m)
	}
}

// abandon takes back a job whose context is done, as far as that can be.
func (g *group[J]) abandon(m *member[J]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-m.done:
		return m.err
	default:
	}
	if m.started {
		if m.crew.waiting--; m.crew.waiting == 0 {
			m.crew.cancel()
		}
		return fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, m.ctx.Err())
	}
	g.queue = slices.DeleteFunc(g.queue, func(q *member[J]) bool { return q == m })
	if len(g.queue) == 0 {
		for _, cancel := range g.acquiring {
			cancel()
		}
	}
	return m.ctx.Err()
}

// run commits what waits until nothing does.
func (g *group[J]) run() {
	for {
		conn, err := g.acquire()
		if conn == nil && err == nil {
			if g.leave() {
				return
			}
			continue
		}
		crew, members, ctx := g.take()
		if members == nil {
			if conn != nil {
				conn.Release()
			}
			continue
		}
		if err == nil {
			err = g.commit(ctx, conn, column(members, func(m *member[J]) J { return m.job }))
		}
		if err != nil && len(members) > 1 && isOfOne(err) {
			g.putBack(members) // a failure is nobody else's
		} else {
			g.finish(members, err)
		}
		crew.cancel()
	}
}

// leave frees the lane, unless somebody has come.
func (g *group[J]) leave() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) > 0 {
		return false
	}
	if g.busy--; g.busy == 0 {
		g.idle.Broadcast()
	}
	return true
}

// acquire waits for a connection as long as anybody waits for a transaction. It
// returns nil if there is nobody.
func (g *group[J]) acquire() (*pgxpool.Conn, error) {
	for {
		ctx, cancel := context.WithCancel(context.Background())
		g.mu.Lock()
		if len(g.queue) == 0 {
			g.mu.Unlock()
			cancel()
			return nil, nil
		}
		g.acquiring[ctx] = cancel
		g.mu.Unlock()

		conn, err := g.store.pool.Acquire(ctx)

		g.mu.Lock()
		delete(g.acquiring, ctx)
		given := ctx.Err() != nil
		g.mu.Unlock()
		cancel()
		if err == nil || !given {
			return conn, err
		}
	}
}

// take takes the members of the next transaction off the queue: as many as fit,
// in their order. From here on they may be stored.
func (g *group[J]) take() (*crew, []*member[J], context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	var members []*member[J]
	for _, m := range g.queue {
		if len(members) > 0 && (m.alone || members[0].alone || size+m.size > mostInGroup) {
			break
		}
		n++
		if err := m.ctx.Err(); err != nil {
			m.end(err)
			continue
		}
		size += m.size
		members = append(members, m)
	}
	g.queue = slices.Delete(g.queue, 0, n)
	if len(members) == 0 {
		return nil, nil, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &crew{waiting: len(members), cancel: cancel}
	for _, m := range members {
		m.started, m.crew = true, c
	}
	return c, members, ctx
}

// finish tells the members how it went.
func (g *group[J]) finish(members []*member[J], err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range members {
		m.end(err)
	}
}

func (m *member[J]) end(err error) {
	m.err = err
	close(m.done)
}

// putBack puts jobs that were undone at the head of the queue, each to be made
// without the others. Those whose callers have gone are dropped.
func (g *group[J]) putBack(members []*member[J]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting := make([]*member[J], 0, len(members)+len(g.queue))
	for _, m := range members {
		if err := m.ctx.Err(); err != nil {
			m.end(err)
			continue
		}
		m.alone, m.started = true, false
		waiting = append(waiting, m)
	}
	g.queue = append(waiting, g.queue...)
}

// settle waits for jobs whose callers have given up. No job may come any more.
func (g *group[J]) settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.busy > 0 {
		g.idle.Wait()
	}
}
