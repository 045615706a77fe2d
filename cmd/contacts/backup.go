package main

import (
	"context"
	"fmt"
)

type backupCommand struct {
	Output fileName `short:"o" required:"" placeholder:"FILE" help:"The new file. It must not exist."`
}

func (c *backupCommand) Run(ctx context.Context, s *session) error {
	address, err := s.DB.sqliteFile("backup", "pg_dump --format=custom")
	if err != nil {
		return err
	}
	if err := address.mustBeStore(ctx); err != nil {
		return err
	}
	found, err := address.inspect(ctx)
	if err != nil {
		return err
	}
	if found.unusable() == nil && found.schema < found.newest {
		return advisedError{
			fmt.Errorf("it has the schema %d, and a backup by this program would bring it to %d first", found.schema, found.newest),
			address.String(), "make the backup with the program that wrote it, or with sqlite3 FILE '.backup COPY', and then give contacts migrate",
		}
	}
	return backUp(ctx, string(address), string(c.Output))
}
