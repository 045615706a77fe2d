package contactshttp

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.com/contacts"
)

// An entityTag is one of RFC 9110, section 8.8.3.
type entityTag struct {
	weak   bool
	opaque string // what is in the quotes
}

// versionTag returns the entity tag of a contact of that version, a strong one:
// the answer for a version is always the same, byte for byte.
func versionTag(version int64) string { return `"v` + strconv.FormatInt(version, 10) + `"` }

// version returns the version that the tag names; false if no contact has such a
// tag.
func (t entityTag) version() (int64, bool) {
	digits, ok := strings.CutPrefix(t.opaque, "v")
	v, err := strconv.ParseInt(digits, 10, 64)
	return v, ok && err == nil && v > 0 && strconv.FormatInt(v, 10) == digits
}

// parseEntityTags reads the list of If-Match and If-None-Match. star is "*".
func parseEntityTags(values []string) (tags []entityTag, star, ok bool) {
	s := strings.Join(values, ",") // RFC 9110, section 5.2
	if strings.Trim(s, " \t") == "*" {
		return nil, true, true
	}
	for {
		if s = strings.TrimLeft(s, " \t,"); s == "" { // empty elements: section 5.6.1.2
			return tags, false, len(tags) > 0
		}
		var t entityTag
		s, t.weak = strings.CutPrefix(s, "W/")
		s, ok = strings.CutPrefix(s, `"`)
		end := strings.IndexByte(s, '"')
		if !ok || end < 0 || strings.ContainsFunc(s[:end], func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			return nil, false, false
		}
		t.opaque, s = s[:end], strings.TrimLeft(s[end+1:], " \t")
		if s != "" && s[0] != ',' {
			return nil, false, false
		}
		tags = append(tags, t)
	}
}

// unchanged reports whether If-None-Match says that the client has this version.
// A header that cannot be read is as good as none.
func unchanged(h http.Header, version int64) bool {
	tags, star, _ := parseEntityTags(h.Values("If-None-Match"))
	return star || slices.ContainsFunc(tags, func(t entityTag) bool { // weak or not: RFC 9110, section 13.1.2
		v, ok := t.version()
		return ok && v == version
	})
}

// maxEntityTags bounds how often one change asks the store.
const maxEntityTags = 16

// noVersion is a version that no contact has.
const noVersion = -1

// A condition is what If-Match asks for.
type condition struct {
	given    bool
	versions []int64 // any of them; 0: whatever it is
	hint     []contacts.FieldError
}

// condition reads the conditions of a change. Tags that are weak, or are none of
// ours, match no contact (RFC 9110, section 13.1.1), and so does what cannot be
// read. If-None-Match is no condition of a change here: it would be dangerous not
// to say so.
func (c *call) condition() condition {
	const ifMatch, ifNoneMatch = "If-Match", "If-None-Match"
	h := c.request.Header
	if len(h.Values(ifNoneMatch)) > 0 {
		c.wrong.add(ifNoneMatch, contacts.FieldInvalid, "must not be given for a change, which takes "+ifMatch)
	}
	values := h.Values(ifMatch)
	if len(values) == 0 {
		return condition{versions: []int64{0}}
	}
	tags, star, ok := parseEntityTags(values)
	if star {
		return condition{given: true, versions: []int64{0}}
	}
	cond := condition{given: true}
	for _, t := range tags {
		if v, is := t.version(); is && !t.weak && !slices.Contains(cond.versions, v) {
			cond.versions = append(cond.versions, v)
		}
	}
	if len(cond.versions) > maxEntityTags {
		c.wrong.add(ifMatch, contacts.FieldTooMany, "must have at most "+strconv.Itoa(maxEntityTags)+" entity tags")
	}
	if len(cond.versions) == 0 {
		cond.versions = []int64{noVersion}
	}
	if !ok {
		cond.hint = []contacts.FieldError{{Field: ifMatch, Code: contacts.FieldInvalid, Message: `must be * or entity tags as ETag has them, such as "v1"`}}
	}
	return cond
}

// change makes the change for each of the versions that the request names until
// the contact has one of them. Each try is atomic, so the contact has been of
// that version when it was changed.
func (h *handler) change(c *call, try func(body io.Reader, opts *contacts.ChangeOptions) (*contacts.Contact, error)) (*contacts.Contact, error) {
	cond := c.condition()
	if err := c.wrong.err(); err != nil {
		return nil, h.refuse(c, err)
	}
	var contact *contacts.Contact
	var err error
	var read bytes.Buffer // the body, for the tries behind the first
	body := io.Reader(c.request.Body)
	if len(cond.versions) > 1 {
		body = io.TeeReader(body, &read)
	}
	for _, v := range cond.versions {
		contact, err = try(body, &contacts.ChangeOptions{Version: v})
		if contacts.CodeOf(err) != contacts.CodeConflict {
			return contact, err
		}
		body = bytes.NewReader(read.Bytes())
	}
	if cond.given {
		err = errPrecondition(err, cond.hint)
	}
	return nil, err
}
