package contactshttp

import (
	"iter"
	"net/http"
	"strconv"
	"strings"

	"example.com/contacts"
)

// An entityTag is an entity tag of RFC 9110, section 8.8.3.
type entityTag struct {
	weak   bool
	opaque string // the text between the quotes
}

// tagOf returns the entity tag of a contact: "v7" for version 7, and "v7.184" where
// entry 184 is the newest that the do-not-call ledger has on its numbers. It is
// "v7.184e1" where an erasure has emptied one of these entries: a reason that was
// shown may be gone. The tag is strong: the answer for a tag is always the same,
// byte for byte. It is "" for a contact whose answer changes with the clock.
func tagOf(c *contacts.Contact) string {
	if !c.DoNotCallChangesAt.IsZero() {
		return ""
	}
	tag := `"v` + strconv.FormatInt(c.Version, 10)
	if c.DoNotCallSequence != 0 {
		tag += "." + strconv.FormatInt(c.DoNotCallSequence, 10)
	}
	if c.DoNotCallErased != 0 {
		tag += "e" + strconv.Itoa(c.DoNotCallErased)
	}
	return tag + `"`
}

// version returns the version that the tag names. It returns false if no contact
// can have the tag. A block of calls to a number does not come before a change, so
// what the tag says of the ledger is not judged.
func (t entityTag) version() (int64, bool) {
	digits, ok := strings.CutPrefix(t.opaque, "v")
	digits, sequence, more := strings.Cut(digits, ".")
	v, is := positive(digits)
	if more {
		sequence, erased, some := strings.Cut(sequence, "e")
		_, isSequence := positive(sequence)
		_, isCount := positive(erased)
		is = is && isSequence && (isCount || !some)
	}
	return v, ok && is
}

// positive returns the number that the digits are in their shortest form.
func positive(digits string) (int64, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == digits
}

// isStar reports whether If-Match or If-None-Match is "*".
func isStar(values []string) bool {
	return len(values) == 1 && strings.Trim(values[0], " \t") == "*"
}

// entityTags yields the tags in the lines of If-Match or If-None-Match, one by one.
// A header that cannot be read yields false and ends there.
func entityTags(values []string) iter.Seq2[entityTag, bool] {
	return func(yield func(entityTag, bool) bool) {
		for s := strings.Join(values, ","); ; { // RFC 9110, section 5.2
			if s = strings.TrimLeft(s, " \t,"); s == "" { // empty elements: section 5.6.1.2
				return
			}
			var t entityTag
			var ok bool
			s, t.weak = strings.CutPrefix(s, "W/")
			s, ok = strings.CutPrefix(s, `"`)
			end := strings.IndexByte(s, '"')
			if !ok || end < 0 || strings.ContainsFunc(s[:end], func(c rune) bool { return c <= ' ' || c == 0x7f }) {
				yield(t, false)
				return
			}
			t.opaque, s = s[:end], strings.TrimLeft(s[end+1:], " \t")
			if ok = s == "" || s[0] == ','; !yield(t, ok) || !ok {
				return
			}
		}
	}
}

// unchanged reports whether If-None-Match names the tag. A header that cannot be
// read is ignored.
func unchanged(h http.Header, tag string) bool {
	values := h.Values(ifNoneMatch)
	if isStar(values) {
		return true
	}
	found := false
	for t, ok := range entityTags(values) {
		if !ok {
			return false
		}
		found = found || `"`+t.opaque+`"` == tag // weak or not: RFC 9110, section 13.1.2
	}
	return found
}

const ifMatch, ifNoneMatch = "If-Match", "If-None-Match"

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
	h := c.request.Header
	if len(h.Values(ifNoneMatch)) > 0 {
		c.wrong.add(ifNoneMatch, contacts.FieldInvalid, "must not be given for a change; use "+ifMatch)
	}
	values := h.Values(ifMatch)
	if len(values) == 0 {
		return
	}
	c.condition.given = true
	if isStar(values) {
		return
	}
	versions, n, ok := namedVersions(values)
	if n > maxEntityTags {
		c.wrong.add(ifMatch, contacts.FieldTooMany, "must have at most "+strconv.Itoa(maxEntityTags)+" entity tags")
	}
	if !ok {
		c.condition.hint = []contacts.FieldError{{
			Field: ifMatch, Code: contacts.FieldInvalid, Message: `must be * or a list of ETags, for example "v1"`,
		}}
	}
	c.condition.versions = versions
}

// refuseConditions refuses both headers for a create and an upsert, which name no
// contact that could have a version. A client that sends them would rely on them.
func (c *call) refuseConditions() {
	for _, name := range []string{ifMatch, ifNoneMatch} {
		if len(c.request.Header.Values(name)) > 0 {
			c.wrong.add(name, contacts.FieldInvalid, "must not be given for a create or an upsert")
		}
	}
}

// namedVersions returns the versions that If-Match names, and how many tags it has.
// It stops after one tag too many. ok is false if the header cannot be read. The
// versions are never nil: without a usable tag no version is allowed.
func namedVersions(values []string) (versions []int64, n int, ok bool) {
	versions = []int64{}
	for t, ok := range entityTags(values) {
		if !ok {
			return []int64{}, 0, false
		}
		if n++; n > maxEntityTags {
			break
		}
		if v, is := t.version(); is && !t.weak {
			versions = append(versions, v)
		}
	}
	return versions, n, n > 0
}

// options returns the condition as options of a change.
func (c condition) options() *contacts.ChangeOptions {
	return &contacts.ChangeOptions{
		Versions: c.versions,
		Shown:    func(c *contacts.Contact) any { return contactOf(c) },
	}
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
