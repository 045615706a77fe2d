package main

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/contacts"
)

// What comes before an error is printed, and no head of a table without rows.
func TestListEndsWithAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	for _, want := range []string{"first", ""} {
		for _, json := range []bool{false, true} {
			listEndsWithAnError(t, want, json, broken)
		}
	}
}

func listEndsWithAnError(t *testing.T, first string, json bool, broken error) {
	t.Helper()
	records := func(yield func(string, error) bool) {
		if first == "" || yield(first, nil) {
			yield("", broken)
		}
	}
	var out bytes.Buffer
	o := newOutput(&out)
	o.json = json
	same := func(s string) string { return s }
	err := list(o, records, column[string]{"NAME", same}, column[string]{"AGAIN", same})
	must(t, o.flush())
	if !errors.Is(err, broken) || !strings.Contains(out.String(), first) || first == "" && out.Len() > 0 {
		t.Errorf("%q, as JSON %t: %v, %q", first, json, err, &out)
	}
}

// The names in a context are those of a stranger, and may hold what moves the cursor.
func TestTailPrintsNoControlCharacters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &session{globals: new(globals), out: newOutput(&out)}
	must(t, s.event(&contacts.Event{Type: contacts.EventContactUpdated, Changes: []contacts.FieldChange{{Field: "custom_context.\x1b[2Ja\nb"}}}))
	if got := out.String(); !strings.HasSuffix(got, "custom_context.\ufffd[2Ja b\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("it printed %q", got)
	}
}

// A fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// An API key that nobody was told does not stay valid.
func TestKeyThatCannotBePrintedIsRevoked(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	command := func(out io.Writer, args ...string) (code int, said string) {
		var errs bytes.Buffer
		code = run(t.Context(), append(args, "--db", db), strings.NewReader(""), out, &errs)
		return code, errs.String()
	}
	if code, said := command(io.Discard, "accounts", "create", "Acme"); code != exitDone {
		t.Fatal(said)
	}
	for _, format := range []string{"--json=false", "--json"} {
		if code, said := command(fullDisk{}, "keys", "issue", "--name", "n", "--can", "can_read_contacts", format); code != exitFailed || !strings.Contains(said, "no space left") {
			t.Errorf("%s: exit code %d:\n%s", format, code, said)
		}
	}
	var list bytes.Buffer
	if code, said := command(&list, "keys", "list"); code != exitDone || strings.Count(list.String(), " revoked ") != 2 {
		t.Errorf("exit code %d, and the keys are\n%s%s", code, &list, said)
	}
}

// The command line of a help that cannot be printed is right.
func TestHelpThatCannotBePrinted(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"keys", "--help"}, {"keys", "--help", "--json"}} {
		var errs bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), fullDisk{}, &errs)
		if said := errs.String(); code != exitFailed || !strings.Contains(said, "no space left") || strings.Contains(said, "--help") {
			t.Errorf("%q: exit code %d:\n%s", args, code, said)
		}
	}
}
