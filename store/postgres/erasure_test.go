package postgres_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/store/internal/erasetest"
)

// A dump has nothing of an erased person. The data files have nothing after VACUUM
// FULL.
func TestNoByteIsLeft(t *testing.T) {
	t.Parallel()
	server := ownServer(t, "fsync=off", "full_page_writes=off")
	if _, err := os.Stat(filepath.Join(server.bin, "pg_dump")); err != nil {
		t.Skip("left out: pg_dump is not installed")
	}
	s := open(t, server.url(), schemaName())
	w := erasetest.New(t, s)
	w.Crowd(t, 100)
	c := w.Person(t)
	dump := func() []string {
		t.Helper()
		out, err := server.command("pg_dump", "--dbname="+server.url()).Output()
		if err != nil {
			t.Fatal(err)
		}
		return erasetest.Traces(out)
	}
	before := strings.Join(dump(), "\n")
	for _, want := range []string{"Qzv1xFirst", "Qzv2xFirst", "Qzv1xReason", "Qzv2xReference", "Qzv2xDeep", "Qzv1xSource", "as digits"} {
		if !strings.Contains(before, want) {
			t.Fatalf("%s is not in the dump before: the test would see nothing", want)
		}
	}
	w.Erase(t, c, true)
	if found := dump(); found != nil {
		t.Errorf("the dump has %q", found)
	}
	w.WantErased(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, server.url(), "VACUUM FULL")
	if err := server.stop(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(filepath.Join(server.data(), "base"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if found := erasetest.Traces(content); found != nil {
			t.Errorf("%s has %q", path, found)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// wantNoTraceInRows looks for the person in every row that is there, as text.
func wantNoTraceInRows(t *testing.T, url, schema string) {
	t.Helper()
	c := connect(t, url)
	rows, _ := c.Query(t.Context(), "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = $1", schema)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) == 0 {
		t.Fatalf("the tables are %q, %v", tables, err)
	}
	for _, table := range tables {
		var all bytes.Buffer
		if _, err := c.PgConn().CopyTo(t.Context(), &all, "COPY "+pgx.Identifier{schema, table}.Sanitize()+" TO STDOUT"); err != nil {
			t.Fatal(err)
		}
		if found := erasetest.Traces(all.Bytes()); found != nil {
			t.Errorf("%s has %q", table, found)
		}
	}
}

func TestOldNumber(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	erasetest.OldNumberIsErased(t, erasetest.New(t, open(t, url, schema)), func() { wantNoTraceInRows(t, url, schema) })
}

// An objection outlives the person's data.
func TestSurvivesErasure(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	erasetest.SurvivesErasure(t, open(t, url, schema), func() contacts.Store {
		wantNoTraceInRows(t, url, schema)
		return open(t, url, schema)
	})
}

func TestErasure(t *testing.T) {
	t.Parallel()
	erasetest.Scenarios(t, openNew(t))
}

// Every column is known to TestNoByteIsLeft. A new one has to be looked at: does an
// erasure remove what is in it?
func TestEveryTableIsKnown(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	open(t, url, schema)
	rows, err := connect(t, url).Query(t.Context(), `SELECT table_name, column_name FROM information_schema.columns AS c
		JOIN information_schema.tables AS t USING (table_schema, table_name) WHERE table_schema = $1 AND table_type = 'BASE TABLE'`, schema)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	var table, column string
	_, err = pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		got[table] = append(got[table], column)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, columns := range got {
		slices.Sort(columns)
	}
	want := map[string][]string{
		// Removed with the contact.
		"contact": strings.Fields("account_id address city company country created_at custom_context deleted_at email external_id first_name id industry_context last_name phones search " +
			"stage state status tags team_id updated_at version website zip_code"),
		"contact_lookup": {"account_id", "contact_id", "value"},
		// Events and entries of the ledger lose what they say of the person.
		"journal": strings.Fields("account_id at data ends_at head kind sequence subject"),
		// Hashes and ids, until they end.
		"idempotency": strings.Fields("account_id ends_at input key result"),
		// What the host sets up, and counters.
		"account":       strings.Fields("account_id created_at disabled_at name settings_version"),
		"account_state": {"account_id", "sequence"},
		"migration":     {"version"},
		"api_key":       strings.Fields("account_id all_teams created_at expires_at hash id name permissions revoked_at team_ids"),
		"setting":       strings.Fields("account_id actor at name value version"),
		"team":          strings.Fields("account_id created_at id name"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tables are not those that erasure knows (-known +there):\n%s", diff)
	}
}

// A restored backup brings the person back, until Reapply.
func TestReapply(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema, backup := newSchema(t, url), newSchema(t, url)
	s := open(t, url, schema)
	w := erasetest.New(t, s)
	c := w.Person(t)
	tables := []string{"account", "team", "api_key", "setting", "account_state", "contact", "contact_lookup", "idempotency", "journal"}
	each := func(statement string) (all string) {
		for _, table := range tables {
			all += strings.NewReplacer("{now}", pgx.Identifier{schema, table}.Sanitize(), "{then}", pgx.Identifier{backup, table}.Sanitize()).Replace(statement)
		}
		return all
	}
	run := func(sql string) {
		t.Helper()
		if _, err := connect(t, url).PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE SCHEMA " + pgx.Identifier{backup}.Sanitize() + ";" + each("CREATE TABLE {then} AS TABLE {now};"))
	erasetest.Reapply(t, w, c, func() *erasetest.World {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(tables) // those first that refer to others
		journal := "ALTER TABLE " + pgx.Identifier{schema, "journal"}.Sanitize()
		sql := "BEGIN;" + journal + " DISABLE TRIGGER USER;" + each("DELETE FROM {now};")
		slices.Reverse(tables)
		run(sql + each("INSERT INTO {now} TABLE {then};") + journal + " ENABLE TRIGGER USER; COMMIT")
		return erasetest.Join(t, open(t, url, schema))
	})
}

// One store erases a person while another one creates a relative with the same
// number.
func TestSharedNumber(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	w := erasetest.New(t, open(t, url, schema))
	other := erasetest.Join(t, open(t, url, schema))
	erasetest.SharedNumber(t, w, extent(10, 1000), other.Relative(t))
}
