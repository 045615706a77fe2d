package storetest_test

import (
	"errors"
	"sync"

	"example.com/contacts"
)

// dryRunFaults break dry runs.
var dryRunFaults = []fault{
	{"stores in a dry run", "dry run/the outcomes of the real call", onBatch(func(batch *contacts.MutationBatch) { batch.DryRun = false })},
	{"keeps the keys of a dry run", "dry run/the outcomes of the real call", func(p *process) {
		var kept sync.Map
		onOutcomes(func(a *applying, all outcomes) {
			for i, m := range a.Mutations {
				if m.Idempotency == nil || all[i].Err != nil {
					continue
				}
				if a.DryRun {
					kept.Store(m.Idempotency.Key, m.Idempotency.Input)
				} else if input, ok := kept.Load(m.Idempotency.Key); ok && input != m.Idempotency.Input {
					all[i] = contacts.MutationOutcome{Err: contacts.ErrIdempotencyConflict}
				}
			}
		})(p)
	}},
	{"removes in a dry run", "dry run/the outcomes of the real call", onApply(func(a *applying) (outcomes, error) {
		a.DryRun = a.DryRun && len(a.Mutations) > 0
		return a.do()
	})},
	{"removes beside a dry run", "dry run/the outcomes of the real call", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if a.DryRun && len(a.Mutations) > 0 {
			prune := a.with()
			prune.DryRun = false
			prune.do()
		}
		return all, err
	})},
	{"appends in a dry run", "dry run/the outcomes of the real call", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		for _, m := range a.Mutations {
			if a.DryRun && len(m.Contacts) == 0 {
				look := a.with(m)
				look.DryRun = false
				look.do()
			}
		}
		return all, err
	})},
	{"skips the claims of a dry run", "dry run/the outcomes of the real call", onDry(func(batch *contacts.MutationBatch) {
		for i := range batch.Mutations {
			batch.Mutations[i].Claims = nil
		}
	})},
	{"skips the keys of a dry run", "dry run/the outcomes of the real call", onDry(func(batch *contacts.MutationBatch) {
		for i := range batch.Mutations {
			batch.Mutations[i].Idempotency = nil
		}
	})},
	{"skips the journal of a dry run", "dry run/the outcomes of the real call", onDry(func(batch *contacts.MutationBatch) {
		for i := range batch.Mutations {
			batch.Mutations[i].Journal = nil
		}
	})},
	{"skips the teams of a dry run", "dry run/the outcomes of the real call", onOutcomes(func(a *applying, all outcomes) {
		for i, o := range all {
			if a.DryRun && errors.Is(o.Err, contacts.ErrTeamNotFound) {
				all[i].Err = nil
			}
		}
	})},
	{"ignores all or nothing in a dry run", "dry run/the outcomes of the real call", onDry(func(batch *contacts.MutationBatch) { batch.AllOrNothing = false })},
	{"ignores numbers brought along in a dry run", "dry run/the outcomes of the real call", onDry(func(batch *contacts.MutationBatch) { batch.Verbatim = false })},
	{"writes for a dry run", "dry run/where nothing can be written", onApply(func(a *applying) (outcomes, error) {
		if a.readOnly {
			return nil, errors.New("nothing can be written")
		}
		return a.do()
	})},
}

// onDry changes each batch that is a dry run.
func onDry(change func(*contacts.MutationBatch)) func(*process) {
	return onBatch(func(batch *contacts.MutationBatch) {
		if batch.DryRun {
			change(batch)
		}
	})
}
