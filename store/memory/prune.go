package memory

import (
	"bytes"
	"math"
	"slices"
	"time"

	"example.com/contacts"
)

const (
	maxPruned = 10_000 // how many records an Apply without mutations removes

	minPruneAt = 100 // fewer records are not worth the look
)

// prune removes what has ended from all accounts, up to maxPruned.
func (s *Store) prune(now time.Time) {
	left := maxPruned
	for _, a := range s.ordered {
		a.mu.Lock()
		left -= a.prune(now, left)
		a.mu.Unlock()
	}
}

// pruneIfDue removes what has ended whenever twice as many records are kept as
// were left the last time.
func (a *account) pruneIfDue(now time.Time) {
	if len(a.idempotency)+len(a.journal) >= a.pruneAt {
		a.prune(now, math.MaxInt)
		a.pruneAt = max(minPruneAt, 2*(len(a.idempotency)+len(a.journal)))
	}
}

// prune removes at most limit records that have ended and says how many. The
// same calls remove the same records.
func (a *account) prune(now time.Time, limit int) (n int) {
	until := now.Add(-contacts.ClockSkew)
	ended := make([]*contacts.IdempotencyRecord, 0, len(a.idempotency))
	for _, r := range a.idempotency {
		if !r.EndsAt.After(until) {
			ended = append(ended, r)
		}
	}
	slices.SortFunc(ended, func(x, y *contacts.IdempotencyRecord) int { return bytes.Compare(x.Key[:], y.Key[:]) })
	for _, r := range first(ended, limit) {
		delete(a.idempotency, r.Key)
		n++
	}
	newest, gone := a.newest(), make(map[[32]byte]bool)
	a.journal = slices.DeleteFunc(a.journal, func(e contacts.JournalEntry) bool {
		if n == limit || e.Kind != contacts.JournalEvent || e.EndsAt.IsZero() || e.EndsAt.After(until) || e.Sequence == newest {
			return false
		}
		gone[e.Subject] = true
		n++
		return true
	})
	a.forget(gone)
	return n
}
