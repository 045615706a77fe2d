//go:build cgo && unix

package sqlite_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
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
					t.Errorf("Apply: %v", err)
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
// after contacts; 0 is when it has just begun. It notes all that the process
// acknowledged.
func killAtRandom(t *testing.T, p *process, after int, l *ledger) {
	t.Helper()
	killWhileItSays(t, p, after, func(acknowledged string) { l.note(uuid.MustParse(acknowledged), nil) })
}

// killWhileItSays is killAtRandom for whatever it acknowledges.
func killWhileItSays(t *testing.T, p *process, after int, note func(acknowledged string)) {
	t.Helper()
	var timer *time.Timer
	acknowledged := 0
	for p.out.Scan() {
		line := p.out.Text()
		if text, ok := strings.CutPrefix(line, storedPrefix); ok {
			note(text)
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
	all, seen, kills := newLedger(), make(map[uuid.UUID]bool), extent(2, 100)
	for i := range kills {
		l := newLedger()
		after := rand.IntN(600)
		if i%4 == 1 {
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
	longtest.SkipShort(t)
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
					t.Errorf("Apply beside a process that is killed: %v", err)
					return
				}
				if _, err := s.FindAccount(t.Context(), theAccount); err != nil {
					t.Errorf("FindAccount beside a process that is killed: %v", err)
				}
			}
		})
	}
	kills := extent(1, 50)
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

// createWithKeys creates a contact for each of the same keys as everybody who
// calls it, until it is killed, and prints what it was told: the key and the id.
func createWithKeys(t *testing.T, path string, writers int) {
	s := openWithAccount(t, path)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; !t.Failed(); i++ {
				key := fmt.Sprintf("%d/%d", w, i)
				id, err := createWithKey(t.Context(), s, key)
				if err != nil {
					t.Errorf("Apply: %v", err)
					return
				}
				os.Stdout.WriteString(storedPrefix + key + " " + id + "\n")
			}
		})
	}
	wg.Wait()
}

// createWithKey creates a contact, which has the key as its tag, and returns the
// id of the one that the key has.
func createWithKey(ctx context.Context, s contacts.Store, key string) (string, error) {
	r := contactOf(newID())
	r.Contact.Tags = []string{key}
	m := createOf(r)
	m.Idempotency = &contacts.IdempotencyRecord{Key: sha256.Sum256([]byte(key)), Result: r.Contact.ID.String(), EndsAt: noon.Add(time.Hour)}
	outcomes, err := s.Apply(ctx, contacts.MutationBatch{Mutations: []contacts.Mutation{m}, Now: noon})
	if outcomes == nil {
		return r.Contact.ID.String(), err
	}
	return outcomes[0].Result, outcomes[0].Err
}

// Two processes create for the same keys and are killed, over and over. A process that is
// told the id of a key's contact is told the same one for ever, and it is there;
// and no key has two.
func TestFaultKilledProcessesCreateOneContactForAKey(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const writers = 4
	if path, yes := inAnotherProcess(); yes {
		createWithKeys(t, path, writers)
		return
	}
	path := newPath(t)
	openWithAccount(t, path).Close()
	var mu sync.Mutex
	ids := make(map[string]string)
	note := func(acknowledged string) {
		key, id, _ := strings.Cut(acknowledged, " ")
		mu.Lock()
		defer mu.Unlock()
		if first, told := ids[key]; told && first != id {
			t.Errorf("key %s: told %s, and later %s", key, first, id)
		}
		ids[key] = id
	}
	kills := extent(1, 50)
	for range kills {
		var wg sync.WaitGroup
		for range 2 {
			p := again(t, path)
			wg.Go(func() { killWhileItSays(t, p, 1+rand.IntN(300), note) })
		}
		wg.Wait()
	}
	s := openFault(t, path)
	for w := range writers { // the next of each may have been stored, and no caller was told
		for i := 0; ; i++ {
			key := fmt.Sprintf("%d/%d", w, i)
			_, told := ids[key]
			id, err := createWithKey(t.Context(), s, key)
			if err != nil {
				t.Fatal(err)
			}
			note(key + " " + id)
			if !told {
				break
			}
		}
	}
	for key, id := range ids {
		found, err := s.SearchTag(t.Context(), theAccount, key)
		if err != nil || len(found) != 1 || found[0].String() != id {
			t.Errorf("key %s: found %v, %v; want %s", key, found, err, id)
		}
	}
	var n int
	if err := plain(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM contact_data").Scan(&n); err != nil || n != len(ids) {
		t.Errorf("%d contacts, %v; want one for each of %d keys", n, err, len(ids))
	}
	wantSound(t, path)
	t.Logf("%d kills of two processes, %d keys", kills, len(ids))
}
