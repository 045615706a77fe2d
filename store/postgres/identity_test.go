package postgres_test

import (
	"sync"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/internal/identitytest"
)

// Concurrent callers of two stores get the answers of calls that are made one after
// the other, where every write of a key claims it.
func TestClaimsAreMadeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	var policies []contacts.DuplicatePolicy
	for _, action := range []contacts.DuplicateAction{contacts.DuplicateReject, contacts.DuplicateReturnExisting, contacts.DuplicateUpsert} {
		policies = append(policies, identitytest.Both(action))
	}
	identitytest.Run(t, extent(2, 500), policies, open(t, url, schema), open(t, url, schema))
}

// The callers of two stores, which have no connection in common, store the same
// address at the same time.
func TestConcurrentCreateStoresOne(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	s := open(t, url, schema)
	service, key := identitytest.NewService(t, s)
	other, err := contacts.New(open(t, url, schema), nil)
	if err != nil {
		t.Fatal(err)
	}
	for round := range extent(2, 500) {
		var all [2][]identitytest.Told
		var wait sync.WaitGroup
		for i, s := range []*contacts.Service{service, other} {
			wait.Go(func() { all[i] = identitytest.Race(t.Context(), s, key, round) })
		}
		wait.Wait()
		identitytest.WantOne(t, service, key, round, append(all[0], all[1]...), false)
	}
}
