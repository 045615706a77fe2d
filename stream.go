package contacts

import (
	"context"
	"iter"
)

// CreateContactStream creates contacts as they come from the source, for imports
// of any size. It yields one result for each, in their order. It holds up to
// 1,000 contacts at a time. Results come after each 1,000 contacts, and at the end of
// the source.
//
// An error beside the result is one of those of [Service.CreateContacts] and ends
// the stream. If contacts could not be stored for a CodeServerError, that error
// follows their results. The key is checked once for each 1,000 contacts.
//
// To end a stream early with all results known, end the source. If the caller
// stops early or ctx is done, up to 1,000 contacts may be stored whose results it
// has not seen. A nil source holds nothing.
func (s *Service) CreateContactStream(ctx context.Context, key string, source iter.Seq[CreateContactInput]) iter.Seq2[CreateResult, error] {
	return stream(s, source, func(contacts []CreateContactInput, of part) ([]CreateResult, error) {
		return s.createContacts(ctx, key, CreateContactsInput{Contacts: contacts}, of)
	})
}

// UpsertContactStream upserts contacts as they come from the source, as
// [Service.CreateContactStream] creates them. Each sees those before it.
func (s *Service) UpsertContactStream(ctx context.Context, key string, source iter.Seq[UpsertContactInput]) iter.Seq2[UpsertResult, error] {
	results := stream(s, source, func(contacts []UpsertContactInput, of part) ([]CreateResult, error) {
		return s.upsertContacts(ctx, key, UpsertContactsInput{Contacts: contacts}, of)
	})
	return func(yield func(UpsertResult, error) bool) {
		for r, err := range results {
			if !yield(UpsertResult(r), err) {
				return
			}
		}
	}
}

// A part is where in its stream a batch is.
type part struct {
	first int   // the place of its first contact
	past  *past // of a dry run: what the parts before it would have stored
}

// stream makes batches of what the source has.
func stream[In any](s *Service, source iter.Seq[In], create func([]In, part) ([]CreateResult, error)) iter.Seq2[CreateResult, error] {
	return func(yield func(CreateResult, error) bool) {
		var of part
		if s.dryRun {
			of.past = newPast(s.rules.limits.DryRunKeys)
		}
		chunk := make([]In, 0, min(MaxMutations, s.rules.limits.Batch))
		flush := func() bool {
			if len(chunk) == 0 {
				return true
			}
			results, err := create(chunk, of)
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
				if !yield(r, nil) {
					return false
				}
			}
			of.first += len(results)
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
