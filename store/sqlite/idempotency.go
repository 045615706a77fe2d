//go:build cgo

package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	findIdempotencySQL = `SELECT input, result FROM idempotency
		WHERE n IN (SELECT n FROM ` + hashesSQL + ` WHERE hash = ?1)
			AND account = ` + accountOf2SQL + ` AND key = ?3 AND ends_at > ?4
		ORDER BY n DESC LIMIT 1`

	idempotencyRow       = `(?, (SELECT n FROM account WHERE id = ?), ?, ?, ?, ?)`
	insertIdempotencySQL = `INSERT INTO idempotency (hash, account, key, input, result, ends_at) VALUES ` + idempotencyRow

	pruneIdempotenciesSQL = `DELETE FROM idempotency WHERE n IN (
		SELECT n FROM idempotency WHERE ends_at <= ?1 ORDER BY ends_at LIMIT ?2)`

	accountOf2SQL = `(SELECT n FROM account WHERE id = ?2)`
)

// keysAtOnce is how many keys one statement looks for or inserts. An import gives each
// contact a key. With a statement for each, the keys took as long as the contacts.
const keysAtOnce = 16

// idempotencyColumns is how many values a row has.
const idempotencyColumns = 6

var (
	findUsedHashesSQL      = `SELECT hash FROM ` + hashesSQL + ` WHERE hash IN (?` + strings.Repeat(", ?", keysAtOnce-1) + `)`
	insertIdempotenciesSQL = insertIdempotencySQL + strings.Repeat(", "+idempotencyRow, keysAtOnce-1)
)

// An idempotency is an idempotency record in the form of the file.
type idempotency struct {
	hash       int64 // by which it is found
	key, input [32]byte
	result     string
	endsAt     int64
}

// encodeIdempotency returns that of a mutation, nil where it has none.
func encodeIdempotency(m *contacts.Mutation) *idempotency {
	if m.Idempotency == nil {
		return nil
	}
	return &idempotency{
		hash:   idempotencyHash(m.AccountID, m.Idempotency.Key),
		key:    m.Idempotency.Key,
		input:  m.Idempotency.Input,
		result: m.Idempotency.Result,
		endsAt: m.Idempotency.EndsAt.UnixMicro(),
	}
}

// idempotencyHash is short, so that finding records by it dirties few pages. Many
// accounts use the same keys, "1" and "2" and so on. So the end of the account's id,
// which is random, is a part of it.
func idempotencyHash(account uuid.UUID, key [32]byte) int64 {
	return int64(binary.BigEndian.Uint64(key[:]) ^ binary.BigEndian.Uint64(account[8:]))
}

// findUsed finds out which keys have records, if the mutations have many keys.
func (j *judge) findUsed(mutations []mutation) error {
	var hashes []driver.Value
	for i := range mutations {
		if key := mutations[i].idempotency; key != nil {
			hashes = append(hashes, key.hash)
		}
	}
	if len(hashes) < keysAtOnce {
		return nil
	}
	for len(hashes)%keysAtOnce != 0 {
		hashes = append(hashes, hashes[0])
	}
	j.used = make(map[int64]bool)
	for some := range slices.Chunk(hashes, keysAtOnce) {
		err := j.conn.each(findUsedHashes, func(row []driver.Value) bool {
			j.used[integer(row[0])] = true
			return true
		}, some...)
		if err != nil {
			return err
		}
	}
	return nil
}

// remember stores the idempotency record of the mutation. Of many mutations it does so
// with others, or when it is asked for, or at their end.
func (c *writeConn) remember(j *judge, m *mutation) error {
	i := m.idempotency
	c.remembered = append(c.remembered, i.hash, m.account, i.key[:], i.input[:], i.result, i.endsAt)
	if j.used == nil {
		return c.rememberAll()
	}
	j.used[i.hash] = true
	if len(c.remembered) < keysAtOnce*idempotencyColumns {
		return nil
	}
	defer c.forget()
	return c.exec(insertIdempotencies, c.remembered...)
}

// rememberAll stores the idempotency records that wait.
func (c *writeConn) rememberAll() error {
	defer c.forget()
	for row := range slices.Chunk(c.remembered, idempotencyColumns) {
		if err := c.exec(insertIdempotency, row...); err != nil {
			return err
		}
	}
	return nil
}

// forget drops the idempotency records that wait.
func (c *writeConn) forget() {
	clear(c.remembered)
	c.remembered = c.remembered[:0]
}

// clockSkew is how long ago a row must have ended before it is removed. The
// contract says an hour: to a process with a slow clock, or with a transaction
// that took long, the row may not have ended yet.
const clockSkew = time.Hour

// maxPruned is how many rows of a kind a batch without mutations removes at most.
// That takes some milliseconds, for which others wait.
const maxPruned = 1000

// A tally counts rows that end some day.
type tally struct{ idempotencies, entries int }

// stored notes that rows were stored which end some day.
func (c *writeConn) stored(now int64, rows tally) {
	c.pruneAt = min(c.pruneAt, now)
	c.pruneFor.idempotencies += rows.idempotencies
	c.pruneFor.entries += rows.entries
}

// prune removes rows that have ended, two for each that the flight has stored. So
// they become fewer without any other process to see to it. Of jobs with several
// times the earliest counts.
func (c *writeConn) prune() error {
	rows, ended := c.pruneFor, c.pruneAt-clockSkew.Microseconds()
	if rows.idempotencies > 0 {
		if err := c.exec(pruneIdempotencies, ended, int64(2*rows.idempotencies)); err != nil {
			return err
		}
	}
	if rows.entries > 0 {
		return c.pruneEntries(ended, 2*rows.entries)
	}
	return nil
}
