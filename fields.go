package contacts

import (
	"slices"
	"strconv"
	"strings"
)

// A textField is one of the text fields of a contact. The table of them drives
// decoding, validation, PATCH and the order of errors.
type textField struct {
	name string
	rule func(r *rules, s string, bad *problems) string // normalises s
}

// textFields are in the order of the documented parameters. The three methods
// named texts give the fields themselves, in the same order: they are methods,
// and no functions of the table, so that a create keeps its input on the stack.
var textFields = [...]textField{
	{"first_name", (*rules).firstName},
	{"last_name", func(r *rules, s string, bad *problems) string { return text(s, "last_name", r.limits.LastName, bad) }},
	{"email", (*rules).email},
	{"company", func(r *rules, s string, bad *problems) string { return text(s, "company", r.limits.Company, bad) }},
	{"website", (*rules).website},
	{"address", func(r *rules, s string, bad *problems) string {
		return multilineText(s, "address", r.limits.Address, bad)
	}},
	{"city", func(r *rules, s string, bad *problems) string { return text(s, "city", r.limits.City, bad) }},
	{"state", func(r *rules, s string, bad *problems) string { return text(s, "state", r.limits.State, bad) }},
	{"zip_code", func(r *rules, s string, bad *problems) string { return text(s, "zip_code", r.limits.ZipCode, bad) }},
	{"country", (*rules).country},
	{"status", (*rules).status},
	{"stage", (*rules).stage},
	{"external_id", func(r *rules, s string, bad *problems) string {
		return text(s, "external_id", r.limits.ExternalID, bad)
	}},
}

// texts returns the text fields of a new contact.
func (in *CreateContactInput) texts() [len(textFields)]*string {
	return [...]*string{
		&in.FirstName, &in.LastName, &in.Email, &in.Company,
		&in.Website, &in.Address, &in.City, &in.State,
		&in.ZipCode, &in.Country, &in.Status, &in.Stage,
		&in.ExternalID,
	}
}

// texts returns the text fields of an update: nil for one that is not given.
func (in *UpdateContactInput) texts() [len(textFields)]*string {
	return [...]*string{
		in.FirstName, in.LastName, in.Email, in.Company,
		in.Website, in.Address, in.City, in.State,
		in.ZipCode, in.Country, in.Status, in.Stage,
		in.ExternalID,
	}
}

// texts returns the text fields of a stored contact.
func (c *Contact) texts() [len(textFields)]*string {
	return [...]*string{
		&c.FirstName, &c.LastName, &c.Email, &c.Company,
		&c.Website, &c.Address, &c.City, &c.State,
		&c.ZipCode, &c.Country, &c.Status, &c.Stage,
		&c.ExternalID,
	}
}

// otherFields are the documented parameters after the text fields, in their
// order.
var otherFields = [...]string{"team_id", "tags", "phone_numbers", "custom_context", "industry_context"}

// A fieldSet is a set of the documented parameters: a bit for each, in their
// order.
type fieldSet uint32

// The bits of the text fields that have a default.
const (
	countryField fieldSet = 1 << (9 + iota)
	statusField
	stageField
)

// The bits of otherFields.
const (
	teamIDField fieldSet = 1 << (len(textFields) + iota)
	tagsField
	phoneNumbersField
	customContextField
	industryContextField
)

// fieldNumber returns the place of a parameter in the documented order, and one
// after the last for a name that is none of them.
func fieldNumber(name string) int {
	for i := range textFields {
		if textFields[i].name == name {
			return i
		}
	}
	if i := slices.Index(otherFields[:], name); i >= 0 {
		return len(textFields) + i
	}
	return len(textFields) + len(otherFields)
}

// rank returns the place of a field's parameter in the documented order, and the
// field's index in it.
func rank(field string) (parameter, index int) {
	name := field
	if i := strings.IndexAny(field, ".["); i >= 0 {
		name = field[:i]
		if end := strings.IndexByte(field, ']'); field[i] == '[' && end > i {
			index, _ = strconv.Atoi(field[i+1 : end])
		}
	}
	return fieldNumber(name), index
}
