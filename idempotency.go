package contacts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// IdempotencyRetention returns how long the Service keeps idempotency keys, see
// [Options.IdempotencyRetention].
func (s *Service) IdempotencyRetention() time.Duration { return s.retention }

// checkIdempotencyKey checks a key, which is taken as it is.
func checkIdempotencyKey(key, field string, bad *problems) {
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
	ID        uuid.UUID
	PhoneIDs  []uuid.UUID
	CreatedAt time.Time
	Result    Result // "": it was created
}

// A storedResult is the form in which a firstResult is kept. It is short, because each
// create with a key has one.
type storedResult struct {
	IDs       []byte `json:"ids"` // of the contact, and of its phone numbers
	CreatedAt int64  `json:"at"`  // microseconds since 1970
	Result    Result `json:"result"`
}

// text returns the JSON of a storedResult. Marshalling it took a third of the time that a
// key costs before its contact is stored.
func (f *firstResult) text() string {
	ids := append(make([]byte, 0, 16*(1+len(f.PhoneIDs))), f.ID[:]...)
	for _, id := range f.PhoneIDs {
		ids = append(ids, id[:]...)
	}
	b := append(make([]byte, 0, base64.StdEncoding.EncodedLen(len(ids))+64), `{"ids":"`...)
	b = append(base64.StdEncoding.AppendEncode(b, ids), `","at":`...)
	b = strconv.AppendInt(b, f.CreatedAt.UnixMicro(), 10)
	if f.Result != "" { // which is a plain word
		b = append(append(append(b, `,"result":"`...), f.Result...), '"')
	}
	return string(append(b, '}'))
}

func parseFirstResult(text string) (first firstResult, err error) {
	var stored storedResult
	err = json.Unmarshal([]byte(text), &stored)
	if err == nil && (len(stored.IDs) == 0 || len(stored.IDs)%16 != 0) {
		err = fmt.Errorf("it has ids of %d bytes", len(stored.IDs))
	}
	if err != nil {
		return first, fmt.Errorf("a stored idempotency record: %w", err)
	}
	first = firstResult{ID: uuid.UUID(stored.IDs[:16]), CreatedAt: time.UnixMicro(stored.CreatedAt).UTC(), Result: stored.Result}
	for id := range slices.Chunk(stored.IDs[16:], 16) {
		first.PhoneIDs = append(first.PhoneIDs, uuid.UUID(id))
	}
	return first, nil
}

// newIdempotencyRecord returns what is stored with the record of a create.
func newIdempotencyRecord(key string, r *ContactRecord, retention time.Duration) *IdempotencyRecord {
	c := &r.Contact
	first := firstResult{ID: c.ID, CreatedAt: c.CreatedAt, PhoneIDs: make([]uuid.UUID, len(c.PhoneNumbers))}
	for i := range c.PhoneNumbers {
		first.PhoneIDs[i] = c.PhoneNumbers[i].ID
	}
	return &IdempotencyRecord{Key: sha256.Sum256([]byte(key)), Input: inputHash(r), Result: first.text(), EndsAt: endOf(c.CreatedAt, retention)}
}

// inputHash returns a hash of the input of a create, as it is stored: without ids,
// times and the version. So the order of JSON members and the spelling of a phone
// number do not make a different input. A length is in front of each text and list, so
// that no two inputs are one.
func inputHash(r *ContactRecord) [32]byte {
	const usual = 1024 // bytes
	c, b := &r.Contact, make([]byte, 0, usual)
	add := func(text string) { b = append(binary.AppendUvarint(b, uint64(len(text))), text...) }
	for _, text := range c.texts() {
		add(*text)
	}
	add(r.CustomContext)
	add(r.IndustryContext)
	b = binary.AppendVarint(b, c.TeamID)
	b = binary.AppendUvarint(b, uint64(len(c.Tags)))
	for _, tag := range c.Tags {
		add(tag)
	}
	b = binary.AppendUvarint(b, uint64(len(c.PhoneNumbers)))
	for i := range c.PhoneNumbers {
		p := &c.PhoneNumbers[i]
		add(p.PhoneNumber)
		add(p.PhoneType)
		b = strconv.AppendBool(strconv.AppendBool(b, p.Primary), p.DoNotCall)
	}
	return sha256.Sum256(b)
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
func (r *IdempotencyRecord) saying(result firstResult) *IdempotencyRecord {
	other := *r
	other.Result = result.text()
	return &other
}

// replay makes the contact of an input that was sent again the result of the first
// call. If that one did not create it, checkReplays reads it.
func (n *newContact) replay(result string) error {
	first, err := parseFirstResult(result)
	if err != nil {
		return err
	}
	n.replayed, n.result, n.found = true, cmp.Or(first.Result, ResultCreated), nil
	record := *n.record
	n.draft.record = &record
	c := &record.Contact
	c.ID = first.ID
	if n.result != ResultCreated {
		return nil
	}
	if len(first.PhoneIDs) != len(c.PhoneNumbers) {
		return fmt.Errorf("a stored idempotency record has %d phone numbers, and its input %d", len(first.PhoneIDs), len(c.PhoneNumbers))
	}
	c.CreatedAt, c.UpdatedAt = first.CreatedAt, first.CreatedAt
	c.PhoneNumbers = slices.Clone(c.PhoneNumbers)
	for i, id := range first.PhoneIDs {
		c.PhoneNumbers[i].ID = id
	}
	return nil
}

// replays reports whether an earlier contact of the call has the idempotency key,
// and then says what becomes of the contact.
func (p *pass) replays(n *newContact) bool {
	seen := p.seen
	if seen == nil || n.once == nil {
		return false
	}
	if result, same, found := seen.past.replay(n.once); found {
		n.draft, n.replayed, n.result = draft{}, true, result
		if !same {
			n.err = newError(ErrIdempotencyConflict)
		}
		return true
	}
	earlier := seen.once[n.once.Key]
	switch {
	case earlier == nil:
		return false
	case earlier.Input != n.once.Input:
		n.err = newError(ErrIdempotencyConflict)
	default:
		p.finish(n, MutationOutcome{Result: earlier.Result})
	}
	return true
}

// checkReplays reads the contacts of replays. A contact that was created is
// returned as it was made, and any other as it is now. A replay whose contact has
// moved into a team that the principal may not access is a conflict, and so is one that
// its own create could not have: the key must not learn of it. The others of the batch
// stand on their own, so they may be stored by then.
func (c *call) checkReplays(ctx context.Context, created *creation) {
	var replays []*newContact
	var ids []uuid.UUID
	for i := range created.contacts {
		n := &created.contacts[i]
		if n.replayed && n.err == nil && n.record != nil && (n.result != ResultCreated || !c.principal.AllTeams) {
			replays = append(replays, n)
			ids = append(ids, n.record.Contact.ID)
		}
	}
	if len(replays) == 0 {
		return
	}
	records, damaged, err := c.recordsOf(ctx, ids)
	if err != nil {
		c.note(err)
	}
	for _, n := range replays {
		r := records[n.record.Contact.ID]
		switch {
		case err != nil:
			n.err = newServerError(err)
		case r != nil && !c.principal.CanAccessTeam(r.Contact.TeamID), !c.mayReplay(n.result):
			n.err = newError(ErrIdempotencyConflict)
		case n.result == ResultCreated:
		case isPastID(n.record.Contact.ID), c.seen != nil && c.seen.past.changed(n.record.Contact.ID) != uuid.Nil:
			n.draft = draft{}
		case r == nil || !r.Contact.DeletedAt.IsZero():
			n.err = newError(ErrNotFound)
		case damaged[r.Contact.ID] != nil:
			n.err = c.fault(damaged[r.Contact.ID])
		default:
			record := r.clone()
			n.draft = draft{record: record}
			if err := c.mark(ctx, &record.Contact); err != nil {
				n.err = c.fault(err)
			}
		}
	}
}

// mayReplay reports whether the principal has the permission for a first result: that of
// a create which a policy turns into a read or a change.
func (c *call) mayReplay(first Result) bool {
	switch first {
	case ResultCreated:
		return true
	case ResultExisting:
		return c.principal.Can(c.readPermission)
	default:
		return c.principal.Can(c.writePermission)
	}
}

// refuseReplays is checkReplays for a batch that is all or nothing. One conflict
// refuses the whole batch, so it has to be known before anything is stored: a dry
// run finds the replays. It reports whether there are others than of new contacts: these
// are read, and may be gone. An account without settings has none.
//
// The others may write between the dry run and the batch. A contact that moves
// then was visible when it was looked at, and the answer is as of that moment. A
// replay that the dry run did not find is of a create since, in the team of this
// input, which the principal may access.
func (c *call) refuseReplays(ctx context.Context, created *creation) (others bool, err error) {
	if err := c.findAccount(ctx); err != nil {
		return false, c.fault(err)
	}
	if c.principal.AllTeams && (c.seen != nil || c.account.SettingsVersion == 0) {
		return false, nil
	}
	var records []*IdempotencyRecord // no two with one key
	keys := make(map[[32]byte]bool)
	for i := range created.contacts {
		if once := created.contacts[i].once; once != nil && !keys[once.Key] {
			keys[once.Key] = true
			records = append(records, once)
		}
	}
	conflicts, others, err := c.conflicts(ctx, records)
	if c.principal.AllTeams { // to which the write tells its conflicts
		return others, err
	}
	for i := range created.contacts {
		n := &created.contacts[i]
		if n.once != nil && conflicts[idempotentInput{n.once.Key, n.once.Input}] {
			n.err = newError(ErrIdempotencyConflict)
		}
	}
	return others, err
}

// An idempotentInput is an input under its idempotency key.
type idempotentInput struct{ key, input [32]byte }

// conflicts returns which of the records, were they stored now, would be refused
// or be replays that the principal may not see. Others are replays of a contact that was
// there before.
func (c *call) conflicts(ctx context.Context, records []*IdempotencyRecord) (conflicts map[idempotentInput]bool, others bool, err error) {
	conflicts = make(map[idempotentInput]bool)
	replays := make(map[idempotentInput]uuid.UUID)
	now, err := c.clock.read()
	if err != nil {
		return nil, false, c.fault(err)
	}
	for part := range slices.Chunk(records, MaxMutations) {
		batch := MutationBatch{Mutations: make([]Mutation, len(part)), Now: now, DryRun: true}
		for i, r := range part {
			batch.Mutations[i].Idempotency = r
		}
		outcomes, err := c.apply(ctx, write{MutationBatch: batch})
		if err != nil {
			return nil, false, c.fault(err)
		}
		for i, o := range outcomes {
			in := idempotentInput{part[i].Key, part[i].Input}
			var first firstResult
			switch {
			case errors.Is(o.Err, ErrIdempotencyConflict):
				conflicts[in] = true
			case o.Err != nil:
				return nil, false, c.fault(o.Err)
			case o.Result != "":
				if first, err = parseFirstResult(o.Result); err != nil {
					return nil, false, c.fault(err)
				}
				replays[in] = first.ID
				result := cmp.Or(first.Result, ResultCreated)
				conflicts[in], others = !c.mayReplay(result), others || result != ResultCreated
			}
		}
	}
	hidden, err := c.hidden(ctx, slices.Collect(maps.Values(replays)))
	if err != nil {
		return nil, false, c.fault(err)
	}
	for in, id := range replays {
		if hidden[id] {
			conflicts[in] = true
		}
	}
	return conflicts, others, nil
}

// hidden returns which of the contacts are in a team that the principal may not
// access. A contact that was removed for good hides nothing, so its first result
// stays.
func (c *call) hidden(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	if c.principal.AllTeams {
		return nil, nil
	}
	records, _, err := c.recordsOf(ctx, ids)
	hidden := make(map[uuid.UUID]bool)
	for id, r := range records {
		hidden[id] = !c.principal.CanAccessTeam(r.Contact.TeamID)
	}
	return hidden, err
}

// recordsOf returns the contacts that are stored, deleted ones too, and those that
// would be another as they would be. Damaged are those that could not be read whole;
// their records have what could be read.
func (c *call) recordsOf(ctx context.Context, ids []uuid.UUID) (
	records map[uuid.UUID]*ContactRecord, damaged map[uuid.UUID]*DamagedError, err error,
) {
	records, damaged = make(map[uuid.UUID]*ContactRecord, len(ids)), make(map[uuid.UUID]*DamagedError)
	var rest []uuid.UUID
	for _, id := range ids {
		if r := c.seen.find(id); r != nil {
			records[id] = r
		} else if !isPastID(id) {
			rest = append(rest, id)
		}
	}
	for part := range slices.Chunk(rest, MaxMutations) {
		// The third finds a contact that was restored between the first two, and the fourth
		// one that was deleted again. The others are removed for good, which may be many.
		for _, deleted := range []bool{false, true, false, true} {
			list, err := c.store.ListContacts(ctx, ContactQuery{
				AccountID: c.principal.AccountID, AllTeams: true, IDs: part, Deleted: deleted, Limit: len(part),
			})
			if err != nil {
				return nil, nil, err
			}
			for _, r := range list.Records {
				records[r.Contact.ID] = r
			}
			for _, d := range list.Damaged {
				damaged[d.ContactID] = d
			}
			if part = slices.DeleteFunc(part, func(id uuid.UUID) bool { return records[id] != nil }); len(part) == 0 {
				break
			}
		}
	}
	return records, damaged, nil
}
