package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// ours is the library: the whole call of a Service on a SQLite store.
var ours = peer{
	name: "contacts",
	open: openOurs,
	count: func(ctx context.Context, dir string) (counts, error) {
		return countRows(ctx, file(dir), "contact", "contact_phone", "contact_tag")
	},
}

type ourTarget struct {
	store *sqlite.Store
	svc   *contacts.Service
}

func openOurs(ctx context.Context, dir string, w *world) (target, error) {
	return openOursWith(ctx, dir, w, nil, nil)
}

func openOursWith(ctx context.Context, dir string, w *world, opts *sqlite.Options, svcOpts *contacts.Options) (target, error) {
	store, err := sqlite.Open(ctx, file(dir), opts)
	if err != nil {
		return nil, err
	}
	svc, err := contacts.New(store, svcOpts)
	if err == nil {
		_, err = store.AddToDirectory(ctx, w.directory)
		if errors.Is(err, contacts.ErrExists) {
			err = nil // the file is opened again
		}
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &ourTarget{store, svc}, nil
}

func (t *ourTarget) create(ctx context.Context, c *contact) error {
	_, err := t.svc.CreateContact(ctx, c.key, c.input)
	return err
}

func (t *ourTarget) createAll(ctx context.Context, all []*contacts.ContactRecord) error {
	return applyAll(ctx, t.store, all)
}

// applyAll stores records as a Service does: in batches of MaxMutations.
func applyAll(ctx context.Context, store contacts.Store, all []*contacts.ContactRecord) error {
	for part := range slices.Chunk(all, contacts.MaxMutations) {
		batch := contacts.MutationBatch{Mutations: make([]contacts.Mutation, len(part)), Now: time.Now().UTC().Truncate(time.Microsecond)}
		for i, r := range part {
			batch.Mutations[i] = contacts.Mutation{
				AccountID: r.Contact.AccountID,
				Contacts:  []contacts.ContactChange{{ID: r.Contact.ID, Record: r}},
			}
		}
		outcomes, err := store.Apply(ctx, batch)
		if err != nil {
			return err
		}
		for _, o := range outcomes {
			if o.Err != nil {
				return o.Err // the others are most likely the same
			}
		}
	}
	return nil
}

func (t *ourTarget) find(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	return t.store.FindContact(ctx, account, id)
}

func (t *ourTarget) contactStore() contacts.Store { return t.store }

func (t *ourTarget) close() error { return t.store.Close() }
