//go:build cgo

package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"example.com/contacts"
)

// Creates of one call, and creates that share a transaction, have events of which only
// the contact and the time differ. With a row for each, what they have in common was
// most of the file. So such events share a row.

// rowSize is how many entries a row has at most. Each is read with all the others.
const rowSize = 100

// rowSpan is how many microseconds may be between the first entry of a row and another.
// They are removed together, once all have ended.
const rowSpan = 1_000_000

const subjectSize = len(contacts.JournalEntry{}.Subject)

// An entryRow is a row of the journal. The sequences of its entries follow each other.
type entryRow struct {
	account    int64
	sequence   int64 // of the first
	kind       int64
	subjects   []byte
	at, endsAt driver.Value // of the first
	later      []int64      // how many microseconds after the first each happened and ends; nil: none is later
	data       string
}

func (r *entryRow) len() int { return len(r.subjects) / subjectSize }

// last returns the sequence of the last entry.
func (r *entryRow) last() int64 { return r.sequence + int64(r.len()) - 1 }

// takes reports whether an entry, which is appended with the sequence, may be in the row.
func (r *entryRow) takes(e *entry, sequence int64) bool {
	later, kept := r.laterOf(e)
	return kept && -rowSpan < later && later < rowSpan && 0 < r.len() && r.len() < rowSize &&
		sequence == r.last()+1 && e.kind == int64(contacts.JournalEvent) && e.kind == r.kind && e.data == r.data
}

// laterOf returns how much later than the first an entry happened, and whether it is
// kept for as long.
func (r *entryRow) laterOf(e *entry) (later int64, kept bool) {
	at, ok := e.at.(int64)
	first, okFirst := r.at.(int64)
	endsAt, ends := e.endsAt.(int64)
	firstEndsAt, firstEnds := r.endsAt.(int64)
	later = at - first
	return later, ok && okFirst && ends && firstEnds && later == endsAt-firstEndsAt
}

// begin makes the row that of an entry. Its memory is used again.
func (r *entryRow) begin(account int64, e *entry, sequence int64) {
	*r = entryRow{account: account, sequence: sequence, kind: e.kind, at: e.at, endsAt: e.endsAt, data: e.data, subjects: r.subjects[:0]}
	r.subjects = append(r.subjects, e.subject...)
}

// add adds an entry that the row takes.
func (r *entryRow) add(e *entry) {
	if later, _ := r.laterOf(e); later != 0 || r.later != nil {
		if r.later == nil {
			r.later = make([]int64, r.len(), rowSize)
		}
		r.later = append(r.later, later)
	}
	r.subjects = append(r.subjects, e.subject...)
}

func (r *entryRow) clear() { r.subjects = r.subjects[:0] }

// part returns the row of some of the entries.
func (r *entryRow) part(from, to int) entryRow {
	p := *r
	p.sequence += int64(from)
	p.subjects = r.subjects[from*subjectSize : to*subjectSize]
	if r.later == nil || from == to {
		return p
	}
	first := r.later[from]
	p.at, p.endsAt = integer(r.at)+first, integer(r.endsAt)+first
	p.later = nil
	for _, later := range r.later[from:to] {
		p.later = append(p.later, later-first)
	}
	return p
}

// rowValues is how many values a row has.
const rowValues = 8

// values returns the values of rowColumns.
func (r *entryRow) values() []driver.Value {
	var later driver.Value
	if r.later != nil {
		later = jsonNumbers(r.later)
	}
	return []driver.Value{r.account, r.sequence, r.kind, r.subjects, r.at, r.data, r.endsAt, later}
}

// decodeEntryRow returns the row with the values of rowColumns.
func decodeEntryRow(row []driver.Value) (entryRow, error) {
	r := entryRow{
		account: integer(row[0]), sequence: integer(row[1]), kind: integer(row[2]), subjects: blob(row[3]),
		at: row[4], data: text(row[5]), endsAt: row[6],
	}
	if later := text(row[7]); later != "" {
		if err := json.Unmarshal([]byte(later), &r.later); err != nil || len(r.later) != r.len() {
			return r, fmt.Errorf("%w: the times of the entries after %d of the journal", ErrCorrupt, r.sequence)
		}
	}
	return r, nil
}

// entry returns one of the entries.
func (r *entryRow) entry(i int) contacts.JournalEntry {
	at, endsAt := r.at, r.endsAt
	if r.later != nil {
		at, endsAt = integer(at)+r.later[i], integer(endsAt)+r.later[i]
	}
	e := contacts.JournalEntry{
		Sequence: r.sequence + int64(i), Kind: contacts.JournalKind(r.kind), At: instant(at), EndsAt: instant(endsAt), Data: r.data,
	}
	copy(e.Subject[:], r.subject(i))
	return e
}

// subject returns what one of the entries is about.
func (r *entryRow) subject(i int) []byte { return r.subjects[i*subjectSize : (i+1)*subjectSize] }

// subjectEntry returns the row by which one of the entries is found.
func (r *entryRow) subjectEntry(i int) subjectEntry {
	return subjectEntry{headOf(r.subject(i)), r.account, r.kind, r.sequence + int64(i)}
}

// A subjectEntry is a row of journal_subject.
type subjectEntry struct{ head, account, kind, sequence int64 }

func (s subjectEntry) values(to []driver.Value) []driver.Value {
	return append(to, s.head, s.account, s.kind, s.sequence)
}

// headOf returns the number by which a subject is found.
func headOf(subject []byte) int64 { return int64(binary.BigEndian.Uint64(subject)) }
