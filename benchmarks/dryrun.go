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
			dry, errDry := b.streamOn(ctx, row.peer(), inputs, (*contacts.Service).DryRun, nil)
			whole, errWhole := b.streamOn(ctx, row.peer(), inputs, wet, nil)
			if err := errors.Join(errDry, errWhole); err != nil {
				return err
			}
			row.figure.add(dry, whole)
		}
	}
	return b.dryRunMemory(ctx, n)
}

// wet is what DryRun is not.
func wet(s *contacts.Service) *contacts.Service { return s }

// dryRunMemory compares what a stream keeps in memory at its end.
func (b *bench) dryRunMemory(ctx context.Context, n int) error {
	f := b.figure("dryrun-memory")
	if f == nil {
		return nil
	}
	const allowed, keys = 48, 3 // bytes for each key; keys of each contact
	for range b.reps {
		inputs := b.inputs(n)
		heap := func(view func(*contacts.Service) *contacts.Service) (bytes float64, err error) {
			_, err = b.streamOn(ctx, ours, inputs, view, func() {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				bytes = float64(m.HeapAlloc)
			})
			return bytes, err
		}
		whole, errWhole := heap(wet)
		dry, errDry := heap((*contacts.Service).DryRun)
		if err := errors.Join(errWhole, errDry); err != nil {
			return err
		}
		f.add(allowed, (dry-whole)/float64(keys*n))
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

// streamOn creates the contacts in a fresh store, with a view of its Service, and
// returns how many a second. The clock runs until the store is closed. atEnd is that of
// createStream.
func (b *bench) streamOn(ctx context.Context, p peer, inputs []contacts.CreateContactInput, view func(*contacts.Service) *contacts.Service, atEnd func()) (float64, error) {
	return inFolder(b.dir, func(dir string) (float64, error) {
		t, err := p.open(ctx, dir, b.world)
		if err != nil {
			return 0, err
		}
		svc, err := contacts.New(storeOf(t), nil)
		if err != nil {
			return 0, errors.Join(err, t.close())
		}
		svc = view(svc)
		key := b.world.keys[b.world.directory.Accounts[0].ID]
		rate, err := untilClosed(t, len(inputs), func() error {
			return createStream(ctx, svc, key, len(inputs), slices.Values(inputs), atEnd)
		})
		if err != nil {
			return 0, err
		}
		stored := len(inputs)
		if svc.IsDryRun() {
			stored = 0
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
