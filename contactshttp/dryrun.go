package contactshttp

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	headerDryRun    = "Dry-Run"
	parameterDryRun = "dry_run"
)

// A DryRun is the answer to a dry run: what the request would do to one contact.
type DryRun struct {
	DryRun  bool                   `json:"dry_run"` // always true
	Result  contacts.Result        `json:"result"`
	Contact *DryRunContact         `json:"contact"` // as it would be
	Changes []contacts.FieldChange `json:"changes"` // empty: it would be created or stay as it is, or it is damaged
	Matched []contacts.Conflict    `json:"matched"` // which fields match the contact; empty for a change of a known one
}

// A DryRunContact is a [Contact] that is not stored.
type DryRunContact struct {
	*Contact

	ID           *uuid.UUID          `json:"id"` // nil: the request would make one
	PhoneNumbers []DryRunPhoneNumber `json:"phone_numbers"`
}

// A DryRunPhoneNumber is a [PhoneNumber] that is not stored.
type DryRunPhoneNumber struct {
	PhoneNumber

	ID *uuid.UUID `json:"id"` // nil: the request would make one
}

// A DryRunBatch is the answer to the dry run of a batch.
type DryRunBatch struct {
	DryRun bool `json:"dry_run"` // always true
	BatchResult

	Results []DryRunItem `json:"results"`
}

// A DryRunItem is the result for one contact of a [DryRunBatch].
type DryRunItem struct {
	BatchItem

	Contact *DryRunContact         `json:"contact,omitempty"`
	Changes []contacts.FieldChange `json:"changes,omitzero"` // those of [DryRun]; nil where Error is set
	Matched []contacts.Conflict    `json:"matched,omitzero"` // those of [DryRun]; nil where Error is set
}

// isDryRun reports whether the request asks for a dry run, of an endpoint that has
// one.
func (c *call) isDryRun() bool {
	values := c.parseQuery()[parameterDryRun]
	return c.endpoint.hasDryRun() && len(values) == 1 && values[0] == "true"
}

// checkDryRun refuses a value that could be taken for a dry run and is none.
func (c *call) checkDryRun() {
	if c.endpoint.hasDryRun() && c.query.Has(parameterDryRun) && c.query.Get(parameterDryRun) != "true" {
		c.wrong.add(parameterDryRun, contacts.FieldInvalid, "must be true, or absent")
	}
}

// dryRunOf returns the answer to a dry run of a create or an upsert.
func dryRunOf(r *contacts.CreateResult) *answer {
	a := &answer{status: http.StatusOK, body: DryRun{
		DryRun: true, Result: r.Result, Contact: dryContactOf(r.Contact), Changes: changesOf(r.Changes), Matched: matchedOf(r.Matched),
	}}
	a.setResult(r)
	return a
}

// dryItemOf returns the result for one contact of a batch.
func dryItemOf(r *contacts.CreateResult) DryRunItem {
	item := DryRunItem{BatchItem: itemOf(r)}
	if r.Err == nil {
		item.Contact, item.Changes, item.Matched = dryContactOf(r.Contact), changesOf(r.Changes), matchedOf(r.Matched)
	}
	return item
}

// dryChange answers the dry run of a change. It looks at the contact, and changes
// that version alone, so that the answer says what the change itself does. Of a
// damaged contact it cannot say what differs.
func (h *handler) dryChange(c *call, do jsonChange) (*answer, error) {
	ctx := c.request.Context()
	var given bytes.Buffer
	for body := io.TeeReader(c.request.Body, &given); ; body = bytes.NewReader(given.Bytes()) {
		// A change of nothing needs the permissions of the change, and not those of a
		// read.
		before, unread := h.dry.UpdateContact(ctx, c.key, c.id(), contacts.UpdateContactInput{}, nil)
		missing := contacts.CodeOf(unread) == contacts.CodeNotFound // what is wrong with the body comes before that
		_, damaged := errors.AsType[*contacts.DamagedError](unread) // the change may repair it
		if unread != nil && !missing && !damaged {
			return nil, unread
		}
		opts, only := c.condition.options(), false
		if unread == nil {
			if was := before.Version - 1; opts.Versions == nil || slices.Contains(opts.Versions, was) {
				opts.Versions, only = []int64{was}, true
			}
		}
		after, err := do(h.dry, ctx, c.key, c.id(), body, opts)
		switch {
		case only && contacts.CodeOf(err) == contacts.CodeConflict, err == nil && missing: // another writer came between
		case err != nil:
			return nil, c.condition.failed(err)
		default:
			run := DryRun{
				DryRun: true, Result: contacts.ResultUpdated, Contact: dryContactOf(after), Changes: changesOf(nil), Matched: matchedOf(nil),
			}
			if !damaged {
				run.Changes = changesOf(contacts.Changes(before, after))
			}
			return &answer{status: http.StatusOK, body: run}, nil
		}
	}
}

func dryContactOf(c *contacts.Contact) *DryRunContact {
	contact := contactOf(c)
	return &DryRunContact{Contact: contact, ID: known(contact.ID), PhoneNumbers: dryNumbersOf(contact.PhoneNumbers)}
}

func dryNumbersOf(numbers []PhoneNumber) []DryRunPhoneNumber {
	forms := make([]DryRunPhoneNumber, len(numbers))
	for i, n := range numbers {
		forms[i] = DryRunPhoneNumber{PhoneNumber: n, ID: known(n.ID)}
	}
	return forms
}

func matchedOf(matched []contacts.Conflict) []contacts.Conflict {
	if matched == nil {
		return []contacts.Conflict{}
	}
	return matched
}

// changesOf returns the documented form of changes. As in an event, a value that
// was not there is null.
func changesOf(changes []contacts.FieldChange) []contacts.FieldChange {
	forms := make([]contacts.FieldChange, len(changes))
	for i, c := range changes {
		forms[i] = c
		if !strings.Contains(c.Field, "_context") { // members of contexts are what they are
			forms[i].Before, forms[i].After = valueOf(c.Before), valueOf(c.After)
		}
	}
	return forms
}

func valueOf(v any) any {
	switch v := v.(type) {
	case string:
		if v != "" {
			return v
		}
	case int64:
		if v != 0 {
			return v
		}
	case []string:
		if len(v) > 0 {
			return v
		}
	case []contacts.PhoneNumber:
		if len(v) > 0 {
			return dryNumbersOf(contactOf(&contacts.Contact{PhoneNumbers: v}).PhoneNumbers)
		}
	}
	return nil
}
