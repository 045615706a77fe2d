//go:build cgo && unix

package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// backedUp makes a store with a contact, which is open, and a backup of it.
func backedUp(t *testing.T, path string) (s *sqlite.Store, backup string, account, contact uuid.UUID) {
	t.Helper()
	s = open(t, path)
	account = mustAccount(t, s)
	contact = mustCreate(t, s, account).Contact.ID
	backup = newPath(t)
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	return s, backup, account, contact
}

func TestRestorePutsABackupInThePlaceOfWhatIsThere(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for name, arrange := range map[string]func(t *testing.T, path string){
		"nothing":                 func(*testing.T, string) {},
		"an empty file":           func(t *testing.T, path string) { write(t, path, "") },
		"a store":                 func(t *testing.T, path string) { used(t, path, 3) },
		"a store that was killed": func(t *testing.T, path string) { killedStore(t, path) },
		"a damaged store": func(t *testing.T, path string) {
			used(t, path, 50)
			if err := os.Truncate(path, 3*4096); err != nil {
				t.Fatal(err)
			}
		},
		"a newer store": func(t *testing.T, path string) { newer(t, path).Close() },
		"a log alone": func(t *testing.T, path string) {
			killedStore(t, path)
			os.Remove(path)
		},
		"another backup, beside a log": func(t *testing.T, path string) {
			backup, _, _ := killedStore(t, path)
			copyFile(t, path, backup, 0o600)
		},
		"another backup, beside a journal": func(t *testing.T, path string) {
			used(t, path, 1)
			write(t, path+"-journal", journalOfEmptyFile())
		},
		"a store that is not finished": func(t *testing.T, path string) {
			used(t, path, 1)
			if err := os.Truncate(path, 4096); err != nil {
				t.Fatal(err)
			}
			write(t, path+"-journal", journalOfEmptyFile())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, backup, account, contact := backedUp(t, newPath(t))
			path := newPath(t)
			arrange(t, path)
			before := read(t, backup)
			if err := sqlite.Restore(t.Context(), backup, path); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, read(t, backup)) {
				t.Error("Restore has changed the backup")
			}
			wantFiles(t, filepath.Dir(backup), "contacts.db")
			wantFiles(t, filepath.Dir(path), "contacts.db")
			s := open(t, path)
			wantContact(t, s, account, contact)
			mustCreate(t, s, account)
			wantSound(t, path)
			list, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 9})
			if err != nil || len(list.Accounts) != 1 {
				t.Errorf("%d accounts, %v; want that of the backup alone", len(list.Accounts), err)
			}
		})
	}
}

func TestRestoreKeepsModeAndLink(t *testing.T) {
	t.Parallel()
	_, backup, account, contact := backedUp(t, newPath(t))
	path, link := newPath(t), newPath(t)
	used(t, path, 1)
	if err := errors.Join(os.Chmod(path, 0o640), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Restore(t.Context(), backup, link); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode of the file: %v, %v", info.Mode(), err)
	}
	if got, err := os.Readlink(link); err != nil || got != path {
		t.Errorf("the link leads to %s, %v", got, err)
	}
	wantContact(t, open(t, path), account, contact)
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want    error
		arrange func(t *testing.T, backup, path string)
	}{
		"a backup that is not there": {fs.ErrNotExist, func(t *testing.T, backup, path string) { os.Remove(backup) }},
		"text as a backup":           {sqlite.ErrNotDatabase, func(t *testing.T, backup, path string) { write(t, backup, strings.Repeat("text ", 1000)) }},
		"an empty backup":            {sqlite.ErrForeign, func(t *testing.T, backup, path string) { write(t, backup, "") }},
		"a folder as a backup": {sqlite.ErrNotDatabase, func(t *testing.T, backup, path string) {
			os.Remove(backup)
			os.Mkdir(backup, 0o700)
		}},
		"a backup of another program": {sqlite.ErrForeign, func(t *testing.T, backup, path string) {
			os.Remove(backup)
			db := plain(t, backup)
			exec1(t, db, "CREATE TABLE contact (name)")
			db.Close()
		}},
		"a newer backup": {sqlite.ErrNewerSchema, func(t *testing.T, backup, path string) { newer(t, backup).Close() }},
		"a backup that is cut off": {sqlite.ErrCorrupt, func(t *testing.T, backup, path string) {
			if err := os.Truncate(backup, int64(len(read(t, backup))-4096)); err != nil {
				t.Fatal(err)
			}
		}},
		"a backup with a damaged index": {sqlite.ErrCorrupt, func(t *testing.T, backup, path string) {
			db := plain(t, backup)
			exec1(t, db, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'journal_subject') WHERE name = 'api_key_account'")
			db.Close()
		}},
		"a backup with a log": {nil, func(t *testing.T, backup, path string) { mustAccount(t, open(t, backup)) }},
		"another program's file at the path": {sqlite.ErrForeign, func(t *testing.T, backup, path string) {
			os.Remove(path)
			db := plain(t, path)
			exec1(t, db, "CREATE TABLE contact (name)")
			db.Close()
		}},
		"text at the path":     {sqlite.ErrNotDatabase, func(t *testing.T, backup, path string) { write(t, path, "text") }},
		"a store that is open": {sqlite.ErrInUse, func(t *testing.T, backup, path string) { open(t, path) }},
		"a store that another process has open": {sqlite.ErrInUse, func(t *testing.T, backup, path string) {
			p := start(t, "create", path)
			p.line()
			t.Cleanup(func() { p.kill(t) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, backup, _, _ := backedUp(t, newPath(t))
			path := newPath(t)
			used(t, path, 1)
			c.arrange(t, backup, path)
			before := read(t, path)
			err := sqlite.Restore(t.Context(), backup, path)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("Restore: got error %v, want one that matches %v", err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("Restore: the error does not name the path: %v", err)
			}
			if !errors.Is(err, sqlite.ErrInUse) && !bytes.Equal(before, read(t, path)) {
				t.Error("Restore has changed the file")
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".contacts-*")); left != nil {
				t.Errorf("Restore has left %v", left)
			}
		})
	}
}

func TestRestoreOfAFileOverItself(t *testing.T) {
	t.Parallel()
	path, link := newPath(t), newPath(t)
	used(t, path, 1)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, backup := range []string{path, link} {
		before := folder(t, filepath.Dir(path))
		if err := sqlite.Restore(t.Context(), backup, path); err == nil {
			t.Error("Restore took a file as a backup of itself")
		}
		if !maps.Equal(before, folder(t, filepath.Dir(path))) {
			t.Error("Restore has changed the folder")
		}
	}
}

func TestRestoreCancelled(t *testing.T) {
	t.Parallel()
	_, backup, _, _ := backedUp(t, newPath(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := newPath(t)
	wantErr(t, "Restore", sqlite.Restore(ctx, backup, path), context.Canceled)
	wantFiles(t, filepath.Dir(path))
}

// Each sync is a moment at which the process may die. What it leaves then is the
// old store, or the new one, or it is refused; and another Restore puts it right.
func TestRestoreThatDies(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for name, kill := range map[string]bool{"beside a closed store": false, "beside a killed store": true} {
		for moment := 1; ; moment++ {
			_, backup, account, contact := backedUp(t, newPath(t))
			path := newPath(t)
			if used(t, path, 1); kill {
				old, _, _ := killedStore(t, newPath(t))
				copyFile(t, path, old, 0o600)
				s := open(t, old)
				mustAccount(t, s)
				copyFile(t, path+"-wal", old+"-wal", 0o600)
			}
			died := newPath(t)
			syncs := 0
			err := sqlite.NewPlan().Sync(func(*os.File) error {
				if syncs++; syncs == moment {
					for name, content := range folder(t, filepath.Dir(path)) {
						write(t, filepath.Join(filepath.Dir(died), name), content)
					}
				}
				return nil
			}).Restore(t.Context(), backup, path)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if syncs < moment {
				break
			}
			s, err := sqlite.Open(t.Context(), died, nil)
			if err != nil {
				wantErr(t, fmt.Sprintf("%s: Open of what is left at sync %d", name, moment), err, sqlite.ErrForeignLog)
			} else if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := sqlite.Restore(t.Context(), backup, died); err != nil {
				t.Errorf("%s: Restore after one that died at sync %d: %v", name, moment, err)
				continue
			}
			wantContact(t, open(t, died), account, contact)
		}
	}
}

// What fails before the new file has its name leaves the old one.
func TestRestoreThatCannotSync(t *testing.T) {
	t.Parallel()
	_, backup, _, _ := backedUp(t, newPath(t))
	path := newPath(t)
	used(t, path, 1)
	before := folder(t, filepath.Dir(path))
	fault := errors.New("the disk is gone")
	err := sqlite.NewPlan().Sync(func(*os.File) error { return fault }).Restore(t.Context(), backup, path)
	wantErr(t, "Restore", err, fault)
	if !maps.Equal(before, folder(t, filepath.Dir(path))) {
		t.Error("Restore has changed the folder")
	}
}

// What fails after the new file has its name says so.
func TestRestoreThatCannotSyncTheFolder(t *testing.T) {
	t.Parallel()
	_, backup, account, contact := backedUp(t, newPath(t))
	path := newPath(t)
	used(t, path, 1)
	fault := errors.New("the disk is gone")
	for after := range 2 { // syncs of the folder that work
		n := 0
		err := sqlite.NewPlan().Sync(func(f *os.File) error {
			if info, err := f.Stat(); err != nil || !info.IsDir() {
				return err
			}
			if n++; n > after {
				return fault
			}
			return nil
		}).Restore(t.Context(), backup, path)
		wantErr(t, "Restore", err, fault)
		wantErr(t, "Restore", err, sqlite.ErrReplaced)
	}
	wantContact(t, open(t, path), account, contact)
}

// A store that was created after the backup is gone after Restore, with its log.
func ExampleRestore() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "contacts")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path, backup := filepath.Join(folder, "contacts.db"), filepath.Join(folder, "monday.db")
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		log.Fatal(err)
	}
	admin := contacts.NewAdmin(store, nil)
	if _, err := admin.CreateAccount(ctx, "Acme Corp"); err != nil {
		log.Fatal(err)
	}
	if err := store.Backup(ctx, backup); err != nil {
		log.Fatal(err)
	}
	if _, err := admin.CreateAccount(ctx, "Added on Tuesday"); err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	if err := sqlite.Restore(ctx, backup, path); err != nil {
		log.Fatal(err)
	}
	if store, err = sqlite.Open(ctx, path, nil); err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	list, err := store.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 10})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range list.Accounts {
		fmt.Println(a.Name)
	}
	// Output: Acme Corp
}
