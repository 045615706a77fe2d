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
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// A jsonReader reads one JSON text strictly (RFC 8259): names are exact and occur
// once, and numbers keep their digits. A value of the wrong type is added to bad,
// and reading goes on. Its error sticks: after one, every method does nothing.
type jsonReader struct {
	json *jsontext.Decoder
	text []byte // all of it
	bad  *problems
	err  error
	at   int64 // where the present token starts, or white space before it

	ctx      context.Context // is checked now and then; nil: never
	tokens   int             // how many were read, names and ends included
	maxToken int             // a context is not kept after this many tokens; 0: all is kept
	end      int64           // a contact is not kept after this offset; 0: all is kept
	maxDepth int             // how deep the text may nest
}

// The errors that the syntax alone does not find.
var (
	errNoObject = errors.New("the body is not one JSON object")
	errTooDeep  = errors.New("nested too deep")
	errTrailing = errors.New("data after the object")
)

func newJSONReader(text []byte, bad *problems) *jsonReader {
	r := &jsonReader{bad: bad}
	r.reset(text)
	return r
}

// reset has the reader read another text. Its memory is used again.
func (r *jsonReader) reset(text []byte) {
	decoder := r.json
	if decoder == nil {
		decoder = new(jsontext.Decoder)
	}
	decoder.Reset(bytes.NewBuffer(text))
	*r = jsonReader{json: decoder, text: text, bad: r.bad, maxDepth: bodyDepth}
}

func (r *jsonReader) id(dst *uuid.UUID, field string) {
	s, ok := r.quoted(field)
	if !ok {
		return
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != len(id.String()) {
		r.bad.add(field, FieldInvalid, "must be a UUID")
		return
	}
	*dst = id
}

// time reads a time of RFC 3339. It refuses the zero time, which would pass for an
// absent one.
func (r *jsonReader) time(dst *time.Time, field string) {
	text, ok := r.quoted(field)
	if !ok {
		return
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		r.bad.add(field, FieldInvalid, "must be a time of RFC 3339, such as 2026-11-01T10:00:00Z")
		return
	}
	if t.IsZero() {
		r.bad.add(field, FieldInvalid, "must be after 0001-01-01T00:00:00Z")
		return
	}
	*dst = t
}

// quoted reads a string; false: it was null, or of the wrong type.
func (r *jsonReader) quoted(field string) (s string, ok bool) {
	ok = r.kind() == '"'
	r.string(&s, field)
	return s, ok && r.err == nil
}

func (r *jsonReader) string(dst *string, field string) {
	switch r.kind() {
	case '"':
		*dst = r.token().String()
	case 'n':
		r.token()
	default:
		r.wrongType(field, "a string")
	}
}

// stringNotNull reads an element of a list, in which null does not mean absent.
func (r *jsonReader) stringNotNull(field string) (s string) {
	if r.kind() == 'n' {
		r.wrongType(field, "a string")
	} else {
		r.string(&s, field)
	}
	return s
}

func (r *jsonReader) boolean(dst *bool, field string) {
	switch r.kind() {
	case 't', 'f':
		*dst = r.bool()
	case 'n':
		r.token()
	default:
		r.wrongType(field, "true or false")
	}
}

func (r *jsonReader) integer(dst *int64, field string) {
	switch r.kind() {
	case '0':
		n, err := strconv.ParseInt(r.number(), 10, 64)
		if r.err == nil && err != nil {
			r.bad.add(field, FieldWrongType, "must be an integer of at most 64 bits, without fraction and exponent")
			return
		}
		*dst = n
	case 'n':
		r.token()
	default:
		r.wrongType(field, "an integer")
	}
}

// object reads an object that has at most limit bytes as compact JSON, in which no
// value has less than one. What is beyond that is not kept.
func (r *jsonReader) object(dst *map[string]any, field string, limit int) {
	switch r.kind() {
	case '{':
		start := r.tokens
		r.maxToken = start + limit
		*dst, _ = r.value().(map[string]any)
		r.maxToken = 0
		if r.tokens > start+limit && r.err == nil {
			r.bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d bytes as compact JSON", limit))
			*dst = nil
		}
	case 'n':
		r.token()
	default:
		r.wrongType(field, "an object")
	}
}

func (r *jsonReader) array(field string, element func(i int)) {
	switch r.kind() {
	case '[':
		r.token()
		for i := 0; r.kind() != ']' && r.err == nil; i++ {
			element(i)
		}
		r.token()
	case 'n':
		r.token()
	default:
		r.wrongType(field, "an array")
	}
}

// members reads an object and yields the name of each of its members; the loop's
// body reads the value.
func (r *jsonReader) members() func(yield func(name string) bool) {
	return func(yield func(name string) bool) {
		r.token()
		for r.kind() != '}' && r.err == nil {
			name := r.token().String()
			if r.err == nil && !yield(name) {
				return
			}
		}
		r.token()
	}
}

// value reads any value. Numbers keep their text.
func (r *jsonReader) value() any {
	switch r.kind() {
	case '{':
		m := make(map[string]any)
		for name := range r.members() {
			if v := r.value(); !r.over() {
				m[name] = v
			}
		}
		return m
	case '[':
		a := []any{}
		r.array("", func(int) {
			if v := r.value(); !r.over() {
				a = append(a, v)
			}
		})
		return a
	case '"':
		return r.token().String()
	case '0':
		return json.Number(r.number())
	case 't', 'f':
		return r.bool()
	default:
		r.token()
		return nil
	}
}

func (r *jsonReader) wrongType(field, want string) {
	r.skip()
	if r.err == nil {
		r.bad.add(field, FieldWrongType, "must be "+want)
	}
}

// skip reads a value token by token, which checks its depth too.
func (r *jsonReader) skip() {
	for depth := r.json.StackDepth(); r.err == nil; {
		if r.token(); r.json.StackDepth() <= depth {
			return
		}
	}
}

func (r *jsonReader) kind() jsontext.Kind {
	if r.err != nil {
		return jsontext.KindInvalid
	}
	return r.json.PeekKind()
}

// over reports whether more was read than is kept.
func (r *jsonReader) over() bool {
	return r.maxToken > 0 && r.tokens > r.maxToken || r.end > 0 && r.json.InputOffset() > r.end
}

// token reads the next token; after an error it is the null token.
func (r *jsonReader) token() jsontext.Token {
	if r.err != nil {
		return jsontext.Null
	}
	const now = 1 << 10 // tokens between two looks at the context
	if r.tokens++; r.tokens%now == 0 && r.ctx != nil && r.ctx.Err() != nil {
		r.err = r.ctx.Err()
		return jsontext.Null
	}
	r.at = r.json.InputOffset()
	t, err := r.json.ReadToken()
	if err == nil && r.json.StackDepth() > r.maxDepth {
		err = errTooDeep
	}
	if err != nil {
		r.err = err
		return jsontext.Null
	}
	return t
}

// bool reads what starts like true or false, and may not go on so.
func (r *jsonReader) bool() bool {
	t := r.token()
	return r.err == nil && t.Bool()
}

// number reads a number as it is written.
func (r *jsonReader) number() string {
	r.tokens++
	v, err := r.json.ReadValue()
	if err != nil {
		r.err = err
		return ""
	}
	return string(v)
}

// finish checks that nothing follows.
func (r *jsonReader) finish() {
	if r.err != nil {
		return
	}
	r.at = r.json.InputOffset()
	if _, err := r.json.ReadToken(); err == nil {
		r.err = errTrailing
	} else if !errors.Is(err, io.EOF) {
		r.err = err
	}
}

// explain says what is wrong with the text, and where. Of the text itself it
// repeats one character at most.
func (r *jsonReader) explain() error {
	text := r.text
	if len(bytes.TrimSpace(text)) == 0 {
		return invalidJSON("the body is empty", nil)
	}
	at := r.at
	for at < int64(len(text)) && strings.IndexByte(" \t\r\n,:", text[at]) >= 0 {
		at++
	}
	syntax, isSyntax := errors.AsType[*jsontext.SyntacticError](r.err)
	if isSyntax {
		at = min(syntax.ByteOffset, int64(len(text)))
	}
	c, size := utf8.DecodeRune(text[at:])
	var why string
	switch {
	case errors.Is(r.err, io.ErrUnexpectedEOF):
		why, at = "the text ends too early", int64(len(text))
	case errors.Is(r.err, errTooDeep):
		why = fmt.Sprintf("nested deeper than %d", r.maxDepth)
	case !isSyntax:
		why = r.err.Error()
	case errors.Is(r.err, jsontext.ErrDuplicateName):
		why = "a name occurs twice in one object"
	case errors.Is(r.err, jsontext.ErrNonStringName):
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
