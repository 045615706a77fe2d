package contacts

import (
	"time"

	"github.com/google/uuid"
)

// A CreateContactInput describes a new contact. FirstName alone is required. The
// zero value of every other field means that it is absent. Its JSON form is the
// documented body of the create.
type CreateContactInput struct {
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name,omitempty"`
	Email     string `json:"email,omitempty"`
	Company   string `json:"company,omitempty"`
	Website   string `json:"website,omitempty"` // http or https; a bare domain gets https://
	Address   string `json:"address,omitempty"` // may hold line breaks
	City      string `json:"city,omitempty"`
	State     string `json:"state,omitempty"`
	ZipCode   string `json:"zip_code,omitempty"`
	Country   string `json:"country,omitempty"` // "": "US"
	Status    string `json:"status,omitempty"`  // "": "not_contacted"
	Stage     string `json:"stage,omitempty"`   // "": "lead"
	TeamID    int64  `json:"team_id,omitempty"` // 0: no team

	// ExternalID is the id that the caller's own system has for the person. No
	// two live contacts of an account have the same. Letter case counts. "":
	// none.
	ExternalID string `json:"external_id,omitempty"`

	// Tags are trimmed, and repeats are dropped; their order is kept.
	Tags []string `json:"tags,omitempty"`
	// PhoneNumbers holds each number once. Where none is primary, the first
	// one becomes primary.
	PhoneNumbers []PhoneNumberInput `json:"phone_numbers,omitempty"`

	// CustomContext and IndustryContext are the caller's own data: anything
	// that has a JSON form. They are kept as they are.
	CustomContext   map[string]any `json:"custom_context,omitzero"`
	IndustryContext map[string]any `json:"industry_context,omitzero"`

	// IdempotencyKey makes it safe to send the create again. If the account
	// used the key before for the same input, nothing is stored and the first
	// result is returned again: a contact that was created as it was then, and one
	// that was found as it is now. With another input it is CodeIdempotencyConflict,
	// and also if the contact is by now in a team that the API key may not access.
	// It is any text of up to 255 bytes, and is kept for
	// Options.IdempotencyRetention. "": none.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// A PhoneNumberInput is one phone number of a new or replaced contact.
type PhoneNumberInput struct {
	PhoneNumber string `json:"phone_number"` // E.164; spaces, dots, dashes, parentheses and invisible characters are dropped
	PhoneType   string `json:"phone_type,omitempty"`
	Primary     bool   `json:"primary,omitempty"`

	// DoNotCall puts the number on the do-not-call list of the account. False
	// says nothing: only [Service.GrantCalls], or the end of a block, takes a number
	// off the list.
	DoNotCall bool `json:"do_not_call,omitempty"`

	// ID names a phone number that the contact has, for
	// [Service.ReplaceContact]. Zero in a new contact.
	ID uuid.UUID `json:"id,omitzero"`
}

// A Contact is a stored contact. Its text is normalised and its defaults are
// filled in. It belongs to the caller that received it. Its JSON form is flat,
// with the names of the create's parameters.
type Contact struct {
	ID        uuid.UUID `json:"id"` // UUIDv7: in the order of creation
	AccountID uuid.UUID `json:"account_id"`
	FirstName string    `json:"first_name"`
	LastName  string    `json:"last_name,omitempty"`
	Email     string    `json:"email,omitempty"`
	Company   string    `json:"company,omitempty"`
	Website   string    `json:"website,omitempty"`
	Address   string    `json:"address,omitempty"`
	City      string    `json:"city,omitempty"`
	State     string    `json:"state,omitempty"`
	ZipCode   string    `json:"zip_code,omitempty"`
	Country   string    `json:"country"`
	Status    string    `json:"status"`
	Stage     string    `json:"stage"`
	TeamID    int64     `json:"team_id,omitempty"` // 0: no team

	ExternalID string `json:"external_id,omitempty"` // "": none

	Tags         []string      `json:"tags,omitempty"`          // nil where there are none
	PhoneNumbers []PhoneNumber `json:"phone_numbers,omitempty"` // nil where there are none; else exactly one is primary

	// The contexts in the types that JSON has: nil, bool, string, json.Number,
	// []any and map[string]any. A context that was absent is nil.
	CustomContext   map[string]any `json:"custom_context,omitzero"`
	IndustryContext map[string]any `json:"industry_context,omitzero"`

	CreatedAt time.Time `json:"created_at"` // UTC, whole microseconds
	UpdatedAt time.Time `json:"updated_at"` // UTC, whole microseconds

	Version   int64     `json:"version"`             // 1, and one more with every change
	DeletedAt time.Time `json:"deleted_at,omitzero"` // zero: not deleted

	// What the do-not-call ledger has on the numbers of the contact and on their
	// equivalent forms, for servers that make an entity tag: the sequence of the
	// newest entry, how many entries an erasure has emptied, and when the next one
	// expires. Until then the marks of the numbers are the same while neither of the
	// others changes. Zero: there is none.
	DoNotCallSequence  int64     `json:"-"`
	DoNotCallErased    int       `json:"-"`
	DoNotCallChangesAt time.Time `json:"-"`
}

// DecodeCustomContext decodes the custom context into the value that v points to,
// by the rules of [json.Unmarshal], whose errors it returns. A json.Number
// keeps every digit, and an any is a float64. An absent context is null: it leaves a
// struct as it is.
func (c *Contact) DecodeCustomContext(v any) error { return decodeFreeform(c.CustomContext, v) }

// DecodeIndustryContext is DecodeCustomContext for the industry context.
func (c *Contact) DecodeIndustryContext(v any) error { return decodeFreeform(c.IndustryContext, v) }

// A PhoneNumber is one phone number of a stored contact.
type PhoneNumber struct {
	ID          uuid.UUID `json:"id"`
	PhoneNumber string    `json:"phone_number"` // E.164
	PhoneType   string    `json:"phone_type,omitempty"`
	Primary     bool      `json:"primary"`

	// DoNotCall reports whether the number is on the do-not-call list of the
	// account at the moment of the call. It is not a part of the contact: see
	// [Service.CanCall].
	DoNotCall       bool      `json:"do_not_call"`
	DoNotCallDate   time.Time `json:"dnc_date,omitzero"`    // when the person said so last; UTC, whole microseconds; zero: not listed
	DoNotCallReason string    `json:"dnc_reason,omitempty"` // "": none, or not listed
}
