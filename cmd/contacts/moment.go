package main

import (
	"fmt"
	"time"
)

// A moment is a time of RFC 3339, or a date, which is its beginning in UTC.
type moment struct{ time.Time }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *moment) UnmarshalText(text []byte) (err error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if m.Time, err = time.Parse(layout, string(text)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is no time: give a date such as 2026-11-27, or a time such as 2026-11-27T08:30:00Z", text)
}

// after returns the end of a period that begins at the moment, or now where that is
// zero. The zero period has none.
func (m moment) after(p period) time.Time {
	start := m.Time
	switch {
	case p == 0:
		return time.Time{}
	case start.IsZero():
		start = time.Now()
	}
	return start.Add(time.Duration(p))
}
