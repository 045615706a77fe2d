//go:build cgo

package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// What can be wrong with the file, for [errors.Is].
var (
	// ErrNotDatabase: the file is no SQLite database.
	ErrNotDatabase = errors.New("the file is not a SQLite database")
	// ErrForeign: the file is a SQLite database of another program.
	ErrForeign = errors.New("the file is a SQLite database of another program")
	// ErrNewerSchema: a newer version of this package wrote the file.
	ErrNewerSchema = errors.New("the file was written by a newer version of this program")
	// ErrCorrupt: the file is damaged. SQLite's own shell may recover from it
	// what can be (sqlite3 damaged.db .recover).
	ErrCorrupt = errors.New("the file is damaged")
	// ErrForeignLog: the -wal or -journal file beside the file belongs to another
	// file, for example to the one that a backup was restored over. The error
	// names it. [Restore] puts a backup in the place of a file and of its log.
	ErrForeignLog = errors.New("it belongs to another file, and SQLite would copy it into this one")
	// ErrReadOnly: the file, one beside it, its folder or its disk cannot be
	// written. The error names which. It also matches [io/fs.ErrPermission].
	ErrReadOnly error = readOnlyError{}
	// ErrDiskFull: there is no space left for the file. What was stored before
	// is safe and can be read, and writes succeed again when there is space.
	ErrDiskFull = errors.New("the disk is full")
)

type readOnlyError struct{}

func (readOnlyError) Error() string        { return "it cannot be written" }
func (readOnlyError) Is(target error) bool { return target == fs.ErrPermission }

// applicationID marks a SQLite file as ours, in its header ("ctcs").
const applicationID = 0x63746373

// The names of SQLite's files beside the main one are its path and one of these.
const (
	logSuffix     = "-wal"
	indexSuffix   = "-shm"
	journalSuffix = "-journal"
)

// resolve returns the absolute form of path, which stays the same if the program
// changes its working directory.
func resolve(path string) (string, error) {
	switch path {
	case "":
		return "", errors.New("the path is empty: name a file, or use memory.New of store/memory for contacts that nothing keeps")
	case ":memory:":
		return "", errors.New("contacts in memory are what memory.New of store/memory is for; a file of that name is ./:memory:")
	}
	if strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("the path has a NUL character: %w", syscall.EINVAL)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	const longest = 512 - len(journalSuffix) // of SQLite
	if target := targetOf(path); len(target) > longest {
		return "", fmt.Errorf("the path has %d bytes, and SQLite takes no more than %d: %w", len(target), longest, syscall.ENAMETOOLONG)
	}
	return path, nil
}

// targetOf returns the path that the names of SQLite's other files are made of.
func targetOf(path string) string {
	target, err := filepath.EvalSymlinks(path)
	if err != nil { // there is no file yet
		return path
	}
	return target
}

// prepareFile makes sure that there is a file at path that SQLite may write: one
// of ours or an empty one. It creates it if there is none.
func prepareFile(ctx context.Context, path string, newest int) error {
	return persist(ctx, path, func(path string) error {
		err := inspect(path, newest)
		if errors.Is(err, fs.ErrNotExist) {
			err = create(path)
		}
		return err
	})
}

// persist returns what look says of the file at path. A file looks wrong for a moment
// while another process creates it or copies the -wal file into it. So a bad verdict
// is checked again.
func persist(ctx context.Context, path string, look func(path string) error) error {
	const checks = 4
	for i := 1; ; i++ {
		err := look(path)
		wrong := errors.Is(err, ErrNotDatabase) || errors.Is(err, ErrForeign) || errors.Is(err, ErrForeignLog) || errors.Is(err, ErrCorrupt)
		if !wrong || i == checks {
			return err
		}
		if err := pause(ctx, time.Duration(i)*3*time.Millisecond); err != nil {
			return err
		}
	}
}

// create makes an empty file at path, unless another process just did. The file
// gets its name after its descriptor was closed: closing one of a file that SQLite
// has open would drop SQLite's locks (see readMain).
func create(path string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("its folder: %w", err)
	}
	f, err := os.CreateTemp(dir, ".contacts-*") // mode 0600
	if err != nil {
		return cannotCreate(err)
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return cannotCreate(err)
	}
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("a symbolic link leads to it: %w", err)
		}
	}
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	// Some file systems have no hard links.
	f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return cannotCreate(err)
	}
	return f.Close()
}

// cannotCreate drops the name of the temporary file from err.
func cannotCreate(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return readOnly(err)
}

// readOnly makes ErrReadOnly of the system's ways to say so.
func readOnly(err error) error {
	if err != nil && (errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)) {
		return fmt.Errorf("%w (%w)", ErrReadOnly, err)
	}
	return err
}

// inspect returns nil if SQLite may open the file at path for writing, without
// changing a byte of it or of what lies beside it.
func inspect(path string, newest int) error {
	info, absent := os.Stat(path)
	switch {
	case absent != nil && !errors.Is(absent, fs.ErrNotExist):
		return absent
	case absent != nil:
	case info.IsDir():
		return syscall.EISDIR
	case !info.Mode().IsRegular():
		return ErrNotDatabase
	default:
		if err := checkWritable(path); err != nil {
			return readOnly(err)
		}
	}
	target := targetOf(path)
	if err := checkBeside(target); err != nil {
		return err
	}
	l, err := readLog(target + logSuffix)
	if err != nil {
		return err
	}
	if absent != nil || info.Size() == 0 {
		if l.pages > 0 {
			return foreign(target + logSuffix)
		}
		return absent
	}
	m, err := readMain(path)
	switch e, _ := errors.AsType[sqlite3.Error](err); {
	case err == nil && m.id != applicationID:
		return ErrForeign
	case err == nil && !l.follows(&m):
		return foreign(target + logSuffix)
	case err == nil && m.accounts && emptiesFile(target+journalSuffix):
		return foreign(target + journalSuffix)
	case err == nil && l.headed:
		return l.header.check(newest)
	case err == nil:
		return m.check(newest)
	case e.Code != sqlite3.ErrCorrupt && (e.Code != sqlite3.ErrNotADB || !startsEmpty(path)):
		return classify(err)
	}
	// The main file makes no sense alone. But a process may have been killed while
	// SQLite wrote to it, and SQLite puts it right from what lies beside it.
	switch {
	case emptiesFile(target + journalSuffix), holdsOurHeader(target + journalSuffix):
		return nil
	case l.headed && l.header.id == applicationID:
		return l.header.check(newest)
	default:
		return classify(err)
	}
}

func foreign(name string) error { return fmt.Errorf("%s: %w", name, ErrForeignLog) }

// checkBeside returns an error that names one of SQLite's other files, or the
// folder in which it makes them, if it cannot be written.
func checkBeside(target string) error {
	missing := false
	for _, suffix := range []string{logSuffix, indexSuffix, journalSuffix} {
		name := target + suffix
		_, err := os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			missing = missing || suffix != journalSuffix
			continue
		}
		if err == nil {
			err = readOnly(checkWritable(name))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if !missing {
		return nil
	}
	folder := filepath.Dir(target)
	if err := checkWritable(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("its folder %s: %w", folder, readOnly(err))
	}
	return nil
}

// marks are what the header of a database says of its content.
type marks struct {
	id      int64 // the application id
	version int64 // of our schema
	schema  int64 // a counter of SQLite's: each change of the schema raises it
}

// check returns an error if this program cannot read a database of ours with the
// marks.
func (m *marks) check(newest int) error {
	switch {
	case m.version > int64(newest):
		return ErrNewerSchema
	case m.version < 1:
		return fmt.Errorf("%w: its schema has the version %d", ErrCorrupt, m.version)
	default:
		return nil
	}
}

// A mainFile is what the main file of a database holds alone. Its marks are ours
// from the first moment: see migrate.
type mainFile struct {
	marks
	pageSize int
	pages    int64
	number   int64 // of log_number
	numbered bool
	accounts bool // whether there are any
}

// immutable opens a file that SQLite neither locks nor writes nor recovers.
const immutable = "mode=ro&immutable=1"

// readMain reads the database at path as its main file alone has it.
//
// SQLite reads it. A process must not itself open and close a file that SQLite
// has open in the same process: that drops all locks, and another process that
// closes the file would then delete the -wal file that we use
// (sqlite.org/howtocorrupt.html, 2.2).
func readMain(path string) (m mainFile, err error) {
	c, err := openConn(path, immutable)
	if err != nil {
		return m, err
	}
	defer c.Close()
	if m.marks, err = readMarks(c); err != nil {
		return m, err
	}
	size, err := pragma(c, "page_size")
	if err != nil {
		return m, err
	}
	m.pageSize = int(integer(size))
	pages, err := pragma(c, "page_count")
	if err != nil {
		return m, err
	}
	m.pages = integer(pages)
	// A file of an older schema has no number. One that was not written to its
	// end may seem to have none.
	number, err := queryValue(c, findNumberSQL)
	m.number, m.numbered = integer(number), err == nil && number != nil
	account, err := queryValue(c, "SELECT 1 FROM account LIMIT 1")
	m.accounts = err == nil && account != nil
	return m, nil
}

// readMarks returns the marks of a database.
func readMarks(c *sqlite3.SQLiteConn) (m marks, err error) {
	for name, n := range map[string]*int64{"application_id": &m.id, "user_version": &m.version, "schema_version": &m.schema} {
		v, err := pragma(c, name)
		if err != nil {
			return marks{}, err
		}
		*n = integer(v)
	}
	return m, nil
}

// emptiesFile reports whether the named file is the journal of a file that was
// empty before. SQLite empties that file again.
func emptiesFile(name string) bool {
	const magic, sizeOffset, sizeEnd = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 16, 20
	header, _ := readPrefix(name, sizeEnd) // which is short if there is none
	return len(header) == sizeEnd && bytes.HasPrefix(header, []byte(magic)) && binary.BigEndian.Uint32(header[sizeOffset:]) == 0
}

// startsEmpty reports whether the first sector of the file at path was never
// written. A power cut leaves it so while SQLite writes the first pages of a
// file, which reach the disk in any order.
func startsEmpty(path string) bool {
	const sector = 512
	b, err := readPrefix(path, sector)
	return err == nil && len(bytes.Trim(b, "\x00")) == 0
}

func readPrefix(name string, n int64) ([]byte, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// openRegular opens a regular file to read it. Opening a pipe would wait.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it is not a regular file")}
	}
	return os.Open(name)
}

// holdsOurHeader reports whether there is a copy of the first page of one of
// our files in the named one.
func holdsOurHeader(name string) bool {
	const (
		idOffset = 68 // of the application id in the header
		idEnd    = idOffset + 4
	)
	magic := []byte("SQLite format 3\x00")
	f, err := openRegular(name)
	if err != nil {
		return false
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		window, err := r.Peek(r.Size())
		for at := 0; ; {
			i := bytes.Index(window[at:], magic)
			if i < 0 || at+i+idEnd > len(window) {
				break
			}
			at += i
			if binary.BigEndian.Uint32(window[at+idOffset:]) == applicationID {
				return true
			}
			at += len(magic)
		}
		if err != nil {
			return false // io.EOF, mostly
		}
		if _, err := r.Discard(len(window) - idEnd); err != nil { // a header may straddle two windows
			return false
		}
	}
}
