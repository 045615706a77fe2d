package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// commands compares the command with programs that use the library. The clock runs
// from the start of its process until that has ended.
func (b *bench) commands(ctx context.Context) error {
	importing, doctor := b.figure("command-import"), b.figure("command-doctor")
	there, back := b.figure("postgres-command-copy"), b.figure("postgres-command-copy-back")
	if importing == nil && doctor == nil && there == nil && back == nil {
		return nil
	}
	c, err := buildCommand(ctx, b.dir)
	if err != nil {
		return err
	}
	if err := b.commandImports(ctx, c, importing, b.size(200_000, 2_000)); err != nil {
		return err
	}
	if err := b.commandDoctor(ctx, c, doctor); err != nil {
		return err
	}
	return b.commandCopies(ctx, c, there, back, b.size(100_000, 2_000))
}

// A command is the built program contacts.
type command struct{ path string }

// buildCommand builds the program into a folder.
func buildCommand(ctx context.Context, dir string) (*command, error) {
	root, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "example.com/contacts")
	if err != nil {
		return nil, fmt.Errorf("find the command (run it in the folder benchmarks): %w", err)
	}
	c := &command{filepath.Join(dir, "contacts")}
	_, err = output(ctx, "go", "build", "-C", root, "-o", c.path, "./cmd/contacts")
	return c, err
}

// run runs the program on behalf of an API key, and returns how long it took.
func (c *command) run(ctx context.Context, key string, args ...string) (time.Duration, error) {
	var out strings.Builder
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Env = append(os.Environ(), "CONTACTS_KEY="+key)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	start := time.Now()
	err := cmd.Run()
	elapsed := time.Since(start)
	if err != nil {
		err = fmt.Errorf("contacts %s: %w\n%s", args[0], err, out.String())
	}
	return elapsed, err
}

// commandImports imports n rows of CSV by the command, and by Import.
func (b *bench) commandImports(ctx context.Context, c *command, f *figure, n int) error {
	if f == nil {
		return nil
	}
	_, err := inFolder(b.dir, func(dir string) (float64, error) {
		path, err := csvFile(dir, n)
		if err != nil {
			return 0, err
		}
		key := b.world.keys[b.world.directory.Accounts[0].ID]
		rate := func(work func(db string) (time.Duration, error)) (float64, error) {
			return inFolder(dir, func(dir string) (float64, error) {
				t, err := openOurs(ctx, dir, b.world) // which makes the file
				if err != nil {
					return 0, err
				}
				if err := t.close(); err != nil {
					return 0, err
				}
				elapsed, err := work(dir)
				if err != nil {
					return 0, err
				}
				return float64(n) / elapsed.Seconds(), checkCounts(ctx, ours, dir, n)
			})
		}
		for range b.reps {
			byCommand, errCommand := rate(func(dir string) (time.Duration, error) {
				return c.run(ctx, key, "import", "--quiet", "--db", file(dir), path)
			})
			byProgram, errProgram := rate(func(dir string) (time.Duration, error) {
				start := time.Now()
				t, err := openOurs(ctx, dir, b.world)
				if err != nil {
					return 0, err
				}
				_, err = b.importFile(ctx, t.(*ourTarget).svc, path)
				err = errors.Join(err, t.close())
				return time.Since(start), err
			})
			if err := errors.Join(errCommand, errProgram); err != nil {
				return 0, err
			}
			f.add(byCommand, byProgram)
		}
		return 0, nil
	})
	return err
}

// commandDoctor looks for what is wrong with the large file, and walks through it.
func (b *bench) commandDoctor(ctx context.Context, c *command, f *figure) error {
	if f == nil {
		return nil
	}
	large, err := b.largeFile(ctx)
	if err != nil {
		return err
	}
	for range b.reps {
		elapsed, err := c.run(ctx, "", "doctor", "--db", file(large.dir))
		if err != nil {
			return err
		}
		err = b.onLarge(ctx, func(_ *largeFile, t *ourTarget) error {
			walk, err := b.walkRate(walkOf(ctx, t.svc, 0))
			f.add(float64(b.growth)/elapsed.Seconds(), walk)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// commandCopies copies n contacts from SQLite to PostgreSQL and back, and creates as
// many in batches in each.
func (b *bench) commandCopies(ctx context.Context, c *command, there, back *figure, n int) error {
	if there == nil && back == nil {
		return nil
	}
	for range b.reps {
		all := b.world.records(n)
		_, err := inFolder(b.dir, func(source string) (float64, error) {
			inSQLite, err := b.writeAll(ctx, ours, source, all)
			if err != nil {
				return 0, err
			}
			inPostgres, err := inFolder(b.dir, func(dir string) (float64, error) {
				return b.writeAll(ctx, b.postgres.ours(), dir, all)
			})
			if err != nil {
				return 0, err
			}
			return inFolder(b.dir, func(dir string) (float64, error) {
				url, err := b.postgres.database(ctx, dir)
				if err != nil {
					return 0, err
				}
				copied, err := c.run(ctx, "", "copy", "--quiet", file(source), url)
				if err != nil {
					return 0, err
				}
				copiedBack, err := c.run(ctx, "", "copy", "--quiet", url, file(dir))
				if err != nil {
					return 0, err
				}
				if there != nil {
					there.add(float64(n)/copied.Seconds(), inPostgres)
				}
				if back != nil {
					back.add(float64(n)/copiedBack.Seconds(), inSQLite)
				}
				return 0, errors.Join(checkCounts(ctx, b.postgres.ours(), dir, n), checkCounts(ctx, ours, dir, n))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
