//go:build cgo && unix

package sqlite_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// createUntilKilled opens the store at path and creates with many writers at
// once until it is killed. It prints each id that was acknowledged. No error at
// all is fine.
func createUntilKilled(t *testing.T, path string, writers int) {
	s := openWithAccount(t, path)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for !t.Failed() {
				id := newID()
				if err := create(t.Context(), s, contactOf(id)); err != nil {
					t.Errorf("CreateContacts: %v", err)
					return
				}
				os.Stdout.WriteString(storedPrefix + id.String() + "\n")
				if !isWhole(t, s, id) {
					t.Error("a contact is not there when its create has returned")
				}
			}
		})
	}
	wg.Wait()
}

const storedPrefix = "stored "

// killAtRandom kills the process at a random moment soon after it acknowledged
// so many contacts, 0 for when it has just begun, and notes all that it
// acknowledged.
func killAtRandom(t *testing.T, p *process, after int, l *ledger) {
	t.Helper()
	var timer *time.Timer
	acknowledged := 0
	for p.out.Scan() {
		line := p.out.Text()
		if text, ok := strings.CutPrefix(line, storedPrefix); ok {
			l.note(uuid.MustParse(text), nil)
			acknowledged++
		} else if !strings.HasPrefix(line, "=== ") {
			t.Errorf("the other process says: %s", line)
		}
		if acknowledged == after && timer == nil {
			timer = time.AfterFunc(rand.N(20*time.Millisecond), func() { p.Process.Kill() })
			defer timer.Stop()
		}
	}
	exit, _ := errors.AsType[*exec.ExitError](p.Wait())
	if exit == nil || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the other process was not killed: %v", exit)
	}
}

func TestFaultKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	const writers = 32
	if path, yes := inAnotherProcess(); yes {
		createUntilKilled(t, path, writers)
		return
	}
	path := newPath(t)
	all, seen, kills := newLedger(), make(map[uuid.UUID]bool), extent(4, 100)
	for i := range kills {
		l := newLedger()
		after := rand.IntN(600)
		if i%4 == 3 {
			after = 0 // while it opens the file
		}
		killAtRandom(t, again(t, path), after, l)
		s := openFault(t, path)
		l.want(t, s)
		wantSoundAndWhole(t, path, s, seen)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for id := range l.told {
			all.note(id, nil)
		}
	}
	s := openFault(t, path)
	all.want(t, s)
	wantSoundAndWhole(t, path, s, nil)
	stored, _, _ := all.counts()
	t.Logf("%d kills, %d contacts acknowledged, %d in the file", kills, stored, len(seen))
}

// Neither of two processes notices the other, not even when it dies.
func TestFaultProcessKilledBesideAnother(t *testing.T) {
	t.Parallel()
	const writers = 8
	if path, yes := inAnotherProcess(); yes {
		createUntilKilled(t, path, writers)
		return
	}
	path := newPath(t)
	s := openWithAccount(t, path)
	ours, theirs := newLedger(), newLedger()
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for !stop.Load() {
				if err := ours.create(t.Context(), s); err != nil {
					t.Errorf("CreateContacts beside a process that is killed: %v", err)
					return
				}
				if _, err := s.FindTeam(t.Context(), theAccount, 1); err != nil {
					t.Errorf("FindTeam beside a process that is killed: %v", err)
				}
			}
		})
	}
	kills := extent(3, 50)
	for range kills {
		killAtRandom(t, again(t, path), 1+rand.IntN(100), theirs)
	}
	stop.Store(true)
	wg.Wait()
	check := func() {
		ours.want(t, s)
		theirs.want(t, s)
		wantSoundAndWhole(t, path, s, nil)
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openFault(t, path)
	check()
	a, _, _ := ours.counts()
	b, _, _ := theirs.counts()
	t.Logf("%d kills, %d contacts acknowledged by the survivor, %d by the others", kills, a, b)
}
