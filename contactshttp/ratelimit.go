package contactshttp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"time"

	"example.com/contacts"
)

// A Limiter limits how many requests each API key may make. [NewLimiter] returns
// one for a single process. A program that runs on several machines implements one
// that they share. It must be safe for concurrent use.
type Limiter interface {
	// Take counts a request with a key before it is made. key is the SHA-256 of
	// the API key, which the service may not accept. An error is a server error
	// for the client, and is logged. To let requests through while a shared
	// counter cannot be reached, return the zero Quota.
	Take(ctx context.Context, key [sha256.Size]byte) (Quota, error)

	// Done ends a request that Take did not refuse, with the code of its error, or
	// "". With [contacts.CodeInvalidKey] the service does not accept the key, so a
	// limiter need not remember it. ctx may be done.
	Done(ctx context.Context, key [sha256.Size]byte, code contacts.Code)
}

// A Quota is what a [Limiter] says of a key after it has counted a request. The zero
// value lets the request through and says nothing to the client.
type Quota struct {
	Refused   bool          // the request is over the limit: CodeRateLimitExceeded
	Limit     int           // requests in a window; 0: the client is not told
	Window    time.Duration // of Limit, in whole seconds
	Remaining int           // requests that the key may still make at once
	Reset     time.Duration // until it may make one more than that
}

// setHeaders adds the headers of draft-ietf-httpapi-ratelimit-headers.
func (q *Quota) setHeaders(h http.Header) {
	if q.Limit > 0 {
		h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=%d`, q.Limit, seconds(q.Window)))
		h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=%d`, q.Remaining, seconds(q.Reset)))
	}
}

// seconds returns the time in whole seconds, rounded up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// NewLimiter returns the [Limiter] of Options.RateLimit, for a host that wraps it or
// shares it between handlers. perMinute is at least 1. A nil now means time.Now.
//
// It has a bucket of tokens for each key. Each request takes a token, and a bucket
// fills up evenly in a minute. The limiter keeps the buckets of keys that the
// service accepted, until they are full, and those of requests under way. Made-up
// keys do not fill its memory. It has nothing to close.
func NewLimiter(perMinute int, now func() time.Time) Limiter {
	if now == nil {
		now = time.Now
	}
	perMinute = max(perMinute, 1)
	interval := max(time.Minute/time.Duration(perMinute), 1)
	return &limiter{
		perMinute: perMinute,
		interval:  interval,
		window:    interval * time.Duration(perMinute),
		clock:     now,
		buckets:   make(map[[sha256.Size]byte]*bucket),
		sweepAt:   minSweep,
	}
}

// A limiter is what NewLimiter returns.
type limiter struct {
	perMinute int
	interval  time.Duration // between two tokens
	window    time.Duration // until an empty bucket is full
	clock     func() time.Time

	mu      sync.Mutex
	last    time.Time     // of the clock
	back    time.Duration // how far the clock has gone back, in all
	buckets map[[sha256.Size]byte]*bucket
	sweepAt int // how many buckets start a sweep
}

// A bucket holds the tokens of one key. A full bucket says no more than none.
type bucket struct {
	full     time.Time // when it is full again
	pending  int       // requests under way
	accepted bool      // by the service, when it last judged the key
}

// minSweep is the number of buckets below which no sweep is worth its time.
const minSweep = 1024

// now returns a time that never goes back. While the clock goes back, it stands
// still. Otherwise a bucket that was filled before would take as long to fill again.
func (l *limiter) now() time.Time {
	t := l.clock()
	l.back += max(l.last.Sub(t), 0)
	l.last = t
	return t.Add(l.back)
}

// Take implements [Limiter].
func (l *limiter) Take(_ context.Context, key [sha256.Size]byte) (Quota, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.buckets[key]
	if b == nil {
		l.sweep(now)
		b = &bucket{full: now}
		l.buckets[key] = b
	}
	used := max(b.full.Sub(now), 0) + l.interval
	q := Quota{Refused: used > l.window, Limit: l.perMinute, Window: time.Minute}
	if q.Refused {
		q.Reset = used - l.window
		return q, nil
	}
	b.full = now.Add(used)
	b.pending++
	left := l.window - used
	q.Remaining = int(left / l.interval)
	q.Reset = l.interval - left%l.interval
	return q, nil
}

// Done implements [Limiter]. The last request of a key that was not accepted removes
// the bucket.
func (l *limiter) Done(_ context.Context, key [sha256.Size]byte, code contacts.Code) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil || b.pending == 0 {
		return // there was no Take
	}
	b.pending--
	switch code {
	case contacts.CodeAuthenticationRequired, contacts.CodeInvalidKey:
		b.accepted = false
	case contacts.CodeServerError: // it says nothing about the key
	default:
		b.accepted = true
	}
	if !b.accepted && b.pending == 0 {
		delete(l.buckets, key)
	}
}

// sweep removes the full buckets, each time that the number of buckets has doubled.
func (l *limiter) sweep(now time.Time) {
	if len(l.buckets) < l.sweepAt {
		return
	}
	for key, b := range l.buckets {
		if b.pending == 0 && !b.full.After(now) {
			delete(l.buckets, key)
		}
	}
	l.sweepAt = max(minSweep, 2*len(l.buckets))
}
