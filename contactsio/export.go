package contactsio

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"

	"github.com/google/uuid"

	"example.com/contacts"
)

// ExportOptions say what is exported, and how. nil and the zero value export all
// contacts that the key may see as CSV.
type ExportOptions struct {
	Format       Format                     // FormatAuto: CSV
	VCardVersion string                     // "3.0" or "4.0"; "": 3.0
	Filter       contacts.ListContactsInput // Limit, Cursor and Page are ignored; Deleted exports the deleted contacts

	// Columns are those of a CSV file, in their order. nil: all; an empty
	// list is an error.
	Columns []string
	// PhoneColumns is how many phone numbers have columns of their own. The others
	// are in the column more_phone_numbers. 0: 3; at most 50.
	PhoneColumns int
	// Raw writes each cell as it is. False: what a spreadsheet would run as a formula
	// gets a ' in front, which [NewReader] takes off again.
	Raw bool
	BOM bool // writes a byte order mark in front of CSV, for spreadsheets

	// History adds the events of each contact to its JSON line, newest first, as the
	// member history: with a Filter, the answer to a person who asks what is known of
	// them. It needs Options.EventsPermission.
	History bool

	Progress func(contacts int) // is called after each thousand contacts and at the end; nil: never
}

// A contactWriter writes contacts in a format.
type contactWriter interface {
	begin(text []byte) []byte
	contact(text []byte, c *contacts.Contact) ([]byte, error)
}

// Export writes the contacts of a list, newest first, and returns how many. It needs
// what [contacts.Service.Contacts] needs. A contact that was there all the time is
// written exactly once, whatever others change meanwhile. A goroutine reads the next page
// of the list while one is written, so memory is that of two pages.
//
// CSV is UTF-8 with CRLF; each contact has a row, and the header does not depend on
// the data. JSON lines are contacts in their JSON form. vCards leave out status, stage,
// team and contexts, and have the types of phone numbers that vCards know. What is
// exported as CSV or JSON lines can be imported again. With Raw, a text that begins with
// '= loses its ' then.
//
// Its errors are those of Contacts and of w, with History those of
// [contacts.Service.History] too, and [ErrOption]. They come with the number so far, of
// which w may lack the last ones. A contact that is damaged is left out; the export goes
// on and returns the error at the end.
func Export(ctx context.Context, svc *contacts.Service, key string, w io.Writer, opts *ExportOptions) (int, error) {
	if opts == nil {
		opts = new(ExportOptions)
	}
	format, err := opts.writer()
	if err != nil {
		return 0, err
	}
	if opts.History {
		if opts.Format != FormatJSONLines {
			return 0, wrongOption("ExportOptions.History is for the format %q alone", FormatJSONLines)
		}
		format = lineWriter{func(id uuid.UUID) ([]contacts.Event, error) {
			events := []contacts.Event{} // none is an empty array
			for event, err := range svc.History(ctx, key, id) {
				if err != nil && contacts.CodeOf(err) != contacts.CodeNotFound { // not found: it was purged meanwhile
					return nil, err
				}
				if err == nil {
					event.Contact = nil // which no line has, and which may be large
					events = append(events, event)
				}
			}
			return events, nil
		}}
	}
	filter := opts.Filter
	filter.Limit, filter.Cursor, filter.Page = 0, "", 0
	out := bufio.NewWriterSize(w, 64<<10)
	text := format.begin(nil)
	n := 0
	var damaged error
	ctx, cancel := context.WithCancel(ctx)
	pages, stop := ahead(listed(svc.Contacts(ctx, key, filter)))
	defer func() { cancel(); stop() }()
	for page := range pages {
		for _, l := range page {
			if _, is := errors.AsType[*contacts.DamagedError](l.err); is {
				damaged = cmp.Or(damaged, l.err)
				continue
			}
			if l.err != nil {
				return n, errors.Join(l.err, out.Flush())
			}
			if text, err = format.contact(text, l.contact); err != nil {
				return n, errors.Join(err, out.Flush())
			}
			if _, err := out.Write(text); err != nil {
				return n, err
			}
			text = text[:0]
			if n++; n%stepRows == 0 && opts.Progress != nil {
				opts.Progress(n)
			}
		}
	}
	_, err = out.Write(text) // the header, if there is no contact
	if err = errors.Join(err, out.Flush()); err != nil {
		return n, err
	}
	if opts.Progress != nil {
		opts.Progress(n)
	}
	return n, damaged
}

// A listedContact is what a walk yields.
type listedContact struct {
	contact *contacts.Contact
	err     error
}

func listed(walk iter.Seq2[*contacts.Contact, error]) iter.Seq[listedContact] {
	return func(yield func(listedContact) bool) {
		for c, err := range walk {
			if !yield(listedContact{c, err}) {
				return
			}
		}
	}
}

// writer returns what writes the format.
func (o *ExportOptions) writer() (contactWriter, error) {
	switch o.Format {
	case FormatAuto, FormatCSV:
		return newCSVWriter(o)
	case FormatJSONLines:
		return lineWriter{}, nil
	case FormatVCard:
		switch version := cmp.Or(o.VCardVersion, "3.0"); version {
		case "3.0", "4.0":
			return cardWriter{version}, nil
		default:
			return nil, wrongOption("ExportOptions.VCardVersion is %q; give \"3.0\" or \"4.0\"", version)
		}
	default:
		return nil, wrongOption("ExportOptions.Format is %q; give %q, %q or %q", o.Format, FormatCSV, FormatJSONLines, FormatVCard)
	}
}

// A lineWriter writes a JSON object on a line for each contact.
type lineWriter struct {
	history func(id uuid.UUID) ([]contacts.Event, error) // nil: lines have no history
}

func (lineWriter) begin(text []byte) []byte { return text }

func (w lineWriter) contact(text []byte, c *contacts.Contact) ([]byte, error) {
	if w.history == nil {
		return appendJSON(text, c)
	}
	events, err := w.history(c.ID)
	if err != nil {
		return text, err
	}
	return appendJSON(text, struct {
		*contacts.Contact
		History []contacts.Event `json:"history"`
	}{c, events})
}

// appendJSON appends a value and a line break.
func appendJSON(text []byte, v any) ([]byte, error) {
	b := bytes.NewBuffer(text)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
