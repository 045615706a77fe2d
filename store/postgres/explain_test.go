package postgres_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
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

// A recorder keeps every statement that a pool sends, with arguments of it.
type recorder struct {
	mu   sync.Mutex
	sent map[string][]any
}

func (r *recorder) note(sql string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent[sql] = slices.Clone(args)
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.note(data.SQL, data.Args)
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		r.note(q.SQL, q.Arguments)
	}
	return ctx
}

func (r *recorder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// No statement scans a table that grows, neither with the plan for its arguments
// nor with the plan for any, without policies on the tables and with them.
func TestNoSequentialScan(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	role := newOwner(t, url)
	opts := &postgres.Options{Schema: newSchema(t, url)}
	accounts := fill(t, url, opts.Schema, open(t, role, opts.Schema), extent(20_000, 1_000_000))
	wantNoSequentialScan(t, role, opts, accounts[0], false)
	opts.RowSecurity = true
	wantNoSequentialScan(t, role, opts, accounts[1], false)
}

// Nor do the statements that write, with the plan for any arguments, if they are
// planned while the tables are small: the server keeps that plan when they grow.
func TestNoSequentialScanOfWritesInSmallTables(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	opts := &postgres.Options{Schema: newSchema(t, url)}
	accounts := fill(t, url, opts.Schema, open(t, url, opts.Schema), 1000)
	wantNoSequentialScan(t, url, opts, accounts[0], true)
}

// The server plans the statements of most calls a few times and then no more.
func TestStatementsArePlannedOnce(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const calls, tries = 12, 5 // tries: plans for its arguments that the server makes first
	url := serverURL(t)
	schema := newSchema(t, url)
	pool, err := pgxpool.New(t.Context(), with(t, url, "pool_max_conns", "1"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	account := addAccount(t, s)
	for range calls {
		r := newContact(account)
		_, key := s.FindKey(t.Context(), [32]byte{1})
		if !errors.Is(key, contacts.ErrNotFound) {
			t.Fatal(key)
		}
		_, found := s.FindAccount(t.Context(), account)
		if err := errors.Join(found, create(t.Context(), s, r), apply(t.Context(), s, recorded(newContact(account)))); err != nil {
			t.Fatal(err)
		}
		if !isWhole(t, s, r) {
			t.Error("a contact is not there")
		}
	}
	rows, err := pool.Query(t.Context(), "SELECT statement FROM pg_prepared_statements WHERE custom_plans > $1 AND strpos(statement, $2) > 0", tries, schema)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(again) > 0 {
		t.Errorf("planned for each call: %q, %v", again, err)
	}
}

// openRecorded opens a store, and returns what it sends.
func openRecorded(t *testing.T, url string, opts *postgres.Options) (*postgres.Store, *recorder) {
	t.Helper()
	sent := &recorder{sent: make(map[string][]any)}
	s, _ := openOnPool(t, url, opts, func(c *pgxpool.Config) { c.ConnConfig.Tracer = sent })
	return s, sent
}

// wantNoSequentialScan explains, as that role, every statement of a store that
// does everything with the account. Of small tables it looks only at writes, and at
// those of new tables too.
func wantNoSequentialScan(t *testing.T, role string, opts *postgres.Options, account uuid.UUID, small bool) {
	t.Helper()
	s, sent := openRecorded(t, role, opts)
	clear(sent.sent)
	useAll(t, s, account)

	c, err := pgx.Connect(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	fresh := "" // its tables are new
	if small {
		fresh = newSchema(t, role)
		open(t, role, fresh)
	}
	scan := regexp.MustCompile(`Seq Scan on (contact|contact_lookup|idempotency|journal)\b`)
	ofAccount := regexp.MustCompile(`(?m)contact_lookup.*\n(.*Recheck Cond.*\n.*\n)?.*Index Cond: \(account_id = \S+\)$`)
	erasures := regexp.MustCompile(`kind = 3 (AND j.sequence|ORDER)`) // of any subject
	explained, ofErasures := 0, 0
	for sql, args := range sent.sent {
		if !strings.Contains(sql, opts.Schema) || small && !strings.Contains(sql, "unnest") {
			continue // also BEGIN and the like
		}
		explained++
		plans := map[string]string{"any arguments": explainGeneric(t, c, sql)}
		if small {
			plans["any arguments in new tables"] = explainGeneric(t, c, strings.ReplaceAll(sql, opts.Schema, fresh))
		} else {
			plans["its arguments"] = explain(t, c, sql, args)
		}
		for kind, plan := range plans {
			if scan.MatchString(plan) {
				t.Errorf("a sequential scan with the plan for %s:\n%s\n%s", kind, sql, plan)
			}
			if ofAccount.MatchString(plan) {
				t.Errorf("all look-ups of an account are read with the plan for %s:\n%s\n%s", kind, sql, plan)
			}
			if !erasures.MatchString(sql) {
				continue
			}
			if ofErasures++; !strings.Contains(plan, "journal_erasure") {
				t.Errorf("erasures are looked for among all entries with the plan for %s:\n%s\n%s", kind, sql, plan)
			}
		}
	}
	t.Logf("%d statements explained", explained)
	if !small && ofErasures == 0 {
		t.Error("no statement looks for erasures alone")
	}
	const least = 15
	if explained < least {
		t.Errorf("only %d statements were recorded, want at least %d", explained, least)
	}
}

func explain(t *testing.T, c *pgx.Conn, sql string, args []any) string {
	t.Helper()
	return planOf(t, c, "EXPLAIN "+sql, args...)
}

// explainGeneric explains what the server does once it no longer plans for each
// set of arguments.
func explainGeneric(t *testing.T, c *pgx.Conn, sql string) string {
	t.Helper()
	n := 0
	for _, m := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(sql, -1) {
		i, _ := strconv.Atoi(m[1])
		n = max(n, i)
	}
	call := "EXPLAIN EXECUTE explained"
	if n > 0 {
		call += "(" + strings.TrimSuffix(strings.Repeat("NULL, ", n), ", ") + ")"
	}
	for _, statement := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE explained AS " + sql} {
		if _, err := c.PgConn().Exec(t.Context(), statement).ReadAll(); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	defer func() { c.PgConn().Exec(t.Context(), "DEALLOCATE explained; RESET plan_cache_mode").ReadAll() }()
	return planOf(t, c, call)
}

func planOf(t *testing.T, c *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	rows, err := c.Query(t.Context(), sql, append([]any{pgx.QueryExecModeDescribeExec}, args...)...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}

// fill stores that many contacts in ten accounts, some of them deleted, with an
// idempotency each, and returns the accounts.
func fill(t *testing.T, url, schema string, s contacts.Store, n int) []uuid.UUID {
	t.Helper()
	accounts := make([]uuid.UUID, 10)
	for i := range accounts {
		accounts[i] = addAccount(t, s)
	}
	name := pgx.Identifier{schema}.Sanitize()
	statements := []string{
		`INSERT INTO {schema}.contact SELECT ($1::uuid[])[i % 10 + 1], gen_random_uuid(), 'Ada', 'Lovelace ' || i, i || '@example.com', 'Engines', '',
			repeat('x', 40), 'London', '', '', 'GB', 'status ' || i % 5, 'stage ' || i % 7, '', i % 3, '[["` + uuid.NewString() + `","+1555","mobile",1]]', '["vip"]',
			'{"a":"' || repeat('x', 100) || '"}', '', 'ada lovelace ' || i || chr(10) || i || '@example.com', i, i, 1,
			CASE WHEN i % 20 = 0 THEN i ELSE 0 END FROM generate_series(1, $2::int) AS i`,
		`INSERT INTO {schema}.contact_lookup SELECT account_id, gen_random_uuid(), id FROM {schema}.contact, generate_series(1, 4)
			WHERE $1::uuid[] IS NOT NULL AND $2::int > 0`,
		`INSERT INTO {schema}.contact_lookup SELECT account_id, '00000000-0000-0000-0000-000000000001', id FROM {schema}.contact
			WHERE $1::uuid[] IS NOT NULL AND $2::int > 0`,
		`INSERT INTO {schema}.journal SELECT ($1::uuid[])[i % 10 + 1], i + 1000, 1, i, sha256(i::text::bytea), i, i % 2 * i, '{}' FROM generate_series(1, $2::int) AS i`,
		`UPDATE {schema}.account_state SET sequence = $2::int + 1000 WHERE account_id = ANY($1)`,
		`INSERT INTO {schema}.idempotency SELECT ($1::uuid[])[i % 10 + 1], sha256(i::text::bytea), '', '{}', i FROM generate_series(1, $2::int) AS i`,
	}
	for _, sql := range statements {
		execute(t, url, strings.ReplaceAll(sql, "{schema}", name), accounts, n)
	}
	for _, table := range []string{"contact", "contact_lookup", "idempotency", "journal", "account_state", "account", "setting", "team", "api_key"} {
		execute(t, url, "VACUUM ANALYZE "+name+"."+table)
	}
	return accounts
}

// useAll makes every kind of call, so that each statement is sent once.
func useAll(t *testing.T, s *postgres.Store, account uuid.UUID) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := contacts.KeyRecord{APIKey: contacts.APIKey{ID: newID(), AccountID: account}}
	copy(key.Hash[:], key.ID[:])
	_, err := s.AddToDirectory(ctx, contacts.Directory{
		Accounts: []contacts.Account{{ID: newID()}}, Teams: []contacts.Team{{AccountID: account}}, Keys: []contacts.KeyRecord{key},
	})
	must(err)
	setting := contacts.SettingRecord{AccountID: account, Version: 1, Name: "events", Value: "{}", At: noon}
	_, err = s.AddToDirectory(ctx, contacts.Directory{Settings: []contacts.SettingRecord{setting}})
	must(err)
	for kind := contacts.DirectoryAccounts; kind <= contacts.DirectorySettings; kind++ {
		_, err := s.ListDirectory(ctx, contacts.DirectoryQuery{Kind: kind, AccountID: account, Limit: 9})
		must(err)
	}
	_, err = s.FindKey(ctx, key.Hash)
	must(err)
	_, err = s.FindAccount(ctx, account)
	must(err)
	for _, u := range []contacts.DirectoryUpdate{{KeyID: key.ID, At: noon}, {AccountID: account, At: noon}, {AccountID: account}} {
		must(s.UpdateDirectory(ctx, u))
	}

	current := func(m contacts.Mutation) contacts.Mutation {
		m.Settings = 1
		return m
	}
	r := newContact(account)
	must(apply(ctx, s, current(creation(r))))
	if apply(ctx, s, current(creation(r))) == nil {
		t.Error("a contact was created twice")
	}
	must(apply(ctx, s, current(recorded(newContact(account)))))
	var many []*contacts.ContactRecord
	var mutations []contacts.Mutation
	for i := range 200 {
		r := newContact(account)
		r.Contact.ID[15] = byte(i) // so that some of the events have others pruned
		m := current(creation(r))
		m.Idempotency, m.Claims, m.Journal = once(byte(i)), r.MatchKeys(), []contacts.JournalEntry{event(r)} // the first has others pruned
		many, mutations = append(many, r), append(mutations, m)
	}
	must(apply(ctx, s, mutations...))
	ended := current(contacts.Mutation{AccountID: account, Idempotency: once(0)})
	ended.Idempotency.EndsAt = noon.AddDate(3, 0, 0)
	must(applyBatch(ctx, s, contacts.MutationBatch{Mutations: []contacts.Mutation{ended}, Now: noon.AddDate(2, 0, 0)}))
	newest, err := s.ListJournal(ctx, contacts.JournalQuery{AccountID: account, Backwards: true, Limit: 1})
	must(err)
	erased := newest[0]
	must(apply(ctx, s, current(contacts.Mutation{AccountID: account, Journal: []contacts.JournalEntry{erased}})))
	dry := current(creation(newContact(account)))
	dry.Idempotency, dry.Journal = once(250), []contacts.JournalEntry{event(r), erased}
	dry.Claims = []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: "nobody@example.com"}}
	must(applyBatch(ctx, s, contacts.MutationBatch{Mutations: []contacts.Mutation{dry}, Now: noon, DryRun: true}))
	for _, q := range []contacts.JournalQuery{{}, {After: 10}, {Kind: contacts.JournalEvent}, {Kind: contacts.JournalErasure}} {
		for _, subjects := range [][][32]byte{nil, {erased.Subject}} {
			for _, backwards := range []bool{false, true} {
				q.AccountID, q.Limit, q.Subjects, q.Backwards = account, 100, subjects, backwards
				_, err := s.ListJournal(ctx, q)
				must(err)
			}
		}
	}

	_, err = s.FindContact(ctx, account, r.Contact.ID)
	must(err)
	mutations = nil
	for i, r := range many {
		m, changed := change(r, func(c *contacts.Contact) { c.DeletedAt, c.Email, c.Tags = noon, "", []string{"a", "b"} })
		many[i], mutations = changed, append(mutations, current(m))
	}
	must(apply(ctx, s, mutations...))

	for _, base := range []contacts.ContactQuery{{}, {PhoneNumber: "+15551234567"}, {Email: "ada@example.com"}, {Tag: "vip"}, {Tag: "vip", Email: "ada@example.com"},
		{MatchKeys: many[0].MatchKeys()}, {MatchKeys: many[0].MatchKeys(), Tag: "vip"}, {IDs: []uuid.UUID{r.Contact.ID}},
	} {
		for _, deleted := range []bool{false, true} {
			for _, q := range []contacts.ContactQuery{
				{AllTeams: true}, {}, {Teams: []int64{1, 2}}, {AllTeams: true, TeamID: 1}, {AllTeams: true, Status: "status 1"},
				{AllTeams: true, Stage: "stage 1"}, {AllTeams: true, Search: "lovelace 77"}, {AllTeams: true, After: newID()}, {AllTeams: true, Skip: 10},
			} {
				q.AccountID, q.Limit, q.Count, q.Deleted = account, 25, true, deleted
				q.PhoneNumber, q.Email, q.Tag, q.MatchKeys, q.IDs = base.PhoneNumber, base.Email, base.Tag, base.MatchKeys, base.IDs
				if deleted {
					q.DeletedBefore = noon
				}
				_, err := s.ListContacts(ctx, q)
				must(err)
				shared := q
				shared.Shared = contacts.KeyEmail
				_, err = s.ListContacts(ctx, shared)
				must(err)
				q.After = newID() // so that the count has a statement of its own
				_, err = s.ListContacts(ctx, q)
				must(err)
			}
		}
	}
	for f, err := range s.Check(ctx, false) {
		must(err)
		if f.Code == "lookup_extra" {
			break // by then each of its statements has been sent
		}
	}
	mutations = nil
	for _, r := range many {
		mutations = append(mutations, current(removal(r)))
	}
	must(apply(ctx, s, mutations...))
	must(applyBatch(ctx, s, contacts.MutationBatch{Now: noon.AddDate(3, 0, 0)}))
}

// The entries of a subject are found by their index, also while the server has no
// statistics of the journal: it does not read all entries of the account.
func TestEntriesOfASubjectAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	s, sent := openRecorded(t, url, &postgres.Options{Schema: newSchema(t, url)})
	account := addAccount(t, s)
	entries := make([]contacts.JournalEntry, 3000)
	for i := range entries {
		entries[i] = contacts.JournalEntry{Kind: contacts.JournalDoNotCall, Subject: [32]byte{byte(i), byte(i >> 8)}, At: noon, Data: "{}"}
	}
	c := connect(t, url)
	for _, part := range [][]contacts.JournalEntry{nil, entries[:20], entries[20:]} {
		if part != nil {
			if err := apply(t.Context(), s, contacts.Mutation{AccountID: account, Journal: part}); err != nil {
				t.Fatal(err)
			}
		}
		clear(sent.sent)
		for _, q := range []contacts.JournalQuery{{}, {Backwards: true}, {Backwards: true, After: 10}} {
			q.AccountID, q.Kind, q.Subjects, q.Limit = account, contacts.JournalDoNotCall, [][32]byte{entries[5].Subject}, 10_000
			found, err := s.ListJournal(t.Context(), q)
			if err != nil || (len(found) == 1) != (part != nil) {
				t.Fatalf("got %d entries, %v", len(found), err)
			}
		}
		explained := 0
		for sql, args := range sent.sent {
			if !strings.Contains(sql, "subject") {
				continue
			}
			explained++
			for kind, plan := range map[string]string{"any arguments": explainGeneric(t, c, sql), "its arguments": explain(t, c, sql, args)} {
				if !strings.Contains(plan, "journal_subject") || !strings.Contains(plan, "head = ") || strings.Contains(plan, "journal_pkey") || strings.Contains(plan, "Filter: ((head") {
					t.Errorf("after %d entries the plan for %s:\n%s\n%s", len(part), kind, sql, plan)
				}
			}
		}
		if explained != 3 {
			t.Errorf("%d statements were explained, want 3", explained)
		}
	}
}
