package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"example.com/contacts"
)

// copyJournal appends the entries after the newest one of the target, with their
// numbers. It replaces what an erasure has replaced in the source.
func (y *copier) copyJournal(ctx context.Context, account uuid.UUID) error {
	copied, err := y.to.FindAccount(ctx, account)
	if err != nil {
		return err
	}
	last, err := newest(ctx, y.to, account)
	if err != nil {
		return err
	}
	m := contacts.Mutation{AccountID: account, Settings: copied.SettingsVersion}
	flush := func() error {
		if len(m.Journal) == 0 {
			return nil
		}
		err := y.apply(ctx, []contacts.Mutation{m})
		m.Journal = nil
		return err
	}
	for pair, err := range pairs(entriesOf(ctx, y.from, account), entriesOf(ctx, y.to, account), bySequence) {
		if err != nil {
			return err
		}
		f, t := pair.from, pair.to
		switch {
		case f == nil: // it has ended, and the source has removed it
			continue
		case t == nil && f.Sequence > last:
		case t == nil: // it has ended, and the target has removed it
			continue
		case t.Kind != f.Kind || t.Subject != f.Subject || !t.At.Equal(f.At) || !t.EndsAt.Equal(f.EndsAt):
			return fmt.Errorf("the journal has another entry with the number %d in TO, so TO is no copy of FROM", f.Sequence)
		case t.Data == f.Data:
			continue
		}
		m.Journal = append(m.Journal, *f)
		if len(m.Journal) == pageSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
