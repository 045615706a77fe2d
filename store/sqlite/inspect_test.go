//go:build cgo

package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts/store/sqlite"
)

// TestInspect plants what Inspect finds, and checks that it changes no byte.
func TestInspect(t *testing.T) {
	t.Parallel()
	newest := sqlite.SchemaVersion()
	for _, test := range []struct {
		name   string
		plant  func(t *testing.T, path string)
		schema int
		codes  []string
	}{
		{"nothing", func(*testing.T, string) {}, newest, nil},
		{"an older schema", func(t *testing.T, path string) { setMark(t, path, "PRAGMA user_version = 1") }, 1, []string{"schema_older"}},
		{"a newer schema", func(t *testing.T, path string) { setMark(t, path, "PRAGMA user_version = 99") }, 99, []string{"schema_newer"}},
		{"another program's file", func(t *testing.T, path string) { setMark(t, path, "PRAGMA application_id = 7") }, 0, []string{"foreign_file"}},
		{"an empty file", func(t *testing.T, path string) { write(t, path, "") }, 0, []string{"schema_older"}},
		{"no database", func(t *testing.T, path string) {
			write(t, path, "This is no database, and it is longer than the header of one is: a hundred bytes, more or less, and some more.")
		}, 0, []string{"foreign_file"}},
		{"readable by others", func(t *testing.T, path string) { wantErr(t, "chmod", os.Chmod(path, 0o644), nil) }, newest, []string{"mode_not_0600"}},
		{"a large log", func(t *testing.T, path string) {
			write(t, path+"-wal", "")
			wantErr(t, "truncate", os.Truncate(path+"-wal", 300<<20), nil)
		}, newest, []string{"log_large"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "contacts.db")
			store, err := sqlite.Open(t.Context(), path, nil)
			wantErr(t, "set up", err, nil)
			wantErr(t, "Close", store.Close(), nil)
			test.plant(t, path)
			before, err := os.ReadFile(path)
			wantErr(t, "set up", err, nil)
			got, err := sqlite.Inspect(t.Context(), path, nil)
			wantErr(t, "set up", err, nil)
			var codes []string
			for _, f := range got.Findings {
				codes = append(codes, f.Code)
				if f.Severity == 0 || f.Message == "" || f.Advice == "" {
					t.Errorf("a finding does not say how bad it is, what it is and what to do: %+v", f)
				}
			}
			if diff := cmp.Diff(test.codes, codes); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			if got.SchemaVersion != test.schema || got.NewestSchema != newest || got.Size != int64(len(before)) {
				t.Errorf("got %+v, want the schema %d and the size %d", got, test.schema, len(before))
			}
			after, err := os.ReadFile(path)
			wantErr(t, "set up", err, nil)
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// setMark runs a PRAGMA that changes the header of the file itself, with no log left.
func setMark(t *testing.T, path, query string) {
	t.Helper()
	db := plain(t, path)
	exec1(t, db, query)
	exec1(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
}

// TestInspectDisks inspects a file on disks that a test cannot have.
func TestInspectDisks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "contacts.db")
	store, err := sqlite.Open(t.Context(), path, nil)
	wantErr(t, "set up", err, nil)
	wantErr(t, "Close", store.Close(), nil)
	large := filepath.Join(t.TempDir(), "large.db") // as far as its size goes
	content, err := os.ReadFile(path)
	wantErr(t, "set up", err, nil)
	write(t, large, string(content))
	wantErr(t, "truncate", os.Truncate(large, 10<<30), nil)
	const plenty = 1 << 40
	for _, test := range []struct {
		name    string
		path    string
		network string
		free    int64
		codes   []string
	}{
		{"a good one", path, "", plenty, nil},
		{"of another machine", path, "NFS", plenty, []string{"network_disk"}},
		{"almost full", path, "", 255 << 20, []string{"disk_low"}},
		{"full", path, "", 0, []string{"disk_low"}},
		{"just enough", path, "", 256 << 20, nil},
		{"too small for the file", large, "", 900 << 20, []string{"disk_low"}},
		{"large enough for the file", large, "", 1 << 30, nil},
		{"not known", path, "", -1, nil},
		{"of another machine, and full", path, "SMB", 0, []string{"network_disk", "disk_low"}},
	} {
		found, err := sqlite.InspectOn(t.Context(), test.path, test.network, test.free)
		wantErr(t, test.name, err, nil)
		var codes []string
		for _, f := range found.Findings {
			codes = append(codes, f.Code)
		}
		if diff := cmp.Diff(test.codes, codes); diff != "" || found.FreeDisk != test.free {
			t.Errorf("%s: %d bytes are free; codes (-want +got):\n%s", test.name, found.FreeDisk, diff)
		}
	}
}

func TestInspectOfNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "contacts.db")
	if _, err := sqlite.Inspect(t.Context(), path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Inspect made a file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqlite.Inspect(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
}

func ExampleInspect() {
	folder, err := os.MkdirTemp("", "contacts-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "contacts.db")
	store, err := sqlite.Open(context.Background(), path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	store.Close()
	found, err := sqlite.Inspect(context.Background(), path, nil)
	fmt.Println(found.SchemaVersion == sqlite.SchemaVersion(), err)
	// Output: true <nil>
}
