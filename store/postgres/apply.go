package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/internal/meter"
)

// Apply implements [contacts.Store]. Batches that come at the same time share a
// transaction, except those that are all or nothing.
//
// A transaction takes two round trips: the first locks and reads what has to be
// known, the second writes and commits. A transaction of plain creates and their
// events takes one.
func (s *Store) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	const op = "postgres: apply: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf(op, err)
	}

	w := newWrite(&batch)
	var err error
	switch {
	case len(batch.Mutations) == 0:
		if !batch.DryRun {
			err = s.pruneAll(ctx, batch.Now)
		}
	case batch.DryRun:
		err = s.dryRun(ctx, w)
	case batch.AllOrNothing:
		w.caller = s.meter.Enter(ctx)
		err = s.commitWrites(ctx, nil, []*write{w}, false)
	default:
		w.caller = s.meter.Enter(ctx)
		err = s.writes.Do(ctx, w)
	}
	if errors.Is(err, errRefused) {
		w.fail()
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf(op, classify(ctx, err))
	}
	if !batch.DryRun {
		s.pruneAfter(ctx, w)
	}
	return w.outcomes(), nil
}

// errRefused undoes a batch that is all or nothing. No caller sees it.
var errRefused = errors.New("a mutation of the batch was refused")

// A write is a call of Apply in the form of the tables. It shares no memory that
// its caller may change.
type write struct {
	mutations    []*mutation
	allOrNothing bool
	account      uuid.UUID // of all mutations; zero: of several accounts
	caller       meter.Caller
}

// A mutation is one of a write, and what became of it.
type mutation struct {
	account     uuid.UUID
	key         uuid.UUID // that it is made with; zero: it need not be judged
	settings    int64     // the settings version that the account must have
	idempotency *idempotency
	changes     []change
	claims      []uuid.UUID // values of contact_lookup
	journal     []contacts.JournalEntry
	verbatim    bool
	now         time.Time

	stored  bool
	outcome contacts.MutationOutcome
}

// A change is a change of one contact.
type change struct {
	contactKey
	version int64       // that the stored contact must have; 0: there must be none
	row     *contactRow // nil: the contact is removed
}

func newWrite(batch *contacts.MutationBatch) *write {
	w := &write{mutations: make([]*mutation, len(batch.Mutations)), allOrNothing: batch.AllOrNothing}
	all := make([]mutation, len(batch.Mutations))
	for i := range batch.Mutations {
		given, m := &batch.Mutations[i], &all[i]
		*m = mutation{
			account: given.AccountID, key: given.KeyID, settings: given.Settings, idempotency: encodeIdempotency(given.AccountID, given.Idempotency),
			changes: make([]change, len(given.Contacts)), journal: slices.Clone(given.Journal), verbatim: batch.Verbatim, now: batch.Now,
		}
		for j, c := range given.Contacts {
			m.changes[j] = change{contactKey: contactKey{given.AccountID, c.ID}, version: c.Version}
			if c.Record != nil {
				m.changes[j].row = encodeContact(c.Record)
			}
		}
		if given.Claims != nil {
			m.claims = column(given.Claims, keyLookup)
		}
		w.mutations[i] = m
		switch {
		case i == 0:
			w.account = m.account
		case w.account != m.account:
			w.account = uuid.Nil
		}
	}
	return w
}

func (w *write) size() int { return len(w.mutations) }

// locks returns the accounts that the write locks.
func (w *write) locks() (accounts []uuid.UUID) {
	for _, m := range w.mutations {
		if m.locks() && (len(accounts) == 0 || accounts[len(accounts)-1] != m.account) {
			accounts = append(accounts, m.account)
		}
	}
	return accounts
}

// isPlain reports whether the mutation creates one contact, appends journal entries if
// it has any, and does nothing else.
func (m *mutation) isPlain() bool {
	return len(m.changes) == 1 && m.changes[0].version == 0 && m.changes[0].row != nil && m.idempotency == nil && len(m.claims) == 0 &&
		!slices.ContainsFunc(m.journal, func(e contacts.JournalEntry) bool { return e.Sequence != 0 })
}

// locks reports whether the mutation needs the lock of its account.
func (m *mutation) locks() bool { return len(m.claims) > 0 || len(m.journal) > 0 }

// owns reports whether the contact is one of the mutation's own.
func (m *mutation) owns(id uuid.UUID) bool {
	return slices.ContainsFunc(m.changes, func(c change) bool { return c.id == id })
}

// refused reports whether a mutation was.
func (w *write) refused() bool {
	return slices.ContainsFunc(w.mutations, func(m *mutation) bool { return m.outcome.Err != nil })
}

// fail gives their outcomes to the mutations of a batch that is all or nothing,
// of which one was refused.
func (w *write) fail() {
	for _, m := range w.mutations {
		if m.stored = false; m.outcome.Err == nil {
			m.outcome = contacts.MutationOutcome{Err: contacts.ErrBatchFailed}
		}
	}
}

// outcomes returns nil if there is nothing to say.
func (w *write) outcomes() []contacts.MutationOutcome {
	if !slices.ContainsFunc(w.mutations, func(m *mutation) bool { return !m.stored || m.outcome.Holders != nil }) {
		return nil
	}
	return column(w.mutations, func(m *mutation) contacts.MutationOutcome { return m.outcome })
}

// commitWrites stores the batches of a group in one transaction. It releases the
// connection; nil: it takes one of the pool.
func (s *Store) commitWrites(ctx context.Context, first *pgxpool.Conn, all []*write, retry bool) error {
	measured := s.measure(all)
	again := retry
	err := s.transact(ctx, first, func(ctx context.Context, t *transaction) error {
		if again {
			measured.Retry()
		}
		again = true
		return s.apply(ctx, t, all...)
	})
	measured.End(resultOf(ctx, all, err))
	return err
}

// dryRun judges the batch and stores nothing.
func (s *Store) dryRun(ctx context.Context, w *write) error {
	return s.readOnly(ctx, func(ctx context.Context, t *transaction) error {
		s.allow(t, accountsOf(w.mutations))
		var judges []*judge
		for _, part := range s.parts(w.mutations) {
			j := newJudge(part)
			j.read(t, &s.statements, false)
			judges = append(judges, j)
		}
		if err := t.flush(ctx); err != nil {
			return err
		}
		for _, j := range judges {
			j.decide()
		}
		if w.allOrNothing && w.refused() {
			return errRefused
		}
		return nil
	})
}

// apply judges the mutations of the batches and stores those that pass. What it
// leaves queued has to be committed. A batch that is all or nothing comes alone.
func (s *Store) apply(ctx context.Context, t *transaction, all ...*write) error {
	var mutations []*mutation
	for _, w := range all {
		mutations = append(mutations, w.mutations...)
	}
	for _, m := range mutations { // of an earlier try
		m.stored, m.outcome = false, contacts.MutationOutcome{}
	}
	s.allow(t, accountsOf(mutations))
	var judges []*judge
	for _, part := range s.parts(mutations) {
		plain, others := s.divide(part)
		j := newJudge(others)
		j.lock(t, &s.statements, plain)
		s.createPlain(t, plain)
		if len(others) > 0 {
			j.read(t, &s.statements, true)
			judges = append(judges, j)
		}
	}
	if len(judges) > 0 {
		if err := t.flush(ctx); err != nil {
			return err
		}
	}
	for _, j := range judges {
		j.decide()
	}
	if all[0].allOrNothing {
		if err := t.flush(ctx); err != nil {
			return err
		}
		if all[0].refused() {
			return errRefused
		}
	}
	for _, j := range judges {
		j.write(t, &s.statements)
	}
	return nil
}

func accountsOf(mutations []*mutation) []uuid.UUID {
	return column(mutations, func(m *mutation) uuid.UUID { return m.account })
}

// divide parts the plain creates from the mutations that have to be judged.
// Creates that an earlier or a later mutation may be about are not plain: it has
// their id, or it claims a match key of their account. Nor are those with journal
// entries where others number entries of their account.
func (s *Store) divide(mutations []*mutation) (plain, others []*mutation) {
	if s.citus {
		return nil, mutations // no statement there creates contacts and judges them
	}
	named := make(map[contactKey]int, len(mutations)) // how often
	claimed := make(map[uuid.UUID]bool)               // accounts
	for _, m := range mutations {
		for _, c := range m.changes {
			named[c.contactKey]++
		}
		if len(m.claims) > 0 {
			claimed[m.account] = true
		}
	}
	isPlain := func(m *mutation) bool {
		return m.isPlain() && named[m.changes[0].contactKey] == 1 && !claimed[m.account]
	}
	numbered := make(map[uuid.UUID]bool) // accounts
	for _, m := range mutations {
		if len(m.journal) > 0 && !isPlain(m) {
			numbered[m.account] = true
		}
	}
	for _, m := range mutations {
		if isPlain(m) && (len(m.journal) == 0 || !numbered[m.account]) {
			plain = append(plain, m)
		} else {
			others = append(others, m)
		}
	}
	return plain, others
}
