//go:build cgo

package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"example.com/contacts"
	"example.com/contacts/store/internal/packed"
)

// The look-ups find contacts by phone number, e-mail address, tag and external id.
// Their keys come in random order. Written with each contact, every key would dirty a
// page of its own, which is what slows a large file down. So a contact's row alone is
// written and synced with it, and the look-ups follow in runs of many contacts,
// sorted, so that entries share the pages that they dirty.
//
// The mark, in lookup_state, says up to which contact they have come. A search
// reads the look-ups and the contacts after the mark, and checks what it finds
// against the rows. So it is always complete, in every process, and what a crash
// leaves of a run does no harm.
//
// A run may be stale: another process may have changed or removed one of its
// contacts since it was read. Two rules keep it from restoring deleted entries.
// (1) A run never inserts entries of contacts up to the mark. (2) A deleted entry
// of a contact after the mark is also written to lookup_gone, and the transaction
// that moves the mark past that contact deletes it from the look-ups.
const (
	// The last contact is the last that there ever was: the mark must pass those
	// that were removed, too.
	lookupStateSQL = `SELECT seq, ` + lastContactSQL + ` FROM lookup_state WHERE one = 1`
	lastContactSQL = `coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'contact_data'), 0)`

	lookupColumns = `seq, account, external_id, email, phones, tags`
	lookupRowsSQL = `SELECT ` + lookupColumns + ` FROM contact_data WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`

	// A run that two processes work on is merged twice.
	lookupRow       = `(?, ?, ?, ?)`
	insertLookupSQL = `INSERT OR IGNORE INTO lookup (account, kind, value, seq) VALUES ` + lookupRow
	setLookupSQL    = `UPDATE lookup_state SET seq = max(seq, ?) WHERE one = 1`
	deleteLookupSQL = `DELETE FROM lookup WHERE account = ? AND kind = ? AND value = ? AND seq = ?`

	findMarkSQL      = `SELECT seq FROM lookup_state WHERE one = 1`
	noteLookupSQL    = `INSERT OR IGNORE INTO lookup_gone (account, kind, value, seq) SELECT ?1, ?2, ?3, ?4 WHERE ?4 > (` + findMarkSQL + `)`
	unnoteLookupSQL  = `DELETE FROM lookup_gone WHERE account = ? AND kind = ? AND value = ? AND seq = ?`
	notedLookupsSQL  = `SELECT account, kind, value, seq FROM lookup_gone WHERE seq <= ?`
	unnoteLookupsSQL = `DELETE FROM lookup_gone WHERE seq <= ?`

	// How many entries there are for a value, ?4 at the most, and how many
	// contacts are not in the look-ups yet.
	lookupReachSQL = `SELECT
		(SELECT count(*) FROM (SELECT 1 FROM lookup WHERE account = ` + accountSQL + ` AND kind = ?2 AND value = ?3 LIMIT ?4)),
		` + lastContactSQL + ` - (SELECT seq FROM lookup_state WHERE one = 1)`
)

// Where the columns of lookupColumns are.
const (
	lookupSeq = iota
	lookupAccount
	lookupExternalID
	lookupEmail
	lookupPhones
	lookupTags
	lookupColumnCount
)

var insertLookupsSQL = insertLookupSQL + strings.Repeat(", "+lookupRow, rowsAtOnce-1)

// A lookupKind is what an entry finds a contact by. The numbers are in files.
type lookupKind int64

const (
	byPhone      lookupKind = 1
	byEmail      lookupKind = 2
	byTag        lookupKind = 3
	byExternalID lookupKind = 4
)

// value returns the key of a text: the digits of a phone number, and a hash of
// the others, which is short and tells nothing.
func (k lookupKind) value(s string) int64 {
	if k == byPhone {
		if n, err := strconv.ParseInt(strings.TrimPrefix(s, "+"), 10, 64); err == nil {
			return n
		}
	}
	sum := sha256.Sum256([]byte(s))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// A lookup is one entry.
type lookup struct {
	account int64
	kind    lookupKind
	value   int64
	seq     int64
}

// newLookup returns the entry of a text, without account and seq.
func newLookup(kind lookupKind, text string) lookup {
	return lookup{kind: kind, value: kind.value(text)}
}

// values appends the columns of the entry.
func (a lookup) values(to []driver.Value) []driver.Value {
	return append(to, a.account, int64(a.kind), a.value, a.seq)
}

func (a lookup) compare(b lookup) int {
	switch { // cmp.Or would compare all four
	case a.account != b.account:
		return cmp.Compare(a.account, b.account)
	case a.kind != b.kind:
		return cmp.Compare(a.kind, b.kind)
	case a.value != b.value:
		return cmp.Compare(a.value, b.value)
	default:
		return cmp.Compare(a.seq, b.seq)
	}
}

// appendLookups appends the entries of the contact in a row of lookupColumns. A
// column that is damaged has none; reading the contact fails.
func appendLookups(entries []lookup, row []driver.Value) []lookup {
	add := func(kind lookupKind, text string) {
		e := newLookup(kind, text)
		e.account, e.seq = integer(row[lookupAccount]), integer(row[lookupSeq])
		entries = append(entries, e)
	}
	if external := text(row[lookupExternalID]); external != "" {
		add(byExternalID, external)
	}
	if email := text(row[lookupEmail]); email != "" {
		add(byEmail, contacts.MatchEmail(email))
	}
	phones, _ := packed.ParsePhones(text(row[lookupPhones]))
	for _, p := range phones {
		add(byPhone, p.PhoneNumber)
	}
	tags, _ := packed.ParseTags(text(row[lookupTags]))
	for _, t := range tags {
		add(byTag, t)
	}
	return entries
}

// moveLookups makes the look-ups of a contact follow its change, from one row of
// lookupColumns to another. Entries of what it lost go, and those of what is new
// come. What it keeps is left alone: it is in the look-ups, or on its way there.
func (c *writeConn) moveLookups(stored, changed []driver.Value) error {
	if slices.Equal(stored, changed) {
		return nil
	}
	was, is := appendLookups(nil, stored), appendLookups(nil, changed)
	for _, e := range was {
		if !slices.Contains(is, e) {
			if err := c.removeLookup(e); err != nil {
				return err
			}
		}
	}
	for _, e := range is {
		if !slices.Contains(was, e) {
			if err := c.addLookup(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeLookup removes an entry that a contact has no longer.
func (c *writeConn) removeLookup(e lookup) error {
	values := e.values(nil)
	if err := c.exec(deleteLookup, values...); err != nil {
		return err
	}
	return c.exec(noteLookup, values...)
}

// addLookup adds an entry that a contact did not have before.
func (c *writeConn) addLookup(e lookup) error {
	values := e.values(nil)
	if err := c.exec(unnoteLookup, values...); err != nil {
		return err
	}
	return c.exec(insertLookup, values...)
}

// moveMark moves the mark to a contact, and removes what runs have restored of
// entries that were deleted before.
func (c *writeConn) moveMark(to int64) error {
	gone, err := c.rows(context.Background(), notedLookups, to)
	if err != nil {
		return err
	}
	for _, values := range gone {
		if err := c.exec(deleteLookup, values...); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		if err := c.exec(unnoteLookups, to); err != nil {
			return err
		}
	}
	c.marked = to
	return c.exec(setLookup, to)
}
