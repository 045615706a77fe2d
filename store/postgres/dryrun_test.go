package postgres_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// A rehearsal is a call of each method of a Service that has a dry run, on contacts
// that are stored.
type rehearsal struct {
	live, deleted *contacts.ContactRecord
	calls         map[string]func(ctx context.Context, svc *contacts.Service) error
}

func newRehearsal(t *testing.T, s *postgres.Store) *rehearsal {
	t.Helper()
	admin := contacts.NewAdmin(s, nil)
	account := addAccount(t, s)
	key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: account, Name: "web", AllTeams: true, Permissions: []contacts.Permission{
		contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall,
	}})
	if err != nil {
		t.Fatal(err)
	}
	live, deleted := newContact(account), newContact(account)
	deleted.Contact.DeletedAt = noon
	for _, r := range []*contacts.ContactRecord{live, deleted} {
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := admin.SetDuplicatePolicy(t.Context(), account, contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert}); err != nil {
		t.Fatal(err)
	}
	fresh := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", IdempotencyKey: "once", PhoneNumbers: []contacts.PhoneNumberInput{
		{PhoneNumber: "+12025550100", DoNotCall: true},
	}}
	known := contacts.UpsertContactInput{CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", Email: live.Contact.Email}, Mode: contacts.UpsertOverwrite}
	creates := contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{fresh, known.CreateContactInput}}
	upserts := contacts.UpsertContactsInput{Contacts: []contacts.UpsertContactInput{known, {CreateContactInput: fresh}}}
	block := contacts.DoNotCallInput{PhoneNumber: "+12025550100", Reason: "asked", Reference: "form 12"}
	return &rehearsal{live, deleted, map[string]func(ctx context.Context, svc *contacts.Service) error{
		"create": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.CreateContact(ctx, key, fresh)
			return err
		},
		"batch": func(ctx context.Context, svc *contacts.Service) error {
			results, err := svc.CreateContacts(ctx, key, creates)
			return firstOf(err, results, func(r contacts.CreateResult) error { return r.Err })
		},
		"batch all or nothing": func(ctx context.Context, svc *contacts.Service) error {
			all := contacts.CreateContactsInput{Contacts: creates.Contacts, AllOrNothing: true}
			results, err := svc.CreateContacts(ctx, key, all)
			return firstOf(err, results, func(r contacts.CreateResult) error { return r.Err })
		},
		"stream": func(ctx context.Context, svc *contacts.Service) error {
			for r, err := range svc.CreateContactStream(ctx, key, slices.Values(creates.Contacts)) {
				if err := cmp.Or(err, r.Err); err != nil {
					return err
				}
			}
			return nil
		},
		"upsert": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.UpsertContact(ctx, key, known)
			return err
		},
		"upserts": func(ctx context.Context, svc *contacts.Service) error {
			results, err := svc.UpsertContacts(ctx, key, upserts)
			return firstOf(err, results, func(r contacts.UpsertResult) error { return r.Err })
		},
		"stream of upserts": func(ctx context.Context, svc *contacts.Service) error {
			for r, err := range svc.UpsertContactStream(ctx, key, slices.Values(upserts.Contacts)) {
				if err := cmp.Or(err, r.Err); err != nil {
					return err
				}
			}
			return nil
		},
		"update": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.UpdateContact(ctx, key, live.Contact.ID, contacts.UpdateContactInput{City: new("Oslo")}, nil)
			return err
		},
		"replace": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.ReplaceContact(ctx, key, live.Contact.ID, contacts.CreateContactInput{FirstName: "Ada"}, nil)
			return err
		},
		"delete": func(ctx context.Context, svc *contacts.Service) error {
			return svc.DeleteContact(ctx, key, live.Contact.ID, nil)
		},
		"restore": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.RestoreContact(ctx, key, deleted.Contact.ID, nil)
			return err
		},
		"block": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.BlockCalls(ctx, key, block)
			return err
		},
		"list of blocks": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.BlockCallsBatch(ctx, key, contacts.BlockCallsBatchInput{Entries: []contacts.DoNotCallInput{block}})
			return err
		},
		"grant": func(ctx context.Context, svc *contacts.Service) error {
			_, err := svc.GrantCalls(ctx, key, block)
			return err
		},
	}}
}

// TestDryRunReadOnly: every dry run of a Service works where transactions are
// read-only, and the real call does not.
func TestDryRunReadOnly(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	r := newRehearsal(t, s)
	svc, err := contacts.New(open(t, with(t, url, "default_transaction_read_only", "on"), schema), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range r.calls {
		if err := call(t.Context(), svc.DryRun()); err != nil {
			t.Errorf("%s: a dry run: %v", name, err)
		}
		if err := call(t.Context(), svc); !errors.Is(err, postgres.ErrReadOnly) {
			t.Errorf("%s: got error %v, want ErrReadOnly", name, err)
		}
	}
	if !isWhole(t, s, r.live) || !isWhole(t, s, r.deleted) {
		t.Error("a contact is another one")
	}
}

// TestDryRunWritesNothing: no dry run writes a row that is taken back either: the
// server would count it. Nor does it add to the server's log.
func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	t.Run("rows", func(t *testing.T) {
		t.Parallel()
		dryRunsWriteNothing(t, openAlone(t, serverURL(t)), 0, (*alone).rows)
	})
	t.Run("log", func(t *testing.T) {
		t.Parallel()
		// Nothing but the calls writes to the log of this server.
		server := ownServer(t, "fsync=off", "wal_level=minimal", "max_wal_senders=0", "autovacuum=off", "checkpoint_timeout=1d")
		dryRunsWriteNothing(t, openAlone(t, server.url()), 1, (*alone).log)
	})
}

// dryRunsWriteNothing makes each dry run, and checks that what the server says of its
// writes stays as it is. Before, it makes them as often as is not counted: the first
// readers of rows note in them that they are committed.
func dryRunsWriteNothing(t *testing.T, s *alone, uncounted int, written func(s *alone, t *testing.T) int64) {
	t.Helper()
	r := newRehearsal(t, s.Store)
	rehearse := func(check func(name string)) {
		t.Helper()
		for name, call := range r.calls {
			if err := call(t.Context(), s.svc.DryRun()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			check(name)
		}
	}
	for range uncounted {
		rehearse(func(string) {})
	}
	before := written(s, t)
	rehearse(func(name string) {
		t.Helper()
		if more := written(s, t) - before; more != 0 {
			t.Fatalf("%s: a dry run has written %d", name, more)
		}
	})
	if err := r.calls["update"](t.Context(), s.svc); err != nil {
		t.Fatal(err)
	}
	if written(s, t) == before {
		t.Error("the server says nothing of a real call, so the test shows nothing")
	}
}

// TestUnchangedUpsertWritesNothing: an upsert that changes nothing writes no row, nor one
// that is taken back.
func TestUnchangedUpsertWritesNothing(t *testing.T) {
	t.Parallel()
	s := openAlone(t, serverURL(t))
	r := newRehearsal(t, s.Store)
	for _, c := range []struct {
		name   string
		writes bool
	}{{"update", true}, {"upsert", false}} {
		before := s.rows(t)
		if err := r.calls[c.name](t.Context(), s.svc); err != nil {
			t.Fatal(err)
		}
		if wrote := s.rows(t) != before; wrote != c.writes {
			t.Errorf("%s: it has written: %t, want %t", c.name, wrote, c.writes)
		}
	}
}

// An alone store has one connection, and a schema to itself.
type alone struct {
	*postgres.Store
	svc    *contacts.Service
	pool   *pgxpool.Pool
	schema string
}

func openAlone(t *testing.T, url string) *alone {
	t.Helper()
	s := &alone{schema: newSchema(t, url)}
	var err error
	if s.pool, err = pgxpool.New(t.Context(), with(t, url, "pool_max_conns", "1")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	if s.Store, err = postgres.New(t.Context(), s.pool, &postgres.Options{Schema: s.schema}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if s.svc, err = contacts.New(s.Store, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// rows returns how many rows were written. A connection tells the server what it has
// counted when it is asked to.
func (s *alone) rows(t *testing.T) (rows int64) {
	t.Helper()
	var version int
	err := s.pool.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&version)
	if err == nil && version < 150_000 {
		t.Skip("before PostgreSQL 15, a connection tells what it has counted when it likes")
	}
	if err == nil {
		_, err = s.pool.Exec(t.Context(), "SELECT pg_stat_force_next_flush()")
	}
	if err == nil {
		err = s.pool.QueryRow(t.Context(), "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables WHERE schemaname = $1", s.schema).Scan(&rows)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// log returns where the server's log ends, in bytes. pg_current_wal_lsn says less: not
// what is yet to be handed to the disk.
func (s *alone) log(t *testing.T) (bytes int64) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&bytes); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// firstOf returns the error of a batch, or the first one of its results.
func firstOf[R any](err error, results []R, errOf func(R) error) error {
	for i := range results {
		err = cmp.Or(err, errOf(results[i]))
	}
	return err
}
