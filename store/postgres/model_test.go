package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/modeltest"
	"example.com/contacts/store/postgres"
)

// Two stores on one schema do what the store in memory does, with a role that
// policies bind and with one that they do not.
func TestTwoStoresOnASchemaDoWhatTheStoreInMemoryDoes(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	owner := newOwner(t, url)
	opts := postgres.Options{Schema: newSchema(t, url), RowSecurity: true}
	conns := []*pgxpool.Pool{newPool(t, owner), newPool(t, url)}
	s, err := postgres.New(t.Context(), conns[0], &opts) // so that the tables are the owner's
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	modeltest.Run(t, func(t *rapid.T) func(context.Context) (contacts.Store, error) {
		opts := opts
		opts.Writers = rapid.IntRange(1, 2).Draw(t, "writers")
		pool := rapid.SampledFrom(conns).Draw(t, "role")
		return func(ctx context.Context) (contacts.Store, error) { return postgres.New(ctx, pool, &opts) }
	})
}
