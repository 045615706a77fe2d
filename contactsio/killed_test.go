package contactsio_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// What TestKilledImport tells the program that it kills.
const (
	killedDB   = "CONTACTS_KILLED_DB"
	killedKey  = "CONTACTS_KILLED_KEY"
	killedFrom = "CONTACTS_KILLED_FROM"
	killedRows = 3000
)

// TestImportOfAProcess is the program that TestKilledImport kills. It writes each
// checkpoint on a line.
func TestImportOfAProcess(t *testing.T) {
	db := os.Getenv(killedDB)
	if db == "" {
		t.Skip("TestKilledImport runs it")
	}
	var opts contactsio.ReadOptions
	if err := json.Unmarshal([]byte(os.Getenv(killedFrom)), &opts.From); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := contactsio.NewReader(strings.NewReader(people(killedRows)), &opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = contactsio.Import(t.Context(), svc, os.Getenv(killedKey), r, &contactsio.ImportOptions{
		Checkpoint: func(p contactsio.Position) error { return json.NewEncoder(os.Stderr).Encode(p) },
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilledImport kills an import at a random place and runs it again, with and
// without the last checkpoint, until it is through. Then each row is stored once, and
// the summary of the last run is right.
func TestKilledImport(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range longtest.Size(1, 20) {
		db := filepath.Join(t.TempDir(), "contacts.db")
		store, err := sqlite.Open(t.Context(), db, nil)
		if err != nil {
			t.Fatal(err)
		}
		admin := contacts.NewAdmin(store, nil)
		account, err := admin.CreateAccount(t.Context(), "Example")
		if err != nil {
			t.Fatal(err)
		}
		key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		from := "{}"
		for range 2 {
			last := killAt(t, rand.IntN(3), program, killedDB+"="+db, killedKey+"="+key, killedFrom+"="+from)
			if last != "" && rand.IntN(2) == 0 {
				from = last
			}
		}

		var opts contactsio.ReadOptions
		if err := json.Unmarshal([]byte(from), &opts.From); err != nil {
			t.Fatal(err)
		}
		if store, err = sqlite.Open(t.Context(), db, nil); err != nil {
			t.Fatal(err)
		}
		svc, err := contacts.New(store, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := contactsio.NewReader(strings.NewReader(people(killedRows)), &opts)
		if err != nil {
			t.Fatal(err)
		}
		s, err := contactsio.Import(t.Context(), svc, key, r, nil)
		if err != nil || s.Rows != killedRows || s.Created+s.Replayed != killedRows || s.Next != nil {
			t.Errorf("the last run: %+v, %v", s, err)
		}
		each(t, svc, key, killedRows)
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killAt runs the import in a process of its own, and kills it after that many
// checkpoints. It returns the last one that was written. "": there was none.
func killAt(t *testing.T, checkpoints int, program string, env ...string) (last string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestImportOfAProcess$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range checkpoints {
		if !lines.Scan() {
			break
		}
		last = lines.Text()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Log(fmt.Errorf("it was through: %w", err))
	}
	_ = cmd.Wait() // it was killed
	return last
}
