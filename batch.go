package contacts

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
)

// A CreateContactsInput is a batch of new contacts.
type CreateContactsInput struct {
	Contacts []CreateContactInput `json:"contacts"`

	// AllOrNothing stores either all contacts or none of them: where one
	// cannot be stored, the others are CodeBatchFailed. False: each on its own.
	AllOrNothing bool `json:"all_or_nothing,omitempty"`
}

// A CreateResult is what became of one contact of a batch or a stream.
type CreateResult struct {
	Index    int      // its place among the contacts that were given, from 0
	Contact  *Contact // nil where Err is set
	Replayed bool     // it is the result of an earlier create with the same idempotency key
	Err      error    // an *Error of those of [Service.CreateContact], or CodeBatchFailed; its fields are those of the one contact
}

// CreateContacts creates many contacts, up to Limits.Batch, and returns one
// result for each, in the order given. Each contact that has no error is durable
// as in [Service.CreateContact], and may have an idempotency key of its own.
//
// The error is about the call as a whole, and nothing was stored then:
// CodeAuthenticationRequired, CodeInvalidKey, CodePermissionDenied,
// CodeValidationError for too many contacts, CodeServerError.
func (s *Service) CreateContacts(ctx context.Context, key string, in CreateContactsInput) ([]CreateResult, error) {
	p, err := s.authorise(ctx, key, s.createPermission)
	if err != nil {
		return nil, err
	}
	items := make([]batchItem, len(in.Contacts))
	for i := range in.Contacts {
		items[i].in = &in.Contacts[i]
	}
	return s.createBatch(ctx, key, p, items, in.AllOrNothing)
}

// CreateContactsJSON is CreateContacts for a JSON body of at most
// Limits.BatchBytes, {"contacts": [...], "all_or_nothing": false}, whose contacts
// are bodies of the create. It does not read the body before the key is
// accepted.
//
// Besides those of CreateContacts its error may be CodeInvalidJSON, behind
// CodePermissionDenied, and CodeValidationError for what is wrong outside the
// contacts.
func (s *Service) CreateContactsJSON(ctx context.Context, key string, body io.Reader) ([]CreateResult, error) {
	p, err := s.authorise(ctx, key, s.createPermission)
	if err != nil {
		return nil, err
	}
	var bad problems
	var b decodedBatch
	err = s.decode(ctx, "create contacts", key, body, s.rules.limits.BatchBytes, func(d *decoder) { d.batch(&s.rules, &b) }, &bad)
	if err != nil {
		return nil, err
	}
	if b.tooMany {
		return nil, tooManyContacts(s.rules.limits.Batch)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return s.createBatch(ctx, key, p, b.items, b.allOrNothing)
}

// streamChunk is how many contacts of a stream are created together: enough for
// a store's full speed, and little memory.
const streamChunk = 1000

// CreateContactStream creates contacts as they come from the source, for imports
// of any size, and yields one result for each, in their order. It holds a
// thousand of them at a time, and results come when that many have been created
// or the source has ended. Nothing is stored beyond what the caller has been
// given but the rest of that thousand.
//
// An error beside the result, one of those of [Service.CreateContacts], ends the
// stream; where contacts could not be stored for a CodeServerError, it follows
// their results. The key is checked for each thousand.
//
// To end a stream early with all results known, end the source. When ctx is done
// or the caller breaks off, contacts that were taken from the source may be
// stored without a result.
func (s *Service) CreateContactStream(ctx context.Context, key string, source iter.Seq[CreateContactInput]) iter.Seq2[CreateResult, error] {
	return func(yield func(CreateResult, error) bool) {
		done := 0
		chunk := make([]CreateContactInput, 0, min(streamChunk, s.rules.limits.Batch))
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

// A batchItem is one contact of a batch, with what its JSON has wrong.
type batchItem struct {
	in  *CreateContactInput
	bad problems
}

type decodedBatch struct {
	items        []batchItem
	tooMany      bool // there were more
	allOrNothing bool
}

// batchDepth is how deep a contact lies in the body of a batch.
const batchDepth = 2

// batch reads the body of a batch. What is wrong with a contact is added to its
// item.
func (d *decoder) batch(r *rules, b *decodedBatch) {
	d.deep = bodyDepth + batchDepth
	whole, found, given := d.bad, 0, false
	for name := range d.members() {
		switch name {
		case "contacts":
			given = d.kind() != 'n'
			d.array(name, func(i int) {
				if i >= r.limits.Batch {
					d.skip()
					b.tooMany = true
					return
				}
				b.items = append(b.items, batchItem{in: new(CreateContactInput)})
				item := &b.items[i]
				item.bad.most = mostOf(found)
				d.bad = &item.bad
				d.item(r, item.in, element(name, i))
				found += len(item.bad.list)
				d.bad = whole
			})
		case "all_or_nothing":
			d.boolean(&b.allOrNothing, name)
		default:
			d.unknown(nameOf(name), r.allowUnknown)
		}
	}
	if !given && d.err == nil {
		d.bad.add("contacts", FieldRequired, "is required")
	}
}

// item reads one contact of a batch. It may be as large as the body of a create.
func (d *decoder) item(r *rules, in *CreateContactInput, field string) {
	if d.kind() != '{' {
		d.wrongType(field, "an object")
		in.FirstName = "-" // nothing else is wrong with it
		return
	}
	d.end = d.json.InputOffset() + int64(r.limits.BodyBytes)
	d.contact(r, in)
	if d.over() && d.err == nil {
		d.bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d bytes", r.limits.BodyBytes))
	}
	d.end = 0
}

// mostOf returns how many problems a contact of a batch may report where so many
// were found in others. A batch that is wrong throughout is told so for each
// contact, and not for each field.
func mostOf(found int) int {
	const inAll = 10 * maxProblems
	return max(1, min(maxProblems, inAll-found))
}

func tooManyContacts(most int) error {
	return invalid(CodeValidationError, []FieldError{{Field: "contacts", Code: FieldTooMany, Message: fmt.Sprintf("must be at most %d", most)}})
}

// createBatch is create for many.
func (s *Service) createBatch(ctx context.Context, key string, p *Principal, items []batchItem, allOrNothing bool) ([]CreateResult, error) {
	const doing = "create contacts"
	if most := s.rules.limits.Batch; len(items) > most {
		return nil, tooManyContacts(most)
	}
	results := make([]CreateResult, len(items))
	for i := range results {
		results[i].Index = i
	}
	drafts := make([]draft, len(items))
	batch := MutationBatch{AllOrNothing: allOrNothing, Now: timestamp(s.now())}
	sent := make([]int, 0, len(items)) // the items of batch.Records
	teams := make(map[int64]error)
	found := 0
	for i := range items {
		if ctx.Err() != nil {
			return nil, s.serverError(ctx, doing, key, ctx.Err())
		}
		bad := &items[i].bad
		if bad.most == 0 {
			bad.most = mostOf(found)
		}
		d, err := s.draft(items[i].in, bad)
		found += len(bad.list)
		if err == nil {
			err = s.checkTeamOnce(ctx, key, p, d.record.Contact.TeamID, teams)
		}
		if err == nil {
			if err = s.sign(&d, p, items[i].in.IdempotencyKey); err != nil {
				err = s.serverError(ctx, doing, key, err)
			}
		}
		if CodeOf(err) == CodeServerError {
			return nil, err
		}
		if err != nil {
			results[i].Err = err
			continue
		}
		drafts[i] = d
		batch.Mutations = append(batch.Mutations, d.mutation())
		sent = append(sent, i)
	}
	if allOrNothing && len(sent) < len(items) {
		for _, i := range sent {
			results[i].Err = fail(ErrBatchFailed, nil)
		}
		return results, nil
	}
	if len(sent) == 0 {
		return results, nil
	}
	outcomes, err := s.store.Apply(ctx, batch)
	if err != nil {
		outcomes = slices.Repeat([]MutationOutcome{{Err: err}}, len(sent))
	}
	var faults []error // of the store, each logged once, and what they became
	var became []error
	for n, i := range sent {
		var outcome MutationOutcome
		if len(outcomes) > 0 {
			outcome = outcomes[n]
		}
		d, r := &drafts[i], &results[i]
		var err error
		if r.Replayed, err = d.settle(outcome); err == nil && r.Replayed {
			err = s.checkReplay(ctx, p, &d.record.Contact)
		}
		if err == nil {
			r.Contact = &d.record.Contact
			continue
		}
		r.Replayed = false
		if at := slices.IndexFunc(faults, func(f error) bool { return f.Error() == err.Error() }); at >= 0 {
			r.Err = became[at]
			continue
		}
		r.Err = s.createError(ctx, key, d, err)
		if CodeOf(r.Err) == CodeServerError && len(faults) < 10 {
			faults, became = append(faults, err), append(became, r.Err)
		}
	}
	return results, nil
}

// checkTeamOnce is checkTeam, asked once for each team of a batch.
func (s *Service) checkTeamOnce(ctx context.Context, key string, p *Principal, id int64, asked map[int64]error) error {
	err, known := asked[id]
	if !known {
		err = s.checkTeam(ctx, key, p, id)
		asked[id] = err
	}
	return err
}
