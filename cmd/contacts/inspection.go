package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// An inspection is what is known of a store that was not opened.
type inspection struct {
	schema, newest int // versions; schema is 0 where nothing is stored yet
	size           int64
	findings       []contacts.Finding
}

// inspect looks at the store at a resolved address, and changes nothing.
func (a storeAddress) inspect(ctx context.Context) (inspection, error) {
	if !a.isURL() {
		return inspectSQLite(ctx, string(a))
	}
	i, err := postgres.Inspect(ctx, string(a), nil)
	return inspection{i.SchemaVersion, i.NewestSchema, i.Size, i.Findings}, err
}

// mustBeStore returns an error if there is no store at a resolved address, and opening it
// would make one. What else is wrong, opening says.
func (a storeAddress) mustBeStore(ctx context.Context) error {
	if !a.isURL() {
		if _, err := os.Stat(string(a)); errors.Is(err, fs.ErrNotExist) {
			return noStore(a, "there is no such file")
		}
		return nil
	}
	found, err := a.inspect(ctx)
	if err == nil && found.schema == 0 && found.unusable() == nil {
		return noStore(a, "there are no tables yet")
	}
	return err
}

// noStore is the error of an address without a store.
func noStore(a storeAddress, why string) error {
	return advisedError{errors.New(why), a.String(), "give the address of a store, or make one here with contacts accounts create NAME"}
}

// unusable returns why there is nothing of ours at an address that is in use; nil:
// there is, or it is not in use.
func (i inspection) unusable() error {
	for _, f := range i.findings {
		switch f.Code {
		case "foreign_file", "integrity", "role_rights":
			if i.schema == 0 {
				return errors.New(f.Message)
			}
		}
	}
	return nil
}
