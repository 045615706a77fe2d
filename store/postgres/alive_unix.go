//go:build unix

package postgres

import (
	"errors"
	"net"
	"syscall"
)

// isAlive reports whether the connection is still there, as far as this side
// knows: the server has neither closed it nor said anything. To an idle connection it
// says only why it closes it. isAlive asks nobody.
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
	alive := false
	err = raw.Control(func(fd uintptr) {
		var next [1]byte
		_, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && alive
}
