//go:build cgo

package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"strconv"
	"strings"
)

// The look-ups find contacts by phone number, e-mail address and tag. Their keys
// come in random order: written with each contact, every one of them would dirty
// a page of its own, which is what slows a large file down. So a contact's row
// alone is written and synced with it, and the look-ups follow in runs of many
// contacts, sorted, so that entries share the pages they dirty.
//
// The file says up to which contact they have come (lookup_state). A search
// reads the look-ups and, one by one, the contacts behind that mark, and checks
// what it finds against the rows; so it is always complete, in every process,
// and what a crash leaves of a run does no harm.
//
// A run that was read before a contact changed or was purged, by whichever
// process, must not bring back for good what went. Behind the mark, what goes is
// noted in lookup_gone, and whoever moves the mark past it removes it from the
// look-ups; before the mark, runs write no entries any more.
const (
	// The last contact is the last that there ever was: the mark must come to
	// pass those that were purged.
	lookupStateSQL = `SELECT seq, ` + lastContactSQL + ` FROM lookup_state WHERE one = 1`
	lastContactSQL = `coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'contact_data'), 0)`

	// The columns in the order of appendLookups.
	lookupColumns = `seq, account, email, phones, tags`
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

// lookupsAtOnce is how many entries one statement inserts.
const lookupsAtOnce = 16

func insertLookupsSQL() string {
	return insertLookupSQL + strings.Repeat(", "+lookupRow, lookupsAtOnce-1)
}

// A lookupKind is what an entry finds a contact by. The numbers are in files.
type lookupKind int64

const (
	byPhone lookupKind = 1
	byEmail lookupKind = 2
	byTag   lookupKind = 3
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

// values appends the columns of the entry.
func (a lookup) values(to []driver.Value) []driver.Value {
	return append(to, a.account, int64(a.kind), a.value, a.seq)
}

func (a lookup) compare(b lookup) int {
	return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.kind, b.kind), cmp.Compare(a.value, b.value), cmp.Compare(a.seq, b.seq))
}

// appendLookups appends the entries of the contact in a row of lookupColumns. A
// column that is damaged has none, and fails whoever reads the contact.
func appendLookups(entries []lookup, row []driver.Value) []lookup {
	add := func(kind lookupKind, what string) {
		entries = append(entries, lookup{integer(row[1]), kind, kind.value(what), integer(row[0])})
	}
	if email := text(row[2]); email != "" {
		add(byEmail, email)
	}
	phones, _ := decodePhones(text(row[3]))
	for _, p := range phones {
		add(byPhone, p.PhoneNumber)
	}
	tags, _ := decodeTags(text(row[4]))
	for _, t := range tags {
		add(byTag, t)
	}
	return entries
}

// removeLookup removes an entry of a contact that does not have it any more.
func (c *writeConn) removeLookup(e lookup) error {
	values := e.values(nil)
	if err := c.deleteLookup.exec(values...); err != nil {
		return err
	}
	return c.noteLookup.exec(values...)
}

// addLookup adds an entry of a contact that had it not.
func (c *writeConn) addLookup(e lookup) error {
	values := e.values(nil)
	if err := c.unnoteLookup.exec(values...); err != nil {
		return err
	}
	return c.insertLookup.exec(values...)
}

// moveMark moves lookup_state to a contact, and removes what runs have brought of
// entries that went before.
func (c *writeConn) moveMark(to int64) error {
	gone, err := c.notedLookups.rows(context.Background(), []driver.Value{to})
	if err != nil {
		return err
	}
	for _, values := range gone {
		if err := c.deleteLookup.exec(values...); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		if err := c.unnoteLookups.exec(to); err != nil {
			return err
		}
	}
	return c.setLookup.exec(to)
}
