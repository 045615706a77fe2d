package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/internal/groupcommit"
)

// A plan says what happens in one run of the model test. Times are in
// milliseconds of the bubble's clock.
type plan struct {
	lanes, max int
	alike      bool // jobs of one key alone share a flight
	locking    bool // jobs lock accounts by their key
	jobs       []*planned
	begins     []step // in turn, and then from the start
	commits    []step
}

// locks returns what a job locks: jobs of key 2 lock what those of key 1 do, and more.
func (p *plan) locks(j *job) (accounts []uuid.UUID) {
	for i := range j.key {
		if p.locking {
			accounts = append(accounts, uuid.UUID{byte(i)})
		}
	}
	return accounts
}

// A planned job.
type planned struct {
	job
	at       time.Duration
	deadline time.Duration // after at; 0: its context cannot end
	solo     bool
	poison   bool // no flight with it can be stored
}

// A step is one Begin or Commit.
type step struct {
	takes   time.Duration
	patient bool // it does not end with its context
	fault   bool
	unknown bool // a fault of unknown outcome
	stored  bool // an unknown outcome that was stored
}

func drawPlan(t *rapid.T) *plan {
	times := func(name string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Millisecond
	}
	rarely := func(name string) bool { return rapid.IntRange(0, 5).Draw(t, name) == 0 }
	p := &plan{
		lanes: rapid.IntRange(0, 3).Draw(t, "lanes"),
		max:   rapid.IntRange(1, 6).Draw(t, "max"),
		alike: rapid.Bool().Draw(t, "alike"), locking: rapid.Bool().Draw(t, "locking"),
	}
	for i := range rapid.IntRange(1, 25).Draw(t, "jobs") {
		j := &planned{
			job:    job{n: i, size: rapid.IntRange(0, 8).Draw(t, "size"), key: rapid.IntRange(0, 2).Draw(t, "key")},
			at:     times("at", 30),
			solo:   rarely("solo"),
			poison: rarely("poison"),
		}
		if rapid.Bool().Draw(t, "impatient") {
			j.deadline = times("deadline", 20) + time.Millisecond
		}
		p.jobs = append(p.jobs, j)
	}
	for range rapid.IntRange(1, 4).Draw(t, "begins") {
		p.begins = append(p.begins, step{takes: times("begin", 6), patient: rapid.Bool().Draw(t, "patient"), fault: rarely("fault")})
	}
	for range rapid.IntRange(1, 4).Draw(t, "commits") {
		p.commits = append(p.commits, step{
			takes: times("commit", 12), patient: rapid.Bool().Draw(t, "patient"),
			unknown: rarely("unknown"), stored: rapid.Bool().Draw(t, "stored"),
		})
	}
	return p
}

// A run is a plan that happens.
type run struct {
	*plan
	queue *groupcommit.Queue[*job]

	mu             sync.Mutex
	begun, flights int
	open           int
	locked         map[uuid.UUID]bool    // by the flights under way
	stored         map[int]int           // how often
	givenUp        map[int]bool          // calls that have returned before their flight ended
	returned       map[int]error         // of each job
	late           map[int]time.Duration // past the deadline
	undone         map[int]bool          // was in a flight that returned ErrSolo
	problems       []string
}

func (r *run) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// wait takes the time of a step, and returns the context's error if that ends
// the step.
func (s step) wait(ctx context.Context) error {
	if s.patient {
		ctx = context.Background()
	}
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *run) begin(ctx context.Context) (groupcommit.Tx[*job], error) {
	r.mu.Lock()
	s := r.begins[r.begun%len(r.begins)]
	r.begun++
	r.mu.Unlock()
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	if s.fault {
		return nil, errFault
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open++; r.open > max(r.lanes, 1) {
		r.problem("%d flights at a time", r.open)
	}
	return &runTx{run: r}, nil
}

// A runTx is a transaction of a run.
type runTx struct {
	*run
	ended bool
}

// end ends the transaction; the caller holds mu.
func (t *runTx) end() {
	if t.ended {
		t.problem("a transaction was ended twice")
	}
	t.ended = true
	t.open--
}

func (t *runTx) Discard() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
}

func (t *runTx) Commit(ctx context.Context, jobs []*job, retry bool) error {
	t.mu.Lock()
	s := t.commits[t.flights%len(t.commits)]
	t.flights++
	t.checkFlight(jobs, retry)
	locks := make(map[uuid.UUID]bool)
	for _, j := range jobs {
		for _, l := range t.locks(j) {
			locks[l] = true
		}
	}
	for l := range locks {
		if t.locked[l] {
			t.problem("a flight of %v locks what another has locked", jobs)
		}
	}
	maps.Copy(t.locked, locks)
	t.mu.Unlock()

	ended := s.wait(ctx)

	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
	for l := range locks {
		delete(t.locked, l)
	}
	if ctx.Err() != nil && slices.ContainsFunc(jobs, func(j *job) bool { return !t.givenUp[j.n] && t.plan.jobs[j.n].deadline == 0 }) {
		t.problem("the flight of %v ended although somebody waits", jobs)
	}
	store := func() {
		for _, j := range jobs {
			if t.stored[j.n]++; t.stored[j.n] > 1 {
				t.problem("job %d was stored twice", j.n)
			}
		}
	}
	poisoned := slices.ContainsFunc(jobs, func(j *job) bool { return t.plan.jobs[j.n].poison })
	switch {
	case ended != nil:
		return ended
	case poisoned && len(jobs) > 1:
		for _, j := range jobs {
			t.undone[j.n] = true
		}
		return groupcommit.ErrSolo
	case poisoned:
		return errFault
	case s.unknown:
		if s.stored {
			store()
		}
		return fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, errFault)
	}
	store()
	return nil
}

// checkFlight checks what shares a flight.
func (t *runTx) checkFlight(jobs []*job, retry bool) {
	size := 0
	for i, j := range jobs {
		p := t.plan.jobs[j.n]
		if size += j.size; i > 0 && size > t.max {
			t.problem("a flight of size %d", size)
		}
		if len(jobs) > 1 && (p.solo || t.undone[j.n]) {
			t.problem("job %d is not alone", j.n)
		}
		if t.alike && j.key != jobs[0].key {
			t.problem("keys %d and %d share a flight", jobs[0].key, j.key)
		}
		if i > 0 && t.plan.jobs[jobs[i-1].n].at > p.at {
			t.problem("job %d flies after job %d", j.n, jobs[i-1].n)
		}
		if retry != t.undone[j.n] {
			t.problem("job %d: retry is %v", j.n, retry)
		}
	}
	if len(jobs) == 0 {
		t.problem("a flight without jobs")
	}
}

// call makes the call of one job at its time.
func (r *run) call(p *planned) {
	<-time.After(p.at)
	ctx, cancel := context.Background(), func() {}
	if p.deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, p.deadline)
	}
	defer cancel()
	do := r.queue.Do
	if p.solo {
		do = r.queue.DoSolo
	}
	began := time.Now()
	err := do(ctx, &p.job)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.returned[p.n] = err
	if ctx.Err() != nil {
		r.givenUp[p.n] = true
	}
	if took := time.Since(began); p.deadline > 0 && took > p.deadline {
		r.late[p.n] = took - p.deadline
	}
}

// check compares what the callers were told with what is stored.
func (r *run) check() {
	faults := slices.ContainsFunc(r.begins, func(s step) bool { return s.fault })
	unknowns := slices.ContainsFunc(r.commits, func(s step) bool { return s.unknown })
	for _, p := range r.plan.jobs {
		err, told := r.returned[p.n]
		unknown := errors.Is(err, contacts.ErrOutcomeUnknown)
		ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
		if late := r.late[p.n]; late > 0 {
			r.problem("job %d returned %v after its deadline", p.n, late)
		}
		switch {
		case !told:
			r.problem("job %d was told nothing", p.n)
		case errors.Is(err, groupcommit.ErrSolo):
			r.problem("job %d was told %v", p.n, err)
		case err == nil && r.stored[p.n] == 0:
			r.problem("job %d was not stored", p.n)
		case err != nil && !unknown && r.stored[p.n] > 0:
			r.problem("job %d was stored, and told %v", p.n, err)
		case ended && p.deadline == 0:
			r.problem("job %d cannot give up, and was told %v", p.n, err)
		case errors.Is(err, errFault) && !p.poison && !faults && !unknown:
			r.problem("job %d was told of a fault that is not its own", p.n)
		case unknown && !ended && !unknowns:
			r.problem("job %d: nothing made its outcome unknown", p.n)
		}
	}
	if r.open != 0 {
		r.problem("%d transactions were left open", r.open)
	}
}

// Whatever comes, fails and is given up, and when: what the callers are told is
// what is stored, flights hold what may share one, nobody returns later than its
// context ends, and no goroutine and no transaction is left.
func TestQueueTellsWhatIsStored(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := &run{
			plan: drawPlan(rt), locked: make(map[uuid.UUID]bool), stored: make(map[int]int), givenUp: make(map[int]bool),
			returned: make(map[int]error), late: make(map[int]time.Duration), undone: make(map[int]bool),
		}
		synctest.Test(t, func(t *testing.T) {
			c := groupcommit.Config[*job]{Lanes: r.lanes, Max: r.max, Size: sizeOf, Locks: r.locks, Begin: r.begin}
			if r.alike {
				c.Alike = func(a, b *job) bool { return a.key == b.key }
			}
			r.queue = groupcommit.New(c)
			var wg sync.WaitGroup
			for _, p := range r.plan.jobs {
				wg.Go(func() { r.call(p) })
			}
			wg.Wait()
			r.queue.Drain()
			if n := r.queue.Waiting(); n != 0 {
				r.problem("%d jobs are left", n)
			}
			r.check()
		})
		for _, p := range r.problems {
			rt.Error(p)
		}
	})
}
