package contacts

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A repeat is a member of the body of a change that is no field. A client that sends
// back what it has read has such members: they are allowed where they repeat what it
// was shown.
type repeat struct {
	path  string // for the error
	phone int    // the place of its phone number in the body; -1: it is one of the contact
	name  string
	value jsontext.Value
}

// maxRepeats is more than any form of a contact has. What is beyond it is unknown.
const maxRepeats = 1000

// keep reads a member that is no field, to be compared with the stored contact.
func (r *contactReader) keep(m repeat) {
	from := r.json.InputOffset()
	r.skip()
	if r.err != nil {
		return
	}
	if len(r.repeats) == maxRepeats {
		r.refuse(m.path)
		return
	}
	m.value = bytes.TrimLeft(r.text[from:r.json.InputOffset()], " \t\r\n:")
	r.repeats = append(r.repeats, m)
}

// checkRepeats refuses the members that are no fields, unless they repeat what the
// client was shown of the stored contact. Its error is about the stored contact.
func (r *rules) checkRepeats(stored *ContactRecord, p *patch, bad *problems) error {
	if len(p.repeats) == 0 {
		return nil
	}
	contact, form := stored.Contact, shownForm{}
	// The last number stands for those that are new.
	contact.PhoneNumbers = append(slices.Clone(contact.PhoneNumbers), PhoneNumber{})
	if err := form.show(&contact, p.shown); err != nil {
		return err
	}
	for _, m := range p.repeats {
		members := form.members
		if m.phone >= 0 {
			members = form.phone(r.phoneIndex(stored.Contact.PhoneNumbers, p.in.PhoneNumbers, m.phone))
		}
		shown, known := members[m.name]
		switch {
		case !known && !r.allowUnknown:
			bad.add(m.path, FieldUnknown, "is not a field of a contact")
		case known && !sameJSON(m.value, shown):
			bad.add(m.path, FieldInvalid, "cannot be changed; leave it out, or repeat what was read")
		}
	}
	return nil
}

// phoneIndex returns the place of the stored number that number i of the input is, and
// the number of stored ones for a new number.
func (r *rules) phoneIndex(stored []PhoneNumber, in []PhoneNumberInput, i int) int {
	was, known := r.storedPhoneNumber(stored, in, i)
	if !known {
		return len(stored)
	}
	return slices.Index(stored, was)
}

// A shownForm is the JSON form in which a client sees a contact.
type shownForm struct {
	members map[string]json.RawMessage
	phones  []map[string]json.RawMessage
}

// show fills the form in. A nil shown is the contact's own form.
func (f *shownForm) show(c *Contact, shown func(*Contact) any) error {
	value := any(c)
	if shown != nil {
		value = shown(c)
	}
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &f.members)
	}
	if phones, ok := f.members["phone_numbers"]; ok && err == nil {
		err = json.Unmarshal(phones, &f.phones)
	}
	return err
}

// phone returns the members of a phone number; nil: the form has none.
func (f *shownForm) phone(i int) map[string]json.RawMessage {
	if i >= len(f.phones) {
		return nil
	}
	return f.phones[i]
}

// sameJSON reports whether a client means the value that it was shown. Members may
// be in another order. A time may be in another form, and without its microseconds:
// some languages keep milliseconds alone.
func sameJSON(sent jsontext.Value, shown json.RawMessage) bool {
	a, b := sent.Clone(), jsontext.Value(shown).Clone()
	if a.Canonicalize() != nil || b.Canonicalize() != nil {
		return false
	}
	if bytes.Equal(a, b) {
		return true
	}
	var sentTime, shownTime time.Time
	if json.Unmarshal(a, &sentTime) != nil || json.Unmarshal(b, &shownTime) != nil {
		return false
	}
	return sentTime.Equal(shownTime) || sentTime.Equal(shownTime.Truncate(time.Millisecond))
}
