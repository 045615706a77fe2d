package contactshttp

import (
	"net/http"

	"example.com/contacts"
)

// A DoNotCallCheck is the answer to a check of many numbers.
type DoNotCallCheck struct {
	Results []DoNotCallResult `json:"results"` // one for each number, in the order given
}

// A DoNotCallResult says whether one number may be called. The status has no
// entries.
type DoNotCallResult struct {
	contacts.DoNotCallStatus

	// Error says why the text is no phone number; nil: it is one. It takes the place
	// of that of the status.
	Error *ErrorBody `json:"error,omitempty"`
}

// A BlockCallsStatus is the answer to a block: the status of the number after it.
type BlockCallsStatus struct {
	*contacts.DoNotCallStatus

	DryRun bool `json:"dry_run,omitempty"` // nothing was stored
}

// A BlockCallsResult counts what became of the numbers of a batch.
type BlockCallsResult struct {
	DryRun    bool                `json:"dry_run,omitempty"` // nothing was stored
	Added     int                 `json:"added"`
	Unchanged int                 `json:"unchanged"` // would have changed nothing
	Granted   int                 `json:"granted"`   // left alone, because of a grant
	Failed    int                 `json:"failed"`
	Results   []BlockCallsFailure `json:"results"` // of those that failed
}

// A BlockCallsFailure is an entry of a batch that was refused.
type BlockCallsFailure struct {
	Index int        `json:"index"` // its place in the batch, from 0
	Error *ErrorBody `json:"error"`
}

// A DoNotCallPage is one page of the ledger, in the order of sequence.
type DoNotCallPage struct {
	Limit      int                       `json:"limit"`
	NextCursor *string                   `json:"next_cursor"` // nil: there are no more
	Entries    []contacts.DoNotCallEntry `json:"entries"`
}

// readDoNotCall reads the query of the ledger. With a number, the call is about it.
// Without one it gets a page of entries, which needs another permission.
func (c *call) readDoNotCall() {
	if c.query.Has("phone_number") {
		c.readNumber()
		for _, name := range []string{"all", "cursor", "limit", "source"} {
			if c.query.Has(name) {
				c.wrong.add(name, contacts.FieldInvalid, "must not be given together with phone_number")
			}
		}
		return
	}
	c.endpoint.operation = contacts.OpListDoNotCall
	c.refuseKeyOfCreate()
	c.entries = contacts.ListDoNotCallInput{
		Source: c.given("source"),
		All:    c.boolean("all"),
		Cursor: c.query.Get("cursor"),
		Limit:  c.count("limit"),
	}
}

// doNotCall answers GET {prefix}/do-not-call.
func (h *handler) doNotCall(c *call) (*answer, error) {
	if c.query.Has("phone_number") {
		status, err := h.svc.DoNotCallStatus(c.request.Context(), c.key, c.phoneNumber)
		if err != nil {
			return nil, err
		}
		return &answer{status: http.StatusOK, body: status}, nil
	}
	p, err := h.svc.ListDoNotCall(c.request.Context(), c.key, c.entries)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: DoNotCallPage{Limit: p.Limit, NextCursor: known(p.NextCursor), Entries: p.Entries}}, nil
}

// blockCalls answers POST {prefix}/do-not-call.
func (h *handler) blockCalls(c *call) (*answer, error) {
	status, err := h.service(c).BlockCallsJSON(c.request.Context(), c.key, c.request.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{status: http.StatusCreated, body: BlockCallsStatus{status, c.isDryRun()}}
	if status.Unchanged || c.isDryRun() {
		a.status = http.StatusOK
	}
	return a, nil
}

// grantCalls answers POST {prefix}/do-not-call/grant.
func (h *handler) grantCalls(c *call) (*answer, error) {
	status, err := h.svc.GrantCallsJSON(c.request.Context(), c.key, c.request.Body)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusCreated, body: status}, nil
}

// blockBatch answers POST {prefix}/do-not-call/batch.
func (h *handler) blockBatch(c *call) (*answer, error) {
	r, err := h.service(c).BlockCallsBatchJSON(c.request.Context(), c.key, c.request.Body)
	if err != nil {
		return nil, err
	}
	body := BlockCallsResult{DryRun: c.isDryRun(), Added: r.Added, Unchanged: r.Unchanged, Granted: r.Granted, Failed: r.Failed, Results: make([]BlockCallsFailure, len(r.Errors))}
	for i, e := range r.Errors {
		body.Results[i] = BlockCallsFailure{Index: e.Index, Error: failureOf(e.Err).body()}
	}
	return &answer{status: http.StatusOK, body: body}, nil
}

// canCall answers GET {prefix}/do-not-call/check.
func (h *handler) canCall(c *call) (*answer, error) {
	if err := h.svc.CanCall(c.request.Context(), c.key, c.phoneNumber); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusNoContent}, nil
}

// canCallMany answers POST {prefix}/do-not-call/check.
func (h *handler) canCallMany(c *call) (*answer, error) {
	statuses, err := h.svc.CanCallManyJSON(c.request.Context(), c.key, c.request.Body)
	if err != nil {
		return nil, err
	}
	body := DoNotCallCheck{Results: make([]DoNotCallResult, len(statuses))}
	for i, s := range statuses {
		body.Results[i].DoNotCallStatus = s
		if s.Err != nil {
			body.Results[i].Error = failureOf(s.Err).body()
		}
	}
	return &answer{status: http.StatusOK, body: body}, nil
}
