package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"example.com/contacts/store/postgres"
)

type versionCommand struct{}

// versions are what the program is made of.
type versions struct {
	Version          string `json:"version"`
	Commit           string `json:"commit,omitempty"`
	Go               string `json:"go"`
	SQLite           string `json:"sqlite,omitempty"` // "": built without it
	SQLiteSchema     int    `json:"sqlite_schema,omitempty"`
	PostgreSQLSchema int    `json:"postgresql_schema"`
}

func (versionCommand) Run(s *session) error {
	v := versions{Version: "unknown", Go: runtime.Version(), PostgreSQLSchema: postgres.SchemaVersion()}
	v.SQLite, v.SQLiteSchema = sqliteVersions()
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = cmp.Or(info.Main.Version, v.Version)
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				v.Commit = setting.Value
			}
		}
	}
	if s.JSON {
		return s.out.object(v)
	}
	fmt.Fprintf(s.out.w, "contacts %s\n", v.Version)
	if v.Commit != "" {
		fmt.Fprintf(s.out.w, "commit %s\n", v.Commit)
	}
	fmt.Fprintf(s.out.w, "%s\n", v.Go)
	if v.SQLite == "" {
		fmt.Fprintln(s.out.w, "built without SQLite, which needs cgo")
	} else {
		fmt.Fprintf(s.out.w, "SQLite %s, schema %d\n", v.SQLite, v.SQLiteSchema)
	}
	_, err := fmt.Fprintf(s.out.w, "PostgreSQL, schema %d\n", v.PostgreSQLSchema)
	return err
}
