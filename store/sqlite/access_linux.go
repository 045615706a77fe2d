//go:build cgo

package sqlite

import "syscall"

// checkWritable asks whether the file may be written without opening it.
func checkWritable(path string) error {
	const (
		cwd       = -100  // AT_FDCWD
		write     = 2     // W_OK
		effective = 0x200 // AT_EACCESS
	)
	return syscall.Faccessat(cwd, path, write, effective)
}
