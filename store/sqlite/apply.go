//go:build cgo

package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"example.com/contacts"
)

const deleteContactSQL = `DELETE FROM contact_data WHERE seq = ?`

// Apply implements [contacts.Store]. Batches that are applied at the same time
// share a transaction and its sync to the disk. A dry run reads one state of the
// file beside the writes.
func (s *Store) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	const op = "sqlite: apply: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	a := encodeBatch(&batch)
	var err error
	if a.dryRun {
		err = s.dryRun(ctx, a)
	} else {
		err = s.applyBatch(ctx, a)
	}
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	return a.outcomes, nil
}

// applyBatch applies the batch in one transaction.
func (s *Store) applyBatch(ctx context.Context, a *application) error {
	j := job{size: a.size, contacts: a.contacts, run: a.apply, batch: a, caller: s.meter.Enter(ctx)}
	if !a.allOrNothing {
		return s.writer.do(ctx, j)
	}
	if a.size <= s.writer.maxPerTransaction {
		j.run = func(c *writeConn) error { return c.undoable(a.applyAll) }
		return s.writer.do(ctx, j)
	}
	j.run = a.applyAll
	err := s.writer.doSolo(ctx, j)
	if errors.Is(err, errBatchFailed) {
		return nil // the transaction was undone, and the outcomes say why
	}
	return err
}

// errBatchFailed undoes a batch that is all or nothing. It reaches no caller.
var errBatchFailed = errors.New("a mutation of the batch was refused")

// undoable runs f, and undoes what f did, and nothing else of the transaction, if
// its batch failed.
func (c *writeConn) undoable(f func(*writeConn) error) error {
	err := c.flush()
	if err == nil {
		err = c.exec(savepoint)
	}
	if err != nil {
		return err
	}
	before, created, packs := c.unmerged.position(), c.created, c.hashes.to
	switch err := f(c); {
	case errors.Is(err, errBatchFailed):
		c.unmerged.undoTo(before)
		c.created = created
		c.forgetJournals()
		c.pack.clear()
		if c.hashes.to != packs {
			c.forgetHashes()
		}
		if err := c.exec(rollbackTo); err != nil {
			return err
		}
	case err != nil:
		return err // the whole transaction ends
	}
	return c.exec(release)
}

// flush writes what waits to be written once for all mutations of a transaction.
func (c *writeConn) flush() error {
	if err := c.storePack(); err != nil {
		return err
	}
	return c.writeJournals()
}

// An application is a batch in the form of the file, and what becomes of it. It
// shares no memory that the caller may change.
type application struct {
	mutations    []mutation
	size         int // in rows
	contacts     int // how many of them are contacts that are created or changed
	now          int64
	allOrNothing bool
	dryRun       bool
	verbatim     bool

	outcomes []contacts.MutationOutcome // nil while there is nothing to say
	failed   bool                       // a mutation was refused
	judge    judge

	one [1]mutation // of a batch of one: it takes no allocation of its own
}

// A mutation is a contacts.Mutation in the form of the file.
type mutation struct {
	account     driver.Value // its id
	madeBy      madeBy
	settings    int64
	idempotency *idempotency
	changes     []change
	claims      []claim
	journal     []contacts.JournalEntry
	replaces    bool // an entry of the journal may replace a stored one

	one [1]change // of most mutations
}

// A change is a contacts.ContactChange in the form of the file.
type change struct {
	id      driver.Value
	version int64
	row     contactRow // nil: the contact is removed
}

func encodeBatch(batch *contacts.MutationBatch) *application {
	a := &application{
		now:          batch.Now.UnixMicro(),
		allOrNothing: batch.AllOrNothing,
		dryRun:       batch.DryRun,
		verbatim:     batch.Verbatim,
	}
	a.mutations = a.one[:]
	if len(batch.Mutations) != 1 {
		a.mutations = make([]mutation, len(batch.Mutations))
	}
	for i := range batch.Mutations {
		from, m := &batch.Mutations[i], &a.mutations[i]
		m.account = bytes.Clone(from.AccountID[:])
		m.madeBy = madeBy{from.AccountID, from.KeyID}
		m.settings = from.Settings
		m.idempotency = encodeIdempotency(from)
		m.changes = m.one[:]
		if len(from.Contacts) != 1 {
			m.changes = make([]change, len(from.Contacts))
		}
		for i := range from.Contacts {
			m.changes[i] = encodeChange(m, &from.Contacts[i])
			if m.changes[i].row != nil {
				a.contacts++
			}
		}
		m.claims = encodeClaims(from.Claims)
		m.journal = slices.Clone(from.Journal)
		m.replaces = slices.ContainsFunc(from.Journal, func(e contacts.JournalEntry) bool { return e.Sequence != 0 })
		a.size += max(1, len(m.changes)+len(m.journal))
	}
	return a
}

func encodeChange(m *mutation, from *contacts.ContactChange) change {
	c := change{version: from.Version}
	if from.Record == nil {
		c.id = bytes.Clone(from.ID[:])
		return c
	}
	c.row = encodeContact(m.account, m.settings, from.Record)
	c.id = c.row[rowHead]
	return c
}

// apply judges the mutations in their order and stores those that pass.
func (a *application) apply(c *writeConn) error {
	a.outcomes, a.failed = nil, false // those of an earlier run are void
	a.judge = judge{conn: &c.conn, unmerged: c.unmerged, created: &c.created, application: a, keys: c.keys, journals: c.journals}
	if err := a.judge.findUsed(a.mutations); err != nil {
		return err
	}
	for hash := range eachHash(c.pack.hashes) { // of other batches of the transaction
		a.judge.use(hash)
	}
	for i := range a.mutations {
		o, err := c.applyMutation(&a.judge, &a.mutations[i])
		if err != nil {
			return err
		}
		a.note(i, o)
	}
	if len(a.mutations) == 0 {
		c.stored(a.now, tally{maxPruned / 2, maxPruned / 2})
	}
	return nil
}

// applyAll is apply for a batch that is all or nothing.
func (a *application) applyAll(c *writeConn) error {
	if err := a.apply(c); err != nil {
		return err
	}
	if a.fail() {
		return errBatchFailed
	}
	return nil
}

// note keeps the outcome of a mutation.
func (a *application) note(i int, o contacts.MutationOutcome) {
	if o.Err == nil && o.Result == "" && o.Holders == nil {
		return
	}
	if a.outcomes == nil {
		a.outcomes = make([]contacts.MutationOutcome, len(a.mutations))
	}
	if o.Err != nil {
		o.Err = fmt.Errorf("sqlite: apply: %w", o.Err)
		a.failed = true
	}
	a.outcomes[i] = o
}

// fail makes the outcomes those of a batch that is all or nothing, and reports
// whether it failed.
func (a *application) fail() bool {
	if !a.failed {
		return false
	}
	for i := range a.outcomes {
		if a.outcomes[i].Err == nil {
			a.outcomes[i] = contacts.MutationOutcome{Err: fmt.Errorf("sqlite: apply: %w", contacts.ErrBatchFailed)}
		}
	}
	return true
}

// applyMutation judges the mutation and, if it passes, stores it.
//
// A lone contact without claims is judged by the constraints of its table where
// that is the same: a new one altogether, a changed one as to its team. That
// saves a read for each of them.
func (c *writeConn) applyMutation(j *judge, m *mutation) (o contacts.MutationOutcome, err error) {
	var v verdict
	if i := m.idempotency; i != nil && j.mayBeUsed(i.hash()) && c.pack.has(i.hash()) {
		if err := c.storePack(); err != nil {
			return o, err
		}
	}
	lone := len(m.changes) == 1 && m.claims == nil && !m.replaces && m.changes[0].row != nil
	switch {
	case lone && m.changes[0].version == 0:
		if o.Err, err = j.key(m); err == nil && o.Err == nil {
			o, err = j.replay(m)
		}
	default:
		o, v, err = j.judge(m, !lone)
	}
	if err != nil || o.Err != nil || o.Result != "" {
		return o, err
	}
	clear(j.held)
	for i := range m.changes {
		if err := c.change(&m.changes[i], v.stored(i)); err != nil {
			if o.Err, err = j.refusal(m, err); err != nil || lone {
				return o, err
			}
			return o, fmt.Errorf("a mutation that was judged is refused: %w", o.Err)
		}
	}
	if len(m.journal) > 0 {
		if err := c.record(j, m); err != nil {
			return o, err
		}
		c.stored(j.application.now, tally{entries: len(m.journal)})
	}
	if m.idempotency != nil {
		if err := c.remember(m.idempotency); err != nil {
			return o, err
		}
		j.use(m.idempotency.hash())
		c.stored(j.application.now, tally{idempotencies: 1})
	}
	return o, nil
}

// change stores the new state of a contact. Stored is its row of judgeContactSQL;
// nil: there is none.
func (c *writeConn) change(to *change, stored []driver.Value) error {
	switch {
	case to.version == 0:
		if to.row == nil {
			return nil // there is no contact, and there shall be none
		}
		err := c.exec(insertContact, to.row...)
		if err == nil {
			c.created++
		}
		return err
	case to.row == nil:
		return c.removeContact(stored)
	default:
		return c.replaceContact(to.row, stored)
	}
}

func (c *writeConn) replaceContact(row contactRow, stored []driver.Value) error {
	c.args = append(append(c.args[:0], stored[0]), row[rowHead+1:]...)
	if err := c.exec(updateContact, c.args...); err != nil {
		return err
	}
	stored = stored[:lookupColumnCount]
	return c.moveLookups(stored, []driver.Value{stored[0], stored[1], row[rowExternalID], row[rowEmail], row[rowPhones], row[rowTags]})
}

func (c *writeConn) removeContact(stored []driver.Value) error {
	for _, e := range appendLookups(nil, stored) {
		if err := c.removeLookup(e); err != nil {
			return err
		}
	}
	return c.exec(deleteContact, stored[0])
}

// dryRun judges the batch on one state of the file.
func (s *Store) dryRun(ctx context.Context, a *application) error {
	return s.readers.snapshot(ctx, func(c *conn) error { return a.dryRunOn(ctx, c, s.unmerged) })
}

func (a *application) dryRunOn(ctx context.Context, c *conn, unmerged *unmergedKeys) error {
	a.outcomes, a.failed = nil, false
	c.hashes.stale = true
	a.judge = judge{conn: c, unmerged: unmerged, application: a, keys: make(map[madeBy]bool), journals: make(openJournals)}
	if err := a.judge.findUsed(a.mutations); err != nil {
		return err
	}
	for i := range a.mutations {
		if err := ctx.Err(); err != nil {
			return err
		}
		o, _, err := a.judge.judge(&a.mutations[i], true)
		if err != nil {
			return err
		}
		a.note(i, o)
	}
	if a.allOrNothing {
		a.fail()
	}
	return nil
}
