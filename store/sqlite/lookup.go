//go:build cgo

package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The look-ups find contacts by phone number, e-mail address and tag. Their keys
// come in random order: written with each contact, every one of them would dirty
// a page of its own, which is what slows a large file down. So a contact's row
// alone is written and synced with it, and the look-ups follow in runs of many
// contacts, sorted, so that entries share the pages they dirty.
//
// The file says up to which contact they have come (lookup_state). A search
// reads the look-ups and, one by one, the contacts behind that mark, and checks
// what it finds against the rows; so it is always complete, in every process,
// and what a crash leaves of a run does no harm.
const (
	lookupStateSQL = `SELECT s.seq, coalesce((SELECT max(seq) FROM contact_data), 0) FROM lookup_state AS s WHERE s.one = 1`
	lookupRowsSQL  = `SELECT seq, account, email, phones, tags FROM contact_data WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`

	// A run that two processes work on is merged twice.
	lookupRow       = `(?, ?, ?, ?)`
	insertLookupSQL = `INSERT OR IGNORE INTO lookup (account, kind, value, seq) VALUES ` + lookupRow
	setLookupSQL    = `UPDATE lookup_state SET seq = max(seq, ?) WHERE one = 1`

	// What a search finds by number, e-mail or tag, newest first.
	searchSQL = `SELECT c.id FROM contact_data AS c
		WHERE +c.account = (SELECT n FROM account WHERE id = ?1) AND c.seq IN (
			SELECT seq FROM lookup WHERE account = (SELECT n FROM account WHERE id = ?1) AND kind = ?2 AND value = ?3
			UNION ALL SELECT seq FROM contact_data WHERE seq > (SELECT seq FROM lookup_state WHERE one = 1))
		AND `
	searchPhoneSQL = searchSQL + `EXISTS (SELECT 1 FROM json_each(c.phones) AS p WHERE p.value ->> 1 = ?4) ORDER BY c.id DESC`
	searchEmailSQL = searchSQL + `c.email = ?4 ORDER BY c.id DESC`
	searchTagSQL   = searchSQL + `EXISTS (SELECT 1 FROM json_each(c.tags) AS t WHERE t.value = ?4) ORDER BY c.id DESC`
)

// lookupsAtOnce is how many entries one statement inserts.
const lookupsAtOnce = 16

func insertLookupsSQL() string {
	return insertLookupSQL + strings.Repeat(", "+lookupRow, lookupsAtOnce-1)
}

// A lookupKind is what an entry finds a contact by. The numbers are in files.
type lookupKind int64

const (
	byPhone lookupKind = 1
	byEmail lookupKind = 2
	byTag   lookupKind = 3
)

// value returns the key of a text: the digits of a phone number, and a hash of
// the others, which is short and tells nothing.
func (k lookupKind) value(s string) int64 {
	if k == byPhone {
		if n, err := strconv.ParseInt(strings.TrimPrefix(s, "+"), 10, 64); err == nil {
			return n
		}
	}
	sum := sha256.Sum256([]byte(s))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// search returns the ids of an account's contacts with that number, address or
// tag, newest first.
func (s *Store) search(ctx context.Context, accountID uuid.UUID, kind lookupKind, what string) ([]uuid.UUID, error) {
	q := map[lookupKind]query{byPhone: searchPhone, byEmail: searchEmail, byTag: searchTag}[kind]
	rows, err := s.readers.rows(ctx, q, accountID[:], int64(kind), kind.value(what), what)
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = id(row[0])
	}
	return ids, nil
}

// A lookup is one entry.
type lookup struct {
	account int64
	kind    lookupKind
	value   int64
	seq     int64
}

func (a lookup) compare(b lookup) int {
	return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.kind, b.kind), cmp.Compare(a.value, b.value), cmp.Compare(a.seq, b.seq))
}

// A run is the entries of the contacts up to one, sorted.
type run struct {
	upTo    int64
	rate    int // entries to merge for each contact that is written
	entries []lookup
	merged  int // how many of them are in the file
	step    int // how many more are in the transaction that is open
}

// An indexer brings the look-ups up to the contacts. It reads and sorts a run
// beside the writer, which then merges it, a part in each of its transactions.
type indexer struct {
	readers *readers
	length  int // contacts in a run
	ctx     context.Context
	cancel  func() // ends what is being prepared

	// The leader alone touches these.
	run     *run
	written int // contacts since the last look at how far the look-ups are behind

	mu       sync.Mutex
	prepared *run
	busy     sync.WaitGroup // has one while a run is being prepared
	working  bool
}

const (
	// defaultRun lets some six entries share a page at a million contacts, and
	// is what a search reads one by one at the most, or twice that.
	defaultRun = 32_768

	// mostEntries is where a run ends before its length, of contacts that have
	// many numbers and tags: a run is kept in memory.
	mostEntries = 1 << 20
)

func newIndexer(r *readers, length int) *indexer {
	x := &indexer{readers: r, length: length, written: length}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

// merge merges a part of the run that is ready, in proportion to the contacts
// that the open transaction holds. It reports whether it wrote anything.
func (x *indexer) merge(c *writeConn, contacts int) (bool, error) {
	x.written += contacts
	if x.run == nil {
		x.next()
	}
	if x.run == nil {
		return false, nil
	}
	return true, x.run.merge(c, x.run.rate*contacts)
}

// next takes the run that was prepared, or has one prepared when it is time.
func (x *indexer) next() {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.prepared != nil:
		x.run, x.prepared = x.prepared, nil
	case !x.working && x.written >= x.length:
		x.written = 0
		x.working = true
		x.busy.Go(func() {
			r, err := x.prepare(x.ctx, x.length)
			if err != nil {
				r = nil // the next one will read the same contacts
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			x.prepared, x.working = r, false
		})
	}
}

// committed is told that what merge wrote is in the file.
func (x *indexer) committed() {
	r := x.run
	if r == nil {
		return
	}
	r.merged += r.step
	r.step = 0
	if r.merged == len(r.entries) {
		x.run = nil
	}
}

// merge writes at most n entries more, and with the last of them how far the
// look-ups have come.
func (r *run) merge(c *writeConn, n int) error {
	rest := r.entries[r.merged:]
	rest = rest[:min(n, len(rest))]
	r.step = len(rest)
	values := make([]driver.Value, 0, 4*lookupsAtOnce)
	for len(rest) > 0 {
		insert, n := &c.insertLookups, lookupsAtOnce
		if len(rest) < n {
			insert, n = &c.insertLookup, 1
		}
		values = values[:0]
		for _, e := range rest[:n] {
			values = append(values, e.account, int64(e.kind), e.value, e.seq)
		}
		if err := insert.exec(values...); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if r.merged+r.step < len(r.entries) {
		return nil
	}
	return c.setLookup.exec(r.upTo)
}

// prepare reads the contacts that are not in the look-ups yet, if they are that
// many, and returns their run; otherwise nil.
func (x *indexer) prepare(ctx context.Context, atLeast int) (*run, error) {
	state, err := x.readers.row(ctx, lookupState)
	if err != nil {
		return nil, err
	}
	from, last := integer(state[0]), integer(state[1])
	if last-from < int64(max(atLeast, 1)) {
		return nil, nil
	}
	r := &run{upTo: min(last, from+4*int64(x.length))}
	first := from
	const page = 1000 // a reader is not held for longer
	for from < r.upTo {
		rows, err := x.readers.rows(ctx, lookupRows, from, r.upTo, int64(page))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			r.entries = appendLookups(r.entries, row)
		}
		if len(rows) < page {
			break
		}
		if from = integer(rows[len(rows)-1][0]); len(r.entries) >= mostEntries {
			r.upTo = from
		}
	}
	// Twice as fast as contacts like these come, so that the look-ups catch up.
	r.rate = 2 * (len(r.entries)/int(r.upTo-first) + 1)
	slices.SortFunc(r.entries, lookup.compare)
	return r, nil
}

// appendLookups appends the entries of the contact in a row of lookupRowsSQL. A
// column that is damaged has none, and fails whoever reads the contact.
func appendLookups(entries []lookup, row []driver.Value) []lookup {
	add := func(kind lookupKind, what string) {
		entries = append(entries, lookup{integer(row[1]), kind, kind.value(what), integer(row[0])})
	}
	if email := text(row[2]); email != "" {
		add(byEmail, email)
	}
	phones, _ := decodePhones(text(row[3]))
	for _, p := range phones {
		add(byPhone, p.PhoneNumber)
	}
	tags, _ := decodeTags(text(row[4]))
	for _, t := range tags {
		add(byTag, t)
	}
	return entries
}

// finish merges all that is left, unless another process is writing.
func (x *indexer) finish(w *writer) error {
	x.cancel()
	x.busy.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // for others' locks, not for the work
	defer cancel()
	for {
		r, err := x.prepare(ctx, 1)
		if r == nil || err != nil {
			return err
		}
		const step = 16_384
		for done := false; !done; { // once at least: a run may have no entries
			err := retry(ctx, func() error {
				if err := w.tryBegin(ctx); err != nil {
					return err
				}
				err := r.merge(w.conn, step)
				if err == nil {
					err = w.conn.commit.exec()
				}
				if err != nil {
					w.undo()
				}
				return err
			})
			if err != nil {
				return err
			}
			r.merged += r.step
			done = r.merged == len(r.entries)
		}
	}
}
