package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
	"example.com/contacts/store/storetest"
)

// newOwner returns the url of a role that is no superuser, and may make schemas.
func newOwner(t testing.TB, url string) string {
	t.Helper()
	role, as := newRole(t, url)
	execute(t, url, "GRANT CREATE ON DATABASE postgres TO "+role)
	return as
}

// newRole returns the name of a role that may do nothing, and the url as it.
func newRole(t testing.TB, url string) (role, as string) {
	t.Helper()
	role = "role_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(t, url, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'")
	cleanUp(t, url, "DROP OWNED BY "+role+" CASCADE", "DROP ROLE "+role)
	return role, with(t, with(t, url, "user", role), "password", "secret")
}

// The whole contract holds with row-level security.
func TestStoreWithRowSecurity(t *testing.T) {
	longtest.SkipShort(t)
	t.Parallel()
	storetest.Run(t, newHarness(t, newOwner(t, serverURL(t)), postgres.Options{RowSecurity: true}))
}

// A statement that forgets its account sees and changes nothing of another.
func TestRowSecurityIsAWall(t *testing.T) {
	t.Parallel()
	url := newOwner(t, serverURL(t))
	schema := newSchema(t, url)
	s, err := postgres.Open(t.Context(), url, &postgres.Options{Schema: schema, RowSecurity: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ours, theirs := addAccount(t, s), addAccount(t, s)
	for _, account := range []uuid.UUID{ours, theirs} {
		r := newContact(account)
		m := creation(r)
		m.Idempotency, m.Journal = once(1), []contacts.JournalEntry{event(r)}
		if err := apply(t.Context(), s, m); err != nil {
			t.Fatal(err)
		}
		setting := contacts.SettingRecord{AccountID: account, Version: 1, Name: "events", Value: "{}", At: noon}
		if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{setting}}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	within := func(account *uuid.UUID, do func(tx pgx.Tx)) {
		t.Helper()
		tx, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		if account != nil {
			if _, err := tx.Exec(t.Context(), "SELECT set_config('contacts.accounts', $1, true)", account.String()); err != nil {
				t.Fatal(err)
			}
		}
		do(tx)
	}
	for _, table := range []string{"team", "setting", "account_state", "contact", "contact_lookup", "idempotency", "journal"} {
		name := pgx.Identifier{schema, table}.Sanitize()
		within(nil, func(tx pgx.Tx) {
			var n int
			if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM "+name).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s without an account: got %d rows, %v", table, n, err)
			}
		})
		within(&ours, func(tx pgx.Tx) {
			var own, foreign int
			if err := tx.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE account_id = $1), count(*) FILTER (WHERE account_id <> $1) FROM "+name, ours.String()).Scan(&own, &foreign); err != nil || own == 0 || foreign != 0 {
				t.Errorf("%s: got %d rows of the account, %d of others, %v", table, own, foreign, err)
			}
			for _, change := range []string{"UPDATE " + name + " SET account_id = account_id WHERE account_id = $1", "DELETE FROM " + name + " WHERE account_id = $1"} {
				if tag, err := tx.Exec(t.Context(), change, theirs.String()); err != nil || tag.RowsAffected() != 0 {
					t.Errorf("%s: a change reached %d rows of another account, %v", table, tag.RowsAffected(), err)
				}
			}
			_, err := tx.Exec(t.Context(), "UPDATE "+name+" SET account_id = $1", theirs.String())
			if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "42501" {
				t.Errorf("%s: rows were given to another account: %v", table, err)
			}
		})
	}
}

// Policies are made while others write. Of two transactions that wait for each other the
// one that has lost is made again.
func TestRowSecurityWhileOthersWrite(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	ctx := t.Context()
	url := serverURL(t)
	for range extent(2, 10) {
		schema := newSchema(t, url)
		s := open(t, url, schema)
		account := addAccount(t, s)
		stop := make(chan struct{})
		var busy sync.WaitGroup
		for i := range 16 {
			busy.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					r := newContact(account)
					m := creation(r)
					if i%2 == 0 {
						m = recorded(r)
					}
					err := apply(ctx, s, m)
					if err == nil {
						m, _ := change(r, func(c *contacts.Contact) { c.TeamID = 2 })
						err = apply(ctx, s, m)
					}
					if err != nil {
						t.Errorf("a write: %v", err)
						return
					}
				}
			})
		}
		// So that it is Open that loses, and soon.
		secured, err := postgres.Open(ctx, with(t, url, "deadlock_timeout", "20ms"), &postgres.Options{Schema: schema, RowSecurity: true})
		close(stop)
		busy.Wait()
		if err != nil {
			t.Errorf("Open: %v", err)
			continue
		}
		if err := create(ctx, secured, newContact(account)); err != nil {
			t.Error(err)
		}
		secured.Close()
	}
}

// While another program keeps Open from making policies, Open keeps nobody waiting for long.
func TestRowSecurityGivesWay(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	schema := newSchema(t, url)
	s := open(t, url, schema)
	account := addAccount(t, s)
	r := newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	release := lockRow(t, url, schema, r)
	opened := make(chan error, 1)
	go func() {
		secured, err := postgres.Open(t.Context(), url, &postgres.Options{Schema: schema, RowSecurity: true})
		if err == nil {
			err = secured.Close()
		}
		opened <- err
	}()
	waitForLock(t, url, schema)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := create(ctx, s, newContact(account)); err != nil {
		t.Errorf("a create while Open waits: %v", err)
	}
	select {
	case err := <-opened:
		t.Errorf("Open has not waited: %v", err)
	default:
	}
	release()
	if err := <-opened; err != nil {
		t.Errorf("Open: %v", err)
	}
}

// A role that may not make policies is told so.
func TestRowSecurityNeedsTheRight(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	open(t, url, schema)
	openErr(t, url, &postgres.Options{Schema: schema, RowSecurity: true, SkipMigrations: true}, postgres.ErrOlderSchema)
}
