//go:build cgo

package sqlite_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
	"example.com/contacts/store/storetest"
)

func harness() storetest.Harness {
	return harnessOf(func(ctx context.Context, path string) (*sqlite.Store, error) { return sqlite.Open(ctx, path, nil) })
}

func harnessOf(openStore func(context.Context, string) (*sqlite.Store, error)) storetest.Harness {
	var paths sync.Map // of the stores, by store: cases run in parallel
	open := func(t testing.TB, path string) contacts.Store {
		s, err := openStore(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		paths.Store(s, path)
		return s
	}
	second := func(t testing.TB, s contacts.Store) contacts.Store {
		path, _ := paths.Load(s)
		return open(t, path.(string))
	}
	return storetest.Harness{
		New: func(t testing.TB) contacts.Store {
			return open(t, filepath.Join(t.TempDir(), "contacts.db"))
		},
		Reopen: func(t testing.TB, s contacts.Store) contacts.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return second(t, s)
		},
		Second: second,
	}
}

func TestStore(t *testing.T)      { storetest.Run(t, harness()) }
func BenchmarkStore(b *testing.B) { storetest.Bench(b, harness()) }
