package apidocs_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactshttp/apidocs"
	"example.com/contacts/store/memory"
)

// The API with its reference page.
func ExampleHandler() {
	svc, err := contacts.New(memory.New(), nil)
	if err != nil {
		log.Fatal(err)
	}
	handler := contactshttp.NewHandler(svc, &contactshttp.Options{
		Docs: apidocs.Handler(&apidocs.Options{Title: "The API of Acme"}),
	})
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/api/v1/docs", nil))
	fmt.Println(answer.Code, answer.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
