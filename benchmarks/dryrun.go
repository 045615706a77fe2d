package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"example.com/contacts"
)

// dryRuns compares a stream of n new contacts as a dry run with the real one, on
// SQLite and on PostgreSQL.
func (b *bench) dryRuns(ctx context.Context, n int) error {
	for _, row := range []struct {
		figure *figure
		peer   func() peer
	}{
		{b.figure("dryrun-stream"), func() peer { return ours }},
		{b.figure("postgres-dryrun-stream"), func() peer { return b.postgres.ours() }},
	} {
		if row.figure == nil {
			continue
		}
		for range b.reps {
			inputs := b.inputs(n)
			dry, errDry := b.streamOn(ctx, row.peer(), inputs, nil, true, nil)
			whole, errWhole := b.streamOn(ctx, row.peer(), inputs, nil, false, nil)
			if err := errors.Join(errDry, errWhole); err != nil {
				return err
			}
			row.figure.add(dry, whole)
		}
	}
	return b.dryRunMemory(ctx, n)
}

// dryRunMemory compares what a dry run keeps in memory at its end with one that may keep
// one key. The real stream is no measure: its store has parts of its index in memory.
func (b *bench) dryRunMemory(ctx context.Context, n int) error {
	f := b.figure("dryrun-memory")
	if f == nil {
		return nil
	}
	const allowed, keys = 48, 3 // bytes for each key; keys of each contact
	for range b.reps {
		inputs := b.inputs(n)
		heap := func(opts *contacts.Options) (bytes float64, err error) {
			_, err = b.streamOn(ctx, ours, inputs, opts, true, func() {
				runtime.GC()
				runtime.GC() // what pools have kept goes with the second
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				bytes = float64(m.HeapAlloc)
			})
			return bytes, err
		}
		without, errWithout := heap(&contacts.Options{Limits: contacts.Limits{DryRunKeys: 1}})
		with, errWith := heap(nil)
		if err := errors.Join(errWithout, errWith); err != nil {
			return err
		}
		runtime.KeepAlive(inputs) // they are in both heaps
		f.add(allowed, (with-without)/float64(keys*n))
	}
	return nil
}

// inputs returns n new contacts for the first account.
func (b *bench) inputs(n int) []contacts.CreateContactInput {
	inputs := make([]contacts.CreateContactInput, n)
	for i, c := range b.world.contacts(n) {
		b.world.move(c, 0)
		inputs[i] = c.input
	}
	return inputs
}

// streamOn creates the contacts in a fresh store, or runs dry, and returns how many a
// second. The clock runs until the store is closed. atEnd is that of createStream.
func (b *bench) streamOn(ctx context.Context, p peer, inputs []contacts.CreateContactInput, opts *contacts.Options, dry bool, atEnd func()) (float64, error) {
	return inFolder(b.dir, func(dir string) (float64, error) {
		t, err := p.open(ctx, dir, b.world)
		if err != nil {
			return 0, err
		}
		svc, err := contacts.New(storeOf(t), opts)
		if err != nil {
			return 0, errors.Join(err, t.close())
		}
		stored := len(inputs)
		if dry {
			svc, stored = svc.DryRun(), 0
		}
		key := b.world.keys[b.world.directory.Accounts[0].ID]
		rate, err := untilClosed(t, len(inputs), func() error {
			return createStream(ctx, svc, key, len(inputs), slices.Values(inputs), atEnd)
		})
		if err != nil {
			return 0, err
		}
		return rate, checkCounts(ctx, p, dir, stored)
	})
}

// createStream creates the n contacts of a source. It calls atEnd with the last result,
// when the stream still has all that it keeps; nil: it does not.
func createStream(ctx context.Context, svc *contacts.Service, key string, n int, source iter.Seq[contacts.CreateContactInput], atEnd func()) error {
	created := 0
	for r, err := range svc.CreateContactStream(ctx, key, source) {
		if err := errors.Join(err, r.Err); err != nil {
			return err
		}
		if created++; created == n && atEnd != nil {
			atEnd()
		}
	}
	if created != n {
		return fmt.Errorf("%d contacts were created, not %d", created, n)
	}
	return nil
}
