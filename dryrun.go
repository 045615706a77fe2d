package contacts

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
)

// DryRun returns a view of the Service that stores nothing. Its methods do what
// those of s do, with the same checks, and answer as if it were stored: the contact
// that would be, the result, the changes, or the error. Nothing is kept, no
// idempotency key either. Reads are real reads. It shares everything with s; DryRun
// of a dry run is itself.
//
// If nothing else happens in between, the real call gives the same answer, but it is
// no reservation. Ids that the real call would make are zero. In a batch, each contact
// is judged as if those before it, and their do-not-call blocks, were stored. The
// parts of a stream keep no contacts, only who has which keys. An input that matches a
// contact of an earlier part has no Contact and no Changes, and Matched has the Index
// of that part's input. Such an upsert is ResultUpdated, also where the real one would
// change nothing. It is CodeDuplicateContact where the contact has another external id,
// and where it would get a key of another contact. An e-mail address that it overwrites
// still counts as a key of the contact. Limits.DryRunKeys bounds the memory.
func (s *Service) DryRun() *Service {
	if s.dryRun {
		return s
	}
	dry := *s
	dry.dryRun = true
	dry.ids = newIDSource(madeIDs())
	return &dry
}

// IsDryRun reports whether the Service is a dry run of another one.
func (s *Service) IsDryRun() bool { return s.dryRun }

// madePrefix starts the ids that a dry run makes. They are never shown.
const madePrefix = 1<<64 - 1

// madeIDs returns a function that makes them.
func madeIDs() func() uuid.UUID {
	var n atomic.Uint64
	n.Store(rand.Uint64() >> 1)
	return func() (id uuid.UUID) {
		binary.BigEndian.PutUint64(id[:8], madePrefix)
		binary.BigEndian.PutUint64(id[8:], n.Add(1))
		return id
	}
}

// withoutMade returns the id, or zero if the real call would make another.
func withoutMade(id uuid.UUID) uuid.UUID {
	if binary.BigEndian.Uint64(id[:8]) == madePrefix {
		return uuid.Nil
	}
	return id
}

// shown returns the contact of a draft, as the caller gets it.
func (c *call) shown(d *draft) Contact {
	contact := d.record.Contact
	contact.CustomContext, contact.IndustryContext = d.forms.custom, d.forms.industry
	contact.PhoneNumbers = slices.Clone(contact.PhoneNumbers)
	if c.dryRun {
		contact.ID = withoutMade(contact.ID)
		for i := range contact.PhoneNumbers {
			contact.PhoneNumbers[i].ID = withoutMade(contact.PhoneNumbers[i].ID)
		}
	}
	return contact
}

// result returns the contact of a draft, which the caller gets.
func (c *call) result(d *draft) *Contact {
	if !c.dryRun {
		return d.contact()
	}
	contact := c.shown(d)
	return &contact
}
