package contacts

import (
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
)

// context brings one of the two contexts into its JSON form: as the caller gets
// it back and, names sorted, as the text that a store keeps. nil stays nil and
// has no text.
func (r *rules) context(m map[string]any, field string, bad *problems) (form map[string]any, stored string) {
	if m == nil {
		return nil, ""
	}
	e := contextEncoder{maxBytes: r.limits.ContextBytes, maxDepth: r.limits.ContextDepth}
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
		return nil, ""
	}
	return form, string(e.text)
}

// A contextError is a reason to refuse a context.
type contextError struct{ code, message string }

func (e *contextError) Error() string { return e.message }

// A contextEncoder writes a value as compact JSON and rebuilds it in the types
// that JSON has, in one walk.
type contextEncoder struct {
	text               []byte
	maxBytes, maxDepth int
}

func (e *contextEncoder) value(v any, depth int) (any, error) {
	switch v := v.(type) {
	case nil:
		e.text = append(e.text, "null"...)
		return nil, e.checkSize()
	case bool:
		e.text = strconv.AppendBool(e.text, v)
		return v, e.checkSize()
	case string:
		return v, e.string(v)
	case json.Number:
		return e.number(string(v))
	case int:
		return e.number(strconv.Itoa(v))
	case int64:
		return e.number(strconv.FormatInt(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, &contextError{FieldInvalid, "holds a number that is not finite"}
		}
		return e.number(string(jsontext.AppendFloat(nil, v, 64)))
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
		generic, err := toJSONForm(v)
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
	names := slices.AppendSeq(few[:0], maps.Keys(m))
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
	var err error
	if e.text, err = jsontext.AppendQuote(e.text, s); err != nil {
		return &contextError{FieldInvalid, "must be valid UTF-8"}
	}
	return e.checkSize()
}

// number keeps the text of a number, digit for digit.
func (e *contextEncoder) number(s string) (json.Number, error) {
	if len(s) > e.maxBytes {
		return "", e.tooLarge()
	}
	if v := jsontext.Value(s); v.Kind() != '0' || !v.IsValid() || s != strings.TrimSpace(s) {
		return "", &contextError{FieldInvalid, "holds a number that is not of JSON's form"}
	}
	e.text = append(e.text, s...)
	return json.Number(s), e.checkSize()
}

func (e *contextEncoder) checkSize() error {
	if len(e.text) > e.maxBytes {
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

// toJSONForm marshals a value of any other Go type and reads it back in the
// types that JSON has.
func toJSONForm(v any) (any, error) {
	b, err := jsonv2.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := newDecoder(b, nil)
	form := d.value()
	return form, d.err
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
