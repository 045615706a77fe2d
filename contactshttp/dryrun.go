package contactshttp

import (
	"net/http"
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
		DryRun: true, Result: r.Result, Contact: dryContactOf(r.Contact), Changes: changesOf(r.Changes), Matched: list(r.Matched),
	}}
	a.setResult(r)
	return a
}

// dryItemOf returns the result for one contact of a batch.
func dryItemOf(r *contacts.CreateResult) DryRunItem {
	item := DryRunItem{BatchItem: itemOf(r)}
	if r.Err == nil {
		item.Contact, item.Changes, item.Matched = dryContactOf(r.Contact), changesOf(r.Changes), list(r.Matched)
	}
	return item
}

// dryChange answers the dry run of a change. Of a damaged contact it cannot say what
// differs.
func (h *handler) dryChange(c *call, do jsonChange) (*answer, error) {
	var before *contacts.Contact
	opts := c.condition.options()
	opts.Before = func(was *contacts.Contact) { before = was }
	after, err := do(h.dry, c.request.Context(), c.key, c.id(), c.request.Body, opts)
	if err != nil {
		return nil, c.condition.failed(err)
	}
	run := DryRun{DryRun: true, Result: contacts.ResultUpdated, Contact: dryContactOf(after), Changes: changesOf(nil), Matched: []contacts.Conflict{}}
	if before != nil {
		run.Changes = changesOf(contacts.Changes(before, after))
	}
	return &answer{status: http.StatusOK, body: run}, nil
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
