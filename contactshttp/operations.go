package contactshttp

import (
	"io"
	"net/http"

	"example.com/contacts"
)

// create answers POST {prefix}/contacts/create.
func (h *handler) create(c *call) (*answer, error) {
	idempotencyKey := c.idempotencyKey()
	if err := c.wrong.err(); err != nil {
		return nil, h.refuse(c, err)
	}
	contact, replayed, err := h.svc.CreateContactOnceJSON(c.request.Context(), c.key, idempotencyKey, c.request.Body)
	if err != nil {
		return nil, err
	}
	a := contactAnswer(http.StatusCreated, contact)
	a.set("Location", h.location(c.request, contact.ID.String()))
	if replayed {
		a.set(headerIdempotencyReplayed, "true")
	}
	return a, nil
}

// createBatch answers POST {prefix}/contacts/batch.
func (h *handler) createBatch(c *call) (*answer, error) {
	if len(c.request.Header.Values(headerIdempotencyKey)) > 0 { // whoever sends one counts on it
		c.wrong.add(headerIdempotencyKey, contacts.FieldInvalid, "must not be given for a batch, whose contacts take an idempotency_key each")
	}
	if err := c.wrong.err(); err != nil {
		return nil, h.refuse(c, err)
	}
	results, err := h.svc.CreateContactsJSON(c.request.Context(), c.key, c.request.Body)
	if err != nil {
		return nil, err
	}
	b := batch{Results: make([]batchResult, len(results))}
	for i, r := range results {
		if r.Err != nil {
			f := failureOf(r.Err)
			b.Failed++
			b.Results[i] = batchResult{Index: i, Status: f.status, Error: f.envelope()}
			continue
		}
		b.Created++
		b.Results[i] = batchResult{Index: i, Status: http.StatusCreated, Replayed: r.Replayed, Contact: detailOf(r.Contact)}
	}
	return &answer{status: http.StatusOK, body: b}, nil
}

// list answers GET {prefix}/contacts.
func (h *handler) list(c *call) (*answer, error) {
	in := c.listInput()
	if len(c.wrong) > 0 {
		return nil, h.refuseList(c, in)
	}
	p, err := h.svc.ListContacts(c.request.Context(), c.key, in)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: pageOf(p)}, nil
}

// get answers GET {prefix}/contacts/{id}.
func (h *handler) get(c *call) (*answer, error) {
	if err := c.wrong.err(); err != nil {
		return nil, h.refuse(c, err)
	}
	contact, err := h.svc.GetContact(c.request.Context(), c.key, c.id())
	if err != nil {
		return nil, err
	}
	if unchanged(c.request.Header, contact.Version) {
		a := &answer{status: http.StatusNotModified}
		a.set("ETag", versionTag(contact.Version))
		return a, nil
	}
	return contactAnswer(http.StatusOK, contact), nil
}

// replace answers PUT {prefix}/contacts/{id}/update.
func (h *handler) replace(c *call) (*answer, error) {
	return changed(h.change(c, func(body io.Reader, opts *contacts.ChangeOptions) (*contacts.Contact, error) {
		return h.svc.ReplaceContactJSON(c.request.Context(), c.key, c.id(), body, opts)
	}))
}

// update answers PATCH {prefix}/contacts/{id}/update.
func (h *handler) update(c *call) (*answer, error) {
	return changed(h.change(c, func(body io.Reader, opts *contacts.ChangeOptions) (*contacts.Contact, error) {
		return h.svc.UpdateContactJSON(c.request.Context(), c.key, c.id(), body, opts)
	}))
}

// restore answers POST {prefix}/contacts/{id}/restore.
func (h *handler) restore(c *call) (*answer, error) {
	return changed(h.change(c, func(_ io.Reader, opts *contacts.ChangeOptions) (*contacts.Contact, error) {
		return h.svc.RestoreContact(c.request.Context(), c.key, c.id(), opts)
	}))
}

// delete answers DELETE {prefix}/contacts/{id}.
func (h *handler) delete(c *call) (*answer, error) {
	_, err := h.change(c, func(_ io.Reader, opts *contacts.ChangeOptions) (*contacts.Contact, error) {
		return nil, h.svc.DeleteContact(c.request.Context(), c.key, c.id(), opts)
	})
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusNoContent}, nil
}

// describe answers GET {prefix}/openapi.json.
func (h *handler) describe(c *call) (*answer, error) {
	a := &answer{status: http.StatusOK, raw: h.description}
	if front := stripped(c.request); front != "" {
		a.raw = OpenAPI(front + escape(h.prefix) + "/")
	}
	return a, nil
}

func changed(contact *contacts.Contact, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return contactAnswer(http.StatusOK, contact), nil
}

// contactAnswer is an answer with one contact.
func contactAnswer(status int, contact *contacts.Contact) *answer {
	a := &answer{status: status, body: detailOf(contact)}
	a.set("ETag", versionTag(contact.Version))
	return a
}
