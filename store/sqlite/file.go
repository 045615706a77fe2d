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
	// ErrReadOnly: the file, its folder or its disk cannot be written. It
	// also matches [io/fs.ErrPermission].
	ErrReadOnly error = readOnlyError{}
	// ErrDiskFull: there is no space left for the file. What was stored before
	// is safe and can be read, and writes succeed again when there is space.
	ErrDiskFull = errors.New("the disk is full")
)

type readOnlyError struct{}

func (readOnlyError) Error() string        { return "the file cannot be written" }
func (readOnlyError) Is(target error) bool { return target == fs.ErrPermission }

// applicationID marks a SQLite file as ours, in its header ("ctcs").
const applicationID = 0x63746373

// resolve returns the absolute form of path, which stays the same if the program
// changes its working directory.
func resolve(path string) (string, error) {
	switch path {
	case "":
		return "", errors.New("the path is empty: name a file, or use memory.New of store/memory for contacts that nothing keeps")
	case ":memory:":
		return "", errors.New("contacts in memory are what memory.New of store/memory is for; a file of that name is ./:memory:")
	}
	return filepath.Abs(path)
}

// prepareFile makes sure that there is a file at path that SQLite may write: one
// of ours or an empty one. It creates it if there is none.
//
// A file looks wrong for a moment while another process creates it or copies the
// -wal file into it. So a bad verdict is checked again.
func prepareFile(ctx context.Context, path string, newest int) error {
	const checks = 4
	for i := 1; ; i++ {
		err := inspect(path, newest)
		if errors.Is(err, fs.ErrNotExist) {
			err = create(path)
		}
		wrong := errors.Is(err, ErrNotDatabase) || errors.Is(err, ErrForeign) || errors.Is(err, ErrCorrupt)
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
// has open would drop SQLite's locks (see readHeader).
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
	if err = os.Link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
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
	if errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (%w)", ErrReadOnly, err)
	}
	return err
}

// inspect returns nil if SQLite may open the file at path for writing, without
// changing a byte of it or of what lies beside it.
func inspect(path string, newest int) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return syscall.EISDIR
	case !info.Mode().IsRegular():
		return ErrNotDatabase
	}
	if err := checkWritable(path); err != nil {
		return readOnly(err)
	}
	if info.Size() == 0 {
		return nil
	}
	id, version, err := readHeader(path)
	switch e, _ := errors.AsType[sqlite3.Error](err); {
	case err == nil && id != applicationID:
		return ErrForeign
	case err == nil && version > newest:
		return ErrNewerSchema
	case err == nil:
		return nil
	case e.Code == sqlite3.ErrCorrupt, e.Code == sqlite3.ErrNotADB && startsEmpty(path):
		return inspectBeside(path, err)
	default:
		return classify(err)
	}
}

// readHeader returns the marks of the database at path as its main file alone
// has them. Ours has them from the first moment: see migrate.
//
// SQLite reads them. A process must not itself open and close a file that SQLite
// has open in the same process: that drops all locks, and another process that
// closes the file would then delete the -wal file that we use
// (sqlite.org/howtocorrupt.html, 2.2). SQLite neither locks nor writes nor
// recovers an immutable file.
func readHeader(path string) (id, version int, err error) {
	c, err := (&sqlite3.SQLiteDriver{}).Open(uri(path, "mode=ro&immutable=1"))
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	return marks(c.(*sqlite3.SQLiteConn))
}

// marks returns what the header of the database says of its content.
func marks(c *sqlite3.SQLiteConn) (id, version int, err error) {
	for name, n := range map[string]*int{"application_id": &id, "user_version": &version} {
		v, err := pragma(c, name)
		if err != nil {
			return 0, 0, err
		}
		i, _ := v.(int64)
		*n = int(i)
	}
	return id, version, nil
}

// inspectBeside returns nil if the main file at path, which makes no sense alone,
// makes sense with what lies beside it: a process was killed while SQLite wrote
// to it, and SQLite will put it right. Else it returns the verdict on the main
// file.
func inspectBeside(path string, verdict error) error {
	target, err := filepath.EvalSymlinks(path) // SQLite's files are beside it
	if err != nil {
		return err
	}
	// The journal of a file that was empty before: SQLite empties it again.
	const magic, sizeOffset, sizeEnd = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 16, 20
	header, _ := readPrefix(target+"-journal", sizeEnd)
	if len(header) == sizeEnd && bytes.HasPrefix(header, []byte(magic)) && binary.BigEndian.Uint32(header[sizeOffset:]) == 0 {
		return nil
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if ours, _ := holdsOurHeader(target + suffix); ours {
			return nil
		}
	}
	return classify(verdict)
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
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// holdsOurHeader reports whether there is a copy of the first page of one of
// our files in the named one.
func holdsOurHeader(name string) (bool, error) {
	const (
		idOffset = 68 // of the application id in the header
		idEnd    = idOffset + 4
	)
	magic := []byte("SQLite format 3\x00")
	f, err := os.Open(name)
	if err != nil {
		return false, err
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
				return true, nil
			}
			at += len(magic)
		}
		if err != nil {
			return false, err // io.EOF, mostly
		}
		if _, err := r.Discard(len(window) - idEnd); err != nil { // a header may straddle two windows
			return false, err
		}
	}
}
