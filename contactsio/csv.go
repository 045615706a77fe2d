package contactsio

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/contacts"
)

// csvRows reads the contacts of a CSV file.
type csvRows struct {
	*csvRecords
	reader *Reader

	header     []string
	headerLine int // 0: none
	columns    []column
	source     source
	person     person

	errorCode, errorField int // columns that an earlier import added; -1: none

	broken bool  // a row could not be parsed, and no whole one has come since
	filled []int // rows of the file that have a value, by column
	read   int   // rows that filled counts
}

// maxTitleLines is within how many lines the header must be.
const maxTitleLines = 10

var errEmptyFile = errors.New("contactsio: the file is empty; its first line must name the columns")

// newCSVRows finds the separator and the header.
func newCSVRows(r *Reader, head []byte) (*csvRows, error) {
	c := &csvRows{reader: r}
	c.person.region, c.person.ignored = r.opts.Region, &r.ignored
	if len(bytes.TrimSpace(head)) == 0 {
		return nil, errEmptyFile
	}
	comma, skip, size := separatorOf(head, r.opts.Comma)
	if err := checkComma("ReadOptions", comma); err != nil {
		return nil, err
	}
	c.csvRecords = newCSVRecords(r.text, comma, &r.blank)
	found, err := c.findHeader(head[size:], skip, len(head) == headBytes)
	if err != nil {
		return nil, err
	}
	c.header, c.headerLine = found.names, found.line
	for range found.lines {
		if _, err := c.text.next(); err != nil {
			return nil, err
		}
	}
	if found.cut {
		if err := c.readHeader(); err != nil {
			return nil, err
		}
	}
	find := func(name string) int {
		return slices.IndexFunc(c.header, func(cell string) bool { return strings.TrimSpace(cell) == name })
	}
	c.errorCode, c.errorField = find("error_code"), find("error_field")
	return c, c.mapColumns()
}

// readHeader reads a header that the head of the file does not hold to its end.
func (c *csvRows) readHeader() error {
	row, err := c.csvRecords.next()
	if err != nil {
		return err
	}
	if row.Problems != nil {
		return fmt.Errorf("contactsio: the names of the columns, in line %d, cannot be read: %s", row.Line, row.Problems[0].Message)
	}
	c.header = row.Raw
	return nil
}

// A header is a line that names the columns.
type header struct {
	names []string
	line  int  // where it starts; 0: the file has none
	lines int  // that are to be read over before the first row, or before a header that is cut
	cut   bool // the head of the file may not hold all of it
}

// findHeader finds the header in the head of the file, after the lines that were left
// out of it. full says that the file may go on after the head.
func (c *csvRows) findHeader(head []byte, skip int, full bool) (header, error) {
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
	var first header
	for {
		names, err := parser.Read()
		if err != nil {
			break
		}
		number, _ := parser.FieldPos(0)
		if first.names != nil && number+skip > maxTitleLines {
			break
		}
		end := int(parser.InputOffset())
		row := header{names, number + skip, linesOf(head[:end]) + skip, full && end == len(head)}
		if row.cut {
			row.lines = row.line - 1
		}
		if first.names == nil {
			if first = row; c.reader.opts.NoHeader && !isRefusedHeader(names) {
				return header{names: numberNames(len(names)), lines: skip}, nil
			}
		}
		if known(names) > 1 {
			return row, nil
		}
	}
	switch {
	case first.names == nil:
		return header{}, errEmptyFile
	case known(first.names) == 0:
		return header{}, fmt.Errorf("contactsio: no line of the first %d names columns that are known, and the first one is %q; give ReadOptions.Map for the names, or ReadOptions.NoHeader and ReadOptions.Map for a file without names",
			maxTitleLines, shorten(strings.Join(first.names, string(c.comma))))
	}
	return first, nil
}

// numberNames returns the names of the columns of a file without a header: 1, 2, 3 ….
func numberNames(columns int) []string {
	names := make([]string, columns)
	for i := range names {
		names[i] = strconv.Itoa(i + 1)
	}
	return names
}

// isRefusedHeader reports whether names are the header of a file of refused rows. It has
// one, also if the file that they come from had none.
func isRefusedHeader(names []string) bool {
	return len(names) >= len(errorColumns) && slices.Equal(names[:len(errorColumns)], errorColumns[:])
}

// next reads the next row that is not blank.
func (c *csvRows) next() (Row, error) {
	row, err := c.csvRecords.next()
	switch {
	case err != nil:
	case row.Problems == nil:
		c.fill(&row)
	case isUnparsed(row.Problems[0]):
		c.broken = true
	}
	return row, err
}

// isUnparsed reports whether a problem is that a row is not parsed. Its text is one
// cell then.
func isUnparsed(p contacts.FieldError) bool {
	return p.Field == "" && (p.Code == ProblemCSV || p.Code == contacts.FieldTooLong)
}

// refusedCells are those of a row in the file of refused rows. The cells of a row that
// may be a part of another one are one cell there, so that the row is known again.
func (c *csvRows) refusedCells(cells []string, why contacts.FieldError) []string {
	if isUnparsed(why) && len(cells) == 1 {
		return cells
	}
	cells = withoutErrors(c.header, cells)
	if why.Field == "" && why.Code == ProblemTooFewFields && !isOneCell(cells) {
		return []string{strings.TrimSuffix(string(appendCSV(nil, c.comma, cells)), "\r\n")}
	}
	return cells
}

// isOneCell reports whether only the first cell holds something.
func isOneCell(cells []string) bool {
	return len(cells) > 0 && !isBlank(cells[0]) && !slices.ContainsFunc(cells[1:], func(cell string) bool { return !isBlank(cell) })
}

// unmended returns why an earlier import refused a row, if the row is still as it was
// then and nobody has said which text belongs to which column.
func (c *csvRows) unmended(cells []string) []contacts.FieldError {
	if c.errorCode < 0 || c.errorCode >= len(cells) {
		return nil
	}
	why := contacts.FieldError{Code: strings.TrimSpace(cells[c.errorCode])}
	if c.errorField >= 0 && c.errorField < len(cells) {
		why.Field = strings.TrimSpace(cells[c.errorField])
	}
	text := withoutErrors(c.header, cells)
	still := false
	switch rest := why.Field == "" && why.Code == ProblemTooFewFields; {
	case why.Field == "" && why.Code == ProblemEncoding:
		still = strings.Contains(strings.Join(text, ""), lostText)
	case rest, isUnparsed(why):
		still = len(cells) < len(c.columns) || isOneCell(text) && (rest || strings.ContainsAny(text[0], `"`+string(c.comma)))
	}
	if !still {
		return nil
	}
	return unmended(why.Code)
}

// unmended refuses a row again with the code of an earlier import.
func unmended(code string) []contacts.FieldError {
	return problem("", code, "the row is still as it was refused before; mend its cells, delete it if it is the rest of another row, or empty its error_code if it is right")
}

// fill makes the cells of a row a contact.
func (c *csvRows) fill(row *Row) {
	cells := row.Raw
	if row.Problems = c.unmended(cells); row.Problems != nil {
		return
	}
	switch n := len(c.columns); {
	case c.isHeader(cells):
		row.Problems = problem("", contacts.FieldInvalid, "the row has the names of the columns again; delete it")
		return
	case len(cells) > n:
		row.Problems = problem("", ProblemTooManyFields, fmt.Sprintf("the row has %d fields, and the header %d", len(cells), n))
		return
	case c.hasOtherComma(cells):
		row.Problems = problem("", ProblemTooFewFields, "the row is one field, and with another separator it has as many as the header; give it the separator of the file")
		return
	case len(cells) < n && c.broken:
		row.Problems = problem("", ProblemTooFewFields, fmt.Sprintf("the row has %d fields, and the header %d; it may be the rest of a row above that cannot be parsed", len(cells), n))
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
	c.reader.guessed = p.guessed
}

// isHeader reports whether a row is the header again, as in files that were put together.
func (c *csvRows) isHeader(cells []string) bool {
	named := 0
	for i, name := range c.header {
		name = strings.TrimSpace(name)
		if slices.Contains(errorColumns[:], name) {
			continue
		}
		if i >= len(cells) || strings.TrimSpace(strings.TrimPrefix(cells[i], byteOrderMark)) != name {
			return false
		}
		if name != "" {
			named++
		}
	}
	return named > 1 && c.headerLine > 0
}

// hasOtherComma reports whether the only cell of a row is a whole row with another
// separator, as in files that were put together.
func (c *csvRows) hasOtherComma(cells []string) bool {
	n := len(c.columns)
	return len(cells) == 1 && n > 2 && slices.ContainsFunc(commas[:], func(comma rune) bool {
		return comma != c.comma && strings.Count(cells[0], string(comma)) == n-1
	})
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
