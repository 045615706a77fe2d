package contacts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// decode reads a JSON body of at most limit bytes: read takes the one object that
// it must be. What is not JSON is an error; what is JSON of the wrong type, or a
// field that does not exist, is added to bad, and the rest is read all the same.
func decode(ctx context.Context, body io.Reader, limit int, read func(*decoder), bad *problems) error {
	if body == nil {
		body = bytes.NewReader(nil)
	}
	text, err := io.ReadAll(io.LimitReader(&bodyReader{ctx: ctx, body: body}, int64(limit)+1))
	if err != nil {
		return invalidJSON("the body could not be read", err)
	}
	if len(text) > limit {
		return invalidJSON(fmt.Sprintf("the body has more than %d bytes", limit), ErrBodyTooLarge)
	}
	d := newDecoder(text, bad)
	d.ctx = ctx
	if d.kind() == '{' {
		read(d)
	} else if d.token(); d.err == nil {
		d.err = errNoObject
	}
	d.finish()
	if d.err != nil {
		return d.explain(text)
	}
	return nil
}

// A bodyReader ends with its context, and when nothing comes any more.
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
	const most = 100
	if b.empty++; b.empty == most {
		return 0, io.ErrNoProgress
	}
	return 0, nil
}

func invalidJSON(why string, cause error) error {
	return &Error{Code: CodeInvalidJSON, Message: "invalid JSON: " + why, cause: cause}
}

// A decoder reads one JSON text. Its error sticks: after one, every method does
// nothing.
type decoder struct {
	json *jsontext.Decoder
	bad  *problems
	err  error
	at   int64 // where the present token starts, or white space before it

	ctx    context.Context // asked now and then; nil: never
	tokens int             // that were read, names and ends included
	most   int             // tokens after which a context is no longer kept; 0: all is
	end    int64           // where a contact ends to be kept; 0: nowhere

	deep   int  // how deep the text may nest
	change bool // of a stored contact: phone numbers may have ids, and what is given is told:

	given  fieldSet   // the parameters
	phones []phoneSet // the members of each phone number
}

// What the syntax alone does not find.
var (
	errNoObject = errors.New("the body is not one JSON object")
	errTooDeep  = errors.New("nested too deep")
	errTrailing = errors.New("data behind the object")
)

func newDecoder(text []byte, bad *problems) *decoder {
	return &decoder{json: jsontext.NewDecoder(bytes.NewBuffer(text)), bad: bad, deep: bodyDepth}
}

// contact reads an object, which must be next.
func (d *decoder) contact(r *rules, in *CreateContactInput) {
	for name := range d.members() {
		if d.change {
			d.given |= fieldsOf(name)
		}
		switch name {
		case "first_name":
			d.string(&in.FirstName, name)
		case "last_name":
			d.string(&in.LastName, name)
		case "email":
			d.string(&in.Email, name)
		case "company":
			d.string(&in.Company, name)
		case "website":
			d.string(&in.Website, name)
		case "address":
			d.string(&in.Address, name)
		case "city":
			d.string(&in.City, name)
		case "state":
			d.string(&in.State, name)
		case "zip_code":
			d.string(&in.ZipCode, name)
		case "country":
			d.string(&in.Country, name)
		case "status":
			d.string(&in.Status, name)
		case "stage":
			d.string(&in.Stage, name)
		case "team_id":
			d.integer(&in.TeamID, name)
		case "tags":
			d.array(name, func(i int) {
				var tag string
				if d.bad.full() || d.over() {
					d.skip()
					return
				}
				if d.kind() == 'n' {
					d.wrongType(element(name, i), "a string")
				} else {
					d.string(&tag, element(name, i))
				}
				in.Tags = append(in.Tags, tag)
			})
		case "phone_numbers":
			d.array(name, func(i int) {
				if d.bad.full() || len(in.PhoneNumbers) > r.limits.PhoneNumbers { // one too many says it
					d.skip()
					return
				}
				phone, given := d.phoneNumber(element(name, i), r.allowUnknown)
				in.PhoneNumbers = append(in.PhoneNumbers, phone)
				if d.change {
					d.phones = append(d.phones, given)
				}
			})
		case "custom_context":
			d.object(&in.CustomContext, name, r.limits.ContextBytes)
		case "industry_context":
			d.object(&in.IndustryContext, name, r.limits.ContextBytes)
		case "idempotency_key":
			d.string(&in.IdempotencyKey, name)
		default:
			d.unknown(nameOf(name), r.allowUnknown)
		}
	}
}

func (d *decoder) phoneNumber(field string, allowUnknown bool) (p PhoneNumberInput, given phoneSet) {
	if d.kind() != '{' {
		d.wrongType(field, "an object")
		return p, given
	}
	for name := range d.members() {
		path := field + "." + nameOf(name)
		switch {
		case name == "phone_number":
			given |= phoneNumberGiven
			d.string(&p.PhoneNumber, path)
		case name == "phone_type":
			given |= phoneTypeGiven
			d.string(&p.PhoneType, path)
		case name == "primary":
			given |= primaryGiven
			d.boolean(&p.Primary, path)
		case name == "do_not_call":
			given |= doNotCallGiven
			d.boolean(&p.DoNotCall, path)
		case name == "id" && d.change:
			d.id(&p.ID, path)
		default:
			d.unknown(path, allowUnknown)
		}
	}
	return p, given
}

func (d *decoder) id(dst *uuid.UUID, field string) {
	if d.kind() != '"' {
		var none string
		d.string(&none, field) // null, or the wrong type
		return
	}
	s := d.token().String()
	if d.err != nil {
		return
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != len(id.String()) {
		d.bad.add(field, FieldInvalid, "must be a UUID")
		return
	}
	*dst = id
}

func (d *decoder) string(dst *string, field string) {
	switch d.kind() {
	case '"':
		*dst = d.token().String()
	case 'n':
		d.token()
	default:
		d.wrongType(field, "a string")
	}
}

func (d *decoder) boolean(dst *bool, field string) {
	switch d.kind() {
	case 't', 'f':
		*dst = d.bool()
	case 'n':
		d.token()
	default:
		d.wrongType(field, "true or false")
	}
}

func (d *decoder) integer(dst *int64, field string) {
	switch d.kind() {
	case '0':
		n, err := strconv.ParseInt(d.number(), 10, 64)
		if d.err == nil && err != nil {
			d.bad.add(field, FieldWrongType, "must be an integer of at most 64 bits, without fraction and exponent")
			return
		}
		*dst = n
	case 'n':
		d.token()
	default:
		d.wrongType(field, "an integer")
	}
}

// object reads an object that has at most limit bytes as compact JSON, in which no
// value has less than one. What is beyond that is not kept.
func (d *decoder) object(dst *map[string]any, field string, limit int) {
	switch d.kind() {
	case '{':
		start := d.tokens
		d.most = start + limit
		*dst, _ = d.value().(map[string]any)
		d.most = 0
		if d.tokens > start+limit && d.err == nil {
			d.bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d bytes as compact JSON", limit))
			*dst = nil
		}
	case 'n':
		d.token()
	default:
		d.wrongType(field, "an object")
	}
}

func (d *decoder) array(field string, element func(i int)) {
	switch d.kind() {
	case '[':
		d.token()
		for i := 0; d.kind() != ']' && d.err == nil; i++ {
			element(i)
		}
		d.token()
	case 'n':
		d.token()
	default:
		d.wrongType(field, "an array")
	}
}

// members reads an object and yields the name of each of its members; the loop's
// body reads the value.
func (d *decoder) members() func(yield func(name string) bool) {
	return func(yield func(name string) bool) {
		d.token()
		for d.kind() != '}' && d.err == nil {
			name := d.token().String()
			if d.err == nil && !yield(name) {
				return
			}
		}
		d.token()
	}
}

// value reads any value. Numbers keep their text.
func (d *decoder) value() any {
	switch d.kind() {
	case '{':
		m := make(map[string]any)
		for name := range d.members() {
			if v := d.value(); !d.over() {
				m[name] = v
			}
		}
		return m
	case '[':
		a := []any{}
		d.array("", func(int) {
			if v := d.value(); !d.over() {
				a = append(a, v)
			}
		})
		return a
	case '"':
		return d.token().String()
	case '0':
		return json.Number(d.number())
	case 't', 'f':
		return d.bool()
	default:
		d.token()
		return nil
	}
}

func (d *decoder) wrongType(field, want string) {
	d.skip()
	if d.err == nil {
		d.bad.add(field, FieldWrongType, "must be "+want)
	}
}

func (d *decoder) unknown(field string, allow bool) {
	d.skip()
	if d.err == nil && !allow {
		d.bad.add(field, FieldUnknown, "is not a field of a contact")
	}
}

// nameOf returns the name of a field for its path. One that we do not know is
// the sender's own text, which may hold a key, and may be made to look like
// something else.
func nameOf(name string) string {
	if holdsKey(name) {
		return `"[key]"`
	}
	const most = 100
	if len(name) > most {
		n := most
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

// skip reads a value token by token, which checks its depth too.
func (d *decoder) skip() {
	for depth := d.json.StackDepth(); d.err == nil; {
		if d.token(); d.json.StackDepth() <= depth {
			return
		}
	}
}

func (d *decoder) kind() jsontext.Kind {
	if d.err != nil {
		return jsontext.KindInvalid
	}
	return d.json.PeekKind()
}

// over reports whether more was read than is kept.
func (d *decoder) over() bool {
	return d.most > 0 && d.tokens > d.most || d.end > 0 && d.json.InputOffset() > d.end
}

// token reads the next token; after an error it is the null token.
func (d *decoder) token() jsontext.Token {
	if d.err != nil {
		return jsontext.Null
	}
	const now = 1 << 10 // tokens between two looks at the context
	if d.tokens++; d.tokens%now == 0 && d.ctx != nil && d.ctx.Err() != nil {
		d.err = d.ctx.Err()
		return jsontext.Null
	}
	d.at = d.json.InputOffset()
	t, err := d.json.ReadToken()
	if err == nil && d.json.StackDepth() > d.deep {
		err = errTooDeep
	}
	if err != nil {
		d.err = err
		return jsontext.Null
	}
	return t
}

// bool reads what starts like true or false, and may not go on so.
func (d *decoder) bool() bool {
	t := d.token()
	return d.err == nil && t.Bool()
}

// number reads a number as it is written.
func (d *decoder) number() string {
	d.tokens++
	v, err := d.json.ReadValue()
	if err != nil {
		d.err = err
		return ""
	}
	return string(v)
}

// finish checks that nothing follows.
func (d *decoder) finish() {
	if d.err != nil {
		return
	}
	d.at = d.json.InputOffset()
	if _, err := d.json.ReadToken(); err == nil {
		d.err = errTrailing
	} else if !errors.Is(err, io.EOF) {
		d.err = err
	}
}

// explain says what is wrong with the text, and where. Of the text itself it
// repeats one character at most.
func (d *decoder) explain(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return invalidJSON("the body is empty", nil)
	}
	at := d.at
	for at < int64(len(text)) && strings.IndexByte(" \t\r\n,:", text[at]) >= 0 {
		at++
	}
	syntax, isSyntax := errors.AsType[*jsontext.SyntacticError](d.err)
	if isSyntax {
		at = min(syntax.ByteOffset, int64(len(text)))
	}
	c, size := utf8.DecodeRune(text[at:])
	var why string
	switch {
	case errors.Is(d.err, io.ErrUnexpectedEOF):
		why, at = "the text ends too early", int64(len(text))
	case errors.Is(d.err, errTooDeep):
		why = fmt.Sprintf("nested deeper than %d", d.deep)
	case !isSyntax:
		why = d.err.Error()
	case errors.Is(d.err, jsontext.ErrDuplicateName):
		why = "a name occurs twice in one object"
	case errors.Is(d.err, jsontext.ErrNonStringName):
		why = "a name must be a string"
	case c == utf8.RuneError && size <= 1:
		why = "invalid UTF-8"
	case c == '\\':
		why = "invalid escape sequence"
	default:
		why = fmt.Sprintf("unexpected character %q", c)
	}
	line := bytes.Count(text[:at], []byte("\n")) + 1
	column := utf8.RuneCount(text[bytes.LastIndexByte(text[:at], '\n')+1:at]) + 1
	return invalidJSON(fmt.Sprintf("line %d, column %d: %s", line, column, why), nil)
}
