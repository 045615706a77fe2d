// Package contacts keeps the people that a program calls, writes to and sells
// to. A [Service] authenticates an API key, checks its permission and its access
// to a team, validates and normalises a contact and its phone numbers (E.164),
// and stores it durably in a [Store] of the program's choice.
//
// The first program:
//
//	store, err := sqlite.Open(ctx, "contacts.db", nil) // or memory.New()
//	admin := contacts.NewAdmin(store, nil)
//	acme, err := admin.CreateAccount(ctx, "Acme Corp")
//	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
//		AccountID:   acme.ID,
//		Permissions: []contacts.Permission{contacts.PermissionReadContacts},
//		AllTeams:    true,
//	})
//	svc, err := contacts.New(store, nil)
//	john, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John"})
//
// From then on [Service.ListContacts], [Service.UpdateContact] and
// [Service.DeleteContact] go with it through its life, [Service.CreateContacts]
// and [Service.CreateContactStream] make many, and package contactshttp puts all
// of it behind a URL.
//
// # Errors
//
// Every error is an [*Error] with one of the documented codes: see [CodeOf],
// [Code.HTTPStatus] and the Err variables for [errors.Is]. Its Details name each
// wrong field, all of them at once. Its JSON form is the documented body.
//
// # Stores
//
// Package store/memory serves unit tests, store/sqlite is the embedded default,
// and store/postgres serves those who outgrow one machine. Whoever keeps contacts elsewhere implements [Store] and proves it with package
// store/storetest. Programs that use a Service test themselves with package
// contactstest.
//
// # Concurrency
//
// A [Service], an [Admin] and every [Store] may be used from many goroutines at
// once. All calls honour their context: once it is done they return promptly,
// and the contact was either not stored or stored whole.
package contacts
