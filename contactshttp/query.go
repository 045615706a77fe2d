package contactshttp

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.com/contacts"
)

// readQuery reads the key and the parameters. agree is false if the request has
// two keys that differ.
func (c *call) readQuery(keyInQuery bool) (agree bool) {
	query, err := url.ParseQuery(c.request.URL.RawQuery)
	if err != nil {
		c.wrong.add("query", contacts.FieldInvalid, "is not encoded as a query must be")
	}
	keys := headerKeys(c.request.Header)
	known := c.endpoint.parameters
	if keyInQuery {
		keys = append(keys, query["api_key"]...)
		known = append(slices.Clone(known), "api_key")
	}
	c.checkParameters(query, known)
	delete(query, "api_key")
	c.query = query
	c.key, agree = oneKey(keys)
	return agree
}

// checkParameters refuses unknown and repeated parameters, in the order of their
// names.
func (c *call) checkParameters(query url.Values, known []string) {
	var names []string
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	strange := false // there was a name that the answer must not repeat
	for _, name := range names {
		switch {
		case slices.Contains(known, name):
			if len(query[name]) > 1 {
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
	return []string{"cursor", "deleted", "email", "limit", "page", "phone_number", "search", "stage", "status", "tag", "team_id"}
}

// readList reads the query of the list. The list has pages, unless a cursor is
// given; the empty cursor gets the first contacts.
func (c *call) readList() {
	get := c.query.Get
	in := contacts.ListContactsInput{
		Stage:       get("stage"),
		Status:      get("status"),
		Tag:         get("tag"),
		Search:      get("search"),
		PhoneNumber: get("phone_number"),
		Email:       get("email"),
		Cursor:      get("cursor"),
		TeamID:      c.number("team_id", 64),
		Limit:       int(c.number("limit", strconv.IntSize)),
		Page:        int(c.number("page", strconv.IntSize)),
	}
	// A plus that is not encoded means a space, and no number starts with one.
	if number, ok := strings.CutPrefix(in.PhoneNumber, " "); ok && strings.Contains(c.request.URL.RawQuery, "phone_number=+") {
		in.PhoneNumber = "+" + number
	}
	if c.query.Has("deleted") {
		switch get("deleted") {
		case "true":
			in.Deleted = true
		case "false":
		default:
			c.wrong.add("deleted", contacts.FieldInvalid, "must be true or false")
		}
	}
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

// number returns the value of a parameter: a positive number that fits in so many
// bits, 0 if it was not given, and -1 for any other text. The service refuses -1
// and says which numbers it takes.
func (c *call) number(name string, bits int) int64 {
	if !c.query.Has(name) {
		return 0
	}
	s := c.query.Get(name)
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != s {
		return -1
	}
	return n
}
