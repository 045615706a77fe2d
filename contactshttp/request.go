package contactshttp

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A call is a request on its way to the service.
type call struct {
	request *http.Request
	op      operation
	key     string     // "": none was given
	query   url.Values // without the key
	wrong   problems   // with the query, and with the headers
}

// id returns the id in the path. What is no UUID becomes the one that no contact
// has, so that the service refuses both in the same way.
func (c *call) id() uuid.UUID {
	s := c.request.PathValue("id")
	id, err := uuid.Parse(s)
	if err != nil || len(s) != len(id.String()) { // Parse takes other forms too
		return uuid.Nil
	}
	return id
}

// readQuery takes the key and the parameters out of the request, and reports
// whether all keys that it has are the same one.
func (c *call) readQuery(keyInQuery bool) (agree bool) {
	query, err := url.ParseQuery(c.request.URL.RawQuery)
	if err != nil {
		c.wrong.add("query", contacts.FieldInvalid, "is not encoded as a query must be")
	}
	keys := headerKeys(c.request.Header)
	known := c.op.parameters
	if keyInQuery {
		keys = append(keys, query["api_key"]...)
		known = append(slices.Clone(known), "api_key")
	}
	c.wrong.addParameters(query, known)
	delete(query, "api_key")
	c.query = query
	c.key, agree = oneKey(keys)
	return agree
}

// headerKeys returns the keys in the headers: bearer tokens (RFC 6750, section
// 2.1; the scheme in any case, RFC 9110, section 11.1), and X-API-Key.
// Other schemes of Authorization are no keys.
func headerKeys(h http.Header) []string {
	var keys []string
	for _, v := range h.Values("Authorization") {
		if scheme, token, _ := strings.Cut(strings.TrimSpace(v), " "); strings.EqualFold(scheme, "Bearer") {
			keys = append(keys, token)
		}
	}
	return append(keys, h.Values("X-API-Key")...)
}

// oneKey returns the key that was given, "" if all are blank, and whether there
// is no other.
func oneKey(keys []string) (key string, agree bool) {
	for _, k := range keys {
		k = strings.TrimSpace(k)
		switch {
		case k == "" || k == key:
		case key == "":
			key = k
		default:
			return "", false
		}
	}
	return key, true
}

// addParameters adds the parameters that are not known, and those that are
// repeated, in the order of their names.
func (p *problems) addParameters(query url.Values, known []string) {
	var names []string
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	strange := false // a name that is not repeated in the answer
	for _, name := range names {
		switch {
		case slices.Contains(known, name):
			if len(query[name]) > 1 {
				p.add(name, contacts.FieldDuplicate, "must not be given more than once")
			}
		case isName(name):
			p.add(name, contacts.FieldUnknown, "is not a parameter of this call")
		case !strange:
			strange = true
			p.add("query", contacts.FieldUnknown, "has a parameter that is not one of this call")
		}
	}
}

// isName reports whether s looks like the name of a parameter. Anything else may
// be a key or somebody's number, and is not repeated.
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

// checkMedia checks what the headers say of the body. A body that nothing is
// said of is taken for JSON.
func checkMedia(h http.Header, types []string) error {
	for _, v := range h.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(v, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return errMedia("the body must not be compressed", "Accept-Encoding", "identity") // RFC 9110, section 15.5.16
			}
		}
	}
	given := h.Values("Content-Type")
	if len(given) == 0 {
		return nil
	}
	if len(given) == 1 {
		media, parameters, err := mime.ParseMediaType(given[0])
		charset, has := parameters["charset"]
		if err == nil && slices.Contains(types, media) && (!has || strings.EqualFold(charset, "utf-8")) {
			return nil
		}
	}
	accepted := strings.Join(types, ", ")
	return errMedia("the Content-Type of the body must be "+strings.Join(types, " or ")+", in UTF-8", "Accept", accepted)
}

// A need is what a key must be good for.
type need uint8

const (
	toCreate need = iota
	toRead
	toWrite
)

// refuse returns what the service says of the key, and only where it accepts the
// key, err. It asks with a request of the same permission that is wrong in
// itself: the service finds out behind the key and before the store.
func (h *handler) refuse(c *call, err error) error {
	ctx := c.request.Context()
	var said error
	switch c.op.need {
	case toCreate:
		_, said = h.svc.CreateContact(ctx, c.key, contacts.CreateContactInput{})
	case toRead:
		_, said = h.svc.ListContacts(ctx, c.key, contacts.ListContactsInput{Limit: -1})
	default:
		_, said = h.svc.UpdateContactJSON(ctx, c.key, uuid.Nil, strings.NewReader(""), nil)
	}
	switch contacts.CodeOf(said) {
	case contacts.CodeMissingFirstName, contacts.CodeValidationError, contacts.CodeInvalidJSON:
		return err
	default:
		return said
	}
}

// idempotencyKey returns the key of the header Idempotency-Key: a string of
// structured fields, as draft-ietf-httpapi-idempotency-key-header has it, or the
// text as it is. "": there is no such header.
func (c *call) idempotencyKey() string {
	const field = headerIdempotencyKey
	values := c.request.Header.Values(field)
	switch len(values) {
	case 0:
		return ""
	case 1:
	default:
		c.wrong.add(field, contacts.FieldDuplicate, "must not be given more than once")
		return ""
	}
	key, ok := parseIdempotencyKey(values[0])
	switch {
	case !ok:
		c.wrong.add(field, contacts.FieldInvalid, `must be the key, bare or as a string in quotes with \ before " and \`)
	case key == "":
		c.wrong.add(field, contacts.FieldRequired, "must not be empty")
	}
	return key
}

const (
	headerIdempotencyKey      = "Idempotency-Key"
	headerIdempotencyReplayed = "Idempotency-Replayed"
)

// parseIdempotencyKey returns the text of a string in quotes (RFC 9651, section
// 4.2.5), and what does not start with a quote as it is.
func parseIdempotencyKey(s string) (key string, ok bool) {
	s = strings.Trim(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		return s, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			return b.String(), i == len(s)-1
		case c < ' ' || c > '~':
			return "", false
		case c == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			c = s[i]
		}
		b.WriteByte(c)
	}
	return "", false // it does not end
}
