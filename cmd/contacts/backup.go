package main

import "context"

type backupCommand struct {
	Output fileName `short:"o" required:"" placeholder:"FILE" help:"The new file. It must not exist."`
}

func (c *backupCommand) Run(ctx context.Context, s *session) error {
	address, err := s.DB.resolve("--db")
	if err != nil {
		return err
	}
	if address.isURL() {
		return usage("backup is for SQLite; for PostgreSQL use pg_dump --format=custom with the same URL")
	}
	if err := address.mustBeStore(ctx); err != nil {
		return err
	}
	return backUp(ctx, string(address), string(c.Output))
}
