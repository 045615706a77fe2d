package postgres_test

import (
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

// The two stores have no connection in common, as those of two processes.
func TestIdentity(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	identitytest.Scenarios(t, open(t, url, schema), open(t, url, schema))
}
