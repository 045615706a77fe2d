//go:build cgo

package sqlite

import (
	"io/fs"
	"os"
	"syscall"
)

// checkWritable asks whether the file may be written without opening it.
func checkWritable(path string) error {
	const (
		cwd       = -100  // AT_FDCWD
		write     = 2     // W_OK
		effective = 0x200 // AT_EACCESS
	)
	return syscall.Faccessat(cwd, path, write, effective)
}

// giveTo gives the named file the mode of another and, where this process may, its
// owner.
func giveTo(name string, of fs.FileInfo) error {
	if owner, ok := of.Sys().(*syscall.Stat_t); ok {
		_ = os.Chown(name, int(owner.Uid), int(owner.Gid)) // root may
	}
	return os.Chmod(name, of.Mode().Perm())
}
