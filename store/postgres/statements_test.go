package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

// statements is the statements that a connection has sent, by their first words.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) add(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	words := strings.Fields(sql)
	s.sent = append(s.sent, strings.Join(words[:min(len(words), 3)], " "))
}

func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// TraceQueryStart and the others implement [pgx.BatchTracer].
func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.add(q.SQL)
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	s.add(q.SQL)
}

func (*statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TestAllowCostsNothing: a create without an external id, in an account without a
// policy, sends one statement beside those of its key and of its transaction.
func TestAllowCostsNothing(t *testing.T) {
	t.Parallel()
	var sent statements
	s := openWatched(t, func(c *pgx.ConnConfig) { c.Tracer = &sent })
	svc, err := contacts.New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	admin := contacts.NewAdmin(s, nil)
	account := addAccount(t, s)
	key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: account, Name: "web", Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}, AllTeams: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	create := func(in contacts.CreateContactInput) []string {
		t.Helper()
		sent.take()
		if _, err := svc.CreateContact(t.Context(), key, in); err != nil {
			t.Fatal(err)
		}
		return sent.take()
	}
	plain := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+14155550123"}}}
	want := []string{
		"SELECT k.account_id, k.id,",
		"BEGIN ISOLATION LEVEL", "SELECT pg_catalog.set_config('search_path', 'pg_catalog,", "WITH homes AS", "COMMIT",
	}
	if diff := cmp.Diff(want, create(plain)); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	known := plain
	known.ExternalID = "1"
	if got := create(known); len(got) <= len(want) {
		t.Errorf("a create that claims a key sends %q: no more, so the test shows nothing", got)
	}
	if err := admin.SetDuplicatePolicy(t.Context(), account, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}); err != nil {
		t.Fatal(err)
	}
	plain.Email = "bob@example.com"
	if got := create(plain); len(got) <= len(want) {
		t.Errorf("a create under a policy sends %q: no more, so the test shows nothing", got)
	}
}
