package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

const (
	keysGiven = `unnest($1::uuid[], $2::bytea[]) AS n (account_id, key)`

	deleteEndedSQL = `DELETE FROM {schema}.idempotency AS i USING unnest($1::uuid[], $2::bytea[], $3::bigint[]) AS n (account_id, key, now)
		WHERE i.account_id = n.account_id AND i.key = n.key AND i.ends_at <= n.now`
	insertIdempotenciesSQL = `INSERT INTO {schema}.idempotency (account_id, key, input, result, ends_at)
		SELECT n.* FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::text[], $5::bigint[]) AS n (account_id, key, input, result, ends_at)
		ON CONFLICT (account_id, key) DO NOTHING RETURNING account_id, key`
	findIdempotenciesSQL = `SELECT i.account_id, i.key, i.input, i.result FROM ` + keysGiven + `
		JOIN {schema}.idempotency AS i ON i.account_id = n.account_id AND i.key = n.key`
	deleteIdempotenciesSQL = `DELETE FROM {schema}.idempotency AS i USING ` + keysGiven + `
		WHERE i.account_id = n.account_id AND i.key = n.key`

	// Others that do the same at the same time are left alone.
	pruneSQL = `DELETE FROM {schema}.idempotency WHERE account_id = $1 AND key IN (
		SELECT key FROM {schema}.idempotency WHERE account_id = $1 AND ends_at <= $2 ORDER BY ends_at LIMIT $3 FOR UPDATE SKIP LOCKED)`
)

// A onceKey names an idempotency.
type onceKey struct {
	account uuid.UUID
	key     [32]byte
}

func (k onceKey) compare(other onceKey) int {
	return cmp.Or(bytes.Compare(k.account[:], other.account[:]), bytes.Compare(k.key[:], other.key[:]))
}

// An idempotency is that of one record of a batch, in the form of the tables.
type idempotency struct {
	onceKey
	input       [32]byte
	result      string
	endsAt, now int64
	ours        bool // it was stored in this transaction
}

func encodeIdempotency(account uuid.UUID, i *contacts.Idempotency, now time.Time) *idempotency {
	if i == nil {
		return nil
	}
	return &idempotency{
		onceKey: onceKey{account, i.Key}, input: i.Input, result: i.Result, endsAt: micros(i.EndsAt), now: micros(now),
	}
}

// answer decides a create by an earlier one of its key.
func (r *newContact) answer(earlier *idempotency) {
	r.decided = true
	if r.once.input == earlier.input {
		r.outcome.Result = earlier.result
	} else {
		r.outcome.Err = createError(contacts.ErrIdempotencyConflict)
	}
}

// claim stores the idempotencies of the rows, and decides those that have an
// earlier one. Of several transactions that store one key, the others wait here
// for the first.
func (s *Store) claim(ctx context.Context, t *transaction, pass []*newContact, kept map[onceKey]*idempotency) error {
	var own []*newContact
	for _, r := range pass {
		if r.once != nil {
			r.once.ours = false
			own = append(own, r)
		}
	}
	if len(own) == 0 {
		return nil
	}
	slices.SortFunc(own, func(a, b *newContact) int { return a.once.compare(b.once.onceKey) })
	accounts, keys := onceColumns(own)
	claimed := make(map[onceKey]bool, len(own))
	earlier := make(map[onceKey]*idempotency)

	t.exec(s.statements.deleteEnded, accounts, keys, column(own, func(r *newContact) int64 { return r.once.now }))
	t.query(func(rows pgx.Rows) error {
		k, err := scanOnceKey(rows)
		claimed[k] = true
		return err
	}, s.statements.insertIdempotencies, accounts, keys,
		column(own, func(r *newContact) []byte { return r.once.input[:] }),
		column(own, func(r *newContact) string { return r.once.result }),
		column(own, func(r *newContact) int64 { return r.once.endsAt }))
	t.query(func(rows pgx.Rows) error {
		var input []byte
		var i idempotency
		k, err := scanOnceKey(rows, &input, &i.result)
		copy(i.input[:], input)
		earlier[k] = &i
		return err
	}, s.statements.findIdempotencies, accounts, keys)
	if err := t.flush(ctx); err != nil {
		return err
	}
	for _, r := range own {
		found := earlier[r.once.onceKey]
		switch {
		case claimed[r.once.onceKey]:
			r.once.ours = true
		case found == nil:
			return errVanished
		default:
			r.answer(found)
			kept[r.once.onceKey] = found
		}
	}
	return nil
}

// errVanished makes the transaction again: an idempotency was in the way, and
// was gone when it was to be read.
var errVanished error = &pgconn.PgError{Severity: "ERROR", Code: stateSerialization}

// disclaim queues the removal of the idempotencies of rows that failed.
func (s *Store) disclaim(t *transaction, failed []*newContact) {
	claimed := slices.DeleteFunc(slices.Clone(failed), func(r *newContact) bool { return r.once == nil || !r.once.ours })
	if len(claimed) > 0 {
		accounts, keys := onceColumns(claimed)
		t.exec(s.statements.deleteIdempotencies, accounts, keys)
	}
}

func onceColumns(rows []*newContact) (accounts []pgtype.UUID, keys [][]byte) {
	accounts = column(rows, func(r *newContact) pgtype.UUID { return pgUUID(r.once.account) })
	keys = column(rows, func(r *newContact) []byte { return r.once.key[:] })
	return accounts, keys
}

func scanOnceKey(rows pgx.Rows, more ...any) (k onceKey, err error) {
	var key []byte
	err = rows.Scan(append([]any{(*[16]byte)(&k.account), &key}, more...)...)
	copy(k.key[:], key)
	return k, err
}

// prune forgets some idempotencies that have ended, where the batch has stored
// new ones: about as many as it may take for their number to fall. It is of no
// consequence to the batch.
func (s *Store) prune(ctx context.Context, c *creation) {
	for _, r := range c.rows {
		if r.stored && r.once != nil && r.outcome.Err == nil && r.once.key[0]%pruneEvery == 0 {
			_ = s.query(ctx, r.account, func(pgx.Rows) error { return nil }, s.statements.prune, pgUUID(r.account), r.once.now, 2*pruneEvery)
		}
	}
}

// pruneEvery is of how many idempotencies one, on average, has others pruned.
const pruneEvery = 64
