//go:build cgo && unix

package sqlite_test

import (
	"testing"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/identitytest"
)

// Concurrent callers of two stores on a file get the answers of calls that are made
// one after the other.
func TestModel(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	identitytest.Run(t, extent(5, 1000), identitytest.Policies(), openFault(t, path), openFault(t, path))
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	identitytest.Scenarios(t, open(t, path), open(t, path))
}

func TestConcurrentCreateStoresOne(t *testing.T) {
	t.Parallel()
	identitytest.Processes(t, extent(2, 500), func() string { return storePath(t) }, func(path string) contacts.Store { return openFault(t, path) })
}

func TestBatchesOfTwoProcesses(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	identitytest.BatchProcesses(t, func() string { return storePath(t) }, func(path string) contacts.Store { return openFault(t, path) })
}

func TestDryRunIsTheRealRun(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	identitytest.DryRuns(t, 5, open(t, path), open(t, path))
}
