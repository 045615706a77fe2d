package contactsio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"time"

	"example.com/contacts"
)

// ImportOptions say what an import does with the rows. nil and the zero value create
// a contact for each row.
type ImportOptions struct {
	// Job names the import. It is a part of the idempotency keys: the same rows with
	// another Job are other contacts. Events have the source "import:" and the Job. "":
	// rows are the same by their content alone, and events have no source.
	Job string

	// Upsert changes the contact that a row matches, with its MatchOn, Mode, TagsMode,
	// UpdateOnly and RestoreDeleted. Its other fields are ignored. With UpsertOverwrite
	// a row without a name is refused: its company, e-mail address or phone number would
	// overwrite a name. nil: each row is created, and the account's duplicate policy
	// decides what a match means.
	Upsert *contacts.UpsertContactInput

	// Defaults are for what a row lacks. With UpsertOverwrite they overwrite too. Their
	// IdempotencyKey is ignored.
	Defaults contacts.CreateContactInput
	// Tags are added to those of every row.
	Tags []string

	// Refused gets the refused rows as they were, to be mended and imported again:
	// a CSV file with the reasons in the columns error_line, error_field, error_code
	// and error_message, JSON lines, or vCards with a property X-CONTACTS-ERROR each. It
	// is UTF-8, whatever the encoding of the file. U+FFFD, or in JSON lines the byte
	// FF, is there for what could not be decoded. It holds personal data. nil: none.
	//
	// The text of a CSV row that could not be parsed, or may be the rest of such a row,
	// is one cell there. Such a row, and one with text that could not be decoded, is
	// refused again until it is mended or its error_code is empty. A card of which a
	// part is missing or could not be decoded has no END:VCARD there, and is refused
	// again until it gets one. Text of a card with a charset of its own may be without
	// it there, as UTF-8.
	Refused io.Writer
	// Report gets a JSON object on a line for each row: what became of it, the id of its
	// contact, its changes, problems and notes. It holds personal data. nil: none.
	Report io.Writer

	// Progress is called after each thousand rows and at the end. nil: never.
	Progress func(Progress)
	// Checkpoint is called after each thousand rows that are stored or refused. An
	// import that is cut off can go on at the last Position, with ReadOptions.From.
	// An error ends the import. A dry run does not call it. nil: never.
	Checkpoint func(Position) error

	// StopAfter ends the import after this number of refused rows. What was read by
	// then, up to a thousand rows more, is finished. 0: never.
	StopAfter int
}

// A Progress says how far an import is.
type Progress struct {
	Rows    int
	Offset  int64    // bytes of the file that were read
	Size    int64    // of the file; 0: not known
	Summary *Summary // so far; it must not be changed
}

// stepRows is after how many rows an import says how far it is.
const stepRows = 1000

// Import stores the rows of a file as contacts, in their order, on behalf of an API
// key. It needs the permission of a create, or of an upsert. It reads the next
// thousand rows, in a goroutine of its own, while it stores a thousand.
//
// With svc.DryRun() nothing is stored and Checkpoint is not called. The counts, the
// report and the refused rows are those of the import, if nothing else happens in
// between. Where a row matches one that is more than a thousand rows above, an upsert
// counts it as Updated, also if it would change nothing.
//
// A refused row is no error and stops nothing; the summary counts it by its code.
// Each row has an idempotency key that depends on its content and on
// ImportOptions.Job, not on its place. So the same file, whole or mended, can be
// imported again: rows that were stored are Replayed, within
// [contacts.Options.IdempotencyRetention]. Equal rows of a file are one contact.
//
// A server error, an error of the key such as CodeInvalidKey, an error of Checkpoint, of
// a writer or of the file ends the import, and it is returned. When ctx is done, reading ends, what the Service was
// given is finished, and the error is that of ctx. Each time, and after StopAfter, the
// summary is returned too, and its Next says where to go on: after an error of
// ImportOptions.Refused, before the rows that may be missing there. With an [ErrOption]
// there is no summary. Import waits for the Read of the file that is under way.
func Import(ctx context.Context, svc *contacts.Service, key string, r *Reader, opts *ImportOptions) (*Summary, error) {
	if opts == nil {
		opts = new(ImportOptions)
	}
	from := r.opts.From
	if from.Fingerprint != "" && from.Job != opts.Job {
		return nil, wrongOption("ImportOptions.Job is %q, and ReadOptions.From is of the job %q; give the same job", opts.Job, from.Job)
	}
	if opts.StopAfter < 0 {
		return nil, wrongOption("ImportOptions.StopAfter is %d; give a number of refused rows, or 0 for any number", opts.StopAfter)
	}
	i := &importing{reader: r, opts: opts, summary: from.Summary.clone(), next: r.at, seen: r.seen(), dry: svc.IsDryRun(), hash: sha256.New()}
	if opts.Upsert != nil {
		i.upsert = *opts.Upsert
		i.upsert.CreateContactInput = contacts.CreateContactInput{}
	} else if from.Fingerprint != "" && time.Since(from.At) > svc.IdempotencyRetention() {
		i.summary.addNote(NoteMayRepeat)
	}
	i.refused, i.report = newRefusedFile(r, opts.Refused), newReport(opts.Report)
	i.written = i.position()
	err := i.run(ctx, svc, key)
	return i.end(err)
}

// An importing is an import on its way.
type importing struct {
	reader  *Reader
	opts    *ImportOptions
	upsert  contacts.UpsertContactInput // without a contact
	dry     bool
	refused *refusedFile
	report  *report
	hash    hash.Hash // of each key, one after the other

	given  []readRow // to the stream, since all before had a result
	taken  int       // how many of them have a result
	doomed int       // of the others, that are refused already
	read   bool      // the file was read to its end

	summary Summary
	next    Position // after the rows that have a result
	written Position // after the rows whose refused ones were written for certain
	seen    seen     // by then
	before  *Summary // of the rows before the first one that met a server error, where next stays; nil: none did
	fault   error    // why reading ended before the end of the file
}

// run gives the rows to a stream and takes the results. ctx ends only the source:
// every row that the source gave is stored and counted.
func (i *importing) run(ctx context.Context, svc *contacts.Service, key string) error {
	whole := context.WithoutCancel(ctx)
	if i.opts.Job != "" {
		whole = contacts.WithEventSource(whole, "import:"+i.opts.Job)
	}
	for result, err := range i.results(whole, svc, key, i.source(ctx)) {
		if err != nil {
			return err
		}
		i.take(&result)
	}
	return nil
}

// results creates or upserts the contacts of the source.
func (i *importing) results(ctx context.Context, svc *contacts.Service, key string, source iter.Seq[contacts.CreateContactInput]) iter.Seq2[contacts.CreateResult, error] {
	if i.opts.Upsert == nil {
		return svc.CreateContactStream(ctx, key, source)
	}
	upserts := func(yield func(contacts.UpsertContactInput) bool) {
		for in := range source {
			u := i.upsert
			u.CreateContactInput = in
			if !yield(u) {
				return
			}
		}
	}
	return func(yield func(contacts.CreateResult, error) bool) {
		for result, err := range svc.UpsertContactStream(ctx, key, upserts) {
			if !yield(contacts.CreateResult(result), err) {
				return
			}
		}
	}
}

// source yields the inputs of the rows. A row that is refused already goes through
// the stream as a contact without a name, which the Service refuses. So results come
// in the order of the file, and no more than a thousand rows ever wait. Rows that were
// read and not yielded go back to the reader.
func (i *importing) source(ctx context.Context) iter.Seq[contacts.CreateContactInput] {
	return func(yield func(contacts.CreateContactInput) bool) {
		at := i.reader.at
		var chunk []inputRow
		chunks, stop := ahead(i.rows(ctx)) // nobody else uses the reader until stop returns
		defer func() { i.reader.giveBack(append(chunk, stop()...), at) }()
		for chunk = range chunks {
			for len(chunk) > 0 {
				if refused := i.summary.Refused - i.reader.opts.From.Summary.Refused + i.doomed; i.opts.StopAfter > 0 && refused >= i.opts.StopAfter {
					return
				}
				row := chunk[0]
				switch i.fail(ctx.Err()); {
				case i.fault != nil:
					return
				case errors.Is(row.err, io.EOF):
					i.read = true
					return
				case row.err != nil:
					i.fault = row.err
					return
				case row.Problems != nil:
					i.doomed++
				}
				i.given = append(i.given, row.readRow)
				chunk, at = chunk[1:], row.after
				if !yield(row.input) {
					return
				}
			}
		}
	}
}

// An inputRow is a row with its input, or the error that reading ended with.
type inputRow struct {
	readRow
	input contacts.CreateContactInput // of a row without problems
	err   error
}

// guessOverwrites is why an upsert refuses a row whose name is guessed.
const guessOverwrites = "the row has no name, and what would be taken for it would overwrite the name of a contact; give it one, or import it with the mode fill"

// rows yields the rows of the file, and at last the error that reading ended with.
func (i *importing) rows(ctx context.Context) iter.Seq[inputRow] {
	return func(yield func(inputRow) bool) {
		for ended := false; !ended; {
			var row inputRow
			if row.err = ctx.Err(); row.err == nil {
				row.readRow, row.err = i.reader.next()
			}
			if row.guessed && i.upsert.Mode == contacts.UpsertOverwrite && row.Problems == nil {
				row.Problems = problem("first_name", contacts.FieldRequired, guessOverwrites)
			}
			if ended = row.err != nil; !ended && row.Problems == nil {
				row.input = i.input(row.Contact)
			}
			if !yield(row) {
				return
			}
		}
	}
}

// input completes the input of a row.
func (i *importing) input(in contacts.CreateContactInput) contacts.CreateContactInput {
	d := &i.opts.Defaults
	for _, f := range [...]struct{ given, fallback *string }{
		{&in.FirstName, &d.FirstName}, {&in.LastName, &d.LastName}, {&in.Email, &d.Email}, {&in.Company, &d.Company},
		{&in.Website, &d.Website}, {&in.Address, &d.Address}, {&in.City, &d.City}, {&in.State, &d.State}, {&in.ZipCode, &d.ZipCode},
		{&in.Country, &d.Country}, {&in.Status, &d.Status}, {&in.Stage, &d.Stage}, {&in.ExternalID, &d.ExternalID},
	} {
		if isBlank(*f.given) {
			*f.given = *f.fallback
		}
	}
	if in.TeamID == 0 {
		in.TeamID = d.TeamID
	}
	if in.Tags == nil {
		in.Tags = d.Tags
	}
	if in.PhoneNumbers == nil {
		in.PhoneNumbers = d.PhoneNumbers
	}
	if in.CustomContext == nil {
		in.CustomContext = d.CustomContext
	}
	if in.IndustryContext == nil {
		in.IndustryContext = d.IndustryContext
	}
	if len(i.opts.Tags) > 0 {
		in.Tags = append(in.Tags[:len(in.Tags):len(in.Tags)], i.opts.Tags...)
	}
	in.IdempotencyKey = i.key(&in)
	return in
}

// key returns a key that depends on the content of the row, the job and the options of
// an upsert alone. "": the input has no JSON form, and the Service refuses it.
func (i *importing) key(in *contacts.CreateContactInput) string {
	of := struct {
		Job    string                       `json:"job"`
		Input  *contacts.CreateContactInput `json:"input"`
		Upsert *contacts.UpsertContactInput `json:"upsert,omitempty"`
	}{Job: i.opts.Job, Input: in}
	if i.opts.Upsert != nil {
		of.Upsert = &i.upsert
	}
	i.hash.Reset()
	if err := json.NewEncoder(i.hash).Encode(of); err != nil {
		return ""
	}
	var sum [sha256.Size]byte
	return "import " + hex.EncodeToString(i.hash.Sum(sum[:0]))
}

// take counts and reports what became of the first row that waits.
func (i *importing) take(r *contacts.CreateResult) {
	row := i.given[i.taken]
	if i.taken++; i.taken == len(i.given) { // as after each thousand
		clear(i.given)
		i.given, i.taken = i.given[:0], 0
	}
	e := entry{Number: row.Number, Line: row.Line}
	s := &i.summary
	code := contacts.CodeOf(r.Err)
	if row.Problems == nil && code == contacts.CodeServerError && i.before == nil {
		before := s.clone()
		i.before = &before
	}
	s.Rows++
	switch {
	case row.Problems != nil:
		i.doomed--
		e.Result, e.Problems = resultRefused, row.Problems
	case code == contacts.CodeServerError:
		e.Result = resultNotStored
	case r.Err != nil:
		e.Result, e.Problems = resultRefused, problemsOf(r.Err)
		switch code {
		case contacts.CodeDuplicateContact:
			s.Duplicate++
		case contacts.CodeAmbiguousMatch:
			s.Ambiguous++
		}
	default:
		e.Result, e.Changes = string(r.Result), r.Changes
		if r.Replayed {
			e.Result = resultReplayed
		}
		if r.Contact != nil { // a dry run does not have those of earlier thousands
			e.ContactID = r.Contact.ID
			row.Notes = append(row.Notes, keptDoNotCall(row.Contact.PhoneNumbers, r.Contact.PhoneNumbers)...)
		}
	}
	e.Notes = row.Notes
	s.count(&e)
	if e.Result == resultRefused {
		i.fail(i.refused.add(&row.Row, e.Problems))
	}
	i.fail(i.report.add(&e))
	if i.seen = row.seen; i.before == nil {
		i.next = row.after
	}
	if s.Rows%stepRows == 0 {
		i.step()
	}
}

// keptDoNotCall returns a note for each number that is on the do-not-call list though
// the row does not say so.
func keptDoNotCall(given []contacts.PhoneNumberInput, stored []contacts.PhoneNumber) (notes []Note) {
	if !slices.ContainsFunc(stored, func(s contacts.PhoneNumber) bool { return s.DoNotCall }) { // most contacts
		return nil
	}
	for n, p := range given {
		if e164, err := contacts.ParsePhoneNumber(p.PhoneNumber, ""); err == nil {
			p.PhoneNumber = e164
		}
		for _, s := range stored {
			if s.DoNotCall && !p.DoNotCall && s.PhoneNumber == p.PhoneNumber {
				notes = append(notes, Note{fmt.Sprintf("phone_numbers[%d].do_not_call", n), NoteKeptDoNotCall, "the number stays on the do-not-call list"})
			}
		}
	}
	return notes
}

// fail keeps the first fault.
func (i *importing) fail(err error) {
	if err != nil && i.fault == nil {
		i.fault = err
	}
}

// step says how far the import is.
func (i *importing) step() {
	if i.opts.Checkpoint != nil && !i.dry && i.before == nil && i.fault == nil {
		i.fail(i.checkpoint())
	}
	summary := i.sum(i.next.Summary.Blank)
	i.progress(&summary)
}

// checkpoint gives away a place to go on at. What was written of the rows before it is
// no longer in memory alone then.
func (i *importing) checkpoint() error {
	if err := errors.Join(i.refused.flush(), i.report.flush()); err != nil {
		return err
	}
	i.written = i.position()
	if err := i.opts.Checkpoint(i.written); err != nil {
		return fmt.Errorf("contactsio: checkpoint: %w", err)
	}
	return nil
}

func (i *importing) progress(summary *Summary) {
	if i.opts.Progress != nil {
		i.opts.Progress(Progress{Rows: summary.Rows, Offset: i.seen.bytes, Size: i.reader.opts.Size, Summary: summary})
	}
}

// sum returns the summary so far.
func (i *importing) sum(blank int) Summary {
	s := i.summary.clone()
	s.Blank, s.Ignored = blank, slices.Clone(i.seen.ignored)
	return s
}

// position returns the place after the rows that have a result.
func (i *importing) position() Position {
	p := i.next
	s := i.sum(p.Summary.Blank)
	if i.before != nil {
		blank, ignored := s.Blank, s.Ignored
		s = i.before.clone()
		s.Blank, s.Ignored = blank, ignored
	}
	p.Job, p.At, p.Summary = i.opts.Job, time.Now().UTC(), s
	return p
}

// end returns the summary of the whole import.
func (i *importing) end(err error) (*Summary, error) {
	lost := i.refused.flush() // of the rows after written
	i.fail(lost)
	i.fail(i.report.flush())
	if i.read {
		i.seen = i.reader.seen()
	}
	if err == nil {
		err = i.fault
	}
	s := i.sum(i.reader.blank)
	if !i.read || i.taken < len(i.given) || i.before != nil {
		p := i.position()
		s.Blank, s.Next = p.Summary.Blank, &p
	}
	if lost != nil {
		s.Next = &i.written
	}
	i.progress(&s)
	return &s, err
}
