package contacts

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// checkIdempotencyKey checks a key, which is taken as it is.
func checkIdempotencyKey(key string, bad *problems) {
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

// A firstResult is what the Service added to the input of a create. With it, the
// same input gives the same result again.
type firstResult struct {
	ID        uuid.UUID   `json:"id"`
	PhoneIDs  []uuid.UUID `json:"phone_ids,omitempty"`
	CreatedAt time.Time   `json:"created_at"`
}

// newIdempotencyRecord returns what is stored with the record of a create. Inputs
// are compared by what is stored of them. So the order of JSON members and the
// spelling of a phone number do not make a different input.
func newIdempotencyRecord(key string, r *ContactRecord, retention time.Duration) (*IdempotencyRecord, error) {
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
		return fmt.Errorf("a stored idempotency record: %w", err)
	}
	if len(first.PhoneIDs) != len(c.PhoneNumbers) {
		return fmt.Errorf("a stored idempotency record has %d phone numbers, and its input %d", len(first.PhoneIDs), len(c.PhoneNumbers))
	}
	c.ID, c.CreatedAt, c.UpdatedAt = first.ID, first.CreatedAt, first.CreatedAt
	for i, id := range first.PhoneIDs {
		c.PhoneNumbers[i].ID = id
	}
	return nil
}

// checkReplays makes a conflict of each replay whose contact has moved into a
// team that the principal may not access: the key must not learn of it. A contact
// that was removed for good hides nothing, so its first result stays.
func (c *call) checkReplays(ctx context.Context, created creation) {
	if c.principal.AllTeams {
		return
	}
	replayed := make(map[uuid.UUID][]int)
	for i := range created.contacts {
		if r := &created.contacts[i].result; r.Replayed {
			replayed[r.Contact.ID] = append(replayed[r.Contact.ID], i)
		}
	}
	for ids := range slices.Chunk(slices.Collect(maps.Keys(replayed)), MaxMutations) {
		teams, err := c.teamsOf(ctx, ids)
		if err != nil {
			c.note(err)
		}
		for _, id := range ids {
			for _, i := range replayed[id] {
				r := &created.contacts[i].result
				switch {
				case err != nil:
					*r = CreateResult{Index: r.Index, Err: newServerError(err)}
				case !c.principal.CanAccessTeam(teams[id]):
					*r = CreateResult{Index: r.Index, Err: newError(ErrIdempotencyConflict, nil)}
				}
			}
		}
	}
}

// teamsOf returns the teams of the contacts that are stored, deleted ones too.
func (c *call) teamsOf(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error) {
	list, err := c.store.ListContacts(ctx, ContactQuery{AccountID: c.principal.AccountID, AllTeams: true, IDs: ids, Limit: len(ids)})
	if err != nil {
		return nil, err
	}
	teams := make(map[uuid.UUID]int64, len(ids))
	for _, r := range list.Records {
		teams[r.Contact.ID] = r.Contact.TeamID
	}
	for _, id := range ids {
		if _, live := teams[id]; live {
			continue
		}
		r, err := c.store.FindContact(ctx, c.principal.AccountID, id)
		switch {
		case err == nil:
			teams[id] = r.Contact.TeamID
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	return teams, nil
}
