// Package eventtest makes random calls that change the contacts of an account, and
// checks what readers of its events get. It serves the tests of stores.
package eventtest

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// A World is an account with events on, in a store.
type World struct {
	Store   contacts.Store
	Service *contacts.Service
	Admin   *contacts.Admin
	Account uuid.UUID
	Key     string // may do everything
}

// New returns a new account in the store, which has no other.
func New(t testing.TB, store contacts.Store) *World {
	t.Helper()
	admin := contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.SetEvents(t.Context(), account.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	return Join(t, store)
}

// Join returns the account that New made, for another store on the same data. It has
// a key of its own.
func Join(t testing.TB, store contacts.Store) *World {
	t.Helper()
	w := &World{Store: store, Admin: contacts.NewAdmin(store, &contacts.AdminOptions{EventPoll: 1})} // the shortest that there is
	var err error
	if w.Service, err = contacts.New(store, nil); err != nil {
		t.Fatal(err)
	}
	for account, err := range w.Admin.Accounts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		w.Account = account.ID
	}
	w.Key, _, err = w.Admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.Account, AllTeams: true, Permissions: []contacts.Permission{
		contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionReadEvents, contacts.PermissionManageDoNotCall,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// endSource is the source of the block that ends a test.
const endSource = "end of the test"

// End makes an event at which readers stop.
func (w *World) End(t testing.TB) {
	t.Helper()
	if _, err := w.Service.BlockCalls(t.Context(), w.Key, contacts.DoNotCallInput{PhoneNumber: "+15550000000", Source: endSource}); err != nil {
		t.Fatal(err)
	}
}

// isEnd reports whether End made the event.
func isEnd(e contacts.Event) bool { return e.DoNotCall != nil && e.DoNotCall.Source == endSource }

// NoGapNoSkip reads the events while write makes some, and checks that the reader
// got each of them once, in the order of their numbers, and could make a copy of
// the contacts. So can one who comes later.
func NoGapNoSkip(t *testing.T, w *World, write func()) {
	t.Helper()
	var events []contacts.Event
	var got Copy
	var err error
	var reader sync.WaitGroup
	reader.Go(func() {
		for e, failed := range w.Admin.Events(t.Context(), w.Account, 0) {
			if err = failed; err == nil {
				events, err = append(events, e), got.Add(t.Context(), w.Admin, e)
			}
			if err != nil || isEnd(e) {
				return
			}
		}
	})
	write()
	w.End(t)
	reader.Wait()
	if err != nil {
		t.Fatal(err)
	}
	w.wantAll(t, events)
	got.Want(t, w)
	w.WantReplay(t)
}

// placeVariable tells a process of Processes where its data is.
const placeVariable = "EVENTTEST_PLACE"

// Processes is NoGapNoSkip with four processes that write, each with three writers who
// make so many calls. Place makes the place of the data, and open opens a store there.
// Each process runs the test that calls this.
func Processes(t *testing.T, calls int, place func() string, open func(place string) contacts.Store) {
	t.Helper()
	if place := os.Getenv(placeVariable); place != "" {
		w := Join(t, open(place))
		Many(t, calls, w, w, w)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const processes = 4
	where := place()
	w := New(t, open(where))
	NoGapNoSkip(t, w, func() {
		var all sync.WaitGroup
		for range processes {
			all.Go(func() {
				p := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
				p.Env = append(os.Environ(), placeVariable+"="+where)
				if said, err := p.CombinedOutput(); err != nil {
					t.Errorf("another process: %v\n%s", err, said)
				}
			})
		}
		all.Wait()
	})
	keys := 0
	for _, err := range w.Admin.Keys(t.Context(), w.Account) {
		if err != nil {
			t.Fatal(err)
		}
		keys++
	}
	if keys != 1+processes {
		t.Errorf("%d processes have joined, want %d", keys-1, processes)
	}
}

// WantReplay checks that the events that are there are those of the journal, and
// that the contacts are what the events make. Nobody may write meanwhile.
func (w *World) WantReplay(t testing.TB) {
	t.Helper()
	var events []contacts.Event
	var got Copy
	for in, more := (contacts.EventsInput{}), true; more; {
		in.Limit = 1 + rand.IntN(1000)
		page, err := w.Service.Events(t.Context(), w.Key, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			events = append(events, e)
			if err := got.Add(t.Context(), w.Admin, e); err != nil {
				t.Fatal(err)
			}
		}
		in.After, more = page.LastSequence, page.HasMore
	}
	w.wantAll(t, events)
	got.Want(t, w)
}

// wantAll checks that the events are all that the journal has, and that its numbers
// have no gap.
func (w *World) wantAll(t testing.TB, events []contacts.Event) {
	t.Helper()
	type one struct {
		Sequence int64
		Type     contacts.EventType
	}
	var got []one
	for _, e := range events {
		got = append(got, one{e.Sequence, e.Type})
	}
	types := map[string]contacts.EventType{"block": contacts.EventDoNotCallBlocked, "grant": contacts.EventDoNotCallGranted}
	var want []one
	for e := range w.journal(t) {
		var data struct{ Type string }
		if err := json.Unmarshal([]byte(e.Data), &data); err != nil {
			t.Fatal(err)
		}
		switch kind := types[data.Type]; {
		case e.Kind == contacts.JournalEvent:
			want = append(want, one{e.Sequence, contacts.EventType(data.Type)})
		case e.Kind == contacts.JournalDoNotCall && kind != "":
			want = append(want, one{e.Sequence, kind})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("events (-journal +read):\n%s", diff)
	}
}

// journal yields all entries, of which the numbers must be 1, 2, 3 ….
func (w *World) journal(t testing.TB) func(yield func(contacts.JournalEntry) bool) {
	return func(yield func(contacts.JournalEntry) bool) {
		t.Helper()
		q := contacts.JournalQuery{AccountID: w.Account, Limit: 1000}
		for {
			page, err := w.Store.ListJournal(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				if q.After++; e.Sequence != q.After {
					t.Fatalf("the entry %d of the journal is followed by %d", q.After-1, e.Sequence)
				}
				if !yield(e) {
					return
				}
			}
			if len(page) < q.Limit {
				return
			}
		}
	}
}

// ExactlyOnce has a host keep a copy of the contacts while write changes them. The
// host dies so many times, at a random moment, and loses what it has not saved.
func ExactlyOnce(t *testing.T, w *World, deaths int, write func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy")
	died := errors.New("died")
	lives := 0
	var err error
	var host sync.WaitGroup
	host.Go(func() {
		for err = died; errors.Is(err, died); lives++ {
			steps := rand.IntN(20)
			if lives >= deaths {
				steps = -1 // it lives on
			}
			err = Host(t.Context(), w, path, func(bool) error {
				if steps--; steps == -1 {
					return died
				}
				return nil
			})
		}
	})
	write()
	w.End(t)
	host.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if lives < 2 {
		t.Error("the host has not died")
	}
	WantHost(t, w, path)
}

// Many lets a writer of each of the worlds make so many calls, all at the same time.
func Many(t *testing.T, calls int, worlds ...*World) {
	t.Helper()
	var all sync.WaitGroup
	for _, w := range worlds {
		all.Go(func() {
			if err := (&Writer{World: w}).Write(t.Context(), calls); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
