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

// A call is a request to an endpoint.
type call struct {
	request  *http.Request
	endpoint endpoint
	key      string     // "": none was given
	query    url.Values // without the key
	wrong    problems   // in the query and the headers

	// What the endpoint reads, each one its own.
	idempotencyKey string
	condition      condition
	list           contacts.ListContactsInput
}

// id returns the id in the path. Text that is no UUID becomes the zero id. No
// contact has it, so the service answers as for any id that it does not know.
func (c *call) id() uuid.UUID {
	s := c.request.PathValue("id")
	id, err := uuid.Parse(s)
	if err != nil || len(s) != len(id.String()) { // Parse takes other forms too
		return uuid.Nil
	}
	return id
}

// read reads the request, except for its body. Its error says what is wrong.
func (c *call) read() error {
	if c.endpoint.media != nil {
		if err := checkMedia(c.request.Header, c.endpoint.media); err != nil {
			return err
		}
	}
	if c.endpoint.read != nil {
		c.endpoint.read(c)
	}
	return c.wrong.err()
}

// checkMedia checks what the headers say of the body. A body without a
// Content-Type is taken for JSON.
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
