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
// stays as it is; a field of the zero value is cleared, or gets its default.
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

	// Tags replace those that were there.
	Tags *[]string

	// PhoneNumbers replace those that were there: one with the ID of an
	// existing number, or without one but with the same number, changes that
	// one, and existing ones that are not mentioned are removed.
	PhoneNumbers *[]UpdatePhoneNumber

	// The contexts are merged into those that are there, as RFC 7396 says: a
	// nil value removes its member, an object is merged in turn, everything
	// else is put in place. A pointer to a nil map removes the context.
	CustomContext   *map[string]any
	IndustryContext *map[string]any
}

// An UpdatePhoneNumber is one phone number of an [UpdateContactInput]. Of a number
// that the contact has, a nil field stays as it is. Where a Primary is set to true,
// no other number stays primary.
type UpdatePhoneNumber struct {
	ID          uuid.UUID // zero: the number is new, or known by itself
	PhoneNumber *string
	PhoneType   *string
	Primary     *bool
	DoNotCall   *bool
}

// ChangeOptions are the knobs of a change. The zero value, and nil, change the
// contact whatever its version.
type ChangeOptions struct {
	// Version is the [Contact.Version] that the contact must have, or the
	// change is CodeConflict and nothing is stored. 0: any.
	Version int64
}

// UpdateContact changes the fields of a contact that are given, by the rules of
// the create, and returns the contact as it is then. It needs
// Options.WritePermission, and the contact's version goes up by one. Updates at
// the same time are made one after the other, and none is lost.
//
// A field that is not given is not looked at again: what was valid when it was
// stored does not stand in the way.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeNotFound, CodeConflict,
// CodeMissingFirstName, CodeValidationError, CodeTeamNotFound,
// CodeTeamAccessDenied, CodeServerError. What is not found is as in GetContact.
func (s *Service) UpdateContact(ctx context.Context, key string, id uuid.UUID, in UpdateContactInput, opts *ChangeOptions) (*Contact, error) {
	p, err := s.authorise(ctx, key, s.writePermission)
	if err != nil {
		return nil, err
	}
	return s.update(ctx, key, p, id, in.patch(), new(problems), opts)
}

// UpdateContactJSON is UpdateContact for the documented body of a PATCH: members
// that are absent stay as they are, and those that are null are cleared. It does
// not read the body before the key is accepted; CodeInvalidJSON comes behind
// CodePermissionDenied.
func (s *Service) UpdateContactJSON(ctx context.Context, key string, id uuid.UUID, body io.Reader, opts *ChangeOptions) (*Contact, error) {
	p, err := s.authorise(ctx, key, s.writePermission)
	if err != nil {
		return nil, err
	}
	var bad problems
	var c patch
	err = s.decode(ctx, "update contact", key, body, s.rules.limits.BodyBytes, func(d *decoder) {
		d.change = true
		d.contact(&s.rules, &c.in)
		c.given, c.phones = d.given, d.phones
	}, &bad)
	if err != nil {
		return nil, err
	}
	return s.update(ctx, key, p, id, &c, &bad, opts)
}

func (s *Service) update(ctx context.Context, key string, p *Principal, id uuid.UUID, c *patch, bad *problems, opts *ChangeOptions) (*Contact, error) {
	return s.change(ctx, change{"update contact", key, p, id, opts, false}, func(stored *ContactRecord) (*ContactRecord, error) {
		bad := bad.clone() // each try finds its own
		next, err := s.rules.patch(stored, c, bad)
		if err != nil {
			return nil, s.serverError(ctx, "update contact", key, err)
		}
		return s.changed(ctx, key, p, stored, next, bad)
	})
}

// ReplaceContact puts a whole contact in the place of the stored one, by the
// rules of the create, and returns it: a field that is absent is cleared or gets
// its default. What stays is its id, the time of its creation, and the ids of
// the phone numbers that are named by their ID or occur again. It needs
// Options.WritePermission, and the contact's version goes up by one.
//
// Its errors are those of UpdateContact.
func (s *Service) ReplaceContact(ctx context.Context, key string, id uuid.UUID, in CreateContactInput, opts *ChangeOptions) (*Contact, error) {
	p, err := s.authorise(ctx, key, s.writePermission)
	if err != nil {
		return nil, err
	}
	return s.replace(ctx, key, p, id, &in, new(problems), opts)
}

// ReplaceContactJSON is ReplaceContact for the documented body of a PUT: that of
// the create, with ids in its phone numbers. It does not read the body before
// the key is accepted; CodeInvalidJSON comes behind CodePermissionDenied.
func (s *Service) ReplaceContactJSON(ctx context.Context, key string, id uuid.UUID, body io.Reader, opts *ChangeOptions) (*Contact, error) {
	p, err := s.authorise(ctx, key, s.writePermission)
	if err != nil {
		return nil, err
	}
	var bad problems
	in := new(CreateContactInput)
	err = s.decode(ctx, "replace contact", key, body, s.rules.limits.BodyBytes, func(d *decoder) {
		d.change = true
		d.contact(&s.rules, in)
	}, &bad)
	if err != nil {
		return nil, err
	}
	return s.replace(ctx, key, p, id, in, &bad, opts)
}

func (s *Service) replace(ctx context.Context, key string, p *Principal, id uuid.UUID, in *CreateContactInput, bad *problems, opts *ChangeOptions) (*Contact, error) {
	noIdempotencyKey(in, bad)
	next, _ := s.rules.contact(in, bad)
	return s.change(ctx, change{"replace contact", key, p, id, opts, false}, func(stored *ContactRecord) (*ContactRecord, error) {
		bad, next := bad.clone(), *next
		next.Contact.PhoneNumbers = slices.Clone(next.Contact.PhoneNumbers)
		matchPhoneNumbers(stored.Contact.PhoneNumbers, in.PhoneNumbers, next.Contact.PhoneNumbers, bad)
		return s.changed(ctx, key, p, stored, &next, bad)
	})
}

// changed finishes the record of a change, or says what is wrong with it.
func (s *Service) changed(ctx context.Context, key string, p *Principal, stored, next *ContactRecord, bad *problems) (*ContactRecord, error) {
	if err := bad.err(); err != nil {
		return nil, err
	}
	was, c := &stored.Contact, &next.Contact
	if c.TeamID != was.TeamID {
		if err := s.checkTeam(ctx, key, p, c.TeamID); err != nil {
			return nil, err
		}
	}
	for i := range c.PhoneNumbers {
		if c.PhoneNumbers[i].ID == uuid.Nil {
			c.PhoneNumbers[i].ID = siblingID(newID())
		}
	}
	c.ID, c.AccountID, c.CreatedAt, c.DeletedAt = was.ID, was.AccountID, was.CreatedAt, was.DeletedAt
	return next, nil
}

// DeleteContact deletes a contact: nothing finds it any more, but
// [Service.RestoreContact] brings it back until [Admin.PurgeContacts] has removed
// it for good. It needs Options.WritePermission, and the contact's version goes
// up by one.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeNotFound, CodeConflict,
// CodeServerError. One that is deleted already is not found.
func (s *Service) DeleteContact(ctx context.Context, key string, id uuid.UUID, opts *ChangeOptions) error {
	p, err := s.authorise(ctx, key, s.writePermission)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, change{"delete contact", key, p, id, opts, false}, func(stored *ContactRecord) (*ContactRecord, error) {
		next := *stored
		next.Contact.DeletedAt = afterZero(s.now())
		return &next, nil
	})
	return err
}

// RestoreContact brings a deleted contact back, as it was, and returns it. One
// that is not deleted is returned as it is. It needs Options.WritePermission, and
// the version of a contact that it brings back goes up by one.
//
// Its errors are those of DeleteContact. A contact that was removed for good is
// not found.
func (s *Service) RestoreContact(ctx context.Context, key string, id uuid.UUID, opts *ChangeOptions) (*Contact, error) {
	p, err := s.authorise(ctx, key, s.writePermission)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, change{"restore contact", key, p, id, opts, true}, func(stored *ContactRecord) (*ContactRecord, error) {
		if stored.Contact.DeletedAt.IsZero() {
			return nil, nil
		}
		next := *stored
		next.Contact.DeletedAt = time.Time{}
		return &next, nil
	})
}

// mostTries bounds how often a change is made again because another came first.
// Each time one of them is through, so only a crowd comes near it.
const mostTries = 1000

// A change is what all changes of a contact have in common.
type change struct {
	doing      string // for the log
	key        string
	principal  *Principal
	id         uuid.UUID
	opts       *ChangeOptions
	deletedToo bool // a contact that was deleted is found
}

// change puts the record that next makes of the stored one in its place, and
// makes it again if another change came first. A nil record: it stays as it is.
func (s *Service) change(ctx context.Context, c change, next func(stored *ContactRecord) (*ContactRecord, error)) (*Contact, error) {
	gone := false // the contact, or its team, after it was found
	for try := 1; ; try++ {
		stored, err := s.find(ctx, c.doing, c.key, c.principal, c.id)
		if err != nil {
			return nil, err
		}
		if !c.deletedToo && !stored.Contact.DeletedAt.IsZero() {
			return nil, fail(ErrNotFound, nil)
		}
		if c.opts != nil && c.opts.Version != 0 && c.opts.Version != stored.Contact.Version {
			return nil, fail(ErrConflict, nil)
		}
		record, err := next(stored)
		if err != nil {
			return nil, err
		}
		if record == nil {
			return s.load(ctx, c.doing, c.key, stored)
		}
		version := stored.Contact.Version
		record.Contact.Version = version + 1
		record.Contact.UpdatedAt = timestamp(s.now())
		outcomes, err := s.store.Apply(ctx, MutationBatch{Now: record.Contact.UpdatedAt, Mutations: []Mutation{{
			AccountID: record.Contact.AccountID, Contacts: []ContactChange{{ID: record.Contact.ID, Record: record, Version: version}}}}})
		if len(outcomes) > 0 {
			err = outcomes[0].Err
		}
		switch {
		case err == nil:
			return s.load(ctx, c.doing, c.key, record)
		case errors.Is(err, ErrConflict) && try < mostTries:
		case errors.Is(err, ErrConflict):
			return nil, fail(ErrConflict, nil)
		case errors.Is(err, ErrNotFound) && !gone:
			gone = true
		case errors.Is(err, ErrNotFound) && record.Contact.TeamID != 0:
			return nil, fail(ErrTeamNotFound, nil)
		default:
			return nil, s.serverError(ctx, c.doing, c.key, err)
		}
	}
}

// A patch is an update: the parameters that are given, and the rest of in is of
// no meaning.
type patch struct {
	in     CreateContactInput
	given  fieldSet
	phones []phoneSet // for each of in.PhoneNumbers
}

// A phoneSet says which members of a phone number are given.
type phoneSet uint8

const (
	phoneNumberGiven phoneSet = 1 << iota
	phoneTypeGiven
	primaryGiven
	doNotCallGiven
)

func (u *UpdateContactInput) patch() *patch {
	c := new(patch)
	give(c, "first_name", &c.in.FirstName, u.FirstName)
	give(c, "last_name", &c.in.LastName, u.LastName)
	give(c, "email", &c.in.Email, u.Email)
	give(c, "company", &c.in.Company, u.Company)
	give(c, "website", &c.in.Website, u.Website)
	give(c, "address", &c.in.Address, u.Address)
	give(c, "city", &c.in.City, u.City)
	give(c, "state", &c.in.State, u.State)
	give(c, "zip_code", &c.in.ZipCode, u.ZipCode)
	give(c, "country", &c.in.Country, u.Country)
	give(c, "status", &c.in.Status, u.Status)
	give(c, "stage", &c.in.Stage, u.Stage)
	give(c, "team_id", &c.in.TeamID, u.TeamID)
	give(c, "tags", &c.in.Tags, u.Tags)
	give(c, "custom_context", &c.in.CustomContext, u.CustomContext)
	give(c, "industry_context", &c.in.IndustryContext, u.IndustryContext)
	if u.PhoneNumbers == nil {
		return c
	}
	c.given |= fieldsOf("phone_numbers")
	for _, n := range *u.PhoneNumbers {
		phone := PhoneNumberInput{ID: n.ID}
		c.in.PhoneNumbers = append(c.in.PhoneNumbers, phone)
		p := &c.in.PhoneNumbers[len(c.in.PhoneNumbers)-1]
		c.phones = append(c.phones,
			givePhone(phoneNumberGiven, &p.PhoneNumber, n.PhoneNumber)|
				givePhone(phoneTypeGiven, &p.PhoneType, n.PhoneType)|
				givePhone(primaryGiven, &p.Primary, n.Primary)|
				givePhone(doNotCallGiven, &p.DoNotCall, n.DoNotCall))
	}
	return c
}

func give[T any](c *patch, name string, dst, value *T) {
	if value != nil {
		*dst = *value
		c.given |= fieldsOf(name)
	}
}

func givePhone[T any](member phoneSet, dst, value *T) phoneSet {
	if value == nil {
		return 0
	}
	*dst = *value
	return member
}

// patch returns the record that the patch makes of the stored one. Its error is
// one of the stored record.
func (r *rules) patch(stored *ContactRecord, c *patch, bad *problems) (*ContactRecord, error) {
	in, given := c.in, c.given
	noIdempotencyKey(&in, bad)
	was := &stored.Contact
	if given&fieldsOf("first_name") == 0 {
		in.FirstName = "-" // something valid, which is not kept
	}
	phones, kept := r.keepPhoneNumbers(was.PhoneNumbers, in.PhoneNumbers, c.phones)
	in.PhoneNumbers = nil
	for _, m := range []struct {
		name   string
		stored string
		value  *map[string]any
	}{
		{"custom_context", stored.CustomContext, &in.CustomContext},
		{"industry_context", stored.IndustryContext, &in.IndustryContext},
	} {
		if given&fieldsOf(m.name) == 0 || *m.value == nil {
			continue
		}
		old, err := loadContext(m.stored)
		if err != nil {
			return nil, err
		}
		*m.value = r.mergeContext(old, *m.value, m.name, bad)
	}
	next, _ := r.contact(&in, bad)
	next.Contact.PhoneNumbers = r.phoneNumbers(phones, kept, bad)
	matchPhoneNumbers(was.PhoneNumbers, phones, next.Contact.PhoneNumbers, bad)
	for i, keep := range keepers {
		if given&(1<<i) == 0 {
			keep(next, stored)
		}
	}
	return next, nil
}

// keepers put a parameter of src into dst, in the order of the parameters.
var keepers = [len(parameters)]func(dst, src *ContactRecord){
	func(dst, src *ContactRecord) { dst.Contact.FirstName = src.Contact.FirstName },
	func(dst, src *ContactRecord) { dst.Contact.LastName = src.Contact.LastName },
	func(dst, src *ContactRecord) { dst.Contact.Email = src.Contact.Email },
	func(dst, src *ContactRecord) { dst.Contact.Company = src.Contact.Company },
	func(dst, src *ContactRecord) { dst.Contact.Website = src.Contact.Website },
	func(dst, src *ContactRecord) { dst.Contact.Address = src.Contact.Address },
	func(dst, src *ContactRecord) { dst.Contact.City = src.Contact.City },
	func(dst, src *ContactRecord) { dst.Contact.State = src.Contact.State },
	func(dst, src *ContactRecord) { dst.Contact.ZipCode = src.Contact.ZipCode },
	func(dst, src *ContactRecord) { dst.Contact.Country = src.Contact.Country },
	func(dst, src *ContactRecord) { dst.Contact.Status = src.Contact.Status },
	func(dst, src *ContactRecord) { dst.Contact.Stage = src.Contact.Stage },
	func(dst, src *ContactRecord) { dst.Contact.TeamID = src.Contact.TeamID },
	func(dst, src *ContactRecord) { dst.Contact.Tags = src.Contact.Tags },
	func(dst, src *ContactRecord) { dst.Contact.PhoneNumbers = src.Contact.PhoneNumbers },
	func(dst, src *ContactRecord) { dst.CustomContext = src.CustomContext },
	func(dst, src *ContactRecord) { dst.IndustryContext = src.IndustryContext },
}

func noIdempotencyKey(in *CreateContactInput, bad *problems) {
	if in.IdempotencyKey != "" {
		bad.add("idempotency_key", FieldInvalid, "must not be given for a change, which takes a version")
	}
}

// keepPhoneNumbers fills in what the phone numbers of an update keep of the stored
// ones that they are, and returns what that is for each.
func (r *rules) keepPhoneNumbers(stored []PhoneNumber, in []PhoneNumberInput, given []phoneSet) (out []PhoneNumberInput, kept []phoneSet) {
	primary := slices.ContainsFunc(in, func(p PhoneNumberInput) bool { return p.Primary })
	out, kept = slices.Clone(in), make([]phoneSet, len(in))
	for i := range out {
		p := &out[i]
		number := ""
		if p.ID == uuid.Nil {
			number, _ = r.phones.normalise(p.PhoneNumber)
		}
		at := slices.IndexFunc(stored, func(s PhoneNumber) bool { return s.ID == p.ID || number != "" && s.PhoneNumber == number })
		if at < 0 {
			continue
		}
		was := &stored[at]
		kept[i] = ^given[i]
		if kept[i]&phoneNumberGiven != 0 {
			p.PhoneNumber = was.PhoneNumber
		}
		if kept[i]&phoneTypeGiven != 0 {
			p.PhoneType = was.PhoneType
		}
		if kept[i]&primaryGiven != 0 {
			p.Primary = was.Primary && !primary
			primary = primary || p.Primary
		}
		if kept[i]&doNotCallGiven != 0 {
			p.DoNotCall = was.DoNotCall
		}
	}
	return out, kept
}

// matchPhoneNumbers gives the numbers of out, which are those of in, the ids of
// the stored ones that they are: by id, or else by being the same number. The
// others have none yet.
func matchPhoneNumbers(stored []PhoneNumber, in []PhoneNumberInput, out []PhoneNumber, bad *problems) {
	taken := make(map[uuid.UUID]int, len(in)) // and by which
	for i, p := range in {
		if p.ID == uuid.Nil {
			continue
		}
		field := element("phone_numbers", i) + ".id"
		if first, twice := taken[p.ID]; twice {
			bad.add(field, FieldDuplicate, "is the same as that of "+element("phone_numbers", first))
			continue
		}
		taken[p.ID] = i
		if !slices.ContainsFunc(stored, func(s PhoneNumber) bool { return s.ID == p.ID }) {
			bad.add(field, FieldInvalid, "is not the id of a phone number of this contact")
		}
		if i < len(out) {
			out[i].ID = p.ID
		}
	}
	for i := range out {
		for _, s := range stored {
			if _, is := taken[s.ID]; out[i].ID == uuid.Nil && !is && s.PhoneNumber == out[i].PhoneNumber {
				out[i].ID = s.ID
			}
		}
	}
}

// mergeContext merges a patch into a context, as RFC 7396 says.
func (r *rules) mergeContext(old, changes map[string]any, field string, bad *problems) map[string]any {
	e := contextEncoder{maxBytes: r.limits.ContextBytes, maxDepth: r.limits.ContextDepth}
	form := e.context(changes, field, bad) // which may hold whatever has a JSON form
	return mergeObject(old, form)
}

func mergeObject(old, changes map[string]any) map[string]any {
	merged := make(map[string]any, max(len(old), len(changes)))
	for name, v := range old {
		merged[name] = v
	}
	for name, v := range changes {
		if v == nil {
			delete(merged, name)
			continue
		}
		if inner, ok := v.(map[string]any); ok {
			was, _ := merged[name].(map[string]any)
			v = mergeObject(was, inner)
		}
		merged[name] = v
	}
	return merged
}
