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
	ctx = context.WithoutCancel(ctx)
	outcomes, err := y.to.Apply(ctx, y.batch(mutations))
	if err != nil {
		return err
	}
	// The source may have made a team after its teams were copied, and a contact in it.
	var again []contacts.Mutation
	for i, o := range outcomes {
		if errors.Is(o.Err, contacts.ErrTeamNotFound) {
			again = append(again, mutations[i])
		} else if o.Err != nil {
			return refused(mutations[i], o.Err)
		}
	}
	if len(again) == 0 {
		return nil
	}
	if err := y.copyTeams(ctx, again[0].AccountID); err != nil {
		return err
	}
	outcomes, err = y.to.Apply(ctx, y.batch(again))
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		if o.Err != nil {
			return refused(again[i], o.Err)
		}
	}
	return nil
}

func (y *copier) batch(mutations []contacts.Mutation) contacts.MutationBatch {
	return contacts.MutationBatch{Mutations: mutations, Now: y.now, Verbatim: true}
}

// refused returns the error of a mutation that the target has refused.
func refused(m contacts.Mutation, err error) error {
	if len(m.Contacts) > 0 {
		return fmt.Errorf("contact %s: %w", m.Contacts[0].ID, err)
	}
	return fmt.Errorf("journal: %w", err)
}
