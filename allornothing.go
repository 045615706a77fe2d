package contacts

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// createAll creates the contacts of a batch that is all or nothing. If another writer
// comes between, nothing is stored, and it decides about all of them again: the
// policy may be another one.
func (c *call) createAll(ctx context.Context, created *creation) error {
	others, err := c.refuseReplays(ctx, created)
	if err != nil {
		return err
	}
	if created.failed() {
		return c.failBatch(ctx, created)
	}
	inputs := slices.Clone(created.contacts)
	for stale, try := 0, 1; ; try++ {
		plans, err := c.plans(ctx, created)
		switch {
		case err != nil:
			return c.fault(err)
		case plans || others:
			err = c.plan(ctx, created)
		default:
			c.create(ctx, created)
			err = created.stale
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrStale) && stale < maxStale-1:
			stale++
			c.account = nil
			if err := c.confirm(ctx); err != nil {
				return err
			}
		case !errors.Is(err, ErrStale) && (comesAgain(err) || errors.Is(err, ErrIdempotencyConflict)) && try < maxTries:
			stale = 0
		default:
			c.note(err)
			for i := range created.contacts {
				created.contacts[i].err = newServerError(err)
			}
			return nil
		}
		c.tries++
		copy(created.contacts, inputs)
		created.places, created.stale = nil, nil
		if !c.dryRun {
			c.seen = nil
		}
	}
}

func (created *creation) failed() bool {
	return slices.ContainsFunc(created.contacts, func(n newContact) bool { return n.err != nil })
}

// plans reports whether what becomes of the contacts has to be known before one of
// them is stored.
func (c *call) plans(ctx context.Context, created *creation) (bool, error) {
	policy, err := c.policy(ctx)
	return c.seen != nil || c.matching(&policy) != nil || len(created.contacts) > 0 && created.contacts[0].how != nil, err
}

// plan decides about all contacts as a dry run does, and stores what was decided in
// one step. Its error says that nothing was decided or stored.
func (c *call) plan(ctx context.Context, created *creation) error {
	c.seen = newOverlay()
	c.create(ctx, created)
	switch {
	case created.stale != nil:
		return created.stale
	case c.seen.overtaken:
		return errAgain
	}
	c.checkReplays(ctx, created)
	if !created.failed() {
		if c.dryRun {
			return nil
		}
		return c.carryOut(ctx, created)
	}
	if !c.dryRun && len(c.seen.steps) > 0 { // what refused it was read
		if err := c.checkSettings(ctx); errors.Is(err, ErrStale) {
			return err
		}
	}
	for i := range created.contacts {
		if n := &created.contacts[i]; n.err == nil {
			n.err = newError(ErrBatchFailed)
		}
	}
	return nil
}

// carryOut stores what was planned. Its error says that nothing was.
func (c *call) carryOut(ctx context.Context, created *creation) error {
	if len(c.seen.steps) == 0 { // the store has nothing to do with it
		return nil
	}
	steps := slices.DeleteFunc(slices.Clone(c.seen.steps), func(s step) bool { return s.after == nil && s.once == nil })
	if len(steps) == 0 { // all is as it was read
		return c.checkSettings(ctx)
	}
	now, err := c.clock.read()
	if err != nil {
		return err
	}
	batch := write{MutationBatch: MutationBatch{Now: now, AllOrNothing: true}}
	for _, s := range steps {
		version := int64(0)
		if s.before != nil {
			version = s.before.Contact.Version
		}
		batch.add(s, version)
	}
	policy, err := c.policy(ctx)
	if err != nil {
		return err
	}
	outcomes, err := c.claim(ctx, policy, batch)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Err != nil && !errors.Is(o.Err, ErrBatchFailed) {
			return o.Err
		}
	}
	replays := false
	for i, o := range outcomes {
		if o.Result != "" { // it was sent at the same time, and came first
			replays = true
			c.finish(steps[i].newContact, o)
		}
	}
	if replays {
		c.checkReplays(ctx, created)
	}
	return nil
}

// failBatch refuses the contacts of an all-or-nothing batch that are right,
// because others are not. The store does not see them, so a missing team is
// looked up here: all that is wrong is reported at once.
func (c *call) failBatch(ctx context.Context, created *creation) error {
	missing := make(map[int64]error) // by team
	for i := range created.contacts {
		n := &created.contacts[i]
		if n.err != nil {
			continue
		}
		team := n.record.Contact.TeamID
		err, known := missing[team]
		if !known && team != 0 {
			if err = c.needTeam(ctx, team); CodeOf(err) == CodeServerError {
				return err
			}
			missing[team] = err
		}
		n.err = newError(cmp.Or(err, ErrBatchFailed))
	}
	return nil
}
