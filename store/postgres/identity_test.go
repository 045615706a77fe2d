package postgres_test

import (
	"strings"
	"testing"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/identitytest"
	"example.com/contacts/store/postgres"
)

// Concurrent callers of two stores get the answers of calls that are made one after
// the other, where every write of a key claims it.
func TestModel(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	var policies []contacts.DuplicatePolicy
	for _, action := range []contacts.DuplicateAction{contacts.DuplicateReject, contacts.DuplicateReturnExisting, contacts.DuplicateUpsert} {
		policies = append(policies, identitytest.Both(action), identitytest.WithForms(identitytest.Both(action)))
	}
	identitytest.Run(t, extent(2, 500), policies, open(t, url, schema), open(t, url, schema))
}

// The two stores have no connection in common, as those of two processes.
func TestIdentity(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	identitytest.Scenarios(t, open(t, url, schema), open(t, url, schema))
}

func TestConcurrentCreateStoresOne(t *testing.T) {
	t.Parallel()
	identitytest.Processes(t, extent(2, 500), func() string { return newPlace(t) }, func(place string) contacts.Store { return openAt(t, place) })
}

func TestBatchesOfTwoProcesses(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	identitytest.BatchProcesses(t, func() string { return newPlace(t) }, func(place string) contacts.Store { return openAt(t, place) })
}

// newPlace returns a schema and the address of its server, for another process.
func newPlace(t *testing.T) string {
	t.Helper()
	url := serverURL(t)
	return newSchema(t, url) + "\n" + url
}

// openAt opens a store at a place.
func openAt(t *testing.T, place string) *postgres.Store {
	t.Helper()
	schema, url, _ := strings.Cut(place, "\n")
	return open(t, url, schema)
}

func TestDryRunIsTheRealRun(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	identitytest.DryRuns(t, 2, open(t, url, schema), open(t, url, schema))
}
