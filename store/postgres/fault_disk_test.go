package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// newSmallDisk mounts a disk of that many MB, in memory, on a folder in the
// server's that is unmounted when the test ends, or skips the test where it may
// not mount.
func newSmallDisk(t *testing.T, s *server, name string, size int) (dir string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("left out: a small disk in memory needs Linux")
	}
	dir = filepath.Join(s.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("size=%dm,mode=0700", size)
	if c := s.attr.Credential; c != nil {
		options += fmt.Sprintf(",uid=%d,gid=%d", c.Uid, c.Gid)
	}
	mount := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", options, "contacts-test", dir)
	if out, err := mount.CombinedOutput(); err != nil {
		t.Skipf("left out: a small disk cannot be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Error(err)
		}
		if out, err := exec.CommandContext(context.Background(), "umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// newBallast fills the disk but for that many MB, and returns what makes space
// again.
func newBallast(t *testing.T, dir string, but int64) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, part := int64(0), make([]byte, 1<<20)
	for err == nil {
		var n int
		n, err = f.Write(part)
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Truncate(max(0, size-but<<20)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// fillDisk has callers create contacts, each until it is refused, and returns
// why they were.
func fillDisk(t *testing.T, s contacts.Store, account uuid.UUID, l *ledger) (refusals []error) {
	t.Helper()
	const callers, batchSize, most = 4, 50, 100_000
	refused := make([][]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for len(refused[i]) == 0 && l.acknowledged() < most {
				batch := contacts.MutationBatch{AllOrNothing: i%2 == 1, Now: noon}
				var records []*contacts.ContactRecord
				for range batchSize {
					r := newContact(account)
					records, batch.Mutations = append(records, r), append(batch.Mutations, creation(r))
				}
				err := applyBatch(context.Background(), s, batch)
				for _, r := range records {
					l.note(r, err)
				}
				if err != nil {
					refused[i] = append(refused[i], err)
				}
			}
		})
	}
	wg.Wait()
	refusals = slices.Concat(refused...)
	if len(refusals) == 0 {
		t.Fatalf("more than %d contacts fit on a small disk", most)
	}
	return refusals
}

// While the disk of the tables is full, creates are refused. They succeed as soon
// as there is space.
func TestFaultDiskFull(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	server := ownServer(t)
	dir := newSmallDisk(t, server, "tables", 32)
	execute(t, server.url(), "CREATE TABLESPACE small LOCATION '"+dir+"'")
	execute(t, server.url(), "ALTER DATABASE postgres SET default_tablespace = small")
	s := open(t, server.url(), "contacts")
	account := addAccount(t, s)
	free := newBallast(t, dir, 2)

	var l ledger
	for _, err := range fillDisk(t, s, account, &l) {
		if !errors.Is(err, postgres.ErrDiskFull) || errors.Is(err, contacts.ErrOutcomeUnknown) {
			t.Fatalf("a create on a full disk: got error %v, want ErrDiskFull", err)
		}
	}
	if len(l.stored) == 0 || !isWhole(t, s, l.stored[0]) {
		t.Error("contacts cannot be read on a full disk")
	}
	free()
	for range 100 {
		r := newContact(account)
		err := create(t.Context(), s, r)
		if err != nil {
			t.Fatalf("a create after space was made: %v", err)
		}
		l.note(r, err)
	}
	l.check(t, s)
}

// isServerGone reports whether the server ended before the create could be sent.
// A process of the server's own may find its log full while no create is under
// way: then every later create fails so.
func isServerGone(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	// A new connection is lost before it has its settings.
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(e.Code, "57P") // operator intervention: it is shutting down, or has crashed
}

// The disk of the write-ahead log is full, at which the server crashes. When it
// is back the same store goes on.
func TestFaultLogDiskFull(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const patience = time.Minute
	server := ownServer(t)
	dir := newSmallDisk(t, server, "log-disk", 64)
	if err := server.stop(); err != nil {
		t.Fatal(err)
	}
	wal := filepath.Join(server.data(), "pg_wal")
	cp := exec.CommandContext(t.Context(), "cp", "-a", wal+"/.", dir)
	cp.SysProcAttr = server.attr
	if out, err := cp.CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	if err := errors.Join(os.RemoveAll(wal), os.Symlink(dir, wal)); err != nil {
		t.Fatal(err)
	}
	if err := server.start("restart_after_crash=off"); err != nil { // it would not come back before there is space
		t.Fatal(err)
	}
	s := open(t, server.url(), "contacts")
	account := addAccount(t, s)
	// The segment of 16 MB that is there is nearly full, and there is no space for
	// one more.
	execute(t, server.url(), "SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 12000000))")
	free := newBallast(t, dir, 4)

	var l ledger
	for _, err := range fillDisk(t, s, account, &l) {
		if !errors.Is(err, postgres.ErrDiskFull) && !errors.Is(err, contacts.ErrOutcomeUnknown) && !isServerGone(err) {
			t.Errorf("a create on a full disk: got error %v, want ErrDiskFull, ErrOutcomeUnknown, or that the server is gone", err)
		}
	}
	select {
	case <-server.ended:
		server.process = nil
	case <-time.After(patience):
		t.Fatal("the server goes on without space for its log")
	}
	free()
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		r := newContact(account)
		err := create(t.Context(), s, r)
		if err != nil {
			t.Fatalf("a create after space was made and the server came back: %v", err)
		}
		l.note(r, err)
	}
	l.check(t, s)
}
