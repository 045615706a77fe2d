package contacts

import (
	"slices"
	"strconv"
	"strings"
)

// A textField is one of the text fields of a contact: how it is reached, and its
// rule. The table of them drives decoding, validation, PATCH and the order of
// errors.
type textField struct {
	name    string
	input   func(*CreateContactInput) *string
	update  func(*UpdateContactInput) *string // nil where it is not given
	contact func(*Contact) *string
	rule    func(r *rules, s string, bad *problems) string // normalises s
}

// textFields are in the order of the documented parameters.
var textFields = [...]textField{
	{
		"first_name",
		func(in *CreateContactInput) *string { return &in.FirstName },
		func(in *UpdateContactInput) *string { return in.FirstName },
		func(c *Contact) *string { return &c.FirstName },
		(*rules).firstName,
	},
	{
		"last_name",
		func(in *CreateContactInput) *string { return &in.LastName },
		func(in *UpdateContactInput) *string { return in.LastName },
		func(c *Contact) *string { return &c.LastName },
		func(r *rules, s string, bad *problems) string { return text(s, "last_name", r.limits.Name, bad) },
	},
	{
		"email",
		func(in *CreateContactInput) *string { return &in.Email },
		func(in *UpdateContactInput) *string { return in.Email },
		func(c *Contact) *string { return &c.Email },
		(*rules).email,
	},
	{
		"company",
		func(in *CreateContactInput) *string { return &in.Company },
		func(in *UpdateContactInput) *string { return in.Company },
		func(c *Contact) *string { return &c.Company },
		func(r *rules, s string, bad *problems) string { return text(s, "company", r.limits.Company, bad) },
	},
	{
		"website",
		func(in *CreateContactInput) *string { return &in.Website },
		func(in *UpdateContactInput) *string { return in.Website },
		func(c *Contact) *string { return &c.Website },
		(*rules).website,
	},
	{
		"address",
		func(in *CreateContactInput) *string { return &in.Address },
		func(in *UpdateContactInput) *string { return in.Address },
		func(c *Contact) *string { return &c.Address },
		func(r *rules, s string, bad *problems) string {
			return multilineText(s, "address", r.limits.Address, bad)
		},
	},
	{
		"city",
		func(in *CreateContactInput) *string { return &in.City },
		func(in *UpdateContactInput) *string { return in.City },
		func(c *Contact) *string { return &c.City },
		func(r *rules, s string, bad *problems) string { return text(s, "city", r.limits.City, bad) },
	},
	{
		"state",
		func(in *CreateContactInput) *string { return &in.State },
		func(in *UpdateContactInput) *string { return in.State },
		func(c *Contact) *string { return &c.State },
		func(r *rules, s string, bad *problems) string { return text(s, "state", r.limits.State, bad) },
	},
	{
		"zip_code",
		func(in *CreateContactInput) *string { return &in.ZipCode },
		func(in *UpdateContactInput) *string { return in.ZipCode },
		func(c *Contact) *string { return &c.ZipCode },
		func(r *rules, s string, bad *problems) string { return text(s, "zip_code", r.limits.ZipCode, bad) },
	},
	{
		"country",
		func(in *CreateContactInput) *string { return &in.Country },
		func(in *UpdateContactInput) *string { return in.Country },
		func(c *Contact) *string { return &c.Country },
		(*rules).country,
	},
	{
		"status",
		func(in *CreateContactInput) *string { return &in.Status },
		func(in *UpdateContactInput) *string { return in.Status },
		func(c *Contact) *string { return &c.Status },
		(*rules).status,
	},
	{
		"stage",
		func(in *CreateContactInput) *string { return &in.Stage },
		func(in *UpdateContactInput) *string { return in.Stage },
		func(c *Contact) *string { return &c.Stage },
		(*rules).stage,
	},
}

// otherFields are the documented parameters after the text fields, in their
// order.
var otherFields = [...]string{"team_id", "tags", "phone_numbers", "custom_context", "industry_context"}

// A fieldSet is a set of the documented parameters: a bit for each, in their
// order.
type fieldSet uint32

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
