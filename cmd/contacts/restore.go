package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

type restoreCommand struct {
	Backup string `arg:"" help:"The backup. It stays as it is."`
	confirmation
}

// Help is printed after the flags.
func (restoreCommand) Help() string {
	return "A backup brings back the people who were erased after it, and their receipts are gone with the store. " +
		"Keep them before, with contacts erase list --json. Give them to contacts erase reapply afterwards."
}

// Run asks only if there is something to lose. What may be replaced, and when, the store
// says.
func (c *restoreCommand) Run(ctx context.Context, s *session) error {
	address, err := s.DB.sqliteFile("restore", "pg_restore")
	if err != nil {
		return err
	}
	if _, err := os.Lstat(string(address)); !errors.Is(err, fs.ErrNotExist) {
		if err := c.ask(ctx, s, fmt.Sprintf("All that is stored in %s is gone then, with the receipts of contacts erase list. What is in %s takes its place.", address, c.Backup)); err != nil {
			return err
		}
	}
	if err := restore(ctx, c.Backup, string(address)); err != nil {
		return err
	}
	s.say("people who were erased since the backup are back: erase them again with contacts erase reapply")
	return nil
}
