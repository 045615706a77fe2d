//go:build cgo

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"
)

// ErrMoved says that the file, or the -wal file beside it, was removed, renamed or
// replaced while the store had it open. What is written to it would be lost. Close
// the store, put the files in order, and open it again. For [errors.Is].
//
// If a create fails so with [contacts.ErrOutcomeUnknown], its contact is in the
// file that was there; otherwise it is nowhere.
var ErrMoved = errors.New("it was removed, renamed or replaced while it was open")

// A place is the path of a store and the files that SQLite has open there. A file
// that is removed or renamed stays usable for the process that has it open, which
// goes on writing where nobody will look.
type place struct {
	path string // of the main file, as the host named it
	main fileAt
	log  *os.File // the -wal file; to read its beginning
	wal  fileAt

	moved atomic.Bool  // what the last look found
	size  atomic.Int64 // of the -wal file, when it was last looked at
	next  atomic.Int64 // when a read has to look again, in nanoseconds since 1970
}

// lookEvery is how long reads may go on without a look.
const lookEvery = time.Second

// newPlace notes the files at path. SQLite has opened them since before was taken.
func newPlace(path string, before fileAt) (*place, error) {
	p := &place{path: path, main: before}
	var err error
	if p.log, err = openToRead(targetOf(path) + logSuffix); err != nil {
		return nil, err
	}
	if p.wal, err = fileOf(p.log); err == nil {
		err = p.look()
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// look returns ErrMoved if other files are at the path, or none.
func (p *place) look() error {
	_, err := still(p.path, p.main)
	if err == nil {
		var log fileAt
		log, err = still(p.log.Name(), p.wal)
		if log != (fileAt{}) {
			p.size.Store(log.size)
		}
	}
	p.moved.Store(err != nil)
	return err
}

// connect opens a connection to the files. SQLite must not touch others: it would
// mix the two.
func (p *place) connect(ctx context.Context, c *connector) (*sqlite3.SQLiteConn, error) {
	if err := p.look(); err != nil {
		return nil, err
	}
	db, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.look(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// still returns what the named file is like now, zero if that cannot be known. If
// it is not the file that lay there, the error is ErrMoved.
func still(name string, before fileAt) (now fileAt, err error) {
	now, err = findFile(name)
	switch {
	case errors.Is(err, fs.ErrPermission): // the process has given up rights since
		return fileAt{}, nil
	case err == nil && now.same(before):
		return now, nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return fileAt{}, fmt.Errorf("%s: %w", name, ErrMoved)
	default:
		return fileAt{}, fmt.Errorf("%s: %w: %w", name, ErrMoved, err)
	}
}

// lookBeforeRead looks from time to time, and each time after something was wrong.
func (p *place) lookBeforeRead() error {
	now := time.Now().UnixNano()
	if next := p.next.Load(); !p.moved.Load() && (now < next || !p.next.CompareAndSwap(next, now+int64(lookEvery))) {
		return nil
	}
	return p.look()
}

// lookBeforeWrite looks if something was wrong. A commit always looks.
func (p *place) lookBeforeWrite() error {
	if !p.moved.Load() {
		return nil
	}
	return p.look()
}

// salts are what changes when SQLite begins the log anew; zeros if it is empty.
func (p *place) salts() (s [8]byte) {
	const offset = 16
	_, _ = p.log.ReadAt(s[:], offset)
	return s
}

// close must be called before SQLite closes the files for the last time.
func (p *place) close() error { return p.log.Close() }
