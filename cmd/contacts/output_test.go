package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"example.com/contacts"
)

// What comes before an error is printed.
func TestListEndsWithAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	records := func(yield func(string, error) bool) {
		_ = yield("first", nil) && yield("", broken)
	}
	for _, json := range []bool{false, true} {
		var out bytes.Buffer
		o := newOutput(&out)
		o.json = json
		same := func(s string) string { return s }
		err := list(o, records, column[string]{"NAME", same}, column[string]{"AGAIN", same})
		must(t, o.flush())
		if !errors.Is(err, broken) || !strings.Contains(out.String(), "first") {
			t.Errorf("as JSON %t: %v, %q", json, err, &out)
		}
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
