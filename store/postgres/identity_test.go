package postgres_test

import (
	"strings"
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
		policies = append(policies, identitytest.Both(action), identitytest.WithForms(identitytest.Both(action)))
	}
	identitytest.Run(t, extent(2, 500), policies, open(t, url, schema), open(t, url, schema))
}

// The two stores have no connection in common, as those of two processes.
func TestIdentity(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	identitytest.Scenarios(t, open(t, url, schema), open(t, url, schema))
}

func TestConcurrentCreateStoresOne(t *testing.T) {
	t.Parallel()
	place := func() string {
		url := serverURL(t)
		return newSchema(t, url) + "\n" + url
	}
	identitytest.Processes(t, extent(4, 500), place, func(place string) contacts.Store {
		schema, url, _ := strings.Cut(place, "\n")
		return open(t, url, schema)
	})
}

func TestDryRunIsTheRealRun(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	identitytest.DryRuns(t, 2, open(t, url, schema), open(t, url, schema))
}
