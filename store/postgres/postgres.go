// Package postgres keeps contacts in a PostgreSQL database. It is the store for a
// fleet of servers. Any number of processes share one database. A contact whose
// create has returned is as durable as the server makes a commit.
//
// Writes that wait at the same time share a transaction, so many callers cost
// less than few. A single caller waits for nobody. A plain create takes one round
// trip to the server, also with events. Every other write takes two. The Service needs
// one more for the API key, unless it is a CreateContact without an idempotency key
// whose API key it knows.
//
// # Rights
//
// All tables are in one schema, that of [Options]. The role that opens the store
// first makes them. It needs CREATE on the database, or on the schema if that
// exists. Once the tables are up to date, a role needs only this:
//
//	GRANT USAGE ON SCHEMA contacts TO app;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA contacts TO app;
//
// On the journal, which holds the do-not-call ledger, the store needs less: it appends,
// replaces the data of entries when a person is erased, and removes events that have
// ended. Let another role own the tables, give people SELECT alone, and narrow the
// rights of the store:
//
//	REVOKE UPDATE ON contacts.journal FROM app;
//	GRANT UPDATE (data) ON contacts.journal TO app;
//
// With [Options.SkipMigrations] the store never tries to make tables. On a
// standby, or where transactions are read-only, reads and dry runs work, and
// writes fail with [ErrReadOnly].
//
// With [Options.RowSecurity] people who look into the tables, for example with
// psql, name the accounts that they want to see, in a transaction:
//
//	SELECT set_config('contacts.accounts', '01960000-0000-7000-8000-000000000001', true);
//	SELECT set_config('contacts.all', 'on', true); -- or all of them
//
// # Poolers
//
// PgBouncer with transaction pooling works with the plain URL. The tests run with
// version 1.18. [Open] notices that there is a pooler and prepares no statements,
// so that the server plans each of them again. Version 1.21 and later can keep
// prepared statements. If yours does, add default_query_exec_mode=cache_statement
// to the URL. A pool for [New] needs default_query_exec_mode=cache_describe in its
// URL.
//
// The store changes no setting for longer than a transaction, except on connections
// that Open makes directly to the server. What the role, the database or the pool
// has set for synchronous_commit, search_path and bytea_output has no effect on its
// statements.
//
// # Other engines
//
// On another engine than PostgreSQL run package storetest first.
//
// The statements use no sequences and no extensions. Only migrations use an advisory
// lock, if the engine has them. Every key of the tables that grow begins with
// account_id, so that an account is in one place. Triggers in PL/pgSQL refuse to
// delete or rewrite what is no event in the journal. No statement depends on them.
//
// Transactions that fail to serialize are made again until the caller's context
// is done. An ambiguous commit is [contacts.ErrOutcomeUnknown].
//
// # Citus
//
// Open notices Citus, if it is called at the coordinator, and spreads its tables:
// accounts and keys to every server, everything else by account. Tables that were
// there before Citus was are spread with their rows. Until that is done they are
// locked, and the rows are copied. Package storetest passes on Citus; see
// docs/scaling.md for what was run.
//
// Writes that wait at the same time share a transaction if they are about one
// account, so [Options.Writers] counts for more. A batch about several accounts is
// one transaction, which Citus commits in two phases.
//
// [Options.RowSecurity] does not work there. There are no triggers: rights alone
// guard the journal. plan_cache_mode must not be force_generic_plan, and
// synchronous_commit must be on at the workers. The store checks neither.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/internal/gate"
	"example.com/contacts/store/internal/groupcommit"
	"example.com/contacts/store/internal/meter"
	"example.com/contacts/store/internal/migration"
)

var _ contacts.KeyJudge = (*Store)(nil)

// Options are the choices that [Open] and [New] leave to the host. The zero
// value, and nil, are the defaults.
type Options struct {
	// Schema is the schema that holds the tables. "": contacts.
	Schema string

	// SkipMigrations leaves the tables alone. If they are not up to date, Open
	// and New fail with ErrOlderSchema.
	SkipMigrations bool

	// RowSecurity makes policies on the tables, if there are none. In each
	// transaction the store then tells the server which accounts it is about, and
	// the server hides the rows of all others. It is a second wall between
	// accounts. Once the tables have policies, every store that is opened uses
	// them, also without the option. Open older stores again. The policies bind
	// the owner of the tables too, but no superuser. See the package's comment.
	RowSecurity bool

	// MaxConns is how many connections Open's pool has at most. 0: pool_max_conns
	// of the URL, or 16. New takes the pool as it is.
	MaxConns int

	// Writers is how many transactions of writes run at once. More help where a
	// round trip to the server takes long. Fewer make larger groups. Batches that
	// are all or nothing do not count. 0: 2.
	Writers int

	// Observer sees each transaction that writes contacts. Writes wait for it: an
	// Observer that blocks, blocks them. Reads are not observed; for those set a
	// tracer in the configuration of a pool, and call New. nil: nobody is told.
	Observer contacts.StoreObserver
}

// A Store is a [contacts.Store] in a PostgreSQL database. [Open] and [New] make
// it; the zero value is of no use. It is safe for concurrent use.
//
// When the server goes away, calls fail until it is back. The store need not be
// opened again. Beyond the contract, an error of its methods matches
// [ErrReadOnly], [ErrDiskFull], [ErrPermission] or [ErrCorrupt] if that is the
// reason.
type Store struct {
	pool    *pgxpool.Pool
	ownPool bool
	schema  string
	quoted  string
	wary    bool // queries need settings too
	secured bool // the tables have policies
	citus   bool // Citus spreads the tables

	statements statements
	writes     *groupcommit.Queue[*write]
	searches   *groupcommit.Queue[*search]
	accounts   accountCache

	prunedOnce, prunedEntries rests

	gate  gate.Gate
	meter *meter.Meter
}

// The defaults of Options.
const (
	defaultSchema   = "contacts"
	defaultMaxConns = 16
	defaultWriters  = 2
	defaultReaders  = 2 // how many queries for keys and accounts run at once
)

// Open opens the contacts in the database at url, which is a postgres:// URL or
// a list of key=value settings. It makes the tables if there are none, and brings
// older ones up to date. The context bounds the opening alone.
//
// Its errors match [ErrForeign], [ErrNewerSchema], [ErrOlderSchema], [ErrCorrupt],
// [ErrEncoding], [ErrNotDurable] or [ErrPermission] if that is the reason. None holds
// the URL's password.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if opts.MaxConns < 0 {
		return nil, fmt.Errorf("postgres: open: Options.MaxConns is %d: set how many connections there may be, or 0 for the default", opts.MaxConns)
	}
	c, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	switch {
	case opts.MaxConns > 0:
		c.MaxConns = int32(min(opts.MaxConns, 1<<20))
	case !strings.Contains(url, "pool_max_conns"):
		c.MaxConns = defaultMaxConns
	}
	c.AfterConnect = setForSession
	s, err := open(ctx, c, opts)
	if errors.Is(err, errPooler) {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		s, err = open(ctx, c, opts)
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", classify(ctx, err))
	}
	return s, nil
}

// parseURL returns what a URL says of connections, with the settings that they need.
func parseURL(url string) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		// What the parser says may hold a part of the password.
		return nil, errors.New("the URL cannot be read: it has the form postgres://user:password@host:5432/database?sslmode=verify-full, with reserved characters percent-encoded")
	}
	settings := c.ConnConfig.RuntimeParams
	settings["client_encoding"] = "UTF8"
	if settings["application_name"] == "" {
		settings["application_name"] = "contacts"
	}
	return c, nil
}

// open opens a store with a pool of its own.
func open(ctx context.Context, c *pgxpool.Config, opts *Options) (*Store, error) {
	pool, err := pgxpool.NewWithConfig(ctx, c.Copy())
	if err != nil {
		return nil, err
	}
	s, err := newStore(ctx, pool, opts, migration.Steps(schema, "schema"))
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.ownPool = true
	return s, nil
}

// New is [Open] for a host that has a pool. The host closes the pool after the
// store. Its connections need client_encoding UTF8. If a pooler is between them and
// the server, New fails when the pool prepares statements. The error names the
// setting.
func New(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if pool == nil {
		return nil, errors.New("postgres: new: the pool is nil: make one with pgxpool.New, or use Open")
	}
	s, err := newStore(ctx, pool, opts, migration.Steps(schema, "schema"))
	if err != nil {
		return nil, fmt.Errorf("postgres: new: %w", classify(ctx, err))
	}
	return s, nil
}

func newStore(ctx context.Context, pool *pgxpool.Pool, opts *Options, steps []migration.Step) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, writers := opts.Schema, opts.Writers
	if name == "" {
		name = defaultSchema
	}
	switch {
	case writers < 0:
		return nil, fmt.Errorf("Options.Writers is %d: set how many transactions may run at once, or 0 for the default", writers)
	case len(name) > 63 || strings.ContainsRune(name, 0):
		return nil, errors.New("Options.Schema must be a name of at most 63 bytes")
	case writers == 0:
		writers = defaultWriters
	}
	s := &Store{pool: pool, schema: name, quoted: pgx.Identifier{name}.Sanitize(), meter: meter.New("postgresql", opts.Observer)}
	if err := s.checkEnvironment(ctx); err != nil {
		return nil, err
	}
	s.statements = newStatements(s.spread)
	s.writes = newQueue(pool, groupcommit.Config[*write]{Lanes: writers, Size: (*write).size, Alike: s.alike(), Locks: (*write).locks}, s.commitWrites, isOfOneWrite)
	s.searches = newQueue(pool, groupcommit.Config[*search]{Lanes: defaultReaders}, s.findAll, isOfOneSearch)
	if err := s.migrate(ctx, steps, opts.SkipMigrations); err != nil {
		return nil, err
	}
	if err := s.secure(ctx, opts.RowSecurity, opts.SkipMigrations); err != nil {
		return nil, err
	}
	return s, s.distribute(ctx, opts.SkipMigrations)
}

// sql puts the schema into a statement.
func (s *Store) sql(statement string) string {
	return strings.ReplaceAll(statement, "{schema}", s.quoted)
}

// Close waits for the calls that were accepted and for transactions whose callers
// have given up. It closes the connections that Open made.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.writes.Drain()
		s.searches.Drain()
		if s.ownPool {
			s.pool.Close()
		}
		return nil
	})
}
