package identitytest_test

import (
	"path/filepath"
	"testing"

	"example.com/contacts/examples/customstore"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/identitytest"
)

// The store of the example cannot import this package, and the tests of other stores
// do.
func openCustom(t *testing.T) *customstore.Store {
	t.Helper()
	s, err := customstore.Open(t.Context(), filepath.Join(t.TempDir(), "contacts.journal"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	identitytest.Scenarios(t, openCustom(t))
}

func TestModel(t *testing.T) {
	t.Parallel()
	identitytest.Run(t, longtest.Extent(3, 300), identitytest.Policies(), openCustom(t))
}

func TestDryRunIsTheRealRun(t *testing.T) {
	t.Parallel()
	identitytest.DryRuns(t, 5, openCustom(t))
}
