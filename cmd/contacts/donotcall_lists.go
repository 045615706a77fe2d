package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

// listFlags are of lists of numbers.
type listFlags struct {
	Column  string   `placeholder:"NAME" help:"The column of CSV with the numbers. Default: phone_number, phone, number or telephone."`
	Refused fileName `placeholder:"FILE" help:"A new file for the rows that are refused, with the reasons."`
}

type doNotCallImport struct {
	keyFlags
	listFlags
	File       string `arg:"" help:"The list: a number on each line, or CSV with a column for them; - is standard input."`
	Source     string `required:"" placeholder:"S" help:"Where the list comes from, such as list:ftc-2026-11. Its entries get this source, also where a column names another."`
	At         moment `placeholder:"DATE" help:"The date of the list. Default: now."`
	Expires    period `placeholder:"31d" help:"How long the entries hold. Default: until a grant. Without --at, they hold until the end of their last day (UTC): the list given again on a later day is recorded again, with a later end."`
	OverGrants bool   `help:"Forbid calls even to numbers that have a grant."`
	Region     region `placeholder:"US" help:"The region of national phone numbers."`
	DryRun     bool   `help:"Say what the import would do. Store nothing."`
}

func (c *doNotCallImport) Run(ctx context.Context, s *session) error {
	switch {
	case c.File == "-" && c.KeyFile == "-":
		return usage("standard input cannot be the file and the API key")
	case strings.TrimSpace(c.Source) == "": // else it would be that of single calls
		return usage("--source is empty: say where the list comes from, such as list:ftc-2026-11")
	}
	return c.act(ctx, s, mayManage, func(svc *contacts.Service, key string) error {
		if c.DryRun {
			svc = svc.DryRun()
		}
		return s.importNumbers(ctx, svc, key, c.File, c.listFlags, contactsio.DoNotCallImportOptions{
			Source: c.Source, At: c.At.Time, ExpiresAt: c.end(), OverGrants: c.OverGrants, Region: string(c.Region),
		})
	})
}

// end returns when the entries end. Without the date of the list it is the end of a
// day, so that the list given again on the same day adds nothing.
func (c *doNotCallImport) end() time.Time {
	const day = 24 * time.Hour
	end := c.At.after(c.Expires)
	if c.At.IsZero() && !end.IsZero() {
		end = end.Truncate(day).Add(day)
	}
	return end
}

// importNumbers imports a list and prints what became of it. Its file for refused rows
// appears at the end, whatever ends it, except before the first row. It ends with 3 if
// rows were refused.
func (s *session) importNumbers(ctx context.Context, svc *contacts.Service, key, name string, flags listFlags, opts contactsio.DoNotCallImportOptions) error {
	in, size, err := s.open(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	var summary *contactsio.DoNotCallSummary
	err = withFiles(func(files ...io.Writer) (keep bool, err error) {
		opts.Column, opts.Refused = flags.Column, files[0]
		bar, move := s.fileProgress(size)
		defer bar.Close()
		opts.Progress = move
		summary, err = contactsio.ImportDoNotCall(ctx, svc, key, in, &opts)
		return err == nil || summary != nil && summary.Rows > 0, err
	}, flags.Refused)
	if summary != nil {
		err = errors.Join(err, s.numberSummary(name, summary))
	}
	if interrupted(ctx, err) {
		err = errImportInterrupted
	}
	switch {
	case err != nil && summary == nil: // nothing began
		return fmt.Errorf("%s: %w", name, err)
	case err != nil && opts.Grants: // the same grant again is one more
		return advisedError{err, name, fmt.Sprintf("the first %d rows are done: give the rows after them alone", summary.Added+summary.Refused)}
	case err != nil:
		return advisedError{err, name, "give the whole list again: what is recorded is not recorded twice"}
	case summary.Refused == 0:
		return nil
	case flags.Refused != "":
		s.say("the refused rows are in %s", flags.Refused)
	}
	return exitError(exitRefused)
}

// numberSummary prints what became of the rows of a list.
func (s *session) numberSummary(name string, summary *contactsio.DoNotCallSummary) error {
	if s.JSON {
		return s.out.object(struct {
			File string `json:"file"`
			*contactsio.DoNotCallSummary
		}{name, summary})
	}
	type result = *contactsio.DoNotCallSummary
	return list(s.out, these(summary),
		column[result]{"ROWS", func(r result) string { return strconv.Itoa(r.Rows) }},
		column[result]{"ADDED", func(r result) string { return strconv.Itoa(r.Added) }},
		column[result]{"UNCHANGED", func(r result) string { return strconv.Itoa(r.Unchanged) }},
		column[result]{"GRANTED", func(r result) string { return strconv.Itoa(r.Granted) }},
		column[result]{"REFUSED", func(r result) string { return strconv.Itoa(r.Refused) }},
		column[result]{"FILE", func(result) string { return name }},
		column[result]{"WHY", func(r result) string { return codes(r.ByCode) }},
	)
}

// codes says how often which code came: "invalid 2, required 1".
func codes(byCode map[string]int) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		parts = append(parts, fmt.Sprintf("%s %d", code, byCode[code]))
	}
	return strings.Join(parts, ", ")
}

type doNotCallExport struct {
	keyFlags
	Output outName `short:"o" default:"-" placeholder:"FILE" help:"The new file, which must not exist; - is standard output."`
	All    bool    `help:"Every entry, including grants and blocks that have ended."`
	Source string  `placeholder:"S" help:"Only entries of this source."`
}

func (c *doNotCallExport) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, mayManage, func(svc *contacts.Service, key string) error {
		return s.writeFile(c.Output, "entries", func(w io.Writer) (int, error) {
			return contactsio.ExportDoNotCall(ctx, svc, key, w, &contactsio.DoNotCallExportOptions{All: c.All, Source: c.Source})
		})
	})
}
