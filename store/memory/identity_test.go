package memory_test

import (
	"testing"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/identitytest"
	"example.com/contacts/store/memory"
)

// Concurrent callers get the answers of calls that are made one after the other.
func TestModel(t *testing.T) {
	t.Parallel()
	identitytest.Run(t, longtest.Extent(20, 2000), identitytest.Policies(), memory.New())
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	identitytest.Scenarios(t, memory.New())
}

func TestDryRunIsTheRealRun(t *testing.T) {
	t.Parallel()
	identitytest.DryRuns(t, 40, memory.New())
}
