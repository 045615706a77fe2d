package contacts_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"example.com/contacts"
)

// ann creates a contact whose number must not be called.
func ann(svc *contacts.Service, key string) *contacts.Contact {
	c, err := svc.CreateContact(context.Background(), key, contacts.CreateContactInput{
		FirstName: "Ann", Email: "ann@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func ExampleAdmin_EraseContact() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	c := ann(svc, key)
	receipt, err := admin.EraseContact(ctx, contacts.EraseInput{AccountID: acme.ID, ContactID: c.ID, Reason: "request"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", receipt.Removed)
	for _, kept := range receipt.Kept {
		fmt.Println("kept:", kept.What)
	}
	// The number is nowhere any more, and still must not be called.
	fmt.Println(contacts.CodeOf(svc.CanCall(ctx, key, "+15551234567")))
	// Output:
	// {Contacts:1 Events:0 LedgerEntries:1 Numbers:1}
	// kept: ledger_entries
	// kept: idempotency_records
	// do_not_call
}

func ExampleAdmin_PreviewErasure() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	c := ann(svc, key)
	preview, err := admin.PreviewErasure(ctx, contacts.EraseInput{AccountID: acme.ID, ContactID: c.ID})
	fmt.Printf("%+v %v\n", preview.Removed, err)
	_, err = svc.GetContact(ctx, key, c.ID)
	fmt.Println(err)
	// Output:
	// {Contacts:1 Events:0 LedgerEntries:1 Numbers:1} <nil>
	// <nil>
}

func ExampleAdmin_PreviewErasures() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	ann(svc, key)
	previews, err := admin.PreviewErasures(ctx, contacts.ErasePersonInput{
		EraseInput:  contacts.EraseInput{AccountID: acme.ID},
		PhoneNumber: "+15551234567",
	})
	for _, p := range previews {
		fmt.Printf("%+v\n", p.Removed)
	}
	fmt.Println(err)
	// Output:
	// {Contacts:1 Events:0 LedgerEntries:1 Numbers:1}
	// <nil>
}

func ExampleAdmin_ErasePerson() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	ann(svc, key)
	erased, err := admin.ErasePerson(ctx, contacts.ErasePersonInput{
		EraseInput: contacts.EraseInput{AccountID: acme.ID, Suppress: true, Reason: "request"},
		Email:      "Ann@example.com",
	})
	fmt.Println(len(erased), err)
	// Output: 1 <nil>
}

func ExampleAdmin_VerifyErasure() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	ann(svc, key)
	probe := contacts.ErasureProbe{Emails: []string{"ann@example.com"}, Texts: []string{"Ann"}}
	found, err := admin.VerifyErasure(ctx, acme.ID, probe)
	for _, f := range found {
		fmt.Println(f.Value, "in", f.Field)
	}
	fmt.Println(err)
	// Output:
	// ann@example.com in email
	// Ann in first_name
	// Ann in email
	// <nil>
}

// A host keeps the receipts where a restored backup does not overwrite them.
func ExampleAdmin_Reapply() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	c := ann(svc, key)
	if _, err := admin.EraseContact(ctx, contacts.EraseInput{AccountID: acme.ID, ContactID: c.ID}); err != nil {
		log.Fatal(err)
	}
	var kept []contacts.Erasure
	for erasure, err := range admin.Erasures(ctx, acme.ID, time.Time{}) {
		if err != nil {
			log.Fatal(err)
		}
		kept = append(kept, erasure)
	}
	// After a restore. Here nothing came back.
	n, err := admin.Reapply(ctx, kept)
	fmt.Println(len(kept), n, err)
	// Output: 1 0 <nil>
}

func ExampleAdmin_Erasures() {
	ctx := context.Background()
	svc, admin, acme, key := serve(nil)
	c := ann(svc, key)
	if _, err := admin.EraseContact(ctx, contacts.EraseInput{AccountID: acme.ID, ContactID: c.ID, Reason: "retention"}); err != nil {
		log.Fatal(err)
	}
	for erasure, err := range admin.Erasures(ctx, acme.ID, time.Time{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(erasure.Reason, erasure.ContactID == c.ID)
	}
	// Output: retention true
}
