package contactstest_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		contacts.CodeServerError, contacts.CodeNotFound, contacts.CodeConflict, contacts.CodeIdempotencyConflict,
		contacts.CodeBatchFailed,
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
		t.Errorf("the call after them: %v", err)
	}
}

// calls returns one call that succeeds for each method of a Service.
func calls(f *contactstest.Fixture, john *contacts.Contact) map[string]func(context.Context) error {
	name, create := "Jane", contacts.CreateContactInput{FirstName: "Jane"}
	body := func(json string) io.Reader { return strings.NewReader(json) }
	return map[string]func(context.Context) error{
		"Authorize": func(ctx context.Context) error {
			_, err := f.Service.Authorize(ctx, f.Key, contacts.OpCreateContact)
			return err
		},
		"CreateContact": func(ctx context.Context) error {
			_, err := f.Service.CreateContact(ctx, f.Key, create)
			return err
		},
		"CreateContactJSON": func(ctx context.Context) error {
			_, err := f.Service.CreateContactJSON(ctx, f.Key, body(`{"first_name":"Jane"}`))
			return err
		},
		"CreateContactOnceJSON": func(ctx context.Context) error {
			_, _, err := f.Service.CreateContactOnceJSON(ctx, f.Key, "key", body(`{"first_name":"Jane"}`))
			return err
		},
		"CreateContacts": func(ctx context.Context) error {
			_, err := f.Service.CreateContacts(ctx, f.Key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{create}})
			return err
		},
		"CreateContactsJSON": func(ctx context.Context) error {
			_, err := f.Service.CreateContactsJSON(ctx, f.Key, body(`{"contacts":[{"first_name":"Jane"}]}`))
			return err
		},
		"CreateContactStream": func(ctx context.Context) error {
			for _, err := range f.Service.CreateContactStream(ctx, f.Key, slices.Values([]contacts.CreateContactInput{create})) {
				return err
			}
			return errors.New("the stream yields no result")
		},
		"GetContact": func(ctx context.Context) error {
			_, err := f.Service.GetContact(ctx, f.Key, john.ID)
			return err
		},
		"ListContacts": func(ctx context.Context) error {
			_, err := f.Service.ListContacts(ctx, f.Key, contacts.ListContactsInput{})
			return err
		},
		"Contacts": func(ctx context.Context) error {
			for _, err := range f.Service.Contacts(ctx, f.Key, contacts.ListContactsInput{}) {
				return err
			}
			return errors.New("the walk yields no contact")
		},
		"UpdateContact": func(ctx context.Context) error {
			_, err := f.Service.UpdateContact(ctx, f.Key, john.ID, contacts.UpdateContactInput{FirstName: &name}, nil)
			return err
		},
		"UpdateContactJSON": func(ctx context.Context) error {
			_, err := f.Service.UpdateContactJSON(ctx, f.Key, john.ID, body(`{"first_name":"Jane"}`), nil)
			return err
		},
		"ReplaceContact": func(ctx context.Context) error {
			_, err := f.Service.ReplaceContact(ctx, f.Key, john.ID, create, nil)
			return err
		},
		"ReplaceContactJSON": func(ctx context.Context) error {
			_, err := f.Service.ReplaceContactJSON(ctx, f.Key, john.ID, body(`{"first_name":"Jane"}`), nil)
			return err
		},
		"DeleteContact": func(ctx context.Context) error {
			return f.Service.DeleteContact(ctx, f.Key, john.ID, nil)
		},
		"RestoreContact": func(ctx context.Context) error {
			_, err := f.Service.RestoreContact(ctx, f.Key, john.ID, nil)
			return err
		},
	}
}

func TestFailNextFailsEveryMethod(t *testing.T) {
	t.Parallel()
	methods := reflect.TypeFor[*contacts.Service]()
	for i := range methods.NumMethod() {
		method := methods.Method(i).Name
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := contactstest.New(t, nil)
			john, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
			if err != nil {
				t.Fatal(err)
			}
			if method == "RestoreContact" {
				if err := f.Service.DeleteContact(t.Context(), f.Key, john.ID, nil); err != nil {
					t.Fatal(err)
				}
			}
			before := stored(t, f)
			call := calls(f, john)[method]
			if call == nil {
				t.Fatal("calls has no call of this method; add one")
			}
			for _, code := range []contacts.Code{contacts.CodeConflict, contacts.CodeServerError, contacts.CodeTeamAccessDenied} {
				f.FailNext(code)
				if err := call(t.Context()); contacts.CodeOf(err) != code {
					t.Errorf("got %v, want %s", err, code)
				}
			}
			f.FailNextWith(contacts.ErrOutcomeUnknown)
			if err := call(t.Context()); !errors.Is(err, contacts.ErrOutcomeUnknown) {
				t.Errorf("got %v, want one that matches %v", err, contacts.ErrOutcomeUnknown)
			}
			if d := cmp.Diff(before, stored(t, f)); d != "" {
				t.Errorf("contacts after calls that failed (-want +got):\n%s", d)
			}
			if err := call(t.Context()); err != nil {
				t.Errorf("the call after them: %v", err)
			}
		})
	}
}

// stored returns all contacts of the fixture, live and deleted.
func stored(t *testing.T, f *contactstest.Fixture) (all []*contacts.ContactRecord) {
	t.Helper()
	for _, deleted := range []bool{false, true} {
		list, err := f.Store.ListContacts(t.Context(), contacts.ContactQuery{AccountID: f.Account.ID, AllTeams: true, Deleted: deleted, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list.Records...)
	}
	return all
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
