package contacts

import (
	"context"
	"encoding/binary"
	"iter"
)

// A ListDoNotCallInput says which entries of the ledger to list. The zero value
// lists the active blocks.
type ListDoNotCallInput struct {
	Source string // the entry's, to the letter; "": any
	All    bool   // blocks that have ended, and grants, too
	Cursor string // the NextCursor of the previous page; "": the first page
	Limit  int    // the size of a page; 0: 25; at most 100
}

// A DoNotCallPage is one page of the ledger.
type DoNotCallPage struct {
	Limit      int              `json:"limit"`
	NextCursor string           `json:"next_cursor,omitempty"` // gets the next page; "": this is the last one
	Entries    []DoNotCallEntry `json:"entries"`               // in ascending order of sequence
}

// ListDoNotCall returns one page of the ledger, in the order in which the entries
// were recorded. A page may be short, and even empty, although there is more:
// NextCursor says so. It needs Options.DoNotCallPermission.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError, CodeServerError.
func (s *Service) ListDoNotCall(ctx context.Context, key string, in ListDoNotCallInput) (*DoNotCallPage, error) {
	return s.listDoNotCall(ctx, key, &in, func(bad *problems) int { return pageSize(in.Limit, maxPageSize, bad) })
}

// listDoNotCall is ListDoNotCall with the size of a page that limit returns.
func (s *Service) listDoNotCall(ctx context.Context, key string, in *ListDoNotCallInput, limit func(*problems) int) (page *DoNotCallPage, err error) {
	ctx, c, err := s.begin(ctx, key, OpListDoNotCall, 0)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	walk := c.walkLedger(in)
	walk.limit = limit(&c.bad)
	if err := c.bad.err(); err != nil {
		return nil, err
	}
	page = &DoNotCallPage{Limit: walk.limit}
	if page.Entries, err = walk.page(ctx); err != nil {
		return nil, c.fault(err)
	}
	c.observed.returned(len(page.Entries))
	if walk.more {
		page.NextCursor = encodeSequence(walk.after)
	}
	return page, nil
}

// DoNotCallEntries walks the ledger from the Cursor to the end. Limit must be 0. It
// holds up to a thousand entries at a time. An error, one of those of
// ListDoNotCall, is the last thing it yields.
func (s *Service) DoNotCallEntries(ctx context.Context, key string, in ListDoNotCallInput) iter.Seq2[DoNotCallEntry, error] {
	return func(yield func(DoNotCallEntry, error) bool) {
		in := in // each walk starts at the Cursor
		for {
			page, err := s.listDoNotCall(ctx, key, &in, func(bad *problems) int {
				if in.Limit != 0 {
					bad.add("limit", FieldInvalid, "must not be given for the whole list")
				}
				return walkPageSize
			})
			if err != nil {
				yield(DoNotCallEntry{}, err)
				return
			}
			for _, e := range page.Entries {
				if !yield(e, nil) {
					return
				}
			}
			if in.Cursor = page.NextCursor; in.Cursor == "" {
				return
			}
		}
	}
}

// A ledgerWalk goes through the entries of a ledger.
type ledgerWalk struct {
	*call
	source string
	all    bool
	limit  int   // entries on a page
	after  int64 // the sequence of the last one that was looked at
	more   bool  // there may be entries after it
}

func (c *call) walkLedger(in *ListDoNotCallInput) *ledgerWalk {
	w := &ledgerWalk{call: c, source: text(in.Source, "source", maxSource, &c.bad), all: in.All}
	if in.Source != "" && w.source == "" && !c.bad.has("source") {
		c.bad.add("source", FieldRequired, "must not be blank; leave the filter out to list all")
	}
	if in.Cursor != "" {
		var ok bool
		if w.after, ok = decodeSequence(in.Cursor); !ok {
			c.bad.add("cursor", FieldInvalid, "is not a cursor that a list has returned")
		}
	}
	return w
}

// page returns the next entries. It reads at most maxSubjects of the journal, so
// that a page takes a bounded time.
func (w *ledgerWalk) page(ctx context.Context) ([]DoNotCallEntry, error) {
	page := []DoNotCallEntry{}
	l, err := w.openLedger(ctx)
	if l == nil || err != nil {
		return page, err
	}
	for read := 0; ; {
		q := JournalQuery{AccountID: l.account, Kind: JournalDoNotCall, After: w.after, Limit: min(max(2*w.limit, read), maxSubjects-read)}
		journal, err := l.store.ListJournal(ctx, q)
		if err != nil {
			return nil, err
		}
		read += len(journal)
		w.more = len(journal) == q.Limit
		entries, _, err := readLedger(journal)
		if err != nil {
			return nil, err
		}
		shown, err := w.choose(ctx, l, entries)
		if err != nil {
			return nil, err
		}
		for i := range shown {
			if len(page) == w.limit {
				w.more = true
				return page, nil
			}
			page = append(page, shown[i].shown(w.principal))
			w.after = shown[i].Sequence
		}
		if len(journal) > 0 {
			w.after = journal[len(journal)-1].Sequence
		}
		if !w.more || len(page) == w.limit || read == maxSubjects {
			return page, nil
		}
	}
}

// choose returns those of the entries that are listed.
func (w *ledgerWalk) choose(ctx context.Context, l *ledger, entries []ledgerEntry) (chosen []*ledgerEntry, err error) {
	var subjects [][32]byte
	var numbers []string
	for i := range entries {
		e := &entries[i]
		if w.source != "" && e.Source != w.source || !w.all && e.Type != DoNotCallBlock {
			continue
		}
		chosen = append(chosen, e)
		if e.erased {
			subjects = append(subjects, e.subject)
		} else {
			numbers = append(numbers, e.PhoneNumber)
		}
	}
	if w.all || len(chosen) == 0 {
		return chosen, nil
	}
	now, err := w.clock.read()
	if err != nil {
		return nil, err
	}
	view, err := l.find(ctx, numbers)
	if err != nil {
		return nil, err
	}
	bySubject, err := l.findSubjects(ctx, subjects)
	if err != nil {
		return nil, err
	}
	active := chosen[:0]
	for _, e := range chosen {
		of := view[e.PhoneNumber]
		if e.erased {
			of = bySubject[e.subject]
		}
		f := formEntries{entries: of}
		f.sort()
		for _, block := range f.active(now) {
			if block.Sequence == e.Sequence {
				active = append(active, e)
			}
		}
	}
	return active, nil
}

// A cursor of the ledger holds the sequence of the last entry that was looked at.
func encodeSequence(sequence int64) string {
	return packCursor(cursorFormDoNotCall, binary.BigEndian.AppendUint64(nil, uint64(sequence)))
}

func decodeSequence(s string) (sequence int64, ok bool) {
	position, ok := unpackCursor(s, cursorFormDoNotCall)
	if !ok || len(position) != 8 {
		return 0, false
	}
	sequence = int64(binary.BigEndian.Uint64(position))
	return sequence, sequence > 0
}
