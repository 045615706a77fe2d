package gate_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"example.com/contacts"
	"example.com/contacts/store/internal/gate"
)

func nothing() error { return nil }

func TestCloseWaitsForTheCallsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate.Gate
		for range 2 {
			if err := g.Enter(); err != nil {
				t.Fatal(err)
			}
		}
		left, finished := 0, false
		closed := make(chan error, 1)
		go func() {
			closed <- g.Close(func() error {
				finished = true
				return nil
			})
		}()
		for ; left < 2; left++ {
			synctest.Wait()
			if finished {
				t.Errorf("finished after %d of 2 calls", left)
			}
			if err := g.Enter(); !errors.Is(err, contacts.ErrClosed) {
				t.Errorf("Enter while closing: got %v, want ErrClosed", err)
			}
			g.Leave()
		}
		if err := <-closed; err != nil || !finished {
			t.Errorf("Close: got %v, finished %v", err, finished)
		}
	})
}

func TestEveryEnterAfterCloseIsErrClosed(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	if err := g.Close(nothing); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.Enter(); !errors.Is(err, contacts.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

func TestOnlyTheFirstCloseFinishesAndReturnsItsError(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	want, finishes := errors.New("the disk is gone"), 0
	finish := func() error {
		finishes++
		return want
	}
	if err := g.Close(finish); !errors.Is(err, want) {
		t.Errorf("first Close: got %v, want %v", err, want)
	}
	if err := g.Close(finish); err != nil {
		t.Errorf("second Close: got %v, want nil", err)
	}
	if finishes != 1 {
		t.Errorf("finished %d times, want once", finishes)
	}
}

func TestCloseAtTheSameTimeWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	var finished atomic.Bool
	finishing, release, first := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		first <- g.Close(func() error {
			close(finishing)
			<-release
			finished.Store(true)
			return nil
		})
	}()
	<-finishing
	second := make(chan error)
	go func() {
		err := g.Close(nothing)
		if !finished.Load() {
			t.Error("the second Close did not wait for the first")
		}
		second <- err
	}()
	close(release)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
}

func TestEnteringAllocatesNothing(t *testing.T) {
	var g gate.Gate
	allocs := testing.AllocsPerRun(100, func() {
		if err := g.Enter(); err != nil {
			t.Fatal(err)
		}
		defer g.Leave()
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}
