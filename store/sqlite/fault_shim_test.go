//go:build cgo && linux

package sqlite_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"
)

// The variables that the shim reads.
const faultPath, faultControl, faultLog = "FAULT_PATH", "FAULT_CONTROL", "FAULT_LOG"

// A shim stands between SQLite and the system in another process, where it makes
// calls fail and logs what is written and synced: testdata/fault/shim.c.
type shim struct{ library, control, log string }

// newShim builds a shim. Where there is no C compiler the test is left out.
func newShim(t *testing.T) *shim {
	t.Helper()
	compiler := cmp.Or(os.Getenv("CC"), "gcc")
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("%s is left out: there is no C compiler %q here for testdata/fault/shim.c", t.Name(), compiler)
	}
	dir := t.TempDir()
	s := &shim{filepath.Join(dir, "shim.so"), filepath.Join(dir, "control"), filepath.Join(dir, "log")}
	build := exec.CommandContext(t.Context(), compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror",
		"-o", s.library, filepath.Join("testdata", "fault", "shim.c"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write(t, s.control, string(make([]byte, unsafe.Sizeof(control{}))))
	write(t, s.log, "")
	return s
}

// under returns the change that puts the shim under a process which uses the
// store at path.
func (s *shim) under(t *testing.T, path string, environment ...string) func(*exec.Cmd) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+s.library, faultPath+"="+filepath.Join(dir, filepath.Base(path)),
			faultControl+"="+s.control, faultLog+"="+s.log)
		cmd.Env = append(cmd.Env, environment...)
	}
}

// A kind of calls that the shim makes fail, in this process.
type calls uint32

const (
	writes      calls = 1
	syncs       calls = 2
	truncations calls = 4
	shortWrites calls = 8  // half of the data is written, and then writing fails
	walSyncs    calls = 16 // of the -wal file alone
)

// A control is what this process shares with the shim under it.
type control struct {
	attached atomic.Uint32
	calls    atomic.Uint32
	errno    atomic.Uint32
	nth      atomic.Int32
	full     atomic.Uint32
	_        uint32
	size     atomic.Uint64
}

// newControl returns the control of the shim under this process.
func newControl(t *testing.T) *control {
	t.Helper()
	f, err := os.OpenFile(os.Getenv(faultControl), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem, err := syscall.Mmap(int(f.Fd()), 0, int(unsafe.Sizeof(control{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	c := (*control)(unsafe.Pointer(unsafe.SliceData(mem)))
	if c.attached.Load() == 0 {
		t.Fatal("the shim is not under this process")
	}
	return c
}

// fail makes the n-th call of the kind fail, once.
func (c *control) fail(kind calls, errno syscall.Errno, n int) {
	c.calls.Store(uint32(kind))
	c.errno.Store(uint32(errno))
	c.nth.Store(int32(n))
}

// failed reports whether the call that was to fail has done so.
func (c *control) failed() bool { return c.nth.Load() <= 0 }

// fill leaves no space for a file that is larger than size.
func (c *control) fill(size int64) {
	c.size.Store(uint64(size))
	c.full.Store(1)
}

// free takes back fill.
func (c *control) free() { c.full.Store(0) }
