package contactstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

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
	f := contactstest.New(t, &contacts.Options{CreatePermission: "can_dance", Permissions: []contacts.Permission{"can_dance"}})
	if _, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"}); !errors.Is(err, contacts.ErrPermissionDenied) {
		t.Errorf("got %v, want permission_denied", err)
	}
}

// Service and Admin share the secrets, so the Admin can erase a listed number.
func TestFixtureErasesWithSecrets(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, &contacts.Options{DoNotCallSecrets: [][]byte{[]byte(strings.Repeat("s", 32))}})
	listed, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{
		FirstName:    "John",
		PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := f.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: f.Account.ID, ContactID: listed.ID})
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Removed.Numbers != 1 {
		t.Errorf("removed %+v, want one number", receipt.Removed)
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
		"CreateContactResult": func(ctx context.Context) error {
			_, err := f.Service.CreateContactResult(ctx, f.Key, contacts.CreateContactInput{FirstName: "Jane"})
			return err
		},
		"UpsertContact": func(ctx context.Context) error {
			_, err := f.Service.UpsertContact(ctx, f.Key, contacts.UpsertContactInput{CreateContactInput: contacts.CreateContactInput{FirstName: "Jane"}})
			return err
		},
		"UpsertContactJSON": func(ctx context.Context) error {
			_, err := f.Service.UpsertContactJSON(ctx, f.Key, "other key", body(`{"first_name":"Jane"}`))
			return err
		},
		"CreateContactResultJSON": func(ctx context.Context) error {
			_, err := f.Service.CreateContactResultJSON(ctx, f.Key, "key", body(`{"first_name":"Jane"}`))
			return err
		},
		"CreateContacts": func(ctx context.Context) error {
			_, err := f.Service.CreateContacts(ctx, f.Key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{create}})
			return err
		},
		"CreateContactsJSONSeq": func(ctx context.Context) error {
			_, err := f.Service.CreateContactsJSONSeq(ctx, f.Key, body(`{"contacts":[{"first_name":"Jane"}]}`))
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
		"UpsertContacts": func(ctx context.Context) error {
			_, err := f.Service.UpsertContacts(ctx, f.Key, contacts.UpsertContactsInput{Contacts: []contacts.UpsertContactInput{{CreateContactInput: create}}})
			return err
		},
		"UpsertContactStream": func(ctx context.Context) error {
			for _, err := range f.Service.UpsertContactStream(ctx, f.Key, slices.Values([]contacts.UpsertContactInput{{CreateContactInput: create}})) {
				return err
			}
			return errors.New("the stream yields no result")
		},
		"DryRun": func(ctx context.Context) error {
			_, err := f.Service.DryRun().CreateContact(ctx, f.Key, create)
			return err
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
		"Events": func(ctx context.Context) error {
			_, err := f.Service.Events(ctx, f.Key, contacts.EventsInput{})
			return err
		},
		"History": func(ctx context.Context) error {
			for _, err := range f.Service.History(ctx, f.Key, john.ID) {
				return err
			}
			return nil // events are off
		},
		"GetContactAsOf": func(ctx context.Context) error {
			_, err := f.Service.GetContactAsOf(ctx, f.Key, john.ID, john.UpdatedAt)
			return err
		},
		"FindDuplicates": func(ctx context.Context) error {
			_, err := f.Service.FindDuplicates(ctx, f.Key, contacts.FindDuplicatesInput{})
			return err
		},
		"Duplicates": func(ctx context.Context) error {
			for _, err := range f.Service.Duplicates(ctx, f.Key, contacts.FindDuplicatesInput{}) {
				return err
			}
			return nil
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
		"CanCall": func(ctx context.Context) error { return f.Service.CanCall(ctx, f.Key, "+12025550100") },
		"CanCallMany": func(ctx context.Context) error {
			_, err := f.Service.CanCallMany(ctx, f.Key, []string{"+12025550100"})
			return err
		},
		"CanCallManyJSON": func(ctx context.Context) error {
			_, err := f.Service.CanCallManyJSON(ctx, f.Key, body(`{"phone_numbers":["+12025550100"]}`))
			return err
		},
		"DoNotCallStatus": func(ctx context.Context) error {
			_, err := f.Service.DoNotCallStatus(ctx, f.Key, "+12025550100")
			return err
		},
		"BlockCalls": func(ctx context.Context) error {
			_, err := f.Service.BlockCalls(ctx, f.Key, contacts.DoNotCallInput{PhoneNumber: "+12025550100"})
			return err
		},
		"BlockCallsJSON": func(ctx context.Context) error {
			_, err := f.Service.BlockCallsJSON(ctx, f.Key, body(`{"phone_number":"+12025550100"}`))
			return err
		},
		"GrantCalls": func(ctx context.Context) error {
			_, err := f.Service.GrantCalls(ctx, f.Key, contacts.DoNotCallInput{PhoneNumber: "+12025550100", Reason: "asked", Reference: "call 1"})
			return err
		},
		"GrantCallsJSON": func(ctx context.Context) error {
			_, err := f.Service.GrantCallsJSON(ctx, f.Key, body(`{"phone_number":"+12025550100","reason":"asked","reference":"call 1"}`))
			return err
		},
		"BlockCallsBatch": func(ctx context.Context) error {
			_, err := f.Service.BlockCallsBatch(ctx, f.Key, contacts.BlockCallsBatchInput{Entries: []contacts.DoNotCallInput{{PhoneNumber: "+12025550100"}}})
			return err
		},
		"BlockCallsBatchJSON": func(ctx context.Context) error {
			_, err := f.Service.BlockCallsBatchJSON(ctx, f.Key, body(`{"entries":[{"phone_number":"+12025550100"}]}`))
			return err
		},
		"BlockCallsStream": func(ctx context.Context) error {
			for _, err := range f.Service.BlockCallsStream(ctx, f.Key, slices.Values([]contacts.DoNotCallInput{{PhoneNumber: "+12025550100"}}), nil) {
				return err
			}
			return errors.New("the stream yields no result")
		},
		"ListDoNotCall": func(ctx context.Context) error {
			_, err := f.Service.ListDoNotCall(ctx, f.Key, contacts.ListDoNotCallInput{})
			return err
		},
		"DoNotCallEntries": func(ctx context.Context) error {
			for _, err := range f.Service.DoNotCallEntries(ctx, f.Key, contacts.ListDoNotCallInput{}) {
				return err
			}
			return nil // the ledger is empty
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
			if slices.Contains([]string{"CheckDoNotCall", "IdempotencyRetention", "IsDryRun"}, method) {
				t.Skip("it takes no key")
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
	for _, cause := range []error{contacts.ErrNotFound, fmt.Errorf("read: %w", contacts.ErrInvalidKey)} {
		f.FailWith(contacts.OpCreateContact, cause)
		_, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
		if contacts.CodeOf(err) != contacts.CodeServerError || errors.Is(err, cause) || errors.Unwrap(err).Error() != cause.Error() {
			t.Errorf("got %v because of %v, want a server error with the text of %v", err, errors.Unwrap(err), cause)
		}
	}
}

func TestFailWithoutCauseFailsTheTest(t *testing.T) {
	t.Parallel()
	test := &recorder{TB: t}
	f := contactstest.New(test, nil)
	f.FailWith(contacts.OpListContacts, nil)
	f.FailNextWith(nil)
	if len(test.errors) != 2 || !strings.Contains(test.errors[0], "FailWith") || !strings.Contains(test.errors[0], "no cause") {
		t.Errorf("got the errors %q, want 2 that ask for a cause", test.errors)
	}
	test.end()
	if len(test.errors) != 2 {
		t.Errorf("at the end there are the errors %q", test.errors[2:])
	}
}

func TestFailWithDoNotCallGivesAVerdict(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	f.Fail(contacts.OpCanCall, contacts.CodeDoNotCall)
	err := f.Service.CanCall(t.Context(), f.Key, "+12025550100")
	if e, _ := errors.AsType[*contacts.Error](err); contacts.CodeOf(err) != contacts.CodeDoNotCall || e.DoNotCall == nil || e.DoNotCall.Date.IsZero() {
		t.Errorf("got %v, want %s with a verdict", err, contacts.CodeDoNotCall)
	}
}

// A program may go by what every such error of a service has.
func TestFailedCallsSayWhatTheirCodePromises(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	if err := f.Admin.SetEvents(t.Context(), f.Account.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	john := contacts.CreateContactInput{FirstName: "John"}
	created, err := f.Service.CreateContact(t.Context(), f.Key, john)
	if err != nil {
		t.Fatal(err)
	}
	upsert := func() error {
		_, err := f.Service.UpsertContact(t.Context(), f.Key, contacts.UpsertContactInput{CreateContactInput: john})
		return err
	}
	for _, c := range []struct {
		op        contacts.Operation
		code      contacts.Code
		call      func() error
		conflicts int
		next      int64
	}{
		{contacts.OpUpsertContact, contacts.CodeDuplicateContact, upsert, 1, 0},
		{contacts.OpUpsertContact, contacts.CodeAmbiguousMatch, upsert, 2, 0},
		{contacts.OpListEvents, contacts.CodeEventsGone, func() error {
			_, err := f.Service.Events(t.Context(), f.Key, contacts.EventsInput{})
			return err
		}, 0, 2},
		{contacts.OpGetContactAsOf, contacts.CodeEventsGone, func() error {
			_, err := f.Service.GetContactAsOf(t.Context(), f.Key, created.ID, created.CreatedAt)
			return err
		}, 0, 0},
	} {
		f.Fail(c.op, c.code)
		e, _ := errors.AsType[*contacts.Error](c.call())
		if e == nil || e.Code != c.code || len(e.Conflicts) != c.conflicts || e.NextSequence != c.next {
			t.Errorf("%s: got %+v, want %s with %d conflicts and the next sequence %d", c.op, e, c.code, c.conflicts, c.next)
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

// operations are those of the calls of a Service.
var operations = map[string]contacts.Operation{
	"Authorize":               contacts.OpCreateContact,
	"CreateContact":           contacts.OpCreateContact,
	"CreateContactJSON":       contacts.OpCreateContact,
	"CreateContactResult":     contacts.OpCreateContact,
	"CreateContactResultJSON": contacts.OpCreateContact,
	"UpsertContact":           contacts.OpUpsertContact,
	"UpsertContactJSON":       contacts.OpUpsertContact,
	"UpsertContacts":          contacts.OpUpsertContacts,
	"UpsertContactStream":     contacts.OpUpsertContacts,
	"DryRun":                  contacts.OpCreateContact,
	"CreateContacts":          contacts.OpCreateContacts,
	"CreateContactsJSON":      contacts.OpCreateContacts,
	"CreateContactsJSONSeq":   contacts.OpCreateContacts,
	"CreateContactStream":     contacts.OpCreateContacts,
	"GetContact":              contacts.OpGetContact,
	"ListContacts":            contacts.OpListContacts,
	"Contacts":                contacts.OpListContacts,
	"FindDuplicates":          contacts.OpFindDuplicates,
	"Duplicates":              contacts.OpFindDuplicates,
	"UpdateContact":           contacts.OpUpdateContact,
	"UpdateContactJSON":       contacts.OpUpdateContact,
	"ReplaceContact":          contacts.OpReplaceContact,
	"ReplaceContactJSON":      contacts.OpReplaceContact,
	"DeleteContact":           contacts.OpDeleteContact,
	"RestoreContact":          contacts.OpRestoreContact,
	"Events":                  contacts.OpListEvents,
	"History":                 contacts.OpListHistory,
	"GetContactAsOf":          contacts.OpGetContactAsOf,
	"CanCall":                 contacts.OpCanCall,
	"CanCallMany":             contacts.OpCanCallMany,
	"CanCallManyJSON":         contacts.OpCanCallMany,
	"DoNotCallStatus":         contacts.OpDoNotCallStatus,
	"BlockCalls":              contacts.OpBlockCalls,
	"BlockCallsJSON":          contacts.OpBlockCalls,
	"GrantCalls":              contacts.OpGrantCalls,
	"GrantCallsJSON":          contacts.OpGrantCalls,
	"BlockCallsBatch":         contacts.OpBlockCallsBatch,
	"BlockCallsBatchJSON":     contacts.OpBlockCallsBatch,
	"BlockCallsStream":        contacts.OpBlockCallsBatch,
	"ListDoNotCall":           contacts.OpListDoNotCall,
	"DoNotCallEntries":        contacts.OpListDoNotCall,
}

func TestFailFailsTheNamedOperationOnly(t *testing.T) {
	t.Parallel()
	others := slices.Compact(slices.Sorted(maps.Values(operations)))
	f := contactstest.New(t, nil)
	for method := range calls(f, new(contacts.Contact)) {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			test := &recorder{TB: t}
			f := contactstest.New(test, nil)
			john, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range others {
				if op != operations[method] {
					f.Fail(op, contacts.CodeConflict)
				}
			}
			f.Fail(operations[method], contacts.CodeTeamAccessDenied)
			f.FailWith(operations[method], context.Canceled)
			call := calls(f, john)[method]
			if err := call(t.Context()); contacts.CodeOf(err) != contacts.CodeTeamAccessDenied {
				t.Errorf("got %v, want team_access_denied", err)
			}
			if err := call(t.Context()); !errors.Is(err, context.Canceled) {
				t.Errorf("the next call: got %v, want one that matches %v", err, context.Canceled)
			}
			if err := call(t.Context()); contacts.CodeOf(err) == contacts.CodeConflict {
				t.Errorf("the call after them: %v", err)
			}
			test.end()
			if want := len(others) - 1; len(test.errors) != want {
				t.Errorf("%d failures were not used, want %d: %q", len(test.errors), want, test.errors)
			}
		})
	}
}

func TestUnusedFailuresFailTheTest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask  func(*contactstest.Fixture)
		want []string // in the message
	}{
		"Fail":         {func(f *contactstest.Fixture) { f.Fail(contacts.OpDeleteContact, contacts.CodeConflict) }, []string{"delete_contact", "conflict"}},
		"FailWith":     {func(f *contactstest.Fixture) { f.FailWith(contacts.OpDeleteContact, contacts.ErrClosed) }, []string{"delete_contact", "closed"}},
		"FailNext":     {func(f *contactstest.Fixture) { f.FailNext(contacts.CodeNotFound) }, []string{"FailNext", "not_found"}},
		"FailNextWith": {func(f *contactstest.Fixture) { f.FailNextWith(contacts.ErrClosed) }, []string{"FailNextWith", "closed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test := &recorder{TB: t}
			c.ask(contactstest.New(test, nil))
			test.end()
			if len(test.errors) != 1 {
				t.Fatalf("got the errors %q, want 1", test.errors)
			}
			for _, want := range append(c.want, "not used") {
				if !strings.Contains(test.errors[0], want) {
					t.Errorf("got %q, want it to hold %q", test.errors[0], want)
				}
			}
		})
	}
}

func TestUnknownCodesAreRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []contacts.Code{"conflct", "", "teapot"} {
		test := &recorder{TB: t}
		f := contactstest.New(test, nil)
		f.FailNext(code)
		f.Fail(contacts.OpListContacts, code)
		if len(test.errors) != 2 || !strings.Contains(test.errors[0], string(code)) {
			t.Errorf("code %q: got the errors %q, want 2 that name it", code, test.errors)
		}
		if _, err := f.Service.ListContacts(t.Context(), f.Key, contacts.ListContactsInput{}); err != nil {
			t.Errorf("code %q: the call after it: %v", code, err)
		}
		test.end()
	}
}

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// end ends the test.
func (r *recorder) end() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func TestCompareOptions(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	john, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{
		FirstName: "John", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}},
		CustomContext: map[string]any{"score": 1.5, "list": []int{1}, "nested": map[string]any{"big": 1 << 60}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := func(change func(*contacts.Contact)) *contacts.Contact {
		c := &contacts.Contact{
			FirstName: "John", Country: "US", Status: "not_contacted", Stage: "lead",
			PhoneNumbers:  []contacts.PhoneNumber{{PhoneNumber: "+15551234567", Primary: true}},
			CustomContext: map[string]any{"score": 1.5, "list": []int{1}, "nested": map[string]any{"big": 1 << 60}},
		}
		change(c)
		return c
	}
	options := cmp.Options{contactstest.IgnoreAssigned(), contactstest.EquateContexts()}
	if d := cmp.Diff(want(func(*contacts.Contact) {}), john, options); d != "" {
		t.Errorf("the created contact (-want +got):\n%s", d)
	}
	block := contacts.DoNotCallInput{PhoneNumber: "+15551234567", ExpiresAt: john.CreatedAt.Add(time.Hour)}
	if _, err := f.Service.BlockCalls(t.Context(), f.Key, block); err != nil {
		t.Fatal(err)
	}
	listed, err := f.Service.GetContact(t.Context(), f.Key, john.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want(func(c *contacts.Contact) { c.PhoneNumbers[0].DoNotCall = true }), listed, options); d != "" {
		t.Errorf("the contact with a block (-want +got):\n%s", d)
	}
	for name, other := range map[string]func(*contacts.Contact){
		"name":           func(c *contacts.Contact) { c.FirstName = "Jane" },
		"phone number":   func(c *contacts.Contact) { c.PhoneNumbers[0].PhoneNumber = "+15551234568" },
		"number":         func(c *contacts.Contact) { c.CustomContext["score"] = 2 },
		"nested number":  func(c *contacts.Contact) { c.CustomContext["nested"] = map[string]any{"big": 1} },
		"absent context": func(c *contacts.Contact) { c.CustomContext = nil },
		"empty context":  func(c *contacts.Contact) { c.IndustryContext = map[string]any{} },
		"deletion":       func(c *contacts.Contact) { c.DeletedAt = john.CreatedAt },
	} {
		if cmp.Equal(want(other), john, options) {
			t.Errorf("a contact that differs in its %s is equal", name)
		}
	}
}

func TestClockMakesTheSameContactsInEveryRun(t *testing.T) {
	t.Parallel()
	golden := func() []byte {
		var clock contactstest.Clock
		f := contactstest.New(t, &contacts.Options{Now: clock.Now, NewID: clock.NewID})
		clock.Advance(90 * time.Second)
		c, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const want = `{"id":"019b796f-3590-7000-8000-000000000003","account_id":"019b796d-d600-7000-8000-000000000001",` +
		`"first_name":"John","country":"US","status":"not_contacted","stage":"lead",` +
		`"phone_numbers":[{"id":"019b796f-3590-7000-8000-000000000004","phone_number":"+15551234567","primary":true,"do_not_call":false}],` +
		`"created_at":"2026-01-01T12:01:30Z","updated_at":"2026-01-01T12:01:30Z","version":1}`
	for range 2 {
		if got := string(golden()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	var clock contactstest.Clock
	a, b := clock.NewID(), clock.NewID()
	if a.String() >= b.String() || a.Version() != 7 || a.Variant() != uuid.RFC4122 {
		t.Errorf("got %s, then %s", a, b)
	}
}

// The order of members has no meaning in JSON.
func TestEquateContextsOfMembersInAnotherOrder(t *testing.T) {
	t.Parallel()
	given := map[string]any{"address": json.RawMessage(`{"street": "Main St", "city": "Springfield", "no": 1.0}`)}
	same := map[string]any{"address": map[string]any{"city": "Springfield", "street": "Main St", "no": json.Number("1.0")}}
	other := map[string]any{"address": map[string]any{"city": "Springfield", "street": "Main St", "no": json.Number("1.1")}}
	if !cmp.Equal(given, same, contactstest.EquateContexts()) || cmp.Equal(given, other, contactstest.EquateContexts()) {
		t.Error("want the first two equal, and the third different")
	}
}
