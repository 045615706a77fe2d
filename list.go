package contacts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The documented size of a page.
const (
	defaultPageSize = 25
	maxPageSize     = 100
	walkPageSize    = 1000 // of Contacts and DoNotCallEntries, which nobody sends at once
)

// maxPage keeps the number of skipped contacts within an int of 32 bits.
const maxPage = 1 << 24

// A ListContactsInput says which contacts to list. Every field that is set
// narrows the list down. The zero value lists all contacts, newest first. Text
// that is set and blank is a CodeValidationError.
type ListContactsInput struct {
	Stage       string // the contact's, to the letter
	Status      string // the contact's, to the letter
	Tag         string // one of its tags, to the letter
	TeamID      int64  // its team, which the key must have access to
	PhoneNumber string // one of its numbers, normalised as in a create
	Email       string // its address, normalised as in a create
	ExternalID  string // the id of the caller's own system, to the letter

	// MatchEmail compares Email in the form of [MatchEmail], as a duplicate policy
	// does: letter case makes no difference.
	MatchEmail bool

	// Search finds the contacts that have every word of it: in the first or last
	// name, the company or the e-mail address, in any order. A word may be a part
	// of a longer one. Accents, letter case and white space make no difference,
	// as [FoldSearch] says.
	Search string

	// UpdatedAfter finds what has changed after this time: what was created,
	// updated, restored and, with Deleted, deleted. Zero: whenever that was.
	UpdatedAfter time.Time

	// Deleted lists the deleted contacts in place of the live ones.
	Deleted bool

	// WithoutContexts leaves CustomContext and IndustryContext nil, for a summary:
	// they are most of the memory of a page. A damaged context is no error then.
	WithoutContexts bool

	// Limit is the size of a page. 0: 25, as documented; at most 100.
	Limit int

	// Cursor is the NextCursor of the previous page. "": the first page.
	Cursor string

	// Page asks for a page by its number, from 1, and for the numbers of
	// contacts and pages. It costs more than a cursor, and more with each page.
	// While others write, a contact may be on two pages or on none. 0: go by
	// Cursor. Not both.
	Page int
}

// A ContactPage is one page of a list.
type ContactPage struct {
	Contacts []*Contact `json:"contacts"` // newest first

	// Damaged are the contacts of this page that could not be read, newest
	// first. They are not in Contacts, and ListContacts returns an error.
	Damaged []*DamagedError `json:"damaged,omitempty"`

	// NextCursor gets the next page. "": this is the last one.
	NextCursor string `json:"next_cursor,omitempty"`

	// Set where a page was asked for by its number; else zero.
	Count int `json:"count"` // contacts of the whole list
	Pages int `json:"pages"` // pages of the whole list
	Page  int `json:"page"`  // the number of this page
	Limit int `json:"limit"` // contacts on a page, always set
}

// ListContacts returns one page of the contacts that the key may see, newest
// first. It needs Options.ReadPermission. A walk along NextCursor to the end
// yields every contact that was there all the time exactly once, whatever others
// create, change and delete meanwhile. A cursor never expires. It works with any
// key and any filters.
//
// To keep a copy of the contacts, note the time before each walk. The next walk
// asks for what was UpdatedAfter a few minutes before the time that was noted for
// the last one: the minutes cover clocks that differ, and changes that were still
// being stored. What comes twice has the same Version. A second walk, with Deleted,
// has what was deleted. A purged contact is in neither, so purge only what was
// deleted before the last walk of every copy.
//
// By phone number, e-mail address and tag, the durable stores find contacts
// without reading others, unless thousands have the tag. With other filters they
// read the account's contacts, newest first, until the page is full.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError, CodeTeamNotFound,
// CodeTeamAccessDenied, CodeServerError.
//
// If a contact of the page is damaged, the error is a CodeServerError that holds
// a [*DamagedError], and the page is returned all the same, without that contact.
// Its NextCursor goes past it.
func (s *Service) ListContacts(ctx context.Context, key string, in ListContactsInput) (*ContactPage, error) {
	return s.listPage(ctx, key, in, maxPageSize)
}

// listPage is ListContacts with a bound of the size of a page.
func (s *Service) listPage(ctx context.Context, key string, in ListContactsInput, maxSize int) (_ *ContactPage, err error) {
	ctx, c, err := s.begin(ctx, key, OpListContacts, 0)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	q := s.rules.list(&in, maxSize, &c.bad)
	if err := c.bad.err(); err != nil {
		return nil, err
	}
	if err := c.checkTeam(ctx, q.TeamID); err != nil {
		return nil, err
	}
	p := c.principal
	q.AccountID, q.AllTeams = p.AccountID, p.AllTeams
	if !p.AllTeams {
		q.Teams = slices.Clone(p.TeamIDs)
	}
	page := &ContactPage{Limit: q.Limit, Page: in.Page}
	q.Limit++ // the last one says that there is more
	list, err := s.store.ListContacts(ctx, q)
	if err != nil {
		return nil, c.fault(err)
	}
	records := list.Records
	if len(records) == 0 { // an account or a team with a contact exists
		if err := c.findAccount(ctx); err != nil {
			return nil, c.fault(err)
		}
		if q.TeamID != 0 {
			if err := c.needTeam(ctx, q.TeamID); err != nil {
				return nil, err
			}
		}
	}
	if len(records) > page.Limit {
		records = records[:page.Limit]
		page.NextCursor = encodeCursor(records[page.Limit-1].Contact.ID)
	}
	page.Contacts, page.Damaged = readable(records, list.Damaged, in.WithoutContexts)
	if err := c.mark(ctx, page.Contacts...); err != nil {
		return nil, c.fault(err)
	}
	if in.Page > 0 {
		page.Count = list.Count
		page.Pages = (list.Count + page.Limit - 1) / page.Limit
	}
	c.observed.returned(len(page.Contacts))
	return page, c.damagedError(page.Damaged)
}

// damagedError returns the error of a page without its damaged contacts; nil: it has
// none.
func (c *call) damagedError(damaged []*DamagedError) error {
	if len(damaged) == 0 {
		return nil
	}
	for _, d := range damaged {
		c.note(d)
	}
	c.observed.damaged(len(damaged))
	return newServerError(damaged[0])
}

// readable returns the contacts of the records, and those of them that are damaged,
// some of which a store has found. withoutContexts leaves their contexts out.
func readable(records []*ContactRecord, found []*DamagedError, withoutContexts bool) (whole []*Contact, damaged []*DamagedError) {
	whole = make([]*Contact, 0, len(records))
	unread := make(map[uuid.UUID]*DamagedError, len(found))
	for _, d := range found {
		unread[d.ContactID] = d
	}
	var contexts jsonReader
	for _, r := range records {
		if withoutContexts {
			r.CustomContext, r.IndustryContext = "", "" // the contact is a part of the record, and would keep them
		}
		d, contact := draft{record: r}, &r.Contact
		bad := unread[contact.ID]
		switch {
		case bad != nil:
		case !contact.inCalendar():
			// It has no JSON form, which would spoil the whole page.
			bad = &DamagedError{contact.ID, errWrongTime}
		default:
			bad = d.loadWith(&contexts)
		}
		if bad != nil {
			damaged = append(damaged, bad)
			continue
		}
		whole = append(whole, d.contact())
	}
	return whole, damaged
}

// errWrongTime is what is wrong with a contact that is not [Contact.inCalendar].
var errWrongTime = errors.New("a time of it " + wrongYear)

// inCalendar reports whether the times of the contact have a JSON form.
func (c *Contact) inCalendar() bool {
	return inCalendar(c.CreatedAt) && inCalendar(c.UpdatedAt) && inCalendar(c.DeletedAt)
}

// Contacts walks all contacts of a list, from its Cursor to the end, along
// NextCursor. Page must be 0. It holds one page at a time: Limit 0 is 1,000
// contacts. An error, one of those of ListContacts, is the last thing it yields,
// unless it holds a [*DamagedError]: that is about one contact, and the next contact
// follows.
func (s *Service) Contacts(ctx context.Context, key string, in ListContactsInput) iter.Seq2[*Contact, error] {
	return func(yield func(*Contact, error) bool) {
		in := in // each walk starts at the Cursor
		if in.Page != 0 {
			_, err := s.Authorize(ctx, key, OpListContacts)
			if err == nil {
				err = NewValidationError(FieldError{Field: "page", Code: FieldInvalid, Message: "must not be given for a walk, which has no pages"})
			}
			yield(nil, err)
			return
		}
		size := maxPageSize
		if in.Limit == 0 {
			in.Limit, size = walkPageSize, walkPageSize
		}
		for {
			page, err := s.listPage(ctx, key, in, size)
			if page == nil {
				yield(nil, err)
				return
			}
			for c, err := range page.all() {
				if !yield(c, err) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			in.Cursor = page.NextCursor
		}
	}
}

// all yields the contacts of the page in their order, with an error in the place
// of each damaged one.
func (p *ContactPage) all() iter.Seq2[*Contact, error] {
	return func(yield func(*Contact, error) bool) {
		damaged := p.Damaged
		for _, c := range p.Contacts {
			for len(damaged) > 0 && bytes.Compare(damaged[0].ContactID[:], c.ID[:]) > 0 {
				if !yield(nil, newServerError(damaged[0])) {
					return
				}
				damaged = damaged[1:]
			}
			if !yield(c, nil) {
				return
			}
		}
		for _, d := range damaged {
			if !yield(nil, newServerError(d)) {
				return
			}
		}
	}
}

// list checks and normalises the filters and the place of a list.
func (r *rules) list(in *ListContactsInput, maxSize int, bad *problems) ContactQuery {
	l := &r.limits
	email := r.email(in.Email, bad)
	q := ContactQuery{
		Stage:   termText(in.Stage, "stage", l.Stage, bad),
		Status:  termText(in.Status, "status", l.Status, bad),
		Tag:     termText(in.Tag, "tag", l.Tag, bad),
		TeamID:  teamID(in.TeamID, bad),
		Email:   email,
		Search:  FoldSearch(text(in.Search, "search", l.Search, bad)),
		Deleted: in.Deleted,
		Count:   in.Page > 0,

		ExternalID: text(in.ExternalID, "external_id", l.ExternalID, bad),
	}
	if in.PhoneNumber != "" {
		number, why := r.phones.normalise(in.PhoneNumber)
		if why != "" {
			bad.add("phone_number", FieldInvalid, why)
		}
		q.PhoneNumber = number
	}
	if in.MatchEmail && email != "" {
		q.MatchKeys, q.Email = []MatchKey{{KeyEmail, MatchEmail(email)}}, ""
	}
	if !in.UpdatedAfter.IsZero() {
		q.UpdatedAfter = timestamp(in.UpdatedAfter)
		if !inCalendar(q.UpdatedAfter) {
			bad.add("updated_after", FieldInvalid, "must be in the years 1 to 9999")
		}
	}
	for _, f := range [...]struct{ name, given, normalised string }{
		{"stage", in.Stage, q.Stage}, {"status", in.Status, q.Status}, {"tag", in.Tag, q.Tag}, {"search", in.Search, q.Search},
		{"email", in.Email, email}, {"external_id", in.ExternalID, q.ExternalID},
	} {
		if f.given != "" && f.normalised == "" && !bad.has(f.name) { // it would list all contacts
			bad.add(f.name, FieldRequired, "must not be blank; leave the filter out to list all")
		}
	}
	q.Limit = pageSize(in.Limit, maxSize, bad)
	switch {
	case in.Page < 0 || in.Page > maxPage:
		bad.add("page", FieldInvalid, fmt.Sprintf("must be from 1 to %d", maxPage))
	case in.Page > 0 && in.Cursor != "":
		bad.add("cursor", FieldInvalid, "must not be given together with page")
	case in.Page > 0:
		q.Skip = (in.Page - 1) * q.Limit
	case in.Cursor != "":
		after, ok := decodeCursor(in.Cursor)
		if !ok {
			bad.add("cursor", FieldInvalid, "is not a cursor that a list has returned")
		}
		q.After = after
	}
	return q
}

// pageSize returns the size of a page: the documented one for 0.
func pageSize(limit, maxSize int, bad *problems) int {
	if limit < 0 || limit > maxSize {
		bad.add("limit", FieldInvalid, fmt.Sprintf("must be from 1 to %d", maxSize))
	}
	return cmp.Or(limit, defaultPageSize)
}

// A cursor is one byte, which tells its form from others, and a position: in a list
// the id of the last contact of a page.
const (
	cursorForm           = 1
	cursorFormDuplicates = 2
	cursorFormDoNotCall  = 3
)

func encodeCursor(id uuid.UUID) string { return packCursor(cursorForm, id[:]) }

func decodeCursor(s string) (id uuid.UUID, ok bool) {
	position, ok := unpackCursor(s, cursorForm)
	if !ok || len(position) != len(id) {
		return id, false
	}
	id = uuid.UUID(position)
	return id, id != uuid.Nil
}

func packCursor(form byte, position []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{form}, position...))
}

// maxCursor bounds a cursor that a caller gives, in bytes.
const maxCursor = 8 << 10

func unpackCursor(s string, form byte) (position []byte, ok bool) {
	if len(s) > maxCursor {
		return nil, false
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	// The decoder leaves out line ends. A cursor has one form.
	if err != nil || len(b) == 0 || b[0] != form || base64.RawURLEncoding.EncodeToString(b) != s {
		return nil, false
	}
	return b[1:], true
}
