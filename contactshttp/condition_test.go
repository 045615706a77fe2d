package contactshttp_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactstest"
)

func TestIfMatch(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	many := make([]string, 17)
	for i := range many {
		many[i] = `"v` + strconv.Itoa(i+10) + `"`
	}
	for _, c := range []struct {
		name   string
		header http.Header
		status int
		code   contacts.Code
		fields []string
	}{ // the contact has version 2
		{"none", nil, 200, "", nil},
		{"the version", header("If-Match", `"v2"`), 200, "", nil},
		{"any", header("If-Match", `*`), 200, "", nil},
		{"any, with spaces", header("If-Match", ` * `), 200, "", nil},
		{"in a list", header("If-Match", `"v1", "v2" ,"x"`), 200, "", nil},
		{"first in a list", header("If-Match", `"v2","v3"`), 200, "", nil},
		{"in a second header", header("If-Match", `"v1"`, "If-Match", `"v2"`), 200, "", nil},
		{"in a list with empty elements", header("If-Match", `,, "v2",`), 200, "", nil},
		{"twice", header("If-Match", `"v2", "v2"`), 200, "", nil},
		{"after a comma in quotes", header("If-Match", `"a,b", "v2"`), 200, "", nil},
		{"an older one", header("If-Match", `"v1"`), 412, contacts.CodeConflict, nil},
		{"a later one", header("If-Match", `"v3"`), 412, contacts.CodeConflict, nil},
		{"a list without it", header("If-Match", `"v1", "v3"`), 412, contacts.CodeConflict, nil},
		{"weak", header("If-Match", `W/"v2"`), 412, contacts.CodeConflict, nil},
		{"weak and an older one", header("If-Match", `W/"v2", "v1"`), 412, contacts.CodeConflict, nil},
		{"of another form", header("If-Match", `"2"`), 412, contacts.CodeConflict, nil},
		{"zero", header("If-Match", `"v0"`), 412, contacts.CodeConflict, nil},
		{"negative", header("If-Match", `"v-1"`), 412, contacts.CodeConflict, nil},
		{"leading zero", header("If-Match", `"v02"`), 412, contacts.CodeConflict, nil},
		{"plus", header("If-Match", `"v+2"`), 412, contacts.CodeConflict, nil},
		{"too large", header("If-Match", `"v99999999999999999999"`), 412, contacts.CodeConflict, nil},
		{"empty tag", header("If-Match", `""`), 412, contacts.CodeConflict, nil},
		{"no quotes", header("If-Match", `v2`), 412, contacts.CodeConflict, []string{"If-Match"}},
		{"open quote", header("If-Match", `"v2`), 412, contacts.CodeConflict, []string{"If-Match"}},
		{"no comma", header("If-Match", `"v1" "v2"`), 412, contacts.CodeConflict, []string{"If-Match"}},
		{"any in a list", header("If-Match", `*, "v2"`), 412, contacts.CodeConflict, []string{"If-Match"}},
		{"empty", header("If-Match", ``), 412, contacts.CodeConflict, []string{"If-Match"}},
		{"many", header("If-Match", strings.Join(many[1:], ",")), 412, contacts.CodeConflict, nil},
		{"too many", header("If-Match", strings.Join(many, ",")), 400, contacts.CodeValidationError, []string{"If-Match"}},
		{"If-None-Match", header("If-None-Match", `*`), 400, contacts.CodeValidationError, []string{"If-None-Match"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, change := range []ask{
				{method: "PUT", path: "/update", body: `{"first_name": "Jane"}`},
				{method: "PATCH", path: "/update", body: `{"first_name": "Jane"}`},
				{method: "DELETE"},
				{method: "POST", path: "/restore"},
			} {
				id := s.create(t, s.writer, `{"first_name": "John"}`)
				path := api + "/contacts/" + id
				if change.path == "/restore" {
					s.want(t, 204, ask{method: "DELETE", path: path, key: s.writer})
				} else {
					s.want(t, 200, ask{method: "PATCH", path: path + "/update", key: s.writer, body: `{}`})
				}
				change.path = path + change.path
				change.key, change.header = s.writer, c.header
				got := s.send(t, change)
				if c.status != 200 {
					got.wantFailure(t, c.status, c.code, c.fields...)
					continue
				}
				if change.method == "DELETE" {
					if got.status != 204 {
						t.Errorf("%s: %d %s", change, got.status, got.body)
					}
					continue
				}
				if got.status != 200 || got.header.Get("ETag") != `"v3"` {
					t.Errorf("%s: %d %s, ETag %s", change, got.status, got.body, got.header.Get("ETag"))
				}
			}
		})
	}
}

// TestConcurrentChangesLoseNoUpdate has each writer change what it has read.
func TestConcurrentChangesLoseNoUpdate(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	path := api + "/contacts/" + s.create(t, s.writer, `{"first_name": "0"}`)
	const writers, each = 8, 5
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				got := s.send(t, ask{path: path, key: s.writer})
				n, err := strconv.Atoi(decode[contact](t, got.body).FirstName)
				if err != nil {
					t.Error(err)
					return
				}
				got = s.send(t, ask{method: "PATCH", path: path + "/update", key: s.writer, header: header("If-Match", got.header.Get("ETag")),
					body: `{"first_name": "` + strconv.Itoa(n+1) + `"}`})
				switch got.status {
				case 200:
					done++
				case 412:
					refused.Add(1)
				default:
					t.Errorf("%d %s", got.status, got.body)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := decode[contact](t, s.want(t, 200, ask{path: path, key: s.writer}).body); got.FirstName != strconv.Itoa(writers*each) || got.Version != writers*each+1 {
		t.Errorf("got %+v after %d conflicts", got, refused.Load())
	}
}

func TestEveryRequestIsOneCallOfTheService(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	auth := &operationAuthenticator{Authenticator: contacts.KeyAuthenticator(f.Store, nil)}
	svc, err := contacts.New(f.Store, &contacts.Options{Authenticator: auth})
	if err != nil {
		t.Fatal(err)
	}
	h := contactshttp.NewHandler(svc, nil)
	john, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "John"})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range everyRoute(john.ID.String()) {
		for _, c := range []struct {
			name, query string
			header      http.Header
		}{
			{"valid", "", nil},
			{"a list without the version", "", header("If-Match", `"v7", "v8", "v9"`)},
			{"an unknown parameter", "unknown=1", nil},
			{"another media type", "", header("Content-Type", "text/plain")},
		} {
			r := httptest.NewRequestWithContext(t.Context(), q.method, q.path+"?"+c.query, strings.NewReader(q.body))
			maps.Copy(r.Header, c.header)
			r.Header.Set("X-API-Key", f.Key)
			auth.asked = nil
			h.ServeHTTP(httptest.NewRecorder(), r)
			if n := len(auth.asked); n != 1 {
				t.Errorf("%s, %s: %d calls, want 1", q, c.name, n)
			}
		}
	}
}

func TestIfNoneMatch(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	path := api + "/contacts/" + s.create(t, s.writer, `{"first_name": "John"}`)
	for value, status := range map[string]int{
		`"v1"`: 304, `W/"v1"`: 304, `*`: 304, `"v2", "v1"`: 304, `"v2"`: 200, `"x"`: 200, `v1`: 200, ``: 200, `"v1" "v1"`: 200, `*, "v1"`: 200,
	} {
		got := s.want(t, status, ask{path: path, key: s.reader, header: header("If-None-Match", value)})
		if got.header.Get("ETag") != `"v1"` || (got.body == "") != (status == 304) {
			t.Errorf("If-None-Match: %s: %v %s", value, got.header, got.body)
		}
	}
	s.send(t, ask{path: path, header: header("If-None-Match", "*")}).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
}

// An upsert with If-Match that changed another version would lose an update.
func TestCreatesRefuseConditions(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "John", "external_id": "7"}`)
	const john = `{"first_name": "Jim", "external_id": "7", "mode": "overwrite"}`
	for path, body := range map[string]string{"/create": `{"first_name": "Eve"}`, "/upsert": john, "/batch": `{"contacts": [{"first_name": "Eve"}]}`} {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			for _, query := range []string{"", "?dry_run=true"} {
				s.send(t, ask{method: "POST", path: api + "/contacts" + path + query, key: s.writer, body: body, header: header(name, `"v9"`)}).
					wantFailure(t, 400, contacts.CodeValidationError, name)
			}
		}
	}
	list := decode[contactshttp.ContactPage](t, s.want(t, 200, ask{path: api + "/contacts", key: s.reader}).body)
	if list.Count != 1 || list.Contacts[0].ID.String() != id || list.Contacts[0].FirstName != "John" {
		t.Errorf("a refused request stored something: %+v", list)
	}
}
