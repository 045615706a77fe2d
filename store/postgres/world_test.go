package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// extent returns how often a fault test does what it does.
func extent(short, full int) int { return longtest.Extent(short, full) }

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// openOnPool opens a store on a pool of its own, with the configuration as change leaves
// it.
func openOnPool(t *testing.T, url string, opts *postgres.Options, change func(*pgxpool.Config)) (*postgres.Store, *pgxpool.Pool) {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	change(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := postgres.New(t.Context(), pool, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, pool
}

// addAccount stores an account with teams 1 and 2.
func addAccount(t testing.TB, s contacts.Store) uuid.UUID {
	t.Helper()
	id := newID()
	_, err := s.AddToDirectory(context.Background(), contacts.Directory{
		Accounts: []contacts.Account{{ID: id, Name: "Acme", CreatedAt: noon}},
		Teams: []contacts.Team{
			{AccountID: id, ID: 1, Name: "Sales", CreatedAt: noon},
			{AccountID: id, ID: 2, Name: "Support", CreatedAt: noon},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// newContact returns a contact with every field filled, and numbers and tags that
// no other has.
func newContact(account uuid.UUID) *contacts.ContactRecord {
	number := func() string { return fmt.Sprintf("+1%010d", rand.Int64N(1e10)) }
	id := newID()
	return &contacts.ContactRecord{
		Contact: contacts.Contact{
			ID: id, AccountID: account, FirstName: "Ada", LastName: "Lovelace", Email: id.String() + "@example.com", Company: "Analytical Engines",
			Website: "https://example.com", Address: "12 St James's Square", City: "London", State: "England", ZipCode: "SW1Y 4JH", Country: "GB",
			Status: "not_contacted", Stage: "lead", TeamID: 1, Tags: []string{"vip", "tag " + id.String()},
			PhoneNumbers: []contacts.PhoneNumber{{ID: newID(), PhoneNumber: number(), PhoneType: "mobile", Primary: true}, {ID: newID(), PhoneNumber: number()}},
			CreatedAt:    noon, UpdatedAt: noon, Version: 1,
		},
		CustomContext: `{"a": 1}`, IndustryContext: `{"b":[1,2]}`,
	}
}

// creation returns a mutation that creates the contact.
func creation(r *contacts.ContactRecord) contacts.Mutation {
	return contacts.Mutation{AccountID: r.Contact.AccountID, Contacts: []contacts.ContactChange{{ID: r.Contact.ID, Record: r}}}
}

// recorded is creation with an event.
func recorded(r *contacts.ContactRecord) contacts.Mutation {
	m := creation(r)
	m.Journal = []contacts.JournalEntry{event(r)}
	return m
}

// change returns a mutation that changes the contact by f, and the record that it
// then has.
func change(r *contacts.ContactRecord, f func(*contacts.Contact)) (contacts.Mutation, *contacts.ContactRecord) {
	changed := *r
	changed.Contact.Version++
	f(&changed.Contact)
	m := creation(&changed)
	m.Contacts[0].Version = r.Contact.Version
	return m, &changed
}

// removal returns a mutation that removes the contact.
func removal(r *contacts.ContactRecord) contacts.Mutation {
	m := creation(r)
	m.Contacts[0].Version, m.Contacts[0].Record = r.Contact.Version, nil
	return m
}

// once returns an idempotency record that ends long after noon.
func once(key byte) *contacts.IdempotencyRecord {
	return &contacts.IdempotencyRecord{Key: [32]byte{key, 1}, Result: "{}", EndsAt: noon.AddDate(1, 0, 0)}
}

// event returns a journal entry about the contact.
func event(r *contacts.ContactRecord) contacts.JournalEntry {
	e := contacts.JournalEntry{Kind: contacts.JournalEvent, At: noon, EndsAt: noon.AddDate(1, 0, 0), Data: "{}"}
	copy(e.Subject[:], r.Contact.ID[:])
	return e
}

// apply applies the mutations and returns what went wrong.
func apply(ctx context.Context, s contacts.Store, mutations ...contacts.Mutation) error {
	return applyBatch(ctx, s, contacts.MutationBatch{Mutations: mutations, Now: noon})
}

func applyBatch(ctx context.Context, s contacts.Store, batch contacts.MutationBatch) error {
	outcomes, err := s.Apply(ctx, batch)
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	return err
}

// create stores the contacts and returns what went wrong.
func create(ctx context.Context, s contacts.Store, records ...*contacts.ContactRecord) error {
	var mutations []contacts.Mutation
	for _, r := range records {
		mutations = append(mutations, creation(r))
	}
	return apply(ctx, s, mutations...)
}

// isWhole reports whether the contact is there. Where it is, it must be whole,
// and found by all that it has; where it is not, by nothing.
func isWhole(t testing.TB, s contacts.Store, want *contacts.ContactRecord) bool {
	t.Helper()
	ctx := context.Background()
	account := want.Contact.AccountID
	got, err := s.FindContact(ctx, account, want.Contact.ID)
	there := err == nil
	if !there && !errors.Is(err, contacts.ErrNotFound) {
		t.Fatal(err)
	}
	if there {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a contact is not whole (-want +got):\n%s", diff)
		}
	}
	queries := []contacts.ContactQuery{{Email: want.Contact.Email}, {Tag: want.Contact.Tags[1]}}
	for _, p := range want.Contact.PhoneNumbers {
		queries = append(queries, contacts.ContactQuery{PhoneNumber: p.PhoneNumber})
	}
	for _, q := range queries {
		q.AccountID, q.AllTeams, q.Limit, q.Deleted = account, true, 9, !want.Contact.DeletedAt.IsZero()
		list, err := s.ListContacts(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(list.Records, func(r *contacts.ContactRecord) bool { return r.Contact.ID == want.Contact.ID })
		if found != there {
			t.Errorf("a contact is there: %t; found by what it has: %t", there, found)
		}
	}
	return there
}

// A ledger holds what callers were told of their creates.
type ledger struct {
	mu                      sync.Mutex
	stored, failed, unknown []*contacts.ContactRecord
}

func (l *ledger) note(r *contacts.ContactRecord, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.stored = append(l.stored, r)
	case errors.Is(err, contacts.ErrOutcomeUnknown):
		l.unknown = append(l.unknown, r)
	default:
		l.failed = append(l.failed, r)
	}
}

// acknowledged returns how many creates have succeeded.
func (l *ledger) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored)
}

// check checks that callers were told the truth.
func (l *ledger) check(t testing.TB, s contacts.Store) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	came := 0
	for _, r := range l.stored {
		if !isWhole(t, s, r) {
			t.Error("a contact that was acknowledged is lost")
		}
	}
	for _, r := range l.failed {
		if isWhole(t, s, r) {
			t.Error("a contact is there whose create failed")
		}
	}
	for _, r := range l.unknown {
		if isWhole(t, s, r) {
			came++
		}
	}
	t.Logf("%d acknowledged, %d failed, %d of unknown outcome, of which %d are there", len(l.stored), len(l.failed), len(l.unknown), came)
}
