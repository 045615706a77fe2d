package contactsio

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"example.com/contacts"
)

// headBytes is how much of a file decides what it is.
const headBytes = 64 << 10

const (
	utf8Name        = "utf-8"
	windows1252Name = "windows-1252"
)

const byteOrderMark = "\ufeff"

// lostText stands for what could not be decoded.
const lostText = "\ufffd"

// A textReader reads a file as lines of UTF-8.
type textReader struct {
	file     *countingReader
	text     *bufio.Reader // without a byte order mark
	encoding string        // name of the WHATWG list
	decoded  bool          // the file is not UTF-8: U+FFFD is what could not be decoded
	returns  bool          // the file ends its lines with carriage returns, which are line feeds in the text
	max      int           // bytes of a line that are kept

	offset int64  // of the next line, in the text as UTF-8; with a byte order mark that the file has in UTF-8
	number int    // of the next line, from 1
	back   []line // lines to be read again
	long   []byte // of a line that the buffer does not hold
}

// A line is one line of the text, with its line break. Its bytes are valid until
// the next line is read.
type line struct {
	bytes  []byte
	number int
	offset int64
	size   int  // in the text
	cut    bool // it is too long, and bytes are its first ones
}

// A countingReader counts what was read of a file.
type countingReader struct {
	io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// newTextReader finds out the encoding, unless a name is given, as an error of the
// options says. The format helps, if it is known.
func newTextReader(r io.Reader, options, name string, format Format, limit int) (*textReader, error) {
	t := &textReader{file: &countingReader{Reader: r}, number: 1, max: limit}
	raw := bufio.NewReaderSize(t.file, headBytes)
	head, err := peek(raw)
	if err != nil {
		return nil, err
	}
	code, found, err := encodingOf(head, options, name, format)
	if err != nil {
		return nil, err
	}
	t.encoding, t.text = found, raw
	if code != nil {
		t.decoded = true
		t.text = bufio.NewReaderSize(transform.NewReader(raw, code.NewDecoder()), headBytes)
	}
	if start, _ := t.text.Peek(len(byteOrderMark)); string(start) == byteOrderMark {
		_, err = t.text.Discard(len(byteOrderMark))
		t.offset = int64(len(byteOrderMark))
	}
	if err == nil {
		head, err = peek(t.text)
	}
	if t.returns = hasReturns(head); t.returns {
		t.text = bufio.NewReaderSize(returnReader{t.text}, headBytes)
	}
	return t, err
}

// hasReturns reports whether most lines of the head end with a carriage return alone,
// as those of old Macs do. Line breaks in quotes are not counted: those programs write
// others there.
func hasReturns(head []byte) bool {
	quoted, more := false, 0
	for i, c := range head {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\n':
			more--
		case c == '\r' && (i+1 == len(head) || head[i+1] != '\r' && head[i+1] != '\n'):
			more++
		}
	}
	return more > 0
}

// A returnReader reads carriage returns as line feeds.
type returnReader struct{ io.Reader }

func (r returnReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	for i, c := range p[:n] {
		if c == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// peek returns up to headBytes without reading them.
func peek(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(headBytes)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head, err
}

// encodingOf returns the encoding of a file that starts with head, and its name. A
// nil encoding is UTF-8.
func encodingOf(head []byte, options, name string, format Format) (encoding.Encoding, string, error) {
	utf16 := func(order unicode.Endianness) encoding.Encoding { return unicode.UTF16(order, unicode.IgnoreBOM) }
	switch {
	case name != "":
		code, err := htmlindex.Get(name)
		if err != nil {
			return nil, "", wrongOption("%s.Encoding is %q; give a name of the WHATWG list such as utf-8 or windows-1252, or \"\" to find it out", options, name)
		}
		if found, err := htmlindex.Name(code); err == nil {
			name = found
		}
		if name == utf8Name {
			code = nil
		}
		return code, name, nil
	case bytes.HasPrefix(head, []byte(byteOrderMark)):
		return nil, utf8Name, nil
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return utf16(unicode.LittleEndian), "utf-16le", nil
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return utf16(unicode.BigEndian), "utf-16be", nil
	}
	var nuls [2]int // at even and odd places
	for i, b := range head {
		if b == 0 {
			nuls[i%2]++
		}
	}
	// Half of every second byte: the text may have other letters. The other byte of a few,
	// such as U+0100 and U+1F600, is a NUL too.
	switch half, few := len(head)/4, len(head)/16; {
	case nuls[0] <= few && nuls[1] > half:
		return utf16(unicode.LittleEndian), "utf-16le", nil
	case nuls[1] <= few && nuls[0] > half:
		return utf16(unicode.BigEndian), "utf-16be", nil
	case utf8.Valid(wholeRunes(head)), cmp.Or(format, formatOf(head)) == FormatJSONLines: // JSON is UTF-8
		return nil, utf8Name, nil
	default:
		return charmap.Windows1252, windows1252Name, nil
	}
}

// wholeRunes leaves out the start of a character that head was cut in.
func wholeRunes(head []byte) []byte {
	if len(head) < headBytes {
		return head
	}
	for i := 1; i < utf8.UTFMax; i++ {
		if rest := head[len(head)-i:]; utf8.RuneStart(rest[0]) {
			if !utf8.FullRune(rest) {
				return head[:len(head)-i]
			}
			break
		}
	}
	return head
}

// head returns the first 64 KiB of the text, if nothing was read yet.
func (t *textReader) head() ([]byte, error) { return peek(t.text) }

// fingerprint tells files apart by their head.
func fingerprint(head []byte) string {
	sum := sha256.Sum256(head)
	return hex.EncodeToString(sum[:])
}

// next returns the next line. At the end of the file it returns io.EOF.
func (t *textReader) next() (line, error) {
	if last := len(t.back) - 1; last >= 0 {
		l := t.back[last]
		t.back[last] = line{} // for the garbage collector
		t.back = t.back[:last]
		t.advance(l.size)
		return l, nil
	}
	l := line{number: t.number, offset: t.offset}
	part, err := t.text.ReadSlice('\n')
	l.bytes, l.size = part, len(part)
	if errors.Is(err, bufio.ErrBufferFull) {
		t.long = t.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			t.long = append(t.long, part[:min(len(part), t.max-len(t.long))]...)
			part, err = t.text.ReadSlice('\n')
			l.size += len(part)
		}
		t.long = append(t.long, part[:min(len(part), t.max-len(t.long))]...)
		l.bytes = t.long
	}
	if len(l.bytes) > t.max {
		l.bytes = l.bytes[:t.max]
	}
	l.cut = l.size > len(l.bytes)
	if err != nil && (!errors.Is(err, io.EOF) || l.size == 0) {
		return line{}, err
	}
	t.advance(l.size)
	return l, nil
}

func (t *textReader) advance(size int) {
	t.offset += int64(size)
	t.number++
}

// unread gives lines back, to be read again. They are those that were read last.
func (t *textReader) unread(lines []line) {
	for _, l := range slices.Backward(lines) {
		t.offset -= int64(l.size)
		t.number--
		t.back = append(t.back, l)
	}
}

// skip goes on at the place of an earlier reader of the same file. It is where a line
// begins: elsewhere the end of a row would pass for a row.
func (t *textReader) skip(offset int64, number int) error {
	last := byte('\n')
	for n := offset - t.offset; n > 0; {
		part, err := t.text.Discard(int(min(n-1, 1<<20)))
		n -= int64(part)
		if err == nil && n == 1 {
			last, err = t.text.ReadByte()
			n = 0
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errShorter, err)
		}
	}
	if last != '\n' {
		if rest, _ := t.text.Peek(1); len(rest) > 0 { // the next read has its error again
			return errMoved
		}
	}
	t.offset, t.number = offset, number
	return nil
}

// misread says why text cannot be taken as it is.
func (t *textReader) misread(text []byte) (code, message string) {
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		return contacts.FieldInvalid, "must hold no NUL"
	case t.decoded && bytes.Contains(text, []byte(lostText)), !t.decoded && !utf8.Valid(text):
		return ProblemEncoding, "holds bytes that are invalid in " + t.encoding + "; if the file has another encoding, name it in the option Encoding"
	default:
		return "", ""
	}
}

// isBlank reports whether text shows nothing.
func isBlank(s string) bool { return strings.TrimSpace(s) == "" }
