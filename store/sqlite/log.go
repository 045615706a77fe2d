//go:build cgo

package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
)

// The log is the -wal file. SQLite copies it into the main file, whatever main
// file lies beside it: a backup that was restored beside the log of the file
// before it would be destroyed. So Open reads the log first, as SQLite would, and
// compares it with the main file.
//
// log_number ties the two together. Whenever SQLite begins the log anew, the
// writer raises the number and writes the first page: see [writer.mark]. A main
// file without the log has the number of the log before it, or one of this log,
// if a part was copied already.
const (
	newNumber      = `random() & 0x3fffffffffffffff | 0x4000000000000000` // always stored in 8 bytes
	renumberSQL    = `UPDATE log_number SET number = ` + newNumber + ` WHERE one = 1`
	raiseNumberSQL = `UPDATE log_number SET number = number + 1 WHERE one = 1`
	findNumberSQL  = `SELECT number FROM log_number WHERE one = 1`
	writeHeaderSQL = `PRAGMA application_id = 1668572019` // as it is: this writes the first page
)

// A log is what is committed in a -wal file. Its zero value is an empty one.
type log struct {
	pageSize int
	pages    uint32 // of the database, after the last commit; 0: nothing is committed
	header   marks  // of the last copy of the first page
	headed   bool   // whether there is one
	from, to int64  // the first and last number
	numbered bool   // whether there is one
}

// follows reports whether SQLite wrote the log to the main file with the marks m.
// What the log does not tell counts as right: the process may have been killed
// before it raised the number.
func (l *log) follows(m *mainFile) bool {
	switch {
	case l.pages == 0:
		return true
	case l.pageSize != m.pageSize,
		l.numbered && m.numbered && (m.number < l.from-1 || m.number > l.to):
		return false
	case !l.headed: // no transaction without the first page changes the size
		return int64(l.pages) == m.pages
	default:
		older := l.header.version > 0 && l.header.version < m.version
		return l.header.id == m.id && !older && l.header.schema >= m.schema
	}
}

// readLog reads the named -wal file. One that is not there is empty, as is what
// SQLite would not use (sqlite.org/fileformat2.html, 4).
func readLog(name string) (l log, err error) {
	const (
		magic, version            = 0x377f0682, 3007000
		headerSize, frameHead     = 32, 24
		smallestPage, largestPage = 512, 65536
	)
	f, err := openRegular(name)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 256<<10)
	var header [headerSize]byte
	if whole, err := readWhole(r, header[:]); !whole {
		return l, err
	}
	sum := checksum{bigEndian: header[3]&1 == 1}
	sum.add(header[:24])
	size := binary.BigEndian.Uint32(header[8:])
	if binary.BigEndian.Uint32(header[:])&^1 != magic || binary.BigEndian.Uint32(header[4:]) != version || !sum.is(header[24:]) ||
		size < smallestPage || size > largestPage || size&(size-1) != 0 {
		return l, nil
	}
	next := log{pageSize: int(size)} // with what is not committed yet
	frame := make([]byte, frameHead+next.pageSize)
	for {
		if whole, err := readWhole(r, frame); !whole {
			return l, err
		}
		head, page := frame[:frameHead], frame[frameHead:]
		sum.add(head[:8])
		sum.add(page)
		if !bytes.Equal(head[8:16], header[16:24]) || !sum.is(head[16:]) {
			return l, nil // what is left of an older log, or was never finished
		}
		next.see(binary.BigEndian.Uint32(head), page)
		if next.pages = binary.BigEndian.Uint32(head[4:]); next.pages != 0 {
			l = next
		}
	}
}

// readWhole fills b, and reports false where the file ends before.
func readWhole(r io.Reader, b []byte) (bool, error) {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}

// see takes from a page what a log is to hold.
func (l *log) see(number uint32, page []byte) {
	if number == 1 {
		l.header, l.headed = marks{
			schema:  int64(int32(binary.BigEndian.Uint32(page[40:]))),
			version: int64(int32(binary.BigEndian.Uint32(page[60:]))),
			id:      int64(int32(binary.BigEndian.Uint32(page[68:]))),
		}, true
	}
	if n, ok := numberIn(page); ok {
		if !l.numbered {
			l.from = n
		}
		l.to, l.numbered = n, true
	}
}

// numberIn returns the number of log_number, if the page is that of the table. No
// other page can look like it (sqlite.org/fileformat2.html, 1.6 and 2.1).
func numberIn(page []byte) (int64, bool) {
	const leaf = 13
	row := []byte{11, 1, 3, 0, 6} // 11 bytes; key 1; 3 of them say what follows: nothing for the key, 8 bytes
	if page[0] != leaf || binary.BigEndian.Uint16(page[3:]) != 1 {
		return 0, false
	}
	at := int(binary.BigEndian.Uint16(page[8:]))
	if at > len(page)-len(row)-8 || !bytes.HasPrefix(page[at:], row) {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(page[at+len(row):])), true
}

// A checksum is that of a -wal file, which each frame continues.
type checksum struct {
	bigEndian bool
	a, b      uint32
}

// add adds bytes, in multiples of 8.
func (c *checksum) add(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		if c.bigEndian {
			c.a += binary.BigEndian.Uint32(p) + c.b
			c.b += binary.BigEndian.Uint32(p[4:]) + c.a
		} else {
			c.a += binary.LittleEndian.Uint32(p) + c.b
			c.b += binary.LittleEndian.Uint32(p[4:]) + c.a
		}
	}
}

// is reports whether p begins with the checksum.
func (c *checksum) is(p []byte) bool {
	return binary.BigEndian.Uint32(p) == c.a && binary.BigEndian.Uint32(p[4:]) == c.b
}
