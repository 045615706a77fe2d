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
)

// Backup writes all that is stored to a new file at path, a store of its own
// that [Open] opens: whole and of one moment, while others go on reading and
// writing. When it has returned without an error the file is on the disk; with
// one, or when the process dies in the middle, there is no file at path. A file
// that is there already, or a -wal or -journal file of one that was, is an error
// that matches [io/fs.ErrExist]. The file system must have hard links.
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
	// The name is given at the end, to a file that is whole.
	f, err := os.CreateTemp(filepath.Dir(path), ".contacts-*") // mode 0600
	if err != nil {
		return cannotCreate(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := s.copyInto(ctx, f.Name()); err != nil {
		return err
	}
	if err := s.sync(f); err != nil {
		return err
	}
	if err := isFree(path); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, it replaces nothing
		if e, ok := errors.AsType[*os.LinkError](err); ok {
			err = e.Err
		}
		return err
	}
	if err := s.syncFolder(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// isFree returns an error if there is a file at path, or one beside it that
// SQLite would take for a part of it.
func isFree(path string) error {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		switch _, err := os.Lstat(path + suffix); {
		case err == nil:
			return fmt.Errorf("%s: %w", filepath.Base(path)+suffix, fs.ErrExist)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

// copyInto copies what one read sees into an empty file.
func (s *Store) copyInto(ctx context.Context, path string) (err error) {
	db, err := s.writer.connector.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = retry(ctx, func() error {
		_, err := db.ExecContext(ctx, "VACUUM INTO ?", []driver.NamedValue{{Ordinal: 1, Value: uri(path, "")}})
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err() // an interrupted statement says so in other words
	}
	return err
}

func (s *Store) syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(s.sync(f), f.Close())
}
