package contactshttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/store/memory"
)

// newService returns a service with an account, and a key of that account.
func newService(ctx context.Context) (svc *contacts.Service, key string) {
	store := memory.New()
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID:   acme.ID,
		Permissions: []contacts.Permission{contacts.PermissionReadContacts},
		AllTeams:    true,
	})
	if err != nil {
		log.Fatal(err)
	}
	if svc, err = contacts.New(store, nil); err != nil {
		log.Fatal(err)
	}
	return svc, key
}

// post sends a create. It returns status and headers of the answer and decodes the
// body into answer.
func post(ctx context.Context, url, key, body string, answer any) (status string, header http.Header) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		log.Fatal(err)
	}
	return resp.Status, resp.Header
}

func ExampleNewHandler() {
	ctx := context.Background()
	svc, key := newService(ctx)
	server := httptest.NewServer(contactshttp.NewHandler(svc, &contactshttp.Options{RateLimit: 60}))
	defer server.Close()

	var john contactshttp.Contact
	status, _ := post(ctx, server.URL+"/api/v1/contacts/create", key, `{"first_name": "John", "last_name": "Doe"}`, &john)
	fmt.Println(status)
	fmt.Println(john.FullName, "is", john.StatusDisplay)

	var failure contactshttp.ErrorBody
	status, _ = post(ctx, server.URL+"/api/v1/contacts/create", key, `{"first_name": "John", "email": "john"}`, &failure)
	fmt.Println(status)
	fmt.Println(failure.Error, "of", failure.Details[0].Field)
	// Output:
	// 201 Created
	// John Doe is Not Contacted
	// 400 Bad Request
	// validation_error of email
}

// A larger server serves the API under its own path.
func ExampleNewHandler_prefix() {
	ctx := context.Background()
	svc, key := newService(ctx)
	mux := http.NewServeMux()
	mux.Handle("/crm/v1/", contactshttp.NewHandler(svc, &contactshttp.Options{Prefix: "/crm/v1"}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	server := httptest.NewServer(mux)
	defer server.Close()

	var john contactshttp.Contact
	_, header := post(ctx, server.URL+"/crm/v1/contacts/create", key, `{"first_name": "John"}`, &john)
	fmt.Println(header.Get("Location") == "/crm/v1/contacts/"+john.ID.String())
	// Output: true
}

// Two handlers of one process share a limiter, so that a key may make 60 requests a
// minute in all.
func ExampleNewLimiter() {
	ctx := context.Background()
	svc, key := newService(ctx)
	limiter := contactshttp.NewLimiter(60, nil)
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", contactshttp.NewHandler(svc, &contactshttp.Options{Limiter: limiter}))
	mux.Handle("/crm/v1/", contactshttp.NewHandler(svc, &contactshttp.Options{Limiter: limiter, Prefix: "/crm/v1"}))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, path := range []string{"/api/v1", "/crm/v1"} {
		var john contactshttp.Contact
		_, header := post(ctx, server.URL+path+"/contacts/create", key, `{"first_name": "John"}`, &john)
		left, _, _ := strings.Cut(header.Get("RateLimit"), ";t=")
		fmt.Println(john.FullName, left)
	}
	// Output:
	// John "default";r=59
	// John "default";r=58
}

// withRequestID adds the id of the request to every line, also to the lines of the
// service with the cause of a server error.
type withRequestID struct{ slog.Handler }

func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	if id := contactshttp.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func ExampleRequestID() {
	plain := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	store := memory.New()
	svc, err := contacts.New(store, &contacts.Options{Logger: slog.New(withRequestID{plain})})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(contactshttp.NewHandler(svc, nil))
	defer server.Close()
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(context.Background(), "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	key, _, err := admin.IssueKey(context.Background(), contacts.IssueKeyInput{AccountID: acme.ID})
	if err != nil {
		log.Fatal(err)
	}
	_ = store.Close() // so that something fails

	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+"/api/v1/contacts", nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("X-Request-ID", "req-42")
	response, err := server.Client().Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
	// Output:
	// level=ERROR msg="contacts: server error" operation=list_contacts cause="contacts: store is closed" request_id=req-42
	// 500 Internal Server Error
}
