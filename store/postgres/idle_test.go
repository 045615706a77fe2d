package postgres_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// waitForEnd returns when the server has ended the connections of that name.
func waitForEnd(t testing.TB, c *pgx.Conn, name string) {
	t.Helper()
	for began, left := time.Now(), 1; left > 0; time.Sleep(10 * time.Millisecond) {
		if err := c.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", name).Scan(&left); err != nil {
			t.Error(err)
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Error("the server does not end idle connections")
			return
		}
	}
}

// endIdle has the server end the connections of the pool, all of which are idle. A
// setting in the url would end those too that a busy machine leaves idle in a call.
func endIdle(t *testing.T, pool *pgxpool.Pool, c *pgx.Conn, name string) {
	t.Helper()
	for _, idle := range pool.AcquireAllIdle(t.Context()) {
		_, err := idle.Exec(t.Context(), "SET idle_session_timeout = 1")
		idle.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	waitForEnd(t, c, name)
}

// The server ends connections that are idle. The next call goes over another.
func TestIdleConnectionsThatTheServerEnds(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	base := serverURL(t)
	name := "test " + uuid.NewString()
	s, pool := openOnPool(t, with(t, base, "application_name", name), &postgres.Options{Schema: newSchema(t, base)}, func(*pgxpool.Config) {})
	c := connect(t, base)
	account := addAccount(t, s)
	r := newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	for what, call := range map[string]func() error{
		"FindContact": func() error {
			_, err := s.FindContact(t.Context(), account, r.Contact.ID)
			return err
		},
		"FindAccount": func() error {
			_, err := s.FindAccount(t.Context(), account)
			return err
		},
		"a create": func() error { return create(t.Context(), s, newContact(account)) },
		"a change": func() error {
			m, _ := change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
			return apply(t.Context(), s, m)
		},
		"AddToDirectory": func() error {
			_, err := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{{AccountID: account}}})
			return err
		},
	} {
		endIdle(t, pool, c, name)
		if err := call(); err != nil {
			t.Errorf("%s after the server has ended idle connections: %v", what, err)
		}
	}
}

// A pause is made once, between the two round trips of a transaction.
type pause struct {
	while func(context.Context, *pgx.Conn)
	made  atomic.Bool
}

func (p *pause) TraceBatchStart(ctx context.Context, c *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	begins := func(q *pgx.QueuedQuery) bool { return q.SQL[:min(5, len(q.SQL))] == "BEGIN" }
	commits := func(q *pgx.QueuedQuery) bool { return q.SQL == "COMMIT" }
	if all := data.Batch.QueuedQueries; slices.ContainsFunc(all, commits) && !slices.ContainsFunc(all, begins) && !p.made.Swap(true) {
		p.while(ctx, c)
	}
	return ctx
}

func (p *pause) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (p *pause) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (p *pause) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (p *pause) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// The server ends a transaction that is idle too long. Nothing of it is stored, so
// that it is made again.
func TestIdleTransactionIsMadeAgain(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	base := serverURL(t)
	name := "test " + uuid.NewString()
	c := connect(t, base)
	p := &pause{while: func(ctx context.Context, idle *pgx.Conn) {
		// Of this transaction alone: a busy machine is idle in others as well.
		if _, err := idle.PgConn().Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 1").ReadAll(); err != nil {
			t.Error(err)
		}
		waitForEnd(t, c, name)
	}}
	p.made.Store(true) // not while the store is opened
	url := with(t, with(t, base, "application_name", name), "pool_max_conns", "1")
	s, _ := openOnPool(t, url, &postgres.Options{Schema: newSchema(t, base)}, func(c *pgxpool.Config) { c.ConnConfig.Tracer = p })
	account := addAccount(t, s)
	r := newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	p.made.Store(false)
	m, changed := change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
	if err := apply(t.Context(), s, m); err != nil {
		t.Errorf("a change whose transaction was idle too long: %v", err)
	}
	if !p.made.Load() || !isWhole(t, s, changed) {
		t.Error("the change is not there, or was not interrupted")
	}
}
