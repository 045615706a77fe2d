package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/store/internal/erasetest"
	"example.com/contacts/store/postgres"
)

// checkCodes returns the codes of what Check finds, each once and sorted.
func checkCodes(t *testing.T, s *postgres.Store) (codes []string) {
	t.Helper()
	for f, err := range s.Check(t.Context(), true) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Severity == 0 || f.Message == "" || f.Advice == "" {
			t.Errorf("a finding does not say how bad it is, what it is and what to do: %+v", f)
		}
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// TestCheck plants what Check finds, one after the other, and takes it back. Whether a
// rebuild of the look-ups repairs it is checked too.
func TestCheck(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	s, err := postgres.Open(t.Context(), url, &postgres.Options{Schema: schema, RowSecurity: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := erasetest.New(t, s)
	gone := w.Person(t)
	w.Crowd(t, 20)
	_, err = w.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.Account.ID, ContactID: gone.ID, Suppress: true})
	if err == nil {
		_, err = w.Admin.CreateTeam(t.Context(), contacts.Team{AccountID: w.Account.ID})
	}
	if err == nil {
		_, err = w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{FirstName: "Ann", TeamID: 1, Email: "ann@example.com", Tags: []string{"vip"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if codes := checkCodes(t, s); codes != nil {
		t.Errorf("in a healthy store: %v", codes)
	}
	// A store keeps settings in memory until the account has another version.
	set := func(name, value string) string {
		return "WITH a AS (UPDATE {}.account SET settings_version = settings_version + 1 RETURNING account_id, settings_version) " +
			"INSERT INTO {}.setting SELECT account_id, settings_version, '" + name + "', '" + value + "', 0, '{}' FROM a"
	}
	const unset = "WITH a AS (UPDATE {}.account SET settings_version = settings_version - 1 RETURNING account_id, settings_version) " +
		"DELETE FROM {}.setting AS s USING a WHERE s.account_id = a.account_id AND s.version > a.settings_version"
	for _, test := range []struct {
		name        string
		plant, undo string // {} is the schema
		codes       []string
		rebuilt     bool // RebuildLookups repairs it
	}{
		{"no entry at all", "DELETE FROM {}.contact_lookup", "", []string{"lookup_missing"}, true},
		{
			"an entry that its contact does not have", "INSERT INTO {}.contact_lookup SELECT account_id, '74000000-0000-7000-8000-000000000001', id FROM {}.contact WHERE first_name = 'Ann'", "",
			[]string{"lookup_extra"}, true,
		},
		{
			"an entry of no contact", "INSERT INTO {}.contact_lookup SELECT account_id, '74000000-0000-7000-8000-000000000001', account_id FROM {}.account", "",
			[]string{"lookup_extra"}, true,
		},
		{"a contact that was changed by hand", "UPDATE {}.contact SET email = 'new@example.com' WHERE first_name = 'Ann'", "", []string{"lookup_extra", "lookup_missing"}, true},
		{
			"a counter below the newest number", "UPDATE {}.account_state SET sequence = sequence - 1", "UPDATE {}.account_state SET sequence = sequence + 1",
			[]string{"sequence_wrong"}, false,
		},
		{
			"no newest entry", "UPDATE {}.account_state SET sequence = sequence + 1", "UPDATE {}.account_state SET sequence = sequence - 1",
			[]string{"sequence_wrong"}, false,
		},
		{
			"no counter", "DELETE FROM {}.account_state", "INSERT INTO {}.account_state SELECT account_id, max(sequence) FROM {}.journal GROUP BY 1",
			[]string{"sequence_wrong"}, false,
		},
		{
			"no counter of an account that never had an entry", "INSERT INTO {}.account SELECT '74000000-0000-7000-8000-000000000002', name, created_at, 0, 0 FROM {}.account",
			"DELETE FROM {}.account WHERE account_id = '74000000-0000-7000-8000-000000000002'", []string{"sequence_wrong"}, false,
		},
		{
			"a number below 1", "INSERT INTO {}.journal SELECT account_id, 0, 1, 0, '', 0, 0, '{}' FROM {}.account", "DELETE FROM {}.journal WHERE sequence = 0",
			[]string{"sequence_wrong"}, false,
		},
		{"an event that cannot be read", "UPDATE {}.journal SET data = '?' || data WHERE kind = 1", "UPDATE {}.journal SET data = substr(data, 2) WHERE kind = 1", []string{"entry_unreadable"}, false},
		{"no setting of the ledger", set("do_not_call", ""), unset, []string{"ledger_secret_missing"}, false},
		{"a setting", set("events", "?"), unset, []string{"setting_unreadable"}, false},
		{"an actor", "UPDATE {}.setting SET actor = '?' || actor", "UPDATE {}.setting SET actor = substr(actor, 2)", []string{"integrity"}, false},
		{
			"a version", "UPDATE {}.account SET settings_version = settings_version + 1", "UPDATE {}.account SET settings_version = settings_version - 1",
			[]string{"settings_version_wrong"}, false,
		},
		{"a context", "UPDATE {}.contact SET custom_context = '?' WHERE first_name = 'Ann'", "UPDATE {}.contact SET custom_context = '' WHERE first_name = 'Ann'", []string{"context_unreadable"}, false},
		{"phone numbers", "UPDATE {}.contact SET phones = '[' WHERE first_name = 'Ann'", "UPDATE {}.contact SET phones = '' WHERE first_name = 'Ann'", []string{"contact_unreadable"}, false},
		{"a team", "UPDATE {}.contact SET team_id = 7 WHERE first_name = 'Ann'", "UPDATE {}.contact SET team_id = 1 WHERE first_name = 'Ann'", []string{"team_missing"}, false},
		{
			"a time", "UPDATE {}.contact SET updated_at = updated_at + 9000000000000000 WHERE first_name = 'Ann'", "UPDATE {}.contact SET updated_at = updated_at - 9000000000000000 WHERE first_name = 'Ann'",
			[]string{"clock_ahead"}, false,
		},
	} {
		run := func(sql string) {
			t.Helper()
			execute(t, url, strings.ReplaceAll(sql, "{}.", pgx.Identifier{schema}.Sanitize()+"."))
		}
		run(test.plant)
		if diff := cmp.Diff(test.codes, checkCodes(t, s)); diff != "" {
			t.Errorf("%s: codes (-want +got):\n%s", test.name, diff)
		}
		if test.rebuilt {
			if err := s.RebuildLookups(t.Context()); err != nil {
				t.Errorf("%s: RebuildLookups: %v", test.name, err)
			}
		} else {
			run(test.undo)
		}
		if codes := checkCodes(t, s); codes != nil {
			t.Fatalf("%s: afterwards: %v", test.name, codes)
		}
	}
}

// A check of tables that others write finds nothing, and a rebuild of the look-ups
// takes nothing away.
func TestCheckWhileOthersWrite(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := serverURL(t)
	s := open(t, url, takeSchema(t))
	account := addAccount(t, s)
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() {
			for n := 0; ; n++ {
				r := newContact(account)
				err := create(ctx, s, r)
				if err == nil {
					m, changed := change(r, func(c *contacts.Contact) { c.Email, c.Tags = "moved-"+c.Email, nil })
					if err = apply(ctx, s, m); err == nil && n%2 == 0 {
						err = apply(ctx, s, removal(changed))
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 5 {
		if codes := checkCodes(t, s); codes != nil {
			t.Errorf("found %v", codes)
		}
		if err := s.RebuildLookups(ctx); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	busy.Wait()
	if codes := checkCodes(t, s); codes != nil {
		t.Errorf("at the end: %v", codes)
	}
}

// A check ends when its caller has seen enough, with its context, and after Close.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	account := addAccount(t, s)
	if err := create(t.Context(), s, newContact(account), newContact(account)); err != nil {
		t.Fatal(err)
	}
	execute(t, url, "DELETE FROM "+pgx.Identifier{schema, "contact_lookup"}.Sanitize())
	n := 0
	for range s.Check(t.Context(), false) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("the body ran %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range s.Check(ctx, false) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("when the context was cancelled: %v", last)
	}
	if err := s.RebuildLookups(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("RebuildLookups with a context that is done: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	n = 0
	for f, err := range s.Check(t.Context(), false) {
		n++
		if !errors.Is(err, contacts.ErrClosed) {
			t.Errorf("after Close: %+v, %v", f, err)
		}
	}
	if n != 1 {
		t.Errorf("after Close the body ran %d times", n)
	}
	if err := s.RebuildLookups(t.Context()); !errors.Is(err, contacts.ErrClosed) {
		t.Errorf("RebuildLookups after Close: %v", err)
	}
}

func ExampleStore_Check() {
	ctx := context.Background()
	store, err := postgres.Open(ctx, "postgres://app:secret@db.example.com/app?sslmode=verify-full", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	for f, err := range store.Check(ctx, false) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f.Severity, f.Code, f.Message, f.Advice)
	}
}

func ExampleStore_RebuildLookups() {
	ctx := context.Background()
	store, err := postgres.Open(ctx, "postgres://app:secret@db.example.com/app?sslmode=verify-full", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	if err := store.RebuildLookups(ctx); err != nil {
		fmt.Println(err)
	}
}
