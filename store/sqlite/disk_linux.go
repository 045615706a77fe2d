//go:build cgo

package sqlite

import (
	"path/filepath"
	"syscall"
)

// networkDisks are the file systems of other machines, by the number that statfs
// returns.
var networkDisks = map[uint32]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB 2",
	0x00c36400: "Ceph",
	0x01021997: "9P",
	0x5346414f: "AFS",
	0x0bd00bd0: "Lustre",
}

// networkDisk names the kind of network disk that the file is on; "": it is on none.
func networkDisk(path string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &s); err != nil {
		return ""
	}
	return networkDisks[uint32(s.Type)]
}

// freeDisk returns how many bytes this process may still write where the file is;
// -1: not known.
func freeDisk(path string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // Bsize has 32 bits on some machines
}
