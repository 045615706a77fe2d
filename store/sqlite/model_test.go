//go:build cgo

package sqlite_test

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/modeltest"
	"example.com/contacts/store/sqlite"
)

// Two stores on one file, in the middle of merging look-ups, do what the store in
// memory does. All lengths are drawn so short that something of each run is always
// in the middle.
func TestTwoStoresOnAFileDoWhatTheStoreInMemoryDoes(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path := storePath(t)
	modeltest.Run(t, func(rt *rapid.T) func(context.Context) (contacts.Store, error) {
		plan := sqlite.NewPlan().
			RunLength(rapid.IntRange(1, 20).Draw(rt, "run length")).
			CatchUpAfter(rapid.SampledFrom([]int{1, 5, 1000}).Draw(rt, "catch up after")).
			MaxLookupHits(rapid.SampledFrom([]int{0, 3, 1000}).Draw(rt, "lookup hits")).
			WalkPart(rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "walk part")).
			MaxPerTransaction(rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "transaction"))
		return func(ctx context.Context) (contacts.Store, error) { return plan.Open(ctx, path) }
	})
}
