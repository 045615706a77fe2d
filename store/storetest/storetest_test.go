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

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/storetest"
)

func TestHealthyStore(t *testing.T) {
	longtest.SkipShort(t)
	storetest.Run(t, harness(nil))
}

// brokenStores is set in the processes that run cases on broken stores, to the
// names of the faults.
const brokenStores = "STORETEST_BROKEN_STORES"

// TestBrokenStores checks that each fault fails the case that is named for it.
// A failed test cannot be taken back, so the cases run in another process.
func TestBrokenStores(t *testing.T) {
	if isBroken(t) {
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

// isBroken runs the cases of the faults of this process, and reports whether it has any.
func isBroken(t *testing.T) bool {
	t.Helper()
	names := os.Getenv(brokenStores)
	if names == "" {
		return false
	}
	for _, f := range faults {
		if slices.Contains(strings.Split(names, "\n"), f.String()) {
			t.Run(f.String(), func(t *testing.T) {
				t.Parallel()
				storetest.RunCase(t, harness(f.in), f.fail)
			})
		}
	}
	return true
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
	for _, m := range regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): `+t.Name()+`/(\S+)`).FindAllStringSubmatch(out, -1) {
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

// TestVerbatim: a store takes a copy of another as it is. A healthy store passes the
// cases of each sentence that promises so, and every store that breaks one fails.
func TestVerbatim(t *testing.T) {
	if isBroken(t) {
		return
	}
	var broken []fault
	for _, sentence := range []string{
		"A store keeps a record as it is: it never computes or checks versions, times or ids of phone numbers.",
		"Version 0 stores a new contact, which may have any version and may be deleted.",
		"With Verbatim, an entry whose Sequence is above the account's newest is appended with that number, and the next number is one above it.",
		"A number up to the newest replaces as it does without Verbatim. Where no stored entry has the number, kind and subject, it is ErrExists.",
		"A journal entry with Sequence 0 is appended and gets the next number of its account, starting at 1.",
		"An entry with another Sequence replaces the Data of the stored entry that has this number, kind and subject.",
		"ErrNotFound: the account, the contact of a change, or the entry to replace does not exist.",
		"Every field comes back as given, byte for byte.",
		"Every field is kept as given.",
		"A setting must have the version that is one above its account's; the account then has that version.",
		"Settings are listed in every version.",
		"The newest entry of an account is never removed.",
	} {
		cases := storetest.CasesOf(sentence)
		breaking := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return !slices.Contains(cases, f.fail) })
		if len(cases) == 0 || len(breaking) == 0 {
			t.Errorf("%d cases and %d broken stores for: %s", len(cases), len(breaking), sentence)
		}
		broken = append(broken, breaking...)
		for _, name := range cases {
			t.Run(name, func(t *testing.T) { storetest.RunCase(t, harness(nil), name) })
		}
	}
	for _, f := range runBroken(t, broken, 1) {
		t.Errorf("%s: the case did not fail", f)
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
