package contactsio

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/contacts"
)

// csvRecords reads the rows of a CSV file as cells. Package encoding/csv parses them.
// It gets the file line by line, so that a row has a bound, and so that what follows a
// row that cannot be parsed is read again.
type csvRecords struct {
	text  *textReader
	comma rune
	blank *int        // counts the rows that hold nothing
	csv   *csv.Reader // nil: to be made

	lines  []line // of the present row
	record []byte // their text
	feed   []byte // what the parser has not read of the last one
}

func newCSVRecords(text *textReader, comma rune, blank *int) *csvRecords {
	return &csvRecords{text: text, comma: comma, blank: blank}
}

// errRowTooLong ends a row that has too many bytes.
var errRowTooLong = errors.New("the row is too long")

// separatorOf finds the separator, unless it is given. A first line that states it is
// lines and size of the head.
func separatorOf(head []byte, given rune) (comma rune, lines, size int) {
	stated, size := statedComma(head)
	if size > 0 {
		head, lines = head[size:], 1
	}
	for _, comma = range [...]rune{given, stated, refusedComma(head)} {
		if comma != 0 {
			return comma, lines, size
		}
	}
	return commonComma(head), lines, size
}

// refusedComma returns the separator of a file of refused rows: these may differ in how
// many fields they have. 0: it is another file.
func refusedComma(head []byte) rune {
	rest, ok := bytes.CutPrefix(head, []byte(errorColumns[0]))
	comma, n := utf8.DecodeRune(rest)
	if ok && isComma(comma) && bytes.HasPrefix(rest[n:], []byte(errorColumns[1])) {
		return comma
	}
	return 0
}

// linesOf returns how many lines a text has, which is not empty.
func linesOf(text []byte) int {
	n := bytes.Count(text, []byte("\n"))
	if text[len(text)-1] != '\n' {
		n++
	}
	return n
}

func newParser(from io.Reader, comma rune) *csv.Reader {
	parser := csv.NewReader(from)
	parser.Comma, parser.FieldsPerRecord = comma, -1
	return parser
}

// checkComma rejects a separator that encoding/csv does not take. options is the type
// that has it.
func checkComma(options string, c rune) error {
	if isComma(c) {
		return nil
	}
	return wrongOption("%s.Comma is %q; give one character that is no quote and no line break, or 0 to find it out", options, c)
}

func isComma(c rune) bool {
	return c != 0 && c != '"' && c != '\r' && c != '\n' && utf8.ValidRune(c) && c != utf8.RuneError
}

// statedComma returns the separator of a first line "sep=;", and the length of that
// line. 0: there is none.
func statedComma(head []byte) (comma rune, size int) {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	const sep = "sep="
	if len(first) <= len(sep) || !bytes.EqualFold(first[:len(sep)], []byte(sep)) {
		return 0, 0
	}
	comma, n := utf8.DecodeRune(first[len(sep):])
	if len(bytes.TrimSuffix(first, []byte("\r"))) != len(sep)+n {
		return 0, 0
	}
	return comma, min(len(first)+1, len(head))
}

// commas are the separators that are found out, the likely ones first.
var commas = [...]rune{',', ';', '\t', '|'}

// commonComma returns the separator with which most of the first lines have the
// same number of fields, two or more.
func commonComma(head []byte) rune {
	const rows = 20
	best, most := ',', 0
	for _, comma := range commas {
		parser := newParser(bytes.NewReader(head), comma)
		lines := make(map[int]int) // by number of fields
		for range rows {
			fields, err := parser.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if n := len(fields); err == nil && n > 1 {
				if lines[n]++; lines[n] > most {
					best, most = comma, lines[n]
				}
			}
		}
	}
	return best
}

// Read gives the parser one line at a time.
func (c *csvRecords) Read(p []byte) (int, error) {
	if len(c.feed) == 0 {
		if err := c.take(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.feed)
	c.feed = c.feed[n:]
	return n, nil
}

// take adds one line to the row.
func (c *csvRecords) take() error {
	if len(c.record) >= c.text.max {
		return errRowTooLong
	}
	l, err := c.text.next()
	if err != nil {
		return err
	}
	start := len(c.record)
	c.record = append(c.record, l.bytes...)
	l.bytes = nil // it is in record
	c.lines = append(c.lines, l)
	if c.feed = c.record[start:]; l.cut || len(c.record) > c.text.max {
		return errRowTooLong
	}
	return nil
}

// next reads the next row that is not blank.
func (c *csvRecords) next() (Row, error) {
	for {
		c.lines, c.record, c.feed = c.lines[:0], c.record[:0], nil
		err := c.take()
		if err == nil && len(bytes.TrimSpace(c.record)) == 0 {
			*c.blank++
			continue
		}
		var cells []string
		if err == nil {
			if c.csv == nil {
				c.csv = newParser(c, c.comma)
				c.csv.ReuseRecord = true
			}
			if cells, err = c.csv.Read(); errors.Is(err, csv.ErrBareQuote) {
				cells, err = c.readFormulas(err)
			}
		}
		if len(c.lines) == 0 {
			return Row{}, err // the end, or a fault of the file
		}
		row := Row{Line: c.lines[0].number, Offset: c.lines[0].offset}
		if err != nil {
			parse, unparsed := errors.AsType[*csv.ParseError](err)
			switch {
			case errors.Is(err, errRowTooLong):
				row.Problems = problem("", contacts.FieldTooLong, fmt.Sprintf("the row has more than %d bytes; is there a quote that is not closed?", c.text.max))
			case unparsed:
				row.Problems = problem("", ProblemCSV, "the row cannot be parsed: "+parse.Err.Error())
			default:
				return Row{}, err
			}
			c.refuseFirstLine(&row)
			return row, nil
		}
		if !slices.ContainsFunc(cells, func(cell string) bool { return !isBlank(cell) }) {
			*c.blank++
			continue
		}
		row.Raw = slices.Clone(cells)
		if code, message := c.text.misread(c.record); code != "" {
			row.Problems = problem("", code, message)
		}
		return row, nil
	}
}

// readFormulas reads a row that cannot be parsed because of cells such as ="007". Programs
// write them so that no spreadsheet changes the text. The row is refused with why, if that
// is not what is wrong with it.
func (c *csvRecords) readFormulas(why error) ([]string, error) {
	parser := newParser(bytes.NewReader(withoutFormulas(c.record, c.comma)), c.comma)
	cells, err := parser.Read()
	if err != nil {
		return nil, why
	}
	return cells, nil
}

// withoutFormulas makes the cells ="text" of a row cells in quotes.
func withoutFormulas(row []byte, comma rune) []byte {
	separator := utf8.AppendRune(nil, comma)
	text := make([]byte, 0, len(row))
	for {
		if bytes.HasPrefix(row, []byte(`="`)) {
			row = row[1:]
		}
		end := quotedLen(row)
		next := bytes.Index(row[end:], separator)
		if next < 0 {
			return append(text, row...)
		}
		end += next + len(separator)
		text, row = append(text, row[:end]...), row[end:]
	}
}

// quotedLen returns how long the cell in quotes is that starts a row. 0: it has none.
func quotedLen(row []byte) int {
	if len(row) == 0 || row[0] != '"' {
		return 0
	}
	for i := 1; i < len(row); i++ {
		if row[i] != '"' {
			continue
		}
		if i++; i == len(row) || row[i] != '"' {
			return i
		}
	}
	return len(row)
}

// refuseFirstLine makes the row its first line. The others are read again.
func (c *csvRecords) refuseFirstLine(row *Row) {
	c.csv = nil // it may have some of the other lines
	text := make([][]byte, len(c.lines))
	from := 0
	for i, l := range c.lines {
		to := len(c.record)
		if i < len(c.lines)-1 {
			to = from + l.size
		}
		text[i] = bytes.Clone(c.record[from:to])
		from = to
	}
	row.Raw = []string{strings.ToValidUTF8(strings.TrimRight(string(text[0]), "\r\n"), "\ufffd")}
	again := slices.Clone(c.lines[1:])
	for i := range again {
		again[i].bytes = text[i+1]
	}
	c.text.unread(again)
}
