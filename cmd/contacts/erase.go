package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"example.com/contacts"
)

type eraseCommand struct {
	Preview erasePreview `cmd:"" help:"Print the receipt that erasing a person would give. Nothing is changed."`
	Person  erasePerson  `cmd:"" help:"Remove a person for good, and print the receipt."`
	Verify  eraseVerify  `cmd:"" help:"Look whether values of a person are still there."`
	List    eraseList    `cmd:"" help:"List the receipts of an account. With --json, it is what erase reapply reads."`
	Reapply eraseReapply `cmd:"" help:"Erase again the people whom a restored backup brought back."`
}

// personFlags name a person, and say how much of it goes.
type personFlags struct {
	accountFlag
	ledgerFlags
	ID         uuid.UUID `name:"id" xor:"person" placeholder:"ID" help:"The id of the contact."`
	Email      string    `xor:"person" placeholder:"ADDRESS" help:"The e-mail address of the contact."`
	Number     string    `xor:"person" placeholder:"NUMBER" help:"A phone number of the contact, with + and country code."`
	ExternalID string    `name:"external-id" xor:"person" placeholder:"X" help:"The external id of the contact."`
	All        bool      `help:"All contacts that have the value. Without it, more than one is an error."`
	Suppress   bool      `help:"Forbid calls to the numbers of the person for good, without keeping the numbers. Give it where the person asked."`
	KeepNotes  bool      `help:"Keep the reasons and references of the do-not-call list, which may name the person."`
	Reason     string    `placeholder:"WORD" help:"The cause, such as request or retention. It stays, so it must not name the person."`
}

// Help is printed after the flags.
func (personFlags) Help() string {
	return "Name the person by one of --id, --email, --number and --external-id."
}

// Validate refuses to erase nobody. The parser calls it.
func (f *personFlags) Validate() error {
	if f.ID == uuid.Nil && f.Email == "" && f.Number == "" && f.ExternalID == "" {
		return errors.New("give --id, --email, --number or --external-id")
	}
	return nil
}

// erase erases the contacts, or previews it.
func (f *personFlags) erase(ctx context.Context, admin *contacts.Admin, preview bool) ([]contacts.Erasure, error) {
	account, err := f.choose(ctx, admin)
	if err != nil {
		return nil, err
	}
	one, many := admin.EraseContact, admin.ErasePerson
	if preview {
		one, many = admin.PreviewErasure, admin.PreviewErasures
	}
	in := contacts.EraseInput{AccountID: account, ContactID: f.ID, Suppress: f.Suppress, KeepNotes: f.KeepNotes, Reason: f.Reason}
	if f.ID == uuid.Nil {
		return many(ctx, contacts.ErasePersonInput{EraseInput: in, Email: f.Email, PhoneNumber: f.Number, ExternalID: f.ExternalID, All: f.All})
	}
	receipt, err := one(ctx, in)
	if receipt == nil {
		return nil, err
	}
	return []contacts.Erasure{*receipt}, err
}

type erasePreview struct{ personFlags }

func (c *erasePreview) Run(ctx context.Context, s *session) error {
	return c.asHost(ctx, s, func(admin *contacts.Admin) error {
		receipts, err := c.erase(ctx, admin, true)
		if err != nil {
			return err
		}
		return s.receipts(receipts)
	})
}

type erasePerson struct {
	personFlags
	confirmation
	Receipt fileName `placeholder:"FILE" help:"A new file for the receipt too, as JSON lines."`
}

// Run erases once it may. Receipts that are there are printed and written, also after an
// error.
func (c *erasePerson) Run(ctx context.Context, s *session) error {
	if err := c.possible(s); err != nil {
		return err
	}
	return c.asHost(ctx, s, func(admin *contacts.Admin) error {
		if !c.Yes {
			preview, err := c.erase(ctx, admin, true)
			if err != nil {
				return err
			}
			if err := c.ask(ctx, s, whatGoes(preview)); err != nil {
				return err
			}
		}
		return withReceipts(c.Receipt, func() ([]contacts.Erasure, error) {
			receipts, err := c.erase(ctx, admin, false)
			if len(receipts) > 0 {
				if failed := s.receipts(receipts); err == nil {
					err = failed
				}
			}
			return receipts, err
		})
	})
}

// whatGoes says what an erasure removes, for the question.
func whatGoes(preview []contacts.Erasure) string {
	var sum contacts.ErasureCounts
	for _, e := range preview {
		sum.Contacts += e.Removed.Contacts
		sum.Numbers += e.Removed.Numbers
		sum.Events += e.Removed.Events
		sum.LedgerEntries += e.Removed.LedgerEntries
	}
	return fmt.Sprintf("These are removed for good: contacts %d, phone numbers %d, changes of events %d, data of do-not-call entries %d.",
		sum.Contacts, sum.Numbers, sum.Events, sum.LedgerEntries)
}

// receipts prints receipts: what went, and what stays.
func (s *session) receipts(receipts []contacts.Erasure) error {
	if err := list(s.out, these(receipts...), receiptColumns...); err != nil || s.JSON {
		return err
	}
	type kept struct {
		contact uuid.UUID
		contacts.ErasureKept
	}
	var stays []kept
	for _, e := range receipts {
		for _, k := range e.Kept {
			stays = append(stays, kept{e.ContactID, k})
		}
	}
	fmt.Fprintln(s.out.w)
	return list(s.out, these(stays...),
		column[kept]{"CONTACT", func(k kept) string { return k.contact.String() }},
		column[kept]{"KEPT", func(k kept) string { return k.What }},
		column[kept]{"COUNT", func(k kept) string { return counted(k.Count) }},
		column[kept]{"WHY", func(k kept) string { return k.Why }},
	)
}

var receiptColumns = []column[contacts.Erasure]{
	{"AT", func(e contacts.Erasure) string { return clock(e.At) }},
	{"CONTACT", func(e contacts.Erasure) string { return e.ContactID.String() }},
	{"ERASURE", func(e contacts.Erasure) string { return idText(e.ID) }},
	{"CONTACTS", func(e contacts.Erasure) string { return strconv.Itoa(e.Removed.Contacts) }},
	{"NUMBERS", func(e contacts.Erasure) string { return strconv.Itoa(e.Removed.Numbers) }},
	{"EVENTS", func(e contacts.Erasure) string { return strconv.Itoa(e.Removed.Events) }},
	{"ENTRIES", func(e contacts.Erasure) string { return strconv.Itoa(e.Removed.LedgerEntries) }},
	{"REASON", func(e contacts.Erasure) string { return e.Reason }},
}

type eraseVerify struct {
	accountFlag
	ledgerFlags
	Email      []string `sep:"none" placeholder:"ADDRESS" help:"An e-mail address of the person. May be given more than once."`
	Number     []string `sep:"none" placeholder:"NUMBER" help:"A phone number of the person, with + and country code. May be given more than once."`
	ExternalID []string `name:"external-id" sep:"none" placeholder:"X" help:"An external id of the person. May be given more than once."`
	Text       []string `sep:"none" placeholder:"T" help:"A text that may be inside others, such as a name. May be given more than once."`
}

// Help is printed after the flags.
func (eraseVerify) Help() string { return "It ends with 5 if a value is still there." }

func (c *eraseVerify) Run(ctx context.Context, s *session) error {
	if len(c.Email)+len(c.Number)+len(c.ExternalID)+len(c.Text) == 0 {
		return usage("give --email, --number, --external-id or --text")
	}
	return c.asHost(ctx, s, func(admin *contacts.Admin) error {
		account, err := c.choose(ctx, admin)
		if err != nil {
			return err
		}
		found, err := admin.VerifyErasure(ctx, account, contacts.ErasureProbe{
			Emails: c.Email, PhoneNumbers: c.Number, ExternalIDs: c.ExternalID, Texts: c.Text,
		})
		if err != nil && found == nil {
			return err
		}
		listed := list(s.out, these(found...),
			column[contacts.ErasureFinding]{"VALUE", func(f contacts.ErasureFinding) string { return f.Value }},
			column[contacts.ErasureFinding]{"CONTACT", func(f contacts.ErasureFinding) string { return idText(f.ContactID) }},
			column[contacts.ErasureFinding]{"FIELD", func(f contacts.ErasureFinding) string { return f.Field }},
			column[contacts.ErasureFinding]{"SEQUENCE", func(f contacts.ErasureFinding) string { return counted(int(f.Sequence)) }},
		)
		if err = errors.Join(err, listed); err == nil && len(found) > 0 {
			return exitError(exitFinding)
		}
		return err
	})
}

type eraseList struct {
	accountFlag
	Since moment `placeholder:"T" help:"Only erasures of this time or later: a date, or a time of RFC 3339."`
}

func (c *eraseList) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		account, err := c.choose(ctx, admin)
		if err != nil {
			return err
		}
		return list(s.out, admin.Erasures(ctx, account, c.Since.Time), receiptColumns...)
	})
}

// counted returns a number for people; "" for 0, which is none.
func counted(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// idText returns an id for people; "" for the zero id, which is none.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
