//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// A connector opens connections to one file, all with the same settings.
type connector struct {
	path      string
	settings  []setting
	connected func(*sqlite3.SQLiteConn) error
}

func (c *connector) open(ctx context.Context) (*sqlite3.SQLiteConn, error) {
	var conn *sqlite3.SQLiteConn
	err := retry(ctx, func() (err error) {
		// mode=rw: a file that went away is not created anew.
		if conn, err = openConn(c.path, "mode=rw"); err != nil {
			return err
		}
		for _, s := range c.settings {
			if err = s.apply(conn); err != nil {
				break
			}
		}
		if err == nil && c.connected != nil {
			err = c.connected(conn)
		}
		if err != nil {
			return errors.Join(err, conn.Close())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// openConn opens a connection to the file at path without any settings. The parameters
// are those of its uri.
func openConn(path, parameters string) (*sqlite3.SQLiteConn, error) {
	c, err := (&sqlite3.SQLiteDriver{}).Open(uri(path, parameters))
	if err != nil {
		return nil, err
	}
	return c.(*sqlite3.SQLiteConn), nil
}

// uri returns the name that makes SQLite open the file at path, an absolute
// one, whatever characters are in it. SQLite's own waiting is off in it: it
// knows no contexts. See retry. So are the locks of its connection, which one
// goroutine at a time has.
func uri(path, parameters string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-"
	path = filepath.ToSlash(path)
	var b strings.Builder
	b.WriteString("file://")
	if !strings.HasPrefix(path, "/") {
		b.WriteByte('/') // a drive letter
	}
	for _, c := range []byte(path) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	b.WriteString("?_busy_timeout=0&_mutex=no&")
	b.WriteString(parameters)
	return b.String()
}

// A setting is a PRAGMA with its value, and the value that it reads back.
type setting struct{ name, value, reads string }

// writeAhead turns on the write-ahead log, which the file remembers.
var writeAhead = setting{"journal_mode", "WAL", "wal"}

func writerSettings() []setting {
	return []setting{
		{"busy_timeout", "0", "0"},
		{"foreign_keys", "ON", "1"},
		{"synchronous", "FULL", "2"}, // the driver's NORMAL loses acknowledged rows in a power cut
		// macOS has a sync that reaches the disk and one that does not; other
		// systems ignore these two.
		{"fullfsync", "ON", "1"},
		{"checkpoint_fullfsync", "ON", "1"},
		{"temp_store", "MEMORY", "2"},
		{"cache_size", "-65536", "-65536"}, // KiB
		// What is deleted is overwritten, and not there until its place is needed.
		{"secure_delete", "ON", "1"},
		{"wal_autocheckpoint", "4000", "4000"},
		// To which the -wal file is cut when it is begun anew, after a long read
		// or a backup has made it grow.
		{"journal_size_limit", "67108864", "67108864"},
	}
}

func readerSettings() []setting {
	return []setting{
		{"query_only", "ON", "1"},
		{"busy_timeout", "0", "0"},
		{"foreign_keys", "ON", "1"},
		{"synchronous", "FULL", "2"},
		{"temp_store", "MEMORY", "2"},
		{"cache_size", "-16384", "-16384"}, // KiB
	}
}

// apply sets the PRAGMA and reads it back: SQLite ignores one that it does not
// know, or cannot set just then.
func (s setting) apply(c *sqlite3.SQLiteConn) error {
	if _, err := queryValue(c, "PRAGMA "+s.name+" = "+s.value); err != nil {
		return err
	}
	v, err := pragma(c, s.name)
	if err != nil {
		return err
	}
	if got := fmt.Sprint(v); got != s.reads {
		return fmt.Errorf("PRAGMA %s = %s: SQLite has it at %s, not at %s", s.name, s.value, got, s.reads)
	}
	return nil
}

// pragma returns the value of a PRAGMA, nil for one that SQLite does not know.
func pragma(c *sqlite3.SQLiteConn, name string) (driver.Value, error) {
	return queryValue(c, "PRAGMA "+name)
}

// queryValue returns the first column of the first row, nil where there is no
// row. It runs the query to its end: a PRAGMA that writes commits after its row.
func queryValue(c *sqlite3.SQLiteConn, query string) (driver.Value, error) {
	return queryValueContext(context.Background(), c, query)
}

// queryValueContext is queryValue for a query that can run long.
func queryValueContext(ctx context.Context, c *sqlite3.SQLiteConn, query string) (driver.Value, error) {
	rows, err := c.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var first driver.Value
	row := make([]driver.Value, len(rows.Columns()))
	for i := 0; len(row) > 0; i++ {
		err := rows.Next(row)
		switch {
		case errors.Is(err, io.EOF):
			return first, nil
		case err != nil:
			return nil, err
		case i == 0:
			first = row[0]
		}
	}
	return nil, nil
}

// retry calls f again and again while another process, or another connection of
// this one, holds the lock that f needs, until ctx is done. SQLite's own way of
// waiting knows no contexts.
func retry(ctx context.Context, f func() error) error {
	const shortest, longest = 200 * time.Microsecond, 10 * time.Millisecond
	for wait := shortest; ; wait = min(2*wait, longest) {
		err := f()
		if !isBusy(err) {
			return err
		}
		// Two processes that collided must not collide again in step.
		if err := pause(ctx, wait/2+rand.N(wait)); err != nil {
			return fmt.Errorf("waiting for a lock on the file: %w", err)
		}
	}
}

// pause waits for d, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// isBusy reports whether a lock was in the way, and nothing else.
func isBusy(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked || e.Code == sqlite3.ErrProtocol)
}

// classify makes the errors of this package out of SQLite's.
func classify(err error) error {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return err
	}
	var kind error
	switch e.Code {
	case sqlite3.ErrFull:
		kind = ErrDiskFull
	case sqlite3.ErrCorrupt:
		kind = ErrCorrupt
	case sqlite3.ErrNotADB:
		kind = ErrNotDatabase
	case sqlite3.ErrReadonly:
		kind = ErrReadOnly
	default:
		switch errno := e.SystemErrno; errno {
		case 0:
			return err
		case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
			kind = ErrDiskFull
		case syscall.EROFS:
			kind = ErrReadOnly
		default:
			return systemError{err, errno}
		}
	}
	if errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w (%w)", kind, err)
}

// A systemError is an error of SQLite, which has the words of the system's in
// it, and matches what that one matches: the errors of io/fs.
type systemError struct {
	error
	errno syscall.Errno
}

func (e systemError) Unwrap() []error { return []error{e.error, e.errno} }
