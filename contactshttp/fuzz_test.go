package contactshttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/contacts/contactshttp"
)

// FuzzEntityTags checks that entity tags are read, written and read again the same.
func FuzzEntityTags(f *testing.F) {
	for _, s := range []string{`"v1"`, `W/"v2", "v3"`, `*`, ` , "a,b" ,,`, `"`, `"a" "b"`, `w/"a"`, `"v+1"`, "\"\x80\"", `"\"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tags, star, ok := contactshttp.ParseEntityTags([]string{s})
		if star && (len(tags) > 0 || strings.Trim(s, " \t") != "*") || ok == (len(tags) == 0 && !star) {
			t.Fatalf("%q: %v %t %t", s, tags, star, ok)
		}
		var written []string
		for _, tag := range tags {
			text := `"` + tag.Opaque + `"`
			if strings.Count(text, `"`) != 2 || strings.ContainsAny(text, " \t\r\n\x00\x7f") {
				t.Errorf("%q: the tag %q", s, text)
			}
			if v, ok := contactshttp.VersionOf(tag); ok && v < 1 {
				t.Errorf("%q: version %d", s, v)
			}
			if tag.Weak {
				text = "W/" + text
			}
			if !strings.Contains(s, text) {
				t.Errorf("%q: %s is not in it", s, text)
			}
			written = append(written, text)
		}
		again, _, _ := contactshttp.ParseEntityTags(written)
		if len(again) != len(tags) {
			t.Fatalf("%q: %v became %v", s, tags, again)
		}
		for i := range tags {
			if again[i] != tags[i] {
				t.Errorf("%q: %v became %v", s, tags[i], again[i])
			}
		}
	})
}

// FuzzIdempotencyKey checks that a key in quotes is the same when it is written
// again.
func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{`a`, `"a"`, `"a\"b\\"`, `"`, `"a`, `"a"b`, `""`, ` `, `"\x"`, "\"\x7f\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, ok := contactshttp.ParseIdempotencyKey(s)
		trimmed := strings.Trim(s, " \t")
		quoted := strings.HasPrefix(trimmed, `"`)
		if !quoted {
			if !ok || key != trimmed {
				t.Errorf("%q: %q %t", s, key, ok)
			}
			return
		}
		if !ok {
			return
		}
		text := `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(key) + `"`
		if text != trimmed {
			t.Errorf("%q: %q is written %s", s, key, text)
		}
	})
}

// FuzzRequest sends any query and headers to any path. No answer may be a server
// error.
func FuzzRequest(f *testing.F) {
	s := newWorld(f, nil)
	h := contactshttp.NewHandler(s.svc, &contactshttp.Options{KeyInQuery: true})
	f.Add("GET", "/contacts", "page=1&limit=2", "*", "k", "application/json", "")
	f.Add("POST", "/contacts/create", "", `"v1"`, `"k"`, "application/json; charset=utf-8", `{"first_name": "J"}`)
	f.Add("PATCH", "/contacts/"+s.create(f, s.writer, `{"first_name": "J"}`)+"/update", "", `W/"v1", "v2"`, "", "", `{}`)
	f.Add("GET", "/contacts", "phone_number=+1&cursor=&team_id=%", "", "", "", "")
	f.Add("POST", "/contacts/batch", "api_key=x", "", "", "", `{"contacts": [{}]}`)
	f.Fuzz(func(t *testing.T, method, path, query, match, idempotency, media, body string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", strings.NewReader(body))
		r.Method = method
		r.URL.Path, r.URL.RawQuery = api+path, query
		r.Header = http.Header{
			"X-Api-Key": {s.writer}, "If-Match": {match}, "If-None-Match": {match}, "Idempotency-Key": {idempotency}, "Content-Type": {media},
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 200 || w.Code >= 500 {
			t.Errorf("status %d %s", w.Code, w.Body)
		}
	})
}
