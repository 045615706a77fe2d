//go:build cgo

package sqlite

import (
	"bytes"
	"database/sql/driver"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	// The number of the account, and of the newest entry of its journal.
	findJournalSQL = `SELECT n, (SELECT sequence FROM journal_state WHERE account = account.n) FROM account WHERE id = ?`
	setNewestSQL   = `INSERT INTO journal_state (account, sequence) VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET sequence = ?2`

	// The kind and the subject of an entry. Without one, its row is the one before it,
	// whose subjects are too few.
	findEntrySQL = `SELECT kind, substr(subject, 1 + 32 * (?2 - sequence), 32) FROM journal WHERE account = ?1 AND sequence <= ?2 ORDER BY sequence DESC LIMIT 1`

	rowColumns         = `account, sequence, kind, subject, at, data, ends_at, later`
	findEntryRowSQL    = `SELECT n, ` + rowColumns + ` FROM journal WHERE account = ?1 AND sequence <= ?2 ORDER BY sequence DESC LIMIT 1`
	insertEntryRowSQL  = `INSERT INTO journal (` + rowColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	replaceEntryRowSQL = `UPDATE journal SET data = ? WHERE n = ?`
	deleteEntryRowSQL  = `DELETE FROM journal WHERE n = ?`

	subjectRow       = `(?, ?, ?, ?)`
	insertSubjectSQL = `INSERT INTO journal_subject (head, account, kind, sequence) VALUES ` + subjectRow
	deleteSubjectSQL = `DELETE FROM journal_subject WHERE head = ? AND account = ? AND kind = ? AND sequence = ?`

	// Rows of events of which the first has ended, after a position, and the newest
	// entry of their account.
	endedEntryRowsSQL = `SELECT n, ` + rowColumns + `, (SELECT sequence FROM journal_state WHERE account = journal.account)
		FROM journal INDEXED BY journal_ends_at
		WHERE ends_at >= ?1 AND (ends_at, n) > (?1, ?2) AND ends_at <= ?3 AND kind = 1 ORDER BY ends_at, n`
)

var insertSubjectsSQL = insertSubjectSQL + strings.Repeat(", "+subjectRow, rowsAtOnce-1)

// An entry is a journal entry in the form of the file.
type entry struct {
	sequence   int64
	kind       int64
	subject    []byte
	at, endsAt driver.Value
	data       string
}

func encodeEntries(from []contacts.JournalEntry) []entry {
	if len(from) == 0 {
		return nil
	}
	entries := make([]entry, len(from))
	for i := range from {
		e := &from[i]
		entries[i] = entry{
			sequence: e.Sequence,
			kind:     int64(e.Kind),
			subject:  bytes.Clone(e.Subject[:]),
			at:       micros(e.At),
			endsAt:   micros(e.EndsAt),
			data:     e.Data,
		}
	}
	return entries
}

// appends reports whether the entry is appended to a journal with that newest
// entry, and the number that it then gets.
func (e *entry) appends(newest int64, verbatim bool) (bool, int64) {
	switch {
	case e.sequence == 0:
		return true, newest + 1
	case verbatim && e.sequence > newest:
		return true, e.sequence
	default:
		return false, e.sequence
	}
}

// openJournals are the journals that a transaction or a dry run has looked at, by
// account.
type openJournals map[uuid.UUID]*openJournal

// An openJournal is the journal of an account, with what has been appended to it
// since. The newest number is written once for all mutations of a transaction.
type openJournal struct {
	account int64    // its number
	newest  int64    // entry
	moved   bool     // newest is not written yet
	waiting entryRow // the last entries, which are not stored yet

	entries map[int64]*entry // that a dry run would have appended
}

// openJournal returns the journal of the account of a mutation.
func (j *judge) openJournal(m *mutation) (*openJournal, error) {
	if o := j.journals[m.madeBy.account]; o != nil {
		return o, nil
	}
	var row [2]driver.Value
	if _, err := j.conn.row(findJournal, row[:], m.account); err != nil {
		return nil, err
	}
	o := &openJournal{account: integer(row[0]), newest: integer(row[1])}
	j.journals[m.madeBy.account] = o
	return o, nil
}

// journal judges the entries of a mutation.
func (j *judge) journal(m *mutation) (refused, err error) {
	o, err := j.openJournal(m)
	if err != nil {
		return nil, err
	}
	last := o.newest
	for i := range m.journal {
		e := &m.journal[i]
		appends, sequence := e.appends(last, j.application.verbatim)
		if appends {
			last = sequence
			continue
		}
		found, err := j.hasEntry(o, e)
		switch {
		case err != nil:
			return nil, err
		case found:
		case j.application.verbatim:
			return contacts.ErrExists, nil
		default:
			return contacts.ErrNotFound, nil
		}
	}
	if j.application.dryRun {
		o.keep(m.journal, j.application.verbatim)
	}
	return nil, nil
}

// hasEntry reports whether there is an entry with the number, the kind and the
// subject.
func (j *judge) hasEntry(o *openJournal, e *entry) (bool, error) {
	if there := o.entries[e.sequence]; there != nil {
		return there.kind == e.kind && bytes.Equal(there.subject, e.subject), nil
	}
	if w := &o.waiting; w.len() > 0 && w.sequence <= e.sequence && e.sequence <= w.last() {
		return w.kind == e.kind && bytes.Equal(w.subject(int(e.sequence-w.sequence)), e.subject), nil
	}
	var row [2]driver.Value
	found, err := j.conn.row(findEntry, row[:], o.account, e.sequence)
	if !found || err != nil {
		return false, err
	}
	return integer(row[0]) == e.kind && bytes.Equal(blob(row[1]), e.subject), nil
}

// keep keeps the entries that a dry run would have appended.
func (o *openJournal) keep(entries []entry, verbatim bool) {
	if o.entries == nil {
		o.entries = make(map[int64]*entry)
	}
	for i := range entries {
		if appends, sequence := entries[i].appends(o.newest, verbatim); appends {
			o.newest = sequence
			o.entries[sequence] = &entries[i]
		}
	}
}

// record stores the journal entries of a mutation that passed.
func (c *writeConn) record(j *judge, m *mutation) error {
	o, err := j.openJournal(m)
	if err != nil {
		return err
	}
	for i := range m.journal {
		e := &m.journal[i]
		appends, sequence := e.appends(o.newest, j.application.verbatim)
		if appends {
			o.newest, o.moved = sequence, true
			err = c.append(o, e, sequence)
		} else {
			err = c.replace(o, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// append has an entry wait for others that may share its row.
func (c *writeConn) append(o *openJournal, e *entry, sequence int64) error {
	if o.waiting.takes(e, sequence) {
		o.waiting.add(e)
		return nil
	}
	if err := c.storeWaiting(o); err != nil {
		return err
	}
	o.waiting.begin(o.account, e, sequence)
	return nil
}

// storeWaiting stores the entries that wait.
func (c *writeConn) storeWaiting(o *openJournal) error {
	if o.waiting.len() == 0 {
		return nil
	}
	for i := range o.waiting.len() {
		c.subjects = append(c.subjects, o.waiting.subjectEntry(i))
	}
	defer o.waiting.clear()
	return c.exec(insertEntryRow, o.waiting.values()...)
}

// replace gives a stored entry other data. Those that share its row get rows of their
// own, and are found as before.
func (c *writeConn) replace(o *openJournal, e *entry) error {
	if err := c.storeWaiting(o); err != nil {
		return err
	}
	var row [1 + rowValues]driver.Value
	if _, err := c.row(findEntryRow, row[:], o.account, e.sequence); err != nil {
		return err
	}
	r, err := decodeEntryRow(row[1:])
	if err != nil {
		return err
	}
	if r.len() == 1 {
		return c.exec(replaceEntryRow, e.data, row[0])
	}
	if err := c.exec(deleteEntryRow, row[0]); err != nil {
		return err
	}
	i := int(e.sequence - r.sequence)
	self := r.part(i, i+1)
	self.data = e.data
	for _, p := range []entryRow{r.part(0, i), self, r.part(i+1, r.len())} {
		if p.len() == 0 {
			continue
		}
		if err := c.exec(insertEntryRow, p.values()...); err != nil {
			return err
		}
	}
	return nil
}

// writeJournals stores the entries that wait, and how far the journals have come.
func (c *writeConn) writeJournals() error {
	for _, o := range c.journals {
		if !o.moved {
			continue
		}
		if err := c.storeWaiting(o); err != nil {
			return err
		}
		if err := c.exec(setNewest, o.account, o.newest); err != nil {
			return err
		}
		o.moved = false
	}
	defer func() { c.subjects = c.subjects[:0] }()
	return insertAll(c, insertSubjects, insertSubject, c.subjects)
}

// forgetJournals forgets what waits to be stored, and what the transaction has read.
func (c *writeConn) forgetJournals() {
	clear(c.journals)
	c.subjects = c.subjects[:0]
}

// pruneEntries looks at about n events that ended by a time, in whole rows, and removes
// them unless they are the newest of their account. It goes on where it ended before:
// the newest entries of many accounts may have ended, and must not be looked at again
// and again. A damaged row stays.
func (c *writeConn) pruneEntries(by int64, n int) error {
	var ended []endedRow
	last := c.prunedTo
	err := c.each(endedEntryRows, func(row []driver.Value) bool {
		if n <= 0 {
			return false
		}
		r, err := decodeEntryRow(row[1:])
		if err == nil {
			ended = append(ended, endedRow{r, integer(row[0]), integer(row[1+rowValues])})
		}
		n -= max(1, r.len())
		last = prunePosition{integer(r.endsAt), integer(row[0])}
		return true
	}, c.prunedTo.endsAt, c.prunedTo.n, by)
	if err != nil {
		return err
	}
	for i := range ended {
		if err := c.pruneRow(&ended[i], by); err != nil {
			return err
		}
	}
	c.prunedTo = firstPrunePosition
	if n <= 0 {
		c.prunedTo = last
	}
	return nil
}

// An endedRow is a row of which the first entry has ended.
type endedRow struct {
	entryRow
	n      int64 // of the row
	newest int64 // entry of the account
}

// pruneRow removes the entries if all have ended, but for the newest of the account.
func (c *writeConn) pruneRow(r *endedRow, by int64) error {
	removed := r.len()
	if r.last() == r.newest {
		removed--
	}
	if removed <= 0 || r.later != nil && integer(r.endsAt)+slices.Max(r.later) > by {
		return nil
	}
	if err := c.exec(deleteEntryRow, r.n); err != nil {
		return err
	}
	for i := range removed {
		c.args = r.subjectEntry(i).values(c.args[:0])
		if err := c.exec(deleteSubject, c.args...); err != nil {
			return err
		}
	}
	if removed == r.len() {
		return nil
	}
	newest := r.part(removed, r.len())
	return c.exec(insertEntryRow, newest.values()...)
}

// A prunePosition is a row in the order of journal_ends_at.
type prunePosition struct{ endsAt, n int64 }

var firstPrunePosition = prunePosition{endsAt: math.MinInt64}
