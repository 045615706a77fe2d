//go:build cgo && unix

package sqlite_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	s := open(t, newPath(t))
	for name, want := range map[string]any{
		"journal_mode":         "wal",
		"synchronous":          int64(2), // FULL
		"foreign_keys":         int64(1),
		"busy_timeout":         int64(0),
		"fullfsync":            int64(1),
		"checkpoint_fullfsync": int64(1),
		"temp_store":           int64(2),
		"cache_size":           int64(-65536),
		"wal_autocheckpoint":   int64(4000),
		"secure_delete":        int64(1),
		"journal_size_limit":   int64(64 << 20),
		"query_only":           int64(0),
		"application_id":       int64(sqlite.ApplicationID),
		"user_version":         int64(sqlite.Versions()),
	} {
		if got, err := s.WriterPragma(name); err != nil || got != want {
			t.Errorf("writer: PRAGMA %s is %v, %v; want %v", name, got, err, want)
		}
	}
	for name, want := range map[string]any{
		"journal_mode": "wal",
		"synchronous":  int64(2),
		"foreign_keys": int64(1),
		"busy_timeout": int64(0),
		"temp_store":   int64(2),
		"cache_size":   int64(-16384),
		"query_only":   int64(1),
	} {
		if got, err := s.ReaderPragma(t.Context(), name); err != nil || got != want {
			t.Errorf("reader: PRAGMA %s is %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestSettingNotTaken(t *testing.T) {
	t.Parallel()
	for what, plan := range map[string]*sqlite.Plan{
		"misspelt in the writer":  sqlite.NewPlan().Set("synchronus", "FULL", "2"),
		"misspelt in the readers": sqlite.NewPlan().SetReaders("query_olny", "ON", "1"),
		"not taken":               sqlite.NewPlan().Set("temp_store", "FILE", "2"),
	} {
		path := newPath(t)
		s, err := plan.Open(t.Context(), path)
		if err == nil {
			s.Close()
			t.Errorf("%s: Open has not noticed", what)
			continue
		}
		if !strings.Contains(err.Error(), "PRAGMA") {
			t.Errorf("%s: %v", what, err)
		}
		if exists(path + "-wal") {
			t.Errorf("%s: a -wal file is left", what)
		}
	}
}

func TestPathIsLiteral(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for _, name := range []string{
		"plain.db", "file:x.db", "file:x?mode=memory", "a?b.db", "?", "a#b.db", "100%.db", "%41.db", "a&b=c.db",
		"with space", "tab\tnewline\n", `quote'"\.db`, "Käse-日本-🙂", "\xff\xfe", ":memory:x", "-wal", "a+b;c,d@e!",
		strings.Repeat("n", 240),
	} {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			s := open(t, path)
			a := mustAccount(t, s)
			r := mustCreate(t, s, a)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			wantFiles(t, filepath.Dir(path), name)
			wantContact(t, open(t, path), a, r.Contact.ID)
		})
	}
}

func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := open(t, "contacts.db")
	a := mustAccount(t, s)
	t.Chdir(t.TempDir()) // connections that are opened later still find it
	errs := make(chan error)
	for range 16 {
		go func() {
			_, err := s.FindAccount(t.Context(), a)
			errs <- err
		}()
	}
	for range 16 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "contacts.db")
}

func TestSymbolicLink(t *testing.T) {
	t.Parallel()
	target := newPath(t)
	link := filepath.Join(t.TempDir(), "link.db")
	a := mustAccount(t, open(t, target))
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	r := mustCreate(t, open(t, link), a)
	wantContact(t, open(t, target), a, r.Contact.ID)
}

func TestNoPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", ":memory:"} {
		_, err := sqlite.Open(t.Context(), path, nil)
		if err == nil || !strings.Contains(err.Error(), "memory.New") {
			t.Errorf("Open(%q): %v, want an error that says what to use", path, err)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	if _, err := sqlite.Open(t.Context(), newPath(t), &sqlite.Options{ReadConnections: -1}); err == nil ||
		!strings.Contains(err.Error(), "ReadConnections") {
		t.Errorf("Open with -1 read connections: %v", err)
	}
	s, err := sqlite.Open(t.Context(), newPath(t), &sqlite.Options{ReadConnections: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := mustAccount(t, s)
	wantContact(t, s, a, mustCreate(t, s, a).Contact.ID)
}

func TestOpenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := newPath(t)
	_, err := sqlite.Open(ctx, path, nil)
	wantErr(t, "Open", err, context.Canceled)
	wantFiles(t, filepath.Dir(path))
}

func TestMode(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	mustAccount(t, open(t, path))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%q: mode %o", suffix, got)
		}
	}
}

// An empty file is as good as none.
func TestEmptyFile(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustAccount(t, open(t, path))
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want error
		make func(t *testing.T, path string)
	}{
		{"garbage", sqlite.ErrNotDatabase, func(t *testing.T, path string) {
			write(t, path, strings.Repeat("not a database ", 1000))
		}},
		{"a few bytes", sqlite.ErrNotDatabase, func(t *testing.T, path string) { write(t, path, "hello") }},
		{"zeros", sqlite.ErrNotDatabase, func(t *testing.T, path string) { write(t, path, strings.Repeat("\x00", 8192)) }},
		{"garbage beside the journal of an empty file", sqlite.ErrNotDatabase, func(t *testing.T, path string) {
			write(t, path, strings.Repeat("not a database ", 1000))
			write(t, path+"-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 492))
		}},
		{"foreign", sqlite.ErrForeign, func(t *testing.T, path string) {
			db := plain(t, path)
			exec1(t, db, "CREATE TABLE contact (name)")
			db.Close()
		}},
		{"foreign, with an application id and a version", sqlite.ErrForeign, func(t *testing.T, path string) {
			db := plain(t, path)
			exec1(t, db, "PRAGMA application_id = 7; PRAGMA user_version = 1")
			db.Close()
		}},
		{"foreign, with a -wal file", sqlite.ErrForeign, func(t *testing.T, path string) {
			other := newPath(t)
			db := plain(t, other)
			exec1(t, db, "PRAGMA journal_mode = WAL; CREATE TABLE contact (name); INSERT INTO contact VALUES ('x')")
			copyFile(t, path+"-wal", other+"-wal", 0o600)
			copyFile(t, path, other, 0o600)
		}},
		{"newer", sqlite.ErrNewerSchema, func(t *testing.T, path string) {
			newer(t, path).Close()
		}},
		{"newer, with a -wal file", sqlite.ErrNewerSchema, func(t *testing.T, path string) {
			other := newPath(t)
			mustAccount(t, newer(t, other))
			copyFile(t, path+"-wal", other+"-wal", 0o600)
			copyFile(t, path, other, 0o600)
		}},
		{"a version below zero", sqlite.ErrCorrupt, func(t *testing.T, path string) { versioned(t, path, -1) }},
		{"the lowest version", sqlite.ErrCorrupt, func(t *testing.T, path string) { versioned(t, path, math.MinInt32) }},
		{"version zero", sqlite.ErrCorrupt, func(t *testing.T, path string) { versioned(t, path, 0) }},
		{"the highest version", sqlite.ErrNewerSchema, func(t *testing.T, path string) { versioned(t, path, math.MaxInt32) }},
		{"a version below zero in the -wal file", sqlite.ErrCorrupt, func(t *testing.T, path string) {
			other := newPath(t)
			filled(t, other)
			exec1(t, plain(t, other), "PRAGMA user_version = -1")
			crashed(t, path, other)
		}},
		{"our marks without our tables", sqlite.ErrCorrupt, func(t *testing.T, path string) {
			db := plain(t, path)
			exec1(t, db, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", sqlite.ApplicationID, sqlite.Versions()))
			db.Close()
		}},
		{"cut off", sqlite.ErrCorrupt, func(t *testing.T, path string) {
			filled(t, path)
			if err := os.Truncate(path, 3*4096); err != nil {
				t.Fatal(err)
			}
		}},
		{"overwritten schema", sqlite.ErrCorrupt, func(t *testing.T, path string) {
			filled(t, path)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte(strings.Repeat("x", 3996)), 100); err != nil {
				t.Fatal(err)
			}
		}},
		{"a folder", syscall.EISDIR, func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"a folder as the -wal file", nil, func(t *testing.T, path string) {
			if err := os.Mkdir(path+"-wal", 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"a named pipe as the -wal file", nil, func(t *testing.T, path string) {
			filled(t, path)
			if err := syscall.Mkfifo(path+"-wal", 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"links that lead in a circle", syscall.ELOOP, func(t *testing.T, path string) {
			if err := errors.Join(os.Symlink(path, path+"2"), os.Symlink(path+"2", path)); err != nil {
				t.Fatal(err)
			}
		}},
		{"a link to nothing", fs.ErrNotExist, func(t *testing.T, path string) {
			if err := os.Symlink(path+"2", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"a named pipe", sqlite.ErrNotDatabase, func(t *testing.T, path string) {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			c.make(t, path)
			before := folder(t, filepath.Dir(path))
			s, err := sqlite.Open(t.Context(), path, nil)
			if err == nil {
				s.Close()
				t.Fatal("Open: no error")
			}
			if c.want != nil {
				wantErr(t, "Open", err, c.want)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("Open: the error does not name the path: %v", err)
			}
			for _, other := range []error{sqlite.ErrNotDatabase, sqlite.ErrForeign, sqlite.ErrForeignLog, sqlite.ErrNewerSchema, sqlite.ErrCorrupt, sqlite.ErrReadOnly, fs.ErrNotExist} {
				if errors.Is(err, other) && !errors.Is(c.want, other) {
					t.Errorf("Open: %v matches %v too", err, other)
				}
			}
			if !maps.Equal(before, folder(t, filepath.Dir(path))) {
				t.Error("Open has changed the folder")
			}
		})
	}
}

// A file that becomes another program's after it was looked at is not migrated.
func TestForeignFileIsNotMigrated(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"a table":                    "CREATE TABLE contact (name)",
		"an application id":          "PRAGMA application_id = 7",
		"a version without our mark": "PRAGMA user_version = 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := plain(t, newPath(t)).Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
			err = conn.Raw(func(c any) error { return sqlite.Migrate(c.(*sqlite3.SQLiteConn)) })
			wantErr(t, "the migration", err, sqlite.ErrForeign)
			var tables int
			if err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE name <> 'contact'").Scan(&tables); err != nil || tables > 0 {
				t.Errorf("%d tables, %v", tables, err)
			}
		})
	}
}

// versioned makes a file of ours with a version of the schema.
func versioned(t *testing.T, path string, version int) {
	t.Helper()
	filled(t, path)
	db := plain(t, path)
	exec1(t, db, fmt.Sprintf("PRAGMA user_version = %d", version))
	db.Close()
}

// SQLite's names are longer than the path. What does not fit is refused before
// there is a file.
func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(newPath(t))
	for _, size := range []int{500, 504, 505, 512, 1000, 5000} {
		name := dir
		for len(name) < size-101 {
			name += "/" + strings.Repeat("d", 99)
		}
		name += "/" + strings.Repeat("n", size-len(name)-1)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil && size < 4096 {
			t.Fatal(err)
		}
		s, err := sqlite.Open(t.Context(), name, nil)
		if size <= 504 {
			if err != nil {
				t.Errorf("%d bytes: %v", size, err)
				continue
			}
			mustAccount(t, s)
			s.Close()
			continue
		}
		wantErr(t, fmt.Sprintf("Open with a path of %d bytes", size), err, syscall.ENAMETOOLONG)
		if exists(name) && size < 4096 {
			t.Errorf("%d bytes: a file is left", size)
		}
	}
}

func TestLongName(t *testing.T) {
	t.Parallel()
	for size := 246; size <= 257; size++ {
		path := newPath(t)
		name := filepath.Join(filepath.Dir(path), strings.Repeat("n", size))
		s, err := sqlite.Open(t.Context(), name, nil)
		if err == nil {
			mustAccount(t, s)
			s.Close()
			continue
		}
		wantErr(t, fmt.Sprintf("Open with a name of %d bytes", size), err, syscall.ENAMETOOLONG)
		wantFiles(t, filepath.Dir(path))
	}
}

func TestPathWithNUL(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	_, err := sqlite.Open(t.Context(), path+"\x00", nil)
	wantErr(t, "Open", err, syscall.EINVAL)
	wantFiles(t, filepath.Dir(path))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// filled makes a file of ours with many pages, and closes it.
func filled(t *testing.T, path string) {
	t.Helper()
	s := open(t, path)
	a := mustAccount(t, s)
	for range 50 {
		mustCreate(t, s, a)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// newer opens a file with the program of the future.
func newer(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.NewPlan().Migrate("future", "CREATE TABLE future (x)").Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestNoFolder(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	_, err := sqlite.Open(t.Context(), filepath.Join(filepath.Dir(path), "missing", "contacts.db"), nil)
	wantErr(t, "Open in a folder that is not there", err, fs.ErrNotExist)
	if err != nil && !strings.Contains(err.Error(), "folder") {
		t.Errorf("the error does not say what is missing: %v", err)
	}
	write(t, path, "")
	_, err = sqlite.Open(t.Context(), filepath.Join(path, "contacts.db"), nil)
	wantErr(t, "Open in a file", err, syscall.ENOTDIR)
	wantFiles(t, filepath.Dir(path), "contacts.db")
}

// The newer schema may be in the -wal file alone.
func TestNewerInWAL(t *testing.T) {
	t.Parallel()
	source, path := newPath(t), newPath(t)
	open(t, source).Close()
	newer(t, source) // and stays open, so that nothing is copied to the main file
	copyFile(t, path, source, 0o600)
	copyFile(t, path+"-wal", source+"-wal", 0o600)
	_, err := sqlite.Open(t.Context(), path, nil)
	wantErr(t, "Open", err, sqlite.ErrNewerSchema)
}

// A kill while SQLite copied the -wal file leaves a main file that makes no
// sense alone.
func TestKilledInCheckpoint(t *testing.T) {
	t.Parallel()
	source, path := newPath(t), newPath(t)
	s := open(t, source)
	a := mustAccount(t, s)
	var last = mustCreate(t, s, a)
	for range 50 {
		last = mustCreate(t, s, a)
	}
	copyFile(t, path, source, 0o600)
	copyFile(t, path+"-wal", source+"-wal", 0o600)

	// The first page alone was copied: the last of the log.
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	main, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer main.Close()
	const page, frame = 4096, 24 + 4096
	for at := 32; at+frame <= len(wal); at += frame {
		if binary.BigEndian.Uint32(wal[at:]) == 1 {
			if _, err := main.WriteAt(wal[at+24:at+24+page], 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	alone := newPath(t)
	copyFile(t, alone, path, 0o600)
	_, err = sqlite.Open(t.Context(), alone, nil)
	wantErr(t, "Open without the -wal file", err, sqlite.ErrCorrupt)
	wantContact(t, open(t, path), a, last.Contact.ID)
}

// A kill while the file was created leaves a part of it, and the journal that
// says that it was empty.
func TestKilledInCreation(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"first page": 4096, "two pages": 8192, "half a page": 2048} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			open(t, path).Close()
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
			_, err := sqlite.Open(t.Context(), path, nil)
			wantErr(t, "Open without the journal", err, sqlite.ErrCorrupt)

			write(t, path+"-journal", journalOfEmptyFile())
			mustAccount(t, open(t, path))
		})
	}
}

// journalOfEmptyFile returns the journal that SQLite keeps while it makes a file.
func journalOfEmptyFile() string {
	header := []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
	for _, n := range []uint32{0, 0, 0, 512, 4096} { // records, seed, pages before, sector, page size
		header = binary.BigEndian.AppendUint32(header, n)
	}
	return string(header) + strings.Repeat("\x00", 512-len(header))
}
