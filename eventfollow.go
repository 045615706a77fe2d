package contacts

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/google/uuid"
)

// The time between two looks for new events.
const (
	defaultEventPoll = 250 * time.Millisecond
	minEventPoll     = 10 * time.Millisecond
)

// Events yields the events of an account after a sequence, in their order, waits
// for more, and ends when ctx is done. 0 begins with the oldest event that is
// there, and [Admin.LastSequence] is where to begin from now on. Any number of
// readers may run, in any number of processes: nothing is kept for them, and none
// holds up a writer.
//
// Blocks and grants of calls are among the events, whether [EventSettings] are on or
// off. A list of a million numbers is a million events; skip them by their Type if
// they are of no use.
//
// No event is left out. A reader that sees a sequence never sees a lower one
// later. To handle each event exactly once, store its sequence in the same transaction
// as your own change, and begin after that sequence the next time.
//
// An error ends the loop; begin again with the last sequence. CodeEventsGone says
// that events after it have ended by [EventSettings]; to go on without them, begin
// at NextSequence less 1. Its other errors: CodeValidationError for a negative
// sequence, CodeNotFound for an unknown account, CodeServerError.
func (a *Admin) Events(ctx context.Context, accountID uuid.UUID, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := a.follow(ctx, accountID, after, yield); err != nil && ctx.Err() == nil {
			yield(Event{}, err)
		}
	}
}

// follow yields events until one is not wanted or ctx is done.
func (a *Admin) follow(ctx context.Context, accountID uuid.UUID, after int64, yield func(Event, error) bool) error {
	if after < 0 {
		return NewValidationError(FieldError{"after", FieldInvalid, "must not be negative"})
	}
	if _, err := a.account(ctx, accountID); err != nil {
		return err
	}
	r := newEventReader(a.store, accountID, uuid.Nil, after)
	for ctx.Err() == nil {
		now, err := a.now()
		if err != nil {
			return err
		}
		r.room = maxEventData
		events, more, err := r.next(ctx, now, eventPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			select {
			case <-ctx.Done():
				return nil
			default:
			}
			if !yield(e, nil) {
				return nil
			}
		}
		if !more {
			wait(ctx, a.eventPoll)
		}
	}
	return nil
}

// wait returns after some time, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// LastSequence returns the sequence of the newest entry in the journal of an
// account, for a reader of [Admin.Events] that begins now. 0: there is none yet.
// To keep a full copy of the contacts, note it, read all contacts, and then the
// events after it. Its errors: CodeNotFound for an unknown account,
// CodeServerError.
func (a *Admin) LastSequence(ctx context.Context, accountID uuid.UUID) (int64, error) {
	if _, err := a.account(ctx, accountID); err != nil {
		return 0, err
	}
	entries, err := a.store.ListJournal(ctx, JournalQuery{AccountID: accountID, Backwards: true, Limit: 1})
	switch {
	case err != nil:
		return 0, newServerError(err)
	case len(entries) == 0:
		return 0, nil
	}
	return entries[0].Sequence, nil
}

// PruneEvents removes the events of an account from the store that ended an hour
// ago or more. A store may keep one for a second more. An event that has ended is gone for
// every reader at once. It is removed by and by where the account records more events. So
// PruneEvents is for an account that records none: nobody writes to it, or its events were
// switched off. The newest entry of the account stays. Its errors: CodeNotFound for an unknown
// account, CodeServerError.
func (a *Admin) PruneEvents(ctx context.Context, accountID uuid.UUID) error {
	newest, err := a.LastSequence(ctx, accountID)
	if err != nil {
		return err
	}
	now, err := a.now()
	if err != nil {
		return err
	}
	rounds, first := 0, int64(0)
	q := JournalQuery{AccountID: accountID, Kind: JournalEvent, Limit: eventPage}
	for {
		entries, err := a.store.ListJournal(ctx, q)
		if err != nil {
			return newServerError(err)
		}
		next, mayStay := firstToPrune(entries, newest, now)
		if next != first {
			first, rounds = next, 0
		}
		switch {
		case next == 0, mayStay && rounds == fewPruneRounds:
			if len(entries) < q.Limit {
				return nil
			}
			q.After = entries[len(entries)-1].Sequence
			continue
		case rounds == maxPruneRounds:
			return newServerError(errors.New("the store does not remove events that have ended"))
		}
		rounds++
		if _, err := a.store.Apply(ctx, MutationBatch{Now: now}); err != nil {
			return newServerError(err)
		}
	}
}

// How often PruneEvents has a store remove what it may until an event is gone. A round may
// remove what is of other accounts.
const (
	maxPruneRounds = 10_000
	fewPruneRounds = 10 // for an event that may stay for up to a second more
)

// firstToPrune returns the sequence of the first event before the newest entry that is to
// be removed by now, preferably one that may not stay; 0: there is none.
func firstToPrune(entries []JournalEntry, newest int64, now time.Time) (first int64, mayStay bool) {
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Sequence >= newest:
		case e.ended(now.Add(-ClockSkew - time.Second)):
			return e.Sequence, false
		case first == 0 && e.ended(now.Add(-ClockSkew)):
			first, mayStay = e.Sequence, true
		}
	}
	return first, mayStay
}
