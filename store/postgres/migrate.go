package postgres

import (
	"context"
	"embed"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/contacts/store/internal/migration"
)

//go:embed schema/*.sql
var schema embed.FS

const (
	// isOursSQL is the condition that c has the name of one of our tables or views.
	isOursSQL = `c.relname IN ('migration', 'account', 'team', 'api_key', 'setting', 'account_state', 'contact', 'contact_lookup', 'idempotency', 'journal',
			'contact_event', 'do_not_call')`

	// The tables and views in the schema, whether the role may use them or not.
	tablesSQL = `SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND ` + isOursSQL
	versionSQL       = `SELECT coalesce(max(version), 0), coalesce(min(version), 0) FROM {schema}.migration`
	schemaExistsSQL  = `SELECT true FROM pg_catalog.pg_namespace WHERE nspname = $1`
	createSchemaSQL  = "CREATE SCHEMA {schema};\n"
	searchPathSQL    = "SET LOCAL search_path = {schema};\n"
	createVersionSQL = "CREATE TABLE migration (version bigint NOT NULL PRIMARY KEY);\n"
	insertVersionSQL = "INSERT INTO migration (version) VALUES (%d)"
	lockSQL          = `SELECT pg_advisory_xact_lock($1)`
)

// migrate brings the tables to the newest version, with a transaction for each
// step. With check it only checks that they have it.
func (s *Store) migrate(ctx context.Context, steps []migration.Step, check bool) error {
	const patience = 20 // tries, if the engine has no lock for it
	locked := true
	for try := 0; ; try++ {
		version, err := s.schemaVersion(ctx)
		switch {
		case err != nil:
			return err
		case version > len(steps):
			return ErrNewerSchema
		case version == len(steps):
			return nil
		case check:
			return ErrOlderSchema
		}
		err = s.migrateOnce(ctx, version, steps[version], locked)
		switch st := state(err); st {
		case stateUndefinedFunc, stateNotSupported:
			if !locked {
				return err
			}
			locked = false // it has no advisory locks
		case stateUniqueViolation, stateDuplicateSchema, stateDuplicateTable, stateSerialization, stateDeadlock:
			if locked && st == stateDuplicateTable { // with the lock no other process makes ours
				return fmt.Errorf("%w: %s", ErrForeign, classify(ctx, err).Error())
			}
			// Another process was faster.
			if try >= patience {
				return err
			}
			if err := wait(ctx, backoff(try)); err != nil {
				return err
			}
		default:
			if err != nil {
				return err
			}
		}
	}
}

// migrateOnce takes one step, unless another process has taken it meanwhile.
func (s *Store) migrateOnce(ctx context.Context, version int, step migration.Step, locked bool) error {
	return s.transactOnce(ctx, nil, func(ctx context.Context, t *transaction) error {
		if locked {
			t.exec(lockSQL, s.lockNumber())
			if now, err := s.schemaVersionIn(ctx, t); err != nil || now != version {
				return err // another process has taken the step meanwhile
			}
		}
		var sql strings.Builder
		if version == 0 {
			exists := false
			t.query(func(rows pgx.Rows) error { return rows.Scan(&exists) }, schemaExistsSQL, s.schema)
			if err := t.flush(ctx); err != nil {
				return err
			}
			if !exists {
				sql.WriteString(createSchemaSQL)
			}
		}
		sql.WriteString(searchPathSQL)
		if version == 0 {
			sql.WriteString(createVersionSQL)
		}
		fmt.Fprintf(&sql, "%s;\n"+insertVersionSQL, step.SQL, version+1)
		if err := t.run(ctx, s.sql(sql.String())); err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
		return nil
	})
}

func (s *Store) schemaVersion(ctx context.Context) (version int, err error) {
	err = s.readOnly(ctx, func(ctx context.Context, t *transaction) error {
		version, err = s.schemaVersionIn(ctx, t)
		return err
	})
	return version, err
}

// lockNumber is that of the lock for changes of the schema.
func (s *Store) lockNumber() int64 {
	h := fnv.New64a()
	fmt.Fprint(h, "contacts migration of schema ", s.schema)
	return int64(h.Sum64())
}

// schemaVersionIn returns 0 if there are no tables.
func (s *Store) schemaVersionIn(ctx context.Context, t *transaction) (int, error) {
	found, versions := false, false
	t.query(func(rows pgx.Rows) error {
		var table string
		err := rows.Scan(&table)
		found, versions = true, versions || table == "migration"
		return err
	}, tablesSQL, s.schema)
	err := t.flush(ctx)
	switch {
	case err != nil || !found:
		return 0, err
	case !versions:
		return 0, ErrForeign
	}
	var version, oldest int
	t.query(func(rows pgx.Rows) error { return rows.Scan(&version, &oldest) }, s.sql(versionSQL))
	err = t.flush(ctx)
	switch {
	case err != nil:
		return 0, err
	case oldest < 0:
		return 0, ErrCorrupt
	case version == 0:
		return 0, ErrForeign // a table of that name, without a version
	}
	return version, nil
}

// backoff returns how long to wait before the next try.
func backoff(try int) time.Duration {
	return min(time.Millisecond<<min(try, 10), 500*time.Millisecond)
}

// wait returns after that time, or the context's error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
