package postgres_test

import (
	"context"
	"sync"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
	"example.com/contacts/store/storetest"
)

func TestStore(t *testing.T)      { storetest.Run(t, harness(serverURL(t))) }
func BenchmarkStore(b *testing.B) { storetest.Bench(b, harness(serverURL(b))) }

// harness makes stores in schemas of their own.
func harness(url string) storetest.Harness {
	var schemas sync.Map // of the stores, by store
	open := func(t testing.TB, schema string) contacts.Store {
		s, err := postgres.Open(context.Background(), url, &postgres.Options{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		schemas.Store(s, schema)
		return s
	}
	second := func(t testing.TB, s contacts.Store) contacts.Store {
		schema, _ := schemas.Load(s)
		return open(t, schema.(string))
	}
	return storetest.Harness{
		New: func(t testing.TB) contacts.Store { return open(t, newSchema(t, url)) },
		Reopen: func(t testing.TB, s contacts.Store) contacts.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return second(t, s)
		},
		Second: second,
	}
}
