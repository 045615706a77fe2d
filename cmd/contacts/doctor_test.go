//go:build cgo

package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
)

// newPatient returns a file with something of everything, that nobody has open.
func newPatient(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "contacts.db")
	fillPatient(t, storeAddress(path))
	return path
}

// fillPatient stores something of everything, and closes the store.
func fillPatient(t *testing.T, address storeAddress) {
	t.Helper()
	ctx := t.Context()
	store, err := address.open(ctx)
	must(t, err)
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme")
	must(t, err)
	_, err = admin.CreateTeam(ctx, contacts.Team{AccountID: acme.ID, ID: 1})
	must(t, err)
	must(t, admin.SetEvents(ctx, acme.ID, contacts.EventSettings{On: true}))
	must(t, admin.SetDuplicatePolicy(ctx, acme.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReject, Keys: []contacts.KeyKind{contacts.KeyPhoneNumber}}))
	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{AccountID: acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
	must(t, err)
	svc, err := contacts.New(store, nil)
	must(t, err)
	create := func(in contacts.CreateContactInput) *contacts.Contact {
		c, err := svc.CreateContact(ctx, key, in)
		must(t, err)
		return c
	}
	create(contacts.CreateContactInput{FirstName: "Ann", TeamID: 1, Email: "ann@example.com", Tags: []string{"vip"}})
	for range 2 {
		create(contacts.CreateContactInput{FirstName: "Twin", Email: "twin@example.com"})
	}
	gone := create(contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: true}}})
	_, err = admin.EraseContact(ctx, contacts.EraseInput{AccountID: acme.ID, ContactID: gone.ID, Suppress: true})
	must(t, err)
	must(t, store.Close())
}

// alter runs statements on a file, as any other program can.
func alter(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	must(t, err)
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		must(t, err)
	}
	must(t, db.Close())
}

// examine runs doctor, and returns the codes of its findings and how it ended.
func examine(t *testing.T, c *doctorCommand, address storeAddress) (codes []string, err error) {
	t.Helper()
	var text bytes.Buffer
	s := &session{globals: &globals{DB: address, JSON: true}, out: newOutput(&text), errors: io.Discard}
	s.out.json = true
	err = c.Run(t.Context(), s)
	must(t, s.out.flush())
	for line := range strings.Lines(text.String()) {
		var f struct{ Severity, Code, Message, Advice string }
		must(t, json.Unmarshal([]byte(line), &f))
		if f.Severity == "" || f.Severity == "unknown" || f.Message == "" || f.Advice == "" {
			t.Errorf("a finding does not say how bad it is, what it is and what to do: %s", line)
		}
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes), err
}

// wantCodes runs doctor, and fails if it does not find what was planted, or ends as if it
// had.
func wantCodes(t *testing.T, c *doctorCommand, address storeAddress, want ...string) {
	t.Helper()
	codes, err := examine(t, c, address)
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	var end error
	if want != nil {
		end = exitError(exitFinding)
	}
	if !errors.Is(err, end) {
		t.Errorf("it ended with %v, want %v", err, end)
	}
}

// TestDoctor plants each finding that can be planted, and checks that doctor finds it
// and changes no byte.
func TestDoctor(t *testing.T) {
	t.Parallel()
	patient, err := os.ReadFile(newPatient(t))
	must(t, err)
	statements := func(all ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) { alter(t, path, all...) }
	}
	for _, test := range []struct {
		name  string
		plant func(t *testing.T, path string)
		codes []string
		deep  bool
	}{
		{"nothing", statements(), nil, true},
		{"an older schema", statements("PRAGMA user_version = 1"), []string{"schema_older"}, false},
		{"a newer schema", statements("PRAGMA user_version = 99"), []string{"schema_newer"}, false},
		{"another program's file", statements("PRAGMA application_id = 7"), []string{"foreign_file"}, false},
		{"an empty file", func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) }, []string{"schema_older"}, false},
		{"a newer schema, and what is wrong with it", statements("DELETE FROM lookup", "PRAGMA user_version = 99"), []string{"schema_newer"}, false},
		{"a file that others may read", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o644)) }, []string{"mode_not_0600"}, false},
		{"a large log", func(t *testing.T, path string) {
			must(t, os.WriteFile(path+"-wal", nil, 0o600))
			must(t, os.Truncate(path+"-wal", 300<<20))
		}, []string{"log_large"}, false},
		{"integrity", statements("PRAGMA ignore_check_constraints = ON", "INSERT INTO directory_version VALUES (2, 0)"), []string{"integrity"}, false},
		{"integrity with --deep", statements("DELETE FROM account", "DELETE FROM journal_state"), []string{"integrity"}, true},
		{"look-ups that miss entries", statements("DELETE FROM lookup"), []string{"lookup_missing"}, false},
		{"look-ups with an entry too many", statements("INSERT INTO lookup VALUES (1, 3, 42, 1)"), []string{"lookup_extra"}, false},
		{"numbers of the journal", statements("UPDATE journal_state SET sequence = 1"), []string{"sequence_wrong"}, false},
		{"an event", statements("UPDATE journal SET data = '{' WHERE kind = 1"), []string{"entry_unreadable"}, false},
		{"the secret of the ledger", statements("UPDATE setting SET value = '' WHERE name = 'do_not_call'"), []string{"ledger_secret_missing"}, false},
		{"a contact that was erased", statements("UPDATE contact_data SET id = (SELECT substr(subject, 1, 16) FROM journal WHERE kind = 3) WHERE first_name = 'Ann'"), []string{"erased_is_back"}, false},
		{"a context", statements("UPDATE contact_data SET custom_context = '{' WHERE first_name = 'Ann'"), []string{"context_unreadable"}, false},
		{"a contact", statements("UPDATE contact_data SET phones = '[' WHERE first_name = 'Ann'"), []string{"contact_unreadable"}, false},
		{"a team", statements("DELETE FROM team"), []string{"team_missing"}, false},
		{"twins", statements(`UPDATE setting SET value = '{"action":"reject"}' WHERE name = 'duplicate_policy'`), []string{"twins_under_policy"}, false},
		{"a clock", statements("UPDATE contact_data SET updated_at = 9000000000000000 WHERE first_name = 'Ann'"), []string{"clock_ahead"}, false},
		{"a setting", statements("UPDATE setting SET value = '{' WHERE name = 'events'"), []string{"setting_unreadable"}, false},
		{"a version of the settings", statements("UPDATE account SET settings_version = 9"), []string{"settings_version_wrong"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "contacts.db")
			must(t, os.WriteFile(path, patient, 0o600))
			test.plant(t, path)
			before, err := os.ReadFile(path)
			must(t, err)
			wantCodes(t, &doctorCommand{Deep: test.deep}, storeAddress(path), test.codes...)
			after, err := os.ReadFile(path)
			must(t, err)
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// A backup of a file of an older schema would migrate it first. It is refused, and the
// file stays as it is.
func TestBackupDoesNotMigrate(t *testing.T) {
	t.Parallel()
	path := newPatient(t)
	alter(t, path, "PRAGMA user_version = 1")
	before, err := os.ReadFile(path)
	must(t, err)
	var out, said bytes.Buffer
	code := run(t.Context(), []string{"backup", "--db", path, "-o", path + ".backup"}, strings.NewReader(""), &out, &said)
	if code != exitFailed || !strings.Contains(said.String(), "it has the schema 1") {
		t.Errorf("exit code %d:\n%s", code, &said)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
	if _, err := os.Lstat(path + ".backup"); err == nil {
		t.Error("there is a backup")
	}
}
