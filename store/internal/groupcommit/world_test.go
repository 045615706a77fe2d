package groupcommit_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"example.com/contacts/store/internal/groupcommit"
)

// A world is a database that a queue commits to. What begins and commits waits
// for the test, if the test wants that.
type world struct {
	*groupcommit.Queue[*job]

	// nil: at once, and without an error.
	begin  func(ctx context.Context) error
	commit func(ctx context.Context, f flight) error

	mu        sync.Mutex
	flights   []flight
	stored    []int
	discarded int
	open      int // flights
	maxOpen   int
}

// A job is what a test commits.
type job struct {
	n    int
	size int
	key  int
}

// A flight is the jobs of one Commit.
type flight struct {
	jobs  []*job
	retry bool
}

func (f flight) numbers() []int {
	var all []int
	for _, j := range f.jobs {
		all = append(all, j.n)
	}
	return all
}

// newWorld returns one whose queue has this configuration.
func newWorld(c groupcommit.Config[*job]) *world {
	w := &world{}
	c.Begin = w.beginFlight
	w.Queue = groupcommit.New(c)
	return w
}

func (w *world) beginFlight(ctx context.Context) (groupcommit.Tx[*job], error) {
	if w.begin != nil {
		if err := w.begin(ctx); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	w.maxOpen = max(w.maxOpen, w.open)
	return (*tx)(w), nil
}

// A tx is a transaction of a world.
type tx world

func (t *tx) Commit(ctx context.Context, jobs []*job, retry bool) error {
	f := flight{slices.Clone(jobs), retry}
	var err error
	if t.commit != nil {
		err = t.commit(ctx, f)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	t.flights = append(t.flights, f)
	if err == nil {
		t.stored = append(t.stored, f.numbers()...)
	}
	return err
}

func (t *tx) Discard() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	t.discarded++
}

// numbers returns the numbers of the jobs of each flight.
func (w *world) numbers() [][]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all [][]int
	for _, f := range w.flights {
		all = append(all, f.numbers())
	}
	return all
}

// A call is a Do under way.
type call struct {
	done chan struct{}
	err  error
}

// start calls Do, or DoSolo, in a goroutine.
func (w *world) start(ctx context.Context, j *job, do func(context.Context, *job) error) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = do(ctx, j)
	}()
	return c
}

// result waits for the call.
func (c *call) result() error {
	<-c.done
	return c.err
}

// underWay fails the test if the call has returned.
func (c *call) underWay(t *testing.T) {
	t.Helper()
	select {
	case <-c.done:
		t.Errorf("returned %v too early", c.err)
	default:
	}
}

// A door is where the goroutines of a world wait for a test.
type door struct{ at, open chan struct{} }

func newDoor() door { return door{make(chan struct{}), make(chan struct{})} }

// pass tells the test that somebody is at the door, and waits until it is open.
func (d door) pass() {
	d.at <- struct{}{}
	<-d.open
}
