//go:build cgo

package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"example.com/contacts"
)

// The event of a new contact holds no copy of the contact. So the events of contacts
// that one transaction creates often differ in contact and time alone. With a row for
// each, most bytes repeated those of the row before, and took most of the time. So up to
// a hundred share a row.
//
// When a row goes or grows, SQLite may leave copies of its neighbours in the unused part
// of a page, where no erasure reaches them. So these rows have a table of their own, and
// it holds no change of a contact: only ids, and who created them from where.

const (
	// runSize is how many events a row has at most. Each is read with all the others.
	runSize = 100

	// runHeads is how far the first 8 bytes of the ids of a row may be apart. Ids of new
	// contacts begin with the time, so this is 250 ms. The row of a contact has its lowest
	// id less than that before the contact's.
	runHeads = 250 << 16

	// runTime is how many microseconds later than the first an event of a row may be. A row
	// goes once all of its events have ended.
	runTime = 1_000_000

	runColumns    = `sequence, contacts, at, kept, replaced, data, later, lowest, highest, n`
	insertRunSQL  = `INSERT INTO event_run (` + runColumns + `, ends_at, account) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	replaceRunSQL = `UPDATE event_run SET data = ?, replaced = ? WHERE n = ?`
	deleteRunSQL  = `DELETE FROM event_run WHERE n = ?`

	// Rows whose events have all ended, each with the newest number of its account.
	endedRunsSQL = `SELECT ` + runColumns + `, account, (SELECT sequence FROM journal_state WHERE account = event_run.account)
		FROM event_run INDEXED BY event_run_ends_at WHERE ends_at <= ? ORDER BY ends_at, n`
)

// A condition of the rows that have events after a sequence.
var runsAfterSQL = `sequence > ?2 - ` + strconv.Itoa(runSize) + ` AND sequence + length(contacts) / 16 > ?2 + 1`

// The row that has the event next to a sequence.
var findRunSQL = `SELECT ` + runColumns + ` FROM event_run WHERE account = ?1 AND sequence <= ?2 + 1 AND ` + runsAfterSQL

// The columns of runColumns.
const (
	runSequence = iota
	runContacts
	runAt
	runKept
	runReplaced
	runData
	runLater
	runLowest
	runHighest
	runN
	runValues
)

const idSize = len(uuid.UUID{})

// An eventRun is a row of event_run.
type eventRun struct {
	n               int64 // of the row
	sequence        int64 // of the first
	contacts        []byte
	at, kept        int64
	later           []int64 // than the first, in microseconds
	lowest, highest int64   // of the first 8 bytes of the ids
	data            string
	replaced        []*string // nil: nothing is replaced
}

func (r *eventRun) len() int { return len(r.later) }

// last returns the sequence of the last event.
func (r *eventRun) last() int64 { return r.sequence + int64(r.len()) - 1 }

// has reports whether one of the events has the sequence.
func (r *eventRun) has(sequence int64) bool { return r.sequence <= sequence && sequence <= r.last() }

// begin starts the row with one event. Its memory is used again.
func (r *eventRun) begin(e *contacts.JournalEntry, sequence int64) {
	head, at := headOf(e.Subject), e.At.UnixMicro()
	*r = eventRun{
		sequence: sequence, at: at, kept: e.EndsAt.UnixMicro() - at, data: e.Data, lowest: head, highest: head,
		contacts: append(r.contacts[:0], e.Subject[:idSize]...), later: append(r.later[:0], 0),
	}
}

// add adds an event, and reports whether the row takes it.
func (r *eventRun) add(e *contacts.JournalEntry, sequence int64) bool {
	head, at := headOf(e.Subject), e.At.UnixMicro()
	later, lowest, highest := at-r.at, min(r.lowest, head), max(r.highest, head)
	if r.len() == 0 || r.len() == runSize || sequence != r.last()+1 || e.Data != r.data || e.EndsAt.UnixMicro()-at != r.kept ||
		later < 0 || later >= runTime || uint64(highest-lowest) >= runHeads {
		return false
	}
	r.lowest, r.highest = lowest, highest
	r.contacts, r.later = append(r.contacts, e.Subject[:idSize]...), append(r.later, later)
	return true
}

func (r *eventRun) clear() { r.contacts, r.later = r.contacts[:0], r.later[:0] }

// values returns the values of insertRunSQL.
func (r *eventRun) values(account int64) []driver.Value {
	endsAt := r.at + slices.Max(r.later) + r.kept
	return []driver.Value{r.sequence, r.contacts, r.at, r.kept, nil, r.data, jsonNumbers(r.later), r.lowest, r.highest, nil, endsAt, account}
}

// decodeRun returns the row with the values of runColumns.
func decodeRun(row []driver.Value) (*eventRun, error) {
	r := &eventRun{
		sequence: integer(row[runSequence]), contacts: blob(row[runContacts]), at: integer(row[runAt]), kept: integer(row[runKept]),
		data: text(row[runData]), lowest: integer(row[runLowest]), highest: integer(row[runHighest]), n: integer(row[runN]),
	}
	err := json.Unmarshal([]byte(text(row[runLater])), &r.later)
	if replaced := text(row[runReplaced]); err == nil && replaced != "" {
		err = json.Unmarshal([]byte(replaced), &r.replaced)
	}
	if err != nil || !r.isWhole() {
		return nil, fmt.Errorf("%w: the events from %d of the journal", ErrCorrupt, r.sequence)
	}
	return r, nil
}

// isWhole reports whether the values of a row fit together.
func (r *eventRun) isWhole() bool {
	if r.len() == 0 || r.len() > runSize || len(r.contacts) != r.len()*idSize || r.replaced != nil && len(r.replaced) != r.len() {
		return false
	}
	lowest, highest := int64(math.MaxInt64), int64(math.MinInt64)
	for id := range slices.Chunk(r.contacts, idSize) {
		head := int64(binary.BigEndian.Uint64(id))
		lowest, highest = min(lowest, head), max(highest, head)
	}
	return lowest == r.lowest && highest == r.highest
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

// isOf reports whether the event with the entry's sequence has its kind and subject.
func (r *eventRun) isOf(e *contacts.JournalEntry) bool {
	there := r.entry(int(e.Sequence - r.sequence))
	return there.Kind == e.Kind && there.Subject == e.Subject
}

// replace gives the event with the entry's sequence the entry's data, and returns the
// column replaced. Once no event needs the common data, it is emptied.
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

// findRun returns the row that has an event with the sequence; nil: none has.
func (c *conn) findRun(account, sequence int64) (*eventRun, error) {
	var row [runValues]driver.Value
	found, err := c.row(findRun, row[:], account, sequence-1)
	if !found || err != nil {
		return nil, err
	}
	return decodeRun(row[:])
}
