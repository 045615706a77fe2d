package contactshttp_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
)

func TestKeyPlaces(t *testing.T) {
	t.Parallel()
	plain := newWorld(t, nil)
	open := newWorld(t, &settings{handler: &contactshttp.Options{KeyInQuery: true}})
	const none, ok = contacts.CodeAuthenticationRequired, contacts.Code("")
	for _, c := range []struct {
		name   string
		query  string // $ is the reader's key, % the writer's
		header http.Header
		plain  contacts.Code // without Options.KeyInQuery
		open   contacts.Code // with it
	}{
		{"none", "", nil, none, none},
		{"bearer", "", header("Authorization", "Bearer $"), ok, ok},
		{"bearer in other case", "", header("Authorization", "bEARER $"), ok, ok},
		{"bearer with spaces", "", header("Authorization", "  Bearer   $ "), ok, ok},
		{"bearer without token", "", header("Authorization", "Bearer"), none, none},
		{"bearer with blank token", "", header("Authorization", "Bearer  "), none, none},
		{"bearer with two tokens", "", header("Authorization", "Bearer $ $"), contacts.CodeInvalidKey, contacts.CodeInvalidKey},
		{"another scheme", "", header("Authorization", "Basic $"), none, none},
		{"no scheme", "", header("Authorization", "$"), none, none},
		{"another scheme and bearer", "", header("Authorization", "Basic x", "Authorization", "Bearer $"), ok, ok},
		{"X-API-Key", "", header("X-API-Key", "$"), ok, ok},
		{"blank X-API-Key", "", header("X-API-Key", " "), none, none},
		{"blank X-API-Key and bearer", "", header("X-API-Key", "", "Authorization", "Bearer $"), ok, ok},
		{"both", "", header("X-API-Key", "$", "Authorization", "Bearer $"), ok, ok},
		{"both, and they differ", "", header("X-API-Key", "%", "Authorization", "Bearer $"), contacts.CodeInvalidKey, contacts.CodeInvalidKey},
		{"X-API-Key twice", "", header("X-API-Key", "$", "X-API-Key", "$"), ok, ok},
		{"X-API-Key twice, and they differ", "", header("X-API-Key", "$", "X-API-Key", "%"), contacts.CodeInvalidKey, contacts.CodeInvalidKey},
		{"query", "?api_key=$", nil, none, ok},
		{"query and header", "?api_key=$", header("X-API-Key", "$"), contacts.CodeValidationError, ok},
		{"query and header, and they differ", "?api_key=%", header("X-API-Key", "$"), contacts.CodeValidationError, contacts.CodeInvalidKey},
		{"blank query", "?api_key=", nil, none, none},
		{"blank query and header", "?api_key=", header("X-API-Key", "$"), contacts.CodeValidationError, ok},
		{"query twice", "?api_key=$&api_key=$", nil, none, contacts.CodeValidationError},
		{"query twice, and they differ", "?api_key=$&api_key=%", nil, none, contacts.CodeInvalidKey},
		{"wrong query", "?api_key=x", nil, none, contacts.CodeInvalidKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, side := range []struct {
				world *world
				want  contacts.Code
			}{{plain, c.plain}, {open, c.open}} {
				keys := strings.NewReplacer("$", side.world.reader, "%", side.world.writer)
				h := make(http.Header)
				for name, values := range c.header {
					for _, v := range values {
						h.Add(name, keys.Replace(v))
					}
				}
				for _, path := range []string{"/contacts", "/contacts/" + uuid.NewString()} {
					got := side.world.send(t, ask{path: api + path + keys.Replace(c.query), header: h})
					code := decode[failure](t, got.body).Code
					if code == contacts.CodeNotFound {
						code = "" // the key was accepted
					}
					if code != side.want {
						t.Errorf("with the option %t: %s: %d %s, want %q", side.world == open, path, got.status, got.body, side.want)
					}
				}
			}
		})
	}
	if got := open.send(t, ask{path: api + "/openapi.json?api_key=" + open.reader}); got.status != 200 {
		t.Errorf("the description with a key: %d %s", got.status, got.body)
	}
}

// TestMissingKeyIsExplained checks that the answer names what was seen in the place
// of a key, and never repeats what may be one.
func TestMissingKeyIsExplained(t *testing.T) {
	t.Parallel()
	plain := newWorld(t, nil)
	open := newWorld(t, &settings{handler: &contactshttp.Options{KeyInQuery: true}})
	const taken = "; send it as Authorization: Bearer KEY, or as X-API-Key: KEY"
	for _, c := range []struct {
		name   string
		query  string
		header http.Header
		want   string
	}{
		{"nothing", "", nil, ""},
		{"blank", "", header("Authorization", " ", "X-API-Key", ""), ""},
		{"a bare key", "", header("Authorization", "$"), ": Authorization has no scheme"},
		{"basic", "", header("Authorization", "Basic $"), ": Authorization has the scheme Basic"},
		{"token", "", header("Authorization", "token $"), ": Authorization has the scheme Token"},
		{"a scheme alone", "", header("Authorization", "Digest"), ": Authorization has the scheme Digest"},
		{"an unknown word before the key", "", header("Authorization", "hunter2 $"), ": Authorization has another scheme than Bearer"},
		{"a key before a word", "", header("Authorization", "$ x"), ": Authorization has another scheme than Bearer"},
		{"a tab after the scheme", "", header("Authorization", "Bearer\t$"), ": Authorization has no scheme"},
		{"a colon after the scheme", "", header("Authorization", "Bearer: $"), ": Authorization has another scheme than Bearer"},
		{"bearer without a key", "", header("Authorization", "bearer "), ": Authorization has the scheme Bearer, and no key after it"},
		{"in the query", "?api_key=$", nil, ": the parameter api_key is not accepted here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := c.header.Clone()
			for _, values := range h {
				for i := range values {
					values[i] = strings.ReplaceAll(values[i], "$", plain.reader)
				}
			}
			got := plain.send(t, ask{path: api + "/contacts" + strings.ReplaceAll(c.query, "$", plain.reader), header: h})
			got.wantFailure(t, 401, contacts.CodeAuthenticationRequired)
			if m := decode[failure](t, got.body).Message; m != "no API key was provided"+c.want+taken {
				t.Errorf("message: %q", m)
			}
			if strings.Contains(got.body, plain.reader) || strings.Contains(got.body, "hunter2") {
				t.Errorf("it repeats the key: %s", got.body)
			}
			if c.query != "" {
				return
			}
			got = open.send(t, ask{path: api + "/contacts", header: h})
			if m := decode[failure](t, got.body).Message; m != "no API key was provided"+c.want+taken+", or as the parameter api_key" {
				t.Errorf("where it may be in the query: %q", m)
			}
		})
	}
}

// TestHiddenContactsLookMissing compares the answers byte by byte.
func TestHiddenContactsLookMissing(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	foreign := s.create(t, s.foreignWriter, `{"first_name": "Foreign"}`)
	closed := s.create(t, s.writer, `{"first_name": "Closed", "team_id": 102}`)
	deletedForeign := s.create(t, s.foreignWriter, `{"first_name": "Gone"}`)
	s.want(t, 204, ask{method: "DELETE", path: api + "/contacts/" + deletedForeign, key: s.foreignWriter})
	random := uuid.NewString()
	hidden := map[string]string{
		"another account's":           foreign,
		"another account's, deleted":  deletedForeign,
		"a closed team's":             closed,
		"nil":                         uuid.Nil.String(),
		"no UUID":                     "john",
		"a UUID without dashes":       strings.ReplaceAll(foreign, "-", ""),
		"a UUID of another form":      "urn:uuid:" + foreign,
		"a UUID in braces":            "%7B" + foreign + "%7D",
		"with a slash":                "a%2Fb",
		"with a NUL":                  "%00",
		"long":                        strings.Repeat("x", 5000),
		"an SQL statement":            "'%20OR%201=1--",
		"a closed team's in capitals": strings.ToUpper(closed),
	}
	variants := []http.Header{nil, header("If-Match", `"v1"`), header("If-Match", `"v9"`), header("If-Match", `"v1", "v2"`), header("If-Match", "*"),
		header("If-Match", "v1"), header("If-None-Match", "*"), header("If-None-Match", `"v1"`), header("Idempotency-Key", "k")}
	bodies := []string{`{"first_name": "John"}`, `{}`, `{"first_name": "", "email": "x"}`, `{"team_id": 102}`, `{"phone_numbers": [{"id": "` + random + `"}]}`}
	t.Run("routes", func(t *testing.T) {
		for i, q := range everyRoute(random) {
			if !strings.Contains(q.path, random) {
				continue
			}
			t.Run(q.method+" "+strings.ReplaceAll(q.path, random, "id"), func(t *testing.T) {
				t.Parallel()
				bodies := bodies
				if q.body == "" {
					bodies = []string{""}
				}
				for _, h := range variants {
					for _, body := range bodies {
						q := q
						q.key, q.header, q.body = s.limited, h, body
						want := s.send(t, q)
						if refuses := q.method != "GET" && q.method != "HEAD" && h.Get("If-None-Match") != ""; want.status != 404 && !refuses {
							t.Fatalf("%s %v %s: %d %s", q, h, q.body, want.status, want.body)
						}
						want.forget()
						for name, id := range hidden {
							q := everyRoute(id)[i]
							q.key, q.header, q.body = s.limited, h, body
							got := s.send(t, q)
							got.forget()
							if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" {
								t.Errorf("%s, %v %s: it differs from one that does not exist:\n%s", name, h, q.body, diff)
							}
						}
					}
				}
			})
		}
	})
	for id, key := range map[string]string{foreign: s.foreignWriter, closed: s.writer} {
		if v := decode[contact](t, s.want(t, 200, ask{path: api + "/contacts/" + id, key: key}).body).Version; v != 1 {
			t.Errorf("version %d: it was changed", v)
		}
	}
}

var requestIDs = regexp.MustCompile(`,"request_id":"[^"]*"`)

// forget removes what differs between any two replies.
func (r *reply) forget() {
	r.body = requestIDs.ReplaceAllString(r.body, "")
	r.header.Del("X-Request-ID")
	r.header.Del("Date")
}

func TestTeamOfAnotherAccountLooksMissing(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	id := s.create(t, s.writer, `{"first_name": "John"}`)
	for _, q := range []ask{
		{method: "POST", path: api + "/contacts/create", body: `{"first_name": "J", "team_id": $}`},
		{method: "PUT", path: api + "/contacts/" + id + "/update", body: `{"first_name": "J", "team_id": $}`},
		{method: "PATCH", path: api + "/contacts/" + id + "/update", body: `{"team_id": $}`},
		{method: "POST", path: api + "/contacts/batch", body: `{"contacts": [{"first_name": "J", "team_id": $}]}`},
		{path: api + "/contacts?team_id=$"},
	} {
		var replies []reply
		for _, team := range []string{"103", "104"} {
			r := q
			r.key = s.writer
			r.path, r.body = strings.Replace(q.path, "$", team, 1), strings.Replace(q.body, "$", team, 1)
			got := s.send(t, r)
			got.forget()
			replies = append(replies, got)
		}
		if diff := cmp.Diff(replies[0], replies[1], cmp.AllowUnexported(reply{})); diff != "" || !strings.Contains(replies[0].body, "team_not_found") {
			t.Errorf("%s: %s\n%s", q, replies[0].body, diff)
		}
	}
}
