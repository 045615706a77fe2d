package contacts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// eventForm is the form of the data of events. Another one makes it unreadable.
const eventForm = 1

// An eventData is the data of a journal entry of the kind JournalEvent.
type eventData struct {
	Form    int       `json:"v"`
	Type    EventType `json:"type"`
	Version int64     `json:"version"` // of the contact after the event; 0: it is removed

	// Previous is the UpdatedAt of the version before. Zero: that version cannot
	// be made again.
	Previous time.Time `json:"previous,omitzero"`
	eventOrigin

	// Changes is an array of recordedChange, or null where it was redacted. nil:
	// the type has no changes.
	Changes  json.RawMessage `json:"changes,omitzero"`
	Redacted bool            `json:"redacted,omitempty"`
}

// An eventOrigin is who made an event, and how.
type eventOrigin struct {
	Actor  Actor     `json:"actor"`
	Batch  uuid.UUID `json:"batch,omitzero"`
	Source string    `json:"source,omitempty"`
}

// A recordedChange is a difference as an event keeps it.
type recordedChange struct {
	Field  string          `json:"field"`
	Path   []string        `json:"path,omitzero"`   // inside a context; empty: the context itself
	Before json.RawMessage `json:"before,omitzero"` // nil: there was no value
	After  json.RawMessage `json:"after,omitzero"`  // nil: there is no value
}

// encode returns the data as it is stored.
func (d *eventData) encode() (string, error) {
	d.Form = eventForm
	text, err := marshal(d)
	return string(text), err
}

// decodeEvent reads the data of an event.
func decodeEvent(data string) (d eventData, err error) {
	if err := json.Unmarshal([]byte(data), &d); err != nil {
		return d, fmt.Errorf("a stored event: %w", err)
	}
	switch {
	case d.Form != eventForm:
		return d, fmt.Errorf("a stored event has the form %d, which this version cannot read", d.Form)
	case !slices.Contains(contactEvents[:], d.Type):
		return d, errEventType
	}
	return d, nil
}

var errEventType = errors.New("a stored event has a type that this version does not know")

// noEvent is the data of an event that could not be read when its person was erased.
// Readers refuse it, as they did before.
const noEvent = "{}"

// redactEvent returns the data of an event without anything of the person. It is
// the same if nothing of the person is in it, and noEvent if it cannot be read. An
// event of a newer form is an error: only that version knows what stays.
func redactEvent(data string) (string, error) {
	d, err := decodeEvent(data)
	switch {
	case err != nil && d.Form > eventForm:
		return "", err
	case err != nil && !errors.Is(err, errEventType):
		return noEvent, nil
	case d.Redacted || d.Type == EventContactErased:
		return data, nil
	}
	d.Changes, d.Redacted, d.Source = json.RawMessage("null"), true, ""
	return d.encode()
}

// event returns the event of an entry.
func (d *eventData) event(accountID uuid.UUID, e *JournalEntry) (Event, error) {
	event := Event{
		AccountID: accountID,
		Sequence:  e.Sequence,
		Type:      d.Type,
		At:        e.At,
		ContactID: uuid.UUID(e.Subject[:16]),
		Version:   d.Version,
		Actor:     d.Actor,
		Batch:     d.Batch,
		Source:    d.Source,
		Redacted:  d.Redacted,
	}
	changes, err := d.changes()
	if err != nil {
		return event, err
	}
	if changes != nil {
		event.Changes = make([]FieldChange, len(changes))
	}
	for i := range changes {
		c, to := &changes[i], &event.Changes[i]
		to.Field = memberPath(c.Field, c.Path)
		if to.Before, err = decodeValue(c.Field, c.Before); err != nil {
			return event, err
		}
		if to.After, err = decodeValue(c.Field, c.After); err != nil {
			return event, err
		}
	}
	return event, nil
}

// changes returns the changes of the event. nil: it has none, or lost them.
func (d *eventData) changes() (changes []recordedChange, err error) {
	if d.Changes == nil {
		return nil, nil
	}
	if err := json.Unmarshal(d.Changes, &changes); err != nil {
		return nil, errors.New("the changes of a stored event cannot be read")
	}
	return changes, nil
}

// encodeChanges returns what differs between two states of a contact, as an event
// keeps it.
func encodeChanges(before, after *Contact) (json.RawMessage, error) {
	differences := []difference{}
	add := func(d difference) { differences = append(differences, d) }
	if was, is := before.DeletedAt, after.DeletedAt; !was.Equal(is) {
		add(difference{field: deletedAtField, before: was, after: is, had: !was.IsZero(), has: !is.IsZero()})
	}
	compare(before, after, add)
	changes := make([]recordedChange, len(differences))
	for i, d := range differences {
		c := &changes[i]
		c.Field, c.Path = d.field, d.path
		for _, side := range []struct {
			to    *json.RawMessage
			value any
			there bool
		}{{&c.Before, d.before, d.had}, {&c.After, d.after, d.has}} {
			if !side.there {
				continue
			}
			var err error
			if *side.to, err = marshal(eventValue(side.value)); err != nil {
				return nil, err
			}
		}
	}
	return marshal(changes)
}

// deletedAtField is the one field of changes that no caller can set.
const deletedAtField = "deleted_at"

// An eventPhone is a phone number as an event keeps it. What the do-not-call ledger
// says of it is not a part of the contact.
type eventPhone struct {
	ID          uuid.UUID `json:"id"`
	PhoneNumber string    `json:"phone_number"`
	PhoneType   string    `json:"phone_type,omitempty"`
	Primary     bool      `json:"primary,omitempty"`
}

// eventValue returns a value of a change in the form that an event keeps.
func eventValue(v any) any {
	phones, ok := v.([]PhoneNumber)
	if !ok {
		return v
	}
	form := make([]eventPhone, len(phones))
	for i, p := range phones {
		form[i] = eventPhone{p.ID, p.PhoneNumber, p.PhoneType, p.Primary}
	}
	return form
}

// decodeValue returns a value of a change in the type of its field; nil if there
// was none.
func decodeValue(field string, text json.RawMessage) (v any, err error) {
	if text == nil {
		return nil, nil
	}
	switch field {
	case "custom_context", "industry_context":
		r := newJSONReader(text, nil)
		v, err = r.value(), r.err
	case "team_id":
		v, err = decodeAs[int64](text)
	case "tags":
		v, err = decodeAs[[]string](text)
	case deletedAtField:
		v, err = decodeAs[time.Time](text)
	case "phone_numbers":
		var form []eventPhone
		form, err = decodeAs[[]eventPhone](text)
		phones := make([]PhoneNumber, len(form))
		for i, p := range form {
			phones[i] = PhoneNumber{ID: p.ID, PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary}
		}
		v = phones
	default:
		v, err = decodeAs[string](text)
	}
	if err != nil {
		return nil, errors.New("a stored event has a value of " + field + " that cannot be read")
	}
	return v, nil
}

func decodeAs[T any](text json.RawMessage) (v T, err error) {
	err = json.Unmarshal(text, &v)
	return v, err
}

// marshal returns the JSON form of a value, without escapes that only HTML needs.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes()[:b.Len()-1], nil // without the line break
}
