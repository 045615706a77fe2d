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

// TestReplayComesToTheSame makes many writes, among them such as remove some
// contacts of many, and looks at the contacts in between, which must not matter.
func TestReplayComesToTheSame(t *testing.T) {
	path, _ := journal(t, 2)
	s := open(t, path)
	defer s.Close()
	d, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 9})
	if err != nil {
		t.Fatal(err)
	}
	all := func(s *Store) (all []*contacts.ContactRecord) {
		for _, a := range d.Accounts {
			for _, deleted := range []bool{false, true} {
				list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a.ID, Deleted: deleted, Limit: 1000})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, list.Records...)
			}
		}
		return all
	}
	source := rand.NewChaCha8([32]byte{})
	random := rand.New(source)
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for i := range 300 {
		switch random.IntN(4) {
		case 0, 1:
			r := &contacts.ContactRecord{Contact: contacts.Contact{ID: uuid.Must(uuid.NewRandomFromReader(source)), AccountID: d.Accounts[i%2].ID, FirstName: fmt.Sprint(i), Version: 1}}
			once := &contacts.Idempotency{Key: [32]byte{byte(random.IntN(20))}, Result: fmt.Sprint(i), EndsAt: noon.Add(time.Duration(i+20) * time.Second)}
			s.CreateContacts(t.Context(), contacts.ContactBatch{
				Records:       []*contacts.ContactRecord{r},
				Idempotencies: []*contacts.Idempotency{once},
				Now:           noon.Add(time.Duration(i) * time.Second),
			})
		case 2:
			for _, r := range all(s) {
				version := r.Contact.Version
				r.Contact.Version++
				if random.IntN(3) == 0 {
					r.Contact.DeletedAt = noon
				}
				s.UpdateContacts(t.Context(), []contacts.ContactChange{{Record: r, Version: version - int64(random.IntN(2))}})
			}
		case 3:
			if _, err := s.PurgeContacts(t.Context(), contacts.PurgeQuery{Limit: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := all(s)
	if len(want) < 10 {
		t.Fatalf("only %d contacts are left to compare", len(want))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	defer again.Close()
	if d := cmp.Diff(want, all(again)); d != "" {
		t.Errorf("contacts after opening the journal anew (-want +got):\n%s", d)
	}
}

func TestPurgeOfNothingIsNotWritten(t *testing.T) {
	path, text := journal(t, 1)
	s := open(t, path)
	defer s.Close()
	if n, err := s.PurgeContacts(t.Context(), contacts.PurgeQuery{Limit: 9}); n != 0 || err != nil {
		t.Errorf("PurgeContacts: %d and error %v, want 0", n, err)
	}
	if b, _ := os.ReadFile(path); string(b) != text {
		t.Errorf("the journal has grown: %q", b)
	}
}

func TestTornLastLineIsDropped(t *testing.T) {
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
	path, _ := journal(t, 1)
	s := open(t, path)
	defer s.Close()
	s.journal.Close() // as a disk that is gone
	admin := contacts.NewAdmin(s, nil)
	if _, err := admin.CreateAccount(t.Context(), "Acme Corp"); !errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Errorf("CreateAccount: %v, want ErrOutcomeUnknown", err)
	}
	_, err := admin.CreateAccount(t.Context(), "Acme Corp")
	if contacts.CodeOf(err) != contacts.CodeServerError || errors.Is(err, contacts.ErrOutcomeUnknown) {
		t.Errorf("CreateAccount on a broken journal: %v, want a server error that stored nothing", err)
	}
}
