package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// ledgers measures the do-not-call ledger, on SQLite and on PostgreSQL.
func (b *bench) ledgers(ctx context.Context) error {
	for _, on := range []struct {
		prefix string
		peer   func() peer
	}{
		{"ledger-", func() peer { return ours }},
		{"postgres-ledger-", func() peer { return b.postgres.ours() }},
	} {
		rows := ledgerRows{peer: on.peer, figure: func(name string) *figure { return b.figure(on.prefix + name) }}
		for _, measure := range []func(context.Context, ledgerRows) error{b.marks, b.lists, b.largeLedger} {
			if err := measure(ctx, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// ledgerRows are the figures of the ledger on a peer. The peer can be had only if
// one of them is asked for.
type ledgerRows struct {
	peer   func() peer
	figure func(name string) *figure
}

// marks creates contacts that ask for a block each, and others that do not.
func (b *bench) marks(ctx context.Context, rows ledgerRows) error {
	f := rows.figure("mark-64")
	if f == nil {
		return nil
	}
	n := b.size(20_000, 2_000)
	for range b.reps {
		rate := func(marked bool) (float64, error) {
			all := b.world.contacts(n)
			for _, c := range all {
				c.input.PhoneNumbers[0].DoNotCall = marked
			}
			return inFolder(b.dir, func(dir string) (float64, error) { return b.write(ctx, rows.peer(), dir, all, 64, new(cost)) })
		}
		with, err := rate(true)
		if err != nil {
			return err
		}
		without, err := rate(false)
		if err != nil {
			return err
		}
		f.add(with, without)
	}
	return nil
}

// lists records a list in an empty ledger, and the same list again.
func (b *bench) lists(ctx context.Context, rows ledgerRows) error {
	stream, again := rows.figure("stream"), rows.figure("again")
	if stream == nil && again == nil {
		return nil
	}
	list := b.ledger / 10
	for range b.reps {
		err := b.onStore(ctx, rows.peer(), func(store contacts.Store) error {
			l, err := b.newListing(store)
			if err != nil {
				return err
			}
			records := b.world.records(b.size(50_000, 5_000))
			runtime.GC()
			start := time.Now()
			if err := applyAll(ctx, store, records); err != nil {
				return err
			}
			bulk := float64(len(records)) / time.Since(start).Seconds()
			first, err := l.record(ctx, 0, list, list)
			if err != nil {
				return err
			}
			second, err := l.record(ctx, 0, list, 0)
			if err != nil {
				return err
			}
			if stream != nil {
				stream.add(first, bulk)
			}
			if again != nil {
				again.add(second, first)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// largeLedger fills a ledger, records a list more, and compares the account with
// one that has no entries. It fills it once: it takes long.
func (b *bench) largeLedger(ctx context.Context, rows ledgerRows) error {
	large, memory := rows.figure("large"), rows.figure("memory")
	create, get, canCall, many := rows.figure("create-64"), rows.figure("get"), rows.figure("cancall"), rows.figure("cancallmany")
	wanted := false
	for _, f := range []*figure{large, memory, create, get, canCall, many} {
		wanted = wanted || f != nil
	}
	if !wanted {
		return nil
	}
	return b.onStore(ctx, rows.peer(), func(store contacts.Store) error {
		l, err := b.newListing(store)
		if err != nil {
			return err
		}
		if err := l.fill(ctx, b.ledger/10, large, memory); err != nil {
			return err
		}
		for range b.reps {
			if create != nil || get != nil {
				if err := l.writesAndReads(ctx, b.size(20_000, 500), create, get); err != nil {
					return err
				}
			}
			if canCall != nil {
				if err := l.calls(ctx, b.size(20_000, 500), canCall); err != nil {
					return err
				}
			}
			if many != nil {
				if err := l.manyCalls(ctx, b.size(10_000, 1_000), many); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// A listing is a store with two accounts: one has a do-not-call ledger, and one has
// no entries.
type listing struct {
	*bench
	svc           *contacts.Service
	listed, other contacts.Team
	numbers       int // of the ledger
}

func (b *bench) newListing(store contacts.Store) (*listing, error) {
	svc, err := contacts.New(store, &contacts.Options{DoNotCallPermission: contacts.PermissionReadContacts})
	return &listing{bench: b, svc: svc, listed: b.world.directory.Teams[0], other: b.world.directory.Teams[1]}, err
}

func (l *listing) key(of contacts.Team) string { return l.world.keys[of.AccountID] }

// number returns the number with that place in the lists. They are in no order.
func number(i int) string {
	const odd = 2_654_435_761 // so that no two of 2^32 are equal
	return fmt.Sprintf("+1%010d", 2_000_000_000+int64(uint32(i)*odd))
}

// numbersOf yields n numbers of the lists, as a file would have them.
func numbersOf(first, n int) iter.Seq[contacts.DoNotCallInput] {
	return func(yield func(contacts.DoNotCallInput) bool) {
		for i := range n {
			if !yield(contacts.DoNotCallInput{PhoneNumber: number(first + i), Source: "list:a"}) {
				return
			}
		}
	}
}

// record records n numbers, of which so many are new, and returns how many a second.
func (l *listing) record(ctx context.Context, first, n, added int) (float64, error) {
	runtime.GC()
	start := time.Now()
	var sum contacts.BlockCallsResult
	for r, err := range l.svc.BlockCallsStream(ctx, l.key(l.listed), numbersOf(first, n), nil) {
		if err != nil {
			return 0, err
		}
		sum.Added += r.Added
		sum.Unchanged += r.Unchanged
	}
	elapsed := time.Since(start)
	if sum.Added != added || sum.Unchanged != n-added {
		return 0, fmt.Errorf("of %d numbers %d were added and %d unchanged, and %d should have been added", n, sum.Added, sum.Unchanged, added)
	}
	l.numbers = max(l.numbers, first+n)
	return float64(n) / elapsed.Seconds(), nil
}

// fill fills the ledger with ten lists of n numbers, and one more.
func (l *listing) fill(ctx context.Context, n int, large, memory *figure) error {
	record := func(first, n int) (rate, peak float64, err error) {
		if err := resetPeakMemory(); err != nil {
			return 0, 0, err
		}
		if rate, err = l.record(ctx, first, n, n); err != nil {
			return 0, 0, err
		}
		peak, err = peakMemory()
		return rate, peak, err
	}
	early, peakEarly, err := record(0, n)
	if err != nil {
		return err
	}
	_, peakLate, err := record(n, 9*n)
	if err != nil {
		return err
	}
	if memory != nil {
		memory.add(peakEarly, peakLate)
	}
	if large == nil {
		return nil
	}
	late, _, err := record(10*n, n)
	large.add(late, early)
	return err
}

// writesAndReads creates n contacts in each of the accounts, and reads them.
func (l *listing) writesAndReads(ctx context.Context, n int, create, get *figure) error {
	ids := make([]uuid.UUID, n)
	rates := func(of contacts.Team) (creates, gets float64, err error) {
		all := l.world.contacts(n)
		runtime.GC()
		start := time.Now()
		err = parallel(64, n, func(i int) error {
			all[i].input.TeamID = of.ID
			c, err := l.svc.CreateContact(ctx, l.key(of), all[i].input)
			if err == nil {
				ids[i] = c.ID
			}
			return err
		})
		creates = float64(n) / time.Since(start).Seconds()
		if err != nil {
			return 0, 0, err
		}
		start = time.Now()
		for range n {
			if _, err := l.svc.GetContact(ctx, l.key(of), ids[rand.IntN(n)]); err != nil {
				return 0, 0, err
			}
		}
		return creates, float64(n) / time.Since(start).Seconds(), nil
	}
	creates, gets, err := rates(l.listed)
	if err != nil {
		return err
	}
	otherCreates, otherGets, err := rates(l.other)
	if err != nil {
		return err
	}
	if create != nil {
		create.add(creates, otherCreates)
	}
	if get != nil {
		get.add(gets, otherGets)
	}
	return nil
}

// canCall asks about a number: of two, one is listed.
func (l *listing) canCall(ctx context.Context) error {
	i := rand.IntN(l.numbers)
	listed := rand.IntN(2) == 0
	if !listed {
		i += l.numbers
	}
	err := l.svc.CanCall(ctx, l.key(l.listed), number(i))
	switch code := contacts.CodeOf(err); {
	case listed && code == contacts.CodeDoNotCall, !listed && err == nil:
		return nil
	default:
		return errors.Join(fmt.Errorf("a number is listed: %t, and CanCall says otherwise", listed), err)
	}
}

// calls asks about n numbers, and gets a contact without numbers as often.
func (l *listing) calls(ctx context.Context, n int, f *figure) error {
	c, err := l.svc.CreateContact(ctx, l.key(l.listed), contacts.CreateContactInput{FirstName: "Ada"})
	if err != nil {
		return err
	}
	ours, err := perSecond(n, func() error { return l.canCall(ctx) })
	if err != nil {
		return err
	}
	theirs, err := perSecond(n, func() error {
		_, err := l.svc.GetContact(ctx, l.key(l.listed), c.ID)
		return err
	})
	f.add(ours, theirs)
	return err
}

// manyCalls asks about n numbers at once, and about as many one after the other.
func (l *listing) manyCalls(ctx context.Context, n int, f *figure) error {
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = number(rand.IntN(2 * l.numbers))
	}
	ours, err := perSecond(1, func() error {
		_, err := l.svc.CanCallMany(ctx, l.key(l.listed), numbers)
		return err
	})
	if err != nil {
		return err
	}
	theirs, err := perSecond(n, func() error { return l.canCall(ctx) })
	f.add(float64(n)*ours, theirs)
	return err
}

// perSecond makes the call n times, and returns how many it makes in a second.
func perSecond(n int, call func() error) (float64, error) {
	runtime.GC()
	start := time.Now()
	for range n {
		if err := call(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}
