//go:build cgo

package sqlite

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"

	"github.com/google/uuid"
)

// Idempotency records are found by hashes, which come in random order. In one large
// table each would change a page of its own. So new ones come into a small table. When
// that has enough, those of one part of the range move to the large table with each
// few hundred that come. They are neighbours there, and share the pages that they
// change.
//
// Each transaction leaves every hash in one of the two, and a search looks in both. So
// it is always complete, in every process.
const (
	hashesSQL      = `(SELECT hash, n FROM idempotency_recent UNION ALL SELECT hash, n FROM idempotency_lookup)`
	countRecentSQL = `SELECT count(*) FROM idempotency_recent`
	copyRecentSQL  = `INSERT INTO idempotency_lookup SELECT hash, n FROM idempotency_recent WHERE hash BETWEEN ? AND ? ORDER BY hash, n`
	dropRecentSQL  = `DELETE FROM idempotency_recent WHERE hash BETWEEN ? AND ?`

	// Pages of the idempotency records, with how often each has its hash in the two
	// tables, and of the hashes, with how many records each has.
	keyedRecordsSQL = `SELECT hash, n, (SELECT count(*) FROM idempotency_recent WHERE hash = i.hash AND n = i.n)
			+ (SELECT count(*) FROM idempotency_lookup WHERE hash = i.hash AND n = i.n), (SELECT id FROM account WHERE n = i.account)
		FROM idempotency AS i WHERE n > ?2 ORDER BY n LIMIT ?3`
	keyedHashesSQL = `SELECT hash, n, (SELECT count(*) FROM idempotency WHERE n = h.n AND hash = h.hash), NULL
		FROM (SELECT hash, n FROM idempotency_recent WHERE (hash, n) > (?1, ?2)
			UNION ALL SELECT hash, n FROM idempotency_lookup WHERE (hash, n) > (?1, ?2) ORDER BY hash, n LIMIT ?3) AS h`

	deleteRecentSQL = `DELETE FROM idempotency_recent WHERE hash = ? AND n = ?`
	deleteHashSQL   = `DELETE FROM idempotency_lookup WHERE hash = ? AND n = ?`
	restoreHashSQL  = `INSERT INTO idempotency_lookup SELECT hash, n FROM idempotency WHERE hash = ? AND n = ?`
)

const (
	// defaultRecentHashes lets eight hashes that move share a page at a million
	// records. The small table has some 130 pages then.
	defaultRecentHashes = 32_768

	// hashParts is how many parts the range of the hashes has. With fewer, more would
	// move in one transaction, for which others wait.
	hashParts = 64
)

// A hashMover moves hashes from the small table to the large one. The flight of the
// writer alone uses it. What it remembers may be of a transaction that was undone, or
// be out of date in another process: then it moves a part a little sooner or later.
type hashMover struct {
	recent int    // how many stay in the small table
	stored int    // since parts were moved last
	part   uint64 // is moved next
}

// newHashMover returns one that begins anywhere, so that programs which store few
// records and end move all parts together.
func newHashMover(recent int) hashMover {
	return hashMover{recent: recent, stored: rand.IntN(max(1, recent/hashParts)), part: rand.Uint64N(hashParts)}
}

// move is told how many records the transaction has stored. It reports whether it
// wrote anything.
func (h *hashMover) move(c *writeConn, stored int) (wrote bool, err error) {
	const width = math.MaxUint64/hashParts + 1
	each := max(1, h.recent/hashParts)
	for h.stored += stored; h.stored >= each; h.stored -= each {
		recent, err := c.number(countRecent)
		if err != nil {
			return wrote, err
		}
		if recent <= int64(h.recent) {
			h.stored = 0
			break
		}
		first := int64(h.part*width + 1<<63)
		last := first + width - 1
		if err := c.exec(copyRecent, first, last); err != nil {
			return true, err // it may have ended the transaction, so nothing may follow
		}
		if err := c.exec(dropRecent, first, last); err != nil {
			return true, err
		}
		wrote = true
		h.part = (h.part + 1) % hashParts
	}
	return wrote, nil
}

// A hashed is an idempotency record as the two tables have it.
type hashed struct{ hash, n int64 }

func (h hashed) compare(o hashed) int {
	return cmp.Or(cmp.Compare(h.hash, o.hash), cmp.Compare(h.n, o.n))
}

// A wrongHash is a hash that a record misses, or that is there without a record or
// twice.
type wrongHash struct {
	hashed
	missing   bool
	accountID uuid.UUID // zero: there is none
}

// wrongHashes calls f with each hash that is wrong, after the state that it was seen
// in is let go.
func (s *Store) wrongHashes(ctx context.Context, f func(wrongHash) error) error {
	for _, q := range []query{keyedRecords, keyedHashes} {
		page := func(from hashed) (wrong []wrongHash, last hashed, err error) {
			err = s.seeing(ctx, func(c *conn) error {
				wrong, last = nil, from
				rows, err := c.rows(ctx, q, from.hash, from.n, int64(checkPage))
				for _, row := range rows {
					last = hashed{integer(row[0]), integer(row[1])}
					if n := integer(row[2]); n != 1 {
						wrong = append(wrong, wrongHash{last, n == 0 && q == keyedRecords, id(row[3])})
					}
				}
				return err
			})
			return wrong, last, err
		}
		if err := inPages(hashed{math.MinInt64, math.MinInt64}, page, f); err != nil {
			return err
		}
	}
	return nil
}

// repairHashes leaves each hash in the large table if its record is there by now, and
// nowhere else.
func repairHashes(c *writeConn, hashes []hashed) error {
	for _, h := range hashes {
		for _, q := range []query{deleteRecent, deleteHash, restoreHash} {
			if err := c.exec(q, h.hash, h.n); err != nil {
				return err
			}
		}
	}
	return nil
}
