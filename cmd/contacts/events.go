package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

type eventsCommand struct {
	Tail eventsTail `cmd:"" help:"Print the events of an account, and wait for more. SIGINT and SIGTERM end it."`
	Show eventsShow `cmd:"" help:"Print the events of a contact, the newest first."`
}

type eventsTail struct {
	accountFlag
	After *int64 `placeholder:"N" help:"Begin after this sequence; 0 begins with the oldest event. Default: with the next one."`
}

// Run prints each event as soon as it is there.
func (c *eventsTail) Run(ctx context.Context, s *session) error {
	return untilSignal(ctx, s.asHost(ctx, func(admin *contacts.Admin) error {
		account, err := c.choose(ctx, admin)
		if err != nil {
			return err
		}
		var after int64
		if c.After != nil {
			after = *c.After
		} else if after, err = admin.LastSequence(ctx, account); err != nil {
			return err
		}
		for event, err := range admin.Events(ctx, account, after) {
			if gone, ok := errors.AsType[*contacts.Error](err); ok && gone.NextSequence > 0 {
				return advisedError{err, "account " + account.String(), fmt.Sprintf("give --after %d to go on without them", gone.NextSequence-1)}
			}
			if err != nil {
				return err
			}
			if err := s.event(&event); err != nil {
				return err
			}
		}
		return nil
	}))
}

// event prints one event. A table that never ends has columns of fixed widths.
func (s *session) event(e *contacts.Event) error {
	if s.JSON {
		if err := s.out.object(e); err != nil {
			return err
		}
		return s.out.flush()
	}
	line := fmt.Sprintf("%8d  %s  %-19s  %-36s  %3d  %s  %s", e.Sequence, clock(e.At), e.Type, idText(e.ContactID), e.Version, e.Actor.Name, changed(*e))
	fmt.Fprintln(s.out.w, printable(line))
	return s.out.flush()
}

type eventsShow struct {
	keyFlags
	ContactID uuid.UUID `arg:"" help:"The contact. It may be deleted."`
}

func (c *eventsShow) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, []contacts.Permission{contacts.PermissionReadEvents}, func(svc *contacts.Service, key string) error {
		return list(s.out, svc.History(ctx, key, c.ContactID),
			column[contacts.Event]{"SEQUENCE", func(e contacts.Event) string { return fmt.Sprint(e.Sequence) }},
			column[contacts.Event]{"AT", func(e contacts.Event) string { return clock(e.At) }},
			column[contacts.Event]{"TYPE", func(e contacts.Event) string { return string(e.Type) }},
			column[contacts.Event]{"VERSION", func(e contacts.Event) string { return fmt.Sprint(e.Version) }},
			column[contacts.Event]{"ACTOR", func(e contacts.Event) string { return e.Actor.Name }},
			column[contacts.Event]{"SOURCE", func(e contacts.Event) string { return e.Source }},
			column[contacts.Event]{"CHANGED", changed},
		)
	})
}

// changed names the fields that an event has changed.
func changed(e contacts.Event) string {
	if e.Redacted {
		return "(erased)"
	}
	if e.DoNotCall != nil {
		return e.DoNotCall.PhoneNumber
	}
	fields := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		fields[i] = c.Field
	}
	return strings.Join(fields, ",")
}
