//go:build cgo && unix

package sqlite_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// Whenever a context ends, before the create, while it waits, in the middle of
// its commit or after it, the caller is told the truth.
func TestFaultStormOfCancelledCreates(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	type call struct {
		cancel   context.CancelFunc
		returned chan struct{}
	}
	var mu sync.Mutex
	waiting := make(map[*call]bool)
	path := newPath(t)
	s, err := faultPlan().Connected(func(c *sqlite3.SQLiteConn) error {
		c.RegisterCommitHook(func() int {
			var cancelled []*call
			mu.Lock()
			for c := range waiting {
				if rand.IntN(3) == 0 {
					c.cancel()
					cancelled = append(cancelled, c)
				}
			}
			mu.Unlock()
			if rand.IntN(2) == 0 { // else they return when they please
				for _, c := range cancelled {
					<-c.returned
				}
			}
			return 0
		})
		return nil
	}).Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := addTheAccount(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	l := newLedger()
	told := func(ctx context.Context, err error) {
		if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
			t.Errorf("Apply: %v, and its context: %v", err, ctx.Err())
		}
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range extent(25, 1000) {
				ctx, cancel := context.WithCancel(t.Context())
				switch rand.IntN(4) {
				case 0:
					cancel()
					err := l.create(ctx, s)
					if !errors.Is(err, context.Canceled) || errors.Is(err, contacts.ErrOutcomeUnknown) {
						t.Errorf("Apply with a context that is done: %v", err)
					}
				case 1:
					short, stop := context.WithTimeout(ctx, rand.N(3*time.Millisecond))
					told(short, l.create(short, s))
					stop()
				case 2:
					go cancel()
					told(ctx, l.create(ctx, s))
				case 3:
					c := &call{cancel, make(chan struct{})}
					mu.Lock()
					waiting[c] = true
					mu.Unlock()
					told(ctx, l.create(ctx, s))
					close(c.returned)
					mu.Lock()
					delete(waiting, c)
					mu.Unlock()
				}
				cancel()
			}
		})
	}
	for range 8 {
		wg.Go(func() {
			for range extent(25, 1000) {
				if err := l.create(t.Context(), s); err != nil {
					t.Errorf("Apply in a storm of others: %v", err)
				}
			}
		})
	}
	wg.Wait()
	stored, refused, unknown := l.counts()
	t.Logf("%d stored, %d refused, %d unknown", stored, refused, unknown)
	if unknown == 0 {
		t.Error("no context ended in the middle of a commit")
	}
	if err := l.create(t.Context(), s); err != nil {
		t.Errorf("Apply after the storm: %v", err)
	}
	l.want(t, s)
	wantSoundAndWhole(t, path, s, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l.want(t, openFault(t, path))
}

// Close in the middle of all that a store does: each call is done or refused,
// and nothing is left. No test runs beside this one, which is not parallel.
func TestFaultCloseInTheMiddle(t *testing.T) {
	longtest.SkipShort(t)
	descriptors := func() int {
		entries, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	open(t, newPath(t)).Close() // Go opens what it keeps
	files, goroutines := descriptors(), runtime.NumGoroutine()
	var done, refused int
	for range extent(4, 200) {
		path := newPath(t)
		s := openWithAccount(t, path)
		l := newLedger()
		var creates atomic.Int64
		enough, reached := 1+rand.Int64N(200), make(chan struct{})
		var closed atomic.Bool
		var wg sync.WaitGroup
		until := func(call func(context.Context) error) {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if rand.IntN(2) == 0 {
					ctx = context.Background() // which nothing can end
				}
				for {
					after := closed.Load()
					err := call(ctx)
					switch {
					case errors.Is(err, contacts.ErrClosed):
						return
					case err != nil:
						t.Errorf("in the middle of Close: %v", err)
						return
					case after:
						t.Error("a call that began after Close has done something")
						return
					}
				}
			})
		}
		for range 32 {
			until(func(ctx context.Context) error {
				if creates.Add(1) == enough {
					close(reached)
				}
				return l.create(ctx, s)
			})
		}
		for range 4 {
			until(func(ctx context.Context) error { _, err := newAccount(ctx, s); return err })
			until(func(ctx context.Context) error { _, err := s.FindAccount(ctx, theAccount); return err })
			until(func(ctx context.Context) error {
				if _, err := s.FindContact(ctx, theAccount, newID()); !errors.Is(err, contacts.ErrNotFound) {
					return err
				}
				return nil
			})
		}
		<-reached
		for range 2 {
			wg.Go(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				closed.Store(true)
			})
		}
		wg.Wait()
		wantFiles(t, filepath.Dir(path), "contacts.db")
		// database/sql ends its goroutine soon after its Close.
		for began := time.Now(); runtime.NumGoroutine() > goroutines || descriptors() > files; {
			if time.Since(began) > time.Minute {
				t.Fatalf("%d goroutines and %d descriptors before, %d and %d after",
					goroutines, files, runtime.NumGoroutine(), descriptors())
			}
			runtime.Gosched()
		}
		reopened := openFault(t, path)
		l.want(t, reopened)
		wantSoundAndWhole(t, path, reopened, nil)
		reopened.Close()
		a, b, _ := l.counts()
		done, refused = done+a, refused+b
	}
	t.Logf("%d stored, %d refused", done, refused)
}

// While another process holds the lock, callers end with their contexts and
// nothing of theirs is stored, however many they are.
func TestFaultLockHeldAgainstManyCallers(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path := newPath(t)
	s := openWithAccount(t, path)
	l := newLedger()
	for range extent(2, 20) {
		p := start(t, "lock", path)
		if p.line() != "locked" {
			t.Fatal("the other process has no lock")
		}
		patient := make(chan error)
		go func() { patient <- l.create(t.Context(), s) }()
		crowd(64, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			err := l.create(ctx, s)
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, contacts.ErrOutcomeUnknown) {
				t.Errorf("Apply while another process holds the lock: %v, want DeadlineExceeded and a known outcome", err)
			}
		})
		select {
		case err := <-patient:
			t.Errorf("Apply of a caller that can wait: %v", err)
		default:
			p.end(t)
			if err := <-patient; err != nil {
				t.Errorf("Apply of a caller that has waited: %v", err)
			}
		}
		crowd(64, func() {
			if err := l.create(t.Context(), s); err != nil {
				t.Errorf("Apply after the lock: %v", err)
			}
		})
		l.want(t, s)
	}
	if _, refused, unknown := l.counts(); refused != extent(2, 20)*64 || unknown != 0 {
		t.Errorf("%d refused, %d unknown", refused, unknown)
	}
	wantSoundAndWhole(t, path, s, nil)
}
