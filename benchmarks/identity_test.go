package main

import "testing"

// TestUniqueIndex counts the keys of contacts that were there before the index, and of
// those that came after.
func TestUniqueIndex(t *testing.T) {
	w := mustWorld(t)
	dir := store(t, ours, w, w.contacts(20))
	keys := func(want int) {
		t.Helper()
		var n int
		query(t, file(dir), "SELECT count(*) FROM unique_key", nil, &n)
		if n != want {
			t.Errorf("%d keys in the index, want %d", n, want)
		}
	}
	create := func(n int) {
		t.Helper()
		if _, err := (&bench{world: w}).createUnder(t.Context(), dir, allow, n); err != nil {
			t.Fatal(err)
		}
	}
	run := func(statements string) {
		t.Helper()
		if err := execute(t.Context(), dir, statements); err != nil {
			t.Fatal(err)
		}
	}
	run(makeUniqueIndex)
	keys(3 * 20)
	run(writeUniqueIndex)
	create(10)
	keys(3 * 30)
	run(leaveUniqueIndex)
	create(10)
	keys(3 * 30)
}
