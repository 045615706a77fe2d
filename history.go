package contacts

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// An EventsInput says which events to return. The zero value: the oldest that are
// there.
type EventsInput struct {
	After     int64       // those after this sequence
	ContactID uuid.UUID   // those of this contact; zero: of all
	Types     []EventType // those of one of these types; nil: of all; empty: of none
	Limit     int         // how many; 0: 100, at most 1,000
}

// An EventPage is one page of events.
type EventPage struct {
	Events []Event `json:"events"` // in their order

	// LastSequence is the After of the next page. It moves on where all events of a
	// page are hidden from the key, or are of other types.
	LastSequence int64 `json:"last_sequence"`
	HasMore      bool  `json:"has_more"` // there may be more by now; false: this was all
}

// The size of a page of events.
const (
	defaultEventLimit = 100
	maxEventLimit     = 1000
	maxEventEntries   = 10_000 // how many entries of the journal are looked at for a page
)

// Events returns one page of the events that the key may see: those of contacts
// without a team, and of contacts in a team that it may access now. Events of
// contacts that were removed for good are seen by keys with access to all teams. It
// needs Options.EventsPermission and waits for nothing: ask again with
// LastSequence, a few times a minute. A page may be short although there is more:
// it ends with the event with which its events take more than 4 MiB of the journal,
// and before an entry that cannot be read.
//
// A key with Options.DoNotCallPermission also gets blocks and grants of calls, unless
// ContactID is set. Only keys with access to all teams see which contact a block came
// from.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError, CodeEventsGone,
// CodeServerError. CodeEventsGone says that events after After have ended; to go
// on without them, give NextSequence less 1. With ContactID there is no such error, nor
// with After 0 before the first event that is returned.
func (s *Service) Events(ctx context.Context, key string, in EventsInput) (_ *EventPage, err error) {
	ctx, c, err := s.begin(ctx, key, OpListEvents, 0)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	if err := in.check(&c.bad); err != nil {
		return nil, err
	}
	page := &EventPage{Events: []Event{}, LastSequence: in.After}
	defer func() {
		if err == nil {
			c.observed.returned(len(page.Events))
		}
	}()
	r := newEventReader(s.store, c.principal.AccountID, in.ContactID, in.After)
	if !c.principal.AllTeams && in.ContactID != uuid.Nil {
		records, _, err := c.recordsOf(ctx, []uuid.UUID{in.ContactID})
		if err != nil {
			return nil, c.fault(err)
		}
		if !c.sees(records[in.ContactID]) { // the page is that of a contact that never existed
			r.room = 0
		}
	}
	for r.looked < maxEventEntries && len(page.Events) < in.Limit && r.room > 0 {
		size := in.Limit - len(page.Events)
		few := in.Types != nil || !c.principal.AllTeams || !c.seesLedger()
		if few || r.looked > 0 && len(page.Events) == 0 { // few of them may be for the caller
			size = eventPage
		}
		more, err := c.addEvents(ctx, page, r, in, size)
		switch {
		case err == nil:
		case len(page.Events) > 0 && ctx.Err() == nil: // it is the answer to the next page
			page.HasMore = true
			return page, nil
		case CodeOf(err) == CodeServerError:
			return nil, c.fault(errors.Unwrap(err))
		default:
			return nil, err
		}
		if page.HasMore = more; !more {
			break
		}
	}
	if len(page.Events) == 0 { // an account with an event exists
		if err := c.findAccount(ctx); err != nil {
			return nil, c.fault(err)
		}
	}
	return page, nil
}

// check checks the input and fills in its default.
func (in *EventsInput) check(bad *problems) error {
	if in.After < 0 {
		bad.add("after", FieldInvalid, fmt.Sprintf("must be from 0 to %d", int64(math.MaxInt64)))
	}
	if slices.ContainsFunc(in.Types, func(t EventType) bool { return !t.known() }) {
		bad.add("type", FieldNotAllowed, "must be a type of events, such as contact.updated")
	}
	switch {
	case in.Limit == 0:
		in.Limit = defaultEventLimit
	case in.Limit < 0 || in.Limit > maxEventLimit:
		bad.add("limit", FieldInvalid, fmt.Sprintf("must be from 1 to %d", maxEventLimit))
	}
	return bad.err()
}

// addEvents adds those of the next events to the page that it is about, and reports
// whether there may be more.
func (c *call) addEvents(ctx context.Context, page *EventPage, r *eventReader, in EventsInput, entries int) (more bool, err error) {
	now, err := c.clock.read()
	if err != nil {
		return false, newServerError(err)
	}
	events, more, err := r.next(ctx, now, entries)
	if err != nil {
		return false, err
	}
	if in.Types != nil {
		events = slices.DeleteFunc(events, func(e Event) bool { return !slices.Contains(in.Types, e.Type) })
	}
	if events, err = c.visible(ctx, events); err != nil {
		return false, newServerError(err)
	}
	if len(events) == 0 {
		r.room = maxEventData // what is not for the caller is not kept
	}
	if in.After == 0 && len(page.Events)+len(events) == 0 {
		r.lenient = true // the caller has no event yet
	}
	page.LastSequence = r.after
	if room := in.Limit - len(page.Events); len(events) > room {
		events, more = events[:room], true
		page.LastSequence = events[room-1].Sequence
	}
	page.Events = append(page.Events, events...)
	return more, nil
}

// seesLedger reports whether the principal may see blocks and grants among the
// events.
func (c *call) seesLedger() bool { return c.principal.Can(c.manageDoNotCall) }

// visible returns the events that the principal may see.
func (c *call) visible(ctx context.Context, events []Event) ([]Event, error) {
	if !c.seesLedger() {
		events = slices.DeleteFunc(events, func(e Event) bool { return e.DoNotCall != nil })
	}
	if c.principal.AllTeams {
		return events, nil
	}
	asked := make(map[uuid.UUID]bool)
	var ids []uuid.UUID
	for i := range events {
		switch e := &events[i]; {
		case e.DoNotCall != nil: // which contact it came from is for those who see every contact
			e.ContactID, e.DoNotCall.ContactID = uuid.Nil, uuid.Nil
		case !asked[e.ContactID]:
			asked[e.ContactID] = true
			ids = append(ids, e.ContactID)
		}
	}
	records, _, err := c.recordsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(events, func(e Event) bool {
		return e.DoNotCall == nil && !c.sees(records[e.ContactID])
	}), nil
}

// sees reports whether the principal may see the events of a contact; nil: it was
// removed for good.
func (c *call) sees(r *ContactRecord) bool {
	return c.principal.AllTeams || r != nil && c.principal.CanAccessTeam(r.Contact.TeamID)
}

// History yields the events of a contact, newest first, each with the contact as it
// was after it. It needs Options.EventsPermission. A deleted contact has a history
// too. The history ends with the event of the create, or with the oldest event
// from which there is no hole.
//
// An error is the last thing it yields. Its errors, in the order of the checks:
// CodeAuthenticationRequired, CodeInvalidKey, CodePermissionDenied, CodeNotFound,
// CodeServerError. CodeNotFound is as in GetContact, but for deleted contacts.
func (s *Service) History(ctx context.Context, key string, id uuid.UUID) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, c, err := s.begin(ctx, key, OpListHistory, 0)
		defer c.end(ctx, &err)
		if err == nil {
			err = c.history(ctx, id, yield)
		}
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// history yields the events of a contact until one is not wanted.
func (c *call) history(ctx context.Context, id uuid.UUID, yield func(Event, error) bool) error {
	past, err := c.versions(id)
	if err != nil {
		return err
	}
	for v, err := range past.all(ctx) {
		switch {
		case err != nil:
			return c.pastError(err)
		case v.data == nil:
			return nil
		}
		event, err := v.data.event(c.principal.AccountID, v.entry)
		if err != nil {
			return c.fault(err)
		}
		event.Contact = v.contact.clone()
		c.observed.returned(1)
		if !yield(event, nil) {
			return nil
		}
	}
	return nil
}

// GetContactAsOf returns a contact as it was at a time: in the last version that was
// stored by then. It needs Options.ReadPermission and
// Options.EventsPermission. Whether the key may see the contact is judged by the
// team that it has now. Its do-not-call fields are those of that time: blocks and
// grants that were recorded later do not count, and what had not expired holds.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError for a time in the
// future, CodeNotFound, CodeEventsGone, CodeServerError. CodeNotFound is as in
// GetContact, at that time. CodeEventsGone says that the events do not go back so
// far: they have ended, or events were off.
func (s *Service) GetContactAsOf(ctx context.Context, key string, id uuid.UUID, at time.Time) (_ *Contact, err error) {
	ctx, c, err := s.begin(ctx, key, OpGetContactAsOf, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	past, err := c.versions(id)
	if err != nil {
		return nil, err
	}
	at = timestamp(at)
	if at.After(past.now) {
		return nil, NewValidationError(FieldError{"as_of", FieldInvalid, "must not be in the future"})
	}
	for v, err := range past.all(ctx) {
		switch {
		case err != nil:
			return nil, c.pastError(err)
		case at.Before(v.contact.CreatedAt):
			return nil, newError(ErrNotFound)
		case at.Before(v.contact.UpdatedAt):
		case !v.contact.DeletedAt.IsZero():
			return nil, newError(ErrNotFound)
		default:
			if err := c.markAsOf(ctx, v.contact, at); err != nil {
				return nil, c.fault(err)
			}
			c.observed.returned(1)
			return v.contact, nil
		}
	}
	return nil, newError(ErrEventsGone)
}

// versions returns the versions of a contact that the principal may see.
func (c *call) versions(id uuid.UUID) (*versions, error) {
	now, err := c.clock.read()
	if err != nil {
		return nil, c.fault(err)
	}
	return &versions{
		store: c.store, account: c.principal.AccountID, id: id, now: now,
		find: func(ctx context.Context) (*ContactRecord, error) { return c.find(ctx, id) },
	}, nil
}

// pastError returns the error of a call whose versions cannot be made.
func (c *call) pastError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return c.fault(err)
}

// ContactAfter returns the contact as it was after an event: with the changes of
// the later events undone, and without what the do-not-call ledger said of its
// numbers. Its errors: CodeNotFound if the contact was removed for good, or if the
// event is a block or a grant; CodeEventsGone if a later event is not there any
// more; CodeServerError.
func (a *Admin) ContactAfter(ctx context.Context, e Event) (*Contact, error) {
	if a.store == nil {
		return nil, noStore()
	}
	if e.Version == 0 || e.ContactID == uuid.Nil {
		return nil, newError(ErrNotFound)
	}
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	past := versions{
		store: a.store, account: e.AccountID, id: e.ContactID, now: now,
		find: func(ctx context.Context) (*ContactRecord, error) {
			return a.store.FindContact(ctx, e.AccountID, e.ContactID)
		},
	}
	for v, err := range past.all(ctx) {
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, newError(ErrNotFound)
		case err != nil:
			return nil, newServerError(err)
		case v.contact.Version == e.Version:
			return v.contact, nil
		}
	}
	return nil, newError(ErrEventsGone)
}

// clone returns a copy that shares nothing with the contact.
func (c *Contact) clone() *Contact {
	clone := *c
	clone.Tags, clone.PhoneNumbers = slices.Clone(c.Tags), slices.Clone(c.PhoneNumbers)
	clone.CustomContext, _ = cloneValue(c.CustomContext).(map[string]any)
	clone.IndustryContext, _ = cloneValue(c.IndustryContext).(map[string]any)
	return &clone
}

// cloneValue returns a copy of a value of one of the types that JSON has.
func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			return v
		}
		clone := make(map[string]any, len(v))
		for name, member := range v {
			clone[name] = cloneValue(member)
		}
		return clone
	case []any:
		clone := make([]any, len(v))
		for i, element := range v {
			clone[i] = cloneValue(element)
		}
		return clone
	default:
		return v
	}
}
