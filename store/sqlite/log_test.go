//go:build cgo && unix

package sqlite_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// killedStore makes a store and kills the process that wrote to it. It returns a
// backup of it, and the account and a contact that are in the backup.
func killedStore(t *testing.T, path string) (backup string, account, contact uuid.UUID) {
	t.Helper()
	p := start(t, "create", path)
	ids := strings.Fields(p.line())
	s := open(t, path)
	backup = newPath(t)
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for size := int64(0); size == 0; p.line() { // Close has copied the log
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		size = info.Size()
	}
	// The log has its number before a create is acknowledged that began after it did.
	for seen, made := time.Now(), (time.Time{}); !made.After(seen); {
		_, id, _ := strings.Cut(p.line(), " ")
		made = time.Unix(uuid.MustParse(id).Time().UnixTime())
	}
	p.kill(t)
	return backup, uuid.MustParse(ids[0]), uuid.MustParse(ids[1])
}

// crashed copies a store that is open as a crash would leave it now.
func crashed(t *testing.T, path, source string) {
	t.Helper()
	copyFile(t, path, source, 0o600)
	copyFile(t, path+"-wal", source+"-wal", 0o600)
}

// wantForeignLog checks that Open refuses a file for what lies beside it, names
// that, and changes nothing.
func wantForeignLog(t *testing.T, path, suffix string) {
	t.Helper()
	before := folder(t, filepath.Dir(path))
	s, err := sqlite.Open(t.Context(), path, nil)
	if err == nil {
		s.Close()
	}
	wantErr(t, "Open", err, sqlite.ErrForeignLog)
	if err != nil && !strings.Contains(err.Error(), path+suffix) {
		t.Errorf("Open: the error does not name the %s file: %v", suffix, err)
	}
	if !maps.Equal(before, folder(t, filepath.Dir(path))) {
		t.Error("Open has changed the folder")
	}
}

func TestBackupBesideTheLogOfAKilledProcessIsRefused(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	backup, account, contact := killedStore(t, path)
	copyFile(t, path, backup, 0o600)
	wantForeignLog(t, path, "-wal")
	found, err := sqlite.Inspect(t.Context(), path, nil)
	wantErr(t, "Inspect", err, nil)
	if len(found.Findings) != 1 || !strings.Contains(found.Findings[0].Advice, "-wal") {
		t.Errorf("Inspect found %+v, want one finding that says what to do with the -wal file", found.Findings)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	wantContact(t, open(t, path), account, contact)
}

// used makes a store with n contacts that was closed.
func used(t *testing.T, path string, n int) {
	t.Helper()
	s := open(t, path)
	a := mustAccount(t, s)
	for range n {
		mustCreate(t, s, a)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLogOfAnotherFileIsRefused(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for name, arrange := range map[string]func(t *testing.T, path string){
		"another store": func(t *testing.T, path string) {
			other := newPath(t)
			s := open(t, other)
			mustCreate(t, s, mustAccount(t, s))
			used(t, path, 1)
			copyFile(t, path+"-wal", other+"-wal", 0o600)
		},
		"an older backup, which was opened since": func(t *testing.T, path string) {
			source := newPath(t)
			s := open(t, source)
			mustAccount(t, s)
			if err := s.Backup(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			used(t, path, 1)
			copyFile(t, path+"-wal", source+"-wal", 0o600)
		},
		"the same store, later": func(t *testing.T, path string) {
			used(t, path, 1)
			source := newPath(t)
			copyFile(t, source, path, 0o600)
			for range 2 {
				used(t, source, 1)
			}
			s := open(t, source)
			mustAccount(t, s)
			copyFile(t, path+"-wal", source+"-wal", 0o600)
		},
		"the same store, some logs later": func(t *testing.T, path string) {
			used(t, path, 1)
			source := newPath(t)
			copyFile(t, source, path, 0o600)
			s := mustOpen(t, sqlite.NewPlan().Set("wal_autocheckpoint", "12", "12"), source)
			defer s.Close()
			a := mustAccount(t, s)
			for range 30 {
				mustCreate(t, s, a)
			}
			copyFile(t, path+"-wal", source+"-wal", 0o600)
		},
		"the same store, before a copy by VACUUM of the same size": func(t *testing.T, path string) {
			source := newPath(t)
			used(t, source, 1)
			s := open(t, source)
			mustAccount(t, s)
			exec1(t, plain(t, source), "VACUUM INTO ?", path)
			copyFile(t, path+"-wal", source+"-wal", 0o600)
		},
		"the same store, before a copy by VACUUM": func(t *testing.T, path string) {
			source := newPath(t)
			s := open(t, source)
			a := mustAccount(t, s)
			for range 100 {
				mustCreate(t, s, a)
			}
			exec1(t, plain(t, source), "VACUUM INTO ?", path)
			copyFile(t, path+"-wal", source+"-wal", 0o600)
		},
		"another program": func(t *testing.T, path string) {
			used(t, path, 1)
			other := newPath(t)
			exec1(t, plain(t, other), "PRAGMA journal_mode = WAL; CREATE TABLE contact (name); INSERT INTO contact VALUES ('x')")
			copyFile(t, path+"-wal", other+"-wal", 0o600)
		},
		"another program, without the first page": func(t *testing.T, path string) {
			used(t, path, 1)
			other := newPath(t)
			db := plain(t, other)
			exec1(t, db, "PRAGMA journal_mode = WAL; CREATE TABLE contact (name); INSERT INTO contact VALUES ('x'); PRAGMA wal_checkpoint(TRUNCATE)")
			exec1(t, db, "UPDATE contact SET name = 'y'")
			copyFile(t, path+"-wal", other+"-wal", 0o600)
		},
		"another program with larger pages": func(t *testing.T, path string) {
			used(t, path, 1)
			other := newPath(t)
			exec1(t, plain(t, other), fmt.Sprintf("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; CREATE TABLE contact (name); PRAGMA application_id = %d; PRAGMA user_version = %d; PRAGMA schema_version = 1000000", sqlite.ApplicationID, sqlite.Versions()))
			copyFile(t, path+"-wal", other+"-wal", 0o600)
		},
		"a file that is gone": func(t *testing.T, path string) {
			source := newPath(t)
			mustAccount(t, open(t, source))
			copyFile(t, path+"-wal", source+"-wal", 0o600)
		},
		"a file that was emptied": func(t *testing.T, path string) {
			source := newPath(t)
			mustAccount(t, open(t, source))
			copyFile(t, path+"-wal", source+"-wal", 0o600)
			write(t, path, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			arrange(t, path)
			wantForeignLog(t, path, "-wal")
		})
	}
}

// The journal of a file whose making was interrupted empties any file that takes
// its place.
func TestBackupBesideAJournalIsRefused(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	used(t, path, 1)
	write(t, path+"-journal", journalOfEmptyFile())
	wantForeignLog(t, path, "-journal")
}

// Whenever a process dies, the log that it leaves belongs to the file: also if a
// part was copied, and in the transactions that begin a log anew.
func TestLogOfACrashIsTaken(t *testing.T) {
	t.Parallel()
	source := newPath(t)
	s := mustOpen(t, sqlite.NewPlan().Set("wal_autocheckpoint", "12", "12"), source)
	defer s.Close()
	a := mustAccount(t, s)
	for range extent(15, 100) {
		last := mustCreate(t, s, a)
		path := newPath(t)
		crashed(t, path, source)
		after := open(t, path)
		wantContact(t, after, a, last.Contact.ID)
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What other programs write to the file leaves logs that belong to it, too.
func TestLogOfAnotherProgramsChangeIsTaken(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"rows":            "UPDATE account SET name = 'Other'",
		"an index":        "CREATE INDEX account_name ON account (name)",
		"a new order":     "VACUUM",
		"many statements": strings.Repeat("UPDATE account SET name = name || 'x';", 20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, path := newPath(t), newPath(t)
			used(t, source, 50)
			exec1(t, plain(t, source), sql)
			crashed(t, path, source)
			mustAccount(t, open(t, path))
		})
	}
}

// A file of the first schema has no number, nor does its log.
func TestLogOfAnOlderFileIsTaken(t *testing.T) {
	t.Parallel()
	source, path := newPath(t), newPath(t)
	db := plain(t, source)
	exec1(t, db, string(read(t, filepath.Join("schema", "0001_contacts.sql"))))
	exec1(t, db, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = 1; PRAGMA journal_mode = WAL", sqlite.ApplicationID))
	exec1(t, db, "INSERT INTO account (id, name) VALUES (?, 'Acme')", bytes.Repeat([]byte{7}, 16))
	crashed(t, path, source)
	s := open(t, path)
	if _, err := s.FindAccount(t.Context(), uuid.UUID(bytes.Repeat([]byte{7}, 16))); err != nil {
		t.Error(err)
	}
	mustCreate(t, s, mustAccount(t, s))
}

// An empty log is nobody's.
func TestLogWithNothingInItIsTaken(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty": "", "short": "\x37\x7f\x06\x82", "zeros": strings.Repeat("\x00", 10_000), "garbage": strings.Repeat("garbage ", 1000),
	} {
		path := newPath(t)
		used(t, path, 1)
		write(t, path+"-wal", content)
		s, err := sqlite.Open(t.Context(), path, nil)
		if err != nil {
			t.Errorf("%s: Open: %v", name, err)
			continue
		}
		mustAccount(t, s)
		s.Close()
	}
}

// A log that was cut off or damaged counts as far as SQLite would use it.
func TestLogCutOffIsTaken(t *testing.T) {
	t.Parallel()
	source := newPath(t)
	s := open(t, source)
	a := mustAccount(t, s)
	for range 10 {
		mustCreate(t, s, a)
	}
	whole, err := os.ReadFile(source + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	for size := 0; size < len(whole); size += extent(30_000, 1000) {
		path := newPath(t)
		crashed(t, path, source)
		if err := os.Truncate(path+"-wal", int64(size)); err != nil {
			t.Fatal(err)
		}
		s, err := sqlite.Open(t.Context(), path, nil)
		if err != nil {
			t.Fatalf("%d bytes of %d: Open: %v", size, len(whole), err)
		}
		mustAccount(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
