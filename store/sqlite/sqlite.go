//go:build cgo

// Package sqlite keeps contacts in one SQLite file. It is the durable store for
// a program that runs on one machine: nothing to install, and a contact whose
// create has returned survives kill -9 and a power cut.
//
// The file may be used by several processes at once, and by people with the
// sqlite3 shell: the views contact, contact_phone and contact_tag show what is
// stored in plain columns. While it is open, SQLite keeps two more files beside
// it, with -wal and -shm behind its name; they belong to it, and [Store.Close]
// removes them. The file must be on a local disk, not on a network one.
//
// The package needs cgo and a C compiler; with CGO_ENABLED=0 it does not
// compile, and says so.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

var _ contacts.Store = (*Store)(nil)

// Options are the choices that [Open] leaves to the host. The zero value, and
// nil, are the defaults.
type Options struct {
	// ReadConnections is how many reads run at once; each keeps a connection
	// with a cache of up to 16 MiB. 0: one for each CPU, at least 4. Lists,
	// which may be long, leave one of them to all other reads; with 1 there is
	// one more for those.
	ReadConnections int
}

// A Store is a [contacts.Store] in a SQLite file. [Open] makes it; the zero
// value is of no use. All methods may be called from many goroutines at once.
//
// Beyond the contract, an error of its methods matches [ErrDiskFull],
// [ErrCorrupt] or [ErrReadOnly] where that is the reason.
type Store struct {
	writer    *writer
	readers   *readers
	directory *directory
	found     int // entries of the look-ups that a page is made of, at most
	part      int // contacts that a walk sees in one state of the file, at most

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // the accepted ones; only mu's holder adds to it
	once   sync.Once
}

// Open opens the contacts in the file at path and creates it, with mode 0600,
// where there is none. Its folder must exist. The path is taken literally,
// whatever characters are in it. An older file is brought to the present schema.
// The context bounds the opening alone, which waits where another process has
// the file locked.
//
// A file that is not ours is refused without changing it, with an error that
// names the path and matches [ErrNotDatabase], [ErrForeign], [ErrNewerSchema],
// [ErrCorrupt], [ErrReadOnly], or that of the file system, such as
// [io/fs.ErrNotExist] and [io/fs.ErrPermission].
func Open(ctx context.Context, path string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	s, err := open(ctx, path, config{
		readConnections: opts.ReadConnections,
		transaction:     defaultMost,
		run:             defaultRun,
		behind:          defaultBehind,
		found:           defaultFound,
		part:            defaultPart,
		fold:            contacts.FoldSearch,
		now:             time.Now,
		migrations:      migrations(),
		writerSettings:  writerSettings(),
		readerSettings:  readerSettings(),
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %q: %w", path, classify(err))
	}
	return s, nil
}

// A config is all that opening a store depends on besides its path.
type config struct {
	readConnections int
	transaction     int                 // contacts in a transaction, at most
	run             int                 // contacts whose look-ups are merged together
	behind          int                 // contacts not in the look-ups from which on a search has them merged
	found           int                 // entries of the look-ups that a page is made of, at most
	part            int                 // contacts that a walk sees in one state of the file, at most
	fold            func(string) string // what a search does to text that is not ASCII
	now             func() time.Time    // by which a search knows whether contacts are being written
	migrations      []migration
	writerSettings  []setting
	readerSettings  []setting
	connected       func(*sqlite3.SQLiteConn) error // nil, or called with every new connection that writes
}

func open(ctx context.Context, path string, c config) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.readConnections < 0 {
		return nil, fmt.Errorf("Options.ReadConnections is %d: set how many reads may run at once, or 0 for the default", c.readConnections)
	}
	if c.readConnections == 0 {
		c.readConnections = max(4, runtime.GOMAXPROCS(0))
	}
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if err := prepareFile(ctx, path, len(c.migrations)); err != nil {
		return nil, err
	}
	w, err := openWriter(ctx, &connector{path, c.writerSettings, c.connected}, c.migrations, c.transaction)
	if err != nil {
		return nil, err
	}
	r, err := openReaders(ctx, &connector{path, c.readerSettings, register(c.fold)}, c.readConnections)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.index = newIndexer(r, c.run, c.behind, c.now)
	return &Store{writer: w, readers: r, directory: newDirectory(r), found: c.found, part: c.part}, nil
}

// enter accepts a call, which ends with s.calls.Done.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return contacts.ErrClosed
	}
	s.calls.Add(1)
	return nil
}

// Close waits for the calls that were accepted, finishes the look-ups, copies
// what SQLite still keeps in the -wal file into the main one and, where no other
// process uses it, leaves only that one. Nothing depends on it: what was acknowledged is durable
// without, and the next Open finds it.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()

	var err error
	s.once.Do(func() {
		s.calls.Wait()
		s.writer.settle()
		// The writer last: whoever closes last does the copying.
		if err = errors.Join(s.readers.close(), s.writer.close()); err != nil {
			err = fmt.Errorf("sqlite: close: %w", classify(err))
		}
	})
	return err
}
