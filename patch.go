package contacts

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// A patch is one update. Only the fields of in whose bit is set in given are
// valid.
type patch struct {
	in      CreateContactInput
	given   fieldSet
	phones  []phoneFields // given of each of in.PhoneNumbers
	nested  fieldSet      // those of given that were in a nested address
	repeats []repeat
	shown   func(*Contact) any // what the client has read; nil: the Contact
	own     bool               // of in: see [rules.contact]
	merges  bool               // the body is of a PATCH

	addTags, removeTags []string
}

// read takes over what was read of a JSON body.
func (p *patch) read(r *contactReader) {
	r.stored, r.merges, p.own = true, p.merges, true
	r.contact(&p.in)
	p.addTags, p.removeTags = r.addTags, r.removeTags
	p.given, p.phones, p.nested, p.repeats = r.given, r.phones, r.nested, r.repeats
}

// phoneFields is a set of the fields of a phone number.
type phoneFields uint8

const (
	phoneNumberGiven phoneFields = 1 << iota
	phoneTypeGiven
	primaryGiven
	doNotCallGiven
)

// patch returns the input as a patch.
func (in *UpdateContactInput) patch() *patch {
	p := &patch{addTags: in.AddTags, removeTags: in.RemoveTags}
	values := in.texts()
	for i, dst := range p.in.texts() {
		give(p, 1<<i, dst, values[i])
	}
	give(p, teamIDField, &p.in.TeamID, in.TeamID)
	give(p, tagsField, &p.in.Tags, in.Tags)
	give(p, customContextField, &p.in.CustomContext, in.CustomContext)
	give(p, industryContextField, &p.in.IndustryContext, in.IndustryContext)
	if in.PhoneNumbers == nil {
		return p
	}
	p.given |= phoneNumbersField
	for _, n := range *in.PhoneNumbers {
		phone := PhoneNumberInput{ID: n.ID}
		given := givePhone(phoneNumberGiven, &phone.PhoneNumber, n.PhoneNumber) |
			givePhone(phoneTypeGiven, &phone.PhoneType, n.PhoneType) |
			givePhone(primaryGiven, &phone.Primary, n.Primary) |
			givePhone(doNotCallGiven, &phone.DoNotCall, n.DoNotCall)
		p.in.PhoneNumbers = append(p.in.PhoneNumbers, phone)
		p.phones = append(p.phones, given)
	}
	return p
}

// give sets a field of the patch, if it is given.
func give[T any](p *patch, field fieldSet, dst, value *T) {
	if value != nil {
		*dst = *value
		p.given |= field
	}
}

func givePhone[T any](field phoneFields, dst, value *T) phoneFields {
	if value == nil {
		return 0
	}
	*dst = *value
	return field
}

// patch returns what the patch makes of the stored record. It validates the
// fields that are given, and no others. Its error is a [*DamagedError].
func (r *rules) patch(stored *ContactRecord, p *patch, bad *problems) (*draft, error) {
	noIdempotencyKey(&p.in, bad)
	record := *stored
	d := &draft{record: &record}
	c := &record.Contact
	given, normalised := p.in.texts(), c.texts()
	for i := range textFields {
		if p.given&(1<<i) != 0 {
			*normalised[i] = textFields[i].rule(r, *given[i], bad)
		}
	}
	if p.given&teamIDField != 0 {
		c.TeamID = teamID(p.in.TeamID, bad)
	}
	if p.given&tagsField != 0 {
		c.Tags = r.tags(p.in.Tags, "tags", bad)
	}
	if len(p.addTags)+len(p.removeTags) > 0 {
		c.Tags = r.patchTags(c.Tags, p, bad)
	}
	if p.given&phoneNumbersField != 0 {
		c.PhoneNumbers = r.patchPhoneNumbers(stored.Contact.PhoneNumbers, p, bad)
	}
	for _, context := range []struct {
		name  string
		given bool
		patch map[string]any
		text  *string
		form  *map[string]any
	}{
		{"custom_context", p.given&customContextField != 0, p.in.CustomContext, &record.CustomContext, &d.forms.custom},
		{"industry_context", p.given&industryContextField != 0, p.in.IndustryContext, &record.IndustryContext, &d.forms.industry},
	} {
		if context.given && context.patch == nil {
			*context.text = ""
			continue
		}
		old, err := loadFreeform(context.name, *context.text)
		if err != nil {
			return nil, &DamagedError{stored.Contact.ID, err}
		}
		*context.form = old
		if context.given {
			e := r.encoder(nil)
			// What is stored may be over the limits of today. It may become less.
			e.maxBytes, e.maxDepth = max(e.maxBytes, len(*context.text)), max(e.maxDepth, depthOf(old))
			*context.form = e.merged(old, context.patch, context.name, bad)
			*context.text = string(e.text)
		}
	}
	return d, nil
}

// keepAbsent leaves a context absent that was absent and that the change makes empty:
// clients are shown {} for both, and send it back.
func (d *draft) keepAbsent(stored *ContactRecord) {
	const empty = "{}"
	if stored.CustomContext == "" && d.record.CustomContext == empty {
		d.record.CustomContext, d.forms.custom = "", nil
	}
	if stored.IndustryContext == "" && d.record.IndustryContext == empty {
		d.record.IndustryContext, d.forms.industry = "", nil
	}
}

func noIdempotencyKey(in *CreateContactInput, bad *problems) {
	if in.IdempotencyKey != "" {
		bad.add("idempotency_key", FieldInvalid, "must not be given for a change, which takes a version")
	}
}

// patchTags returns the stored tags without those that the patch removes, and then
// those that it adds.
func (r *rules) patchTags(stored []string, p *patch, bad *problems) []string {
	const addField, removeField = "add_tags", "remove_tags"
	if p.given&tagsField != 0 {
		if p.addTags != nil {
			bad.add(addField, FieldInvalid, "must not be given together with tags")
		}
		if p.removeTags != nil {
			bad.add(removeField, FieldInvalid, "must not be given together with tags")
		}
		return stored
	}
	remove := r.tags(p.removeTags, removeField, bad)
	tags := slices.DeleteFunc(slices.Clone(stored), func(tag string) bool {
		// A tag that was stored by other rules can be removed as it is.
		return slices.Contains(remove, tag) || slices.Contains(p.removeTags, tag)
	})
	left := len(tags)
	for _, tag := range r.tags(p.addTags, addField, bad) {
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if len(tags) > max(left, r.limits.Tags) {
		bad.add(addField, FieldTooMany, fmt.Sprintf("must leave the contact at most %d tags", r.limits.Tags))
	}
	if len(tags) == 0 {
		return nil
	}
	return tags
}

// patchPhoneNumbers returns the phone numbers that a patch leaves. A number that
// is a stored one keeps the fields that are not given, as they are.
func (r *rules) patchPhoneNumbers(stored []PhoneNumber, p *patch, bad *problems) []PhoneNumber {
	in := p.in.PhoneNumbers
	if len(in) == 0 || len(in) > len(stored) && r.tooManyPhoneNumbers(len(in), bad) {
		return nil
	}
	// The given primary number takes the mark from the stored one.
	primary := slices.ContainsFunc(in, func(n PhoneNumberInput) bool { return n.Primary })
	out := make([]PhoneNumber, len(in))
	for i, n := range in {
		given, phone := p.phones[i], &out[i]
		was, known := r.storedPhoneNumber(stored, in, i)
		phone.PhoneNumber, phone.PhoneType = was.PhoneNumber, was.PhoneType
		if given&phoneNumberGiven != 0 || !known {
			phone.PhoneNumber = r.phoneNumber(i, n.PhoneNumber, bad)
		}
		if given&phoneTypeGiven != 0 || !known {
			phone.PhoneType = r.phoneType(i, n.PhoneType, bad)
		}
		phone.Primary, phone.DoNotCall = n.Primary, n.DoNotCall // true asks for a block
		if given&primaryGiven == 0 {
			phone.Primary = was.Primary && !primary
			primary = primary || phone.Primary
		}
	}
	checkPhoneNumbers(out, bad)
	matchPhoneNumbers(stored, in, out, bad)
	return out
}

// storedPhoneNumber returns the stored number that number i of the input is: by its id,
// or without one by being the same number, if no other of the input has its id.
func (r *rules) storedPhoneNumber(stored []PhoneNumber, in []PhoneNumberInput, i int) (PhoneNumber, bool) {
	n, number := in[i], ""
	if n.ID == uuid.Nil {
		number, _ = r.phones.normalise(n.PhoneNumber)
	}
	for _, s := range stored {
		if s.ID == n.ID || number != "" && s.PhoneNumber == number && !slices.ContainsFunc(in, func(o PhoneNumberInput) bool { return o.ID == s.ID }) {
			return s, true
		}
	}
	return PhoneNumber{}, false
}

// matchPhoneNumbers gives the numbers of out, which are those of in, the ids of
// the stored ones that they are: by id, or else by being the same number. A new
// number gets none here.
func matchPhoneNumbers(stored []PhoneNumber, in []PhoneNumberInput, out []PhoneNumber, bad *problems) {
	taken := make(map[uuid.UUID]int, len(in)) // the place in the input, by id
	for i, p := range in {
		if p.ID == uuid.Nil {
			continue
		}
		field := element("phone_numbers", i) + ".id"
		if first, twice := taken[p.ID]; twice {
			bad.add(field, FieldDuplicate, "is the same as that of "+element("phone_numbers", first))
			continue
		}
		taken[p.ID] = i
		if !slices.ContainsFunc(stored, func(s PhoneNumber) bool { return s.ID == p.ID }) {
			bad.add(field, FieldInvalid, "is not the id of a phone number of this contact")
		}
		if i < len(out) {
			out[i].ID = p.ID
		}
	}
	for i := range out {
		for _, s := range stored {
			if _, is := taken[s.ID]; out[i].ID == uuid.Nil && !is && s.PhoneNumber == out[i].PhoneNumber {
				out[i].ID = s.ID
			}
		}
	}
}
