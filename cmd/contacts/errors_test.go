package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// Each error that is joined with others is printed, with what it is about.
func TestEveryErrorIsPrinted(t *testing.T) {
	t.Parallel()
	refused := contacts.NewValidationError(contacts.FieldError{Field: "name", Code: "required", Message: "is required"})
	lost := errors.New("what was written is in x")
	broken := fmt.Errorf("receive message: %w", &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, stopped := contacts.NewAdmin(memory.New(), nil).CreateAccount(ctx, "Acme")
	for _, test := range []struct {
		name       string
		err        error
		code       int
		text, json string
	}{
		{
			"what an error of the library is about", fmt.Errorf("account 1: %w", fmt.Errorf("contact 2: %w", contacts.ErrConflict)), exitFailed,
			"contacts: account 1: contact 2: conflict: the contact does not have that version; it may have been changed meanwhile\n",
			`{"error":"conflict","message":"account 1: contact 2: the contact does not have that version; it may have been changed meanwhile"}` + "\n",
		},
		{
			"what went wrong at the end", advisedError{errors.Join(refused, lost), "people.csv", "import it again"}, exitFailed,
			"contacts: people.csv: validation_error: name: is required\n  name: is required (required)\n  import it again\ncontacts: people.csv: what was written is in x\n",
			`{"error":"validation_error","message":"people.csv: name: is required","details":[{"field":"name","code":"required","message":"is required"}],` +
				`"advice":"import it again","also":[{"error":"failed","message":"people.csv: what was written is in x"}]}` + "\n",
		},
		{
			"an exit code beside an error", errors.Join(exitError(exitRefused), lost), exitFailed,
			"contacts: what was written is in x\n", `{"error":"failed","message":"what was written is in x"}` + "\n",
		},
		{"an exit code alone", errors.Join(exitError(exitRefused)), exitRefused, "", ""},
		{
			"a server that has gone", broken, exitFailed,
			"contacts: receive message: write tcp: broken pipe\n", `{"error":"failed","message":"receive message: write tcp: broken pipe"}` + "\n",
		},
		{
			"what a signal has ended", fmt.Errorf("account 1: %w", stopped), exitFailed,
			"contacts: account 1: interrupted\n", `{"error":"failed","message":"account 1: interrupted"}` + "\n",
		},
		{"results that nobody reads", advisedError{errors.Join(errUnread), "people.csv", "import it again"}, exitFailed, "", ""},
	} {
		for json, want := range map[bool]string{false: test.text, true: test.json} {
			var said bytes.Buffer
			s := &session{globals: &globals{JSON: json}, out: newOutput(io.Discard), errors: &said}
			if code := s.fail(test.err); code != test.code {
				t.Errorf("%s: exit code %d, want %d", test.name, code, test.code)
			}
			if diff := cmp.Diff(want, said.String()); diff != "" {
				t.Errorf("%s, as JSON %t (-want +got):\n%s", test.name, json, diff)
			}
		}
	}
}

// No error shows a key or a password, whatever the library says.
func TestSecretsAreCutOut(t *testing.T) {
	t.Parallel()
	key := "ck_" + strings.Repeat("a1B", 16) + "Z"
	for text, want := range map[string]string{
		"the key " + key + " is wrong":                     "the key … is wrong",
		"dial postgres://app:hunter2@db/crm: refused":      "dial postgres://app:…db/crm: refused",
		"postgres://db/crm?sslmode=x&password=hunter2&a=b": "postgres://db/crm?sslmode=x&password=…&a=b",
		"nothing to hide in user_name":                     "nothing to hide in user_name",
	} {
		if got := secretFree(text); got != want {
			t.Errorf("secretFree(%q) is %q, want %q", text, got, want)
		}
	}
}

// People give flags, and an error of the library names options.
func TestErrorsNameFlags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`contactsio: ReadOptions.Map names the column "x"`: `contactsio: --map names the column "x"`,
		"ExportOptions.PhoneColumns is 99":                 "--phone-columns is 99",
		"Options.DefaultRegion is x":                       "--default-region is x",
		"name it in DoNotCallImportOptions.Column":         "name it in --column",
		"DoNotCallImportOptions.Region must be":            "--region must be",
		"Options.DoNotCallSecrets[0] has 6 bytes":          "--do-not-call-secret[0] has 6 bytes",
		"the file is not the one of ReadOptions.From":      "the file is not the one of --checkpoint",
		`sqlite: back up to "x": context canceled`:         `sqlite: back up to "x": interrupted`,
		"Options.Schema must be a name":                    "Options.Schema must be a name",
	} {
		if got := shown(text); got != want {
			t.Errorf("shown(%q) is %q, want %q", text, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "1d12h": 36 * time.Hour, "10s": 10 * time.Second, "0": 0, "0d": 0,
		"": -1, "d": -1, "1": -1, "-1h": -1, "-1d": -1, "1d-1h": -1, "99999d": -1, "1w": -1, "1d1d": -1,
		"36500d54086h": 36500*day + 54086*time.Hour, "36500d2000000h": -1,
	} {
		d := duration(-1)
		if err := d.UnmarshalText([]byte(text)); (err != nil) != (want == -1) || time.Duration(d) != want && want != -1 {
			t.Errorf("%q is %s, %v; want %s", text, time.Duration(d), err, want)
		}
	}
}
