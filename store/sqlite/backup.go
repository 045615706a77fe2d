//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts/store/internal/migration"
)

// Backup writes all that is stored to a new file at path, a store of its own
// that [Open] opens: whole and of one moment, while others go on reading and
// writing. When it has returned without an error the file is on the disk; with
// one, or when the process dies in the middle, there is no file at path. A file
// that is there already, or a -wal or -journal file of one that was, is an error
// that matches [io/fs.ErrExist]. The file system must have hard links.
//
// A process that dies in the middle may leave a file .contacts-* in the folder of
// path, with a copy of the contacts. Remove that when no Backup or [Restore] runs
// there.
//
// It is at its end as large as the store without its free pages. While it runs,
// the -wal file beside the store grows by all that is written.
func (s *Store) Backup(ctx context.Context, path string) error {
	const op = "sqlite: back up to %q: %w"
	if err := s.gate.Enter(); err != nil {
		return fmt.Errorf(op, path, err)
	}
	defer s.gate.Leave()

	if err := s.backup(ctx, path); err != nil {
		return fmt.Errorf(op, path, classify(err))
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string) (err error) {
	if path, err = resolve(path); err != nil {
		return err
	}
	if err := isFree(path); err != nil {
		return err
	}
	db, err := s.writer.place.connect(ctx, s.writer.connector)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c := copier{s.writer.steps, s.sync}
	return c.copy(ctx, db, filepath.Dir(path), func(name string) error {
		if err := isFree(path); err != nil {
			return err
		}
		if err := os.Link(name, path); err != nil { // unlike a rename, it replaces nothing
			if e, ok := errors.AsType[*os.LinkError](err); ok {
				err = e.Err
			}
			return err
		}
		if err := c.syncFolder(path); err != nil {
			return errors.Join(err, os.Remove(path))
		}
		return nil
	})
}

// isFree returns an error if there is a file at path, or one beside it that
// SQLite would take for a part of it.
func isFree(path string) error {
	for _, suffix := range []string{"", logSuffix, journalSuffix} {
		switch _, err := os.Lstat(path + suffix); {
		case err == nil:
			return fmt.Errorf("%s: %w", filepath.Base(path)+suffix, fs.ErrExist)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

// A copier makes copies of stores.
type copier struct {
	steps []migration.Step
	sync  func(*os.File) error
}

// copy makes a copy of what one read of db sees, in the folder. It calls use with
// the name of the copy when that is on the disk, and removes the name.
func (c copier) copy(ctx context.Context, db *sqlite3.SQLiteConn, folder string, use func(name string) error) error {
	// The lasting name is given at the end, to a file that is whole.
	f, err := os.CreateTemp(folder, ".contacts-*") // mode 0600
	if err != nil {
		return cannotCreate(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	err = retry(ctx, func() error {
		_, err := db.ExecContext(ctx, "VACUUM INTO ?", []driver.NamedValue{{Ordinal: 1, Value: uri(f.Name(), "")}})
		return err
	})
	if err == nil {
		err = c.renew(ctx, f.Name())
	}
	if ctx.Err() != nil {
		return ctx.Err() // an interrupted statement says so in other words
	}
	if err != nil {
		return err
	}
	if err := c.sync(f); err != nil {
		return err
	}
	return use(f.Name())
}

// renew makes a store of its own out of a copy: no log of the store that it is a
// copy of belongs to it.
func (c copier) renew(ctx context.Context, name string) (err error) {
	db, err := (&connector{path: name}).open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrate(ctx, db, c.steps); err != nil {
		return err
	}
	_, err = db.Exec(renumberSQL, nil)
	return err
}

// syncFolder makes what names are in the folder of a file last.
func (c copier) syncFolder(name string) error {
	f, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(c.sync(f), f.Close())
}
