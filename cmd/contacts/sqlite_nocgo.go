//go:build !cgo

package main

import (
	"context"
	"errors"

	"example.com/contacts"
)

var errNoSQLite = errors.New("this program was built without SQLite, which needs cgo: build it with CGO_ENABLED=1 and a C compiler, or give a postgres:// URL")

func sqliteVersions() (engine string, schema int) { return "", 0 }

func openSQLite(context.Context, string) (contacts.Store, error) { return nil, errNoSQLite }

func inspectSQLite(context.Context, string) (inspection, error) { return inspection{}, errNoSQLite }

func backUp(context.Context, string, string) error { return errNoSQLite }

func restore(context.Context, string, string) error { return errNoSQLite }
