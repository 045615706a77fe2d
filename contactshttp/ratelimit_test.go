package contactshttp_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
)

// wantLimited fails the test unless the reply is a 429 with that Retry-After.
func (r reply) wantLimited(t testing.TB, after string) {
	t.Helper()
	r.wantFailure(t, 429, contactshttp.CodeRateLimitExceeded)
	if got := r.header.Get("Retry-After"); got != after {
		t.Errorf("Retry-After: %q, want %q", got, after)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 60}})
	list := func(key string) reply { return s.send(t, ask{path: api + "/contacts?limit=1", key: key}) }
	for i := range 60 {
		if got := list(s.reader); got.status != 200 {
			t.Fatalf("request %d: %d %s", i, got.status, got.body)
		}
	}
	list(s.reader).wantLimited(t, "1")
	// The limit holds for every route, and for a key in any place.
	s.send(t, ask{method: "POST", path: api + "/contacts/create", body: "{", header: header("X-API-Key", s.reader, "Content-Type", "text/plain")}).wantLimited(t, "1")
	if got := list(s.writer); got.status != 200 {
		t.Errorf("another key: %d %s", got.status, got.body)
	}
	// A request that needs no key needs no token.
	s.want(t, 200, ask{path: api + "/openapi.json", key: s.reader})
	s.want(t, 204, ask{method: "OPTIONS", path: api + "/contacts", key: s.reader})
	s.send(t, ask{path: api + "/nothing", key: s.reader}).wantFailure(t, 404, contacts.CodeNotFound)
	s.send(t, ask{method: "PUT", path: api + "/contacts", key: s.reader}).wantFailure(t, 405, contactshttp.CodeMethodNotAllowed)

	s.clock.move(999 * time.Millisecond)
	list(s.reader).wantLimited(t, "1")
	s.clock.move(time.Millisecond)
	s.want(t, 200, ask{path: api + "/contacts", key: s.reader})
	list(s.reader).wantLimited(t, "1")
	s.clock.move(time.Hour) // a bucket holds no more than one minute
	for range 60 {
		list(s.reader)
	}
	list(s.reader).wantLimited(t, "1")

	// Requests without a valid key are not counted.
	for range 100 {
		s.send(t, ask{path: api + "/contacts", key: s.revoked}).wantFailure(t, 401, contacts.CodeInvalidKey)
		s.send(t, ask{path: api + "/contacts"}).wantFailure(t, 401, contacts.CodeAuthenticationRequired)
	}
	// Refused requests with a valid key are counted.
	for range 60 {
		s.send(t, ask{method: "POST", path: api + "/contacts/create", key: s.powerless, body: "x"}).wantFailure(t, 403, contacts.CodePermissionDenied)
	}
	list(s.powerless).wantLimited(t, "1")
	for range 60 {
		s.send(t, ask{method: "POST", path: api + "/contacts/create", key: s.limited, body: "x", header: header("Content-Type", "text/plain")}).
			wantFailure(t, 415, contactshttp.CodeUnsupportedMediaType)
	}
	list(s.limited).wantLimited(t, "1")
}

func TestRateLimitOfOne(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 1}})
	list := ask{path: api + "/contacts", key: s.reader}
	s.want(t, 200, list)
	s.send(t, list).wantLimited(t, "60")
	s.clock.move(59*time.Second + time.Nanosecond)
	s.send(t, list).wantLimited(t, "1")
	s.clock.move(time.Second)
	s.want(t, 200, list)
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

func TestConcurrentRequestsKeepToTheRateLimit(t *testing.T) {
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
		t.Errorf("%d through, %d refused, want 10 and 30", through.Load(), refused.Load())
	}
}

// A panickingAuthenticator panics for every key.
type panickingAuthenticator struct{}

func (panickingAuthenticator) Authenticate(context.Context, string) (*contacts.Principal, error) {
	panic("out of order")
}

func TestRateLimitAfterPanics(t *testing.T) {
	t.Parallel()
	t.Run("of a key that was never accepted", func(t *testing.T) {
		t.Parallel()
		s := newWorld(t, &settings{
			service: &contacts.Options{Authenticator: panickingAuthenticator{}},
			handler: &contactshttp.Options{RateLimit: 1},
		})
		for range 3 { // none is counted
			s.send(t, ask{path: api + "/contacts", key: "made-up"}).wantFailure(t, 500, contacts.CodeServerError)
		}
	})
	t.Run("of a key that was accepted", func(t *testing.T) {
		t.Parallel()
		s := newWorld(t, &settings{
			handler: &contactshttp.Options{RateLimit: 2},
			wrap:    func(store contacts.Store) contacts.Store { return &brokenStore{Store: store, value: "broken"} },
		})
		s.send(t, ask{path: api + "/contacts?limit=0", key: s.reader}).wantFailure(t, 400, contacts.CodeValidationError)
		s.send(t, ask{path: api + "/contacts", key: s.reader}).wantFailure(t, 500, contacts.CodeServerError)
		s.send(t, ask{path: api + "/contacts", key: s.reader}).wantLimited(t, "30")
	})
}

func TestLimiterForgetsKeys(t *testing.T) {
	t.Parallel()
	c := &clock{t: time.Unix(0, 0)}
	l := contactshttp.NewLimiter(60, c.now)
	for i := range 10_000 {
		token, _ := l.Take(fmt.Sprint("made up ", i))
		token.Done(contacts.CodeInvalidKey)
	}
	if n := l.Buckets(); n != 0 {
		t.Errorf("%d buckets of keys that were not accepted, want none", n)
	}
	for i := range 10_000 {
		token, _ := l.Take(fmt.Sprint("accepted ", i))
		token.Done("")
		c.move(100 * time.Millisecond)
	}
	if n := l.Buckets(); n > 1024 {
		t.Errorf("%d buckets, of which all but 10 are full; want at most 1024", n)
	}
}

func TestLimiterKeepsBucketsInUse(t *testing.T) {
	t.Parallel()
	const key = "k"
	for _, c := range []struct {
		name          string
		first, second contacts.Code
		kept          int
	}{
		{"no request accepted", contacts.CodeInvalidKey, contacts.CodeInvalidKey, 0},
		{"the first accepted", "", contacts.CodeInvalidKey, 0},
		{"the second accepted", contacts.CodeInvalidKey, "", 1},
		{"both accepted", "", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := contactshttp.NewLimiter(3, (&clock{t: time.Unix(0, 0)}).now)
			first, _ := l.Take(key)
			second, _ := l.Take(key)
			first.Done(c.first)
			if n := l.Buckets(); n != 1 {
				t.Fatalf("%d buckets with a request under way, want 1", n)
			}
			third, _ := l.Take(key) // from the same bucket, which is empty then
			if fourth, _ := l.Take(key); third == nil || fourth != nil {
				t.Errorf("the bucket of a request under way was filled up")
			}
			third.Done(contacts.CodeServerError)
			second.Done(c.second)
			if n := l.Buckets(); n != c.kept {
				t.Errorf("%d buckets at the end, want %d", n, c.kept)
			}
		})
	}
	t.Run("in a sweep", func(t *testing.T) {
		t.Parallel()
		c := &clock{t: time.Unix(0, 0)}
		l := contactshttp.NewLimiter(60, c.now)
		slow, _ := l.Take(key)
		c.move(time.Hour) // its bucket is full again
		for i := range 2000 {
			token, _ := l.Take(fmt.Sprint("accepted ", i))
			token.Done("")
			c.move(time.Second)
		}
		before := l.Buckets()
		if before > 1024 {
			t.Fatalf("%d buckets: there was no sweep", before)
		}
		slow.Done(contacts.CodeInvalidKey)
		if n := l.Buckets(); n != before-1 {
			t.Errorf("%d buckets, want one less than %d", n, before)
		}
	})
}
