package storetest_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"example.com/contacts/store/storetest"
)

func TestHealthyStore(t *testing.T) { storetest.Run(t, harness(nil)) }

// brokenCase is set in the processes that run the suite on broken stores, to the
// case that must fail in them.
const brokenCase = "STORETEST_BROKEN_CASE"

// TestBrokenStores checks that each fault fails the case that is named for it.
// A failed test cannot be taken back, so the suite runs in other processes, one
// for each case.
func TestBrokenStores(t *testing.T) {
	if name := os.Getenv(brokenCase); name != "" {
		for _, f := range faults {
			if f.fail == name {
				t.Run(f.name, func(t *testing.T) { storetest.Run(t, harness(f.in)) })
			}
		}
		return
	}

	runs := map[string]brokenRun{}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			// What goes wrong when two calls meet may not do so at once.
			const tries = 20
			for try := 1; ; try++ {
				run, ok := runs[f.fail]
				if !ok {
					run = runBroken(t, f.fail)
					runs[f.fail] = run
				}
				switch got, ran := run.results[strings.ReplaceAll(f.name+"/"+f.fail, " ", "_")]; {
				case !ran:
					t.Fatalf("case %q did not run:\n%s", f.fail, run.output)
				case got == "FAIL":
					return
				case try == tries:
					t.Fatalf("case %q: got %s in %d runs, want FAIL", f.fail, got, tries)
				}
				delete(runs, f.fail)
			}
		})
	}
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

type brokenRun struct {
	results map[string]string // PASS, FAIL or SKIP, by "fault/subject/case"
	output  string
}

func runBroken(t *testing.T, name string) brokenRun {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestBrokenStores$/./^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), brokenCase+"="+name)
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatalf("case %q of broken stores: %v\n%s", name, err, out)
	}
	run := brokenRun{map[string]string{}, string(out)}
	for _, m := range regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestBrokenStores/(\S+)`).FindAllStringSubmatch(run.output, -1) {
		run.results[m[2]] = m[1]
	}
	return run
}
