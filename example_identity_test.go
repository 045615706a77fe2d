package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/contacts"
)

func ExampleAdmin_SetDuplicatePolicy() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	err := admin.SetDuplicatePolicy(ctx, acme.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReject})
	fmt.Println(err)

	first, _ := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
	_, err = svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada", Email: "ADA@example.com"})
	fmt.Println(err)
	if e, ok := errors.AsType[*contacts.Error](err); ok {
		fmt.Println(e.Conflicts[0].Field, e.Conflicts[0].ContactID == first.ID)
	}
	// Output:
	// <nil>
	// contacts: duplicate_contact: email: another contact of the account has it
	// email true
}

func ExampleAdmin_DuplicatePolicy() {
	ctx := context.Background()
	_, admin, acme, _ := serve(nil)
	p, err := admin.DuplicatePolicy(ctx, acme.ID)
	fmt.Printf("%q %v\n", p.Action, err)
	// Output: "" <nil>
}

func ExampleService_UpsertContact() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	for _, in := range []contacts.CreateContactInput{
		{FirstName: "Ada", Email: "ada@example.com"},
		{FirstName: "Ada", Email: "ada@example.com", City: "London"},
		{FirstName: "Ada", Email: "ada@example.com", City: "Paris"}, // the city is known
	} {
		r, err := svc.UpsertContact(ctx, key, contacts.UpsertContactInput{CreateContactInput: in})
		fmt.Println(r.Result, r.Contact.City, r.Changes, err)
	}
	// Output:
	// created  [] <nil>
	// updated London [{city  London}] <nil>
	// unchanged London [] <nil>
}

func ExampleService_UpsertContactJSON() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	body := `{"first_name": "Ada", "email": "ada@example.com", "match_on": ["email"], "mode": "overwrite"}`
	r, err := svc.UpsertContactJSON(ctx, key, "", strings.NewReader(body))
	fmt.Println(r.Result, err)
	r, err = svc.UpsertContactJSON(ctx, key, "", strings.NewReader(body))
	fmt.Println(r.Result, err)
	// Output:
	// created <nil>
	// unchanged <nil>
}

func ExampleChanges() {
	before := &contacts.Contact{FirstName: "Ada", Tags: []string{"vip"}, CustomContext: map[string]any{"source": map[string]any{"name": "web"}}}
	after := &contacts.Contact{FirstName: "Ada", City: "London", CustomContext: map[string]any{"source": map[string]any{"name": "phone"}}}
	for _, c := range contacts.Changes(before, after) {
		fmt.Println(c.Field, c.Before, c.After)
	}
	// Output:
	// city  London
	// tags [vip] []
	// custom_context.source.name web phone
}

func ExampleService_FindDuplicates() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	for _, in := range []contacts.CreateContactInput{
		{FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+12025550100"}}},
		{FirstName: "Byron", Email: "byron@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+12025550100"}}},
		{FirstName: "Ada L.", Email: "Ada@example.com"},
	} {
		if _, err := svc.CreateContact(ctx, key, in); err != nil {
			fmt.Println(err)
		}
	}
	page, err := svc.FindDuplicates(ctx, key, contacts.FindDuplicatesInput{Key: contacts.KeyEmail})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range page.Groups {
		fmt.Println(g.Count, "contacts with one", g.Key)
		for _, c := range g.Contacts {
			fmt.Println("  ", c.FirstName)
		}
	}
	// Output:
	// 2 contacts with one email
	//    Ada
	//    Ada L.
}

func ExampleService_Duplicates() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	for _, name := range []string{"Ada", "Byron"} {
		in := contacts.CreateContactInput{FirstName: name, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+12025550100"}}}
		if _, err := svc.CreateContact(ctx, key, in); err != nil {
			fmt.Println(err)
		}
	}
	for g, err := range svc.Duplicates(ctx, key, contacts.FindDuplicatesInput{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(g.Contacts[0].FirstName, "shares a", g.Key, "with", g.Count-1)
	}
	// Output: Ada shares a phone_number with 1
}

func ExampleService_DryRun() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	in := contacts.UpsertContactInput{CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"}}
	if _, err := svc.UpsertContact(ctx, key, in); err != nil {
		fmt.Println(err)
		return
	}
	in.City = "London"
	preview, err := svc.DryRun().UpsertContact(ctx, key, in)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(preview.Result, preview.Changes[0].Field, preview.Changes[0].After, preview.Contact.Version)
	c, err := svc.GetContact(ctx, key, preview.Contact.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("stored: %q, version %d\n", c.City, c.Version)
	// Output:
	// updated city London 2
	// stored: "", version 1
}

func ExampleService_UpsertContacts() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	results, err := svc.UpsertContacts(ctx, key, contacts.UpsertContactsInput{
		Contacts: []contacts.UpsertContactInput{
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"}},
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: "London"}}, // sees the first
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Byron", Email: "byron@example.com"}, UpdateOnly: true},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results {
		fmt.Println(r.Index, r.Result, r.Err)
	}
	// Output:
	// 0 created <nil>
	// 1 updated <nil>
	// 2  contacts: not_found: not found
}

func ExampleService_UpsertContactStream() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	source := func(yield func(contacts.UpsertContactInput) bool) { // such as the rows of a file
		for i := range 2500 {
			in := contacts.CreateContactInput{FirstName: "Ada", ExternalID: fmt.Sprint("crm-", i%2000)}
			if !yield(contacts.UpsertContactInput{CreateContactInput: in, MatchOn: []contacts.KeyKind{contacts.KeyExternalID}}) {
				return
			}
		}
	}
	counts := make(map[contacts.Result]int)
	for r, err := range svc.UpsertContactStream(ctx, key, source) {
		if err != nil {
			fmt.Println(err) // the stream has ended
			return
		}
		if r.Err != nil {
			fmt.Println(r.Index, r.Err)
			continue
		}
		counts[r.Result]++
	}
	fmt.Println(counts)
	// Output: map[created:2000 unchanged:500]
}
