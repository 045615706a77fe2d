package contacts

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// EventSettings say whether the changes of an account's contacts are recorded as
// events. The zero value: they are not.
type EventSettings struct {
	On bool

	// Keep is how long an event can be read. It holds for the events that are
	// recorded from then on. 0: 30 days; else from one hour to ten years.
	Keep time.Duration
}

const (
	defaultKeep = 30 * 24 * time.Hour
	minKeep     = time.Hour
	maxKeep     = 3653 * 24 * time.Hour
)

// An eventSettingsForm is the JSON form of EventSettings.
type eventSettingsForm struct {
	On   bool   `json:"on"`
	Keep string `json:"keep"` // "720h0m0s"
}

// MarshalJSON returns {"on": true, "keep": "720h0m0s"}.
func (s EventSettings) MarshalJSON() ([]byte, error) {
	return json.Marshal(eventSettingsForm{s.On, s.Keep.String()})
}

// UnmarshalJSON reads what MarshalJSON returns.
func (s *EventSettings) UnmarshalJSON(text []byte) error {
	var form eventSettingsForm
	if err := json.Unmarshal(text, &form); err != nil {
		return err
	}
	keep, err := time.ParseDuration(form.Keep)
	if err != nil {
		return err
	}
	*s = EventSettings{form.On, keep}
	return nil
}

const settingEvents = "events"

// eventSettings returns the settings of the account.
func (a *AccountRecord) eventSettings() (EventSettings, error) {
	return settingOf(a, settingEvents, parseEventSettings)
}

func parseEventSettings(text string) (s EventSettings, err error) {
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("the stored event settings: %w", err)
	}
	return s, nil
}

// SetEvents switches the events of an account on or off. While they are on, every
// change of a contact is recorded as one [Event], in the same atomic step as the
// change. What changes while they are off has no event: then the history of a
// contact has a hole, and ends there. The sequence of the account goes on. The events
// that are there end as they would have; then [Admin.PruneEvents] removes them.
//
// The settings hold for every write that begins after SetEvents has returned, in
// every process on the same store. On PostgreSQL, a write that began before may be
// stored after, without an event.
//
// Its errors: CodeValidationError for a Keep that is too short or too long,
// CodeNotFound for an unknown account, CodeServerError.
func (a *Admin) SetEvents(ctx context.Context, accountID uuid.UUID, s EventSettings) error {
	if s == (EventSettings{}) { // as they were before they were ever set
		return a.set(ctx, SettingRecord{AccountID: accountID, Name: settingEvents})
	}
	switch {
	case s.Keep == 0:
		s.Keep = defaultKeep
	case s.Keep < minKeep || s.Keep > maxKeep:
		return NewValidationError(FieldError{"keep", FieldInvalid, "must be from one hour to ten years, or 0 for 30 days"})
	}
	value, err := json.Marshal(s)
	if err != nil {
		return newServerError(err)
	}
	return a.set(ctx, SettingRecord{AccountID: accountID, Name: settingEvents, Value: string(value)})
}

// EventSettings returns the settings that an account has now. Its errors:
// CodeNotFound for an unknown account, CodeServerError.
func (a *Admin) EventSettings(ctx context.Context, accountID uuid.UUID) (EventSettings, error) {
	return settingNow(ctx, a, accountID, (*AccountRecord).eventSettings)
}
