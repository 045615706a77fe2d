package main

import (
	"context"
	"errors"
	"os"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A largeFile is a file of the store with b.growth contacts in ten accounts. The rows
// that need one share it, because it takes long to fill.
type largeFile struct {
	dir   string
	known []knownContact // one of so many of its contacts, at random
}

// A knownContact is what finds a contact.
type knownContact struct {
	account, id uuid.UUID
	email       string
}

// oneKnown is of how many contacts in a large file one is known.
const oneKnown = 20

// largeFile returns the large file, which the first call fills.
func (b *bench) largeFile(ctx context.Context) (_ *largeFile, err error) {
	if b.large != nil {
		return b.large, nil
	}
	l := new(largeFile)
	if l.dir, err = os.MkdirTemp(b.dir, ""); err != nil { // which goes with b.dir
		return nil, err
	}
	t, err := openOurs(ctx, l.dir, b.world)
	if err != nil {
		return nil, err
	}
	n := 0
	err = b.fillStore(ctx, storeOf(t), func(r *contacts.ContactRecord) {
		if n++; n%oneKnown == 0 {
			l.known = append(l.known, knownContact{r.Contact.AccountID, r.Contact.ID, r.Contact.Email})
		}
	})
	if err := errors.Join(err, t.close()); err != nil { // so that the look-ups are whole
		return nil, err
	}
	b.large = l
	return l, nil
}

// onLarge opens the large file, and closes it after use.
func (b *bench) onLarge(ctx context.Context, use func(*largeFile, *ourTarget) error) (err error) {
	l, err := b.largeFile(ctx)
	if err != nil {
		return err
	}
	t, err := openOurs(ctx, l.dir, b.world)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return use(l, t.(*ourTarget))
}

// fillStore adds b.growth contacts to a store, and calls seen with each.
func (b *bench) fillStore(ctx context.Context, store contacts.Store, seen func(*contacts.ContactRecord)) error {
	n := b.growth / batchSize
	batches, stop := b.supply(ctx, n)
	defer stop()
	for range n {
		batch, ok := <-batches
		if !ok {
			return ctx.Err()
		}
		if err := applyAll(ctx, store, batch); err != nil {
			return err
		}
		for _, r := range batch {
			seen(r)
		}
	}
	return nil
}
