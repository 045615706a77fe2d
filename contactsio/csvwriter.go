package contactsio

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/contacts"
)

// A csvWriter writes a row for each contact.
type csvWriter struct {
	columns []csvColumn
	cells   []string
	raw     bool
	mark    bool
}

// A csvColumn says what a column has of a contact.
type csvColumn struct {
	name string
	cell func(*contacts.Contact) (string, error)
}

// defaultPhoneColumns is how many phone numbers have columns of their own.
const defaultPhoneColumns = 3

func newCSVWriter(o *ExportOptions) (*csvWriter, error) {
	phones := o.PhoneColumns
	switch {
	case phones == 0:
		phones = defaultPhoneColumns
	case phones < 0 || phones > maxNumbers:
		return nil, wrongOption("ExportOptions.PhoneColumns is %d; give 1 to %d, or 0 for %d", phones, maxNumbers, defaultPhoneColumns)
	}
	columns := csvColumns(phones)
	if o.Columns != nil {
		var err error
		if columns, err = chooseColumns(columns, o.Columns); err != nil {
			return nil, err
		}
	}
	return &csvWriter{columns: columns, cells: make([]string, len(columns)), raw: o.Raw, mark: o.BOM}, nil
}

// chooseColumns returns the columns of those names, in their order.
func chooseColumns(all []csvColumn, names []string) ([]csvColumn, error) {
	known := make([]string, len(all))
	for i := range all {
		known[i] = all[i].name
	}
	if len(names) == 0 {
		return nil, wrongOption("ExportOptions.Columns is empty; give some of %s", strings.Join(known, ", "))
	}
	chosen := make([]csvColumn, len(names))
	for i, name := range names {
		place := slices.Index(known, name)
		if place < 0 {
			return nil, wrongOption("ExportOptions.Columns has %q; give some of %s", name, strings.Join(known, ", "))
		}
		chosen[i] = all[place]
	}
	return chosen, nil
}

// csvColumns are all columns, in their order.
func csvColumns(phones int) []csvColumn {
	text := func(name string, cell func(*contacts.Contact) string) csvColumn {
		return csvColumn{name, func(c *contacts.Contact) (string, error) { return cell(c), nil }}
	}
	moment := func(name string, at func(*contacts.Contact) time.Time) csvColumn {
		return text(name, func(c *contacts.Contact) string { return timeCell(at(c)) })
	}
	columns := []csvColumn{
		text("id", func(c *contacts.Contact) string { return c.ID.String() }),
		text("external_id", func(c *contacts.Contact) string { return c.ExternalID }),
		text("first_name", func(c *contacts.Contact) string { return c.FirstName }),
		text("last_name", func(c *contacts.Contact) string { return c.LastName }),
		text("email", func(c *contacts.Contact) string { return c.Email }),
		text("company", func(c *contacts.Contact) string { return c.Company }),
		text("website", func(c *contacts.Contact) string { return c.Website }),
		text("address", func(c *contacts.Contact) string { return c.Address }),
		text("city", func(c *contacts.Contact) string { return c.City }),
		text("state", func(c *contacts.Contact) string { return c.State }),
		text("zip_code", func(c *contacts.Contact) string { return c.ZipCode }),
		text("country", func(c *contacts.Contact) string { return c.Country }),
		text("status", func(c *contacts.Contact) string { return c.Status }),
		text("stage", func(c *contacts.Contact) string { return c.Stage }),
		text("team_id", func(c *contacts.Contact) string {
			if c.TeamID == 0 {
				return ""
			}
			return strconv.FormatInt(c.TeamID, 10)
		}),
		text("tags", func(c *contacts.Contact) string { return joinTags(c.Tags) }),
	}
	for n := range phones {
		columns = append(columns, phoneCells(n)...)
	}
	return append(columns,
		csvColumn{"more_phone_numbers", func(c *contacts.Contact) (string, error) {
			if len(c.PhoneNumbers) <= phones {
				return "", nil
			}
			more := make([]contacts.PhoneNumberInput, 0, len(c.PhoneNumbers)-phones)
			for _, p := range c.PhoneNumbers[phones:] {
				more = append(more, contacts.PhoneNumberInput{PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary, DoNotCall: p.DoNotCall})
			}
			return jsonCell(more)
		}},
		csvColumn{"custom_context", func(c *contacts.Contact) (string, error) { return contextCell(c.CustomContext) }},
		csvColumn{"industry_context", func(c *contacts.Contact) (string, error) { return contextCell(c.IndustryContext) }},
		moment("created_at", func(c *contacts.Contact) time.Time { return c.CreatedAt }),
		moment("updated_at", func(c *contacts.Contact) time.Time { return c.UpdatedAt }),
		text("version", func(c *contacts.Contact) string { return strconv.FormatInt(c.Version, 10) }),
	)
}

// phoneCells are the columns of one phone number, from 0.
func phoneCells(n int) []csvColumn {
	column := func(name string, cell func(*contacts.PhoneNumber) string) csvColumn {
		return csvColumn{withNumber(name, n), func(c *contacts.Contact) (string, error) {
			if n >= len(c.PhoneNumbers) {
				return "", nil
			}
			return cell(&c.PhoneNumbers[n]), nil
		}}
	}
	return []csvColumn{
		column("phone_number", func(p *contacts.PhoneNumber) string { return p.PhoneNumber }),
		column("phone_type", func(p *contacts.PhoneNumber) string { return p.PhoneType }),
		column("primary", func(p *contacts.PhoneNumber) string { return strconv.FormatBool(p.Primary) }),
		column("do_not_call", func(p *contacts.PhoneNumber) string { return strconv.FormatBool(p.DoNotCall) }),
		column("dnc_date", func(p *contacts.PhoneNumber) string { return timeCell(p.DoNotCallDate) }),
		column("dnc_reason", func(p *contacts.PhoneNumber) string { return p.DoNotCallReason }),
	}
}

// timeCell writes a time. One that is not set has no text.
func timeCell(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// contextCell writes a context. One that is absent has no text.
func contextCell(context map[string]any) (string, error) {
	if context == nil {
		return "", nil
	}
	return jsonCell(context)
}

func jsonCell(v any) (string, error) {
	text, err := appendJSON(nil, v)
	return strings.TrimSuffix(string(text), "\n"), err
}

func (w *csvWriter) begin(text []byte) []byte {
	if w.mark {
		text = append(text, byteOrderMark...)
	}
	for i := range w.columns {
		w.cells[i] = w.columns[i].name
	}
	return appendCSV(text, ',', w.cells)
}

func (w *csvWriter) contact(text []byte, c *contacts.Contact) ([]byte, error) {
	for i := range w.columns {
		cell, err := w.columns[i].cell(c)
		if err != nil {
			return text, err
		}
		if !w.raw {
			cell = withFormulaMark(cell)
		}
		w.cells[i] = cell
	}
	return appendCSV(text, ',', w.cells), nil
}

// needsQuotes reports whether a cell holds what ends a cell.
func needsQuotes(cell string, comma rune) bool {
	for _, c := range cell {
		if c == '"' || c == '\r' || c == '\n' || c == comma {
			return true
		}
	}
	return false
}

// appendCSV appends one row by RFC 4180. Package encoding/csv would change line
// breaks inside a cell.
func appendCSV(text []byte, comma rune, cells []string) []byte {
	for i, cell := range cells {
		if i > 0 {
			text = utf8.AppendRune(text, comma)
		}
		if !needsQuotes(cell, comma) && (cell != "" || len(cells) > 1) {
			text = append(text, cell...)
			continue
		}
		text = append(text, '"')
		text = append(text, strings.ReplaceAll(cell, `"`, `""`)...)
		text = append(text, '"')
	}
	return append(text, '\r', '\n')
}
