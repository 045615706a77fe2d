//go:build cgo

package sqlite

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"slices"
	"sync"

	"example.com/contacts"
	"example.com/contacts/store/internal/packed"
)

const (
	holderColumns = lookupColumns + `, id, team_id, deleted_at`
	findHolderSQL = `SELECT ` + holderColumns + ` FROM contact_data WHERE seq = ?`
	findHitsSQL   = `SELECT seq FROM lookup WHERE account = ? AND kind = ? AND value = ? ORDER BY seq`
)

// Where the columns of holderColumns are after those of appendLookups.
const (
	holderID = lookupColumnCount + iota
	holderTeam
	holderDeletedAt
)

// A claim is a match key that no live contact outside its mutation may hold.
type claim struct {
	key   contacts.MatchKey
	entry lookup // without account and seq
}

func encodeClaims(keys []contacts.MatchKey) []claim {
	if len(keys) == 0 {
		return nil
	}
	claims := make([]claim, len(keys))
	for i, k := range keys {
		claims[i] = claim{k, lookupOfKey(k)}
	}
	return claims
}

// enoughHolders is how many holders of a claim are looked at, to name those
// with the lowest ids. Contacts come nearly in the order of their ids.
// Without a limit, one key of very many contacts would make others wait.
const enoughHolders = 1000

// claims judges the claims of the mutation.
func (j *judge) claims(m *mutation, account int64) (o contacts.MutationOutcome, err error) {
	var live, deleted []contacts.Holder
	var last holder // one contact often has all keys of the mutation
	for i, claim := range m.claims {
		claim.entry.account = account
		holders, known := j.held[claim]
		if !known || slices.ContainsFunc(holders, m.changesHolder) {
			if holders, err = j.holders(m, claim, &last); err != nil {
				return o, err
			}
		}
		for _, h := range holders {
			h.Key = i
			switch {
			case !h.Deleted:
				live = append(live, h)
			case deleted == nil || bytes.Compare(h.ContactID[:], deleted[0].ContactID[:]) > 0:
				deleted = []contacts.Holder{h}
			}
		}
	}
	if live != nil {
		return contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: live}, nil
	}
	return contacts.MutationOutcome{Holders: deleted}, nil
}

// changesHolder reports whether the mutation changes the contact of a holder.
func (m *mutation) changesHolder(h contacts.Holder) bool {
	return slices.ContainsFunc(m.changes, func(c change) bool { return id(c.id) == h.ContactID })
}

// holders returns the holders of a claim outside the mutation that an outcome may name:
// live ones, and the newest deleted one. The candidates are the contacts that the
// look-ups name, and those that are not in the look-ups yet. Each is checked against its
// row. What is found holds for the next mutations of the batch until one is stored: many
// may claim a key that very many contacts have.
func (j *judge) holders(m *mutation, c claim, last *holder) (all []contacts.Holder, err error) {
	var live, deleted []contacts.Holder
	own := false
	see := func(seq int64) (more bool, err error) {
		if last.seq != seq {
			if *last, err = j.holder(seq); err != nil {
				return false, err
			}
		}
		if !slices.Contains(last.keys, c.key) {
			return true, nil
		}
		row := last.row
		contact := id(row[holderID])
		h := contacts.Holder{ContactID: contact, TeamID: integer(row[holderTeam]), Deleted: row[holderDeletedAt] != nil}
		switch {
		case m.changesHolder(h):
			own = true
		case !h.Deleted && !slices.ContainsFunc(live, func(l contacts.Holder) bool { return l.ContactID == contact }):
			live = append(live, h)
		case h.Deleted && (deleted == nil || bytes.Compare(contact[:], deleted[0].ContactID[:]) > 0):
			deleted = []contacts.Holder{h}
		}
		return len(live) < enoughHolders, nil
	}
	if err := j.candidates(c.entry, see); err != nil {
		return nil, err
	}
	slices.SortFunc(live, func(a, b contacts.Holder) int { return bytes.Compare(a.ContactID[:], b.ContactID[:]) })
	all = append(live[:min(len(live), contacts.MaxHolders)], deleted...)
	if all != nil && !own {
		if j.held == nil {
			j.held = make(map[claim][]contacts.Holder)
		}
		j.held[c] = all
	}
	return all, nil
}

// A holder is a contact that may hold a claim.
type holder struct {
	seq  int64
	row  []driver.Value // of holderColumns
	keys []contacts.MatchKey
}

// holder reads a contact. It has no keys if it is gone.
func (j *judge) holder(seq int64) (holder, error) {
	h := holder{seq: seq}
	err := j.conn.each(findHolder, func(row []driver.Value) bool {
		h.row, h.keys = slices.Clone(row), matchKeysOf(row)
		return false
	}, seq)
	return h, err
}

// candidates calls see with each contact that may have the entry, until see returns
// false. It may call it with one contact twice.
func (j *judge) candidates(e lookup, see func(seq int64) (more bool, err error)) (err error) {
	more := true
	failed := j.conn.each(findHits, func(row []driver.Value) bool {
		more, err = see(integer(row[0]))
		return more && err == nil
	}, e.account, int64(e.kind), e.value)
	if failed != nil || err != nil || !more {
		return errors.Join(failed, err)
	}
	seqs, err := j.unmerged.candidates(j.conn, []lookup{e}, j.created)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if more, err = see(seq); err != nil || !more {
			return err
		}
	}
	return nil
}

// matchKeysOf returns the match keys of the contact in a row that begins with
// lookupColumns. A column that is damaged has none.
func matchKeysOf(row []driver.Value) []contacts.MatchKey {
	r := contacts.ContactRecord{Contact: contacts.Contact{ExternalID: text(row[lookupExternalID]), Email: text(row[lookupEmail])}}
	r.Contact.PhoneNumbers, _ = packed.ParsePhones(text(row[lookupPhones]))
	return r.MatchKeys()
}

// lookupOfKey returns the entry of a match key, without account and seq.
func lookupOfKey(k contacts.MatchKey) lookup {
	switch k.Kind {
	case contacts.KeyExternalID:
		return newLookup(byExternalID, k.Value)
	case contacts.KeyPhoneNumber:
		return newLookup(byPhone, k.Value)
	default:
		return newLookup(byEmail, k.Value)
	}
}

// unmergedKeys remembers the match keys of the contacts that are not in the
// look-ups yet. It covers those with a seq above from, up to to. It is a hint. What a
// row says is true: a contact may have changed since, or have been merged. A process
// that never judged a claim, and never listed contacts by their match keys, keeps
// none.
//
// Keys are added in the order of the contacts' seqs. So what a transaction added
// can be taken out when it is undone: the last ones go.
type unmergedKeys struct {
	max  int64 // contacts that it covers, before it drops those that were merged
	seed maphash.Seed

	mu        sync.Mutex
	used      bool
	writing   bool // a transaction is under way
	from, to  int64
	keys      []unmergedKey
	newest    map[uint64]int32 // the index of the newest key with that hash, plus one
	committed keysPosition     // what is left when the transaction under way is undone
	seen      int64            // contacts that the transaction under way had created when they were read last; -1: never
}

type unmergedKey struct {
	hash  uint64
	seq   int64
	older int32 // the index of the next older key with that hash, plus one
}

// A keysPosition is a state of unmergedKeys to go back to.
type keysPosition struct {
	keys int
	to   int64
}

func newUnmergedKeys(limit int) *unmergedKeys {
	return &unmergedKeys{max: int64(limit), seed: maphash.MakeSeed()}
}

// hash is that of an entry without its seq.
func (u *unmergedKeys) hash(e lookup) uint64 {
	var b [24]byte
	binary.NativeEndian.PutUint64(b[0:], uint64(e.account))
	binary.NativeEndian.PutUint64(b[8:], uint64(e.kind))
	binary.NativeEndian.PutUint64(b[16:], uint64(e.value))
	return maphash.Bytes(u.seed, b[:])
}

// candidates returns the contacts that may have one of the entries and that the
// look-ups may not name yet, in the state that the connection shows. created is how
// many contacts the transaction of the connection has created; nil: it reads.
func (u *unmergedKeys) candidates(c *conn, entries []lookup, created *int64) (seqs []int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	reads := created == nil
	mark := int64(0)
	if !u.used || reads {
		if mark, err = c.number(findMark); err != nil {
			return nil, err
		}
	}
	if !u.used {
		u.used, u.from, u.to = true, mark, mark
		u.newest = make(map[uint64]int32)
		u.committed = u.now()
	}
	switch {
	case reads && u.now() != u.committed:
		// The keys of the transaction under way may go again. So what comes
		// after those that stay is read from the rows.
		err = u.read(c, u.committed.to, math.MaxInt64, u.collecting(entries, &seqs))
	case reads:
		if u.isFull() && !u.writing {
			u.drop(mark)
		}
		err = u.read(c, u.to, math.MaxInt64, u.add)
		u.committed = u.now()
	case u.seen != *created: // nobody else creates contacts meanwhile
		err = u.read(c, u.to, math.MaxInt64, u.add)
		u.seen = *created
	}
	if err == nil && reads && mark < u.from { // merged since
		err = u.read(c, mark, u.from, u.collecting(entries, &seqs))
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		seqs = append(seqs, u.find(u.hash(e))...)
	}
	return seqs, nil
}

// collecting returns a function for read that appends the contacts that may have one of
// the entries.
func (u *unmergedKeys) collecting(entries []lookup, seqs *[]int64) func(seq int64, hash uint64) {
	wanted := make(map[uint64]bool, len(entries))
	for _, e := range entries {
		wanted[u.hash(e)] = true
	}
	return func(seq int64, hash uint64) {
		if wanted[hash] {
			*seqs = append(*seqs, seq)
		}
	}
}

// inUse reports whether contacts were ever looked for by their keys.
func (u *unmergedKeys) inUse() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.used
}

// read calls f with each match key of the contacts from a seq, which it does not
// include, up to another.
func (u *unmergedKeys) read(c *conn, from, to int64, f func(seq int64, hash uint64)) error {
	var entries []lookup
	return c.each(lookupRows, func(row []driver.Value) bool {
		entries = appendLookups(entries[:0], row)
		for _, e := range entries {
			if e.kind != byTag {
				f(e.seq, u.hash(e))
			}
		}
		return true
	}, from, to, int64(math.MaxInt64))
}

func (u *unmergedKeys) add(seq int64, hash uint64) {
	u.to = max(u.to, seq)
	u.keys = append(u.keys, unmergedKey{hash, seq, u.newest[hash]})
	u.newest[hash] = int32(len(u.keys))
}

// find returns the contacts that have a key with the hash, in ascending order.
func (u *unmergedKeys) find(hash uint64) (seqs []int64) {
	for at := u.newest[hash]; at > 0; at = u.keys[at-1].older {
		seqs = append(seqs, u.keys[at-1].seq)
	}
	slices.Reverse(seqs)
	return seqs
}

// now returns the present state.
func (u *unmergedKeys) now() keysPosition { return keysPosition{len(u.keys), u.to} }

// begin is called when a transaction that writes has begun.
func (u *unmergedKeys) begin(c *conn) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.committed, u.seen, u.writing = u.now(), -1, true
	if !u.isFull() {
		return nil
	}
	mark, err := c.number(findMark)
	if err == nil {
		u.drop(mark)
	}
	return err
}

// isFull reports whether it is time to drop the keys of contacts that were merged.
func (u *unmergedKeys) isFull() bool { return u.used && u.to-u.from > u.max }

// drop drops the keys of the contacts up to the mark. No transaction may have added
// keys that can still go.
func (u *unmergedKeys) drop(mark int64) {
	if mark <= u.from {
		return
	}
	at, _ := slices.BinarySearchFunc(u.keys, mark+1, func(k unmergedKey, seq int64) int { return cmp.Compare(k.seq, seq) })
	rest := u.keys[at:]
	u.keys, u.newest = nil, make(map[uint64]int32, len(rest))
	for _, k := range rest {
		u.add(k.seq, k.hash)
	}
	u.from, u.to = mark, max(mark, u.to)
	u.committed = u.now()
}

// commit is called when the transaction is in the file.
func (u *unmergedKeys) commit() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.committed, u.writing = u.now(), false
}

// undo is called before the transaction is undone.
func (u *unmergedKeys) undo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cut(u.committed)
	u.writing = false
}

// position returns the state for undoTo.
func (u *unmergedKeys) position() keysPosition {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.now()
}

// undoTo is called before the transaction is undone in part.
func (u *unmergedKeys) undoTo(p keysPosition) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.keys < u.committed.keys || p.to < u.committed.to { // a dry run has added keys since
		p = u.committed
	}
	u.cut(p)
	u.seen = -1
}

func (u *unmergedKeys) cut(p keysPosition) {
	for len(u.keys) > p.keys {
		k := u.keys[len(u.keys)-1]
		u.keys = u.keys[:len(u.keys)-1]
		if k.older == 0 {
			delete(u.newest, k.hash)
		} else {
			u.newest[k.hash] = k.older
		}
	}
	u.to = p.to
}
