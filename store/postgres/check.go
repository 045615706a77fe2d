package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/store/internal/checkup"
)

// The lowest, the highest and the newest number of an account's journal. Every account
// has a newest number: NULL says that it was lost.
const numberingSQL = `SELECT coalesce((SELECT min(sequence) FROM {schema}.journal WHERE account_id = $1), 1),
	coalesce((SELECT max(sequence) FROM {schema}.journal WHERE account_id = $1), 0),
	(SELECT sequence FROM {schema}.account_state WHERE account_id = $1)`

// Check looks for what is wrong with what is stored, and yields each finding as it
// comes. It changes nothing. It holds a page of contacts or entries in memory. Other
// calls, and other processes, may write meanwhile; each page is of one moment. An
// error ends it, also that of ctx.
//
// The codes of its findings are lookup_missing, lookup_extra and sequence_wrong, and
// those of [contacts.CheckStore]. integrity says that the server, or this package, met
// damaged data. The last argument makes no difference: to check tables and indexes
// themselves is for pg_amcheck, a program of PostgreSQL.
//
// [Inspect] finds what is wrong with the schema, the server and the role.
func (s *Store) Check(ctx context.Context, _ bool) iter.Seq2[contacts.Finding, error] {
	return checkup.Walk(ctx, s, isDamage, func(found checkup.Found) error {
		if err := s.checkAccounts(ctx, found); err != nil {
			return fmt.Errorf("postgres: check: %w", err)
		}
		return nil
	})
}

// isDamage reports whether data could not be read because it is damaged.
func isDamage(err error) bool {
	switch state(err) {
	case stateDataCorrupted, stateIndexCorrupted:
		return true
	default:
		return errors.Is(err, ErrCorrupt)
	}
}

// checkAccounts checks look-ups and numbers, an account after the other.
func (s *Store) checkAccounts(ctx context.Context, found checkup.Found) error {
	for account, err := range contacts.NewAdmin(s, nil).Accounts(ctx) {
		if err != nil {
			return err
		}
		if err := s.checkNumbers(ctx, account.ID, found); err != nil {
			return err
		}
		if err := s.misfits(ctx, account.ID, func(m misfit) error {
			if m.missing {
				return found(checkup.LookupMissing(account.ID, m.id))
			}
			return found(checkup.LookupExtra(account.ID, m.id))
		}); err != nil {
			return err
		}
	}
	return nil
}

// checkNumbers compares the numbers of an account's journal with its counter.
func (s *Store) checkNumbers(ctx context.Context, account uuid.UUID, found checkup.Found) error {
	var n checkup.Numbering
	var newest *int64
	err := s.seeing(ctx, account, func(ctx context.Context, t *transaction) error {
		t.query(func(rows pgx.Rows) error { return rows.Scan(&n.Lowest, &n.Highest, &newest) }, s.sql(numberingSQL), pgUUID(account))
		return t.flush(ctx)
	})
	if n.Lost = newest == nil; !n.Lost {
		n.Newest = *newest
	}
	if err == nil && (n.Lowest < 1 || n.Highest != n.Newest || n.Lost) {
		err = found(n.Wrong(account))
	}
	return err
}

// seeing runs f in a transaction that shows one state of an account. Close waits for
// f alone, and not for the whole check.
func (s *Store) seeing(ctx context.Context, account uuid.UUID, f func(context.Context, *transaction) error) error {
	if err := s.gate.Enter(); err != nil {
		return err
	}
	defer s.gate.Leave()
	return classify(ctx, s.readOnly(ctx, func(ctx context.Context, t *transaction) error {
		s.allow(t, []uuid.UUID{account})
		return f(ctx, t)
	}))
}
