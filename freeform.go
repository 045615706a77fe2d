package contacts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// contexts brings both contexts into their JSON form: the form that the caller
// gets back, and the text that a store keeps, with sorted names. A nil context
// stays nil and has no text. own is that of [rules.contact].
func (r *rules) contexts(in *CreateContactInput, own bool, d *draft, bad *problems) {
	if in.CustomContext == nil && in.IndustryContext == nil {
		return
	}
	buffer, ok := r.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	defer r.buffers.Put(buffer)
	e := r.encoder((*buffer)[:0])
	e.own = own
	d.forms.custom = e.context(in.CustomContext, "custom_context", bad)
	custom := len(e.text)
	d.forms.industry = e.context(in.IndustryContext, "industry_context", bad)
	both := string(e.text)
	*buffer = e.text
	d.record.CustomContext, d.record.IndustryContext = both[:custom], both[custom:]
}

// encoder returns an encoder that appends to the buffer.
func (r *rules) encoder(buffer []byte) freeformEncoder {
	return freeformEncoder{text: buffer, maxBytes: r.limits.ContextBytes, maxDepth: r.limits.ContextDepth}
}

// freeformForms are both contexts as a caller gets them.
type freeformForms struct{ custom, industry map[string]any }

// freeformTexts are both contexts as a store keeps them.
type freeformTexts struct{ custom, industry string }

// A freeformError is a reason to refuse a context.
type freeformError struct{ code, message string }

func (e *freeformError) Error() string { return e.message }

// A freeformEncoder writes contexts as compact JSON, one after the other. In the same
// walk it rebuilds them in the types that JSON has, unless they are its own.
type freeformEncoder struct {
	text               []byte
	start              int  // of the present context
	own                bool // the values have the types that JSON has, and are the forms
	maxBytes, maxDepth int
}

// context writes a context and returns its form.
func (e *freeformEncoder) context(m map[string]any, field string, bad *problems) map[string]any {
	if m == nil {
		return nil
	}
	e.start = len(e.text)
	form, err := e.object(m, 1)
	e.report(err, field, bad)
	return form
}

// merged writes what a patch makes of a context (RFC 7396), and returns its form.
func (e *freeformEncoder) merged(old, patch map[string]any, field string, bad *problems) map[string]any {
	e.start = len(e.text)
	form, err := e.merge(old, patch, 1)
	e.report(err, field, bad)
	return form
}

// report adds what is wrong with a context, if anything is.
func (e *freeformEncoder) report(err error, field string, bad *problems) {
	if err == nil {
		return
	}
	problem, ok := errors.AsType[*freeformError](err)
	switch {
	case errors.Is(err, errTooDeep):
		problem = e.tooDeep()
	case !ok:
		problem = &freeformError{FieldInvalid, "holds a value that has no JSON form"}
	}
	bad.add(field, problem.code, problem.message)
}

func (e *freeformEncoder) value(value any, depth int) (any, error) {
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
			return nil, &freeformError{FieldInvalid, "holds a number that is not finite"}
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

func (e *freeformEncoder) object(m map[string]any, depth int) (map[string]any, error) {
	return e.members(m, depth, func(m member) (any, error) { return e.value(m.value, depth) })
}

// A member of an object.
type member struct {
	name  string
	value any
}

// members writes an object with the members of m. write writes the value of each.
func (e *freeformEncoder) members(m map[string]any, depth int, write func(member) (any, error)) (map[string]any, error) {
	if err := e.checkDepth(depth); err != nil {
		return nil, err
	}
	var few [8]member
	members := few[:0]
	for name, value := range m {
		members = append(members, member{name, value})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	form := m
	if !e.own {
		form = make(map[string]any, len(m))
	}
	e.text = append(e.text, '{')
	for i, member := range members {
		if i > 0 {
			e.text = append(e.text, ',')
		}
		if err := e.string(member.name); err != nil {
			return nil, err
		}
		e.text = append(e.text, ':')
		v, err := write(member)
		if err != nil {
			return nil, err
		}
		if !e.own {
			form[member.name] = v
		}
	}
	e.text = append(e.text, '}')
	return form, e.checkSize()
}

// merge writes old with the members of the patch: null removes a member, an
// object is merged, every other value takes the place of the old one.
func (e *freeformEncoder) merge(old, patch map[string]any, depth int) (map[string]any, error) {
	union := make(map[string]any, len(old)+len(patch))
	maps.Copy(union, old)
	for name, v := range patch {
		v, err := e.generic(v)
		if err != nil {
			return nil, err
		}
		if v == nil {
			delete(union, name)
			continue
		}
		union[name] = v
	}
	return e.members(union, depth, func(m member) (any, error) {
		_, given := patch[m.name]
		if inner, ok := m.value.(map[string]any); given && ok {
			was, _ := old[m.name].(map[string]any)
			return e.merge(was, inner, depth+1)
		}
		return e.value(m.value, depth)
	})
}

// generic returns a value in one of the types that value knows.
func (e *freeformEncoder) generic(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, json.Number, int, int64, float64:
		return v, nil
	case map[string]any:
		if v == nil {
			return nil, nil
		}
		return v, nil
	case []any:
		if v == nil {
			return nil, nil
		}
		return v, nil
	default:
		return e.toJSONForm(v)
	}
}

func (e *freeformEncoder) array(a []any, depth int) ([]any, error) {
	if err := e.checkDepth(depth); err != nil {
		return nil, err
	}
	form := a
	if !e.own {
		form = make([]any, 0, min(len(a), e.maxBytes))
	}
	e.text = append(e.text, '[')
	for i, v := range a {
		if i > 0 {
			e.text = append(e.text, ',')
		}
		v, err := e.value(v, depth)
		if err != nil {
			return nil, err
		}
		if !e.own {
			form = append(form, v)
		}
	}
	e.text = append(e.text, ']')
	return form, e.checkSize()
}

func (e *freeformEncoder) string(s string) error {
	// Quoting a huge string only to refuse it would cost its size again.
	if len(s) > e.maxBytes {
		return e.tooLarge()
	}
	if strings.IndexByte(s, 0) >= 0 {
		return &freeformError{FieldInvalid, "must hold no NUL"}
	}
	if needsNoEscape(s) {
		e.text = append(e.text, '"')
		e.text = append(e.text, s...)
		e.text = append(e.text, '"')
		return e.checkSize()
	}
	var err error
	if e.text, err = jsontext.AppendQuote(e.text, s); err != nil {
		return &freeformError{FieldInvalid, "must be valid UTF-8"}
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
func (e *freeformEncoder) number(s string) error {
	if len(s) > e.maxBytes {
		return e.tooLarge()
	}
	start := len(e.text)
	e.text = append(e.text, s...)
	if v := jsontext.Value(e.text[start:]); v.Kind() != '0' || !v.IsValid() || s != strings.TrimSpace(s) {
		return &freeformError{FieldInvalid, "holds a number that is not of JSON's form"}
	}
	return e.checkSize()
}

func (e *freeformEncoder) checkSize() error {
	if len(e.text)-e.start > e.maxBytes {
		return e.tooLarge()
	}
	return nil
}

func (e *freeformEncoder) tooLarge() *freeformError {
	return &freeformError{FieldTooLong, fmt.Sprintf("must have at most %d bytes as compact JSON", e.maxBytes)}
}

func (e *freeformEncoder) checkDepth(depth int) error {
	if depth > e.maxDepth {
		return e.tooDeep()
	}
	return nil
}

func (e *freeformEncoder) tooDeep() *freeformError {
	return &freeformError{FieldTooDeep, fmt.Sprintf("must nest at most %d deep", e.maxDepth)}
}

// toJSONForm marshals a value of any other Go type, as encoding/json does, and
// reads it back in the types that JSON has. Unlike encoding/json it refuses
// invalid UTF-8 and names that occur twice.
func (e *freeformEncoder) toJSONForm(v any) (any, error) {
	w := limitedBuffer{limit: e.maxBytes}
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
	r := newJSONReader(w.Bytes(), nil)
	form := r.value()
	return form, r.err
}

// A limitedBuffer refuses too much, because a marshaler may write without end.
type limitedBuffer struct {
	bytes.Buffer
	limit    int
	exceeded bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	// Escapes that will be resolved take up to six bytes for one.
	if b.Len()+len(p) > 6*b.limit {
		b.exceeded = true
		return 0, errors.New("too much")
	}
	return b.Buffer.Write(p)
}

// loadFreeform reads back the context that a store kept. Its error holds nothing
// of the context.
func loadFreeform(name, stored string) (map[string]any, error) {
	return new(jsonReader).freeform(name, stored)
}

// freeform is loadFreeform for many contexts, one after the other.
func (r *jsonReader) freeform(name, stored string) (map[string]any, error) {
	if stored == "" {
		return nil, nil
	}
	r.reset([]byte(stored))
	form, ok := r.value().(map[string]any)
	r.finish()
	if r.err != nil || !ok {
		return nil, fmt.Errorf("its %s is not a JSON object: wrong at byte %d of %d", name, r.json.InputOffset(), len(stored))
	}
	return form, nil
}

// depthOf returns how deep a value nests: 1 for an object of texts.
func depthOf(v any) (depth int) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			depth = max(depth, depthOf(inner))
		}
	case []any:
		for _, inner := range v {
			depth = max(depth, depthOf(inner))
		}
	default:
		return 0
	}
	return depth + 1
}

// decodeFreeform decodes the form of a context into the value that v points to.
func decodeFreeform(form map[string]any, v any) error {
	text, err := json.Marshal(form)
	if err != nil {
		return fmt.Errorf("contacts: decode a context: %w", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("contacts: decode a context: %w", err)
	}
	return nil
}
