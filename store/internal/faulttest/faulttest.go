// Package faulttest says how long the tests run that kill processes, cut the
// power and break the disk, and which tests run only then.
package faulttest

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

// SkipShort skips a test that takes too long for go test ./..., such as one that
// runs the conformance suite once more.
func SkipShort(t testing.TB) {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skip("it takes long: set " + variable + "=long")
	}
}

// Extent returns how often a fault test does what it does. full may be the
// smaller one, where it is a step.
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
	switch os.Getenv(variable) {
	case "full", "long":
		return long
	default:
		return short
	}
}

// FewerChecks has rapid try 25 random cases of each property in go test ./..., in
// place of its 100. TestMain calls it before the flags are read, so that
// -rapid.checks still says how many.
func FewerChecks() {
	if os.Getenv(variable) != "" {
		return
	}
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err) // the package tests no property
	}
}
