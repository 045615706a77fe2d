//go:build cgo

package sqlite

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A fileAt is the file that lies at a path, and its size.
type fileAt struct {
	major, minor uint32 // of its device
	inode        uint64
	size         int64
}

// findFile looks which file lies at a path. It does not ask for the file's times:
// once somebody has asked, the next write of the file gets a new time, and then the
// sync of a commit must write the inode too (multigrain timestamps, Linux 6.13).
func findFile(name string) (fileAt, error) {
	return statx(unix.AT_FDCWD, name, 0, func(s *unix.Stat_t) error { return unix.Stat(name, s) })
}

// fileOf looks which file an open one is.
func fileOf(f *os.File) (fileAt, error) {
	return statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, func(s *unix.Stat_t) error { return unix.Fstat(int(f.Fd()), s) })
}

// statx uses stat where there is no statx: Linux before 4.11, and containers that
// forbid it.
func statx(folder int, name string, flags int, stat func(*unix.Stat_t) error) (fileAt, error) {
	for {
		var x unix.Statx_t
		err := unix.Statx(folder, name, flags, unix.STATX_INO|unix.STATX_SIZE, &x)
		found := fileAt{major: x.Dev_major, minor: x.Dev_minor, inode: x.Ino, size: int64(x.Size)}
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
			var s unix.Stat_t
			err = stat(&s)
			found = fileAt{major: unix.Major(s.Dev), minor: unix.Minor(s.Dev), inode: s.Ino, size: s.Size}
		}
		switch {
		case err == nil:
			return found, nil
		case errors.Is(err, unix.EINTR):
		default:
			return fileAt{}, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
	}
}

// same reports whether both are one file.
func (f fileAt) same(other fileAt) bool {
	return f.major == other.major && f.minor == other.minor && f.inode == other.inode
}

// openToRead opens a file to read. Reading it does not change it: a new time of
// access would be written with the next commit. Only its owner may ask for that.
func openToRead(name string) (*os.File, error) {
	if f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOATIME, 0); err == nil {
		return f, nil
	}
	return os.Open(name)
}
