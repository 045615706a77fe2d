package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Citus spreads the tables over several servers. All rows of an account are on one
// of them, so that a transaction about one account takes place there alone. What is
// read before the account is known, accounts and keys, is on every server.
//
// Citus sends a statement to the server of an account if the statement names this
// account and no other. So on Citus the rows that are given to a statement are of
// one account, and a transaction of waiting writes is about one account. A batch
// about several accounts is one transaction, with statements for each of them.
// Citus commits it in two phases.

const (
	// The tables in the schema that are on one server alone.
	undistributedSQL = `SELECT c.relname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = $1::text AND c.relname::text = ANY($2::text[])
			AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition AS p WHERE p.logicalrelid = c.oid)
		ORDER BY array_position($2::text[], c.relname::text)`

	// Citus spreads no table with triggers.
	unguardSQL = `DROP FUNCTION IF EXISTS {schema}.journal_keeps() CASCADE`

	// Rows that a table holds are copied to where they belong. Then the table
	// still has them, where nobody sees them.
	everywhereSQL = `SELECT create_reference_table(format('%I.%I', $1::text, $2::text)::regclass)`
	byAccountSQL  = `SELECT create_distributed_table(format('%I.%I', $1::text, $2::text)::regclass, 'account_id',
		colocate_with => CASE WHEN $2::text = 'account_state' THEN 'none' ELSE format('%I.account_state', $1::text) END)`
	emptySQL = `SELECT truncate_local_data_after_distributing_table(format('%I.%I', $1::text, $2::text)::regclass)`
)

// errPolicies: Citus takes no policies with a sub-select.
var errPolicies = errors.New("the tables have policies, or Options.RowSecurity asks for them: Citus cannot spread such tables")

// spread puts the schema into a statement about given rows n, and what stands for
// their accounts. On Citus that is the account of the first row, by which Citus
// finds the server, and for new rows the account of a row that is on that server.
func (s *Store) spread(statement string) string {
	account, owner, owners := "n.account_id", "n.account_id", ""
	if s.citus {
		account, owner, owners = "($1::uuid[])[1]", "o.account_id", " JOIN {schema}.account_state AS o ON o.account_id = ($1::uuid[])[1]"
	}
	return s.sql(strings.NewReplacer("{account}", account, "{owner}", owner, "{owners}", owners).Replace(statement))
}

// alike reports whether two writes may share a transaction. nil: any two may.
func (s *Store) alike() func(a, b *write) bool {
	if !s.citus {
		return nil
	}
	return func(a, b *write) bool { return a.account == b.account }
}

// parts divides the mutations into those that a statement may be about.
func (s *Store) parts(mutations []*mutation) [][]*mutation {
	return partsOf(s, mutations, func(m *mutation) uuid.UUID { return m.account })
}

// partsOf divides rows into those that may be given to one statement.
func partsOf[R any](s *Store, rows []R, account func(R) uuid.UUID) [][]R {
	if !s.citus {
		return [][]R{rows}
	}
	var parts [][]R
	byAccount := slices.SortedStableFunc(slices.Values(rows), func(a, b R) int { return compareIDs(account(a), account(b)) })
	for i, r := range byAccount {
		if i == 0 || account(r) != account(byAccount[i-1]) {
			parts = append(parts, nil)
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], r)
	}
	return parts
}

// distribute has Citus spread the tables that are on one server alone. Rows that
// they hold go with them.
func (s *Store) distribute(ctx context.Context, check bool) error {
	if !s.citus {
		return nil
	}
	var tables []string
	read := func(ctx context.Context, t *transaction) error {
		tables = nil
		t.query(func(rows pgx.Rows) error {
			var table string
			err := rows.Scan(&table)
			tables = append(tables, table)
			return err
		}, undistributedSQL, s.schema, []string{"account", "api_key", "account_state", "team", "setting", "contact", "contact_lookup", "idempotency", "journal"})
		return t.flush(ctx)
	}
	switch err := s.readOnly(ctx, read); {
	case err != nil || len(tables) == 0:
		return err
	case check:
		return ErrOlderSchema
	}
	return s.transactOnce(ctx, nil, func(ctx context.Context, t *transaction) error {
		t.exec(lockSQL, s.lockNumber())
		if err := read(ctx, t); err != nil {
			return err // or another process has been faster, and nothing is left
		}
		t.exec(s.sql(unguardSQL))
		for _, table := range tables {
			sql := byAccountSQL
			if table == "account" || table == "api_key" {
				sql = everywhereSQL
			}
			t.exec(sql, s.schema, table)
		}
		for _, table := range slices.Backward(tables) { // those that refer to others first
			t.exec(emptySQL, s.schema, table)
		}
		return nil
	})
}
