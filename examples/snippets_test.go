package examples_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactstest"
)

// This file has the parts of programs that the README shows.

func TestUpsertOfTheREADME(t *testing.T) {
	f := contactstest.New(t, nil)
	john := contacts.CreateContactInput{FirstName: "John", Email: "john@example.com"}
	jane := contacts.CreateContactInput{FirstName: "Jane", ExternalID: "J-2"}
	both := contacts.CreateContactInput{FirstName: "John", Email: "john@example.com", ExternalID: "J-2"}
	for i, c := range []struct {
		in   contacts.CreateContactInput
		want string
	}{
		{john, "created"}, {jane, "created"}, {jane, "unchanged"}, {both, "2 contacts match"},
		{contacts.CreateContactInput{}, "first name is required"},
	} {
		if got := signUpOnce(t.Context(), f.Service, f.Key, c.in); got != c.want {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
	}
}

func signUpOnce(ctx context.Context, svc *contacts.Service, key string, person contacts.CreateContactInput) string {
	r, err := svc.UpsertContact(ctx, key, contacts.UpsertContactInput{CreateContactInput: person})
	e, _ := errors.AsType[*contacts.Error](err)
	switch {
	case err == nil:
		return string(r.Result) // created, updated or unchanged
	case e.Code == contacts.CodeAmbiguousMatch:
		return fmt.Sprintf("%d contacts match", len(e.Conflicts)) // which of them is it?
	default:
		return e.Message
	}
}

func TestDoNotCallOfTheREADME(t *testing.T) {
	f := contactstest.New(t, nil)
	const number = "+15551234567"
	if err := mayDial(t.Context(), f.Service, f.Key, number); err != nil {
		t.Error(err)
	}
	if _, err := f.Service.BlockCalls(t.Context(), f.Key, contacts.DoNotCallInput{PhoneNumber: number}); err != nil {
		t.Fatal(err)
	}
	if err := mayDial(t.Context(), f.Service, f.Key, number); contacts.CodeOf(err) != contacts.CodeDoNotCall {
		t.Errorf("got %v, want do_not_call", err)
	}
}

func mayDial(ctx context.Context, svc *contacts.Service, key, number string) error {
	if err := svc.CanCall(ctx, key, number); err != nil {
		return err // do not dial: the number is listed, or nobody knows
	}
	return nil
}

func TestLifeOfTheREADME(t *testing.T) {
	f := contactstest.New(t, nil)
	writer, _, err := f.Admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: f.Account.ID, AllTeams: true,
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range []string{"lead", "customer"} {
		in := contacts.CreateContactInput{FirstName: "John", Stage: stage, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}}
		if _, err := f.Service.CreateContact(t.Context(), writer, in); err != nil {
			t.Fatal(err)
		}
	}
	if err := promote(t.Context(), f.Service, writer, "+1 555 123 4567"); err != nil {
		t.Fatal(err)
	}
	page, err := f.Service.ListContacts(t.Context(), writer, contacts.ListContactsInput{Stage: "customer"})
	if err != nil || len(page.Contacts) != 2 {
		t.Errorf("%+v, %v; want two customers", page, err)
	}

	rows := func(yield func(contacts.CreateContactInput) bool) {
		_ = yield(contacts.CreateContactInput{FirstName: "Ada", IdempotencyKey: "row 1"}) &&
			yield(contacts.CreateContactInput{IdempotencyKey: "row 2"})
	}
	for _, want := range []string{"1 created, 0 existed, 1 refused", "0 created, 1 existed, 1 refused"} {
		if got, err := importRows(t.Context(), f.Service, writer, rows); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

// promote turns all contacts with the number into customers.
func promote(ctx context.Context, svc *contacts.Service, key, number string) error {
	for c, err := range svc.Contacts(ctx, key, contacts.ListContactsInput{PhoneNumber: number}) {
		if err != nil {
			return err
		}
		_, err = svc.UpdateContact(ctx, key, c.ID, contacts.UpdateContactInput{Stage: new("customer")},
			&contacts.ChangeOptions{Version: c.Version})
		if errors.Is(err, contacts.ErrConflict) {
			continue // another update came first
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func importRows(ctx context.Context, svc *contacts.Service, key string, rows iter.Seq[contacts.CreateContactInput]) (string, error) {
	var created, existed, refused int
	for r, err := range svc.CreateContactStream(ctx, key, rows) {
		switch {
		case err != nil:
			return "", err // nothing more was created
		case r.Err != nil:
			refused++ // an *Error that lists the invalid fields
		case r.Replayed:
			existed++ // an earlier import created this row
		default:
			created++
		}
	}
	return fmt.Sprintf("%d created, %d existed, %d refused", created, existed, refused), nil
}

func TestRESTOfTheREADME(t *testing.T) {
	f := contactstest.New(t, nil)
	server := httptest.NewServer(restAPI(f.Service))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1/contacts/create", strings.NewReader(`{"first_name": "John"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+f.Key)
	request.Header.Set("Content-Type", "application/json")
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated || !strings.HasPrefix(response.Header.Get("Location"), "/api/v1/contacts/") {
		t.Errorf("got %s, Location %q", response.Status, response.Header.Get("Location"))
	}
}

func restAPI(svc *contacts.Service) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", contactshttp.NewHandler(svc, &contactshttp.Options{
		RateLimit: 60, // requests a minute for each key; above it: 429 with Retry-After
		Logger:    slog.Default(),
	}))
	return mux
}

// signUp is the code that the test in the README tests.
func signUp(ctx context.Context, svc *contacts.Service, key, name string) string {
	_, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: name})
	switch contacts.CodeOf(err) {
	case "":
		return "Welcome!"
	case contacts.CodeMissingFirstName:
		return "Please tell us your name."
	default:
		return "Please try again later."
	}
}

func TestSignUp(t *testing.T) {
	f := contactstest.New(t, nil)
	if got := signUp(t.Context(), f.Service, f.Key, "John"); got != "Welcome!" {
		t.Errorf("got %q", got)
	}

	f.FailNext(contacts.CodeServerError)
	if got := signUp(t.Context(), f.Service, f.Key, "John"); got != "Please try again later." {
		t.Errorf("with a server error: got %q", got)
	}
}
