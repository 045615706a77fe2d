package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// openErr opens a store that must not open.
func openErr(t *testing.T, url string, opts *postgres.Options, want error) error {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, opts)
	if err == nil {
		s.Close()
	}
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("Open: got error %v, want %v", err, want)
	}
	return err
}

// with returns the url with one more setting.
func with(t testing.TB, base, key, value string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// Ten processes that start at once make the tables once.
func TestOpenByManyAtOnce(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	schema := newSchema(t, url)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), url, &postgres.Options{Schema: schema})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			defer s.Close()
			if err := create(t.Context(), s, newContact(addAccount(t, s))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d, err := open(t, url, schema).ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 100})
	if err != nil || len(d.Accounts) != 10 {
		t.Errorf("ListDirectory: got %d accounts and error %v, want 10", len(d.Accounts), err)
	}
}

// Of many processes that start at once with a new version, one takes each step. The
// others find it taken, although they saw the older version before.
func TestUpdateByManyAtOnce(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	pool := newPool(t, url)
	for range extent(3, 30) {
		opts := &postgres.Options{Schema: newSchema(t, url), RowSecurity: true}
		open(t, url, opts.Schema)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				s, err := postgres.NewWithStep(t.Context(), pool, opts, "ALTER TABLE account ADD COLUMN later int; CREATE TABLE later (n int)")
				if err != nil {
					t.Errorf("New: %v", err)
					return
				}
				s.Close()
			})
		}
		wg.Wait()
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	open(t, url, schema).Close()
	execute(t, url, "INSERT INTO "+pgx.Identifier{schema, "migration"}.Sanitize()+" VALUES (1000)")
	openErr(t, url, &postgres.Options{Schema: schema}, postgres.ErrNewerSchema)
}

func TestOpenRefusesTablesOfOthers(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	execute(t, url, "CREATE SCHEMA "+pgx.Identifier{schema}.Sanitize())
	execute(t, url, "CREATE TABLE "+pgx.Identifier{schema, "account"}.Sanitize()+" (n int)")
	openErr(t, url, &postgres.Options{Schema: schema}, postgres.ErrForeign)
	execute(t, url, "CREATE TABLE "+pgx.Identifier{schema, "migration"}.Sanitize()+" (version int)")
	openErr(t, url, &postgres.Options{Schema: schema}, postgres.ErrForeign)
	execute(t, url, "INSERT INTO "+pgx.Identifier{schema, "migration"}.Sanitize()+" VALUES (-1)")
	openErr(t, url, &postgres.Options{Schema: schema}, postgres.ErrCorrupt)
	for _, sql := range []string{
		"CREATE TABLE {}.do_not_call (n int)", "CREATE VIEW {}.contact_event AS SELECT 1 AS n", // named as our views
		"CREATE TABLE {}.theirs (n int); CREATE INDEX journal_subject ON {}.theirs (n)", // and as one of our indexes
	} {
		schema := newSchema(t, url)
		name := pgx.Identifier{schema}.Sanitize()
		for part := range strings.SplitSeq("CREATE SCHEMA {};"+sql, ";") {
			execute(t, url, strings.ReplaceAll(part, "{}", name))
		}
		openErr(t, url, &postgres.Options{Schema: schema}, postgres.ErrForeign)
	}
}

// What this package never writes is an error, and no panic.
func TestDamagedTables(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	s := open(t, url, schema)
	account := addAccount(t, s)
	r := newContact(account)
	key := contacts.KeyRecord{APIKey: contacts.APIKey{ID: newID(), AccountID: account, CreatedAt: noon}}
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Keys: []contacts.KeyRecord{key}}); err != nil {
		t.Fatal(err)
	}
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	find := func() error {
		_, err := s.FindContact(t.Context(), account, r.Contact.ID)
		return err
	}
	findKey := func() error {
		_, err := s.FindKey(t.Context(), key.Hash)
		return err
	}
	renamed, _ := change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
	for _, c := range []struct {
		table, column, value string
		call                 func() error
	}{
		{"contact", "phones", "tell-tale", find},
		{"contact", "phones", "[[1]]", func() error { return apply(t.Context(), s, renamed) }},
		{"contact", "tags", `{"tell": "tale"}`, find},
		{"api_key", "permissions", "tell-tale", findKey},
		{"api_key", "team_ids", `["tell-tale"]`, findKey},
		{"migration", "version", "-1", func() error {
			_, err := postgres.Open(t.Context(), url, &postgres.Options{Schema: schema})
			return err
		}},
	} {
		name := pgx.Identifier{schema, c.table}.Sanitize()
		var before any
		if err := connect(t, url).QueryRow(t.Context(), "SELECT "+c.column+" FROM "+name).Scan(&before); err != nil {
			t.Fatal(err)
		}
		execute(t, url, "UPDATE "+name+" SET "+c.column+" = '"+c.value+"'")
		if err := c.call(); !errors.Is(err, postgres.ErrCorrupt) || strings.Contains(err.Error(), "tale") {
			t.Errorf("%s of %s is %s: got error %v, want ErrCorrupt without what it is", c.column, c.table, c.value, err)
		}
		execute(t, url, "UPDATE "+name+" SET "+c.column+" = $1", before)
	}
}

// The role of the package's comment runs the store, and cannot make its tables.
func TestOpenWithTheRightsToRun(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema, role := newSchema(t, url), "runner_"+strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(t, url, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'")
	cleanUp(t, url, "DROP OWNED BY "+role, "DROP ROLE "+role)
	runner := with(t, with(t, url, "user", role), "password", "secret")
	openErr(t, runner, &postgres.Options{Schema: schema}, postgres.ErrPermission)
	openErr(t, runner, &postgres.Options{Schema: schema, SkipMigrations: true}, postgres.ErrOlderSchema)

	open(t, url, schema).Close()
	openErr(t, runner, &postgres.Options{Schema: schema}, postgres.ErrPermission)
	name := pgx.Identifier{schema}.Sanitize()
	execute(t, url, "GRANT USAGE ON SCHEMA "+name+" TO "+role)
	execute(t, url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+name+" TO "+role)
	for _, skip := range []bool{false, true} {
		s, err := postgres.Open(t.Context(), runner, &postgres.Options{Schema: schema, SkipMigrations: skip})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		wantLife(t, s)
	}
}

// wantLife checks that every kind of write and read succeeds.
func wantLife(t *testing.T, s contacts.Store) {
	t.Helper()
	account := addAccount(t, s)
	r := newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	deletion, deleted := change(r, func(c *contacts.Contact) { c.DeletedAt, c.Tags = noon, []string{"gone", "gone too"} })
	deletion.Idempotency, deletion.Journal = once(1), []contacts.JournalEntry{event(r)}
	deletion.Claims = []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: "nobody@example.com"}}
	if err := apply(t.Context(), s, deletion); err != nil {
		t.Fatal(err)
	}
	if !isWhole(t, s, deleted) {
		t.Error("a contact is not there after its change")
	}
	if err := apply(t.Context(), s, removal(deleted)); err != nil {
		t.Fatal(err)
	}
	if isWhole(t, s, deleted) {
		t.Error("a contact is there after it was removed")
	}
	setting := contacts.SettingRecord{AccountID: account, Version: 1, Name: "events", Value: "{}", At: noon}
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{setting}}); err != nil {
		t.Fatal(err)
	}
	key := contacts.KeyRecord{APIKey: contacts.APIKey{ID: newID(), AccountID: account, CreatedAt: noon}, Hash: [32]byte(append(account[:], account[:]...))}
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Keys: []contacts.KeyRecord{key}}); err != nil {
		t.Fatal(err)
	}
	if k, err := s.FindKey(t.Context(), key.Hash); err != nil || k.ID != key.ID {
		t.Fatalf("FindKey: %+v, %v", k, err)
	}
	if d, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: account, Limit: 9}); err != nil || len(d.Keys) != 1 || d.Keys[0].Hash != key.Hash {
		t.Fatalf("ListDirectory: %+v, %v", d, err)
	}
	if a, err := s.FindAccount(t.Context(), account); err != nil || a.SettingsVersion != 1 {
		t.Fatalf("FindAccount: %+v, %v", a, err)
	}
	if entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Limit: 9}); err != nil || len(entries) != 1 || entries[0].Subject != event(r).Subject {
		t.Fatalf("ListJournal: %+v, %v", entries, err)
	}
	if _, err := s.Apply(t.Context(), contacts.MutationBatch{Now: noon.AddDate(2, 0, 0)}); err != nil {
		t.Fatal(err)
	}
}

// Where transactions are read-only, reads work and writes say why they fail.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	readOnly := with(t, url, "default_transaction_read_only", "on")
	openErr(t, readOnly, &postgres.Options{Schema: schema}, postgres.ErrReadOnly)
	s := open(t, url, schema)
	account := addAccount(t, s)
	r := newContact(account)
	ended := creation(r)
	ended.Idempotency = once(1)
	if err := apply(t.Context(), s, ended); err != nil {
		t.Fatal(err)
	}
	s = open(t, readOnly, schema)
	if !isWhole(t, s, r) {
		t.Error("a contact cannot be read")
	}
	update, _ := change(r, func(*contacts.Contact) {})
	_, prune := s.Apply(t.Context(), contacts.MutationBatch{Now: noon.AddDate(2, 0, 0)})
	_, add := s.AddToDirectory(t.Context(), contacts.Directory{Accounts: []contacts.Account{{ID: newID()}}})
	for what, err := range map[string]error{
		"a create":               create(t.Context(), s, newContact(account)),
		"a change":               apply(t.Context(), s, update),
		"a removal":              apply(t.Context(), s, removal(r)),
		"a batch all or nothing": applyBatch(t.Context(), s, contacts.MutationBatch{Mutations: []contacts.Mutation{update}, Now: noon, AllOrNothing: true}),
		"pruning":                prune,
		"AddToDirectory":         add,
		"UpdateDirectory":        s.UpdateDirectory(t.Context(), contacts.DirectoryUpdate{AccountID: account, At: noon}),
	} {
		if !errors.Is(err, postgres.ErrReadOnly) || errors.Is(err, contacts.ErrOutcomeUnknown) {
			t.Errorf("%s: got error %v, want ErrReadOnly", what, err)
		}
	}
	if !isWhole(t, s, r) {
		t.Error("a contact is gone")
	}
}

// A dry run works where transactions are read-only.
func TestDryRunWhereTransactionsAreReadOnly(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	s := open(t, url, schema)
	account := addAccount(t, s)
	r, other := newContact(account), newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	s = open(t, with(t, url, "default_transaction_read_only", "on"), schema)
	update, _ := change(r, func(*contacts.Contact) {})
	update.Idempotency, update.Journal = once(1), []contacts.JournalEntry{event(r)}
	duplicate := creation(other)
	duplicate.Claims = []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: r.Contact.Email}}
	for _, allOrNothing := range []bool{false, true} {
		outcomes, err := s.Apply(t.Context(), contacts.MutationBatch{
			Mutations: []contacts.Mutation{update, creation(newContact(account)), duplicate}, Now: noon, DryRun: true, AllOrNothing: allOrNothing,
		})
		if err != nil || len(outcomes) != 3 {
			t.Fatalf("a dry run: got %d outcomes and error %v", len(outcomes), err)
		}
		want := []error{nil, nil, contacts.ErrDuplicate}
		if allOrNothing {
			want = []error{contacts.ErrBatchFailed, contacts.ErrBatchFailed, contacts.ErrDuplicate}
		}
		for i, o := range outcomes {
			if !errors.Is(o.Err, want[i]) {
				t.Errorf("a dry run, mutation %d, all or nothing %t: got %v, want %v", i, allOrNothing, o.Err, want[i])
			}
		}
	}
	if isWhole(t, s, other) || !isWhole(t, s, r) {
		t.Error("a dry run has stored something")
	}
}

func TestOpenRefusesAnotherEncoding(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	name := "latin1_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(t, url, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
	cleanUp(t, url, "DROP DATABASE "+name)
	openErr(t, with(t, url, "dbname", name), nil, postgres.ErrEncoding)
}

// A host's pool stays the host's.
func TestNew(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: newSchema(t, url)})
	if err != nil {
		t.Fatal(err)
	}
	wantLife(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("the pool after the store was closed: %v", err)
	}
	if _, err := postgres.New(t.Context(), nil, nil); err == nil {
		t.Error("New without a pool: no error")
	}
}

// No error holds the password, however the URL is wrong.
func TestOpenKeepsThePassword(t *testing.T) {
	t.Parallel()
	const password = "tell-tale"
	for _, url := range []string{
		"postgres://ada:" + password + "@127.0.0.1:1/contacts",
		"postgres://ada:" + password + "@127.0.0.1:port/contacts",
		"postgres://ada:" + password + "%zz@127.0.0.1/contacts",
		"postgres://ada:" + password + " @[::1/contacts?sslmode=nonsense",
		"user=ada password=" + password + " host=127.0.0.1 port=1 connect_timeout=1",
		"user=ada password='" + password,
		"host=127.0.0.1 port=1 passwrod " + password,
	} {
		err := openErr(t, url, nil, nil)
		if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, password) {
			t.Errorf("an error holds the password: %s", text)
		}
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	for _, opts := range []*postgres.Options{{MaxConns: -1}, {Writers: -1}, {Schema: strings.Repeat("x", 64)}} {
		openErr(t, url, opts, nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.Open(ctx, url, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a context that is done: %v", err)
	}
}
