package main

import (
	"context"
	"fmt"
	"slices"

	"example.com/contacts"
)

type doNotCallCommand struct {
	Check  doNotCallCheck  `cmd:"" help:"Say whether numbers may be called. It ends with 4 if one must not be."`
	Show   doNotCallShow   `cmd:"" help:"Print what the list says of a number, with its entries."`
	Block  doNotCallBlock  `cmd:"" help:"Record that a number must not be called."`
	Grant  doNotCallGrant  `cmd:"" help:"Record that a person has allowed calls to a number."`
	Import doNotCallImport `cmd:"" help:"Add a list of numbers that must not be called."`
	Export doNotCallExport `cmd:"" help:"Write the numbers that must not be called, as CSV."`
}

// What a key needs.
var (
	mayRead   = []contacts.Permission{contacts.PermissionReadContacts}
	mayWrite  = []contacts.Permission{contacts.PermissionWriteContacts}
	mayManage = []contacts.Permission{contacts.PermissionManageDoNotCall}
)

type doNotCallCheck struct {
	keyFlags
	Numbers []string `arg:"" name:"number" help:"The numbers, with + and country code."`
}

// Help is printed after the flags.
func (doNotCallCheck) Help() string {
	return "It ends with 0 if all may be called, and with 1 if none is forbidden and one could not be judged."
}

// Run ends with 0 only if all numbers may be called.
func (c *doNotCallCheck) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, mayRead, func(svc *contacts.Service, key string) error {
		var statuses []contacts.DoNotCallStatus
		for part := range slices.Chunk(c.Numbers, contacts.MaxDoNotCallBatch) {
			judged, err := svc.CanCallMany(ctx, key, part)
			if err != nil {
				return err
			}
			statuses = append(statuses, judged...)
		}
		if err := s.statuses(statuses...); err != nil {
			return err
		}
		unknown := 0
		for _, status := range statuses {
			switch {
			case status.Err != nil:
				unknown++
			case status.DoNotCall:
				return exitError(exitListed)
			}
		}
		if unknown > 0 {
			return fmt.Errorf("%d of %d numbers could not be judged", unknown, len(statuses))
		}
		return nil
	})
}

type doNotCallShow struct {
	keyFlags
	Number string `arg:"" help:"The number, with + and country code."`
}

func (c *doNotCallShow) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, mayRead, func(svc *contacts.Service, key string) error {
		status, err := svc.DoNotCallStatus(ctx, key, c.Number)
		if err != nil {
			return err
		}
		if err := s.statuses(*status); err != nil || s.JSON || len(status.Entries) == 0 {
			return err
		}
		fmt.Fprintln(s.out.w)
		type entry = contacts.DoNotCallEntry
		return list(s.out, these(status.Entries...),
			column[entry]{"TYPE", func(e entry) string { return string(e.Type) }},
			column[entry]{"AT", func(e entry) string { return clock(e.At) }},
			column[entry]{"EXPIRES", func(e entry) string { return clock(e.ExpiresAt) }},
			column[entry]{"SOURCE", func(e entry) string { return e.Source }},
			column[entry]{"ACTOR", func(e entry) string { return e.Actor.Name }},
			column[entry]{"REFERENCE", func(e entry) string { return e.Reference }},
			column[entry]{"REASON", func(e entry) string { return e.Reason }},
		)
	})
}

// statuses prints a line for each number.
func (s *session) statuses(statuses ...contacts.DoNotCallStatus) error {
	type status = contacts.DoNotCallStatus
	return list(s.out, these(statuses...),
		column[status]{"NUMBER", func(d status) string { return d.PhoneNumber }},
		column[status]{"CALL", verdict},
		column[status]{"SINCE", func(d status) string { return clock(d.Date) }},
		column[status]{"UNTIL", func(d status) string { return clock(d.Until) }},
		column[status]{"FORM", func(d status) string { return d.Form }},
		column[status]{"REASON", func(d status) string {
			if d.Err != nil {
				return failuresOf(d.Err)[0].forPrograms(nil).Message
			}
			return d.Reason
		}},
	)
}

// verdict says whether a number may be called.
func verdict(d contacts.DoNotCallStatus) string {
	switch {
	case d.Err != nil:
		return "unknown" // never "yes"
	case d.DoNotCall:
		return "no"
	default:
		return "yes"
	}
}
