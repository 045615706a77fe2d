package contacts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A DoNotCallInput is what a person, or a list, says about calls to a number. Its
// JSON form is the body of the REST call.
type DoNotCallInput struct {
	// PhoneNumber is E.164, or a national number of Options.DefaultRegion. A number
	// out of use is taken if an equivalent form of it is possible; see [PhoneForms].
	PhoneNumber string    `json:"phone_number"`
	At          time.Time `json:"at,omitzero"`         // when the person said so, at most 5 minutes ahead; zero: now
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // from then on it says nothing; after At; zero: never
	Source      string    `json:"source,omitempty"`    // where it comes from, such as "list:ftc-2026-11", up to 100 characters, not "contact" or "erasure"; "": "api"
	Reason      string    `json:"reason,omitempty"`    // up to 500 characters; may have line breaks
	Reference   string    `json:"reference,omitempty"` // the call, form or list that proves it, up to 255 characters
}

// A DoNotCallStatus says whether a number may be called.
type DoNotCallStatus struct {
	PhoneNumber string    `json:"phone_number"`         // E.164; with Err the text that was given
	DoNotCall   bool      `json:"do_not_call"`          // it must not be called
	Date        time.Time `json:"dnc_date,omitzero"`    // when the person said so last; zero: not listed
	Reason      string    `json:"dnc_reason,omitempty"` // "": none, or not listed
	Until       time.Time `json:"until,omitzero"`       // it may be called then, if nothing is added; zero: there is no such time

	// Form is the name of the equivalent form that is listed, where the number
	// itself is not; see [PhoneForms]. A grant on the number does not open it: the
	// form needs one too.
	Form string `json:"form,omitempty"`

	// Entries are those on this very number, newest first. Only
	// [Service.DoNotCallStatus] sets them.
	Entries []DoNotCallEntry `json:"entries,omitempty"`

	// Unchanged reports that [Service.BlockCalls] recorded nothing, because the
	// block would have changed nothing.
	Unchanged bool `json:"unchanged,omitempty"`

	// Err is set in the results of [Service.CanCallMany] alone: the number is not a
	// phone number. DoNotCall is true then.
	Err error `json:"error,omitempty"`
}

// A DoNotCallVerdict is what the error CodeDoNotCall says beside its message. It
// has neither the number nor the reason.
type DoNotCallVerdict struct {
	Date  time.Time `json:"dnc_date"`       // when the person said so
	Until time.Time `json:"until,omitzero"` // as in [DoNotCallStatus]
	Form  string    `json:"form,omitempty"` // as in [DoNotCallStatus]
}

func (v *DoNotCallVerdict) equal(other *DoNotCallVerdict) bool {
	if v == nil || other == nil {
		return v == other
	}
	return v.Date.Equal(other.Date) && v.Until.Equal(other.Until) && v.Form == other.Form
}

// The sources that the library itself gives, and what callers get who name none.
const (
	sourceAPI     = "api"
	sourceContact = "contact" // do_not_call: true in a contact
	sourceErasure = "erasure" // an erasure that suppresses
)

// The limits of an entry, in characters.
const (
	maxSource    = 100
	maxReason    = 500
	maxReference = 255
)

// maxAhead is how far the time of an entry may be ahead: clocks differ.
const maxAhead = 5 * time.Minute

// doNotCall makes an entry of an input.
func (r *rules) doNotCall(in *DoNotCallInput, of DoNotCallType, now time.Time, bad *problems) ledgerEntry {
	e := ledgerEntry{DoNotCallEntry: DoNotCallEntry{
		Type: of, PhoneNumber: r.listedNumber(in.PhoneNumber, bad), RecordedAt: now,
		Source:    cmp.Or(text(in.Source, "source", maxSource, bad), sourceAPI),
		Reason:    multilineText(in.Reason, "reason", maxReason, bad),
		Reference: text(in.Reference, "reference", maxReference, bad),
	}}
	if e.Source == sourceContact || e.Source == sourceErasure {
		bad.add("source", FieldNotAllowed, "is a word that the library keeps for itself")
	}
	if of == DoNotCallGrant {
		for _, f := range [...]struct{ name, value string }{{"reason", e.Reason}, {"reference", e.Reference}} {
			if f.value == "" && !bad.has(f.name) {
				bad.add(f.name, FieldRequired, "is required, because a consent that cannot be shown is none")
			}
		}
	}
	if !in.At.IsZero() {
		e.At = ledgerTime(in.At, "at", bad)
		if e.At.Sub(now) > maxAhead {
			bad.add("at", FieldInvalid, fmt.Sprintf("must not be more than %d minutes ahead", maxAhead/time.Minute))
		}
	}
	if !in.ExpiresAt.IsZero() {
		e.ExpiresAt = ledgerTime(in.ExpiresAt, "expires_at", bad)
		if at := cmp.Or(e.At, now); !e.ExpiresAt.After(at) && !bad.has("expires_at") {
			bad.add("expires_at", FieldInvalid, "must be after at")
		}
	}
	return e
}

func ledgerTime(t time.Time, field string, bad *problems) time.Time {
	t, ok := setTime(t)
	if !ok {
		bad.add(field, FieldInvalid, wrongYear)
	}
	return t
}

// listedNumber returns the number in the form in which the ledger has it.
func (r *rules) listedNumber(number string, bad *problems) string {
	e164, why := r.phones.listed(number)
	if why != "" {
		refuseNumber("phone_number", number, why, bad)
	}
	return e164
}

// status returns what the ledger says of a number.
func (v ledgerView) status(number string, now time.Time) *DoNotCallStatus {
	s := v.state(number, now)
	return &DoNotCallStatus{PhoneNumber: number, DoNotCall: s.listed, Date: s.date, Reason: s.reason, Until: s.until, Form: s.form}
}

// entries returns the entries on this very number, newest first, as the principal
// may see them.
func (v ledgerView) entries(number string, p *Principal) []DoNotCallEntry {
	known := slices.SortedFunc(slices.Values(v[number]), func(a, b ledgerEntry) int { return cmp.Compare(b.Sequence, a.Sequence) })
	entries := make([]DoNotCallEntry, len(known))
	for i := range known {
		entries[i] = known[i].shown(p)
	}
	return entries
}

// shown returns the entry as a principal may see it: which contact it came from is
// for those who see every contact.
func (e *ledgerEntry) shown(p *Principal) DoNotCallEntry {
	shown := e.DoNotCallEntry
	if !p.AllTeams {
		shown.ContactID = [16]byte{}
	}
	return shown
}

// CanCall returns nil if the number may be called now. It fails closed: any other
// outcome is an error, a fault of the store too. It reads the store each time, and
// asks for no contact. The number need not be in use.
//
// It needs Options.ReadPermission. Every key of an account gets the same answer.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError, CodeServerError,
// CodeDoNotCall. The last one has Error.DoNotCall.
func (s *Service) CanCall(ctx context.Context, key, number string) (err error) {
	ctx, c, err := s.begin(ctx, key, OpCanCall, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return err
	}
	status, err := c.doNotCallStatus(ctx, number, false)
	if err != nil {
		return err
	}
	if status.DoNotCall {
		c.observed.listed()
		e := newError(ErrDoNotCall)
		e.DoNotCall = &DoNotCallVerdict{Date: status.Date, Until: status.Until, Form: status.Form}
		return e
	}
	return nil
}

// DoNotCallStatus returns what the ledger says of a number, with its entries. It
// needs Options.ReadPermission.
//
// Its errors are those of [Service.CanCall] without CodeDoNotCall.
func (s *Service) DoNotCallStatus(ctx context.Context, key, number string) (status *DoNotCallStatus, err error) {
	ctx, c, err := s.begin(ctx, key, OpDoNotCallStatus, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	if status, err = c.doNotCallStatus(ctx, number, true); err == nil {
		c.observed.returned(len(status.Entries))
	}
	return status, err
}

func (c *call) doNotCallStatus(ctx context.Context, number string, entries bool) (*DoNotCallStatus, error) {
	number = c.rules.listedNumber(number, &c.bad)
	if err := c.bad.err(); err != nil {
		return nil, err
	}
	view, now, err := c.look(ctx, number)
	if err != nil {
		return nil, c.fault(err)
	}
	status := view.status(number, now)
	if entries {
		status.Entries = view.entries(number, c.principal)
	}
	return status, nil
}

// MaxDoNotCallBatch is how many numbers one call of [Service.CanCallMany] or
// [Service.BlockCallsBatch] takes.
const MaxDoNotCallBatch = 10_000

// CanCallMany is CanCall for up to 10,000 numbers. It returns one status for each,
// in the order given. A text that is no phone number has DoNotCall and Err.
//
// Its errors are those of [Service.CanCall] without CodeDoNotCall.
// CodeValidationError: there are too many numbers.
func (s *Service) CanCallMany(ctx context.Context, key string, numbers []string) (results []DoNotCallStatus, err error) {
	ctx, c, err := s.begin(ctx, key, OpCanCallMany, len(numbers))
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.canCallMany(ctx, numbers)
}

func (c *call) canCallMany(ctx context.Context, numbers []string) ([]DoNotCallStatus, error) {
	if len(numbers) > MaxDoNotCallBatch {
		return nil, tooMany("phone_numbers")
	}
	results := make([]DoNotCallStatus, len(numbers))
	var known []string
	found := 0 // problems
	for i, given := range numbers {
		bad := problems{limit: problemLimit(found)}
		number := c.rules.listedNumber(given, &bad)
		found += len(bad.list)
		if err := bad.err(); err != nil {
			results[i] = DoNotCallStatus{PhoneNumber: given, DoNotCall: true, Err: err}
			continue
		}
		results[i].PhoneNumber = number
		known = append(known, number)
	}
	view, now, err := c.look(ctx, known...)
	if err != nil {
		return nil, c.fault(err)
	}
	for i := range results {
		r := &results[i]
		if r.Err == nil {
			*r = *view.status(r.PhoneNumber, now)
		}
		c.observed.judged(r)
	}
	return results, nil
}

func tooMany(field string) error {
	return NewValidationError(FieldError{Field: field, Code: FieldTooMany, Message: fmt.Sprintf("must be at most %d", MaxDoNotCallBatch)})
}

// BlockCalls records that a number must not be called, and returns what holds
// then. A block that would change nothing is not recorded again; the status is
// Unchanged. So it is safe to send a block twice. It needs Options.WritePermission.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError, CodeServerError.
func (s *Service) BlockCalls(ctx context.Context, key string, in DoNotCallInput) (status *DoNotCallStatus, err error) {
	ctx, c, err := s.begin(ctx, key, OpBlockCalls, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.recordEntry(ctx, &in, DoNotCallBlock)
}

// GrantCalls records that a number may be called again, and returns what holds
// then. A grant needs a reason and a reference, because a consent that cannot be
// shown is none. It covers the blocks on this very number whose At is before its
// own. If an equivalent form is still listed, the status has DoNotCall and names it
// in Form. It needs Options.DoNotCallPermission.
//
// Its errors are those of [Service.BlockCalls].
func (s *Service) GrantCalls(ctx context.Context, key string, in DoNotCallInput) (status *DoNotCallStatus, err error) {
	ctx, c, err := s.begin(ctx, key, OpGrantCalls, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.recordEntry(ctx, &in, DoNotCallGrant)
}

// recordEntry appends one block or grant.
func (c *call) recordEntry(ctx context.Context, in *DoNotCallInput, of DoNotCallType) (*DoNotCallStatus, error) {
	var status *DoNotCallStatus
	err := c.retryStale(func() (err error) {
		status, err = c.tryRecordEntry(ctx, in, of)
		return err
	})
	if err == nil {
		return status, nil
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Code == CodeValidationError {
		return nil, e
	}
	return nil, c.fault(err)
}

func (c *call) tryRecordEntry(ctx context.Context, in *DoNotCallInput, of DoNotCallType) (*DoNotCallStatus, error) {
	now, err := c.clock.read()
	if err != nil {
		return nil, err
	}
	var bad problems
	bad.list = slices.Clone(c.bad.list)
	e := c.rules.doNotCall(in, of, now, &bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	b := blocking{call: c, now: now, always: true}
	if err := b.read(ctx, []ledgerEntry{e}); err != nil {
		return nil, err
	}
	if b.judge(&e) == blockUnchanged {
		status := b.view.status(e.PhoneNumber, now)
		status.Unchanged = true
		c.observed.wrote(ResultUnchanged, false, nil)
		return status, nil
	}
	if err := b.append(ctx); err != nil {
		return nil, err
	}
	c.observed.wrote(ResultCreated, false, nil)
	return b.view.status(e.PhoneNumber, now), nil
}
