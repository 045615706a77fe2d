package memory_test

import (
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/storetest"
)

// A memory store does not outlive its process and is in no second one, so the
// harness has neither Reopen nor Second.
var harness = storetest.Harness{
	New: func(testing.TB) contacts.Store { return memory.New() },
}

func TestStore(t *testing.T) { storetest.Run(t, harness) }

func BenchmarkStore(b *testing.B) { storetest.Bench(b, harness) }
