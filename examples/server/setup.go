package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"example.com/contacts"
)

// findAccount returns the oldest account; nil: there is none.
func findAccount(ctx context.Context, admin *contacts.Admin) (*contacts.Account, error) {
	for account, err := range admin.Accounts(ctx) {
		return &account, err
	}
	return nil, nil
}

// setUp returns the account, and creates it in an empty store. It issues a key if
// the account is new or another key was requested; else the key is "".
func setUp(ctx context.Context, admin *contacts.Admin, another bool) (account *contacts.Account, key string, err error) {
	if account, err = findAccount(ctx, admin); err != nil {
		return nil, "", err
	}
	if account == nil {
		another = true
		if account, err = createAccount(ctx, admin); err != nil {
			return nil, "", err
		}
	}
	if another {
		key, err = issueKey(ctx, admin, account)
	}
	return account, key, err
}

// createAccount creates an account with the team of the documented example.
func createAccount(ctx context.Context, admin *contacts.Admin) (*contacts.Account, error) {
	account, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		return nil, err
	}
	_, err = admin.CreateTeam(ctx, contacts.Team{AccountID: account.ID, ID: 101, Name: "Sales"})
	return account, err
}

// issueKey returns a new key with all permissions and all teams of the account.
func issueKey(ctx context.Context, admin *contacts.Admin, account *contacts.Account) (key string, err error) {
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   account.ID,
		Name:        "server",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
		AllTeams:    true,
	})
	return key, err
}

// A welcome is what the server prints at its start. It is no part of the log,
// because it may hold a key.
type welcome struct {
	url     string // of the server
	db      string // the value of -db; "": a temporary file
	account string
	key     string // "": the account is not new
}

func (w welcome) print(out io.Writer) {
	if w.db == "" {
		fmt.Fprint(out, "The contacts are in a temporary file, which is removed at the end. Use -db contacts.db to keep them.\n\n")
	}
	if w.key != "" {
		fmt.Fprintf(out, commands, w.account, w.url, w.key, exampleBody)
	} else {
		fmt.Fprintf(out, "The account %s exists already, and its key was shown when it was issued. To issue another key:\n\n"+
			"go run ./examples/server -db %s -issue-key\n\n", w.account, quote(quotable(w.db)))
	}
	fmt.Fprintf(out, "Listening on %s; Ctrl-C ends it.\n", w.url)
}

// quote quotes a word for a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// urlOf returns the URL of the address on this machine.
func urlOf(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err == nil && net.ParseIP(host).IsUnspecified() { // all addresses of the machine
		return "http://localhost:" + port
	}
	return "http://" + addr.String()
}

// commands is printed for pasting into a shell.
const commands = `The account %[1]s was created. Its API key is shown only this once:

%[3]s

Create a contact:

curl -sS %[2]s/api/v1/contacts/create -H 'Authorization: Bearer %[3]s' -H 'Content-Type: application/json' -d '%[4]s'

List contacts, change the newest one, delete it and restore it:

api=%[2]s/api/v1 auth='Authorization: Bearer %[3]s' json='Content-Type: application/json'
curl -sS "$api/contacts?search=doe" -H "$auth"
id=$(curl -sS "$api/contacts?limit=1" -H "$auth" | grep -oE '[0-9a-f-]{36}' | head -n 1)
curl -sS -X PATCH "$api/contacts/$id/update" -H "$auth" -H "$json" -d '{"stage": "customer"}'
curl -sS -X DELETE "$api/contacts/$id" -H "$auth"
curl -sS -X POST "$api/contacts/$id/restore" -H "$auth"

The description of the whole API: %[2]s/api/v1/openapi.json

`

// exampleBody is the documented example of a create.
const exampleBody = `{
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
