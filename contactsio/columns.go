package contactsio

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A source is a program that writes CSV files of contacts, by the names of its
// columns. "" is any other.
type source string

const (
	sourceOurs       source = "contacts"
	sourceGoogle     source = "google"
	sourceOldGoogle  source = "google (before 2024)"
	sourceOutlook    source = "outlook"
	sourceHubSpot    source = "hubspot"
	sourceSalesforce source = "salesforce"
	sourceMailchimp  source = "mailchimp"
)

// A column is one column of the file, with what becomes of its cells.
type column struct {
	name  string
	field string // "": ignored
	set   func(p *person, cell string)
}

// A role is what a column is for. Roles are what the tables below name:
//
//	first_name, tags, …     a field of ReadOptions.Map
//	phone mobile            a phone number of a type
//	address work street     a part of an address of a place
//	phone # value           the number is that of the column's name
type role string

// isPhone reports whether a column has phone numbers, and does not say which of them.
func (r role) isPhone() bool {
	return r == "phone" || strings.HasPrefix(string(r), "phone ") && !strings.HasPrefix(string(r), "phone #")
}

// plain brings the name of a column into the form in which names are compared.
func plain(name string) string {
	return strings.Map(func(c rune) rune {
		switch c {
		case ' ', '_', '-', '.', '\u00a0', '\t', '\ufeff':
			return -1
		}
		return c
	}, strings.ToLower(name))
}

// textFieldNames are the documented text fields, in their order.
var textFieldNames = [...]string{
	"first_name", "last_name", "email", "company", "website", "address", "city", "state", "zip_code", "country", "status", "stage",
}

// isOurField reports whether it is a name of a column of our own files.
func isOurField(name string) bool {
	field, _ := numbered(name)
	switch field {
	case "external_id", "team_id", "tags", "phone_number", "phone_type", "primary", "do_not_call",
		"more_phone_numbers", "custom_context", "industry_context":
		return true
	}
	return slices.Contains(textFieldNames[:], name) || isContextMember(name)
}

// isContextMember reports whether it is custom_context.NAME or industry_context.NAME.
func isContextMember(name string) bool {
	context, member, _ := strings.Cut(name, ".")
	return (context == "custom_context" || context == "industry_context") && member != ""
}

// maxNumbers is the highest number of a column of our own files.
const maxNumbers = 50

// numbered splits phone_number_2 into the field and 1, its place from 0.
func numbered(name string) (field string, n int) {
	last := strings.LastIndexByte(name, '_')
	if last < 0 {
		return name, 0
	}
	number, err := strconv.Atoi(name[last+1:])
	if err != nil || number < 2 || number > maxNumbers || strconv.Itoa(number) != name[last+1:] {
		return name, 0
	}
	switch name[:last] {
	case "phone_number", "phone_type", "primary", "do_not_call":
		return name[:last], number - 1
	}
	return name, 0
}

// withNumber is the inverse of numbered.
func withNumber(field string, n int) string {
	if n == 0 {
		return field
	}
	return field + "_" + strconv.Itoa(n+1)
}

// sourceOf tells whose columns these are.
func sourceOf(header []string) source {
	names := make(map[string]bool)
	letter := make(map[string]bool)
	ours := 0
	for _, name := range header {
		name = strings.TrimSpace(name)
		letter[name] = true
		names[plain(name)] = true
		if isOurField(name) {
			ours++
		}
	}
	has := func(name string) bool { return names[plain(name)] }
	switch {
	case letter["first_name"] && ours > 1:
		return sourceOurs
	case has("Phone 1 - Label") || has("E-mail 1 - Label"):
		return sourceGoogle
	case has("Given Name") && has("Phone 1 - Type"):
		return sourceOldGoogle
	case has("E-mail Address") && has("Business Phone"):
		return sourceOutlook
	case has("Record ID") && has("First Name"):
		return sourceHubSpot
	case (has("Contact ID") || has("Id")) && has("Mailing Street"):
		return sourceSalesforce
	case has("LEID") && has("EUID"):
		return sourceMailchimp
	default:
		return ""
	}
}

// namesOf returns the names that a source has for itself: those that it does not
// have in common with all files, or that mean something else there.
func namesOf(s source) map[string]role {
	switch s {
	case sourceOldGoogle:
		return map[string]role{"groupmembership": "tags"}
	case sourceOutlook:
		return map[string]role{
			"title": "", "categories": "tags", "webpage": "website", "notes": "custom_context.note",
			"primaryphone": "phone primary", "carphone": "phone car", "companymainphone": "phone main", "otherphone": "phone other",
			"businessphone2": "phone work", "homephone2": "phone home",
		}
	case sourceHubSpot:
		return map[string]role{"recordid": "external_id", "lifecyclestage": "stage word", "unsubscribedfromallemail": "opt-out", "leadstatus": "status word", "associatedcompany": "other company"}
	case sourceSalesforce:
		return map[string]role{"contactid": "external_id", "id": "external_id", "accountname": "company", "phone": "phone work"}
	case sourceMailchimp:
		return map[string]role{"euid": "external_id", "unsubtime": "unsubscribed", "region": ""} // the region of an IP address
	default:
		return nil
	}
}

// commonNames are the names that every file may have.
var commonNames = sync.OnceValue(func() map[string]role {
	names := map[string]role{
		"name": "full_name", "displayname": "full_name", "contactname": "full_name",
		"givenname": "first_name", "forename": "first_name", "middlename": "middle name", "additionalname": "middle name",
		"familyname": "last_name", "surname": "last_name",
		"emailaddress": "email", "mail": "email", "email2address": "email", "email3address": "email",
		"phone": "phone", "telephone": "phone", "tel": "phone", "telephonenumber": "phone", "contactnumber": "phone",
		"mobile": "phone mobile", "mobilephone": "phone mobile", "mobilenumber": "phone mobile", "mobilephonenumber": "phone mobile",
		"cell": "phone mobile", "cellphone": "phone mobile", "cellphonenumber": "phone mobile",
		"workphone": "phone work", "businessphone": "phone work", "officephone": "phone work", "homephone": "phone home",
		"companyname": "company", "organization": "company", "organisation": "company", "organizationname": "company", "organization1name": "company",
		"jobtitle": "custom_context.title", "organizationtitle": "custom_context.title", "organization1title": "custom_context.title",
		"title": "custom_context.title", "position": "custom_context.title",
		"url": "website", "web": "website", "websiteurl": "website", "webpage": "website", "homepage": "website",
		"street": "address", "streetaddress": "address", "address1": "address", "addressline1": "address", "addressline2": "address 2", "address2": "address 2",
		"town": "city", "locality": "city", "province": "state", "region": "state", "state/region": "state", "state/province": "state", "county": "county",
		"zip": "zip_code", "postcode": "zip_code", "postalcode": "zip_code", "zip/postalcode": "zip_code", "country/region": "country",
		"labels": "tags", "note": "custom_context.note", "notes": "custom_context.note",
		"dnc": "do_not_call", "optedoutofcalls": "do_not_call", "hasoptedoutofemail": "opt-out", "emailoptout": "opt-out",
	}
	for _, field := range textFieldNames {
		names[plain(field)] = role(field)
	}
	for _, field := range [...]string{
		"external_id", "team_id", "tags", "full_name", "more_phone_numbers", "custom_context", "industry_context",
		"phone_number", "phone_type", "primary", "do_not_call",
	} {
		names[plain(field)] = role(field)
	}
	for _, place := range [...]string{"business", "home", "other", "mailing", "work"} {
		for part, called := range map[string][]string{
			"street": {"street"}, "street2": {"street2"}, "street3": {"street3"}, "city": {"city"},
			"state": {"state", "state/province"}, "zip": {"postalcode", "zip", "zip/postalcode"}, "country": {"country", "country/region"},
		} {
			for _, name := range called {
				names[place+name] = role("address " + place + " " + part)
			}
		}
	}
	return names
})

// numberedNames are the names with a number in them, with # in its place.
var numberedNames = sync.OnceValue(func() map[string]role {
	return map[string]role{
		"phone#value": "phone #", "phone#label": "phone # type", "phone#type": "phone # type", "phone#": "phone #",
		"phonenumber#": "phone #", "phonetype#": "phone # type", "primary#": "phone # primary", "donotcall#": "phone # do not call",
		"email#value": "email #", "email#label": "email # label", "email#type": "email # label", "email#": "email #",
		"address#label": "address # label", "address#type": "address # label", "address#street": "address # street", "address#city": "address # city",
		"address#region": "address # state", "address#postalcode": "address # zip", "address#country": "address # country",
		"website#value": "website #", "website#": "website #", "customfield#label": "custom # label", "customfield#type": "custom # label", "customfield#value": "custom # value",
	}
})

// roleOf returns what a column of that name is for, with the number in its name.
func roleOf(s source, name string) (r role, n string, known bool) {
	if isContextMember(name) {
		return role(name), "", true
	}
	name = plain(name)
	if r, known = namesOf(s)[name]; known {
		return r, "", r != ""
	}
	if r, known = commonNames()[name]; known {
		return r, "", true
	}
	for _, other := range [...]source{sourceOldGoogle, sourceOutlook, sourceHubSpot, sourceSalesforce, sourceMailchimp} {
		// An id is that of its own source alone.
		if r, known = namesOf(other)[name]; known && r != "" && r != "external_id" {
			return r, "", true
		}
	}
	const digits = "0123456789"
	start := strings.IndexAny(name, digits)
	if start < 0 {
		return "", "", false
	}
	rest := strings.TrimLeft(name[start:], digits)
	n = name[start : len(name)-len(rest)]
	r, known = numberedNames()[name[:start]+"#"+rest]
	return r, n, known
}

// knows reports whether a column of that name is known, by the tables or by the
// option Map.
func (r *Reader) knows(name string) bool {
	name = strings.TrimSpace(name)
	if len(r.mapNames(name)) > 0 {
		return true
	}
	for _, s := range [...]source{"", sourceHubSpot, sourceSalesforce, sourceMailchimp} {
		if _, _, known := roleOf(s, name); known {
			return true
		}
	}
	return false
}

// mapNames returns the names in the option Map that mean a column: its exact name, or
// else all that are the same in plain form, in their order.
func (r *Reader) mapNames(column string) []string {
	if _, exact := r.opts.Map[column]; exact {
		return []string{column}
	}
	var names []string
	for name := range r.opts.Map {
		if plain(name) == plain(column) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// mapColumns decides what each column becomes.
func (c *csvRows) mapColumns() error {
	c.source = sourceOf(c.header)
	c.person.ours, c.person.google = c.source == sourceOurs, c.source == sourceGoogle || c.source == sourceOldGoogle
	c.columns = make([]column, len(c.header))
	c.filled = make([]int, len(c.header))
	uses := make([]use, len(c.header))
	seen := make(map[string]int)
	for i, name := range c.header {
		name = strings.TrimSpace(name)
		col := &c.columns[i]
		col.name, col.set = name, func(*person, string) {}
		if code, _ := c.text.misread([]byte(name)); code != "" {
			return fmt.Errorf("contactsio: the name of column %d cannot be read in %s; name the encoding of the file in ReadOptions.Encoding", i+1, c.text.encoding)
		}
		names, field := c.reader.mapNames(name), ""
		mapped := len(names) > 0
		switch {
		case len(names) > 1:
			return wrongOption("ReadOptions.Map names the column %q twice, as %q and as %q", name, names[0], names[1])
		case mapped:
			field = c.reader.opts.Map[names[0]]
		}
		if name == "" && field == "" {
			// Spreadsheets write such columns, and most hold nothing.
			col.name = fmt.Sprintf("(column %d)", i+1)
			col.set = func(p *person, _ string) { p.ignored.add(col.name) }
			continue
		}
		if seen[name]++; seen[name] > 1 {
			col.name = fmt.Sprintf("%s (%d)", name, seen[name])
			c.reader.ignored.add(col.name)
			continue
		}
		r, n, known := roleOf(c.source, name)
		if mapped {
			var err error
			if r, n, err = roleOfField(field); err != nil {
				return wrongOption("ReadOptions.Map gives the column %q to %v", name, err)
			}
			known = r != ""
		}
		if !known {
			c.reader.ignored.add(name)
			continue
		}
		uses[i] = use{r, n}
	}
	hasState := slices.ContainsFunc(uses, func(u use) bool { return u.role == "state" })
	for i := range uses {
		switch {
		case uses[i].role != "county":
		case hasState: // of which the county is a part
			uses[i].role = ""
			c.reader.ignored.add(c.columns[i].name)
		default:
			uses[i].role, hasState = "state", true
		}
	}
	c.person.noLast = !slices.ContainsFunc(uses, func(u use) bool { return u.role == "last_name" })
	b := newColumnBuilder(&c.person, c.source, uses)
	for i, u := range uses {
		if u.role == "" {
			continue
		}
		if err := b.build(&c.columns[i], u.role, u.n); err != nil {
			return fmt.Errorf("contactsio: the column %q %w", c.columns[i].name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.reader.opts.Map)) {
		if !slices.ContainsFunc(c.header, func(h string) bool { return plain(strings.TrimSpace(h)) == plain(name) }) {
			return fmt.Errorf("contactsio: ReadOptions.Map names the column %q, which the file does not have", name)
		}
	}
	return nil
}

// roleOfField returns the role of a field of ReadOptions.Map.
func roleOfField(field string) (r role, n string, err error) {
	if field == "" {
		return "", "", nil
	}
	if strings.HasPrefix(field, "variable.") {
		return "", "", fmt.Errorf("%q; names that start with variable. are reserved", field)
	}
	if field == "full_name" {
		return role(field), "", nil
	}
	if isOurField(field) {
		base, place := numbered(field)
		switch {
		case place == 0:
			return role(field), "", nil
		case base == "phone_number":
			return "phone #", strconv.Itoa(place + 1), nil
		case base == "phone_type":
			return "phone # type", strconv.Itoa(place + 1), nil
		case base == "primary":
			return "phone # primary", strconv.Itoa(place + 1), nil
		default:
			return "phone # do not call", strconv.Itoa(place + 1), nil
		}
	}
	return "", "", fmt.Errorf("%q; give a documented field of the create, external_id, full_name, phone_number_2 and so on, custom_context.NAME, or \"\" to ignore the column", field)
}

// A use is what a column is for, with the number in its name. Without a role the column
// is ignored.
type use struct {
	role role
	n    string
}

// A columnBuilder makes columns of a file.
type columnBuilder struct {
	person *person
	source source
	taken  map[string]string // the column that has a field, by field
	slots  map[string]int    // of phone numbers, addresses and so on, by kind and number
	filled map[string]bool   // the slots that have a column of values, by kind and place

	phoneIsFirst bool // the column "Phone" has the number of phone_type, primary and do_not_call
	ofPerson     bool // do_not_call is about the person, not about the first number
}

func newColumnBuilder(p *person, s source, uses []use) *columnBuilder {
	b := &columnBuilder{person: p, source: s, taken: make(map[string]string), slots: make(map[string]int), filled: make(map[string]bool)}
	first, phone, others := false, false, false // the columns of numbers
	for _, u := range uses {
		switch {
		case u.role == "phone_number", u.role == "phone #" && u.n == "1":
			first = true
		case u.role == "phone" && !phone:
			phone = true
		case u.role.isPhone():
			others = true
		}
	}
	b.phoneIsFirst = phone && !first
	// Other programs mean the person. So do our own names beside those of others.
	b.ofPerson = s != sourceOurs || others || phone && first
	return b
}

// value is slot for a column of values. Where the slot has one, it gets a new slot: two
// columns are two values.
func (b *columnBuilder) value(kind, n string) int {
	key := func(place int) string { return kind + " " + strconv.Itoa(place) }
	place := b.slot(kind, n)
	for b.filled[key(place)] {
		place = b.slot(kind, "")
	}
	b.filled[key(place)] = true
	return place
}

// take marks a field that has one value as taken by a column.
func (b *columnBuilder) take(field, name, column string) error {
	if other, taken := b.taken[field]; taken {
		return fmt.Errorf("and the column %q are both the field %s; give one of them another field with ReadOptions.Map, or \"\" to ignore it", other, name)
	}
	b.taken[field] = column
	return nil
}

// sized returns a list with at least n elements.
func sized[T any](list []T, n int) []T {
	return append(list, make([]T, max(0, n-len(list)))...)
}

// slot returns the place of a numbered thing among those of its kind. n "": a new
// one.
func (b *columnBuilder) slot(kind, n string) int {
	key := kind + " " + n
	if place, ok := b.slots[key]; ok && n != "" {
		return place
	}
	place := b.slots[kind]
	b.slots[kind]++
	if n != "" {
		b.slots[key] = place
	}
	return place
}

// build gives a column its role.
func (b *columnBuilder) build(col *column, r role, n string) error {
	words := strings.Fields(string(r))
	kind, what := words[0], strings.Join(words[1:], " ")
	what = strings.TrimSpace(strings.TrimPrefix(what, "#"))
	switch kind {
	case "phone", "phone_number", "phone_type", "primary", "do_not_call":
		b.phone(col, kind, what, n)
		return nil
	case "email":
		b.email(col, what, n)
		return nil
	case "website":
		place := b.value("website", n)
		b.person.websites = sized(b.person.websites, place+1)
		col.field, col.set = "website", func(p *person, cell string) { p.websites[place] = cell }
		return nil
	case "address", "city", "state", "zip_code", "country":
		return b.address(col, kind, what, n)
	case "custom":
		place := b.slot("custom", n)
		b.person.customs = sized(b.person.customs, place+1)
		col.field = "custom_context"
		if what == "label" {
			col.set = setLabel(col, func(p *person) *string { return &p.customs[place].label })
		} else {
			col.set = func(p *person, cell string) { p.customs[place].value = cell }
		}
		return nil
	case "tags":
		split := splitTags(b.source)
		col.field, col.set = "tags", func(p *person, cell string) { p.in.Tags = append(p.in.Tags, split(cell)...) }
		return nil
	}
	return b.single(col, r)
}

// single gives a column a role that no other column of the file has.
func (b *columnBuilder) single(col *column, r role) error {
	if err := b.take(string(r), string(r), col.name); err != nil {
		return err
	}
	if member, ok := strings.CutPrefix(string(r), "custom_context."); ok {
		col.field, col.set = string(r), func(p *person, cell string) { p.custom(member, cell) }
		return nil
	}
	if member, ok := strings.CutPrefix(string(r), "industry_context."); ok {
		col.field, col.set = string(r), func(p *person, cell string) { p.industry(member, cell) }
		return nil
	}
	col.field = string(r)
	switch r {
	case "middle name":
		col.field, col.set = "first_name", func(p *person, cell string) { p.middle = cell }
	case "full_name":
		col.set = func(p *person, cell string) { p.full = cell }
	case "first_name":
		col.set = func(p *person, cell string) { p.in.FirstName = cell }
	case "last_name":
		col.set = func(p *person, cell string) { p.in.LastName = cell }
	case "company":
		col.set = func(p *person, cell string) { p.in.Company = cell }
	case "other company":
		col.field, col.set = "company", func(p *person, cell string) { p.otherCompany = cell }
	case "status":
		col.set = func(p *person, cell string) { p.in.Status = cell }
	case "status word":
		col.field, col.set = "status", func(p *person, cell string) { p.in.Status = word(cell) }
	case "stage":
		col.set = func(p *person, cell string) { p.in.Stage = cell }
	case "stage word":
		col.field, col.set = "stage", func(p *person, cell string) { p.in.Stage = word(cell) }
	case "external_id":
		col.set = (*person).setExternalID
	case "team_id":
		col.set = (*person).setTeam
	case "custom_context":
		col.set = func(p *person, cell string) { p.setContext("custom_context", &p.in.CustomContext, cell) }
	case "industry_context":
		col.set = func(p *person, cell string) { p.setContext("industry_context", &p.in.IndustryContext, cell) }
	case "more_phone_numbers":
		col.set = (*person).setMorePhones
	case "opt-out":
		col.field, col.set = "custom_context.email_opt_out", (*person).setEmailOptOut
	case "unsubscribed":
		col.field, col.set = "custom_context.email_opt_out", func(p *person, _ string) { p.emailOptOut = true }
	}
	return nil
}

// setLabel returns what sets a label. Where two columns of a row have one, such as "Phone
// 1 - Label" and "Phone 1 - Type", the second one is ignored.
func setLabel(col *column, of func(*person) *string) func(*person, string) {
	return func(p *person, cell string) {
		if label := of(p); *label == "" {
			*label = cell
		} else {
			p.ignored.add(col.name)
		}
	}
}

// word is a label as one of our words: "Marketing Qualified Lead" is
// marketing_qualified_lead.
func word(label string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(label)), " ", "_")
}

// phone gives a column a part of a phone number.
func (b *columnBuilder) phone(col *column, kind, what, n string) {
	if kind != "phone" { // of our own names, those without a number are of the first
		what, n = map[string]string{"phone_number": "", "phone_type": "type", "primary": "primary", "do_not_call": "do not call"}[kind], "1"
	}
	if kind == "phone" && what == "" && n == "" && b.phoneIsFirst {
		n = "1"
	}
	if what == "do not call" && n == "1" && b.ofPerson {
		col.field, col.set = "do_not_call", (*person).setDoNotCall
		return
	}
	primary := kind == "phone" && what == "primary" && n == "" // the column "Primary Phone" has a number
	if primary {
		what = ""
	}
	slot := b.value
	switch what {
	case "type", "primary", "do not call": // of the number in another column
		slot = b.slot
	}
	place := slot("phone", n)
	b.person.phones = sized(b.person.phones, place+1)
	b.person.phoneColumns = sized(b.person.phoneColumns, place+1)
	switch what {
	case "type":
		col.field, col.set = withNumber("phone_type", place), setLabel(col, func(p *person) *string { return &p.phones[place].label })
	case "primary":
		col.field, col.set = withNumber("primary", place), func(p *person, cell string) {
			p.phones[place].primary = p.truth(col.name, cell)
		}
	case "do not call":
		col.field, col.set = withNumber("do_not_call", place), func(p *person, cell string) {
			p.phones[place].doNotCall = p.truth(col.name, cell) || p.phones[place].doNotCall
		}
	default:
		b.person.phoneColumns[place] = phoneColumn{name: col.name, kind: what, primary: primary}
		col.field, col.set = withNumber("phone_number", place), func(p *person, cell string) { p.phones[place].text = cell }
	}
}

// email gives a column an e-mail address, or what marks one.
func (b *columnBuilder) email(col *column, what, n string) {
	slot := b.value
	if what == "label" {
		slot = b.slot
	}
	place := slot("email", n)
	b.person.emails = sized(b.person.emails, place+1)
	col.field = "email"
	if what == "label" {
		col.set = setLabel(col, func(p *person) *string { return &p.emails[place].label })
		return
	}
	col.set = func(p *person, cell string) { p.emails[place].text = cell }
}

// address gives a column a part of a postal address.
func (b *columnBuilder) address(col *column, kind, what, n string) error {
	place, part := "", what
	if kind != "address" { // city of the one address
		part = kind
	} else if n == "" {
		if words := strings.Fields(what); len(words) == 2 {
			place, part = words[0], words[1]
		}
	}
	key := place
	if n != "" {
		key, place = "#"+n, otherPlace // until a label says more
	}
	slot := b.slot("address", "of "+key)
	if slot >= len(b.person.addresses) {
		b.person.addresses = append(b.person.addresses, address{place: place})
	}
	switch part {
	case "", "street":
		col.field, part = "address", "street"
	case "2", "street2", "3", "street3":
		col.field = "address"
	case "label":
		col.field = "address"
	case "zip":
		col.field = "zip_code"
	default:
		col.field = part
	}
	if err := b.take("address "+key+" "+part, col.field, col.name); err != nil {
		return err
	}
	col.set = func(p *person, cell string) { p.addresses[slot].set(part, cell) }
	return nil
}

// splitTags returns how a source separates tags.
func splitTags(s source) func(cell string) []string {
	switch s {
	case sourceOurs:
		return splitOurTags
	case sourceGoogle, sourceOldGoogle:
		return googleTags
	case sourceMailchimp:
		return mailchimpTags
	default:
		return func(cell string) []string { return strings.Split(cell, ";") }
	}
}

// googleSeparator separates values in one cell of a file of Google.
const googleSeparator = " ::: "

func googleTags(cell string) (tags []string) {
	for tag := range strings.SplitSeq(cell, googleSeparator) {
		switch tag = strings.TrimSpace(tag); tag {
		case "* myContacts", "* starred":
		default:
			tags = append(tags, strings.TrimPrefix(tag, "* "))
		}
	}
	return tags
}

// mailchimpTags reads a list of quoted tags: "a","b".
func mailchimpTags(cell string) []string {
	parser := newParser(strings.NewReader(cell), ',')
	parser.TrimLeadingSpace = true
	tags, err := parser.Read()
	if err != nil {
		return strings.Split(cell, ",")
	}
	return tags
}

// tagEscapes are those of a tag in a cell with more of them.
var tagEscapes = strings.NewReplacer(`\`, `\\`, `;`, `\;`)

// joinTags writes tags into one cell. splitOurTags is its inverse.
func joinTags(tags []string) string {
	escaped := make([]string, len(tags))
	for i, tag := range tags {
		escaped[i] = tagEscapes.Replace(tag)
	}
	return strings.Join(escaped, ";")
}

func splitOurTags(cell string) (tags []string) {
	if !strings.Contains(cell, `\`) {
		return strings.Split(cell, ";")
	}
	var tag strings.Builder
	for i := 0; i < len(cell); i++ {
		switch c := cell[i]; {
		case c == '\\' && i+1 < len(cell) && (cell[i+1] == '\\' || cell[i+1] == ';'):
			i++
			tag.WriteByte(cell[i])
		case c == ';':
			tags = append(tags, tag.String())
			tag.Reset()
		default:
			tag.WriteByte(c)
		}
	}
	return append(tags, tag.String())
}
