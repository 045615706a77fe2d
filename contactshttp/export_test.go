package contactshttp

// ParseIdempotencyKey is for tests.
var ParseIdempotencyKey = parseIdempotencyKey

// A ParsedTag is an entityTag.
type ParsedTag struct {
	Weak   bool
	Opaque string
}

// ParseEntityTags returns all tags of If-Match.
func ParseEntityTags(values []string) (tags []ParsedTag, star, ok bool) {
	if isStar(values) {
		return nil, true, true
	}
	for t, ok := range entityTags(values) {
		if !ok {
			return nil, false, false
		}
		tags = append(tags, ParsedTag{t.weak, t.opaque})
	}
	return tags, false, len(tags) > 0
}

// VersionOf is for tests.
func VersionOf(t ParsedTag) (int64, bool) { return entityTag{t.Weak, t.Opaque}.version() }

// Display is for tests.
var Display = display

// Buckets returns the number of buckets of a limiter that NewLimiter returned.
func Buckets(l Limiter) int {
	b := l.(*limiter)
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.buckets)
}
