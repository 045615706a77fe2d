package contactshttp_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	create := ask{method: "POST", path: api + "/contacts/create", key: s.writer, body: documented, header: header("Idempotency-Key", `"a \"b\" \\c"`)}
	first := s.want(t, 201, create)
	for _, again := range []string{`"a \"b\" \\c"`, `  "a \"b\" \\c" `, `a "b" \c`} {
		create.header = header("Idempotency-Key", again)
		got := s.want(t, 201, create)
		if got.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: not marked as replayed", again)
		}
		got.header.Del("Idempotency-Replayed")
		got.forget()
		first.forget()
		if diff := cmp.Diff(first, got, cmp.AllowUnexported(reply{})); diff != "" {
			t.Errorf("%s: it differs from the first (-want +got):\n%s", again, diff)
		}
	}
	create.body = `{"first_name": "Jane"}`
	s.send(t, create).wantFailure(t, 409, contacts.CodeIdempotencyConflict)

	// The key may be in the body too.
	create.body = `{"first_name": "Jane", "idempotency_key": "k"}`
	create.header = nil
	s.want(t, 201, create)
	if got := s.want(t, 201, create); got.header.Get("Idempotency-Replayed") != "true" {
		t.Error("the key in the body was not taken")
	}
	create.header = header("Idempotency-Key", "other")
	s.send(t, create).wantFailure(t, 400, contacts.CodeValidationError, "idempotency_key")
	create.header = header("Idempotency-Key", `"k"`)
	if got := s.want(t, 201, create); got.header.Get("Idempotency-Replayed") != "true" {
		t.Error("the same key in both places was not taken")
	}
	// Each account has its own keys.
	create.key, create.body = s.foreignWriter, `{"first_name": "Jim"}`
	if got := s.want(t, 201, create); got.header.Get("Idempotency-Replayed") != "" {
		t.Error("a key of another account was replayed")
	}
}

func TestIdempotencyKeyRefused(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	for name, h := range map[string]http.Header{
		"twice":           header("Idempotency-Key", "a", "Idempotency-Key", "a"),
		"empty":           header("Idempotency-Key", ""),
		"blank":           header("Idempotency-Key", "  "),
		"empty string":    header("Idempotency-Key", `""`),
		"open string":     header("Idempotency-Key", `"a`),
		"lone quote":      header("Idempotency-Key", `"`),
		"ends in escape":  header("Idempotency-Key", `"a\`),
		"unknown escape":  header("Idempotency-Key", `"\a"`),
		"trailing text":   header("Idempotency-Key", `"a"b`),
		"two strings":     header("Idempotency-Key", `"a", "b"`),
		"parameter":       header("Idempotency-Key", `"a";b=1`),
		"no ASCII":        header("Idempotency-Key", `"é"`),
		"blank string":    header("Idempotency-Key", `"  "`),
		"too long":        header("Idempotency-Key", strings.Repeat("x", 256)),
		"no UTF-8":        header("Idempotency-Key", "\xff"),
		"tab in the text": header("Idempotency-Key", "a\tb"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := ask{method: "POST", path: api + "/contacts/create", body: `{"first_name": "J"}`, header: h}
			s.send(t, q).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
			q.key = s.powerless
			s.send(t, q).wantFailure(t, 403, contacts.CodePermissionDenied)
			q.key = s.writer
			s.send(t, q).wantFailure(t, 400, contacts.CodeValidationError, "Idempotency-Key")
			q.body = "{" // is not judged
			s.send(t, q).wantFailure(t, 400, contacts.CodeValidationError, "Idempotency-Key")
			q.path = api + "/contacts/upsert"
			s.send(t, q).wantFailure(t, 400, contacts.CodeValidationError, "Idempotency-Key")
		})
	}
	t.Run("batch", func(t *testing.T) {
		t.Parallel()
		s.send(t, ask{method: "POST", path: api + "/contacts/batch", key: s.writer, body: `{"contacts": []}`, header: header("Idempotency-Key", "a")}).
			wantFailure(t, 400, contacts.CodeValidationError, "Idempotency-Key")
	})
	t.Run("ignored", func(t *testing.T) {
		t.Parallel()
		id := s.create(t, s.writer, `{"first_name": "J"}`)
		for _, q := range everyRoute(id) {
			if strings.HasSuffix(q.path, "/create") || strings.HasSuffix(q.path, "/batch") || q.method == "DELETE" {
				continue
			}
			q.key, q.header = s.writer, header("Idempotency-Key", "a", "Idempotency-Key", `"`)
			s.want(t, 200, q)
		}
	})
}

func TestConcurrentCreatesWithOneKey(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	const callers = 64
	replies := make([]reply, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			replies[i] = s.send(t, ask{method: "POST", path: api + "/contacts/create", key: s.writer, body: documented, header: header("Idempotency-Key", `"one"`)})
		})
	}
	wg.Wait()
	fresh := 0
	for _, r := range replies {
		if r.status != 201 || r.body != replies[0].body || r.header.Get("Location") != replies[0].header.Get("Location") {
			t.Fatalf("%d %s\nand another got\n%s", r.status, r.body, replies[0].body)
		}
		if r.header.Get("Idempotency-Replayed") == "" {
			fresh++
		}
	}
	list := s.want(t, 200, ask{path: api + "/contacts", key: s.reader})
	if n := decode[struct{ Count int }](t, list.body).Count; n != 1 || fresh != 1 {
		t.Errorf("%d contacts, %d answers without replay, want one of each", n, fresh)
	}
}
