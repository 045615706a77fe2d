//go:build unix

package postgres

import (
	"errors"
	"net"
	"syscall"
)

// isAlive reports whether the connection is still there, as far as this side
// knows: the server has neither closed it nor said why it will. It asks nobody.
func isAlive(c net.Conn) bool {
	if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = wrapped.NetConn()
	}
	of, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := of.SyscallConn()
	if err != nil {
		return false
	}
	const fatal = 'E'
	alive := false
	err = raw.Control(func(fd uintptr) {
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN) || n > 0 && next[0] != fatal
	})
	return err == nil && alive
}
