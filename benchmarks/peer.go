package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A peer is a way to keep contacts in a SQLite file.
type peer struct {
	name  string
	open  func(ctx context.Context, dir string, w *world) (target, error)
	count func(ctx context.Context, dir string) (counts, error)
}

// A target is what a peer opened, in a folder of its own.
type target interface {
	// create stores one contact; it is durable when create returns. It is
	// called from many goroutines at once.
	create(ctx context.Context, c *contact) error
	// close ends all work on the file, and copies the write-ahead log into it.
	close() error
}

// storeOf returns the store of a target of the library.
func storeOf(t target) contacts.Store {
	return t.(interface{ contactStore() contacts.Store }).contactStore()
}

// withSetting is a peer of the library with a setting in all accounts.
func withSetting(p peer, name string, set func(ctx context.Context, admin *contacts.Admin, account uuid.UUID) error) peer {
	return peer{
		name: p.name + ", " + name,
		open: func(ctx context.Context, dir string, w *world) (target, error) {
			t, err := p.open(ctx, dir, w)
			if err != nil {
				return nil, err
			}
			admin := contacts.NewAdmin(storeOf(t), nil)
			for _, a := range w.directory.Accounts {
				if err := set(ctx, admin, a.ID); err != nil {
					return nil, errors.Join(err, t.close())
				}
			}
			return t, nil
		},
		count: p.count,
	}
}

// A bulk target can do these as well.
type bulk interface {
	target
	// createAll stores all contacts in one transaction.
	createAll(ctx context.Context, all []*contacts.ContactRecord) error
	find(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error)
}

// counts are the rows of a file.
type counts struct{ contacts, phones, tags int }

// A pragma is a setting of a connection.
type pragma struct{ name, value string }

// The settings of the store's connections, which its peers get too. A test
// compares them with the store's source.
var (
	writerPragmas = []pragma{
		{"journal_mode", "WAL"},
		{"busy_timeout", "0"},
		{"foreign_keys", "ON"},
		{"synchronous", "FULL"},
		{"fullfsync", "ON"},
		{"checkpoint_fullfsync", "ON"},
		{"temp_store", "MEMORY"},
		{"cache_size", "-65536"},
		{"secure_delete", "ON"},
		{"wal_autocheckpoint", "4000"},
		{"journal_size_limit", "67108864"},
	}
	readerPragmas = []pragma{
		{"query_only", "ON"},
		{"busy_timeout", "0"},
		{"foreign_keys", "ON"},
		{"synchronous", "FULL"},
		{"temp_store", "MEMORY"},
		{"cache_size", "-16384"},
	}
)

func pragmaSQL(pragmas []pragma) string {
	var all string
	for _, p := range pragmas {
		all += fmt.Sprintf("PRAGMA %s = %s;\n", p.name, p.value)
	}
	return all
}

// openDB opens the SQLite file with n connections.
func openDB(path string, n int, pragmas []pragma) *sql.DB {
	setup := pragmaSQL(pragmas)
	db := sql.OpenDB(connector{path, &sqlite3.SQLiteDriver{
		ConnectHook: func(c *sqlite3.SQLiteConn) error {
			_, err := c.Exec(setup, nil)
			return err
		},
	}})
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

// A connector opens connections with a driver that is registered nowhere. They have
// no locks, as those of the store: database/sql gives each to one goroutine at a time.
type connector struct {
	path   string
	driver *sqlite3.SQLiteDriver
}

// Connect implements [driver.Connector].
func (c connector) Connect(context.Context) (driver.Conn, error) {
	return c.driver.Open(c.path + "?_mutex=no")
}

// Driver implements [driver.Connector].
func (c connector) Driver() driver.Driver { return c.driver }

// countRows counts the rows of three tables or views, one for each count.
func countRows(ctx context.Context, path, contactTable, phoneTable, tagTable string) (n counts, err error) {
	db := openDB(path, 1, readerPragmas)
	defer db.Close()
	err = db.QueryRowContext(ctx, fmt.Sprintf("SELECT (SELECT count(*) FROM %s), (SELECT count(*) FROM %s), (SELECT count(*) FROM %s)",
		contactTable, phoneTable, tagTable)).Scan(&n.contacts, &n.phones, &n.tags)
	return n, err
}

// file is the path of the SQLite file in a target's folder.
func file(dir string) string { return filepath.Join(dir, "contacts.db") }
