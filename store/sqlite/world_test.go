//go:build cgo && unix

package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// A role is what a test needs another process for. It runs in a copy of the
// test binary and prints what it has to say.
type role func(ctx context.Context, path string) error

const roleVariable, pathVariable = "SQLITE_TEST_ROLE", "SQLITE_TEST_PATH"

func TestMain(m *testing.M) {
	name := os.Getenv(roleVariable)
	if name == "" {
		longtest.FewerChecks()
		os.Exit(m.Run())
	}
	if err := roles[name](context.Background(), os.Getenv(pathVariable)); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// A process is a role that runs.
type process struct {
	*exec.Cmd
	out   *bufio.Scanner
	stdin io.WriteCloser // closing it asks a role that waits to end
}

// start runs a role in another process, which ends with the test.
func start(t *testing.T, name, path string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startBinary(t, exe, name, path)
}

func startBinary(t *testing.T, exe, name, path string, change ...func(*exec.Cmd)) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), roleVariable+"="+name, pathVariable+"="+path)
	cmd.Stderr = os.Stderr
	for _, f := range change {
		f(cmd)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, bufio.NewScanner(stdout), stdin}
}

// line returns the next line that the process prints, "" at its end.
func (p *process) line() string {
	p.out.Scan()
	return p.out.Text()
}

// end asks the process to end and checks that it did not fail.
func (p *process) end(t *testing.T) {
	t.Helper()
	p.stdin.Close()
	for p.out.Scan() {
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%s: %v", p.Path, err)
	}
}

// kill kills the process and waits until it is dead.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Error(err)
	}
	for p.out.Scan() {
	}
	_ = p.Wait() // it says that it was killed
}

// untilAsked waits in a role until the test calls end.
func untilAsked() { io.Copy(io.Discard, os.Stdin) }

// newPath returns the path of a file that is not there yet, alone in a folder. It
// is in memory where that can be had: what a disk does is the subject of few
// tests, which use diskPath.
func newPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "contacts-sqlite-")
	if err != nil {
		return diskPath(t)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "contacts.db")
}

// emptyStore is the file of a store in which nothing is stored. To copy it takes a
// fraction of the time that it takes to make one.
var emptyStore = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "contacts-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "contacts.db")
	s, err := sqlite.Open(context.Background(), path, nil)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// storePath is newPath, with a copy of emptyStore: for tests whose subject is not how a
// file is made.
func storePath(t testing.TB) string {
	t.Helper()
	content, err := emptyStore()
	if err != nil {
		t.Fatal(err)
	}
	path := newPath(t)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// diskPath is newPath on a disk.
func diskPath(t testing.TB) string { return filepath.Join(t.TempDir(), "contacts.db") }

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// plain opens the file as any other program does.
func plain(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", sqlite.URI(path, "mode=rwc"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func exec1(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

var noon = time.Date(2026, 3, 14, 12, 0, 0, 123456000, time.UTC)

// newAccount stores an account with teams 1 and 2.
func newAccount(ctx context.Context, s contacts.Store) (uuid.UUID, error) {
	id := newID()
	_, err := s.AddToDirectory(ctx, contacts.Directory{
		Accounts: []contacts.Account{{ID: id, Name: "Acme", CreatedAt: noon}},
		Teams: []contacts.Team{
			{AccountID: id, ID: 1, Name: "Sales", CreatedAt: noon},
			{AccountID: id, ID: 2, Name: "Support", CreatedAt: noon},
		},
	})
	return id, err
}

func mustAccount(t testing.TB, s contacts.Store) uuid.UUID {
	t.Helper()
	id, err := newAccount(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newContact(account uuid.UUID) *contacts.ContactRecord {
	return &contacts.ContactRecord{
		Contact: contacts.Contact{
			ID: newID(), AccountID: account, FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com",
			Country: "US", Status: "not_contacted", Stage: "lead", TeamID: 2, Tags: []string{"math", "poetry"},
			PhoneNumbers: []contacts.PhoneNumber{
				{ID: newID(), PhoneNumber: "+15551234567", PhoneType: "mobile", Primary: true},
				{ID: newID(), PhoneNumber: "+442071234567"},
			},
			CreatedAt: noon, UpdatedAt: noon.Add(time.Second), Version: 1,
		},
		CustomContext: `{"engine":"analytical"}`,
	}
}

// createOf returns the mutation that creates a contact.
func createOf(r *contacts.ContactRecord) contacts.Mutation {
	return contacts.Mutation{
		AccountID: r.Contact.AccountID,
		Contacts:  []contacts.ContactChange{{ID: r.Contact.ID, Record: r}},
	}
}

// updateOf returns the mutation that replaces a contact of that version.
func updateOf(r *contacts.ContactRecord, version int64) contacts.Mutation {
	m := createOf(r)
	m.Contacts[0].Version = version
	return m
}

// removalOf returns the mutation that removes a contact.
func removalOf(r *contacts.ContactRecord) contacts.Mutation {
	return contacts.Mutation{
		AccountID: r.Contact.AccountID,
		Contacts:  []contacts.ContactChange{{ID: r.Contact.ID, Version: r.Contact.Version}},
	}
}

// createBatch returns the batch that creates contacts.
func createBatch(records ...*contacts.ContactRecord) contacts.MutationBatch {
	batch := contacts.MutationBatch{Now: noon}
	for _, r := range records {
		batch.Mutations = append(batch.Mutations, createOf(r))
	}
	return batch
}

// apply applies mutations and returns all their errors.
func apply(ctx context.Context, s contacts.Store, mutations ...contacts.Mutation) error {
	return applyBatch(ctx, s, contacts.MutationBatch{Mutations: mutations, Now: noon})
}

func applyBatch(ctx context.Context, s contacts.Store, batch contacts.MutationBatch) error {
	outcomes, err := s.Apply(ctx, batch)
	return errors.Join(append(errorsOf(outcomes), err)...)
}

func create(ctx context.Context, s contacts.Store, records ...*contacts.ContactRecord) error {
	return applyBatch(ctx, s, createBatch(records...))
}

// purge removes up to limit deleted contacts of the account and returns how many
// it removed.
func purge(t testing.TB, s contacts.Store, account uuid.UUID, limit int) int {
	t.Helper()
	list, err := s.ListContacts(t.Context(), contacts.ContactQuery{
		AccountID: account, AllTeams: true, Deleted: true, DeletedBefore: noon.AddDate(1, 0, 0), Limit: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	var mutations []contacts.Mutation
	for _, r := range list.Records {
		mutations = append(mutations, removalOf(r))
	}
	if err := apply(t.Context(), s, mutations...); err != nil {
		t.Fatal(err)
	}
	return len(mutations)
}

// errorsOf returns the error of each outcome.
func errorsOf(outcomes []contacts.MutationOutcome) (errs []error) {
	for _, o := range outcomes {
		errs = append(errs, o.Err)
	}
	return errs
}

func mustCreate(t testing.TB, s contacts.Store, account uuid.UUID) *contacts.ContactRecord {
	t.Helper()
	r := newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func wantContact(t testing.TB, s contacts.Store, account, id uuid.UUID) {
	t.Helper()
	if _, err := s.FindContact(t.Context(), account, id); err != nil {
		t.Errorf("FindContact: %v", err)
	}
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want one that matches %v", what, got, want)
	}
}

// folder returns the content of every file of a folder, by name.
func folder(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		files[e.Name()] = e.Type().String()
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = string(b)
		}
	}
	return files
}

// wantFiles checks which files a folder has.
func wantFiles(t testing.TB, dir string, want ...string) {
	t.Helper()
	files := folder(t, dir)
	for _, name := range want {
		if _, ok := files[name]; !ok {
			t.Errorf("there is no file %q", name)
		}
		delete(files, name)
	}
	for name := range files {
		t.Errorf("a file %q is left", name)
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// copyFile copies a file. That it closes what it opens is harmless only where
// SQLite, in this process, has locks on neither.
func copyFile(t testing.TB, to, from string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, mode); err != nil {
		t.Fatal(err)
	}
}
