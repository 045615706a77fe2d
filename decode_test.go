package contacts_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func TestDocumentedBodyIsTheSameContactAsItsInput(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	body, err := json.Marshal(documented())
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	want := w.create(t, documented())
	want.ID = got.ID
	for i := range want.PhoneNumbers {
		want.PhoneNumbers[i].ID = got.PhoneNumbers[i].ID
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-input +body):\n%s", diff)
	}
}

func TestBrokenJSONIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct{ name, body, why string }{
		{"empty", "", "the body is empty"},
		{"blank", " \n", "the body is empty"},
		{"cut off", `{"first_name":"John"`, "line 1, column 21: the text ends too early"},
		{"cut off in a string", "{\n\"first_name\":\"Jö", "line 2, column 17: the text ends too early"},
		{"trailing comma", "{\"first_name\":\"John\"\n,}", "line 2, column 1: "},
		{"two objects", `{"first_name":"John"}{}`, "line 1, column 22: data after the object"},
		{"trailing brace", `{"first_name":"John"}}`, "line 1, column 22: "},
		{"array", `[{"first_name":"John"}]`, "line 1, column 1: the body is not one JSON object"},
		{"string", `"John"`, "the body is not one JSON object"},
		{"null", `null`, "line 1, column 1: the body is not one JSON object"},
		{"name twice", `{"first_name":"John","first_name":"Joe"}`, "a name occurs twice in one object"},
		{"name twice, escaped", `{"first_name":"John","first\u005fname":"Joe"}`, "a name occurs twice in one object"},
		{"name twice in a context", `{"first_name":"John","custom_context":{"a":[{"b":1,"b":2}]}}`, "a name occurs twice in one object"},
		{"name twice in an unknown field", `{"first_name":"John","x":{"b":1,"b":2}}`, "a name occurs twice in one object"},
		{"invalid UTF-8", "{\"first_name\":\"J\xffhn\"}", "invalid UTF-8"},
		{"invalid UTF-8 in a name", "{\"first_name\":\"John\",\"\xff\":1}", "invalid UTF-8"},
		{"lone surrogate", `{"first_name":"\ud83d"}`, "column 16: invalid escape sequence"},
		{"control character in a string", "{\"first_name\":\"J\nohn\"}", "column 17"},
		{"two byte order marks", "\ufeff\ufeff{\"first_name\":\"John\"}", "line 1, column 1: unexpected character"},
		{"byte order mark inside", "{\ufeff\"first_name\":\"John\"}", "column 2: unexpected character"},
		{"byte order mark alone", "\ufeff", "the body is empty"},
		{"byte order mark of UTF-16", "\xff\xfe{\x00", "column 1: invalid UTF-8"},
		{"fault after a byte order mark", "\ufeff{'first_name':'John'}", "column 2"},
		{"single quotes", `{'first_name':'John'}`, "column 2"},
		{"comment", `{"first_name":"John"/**/}`, "column 21"},
		{"NaN", `{"first_name":"John","custom_context":{"a":NaN}}`, "column 44"},
		{"literal that is cut off", `{"phone_numbers":[{"do_not_call":t`, "the text ends too early"},
		{"literal that is none", `{"custom_context":{"a":tru}}`, "unexpected character '}'"},
		{"leading zero", `{"first_name":"John","team_id":01}`, "column 33"},
		{"deep context", `{"first_name":"John","custom_context":{"a":` + nested(63) + `}}`, "column 106: nested deeper than 64"},
		{"deep unknown field", `{"first_name":"John","x":` + nested(64) + `}`, "nested deeper than 64"},
		{"deep value of the wrong type", `{"first_name":` + nested(1000) + `}`, "nested deeper than 64"},
		{"too large", `{"first_name":"John"` + strings.Repeat(" ", 1<<20) + `}`, "more than 1048576 bytes"},
		{"broken after a wrong field", `{"first_name":5,"x":1,"email":`, "the text ends too early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(c.body))
			wantError(t, err, contacts.CodeInvalidJSON, []contacts.FieldError{}...)
			if !strings.Contains(err.Error(), c.why) {
				t.Errorf("got %q, want %q in it", err, c.why)
			}
		})
	}
}

func TestByteOrderMarkBeforeTheBodyIsSkipped(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	ctx, mark := t.Context(), "\ufeff"
	john, err := w.svc.CreateContactJSON(ctx, w.writer, strings.NewReader(mark+`{"first_name":"John"}`))
	if err != nil || john.FirstName != "John" {
		t.Fatalf("create: %+v, %v", john, err)
	}
	many, err := w.svc.CreateContactsJSON(ctx, w.writer, strings.NewReader(mark+`{"contacts":[{"first_name":"Jane"}]}`))
	if err != nil || len(many) != 1 || many[0].Err != nil {
		t.Errorf("batch: %+v, %v", many, err)
	}
	if c, err := w.svc.UpdateContactJSON(ctx, w.writer, john.ID, strings.NewReader(mark+`{"stage":"customer"}`), nil); err != nil || c.Stage != "customer" {
		t.Errorf("update: %+v, %v", c, err)
	}
	if c, err := w.svc.ReplaceContactJSON(ctx, w.writer, john.ID, strings.NewReader(mark+`{"first_name":"Jim"}`), nil); err != nil || c.FirstName != "Jim" {
		t.Errorf("replace: %+v, %v", c, err)
	}
}

func TestBodyThatIsTooLargeCanBeToldApart(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{BodyBytes: 22}})
	body := `{"first_name":"John"}`
	for spaces, want := range map[int]bool{0: false, 1: false, 2: true} {
		_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body+strings.Repeat(" ", spaces)))
		if errors.Is(err, contacts.ErrBodyTooLarge) != want {
			t.Errorf("%d bytes: got %v", len(body)+spaces, err)
		}
	}
}

func TestJSONOfTheWrongTypeNamesEveryField(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, c := range []struct {
		name, body string
		want       []contacts.FieldError
	}{
		{"every text", `{"first_name":1,"last_name":true,"email":[],"company":{},"website":1.5,"address":false,"city":[1],"state":{"a":{}},
			"zip_code":62701,"country":1,"status":2,"stage":3}`, []contacts.FieldError{
			wrong("first_name", contacts.FieldWrongType), wrong("last_name", contacts.FieldWrongType), wrong("email", contacts.FieldWrongType),
			wrong("company", contacts.FieldWrongType), wrong("website", contacts.FieldWrongType), wrong("address", contacts.FieldWrongType),
			wrong("city", contacts.FieldWrongType), wrong("state", contacts.FieldWrongType), wrong("zip_code", contacts.FieldWrongType),
			wrong("country", contacts.FieldWrongType), wrong("status", contacts.FieldWrongType), wrong("stage", contacts.FieldWrongType)}},
		{"lists and objects", `{"first_name":"x","custom_context":[],"industry_context":"a","phone_numbers":{},"tags":"vip","team_id":"101"}`, []contacts.FieldError{
			wrong("team_id", contacts.FieldWrongType), wrong("tags", contacts.FieldWrongType), wrong("phone_numbers", contacts.FieldWrongType),
			wrong("custom_context", contacts.FieldWrongType), wrong("industry_context", contacts.FieldWrongType)}},
		{"elements", `{"first_name":"x","tags":["a",1,null],"phone_numbers":[null,"+15551234567",{"phone_number":15551234567,"phone_type":1,"primary":"true","do_not_call":0}]}`, []contacts.FieldError{
			wrong("tags[1]", contacts.FieldWrongType), wrong("tags[2]", contacts.FieldWrongType),
			wrong("phone_numbers[0]", contacts.FieldWrongType), wrong("phone_numbers[1]", contacts.FieldWrongType),
			wrong("phone_numbers[2].phone_number", contacts.FieldWrongType), wrong("phone_numbers[2].phone_type", contacts.FieldWrongType),
			wrong("phone_numbers[2].primary", contacts.FieldWrongType), wrong("phone_numbers[2].do_not_call", contacts.FieldWrongType)}},
		{"fraction", `{"first_name":"x","team_id":1.5}`, []contacts.FieldError{wrong("team_id", contacts.FieldWrongType)}},
		{"exponent", `{"first_name":"x","team_id":1e2}`, []contacts.FieldError{wrong("team_id", contacts.FieldWrongType)}},
		{"integer of more than 64 bits", `{"first_name":"x","team_id":9223372036854775808}`, []contacts.FieldError{wrong("team_id", contacts.FieldWrongType)}},
		{"unknown fields come last", `{"fristname":"x","first_name":"x","phone_numbers":[{"phone":"+1","phone_number":"+15551234567"}],"First_Name":"x","email":"x"}`, []contacts.FieldError{
			wrong("email", contacts.FieldInvalid), wrong("phone_numbers[0].phone", contacts.FieldUnknown),
			wrong("fristname", contacts.FieldUnknown), wrong("First_Name", contacts.FieldUnknown)}},
		{"a long unknown name is cut", `{"first_name":"x","` + strings.Repeat("é", 1000) + `":1}`, []contacts.FieldError{
			wrong(strings.Repeat("é", 50)+"…", contacts.FieldUnknown)}},
		{"wrong types and rules together", `{"first_name":"x","tags":[1," "],"phone_numbers":[{"phone_number":"1"},5]}`, []contacts.FieldError{
			wrong("tags[0]", contacts.FieldWrongType), wrong("tags[1]", contacts.FieldRequired),
			wrong("phone_numbers[0].phone_number", contacts.FieldInvalid), wrong("phone_numbers[1]", contacts.FieldWrongType)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(c.body))
			wantError(t, err, contacts.CodeValidationError, c.want...)
		})
	}
}

func TestNullMeansAbsent(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	body := `{"first_name":"x"`
	for _, name := range []string{"last_name", "email", "company", "website", "address", "city", "state", "zip_code", "country", "status",
		"stage", "team_id", "tags", "custom_context", "industry_context"} {
		body += `,"` + name + `":null`
	}
	body += `,"phone_numbers":[{"phone_number":"+15551234567","phone_type":null,"primary":null,"do_not_call":null}]}`
	got, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	want := w.create(t, contacts.CreateContactInput{FirstName: "x", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})
	want.ID, want.PhoneNumbers[0].ID = got.ID, got.PhoneNumbers[0].ID
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-absent +null):\n%s", diff)
	}
	_, err = w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(`{"first_name":null,"phone_numbers":[{"phone_number":null}]}`))
	wantError(t, err, contacts.CodeMissingFirstName, wrong("first_name", contacts.FieldRequired), wrong("phone_numbers[0].phone_number", contacts.FieldRequired))
}

func TestUnknownFieldsAreSkippedWhereTheOptionSaysSo(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{AllowUnknownFields: true})
	body := `{"first_name":"x","x":{"y":[1,{}]},"phone_numbers":[{"phone_number":"+15551234567","z":[]}]}`
	if _, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body)); err != nil {
		t.Error(err)
	}
}

func TestHostileBodyIsAnsweredBriefly(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	var b strings.Builder
	b.WriteString(`{"phone_numbers":[` + strings.Repeat(`1,`, 200_000) + `1]`)
	for i := range 20_000 {
		b.WriteString(`,"` + itoa(i) + `":1`)
	}
	b.WriteString(`}`)
	_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(b.String()))
	var e *contacts.Error
	if !errors.As(err, &e) || len(e.Details) > contacts.MaxProblems+1 || len(err.Error()) > 1000 {
		t.Errorf("%d details, %d bytes of text", len(e.Details), len(err.Error()))
	}
}

func TestMissingFirstNameDecidesTheCodeWhateverElseIsWrong(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, body := range []string{
		`{"tags":[` + strings.Repeat("null,", 1000) + `null]}`,
		`{"phone_numbers":[` + strings.Repeat("1,", 1000) + `1],"first_name":" "}`,
	} {
		_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body))
		wantError(t, err, contacts.CodeMissingFirstName)
		var e *contacts.Error
		if !errors.As(err, &e) || e.Details[0].Field != "first_name" {
			t.Errorf("the details start with %v", e.Details[0])
		}
	}
}

func TestUnknownNameIsShownAsWhatItIs(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for name, want := range map[string]string{
		w.key: `"[key]"`, `a\nb`: `"a\nb"`, `\u202eevil`: `"\u202eevil"`, `a.b[0]`: `"a.b[0]"`, ``: `""`, `größe_2`: `größe_2`,
	} {
		_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(`{"first_name":"x","`+name+`":1}`))
		wantError(t, err, contacts.CodeValidationError, wrong(want, contacts.FieldUnknown))
		_, err = w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(`{"first_name":"x","phone_numbers":[{"phone_number":"+15551234567","`+name+`":1}]}`))
		wantError(t, err, contacts.CodeValidationError, wrong("phone_numbers[0]."+want, contacts.FieldUnknown))
	}
}

func TestBodyThatCannotBeReadIsInvalidAndKeepsItsCause(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	cause := errors.New("connection reset")
	_, err := w.svc.CreateContactJSON(t.Context(), w.key, io.MultiReader(strings.NewReader(`{"first_name":`), failingReader{cause}))
	if wantError(t, err, contacts.CodeInvalidJSON); !errors.Is(err, cause) {
		t.Errorf("%v does not wrap its cause", err)
	}
	_, err = w.svc.CreateContactJSON(t.Context(), w.key, nil)
	wantError(t, err, contacts.CodeInvalidJSON)
	_, err = w.svc.CreateContactJSON(t.Context(), w.key, readerFunc(func([]byte) (int, error) { return 0, nil }))
	if wantError(t, err, contacts.CodeInvalidJSON); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that never brings anything: got %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = w.svc.CreateContactJSON(ctx, w.key, cancellingReader{cancel, cause})
	if wantError(t, err, contacts.CodeServerError); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want context.Canceled", err)
	}
}

func TestBodyThatEndsTooEarlyIsNoServerError(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	// As net/http does when the time to read a request is over, and when the client
	// sends less than it has announced.
	for _, cause := range []error{os.ErrDeadlineExceeded, io.ErrUnexpectedEOF} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := w.svc.CreateContactJSON(ctx, w.key, cancellingReader{cancel, cause})
		if wantError(t, err, contacts.CodeInvalidJSON); !errors.Is(err, cause) {
			t.Errorf("%v does not wrap its cause", err)
		}
	}
}

func TestKeyInAFieldNameIsNotRepeated(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, name := range []string{w.key, "Bearer " + w.key, w.key + " ", "x" + w.key, w.key[:len(w.key)-1]} {
		for _, body := range []string{`{"first_name":"x","` + name + `":1}`, `{"first_name":"x","phone_numbers":[{"phone_number":"+15551234567","` + name + `":1}]}`} {
			_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body))
			wantError(t, err, contacts.CodeValidationError)
			if said := err.Error() + jsonOf(t, err); strings.Contains(said, w.key[3:20]) {
				t.Errorf("%s repeats the key: %s", name, said)
			}
		}
	}
}

func TestBodyIsNotReadOnWhenTheContextIsDone(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	_, err := w.svc.CreateContactJSON(ctx, w.key, readerFunc(func(p []byte) (int, error) {
		if reads++; reads == 3 {
			cancel()
		}
		p[0] = ' '
		return 1, nil
	}))
	if wantError(t, err, contacts.CodeServerError); !errors.Is(err, context.Canceled) || reads != 3 {
		t.Errorf("got %v after %d reads, want context.Canceled after 3", err, reads)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// cancellingReader fails as a body does whose client goes away.
type cancellingReader struct {
	cancel func()
	err    error
}

func (r cancellingReader) Read([]byte) (int, error) { r.cancel(); return 0, r.err }

func FuzzCreateContactJSON(f *testing.F) {
	body, err := json.Marshal(documented())
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(body), `{"first_name":"x","custom_context":{"a":[1e400,-0,"\u0000",null,{}]}}`, `{"first_name":"x","industry_context":{"a":1e700}}`, `{"first_name":null,"tags":[null],"phone_numbers":[{}]}`,
		`{"first_name":"\ud800"}`, `{"a":1,"a":2}`, `[[[[`, `{"phone_numbers":[{"do_not_call":t`, "\xff", `{"first_name":"x","team_id":-9223372036854775809}`} {
		f.Add(s)
	}
	w := newWorld(f, memory.New(), nil)
	f.Fuzz(func(t *testing.T, body string) {
		c, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body))
		if err != nil {
			e, ok := err.(*contacts.Error)
			if !ok || e.Code == contacts.CodeServerError || c != nil {
				t.Fatalf("got %v, %T %v", c, err, err)
			}
			if (e.Code == contacts.CodeValidationError || e.Code == contacts.CodeMissingFirstName) == (len(e.Details) == 0) {
				t.Fatalf("%s with %d details", e.Code, len(e.Details))
			}
			return
		}
		// What we take, the standard library takes too. Numbers stay as they
		// are written: 1e700 is JSON, and no float64.
		var in contacts.CreateContactInput
		standard := json.NewDecoder(strings.NewReader(body))
		standard.UseNumber()
		if err := standard.Decode(&in); err != nil {
			t.Fatalf("the standard library refuses it: %v", err)
		}
		stored, err := w.svc.GetContact(t.Context(), w.key, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, stored); diff != "" {
			t.Fatalf("returned and stored differ:\n%s", diff)
		}
	})
}
