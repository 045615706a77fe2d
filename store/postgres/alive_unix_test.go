//go:build unix

package postgres_test

import (
	"net"
	"os"
	"syscall"
	"testing"

	"example.com/contacts/store/postgres"
)

// An idle connection is alive as long as the server says nothing and does not close it.
func TestIsAlive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says string
		closes     bool
		alive      bool
	}{
		{"nothing", "", false, true},
		{"the end", "", true, false},
		{"an error", "E", false, false},
		{"an error and the end", "E", true, false},
		{"a notice and the end", "N", true, false},
	} {
		client, server := connected(t)
		if _, err := server.Write([]byte(c.says)); err != nil {
			t.Fatal(err)
		}
		if c.closes {
			server.Close()
		}
		if got := postgres.IsAlive(client); got != c.alive {
			t.Errorf("%s: alive is %t, want %t", c.name, got, c.alive)
		}
	}
}

// connected returns the ends of a connection. What one writes is at the other at once.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		if ends[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close() // FileConn has a copy
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}
