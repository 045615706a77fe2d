package contacts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/google/uuid"
)

// CreateContact validates and normalises the contact and stores it. After a
// return without an error the contact is durable, if the store is. After an error
// nothing was stored, unless the error matches [ErrOutcomeUnknown].
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeMissingFirstName,
// CodeValidationError, CodeTeamAccessDenied, CodeIdempotencyConflict,
// CodeTeamNotFound, CodeServerError. All wrong fields are reported at once. A key
// without access to a team that does not exist gets CodeTeamNotFound too.
func (s *Service) CreateContact(ctx context.Context, key string, in CreateContactInput) (*Contact, error) {
	c, err := s.begin(ctx, key, OpCreateContact)
	defer c.end(ctx)
	if err != nil {
		return nil, err
	}
	r := c.createOne(ctx, &in)
	return r.Contact, r.Err
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
	c, _, err := s.CreateContactOnceJSON(ctx, key, "", body)
	return c, err
}

// CreateContactOnceJSON is CreateContactJSON with the idempotency key beside the
// body, as an HTTP request has it in a header; see
// [CreateContactInput.IdempotencyKey]. "" leaves the key to the body. The body
// must not name another one. replayed reports that the contact is the result of
// an earlier create, and that nothing was stored.
func (s *Service) CreateContactOnceJSON(ctx context.Context, key, idempotencyKey string, body io.Reader) (contact *Contact, replayed bool, err error) {
	c, err := s.begin(ctx, key, OpCreateContact)
	defer c.end(ctx)
	if err != nil {
		return nil, false, err
	}
	in := new(CreateContactInput)
	if err := c.decode(ctx, c.body(body, func(r *contactReader) { r.contact(in) })); err != nil {
		return nil, false, err
	}
	if idempotencyKey != "" {
		if in.IdempotencyKey != "" && in.IdempotencyKey != idempotencyKey {
			c.bad.add("idempotency_key", FieldInvalid, "must be the one that was given beside the body")
		}
		in.IdempotencyKey = idempotencyKey
	}
	r := c.createOne(ctx, in)
	return r.Contact, r.Replayed, r.Err
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
	Err      error    `json:"error,omitempty"`    // an *Error of those of [Service.CreateContact], or CodeBatchFailed; its fields are those of the one contact
}

// CreateContacts creates many contacts, up to Limits.Batch. It returns one result
// for each, in the order given. Each contact without an error is durable as in
// [Service.CreateContact], and may have an idempotency key of its own.
//
// The error is about the call as a whole, and then nothing was stored:
// CodeAuthenticationRequired, CodeInvalidKey, CodePermissionDenied,
// CodeValidationError for too many contacts, CodeServerError.
func (s *Service) CreateContacts(ctx context.Context, key string, in CreateContactsInput) ([]CreateResult, error) {
	c, err := s.begin(ctx, key, OpCreateContacts)
	defer c.end(ctx)
	if err != nil {
		return nil, err
	}
	b := batch{items: make([]item, len(in.Contacts)), allOrNothing: in.AllOrNothing}
	for i := range in.Contacts {
		b.items[i].in = &in.Contacts[i]
	}
	return c.createMany(ctx, b)
}

// CreateContactsJSON is CreateContacts for a JSON body of at most
// Limits.BatchBytes, {"contacts": [...], "all_or_nothing": false}, whose contacts
// are bodies of the create, each of at most Limits.BodyBytes. It does not read the
// body before the key is accepted.
//
// Its error may also be CodeInvalidJSON, after CodePermissionDenied, and
// CodeValidationError for what is wrong outside the contacts.
func (s *Service) CreateContactsJSON(ctx context.Context, key string, body io.Reader) ([]CreateResult, error) {
	c, err := s.begin(ctx, key, OpCreateContacts)
	defer c.end(ctx)
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
	return c.createMany(ctx, b)
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
// has not seen.
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

// A batch is many new contacts, as they were given.
type batch struct {
	items        []item
	tooMany      bool // there were more
	allOrNothing bool
}

// An item is one contact of a batch.
type item struct {
	in  *CreateContactInput
	bad problems // what its JSON has wrong
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
	once   *IdempotencyRecord // nil: none
	change [1]ContactChange
	result CreateResult
}

// createOne creates a single contact.
func (c *call) createOne(ctx context.Context, in *CreateContactInput) CreateResult {
	n, err := c.prepare(ctx, in, &c.bad)
	if err != nil {
		return CreateResult{Err: err}
	}
	created := creation{contacts: []newContact{n}}
	c.create(ctx, created)
	return created.contacts[0].result
}

// createMany creates the contacts of a batch.
func (c *call) createMany(ctx context.Context, b batch) ([]CreateResult, error) {
	if limit := c.rules.limits.Batch; len(b.items) > limit {
		return nil, tooManyContacts(limit)
	}
	results := make([]CreateResult, len(b.items))
	created := creation{make([]newContact, 0, len(b.items)), b.allOrNothing}
	found := 0 // problems
	for i := range b.items {
		if err := ctx.Err(); err != nil {
			return nil, c.fault(err)
		}
		it := &b.items[i]
		if it.bad.limit == 0 {
			it.bad.limit = problemLimit(found)
		}
		n, err := c.prepare(ctx, it.in, &it.bad)
		found += len(it.bad.list)
		switch {
		case err == nil:
			n.result.Index = i
			created.contacts = append(created.contacts, n)
		case CodeOf(err) == CodeServerError:
			return nil, err
		default:
			results[i] = CreateResult{Index: i, Err: err}
		}
	}
	if b.allOrNothing && len(created.contacts) < len(b.items) {
		if err := c.failBatch(ctx, created); err != nil {
			return nil, err
		}
	} else {
		c.create(ctx, created)
	}
	for i := range created.contacts {
		r := created.contacts[i].result
		results[r.Index] = r
	}
	return results, nil
}

// prepare makes a new contact of an input, or one error for all that is wrong
// with it.
func (c *call) prepare(ctx context.Context, in *CreateContactInput, bad *problems) (n newContact, err error) {
	checkIdempotencyKey(in.IdempotencyKey, bad)
	for i := range in.PhoneNumbers {
		if in.PhoneNumbers[i].ID != uuid.Nil {
			bad.add(element("phone_numbers", i)+".id", FieldInvalid, "must not be given for a new contact")
		}
	}
	n.draft = c.rules.contact(in, bad)
	if err := bad.err(); err != nil {
		return n, err
	}
	contact := &n.record.Contact
	if err := c.checkTeam(ctx, contact.TeamID); err != nil {
		return n, err
	}
	c.assignIDs(contact)
	if in.IdempotencyKey != "" {
		if n.once, err = newIdempotencyRecord(in.IdempotencyKey, n.record, c.retention); err != nil {
			return n, c.fault(err)
		}
	}
	return n, nil
}

// failBatch refuses the contacts of an all-or-nothing batch that are right,
// because others are not. The store does not see them, so a missing team is
// looked up here: all that is wrong is reported at once.
func (c *call) failBatch(ctx context.Context, created creation) error {
	missing := make(map[int64]error) // by team
	for i := range created.contacts {
		n := &created.contacts[i]
		team := n.record.Contact.TeamID
		err, known := missing[team]
		if !known && team != 0 {
			if err = c.teamExists(ctx, team); CodeOf(err) == CodeServerError {
				return err
			}
			missing[team] = err
		}
		n.result.Err = newError(cmp.Or(err, ErrBatchFailed), nil)
	}
	return nil
}

// A creation is new contacts that are stored together. One contact is a batch of
// one.
type creation struct {
	contacts     []newContact
	allOrNothing bool
}

// create stores new contacts and sets their results.
func (c *call) create(ctx context.Context, created creation) {
	size := MaxMutations
	if created.allOrNothing {
		size = max(1, len(created.contacts))
	}
	now := timestamp(c.now())
	for part := range slices.Chunk(created.contacts, size) {
		batch := MutationBatch{Mutations: make([]Mutation, len(part)), Now: now, AllOrNothing: created.allOrNothing}
		for i := range part {
			n := &part[i]
			n.change[0] = ContactChange{ID: n.record.Contact.ID, Record: n.record}
			batch.Mutations[i] = Mutation{Idempotency: n.once, Contacts: n.change[:]}
		}
		outcomes, err := c.apply(ctx, batch)
		if err != nil {
			c.note(err)
		}
		for i := range part {
			n := &part[i]
			switch {
			case err != nil:
				n.result.Err = newServerError(err)
			case outcomes == nil:
				n.result.Contact = n.contact()
			default:
				c.finish(n, outcomes[i])
			}
		}
	}
	c.checkReplays(ctx, created)
}

// assignIDs gives a new contact its identity and its time.
func (c *call) assignIDs(contact *Contact) {
	contact.ID, contact.AccountID, contact.Version = newID(), c.principal.AccountID, 1
	contact.CreatedAt = timestamp(c.now())
	contact.UpdatedAt = contact.CreatedAt
	for i := range contact.PhoneNumbers {
		contact.PhoneNumbers[i].ID = siblingID(contact.ID)
	}
}

// finish sets the result of a new contact from its outcome.
func (c *call) finish(n *newContact, o MutationOutcome) {
	switch {
	case errors.Is(o.Err, ErrNotFound): // the account, which was there before
		n.result.Err = c.fault(fmt.Errorf("%w: %w", errNoAccount, o.Err))
		return
	case o.Err != nil:
		n.result.Err = c.refusal(o.Err)
		return
	case o.Result != "":
		if err := replay(&n.record.Contact, o.Result); err != nil {
			n.result.Err = c.fault(err)
			return
		}
		n.result.Replayed = true
	}
	n.result.Contact = n.contact()
}
