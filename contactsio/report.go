package contactsio

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

// An entry is the line of a row in the report.
type entry struct {
	Number    int                    `json:"number"`
	Line      int                    `json:"line"`
	Result    string                 `json:"result"`
	ContactID uuid.UUID              `json:"contact_id,omitzero"`
	Changes   []contacts.FieldChange `json:"changes,omitempty"`
	Problems  []contacts.FieldError  `json:"problems,omitempty"`
	Notes     []Note                 `json:"notes,omitempty"`
}

// A report writes an entry for each row. A nil report writes nothing.
type report struct {
	buffer *bufio.Writer
	json   *json.Encoder
}

func newReport(w io.Writer) *report {
	if w == nil {
		return nil
	}
	r := &report{buffer: bufio.NewWriter(w)}
	r.json = json.NewEncoder(r.buffer)
	r.json.SetEscapeHTML(false)
	return r
}

func (r *report) add(e *entry) error {
	if r == nil {
		return nil
	}
	if err := r.json.Encode(e); err != nil {
		return fmt.Errorf("contactsio: write the report: %w", err)
	}
	return nil
}

func (r *report) flush() error {
	if r == nil {
		return nil
	}
	if err := r.buffer.Flush(); err != nil {
		return fmt.Errorf("contactsio: write the report: %w", err)
	}
	return nil
}

// problemsOf returns what is wrong with a row that a Service refused.
func problemsOf(err error) []contacts.FieldError {
	e, ok := errors.AsType[*contacts.Error](err)
	if !ok {
		return problem("", string(contacts.CodeOf(err)), err.Error())
	}
	if e.Code == contacts.CodeValidationError && len(e.Details) > 0 {
		return slices.Clone(e.Details)
	}
	field := ""
	switch {
	case len(e.Conflicts) > 0:
		field = e.Conflicts[0].Field
	case len(e.Details) > 0:
		field = e.Details[0].Field
	}
	return append(problem(field, string(e.Code), e.Message), e.Details...)
}

// A refusedFile writes refused rows as they were. What could not be decoded must not make
// a file that seems to be windows-1252, and not be text when it is read again: it is
// U+FFFD, by which a row and a card are known, and in JSON an invalid byte. A nil one
// writes nothing.
type refusedFile struct {
	reader *Reader
	buffer *bufio.Writer
	begun  bool
}

func newRefusedFile(r *Reader, w io.Writer) *refusedFile {
	if w == nil {
		return nil
	}
	return &refusedFile{reader: r, buffer: bufio.NewWriter(w)}
}

// errorColumns come before the columns of the file, so that a row with too many
// fields moves none.
var errorColumns = [...]string{"error_line", "error_field", "error_code", "error_message"}

// withoutErrors leaves out the cells of the columns that an earlier import added.
func withoutErrors(header, cells []string) (rest []string) {
	for i, cell := range cells {
		if i >= len(header) || !slices.Contains(errorColumns[:], strings.TrimSpace(header[i])) {
			rest = append(rest, cell)
		}
	}
	return rest
}

// errorProperty is that of a refused card.
const errorProperty = "X-CONTACTS-ERROR"

// errorCells say why a row is refused.
func errorCells(line int, problems []contacts.FieldError) []string {
	messages := make([]string, len(problems))
	for i, p := range problems {
		messages[i] = p.Message
		if p.Field != "" {
			messages[i] = p.Field + ": " + p.Message
		}
	}
	return []string{strconv.Itoa(line), problems[0].Field, problems[0].Code, strings.Join(messages, "; ")}
}

func (f *refusedFile) add(row *Row, problems []contacts.FieldError) error {
	if f == nil {
		return nil
	}
	why := errorCells(row.Line, problems)
	var text []byte
	switch raw := row.Raw[0]; f.reader.format {
	case FormatCSV:
		csv := f.reader.csv
		if !f.begun {
			text = appendCSV(text, csv.comma, append(errorColumns[:], withoutErrors(csv.header, csv.header)...))
		}
		text = appendCSV(text, csv.comma, append(why, csv.refusedCells(row.Raw, problems[0])...))
		text = bytes.ToValidUTF8(text, []byte(lostText))
	case FormatVCard:
		undecoded := problems[0].Code == ProblemEncoding
		if f.reader.text.encoding == windows1252Name { // charsets stand against that, and not against UTF-8
			raw = withoutCharsets(raw)
		} else {
			raw = strings.ToValidUTF8(raw, lostText)
			undecoded = undecoded && strings.Contains(raw, lostText)
		}
		card, whole := strings.TrimRight(raw, "\r\n")+"\r\n", strings.HasSuffix(raw, "\n"+cardEnd)
		if whole {
			card = strings.TrimSuffix(raw, cardEnd)
		}
		whole = whole && !undecoded
		text = fmt.Appendf(text, "%s%s:%s\r\n", card, errorProperty, escapeText(why[2]+": "+why[3]))
		if whole {
			text = append(text, cardEnd...)
		}
	default:
		if f.reader.text.decoded { // else U+FFFD is text
			raw = strings.ReplaceAll(raw, lostText, "\xff")
		}
		text = append(append(text, raw...), '\n')
	}
	f.begun = true
	if _, err := f.buffer.Write(text); err != nil {
		return fmt.Errorf("contactsio: write the refused rows: %w", err)
	}
	return nil
}

func (f *refusedFile) flush() error {
	if f == nil {
		return nil
	}
	if err := f.buffer.Flush(); err != nil {
		return fmt.Errorf("contactsio: write the refused rows: %w", err)
	}
	return nil
}
