// Package contactshttp is the REST face of a [contacts.Service]: the documented
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
// Behind Options.Prefix, "/api/v1":
//
//	POST   /contacts/create        create a contact: 201
//	POST   /contacts/batch         create many, with a result for each: 200
//	GET    /contacts               list, by page or by cursor: 200
//	GET    /contacts/{id}          get: 200, 304
//	PUT    /contacts/{id}/update   replace: 200
//	PATCH  /contacts/{id}/update   merge: 200
//	DELETE /contacts/{id}          delete, so that it can be restored: 204
//	POST   /contacts/{id}/restore  restore: 200
//	GET    /openapi.json           the description of all this: 200, without a key
//
// HEAD works where GET does, and OPTIONS says what a path takes. A handler under
// another path of a larger server is given that path as its prefix:
//
//	mux.Handle("/crm/v1/", contactshttp.NewHandler(svc, &contactshttp.Options{Prefix: "/crm/v1"}))
//
// It can stand in an [http.StripPrefix] too. How long a request may take to
// arrive, and how large its headers may be, is for the server to say. Headers for
// browsers of other origins (CORS) are for what stands around the handler.
//
// # Keys
//
// The key is a bearer token in Authorization, or is in X-API-Key; with
// Options.KeyInQuery it may be in the parameter api_key. Blank ones are as good as
// none. A request that has two different keys has an invalid one. Other schemes
// of Authorization are no keys.
//
// # Errors
//
// Each error is the documented body, {"error": code, "message": text}, with
// "details" where something can be named. The codes are those of package contacts,
// with the status of [contacts.Code.HTTPStatus], and those of this package. The
// checks come in this order, the same for all routes:
//
//  1. the path (404 not_found) and the method (405), for which no key is needed;
//  2. two keys that differ (401), and the rate limit of the key (429);
//  3. no key, an invalid one (401), one that lacks the permission (403);
//  4. the media type and the encoding of the body (415);
//  5. the parameters of the query, and headers such as Idempotency-Key (400);
//  6. the body, which is not read before: its size (413), its JSON (400);
//  7. whatever the Service says: that there is no such contact (404), that it has
//     another version (412), what is wrong with its fields (400), and the rest.
//
// A contact that the key may not see, one that does not exist and an id that is
// none get the same answer. A conflict is 412 where the request has an If-Match,
// and 409 elsewhere. A server error says nothing of its cause, which the logger
// of the Service gets; [RequestID] puts that line and the request together.
//
// # Requests that are sent again
//
// A create takes an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header),
// in quotes or bare. The same request with the same key gets the first answer
// again, with the header Idempotency-Replayed: true, as long as the Service keeps
// it. The contacts of a batch have an idempotency_key of their own each, and the
// header is refused there. The other routes ignore it: they can be sent again
// anyway, and take a condition.
//
// # Conditions
//
// ETag is the version of the contact, as a strong entity tag: "v3". A change with
// If-Match is made if the contact has one of the versions that it names (up to 16;
// RFC 9110, section 13.1.1), else it is 412 and nothing has changed; so it is with
// tags that are weak, of another form, or cannot be read. "*" is any version. A
// change refuses If-None-Match; a GET with it may be 304.
//
// # Logs
//
// Options.Logger gets one line for each request, at level Info, or Warn for a
// server error that is not due to a client who went away: method, route (as in the list
// above, without ids), status, duration, bytes of the body, request_id, and code,
// if there was an error. A panic, of a store perhaps, is a server error for the
// client and a line at level Error with the stack and the type of its value. The
// request_id is that of the header X-Request-ID, if it has 1 to 128 characters of
// printable ASCII without spaces, or a random one; each answer has it.
package contactshttp
