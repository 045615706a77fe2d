package contactshttp

import (
	"crypto/sha256"
	"sync"
	"time"

	"example.com/contacts"
)

// A limiter has a bucket of tokens for each key. Each request takes a token, and a
// bucket fills up evenly in a minute. The limiter keeps the buckets of keys that
// the service accepted, until they are full, and those of requests under way.
// Made-up keys do not fill its memory. It is safe for concurrent use.
type limiter struct {
	interval time.Duration // between two tokens
	window   time.Duration // until an empty bucket is full
	now      func() time.Time

	mu      sync.Mutex
	buckets map[[sha256.Size]byte]*bucket // by the hash of their key
	sweepAt int                           // how many buckets start a sweep
}

// A bucket holds the tokens of one key. A full bucket says no more than none.
type bucket struct {
	full     time.Time // when it is full again
	pending  int       // requests under way
	accepted bool      // by the service, when it last judged the key
}

// minSweep is the number of buckets below which no sweep is worth its time.
const minSweep = 1024

func newLimiter(perMinute int, now func() time.Time) *limiter {
	interval := time.Minute / time.Duration(perMinute)
	return &limiter{
		interval: interval,
		window:   interval * time.Duration(perMinute),
		now:      now,
		buckets:  make(map[[sha256.Size]byte]*bucket),
		sweepAt:  minSweep,
	}
}

// A token belongs to a request under way.
type token struct {
	limiter *limiter
	key     [sha256.Size]byte
}

// take takes a token; the caller must call done. Without a token left, take returns
// nil and the time until there is one.
func (l *limiter) take(key string) (*token, time.Duration) {
	hash := sha256.Sum256([]byte(key))
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[hash]
	if b == nil {
		l.sweep(now)
		b = &bucket{full: now}
		l.buckets[hash] = b
	}
	full := b.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(l.interval)
	if wait := full.Sub(now) - l.window; wait > 0 {
		return nil, wait
	}
	b.full = full
	b.pending++
	return &token{l, hash}, 0
}

// done ends the request, with its code. The last request of a key that was not
// accepted removes the bucket.
func (t *token) done(code contacts.Code) {
	l := t.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[t.key]
	b.pending--
	switch code {
	case contacts.CodeAuthenticationRequired, contacts.CodeInvalidKey:
		b.accepted = false
	case contacts.CodeServerError: // it says nothing about the key
	default:
		b.accepted = true
	}
	if !b.accepted && b.pending == 0 {
		delete(l.buckets, t.key)
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
