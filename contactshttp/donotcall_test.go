package contactshttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactstest"
)

// The entity tag of a contact changes with what the ledger has on its numbers, and
// If-Match compares the version alone.
func TestETag(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	h := contactshttp.NewHandler(f.Service, nil)
	const number = "+12025550100"
	c, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{
		FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}},
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(status int, method, path, name, value, body string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, api+"/contacts/"+c.ID.String()+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+f.Key)
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s with %s %s: got %d %s, want %d", method, name, value, w.Code, w.Body, status)
		}
		return w
	}
	block := func(reason string, until time.Time) {
		t.Helper()
		if _, err := f.Service.BlockCalls(t.Context(), f.Key, contacts.DoNotCallInput{PhoneNumber: number, Reason: reason, ExpiresAt: until}); err != nil {
			t.Fatal(err)
		}
	}

	send(http.StatusNotModified, http.MethodGet, "", "If-None-Match", `"v1"`, "")
	block("asked", time.Time{})
	read := send(http.StatusOK, http.MethodGet, "", "If-None-Match", `"v1"`, "")
	if tag := read.Header().Get("ETag"); tag != `"v1.1"` || !strings.Contains(read.Body.String(), `"do_not_call":true`) {
		t.Errorf("after a block: ETag %s, %s", tag, read.Body)
	}
	send(http.StatusNotModified, http.MethodGet, "", "If-None-Match", `"v1.1"`, "")
	send(http.StatusPreconditionFailed, http.MethodPatch, "/update", "If-Match", `"v1.x"`, `{"city": "London"}`)
	send(http.StatusOK, http.MethodPatch, "/update", "If-Match", `"v1"`, `{"city": "London"}`)
	send(http.StatusOK, http.MethodPatch, "/update", "If-Match", `"v2.7"`, `{"city": "Paris"}`)

	block("a list", time.Now().Add(time.Hour))
	read = send(http.StatusOK, http.MethodGet, "", "If-None-Match", `"v3.1"`, "")
	if tag, cache := read.Header().Get("ETag"), read.Header().Get("Cache-Control"); tag != "" || cache != "no-store" {
		t.Errorf("with an entry that expires: ETag %s, Cache-Control %s", tag, cache)
	}
}
