package contactsio

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
	"unicode/utf8"

	"example.com/contacts"
)

// A Format is a format of a file of contacts.
type Format string

// The formats.
const (
	FormatAuto      Format = "" // found out by the first bytes of the file
	FormatCSV       Format = "csv"
	FormatJSONLines Format = "jsonl" // one JSON object on each line
	FormatVCard     Format = "vcard" // 2.1, 3.0 and 4.0
)

// ReadOptions say how a file is read. nil and the zero value find everything out.
type ReadOptions struct {
	Format Format

	// Comma separates the fields of a CSV file. 0: a first line "sep=;" says it, or
	// the header of a file of refused rows. Otherwise it is found: of comma, semicolon,
	// tab and |, it is the one that gives most of the first lines the same number of
	// fields.
	Comma rune

	// Encoding is a name of the WHATWG list, such as "windows-1252". "": a byte
	// order mark says it. Without one, the first 64 KiB do: UTF-8, UTF-16 or
	// windows-1252. JSON Lines are never taken for windows-1252.
	Encoding string

	// NoHeader says that the first line of a CSV file is a contact. Map then names
	// the columns by number, from "1". A file of refused rows has a header all the
	// same, with these numbers.
	NoHeader bool

	// Map says which field a column becomes, over what is found out: a documented
	// field of the create, external_id, full_name, phone_number, phone_type,
	// primary and do_not_call, the same with _2 to _50, more_phone_numbers,
	// custom_context, industry_context, custom_context.NAME and
	// industry_context.NAME. "" ignores the column.
	Map map[string]string

	// Region is the region of the national phone numbers in the file, such as
	// "US". "": each number needs its + and country code.
	Region string

	UID    bool  // of a vCard becomes the external id
	MaxRow int   // bytes of a row; 0: 1 MiB
	Size   int64 // of the file in bytes, for [Progress]; 0: not known

	// From goes on where an earlier import of the same file stopped. A file with
	// another beginning is an error, and one in which the place is inside a line,
	// because a row above it has changed. The zero value starts at the beginning.
	From Position
}

// ErrOption is matched by the errors of options that are wrong, whatever a file holds.
// Nothing was stored or written then. What is wrong in ImportOptions.Upsert or Defaults
// is found by the Service, and refuses each row.
var ErrOption = errors.New("contactsio: an option is wrong")

// An optionError is an ErrOption with its own text.
type optionError string

func wrongOption(format string, args ...any) error {
	return optionError("contactsio: " + fmt.Sprintf(format, args...))
}

// Error implements error.
func (e optionError) Error() string { return string(e) }

// Is reports whether the target is ErrOption.
func (e optionError) Is(target error) bool { return target == ErrOption }

// defaultMaxRow holds a row with two contexts of 64 KiB many times.
const defaultMaxRow = 1 << 20

// maxPreview is how many rows a preview may have.
const maxPreview = 1000

// A Reader reads the rows of a file, one at a time. It is for one goroutine. See
// [NewReader].
type Reader struct {
	opts        ReadOptions
	text        *textReader
	format      Format
	fingerprint string
	rows        rowReader
	csv         *csvRows // nil: the file is no CSV

	number  int       // of the last row
	blank   int       // rows and groups that hold nothing
	ignored nameSet   // columns and properties
	at      Position  // after the last row that was returned
	queue   []readRow // of a preview, or read in vain: to be read again
	failed  error     // after the queue

	guessed bool // the first name of the last row is made of something else
}

// A rowReader reads the next row of a format, without its number. At the end of
// the file it returns io.EOF.
type rowReader interface{ next() (Row, error) }

// A Row is one contact of a file.
type Row struct {
	Number int   `json:"number"` // from 1, without header, titles and blank rows
	Line   int   `json:"line"`   // where the row starts, from 1
	Offset int64 `json:"offset"` // of that line, in bytes; of a file in another encoding, the bytes that it has in UTF-8

	Contact  contacts.CreateContactInput `json:"contact"`            // may still be refused by a Service
	Problems []contacts.FieldError       `json:"problems,omitempty"` // why the row is refused, see [ProblemCSV]; nil: it is a contact
	Notes    []Note                      `json:"notes,omitempty"`    // what was not taken as it was
	Raw      []string                    `json:"raw,omitempty"`      // the cells of a CSV file, else the line or the card
}

// A Note says what was not taken as it was.
type Note struct {
	Field   string `json:"field"`
	Code    string `json:"code"` // one of the Note constants
	Message string `json:"message"`
}

// The codes of a [Note].
const (
	NoteDerivedName    = "derived_name"     // the first name, or the last name, comes from another field
	NoteNamePart       = "name_part"        // a prefix or suffix of the name was left out
	NoteOtherEmail     = "other_email"      // one more e-mail address went to custom_context.other_emails
	NoteOtherAddress   = "other_address"    // one more postal address was left out
	NoteOtherWebsite   = "other_website"    // one more web site went to custom_context.other_websites
	NoteExtension      = "extension"        // of a phone number; it went to custom_context.phone_extensions
	NotePadded         = "padded"           // the row had fewer fields than the header
	NoteRepeatedNumber = "repeated_number"  // a phone number was there before
	NoteEmailOptOut    = "email_opt_out"    // it went to custom_context.email_opt_out
	NoteKeptDoNotCall  = "kept_do_not_call" // a number stays on the do-not-call list, though the file does not say so
	NoteDefaultCountry = "default_country"  // the file has no column for the country
	NoteMayRepeat      = "may_repeat"       // the import goes on after [contacts.Options.IdempotencyRetention], so rows may be stored twice
)

// The codes of problems of files. Other problems of a [Row] have the Field constants
// [contacts.FieldInvalid], [contacts.FieldTooLong], [contacts.FieldTooMany],
// [contacts.FieldUnknown] and [contacts.FieldWrongType]. An import may refuse a row with
// each of the Field constants, and with the [contacts.Code] that a create or an upsert
// ends with.
const (
	ProblemCSV           = "csv"             // the row cannot be parsed
	ProblemJSON          = "json"            // the line is no JSON object
	ProblemVCard         = "vcard"           // the card has no END:VCARD
	ProblemEncoding      = "encoding"        // the row has bytes that are invalid in the encoding
	ProblemTooManyFields = "too_many_fields" // the row has more than the header
	ProblemTooFewFields  = "too_few_fields"  // the row may be the rest of one that could not be parsed, or has another separator
	ProblemDigitsLost    = "digits_lost"     // a phone number, or an external id, has become a number with an exponent
)

func problem(field, code, message string) []contacts.FieldError {
	return []contacts.FieldError{{Field: field, Code: code, Message: message}}
}

// A Position is a place between two rows of a file, where an import can go on. It
// has a JSON form, for a file or a table of the host. It holds no personal data.
type Position struct {
	Job         string    `json:"job,omitempty"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the first 64 KiB of text; "": the beginning of any file
	Format      Format    `json:"format"`
	Encoding    string    `json:"encoding"`
	Comma       rune      `json:"comma,omitempty"`
	HeaderLine  int       `json:"header_line,omitempty"` // 0: none
	Line        int       `json:"line"`                  // of the next row
	Row         int       `json:"row"`                   // rows before it
	Offset      int64     `json:"offset"`                // of the next row
	Broken      bool      `json:"broken,omitempty"`      // a row above could not be parsed, so a short row may be its rest
	At          time.Time `json:"at"`
	Summary     Summary   `json:"summary"` // of the rows before it
}

// A Preview says what a file is taken for.
type Preview struct {
	Source     string   `json:"source,omitempty"` // whose columns they are: "contacts", "google", "google (before 2024)", "outlook", "hubspot", "salesforce", "mailchimp"; "": any
	Format     Format   `json:"format"`
	Encoding   string   `json:"encoding"`
	Comma      rune     `json:"comma,omitempty"`       // 0: the file is no CSV
	HeaderLine int      `json:"header_line,omitempty"` // 0: there is none
	Columns    []Column `json:"columns,omitempty"`
	Notes      []Note   `json:"notes,omitempty"` // about the file as a whole
	Rows       []Row    `json:"rows,omitempty"`
}

// A Column is one column of a CSV file.
type Column struct {
	Name   string  `json:"name"`   // without one, its place, such as "(column 3)"
	Field  string  `json:"field"`  // "": ignored
	Filled float64 `json:"filled"` // the part of the rows of the preview that has a value, from 0 to 1
}

// NewReader finds out what a file is, and reads its header. A nil opts finds
// everything out. An error says what to do. From an [io.Seeker] what was imported
// before is not read again; from others it is read over.
func NewReader(r io.Reader, opts *ReadOptions) (*Reader, error) {
	if opts == nil {
		opts = new(ReadOptions)
	}
	reader := &Reader{opts: *opts}
	o := &reader.opts
	o.MaxRow = cmp.Or(o.MaxRow, defaultMaxRow)
	if o.MaxRow < 0 {
		return nil, wrongOption("ReadOptions.MaxRow is %d; give the bytes that a row may have, or 0 for %d", o.MaxRow, defaultMaxRow)
	}
	if o.Region != "" {
		if err := checkRegion("ReadOptions", o.Region); err != nil {
			return nil, err
		}
	}
	if from := &o.From; from.Fingerprint != "" {
		o.Format, o.Encoding, o.Comma = cmp.Or(o.Format, from.Format), cmp.Or(o.Encoding, from.Encoding), cmp.Or(o.Comma, from.Comma)
	}
	if err := reader.open(r); err != nil {
		return nil, err
	}
	if err := reader.goOn(r); err != nil {
		return nil, err
	}
	reader.at = reader.position()
	return reader, nil
}

// open reads the head of the file.
func (r *Reader) open(file io.Reader) (err error) {
	if r.text, err = newTextReader(file, "ReadOptions", r.opts.Encoding, r.opts.Format, r.opts.MaxRow); err != nil {
		return err
	}
	head, err := r.text.head()
	if err != nil {
		return err
	}
	r.fingerprint = fingerprint(head)
	if r.format = r.opts.Format; r.format == FormatAuto {
		r.format = formatOf(head)
	}
	switch r.format {
	case FormatCSV:
		r.csv, err = newCSVRows(r, head)
		r.rows = r.csv
	case FormatJSONLines:
		r.rows = &jsonRows{reader: r}
	case FormatVCard:
		r.rows, err = newCardRows(r, head)
	default:
		err = wrongOption("ReadOptions.Format is %q; give %q, %q or %q, or \"\" to find it out", r.format, FormatCSV, FormatJSONLines, FormatVCard)
	}
	return err
}

// formatOf tells the format by the first bytes of the text.
func formatOf(head []byte) Format {
	head = bytes.TrimLeft(head, " \t\r\n")
	const begin = "BEGIN:VCARD"
	switch {
	case len(head) >= len(begin) && bytes.EqualFold(head[:len(begin)], []byte(begin)):
		return FormatVCard
	case len(head) > 0 && head[0] == '{':
		return FormatJSONLines
	default:
		return FormatCSV
	}
}

// goOn skips what an earlier import has done.
func (r *Reader) goOn(file io.Reader) error {
	from := &r.opts.From
	if from.Fingerprint == "" {
		return nil
	}
	if from.Fingerprint != r.fingerprint || from.Offset < r.text.offset {
		return errors.New("contactsio: the file is not the one of ReadOptions.From; give that only with the file that it belongs to")
	}
	r.number, r.blank = from.Row, from.Summary.Blank
	r.ignored.add(from.Summary.Ignored...)
	if r.csv != nil {
		r.csv.broken = from.Broken
	}
	// The text of a file in UTF-8 is the file.
	if seeker, ok := file.(io.Seeker); ok && !r.text.decoded && !r.text.returns {
		before := max(from.Offset-1, r.text.offset) // what is there is looked at
		if there, err := seekWithin(seeker, before-r.text.file.n); err != nil {
			return err
		} else if there {
			r.text.file.n, r.text.offset = before, before
			r.text.text.Reset(r.text.file)
		}
	}
	return r.text.skip(from.Offset, from.Line)
}

// seekWithin moves n bytes on, which must be in the file. It reports false, and moves
// nowhere, where the file cannot do that.
func seekWithin(file io.Seeker, n int64) (bool, error) {
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return false, nil //nolint:nilerr // a pipe, whose type has Seek all the same
	}
	end, err := file.Seek(0, io.SeekEnd)
	if err == nil && end < at+n {
		return false, errShorter
	}
	if err == nil {
		at += n
	}
	if _, failed := file.Seek(at, io.SeekStart); failed != nil {
		return false, failed
	}
	return err == nil, nil
}

// errShorter: the file has become shorter since the import.
var errShorter = errors.New("contactsio: the file ends before the place where the import is to go on")

// errMoved: its text before the place has become longer or shorter.
var errMoved = errors.New("contactsio: the file has changed, and the place where the import is to go on is inside a line; " +
	"import the whole file without ReadOptions.From: what was stored within a day is not stored twice")

// A readRow is a row with the place after it.
type readRow struct {
	Row
	after Position
	seen  seen

	guessed bool // the first name is made of something else
}

// A seen says what was seen of a file by some row.
type seen struct {
	bytes   int64
	ignored []string // columns and properties
}

// seen returns what was seen so far.
func (r *Reader) seen() seen { return seen{r.text.file.n, r.ignored.names} }

// Preview reads up to n rows, at most 1,000, and says what the file is taken for.
// [Reader.Rows] then starts with the first of them all the same.
func (r *Reader) Preview(n int) (*Preview, error) {
	n = max(0, min(n, maxPreview))
	for len(r.queue) < n && r.failed == nil {
		row, err := r.read()
		if err != nil {
			r.failed = err
			break
		}
		r.queue = append(r.queue, row)
	}
	if r.failed != nil && !errors.Is(r.failed, io.EOF) {
		return nil, r.failed
	}
	p := &Preview{Format: r.format, Encoding: r.text.encoding}
	for _, row := range r.queue[:min(n, len(r.queue))] {
		p.Rows = append(p.Rows, row.Row)
	}
	if r.csv != nil {
		r.csv.describe(p)
	}
	return p, nil
}

// Rows yields all rows, once. An error, of the file or of reading it, is the last
// thing that it yields. A row with Problems is no error.
func (r *Reader) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			row, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(row.Row, err) || err != nil {
				return
			}
		}
	}
}

// next returns the next row, or one of a preview.
func (r *Reader) next() (row readRow, err error) {
	switch {
	case len(r.queue) > 0:
		row, r.queue = r.queue[0], r.queue[1:]
	case r.failed != nil:
		return row, r.failed
	default:
		if row, err = r.read(); err != nil {
			r.failed = err
			return row, err
		}
	}
	r.at = row.after
	return row, nil
}

// giveBack has rows read again that were read in vain, from that place on.
func (r *Reader) giveBack(rows []inputRow, at Position) {
	var queue []readRow
	for i := range rows {
		if rows[i].err == nil {
			queue = append(queue, rows[i].readRow)
		}
	}
	r.queue, r.at = append(queue, r.queue...), at
}

// read reads the next row of the file.
func (r *Reader) read() (readRow, error) {
	r.guessed = false
	row, err := r.rows.next()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("contactsio: after line %d: %w", r.text.number-1, err)
		}
		return readRow{}, err
	}
	r.number++
	row.Number = r.number
	return readRow{row, r.position(), r.seen(), r.guessed}, nil
}

// position returns the place before the next row, without its summary.
func (r *Reader) position() Position {
	p := Position{
		Fingerprint: r.fingerprint, Format: r.format, Encoding: r.text.encoding,
		Line: r.text.number, Row: r.number, Offset: r.text.offset,
	}
	p.Summary.Blank = r.blank
	if r.csv != nil {
		p.Comma, p.HeaderLine, p.Broken = r.csv.comma, r.csv.headerLine, r.csv.broken
	}
	return p
}

// A nameSet is a set of names, in the order in which they came. It keeps the start of
// a long name.
type nameSet struct {
	names []string
	has   map[string]bool
}

// maxIgnored bounds what a hostile file can name.
const maxIgnored = 1000

func (s *nameSet) add(names ...string) {
	for _, name := range names {
		name = shorten(name)
		if s.has[name] || len(s.names) == maxIgnored {
			continue
		}
		if s.has == nil {
			s.has = make(map[string]bool)
		}
		s.has[name] = true
		s.names = append(s.names, name)
	}
}

// shorten returns the start of a text of the file, for a message. Of that it returns
// the same.
func shorten(s string) string {
	const maxBytes = 100
	if len(s) <= maxBytes {
		return s
	}
	n := maxBytes
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
