package contactshttp

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"example.com/contacts"
)

// listParameters returns the parameters of the list.
func listParameters() []string {
	return []string{"cursor", "deleted", "email", "limit", "page", "phone_number", "search", "stage", "status", "tag", "team_id"}
}

// The documented bounds of the list.
const (
	maxLimit = 100
	maxPage  = 1 << 24 // as many pages as a service has
)

// listInput reads the query of the list. It has pages, unless it has a cursor, the
// empty one of the first page too.
func (c *call) listInput() contacts.ListContactsInput {
	get := c.query.Get
	in := contacts.ListContactsInput{
		Stage:       get("stage"),
		Status:      get("status"),
		Tag:         get("tag"),
		Search:      get("search"),
		PhoneNumber: get("phone_number"),
		Email:       get("email"),
		Cursor:      get("cursor"),
	}
	if number, ok := strings.CutPrefix(in.PhoneNumber, " "); ok && strings.Contains(c.request.URL.RawQuery, "phone_number=+") {
		in.PhoneNumber = "+" + number // a plus that was not encoded is a space, and no number starts with one
	}
	if v, ok := c.parameter("team_id"); ok {
		in.TeamID = c.wrong.integer("team_id", v, 1, 1<<63-1)
	}
	if v, ok := c.parameter("deleted"); ok {
		switch v {
		case "true":
			in.Deleted = true
		case "false":
		default:
			c.wrong.add("deleted", contacts.FieldInvalid, "must be true or false")
		}
	}
	if v, ok := c.parameter("limit"); ok {
		in.Limit = int(c.wrong.integer("limit", v, 1, maxLimit))
	}
	_, walk := c.query["cursor"]
	v, paged := c.parameter("page")
	switch {
	case paged && walk:
		c.wrong.add("cursor", contacts.FieldInvalid, "must not be given together with page")
	case paged:
		in.Page = int(c.wrong.integer("page", v, 1, maxPage))
	case !walk:
		in.Page = 1
	}
	return in
}

// parameter returns a parameter, and whether it was given at all.
func (c *call) parameter(name string) (string, bool) {
	values := c.query[name]
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

func (p *problems) integer(field, s string, low, high int64) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high || strconv.FormatInt(n, 10) != s {
		message := "must be from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10)
		p.add(field, contacts.FieldInvalid, message)
		return 0
	}
	return n
}

// refuseList is refuse for a list, which adds what the service has to say of the
// other parameters.
func (h *handler) refuseList(c *call, in contacts.ListContactsInput) error {
	in.Limit, in.Cursor = -1, "" // so that there is an error, and before the store is asked
	_, said := h.svc.ListContacts(c.request.Context(), c.key, in)
	e, ok := errors.AsType[*contacts.Error](said)
	if !ok || e.Code != contacts.CodeValidationError {
		return said
	}
	wrong := slices.Clone(c.wrong)
	for _, d := range e.Details {
		if d.Field != "limit" {
			wrong = append(wrong, d)
		}
	}
	return wrong.err()
}
