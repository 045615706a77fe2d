package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Row-level security is a second wall between accounts, in case a statement lacks
// the first, its condition on account_id. Each transaction tells the server which
// accounts it is about. A policy on each table that holds what belongs to an
// account hides the rows of all others.

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

// securedTables have an account_id and are read only when the account is known. They are
// in the order in which most transactions use them.
func securedTables() []string {
	return []string{"account_state", "team", "setting", "idempotency", "contact", "contact_lookup", "journal"}
}

// secure finds out whether the tables have policies. It makes them if the host
// wants them and there are none.
func (s *Store) secure(ctx context.Context, wanted, check bool) error {
	err := s.readOnly(ctx, func(ctx context.Context, t *transaction) (err error) {
		s.secured, err = s.isSecured(ctx, t)
		return err
	})
	switch {
	case err == nil && s.citus && (s.secured || wanted):
		return errPolicies
	case err != nil || s.secured || !wanted:
		return err
	case check:
		return ErrOlderSchema
	}
	for try := 0; ; try++ {
		if err = s.transact(ctx, nil, s.makePolicies); state(err) != stateLockNotAvailable {
			break
		}
		if err := wait(ctx, backoff(try)); err != nil {
			return err
		}
	}
	s.secured = err == nil
	return err
}

// makePolicies makes the policies, unless another process has made them meanwhile. It
// locks the tables first. Where others have a lock for long, or wait for one of those
// that it has, it gives up before the server looks for deadlocks: the server might
// choose a read of others, which is not made again.
func (s *Store) makePolicies(ctx context.Context, t *transaction) error {
	t.exec(lockSQL, s.lockNumber())
	if secured, err := s.isSecured(ctx, t); err != nil || secured {
		return err
	}
	var all strings.Builder
	all.WriteString("SET LOCAL lock_timeout = '100ms';\n" +
		"LOCK TABLE {schema}." + strings.Join(securedTables(), ", {schema}.") + " IN ACCESS EXCLUSIVE MODE;\n")
	for _, table := range securedTables() {
		fmt.Fprintf(&all, "CREATE POLICY contacts_account ON {schema}.%[1]s USING %[2]s WITH CHECK %[2]s;\n"+
			"ALTER TABLE {schema}.%[1]s ENABLE ROW LEVEL SECURITY;\nALTER TABLE {schema}.%[1]s FORCE ROW LEVEL SECURITY;\n", table, securityPolicy)
	}
	return t.run(ctx, s.sql(all.String()))
}

func (s *Store) isSecured(ctx context.Context, t *transaction) (secured bool, err error) {
	t.query(func(rows pgx.Rows) error { return rows.Scan(&secured) }, securedSQL, s.schema)
	err = t.flush(ctx)
	return secured, err
}

// accountList returns the setting for these accounts.
func accountList(accounts []uuid.UUID) string {
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, compareIDs)
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
