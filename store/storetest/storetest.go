// Package storetest checks that a [contacts.Store] keeps its contract, and
// measures how fast it is. Every sentence of the contract has a case. A case that
// fails prints the sentence that the store has broken.
//
// A backend needs one test and one benchmark:
//
//	package mystore_test
//
//	import (
//		"path/filepath"
//		"sync"
//		"testing"
//
//		"example.com/contacts"
//		"example.com/contacts/store/storetest"
//		"example.com/mystore"
//	)
//
//	func harness() storetest.Harness {
//		var paths sync.Map // of the stores, by store: cases run in parallel
//		open := func(t testing.TB, path string) contacts.Store {
//			s, err := mystore.Open(t.Context(), path)
//			if err != nil {
//				t.Fatal(err)
//			}
//			paths.Store(s, path)
//			return s
//		}
//		second := func(t testing.TB, s contacts.Store) contacts.Store {
//			path, _ := paths.Load(s)
//			return open(t, path.(string))
//		}
//		return storetest.Harness{
//			New: func(t testing.TB) contacts.Store {
//				return open(t, filepath.Join(t.TempDir(), "contacts.db"))
//			},
//			Reopen: func(t testing.TB, s contacts.Store) contacts.Store {
//				if err := s.Close(); err != nil {
//					t.Fatal(err)
//				}
//				return second(t, s)
//			},
//			Second: second,
//		}
//	}
//
//	func TestStore(t *testing.T)      { storetest.Run(t, harness()) }
//	func BenchmarkStore(b *testing.B) { storetest.Bench(b, harness()) }
//
// Run the test with -race too: some sentences are about memory that two
// goroutines must not share. The cases are grouped by subject: -run
// TestStore/tenancy runs those of one.
package storetest

import (
	"strings"
	"testing"

	"example.com/contacts"
)

// A Harness makes the stores that [Run] and [Bench] work on. Its functions are
// called from many goroutines at once. They fail the test that they are given if
// they cannot do their work. New is required.
type Harness struct {
	// New returns a fresh, empty store, which shares nothing with any other. The
	// suite closes it before the harness's own t.Cleanup and t.TempDir.
	New func(t testing.TB) contacts.Store

	// Reopen ends s, which may be closed already, and returns a store on the same
	// data, as a process that starts later finds it. A harness may end s more
	// harshly than with Close. The suite closes the new store.
	//
	// nil: the store does not outlive its process. The cases that need it are
	// then skipped, by name.
	Reopen func(t testing.TB, s contacts.Store) contacts.Store

	// Second returns another store on the data of s, which stays open, as a
	// second process beside it has it. The suite closes both, in any order.
	//
	// nil: no two processes can share the data. The cases that need it are then
	// skipped, by name.
	Second func(t testing.TB, s contacts.Store) contacts.Store

	// ReadOnly returns another store on the data of s, which stays open. Nothing
	// can be written through it. The suite closes both, in any order.
	//
	// nil: the store has no such mode. The case that needs it is then skipped, by
	// name.
	ReadOnly func(t testing.TB, s contacts.Store) contacts.Store
}

// Run checks every sentence of the contract of [contacts.Store]. Each case is a
// subtest with a fresh store of its own, and prints its first failure alone. The
// cases are in groups, and a group builds on those before it. So Run stops after
// the first group that fails, and says in which order to build a store. The first
// case of a group runs alone: if it fails, the others of the group are left out.
// Then they run in parallel. All have ended when Run returns.
func Run(t *testing.T, h Harness) {
	for _, g := range groups {
		if !t.Run(g.name, func(t *testing.T) { g.run(t, h) }) {
			t.Logf("The suite stops here, since later groups build on %q. Build a store in this order: %s.", g.name, order())
			return
		}
	}
}

// A group has the cases of one subject, the simplest one first. They use no more
// than its subject and those of the groups before.
type group struct {
	name  string
	cases []testCase
}

// groups are in the order in which a store is best built.
var groups = []group{
	{"directory", directoryCases},
	{"settings", settingCases},
	{"keys", keyCases},
	{"contacts", contactCases},
	{"text", textCases},
	{"listing", listingCases},
	{"updates", updateCases},
	{"removal", removalCases},
	{"groups", groupCases},
	{"journal", journalCases},
	{"idempotency", idempotencyCases},
	{"pruning", pruningCases},
	{"claims", claimCases},
	{"mutations", mutationCases},
	{"batches", batchCases},
	{"dry run", dryRunCases},
	{"tenancy", tenancyCases},
	{"ownership", ownershipCases},
	{"concurrency", concurrencyCases},
	{"cancellation", cancellationCases},
	{"errors", errorCases},
	{"durability", durabilityCases},
	{"closing", closingCases},
}

func (g group) run(t *testing.T, h Harness) {
	first := g.cases[0]
	if !t.Run(first.name, func(t *testing.T) { first.check(t, h) }) {
		return
	}
	for _, c := range g.cases[1:] {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, h)
		})
	}
}

// order returns the names of the groups.
func order() string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return strings.Join(names, ", ")
}

// A store is the store of a case, with the ways to get another on its data.
type store struct {
	contacts.Store
	harness Harness
}

func open(t *test, h Harness, s contacts.Store) *store {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &store{s, h}
}

// reopen returns the store as a later process finds it. It skips the case if
// there can be none.
func (s *store) reopen(t *test) *store {
	t.Helper()
	if s.harness.Reopen == nil {
		t.Skip("left out, as Harness.Reopen is nil: the store does not outlive its process")
	}
	return open(t, s.harness, s.harness.Reopen(t.T, s.Store))
}

// second returns the store as a second process has it. It skips the case if
// there can be none.
func (s *store) second(t *test) *store {
	t.Helper()
	if s.harness.Second == nil {
		t.Skip("left out, as Harness.Second is nil: no two processes share the store's data")
	}
	return open(t, s.harness, s.harness.Second(t.T, s.Store))
}

// readOnly returns the store as a process has it that can write nothing. It skips
// the case if there can be none.
func (s *store) readOnly(t *test) *store {
	t.Helper()
	if s.harness.ReadOnly == nil {
		t.Skip("left out, as Harness.ReadOnly is nil: the store has no mode in which nothing can be written")
	}
	return open(t, s.harness, s.harness.ReadOnly(t.T, s.Store))
}
