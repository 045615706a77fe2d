package contacts

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"time"

	"github.com/google/uuid"
)

// A past is what earlier parts of a stream would have stored: no contacts, so that
// memory stays small, but who has which keys, and which numbers are blocked. A key or
// a number is a 64-bit hash, and two of one hash count as one. Nil is that of a call
// without earlier parts.
type past struct {
	seed  maphash.Seed
	limit int // how many keys are kept

	// Places in the stream, of three kinds. Of a match key: where the contact came
	// that has it. Of a stored contact that would be changed: where that was. Of a key
	// that such a contact would have no more: the same place. The lowest bit says that
	// more than one contact has the key.
	places map[uint64]uint64

	// For each idempotency key, a hash of the input. Its lowest bits are the place
	// of the result in pastResults.
	once map[uint64]uint64

	// The places of the contacts that have an external id, and of those that have an
	// e-mail address, where these are among the keys.
	named, mailed placeSet

	// For each number to which calls are to be blocked, since when, in microseconds
	// since 1970.
	asked map[uint64]int64

	// For each time of a block that a list would record, that time in the same form.
	blocked map[uint64]int64

	full bool // a key was not kept
}

// pastResults are the results that an idempotency key of a stream may have.
var pastResults = [...]Result{ResultCreated, ResultExisting, ResultUpdated, ResultUnchanged, ResultRestored}

const pastResultBits = 7

func newPast(limit int) *past {
	return &past{
		seed: maphash.MakeSeed(), limit: limit,
		places: make(map[uint64]uint64), once: make(map[uint64]uint64), asked: make(map[uint64]int64),
		blocked: make(map[uint64]int64),
	}
}

// A lostKey is a key that a stored contact would have no more.
type lostKey struct {
	id  uuid.UUID
	key MatchKey
}

// keep keeps what an overlay holds of a part of the stream that starts at a place.
func (p *past) keep(o *overlay, first int) {
	for _, s := range o.steps {
		if s.once != nil {
			p.keepOnce(s.once, s.result)
		}
		if s.after == nil {
			continue
		}
		id := s.after.Contact.ID
		r := o.records[id]
		if r.record.Contact.Version != s.after.Contact.Version { // a later step changed it again
			continue
		}
		place := uint64(first + r.place)
		keys := r.record.MatchKeys()
		p.hold(place, keys)
		if r.stored == nil {
			continue
		}
		p.put(maphash.Comparable(p.seed, id), place)
		for _, k := range r.stored.MatchKeys() {
			if !slices.Contains(keys, k) {
				p.put(maphash.Comparable(p.seed, lostKey{id, k}), place)
			}
		}
	}
	for number, at := range o.asked {
		hash := maphash.String(p.seed, number)
		if _, ok := p.asked[hash]; !ok && p.room() {
			p.asked[hash] = at.UnixMicro()
		}
	}
}

// askedAt returns since when calls to the number are to be blocked; zero: they are
// not.
func (p *past) askedAt(number string) time.Time {
	if p == nil {
		return time.Time{}
	}
	at, ok := p.asked[maphash.String(p.seed, number)]
	if !ok {
		return time.Time{}
	}
	return time.UnixMicro(at).UTC()
}

// A blockTime names a time of a block.
type blockTime struct {
	number, source, reason string
	n                      int  // how many blocks of the same were kept before
	end                    bool // when it expires, if it does, and not when it was said
}

// keepBlocks keeps the blocks that a step of a list would have recorded, and reports
// whether some of an earlier step were not kept.
func (p *past) keepBlocks(blocks []ledgerEntry) (full bool) {
	if p == nil {
		return false
	}
	full = p.full
	for i := range blocks {
		e := &blocks[i]
		k := blockTime{number: e.PhoneNumber, source: e.Source, reason: e.Reason, n: len(p.blocks(e))}
		if !e.ExpiresAt.IsZero() && p.room() {
			k.end = true
			p.blocked[maphash.Comparable(p.seed, k)] = e.ExpiresAt.UnixMicro()
			k.end = false
		}
		if p.room() { // the last, because without it the block is none
			p.blocked[maphash.Comparable(p.seed, k)] = e.At.UnixMicro()
		}
	}
	return full
}

// blocks returns the blocks of earlier steps with the number, source and reason of
// another. Those of other sources and reasons do not cover it.
func (p *past) blocks(e *ledgerEntry) (blocks []ledgerEntry) {
	if p == nil {
		return nil
	}
	for k := (blockTime{number: e.PhoneNumber, source: e.Source, reason: e.Reason}); ; k.n++ {
		at, ok := p.blocked[maphash.Comparable(p.seed, k)]
		if !ok {
			return blocks
		}
		b := ledgerEntry{DoNotCallEntry: DoNotCallEntry{
			Type: DoNotCallBlock, PhoneNumber: k.number, At: time.UnixMicro(at).UTC(), Source: k.source, Reason: k.reason,
		}}
		k.end = true
		if at, ok := p.blocked[maphash.Comparable(p.seed, k)]; ok {
			b.ExpiresAt = time.UnixMicro(at).UTC()
		}
		k.end = false
		blocks = append(blocks, b)
	}
}

// hold keeps that the contact of a place has the keys.
func (p *past) hold(place uint64, keys []MatchKey) {
	for _, k := range keys {
		if !p.put(maphash.Comparable(p.seed, k), place) {
			continue
		}
		switch k.Kind {
		case KeyExternalID:
			p.named.add(place)
		case KeyEmail:
			p.mailed.add(place)
		}
	}
}

// put keeps a place by its hash, and reports whether there was room for it.
func (p *past) put(hash, place uint64) (kept bool) {
	was, ok := p.places[hash]
	switch {
	case ok && was>>1 != place:
		p.places[hash] = was | 1
	case !ok && !p.room():
		return false
	case !ok:
		p.places[hash] = place << 1
	}
	return true
}

func (p *past) keepOnce(r *IdempotencyRecord, result Result) {
	hash := maphash.Comparable(p.seed, r.Key)
	if _, ok := p.once[hash]; ok || p.room() {
		p.once[hash] = p.input(r) | uint64(max(0, slices.Index(pastResults[:], result)))
	}
}

func (p *past) input(r *IdempotencyRecord) uint64 {
	return maphash.Comparable(p.seed, r.Input) &^ pastResultBits
}

// room reports whether one more key is kept.
func (p *past) room() bool {
	p.full = p.full || len(p.places)+len(p.once)+len(p.asked)+len(p.blocked) >= p.limit
	return !p.full
}

// replay returns the result of an earlier contact with the same idempotency key.
func (p *past) replay(r *IdempotencyRecord) (result Result, same, found bool) {
	if p == nil {
		return "", false, false
	}
	was, found := p.once[maphash.Comparable(p.seed, r.Key)]
	if !found {
		return "", false, false
	}
	return pastResults[was&pastResultBits], was&^pastResultBits == p.input(r), true
}

// holders returns the contacts that have a key.
func (p *past) holders(k MatchKey) []uuid.UUID {
	if p == nil {
		return nil
	}
	was, ok := p.places[maphash.Comparable(p.seed, k)]
	switch {
	case !ok:
		return nil
	case was&1 == 0:
		return []uuid.UUID{pastID(was >> 1)}
	default:
		return []uuid.UUID{pastID(was >> 1), pastID(unknownPlace)}
	}
}

// changed returns what stands for a stored contact that would be another; zero: it
// would not.
func (p *past) changed(id uuid.UUID) uuid.UUID {
	if p == nil {
		return uuid.Nil
	}
	was, ok := p.places[maphash.Comparable(p.seed, id)]
	if !ok {
		return uuid.Nil
	}
	return pastID(was >> 1)
}

// lost reports whether a stored contact would not have a key any more.
func (p *past) lost(id uuid.UUID, k MatchKey) bool {
	if p == nil {
		return false
	}
	_, lost := p.places[maphash.Comparable(p.seed, lostKey{id, k})]
	return lost
}

// A placeSet has a bit for each place.
type placeSet []uint64

func (s *placeSet) add(place uint64) {
	if more := int(place/64) + 1 - len(*s); more > 0 {
		*s = append(*s, make(placeSet, more)...)
	}
	(*s)[place/64] |= 1 << (place % 64)
}

func (s placeSet) has(place uint64) bool {
	return place/64 < uint64(len(s)) && s[place/64]>>(place%64)&1 == 1
}

// A contact of the past has an id that no other contact has: the place in the
// stream of what made it, or changed it first.
const (
	pastPrefix   = 1<<64 - 2
	unknownPlace = 1<<63 - 1
)

func pastID(place uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], pastPrefix)
	binary.BigEndian.PutUint64(id[8:], place)
	return id
}

func isPastID(id uuid.UUID) bool { return binary.BigEndian.Uint64(id[:8]) == pastPrefix }

func pastPlace(id uuid.UUID) uint64 { return binary.BigEndian.Uint64(id[8:]) }
