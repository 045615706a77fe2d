//go:build cgo && linux

package sqlite_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// Whichever call to the system fails, every caller is told the truth, which
// holds after a crash at that moment too, and the store goes on.
func TestFaultEachWriteAndSyncFails(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path, yes := inAnotherProcess()
	if !yes {
		path := newPath(t)
		relay(t, again(t, path, newShim(t).under(t, path)))
		return
	}
	c := newControl(t)
	told := 0
	for _, f := range []fault{
		{"sync", syncs, syscall.EIO, extent(10, 60), 1, true},
		{"sync, no space", syncs, syscall.ENOSPC, extent(3, 30), 1, true},
		{"write", writes, syscall.EIO, extent(40, 300), extent(4, 1), true},
		{"write, no space", writes, syscall.ENOSPC, extent(40, 300), extent(4, 1), false},
		{"half a write", shortWrites, syscall.EIO, extent(20, 150), extent(5, 1), true},
		{"half a write, no space", shortWrites, syscall.ENOSPC, extent(20, 150), extent(5, 1), false},
		{"truncation", truncations, syscall.EIO, extent(1, 10), 1, false},
	} {
		l := createWithFaults(t, path, c, f)
		stored, refused, unknown := l.counts()
		t.Logf("%s: %d stored, %d refused, %d unknown", f.name, stored, refused, unknown)
		if unknown > 0 && !f.unknown {
			t.Errorf("%s: the outcome of %d contacts is said to be unknown, and is known", f.name, unknown)
		}
		told += refused + unknown
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if told == 0 {
		t.Error("no caller was told of any failure")
	}
}

// A fault is a call to the system that fails: one of the first step of them,
// then the one that is step later, and so on to the last.
type fault struct {
	name       string
	kind       calls
	errno      syscall.Errno
	last, step int
	unknown    bool // a caller may be told that the outcome is unknown
}

// createWithFaults creates contacts in a new store while calls fail.
func createWithFaults(t *testing.T, path string, c *control, f fault) *ledger {
	// Every few transactions are to meet a checkpoint.
	s, err := faultPlan().Set("wal_autocheckpoint", "40", "40").Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := addTheAccount(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	all, seen := newLedger(), make(map[uuid.UUID]bool)
	for n := 1 + rand.IntN(f.step); n <= f.last; n += f.step {
		l := newLedger()
		c.fail(f.kind, f.errno, n)
		for !c.failed() {
			callers := 1 // half of the time: then a failure is its own
			if rand.IntN(2) == 0 {
				callers += rand.IntN(8)
			}
			crowd(callers, func() { wantDiskError(t, l.create(t.Context(), s), f.errno) })
		}
		checkCrash(t, path, l, seen)
		l.want(t, s)
		for range 2 { // the second proves that the first has left the store in order
			if err := l.create(t.Context(), s); err != nil {
				t.Errorf("Apply when the fault is gone: %v", err)
			}
		}
		checkCrash(t, path, l, seen)
		if t.Failed() {
			t.Fatalf("%s: call %d failed", f.name, n)
		}
		maps.Copy(all.told, l.told)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openFault(t, path)
	all.want(t, s)
	wantSoundAndWhole(t, path, s, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// wantDiskError checks that an error says what the disk said.
func wantDiskError(t *testing.T, err error, errno syscall.Errno) {
	t.Helper()
	want := error(errno)
	if errno == syscall.ENOSPC {
		want = sqlite.ErrDiskFull
	}
	if err != nil && !errors.Is(err, want) {
		t.Errorf("got error %v, want one that matches %v", err, want)
	}
}

// checkCrash opens what the store at path would find if this process were
// killed now, and checks that it holds what callers were told. What was seen
// before is not looked at again.
func checkCrash(t *testing.T, path string, l *ledger, seen map[uuid.UUID]bool) {
	t.Helper()
	copied := copyAsAfterCrash(t, path)
	defer os.RemoveAll(filepath.Dir(copied))
	s, err := faultPlan().Open(t.Context(), copied)
	if err != nil {
		t.Errorf("Open after a crash: %v", err)
		return
	}
	defer s.Close()
	l.want(t, s)
	wantSoundAndWhole(t, copied, s, seen)
}

// copyAsAfterCrash copies what the store at path would find if this process were
// killed now, and returns the path of the copy.
func copyAsAfterCrash(t *testing.T, path string) string {
	t.Helper()
	dir := filepath.Dir(newPath(t))
	// This process must not close these files: see copyFile.
	cp := exec.CommandContext(t.Context(), "cp", path, path+"-wal", dir)
	cp.Env = []string{}
	if out, err := cp.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, filepath.Base(path))
}

// A file that could not be made is made by the next Open.
func TestFaultEachWriteAndSyncOfOpenFails(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path, yes := inAnotherProcess()
	if !yes {
		path := newPath(t)
		relay(t, again(t, path, newShim(t).under(t, path)))
		return
	}
	c := newControl(t)
	for _, f := range []struct {
		kind  calls
		errno syscall.Errno
	}{{syncs, syscall.EIO}, {writes, syscall.EIO}, {writes, syscall.ENOSPC}, {shortWrites, syscall.ENOSPC}, {truncations, syscall.EIO}} {
		failures := 0
		step := extent(6, 1)
		for n := 1 + rand.IntN(step); ; n += step {
			for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
				os.Remove(path + suffix)
			}
			c.fail(f.kind, f.errno, n)
			s, err := sqlite.Open(t.Context(), path, nil)
			if err == nil {
				err = s.Close()
			}
			if err != nil {
				failures++
				wantDiskError(t, err, f.errno)
			}
			beyond := !c.failed()
			c.fail(f.kind, f.errno, 0)
			l := newLedger()
			s, err = faultPlan().Open(t.Context(), path)
			if err != nil {
				t.Fatalf("Open after one in which call %d of kind %d failed with %v: %v", n, f.kind, f.errno, err)
			}
			if err := errors.Join(addTheAccount(t.Context(), s), l.create(t.Context(), s)); err != nil {
				t.Errorf("Apply: %v", err)
			}
			l.want(t, s)
			wantSoundAndWhole(t, path, s, nil)
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			wantFiles(t, filepath.Dir(path), "contacts.db")
			if beyond {
				break
			}
		}
		if step == 1 && failures == 0 && f.kind != truncations {
			t.Errorf("calls of kind %d: none failed", f.kind)
		}
	}
}

// fillDisk creates contacts until the disk is full, and goes on when there is
// space again. The store is never reopened in between. Its callers are told for
// sure that nothing was stored, if known.
func fillDisk(t *testing.T, path string, known bool, fill, free func()) {
	s := openWithAccount(t, path)
	l := newLedger()
	for range extent(1, 10) {
		for range 20 {
			if err := l.create(t.Context(), s); err != nil {
				t.Fatalf("Apply: %v", err)
			}
		}
		fill()
		failures := func() int {
			_, refused, unknown := l.counts()
			return refused + unknown
		}
		for before, i := failures(), 0; failures() < before+40; i++ {
			if i == 1000 {
				t.Fatal("the disk is not full")
			}
			crowd(8, func() {
				switch err := l.create(t.Context(), s); {
				case err == nil: // the last space, or what a checkpoint has freed
				case !errors.Is(err, sqlite.ErrDiskFull):
					t.Errorf("Apply on a full disk: %v, want ErrDiskFull", err)
				case known && errors.Is(err, contacts.ErrOutcomeUnknown):
					t.Errorf("Apply on a full disk: %v: nothing was stored, for sure", err)
				}
			})
			if t.Failed() {
				return
			}
		}
		large := make([]*contacts.ContactRecord, extent(500, 2000))
		for i := range large {
			large[i] = contactOf(newID())
		}
		err := create(t.Context(), s, large...)
		wantErr(t, "Apply of a large batch", err, sqlite.ErrDiskFull)
		for _, r := range large {
			l.note(r.Contact.ID, err)
		}
		l.want(t, s)
		if _, err := s.FindAccount(t.Context(), theAccount); err != nil {
			t.Errorf("FindAccount on a full disk: %v", err)
		}
		free()
		for range 20 {
			if err := l.create(t.Context(), s); err != nil {
				t.Errorf("Apply when there is space again: %v", err)
			}
		}
		if err := create(t.Context(), s, large...); err != nil {
			t.Errorf("Apply of a large batch when there is space again: %v", err)
		}
		for _, r := range large {
			l.note(r.Contact.ID, nil)
		}
	}
	l.want(t, s)
	fill()
	if err := s.Close(); err != nil {
		t.Errorf("Close on a full disk: %v", err)
	}
	free()
	s = openFault(t, path)
	l.want(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filepath.Dir(path), "contacts.db")
	s = openFault(t, path)
	l.want(t, s)
	wantSoundAndWhole(t, path, s, nil)
	stored, refused, unknown := l.counts()
	t.Logf("%d stored, %d refused, %d unknown", stored, refused, unknown)
}

// largest returns the size of the larger file of the database.
func largest(t *testing.T, path string) int64 {
	t.Helper()
	var sizes []int64
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	return slices.Max(sizes)
}

func TestFaultNoSpaceLeft(t *testing.T) {
	t.Parallel()
	path, yes := inAnotherProcess()
	if !yes {
		path := newPath(t)
		relay(t, again(t, path, newShim(t).under(t, path)))
		return
	}
	c := newControl(t)
	fillDisk(t, path, true, func() { c.fill(largest(t, path) + 10_000) }, c.free)
}

func TestFaultFileSizeLimit(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path, yes := inAnotherProcess()
	if !yes {
		relay(t, again(t, newPath(t)))
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // writing fails instead
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	set := func(size uint64) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	// SQLite takes this for a disk that fails, of which it knows nothing more.
	fillDisk(t, path, false, func() { set(uint64(largest(t, path)) + 10_000) }, func() { set(limit.Cur) })
}

// A real disk that is full: a small one in memory, where one may be mounted.
func TestFaultSmallDisk(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path, yes := inAnotherProcess()
	if !yes {
		apart := func(cmd *exec.Cmd) {
			attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			if os.Getuid() != 0 {
				attr.Cloneflags = syscall.CLONE_NEWUSER
				attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
				attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
			}
			cmd.SysProcAttr = attr
		}
		if err := allowed(t, apart); err != nil {
			t.Skipf("%s is left out: this process may not have mounts of its own: %v", t.Name(), err)
		}
		relay(t, again(t, newPath(t), apart))
		return
	}
	dir := filepath.Dir(path)
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	remount := func(size string) {
		t.Helper()
		if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
			t.Fatal(err)
		}
	}
	fillDisk(t, path, true, func() {
		var used syscall.Statfs_t
		if err := syscall.Statfs(dir, &used); err != nil {
			t.Fatal(err)
		}
		remount(fmt.Sprint(int64(used.Blocks-used.Bfree)*used.Bsize + 40_960))
	}, func() { remount("1g") })
}

// allowed returns an error if a process with that change may not start, or may
// not mount.
func allowed(t *testing.T, change func(*exec.Cmd)) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "none", t.TempDir())
	change(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
