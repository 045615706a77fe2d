package contacts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// contexts brings both contexts into their JSON form: as the caller gets them
// back and, names sorted, as the text that a store keeps. nil stays nil and has
// no text.
func (r *rules) contexts(in *CreateContactInput, record *ContactRecord, bad *problems) (forms contextForms) {
	if in.CustomContext == nil && in.IndustryContext == nil {
		return forms
	}
	buffer, ok := r.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	defer r.buffers.Put(buffer)
	e := contextEncoder{text: (*buffer)[:0], maxBytes: r.limits.ContextBytes, maxDepth: r.limits.ContextDepth}
	forms.custom = e.context(in.CustomContext, "custom_context", bad)
	custom := len(e.text)
	forms.industry = e.context(in.IndustryContext, "industry_context", bad)
	both := string(e.text)
	*buffer = e.text
	record.CustomContext, record.IndustryContext = both[:custom], both[custom:]
	return forms
}

// contextForms are both contexts as a caller gets them.
type contextForms struct{ custom, industry map[string]any }

// A contextError is a reason to refuse a context.
type contextError struct{ code, message string }

func (e *contextError) Error() string { return e.message }

// A contextEncoder writes contexts as compact JSON, one behind the other, and
// rebuilds them in the types that JSON has, in one walk.
type contextEncoder struct {
	text               []byte
	start              int // of the present context
	maxBytes, maxDepth int
}

func (e *contextEncoder) context(m map[string]any, field string, bad *problems) map[string]any {
	if m == nil {
		return nil
	}
	e.start = len(e.text)
	form, err := e.object(m, 1)
	if err != nil {
		problem, ok := errors.AsType[*contextError](err)
		switch {
		case errors.Is(err, errTooDeep):
			problem = e.tooDeep()
		case !ok:
			problem = &contextError{FieldInvalid, "holds a value that has no JSON form"}
		}
		bad.add(field, problem.code, problem.message)
	}
	return form
}

func (e *contextEncoder) value(value any, depth int) (any, error) {
	switch v := value.(type) {
	case nil:
		e.text = append(e.text, "null"...)
		return nil, e.checkSize()
	case bool:
		e.text = strconv.AppendBool(e.text, v)
		return value, e.checkSize()
	case string:
		return value, e.string(v)
	case json.Number:
		return value, e.number(string(v))
	case int:
		s := strconv.Itoa(v)
		e.text = append(e.text, s...)
		return json.Number(s), e.checkSize()
	case int64:
		s := strconv.FormatInt(v, 10)
		e.text = append(e.text, s...)
		return json.Number(s), e.checkSize()
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, &contextError{FieldInvalid, "holds a number that is not finite"}
		}
		start := len(e.text)
		e.text = jsontext.AppendFloat(e.text, v, 64)
		return json.Number(e.text[start:]), e.checkSize()
	case map[string]any:
		if v == nil {
			return e.value(nil, depth)
		}
		return e.object(v, depth+1)
	case []any:
		if v == nil {
			return e.value(nil, depth)
		}
		return e.array(v, depth+1)
	default:
		generic, err := e.toJSONForm(v)
		if err != nil {
			return nil, err
		}
		return e.value(generic, depth)
	}
}

func (e *contextEncoder) object(m map[string]any, depth int) (map[string]any, error) {
	if err := e.checkDepth(depth); err != nil {
		return nil, err
	}
	var few [8]string
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	form := make(map[string]any, len(m))
	e.text = append(e.text, '{')
	for i, name := range names {
		if i > 0 {
			e.text = append(e.text, ',')
		}
		if err := e.string(name); err != nil {
			return nil, err
		}
		e.text = append(e.text, ':')
		v, err := e.value(m[name], depth)
		if err != nil {
			return nil, err
		}
		form[name] = v
	}
	e.text = append(e.text, '}')
	return form, e.checkSize()
}

func (e *contextEncoder) array(a []any, depth int) ([]any, error) {
	if err := e.checkDepth(depth); err != nil {
		return nil, err
	}
	form := make([]any, 0, min(len(a), e.maxBytes))
	e.text = append(e.text, '[')
	for i, v := range a {
		if i > 0 {
			e.text = append(e.text, ',')
		}
		v, err := e.value(v, depth)
		if err != nil {
			return nil, err
		}
		form = append(form, v)
	}
	e.text = append(e.text, ']')
	return form, e.checkSize()
}

func (e *contextEncoder) string(s string) error {
	// Quoting a huge string only to refuse it would cost its size again.
	if len(s) > e.maxBytes {
		return e.tooLarge()
	}
	if strings.IndexByte(s, 0) >= 0 {
		return &contextError{FieldInvalid, "must hold no NUL"}
	}
	if needsNoEscape(s) {
		e.text = append(e.text, '"')
		e.text = append(e.text, s...)
		e.text = append(e.text, '"')
		return e.checkSize()
	}
	var err error
	if e.text, err = jsontext.AppendQuote(e.text, s); err != nil {
		return &contextError{FieldInvalid, "must be valid UTF-8"}
	}
	return e.checkSize()
}

// needsNoEscape reports whether s is ASCII that JSON quotes as it is.
func needsNoEscape(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// number keeps the text of a number, digit for digit.
func (e *contextEncoder) number(s string) error {
	if len(s) > e.maxBytes {
		return e.tooLarge()
	}
	start := len(e.text)
	e.text = append(e.text, s...)
	if v := jsontext.Value(e.text[start:]); v.Kind() != '0' || !v.IsValid() || s != strings.TrimSpace(s) {
		return &contextError{FieldInvalid, "holds a number that is not of JSON's form"}
	}
	return e.checkSize()
}

func (e *contextEncoder) checkSize() error {
	if len(e.text)-e.start > e.maxBytes {
		return e.tooLarge()
	}
	return nil
}

func (e *contextEncoder) tooLarge() *contextError {
	return &contextError{FieldTooLong, fmt.Sprintf("must have at most %d bytes as compact JSON", e.maxBytes)}
}

func (e *contextEncoder) checkDepth(depth int) error {
	if depth > e.maxDepth {
		return e.tooDeep()
	}
	return nil
}

func (e *contextEncoder) tooDeep() *contextError {
	return &contextError{FieldTooDeep, fmt.Sprintf("must nest at most %d deep", e.maxDepth)}
}

// toJSONForm marshals a value of any other Go type, as encoding/json does, and
// reads it back in the types that JSON has. Unlike encoding/json it refuses
// invalid UTF-8 and names that occur twice.
func (e *contextEncoder) toJSONForm(v any) (any, error) {
	w := limitedBuffer{most: e.maxBytes}
	err := jsonv2.MarshalWrite(&w, v,
		jsonv1.DefaultOptionsV1(),
		jsontext.AllowInvalidUTF8(false), jsontext.AllowDuplicateNames(false),
		jsonv2.WithMarshalers(jsonv2.MarshalToFunc(func(enc *jsontext.Encoder, n json.Number) error {
			return enc.WriteValue(jsontext.Value(n))
		})))
	if w.exceeded {
		return nil, e.tooLarge()
	}
	if err != nil {
		return nil, err
	}
	d := newDecoder(w.Bytes(), nil)
	form := d.value()
	return form, d.err
}

// A limitedBuffer fails the writer of too much, who may never come to an end.
type limitedBuffer struct {
	bytes.Buffer
	most     int
	exceeded bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	// Escapes that will be resolved take up to six bytes for one.
	if b.Len()+len(p) > 6*b.most {
		b.exceeded = true
		return 0, errors.New("too much")
	}
	return b.Buffer.Write(p)
}

// loadContext reads back what a store kept.
func loadContext(stored string) (map[string]any, error) {
	if stored == "" {
		return nil, nil
	}
	d := newDecoder([]byte(stored), nil)
	form, ok := d.value().(map[string]any)
	if d.err == nil && !ok {
		d.err = errors.New("a stored context is no JSON object")
	}
	return form, d.err
}
