package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/contacts/store/internal/migration"
)

//go:embed schema/*.sql
var schema embed.FS

const (
	// The tables in the schema, whether the role may use them or not.
	tablesSQL = `SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname IN ('migration', 'account', 'team', 'api_key', 'setting', 'account_state', 'contact', 'contact_lookup', 'idempotency', 'journal')`
	versionSQL       = `SELECT coalesce(max(version), 0) FROM {schema}.migration`
	schemaExistsSQL  = `SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = $1`
	createSchemaSQL  = `CREATE SCHEMA {schema}`
	searchPathSQL    = `SET LOCAL search_path = {schema}`
	createVersionSQL = `CREATE TABLE migration (version bigint NOT NULL PRIMARY KEY)`
	insertVersionSQL = `INSERT INTO {schema}.migration (version) VALUES ($1)`
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
func (s *Store) migrateOnce(ctx context.Context, version int, step migration.Step, locked bool) (err error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return err
	}
	defer func() {
		if e := tx.Rollback(context.WithoutCancel(ctx)); e != nil && !errors.Is(e, pgx.ErrTxClosed) && err == nil {
			err = e
		}
	}()
	if locked {
		if _, err := tx.Exec(ctx, lockSQL, s.lockNumber()); err != nil {
			return err
		}
		if now, err := s.schemaVersionIn(ctx, tx); err != nil || now != version {
			return err // another process has taken the step meanwhile
		}
	}
	if version == 0 {
		var exists int
		if err := tx.QueryRow(ctx, schemaExistsSQL, s.schema).Scan(&exists); err != nil {
			return err
		}
		if exists == 0 {
			if _, err := tx.Exec(ctx, s.sql(createSchemaSQL)); err != nil {
				return err
			}
		}
	}
	if _, err := tx.Exec(ctx, s.sql(searchPathSQL)); err != nil {
		return err
	}
	if version == 0 {
		if _, err := tx.Exec(ctx, createVersionSQL); err != nil {
			return err
		}
	}
	// Several statements at once need the simple protocol.
	if _, err := tx.Conn().PgConn().Exec(ctx, step.SQL).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", step.Name, err)
	}
	if _, err := tx.Exec(ctx, s.sql(insertVersionSQL), version+1); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func (s *Store) schemaVersion(ctx context.Context) (int, error) {
	return s.schemaVersionIn(ctx, s.pool)
}

// lockNumber is that of the lock for changes of the schema.
func (s *Store) lockNumber() int64 {
	h := fnv.New64a()
	fmt.Fprint(h, "contacts migration of schema ", s.schema)
	return int64(h.Sum64())
}

// schemaVersionIn returns 0 if there are no tables.
func (s *Store) schemaVersionIn(ctx context.Context, q querier) (int, error) {
	rows, err := q.Query(ctx, tablesSQL, s.schema)
	if err != nil {
		return 0, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) == 0 {
		return 0, err
	}
	for _, table := range tables {
		if table == "migration" {
			var version int
			err := q.QueryRow(ctx, s.sql(versionSQL)).Scan(&version)
			if err == nil && version <= 0 {
				err = ErrForeign
			}
			return version, err
		}
	}
	return 0, ErrForeign
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
