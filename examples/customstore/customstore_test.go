package customstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/storetest"
)

var harness = storetest.Harness{
	New: func(t testing.TB) contacts.Store {
		return open(t, filepath.Join(t.TempDir(), "contacts.journal"))
	},
	Reopen: func(t testing.TB, s contacts.Store) contacts.Store {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return open(t, s.(*Store).path)
	},
	// Second is nil: two processes do not share a journal.
}

func TestStore(t *testing.T)      { storetest.Run(t, harness) }
func BenchmarkStore(b *testing.B) { storetest.Bench(b, harness) }

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// accounts opens the journal and returns how many accounts are in it.
func accounts(t *testing.T, path string) (n int) {
	t.Helper()
	s := open(t, path)
	defer s.Close()
	for _, err := range contacts.NewAdmin(s, nil).Accounts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// journal writes a journal with some accounts and returns its path and text.
func journal(t *testing.T, n int) (path, text string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "contacts.journal")
	s := open(t, path)
	defer s.Close()
	for i := range n {
		if _, err := contacts.NewAdmin(s, nil).CreateAccount(t.Context(), fmt.Sprint("account ", i)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(b)
}

// TestReplayComesToTheSame makes random writes, looks at the store in between,
// which must not matter, and opens the journal anew.
func TestReplayComesToTheSame(t *testing.T) {
	t.Parallel()
	path, _ := journal(t, 2)
	s := open(t, path)
	defer s.Close()
	d, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 9})
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{t: t, accounts: d.Accounts, source: rand.NewChaCha8([32]byte{})}
	seen := map[error]int{}
	for i := range 300 {
		batch := w.batch(w.observe(s).Contacts, i)
		outcomes, err := s.Apply(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outcomes {
			seen[o.Err]++
		}
	}
	for _, err := range []error{
		contacts.ErrExists, contacts.ErrConflict, contacts.ErrDuplicate, contacts.ErrIdempotencyConflict, contacts.ErrBatchFailed,
	} {
		if seen[err] == 0 {
			t.Errorf("no write was refused with %v", err)
		}
	}
	want := w.observe(s)
	if len(want.Contacts) < 5 || len(want.Journal) < 5 {
		t.Fatalf("only %d contacts and %d journal entries are left to compare", len(want.Contacts), len(want.Journal))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	defer again.Close()
	if d := cmp.Diff(want, w.observe(again)); d != "" {
		t.Errorf("after opening the journal anew (-want +got):\n%s", d)
	}
}

// A writer makes random batches.
type writer struct {
	t        *testing.T
	accounts []contacts.Account
	source   *rand.ChaCha8
}

const (
	writerKeys   = 20 // how many idempotency keys a writer uses
	writerEmails = 10
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// batch returns the batch of minute i.
func (w *writer) batch(stored []*contacts.ContactRecord, i int) contacts.MutationBatch {
	random := rand.New(w.source)
	now := noon.Add(time.Duration(i) * time.Minute)
	batch := contacts.MutationBatch{Now: now, AllOrNothing: random.IntN(4) == 0, DryRun: random.IntN(4) == 0}
	for range random.IntN(3) { // none: records that have ended are removed
		id := uuid.Must(uuid.NewRandomFromReader(w.source))
		change := contacts.ContactChange{ID: id, Record: &contacts.ContactRecord{Contact: contacts.Contact{
			ID: id, AccountID: w.accounts[random.IntN(2)].ID, Version: 1, Email: email(random.IntN(writerEmails)),
		}}}
		if n := len(stored); n > 0 && random.IntN(2) == 0 {
			next := *stored[random.IntN(n)]
			change = contacts.ContactChange{ID: next.Contact.ID, Version: next.Contact.Version - int64(random.IntN(2)), Record: &next}
			next.Contact.Version++
			next.Contact.DeletedAt = now
		}
		m := contacts.Mutation{
			AccountID: change.Record.Contact.AccountID,
			Contacts:  []contacts.ContactChange{change},
			Idempotency: &contacts.IdempotencyRecord{
				Key: [32]byte{byte(random.IntN(writerKeys))}, Input: [32]byte{byte(random.IntN(2))},
				Result: fmt.Sprint(i), EndsAt: now.Add(20 * time.Minute),
			},
			Journal: []contacts.JournalEntry{{Kind: contacts.JournalEvent, At: now, EndsAt: now.Add(time.Hour), Data: fmt.Sprint(i)}},
		}
		if random.IntN(2) == 0 {
			m.Claims = change.Record.MatchKeys()
		}
		if change.Version > 1 {
			m.Contacts[0].Record = nil
		}
		batch.Mutations = append(batch.Mutations, m)
	}
	return batch
}

func email(i int) string { return fmt.Sprintf("%d@example.com", i) }

// An observation is all that a reader can see.
type observation struct {
	Contacts []*contacts.ContactRecord
	Journal  []contacts.JournalEntry
	Outcomes []string // of each idempotency key and each claim
}

func (w *writer) observe(s *Store) (o observation) {
	w.t.Helper()
	for _, a := range w.accounts {
		for _, deleted := range []bool{false, true} {
			list, err := s.ListContacts(w.t.Context(), contacts.ContactQuery{AccountID: a.ID, Deleted: deleted, Limit: 1000})
			if err != nil {
				w.t.Fatal(err)
			}
			o.Contacts = append(o.Contacts, list.Records...)
		}
		entries, err := s.ListJournal(w.t.Context(), contacts.JournalQuery{AccountID: a.ID, Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		o.Journal = append(o.Journal, entries...)

		batch := contacts.MutationBatch{Now: noon, DryRun: true}
		for i := range writerKeys {
			once := contacts.IdempotencyRecord{Key: [32]byte{byte(i)}, Result: "new", EndsAt: noon}
			batch.Mutations = append(batch.Mutations, contacts.Mutation{AccountID: a.ID, Idempotency: &once})
		}
		for i := range writerEmails {
			r := contacts.ContactRecord{Contact: contacts.Contact{ID: uuid.New(), AccountID: a.ID, Email: email(i)}}
			batch.Mutations = append(batch.Mutations, contacts.Mutation{
				AccountID: a.ID, Contacts: []contacts.ContactChange{{ID: r.Contact.ID, Record: &r}}, Claims: r.MatchKeys(),
			})
		}
		outcomes, err := s.Apply(w.t.Context(), batch)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, outcome := range outcomes {
			o.Outcomes = append(o.Outcomes, fmt.Sprint(outcome))
		}
	}
	return o
}

func TestDryRunIsNotWritten(t *testing.T) {
	t.Parallel()
	path, text := journal(t, 1)
	s := open(t, path)
	defer s.Close()
	batch := contacts.MutationBatch{Mutations: []contacts.Mutation{{AccountID: uuid.New()}}, Now: noon, DryRun: true}
	outcomes, err := s.Apply(t.Context(), batch)
	if err != nil || len(outcomes) != 1 || !errors.Is(outcomes[0].Err, contacts.ErrNotFound) {
		t.Errorf("Apply in an account that does not exist: %v and error %v, want ErrNotFound", outcomes, err)
	}
	if b, _ := os.ReadFile(path); string(b) != text {
		t.Errorf("the journal has grown: %q", b)
	}
}

func TestTornLastLineIsDropped(t *testing.T) {
	t.Parallel()
	path, text := journal(t, 2)
	second := strings.Index(text, "\n") + 1
	for _, torn := range []string{
		text[:second+1],
		text[:len(text)-1],
		text[:second] + strings.Repeat("\x00", 50) + "\n",
	} {
		if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		if n := accounts(t, path); n != 1 {
			t.Errorf("%d accounts after the second line was torn, want 1", n)
		}
		if b, _ := os.ReadFile(path); string(b) != text[:second] {
			t.Errorf("the torn line is still there: %q", b)
		}
	}
}

func TestDamageBeforeTheLastLineIsAnError(t *testing.T) {
	t.Parallel()
	path, text := journal(t, 2)
	damaged := "{" + text
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("Open: %v, want an error that names line 1", err)
	}
	if b, _ := os.ReadFile(path); string(b) != damaged {
		t.Error("Open changed a file that it refused")
	}
}

func TestFailedWriteIsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	path, _ := journal(t, 1)
	s := open(t, path)
	defer s.Close()
	s.journal.Close() // the disk is gone
	admin := contacts.NewAdmin(s, nil)
	if _, err := admin.CreateAccount(t.Context(), "Acme Corp"); !errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Errorf("CreateAccount: %v, want ErrOutcomeUnknown", err)
	}
	_, err := admin.CreateAccount(t.Context(), "Acme Corp")
	if contacts.CodeOf(err) != contacts.CodeServerError || errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Errorf("CreateAccount on a broken journal: %v, want a server error that stored nothing", err)
	}
}
