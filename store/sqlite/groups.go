//go:build cgo

package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/grouplist"
)

// Contacts that share a match key are found in the look-ups of its kind, which are
// in the order of the values. A value that more than one contact has is a
// candidate, and so is each value of a contact that is not in the look-ups yet.
// The rows of the candidates say which groups there are.
const (
	// The last value of a part of the look-ups.
	endSharedSQL = `SELECT value FROM lookup WHERE account = ?1 AND kind = ?2 AND value >= ?3 ORDER BY value LIMIT 1 OFFSET ?4`

	sharedValuesSQL = `SELECT value FROM lookup WHERE account = ?1 AND kind = ?2 AND value >= ?3 AND value <= ?4
		GROUP BY value HAVING count(*) > 1 ORDER BY value`
)

var sharedContactsSQL = `SELECT ` + contactColumns + ` FROM contact_data NOT INDEXED WHERE seq IN (SELECT value FROM json_each(?2))
	AND account = ` + accountSQL

// sharedAtOnce is how many contacts of a value one statement reads.
const sharedAtOnce = 1000

// A groupWalk makes a page of groups. It goes through the look-ups, a part of them
// in each snapshot.
type groupWalk struct {
	readers  *readers
	q        *contacts.ContactQuery
	kind     lookupKind
	after    groupPosition // of the last group before the next part
	from     int64         // the first value of the next part
	size     int           // of the next part, at most
	max      int
	unmerged unmergedEntries
	page     grouplist.Page
	done     bool
}

// listGroups returns a page of groups, in the order of their positions.
func (s *Store) listGroups(ctx context.Context, q *contacts.ContactQuery) (list contacts.ContactList, err error) {
	after, err := parseGroupPosition(q.Position)
	if err != nil {
		return list, err
	}
	w := &groupWalk{
		readers: s.readers, q: q, kind: lookupOfKey(contacts.MatchKey{Kind: q.Shared}).kind,
		after: after, from: after.value, size: min(firstWalkPart, s.walkPart), max: s.walkPart,
		page: grouplist.New(q.Limit),
	}
	for !w.done {
		if err := w.part(ctx); err != nil {
			return list, err
		}
	}
	if w.unmerged.count >= s.index.catchUpAfter {
		s.index.catchUp(s.writer)
	}
	return w.page.ContactList, nil
}

// part adds the groups of the next part, until the page is full.
func (w *groupWalk) part(ctx context.Context) error {
	var page grouplist.Page
	var end int64
	err := w.readers.snapshot(ctx, func(c *conn) error {
		page, end = w.page, math.MaxInt64
		account, err := c.number(accountNumber, w.q.AccountID[:])
		if err != nil {
			return err
		}
		if err := w.unmerged.read(ctx, c, account, w.q.Shared); err != nil {
			return err
		}
		ends, err := c.rows(ctx, endShared, account, int64(w.kind), w.from, int64(w.size-1))
		if err != nil {
			return err
		}
		if len(ends) > 0 {
			end = integer(ends[0][0])
		}
		rows, err := c.rows(ctx, sharedValues, account, int64(w.kind), w.from, end)
		if err != nil {
			return err
		}
		values := w.unmerged.values(w.from, end)
		for _, row := range rows {
			values = append(values, integer(row[0]))
		}
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			groups, err := w.groupsOf(ctx, c, account, value)
			if err != nil {
				return err
			}
			for _, g := range groups {
				if !page.Add(g.ContactGroup, g.damaged, g.position.String()) {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.page = page
	if w.done = end == math.MaxInt64 || page.Position != ""; !w.done {
		w.from = end + 1
	}
	w.size = min(8*w.size, w.max)
	return nil
}

// groupsOf returns the groups of a value, after the position. Nearly always there
// is one at most, since few texts have the same hash.
func (w *groupWalk) groupsOf(ctx context.Context, c *conn, account, value int64) ([]group, error) {
	seqs, err := c.appendHits(ctx, w.unmerged.seqs(value), lookup{account: account, kind: w.kind, value: value})
	if err != nil {
		return nil, err
	}
	slices.Sort(seqs)
	if seqs = slices.Compact(seqs); len(seqs) < 2 {
		return nil, nil
	}
	byKey := make(map[contacts.MatchKey]*group)
	for part := range slices.Chunk(seqs, sharedAtOnce) {
		err := c.each(sharedContacts, func(row []driver.Value) bool {
			r, damaged := decodeContact(w.q.AccountID, row)
			if !w.q.Matches(r) {
				return ctx.Err() == nil
			}
			keys := r.MatchKeys()
			for i, k := range keys {
				if k.Kind != w.q.Shared || lookupOfKey(k).value != value || slices.Contains(keys[:i], k) {
					continue
				}
				if byKey[k] == nil {
					byKey[k] = newGroup(k)
				}
				byKey[k].add(r, damaged)
			}
			return ctx.Err() == nil
		}, w.q.AccountID[:], jsonNumbers(part))
		if err != nil || ctx.Err() != nil {
			return nil, cmp.Or(err, ctx.Err())
		}
	}
	var groups []group
	for _, g := range byKey {
		if g.Count > 1 && g.position.compare(w.after) > 0 {
			groups = append(groups, *g)
		}
	}
	slices.SortFunc(groups, func(a, b group) int { return a.position.compare(b.position) })
	return groups, nil
}

// A group is a group of contacts with its place in the order.
type group struct {
	contacts.ContactGroup
	position groupPosition
	damaged  []*contacts.DamagedError
}

func newGroup(k contacts.MatchKey) *group {
	g := &group{ContactGroup: contacts.ContactGroup{Key: k}}
	sum := sha256.Sum256([]byte(k.Value))
	g.position = groupPosition{lookupOfKey(k).value, binary.BigEndian.Uint64(sum[8:])}
	return g
}

// add adds a contact. It keeps the records with the lowest ids.
func (g *group) add(r *contacts.ContactRecord, damaged *contacts.DamagedError) {
	g.Count++
	id := func(r *contacts.ContactRecord, id uuid.UUID) int { return bytes.Compare(r.Contact.ID[:], id[:]) }
	at, _ := slices.BinarySearchFunc(g.Records, r.Contact.ID, id)
	if at == contacts.MaxGroupRecords {
		return
	}
	g.Records = slices.Insert(g.Records, at, r)
	if damaged != nil {
		g.damaged = append(g.damaged, damaged)
	}
	if len(g.Records) > contacts.MaxGroupRecords {
		last := g.Records[contacts.MaxGroupRecords].Contact.ID
		g.Records = g.Records[:contacts.MaxGroupRecords]
		g.damaged = slices.DeleteFunc(g.damaged, func(d *contacts.DamagedError) bool { return d.ContactID == last })
	}
}

// A groupPosition is the place of a group in the order: the value of its look-ups,
// and another hash, which tells groups with one value apart.
type groupPosition struct {
	value int64
	hash  uint64
}

func (p groupPosition) compare(other groupPosition) int {
	return cmp.Or(cmp.Compare(p.value, other.value), cmp.Compare(p.hash, other.hash))
}

func (p groupPosition) String() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.value))
	return hex.EncodeToString(binary.BigEndian.AppendUint64(b, p.hash))
}

// parseGroupPosition returns a position. That of "" is before all groups.
func parseGroupPosition(s string) (p groupPosition, err error) {
	if s == "" {
		return groupPosition{value: math.MinInt64}, nil
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return p, contacts.ErrNotFound
	}
	return groupPosition{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])}, nil
}

// unmergedEntries are the look-ups, of one kind and account, of contacts that were
// not in the look-ups yet when they were read. Later they may be. Every contact
// that is not in the look-ups is here: what a change adds goes to the look-ups at
// once.
type unmergedEntries struct {
	started bool
	count   int      // contacts that were read, of all accounts
	upTo    int64    // the last of them
	entries []lookup // by value
}

// read adds the contacts that have come since it was called last.
func (u *unmergedEntries) read(ctx context.Context, c *conn, account int64, kind contacts.KeyKind) error {
	mark, err := c.number(findMark)
	if err != nil {
		return err
	}
	if !u.started || u.upTo < mark {
		u.started, u.upTo = true, mark
	}
	const atOnce = 1000
	before := len(u.entries)
	for {
		read := 0
		err := c.each(lookupRows, func(row []driver.Value) bool {
			read++
			u.upTo = integer(row[lookupSeq])
			if integer(row[lookupAccount]) != account {
				return true
			}
			for _, k := range matchKeysOf(row) {
				if k.Kind == kind {
					e := lookupOfKey(k)
					e.seq = u.upTo
					u.entries = append(u.entries, e)
				}
			}
			return true
		}, u.upTo, int64(math.MaxInt64), int64(atOnce))
		u.count += read
		if err != nil || ctx.Err() != nil {
			return cmp.Or(err, ctx.Err())
		}
		if read < atOnce {
			break
		}
	}
	if len(u.entries) > before {
		slices.SortFunc(u.entries, lookup.compare)
	}
	return nil
}

// values returns the values from one up to another.
func (u *unmergedEntries) values(from, to int64) (values []int64) {
	for _, e := range u.entries[u.first(from):] {
		if e.value > to {
			break
		}
		values = append(values, e.value)
	}
	return values
}

// seqs returns the contacts that have the value.
func (u *unmergedEntries) seqs(value int64) (seqs []int64) {
	for _, e := range u.entries[u.first(value):] {
		if e.value != value {
			break
		}
		seqs = append(seqs, e.seq)
	}
	return seqs
}

func (u *unmergedEntries) first(value int64) int {
	at, _ := slices.BinarySearchFunc(u.entries, value, func(e lookup, value int64) int { return cmp.Compare(e.value, value) })
	return at
}
