//go:build cgo

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

func TestClearLog(t *testing.T) {
	t.Parallel()
	// The first backup stops in the middle of its read until it is let go.
	reading, goOn := make(chan struct{}), make(chan struct{})
	stop := sync.OnceFunc(func() {
		close(reading)
		<-goOn
	})
	path := storePath(t)
	s := mustOpen(t, sqlite.NewPlan().Connected(func(c *sqlite3.SQLiteConn) error {
		c.RegisterAuthorizer(func(op int, _, _, database string) int {
			if op == sqlite3.SQLITE_CREATE_TABLE && database != "main" { // of the copy
				stop()
			}
			return sqlite3.SQLITE_OK
		})
		return nil
	}), path)
	defer s.Close()
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	want := func(when string, want bool) {
		t.Helper()
		cleared, err := s.ClearLog(t.Context())
		if err != nil || cleared != want {
			t.Errorf("%s: ClearLog returned %t, %v; want %t", when, cleared, err, want)
		}
		if n := size(); want && n != 0 {
			t.Errorf("%s: the log has %d bytes", when, n)
		}
		if n := s.Stats().LogBytes; n != size() {
			t.Errorf("%s: Stats knows of %d bytes in a log of %d", when, n, size())
		}
	}

	a := mustAccount(t, s)
	first := mustCreate(t, s, a)
	if size() == 0 {
		t.Fatal("nothing is in the log")
	}
	want("idle", true)
	want("empty", true)
	second := mustCreate(t, s, a)
	want("after another write", true)

	done := make(chan error)
	backup := filepath.Join(t.TempDir(), "backup.db")
	go func() { done <- s.Backup(t.Context(), backup) }()
	<-reading
	third := mustCreate(t, s, a)
	want("while a backup reads", false)
	if size() == 0 {
		t.Error("the log is empty that a backup needs")
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want("after the backup", true)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ClearLog(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
	for _, r := range []*contacts.ContactRecord{first, second, third} {
		wantContact(t, s, a, r.Contact.ID)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClearLog(t.Context()); !errors.Is(err, contacts.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	s = mustOpen(t, sqlite.NewPlan(), path)
	defer s.Close()
	wantContact(t, s, a, third.Contact.ID)
}

func ExampleStore_ClearLog() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "contacts")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	store, err := sqlite.Open(ctx, filepath.Join(folder, "contacts.db"), nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	// After Admin.EraseContact: nothing of the person stays in the -wal file.
	cleared, err := store.ClearLog(ctx)
	fmt.Println(cleared, err)
	// Output: true <nil>
}
