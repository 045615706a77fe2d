//go:build cgo

package sqlite_test

import (
	"testing"

	"example.com/contacts/store/internal/keytest"
)

// A key that was valid is judged with each create that it makes.
func TestKeyIsJudgedWithTheCreate(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	keytest.Run(t, openFault(t, path), openFault(t, path))
}
