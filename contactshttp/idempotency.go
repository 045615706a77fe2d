package contactshttp

import (
	"strings"

	"example.com/contacts"
)

const (
	headerIdempotencyKey      = "Idempotency-Key"
	headerIdempotencyReplayed = "Idempotency-Replayed"

	// maxIdempotencyHeader is the length of the longest key, with each byte escaped
	// and in quotes. The Service judges what is shorter.
	maxIdempotencyHeader = 2*255 + 2
)

// readCreate reads the headers of a create or an upsert.
func (c *call) readCreate() {
	c.readIdempotencyKey()
	c.refuseConditions()
}

// readBatch refuses the headers that a batch does not take.
func (c *call) readBatch() {
	c.refuseIdempotencyKey("a batch; each contact may have an idempotency_key")
	c.refuseConditions()
}

// readIdempotencyKey reads the header Idempotency-Key: a string of structured
// fields (draft-ietf-httpapi-idempotency-key-header), or the text as it is.
func (c *call) readIdempotencyKey() {
	const field = headerIdempotencyKey
	values := c.request.Header.Values(field)
	switch len(values) {
	case 0:
		return
	case 1:
	default:
		c.wrong.add(field, contacts.FieldDuplicate, "must not be given more than once")
		return
	}
	if len(values[0]) > maxIdempotencyHeader {
		c.wrong.add(field, contacts.FieldTooLong, "must have at most 255 bytes")
		return
	}
	key, ok := parseIdempotencyKey(values[0])
	switch {
	case !ok:
		c.wrong.add(field, contacts.FieldInvalid, `must be the key, bare or as a string in quotes with \ before " and \`)
	case key == "":
		c.wrong.add(field, contacts.FieldRequired, "must not be empty")
	}
	c.idempotencyKey = key
}

// refuseIdempotencyKey refuses the header for a call. A client that sends it would
// rely on it.
func (c *call) refuseIdempotencyKey(call string) {
	if len(c.request.Header.Values(headerIdempotencyKey)) > 0 {
		c.wrong.add(headerIdempotencyKey, contacts.FieldInvalid, "must not be given for "+call)
	}
}

// refuseKeyOfCreate refuses the header for a call that is no create.
func (c *call) refuseKeyOfCreate() {
	c.refuseIdempotencyKey("this call, which is safe to send again")
}

// refuseKeyOfGrant refuses the header for a grant. Without a time, a grant that is
// sent again is given again.
func (c *call) refuseKeyOfGrant() {
	c.refuseIdempotencyKey("a grant, which is safe to send again if it has at")
}

// parseIdempotencyKey returns the text of a string in quotes (RFC 9651, section
// 4.2.5). Text that does not start with a quote is returned as it is.
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
	return "", false // the closing quote is missing
}
