package postgres_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
	"example.com/contacts/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newHarness(t, serverURL(t), postgres.Options{}))
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, newHarness(b, serverURL(b), postgres.Options{}))
}

// newHarness returns a harness whose stores are in schemas of a pool. A store and
// a second one on its schema have no connection in common.
func newHarness(tb testing.TB, url string, opts postgres.Options) storetest.Harness {
	first, other, readOnly := newPool(tb, url), newPool(tb, url), newPool(tb, with(tb, url, "default_transaction_read_only", "on"))
	schemas := &schemaPool{opts: opts, conns: first}
	var names sync.Map // of the schemas, by store
	open := func(t testing.TB, conns *pgxpool.Pool, schema string) contacts.Store {
		opts := opts
		opts.Schema, opts.RowSecurity = schema, false // a store finds the policies by itself
		s, err := postgres.New(context.Background(), conns, &opts)
		if err != nil {
			t.Fatal(err)
		}
		names.Store(s, schema)
		return s
	}
	beside := func(t testing.TB, s contacts.Store, conns *pgxpool.Pool) contacts.Store {
		schema, _ := names.Load(s)
		return open(t, conns, schema.(string))
	}
	second := func(t testing.TB, s contacts.Store) contacts.Store { return beside(t, s, other) }
	return storetest.Harness{
		New: func(t testing.TB) contacts.Store { return open(t, first, schemas.take(t)) },
		Reopen: func(t testing.TB, s contacts.Store) contacts.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return second(t, s)
		},
		Second:   second,
		ReadOnly: func(t testing.TB, s contacts.Store) contacts.Store { return beside(t, s, readOnly) },
	}
}

// newPool returns the connections of a host: a few for go test ./..., since each of them
// prepares the statements of every schema.
func newPool(tb testing.TB, url string) *pgxpool.Pool {
	tb.Helper()
	pool, err := pgxpool.New(context.Background(), with(tb, url, "pool_max_conns", strconv.Itoa(extent(3, 6))))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// A schemaPool lends schemas with empty tables. To empty the tables takes a
// fraction of the time that it takes to make them.
type schemaPool struct {
	opts  postgres.Options
	conns *pgxpool.Pool

	mu   sync.Mutex
	free []string
}

// take returns a schema, which goes back when the test has ended.
func (p *schemaPool) take(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		p.free = append(p.free, p.make(t))
		n = 1
	}
	schema := p.free[n-1]
	p.free = p.free[:n-1]
	t.Cleanup(func() {
		p.empty(t, schema)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free = append(p.free, schema)
	})
	return schema
}

func (p *schemaPool) make(t testing.TB) string {
	t.Helper()
	opts := p.opts
	opts.Schema = schemaName()
	s, err := postgres.New(context.Background(), p.conns, &opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return opts.Schema
}

// empty removes all rows of a schema, with policies or without. Triggers refuse that. A
// superuser does not have them run. Who owns the tables turns them off, which is slow:
// every connection plans its statements again.
func (p *schemaPool) empty(t testing.TB, schema string) {
	t.Helper()
	sql := `BEGIN; SELECT set_config('contacts.all', 'on', true), set_config('citus.multi_shard_modify_mode', 'sequential', true);
		SELECT set_config('session_replication_role', 'replica', true) WHERE current_setting('is_superuser') = 'on';`
	triggers := func(change string) string { // on Citus there are none
		return strings.NewReplacer("{journal}", pgx.Identifier{schema, "journal"}.Sanitize(), "{change}", change).Replace(
			`DO $$ BEGIN IF current_setting('is_superuser') = 'off' AND EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = '{journal}'::regclass AND NOT tgisinternal) THEN
				ALTER TABLE {journal} {change} TRIGGER USER; END IF; END $$;`)
	}
	sql += triggers("DISABLE")
	for _, table := range []string{"journal", "idempotency", "contact_lookup", "contact", "account_state", "setting", "api_key", "team", "account"} {
		sql += "DELETE FROM " + pgx.Identifier{schema, table}.Sanitize() + ";"
	}
	sql += triggers("ENABLE")
	for {
		_, err := p.conns.Exec(context.Background(), sql+"COMMIT", pgx.QueryExecModeSimpleProtocol)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "40P01" {
			continue // a deadlock with a transaction whose caller has given up, which the server is still undoing
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}
