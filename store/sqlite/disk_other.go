//go:build cgo && !linux

package sqlite

// networkDisk names the kind of network disk that the file is on. Here it is not
// known.
func networkDisk(string) string { return "" }

// freeDisk returns how many bytes may still be written; -1: not known.
func freeDisk(string) int64 { return -1 }
