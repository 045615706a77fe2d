package contacts_test

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A printer is an Observer that prints each call when it has ended.
type printer struct{}

func (printer) Begin(ctx context.Context, call contacts.Call) (context.Context, func(contacts.Outcome)) {
	return ctx, func(o contacts.Outcome) {
		fmt.Printf("%s: items %d, created %d, failed %d, code %q\n", call.Operation, call.Items, o.Created, o.Failed, o.Code)
	}
}

func ExampleObserver() {
	ctx := context.Background()
	svc, _, _, key := serve(&contacts.Options{Observer: printer{}})

	_, _ = svc.CreateContacts(ctx, key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "John"}, {}}})
	_, _ = svc.GetContact(ctx, key, uuid.Nil)
	_, _ = svc.GetContact(ctx, "unknown", uuid.Nil)
	// Output:
	// create_contacts: items 2, created 1, failed 1, code ""
	// get_contact: items 1, created 0, failed 0, code "not_found"
	// get_contact: items 1, created 0, failed 0, code "invalid_key"
}
