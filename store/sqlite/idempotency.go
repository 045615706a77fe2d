//go:build cgo

package sqlite

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	findIdempotencySQL = `SELECT input, result FROM idempotency
		WHERE hash = ?1 AND account = ` + accountOf2SQL + ` AND key = ?3 AND ends_at > ?4
		ORDER BY n DESC LIMIT 1`

	insertIdempotencySQL = `INSERT INTO idempotency (hash, account, key, input, result, ends_at)
		VALUES (?1, ` + accountOf2SQL + `, ?3, ?4, ?5, ?6)`

	pruneIdempotenciesSQL = `DELETE FROM idempotency WHERE n IN (
		SELECT n FROM idempotency WHERE ends_at <= ?1 ORDER BY ends_at LIMIT ?2)`

	accountOf2SQL = `(SELECT n FROM account WHERE id = ?2)`
)

// An idempotency is that of one record of a batch, in the form of the file.
type idempotency struct {
	hash                int64 // by which it is found
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
			hash:    idempotencyHash(batch.Records[i].Contact.AccountID, first.Key),
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

// idempotencyHash is short, so that the index over it dirties few pages. Accounts
// may all begin with the same keys, "1" and "2" and so on, so it has a part of the
// account in it: the end of its id, which is random.
func idempotencyHash(account uuid.UUID, key [32]byte) int64 {
	return int64(binary.BigEndian.Uint64(key[:]) ^ binary.BigEndian.Uint64(account[8:]))
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

// pruneAfter is how long an idempotency has ended when it is removed: to a program
// whose clock is behind that of another on the same file, or whose transaction was
// late, it has not ended yet.
const pruneAfter = time.Hour

// prune removes idempotencies that have ended, two for each that was stored, so
// that they become fewer without anybody else to see to it.
func (c *writeConn) prune(now time.Time, stored int) error {
	return c.pruneIdempotencies.exec(now.Add(-pruneAfter).UnixMicro(), int64(2*stored))
}
