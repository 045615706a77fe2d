package memory

import (
	"errors"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
)

// contactOf returns a mutation that creates a contact.
func contactOf(a *account, c contacts.Contact) contacts.Mutation {
	c.ID, c.AccountID, c.Version = uuid.Must(uuid.NewV7()), a.ID, 1
	r := &contacts.ContactRecord{Contact: c}
	return contacts.Mutation{AccountID: a.ID, Contacts: []contacts.ContactChange{{ID: c.ID, Record: r}}}
}

func wantOutcomes(t *testing.T, s *Store, batch contacts.MutationBatch, want ...contacts.MutationOutcome) {
	t.Helper()
	got, err := s.Apply(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateErrors()); d != "" {
		t.Errorf("outcomes (-want +got):\n%s", d)
	}
}

func TestBatchFailsBeforeAReplay(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	a := accounts[0]
	sent := once(a, 1)[0]
	apply(t, s, contacts.MutationBatch{Now: noon.Add(-time.Minute), Mutations: []contacts.Mutation{sent}})
	created := contactOf(a, contacts.Contact{})
	wantOutcomes(t, s,
		contacts.MutationBatch{
			Now: noon.Add(-time.Minute), AllOrNothing: true,
			Mutations: []contacts.Mutation{created, {AccountID: uuid.New()}, sent},
		},
		contacts.MutationOutcome{Err: contacts.ErrBatchFailed},
		contacts.MutationOutcome{Err: contacts.ErrNotFound},
		contacts.MutationOutcome{Err: contacts.ErrBatchFailed})
	if len(a.contacts)+len(a.ids) != 0 {
		t.Errorf("a batch that failed left %d contacts", len(a.contacts))
	}
}

// TestFailedBatchKeepsAnEndedIdempotencyRecord: it has not ended by a clock that
// is late.
func TestFailedBatchKeepsAnEndedIdempotencyRecord(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	sent := once(accounts[0], 1)[0]
	apply(t, s, contacts.MutationBatch{Now: noon.Add(-time.Minute), Mutations: []contacts.Mutation{sent}})
	wantOutcomes(t, s,
		contacts.MutationBatch{Now: noon, AllOrNothing: true, Mutations: []contacts.Mutation{sent, {AccountID: uuid.New()}}},
		contacts.MutationOutcome{Err: contacts.ErrBatchFailed}, contacts.MutationOutcome{Err: contacts.ErrNotFound})
	wantOutcomes(t, s,
		contacts.MutationBatch{Now: noon.Add(-time.Minute), Mutations: []contacts.Mutation{sent}},
		contacts.MutationOutcome{Result: sent.Idempotency.Result})
}

func TestNoHoldersWithAnErrorOfTheJournal(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	twin := contactOf(accounts[0], contacts.Contact{Email: "ada@example.com", DeletedAt: noon})
	apply(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{twin}})
	m := contactOf(accounts[0], contacts.Contact{Email: "ada@example.com"})
	m.Claims = m.Contacts[0].Record.MatchKeys()
	m.Journal = []contacts.JournalEntry{{Sequence: 9, Kind: contacts.JournalEvent}}
	wantOutcomes(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{m}},
		contacts.MutationOutcome{Err: contacts.ErrNotFound})
}

func TestContactThatHoldsANumberTwice(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	number := contacts.PhoneNumber{PhoneNumber: "+15550000000"}
	twice := contactOf(accounts[0], contacts.Contact{PhoneNumbers: []contacts.PhoneNumber{number, number}})
	after := contactOf(accounts[0], contacts.Contact{PhoneNumbers: []contacts.PhoneNumber{number}})
	claim := contactOf(accounts[0], contacts.Contact{})
	claim.Claims = after.Contacts[0].Record.MatchKeys()
	removal := contacts.Mutation{AccountID: twice.AccountID, Contacts: []contacts.ContactChange{{ID: twice.Contacts[0].ID, Version: 1}}}
	apply(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{twice, after}})

	batch := contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{claim}}
	held := []contacts.Holder{{ContactID: twice.Contacts[0].ID}, {ContactID: after.Contacts[0].ID}}
	wantOutcomes(t, s, batch, contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: held})
	apply(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{removal}})
	wantOutcomes(t, s, batch, contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: held[1:]})
}

func TestVerbatimEntriesDoNotGoBack(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	for _, sequences := range [][]int64{{5, 4}, {0, 1}} {
		m := contacts.Mutation{AccountID: accounts[0].ID}
		for _, n := range sequences {
			m.Journal = append(m.Journal, contacts.JournalEntry{Sequence: n, Kind: contacts.JournalEvent})
		}
		wantOutcomes(t, s, contacts.MutationBatch{Now: noon, Verbatim: true, Mutations: []contacts.Mutation{m}},
			contacts.MutationOutcome{Err: contacts.ErrExists})
	}
	if len(accounts[0].journal) != 0 {
		t.Errorf("stored: %v", accounts[0].journal)
	}
}

func TestListOfNothing(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	a := accounts[0]
	m := contactOf(a, contacts.Contact{Email: "ada@example.com"})
	m.Journal = []contacts.JournalEntry{{Kind: contacts.JournalEvent}}
	apply(t, s, contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{m}})
	for _, q := range []contacts.ContactQuery{{IDs: []uuid.UUID{}}, {MatchKeys: []contacts.MatchKey{}}} {
		q.AccountID, q.Limit, q.Count = a.ID, 9, true
		if list, err := s.ListContacts(t.Context(), q); len(list.Records) != 0 || list.Count != 0 || err != nil {
			t.Errorf("ListContacts: %d of %d and error %v, want none", len(list.Records), list.Count, err)
		}
	}
	q := contacts.JournalQuery{AccountID: a.ID, Subjects: [][32]byte{}, Limit: 9}
	if entries, err := s.ListJournal(t.Context(), q); len(entries) != 0 || err != nil {
		t.Errorf("ListJournal: %v and error %v, want none", entries, err)
	}
}

func TestNoTeamIDIsLeft(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	team := contacts.Team{ID: math.MaxInt64, AccountID: accounts[0].ID}
	if _, err := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{team}}); err != nil {
		t.Fatal(err)
	}
	team.ID = 0
	_, err := s.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{team}})
	if err == nil || errors.Is(err, contacts.ErrExists) || errors.Is(err, contacts.ErrNotFound) {
		t.Errorf("AddToDirectory: %v, want a fault", err)
	}
}

// Apply waits for those who read the account. A writer that waits keeps new readers
// out, which shows that it waits.
func TestApplyLocksTheAccount(t *testing.T) {
	t.Parallel()
	s, accounts := withAccounts(t, 1)
	a := accounts[0]
	a.mu.RLock()
	applied := make(chan error, 1)
	go func() {
		_, err := s.Apply(t.Context(), contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{contactOf(a, contacts.Contact{})}})
		applied <- err
	}()
	for a.mu.TryRLock() {
		a.mu.RUnlock()
		if len(applied) > 0 {
			t.Fatal("Apply has changed an account that is being read")
		}
		runtime.Gosched()
	}
	a.mu.RUnlock()
	if err := <-applied; err != nil {
		t.Error(err)
	}
}
