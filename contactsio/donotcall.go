package contactsio

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// DoNotCallImportOptions say how a list of numbers is read. nil and the zero value find
// out what can be found out.
type DoNotCallImportOptions struct {
	// What a row gets that does not say it itself. Give a list its source, its date
	// and an end.
	Source, Reason, Reference string
	At, ExpiresAt             time.Time

	// OverGrants blocks the numbers too whose latest entry is a grant.
	OverGrants bool
	// Grants makes each row a grant. It needs a reason and a reference.
	Grants bool

	Column   string // with the numbers; "": phone_number, phone, number or telephone
	Encoding string // as in [ReadOptions]
	Region   string // of national numbers, as in [ReadOptions]; "": the Service's. With "US", cells of three and seven digits are one number
	Comma    rune   // as in [ReadOptions]

	Refused  io.Writer      // gets the refused rows as CSV, with the reasons; nil: none
	Progress func(Progress) // is called after each thousand rows and at the end, without a Summary; nil: never
}

// A DoNotCallSummary counts what became of the rows of a list:
//
//	Rows = Added + Unchanged + Granted + Refused
type DoNotCallSummary struct {
	Rows      int            `json:"rows"`
	Added     int            `json:"added"`
	Unchanged int            `json:"unchanged"` // would have changed nothing
	Granted   int            `json:"granted"`   // left alone, because of a grant
	Refused   int            `json:"refused"`
	Blank     int            `json:"blank"`             // hold nothing, and are not in Rows
	ByCode    map[string]int `json:"by_code,omitempty"` // refused rows by the code of their first problem, see [ProblemCSV]
}

// ImportDoNotCall adds a list of numbers to those that must not be called, on behalf of
// an API key. It needs what [contacts.Service.BlockCallsStream] needs, or with Grants
// [contacts.Service.GrantCalls]. The list has one number on each line, or it is a CSV
// file with a column for them; the columns reason, reference, at and expires_at are read
// if they are there. A column source is not: a list has one source, that of the options.
// A row with two numbers is refused, unless Column says which one is meant. The same list
// of blocks given twice adds nothing; a grant is one more each time. Where a column type
// says that a row is a grant, only an import with Grants takes it; where it says block,
// only one without. Any other text in that column says nothing.
//
// A refused row is no error. An error of the Service, of the file or of a writer ends
// the import, and the summary of what was recorded is returned with it. Give the whole
// list again then; with Grants, give the rows after the first Added and Refused ones. The
// summary is nil if the import ends before the first row: an option is wrong, or the
// start of the file cannot be read or has no column of numbers.
func ImportDoNotCall(ctx context.Context, svc *contacts.Service, key string, r io.Reader, opts *DoNotCallImportOptions) (*DoNotCallSummary, error) {
	if opts == nil {
		opts = new(DoNotCallImportOptions)
	}
	l := &numberList{opts: opts}
	if err := l.open(r); err != nil {
		return nil, err
	}
	run := l.block
	if opts.Grants {
		run = l.grant
	}
	err := run(ctx, svc, key)
	if l.refused != nil {
		err = errors.Join(err, l.refused.Flush())
	}
	l.progress()
	return &l.summary, cmp.Or(err, l.fault)
}

// A numberList is a list of numbers that is read.
type numberList struct {
	opts    *DoNotCallImportOptions
	records *csvRecords
	refused *bufio.Writer // nil: none
	header  []string      // nil: each line has a number
	summary DoNotCallSummary
	fault   error // why reading ended before the end of the file

	number, kind, reason, reference, at, expiresAt, errorCode int // columns; -1: none

	moreNumbers []int // columns that have numbers, too, and that nobody has chosen among

	given []givenNumber // to the stream, and perhaps not judged yet
	size  int           // bytes of their text
	first int           // numbers of the stream before those
}

// A givenNumber is a row in little memory.
type givenNumber struct {
	line int
	text string // of its cells, as CSV; "": it is not needed
}

// listOptions is what an error calls the options of a list.
const listOptions = "DoNotCallImportOptions"

// maxGiven is how many bytes of the text of rows are held for the file of refused rows.
const maxGiven = 64 << 20

// open finds the columns.
func (l *numberList) open(r io.Reader) error {
	if l.opts.Region != "" {
		if err := checkRegion(listOptions, l.opts.Region); err != nil {
			return err
		}
	}
	text, err := newTextReader(r, listOptions, l.opts.Encoding, FormatCSV, defaultMaxRow)
	if err != nil {
		return err
	}
	head, err := text.head()
	if err != nil {
		return err
	}
	comma, lines, size := separatorOf(head, l.opts.Comma)
	if err := checkComma(listOptions, comma); err != nil {
		return err
	}
	l.records = newCSVRecords(text, comma, &l.summary.Blank)
	if l.opts.Refused != nil {
		l.refused = bufio.NewWriter(l.opts.Refused)
	}
	parser := newParser(bytes.NewReader(head[size:]), comma)
	parser.LazyQuotes = true
	first, err := parser.Read()
	if err != nil {
		return errors.New("contactsio: the list is empty; it must have a number on each line, or a first line that names the columns")
	}
	l.number, l.kind, l.reason, l.reference, l.at, l.expiresAt, l.errorCode = 0, -1, -1, -1, -1, -1, -1
	if number := l.numberColumn(first); number >= 0 {
		lines += linesOf(head[size:][:parser.InputOffset()])
		l.header, l.number = slices.Clone(first), number
		find := func(name string) int {
			return slices.IndexFunc(first, func(cell string) bool { return plain(strings.TrimSpace(cell)) == plain(name) })
		}
		l.kind, l.reason, l.reference, l.at, l.expiresAt = find("type"), find("reason"), find("reference"), find("at"), find("expires_at")
		l.errorCode = find("error_code")
		for i, name := range first {
			if i != number && l.opts.Column == "" && hasNumbers(name) {
				l.moreNumbers = append(l.moreNumbers, i)
			}
		}
	} else if l.opts.Column != "" {
		return fmt.Errorf("contactsio: DoNotCallImportOptions.Column is %q, and the first line of the list is %q; give the name of one of its columns", l.opts.Column, shorten(strings.Join(first, string(comma))))
	} else if !strings.ContainsAny(first[0], "0123456789") {
		return fmt.Errorf("contactsio: the first line of the list is %q, which is no number and names no column of numbers; name it in DoNotCallImportOptions.Column", shorten(strings.Join(first, string(comma))))
	}
	for range lines {
		if _, err := text.next(); err != nil {
			return err
		}
	}
	return nil
}

// numberColumn returns the column with the numbers. -1: the line names none.
func (l *numberList) numberColumn(names []string) int {
	wanted := []string{"phonenumber", "phone", "number", "telephone"}
	if l.opts.Column != "" {
		wanted = []string{plain(l.opts.Column)}
	}
	for _, name := range wanted {
		if i := slices.IndexFunc(names, func(cell string) bool { return plain(strings.TrimSpace(cell)) == name }); i >= 0 {
			return i
		}
	}
	return -1
}

// hasNumbers reports whether a column of that name has phone numbers.
func hasNumbers(name string) bool {
	r, _, _ := roleOf("", strings.TrimSpace(name))
	return r == "phone_number" || r == "phone #" || r.isPhone()
}

// hasMore reports whether a row has one more number than that.
func (l *numberList) hasMore(cells []string, number string) bool {
	more := func(cell string) bool {
		e164, err := contacts.ParsePhoneNumber(repairNumber(strings.TrimSpace(cell)), l.opts.Region)
		return err == nil && e164 != number
	}
	if l.header == nil {
		return !l.isParted(cells) && slices.ContainsFunc(cells[1:], more)
	}
	return slices.ContainsFunc(l.moreNumbers, func(i int) bool { return i < len(cells) && more(cells[i]) })
}

// next reads the next number that is not refused.
func (l *numberList) next(ctx context.Context) (contacts.DoNotCallInput, givenNumber, error) {
	for {
		if err := ctx.Err(); err != nil {
			return contacts.DoNotCallInput{}, givenNumber{}, err
		}
		row, err := l.records.next()
		if err != nil {
			return contacts.DoNotCallInput{}, givenNumber{}, err
		}
		if l.summary.Rows++; l.summary.Rows%stepRows == 0 {
			l.progress()
		}
		var in contacts.DoNotCallInput
		if row.Problems == nil {
			in, row.Problems = l.input(row.Raw)
		}
		given := givenNumber{line: row.Line}
		if l.refused != nil {
			given.text = string(appendCSV(nil, l.records.comma, l.cells(&row)))
		}
		if row.Problems == nil {
			return in, given, nil
		}
		if err := l.refuse(given, row.Problems); err != nil {
			return in, given, err
		}
	}
}

// cells are those of a row in the file of refused rows, where a list without a header
// has one column. A row that is not parsed is one cell.
func (l *numberList) cells(row *Row) []string {
	switch raw := row.Raw; {
	case row.Problems != nil && isUnparsed(row.Problems[0]):
		return raw
	case l.header != nil:
		return withoutErrors(l.header, raw)
	case l.isParted(raw):
		return []string{strings.TrimSpace(raw[0]) + strings.TrimSpace(raw[1])}
	default:
		return []string{strings.Join(raw, string(l.records.comma))}
	}
}

// isParted reports whether the first two cells are one number: an area code and seven
// digits.
func (l *numberList) isParted(cells []string) bool {
	isPart := func(i, digits int) bool {
		part := strings.TrimSpace(cells[i])
		return len(part) == digits && isDigits(part)
	}
	return l.header == nil && l.opts.Region == "US" && len(cells) > 1 && isPart(0, 3) && isPart(1, 7)
}

// input reads a row.
func (l *numberList) input(cells []string) (contacts.DoNotCallInput, []contacts.FieldError) {
	o := l.opts
	in := contacts.DoNotCallInput{Source: o.Source, Reason: o.Reason, Reference: o.Reference, At: o.At, ExpiresAt: o.ExpiresAt}
	if l.header != nil && len(cells) > len(l.header) {
		return in, problem("", ProblemTooManyFields, fmt.Sprintf("the row has %d fields, and the header %d", len(cells), len(l.header)))
	}
	cell := func(column int) string {
		if column < 0 || column >= len(cells) {
			return ""
		}
		return strings.TrimSpace(withoutFormulaMark(cells[column]))
	}
	if code := cell(l.errorCode); code == ProblemEncoding && strings.Contains(strings.Join(cells, ""), lostText) {
		return in, unmended(code)
	}
	switch kind := contacts.DoNotCallType(plain(cell(l.kind))); {
	case kind == contacts.DoNotCallGrant && !o.Grants:
		return in, problem("type", contacts.FieldInvalid, "is grant, and the rows become blocks; import the grants by themselves, with the option Grants")
	case kind == contacts.DoNotCallBlock && o.Grants:
		return in, problem("type", contacts.FieldInvalid, "is block, and the rows become grants; import the blocks by themselves, without the option Grants")
	}
	number := cell(l.number)
	if l.isParted(cells) {
		number += cell(1)
	}
	number = repairNumber(number)
	if lostDigits.MatchString(number) {
		return in, problem("phone_number", ProblemDigitsLost, "is a number with an exponent, which has lost digits; store phone numbers as text")
	}
	e164, err := contacts.ParsePhoneNumber(number, o.Region)
	switch {
	case err == nil:
		number = e164
	case o.Region != "" && number != "" && isNational(number): // the Service may have another region
		return in, problemsOf(err)
	} // else the Service says why not
	if l.hasMore(cells, number) {
		return in, problem("phone_number", contacts.FieldInvalid, "is not the only number of the row; give each number a row, or name the column")
	}
	in.PhoneNumber = number
	in.Reason, in.Reference = cmp.Or(cell(l.reason), in.Reason), cmp.Or(cell(l.reference), in.Reference)
	for _, f := range [...]struct {
		field, text string
		at          *time.Time
	}{{"at", cell(l.at), &in.At}, {"expires_at", cell(l.expiresAt), &in.ExpiresAt}} {
		if f.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, f.text)
		if err != nil {
			at, err = time.Parse(time.DateOnly, f.text)
		}
		if err != nil || at.IsZero() { // which would be the same as none
			return in, problem(f.field, contacts.FieldInvalid, "must be a date such as 2026-11-27, or a time of RFC 3339")
		}
		*f.at = at
	}
	return in, nil
}

// refuse counts and reports a row.
func (l *numberList) refuse(given givenNumber, problems []contacts.FieldError) error {
	if err := l.writeRefused(given, problems); err != nil {
		return err
	}
	l.summary.Refused++
	if l.summary.ByCode == nil {
		l.summary.ByCode = make(map[string]int)
	}
	l.summary.ByCode[problems[0].Code]++
	return nil
}

// writeRefused writes a row to the file of refused rows, if there is one. A list of
// grants goes on after the rows that were counted, so a row is in the file before it
// counts.
func (l *numberList) writeRefused(given givenNumber, problems []contacts.FieldError) error {
	if l.refused == nil {
		return nil
	}
	var text []byte
	if l.summary.Refused == 0 {
		header := []string{"phone_number"}
		if l.header != nil {
			header = withoutErrors(l.header, l.header)
		}
		text = appendCSV(text, l.records.comma, append(errorColumns[:], header...))
	}
	text = appendCSV(text, l.records.comma, errorCells(given.line, problems))
	text = bytes.TrimSuffix(text, []byte("\r\n"))
	text = append(text, string(l.records.comma)+given.text...)
	_, err := l.refused.Write(bytes.ToValidUTF8(text, []byte(lostText)))
	if err == nil && l.opts.Grants {
		err = l.refused.Flush()
	}
	return err
}

func (l *numberList) progress() {
	if l.opts.Progress != nil {
		l.opts.Progress(Progress{Rows: l.summary.Rows, Offset: l.records.text.file.n})
	}
}

// block gives the numbers to streams.
func (l *numberList) block(ctx context.Context, svc *contacts.Service, key string) error {
	for {
		more, err := l.blockPart(ctx, svc, key)
		if err != nil || !more {
			return err
		}
	}
}

// blockPart gives numbers to a stream, and reports whether there may be more. The
// stream sorts up to a million of them at a time, so that the text of as many rows is
// held. It ends where that takes too much memory. A dry run is one stream, because it
// knows the numbers of that stream alone.
func (l *numberList) blockPart(ctx context.Context, svc *contacts.Service, key string) (more bool, err error) {
	source := func(yield func(contacts.DoNotCallInput) bool) {
		for l.size < maxGiven || svc.IsDryRun() {
			in, given, err := l.next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if l.fault = err; err != nil {
				return
			}
			l.given = append(l.given, given)
			l.size += len(given.text)
			if !yield(in) {
				return
			}
		}
		more = true
	}
	l.given, l.size, l.first = l.given[:0], 0, 0
	judged := 0
	for result, err := range svc.BlockCallsStream(ctx, key, source, &contacts.BlockCallsOptions{OverGrants: l.opts.OverGrants}) {
		s := &l.summary
		s.Added, s.Unchanged, s.Granted = s.Added+result.Added, s.Unchanged+result.Unchanged, s.Granted+result.Granted
		for _, e := range result.Errors {
			if err := l.refuse(l.given[e.Index-l.first], problemsOf(e.Err)); err != nil {
				return false, err
			}
		}
		if err != nil {
			return false, err
		}
		judged += result.Added + result.Unchanged + result.Granted + result.Failed
		if judged == l.first+len(l.given) {
			clear(l.given)
			l.given, l.size, l.first = l.given[:0], 0, judged
		}
	}
	return more, nil
}

// grant makes each row a grant.
func (l *numberList) grant(ctx context.Context, svc *contacts.Service, key string) error {
	for {
		in, given, err := l.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = svc.GrantCalls(ctx, key, in)
		switch {
		case err == nil:
			l.summary.Added++
		case contacts.CodeOf(err) != contacts.CodeValidationError:
			return err
		default:
			if err := l.refuse(given, problemsOf(err)); err != nil {
				return err
			}
		}
	}
}

// DoNotCallExportOptions say which entries are exported. nil and the zero value export
// the active blocks.
type DoNotCallExportOptions struct {
	All    bool   // blocks that have ended, and grants, too
	Source string // of the entries; "": any
	Raw    bool   // as in [ExportOptions]
	BOM    bool   // as in [ExportOptions]
}

// ExportDoNotCall writes the numbers that must not be called as CSV, and returns how
// many. It needs what [contacts.Service.DoNotCallEntries] needs. An entry of a person
// that was erased has no number. The file can be imported again; one with All twice,
// because grants are an import of their own. The entries then have the source of that
// import. To keep their sources, export each with Source, and import each by itself.
func ExportDoNotCall(ctx context.Context, svc *contacts.Service, key string, w io.Writer, opts *DoNotCallExportOptions) (int, error) {
	if opts == nil {
		opts = new(DoNotCallExportOptions)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	var text []byte
	if opts.BOM {
		text = append(text, byteOrderMark...)
	}
	text = appendCSV(text, ',', []string{"phone_number", "type", "at", "recorded_at", "expires_at", "source", "reason", "reference", "contact_id", "sequence"})
	n := 0
	for e, err := range svc.DoNotCallEntries(ctx, key, contacts.ListDoNotCallInput{All: opts.All, Source: opts.Source}) {
		if err != nil {
			return n, errors.Join(err, out.Flush())
		}
		contact := ""
		if e.ContactID != uuid.Nil {
			contact = e.ContactID.String()
		}
		cells := []string{
			e.PhoneNumber, string(e.Type), timeCell(e.At), timeCell(e.RecordedAt), timeCell(e.ExpiresAt), e.Source, e.Reason, e.Reference, contact,
			strconv.FormatInt(e.Sequence, 10),
		}
		if !opts.Raw {
			for i := range cells {
				cells[i] = withFormulaMark(cells[i])
			}
		}
		if _, err := out.Write(appendCSV(text, ',', cells)); err != nil {
			return n, err
		}
		text = text[:0]
		n++
	}
	_, err := out.Write(text) // the header, if there is no entry
	return n, errors.Join(err, out.Flush())
}
