package contactshttp

import (
	"time"

	"example.com/contacts"
)

// ParseIdempotencyKey is for tests.
var ParseIdempotencyKey = parseIdempotencyKey

// ParsedTag is an entityTag.
type ParsedTag struct {
	Weak   bool
	Opaque string
}

// ParseEntityTags is for tests.
func ParseEntityTags(values []string) (tags []ParsedTag, star, ok bool) {
	parsed, star, ok := parseEntityTags(values)
	for _, t := range parsed {
		tags = append(tags, ParsedTag{t.weak, t.opaque})
	}
	return tags, star, ok
}

// VersionOf is for tests.
func VersionOf(t ParsedTag) (int64, bool) { return entityTag{t.Weak, t.Opaque}.version() }

// Display is for tests.
var Display = display

// A Limiter is a limiter, for tests.
type Limiter struct{ *limiter }

// NewLimiter is for tests.
func NewLimiter(perMinute int, now func() time.Time) Limiter {
	return Limiter{newLimiter(perMinute, now)}
}

// Take takes a token, and returns nil and how long to wait where there is none.
func (l Limiter) Take(key string) (*token, time.Duration) { return l.take(key) }

// Settle is settle.
func (t *token) Settle(code contacts.Code) { t.settle(code) }

// Buckets returns how many buckets the limiter holds.
func (l Limiter) Buckets() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}
