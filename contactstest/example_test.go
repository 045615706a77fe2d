package contactstest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactstest"
)

// An exampleT stands in for the *testing.T that a test has.
type exampleT struct{ testing.TB }

func (exampleT) Helper()        {}
func (exampleT) Cleanup(func()) {}

func Example() {
	var t exampleT // in a test: t *testing.T
	ctx := context.Background()
	f := contactstest.New(t, nil)
	john, err := f.Service.CreateContact(ctx, f.Key, contacts.CreateContactInput{FirstName: "John", TeamID: f.Team.ID})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(john.FirstName, john.Status, john.Version)
	// Output: John not_contacted 1
}

// A program that changes a contact tries again after a conflict.
func ExampleFixture_Fail() {
	var t exampleT // in a test: t *testing.T
	ctx := context.Background()
	f := contactstest.New(t, nil)
	john, err := f.Service.CreateContact(ctx, f.Key, contacts.CreateContactInput{FirstName: "John"})
	if err != nil {
		t.Fatal(err)
	}

	f.Fail(contacts.OpUpdateContact, contacts.CodeConflict)
	stage := "customer"
	for tries := 1; ; tries++ {
		changed, err := f.Service.UpdateContact(ctx, f.Key, john.ID, contacts.UpdateContactInput{Stage: &stage}, nil)
		if contacts.CodeOf(err) == contacts.CodeConflict {
			fmt.Println("try", tries, "was a conflict")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(changed.FirstName, "is a", changed.Stage, "after try", tries)
		return
	}
	// Output:
	// try 1 was a conflict
	// John is a customer after try 2
}

// A program sends a create of unknown outcome again, with the same idempotency key.
func ExampleFixture_FailWith() {
	var t exampleT // in a test: t *testing.T
	ctx := context.Background()
	f := contactstest.New(t, nil)
	in := contacts.CreateContactInput{FirstName: "John", IdempotencyKey: "d1a5f9a0"}

	f.FailWith(contacts.OpCreateContact, contacts.ErrOutcomeUnknown)
	_, err := f.Service.CreateContact(ctx, f.Key, in)
	for errors.Is(err, contacts.ErrOutcomeUnknown) {
		fmt.Println("again:", contacts.CodeOf(err))
		_, err = f.Service.CreateContact(ctx, f.Key, in)
	}
	page, err := f.Service.ListContacts(ctx, f.Key, contacts.ListContactsInput{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(len(page.Contacts), "contact")
	// Output:
	// again: server_error
	// 1 contact
}

func ExampleFixture_FailNext() {
	var t exampleT // in a test: t *testing.T
	ctx := context.Background()
	f := contactstest.New(t, nil)
	f.FailNext(contacts.CodeServerError)
	for range 2 {
		page, err := f.Service.ListContacts(ctx, f.Key, contacts.ListContactsInput{})
		fmt.Println(page != nil, err)
	}
	// Output:
	// false contacts: server_error: an unexpected server error
	// true <nil>
}

func ExampleFixture_FailNextWith() {
	var t exampleT // in a test: t *testing.T
	ctx := context.Background()
	f := contactstest.New(t, nil)
	f.FailNextWith(context.DeadlineExceeded)
	_, err := f.Service.ListContacts(ctx, f.Key, contacts.ListContactsInput{})
	fmt.Println(err)
	// Output: contacts: server_error: an unexpected server error (context deadline exceeded)
}

// Ids and times differ from run to run, so a test leaves them out.
func ExampleIgnoreAssigned() {
	var t exampleT // in a test: t *testing.T
	ctx := context.Background()
	f := contactstest.New(t, nil)
	john, err := f.Service.CreateContact(ctx, f.Key, contacts.CreateContactInput{FirstName: "John", Tags: []string{"vip"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &contacts.Contact{FirstName: "John", Country: "US", Status: "not_contacted", Stage: "lead", Tags: []string{"vip"}}
	fmt.Println(cmp.Equal(want, john), cmp.Equal(want, john, contactstest.IgnoreAssigned()))
	// Output: false true
}

// A context is written as Go has it, and comes back as JSON has it.
func ExampleEquateContexts() {
	var t exampleT // in a test: t *testing.T
	ctx := context.Background()
	f := contactstest.New(t, nil)
	given := map[string]any{"score": 12, "sources": []string{"letter"}}
	john, err := f.Service.CreateContact(ctx, f.Key, contacts.CreateContactInput{FirstName: "John", CustomContext: given})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(cmp.Equal(given, john.CustomContext), cmp.Equal(given, john.CustomContext, contactstest.EquateContexts()))
	// Output: false true
}

// With a clock that stands still, a contact is the same in every run.
func ExampleClock() {
	var t exampleT // in a test: t *testing.T
	var clock contactstest.Clock
	f := contactstest.New(t, &contacts.Options{Now: clock.Now, NewID: clock.NewID})
	clock.Advance(time.Hour)
	john, err := f.Service.CreateContact(context.Background(), f.Key, contacts.CreateContactInput{FirstName: "John"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(john.ID, john.CreatedAt)
	// Output: 019b79a4-c480-7000-8000-000000000003 2026-01-01 13:00:00 +0000 UTC
}
