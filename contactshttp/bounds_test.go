package contactshttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/internal/longtest"
)

// parameters returns a query with that many different names.
func parameters(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%c%c%c&", 'a'+i%26, 'a'+i/26%26, 'a'+i/26/26%26)
	}
	return b.String()
}

// differentTags returns a list of that many entity tags, each of another version.
func differentTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"v%d",`, i+2)
	}
	return b.String()
}

// TestRequestIsReadUpToItsBounds sends much more than a request may have. What is
// beyond a bound is not read: something else that is wrong there is not reported.
func TestRequestIsReadUpToItsBounds(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	h := contactshttp.NewHandler(s.svc, &contactshttp.Options{KeyInQuery: true, RateLimit: 1000})
	const megabyte = 1 << 20
	update := ask{method: "PATCH", path: api + "/contacts/" + s.create(t, s.writer, `{"first_name": "John"}`) + "/update", body: `{}`}
	create := ask{method: "POST", path: api + "/contacts/create", body: `{"first_name": "John"}`}
	list := ask{method: "GET", path: api + "/contacts"}
	with := func(q ask, pairs ...string) ask { q.header = header(pairs...); return q }
	query := func(q ask, query string) ask { q.path += "?" + query; return q }
	for _, c := range []struct {
		name   string
		q      ask
		status int
		code   contacts.Code
		field  string // "": none
		fault  string // its code
	}{
		{"many tags", with(update, "If-Match", strings.Repeat(`"v2",`, megabyte/5)), 400, "validation_error", "If-Match", "too_many"},
		{"many different tags", with(update, "If-Match", differentTags(100_000)), 400, "validation_error", "If-Match", "too_many"},
		{"many tags, and then nonsense", with(update, "If-Match", strings.Repeat(`"v2",`, 17)+"nonsense"), 400, "validation_error", "If-Match", "too_many"},
		{"many lines of tags", with(update, strings.Split(strings.Repeat(`If-Match|"v2"|`, 1000)+`If-Match|nonsense`, "|")...), 400, "validation_error", "If-Match", "too_many"},
		{"empty elements", with(update, "If-Match", strings.Repeat(",", megabyte)+`"v1"`), 200, "", "", ""},
		{"a long tag", with(update, "If-Match", `"`+strings.Repeat("v", megabyte)+`"`), 412, "conflict", "", ""},
		{"many tags of a GET", with(ask{method: "GET", path: strings.TrimSuffix(update.path, "/update")}, "If-None-Match", strings.Repeat(`"v9",`, megabyte/5)), 200, "", "", ""},
		{"idempotency key", with(create, "Idempotency-Key", `"`+strings.Repeat("k", megabyte)), 400, "validation_error", "Idempotency-Key", "too_long"},
		{"content type", with(create, "Content-Type", "application/json"+strings.Repeat("; a=b", megabyte/5)), 415, "unsupported_media_type", "", ""},
		{"codings", with(create, "Content-Encoding", strings.Repeat("identity,", megabyte/9)), 201, "", "", ""},
		{"query", query(list, "search="+strings.Repeat("x", megabyte)), 400, "validation_error", "query", "too_long"},
		{"query with nonsense at its end", query(list, "limit=1&search="+strings.Repeat("x", megabyte)+"&%zz"), 400, "validation_error", "query", "too_long"},
		{"query at its limit", query(list, "tag=x&email="+strings.Repeat("x", 16<<10-12)), 400, "validation_error", "email", "too_long"},
		{"cursor", query(list, "cursor="+strings.Repeat("A", 10_000)), 400, "validation_error", "cursor", "invalid"},
		{"number", query(list, "limit="+strings.Repeat("1", 10_000)), 400, "validation_error", "limit", "invalid"},
		{"key in X-API-Key", with(list, "X-API-Key", strings.Repeat("k", megabyte)), 401, "invalid_key", "", ""},
		{"many keys", with(list, strings.Split(strings.Repeat("X-API-Key|k|", 1000)+"X-API-Key|l", "|")...), 401, "invalid_key", "", ""},
		{"path", ask{method: "GET", path: api + "/contacts/" + strings.Repeat("x", megabyte)}, 404, "not_found", "", ""},
		{"segments", ask{method: "GET", path: api + strings.Repeat("/x", megabyte/2)}, 404, "not_found", "", ""},
		{"request id", with(list, "X-Request-ID", strings.Repeat("x", megabyte)), 200, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			send := func(key string) reply {
				r := httptest.NewRequestWithContext(t.Context(), c.q.method, c.q.path, strings.NewReader(c.q.body))
				for name, values := range c.q.header {
					r.Header[name] = values
				}
				if key != "" {
					r.Header.Set("Authorization", "Bearer "+key)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if n := w.Body.Len(); n > 8<<10 {
					t.Errorf("the answer has %d bytes", n)
				}
				return reply{w.Code, w.Header(), w.Body.String()}
			}
			if c.code != contacts.CodeInvalidKey && !strings.Contains(c.name, "segments") {
				send("").wantFailure(t, 401, contacts.CodeAuthenticationRequired)
				send("ck_1").wantFailure(t, 401, contacts.CodeInvalidKey)
				send(s.powerless).wantFailure(t, 403, contacts.CodePermissionDenied)
			}
			got := send(s.writer)
			if c.code == "" {
				if got.status != c.status {
					t.Errorf("status %d, want %d: %s", got.status, c.status, got.body)
				}
				return
			}
			got.wantFailure(t, c.status, c.code)
			details := decode[failure](t, got.body).Details
			if c.field == "" && len(details) == 0 {
				return
			}
			if len(details) != 1 || details[0].Field != c.field || details[0].Code != c.fault {
				t.Errorf("details %+v, want %s %s", details, c.field, c.fault)
			}
		})
	}
}

// TestUnknownParametersAreReportedUpToALimit keeps the answer small, above all where
// no key is needed.
func TestUnknownParametersAreReportedUpToALimit(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	for _, path := range []string{"/openapi.json", "/contacts", "/contacts/" + uuid.NewString()} {
		for _, n := range []int{20, 21, 4000} {
			got := s.send(t, ask{method: http.MethodGet, path: api + path + "?" + parameters(n), key: s.reader})
			got.wantFailure(t, 400, contacts.CodeValidationError)
			if details := decode[failure](t, got.body).Details; len(details) != 20 || len(got.body) > 2500 {
				t.Errorf("%s with %d parameters: %d details, %d bytes", path, n, len(details), len(got.body))
			}
		}
	}
}

// TestLongPathInFrontIsNotRepeated: the description has the path that was stripped in
// front of each of its paths, and needs no key.
func TestLongPathInFrontIsNotRepeated(t *testing.T) {
	t.Parallel()
	h := contactshttp.NewHandler(newWorld(t, nil).svc, nil)
	for length, repeated := range map[int]bool{1023: true, 1024: false} {
		front := "/" + strings.Repeat("x", length)
		r := httptest.NewRequestWithContext(t.Context(), "GET", api+"/openapi.json", nil)
		r.RequestURI = front + api + "/openapi.json"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := strings.Contains(w.Body.String(), `"`+front+api+`/contacts"`); w.Code != 200 || got != repeated {
			t.Errorf("%d bytes in front: status %d, repeated: %t, want %t", length, w.Code, got, repeated)
		}
	}
}

// A contextStore returns contexts that cannot be read.
type contextStore struct{ contacts.Store }

func (s contextStore) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	list, err := s.Store.ListContacts(ctx, q)
	records := list.Records
	for _, g := range list.Groups {
		records = append(records, g.Records...)
	}
	for _, r := range records {
		r.CustomContext, r.IndustryContext = "{", "{"
	}
	return list, err
}

func TestSummariesReadNoContexts(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{wrap: func(store contacts.Store) contacts.Store { return contextStore{store} }})
	for range 2 {
		s.create(t, s.writer, `{"first_name": "John", "email": "john@example.com"}`)
	}
	for _, path := range []string{"/contacts", "/contacts?cursor=", "/contacts/duplicates"} {
		got := s.want(t, 200, ask{path: api + path, key: s.reader})
		if n := strings.Count(got.body, `"first_name":"John"`); n != 2 {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

// recordEvents switches events on, and returns an API key that reads them.
func (s *world) recordEvents(t *testing.T) (key string) {
	t.Helper()
	if err := s.admin.SetEvents(t.Context(), s.acme.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	key, _, err := s.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: s.acme.ID, AllTeams: true, Permissions: []contacts.Permission{contacts.PermissionReadEvents},
	})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPageOfALargeHistoryIsShort(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	s := newWorld(t, nil)
	key := s.recordEvents(t)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	const changes = 40
	for i := range changes {
		large := fmt.Sprintf(`{"a": "%d%s"}`, i, strings.Repeat("a", 60<<10))
		s.want(t, 200, ask{method: "PATCH", path: api + "/contacts/" + id + "/update", key: s.writer, body: `{"custom_context": ` + large + `, "industry_context": ` + large + `}`})
	}
	version, before := int64(changes+1), ""
	for pages := 1; ; pages++ {
		got := s.want(t, 200, ask{path: api + "/contacts/" + id + "/history?limit=1000" + before, key: key})
		if len(got.body) > 5<<20 {
			t.Errorf("an answer has %d bytes", len(got.body))
		}
		page := decode[contactshttp.EventHistory](t, got.body)
		for _, e := range page.Events {
			if e.Version != version {
				t.Fatalf("got version %d, want %d", e.Version, version)
			}
			version--
		}
		if page.NextBefore == nil {
			if pages < 2 || version != 0 {
				t.Errorf("%d pages end before version %d", pages, version)
			}
			break
		}
		before = fmt.Sprintf("&before=%d", *page.NextBefore)
	}
}

// The events after one that cannot be read are an answer, and the error is that to the
// next request.
func TestHistoryEndsBeforeAnEventThatCannotBeRead(t *testing.T) {
	t.Parallel()
	var store contacts.Store
	s := newWorld(t, &settings{wrap: func(wrapped contacts.Store) contacts.Store { store = wrapped; return wrapped }})
	key := s.recordEvents(t)
	path := api + "/contacts/" + s.create(t, s.writer, `{"first_name": "John"}`)
	for range 3 {
		s.want(t, 200, ask{method: "PATCH", path: path + "/update", key: s.writer, body: `{}`})
	}
	second, err := store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: s.acme.ID, After: 1, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	second[0].Data = "{"
	if outcomes, err := store.Apply(t.Context(), contacts.MutationBatch{Mutations: []contacts.Mutation{{
		AccountID: s.acme.ID, Settings: 1, Journal: second,
	}}}); outcomes != nil || err != nil {
		t.Fatal(outcomes, err)
	}
	for _, limit := range []string{"2", "3"} {
		page := decode[contactshttp.EventHistory](t, s.want(t, 200, ask{path: path + "/history?limit=" + limit, key: key}).body)
		if len(page.Events) != 2 || page.Events[1].Sequence != 3 || page.NextBefore == nil || *page.NextBefore != 3 {
			t.Errorf("limit %s: got %+v", limit, page)
		}
	}
	s.want(t, 500, ask{path: path + "/history?before=3", key: key})
}

// A partWriter notes the length of each part of an answer. It fails after some.
type partWriter struct {
	*httptest.ResponseRecorder
	parts []int
	most  int
}

func (w *partWriter) Write(p []byte) (int, error) {
	if w.parts = append(w.parts, len(p)); len(w.parts) > w.most {
		return 0, errors.New("broken pipe")
	}
	return w.ResponseRecorder.Write(p)
}

// Small contacts that all match a large one make a large answer, which is not held.
func TestLargeAnswerToASmallBatchIsSentInParts(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	s := newWorld(t, nil)
	if err := s.admin.SetDuplicatePolicy(t.Context(), s.acme.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting}); err != nil {
		t.Fatal(err)
	}
	large := `{"a": "` + strings.Repeat("a", 60<<10) + `"}`
	s.create(t, s.writer, `{"first_name": "Ada", "external_id": "7", "custom_context": `+large+`, "industry_context": `+large+`}`)
	const count = 50
	body := `{"contacts": [` + strings.Repeat(`{"first_name": "Ada", "external_id": "7"},`, count-1) + `{"first_name": "Ada", "external_id": "7"}]}`
	h := contactshttp.NewHandler(s.svc, nil)
	for _, most := range []int{100, 1} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", api+"/contacts/batch", strings.NewReader(body))
		r.Header.Set("X-API-Key", s.writer)
		w := &partWriter{ResponseRecorder: httptest.NewRecorder(), most: most}
		h.ServeHTTP(w, r)
		if longest := slices.Max(w.parts); longest > 2<<20 || len(w.parts) < 2 || w.Header().Get("Content-Length") != "" {
			t.Errorf("the longest of %d parts has %d bytes: %v", len(w.parts), longest, w.Header())
		}
		if most == 1 {
			if len(w.parts) != 2 {
				t.Errorf("%d parts were sent to a client that is gone", len(w.parts))
			}
			continue
		}
		got := decode[contactshttp.BatchResult](t, w.Body.String())
		if w.Code != 200 || got.Existing != count || len(got.Results) != count || len(got.Results[count-1].Contact.CustomContext["a"].(string)) != 60<<10 {
			t.Errorf("status %d, %d existing, %d results", w.Code, got.Existing, len(got.Results))
		}
	}
}
