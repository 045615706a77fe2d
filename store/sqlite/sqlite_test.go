//go:build cgo && unix

package sqlite_test

import (
	"sync"
	"testing"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
	"example.com/contacts/store/storetest"
)

// harness makes stores by the plan, in files that path names.
func harness(plan *sqlite.Plan, path func(testing.TB) string) storetest.Harness {
	var paths sync.Map // of the stores, by store: cases run in parallel
	open := func(t testing.TB, path string) *sqlite.Store {
		s := mustOpen(t, plan, path)
		paths.Store(s, path)
		return s
	}
	second := func(t testing.TB, s contacts.Store) *sqlite.Store {
		path, _ := paths.Load(s)
		return open(t, path.(string))
	}
	return storetest.Harness{
		New: func(t testing.TB) contacts.Store { return open(t, path(t)) },
		Reopen: func(t testing.TB, s contacts.Store) contacts.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return second(t, s)
		},
		Second: func(t testing.TB, s contacts.Store) contacts.Store { return second(t, s) },
		ReadOnly: func(t testing.TB, s contacts.Store) contacts.Store {
			r := second(t, s)
			err := r.Writing(func(c *sqlite3.SQLiteConn) error {
				_, err := c.Exec("PRAGMA query_only = ON", nil)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return r
		},
	}
}

func TestStore(t *testing.T) { storetest.Run(t, harness(sqlite.NewPlan(), storePath)) }

// The contract holds if nothing shares a transaction, a list has many parts, and
// the look-ups come in short runs.
func TestStoreInSmallParts(t *testing.T) {
	longtest.SkipShort(t)
	plan := sqlite.NewPlan().MaxPerTransaction(1).WalkPart(2).MaxLookupHits(0).RunLength(10)
	storetest.Run(t, harness(plan, storePath))
}

// The benchmark is on a disk: a write waits for its sync.
func BenchmarkStore(b *testing.B) { storetest.Bench(b, harness(sqlite.NewPlan(), diskPath)) }
