package contacts

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
)

// An EventType says what happened to a contact, or to a phone number.
type EventType string

// The types of events.
const (
	EventContactCreated  EventType = "contact.created"  // version 1
	EventContactUpdated  EventType = "contact.updated"  // changed; Changes may be empty
	EventContactDeleted  EventType = "contact.deleted"  // hidden; it can be restored
	EventContactRestored EventType = "contact.restored" // live again; an upsert that restored it may have changed it
	EventContactPurged   EventType = "contact.purged"   // removed for good, with [Admin.PurgeContacts]
	EventContactErased   EventType = "contact.erased"   // removed for good, with all that was known of the person

	EventDoNotCallBlocked EventType = "do_not_call.blocked" // calls to a number are forbidden
	EventDoNotCallGranted EventType = "do_not_call.granted" // they are allowed again
)

// contactEvents are the types that the journal keeps as events. The others are
// made of the entries of the do-not-call ledger.
var contactEvents = [...]EventType{
	EventContactCreated, EventContactUpdated, EventContactDeleted, EventContactRestored,
	EventContactPurged, EventContactErased,
}

// known reports whether there are such events.
func (t EventType) known() bool {
	return t == EventDoNotCallBlocked || t == EventDoNotCallGranted || slices.Contains(contactEvents[:], t)
}

// An Event is one change of a contact, or one block or grant of calls to a phone
// number. The account and the sequence identify it for ever. It belongs to the
// caller that received it.
type Event struct {
	AccountID uuid.UUID `json:"account_id"`
	Sequence  int64     `json:"sequence"` // counts up within the account, in the order of the commits; some numbers are no events
	Type      EventType `json:"type"`
	At        time.Time `json:"at"`                  // UTC, whole microseconds; for people: clocks may go back, and Sequence is the order
	ContactID uuid.UUID `json:"contact_id,omitzero"` // zero: a block or a grant that came from no contact, or from one that is hidden
	Version   int64     `json:"version"`             // of the contact after the event; 0: the contact is removed, or a block or grant
	Actor     Actor     `json:"actor"`

	// Batch is the same for all events of one call that was given several contacts; a
	// stream has one for each 1,000, and a purge one for up to 500. Zero: the event is
	// the only one of those.
	Batch  uuid.UUID `json:"batch,omitzero"`
	Source string    `json:"source,omitempty"` // as [WithEventSource] said

	// Changes are the fields that differ, in the order of the documented
	// parameters; "deleted_at" comes first. A value is a string, of "team_id" an
	// int64, of "tags" a []string, of "phone_numbers" a []PhoneNumber, of
	// "deleted_at" a time.Time, and in a context one of the types that JSON has.
	// nil: there was none, or null. Events that create or remove a contact have no
	// changes.
	Changes  []FieldChange `json:"changes,omitempty"`
	Redacted bool          `json:"redacted,omitempty"` // the person was erased: Changes and Source are gone, or the number of a block or grant

	// DoNotCall is the entry of the ledger. It is set with EventDoNotCallBlocked and
	// EventDoNotCallGranted alone, which need no [EventSettings] and never end.
	DoNotCall *DoNotCallEntry `json:"do_not_call,omitempty"`

	// Contact is the contact as it was after the event, without what the do-not-call
	// ledger said of its numbers. Only [Service.History] sets it.
	Contact *Contact `json:"-"`
}

// MarshalJSON returns the JSON form. It has no changes where the type has none,
// and null where they were erased. Phone numbers have no do_not_call, because an
// event does not say whether a number may be called.
func (e Event) MarshalJSON() ([]byte, error) {
	type plain Event
	form := struct {
		plain
		Changes *[]FieldChange `json:"changes,omitempty"`
	}{plain: plain(e)}
	if e.Changes != nil || e.Redacted && e.DoNotCall == nil {
		var changes []FieldChange
		if !e.Redacted {
			changes = make([]FieldChange, len(e.Changes))
		}
		for i, c := range e.Changes {
			changes[i] = FieldChange{c.Field, eventValue(c.Before), eventValue(c.After)}
		}
		form.Changes = &changes
	}
	return json.Marshal(form)
}
