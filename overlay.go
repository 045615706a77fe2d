package contacts

import (
	"bytes"
	"slices"
	"time"

	"github.com/google/uuid"
)

// An overlay is what the contacts of a call would have stored so far: in a dry run,
// and while a batch that is all or nothing is planned. Nil is that of a call that
// stores as it goes.
type overlay struct {
	records map[uuid.UUID]*overlaid
	holders map[MatchKey][]uuid.UUID // the contacts with a key, of records
	once    map[[32]byte]*IdempotencyRecord
	asked   map[string]time.Time // the numbers to which calls are to be blocked, and since when
	steps   []step
	claimed map[MatchKey]bool // the keys that nobody else had when a step claimed them
	past    *past             // the earlier parts of the stream; nil: there are none

	// Another writer has stored a key since a step claimed it: what the contacts
	// would have stored is of no one moment.
	overtaken bool
}

// An overlaid contact is one as it would be.
type overlaid struct {
	record *ContactRecord
	stored *ContactRecord // as it is; nil: it is new
	place  int            // of the contact of the call that made or changed it first
}

// A step is what one contact of a call has stored.
type step struct {
	*newContact
	before, after *ContactRecord     // before nil: it is new; after nil: it stays
	once          *IdempotencyRecord // nil: none
	on            []MatchKey         // what it claims beside the keys that must be unique
	claims        []MatchKey         // what it claims in all
	at            time.Time
}

func newOverlay() *overlay {
	return &overlay{
		records: make(map[uuid.UUID]*overlaid),
		holders: make(map[MatchKey][]uuid.UUID),
		once:    make(map[[32]byte]*IdempotencyRecord),
		asked:   make(map[string]time.Time),
		claimed: make(map[MatchKey]bool),
	}
}

// add adds a step.
func (o *overlay) add(s step) {
	if o == nil {
		return
	}
	o.steps = append(o.steps, s)
	if s.once != nil {
		o.once[s.once.Key] = s.once
	}
	if s.after == nil {
		return
	}
	for _, k := range s.claims {
		o.claimed[k] = true
	}
	id := s.after.Contact.ID
	r := o.records[id]
	if r == nil {
		r = &overlaid{stored: s.before, place: s.place}
		o.records[id] = r
	} else {
		for _, k := range r.record.MatchKeys() {
			o.holders[k] = slices.DeleteFunc(o.holders[k], func(holder uuid.UUID) bool { return holder == id })
		}
	}
	record := *s.after
	record.Contact.PhoneNumbers = withoutMarks(s.after.Contact.PhoneNumbers) // as a store keeps them
	r.record = &record
	o.hold(id, s.after.MatchKeys())
	o.ask(&s.after.Contact, s.at)
}

// ask keeps the numbers to which the contact blocks calls.
func (o *overlay) ask(c *Contact, at time.Time) {
	for i := range c.PhoneNumbers {
		if p := &c.PhoneNumbers[i]; p.DoNotCall && o.asked[p.PhoneNumber].IsZero() {
			o.asked[p.PhoneNumber] = at
		}
	}
}

// withBlocks adds to a view of the ledger, of some numbers and their equivalent
// forms, the blocks that the call would have stored so far. Where a block was stored
// already, it would have stored none.
func (o *overlay) withBlocks(v ledgerView, numbers []string, now time.Time) ledgerView {
	if o == nil || len(o.asked) == 0 && o.past == nil {
		return v
	}
	var blocks []ledgerEntry
	known := make(map[string]bool)
	for _, n := range numbers {
		for _, form := range PhoneForms(n) {
			at := o.askedAt(form.Number)
			if at.IsZero() || known[form.Number] || len(v.blocks(form.Number, now)) > 0 {
				continue
			}
			known[form.Number] = true
			blocks = append(blocks, v.newBlock(form.Number, at))
		}
	}
	if blocks == nil {
		return v
	}
	return v.with(blocks)
}

func (o *overlay) askedAt(number string) time.Time {
	if at, ok := o.asked[number]; ok {
		return at
	}
	return o.past.askedAt(number)
}

func (o *overlay) hold(id uuid.UUID, keys []MatchKey) {
	for _, k := range keys {
		if !slices.Contains(o.holders[k], id) {
			o.holders[k] = append(o.holders[k], id)
		}
	}
}

// find returns a contact as it would be; nil for one that is as it is.
func (o *overlay) find(id uuid.UUID) *ContactRecord {
	if o == nil || o.records[id] == nil {
		return nil
	}
	return o.records[id].record
}

// size returns how many contacts of the call would have been stored.
func (o *overlay) size() int {
	if o == nil {
		return 0
	}
	return len(o.records)
}

// hides reports whether the contact that is stored would be another by now.
func (o *overlay) hides(id uuid.UUID) bool {
	return o != nil && (o.records[id] != nil || o.past.changed(id) != uuid.Nil)
}

// storedVersion returns the version that a store sees of the contact of a step.
func (o *overlay) storedVersion(s step) int64 {
	switch {
	case s.before == nil:
		return 0
	case o == nil || o.records[s.before.Contact.ID] == nil:
		return s.before.Contact.Version
	case o.records[s.before.Contact.ID].stored == nil:
		return 0
	default:
		return o.records[s.before.Contact.ID].stored.Contact.Version
	}
}

// holdersOf returns who would hold the claims of a contact, where a store says who
// does.
func (o *overlay) holdersOf(claims []MatchKey, stored []Holder, own uuid.UUID) (all []Holder) {
	for i, k := range claims {
		from := len(all)
		add := func(h Holder) {
			if h.ContactID != own && !slices.ContainsFunc(all[from:], func(other Holder) bool { return other.ContactID == h.ContactID }) {
				all = append(all, h)
			}
		}
		for _, h := range stored {
			switch {
			case h.Key != i || h.Deleted || o.records[h.ContactID] != nil || o.past.lost(h.ContactID, k):
				continue
			case o.past.changed(h.ContactID) != uuid.Nil:
				h = Holder{Key: i, ContactID: o.past.changed(h.ContactID)}
			case o.claimed[k]:
				o.overtaken = true
			}
			add(h)
		}
		for _, id := range o.holders[k] {
			h := Holder{Key: i, ContactID: id}
			if r := o.find(id); r != nil {
				h.TeamID = r.Contact.TeamID
			}
			add(h)
		}
		for _, id := range o.past.holders(k) {
			add(Holder{Key: i, ContactID: id})
		}
		slices.SortFunc(all[from:], func(a, b Holder) int { return bytes.Compare(a.ContactID[:], b.ContactID[:]) })
		all = all[:min(len(all), from+MaxHolders)]
	}
	return all
}
