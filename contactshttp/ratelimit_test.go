package contactshttp_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
)

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 60}})
	list := func(key string) reply { return s.send(t, ask{path: api + "/contacts?limit=1", key: key}) }
	limited := func(r reply, after string) {
		t.Helper()
		r.wantFailure(t, 429, contactshttp.CodeRateLimitExceeded)
		if got := r.header.Get("Retry-After"); got != after {
			t.Errorf("Retry-After: %q, want %q", got, after)
		}
	}
	for i := range 60 {
		if got := list(s.reader); got.status != 200 {
			t.Fatalf("request %d: %d %s", i, got.status, got.body)
		}
	}
	limited(list(s.reader), "1")
	// What comes too often counts on every route, and wherever the key is.
	limited(s.send(t, ask{method: "POST", path: api + "/contacts/create", body: "{", header: header("X-API-Key", s.reader, "Content-Type", "text/plain")}), "1")
	if got := list(s.writer); got.status != 200 {
		t.Errorf("another key: %d %s", got.status, got.body)
	}
	// What needs no key needs no token.
	s.want(t, 200, ask{path: api + "/openapi.json", key: s.reader})
	s.want(t, 204, ask{method: "OPTIONS", path: api + "/contacts", key: s.reader})
	s.send(t, ask{path: api + "/nothing", key: s.reader}).wantFailure(t, 404, contacts.CodeNotFound)
	s.send(t, ask{method: "PUT", path: api + "/contacts", key: s.reader}).wantFailure(t, 405, contactshttp.CodeMethodNotAllowed)

	s.clock.move(999 * time.Millisecond)
	limited(list(s.reader), "1")
	s.clock.move(time.Millisecond)
	s.want(t, 200, ask{path: api + "/contacts", key: s.reader})
	limited(list(s.reader), "1")
	s.clock.move(time.Hour) // no more than a full bucket
	for range 60 {
		list(s.reader)
	}
	limited(list(s.reader), "1")

	// Keys that are not accepted are not counted, and neither is no key.
	for range 100 {
		s.send(t, ask{path: api + "/contacts", key: s.revoked}).wantFailure(t, 401, contacts.CodeInvalidKey)
		s.send(t, ask{path: api + "/contacts"}).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
	}
	// Requests that are refused are.
	for range 60 {
		s.send(t, ask{method: "POST", path: api + "/contacts/create", key: s.powerless, body: "x"}).wantFailure(t, 403, contacts.CodePermissionDenied)
	}
	limited(list(s.powerless), "1")
	for range 60 {
		s.send(t, ask{method: "POST", path: api + "/contacts/create", key: s.limited, body: "x", header: header("Content-Type", "text/plain")}).
			wantFailure(t, 415, contactshttp.CodeUnsupportedMediaType)
	}
	limited(list(s.limited), "1")
}

func TestSlowRateLimit(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 1}})
	s.want(t, 200, ask{path: api + "/contacts", key: s.reader})
	for wait, after := range map[time.Duration]string{0: "60"} {
		s.clock.move(wait)
		got := s.send(t, ask{path: api + "/contacts", key: s.reader})
		if got.status != 429 || got.header.Get("Retry-After") != after {
			t.Errorf("%d, Retry-After: %s", got.status, got.header.Get("Retry-After"))
		}
	}
	s.clock.move(59*time.Second + time.Nanosecond)
	if got := s.send(t, ask{path: api + "/contacts", key: s.reader}); got.header.Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After: %s", got.status, got.header.Get("Retry-After"))
	}
	s.clock.move(time.Second)
	s.want(t, 200, ask{path: api + "/contacts", key: s.reader})
}

func TestNoRateLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, -1} {
		s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: limit}})
		for range 100 {
			s.want(t, 200, ask{path: api + "/contacts", key: s.reader})
		}
	}
}

// TestConcurrentRateLimit lets a crowd come with a key that was never seen: no
// more get through than may.
func TestConcurrentRateLimit(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 10}})
	var through, refused atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			switch got := s.send(t, ask{path: api + "/contacts", key: s.reader}); got.status {
			case http.StatusOK:
				through.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	if through.Load() != 10 || refused.Load() != 30 {
		t.Errorf("%d through, %d refused", through.Load(), refused.Load())
	}
}

func TestLimiterMemory(t *testing.T) {
	t.Parallel()
	c := &clock{t: time.Unix(0, 0)}
	l := contactshttp.NewLimiter(60, c.now)
	for i := range 10_000 { // keys that are made up
		token, _ := l.Take(fmt.Sprint("made up ", i))
		token.Settle(contacts.CodeInvalidKey)
	}
	if n := l.Buckets(); n != 0 {
		t.Errorf("%d buckets of keys that were not accepted", n)
	}
	for i := range 10_000 { // keys that are accepted, such as tokens of a host's own
		token, _ := l.Take(fmt.Sprint("accepted ", i))
		token.Settle("")
		c.move(100 * time.Millisecond)
	}
	if n := l.Buckets(); n > 1024 {
		t.Errorf("%d buckets, of which 10 are not full", n)
	}

	// One that is under way is never dropped, nor one that is revoked meanwhile
	// before the last of its requests has ended.
	first, _ := l.Take("k")
	second, _ := l.Take("k")
	before := l.Buckets()
	first.Settle("")
	second.Settle(contacts.CodeInvalidKey)
	if n := l.Buckets(); n != before-1 {
		t.Errorf("%d buckets, want one less than %d", n, before)
	}
}
