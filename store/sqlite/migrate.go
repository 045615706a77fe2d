//go:build cgo

package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts/store/internal/migration"
)

//go:embed schema/*.sql
var schema embed.FS

// migrate brings the database to the newest version, with a transaction for each
// step. Of several processes, the first takes a step and the others find it done.
//
// A new file is not yet in write-ahead mode here. So its first step is written
// to the file itself, and its marks are in the header as soon as there is one,
// where prepareFile looks for them.
func migrate(ctx context.Context, c *sqlite3.SQLiteConn, steps []migration.Step) error {
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

// migrateOnce takes the next step. It reports whether there was none.
func migrateOnce(c *sqlite3.SQLiteConn, steps []migration.Step) (done bool, err error) {
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

	m, err := readMarks(c)
	if err != nil {
		return false, err
	}
	if m.id == 0 && m.version == 0 {
		tables, err := queryValue(c, "SELECT count(*) FROM sqlite_schema")
		if err != nil {
			return false, err
		}
		if tables != int64(0) {
			return false, ErrForeign
		}
	} else if m.id != applicationID {
		return false, ErrForeign
	} else if err := m.check(len(steps)); err != nil {
		return false, err
	}
	if m.version == int64(len(steps)) {
		// BEGIN IMMEDIATE takes no lock where the file cannot be written, and
		// does not say so. A statement that writes does, even if it changes
		// nothing.
		_, err := c.Exec("DELETE FROM account WHERE false", nil)
		if e, ok := errors.AsType[sqlite3.Error](err); ok && e.Code == sqlite3.ErrError {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err) // there is no such table
		}
		return true, err
	}

	step := steps[m.version]
	if _, err := c.Exec(step.SQL, nil); err != nil {
		return false, fmt.Errorf("%s: %w", step.Name, err)
	}
	// These two are part of the transaction.
	if _, err := c.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, m.version+1), nil); err != nil {
		return false, err
	}
	_, err = c.Exec("COMMIT", nil)
	return false, err
}
