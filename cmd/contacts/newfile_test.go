package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
)

// A file whose name was taken meanwhile may be the only copy of refused rows. It is kept,
// the error names it, and the other file is as it was.
func TestFileIsKeptWhoseNameWasTaken(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	name := filepath.Join(folder, "refused.csv")
	f, err := createFile(fileName(name))
	must(t, err)
	_, err = f.WriteString("refused rows")
	must(t, err)
	must(t, os.WriteFile(name, []byte("another file"), 0o600))
	err = f.finish()
	if err == nil || !strings.Contains(err.Error(), f.File.Name()) {
		t.Errorf("the error is %v, want one that names %s", err, f.File.Name())
	}
	for name, want := range map[string]string{name: "another file", f.File.Name(): "refused rows"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v; want %q", name, got, err, want)
		}
	}
}

// A disk without links gives a file its name all the same, and replaces nothing.
func TestFileIsMadeOnADiskWithoutLinks(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	from, to := filepath.Join(folder, "written"), filepath.Join(folder, "contacts.csv")
	noLinks := func(string, string) error { return errors.ErrUnsupported }
	must(t, os.WriteFile(from, []byte("rows"), 0o600))
	must(t, moveNew(noLinks, from, to))
	must(t, os.WriteFile(from, []byte("other rows"), 0o600))
	if err := moveNew(noLinks, from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	for name, want := range map[string]string{from: "other rows", to: "rows"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v; want %q", name, got, err, want)
		}
	}
}

// A file with a part of the receipts does not get its name.
func TestReceiptsAreWhole(t *testing.T) {
	t.Parallel()
	name := fileName(filepath.Join(t.TempDir(), "receipts.jsonl"))
	err := withReceipts(name, func() ([]contacts.Erasure, error) {
		noJSON := contacts.Erasure{At: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}
		return []contacts.Erasure{{}, noJSON}, nil
	})
	if err == nil {
		t.Error("it ended without an error")
	}
	if left, err := os.ReadDir(filepath.Dir(string(name))); err != nil || len(left) > 0 {
		t.Errorf("there is %v: %v", left, err)
	}
}

// A checkpoint that is a link is refused, and what it leads to is not made.
func TestCheckpointIsNoLink(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	link, target := filepath.Join(folder, "link"), filepath.Join(folder, "target")
	must(t, os.Symlink(target, link))
	if _, _, err := openCheckpoint(link); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("opened it: %v", err)
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("made what the link leads to")
	}
}
