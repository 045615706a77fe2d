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
	schema := newSchema(t, url)
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
// server would count it.
func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
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
	svc, err := contacts.New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	// written returns how many rows were written. A connection tells the server what it
	// has counted when it is asked to: there is one connection.
	written := func() (rows int64) {
		t.Helper()
		_, err := pool.Exec(t.Context(), "SELECT pg_stat_force_next_flush()")
		if err == nil {
			err = pool.QueryRow(t.Context(), "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables WHERE schemaname = $1", schema).Scan(&rows)
		}
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	var version int
	if err := pool.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if version < 150_000 {
		t.Skip("before PostgreSQL 15, a connection tells what it has counted when it likes")
	}
	r := newRehearsal(t, s)
	before := written()
	for name, call := range r.calls {
		if err := call(t.Context(), svc.DryRun()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if rows := written() - before; rows != 0 {
			t.Fatalf("%s: a dry run has written %d rows", name, rows)
		}
	}
	if err := r.calls["update"](t.Context(), svc); err != nil {
		t.Fatal(err)
	}
	if written() == before {
		t.Error("the server counts no rows, so the test shows nothing")
	}
}

// firstOf returns the error of a batch, or the first one of its results.
func firstOf[R any](err error, results []R, errOf func(R) error) error {
	for i := range results {
		err = cmp.Or(err, errOf(results[i]))
	}
	return err
}
