package contacts

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A blockResult is what becomes of one entry that is to be recorded.
type blockResult int

const (
	blockAdded     blockResult = iota
	blockUnchanged             // it would change nothing
	blockGranted               // the number has a grant, which outranks a list
)

// A blocking records entries, one or many, in one mutation.
type blocking struct {
	*call
	now    time.Time
	always bool  // a grant of the number is no reason to leave it alone
	past   *past // the earlier steps of a dry run of a list; nil: there are none

	ledger *ledger
	view   ledgerView // as read, with the entries that were judged to be added; those of a number are sorted
	added  []ledgerEntry
}

// read makes the ledger ready, and reads what it has on the numbers of the
// entries.
func (b *blocking) read(ctx context.Context, entries []ledgerEntry) (err error) {
	if err := b.findAccount(ctx); err != nil {
		return err
	}
	if !b.dryRun {
		if b.account, err = b.ledgers.prepare(ctx, b.account); err != nil {
			return err
		}
	}
	if b.ledger, err = b.ledgers.open(b.account); err != nil {
		return err
	}
	numbers := make([]string, len(entries))
	for i := range entries {
		numbers[i] = entries[i].PhoneNumber
	}
	b.view, err = b.ledger.look(ctx, numbers)
	if b.view == nil {
		b.view = make(ledgerView)
	}
	for number, entries := range b.view {
		on := formEntries{entries: entries}
		on.sort()
		b.view[number] = on.entries
	}
	return err
}

// judge decides what becomes of an entry. One that is to be added is in the view
// from then on, so a number that occurs twice is unchanged the second time.
func (b *blocking) judge(e *ledgerEntry) blockResult {
	if e.At.IsZero() {
		e.At = b.now
		if e.Type == DoNotCallBlock {
			e.At = b.view.timeOfBlock(e.PhoneNumber, b.now)
		}
	}
	on := formEntries{entries: b.view[e.PhoneNumber]}
	if past := b.past.blocks(e); len(past) > 0 {
		on.entries = append(slices.Clip(on.entries), past...)
		on.sort()
	}
	if e.Type == DoNotCallBlock {
		if on.covers(e, b.now) {
			return blockUnchanged
		}
		if n := len(on.entries); !b.always && n > 0 && on.entries[n-1].Type == DoNotCallGrant && !on.entries[n-1].expired(b.now) {
			return blockGranted
		}
	}
	e.Actor = b.principal.actor()
	if b.ledger != nil { // else the account has none yet, in a dry run
		e.sign(b.ledger)
	}
	b.view.insert(e)
	b.added = append(b.added, *e)
	return blockAdded
}

// covers reports whether a block would change nothing beside the entries, which
// are sorted: one of the same source and reason holds as long as it, now and after
// every grant that it would follow.
func (f *formEntries) covers(block *ledgerEntry, now time.Time) bool {
	active := f.afterGrants(now)
	for i := range f.entries {
		e := &f.entries[i]
		if e.Type != DoNotCallBlock || e.Source != block.Source || e.Reason != block.Reason {
			continue
		}
		if !e.ExpiresAt.IsZero() && (block.ExpiresAt.IsZero() || e.ExpiresAt.Before(block.ExpiresAt)) {
			continue
		}
		if !e.At.Before(block.At) || i >= active && !e.expired(now) {
			return true
		}
	}
	return false
}

// append stores the entries that were added. ErrStale: the settings of the account
// have changed.
func (b *blocking) append(ctx context.Context) error {
	if len(b.added) == 0 {
		return nil
	}
	m := Mutation{Journal: make([]JournalEntry, len(b.added))}
	for i := range b.added {
		var err error
		if m.Journal[i], err = b.added[i].journal(); err != nil {
			return err
		}
	}
	outcomes, err := b.send(ctx, MutationBatch{Mutations: []Mutation{m}, Now: b.now})
	return cmp.Or(err, outcomeAt(outcomes, 0).Err)
}
