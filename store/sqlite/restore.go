//go:build cgo

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// ErrInUse says that a process has the store open that [Restore] is to replace.
// For [errors.Is].
var ErrInUse = errors.New("it is open: close it in every process first")

// ErrReplaced says that [Restore] has put the backup at path, and then failed. It is
// not known whether that outlasts a power cut, and the log of the file before may
// still be there. Another Restore puts it right. For [errors.Is].
var ErrReplaced = errors.New("the backup is in its place, but that may not be on the disk")

// Restore puts what is in a backup at path, for [Open]. What a store at path held
// is gone then, with its log; a file of that name need not be there. The backup
// stays as it is. It is checked first, and copied, so that it takes as long as
// reading it twice.
//
// When Restore has returned without an error the new file is on the disk. With
// one, what was at path is still there, unless the error matches [ErrReplaced]. If
// the process dies, either that or the new file is there. A dying process may leave
// the old -wal file beside the new one. Open refuses that with [ErrForeignLog], and
// another Restore puts it right. It may also leave a file .contacts-* in the folder
// of path, with a copy of the contacts. Remove that when no Restore or [Store.Backup]
// runs there.
//
// An error matches [ErrInUse] if a process has the store at path open. It matches
// [ErrNotDatabase], [ErrForeign], [ErrNewerSchema] or [ErrCorrupt] if that is
// wrong with the backup, and the first two also if another kind of file is at
// path, which Restore never replaces.
func Restore(ctx context.Context, backup, path string) error {
	if err := restore(ctx, backup, path, defaultConfig()); err != nil {
		return fmt.Errorf("sqlite: restore %q from %q: %w", path, backup, classify(err))
	}
	return nil
}

func restore(ctx context.Context, backup, path string, c config) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if backup, err = resolve(backup); err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	if path, err = resolve(path); err != nil {
		return err
	}
	path = targetOf(path)
	if err := isReplaceable(path, len(c.steps)); err != nil {
		return err
	}
	db, err := openBackup(ctx, backup, len(c.steps))
	if err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	defer func() { _ = db.Close() }() // it was only read
	if same(backup, path) {
		return errors.New("the backup is the file itself")
	}
	r := copier{c.steps, c.sync}
	return r.copy(ctx, db, filepath.Dir(path), func(name string) error { return r.replace(path, name) })
}

// isReplaceable returns an error if the file at path is not a store, of whatever
// state.
func isReplaceable(path string, newest int) error {
	err := inspect(path, newest)
	for _, of := range []error{fs.ErrNotExist, ErrCorrupt, ErrForeignLog, ErrNewerSchema} {
		if errors.Is(err, of) {
			return nil
		}
	}
	return err
}

func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// openBackup opens a backup to read it, and checks it. It neither writes to it nor
// makes a file beside it.
func openBackup(ctx context.Context, path string, newest int) (*sqlite3.SQLiteConn, error) {
	target := targetOf(path)
	switch info, err := os.Stat(target); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, ErrNotDatabase
	}
	for _, suffix := range []string{logSuffix, journalSuffix} {
		if info, err := os.Stat(target + suffix); err == nil && info.Size() > 0 {
			return nil, fmt.Errorf("%s may hold what is not in it: open the backup with Open and close it first", target+suffix)
		}
	}
	m, err := readMain(target)
	switch {
	case err != nil:
		return nil, err
	case m.id != applicationID:
		return nil, ErrForeign
	}
	if err := m.check(newest); err != nil {
		return nil, err
	}
	db, err := openConn(target, immutable)
	if err != nil {
		return nil, err
	}
	if err := checkContent(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// checkContent returns ErrCorrupt if SQLite finds a fault in the database.
func checkContent(ctx context.Context, db *sqlite3.SQLiteConn) error {
	verdict, err := queryValueContext(ctx, db, "PRAGMA integrity_check(1)")
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case verdict != "ok":
		return fmt.Errorf("%w: %v", ErrCorrupt, verdict)
	default:
		return nil
	}
}

// replace renames the named file to path, and removes what is beside it of the
// file before.
func (c copier) replace(path, name string) error {
	old, err := hold(path, len(c.steps))
	if err != nil {
		return err
	}
	// When SQLite closes a file that has been replaced, it leaves all names alone.
	defer func() { _ = old.close() }()
	if info, err := os.Stat(path); err == nil {
		if err := giveTo(name, info); err != nil {
			return err
		}
	}
	// A journal is played back into whatever file has its name. So it goes first,
	// and so does a log with nothing in it. Any other log makes Open refuse the new
	// file until it has gone, too.
	if err := remove(path + journalSuffix); err != nil {
		return err
	}
	if old.empty {
		if err := removeLog(path); err != nil {
			return err
		}
	}
	if err := os.Rename(name, path); err != nil {
		return err
	}
	if err := c.syncFolder(path); err != nil {
		return replaced(err)
	}
	if err := removeLog(path); err != nil {
		return replaced(err)
	}
	return replaced(c.syncFolder(path))
}

// replaced returns an error of what follows the rename.
func replaced(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrReplaced, err)
}

func removeLog(path string) error {
	return errors.Join(remove(path+logSuffix), remove(path+indexSuffix))
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// A held file is one that no other process, nor another store of this one, may
// open.
type held struct {
	db    *sqlite3.SQLiteConn // nil: there is none, or SQLite cannot open it
	empty bool                // whether all of its log is in the main file
}

// hold locks the file at path, or returns ErrInUse.
func hold(path string, newest int) (held, error) {
	if err := inspect(path, newest); errors.Is(err, ErrForeignLog) || errors.Is(err, fs.ErrNotExist) {
		return held{}, nil // no store can open it, and SQLite must not
	}
	db, err := openConn(path, "mode=rw")
	if err == nil {
		if _, err = db.Exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT", nil); err == nil {
			_, err := queryValue(db, "PRAGMA wal_checkpoint(TRUNCATE)")
			return held{db: db, empty: err == nil}, nil
		}
		_ = db.Close() // it has failed already
	}
	if isBusy(err) {
		return held{}, ErrInUse
	}
	return held{}, nil // it is damaged
}

func (h held) close() error {
	if h.db == nil {
		return nil
	}
	return h.db.Close()
}
