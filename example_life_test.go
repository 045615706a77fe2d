package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// create creates a contact for an example.
func create(svc *contacts.Service, key string, in contacts.CreateContactInput) *contacts.Contact {
	c, err := svc.CreateContact(context.Background(), key, in)
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func ExampleService_ListContacts() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	for _, name := range []string{"Ada", "Grace", "Katherine"} {
		create(svc, key, contacts.CreateContactInput{FirstName: name, Company: "Example Labs"})
	}

	in := contacts.ListContactsInput{Search: "LABS", Limit: 2}
	for {
		page, err := svc.ListContacts(ctx, key, in)
		if err != nil {
			log.Fatal(err)
		}
		for _, c := range page.Contacts {
			fmt.Println(c.FirstName)
		}
		if in.Cursor = page.NextCursor; in.Cursor == "" {
			break
		}
		fmt.Println("--")
	}

	page, err := svc.ListContacts(ctx, key, contacts.ListContactsInput{Page: 1, Limit: 2})
	fmt.Println(page.Count, "contacts on", page.Pages, "pages", err)
	// Output:
	// Katherine
	// Grace
	// --
	// Ada
	// 3 contacts on 2 pages <nil>
}

func ExampleService_Contacts() {
	svc, _, _, key := serve(nil)
	create(svc, key, contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})
	create(svc, key, contacts.CreateContactInput{FirstName: "Grace"})

	// Who is calling?
	for c, err := range svc.Contacts(context.Background(), key, contacts.ListContactsInput{PhoneNumber: "+1 555 123 4567"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c.FirstName)
	}
	// Output: Ada
}

// A copy of the contacts asks for what has changed since its last walk.
func ExampleService_Contacts_copy() {
	ctx := context.Background()
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	svc, _, _, key := serve(&contacts.Options{Now: func() time.Time { return now }})
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada"})
	create(svc, key, contacts.CreateContactInput{FirstName: "Grace"})
	now = now.Add(time.Hour)

	var last time.Time // when the last walk began
	follow := func() {
		in := contacts.ListContactsInput{}
		if !last.IsZero() {
			in.UpdatedAfter = last.Add(-5 * time.Minute)
		}
		last = now
		for _, in.Deleted = range []bool{false, true} {
			for c, err := range svc.Contacts(ctx, key, in) {
				if err != nil {
					log.Fatal(err)
				}
				fmt.Println(c.FirstName, c.Version, c.DeletedAt.IsZero())
			}
		}
	}
	follow()
	now = now.Add(time.Hour)
	if err := svc.DeleteContact(ctx, key, ada.ID, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println("an hour later")
	follow()
	// Output:
	// Grace 1 true
	// Ada 1 true
	// an hour later
	// Ada 2 false
}

func ExampleService_UpdateContact() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	ada := create(svc, key, contacts.CreateContactInput{
		FirstName:     "Ada",
		Stage:         "lead",
		PhoneNumbers:  []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}},
		CustomContext: map[string]any{"score": 42, "source": "web"},
	})

	changed, err := svc.UpdateContact(ctx, key, ada.ID, contacts.UpdateContactInput{
		Stage:         new("customer"),
		PhoneNumbers:  &[]contacts.UpdatePhoneNumber{{ID: ada.PhoneNumbers[0].ID, DoNotCall: new(true)}},
		CustomContext: &map[string]any{"source": nil}, // removed
	}, &contacts.ChangeOptions{Version: ada.Version})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(changed.FirstName, changed.Stage, changed.PhoneNumbers[0].DoNotCall, changed.CustomContext)

	// A caller that still has the old version must read again first.
	_, err = svc.UpdateContact(ctx, key, ada.ID, contacts.UpdateContactInput{Stage: new("lost")}, &contacts.ChangeOptions{Version: ada.Version})
	fmt.Println(errors.Is(err, contacts.ErrConflict))
	// Output:
	// Ada customer true map[score:42]
	// true
}

func ExampleService_UpdateContactJSON() {
	svc, _, _, key := serve(nil)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada", Company: "Example Labs", Tags: []string{"vip"}})

	body := `{"company": null, "tags": ["vip", "speaker"]}`
	changed, err := svc.UpdateContactJSON(context.Background(), key, ada.ID, strings.NewReader(body), nil)
	fmt.Printf("%s %q %v %v\n", changed.FirstName, changed.Company, changed.Tags, err)
	// Output: Ada "" [vip speaker] <nil>
}

func ExampleService_ReplaceContact() {
	svc, _, _, key := serve(nil)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada", Company: "Example Labs", Stage: "customer"})

	changed, err := svc.ReplaceContact(context.Background(), key, ada.ID, contacts.CreateContactInput{FirstName: "Augusta Ada"}, nil)
	fmt.Printf("%s %q %s %t %v\n", changed.FirstName, changed.Company, changed.Stage, changed.ID == ada.ID, err)
	// Output: Augusta Ada "" lead true <nil>
}

func ExampleService_ReplaceContactJSON() {
	svc, _, _, key := serve(nil)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})

	body := fmt.Sprintf(`{"first_name": "Ada", "phone_numbers": [{"id": %q, "phone_number": "+15557654321"}]}`, ada.PhoneNumbers[0].ID)
	changed, err := svc.ReplaceContactJSON(context.Background(), key, ada.ID, strings.NewReader(body), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(changed.PhoneNumbers[0].PhoneNumber, changed.PhoneNumbers[0].ID == ada.PhoneNumbers[0].ID)
	// Output: +15557654321 true
}

func ExampleService_DeleteContact() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada"})

	fmt.Println(svc.DeleteContact(ctx, key, ada.ID, nil))
	_, err := svc.GetContact(ctx, key, ada.ID)
	fmt.Println(err)
	// Output:
	// <nil>
	// contacts: not_found: not found
}

func ExampleService_RestoreContact() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada"})
	if err := svc.DeleteContact(ctx, key, ada.ID, nil); err != nil {
		log.Fatal(err)
	}

	back, err := svc.RestoreContact(ctx, key, ada.ID, nil)
	fmt.Println(back.FirstName, back.Version, err)
	// Output: Ada 3 <nil>
}

func ExampleAdmin_PurgeContacts() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada"})
	if err := svc.DeleteContact(ctx, key, ada.ID, nil); err != nil {
		log.Fatal(err)
	}

	// What was deleted more than 30 days ago, in every account.
	n, err := admin.PurgeContacts(ctx, contacts.PurgeInput{DeletedBefore: time.Now().AddDate(0, 0, -30)})
	fmt.Println(n, err)
	// One person, at once.
	n, err = admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: acme.ID, ContactID: ada.ID})
	fmt.Println(n, err)
	// Output:
	// 0 <nil>
	// 1 <nil>
}

func ExampleService_CreateContacts() {
	svc, _, _, key := serve(nil)
	results, err := svc.CreateContacts(context.Background(), key, contacts.CreateContactsInput{
		Contacts: []contacts.CreateContactInput{
			{FirstName: "Ada", IdempotencyKey: "row 1"},
			{FirstName: "Grace", Email: "grace"},
			{FirstName: "Ada", IdempotencyKey: "row 1"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			fmt.Println(r.Err)
		} else {
			fmt.Println(r.Contact.FirstName, r.Replayed)
		}
	}
	// Output:
	// Ada false
	// contacts: validation_error: email: must be one bare address such as name@example.com
	// Ada true
}

func ExampleService_CreateContactsJSON() {
	svc, _, _, key := serve(nil)
	body := `{"all_or_nothing": true, "contacts": [{"first_name": "Ada"}, {"first_name": "Grace", "team_id": 999}]}`
	results, err := svc.CreateContactsJSON(context.Background(), key, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		fmt.Println(contacts.CodeOf(r.Err))
	}
	// Output:
	// batch_failed
	// team_not_found
}

func ExampleService_CreateContactsJSONSeq() {
	svc, _, _, key := serve(nil)
	body := `{"contacts": [{"first_name": "Ada"}, {"first_name": "Grace", "email": "grace"}]}`
	results, err := svc.CreateContactsJSONSeq(context.Background(), key, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	for r := range results { // one at a time, so that a long answer takes little memory
		if r.Err != nil {
			fmt.Println(r.Err)
		} else {
			fmt.Println(r.Contact.FirstName)
		}
	}
	// Output:
	// Ada
	// contacts: validation_error: email: must be one bare address such as name@example.com
}

func ExampleService_CreateContactStream() {
	svc, _, _, key := serve(nil)
	rows := func(yield func(contacts.CreateContactInput) bool) { // of a file of any size
		for i := range 2500 {
			if !yield(contacts.CreateContactInput{FirstName: fmt.Sprintf("Row %d", i)}) {
				return
			}
		}
	}
	created := 0
	for r, err := range svc.CreateContactStream(context.Background(), key, rows) {
		if err != nil {
			log.Fatal(err) // nothing more was created
		}
		if r.Err == nil {
			created++
		}
	}
	fmt.Println(created)
	// Output: 2500
}

func ExampleService_CreateContactResultJSON() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	once := uuid.NewString() // what a client sends along, and again when it heard no answer

	first, err := svc.CreateContactResultJSON(ctx, key, once, strings.NewReader(`{"first_name": "Ada", "city": "London"}`))
	fmt.Println(first.Contact.FirstName, first.Replayed, err)
	again, err := svc.CreateContactResultJSON(ctx, key, once, strings.NewReader(`{"city":"London","first_name":"Ada"}`))
	fmt.Println(again.Contact.ID == first.Contact.ID, again.Replayed, err)
	_, err = svc.CreateContactResultJSON(ctx, key, once, strings.NewReader(`{"first_name": "Grace"}`))
	fmt.Println(contacts.CodeOf(err))
	// Output:
	// Ada false <nil>
	// true true <nil>
	// idempotency_conflict
}

func ExampleService_CreateContactResult() {
	ctx := context.Background()
	svc, _, _, key := serve(nil)
	ada := contacts.CreateContactInput{FirstName: "Ada", ExternalID: "A-1"}
	first, err := svc.CreateContact(ctx, key, ada)
	if err != nil {
		log.Fatal(err)
	}
	if err := svc.DeleteContact(ctx, key, first.ID, nil); err != nil {
		log.Fatal(err)
	}
	r, err := svc.CreateContactResult(ctx, key, ada)
	fmt.Println(r.Contact.ID == first.ID, r.DeletedTwin == first.ID, err)
	// Output: false true <nil>
}

func ExampleFoldSearch() {
	fmt.Println(contacts.FoldSearch("  JOSÉ   Straße "))
	// Output: jose strasse
}

func ExampleContactRecord_SearchText() {
	r := contacts.ContactRecord{Contact: contacts.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example Labs", Email: "Ada@example.com"}}
	fmt.Println(r.SearchText())
	// Output: ada lovelace example labs ada@example.com
}

func ExampleContactQuery_SearchWords() {
	q := contacts.ContactQuery{Search: contacts.FoldSearch("Núñez  Ana")}
	fmt.Printf("%q\n", q.SearchWords())
	// Output: ["nunez" "ana"]
}

func ExampleContactQuery_Matches() {
	r := contacts.ContactRecord{Contact: contacts.Contact{FirstName: "Ada", LastName: "Lovelace", Tags: []string{"vip"}, TeamID: 101}}
	seen := contacts.ContactQuery{Tag: "vip", Search: "love ada", Teams: []int64{101}}
	unseen := contacts.ContactQuery{Tag: "vip", Teams: []int64{102}}
	fmt.Println(seen.Matches(&r), unseen.Matches(&r))
	// Output: true false
}

func ExampleContactRecord_MatchKeys() {
	r := contacts.ContactRecord{Contact: contacts.Contact{
		Email:        "Ada.Lovelace@example.com",
		PhoneNumbers: []contacts.PhoneNumber{{PhoneNumber: "+15551234567"}},
	}}
	for _, k := range r.MatchKeys() {
		fmt.Println(k.Kind, k.Value)
	}
	// Output:
	// email ada.lovelace@example.com
	// phone_number +15551234567
}

func ExampleMatchEmail() {
	fmt.Println(contacts.MatchEmail("Ada+News@example.com"))
	// Output: ada+news@example.com
}

func ExampleNewValidationError() {
	err := contacts.NewValidationError(contacts.FieldError{Field: "dry_run", Code: contacts.FieldInvalid, Message: "must be true"})
	fmt.Println(err)
	fmt.Println(contacts.CodeOf(err).HTTPStatus())
	// Output:
	// contacts: validation_error: dry_run: must be true
	// 400
}

func ExampleDirectory_Clone() {
	kept := contacts.Directory{Keys: []contacts.KeyRecord{{APIKey: contacts.APIKey{TeamIDs: []int64{101}}}}}
	given := kept.Clone()
	given.Keys[0].TeamIDs[0] = 7
	fmt.Println(kept.Keys[0].TeamIDs)
	// Output: [101]
}

func ExamplePrincipal_Can() {
	svc, _, _, key := serve(nil)
	p, err := svc.Authorize(context.Background(), key, contacts.OpUpdateContact)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Can(contacts.PermissionWriteContacts), p.Can(contacts.PermissionManageDoNotCall))
	// Output: true false
}

func ExamplePrincipal_CanAccessTeam() {
	svc, _, _, key := serve(nil)
	p, err := svc.Authorize(context.Background(), key, contacts.OpUpdateContact)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.CanAccessTeam(101), p.CanAccessTeam(102), p.CanAccessTeam(0)) // 0: what is in no team
	// Output: true false true
}

func ExampleService_Authorize() {
	svc, _, acme, key := serve(nil)
	p, err := svc.Authorize(context.Background(), key, contacts.OpUpdateContact)
	fmt.Println(p.AccountID == acme.ID, p.TeamIDs, err)
	_, err = svc.Authorize(context.Background(), "guess", contacts.OpUpdateContact)
	fmt.Println(contacts.CodeOf(err))
	// Output:
	// true [101] <nil>
	// invalid_key
}

func ExampleContact_DecodeCustomContext() {
	svc, _, _, key := serve(nil)
	ada, err := svc.CreateContactJSON(context.Background(), key, strings.NewReader(`{
		"first_name": "Ada",
		"custom_context": {"score": 42, "plan": "pro"}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	var custom struct {
		Score int    `json:"score"`
		Plan  string `json:"plan"`
	}
	err = ada.DecodeCustomContext(&custom)
	fmt.Println(custom.Score, custom.Plan, err)
	// Output: 42 pro <nil>
}

func ExampleContact_DecodeIndustryContext() {
	svc, _, _, key := serve(nil)
	ada, err := svc.CreateContactJSON(context.Background(), key, strings.NewReader(`{
		"first_name": "Ada",
		"industry_context": {"policies": [7, 12345678901234567]}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	var industry struct {
		Policies []int64 `json:"policies"`
	}
	err = ada.DecodeIndustryContext(&industry)
	fmt.Println(industry.Policies, err)
	// Output: [7 12345678901234567] <nil>
}

func ExampleService_IdempotencyRetention() {
	svc, _, _, _ := serve(&contacts.Options{IdempotencyRetention: 72 * time.Hour})
	fmt.Println(svc.IdempotencyRetention())
	// Output: 72h0m0s
}

func ExampleService_IsDryRun() {
	svc, _, _, _ := serve(nil)
	fmt.Println(svc.IsDryRun(), svc.DryRun().IsDryRun())
	// Output: false true
}
