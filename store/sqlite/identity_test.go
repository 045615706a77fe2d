//go:build cgo && unix

package sqlite_test

import (
	"testing"

	"example.com/contacts/store/internal/identitytest"
)

// Concurrent callers of two stores on a file get the answers of calls that are made
// one after the other.
func TestModel(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	identitytest.Run(t, extent(5, 1000), identitytest.Policies(), openFault(t, path), openFault(t, path))
}
