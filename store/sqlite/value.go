//go:build cgo

package sqlite

import (
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
)

// The zero value of a text, number or time that may be absent is NULL in the
// file. The functions that read take a column as the driver gives it.

func optional(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func blob(v any) []byte {
	b, _ := v.([]byte)
	return b
}

func number(n int64) driver.Value {
	if n == 0 {
		return nil
	}
	return n
}

func integer(v any) int64 {
	n, _ := v.(int64)
	return n
}

func micros(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func instant(v any) time.Time {
	n, ok := v.(int64)
	if !ok {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func id(v any) (u uuid.UUID) {
	copy(u[:], blob(v))
	return u
}
