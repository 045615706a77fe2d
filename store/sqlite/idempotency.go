//go:build cgo

package sqlite

import (
	"bytes"
	"database/sql/driver"

	"example.com/contacts"
)

const (
	findIdempotencySQL = `SELECT input, result FROM idempotency WHERE account = ` + accountSQL + ` AND key = ?2 AND ends_at > ?3`

	// One that has ended may be in its place.
	insertIdempotencySQL = `INSERT OR REPLACE INTO idempotency (account, key, input, result, ends_at)
		VALUES (` + accountSQL + `, ?2, ?3, ?4, ?5)`

	// Whoever stores one removes up to two that have ended, so that they become
	// fewer without anybody else to see to it.
	pruneIdempotenciesSQL = `DELETE FROM idempotency WHERE (account, key) IN (
		SELECT account, key FROM idempotency WHERE ends_at <= ?1 ORDER BY ends_at LIMIT 2)`
)

// An idempotency is that of one record of a batch, in the form of the file.
type idempotency struct {
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
	answered, err = c.findIdempotency.row(row[:], i.account, i.key, i.now)
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
	if err := c.insertIdempotency.exec(i.account, i.key, i.input, i.result, i.endsAt); err != nil {
		return err
	}
	return c.pruneIdempotencies.exec(i.now)
}
