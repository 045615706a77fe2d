package contactstest_test

import (
	"context"
	"errors"
	"testing"

	"example.com/contacts"
	"example.com/contacts/contactstest"
)

func TestFixtureWorksAsItIs(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	created, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John", TeamID: f.Team.ID})
	if err != nil {
		t.Fatal(err)
	}
	if created.AccountID != f.Account.ID {
		t.Errorf("created in account %v, want %v", created.AccountID, f.Account.ID)
	}
	if _, err := f.Service.GetContact(t.Context(), f.Key, created.ID); err != nil {
		t.Error(err)
	}
	other := contactstest.New(t, nil)
	if _, err := other.Service.GetContact(t.Context(), other.Key, created.ID); !errors.Is(err, contacts.ErrNotFound) {
		t.Errorf("another fixture: got %v, want not_found", err)
	}
}

func TestFixtureTakesOptions(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, &contacts.Options{CreatePermission: "can_dance"})
	if _, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"}); !errors.Is(err, contacts.ErrPermissionDenied) {
		t.Errorf("got %v, want permission_denied", err)
	}
}

func TestFailNextFailsTheNextCallsOnly(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	create := func() error {
		_, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
		return err
	}
	codes := []contacts.Code{
		contacts.CodeMissingFirstName, contacts.CodeInvalidJSON, contacts.CodeValidationError, contacts.CodeAuthenticationRequired,
		contacts.CodeInvalidKey, contacts.CodePermissionDenied, contacts.CodeTeamAccessDenied, contacts.CodeTeamNotFound,
		contacts.CodeServerError, contacts.CodeNotFound,
	}
	for _, code := range codes {
		f.FailNext(code)
	}
	for _, code := range codes {
		if err := create(); contacts.CodeOf(err) != code {
			t.Errorf("got %v, want %s", err, code)
		}
	}
	if err := create(); err != nil {
		t.Errorf("the call behind them: %v", err)
	}
}

func TestFailNextWithIsAServerErrorOfThatCause(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	for _, cause := range []error{contacts.ErrOutcomeUnknown, context.Canceled} {
		f.FailNextWith(cause)
		_, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
		if contacts.CodeOf(err) != contacts.CodeServerError || !errors.Is(err, cause) {
			t.Errorf("got %v, want a server error that matches %v", err, cause)
		}
	}
}

// A program's own test asks for the failure that it handles.
func TestFailNextGivesDetails(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	f.FailNext(contacts.CodeValidationError, contacts.FieldError{Field: "email", Code: contacts.FieldInvalid})
	_, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
	var e *contacts.Error
	if !errors.As(err, &e) || len(e.Details) != 1 || e.Details[0].Field != "email" {
		t.Errorf("got %v with %+v", err, e)
	}
}
