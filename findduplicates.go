package contacts

import (
	"context"
	"errors"
	"iter"
	"slices"
	"unicode/utf8"
)

// A FindDuplicatesInput says which duplicates to find. The zero value finds the
// contacts that share an e-mail address, and then those that share a phone number.
type FindDuplicatesInput struct {
	// Key is the kind of match key that the contacts share. "": KeyEmail, and then
	// KeyPhoneNumber.
	Key KeyKind

	// Cursor is the NextCursor of the previous page. "": the first page.
	Cursor string

	// WithoutContexts is that of [ListContactsInput].
	WithoutContexts bool

	// Limit is the number of groups on a page. 0: 25; at most 100. A page of large
	// groups has fewer.
	Limit int
}

// A DuplicateGroup is live contacts that share a match key.
type DuplicateGroup struct {
	Key KeyKind `json:"key"` // of what they share

	// Contacts are the oldest of them that the API key may see, at most 100, the
	// oldest first.
	Contacts []*Contact `json:"contacts"`

	// Count is how many there are that the API key may see.
	Count int `json:"count"`

	// Damaged are those of the oldest that could not be read. They are not in
	// Contacts.
	Damaged []*DamagedError `json:"damaged,omitempty"`
}

// A DuplicatePage is one page of duplicates.
type DuplicatePage struct {
	Groups []DuplicateGroup `json:"groups"`

	// NextCursor gets the next page. "": this is the last one.
	NextCursor string `json:"next_cursor,omitempty"`

	Limit int `json:"limit"` // groups on a page, always set
}

// FindDuplicates returns one page of groups of contacts that share an e-mail
// address or a phone number, so that somebody can decide which to keep. Addresses
// are compared in the form of [MatchEmail], and phone numbers as they are, also under
// a policy with PhoneForms. A family with one phone is a group too. A contact is in
// as many groups as it has keys that others share.
//
// It needs Options.ReadPermission. Deleted contacts, and contacts in teams that the
// API key may not access, are left out. What is left is a group if it is two or more.
//
// The groups come in no particular order, and always in the same one. A walk along
// NextCursor to the end yields every group that was there all the time exactly once,
// whatever others write meanwhile. A group that changes meanwhile is shown as it is
// when its page is made. The last page may be empty. A page ends early where its
// groups have more than 4 MiB. A cursor never expires. It is for the same Key, with any
// API key.
//
// The durable stores read the index of match keys, and no contacts other than those
// that share one.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError, CodeServerError. If a
// contact of the page is damaged, the error is a CodeServerError that holds a
// [*DamagedError], and the page is returned all the same.
func (s *Service) FindDuplicates(ctx context.Context, key string, in FindDuplicatesInput) (_ *DuplicatePage, err error) {
	ctx, c, err := s.begin(ctx, key, OpFindDuplicates, 0)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	page := &DuplicatePage{Groups: []DuplicateGroup{}, Limit: pageSize(in.Limit, maxPageSize, &c.bad)}
	place := in.place(&c.bad)
	if err := c.bad.err(); err != nil {
		return nil, err
	}
	for len(place.kinds) > 0 && len(page.Groups) < page.Limit {
		if err := c.addGroups(ctx, page, &place, in.WithoutContexts); err != nil {
			return nil, err
		}
		if place.position != "" { // the groups are many, or large
			break
		}
	}
	if len(place.kinds) > 0 {
		page.NextCursor = place.cursor()
	}
	if len(page.Groups) == 0 { // an account with a contact exists
		if err := c.findAccount(ctx); err != nil {
			return nil, c.fault(err)
		}
	}
	var all []*Contact
	var damaged []*DamagedError
	for _, g := range page.Groups {
		all, damaged = append(all, g.Contacts...), append(damaged, g.Damaged...)
	}
	if err := c.mark(ctx, all...); err != nil {
		return nil, c.fault(err)
	}
	c.observed.returned(len(page.Groups))
	return page, c.damagedError(damaged)
}

// addGroups adds groups of the first kind, up to a page of the store, and moves the
// place after them.
func (c *call) addGroups(ctx context.Context, page *DuplicatePage, place *duplicatesPlace, withoutContexts bool) error {
	p, kind := c.principal, place.kinds[0]
	list, err := c.store.ListContacts(ctx, ContactQuery{
		AccountID: p.AccountID, AllTeams: p.AllTeams, Teams: slices.Clone(p.TeamIDs),
		Shared: kind, Position: place.position, Limit: page.Limit - len(page.Groups),
	})
	switch {
	case errors.Is(err, ErrNotFound):
		c.bad.add("cursor", FieldInvalid, wrongDuplicatesCursor)
		return c.bad.err()
	case err != nil:
		return c.fault(err)
	}
	for _, g := range list.Groups {
		whole, damaged := readable(g.Records, list.Damaged, withoutContexts)
		page.Groups = append(page.Groups, DuplicateGroup{Key: kind, Contacts: whole, Count: g.Count, Damaged: damaged})
	}
	if place.position = list.Position; place.position == "" {
		place.kinds = place.kinds[1:]
	}
	return nil
}

// Duplicates walks all groups, from the Cursor to the end, along NextCursor. It holds
// one page at a time; with Limit 0 a page has 100 groups. An error, one of those of
// FindDuplicates, is the last thing it yields, unless it holds a [*DamagedError]:
// that comes with the group that has the contact, and the next group follows.
func (s *Service) Duplicates(ctx context.Context, key string, in FindDuplicatesInput) iter.Seq2[DuplicateGroup, error] {
	return func(yield func(DuplicateGroup, error) bool) {
		in := in
		if in.Limit == 0 {
			in.Limit = maxPageSize
		}
		for {
			page, err := s.FindDuplicates(ctx, key, in)
			if page == nil {
				yield(DuplicateGroup{}, err)
				return
			}
			for _, g := range page.Groups {
				var err error
				if g.Damaged != nil {
					err = newServerError(g.Damaged[0])
				}
				if !yield(g, err) {
					return
				}
			}
			if in.Cursor = page.NextCursor; in.Cursor == "" {
				return
			}
		}
	}
}

// A duplicatesPlace is where a page of groups starts: after a position among the
// groups of the first kind. It ends with the last of the kinds.
type duplicatesPlace struct {
	kinds    []KeyKind
	position string // of a store; "": before all groups
}

const wrongDuplicatesCursor = "is not a cursor that a search for these duplicates has returned"

// place checks the input and returns where its page starts.
func (in *FindDuplicatesInput) place(bad *problems) (p duplicatesPlace) {
	p.kinds = []KeyKind{KeyEmail, KeyPhoneNumber}
	if in.Key != "" {
		p.kinds = []KeyKind{in.Key}
		if !checkKind("key", in.Key, bad) {
			return p
		}
	}
	if in.Cursor == "" {
		return p
	}
	b, ok := unpackCursor(in.Cursor, cursorFormDuplicates)
	first := -1
	if ok && len(b) > 0 && int(b[0]) < len(keyKinds) {
		first = slices.Index(p.kinds, keyKinds[b[0]])
	}
	if first < 0 || !utf8.Valid(b[1:]) || slices.Contains(b[1:], 0) { // a store gets text
		bad.add("cursor", FieldInvalid, wrongDuplicatesCursor)
		return p
	}
	p.kinds, p.position = p.kinds[first:], string(b[1:])
	return p
}

// cursor returns the cursor of a page that starts here: the index of the kind among
// all kinds, and the position.
func (p *duplicatesPlace) cursor() string {
	kind := byte(slices.Index(keyKinds[:], p.kinds[0]))
	return packCursor(cursorFormDuplicates, append([]byte{kind}, p.position...))
}
