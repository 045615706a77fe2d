package postgres_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// Contacts in the database of a server that runs already. Every process that
// opens it sees the same.
func ExampleOpen() {
	ctx := context.Background()
	store, err := postgres.Open(ctx, "postgres://app:secret@db.example.com/app?sslmode=verify-full", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

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
	fmt.Println(john.FirstName, john.Country, john.Stage, john.Status)
	// It needs a server, so that it is compiled and not run. It prints:
	//
	//	John US lead not_contacted
}

// A host that has a pool shares it with the store. Its role may not make tables,
// which another has done before.
func ExampleNew() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	store, err := postgres.New(ctx, pool, &postgres.Options{Schema: "crm", SkipMigrations: true})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close() // before the pool
}

func ExampleStore_Stats() {
	ctx := context.Background()
	store, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	stats := store.Stats()
	fmt.Println(stats.System, stats.Transactions, stats.Mutations, stats.Waiting)
	// It needs a server, so that it is compiled and not run. It prints:
	//
	//	postgresql 0 0 0
}
