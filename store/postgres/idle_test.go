package postgres_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
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

// openIdle opens a store whose idle connections the server ends. On a busy machine the
// one that opens it may be idle too long.
func openIdle(t testing.TB, url, schema string) *postgres.Store {
	t.Helper()
	for {
		s, err := postgres.Open(t.Context(), url, &postgres.Options{Schema: schema})
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "57P05" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
}

// The server ends connections that are idle. The next call goes over another.
func TestIdleConnectionsThatTheServerEnds(t *testing.T) {
	t.Parallel()
	base := serverURL(t)
	name := "test " + uuid.NewString()
	s := openIdle(t, with(t, with(t, base, "application_name", name), "idle_session_timeout", "100"), newSchema(t, base))
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
		waitForEnd(t, c, name)
		if err := call(); err != nil {
			t.Errorf("%s after the server has ended idle connections: %v", what, err)
		}
	}
}

// A pause is made once, between the two round trips of a transaction.
type pause struct {
	while func()
	made  atomic.Bool
}

func (p *pause) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	begins := func(q *pgx.QueuedQuery) bool { return q.SQL[:min(5, len(q.SQL))] == "BEGIN" }
	commits := func(q *pgx.QueuedQuery) bool { return q.SQL == "COMMIT" }
	if all := data.Batch.QueuedQueries; slices.ContainsFunc(all, commits) && !slices.ContainsFunc(all, begins) && !p.made.Swap(true) {
		p.while()
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
	base := serverURL(t)
	name := "test " + uuid.NewString()
	c := connect(t, base)
	p := &pause{while: func() { waitForEnd(t, c, name) }}
	p.made.Store(true) // not while the store is opened
	url := with(t, with(t, with(t, base, "application_name", name), "idle_in_transaction_session_timeout", "100"), "pool_max_conns", "1")
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
