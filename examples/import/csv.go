package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"example.com/contacts"
)

// A row is one row of a CSV file.
type row struct {
	line    int
	contact contacts.CreateContactInput
	err     error // why the row is refused; nil: it is a contact
}

// A rowReader reads the rows of a file of any length, one at a time.
type rowReader struct {
	bounded *boundedReader
	csv     *csv.Reader
	columns []column
	err     error // why reading stopped before the end of the file
}

// newRowReader reads the first line. It refuses a file with unknown columns.
func newRowReader(in io.Reader, comma rune) (*rowReader, error) {
	r := &rowReader{bounded: &boundedReader{from: in, left: maxRowBytes}}
	text := bufio.NewReader(r.bounded)
	switch mark, _ := text.Peek(3); { // shorter files have no mark
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")): // the byte order mark of spreadsheets
		_, _ = text.Discard(3)
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return nil, errors.New("the file is in UTF-16; save it as CSV in UTF-8")
	}
	r.csv = csv.NewReader(text)
	r.csv.Comma = comma
	r.csv.ReuseRecord = true // the kept strings are not overwritten
	names, err := r.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; its first line must name the columns")
	}
	if err != nil {
		return nil, after(0, err)
	}
	r.columns, err = columnsOf(names)
	return r, err
}

// rows yields the rows up to the end of the file, or up to an error; then r.err is
// set.
func (r *rowReader) rows() iter.Seq[row] {
	return func(yield func(row) bool) {
		for line := 1; ; {
			r.bounded.left = maxRowBytes
			values, err := r.csv.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			misfit := errors.Is(err, csv.ErrFieldCount)
			if err != nil && !misfit {
				r.err = after(line, err)
				return
			}
			line, _ = r.csv.FieldPos(0)
			if !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
				continue // spreadsheets write empty rows below a table
			}
			next := row{line: line}
			if misfit {
				next.err = fmt.Errorf("must have %d fields like the first line, but has %d", len(r.columns), len(values))
			} else {
				next.contact, next.err = contactOf(r.columns, values)
			}
			if !yield(next) {
				return
			}
		}
	}
}

// after adds the line after which reading failed.
func after(line int, err error) error {
	if _, ok := errors.AsType[*csv.ParseError](err); ok || line == 0 {
		return err // the error names the line, or no line was read yet
	}
	return fmt.Errorf("after line %d: %w", line, err)
}

// contactOf returns the contact in a row. The service validates it later.
func contactOf(columns []column, values []string) (contacts.CreateContactInput, error) {
	var c contacts.CreateContactInput
	var wrong []contacts.FieldError
	for i, column := range columns {
		if values[i] == "" {
			continue
		}
		if problem := column.set(&c, values[i]); problem != "" {
			wrong = append(wrong, contacts.FieldError{Field: column.name, Code: contacts.FieldInvalid, Message: problem})
		}
	}
	if wrong != nil {
		return c, &contacts.Error{Code: contacts.CodeValidationError, Message: "the row is not a contact", Details: wrong}
	}
	// Without a number, its type and flags mean nothing.
	c.PhoneNumbers = slices.DeleteFunc(c.PhoneNumbers, func(p contacts.PhoneNumberInput) bool {
		return strings.TrimSpace(p.PhoneNumber) == ""
	})
	return c, nil
}

// maxRowBytes limits the length of a row. The longest valid row has two contexts
// of 64 KiB.
const maxRowBytes = 1 << 20

// A boundedReader limits the memory for a row, so that an unclosed quote does not
// read the rest of the file.
type boundedReader struct {
	from io.Reader
	left int // bytes that may still be read for this row
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, fmt.Errorf("the row is longer than %d bytes; is there an unclosed quote?", maxRowBytes)
	}
	n, err := r.from.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
