package postgres_test

import (
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/internal/metertest"
	"example.com/contacts/store/postgres"
)

func TestStats(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	metertest.Run(t, "postgresql", func(t *testing.T, o contacts.StoreObserver) metertest.Store {
		s, err := postgres.Open(t.Context(), url, &postgres.Options{Schema: newSchema(t, url), Writers: 1, Observer: o})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if got := s.Stats(); got.Connections == 0 || got.Connections < got.Idle {
			t.Errorf("the pool of a store that was just opened: %+v", got)
		}
		return s
	})
}
