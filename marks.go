package contacts

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// A ledgerView is what was read of the ledger: the entries on some numbers and on
// their equivalent forms, by number.
type ledgerView map[string][]ledgerEntry

// look reads the ledger for the numbers and their equivalent forms. The ledger is
// nil where the account has none.
func (l *ledger) look(ctx context.Context, numbers []string) (ledgerView, error) {
	if l == nil || len(numbers) == 0 {
		return nil, nil
	}
	all := make([]string, 0, len(numbers))
	for _, n := range numbers {
		for _, form := range PhoneForms(n) {
			all = append(all, form.Number)
		}
	}
	return l.find(ctx, all)
}

// insert adds an entry to those on its number, which are sorted, after its equals.
func (v ledgerView) insert(e *ledgerEntry) {
	on := v[e.PhoneNumber]
	at, _ := slices.BinarySearchFunc(on, e, func(other ledgerEntry, e *ledgerEntry) int {
		if other.compare(e) <= 0 {
			return -1
		}
		return 1
	})
	v[e.PhoneNumber] = slices.Insert(on, at, *e)
}

// state judges a number.
func (v ledgerView) state(number string, now time.Time) ledgerState {
	if len(v) == 0 {
		return ledgerState{}
	}
	var forms []formEntries
	for _, form := range PhoneForms(number) {
		if entries := v[form.Number]; len(entries) > 0 {
			forms = append(forms, formEntries{form.Name, entries})
		}
	}
	return doNotCallState(forms, now)
}

// blocks returns the active blocks on this very number, the latest first.
func (v ledgerView) blocks(number string, now time.Time) []*ledgerEntry {
	f := formEntries{entries: v[number]}
	f.sort()
	return f.active(now)
}

// mark gives the phone numbers of a contact their do-not-call fields.
func (v ledgerView) mark(c *Contact, now time.Time) {
	c.DoNotCallSequence, c.DoNotCallErased, c.DoNotCallChangesAt = 0, 0, time.Time{}
	for i := range c.PhoneNumbers {
		p := &c.PhoneNumbers[i]
		s := v.state(p.PhoneNumber, now)
		p.DoNotCall, p.DoNotCallDate, p.DoNotCallReason = s.listed, s.date, s.reason
		c.DoNotCallSequence = max(c.DoNotCallSequence, s.sequence)
		c.DoNotCallErased += s.erased
		if !s.changesAt.IsZero() && (c.DoNotCallChangesAt.IsZero() || s.changesAt.Before(c.DoNotCallChangesAt)) {
			c.DoNotCallChangesAt = s.changesAt
		}
	}
}

// withoutMarks returns phone numbers without their do-not-call fields.
func withoutMarks(phones []PhoneNumber) []PhoneNumber {
	bare := slices.Clone(phones)
	for i := range bare {
		bare[i].DoNotCall, bare[i].DoNotCallDate, bare[i].DoNotCallReason = false, time.Time{}, ""
	}
	return bare
}

// numbersOf returns the phone numbers of contacts.
func numbersOf(contacts ...*Contact) (numbers []string) {
	for _, c := range contacts {
		for i := range c.PhoneNumbers {
			numbers = append(numbers, c.PhoneNumbers[i].PhoneNumber)
		}
	}
	return numbers
}

// openLedger returns the ledger of the principal's account; nil: it is empty.
func (c *call) openLedger(ctx context.Context) (*ledger, error) {
	if err := c.findAccount(ctx); err != nil {
		return nil, err
	}
	return c.ledgers.open(c.account)
}

// look reads the ledger of the account for some numbers, with what the call would
// have stored so far.
func (c *call) look(ctx context.Context, numbers ...string) (ledgerView, time.Time, error) {
	now, err := c.clock.read()
	if err != nil {
		return nil, now, err
	}
	l, err := c.openLedger(ctx)
	if err != nil {
		return nil, now, err
	}
	view, err := l.look(ctx, numbers)
	return c.seen.withBlocks(view, numbers, now), now, err
}

// mark gives contacts that were read their do-not-call fields. The ledger is read
// after the contacts, so a contact is never shown without the block that was stored
// with it.
func (c *call) mark(ctx context.Context, contacts ...*Contact) error {
	numbers := numbersOf(contacts...)
	if len(numbers) == 0 {
		return nil
	}
	view, now, err := c.look(ctx, numbers...)
	if err != nil {
		return err
	}
	for _, contact := range contacts {
		view.mark(contact, now)
	}
	return nil
}

// markAsOf gives a contact the do-not-call fields that its numbers had at a time,
// by the entries that were recorded until then.
func (c *call) markAsOf(ctx context.Context, contact *Contact, at time.Time) error {
	numbers := numbersOf(contact)
	if len(numbers) == 0 {
		return nil
	}
	view, _, err := c.look(ctx, numbers...)
	if err != nil {
		return err
	}
	for number, entries := range view {
		view[number] = slices.DeleteFunc(entries, func(e ledgerEntry) bool { return e.RecordedAt.After(at) })
	}
	view.mark(contact, at)
	return nil
}

// markAll gives the contacts that a call returns the marks that they have at its end:
// those that were stored first do not know the blocks of those after them.
func (c *call) markAll(ctx context.Context, created *creation) {
	if c.seen == nil && !c.markLast {
		return
	}
	var all []*newContact
	var contacts []*Contact
	for i := range created.contacts {
		if n := &created.contacts[i]; n.err == nil && n.record != nil {
			all, contacts = append(all, n), append(contacts, &n.record.Contact)
		}
	}
	switch err := c.mark(ctx, contacts...); {
	case err == nil:
	case c.dryRun:
		c.failAll(all, err)
	default: // they are stored
		c.note(err)
	}
}

// refuseUnblocking refuses a PATCH that says of a listed number that it may be
// called: it would seem to have taken the number off the list.
func (c *call) refuseUnblocking(ctx context.Context, p *patch, next *draft, bad *problems) error {
	var places []int
	var numbers []string
	for i, n := range next.record.Contact.PhoneNumbers {
		if i < len(p.phones) && p.phones[i]&doNotCallGiven != 0 && !p.in.PhoneNumbers[i].DoNotCall && n.PhoneNumber != "" {
			places, numbers = append(places, i), append(numbers, n.PhoneNumber)
		}
	}
	if p.given&phoneNumbersField == 0 || places == nil {
		return nil
	}
	view, now, err := c.look(ctx, numbers...)
	if err != nil {
		return err
	}
	for at, n := range numbers {
		if view.state(n, now).listed {
			bad.add(element("phone_numbers", places[at])+".do_not_call", FieldDoNotCall, "is on the do-not-call list; only a grant takes it off")
		}
	}
	return nil
}

// marks are what the writes of a batch do to the ledger and show of it.
type marks struct {
	*call
	ledger *ledger
	view   ledgerView // as read before the batch is sent
	now    time.Time
	blocks [][]ledgerEntry // that each mutation asks for; nil: not known yet
}

// addBlocks reads the ledger for the contacts that a batch writes, and adds to its
// mutations the blocks that they ask for. Each is judged by the stored ledger alone:
// a mutation that is refused must not take the block of another one with it.
// The marks are nil where there can be none. ErrStale: the settings of the account
// have changed.
func (c *call) addBlocks(ctx context.Context, batch MutationBatch) (*marks, error) {
	numbered, asked := false, false
	for i := range batch.Mutations {
		if contact := batch.Mutations[i].written(); contact != nil {
			numbered = numbered || len(contact.PhoneNumbers) > 0
			asked = asked || slices.ContainsFunc(contact.PhoneNumbers, func(p PhoneNumber) bool { return p.DoNotCall })
		}
	}
	if !numbered {
		return nil, nil
	}
	if asked && !batch.DryRun {
		if err := c.beginLedger(ctx); err != nil {
			return nil, err
		}
	}
	ledger, err := c.ledgers.open(c.account)
	if err != nil || ledger == nil && !asked {
		return nil, err
	}
	m := &marks{call: c, ledger: ledger, now: batch.Now}
	if ledger == nil {
		return m, nil
	}
	var numbers []string
	for i := range batch.Mutations {
		if contact := batch.Mutations[i].written(); contact != nil {
			numbers = append(numbers, numbersOf(contact)...)
		}
	}
	if m.view, err = m.ledger.look(ctx, numbers); err != nil || batch.DryRun {
		return m, err
	}
	if err := m.addTo(batch.Mutations, asked); err != nil {
		return nil, err
	}
	return m, nil
}

// beginLedger begins the ledger of the account, if it has none.
func (c *call) beginLedger(ctx context.Context) error {
	if c.recalled && !c.ledgers.isReady(c.account) {
		return ErrStale // so that the key is checked first
	}
	account, err := c.ledgers.prepare(ctx, c.account)
	if err == nil {
		c.account = account
	}
	return err
}

// addTo adds to each mutation the blocks that its contact asks for, if any contact asks,
// in place of those of an earlier try.
func (m *marks) addTo(mutations []Mutation, asked bool) error {
	if asked {
		m.blocks = make([][]ledgerEntry, len(mutations))
	}
	for i := range mutations {
		mutation := &mutations[i]
		contact := mutation.written()
		if contact == nil {
			continue
		}
		mutation.Journal = slices.DeleteFunc(mutation.Journal, func(e JournalEntry) bool { return e.Kind == JournalDoNotCall })
		if asked {
			m.blocks[i] = m.asked(contact)
			if err := m.append(mutation, contact.ID, m.blocks[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// append adds the blocks of a contact to its mutation, each with its companion.
func (m *marks) append(mutation *Mutation, contactID uuid.UUID, blocks []ledgerEntry) error {
	for _, e := range blocks {
		block, err := e.journal()
		if err != nil {
			return err
		}
		origin, err := (&ledgerOrigin{contactID: contactID, subject: e.subject}).journal(m.now)
		if err != nil {
			return err
		}
		mutation.Journal = append(mutation.Journal, block, origin)
		if m.ledger.made == nil {
			m.ledger.made = make(map[string]ledgerEntry)
		}
		m.ledger.made[block.Data] = e
	}
	return nil
}

// written returns the contact that the mutation stores; nil: it stores none, or
// one that is deleted.
func (m *Mutation) written() *Contact {
	if len(m.Contacts) == 0 || m.Contacts[0].Record == nil || !m.Contacts[0].Record.Contact.DeletedAt.IsZero() {
		return nil
	}
	return &m.Contacts[0].Record.Contact
}

// asked returns the blocks that a contact asks for: on each number that is said to
// be not called, and on which no block is active.
func (m *marks) asked(c *Contact) (blocks []ledgerEntry) {
	for i := range c.PhoneNumbers {
		p := &c.PhoneNumbers[i]
		if !p.DoNotCall || len(m.view.blocks(p.PhoneNumber, m.now)) > 0 {
			continue
		}
		e := m.view.newBlock(p.PhoneNumber, m.now)
		e.Actor, e.ContactID = m.principal.actor(), c.ID
		if m.ledger != nil { // else in a dry run
			e.sign(m.ledger)
		}
		blocks = append(blocks, e)
	}
	return blocks
}

// blocksOf returns the blocks that the mutation at a place asks for.
func (m *marks) blocksOf(i int, c *Contact) []ledgerEntry {
	if m.blocks != nil {
		return m.blocks[i]
	}
	return m.asked(c)
}

// newBlock returns the block that a contact asks for.
func (v ledgerView) newBlock(number string, now time.Time) ledgerEntry {
	return ledgerEntry{DoNotCallEntry: DoNotCallEntry{
		Type: DoNotCallBlock, PhoneNumber: number, At: v.timeOfBlock(number, now), RecordedAt: now, Source: sourceContact,
	}}
}

// timeOfBlock returns the time of a block that somebody asks for now: never before
// the grants that are there already, although clocks differ.
func (v ledgerView) timeOfBlock(number string, now time.Time) time.Time {
	on := v[number]
	for i := range on {
		if e := &on[i]; e.Type == DoNotCallGrant && !e.expired(now) && e.At.After(now) {
			now = e.At
		}
	}
	return now
}

// sign gives an entry the subject of its number.
func (e *ledgerEntry) sign(l *ledger) {
	e.subject, e.secret = l.secrets[0].subject(l.account, e.PhoneNumber), l.secrets[0].fingerprint
}

// show gives the contacts of a batch that were stored, or were stored before, the
// marks that they have now. Those that were refused still ask for theirs: they may
// be sent again.
func (m *marks) show(ctx context.Context, batch MutationBatch, outcomes []MutationOutcome) {
	var again []*Contact // to be looked at again
	var blocks []ledgerEntry
	for i := range batch.Mutations {
		contact := batch.Mutations[i].written()
		switch o := outcomeAt(outcomes, i); {
		case contact == nil || o.Err != nil:
		case o.Result != "": // by another call, which may have added blocks
			again = append(again, contact)
		default:
			asked := m.blocksOf(i, contact)
			if len(asked) > 0 {
				again, blocks = append(again, contact), append(blocks, asked...)
			}
		}
	}
	view := m.view
	if len(again) > 0 {
		view = view.with(blocks)
		switch {
		case batch.DryRun:
		case m.many:
			m.markLast = true
		default:
			// The sequences of the new entries are in the store alone. Without them
			// the marks are right all the same, so an error is none of the write.
			if newer, err := m.ledger.look(ctx, numbersOf(again...)); err == nil {
				maps.Copy(view, newer)
			}
		}
	}
	for i := range batch.Mutations {
		contact := batch.Mutations[i].written()
		if contact != nil && outcomeAt(outcomes, i).Err == nil {
			view.mark(contact, m.now)
		}
	}
}

// with returns a view that has more entries.
func (v ledgerView) with(entries []ledgerEntry) ledgerView {
	more := make(ledgerView, len(v)+len(entries))
	maps.Copy(more, v)
	for _, e := range entries {
		more[e.PhoneNumber] = append(slices.Clip(more[e.PhoneNumber]), e)
	}
	return more
}

// A contactDifference is what a write makes of a contact.
type contactDifference struct {
	changes []FieldChange // as callers see the contact, with its marks
	record  bool          // the contact itself changes
	blocks  bool          // a number is blocked
}

// difference returns what differs between a stored contact and what a write makes
// of it. It gives the stored contact its marks.
func (c *call) difference(ctx context.Context, stored, next *Contact) (d contactDifference, err error) {
	m := marks{call: c}
	if m.view, m.now, err = c.look(ctx, numbersOf(stored, next)...); err != nil {
		return d, err
	}
	blocks := m.asked(next)
	shown := *next
	shown.PhoneNumbers = slices.Clone(next.PhoneNumbers)
	m.view.mark(stored, m.now)
	m.view.mark(&shown, m.now)
	d.changes = Changes(stored, &shown)
	d.record, d.blocks = d.changes != nil, len(blocks) > 0
	if d.blocks {
		m.view.with(blocks).mark(&shown, m.now)
		d.changes = Changes(stored, &shown)
	}
	return d, nil
}
