package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func ExampleNewAdmin() {
	admin := contacts.NewAdmin(memory.New(), &contacts.AdminOptions{KeyPrefix: "acme"})
	account, err := admin.CreateAccount(context.Background(), "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := admin.IssueKey(context.Background(), contacts.IssueKeyInput{AccountID: account.ID})
	fmt.Println(secret[:5], len(secret), err)
	// Output: acme_ 54 <nil>
}

func ExampleAdmin_CreateAccount() {
	admin := contacts.NewAdmin(memory.New(), nil)
	acme, err := admin.CreateAccount(context.Background(), " Acme Corp ")
	fmt.Println(acme.Name, err)
	// Output: Acme Corp <nil>
}

func ExampleAdmin_CreateTeam() {
	ctx := context.Background()
	_, admin, acme, _ := serve(nil)
	next, err := admin.CreateTeam(ctx, contacts.Team{AccountID: acme.ID, Name: "Sales"})
	fmt.Println(next.ID, err)
	_, err = admin.CreateTeam(ctx, contacts.Team{AccountID: acme.ID, ID: 101})
	fmt.Println(errors.Is(err, contacts.ErrExists), err)
	// Output:
	// 103 <nil>
	// true contacts: validation_error: team_id: is taken in this account
}

func ExampleAdmin_IssueKey() {
	ctx := context.Background()
	_, admin, acme, _ := serve(nil)
	secret, key, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   acme.ID,
		Name:        "import of May",
		Permissions: []contacts.Permission{contacts.PermissionReadContacts},
		TeamIDs:     []int64{101},
		ExpiresAt:   time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(secret), key.Name, key.TeamIDs, key.ExpiresAt.Format(time.DateOnly))
	// Output: 52 import of May [101] 2026-06-01
}

func ExampleAdmin_RevokeKey() {
	ctx := context.Background()
	svc, admin, acme, _ := serve(nil)
	secret, key, err := admin.IssueKey(ctx, contacts.IssueKeyInput{AccountID: acme.ID})
	if err != nil {
		log.Fatal(err)
	}
	if err := admin.RevokeKey(ctx, key.ID); err != nil {
		log.Fatal(err)
	}
	_, err = svc.CreateContact(ctx, secret, contacts.CreateContactInput{FirstName: "John"})
	fmt.Println(err)
	// Output: contacts: invalid_key: the API key is invalid or inactive
}

func ExampleAdmin_DisableAccount() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	if err := admin.DisableAccount(ctx, acme.ID); err != nil {
		log.Fatal(err)
	}
	_, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John"})
	fmt.Println(err)
	// Output: contacts: invalid_key: the API key is invalid or inactive
}

func ExampleAdmin_EnableAccount() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	if err := errors.Join(admin.DisableAccount(ctx, acme.ID), admin.EnableAccount(ctx, acme.ID)); err != nil {
		log.Fatal(err)
	}
	_, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John"})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleAdmin_Accounts() {
	_, admin, _, _ := serve(nil)
	for account, err := range admin.Accounts(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(account.Name, account.DisabledAt.IsZero())
	}
	// Output: Acme Corp true
}

func ExampleAdmin_Teams() {
	_, admin, acme, _ := serve(nil)
	for team, err := range admin.Teams(context.Background(), acme.ID) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(team.ID)
	}
	// Output:
	// 101
	// 102
}

func ExampleAdmin_Keys() {
	_, admin, acme, _ := serve(nil)
	for key, err := range admin.Keys(context.Background(), acme.ID) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(key.Permissions, key.TeamIDs, key.RevokedAt.IsZero())
	}
	// Output: [can_read_contacts can_write_contacts] [101] true
}
