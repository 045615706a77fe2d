// Quickstart creates the documented example contact in a real SQLite file and shows
// every documented error. Then it opens the file again and reads the contact back.
//
//	go run ./examples/quickstart
//
// The file is in a temporary folder, which is removed at the end.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// body is the documented example of the create call.
const body = `{
  "first_name": "John",
  "last_name": "Doe",
  "email": "john.doe@example.com",
  "company": "Acme Corp",
  "website": "https://example.com",
  "address": "123 Main St",
  "city": "San Francisco",
  "state": "CA",
  "zip_code": "94105",
  "country": "US",
  "status": "not_contacted",
  "stage": "lead",
  "team_id": 101,
  "tags": ["important", "tech"],
  "phone_numbers": [
    {"phone_number": "+15551234567", "phone_type": "mobile", "primary": true, "do_not_call": false},
    {"phone_number": "+15559876543", "phone_type": "work"}
  ],
  "custom_context": {"lead_source": "website", "score": 85},
  "industry_context": {"industry": "technology", "employees": 250}
}`

func run(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "contacts-quickstart-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "contacts.db")

	created, key, err := createAndFail(ctx, w, path)
	if err != nil {
		return err
	}

	// The first store is closed. A program that starts later finds this in the
	// file.
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	svc, err := contacts.New(store, nil)
	if err != nil {
		return err
	}
	found, err := svc.GetContact(ctx, key, created.ID)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(created, found) {
		return fmt.Errorf("the contact differs after reopening the file: %+v, created %+v", found, created)
	}
	fmt.Fprintf(w, "\nClosed the file, opened it again and read the contact back: it is equal.\n")
	return nil
}

// createAndFail creates the contact in a new file, shows every way in which a
// create can fail, and closes the file.
func createAndFail(ctx context.Context, w io.Writer, path string) (john *contacts.Contact, key string, err error) {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	// The host program sets up accounts, teams and keys. It needs no key for that.
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		return nil, "", err
	}
	for _, team := range []contacts.Team{
		{AccountID: acme.ID, ID: 101, Name: "Sales"},
		{AccountID: acme.ID, ID: 102, Name: "Support"},
	} {
		if _, err := admin.CreateTeam(ctx, team); err != nil {
			return nil, "", err
		}
	}
	read := []contacts.Permission{contacts.PermissionReadContacts}
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: acme.ID, Name: "web site", Permissions: read, TeamIDs: []int64{101}})
	if err != nil {
		return nil, "", err
	}

	// Everything else is a call of a Service with a key.
	svc, err := contacts.New(store, nil)
	if err != nil {
		return nil, "", err
	}
	john, err = svc.CreateContactJSON(ctx, key, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	fmt.Fprintf(w, "The stored contact:\n\n")
	if err := printJSON(w, john); err != nil {
		return nil, "", err
	}

	// An expired key, a revoked key, and a key without permissions.
	expired, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: acme.ID, Name: "last month", Permissions: read, ExpiresAt: time.Now().Add(-time.Hour)})
	if err != nil {
		return nil, "", err
	}
	revoked, stolen, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: acme.ID, Name: "stolen", Permissions: read})
	if err != nil {
		return nil, "", err
	}
	if err := admin.RevokeKey(ctx, stolen.ID); err != nil {
		return nil, "", err
	}
	powerless, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: acme.ID, Name: "without permissions"})
	if err != nil {
		return nil, "", err
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()

	create := func(ctx context.Context, key, body string) func() error {
		return func() error {
			_, err := svc.CreateContactJSON(ctx, key, strings.NewReader(body))
			return err
		}
	}
	fmt.Fprintf(w, "\nCalls that fail:\n\n")
	for _, f := range []struct {
		when string
		call func() error
	}{
		{"no key", create(ctx, "", body)},
		{"a blank key", create(ctx, "  ", body)},
		{"a key with one wrong letter", create(ctx, alter(key), body)},
		{"an expired key", create(ctx, expired, body)},
		{"a revoked key", create(ctx, revoked, body)},
		{"a key without the permission", create(ctx, powerless, body)},
		{"broken JSON", create(ctx, key, `{"first_name": John}`)},
		{"no first name", create(ctx, key, `{"last_name": "Doe"}`)},
		{"several invalid fields", create(ctx, key, `{
			"first_name": "John", "email": "john", "team_id": "101", "favourite_colour": "blue",
			"phone_numbers": [{"phone_number": "+15551234567"}, {"phone_number": "555 123"}]}`)},
		{"a team that does not exist", create(ctx, key, `{"first_name": "John", "team_id": 999}`)},
		{"a team that the key may not access", create(ctx, key, `{"first_name": "John", "team_id": 102}`)},
		{"a cancelled call", create(cancelled, key, body)},
		{"reading a contact that does not exist", func() error {
			_, err := svc.GetContact(ctx, key, uuid.New())
			return err
		}},
	} {
		if err := printError(w, f.when, f.call()); err != nil {
			return nil, "", err
		}
	}

	_, err = svc.CreateContactJSON(ctx, key, strings.NewReader(`{"last_name": "Doe", "email": "john"}`))
	fmt.Fprintf(w, "An error as JSON, as a server sends it:\n\n")
	if err := printJSON(w, err); err != nil {
		return nil, "", err
	}
	return john, key, nil
}

// printError shows the parts of an error. Every error of a Service is a
// *contacts.Error. Its JSON form is the documented body.
func printError(w io.Writer, when string, err error) error {
	e, ok := errors.AsType[*contacts.Error](err)
	if !ok {
		return fmt.Errorf("%s: not a *contacts.Error: %w", when, err)
	}
	fmt.Fprintf(w, "%s\n    %d %s: %s\n", when, e.Code.HTTPStatus(), e.Code, e.Message)
	for _, d := range e.Details {
		fmt.Fprintf(w, "        %s (%s): %s\n", d.Field, d.Code, d.Message)
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(w, "        (errors.Is finds context.Canceled in it)\n")
	}
	fmt.Fprintln(w)
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// alter returns the key with another last character.
func alter(key string) string {
	last := "x"
	if strings.HasSuffix(key, last) {
		last = "y"
	}
	return key[:len(key)-1] + last
}
