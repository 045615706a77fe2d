package customstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
