package contactshttp

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// maxQuery bounds the query, in bytes. All filters at their limits fit.
const maxQuery = 16 << 10

// parseQuery parses the query, once. What is beyond its bound is not read.
func (c *call) parseQuery() url.Values {
	if c.query != nil {
		return c.query
	}
	raw := c.request.URL.RawQuery
	if len(raw) > maxQuery {
		c.wrong.add("query", contacts.FieldTooLong, "must have at most "+strconv.Itoa(maxQuery)+" bytes")
		raw = raw[:strings.LastIndexByte(raw[:maxQuery], '&')+1] // without the parameter that is cut
	}
	var err error
	if c.query, err = url.ParseQuery(raw); err != nil {
		c.wrong.add("query", contacts.FieldInvalid, "is not encoded as a query must be")
	}
	return c.query
}

// readKey reads the key. ok is false if it cannot be one.
func (c *call) readKey() (ok bool) {
	keys := headerKeys(c.request.Header)
	if c.keyInQuery {
		keys = append(keys, c.parseQuery()["api_key"]...)
	}
	c.key, ok = oneKey(keys)
	return ok
}

// checkParameters refuses unknown and repeated parameters, in the order of their
// names.
func (c *call) checkParameters() {
	query := c.parseQuery()
	var names []string
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	strange := false // there was a name that the answer must not repeat
	for _, name := range names {
		switch {
		case slices.Contains(c.endpoint.parameters, name) || name == "api_key" && c.keyInQuery:
			if len(query[name]) > 1 && !slices.Contains(c.endpoint.repeated, name) {
				c.wrong.add(name, contacts.FieldDuplicate, "must not be given more than once")
			}
		case isName(name):
			c.wrong.add(name, contacts.FieldUnknown, "is not a parameter of this call")
		case !strange:
			strange = true
			c.wrong.add("query", contacts.FieldUnknown, "has a parameter that is not one of this call")
		}
	}
}

// isName reports whether s looks like the name of a parameter. Other text may be a
// key or a phone number, and is not repeated.
func isName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// listParameters returns the parameters of the list.
func listParameters() []string {
	return []string{"cursor", "deleted", "email", "external_id", "limit", "match_email", "page", "phone_number", "search", "stage", "status", "tag", "team_id", "updated_after"}
}

// readList reads the query of the list. The list has pages, unless a cursor is
// given; the empty cursor gets the first contacts.
func (c *call) readList() {
	in := contacts.ListContactsInput{
		Stage:       c.given("stage"),
		Status:      c.given("status"),
		Tag:         c.given("tag"),
		Search:      c.given("search"),
		PhoneNumber: c.given("phone_number"),
		Email:       c.given("email"),
		ExternalID:  c.given("external_id"),
		MatchEmail:  c.boolean("match_email"),
		Deleted:     c.boolean("deleted"),
		Cursor:      c.query.Get("cursor"),
		TeamID:      c.number("team_id"),
		Limit:       c.count("limit"),
		Page:        c.count("page"),

		WithoutContexts: true, // a summary has none
	}
	in.PhoneNumber = c.withPlus(in.PhoneNumber)
	in.UpdatedAfter, _ = c.time("updated_after")
	switch {
	case !c.query.Has("cursor"):
		if in.Page == 0 {
			in.Page = 1
		}
	case in.Page != 0:
		c.wrong.add("cursor", contacts.FieldInvalid, "must not be given together with page")
	}
	c.list = in
}

// withPlus returns a phone number of the query. A plus that is not encoded means a
// space, and no number starts with one.
func (c *call) withPlus(number string) string {
	if rest, ok := strings.CutPrefix(number, " "); ok && strings.Contains(c.request.URL.RawQuery, "phone_number=+") {
		return "+" + rest
	}
	return number
}

// readNumber reads the query of a call about one phone number. The Service refuses
// an empty one.
func (c *call) readNumber() {
	c.refuseKeyOfCreate()
	c.phoneNumber = c.withPlus(c.query.Get("phone_number"))
}

// readDuplicates reads the query of the search for duplicates.
func (c *call) readDuplicates() {
	c.duplicates = contacts.FindDuplicatesInput{
		Key:    contacts.KeyKind(c.given("key")),
		Cursor: c.query.Get("cursor"),
		Limit:  c.count("limit"),

		WithoutContexts: true, // a summary has none
	}
}

// given returns the value of a parameter. The service takes an empty one for none,
// and refuses a blank one. A parameter that is given must not be either.
func (c *call) given(name string) string {
	if v := c.query.Get(name); v != "" || !c.query.Has(name) {
		return v
	}
	return " "
}

// readAsOf reads the query of a contact. With a time, the call needs another
// permission too.
func (c *call) readAsOf() {
	at, given := c.time("as_of")
	if !given {
		return
	}
	c.endpoint.operation = contacts.OpGetContactAsOf
	c.asOf = &at
	if len(c.request.Header.Values(ifNoneMatch)) > 0 {
		c.wrong.add(ifNoneMatch, contacts.FieldInvalid, "must not be given together with as_of")
	}
}

// readEvents reads the query of the events.
func (c *call) readEvents() {
	c.events = contacts.EventsInput{Limit: c.limit()}
	if c.query.Get("after") != "0" {
		c.events.After = c.number("after")
	}
	for _, t := range c.query["type"] {
		c.events.Types = append(c.events.Types, contacts.EventType(t))
	}
	if c.query.Has("contact_id") {
		var ok bool
		if c.events.ContactID, ok = parseID(c.query.Get("contact_id")); !ok || c.events.ContactID == uuid.Nil {
			c.wrong.add("contact_id", contacts.FieldInvalid, "must be a UUID")
		}
	}
}

// readHistory reads the query of the history.
func (c *call) readHistory() {
	c.events.Limit = c.limit()
	if c.events.After = c.number("before"); c.events.After < 0 {
		c.wrong.add("before", contacts.FieldInvalid, "must be the next_before of an answer")
	}
}

// limit returns how many events are wanted.
func (c *call) limit() int {
	const usual, maxEvents = 100, 1000
	n := c.number("limit")
	switch {
	case n == 0:
		return usual
	case n < 0 || n > maxEvents:
		c.wrong.add("limit", contacts.FieldInvalid, "must be from 1 to "+strconv.Itoa(maxEvents))
	}
	return int(n)
}

// time returns the value of a parameter, and whether it was given.
func (c *call) time(name string) (t time.Time, given bool) {
	if !c.query.Has(name) {
		return t, false
	}
	// No time has a space, but an offset has a plus that may not be encoded.
	t, err := time.Parse(time.RFC3339, strings.Replace(c.query.Get(name), " ", "+", 1))
	if err != nil {
		c.wrong.add(name, contacts.FieldInvalid, "must be a time such as 2026-01-15T09:30:00Z")
	}
	return t, true
}

// boolean returns the value of a parameter: false if it was not given.
func (c *call) boolean(name string) bool {
	if !c.query.Has(name) {
		return false
	}
	switch c.query.Get(name) {
	case "true":
		return true
	case "false":
	default:
		c.wrong.add(name, contacts.FieldInvalid, "must be true or false")
	}
	return false
}

// number returns the value of a parameter: a positive number, 0 if it was not given,
// and -1 for any other text. The service refuses -1 and says which numbers it takes.
func (c *call) number(name string) int64 {
	if !c.query.Has(name) {
		return 0
	}
	s := c.query.Get(name)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != s {
		return -1
	}
	return n
}

// count is number for what fits in an int. A greater one is greater than any that the
// service takes.
func (c *call) count(name string) int { return int(min(c.number(name), math.MaxInt32)) }
