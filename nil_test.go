package contacts_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func TestNilErrorOfAnAuthenticatorIsAServerError(t *testing.T) {
	t.Parallel()
	var none *contacts.Error
	for name, err := range map[string]error{
		"nil Error": none, "joined": errors.Join(none), "nil error of the host": (*hostError)(nil),
	} {
		var log strings.Builder
		svc, newErr := contacts.New(closing(t, memory.New()), &contacts.Options{
			Authenticator: authenticatorFunc(func() (*contacts.Principal, error) { return nil, err }),
			Logger:        textLogger(&log),
		})
		if newErr != nil {
			t.Fatal(newErr)
		}
		_, got := svc.CreateContact(t.Context(), "key", documented())
		if wantError(t, got, contacts.CodeServerError); strings.Count(log.String(), "\n") != 1 {
			t.Errorf("%s: logged %q", name, &log)
		}
	}
	if none.Error() == "" || none.Unwrap() != nil || none.Is(contacts.ErrNotFound) || (&contacts.Error{}).Is(none) {
		t.Errorf("a nil Error is %v", none)
	}
	if text, err := json.Marshal(none); err != nil || string(text) != "null" {
		t.Errorf("as JSON: %s, %v", text, err)
	}
}

// A hostError is an error whose nil pointer cannot be asked.
type hostError struct{ text string }

func (e *hostError) Error() string { return e.text }

func TestNilSourceHoldsNothing(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for r, err := range w.svc.CreateContactStream(t.Context(), w.key, nil) {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestAuthenticatorWithoutAStoreIsAnError(t *testing.T) {
	t.Parallel()
	_, err := contacts.KeyAuthenticator(nil, nil).Authenticate(t.Context(), memoryWorld(t, nil).key)
	if err == nil || !strings.Contains(err.Error(), "memory.New()") {
		t.Errorf("got %v", err)
	}
}

func TestContextsDecodeIntoStructs(t *testing.T) {
	t.Parallel()
	type custom struct {
		Source string `json:"source"`
		Score  uint64 `json:"score"`
		Nested struct {
			List []any `json:"list"`
		} `json:"nested"`
	}
	w := memoryWorld(t, nil)
	in := documented()
	in.CustomContext["score"] = json.Number("18446744073709551615")
	c := w.create(t, in)
	var got custom
	if err := c.DecodeCustomContext(&got); err != nil {
		t.Fatal(err)
	}
	want := custom{Source: "web", Score: 1<<64 - 1}
	want.Nested.List = []any{1.5, true, nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var industry map[string]string
	if err := c.DecodeIndustryContext(&industry); err != nil || industry["industry"] != "software" {
		t.Errorf("got %v, %v", industry, err)
	}
	c.CustomContext = nil
	if err := c.DecodeCustomContext(&got); err != nil || !cmp.Equal(got, want) {
		t.Errorf("an absent context: got %+v, %v", got, err)
	}
	var wrongType struct {
		Industry int `json:"industry"`
	}
	if err := c.DecodeIndustryContext(&wrongType); err == nil {
		t.Error("text became a number")
	}
	for _, v := range []any{nil, got, (*custom)(nil)} {
		if err := c.DecodeCustomContext(v); err == nil {
			t.Errorf("decoded into %#v", v)
		}
	}
}
