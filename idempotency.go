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
	Result    Result      `json:"result,omitempty"` // "": it was created
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
	endsAt := timestamp(c.CreatedAt.Add(retention))
	if !inCalendar(endsAt) {
		endsAt = endOfCalendar()
	}
	return &IdempotencyRecord{
		Key:    sha256.Sum256([]byte(key)),
		Input:  sha256.Sum256(text),
		Result: string(result),
		EndsAt: endsAt,
	}, nil
}

// addInput makes more of the call a part of its input.
func (r *IdempotencyRecord) addInput(more any) error {
	text, err := json.Marshal(more)
	if err != nil {
		return err
	}
	r.Input = sha256.Sum256(append(r.Input[:], text...))
	return nil
}

// saying returns the record with another result.
func (r *IdempotencyRecord) saying(result firstResult) (*IdempotencyRecord, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	other := *r
	other.Result = string(text)
	return &other, nil
}

func parseFirstResult(text string) (first firstResult, err error) {
	if err := json.Unmarshal([]byte(text), &first); err != nil {
		return first, fmt.Errorf("a stored idempotency record: %w", err)
	}
	return first, nil
}

// replay makes the contact of an input that was sent again the result of the
// first create.
func (first *firstResult) replay(c *Contact) error {
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
// team that the principal may not access: the key must not learn of it. The
// others of the batch stand on their own, so they may be stored by then.
func (c *call) checkReplays(ctx context.Context, created creation) {
	if c.principal.AllTeams {
		return
	}
	var ids []uuid.UUID
	for i := range created.contacts {
		if n := &created.contacts[i]; n.replayed && n.err == nil {
			ids = append(ids, n.record.Contact.ID)
		}
	}
	hidden, err := c.hidden(ctx, ids)
	if err != nil {
		c.note(err)
	}
	for i := range created.contacts {
		n := &created.contacts[i]
		switch {
		case !n.replayed || n.err != nil:
		case err != nil:
			n.err = newServerError(err)
		case hidden[n.record.Contact.ID]:
			n.err = newError(ErrIdempotencyConflict, nil)
		}
	}
}

// refuseReplays is checkReplays for a batch that is all or nothing. One conflict
// refuses the whole batch, so it has to be known before anything is stored: a dry
// run finds the replays.
//
// The others may write between the dry run and the batch. A contact that moves
// then was visible when it was looked at, and the answer is as of that moment. A
// replay that the dry run did not find is of a create since, in the team of this
// input, which the principal may access.
func (c *call) refuseReplays(ctx context.Context, created creation) error {
	if c.principal.AllTeams {
		return nil
	}
	var records []*IdempotencyRecord // no two with one key
	keys := make(map[[32]byte]bool)
	for i := range created.contacts {
		if once := created.contacts[i].once; once != nil && !keys[once.Key] {
			keys[once.Key] = true
			records = append(records, once)
		}
	}
	conflicts, err := c.conflicts(ctx, records)
	for i := range created.contacts {
		n := &created.contacts[i]
		if n.once != nil && conflicts[idempotentInput{n.once.Key, n.once.Input}] {
			n.err = newError(ErrIdempotencyConflict, nil)
		}
	}
	return err
}

// An idempotentInput is an input under its idempotency key.
type idempotentInput struct{ key, input [32]byte }

// conflicts returns which of the records, were they stored now, would be refused
// or be replays that the principal may not see.
func (c *call) conflicts(ctx context.Context, records []*IdempotencyRecord) (map[idempotentInput]bool, error) {
	conflicts := make(map[idempotentInput]bool)
	replays := make(map[idempotentInput]uuid.UUID)
	now, err := c.clock.read()
	if err != nil {
		return nil, c.fault(err)
	}
	for part := range slices.Chunk(records, MaxMutations) {
		batch := MutationBatch{Mutations: make([]Mutation, len(part)), Now: now, DryRun: true}
		for i, r := range part {
			batch.Mutations[i].Idempotency = r
		}
		outcomes, err := c.apply(ctx, write{MutationBatch: batch})
		if err != nil {
			return nil, c.fault(err)
		}
		for i, o := range outcomes {
			in := idempotentInput{part[i].Key, part[i].Input}
			var first firstResult
			switch {
			case errors.Is(o.Err, ErrIdempotencyConflict):
				conflicts[in] = true
			case o.Err != nil:
				return nil, c.fault(o.Err)
			case o.Result != "":
				if first, err = parseFirstResult(o.Result); err != nil {
					return nil, c.fault(err)
				}
				replays[in] = first.ID
			}
		}
	}
	hidden, err := c.hidden(ctx, slices.Collect(maps.Values(replays)))
	if err != nil {
		return nil, c.fault(err)
	}
	for in, id := range replays {
		if hidden[id] {
			conflicts[in] = true
		}
	}
	return conflicts, nil
}

// hidden returns which of the contacts are in a team that the principal may not
// access. A contact that was removed for good hides nothing, so its first result
// stays.
func (c *call) hidden(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	hidden := make(map[uuid.UUID]bool)
	for part := range slices.Chunk(ids, MaxMutations) {
		teams, err := c.teamsOf(ctx, part)
		if err != nil {
			return nil, err
		}
		for id, team := range teams {
			hidden[id] = !c.principal.CanAccessTeam(team)
		}
	}
	return hidden, nil
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
