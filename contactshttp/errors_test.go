package contactshttp_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
)

// everyRoute returns a valid request for each endpoint that needs a key.
func everyRoute(id string) []ask {
	return []ask{
		{method: "POST", path: api + "/contacts/create", body: `{"first_name": "John"}`},
		{method: "POST", path: api + "/contacts/batch", body: `{"contacts": []}`},
		{method: "GET", path: api + "/contacts"},
		{method: "HEAD", path: api + "/contacts"},
		{method: "GET", path: api + "/contacts/duplicates"},
		{method: "GET", path: api + "/contacts/" + id},
		{method: "HEAD", path: api + "/contacts/" + id},
		{method: "DELETE", path: api + "/contacts/" + id},
		{method: "PUT", path: api + "/contacts/" + id + "/update", body: `{"first_name": "John"}`},
		{method: "PATCH", path: api + "/contacts/" + id + "/update", body: `{"first_name": "John"}`},
		{method: "POST", path: api + "/contacts/" + id + "/restore"},
	}
}

func (q ask) String() string { return q.method + " " + q.path }

func TestErrors(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	create := ask{method: "POST", path: api + "/contacts/create", key: s.writer}
	of := func(q ask, change func(*ask)) ask { change(&q); return q }
	body := func(text string) ask { return of(create, func(q *ask) { q.body = text }) }
	key := func(key string) ask {
		return ask{method: "POST", path: api + "/contacts/create", key: key, body: `{"first_name": "John"}`}
	}
	for _, c := range []struct {
		name   string
		q      ask
		status int
		code   contacts.Code
		fields []string
	}{
		{"no key", key(""), 401, contacts.CodeAuthenticationRequired, nil},
		{"wrong key", key("ck_1"), 401, contacts.CodeInvalidKey, nil},
		{"revoked key", key(s.revoked), 401, contacts.CodeInvalidKey, nil},
		{"powerless key", key(s.powerless), 403, contacts.CodePermissionDenied, nil},
		{"no JSON", body(`{`), 400, contacts.CodeInvalidJSON, nil},
		{"no body", body(``), 400, contacts.CodeInvalidJSON, nil},
		{"no object", body(`[]`), 400, contacts.CodeInvalidJSON, nil},
		{"trailing data", body(`{"first_name": "John"} {}`), 400, contacts.CodeInvalidJSON, nil},
		{"a name twice", body(`{"first_name": "John", "first_name": "Jane"}`), 400, contacts.CodeInvalidJSON, nil},
		{"no UTF-8", body("{\"first_name\": \"\xff\"}"), 400, contacts.CodeInvalidJSON, nil},
		{"nested too deep", body(`{"custom_context": ` + strings.Repeat(`{"a":`, 100_000)), 400, contacts.CodeInvalidJSON, nil},
		{"no first name", body(`{"email": "x"}`), 400, contacts.CodeMissingFirstName, []string{"first_name", "email"}},
		{"wrong fields", body(`{"first_name": "J", "phone": "+15551234567", "phone_numbers": [{"phone_number": "1"}]}`), 400, contacts.CodeValidationError, []string{"phone_numbers[0].phone_number", "phone"}},
		{"too large", body(`{"first_name": "` + strings.Repeat("x", 1<<20) + `"}`), 413, contactshttp.CodeBodyTooLarge, nil},
		{"huge", body(strings.Repeat(" ", 8<<20)), 413, contactshttp.CodeBodyTooLarge, nil},
		{"no such team", body(`{"first_name": "J", "team_id": 999}`), 404, contacts.CodeTeamNotFound, nil},
		{"team of another account", body(`{"first_name": "J", "team_id": 103}`), 404, contacts.CodeTeamNotFound, nil},
		{"closed team", of(body(`{"first_name": "J", "team_id": 102}`), func(q *ask) { q.key = s.limited }), 403, contacts.CodeTeamAccessDenied, nil},
		{"no such contact", ask{path: api + "/contacts/" + uuid.NewString(), key: s.writer}, 404, contacts.CodeNotFound, nil},
		{"may not write", ask{method: "DELETE", path: api + "/contacts/" + id, key: s.reader}, 403, contacts.CodePermissionDenied, nil},
		{"another version", ask{method: "DELETE", path: api + "/contacts/" + id, key: s.writer, header: header("If-Match", `"v7"`)}, 412, contacts.CodeConflict, nil},
		{"batch of no contacts", ask{method: "POST", path: api + "/contacts/batch", key: s.writer, body: `{"contacts": 1, "x": 2}`}, 400, contacts.CodeValidationError, []string{"contacts", "x"}},
		{"batch too large", ask{method: "POST", path: api + "/contacts/batch", key: s.writer, body: strings.Repeat(" ", 16<<20+1)}, 413, contactshttp.CodeBodyTooLarge, nil},
		{"idempotency key in a change", ask{method: "PATCH", path: api + "/contacts/" + id + "/update", key: s.writer, body: `{"idempotency_key": "x"}`}, 400, contacts.CodeValidationError, []string{"idempotency_key"}},
		{"list of a closed team", ask{path: api + "/contacts?team_id=102", key: s.limited}, 403, contacts.CodeTeamAccessDenied, nil},
		{"list of no team", ask{path: api + "/contacts?team_id=999", key: s.writer}, 404, contacts.CodeTeamNotFound, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s.send(t, c.q).wantFailure(t, c.status, c.code, c.fields...)
		})
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	for query, fields := range map[string][]string{
		"page=0":                    {"page"},
		"page=-1":                   {"page"},
		"page=01":                   {"page"},
		"page=+1":                   {"page"},
		"page=x":                    {"page"},
		"page=99999999999999999999": {"page"},
		"page=16777217":             {"page"},
		"page=":                     {"page"},
		"email=":                    {"email"},
		"email":                     {"email"},
		"email=%20+%09":             {"email"},
		"phone_number=":             {"phone_number"},
		"phone_number=+":            {"phone_number"},
		"tag=%20":                   {"tag"},
		"stage=&status=&search=&tag=&email=&phone_number=": {"email", "status", "stage", "phone_number", "tag", "search"},
		"cursor=&search=":                      {"search"},
		"limit=0":                              {"limit"},
		"limit=101":                            {"limit"},
		"limit=1.5":                            {"limit"},
		"team_id=0":                            {"team_id"},
		"team_id=-1":                           {"team_id"},
		"team_id=x":                            {"team_id"},
		"deleted=1":                            {"deleted"},
		"deleted=":                             {"deleted"},
		"updated_after=":                       {"updated_after"},
		"updated_after=yesterday":              {"updated_after"},
		"updated_after=2026-01-02":             {"updated_after"},
		"updated_after=2026-01-02T12:00:00":    {"updated_after"},
		"updated_after=1767355200":             {"updated_after"},
		"updated_after=0000-01-01T00:00:00Z":   {"updated_after"},
		"search=%CC%81":                        {"search"},
		"cursor=x":                             {"cursor"},
		"page=1&cursor=":                       {"cursor"},
		"page=1&cursor=x":                      {"cursor"},
		"email=x":                              {"email"},
		"phone_number=15551234567":             {"phone_number"},
		"tag=" + strings.Repeat("x", 101):      {"tag"},
		"stage=%00":                            {"stage"},
		"stage=%ff":                            {"stage"},
		"sort=name":                            {"sort"},
		"Stage=lead":                           {"Stage"},
		"stage=a&stage=b":                      {"stage"},
		"stage=a&stage=a":                      {"stage"},
		"api_key=" + s.reader:                  {"api_key"},
		"%zz":                                  {"query"},
		"stage=a;tag=b":                        {"query"},
		"%2B15551234567=x&" + s.reader + "=":   {"query"},
		"a=1&b=1&c=1&d=1&e=1&f=1&g=1":          {"a", "b", "c", "d", "e", "f", "g"},
		"deleted=1&sort=1&tag=a&tag=a&email=x": {"sort", "tag", "deleted"}, // the values are checked after that
		"limit=0&page=x&email=x&team_id=-7&stage=%00": {"email", "stage", "team_id", "limit", "page"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			s.send(t, ask{path: api + "/contacts?" + query}).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
			s.send(t, ask{path: api + "/contacts?" + query, key: s.powerless}).wantFailure(t, 403, contacts.CodePermissionDenied)
			got := s.send(t, ask{path: api + "/contacts?" + query, key: s.reader})
			got.wantFailure(t, 400, contacts.CodeValidationError, fields...)
			if strings.Contains(got.body, s.reader) || strings.Contains(got.body, "5551234567") {
				t.Errorf("it repeats the query: %s", got.body)
			}
		})
	}
	t.Run("bounds", func(t *testing.T) {
		t.Parallel()
		for name, want := range map[string]string{
			"limit":   "limit: must be from 1 to 100",
			"page":    "page: must be from 1 to 16777216",
			"team_id": "team_id: must be a positive number",
		} {
			for _, value := range []string{"", "0", "-7", "x", "1.5", "99999999999999999999"} {
				got := s.send(t, ask{path: api + "/contacts?" + name + "=" + value, key: s.reader})
				if m := decode[failure](t, got.body).Message; m != want {
					t.Errorf("%s=%s: %q, want %q", name, value, m, want)
				}
			}
		}
	})
	for _, q := range everyRoute(id) {
		if q.method == "HEAD" {
			continue
		}
		q.path += "?verbose=1"
		s.send(t, q).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
		q.key = s.powerless
		s.send(t, q).wantFailure(t, 403, contacts.CodePermissionDenied)
		q.key = s.writer
		s.send(t, q).wantFailure(t, 400, contacts.CodeValidationError, "verbose")
	}
	s.send(t, ask{path: api + "/openapi.json?verbose=1"}).wantFailure(t, 400, contacts.CodeValidationError, "verbose")
	if got := s.want(t, 200, ask{path: api + "/contacts/" + id, key: s.writer}); decode[contact](t, got.body).Version != 1 {
		t.Errorf("a refused request changed the contact: %s", got.body)
	}
}

// The permission for an earlier time is asked for before the time and the contact are
// looked at.
func TestPermissionForAnEarlierTimeComesFirst(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "Ada"}`)
	for _, path := range []string{
		id + "?as_of=2026-01-02T00:00:00Z", id + "?as_of=0001-01-01T00:00:00Z", id + "?as_of=9999-01-01T00:00:00Z", id + "?as_of=yesterday",
		id + "?as_of=", id + "?as_of=x&as_of=x", id + "?as_of=x&verbose=1",
		uuid.Nil.String() + "?as_of=0001-01-01T00:00:00Z", "x?as_of=x",
	} {
		s.send(t, ask{path: api + "/contacts/" + path, key: s.reader}).wantFailure(t, 403, contacts.CodePermissionDenied)
	}
}

func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	for _, path := range []string{
		"/", "/api", api, api + "/", api + "/contact", api + "/contacts/", api + "/contacts/create/", api + "/contacts/x/y",
		api + "/contacts/x/update/", api + "/contacts//update", api + "//contacts", "//api/v1/contacts", api + "/./contacts", api + "/x/../contacts",
		api + "/contacts/../contacts", "/contacts", "/api/v11/contacts", api + "contacts", "/API/v1/contacts", api + "/openapi.yaml", "/api%2Fv1/contacts", api + "%2Fcontacts",
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS", "PROPFIND"} {
			s.send(t, ask{method: method, path: path}).wantFailure(t, 404, contacts.CodeNotFound)
			s.send(t, ask{method: method, path: path, key: s.revoked}).wantFailure(t, 404, contacts.CodeNotFound)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := uuid.NewString()
	for path, allow := range map[string]string{
		"/contacts":                    "GET, HEAD, OPTIONS",
		"/contacts/create":             "POST, OPTIONS",
		"/contacts/batch":              "POST, OPTIONS",
		"/contacts/" + id:              "DELETE, GET, HEAD, OPTIONS",
		"/contacts/no-id":              "DELETE, GET, HEAD, OPTIONS",
		"/contacts/" + id + "/update":  "PATCH, PUT, OPTIONS",
		"/contacts/" + id + "/restore": "POST, OPTIONS",
		"/openapi.json":                "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"} {
			if slices.Contains(strings.Split(allow, ", "), method) {
				continue
			}
			got := s.send(t, ask{method: method, path: api + path})
			got.wantFailure(t, 405, contactshttp.CodeMethodNotAllowed)
			if a := got.header.Get("Allow"); a != allow {
				t.Errorf("%s %s: Allow: %q, want %q", method, path, a, allow)
			}
		}
		got := s.want(t, 204, ask{method: "OPTIONS", path: api + path})
		if a := got.header.Get("Allow"); a != allow || got.body != "" {
			t.Errorf("OPTIONS %s: Allow: %q, body %q, want %q", path, a, got.body, allow)
		}
		if patch := got.header.Get("Accept-Patch"); (patch == "application/json, application/merge-patch+json") != strings.Contains(allow, "PATCH") {
			t.Errorf("OPTIONS %s: Accept-Patch: %q", path, patch)
		}
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("OPTIONS %s has %s", path, name)
			}
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	for _, q := range []ask{
		{path: api + "/contacts", key: s.reader},
		{path: api + "/contacts?limit=0", key: s.reader},
		{path: api + "/contacts/" + id, key: s.reader},
		{path: api + "/contacts/" + id},
		{path: api + "/contacts/no-id", key: s.reader},
		{path: api + "/openapi.json"},
		{path: api + "/nothing"},
		{path: api + "/contacts/" + id, key: s.reader, header: header("If-None-Match", `"v1"`)},
	} {
		got := s.send(t, q)
		q.method = "HEAD"
		head := s.send(t, q)
		for _, h := range []http.Header{got.header, head.header} {
			h.Del("X-Request-ID")
			h.Del("Date")
		}
		if head.status != got.status || head.body != "" || fmt.Sprint(head.header) != fmt.Sprint(got.header) {
			t.Errorf("HEAD %s: %d %v, GET has %d %v", q.path, head.status, head.header, got.status, got.header)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	const john = `{"first_name": "John"}`
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, john)
	z.Close()
	none := http.Header{"Content-Type": nil}
	for _, c := range []struct {
		name   string
		header http.Header
		others bool // accepted by POST and PUT
		patch  bool // accepted by PATCH
	}{
		{"nothing said", none, true, true},
		{"JSON", header("Content-Type", "application/json"), true, true},
		{"in capitals, with charset", header("Content-Type", "Application/JSON; Charset=UTF-8"), true, true},
		{"charset in quotes", header("Content-Type", `application/json;charset="utf-8"`), true, true},
		{"utf8", header("Content-Type", "application/json; charset=utf8"), true, true},
		{"utf8 in capitals", header("Content-Type", `application/json; charset="UTF8"`), true, true},
		{"semicolon at its end", header("Content-Type", "application/json;"), true, true},
		{"another parameter", header("Content-Type", "application/json; profile=x"), true, true},
		{"identity", header("Content-Encoding", "Identity"), true, true},
		{"merge patch", header("Content-Type", "application/merge-patch+json"), false, true},
		{"another charset", header("Content-Type", "application/json; charset=iso-8859-1"), false, false},
		{"UTF-16", header("Content-Type", "application/json; charset=utf-16"), false, false},
		{"form", header("Content-Type", "application/x-www-form-urlencoded"), false, false},
		{"plain", header("Content-Type", "text/plain"), false, false},
		{"other JSON", header("Content-Type", "application/problem+json"), false, false},
		{"JSON patch", header("Content-Type", "application/json-patch+json"), false, false},
		{"nonsense", header("Content-Type", "json"), false, false},
		{"broken", header("Content-Type", "application/json; charset"), false, false},
		{"empty", header("Content-Type", ""), false, false},
		{"twice", header("Content-Type", "application/json", "Content-Type", "application/json"), false, false},
		{"gzip", header("Content-Encoding", "gzip"), false, false},
		{"identity and gzip", header("Content-Encoding", "identity, gzip"), false, false},
		{"gzip in a second header", header("Content-Encoding", "identity", "Content-Encoding", "gzip"), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, q := range everyRoute(id) {
				takes := c.others
				switch q.method {
				case "GET", "HEAD", "DELETE":
					continue
				case "PATCH":
					takes = c.patch
				}
				if q.body == "" {
					continue
				}
				q.header = c.header
				if strings.Contains(c.name, "gzip") {
					q.body = zipped.String()
				}
				s.send(t, q).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
				q.key = s.writer
				got := s.send(t, q)
				if takes {
					if got.status >= 300 {
						t.Errorf("%s: %d %s", q, got.status, got.body)
					}
					continue
				}
				got.wantFailure(t, 415, contactshttp.CodeUnsupportedMediaType)
				if got.header.Get("Accept") == "" && got.header.Get("Accept-Encoding") != "identity" {
					t.Errorf("%s: it does not say what is supported: %v", q, got.header)
				}
			}
		})
	}
}

func TestMediaTypesWithoutBody(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	for _, q := range []ask{
		{path: api + "/contacts", key: s.writer, header: header("Content-Type", "text/plain")},
		{method: "POST", path: api + "/contacts/" + id + "/restore", key: s.writer, header: header("Content-Type", "text/plain", "Content-Encoding", "gzip")},
		{method: "DELETE", path: api + "/contacts/" + id, key: s.writer, body: "x", header: header("Content-Type", "text/plain")},
	} {
		if got := s.send(t, q); got.status >= 300 {
			t.Errorf("%s: %d %s", q, got.status, got.body)
		}
	}
}

// TestOrderOfChecks starts with a request that is wrong in every way, and corrects
// one thing after the other.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 1000}})
	id := s.create(t, s.writer, `{"first_name": "John", "team_id": 102}`)
	for _, q := range everyRoute(id) {
		if q.method == "HEAD" {
			continue
		}
		t.Run(q.String(), func(t *testing.T) {
			t.Parallel()
			good, takesBody := q, q.body != ""
			write := q.method == "DELETE" || strings.HasSuffix(q.path, "/update") || strings.HasSuffix(q.path, "/restore")
			q.path += "?x=1"
			q.body = "{"
			q.header = header("Content-Type", "text/plain", "If-Match", `"v9"`, "Idempotency-Key", "1")

			lost := q
			lost.path = strings.Replace(q.path, "/contacts", "/persons", 1)
			s.send(t, lost).wantFailure(t, 404, contacts.CodeNotFound)
			odd := q
			odd.method = "TRACE"
			odd.body = "" // which the client does not send with TRACE
			s.send(t, odd).wantFailure(t, 405, contactshttp.CodeMethodNotAllowed)
			s.send(t, q).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
			q.key = "ck_1"
			s.send(t, q).wantFailure(t, 401, contacts.CodeInvalidKey)
			q.key = s.powerless
			s.send(t, q).wantFailure(t, 403, contacts.CodePermissionDenied)
			if write {
				q.key = s.reader
				s.send(t, q).wantFailure(t, 403, contacts.CodePermissionDenied)
			}
			q.key = s.limited
			if takesBody {
				s.send(t, q).wantFailure(t, 415, contactshttp.CodeUnsupportedMediaType)
			}
			q.header.Set("Content-Type", "application/json")
			s.send(t, q).wantFailure(t, 400, contacts.CodeValidationError)
			q.path = good.path
			q.header.Del("Idempotency-Key")
			if !write {
				q.header.Del("If-Match")
			}
			if takesBody {
				s.send(t, q).wantFailure(t, 400, contacts.CodeInvalidJSON)
				q.body = `{"first_name": 1}`
			}
			if strings.Contains(q.path, id) {
				s.send(t, q).wantFailure(t, 404, contacts.CodeNotFound)
				if write {
					q.key = s.writer
					s.send(t, q).wantFailure(t, 412, contacts.CodeConflict)
				}
			}
		})
	}
}

// An unread body fails the test if it is read.
type unread struct{ t *testing.T }

func (b unread) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func (unread) Close() error { return nil }

func TestBodyIsNotReadBeforeTheKeyIsAccepted(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	h := contactshttp.NewHandler(s.svc, nil)
	for _, q := range everyRoute(uuid.NewString()) {
		for _, key := range []string{"", "ck_1", s.revoked, s.powerless} {
			for _, media := range []string{"application/json", "text/plain"} {
				r := httptest.NewRequestWithContext(t.Context(), q.method, q.path, unread{t})
				r.Header.Set("Content-Type", media)
				r.Header.Set("X-API-Key", key)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != 401 && w.Code != 403 {
					t.Errorf("%s: %d %s", q, w.Code, w.Body)
				}
			}
		}
	}
}

func TestServerErrors(t *testing.T) {
	t.Parallel()
	secret := "dial tcp 10.0.0.7: no route, John +15551234567"
	for name, cause := range map[string]error{
		"fault":           errors.New(secret),
		"closed":          fmt.Errorf("%s: %w", secret, contacts.ErrClosed),
		"outcome unknown": fmt.Errorf("%s: %w", secret, contacts.ErrOutcomeUnknown),
		"deadline":        fmt.Errorf("%s: %w", secret, context.DeadlineExceeded),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t, &settings{wrap: func(store contacts.Store) contacts.Store { return &brokenStore{Store: store, err: cause} }})
			for _, q := range everyRoute(uuid.NewString()) {
				q.key = s.writer
				if strings.HasSuffix(q.path, "/batch") {
					continue
				}
				got := s.send(t, q)
				if q.method == "HEAD" {
					continue
				}
				got.wantFailure(t, 500, contacts.CodeServerError)
				if strings.Contains(got.body, "John") || strings.Contains(got.body, "10.0") {
					t.Errorf("%s: the cause is in the answer: %s", q, got.body)
				}
			}
			got := s.want(t, 200, ask{method: "POST", path: api + "/contacts/batch", key: s.writer, body: `{"contacts": [{"first_name": "J"}]}`})
			wantBody(t, `{"results": [{"index": 0, "status": 500, "error": {"error": "server_error", "message": "an unexpected server error"}}], "created": 0, "failed": 1}`, got.body)
		})
	}
}

// A brokenStore panics with value, or fails with err, in every method for contacts.
type brokenStore struct {
	contacts.Store
	err   error
	value any
}

func (b *brokenStore) fail() error {
	if b.value != nil {
		panic(b.value)
	}
	return b.err
}

func (b *brokenStore) Apply(context.Context, contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	return nil, b.fail()
}

func (b *brokenStore) FindContact(context.Context, uuid.UUID, uuid.UUID) (*contacts.ContactRecord, error) {
	return nil, b.fail()
}

func (b *brokenStore) ListContacts(context.Context, contacts.ContactQuery) (contacts.ContactList, error) {
	return contacts.ContactList{}, b.fail()
}

// A timelessStore returns contacts with a time that JSON cannot hold.
type timelessStore struct{ contacts.Store }

func (s timelessStore) FindContact(ctx context.Context, accountID, id uuid.UUID) (*contacts.ContactRecord, error) {
	record, err := s.Store.FindContact(ctx, accountID, id)
	if err == nil {
		record.Contact.CreatedAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return record, err
}

func (s timelessStore) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	list, err := s.Store.ListContacts(ctx, q)
	for _, r := range list.Records {
		r.Contact.CreatedAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return list, err
}

// newTimelessWorld returns a world on a timelessStore, with what its handler logs.
func newTimelessWorld(t *testing.T) (*world, *logbook) {
	t.Helper()
	book := new(logbook)
	return newWorld(t, &settings{
		handler: &contactshttp.Options{Logger: book.logger()},
		wrap:    func(store contacts.Store) contacts.Store { return timelessStore{store} },
	}), book
}

func TestAnswerThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	s, book := newTimelessWorld(t)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	got := s.send(t, ask{path: api + "/contacts/" + id, key: s.reader, header: header("X-Request-ID", "r")})
	got.wantFailure(t, 500, contacts.CodeServerError)
	if got.header.Get("ETag") != "" {
		t.Errorf("the error has an ETag: %v", got.header)
	}
	want := `level=ERROR msg="contactshttp: encode the answer" route=/api/v1/contacts/{id} request_id=r type=*json.MarshalerError`
	if !strings.Contains(book.String(), want) {
		t.Errorf("logged: %s", book.String())
	}
}

// The other contacts of a batch are stored, so their results are sent.
func TestResultOfABatchThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	s, book := newTimelessWorld(t)
	if err := s.admin.SetDuplicatePolicy(t.Context(), s.acme.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting}); err != nil {
		t.Fatal(err)
	}
	s.create(t, s.writer, `{"first_name": "John", "external_id": "7"}`)
	for _, query := range []string{"?dry_run=true", ""} {
		got := decode[contactshttp.BatchResult](t, s.want(t, 200, ask{
			method: "POST", path: api + "/contacts/batch" + query, key: s.writer,
			body: `{"contacts": [{"first_name": "Eve"}, {"first_name": "John", "external_id": "7"}, {"first_name": "Bob"}]}`,
		}).body)
		if got.Created != 2 || got.Failed != 1 || len(got.Results) != 3 || got.Results[1].Status != 500 || got.Results[2].Contact.FirstName != "Bob" {
			t.Errorf("%q: %+v", query, got)
		}
	}
	if n := strings.Count(book.String(), `msg="contactshttp: encode the answer" route=/api/v1/contacts/batch`); n != 2 {
		t.Errorf("logged: %s", book.String())
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	h := contactshttp.NewHandler(s.svc, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", api+"/contacts", nil)
	r.Header.Set("X-API-Key", s.reader)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 500 {
		t.Errorf("status %d %s", w.Code, w.Body)
	}
}

// A client that sends less than it has announced still reads the answer.
func TestBodyThatIsCutOff(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	for _, body := range []string{
		"Content-Length: 100\r\n\r\n" + `{"first_name": "J"}`,
		"Transfer-Encoding: chunked\r\n\r\n13\r\n" + `{"first_name": "J"}` + "\r\n",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s/contacts/create HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n%s", api, s.writer, body)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		readReply(t, resp).wantFailure(t, 400, contacts.CodeInvalidJSON)
	}
}

func TestMaxBytesHandlerAroundTheHandler(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{mount: func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 100) }})
	s.send(t, ask{method: "POST", path: api + "/contacts/create", key: s.writer, body: `{"first_name": "` + strings.Repeat("x", 100) + `"}`}).
		wantFailure(t, 413, contactshttp.CodeBodyTooLarge)
}

func TestNilService(t *testing.T) {
	t.Parallel()
	defer func() {
		if v, _ := recover().(string); !strings.Contains(v, "contacts.New") {
			t.Errorf("panic %q does not name the remedy", v)
		}
	}()
	contactshttp.NewHandler(nil, nil)
}

// A damagedStore has a contact whose custom context is damaged. Its lists say that
// more of it is: a summary has no contexts.
type damagedStore struct {
	contacts.Store
	id uuid.UUID
}

func (s *damagedStore) spoil(r *contacts.ContactRecord) {
	if r.Contact.ID == s.id {
		r.CustomContext = `{"a":`
	}
}

func (s *damagedStore) FindContact(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	r, err := s.Store.FindContact(ctx, account, id)
	if err == nil {
		s.spoil(r)
	}
	return r, err
}

func (s *damagedStore) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	list, err := s.Store.ListContacts(ctx, q)
	records := slices.Clone(list.Records)
	for _, g := range list.Groups {
		records = append(records, g.Records...)
	}
	for _, r := range records {
		if s.spoil(r); r.Contact.ID == s.id {
			list.Damaged = append(list.Damaged, &contacts.DamagedError{ContactID: s.id, Reason: errors.New("its phone numbers cannot be read")})
		}
	}
	return list, err
}

func TestWalkGoesPastADamagedContact(t *testing.T) {
	t.Parallel()
	var store *damagedStore
	s := newWorld(t, &settings{wrap: func(inner contacts.Store) contacts.Store {
		store = &damagedStore{Store: inner}
		return store
	}})
	var want []string // newest first
	for _, name := range []string{"Ada", "Bob", "Cid"} {
		want = append([]string{s.create(t, s.writer, `{"first_name": "`+name+`"}`)}, want...)
	}
	store.id = uuid.MustParse(want[1])
	var got []string
	damaged := 0
	for cursor := ""; len(got) <= len(want); {
		page := decode[contactshttp.ContactSlice](t, s.want(t, 200, ask{path: api + "/contacts?limit=1&cursor=" + cursor, key: s.reader}).body)
		for _, c := range page.Contacts {
			got = append(got, c.ID.String())
		}
		damaged += len(page.Damaged)
		for _, id := range page.Damaged {
			got = append(got, id.String())
			if id != store.id {
				t.Errorf("%s is not damaged", id)
			}
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a walk (-want +got):\n%s", diff)
	}
	if damaged != 1 {
		t.Errorf("%d contacts are damaged, want 1", damaged)
	}
}
