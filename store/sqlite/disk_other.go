//go:build cgo && !linux

package sqlite

// diskOf looks at the disk that the file is on. Here nothing is known of it.
func diskOf(string) disk { return unknownDisk }
