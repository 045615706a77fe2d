package contactshttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
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
		`level=INFO msg="contactshttp: request" method=DELETE route=/api/v1/contacts/{id} status=404 duration=0s bytes=44 request_id=r code=not_found`,
		`level=INFO msg="contactshttp: request" method=GET route="" status=404 duration=0s bytes=64 request_id=r code=not_found`,
		`level=INFO msg="contactshttp: request" method=other route=/api/v1/contacts status=405 duration=0s bytes=78 request_id=r code=method_not_allowed`,
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
				wantBody(t, `{"error": "server_error", "message": "an unexpected server error"}`, got.body)
			}
			logged := book.String()
			for text, times := range map[string]int{
				`level=ERROR msg="contactshttp: panic" method=GET route=/api/v1/contacts request_id=r type=`: panics,
				`brokenStore).fail`: panics,
				`level=WARN msg="contactshttp: request" method=GET route=/api/v1/contacts status=500 duration=0s bytes=64 request_id=r code=server_error`: panics,
				"John": 0,
			} {
				if n := strings.Count(logged, text); n != times {
					t.Errorf("%q is in the log %d times, want %d:\n%s", text, n, times, logged)
				}
			}
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
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
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
	resp, err := http.DefaultTransport.RoundTrip(r)
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

// sendAnywhere returns the status of any path of the server.
func (s *world) sendAnywhere(t testing.TB, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
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
