// Package contactshttp serves a [contacts.Service] over HTTP: the documented REST
// API, as a handler of net/http. A whole server:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"net/http"
//		"time"
//
//		"example.com/contacts"
//		"example.com/contacts/contactshttp"
//		"example.com/contacts/store/memory"
//	)
//
//	func main() {
//		ctx := context.Background()
//		store := memory.New() // or sqlite.Open(ctx, "contacts.db", nil)
//		admin := contacts.NewAdmin(store, nil)
//		acme, err := admin.CreateAccount(ctx, "Acme Corp")
//		if err != nil {
//			log.Fatal(err)
//		}
//		key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
//			AccountID:   acme.ID,
//			Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
//			AllTeams:    true,
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		svc, err := contacts.New(store, nil)
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println("the key, shown this once:", key)
//		server := &http.Server{
//			Addr:              "localhost:8080",
//			Handler:           contactshttp.NewHandler(svc, &contactshttp.Options{RateLimit: 60}),
//			ReadHeaderTimeout: 5 * time.Second,
//			ReadTimeout:       30 * time.Second,
//			WriteTimeout:      30 * time.Second,
//			IdleTimeout:       2 * time.Minute,
//		}
//		log.Fatal(server.ListenAndServe())
//	}
//
// # Routes
//
// The paths start with Options.Prefix, "/api/v1":
//
//	POST   /contacts/create        create a contact: 201; 200 if it was there
//	POST   /contacts/upsert        create a contact, or change the one that matches: 201, 200
//	POST   /contacts/batch         create many, with a result for each: 200
//	GET    /contacts               list, by page or by cursor: 200
//	GET    /contacts/duplicates    contacts that share an e-mail address or a number: 200
//	GET    /contacts/{id}          get: 200, 304
//	PUT    /contacts/{id}/update   replace: 200
//	PATCH  /contacts/{id}/update   merge: 200
//	DELETE /contacts/{id}          delete, so that it can be restored: 204
//	POST   /contacts/{id}/restore  restore: 200
//	GET    /contacts/{id}/history  the events of a contact: 200
//	GET    /events                 the events of the account: 200
//	POST   /do-not-call            block calls to a number: 201; 200 if nothing changed
//	POST   /do-not-call/grant      allow them again: 201
//	POST   /do-not-call/batch      block calls to many numbers: 200
//	POST   /do-not-call/check      ask whether many numbers may be called: 200
//	GET    /do-not-call/check      ask for one number: 204, 403
//	GET    /do-not-call            the list by cursor, or the status of a number: 200
//	GET    /openapi.json           the description of the API: 200, without a key
//	GET    /docs                   a page for people, with Options.Docs: 200, without a key
//
// A path that takes GET takes HEAD too. OPTIONS returns the methods of a path. The
// header Contacts-Result of a create and an upsert says what was done, such as created
// or existing, and Contacts-Deleted-Twin is [contacts.CreateResult.DeletedTwin]. In a
// larger server, give the handler its path as the prefix:
//
//	mux.Handle("/crm/v1/", contactshttp.NewHandler(svc, &contactshttp.Options{Prefix: "/crm/v1"}))
//
// [http.StripPrefix] works too. If a proxy in front of the server removes a part of
// the path, name it in Options.ExternalPrefix. The handler sets the Pattern of each
// request to its route, for middleware that measures routes. The server sets the
// time limits of requests and the size limit of headers. Add headers for browsers
// of other origins (CORS) around the handler.
//
// # Keys
//
// The key is a bearer token in Authorization, or is in X-API-Key. With
// Options.KeyInQuery it may be in the parameter api_key. A blank key counts as
// none. A request with two different keys has an invalid key, and so has one with a
// key over 16 KiB. Other schemes of Authorization are ignored; if there is no key,
// the answer names them.
//
// # Errors
//
// Every error has the documented body, {"error": code, "message": text}, with the
// "request_id", and with "details" that name what is wrong: an [ErrorBody]. The
// codes are those of package contacts, with the status of
// [contacts.Code.HTTPStatus], and those of this package. All routes make the checks
// in this order:
//
//  1. the path (404 not_found) and the method (405), without a key;
//  2. two keys that differ, or one that is too long (401), and the rate limit of the
//     key (429);
//  3. no key or an invalid one (401), or one without the permission (403);
//  4. the media type and the encoding of the body (415);
//  5. the query, of at most 16 KiB: unknown and repeated parameters; and headers:
//     Idempotency-Key, for example (400, with up to 20 details);
//  6. the body, which is not read before: its size (413), its JSON (400);
//  7. the checks of the Service: the contact exists (404), it has the version
//     (412), its fields and the values of parameters are valid (400), and the rest.
//
// A stored contact that cannot be read is a server error that names it. A list and a
// search for duplicates have its id in damaged, and are 200: a walk goes on after it.
//
// A contact that the key may not see, a contact that does not exist and an invalid
// id get the same answer. A conflict is 412 if the request has an If-Match, else
// 409. The answer of a server error does not hold the cause. The logger of the
// Service gets it; add [RequestID] to that line to find the request.
//
// # Changing what was read
//
// A client may change what an answer has, and send the whole back to PUT or PATCH.
// In a PATCH a null removes its member of a context (RFC 7396), also where the
// answer had the null. A PUT keeps it. The address may be nested or flat; a field
// that is given in both forms must be the same. What cannot be changed must be as it
// was read: full_name, version and updated_at, for example. So a PUT of an old
// contact is refused.
//
// # Sending a request again
//
// A create takes an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header),
// in quotes or bare. The same request with the same key gets the first answer
// again, with the header Idempotency-Replayed: true, as long as the Service keeps
// it. A batch refuses the header; each of its contacts may have an idempotency_key.
// The routes of the do-not-call list refuse it too: they are safe to send again, a
// grant if it has a time. The other routes ignore it. They are safe to send again,
// with a condition.
//
// # Dry runs
//
// These take the parameter dry_run=true: a create, a batch, an upsert, a PUT, a PATCH,
// and POST to /do-not-call and /do-not-call/batch. Nothing is stored, and the status
// is 200. For contacts the answer is a [DryRun] or a [DryRunBatch]; ids that the
// request would make are null. For blocks it is a [BlockCallsStatus] or a
// [BlockCallsResult], with dry_run. Errors are those of the real request. All answers
// have the header Dry-Run: true.
//
// # Conditions
//
// ETag is the version of the contact, as a strong entity tag: "v3". After a dot
// follows what the do-not-call list has on its numbers, and how much of that was
// erased: "v3.184e1". If-Match compares the version alone. A contact whose numbers
// have an entry that will expire has no ETag.
//
// If-Match names up to 16 of them (RFC 9110, section 13.1.1). A change is made if
// the contact has one of these versions. Otherwise it is 412 and nothing has
// changed. The same is true of tags that are weak, of another form, or cannot be
// read. "*" is any version. A change refuses If-None-Match. A GET with it may be
// 304. A create, an upsert and a batch refuse both headers.
//
// # Rate limits
//
// With Options.RateLimit or Options.Limiter, each key may make a number of requests.
// The answer to a request over the limit is 429, with Retry-After. Every answer to a
// key that the service accepts has RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers).
//
// # Logs
//
// Options.Logger gets one line for each request: method, route (as listed above,
// without ids), status, duration, bytes of the body, request_id, and the code of an
// error. The level is Info, or Warn for a server error, unless the client went
// away. A panic is a server error for the client, and a line at level Error with
// the stack and the type of its value. request_id is that of Options.RequestID, or
// the X-Request-ID of the request, if that has 1 to 128 printable ASCII characters
// without spaces, else a random one. Every answer has it, in X-Request-ID. A Logger
// that panics costs its line, not the answer.
package contactshttp
