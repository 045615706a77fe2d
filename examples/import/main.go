// Import imports a file of contacts into a SQLite file: CSV of the usual programs,
// JSON lines or vCards. It prints the refused rows, with the reason in front, and what
// became of the others:
//
//	go run ./examples/import contacts.db people.csv
//	go run ./examples/import
//
// The second command is a demonstration with a small file and a temporary store.
//
// Importing a file again is safe: within 24 hours no row is stored twice. So correct
// the refused rows, and import them or the whole file again. Ctrl-C stops reading; what
// was read is stored.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "import:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	switch len(args) {
	case 0:
		store := memory.New()
		return errors.Join(importFile(ctx, store, strings.NewReader(demo), out), store.Close())
	case 2:
	default:
		return errors.New("usage: import contacts.db people.csv")
	}
	file, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer file.Close()
	store, err := sqlite.Open(ctx, args[0], nil)
	if err != nil {
		return err
	}
	return errors.Join(importFile(ctx, store, file, out), store.Close())
}

// demo is what the demonstration imports.
const demo = `First Name;Last Name;Mobile Phone;Tags
Ada;Lovelace;+1 555 123 4567;maths;engines
Alan;Turing;555 1234;
Grace;Hopper;+1 555 987 6543;"navy;compilers"
`

// importFile imports a file on behalf of a key that is revoked afterwards.
func importFile(ctx context.Context, store contacts.Store, file io.Reader, out io.Writer) (err error) {
	svc, err := contacts.New(store, nil)
	if err != nil {
		return err
	}
	rows, err := contactsio.NewReader(file, nil)
	if err != nil {
		return err
	}
	key, revoke, err := temporaryKey(ctx, contacts.NewAdmin(store, nil))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, revoke()) }()

	summary, err := contactsio.Import(ctx, svc, key, rows, &contactsio.ImportOptions{Refused: out})
	if summary != nil {
		fmt.Fprintf(out, "%d rows: %d created, %d stored before, %d refused; columns ignored: %q\n",
			summary.Rows, summary.Created, summary.Replayed, summary.Refused, summary.Ignored)
	}
	return err
}

// temporaryKey issues a key of the only account of a store, and returns a function
// that revokes it. A store without an account gets one.
func temporaryKey(ctx context.Context, admin *contacts.Admin) (key string, revoke func() error, err error) {
	var all []contacts.Account
	for account, err := range admin.Accounts(ctx) {
		if err != nil {
			return "", nil, err
		}
		all = append(all, account)
	}
	switch len(all) {
	case 0:
		account, err := admin.CreateAccount(ctx, "My company")
		if err != nil {
			return "", nil, err
		}
		all = append(all, *account)
	case 1:
	default:
		return "", nil, fmt.Errorf("the database has %d accounts; this program knows only what to do with one", len(all))
	}
	key, issued, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   all[0].ID,
		Name:        "import",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts}, // as documented for a create
		AllTeams:    true,
	})
	if err != nil {
		return "", nil, err
	}
	// Revoke it after Ctrl-C too, when ctx is done.
	return key, func() error { return admin.RevokeKey(context.WithoutCancel(ctx), issued.ID) }, nil
}
