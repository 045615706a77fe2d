package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// A testCase checks one rule of the contract. Why is its sentence, or several of
// them, word for word.
type testCase struct {
	name string
	why  string
	run  func(t *test, s *store)
}

// check runs the case on a store of its own. If it fails, it prints its rule.
func (c testCase) check(t *testing.T, h Harness) {
	once := &test{T: t}
	s := open(once, h, h.New(t))
	defer func() {
		if t.Failed() {
			t.Logf("the rule: %s", c.why)
		}
	}()
	c.run(once, s)
}

// A test is the test of a case. It prints its first failure alone: what fails
// after it mostly follows from it. It is safe for concurrent use.
type test struct {
	*testing.T
	failed atomic.Bool // a failure was printed
}

func (t *test) Errorf(format string, args ...any) {
	t.Helper()
	t.print(fmt.Sprintf(format, args...))
}

func (t *test) Error(args ...any) {
	t.Helper()
	t.print(fmt.Sprint(args...))
}

func (t *test) Fatalf(format string, args ...any) {
	t.Helper()
	t.print(fmt.Sprintf(format, args...))
	t.FailNow()
}

func (t *test) Fatal(args ...any) {
	t.Helper()
	t.print(fmt.Sprint(args...))
	t.FailNow()
}

func (t *test) print(failure string) {
	t.Helper()
	if t.failed.CompareAndSwap(false, true) {
		t.T.Error(failure)
	}
}
