package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

const (
	// They come in the order of all transactions. The filters follow.
	purgeableSQL = `SELECT account_id, id, version, email, phones, tags FROM {schema}.contact WHERE deleted_at <> 0 AND deleted_at < $1`
	purgeOrder   = ` ORDER BY account_id, id LIMIT $2 FOR UPDATE`

	deleteContactsSQL = `DELETE FROM {schema}.contact AS c USING unnest($1::uuid[], $2::uuid[]) AS n (account_id, id)
		WHERE c.account_id = n.account_id AND c.id = n.id`
)

// PurgeContacts implements [contacts.Store].
func (s *Store) PurgeContacts(ctx context.Context, q contacts.PurgeQuery) (int, error) {
	const op = "postgres: purge contacts: %w"
	if err := s.enter(); err != nil {
		return 0, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	purged := 0
	err := s.transact(ctx, nil, func(ctx context.Context, t *transaction) (err error) {
		purged, err = s.purge(ctx, t, &q)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf(op, classify(ctx, err))
	}
	return purged, nil
}

// purge removes the contacts of the query. Those that somebody else was just
// changing or purging are looked for once more, since a page that is not full
// says that no more are left.
func (s *Store) purge(ctx context.Context, t *transaction, q *contacts.PurgeQuery) (int, error) {
	const page = 1000
	sql, args := purgeableSQL, []any{int64(math.MaxInt64), 0}
	if !q.DeletedBefore.IsZero() {
		args[0] = micros(q.DeletedBefore)
	}
	filter := func(column string, id uuid.UUID) {
		if id != uuid.Nil {
			args = append(args, pgUUID(id))
			sql += fmt.Sprintf(" AND %s = $%d", column, len(args))
		}
	}
	filter("account_id", q.AccountID)
	filter("id", q.ContactID)
	sql = s.sql(sql + purgeOrder)
	if q.AccountID == uuid.Nil {
		s.allowAll(t)
	} else {
		s.allow(t, []uuid.UUID{q.AccountID})
	}
	for purged := 0; ; {
		n := min(page, q.Limit-purged)
		if n == 0 {
			return purged, nil
		}
		args[1] = n
		var accounts, ids []pgtype.UUID
		var gone lookups
		t.query(func(rows pgx.Rows) error {
			var version int64
			k, values, err := scanLookups(rows, &version)
			accounts, ids = append(accounts, pgUUID(k.account)), append(ids, pgUUID(k.id))
			gone.add(k.account, k.id, values...)
			return err
		}, sql, args...)
		if err := t.flush(ctx); err != nil {
			return 0, err
		}
		if len(ids) == 0 {
			return purged, nil
		}
		gone.delete(t, &s.statements)
		t.exec(s.statements.deleteContacts, accounts, ids)
		purged += len(ids)
	}
}
