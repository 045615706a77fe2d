//go:build cgo

package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

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

	// The columns in the order of decodeEntry.
	entryColumns       = `sequence, kind, subject, at, ends_at, data`
	listJournalFromSQL = `SELECT ` + entryColumns + ` FROM journal INDEXED BY sqlite_autoindex_journal_1
		WHERE account = ` + accountSQL + ` AND sequence > ?2 AND sequence < ?3 AND (?4 IS NULL OR kind = ?4)`
	listJournalSQL          = listJournalFromSQL + ` ORDER BY sequence LIMIT ?5`
	listJournalBackwardsSQL = listJournalFromSQL + ` ORDER BY sequence DESC LIMIT ?5`

	// Erasures are few among many entries, and have an index of their own.
	listErasuresFromSQL = `SELECT ` + entryColumns + ` FROM journal INDEXED BY journal_erasure
		WHERE account = ` + accountSQL + ` AND sequence > ?2 AND sequence < ?3 AND kind = 3`
	listErasuresSQL          = listErasuresFromSQL + ` ORDER BY sequence LIMIT ?4`
	listErasuresBackwardsSQL = listErasuresFromSQL + ` ORDER BY sequence DESC LIMIT ?4`

	// An entry is found by the head of its subject, and has to have the whole.
	listSubjectsFromSQL = `SELECT ` + entryColumns + ` FROM journal INDEXED BY journal_subject
		WHERE account = ` + accountSQL + ` AND kind IN (SELECT value FROM json_each(?4)) AND head IN (SELECT value FROM json_each(?6))
		AND subject IN (SELECT unhex(value) FROM json_each(?7)) AND sequence > ?2 AND sequence < ?3`
	listSubjectsSQL          = listSubjectsFromSQL + ` ORDER BY sequence LIMIT ?5`
	listSubjectsBackwardsSQL = listSubjectsFromSQL + ` ORDER BY sequence DESC LIMIT ?5`

	// The same for entries of one kind about a few subjects, of which any may be
	// NULL: most look-ups are about one or two phone numbers, and reading JSON takes
	// longer than finding the entries. So does making ready to sort: they come in no
	// order.
	listFewSubjectsSQL = `SELECT ` + entryColumns + ` FROM (
			SELECT ?6 AS a, ?7 AS b UNION ALL SELECT ?8, ?9 UNION ALL SELECT ?10, ?11 UNION ALL SELECT ?12, ?13
		) CROSS JOIN journal INDEXED BY journal_subject
		ON account = ` + accountSQL + ` AND kind = ?4 AND head = a AND subject = b AND sequence > ?2 AND sequence < ?3
		LIMIT ?5`

	// The same for one subject, of which there may be very many entries. Those of an
	// account were inserted in the order of their sequences, and the index has their n.
	// So a page is read where it begins, and nothing is sorted.
	listSoleSubjectFromSQL = `SELECT ` + entryColumns + ` FROM journal INDEXED BY journal_subject
		WHERE account = ` + accountSQL + ` AND kind = ?4 AND head = ?6 AND subject = ?7 AND sequence > ?2 AND sequence < ?3
		AND n > coalesce((SELECT n FROM journal WHERE account = ` + accountSQL + ` AND sequence <= ?2 ORDER BY sequence DESC LIMIT 1), 0)
		AND n <= (SELECT n FROM journal WHERE account = ` + accountSQL + ` AND sequence < ?3 ORDER BY sequence DESC LIMIT 1)`
	listSoleSubjectSQL          = listSoleSubjectFromSQL + ` ORDER BY n LIMIT ?5`
	listSoleSubjectBackwardsSQL = listSoleSubjectFromSQL + ` ORDER BY n DESC LIMIT ?5`

	// Events that have ended, after a position, and whether one is the newest
	// entry of its account.
	endedEntriesSQL = `SELECT n, ends_at, sequence = (SELECT sequence FROM journal_state WHERE account = journal.account)
		FROM journal INDEXED BY journal_ends_at
		WHERE ends_at >= ?1 AND (ends_at, n) > (?1, ?2) AND ends_at <= ?3 AND kind = 1 ORDER BY ends_at, n LIMIT ?4`
	deleteEntrySQL = `DELETE FROM journal WHERE n = ?`
)

// An entry is a journal entry in the form of the file.
type entry struct {
	sequence   int64
	kind, head int64
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
			head:     headOf(e.Subject),
			subject:  bytes.Clone(e.Subject[:]),
			at:       micros(e.At),
			endsAt:   micros(e.EndsAt),
			data:     e.Data,
		}
	}
	return entries
}

// headOf returns the number by which a subject is found.
func headOf(subject [32]byte) int64 { return int64(binary.BigEndian.Uint64(subject[:])) }

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
// since. That number is written once for all mutations of a transaction.
type openJournal struct {
	account int64 // its number
	newest  int64 // entry
	moved   bool  // newest is not written yet

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
			err = c.exec(insertEntry, o.account, sequence, e.kind, e.head, e.subject, e.at, e.data, e.endsAt)
		} else {
			err = c.exec(replaceEntry, e.data, o.account, sequence)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeJournals writes how far the journals have come.
func (c *writeConn) writeJournals() error {
	for _, o := range c.journals {
		if !o.moved {
			continue
		}
		if err := c.exec(setNewest, o.account, o.newest); err != nil {
			return err
		}
		o.moved = false
	}
	return nil
}

// pruneEntries looks at up to n events that ended by a time, and removes them
// unless they are the newest of their account. It goes on where it ended before:
// the newest entries of many accounts may have ended, and must not be looked at
// again and again.
func (c *writeConn) pruneEntries(ended int64, n int) error {
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

// fewSubjects is how many subjects listFewSubjectsSQL finds.
const fewSubjects = 4

// isFew reports whether listFewSubjectsSQL can answer the query: it would return an
// entry twice if a subject were there twice.
func isFew(q *contacts.JournalQuery) bool {
	if len(q.Subjects) == 0 || len(q.Subjects) > fewSubjects || q.Kind == 0 {
		return false
	}
	for i := range q.Subjects {
		for j := range i {
			if q.Subjects[i] == q.Subjects[j] {
				return false
			}
		}
	}
	return true
}

// subjectArgs returns the arguments of a statement that takes so many subjects, each
// with its head. They share no memory with the query.
func subjectArgs(q *contacts.JournalQuery, after, before int64, subjects int) []driver.Value {
	args := make([]driver.Value, 5+2*subjects)
	args[0], args[1], args[2], args[3], args[4] = bytes.Clone(q.AccountID[:]), after, before, int64(q.Kind), int64(q.Limit)
	for i := range q.Subjects {
		args[5+2*i], args[6+2*i] = headOf(q.Subjects[i]), bytes.Clone(q.Subjects[i][:])
	}
	return args
}

// ListJournal implements [contacts.Store].
func (s *Store) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	const op = "sqlite: list journal: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	entries, err := s.listJournal(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	return entries, nil
}

func (s *Store) listJournal(ctx context.Context, q *contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	after, before := q.After, int64(math.MaxInt64)
	list, listOf, listOfOne, erasures := listJournal, listSubjects, listSoleSubject, listErasures
	if q.Backwards {
		list, listOf, listOfOne, erasures = listJournalBackwards, listSubjectsBackwards, listSoleSubjectBackwards, listErasuresBackwards
		if after, before = 0, q.After; before == 0 {
			before = math.MaxInt64
		}
	}
	var rows [][]driver.Value
	var err error
	few := isFew(q) && !q.Backwards
	if few {
		rows, err = s.listFew(ctx, listFewSubjects, subjectArgs(q, after, before, fewSubjects))
		few = len(rows) < q.Limit // else these may not be the first
		slices.SortFunc(rows, func(a, b []driver.Value) int { return cmp.Compare(integer(a[0]), integer(b[0])) })
	}
	switch {
	case few || err != nil:
	case len(q.Subjects) == 1 && q.Kind != 0:
		rows, err = s.listFew(ctx, listOfOne, subjectArgs(q, after, before, 1))
	case q.Subjects != nil:
		heads, subjects := jsonSubjects(q.Subjects)
		rows, err = s.readers.rows(ctx, listOf, q.AccountID[:], after, before, jsonKinds(q.Kind), int64(q.Limit), heads, subjects)
	case q.Kind == contacts.JournalErasure:
		rows, err = s.readers.rows(ctx, erasures, q.AccountID[:], after, before, int64(q.Limit))
	default: // which may be long: entries of one kind may be few among many
		err = s.readers.snapshot(ctx, func(c *conn) (err error) {
			rows, err = c.rows(ctx, list, q.AccountID[:], after, before, number(int64(q.Kind)), int64(q.Limit))
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return decodeEntries(rows), nil
}

func decodeEntries(rows [][]driver.Value) (entries []contacts.JournalEntry) {
	for _, row := range rows {
		entries = append(entries, decodeEntry(row))
	}
	return entries
}

// decodeEntry returns the entry in a row of entryColumns.
func decodeEntry(row []driver.Value) contacts.JournalEntry {
	e := contacts.JournalEntry{
		Sequence: integer(row[0]), Kind: contacts.JournalKind(integer(row[1])),
		At: instant(row[3]), EndsAt: instant(row[4]), Data: text(row[5]),
	}
	copy(e.Subject[:], blob(row[2]))
	return e
}

// jsonKinds returns the kinds of entries that a query is about: index searches
// need them all.
func jsonKinds(kind contacts.JournalKind) string {
	if kind != 0 {
		return jsonNumbers([]int64{int64(kind)})
	}
	return jsonNumbers([]int64{int64(contacts.JournalEvent), int64(contacts.JournalDoNotCall), int64(contacts.JournalErasure)})
}

// jsonSubjects returns two JSON arrays: the heads, and the subjects in
// hexadecimal digits.
func jsonSubjects(list [][32]byte) (heads, subjects string) {
	numbers := make([]int64, len(list))
	for i, s := range list {
		numbers[i] = headOf(s)
	}
	return jsonNumbers(numbers), jsonHex(list, func(s *[32]byte) []byte { return s[:] })
}

// jsonHex returns a JSON array of strings of hexadecimal digits.
func jsonHex[E any](list []E, bytes func(*E) []byte) string {
	digits := make([]string, len(list))
	for i := range list {
		digits[i] = strconv.Quote(hex.EncodeToString(bytes(&list[i])))
	}
	return "[" + strings.Join(digits, ",") + "]"
}
