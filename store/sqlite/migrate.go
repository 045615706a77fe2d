//go:build cgo

package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"

	"github.com/mattn/go-sqlite3"
)

//go:embed schema/*.sql
var schema embed.FS

// A migration is a step from one version of the schema to the next. Steps are
// only ever added: files that took one are out there.
type migration struct{ name, sql string }

// migrations returns the steps in their order; step i leads to version i+1.
func migrations() []migration {
	entries, err := fs.ReadDir(schema, "schema") // in the order of their names
	if err != nil {
		panic(err) // the folder is compiled in
	}
	var steps []migration
	for _, e := range entries {
		sql, err := schema.ReadFile(path.Join("schema", e.Name()))
		if err != nil {
			panic(err)
		}
		steps = append(steps, migration{e.Name(), string(sql)})
	}
	return steps
}

// migrate brings the database to the newest version, a transaction for each
// step. Whoever comes second, of several processes, finds the step done.
//
// A new file is not yet in write-ahead mode here. So its first step is written
// to the file itself, and its marks are in the header from the moment that
// there is one, where prepareFile looks for them.
func migrate(ctx context.Context, c *sqlite3.SQLiteConn, steps []migration) error {
	for done := false; !done; {
		err := retry(ctx, func() (err error) {
			done, err = migrateOnce(c, steps)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// migrateOnce takes the step that is next, if there is one, and reports whether
// there was none.
func migrateOnce(c *sqlite3.SQLiteConn, steps []migration) (done bool, err error) {
	if _, err := c.Exec("BEGIN IMMEDIATE", nil); err != nil {
		return false, err
	}
	defer func() {
		if !c.AutoCommit() {
			if _, e := c.Exec("ROLLBACK", nil); err == nil {
				err = e
			}
		}
	}()

	id, version, err := marks(c)
	if err != nil {
		return false, err
	}
	if id == 0 && version == 0 {
		tables, err := queryValue(c, "SELECT count(*) FROM sqlite_schema")
		if err != nil {
			return false, err
		}
		if tables != int64(0) {
			return false, ErrForeign
		}
	} else if id != applicationID {
		return false, ErrForeign
	}
	switch {
	case version > len(steps):
		return false, ErrNewerSchema
	case version == len(steps):
		// BEGIN IMMEDIATE takes no lock where the file cannot be written, and
		// does not say so. A statement that writes does, even if it changes
		// nothing.
		_, err := c.Exec("DELETE FROM account WHERE false", nil)
		return true, err
	}

	step := steps[version]
	if _, err := c.Exec(step.sql, nil); err != nil {
		return false, fmt.Errorf("%s: %w", step.name, err)
	}
	// These two are part of the transaction.
	if _, err := c.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version+1), nil); err != nil {
		return false, err
	}
	_, err = c.Exec("COMMIT", nil)
	return false, err
}
