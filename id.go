package contacts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
)

// An idSource makes the ids of contacts, phone numbers, accounts, keys, erasures and
// batches of events. It may be used from many goroutines at once.
type idSource struct {
	host   func() uuid.UUID // NewID of the options; nil: the ids are made here
	series uint64           // tells the ids from those of other sources with the same clock

	mu    sync.Mutex
	ticks int64  // the time of the newest id
	tail  uint64 // its last bits
}

// An id that is made here is a UUIDv7 (RFC 9562): its time in ticks, its series,
// and its tail. A tick is a 4,096th of a millisecond.
const (
	tickBits   = 12
	seriesBits = 40
	tailBits   = 22
)

// newIDSource returns a source of ids. host is NewID of the options.
func newIDSource(host func() uuid.UUID) *idSource {
	// Package uuid gives every id of the process a later time. So a source is known
	// by its beginning, and where the clock stands still, its ids come after those
	// of an older source.
	begin := uuid.Must(uuid.NewV7())
	return &idSource{host: host, series: binary.BigEndian.Uint64(begin[:8]) & (1<<seriesBits - 1)}
}

// next returns a new id of that time. Ids in the order of creation keep the
// writes to a store's index close together. So they ascend, although the clock may
// stand still or go back.
func (s *idSource) next(at time.Time) (id uuid.UUID, err error) {
	if s.host != nil {
		if id = s.host(); id == uuid.Nil {
			return id, errors.New("the NewID of the options returned the zero id; it must return a new one each time")
		}
		return id, nil
	}
	ticks := max(0, at.UnixMilli())<<tickBits | int64(at.Nanosecond()%1e6)<<tickBits/1e6
	random := rand.Uint64() // ChaCha8 of the runtime, which needs no system call
	s.mu.Lock()
	defer s.mu.Unlock()
	if ticks <= s.ticks {
		ticks = s.ticks
		s.tail += 1 + random%16
	} else {
		s.tail = random >> (64 - tailBits + 1)
	}
	if s.tail >= 1<<tailBits {
		ticks++
		s.tail = random >> (64 - tailBits + 1)
	}
	s.ticks = ticks
	const version, variant = 7 << tickBits, 1 << 63
	binary.BigEndian.PutUint64(id[:8], uint64(ticks)>>tickBits<<16|version|uint64(ticks)&(1<<tickBits-1))
	binary.BigEndian.PutUint64(id[8:], variant|s.series<<tailBits|s.tail)
	return id, nil
}

// A clock says what time it is. It is that of the options.
type clock func() time.Time

// read returns the time as stores keep it. Its error says that no contact can
// have this time.
func (c clock) read() (time.Time, error) {
	t, ok := setTime(c())
	if !ok {
		return t, fmt.Errorf("the clock is in the year %d: it %s", t.Year(), wrongYear)
	}
	return t, nil
}

// timestamp returns a time as stores keep it.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// setTime is timestamp for a time that is set: the zero time becomes the one after
// it. It reports whether stores may keep it.
func setTime(t time.Time) (time.Time, bool) {
	if t = timestamp(t); t.IsZero() {
		t = t.Add(time.Microsecond)
	}
	return t, inCalendar(t)
}

const wrongYear = "must be a time in the years 1 to 9999"

// inCalendar reports whether t is in the years that have a JSON form (RFC 3339),
// without the year 0.
func inCalendar(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// endOf returns when something ends that begins at t. It is a time that stores keep.
func endOf(t time.Time, lasts time.Duration) time.Time {
	if end := timestamp(t.Add(lasts)); inCalendar(end) {
		return end
	}
	return time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
}
