package contactshttp

import (
	"time"

	"example.com/contacts"
)

// ParseIdempotencyKey is for tests.
var ParseIdempotencyKey = parseIdempotencyKey

// A ParsedTag is an entityTag.
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

// Take is take.
func (l Limiter) Take(key string) (*token, time.Duration) { return l.take(key) }

// Done is done.
func (t *token) Done(code contacts.Code) { t.done(code) }

// Buckets returns the number of buckets.
func (l Limiter) Buckets() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}
