package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// lockRow keeps the contact from being changed until the function it returns is
// called.
func lockRow(t *testing.T, url, schema string, r *contacts.ContactRecord) (release func()) {
	t.Helper()
	s := newSession(t, url, schema)
	if err := s.lock(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	return s.end
}

// A statement that waits in the server ends with the caller's context.
func TestStatementEndsWithContext(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	base := serverURL(t)
	schema := newSchema(t, base)
	name := "test " + uuid.NewString()
	url := with(t, base, "application_name", name)
	s := open(t, url, schema)
	account := addAccount(t, s)
	r := newContact(account)
	r.Contact.DeletedAt = noon
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	release := lockRow(t, base, schema, r)
	grace, _ := change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
	c, err := pgx.Connect(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	// A call that does not end with its context waits for the row, which is locked.
	cancelled := func(batch contacts.MutationBatch) error {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- applyBatch(ctx, s, batch) }()
		waitForLock(t, base, schema)
		cancel()
		err := <-done
		// The server does not go on with it either.
		for began, active := time.Now(), 1; active > 0; time.Sleep(10 * time.Millisecond) {
			if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'", name).Scan(&active); err != nil {
				t.Fatal(err)
			}
			if time.Since(began) > 30*time.Second {
				t.Fatalf("%d statements go on after their contexts have ended", active)
			}
		}
		return err
	}
	if err := cancelled(contacts.MutationBatch{Mutations: []contacts.Mutation{grace}, Now: noon}); !errors.Is(err, context.Canceled) || !errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Errorf("a change: got error %v, want that of the context, and ErrOutcomeUnknown", err)
	}
	if err := cancelled(contacts.MutationBatch{Mutations: []contacts.Mutation{removal(r)}, Now: noon, AllOrNothing: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("a removal, all or nothing: got error %v, want that of the context", err)
	}
	release()
	if !isWhole(t, s, r) {
		t.Error("the contact is gone")
	}
	if err := apply(t.Context(), s, grace); err != nil {
		t.Errorf("the store does not go on: %v", err)
	}
}

// If no connection is free, calls end with their contexts, and nothing of
// them is stored.
func TestPoolExhausted(t *testing.T) {
	t.Parallel()
	base := serverURL(t)
	schema := newSchema(t, base)
	s, err := postgres.Open(t.Context(), base, &postgres.Options{Schema: schema, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	account := addAccount(t, s)
	r, waits := newContact(account), newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	release := lockRow(t, base, schema, r)
	grace, renamed := change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
	changed := make(chan error, 1)
	go func() { changed <- apply(context.Background(), s, grace) }()
	waitForLock(t, base, schema)

	for _, err := range []error{
		untilDeadline(t, func(ctx context.Context) error { return create(ctx, s, waits) }),
		untilDeadline(t, func(ctx context.Context) error {
			_, err := s.FindContact(ctx, account, r.Contact.ID)
			return err
		}),
		untilDeadline(t, func(ctx context.Context) error {
			_, err := s.FindKey(ctx, [32]byte{1})
			return err
		}),
		untilDeadline(t, func(ctx context.Context) error {
			return s.UpdateDirectory(ctx, contacts.DirectoryUpdate{AccountID: account, At: noon})
		}),
	} {
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, contacts.ErrOutcomeUnknown) {
			t.Errorf("a call without a connection: got error %v, want that of the context alone", err)
		}
	}
	release()
	if err := <-changed; err != nil {
		t.Errorf("a change that waited for the lock: %v", err)
	}
	if !isWhole(t, s, renamed) || isWhole(t, s, waits) {
		t.Error("want the change, and nothing of the create that was given up")
	}
}

// untilDeadline makes a call with a deadline. What else it waits for does not come.
func untilDeadline(t *testing.T, call func(ctx context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	return call(ctx)
}

// waitForLock returns when a statement on the schema waits for a lock.
func waitForLock(t *testing.T, url, schema string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	for began, waiting := time.Now(), 0; waiting == 0; time.Sleep(5 * time.Millisecond) {
		if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0", schema).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if time.Since(began) > 30*time.Second {
			t.Fatal("no statement waits for the lock")
		}
	}
}

// A record that the server does not take fails its own caller alone, whatever the server
// says of it.
func TestFailureStaysWithItsCaller(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	schema := newSchema(t, url)
	s := open(t, url, schema)
	account := addAccount(t, s)
	// As a trigger of the host does, and what such a trigger meets: a lock, a right, a damaged page.
	name := pgx.Identifier{schema}.Sanitize()
	execute(t, url, "CREATE FUNCTION "+name+`.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE 'refused' USING ERRCODE = split_part(NEW.first_name, ' ', 2); END $$`)
	execute(t, url, "CREATE TRIGGER refuse BEFORE INSERT ON "+name+".contact FOR EACH ROW WHEN (NEW.first_name LIKE 'refused %') EXECUTE FUNCTION "+name+".refuse()")
	for _, bad := range []string{
		"no text\x00", // which a Service never sends
		"refused P0001", "refused 55P03", "refused 57014", "refused XX001", "refused XX002", "refused 42501",
	} {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				r := newContact(account)
				if i%8 == 0 {
					r.Contact.FirstName = bad
				}
				err := create(t.Context(), s, r)
				if i%8 == 0 {
					if err == nil || errors.Is(err, contacts.ErrOutcomeUnknown) {
						t.Errorf("%q: a create that must fail: got error %v", bad, err)
					}
					return
				}
				if err != nil || !isWhole(t, s, r) {
					t.Errorf("%q: a create among others that fail: %v", bad, err)
				}
			})
		}
		wg.Wait()
	}
}
