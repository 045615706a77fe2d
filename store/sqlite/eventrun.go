//go:build cgo

package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
)

// The event of a new contact holds no copy of the contact. So the events of contacts
// that one transaction creates often differ in contact and time alone. With a row for
// each, what they have in common was most of their bytes and of their time. So up to a
// hundred share a row.
//
// These rows have a table of their own. Of a person they have the id alone, and where
// changes came from. When rows go or grow, SQLite moves their neighbours, and may leave
// copies of those in the unused part of a page. No change of a contact may be there.

const (
	// runSize is how many events a row has at most. Each is read with all the others.
	runSize    = 100
	runSizeSQL = `100`

	// runHeads is how far the first 8 bytes of the ids of a row may be apart: the ids of
	// new contacts begin with the time, and these are 250 ms. A contact is looked for in
	// the rows that begin so far before it.
	runHeads    = 250 << 16
	runHeadsSQL = `16384000`

	// runTime is how many microseconds may be between the first event of a row and
	// another. They are removed together, once all have ended.
	runTime = 1_000_000

	runColumns    = `sequence, contacts, at, kept, replaced, data, later, account`
	findRunSQL    = `SELECT ` + runColumns + `, n FROM event_run WHERE account = ?1 AND sequence <= ?2 AND sequence > ?2 - ` + runSizeSQL + ` ORDER BY sequence DESC LIMIT 1`
	insertRunSQL  = `INSERT INTO event_run (` + runColumns + `, lowest, highest, ends_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	replaceRunSQL = `UPDATE event_run SET data = ?, replaced = ? WHERE n = ?`
	deleteRunSQL  = `DELETE FROM event_run WHERE n = ?`

	// Rows of which all have ended, and the newest entry of their account.
	endedRunsSQL = `SELECT ` + runColumns + `, n, (SELECT sequence FROM journal_state WHERE account = event_run.account)
		FROM event_run INDEXED BY event_run_ends_at WHERE ends_at <= ? ORDER BY ends_at, n`
)

// The columns of runColumns.
const (
	runSequence = iota
	runContacts
	runAt
	runKept
	runReplaced
	runData
	runLater
	runAccount
	runValues
)

const idSize = len(uuid.UUID{})

// An eventRun is a row of event_run.
type eventRun struct {
	account  int64
	sequence int64  // of the first
	contacts []byte // their ids
	at, kept int64
	later    []int64 // than the first, in microseconds; may be negative
	data     string
	replaced []*string // nil: nothing is replaced

	lowest, highest int64 // known while it is made
}

func (r *eventRun) len() int { return len(r.later) }

// last returns the sequence of the last event.
func (r *eventRun) last() int64 { return r.sequence + int64(r.len()) - 1 }

// has reports whether one of the events has the sequence.
func (r *eventRun) has(sequence int64) bool { return r.sequence <= sequence && sequence <= r.last() }

// begin makes the row that of one event. Its memory is used again.
func (r *eventRun) begin(account int64, e *contacts.JournalEntry, sequence int64) {
	head, at := headOf(e.Subject), e.At.UnixMicro()
	*r = eventRun{
		account: account, sequence: sequence, at: at, kept: e.EndsAt.UnixMicro() - at, data: e.Data, lowest: head, highest: head,
		contacts: append(r.contacts[:0], e.Subject[:idSize]...), later: append(r.later[:0], 0),
	}
}

// add adds an event, and reports whether the row takes it.
func (r *eventRun) add(e *contacts.JournalEntry, sequence int64) bool {
	head, at := headOf(e.Subject), e.At.UnixMicro()
	later, lowest, highest := at-r.at, min(r.lowest, head), max(r.highest, head)
	if r.len() == 0 || r.len() == runSize || sequence != r.last()+1 || e.Data != r.data || e.EndsAt.UnixMicro()-at != r.kept ||
		later <= -runTime || later >= runTime || uint64(highest-lowest) >= runHeads {
		return false
	}
	r.lowest, r.highest = lowest, highest
	r.contacts, r.later = append(r.contacts, e.Subject[:idSize]...), append(r.later, later)
	return true
}

func (r *eventRun) clear() { r.contacts, r.later = r.contacts[:0], r.later[:0] }

// values returns the values of insertRunSQL.
func (r *eventRun) values() []driver.Value {
	endsAt := r.at + slices.Max(r.later) + r.kept
	return []driver.Value{r.sequence, r.contacts, r.at, r.kept, nil, r.data, jsonNumbers(r.later), r.account, r.lowest, r.highest, endsAt}
}

// decodeRun returns the row with the values of runColumns.
func decodeRun(row []driver.Value) (*eventRun, error) {
	r := &eventRun{
		sequence: integer(row[runSequence]), contacts: blob(row[runContacts]), at: integer(row[runAt]), kept: integer(row[runKept]),
		data: text(row[runData]), account: integer(row[runAccount]),
	}
	err := json.Unmarshal([]byte(text(row[runLater])), &r.later)
	if replaced := text(row[runReplaced]); err == nil && replaced != "" {
		err = json.Unmarshal([]byte(replaced), &r.replaced)
	}
	if err != nil || len(r.contacts) != r.len()*idSize || r.replaced != nil && len(r.replaced) != r.len() {
		return nil, fmt.Errorf("%w: the events from %d of the journal", ErrCorrupt, r.sequence)
	}
	return r, nil
}

// entry returns one of the events.
func (r *eventRun) entry(i int) contacts.JournalEntry {
	at := r.at + r.later[i]
	e := contacts.JournalEntry{Sequence: r.sequence + int64(i), Kind: contacts.JournalEvent, At: instant(at), EndsAt: instant(at + r.kept), Data: r.data}
	if r.replaced != nil && r.replaced[i] != nil {
		e.Data = *r.replaced[i]
	}
	copy(e.Subject[:], r.contacts[i*idSize:(i+1)*idSize])
	return e
}

// isOf reports whether the event with the sequence of an entry is of its kind and about
// the same.
func (r *eventRun) isOf(e *contacts.JournalEntry) bool {
	there := r.entry(int(e.Sequence - r.sequence))
	return there.Kind == e.Kind && there.Subject == e.Subject
}

// replace gives the event with the sequence of an entry its data, and returns the value
// of the column. What all had in common goes with the last of them.
func (r *eventRun) replace(e *contacts.JournalEntry) (replaced string, err error) {
	if r.replaced == nil {
		r.replaced = make([]*string, r.len())
	}
	r.replaced[e.Sequence-r.sequence] = &e.Data
	if !slices.Contains(r.replaced, nil) {
		r.data = ""
	}
	text, err := json.Marshal(r.replaced)
	return string(text), err
}

// findRun returns the row that has an event with the sequence, and its n; nil: none has.
func (c *conn) findRun(account, sequence int64) (*eventRun, int64, error) {
	var row [runValues + 1]driver.Value
	found, err := c.row(findRun, row[:], account, sequence)
	if !found || err != nil {
		return nil, 0, err
	}
	r, err := decodeRun(row[:])
	if err != nil || !r.has(sequence) {
		return nil, 0, err
	}
	return r, integer(row[runValues]), nil
}
