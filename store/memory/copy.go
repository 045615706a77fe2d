package memory

import (
	"time"

	"example.com/contacts"
)

// An arena holds copies of records, which share no slice with the originals.
type arena struct {
	records []contacts.ContactRecord
	phones  []contacts.PhoneNumber
	tags    []string
}

// A common holds one contact of common size.
type common struct {
	records [1]contacts.ContactRecord
	phones  [2]contacts.PhoneNumber
	tags    [2]string
}

// newArena returns an arena with room for so many. It takes one allocation for
// one contact of common size, else three.
func newArena(records, phones, tags int) arena {
	if records == 1 && phones <= len(common{}.phones) && tags <= len(common{}.tags) {
		c := new(common)
		return arena{c.records[:0], c.phones[:0], c.tags[:0]}
	}
	return arena{
		records: make([]contacts.ContactRecord, 0, records),
		phones:  make([]contacts.PhoneNumber, 0, phones),
		tags:    make([]string, 0, tags),
	}
}

// add appends a copy of the record without its do-not-call fields, which are not
// kept. nil is a record without anything.
func (a *arena) add(r *contacts.ContactRecord) *contacts.ContactRecord {
	a.records = a.records[:len(a.records)+1]
	c := &a.records[len(a.records)-1]
	if r != nil {
		*c = *r
		c.Contact.DoNotCallSequence, c.Contact.DoNotCallChangesAt = 0, time.Time{}
		c.Contact.PhoneNumbers = place(&a.phones, r.Contact.PhoneNumbers)
		for i := range c.Contact.PhoneNumbers {
			p := &c.Contact.PhoneNumbers[i]
			p.DoNotCall, p.DoNotCallDate, p.DoNotCallReason = false, time.Time{}, ""
		}
		c.Contact.Tags = place(&a.tags, r.Contact.Tags)
	}
	return c
}

// place appends list to all and returns that part of all; nil for an empty one.
func place[E any](all *[]E, list []E) []E {
	if len(list) == 0 {
		return nil
	}
	n := len(*all)
	*all = append(*all, list...)
	return (*all)[n:]
}

func copyContact(r *contacts.ContactRecord) *contacts.ContactRecord {
	a := newArena(1, len(r.Contact.PhoneNumbers), len(r.Contact.Tags))
	return a.add(r)
}

// copyRecords returns a copy of the record of each contact change, in their
// order. A change without a record has a zero one.
func copyRecords(mutations []contacts.Mutation) []contacts.ContactRecord {
	var records, phones, tags int
	for i := range mutations {
		for _, c := range mutations[i].Contacts {
			records++
			if c.Record != nil {
				phones += len(c.Record.Contact.PhoneNumbers)
				tags += len(c.Record.Contact.Tags)
			}
		}
	}
	a := newArena(records, phones, tags)
	for i := range mutations {
		for _, c := range mutations[i].Contacts {
			a.add(c.Record)
		}
	}
	return a.records
}
