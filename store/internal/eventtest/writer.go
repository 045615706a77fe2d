package eventtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A Writer makes random calls of every kind that changes contacts or the
// do-not-call ledger. It changes no contacts but its own, of which it has few, so
// many may write at the same time. A Writer is used by one goroutine.
type Writer struct {
	*World

	// Faulty: calls may fail, because the store does. Then nobody knows what the
	// contacts are, and the writer leaves them and makes others.
	Faulty bool

	name          string // of the writer
	live, deleted []uuid.UUID
	blocked       string // a number
}

// Write makes so many calls, one after the other.
func (w *Writer) Write(ctx context.Context, calls int) error {
	if w.name == "" {
		w.name = uuid.NewString()
	}
	for range calls {
		name, err := w.call(ctx)
		switch {
		case err == nil:
		case w.Faulty && contacts.CodeOf(err) == contacts.CodeServerError:
			w.live, w.deleted = nil, nil
		default:
			return fmt.Errorf("%s: %w", name, errors.Join(err, errors.Unwrap(err))) // with the cause
		}
	}
	return nil
}

// call makes one call, which has a name.
func (w *Writer) call(ctx context.Context) (name string, err error) {
	calls := []string{
		"create", "batch", "upsert", "update", "update", "update", "update", "replace", "delete", "restore", "purge", "erase", "block", "grant",
	}
	name = calls[rand.IntN(len(calls))]
	const most = 8 // contacts of each kind
	switch {
	case len(w.live) > most:
		name = "erase"
	case len(w.deleted) > most:
		name = "purge"
	case len(w.live) == 0 && slices.Contains([]string{"update", "replace", "delete", "erase"}, name),
		len(w.deleted) == 0 && slices.Contains([]string{"restore", "purge"}, name),
		w.blocked == "" && name == "grant":
		name = "create"
	}
	switch name {
	case "create":
		var c *contacts.Contact
		if c, err = w.Service.CreateContact(ctx, w.Key, w.input()); err == nil {
			w.live = append(w.live, c.ID)
		}
	case "batch":
		err = w.batch(ctx)
	case "upsert":
		err = w.upsert(ctx)
	case "update":
		_, err = w.Service.UpdateContactJSON(ctx, w.Key, one(w.live), strings.NewReader(w.patch()), nil)
	case "replace":
		_, err = w.Service.ReplaceContact(ctx, w.Key, one(w.live), w.input(), nil)
	case "delete":
		id := one(w.live)
		if err = w.Service.DeleteContact(ctx, w.Key, id, nil); err == nil {
			w.live, w.deleted = without(w.live, id), append(w.deleted, id)
		}
	case "restore":
		id := one(w.deleted)
		if _, err = w.Service.RestoreContact(ctx, w.Key, id, nil); err == nil {
			w.live, w.deleted = append(w.live, id), without(w.deleted, id)
		}
	case "purge":
		id := one(w.deleted)
		if _, err = w.Admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: w.Account, ContactID: id}); err == nil {
			w.deleted = without(w.deleted, id)
		}
	case "erase":
		id := one(w.live)
		if _, err = w.Admin.EraseContact(ctx, contacts.EraseInput{AccountID: w.Account, ContactID: id, Suppress: rand.IntN(2) == 0}); err == nil {
			w.live = without(w.live, id)
		}
	case "block":
		number := newNumber()
		if _, err = w.Service.BlockCalls(ctx, w.Key, contacts.DoNotCallInput{PhoneNumber: number, Reason: "asked"}); err == nil {
			w.blocked = number
		}
	case "grant":
		_, err = w.Service.GrantCalls(ctx, w.Key, contacts.DoNotCallInput{PhoneNumber: w.blocked, Reason: "signed", Reference: "form 7"})
	}
	return name, err
}

// batch creates contacts, of which one may be refused, and the others with it.
func (w *Writer) batch(ctx context.Context) error {
	in := contacts.CreateContactsInput{AllOrNothing: rand.IntN(2) == 0}
	for range 3 {
		in.Contacts = append(in.Contacts, w.input())
	}
	if rand.IntN(2) == 0 {
		in.Contacts[rand.IntN(3)].FirstName = ""
	}
	results, err := w.Service.CreateContacts(ctx, w.Key, in)
	for _, r := range results {
		switch code := contacts.CodeOf(r.Err); code {
		case "":
			w.live = append(w.live, r.Contact.ID)
		case contacts.CodeMissingFirstName, contacts.CodeBatchFailed:
		default:
			err = r.Err
		}
	}
	return err
}

// upsert creates, changes or restores one of a few contacts.
func (w *Writer) upsert(ctx context.Context) error {
	in := contacts.UpsertContactInput{CreateContactInput: w.input(), Mode: contacts.UpsertOverwrite, RestoreDeleted: true}
	in.ExternalID = fmt.Sprint(w.name, rand.IntN(3))
	in.PhoneNumbers = nil
	r, err := w.Service.UpsertContact(ctx, w.Key, in)
	if err != nil {
		return err
	}
	w.deleted = without(w.deleted, r.Contact.ID)
	w.live = append(without(w.live, r.Contact.ID), r.Contact.ID)
	return nil
}

// input is a random contact.
func (w *Writer) input() contacts.CreateContactInput {
	in := contacts.CreateContactInput{
		FirstName: one([]string{"Ada", "Grace"}), City: one([]string{"", "Oslo", "Rome"}), Tags: one([][]string{nil, {"a"}, {"b", "a"}}),
		CustomContext: one([]map[string]any{nil, {}, {"a.b": 1, `c\d`: "x"}, {"deep": map[string]any{"a.b": 12.50, "list": []any{1, "x"}}}}),
	}
	for range rand.IntN(3) {
		in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: newNumber(), DoNotCall: rand.IntN(4) == 0})
	}
	return in
}

// patch is the body of a random change.
func (w *Writer) patch() string {
	text, err := json.Marshal(newNumber())
	if err != nil {
		panic(err)
	}
	return one([]string{
		`{}`, `{"city": null}`, `{"city": "Bern", "last_name": "Lovelace"}`, `{"tags": ["c"]}`, `{"tags": []}`, `{"custom_context": null}`,
		`{"custom_context": {"a.b": 2, "deep": {"a.b": null, "new": {}}}}`, `{"industry_context": {"n": 12345678901234567890}}`,
		`{"phone_numbers": [{"phone_number": ` + string(text) + `, "do_not_call": true}]}`, `{"phone_numbers": []}`,
	})
}

// newNumber is a phone number that no other contact has.
func newNumber() string { return fmt.Sprintf("+4915%011d", rand.Int64N(1e11)) }

func one[T any](of []T) T { return of[rand.IntN(len(of))] }

func without(ids []uuid.UUID, id uuid.UUID) []uuid.UUID {
	return slices.DeleteFunc(ids, func(other uuid.UUID) bool { return other == id })
}
