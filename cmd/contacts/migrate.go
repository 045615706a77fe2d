package main

import (
	"context"
	"errors"
	"io/fs"
	"strconv"

	"example.com/contacts"
)

type migrateCommand struct {
	Check bool `help:"Change nothing. End with 5 if there is something to migrate."`
}

// A migration is what migrate says of a store.
type migration struct {
	Schema int `json:"schema"` // of the store
	Newest int `json:"newest"` // that this program writes
}

// Run does what opening the store does, by itself.
func (c *migrateCommand) Run(ctx context.Context, s *session) error {
	address, err := s.DB.resolve("--db")
	if err != nil {
		return err
	}
	if !c.Check {
		if err := s.withNewStore(ctx, func(contacts.Store) error { return nil }); err != nil {
			return err
		}
	}
	found, err := address.inspect(ctx)
	if errors.Is(err, fs.ErrNotExist) && c.Check {
		err = noStore(address, "there is no such file")
	}
	if err != nil {
		return err
	}
	if err := found.unusable(); err != nil {
		return err
	}
	err = list(s.out, these(migration{found.schema, found.newest}),
		column[migration]{"SCHEMA", func(m migration) string { return strconv.Itoa(m.Schema) }},
		column[migration]{"NEWEST", func(m migration) string { return strconv.Itoa(m.Newest) }},
	)
	if err == nil && found.schema != found.newest {
		return exitError(exitFinding)
	}
	return err
}
