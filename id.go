package contacts

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// newID returns a UUIDv7. Ids in the order of creation keep the writes to a
// store's index close together.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7FromReader(randomBits{})) } // fails only if its reader does

// randomBits reads from the runtime's ChaCha8, which needs no system call.
type randomBits struct{}

func (randomBits) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		var bits [8]byte
		binary.LittleEndian.PutUint64(bits[:], rand.Uint64())
		copy(p[i:], bits[:])
	}
	return len(p), nil
}

// siblingID returns a UUIDv7 of the same instant as id, with random bits of its
// own. A part of a contact gets its id so, without another look at the clock.
func siblingID(id uuid.UUID) uuid.UUID {
	const variant, random = 0x8000_0000_0000_0000, 0x3fff_ffff_ffff_ffff // RFC 9562, section 5.7
	binary.BigEndian.PutUint64(id[8:], variant|rand.Uint64()&random)
	return id
}

// timestamp returns a time as stores keep it.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// nonZeroTimestamp is timestamp where the zero time would mean something else.
func nonZeroTimestamp(t time.Time) time.Time {
	if t = timestamp(t); t.IsZero() {
		return t.Add(time.Microsecond)
	}
	return t
}
