package contacts

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// A Conflict is one contact that has a match key of the input. It holds no value
// of the input, because an error must not.
type Conflict struct {
	// Field is the field of the input: "external_id", "email",
	// "phone_numbers[1].phone_number". In a restore it is that of the contact.
	Field string `json:"field"`

	// ContactID is the contact that has the key. Zero: it is hidden, or it is an
	// earlier contact of a batch that was not stored.
	ContactID uuid.UUID `json:"contact_id,omitzero"`

	// Hidden: the contact is in a team that the API key may not access. So a key
	// can learn that somebody in its account has an address.
	Hidden bool `json:"hidden,omitempty"`

	// Index is the place of the contact in the same batch, from 0. nil: it is
	// not of the batch.
	Index *int `json:"index,omitempty"`

	// Form is the name of the equivalent form of the number that the contact has,
	// such as "br_ninth_digit"; see [PhoneForms]. "": it has the number itself, or
	// the field is no phone number.
	Form string `json:"form,omitempty"`
}

func (c Conflict) equal(other Conflict) bool {
	x, y := c.Index, other.Index
	c.Index, other.Index = nil, nil
	return c == other && (x == y || x != nil && y != nil && *x == *y)
}

// claims returns the match keys that no other live contact may have if the record
// is stored. A change claims the keys alone that it adds, so that duplicates from
// before a policy can be changed. Before is the contact as it was; nil: there was
// none. On are the keys by which the contact was looked for; another one with such a
// key would match too.
func (p *DuplicatePolicy) claims(r, before *ContactRecord, on []MatchKey) []MatchKey {
	if r == nil || !r.Contact.DeletedAt.IsZero() || on == nil && r.Contact.ExternalID == "" && !p.unique(KeyEmail) && !p.unique(KeyPhoneNumber) {
		return nil
	}
	var had []MatchKey
	if before != nil && before.Contact.DeletedAt.IsZero() { // a deleted contact holds no keys
		had = before.MatchKeys()
	}
	keys := p.added(r.MatchKeys(), had, on)
	for _, k := range on {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// added returns those of the keys, and of their equivalent forms, that a contact with
// other keys claims when it gets them.
func (p *DuplicatePolicy) added(keys, had, on []MatchKey) []MatchKey {
	free := func(k MatchKey) bool {
		return !slices.Contains(on, k) && (!p.unique(k.Kind) || slices.Contains(had, k))
	}
	return slices.DeleteFunc(p.withForms(slices.DeleteFunc(keys, free)), free)
}

// fieldOf returns the field of the contact that has the key. If that has an equivalent
// form of the key, it returns the name of the form too.
func (c *Contact) fieldOf(k MatchKey) (field, form string) {
	if k.Kind != KeyPhoneNumber {
		return string(k.Kind), ""
	}
	var i int
	for _, f := range PhoneForms(k.Value) { // the number itself is the first
		form = f.Name
		if i = slices.IndexFunc(c.PhoneNumbers, func(p PhoneNumber) bool { return p.PhoneNumber == f.Number }); i >= 0 {
			break
		}
	}
	return element("phone_numbers", i) + ".phone_number", form
}

// maxConflicts is how many conflicts one error names: up to [MaxHolders] of a field.
const maxConflicts = 100

// A duplicate is a contact that was refused because its match keys are taken.
type duplicate struct {
	sentinel error // ErrDuplicate or ErrAmbiguous
	contact  *Contact
	claims   []MatchKey
	holders  []Holder
	created  *creation // the call; nil: it creates nothing
}

// duplicateError returns the error of a duplicate.
func (c *call) duplicateError(ctx context.Context, d duplicate) *Error {
	e := newError(d.sentinel)
	var fields []string
	holders := make(map[string][]uuid.UUID) // by field
	more := 0
	for _, h := range d.holders {
		hide := c.dryRun || d.created != nil && d.created.allOrNothing // they are not stored
		conflict := d.created.conflict(d.contact, d.claims[h.Key], h.ContactID, hide)
		known := holders[conflict.Field]
		if slices.Contains(known, h.ContactID) { // it has the number in two forms
			continue
		}
		if known == nil {
			fields = append(fields, conflict.Field)
		}
		holders[conflict.Field] = append(known, h.ContactID)
		if len(known) >= MaxHolders || len(e.Conflicts) == maxConflicts {
			more++
			continue
		}
		if conflict.Hidden = !c.principal.CanAccessTeam(h.TeamID); conflict.Hidden {
			conflict.ContactID = uuid.Nil
		}
		e.Conflicts = append(e.Conflicts, conflict)
	}
	for field, known := range holders {
		more += c.countOthers(ctx, d, field, known)
	}
	switch {
	case e.Code == CodeAmbiguousMatch && len(fields) > 1:
		e.Message = enumerated(fields) + " belong to different contacts"
	case e.Code == CodeAmbiguousMatch:
		e.Message = naming(fields) + ": more than one contact matches"
	case len(fields) == 1:
		e.Message = naming(fields) + ": another contact of the account has it"
	default:
		e.Message = naming(fields) + ": other contacts of the account have them"
	}
	e.leaveOut(more)
	return e
}

// leaveOut says how many contacts Conflicts does not name.
func (e *Error) leaveOut(n int) {
	if n > 0 {
		e.Message += fmt.Sprintf("; %d more are not named", n)
	}
}

// countOthers returns how many contacts have the field's claims beside those that are
// known. A store names no more than MaxHolders of a claim. Where they cannot be counted,
// the error says nothing of them. The many contacts of a call that are refused because of
// the same claims have them counted once.
func (c *call) countOthers(ctx context.Context, d duplicate, field string, known []uuid.UUID) int {
	var keys []MatchKey
	full := false
	for i, k := range d.claims {
		if of, _ := d.contact.fieldOf(k); of != field {
			continue
		}
		n := 0
		for _, h := range d.holders {
			if h.Key == i {
				n++
			}
		}
		keys = append(keys, k)
		full = full || n >= MaxHolders
	}
	if !full {
		return 0
	}
	of := fmt.Sprint(keys, known)
	if others, counted := c.others[of]; counted {
		return others
	}
	q := ContactQuery{AccountID: c.principal.AccountID, AllTeams: true, MatchKeys: keys, Limit: 1, Count: true}
	all, err := c.store.ListContacts(ctx, q)
	if err != nil {
		return 0
	}
	q.IDs = append(slices.Clone(known), d.contact.ID)
	found, err := c.store.ListContacts(ctx, q)
	if err != nil {
		return 0
	}
	if c.others == nil {
		c.others = make(map[string]int)
	}
	c.others[of] = max(0, all.Count-found.Count)
	return c.others[of]
}
