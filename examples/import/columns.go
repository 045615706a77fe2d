package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/contacts"
)

// A column is one column of the file, with the field that its values go to.
type column struct {
	name string
	set  setter
}

// A setter stores a non-empty value in a contact, or returns what is wrong with it.
// It checks only what the type of the field cannot hold. The service checks the
// rest.
type setter func(c *contacts.CreateContactInput, value string) (problem string)

// setters returns the known columns, without those of the second and later phone
// numbers.
func setters() []column {
	return []column{
		{"first_name", func(c *contacts.CreateContactInput, v string) string { c.FirstName = v; return "" }},
		{"last_name", func(c *contacts.CreateContactInput, v string) string { c.LastName = v; return "" }},
		{"email", func(c *contacts.CreateContactInput, v string) string { c.Email = v; return "" }},
		{"company", func(c *contacts.CreateContactInput, v string) string { c.Company = v; return "" }},
		{"website", func(c *contacts.CreateContactInput, v string) string { c.Website = v; return "" }},
		{"address", func(c *contacts.CreateContactInput, v string) string { c.Address = v; return "" }},
		{"city", func(c *contacts.CreateContactInput, v string) string { c.City = v; return "" }},
		{"state", func(c *contacts.CreateContactInput, v string) string { c.State = v; return "" }},
		{"zip_code", func(c *contacts.CreateContactInput, v string) string { c.ZipCode = v; return "" }},
		{"country", func(c *contacts.CreateContactInput, v string) string { c.Country = v; return "" }},
		{"status", func(c *contacts.CreateContactInput, v string) string { c.Status = v; return "" }},
		{"stage", func(c *contacts.CreateContactInput, v string) string { c.Stage = v; return "" }},
		{"team_id", func(c *contacts.CreateContactInput, v string) string { return setTeam(&c.TeamID, v) }},
		{"tags", func(c *contacts.CreateContactInput, v string) string { c.Tags = splitTags(v); return "" }},
		{"custom_context", func(c *contacts.CreateContactInput, v string) string { return setObject(&c.CustomContext, v) }},
		{"industry_context", func(c *contacts.CreateContactInput, v string) string { return setObject(&c.IndustryContext, v) }},
		{"phone_number", phoneSetter("phone_number", 0)},
		{"phone_type", phoneSetter("phone_type", 0)},
		{"primary", phoneSetter("primary", 0)},
		{"do_not_call", phoneSetter("do_not_call", 0)},
	}
}

// columnsOf returns the columns with these names, from the first line of a file.
func columnsOf(names []string) ([]column, error) {
	known := setters()
	columns := make([]column, len(names))
	has := make(map[string]bool)
	for i, name := range names {
		name = strings.Clone(strings.TrimSpace(name))
		if has[name] {
			return nil, fmt.Errorf("the column %q appears twice", name)
		}
		has[name] = true
		set := setterOf(known, name)
		if set == nil {
			return nil, unknownColumn(known, i, name)
		}
		columns[i] = column{name, set}
	}
	if !has["first_name"] {
		return nil, errors.New("there is no column first_name; every contact needs one")
	}
	for _, c := range columns { // without their number, these values would be lost silently
		if field, n := phoneField(c.name); field != "" && !has[phoneColumn("phone_number", n)] {
			return nil, fmt.Errorf("the column %s needs a column %s", c.name, phoneColumn("phone_number", n))
		}
	}
	return columns, nil
}

// setterOf returns nil for an unknown column.
func setterOf(known []column, name string) setter {
	if i := slices.IndexFunc(known, func(c column) bool { return c.name == name }); i >= 0 {
		return known[i].set
	}
	if field, n := phoneField(name); field != "" {
		return phoneSetter(field, n)
	}
	return nil
}

func unknownColumn(known []column, i int, name string) error {
	names := make([]string, len(known))
	for i, c := range known {
		names[i] = c.name
	}
	hint := ""
	for _, other := range []string{";", `\t`, "|"} {
		if separator, _ := separatorOf(other); i == 0 && strings.ContainsRune(name, separator) {
			hint = fmt.Sprintf("; if that separates the fields, add -comma '%s'", other)
		}
	}
	return fmt.Errorf("column %d, %q, is unknown%s; the known columns are %s, and for more phone numbers phone_number_2, phone_type_2, primary_2, do_not_call_2 and so on",
		i+1, name, hint, strings.Join(names, ", "))
}

// maxPhones is the default limit of phone numbers in a contact.
const maxPhones = 50

// phoneField returns the phone number field of a column, and the index of the
// phone number. "": the column is not about a phone number.
func phoneField(column string) (field string, n int) {
	fields := []string{"phone_number", "phone_type", "primary", "do_not_call"}
	if slices.Contains(fields, column) {
		return column, 0
	}
	last := strings.LastIndexByte(column, '_')
	if last < 0 || !slices.Contains(fields, column[:last]) {
		return "", 0
	}
	place, err := strconv.Atoi(column[last+1:])
	if err != nil || place < 2 || place > maxPhones || column != phoneColumn(column[:last], place-1) {
		return "", 0
	}
	return column[:last], place - 1
}

// phoneColumn is the inverse of phoneField.
func phoneColumn(field string, n int) string {
	if n == 0 {
		return field
	}
	return field + "_" + strconv.Itoa(n+1)
}

func phoneSetter(field string, n int) setter {
	return func(c *contacts.CreateContactInput, v string) string {
		for len(c.PhoneNumbers) <= n {
			c.PhoneNumbers = append(c.PhoneNumbers, contacts.PhoneNumberInput{})
		}
		p := &c.PhoneNumbers[n]
		switch field {
		case "phone_number":
			p.PhoneNumber = v
		case "phone_type":
			p.PhoneType = v
		case "primary":
			return setBool(&p.Primary, v)
		case "do_not_call":
			return setBool(&p.DoNotCall, v)
		}
		return ""
	}
}

func setBool(b *bool, v string) (problem string) {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "true", "yes", "1":
		*b = true
	case "false", "no", "0", "":
		*b = false
	default:
		return "must be true or false, yes or no, 1 or 0"
	}
	return ""
}

func setTeam(id *int64, v string) (problem string) {
	var err error
	if *id, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64); err != nil {
		return "must be an integer"
	}
	return ""
}

// splitTags returns two tags for "a; b;": nobody means a third, empty one.
func splitTags(v string) []string {
	return slices.DeleteFunc(strings.Split(v, ";"), func(tag string) bool { return strings.TrimSpace(tag) == "" })
}

// setObject keeps every digit of a number; a float64 would lose some.
func setObject(object *map[string]any, v string) (problem string) {
	d := json.NewDecoder(strings.NewReader(v))
	d.UseNumber()
	err := d.Decode(object)
	if err == nil {
		_, err = d.Token() // io.EOF, if nothing follows the object
	}
	if !errors.Is(err, io.EOF) || !utf8.ValidString(v) {
		return "must be one JSON object, in UTF-8"
	}
	return ""
}
