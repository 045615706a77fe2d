package contacts

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	defaultRetention = 24 * time.Hour

	maxIdempotencyKey = 255 // bytes
)

// idempotencyKey checks a key, which is taken as it is.
func idempotencyKey(key string, bad *problems) {
	const field = "idempotency_key"
	switch {
	case key == "" || bad.has(field):
	case len(key) > maxIdempotencyKey:
		bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d bytes", maxIdempotencyKey))
	case !utf8.ValidString(key):
		bad.add(field, FieldInvalid, "must be valid UTF-8")
	case strings.TrimSpace(key) == "" || strings.ContainsFunc(key, unicode.IsControl):
		bad.add(field, FieldInvalid, "must hold no control characters, and not be blank")
	}
}

// A firstResult is what makes a create's result of its input: all that the
// Service added to it.
type firstResult struct {
	ID        uuid.UUID   `json:"id"`
	PhoneIDs  []uuid.UUID `json:"phone_ids,omitempty"`
	CreatedAt time.Time   `json:"created_at"`
}

// newIdempotency returns what is stored with the record of a create. It compares
// inputs by what they are stored as, so that neither the order of JSON's members
// nor the spelling of a phone number makes another input.
func newIdempotency(key string, r *ContactRecord, retention time.Duration) (*IdempotencyRecord, error) {
	c := r.Contact
	first := firstResult{ID: c.ID, CreatedAt: c.CreatedAt}
	input := c
	input.ID, input.AccountID, input.CreatedAt, input.UpdatedAt, input.Version = uuid.Nil, uuid.Nil, time.Time{}, time.Time{}, 0
	input.PhoneNumbers = nil
	for _, p := range c.PhoneNumbers {
		first.PhoneIDs = append(first.PhoneIDs, p.ID)
		p.ID = uuid.Nil
		input.PhoneNumbers = append(input.PhoneNumbers, p)
	}
	text, err := json.Marshal([]any{input, r.CustomContext, r.IndustryContext})
	if err != nil {
		return nil, err
	}
	result, err := json.Marshal(first)
	if err != nil {
		return nil, err
	}
	return &IdempotencyRecord{
		Key:    sha256.Sum256([]byte(key)),
		Input:  sha256.Sum256(text),
		Result: string(result),
		EndsAt: timestamp(c.CreatedAt.Add(retention)),
	}, nil
}

// replay makes the contact of an input that was sent again the result of the
// first create.
func replay(c *Contact, result string) error {
	var first firstResult
	if err := json.Unmarshal([]byte(result), &first); err != nil {
		return fmt.Errorf("a stored idempotency: %w", err)
	}
	if len(first.PhoneIDs) != len(c.PhoneNumbers) {
		return fmt.Errorf("a stored idempotency has %d phone numbers, and its input %d", len(first.PhoneIDs), len(c.PhoneNumbers))
	}
	c.ID, c.CreatedAt, c.UpdatedAt = first.ID, first.CreatedAt, first.CreatedAt
	for i, id := range first.PhoneIDs {
		c.PhoneNumbers[i].ID = id
	}
	return nil
}
