package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// A session is a transaction of another program.
type session struct {
	t      *testing.T
	tx     pgx.Tx
	schema string
	end    func()
}

func newSession(t *testing.T, url, schema string) *session {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &session{t: t, tx: tx, schema: schema, end: func() { c.Close(context.Background()) }}
}

func (s *session) lock(ctx context.Context, r *contacts.ContactRecord, more string) error {
	_, err := s.tx.Exec(ctx, "SELECT 1 FROM "+pgx.Identifier{s.schema, "contact"}.Sanitize()+" WHERE id = $1 FOR UPDATE "+more, r.Contact.ID)
	return err
}

func (s *session) lockTable(table string) {
	s.t.Helper()
	if _, err := s.tx.Exec(s.t.Context(), "LOCK TABLE "+pgx.Identifier{s.schema, table}.Sanitize()); err != nil {
		s.t.Fatal(err)
	}
}

// insert stores a row of the contact's id.
func (s *session) insert(r *contacts.ContactRecord) error {
	_, err := s.tx.Exec(s.t.Context(), "INSERT INTO "+pgx.Identifier{s.schema, "contact"}.Sanitize()+
		" VALUES ($1, $2, '', '', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', '', '', '', 0, 0, 1, 0)", r.Contact.AccountID, r.Contact.ID)
	return err
}

// newContacts returns contacts in ascending order of id.
func newContacts(account uuid.UUID, n int) []*contacts.ContactRecord {
	records := make([]*contacts.ContactRecord, n)
	for i := range records {
		records[i] = newContact(account)
	}
	slices.SortFunc(records, func(a, b *contacts.ContactRecord) int { return bytes.Compare(a.Contact.ID[:], b.Contact.ID[:]) })
	return records
}

// renamings returns changes of the contacts, from the last to the first.
func renamings(records []*contacts.ContactRecord) (all []contacts.Mutation) {
	for _, r := range slices.Backward(records) {
		m, _ := change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
		all = append(all, m)
	}
	return all
}

// A batch locks contacts in the order of their ids, whatever its own order is: it
// has no contact while it waits for one with a lower id.
func TestContactsAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	records := newContacts(addAccount(t, s), 20)
	for _, r := range slices.Backward(records) { // so that the table has them in the other order
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
	}
	holder := newSession(t, url, schema)
	if err := holder.lock(t.Context(), records[0], ""); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- apply(context.Background(), s, renamings(records)...) }()
	waitForLock(t, url, schema)
	for _, r := range records[1:] {
		other := newSession(t, url, schema)
		if err := other.lock(t.Context(), r, "NOWAIT"); err != nil {
			t.Fatalf("a contact is locked while one with a lower id is waited for: %v", err)
		}
		other.end()
	}
	holder.end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A batch inserts contacts in the order of their ids too.
func TestContactsAreInsertedInOneOrder(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	for name, prepare := range map[string]func(*contacts.Mutation){
		"plain":  func(*contacts.Mutation) {},
		"judged": func(m *contacts.Mutation) { m.Idempotency = once(m.Contacts[0].ID[15]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schema := takeSchema(t)
			s := open(t, url, schema)
			records := newContacts(addAccount(t, s), 20)
			var batch []contacts.Mutation
			for i, r := range slices.Backward(records) {
				r.Contact.ID[15] = byte(i)
				m := creation(r)
				prepare(&m)
				batch = append(batch, m)
			}
			holder := newSession(t, url, schema)
			if err := holder.insert(records[0]); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- apply(context.Background(), s, batch...) }()
			waitForLock(t, url, schema)
			for _, r := range records[1:] {
				other := newSession(t, with(t, url, "lock_timeout", "10s"), schema)
				if err := other.insert(r); err != nil {
					t.Fatalf("a contact is inserted while one with a lower id is waited for: %v", err)
				}
				other.end()
			}
			holder.end() // which undoes it
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A batch locks accounts in the order of their ids, and stores idempotency records
// in the order of their keys.
func TestAccountsAndKeysAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const n = 20
	url := serverURL(t)
	for name, c := range map[string]struct {
		prepare func(*contacts.Mutation, byte)
		take    string // what keeps others from the account of $1 or its key of $2
	}{
		"accounts": {func(m *contacts.Mutation, _ byte) { m.Journal = []contacts.JournalEntry{event(m.Contacts[0].Record)} },
			"SELECT sequence FROM %s.account_state WHERE account_id = $1 AND $2::bytea <> '' FOR UPDATE"},
		"keys": {func(m *contacts.Mutation, i byte) { m.Idempotency = once(i) },
			"INSERT INTO %s.idempotency VALUES ($1, $2, '', '', 0)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schema := takeSchema(t)
			s := open(t, url, schema)
			ids := make([]uuid.UUID, n)
			for i := range ids {
				ids[i] = newID()
			}
			var batch []contacts.Mutation
			for i, id := range slices.Backward(ids) { // so that the table has them in the other order
				if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Accounts: []contacts.Account{{ID: id}}}); err != nil {
					t.Fatal(err)
				}
				r := newContact(id)
				r.Contact.TeamID = 0
				m := creation(r)
				c.prepare(&m, byte(i))
				batch = append(batch, m)
			}
			take := func(session *session, i int) error {
				key := once(byte(i)).Key
				_, err := session.tx.Exec(t.Context(), fmt.Sprintf(c.take, pgx.Identifier{schema}.Sanitize()), ids[i], key[:])
				return err
			}
			holder := newSession(t, url, schema)
			if err := take(holder, 0); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- apply(context.Background(), s, batch...) }()
			waitForLock(t, url, schema)
			for i := 1; i < n; i++ {
				other := newSession(t, with(t, url, "lock_timeout", "10s"), schema)
				if err := take(other, i); err != nil {
					t.Fatalf("number %d is locked while the first is waited for: %v", i, err)
				}
				other.end()
			}
			holder.end()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A batch that lost a deadlock is made again.
func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	base := serverURL(t)
	schema := takeSchema(t)
	s := open(t, with(t, base, "deadlock_timeout", "500ms"), schema) // so that it is the store that loses
	account := addAccount(t, s)
	// The server looks for a deadlock once, when the store has waited that long. On a
	// busy machine the other session may come later. Then it gives up and begins again.
	otherURL := with(t, with(t, base, "deadlock_timeout", "1h"), "lock_timeout", "5s")
	for began := time.Now(); ; {
		records := newContacts(account, 2)
		if err := create(t.Context(), s, records...); err != nil {
			t.Fatal(err)
		}
		other := newSession(t, otherURL, schema)
		if err := other.lock(t.Context(), records[1], ""); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- apply(context.Background(), s, renamings(records)...) }()
		waitForLock(t, base, schema)
		err := other.lock(t.Context(), records[0], "")
		other.end()
		if err := <-done; err != nil {
			t.Errorf("a batch after a deadlock: %v", err)
		}
		for _, r := range records {
			if got, err := s.FindContact(t.Context(), account, r.Contact.ID); err != nil || got.Contact.FirstName != "Grace" {
				t.Errorf("a batch after a deadlock is not stored: %v", err)
			}
		}
		if err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the store has not lost the deadlock: %v", err)
		}
	}
}

// A transaction that waited for an id or a key which another then stored is made
// again, and sees what that has stored.
func TestRaceIsTriedAgain(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	s := open(t, url, schema)
	account := addAccount(t, s)
	taken, own := newContact(account), newContact(account)
	m := creation(taken)
	m.Idempotency = once(1)
	other := newSession(t, url, schema)
	if err := other.insert(taken); err != nil {
		t.Fatal(err)
	}
	outcomes := make(chan []contacts.MutationOutcome, 1)
	go func() {
		o, err := s.Apply(context.Background(), contacts.MutationBatch{Mutations: []contacts.Mutation{m, creation(own)}, Now: noon})
		if err != nil {
			t.Errorf("a batch that has waited: %v", err)
		}
		outcomes <- o
	}()
	waitForLock(t, url, schema)
	if err := other.tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := <-outcomes; len(o) != 2 || !errors.Is(o[0].Err, contacts.ErrExists) || o[1].Err != nil {
		t.Errorf("a batch that has waited: got %v, want ErrExists and nothing", o)
	}
	if !isWhole(t, s, own) {
		t.Error("the other contact of the batch is not there")
	}
	// The idempotency record of the refused create was not kept.
	m = creation(newContact(account))
	m.Idempotency = once(1)
	if err := apply(t.Context(), s, m); err != nil {
		t.Errorf("a create with the key of a refused one: %v", err)
	}
}

// Later mutations see what the earlier ones of their batch stored, and do not
// overtake them, also if some are plain creates.
func TestMutationsDoNotOvertake(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	s := open(t, url, takeSchema(t))
	account := addAccount(t, s)
	r, free := newContact(account), newContact(account)
	inNoTeam := *r
	inNoTeam.Contact.TeamID = 99
	renamed, next := change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
	later, last := change(next, func(c *contacts.Contact) { c.LastName = "Hopper" })
	outcomes, err := s.Apply(t.Context(), contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{
		renamed, creation(&inNoTeam), creation(r), creation(r), renamed, creation(free), renamed, later, removal(last), creation(r),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []error{contacts.ErrNotFound, contacts.ErrTeamNotFound, nil, contacts.ErrExists, nil, nil, contacts.ErrConflict, nil, nil, nil}
	for i, o := range outcomes {
		if !errors.Is(o.Err, want[i]) || (o.Err == nil) != (want[i] == nil) {
			t.Errorf("mutation %d: got error %v, want %v", i, o.Err, want[i])
		}
	}
	if !isWhole(t, s, r) || !isWhole(t, s, free) {
		t.Error("a contact is not there")
	}
}

// A plain create does not overtake a mutation that claims what it has, and is seen
// by one that comes later.
func TestPlainCreatesDoNotOvertakeClaims(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	s := open(t, url, takeSchema(t))
	account := addAccount(t, s)
	claiming := func(email string) contacts.Mutation {
		r := newContact(account)
		r.Contact.Email = email
		m := creation(r)
		m.Claims = []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: email}}
		return m
	}
	plain := func(email string) contacts.Mutation {
		m := claiming(email)
		m.Claims = nil
		return m
	}
	outcomes, err := s.Apply(t.Context(), contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{
		claiming("first@example.com"), plain("first@example.com"), plain("second@example.com"), claiming("second@example.com"),
	}})
	if err != nil || len(outcomes) != 4 {
		t.Fatalf("got %d outcomes, %v", len(outcomes), err)
	}
	for i, want := range []error{nil, nil, nil, contacts.ErrDuplicate} {
		if got := outcomes[i].Err; !errors.Is(got, want) {
			t.Errorf("mutation %d: got error %v, want %v", i, got, want)
		}
	}
}

// Close returns when the calls that it found have ended, so that the host may close
// its pool.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := newSchema(t, url)
	pool := newPool(t, url)
	s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	r := newContact(addAccount(t, s))
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	holder := newSession(t, url, schema)
	holder.lockTable("contact")
	found := make(chan error, 1)
	go func() {
		_, err := s.FindContact(context.Background(), r.Contact.AccountID, r.Contact.ID)
		found <- err
	}()
	waitForLock(t, url, schema)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := s.FindKey(t.Context(), [32]byte{}); errors.Is(err, contacts.ErrClosed) {
			break
		}
		if time.Since(began) > 30*time.Second {
			t.Fatal("Close does not begin")
		}
	}
	select {
	case <-closed:
		t.Error("Close has returned while a call was under way")
	default:
	}
	holder.end()
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-found; err != nil {
		t.Errorf("a call that Close found: %v", err)
	}
}

// inUse counts the connections of a pool that are in use.
type inUse struct{ n atomic.Int64 }

func (u *inUse) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return ctx
}

func (u *inUse) TraceAcquireEnd(_ context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if data.Err == nil {
		u.n.Add(1)
	}
}

func (u *inUse) TraceRelease(*pgxpool.Pool, pgxpool.TraceReleaseData) { u.n.Add(-1) }

func (u *inUse) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (u *inUse) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Close returns when the transactions have ended whose callers have given up.
func TestCloseWaitsForCallsThatGaveUp(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	url := serverURL(t)
	schema := newSchema(t, url)
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	var used inUse
	config.ConnConfig.Tracer = &used
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for i := range extent(8, 100) {
		s, err := postgres.New(t.Context(), pool, &postgres.Options{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		r := newContact(addAccount(t, s))
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
		holder := newSession(t, url, schema)
		table, call := "contact", func(ctx context.Context) error { return apply(ctx, s, removal(r)) }
		if i%2 == 1 {
			table, call = "api_key", func(ctx context.Context) error {
				_, err := s.FindKey(ctx, [32]byte{})
				return err
			}
		}
		holder.lockTable(table)
		ctx, giveUp := context.WithCancel(t.Context())
		given := make(chan error, 1)
		go func() { given <- call(ctx) }()
		waitForLock(t, url, schema)
		giveUp()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("a call that gave up: got error %v, want that of the context", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := used.n.Load(); n != 0 {
			t.Errorf("%d connections are in use after Close", n)
		}
		holder.end()
	}
}
