package main

import (
	"bytes"
	"strings"
	"testing"

	"example.com/contacts"
)

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
