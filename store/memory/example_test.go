package memory_test

import (
	"context"
	"fmt"
	"log"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func Example() {
	ctx := context.Background()
	store := memory.New()
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
	fmt.Println(john.FirstName, john.Country, john.Status, john.Stage)
	// Output: John US not_contacted lead
}
