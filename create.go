package contacts

import (
	"cmp"
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
// CodeValidationError, CodeTeamAccessDenied, CodeIdempotencyConflict,
// CodeTeamNotFound, CodeDuplicateContact, CodeServerError. CodeDuplicateContact
// means that another contact has its external id, or a key that the account's
// [DuplicatePolicy] makes unique. All wrong fields are reported at once. A key
// without access to a team that does not exist gets CodeTeamNotFound too.
func (s *Service) CreateContact(ctx context.Context, key string, in CreateContactInput) (*Contact, error) {
	r, err := s.CreateContactResult(ctx, key, in)
	return r.Contact, err
}

// CreateContactResult is CreateContact, and says more: whether the contact is a
// replay, and whether a deleted contact has one of its keys. Its error is that of
// the result.
func (s *Service) CreateContactResult(ctx context.Context, key string, in CreateContactInput) (_ CreateResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpCreateContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return CreateResult{Err: err}, err
	}
	r := c.createOne(ctx, c.rules.newContact(&in, false, &c.bad))
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
// must not name another one.
func (s *Service) CreateContactResultJSON(ctx context.Context, key, idempotencyKey string, body io.Reader) (_ CreateResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpCreateContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return CreateResult{Err: err}, err
	}
	in := new(CreateContactInput)
	if err := c.decode(ctx, c.body(body, func(r *contactReader) { r.contact(in) })); err != nil {
		return CreateResult{Err: err}, err
	}
	c.keyBeside(in, idempotencyKey)
	r := c.createOne(ctx, c.rules.newContact(in, true, &c.bad))
	return r, r.Err
}

// keyBeside gives the input the idempotency key that was given beside its body.
func (c *call) keyBeside(in *CreateContactInput, idempotencyKey string) {
	if idempotencyKey == "" {
		return
	}
	if in.IdempotencyKey != "" && in.IdempotencyKey != idempotencyKey {
		c.bad.add("idempotency_key", FieldInvalid, "must be the one that was given beside the body")
	}
	in.IdempotencyKey = idempotencyKey
}

// A CreateContactsInput is a batch of new contacts.
type CreateContactsInput struct {
	Contacts []CreateContactInput `json:"contacts"`

	// AllOrNothing stores either all contacts or none. If one cannot be stored,
	// the others are CodeBatchFailed. False: each on its own.
	AllOrNothing bool `json:"all_or_nothing,omitempty"`
}

// A CreateResult is what became of one contact of a batch or a stream.
type CreateResult struct {
	Index    int      `json:"index"`              // its place among the contacts that were given, from 0
	Contact  *Contact `json:"contact,omitempty"`  // nil where Err is set
	Replayed bool     `json:"replayed,omitempty"` // it is the result of an earlier create with the same idempotency key

	// DeletedTwin is the newest deleted contact that has a match key of the new
	// one, if the key may see it. It can be restored or purged in its place. Only
	// keys that must be unique are looked for. Zero: there is none.
	DeletedTwin uuid.UUID `json:"deleted_twin,omitzero"`

	Err error `json:"error,omitempty"` // an *Error of those of [Service.CreateContact], or CodeBatchFailed; its fields are those of the one contact
}

// CreateContacts creates many contacts, up to Limits.Batch. It returns one result
// for each, in the order given. Each contact without an error is durable as in
// [Service.CreateContact], and may have an idempotency key of its own.
//
// The error is about the call as a whole, and then nothing was stored:
// CodeAuthenticationRequired, CodeInvalidKey, CodePermissionDenied,
// CodeValidationError for too many contacts, CodeServerError.
func (s *Service) CreateContacts(ctx context.Context, key string, in CreateContactsInput) (_ []CreateResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpCreateContacts, len(in.Contacts))
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	if limit := s.rules.limits.Batch; len(in.Contacts) > limit {
		return nil, tooManyContacts(limit)
	}
	created := creation{contacts: make([]newContact, len(in.Contacts)), allOrNothing: in.AllOrNothing}
	found := 0 // problems
	for i := range in.Contacts {
		if err := ctx.Err(); err != nil {
			return nil, c.fault(err)
		}
		bad := problems{limit: problemLimit(found)}
		created.contacts[i] = s.rules.newContact(&in.Contacts[i], false, &bad)
		found += len(bad.list)
	}
	if err := c.createMany(ctx, created); err != nil {
		return nil, err
	}
	results := make([]CreateResult, len(created.contacts))
	for i := range created.contacts {
		results[i] = created.contacts[i].result(i)
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
// Nothing else holds what it has yielded, so a batch takes a few times the memory
// of its body, whatever the body holds.
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
	if err := c.createMany(ctx, b.creation); err != nil {
		return nil, err
	}
	contacts, next := b.contacts, 0
	return func(yield func(CreateResult) bool) {
		for next < len(contacts) {
			n := contacts[next]
			contacts[next] = newContact{}
			next++
			if !yield(n.result(next - 1)) {
				return
			}
		}
	}, nil
}

// CreateContactStream creates contacts as they come from the source, for imports
// of any size. It yields one result for each, in their order. It holds up to
// 1,000 contacts at a time. Results come when that many were created, or when the
// source has ended.
//
// An error beside the result is one of those of [Service.CreateContacts] and ends
// the stream. If contacts could not be stored for a CodeServerError, that error
// follows their results. The key is checked once for each 1,000 contacts.
//
// To end a stream early with all results known, end the source. If the caller
// stops early or ctx is done, up to 1,000 contacts may be stored whose results it
// has not seen. A nil source holds nothing.
func (s *Service) CreateContactStream(ctx context.Context, key string, source iter.Seq[CreateContactInput]) iter.Seq2[CreateResult, error] {
	return func(yield func(CreateResult, error) bool) {
		done := 0
		chunk := make([]CreateContactInput, 0, min(MaxMutations, s.rules.limits.Batch))
		flush := func() bool {
			if len(chunk) == 0 {
				return true
			}
			results, err := s.CreateContacts(ctx, key, CreateContactsInput{Contacts: chunk})
			clear(chunk)
			chunk = chunk[:0]
			if err != nil {
				yield(CreateResult{}, err)
				return false
			}
			var fault error
			for _, r := range results {
				if CodeOf(r.Err) == CodeServerError {
					fault = r.Err
				}
				r.Index += done
				if e, ok := errors.AsType[*Error](r.Err); ok {
					e.shiftConflicts(done)
				}
				if !yield(r, nil) {
					return false
				}
			}
			done += len(results)
			if fault != nil {
				yield(CreateResult{}, fault)
			}
			return fault == nil
		}
		if source == nil {
			return
		}
		for in := range source {
			if chunk = append(chunk, in); len(chunk) == cap(chunk) && !flush() {
				return
			}
		}
		flush()
	}
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

// shiftConflicts makes places in a part of a stream places in the stream.
func (e *Error) shiftConflicts(by int) {
	for i := range e.Conflicts {
		if index := e.Conflicts[i].Index; index != nil {
			*index += by
		}
	}
}

// A newContact is a contact on its way from its input to its result.
type newContact struct {
	draft
	key      string             // idempotency key; "": none
	once     *IdempotencyRecord // nil: none
	change   [1]ContactChange
	replayed bool
	twin     uuid.UUID // [CreateResult.DeletedTwin]
	err      error     // why it is not stored
}

// newContact makes a new contact of an input. own is that of [rules.contact].
func (r *rules) newContact(in *CreateContactInput, own bool, bad *problems) newContact {
	checkIdempotencyKey(in.IdempotencyKey, bad)
	for i := range in.PhoneNumbers {
		if in.PhoneNumbers[i].ID != uuid.Nil {
			bad.add(element("phone_numbers", i)+".id", FieldInvalid, "must not be given for a new contact")
		}
	}
	return newContact{draft: r.contact(in, own, bad), key: in.IdempotencyKey, err: bad.err()}
}

// A creation is new contacts that are stored together. One contact is a batch of
// one.
type creation struct {
	contacts     []newContact
	allOrNothing bool
	room         []Mutation // empty, to be used if it is large enough
}

// A single is the memory of the creation of one contact.
type single struct {
	contacts  [1]newContact
	mutations [1]Mutation
}

// places returns the place of each contact in the input, by id.
func (created creation) places() map[uuid.UUID]int {
	places := make(map[uuid.UUID]int, len(created.contacts))
	for i := range created.contacts {
		if n := &created.contacts[i]; n.record != nil {
			places[n.record.Contact.ID] = i
		}
	}
	return places
}

// createOne creates a single contact.
func (c *call) createOne(ctx context.Context, n newContact) CreateResult {
	one, ok := c.singles.Get().(*single)
	if !ok {
		one = new(single)
	}
	defer func() {
		*one = single{}
		c.singles.Put(one)
	}()
	one.contacts[0] = n
	created := creation{contacts: one.contacts[:], room: one.mutations[:0]}
	if err := c.prepare(ctx, created); err != nil {
		return CreateResult{Err: err}
	}
	c.create(ctx, created)
	r := one.contacts[0].result(0)
	if r.Err == nil {
		c.observed.wrote(ResultCreated, r.Replayed, nil)
	}
	return r
}

// createMany creates the contacts of a batch.
func (c *call) createMany(ctx context.Context, created creation) error {
	if err := c.createAll(ctx, created); err != nil {
		return err
	}
	for i := range created.contacts {
		c.observed.wrote(ResultCreated, created.contacts[i].replayed, created.contacts[i].err)
	}
	return nil
}

func (c *call) createAll(ctx context.Context, created creation) error {
	if err := c.prepare(ctx, created); err != nil {
		return err
	}
	if created.allOrNothing {
		if err := c.refuseReplays(ctx, created); err != nil {
			return err
		}
		if slices.ContainsFunc(created.contacts, func(n newContact) bool { return n.err != nil }) {
			return c.failBatch(ctx, created)
		}
	}
	c.create(ctx, created)
	return nil
}

// prepare completes the new contacts that are right so far. Its error is about
// all of them.
func (c *call) prepare(ctx context.Context, created creation) error {
	for i := range created.contacts {
		n := &created.contacts[i]
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
		var err error
		if n.once, err = newIdempotencyRecord(n.key, n.record, c.retention); err != nil {
			return c.fault(err)
		}
	}
	return nil
}

// failBatch refuses the contacts of an all-or-nothing batch that are right,
// because others are not. The store does not see them, so a missing team is
// looked up here: all that is wrong is reported at once.
func (c *call) failBatch(ctx context.Context, created creation) error {
	missing := make(map[int64]error) // by team
	for i := range created.contacts {
		n := &created.contacts[i]
		if n.err != nil {
			continue
		}
		team := n.record.Contact.TeamID
		err, known := missing[team]
		if !known && team != 0 {
			if err = c.teamExists(ctx, team); CodeOf(err) == CodeServerError {
				return err
			}
			missing[team] = err
		}
		n.err = newError(cmp.Or(err, ErrBatchFailed), nil)
	}
	return nil
}

// create stores the new contacts that are right, and says of each what became of
// it.
func (c *call) create(ctx context.Context, created creation) {
	for from := 0; from < len(created.contacts); {
		from += c.createPart(ctx, created, from)
	}
	if !created.allOrNothing {
		c.checkReplays(ctx, created)
	}
}

// createPart is create for the contacts that fit into one batch of the store. It
// returns how many those are, from a place on.
func (c *call) createPart(ctx context.Context, created creation, from int) (size int) {
	part := created.contacts[from:]
	most := len(part)
	if !created.allOrNothing {
		most = min(most, MaxMutations)
	}
	batch := write{MutationBatch: MutationBatch{Mutations: created.room, AllOrNothing: created.allOrNothing}}
	if cap(batch.Mutations) < most {
		batch.Mutations = make([]Mutation, 0, most)
	}
	for size < len(part) && len(batch.Mutations) < most {
		n := &part[size]
		if size++; n.err != nil {
			continue
		}
		n.change[0] = ContactChange{ID: n.record.Contact.ID, Record: n.record}
		batch.Mutations = append(batch.Mutations, Mutation{Idempotency: n.once, Contacts: n.change[:]})
		batch.Now = n.record.Contact.CreatedAt
	}
	if len(batch.Mutations) == 0 {
		return size
	}
	outcomes, err := c.apply(ctx, batch)
	if err != nil {
		c.note(err)
	}
	var places map[uuid.UUID]int
	sent := 0
	for i := range part[:size] {
		n := &part[i]
		if n.err != nil {
			continue
		}
		switch {
		case err != nil:
			n.err = newServerError(err)
		case outcomes == nil:
		case errors.Is(outcomes[sent].Err, ErrDuplicate):
			if places == nil {
				places = created.places()
			}
			n.err = c.duplicateError(duplicate{
				code: ErrDuplicate, contact: &n.record.Contact, claims: batch.Mutations[sent].Claims,
				holders: outcomes[sent].Holders, batch: places, stored: !created.allOrNothing,
			})
		default:
			c.finish(n, outcomes[sent])
		}
		sent++
	}
	return size
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
		n.replayed = true
		first, err := parseFirstResult(o.Result)
		if err == nil {
			err = first.replay(&n.record.Contact)
		}
		if err != nil {
			n.err = c.fault(err)
		}
	default:
		for _, h := range o.Holders { // a deleted one
			if c.principal.CanAccessTeam(h.TeamID) {
				n.twin = h.ContactID
			}
		}
	}
}

// result returns the result of a new contact.
func (n *newContact) result(index int) CreateResult {
	if n.err == nil {
		if damaged := n.load(); damaged != nil {
			n.err = newServerError(damaged)
		}
	}
	if n.err != nil {
		return CreateResult{Index: index, Err: n.err}
	}
	return CreateResult{Index: index, Contact: n.contact(), Replayed: n.replayed, DeletedTwin: n.twin}
}
