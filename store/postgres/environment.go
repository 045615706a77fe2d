package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The store shares its server with whatever else has set something there: a role,
// a database, the host of a pool, the last user of a pooler's connection. So every
// transaction sets what it needs. The settings go with its first statement and end
// with it. Only a connection that nobody else uses keeps them: one of Open's own
// pool, directly to the server.

// settingsSQL keeps what others have named like a function or an operator out of
// the statements that follow, makes the commit outlive a crash of the server, and
// has the server write bytes in the form that the driver reads.
const settingsSQL = `SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
	CASE WHEN pg_catalog.current_setting('synchronous_commit', true) OPERATOR(pg_catalog.=) 'off' THEN pg_catalog.set_config('synchronous_commit', 'on', true) END,
	CASE WHEN pg_catalog.current_setting('bytea_output', true) OPERATOR(pg_catalog.=) 'escape' THEN pg_catalog.set_config('bytea_output', 'hex', true) END`

// sessionSettingsSQL sets the same for the whole session, if the process that answers has
// the number that the connection was told.
const sessionSettingsSQL = `SELECT pid, CASE WHEN pid OPERATOR(pg_catalog.=) $1 THEN pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false) END,
	CASE WHEN pid OPERATOR(pg_catalog.=) $1 AND pg_catalog.current_setting('synchronous_commit', true) OPERATOR(pg_catalog.=) 'off' THEN pg_catalog.set_config('synchronous_commit', 'on', false) END,
	CASE WHEN pid OPERATOR(pg_catalog.=) $1 AND pg_catalog.current_setting('bytea_output', true) OPERATOR(pg_catalog.=) 'escape' THEN pg_catalog.set_config('bytea_output', 'hex', false) END
	FROM (SELECT pg_catalog.pg_backend_pid()::pg_catalog.int8 AS pid) AS process`

// setForSession gives the settings to a connection for good that goes directly to the
// server, so that its transactions need not. A server tells each client the number
// of the process that serves it; a pooler tells another one.
func setForSession(ctx context.Context, conn *pgx.Conn) error {
	process, told := int64(0), int64(conn.PgConn().PID())
	if err := conn.QueryRow(ctx, sessionSettingsSQL, pgx.QueryExecModeExec, told).Scan(&process, nil, nil, nil); err != nil {
		return err
	}
	if process == told {
		conn.PgConn().CustomData()[setMark] = true
	}
	return nil
}

// setMark is the name of the mark on connections that setForSession has changed.
const setMark = "contacts: settings"

func isSet(conn *pgx.Conn) bool { return conn.PgConn().CustomData()[setMark] == true }

// environmentSQL returns what the server has, the process that answers, and
// whether Citus is there.
const environmentSQL = `SELECT coalesce(pg_catalog.current_setting('server_encoding', true), 'UTF8'),
	CASE WHEN pg_catalog.current_setting('synchronous_commit', true) OPERATOR(pg_catalog.=) 'off' THEN pg_catalog.set_config('synchronous_commit', 'on', true) ELSE 'on' END,
	coalesce((pg_catalog.current_schemas(true))[1], ''), coalesce(pg_catalog.current_setting('bytea_output', true), 'hex'),
	pg_catalog.pg_backend_pid(), EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'citus')`

// errPooler: the pool prepares statements on connections that are not its own.
var errPooler = errors.New("a pooler is between the pool and the server, and may not keep prepared statements: make the pool with default_query_exec_mode=cache_describe in its URL")

// checkEnvironment returns an error if the store cannot keep its promises. It finds
// out whether a query needs settings that is not in a transaction: it usually does
// not.
//
// A server tells each client the number of the process that serves it. A pooler
// tells another number, since its connections change their process. A host that
// has chosen a mode of the driver knows what its pooler keeps.
func (s *Store) checkEnvironment(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var encoding, commit, first, bytes string
	var process int64
	if err := conn.QueryRow(ctx, environmentSQL, pgx.QueryExecModeExec).Scan(&encoding, &commit, &first, &bytes, &process, &s.citus); err != nil {
		return err
	}
	s.wary = first != "pg_catalog" || bytes != "hex"
	c := s.pool.Config()
	switch {
	case !strings.EqualFold(encoding, "UTF8"):
		return ErrEncoding
	case commit == "off":
		return ErrNotDurable
	case process != int64(conn.Conn().PgConn().PID()) && c.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement &&
		!strings.Contains(c.ConnString(), "default_query_exec_mode"):
		return errPooler
	}
	return nil
}
