package contacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"
)

// CreateContact validates and normalises the contact and stores it. After a
// return without an error the contact is durable, if the store is. After an error
// nothing was stored, unless the error matches [ErrOutcomeUnknown].
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeMissingFirstName,
// CodeValidationError, CodeTeamAccessDenied, CodeIdempotencyConflict, CodeNotFound,
// CodeTeamNotFound, CodeAmbiguousMatch, CodeDuplicateContact, CodeServerError.
// All wrong fields are reported at once. A key without access to a team that does not
// exist gets CodeTeamNotFound too.
//
// CodeDuplicateContact means that another contact has its external id, or a key that
// the account's [DuplicatePolicy] makes unique. CodeAmbiguousMatch means that the
// policy would return or change a contact, and several match. CodeNotFound means that
// the create is a replay: the policy returned or changed a contact then, and that
// contact is gone.
func (s *Service) CreateContact(ctx context.Context, key string, in CreateContactInput) (*Contact, error) {
	r, err := s.CreateContactResult(ctx, key, in)
	return r.Contact, err
}

// CreateContactResult is CreateContact, and says more: what the account's policy did,
// whether the contact is a replay, and whether a deleted contact has one of its keys.
// Its error is that of the result.
func (s *Service) CreateContactResult(ctx context.Context, key string, in CreateContactInput) (_ CreateResult, err error) {
	ctx, c, err := s.beginOne(ctx, key, OpCreateContact, in.IdempotencyKey == "")
	defer c.end(ctx, &err)
	if err != nil {
		return CreateResult{Err: err}, err
	}
	r := c.createOne(ctx, c.rules.newContact(&in, false, &c.bad))
	if err := c.confirm(ctx); err != nil {
		return CreateResult{Err: err}, err
	}
	return r, r.Err
}

// CreateContactJSON is CreateContact for the documented JSON body. It does not
// read the body before the key is accepted. The body is one object of RFC 8259
// with the documented names, exactly. null means absent. ctx is checked between
// reads of body. It cannot interrupt a Read that is blocked; give the reader a
// deadline for that.
//
// Its errors are those of CreateContact and, after CodePermissionDenied,
// CodeInvalidJSON: the body is not JSON, has a name twice, is too large, or nests
// too deep. A value of the wrong type and an unknown field are
// CodeValidationError.
func (s *Service) CreateContactJSON(ctx context.Context, key string, body io.Reader) (*Contact, error) {
	r, err := s.CreateContactResultJSON(ctx, key, "", body)
	return r.Contact, err
}

// CreateContactResultJSON is CreateContactResult for the JSON body, with the
// idempotency key beside it, as an HTTP request has it in a header; see
// [CreateContactInput.IdempotencyKey]. "" leaves the key to the body. The body
// must not name another one. A key that is wrong is refused before the body is read,
// as the field Idempotency-Key.
func (s *Service) CreateContactResultJSON(ctx context.Context, key, idempotencyKey string, body io.Reader) (_ CreateResult, err error) {
	ctx, c, err := s.beginOne(ctx, key, OpCreateContact, false)
	defer c.end(ctx, &err)
	if err != nil {
		return CreateResult{Err: err}, err
	}
	in := new(CreateContactInput)
	if err := c.decodeBeside(ctx, idempotencyKey, in, body, func(r *contactReader) { r.contact(in) }); err != nil {
		return CreateResult{Err: err}, err
	}
	r := c.createOne(ctx, c.rules.newContact(in, true, &c.bad))
	return r, r.Err
}

// decodeBeside reads a body, and gives its input the idempotency key that was given beside
// it. The field of a key that is wrong is the header, because a client has to correct that.
func (c *call) decodeBeside(ctx context.Context, idempotencyKey string, in *CreateContactInput, body io.Reader, read func(*contactReader)) error {
	checkIdempotencyKey(idempotencyKey, "Idempotency-Key", &c.bad)
	if err := c.bad.err(); err != nil {
		return err
	}
	if err := c.decode(ctx, c.body(body, read)); err != nil {
		return err
	}
	if idempotencyKey == "" {
		return nil
	}
	if in.IdempotencyKey != "" && in.IdempotencyKey != idempotencyKey {
		c.bad.add("idempotency_key", FieldInvalid, "must be the one that was given beside the body")
	}
	in.IdempotencyKey = idempotencyKey
	return nil
}

// A CreateContactsInput is a batch of new contacts.
type CreateContactsInput struct {
	Contacts []CreateContactInput `json:"contacts"`

	// AllOrNothing stores either all contacts or none. If one cannot be stored,
	// the others are CodeBatchFailed. False: each on its own.
	AllOrNothing bool `json:"all_or_nothing,omitempty"`
}

// A CreateResult is what became of one contact, alone or of a batch or a stream.
type CreateResult struct {
	Index    int      `json:"index"`              // its place among the contacts that were given, from 0
	Contact  *Contact `json:"contact,omitempty"`  // nil where Err is set
	Result   Result   `json:"result,omitempty"`   // "" where Err is set; other than ResultCreated by the account's policy
	Replayed bool     `json:"replayed,omitempty"` // it is the result of an earlier create with the same idempotency key

	// Matched says which fields matched the contact. nil: it was created, or the
	// result is a replay.
	Matched []Conflict `json:"matched,omitempty"`

	// Changes are what differs from the contact as it was. nil: nothing, it was
	// created, or the result is a replay.
	Changes []FieldChange `json:"changes,omitempty"`

	// DeletedTwin is the newest deleted contact that has a match key of the new
	// one, if the key may see it. It can be restored in place of the new one.
	// Only keys that must be unique are looked for, and those by which an upsert
	// looks for a contact. Zero: there is none.
	DeletedTwin uuid.UUID `json:"deleted_twin,omitzero"`

	// PastOverlay: the stream of a dry run has more keys than Limits.DryRunKeys, so
	// what the latest of them would have changed is not seen. It is set beside an
	// Err too.
	PastOverlay bool `json:"past_overlay,omitempty"`

	Err error `json:"error,omitempty"` // an error of [Service.CreateContact], or CodeBatchFailed; its fields are relative to this contact
}

// CreateContacts creates many contacts, up to Limits.Batch. It returns one result
// for each, in the order given. Each contact without an error is durable as in
// [Service.CreateContact], and may have an idempotency key of its own. Its
// do-not-call fields are those that it has when all are stored.
//
// The error is about the call as a whole, and then nothing was stored:
// CodeAuthenticationRequired, CodeInvalidKey, CodePermissionDenied,
// CodeValidationError for too many contacts, CodeServerError.
func (s *Service) CreateContacts(ctx context.Context, key string, in CreateContactsInput) ([]CreateResult, error) {
	return s.createContacts(ctx, key, in, part{})
}

func (s *Service) createContacts(ctx context.Context, key string, in CreateContactsInput, of part) (_ []CreateResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpCreateContacts, len(in.Contacts))
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.inputs(ctx, len(in.Contacts), in.AllOrNothing, of, func(i int, bad *problems) newContact {
		return s.rules.newContact(&in.Contacts[i], false, bad)
	})
}

// inputs creates the contacts of so many inputs.
func (c *call) inputs(ctx context.Context, n int, allOrNothing bool, of part, input func(i int, bad *problems) newContact) ([]CreateResult, error) {
	if limit := c.rules.limits.Batch; n > limit {
		return nil, tooManyContacts(limit)
	}
	created := creation{contacts: make([]newContact, n), allOrNothing: allOrNothing, part: of}
	found := 0 // problems
	for i := range created.contacts {
		if err := ctx.Err(); err != nil {
			return nil, c.fault(err)
		}
		bad := problems{limit: problemLimit(found)}
		created.contacts[i] = input(i, &bad)
		found += len(bad.list)
	}
	if err := c.createMany(ctx, &created); err != nil {
		return nil, err
	}
	results := make([]CreateResult, n)
	for i := range created.contacts {
		results[i] = c.resultOf(&created.contacts[i], of.first+i)
	}
	return results, nil
}

// CreateContactsJSON is CreateContacts for a JSON body of at most
// Limits.BatchBytes, {"contacts": [...], "all_or_nothing": false}, whose contacts
// are bodies of the create, each of at most Limits.BodyBytes. It does not read the
// body before the key is accepted.
//
// Its error may also be CodeInvalidJSON, after CodePermissionDenied, and
// CodeValidationError for what is wrong outside the contacts.
//
// Go values take much more memory than their JSON, above all small ones. The
// results hold the contexts of all contacts at once; for bodies of strangers use
// [Service.CreateContactsJSONSeq].
func (s *Service) CreateContactsJSON(ctx context.Context, key string, body io.Reader) ([]CreateResult, error) {
	results, err := s.CreateContactsJSONSeq(ctx, key, body)
	if err != nil {
		return nil, err
	}
	return slices.AppendSeq([]CreateResult{}, results), nil
}

// CreateContactsJSONSeq is CreateContactsJSON with results that are made one at a
// time. The contacts are stored when it returns. The sequence can be walked once.
// Nothing else holds what it has yielded. A batch takes a few times the memory of its
// body and of the contacts that it matches: contacts that match the same one share
// the texts of its contexts. Changes are made with the batch and held as Go values.
func (s *Service) CreateContactsJSONSeq(ctx context.Context, key string, body io.Reader) (_ iter.Seq[CreateResult], err error) {
	ctx, c, err := s.begin(ctx, key, OpCreateContacts, 0)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	var b batch
	whole := c.body(body, func(r *contactReader) { r.batch(&b) })
	whole.limit = s.rules.limits.BatchBytes
	if err := c.decode(ctx, whole); err != nil {
		return nil, err
	}
	if b.tooMany {
		return nil, tooManyContacts(s.rules.limits.Batch)
	}
	if err := c.bad.err(); err != nil {
		return nil, err
	}
	if err := c.createMany(ctx, &b.creation); err != nil {
		return nil, err
	}
	contacts, next := b.contacts, 0
	return func(yield func(CreateResult) bool) {
		for next < len(contacts) {
			n := contacts[next]
			contacts[next] = newContact{}
			next++
			if !yield(c.resultOf(&n, next-1)) {
				return
			}
		}
	}, nil
}

func tooManyContacts(limit int) error {
	return NewValidationError(FieldError{Field: "contacts", Code: FieldTooMany, Message: fmt.Sprintf("must be at most %d", limit)})
}

// problemLimit returns how many problems a contact of a batch may report after
// so many were found in others. When most contacts of a batch are invalid, each
// reports fewer problems, but at least one, so that the answer stays small.
func problemLimit(found int) int {
	const maxInAll = 10 * maxProblems
	return max(1, min(maxProblems, maxInAll-found))
}

// A newContact is a contact on its way from its input to its result.
type newContact struct {
	draft
	key      string             // idempotency key; "": none
	once     *IdempotencyRecord // nil: none
	how      *matching          // of an upsert; nil: it is a create
	change   [1]ContactChange
	defaults fieldSet    // what of it is a default
	place    int         // in its call
	wait     int         // for how many passes it waits
	awaits   *newContact // an earlier one that has a key of the contact that it matches; nil: none is known
	result   Result      // "": nothing yet
	found    *finding    // of one that was found; nil: none was
	twin     uuid.UUID   // [CreateResult.DeletedTwin]
	replayed bool
	past     bool  // [CreateResult.PastOverlay]
	err      error // why it is not stored
}

// newContact makes a new contact of an input. own is that of [rules.contact].
func (r *rules) newContact(in *CreateContactInput, own bool, bad *problems) newContact {
	checkIdempotencyKey(in.IdempotencyKey, "idempotency_key", bad)
	for i := range in.PhoneNumbers {
		if in.PhoneNumbers[i].ID != uuid.Nil {
			bad.add(element("phone_numbers", i)+".id", FieldInvalid, "must not be given for a new contact")
		}
	}
	return newContact{draft: r.contact(in, own, bad), key: in.IdempotencyKey, defaults: in.defaulted(), err: bad.err()}
}

// A creation is new contacts that are stored together. One contact is a batch of
// one.
type creation struct {
	contacts     []newContact
	allOrNothing bool
	part         part
	places       map[uuid.UUID]int // the new contacts of the call; nil: not known yet
	room         []Mutation        // empty, to be used if it is large enough
	stale        error             // of all or nothing: the settings of the account changed, and nothing is stored
}

// A single is the memory of a call that creates one contact. It is used again after
// the call.
type single struct {
	call call
	creation
	contact     [1]newContact
	mutation    [1]Mutation
	observation observation
}

// conflict returns the conflict of a contact with another one that has a key of it.
// Hide leaves out the id of one of this call.
func (created *creation) conflict(c *Contact, k MatchKey, id uuid.UUID, hide bool) Conflict {
	conflict := Conflict{ContactID: id}
	conflict.Field, conflict.Form = c.fieldOf(k)
	place, own := created.placeOf(id)
	if own {
		conflict.Index = &place
	}
	if own && hide || isPastID(id) {
		conflict.ContactID = uuid.Nil
	}
	return conflict
}

// placeOf returns the place in the call of the contact that has the id.
func (created *creation) placeOf(id uuid.UUID) (place int, own bool) {
	if isPastID(id) {
		place = int(pastPlace(id))
		return place, place != unknownPlace
	}
	if created == nil {
		return 0, false
	}
	if created.places == nil {
		created.places = make(map[uuid.UUID]int, len(created.contacts))
		for i := range created.contacts {
			if n := &created.contacts[i]; n.record != nil && !n.replayed && n.found == nil {
				created.places[n.record.Contact.ID] = created.part.first + i
			}
		}
	}
	place, own = created.places[id]
	return place, own
}

// createOne creates the contact of a call that beginOne has begun.
func (c *call) createOne(ctx context.Context, n newContact) CreateResult {
	one := c.one
	one.contact[0] = n
	one.contacts, one.room = one.contact[:], one.mutation[:0]
	if err := c.prepare(ctx, &one.creation); err != nil {
		return CreateResult{Err: err}
	}
	if c.dryRun {
		c.seen = newOverlay()
	}
	c.create(ctx, &one.creation)
	c.markAll(ctx, &one.creation)
	r := c.resultOf(&one.contact[0], 0)
	if r.Err == nil {
		c.observed.wrote(r.Result, r.Replayed, nil)
	}
	return r
}

// createMany creates the contacts of a batch.
func (c *call) createMany(ctx context.Context, created *creation) error {
	if err := c.prepare(ctx, created); err != nil {
		return err
	}
	right := 0
	for i := range created.contacts {
		if created.contacts[i].err == nil {
			right++
		}
	}
	c.many = right > 1
	if c.dryRun {
		c.seen = newOverlay()
		c.seen.past = created.part.past
	}
	if created.allOrNothing {
		if err := c.createAll(ctx, created); err != nil {
			return err
		}
	} else {
		c.create(ctx, created)
	}
	c.shared, c.others = sharedContexts{}, nil
	c.markAll(ctx, created)
	for i := range created.contacts {
		n := &created.contacts[i]
		c.observed.wrote(n.result, n.replayed, n.err)
	}
	if past := created.part.past; past != nil {
		for i := range created.contacts {
			created.contacts[i].past = past.full
		}
		past.keep(c.seen, created.part.first)
	}
	return nil
}

// prepare completes the new contacts that are right so far. Its error is about
// all of them.
func (c *call) prepare(ctx context.Context, created *creation) error {
	for i := range created.contacts {
		n := &created.contacts[i]
		n.place = i
		if n.err != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return c.fault(err)
		}
		contact := &n.record.Contact
		if n.err = c.checkTeam(ctx, contact.TeamID); n.err != nil {
			if CodeOf(n.err) == CodeServerError {
				return n.err
			}
			continue
		}
		if err := c.assignIDs(contact); err != nil {
			return c.fault(err)
		}
		if n.key == "" {
			continue
		}
		n.once = newIdempotencyRecord(n.key, n.record, c.retention)
		var err error
		if n.how != nil {
			err = n.once.addInput(n.how)
		}
		if err == nil && n.how != nil && n.how.Mode == UpsertOverwrite && n.defaults != 0 { // a default overwrites nothing
			err = n.once.addInput(n.defaults)
		}
		if err != nil {
			return c.fault(err)
		}
	}
	return nil
}

// create stores the new contacts that are valid, and says of each what became of
// it.
func (c *call) create(ctx context.Context, created *creation) {
	limit := MaxMutations
	if created.allOrNothing {
		limit = len(created.contacts)
	}
	valid := make([]*newContact, 0, min(len(created.contacts), limit))
	for i := range created.contacts {
		if n := &created.contacts[i]; n.err == nil {
			valid = append(valid, n)
		}
		if len(valid) == limit || i == len(created.contacts)-1 {
			c.settle(ctx, created, valid)
			valid = valid[:0]
		}
	}
	if !created.allOrNothing {
		c.checkReplays(ctx, created)
	}
}

// assignIDs gives a new contact its identity and its time.
func (c *call) assignIDs(contact *Contact) error {
	now, err := c.clock.read()
	if err != nil {
		return err
	}
	contact.AccountID, contact.Version = c.principal.AccountID, 1
	contact.CreatedAt, contact.UpdatedAt = now, now
	if contact.ID, err = c.ids.next(now); err != nil {
		return err
	}
	return c.assignPhoneIDs(contact.PhoneNumbers, now)
}

// assignPhoneIDs gives ids to the phone numbers that have none.
func (c *call) assignPhoneIDs(phones []PhoneNumber, now time.Time) (err error) {
	for i := range phones {
		if phones[i].ID != uuid.Nil {
			continue
		}
		if phones[i].ID, err = c.ids.next(now); err != nil {
			return err
		}
	}
	return nil
}

// finish says what became of a new contact, by its outcome.
func (c *call) finish(n *newContact, o MutationOutcome) {
	switch {
	case errors.Is(o.Err, ErrNotFound): // the account, which was there before
		n.err = c.fault(fmt.Errorf("%w: %w", errNoAccount, o.Err))
	case o.Err != nil:
		n.err = c.refusal(o.Err)
	case o.Result != "":
		if err := n.replay(o.Result); err != nil {
			n.err = c.fault(err)
		}
	default:
		n.result = ResultCreated
		for _, h := range o.Holders { // a deleted one
			if c.principal.CanAccessTeam(h.TeamID) {
				n.twin = h.ContactID
			}
		}
	}
}

// resultOf returns the result of a new contact.
func (c *call) resultOf(n *newContact, index int) CreateResult {
	r := CreateResult{Index: index, Result: n.result, Replayed: n.replayed, DeletedTwin: n.twin, PastOverlay: n.past}
	if n.err == nil && n.record != nil {
		if damaged := c.ownForms(n); damaged != nil {
			n.err = newServerError(damaged)
		}
	}
	if n.err != nil {
		return CreateResult{Index: index, PastOverlay: n.past, Err: n.err}
	}
	if n.record != nil {
		r.Contact = c.result(&n.draft)
	}
	if n.found != nil {
		r.Matched, r.Changes = n.found.matched, n.found.changes
	}
	return r
}
