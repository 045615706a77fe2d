package contacts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

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
	// is not blank. New phone numbers do not become primary. Members that a
	// context does not have are added, at every depth.
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
	// kinds that the account's policy makes unique; if it makes only external ids
	// unique, all kinds.
	MatchOn []KeyKind `json:"match_on,omitempty"`

	Mode     UpsertMode `json:"mode,omitempty"`      // "": UpsertFill
	TagsMode TagsMode   `json:"tags_mode,omitempty"` // "": TagsAdd

	// UpdateOnly creates nothing: where no contact matches, the upsert is
	// CodeNotFound. The input must have a key of MatchOn.
	UpdateOnly bool `json:"update_only,omitempty"`

	// RestoreDeleted restores and changes a deleted contact if no live contact
	// matches, and exactly one deleted contact that the key may see.
	RestoreDeleted bool `json:"restore_deleted,omitempty"`
}

// An UpsertResult is what became of an upsert.
type UpsertResult struct {
	Contact  *Contact `json:"contact"`
	Result   Result   `json:"result"`
	Replayed bool     `json:"replayed,omitempty"` // it is the result of an earlier call with the same idempotency key

	// Matched says which fields matched the contact. nil: it was created, or the
	// result is a replay.
	Matched []Conflict `json:"matched,omitempty"`

	// Changes are what differs from the contact as it was. nil: it was created,
	// or the result is a replay.
	Changes []FieldChange `json:"changes,omitempty"`
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
// contact.
func (s *Service) UpsertContact(ctx context.Context, key string, in UpsertContactInput) (_ *UpsertResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpUpsertContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.upsert(ctx, &in)
}

// UpsertContactJSON is UpsertContact for a JSON body, with the idempotency key
// beside it; see [Service.CreateContactResultJSON]. It does not read the body before
// the key is accepted; CodeInvalidJSON comes after CodePermissionDenied.
func (s *Service) UpsertContactJSON(ctx context.Context, key, idempotencyKey string, body io.Reader) (_ *UpsertResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpUpsertContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	in := new(UpsertContactInput)
	if err := c.decode(ctx, c.body(body, func(r *contactReader) { r.upsert(in) })); err != nil {
		return nil, err
	}
	c.keyBeside(&in.CreateContactInput, idempotencyKey)
	return c.upsert(ctx, in)
}

// An upserting is an upsert on its way.
type upserting struct {
	newContact
	in *UpsertContactInput
}

// upsert makes the upsert again until no other writer has come between.
func (c *call) upsert(ctx context.Context, in *UpsertContactInput) (*UpsertResult, error) {
	c.checkUpsert(in)
	prepared := creation{contacts: []newContact{c.rules.newContact(&in.CreateContactInput, false, &c.bad)}}
	if err := c.prepare(ctx, prepared); err != nil {
		return nil, err
	}
	u := upserting{prepared.contacts[0], in}
	if u.err != nil {
		return nil, u.err
	}
	if u.once != nil {
		options := *in
		options.CreateContactInput = CreateContactInput{}
		if err := u.once.addInput(options); err != nil {
			return nil, c.fault(err)
		}
	}
	for stale, try := 0, 1; ; try++ {
		result, err := c.tryUpsert(ctx, u)
		switch {
		case errors.Is(err, ErrStale) && stale < maxStale-1:
			stale++
			c.account = nil
			c.tries++
		case errors.Is(err, errAgain) && try < maxTries:
			stale = 0
			c.tries++
		case err == nil:
			c.observed.wrote(result.Result, result.Replayed, nil)
			return result, nil
		default:
			if e, ok := errors.AsType[*Error](err); ok {
				return nil, e
			}
			return nil, c.fault(err)
		}
	}
}

// checkUpsert checks what an upsert has beside the contact.
func (c *call) checkUpsert(in *UpsertContactInput) {
	checkKinds("match_on", in.MatchOn, &c.bad)
	if !slices.Contains([]UpsertMode{"", UpsertFill, UpsertOverwrite}, in.Mode) {
		c.bad.add("mode", FieldNotAllowed, fmt.Sprintf("must be %s or %s", UpsertFill, UpsertOverwrite))
	}
	switch in.TagsMode {
	case "", TagsAdd:
	case TagsReplace:
		if in.Mode != UpsertOverwrite {
			c.bad.add("tags_mode", FieldInvalid, fmt.Sprintf("must not be %s unless mode is %s", TagsReplace, UpsertOverwrite))
		}
	default:
		c.bad.add("tags_mode", FieldNotAllowed, fmt.Sprintf("must be %s or %s", TagsAdd, TagsReplace))
	}
}

// errAgain: another writer came between a look and a write.
var errAgain = errors.New("contacts: another change came first")

// tryUpsert makes an upsert once. It creates first, with a claim on every key: the
// refusal names the contacts that match.
func (c *call) tryUpsert(ctx context.Context, u upserting) (*UpsertResult, error) {
	policy, err := c.policy(ctx)
	if err != nil {
		return nil, err
	}
	w := upsertWrite{call: c, upserting: u, policy: policy}
	w.choose()
	if len(w.on) == 0 && u.in.UpdateOnly {
		return nil, NewValidationError(FieldError{"match_on", FieldRequired, "must name a key that the contact has, because of update_only"})
	}
	o, err := w.create(ctx, u.in.UpdateOnly || u.in.RestoreDeleted)
	switch {
	case err != nil:
		return nil, err
	case o.Result != "":
		return w.replay(ctx, o.Result)
	case errors.Is(o.Err, ErrDuplicate):
		return w.change(ctx, o.Holders)
	case o.Err != nil:
		return nil, w.refused(o.Err)
	}
	if u.in.RestoreDeleted {
		if result, err := w.restore(ctx); result != nil || err != nil {
			return result, err
		}
	}
	if u.in.UpdateOnly {
		return nil, newError(ErrNotFound, nil)
	}
	if u.in.RestoreDeleted { // it was judged, and not stored
		o, err := w.create(ctx, false)
		switch {
		case err != nil:
			return nil, err
		case errors.Is(o.Err, ErrDuplicate), o.Result != "":
			return nil, errAgain
		case o.Err != nil:
			return nil, w.refused(o.Err)
		}
	}
	return &UpsertResult{Contact: u.contact(), Result: ResultCreated}, nil
}

// An upsertWrite is one try of an upsert.
type upsertWrite struct {
	*call
	upserting
	policy DuplicatePolicy

	on     []MatchKey // by which the contact is found
	claims []MatchKey // these, and those that must be unique
}

// choose chooses the keys of the contact by which it is found.
func (w *upsertWrite) choose() {
	kinds := w.in.MatchOn
	if kinds == nil {
		kinds = w.policy.uniqueKinds()
	}
	for _, k := range w.record.MatchKeys() {
		on := slices.Contains(kinds, k.Kind)
		if on {
			w.on = append(w.on, k)
		}
		if on || w.policy.unique(k.Kind) {
			w.claims = append(w.claims, k)
		}
	}
}

// apply sends one mutation of a contact that was stored, or was not.
func (w *upsertWrite) apply(ctx context.Context, stored *ContactRecord, m Mutation, dryRun bool) (MutationOutcome, error) {
	now, err := w.clock.read()
	if err != nil {
		return MutationOutcome{}, err
	}
	batch := write{MutationBatch{Mutations: []Mutation{m}, Now: now, DryRun: dryRun}, []*ContactRecord{stored}}
	if err := w.recordEvents(ctx, batch); err != nil {
		return MutationOutcome{}, err
	}
	outcomes, err := w.send(ctx, batch.MutationBatch)
	if err != nil || outcomes == nil {
		return MutationOutcome{}, err
	}
	return outcomes[0], nil
}

// create stores the contact as a new one.
func (w *upsertWrite) create(ctx context.Context, dryRun bool) (MutationOutcome, error) {
	return w.apply(ctx, nil, Mutation{
		Idempotency: w.once,
		Contacts:    []ContactChange{{ID: w.record.Contact.ID, Record: w.record}},
		Claims:      w.claims,
	}, dryRun)
}

// refused returns the error of an outcome.
func (w *upsertWrite) refused(err error) error {
	switch {
	case errors.Is(err, ErrStale):
		return ErrStale
	case errors.Is(err, ErrConflict), errors.Is(err, ErrDuplicate):
		return errAgain
	case errors.Is(err, ErrNotFound): // the account
		return w.fault(err)
	default:
		return w.refusal(err)
	}
}

// conflict returns an error with the code of a sentinel that names those of the
// holders of the claims that are wanted.
func (w *upsertWrite) conflict(sentinel error, holders []Holder, wanted func(Holder) bool) error {
	d := duplicate{code: sentinel, contact: &w.record.Contact, claims: w.claims}
	for _, h := range holders {
		if wanted(h) {
			d.holders = append(d.holders, h)
		}
	}
	return w.duplicateError(d)
}

// change changes the one live contact that matches.
func (w *upsertWrite) change(ctx context.Context, holders []Holder) (*UpsertResult, error) {
	matches := func(h Holder) bool { return slices.Contains(w.on, w.claims[h.Key]) }
	var found []uuid.UUID
	hidden := false
	for _, h := range holders {
		if matches(h) && !slices.Contains(found, h.ContactID) {
			found = append(found, h.ContactID)
			hidden = !w.principal.CanAccessTeam(h.TeamID)
		}
	}
	switch {
	case len(found) == 0: // a key that must be unique is another contact's
		return nil, w.conflict(ErrDuplicate, holders, func(Holder) bool { return true })
	case len(found) > 1:
		return nil, w.conflict(ErrAmbiguous, holders, matches)
	case hidden:
		return nil, w.conflict(ErrDuplicate, holders, matches)
	}
	stored, err := w.matched(ctx, false)
	if err != nil {
		return nil, err
	}
	if len(stored) != 1 || stored[0].Contact.ID != found[0] {
		return nil, errAgain
	}
	added := w.policy.claims(w.record, stored[0])
	for _, h := range holders { // an upsert adds no key that another contact has
		if key := w.claims[h.Key]; h.ContactID != found[0] && slices.Contains(added, key) && w.adds(stored[0], key) {
			return nil, w.conflict(ErrDuplicate, holders, func(h Holder) bool { return h.ContactID != found[0] && w.claims[h.Key] == key })
		}
	}
	return w.merge(ctx, stored[0])
}

// adds reports whether the upsert gives the contact that key.
func (w *upsertWrite) adds(stored *ContactRecord, key MatchKey) bool {
	switch key.Kind {
	case KeyEmail:
		return w.in.Mode == UpsertOverwrite || stored.Contact.Email == ""
	case KeyExternalID:
		return stored.Contact.ExternalID == ""
	default:
		return true
	}
}

// matched returns the contacts that have a key by which the contact is found.
func (w *upsertWrite) matched(ctx context.Context, deleted bool) ([]*ContactRecord, error) {
	const enough = 11 // more than one is too many
	q := ContactQuery{AccountID: w.principal.AccountID, AllTeams: true, MatchKeys: w.on, Deleted: deleted, Limit: enough}
	if deleted {
		q.AllTeams, q.Teams = w.principal.AllTeams, slices.Clone(w.principal.TeamIDs)
	}
	list, err := w.store.ListContacts(ctx, q)
	return list.Records, err
}

// restore restores and changes the one deleted contact that matches; nil if it is
// not one.
func (w *upsertWrite) restore(ctx context.Context) (*UpsertResult, error) {
	if len(w.on) == 0 {
		return nil, nil
	}
	deleted, err := w.matched(ctx, true)
	if err != nil || len(deleted) != 1 {
		return nil, err
	}
	return w.merge(ctx, deleted[0])
}

// merge stores what the upsert makes of a stored contact.
func (w *upsertWrite) merge(ctx context.Context, stored *ContactRecord) (*UpsertResult, error) {
	was := &stored.Contact
	result := &UpsertResult{Result: ResultUpdated, Matched: w.matches(stored)}
	if was.ExternalID != "" && w.record.Contact.ExternalID != "" && was.ExternalID != w.record.Contact.ExternalID {
		e := newError(ErrDuplicate, nil)
		e.Message, e.Conflicts = result.Matched[0].Field+": the contact that has it has another external id", result.Matched
		return nil, e
	}
	var bad problems
	m := merging{in: &w.in.CreateContactInput, made: w.record, mode: w.in.Mode, tagsMode: w.in.TagsMode, bad: &bad}
	next, err := w.rules.merge(m, stored)
	if err != nil {
		return nil, err
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	before := draft{record: stored}
	if damaged := before.load(); damaged != nil {
		return nil, damaged
	}
	old := *before.contact()
	contact := &next.record.Contact
	contact.DeletedAt = time.Time{}
	differ, err := w.difference(ctx, &old, next.contact())
	if err != nil {
		return nil, err
	}
	result.Changes = differ.changes
	contact.CustomContext, contact.IndustryContext = nil, nil // as a store keeps them

	mutation := Mutation{Claims: w.policy.claims(next.record, stored)}
	for _, k := range w.on {
		if !slices.Contains(mutation.Claims, k) {
			mutation.Claims = append(mutation.Claims, k)
		}
	}
	switch {
	case !was.DeletedAt.IsZero():
		result.Result = ResultRestored
	case !differ.record && !differ.blocks:
		result.Result = ResultUnchanged
	}
	if w.once != nil {
		if mutation.Idempotency, err = w.once.saying(firstResult{ID: was.ID, CreatedAt: was.CreatedAt, Result: result.Result}); err != nil {
			return nil, err
		}
	}
	if result.Result == ResultUnchanged {
		mutation.Claims = nil
		result.Contact = &old
		if mutation.Idempotency == nil {
			return result, nil
		}
	} else {
		now, err := w.clock.read()
		if err != nil {
			return nil, err
		}
		if differ.record || result.Result == ResultRestored { // else the blocks are stored alone
			contact.Version, contact.UpdatedAt = was.Version+1, timeOfChange(was, now)
		}
		mutation.Contacts = []ContactChange{{ID: was.ID, Version: was.Version, Record: next.record}}
	}
	o, err := w.apply(ctx, stored, mutation, false)
	switch {
	case err != nil:
		return nil, err
	case o.Result != "":
		return nil, errAgain
	case o.Err != nil:
		return nil, w.refused(o.Err)
	}
	result.Contact = next.contact()
	return result, nil
}

// matches returns the fields of the input by which the contact was found.
func (w *upsertWrite) matches(stored *ContactRecord) (matched []Conflict) {
	keys := stored.MatchKeys()
	for _, k := range w.on {
		if slices.Contains(keys, k) {
			matched = append(matched, Conflict{Field: w.record.Contact.fieldOf(k), ContactID: stored.Contact.ID})
		}
	}
	return matched
}

// replay returns the result of an earlier upsert with the same idempotency key. A
// contact that was created is returned as it was made, and any other as it is now.
func (w *upsertWrite) replay(ctx context.Context, result string) (*UpsertResult, error) {
	first, err := parseFirstResult(result)
	if err != nil {
		return nil, err
	}
	r := &UpsertResult{Result: cmp.Or(first.Result, ResultCreated), Replayed: true}
	stored, err := w.store.FindContact(ctx, w.principal.AccountID, first.ID)
	gone := errors.Is(err, ErrNotFound)
	switch {
	case err != nil && !gone:
		return nil, err
	case !gone && !w.principal.CanAccessTeam(stored.Contact.TeamID): // the key must not learn of it
		return nil, newError(ErrIdempotencyConflict, nil)
	case r.Result == ResultCreated:
		if err := first.replay(&w.record.Contact); err != nil {
			return nil, err
		}
		r.Contact = w.contact()
		return r, nil
	case gone || !stored.Contact.DeletedAt.IsZero():
		return nil, newError(ErrNotFound, nil)
	}
	d := draft{record: stored}
	if damaged := d.load(); damaged != nil {
		return nil, damaged
	}
	r.Contact = d.contact()
	return r, w.mark(ctx, r.Contact)
}
