// Package longtest says how long tests run, and which run only where they may take
// long. What go test ./... leaves out, .ci/run does.
package longtest

import (
	"flag"
	"os"
	"testing"
)

// variable is the environment variable that makes the tests longer. "short": all
// tests, none of them longer. "long": what .ci/run takes the time for. "full": before
// a release.
//
//	CONTACTS_FAULTS=full go test -run Fault -count 1 -timeout 60m -v ./store/sqlite ./store/postgres
const variable = "CONTACTS_FAULTS"

// All reports whether tests run that take too long for go test ./...: where the variable
// is set, and where -run chooses tests.
func All() bool {
	return os.Getenv(variable) != "" || flag.Lookup("test.run").Value.String() != ""
}

// Long reports whether tests may take longer than in go test ./....
func Long() bool { return os.Getenv(variable) == "long" || os.Getenv(variable) == "full" }

// SkipShort skips a test that takes too long for go test ./..., such as one that
// starts many processes.
func SkipShort(t testing.TB) {
	t.Helper()
	if !All() {
		t.Skip("it takes long: choose it with -run, or set " + variable + "=long")
	}
}

// Extent returns how often a test does what it does. full may be the smaller one, where
// it is a step.
func Extent(short, full int) int {
	switch os.Getenv(variable) {
	case "full":
		return full
	case "long":
		const times = 3
		return min(full, times*short)
	default:
		return short
	}
}

// Size returns how much a test makes: long where tests may take longer than in go test
// ./..., and else short.
func Size(short, long int) int {
	if Long() {
		return long
	}
	return short
}

// FewerChecks has rapid try 25 random cases of each property in go test ./..., in
// place of its 100. TestMain calls it before the flags are read, so that
// -rapid.checks still says how many.
func FewerChecks() {
	if Long() {
		return
	}
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err) // the package tests no property
	}
}
