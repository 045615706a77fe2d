package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"example.com/contacts"
)

// oneTwin is of how many contacts one has the e-mail address of another.
const oneTwin = 100

// duplicates fills a file with b.growth contacts and walks through the groups of
// those that share an address, and through all contacts. The peak of the memory is
// that of a walk through the groups, when the file has a tenth and when it has all.
func (b *bench) duplicates(ctx context.Context) error {
	return b.twice("duplicates", "duplicates-memory", func(dir string, add, total int, speed *figure) (float64, error) {
		return b.walks(ctx, dir, add, total, speed)
	})
}

// twice fills a file to a tenth of b.growth contacts and then to all of them, and
// measures each time. measure adds the contacts, and returns the peak of its memory;
// the speed is that of the second time, nil in the first.
func (b *bench) twice(speedRow, peakRow string, measure func(dir string, add, total int, speed *figure) (peak float64, err error)) error {
	speed, peak := b.figure(speedRow), b.figure(peakRow)
	if speed == nil && peak == nil {
		return nil
	}
	n := b.growth / (10 * batchSize) * batchSize
	_, err := inFolder(b.dir, func(dir string) (float64, error) {
		early, err := measure(dir, n, n, nil)
		if err != nil {
			return 0, err
		}
		late, err := measure(dir, 9*n, 10*n, speed)
		if err == nil && peak != nil {
			peak.add(early, late)
		}
		return late, err
	})
	return err
}

// walks adds so many contacts to the file, and measures walks when it has that many.
func (b *bench) walks(ctx context.Context, dir string, add, total int, speed *figure) (peak float64, err error) {
	if err := b.addTwins(ctx, dir, add); err != nil {
		return 0, err
	}
	opened, err := openOurs(ctx, dir, b.world)
	if err != nil {
		return 0, err
	}
	t := opened.(*ourTarget)
	defer func() { err = errors.Join(err, t.close()) }()

	rate := func(want int, walk func(key string) (int, error)) (float64, error) {
		runtime.GC()
		found := 0
		start := time.Now()
		for _, a := range b.world.directory.Accounts {
			more, err := walk(b.world.keys[a.ID])
			if err != nil {
				return 0, err
			}
			found += more
		}
		elapsed := time.Since(start)
		if found != want {
			return 0, fmt.Errorf("a walk found %d, and should have found %d", found, want)
		}
		return float64(total) / elapsed.Seconds(), nil
	}
	groups := func(key string) (n int, err error) {
		for _, err := range t.svc.Duplicates(ctx, key, contacts.FindDuplicatesInput{Key: contacts.KeyEmail}) {
			if err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	}
	all := walkOf(ctx, t.svc, 0)
	if err := resetPeakMemory(); err != nil {
		return 0, err
	}
	if _, err := rate(total/oneTwin, groups); err != nil { // which warms the page cache, too
		return 0, err
	}
	if peak, err = peakMemory(); err != nil || speed == nil {
		return peak, err
	}
	for range b.reps {
		ours, errOurs := rate(total/oneTwin, groups)
		theirs, errTheirs := rate(total, all)
		if err := errors.Join(errOurs, errTheirs); err != nil {
			return 0, err
		}
		speed.add(ours, theirs)
	}
	return peak, nil
}

// addTwins adds contacts to the file, and closes it, so that the look-ups are whole.
func (b *bench) addTwins(ctx context.Context, dir string, n int) error {
	t, err := openOurs(ctx, dir, b.world)
	if err != nil {
		return err
	}
	for range n / batchSize {
		batch := b.world.records(batchSize)
		for pair := range slices.Chunk(batch, oneTwin) {
			first, twin := &pair[0].Contact, &pair[oneTwin-1].Contact
			twin.AccountID, twin.TeamID, twin.Email = first.AccountID, first.TeamID, first.Email
		}
		if err := t.(bulk).createAll(ctx, batch); err != nil {
			return errors.Join(err, t.close())
		}
	}
	return t.close()
}
