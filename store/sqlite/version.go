//go:build cgo

package sqlite

import (
	"github.com/mattn/go-sqlite3"

	"example.com/contacts/store/internal/migration"
)

// SchemaVersion returns the version of the schema that this package writes. [Open]
// brings older files to it, and refuses newer ones.
func SchemaVersion() int { return len(migration.Steps(schema, "schema")) }

// EngineVersion returns the version of SQLite that is built in, such as "3.51.1".
func EngineVersion() string {
	version, _, _ := sqlite3.Version()
	return version
}
