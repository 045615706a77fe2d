package contacts

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"
)

// An UpsertMode says how an upsert changes the contact that it finds. In both
// modes a field that is absent, null or blank changes nothing, missing phone
// numbers are added, and no phone number is removed. An external id is set only if
// the contact has none.
type UpsertMode string

// The modes.
const (
	// UpsertFill stores a given field if that of the contact is blank. A default
	// is not blank. New phone numbers do not become primary, unless the contact has
	// none. Members that a context does not have are added, at every depth.
	UpsertFill UpsertMode = "fill"
	// UpsertOverwrite stores every given field. A primary phone number takes the
	// mark. Contexts are merged by RFC 7396, but null changes nothing.
	UpsertOverwrite UpsertMode = "overwrite"
)

// A TagsMode says what an upsert does with tags.
type TagsMode string

// The modes.
const (
	TagsAdd     TagsMode = "add"     // the tags of the contact stay, and come first
	TagsReplace TagsMode = "replace" // given tags replace them; only with UpsertOverwrite
)

// A Result is what a call did with a contact.
type Result string

// The results.
const (
	ResultCreated   Result = "created"
	ResultExisting  Result = "existing" // the contact was there, and stays as it is; see [DuplicateReturnExisting]
	ResultUpdated   Result = "updated"
	ResultUnchanged Result = "unchanged" // the contact has all that was given; its version stays
	ResultRestored  Result = "restored"  // it was deleted, and was restored and changed in one step
)

// An UpsertContactInput describes a contact that is created, or that changes the
// one that it matches. Its JSON form is the body of the create with five more
// fields.
type UpsertContactInput struct {
	CreateContactInput

	// MatchOn are the kinds of match keys by which a contact is found. nil: the
	// kinds that the account's policy makes unique; with DuplicateAllow, all kinds.
	// Empty and not nil: none, so nothing matches.
	MatchOn []KeyKind `json:"match_on,omitzero"`

	Mode     UpsertMode `json:"mode,omitempty"`      // "": UpsertFill
	TagsMode TagsMode   `json:"tags_mode,omitempty"` // "": TagsAdd

	// UpdateOnly creates nothing: where no contact matches, the upsert is
	// CodeNotFound. The input must have a key of MatchOn.
	UpdateOnly bool `json:"update_only,omitempty"`

	// RestoreDeleted restores and changes a deleted contact if no live contact
	// matches, and exactly one deleted contact that the key may see.
	RestoreDeleted bool `json:"restore_deleted,omitempty"`
}

// An UpsertResult is what became of an upsert. Its fields are those of
// [CreateResult].
type UpsertResult struct {
	Index    int      `json:"index"`              // its place among the contacts that were given, from 0
	Contact  *Contact `json:"contact,omitempty"`  // nil where Err is set
	Result   Result   `json:"result,omitempty"`   // "" where Err is set
	Replayed bool     `json:"replayed,omitempty"` // it is the result of an earlier call with the same idempotency key

	// Matched says which fields matched the contact. nil: it was created, or the
	// result is a replay.
	Matched []Conflict `json:"matched,omitempty"`

	// Changes are what differs from the contact as it was. nil: nothing, it was
	// created, or the result is a replay.
	Changes []FieldChange `json:"changes,omitempty"`

	// DeletedTwin is that of [CreateResult].
	DeletedTwin uuid.UUID `json:"deleted_twin,omitzero"`

	// PastOverlay is that of [CreateResult].
	PastOverlay bool `json:"past_overlay,omitempty"`

	Err error `json:"error,omitempty"` // in a batch or a stream: an error of [Service.UpsertContact], or CodeBatchFailed; its fields are relative to this contact
}

// UpsertContact creates a contact, or changes the live contact that has one of its
// match keys, in one atomic step: no other writer comes between. There is no order
// among keys. If they belong to more than one contact, the upsert is
// CodeAmbiguousMatch, and nothing is stored. It needs Options.CreatePermission and
// Options.WritePermission.
//
// On PostgreSQL, a plain create in an account without a policy may store a
// duplicate beside an upsert. Where both are used, set a [DuplicatePolicy].
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeMissingFirstName, CodeValidationError,
// CodeTeamAccessDenied, CodeIdempotencyConflict, CodeTeamNotFound,
// CodeAmbiguousMatch, CodeDuplicateContact, CodeNotFound, CodeServerError.
// CodeDuplicateContact means that another contact has a key that must be unique,
// that the contact has another external id, or that the key may not see the
// contact. CodeNotFound means that nothing matches an UpdateOnly, or that the upsert
// is a replay and the contact that it found is gone.
func (s *Service) UpsertContact(ctx context.Context, key string, in UpsertContactInput) (_ *UpsertResult, err error) {
	ctx, c, err := s.beginOne(ctx, key, OpUpsertContact, false)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.upsertOne(ctx, c.newUpsert(&in, false, &c.bad))
}

// UpsertContactJSON is UpsertContact for a JSON body, with the idempotency key
// beside it; see [Service.CreateContactResultJSON]. It does not read the body before
// the key is accepted; CodeInvalidJSON comes after CodePermissionDenied.
func (s *Service) UpsertContactJSON(ctx context.Context, key, idempotencyKey string, body io.Reader) (_ *UpsertResult, err error) {
	ctx, c, err := s.beginOne(ctx, key, OpUpsertContact, false)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	in := new(UpsertContactInput)
	if err := c.decodeBeside(ctx, idempotencyKey, &in.CreateContactInput, body, func(r *contactReader) { r.upsert(in) }); err != nil {
		return nil, err
	}
	return c.upsertOne(ctx, c.newUpsert(in, true, &c.bad))
}

// upsertOne makes a single upsert.
func (c *call) upsertOne(ctx context.Context, n newContact) (*UpsertResult, error) {
	r := UpsertResult(c.createOne(ctx, n))
	if r.Err != nil {
		return nil, r.Err
	}
	return &r, nil
}

// An UpsertContactsInput is a batch of upserts.
type UpsertContactsInput struct {
	Contacts []UpsertContactInput `json:"contacts"`

	// AllOrNothing stores either what all upserts make or nothing. If one cannot be
	// stored, the others are CodeBatchFailed. False: each on its own.
	AllOrNothing bool `json:"all_or_nothing,omitempty"`
}

// UpsertContacts makes many upserts, up to Limits.Batch. It returns one result for
// each, in the order given. Each upsert sees those before it: one can change what
// another has created. Each may have an idempotency key of its own.
//
// The error is about the call as a whole, and then nothing was stored:
// CodeAuthenticationRequired, CodeInvalidKey, CodePermissionDenied,
// CodeValidationError for too many contacts, CodeServerError.
func (s *Service) UpsertContacts(ctx context.Context, key string, in UpsertContactsInput) ([]UpsertResult, error) {
	results, err := s.upsertContacts(ctx, key, in, part{})
	if err != nil {
		return nil, err
	}
	upserts := make([]UpsertResult, len(results))
	for i, r := range results {
		upserts[i] = UpsertResult(r)
	}
	return upserts, nil
}

func (s *Service) upsertContacts(ctx context.Context, key string, in UpsertContactsInput, of part) (_ []CreateResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpUpsertContacts, len(in.Contacts))
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.inputs(ctx, len(in.Contacts), in.AllOrNothing, of, func(i int, bad *problems) newContact {
		return c.newUpsert(&in.Contacts[i], false, bad)
	})
}

// newUpsert makes a new contact of the input of an upsert.
func (c *call) newUpsert(in *UpsertContactInput, own bool, bad *problems) newContact {
	checkKinds("match_on", in.MatchOn, bad)
	checkModes(in.Mode, in.TagsMode, bad)
	n := c.rules.newContact(&in.CreateContactInput, own, bad)
	n.how = &matching{
		MatchOn: slices.Clone(in.MatchOn), Mode: cmp.Or(in.Mode, UpsertFill), TagsMode: cmp.Or(in.TagsMode, TagsAdd),
		UpdateOnly: in.UpdateOnly, RestoreDeleted: in.RestoreDeleted,
	}
	return n
}

// checkModes checks how an upsert changes a contact.
func checkModes(mode UpsertMode, tags TagsMode, bad *problems) {
	if !slices.Contains([]UpsertMode{"", UpsertFill, UpsertOverwrite}, mode) {
		bad.add("mode", FieldNotAllowed, fmt.Sprintf("must be %s or %s", UpsertFill, UpsertOverwrite))
	}
	switch tags {
	case "", TagsAdd:
	case TagsReplace:
		if mode != UpsertOverwrite {
			bad.add("tags_mode", FieldInvalid, fmt.Sprintf("must not be %s unless mode is %s", TagsReplace, UpsertOverwrite))
		}
	default:
		bad.add("tags_mode", FieldNotAllowed, fmt.Sprintf("must be %s or %s", TagsAdd, TagsReplace))
	}
}
