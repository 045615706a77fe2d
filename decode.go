package contacts

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A body is a JSON body to be read.
type body struct {
	reader io.Reader
	limit  int // in bytes
	bad    *problems
	read   func(*jsonReader) // takes the one object that the body must be
}

// decode reads the body. Text that is not JSON is an error. JSON of the wrong
// type and unknown fields are added to bad, and reading goes on.
func (b body) decode(ctx context.Context) error {
	if b.reader == nil {
		b.reader = bytes.NewReader(nil)
	}
	text, err := io.ReadAll(io.LimitReader(&bodyReader{ctx: ctx, body: b.reader}, int64(b.limit)+1))
	if err != nil {
		return invalidJSON("the body could not be read", err)
	}
	if len(text) > b.limit {
		return invalidJSON(fmt.Sprintf("the body has more than %d bytes", b.limit), ErrBodyTooLarge)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // a byte order mark, which a reader may skip: RFC 8259, section 8.1
	r := newJSONReader(text, b.bad)
	r.ctx = ctx
	if r.kind() == '{' {
		b.read(r)
	} else if r.token(); r.err == nil {
		r.err = errNoObject
	}
	r.finish()
	if r.err != nil {
		return r.explain()
	}
	return nil
}

// A bodyReader ends with its context, and when reads keep bringing nothing.
type bodyReader struct {
	ctx   context.Context
	body  io.Reader
	empty int // reads in a row that brought nothing
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.body.Read(p)
	if n > 0 || err != nil {
		b.empty = 0
		return n, err
	}
	const maxEmptyReads = 100 // as package bufio has it
	if b.empty++; b.empty == maxEmptyReads {
		return 0, io.ErrNoProgress
	}
	return 0, nil
}

func invalidJSON(why string, cause error) error {
	return &Error{Code: CodeInvalidJSON, Message: "invalid JSON: " + why, cause: cause}
}

// A contactReader reads contacts of a body.
type contactReader struct {
	*jsonReader
	rules   *rules
	stored  bool // the body is of a change: it may repeat what the client has read
	merges  bool // the body is of a PATCH
	given   fieldSet
	nested  fieldSet      // those of given that were in a nested address
	phones  []phoneFields // given of each phone number
	repeats []repeat

	addTags, removeTags []string

	more func(name string) bool // reads a member of another name; nil: there are none
}

// contact reads an object, which must be next.
func (r *contactReader) contact(in *CreateContactInput) {
	texts := in.texts()
	var address *nestedAddress
	for name := range r.members() {
		if name == "address" && r.stored && r.kind() == '{' {
			address = r.address()
			continue
		}
		n := fieldNumber(name)
		r.given |= 1 << n
		if n < len(textFields) {
			r.string(texts[n], name)
			continue
		}
		switch name {
		case "team_id":
			r.integer(&in.TeamID, name)
		case "tags":
			r.tags(&in.Tags, name)
		case "phone_numbers":
			r.array(name, func(i int) {
				if r.bad.full() || len(in.PhoneNumbers) > r.rules.limits.PhoneNumbers { // one too many is enough to refuse
					r.skip()
					return
				}
				phone, given := r.phoneNumber(i)
				in.PhoneNumbers = append(in.PhoneNumbers, phone)
				if r.stored {
					r.phones = append(r.phones, given)
				}
			})
		case "custom_context":
			r.object(&in.CustomContext, name, r.rules.limits.ContextBytes)
		case "industry_context":
			r.object(&in.IndustryContext, name, r.rules.limits.ContextBytes)
		case "idempotency_key":
			r.string(&in.IdempotencyKey, name)
		default:
			switch {
			case r.merges && name == "add_tags":
				r.tags(&r.addTags, name)
			case r.merges && name == "remove_tags":
				r.tags(&r.removeTags, name)
			case r.more == nil || !r.more(name):
				r.other(repeat{path: nameOf(name), phone: -1, name: name})
			}
		}
	}
	r.flatten(address, in)
}

func (r *contactReader) tags(dst *[]string, field string) {
	r.array(field, func(i int) {
		if r.bad.full() || r.over() {
			r.skip()
			return
		}
		*dst = append(*dst, r.stringNotNull(element(field, i)))
	})
}

// upsert reads the object of an upsert.
func (r *contactReader) upsert(in *UpsertContactInput) {
	r.more = func(name string) bool {
		switch name {
		case "match_on":
			if r.kind() == '[' {
				in.MatchOn = []KeyKind{} // as in Go: an empty list is not an absent one
			}
			r.array(name, func(i int) {
				var kind string
				if i > len(keyKinds) { // one too many is enough to refuse
					r.skip()
					return
				}
				r.string(&kind, element(name, i))
				in.MatchOn = append(in.MatchOn, KeyKind(kind))
			})
		case "mode":
			r.string((*string)(&in.Mode), name)
		case "tags_mode":
			r.string((*string)(&in.TagsMode), name)
		case "update_only":
			r.boolean(&in.UpdateOnly, name)
		case "restore_deleted":
			r.boolean(&in.RestoreDeleted, name)
		default:
			return false
		}
		return true
	}
	r.contact(&in.CreateContactInput)
}

// A nestedAddress is the postal address as an answer of the REST call has it.
type nestedAddress struct {
	given  fieldSet
	fields CreateContactInput // those of the address alone
}

// addressPath returns the path of a field of the address in a nested one; false: it
// is no such field.
func addressPath(field string) (string, bool) {
	switch field {
	case "address":
		return "address.street", true
	case "city", "state", "zip_code", "country":
		return "address." + field, true
	default:
		return "", false
	}
}

// address reads a nested address.
func (r *contactReader) address() *nestedAddress {
	a := new(nestedAddress)
	texts := a.fields.texts()
	for name := range r.members() {
		field := name
		if name == "street" {
			field = "address"
		}
		path, ok := addressPath(field)
		if !ok || name == "address" {
			r.unknown("address." + nameOf(name))
			continue
		}
		n := fieldNumber(field)
		a.given |= 1 << n
		r.string(texts[n], path)
	}
	return a
}

// flatten sets the fields of a nested address. A field that is given beside it too
// must be the same. nil: there was no nested address.
func (r *contactReader) flatten(a *nestedAddress, in *CreateContactInput) {
	if a == nil {
		return
	}
	nested, flat := a.fields.texts(), in.texts()
	for n := range textFields {
		bit := fieldSet(1) << n
		if a.given&bit == 0 {
			continue
		}
		path, _ := addressPath(textFields[n].name)
		if r.given&bit != 0 && *flat[n] != *nested[n] && !r.bad.has(path) && !r.bad.has(textFields[n].name) {
			r.bad.add(path, FieldInvalid, "differs from "+textFields[n].name+", which is given too")
		}
		*flat[n] = *nested[n]
	}
	r.given |= a.given
	r.nested = a.given
}

func (r *contactReader) phoneNumber(i int) (p PhoneNumberInput, given phoneFields) {
	field := element("phone_numbers", i)
	if r.kind() != '{' {
		r.wrongType(field, "an object")
		return p, given
	}
	for name := range r.members() {
		path := field + "." + nameOf(name)
		switch {
		case name == "phone_number":
			given |= phoneNumberGiven
			r.string(&p.PhoneNumber, path)
		case name == "phone_type":
			given |= phoneTypeGiven
			r.string(&p.PhoneType, path)
		case name == "primary":
			given |= primaryGiven
			r.boolean(&p.Primary, path)
		case name == "do_not_call":
			if r.kind() != 'n' { // null says nothing, like false in a create
				given |= doNotCallGiven
			}
			r.boolean(&p.DoNotCall, path)
		case r.stored && (name == "dnc_date" || name == "dnc_reason"):
			// A client sends back what it has read. They are of the number, and
			// change without the contact.
			if name == "dnc_date" {
				r.time(new(time.Time), path)
			} else {
				r.string(new(string), path)
			}
		case name == "id" && r.stored:
			r.id(&p.ID, path)
		default:
			r.other(repeat{path: path, phone: i, name: name})
		}
	}
	return p, given
}

// A batch is the body of a batch.
type batch struct {
	creation
	tooMany bool // there were more
}

// batchDepth is how deep a contact lies in the body of a batch: in an array in an
// object.
const batchDepth = 2

// batch reads the body of a batch. Each contact is made a new contact at once, and
// its contexts stay text: as Go values, those of a whole batch could take forty
// times the memory of the body.
func (r *contactReader) batch(b *batch) {
	r.maxDepth = bodyDepth + batchDepth
	whole, found, given := r.bad, 0, false
	for name := range r.members() {
		switch name {
		case "contacts":
			given = r.kind() != 'n'
			r.array(name, func(i int) {
				if i >= r.rules.limits.Batch {
					r.skip()
					b.tooMany = true
					return
				}
				bad := problems{limit: problemLimit(found)}
				r.bad = &bad
				in := r.item(element(name, i))
				r.bad = whole
				n := r.rules.newContact(in, true, &bad)
				n.forms = freeformForms{}
				b.contacts = append(b.contacts, n)
				found += len(bad.list)
			})
		case "all_or_nothing":
			r.boolean(&b.allOrNothing, name)
		default:
			r.unknown(nameOf(name))
		}
	}
	if !given && r.err == nil {
		r.bad.add("contacts", FieldRequired, "is required")
	}
}

// item reads one contact of a batch. It may have as many bytes as the body of a
// create.
func (r *contactReader) item(field string) *CreateContactInput {
	if r.kind() != '{' {
		r.wrongType(field, "an object")
		return &CreateContactInput{FirstName: "-"} // so that a missing name is not reported as well
	}
	in := new(CreateContactInput)
	limit := r.rules.limits.BodyBytes
	r.end = r.json.InputOffset() + int64(limit)
	r.contact(in)
	if r.over() && r.err == nil {
		r.bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d bytes", limit))
	}
	r.end = 0
	return in
}

// other reads a member that is no field.
func (r *contactReader) other(m repeat) {
	if r.stored {
		r.keep(m)
	} else {
		r.unknown(m.path)
	}
}

func (r *contactReader) unknown(field string) {
	r.skip()
	r.refuse(field)
}

// refuse refuses an unknown field.
func (r *contactReader) refuse(field string) {
	if r.err == nil && !r.rules.allowUnknown {
		r.bad.add(field, FieldUnknown, "is not a field of a contact")
	}
}

// nameOf returns the name of a field for its path. An unknown name is the
// sender's own text: it may hold a key, or look like something else.
func nameOf(name string) string {
	if holdsKey(name) {
		return `"[key]"`
	}
	const maxBytes = 100
	if len(name) > maxBytes {
		n := maxBytes
		for !utf8.RuneStart(name[n]) {
			n--
		}
		name = name[:n] + "…"
	}
	if strings.ContainsFunc(name, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_-…", c)
	}) || name == "" {
		return strconv.Quote(name)
	}
	return name
}
