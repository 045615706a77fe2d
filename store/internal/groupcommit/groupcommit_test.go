package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/groupcommit"
)

// In these tests the bubble of synctest also fails where a goroutine is left.

var errFault = errors.New("a fault")

// held returns a world with one lane that is held in the commit of job 0, and
// the call of job 0. The further flights go on when the door is opened.
func held(c groupcommit.Config[*job]) (w *world, first *call, d door) { return heldLocking(c, 0) }

// heldLocking is held, where job 0 locks accounts.
func heldLocking(c groupcommit.Config[*job], accounts int) (w *world, first *call, d door) {
	w, d = newWorld(c), newDoor()
	w.commit = func(_ context.Context, f flight) error {
		if f.jobs[0].n == 0 {
			d.pass()
		}
		return nil
	}
	first = w.start(context.Background(), &job{n: 0, size: 1, key: accounts}, w.Do)
	<-d.at
	return w, first, d
}

// enqueue starts the calls one after the other, so that they wait in this order.
func (w *world) enqueue(ctx context.Context, jobs ...*job) []*call {
	var calls []*call
	for _, j := range jobs {
		calls = append(calls, w.start(ctx, j, w.Do))
		synctest.Wait()
	}
	return calls
}

func jobs(n int) []*job {
	all := make([]*job, n)
	for i := range all {
		all[i] = &job{n: i + 1, size: 1}
	}
	return all
}

func wantAll(t *testing.T, calls []*call, want error) {
	t.Helper()
	for i, c := range calls {
		if err := c.result(); !errors.Is(err, want) {
			t.Errorf("call %d: got %v, want %v", i, err, want)
		}
	}
}

func (w *world) wantFlights(t *testing.T, want ...[]int) {
	t.Helper()
	if diff := cmp.Diff(want, w.numbers()); diff != "" {
		t.Errorf("flights (-want +got):\n%s", diff)
	}
}

func sizeOf(j *job) int { return j.size }

func TestWaitingJobsShareOneFlightInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		calls := w.enqueue(t.Context(), jobs(5)...)
		if n := w.Waiting(); n != 5 {
			t.Errorf("%d wait, want 5", n)
		}
		close(d.open)
		wantAll(t, append(calls, first), nil)
		w.wantFlights(t, []int{0}, []int{1, 2, 3, 4, 5})
	})
}

func TestFlightHoldsWhatFits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 4, Size: sizeOf})
		calls := w.enqueue(t.Context(), &job{n: 1, size: 3}, &job{n: 2, size: 2}, &job{n: 3, size: 2},
			&job{n: 4, size: 0}, &job{n: 5, size: 9}, &job{n: 6, size: 0}, &job{n: 7, size: 4})
		close(d.open)
		wantAll(t, append(calls, first), nil)
		w.wantFlights(t, []int{0}, []int{1}, []int{2, 3, 4}, []int{5}, []int{6, 7})
	})
}

func TestSoloJobSharesItsFlightWithNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		j := jobs(5)
		calls := w.enqueue(t.Context(), j[:2]...)
		calls = append(calls, w.start(t.Context(), j[2], w.DoSolo))
		synctest.Wait()
		calls = append(calls, w.enqueue(t.Context(), j[3:]...)...)
		close(d.open)
		wantAll(t, append(calls, first), nil)
		w.wantFlights(t, []int{0}, []int{1, 2}, []int{3}, []int{4, 5})
		for _, f := range w.flights {
			if f.retry {
				t.Errorf("flight %v is a retry", f.numbers())
			}
		}
	})
}

func TestFlightTakesJobsLikeItsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 2, Alike: func(a, b *job) bool { return a.key == b.key }})
		calls := w.enqueue(t.Context(), &job{n: 1, key: 1}, &job{n: 2, key: 2}, &job{n: 3, key: 1}, &job{n: 4, key: 1}, &job{n: 5, key: 2})
		close(d.open)
		wantAll(t, append(calls, first), nil)
		w.wantFlights(t, []int{0}, []int{1, 3}, []int{2, 5}, []int{4})
	})
}

// What a flight has locked is left for a later flight. Others pass it, but not those
// that need what one before them needs.
func TestFlightLeavesWhatAnotherHasLocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := heldLocking(groupcommit.Config[*job]{Lanes: 2, Max: 9, Locks: locksOf}, lockA)
		locking := w.enqueue(t.Context(), &job{n: 1, key: lockA}, &job{n: 2, key: lockA | lockB}, &job{n: 3, key: lockB})
		for _, c := range locking {
			c.underWay(t)
		}
		wantAll(t, w.enqueue(t.Context(), &job{n: 4}), nil)
		close(d.open)
		wantAll(t, append(locking, first), nil)
		w.wantFlights(t, []int{4}, []int{0}, []int{1}, []int{2, 3})
	})
}

// A job that waited for the account of a flight no longer keeps others from passing it
// when its caller gives up.
func TestJobThatIsDroppedHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := heldLocking(groupcommit.Config[*job]{Lanes: 2, Max: 9, Locks: locksOf}, lockA)
		ctx, cancel := context.WithCancel(t.Context())
		gone := w.enqueue(ctx, &job{n: 1, key: lockA | lockB})
		passing := w.enqueue(t.Context(), &job{n: 2, key: lockB})
		passing[0].underWay(t)
		cancel()
		wantAll(t, gone, context.Canceled)
		synctest.Wait()
		w.wantFlights(t, []int{2})
		close(d.open)
		wantAll(t, append(passing, first), nil)
	})
}

// A flight leaves a part of the accounts to the other lanes, also to one that had
// nothing to do before.
func TestLanesShareTheAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, second := newWorld(groupcommit.Config[*job]{Lanes: 2, Max: 9, Locks: locksOf}), newDoor(), newDoor()
		w.commit = func(_ context.Context, f flight) error {
			if f.jobs[0].n == 0 {
				first.pass()
			} else {
				second.pass()
			}
			return nil
		}
		calls := w.enqueue(t.Context(), &job{n: 0, key: lockA | lockB | lockC})
		<-first.at
		calls = append(calls, w.enqueue(t.Context(), &job{n: 1, key: lockA}, &job{n: 2, key: lockB}, &job{n: 3, key: lockC}, &job{n: 4, key: lockA})...)
		close(first.open)
		<-second.at
		<-second.at
		if w.Waiting() != 0 {
			t.Errorf("%d jobs wait, want none", w.Waiting())
		}
		close(second.open)
		wantAll(t, calls, nil)
		got := w.numbers()
		slices.SortFunc(got, slices.Compare)
		if diff := cmp.Diff([][]int{{0}, {1, 2, 4}, {3}}, got); diff != "" {
			t.Errorf("flights (-want +got):\n%s", diff)
		}
	})
}

// Accounts that the jobs of a test lock: bits of their keys.
const lockA, lockB, lockC = 1, 2, 4

func locksOf(j *job) (accounts []uuid.UUID) {
	for _, bit := range []int{lockA, lockB, lockC} {
		if j.key&bit != 0 {
			accounts = append(accounts, uuid.UUID{byte(bit)})
		}
	}
	return accounts
}

func TestLoneCallerThatNothingCallsAwayLeadsItself(t *testing.T) {
	t.Parallel()
	for _, lanes := range []int{1, 2} {
		t.Run(fmt.Sprint(lanes, " lanes"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(groupcommit.Config[*job]{Lanes: lanes, Max: 1})
			inOwn := false
			w.commit = func(context.Context, flight) error {
				stack := make([]byte, 64<<10)
				inOwn = strings.Contains(string(stack[:runtime.Stack(stack, false)]), ".do(")
				return nil
			}
			if err := w.Do(context.Background(), &job{}); err != nil {
				t.Fatal(err)
			}
			if want := lanes == 1; inOwn != want {
				t.Errorf("committed in the caller's goroutine: %v, want %v", inOwn, want)
			}
			w.Drain()
		})
	}
}

// A caller that leads itself is back when its own job is done, however many
// others have come.
func TestLeaderLeavesTheLaneToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 1})
		second := newDoor()
		commit := w.commit
		w.commit = func(ctx context.Context, f flight) error {
			if f.jobs[0].n == 1 {
				second.pass()
			}
			return commit(ctx, f)
		}
		calls := w.enqueue(context.Background(), jobs(2)...)
		close(d.open)
		<-second.at
		if err := first.result(); err != nil {
			t.Error(err)
		}
		calls[0].underWay(t)
		close(second.open)
		wantAll(t, calls, nil)
	})
}

func TestLanesFlyAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Lanes: 3, Max: 1}), newDoor()
		w.commit = func(context.Context, flight) error {
			d.pass()
			return nil
		}
		calls := w.enqueue(t.Context(), jobs(5)...)
		for range 3 {
			<-d.at
		}
		if w.maxOpen != 3 || w.Waiting() != 2 {
			t.Errorf("%d flights, %d waiting; want 3 and 2", w.maxOpen, w.Waiting())
		}
		close(d.open)
		for range 2 {
			<-d.at
		}
		wantAll(t, calls, nil)
		if w.maxOpen != 3 {
			t.Errorf("%d flights at a time, want 3", w.maxOpen)
		}
	})
}

func TestContextThatIsDoneStoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(groupcommit.Config[*job]{Max: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Do(ctx, &job{}); !errors.Is(err, context.Canceled) || errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Errorf("got %v, want context.Canceled alone", err)
	}
	w.Drain()
	w.wantFlights(t)
}

func TestJobWhoseContextEndsWhileItWaitsIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		ctx, cancel := context.WithCancel(t.Context())
		j := jobs(3)
		calls := w.enqueue(t.Context(), j[0])
		gone := w.enqueue(ctx, j[1])[0]
		calls = append(calls, w.enqueue(t.Context(), j[2])...)
		cancel()
		if err := gone.result(); !errors.Is(err, context.Canceled) || errors.Is(err, contacts.ErrOutcomeUnknown) {
			t.Errorf("got %v, want context.Canceled alone", err)
		}
		first.underWay(t)
		close(d.open)
		wantAll(t, append(calls, first), nil)
		w.wantFlights(t, []int{0}, []int{1, 3})
	})
}

// A slowContext has ended, and its caller has not been told yet.
type slowContext struct {
	context.Context
	ended bool
}

func (c *slowContext) Err() error {
	if c.ended {
		return context.Canceled
	}
	return c.Context.Err()
}

func TestFlightTakesNoJobWhoseContextHasJustEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		slow := &slowContext{Context: ctx}
		j := jobs(2)
		calls := append(w.enqueue(t.Context(), j[0]), first)
		gone := w.enqueue(slow, j[1])
		slow.ended = true
		close(d.open)
		wantAll(t, calls, nil)
		wantAll(t, gone, context.Canceled)
		w.wantFlights(t, []int{0}, []int{1})
	})
}

func TestJobWhoseContextEndsInItsFlightIsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 10}), newDoor()
		w.commit = func(context.Context, flight) error {
			d.pass()
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := w.start(ctx, &job{n: 1}, w.Do)
		<-d.at
		cancel()
		if err := c.result(); !errors.Is(err, context.Canceled) || !errors.Is(err, contacts.ErrOutcomeUnknown) {
			t.Errorf("got %v, want context.Canceled and ErrOutcomeUnknown", err)
		}
		drained := make(chan struct{})
		go func() {
			w.Drain()
			close(drained)
		}()
		synctest.Wait()
		select {
		case <-drained:
			t.Error("Drain did not wait for the flight")
		default:
		}
		close(d.open)
		<-drained
		w.wantFlights(t, []int{1})
	})
}

func TestFlightEndsWithTheLastOfItsCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		flying, ended := make(chan struct{}), make(chan struct{})
		commit := w.commit
		w.commit = func(ctx context.Context, f flight) error {
			if f.jobs[0].n == 0 {
				return commit(ctx, f)
			}
			close(flying)
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		}
		ctx1, cancel1 := context.WithCancel(t.Context())
		ctx2, cancel2 := context.WithCancel(t.Context())
		defer cancel2()
		j := jobs(2)
		calls := append(w.enqueue(ctx1, j[0]), w.enqueue(ctx2, j[1])...)
		close(d.open)
		<-flying
		cancel1()
		wantAll(t, calls[:1], contacts.ErrOutcomeUnknown)
		synctest.Wait()
		select {
		case <-ended:
			t.Error("the flight ended while a caller waited for it")
		default:
		}
		cancel2()
		wantAll(t, calls[1:], contacts.ErrOutcomeUnknown)
		<-ended
		wantAll(t, []*call{first}, nil)
	})
}

func TestFlightOfACallerThatNothingCallsAwayIsNotEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		second := newDoor()
		commit := w.commit
		w.commit = func(ctx context.Context, f flight) error {
			if f.jobs[0].n != 0 {
				second.pass()
				if err := ctx.Err(); err != nil {
					t.Errorf("the flight's context: %v", err)
				}
			}
			return commit(ctx, f)
		}
		ctx, cancel := context.WithCancel(t.Context())
		j := jobs(2)
		gone, stays := w.enqueue(ctx, j[0])[0], w.enqueue(context.Background(), j[1])[0]
		close(d.open)
		<-second.at
		cancel()
		wantAll(t, []*call{gone}, contacts.ErrOutcomeUnknown)
		close(second.open)
		wantAll(t, []*call{first, stays}, nil)
	})
}

func TestBeginEndsWhenNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(groupcommit.Config[*job]{Max: 10})
		begins := 0
		w.begin = func(ctx context.Context) error {
			if begins++; begins == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		ctx1, cancel1 := context.WithCancel(t.Context())
		ctx2, cancel2 := context.WithCancel(t.Context())
		j := jobs(3)
		calls := append(w.enqueue(ctx1, j[0]), w.enqueue(ctx2, j[1])...)
		cancel1()
		wantAll(t, calls[:1], context.Canceled)
		synctest.Wait()
		if w.Waiting() != 1 {
			t.Errorf("%d wait, want 1", w.Waiting())
		}
		cancel2()
		wantAll(t, calls[1:], context.Canceled)
		// The next one is not told of it.
		if err := w.Do(t.Context(), j[2]); err != nil {
			t.Error(err)
		}
		w.wantFlights(t, []int{3})
	})
}

// A job may come between the end of the context of Begin and its return.
func TestJobThatComesWhileBeginIsGivenUpIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 10}), newDoor()
		begins := 0
		w.begin = func(ctx context.Context) error {
			if begins++; begins == 1 {
				<-ctx.Done()
				d.pass()
				return ctx.Err()
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		j := jobs(2)
		gone := w.enqueue(ctx, j[0])
		cancel()
		<-d.at
		late := w.enqueue(t.Context(), j[1])
		close(d.open)
		wantAll(t, gone, context.Canceled)
		wantAll(t, late, nil)
		w.wantFlights(t, []int{2})
	})
}

func TestTransactionThatNobodyWaitsForIsDiscarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 10}), newDoor()
		w.begin = func(context.Context) error {
			d.pass()
			return nil // although its context has ended
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls := w.enqueue(ctx, jobs(2)...)
		<-d.at
		cancel()
		wantAll(t, calls, context.Canceled)
		close(d.open)
		w.Drain()
		if w.discarded != 1 || w.open != 0 {
			t.Errorf("%d discarded, %d open; want 1 and 0", w.discarded, w.open)
		}
		w.wantFlights(t)
	})
}

func TestFailureToBeginIsThatOfAllThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 2}), newDoor()
		begins := 0
		w.begin = func(context.Context) error {
			if begins++; begins == 1 {
				d.pass()
				return errFault
			}
			return nil
		}
		calls := w.enqueue(t.Context(), jobs(5)...)
		<-d.at
		close(d.open)
		wantAll(t, calls, errFault)
		if err := w.Do(t.Context(), &job{n: 6}); err != nil {
			t.Errorf("the next job: %v", err)
		}
		w.wantFlights(t, []int{6})
	})
}

func TestJobsOfAFlightThatWasUndoneAreMadeAgainSolo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		commit := w.commit
		w.commit = func(ctx context.Context, f flight) error {
			switch {
			case len(f.jobs) > 1:
				return fmt.Errorf("%w: %w", groupcommit.ErrSolo, errFault)
			case f.jobs[0].n == 2:
				return errFault
			}
			return commit(ctx, f)
		}
		calls := w.enqueue(t.Context(), jobs(3)...)
		close(d.open)
		wantAll(t, []*call{first, calls[0], calls[2]}, nil)
		if err := calls[1].result(); !errors.Is(err, errFault) || errors.Is(err, groupcommit.ErrSolo) {
			t.Errorf("got %v, want the fault of its own flight", err)
		}
		w.wantFlights(t, []int{0}, []int{1, 2, 3}, []int{1}, []int{2}, []int{3})
		for i, f := range w.flights {
			if want := i >= 2; f.retry != want {
				t.Errorf("flight %v: retry is %v, want %v", f.numbers(), f.retry, want)
			}
		}
	})
}

func TestJobsMadeAgainGoBeforeThoseThatCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 10}), newDoor()
		failed := false
		w.commit = func(context.Context, flight) error {
			if !failed {
				failed = true
				d.pass()
				return groupcommit.ErrSolo // of one job: it is made again as well
			}
			return nil
		}
		j := jobs(3)
		calls := w.enqueue(t.Context(), j[0])
		<-d.at
		calls = append(calls, w.enqueue(t.Context(), j[1:]...)...)
		close(d.open)
		wantAll(t, calls, nil)
		w.wantFlights(t, []int{1}, []int{1}, []int{2, 3})
		if w.flights[0].retry || !w.flights[1].retry || w.flights[2].retry {
			t.Error("want the second flight to be a retry, and no other")
		}
	})
}

func TestJobWhoseCallerHasGoneIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		second := newDoor()
		commit := w.commit
		w.commit = func(ctx context.Context, f flight) error {
			if len(f.jobs) > 1 {
				second.pass()
				return groupcommit.ErrSolo
			}
			return commit(ctx, f)
		}
		ctx, cancel := context.WithCancel(t.Context())
		j := jobs(2)
		gone, stays := w.enqueue(ctx, j[0])[0], w.enqueue(t.Context(), j[1])[0]
		close(d.open)
		<-second.at
		cancel()
		wantAll(t, []*call{gone}, contacts.ErrOutcomeUnknown)
		close(second.open)
		wantAll(t, []*call{first, stays}, nil)
		w.wantFlights(t, []int{0}, []int{1, 2}, []int{2})
	})
}

// Nobody would end the wait of another Begin.
func TestFlightThatIsUndoneForNobodyBeginsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 10}), newDoor()
		begins := 0
		w.begin = func(context.Context) error {
			begins++
			return nil
		}
		w.commit = func(context.Context, flight) error {
			d.pass()
			return groupcommit.ErrSolo
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := w.start(ctx, &job{n: 1}, w.Do)
		<-d.at
		cancel()
		wantAll(t, []*call{c}, contacts.ErrOutcomeUnknown)
		close(d.open)
		w.Drain()
		if begins != 1 {
			t.Errorf("%d flights began, want 1", begins)
		}
	})
}

// A caller that gives up between two tries of its job knows that it is not
// stored.
func TestJobThatWaitsForItsRetryIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 10}), newDoor()
		begins := 0
		w.begin = func(ctx context.Context) error {
			if begins++; begins == 2 {
				d.at <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		w.commit = func(context.Context, flight) error { return groupcommit.ErrSolo }
		ctx, cancel := context.WithCancel(t.Context())
		c := w.start(ctx, &job{n: 1}, w.Do)
		<-d.at
		cancel()
		if err := c.result(); !errors.Is(err, context.Canceled) || errors.Is(err, contacts.ErrOutcomeUnknown) {
			t.Errorf("got %v, want context.Canceled alone", err)
		}
		w.Drain()
		w.wantFlights(t, []int{1})
	})
}

func TestUnknownOutcomeIsNeverMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		commit := w.commit
		w.commit = func(ctx context.Context, f flight) error {
			if f.jobs[0].n == 0 {
				return commit(ctx, f)
			}
			return errors.Join(groupcommit.ErrSolo, contacts.ErrOutcomeUnknown)
		}
		calls := w.enqueue(t.Context(), jobs(2)...)
		close(d.open)
		wantAll(t, calls, contacts.ErrOutcomeUnknown)
		wantAll(t, []*call{first}, nil)
		w.wantFlights(t, []int{0}, []int{1, 2})
	})
}

func TestAnyOtherErrorIsThatOfAllInTheFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, first, d := held(groupcommit.Config[*job]{Max: 10})
		commit := w.commit
		w.commit = func(ctx context.Context, f flight) error {
			if f.jobs[0].n == 0 {
				return commit(ctx, f)
			}
			return errFault
		}
		calls := w.enqueue(t.Context(), jobs(2)...)
		close(d.open)
		wantAll(t, calls, errFault)
		wantAll(t, []*call{first}, nil)
		w.wantFlights(t, []int{0}, []int{1, 2})
	})
}

func TestDrainEndsALaneThatNoJobNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(groupcommit.Config[*job]{Lanes: 2, Max: 10})
		begins := 0
		free := make(chan struct{})
		w.begin = func(ctx context.Context) error {
			w.mu.Lock()
			begins++
			mine := begins
			w.mu.Unlock()
			if mine == 1 {
				<-free
				return nil
			}
			<-ctx.Done() // there is one connection alone
			return ctx.Err()
		}
		calls := w.enqueue(t.Context(), jobs(2)...)
		close(free)
		wantAll(t, calls, nil)
		w.wantFlights(t, []int{1, 2})
		w.Drain()
		if w.open != 0 {
			t.Errorf("%d flights are open", w.open)
		}
	})
}

func TestCrowdIsRememberedPastASoloJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(groupcommit.Config[*job]{Max: 10}), newDoor()
		w.begin = func(context.Context) error {
			d.pass()
			return nil
		}
		fly := func(jobs []*job, do func(context.Context, *job) error) {
			var calls []*call
			for _, j := range jobs {
				calls = append(calls, w.start(t.Context(), j, do))
			}
			<-d.at
			synctest.Wait()
			d.open <- struct{}{}
			wantAll(t, calls, nil)
			w.Drain()
		}
		want := func(after string, want bool) {
			t.Helper()
			if got := w.ExpectsCrowd(); got != want {
				t.Errorf("after %s: a crowd is expected: %v, want %v", after, got, want)
			}
		}
		want("nothing", false)
		fly(jobs(2), w.Do)
		want("two jobs", true)
		fly(jobs(1), w.DoSolo)
		want("a solo job", true)
		fly(jobs(1), w.Do)
		want("one job", false)
		fly(jobs(1), w.DoSolo)
		want("one job and a solo job", false)
	})
}

func TestGatherWaitsAsLongAsMoreCome(t *testing.T) {
	t.Parallel()
	for _, come := range []int{0, 1, 7, 1000} {
		looked := 0
		groupcommit.Gather(func() int {
			looked++
			return min(looked, come)
		})
		const patience = 20
		if want := min(max(come, 1)+1, patience+1); looked != want {
			t.Errorf("%d come: looked %d times, want %d", come, looked, want)
		}
	}
}

// Many callers at once, some of which give up, and flights that are undone: what
// is stored is what was told.
func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	for _, lanes := range []int{1, 3} {
		t.Run(fmt.Sprint(lanes, " lanes"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(groupcommit.Config[*job]{Lanes: lanes, Max: 8})
			w.commit = func(_ context.Context, f flight) error {
				if len(f.jobs) > 1 && f.jobs[0].n%5 == 0 {
					return groupcommit.ErrSolo
				}
				return nil
			}
			const callers, each = 16, 100
			errs := make([]error, callers*each)
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					for i := range each {
						n := c*each + i
						ctx, cancel := context.Background(), func() {}
						if n%3 != 0 {
							ctx, cancel = context.WithCancel(ctx)
						}
						if n%3 == 1 {
							wg.Go(func() {
								for range rand.IntN(50) {
									runtime.Gosched()
								}
								cancel()
							})
						}
						errs[n] = w.Do(ctx, &job{n: n})
						cancel()
					}
				})
			}
			wg.Wait()
			w.Drain()
			stored := make(map[int]int)
			for _, n := range w.stored {
				stored[n]++
			}
			for n, err := range errs {
				switch unknown := errors.Is(err, contacts.ErrOutcomeUnknown); {
				case stored[n] > 1:
					t.Errorf("job %d was stored %d times", n, stored[n])
				case err == nil && stored[n] == 0:
					t.Errorf("job %d was not stored", n)
				case err != nil && !unknown && stored[n] > 0:
					t.Errorf("job %d was stored, and told %v", n, err)
				case err != nil && (n%3 != 1 || !errors.Is(err, context.Canceled)):
					t.Errorf("job %d: %v", n, err)
				}
			}
			if w.maxOpen > lanes || w.open != 0 {
				t.Errorf("%d flights at a time, %d left; want at most %d and none", w.maxOpen, w.open, lanes)
			}
			if slices.ContainsFunc(w.flights, func(f flight) bool { return len(f.jobs) > 8 }) {
				t.Error("a flight of more than 8 jobs")
			}
		})
	}
}

func BenchmarkLoneCaller(b *testing.B) {
	q := groupcommit.New(groupcommit.Config[*job]{Max: 1024, Begin: func(context.Context) (groupcommit.Tx[*job], error) { return nothing{}, nil }})
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Do(context.Background(), &job{}); err != nil {
			b.Fatal(err)
		}
	}
}

// nothing is a transaction that does nothing.
type nothing struct{}

func (nothing) Commit(context.Context, []*job, bool) error { return nil }
func (nothing) Discard()                                   {}
