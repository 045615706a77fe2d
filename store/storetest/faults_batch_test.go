package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"example.com/contacts"
)

// batchFaults break what holds for the mutations of a batch.
var batchFaults = []fault{
	// Each on its own.
	{"stores nothing of a batch after a refusal", "batches/each on its own", onApply(func(a *applying) (outcomes, error) {
		all := make(outcomes, len(a.Mutations))
		for i, m := range a.Mutations {
			o, err := a.one(m)
			if err != nil {
				return nil, err
			}
			if all[i] = o; o.Err != nil {
				for j := range all[i:] {
					all[i+j] = o
				}
				return all, nil
			}
		}
		return compact(all), nil
	})},
	{"stores a refused batch in part", "batches/each on its own", onApply(func(a *applying) (outcomes, error) {
		a.AllOrNothing = true
		return a.do()
	})},
	{"judges all before it stores one", "batches/each sees the earlier ones", lookFirst},
	{"sees no key of the same batch", "batches/each sees the earlier ones", onBatch(func(batch *contacts.MutationBatch) {
		seen := map[[32]byte]bool{}
		for i, m := range batch.Mutations {
			if m.Idempotency != nil && seen[m.Idempotency.Key] {
				batch.Mutations[i].Idempotency = nil
			} else if m.Idempotency != nil {
				seen[m.Idempotency.Key] = true
			}
		}
	})},
	{"judges the last one first", "batches/each sees the earlier ones", onApply(func(a *applying) (outcomes, error) {
		a.Mutations = slices.Clone(a.Mutations)
		slices.Reverse(a.Mutations)
		all, err := a.do()
		slices.Reverse(all)
		return all, err
	})},
	{"returns only the outcomes that say something", "batches/one outcome for each", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		return slices.DeleteFunc(all, func(o contacts.MutationOutcome) bool { return compact(outcomes{o}) == nil }), err
	})},
	{"returns outcomes that say nothing", "batches/one outcome for each", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if err == nil && all == nil && len(a.Mutations) > 0 {
			all = make(outcomes, len(a.Mutations))
		}
		return all, err
	})},
	{"says nothing unless one is refused", "batches/one outcome for each", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if !slices.ContainsFunc(all, func(o contacts.MutationOutcome) bool { return o.Err != nil }) {
			return nil, err
		}
		return all, err
	})},
	{"takes all mutations for the first one's account", "batches/accounts mixed", onBatch(func(batch *contacts.MutationBatch) {
		for i := range batch.Mutations {
			batch.Mutations[i].AccountID = batch.Mutations[0].AccountID
		}
	})},
	{"numbers the entries of all accounts", "batches/accounts mixed", func(p *process) {
		onBatch(func(batch *contacts.MutationBatch) {
			var next int64
			for _, m := range batch.Mutations {
				for j := range m.Journal {
					next++
					m.Journal[j].Sequence = next
				}
			}
			batch.Verbatim = next > 0
		})(p)
	}},
	{"stores no more than a hundred at once", "batches/large", onApply(func(a *applying) (outcomes, error) {
		a.Mutations = a.Mutations[:min(100, len(a.Mutations))]
		return a.do()
	})},
	{"stores though the call fails", "batches/the whole call fails", onApply(func(a *applying) (outcomes, error) {
		all, err := a.next(context.WithoutCancel(a.ctx), a.MutationBatch)
		if a.ctx.Err() != nil {
			return nil, a.ctx.Err()
		}
		return all, err
	})},
	{"says in each outcome that the call has failed", "batches/the whole call fails", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if err != nil {
			return a.failAll(err), nil
		}
		return all, nil
	})},

	// All or nothing.
	{"knows no all or nothing", "batches/all stored", onAll(func(a *applying) (outcomes, error) { return a.failAll(contacts.ErrBatchFailed), nil })},
	{"takes all or nothing for each on its own", "batches/none stored", onBatch(func(batch *contacts.MutationBatch) { batch.AllOrNothing = false })},
	{"says exists for what has failed with others", "batches/none stored", instead(contacts.ErrBatchFailed, contacts.ErrExists)},
	{"keeps the entries of a failed batch", "batches/none stored", onAll(func(a *applying) (outcomes, error) {
		all, err := a.do()
		for i, o := range all {
			if errors.Is(o.Err, contacts.ErrBatchFailed) && a.Mutations[i].Journal != nil {
				a.with(contacts.Mutation{AccountID: a.Mutations[i].AccountID, Journal: a.Mutations[i].Journal}).do()
			}
		}
		return all, err
	})},
	{"keeps the removals of a failed batch", "batches/none stored", onAll(func(a *applying) (outcomes, error) {
		all, err := a.do()
		for i, o := range all {
			for _, c := range a.Mutations[i].Contacts {
				if errors.Is(o.Err, contacts.ErrBatchFailed) && c.Record == nil {
					a.with(contacts.Mutation{AccountID: a.Mutations[i].AccountID, Contacts: []contacts.ContactChange{c}}).do()
				}
			}
		}
		return all, err
	})},
	{"says of one mutation that another failed", "batches/one mutation", onAll(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if len(all) == 1 && all[0].Err != nil {
			all[0].Err = contacts.ErrBatchFailed
		}
		return all, err
	})},
	{"stops at the first refusal", "batches/several refused", onAll(func(a *applying) (outcomes, error) {
		all, err := a.do()
		failed := false
		for i, o := range all {
			if failed {
				all[i].Err = contacts.ErrBatchFailed
			}
			failed = failed || o.Err != nil && !errors.Is(o.Err, contacts.ErrBatchFailed)
		}
		return all, err
	})},
	{"takes an answer for a refusal", "batches/answered again", onAll(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if slices.ContainsFunc(all, func(o contacts.MutationOutcome) bool { return o.Result != "" }) {
			return a.failAll(contacts.ErrBatchFailed), nil
		}
		return all, err
	})},
	{"answers though the batch has failed", "batches/answered again in vain", onAll(func(a *applying) (outcomes, error) {
		all, err := a.do()
		for i, o := range all {
			if once := a.Mutations[i].Idempotency; once != nil && errors.Is(o.Err, contacts.ErrBatchFailed) {
				all[i] = contacts.MutationOutcome{Result: once.Result}
			}
		}
		return all, err
	})},
	{"keeps the keys of a failed batch", "batches/idempotency records taken back", keepFailedKeys},
	{"does a thousand in one step", "batches/three thousand or none", onAll(func(a *applying) (outcomes, error) {
		var all outcomes
		for part := range slices.Chunk(a.Mutations, 1000) {
			batch := a.MutationBatch
			batch.Mutations = part
			some, err := a.next(a.ctx, batch)
			if err != nil {
				return nil, err
			}
			if some == nil {
				some = make(outcomes, len(part))
			}
			all = append(all, some...)
		}
		return compact(all), nil
	})},
	{"takes back one by one", "batches/seen whole", onAll(func(a *applying) (outcomes, error) {
		for i, m := range a.Mutations {
			o, err := a.one(m)
			if err != nil {
				return nil, err
			}
			dally()
			if o.Err == nil {
				continue
			}
			for _, done := range a.Mutations[:i] {
				a.removeAll(done)
			}
			failed := a.failAll(contacts.ErrBatchFailed)
			failed[i] = o
			return failed, nil
		}
		return nil, nil
	})},
	{"looks before it stores a batch", "batches/one contact in many batches", lookFirst},
	{"loses a part of a batch", "batches/in opposite orders", lookFirst},
	{"takes back a contact without its key", "batches/one key in batches that fail", onAll(func(a *applying) (outcomes, error) {
		if o, err := a.one(a.Mutations[0]); err == nil && o.Err == nil && o.Result == "" {
			dally()
			a.removeAll(a.Mutations[0])
		}
		return outcomes{{Err: contacts.ErrBatchFailed}, {Err: contacts.ErrTeamNotFound}}, nil
	})},
	{"loses a batch on reopening", "batches/after reopening", keepToItself},
	{"forgets a refusal after an answer", "batches/refused, then answered again", onAll(func(a *applying) (outcomes, error) {
		all, err := a.do()
		refused := slices.IndexFunc(all, func(o contacts.MutationOutcome) bool {
			return o.Err != nil && !errors.Is(o.Err, contacts.ErrBatchFailed)
		})
		if refused < 0 {
			return all, err
		}
		for _, m := range a.Mutations[refused:] {
			if o, _ := a.judge(m); o.Result != "" {
				return a.with(a.Mutations...).do()
			}
		}
		return all, err
	})},
	{"loses the ended keys that a failed batch replaced", "batches/ended idempotency records taken back", func(p *process) {
		var lost sync.Map
		onAll(func(a *applying) (outcomes, error) {
			all, err := a.do()
			for i, m := range a.Mutations {
				earlier := a.with(m)
				earlier.Now = a.Now.AddDate(-1, 0, 0)
				if m.Idempotency == nil || all == nil || all[i].Err == nil {
					continue
				}
				if o, _ := earlier.judge(m); o.Result != "" || errors.Is(o.Err, contacts.ErrIdempotencyConflict) {
					lost.Store(m.Idempotency.Key, true)
				}
			}
			return all, err
		})(p)
		onOnce(func(once contacts.IdempotencyRecord) *contacts.IdempotencyRecord {
			if _, ok := lost.Load(once.Key); ok {
				return nil
			}
			return &once
		})(p)
	}},
	{"keeps the match keys of a failed batch", "batches/match keys taken back", keepClaims(func(o contacts.MutationOutcome) bool { return errors.Is(o.Err, contacts.ErrBatchFailed) })},
}

// removeAll removes the contacts of the mutation.
func (a *applying) removeAll(m contacts.Mutation) {
	for _, c := range m.Contacts {
		a.force(contacts.Mutation{AccountID: m.AccountID, Contacts: []contacts.ContactChange{{ID: c.ID, Version: -1}}})
	}
}

// mutationFaults break what holds for all that a mutation has.
var mutationFaults = []fault{
	{"stores the first contact alone", "mutations/stored whole", onMutation(func(m *contacts.Mutation) { m.Contacts = m.Contacts[:min(1, len(m.Contacts))] })},
	{"stores no entries with contacts", "mutations/stored whole", onMutation(func(m *contacts.Mutation) {
		if m.Contacts != nil {
			m.Journal = nil
		}
	})},
	{"removes nothing beside other changes", "mutations/stored whole", onMutation(func(m *contacts.Mutation) {
		if len(m.Contacts) > 1 {
			m.Contacts = slices.DeleteFunc(m.Contacts, func(c contacts.ContactChange) bool { return c.Record == nil })
		}
	})},
	{"stores each contact on its own", "mutations/refused whole", inParts(func(m contacts.Mutation) (parts []contacts.Mutation) {
		last := m
		last.Contacts = nil
		for _, c := range m.Contacts {
			part := contacts.Mutation{AccountID: m.AccountID, Settings: m.Settings, Contacts: []contacts.ContactChange{c}}
			parts = append(parts, part)
		}
		return append(parts, last)
	})},
	{"stores the journal on its own", "mutations/refused whole", inParts(func(m contacts.Mutation) []contacts.Mutation {
		first := contacts.Mutation{AccountID: m.AccountID, Settings: m.Settings, Journal: m.Journal}
		m.Journal = nil
		return []contacts.Mutation{first, m}
	})},
	{"stores the key on its own", "mutations/refused whole", inParts(func(m contacts.Mutation) []contacts.Mutation {
		first := contacts.Mutation{AccountID: m.AccountID, Settings: m.Settings, Idempotency: m.Idempotency}
		m.Idempotency = nil
		return []contacts.Mutation{first, m}
	})},
	{"judges settings before keys", "mutations/order of judging", judgeFirst(contacts.ErrStale, func(m *contacts.Mutation) { m.Idempotency = nil })},
	{"judges teams before versions", "mutations/order of judging", judgeFirst(contacts.ErrTeamNotFound, func(m *contacts.Mutation) {
		m.Contacts = slices.DeleteFunc(m.Contacts, func(c contacts.ContactChange) bool { return c.Version != 0 || c.Record.Contact.TeamID == 0 })
	})},
	{"judges one contact after the other", "mutations/order of judging", judgeFirst(contacts.ErrTeamNotFound, func(m *contacts.Mutation) { m.Contacts = m.Contacts[:min(1, len(m.Contacts))] })},
	{"judges claims before versions", "mutations/order of judging", judgeFirst(contacts.ErrDuplicate, func(m *contacts.Mutation) { m.Contacts = nil })},
	{"judges the journal before claims", "mutations/order of judging", judgeFirst(contacts.ErrNotFound, func(m *contacts.Mutation) { m.Claims = nil })},
	{"judges by keys that it moves", "mutations/a key moves between its contacts", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		if len(m.Contacts) < 2 {
			return a.one(m)
		}
		for _, key := range m.Claims { // as if each contact were judged and stored before the next
			list, err := a.data.ListContacts(a.ctx, contacts.ContactQuery{AccountID: m.AccountID, AllTeams: true, MatchKeys: []contacts.MatchKey{key}, Limit: 9})
			if err == nil && len(list.Records) > 0 && list.Records[0].Contact.ID != m.Contacts[0].ID {
				return contacts.MutationOutcome{Err: contacts.ErrDuplicate}, nil
			}
		}
		return a.one(m)
	})},
	{"has a phone number's id once in an account", "mutations/a key moves between its contacts", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		for _, c := range m.Contacts {
			all, _ := a.allContacts(a.ctx, m.AccountID)
			for _, r := range all {
				if c.Record != nil && r.Contact.ID != c.ID && slices.ContainsFunc(r.Contact.PhoneNumbers, func(x contacts.PhoneNumber) bool {
					return slices.ContainsFunc(c.Record.Contact.PhoneNumbers, func(y contacts.PhoneNumber) bool { return x.ID == y.ID })
				}) {
					return contacts.MutationOutcome{Err: contacts.ErrExists}, nil
				}
			}
		}
		return a.one(m)
	})},
	{"skips mutations without contacts", "mutations/without contacts", onMutation(func(m *contacts.Mutation) {
		if m.Contacts == nil {
			m.Idempotency, m.Journal = nil, nil
		}
	})},
	{"refuses an idempotency record alone", "mutations/without contacts", onErr(func(m contacts.Mutation, err error) error {
		if err == nil && m.Contacts == nil && m.Journal == nil {
			return errors.New("nothing to do")
		}
		return err
	})},
	{"judges no account without contacts", "mutations/without contacts", onErr(func(m contacts.Mutation, err error) error {
		if m.Contacts == nil && errors.Is(err, contacts.ErrNotFound) {
			return nil
		}
		return err
	})},
	{"shows one contact before the other", "mutations/seen whole", inParts(func(m contacts.Mutation) (parts []contacts.Mutation) {
		for _, c := range m.Contacts {
			parts = append(parts, contacts.Mutation{AccountID: m.AccountID, Contacts: []contacts.ContactChange{c}})
		}
		m.Contacts = nil
		return append(parts, m)
	})},
	{"shows entries before their contacts", "mutations/seen whole", inParts(func(m contacts.Mutation) []contacts.Mutation {
		first := contacts.Mutation{AccountID: m.AccountID, Journal: m.Journal}
		m.Journal = nil
		return []contacts.Mutation{first, m}
	})},
	{"shows contacts before their entries", "mutations/seen whole", inParts(func(m contacts.Mutation) []contacts.Mutation {
		last := contacts.Mutation{AccountID: m.AccountID, Journal: m.Journal}
		m.Journal = nil
		return []contacts.Mutation{m, last}
	})},
	{"accepts an unknown account", "contacts/account or team unknown", instead(contacts.ErrNotFound, nil)},
	{"accepts an unknown team", "contacts/account or team unknown", instead(contacts.ErrTeamNotFound, nil)},
	{"judges no team of deleted contacts", "mutations/account or team unknown", onErr(func(m contacts.Mutation, err error) error {
		if errors.Is(err, contacts.ErrTeamNotFound) && m.Contacts[0].Record != nil && !m.Contacts[0].Record.Contact.DeletedAt.IsZero() {
			return nil
		}
		return err
	})},
	{"says not found for an unknown team", "contacts/account or team unknown", instead(contacts.ErrTeamNotFound, contacts.ErrNotFound)},
	{"says conflict for an unknown team", "contacts/account or team unknown", instead(contacts.ErrTeamNotFound, contacts.ErrConflict)},
	{"creates what it does not find", "mutations/account or team unknown", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if !errors.Is(o.Err, contacts.ErrNotFound) {
			return o, err
		}
		m = cloneMutations([]contacts.Mutation{m})[0]
		for i := range m.Contacts {
			m.Contacts[i].Version = 0
		}
		return a.one(m)
	})},
	{"accepts an id twice", "contacts/contact exists", instead(contacts.ErrExists, nil)},
	{"replaces a deleted contact", "contacts/deleted contact exists", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if errors.Is(o.Err, contacts.ErrExists) {
			if stored, err := a.data.FindContact(a.ctx, m.AccountID, m.Contacts[0].ID); err == nil && !stored.Contact.DeletedAt.IsZero() {
				a.force(m)
				return contacts.MutationOutcome{}, nil
			}
		}
		return o, err
	})},
	{"keeps the id of what is removed", "removal/gone", func(p *process) {
		gone := map[string]bool{}
		onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
			for _, c := range m.Contacts {
				if key := fmt.Sprint(m.AccountID, c.ID); gone[key] {
					return contacts.MutationOutcome{Err: contacts.ErrExists}, nil
				} else if c.Record == nil {
					gone[key] = true
				}
			}
			return a.one(m)
		})(p)
	}},
	{"judges the last contact first", "mutations/the first of several refusals", onMutation(func(m *contacts.Mutation) { slices.Reverse(m.Contacts) })},
}

// inParts stores a mutation as several, one after the other, until one is refused.
func inParts(cut func(contacts.Mutation) []contacts.Mutation) func(*process) {
	return onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		for _, part := range cut(m) {
			o, err := a.one(part)
			if err != nil || o.Err != nil || o.Result != "" {
				return o, err
			}
			dally()
		}
		return contacts.MutationOutcome{}, nil
	})
}

// judgeFirst refuses a mutation with that error if it is what a part of the
// mutation is refused with.
func judgeFirst(refusal error, part func(*contacts.Mutation)) func(*process) {
	return onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		look := cloneMutations([]contacts.Mutation{m})[0]
		part(&look)
		if o, err := a.judge(look); err == nil && errors.Is(o.Err, refusal) {
			return o, nil
		}
		return a.one(m)
	})
}
