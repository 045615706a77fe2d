// Package postgres keeps contacts in a PostgreSQL database. It is the store for
// a fleet of servers: any number of processes share one database, and a contact
// whose create has returned is as durable as the server makes a commit.
//
// Creates and changes that wait at the same time share a transaction: many
// callers are cheaper than few, and a lone one waits for nobody.
//
// # Rights
//
// All tables are in one schema, that of [Options]. The role that opens the store
// first makes them, for which it needs CREATE on the database, or on the schema
// where that exists. A role that only runs the store needs less, and Open is
// content with it once the tables are up to date:
//
//	GRANT USAGE ON SCHEMA contacts TO app;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA contacts TO app;
//
// With [Options.SkipMigrations] it never tries to make any. On a standby, or
// where transactions are read-only, reads work and writes fail with
// [ErrReadOnly].
//
// With [Options.RowSecurity] people who look into the tables, with psql say,
// have to name the accounts that they want to see, in a transaction:
//
//	SELECT set_config('contacts.accounts', '01960000-0000-7000-8000-000000000001', true);
//	SELECT set_config('contacts.all', 'on', true); -- or all of them
//
// # Other engines
//
// The statements are plain: no sequences, no extensions, no triggers, no
// advisory locks but for migrations, where the engine has them. Every key of the
// tables that grow begins with account_id, so that an account is in one place.
//
// On Citus, run this once after the first Open; the directory becomes reference
// tables, of which every node has a copy, since a key is found before anybody
// knows its account:
//
//	SET search_path = contacts;
//	SELECT create_reference_table('account');
//	SELECT create_reference_table('team');
//	SELECT create_reference_table('api_key');
//	SELECT create_distributed_table('contact', 'account_id');
//	SELECT create_distributed_table('contact_lookup', 'account_id', colocate_with => 'contact');
//	SELECT create_distributed_table('idempotency', 'account_id', colocate_with => 'contact');
//
// CockroachDB and YugabyteDB end transactions with serialization failures where
// PostgreSQL waits; the store makes those again until the caller's context is
// done. An ambiguous commit is [contacts.ErrOutcomeUnknown] on all of them.
//
// The package's tests run on PostgreSQL alone. What it relies on elsewhere is
// that the engine has these statements, so run package storetest on yours.
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
	"example.com/contacts/store/internal/migration"
)

var _ contacts.Store = (*Store)(nil)

// Options are the choices that [Open] and [New] leave to the host. The zero
// value, and nil, are the defaults.
type Options struct {
	// Schema is the schema that holds the tables. "": contacts.
	Schema string

	// SkipMigrations leaves the tables alone: where they are not up to date,
	// Open and New fail with ErrOlderSchema.
	SkipMigrations bool

	// RowSecurity makes policies on the tables, where there are none: the store
	// then tells the server with each transaction which accounts it is about,
	// and the server hides the rows of all others, a second wall between them.
	// Once the tables have policies every store uses them, with or without the
	// option; one that was open before has to be opened anew. They bind the
	// owner of the tables as well, and no superuser. PostgreSQL alone has been
	// tried. See the package's comment.
	RowSecurity bool

	// MaxConns is how many connections Open's pool has at most. 0: what the
	// URL says in pool_max_conns, or 16. New takes the pool as it is.
	MaxConns int

	// Writers is how many transactions of creates, and how many of changes,
	// run at once. More help where a round trip to the server takes long;
	// fewer make larger groups. 0: 2.
	Writers int
}

// A Store is a [contacts.Store] in a PostgreSQL database. [Open] and [New] make
// it; the zero value is of no use. All methods may be called from many
// goroutines at once.
//
// When the server goes away, calls fail until it is back; the store need not be
// opened anew. Beyond the contract, an error of its methods matches
// [ErrReadOnly], [ErrDiskFull] or [ErrPermission] where that is the reason.
type Store struct {
	pool    *pgxpool.Pool
	ownPool bool
	schema  string
	quoted  string
	secured bool // the tables have policies

	statements statements
	writes     *groupcommit.Queue[*write]
	searches   *groupcommit.Queue[*search]
	accounts   accountCache
	gate       gate.Gate
}

// The defaults of Options.
const (
	defaultSchema   = "contacts"
	defaultMaxConns = 16
	defaultWriters  = 2
	defaultReaders  = 2 // of keys
)

// Open opens the contacts in the database at url, which is a postgres:// URL or
// a list of key=value settings, and makes the tables where there are none, or
// brings older ones up to date. The context bounds the opening alone.
//
// Its errors match [ErrForeign], [ErrNewerSchema], [ErrOlderSchema],
// [ErrEncoding] or [ErrPermission] where that is the reason. None holds the
// URL's password.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if opts.MaxConns < 0 {
		return nil, fmt.Errorf("postgres: open: Options.MaxConns is %d: set how many connections there may be, or 0 for the default", opts.MaxConns)
	}
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		// What the parser says may hold a part of the password.
		return nil, errors.New("postgres: open: the URL cannot be read: it has the form postgres://user:password@host:5432/database?sslmode=verify-full, with reserved characters percent-encoded")
	}
	switch {
	case opts.MaxConns > 0:
		c.MaxConns = int32(min(opts.MaxConns, 1<<20))
	case !strings.Contains(url, "pool_max_conns"):
		c.MaxConns = defaultMaxConns
	}
	settings := c.ConnConfig.RuntimeParams
	settings["client_encoding"] = "UTF8"
	if settings["application_name"] == "" {
		settings["application_name"] = "contacts"
	}
	c.AfterConnect = prepareConn
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", classify(ctx, err))
	}
	s, err := newStore(ctx, pool, opts, migration.Steps(schema, "schema"))
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("postgres: open: %w", classify(ctx, err))
	}
	s.ownPool = true
	return s, nil
}

// New is [Open] for a host that has a pool already, which stays the host's to
// close, after the store. Its connections need client_encoding UTF8, and
// synchronous_commit must not be off: ErrNotDurable.
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
	s := &Store{pool: pool, schema: name, quoted: pgx.Identifier{name}.Sanitize()}
	s.statements = newStatements(s.sql)
	s.writes = newQueue(pool, writers, (*write).size, s.commitWrites)
	s.searches = newQueue(pool, defaultReaders, nil, s.findAll)
	if err := s.checkServer(ctx); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, steps, opts.SkipMigrations); err != nil {
		return nil, err
	}
	return s, s.secure(ctx, opts.RowSecurity, opts.SkipMigrations)
}

// sql puts the schema into a statement.
func (s *Store) sql(statement string) string {
	return strings.ReplaceAll(statement, "{schema}", s.quoted)
}

const (
	encodingSQL = `SELECT coalesce(current_setting('server_encoding', true), 'UTF8'), coalesce(current_setting('synchronous_commit', true), 'on')`
	prepareSQL  = `SELECT
		CASE WHEN current_setting('synchronous_commit', true) = 'off' THEN set_config('synchronous_commit', 'on', false) END,
		CASE WHEN current_setting('plan_cache_mode', true) = 'auto' THEN set_config('plan_cache_mode', 'force_generic_plan', false) END`
)

// prepareConn makes a commit of the connection outlive a crash of the server,
// whatever its default is. And it has the server plan a statement once: no
// argument changes what the best plan is, and planning takes longer than what is
// planned.
func prepareConn(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, prepareSQL)
	return err
}

// checkServer returns an error if the store cannot keep its promises.
func (s *Store) checkServer(ctx context.Context) error {
	var encoding, commit string
	if err := s.pool.QueryRow(ctx, encodingSQL).Scan(&encoding, &commit); err != nil {
		return err
	}
	switch {
	case !strings.EqualFold(encoding, "UTF8"):
		return ErrEncoding
	case commit == "off":
		return ErrNotDurable
	}
	return nil
}

// Close waits for the calls that were accepted, and for transactions whose
// callers have given up. It closes the connections that Open made.
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
