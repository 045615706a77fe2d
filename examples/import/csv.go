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
	err     error // why it is no contact; nil if it is one
}

// A rowReader reads the rows of a file one at a time, however long it is.
type rowReader struct {
	bounded *boundedReader
	csv     *csv.Reader
	columns []column
	err     error // what ended all before the end of the file
}

// newRowReader reads the first line, and refuses a file whose columns are not
// known.
func newRowReader(in io.Reader, comma rune) (*rowReader, error) {
	r := &rowReader{bounded: &boundedReader{from: in, left: mostRowBytes}}
	text := bufio.NewReader(r.bounded)
	switch mark, _ := text.Peek(3); { // a shorter file has none
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")): // as spreadsheets begin UTF-8
		_, _ = text.Discard(3)
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return nil, errors.New("the file is in UTF-16; save it as CSV in UTF-8")
	}
	r.csv = csv.NewReader(text)
	r.csv.Comma = comma
	r.csv.ReuseRecord = true // what is kept of it are strings
	names, err := r.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; its first line must name the columns")
	}
	if err != nil {
		return nil, behind(0, err)
	}
	r.columns, err = columnsOf(names)
	return r, err
}

// rows reads the file to its end, or to what r.err says then.
func (r *rowReader) rows() iter.Seq[row] {
	return func(yield func(row) bool) {
		for line := 1; ; {
			r.bounded.left = mostRowBytes
			values, err := r.csv.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			misfit := errors.Is(err, csv.ErrFieldCount)
			if err != nil && !misfit {
				r.err = behind(line, err)
				return
			}
			line, _ = r.csv.FieldPos(0)
			if !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
				continue // spreadsheets put such rows below their tables
			}
			next := row{line: line}
			if misfit {
				next.err = fmt.Errorf("must have %d fields like the first line, and has %d", len(r.columns), len(values))
			} else {
				next.contact, next.err = contactOf(r.columns, values)
			}
			if !yield(next) {
				return
			}
		}
	}
}

// behind says where reading failed.
func behind(line int, err error) error {
	if _, ok := errors.AsType[*csv.ParseError](err); ok || line == 0 {
		return err // it names the line itself, or there is none yet
	}
	return fmt.Errorf("behind line %d: %w", line, err)
}

// contactOf returns the contact in the values of a row. Whether it is valid is
// for the service to say.
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
		return c, &contacts.Error{Code: contacts.CodeValidationError, Message: "the row is no contact", Details: wrong}
	}
	// Where there is no number, its type and the like are about nothing.
	c.PhoneNumbers = slices.DeleteFunc(c.PhoneNumbers, func(p contacts.PhoneNumberInput) bool {
		return strings.TrimSpace(p.PhoneNumber) == ""
	})
	return c, nil
}

// mostRowBytes is how long a row may be. The longest valid one has two contexts
// of 64 KiB.
const mostRowBytes = 1 << 20

// A boundedReader keeps a quote that is never closed from reading the rest of
// the file into memory.
type boundedReader struct {
	from io.Reader
	left int // of the bytes that may be read before the next row
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, fmt.Errorf("a row of over %d bytes; is there a quote that is not closed?", mostRowBytes)
	}
	n, err := r.from.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
