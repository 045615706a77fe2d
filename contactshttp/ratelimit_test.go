package contactshttp_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		panicked := s.send(t, ask{path: api + "/contacts", key: s.reader})
		panicked.wantFailure(t, 500, contacts.CodeServerError)
		if got := panicked.header.Get("RateLimit"); got != `"default";r=0;t=30` {
			t.Errorf("the answer after a panic has RateLimit %q", got)
		}
		s.send(t, ask{path: api + "/contacts", key: s.reader}).wantLimited(t, "30")
	})
}

// take takes a token of a limiter and fails the test if that is an error.
func take(t testing.TB, l contactshttp.Limiter, key string) contactshttp.Quota {
	t.Helper()
	q, err := l.Take(t.Context(), sha256.Sum256([]byte(key)))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func done(t testing.TB, l contactshttp.Limiter, key string, code contacts.Code) {
	l.Done(t.Context(), sha256.Sum256([]byte(key)), code)
}

func TestLimiterForgetsKeys(t *testing.T) {
	t.Parallel()
	c := &clock{t: time.Unix(0, 0)}
	l := contactshttp.NewLimiter(60, c.now)
	for i := range 10_000 {
		key := fmt.Sprint("made up ", i)
		take(t, l, key)
		done(t, l, key, contacts.CodeInvalidKey)
	}
	if n := contactshttp.Buckets(l); n != 0 {
		t.Errorf("%d buckets of keys that were not accepted, want none", n)
	}
	for i := range 10_000 {
		key := fmt.Sprint("accepted ", i)
		take(t, l, key)
		done(t, l, key, "")
		c.move(100 * time.Millisecond)
	}
	if n := contactshttp.Buckets(l); n > 1024 {
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
			clock := &clock{t: time.Unix(0, 0)}
			l := contactshttp.NewLimiter(3, clock.now)
			take(t, l, key)
			take(t, l, key)
			done(t, l, key, c.first)
			if n := contactshttp.Buckets(l); n != 1 {
				t.Fatalf("%d buckets with a request under way, want 1", n)
			}
			// From the same bucket, which is empty then.
			if third, fourth := take(t, l, key), take(t, l, key); third.Refused || !fourth.Refused {
				t.Errorf("the bucket of a request under way was filled up")
			}
			done(t, l, key, contacts.CodeServerError)
			done(t, l, key, c.second)
			if n := contactshttp.Buckets(l); n != c.kept {
				t.Errorf("%d buckets at the end, want %d", n, c.kept)
			}
			done(t, l, key, contacts.CodeInvalidKey) // without a Take: it does nothing
			if n := contactshttp.Buckets(l); n != c.kept {
				t.Errorf("%d buckets after one Done too many, want %d", n, c.kept)
			}
			clock.move(time.Minute)
			if q := take(t, l, key); !q.Refused {
				done(t, l, key, contacts.CodeInvalidKey)
				if n := contactshttp.Buckets(l); n != 0 {
					t.Errorf("%d buckets after the key was refused, want none", n)
				}
			}
		})
	}
	t.Run("in a sweep", func(t *testing.T) {
		t.Parallel()
		c := &clock{t: time.Unix(0, 0)}
		l := contactshttp.NewLimiter(60, c.now)
		take(t, l, key)
		c.move(time.Hour) // its bucket is full again
		for i := range 2000 {
			key := fmt.Sprint("accepted ", i)
			take(t, l, key)
			done(t, l, key, "")
			c.move(time.Second)
		}
		before := contactshttp.Buckets(l)
		if before > 1024 {
			t.Fatalf("%d buckets: there was no sweep", before)
		}
		done(t, l, key, contacts.CodeInvalidKey)
		if n := contactshttp.Buckets(l); n != before-1 {
			t.Errorf("%d buckets, want one less than %d", n, before)
		}
	})
}

// TestLimiterWithAClockThatGoesBack: time stands still meanwhile, and then goes on.
func TestLimiterWithAClockThatGoesBack(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{time.Second, time.Hour, 24 * 365 * time.Hour} {
		s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 3}})
		list := ask{path: api + "/contacts", key: s.reader}
		s.want(t, 200, list)
		s.clock.move(-back)
		s.want(t, 200, list)
		s.want(t, 200, list)
		s.send(t, list).wantLimited(t, "20")
		s.clock.move(-back)
		s.send(t, list).wantLimited(t, "20")
		s.clock.move(20 * time.Second)
		s.want(t, 200, list)
		s.send(t, list).wantLimited(t, "20")
	}
}

func TestQuotaIsShown(t *testing.T) {
	t.Parallel()
	s := newWorld(t, &settings{handler: &contactshttp.Options{RateLimit: 3}})
	list := ask{path: api + "/contacts", key: s.reader}
	want := func(q ask, status int, policy, limit string) {
		t.Helper()
		got := s.want(t, status, q)
		if p, l := got.header.Get("RateLimit-Policy"), got.header.Get("RateLimit"); p != policy || l != limit {
			t.Errorf("%s: RateLimit-Policy %s, RateLimit %s; want %s, %s", q, p, l, policy, limit)
		}
	}
	const policy = `"default";q=3;w=60`
	want(list, 200, policy, `"default";r=2;t=20`)
	s.clock.move(12 * time.Second)
	want(ask{path: api + "/contacts?x=1", key: s.reader}, 400, policy, `"default";r=1;t=8`)
	want(ask{method: "DELETE", path: api + "/contacts/x", key: s.reader}, 403, policy, `"default";r=0;t=8`)
	want(list, 429, policy, `"default";r=0;t=8`)
	want(ask{path: api + "/contacts", key: s.writer}, 200, policy, `"default";r=2;t=20`)
	want(ask{path: api + "/contacts", key: s.revoked}, 401, "", "") // the quota of a key that is none says nothing
	want(ask{path: api + "/contacts"}, 401, "", "")
	want(ask{path: api + "/openapi.json"}, 200, "", "")
	for _, many := range []int{7, 1_000_000, 1 << 40} {
		q := take(t, contactshttp.NewLimiter(many, s.clock.now), "k")
		if q.Refused || q.Limit != many || q.Remaining != many-1 {
			t.Errorf("%d a minute: %+v", many, q)
		}
	}
}

// A sharedLimiter counts for several handlers. It keeps what it was told.
type sharedLimiter struct {
	mu    sync.Mutex
	quota contactshttp.Quota
	err   error
	ended []string
}

func (l *sharedLimiter) Take(_ context.Context, key [sha256.Size]byte) (contactshttp.Quota, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, fmt.Sprintf("%x", key[:4]))
	return l.quota, l.err
}

func (l *sharedLimiter) Done(_ context.Context, key [sha256.Size]byte, code contacts.Code) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, fmt.Sprintf("%x %s", key[:4], code))
}

func TestLimiterOfTheHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		quota  contactshttp.Quota
		err    error
		key    func(*world) string
		status int
		ended  string // the code that Done got; "-": none
		shown  string
		after  string
	}{
		{"lets through and says nothing", contactshttp.Quota{}, nil, func(s *world) string { return s.reader }, 200, "", "", ""},
		{"lets through", contactshttp.Quota{Limit: 5, Window: time.Hour, Remaining: 4, Reset: 90 * time.Second}, nil,
			func(s *world) string { return s.reader }, 200, "", `"default";q=5;w=3600 "default";r=4;t=90`, ""},
		{"refuses", contactshttp.Quota{Refused: true, Limit: 5, Window: time.Hour, Reset: 1500 * time.Millisecond}, nil,
			func(s *world) string { return s.reader }, 429, "-", `"default";q=5;w=3600 "default";r=0;t=2`, "2"},
		{"refuses without a reason", contactshttp.Quota{Refused: true}, nil, func(s *world) string { return s.reader }, 429, "-", "", "1"},
		{"cannot tell", contactshttp.Quota{}, errors.New("no route to 10.0.0.7"), func(s *world) string { return s.reader }, 500, "-", "", ""},
		{"a key that is none", contactshttp.Quota{Limit: 5, Window: time.Hour}, nil, func(s *world) string { return s.revoked }, 401, "invalid_key", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var book logbook
			l := &sharedLimiter{quota: c.quota, err: c.err}
			s := newWorld(t, &settings{handler: &contactshttp.Options{Limiter: l, RateLimit: 1, Logger: book.logger()}})
			key := c.key(s)
			for range 2 { // RateLimit is not asked
				got := s.want(t, c.status, ask{path: api + "/contacts", key: key})
				shown := strings.TrimSpace(got.header.Get("RateLimit-Policy") + " " + got.header.Get("RateLimit"))
				if shown != c.shown || got.header.Get("Retry-After") != c.after {
					t.Errorf("shown %q, Retry-After %q; want %q, %q", shown, got.header.Get("Retry-After"), c.shown, c.after)
				}
			}
			hash := sha256.Sum256([]byte(key))
			taken := fmt.Sprintf("%x", hash[:4])
			want := []string{taken, taken + " " + c.ended, taken, taken + " " + c.ended}
			if c.ended == "-" {
				want = []string{taken, taken}
			}
			l.mu.Lock()
			if diff := cmp.Diff(want, l.ended); diff != "" {
				t.Errorf("the limiter was told (-want +got):\n%s", diff)
			}
			l.mu.Unlock()
			if logged := strings.Contains(book.String(), "level=ERROR msg=\"contactshttp: the limiter failed\" cause=\"no route to 10.0.0.7\""); logged != (c.err != nil) {
				t.Errorf("logged: %s", book.String())
			}
		})
	}
}

// A limiter that is asked over a network fails when the client goes away meanwhile.
func TestLimiterOfAClientThatIsGone(t *testing.T) {
	t.Parallel()
	var book logbook
	s := newWorld(t, nil)
	h := contactshttp.NewHandler(s.svc, &contactshttp.Options{Limiter: &sharedLimiter{err: context.Canceled}, Logger: book.logger()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", api+"/contacts", nil)
	r.Header.Set("X-API-Key", s.reader)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if log := book.String(); !strings.Contains(log, `level=INFO msg="contactshttp: the limiter failed"`) || strings.Contains(log, "level=ERROR") {
		t.Errorf("logged: %s", log)
	}
}
