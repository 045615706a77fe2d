package examples_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactstest"
	"example.com/contacts/store/sqlite"
)

// This file has the parts of programs that the README shows.

func TestErrorsOfTheREADME(t *testing.T) {
	f := contactstest.New(t, nil)
	answer := func(key, body string) string {
		return whatToTell(t.Context(), f.Service, key, strings.NewReader(body))
	}
	if got := answer(f.Key, `{"first_name": "John"}`); got != "stored John" {
		t.Error(got)
	}
	if got := answer("ck_1", `{"first_name": "John"}`); got != "ask for another key" {
		t.Error(got)
	}
	if got, want := answer(f.Key, `{"email": "john"}`), "missing_first_name\n"+
		"first_name: is required\n"+
		"email: must be one bare address such as name@example.com\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func whatToTell(ctx context.Context, svc *contacts.Service, key string, body io.Reader) string {
	john, err := svc.CreateContactJSON(ctx, key, body)
	switch {
	case err == nil:
		return "stored " + john.FirstName
	case errors.Is(err, contacts.ErrInvalidKey):
		return "ask for another key"
	case errors.Is(err, contacts.ErrOutcomeUnknown):
		return "check whether it was stored, then try again"
	}
	text := string(contacts.CodeOf(err)) + "\n"
	if e, ok := errors.AsType[*contacts.Error](err); ok {
		for _, d := range e.Details {
			text += d.Field + ": " + d.Message + "\n"
		}
	}
	return text
}

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

func TestSQLiteOfTheREADME(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := keepInFile(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "contacts.db" {
		t.Errorf("left in the folder: %v, %v; want only contacts.db", left, err)
	}

	foreign := filepath.Join(dir, "foreign.db")
	if err := os.WriteFile(foreign, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), foreign, nil); !errors.Is(err, sqlite.ErrNotDatabase) {
		t.Errorf("Open of a text file: %v, want ErrNotDatabase", err)
	}
}

func keepInFile(ctx context.Context) error {
	store, err := sqlite.Open(ctx, "contacts.db", nil)
	if errors.Is(err, sqlite.ErrNotDatabase) || errors.Is(err, sqlite.ErrForeign) {
		return fmt.Errorf("not a contacts file, left unchanged: %w", err)
	}
	if err != nil {
		return err
	}
	return store.Close()
}

func TestOptionsOfTheREADME(t *testing.T) {
	f := contactstest.New(t, nil)
	svc, err := strictService(f.Store)
	if err != nil {
		t.Fatal(err)
	}
	create := func(number string) (*contacts.Contact, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return svc.CreateContact(ctx, f.Key, contacts.CreateContactInput{
			FirstName: "John", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}})
	}
	john, err := create("(650) 253-0000")
	if err != nil || john.PhoneNumbers[0].PhoneNumber != "+16502530000" {
		t.Errorf("a national number: %+v, %v", john, err)
	}
	if _, err := create("+15551234567"); !errors.Is(err, contacts.ErrValidation) {
		t.Errorf("a number that is possible but not valid: %v, want a validation error", err)
	}
}

func strictService(store contacts.Store) (*contacts.Service, error) {
	return contacts.New(store, &contacts.Options{
		DefaultRegion:    "US", // accept national numbers as well: (650) 253-0000
		ValidNumbersOnly: true, // the number must be in an assigned range
		Stages:           []string{"lead", "customer"},
		CreatePermission: contacts.PermissionWriteContacts,
		Logger:           slog.Default(), // one line for each server error
	})
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
