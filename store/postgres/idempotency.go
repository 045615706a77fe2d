package postgres

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

const (
	onceKeysGiven = `(SELECT * FROM unnest($1::uuid[], $2::bytea[]) AS given` + givenRows + `) AS n (account_id, key)`

	readOnceSQL = `SELECT i.account_id, i.key, i.input, i.result, i.ends_at FROM ` + onceKeysGiven + `
		JOIN {schema}.idempotency AS i ON i.account_id = {account} AND i.key = n.key`
	// Of a key that another transaction has replaced since it was read, nothing is deleted.
	deleteOnceSQL = `DELETE FROM {schema}.idempotency AS i USING (SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[]) AS given` + givenRows + `) AS n (account_id, key, ends_at)
		WHERE i.account_id = {account} AND i.key = n.key AND i.ends_at = n.ends_at`
	insertOnceSQL = `INSERT INTO {schema}.idempotency (account_id, key, input, result, ends_at)
		SELECT {owner}, n.key, n.input, n.result, n.ends_at
		FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::text[], $5::bigint[]) AS n (account_id, key, input, result, ends_at){owners}`
)

// A onceKey names an idempotency record.
type onceKey struct {
	account uuid.UUID
	key     [32]byte
}

func (k onceKey) compare(other onceKey) int {
	return cmp.Or(compareIDs(k.account, other.account), bytes.Compare(k.key[:], other.key[:]))
}

// An idempotency is an idempotency record in the form of the tables.
type idempotency struct {
	onceKey
	input  [32]byte
	result string
	endsAt int64
}

func encodeIdempotency(account uuid.UUID, r *contacts.IdempotencyRecord) *idempotency {
	if r == nil {
		return nil
	}
	return &idempotency{onceKey: onceKey{account, r.Key}, input: r.Input, result: r.Result, endsAt: micros(r.EndsAt)}
}

// answer returns the outcome of a mutation whose key has an earlier record.
func (i *idempotency) answer(earlier *idempotency) contacts.MutationOutcome {
	if i.input != earlier.input {
		return contacts.MutationOutcome{Err: contacts.ErrIdempotencyConflict}
	}
	return contacts.MutationOutcome{Result: earlier.result}
}

// A onceState is what a key has in the transaction.
type onceState struct {
	stored *idempotency // in the table; nil: nothing
	kept   *idempotency // of a mutation; nil: what is in the table
}

// record returns the record that has not ended, or nil.
func (st *onceState) record(now time.Time) *idempotency {
	if r := cmp.Or(st.kept, st.stored); r != nil && r.endsAt > micros(now) {
		return r
	}
	return nil
}

func (j *judge) readOnce(t *transaction, s *statements) {
	if len(j.once) == 0 {
		return
	}
	t.query(func(rows pgx.Rows) error {
		var key, input []byte
		var i idempotency
		err := rows.Scan((*[16]byte)(&i.account), &key, &input, &i.result, &i.endsAt)
		copy(i.key[:], key)
		copy(i.input[:], input)
		j.once[i.onceKey] = &onceState{stored: &i}
		return err
	}, s.readOnce, onceKeyArrays(slices.Collect(maps.Keys(j.once)))...)
}

// writeOnce queues the new records, in the place of those that have ended. Of
// several transactions that store one key, the others wait here for the first,
// and are then made again.
func (j *judge) writeOnce(t *transaction, s *statements) {
	var ended []*idempotency
	var kept []*idempotency
	for _, st := range j.once {
		if st.kept != nil {
			kept = append(kept, st.kept)
			if st.stored != nil {
				ended = append(ended, st.stored)
			}
		}
	}
	if len(ended) > 0 {
		slices.SortFunc(ended, func(a, b *idempotency) int { return a.compare(b.onceKey) })
		t.exec(s.deleteOnce, append(onceKeyArrays(column(ended, func(i *idempotency) onceKey { return i.onceKey })),
			column(ended, func(i *idempotency) int64 { return i.endsAt }))...)
	}
	if len(kept) == 0 {
		return
	}
	slices.SortFunc(kept, func(a, b *idempotency) int { return a.compare(b.onceKey) })
	t.exec(s.insertOnce, append(onceKeyArrays(column(kept, func(i *idempotency) onceKey { return i.onceKey })),
		column(kept, func(i *idempotency) []byte { return i.input[:] }),
		column(kept, func(i *idempotency) string { return i.result }),
		column(kept, func(i *idempotency) int64 { return i.endsAt }))...)
}

// onceKeyArrays returns the keys as onceKeysGiven has them.
func onceKeyArrays(keys []onceKey) []any {
	return []any{
		column(keys, func(k onceKey) pgtype.UUID { return pgUUID(k.account) }),
		column(keys, func(k onceKey) []byte { return k.key[:] }),
	}
}
