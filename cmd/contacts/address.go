package main

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// A storeAddress is the path of a SQLite file, the URL of a PostgreSQL database, or
// env:NAME.
type storeAddress string

// resolve returns the address itself. what names it in errors.
func (a storeAddress) resolve(what string) (storeAddress, error) {
	if name, ok := strings.CutPrefix(string(a), "env:"); ok {
		if a = storeAddress(os.Getenv(name)); a == "" {
			return "", usage("%s is env:%s, and the variable %s is not set", what, name, name)
		}
	}
	switch {
	case a == "" && what != "--db":
		return "", usage("%s is empty: give the path of a SQLite file, or postgres://…", what)
	case a == "":
		return "", usage("no store was given: set %s or CONTACTS_DB to the path of a SQLite file, or to postgres://…", what)
	case a.hasKeywords():
		return "", usage("%s has the form host=… of PostgreSQL: give a URL, postgres://…", what)
	}
	return a, nil
}

// hasKeywords reports whether the address is a PostgreSQL connection string that is no
// URL. A file of such a name can be given as ./host=…
func (a storeAddress) hasKeywords() bool {
	keyword, _, ok := strings.Cut(string(a), "=")
	return ok && slices.Contains([]string{"host", "hostaddr", "port", "dbname", "user", "password", "service", "sslmode"}, strings.TrimSpace(keyword))
}

// sqliteFile resolves the address for a command that is for SQLite alone, and says with
// what PostgreSQL has the same.
func (a storeAddress) sqliteFile(command, instead string) (storeAddress, error) {
	address, err := a.resolve("--db")
	if err == nil && address.isURL() {
		err = usage("%s is for SQLite; for PostgreSQL use %s with the same URL", command, instead)
	}
	return address, err
}

func (a storeAddress) isURL() bool {
	return strings.HasPrefix(string(a), "postgres://") || strings.HasPrefix(string(a), "postgresql://")
}

// open opens the store at a resolved address.
func (a storeAddress) open(ctx context.Context) (contacts.Store, error) {
	if !a.isURL() {
		return openSQLite(ctx, string(a))
	}
	store, err := postgres.Open(ctx, string(a), nil)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// use opens the store at a resolved address, works on it, and closes it.
func (a storeAddress) use(ctx context.Context, work func(contacts.Store) error) (err error) {
	store, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return work(store)
}

// String returns the address without its password.
func (a storeAddress) String() string {
	if !a.isURL() {
		return string(a)
	}
	u, err := url.Parse(string(a))
	if err != nil {
		return "postgres://…"
	}
	u.RawQuery = "" // it may hold a password
	return u.Redacted()
}

// same reports whether both lead to one store, as far as the addresses tell.
func (a storeAddress) same(b storeAddress) bool {
	if a.isURL() || b.isURL() {
		return a == b
	}
	x, errX := os.Stat(string(a))
	y, errY := os.Stat(string(b))
	if errX == nil && errY == nil {
		return os.SameFile(x, y)
	}
	return filepath.Clean(string(a)) == filepath.Clean(string(b))
}

// hasPassword reports whether a URL holds a password.
func (a storeAddress) hasPassword() bool {
	if !a.isURL() {
		return false
	}
	u, err := url.Parse(string(a))
	if err != nil {
		return strings.Contains(string(a), "@") // it cannot be told
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// checkArguments refuses passwords among the arguments. Other users of the machine
// can read those.
func checkArguments(command *kong.Context) error {
	for _, element := range command.Path {
		var given any
		switch {
		case element.Flag != nil && !element.Resolved:
			given = command.FlagValue(element.Flag)
		case element.Positional != nil:
			given = element.Positional.Target.Interface()
		}
		if a, ok := given.(storeAddress); ok && a.hasPassword() {
			return usage("other users of the machine can read arguments, and this URL has a password: " +
				"put the URL into CONTACTS_DB, or into another variable and give env:NAME, or put the password into ~/.pgpass")
		}
	}
	return nil
}
