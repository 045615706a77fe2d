package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

const people = "first_name,last_name,tags,phone_number,shoe_size\nAda,Lovelace,maths;engines,+15551234567,38\nAlan,Turing,,555 1234,42\n"

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImportingAgain(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	for _, tc := range []struct{ name, people, want string }{
		{"at first", people, "error_line,error_field,error_code,error_message,first_name,last_name,tags,phone_number,shoe_size\n" +
			"3,phone_numbers[0].phone_number,invalid,\"phone_numbers[0].phone_number: must start with + and the country code, or the option Region must say whose number it is\",Alan,Turing,,555 1234,42\n" +
			"2 rows: 1 created, 0 stored before, 1 refused; columns ignored: [\"shoe_size\"]\n"},
		{"corrected", strings.Replace(people, "555 1234", "+1 555 123 4567", 1), "2 rows: 1 created, 1 stored before, 0 refused; columns ignored: [\"shoe_size\"]\n"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), []string{db, write(t, tc.people)}, &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, strings.ReplaceAll(out.String(), "\r\n", "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	store, err := sqlite.Open(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	admin := contacts.NewAdmin(store, nil)
	for account, err := range admin.Accounts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for key, err := range admin.Keys(t.Context(), account.ID) {
			if err != nil || key.RevokedAt.IsZero() {
				t.Errorf("the key of an import still works: %+v, %v", key, err)
			}
		}
	}
}

func TestDemonstration(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out); err != nil || !strings.Contains(out.String(), "3 rows: 1 created, 0 stored before, 2 refused") {
		t.Errorf("%v, %s", err, &out)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"people.csv"}, "usage: import"},
		{[]string{filepath.Join(t.TempDir(), "contacts.db"), "none.csv"}, "none.csv"},
		{[]string{filepath.Join(t.TempDir(), "contacts.db"), write(t, "")}, "the file is empty"},
	} {
		if err := run(t.Context(), tc.args, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.args, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, nil, new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
