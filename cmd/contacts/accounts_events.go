package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

type accountsEvents struct {
	ID   uuid.UUID `arg:"" help:"The account."`
	On   bool      `xor:"switch" help:"Record the changes of contacts as events from now on."`
	Off  bool      `xor:"switch" help:"Record none from now on."`
	Keep *duration `placeholder:"30d" help:"How long new events can be read: from 1h to 10 years; 0 is 30 days."`
}

// Run changes what is given, and prints what then holds.
func (c *accountsEvents) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		settings, err := admin.EventSettings(ctx, c.ID)
		if err != nil {
			return err
		}
		if c.On || c.Off || c.Keep != nil {
			if c.On || c.Off {
				settings.On = c.On
			}
			if c.Keep != nil {
				settings.Keep = time.Duration(*c.Keep)
			}
			if err := admin.SetEvents(ctx, c.ID, settings); err != nil {
				return err
			}
			if settings, err = admin.EventSettings(ctx, c.ID); err != nil {
				return err
			}
		}
		return list(s.out, these(settings),
			column[contacts.EventSettings]{"EVENTS", func(e contacts.EventSettings) string {
				if e.On {
					return "on"
				}
				return "off"
			}},
			column[contacts.EventSettings]{"KEEP", func(e contacts.EventSettings) string { return duration(e.Keep).String() }},
		)
	})
}
