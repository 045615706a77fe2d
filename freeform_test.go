package contacts_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/contacts"
)

func TestContextComesOutAsItsJSONForm(t *testing.T) {
	t.Parallel()
	type point struct {
		X int      `json:"x"`
		Y *float64 `json:"y"`
	}
	in := map[string]any{
		"": "", " verbatim ": " e\u0301\t\n ", "nil": nil, "bool": true, "int": -7, "int64": int64(math.MinInt64), "uint64": uint64(math.MaxUint64),
		"float": 0.1, "whole": 1.0, "large": 1e300, "float32": float32(0.1), "number": json.Number("1.000000000000000000000000001e-7"),
		"time": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "struct": point{X: 1}, "strings": []string{"a"}, "map": map[string]int{"b": 2, "a": 1},
		"list": []any{[]any{}, map[string]any{}, json.Number("-0")}, "nil map": map[string]any(nil), "nil list": []any(nil), "bytes": []byte{1, 2},
		"raw": json.RawMessage(`{"z":1.10}`), "numbers": []json.Number{"1.0"}, "number map": map[string]json.Number{"n": "123.0"},
		"nil strings": []string(nil), "duration": time.Second, "omitted": struct {
			N int `json:"n,omitempty"`
		}{},
	}
	num := func(s string) json.Number { return json.Number(s) }
	want := map[string]any{
		"": "", " verbatim ": " e\u0301\t\n ", "nil": nil, "bool": true, "int": num("-7"), "int64": num("-9223372036854775808"), "uint64": num("18446744073709551615"),
		"float": num("0.1"), "whole": num("1"), "large": num("1e+300"), "float32": num("0.1"), "number": num("1.000000000000000000000000001e-7"),
		"time": "2026-01-02T03:04:05Z", "struct": map[string]any{"x": num("1"), "y": nil}, "strings": []any{"a"}, "map": map[string]any{"a": num("1"), "b": num("2")},
		"list": []any{[]any{}, map[string]any{}, num("-0")}, "nil map": nil, "nil list": nil, "bytes": "AQI=",
		"raw": map[string]any{"z": num("1.10")}, "numbers": []any{num("1.0")}, "number map": map[string]any{"n": num("123.0")},
		"nil strings": nil, "duration": num("1000000000"), "omitted": map[string]any{},
	}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		created := w.create(t, contacts.CreateContactInput{FirstName: "x", CustomContext: in, IndustryContext: map[string]any{}})
		stored, err := w.svc.GetContact(t.Context(), w.key, created.ID)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]*contacts.Contact{"returned": created, "stored": stored} {
			if diff := cmp.Diff(want, c.CustomContext); diff != "" {
				t.Errorf("%s custom context (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(map[string]any{}, c.IndustryContext); diff != "" {
				t.Errorf("%s industry context, which was empty and not absent (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestContextWithoutAJSONFormIsRefused(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	cycle := map[string]any{}
	cycle["self"] = cycle
	nested := func(depth int) any {
		var v any = "leaf"
		for range depth {
			v = []any{v}
		}
		return v
	}
	type tree struct{ A, B *tree }
	wide := &tree{}
	for range 60 { // 2^60 values, few in memory
		wide = &tree{wide, wide}
	}
	type deep struct{ Next any }
	var typed any
	for range 100 {
		typed = deep{typed}
	}
	for _, c := range []struct {
		name, code string
		value      any
	}{
		{"channel", contacts.FieldInvalid, make(chan int)},
		{"function", contacts.FieldInvalid, func() {}},
		{"not a number", contacts.FieldInvalid, math.NaN()},
		{"infinity in a list", contacts.FieldInvalid, []any{math.Inf(-1)}},
		{"number that is none", contacts.FieldInvalid, json.Number("0x10")},
		{"empty number", contacts.FieldInvalid, json.Number("")},
		{"number and space", contacts.FieldInvalid, json.Number("1 ")},
		{"NUL", contacts.FieldInvalid, "a\x00"},
		{"NUL in a name", contacts.FieldInvalid, map[string]any{"\x00": 1}},
		{"NUL in a struct", contacts.FieldInvalid, deep{"\x00"}},
		{"invalid UTF-8", contacts.FieldInvalid, "a\xff"},
		{"invalid UTF-8 in a struct", contacts.FieldInvalid, deep{"\xff"}},
		{"raw JSON that is none", contacts.FieldInvalid, json.RawMessage(`{`)},
		{"itself", contacts.FieldTooDeep, cycle},
		{"33 levels", contacts.FieldTooDeep, nested(32)},
		{"100 levels of structs", contacts.FieldTooDeep, typed},
		{"number that is none in a list", contacts.FieldInvalid, []json.Number{"x"}},
		{"too many of another type", contacts.FieldTooLong, make([]int, 1_000_000)},
		{"no end", contacts.FieldTooLong, wide},
		{"too long", contacts.FieldTooLong, strings.Repeat("x", 64<<10)},
		{"too long once quoted", contacts.FieldTooLong, strings.Repeat("\n", 40<<10)},
		{"too many", contacts.FieldTooLong, make([]any, 64<<10)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "x", CustomContext: map[string]any{"a": c.value}})
			wantError(t, err, contacts.CodeValidationError, wrong("custom_context", c.code))
		})
	}
	w.create(t, contacts.CreateContactInput{FirstName: "x",
		CustomContext:   map[string]any{"a": nested(31)},
		IndustryContext: map[string]any{"a": strings.Repeat("x", 64<<10-len(`{"a":""}`))}})
}

func TestNumbersOfAJSONBodyKeepEveryDigit(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		body := `{"first_name":"x","custom_context":{"n":[12345678901234567890123, 0.10, 1E5, -0.0, 1e999]}}`
		c, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := w.svc.GetContact(t.Context(), w.key, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := []any{json.Number("12345678901234567890123"), json.Number("0.10"), json.Number("1E5"), json.Number("-0.0"), json.Number("1e999")}
		if diff := cmp.Diff(want, stored.CustomContext["n"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// anyJSON draws values of every type that JSON and its Go callers have.
func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Int().AsAny(), rapid.Int64().AsAny(),
		rapid.Float64().AsAny(), rapid.Uint32().AsAny(),
		rapid.Map(rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?`), func(s string) any { return json.Number(s) }),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.SliceOfN(anyJSON(depth-1), 0, 3).AsAny(),
			rapid.MapOfN(rapid.String(), anyJSON(depth-1), 0, 3).AsAny())
	}
	return rapid.OneOf(leaves...)
}
