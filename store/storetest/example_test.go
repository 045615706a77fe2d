package storetest_test

import (
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/storetest"
)

// The test and the benchmark of a backend that does not outlive its process. The
// package comment has the harness of one that does.
func Example() {
	harness := storetest.Harness{
		New: func(testing.TB) contacts.Store { return memory.New() },
	}
	_ = func(t *testing.T) { storetest.Run(t, harness) }   // func TestStore
	_ = func(b *testing.B) { storetest.Bench(b, harness) } // func BenchmarkStore
}
