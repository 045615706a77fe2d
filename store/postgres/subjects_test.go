package postgres_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// Look-ups that come at the same time share a statement, and each gets its own
// entries.
func TestLookUpsShareAStatement(t *testing.T) {
	t.Parallel()
	url := newOwner(t, serverURL(t))
	for _, security := range []bool{false, true} {
		t.Run(fmt.Sprintf("row security %t", security), func(t *testing.T) {
			t.Parallel()
			lookUpTogether(t, url, &postgres.Options{Schema: newSchema(t, url), RowSecurity: security})
		})
	}
}

func TestLookUpsShareAStatementOnCitus(t *testing.T) {
	t.Parallel()
	url := citusURL(t)
	lookUpTogether(t, url, &postgres.Options{Schema: newSchema(t, url)})
}

// onOneConnection returns a store with a pool of one connection. While that is held,
// its calls wait.
func onOneConnection(t *testing.T, url string, opts *postgres.Options) (*postgres.Store, *pgxpool.Pool) {
	t.Helper()
	return openOnPool(t, with(t, url, "pool_max_conns", "1"), opts, func(*pgxpool.Config) {})
}

func lookUpTogether(t *testing.T, url string, opts *postgres.Options) {
	s, pool := onOneConnection(t, url, opts)
	// The accounts have the same subjects, with other data.
	const accounts, subjects = 3, 5
	subject := func(i int) [32]byte { return [32]byte{7: byte(i), 31: 9} }
	var ids []uuid.UUID
	want := make(map[string][]contacts.JournalEntry)
	name := func(account, subject int, kind contacts.JournalKind) string {
		return fmt.Sprint(account, subject, kind)
	}
	for a := range accounts {
		ids = append(ids, addAccount(t, s))
		var all []contacts.JournalEntry
		for i := range 2 * subjects {
			for _, kind := range []contacts.JournalKind{contacts.JournalEvent, contacts.JournalDoNotCall} {
				of := name(a, i%subjects, kind)
				e := contacts.JournalEntry{Kind: kind, Subject: subject(i % subjects), At: noon, Data: fmt.Sprintf(`"%s %d"`, of, i)}
				all = append(all, e)
				e.Sequence = int64(len(all))
				want[of] = append(want[of], e)
			}
		}
		if err := apply(t.Context(), s, contacts.Mutation{AccountID: ids[a], Journal: all}); err != nil {
			t.Fatal(err)
		}
	}

	held, err := pool.Acquire(t.Context()) // so that the look-ups wait
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for a := range accounts {
		for i := range subjects + 1 {
			for _, kind := range []contacts.JournalKind{contacts.JournalEvent, contacts.JournalDoNotCall} {
				callers.Go(func() {
					q := contacts.JournalQuery{AccountID: ids[a], Kind: kind, Subjects: [][32]byte{subject(i), subject(i), {1}}, Limit: 10_000}
					all := want[name(a, i, kind)] // nil of the last subject
					got, err := s.ListJournal(t.Context(), q)
					if diff := cmp.Diff(all, got); err != nil || diff != "" {
						t.Errorf("account %d, subject %d, kind %d: %v (-want +got):\n%s", a, i, kind, err, diff)
					}
					q.Limit = 1
					got, err = s.ListJournal(t.Context(), q)
					if diff := cmp.Diff(all[:min(1, len(all))], got); err != nil || diff != "" {
						t.Errorf("account %d, subject %d, kind %d, the first: %v (-want +got):\n%s", a, i, kind, err, diff)
					}
				})
			}
		}
	}
	held.Release()
	callers.Wait()
}

// A look-up that the server cannot answer fails alone: keys and accounts that are looked
// for with it are found.
func TestFailedLookUpFailsAlone(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	s, pool := onOneConnection(t, url, &postgres.Options{Schema: schema})
	account := addAccount(t, s)
	execute(t, url, "ALTER TABLE "+pgx.Identifier{schema, "journal"}.Sanitize()+" RENAME TO gone")

	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if _, err := s.FindAccount(t.Context(), account); err != nil {
				t.Error(err)
			}
		})
		callers.Go(func() {
			q := contacts.JournalQuery{AccountID: account, Kind: contacts.JournalDoNotCall, Subjects: [][32]byte{{}}, Limit: 10_000}
			if _, err := s.ListJournal(t.Context(), q); err == nil {
				t.Error("ListJournal found entries in a table that is not there")
			}
		})
	}
	held.Release()
	callers.Wait()
}

// A subject with more entries than a shared statement returns is read whole.
func TestLookUpOfManyEntries(t *testing.T) {
	t.Parallel()
	const entries = 10_001
	s := openNew(t)
	account := addAccount(t, s)
	all := make([]contacts.JournalEntry, entries)
	for i := range all {
		all[i] = contacts.JournalEntry{Kind: contacts.JournalDoNotCall, At: noon, Data: "{}"}
	}
	if err := apply(t.Context(), s, contacts.Mutation{AccountID: account, Journal: all[:10_000]}, contacts.Mutation{AccountID: account, Journal: all[10_000:]}); err != nil {
		t.Fatal(err)
	}
	got, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Kind: contacts.JournalDoNotCall, Subjects: [][32]byte{{}}, Limit: entries})
	if err != nil || len(got) != entries || got[0].Sequence != 1 || got[entries-1].Sequence != entries {
		t.Errorf("got %d entries, %v, want %d", len(got), err, entries)
	}
}
