package contacts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// serve returns a service with one account, whose teams are 101 and 102, and a
// key that may access team 101.
func serve(opts *contacts.Options) (svc *contacts.Service, admin *contacts.Admin, acme *contacts.Account, key string) {
	ctx := context.Background()
	store := memory.New()
	admin = contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []int64{101, 102} {
		if _, err := admin.CreateTeam(ctx, contacts.Team{AccountID: acme.ID, ID: id}); err != nil {
			log.Fatal(err)
		}
	}
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   acme.ID,
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
		TeamIDs:     []int64{101},
	})
	if err != nil {
		log.Fatal(err)
	}
	if svc, err = contacts.New(store, opts); err != nil {
		log.Fatal(err)
	}
	return svc, admin, acme, key
}

func ExampleNew() {
	svc, err := contacts.New(memory.New(), &contacts.Options{
		DefaultRegion: "US",
		Stages:        []string{"prospect", "customer"},
		Limits:        contacts.Limits{Tags: 10},
	})
	fmt.Println(svc != nil, err)

	_, err = contacts.New(memory.New(), &contacts.Options{DefaultRegion: "usa"})
	fmt.Println(err)
	// Output:
	// true <nil>
	// contacts: Options.DefaultRegion is "usa"; give two upper-case letters of ISO 3166 such as "US", or "" to take E.164 numbers only
}

func ExampleService_CreateContact() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)

	john, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{
		FirstName: "John",
		TeamID:    101,
		Tags:      []string{"vip", "newsletter", "vip"},
		PhoneNumbers: []contacts.PhoneNumberInput{
			{PhoneNumber: "+15551234567", PhoneType: "mobile"},
			{PhoneNumber: "+15557654321", PhoneType: "work", DoNotCall: true},
		},
		CustomContext: map[string]any{"score": 42},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(john.Tags, john.PhoneNumbers[0].Primary, john.CustomContext["score"])

	_, err = svc.CreateContact(ctx, key, contacts.CreateContactInput{
		FirstName:    "John",
		Email:        "john",
		PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "0044 20 7946 0958"}},
	})
	var e *contacts.Error
	if errors.As(err, &e) {
		for _, d := range e.Details {
			fmt.Println(d.Field, d.Message)
		}
	}

	_, err = svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John", TeamID: 102})
	fmt.Println(errors.Is(err, contacts.ErrTeamAccessDenied))
	// Output:
	// [vip newsletter] true 42
	// email must be one bare address such as name@example.com
	// phone_numbers[0].phone_number must start with + in place of 00
	// true
}

func ExampleService_CreateContactJSON() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)

	john, err := svc.CreateContactJSON(ctx, key, strings.NewReader(`{
		"first_name": "John",
		"team_id": 101,
		"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "mobile"}],
		"custom_context": {"balance": 12345678901234567890.10}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(john.FirstName, john.TeamID, john.CustomContext["balance"])

	_, err = svc.CreateContactJSON(ctx, key, strings.NewReader(`{"first_name": "John",}`))
	fmt.Println(err)

	_, err = svc.CreateContactJSON(ctx, key, strings.NewReader(`{"firstname": "John"}`))
	body, _ := json.Marshal(err)
	fmt.Println(contacts.CodeOf(err).HTTPStatus(), string(body))
	// Output:
	// John 101 12345678901234567890.10
	// contacts: invalid_json: invalid JSON: line 1, column 22: unexpected character ','
	// 400 {"error":"missing_first_name","message":"first name is required","details":[{"field":"first_name","code":"required","message":"is required"},{"field":"firstname","code":"unknown_field","message":"is not a field of a contact"}]}
}

func ExampleService_GetContact() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)

	created, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John"})
	if err != nil {
		log.Fatal(err)
	}
	got, err := svc.GetContact(ctx, key, created.ID)
	fmt.Println(got.FirstName, err)

	_, err = svc.GetContact(ctx, key, uuid.New())
	fmt.Println(err)
	// Output:
	// John <nil>
	// contacts: not_found: not found
}

func ExampleCodeOf() {
	svc, _, _, _ := serve(nil)
	_, err := svc.CreateContact(context.Background(), "", contacts.CreateContactInput{FirstName: "John"})
	switch contacts.CodeOf(err) {
	case "":
		fmt.Println("created")
	case contacts.CodeAuthenticationRequired, contacts.CodeInvalidKey:
		fmt.Println("ask for another key")
	case contacts.CodeServerError:
		fmt.Println("try again later")
	}
	// Output: ask for another key
}

// Errors of this package compare by what a client sees of them.
func ExampleError_Equal() {
	svc, _, _, key := serve(nil)
	_, err := svc.CreateContact(context.Background(), key, contacts.CreateContactInput{FirstName: "John", Email: "john"})
	var got *contacts.Error
	if !errors.As(err, &got) {
		log.Fatal(err)
	}
	want := contacts.NewValidationError(contacts.FieldError{Field: "email", Code: contacts.FieldInvalid, Message: got.Details[0].Message})
	fmt.Println(got.Equal(want), got.Equal(contacts.NewValidationError()))
	// Output: true false
}

func ExampleCode_HTTPStatus() {
	fmt.Println(contacts.CodeTeamNotFound, contacts.CodeTeamNotFound.HTTPStatus())
	// Output: team_not_found 404
}

// sessions authenticates a host's own sessions instead of API keys.
type sessions map[string]*contacts.Principal

func (s sessions) Authenticate(_ context.Context, key string) (*contacts.Principal, error) {
	if p, ok := s[key]; ok {
		return p, nil
	}
	return nil, contacts.ErrInvalidKey
}

func ExampleAuthenticator() {
	ctx := context.Background()
	store := memory.New()
	acme, err := contacts.NewAdmin(store, nil).CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	svc, err := contacts.New(store, &contacts.Options{Authenticator: sessions{
		"session 7": {AccountID: acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = svc.CreateContact(ctx, "session 7", contacts.CreateContactInput{FirstName: "John"})
	fmt.Println(err)
	_, err = svc.CreateContact(ctx, "session 8", contacts.CreateContactInput{FirstName: "John"})
	fmt.Println(err)
	// Output:
	// <nil>
	// contacts: invalid_key: the API key is invalid or inactive
}

// onlyReads lets a key read, and nothing else.
type onlyReads struct{ next contacts.Authenticator }

func (o onlyReads) Authenticate(ctx context.Context, key string) (*contacts.Principal, error) {
	switch contacts.OperationOf(ctx) {
	case contacts.OpGetContact, contacts.OpListContacts:
		return o.next.Authenticate(ctx, key)
	default:
		return nil, contacts.ErrPermissionDenied
	}
}

func ExampleOperationOf() {
	store := memory.New()
	svc, err := contacts.New(store, &contacts.Options{Authenticator: onlyReads{contacts.KeyAuthenticator(store, nil)}})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	_, err = svc.CreateContact(ctx, "ck_key", contacts.CreateContactInput{FirstName: "Ada"})
	fmt.Println(contacts.CodeOf(err))
	_, err = svc.ListContacts(ctx, "ck_key", contacts.ListContactsInput{}) // the store is asked for the key
	fmt.Println(contacts.CodeOf(err))
	// Output:
	// permission_denied
	// invalid_key
}

// locked lets nobody in at night and asks the store's keys by day.
type locked struct {
	night bool
	next  contacts.Authenticator
}

func (l *locked) Authenticate(ctx context.Context, key string) (*contacts.Principal, error) {
	if l.night {
		return nil, &contacts.Error{Code: contacts.CodePermissionDenied, Message: "come back in the morning"}
	}
	return l.next.Authenticate(ctx, key)
}

func ExampleKeyAuthenticator() {
	store := memory.New()
	svc, err := contacts.New(store, &contacts.Options{
		Authenticator: &locked{night: true, next: contacts.KeyAuthenticator(store, nil)},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = svc.CreateContact(context.Background(), "a key", contacts.CreateContactInput{FirstName: "John"})
	fmt.Println(err)
	// Output: contacts: permission_denied: come back in the morning
}

func ExampleParsePhoneNumber() {
	fmt.Println(contacts.ParsePhoneNumber("(212) 736-5000", "US"))
	fmt.Println(contacts.ParsePhoneNumber("+44 20 7946 0018", ""))
	_, err := contacts.ParsePhoneNumber("12345", "US")
	fmt.Println(err)
	// Output:
	// +12127365000 <nil>
	// +442079460018 <nil>
	// contacts: validation_error: phone_number: is too short for its country code
}
