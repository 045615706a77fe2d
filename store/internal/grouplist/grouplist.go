// Package grouplist makes the pages of groups of contacts that stores return.
package grouplist

import "example.com/contacts"

// maxBytes is how many bytes of contacts make a page full.
const maxBytes = 4 << 20

// A Page is a page of groups as it is made. A large one is full before its Limit.
type Page struct {
	contacts.ContactList
	limit int
	bytes int
	last  string // the position of the last group
}

// New returns an empty page of at most limit groups.
func New(limit int) Page { return Page{limit: limit} }

// Add adds the next group. Where the page is full it sets Position, and returns
// false.
func (p *Page) Add(g contacts.ContactGroup, damaged []*contacts.DamagedError, position string) bool {
	if len(p.Groups) >= p.limit || p.bytes >= maxBytes {
		p.Position = p.last
		return false
	}
	p.Groups, p.Damaged, p.last = append(p.Groups, g), append(p.Damaged, damaged...), position
	for _, r := range g.Records {
		p.bytes += size(r)
	}
	return true
}

// size returns about how many bytes a contact has as JSON.
func size(r *contacts.ContactRecord) int {
	const names = 500 // of the fields
	c := &r.Contact
	n := names + len(r.CustomContext) + len(r.IndustryContext)
	for _, text := range []string{
		c.FirstName, c.LastName, c.Email, c.Company, c.Website, c.Address, c.City, c.State, c.ZipCode, c.Country, c.Status, c.Stage, c.ExternalID,
	} {
		n += len(text)
	}
	for _, tag := range c.Tags {
		n += len(tag)
	}
	for i := range c.PhoneNumbers {
		n += len(c.PhoneNumbers[i].PhoneNumber) + len(c.PhoneNumbers[i].PhoneType)
	}
	return n
}
