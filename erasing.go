package contacts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// An erasing is an erasure under way.
type erasing struct {
	*Admin
	in      EraseInput
	repeats uuid.UUID // the erasure that this one repeats; zero: the newest of the contact, if there is one
	dryRun  bool
	removed bool     // the contact, by this erasure
	stored  *Erasure // the receipt of what this erasure has stored; nil: nothing

	actor   Actor
	now     time.Time
	account *AccountRecord
	ledger  *ledger   // nil: it is empty
	log     *eventLog // nil: events are off

	// What there is of the person, as it was read last.
	contact *ContactRecord // nil: it is gone
	damaged error          // why the contact cannot be read whole; nil: it can
	receipt *Erasure       // the newest; nil: none
	since   int64          // its sequence
	earlier uuid.UUID      // the receipt before it; zero: none
	events  []JournalEntry
	emptied int // events that cannot be read
	origins []ledgerOrigin
	entries []ledgerEntry // on the numbers

	// The numbers of the person, by subject and in the order in which they were
	// found. They are still known when the contact is gone.
	numberOf map[[32]byte]string
	numbers  []string
	shared   []string // those of them that another live contact has
	blocked  []string // those that Suppress has blocked
}

func (a *Admin) newErasing(in EraseInput) *erasing {
	return &erasing{Admin: a, in: in, numberOf: make(map[[32]byte]string)}
}

// run removes what there is of a person, until nothing is left. Most erasures are
// one mutation. Another one removes the number of an entry that came into the
// ledger between the look and the commit. With an error, the receipt is that of
// what was stored before it; nil: nothing was.
func (e *erasing) run(ctx context.Context) (*Erasure, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		err := e.look(ctx)
		switch {
		case errors.Is(err, ErrStale) && try < maxTries: // it changed while it was read
			continue
		case err != nil:
			return e.stored, err
		}
		m, receipt, err := e.decide()
		if err != nil {
			return e.stored, newServerError(err)
		}
		if len(m.Contacts)+len(m.Journal) == 0 {
			if e.receipt == nil {
				return nil, noSuch("contact")
			}
			return e.receipt, nil
		}
		outcomes, err := e.store.Apply(ctx, MutationBatch{Mutations: []Mutation{m}, Now: e.now, DryRun: e.dryRun})
		if err != nil {
			return e.stored, newServerError(err)
		}
		outcome := outcomeAt(outcomes, 0)
		refused := outcome.Err
		switch {
		case outcome.Result != "": // another call has stored this erasure
		case refused == nil && e.dryRun:
			return receipt, nil
		case refused == nil: // now look whether anything came in between
			e.removed = e.removed || len(m.Contacts) > 0
			e.stored = receipt
			ctx = context.WithoutCancel(ctx) // what is begun is ended
			e.shared = nil                   // who had a number may have been erased at the same time
			for _, claim := range m.Claims {
				e.blocked = append(e.blocked, claim.Value)
			}
		case errors.Is(refused, ErrDuplicate):
			for _, h := range outcome.Holders {
				if n := m.Claims[h.Key].Value; !slices.Contains(e.shared, n) {
					e.shared = append(e.shared, n)
				}
			}
		case !cameBetween(refused):
			return e.stored, newServerError(refused)
		}
		if try == maxTries {
			return e.stored, newServerError(cmp.Or(refused, errors.New("new entries come into the ledger all the time")))
		}
	}
}

// cameBetween reports whether something was changed between the look and the
// commit.
func cameBetween(refused error) bool {
	return errors.Is(refused, ErrConflict) || errors.Is(refused, ErrNotFound) || errors.Is(refused, ErrStale)
}

// check checks the input.
func (e *erasing) check() (err error) {
	if e.store == nil {
		return noStore()
	}
	if e.ledgerErr != nil {
		return e.ledgerErr
	}
	var bad problems
	needsAccount(e.in.AccountID, &bad)
	if e.in.ContactID == uuid.Nil {
		bad.add("contact_id", FieldRequired, "is required")
	}
	e.in.Reason = text(e.in.Reason, "reason", maxEraseReason, &bad)
	if err := bad.err(); err != nil {
		return err
	}
	e.actor, err = e.who()
	return err
}

// look reads what there is of the person: the contact first, so that a change of it
// meanwhile is noticed by its version.
func (e *erasing) look(ctx context.Context) (err error) {
	if e.now, err = e.Admin.now(); err != nil {
		return err
	}
	if e.account, err = e.Admin.account(ctx, e.in.AccountID); err != nil {
		return err
	}
	if e.log, err = e.eventLog(ctx, e.account, 1, e.now); err != nil {
		return err
	}
	e.contact, e.damaged = nil, nil
	for r, err := range e.records(ctx, ContactQuery{AccountID: e.in.AccountID, IDs: []uuid.UUID{e.in.ContactID}}, &e.damaged) {
		if err != nil {
			return newServerError(err)
		}
		e.contact = r // a damaged one too: what of it can be read
	}
	if e.contact == nil {
		// It may have been restored between the lists of live and of deleted ones.
		switch _, err := e.store.FindContact(ctx, e.in.AccountID, e.in.ContactID); {
		case err == nil:
			return newServerError(ErrStale)
		case !errors.Is(err, ErrNotFound):
			return newServerError(err)
		}
	}
	if err := e.lookIntoJournal(ctx); err != nil {
		return err
	}
	if err := e.lookIntoLedger(ctx); err != nil {
		return newServerError(err)
	}
	return nil
}

// lookIntoJournal reads what the journal has about the contact's id.
func (e *erasing) lookIntoJournal(ctx context.Context) error {
	var ledger []JournalEntry
	e.events, e.receipt, e.earlier = nil, nil, uuid.Nil
	for entry, err := range e.journal(ctx, JournalQuery{AccountID: e.in.AccountID, Subjects: [][32]byte{contactSubject(e.in.ContactID)}}) {
		if err != nil {
			return err
		}
		switch entry.Kind {
		case JournalEvent:
			e.events = append(e.events, entry)
		case JournalDoNotCall:
			ledger = append(ledger, entry)
		case JournalErasure:
			receipt, err := parseErasure(&entry)
			if err != nil {
				return newServerError(err)
			}
			if e.receipt != nil {
				e.earlier = e.receipt.ID
			}
			e.receipt, e.since = &receipt, entry.Sequence
		}
	}
	var err error
	if _, e.origins, err = readLedger(ledger); err != nil {
		return newServerError(err)
	}
	return nil
}

// lookIntoLedger reads the entries on the numbers of the person: those of the
// contact, and those that companions name. An entry on an equivalent form of a
// number is about the person too.
func (e *erasing) lookIntoLedger(ctx context.Context) (err error) {
	e.entries = nil
	if e.contact != nil {
		for _, p := range e.contact.Contact.PhoneNumbers {
			e.addNumber(p.PhoneNumber)
		}
	}
	if e.ledger, err = e.ledgers.open(e.account); err != nil {
		return err
	}
	if e.contact == nil && e.receipt != nil && e.stored == nil && e.ledger != nil {
		if err := e.goOn(ctx); err != nil {
			return err
		}
	}
	read := make(map[[32]byte]bool)
	for subjects := e.subjects(read); len(subjects) > 0; subjects = e.subjects(read) {
		for part := range slices.Chunk(subjects, maxSubjects) {
			journal, err := e.ledger.journal(ctx, part)
			if err != nil {
				return err
			}
			entries, _, err := readLedger(journal)
			if err != nil {
				return err
			}
			e.entries = append(e.entries, entries...)
		}
		for i := range e.entries {
			if n := e.entries[i].PhoneNumber; n != "" {
				e.addNumber(n)
			}
		}
	}
	return e.prepareToSuppress(ctx)
}

// goOn adds the numbers that an earlier call has left, because it was cut off after
// its commit: those of entries that came into the ledger between its look and its
// commit. What was recorded later is not of the person that was erased.
func (e *erasing) goOn(ctx context.Context) error {
	once, err := e.once(e.earlier, nil)
	if err != nil {
		return err
	}
	m := Mutation{AccountID: e.account.ID, Settings: e.account.SettingsVersion, Idempotency: once}
	outcomes, err := e.store.Apply(ctx, MutationBatch{Mutations: []Mutation{m}, Now: e.now, DryRun: true})
	outcome := outcomeAt(outcomes, 0)
	if err != nil || outcome.Result == "" {
		return cmp.Or(err, outcome.Err)
	}
	var note eraseNote
	if err := json.Unmarshal([]byte(outcome.Result), &note); err != nil {
		return fmt.Errorf("the idempotency record of an erasure: %w", err)
	}
	found, err := e.ledger.findSubjects(ctx, note.Subjects)
	for _, entries := range found {
		for i := range entries {
			if entry := &entries[i]; entry.Sequence < e.since && !entry.erased {
				e.addNumber(entry.PhoneNumber)
			}
		}
	}
	return err
}

// An eraseNote is the result in the idempotency record of an erasure: the subjects of
// the person's numbers.
type eraseNote struct {
	Subjects [][32]byte `json:"subjects,omitempty"`
}

// eraseNoteKept is how long the record is kept.
const eraseNoteKept = 7 * 24 * time.Hour

// once returns the idempotency record of an erasure, by the receipt before it; zero:
// there was none. Of erasures of a contact at the same time, one is stored.
func (e *erasing) once(before uuid.UUID, subjects [][32]byte) (*IdempotencyRecord, error) {
	result, err := json.Marshal(eraseNote{subjects})
	key := slices.Concat([]byte("\x00erasure"), e.in.ContactID[:], before[:]) // no key of a caller has a NUL
	return &IdempotencyRecord{Key: sha256.Sum256(key), Result: string(result), EndsAt: endOf(e.now, eraseNoteKept)}, err
}

func (e *erasing) addNumber(number string) {
	if !slices.Contains(e.numbers, number) {
		e.numbers = append(e.numbers, number)
	}
}

// subjects returns the subjects of the numbers that are known by now, in ascending
// order, without those that were read before. It adds them to those.
func (e *erasing) subjects(read map[[32]byte]bool) (subjects [][32]byte) {
	if e.ledger == nil {
		return nil
	}
	add := func(subject [32]byte) {
		if !read[subject] {
			read[subject] = true
			subjects = append(subjects, subject)
		}
	}
	for _, number := range e.numbers {
		for _, form := range PhoneForms(number) {
			for i := range e.ledger.secrets {
				subject := e.ledger.secrets[i].subject(e.account.ID, form.Number)
				e.numberOf[subject] = form.Number
				add(subject)
			}
		}
	}
	for i := range e.origins {
		if !e.origins[i].erased {
			add(e.origins[i].subject)
		}
	}
	slices.SortFunc(subjects, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return subjects
}

// prepareToSuppress makes the ledger ready for the blocks that are appended. A dry
// run gets a ledger that is not stored.
func (e *erasing) prepareToSuppress(ctx context.Context) (err error) {
	switch {
	case !e.in.Suppress || len(e.numbers) == 0:
		return nil
	case !e.dryRun:
		if e.account, err = e.ledgers.prepare(ctx, e.account); err != nil {
			return err
		}
		e.ledger, err = e.ledgers.open(e.account)
		return err
	case e.ledger == nil:
		e.ledger = &ledger{secrets: []ledgerSecret{newLedgerSecret(nil)}}
	}
	return nil
}

// decide returns the mutation that removes what was read, with the receipt. The
// mutation is empty if nothing is left.
func (e *erasing) decide() (m Mutation, receipt *Erasure, err error) {
	m = Mutation{AccountID: e.account.ID, Settings: e.account.SettingsVersion}
	var removed ErasureCounts
	if m.Journal, removed, err = e.redact(); err != nil {
		return m, nil, err
	}
	for _, n := range e.numbers {
		if !slices.Contains(e.shared, n) {
			m.Claims = append(m.Claims, MatchKey{KeyPhoneNumber, n})
		}
	}
	switch {
	case e.contact != nil:
	case e.stored != nil: // what came in between
		return m, e.receipt, e.suppress(&m)
	case e.receipt != nil || len(m.Journal) == 0: // what came after that erasure
		return m, e.receipt, nil
	}
	if e.contact != nil {
		m.Contacts = []ContactChange{{ID: e.contact.Contact.ID, Version: e.contact.Contact.Version}}
		removed.Contacts = 1
	}
	removed.Numbers = len(m.Claims)
	if err := e.suppress(&m); err != nil {
		return m, nil, err
	}
	if e.log != nil {
		event, err := e.log.remove(EventContactErased, e.in.ContactID, e.now)
		if err != nil {
			return m, nil, err
		}
		m.Journal = append(m.Journal, event)
	}
	receipt = &Erasure{
		AccountID: e.account.ID, ContactID: e.in.ContactID, At: e.now, Actor: e.actor, Reason: e.in.Reason,
		Suppressed: e.in.Suppress, KeptNotes: e.in.KeepNotes, Removed: removed, Kept: e.kept(), Reapplies: e.repeats,
	}
	before := uuid.Nil
	if e.receipt != nil {
		before = e.receipt.ID
	}
	if receipt.Reapplies == uuid.Nil {
		receipt.Reapplies = before
	}
	if !e.dryRun {
		if receipt.ID, err = e.ids.next(e.now); err != nil {
			return m, nil, err
		}
		if receipt.Digest, err = receipt.digest(); err != nil {
			return m, nil, err
		}
	}
	entry, err := receipt.entry()
	if err != nil {
		return m, nil, err
	}
	m.Journal = append(m.Journal, entry)
	m.Idempotency, err = e.once(before, e.subjects(make(map[[32]byte]bool)))
	return m, receipt, err
}

// redact returns the entries of the journal that lose something, as they are then.
func (e *erasing) redact() (changed []JournalEntry, removed ErasureCounts, err error) {
	e.emptied = 0
	for _, entry := range e.events {
		data, err := redactEvent(entry.Data)
		if err != nil {
			return nil, removed, err
		}
		if data == noEvent {
			e.emptied++
		}
		if data != entry.Data {
			removed.Events++
			entry.Data = data
			changed = append(changed, entry)
		}
	}
	for _, origin := range e.origins {
		if origin.erased {
			continue
		}
		origin.erased = true
		entry, err := origin.journal(e.now)
		if err != nil {
			return nil, removed, err
		}
		changed = append(changed, entry)
	}
	for i := range e.entries {
		next := e.redacted(e.entries[i])
		if next == e.entries[i] {
			continue
		}
		entry, err := next.journal()
		if err != nil {
			return nil, removed, err
		}
		removed.LedgerEntries++
		changed = append(changed, entry)
	}
	slices.SortFunc(changed, func(a, b JournalEntry) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return changed, removed, nil
}

// losesNumber reports whether an entry of the ledger is on a number of the person
// that no other live contact has.
func (e *erasing) losesNumber(entry *ledgerEntry) bool {
	number := e.numberOf[entry.subject]
	return slices.Contains(e.numbers, number) && !slices.Contains(e.shared, number)
}

// redacted returns an entry of the ledger as it is after the erasure.
func (e *erasing) redacted(entry ledgerEntry) ledgerEntry {
	loses := e.losesNumber(&entry)
	if loses {
		entry.PhoneNumber, entry.erased = "", true
	}
	if loses || entry.ContactID == e.in.ContactID {
		entry.ContactID = uuid.Nil
		if !e.in.KeepNotes {
			entry.Reason, entry.Reference = "", ""
		}
	}
	return entry
}

// suppress appends the blocks that were asked for.
func (e *erasing) suppress(m *Mutation) error {
	if !e.in.Suppress {
		return nil
	}
	view := make(ledgerView)
	for _, entry := range e.entries {
		n := e.numberOf[entry.subject]
		view[n] = append(view[n], entry)
	}
	for _, claim := range m.Claims {
		if slices.Contains(e.blocked, claim.Value) {
			continue
		}
		block := ledgerEntry{DoNotCallEntry: DoNotCallEntry{
			Type: DoNotCallBlock, PhoneNumber: claim.Value, At: view.timeOfBlock(claim.Value, e.now), RecordedAt: e.now, Source: sourceErasure, Actor: e.actor,
		}}
		block.sign(e.ledger)
		block.PhoneNumber, block.erased = "", true
		entry, err := block.journal()
		if err != nil {
			return err
		}
		m.Journal = append(m.Journal, entry)
	}
	return nil
}

// kept returns what stays, and why.
func (e *erasing) kept() []ErasureKept {
	without := 0
	for i := range e.entries {
		if e.losesNumber(&e.entries[i]) {
			without++
		}
	}
	all := []ErasureKept{
		{"ledger_entries", "an objection to calls must be honoured; the entries have no number any more and answer by a keyed hash", without},
		{"shared_numbers", "another live contact has the number", len(e.shared)},
		{"events", "readers need every sequence; type, time and actor stay, without the changes", len(e.events) - e.emptied},
		{"unreadable_events", "they were damaged; nothing is left of them but sequence and time", e.emptied},
	}
	all = slices.DeleteFunc(all, func(k ErasureKept) bool { return k.Count == 0 })
	if e.damaged != nil {
		all = append(all, ErasureKept{"unread_numbers", "the contact was damaged; ledger entries on numbers that could not be read stay as they are", 0})
	}
	return append(all, ErasureKept{"idempotency_records", "a call that is sent again must not be done twice; they hold hashes and ids, until they end", 0})
}
