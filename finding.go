package contacts

import (
	"errors"

	"github.com/google/uuid"
)

// A Severity says how bad a [Finding] is.
type Severity int

// The severities. The zero value is none of them.
const (
	SeverityNote    Severity = iota + 1 // nothing is wrong; it is good to know
	SeverityWarning                     // it can become worse, or is less safe than it should be
	SeverityError                       // what is stored is wrong, or cannot be used
)

// String returns "note", "warning" or "error", and "unknown" for any other value.
func (s Severity) String() string {
	switch s {
	case SeverityNote:
		return "note"
	case SeverityWarning:
		return "warning"
	case SeverityError:
		return "error"
	default:
		return "unknown"
	}
}

// MarshalText returns what String returns, for JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText returns, for programs that read the findings
// of another one.
func (s *Severity) UnmarshalText(text []byte) error {
	for known := range SeverityError + 1 {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return errors.New("contacts: a text that is no severity")
}

// A Finding is one thing that an inspection or a check of a store found. It holds no
// name, address or number of a person. The zero value of an id means that the finding
// is about no account, contact or journal entry in particular.
type Finding struct {
	Severity  Severity  `json:"severity"`
	Code      string    `json:"code"`    // what kind it is, for programs: "schema_older"
	Message   string    `json:"message"` // what it is, for people
	Advice    string    `json:"advice"`  // what to do
	AccountID uuid.UUID `json:"account_id,omitzero"`
	ContactID uuid.UUID `json:"contact_id,omitzero"`
	Sequence  int64     `json:"sequence,omitempty"` // of the journal entry
}
