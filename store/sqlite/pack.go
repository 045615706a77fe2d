//go:build cgo

package sqlite

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/google/uuid"
)

// An import gives each contact an idempotency key. With a row for each of their records,
// and an entry of an index for each row, the keys took as long as the contacts. So
// records of a transaction share a row, which is a pack.
const (
	insertPackSQL = `INSERT INTO idempotency (hashes, records, ends_at) VALUES (?, ?, ?)`
	findPackSQL   = `SELECT hashes, records FROM idempotency WHERE n = ?`
	listPacksSQL  = `SELECT n, hashes, records FROM idempotency WHERE n > ? ORDER BY n LIMIT ?`
	packsAfterSQL = `SELECT n, hashes FROM idempotency WHERE n > ? ORDER BY n`
	endedPacksSQL = `SELECT n, hashes FROM idempotency WHERE ends_at <= ? ORDER BY ends_at`
	deletePackSQL = `DELETE FROM idempotency WHERE n = ?`
)

// hashBytes is how long a hash is. The key of its record begins with as many bytes.
const hashBytes = 8

// packSize is how many records a pack has at most. Each is read with all the others.
const packSize = 100

// A pack is the records of one row.
//
// The hashes are apart from the rest, since they alone are read to find a record. The
// rest of a record is the id of the account, the key without the bytes that the hash
// tells, the input, when it ends, and the length and the text of the result.
type pack struct {
	hashes, records []byte
	endsAt          int64 // of the record that ends last
}

func (p *pack) add(i *idempotency) {
	if len(p.hashes) == 0 {
		p.endsAt = i.endsAt
	}
	p.endsAt = max(p.endsAt, i.endsAt)
	p.hashes = binary.BigEndian.AppendUint64(p.hashes, uint64(i.hash()))
	p.records = append(p.records, i.account[:]...)
	p.records = append(p.records, i.key[hashBytes:]...)
	p.records = append(p.records, i.input[:]...)
	p.records = binary.AppendVarint(p.records, i.endsAt)
	p.records = binary.AppendUvarint(p.records, uint64(len(i.result)))
	p.records = append(p.records, i.result...)
}

func (p *pack) isFull() bool { return len(p.hashes) >= packSize*hashBytes }

func (p *pack) has(hash int64) bool { return hasHash(p.hashes, hash) }

// clear empties the pack, whose memory is used again.
func (p *pack) clear() { p.hashes, p.records = p.hashes[:0], p.records[:0] }

// eachHash yields the hashes of a pack.
func eachHash(hashes []byte) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for h := range slices.Chunk(hashes, hashBytes) {
			if len(h) < hashBytes || !yield(int64(binary.BigEndian.Uint64(h))) {
				return
			}
		}
	}
}

func hasHash(hashes []byte, hash int64) bool {
	for h := range eachHash(hashes) {
		if h == hash {
			return true
		}
	}
	return false
}

// unpack returns the records of a pack.
func unpack(n int64, hashes, records []byte) ([]idempotency, error) {
	all := make([]idempotency, 0, len(hashes)/hashBytes)
	for hash := range eachHash(hashes) {
		var i idempotency
		var ok bool
		if records, ok = i.decode(hash, records); !ok {
			return nil, fmt.Errorf("%w: the idempotency records in row %d", ErrCorrupt, n)
		}
		all = append(all, i)
	}
	return all, nil
}

// decode reads the first of some records, and returns the others.
func (i *idempotency) decode(hash int64, b []byte) (rest []byte, ok bool) {
	const account, key, input = 0, len(uuid.UUID{}), len(uuid.UUID{}) + len(i.key) - hashBytes
	if len(b) < input+len(i.input) {
		return nil, false
	}
	copy(i.account[:], b[account:])
	binary.BigEndian.PutUint64(i.key[:], uint64(hash)^accountBits(i.account))
	copy(i.key[hashBytes:], b[key:])
	copy(i.input[:], b[input:])
	b = b[input+len(i.input):]
	endsAt, width := binary.Varint(b)
	if width <= 0 {
		return nil, false
	}
	b = b[width:]
	length, width := binary.Uvarint(b)
	if width <= 0 || length > uint64(len(b)-width) {
		return nil, false
	}
	b = b[width:]
	i.endsAt, i.result = endsAt, string(b[:length])
	return b[length:], true
}
