package memory

import (
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A stored contact is what the store keeps of a record: a few numbers, and one
// string with all the rest. A record has some thirty pointers. The garbage
// collector would follow them in every contact, which takes more time than a create.
// A stored contact is replaced and never changed.
type stored struct {
	id, account               uuid.UUID
	team, version             int64
	created, updated, deleted int64  // see micros
	text                      string // what a packer wrote
}

// pack returns the stored contact of a record; nil for no record. The do-not-call
// fields are not kept.
func pack(r *contacts.ContactRecord) *stored {
	if r == nil {
		return nil
	}
	c := &r.Contact
	var p packer
	p.Grow(sizeOf(r))
	for _, s := range texts(r) {
		p.string(*s)
	}
	p.number(len(c.Tags))
	for _, t := range c.Tags {
		p.string(t)
	}
	p.number(len(c.PhoneNumbers))
	for _, n := range c.PhoneNumbers {
		p.Write(n.ID[:])
		p.string(n.PhoneNumber)
		p.string(n.PhoneType)
		p.bool(n.Primary)
	}
	return &stored{
		id: c.ID, account: c.AccountID, team: c.TeamID, version: c.Version,
		created: micros(c.CreatedAt), updated: micros(c.UpdatedAt), deleted: micros(c.DeletedAt),
		text: p.String(),
	}
}

// record returns the record, which belongs to the caller.
func (s *stored) record() *contacts.ContactRecord {
	r := &contacts.ContactRecord{Contact: contacts.Contact{
		ID: s.id, AccountID: s.account, TeamID: s.team, Version: s.version,
		CreatedAt: timeOf(s.created), UpdatedAt: timeOf(s.updated), DeletedAt: timeOf(s.deleted),
	}}
	u := unpacker(s.text)
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
			copy(p.ID[:], u.bytes(len(p.ID)))
			p.PhoneNumber, p.PhoneType, p.Primary = u.string(), u.string(), u.bool()
		}
	}
	return r
}

// packRecords returns the stored contact of each contact change, in their order.
func packRecords(mutations []contacts.Mutation) []*stored {
	n := 0
	for i := range mutations {
		n += len(mutations[i].Contacts)
	}
	records := make([]*stored, 0, n)
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

// sizeOf returns the size of the packed record, or a little more.
func sizeOf(r *contacts.ContactRecord) int {
	const length, phone = 3, 24 // bytes for the length of a text, and beside the texts of a number
	n := 2 * length
	for _, s := range texts(r) {
		n += length + len(*s)
	}
	for _, t := range r.Contact.Tags {
		n += length + len(t)
	}
	for _, p := range r.Contact.PhoneNumbers {
		n += phone + len(p.PhoneNumber) + len(p.PhoneType)
	}
	return n
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

// A packer writes texts and numbers one after the other.
type packer struct{ strings.Builder }

// number writes seven bits a byte, the last ones first.
func (p *packer) number(n int) {
	for ; n >= 0x80; n >>= 7 {
		p.WriteByte(byte(n) | 0x80)
	}
	p.WriteByte(byte(n))
}

func (p *packer) string(s string) {
	p.number(len(s))
	p.WriteString(s)
}

func (p *packer) bool(b bool) {
	n := 0
	if b {
		n = 1
	}
	p.number(n)
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

func (u *unpacker) string() string { return u.bytes(u.number()) }

func (u *unpacker) bool() bool { return u.number() == 1 }
