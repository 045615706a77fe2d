//go:build cgo

package sqlite

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
)

// An idempotency is an idempotency record in the form of the file.
type idempotency struct {
	account    uuid.UUID
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
		account: m.AccountID,
		key:     m.Idempotency.Key,
		input:   m.Idempotency.Input,
		result:  m.Idempotency.Result,
		endsAt:  m.Idempotency.EndsAt.UnixMicro(),
	}
}

// hash is what the record is found by. It is short, so that an index of it has few
// pages. Many accounts use the same keys, "1" and "2" and so on. So it depends on the
// account, too.
func (i *idempotency) hash() int64 {
	return int64(binary.BigEndian.Uint64(i.key[:]) ^ accountBits(i.account))
}

// accountBits is the end of the account's id, which is random.
func accountBits(account uuid.UUID) uint64 { return binary.BigEndian.Uint64(account[8:]) }

// isOf reports whether the record is of the account and the key of another, and has not
// ended.
func (i *idempotency) isOf(other *idempotency, now int64) bool {
	return i.key == other.key && i.account == other.account && i.endsAt > now
}

// findUsed finds out which hashes have records, if the mutations have many keys.
func (j *judge) findUsed(mutations []mutation) error {
	var hashes []int64
	for i := range mutations {
		if key := mutations[i].idempotency; key != nil {
			hashes = append(hashes, key.hash())
		}
	}
	if len(hashes) < rowsAtOnce {
		return nil
	}
	if err := j.conn.catchUpHashes(); err != nil {
		return err
	}
	j.used = make(map[int64]bool, len(hashes))
	for _, hash := range hashes {
		if j.conn.hashes.has(hash) {
			j.used[hash] = true
		}
	}
	slices.Sort(hashes) // neighbours share pages
	for len(hashes)%rowsAtOnce != 0 {
		hashes = append(hashes, hashes[0])
	}
	var values [rowsAtOnce]driver.Value
	for some := range slices.Chunk(hashes, rowsAtOnce) {
		for i, hash := range some {
			values[i] = hash
		}
		err := j.conn.each(findUsedHashes, func(row []driver.Value) bool {
			j.used[integer(row[0])] = true
			return true
		}, values[:]...)
		if err != nil {
			return err
		}
	}
	return nil
}

// mayBeUsed reports whether there may be a record with the hash.
func (j *judge) mayBeUsed(hash int64) bool { return j.used == nil || j.used[hash] }

// use notes that there is a record with the hash.
func (j *judge) use(hash int64) {
	if j.used != nil {
		j.used[hash] = true
	}
}

// replay returns the outcome of a mutation whose idempotency key was used before.
func (j *judge) replay(m *mutation) (o contacts.MutationOutcome, err error) {
	i := m.idempotency
	if i == nil || !j.mayBeUsed(i.hash()) {
		return o, nil
	}
	found, err := j.findIdempotency(i)
	switch {
	case err != nil || found == nil:
	case bytes.Equal(found.input[:], i.input[:]):
		o.Result = found.result
	default:
		o.Err = contacts.ErrIdempotencyConflict
	}
	return o, err
}

// findIdempotency returns the newest record of the account and the key of another, nil
// if there is none that has not ended.
func (j *judge) findIdempotency(i *idempotency) (*idempotency, error) {
	packs, err := j.conn.packsOf(i.hash())
	if err != nil {
		return nil, err
	}
	for _, n := range packs {
		if err := j.openPack(n); err != nil {
			return nil, err
		}
		records := j.opened.records
		for k := len(records) - 1; k >= 0; k-- {
			if r := &records[k]; r.isOf(i, j.application.now) {
				return r, nil
			}
		}
	}
	return nil, nil
}

// An openedPack is the pack that a judge has read last. Calls that are sent again often
// come in the order in which they came first.
type openedPack struct {
	n       int64
	records []idempotency
}

func (j *judge) openPack(n int64) error {
	if j.opened.n == n {
		return nil
	}
	var row [2]driver.Value
	if _, err := j.conn.row(findPack, row[:], n); err != nil {
		return err
	}
	records, err := unpack(n, blob(row[0]), blob(row[1]))
	j.opened = openedPack{n, records}
	return err
}

// remember has the idempotency record stored with others of the transaction.
func (c *writeConn) remember(i *idempotency) error {
	c.pack.add(i)
	if c.pack.isFull() {
		return c.storePack()
	}
	return nil
}

// storePack stores the idempotency records that wait.
func (c *writeConn) storePack() error {
	if len(c.pack.hashes) == 0 {
		return nil
	}
	c.hashes.stale = true
	defer c.pack.clear()
	return c.exec(insertPack, c.pack.hashes, c.pack.records, c.pack.endsAt)
}

// maxPruned is how many rows of a kind a batch without mutations removes at most.
// That takes some milliseconds, for which others wait.
const maxPruned = 1000

// A tally counts what ends some day.
type tally struct{ idempotencies, entries int }

// stored notes that so much was stored which ends some day.
func (c *writeConn) stored(now int64, rows tally) {
	c.pruneAt = min(c.pruneAt, now)
	c.pruneFor.idempotencies += rows.idempotencies
	c.pruneFor.entries += rows.entries
}

// prune removes what has ended, two for each that the flight has stored. So
// they become fewer without any other process to see to it. Of jobs with several
// times the earliest counts.
func (c *writeConn) prune() error {
	rows, ended := c.pruneFor, c.pruneAt-contacts.ClockSkew.Microseconds()
	if rows.idempotencies > 0 {
		if err := c.prunePacks(ended, 2*rows.idempotencies); err != nil {
			return err
		}
	}
	if rows.entries > 0 {
		return c.pruneEntries(ended, 2*rows.entries)
	}
	return nil
}

// prunePacks removes about n records that ended by a time, in whole packs. A pack that
// has more than are left of n goes with a chance. So packs also go where each process
// stores only one record.
func (c *writeConn) prunePacks(by int64, n int) error {
	type endedPack struct {
		n      driver.Value
		hashes []byte
	}
	var ended []endedPack
	err := c.each(endedPacks, func(row []driver.Value) bool {
		p := endedPack{row[0], blob(row[1])}
		records := max(1, len(p.hashes)/hashBytes)
		if rand.IntN(records) >= n {
			return false
		}
		n -= records
		ended = append(ended, p)
		return true
	}, by)
	if err != nil {
		return err
	}
	for _, p := range ended {
		for hash := range eachHash(p.hashes) {
			if err := c.exec(deleteHash, hash, p.n); err != nil {
				return err
			}
		}
		if err := c.exec(deletePack, p.n); err != nil {
			return err
		}
	}
	return nil
}
