package postgres_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// newCarelessRole returns a role whose sessions begin with settings that the store
// cannot use, and its url.
func newCarelessRole(t testing.TB) (role, direct string) {
	t.Helper()
	direct = newOwner(t, serverURL(t))
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	role = u.Query().Get("user")
	for _, setting := range []string{"synchronous_commit = off", "bytea_output = escape"} {
		execute(t, serverURL(t), "ALTER ROLE "+role+" SET "+setting)
	}
	return role, direct
}

// refuseCarelessCommits has the server refuse every commit that would not outlive
// a crash of it.
func refuseCarelessCommits(t testing.TB, url, schema string) {
	t.Helper()
	name := pgx.Identifier{schema}.Sanitize()
	execute(t, url, "CREATE FUNCTION "+name+`.careful() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF current_setting('synchronous_commit') = 'off' THEN RAISE 'the commit is not durable'; END IF;
		RETURN NULL; END $$`)
	for _, table := range []string{"account", "team", "api_key", "setting", "account_state", "contact", "contact_lookup", "idempotency", "journal"} {
		execute(t, url, "CREATE CONSTRAINT TRIGGER careful AFTER INSERT OR UPDATE OR DELETE ON "+name+"."+table+
			" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "+name+".careful()")
	}
}

// A store of any mode of the driver stores durably and reads what it stored,
// whatever its role has set.
func TestSettingsOfTheRole(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	_, direct := newCarelessRole(t)
	schema := newSchema(t, serverURL(t))
	open(t, direct, schema).Close()
	refuseCarelessCommits(t, direct, schema)
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		url := with(t, direct, "default_query_exec_mode", mode)
		wantLife(t, open(t, url, schema))
		s, err := postgres.New(t.Context(), newPool(t, url), &postgres.Options{Schema: schema})
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		wantLife(t, s)
	}
}

// Functions and operators of a schema that the role looks into first are not used.
func TestSearchPath(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	base := serverURL(t)
	wrong := "wrong_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(t, base, "CREATE SCHEMA "+wrong)
	cleanUp(t, base, "DROP SCHEMA "+wrong+" CASCADE")
	for signature, result := range map[string]string{
		"cardinality(anyarray)": "int", "strpos(text, text)": "int", "string_to_array(text, text)": "text[]", "unnest(anyarray)": "SETOF anyelement",
		"current_setting(text)": "text", "current_setting(text, boolean)": "text", "set_config(text, text, boolean)": "text", "pg_backend_pid()": "int",
		"pg_advisory_xact_lock(bigint)": "void", "same(uuid, uuid)": "boolean", "same(text, text)": "boolean", "same(bigint, bigint)": "boolean",
		"same(bytea, bytea)": "boolean", "next(bigint, bigint)": "bigint",
	} {
		execute(t, base, "CREATE FUNCTION "+wrong+"."+signature+" RETURNS "+result+" LANGUAGE plpgsql AS $$ BEGIN RAISE 'a wrong function is used'; END $$")
	}
	for _, kind := range []string{"uuid", "text", "bigint", "bytea"} {
		for _, operator := range []string{"=", "<>", "<", ">", "<=", ">="} {
			execute(t, base, "CREATE OPERATOR "+wrong+"."+operator+" (FUNCTION = "+wrong+".same, LEFTARG = "+kind+", RIGHTARG = "+kind+")")
		}
	}
	execute(t, base, "CREATE OPERATOR "+wrong+".- (FUNCTION = "+wrong+".next, LEFTARG = bigint, RIGHTARG = bigint)")
	url := with(t, newOwner(t, base), "search_path", wrong+",pg_catalog")
	execute(t, base, "GRANT USAGE ON SCHEMA "+wrong+" TO PUBLIC")
	for _, opts := range []postgres.Options{{}, {RowSecurity: true}} {
		opts.Schema = newSchema(t, base)
		s, err := postgres.Open(t.Context(), url, &opts)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		useAll(t, s, addAccount(t, s))
	}
}
