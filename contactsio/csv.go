package contactsio

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/contacts"
)

// csvRows reads the rows of a CSV file. Package encoding/csv parses them. It gets
// the file line by line, so that a row has a bound, and so that what follows a row
// that cannot be parsed is read again.
type csvRows struct {
	reader *Reader
	text   *textReader
	csv    *csv.Reader
	comma  rune

	header     []string
	headerLine int // 0: none
	columns    []column
	source     source
	person     person

	lines  []line // of the present row
	record []byte // their text
	feed   []byte // what the parser has not read of the last one
	broken bool   // a row could not be parsed, and no whole one has come since
	filled []int  // rows of the file that have a value, by column
	read   int    // rows that filled counts
}

// errRowTooLong ends a row that has too many bytes.
var errRowTooLong = errors.New("the row is too long")

// maxTitleLines is within how many lines the header must be.
const maxTitleLines = 10

var errEmptyFile = errors.New("contactsio: the file is empty; its first line must name the columns")

// newCSVRows finds the separator and the header.
func newCSVRows(r *Reader, head []byte) (*csvRows, error) {
	c := &csvRows{reader: r, text: r.text, comma: r.opts.Comma}
	c.person.region, c.person.ignored = r.opts.Region, &r.ignored
	if len(bytes.TrimSpace(head)) == 0 {
		return nil, errEmptyFile
	}
	skip := 0
	if comma, size := statedComma(head); size > 0 {
		if head, skip = head[size:], 1; c.comma == 0 {
			c.comma = comma
		}
	}
	if c.comma == 0 {
		c.comma = commonComma(head)
	}
	if !isComma(c.comma) {
		return nil, fmt.Errorf("contactsio: ReadOptions.Comma is %q; give one character that is no quote and no line break, or 0 to find it out", c.comma)
	}
	c.csv = newParser(c, c.comma)
	c.csv.ReuseRecord = true
	lines, err := c.findHeader(head, skip)
	if err != nil {
		return nil, err
	}
	for range lines {
		if _, err := c.text.next(); err != nil {
			return nil, err
		}
	}
	return c, c.mapColumns()
}

func newParser(from io.Reader, comma rune) *csv.Reader {
	parser := csv.NewReader(from)
	parser.Comma, parser.FieldsPerRecord = comma, -1
	return parser
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

// commonComma returns the separator with which most of the first lines have the
// same number of fields, two or more.
func commonComma(head []byte) rune {
	const rows = 20
	best, most := ',', 0
	for _, comma := range [...]rune{',', ';', '\t', '|'} {
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

// findHeader finds the header in the head of the file. It returns how many lines
// there are up to its end; skip of them were left out of head.
func (c *csvRows) findHeader(head []byte, skip int) (lines int, err error) {
	parser := newParser(bytes.NewReader(head), c.comma)
	parser.LazyQuotes = true
	known := func(names []string) (n int) {
		for _, name := range names {
			if c.reader.knows(name) {
				n++
			}
		}
		return n
	}
	var first []string
	firstLines, firstLine := 0, 0
	for {
		names, err := parser.Read()
		if err != nil {
			break
		}
		number, _ := parser.FieldPos(0)
		if first != nil && number+skip > maxTitleLines {
			break
		}
		end := int(parser.InputOffset())
		lines := bytes.Count(head[:end], []byte("\n")) + skip
		if head[end-1] != '\n' {
			lines++
		}
		if first == nil {
			first, firstLines, firstLine = names, lines, number+skip
			if c.reader.opts.NoHeader {
				c.header = make([]string, len(names))
				for i := range c.header {
					c.header[i] = strconv.Itoa(i + 1)
				}
				return skip, nil
			}
		}
		if known(names) > 1 {
			c.header, c.headerLine = names, number+skip
			return lines, nil
		}
	}
	switch {
	case first == nil:
		return 0, errEmptyFile
	case known(first) == 0:
		return 0, fmt.Errorf("contactsio: no line of the first %d names columns that are known, and the first one is %q; give the option Map for the names, or the options NoHeader and Map for a file without names",
			maxTitleLines, shorten(strings.Join(first, string(c.comma))))
	}
	c.header, c.headerLine = first, firstLine
	return firstLines, nil
}

// Read gives the parser one line at a time.
func (c *csvRows) Read(p []byte) (int, error) {
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
func (c *csvRows) take() error {
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
func (c *csvRows) next() (Row, error) {
	for {
		c.lines, c.record, c.feed = c.lines[:0], c.record[:0], nil
		err := c.take()
		if err == nil && len(bytes.TrimSpace(c.record)) == 0 {
			c.reader.blank++
			continue
		}
		var cells []string
		if err == nil {
			cells, err = c.csv.Read()
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
				row.Problems = problem("", codeCSV, "the row cannot be parsed: "+parse.Err.Error())
			default:
				return Row{}, err
			}
			c.refuseFirstLine(&row)
			return row, nil
		}
		if !slices.ContainsFunc(cells, func(cell string) bool { return !isBlank(cell) }) {
			c.reader.blank++
			continue
		}
		row.Raw = slices.Clone(cells)
		c.fill(&row)
		return row, nil
	}
}

// refuseFirstLine makes the row its first line. The others are read again.
func (c *csvRows) refuseFirstLine(row *Row) {
	c.broken = true
	c.csv = newParser(c, c.comma) // the old one may have some of the other lines
	c.csv.ReuseRecord = true
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

// fill makes the cells of a row a contact.
func (c *csvRows) fill(row *Row) {
	cells := row.Raw
	if code, message := c.text.misread(c.record); code != "" {
		row.Problems = problem("", code, message)
		return
	}
	switch n := len(c.columns); {
	case len(cells) > n:
		row.Problems = problem("", codeTooManyCells, fmt.Sprintf("the row has %d fields, and the header %d", len(cells), n))
		return
	case len(cells) < n && c.broken:
		row.Problems = problem("", codeTooFewCells, fmt.Sprintf("the row has %d fields, and the header %d; it may be the rest of a row above that cannot be parsed", len(cells), n))
		return
	case len(cells) < n:
		row.Notes = append(row.Notes, Note{"", NotePadded, fmt.Sprintf("the row has %d fields, and the header %d", len(cells), n)})
	default:
		c.broken = false
	}
	c.read++
	p := &c.person
	p.reset()
	for i, cell := range cells {
		if isBlank(cell) {
			continue
		}
		c.filled[i]++
		c.columns[i].set(p, withoutFormulaMark(cell))
	}
	p.finish(row)
}

// describe adds to a preview what is known of a CSV file.
func (c *csvRows) describe(p *Preview) {
	p.Source, p.Comma, p.HeaderLine = string(c.source), c.comma, c.headerLine
	country := false
	for i := range c.columns {
		column := &c.columns[i]
		country = country || column.field == "country"
		filled := 0.0
		if c.read > 0 {
			filled = float64(c.filled[i]) / float64(c.read)
		}
		p.Columns = append(p.Columns, Column{column.name, column.field, filled})
	}
	if !country {
		p.Notes = append(p.Notes, Note{"country", NoteDefaultCountry, "the file has no column for the country, so each contact gets the default"})
	}
}
