//go:build cgo && unix

package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

func removeAll(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// A file that goes away while it is open takes with it what is written from then
// on. So nothing more is acknowledged, and reads end, too.
func TestFileThatGoesAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, path string)
		names  string // the suffix of the file that the error names
	}{
		"removed":  {removeAll, ""},
		"renamed":  {func(t *testing.T, path string) { rename(t, path, path+".old") }, ""},
		"replaced": {func(t *testing.T, path string) { replacement(t, path, func(*testing.T, string) {}) }, ""},
		"replaced by text": {func(t *testing.T, path string) {
			replacement(t, path, func(t *testing.T, name string) { write(t, name, "text") })
		}, ""},
		"its folder":        {func(t *testing.T, path string) { rename(t, filepath.Dir(path), filepath.Dir(path)+"-old") }, ""},
		"its log alone":     {func(t *testing.T, path string) { os.Remove(path + "-wal") }, "-wal"},
		"its log, replaced": {func(t *testing.T, path string) { os.Remove(path + "-wal"); write(t, path+"-wal", "") }, "-wal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(filepath.Dir(newPath(t)), "in", "contacts.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			s := open(t, path)
			a := mustAccount(t, s)
			mustCreate(t, s, a)
			c.change(t, path)
			for i := range 3 {
				r := newContact(a)
				err := create(t.Context(), s, r)
				wantErr(t, "Apply", err, sqlite.ErrMoved)
				if err != nil && !strings.Contains(err.Error(), path+c.names+": ") {
					t.Errorf("Apply: the error does not name %s: %v", path+c.names, err)
				}
				// The first may be in the file, wherever that is now, unless the store
				// has noticed before. From then on nothing is written.
				if i > 0 && errors.Is(err, contacts.ErrOutcomeUnknown) {
					t.Errorf("create %d: the outcome is unknown", i)
				}
			}
			_, err := s.FindAccount(t.Context(), a)
			wantErr(t, "FindAccount", err, sqlite.ErrMoved)
			_, err = s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 1})
			wantErr(t, "ListContacts", err, sqlite.ErrMoved)
			wantErr(t, "Backup", s.Backup(t.Context(), newPath(t)), sqlite.ErrMoved)
		})
	}
}

// replacement puts another store at path, to which more is done before.
func replacement(t *testing.T, path string, more func(t *testing.T, name string)) {
	t.Helper()
	used(t, path+".new", 1)
	more(t, path+".new")
	rename(t, path+".new", path)
}

// A store goes on when its files are back, and has all that it acknowledged.
func TestFileThatComesBack(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	first := mustCreate(t, s, a)
	rename(t, path, path+".old")
	wantErr(t, "Apply", create(t.Context(), s, newContact(a)), sqlite.ErrMoved)
	refused := newContact(a)
	wantErr(t, "Apply", create(t.Context(), s, refused), sqlite.ErrMoved)
	rename(t, path+".old", path)
	last := mustCreate(t, s, a)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	for _, id := range []uuid.UUID{first.Contact.ID, last.Contact.ID} {
		wantContact(t, s, a, id)
	}
	_, err := s.FindContact(t.Context(), a, refused.Contact.ID)
	wantErr(t, "a contact whose create was refused", err, contacts.ErrNotFound)
}

// A symbolic link that leads elsewhere is another file.
func TestLinkThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	path, other := newPath(t), newPath(t)
	link := filepath.Join(t.TempDir(), "link.db")
	used(t, other, 1)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	write(t, path, "")
	s := open(t, link)
	a := mustAccount(t, s)
	if err := errors.Join(os.Remove(link), os.Symlink(other, link)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Apply", create(t.Context(), s, newContact(a)), sqlite.ErrMoved)
}

// Closing a store whose file was replaced changes nothing of the other file.
func TestCloseBesideAReplacement(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := mustAccount(t, s)
	mustCreate(t, s, a)
	var before []byte
	replacement(t, path, func(t *testing.T, name string) { before = read(t, name) })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("Close has changed the file")
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil {
			t.Error(err)
		}
	}
	mustAccount(t, open(t, path))
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A store that only reads notices it within a second.
func TestReadsNoticeAFileThatGoesAway(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path := newPath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	removeAll(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := s.FindAccount(ctx, a)
		if errors.Is(err, sqlite.ErrMoved) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
