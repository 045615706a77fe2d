package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"example.com/contacts"
)

// An importer creates the contacts of a file and reports the refused rows.
type importer struct {
	svc    *contacts.Service
	key    string
	report io.Writer
	bar    *bar
	tally  tally
}

// A tally counts the results.
type tally struct {
	imported, already, refused int
	failed                     int // not stored, for a server error
}

func (t tally) rows() int { return t.imported + t.already + t.refused + t.failed }

func (t tally) String() string {
	rows := "rows"
	if t.rows() == 1 {
		rows = "row"
	}
	s := fmt.Sprintf("%d %s: %d imported, %d already imported, %d refused", t.rows(), rows, t.imported, t.already, t.refused)
	if t.failed > 0 {
		s += fmt.Sprintf(", %d not stored", t.failed)
	}
	return s
}

// maxWaiting limits the rows that wait for their turn in the report.
const maxWaiting = 10_000

// importRows creates a contact for each row. Its error says why it stopped before
// the end of the file. A refused row is not an error.
func (i *importer) importRows(ctx context.Context, r *rowReader) error {
	defer i.bar.clear()
	stopped := false
	var fault error   // the first server error of a row; it ends the stream
	var waiting []row // rows that were read but not reported, without their contacts
	reportFirst := func() {
		for ; len(waiting) > 0 && waiting[0].err != nil; waiting = waiting[1:] {
			i.refuse(waiting[0].line, waiting[0].err)
		}
	}
	source := func(yield func(contacts.CreateContactInput) bool) {
		for row := range r.rows() {
			switch {
			case ctx.Err() != nil:
				stopped = true
				return
			case row.err == nil:
				in := withIdempotencyKey(row.contact)
				row.contact = contacts.CreateContactInput{}
				waiting = append(waiting, row)
				if !yield(in) {
					return
				}
			case len(waiting) < maxWaiting:
				waiting = append(waiting, row)
			default: // almost every row is refused: do not keep them all in memory
				i.refuse(row.line, row.err)
			}
		}
	}
	// ctx ends only the source. Every row that the source gave is stored and counted.
	for result, err := range i.svc.CreateContactStream(context.WithoutCancel(ctx), i.key, source) {
		if err != nil && fault != nil {
			break // the stream ends with the same error
		}
		if err != nil {
			return withCause(err)
		}
		reportFirst()
		line := waiting[0].line
		waiting = waiting[1:]
		switch {
		case contacts.CodeOf(result.Err) == contacts.CodeServerError:
			i.tally.failed++
			if fault == nil {
				fault = fmt.Errorf("line %d: %w", line, withCause(result.Err))
			}
		case result.Err != nil:
			i.refuse(line, result.Err)
		case result.Replayed:
			i.tally.already++
		default:
			i.tally.imported++
		}
		i.bar.show(r.csv.InputOffset(), i.tally.rows())
	}
	reportFirst()
	switch {
	case fault != nil:
		return fault
	case stopped:
		return errors.New("interrupted; the rows read so far are stored, and the same command imports the rest")
	case r.err != nil:
		return fmt.Errorf("%w; the import stops there", r.err)
	default:
		return nil
	}
}

// refuse reports a refused row, with one line for each invalid field.
func (i *importer) refuse(line int, err error) {
	i.tally.refused++
	i.bar.clear() // on a terminal the report takes its place
	e, ok := errors.AsType[*contacts.Error](err)
	switch {
	case !ok:
		fmt.Fprintf(i.report, "line %d: %v\n", line, err)
	case len(e.Details) == 0:
		fmt.Fprintf(i.report, "line %d: %s\n", line, e.Message)
	default:
		for _, d := range e.Details {
			fmt.Fprintf(i.report, "line %d: %s: %s\n", line, d.Field, d.Message)
		}
	}
}

// withCause adds the cause of a server error to its text. The person who runs this
// program may see it.
func withCause(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// withIdempotencyKey gives the contact a key that depends on its content alone. So
// the row has the same key in another line of a corrected or sorted file.
func withIdempotencyKey(c contacts.CreateContactInput) contacts.CreateContactInput {
	text, err := json.Marshal(c)
	if err != nil {
		return c // it has no JSON form, so the service refuses it
	}
	sum := sha256.Sum256(text)
	c.IdempotencyKey = "import " + hex.EncodeToString(sum[:])
	return c
}
