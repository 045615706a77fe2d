// Package migration reads the numbered steps of a database's schema. How a step
// is taken is each store's own.
package migration

import (
	"fmt"
	"io/fs"
	"path"
)

// A Step leads from one version of the schema to the next. Steps are only ever
// added: databases that took one are out there.
type Step struct {
	Name string // of its file
	SQL  string
}

// Steps returns the steps in folder of fsys, in their order: the file of step i
// leads to version i+1, and its name starts with that number in four digits, as
// in 0001_contacts.sql. It panics if that is not so: the files are compiled in.
func Steps(fsys fs.FS, folder string) []Step {
	entries, err := fs.ReadDir(fsys, folder) // in the order of their names
	if err != nil {
		panic(fmt.Errorf("migration: %w", err))
	}
	steps := make([]Step, len(entries))
	for i, e := range entries {
		if ok, _ := path.Match(fmt.Sprintf("%04d_*.sql", i+1), e.Name()); !ok {
			panic(fmt.Errorf("migration: %s leads to version %d: name it %04d_….sql", e.Name(), i+1, i+1))
		}
		sql, err := fs.ReadFile(fsys, path.Join(folder, e.Name()))
		if err != nil {
			panic(fmt.Errorf("migration: %w", err))
		}
		steps[i] = Step{e.Name(), string(sql)}
	}
	return steps
}
