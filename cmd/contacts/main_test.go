package main

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/contacts/internal/longtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"contacts": main})
}

// scripts runs scripts of a folder. They have a condition and two commands beside those of
// testscript:
//
//	[all]                         tests run that take too long for go test ./...
//	code N program [argument…]    runs a program that must end with the exit code N
//	capture NAME pattern          sets a variable to what the group in the pattern matches in stdout
func scripts(t *testing.T, folder string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:                 folder,
		RequireExplicitExec: true,
		Condition: func(condition string) (bool, error) {
			if condition != "all" {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			return longtest.All(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":    code,
			"capture": capture,
		},
	})
}

func code(s *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		s.Fatalf("usage: code N program [argument…]")
	}
	err := s.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else if err != nil {
		s.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		s.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func capture(s *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) != 2 {
		s.Fatalf("usage: capture NAME pattern")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(s.ReadFile("stdout"))
	if len(found) != 2 {
		s.Fatalf("stdout has no %s", args[1])
	}
	s.Setenv(args[0], found[1])
}

// TestEveryCommand runs each command and each flag at least once, and compares what it
// prints.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	scripts(t, "testdata/commands")
}

// TestExitCodes gets each exit code from the commands that can give it.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	scripts(t, "testdata/codes")
}

// TestPrompts answers questions on a terminal, and where there is none.
func TestPrompts(t *testing.T) {
	t.Parallel()
	scripts(t, "testdata/prompts")
}

// TestReceipt erases a person, restores a backup, and erases again who came back.
func TestReceipt(t *testing.T) {
	t.Parallel()
	scripts(t, "testdata/receipt")
}

// TestProgress looks for a bar where there is a terminal, and where there is none.
func TestProgress(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	scripts(t, "testdata/progress")
}
