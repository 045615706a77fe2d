package contactshttp

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A call is a request to an endpoint.
type call struct {
	request    *http.Request
	endpoint   endpoint
	keyInQuery bool       // the query may have a key
	key        string     // "": none was given
	query      url.Values // nil: not parsed yet
	wrong      problems   // in the query and the headers

	// What the endpoint reads, each one its own.
	idempotencyKey string
	condition      condition
	list           contacts.ListContactsInput
	phoneNumber    string
	entries        contacts.ListDoNotCallInput // of the do-not-call ledger
	duplicates     contacts.FindDuplicatesInput
	events         contacts.EventsInput // of a history, After is before
	asOf           *time.Time           // nil: now
}

// id returns the id in the path. Text that is no UUID becomes the zero id. No
// contact has it, so the service answers as for any id that it does not know.
func (c *call) id() uuid.UUID {
	id, _ := parseID(c.request.PathValue("id"))
	return id
}

// parseID returns the id in its usual form; the zero id if it is another text.
func parseID(s string) (uuid.UUID, bool) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != len(id.String()) { // Parse takes other forms too
		return uuid.Nil, false
	}
	return id, true
}

// read reads the request, except for its body. Its error says what is wrong.
func (c *call) read() error {
	if c.endpoint.media != nil {
		if err := checkMedia(c.request.Header, c.endpoint.media); err != nil {
			return err
		}
	}
	c.checkParameters()
	c.checkDryRun()
	if c.endpoint.read != nil {
		c.endpoint.read(c)
	}
	return c.wrong.err()
}

// maxContentType bounds a Content-Type, in bytes.
const maxContentType = 256

// checkMedia checks what the headers say of the body. A body without a
// Content-Type is taken for JSON.
func checkMedia(h http.Header, types []string) error {
	for _, v := range h.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(v, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return errMedia("the body must not be compressed, and its Content-Encoding is "+quotable(coding),
					"Accept-Encoding", "identity") // RFC 9110, section 15.5.16
			}
		}
	}
	given := h.Values("Content-Type")
	if len(given) == 0 {
		return nil
	}
	why := wrongType(given, types)
	if why == "" {
		return nil
	}
	return errMedia("the Content-Type of the body must be "+strings.Join(types, " or ")+", in UTF-8; it "+why,
		"Accept", strings.Join(types, ", "))
}

// wrongType says what is wrong with a Content-Type; "": nothing.
func wrongType(given, types []string) string {
	switch {
	case len(given) > 1:
		return "is given more than once"
	case strings.TrimSpace(given[0]) == "":
		return "is empty"
	case len(given[0]) > maxContentType:
		return "is longer than " + strconv.Itoa(maxContentType) + " bytes"
	}
	media, parameters, err := mime.ParseMediaType(given[0])
	charset, has := parameters["charset"]
	switch {
	case err != nil:
		return "cannot be read"
	case !slices.Contains(types, media):
		return "is " + quotable(media)
	case has && !slices.Contains([]string{"utf-8", "utf8"}, strings.ToLower(charset)): // utf8 is not registered, but in use
		return "has the charset " + quotable(charset)
	default:
		return ""
	}
}

// quotable returns a short name as it is. An answer does not repeat other text.
func quotable(name string) string {
	const maxName = 64
	other := func(c rune) bool {
		return !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') && !strings.ContainsRune("!#$&-^_.+/", c)
	}
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, other) {
		return "another one"
	}
	return name
}
