package contactshttp

import (
	"crypto/sha256"
	"sync"
	"time"

	"example.com/contacts"
)

// A limiter counts the requests of each key: a bucket of tokens, of which each
// request takes one, and which fills up evenly in a minute. It holds buckets of
// keys that the service has accepted, until they are full again, and of those of
// requests under way: nobody fills its memory with keys that are made up. Its
// methods may be called from many goroutines at once.
type limiter struct {
	interval time.Duration // until there is one token more
	window   time.Duration // until an empty bucket is full
	now      func() time.Time

	mu      sync.Mutex
	buckets map[[sha256.Size]byte]*bucket // by the hash of their key
	sweepAt int                           // how many buckets make it look for full ones
}

// A bucket is that of one key. One that is full is as good as none.
type bucket struct {
	full     time.Time // when it is full again
	pending  int       // requests under way
	accepted bool      // whether the service accepted the key when it was last asked
}

// minSweep is how many buckets are no burden.
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

// A token is what a request took out of its bucket.
type token struct {
	limiter *limiter
	key     [sha256.Size]byte
}

// take takes a token, which must be settled. If there is none, it returns nil
// and how long it takes until there is one.
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

// settle says how the request ended, by its code. The bucket of a key that was
// not accepted goes with the last of its requests.
func (t *token) settle(code contacts.Code) {
	l := t.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[t.key]
	b.pending--
	switch code {
	case contacts.CodeAuthenticationRequired, contacts.CodeInvalidKey:
		b.accepted = false
	case contacts.CodeServerError: // which says nothing about the key
	default:
		b.accepted = true
	}
	if !b.accepted && b.pending == 0 {
		delete(l.buckets, t.key)
	}
}

// sweep drops the buckets that are full, each time that their number has doubled.
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
