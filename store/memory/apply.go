package memory

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
)

// Apply locks the account of the batch, or the whole store if the batch mixes
// accounts. Nobody sees a part of a batch. A batch that mixes accounts does not
// prune them.
func (s *Store) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	l := s.mu.RLocker()
	mixed := mixesAccounts(batch.Mutations)
	if mixed {
		l = &s.mu
	}
	if err := s.enter(ctx, l); err != nil {
		return nil, err
	}
	defer l.Unlock()

	if len(batch.Mutations) == 0 {
		if !batch.DryRun {
			s.prune(batch.Now)
		}
		return nil, nil
	}
	var one [1]stored // of most batches
	records := packRecords(one[:0], batch.Mutations)
	a := s.accounts[batch.Mutations[0].AccountID]
	if mixed || a == nil {
		return s.apply(&batch, records, a), nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil { // it may have waited for a long read
		return nil, err
	}
	outcomes := s.apply(&batch, records, a)
	if !batch.DryRun {
		a.pruneIfDue(batch.Now)
	}
	return outcomes, nil
}

func mixesAccounts(mutations []contacts.Mutation) bool {
	for i := range mutations {
		if mutations[i].AccountID != mutations[0].AccountID {
			return true
		}
	}
	return false
}

// apply judges and stores the mutations. Records has the record of each contact
// change, as it is stored. The account is that of the first mutation; nil if there
// is none. With AllOrNothing and DryRun the mutations are stored too, since each must
// see the earlier ones, and taken back in the end.
func (s *Store) apply(batch *contacts.MutationBatch, records []stored, a *account) []contacts.MutationOutcome {
	var outcomes []contacts.MutationOutcome
	var undo []func()
	failed := false
	for i := range batch.Mutations {
		m := &batch.Mutations[i]
		own := records[:len(m.Contacts)]
		records = records[len(m.Contacts):]

		if a == nil || a.ID != m.AccountID {
			a = s.accounts[m.AccountID]
		}
		o := a.judge(m, batch)
		if o.Err == nil && o.Result == "" {
			if batch.AllOrNothing || batch.DryRun {
				undo = append(undo, a.undo(m))
			}
			a.store(m, own)
			if o.Holders == nil {
				continue
			}
		}
		if outcomes == nil {
			outcomes = make([]contacts.MutationOutcome, len(batch.Mutations))
		}
		outcomes[i] = o
		failed = failed || o.Err != nil
	}

	failed = failed && batch.AllOrNothing
	if failed {
		for i := range outcomes {
			if outcomes[i].Err == nil {
				outcomes[i] = contacts.MutationOutcome{Err: contacts.ErrBatchFailed}
			}
		}
	}
	if failed || batch.DryRun {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	return outcomes
}

// judge returns the outcome that the mutation has. It is stored if there is
// neither an error nor an earlier result. The account is nil if there is none.
func (a *account) judge(m *contacts.Mutation, batch *contacts.MutationBatch) contacts.MutationOutcome {
	if a == nil {
		return contacts.MutationOutcome{Err: contacts.ErrNotFound}
	}
	if m.Idempotency != nil {
		if earlier := a.idempotency[m.Idempotency.Key]; earlier != nil && earlier.EndsAt.After(batch.Now) {
			if earlier.Input != m.Idempotency.Input {
				return contacts.MutationOutcome{Err: contacts.ErrIdempotencyConflict}
			}
			return contacts.MutationOutcome{Result: earlier.Result}
		}
	}
	if m.Settings != a.SettingsVersion {
		return contacts.MutationOutcome{Err: contacts.ErrStale}
	}
	if err := a.judgeContacts(m.Contacts); err != nil {
		return contacts.MutationOutcome{Err: err}
	}
	holders, duplicate := a.holders(m)
	if duplicate {
		return contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: holders}
	}
	if err := a.judgeJournal(m.Journal, batch.Verbatim); err != nil {
		return contacts.MutationOutcome{Err: err}
	}
	return contacts.MutationOutcome{Holders: holders}
}

// judgeContacts judges ids and versions, then teams.
func (a *account) judgeContacts(changes []contacts.ContactChange) error {
	for i := range changes {
		c := &changes[i]
		was := a.contacts[c.ID]
		switch {
		case c.Version == 0 && was == "":
		case c.Version == 0:
			return contacts.ErrExists
		case was == "":
			return contacts.ErrNotFound
		case was.version() != c.Version:
			return contacts.ErrConflict
		}
	}
	for i := range changes {
		if r := changes[i].Record; r != nil && !a.hasTeam(r.Contact.TeamID) {
			return contacts.ErrTeamNotFound
		}
	}
	return nil
}

// holders returns the live contacts that hold a claim of the mutation, and
// whether there are any. If there are none, it returns the newest deleted one.
func (a *account) holders(m *contacts.Mutation) (_ []contacts.Holder, duplicate bool) {
	if len(m.Claims) == 0 {
		return nil, false
	}
	a.buildIndex()
	var live, deleted []contacts.Holder
	for i, claim := range m.Claims {
		n := len(live)
		for _, id := range a.index[claim] {
			if slices.ContainsFunc(m.Contacts, func(c contacts.ContactChange) bool { return c.ID == id }) {
				continue
			}
			c := a.contacts[id]
			h := contacts.Holder{Key: i, ContactID: id, TeamID: c.team(), Deleted: c.isDeleted()}
			switch {
			case !h.Deleted:
				live = append(live, h)
			case deleted == nil || compareIDs(id, deleted[0].ContactID) > 0:
				deleted = []contacts.Holder{h}
			}
			if len(live)-n == contacts.MaxHolders {
				break
			}
		}
	}
	if live != nil {
		return live, true
	}
	return deleted, false
}

// store keeps what the mutation brings, with its records as they are stored.
func (a *account) store(m *contacts.Mutation, records []stored) {
	for i := range m.Contacts {
		a.put(m.Contacts[i].ID, records[i])
	}
	if m.Idempotency != nil {
		kept := *m.Idempotency
		a.idempotency[kept.Key] = &kept
	}
	a.record(m.Journal)
}

// undo returns a function that takes the mutation back, which is stored next.
func (a *account) undo(m *contacts.Mutation) func() {
	before := make([]stored, len(m.Contacts))
	for i := range m.Contacts {
		before[i] = a.contacts[m.Contacts[i].ID]
	}
	var earlier *contacts.IdempotencyRecord
	if m.Idempotency != nil {
		earlier = a.idempotency[m.Idempotency.Key]
	}
	undoJournal := a.undoJournal(m.Journal)
	return func() {
		for i := range m.Contacts {
			a.put(m.Contacts[i].ID, before[i])
		}
		if earlier != nil {
			a.idempotency[earlier.Key] = earlier
		} else if m.Idempotency != nil {
			delete(a.idempotency, m.Idempotency.Key)
		}
		undoJournal()
	}
}

// put keeps the record in place of the contact of that id. With "" it removes the
// contact.
func (a *account) put(id uuid.UUID, r stored) {
	if a.index != nil {
		a.reindex(id, a.contacts[id], r)
	}
	n := len(a.contacts)
	if r != "" {
		a.contacts[id] = r
	} else {
		delete(a.contacts, id)
	}
	switch {
	case len(a.contacts) > n:
		if last := len(a.ids) - 1; last >= 0 && compareIDs(a.ids[last], id) > 0 {
			a.sorted = false
		}
		a.ids = append(a.ids, id)
	case len(a.contacts) < n:
		a.sort()
		at, _ := slices.BinarySearchFunc(a.ids, id, compareIDs)
		a.ids = slices.Delete(a.ids, at, at+1)
	}
}

// sort brings the ids in order; nearly always they are.
func (a *account) sort() {
	if !a.sorted {
		slices.SortFunc(a.ids, compareIDs)
		a.sorted = true
	}
}

// buildIndex makes the index of match keys. An account that never claims one
// does without it.
func (a *account) buildIndex() {
	if a.index != nil {
		return
	}
	a.index = make(map[contacts.MatchKey][]uuid.UUID)
	for _, id := range a.ids {
		a.reindex(id, "", a.contacts[id])
	}
}

// reindex moves a contact in the index; "" is no contact.
func (a *account) reindex(id uuid.UUID, before, next stored) {
	if before != "" {
		for _, k := range before.record().MatchKeys() {
			if at, found := slices.BinarySearchFunc(a.index[k], id, compareIDs); found {
				a.index[k] = slices.Delete(a.index[k], at, at+1)
			}
			if len(a.index[k]) == 0 {
				delete(a.index, k)
			}
		}
	}
	if next != "" {
		for _, k := range next.record().MatchKeys() {
			if at, found := slices.BinarySearchFunc(a.index[k], id, compareIDs); !found {
				a.index[k] = slices.Insert(a.index[k], at, id)
			}
		}
	}
}
