package storetest

import (
	"strings"
	"testing"
)

// CaseNames returns the names of all cases, as "group/case".
func CaseNames() []string {
	var names []string
	for _, g := range groups {
		for _, c := range g.cases {
			names = append(names, g.name+"/"+c.name)
		}
	}
	return names
}

// CasesOf returns the names of the cases that check a sentence of the contract.
func CasesOf(sentence string) (names []string) {
	for _, g := range groups {
		for _, c := range g.cases {
			if strings.Contains(c.why, sentence) {
				names = append(names, g.name+"/"+c.name)
			}
		}
	}
	return names
}

// RunCase runs the case of that name alone.
func RunCase(t *testing.T, h Harness, name string) {
	for _, g := range groups {
		for _, c := range g.cases {
			if g.name+"/"+c.name == name {
				c.check(t, h)
				return
			}
		}
	}
	t.Fatalf("there is no case %q", name)
}
