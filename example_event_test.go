package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"example.com/contacts"
)

// listen returns a service whose account records events, and what reads them.
func listen(keep time.Duration) (*contacts.Service, *contacts.Admin, *contacts.Account, string) {
	ctx := context.Background()
	svc, admin, acme, _ := serve(nil)
	if err := admin.SetEvents(ctx, acme.ID, contacts.EventSettings{On: true, Keep: keep}); err != nil {
		log.Fatal(err)
	}
	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{AccountID: acme.ID, Name: "web site", AllTeams: true, Permissions: []contacts.Permission{
		contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionReadEvents,
	}})
	if err != nil {
		log.Fatal(err)
	}
	return svc, admin, acme, key
}

// A program follows the changes of an account. It keeps the last sequence with its
// own data, in one transaction, and begins there the next time.
func ExampleAdmin_Events() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	svc, admin, acme, key := listen(0)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada", City: "Rome"})
	if _, err := svc.UpdateContact(ctx, key, ada.ID, contacts.UpdateContactInput{City: new("Oslo")}, nil); err != nil {
		log.Fatal(err)
	}

	last := int64(0) // as it was stored
	for e, err := range admin.Events(ctx, acme.ID, last) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Sequence, e.Type, e.Version, e.Actor.Name)
		for _, c := range e.Changes {
			fmt.Println(" ", c.Field, c.Before, c.After)
		}
		if last = e.Sequence; last == 2 {
			cancel() // it would wait for more
		}
	}
	// Output:
	// 1 contact.created 1 web site
	// 2 contact.updated 2 web site
	//   city Rome Oslo
}

// A full copy begins with the last sequence, then all contacts, then the events.
func ExampleAdmin_LastSequence() {
	ctx := context.Background()
	svc, admin, acme, key := listen(0)
	create(svc, key, contacts.CreateContactInput{FirstName: "Ada"})

	last, err := admin.LastSequence(ctx, acme.ID)
	for c := range svc.Contacts(ctx, key, contacts.ListContactsInput{}) {
		fmt.Println(c.FirstName)
	}
	fmt.Println("the events after", last, err)
	// Output:
	// Ada
	// the events after 1 <nil>
}

func ExampleAdmin_ContactAfter() {
	ctx := context.Background()
	svc, admin, acme, key := listen(0)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada", City: "Rome"})
	if _, err := svc.UpdateContact(ctx, key, ada.ID, contacts.UpdateContactInput{City: new("Oslo")}, nil); err != nil {
		log.Fatal(err)
	}

	for e, err := range admin.Events(ctx, acme.ID, 0) {
		if err != nil {
			log.Fatal(err)
		}
		c, err := admin.ContactAfter(ctx, e)
		fmt.Println(e.Type, c.City, err)
		if e.Sequence == 2 {
			break
		}
	}
	// Output:
	// contact.created Rome <nil>
	// contact.updated Oslo <nil>
}

func ExampleAdmin_SetEvents() {
	ctx := context.Background()
	_, admin, acme, _ := serve(nil)
	err := admin.SetEvents(ctx, acme.ID, contacts.EventSettings{On: true, Keep: 90 * 24 * time.Hour})
	fmt.Println(err)
	fmt.Println(admin.EventSettings(ctx, acme.ID))
	// Output:
	// <nil>
	// {true 2160h0m0s} <nil>
}

// Events are off until they are switched on.
func ExampleAdmin_EventSettings() {
	_, admin, acme, _ := serve(nil)
	settings, err := admin.EventSettings(context.Background(), acme.ID)
	fmt.Println(settings.On, settings.Keep, err)
	// Output: false 0s <nil>
}

func ExampleAdmin_PruneEvents() {
	_, admin, acme, _ := listen(time.Hour)
	fmt.Println(admin.PruneEvents(context.Background(), acme.ID))
	// Output: <nil>
}

// An integration asks for the changes since its last page.
func ExampleService_Events() {
	ctx := context.Background()
	svc, _, _, key := listen(0)
	create(svc, key, contacts.CreateContactInput{FirstName: "Ada"})

	in := contacts.EventsInput{After: 0}
	page, err := svc.Events(ctx, key, in)
	if errors.Is(err, contacts.ErrEventsGone) {
		log.Fatal("too late: copy all contacts again")
	}
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range page.Events {
		fmt.Println(e.Type)
	}
	in.After = page.LastSequence // for the next page
	fmt.Println(in.After, page.HasMore)
	// Output:
	// contact.created
	// 1 false
}

// Who changed what?
func ExampleService_History() {
	ctx := context.Background()
	svc, _, _, key := listen(0)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada"})
	if err := svc.DeleteContact(ctx, key, ada.ID, nil); err != nil {
		log.Fatal(err)
	}

	for e, err := range svc.History(ctx, key, ada.ID) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Actor.Name, e.Type, e.Contact.FirstName)
	}
	// Output:
	// web site contact.deleted Ada
	// web site contact.created Ada
}

func ExampleService_GetContactAsOf() {
	ctx := context.Background()
	svc, _, _, key := listen(0)
	ada := create(svc, key, contacts.CreateContactInput{FirstName: "Ada", City: "Rome"})
	if _, err := svc.UpdateContact(ctx, key, ada.ID, contacts.UpdateContactInput{City: new("Oslo")}, nil); err != nil {
		log.Fatal(err)
	}

	then, err := svc.GetContactAsOf(ctx, key, ada.ID, ada.UpdatedAt)
	fmt.Println(then.City, err)
	// Output: Rome <nil>
}

func ExampleWithEventSource() {
	svc, admin, acme, key := listen(0)
	ctx := contacts.WithEventSource(context.Background(), "import:customers")
	if _, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada"}); err != nil {
		log.Fatal(err)
	}
	for e := range admin.Events(ctx, acme.ID, 0) {
		fmt.Println(e.Type, e.Source)
		break
	}
	// Output: contact.created import:customers
}
