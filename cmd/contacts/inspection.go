package main

import (
	"context"

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
