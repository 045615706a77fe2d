package main

import (
	"context"
	"io"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

type exportCommand struct {
	keyFlags
	Output       outName  `short:"o" default:"-" placeholder:"FILE" help:"The new file, which must not exist; - is standard output."`
	Format       string   `enum:"csv,jsonl,vcard3,vcard4" default:"csv" help:"csv, jsonl, vcard3 or vcard4."`
	Stage        string   `placeholder:"STAGE" help:"Only contacts of this stage."`
	Status       string   `placeholder:"STATUS" help:"Only contacts of this status."`
	Tag          string   `placeholder:"TAG" help:"Only contacts with this tag."`
	Team         int64    `placeholder:"ID" help:"Only contacts of this team."`
	Search       string   `placeholder:"TEXT" help:"Only contacts that this search finds."`
	Deleted      bool     `help:"The deleted contacts in place of the others."`
	Columns      []string `placeholder:"A,B" help:"The columns of CSV, in their order. Default: all."`
	PhoneColumns int      `default:"3" help:"How many phone numbers have columns of their own in CSV."`
	Raw          bool     `help:"Write each cell as it is, also what a spreadsheet would run as a formula."`
	BOM          bool     `name:"bom" help:"Write a byte order mark in front of CSV, for spreadsheets."`
	History      bool     `help:"Add the events of each contact to its line. For jsonl."`
}

// options returns what the library is asked for.
func (c *exportCommand) options() *contactsio.ExportOptions {
	o := &contactsio.ExportOptions{
		Format: contactsio.Format(c.Format), Columns: c.Columns, PhoneColumns: c.PhoneColumns, Raw: c.Raw, BOM: c.BOM, History: c.History,
		Filter: contacts.ListContactsInput{Stage: c.Stage, Status: c.Status, Tag: c.Tag, TeamID: c.Team, Search: c.Search, Deleted: c.Deleted},
	}
	switch c.Format {
	case "vcard3":
		o.Format, o.VCardVersion = contactsio.FormatVCard, "3.0"
	case "vcard4":
		o.Format, o.VCardVersion = contactsio.FormatVCard, "4.0"
	}
	return o
}

func (c *exportCommand) Run(ctx context.Context, s *session) error {
	if c.Format != string(contactsio.FormatCSV) && (c.Columns != nil || c.Raw || c.BOM) {
		return usage("--columns, --raw and --bom are for --format csv")
	}
	need := mayRead
	if c.History {
		if c.Format != string(contactsio.FormatJSONLines) {
			return usage("--history is for --format jsonl")
		}
		need = append(need[:1:1], contacts.PermissionReadEvents)
	}
	return c.act(ctx, s, need, func(svc *contacts.Service, key string) error {
		return s.writeFile(c.Output, "contacts", func(w io.Writer) (int, error) {
			bar := s.progress("contacts", -1)
			defer bar.Close()
			opts := c.options()
			opts.Progress = func(n int) { _ = bar.Set(n) } // a bar that cannot be drawn is no reason to stop
			return contactsio.Export(ctx, svc, key, w, opts)
		})
	})
}
