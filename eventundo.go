package contacts

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
)

// A version is a contact as it was, and the event that made it so.
type version struct {
	contact *Contact // is changed when the next one is made

	// The entry and the data of the event. nil: it is not there, so no earlier
	// version can be made.
	entry *JournalEntry
	data  *eventData
}

// A versions makes the earlier versions of a contact: it undoes its events, newest
// first.
type versions struct {
	store   Store
	account uuid.UUID
	id      uuid.UUID
	now     time.Time // an event that has ended by then is not there
	find    func(context.Context) (*ContactRecord, error)

	events []JournalEntry // the next ones, newest first
	atOnce int            // how many are read next, where they are small; 0: the usual number
	before int64          // the events after those are before this sequence
	last   bool           // there are no events after those
}

// all yields the versions of the contact, newest first, as far back as its events
// go. An error ends it.
func (v *versions) all(ctx context.Context) iter.Seq2[version, error] {
	return func(yield func(version, error) bool) {
		contact, err := v.begin(ctx)
		for err == nil {
			var made version
			if made, err = v.made(ctx, contact); err != nil {
				break
			}
			if !yield(made, nil) || made.data == nil || made.data.Previous.IsZero() {
				return
			}
			err = made.data.undo(contact)
		}
		yield(version{}, err)
	}
}

// begin reads the contact, and the newest of its events.
func (v *versions) begin(ctx context.Context) (*Contact, error) {
	for range maxTries {
		record, err := v.find(ctx)
		if err != nil {
			return nil, err
		}
		v.events, v.before, v.last, v.atOnce = nil, 0, false, 0
		newest, data, err := v.peek(ctx)
		if err != nil {
			return nil, err
		}
		if newest != nil && (data.Version > record.Contact.Version || data.Version == 0) {
			continue // somebody changed the contact between the two looks
		}
		d := draft{record: record}
		if damaged := d.load(); damaged != nil {
			return nil, damaged
		}
		return d.contact(), nil
	}
	return nil, fmt.Errorf("the contact %s is older than its events", v.id)
}

// made returns the version that the contact is.
func (v *versions) made(ctx context.Context, contact *Contact) (version, error) {
	entry, data, err := v.peek(ctx)
	if err != nil || entry == nil || data.Version != contact.Version || data.Redacted {
		return version{contact: contact}, err
	}
	v.events = v.events[1:]
	return version{contact, entry, data}, nil
}

// peek returns the next event; nil: there is none.
func (v *versions) peek(ctx context.Context) (*JournalEntry, *eventData, error) {
	if len(v.events) == 0 && !v.last {
		page := max(v.atOnce, defaultEventLimit)
		events, err := v.store.ListJournal(ctx, JournalQuery{
			AccountID: v.account, Kind: JournalEvent, Subjects: [][32]byte{contactSubject(v.id)},
			After: v.before, Backwards: true, Limit: page,
		})
		if err != nil {
			return nil, nil, err
		}
		v.events, v.last, v.atOnce = events, len(events) < page, 0
		size := 0
		for i := range events {
			size += len(events[i].Data)
		}
		if size < maxEventData/4 { // a store may look at all that are left to find the next
			v.atOnce = min(4*page, eventPage)
		}
		if len(events) > 0 {
			v.before = events[len(events)-1].Sequence
		}
	}
	if len(v.events) == 0 || v.events[0].ended(v.now) {
		return nil, nil, nil
	}
	d, err := decodeEvent(v.events[0].Data)
	return &v.events[0], &d, err
}

// undo makes the contact what it was before the event.
func (d *eventData) undo(c *Contact) error {
	changes, err := d.changes()
	if err != nil {
		return err
	}
	for _, change := range changes {
		value, err := decodeValue(change.Field, change.Before)
		if err != nil {
			return err
		}
		switch change.Field {
		case deletedAtField:
			c.DeletedAt, _ = value.(time.Time)
		case "team_id":
			c.TeamID, _ = value.(int64)
		case "tags":
			c.Tags, _ = value.([]string)
		case "phone_numbers":
			c.PhoneNumbers, _ = value.([]PhoneNumber)
		case "custom_context":
			c.CustomContext, err = change.undo(c.CustomContext, value)
		case "industry_context":
			c.IndustryContext, err = change.undo(c.IndustryContext, value)
		default:
			i := fieldNumber(change.Field)
			if i >= len(textFields) {
				return errors.New("a stored event has a change of a field that this version does not know")
			}
			*c.texts()[i], _ = value.(string)
		}
		if err != nil {
			return err
		}
	}
	c.Version, c.UpdatedAt = d.Version-1, d.Previous
	return nil
}

// undo returns what a context was before a change of it.
func (c *recordedChange) undo(context map[string]any, before any) (map[string]any, error) {
	if len(c.Path) == 0 {
		context, _ = before.(map[string]any)
		return context, nil
	}
	object := context
	last := len(c.Path) - 1
	for _, name := range c.Path[:last] {
		object, _ = object[name].(map[string]any)
	}
	if object == nil {
		return nil, errors.New("a stored event does not fit the contact")
	}
	if name := c.Path[last]; c.Before == nil {
		delete(object, name)
	} else {
		object[name] = before
	}
	return context, nil
}
