//go:build cgo

package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"math"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	// The number of the account, and of the newest entry of its journal.
	findJournalSQL = `SELECT n, (SELECT sequence FROM journal_state WHERE account = account.n) FROM account WHERE id = ?`
	setNewestSQL   = `INSERT INTO journal_state (account, sequence) VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET sequence = ?2`

	findEntrySQL    = `SELECT kind, subject FROM journal WHERE account = ? AND sequence = ?`
	insertEntrySQL  = `INSERT INTO journal (account, sequence, kind, head, subject, at, data, ends_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	replaceEntrySQL = `UPDATE journal SET data = ? WHERE account = ? AND sequence = ?`

	// Events that have ended, after a position, and whether one is the newest
	// entry of its account.
	endedEntriesSQL = `SELECT n, ends_at, sequence = (SELECT sequence FROM journal_state WHERE account = journal.account)
		FROM journal INDEXED BY journal_ends_at
		WHERE ends_at >= ?1 AND (ends_at, n) > (?1, ?2) AND ends_at <= ?3 AND kind = 1 ORDER BY ends_at, n LIMIT ?4`
	deleteEntrySQL = `DELETE FROM journal WHERE n = ?`
)

// mayShare reports whether an entry of the mutation may share a row: it is an event that
// ends, about the contact that the mutation creates.
func (m *mutation) mayShare(e *contacts.JournalEntry) bool {
	if len(m.changes) != 1 || e.Kind != contacts.JournalEvent || e.At.IsZero() || e.EndsAt.IsZero() {
		return false
	}
	c := &m.changes[0]
	var subject [32]byte
	copy(subject[:], blob(c.id))
	return c.version == 0 && c.row != nil && e.Subject == subject
}

// headOf returns the number by which a subject is found.
func headOf(subject [32]byte) int64 { return int64(binary.BigEndian.Uint64(subject[:])) }

// appends reports whether the entry is appended to a journal with that newest
// entry, and the number that it then gets.
func appends(e *contacts.JournalEntry, newest int64, verbatim bool) (bool, int64) {
	switch {
	case e.Sequence == 0:
		return true, newest + 1
	case verbatim && e.Sequence > newest:
		return true, e.Sequence
	default:
		return false, e.Sequence
	}
}

// openJournals are the journals that the connection that writes remembers, or that a dry
// run has looked at, by account.
type openJournals map[uuid.UUID]*openJournal

// An openJournal is the journal of an account, with what has been appended to it
// since. The newest number is written once for all mutations of a transaction.
type openJournal struct {
	account int64    // its number
	newest  int64    // entry
	moved   bool     // newest is not written yet
	waiting eventRun // the last events, which are not stored yet

	entries map[int64]*contacts.JournalEntry // that a dry run would have appended
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
		if added, sequence := appends(e, last, j.application.verbatim); added {
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
func (j *judge) hasEntry(o *openJournal, e *contacts.JournalEntry) (bool, error) {
	if there := o.entries[e.Sequence]; there != nil {
		return there.Kind == e.Kind && there.Subject == e.Subject, nil
	}
	if o.waiting.has(e.Sequence) {
		return o.waiting.isOf(e), nil
	}
	var row [2]driver.Value
	found, err := j.conn.row(findEntry, row[:], o.account, e.Sequence)
	if err != nil {
		return false, err
	}
	if found {
		return integer(row[0]) == int64(e.Kind) && bytes.Equal(blob(row[1]), e.Subject[:]), nil
	}
	run, err := j.conn.findRun(o.account, e.Sequence)
	return run != nil && run.isOf(e), err
}

// keep keeps the entries that a dry run would have appended.
func (o *openJournal) keep(entries []contacts.JournalEntry, verbatim bool) {
	if o.entries == nil {
		o.entries = make(map[int64]*contacts.JournalEntry)
	}
	for i := range entries {
		if added, sequence := appends(&entries[i], o.newest, verbatim); added {
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
		if added, sequence := appends(e, o.newest, j.application.verbatim); added {
			o.newest = sequence
			if !o.moved {
				o.moved = true
				c.moved = append(c.moved, o)
			}
			err = c.append(o, e, sequence, m.mayShare(e))
		} else {
			err = c.replace(o, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// append stores an entry. One that may share a row waits for others.
func (c *writeConn) append(o *openJournal, e *contacts.JournalEntry, sequence int64, mayShare bool) error {
	if mayShare && o.waiting.add(e, sequence) {
		return nil
	}
	if err := c.storeWaiting(o); err != nil {
		return err
	}
	if mayShare {
		o.waiting.begin(e, sequence)
		return nil
	}
	return c.storeAlone(o.account, e, sequence)
}

// storeWaiting stores the events that wait.
func (c *writeConn) storeWaiting(o *openJournal) error {
	defer o.waiting.clear()
	switch o.waiting.len() {
	case 0:
		return nil
	case 1:
		e := o.waiting.entry(0)
		return c.storeAlone(o.account, &e, e.Sequence)
	default:
		return c.exec(insertRun, o.waiting.values(o.account)...)
	}
}

// storeAlone stores an entry in a row of its own.
func (c *writeConn) storeAlone(account int64, e *contacts.JournalEntry, sequence int64) error {
	return c.exec(insertEntry, account, sequence, int64(e.Kind), headOf(e.Subject), e.Subject[:], micros(e.At), e.Data, micros(e.EndsAt))
}

// replace gives a stored entry other data.
func (c *writeConn) replace(o *openJournal, e *contacts.JournalEntry) error {
	if err := c.storeWaiting(o); err != nil {
		return err
	}
	run, err := c.findRun(o.account, e.Sequence)
	if err != nil {
		return err
	}
	if run == nil {
		return c.exec(replaceEntry, e.Data, o.account, e.Sequence)
	}
	replaced, err := run.replace(e)
	if err != nil {
		return err
	}
	return c.exec(replaceRun, run.data, replaced, run.n)
}

// writeJournals stores the events that wait, and how far the journals have come.
func (c *writeConn) writeJournals() error {
	for _, o := range c.moved {
		if err := c.storeWaiting(o); err != nil {
			return err
		}
		if err := c.exec(setNewest, o.account, o.newest); err != nil {
			return err
		}
		o.moved = false
	}
	c.moved = c.moved[:0]
	return nil
}

// forgetJournals forgets where journals end, and what waits to be stored in them.
func (c *writeConn) forgetJournals() {
	clear(c.journals)
	c.moved = c.moved[:0]
}

// pruneEntries looks at up to n events that ended by a time, and removes them
// unless they are the newest of their account. It goes on where it ended before:
// the newest entries of many accounts may have ended, and must not be looked at
// again and again.
func (c *writeConn) pruneEntries(ended int64, n int) error {
	if err := c.pruneRuns(ended, n); err != nil {
		return err
	}
	rows, err := c.rows(context.Background(), endedEntries, c.prunedTo.endsAt, c.prunedTo.n, ended, int64(n))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if integer(row[2]) != 0 {
			continue
		}
		if err := c.exec(deleteEntry, row[0]); err != nil {
			return err
		}
	}
	if len(rows) < n {
		c.prunedTo = firstPrunePosition
		return nil
	}
	last := rows[len(rows)-1]
	c.prunedTo = prunePosition{integer(last[1]), integer(last[0])}
	return nil
}

// A prunePosition is an entry in the order of journal_ends_at.
type prunePosition struct{ endsAt, n int64 }

var firstPrunePosition = prunePosition{endsAt: math.MinInt64}

// pruneRuns removes about n events that share rows and ended by a time. A row goes once
// all of its events have ended. Only the newest entry of an account stays. A damaged row
// stays too.
func (c *writeConn) pruneRuns(ended int64, n int) error {
	type endedRun struct {
		*eventRun
		account, newest int64
	}
	var runs []endedRun
	looks := maxPruned
	err := c.each(endedRuns, func(row []driver.Value) bool {
		if r, err := decodeRun(row); err == nil {
			runs = append(runs, endedRun{r, integer(row[runValues]), integer(row[runValues+1])})
			n -= r.len()
		}
		looks--
		return n > 0 && looks > 0
	}, ended)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.last() == r.newest {
			e := r.entry(r.len() - 1)
			if err := c.storeAlone(r.account, &e, e.Sequence); err != nil {
				return err
			}
		}
		if err := c.exec(deleteRun, r.n); err != nil {
			return err
		}
	}
	return nil
}
