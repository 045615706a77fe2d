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

// diskOf looks at the disk that the file is on.
func diskOf(path string) disk {
	var s syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &s); err != nil {
		return unknownDisk
	}
	return disk{network: networkDisks[uint32(s.Type)], free: int64(s.Bavail) * int64(s.Bsize)} //nolint:unconvert // Bsize has 32 bits on some machines
}
