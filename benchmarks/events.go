package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// events measures what the events of an account cost, and what their readers get.
func (b *bench) events(ctx context.Context) error {
	for _, f := range []func(context.Context) error{
		func(ctx context.Context) error {
			return b.compareCreates(ctx, b.size(20_000, 2_000), []creationRow{{b.figure("events-write-64"), accounts, recording(ours), ours}})
		},
		func(ctx context.Context) error { return b.recordingBulk(ctx, b.size(50_000, 5_000)) },
		func(ctx context.Context) error {
			one, ten := b.figure("postgres-events-64-one"), b.figure("postgres-events-64-ten")
			if one == nil && ten == nil {
				return nil // there may be no server
			}
			p := b.postgres.ours()
			return b.compareCreates(ctx, b.size(20_000, 2_000), []creationRow{{one, 1, recording(p), p}, {ten, accounts, recording(p), p}})
		},
		b.catchUp,
		func(ctx context.Context) error { return b.eventLatency(ctx, b.size(40, 4)) },
		func(ctx context.Context) error { return b.asOf(ctx, b.size(2_000, 50)) },
	} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// recording is the peer with events on in all accounts.
func recording(p peer) peer {
	return withSetting(p, "events on", func(ctx context.Context, admin *contacts.Admin, account uuid.UUID) error {
		return admin.SetEvents(ctx, account, contacts.EventSettings{On: true})
	})
}

// recordingBulk compares batches of creates with events on and off, and the files.
func (b *bench) recordingBulk(ctx context.Context, n int) error {
	speed, growth := b.figure("events-bulk"), b.figure("events-file")
	if speed == nil && growth == nil {
		return nil
	}
	const allowed = 300 // bytes for each event
	for range b.reps {
		all := b.world.contacts(n)
		var size float64
		rate := func(p peer) (float64, error) {
			return inFolder(b.dir, func(dir string) (float64, error) {
				t, err := p.open(ctx, dir, b.world)
				if err != nil {
					return 0, err
				}
				rate, err := untilClosed(t, n, func() error { return b.createInBatches(ctx, t, all) })
				info, errStat := os.Stat(file(dir))
				if err := errors.Join(err, errStat); err != nil {
					return 0, err
				}
				size = float64(info.Size())
				return rate, checkCounts(ctx, p, dir, n)
			})
		}
		on, errOn := rate(recording(ours))
		sizeOn := size
		off, errOff := rate(ours)
		if err := errors.Join(errOn, errOff); err != nil {
			return err
		}
		if speed != nil {
			speed.add(on, off)
		}
		if growth != nil {
			growth.add(allowed, (sizeOn-size)/float64(n))
		}
	}
	return nil
}

// createInBatches creates contacts as callers do: each batch is of one account.
func (b *bench) createInBatches(ctx context.Context, t target, all []*contact) error {
	svc, err := contacts.New(storeOf(t), nil)
	if err != nil {
		return err
	}
	account := 0
	for part := range slices.Chunk(all, batchSize) {
		var in contacts.CreateContactsInput
		for _, c := range part {
			b.world.move(c, account%accounts)
			in.Contacts = append(in.Contacts, c.input)
		}
		account++
		results, err := svc.CreateContacts(ctx, part[0].key, in)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Err != nil {
				return r.Err
			}
		}
	}
	return nil
}

// catchUp fills a file with b.growth contacts and as many events, and reads all of
// both. The peak of the memory is that of the reader of events, when the file has a
// tenth and when it has all.
func (b *bench) catchUp(ctx context.Context) error {
	return b.twice("events-catch-up", "events-catch-up-memory", func(dir string, add, total int, speed *figure) (float64, error) {
		return b.readAll(ctx, dir, add, total, speed)
	})
}

// readAll adds so many contacts to the file, and reads all when it has that many.
func (b *bench) readAll(ctx context.Context, dir string, add, total int, speed *figure) (peak float64, err error) {
	t, err := recording(ours).open(ctx, dir, b.world)
	if err != nil {
		return 0, err
	}
	for range add / batchSize {
		if err := b.createInBatches(ctx, t, b.world.contacts(batchSize)); err != nil {
			return 0, errors.Join(err, t.close())
		}
	}
	if err := t.close(); err != nil { // so that the look-ups are whole
		return 0, err
	}
	if t, err = openOurs(ctx, dir, b.world); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	admin := contacts.NewAdmin(storeOf(t), nil)
	rate := func(read func(account uuid.UUID) (int, error)) (float64, error) {
		runtime.GC()
		found := 0
		start := time.Now()
		for _, a := range b.world.directory.Accounts {
			n, err := read(a.ID)
			if err != nil {
				return 0, err
			}
			found += n
		}
		elapsed := time.Since(start)
		if found != total {
			return 0, fmt.Errorf("a reader found %d, and should have found %d", found, total)
		}
		return float64(total) / elapsed.Seconds(), nil
	}
	events := func(account uuid.UUID) (n int, err error) {
		last, err := admin.LastSequence(ctx, account)
		if last == 0 || err != nil {
			return 0, err
		}
		for e, err := range admin.Events(ctx, account, 0) {
			if err != nil {
				return 0, err
			}
			if n++; e.Sequence == last {
				break
			}
		}
		return n, nil
	}
	all := walkOf(ctx, t.(*ourTarget).svc, 0)
	walk := func(account uuid.UUID) (int, error) { return all(b.world.keys[account]) }
	if err := resetPeakMemory(); err != nil {
		return 0, err
	}
	if _, err := rate(events); err != nil { // which warms the page cache, too
		return 0, err
	}
	if peak, err = peakMemory(); err != nil || speed == nil {
		return peak, err
	}
	for range b.reps {
		ours, errOurs := rate(events)
		theirs, errTheirs := rate(walk)
		if err := errors.Join(errOurs, errTheirs); err != nil {
			return 0, err
		}
		speed.add(ours, theirs)
	}
	return peak, nil
}

// eventLatency measures how long a reader that waits takes to get an event, from
// the moment when the create has returned.
func (b *bench) eventLatency(ctx context.Context, creates int) error {
	f := b.figure("events-latency")
	if f == nil {
		return nil
	}
	const poll, allowed = 250 * time.Millisecond, 270 * time.Millisecond
	_, err := inFolder(b.dir, func(dir string) (_ float64, err error) {
		t, err := recording(ours).open(ctx, dir, b.world)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, t.close()) }()
		reading, stop := context.WithCancel(ctx)
		type seen struct {
			id  uuid.UUID
			at  time.Time
			err error
		}
		all := make(chan seen, creates)
		admin := contacts.NewAdmin(storeOf(t), &contacts.AdminOptions{EventPoll: poll})
		go func() {
			defer close(all)
			for e, err := range admin.Events(reading, b.world.directory.Accounts[0].ID, 0) {
				all <- seen{e.ContactID, time.Now(), err}
			}
		}()
		defer func() {
			stop()
			for range all { // until the reader has ended
			}
		}()
		svc := t.(*ourTarget).svc
		for range creates {
			time.Sleep(rand.N(poll)) // so that a create comes at any moment between two looks
			c := b.world.contacts(1)[0]
			b.world.move(c, 0)
			created, err := svc.CreateContact(ctx, c.key, c.input)
			if err != nil {
				return 0, err
			}
			returned := time.Now()
			got := <-all
			if got.err != nil || got.id != created.ID {
				return 0, errors.Join(fmt.Errorf("the reader got an event of %v, and not of %v", got.id, created.ID), got.err)
			}
			f.add(float64(allowed.Milliseconds()), float64(max(got.at.Sub(returned), time.Millisecond).Milliseconds()))
		}
		return 0, nil
	})
	return err
}

// asOf compares the first version of a contact with 100 changes with a get of the
// contact.
func (b *bench) asOf(ctx context.Context, reads int) error {
	f := b.figure("events-as-of")
	if f == nil {
		return nil
	}
	const changes = 100
	_, err := inFolder(b.dir, func(dir string) (_ float64, err error) {
		t, err := recording(ours).open(ctx, dir, b.world)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, t.close()) }()
		// The keys of the world have one permission.
		svc, err := contacts.New(storeOf(t), &contacts.Options{WritePermission: contacts.PermissionReadContacts, EventsPermission: contacts.PermissionReadContacts})
		if err != nil {
			return 0, err
		}
		c := b.world.contacts(1)[0]
		created, err := svc.CreateContact(ctx, c.key, c.input)
		if err != nil {
			return 0, err
		}
		for i := range changes {
			city := fmt.Sprint("City ", i)
			if _, err := svc.UpdateContact(ctx, c.key, created.ID, contacts.UpdateContactInput{City: &city}, nil); err != nil {
				return 0, err
			}
		}
		rate := func(get func() (*contacts.Contact, error), version int64) (float64, error) {
			runtime.GC()
			start := time.Now()
			for range reads {
				got, err := get()
				if err != nil {
					return 0, err
				}
				if got.Version != version {
					return 0, fmt.Errorf("version %d was read, and not %d", got.Version, version)
				}
			}
			return float64(reads) / time.Since(start).Seconds(), nil
		}
		for range b.reps {
			past, errPast := rate(func() (*contacts.Contact, error) {
				return svc.GetContactAsOf(ctx, c.key, created.ID, created.UpdatedAt)
			}, 1)
			now, errNow := rate(func() (*contacts.Contact, error) { return svc.GetContact(ctx, c.key, created.ID) }, changes+1)
			if err := errors.Join(errPast, errNow); err != nil {
				return 0, err
			}
			f.add(past, now)
		}
		return 0, nil
	})
	return err
}
