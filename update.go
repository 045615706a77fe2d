package contacts

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
)

// An UpdateContactInput is what [Service.UpdateContact] changes. A nil field
// stays as it is. A field of the zero value is cleared, or gets its default.
type UpdateContactInput struct {
	FirstName *string
	LastName  *string
	Email     *string
	Company   *string
	Website   *string
	Address   *string
	City      *string
	State     *string
	ZipCode   *string
	Country   *string
	Status    *string
	Stage     *string
	TeamID    *int64 // 0: no team

	ExternalID *string // "": none

	// Tags replace the stored ones.
	Tags *[]string

	// RemoveTags are taken from the stored tags, then AddTags are put at their
	// end. Concurrent updates that add and remove tags all take effect. A tag
	// that is there already, or not there, is no error. Neither may be given
	// together with Tags.
	AddTags    []string
	RemoveTags []string

	// PhoneNumbers replace the stored ones. A number with the ID of a stored
	// one, or without ID but equal to one, changes it. Stored numbers that are
	// not mentioned are removed.
	PhoneNumbers *[]UpdatePhoneNumber

	// The contexts are merged into the stored ones by RFC 7396: a nil value
	// removes its member, an object is merged in turn, every other value
	// replaces the stored one. A pointer to a nil map removes the context. An
	// absent context stays absent if the merge would make it empty.
	CustomContext   *map[string]any
	IndustryContext *map[string]any
}

// An UpdatePhoneNumber is one phone number of an [UpdateContactInput]. A nil field
// of a stored number stays as it is. If a Primary is set to true, no other number
// stays primary.
type UpdatePhoneNumber struct {
	ID          uuid.UUID // zero: a new number, or a stored one that is equal
	PhoneNumber *string
	PhoneType   *string
	Primary     *bool
	DoNotCall   *bool // false: refused for a listed number, which only [Service.GrantCalls] takes off the list
}

// ChangeOptions are the options of a change. The zero value, and nil, change the
// contact whatever its version.
type ChangeOptions struct {
	// Version is the [Contact.Version] that the contact must have. With another
	// one the change is CodeConflict and nothing is stored. 0: any.
	Version int64

	// Versions are several versions, of which the contact must have one. With
	// Version, that is one more. nil: Version alone counts. Empty but not nil: none, so
	// the change is CodeConflict.
	Versions []int64

	// Shown returns what clients are shown of a contact, for the forms that read
	// JSON. A client that sends back what it has read sends members that are no
	// fields: they are ignored if the JSON form of Shown has the same. If they
	// differ they are invalid. Shown gets a contact without contexts and with one
	// phone number more, which stands for new ones. nil: the Contact itself.
	Shown func(*Contact) any

	// Before is called with the contact as it was before the change, when the change
	// is stored, and in a dry run when it would be. See [Changes] for what differs. A
	// contact of which a context cannot be read is not given. nil: nobody asks.
	Before func(*Contact)
}

// shown returns Shown.
func (o *ChangeOptions) shown() func(*Contact) any {
	if o == nil {
		return nil
	}
	return o.Shown
}

// allow reports whether a contact of that version may be changed.
func (o *ChangeOptions) allow(version int64) bool {
	switch {
	case o == nil || o.Version == 0 && o.Versions == nil:
		return true
	case o.Version == version:
		return true
	default:
		return slices.Contains(o.Versions, version)
	}
}

// UpdateContact changes the fields of a contact that are given, by the rules of
// the create, and returns the changed contact. It needs Options.WritePermission.
// The contact's version goes up by one. Concurrent updates are made one after the
// other, and none is lost.
//
// Fields that are not given are not validated again. A stored value that today's
// rules would refuse does not block the update.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeNotFound, CodeConflict,
// CodeMissingFirstName, CodeValidationError, CodeTeamAccessDenied,
// CodeTeamNotFound, CodeDuplicateContact, CodeServerError. CodeNotFound is as in
// GetContact. A change claims the match keys alone that it adds.
func (s *Service) UpdateContact(ctx context.Context, key string, id uuid.UUID, in UpdateContactInput, opts *ChangeOptions) (_ *Contact, err error) {
	ctx, c, err := s.begin(ctx, key, OpUpdateContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.change(ctx, change{id: id, opts: opts, next: c.update(in.patch())})
}

// UpdateContactJSON is UpdateContact for the documented body of a PATCH. Absent
// members stay as they are, and null clears a member. add_tags and remove_tags are
// AddTags and RemoveTags. It does not read the body before the key is accepted;
// CodeInvalidJSON comes after CodePermissionDenied.
//
// A client may send back what it has read. A null in a context removes its member
// all the same. The address may be an object of street, city, state, zip_code and
// country; a field that is given beside it too must be the same. Members that cannot
// be changed must be as they are; see ChangeOptions.Shown.
func (s *Service) UpdateContactJSON(ctx context.Context, key string, id uuid.UUID, body io.Reader, opts *ChangeOptions) (_ *Contact, err error) {
	ctx, c, err := s.begin(ctx, key, OpUpdateContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	p := patch{shown: opts.shown(), merges: true}
	if err := c.decode(ctx, c.body(body, p.read)); err != nil {
		return nil, err
	}
	return c.change(ctx, change{id: id, opts: opts, next: c.update(&p)})
}

// update returns what a patch makes of a stored contact.
func (c *call) update(p *patch) nextFunc {
	return func(ctx context.Context, stored *ContactRecord) (*draft, error) {
		bad := c.bad.clone() // each try finds its own
		next, err := c.rules.patch(stored, p, bad)
		if err == nil {
			err = c.rules.checkRepeats(stored, p, bad)
		}
		if err == nil {
			err = c.refuseUnblocking(ctx, p, next, bad)
		}
		if err != nil {
			return nil, c.fault(err)
		}
		bad.nest(p.nested)
		if err := bad.err(); err != nil {
			return nil, err
		}
		return next, c.checkNewTeam(ctx, stored, next)
	}
}

// ReplaceContact replaces a stored contact with a whole one, by the rules of the
// create, and returns it. An absent field is cleared or gets its default. These
// stay: the id, an external id if none is given, the time of creation, and the ids of
// phone numbers that are named by their ID or occur again. An empty context stays
// absent where the contact has none. It needs Options.WritePermission. The contact's
// version goes up by one.
//
// Its errors are those of UpdateContact. An IdempotencyKey is CodeValidationError.
func (s *Service) ReplaceContact(ctx context.Context, key string, id uuid.UUID, in CreateContactInput, opts *ChangeOptions) (_ *Contact, err error) {
	ctx, c, err := s.begin(ctx, key, OpReplaceContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.change(ctx, change{id: id, opts: opts, next: c.replace(&patch{in: in})})
}

// ReplaceContactJSON is ReplaceContact for the documented body of a PUT: that of
// the create, with ids in its phone numbers. It does not read the body before the
// key is accepted; CodeInvalidJSON comes after CodePermissionDenied. A client may
// send back what it has read, as in UpdateContactJSON; a null in a context stays.
func (s *Service) ReplaceContactJSON(ctx context.Context, key string, id uuid.UUID, body io.Reader, opts *ChangeOptions) (_ *Contact, err error) {
	ctx, c, err := s.begin(ctx, key, OpReplaceContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	p := patch{shown: opts.shown()}
	if err := c.decode(ctx, c.body(body, p.read)); err != nil {
		return nil, err
	}
	return c.change(ctx, change{id: id, opts: opts, next: c.replace(&p)})
}

// replace returns the contact of an input in the place of a stored one.
func (c *call) replace(p *patch) nextFunc {
	in := &p.in
	noIdempotencyKey(in, &c.bad)
	whole := c.rules.contact(in, p.own, &c.bad)
	c.bad.nest(p.nested)
	return func(ctx context.Context, stored *ContactRecord) (*draft, error) {
		bad, record := c.bad.clone(), *whole.record
		next := &draft{&record, whole.forms}
		contact, was := &record.Contact, &stored.Contact
		contact.PhoneNumbers = slices.Clone(contact.PhoneNumbers)
		matchPhoneNumbers(was.PhoneNumbers, in.PhoneNumbers, contact.PhoneNumbers, bad)
		contact.ID, contact.AccountID, contact.CreatedAt, contact.DeletedAt = was.ID, was.AccountID, was.CreatedAt, was.DeletedAt
		if contact.ExternalID == "" { // clients of the documented body do not know it
			contact.ExternalID = was.ExternalID
		}
		if err := c.rules.checkRepeats(stored, p, bad); err != nil {
			return nil, c.fault(err)
		}
		if err := bad.err(); err != nil {
			return nil, err
		}
		return next, c.checkNewTeam(ctx, stored, next)
	}
}

// checkNewTeam checks the team that a change moves the contact to.
func (c *call) checkNewTeam(ctx context.Context, stored *ContactRecord, next *draft) error {
	team := next.record.Contact.TeamID
	if team == stored.Contact.TeamID {
		return nil
	}
	return c.checkTeam(ctx, team)
}

// DeleteContact deletes a contact. Nothing finds it any more, but
// [Service.RestoreContact] brings it back until [Admin.PurgeContacts] has removed
// it for good. It needs Options.WritePermission. The contact's version goes up by
// one.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeNotFound, CodeConflict,
// CodeServerError. A deleted contact is not found.
func (s *Service) DeleteContact(ctx context.Context, key string, id uuid.UUID, opts *ChangeOptions) (err error) {
	ctx, c, err := s.begin(ctx, key, OpDeleteContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return err
	}
	_, err = c.change(ctx, change{id: id, opts: opts, deletes: true, next: func(_ context.Context, stored *ContactRecord) (*draft, error) {
		next := *stored
		return &draft{record: &next}, nil
	}})
	return err
}

// RestoreContact brings a deleted contact back as it was, and returns it. A live
// contact is returned as it is. It needs Options.WritePermission. The version of a
// contact that it brings back goes up by one.
//
// Its errors are those of DeleteContact and, before CodeServerError,
// CodeDuplicateContact: one of its keys was taken meanwhile. A contact that was
// removed for good is not found.
func (s *Service) RestoreContact(ctx context.Context, key string, id uuid.UUID, opts *ChangeOptions) (_ *Contact, err error) {
	ctx, c, err := s.begin(ctx, key, OpRestoreContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.change(ctx, change{id: id, opts: opts, deletedToo: true, next: func(_ context.Context, stored *ContactRecord) (*draft, error) {
		d := &draft{record: stored}
		if damaged := d.load(); damaged != nil {
			return nil, c.fault(damaged)
		}
		if stored.Contact.DeletedAt.IsZero() {
			return d, nil
		}
		next := *stored
		next.Contact.DeletedAt = time.Time{}
		return &draft{&next, d.forms}, nil
	}})
}

// maxTries bounds how often a change is made again because another one came
// first. One of them succeeds each time, so a thousand tries are as many
// concurrent changes of one contact.
const maxTries = 1000

// A change is what all changes of a stored contact have in common.
type change struct {
	id         uuid.UUID
	opts       *ChangeOptions
	deletedToo bool // a deleted contact is found as well
	deletes    bool
	next       nextFunc
}

// result returns what the change does with a contact that it changes.
func (ch *change) result() Result {
	switch {
	case ch.deletes:
		return resultDeleted
	case ch.deletedToo:
		return ResultRestored
	default:
		return ResultUpdated
	}
}

// A nextFunc returns what a change makes of a stored contact. A draft with the
// stored record itself leaves the contact as it is.
type nextFunc func(ctx context.Context, stored *ContactRecord) (*draft, error)

// change stores what next makes of a contact. If another change came first, it
// is made again.
func (c *call) change(ctx context.Context, ch change) (*Contact, error) {
	for try := 1; ; try++ {
		stored, err := c.find(ctx, ch.id)
		if err != nil {
			return nil, err
		}
		was := &stored.Contact
		if !ch.deletedToo && !was.DeletedAt.IsZero() {
			return nil, newError(ErrNotFound)
		}
		if !ch.opts.allow(was.Version) {
			return nil, newError(ErrConflict)
		}
		next, err := ch.next(ctx, stored)
		if err != nil {
			return nil, err
		}
		next.keepAbsent(stored)
		if next.record == stored {
			if err := c.mark(ctx, was); err != nil {
				return nil, c.fault(err)
			}
			c.observed.wrote(ResultUnchanged, false, nil)
			return c.result(next), nil
		}
		contact := &next.record.Contact
		now, err := c.nextVersion(ch, was, contact)
		if err != nil {
			return nil, c.fault(err)
		}
		before, err := c.before(ctx, ch.opts, stored)
		if err != nil {
			return nil, c.fault(err)
		}
		mutations := []Mutation{{Contacts: []ContactChange{{ID: was.ID, Version: was.Version, Record: next.record}}}}
		outcomes, err := c.apply(ctx, write{
			MutationBatch: MutationBatch{Now: now, Mutations: mutations},
			stored:        []*ContactRecord{stored},
		})
		switch o := outcomeAt(outcomes, 0); {
		case err != nil:
			return nil, c.fault(err)
		case o.Err == nil:
			c.observed.wrote(ch.result(), false, nil)
			if before != nil {
				ch.opts.Before(before)
			}
			return c.result(next), nil
		case errors.Is(o.Err, ErrConflict) && try < maxTries:
			c.tries++
		case errors.Is(o.Err, ErrDuplicate):
			return nil, c.duplicateError(ctx, duplicate{sentinel: ErrDuplicate, contact: contact, claims: mutations[0].Claims, holders: o.Holders})
		default:
			return nil, c.refusal(o.Err)
		}
	}
}

// nextVersion makes the contact the version after the one that it was, and returns the
// time.
func (c *call) nextVersion(ch change, was, contact *Contact) (now time.Time, err error) {
	if now, err = c.clock.read(); err != nil {
		return now, err
	}
	contact.Version, contact.UpdatedAt = was.Version+1, timeOfChange(was, now)
	if ch.deletes {
		contact.DeletedAt = contact.UpdatedAt
	} else if !inCalendar(contact.CreatedAt) {
		return now, &DamagedError{was.ID, errors.New("its time of creation " + wrongYear)}
	}
	return now, c.assignPhoneIDs(contact.PhoneNumbers, now)
}

// before returns a stored contact for [ChangeOptions.Before]; nil: nobody asks, or it
// cannot be read.
func (c *call) before(ctx context.Context, opts *ChangeOptions, stored *ContactRecord) (*Contact, error) {
	if opts == nil || opts.Before == nil {
		return nil, nil
	}
	d := draft{record: stored.clone()}
	if damaged := d.load(); damaged != nil {
		return nil, nil //nolint:nilerr // the change may repair it
	}
	contact := d.contact()
	return contact, c.mark(ctx, contact)
}

// timeOfChange returns now, or the latest time that the contact has: a change
// never lies before what it changes, although clocks go back and differ.
func timeOfChange(c *Contact, now time.Time) time.Time {
	for _, was := range []time.Time{c.CreatedAt, c.UpdatedAt, c.DeletedAt} {
		if was.After(now) && inCalendar(was) {
			now = was
		}
	}
	return now
}
