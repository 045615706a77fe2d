//go:build unix

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A postgresServer is a PostgreSQL in a folder of its own, on a socket there. It keeps
// checksums of its pages.
type postgresServer struct {
	bin, folder string
	attributes  *syscall.SysProcAttr
}

// newPostgres starts a server, which the end of the test stops. Without PostgreSQL the
// test is left out.
func newPostgres(t *testing.T, settings ...string) *postgresServer {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // where Debian has them, not in the PATH
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path) // to where the other programs are
		must(t, err)
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Skip("left out: the programs initdb and postgres are not installed")
	}
	folder, err := os.MkdirTemp("", "contacts-postgres") // short: a socket has its name, and the server's user may enter it
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	p := &postgresServer{filepath.Dir(found[len(found)-1]), folder, &syscall.SysProcAttr{Setpgid: true}}
	if os.Getuid() == 0 { // a server does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			u, err = user.Lookup("nobody")
		}
		must(t, err)
		uid, err := strconv.Atoi(u.Uid)
		must(t, err)
		gid, err := strconv.Atoi(u.Gid)
		must(t, err)
		p.attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
		must(t, os.Chown(folder, uid, gid))
	}
	must(t, p.run("initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--data-checksums"))
	p.start(t, settings...)
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *postgresServer) data() string { return filepath.Join(p.folder, "data") }

func (p *postgresServer) command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(context.Background(), filepath.Join(p.bin, name), args...) // at the end of the test too
	c.Dir, c.SysProcAttr = p.folder, p.attributes
	return c
}

// run runs a program of the server, without its output, which the server would keep
// open.
func (p *postgresServer) run(name string, args ...string) error {
	if err := p.command(name, args...).Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (p *postgresServer) start(t *testing.T, settings ...string) {
	t.Helper()
	options := "-k " + p.folder + " -c listen_addresses="
	for _, setting := range settings {
		options += " -c " + setting
	}
	must(t, p.run("pg_ctl", "-D", p.data(), "-l", filepath.Join(p.folder, "log"), "-o", options, "-w", "start"))
}

// stop stops the server, with all that is stored on the disk.
func (p *postgresServer) stop(t *testing.T) {
	t.Helper()
	if err := p.run("pg_ctl", "-D", p.data(), "-m", "fast", "-w", "stop"); err != nil {
		t.Error(err)
	}
}

func (p *postgresServer) url(database, role string) string {
	return "postgres:///" + database + "?user=" + role + "&host=" + url.QueryEscape(p.folder)
}

// query runs statements as the owner of the server, one after the other, and returns
// what the last one selects.
func (p *postgresServer) query(t *testing.T, database string, statements ...string) string {
	t.Helper()
	args := []string{"-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", p.url(database, "postgres")}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	out, err := p.command("psql", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", statements, err, out)
	}
	return strings.TrimSpace(string(out))
}
