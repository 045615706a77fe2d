package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts/store/postgres"
)

// inspectCodes returns the codes of what Inspect finds. Those of unsafe settings are
// left out: the server of the tests has some, for speed.
func inspectCodes(t *testing.T, url, schema string) (codes []string, found postgres.Inspection) {
	t.Helper()
	found, err := postgres.Inspect(t.Context(), url, &postgres.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found.Findings {
		if f.Severity == 0 || f.Message == "" || f.Advice == "" {
			t.Errorf("a finding does not say how bad it is, what it is and what to do: %+v", f)
		}
		if f.Code != "setting_unsafe" {
			codes = append(codes, f.Code)
		}
	}
	return codes, found
}

// TestInspect plants what Inspect finds.
func TestInspect(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema, role := newSchema(t, url), "looker_"+strings.ReplaceAll(uuid.NewString(), "-", "")
	newest := postgres.SchemaVersion()
	check := func(what, url string, version int, want ...string) {
		t.Helper()
		codes, found := inspectCodes(t, url, schema)
		if diff := cmp.Diff(want, codes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if found.SchemaVersion != version || found.NewestSchema != newest {
			t.Errorf("%s: got the schema %d and the newest %d, want %d and %d", what, found.SchemaVersion, found.NewestSchema, version, newest)
		}
	}
	check("no tables", url, 0, "schema_older")
	check("no tables, once more", url, 0, "schema_older")
	open(t, url, schema)
	check("nothing", url, newest)
	if _, found := inspectCodes(t, url, schema); found.Size <= 0 || found.FreeDisk != -1 {
		t.Errorf("got the size %d and the free disk %d", found.Size, found.FreeDisk)
	}

	execute(t, url, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'")
	cleanUp(t, url, "DROP OWNED BY "+role, "DROP ROLE "+role)
	looker := with(t, with(t, url, "user", role), "password", "secret")
	name := pgx.Identifier{schema}.Sanitize()
	check("no rights", looker, 0, "role_rights")
	execute(t, url, "GRANT USAGE ON SCHEMA "+name+" TO "+role)
	execute(t, url, "GRANT SELECT ON ALL TABLES IN SCHEMA "+name+" TO "+role)
	check("few rights", looker, newest, "role_rights")

	_, before := inspectCodes(t, url, schema)
	execute(t, url, "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+name+" TO "+role)
	execute(t, url, "CREATE TABLE "+name+".theirs AS SELECT generate_series(1, 1000) AS n")
	check("a table of another program", looker, newest)
	if _, found := inspectCodes(t, url, schema); found.Size != before.Size {
		t.Errorf("with a table of another program the size is %d, want %d", found.Size, before.Size)
	}

	execute(t, url, "INSERT INTO "+name+".migration VALUES (99)")
	check("a newer schema", url, 99, "schema_newer")
	execute(t, url, "DROP TABLE "+name+".migration")
	check("another program's tables", url, 0, "foreign_file")
}

// The server of the tests that are fast has no fsync.
func TestInspectFindsUnsafeSettings(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	if shared.server == nil {
		t.Skipf("the server of %s has settings of its own", urlVariable)
	}
	_, found := inspectCodes(t, with(t, url, "options", "-csynchronous_commit=off"), newSchema(t, url))
	text := fmt.Sprint(found.Findings)
	unsafe := slices.DeleteFunc([]string{"fsync", "full_page_writes", "synchronous_commit"}, func(s string) bool { return strings.Contains(text, s+" is off") })
	if len(unsafe) > 0 {
		t.Errorf("%v are off, and not found: %s", unsafe, text)
	}
}

func ExampleInspect() {
	found, err := postgres.Inspect(context.Background(), "postgres://app:secret@db.example.com/app?sslmode=verify-full", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range found.Findings {
		fmt.Println(f.Severity, f.Code, f.Message)
	}
}
