package storetest_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/contacts/store/storetest"
)

func TestHealthyStore(t *testing.T) { storetest.Run(t, harness(nil)) }

// brokenStores is set in the processes that run cases on broken stores, to the
// names of the faults.
const brokenStores = "STORETEST_BROKEN_STORES"

// TestBrokenStores checks that each fault fails the case that is named for it.
// A failed test cannot be taken back, so the cases run in another process.
func TestBrokenStores(t *testing.T) {
	if names := os.Getenv(brokenStores); names != "" {
		for _, f := range faults {
			if slices.Contains(strings.Split(names, "\n"), f.String()) {
				t.Run(f.String(), func(t *testing.T) {
					t.Parallel()
					storetest.RunCase(t, harness(f.in), f.fail)
				})
			}
		}
		return
	}
	// What goes wrong when two calls meet may not do so at once.
	unnoticed := runBroken(t, faults, 1)
	for try := 0; try < 20 && len(unnoticed) > 0; try++ {
		unnoticed = runBroken(t, unnoticed, 10)
	}
	for _, f := range unnoticed {
		t.Errorf("%s: the case did not fail in 200 runs", f)
	}
}

// runBroken runs the cases of the faults so many times, and returns the faults
// whose case did not fail.
func runBroken(t *testing.T, faults []fault, times int) (unnoticed []fault) {
	t.Helper()
	var names []string
	for _, f := range faults {
		names = append(names, f.String())
	}
	out := runAgain(t, brokenStores, strings.Join(names, "\n"), "-test.v", "-test.count="+strconv.Itoa(times))
	results := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestBrokenStores/(\S+)`).FindAllStringSubmatch(out, -1) {
		if results[m[2]] != "FAIL" {
			results[m[2]] = m[1]
		}
	}
	for _, f := range faults {
		switch results[strings.ReplaceAll(f.String(), " ", "_")] {
		case "FAIL":
		case "PASS":
			unnoticed = append(unnoticed, f)
		default:
			t.Fatalf("%s: the case did not run to its end:\n%s", f, out)
		}
	}
	return unnoticed
}

// runAgain runs the test in another process, with a variable in its environment,
// and returns its output.
func runAgain(t *testing.T, variable, value string, args ...string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append(args, "-test.run=^"+t.Name()+"$", "-test.timeout=2m")...)
	cmd.Env = append(os.Environ(), variable+"="+value)
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatalf("%s in another process: %v\n%s", t.Name(), err, out)
	}
	return string(out)
}

// TestEveryCaseHasAFault checks that each case is seen to fail: one that cannot
// fail checks nothing.
func TestEveryCaseHasAFault(t *testing.T) {
	failing := map[string]bool{}
	for _, f := range faults {
		failing[f.fail] = true
	}
	for _, name := range storetest.CaseNames() {
		if !failing[name] {
			t.Errorf("no store is broken for the case %q", name)
		}
	}
}
