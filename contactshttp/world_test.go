package contactshttp_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/store/memory"
)

// A world is a server with two accounts, with teams in both and keys of each kind.
type world struct {
	url   string
	wire  http.RoundTripper // of this server alone: the end of another one closes connections of the default
	svc   *contacts.Service
	admin *contacts.Admin
	acme  *contacts.Account
	other *contacts.Account
	clock *clock

	writer        string // of acme; every team
	reader        string // may not write
	limited       string // team 101 only; may write
	powerless     string // no permission
	revoked       string
	foreignWriter string // of other
}

const (
	team        int64 = 101 // of acme
	closedTeam  int64 = 102 // of acme; limited may not access it
	foreignTeam int64 = 103 // of other
)

// settings are the options of a world. nil means the default.
type settings struct {
	service *contacts.Options
	handler *contactshttp.Options
	wrap    func(contacts.Store) contacts.Store
	mount   func(http.Handler) http.Handler
}

func newWorld(t testing.TB, set *settings) *world {
	t.Helper()
	if set == nil {
		set = new(settings)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	var store contacts.Store = memory.New()
	t.Cleanup(func() { must(store.Close()) })
	s := &world{clock: &clock{t: time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)}}
	s.admin = contacts.NewAdmin(store, nil)
	var err error
	s.acme, err = s.admin.CreateAccount(ctx, "Acme Corp")
	must(err)
	s.other, err = s.admin.CreateAccount(ctx, "Other Corp")
	must(err)
	for _, team := range []contacts.Team{
		{AccountID: s.acme.ID, ID: team, Name: "Sales"},
		{AccountID: s.acme.ID, ID: closedTeam, Name: "Board"},
		{AccountID: s.other.ID, ID: foreignTeam, Name: "Sales"},
	} {
		_, err = s.admin.CreateTeam(ctx, team)
		must(err)
	}
	issue := func(in contacts.IssueKeyInput) (string, uuid.UUID) {
		t.Helper()
		secret, key, err := s.admin.IssueKey(ctx, in)
		must(err)
		return secret, key.ID
	}
	read := []contacts.Permission{contacts.PermissionReadContacts}
	both := []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}
	s.writer, _ = issue(contacts.IssueKeyInput{AccountID: s.acme.ID, Permissions: both, AllTeams: true})
	s.reader, _ = issue(contacts.IssueKeyInput{AccountID: s.acme.ID, Permissions: read, AllTeams: true})
	s.limited, _ = issue(contacts.IssueKeyInput{AccountID: s.acme.ID, Permissions: both, TeamIDs: []int64{team}})
	s.powerless, _ = issue(contacts.IssueKeyInput{AccountID: s.acme.ID, AllTeams: true})
	s.foreignWriter, _ = issue(contacts.IssueKeyInput{AccountID: s.other.ID, Permissions: both, AllTeams: true})
	var id uuid.UUID
	s.revoked, id = issue(contacts.IssueKeyInput{AccountID: s.acme.ID, Permissions: both, AllTeams: true})
	must(s.admin.RevokeKey(ctx, id))

	var service contacts.Options
	if set.service != nil {
		service = *set.service
	}
	if service.Now == nil {
		service.Now = s.clock.now
	}
	wrapped := store
	if set.wrap != nil {
		wrapped = set.wrap(store)
	}
	s.svc, err = contacts.New(wrapped, &service)
	must(err)
	var options contactshttp.Options
	if set.handler != nil {
		options = *set.handler
	}
	if options.Now == nil {
		options.Now = s.clock.now
	}
	h := contactshttp.NewHandler(s.svc, &options)
	if set.mount != nil {
		h = set.mount(h)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = nil
	server.Start()
	t.Cleanup(server.Close)
	s.url, s.wire = server.URL, server.Client().Transport
	return s
}

// A clock stands still until it is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// An ask is one request to a world. method "" is GET.
type ask struct {
	method string
	path   string // with the query
	key    string // as a bearer token
	body   string // JSON, unless header says otherwise
	header http.Header
}

// A reply is the answer to a request.
type reply struct {
	status int
	header http.Header
	body   string
}

const api = "/api/v1"

func (s *world) send(t testing.TB, q ask) reply {
	t.Helper()
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), q.method, s.url+q.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.key != "" {
		r.Header.Set("Authorization", "Bearer "+q.key)
	}
	for name, values := range q.header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := s.wire.RoundTrip(r) // which follows no redirects
	if err != nil {
		t.Fatal(err)
	}
	answer := readReply(t, resp)
	if n := resp.ContentLength; q.method != http.MethodHead && resp.StatusCode != 304 && n != int64(len(answer.body)) {
		t.Errorf("%s %s: Content-Length %d, and the body has %d bytes", q.method, q.path, n, len(answer.body))
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s %s: %s: %q, want %q", q.method, q.path, name, got, want)
		}
	}
	if resp.Header.Get("X-Request-ID") == "" {
		t.Errorf("%s %s: no X-Request-ID", q.method, q.path)
	}
	wantType := "application/json; charset=utf-8"
	if resp.StatusCode == 204 || resp.StatusCode == 304 {
		wantType = ""
	}
	if got := resp.Header.Get("Content-Type"); got != wantType {
		t.Errorf("%s %s: Content-Type: %q, want %q", q.method, q.path, got, wantType)
	}
	return answer
}

// readReply reads an answer to its end, and closes it.
func readReply(t testing.TB, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// want sends a request and fails the test unless the answer has the status.
func (s *world) want(t testing.TB, status int, q ask) reply {
	t.Helper()
	got := s.send(t, q)
	if got.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", q.method, q.path, got.status, status, got.body)
	}
	return got
}

// create creates a contact and returns its id.
func (s *world) create(t testing.TB, key, body string) string {
	t.Helper()
	got := s.want(t, 201, ask{method: "POST", path: api + "/contacts/create", key: key, body: body})
	return decode[contact](t, got.body).ID
}

// contact has the fields of a contact that the tests use.
type contact struct {
	ID           string `json:"id"`
	FirstName    string `json:"first_name"`
	LastName     string `json:"last_name"`
	TeamID       *int64 `json:"team_id"`
	Version      int64  `json:"version"`
	PhoneNumbers []struct {
		ID          string `json:"id"`
		PhoneNumber string `json:"phone_number"`
	} `json:"phone_numbers"`
}

func decode[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, text)
	}
	return v
}

// failure is the documented body of an error.
type failure struct {
	Code      contacts.Code         `json:"error"`
	Message   string                `json:"message"`
	Details   []contacts.FieldError `json:"details"`
	RequestID string                `json:"request_id"`
}

// wantFailure fails the test unless the reply is that error. If fields are given,
// its details must name them.
func (r reply) wantFailure(t testing.TB, status int, code contacts.Code, fields ...string) {
	t.Helper()
	var got failure
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatalf("status %d, no error envelope: %v\n%s", r.status, err, r.body)
	}
	if r.status != status || got.Code != code || got.Message == "" {
		t.Errorf("status %d %s, want %d %s", r.status, r.body, status, code)
	}
	if id := r.header.Get("X-Request-ID"); got.RequestID != id {
		t.Errorf("request_id %q, and the header has %q", got.RequestID, id)
	}
	if challenge := r.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (status == 401) {
		t.Errorf("WWW-Authenticate: %q", challenge)
	}
	if fields == nil {
		return
	}
	var named []string
	for _, d := range got.Details {
		named = append(named, d.Field)
		if d.Code == "" || d.Message == "" {
			t.Errorf("detail %+v has no code or no message", d)
		}
	}
	if diff := cmp.Diff(fields, named); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// numbered returns the text with its ids replaced by their numbers, in order.
func numbered(text string) string {
	seen := make(map[string]string)
	return uuids.ReplaceAllStringFunc(text, func(id string) string {
		if seen[id] == "" {
			seen[id] = "id-" + string(rune('1'+len(seen)))
		}
		return seen[id]
	})
}

// wantBody compares a body with a golden one. White space between tokens and the
// values of ids are ignored.
func wantBody(t testing.TB, golden, body string) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(golden)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(compact.String()+"\n", numbered(body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}
