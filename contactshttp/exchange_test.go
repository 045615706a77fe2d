package contactshttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
)

// A logbook keeps the lines of a logger.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logger returns a logger without times.
func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	seen := make(map[string]bool)
	for _, c := range []struct {
		given string
		taken bool
	}{
		{"abc-123", true}, {strings.Repeat("x", 128), true}, {`!"#$~`, true},
		{"", false}, {strings.Repeat("x", 129), false}, {"a b", false}, {"é", false}, {"a\tb", false}, {"\x80", false},
	} {
		for _, q := range []ask{{path: api + "/contacts", key: s.reader}, {path: api + "/contacts"}, {path: "/nothing"}, {method: "OPTIONS", path: api + "/contacts"}} {
			q.header = header("X-Request-ID", c.given)
			got := s.send(t, q).header.Values("X-Request-ID")
			if len(got) != 1 || (got[0] == c.given) != c.taken || len(got[0]) == 0 {
				t.Errorf("%q: answered with %q", c.given, got)
				continue
			}
			if !c.taken && seen[got[0]] {
				t.Errorf("%q was given out before", got[0])
			}
			seen[got[0]] = true
		}
	}
}

func TestRequestIDOfTheHost(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RequestID: func(r *http.Request) string {
		if r.URL.Query().Has("panic") {
			panic("out of order")
		}
		return r.Header.Get("X-Router-ID")
	}}})
	for _, c := range []struct{ name, router, client, want string }{
		{"of the router", "router-7", "", "router-7"},
		{"of both", "router-7", "client-7", "router-7"},
		{"of the client", "", "client-7", "client-7"},
		{"of an id that cannot be one", "a b", "client-7", "client-7"},
		{"of one that is too long", strings.Repeat("x", 129), "client-7", "client-7"},
	} {
		got := s.send(t, ask{path: api + "/contacts", header: header("X-Router-ID", c.router, "X-Request-ID", c.client)})
		got.wantFailure(t, 401, contacts.CodeAuthenticationRequired)
		if id := got.header.Get("X-Request-ID"); id != c.want {
			t.Errorf("%s: %q, want %q", c.name, id, c.want)
		}
	}
	if got := s.send(t, ask{path: api + "/contacts"}).header.Get("X-Request-ID"); len(got) < 20 {
		t.Errorf("of nobody: %q, want a random one", got)
	}
	got := s.send(t, ask{path: api + "/contacts?panic=1", header: header("X-Request-ID", "client-7")})
	got.wantFailure(t, 500, contacts.CodeServerError)
}

func TestPatternIsSetForTheMiddlewareAround(t *testing.T) {
	t.Parallel()
	patterns := make(chan string, 1) // a long answer can arrive before the handler returns
	s := newWorld(t, &settings{handler: &contactshttp.Options{Prefix: "/crm"}, mount: func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mux.ServeHTTP(w, r)
			patterns <- r.Pattern
		})
	}})
	for path, want := range map[string]string{
		"/crm/contacts":                                  "/crm/contacts",
		"/crm/contacts/" + uuid.NewString():              "/crm/contacts/{id}",
		"/crm/contacts/x/update":                         "/crm/contacts/{id}/update",
		"/crm/contacts/" + uuid.NewString() + "/restore": "/crm/contacts/{id}/restore",
		"/crm/openapi.json":                              "/crm/openapi.json",
		"/crm/nothing":                                   "/", // of the mux around it
		"/":                                              "/",
	} {
		s.send(t, ask{path: path, key: s.reader})
		if pattern := <-patterns; pattern != want {
			t.Errorf("%s: %q, want %q", path, pattern, want)
		}
	}
}

// An idHandler adds the id of the request to every line.
type idHandler struct{ slog.Handler }

func (h idHandler) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.String("of", contactshttp.RequestID(ctx)))
	return h.Handler.Handle(ctx, r)
}

func TestRequestIDInTheContext(t *testing.T) {
	t.Parallel()
	var book logbook
	s := newWorld(t, &settings{
		service: &contacts.Options{Logger: slog.New(idHandler{book.logger().Handler()})},
		wrap:    func(store contacts.Store) contacts.Store { return &brokenStore{Store: store, err: errors.New("fault")} },
	})
	s.want(t, 500, ask{path: api + "/contacts", key: s.reader, header: header("X-Request-ID", "req-7")})
	if got := book.String(); !strings.Contains(got, "of=req-7") {
		t.Errorf("logged: %s", got)
	}
	if got := contactshttp.RequestID(t.Context()); got != "" {
		t.Errorf("outside of a request: %q", got)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var book logbook
	s := newWorld(t, &settings{handler: &contactshttp.Options{Logger: book.logger(), RateLimit: 1000}})
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	random := uuid.NewString()
	for _, q := range []ask{
		{method: "HEAD", path: api + "/contacts?limit=1", key: s.reader},
		{path: api + "/contacts/" + id, key: s.reader, header: header("If-None-Match", "*")},
		{method: "DELETE", path: api + "/contacts/" + random, key: s.writer},
		{path: "/nothing/" + random},
		{method: "PROPFIND", path: api + "/contacts"},
		{method: "OPTIONS", path: api + "/contacts/" + id},
	} {
		q.header = q.header.Clone()
		if q.header == nil {
			q.header = make(http.Header)
		}
		q.header.Set("X-Request-ID", "r")
		s.send(t, q)
	}
	lines := strings.Split(strings.TrimSpace(book.String()), "\n")
	want := []string{
		`level=INFO msg="contactshttp: request" method=HEAD route=/api/v1/contacts status=200 duration=0s bytes=0 request_id=r`,
		`level=INFO msg="contactshttp: request" method=GET route=/api/v1/contacts/{id} status=304 duration=0s bytes=0 request_id=r`,
		`level=INFO msg="contactshttp: request" method=DELETE route=/api/v1/contacts/{id} status=404 duration=0s bytes=61 request_id=r code=not_found`,
		`level=INFO msg="contactshttp: request" method=GET route="" status=404 duration=0s bytes=128 request_id=r code=not_found`,
		`level=INFO msg="contactshttp: request" method=other route=/api/v1/contacts status=405 duration=0s bytes=95 request_id=r code=method_not_allowed`,
		`level=INFO msg="contactshttp: request" method=OPTIONS route=/api/v1/contacts/{id} status=204 duration=0s bytes=0 request_id=r`,
	}
	if diff := cmp.Diff(want, lines[1:]); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// TestNothingSecretIsLogged sends keys, names and numbers in every part of a
// request.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	var book logbook
	for _, store := range []func(contacts.Store) contacts.Store{
		nil,
		func(store contacts.Store) contacts.Store {
			return &brokenStore{Store: store, value: errors.New("John Doe +15551234567 john.doe@example.com")}
		},
	} {
		s := newWorld(t, &settings{
			handler: &contactshttp.Options{Logger: book.logger(), RateLimit: 1000, KeyInQuery: true},
			wrap:    store,
		})
		secrets := []string{"john", "5551234567", "@example", "acme", "main st"}
		for _, key := range []string{s.writer, s.revoked, s.powerless} {
			secrets = append(secrets, strings.ToLower(key), strings.ToLower(key[3:20]))
			for _, q := range everyRoute(uuid.NewString()) {
				if q.body != "" {
					q.body = documented
				}
				for _, path := range []string{q.path, q.path + "?api_key=" + key, q.path + "?search=john&" + key + "=1", q.path + "/" + key, api + "/contacts/john.doe@example.com", api + "/contacts?phone_number=%2B15551234567"} {
					q := q
					q.path, q.key = path, key
					q.header = header("X-Request-ID", "r")
					s.send(t, q)
					q.method = strings.ReplaceAll(key, "_", "-")
					s.send(t, q)
				}
			}
		}
		logged := strings.ToLower(book.String())
		if !strings.Contains(logged, "level=info") {
			t.Error("nothing was logged")
		}
		for _, secret := range secrets {
			if at := strings.Index(logged, secret); at >= 0 {
				t.Errorf("%q is in the log: %s", secret, logged[max(0, at-200):min(len(logged), at+200)])
			}
		}
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"error":  errors.New("John Doe has +15551234567"),
		"string": "John Doe",
		"nil":    (*runtime.PanicNilError)(nil),
		"number": 7,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var book logbook
			s := newWorld(t, &settings{
				handler: &contactshttp.Options{Logger: book.logger(), RateLimit: 1000},
				wrap:    func(store contacts.Store) contacts.Store { return &brokenStore{Store: store, value: value} },
			})
			const panics = 2
			for range panics {
				got := s.send(t, ask{path: api + "/contacts", key: s.reader, header: header("X-Request-ID", "r")})
				got.wantFailure(t, 500, contacts.CodeServerError)
				wantBody(t, `{"error": "server_error", "message": "an unexpected server error", "request_id": "r"}`, got.body)
			}
			logged := book.String()
			for text, times := range map[string]int{
				`level=ERROR msg="contactshttp: panic" method=GET route=/api/v1/contacts request_id=r type=`: panics,
				`brokenStore).fail`: panics,
				`level=WARN msg="contactshttp: request" method=GET route=/api/v1/contacts status=500 duration=0s bytes=81 request_id=r code=server_error`: panics,
				"John": 0,
			} {
				if n := strings.Count(logged, text); n != times {
					t.Errorf("%q is in the log %d times, want %d:\n%s", text, n, times, logged)
				}
			}
		})
	}
}

// A brokenHandler is a logger's handler that panics.
type brokenHandler struct{ slog.Handler }

func (brokenHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (brokenHandler) Handle(context.Context, slog.Record) error { panic("no space left") }

// A brokenLevel panics when it is asked.
type brokenLevel struct{}

func (brokenLevel) Level() slog.Level { panic("out of order") }

func TestLoggerThatPanicsDoesNotCostTheAnswer(t *testing.T) {
	t.Parallel()
	for name, logger := range map[string]*slog.Logger{
		"in Handle":  slog.New(brokenHandler{}),
		"in Enabled": slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: brokenLevel{}})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t, &settings{
				service: &contacts.Options{Logger: logger},
				handler: &contactshttp.Options{Logger: logger},
			})
			id := s.create(t, s.writer, `{"first_name": "John"}`)
			s.want(t, 200, ask{path: api + "/contacts/" + id, key: s.reader})
			s.send(t, ask{path: "/nothing"}).wantFailure(t, 404, contacts.CodeNotFound)
			broken := newWorld(t, &settings{
				service: &contacts.Options{Logger: logger},
				handler: &contactshttp.Options{Logger: logger},
				wrap:    func(store contacts.Store) contacts.Store { return &brokenStore{Store: store, err: errors.New("fault")} },
			})
			broken.send(t, ask{path: api + "/contacts", key: broken.reader}).wantFailure(t, 500, contacts.CodeServerError)
		})
	}
}

func TestErrAbortHandlerIsPassedOn(t *testing.T) {
	t.Parallel()
	var book logbook
	s := newWorld(t, &settings{
		handler: &contactshttp.Options{Logger: book.logger()},
		wrap: func(store contacts.Store) contacts.Store {
			return &brokenStore{Store: store, value: http.ErrAbortHandler}
		},
	})
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+api+"/contacts", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", s.reader)
	if resp, err := s.wire.RoundTrip(r); err == nil {
		resp.Body.Close()
		t.Errorf("got %s, want a connection that ends", resp.Status)
	}
	if logged := book.String(); strings.Contains(logged, "panic") {
		t.Errorf("logged: %s", logged)
	}
}

// A brokenWriter panics after the answer has begun.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { panic("the middle of an answer") }

func TestPanicInTheMiddleOfAnAnswer(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{mount: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(brokenWriter{w}, r) })
	}})
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+api+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.wire.RoundTrip(r)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the client cannot see that the answer is incomplete")
	}
}

// A goneWriter is the writer of a client that went away.
type goneWriter struct{ http.ResponseWriter }

func (goneWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestClientGone(t *testing.T) {
	t.Parallel()
	var book logbook
	s := newWorld(t, nil)
	h := contactshttp.NewHandler(s.svc, &contactshttp.Options{Logger: book.logger(), Now: s.clock.now})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", api+"/contacts", nil)
	r.Header.Set("X-API-Key", s.reader)
	r.Header.Set("X-Request-ID", "r")
	h.ServeHTTP(goneWriter{httptest.NewRecorder()}, r)
	want := `level=INFO msg="contactshttp: request" method=GET route=/api/v1/contacts status=500 duration=0s bytes=0 request_id=r code=server_error` + "\n"
	if diff := cmp.Diff(want, book.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		prefix string
		mount  func(http.Handler) http.Handler
		at     string // where the routes are
	}{
		{"default", "", nil, "/api/v1"},
		{"another", "/crm/v2", nil, "/crm/v2"},
		{"slash at its end", "/crm/", nil, "/crm"},
		{"no slash", "crm", nil, "/crm"},
		{"root", "/", nil, ""},
		{"braces and spaces", "/{tenant}/a b/{$}", nil, "/%7Btenant%7D/a%20b/%7B$%7D"},
		{"in a mux", "/crm/v2", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/crm/v2/", h)
			return mux
		}, "/crm/v2"},
		{"in StripPrefix", "", func(h http.Handler) http.Handler { return http.StripPrefix("/crm", h) }, "/crm/api/v1"},
		{"in StripPrefix, root", "/", func(h http.Handler) http.Handler { return http.StripPrefix("/crm", h) }, "/crm"},
		{"in a handler that rewrites paths", "/", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r2 := r.Clone(r.Context())
				r2.URL.Path, r2.URL.RawPath = strings.TrimPrefix(r.URL.Path, "/public"), ""
				r2.RequestURI = "/internal/path"
				h.ServeHTTP(w, r2)
			})
		}, "/public"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t, &settings{handler: &contactshttp.Options{Prefix: c.prefix}, mount: c.mount})
			got := s.want(t, 201, ask{method: "POST", path: c.at + "/contacts/create", key: s.writer, body: `{"first_name": "John"}`})
			id := decode[contact](t, got.body).ID
			where := c.at + "/contacts/" + id
			if l := got.header.Get("Location"); l != where && c.at != "/public" {
				t.Errorf("Location: %q, want %q", l, where)
			}
			s.want(t, 200, ask{path: where, key: s.reader})
			s.want(t, 200, ask{path: c.at + "/contacts", key: s.reader})
			described := s.want(t, 200, ask{path: c.at + "/openapi.json"}).body
			if c.at != "/public" && c.at != "/%7Btenant%7D/a%20b/%7B$%7D" && !strings.Contains(described, `"`+c.at+`/contacts/create"`) {
				t.Error("the description has other paths")
			}
			if c.at != "/api/v1" && c.at != "/public" {
				if got := s.sendAnywhere(t, "/api/v1/contacts"); got != 404 {
					t.Errorf("at the default prefix: %d", got)
				}
			}
		})
	}
}

func TestExternalPrefix(t *testing.T) {
	t.Parallel()
	strip := func(prefix string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler { return http.StripPrefix(prefix, h) }
	}
	for _, c := range []struct {
		name, external, prefix string
		mount                  func(http.Handler) http.Handler
		at, want               string // the path for the server, and for the client
	}{
		{"alone", "/gw", "", nil, "/api/v1", "/gw/api/v1"},
		{"of another form", "gw/", "/", nil, "", "/gw"},
		{"with a prefix", "/gw/eu", "/crm", nil, "/crm", "/gw/eu/crm"},
		{"that must be escaped", "/a b", "", nil, "/api/v1", "/a%20b/api/v1"},
		{"with StripPrefix", "/gw", "", strip("/in"), "/in/api/v1", "/gw/in/api/v1"},
		{"like a host", "//evil.example", "", nil, "/api/v1", "/evil.example/api/v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t, &settings{handler: &contactshttp.Options{ExternalPrefix: c.external, Prefix: c.prefix}, mount: c.mount})
			got := s.want(t, 201, ask{method: "POST", path: c.at + "/contacts/create", key: s.writer, body: `{"first_name": "John"}`})
			where := c.want + "/contacts/" + decode[contact](t, got.body).ID
			if l := got.header.Get("Location"); l != where {
				t.Errorf("Location: %q, want %q", l, where)
			}
			paths := decode[struct{ Paths map[string]any }](t, s.want(t, 200, ask{path: c.at + "/openapi.json"}).body).Paths
			described := strings.ReplaceAll(c.want, "%20", " ")
			elsewhere := func(path string) bool { return !strings.HasPrefix(path, described+"/") }
			if paths[described+"/contacts/create"] == nil || slices.ContainsFunc(slices.Collect(maps.Keys(paths)), elsewhere) {
				t.Errorf("the description has the paths %v", slices.Sorted(maps.Keys(paths)))
			}
			if got := s.send(t, ask{path: strings.TrimSuffix(c.at, "/api/v1") + "/x"}); !strings.Contains(got.body, `"there is nothing at this path; those of this API are in `+c.want+`/openapi.json"`) {
				t.Errorf("404: %s", got.body)
			}
		})
	}
}

// TestUnknownPathNamesThePrefix mounts the handler at other paths than that of its
// Prefix.
func TestUnknownPathNamesThePrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, prefix, path, want string
		mount                    func(http.Handler) http.Handler
	}{
		{"mounted under another path", "", "/crm/contacts", "/api/v1/openapi.json", nil},
		{"with another prefix", "/crm", "/api/v1/contacts", "/crm/openapi.json", nil},
		{"prefix stripped twice", "", "/api/v1/contacts", "/api/v1/api/v1/openapi.json",
			func(h http.Handler) http.Handler { return http.StripPrefix("/api/v1", h) }},
		{"unknown path of the API", "", "/api/v1/persons", "/api/v1/openapi.json", nil},
		{"at the root", "/", "/persons", "/openapi.json", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t, &settings{handler: &contactshttp.Options{Prefix: c.prefix}, mount: c.mount})
			got := s.send(t, ask{path: c.path, key: s.reader})
			got.wantFailure(t, 404, contacts.CodeNotFound)
			if want := "there is nothing at this path; those of this API are in " + c.want; decode[failure](t, got.body).Message != want {
				t.Errorf("got %s, want %q", got.body, want)
			}
		})
	}
}

// sendAnywhere returns the status of any path of the server.
func (s *world) sendAnywhere(t testing.TB, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.wire.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestLocationNamesNoOtherHost sends paths that look like a host.
func TestLocationNamesNoOtherHost(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	h := contactshttp.NewHandler(s.svc, nil)
	for _, uri := range []string{"//evil.example/api/v1/contacts/create", "http://evil.example/x/api/v1/contacts/create", "%zz", ""} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", api+"/contacts/create", strings.NewReader(`{"first_name": "J"}`))
		r.RequestURI = uri
		r.Header.Set("X-API-Key", s.writer)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if l := w.Header().Get("Location"); w.Code != 201 || strings.Contains(l, "evil") || !strings.HasPrefix(strings.TrimPrefix(l, "/x"), api+"/contacts/") {
			t.Errorf("%s: %d, Location: %q", uri, w.Code, l)
		}
	}
}
