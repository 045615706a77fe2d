package memory

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A stored contact is all that the store keeps of a record, in one string: a few
// numbers first, and what a packer wrote. A record has some thirty pointers. The
// garbage collector would follow them in every contact, which takes more time than a
// create. "" is no contact.
type stored string

// Where the numbers are, each of eight bytes. The ids of the account and of the
// contact come after them.
const (
	atTeam = 8 * iota
	atVersion
	atCreated // see micros
	atUpdated
	atDeleted
	atIDs
	headSize = atIDs + 2*len(uuid.UUID{})
)

// pack returns the stored contact of a record, "" for nil. The do-not-call fields
// are not kept.
func pack(r *contacts.ContactRecord) stored {
	if r == nil {
		return ""
	}
	c := &r.Contact
	var room [512]byte // enough for most contacts
	p := packer(room[:headSize])
	for at, n := range [...]int64{c.TeamID, c.Version, micros(c.CreatedAt), micros(c.UpdatedAt), micros(c.DeletedAt)} {
		binary.LittleEndian.PutUint64(p[8*at:], uint64(n))
	}
	copy(p[atIDs:], c.AccountID[:])
	copy(p[atIDs+len(c.AccountID):], c.ID[:])
	for _, s := range texts(r) {
		p = p.string(*s)
	}
	p = p.number(len(c.Tags))
	for _, t := range c.Tags {
		p = p.string(t)
	}
	p = p.number(len(c.PhoneNumbers))
	for _, n := range c.PhoneNumbers {
		p = append(p, n.ID[:]...)
		p = p.string(n.PhoneNumber).string(n.PhoneType).bool(n.Primary)
	}
	return stored(p)
}

func (s stored) number(at int) int64 { return int64(binary.LittleEndian.Uint64([]byte(s[at : at+8]))) }

func (s stored) team() int64     { return s.number(atTeam) }
func (s stored) version() int64  { return s.number(atVersion) }
func (s stored) isDeleted() bool { return s.number(atDeleted) != noTime }

// record returns the record, which belongs to the caller.
func (s stored) record() *contacts.ContactRecord {
	r := &contacts.ContactRecord{Contact: contacts.Contact{
		TeamID: s.team(), Version: s.version(),
		CreatedAt: timeOf(s.number(atCreated)), UpdatedAt: timeOf(s.number(atUpdated)), DeletedAt: timeOf(s.number(atDeleted)),
	}}
	u := unpacker(s[atIDs:])
	u.id(&r.Contact.AccountID)
	u.id(&r.Contact.ID)
	for _, t := range texts(r) {
		*t = u.string()
	}
	if n := u.number(); n > 0 {
		r.Contact.Tags = make([]string, n)
		for i := range r.Contact.Tags {
			r.Contact.Tags[i] = u.string()
		}
	}
	if n := u.number(); n > 0 {
		r.Contact.PhoneNumbers = make([]contacts.PhoneNumber, n)
		for i := range r.Contact.PhoneNumbers {
			p := &r.Contact.PhoneNumbers[i]
			u.id(&p.ID)
			p.PhoneNumber, p.PhoneType, p.Primary = u.string(), u.string(), u.bool()
		}
	}
	return r
}

// packRecords appends the stored contact of each contact change, in their order.
func packRecords(records []stored, mutations []contacts.Mutation) []stored {
	for i := range mutations {
		for _, c := range mutations[i].Contacts {
			records = append(records, pack(c.Record))
		}
	}
	return records
}

// texts returns the texts of a record, in the order in which they are packed.
func texts(r *contacts.ContactRecord) [15]*string {
	c := &r.Contact
	return [...]*string{
		&c.FirstName, &c.LastName, &c.Email, &c.Company, &c.Website, &c.Address, &c.City, &c.State, &c.ZipCode, &c.Country,
		&c.Status, &c.Stage, &c.ExternalID, &r.CustomContext, &r.IndustryContext,
	}
}

// noTime stands for the zero time.
const noTime = math.MinInt64

// micros returns a time as microseconds since 1970.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMicro()
}

func timeOf(micros int64) time.Time {
	if micros == noTime {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// A packer holds texts and numbers, one after the other. Its methods return it with
// one more, as append does.
type packer []byte

// number appends seven bits a byte, the last ones first.
func (p packer) number(n int) packer {
	for ; n >= 0x80; n >>= 7 {
		p = append(p, byte(n)|0x80)
	}
	return append(p, byte(n))
}

func (p packer) string(s string) packer { return append(p.number(len(s)), s...) }

func (p packer) bool(b bool) packer {
	n := 0
	if b {
		n = 1
	}
	return p.number(n)
}

// An unpacker is the rest of what a packer wrote.
type unpacker string

func (u *unpacker) number() (n int) {
	for i := 0; ; i++ {
		b := (*u)[i]
		n |= int(b&0x7f) << (7 * i)
		if b < 0x80 {
			*u = (*u)[i+1:]
			return n
		}
	}
}

func (u *unpacker) bytes(n int) string {
	s := string((*u)[:n])
	*u = (*u)[n:]
	return s
}

func (u *unpacker) id(to *uuid.UUID) { copy(to[:], u.bytes(len(to))) }

func (u *unpacker) string() string { return u.bytes(u.number()) }

func (u *unpacker) bool() bool { return u.number() == 1 }
