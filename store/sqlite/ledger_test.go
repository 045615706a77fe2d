//go:build cgo && unix

package sqlite_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/erasetest"
	"example.com/contacts/store/internal/ledgertest"
)

func TestNothingClears(t *testing.T) {
	t.Parallel()
	ledgertest.NothingClears(t, open(t, storePath(t)), extent(5, 150))
}

func TestBornListed(t *testing.T) {
	t.Parallel()
	ledgertest.BornListed(t, open(t, storePath(t)))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	ledgertest.Scenarios(t, open(t, storePath(t)))
}

func TestFailClosed(t *testing.T) {
	t.Parallel()
	ledgertest.FailClosed(t, open(t, storePath(t)))
}

func TestForms(t *testing.T) {
	t.Parallel()
	ledgertest.Forms(t, open(t, storePath(t)))
}

func TestNoHalfIsSeen(t *testing.T) {
	t.Parallel()
	ledgertest.NoHalfIsSeen(t, open(t, storePath(t)))
}

func TestRotateSecrets(t *testing.T) {
	t.Parallel()
	ledgertest.RotateSecrets(t, open(t, storePath(t)))
}

// Four processes append to the journal of one account, while this one follows it.
func TestSequence(t *testing.T) {
	t.Parallel()
	const processes, rounds = 4, 6
	if path, yes := inAnotherProcess(); yes {
		w := erasetest.Join(t, openFault(t, path))
		if err := ledgertest.Append(t.Context(), w.Service, w.Key, rounds); err != nil {
			t.Fatal(err)
		}
		return
	}
	for range extent(1, 50) {
		path := storePath(t)
		s := openFault(t, path)
		w := erasetest.New(t, s)
		var writers, reader sync.WaitGroup
		var ended atomic.Bool
		reader.Go(func() { ledgertest.Follow(t, s, w.Account.ID, ended.Load) })
		for range processes {
			p := again(t, path)
			writers.Go(func() { p.end(t) })
		}
		writers.Wait()
		ended.Store(true)
		reader.Wait()
		ledgertest.WantAppended(t, s, w.Account.ID, processes*rounds)
	}
}

// A write that fails, whichever it is, leaves neither the contact nor its block.
func TestCreateAndBlockAreOne(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	w := erasetest.New(t, open(t, path))
	ledgertest.CreateAndBlockAreOne(t, w, func(create func() error) { eachWriteFails(t, path, 6, create) })
}

// A write that fails, whichever it is, leaves the person whole.
func TestEraseIsOne(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	w := erasetest.New(t, open(t, path))
	w.Crowd(t, 10)
	c := w.Person(t)
	eachWriteFails(t, path, 15, func() error {
		_, err := w.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID, Suppress: true})
		return err
	})
	w.WantErased(t)
}

// eachWriteFails makes the call again and again. Each time one more of its writes
// succeeds, and the next one fails. That is a server error and changes nothing, until
// the call is through. It has at least so many writes.
func eachWriteFails(t *testing.T, path string, least int, call func() error) {
	t.Helper()
	db := plain(t, path)
	exec1(t, db, "CREATE TABLE fault (n INTEGER)") // how many writes succeed before one fails
	exec1(t, db, "INSERT INTO fault VALUES (0)")
	for _, table := range []string{"contact_data", "lookup", "lookup_gone", "journal", "journal_state", "idempotency"} {
		for _, write := range []string{"INSERT", "UPDATE", "DELETE"} {
			exec1(t, db, fmt.Sprintf(`CREATE TRIGGER fault_%[1]s_%[2]s BEFORE %[2]s ON %[1]s
				BEGIN UPDATE fault SET n = n - 1; SELECT RAISE(ABORT, 'the disk is broken') FROM fault WHERE n < 0; END`, table, write))
		}
	}
	before := contents(t, db)
	for n := 0; ; n++ {
		exec1(t, db, "UPDATE fault SET n = ?", n)
		err := call()
		if err == nil {
			if n < least {
				t.Errorf("%d writes only, want %d", n, least)
			}
			return
		}
		if contacts.CodeOf(err) != contacts.CodeServerError {
			t.Fatalf("write %d: %v", n, err)
		}
		if diff := cmp.Diff(before, contents(t, db)); diff != "" {
			t.Fatalf("write %d failed, and this changed:\n%s", n, diff)
		}
	}
}

// contents returns every row that a create or an erasure may change, as text, by
// table.
func contents(t testing.TB, db *sql.DB) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for table, columns := range map[string]string{
		"contact_data": "seq, hex(id), first_name, version", "journal": "sequence, kind, hex(subject), data", "journal_state": "account, sequence",
		"idempotency": "n, hex(hashes), hex(records)",
	} {
		rows, err := db.QueryContext(t.Context(), fmt.Sprintf("SELECT concat_ws('|', %s) FROM %s ORDER BY 1", columns, table))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				t.Fatal(err)
			}
			all[table] = append(all[table], row)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A process is killed that creates contacts with a block, changes and erases them.
// Each of them is there with all that was stored with it, or gone with all of it.
func TestFaultKilledProcessLeavesNoHalves(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	if path, yes := inAnotherProcess(); yes {
		w := erasetest.Join(t, openFault(t, path))
		crowd(4, func() {
			for {
				if err := ledgertest.Live(t.Context(), w, func(s ledgertest.Told) { os.Stdout.WriteString(storedPrefix + s.String() + "\n") }); err != nil {
					t.Error(err)
					return
				}
			}
		})
		return
	}
	path := storePath(t)
	w := erasetest.New(t, openFault(t, path))
	told := make(map[ledgertest.Told]bool)
	for range extent(2, 100) {
		killWhileItSays(t, again(t, path), 1+rand.IntN(60), func(acknowledged string) {
			s, err := ledgertest.ParseTold(acknowledged)
			if err != nil {
				t.Fatal(err)
			}
			told[s] = true
		})
		ledgertest.WantWhole(t, w, told)
	}
	t.Logf("%d steps acknowledged", len(told))
}
