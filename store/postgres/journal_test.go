package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// Nobody removes or rewrites entries that are not events, not even the owner of the
// tables. An erasure may remove a number and its notes.
func TestLedgerCannotBeEdited(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	const block = `{"type":"block","at":"x","expires_at":"y","phone_number":"+15551234567","reason":"asked"}`
	m := contacts.Mutation{AccountID: addAccount(t, s), Journal: []contacts.JournalEntry{
		{Kind: contacts.JournalEvent, At: noon, Data: "{}"},
		{Kind: contacts.JournalDoNotCall, At: noon, Data: block},
		{Kind: contacts.JournalErasure, At: noon, Data: "{}"},
		{Kind: contacts.JournalDoNotCall, At: noon, Data: "no JSON"},
	}}
	if err := apply(t.Context(), s, m); err != nil {
		t.Fatal(err)
	}
	c := connect(t, url)
	exec := func(sql string) (int64, error) {
		tag, err := c.Exec(t.Context(), strings.ReplaceAll(sql, "{journal}", pgx.Identifier{schema, "journal"}.Sanitize()))
		return tag.RowsAffected(), err
	}
	for _, sql := range []string{
		"TRUNCATE {journal}",
		"DELETE FROM {journal} WHERE kind = 2",
		"DELETE FROM {journal} WHERE kind = 3",
		"UPDATE {journal} SET kind = 1 WHERE kind = 2",
		"UPDATE {journal} SET kind = 1 WHERE kind = 3",
		`UPDATE {journal} SET data = '{"erased":true}' WHERE kind = 3`,
		"UPDATE {journal} SET sequence = 9 WHERE kind = 3",
		"UPDATE {journal} SET at = 1 WHERE kind = 2",
		"UPDATE {journal} SET ends_at = 1 WHERE kind = 2",
		"UPDATE {journal} SET account_id = gen_random_uuid() WHERE kind = 2",
		"UPDATE {journal} SET subject = '', head = 1 WHERE kind = 2",
		`UPDATE {journal} SET data = replace(data, '+15551234567', '+15557654321') WHERE sequence = 2`,
		`UPDATE {journal} SET data = '{"phone_number":"+15557654321"}' WHERE sequence = 4`,
		`UPDATE {journal} SET data = replace(data, 'block', 'grant') WHERE sequence = 2`,
		`UPDATE {journal} SET data = replace(data, '"at":"x",', '') WHERE sequence = 2`,
		`UPDATE {journal} SET data = replace(data, '"expires_at":"y",', '') WHERE sequence = 2`,
		`UPDATE {journal} SET data = 'no JSON' WHERE sequence = 2`,
	} {
		if _, err := exec(sql); err == nil {
			t.Errorf("%s: no error", sql)
		}
	}
	for _, sql := range []string{
		`UPDATE {journal} SET data = '{"type":"block","at":"x","expires_at":"y","erased":true}' WHERE sequence = 2`,
		`UPDATE {journal} SET data = 'another text' WHERE sequence = 4`,
		`UPDATE {journal} SET data = '{"erased":true}' WHERE kind = 1`,
		"DELETE FROM {journal} WHERE kind = 1",
	} {
		if n, err := exec(sql); n != 1 || err != nil {
			t.Errorf("%s: %d rows, %v", sql, n, err)
		}
	}
}

// Where the newest number of an account is missing, nothing is stored with entries:
// there is no telling which number is the next.
func TestNoEntryWithoutItsNumber(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	r := newContact(addAccount(t, s))
	if _, err := connect(t, url).Exec(t.Context(), "DELETE FROM "+pgx.Identifier{schema, "account_state"}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), s, recorded(r)); err == nil {
		t.Error("a contact with an event is stored without an error")
	}
	if isWhole(t, s, r) {
		t.Error("the contact of an event that is not stored is there")
	}
	if err := create(t.Context(), s, r); err != nil {
		t.Errorf("without an event: %v", err)
	}
}

// The newest number of an account is read and written once for all entries of a batch of
// new contacts. It has many old versions while others have a long transaction.
func TestNewestNumberIsReadOnceForManyEntries(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	s, sent := openRecorded(t, url, &postgres.Options{Schema: schema})
	account := addAccount(t, s)
	const entries = 20
	var mutations []contacts.Mutation
	for range entries {
		mutations = append(mutations, recorded(newContact(account)))
	}
	if err := apply(t.Context(), s, mutations...); err != nil {
		t.Fatal(err)
	}

	tx, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	execute := func(sql string, args ...any) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	number := func(sql string, args ...any) (n int) {
		t.Helper()
		if err := tx.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	name := pgx.Identifier{schema}.Sanitize()
	for _, table := range []string{"journal", "contact_lookup", "contact"} {
		execute("DELETE FROM " + name + "." + table)
	}
	for sql, args := range sent.sent {
		if strings.Contains(sql, "INSERT INTO "+name+".journal") {
			execute(sql, args...)
		}
	}
	const scans = "SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE schemaname = $1 AND relname = 'account_state'"
	if n := number(scans, schema); n != 2 {
		t.Errorf("the numbers are looked up %d times, want 2", n)
	}
	if n := number("SELECT count(*) FROM " + name + ".journal"); n != entries {
		t.Errorf("%d entries, want %d", n, entries)
	}
}
