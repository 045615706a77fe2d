package contactshttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

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

// The calls of the ledger over the network, with their whole bodies.
func TestDoNotCallRoutes(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	officer, _, err := s.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: s.acme.ID, Name: "compliance", Permissions: []contacts.Permission{contacts.PermissionManageDoNotCall}, AllTeams: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	const now, number = `"2026-01-02T12:00:00.123456Z"`, `"phone_number": "+12025550100"`
	const listed = number + `, "do_not_call": true, "dnc_date": ` + now + `, "dnc_reason": "asked"`
	const actor = `"actor": {"kind": "key", "key_id": "id-1"}`
	const entry = `{"sequence": 1, "type": "block", ` + number + `, "at": ` + now + `, "recorded_at": ` + now + `, "source": "api", "reason": "asked", ` + actor + `}`
	for _, c := range []struct {
		name, key, method, path, body string
		status                        int
		want                          string
	}{
		{"nothing is known", s.reader, "GET", "?phone_number=%2B12025550100", "", 200, `{` + number + `, "do_not_call": false}`},
		{"a block", s.writer, "POST", "", `{` + number + `, "reason": "asked"}`, 201, `{` + listed + `}`},
		{"the block again", s.writer, "POST", "", `{` + number + `, "reason": "asked"}`, 200, `{` + listed + `, "unchanged": true}`},
		{"the status", s.reader, "GET", "?phone_number=+12025550100", "", 200, `{` + listed + `, "entries": [` + entry + `]}`},
		{
			"a check", s.reader, "POST", "/check", `{"phone_numbers": ["+1 202 555 0100", "+12025550199", "555"]}`, 200,
			`{"results": [{` + listed + `}, {"phone_number": "+12025550199", "do_not_call": false}, {"phone_number": "555", "do_not_call": true, "error":
			{"error": "validation_error", "message": "phone_number: must start with + and the country code",
			"details": [{"field": "phone_number", "code": "invalid", "message": "must start with + and the country code"}]}}]}`,
		},
		{"a page", officer, "GET", "?limit=5", "", 200, `{"limit": 5, "next_cursor": null, "entries": [` + entry + `]}`},
		{"a page without the permission", s.writer, "GET", "", "", 403, ""},
		{"a page with a wrong parameter, without the permission", s.writer, "GET", "?limit=0", "", 403, ""},
		{"a grant without the permission", s.writer, "POST", "/grant", `{` + number + `, "reason": "asked", "reference": "form 7"}`, 403, ""},
		{"a grant without proof", officer, "POST", "/grant", `{` + number + `}`, 400, ""},
		{"a list", officer, "POST", "/batch", `{"entries": [{` + number + `}], "source": "list:1"}`, 200, `{"added": 1, "unchanged": 0, "granted": 0, "failed": 0, "results": []}`},
		{"a list without the permission", s.writer, "POST", "/batch", `{"entries": []}`, 403, ""},
		{"refused", s.reader, "GET", "/check?phone_number=+12025550100", "", 403, ""},
		{"a grant", officer, "POST", "/grant", `{` + number + `, "at": "2026-01-02T12:00:01Z", "reason": "asked", "reference": "form 7"}`, 201, `{` + number + `, "do_not_call": false}`},
		{"allowed", s.reader, "GET", "/check?phone_number=+12025550100", "", 204, ""},
		{"another account", s.foreignWriter, "GET", "?phone_number=%2B12025550100", "", 200, `{` + number + `, "do_not_call": false}`},
	} {
		got := s.send(t, ask{method: c.method, path: api + "/do-not-call" + c.path, key: c.key, body: c.body})
		if got.status != c.status {
			t.Errorf("%s: got %d %s, want %d", c.name, got.status, got.body, c.status)
		} else if c.want != "" {
			wantBody(t, c.want, got.body)
		}
	}
}

func TestETagChangesWithWhatAnErasureRemoves(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	erased := s.create(t, s.writer, `{"first_name": "Ann", "phone_numbers": [{"phone_number": "+551187654321"}]}`)
	path := api + "/contacts/" + s.create(t, s.writer, `{"first_name": "Bob", "phone_numbers": [{"phone_number": "+5511987654321"}]}`)
	s.want(t, 201, ask{method: "POST", path: api + "/do-not-call", key: s.writer, body: `{"phone_number": "+551187654321", "reason": "Ann asked"}`})
	before := s.want(t, 200, ask{path: path, key: s.writer})
	if _, err := s.admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: s.acme.ID, ContactID: uuid.MustParse(erased)}); err != nil {
		t.Fatal(err)
	}
	after := s.want(t, 200, ask{path: path, key: s.writer, header: header("If-None-Match", before.header.Get("ETag"))})
	if tag := after.header.Get("ETag"); tag != `"v1.1e1"` || !strings.Contains(before.body, "Ann asked") || strings.Contains(after.body, "Ann asked") {
		t.Errorf("ETag %s before, %s after: %s", before.header.Get("ETag"), tag, after.body)
	}
	s.want(t, 304, ask{path: path, key: s.writer, header: header("If-None-Match", `"v1.1e1"`)})
	change := func(status int, tag string) {
		s.want(t, status, ask{method: "PATCH", path: path + "/update", key: s.writer, header: header("If-Match", tag), body: `{}`})
	}
	for _, tag := range []string{`"v1.1e"`, `"v1.1e0"`, `"v1.e1"`, `"v1e1"`} {
		change(412, tag)
	}
	change(200, `"v1.1e1"`)
}
