package contactstest

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/google/uuid"
)

// A Clock is a clock that stands still, and a source of ids that are the same in
// every run. With both, a test can compare whole contacts with a golden file:
//
//	var clock contactstest.Clock
//	f := contactstest.New(t, &contacts.Options{Now: clock.Now, NewID: clock.NewID})
//
// The zero value is ready. It says noon of 1 January 2026, UTC, until
// [Clock.Advance] moves it. A Clock is safe for concurrent use.
type Clock struct {
	mu      sync.Mutex
	elapsed time.Duration
	ids     uint64
}

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Add(c.elapsed)
}

// Advance moves the clock by d. A negative d moves it back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elapsed += d
}

// NewID returns the next id: a UUIDv7 of the time of the clock, with the numbers
// 1, 2, 3, … in place of random bits. The ids ascend unless the clock goes back.
func (c *Clock) NewID() (id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids++
	const version, variant = 7 << 12, 0x8000_0000_0000_0000
	binary.BigEndian.PutUint64(id[:8], uint64(c.now().UnixMilli())<<16|version)
	binary.BigEndian.PutUint64(id[8:], variant|c.ids)
	return id
}
