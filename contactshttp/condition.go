package contactshttp

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.com/contacts"
)

// An entityTag is an entity tag of RFC 9110, section 8.8.3.
type entityTag struct {
	weak   bool
	opaque string // the text between the quotes
}

// versionTag returns the entity tag of a contact of that version. It is strong:
// the answer for a version is always the same, byte for byte.
func versionTag(version int64) string { return `"v` + strconv.FormatInt(version, 10) + `"` }

// version returns the version that the tag names. It returns false if no contact
// can have the tag.
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

// unchanged reports whether If-None-Match names the version. A header that cannot
// be read is ignored.
func unchanged(h http.Header, version int64) bool {
	tags, star, _ := parseEntityTags(h.Values("If-None-Match"))
	return star || slices.ContainsFunc(tags, func(t entityTag) bool { // weak or not: RFC 9110, section 13.1.2
		v, ok := t.version()
		return ok && v == version
	})
}

// maxEntityTags is the documented limit of If-Match.
const maxEntityTags = 16

// A condition is what If-Match asks of a contact before a change.
type condition struct {
	given    bool
	versions []int64               // the contact has one of them; nil: any version
	hint     []contacts.FieldError // says what is wrong with the header
}

// readCondition reads If-Match. Tags that are weak or of another form match no
// contact (RFC 9110, section 13.1.1). A header that cannot be read matches none
// either. If-None-Match is refused: a client that sends it would rely on it.
func (c *call) readCondition() {
	const ifMatch, ifNoneMatch = "If-Match", "If-None-Match"
	h := c.request.Header
	if len(h.Values(ifNoneMatch)) > 0 {
		c.wrong.add(ifNoneMatch, contacts.FieldInvalid, "must not be given for a change; use "+ifMatch)
	}
	values := h.Values(ifMatch)
	if len(values) == 0 {
		return
	}
	c.condition.given = true
	tags, star, ok := parseEntityTags(values)
	if star {
		return
	}
	if !ok {
		c.condition.hint = []contacts.FieldError{{
			Field: ifMatch, Code: contacts.FieldInvalid, Message: `must be * or a list of ETags, for example "v1"`,
		}}
	}
	versions := []int64{} // not nil: without a usable tag no version is allowed
	for _, t := range tags {
		if v, is := t.version(); is && !t.weak && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	if len(versions) > maxEntityTags {
		c.wrong.add(ifMatch, contacts.FieldTooMany, "must have at most "+strconv.Itoa(maxEntityTags)+" entity tags")
	}
	c.condition.versions = versions
}

// options returns the condition as options of a change.
func (c condition) options() *contacts.ChangeOptions {
	return &contacts.ChangeOptions{Versions: c.versions}
}

// failed returns the error of a change. A conflict with If-Match is a failed
// precondition (RFC 9110, section 15.5.13).
func (c condition) failed(err error) error {
	if !c.given || contacts.CodeOf(err) != contacts.CodeConflict {
		return err
	}
	f := failureOf(err)
	f.status, f.details = http.StatusPreconditionFailed, c.hint
	return f
}
