//go:build cgo && unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/contacts/internal/longtest"
)

// TestDoctorOverPostgres plants each finding in a database of its own, and checks that
// doctor finds it.
func TestDoctorOverPostgres(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	server := newPostgres(t)
	server.query(t, "postgres", "CREATE DATABASE patient")
	fillPatient(t, storeAddress(server.url("patient", "postgres")))
	server.query(t, "postgres", "CREATE ROLE looker LOGIN")
	copyOf := func(t *testing.T, name string) storeAddress {
		t.Helper()
		server.query(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE patient")
		return storeAddress(server.url(name, "postgres"))
	}
	for _, test := range []struct {
		name  string // of the database
		plant string
		codes []string
	}{
		{"nothing", "SELECT 1", nil},
		{"older", "DROP SCHEMA contacts CASCADE", []string{"schema_older"}},
		{"newer", "INSERT INTO contacts.migration VALUES (99)", []string{"schema_newer"}},
		{"newer_and_broken", "DELETE FROM contacts.contact_lookup; INSERT INTO contacts.migration VALUES (99)", []string{"schema_newer"}},
		{"foreign_tables", "DROP TABLE contacts.migration", []string{"foreign_file"}},
		{"no_commit", "ALTER DATABASE no_commit SET synchronous_commit = off", []string{"setting_unsafe"}},
		{"no_entry", "DELETE FROM contacts.contact_lookup", []string{"lookup_missing"}},
		{"entry", "INSERT INTO contacts.contact_lookup SELECT account_id, '74000000-0000-7000-8000-000000000001', account_id FROM contacts.account", []string{"lookup_extra"}},
		{"numbers", "UPDATE contacts.account_state SET sequence = 1", []string{"sequence_wrong"}},
		{"event", "UPDATE contacts.journal SET data = '{' WHERE kind = 1", []string{"entry_unreadable"}},
		{"secret", "UPDATE contacts.setting SET value = '' WHERE name = 'do_not_call'", []string{"ledger_secret_missing"}},
		{"erased", `WITH c AS (UPDATE contacts.contact SET id = (SELECT encode(substr(subject, 1, 16), 'hex')::uuid FROM contacts.journal WHERE kind = 3)
			WHERE first_name = 'Ann' RETURNING id) UPDATE contacts.contact_lookup SET contact_id = c.id FROM c WHERE contact_id IN (SELECT id FROM contacts.contact WHERE first_name = 'Ann')`,
			[]string{"erased_is_back"}},
		{"context", "UPDATE contacts.contact SET custom_context = '{' WHERE first_name = 'Ann'", []string{"context_unreadable"}},
		{"contact", "UPDATE contacts.contact SET phones = '[' WHERE first_name = 'Ann'", []string{"contact_unreadable"}},
		{"team", "DELETE FROM contacts.team", []string{"team_missing"}},
		{"twins", `UPDATE contacts.setting SET value = '{"action":"reject"}' WHERE name = 'duplicate_policy'`, []string{"twins_under_policy"}},
		{"clock", "UPDATE contacts.contact SET updated_at = updated_at + 9000000000000000 WHERE first_name = 'Ann'", []string{"clock_ahead"}},
		{"setting", "UPDATE contacts.setting SET value = '{' WHERE name = 'events'", []string{"setting_unreadable"}},
		{"settings", "UPDATE contacts.account SET settings_version = 9", []string{"settings_version_wrong"}},
		{"actor", "UPDATE contacts.setting SET actor = '?' || actor", []string{"integrity"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := copyOf(t, test.name)
			server.query(t, test.name, test.plant)
			wantCodes(t, new(doctorCommand), address, test.codes...)
		})
	}
	t.Run("rights", func(t *testing.T) {
		copyOf(t, "rights")
		server.query(t, "rights", "GRANT USAGE ON SCHEMA contacts TO looker", "GRANT SELECT ON ALL TABLES IN SCHEMA contacts TO looker")
		wantCodes(t, new(doctorCommand), storeAddress(server.url("rights", "looker")), "role_rights")
	})
	t.Run("no tables", func(t *testing.T) {
		var out, said bytes.Buffer
		args := []string{"accounts", "list", "--db", server.url("older", "postgres")}
		if code := run(t.Context(), args, strings.NewReader(""), &out, &said); code != exitFailed || !strings.Contains(said.String(), "there are no tables yet") {
			t.Errorf("exit code %d:\n%s", code, &said)
		}
		if n := server.query(t, "older", "SELECT count(*) FROM pg_namespace WHERE nspname = 'contacts'"); n != "0" {
			t.Error("tables were made")
		}
	})

	// What is left needs a server that stops.
	healthy := storeAddress(server.url("nothing", "postgres"))
	for _, setting := range []string{"fsync=off", "full_page_writes=off"} {
		t.Run(setting, func(t *testing.T) {
			server.stop(t)
			server.start(t, setting)
			wantCodes(t, new(doctorCommand), healthy, "setting_unsafe")
		})
	}
	t.Run("damaged pages", func(t *testing.T) {
		damaged := copyOf(t, "damaged")
		file := server.query(t, "damaged", "SELECT pg_relation_filepath('contacts.contact')")
		server.stop(t)
		flip(t, filepath.Join(server.data(), file))
		server.start(t)
		wantCodes(t, new(doctorCommand), damaged, "integrity")
		wantCodes(t, new(doctorCommand), healthy)
	})
}

// flip changes every byte of a file that is not 0, after the header of its first page.
func flip(t *testing.T, path string) {
	t.Helper()
	const header = 24
	content, err := os.ReadFile(path)
	must(t, err)
	if len(content) <= header {
		t.Fatalf("%s has %d bytes", path, len(content))
	}
	for i := header; i < len(content); i++ {
		if content[i] != 0 {
			content[i] = ^content[i]
		}
	}
	must(t, os.WriteFile(path, content, 0o600))
}
