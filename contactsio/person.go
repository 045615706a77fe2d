package contactsio

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"example.com/contacts"
)

// A person is what a row or a card says of somebody, until it is a contact. It is
// used again for the next one.
type person struct {
	region  string
	ours    bool // the file is one of our own: its labels are taken as they are
	google  bool // the file is one of Google: an address may be several
	noLast  bool // the file has no column for the last name
	ignored *nameSet

	in           contacts.CreateContactInput // what needs no more thought
	middle, full string
	otherCompany string // if there is no other
	emails       []email
	phones       []phone
	more         []contacts.PhoneNumberInput // of more_phone_numbers
	addresses    []address
	websites     []string
	customs      []customField
	doNotCall    bool // every number
	emailOptOut  bool
	extensions   map[string]any
	guessed      bool // the first name is made of what is no name of a person

	phoneColumns []phoneColumn // of the file, in step with phones; nil: a card

	problems []contacts.FieldError
	notes    []Note
}

type email struct {
	text, label string
}

// A phone is one cell with a phone number, or more of them.
type phone struct {
	text, label        string
	primary, doNotCall bool
}

// A phoneColumn says what a column is called that has phone numbers, and of which
// type they are.
type phoneColumn struct {
	name, kind string
	primary    bool
}

type customField struct{ label, value string }

// otherPlace is that of an address of which nothing is known.
const otherPlace = "other"

// An address is one postal address.
type address struct {
	place                         string // of the columns; "": the file has this one
	label                         string // of the row
	street                        [3]string
	city, state, zipCode, country string
}

// set sets one part.
func (a *address) set(part, text string) {
	switch part {
	case "street":
		a.street[0] = text
	case "2", "street2":
		a.street[1] = text
	case "3", "street3":
		a.street[2] = text
	case "city":
		a.city = text
	case "state":
		a.state = text
	case "zip", "zip_code":
		a.zipCode = text
	case "country":
		a.country = text
	case "label":
		a.label = text
	}
}

// cutToFirst leaves the first address where the cells of Google have several, and returns
// how many there were.
func (a *address) cutToFirst() int {
	n := 1
	for _, part := range [...]*string{&a.street[0], &a.city, &a.state, &a.zipCode, &a.country} {
		first, _, _ := strings.Cut(*part, googleSeparator)
		n = max(n, 1+strings.Count(*part, googleSeparator))
		*part = strings.TrimSpace(first)
	}
	return n
}

func (a *address) isBlank() bool {
	return a.street == [3]string{} && a.city == "" && a.state == "" && a.zipCode == "" && a.country == ""
}

// rank is lower for the address that is taken first.
func (a *address) rank() int {
	place := a.place
	if a.label != "" {
		place = strings.ToLower(strings.TrimPrefix(a.label, "* "))
	}
	switch place {
	case "":
		return 0
	case "business", "work", "mailing":
		return 1
	case "home":
		return 2
	default:
		return 3
	}
}

// reset makes the person a new one. A file keeps its numbers of phones and so on.
func (p *person) reset() {
	p.in = contacts.CreateContactInput{}
	p.middle, p.full, p.otherCompany = "", "", ""
	p.doNotCall, p.emailOptOut, p.extensions, p.guessed = false, false, nil, false
	p.more, p.problems, p.notes = nil, nil, nil
	clear(p.emails)
	clear(p.phones)
	clear(p.websites)
	clear(p.customs)
	for i := range p.addresses {
		p.addresses[i] = address{place: p.addresses[i].place}
	}
}

func (p *person) note(field, code, message string) {
	p.notes = append(p.notes, Note{field, code, message})
}

func (p *person) refuse(field, code, message string) {
	p.problems = append(p.problems, contacts.FieldError{Field: field, Code: code, Message: message})
}

// finish makes the row the contact of the person.
func (p *person) finish(row *Row) {
	if p.in.Company == "" {
		p.in.Company = p.otherCompany
	}
	p.finishEmails()
	p.finishAddresses()
	p.finishWebsites()
	p.finishPhones()
	p.finishTags()
	if p.emailOptOut {
		p.custom("email_opt_out", true)
		p.note("custom_context.email_opt_out", NoteEmailOptOut, "an e-mail opt-out is kept in custom_context.email_opt_out; it does not keep from calls")
	}
	p.finishCustoms() // last, so that they take no name that another value has
	p.finishName()
	row.Contact, row.Problems, row.Notes = p.in, p.problems, append(row.Notes, p.notes...)
}

// finishName finds a first name.
func (p *person) finishName() {
	in := &p.in
	if p.middle != "" {
		in.FirstName = strings.TrimSpace(in.FirstName + " " + p.middle)
	}
	if !isBlank(in.FirstName) {
		if last, ok := strings.CutPrefix(strings.TrimSpace(p.full), in.FirstName+" "); ok && p.noLast {
			in.LastName = strings.TrimSpace(last)
			p.note("last_name", NoteDerivedName, "the last name comes from the full name")
		}
		return
	}
	const fullName = "the full name"
	var from string
	switch name := strings.TrimSpace(p.full); {
	case name != "" && name == strings.TrimSpace(in.LastName): // one name, given twice
		from, in.FirstName, in.LastName = fullName, name, ""
	case name != "" && name != strings.TrimSpace(in.Company):
		from = fullName
		first, last := splitName(name)
		if isBlank(in.LastName) {
			in.LastName = last
		} else if rest, ok := strings.CutSuffix(name, " "+strings.TrimSpace(in.LastName)); ok {
			first = strings.TrimSpace(rest)
		}
		in.FirstName = first
	case !isBlank(in.Company):
		from, in.FirstName = "the company", in.Company
	case !isBlank(in.Email):
		from = "the e-mail address"
		in.FirstName, _, _ = strings.Cut(in.Email, "@")
	case len(in.PhoneNumbers) > 0:
		from, in.FirstName = "the phone number", in.PhoneNumbers[0].PhoneNumber
	default:
		return
	}
	p.guessed = from != fullName
	p.note("first_name", NoteDerivedName, "the first name comes from "+from)
}

// splitName splits a full name at its comma, or else at its last space. The comma of
// "Martin King, Jr." splits no name, nor does the last space of "Martin King Jr.".
func splitName(name string) (first, last string) {
	before, after, comma := strings.Cut(name, ",")
	suffix := comma && isSuffix(after)
	if comma && !suffix && !isBlank(before) && !isBlank(after) {
		return strings.TrimSpace(after), strings.TrimSpace(before)
	}
	words := name
	if suffix {
		words = strings.TrimSpace(before)
	}
	at := strings.LastIndexByte(words, ' ')
	for at > 0 && isSuffix(words[at+1:]) && !isLastName(words[at+1:]) {
		words = strings.TrimRight(words[:at], " ")
		before := strings.LastIndexByte(words, ' ')
		if before < 0 {
			break
		}
		at = before
	}
	if at > 0 {
		return strings.TrimSpace(name[:at]), name[at+1:]
	}
	return name, ""
}

// isLastName reports whether a suffix, as it is written, is the name of a family too.
func isLastName(suffix string) bool { return suffix == "Mba" || suffix == "Ii" }

// isSuffix reports whether text is one that stands after the name of a person or of a
// company, and is no name.
func isSuffix(text string) bool {
	switch strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), ".")) {
	case "jr", "sr", "ii", "iii", "iv", "esq", "phd", "ph.d", "cpa", "dds", "mba", "inc", "llc", "ltd", "corp", "gmbh":
		return true
	}
	return false
}

// maxEmails bounds what one row costs.
const maxEmails = 50

// finishEmails takes the marked address, or else the first one.
func (p *person) finishEmails() {
	var all []string
	taken, marked := 0, false
	for _, e := range p.emails {
		for text := range strings.SplitSeq(e.text, googleSeparator) {
			text = strings.TrimSpace(text)
			if text == "" || slices.ContainsFunc(all, func(other string) bool { return strings.EqualFold(other, text) }) {
				continue
			}
			if len(all) == maxEmails {
				p.refuse("email", contacts.FieldTooMany, fmt.Sprintf("must be at most %d", maxEmails))
				return
			}
			if strings.HasPrefix(e.label, "* ") && !marked {
				taken, marked = len(all), true
			}
			all = append(all, text)
		}
	}
	for i, text := range all {
		if i == taken {
			p.in.Email = text
			continue
		}
		p.addCustom("other_emails", text)
		p.note("email", NoteOtherEmail, "one more e-mail address is kept in custom_context.other_emails")
	}
}

// finishAddresses takes one address as a whole.
func (p *person) finishAddresses() {
	var best *address
	filled := 0
	for i := range p.addresses {
		a := &p.addresses[i]
		if a.isBlank() {
			continue
		}
		if filled++; p.google {
			filled += a.cutToFirst() - 1
		}
		if best == nil || a.rank() < best.rank() {
			best = a
		}
	}
	if best == nil {
		return
	}
	lines := slices.DeleteFunc(best.street[:], isBlank)
	in := &p.in
	in.Address, in.City, in.State, in.ZipCode, in.Country = strings.Join(lines, "\n"), best.city, best.state, best.zipCode, best.country
	if filled > 1 {
		p.note("address", NoteOtherAddress, fmt.Sprintf("postal addresses that are left out: %d", filled-1))
	}
}

// maxWebsites and maxTags bound what one row costs. A Service takes fewer tags.
const maxWebsites, maxTags = 50, 1000

func (p *person) finishWebsites() {
	more := 0
	for _, cell := range p.websites {
		for site := range strings.SplitSeq(cell, googleSeparator) {
			switch site = strings.TrimSpace(site); {
			case site == "" || site == p.in.Website:
			case p.in.Website == "":
				p.in.Website = site
			case more == maxWebsites-1:
				p.refuse("website", contacts.FieldTooMany, fmt.Sprintf("must be at most %d", maxWebsites))
				return
			default:
				more++
				p.addCustom("other_websites", site)
				p.note("website", NoteOtherWebsite, "one more web site is kept in custom_context.other_websites")
			}
		}
	}
}

func (p *person) finishCustoms() {
	var last map[string]int // number that was tried, by label
	for _, c := range p.customs {
		if c.value == "" {
			continue
		}
		label := c.label
		if isBlank(label) {
			label = "custom_field"
		}
		name := label
		for p.in.CustomContext[name] != nil {
			if last == nil {
				last = make(map[string]int)
			}
			last[label] = max(last[label], 1) + 1
			name = label + " " + strconv.Itoa(last[label])
		}
		p.custom(name, c.value)
	}
}

// finishTags leaves out blank tags: nobody means one in "a; b;".
func (p *person) finishTags() {
	p.in.Tags = slices.DeleteFunc(p.in.Tags, isBlank)
	switch n := len(p.in.Tags); {
	case n > maxTags:
		p.refuse("tags", contacts.FieldTooMany, fmt.Sprintf("must be at most %d", maxTags))
		p.in.Tags = nil
	case n == 0:
		p.in.Tags = nil
	}
}

// custom sets a member of the custom context.
func (p *person) custom(name string, value any) {
	if p.in.CustomContext == nil {
		p.in.CustomContext = make(map[string]any)
	}
	p.in.CustomContext[name] = value
}

// industry sets a member of the industry context.
func (p *person) industry(name string, value any) {
	if p.in.IndustryContext == nil {
		p.in.IndustryContext = make(map[string]any)
	}
	p.in.IndustryContext[name] = value
}

// addCustom adds a value to a list in the custom context. Of one value there it makes
// a list.
func (p *person) addCustom(name, value string) {
	list, ok := p.in.CustomContext[name].([]any)
	if one := p.in.CustomContext[name]; !ok && one != nil {
		list = []any{one}
	}
	p.custom(name, append(list, value))
}

// truth reads a cell that says yes or no.
func (p *person) truth(column, cell string) bool {
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "yes", "true", "1", "x", "y", "t":
		return true
	case "no", "false", "0", "", "n", "f":
		return false
	default:
		p.refuse(column, contacts.FieldInvalid, "must be yes or no, true or false, 1 or 0")
		return false
	}
}

// A no in one column takes no yes of another back.

func (p *person) setDoNotCall(cell string) {
	p.doNotCall = p.truth("do_not_call", cell) || p.doNotCall
}

func (p *person) setEmailOptOut(cell string) {
	p.emailOptOut = p.truth("email_opt_out", cell) || p.emailOptOut
}

// setExternalID takes an id, unless a spreadsheet has rounded it: many ids are one then,
// and their contacts would be.
func (p *person) setExternalID(cell string) {
	if p.in.ExternalID = cell; roundedNumber.MatchString(cell) {
		p.refuse("external_id", ProblemDigitsLost, "is a number with an exponent, which has lost digits; store ids as text")
	}
}

func (p *person) setTeam(cell string) {
	id, err := strconv.ParseInt(strings.TrimSpace(cell), 10, 64)
	if err != nil {
		p.refuse("team_id", contacts.FieldWrongType, "must be an integer")
	}
	p.in.TeamID = id
}

// setContext reads a context. Members of other columns are kept.
func (p *person) setContext(field string, context *map[string]any, cell string) {
	var given map[string]any
	if err := decodeJSON([]byte(cell), &given); err != nil || given == nil {
		p.refuse(field, contacts.FieldWrongType, "must be one JSON object, in which no name occurs twice")
		return
	}
	for name, value := range *context {
		given[name] = value
	}
	*context = given
}

// setMorePhones reads the phone numbers that have no columns.
func (p *person) setMorePhones(cell string) {
	var more []linePhone
	err := decodeJSON([]byte(cell), &more)
	switch {
	case errors.Is(err, jsonv2.ErrUnknownName):
		p.refuse("more_phone_numbers"+jsonProblem(err)[0].Field, contacts.FieldUnknown, "is not a field of a phone number")
	case err != nil:
		p.refuse("more_phone_numbers", contacts.FieldWrongType, "must be a JSON array of phone numbers")
	}
	p.more = phoneInputs(more)
}
