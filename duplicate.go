package contacts

import (
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
	keys := slices.DeleteFunc(r.MatchKeys(), func(k MatchKey) bool {
		return !slices.Contains(on, k) && (!p.unique(k.Kind) || slices.Contains(had, k))
	})
	for _, k := range on {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// fieldOf returns the field of the contact that has the key.
func (c *Contact) fieldOf(k MatchKey) string {
	if k.Kind != KeyPhoneNumber {
		return string(k.Kind)
	}
	i := slices.IndexFunc(c.PhoneNumbers, func(p PhoneNumber) bool { return p.PhoneNumber == k.Value })
	return element("phone_numbers", i) + ".phone_number"
}

// maxConflicts is how many conflicts one error names.
const maxConflicts = 100

// A duplicate is a contact that was refused because its match keys are taken.
type duplicate struct {
	code    error // ErrDuplicate or ErrAmbiguous
	contact *Contact
	claims  []MatchKey
	holders []Holder
	created *creation // the call; nil: it creates nothing
}

// duplicateError returns the error of a duplicate.
func (c *call) duplicateError(d duplicate) *Error {
	e := newError(d.code, nil)
	var fields []string
	for i, h := range d.holders {
		hide := c.dryRun || d.created != nil && d.created.allOrNothing // they are not stored
		conflict := d.created.conflict(d.contact.fieldOf(d.claims[h.Key]), h.ContactID, hide)
		if !slices.Contains(fields, conflict.Field) {
			fields = append(fields, conflict.Field)
		}
		if i >= maxConflicts {
			continue
		}
		if conflict.Hidden = !c.principal.CanAccessTeam(h.TeamID); conflict.Hidden {
			conflict.ContactID = uuid.Nil
		}
		e.Conflicts = append(e.Conflicts, conflict)
	}
	switch {
	case e.Code == CodeAmbiguousMatch:
		e.Message = naming(fields) + ": more than one contact matches"
	case len(fields) == 1:
		e.Message = naming(fields) + ": another contact of the account has it"
	default:
		e.Message = naming(fields) + ": other contacts of the account have them"
	}
	if more := len(d.holders) - len(e.Conflicts); more > 0 {
		e.Message += fmt.Sprintf("; %d more are not named", more)
	}
	return e
}
