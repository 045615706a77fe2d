package migration_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts/store/internal/migration"
)

func files(names ...string) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for _, name := range names {
		fsys["schema/"+name] = &fstest.MapFile{Data: []byte("-- " + name)}
	}
	return fsys
}

func TestStepsAreInTheOrderOfTheirNumbers(t *testing.T) {
	t.Parallel()
	got := migration.Steps(files("0002_more.sql", "0001_contacts.sql"), "schema")
	want := []migration.Step{
		{Name: "0001_contacts.sql", SQL: "-- 0001_contacts.sql"},
		{Name: "0002_more.sql", SQL: "-- 0002_more.sql"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFilesThatAreNoStepsPanic(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]fstest.MapFS{
		"gap":       files("0001_contacts.sql", "0003_more.sql"),
		"twice":     files("0001_contacts.sql", "0001_more.sql"),
		"no number": files("contacts.sql"),
		"no SQL":    files("0001_contacts.txt"),
		"no folder": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("Steps returned")
				}
			}()
			migration.Steps(fsys, "schema")
		})
	}
}
