// First is the smallest whole program: one account, one key, one contact.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func main() {
	ctx := context.Background()

	store := memory.New() // to keep contacts in a file: sqlite.Open(ctx, "contacts.db", nil)
	defer store.Close()

	// The host program sets these up once.
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   acme.ID,
		Name:        "web site",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
		AllTeams:    true,
	})
	if err != nil {
		log.Fatal(err)
	}

	// From then on the program makes calls with the key.
	svc, err := contacts.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	john, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{
		FirstName:    "John",
		Email:        "john@EXAMPLE.com",
		PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+1 (555) 123-4567"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(john.FirstName, john.Email, john.Country, john.Status, john.Stage)
	fmt.Println(john.PhoneNumbers[0].PhoneNumber, "primary:", john.PhoneNumbers[0].Primary)

	// Every error is a *contacts.Error. It lists all invalid fields.
	_, err = svc.CreateContact(ctx, key, contacts.CreateContactInput{LastName: "Doe", Email: "nobody"})
	if e, ok := errors.AsType[*contacts.Error](err); ok {
		fmt.Println(e.Code.HTTPStatus(), e.Code)
		for _, d := range e.Details {
			fmt.Println("   ", d.Field, d.Message)
		}
	}
}
