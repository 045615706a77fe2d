package contacts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
)

func TestEachCodeHasItsStatusAndItsError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   contacts.Code
		text   string
		status int
		err    error
	}{
		{contacts.CodeMissingFirstName, "missing_first_name", 400, contacts.ErrMissingFirstName},
		{contacts.CodeInvalidJSON, "invalid_json", 400, contacts.ErrInvalidJSON},
		{contacts.CodeValidationError, "validation_error", 400, contacts.ErrValidation},
		{contacts.CodeAuthenticationRequired, "authentication_required", 401, contacts.ErrAuthenticationRequired},
		{contacts.CodeInvalidKey, "invalid_key", 401, contacts.ErrInvalidKey},
		{contacts.CodePermissionDenied, "permission_denied", 403, contacts.ErrPermissionDenied},
		{contacts.CodeTeamAccessDenied, "team_access_denied", 403, contacts.ErrTeamAccessDenied},
		{contacts.CodeTeamNotFound, "team_not_found", 404, contacts.ErrTeamNotFound},
		{contacts.CodeServerError, "server_error", 500, contacts.ErrServer},
		{contacts.CodeNotFound, "not_found", 404, contacts.ErrNotFound},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			if string(c.code) != c.text || c.code.HTTPStatus() != c.status {
				t.Errorf("got %s and %d, want %s and %d", c.code, c.code.HTTPStatus(), c.text, c.status)
			}
			err := fmt.Errorf("wrapped: %w", &contacts.Error{Code: c.code, Message: "words of its own"})
			if !errors.Is(err, c.err) || contacts.CodeOf(err) != c.code || contacts.CodeOf(c.err) != c.code {
				t.Errorf("%v: does not match %v", err, c.err)
			}
			if errors.Is(err, &contacts.Error{Code: "another"}) {
				t.Error("matches another code")
			}
		})
	}
	if contacts.Code("made up").HTTPStatus() != 500 {
		t.Error("a code that is not known is not 500")
	}
}

func TestCodeOfNilAndOfForeignErrors(t *testing.T) {
	t.Parallel()
	if got := contacts.CodeOf(nil); got != "" {
		t.Errorf("nil: got %q", got)
	}
	if got := contacts.CodeOf(errors.New("x")); got != contacts.CodeServerError {
		t.Errorf("a foreign error: got %q", got)
	}
}

func TestJSONOfAnErrorIsTheDocumentedBody(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	_, err := w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "x", Email: "x", Tags: []string{""}})
	for _, c := range []struct {
		err  error
		want string
	}{
		{err, `{"error":"validation_error","message":"2 problems, in email, tags[0]","details":[` +
			`{"field":"email","code":"invalid","message":"must be one bare address such as name@example.com"},` +
			`{"field":"tags[0]","code":"required","message":"must not be empty"}]}`},
		{contacts.ErrTeamNotFound, `{"error":"team_not_found","message":"team not found"}`},
	} {
		got, err := json.Marshal(c.err)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestErrorsAreEqualByTheirJSON(t *testing.T) {
	t.Parallel()
	invalid := func(field string) *contacts.Error {
		return contacts.NewValidationError(contacts.FieldError{Field: field, Code: contacts.FieldInvalid, Message: "is invalid"})
	}
	conflict := func(field string, index *int) *contacts.Error {
		return &contacts.Error{Code: contacts.CodeDuplicateContact, Conflicts: []contacts.Conflict{{Field: field, Index: index}}}
	}
	var none *contacts.Error
	coded := func(err error) *contacts.Error { e, _ := errors.AsType[*contacts.Error](err); return e }
	for _, c := range []struct {
		name string
		x, y *contacts.Error
		want bool
	}{
		{"the same details", invalid("email"), invalid("email"), true},
		{"other details", invalid("email"), invalid("website"), false},
		{"no details and empty ones", &contacts.Error{Code: "a"}, &contacts.Error{Code: "a", Details: []contacts.FieldError{}}, true},
		{"another code", &contacts.Error{Code: "a"}, &contacts.Error{Code: "b"}, false},
		{"another message", &contacts.Error{Code: "a", Message: "x"}, &contacts.Error{Code: "a", Message: "y"}, false},
		{"two sentinels", coded(contacts.ErrServer), coded(contacts.ErrNotFound), false},
		{"the same conflicts", conflict("email", new(1)), conflict("email", new(1)), true},
		{"conflicts with other contacts", conflict("email", new(1)), conflict("email", new(2)), false},
		{"conflicts with and without a place", conflict("email", nil), conflict("email", new(0)), false},
		{"conflicts of other fields", conflict("email", nil), conflict("external_id", nil), false},
		{"nil and nil", none, none, true},
		{"nil and an error", none, invalid("email"), false},
	} {
		if got := c.x.Equal(c.y); got != c.want {
			t.Errorf("%s: Equal says %v, want %v", c.name, got, c.want)
		}
		if got := c.y.Equal(c.x); got != c.want {
			t.Errorf("%s, the other way round: Equal says %v, want %v", c.name, got, c.want)
		}
		if got := cmp.Diff(c.x, c.y) == ""; got != c.want {
			t.Errorf("%s: cmp.Diff finds them equal: %v, want %v", c.name, got, c.want)
		}
	}
}
