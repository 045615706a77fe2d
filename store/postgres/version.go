package postgres

import "example.com/contacts/store/internal/migration"

// SchemaVersion returns the version of the schema that this package writes. [Open]
// brings older tables to it, and refuses newer ones.
func SchemaVersion() int { return len(migration.Steps(schema, "schema")) }
