package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"example.com/contacts"
)

// copyContacts walks the contacts of both stores side by side. It creates those that the
// target lacks, replaces those of a lower version, and reports those that the source
// has no longer.
func (y *copier) copyContacts(ctx context.Context, account uuid.UUID) error {
	copied, err := y.to.FindAccount(ctx, account)
	if err != nil {
		return err
	}
	var mutations []contacts.Mutation
	extra := 0
	for pair, err := range pairs(contactsOf(ctx, y.from, account), contactsOf(ctx, y.to, account), descending) {
		if err != nil {
			return err
		}
		f, t := pair.from, pair.to
		if f == nil {
			// One that was restored while the source was listed is in neither of its lists.
			if f, err = y.from.FindContact(ctx, account, t.Contact.ID); err != nil && !errors.Is(err, contacts.ErrNotFound) {
				return err
			}
		}
		change := contacts.ContactChange{Record: f}
		switch {
		case t == nil:
			change.ID = f.Contact.ID
		case f == nil && !y.remove:
			extra++
			continue
		case f == nil || t.Contact.Version < f.Contact.Version:
			change.ID, change.Version = t.Contact.ID, t.Contact.Version
		}
		_ = y.bar.Add(1) // a bar that cannot be drawn is no reason to stop
		if change.ID == uuid.Nil {
			continue
		}
		mutations = append(mutations, contacts.Mutation{AccountID: account, Settings: copied.SettingsVersion, Contacts: []contacts.ContactChange{change}})
		if len(mutations) == pageSize {
			if err := y.apply(ctx, mutations); err != nil {
				return err
			}
			mutations = mutations[:0]
		}
	}
	if extra > 0 {
		y.extra += extra
		y.s.warn("account %s: TO has %d contacts that FROM has no longer; --again --remove removes them", account, extra)
	}
	return y.apply(ctx, mutations)
}

// apply stores mutations in the target. A batch that was read is written, whatever ends
// the command meanwhile.
func (y *copier) apply(ctx context.Context, mutations []contacts.Mutation) error {
	if err := ctx.Err(); err != nil || len(mutations) == 0 {
		return err
	}
	outcomes, err := y.to.Apply(context.WithoutCancel(ctx), contacts.MutationBatch{Mutations: mutations, Now: y.now, Verbatim: true})
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		if o.Err != nil {
			if changes := mutations[i].Contacts; len(changes) > 0 {
				return fmt.Errorf("contact %s: %w", changes[0].ID, o.Err)
			}
			return fmt.Errorf("journal: %w", o.Err)
		}
	}
	return nil
}
