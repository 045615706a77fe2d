//go:build cgo

package sqlite

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"time"

	"example.com/contacts"
)

const (
	findIdempotencySQL = `SELECT input, result FROM idempotency
		WHERE hash = ?1 AND account = ` + accountOf2SQL + ` AND key = ?3 AND ends_at > ?4`

	insertIdempotencySQL = `INSERT INTO idempotency (hash, account, key, input, result, ends_at)
		VALUES (?1, ` + accountOf2SQL + `, ?3, ?4, ?5, ?6)`

	pruneIdempotenciesSQL = `DELETE FROM idempotency WHERE n IN (
		SELECT n FROM idempotency WHERE ends_at <= ?1 ORDER BY ends_at LIMIT ?2)`

	accountOf2SQL = `(SELECT n FROM account WHERE id = ?2)`
)

// An idempotency is that of one record of a batch, in the form of the file.
type idempotency struct {
	hash                int64 // the start of the key, by which it is found
	account, key, input []byte
	result              string
	endsAt, now         int64
}

// encodeIdempotencies returns one for each record of the batch, nil for a record
// without. They share no memory that the caller may change.
func encodeIdempotencies(batch *contacts.ContactBatch) []*idempotency {
	if batch.Idempotencies == nil {
		return nil
	}
	all := make([]*idempotency, len(batch.Idempotencies))
	for i, first := range batch.Idempotencies {
		if first == nil {
			continue
		}
		all[i] = &idempotency{
			hash:    int64(binary.BigEndian.Uint64(first.Key[:])),
			account: bytes.Clone(batch.Records[i].Contact.AccountID[:]),
			key:     bytes.Clone(first.Key[:]),
			input:   bytes.Clone(first.Input[:]),
			result:  first.Result,
			endsAt:  first.EndsAt.UnixMicro(),
			now:     batch.Now.UnixMicro(),
		}
	}
	return all
}

// replay reports whether a create with the same key has an answer, and sets the
// outcome to it.
func (c *writeConn) replay(i *idempotency, o *contacts.ContactOutcome) (answered bool, err error) {
	var row [2]driver.Value
	answered, err = c.findIdempotency.row(row[:], i.hash, i.account, i.key, i.now)
	if !answered || err != nil {
		return false, err
	}
	if input, _ := row[0].([]byte); bytes.Equal(input, i.input) {
		o.Result = text(row[1])
	} else {
		o.Err = createError(contacts.ErrIdempotencyConflict)
	}
	return true, nil
}

// remember stores the idempotency beside its contact.
func (c *writeConn) remember(i *idempotency) error {
	return c.insertIdempotency.exec(i.hash, i.account, i.key, i.input, i.result, i.endsAt)
}

// prune removes idempotencies that have ended, two for each that was stored, so
// that they become fewer without anybody else to see to it.
func (c *writeConn) prune(now time.Time, stored int) error {
	return c.pruneIdempotencies.exec(now.UnixMicro(), int64(2*stored))
}
