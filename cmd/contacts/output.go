package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"
)

// An output prints the results of a command.
type output struct {
	w    *bufio.Writer
	json bool // one JSON object on a line
}

func newOutput(w io.Writer) *output { return &output{w: bufio.NewWriter(resultWriter{w})} }

// A resultWriter knows the errors of results from others: those that nobody reads from a
// server that has closed its connection.
type resultWriter struct{ io.Writer }

// Write implements [io.Writer].
func (w resultWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		err = errUnread
	}
	if err != nil {
		err = unwrittenError{err}
	}
	return n, err
}

// An unwrittenError says why results could not be written.
type unwrittenError struct{ error }

// Unwrap returns the reason.
func (e unwrittenError) Unwrap() error { return e.error }

// isUnwritten reports whether results could not be written.
func isUnwritten(err error) bool {
	_, ok := errors.AsType[unwrittenError](err)
	return ok
}

func (o *output) flush() error { return o.w.Flush() }

// object prints v as JSON.
func (o *output) object(v any) error {
	e := json.NewEncoder(o.w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printable returns text of a file or a store as a terminal may show it: a control
// character could move the cursor, or hide what comes before it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		default:
			return r
		}
	}, text)
}

// A column is one of a table for people.
type column[T any] struct {
	name string
	text func(T) string
}

// list prints records: a table for people, objects for programs.
func list[T any](o *output, records iter.Seq2[T, error], columns ...column[T]) error {
	table := tabwriter.NewWriter(&trimmed{w: o.w}, 0, 0, 2, ' ', 0)
	line := func(text func(column[T]) string) {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = printable(text(c))
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if !o.json {
		line(func(c column[T]) string { return c.name })
	}
	printed := 0
	for record, err := range records {
		switch {
		case err != nil && printed == 0: // a table of nothing says less than the error
			return err
		case err != nil:
			return errors.Join(err, table.Flush())
		}
		printed++
		if o.json {
			if err := o.object(record); err != nil {
				return err
			}
			continue
		}
		line(func(c column[T]) string { return c.text(record) })
	}
	return table.Flush()
}

// A trimmed writer leaves out the blanks at the end of lines.
type trimmed struct {
	w      *bufio.Writer
	blanks int // that are not written yet
}

// Write implements [io.Writer].
func (t *trimmed) Write(p []byte) (int, error) {
	for _, c := range p {
		switch c {
		case ' ':
			t.blanks++
			continue
		case '\n':
			t.blanks = 0
		}
		for ; t.blanks > 0; t.blanks-- {
			_ = t.w.WriteByte(' ') // its next error is the same
		}
		if err := t.w.WriteByte(c); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// these yields records that are there already.
func these[T any](records ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// clock returns a time for people; "" for the zero time.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
