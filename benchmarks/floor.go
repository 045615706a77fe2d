package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// floor.c is what is left when only SQLite works: see its first comment.
//
//go:embed floor/floor.c
var floorSource []byte

// A floor is the program built from floor.c and the SQLite of the driver.
type floor struct{ path string }

// buildFloor builds the program with the source and the flags of the SQLite that
// the Go programs here are linked with. As that takes a while, it is kept in the
// user's cache folder for the next time.
func buildFloor(ctx context.Context) (*floor, error) {
	dir, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/mattn/go-sqlite3")
	if err != nil {
		return nil, fmt.Errorf("find the source of SQLite (run it in the folder benchmarks): %w", err)
	}
	cc, err := output(ctx, "go", "env", "CC")
	if err != nil {
		return nil, err
	}
	driver, err := os.ReadFile(filepath.Join(dir, "sqlite3.go"))
	if err != nil {
		return nil, err
	}
	args := []string{"-O2"}
	for _, line := range regexp.MustCompile(`(?m)^#cgo (?:linux )?CFLAGS: (.*)$`).FindAllSubmatch(driver, -1) {
		args = append(args, strings.Fields(string(line[1]))...)
	}

	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(fmt.Append(floorSource, cc, dir, args))
	f := &floor{filepath.Join(cache, "contacts-benchmarks", fmt.Sprintf("floor-%x", key[:8]))}
	if _, err := os.Stat(f.path); err == nil {
		return f, nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(f.path), "build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	source, built := filepath.Join(tmp, "floor.c"), filepath.Join(tmp, "floor")
	if err := os.WriteFile(source, floorSource, 0o644); err != nil {
		return nil, err
	}
	args = append(args, "-I", dir, source, filepath.Join(dir, "sqlite3-binding.c"), "-o", built, "-lm", "-ldl", "-lpthread")
	if _, err := output(ctx, cc, args...); err != nil {
		return nil, err
	}
	return f, os.Rename(built, f.path)
}

// write makes the file in dir hold what the store's file in source holds, batch
// contacts to a transaction, and returns how many contacts a second it wrote.
func (f *floor) write(ctx context.Context, source, dir string, batch, want int) (rate float64, err error) {
	out, err := output(ctx, f.path, file(source), file(dir), strconv.Itoa(batch), pragmaSQL(writerPragmas))
	if err != nil {
		return 0, err
	}
	var n int
	var seconds float64
	if _, err := fmt.Sscan(out, &n, &seconds); err != nil {
		return 0, fmt.Errorf("floor printed %q: %w", out, err)
	}
	if n != want {
		return 0, fmt.Errorf("floor wrote %d contacts, not %d", n, want)
	}
	return float64(n) / seconds, nil
}

// output runs a command and returns what it printed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), err
}
