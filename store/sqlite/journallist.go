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
	// The columns of a row of journal, in the places of those of runColumns that they are
	// decoded like. Rows of event_run come with these in one statement, so that both are of
	// one state of the file.
	entryColumns = `sequence, subject, at, ends_at, kind, data, NULL, NULL, NULL, NULL`
	runsTooSQL   = ` UNION ALL SELECT ` + runColumns + ` FROM event_run `

	// Erasures are few among many entries, and have an index of their own.
	listErasuresFromSQL = `SELECT ` + entryColumns + ` FROM journal INDEXED BY journal_erasure
		WHERE account = ` + accountSQL + ` AND sequence > ?2 AND sequence < ?3 AND kind = 3`
	listErasuresSQL          = listErasuresFromSQL + ` ORDER BY sequence LIMIT ?4`
	listErasuresBackwardsSQL = listErasuresFromSQL + ` ORDER BY sequence DESC LIMIT ?4`

	// An entry is found by the head of its subject, and has to have the whole. The rows of
	// events about some of the contacts come from a list of heads and ids.
	listSubjectsFromSQL = `SELECT ` + entryColumns + ` FROM journal INDEXED BY journal_subject
		WHERE account = ` + accountSQL + ` AND kind IN (SELECT value FROM json_each(?4)) AND head IN (SELECT value FROM json_each(?6))
		AND subject IN (SELECT unhex(value) FROM json_each(?7)) AND sequence > ?2 AND sequence < ?3`

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
)

var (
	// Both tables in the order of their sequences, for as long as the caller wants more. The
	// numbers of a row have no gap, so no entry of journal comes between them.
	listJournalFromSQL = `SELECT ` + entryColumns + ` FROM journal INDEXED BY sqlite_autoindex_journal_1
		WHERE account = ` + accountSQL + ` AND sequence > ?2 AND sequence < ?3 AND (?4 IS NULL OR kind = ?4)` +
		runsTooSQL + `INDEXED BY sqlite_autoindex_event_run_1 WHERE account = ` + accountSQL + ` AND ` + runsAfterSQL + `
		AND sequence < ?3 AND (?4 IS NULL OR ?4 = 1)`
	listJournalSQL          = listJournalFromSQL + ` ORDER BY sequence`
	listJournalBackwardsSQL = listJournalFromSQL + ` ORDER BY sequence DESC`

	// A condition of the rows that may have the event of a contact, by the head of its id.
	runsNearSQL = `lowest >= %[1]s - ` + strconv.Itoa(runHeads) + ` AND lowest <= %[1]s AND highest >= %[1]s`

	runsOfSubjectsSQL = runsTooSQL + `NOT INDEXED WHERE n IN (
			SELECT f.n FROM json_each(?8) AS s CROSS JOIN event_run AS f INDEXED BY event_run_contact
			ON f.account = ` + accountSQL + ` AND ` + fmt.Sprintf(runsNearSQL, "(s.value ->> 0)") + ` AND instr(f.contacts, unhex(s.value ->> 1)) > 0)`
	listSubjectsSQL          = `SELECT * FROM (` + listSubjectsFromSQL + ` ORDER BY sequence LIMIT ?5)` + runsOfSubjectsSQL
	listSubjectsBackwardsSQL = `SELECT * FROM (` + listSubjectsFromSQL + ` ORDER BY sequence DESC LIMIT ?5)` + runsOfSubjectsSQL

	runsOfSoleSubjectSQL = runsTooSQL + `INDEXED BY event_run_contact WHERE account = ` + accountSQL + ` AND ?4 = 1
		AND ` + fmt.Sprintf(runsNearSQL, "?6") + ` AND instr(contacts, substr(?7, 1, 16)) > 0`
	listSoleSubjectSQL          = `SELECT * FROM (` + listSoleSubjectFromSQL + ` ORDER BY n LIMIT ?5)` + runsOfSoleSubjectSQL
	listSoleSubjectBackwardsSQL = `SELECT * FROM (` + listSoleSubjectFromSQL + ` ORDER BY n DESC LIMIT ?5)` + runsOfSoleSubjectSQL
)

// fewSubjects is how many subjects listFewSubjectsSQL finds.
const fewSubjects = 4

// isFew reports whether listFewSubjectsSQL can answer the query: it would return an
// entry twice if a subject were there twice, and it does not look for events.
func isFew(q *contacts.JournalQuery) bool {
	if len(q.Subjects) == 0 || len(q.Subjects) > fewSubjects || q.Kind == 0 || q.Kind == contacts.JournalEvent {
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
	page := journalPage{q: q, after: after, before: before}
	few := isFew(q) && !q.Backwards
	var err error
	if few {
		err = page.set(s.listFew(ctx, listFewSubjects, subjectArgs(q, after, before, fewSubjects)))
		few = len(page.entries) < q.Limit // else these may not be the first
	}
	switch {
	case few || err != nil:
	case len(q.Subjects) == 1 && q.Kind != 0:
		err = page.set(s.listFew(ctx, listOfOne, subjectArgs(q, after, before, 1)))
	case q.Subjects != nil:
		heads, subjects := jsonSubjects(q.Subjects)
		err = page.set(s.readers.rows(ctx, listOf, q.AccountID[:], after, before, jsonKinds(q.Kind), int64(q.Limit), heads, subjects, jsonIDs(q)))
	case q.Kind == contacts.JournalErasure:
		err = page.set(s.readers.rows(ctx, erasures, q.AccountID[:], after, before, int64(q.Limit)))
	default: // which may be long: entries of one kind may be few among many
		err = s.readers.snapshot(ctx, func(c *conn) error {
			page.entries = nil
			var damaged error
			err := c.eachUntil(ctx, list, func(row []driver.Value) bool {
				damaged = page.add(row)
				return damaged == nil && len(page.entries) < q.Limit
			}, q.AccountID[:], after, before, number(int64(q.Kind)))
			return errors.Join(err, damaged)
		})
	}
	if err != nil {
		return nil, err
	}
	return page.sorted(), nil
}

// A journalPage is a page of a journal while it is read.
type journalPage struct {
	q             *contacts.JournalQuery
	after, before int64
	about         map[[32]byte]bool // the subjects of the query, once they are asked for
	entries       []contacts.JournalEntry
}

// set replaces the entries with those of the rows.
func (p *journalPage) set(rows [][]driver.Value, err error) error {
	if err != nil {
		return err
	}
	p.entries = nil
	for _, row := range rows {
		if err := p.add(row); err != nil {
			return err
		}
	}
	return nil
}

// add adds the entry of a row of journal, or those of a row of event_run that the query
// is about.
func (p *journalPage) add(row []driver.Value) error {
	if row[runLater] == nil { // which no row of event_run is without
		p.entries = append(p.entries, decodeEntry(row))
		return nil
	}
	r, err := decodeRun(row)
	if err != nil {
		return err
	}
	for i := range r.len() {
		e := r.entry(i)
		if p.after < e.Sequence && e.Sequence < p.before && p.isAbout(e.Subject) {
			p.entries = append(p.entries, e)
		}
	}
	return nil
}

// isAbout reports whether the query asks for entries about the subject.
func (p *journalPage) isAbout(subject [32]byte) bool {
	if p.q.Subjects == nil {
		return true
	}
	if p.about == nil {
		p.about = make(map[[32]byte]bool, len(p.q.Subjects))
		for _, s := range p.q.Subjects {
			p.about[s] = true
		}
	}
	return p.about[subject]
}

// sorted returns the entries in the order of the query, at most its Limit.
func (p *journalPage) sorted() []contacts.JournalEntry {
	slices.SortFunc(p.entries, func(a, b contacts.JournalEntry) int {
		if p.q.Backwards {
			a, b = b, a
		}
		return cmp.Compare(a.Sequence, b.Sequence)
	})
	return p.entries[:min(len(p.entries), p.q.Limit)]
}

// decodeEntry returns the entry in a row of entryColumns.
func decodeEntry(row []driver.Value) contacts.JournalEntry {
	e := contacts.JournalEntry{
		Sequence: integer(row[0]), At: instant(row[2]), EndsAt: instant(row[3]), Kind: contacts.JournalKind(integer(row[4])), Data: text(row[5]),
	}
	copy(e.Subject[:], blob(row[1]))
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

// jsonIDs returns a JSON array of the head and the id of each contact that a query asks
// for events about. The id is in hexadecimal digits.
func jsonIDs(q *contacts.JournalQuery) string {
	if q.Kind != 0 && q.Kind != contacts.JournalEvent {
		return "[]"
	}
	pairs := make([]string, len(q.Subjects))
	for i, s := range q.Subjects {
		pairs[i] = fmt.Sprintf(`[%d,"%x"]`, headOf(s), s[:idSize])
	}
	return "[" + strings.Join(pairs, ",") + "]"
}

// jsonHex returns a JSON array of strings of hexadecimal digits.
func jsonHex[E any](list []E, bytes func(*E) []byte) string {
	digits := make([]string, len(list))
	for i := range list {
		digits[i] = strconv.Quote(hex.EncodeToString(bytes(&list[i])))
	}
	return "[" + strings.Join(digits, ",") + "]"
}
