package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/erasetest"
	"example.com/contacts/store/internal/ledgertest"
	"example.com/contacts/store/postgres"
)

// openNew opens a store in which nothing is stored.
func openNew(t testing.TB) *postgres.Store {
	t.Helper()
	return open(t, serverURL(t), takeSchema(t))
}

func TestNothingClears(t *testing.T) {
	t.Parallel()
	ledgertest.NothingClears(t, openNew(t), extent(5, 100))
}

func TestBornListed(t *testing.T) {
	t.Parallel()
	ledgertest.BornListed(t, openNew(t))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	ledgertest.Scenarios(t, openNew(t))
}

func TestFailClosed(t *testing.T) {
	t.Parallel()
	ledgertest.FailClosed(t, openNew(t))
}

func TestForms(t *testing.T) {
	t.Parallel()
	ledgertest.Forms(t, openNew(t))
}

func TestNoHalfIsSeen(t *testing.T) {
	t.Parallel()
	ledgertest.NoHalfIsSeen(t, openNew(t))
}

func TestRotateSecrets(t *testing.T) {
	t.Parallel()
	ledgertest.RotateSecrets(t, openNew(t))
}

// Two stores, which have no connection in common, append to the journal of one
// account.
func TestSequence(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	ledgertest.Sequence(t, open(t, url, schema), open(t, url, schema))
}

// A write that fails, whichever it is, leaves neither the contact nor its block.
func TestCreateAndBlockAreOne(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	w := erasetest.New(t, open(t, url, schema))
	ledgertest.CreateAndBlockAreOne(t, w, func(create func() error) { eachWriteFails(t, url, schema, 6, create) })
}

// A write that fails, whichever it is, leaves the person whole.
func TestEraseIsOne(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	w := erasetest.New(t, open(t, url, schema))
	w.Crowd(t, 10)
	c := w.Person(t)
	eachWriteFails(t, url, schema, 15, func() error {
		_, err := w.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID, Suppress: true})
		return err
	})
	w.WantErased(t)
}

// eachWriteFails makes the call again and again. Each time one more row is written,
// and the next one fails. That is a server error and changes nothing, until the call
// is through. It writes at least so many rows.
func eachWriteFails(t *testing.T, url, schema string, least int, call func() error) {
	t.Helper()
	tables := []string{"contact", "contact_lookup", "journal", "account_state", "idempotency"}
	// The sequence counts on when a transaction is rolled back.
	setup := `CREATE SEQUENCE {schema}.fault;
		CREATE FUNCTION {schema}.fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('{schema}.fault') > 1000000 THEN RAISE 'the disk is broken'; END IF;
			IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
			RETURN NEW;
		END $$;`
	for _, table := range tables {
		setup += "CREATE TRIGGER fault BEFORE INSERT OR UPDATE OR DELETE ON {schema}." + table + " FOR EACH ROW EXECUTE FUNCTION {schema}.fault();"
	}
	c := connect(t, url)
	run := func(sql string) {
		t.Helper()
		if _, err := c.PgConn().Exec(t.Context(), strings.ReplaceAll(sql, "{schema}", pgx.Identifier{schema}.Sanitize())).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	contents := func() map[string][]string {
		t.Helper()
		all := make(map[string][]string)
		for _, table := range tables {
			rows, err := c.Query(t.Context(), "SELECT t::text FROM "+pgx.Identifier{schema, table}.Sanitize()+" AS t ORDER BY 1")
			if err != nil {
				t.Fatal(err)
			}
			if all[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	run(setup)
	before := contents()
	for n := 0; ; n++ {
		run(fmt.Sprintf("SELECT setval('{schema}.fault', %d)", 1_000_000-n))
		err := call()
		if err == nil {
			if n < least {
				t.Errorf("%d rows only, want %d", n, least)
			}
			return
		}
		if contacts.CodeOf(err) != contacts.CodeServerError {
			t.Fatalf("row %d: %v", n, err)
		}
		if diff := cmp.Diff(before, contents()); diff != "" {
			t.Fatalf("row %d failed, and this changed:\n%s", n, diff)
		}
	}
}

// The server is killed while contacts are created with a block, changed and erased.
// Each of them is there with all that was stored with it, or gone with all of it.
func TestFaultServerKilledLeavesNoHalves(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const callers, enough, patience = 8, 40, time.Minute
	server := ownServer(t)
	w := erasetest.New(t, open(t, server.url(), "contacts"))
	told := make(map[ledgertest.Told]bool)
	for range extent(1, 60) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		said := make(chan ledgertest.Told)
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for ledgertest.Live(ctx, w, func(s ledgertest.Told) { said <- s }) == nil {
				}
			})
		}
		go func() {
			wg.Wait()
			close(said)
		}()
		n, killed := 0, make(chan struct{})
		for s := range said {
			told[s] = true
			if n++; n == enough {
				go func() {
					server.kill()
					close(killed)
				}()
			}
		}
		if n < enough || ctx.Err() != nil {
			t.Fatalf("the callers ended after %d steps, want %d: %v", n, enough, ctx.Err())
		}
		cancel()
		<-killed
		if err := server.start(); err != nil {
			t.Fatal(err)
		}
		ledgertest.WantWhole(t, w, told)
	}
	t.Logf("%d steps acknowledged", len(told))
}

// Of the journal, the store needs to change the data of entries and to remove events
// that have ended. A role that has only SELECT changes nothing.
func TestRightsOnTheJournal(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	schema := newSchema(t, url)
	if err := open(t, url, schema).Close(); err != nil {
		t.Fatal(err)
	}
	name := pgx.Identifier{schema}.Sanitize()
	app, asApp := newRole(t, url)
	execute(t, url, "GRANT USAGE ON SCHEMA "+name+" TO "+app)
	execute(t, url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+name+" TO "+app)
	execute(t, url, "REVOKE UPDATE ON "+name+".journal FROM "+app)
	execute(t, url, "GRANT UPDATE (data) ON "+name+".journal TO "+app)
	w := erasetest.New(t, open(t, asApp, schema))
	c := w.Person(t)
	before := len(ledgertest.ReadJournal(t, w.Store, w.Account.ID))
	if err := applyBatch(t.Context(), w.Store, contacts.MutationBatch{Now: time.Now().UTC().Truncate(time.Microsecond).AddDate(1, 0, 0)}); err != nil {
		t.Fatal(err)
	}
	if after := len(ledgertest.ReadJournal(t, w.Store, w.Account.ID)); after >= before {
		t.Errorf("the journal had %d entries, and has %d when events have ended", before, after)
	}
	w.Erase(t, c, true)
	w.WantErased(t)

	people, asPeople := newRole(t, url)
	execute(t, url, "GRANT USAGE ON SCHEMA "+name+" TO "+people)
	execute(t, url, "GRANT SELECT ON ALL TABLES IN SCHEMA "+name+" TO "+people)
	var n int
	if err := connect(t, asPeople).QueryRow(t.Context(), "SELECT count(*) FROM "+name+".do_not_call").Scan(&n); err != nil || n == 0 {
		t.Errorf("people see %d entries of the ledger, %v", n, err)
	}
	for as, statements := range map[string][]string{
		asPeople: {"UPDATE {journal} SET data = ''", "DELETE FROM {journal}", "TRUNCATE {journal}", "INSERT INTO {journal} TABLE {journal}"},
		asApp:    {"UPDATE {journal} SET sequence = 0", "UPDATE {journal} SET subject = ''", "TRUNCATE {journal}"},
	} {
		c := connect(t, as)
		for _, sql := range statements {
			_, err := c.Exec(t.Context(), strings.ReplaceAll(sql, "{journal}", name+".journal"))
			if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "42501" {
				t.Errorf("%s: %v, want a refusal", sql, err)
			}
		}
	}
}
