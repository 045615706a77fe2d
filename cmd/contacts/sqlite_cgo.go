//go:build cgo

package main

import (
	"context"
	"errors"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

// sqliteVersions returns the version of SQLite, and that of the schema.
func sqliteVersions() (engine string, schema int) {
	return sqlite.EngineVersion(), sqlite.SchemaVersion()
}

func openSQLite(ctx context.Context, path string) (contacts.Store, error) {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	return store, nil
}

func inspectSQLite(ctx context.Context, path string) (inspection, error) {
	i, err := sqlite.Inspect(ctx, path, nil)
	return inspection{i.SchemaVersion, i.NewestSchema, i.Size, i.Findings}, err
}

// backUp writes all that is in the file at path to a new file.
func backUp(ctx context.Context, path, to string) (err error) {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return store.Backup(ctx, to)
}

// restore puts what is in a backup at path.
func restore(ctx context.Context, backup, path string) error {
	return sqlite.Restore(ctx, backup, path)
}
