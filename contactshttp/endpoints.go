package contactshttp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/google/uuid"

	"example.com/contacts"
)

// create answers POST {prefix}/contacts/create.
func (h *handler) create(c *call) (*answer, error) {
	r, err := h.service(c).CreateContactResultJSON(c.request.Context(), c.key, c.idempotencyKey, c.request.Body)
	if err != nil {
		return nil, err
	}
	return h.stored(c, &r), nil
}

// upsert answers POST {prefix}/contacts/upsert.
func (h *handler) upsert(c *call) (*answer, error) {
	r, err := h.service(c).UpsertContactJSON(c.request.Context(), c.key, c.idempotencyKey, c.request.Body)
	if err != nil {
		return nil, err
	}
	return h.stored(c, (*contacts.CreateResult)(r)), nil
}

// service returns the Service of a call.
func (h *handler) service(c *call) *contacts.Service {
	if c.isDryRun() {
		return h.dry
	}
	return h.svc
}

// stored returns the answer to a create or an upsert.
func (h *handler) stored(c *call, r *contacts.CreateResult) *answer {
	if c.isDryRun() {
		return dryRunOf(r)
	}
	a := contactAnswer(statusOfResult(r.Result), r.Contact)
	a.set("Location", h.front(c.request)+"/contacts/"+r.Contact.ID.String())
	a.setResult(r)
	return a
}

// setResult says what a create or an upsert did.
func (a *answer) setResult(r *contacts.CreateResult) {
	a.set("Contacts-Result", string(r.Result))
	a.setReplayed(r.Replayed)
	if r.DeletedTwin != uuid.Nil {
		a.set("Contacts-Deleted-Twin", r.DeletedTwin.String())
	}
}

// statusOfResult returns the status of a create or an upsert.
func statusOfResult(r contacts.Result) int {
	if r == contacts.ResultCreated {
		return http.StatusCreated
	}
	return http.StatusOK
}

// createBatch answers POST {prefix}/contacts/batch.
func (h *handler) createBatch(c *call) (*answer, error) {
	results, err := h.service(c).CreateContactsJSONSeq(c.request.Context(), c.key, c.request.Body)
	if err != nil {
		return nil, err
	}
	ctx := c.request.Context()
	return &answer{status: http.StatusOK, parts: batchText(results, c.isDryRun(), func(err error) { exchangeOf(ctx).logEncode(ctx, err) })}, nil
}

// list answers GET {prefix}/contacts.
func (h *handler) list(c *call) (*answer, error) {
	p, err := h.svc.ListContacts(c.request.Context(), c.key, c.list)
	if p == nil { // with a page, the error is about the contacts that the page names as damaged
		return nil, err
	}
	return &answer{status: http.StatusOK, body: pageOf(p)}, nil
}

// findDuplicates answers GET {prefix}/contacts/duplicates.
func (h *handler) findDuplicates(c *call) (*answer, error) {
	p, err := h.svc.FindDuplicates(c.request.Context(), c.key, c.duplicates)
	if p == nil { // as in list
		return nil, err
	}
	return &answer{status: http.StatusOK, body: duplicatesOf(p)}, nil
}

// get answers GET {prefix}/contacts/{id}.
func (h *handler) get(c *call) (*answer, error) {
	if c.asOf != nil {
		contact, err := h.svc.GetContactAsOf(c.request.Context(), c.key, c.id(), *c.asOf)
		if err != nil {
			return nil, err
		}
		return &answer{status: http.StatusOK, body: contactOf(contact)}, nil
	}
	contact, err := h.svc.GetContact(c.request.Context(), c.key, c.id())
	if err != nil {
		return nil, err
	}
	if tag := tagOf(contact); unchanged(c.request.Header, tag) {
		a := &answer{status: http.StatusNotModified}
		a.setTag(tag)
		return a, nil
	}
	return contactAnswer(http.StatusOK, contact), nil
}

// history answers GET {prefix}/contacts/{id}/history.
func (h *handler) history(c *call) (*answer, error) {
	page := struct {
		Events []json.RawMessage `json:"events"` // as text: the Go values may take twenty times as much
		EventHistory
	}{Events: []json.RawMessage{}}
	size, last := 0, int64(0)
	for e, err := range h.svc.History(c.request.Context(), c.key, c.id()) {
		if err != nil && len(page.Events) == 0 {
			return nil, err
		}
		if err == nil && c.events.After != 0 && e.Sequence >= c.events.After {
			continue
		}
		// A later error is the answer to the next part.
		if err != nil || len(page.Events) == c.events.Limit || size > maxHistoryBytes {
			page.NextBefore = &last
			break
		}
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		page.Events, size, last = append(page.Events, text), size+len(text), e.Sequence
	}
	return &answer{status: http.StatusOK, body: page}, nil
}

// maxHistoryBytes ends a page of a history: its last event may go past it.
const maxHistoryBytes = 4 << 20

// events answers GET {prefix}/events.
func (h *handler) events(c *call) (*answer, error) {
	page, err := h.svc.Events(c.request.Context(), c.key, c.events)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: page}, nil
}

// replace answers PUT {prefix}/contacts/{id}/update.
func (h *handler) replace(c *call) (*answer, error) {
	return h.change(c, (*contacts.Service).ReplaceContactJSON)
}

// update answers PATCH {prefix}/contacts/{id}/update.
func (h *handler) update(c *call) (*answer, error) {
	return h.change(c, (*contacts.Service).UpdateContactJSON)
}

// A jsonChange is a method of the Service that changes a contact by a JSON body.
type jsonChange func(s *contacts.Service, ctx context.Context, key string, id uuid.UUID, body io.Reader, opts *contacts.ChangeOptions) (*contacts.Contact, error)

// change answers a change by a JSON body.
func (h *handler) change(c *call, do jsonChange) (*answer, error) {
	if c.isDryRun() {
		return h.dryChange(c, do)
	}
	return c.changed(do(h.svc, c.request.Context(), c.key, c.id(), c.request.Body, c.condition.options()))
}

// restore answers POST {prefix}/contacts/{id}/restore.
func (h *handler) restore(c *call) (*answer, error) {
	return c.changed(h.svc.RestoreContact(c.request.Context(), c.key, c.id(), c.condition.options()))
}

// delete answers DELETE {prefix}/contacts/{id}.
func (h *handler) delete(c *call) (*answer, error) {
	if err := h.svc.DeleteContact(c.request.Context(), c.key, c.id(), c.condition.options()); err != nil {
		return nil, c.condition.failed(err)
	}
	return &answer{status: http.StatusNoContent}, nil
}

// describe answers GET {prefix}/openapi.json.
func (h *handler) describe(c *call) (*answer, error) {
	a := &answer{status: http.StatusOK, raw: h.description}
	if stripped(c.request) != "" {
		a.raw = describe(h.front(c.request)+"/", h.keyInQuery)
	}
	return a, nil
}

// changed returns the answer to a change.
func (c *call) changed(contact *contacts.Contact, err error) (*answer, error) {
	if err != nil {
		return nil, c.condition.failed(err)
	}
	return contactAnswer(http.StatusOK, contact), nil
}

func contactAnswer(status int, contact *contacts.Contact) *answer {
	a := &answer{status: status, body: contactOf(contact)}
	a.setTag(tagOf(contact))
	return a
}
