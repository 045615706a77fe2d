package storetest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestContractIsCovered checks that every sentence of the doc comments of
// contacts.Store is the rule of a case, word for word.
func TestContractIsCovered(t *testing.T) {
	var rules strings.Builder
	for _, g := range groups {
		for _, c := range g.cases {
			rules.WriteString(c.why + "\n")
		}
	}
	for _, sentence := range contract(t) {
		if !strings.Contains(rules.String(), sentence) && !slices.Contains(uncovered, sentence) {
			t.Errorf("no case checks: %s", sentence)
		}
	}
}

// TestRulesAreQuoted checks that every rule of a case is made of sentences of the
// contract. A case whose sentence has changed must be looked at again.
func TestRulesAreQuoted(t *testing.T) {
	all := contract(t)
	for _, g := range groups {
		for _, c := range g.cases {
			for _, sentence := range sentences(c.why) {
				if !slices.Contains(all, sentence) {
					t.Errorf("%s/%s: not in the contract: %s", g.name, c.name, sentence)
				}
			}
		}
	}
}

// uncovered are the sentences that say nothing a case could check.
var uncovered = []string{
	// They introduce others.
	"A Store keeps accounts, settings, teams, API keys, contacts and the journal of each account.",
	"A [Service] holds all rules.",
	"Package storetest checks every sentence of this contract; run it on a store of your own.",
	// A case has no way to damage what is stored.
	"If it cannot be read whole, the error holds a [*DamagedError].",
	// It is about the Service. Bench measures FindKey for it.
	"FindKey is called for nearly every call of a Service.",
}

// contract returns the sentences of the doc comments of contacts.Store, without the
// promises of the Service, and of the methods of it and of contacts.KeyJudge.
func contract(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../store.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			return true
		}
		switch decl.Specs[0].(*ast.TypeSpec).Name.Name {
		case "Store":
			doc, _, found := strings.Cut(decl.Doc.Text(), "# What a Service promises")
			if !found {
				t.Fatal("store.go has no section on what a Service promises")
			}
			all = append(all, sentences(doc)...)
		case "KeyJudge":
		default:
			return false
		}
		for _, method := range decl.Specs[0].(*ast.TypeSpec).Type.(*ast.InterfaceType).Methods.List {
			if method.Doc == nil {
				continue // it is embedded
			}
			all = append(all, sentences(method.Doc.Text())...)
		}
		return false
	})
	if len(all) == 0 {
		t.Fatal("store.go has no type Store with a doc comment")
	}
	return all
}

var (
	heading = regexp.MustCompile(`(?m)^# .*$`)
	bullet  = regexp.MustCompile(`(?m)^ *- `)
	stop    = regexp.MustCompile(`\. ([A-Z])`)
)

// sentences splits a text at its full stops.
func sentences(text string) []string {
	text = bullet.ReplaceAllString(heading.ReplaceAllString(text, ""), "")
	text = strings.Join(strings.Fields(text), " ")
	return strings.Split(stop.ReplaceAllString(text, ".\n$1"), "\n")
}
