//go:build cgo && unix

package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

var roles = map[string]role{
	// opens the file, adds an account, prints it and closes
	"add an account": func(ctx context.Context, path string) error {
		s, err := sqlite.Open(ctx, path, nil)
		if err != nil {
			return err
		}
		a, err := newAccount(ctx, s)
		fmt.Println(a)
		return errors.Join(err, s.Close())
	},
	// creates contacts until it is killed, and prints each account and id that
	// was acknowledged
	"create": func(ctx context.Context, path string) error {
		s, err := sqlite.Open(ctx, path, nil)
		if err != nil {
			return err
		}
		a, err := newAccount(ctx, s)
		for err == nil {
			r := newContact(a)
			if err = create(ctx, s, r); err == nil {
				fmt.Println(a, r.Contact.ID)
			}
		}
		return err
	},
	// creates many contacts, each on its own
	"create many": func(ctx context.Context, path string) error {
		s, err := sqlite.Open(ctx, path, nil)
		if err != nil {
			return err
		}
		a, err := newAccount(ctx, s)
		fmt.Println(a)
		for range many {
			err = errors.Join(err, create(ctx, s, newContact(a)))
		}
		return errors.Join(err, s.Close())
	},
	// holds the write lock until it is asked to end
	"lock": func(ctx context.Context, path string) error {
		db, err := sql.Open("sqlite3", sqlite.URI(path, "mode=rw"))
		if err != nil {
			return err
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		fmt.Println("locked")
		untilAsked()
		return nil
	},
	// says whether another process has the file open
	"see the lock": func(_ context.Context, path string) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		// The bytes that a connection locks for as long as it is open
		// (sqlite.org/src, os_unix.c: SHARED_FIRST and SHARED_SIZE).
		lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 1<<30 + 2, Len: 510}
		if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil {
			return err
		}
		if lock.Type == syscall.F_UNLCK {
			fmt.Println("free")
		} else {
			fmt.Println("locked")
		}
		return nil
	},
	// is about to recover the log, until it is asked to end
	"seize": func(_ context.Context, path string) error {
		f, err := os.OpenFile(path+"-shm", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		// The locks to write, to checkpoint and to recover, and the header of the
		// index in its two copies (sqlite.org/walformat.html, 2).
		lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 120, Len: 3}
		if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &lock); err != nil {
			return err
		}
		if _, err := f.WriteAt(make([]byte, 2*48), 0); err != nil {
			return err
		}
		fmt.Println("seized")
		untilAsked()
		return nil
	},
	// is killed by its own second migration, after its last statement
	"migrate": func(ctx context.Context, path string) error {
		_, err := dyingPlan(func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) }).Open(ctx, path)
		return fmt.Errorf("alive: %w", err)
	},
	// opens, uses and closes stores, and prints the descriptors before and after
	"descriptors": func(ctx context.Context, path string) error {
		for i := range 4 {
			s, err := sqlite.Open(ctx, path, nil)
			if err != nil {
				return err
			}
			a, err := newAccount(ctx, s)
			if err != nil {
				return err
			}
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() { s.FindAccount(ctx, a) })
			}
			wg.Wait()
			if err := s.Close(); err != nil {
				return err
			}
			entries, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				return err
			}
			if i == 0 || i == 3 { // the first one also opens what Go keeps
				fmt.Println(len(entries))
			}
		}
		return nil
	},
	// prints which of the errors Open returns, and its words
	"open": func(ctx context.Context, path string) error {
		s, err := sqlite.Open(ctx, path, nil)
		if err == nil {
			s.Close()
		}
		fmt.Println(errors.Is(err, sqlite.ErrReadOnly), errors.Is(err, fs.ErrPermission), err)
		return nil
	},
}

const many = 200

// dyingPlan has a second migration that calls f when all is done but the commit.
func dyingPlan(f func()) *sqlite.Plan {
	return sqlite.NewPlan().
		Migrate("second", "CREATE TABLE second (x); INSERT INTO second VALUES (1); SELECT die()").
		Connected(func(c *sqlite3.SQLiteConn) error {
			return c.RegisterFunc("die", func() int { f(); return 0 }, false)
		})
}

func TestEightProcessesCreate(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for range extent(1, 5) {
		path := newPath(t)
		var all []*process
		for range 8 {
			all = append(all, start(t, "add an account", path))
		}
		var ids []uuid.UUID
		for _, p := range all {
			ids = append(ids, uuid.MustParse(p.line()))
			p.end(t)
		}
		s := open(t, path)
		for _, a := range ids {
			if _, err := s.FindAccount(t.Context(), a); err != nil {
				t.Error(err)
			}
		}
		s.Close()
		// Only now: of two that close at once, each may leave the log to the other.
		wantFiles(t, filepath.Dir(path), "contacts.db")
	}
}

// The same within one process, where a careless close drops everybody's locks.
func TestEightStoresCreate(t *testing.T) {
	t.Parallel()
	for range extent(1, 5) {
		path := newPath(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := sqlite.Open(t.Context(), path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := newAccount(t.Context(), s); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s := open(t, path)
		list, err := s.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 100})
		if err != nil || len(list.Accounts) != 8 {
			t.Errorf("%d accounts, %v; want 8", len(list.Accounts), err)
		}
		s.Close()
		wantFiles(t, filepath.Dir(path), "contacts.db")
	}
}

// Whatever this process opens and closes, another one must find that it has the
// file open: else that one, when it closes, removes the log. Newer versions of
// SQLite have a second look before they do, so the test looks at the lock itself.
func TestLocksSurviveAnotherOpen(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path := newPath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	r := mustCreate(t, s, a)

	check := func(when string) {
		t.Helper()
		start(t, "add an account", path).end(t)
		if !exists(path + "-wal") {
			t.Fatalf("%s, another process has removed the -wal file that this one uses", when)
		}
		p := start(t, "see the lock", path)
		if got := p.line(); got != "locked" {
			t.Errorf("%s, another process finds the file %s", when, got)
		}
		p.end(t)
	}
	check("before all")
	other := open(t, path)
	check("after an Open")
	other.Close()
	check("after a Close")
	if _, err := sqlite.NewPlan().Set("nonsense", "1", "1").Open(t.Context(), path); err == nil {
		t.Fatal("a bad plan was no error")
	}
	check("after an Open that failed")
	later := mustCreate(t, s, a)
	other = open(t, path)
	wantContact(t, other, a, r.Contact.ID)
	wantContact(t, other, a, later.Contact.ID)
}

// Turning on the log needs the file alone.
func TestLogTurnedOff(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	open(t, path).Close()
	db := plain(t, path)
	exec1(t, db, "PRAGMA journal_mode = DELETE")
	exec1(t, db, "BEGIN; SELECT * FROM account")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := sqlite.Open(ctx, path, nil)
	wantErr(t, "Open while another connection reads", err, context.DeadlineExceeded)
	exec1(t, db, "COMMIT")
	if mode, err := open(t, path).WriterPragma("journal_mode"); err != nil || mode != "wal" {
		t.Errorf("journal_mode is %v, %v", mode, err)
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for range extent(1, 3) {
		p := start(t, "create", path)
		var acknowledged [][2]uuid.UUID
		note := func(line string) bool {
			account, id, ok := strings.Cut(line, " ")
			if ok {
				acknowledged = append(acknowledged, [2]uuid.UUID{uuid.MustParse(account), uuid.MustParse(id)})
			}
			return ok
		}
		for range many {
			note(p.line())
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for note(p.line()) { // what it said before it died
		}
		p.Wait()
		if len(acknowledged) < many {
			t.Fatalf("the process acknowledged %d contacts, want %d", len(acknowledged), many)
		}
		if !exists(path + "-wal") {
			t.Fatal("there is no -wal file: the process was not killed in the middle")
		}
		s := open(t, path)
		for _, id := range acknowledged {
			wantContact(t, s, id[0], id[1])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wantSound(t, path)
	}
}

// wantSound lets SQLite check the file.
func wantSound(t *testing.T, path string) {
	t.Helper()
	var verdict string
	db := plain(t, path)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
}

func TestKilledInMigration(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	p := start(t, "migrate", path)
	for p.line() != "" {
	}
	exit, _ := errors.AsType[*exec.ExitError](p.Wait())
	if exit == nil || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process was not killed: %v", exit)
	}

	s := open(t, path) // this program knows the first step alone, which is whole
	a := mustAccount(t, s)
	if v, err := s.WriterPragma("user_version"); err != nil || v != int64(sqlite.Versions()) {
		t.Errorf("user_version is %v, %v", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantSound(t, path)

	taken := 0
	for range 2 { // the step is taken once
		s, err := dyingPlan(func() { taken++ }).Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindAccount(t.Context(), a); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	if taken != 1 {
		t.Errorf("the second step was taken %d times", taken)
	}
}

// A step that fails is undone, and the file stays as it was.
func TestMigrationFails(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	open(t, path).Close()
	_, err := sqlite.NewPlan().Migrate("bad", "CREATE TABLE half (x); INSERT INTO nothing VALUES (1)").Open(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("Open: %v, want an error that names the step", err)
	}
	mustAccount(t, open(t, path))
}

func TestTwoProcessesWrite(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	p := start(t, "create many", path)
	theirs := uuid.MustParse(p.line())
	ours := mustAccount(t, s)
	for range many {
		mustCreate(t, s, ours)
	}
	p.end(t)
	for _, a := range []uuid.UUID{ours, theirs} {
		var n int
		db := plain(t, path)
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM contact WHERE account_id = ?", a.String()).Scan(&n); err != nil || n != many {
			t.Errorf("%d contacts, %v; want %d", n, err, many)
		}
		db.Close()
	}
}

// While another process holds the write lock, calls that write end with their
// context, and calls that read go on.
func TestLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	r := mustCreate(t, s, a)
	p := start(t, "lock", path)
	if p.line() != "locked" {
		t.Fatal("the other process has no lock")
	}
	stillLocked := func() {
		t.Helper()
		_, err := plain(t, path).ExecContext(t.Context(), "BEGIN IMMEDIATE")
		if e, _ := errors.AsType[sqlite3.Error](err); e.Code != sqlite3.ErrBusy {
			t.Errorf("the other process holds the lock no more: %v", err)
		}
	}
	waiting := map[string]func(context.Context) error{
		"Apply":          func(ctx context.Context) error { return create(ctx, s, newContact(a)) },
		"AddToDirectory": func(ctx context.Context) error { _, err := newAccount(ctx, s); return err },
		"UpdateDirectory": func(ctx context.Context) error {
			return s.UpdateDirectory(ctx, contacts.DirectoryUpdate{AccountID: a, At: noon})
		},
		"Open": func(ctx context.Context) error { _, err := sqlite.Open(ctx, path, nil); return err },
	}
	for name, call := range waiting {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := call(ctx)
		cancel()
		wantErr(t, name, err, context.DeadlineExceeded)
		if err != nil && strings.Contains(err.Error(), "database is locked") {
			t.Errorf("%s: %v", name, err)
		}
		stillLocked()
	}

	// Of many at once, one has the connection and the others wait for it.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	var wg sync.WaitGroup
	for range 8 {
		for name, call := range waiting {
			wg.Go(func() { wantErr(t, name, call(ctx), context.DeadlineExceeded) })
		}
	}
	wg.Wait()
	cancel()
	stillLocked()

	wantContact(t, s, a, r.Contact.ID)
	if _, err := s.FindAccount(t.Context(), a); err != nil {
		t.Error(err)
	}
	stillLocked()

	// A call that can wait gets its turn.
	done := make(chan error)
	go func() { done <- create(t.Context(), s, newContact(a)) }()
	p.end(t)
	if err := <-done; err != nil {
		t.Errorf("Apply after the lock: %v", err)
	}
}

// A process that has the file to itself keeps readers out, too.
func TestFileExclusive(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	open(t, path).Close()
	db := plain(t, path)
	exec1(t, db, "PRAGMA locking_mode = EXCLUSIVE; UPDATE account SET name = name")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := sqlite.Open(ctx, path, nil)
	wantErr(t, "Open", err, context.DeadlineExceeded)

	opened := make(chan error)
	go func() {
		s, err := sqlite.Open(t.Context(), path, nil)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	db.Close()
	if err := <-opened; err != nil {
		t.Errorf("Open after the lock: %v", err)
	}
}

// A reader waits as well, while another process recovers the log.
func TestReaderWaits(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	p := start(t, "seize", path)
	if p.line() != "seized" {
		t.Fatal("the other process has no lock")
	}
	read := make(chan error, 1)
	go func() {
		_, err := s.FindAccount(t.Context(), a)
		read <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.FindAccount(ctx, a)
	wantErr(t, "FindAccount with a deadline", err, context.DeadlineExceeded)
	select {
	case err := <-read:
		t.Errorf("FindAccount returned while the log was locked: %v", err)
	default:
		p.end(t)
		if err := <-read; err != nil {
			t.Errorf("FindAccount after the lock: %v", err)
		}
	}
}

// Close copies the log where others use the file, too.
func TestCloseCheckpoints(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	other := open(t, path)
	s := open(t, path)
	mustCreate(t, s, mustAccount(t, s))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("the -wal file after Close: %v, %v", info, err)
	}
	mustAccount(t, other)
}

// The -wal file that a long read made grow is small again soon after it.
func TestLogIsCutAfterALongRead(t *testing.T) {
	t.Parallel()
	const limit = 200_000
	path := newPath(t)
	s := mustOpen(t, sqlite.NewPlan().Set("journal_size_limit", fmt.Sprint(limit), fmt.Sprint(limit)).Set("wal_autocheckpoint", "10", "10"), path)
	defer s.Close()
	a := mustAccount(t, s)
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	db := plain(t, path)
	exec1(t, db, "BEGIN")
	exec1(t, db, "SELECT count(*) FROM contact_data")
	for size() <= 2*limit {
		mustCreate(t, s, a)
	}
	exec1(t, db, "COMMIT")
	// One create copies the log into the file, and the next begins it anew, unless
	// another transaction of the store reads it just then. Where a sync costs
	// nothing, hundreds of creates fit in the time slice that such a read waits for.
	const most = 5000
	for creates := 0; size() > limit; creates++ {
		if creates == most {
			t.Fatalf("the -wal file has %d bytes after %d creates, want %d at the most", size(), creates, limit)
		}
		mustCreate(t, s, a)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	p := start(t, "descriptors", path)
	if first, last := p.line(), p.line(); first != last || first == "" {
		t.Errorf("%s descriptors after the first Close, %s after the fourth", first, last)
	}
	p.end(t)
	wantFiles(t, filepath.Dir(path), "contacts.db")
}

// No test runs beside this one, which is not parallel.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	s := open(t, newPath(t))
	a := mustAccount(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 100 {
		if _, err := s.FindAccount(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// database/sql ends its goroutine soon after its Close.
	for began := time.Now(); runtime.NumGoroutine() > before; {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
		runtime.Gosched()
	}
}

// A place that a user who is not root cannot write.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	if runtime.GOOS != "linux" {
		t.Skip("the other user is nobody, 65534 on Linux")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var unprivileged func(*exec.Cmd)
	if os.Getuid() == 0 {
		unprivileged = func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		binary := filepath.Join(publicDir(t), "test")
		copyFile(t, binary, exe, 0o755)
		exe = binary
	} else {
		unprivileged = func(*exec.Cmd) {}
	}
	for _, c := range []struct {
		name         string
		file, folder fs.FileMode // of the file, 0 for none, and of its folder
		want         string
		names        string // what the error must name; FOLDER is that of the file
		beside       string // the suffix of one more file
		mode         fs.FileMode
	}{
		{"no file, read-only folder", 0, 0o555, "true true", "folder FOLDER: ", "", 0},
		{"read-only file and folder", 0o444, 0o555, "true true", `"FOLDER/contacts.db": it cannot`, "", 0},
		{"read-only file", 0o444, 0o777, "true true", `"FOLDER/contacts.db": it cannot`, "", 0},
		{"read-only folder", 0o666, 0o555, "true true", "folder FOLDER: ", "", 0},
		{"unreadable file", 0o222, 0o777, "false true", `"FOLDER/contacts.db"`, "", 0},
		{"read-only -wal file", 0o666, 0o777, "true true", "FOLDER/contacts.db-wal: ", "-wal", 0o444},
		{"unreadable -wal file", 0o666, 0o777, "false true", "FOLDER/contacts.db-wal: ", "-wal", 0o222},
		{"read-only -shm file", 0o666, 0o777, "true true", "FOLDER/contacts.db-shm: ", "-shm", 0o444},
		{"read-only -journal file", 0o666, 0o777, "true true", "FOLDER/contacts.db-journal: ", "-journal", 0o444},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := publicDir(t)
			path := filepath.Join(dir, "contacts.db")
			var files []string
			if c.file != 0 {
				open(t, path).Close()
				if err := os.Chmod(path, c.file); err != nil {
					t.Fatal(err)
				}
				files = append(files, "contacts.db")
			}
			if c.beside != "" {
				write(t, path+c.beside, "")
				if err := os.Chmod(path+c.beside, c.mode); err != nil {
					t.Fatal(err)
				}
				files = append(files, "contacts.db"+c.beside)
			}
			if err := os.Chmod(dir, c.folder); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(dir, 0o700) })
			p := startBinary(t, exe, "open", path, unprivileged)
			got := p.line()
			p.end(t)
			if !strings.HasPrefix(got, c.want+" ") {
				t.Errorf("Open: matches ErrReadOnly, fs.ErrPermission: %s; want %s", got, c.want)
			}
			if names := strings.ReplaceAll(c.names, "FOLDER", dir); !strings.Contains(got, names) {
				t.Errorf("Open: %s; want it to name %s", got, names)
			}
			wantFiles(t, dir, files...)
		})
	}
}

// publicDir returns a folder that any user reaches: those of t.TempDir are
// below one that others may not enter.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "contacts-sqlite-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
