//go:build cgo && unix

package sqlite_test

import (
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/internal/eventtest"
)

// A reader beside four processes that write gets every event once, in the order of
// its number.
func TestNoGapNoSkip(t *testing.T) {
	t.Parallel()
	eventtest.Processes(t, extent(8, 1000), func() string { return storePath(t) }, func(path string) contacts.Store { return openFault(t, path) })
}

// A host that stores the number of its last event with its data has all contacts
// in the end, although it is killed over and over.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	const suffix = ".copy"
	if path, yes := inAnotherProcess(); yes {
		w := eventtest.Join(t, openFault(t, path))
		err := eventtest.Host(t.Context(), w, path+suffix, func(saved bool) error {
			if saved {
				os.Stdout.WriteString(storedPrefix + "\n")
			}
			return nil
		})
		t.Fatalf("the host has ended: %v", err)
	}
	path := storePath(t)
	w := eventtest.New(t, openFault(t, path))
	writer := eventtest.Writer{World: w}
	for range extent(2, 200) {
		host := again(t, path)
		var wait sync.WaitGroup
		wait.Go(func() {
			if err := writer.Write(t.Context(), 40); err != nil {
				t.Error(err)
			}
		})
		killWhileItSays(t, host, 1+rand.IntN(15), func(string) {})
		wait.Wait()
	}
	w.End(t)
	if err := eventtest.Host(t.Context(), w, path+suffix, func(bool) error { return nil }); err != nil {
		t.Fatal(err)
	}
	eventtest.WantHost(t, w, path+suffix)
}

// After a process was killed there is no change without its event, and no event
// without its change.
func TestEventIsAtomic(t *testing.T) {
	t.Parallel()
	if path, yes := inAnotherProcess(); yes {
		w := eventtest.Join(t, openFault(t, path))
		crowd(4, func() {
			writer := eventtest.Writer{World: w}
			for {
				if err := writer.Write(t.Context(), 1); err != nil {
					t.Error(err)
					return
				}
				os.Stdout.WriteString(storedPrefix + "\n")
			}
		})
		return
	}
	path := storePath(t)
	w := eventtest.New(t, openFault(t, path))
	for range extent(2, 100) {
		killWhileItSays(t, again(t, path), 1+rand.IntN(60), func(string) {})
		w.WantReplay(t)
	}
	wantSound(t, path)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Scenarios(t, open(t, storePath(t)), extent(10, 100))
}

func TestRetention(t *testing.T) {
	t.Parallel()
	eventtest.Retention(t, open(t, storePath(t)))
}

func TestEndedEventsGoWithLaterWrites(t *testing.T) {
	t.Parallel()
	eventtest.LaterWrites(t, open(t, storePath(t)))
}
