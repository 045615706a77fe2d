package memory_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/storetest"
)

// A memory store does not outlive its process and is in no second one, so the
// harness has neither Reopen nor Second.
var harness = storetest.Harness{
	New: func(testing.TB) contacts.Store { return memory.New() },
}

func TestStore(t *testing.T) { storetest.Run(t, harness) }

func BenchmarkStore(b *testing.B) { storetest.Bench(b, harness) }

// TestCallsAtOnceInOneAccount makes all kinds of calls about one account at once.
// The race detector finds a call without its lock. Without the detector a lost
// update is found by the versions and sequences in the end.
func TestCallsAtOnceInOneAccount(t *testing.T) {
	t.Parallel()
	const rounds = 200
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	s := memory.New()
	defer s.Close()
	ctx := t.Context()
	one, other := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	if _, err := s.AddToDirectory(ctx, contacts.Directory{Accounts: []contacts.Account{{ID: one}, {ID: other}}}); err != nil {
		t.Fatal(err)
	}
	apply := func(batch contacts.MutationBatch) error {
		batch.Now = now
		outcomes, err := s.Apply(ctx, batch)
		for _, o := range outcomes {
			err = errors.Join(err, o.Err)
		}
		return err
	}
	contact := func(id uuid.UUID, version int64, phone string) *contacts.ContactRecord {
		return &contacts.ContactRecord{Contact: contacts.Contact{
			ID: id, AccountID: one, Version: version, PhoneNumbers: []contacts.PhoneNumber{{PhoneNumber: phone}},
		}}
	}
	shared := contact(uuid.Must(uuid.NewV7()), 1, "+15550000000")
	id := shared.Contact.ID
	if err := apply(contacts.MutationBatch{Mutations: []contacts.Mutation{
		{AccountID: one, Contacts: []contacts.ContactChange{{ID: id, Record: shared}}},
	}}); err != nil {
		t.Fatal(err)
	}

	var updates, entries atomic.Int64
	// update changes the shared contact together with the other mutations. Of the
	// updates that find the same version one is stored.
	update := func(more ...contacts.Mutation) error {
		stored, err := s.FindContact(ctx, one, id)
		if err != nil {
			return err
		}
		version := stored.Contact.Version
		next := contact(id, version+1, fmt.Sprint("+1555", 1_000_000+version))
		err = apply(contacts.MutationBatch{Mutations: append(more, contacts.Mutation{
			AccountID: one,
			Contacts:  []contacts.ContactChange{{ID: id, Version: version, Record: next}},
			Journal:   []contacts.JournalEntry{{Kind: contacts.JournalErasure}},
		})})
		if errors.Is(err, contacts.ErrConflict) {
			return nil
		}
		if err == nil {
			updates.Add(1)
			entries.Add(1)
		}
		return err
	}
	var wg sync.WaitGroup
	for what, call := range map[string]func(i int) error{
		"update":               func(int) error { return update() },
		"update again":         func(int) error { return update() },
		"update with accounts": func(int) error { return update(contacts.Mutation{AccountID: other}) },
		"create and remove": func(i int) error {
			r := contact(uuid.New(), 1, fmt.Sprint("+1666", 1_000_000+i))
			r.Contact.ID[0] = 0 // before the shared contact, so that the ids must be sorted
			m := contacts.Mutation{
				AccountID:   one,
				Contacts:    []contacts.ContactChange{{ID: r.Contact.ID, Record: r}},
				Idempotency: &contacts.IdempotencyRecord{Key: sha256.Sum256(r.Contact.ID[:]), Result: "{}", EndsAt: now.Add(-time.Hour)},
				Claims:      r.MatchKeys(),
				Journal:     []contacts.JournalEntry{{Kind: contacts.JournalErasure}},
			}
			entries.Add(1)
			return errors.Join(
				apply(contacts.MutationBatch{Mutations: []contacts.Mutation{m}, DryRun: true}),
				apply(contacts.MutationBatch{Mutations: []contacts.Mutation{m}, AllOrNothing: true}),
				apply(contacts.MutationBatch{Mutations: []contacts.Mutation{
					{AccountID: one, Contacts: []contacts.ContactChange{{ID: r.Contact.ID, Version: 1}}},
				}}))
		},
		"prune": func(int) error { return apply(contacts.MutationBatch{}) },
		"list": func(int) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: one, Limit: 9})
			return err
		},
		"list by match key": func(int) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: one, MatchKeys: shared.MatchKeys(), Limit: 9})
			return err
		},
		"list the journal": func(int) error {
			_, err := s.ListJournal(ctx, contacts.JournalQuery{AccountID: one, Limit: 9})
			return err
		},
		"change the directory": func(int) error {
			_, err := s.AddToDirectory(ctx, contacts.Directory{Teams: []contacts.Team{{AccountID: one}}})
			return errors.Join(err, s.UpdateDirectory(ctx, contacts.DirectoryUpdate{AccountID: one, At: now}))
		},
		"read the directory": func(int) error {
			_, err := s.FindAccount(ctx, one)
			_, listErr := s.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: one, Limit: 9})
			return errors.Join(err, listErr)
		},
	} {
		wg.Go(func() {
			for i := range rounds {
				if err := call(i); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	wg.Wait()

	list, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: one, Limit: 9})
	if err != nil || len(list.Records) != 1 {
		t.Fatalf("ListContacts: %d contacts and error %v, want the one that stays", len(list.Records), err)
	}
	if got, want := list.Records[0].Contact.Version, 1+updates.Load(); got != want {
		t.Errorf("the contact has version %d after %d updates", got, want-1)
	}
	journal, err := s.ListJournal(ctx, contacts.JournalQuery{AccountID: one, Limit: 10 * rounds})
	if err != nil || int64(len(journal)) != entries.Load() {
		t.Fatalf("ListJournal: %d entries and error %v, want %d", len(journal), err, entries.Load())
	}
	for i, e := range journal {
		if e.Sequence != int64(i+1) {
			t.Fatalf("entry %d of the journal has sequence %d", i+1, e.Sequence)
		}
	}
}

// TestListsAtOnceOfAnUnsortedAccount lists contacts whose ids came in descending
// order. The first list sorts them and makes the index of match keys.
func TestListsAtOnceOfAnUnsortedAccount(t *testing.T) {
	t.Parallel()
	s := memory.New()
	defer s.Close()
	ctx := t.Context()
	account, first, second := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	if _, err := s.AddToDirectory(ctx, contacts.Directory{Accounts: []contacts.Account{{ID: account}}}); err != nil {
		t.Fatal(err)
	}
	var m contacts.Mutation
	for _, id := range []uuid.UUID{second, first} {
		r := &contacts.ContactRecord{Contact: contacts.Contact{ID: id, AccountID: account, Email: "ada@example.com"}}
		m.Contacts = append(m.Contacts, contacts.ContactChange{ID: id, Record: r})
	}
	m.AccountID = account
	if outcomes, err := s.Apply(ctx, contacts.MutationBatch{Mutations: []contacts.Mutation{m}}); outcomes != nil || err != nil {
		t.Fatalf("Apply: %v and error %v", outcomes, err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		q := contacts.ContactQuery{AccountID: account, Limit: 9}
		if i%2 == 0 {
			q.MatchKeys = m.Contacts[0].Record.MatchKeys()
		}
		wg.Go(func() {
			list, err := s.ListContacts(ctx, q)
			if err != nil || len(list.Records) != 2 || list.Records[0].Contact.ID != second || list.Records[1].Contact.ID != first {
				t.Errorf("ListContacts: %v and error %v, want the newer contact and the older one", list.Records, err)
			}
		})
	}
	wg.Wait()
}

// A write whose context ends while it waits for a long read stores nothing.
func TestContextEndsWhileAWriteWaits(t *testing.T) {
	t.Parallel()
	s := memory.New()
	defer s.Close()
	a := uuid.Must(uuid.NewV7())
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Accounts: []contacts.Account{{ID: a}}}); err != nil {
		t.Fatal(err)
	}
	waits, release := s.HoldAccount(a)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		entry := contacts.JournalEntry{Kind: contacts.JournalEvent, Data: "{}"}
		_, err := s.Apply(ctx, contacts.MutationBatch{Mutations: []contacts.Mutation{{AccountID: a, Journal: []contacts.JournalEntry{entry}}}})
		result <- err
	}()
	waits()
	cancel()
	release()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v, want %v", err, context.Canceled)
	}
	if entries, err := s.ListJournal(t.Context(), contacts.JournalQuery{AccountID: a, Limit: 1}); entries != nil || err != nil {
		t.Errorf("stored: %v, %v", entries, err)
	}
}
