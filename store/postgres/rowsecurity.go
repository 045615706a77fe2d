package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

// Row-level security is a second wall between accounts, for the day when a
// statement forgets the first, its condition on account_id: each transaction
// tells the server which accounts it is about, and a policy on each table that
// holds what belongs to one hides the rows of all others.

const (
	// The setting lasts until the transaction ends, and is empty in the next.
	allowSQL    = `SELECT set_config('contacts.accounts', $1, true)`
	allowAllSQL = `SELECT set_config('contacts.all', 'on', true)`

	securedSQL = `SELECT c.relrowsecurity FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = 'contact'`

	// The sub-selects are evaluated once for a statement, not for each row.
	securityPolicy = `(account_id = ANY ((SELECT string_to_array(current_setting('contacts.accounts', true), ',')::uuid[])::uuid[])
		OR (SELECT current_setting('contacts.all', true) = 'on'))`
)

// securedTables have an account_id, and are read when the account is known.
func securedTables() []string { return []string{"team", "contact", "contact_lookup", "idempotency"} }

// secure finds out whether the tables have policies, and makes them where the
// host wants them and there are none.
func (s *Store) secure(ctx context.Context, wanted, check bool) error {
	secured, err := s.isSecured(ctx, s.pool)
	if err != nil || secured || !wanted {
		s.secured = secured
		return err
	}
	if check {
		return ErrOlderSchema
	}
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, lockSQL, s.lockNumber()); err != nil {
		return err
	}
	if secured, err = s.isSecured(ctx, tx); err == nil && !secured {
		var all strings.Builder
		for _, table := range securedTables() {
			fmt.Fprintf(&all, "CREATE POLICY contacts_account ON {schema}.%[1]s USING %[2]s WITH CHECK %[2]s;\n"+
				"ALTER TABLE {schema}.%[1]s ENABLE ROW LEVEL SECURITY;\nALTER TABLE {schema}.%[1]s FORCE ROW LEVEL SECURITY;\n", table, securityPolicy)
		}
		_, err = tx.Conn().PgConn().Exec(ctx, s.sql(all.String())).ReadAll()
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	s.secured = err == nil
	return err
}

func (s *Store) isSecured(ctx context.Context, q querier) (secured bool, err error) {
	err = q.QueryRow(ctx, securedSQL, s.schema).Scan(&secured)
	return secured, err
}

// lockNumber is that of the lock for changes of the schema.
func (s *Store) lockNumber() int64 {
	h := fnv.New64a()
	fmt.Fprint(h, "contacts migration of schema ", s.schema)
	return int64(h.Sum64())
}

// accountList is the setting for so many accounts.
func accountList(accounts []uuid.UUID) string {
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	var list strings.Builder
	for i, a := range slices.Compact(accounts) {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(a.String())
	}
	return list.String()
}

// allow queues that the transaction is about these accounts.
func (s *Store) allow(t *transaction, accounts []uuid.UUID) {
	if s.secured {
		t.exec(allowSQL, accountList(accounts))
	}
}

// allowAll queues that the transaction is about every account.
func (s *Store) allowAll(t *transaction) {
	if s.secured {
		t.exec(allowAllSQL)
	}
}

// query has each read the rows of a query about one account.
func (s *Store) query(ctx context.Context, account uuid.UUID, each func(pgx.Rows) error, sql string, args ...any) error {
	if s.secured {
		var b pgx.Batch // its statements share a transaction
		b.Queue(allowSQL, account.String())
		b.Queue(sql, args...).Query(func(rows pgx.Rows) error { return eachRow(rows, each) })
		return s.pool.SendBatch(ctx, &b).Close()
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, each)
}

func eachRow(rows pgx.Rows, each func(pgx.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// queryContacts returns the contacts of an account that a statement finds.
func (s *Store) queryContacts(ctx context.Context, account uuid.UUID, sql string, args ...any) ([]*contacts.ContactRecord, error) {
	var found []*contacts.ContactRecord
	err := s.query(ctx, account, func(rows pgx.Rows) error {
		r, err := scanContact(rows, account)
		found = append(found, r)
		return err
	}, sql, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// queryTeams returns the teams of an account that a statement finds.
func (s *Store) queryTeams(ctx context.Context, account uuid.UUID, sql string, args ...any) ([]contacts.Team, error) {
	var found []contacts.Team
	err := s.query(ctx, account, func(rows pgx.Rows) error {
		t, err := scanTeam(rows, account)
		found = append(found, t)
		return err
	}, sql, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
}
