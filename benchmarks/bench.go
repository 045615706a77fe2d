package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nyaruka/phonenumbers"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A bench runs the peers one after the other, again and again, so that what
// changes on the machine meanwhile changes for all of them.
type bench struct {
	quick    bool
	reps     int
	growth   int
	ledger   int
	dir      string // for the files
	world    *world
	large    *largeFile      // nil until a figure needs it
	floor    *floor          // nil where no figure needs it
	postgres *postgresServer // nil where no figure needs it
	report   *report
}

// figure returns the figure of that name, or nil if it is not asked for.
func (b *bench) figure(name string) *figure {
	for _, f := range b.report.Figures {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// size returns how much work to do.
func (b *bench) size(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}

func (b *bench) run(ctx context.Context) error {
	for _, f := range []func(context.Context) error{
		func(ctx context.Context) error { return b.writes(ctx, 1, b.size(3_000, 300)) },
		func(ctx context.Context) error { return b.writes(ctx, 64, b.size(20_000, 2_000)) },
		func(ctx context.Context) error { return b.writes(ctx, 256, b.size(20_000, 2_000)) },
		func(ctx context.Context) error { return b.bulk(ctx, b.size(50_000, 5_000)) },
		func(ctx context.Context) error { return b.gets(ctx, b.size(100_000, 5_000), b.size(50_000, 5_000)) },
		func(ctx context.Context) error { return b.writesPostgres(ctx, 1, b.size(2_000, 200)) },
		func(ctx context.Context) error { return b.writesPostgres(ctx, 64, b.size(20_000, 2_000)) },
		func(ctx context.Context) error { return b.bulkPostgres(ctx, b.size(50_000, 5_000)) },
		b.grow,
		b.duplicates,
		func(ctx context.Context) error { return b.memory(ctx, b.size(20_000, 5_000)) },
		b.ledgers,
		b.events,
		b.observers,
		func(ctx context.Context) error { return b.dryRuns(ctx, b.size(100_000, 2_000)) },
		b.files,
		b.commands,
		// The last ones change the large file.
		b.identity,
		func(ctx context.Context) error { return b.erasures(ctx, b.size(50, 3)) },
	} {
		if err := f(ctx); err != nil {
			return err
		}
		debug.FreeOSMemory() // the next one starts with a clean slate
	}
	return nil
}

// against says which figure a peer's result belongs to.
type against struct {
	figure *figure
	peer   peer
}

// writes creates n contacts, one a call.
func (b *bench) writes(ctx context.Context, callers, n int) error {
	name := func(peer string) *figure { return b.figure(fmt.Sprintf("write-%d-%s", callers, peer)) }
	floor := name("floor")
	peers := slices.DeleteFunc([]against{
		{name("handwritten"), handwritten}, {name("gorm"), gormPeer}, {name("pocketbase"), pocketbase},
	}, func(a against) bool { return a.figure == nil })
	if floor == nil && len(peers) == 0 {
		return nil
	}
	costs := make([]*cost, 1+len(peers))
	costs[0] = &cost{Callers: callers, Peer: ours.name}
	for i, a := range peers {
		costs[1+i] = &cost{Callers: callers, Peer: a.peer.name}
	}
	b.report.Costs = append(b.report.Costs, costs...)

	for range b.reps {
		all := b.world.contacts(n)
		source, err := os.MkdirTemp(b.dir, "")
		if err != nil {
			return err
		}
		rate, err := b.write(ctx, ours, source, all, callers, costs[0])
		if err != nil {
			return err
		}
		for i, a := range peers {
			theirs, err := inFolder(b.dir, func(dir string) (float64, error) {
				return b.write(ctx, a.peer, dir, all, callers, costs[1+i])
			})
			if err != nil {
				return err
			}
			a.figure.add(rate, theirs)
		}
		if floor != nil {
			theirs, err := b.replay(ctx, source, callers, n)
			if err != nil {
				return err
			}
			floor.add(rate, theirs)
		}
		if err := os.RemoveAll(source); err != nil {
			return err
		}
	}
	return nil
}

func (f *figure) add(ours, theirs float64) {
	f.Ours, f.Theirs = append(f.Ours, ours), append(f.Theirs, theirs)
}

// write creates the contacts in a fresh file, one a call, and returns how many a
// second. The clock runs from the first call until the file is closed, so that
// nothing can be put off to a time when nobody looks.
func (b *bench) write(ctx context.Context, p peer, dir string, all []*contact, callers int, c *cost) (float64, error) {
	t, err := p.open(ctx, dir, b.world)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	latencies := make([]time.Duration, len(all))
	n := float64(len(all))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	syncsBefore := syncs()

	start := time.Now()
	err = parallel(callers, len(all), func(i int) error {
		called := time.Now()
		err := t.create(ctx, all[i])
		latencies[i] = time.Since(called)
		return err
	})
	runtime.ReadMemStats(&after)
	err = errors.Join(err, t.close())
	elapsed := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}

	slices.Sort(latencies)
	c.P50 = append(c.P50, float64(latencies[len(all)/2].Microseconds()))
	c.P99 = append(c.P99, float64(latencies[len(all)*99/100].Microseconds()))
	c.Allocs = append(c.Allocs, float64(after.Mallocs-before.Mallocs)/n)
	c.AllocSize = append(c.AllocSize, float64(after.TotalAlloc-before.TotalAlloc)/n)
	c.Syncs = append(c.Syncs, float64(syncs()-syncsBefore)/n)
	return n / elapsed.Seconds(), checkCounts(ctx, p, dir, len(all))
}

// A creationRow compares creates in so many accounts on two peers.
type creationRow struct {
	figure       *figure // nil: it is not asked for
	accounts     int
	ours, theirs peer
}

// compareCreates creates n contacts by 64 callers for each row, on both peers.
func (b *bench) compareCreates(ctx context.Context, n int, rows []creationRow) error {
	for range b.reps {
		for _, row := range rows {
			if row.figure == nil {
				continue
			}
			all := b.world.contacts(n)
			for i, c := range all {
				b.world.move(c, i%row.accounts)
			}
			rate := func(p peer) (float64, error) {
				return inFolder(b.dir, func(dir string) (float64, error) { return b.write(ctx, p, dir, all, 64, new(cost)) })
			}
			ours, errOurs := rate(row.ours)
			theirs, errTheirs := rate(row.theirs)
			if err := errors.Join(errOurs, errTheirs); err != nil {
				return err
			}
			row.figure.add(ours, theirs)
		}
	}
	return nil
}

// replay makes the C program write what is in the store's file.
func (b *bench) replay(ctx context.Context, source string, batch, n int) (float64, error) {
	return inFolder(b.dir, func(dir string) (float64, error) {
		rate, err := b.floor.write(ctx, source, dir, batch, n)
		if err != nil {
			return 0, err
		}
		return rate, checkCounts(ctx, ours, dir, n) // it is a file like ours
	})
}

// checkCounts proves that the work was done.
func checkCounts(ctx context.Context, p peer, dir string, n int) error {
	got, err := p.count(ctx, dir)
	if want := (counts{n, 2 * n, 2 * n}); err == nil && got != want {
		err = fmt.Errorf("the file has %+v, and should have %+v", got, want)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

const batchSize = 1000

// bulk writes n contacts in batches.
func (b *bench) bulk(ctx context.Context, n int) error {
	floor, byHand := b.figure("bulk-floor"), b.figure("bulk-handwritten")
	if floor == nil && byHand == nil {
		return nil
	}
	for range b.reps {
		all := b.world.records(n)
		source, err := os.MkdirTemp(b.dir, "")
		if err != nil {
			return err
		}
		rate, err := b.writeAll(ctx, ours, source, all)
		if err != nil {
			return err
		}
		if floor != nil {
			theirs, err := b.replay(ctx, source, batchSize, n)
			if err != nil {
				return err
			}
			floor.add(rate, theirs)
		}
		if byHand != nil {
			theirs, err := inFolder(b.dir, func(dir string) (float64, error) { return b.writeAll(ctx, handwritten, dir, all) })
			if err != nil {
				return err
			}
			byHand.add(rate, theirs)
		}
		if err := os.RemoveAll(source); err != nil {
			return err
		}
	}
	return nil
}

// writeAll is write in batches, by one caller.
func (b *bench) writeAll(ctx context.Context, p peer, dir string, all []*contacts.ContactRecord) (float64, error) {
	t, err := p.open(ctx, dir, b.world)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	runtime.GC()
	start := time.Now()
	for batch := range slices.Chunk(all, batchSize) {
		if err = t.(bulk).createAll(ctx, batch); err != nil {
			break
		}
	}
	err = errors.Join(err, t.close())
	elapsed := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	return float64(len(all)) / elapsed.Seconds(), checkCounts(ctx, p, dir, len(all))
}

// gets reads contacts by id, at random, from files that hold n.
func (b *bench) gets(ctx context.Context, n, reads int) error {
	goroutines := []int{1, 8}
	var wanted bool
	for _, g := range goroutines {
		wanted = wanted || b.figure(fmt.Sprintf("get-%d", g)) != nil || b.figure(fmt.Sprintf("get-key-%d", g)) != nil
	}
	if !wanted {
		return nil
	}
	all := b.world.records(n)
	opened := make(map[string]bulk)
	for _, p := range []peer{ours, handwritten} {
		dir, err := os.MkdirTemp(b.dir, "")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if _, err := b.writeAll(ctx, p, dir, all); err != nil {
			return err
		}
		t, err := p.open(ctx, dir, b.world)
		if err != nil {
			return err
		}
		defer t.close()
		opened[p.name] = t.(bulk)
	}
	// Only what identifies them is needed from now on.
	type id struct{ account, contact [16]byte }
	ids := make([]id, n)
	for i, r := range all {
		ids[i] = id{r.Contact.AccountID, r.Contact.ID}
	}
	clear(all)

	ourService := opened[ours.name].(*ourTarget).svc
	find := func(p peer) func(id) error {
		t := opened[p.name]
		return func(id id) error {
			_, err := t.find(ctx, id.account, id.contact)
			return err
		}
	}
	rate := func(goroutines int, get func(id) error) (float64, error) {
		runtime.GC()
		start := time.Now()
		err := parallel(goroutines, reads, func(int) error { return get(ids[rand.IntN(n)]) })
		return float64(reads) / time.Since(start).Seconds(), err
	}
	for range b.reps {
		for _, g := range goroutines {
			store, errOurs := rate(g, find(ours))
			theirs, errTheirs := rate(g, find(handwritten))
			whole, errWhole := rate(g, func(id id) error {
				_, err := ourService.GetContact(ctx, b.world.keys[id.account], id.contact)
				return err
			})
			if err := errors.Join(errOurs, errTheirs, errWhole); err != nil {
				return err
			}
			if f := b.figure(fmt.Sprintf("get-%d", g)); f != nil {
				f.add(store, theirs)
			}
			if f := b.figure(fmt.Sprintf("get-key-%d", g)); f != nil {
				f.add(whole, theirs)
			}
		}
	}
	return nil
}

// grow writes in batches until the file is large, and measures when it holds a
// tenth and when it holds all. It does so once: it takes long.
func (b *bench) grow(ctx context.Context) error {
	self, peakMemory := b.figure("growth-rate"), b.figure("growth-memory")
	byHand, byHandEarly := b.figure("growth-handwritten"), b.figure("growth-handwritten-early")
	if self == nil && byHand == nil && byHandEarly == nil && peakMemory == nil {
		return nil
	}
	early, late, err := b.fill(ctx, ours)
	if err != nil {
		return err
	}
	if self != nil {
		self.add(late.rate, early.rate)
	}
	if peakMemory != nil {
		peakMemory.add(early.peak, late.peak)
	}
	if byHand == nil && byHandEarly == nil {
		return nil
	}
	theirsEarly, theirs, err := b.fill(ctx, handwritten)
	if err != nil {
		return err
	}
	if byHand != nil {
		byHand.add(late.rate, theirs.rate)
	}
	if byHandEarly != nil {
		byHandEarly.add(early.rate, theirsEarly.rate)
	}
	return nil
}

// A window is what was measured while a tenth of the largest file was added.
type window struct{ rate, peak float64 }

// fill writes b.growth contacts and a tenth more. The first window begins when
// the file holds a tenth, the second when it holds b.growth.
func (b *bench) fill(ctx context.Context, p peer) (early, late window, err error) {
	_, err = inFolder(b.dir, func(dir string) (_ float64, err error) {
		t, err := p.open(ctx, dir, b.world)
		if err != nil {
			return 0, err
		}
		size := max(b.growth/10/batchSize, 1) // in batches
		batches, stop := b.supply(ctx, 11*size)
		defer stop()

		measure := func(w *window) error {
			if err := resetPeakMemory(); err != nil {
				return err
			}
			start := time.Now()
			if err := writeBatches(ctx, t.(bulk), batches, size); err != nil {
				return err
			}
			w.rate = float64(size*batchSize) / time.Since(start).Seconds()
			w.peak, err = peakMemory()
			return err
		}
		err = writeBatches(ctx, t.(bulk), batches, size)
		if err == nil {
			err = measure(&early)
		}
		if err == nil {
			err = writeBatches(ctx, t.(bulk), batches, 8*size)
		}
		if err == nil {
			err = measure(&late)
		}
		if err := errors.Join(err, t.close()); err != nil {
			return 0, err
		}
		return 0, checkCounts(ctx, p, dir, 11*size*batchSize)
	})
	return early, late, err
}

// supply makes n batches of contacts by another goroutine, as an import would read
// them. The channel is closed after the last one, and when ctx is done. stop ends it.
func (b *bench) supply(ctx context.Context, n int) (_ <-chan []*contacts.ContactRecord, stop func()) {
	batches := make(chan []*contacts.ContactRecord, 2) // made in advance
	ctx, cancel := context.WithCancel(ctx)
	var maker sync.WaitGroup
	maker.Go(func() {
		defer close(batches)
		for range n {
			select {
			case batches <- b.world.records(batchSize):
			case <-ctx.Done():
				return
			}
		}
	})
	return batches, func() {
		cancel()
		maker.Wait()
	}
}

func writeBatches(ctx context.Context, t bulk, batches <-chan []*contacts.ContactRecord, n int) error {
	for range n {
		batch, ok := <-batches
		if !ok {
			return ctx.Err()
		}
		if err := t.createAll(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// memory creates contacts in a memory store, and parses as many numbers.
func (b *bench) memory(ctx context.Context, n int) error {
	f := b.figure("memory")
	if f == nil {
		return nil
	}
	for range b.reps {
		all := b.world.contacts(n)
		rate := func(call func(*contact) error) (float64, error) {
			runtime.GC()
			start := time.Now()
			for _, c := range all {
				if err := call(c); err != nil {
					return 0, err
				}
			}
			return float64(n) / time.Since(start).Seconds(), nil
		}
		store := memory.New()
		if _, err := store.AddToDirectory(ctx, b.world.directory); err != nil {
			return err
		}
		svc, err := contacts.New(store, nil)
		if err != nil {
			return err
		}
		create, err := rate(func(c *contact) error {
			_, err := svc.CreateContact(ctx, c.key, c.input)
			return err
		})
		if err != nil {
			return err
		}
		parse, err := rate(func(c *contact) error {
			_, err := phonenumbers.Parse(c.input.PhoneNumbers[0].PhoneNumber, "")
			return err
		})
		if err != nil {
			return err
		}
		f.add(create, parse)
	}
	return nil
}

// parallel calls f with each number below n, from many goroutines, until one
// call fails.
func parallel(goroutines, n int, f func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// inFolder calls f with a new folder in parent, and removes it.
func inFolder(parent string, f func(dir string) (float64, error)) (float64, error) {
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return 0, err
	}
	result, err := f(dir)
	return result, errors.Join(err, os.RemoveAll(dir))
}
