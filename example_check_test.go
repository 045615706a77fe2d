package contacts_test

import (
	"context"
	"fmt"
	"log"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A policy does not change contacts from before it. A check finds them.
func ExampleCheckStore() {
	ctx := context.Background()
	store := memory.New()
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
	for range 2 {
		if _, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John", Email: "john@example.com"}); err != nil {
			log.Fatal(err)
		}
	}
	if err := admin.SetDuplicatePolicy(ctx, acme.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}); err != nil {
		log.Fatal(err)
	}

	for found, err := range contacts.CheckStore(ctx, store) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s: %s\n", found.Severity, found.Code, found.Message)
	}
	// Output: warning: twins_under_policy: 2 contacts have the same email, which must be unique in this account; the contact is one of them
}
