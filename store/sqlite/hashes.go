//go:build cgo

package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Idempotency records are found by their hashes, which come in random order. In one
// large table each would change a page of its own. So a hash first is in its pack alone,
// and each process that looks for hashes keeps the new ones in memory. When these are
// enough, those of one part of the range move to the table. They are neighbours there,
// and share the pages that they change.
//
// For each part, idempotency_moved says up to which pack its hashes are in the table. So
// a search in the table, and in the packs after the least one there, is always complete,
// in every process.
const (
	hashParts = 64

	findHashPacksSQL = `SELECT n FROM idempotency_lookup WHERE hash = ?`
	leastMovedSQL    = `SELECT part, min(n) FROM idempotency_moved`
	findMovedSQL     = `SELECT n FROM idempotency_moved WHERE part = ?`
	setMovedSQL      = `UPDATE idempotency_moved SET n = ? WHERE part = ?`

	deleteHashSQL = `DELETE FROM idempotency_lookup WHERE hash = ? AND n = ?`

	findHashSQL   = `SELECT EXISTS (SELECT 1 FROM idempotency_lookup WHERE hash = ? AND n = ?)`
	listHashesSQL = `SELECT hash, n, (SELECT hashes FROM idempotency WHERE n = l.n)
		FROM idempotency_lookup AS l WHERE (hash, n) > (?, ?) ORDER BY hash, n LIMIT ?`
)

var (
	insertHashSQL     = insertHashesOf(1)
	insertHashesSQL   = insertHashesOf(rowsAtOnce)
	findUsedHashesSQL = `SELECT hash FROM (VALUES (?)` + strings.Repeat(", (?)", rowsAtOnce-1) + `) CROSS JOIN idempotency_lookup ON hash = column1`
)

// insertHashesOf returns the statement that moves so many hashes. Another process may have
// removed their pack, or moved them.
func insertHashesOf(n int) string {
	return `INSERT OR IGNORE INTO idempotency_lookup SELECT column1, column2 FROM (VALUES (?, ?)` + strings.Repeat(", (?, ?)", n-1) + `)
		WHERE EXISTS (SELECT 1 FROM idempotency WHERE n = column2)`
}

// defaultRecentHashes is how many hashes are not in the table, at most. A dozen of those
// that move share a page at a million records. In memory they take half a MiB. The first
// call with a key reads them: if each has a row of its own, it takes some 40 ms.
const defaultRecentHashes = 32_768

// A hashed is the hash of an idempotency record, and the pack that has the record.
type hashed struct{ hash, n int64 }

func (h hashed) compare(o hashed) int {
	return cmp.Or(cmp.Compare(h.hash, o.hash), cmp.Compare(h.n, o.n))
}

func (h hashed) values(values []driver.Value) []driver.Value { return append(values, h.hash, h.n) }

// hashPart returns the part of the range that a hash is in.
func hashPart(hash int64) int { return int(uint64(hash) / (1 << 64 / hashParts)) }

// recentHashes are the hashes that may not be in the table yet, as the state that a
// connection shows has them.
type recentHashes struct {
	known   bool  // they were read
	stale   bool  // there may be more of them now
	changed bool  // by the open transaction
	from    int64 // the pack after which they were read
	to      int64 // the pack up to which they were read
	next    int   // the part that moves next
	count   int
	parts   [hashParts]recentPart
}

// A recentPart is the hashes of one part of the range.
type recentPart struct {
	hashes []hashed
	bits   [maybeBits / 64]uint64 // bit k is set if a hash has k in the 13 bits after the first 6
}

// maybeBits is the number of bits of a part. With 512 hashes in it, the bit alone rules
// out nine of ten hashes that are absent. Comparing with all of them took longer than a
// search in the table.
const maybeBits = 8192

func (p *recentPart) bit(hash int64) (word *uint64, bit uint64) {
	n := uint64(hash) * hashParts / (1 << 64 / maybeBits)
	return &p.bits[n/64], 1 << (n % 64)
}

func (p *recentPart) add(h hashed) {
	p.hashes = append(p.hashes, h)
	word, bit := p.bit(h.hash)
	*word |= bit
}

func (p *recentPart) has(hash int64) bool {
	word, bit := p.bit(hash)
	return *word&bit != 0 && slices.ContainsFunc(p.hashes, func(h hashed) bool { return h.hash == hash })
}

// clear empties the part, whose memory is used again.
func (p *recentPart) clear() { *p = recentPart{hashes: p.hashes[:0]} }

// maxRecentHashes is how many hashes a connection remembers before it looks whether
// others have moved them.
const maxRecentHashes = 2 * defaultRecentHashes

// catchUpHashes reads the hashes that have come since.
func (c *conn) catchUpHashes() error {
	r := &c.hashes
	if r.known && !r.stale {
		return nil
	}
	if !r.known {
		if err := c.startHashes(); err != nil {
			return err
		}
	}
	r.stale = false
	if err := c.readHashes(maxRecentHashes); err != nil || r.count < maxRecentHashes {
		return err
	}
	if err := c.startHashes(); err != nil {
		return err
	}
	return c.readHashes(math.MaxInt)
}

// startHashes forgets the hashes that are remembered, if more of them are in the table
// than when they were read: those of packs up to the least one in idempotency_moved.
func (c *conn) startHashes() error {
	var row [2]driver.Value
	_, err := c.row(leastMoved, row[:])
	r, least := &c.hashes, integer(row[1])
	if err == nil && (!r.known || least > r.from) {
		*r = recentHashes{known: true, changed: true, from: least, to: least, next: int(integer(row[0]))}
	}
	return err
}

// readHashes reads hashes that have come since, until so many are remembered.
func (c *conn) readHashes(enough int) error {
	r := &c.hashes
	return c.each(packsAfter, func(row []driver.Value) bool {
		r.to, r.changed = integer(row[0]), true
		for hash := range eachHash(blob(row[1])) {
			r.parts[hashPart(hash)].add(hashed{hash, r.to})
			r.count++
		}
		return r.count < enough
	}, r.to)
}

// forgetHashes is called after a transaction was undone. If it had changed what is
// remembered, all is read again: some may be of packs that are gone.
func (c *conn) forgetHashes() {
	if c.hashes.changed {
		c.hashes = recentHashes{}
	}
}

// has reports whether one of the hashes is that.
func (r *recentHashes) has(hash int64) bool {
	return r.parts[hashPart(hash)].has(hash)
}

// packsOf returns the packs that may have records with the hash, the newest first.
func (c *conn) packsOf(hash int64) (packs []int64, err error) {
	if err := c.catchUpHashes(); err != nil {
		return nil, err
	}
	for _, h := range c.hashes.parts[hashPart(hash)].hashes {
		if h.hash == hash {
			packs = append(packs, h.n)
		}
	}
	err = c.each(findHashPacks, func(row []driver.Value) bool {
		packs = append(packs, integer(row[0]))
		return true
	}, hash)
	slices.SortFunc(packs, func(a, b int64) int { return cmp.Compare(b, a) })
	return slices.Compact(packs), err
}

// moveHashes moves hashes to the table until no more than keep are left. It reports
// whether it wrote anything.
func (c *writeConn) moveHashes(keep int) (wrote bool, err error) {
	if err := c.catchUpHashes(); err != nil {
		return false, err
	}
	r := &c.hashes
	for ; r.count > keep; r.next = (r.next + 1) % hashParts {
		if err := c.movePart(r.next); err != nil {
			return true, err
		}
		wrote = true
	}
	return wrote, nil
}

func (c *writeConn) movePart(part int) error {
	moved, err := c.number(findMoved, int64(part))
	if err != nil {
		return err
	}
	r := &c.hashes
	r.changed = true
	r.count -= len(r.parts[part].hashes)
	hashes := slices.DeleteFunc(r.parts[part].hashes, func(h hashed) bool { return h.n <= moved })
	r.parts[part].clear()
	slices.SortFunc(hashes, hashed.compare)
	if err := insertAll(c, insertHashes, insertHash, hashes); err != nil {
		return err
	}
	return c.exec(setMoved, r.to, int64(part))
}

// A wrongHash is a hash that the table misses, or that it has without a record.
type wrongHash struct {
	hashed
	missing   bool
	accountID uuid.UUID // zero: there is none
}

// wrongHashes calls f with each hash that is wrong, after the state that it was seen
// in is let go.
func (s *Store) wrongHashes(ctx context.Context, f func(wrongHash) error) error {
	if err := inPages(int64(0), func(from int64) ([]wrongHash, int64, error) { return s.missingHashes(ctx, from) }, f); err != nil {
		return err
	}
	first := hashed{math.MinInt64, math.MinInt64}
	return inPages(first, func(from hashed) ([]wrongHash, hashed, error) { return s.extraHashes(ctx, from) }, f)
}

// missingHashes returns the hashes that the table misses of some packs, and the last of
// those.
func (s *Store) missingHashes(ctx context.Context, from int64) (page []wrongHash, last int64, err error) {
	err = s.seeing(ctx, func(c *conn) error {
		page, last = nil, from
		rows, err := c.rows(ctx, listPacks, from, int64(checkPage/packSize))
		for _, row := range rows {
			last = integer(row[0])
			records, err := unpack(last, blob(row[1]), blob(row[2]))
			if err != nil {
				return err
			}
			for _, i := range records {
				h := hashed{i.hash(), last}
				missing, err := c.misses(h)
				if err != nil {
					return err
				}
				if missing {
					page = append(page, wrongHash{h, true, i.account})
				}
			}
		}
		return err
	})
	return page, last, err
}

// misses reports whether the table misses the hash of a record.
func (c *conn) misses(h hashed) (bool, error) {
	moved, err := c.number(findMoved, int64(hashPart(h.hash)))
	if err != nil || h.n > moved {
		return false, err
	}
	there, err := c.number(findHash, h.hash, h.n)
	return there == 0, err
}

// extraHashes returns the hashes of a page of the table that have no record, and the
// last of the page.
func (s *Store) extraHashes(ctx context.Context, from hashed) (page []wrongHash, last hashed, err error) {
	err = s.seeing(ctx, func(c *conn) error {
		page, last = nil, from
		rows, err := c.rows(ctx, listHashes, from.hash, from.n, int64(checkPage))
		for _, row := range rows {
			last = hashed{integer(row[0]), integer(row[1])}
			if !hasHash(blob(row[2]), last.hash) {
				page = append(page, wrongHash{hashed: last})
			}
		}
		return err
	})
	return page, last, err
}

// repairHashes leaves each hash in the table if its pack has it by now.
func repairHashes(c *writeConn, hashes []hashed) error {
	for _, h := range hashes {
		var row [2]driver.Value
		if _, err := c.row(findPack, row[:], h.n); err != nil {
			return err
		}
		repair := deleteHash
		if hasHash(blob(row[0]), h.hash) {
			repair = insertHash
		}
		if err := c.exec(repair, h.hash, h.n); err != nil {
			return err
		}
	}
	return nil
}
