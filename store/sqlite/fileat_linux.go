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
func findFile(name string) (fileAt, error) { return statx(unix.AT_FDCWD, name, 0) }

// fileOf looks which file an open one is.
func fileOf(f *os.File) (fileAt, error) { return statx(int(f.Fd()), "", unix.AT_EMPTY_PATH) }

func statx(folder int, name string, flags int) (fileAt, error) {
	var s unix.Statx_t
	for {
		err := unix.Statx(folder, name, flags, unix.STATX_INO|unix.STATX_SIZE, &s)
		switch {
		case err == nil:
			return fileAt{major: s.Dev_major, minor: s.Dev_minor, inode: s.Ino, size: int64(s.Size)}, nil
		case errors.Is(err, unix.EINTR):
		default:
			return fileAt{}, &fs.PathError{Op: "statx", Path: name, Err: err}
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
