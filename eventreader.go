package contacts

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// eventPage is how many entries of a journal are read at a time.
const eventPage = 1000

// maxEventData is how many bytes of data make a page of events full. As Go values
// they may take twenty times as much.
const maxEventData = 4 << 20

// An eventReader reads the events of an account in their order, and misses none: it
// says so where events have ended.
type eventReader struct {
	store   Store
	account uuid.UUID
	contact uuid.UUID // the events of this contact alone; zero: of all
	after   int64     // the newest number that was read
	room    int       // bytes of data that the page still takes; without any, next returns what it has
	atOnce  int       // how many entries are read at once: few at first, and where they are large
	looked  int       // how many entries were read

	// lenient: missing numbers are no error. That is so among the events of one
	// contact. For a reader that begins at 0, it is so until its caller has an event.
	lenient bool
}

// newEventReader returns a reader of the events after a sequence.
func newEventReader(store Store, account, contact uuid.UUID, after int64) *eventReader {
	return &eventReader{store: store, account: account, contact: contact, after: after, room: maxEventData, atOnce: defaultEventLimit, lenient: after == 0 || contact != uuid.Nil}
}

// next returns the events of the next entries, limit of them at most, and whether
// there may be more. An event that has ended, or an entry that cannot be read, ends
// the page: next returns the events before it, and the next call returns the error.
// A page that is full ends with the event that filled it.
func (r *eventReader) next(ctx context.Context, now time.Time, limit int) (events []Event, more bool, err error) {
	at, gone := r.after, false
	for {
		entries := min(limit, r.atOnce)
		page, err := r.list(ctx, at, entries+1) // one more, to know whether there is one
		if err != nil {
			return nil, false, newServerError(err)
		}
		further := len(page) > entries
		page = page[:min(len(page), entries)]
		r.looked += len(page)
		r.atOnce = min(4*entries, eventPage)
		for i := range page {
			e := &page[i]
			missing := e.Sequence != at+1 || e.ended(now)
			at = e.Sequence
			gone = gone || missing && !r.lenient
			if e.ended(now) {
				continue
			}
			event, is, err := e.event(r.account)
			switch {
			case !is:
				continue
			case gone:
				return r.stop(events, e.Sequence)
			case err != nil && events != nil:
				return events, true, nil // and the error next time
			case err != nil:
				return nil, false, newServerError(err)
			}
			events = append(events, event)
			r.after, r.lenient = at, r.contact != uuid.Nil
			if r.room -= len(e.Data); r.room <= 0 {
				r.atOnce = i + 1
				return events, i < len(page)-1 || further, nil
			}
		}
		switch {
		case gone && events == nil && further:
			limit = eventPage // what is there after those that have ended?
		case gone:
			return r.stop(events, at+1)
		default:
			r.after = at
			return events, further, nil
		}
	}
}

// stop returns the events before those that have ended. Where there are none, the
// answer is CodeEventsGone.
func (r *eventReader) stop(events []Event, next int64) ([]Event, bool, error) {
	if events != nil {
		return events, true, nil
	}
	e := newError(ErrEventsGone)
	e.Message = fmt.Sprintf("the events after %d have ended; the next one that is there is %d", r.after, next)
	e.NextSequence = next
	return nil, false, e
}

// list returns the next entries after a number.
func (r *eventReader) list(ctx context.Context, after int64, limit int) ([]JournalEntry, error) {
	q := JournalQuery{AccountID: r.account, After: after, Limit: limit}
	if r.contact != uuid.Nil {
		q.Kind, q.Subjects = JournalEvent, [][32]byte{contactSubject(r.contact)}
	}
	return r.store.ListJournal(ctx, q)
}

// ended reports whether the entry may no longer be read.
func (e *JournalEntry) ended(now time.Time) bool {
	return e.Kind == JournalEvent && !e.EndsAt.IsZero() && !e.EndsAt.After(now)
}

// event returns the event of an entry. is: the entry is one, although it may be one
// that cannot be read.
func (e *JournalEntry) event(account uuid.UUID) (event Event, is bool, err error) {
	switch e.Kind {
	case JournalEvent:
		d, err := decodeEvent(e.Data)
		if err != nil {
			return event, true, err
		}
		event, err = d.event(account, e)
		return event, true, err
	case JournalDoNotCall:
		entries, _, err := readLedger([]JournalEntry{*e})
		if err != nil {
			return event, true, err
		}
		if entries == nil { // a companion
			return event, false, nil
		}
		return entries[0].event(account), true, nil
	default: // the receipt of an erasure
		return event, false, nil
	}
}
