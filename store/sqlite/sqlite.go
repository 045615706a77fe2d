//go:build cgo

// Package sqlite keeps contacts in one SQLite file. It is the durable store for
// a program that runs on one machine: nothing to install, and a contact whose
// create has returned survives kill -9 and a power cut.
//
// The file may be used by several processes at once, and by people with the
// sqlite3 shell: the views contact, contact_phone, contact_tag, do_not_call,
// contact_event and journal_entry show what is stored in plain columns. While it is
// open, SQLite keeps two more files beside it, whose names end in -wal and -shm. They
// belong to it, and [Store.Close] removes them. The file must be on a local disk, not
// on a network one.
//
// The package needs cgo and a C compiler; with CGO_ENABLED=0 it does not
// compile, and says so.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/internal/gate"
	"example.com/contacts/store/internal/groupcommit"
	"example.com/contacts/store/internal/meter"
	"example.com/contacts/store/internal/migration"
)

var _ contacts.KeyJudge = (*Store)(nil)

// Options are the choices that [Open] leaves to the host. The zero value, and
// nil, are the defaults.
type Options struct {
	// ReadConnections is how many reads run at once. Each has a connection with
	// a cache of up to 16 MiB. 0: one for each CPU, at least 4. Lists and dry
	// runs can run long, so they never take the last connection. With 1, a
	// second connection is opened for the short reads.
	ReadConnections int

	// Observer sees each transaction that writes contacts. Writes wait for it: an
	// Observer that blocks, blocks them. nil: nobody is told.
	Observer contacts.StoreObserver
}

// A Store is a [contacts.Store] in a SQLite file. [Open] makes it; the zero
// value is of no use. All methods may be called from many goroutines at once.
//
// Beyond the contract, an error of its methods matches [ErrDiskFull],
// [ErrCorrupt], [ErrReadOnly] or [ErrMoved] where that is the reason.
type Store struct {
	gate          gate.Gate
	writer        *writer
	readers       *readers
	directory     *directoryCache
	index         *indexer
	unmerged      *unmergedKeys
	maxLookupHits int
	walkPart      int
	sync          func(*os.File) error
	meter         *meter.Meter
	fewReads      *groupcommit.Queue[*fewRead]
	fewReaders    atomic.Int64 // callers of listFew
}

// Open opens the contacts in the file at path and creates it, with mode 0600,
// if there is none. Its folder must exist. The path is taken literally: no
// character in it has a meaning. An older file is brought to the present schema.
// The context bounds the opening alone, which waits while another process has
// the file locked.
//
// A file that is not ours is refused without changing it, with an error that
// names the path and matches [ErrNotDatabase], [ErrForeign], [ErrForeignLog],
// [ErrNewerSchema], [ErrCorrupt], [ErrReadOnly], or an error of the file system like
// [io/fs.ErrNotExist] or [io/fs.ErrPermission].
func Open(ctx context.Context, path string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	c := defaultConfig()
	c.readConnections, c.observer = opts.ReadConnections, opts.Observer
	s, err := open(ctx, path, c)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %q: %w", path, classify(err))
	}
	return s, nil
}

// A config is all that opening a store depends on besides its path.
type config struct {
	readConnections   int
	observer          contacts.StoreObserver
	maxPerTransaction int                 // rows
	runLength         int                 // contacts whose look-ups are merged together
	recentHashes      int                 // of idempotency records that stay in memory before they move to the table
	catchUpAfter      int                 // contacts not in the look-ups from which on a search has them merged
	maxLookupHits     int                 // of which a page is made
	walkPart          int                 // contacts that a walk sees in one state of the file, at most
	fold              func(string) string // what a search does to text that is not ASCII
	now               func() time.Time    // by which a search knows whether contacts are being written
	sync              func(*os.File) error
	steps             []migration.Step
	writerSettings    []setting
	readerSettings    []setting
	connected         func(*sqlite3.SQLiteConn) error // nil, or called with every new connection that writes
}

func defaultConfig() config {
	return config{
		maxPerTransaction: defaultMaxPerTransaction,
		runLength:         defaultRunLength,
		recentHashes:      defaultRecentHashes,
		catchUpAfter:      defaultCatchUpAfter,
		maxLookupHits:     defaultMaxLookupHits,
		walkPart:          defaultWalkPart,
		fold:              contacts.FoldSearch,
		now:               time.Now,
		sync:              (*os.File).Sync,
		steps:             migration.Steps(schema, "schema"),
		writerSettings:    writerSettings(),
		readerSettings:    readerSettings(),
	}
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
	if err := prepareFile(ctx, path, len(c.steps)); err != nil {
		return nil, err
	}
	unmerged, m := newUnmergedKeys(2*c.runLength), meter.New("sqlite", c.observer)
	w, err := openWriter(ctx, &connector{path, c.writerSettings, c.connected}, c.steps, c.maxPerTransaction, unmerged, m)
	if err != nil {
		return nil, err
	}
	r, err := openReaders(ctx, &connector{path, c.readerSettings, register(c.fold)}, w.place, c.readConnections)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.index, w.keepHashes = newIndexer(r, &c), c.recentHashes
	if err := w.index.look(ctx); err != nil {
		return nil, errors.Join(err, r.close(), w.close())
	}
	return &Store{
		writer: w, readers: r, directory: newDirectoryCache(r), index: w.index, unmerged: unmerged,
		maxLookupHits: c.maxLookupHits, walkPart: c.walkPart, sync: c.sync, meter: m, fewReads: newFewReads(r),
	}, nil
}

// Close waits for the calls under way, finishes the look-ups, and copies what
// SQLite still keeps in the -wal file into the main one. If nobody else has the file
// open, it leaves only the main file; of two that close at once, each may leave the rest
// to the other. On a full disk it leaves the -wal file, and that is no error. Nothing
// depends on it: what was acknowledged is durable without it, and the next Open finds it.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.fewReads.Drain()
		s.writer.drain()
		// The writer last: the connection that is closed last does the copying.
		if err := errors.Join(s.readers.close(), s.writer.close()); err != nil {
			return fmt.Errorf("sqlite: close: %w", classify(err))
		}
		return nil
	})
}
