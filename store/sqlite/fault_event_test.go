//go:build cgo && linux

package sqlite_test

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/eventtest"
	"example.com/contacts/store/sqlite"
)

// Whichever call to the system fails, there is no change without its event, and no
// event without its change. Nor is there one after a crash at that moment.
func TestFaultEventIsAtomic(t *testing.T) {
	t.Parallel()
	path, yes := inAnotherProcess()
	if !yes {
		longtest.SkipShort(t)
		path := newPath(t)
		relay(t, again(t, path, newShim(t).under(t, path)))
		return
	}
	c := newControl(t)
	s, err := faultPlan().Set("wal_autocheckpoint", "40", "40").Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	w := eventtest.New(t, s)
	writer := eventtest.Writer{World: w, Faulty: true}
	write := func() {
		t.Helper()
		if err := writer.Write(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []struct {
		kind  calls
		errno syscall.Errno
	}{{syncs, syscall.EIO}, {writes, syscall.EIO}, {writes, syscall.ENOSPC}, {shortWrites, syscall.EIO}, {shortWrites, syscall.ENOSPC}} {
		for range extent(1, 60) {
			c.fail(f.kind, f.errno, 1+rand.IntN(30))
			for !c.failed() {
				write()
			}
			wantReplayOf(t, copyAsAfterCrash(t, path))
			w.WantReplay(t)
			write()
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantReplayOf(t, path)
}

// wantReplayOf opens the file and checks that its contacts are what its events make.
func wantReplayOf(t *testing.T, path string) {
	t.Helper()
	s, err := faultPlan().Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	eventtest.Join(t, s).WantReplay(t)
}

// After a power cut there is no change without its event, and no event without its
// change.
func TestFaultPowerCutLeavesNoEventAlone(t *testing.T) {
	t.Parallel()
	if path, yes := inAnotherProcess(); yes {
		writeEventsAndMark(t, path)
		return
	}
	longtest.SkipShort(t)
	cutPower(t, cutPlan{runs: 1, moments: extent(5, 200), check: func(t *testing.T, s *sqlite.Store, _ string, marks [][]byte) (lost int) {
		if len(marks) > 0 {
			eventtest.Join(t, s).WantReplay(t)
		}
		return 0
	}})
}

// writeEventsAndMark makes calls in a store that is closed and opened again in
// between. It marks in the log of the shim that there is an account.
func writeEventsAndMark(t *testing.T, path string) {
	for i, pages := range []string{"4000", "8", "50", "20"} {
		s, err := faultPlan().Set("wal_autocheckpoint", pages, pages).Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		var w *eventtest.World
		if i == 0 {
			w = eventtest.New(t, s)
			log, err := os.OpenFile(os.Getenv(faultLog), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			log.Write(logRecord{kind: acknowledged}.append(nil))
			log.Close()
		} else {
			w = eventtest.Join(t, s)
		}
		eventtest.Many(t, 20, w, w, w, w)
		if i == 3 { // whose log is never copied into the main file
			return
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
