//go:build cgo && !linux

package sqlite

import (
	"io/fs"
	"os"
)

// A fileAt is the file that lies at a path, and its size.
type fileAt struct {
	info fs.FileInfo
	size int64
}

// findFile looks which file lies at a path.
func findFile(name string) (fileAt, error) { return found(os.Stat(name)) }

// fileOf looks which file an open one is.
func fileOf(f *os.File) (fileAt, error) { return found(f.Stat()) }

func found(info fs.FileInfo, err error) (fileAt, error) {
	if err != nil {
		return fileAt{}, err
	}
	return fileAt{info: info, size: info.Size()}, nil
}

// same reports whether both are one file.
func (f fileAt) same(other fileAt) bool { return os.SameFile(f.info, other.info) }

func openToRead(name string) (*os.File, error) { return os.Open(name) }
