package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

func TestMain(m *testing.M) {
	longtest.FewerChecks()
	code := m.Run()
	if err := errors.Join(shared.stop(), os.RemoveAll(template.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "stop the server of the tests:", err)
		code = 1
	}
	os.Exit(code)
}

// shared is the server of all tests that do not harm theirs. The first that
// needs it starts it.
var shared sharedServer

type sharedServer struct {
	once   sync.Once
	server *server // nil: it is that of urlVariable
	url    string
	err    error // why there is none

	conns   atomic.Pointer[pgxpool.Pool] // of execute; nil: it has not been started
	stores  *pgxpool.Pool                // of open
	schemas schemaPool                   // of takeSchema
}

// urlVariable names a database of a server that runs already, as a role that may
// create schemas.
const urlVariable = "CONTACTS_POSTGRES_URL"

// serverURL returns the database of the shared server, or skips the test where
// there can be none.
func serverURL(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		if shared.url = os.Getenv(urlVariable); shared.url == "" {
			if shared.server, shared.err = newServer("fsync=off", "full_page_writes=off"); shared.err != nil {
				return
			}
			shared.url = shared.server.url()
		}
		var conns *pgxpool.Pool
		if conns, shared.err = pgxpool.New(context.Background(), shared.url); shared.err != nil {
			return
		}
		shared.schemas.conns = conns
		shared.stores, shared.err = pgxpool.New(context.Background(), with(t, shared.url, "pool_max_conns", "64"))
		shared.conns.Store(conns)
	})
	skipWithout(t, shared.err)
	return shared.url
}

func skipWithout(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNoPrograms) {
		t.Skipf("left out: %v; install PostgreSQL, or set %s", err, urlVariable)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *sharedServer) stop() error {
	conns := s.conns.Load()
	if conns == nil {
		return nil
	}
	defer conns.Close()
	if s.stores != nil {
		defer s.stores.Close()
	}
	if s.server != nil {
		return s.server.remove()
	}
	for _, schema := range s.schemas.free {
		if _, err := conns.Exec(context.Background(), "DROP SCHEMA "+pgx.Identifier{schema}.Sanitize()+" CASCADE"); err != nil {
			return err
		}
	}
	return nil
}

// ownServer starts a server that the test may harm.
func ownServer(t testing.TB, settings ...string) *server {
	t.Helper()
	s, err := newServer(settings...)
	skipWithout(t, err)
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var errNoPrograms = errors.New("the programs initdb and postgres are not installed")

// programs returns the folder of the newest initdb and postgres.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path) // to where the other programs are
		return filepath.Dir(path), err
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	newest, dir := 0, ""
	for _, path := range found {
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))); err == nil && version > newest {
			newest, dir = version, filepath.Dir(path)
		}
	}
	if dir == "" {
		return "", errNoPrograms
	}
	return dir, nil
}

// A server is a PostgreSQL in a temporary folder, on a socket there.
type server struct {
	bin, dir string
	attr     *syscall.SysProcAttr
	process  *exec.Cmd  // nil: it is not running
	ended    chan error // of the process
	log      *os.File
}

// template is a data folder of which each server gets a copy. To copy takes less
// time than to make one.
var template templateFolder

type templateFolder struct {
	once sync.Once
	dir  string
	err  error
}

// newServer starts a server with these settings.
func newServer(settings ...string) (_ *server, err error) {
	template.once.Do(func() {
		var s *server
		if s, template.err = newFolder(); template.err != nil {
			return
		}
		template.dir = s.dir
		template.err = s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	})
	if template.err != nil {
		return nil, template.err
	}
	s, err := newFolder()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
		}
	}()
	if err := s.run("cp", "-a", filepath.Join(template.dir, "data"), s.dir); err != nil {
		return nil, err
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return nil, err
	}
	return s, s.start(settings...)
}

// folders returns the folder of the servers' folders; "": that of temporary files. They
// are in memory, if there is room for them: on a disk a third of the time goes into making
// and removing the files of tables. A server that is killed loses nothing on either. The
// longest tests have more rows than may be kept in memory.
func folders() string {
	const memory, room = "/dev/shm", 2 << 30
	var disk syscall.Statfs_t
	if os.Getenv("CONTACTS_FAULTS") == "full" || syscall.Statfs(memory, &disk) != nil || disk.Bavail*uint64(disk.Bsize) < room {
		return ""
	}
	return memory
}

// newFolder returns a server that has an empty folder.
func newFolder() (*server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin}
	if s.dir, err = os.MkdirTemp(folders(), "contacts-postgres"); err != nil {
		return nil, err
	}
	s.attr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for the tests, which stop it
	if runtime.GOOS != "windows" && os.Getuid() == 0 {
		err = s.demote()
	}
	return s, err
}

// run runs a program as the server's user.
func (s *server) run(name string, args ...string) error {
	if out, err := s.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// demote has the server run as another user, since it refuses to as root.
func (s *server) demote() error {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
		return os.Chown(s.dir, uid, gid)
	}
	return errors.New("neither postgres nor nobody is a user here, and a server does not run as root")
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	path := filepath.Join(s.bin, name)
	if _, err := os.Stat(path); err != nil {
		path = name // no program of PostgreSQL
	}
	c := exec.CommandContext(context.Background(), path, args...)
	c.Dir, c.SysProcAttr = s.dir, s.attr
	return c
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

// start starts the server, and returns when it answers. It tries again where
// processes of one that was killed are still going.
func (s *server) start(settings ...string) error {
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=500", "-c", "autovacuum_naptime=1h"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		s.process = s.command("postgres", args...)
		s.process.Stdout, s.process.Stderr = s.log, s.log
		if err := s.process.Start(); err != nil {
			s.process = nil
			return err
		}
		s.ended = make(chan error, 1)
		go func(process *exec.Cmd, ended chan<- error) { ended <- process.Wait() }(s.process, s.ended)
		err := s.answer(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			said, _ := os.ReadFile(s.log.Name())
			return fmt.Errorf("the server does not answer: %w\n%s", err, said)
		}
		s.process = nil // it has ended
		time.Sleep(100 * time.Millisecond)
	}
}

// answer returns when the server does, or an error when it has ended.
func (s *server) answer(ctx context.Context) error {
	for {
		c, err := pgx.Connect(ctx, s.url())
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case ended := <-s.ended:
			return fmt.Errorf("the server has ended: %w", ended)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill ends the server and all its processes at once. One that was left over
// would wait forever for a lock that another had in the memory they shared, and
// its client with it.
func (s *server) kill() {
	first := s.process.Process.Pid
	syscall.Kill(first, syscall.SIGSTOP) // so that no more come
	for isRunning(first) {
		runtime.Gosched()
	}
	for _, pid := range append(children(first), first) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.ended
	s.process = nil
}

// children returns the processes that a process has started, where the system
// says it; elsewhere they notice that the first one is gone, and end.
func children(of int) []int {
	var found []int
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if _, parent := processState(pid); parent == strconv.Itoa(of) {
			found = append(found, pid)
		}
	}
	return found
}

// isRunning reports whether the system says that a process has not stopped yet.
func isRunning(pid int) bool {
	const running, sleeping, waiting = "R", "S", "D"
	state, _ := processState(pid)
	return state == running || state == sleeping || state == waiting
}

// processState returns what a process does, as one letter, and the number of the
// process that started it; empty: the system does not say.
func processState(pid int) (state, parent string) {
	b, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, after, _ := strings.Cut(string(b), ") ") // after the name
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return "", ""
	}
	return fields[0], fields[1]
}

// stop ends the server and waits for it.
func (s *server) stop() error { return s.end(syscall.SIGINT) }

// end tells the server to end, and waits for it.
func (s *server) end(how syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	s.process.Process.Signal(how)
	err := <-s.ended
	s.process = nil
	return err
}

// remove ends the server at once and removes its folder. A server that is killed leaves
// its shared memory to the machine, so this one is told to end.
func (s *server) remove() error {
	_ = s.end(syscall.SIGQUIT) // it ends with an error then
	var err error
	if s.log != nil {
		s.log.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *server) socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

func (s *server) url() string {
	return "postgres:///postgres?user=postgres&host=" + url.QueryEscape(s.dir)
}

func schemaName() string { return "contacts " + uuid.NewString() } // with a blank, for good measure

// newSchema returns the name of a schema that is not there.
func newSchema(t testing.TB, url string) string {
	t.Helper()
	name := schemaName()
	cleanUp(t, url, "DROP SCHEMA IF EXISTS "+pgx.Identifier{name}.Sanitize()+" CASCADE")
	return name
}

// takeSchema returns a schema of the shared server with empty tables, for tests whose
// subject is not how they are made. When the test has ended, the schema goes to another
// one: the test must change nothing but rows, and leave nothing that goes on.
func takeSchema(t testing.TB) string {
	t.Helper()
	serverURL(t)
	return shared.schemas.take(t)
}

// cleanUp runs the statements when the test ends, on a server that is there before the
// tests and after them. One of their own is thrown away with all that it holds.
func cleanUp(t testing.TB, url string, statements ...string) {
	t.Helper()
	if os.Getenv(urlVariable) == "" && os.Getenv(citusVariable) == "" {
		return
	}
	t.Cleanup(func() {
		for _, sql := range statements {
			execute(t, url, sql)
		}
	})
}

// connect returns a connection that is closed when the test ends.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// isShared reports whether the url is that of the shared server, which has been started.
func isShared(url string) bool {
	conns := shared.conns.Load()
	return conns != nil && conns.Config().ConnString() == url
}

// execute runs a statement as the role of the url. Those of the shared server share
// connections: to make one takes more time than most statements.
func execute(t testing.TB, url, sql string, args ...any) {
	t.Helper()
	ctx := context.Background() // of cleanups too
	if isShared(url) {
		if _, err := shared.conns.Load().Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
		return
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, sql, args...); err != nil {
		t.Fatal(err)
	}
}

// open opens a store on a schema and closes it when the test ends. Those of the shared
// server share connections, of which there are more than the tests need at once: to make
// one takes 7 ms.
func open(t testing.TB, url, schema string) *postgres.Store {
	t.Helper()
	opts := &postgres.Options{Schema: schema}
	var s *postgres.Store
	var err error
	if isShared(url) {
		s, err = postgres.New(context.Background(), shared.stores, opts)
	} else {
		s, err = postgres.Open(context.Background(), url, opts)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
