package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

// An Inspection is what [Inspect] finds out about a database.
type Inspection struct {
	SchemaVersion int   // of the tables; 0: there are none, or they are not ours
	NewestSchema  int   // the version that this package writes
	Size          int64 // of the tables and their indexes, in bytes
	FreeDisk      int64 // of the server's disk, in bytes, which PostgreSQL does not tell: always -1

	// Findings are what is wrong with the schema, the server and the role. nil:
	// nothing.
	Findings []contacts.Finding
}

// Inspect looks at the database at url without opening the store. It changes nothing:
// it neither makes nor migrates tables. Of opts, which may be nil, it uses Schema.
//
// The codes of its findings: schema_older, schema_newer, foreign_file,
// setting_unsafe, role_rights. An error means that nothing is known.
func Inspect(ctx context.Context, url string, opts *Options) (Inspection, error) {
	in := Inspection{NewestSchema: SchemaVersion(), FreeDisk: -1}
	if err := in.inspect(ctx, url, opts); err != nil {
		return Inspection{}, fmt.Errorf("postgres: inspect: %w", classify(ctx, err))
	}
	return in, nil
}

func (in *Inspection) inspect(ctx context.Context, url string, opts *Options) error {
	c, err := parseURL(url)
	if err != nil {
		return err
	}
	c.MaxConns = 1
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // every pooler takes it
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return err
	}
	defer pool.Close()
	name := defaultSchema
	if opts != nil && opts.Schema != "" {
		name = opts.Schema
	}
	s := &Store{pool: pool, schema: name, quoted: pgx.Identifier{name}.Sanitize()}
	return s.readOnly(ctx, func(ctx context.Context, t *transaction) error {
		in.Findings = nil // it may run again
		in.SchemaVersion, err = s.schemaVersionIn(ctx, t)
		switch {
		case errors.Is(err, ErrForeign), errors.Is(err, ErrCorrupt):
			in.add(contacts.SeverityError, "foreign_file", err.Error(), "Give another database, or another schema.")
			return nil
		case state(err) == statePermission:
			in.add(contacts.SeverityError, "role_rights", "the role may not read the tables", "Grant the rights that the comment of the package names.")
			return nil
		case err != nil:
			return err
		case in.SchemaVersion > in.NewestSchema:
			in.add(contacts.SeverityError, "schema_newer", in.versions(), "Use a newer version of this program.")
		case in.SchemaVersion < in.NewestSchema:
			in.add(contacts.SeverityWarning, "schema_older", in.versions(), "Make a backup, then migrate: any program that opens the store does so.")
		}
		return in.inspectServer(ctx, s, t)
	})
}

func (in *Inspection) versions() string {
	if in.SchemaVersion == 0 {
		return "there are no tables yet"
	}
	return fmt.Sprintf("the tables have the schema version %d, and this program writes %d", in.SchemaVersion, in.NewestSchema)
}

const (
	// reset_val is what the server, the database or the role has set. setting is what the
	// transaction of the inspection has, which sets synchronous_commit for itself.
	unsafeSettingsSQL = `SELECT name FROM pg_catalog.pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND reset_val = 'off' ORDER BY name`

	// Those of our tables that the role may not use, with the rights that it lacks.
	missingRightsSQL = `SELECT c.relname, p.need FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
		unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (need)
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND ` + isOursSQL + ` AND NOT CASE WHEN c.relname = 'journal' AND p.need = 'UPDATE'
			THEN pg_catalog.has_column_privilege(c.oid, 'data', 'UPDATE') ELSE pg_catalog.has_table_privilege(c.oid, p.need) END ORDER BY 1, 2`
	// Others may have tables in the schema too.
	sizeSQL = `SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND ` + isOursSQL
)

// inspectServer adds what is wrong with the server and with the rights of the role.
func (in *Inspection) inspectServer(ctx context.Context, s *Store, t *transaction) error {
	t.query(func(rows pgx.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if name == "synchronous_commit" {
			in.add(contacts.SeverityNote, "setting_unsafe", "synchronous_commit is off; the store turns it on for its own transactions", "Set it to on for the role of the store.")
		} else {
			in.add(contacts.SeverityError, "setting_unsafe", name+" is off: a crash of the server can destroy the database", "Set it to on.")
		}
		return nil
	}, unsafeSettingsSQL)
	missing := ""
	t.query(func(rows pgx.Rows) error {
		var table, right string
		err := rows.Scan(&table, &right)
		missing += ", " + right + " on " + table
		return err
	}, missingRightsSQL, s.schema)
	t.query(func(rows pgx.Rows) error { return rows.Scan(&in.Size) }, sizeSQL, s.schema)
	if err := t.flush(ctx); err != nil {
		return err
	}
	if missing != "" {
		in.add(contacts.SeverityError, "role_rights", "the role lacks "+missing[2:], "Grant the rights that the comment of the package names.")
	}
	return nil
}

func (in *Inspection) add(severity contacts.Severity, code, message, advice string) {
	in.Findings = append(in.Findings, contacts.Finding{Severity: severity, Code: code, Message: message, Advice: advice})
}
