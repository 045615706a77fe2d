//go:build cgo

package sqlite_test

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// A keyWorld is two stores on one file, and the result that each key was stored with.
type keyWorld struct {
	stores  [2]*sqlite.Store
	account uuid.UUID
	results map[[32]byte]string
	made    int // results, each of which is another
}

// batch returns mutations of nothing but their keys.
func (w *keyWorld) batch(keys []uint64) contacts.MutationBatch {
	b := contacts.MutationBatch{Now: noon}
	for _, key := range keys {
		w.made++
		i := &contacts.IdempotencyRecord{Result: fmt.Sprint(w.made), EndsAt: noon.Add(time.Hour)}
		binary.BigEndian.PutUint64(i.Key[:], key*0x9e3779b97f4a7c15) // in all parts of the range
		b.Mutations = append(b.Mutations, contacts.Mutation{AccountID: w.account, Idempotency: i})
	}
	return b
}

// told returns the results that the callers of a batch are told.
func told(rt *rapid.T, s *sqlite.Store, b contacts.MutationBatch) []string {
	outcomes, err := s.Apply(rt.Context(), b)
	if err != nil {
		rt.Errorf("Apply: %v", err)
	}
	results := make([]string, len(b.Mutations))
	for i := range results {
		results[i] = b.Mutations[i].Idempotency.Result
		if outcomes != nil && outcomes[i].Err != nil {
			rt.Errorf("mutation %d: %v", i, outcomes[i].Err)
		}
		if outcomes != nil && outcomes[i].Result != "" {
			results[i] = outcomes[i].Result
		}
	}
	return results
}

// want checks what the callers of a batch were told, and that all keep being told the
// same, unless the batch was a dry run.
func (w *keyWorld) want(rt *rapid.T, b contacts.MutationBatch, results []string) {
	for i, m := range b.Mutations {
		before, used := w.results[m.Idempotency.Key]
		switch {
		case used && results[i] != before:
			rt.Fatalf("mutation %d of %d: told %s, and another was told %s", i, len(results), results[i], before)
		case b.DryRun && !used && results[i] != m.Idempotency.Result:
			rt.Fatalf("mutation %d of %d: a dry run says %s for a new key", i, len(results), results[i])
		case !b.DryRun:
			w.results[m.Idempotency.Key] = results[i]
		}
	}
}

// Of the calls with one key one is stored, and all are told its result: through several
// stores on one file, in one transaction and in many, after batches that failed, in dry
// runs, and after reopening.
func TestEachKeyHasOneResult(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	rapid.Check(t, func(rt *rapid.T) {
		path := storePath(t)
		mustOpenAny := func() *sqlite.Store {
			return mustOpen(rt, sqlite.NewPlan().
				RecentHashes(rapid.SampledFrom([]int{0, 5, 40, 300}).Draw(rt, "recent")).
				MaxPerTransaction(rapid.SampledFrom([]int{3, 50, 1024}).Draw(rt, "maximum")), path)
		}
		w := &keyWorld{results: make(map[[32]byte]string)}
		for i := range w.stores {
			w.stores[i] = mustOpenAny()
		}
		defer func() {
			for _, s := range w.stores {
				if err := s.Close(); err != nil {
					rt.Error(err)
				}
			}
		}()
		w.account = mustAccount(t, w.stores[0])
		drawBatch := func() contacts.MutationBatch {
			first, step := uint64(w.made), rapid.Uint64Range(0, 3).Draw(rt, "step")
			if rapid.Bool().Draw(rt, "again") {
				first = rapid.Uint64Range(0, first).Draw(rt, "first")
			}
			keys := make([]uint64, rapid.SampledFrom([]int{1, 2, 15, 16, 40, 120, 260}).Draw(rt, "keys"))
			for i := range keys {
				keys[i] = first + uint64(i)*step
			}
			return w.batch(keys)
		}
		store := rapid.SampledFrom([]int{0, 1})
		rt.Repeat(map[string]func(*rapid.T){
			"batch": func(rt *rapid.T) {
				b := drawBatch()
				b.AllOrNothing = rapid.Bool().Draw(rt, "all or nothing")
				b.DryRun = rapid.Bool().Draw(rt, "dry run")
				w.want(rt, b, told(rt, w.stores[store.Draw(rt, "store")], b))
			},
			"batch that fails": func(rt *rapid.T) {
				b := drawBatch()
				b.AllOrNothing = true
				b.Mutations = append(b.Mutations, removalOf(newContact(w.account)))
				outcomes, err := w.stores[store.Draw(rt, "store")].Apply(rt.Context(), b)
				if err != nil || outcomes[len(outcomes)-1].Err == nil {
					rt.Fatalf("got %v, %v", outcomes, err)
				}
			},
			"many at a time": func(rt *rapid.T) {
				like := drawBatch()
				var batches []contacts.MutationBatch
				for range rapid.IntRange(2, 4).Draw(rt, "callers") {
					b := w.batch(make([]uint64, len(like.Mutations)))
					for i := range b.Mutations {
						b.Mutations[i].Idempotency.Key = like.Mutations[i].Idempotency.Key
					}
					batches = append(batches, b)
				}
				results := make([][]string, len(batches))
				var wg sync.WaitGroup
				for i, b := range batches {
					s := w.stores[store.Draw(rt, "store")]
					wg.Go(func() { results[i] = told(rt, s, b) })
				}
				wg.Wait()
				for i, b := range batches {
					w.want(rt, b, results[i])
				}
			},
			"reopen": func(rt *rapid.T) {
				i := store.Draw(rt, "store")
				if err := w.stores[i].Close(); err != nil {
					rt.Fatal(err)
				}
				w.stores[i] = mustOpenAny()
			},
		})
		if codes := checkCodes(t, w.stores[0], true); codes != nil {
			rt.Errorf("found %v", codes)
		}
	})
}
