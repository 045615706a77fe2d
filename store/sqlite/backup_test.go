//go:build cgo

package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

func TestBackupHasAllThatWasStoredBeforeWhileWritersGoOn(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	var before []uuid.UUID
	for range 300 {
		before = append(before, mustCreate(t, s, a).Contact.ID)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if err := create(t.Context(), s, newContact(a)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	path := filepath.Join(t.TempDir(), "a backup #1?.db")
	err := s.Backup(t.Context(), path)
	close(done)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the backup: %v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("beside the backup: %v, %v", files, err)
	}
	b := open(t, path)
	for _, id := range before {
		wantContact(t, b, a, id)
	}
	mustCreate(t, b, a)
}

func TestBackupThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	for range 200 {
		mustCreate(t, s, a)
	}
	folder := t.TempDir()
	there := filepath.Join(folder, "there.db")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-journal"} { // of a backup that is gone
		if err := os.WriteFile(filepath.Join(folder, "old.db"+suffix), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Backup(t.Context(), filepath.Join(folder, "old.db")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("beside an old file %s: got %v", suffix, err)
		}
		if err := os.Remove(filepath.Join(folder, "old.db"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		path string
		want error
	}{
		{"a file that is there", t.Context(), there, fs.ErrExist},
		{"no folder", t.Context(), filepath.Join(folder, "none", "b.db"), fs.ErrNotExist},
		{"cancelled", cancelled, filepath.Join(folder, "b.db"), context.Canceled},
	} {
		if err := s.Backup(c.ctx, c.path); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if err := s.Backup(t.Context(), ""); err == nil {
		t.Error("an empty path is taken")
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 {
		t.Errorf("files that should be gone: %v, %v", files, err)
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "mine" {
		t.Errorf("the file that was there: %q, %v", b, err)
	}
	mustCreate(t, s, a)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), filepath.Join(folder, "c.db")); !errors.Is(err, contacts.ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
}

// A backup has returned when its file and its name are on the disk. If a sync
// fails, there is no backup.
func TestBackupIsSynced(t *testing.T) {
	t.Parallel()
	fault := errors.New("the disk is gone")
	for fails := range 3 {
		var synced []string
		s := mustOpen(t, sqlite.NewPlan().Sync(func(f *os.File) error {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			if synced = append(synced, filepath.Dir(f.Name())); info.IsDir() {
				synced[len(synced)-1] = f.Name()
			} else if info.Size() < 4096 {
				t.Errorf("a file of %d bytes is synced: the copy is not in it", info.Size())
			}
			if len(synced) == fails {
				return fault
			}
			return f.Sync()
		}), storePath(t))
		defer s.Close()
		mustCreate(t, s, mustAccount(t, s))
		folder := filepath.Dir(newPath(t))
		path := filepath.Join(folder, "backup.db")
		err := s.Backup(t.Context(), path)
		if fails > 0 {
			wantErr(t, "Backup", err, fault)
			wantFiles(t, folder)
			continue
		}
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{folder, folder}, synced); diff != "" {
			t.Errorf("synced: a file in a folder, and the folder (-want +got):\n%s", diff)
		}
	}
}

func ExampleStore_Backup() {
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
	if err := store.Backup(ctx, filepath.Join(folder, "monday.db")); err != nil {
		panic(err)
	}
	// Output:
}
