//go:build cgo && !linux

package sqlite

import (
	"io/fs"
	"os"
)

// checkWritable leaves it to migrate to find that a file cannot be written.
// SQLite has then made its other files beside it.
func checkWritable(string) error { return nil }

// giveTo gives the named file the mode of another.
func giveTo(name string, of fs.FileInfo) error { return os.Chmod(name, of.Mode().Perm()) }
