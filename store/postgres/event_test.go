package postgres_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/eventtest"
)

// A reader beside four processes that write gets every event once, in the order of
// its number, although each commit is held up for a while: between the statement that
// takes the number and the COMMIT.
func TestNoGapNoSkip(t *testing.T) {
	t.Parallel()
	eventtest.Processes(t, extent(3, 500), func() string {
		_, through, _ := newPlaceThrough(t, "COMMIT\x00", func() cut {
			time.Sleep(rand.N(2 * time.Millisecond)) // the fault; nothing waits for its end
			return cutNothing
		})
		return through
	}, func(place string) contacts.Store { return openAt(t, place) })
}

// A host that stores the number of its last event with its data has all contacts
// in the end, although it dies over and over.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	w := eventtest.New(t, open(t, url, schema))
	other := eventtest.Join(t, open(t, url, schema))
	deaths := extent(4, 200)
	eventtest.ExactlyOnce(t, w, deaths, func() { eventtest.Many(t, 5*deaths, w, other, w, other) })
}

// After connections were lost in the COMMIT there is no change without its event,
// and no event without its change.
func TestEventIsAtomic(t *testing.T) {
	t.Parallel()
	var begun atomic.Bool
	_, through, direct := openThrough(t, "COMMIT\x00", func() cut {
		if !begun.Load() {
			return cutNothing
		}
		return []cut{cutBefore, cutAfter, cutNothing, cutNothing, cutNothing, cutNothing, cutNothing, cutNothing}[rand.IntN(8)]
	})
	w := eventtest.New(t, direct)
	faulty := eventtest.Join(t, through)
	begun.Store(true)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			writer := eventtest.Writer{World: faulty, Faulty: true}
			if err := writer.Write(t.Context(), extent(12, 1000)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.WantReplay(t)
}

// While events are off, a create does not wait for the lock that gives events their
// order.
func TestEventsOff(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	w := eventtest.New(t, open(t, url, schema))
	created := make(chan error, 1)
	create := func() {
		_, err := w.Service.CreateContact(context.Background(), w.Key, contacts.CreateContactInput{FirstName: "Ada"})
		created <- err
	}
	for _, on := range []bool{false, true} {
		if err := w.Admin.SetEvents(t.Context(), w.Account, contacts.EventSettings{On: on}); err != nil {
			t.Fatal(err)
		}
		holder := newSession(t, url, schema)
		lock := "SELECT sequence FROM " + pgx.Identifier{schema, "account_state"}.Sanitize() + " WHERE account_id = $1 FOR UPDATE"
		if _, err := holder.tx.Exec(t.Context(), lock, w.Account); err != nil {
			t.Fatal(err)
		}
		go create()
		if on {
			waitForLock(t, url, schema)
			holder.end()
		}
		select {
		case err := <-created:
			if err != nil {
				t.Errorf("a create, events are on: %t: %v", on, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("a create while events are off waits")
		}
		holder.end()
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Scenarios(t, openNew(t), extent(5, 100))
}

func TestRetention(t *testing.T) {
	t.Parallel()
	eventtest.Retention(t, openNew(t))
}

// However few contacts an account has, and however regular the times of its changes are.
func TestEndedEventsGoWithLaterWrites(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	eventtest.LaterWrites(t, openNew(t))
}
