package contacts

import (
	"context"
	"io"
)

// BlockCallsJSON is BlockCalls for the JSON form of the input. It does not read the
// body before the key is accepted. Its error may also be CodeInvalidJSON, after
// CodePermissionDenied.
func (s *Service) BlockCallsJSON(ctx context.Context, key string, body io.Reader) (status *DoNotCallStatus, err error) {
	ctx, c, err := s.begin(ctx, key, OpBlockCalls, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.recordJSON(ctx, body, DoNotCallBlock)
}

// GrantCallsJSON is GrantCalls for the JSON form of the input, as in BlockCallsJSON.
func (s *Service) GrantCallsJSON(ctx context.Context, key string, body io.Reader) (status *DoNotCallStatus, err error) {
	ctx, c, err := s.begin(ctx, key, OpGrantCalls, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.recordJSON(ctx, body, DoNotCallGrant)
}

func (c *call) recordJSON(ctx context.Context, reader io.Reader, of DoNotCallType) (*DoNotCallStatus, error) {
	in := new(DoNotCallInput)
	err := c.decode(ctx, c.doNotCallBody(reader, c.rules.limits.BodyBytes, func(r *doNotCallReader) { r.input(in, "") }))
	if err != nil {
		return nil, err
	}
	return c.recordEntry(ctx, in, of)
}

// doNotCallBody returns a body of at most so many bytes, to be read into what read
// fills.
func (c *call) doNotCallBody(reader io.Reader, limit int, read func(*doNotCallReader)) body {
	return body{reader, limit, &c.bad, func(r *jsonReader) {
		read(&doNotCallReader{r, c.rules.allowUnknown})
	}}
}

// decodeMany reads the body of a call about many numbers.
func (c *call) decodeMany(ctx context.Context, reader io.Reader, read func(*doNotCallReader)) error {
	if err := c.decode(ctx, c.doNotCallBody(reader, c.rules.limits.BatchBytes, read)); err != nil {
		return err
	}
	return c.bad.err()
}

// BlockCallsBatchJSON is BlockCallsBatch for the JSON form of the input, of at most
// Limits.BatchBytes, as in BlockCallsJSON.
func (s *Service) BlockCallsBatchJSON(ctx context.Context, key string, reader io.Reader) (result *BlockCallsResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpBlockCallsBatch, 0)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	in := new(BlockCallsBatchInput)
	wrong := make(map[int]*problems)
	if err := c.decodeMany(ctx, reader, func(r *doNotCallReader) { r.batch(in, wrong) }); err != nil {
		return nil, err
	}
	return c.blockBatch(ctx, in, wrong)
}

// CanCallManyJSON is CanCallMany for the JSON body {"phone_numbers": [...]}, of at
// most Limits.BatchBytes, as in BlockCallsJSON. An element that is no string is a
// CodeValidationError of the whole call.
func (s *Service) CanCallManyJSON(ctx context.Context, key string, reader io.Reader) (results []DoNotCallStatus, err error) {
	ctx, c, err := s.begin(ctx, key, OpCanCallMany, 0)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	var numbers []string
	if err := c.decodeMany(ctx, reader, func(r *doNotCallReader) { numbers = r.numbers() }); err != nil {
		return nil, err
	}
	return c.canCallMany(ctx, numbers)
}

// A doNotCallReader reads the bodies of the calls of the do-not-call ledger.
type doNotCallReader struct {
	*jsonReader
	allowUnknown bool
}

// input reads an object, which must be next. prefix is that of the paths of its
// fields.
func (r *doNotCallReader) input(in *DoNotCallInput, prefix string) {
	for name := range r.members() {
		switch path := prefix + nameOf(name); name {
		case "phone_number":
			r.string(&in.PhoneNumber, path)
		case "reason":
			r.string(&in.Reason, path)
		case "reference":
			r.string(&in.Reference, path)
		case "source":
			r.string(&in.Source, path)
		case "at":
			r.time(&in.At, path)
		case "expires_at":
			r.time(&in.ExpiresAt, path)
		default:
			r.unknown(path)
		}
	}
}

// batch reads the object of a batch. What is wrong with an entry goes into wrong, by
// the place of the entry.
func (r *doNotCallReader) batch(in *BlockCallsBatchInput, wrong map[int]*problems) {
	whole, given := r.bad, false
	for name := range r.members() {
		switch name {
		case "entries":
			given = r.kind() != 'n'
			r.array(name, func(i int) {
				if i > MaxDoNotCallBatch { // one too many is enough to refuse
					r.skip()
					return
				}
				var entry DoNotCallInput
				r.bad = &problems{limit: problemLimit(len(wrong))}
				if r.kind() == '{' {
					r.input(&entry, "")
				} else {
					r.wrongType("phone_number", "in an object")
				}
				if len(r.bad.list) > 0 {
					wrong[i] = r.bad
				}
				r.bad, in.Entries = whole, append(in.Entries, entry)
			})
		case "source":
			r.string(&in.Source, name)
		case "at":
			r.time(&in.At, name)
		case "expires_at":
			r.time(&in.ExpiresAt, name)
		case "over_grants":
			r.boolean(&in.OverGrants, name)
		default:
			r.unknown(nameOf(name))
		}
	}
	if !given && r.err == nil {
		r.bad.add("entries", FieldRequired, "is required")
	}
}

// numbers reads the object of a check.
func (r *doNotCallReader) numbers() (numbers []string) {
	const field = "phone_numbers"
	given := false
	for name := range r.members() {
		if name != field {
			r.unknown(nameOf(name))
			continue
		}
		given = r.kind() != 'n'
		r.array(name, func(i int) {
			if i > MaxDoNotCallBatch || r.bad.full() { // one too many is enough to refuse
				r.skip()
				return
			}
			numbers = append(numbers, r.stringNotNull(element(field, i)))
		})
	}
	if !given && r.err == nil {
		r.bad.add(field, FieldRequired, "is required")
	}
	return numbers
}

// unknown refuses a member of another name.
func (r *doNotCallReader) unknown(field string) {
	r.skip()
	if r.err == nil && !r.allowUnknown {
		r.bad.add(field, FieldUnknown, "is no field of this call")
	}
}
