//go:build cgo

package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"example.com/contacts"
)

const (
	// The rows that may have an entry after a position: the first is the one that has the
	// entry at the position itself, or ends before it.
	listRowsFromSQL = `SELECT ` + rowColumns + ` FROM journal INDEXED BY sqlite_autoindex_journal_1
		WHERE account = ` + accountSQL + ` AND sequence < ?3 AND (?4 IS NULL OR kind = ?4) AND sequence >= coalesce(
			(SELECT sequence FROM journal WHERE account = ` + accountSQL + ` AND sequence <= ?2 ORDER BY sequence DESC LIMIT 1), 0)`
	listEntryRowsSQL          = listRowsFromSQL + ` ORDER BY sequence`
	listEntryRowsBackwardsSQL = listRowsFromSQL + ` ORDER BY sequence DESC`

	// Erasures are few among many entries, and have an index of their own. None shares a row.
	listErasuresFromSQL = `SELECT ` + rowColumns + ` FROM journal INDEXED BY journal_erasure
		WHERE account = ` + accountSQL + ` AND sequence > ?2 AND sequence < ?3 AND kind = 3`
	listErasuresSQL          = listErasuresFromSQL + ` ORDER BY sequence LIMIT ?4`
	listErasuresBackwardsSQL = listErasuresFromSQL + ` ORDER BY sequence DESC LIMIT ?4`

	// An entry, found by s, in the row j that has it. The columns are those of decodeEntry.
	foundEntrySQL = `SELECT s.sequence, s.kind, substr(j.subject, 1 + 32 * (s.sequence - j.sequence), 32) AS found,
		j.at + coalesce(j.later ->> (s.sequence - j.sequence), 0), j.ends_at + coalesce(j.later ->> (s.sequence - j.sequence), 0), j.data FROM `
	rowOfEntrySQL = ` CROSS JOIN journal AS j ON j.n =
		(SELECT n FROM journal WHERE account = s.account AND sequence <= s.sequence ORDER BY sequence DESC LIMIT 1)`
	subjectRangeSQL = ` s.account = ` + accountSQL + ` AND s.sequence > ?2 AND s.sequence < ?3`

	// An entry is found by the head of its subject, and has to have the whole.
	listSubjectsFromSQL = foundEntrySQL + `journal_subject AS s` + rowOfEntrySQL + ` WHERE` + subjectRangeSQL + `
		AND s.kind IN (SELECT value FROM json_each(?4)) AND s.head IN (SELECT value FROM json_each(?6)) AND found IN (SELECT unhex(value) FROM json_each(?7))`
	listSubjectsSQL          = listSubjectsFromSQL + ` ORDER BY s.sequence LIMIT ?5`
	listSubjectsBackwardsSQL = listSubjectsFromSQL + ` ORDER BY s.sequence DESC LIMIT ?5`

	// The same for entries of one kind about a few subjects, of which any may be
	// NULL: most look-ups are about one or two phone numbers, and reading JSON takes
	// longer than finding the entries. So does making ready to sort: they come in no
	// order.
	listFewSubjectsSQL = foundEntrySQL + `(
			SELECT ?6 AS a, ?7 AS b UNION ALL SELECT ?8, ?9 UNION ALL SELECT ?10, ?11 UNION ALL SELECT ?12, ?13
		) CROSS JOIN journal_subject AS s ON s.head = a AND s.kind = ?4 AND` + subjectRangeSQL + rowOfEntrySQL + ` WHERE found = b LIMIT ?5`

	// The same for one subject, of which there may be very many entries. They are in the
	// order of their sequences, so nothing is sorted.
	listSoleSubjectFromSQL = foundEntrySQL + `journal_subject AS s` + rowOfEntrySQL + ` WHERE` + subjectRangeSQL + `
		AND s.kind = ?4 AND s.head = ?6 AND found = ?7`
	listSoleSubjectSQL          = listSoleSubjectFromSQL + ` ORDER BY s.sequence LIMIT ?5`
	listSoleSubjectBackwardsSQL = listSoleSubjectFromSQL + ` ORDER BY s.sequence DESC LIMIT ?5`
)

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
		args[5+2*i], args[6+2*i] = headOf(q.Subjects[i][:]), bytes.Clone(q.Subjects[i][:])
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
	list, listOf, listOfOne, erasures := listEntryRows, listSubjects, listSoleSubject, listErasures
	if q.Backwards {
		list, listOf, listOfOne, erasures = listEntryRowsBackwards, listSubjectsBackwards, listSoleSubjectBackwards, listErasuresBackwards
		if after, before = 0, q.After; before == 0 {
			before = math.MaxInt64
		}
	}
	switch {
	case q.Subjects != nil:
		return s.listSubjects(ctx, q, after, before, listOf, listOfOne)
	case q.Kind == contacts.JournalErasure:
		return s.readRows(ctx, q, after, before, erasures, q.AccountID[:], after, before, int64(q.Limit))
	default:
		return s.readRows(ctx, q, after, before, list, q.AccountID[:], after, before, number(int64(q.Kind)))
	}
}

// readRows returns the entries in the rows of a statement, which ends when there are
// enough. It may be long: entries of one kind may be few among many.
func (s *Store) readRows(ctx context.Context, q *contacts.JournalQuery, after, before int64, list query, args ...driver.Value) (entries []contacts.JournalEntry, err error) {
	err = s.readers.snapshot(ctx, func(c *conn) (err error) {
		entries = nil
		failed := c.eachUntil(ctx, list, func(row []driver.Value) bool {
			var r entryRow
			if r, err = decodeEntryRow(row); err != nil {
				return false
			}
			entries = r.appendTo(entries, q, after, before)
			return len(entries) < q.Limit
		}, args...)
		return errors.Join(failed, err)
	})
	return entries, err
}

// appendTo appends the entries of the row that are between two positions, as many as the
// query still takes.
func (r *entryRow) appendTo(entries []contacts.JournalEntry, q *contacts.JournalQuery, after, before int64) []contacts.JournalEntry {
	for i := range r.len() {
		if q.Backwards {
			i = r.len() - 1 - i
		}
		sequence := r.sequence + int64(i)
		if after < sequence && sequence < before && len(entries) < q.Limit {
			entries = append(entries, r.entry(i))
		}
	}
	return entries
}

// listSubjects returns the entries about the subjects of the query.
func (s *Store) listSubjects(ctx context.Context, q *contacts.JournalQuery, after, before int64, list, listOfOne query) ([]contacts.JournalEntry, error) {
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
	default:
		heads, subjects := jsonSubjects(q.Subjects)
		rows, err = s.readers.rows(ctx, list, q.AccountID[:], after, before, jsonKinds(q.Kind), int64(q.Limit), heads, subjects)
	}
	if err != nil {
		return nil, err
	}
	var entries []contacts.JournalEntry
	for _, row := range rows {
		entries = append(entries, decodeEntry(row))
	}
	return entries, nil
}

// decodeEntry returns the entry in a row of foundEntrySQL.
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
		numbers[i] = headOf(s[:])
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
