//go:build cgo

package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// Contacts in a file: created by one store, found by the next.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "contacts")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "contacts.db")

	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		log.Fatal(err)
	}
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   acme.ID,
		Name:        "web site",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts},
		AllTeams:    true,
	})
	if err != nil {
		log.Fatal(err)
	}
	svc, err := contacts.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	john, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John"})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	store, err = sqlite.Open(ctx, path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	svc, err = contacts.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	john, err = svc.GetContact(ctx, key, john.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(john.FirstName, john.Country, john.Stage, john.Status)
	// Output: John US lead not_contacted
}

func ExampleSchemaVersion() {
	fmt.Println("the schema of new files is version", sqlite.SchemaVersion())
	// Output: the schema of new files is version 3
}

func ExampleEngineVersion() {
	fmt.Println("SQLite", strings.Split(sqlite.EngineVersion(), ".")[0])
	// Output: SQLite 3
}

func ExampleStore_Stats() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "contacts")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "contacts.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{AccountID: acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
	if err != nil {
		log.Fatal(err)
	}
	svc, err := contacts.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	batch := contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "John"}, {FirstName: "Jane"}}}
	if _, err := svc.CreateContacts(ctx, key, batch); err != nil {
		log.Fatal(err)
	}
	stats := store.Stats()
	fmt.Println(stats.System, stats.Transactions, stats.Mutations, stats.LargestTransaction)
	// Output: sqlite 1 2 2
}
