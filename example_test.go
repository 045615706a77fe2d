package contacts_test

import (
	"context"
	"fmt"
	"log"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// The whole of a first program: a store, an account, a key, a contact.
func Example() {
	ctx := context.Background()
	store := memory.New() // or sqlite.Open(ctx, "contacts.db", nil)
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
	john, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{
		FirstName:    "John",
		Email:        "John.Doe@Example.COM",
		PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+1 (555) 123-4567"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(john.FirstName, john.Email, john.PhoneNumbers[0].PhoneNumber, john.Country, john.Stage, john.Status)
	// Output: John John.Doe@example.com +15551234567 US lead not_contacted
}
