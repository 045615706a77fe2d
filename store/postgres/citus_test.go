package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
	"example.com/contacts/store/storetest"
)

// citusVariable names a database of a Citus cluster, at its coordinator, as a
// superuser. Without it the tests on Citus are left out.
const citusVariable = "CONTACTS_CITUS_URL"

func citusURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv(citusVariable)
	if url == "" {
		t.Skipf("left out: set %s to the coordinator of a Citus cluster", citusVariable)
	}
	return url
}

// The whole contract holds on Citus.
func TestStoreOnCitus(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newHarness(t, citusURL(t), postgres.Options{}))
}

// spreadTables returns how Citus has spread the tables of the schema: r is on every
// server, d is by account, and absent is on one server alone.
func spreadTables(t *testing.T, url, schema string) map[string]string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	rows, _ := c.Query(t.Context(), `SELECT c.relname::text, CASE p.partmethod WHEN 'h' THEN 'd' ELSE 'r' END
		FROM pg_dist_partition AS p JOIN pg_class AS c ON c.oid = p.logicalrelid WHERE c.relnamespace = $1::text::regnamespace`, pgx.Identifier{schema}.Sanitize())
	found := make(map[string]string)
	var table, how string
	if _, err := pgx.ForEachRow(rows, []any{&table, &how}, func() error {
		found[table] = how
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// Open spreads the tables, also those that were there before Citus was, with their
// rows. A store that may not change them says so.
func TestOpenSpreadsTheTablesOnCitus(t *testing.T) {
	t.Parallel()
	base := citusURL(t)
	name := "contacts_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(t, base, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, base, "DROP DATABASE "+name+" WITH (FORCE)") })
	url := with(t, base, "dbname", name)
	const schema = "contacts"
	s := open(t, url, schema)
	r := newContact(addAccount(t, s))
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	s.Close()

	execute(t, url, "CREATE EXTENSION citus")
	openErr(t, url, &postgres.Options{Schema: schema, SkipMigrations: true}, postgres.ErrOlderSchema)
	openErr(t, url, &postgres.Options{Schema: schema, RowSecurity: true}, nil)
	for range 2 {
		s = open(t, url, schema)
		want := map[string]string{"account": "r", "api_key": "r", "account_state": "d", "team": "d", "setting": "d",
			"contact": "d", "contact_lookup": "d", "idempotency": "d", "journal": "d"}
		if diff := cmp.Diff(want, spreadTables(t, url, schema)); diff != "" {
			t.Errorf("the tables (-want +got):\n%s", diff)
		}
		if !isWhole(t, s, r) {
			t.Error("a contact from before Citus is not there")
		}
		wantLife(t, s)
	}
}

// Of a batch about several accounts each mutation is stored or refused by itself.
// If it is all or nothing, one that is refused leaves nothing on any server.
func TestAccountsAreMixedOnCitus(t *testing.T) {
	t.Parallel()
	url := citusURL(t)
	s := open(t, url, newSchema(t, url))
	for _, allOrNothing := range []bool{false, true} {
		var batch contacts.MutationBatch
		var records []*contacts.ContactRecord
		for range 6 {
			r := newContact(addAccount(t, s))
			records = append(records, r, newContact(r.Contact.AccountID))
		}
		records[7].Contact.TeamID = 99
		for _, i := range []int{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11} { // each account twice, apart
			batch.Mutations = append(batch.Mutations, creation(records[i]))
		}
		batch.Now, batch.AllOrNothing = noon, allOrNothing
		if err := applyBatch(t.Context(), s, batch); !errors.Is(err, contacts.ErrTeamNotFound) {
			t.Errorf("all or nothing %t: got error %v, want ErrTeamNotFound", allOrNothing, err)
		}
		for i, r := range records {
			if got, want := isWhole(t, s, r), i != 7 && !allOrNothing; got != want {
				t.Errorf("all or nothing %t: contact %d is there: %t, want %t", allOrNothing, i, got, want)
			}
		}
	}
}

// Many callers create in one account and in many. A rollback is a transaction that
// was made again.
func BenchmarkCitus(b *testing.B) {
	url := citusURL(b)
	for _, c := range []struct{ callers, accounts, writers int }{{1, 1, 0}, {64, 1, 0}, {64, 1, 8}, {64, 50, 0}, {64, 50, 8}} {
		b.Run(fmt.Sprintf("callers=%d/accounts=%d/writers=%d", c.callers, c.accounts, c.writers), func(b *testing.B) {
			benchCitus(b, url, c.callers, c.accounts, c.writers)
		})
	}
}

func benchCitus(b *testing.B, url string, callers, accounts, writers int) {
	schema := newSchema(b, url)
	s, err := postgres.Open(b.Context(), url, &postgres.Options{Schema: schema, Writers: writers})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ids := make([]uuid.UUID, accounts)
	for i := range ids {
		ids[i] = addAccount(b, s)
	}
	before := rollbacks(b, url)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := create(b.Context(), s, newContact(ids[i%int64(accounts)])); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
	b.ReportMetric(float64(rollbacks(b, url)-before), "rollbacks")
}

// rollbacks returns how many transactions the coordinator has undone.
func rollbacks(b *testing.B, url string) (n int64) {
	b.Helper()
	c, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(context.Background())
	if err := c.QueryRow(b.Context(), "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}
