//go:build cgo && linux

package sqlite_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/erasetest"
	"example.com/contacts/store/internal/ledgertest"
	"example.com/contacts/store/sqlite"
)

// In a power cut only what was synced survives for sure. The tests have a
// process log each write and sync of the store together with each
// acknowledgement, pick moments in that log, and open what a disk could hold
// after a power cut then.
//
// The third of them proves that the other two can see a loss.

func TestFaultPowerCutKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	if path, yes := inAnotherProcess(); yes {
		createAndMark(t, path, faultPlan, nil)
		return
	}
	cut := cutPower(t, cutPlan{runs: extent(1, 5), moments: extent(6, 40), beginning: extent(2, 1)})
	if cut.lost != 0 {
		t.Errorf("in %d power cuts %d of %d acknowledged contacts were lost", cut.cuts, cut.lost, cut.acknowledged)
	}
}

// Contacts are created with a block, changed and erased. After a power cut each of
// them is there with all that was stored with it, or gone with all of it.
func TestFaultPowerCutLeavesNoHalves(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	if path, yes := inAnotherProcess(); yes {
		log := openLog(t)
		inFourStores(t, path, faultPlan, false, func(s *sqlite.Store) {
			if err := addTheAccount(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			w := erasetest.Join(t, s)
			if err := w.Admin.SetEvents(t.Context(), theAccount, contacts.EventSettings{On: true}); err != nil {
				t.Fatal(err)
			}
			crowd(8, func() {
				for range 3 {
					err := ledgertest.Live(t.Context(), w, func(told ledgertest.Told) {
						log.Write(logRecord{kind: acknowledged, data: []byte(told.String())}.append(nil))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		})
		return
	}
	cutPower(t, cutPlan{runs: extent(1, 5), moments: extent(4, 40), check: func(t *testing.T, s *sqlite.Store, path string, acknowledged [][]byte) int {
		told := make(map[ledgertest.Told]bool)
		for _, text := range acknowledged {
			one, err := ledgertest.ParseTold(string(text))
			if err != nil {
				t.Fatal(err)
			}
			told[one] = true
		}
		wantSound(t, path)
		if err := addTheAccount(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		ledgertest.WantWhole(t, erasetest.Join(t, s), told)
		return 0 // it says what is lost
	}})
}

// What a sync that failed was to sync may be lost, even if a later sync
// succeeds: the system has forgotten that it is not on the disk. A commit that
// failed so is written anew.
//
// The syncs of the -wal file alone fail. SQLite copies a part of it into the
// main file without a sync where a reader is in the way of the rest, and does
// not copy that part again when the sync of the rest has failed.
func TestFaultPowerCutAfterSyncsFailed(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	if path, yes := inAnotherProcess(); yes {
		c := newControl(t)
		createAndMark(t, path, faultPlan, func() {
			if c.failed() {
				c.fail(walSyncs, syscall.EIO, 1+rand.IntN(6))
			}
		})
		return
	}
	cut := cutPower(t, cutPlan{runs: extent(1, 5), moments: extent(6, 40), beginning: extent(0, 1)})
	if cut.lost != 0 {
		t.Errorf("in %d power cuts %d of %d acknowledged contacts were lost", cut.cuts, cut.lost, cut.acknowledged)
	}
	if cut.failedSyncs == 0 {
		t.Error("no sync failed")
	}
}

func TestFaultPowerCutIsSeenWithoutSyncs(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	if path, yes := inAnotherProcess(); yes {
		createAndMark(t, path, func() *sqlite.Plan { return faultPlan().Set("synchronous", "NORMAL", "1") }, nil)
		return
	}
	if cut := cutPower(t, cutPlan{runs: 1, moments: 200, untilLost: extent(0, 1) == 0}); cut.lost == 0 {
		t.Errorf("in %d power cuts nothing was lost of a store that does not sync", cut.cuts)
	}
}

// createAndMark creates contacts in several ways, in a store that is closed and
// opened again in between, and appends to the shim's log the ids that were
// acknowledged. It calls disturb before each create.
func createAndMark(t *testing.T, path string, plan func() *sqlite.Plan, disturb func()) {
	log := openLog(t)
	add := func(s *sqlite.Store, n int) {
		records := make([]*contacts.ContactRecord, n)
		for i := range records {
			records[i] = contactOf(newID())
		}
		if disturb != nil {
			disturb()
		}
		if err := create(t.Context(), s, records...); err != nil {
			if disturb == nil {
				t.Errorf("Apply: %v", err)
			}
			return
		}
		for _, r := range records {
			log.Write(logRecord{kind: acknowledged, data: r.Contact.ID[:]}.append(nil))
		}
	}
	inFourStores(t, path, plan, disturb != nil, func(s *sqlite.Store) {
		if err := addTheAccount(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			add(s, 1)
		}
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for range 6 {
					add(s, 1)
				}
			})
		}
		wg.Wait()
		add(s, 40)
	})
}

// openLog opens the shim's log, to append what was acknowledged.
func openLog(t *testing.T) *os.File {
	log, err := os.OpenFile(os.Getenv(faultLog), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// inFourStores uses a store at path that is closed and opened again in between. Where
// calls of the system fail, Close may too.
func inFourStores(t *testing.T, path string, plan func() *sqlite.Plan, failing bool, use func(*sqlite.Store)) {
	// The log of the first is never copied into the main file before the end,
	// that of the others all the time, and of the last never at the end.
	for i, pages := range []string{"4000", "8", "50", "20"} {
		s, err := plan().Set("wal_autocheckpoint", pages, pages).Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for name, pragma := range map[string]func() (any, error){
			"writer": func() (any, error) { return s.WriterPragma("mmap_size") },
			"reader": func() (any, error) { return s.ReaderPragma(t.Context(), "mmap_size") },
		} {
			if v, err := pragma(); err != nil || v != int64(0) {
				t.Errorf("mmap_size of the %s is %v, %v: what it writes is not in the log", name, v, err)
			}
		}
		use(s)
		if i < 3 {
			if err := s.Close(); err != nil && !failing {
				t.Fatal(err)
			}
		}
	}
}

// A cutResult is what came of power cuts.
type cutResult struct{ cuts, acknowledged, lost, failedSyncs int }

// A cutPlan says when the power is cut.
type cutPlan struct {
	runs      int
	moments   int  // of each run, at random
	beginning int  // while the file is made, there is a cut at each record; 2: at every second one; 0: at none
	untilLost bool // a loss is enough

	// check looks at the store that could be left at path, and returns how many of
	// those that were acknowledged are lost. nil: wantContacts.
	check func(t *testing.T, s *sqlite.Store, path string, acknowledged [][]byte) (lost int)
}

// cutPower runs the test in another process, and opens what could be left of
// its store after each power cut.
func cutPower(t *testing.T, plan cutPlan) (sum cutResult) {
	t.Helper()
	if plan.check == nil {
		plan.check = wantContacts
	}
	for range plan.runs {
		shim, path := newShim(t), newPath(t)
		relay(t, again(t, path, shim.under(t, path)))
		log := readLog(t, shim.log)
		var moments []int
		for range plan.moments {
			moments = append(moments, rand.IntN(len(log)))
		}
		made := slices.IndexFunc(log, func(r logRecord) bool { return r.kind == acknowledged })
		for moment := 0; plan.beginning > 0 && moment < made; moment += plan.beginning {
			moments = append(moments, moment)
		}
		for _, moment := range moments {
			n, lost := plan.checkCut(t, log[:moment])
			sum.cuts++
			sum.acknowledged += n
			sum.lost += lost
			if t.Failed() {
				t.Fatalf("cut at record %d of %d", moment, len(log))
			}
			if plan.untilLost && lost > 0 {
				break
			}
		}
		for _, r := range log {
			if r.kind == syncFailed {
				sum.failedSyncs++
			}
		}
		os.Remove(shim.log)
	}
	t.Logf("%d runs, %d power cuts: of %d that were acknowledged before a cut %d were lost; %d syncs failed",
		plan.runs, sum.cuts, sum.acknowledged, sum.lost, sum.failedSyncs)
	return sum
}

// checkCut opens what a disk could hold after a power cut at the end of the log.
func (p *cutPlan) checkCut(t *testing.T, log []logRecord) (acked, lost int) {
	t.Helper()
	d := newDisk()
	var told [][]byte
	for _, r := range log {
		if r.kind == acknowledged {
			told = append(told, r.data)
			continue
		}
		d.apply(r)
	}
	path := newPath(t)
	for file, suffix := range map[byte]string{mainFile: "", walFile: "-wal", journalFile: "-journal"} {
		if b, ok := d.survivor(file); ok {
			write(t, path+suffix, string(b))
		}
	}
	s, err := faultPlan().Open(t.Context(), path)
	if err != nil {
		t.Errorf("Open after a power cut: %v", err)
		return len(told), 0
	}
	defer os.RemoveAll(filepath.Dir(path))
	defer s.Close()
	return len(told), p.check(t, s, path, told)
}

// wantContacts checks that the contacts with the acknowledged ids are there, and
// that all contacts are whole.
func wantContacts(t *testing.T, s *sqlite.Store, path string, acknowledged [][]byte) (lost int) {
	t.Helper()
	l := newLedger()
	for _, id := range acknowledged {
		l.note(uuid.UUID(id), nil)
	}
	lost = l.lost(t, s)
	wantSoundAndWhole(t, path, s, nil)
	if err := errors.Join(addTheAccount(t.Context(), s), create(t.Context(), s, contactOf(newID()))); err != nil {
		t.Errorf("Apply after a power cut: %v", err)
	}
	return lost
}

// The kinds of records in the log of the shim, and of files.
const (
	opened, written, truncated, unlinked, synced, syncFailed = 'o', 'w', 't', 'u', 's', 'f'
	acknowledged                                             = 'a' // ours; the data says what

	mainFile, walFile, journalFile, directory = 'm', 'w', 'j', 'd'
)

type logRecord struct {
	kind, file byte
	offset     int64
	data       []byte
}

const logHeader = 16

func (r logRecord) append(b []byte) []byte {
	b = append(b, r.kind, r.file, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(r.data)))
	b = binary.NativeEndian.AppendUint64(b, uint64(r.offset))
	return append(b, r.data...)
}

func readLog(t *testing.T, name string) (log []logRecord) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]int)
	for len(b) >= logHeader {
		r := logRecord{kind: b[0], file: b[1], offset: int64(binary.NativeEndian.Uint64(b[8:]))}
		n := logHeader + int(binary.NativeEndian.Uint32(b[4:]))
		r.data, b = b[logHeader:n], b[n:]
		log = append(log, r)
		kinds[fmt.Sprintf("%c%c", r.kind, r.file)]++
	}
	for _, kind := range []string{"om", "wm", "sm", "ow", "ww", "sw", "tw", "uw", "oj", "wj", "sj", "uj", "sd"} {
		if kinds[kind] == 0 {
			t.Fatalf("the log has nothing of kind %s: %v", kind, kinds)
		}
	}
	return log
}

// A disk holds what is on a disk for sure, and what may be.
type disk struct{ names map[byte]*name }

// A name of a file leads to its content, nil for none.
type name struct {
	sure  *content
	maybe []*content // the changes since the folder was synced, in their order
}

type content struct {
	sure  []byte
	maybe []logRecord // since the file was synced
}

func newDisk() *disk {
	return &disk{map[byte]*name{mainFile: {}, walFile: {}, journalFile: {}}}
}

func (n *name) now() *content {
	if len(n.maybe) > 0 {
		return n.maybe[len(n.maybe)-1]
	}
	return n.sure
}

func (d *disk) apply(r logRecord) {
	if r.file == directory {
		for _, n := range d.names {
			if r.kind == synced {
				n.sure, n.maybe = n.now(), nil
			}
		}
		return
	}
	n := d.names[r.file]
	switch c := n.now(); r.kind {
	case opened:
		if c == nil {
			n.maybe = append(n.maybe, &content{})
		}
	case unlinked:
		n.maybe = append(n.maybe, nil)
	case written, truncated:
		c.maybe = append(c.maybe, r)
	case synced:
		for _, m := range c.maybe {
			c.sure = m.whole(c.sure)
		}
		c.maybe = nil
	case syncFailed:
		c.sure, c.maybe = c.survivor(), nil
	}
}

// survivor returns a content that the file could have after a power cut, if it
// could be there.
func (d *disk) survivor(file byte) ([]byte, bool) {
	n := d.names[file]
	c := n.sure
	if i := rand.IntN(len(n.maybe) + 1); i > 0 {
		c = n.maybe[i-1]
	}
	if c == nil {
		return nil, false
	}
	return c.survivor(), true
}

func (c *content) survivor() []byte {
	b := slices.Clone(c.sure)
	luck := rand.IntN(4) // nothing that was not synced survives, or all, or some
	for _, m := range c.maybe {
		switch fate := rand.IntN(3); {
		case luck == 0 || luck > 1 && fate == 0:
		case luck == 1 || fate == 1:
			b = m.whole(b)
		default:
			b = m.torn(b)
		}
	}
	return b
}

// whole returns b with all of the change.
func (r logRecord) whole(b []byte) []byte {
	if r.kind == truncated {
		return grow(b, r.offset)[:r.offset]
	}
	b = grow(b, r.offset+int64(len(r.data)))
	copy(b[r.offset:], r.data)
	return b
}

// torn returns b with some sectors of the change.
func (r logRecord) torn(b []byte) []byte {
	if r.kind == truncated {
		return b
	}
	const sector = 512
	for at := r.offset; at < r.offset+int64(len(r.data)); {
		next := min(at/sector*sector+sector, r.offset+int64(len(r.data)))
		if rand.IntN(2) == 0 {
			b = logRecord{kind: written, offset: at, data: r.data[at-r.offset : next-r.offset]}.whole(b)
		}
		at = next
	}
	return b
}

// grow returns b with zeros after it, if it is shorter than size.
func grow(b []byte, size int64) []byte {
	return append(b, bytes.Repeat([]byte{0}, int(max(0, size-int64(len(b)))))...)
}
