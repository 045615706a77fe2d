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
//		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
//		AllTeams:    true,
//	})
//	svc, err := contacts.New(store, nil)
//	john, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John"})
//
// [Service.GetContact], [Service.ListContacts], [Service.UpdateContact] and
// [Service.DeleteContact] do what their names say. [Service.CreateContacts] and
// [Service.CreateContactStream] create many contacts. Package contactshttp serves
// it all over HTTP.
//
// # Errors
//
// Every error of a [Service] and of an [Admin] is an [*Error] with a [Code]. See
// [CodeOf], [Code.HTTPStatus], and the Err variables for [errors.Is]. Its Details name
// all wrong fields at once. Its JSON form is the documented body.
//
// # Stores
//
// Package store/memory serves unit tests. Package store/sqlite is the embedded
// default. Package store/postgres serves programs that outgrow one machine. To
// keep contacts elsewhere, implement [Store] and test it with package
// store/storetest. To test a program that uses a Service, see package
// contactstest.
//
// # Concurrency
//
// A [Service], an [Admin] and every [Store] may be used from many goroutines at
// once. Every call returns promptly when its context is done. The contact was then
// stored whole or not at all.
package contacts
