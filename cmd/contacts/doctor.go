package main

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"example.com/contacts"
)

type doctorCommand struct {
	ledgerFlags
	Deep           bool `help:"Look at every index of a SQLite file too, which takes longer."`
	RebuildLookups bool `help:"First add the entries that the look-ups miss, and remove those that they should not have."`
}

// A checker is a store that can look for what is wrong with it.
type checker interface {
	Check(ctx context.Context, deep bool) iter.Seq2[contacts.Finding, error]
	RebuildLookups(ctx context.Context) error
}

// Run prints what is wrong with the store, and ends with 5 if there is anything.
func (c *doctorCommand) Run(ctx context.Context, s *session) error {
	address, err := s.DB.resolve("--db")
	if err != nil {
		return err
	}
	secrets, err := c.secrets()
	if err != nil {
		return err
	}
	inspected, err := address.inspect(ctx)
	if err != nil {
		return err
	}
	n := 0
	report := func(f contacts.Finding) error {
		n++
		return s.report(f)
	}
	for _, f := range inspected.findings {
		if err := report(f); err != nil {
			return err
		}
	}
	if inspected.schema != inspected.newest { // to open it would migrate it, or fails
		s.say("the store was not opened, so what is stored was not checked")
		return exitError(exitFinding)
	}
	err = address.use(ctx, func(store contacts.Store) error {
		checked, ok := store.(checker)
		if !ok {
			return errors.New("this store cannot be checked")
		}
		svc, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: secrets})
		if err != nil {
			return err
		}
		if c.RebuildLookups {
			if err := checked.RebuildLookups(ctx); err != nil {
				return err
			}
		}
		hasSecrets := svc.CheckDoNotCall(ctx) == nil
		for f, err := range checked.Check(ctx, c.Deep) {
			switch {
			case err != nil:
				return err
			case hasSecrets && f.Code == "ledger_secret_missing" && f.Severity == contacts.SeverityNote: // a store does not hold those
			default:
				if err := report(f); err != nil {
					return err
				}
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case n > 0:
		return exitError(exitFinding)
	case !s.Quiet && !s.JSON:
		fmt.Fprintln(s.errors, "nothing was found")
	}
	return nil
}

// report prints a finding: how bad it is, what it is about, what it is, and what to do.
// There may be very many, so they are not gathered for a table.
func (s *session) report(f contacts.Finding) error {
	if s.JSON {
		return s.out.object(f)
	}
	about := ""
	if f.AccountID != uuid.Nil {
		about += "  account " + f.AccountID.String()
	}
	if f.ContactID != uuid.Nil {
		about += "  contact " + f.ContactID.String()
	}
	if f.Sequence != 0 {
		about += fmt.Sprintf("  entry %d", f.Sequence)
	}
	_, err := fmt.Fprintf(s.out.w, "%-7s  %s%s\n         %s\n         %s\n", f.Severity, f.Code, about, f.Message, f.Advice)
	return err
}
