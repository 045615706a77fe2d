//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A run is the entries of the contacts up to one, sorted.
type run struct {
	from    int64 // where the look-ups were when it was read
	upTo    int64
	rate    int // entries to merge for each contact that is written
	entries []lookup
	merged  int // how many of them are in the file
	step    int // how many more are in the transaction that is open
}

// An indexer brings the look-ups up to the contacts. It reads and sorts a run
// beside the writer, which then merges it, a part in each of its transactions.
type indexer struct {
	readers      *readers
	runLength    int              // contacts in a run of a small file; see length
	catchUpAfter int              // contacts not in the look-ups from which on a search has them merged
	now          func() time.Time // the clock
	ctx          context.Context
	cancel       func() // ends what is being done beside the writer

	last atomic.Int64 // when contacts were last written, in nanoseconds since 1970

	// The flight of the writer alone touches these.
	run     *run
	written int   // contacts since it was last seen how many are not in the look-ups
	mark    int64 // the contact up to which the look-ups have come, as far as is known
	newest  int64 // the last contact that there ever was, as far as is known

	unmerged atomic.Int64 // contacts that are not in the look-ups, for Stats

	mu       sync.Mutex
	prepared *run
	busy     sync.WaitGroup // has one for each of the two below; only mu's holder adds to it
	working  bool           // a run is being prepared
	catching bool           // catchUp is at work
}

const (
	// defaultRunLength is that of files of up to half a million contacts. At a million a
	// run is twice as long, and some twelve entries share a page. A search reads at most
	// one or two runs of contacts one by one.
	defaultRunLength = 32_768

	// defaultCatchUpAfter takes a search some milliseconds to read.
	defaultCatchUpAfter = 2048

	// quiet is for how long no contact was written when a search may have the
	// rest merged. Until then creates merge it, and would have to wait for
	// another that does.
	quiet = 500 * time.Millisecond

	// maxRunEntries ends a run of contacts with many numbers and tags before its
	// length. A run is kept in memory, and this many entries take 32 MiB.
	maxRunEntries = 1 << 20
)

func newIndexer(r *readers, c *config) *indexer {
	x := &indexer{readers: r, runLength: c.runLength, catchUpAfter: c.catchUpAfter, now: c.now, written: 2 * c.runLength}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

// look sees how many contacts are not in the look-ups. It is for a store that has
// just been opened.
func (x *indexer) look(ctx context.Context) error {
	state, err := x.readers.row(ctx, lookupState)
	if err != nil {
		return err
	}
	x.mark, x.newest = integer(state[0]), integer(state[1])
	x.unmerged.Store(x.newest - x.mark)
	return nil
}

// merge merges a part of the run that is ready, in proportion to the contacts
// that the open transaction holds. It reports whether it wrote anything.
func (x *indexer) merge(c *writeConn, contacts int) (bool, error) {
	x.written += contacts
	if x.run == nil {
		if err := x.next(c); err != nil {
			return false, err
		}
	}
	if x.run == nil {
		return false, nil
	}
	return true, x.run.merge(c, x.run.rate*contacts)
}

// next takes the run that was prepared, or has one prepared when it is time.
func (x *indexer) next(c *writeConn) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.prepared != nil:
		x.run, x.prepared = x.prepared, nil
	case !x.working && x.written >= x.length() && x.ctx.Err() == nil:
		var state [2]driver.Value
		if _, err := c.row(lookupState, state[:]); err != nil {
			return err
		}
		x.mark, x.newest = integer(state[0]), integer(state[1])-c.created // what other processes did, too
		x.written = 0
		x.working = true
		length := x.length()
		x.busy.Go(func() {
			r, _ := x.prepare(x.ctx, length) // where it fails, the next one will read the same contacts
			x.mu.Lock()
			defer x.mu.Unlock()
			x.prepared, x.working = r, false
		})
	}
	return nil
}

// length returns how many contacts a run has. In a larger file the entries of a run are
// spread over more pages, so it takes a longer one for some of them to share a page.
func (x *indexer) length() int {
	return min(max(x.runLength, int(x.newest/16)), 2*x.runLength)
}

// wroteContacts is told that the transaction of the connection is in the file.
func (x *indexer) wroteContacts(c *writeConn) {
	x.mark = max(x.mark, c.marked)
	x.newest = max(x.newest+c.created, x.mark)
	x.unmerged.Store(x.newest - x.mark)
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
// look-ups have come. Entries of contacts that the look-ups have passed since the
// run was read are left out: they are there already, or have gone.
func (r *run) merge(c *writeConn, n int) error {
	mark, err := c.number(findMark)
	if err != nil {
		return err
	}
	rest := r.entries[r.merged:]
	rest = rest[:min(n, len(rest))]
	r.step = len(rest)
	if mark > r.from {
		rest = slices.DeleteFunc(slices.Clone(rest), func(e lookup) bool { return e.seq <= mark })
	}
	if err := insertAll(c, insertLookups, insertLookup, rest); err != nil {
		return err
	}
	if r.merged+r.step < len(r.entries) {
		return nil
	}
	return c.moveMark(r.upTo)
}

// prepare reads the contacts that are not in the look-ups yet, and returns their
// run. It returns nil if there are fewer than atLeast.
func (x *indexer) prepare(ctx context.Context, atLeast int) (*run, error) {
	state, err := x.readers.row(ctx, lookupState)
	if err != nil {
		return nil, err
	}
	from, last := integer(state[0]), integer(state[1])
	if last-from < int64(max(atLeast, 1)) {
		return nil, nil
	}
	r := &run{from: from, upTo: min(last, from+4*int64(x.runLength))}
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
		if from == r.from { // room for as many of the others, at once: growing costs more than reading
			r.entries = slices.Grow(r.entries, min(len(r.entries)*int(r.upTo-from)/page, maxRunEntries))
		}
		if from = integer(rows[len(rows)-1][0]); len(r.entries) >= maxRunEntries {
			r.upTo = from
		}
	}
	// Twice as fast as contacts like these come, so that the look-ups catch up.
	r.rate = 2 * (len(r.entries)/int(r.upTo-r.from) + 1)
	slices.SortFunc(r.entries, lookup.compare)
	return r, nil
}

// wrote is told that contacts are being written.
func (x *indexer) wrote() { x.last.Store(x.now().UnixNano()) }

// writing reports whether contacts were written just now, through this store.
func (x *indexer) writing() bool {
	since := x.now().Sub(time.Unix(0, x.last.Load()))
	return 0 <= since && since < quiet // a clock that was set back must not keep it so
}

// catchUp brings the look-ups up to the contacts beside the flights, in
// transactions of its own. Each has a sync and some thousand entries, for which
// others wait. So it does nothing while contacts are being written, and ends with
// its present run when they come. A search asks for it: creates merge the look-ups
// as they come, and leave a rest when they stop.
func (x *indexer) catchUp(w *writer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.catching || x.ctx.Err() != nil || x.writing() {
		return
	}
	x.catching = true
	x.busy.Go(func() {
		// Where it fails, a later search asks again.
		_ = x.mergeAll(x.ctx, x.catchUpAfter, besideStep, x.writing, w.stepsBeside(x.ctx))
		x.mu.Lock()
		defer x.mu.Unlock()
		x.catching = false
	})
}

// stop ends what is being done beside the writer, for good.
func (x *indexer) stop() {
	x.mu.Lock()
	x.cancel()
	x.mu.Unlock()
	x.busy.Wait()
}

// finish merges what is left, unless another process is writing. The writer has no
// jobs any more. Close does not wait longer than a second for it: the next store that
// has the file open merges the rest.
func (x *indexer) finish(w *writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	never := func() bool { return false }
	return x.mergeAll(ctx, 1, 16_384, never, func(j func(*writeConn) error) error {
		return retry(ctx, func() error {
			if err := w.tryBegin(ctx); err != nil {
				return err
			}
			if err := j(w.conn); err != nil {
				w.undo()
				return err
			}
			return w.commit()
		})
	})
}

// passLookups brings the look-ups past the contacts that are there now: until then
// notes of entries that are gone hold the digits of phone numbers. It returns false
// where another process writes for long.
func (w *writer) passLookups(ctx context.Context) (bool, error) {
	once := func() bool { return true }
	locked := false
	err := w.index.mergeAll(ctx, 1, besideStep, once, func(step func(*writeConn) error) error {
		wait, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err := w.stepsBeside(wait)(step)
		locked = err != nil && wait.Err() != nil && ctx.Err() == nil
		return err
	})
	if locked {
		return false, nil
	}
	return err == nil, err
}

// besideStep is how many entries a step has that other writes wait for.
const besideStep = 4096

// stepsBeside commits the steps of mergeAll between other writes, until ctx is done.
func (w *writer) stepsBeside(ctx context.Context) func(func(*writeConn) error) error {
	return func(step func(*writeConn) error) error { return w.doSolo(ctx, job{run: step}) }
}

// mergeAll merges runs of its own, a step in each transaction. It ends when fewer
// contacts than atLeast are not in the look-ups, or after a run when end says so.
// A flight or another process may merge the same run: the second of them finds its
// entries there.
func (x *indexer) mergeAll(ctx context.Context, atLeast, step int, end func() bool, commit func(func(*writeConn) error) error) error {
	for first := true; first || !end(); first = false {
		r, err := x.prepare(ctx, atLeast)
		if r == nil || err != nil {
			return err
		}
		for done := false; !done; done = r.merged == len(r.entries) { // once at least: a run may have no entries
			if err := commit(func(c *writeConn) error { return r.merge(c, step) }); err != nil {
				return err
			}
			r.merged += r.step
		}
	}
	return nil
}
