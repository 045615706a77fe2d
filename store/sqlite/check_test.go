//go:build cgo && unix

package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/internal/erasetest"
	"example.com/contacts/store/sqlite"
)

// checkCodes returns the codes of what Check finds, each once and sorted.
func checkCodes(t *testing.T, s *sqlite.Store, deep bool) (codes []string) {
	t.Helper()
	for f, err := range s.Check(t.Context(), deep) {
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

// healthyFile returns a file with something of everything, that nobody has open.
func healthyFile(t *testing.T) string {
	t.Helper()
	path := storePath(t)
	s, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
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
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCheck plants what Check finds, and checks that it changes no byte. Whether a
// rebuild of the look-ups repairs it is checked too.
func TestCheck(t *testing.T) {
	t.Parallel()
	healthy, err := os.ReadFile(healthyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		plant   []string
		codes   []string
		deep    []string // what is found with deep
		rebuilt bool     // RebuildLookups repairs it
	}{
		{"nothing", nil, nil, nil, true},
		{"a row that breaks its rule", []string{"PRAGMA ignore_check_constraints = ON", "INSERT INTO directory_version VALUES (2, 0)"}, []string{"integrity"}, []string{"integrity"}, false},
		{"a key of no account", []string{"INSERT INTO api_key SELECT zeroblob(16), 99, zeroblob(32), name, permissions, team_ids, all_teams, 1, NULL, NULL FROM api_key LIMIT 1"}, nil, []string{"integrity"}, false},
		{"no entry of a kind", []string{"DELETE FROM lookup WHERE kind = 2"}, []string{"lookup_missing"}, []string{"lookup_missing"}, true},
		{"no entry at all", []string{"DELETE FROM lookup"}, []string{"lookup_missing"}, []string{"lookup_missing"}, true},
		{"an entry that its contact does not have", []string{"INSERT INTO lookup SELECT 1, 3, 42, max(seq) FROM contact_data"}, []string{"lookup_extra"}, []string{"lookup_extra"}, true},
		{"an entry of no contact, and of no account", []string{"INSERT INTO lookup SELECT 99, 3, 42, 1"}, []string{"lookup_extra"}, []string{"lookup_extra"}, true},
		{"a contact that was changed by hand", []string{"UPDATE contact_data SET email = 'new@example.com' WHERE first_name = 'Ann'"}, []string{"lookup_extra", "lookup_missing"}, []string{"lookup_extra", "lookup_missing"}, true},
		{"entries of a contact that is not in the look-ups yet", []string{
			"UPDATE lookup_state SET seq = seq - 1", "INSERT INTO lookup SELECT 1, 3, 42, max(seq) FROM contact_data", "DELETE FROM lookup WHERE kind = 2 AND seq = (SELECT max(seq) FROM contact_data)",
			"DELETE FROM lookup WHERE kind = 2 AND seq = (SELECT min(seq) FROM contact_data)", // which alone is wrong
		}, []string{"lookup_missing"}, []string{"lookup_missing"}, false},
		{"no hash of an idempotency record", []string{"UPDATE idempotency_moved SET n = 99"}, nil, []string{"lookup_missing"}, true},
		{"a hash of no idempotency record", []string{"INSERT INTO idempotency_lookup VALUES (-7, 1), (7, 99)"}, nil, []string{"lookup_extra"}, true},
		{"hashes that have not moved", []string{"UPDATE idempotency SET n = n + 1000"}, nil, nil, true},
		{"hashes that were changed by hand", []string{
			"UPDATE idempotency_moved SET n = 99", "INSERT INTO idempotency_lookup SELECT 42, n FROM idempotency",
			"UPDATE idempotency SET hashes = randomblob(length(hashes))",
		}, nil, []string{"lookup_extra", "lookup_missing"}, true},
		{"hashes of many idempotency records", []string{
			"WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i LIMIT 5000) INSERT INTO idempotency (hashes, records, ends_at) SELECT randomblob(8), zeroblob(74), 9e15 FROM i",
			"UPDATE idempotency_moved SET n = 3000", "INSERT INTO idempotency_lookup SELECT n, n FROM idempotency WHERE n % 3",
		}, nil, []string{"lookup_extra", "lookup_missing"}, true},
		{"idempotency records that cannot be read", []string{"UPDATE idempotency SET records = zeroblob(7)"}, nil, []string{"integrity"}, false},
		{"a counter below the newest number", []string{"UPDATE journal_state SET sequence = sequence - 1"}, []string{"sequence_wrong"}, []string{"sequence_wrong"}, false},
		{"no counter", []string{"DELETE FROM journal_state"}, []string{"sequence_wrong"}, []string{"sequence_wrong"}, false},
		{"no newest entry", []string{"UPDATE journal_state SET sequence = sequence + 1"}, []string{"sequence_wrong"}, []string{"sequence_wrong"}, false},
		{"no entry of an account that had some", []string{"DROP TRIGGER journal_stays", "DELETE FROM journal"}, []string{"sequence_wrong"}, []string{"sequence_wrong"}, false},
		{"an account that never had an entry", []string{"INSERT INTO account SELECT 99, randomblob(16), name, created_at, NULL, 0 FROM account"}, nil, nil, true},
		{"a number below 1", []string{"INSERT INTO journal (account, sequence, kind, head, subject, data) VALUES (1, 0, 1, 0, zeroblob(32), '{}')"}, []string{"sequence_wrong"}, []string{"sequence_wrong"}, false},
		{"an event that cannot be read", []string{"UPDATE journal SET data = '{' WHERE kind = 1"}, []string{"entry_unreadable"}, []string{"entry_unreadable"}, false},
		{"events that share a row and cannot be read", []string{"UPDATE event_run SET later = '['"}, []string{"integrity"}, []string{"integrity"}, false},
		{"an empty row of events", []string{"UPDATE event_run SET later = '[]', contacts = x''"}, []string{"integrity"}, []string{"integrity"}, false},
		{"events that are not found by their contacts", []string{"UPDATE event_run SET lowest = lowest + 1, highest = highest + 1"}, []string{"integrity"}, []string{"integrity"}, false},
		{"events that share a row after the newest number", []string{"UPDATE event_run SET sequence = sequence + 1000"}, []string{"sequence_wrong"}, []string{"sequence_wrong"}, false},
		{"no setting of the ledger", []string{"UPDATE setting SET value = '' WHERE name = 'do_not_call'"}, []string{"ledger_secret_missing"}, []string{"ledger_secret_missing"}, false},
		{"a contact that was erased", []string{"UPDATE contact_data SET id = (SELECT substr(subject, 1, 16) FROM journal WHERE kind = 3) WHERE first_name = 'Ann'"}, []string{"erased_is_back"}, []string{"erased_is_back"}, false},
		{"a context", []string{"UPDATE contact_data SET custom_context = '{' WHERE first_name = 'Ann'"}, []string{"context_unreadable"}, []string{"context_unreadable"}, false},
		{"phone numbers", []string{"UPDATE contact_data SET phones = '[' WHERE first_name = 'Ann'"}, []string{"contact_unreadable"}, []string{"contact_unreadable"}, false},
		{"a team", []string{"DELETE FROM team"}, []string{"team_missing"}, []string{"team_missing"}, false},
		{"a time", []string{"UPDATE contact_data SET updated_at = 9e15 WHERE first_name = 'Ann'"}, []string{"clock_ahead"}, []string{"clock_ahead"}, false},
		{"an actor", []string{"UPDATE setting SET actor = '{'"}, []string{"integrity"}, []string{"integrity"}, false},
		{"a setting", []string{"UPDATE setting SET value = '{' WHERE name = 'events'"}, []string{"setting_unreadable"}, []string{"setting_unreadable"}, false},
		{"a version", []string{"UPDATE account SET settings_version = 9"}, []string{"settings_version_wrong"}, []string{"settings_version_wrong"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			if err := os.WriteFile(path, healthy, 0o600); err != nil {
				t.Fatal(err)
			}
			plantInto(t, path, test.plant)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := sqlite.Open(t.Context(), path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.codes, checkCodes(t, s, false)); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.deep, checkCodes(t, s, true)); diff != "" {
				t.Errorf("codes with deep (-want +got):\n%s", diff)
			}
			if n := s.Stats().UnmergedContacts; n == 0 { // else Close may write
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				after, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(before, after) {
					t.Error("the file was changed")
				}
				s = open(t, path)
			} else {
				t.Cleanup(func() { s.Close() })
			}
			if !test.rebuilt {
				return
			}
			if err := s.RebuildLookups(t.Context()); err != nil {
				t.Fatal(err)
			}
			if codes := checkCodes(t, s, true); codes != nil {
				t.Errorf("after RebuildLookups: %v", codes)
			}
		})
	}
}

// plantInto runs statements on the file as any other program can.
func plantInto(t *testing.T, path string, statements []string) {
	t.Helper()
	if statements == nil {
		return
	}
	db, err := sql.Open("sqlite3", sqlite.URI(path, "mode=rwc&_foreign_keys=off"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		exec1(t, db, s)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A check of a file that others write finds nothing, and a rebuild of its look-ups
// takes nothing away.
func TestCheckWhileOthersWrite(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path := storePath(t)
	plan := sqlite.NewPlan().RunLength(7).RecentHashes(8)
	s, other := mustOpen(t, plan, path), open(t, path)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	account := mustAccount(t, s)
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for i, writer := range []*sqlite.Store{s, other} {
		busy.Go(func() {
			for n := 0; ; n++ {
				r := newContact(account)
				r.Contact.Email = fmt.Sprintf("%d@%d.example.com", n, i)
				err := create(ctx, writer, r)
				if err == nil {
					changed := *r
					changed.Contact.Version, changed.Contact.Email, changed.Contact.Tags = 2, "moved-"+r.Contact.Email, nil
					if err = apply(ctx, writer, updateOf(&changed, 1)); err == nil && n%2 == 0 {
						err = apply(ctx, writer, removalOf(&changed))
					}
				}
				if err == nil { // its idempotency record comes, moves and goes
					err = applyBatch(ctx, writer, keyed(account, noon.Add(time.Duration(n)*10*time.Minute), rand.Uint64()))
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
	for i := range 6 {
		if codes := checkCodes(t, s, i%2 == 0); codes != nil {
			t.Errorf("found %v", codes)
		}
		if err := other.RebuildLookups(ctx); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	busy.Wait()
	if codes := checkCodes(t, other, true); codes != nil {
		t.Errorf("at the end: %v", codes)
	}
}

// A rebuild that was cut off is done by the next one.
func TestRebuildLookupsGoesOn(t *testing.T) {
	t.Parallel()
	path := healthyFile(t)
	plantInto(t, path, []string{"DELETE FROM lookup", "INSERT INTO lookup VALUES (1, 3, 42, 1)"})
	s := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.RebuildLookups(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
	if diff := cmp.Diff([]string{"lookup_extra", "lookup_missing"}, checkCodes(t, s, false)); diff != "" {
		t.Errorf("after a rebuild that did nothing (-want +got):\n%s", diff)
	}
	if err := s.RebuildLookups(t.Context()); err != nil {
		t.Fatal(err)
	}
	if codes := checkCodes(t, s, false); codes != nil {
		t.Errorf("found %v", codes)
	}
}

// A check ends when its caller has seen enough, with its context, and after Close.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	path := healthyFile(t)
	plantInto(t, path, []string{"DELETE FROM lookup"})
	s := open(t, path)
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
	store, done := exampleStore()
	defer done()
	found := 0
	for f, err := range store.Check(context.Background(), false) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Severity, f.Code, f.Message, f.Advice)
		found++
	}
	fmt.Println("findings:", found)
	// Output: findings: 0
}

func ExampleStore_RebuildLookups() {
	store, done := exampleStore()
	defer done()
	fmt.Println(store.RebuildLookups(context.Background()))
	// Output: <nil>
}

// exampleStore returns a store in a temporary folder.
func exampleStore() (store *sqlite.Store, done func()) {
	folder, err := os.MkdirTemp("", "contacts-")
	if err != nil {
		log.Fatal(err)
	}
	store, err = sqlite.Open(context.Background(), filepath.Join(folder, "contacts.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	return store, func() {
		store.Close()
		os.RemoveAll(folder)
	}
}
