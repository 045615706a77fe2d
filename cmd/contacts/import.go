package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

// errImportInterrupted is of both imports.
var errImportInterrupted = errors.New("the import was interrupted")

type importCommand struct {
	keyFlags
	upsertFlags
	Files      []string          `arg:"" name:"file" help:"The files, one after the other; - is standard input."`
	Format     string            `enum:",csv,jsonl,vcard" default:"" placeholder:"FORMAT" help:"csv, jsonl or vcard. Default: as the first bytes say."`
	Comma      string            `placeholder:"C" help:"What separates the fields of CSV. Default: as the first lines say."`
	Encoding   string            `placeholder:"NAME" help:"The encoding, such as windows-1252. Default: as the first bytes say."`
	NoHeader   bool              `help:"The first line of CSV is a contact. Columns have numbers, from 1."`
	Map        map[string]string `mapsep:"none" placeholder:"HEADER=FIELD" help:"What a column becomes, such as Mobile=phone_number_2. Nothing after the = ignores it. May be given more than once."`
	Region     region            `placeholder:"US" help:"The region of national phone numbers."`
	UID        bool              `name:"uid" help:"The UID of a vCard becomes the external id."`
	Default    map[string]string `mapsep:"none" placeholder:"FIELD=VALUE" help:"What a contact has if its row lacks it. May be given more than once."`
	Tag        []string          `sep:"none" placeholder:"TAG" help:"A tag for every contact. May be given more than once."`
	Job        string            `placeholder:"NAME" help:"Names the import: the same rows with another name are other contacts."`
	Checkpoint fileName          `placeholder:"FILE" help:"Where the import goes on if it is cut off. It is read if it is there, and removed at the end. For one file."`
	Refused    fileName          `placeholder:"FILE" help:"A new file for the rows that are refused, with the reasons. For one file. A run that is killed leaves them in .contacts-* beside it."`
	Report     fileName          `placeholder:"FILE" help:"A new file with what became of each row, as JSON lines. For one file."`
	StopAfter  int               `placeholder:"N" help:"Stop when this many rows are refused."`
	Preview    bool              `help:"Print what the file is taken for, with ten rows. Store nothing."`
	DryRun     bool              `help:"Say what the import would do, row by row with --report. Store nothing."`
}

// upsertFlags say how rows change the contacts that they match.
type upsertFlags struct {
	Upsert         bool                `help:"Change the contact that a row matches. Default: as the policy of the account says."`
	MatchOn        keyKinds            `placeholder:"KIND" help:"By which keys a row matches: external_id, email, phone_number. With --upsert."`
	Mode           contacts.UpsertMode `enum:",fill,overwrite" default:"" placeholder:"MODE" help:"fill (the default) or overwrite. With --upsert."`
	TagsMode       contacts.TagsMode   `enum:",add,replace" default:"" placeholder:"MODE" help:"add (the default) or, with --mode=overwrite, replace. With --upsert."`
	UpdateOnly     bool                `help:"Refuse rows that match no contact. With --upsert."`
	RestoreDeleted bool                `help:"Restore a deleted contact that a row matches, if no other does. With --upsert."`
}

// upsert returns the options of an upsert; nil for an import that creates.
func (f *upsertFlags) upsert() (*contacts.UpsertContactInput, error) {
	if !f.Upsert {
		if f.MatchOn != nil || f.Mode != "" || f.TagsMode != "" || f.UpdateOnly || f.RestoreDeleted {
			return nil, usage("--match-on, --mode, --tags-mode, --update-only and --restore-deleted need --upsert")
		}
		return nil, nil
	}
	if f.TagsMode == contacts.TagsReplace && f.Mode != contacts.UpsertOverwrite {
		return nil, usage("--tags-mode %s needs --mode %s", contacts.TagsReplace, contacts.UpsertOverwrite)
	}
	return &contacts.UpsertContactInput{
		MatchOn: f.MatchOn, Mode: f.Mode, TagsMode: f.TagsMode, UpdateOnly: f.UpdateOnly, RestoreDeleted: f.RestoreDeleted,
	}, nil
}

// check says what is wrong with the flags.
func (c *importCommand) check() error {
	switch {
	case len(c.Files) > 1 && (c.Refused != "" || c.Report != "" || c.Checkpoint != ""):
		return usage("--refused, --report and --checkpoint are for one file at a time")
	case c.Refused != "" && filepath.Clean(string(c.Refused)) == filepath.Clean(string(c.Report)):
		return usage("--refused and --report are the same file")
	case c.Comma != "" && utf8.RuneCountInString(c.Comma) != 1:
		return usage("--comma is %q: give one character", c.Comma)
	case c.KeyFile == "-" && slices.Contains(c.Files, "-"):
		return usage("standard input cannot be the file and the API key")
	case len(c.Files) > 1 && slices.Contains(c.Files[slices.Index(c.Files, "-")+1:], "-"):
		return usage("standard input is given twice, and can be read once")
	case c.Checkpoint != "" && c.Files[0] == "-":
		return usage("--checkpoint needs a file: standard input cannot be read again")
	case c.Checkpoint != "" && c.DryRun:
		return usage("a dry run has no checkpoint, because it stores nothing")
	default:
		return nil
	}
}

// Run imports the files. It ends with 3 if rows were refused.
func (c *importCommand) Run(ctx context.Context, s *session) error {
	if err := c.check(); err != nil {
		return err
	}
	defaults, err := c.defaults()
	if err != nil {
		return err
	}
	upsert, err := c.upsert()
	if err != nil {
		return err
	}
	if c.Preview {
		for _, name := range c.Files {
			if err := c.preview(ctx, s, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	refused := 0
	// A policy may make a create a change.
	need := []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}
	err = c.act(ctx, s, need, func(svc *contacts.Service, key string) error {
		if c.DryRun {
			svc = svc.DryRun()
		}
		for _, name := range c.Files {
			summary, err := c.importFile(ctx, s, svc, key, name, &contactsio.ImportOptions{
				Job: c.Job, Upsert: upsert, Defaults: defaults, Tags: c.Tag, StopAfter: c.StopAfter,
			})
			if summary != nil {
				refused += summary.Refused
				err = errors.Join(err, s.print(name, summary))
			}
			if interrupted(ctx, err) {
				err = errImportInterrupted
			}
			switch {
			case err != nil && summary == nil: // nothing began
				return fmt.Errorf("%s: %w", name, err)
			case err != nil:
				return advisedError{err, name, c.advice(summary)}
			case summary.Next != nil:
				s.warn("%s: stopped, because %d rows were refused\n  %s", name, summary.Refused, c.advice(summary))
			}
		}
		return nil
	})
	if err == nil && refused > 0 {
		if c.Refused != "" {
			s.say("the refused rows are in %s", c.Refused)
		} else {
			s.say("to get the refused rows with the reasons, import the file again with --refused FILE")
		}
		return exitError(exitRefused)
	}
	return err
}

// advice says how to go on with a file.
func (c *importCommand) advice(summary *contactsio.Summary) string {
	if c.DryRun {
		return "nothing was stored"
	}
	again := "import the file again to go on"
	if c.Refused != "" || c.Report != "" {
		again += ", with new names for --refused and --report"
	}
	if c.Checkpoint != "" && summary != nil && summary.Next != nil {
		return fmt.Sprintf("%s: %s has that the next line is %d", again, c.Checkpoint, summary.Next.Line)
	}
	return again + ": what is stored is not stored twice within a day"
}

// defaults returns what rows may lack, from FIELD=VALUE.
func (c *importCommand) defaults() (in contacts.CreateContactInput, err error) {
	values := make(map[string]any, len(c.Default))
	for field, value := range c.Default {
		values[field] = value
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && field == "team_id" {
			values[field] = n
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return in, err
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	err = d.Decode(&in)
	if other, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if other.Field == "team_id" {
			return in, usage("--default: team_id is %q: give the number of a team", c.Default["team_id"])
		}
		return in, usage("--default: the value of %s is no text, and cannot be given here", other.Field)
	}
	if err != nil {
		return in, usage("--default: %w", err)
	}
	return in, nil
}

// read opens a file at a position. Its size is 0 where it is not known.
func (c *importCommand) read(ctx context.Context, s *session, name string, from contactsio.Position) (*contactsio.Reader, io.Closer, int64, error) {
	file, size, err := s.open(ctx, name)
	if err != nil {
		return nil, nil, 0, err
	}
	opts := &contactsio.ReadOptions{
		Format: contactsio.Format(c.Format), Encoding: c.Encoding, NoHeader: c.NoHeader, Map: c.Map, Region: string(c.Region), UID: c.UID, Size: size, From: from,
	}
	for _, comma := range c.Comma {
		opts.Comma = comma
	}
	reader, err := contactsio.NewReader(file, opts)
	if err != nil {
		return nil, nil, 0, errors.Join(err, file.Close())
	}
	return reader, file, size, nil
}

func (c *importCommand) preview(ctx context.Context, s *session, name string) error {
	const rows = 10
	reader, file, _, err := c.read(ctx, s, name, contactsio.Position{})
	if err != nil {
		return err
	}
	defer file.Close()
	preview, err := reader.Preview(rows)
	if err != nil {
		return err
	}
	if s.JSON {
		comma := "" // a character, where the library has a number
		if preview.Comma != 0 {
			comma = string(preview.Comma)
		}
		return s.out.object(struct {
			File string `json:"file"`
			*contactsio.Preview
			Comma string `json:"comma,omitempty"`
		}{name, preview, comma})
	}
	if preview.Source != "" {
		fmt.Fprintf(s.out.w, "source %s, ", preview.Source)
	}
	fmt.Fprintf(s.out.w, "format %s, encoding %s\n", preview.Format, preview.Encoding)
	for _, note := range preview.Notes {
		fmt.Fprintf(s.out.w, "%s: %s\n", note.Code, note.Message)
	}
	if preview.Columns != nil { // a card has none
		if err := list(s.out, these(preview.Columns...),
			column[contactsio.Column]{"COLUMN", func(c contactsio.Column) string { return c.Name }},
			column[contactsio.Column]{"FIELD", func(c contactsio.Column) string { return c.Field }},
			column[contactsio.Column]{"FILLED", func(c contactsio.Column) string { return fmt.Sprintf("%.0f %%", 100*c.Filled) }},
		); err != nil {
			return err
		}
	}
	return list(s.out, these(preview.Rows...),
		column[contactsio.Row]{"ROW", func(r contactsio.Row) string { return strconv.Itoa(r.Number) }},
		column[contactsio.Row]{"FIRST NAME", func(r contactsio.Row) string { return r.Contact.FirstName }},
		column[contactsio.Row]{"LAST NAME", func(r contactsio.Row) string { return r.Contact.LastName }},
		column[contactsio.Row]{"EMAIL", func(r contactsio.Row) string { return r.Contact.Email }},
		column[contactsio.Row]{"PHONES", func(r contactsio.Row) string { return strconv.Itoa(len(r.Contact.PhoneNumbers)) }},
	)
}

// importFile imports one file. Its files for refused rows and the report appear at the
// end, whatever ends it, except before the first row.
func (c *importCommand) importFile(ctx context.Context, s *session, svc *contacts.Service, key, name string, opts *contactsio.ImportOptions) (summary *contactsio.Summary, err error) {
	var from contactsio.Position
	if c.Checkpoint != "" {
		var last *checkpoint
		if last, from, err = openCheckpoint(string(c.Checkpoint)); err != nil {
			return nil, err
		}
		if n := from.Summary.Refused; n > 0 {
			s.say("%s: %d rows were refused before line %d; if that run had --refused, they are in its file, or in .contacts-* beside it if it was killed", name, n, from.Line)
		}
		opts.Checkpoint = last.save
		defer func() { err = errors.Join(err, last.end(summary)) }()
	}
	reader, file, size, err := c.read(ctx, s, name, from)
	if interrupted(ctx, err) && from.Fingerprint != "" { // it is where the last one ended
		at := from.Summary
		at.Next = &from
		return &at, err
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	err = withFiles(func(files ...io.Writer) (keep bool, err error) {
		opts.Refused, opts.Report = files[0], files[1]
		bar, move := s.fileProgress(size)
		defer bar.Close()
		opts.Progress = move
		summary, err = contactsio.Import(ctx, svc, key, reader, opts)
		return err == nil || summary != nil && summary.Rows > from.Summary.Rows, err
	}, c.Refused, c.Report)
	return summary, err
}

// print prints what became of the rows of a file.
func (s *session) print(name string, summary *contactsio.Summary) error {
	if s.JSON {
		next := 0
		if summary.Next != nil {
			next = summary.Next.Line
		}
		return s.out.object(struct {
			File string `json:"file"`
			*contactsio.Summary
			NextLine int `json:"next_line,omitempty"` // that was not imported; 0: all were
		}{name, summary, next})
	}
	if summary.Ignored != nil {
		s.say("%s: ignored %s", name, printable(strings.Join(summary.Ignored, ", ")))
	}
	type result = contactsio.Summary
	number := func(of func(*result) int) func(*result) string {
		return func(r *result) string { return strconv.Itoa(of(r)) }
	}
	return list(s.out, these(summary),
		column[*result]{"ROWS", number(func(r *result) int { return r.Rows })},
		column[*result]{"CREATED", number(func(r *result) int { return r.Created })},
		column[*result]{"UPDATED", number(func(r *result) int { return r.Updated + r.Restored })},
		column[*result]{"UNCHANGED", number(func(r *result) int { return r.Unchanged })},
		column[*result]{"EXISTING", number(func(r *result) int { return r.Existing })},
		column[*result]{"REPLAYED", number(func(r *result) int { return r.Replayed })},
		column[*result]{"REFUSED", number(func(r *result) int { return r.Refused })},
		column[*result]{"NOT STORED", number(func(r *result) int { return r.NotStored })},
		column[*result]{"FILE", func(*result) string { return name }},
		column[*result]{"WHY", func(r *result) string { return codes(r.ByCode) }},
	)
}
