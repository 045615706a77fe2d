package contactshttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"example.com/contacts"
)

// The types of this file are the bodies of the answers, for handlers of a host and
// for clients in Go. The body of a create is a [contacts.CreateContactInput], that
// of an error an [ErrorBody].

// A Contact is the documented form of one contact. An absent value is "", [] or {}.
// An unknown one is null.
type Contact struct {
	ID              uuid.UUID      `json:"id"`
	FirstName       string         `json:"first_name"`
	LastName        string         `json:"last_name"`
	FullName        string         `json:"full_name"`
	Email           string         `json:"email"`
	Company         string         `json:"company"`
	Website         string         `json:"website"`
	Stage           string         `json:"stage"`
	StageDisplay    string         `json:"stage_display"` // "In Progress" for in_progress
	Status          string         `json:"status"`
	StatusDisplay   string         `json:"status_display"` // "Not Contacted" for not_contacted
	Address         Address        `json:"address"`
	Timezone        *string        `json:"timezone"`       // always nil for now
	CreatedDate     time.Time      `json:"created_date"`   // the same as CreatedAt
	LastCallDate    *time.Time     `json:"last_call_date"` // always nil for now
	PhoneNumbers    []PhoneNumber  `json:"phone_numbers"`
	Tags            []string       `json:"tags"`
	RecentNotes     []any          `json:"recent_notes"` // always empty for now
	CustomContext   map[string]any `json:"custom_context"`
	IndustryContext map[string]any `json:"industry_context"`

	// Not in the documented form.
	ExternalID string    `json:"external_id"` // "": none
	TeamID     *int64    `json:"team_id"`     // nil: no team
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	Version    int64     `json:"version"` // the ETag is made of it
}

// An Address is the postal address of a [Contact]. An unknown part is "".
type Address struct {
	Street  string `json:"street"`
	City    string `json:"city"`
	State   string `json:"state"`
	ZipCode string `json:"zip_code"`
	Country string `json:"country"`
}

// A PhoneNumber is one phone number of a [Contact].
type PhoneNumber struct {
	ID          uuid.UUID  `json:"id"`
	PhoneNumber string     `json:"phone_number"` // E.164
	PhoneType   string     `json:"phone_type"`
	Primary     bool       `json:"primary"`
	DoNotCall   bool       `json:"do_not_call"`
	DNCDate     *time.Time `json:"dnc_date"`   // nil: the number is not listed
	DNCReason   *string    `json:"dnc_reason"` // nil: none is known
}

// contactOf returns the documented form of a contact.
func contactOf(c *contacts.Contact) *Contact {
	d := &Contact{
		ID:              c.ID,
		FirstName:       c.FirstName,
		LastName:        c.LastName,
		FullName:        fullName(c),
		Email:           c.Email,
		Company:         c.Company,
		Website:         c.Website,
		Stage:           c.Stage,
		StageDisplay:    display(c.Stage),
		Status:          c.Status,
		StatusDisplay:   display(c.Status),
		Address:         Address{Street: c.Address, City: c.City, State: c.State, ZipCode: c.ZipCode, Country: c.Country},
		CreatedDate:     c.CreatedAt,
		PhoneNumbers:    make([]PhoneNumber, len(c.PhoneNumbers)),
		Tags:            list(c.Tags),
		RecentNotes:     []any{},
		CustomContext:   object(c.CustomContext),
		IndustryContext: object(c.IndustryContext),
		ExternalID:      c.ExternalID,
		TeamID:          known(c.TeamID),
		CreatedAt:       c.CreatedAt,
		UpdatedAt:       c.UpdatedAt,
		Version:         c.Version,
	}
	for i, p := range c.PhoneNumbers {
		d.PhoneNumbers[i] = PhoneNumber{
			ID: p.ID, PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary, DoNotCall: p.DoNotCall,
			DNCDate: known(p.DoNotCallDate), DNCReason: known(p.DoNotCallReason),
		}
	}
	return d
}

// known returns nil for a zero value.
func known[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// A ContactSummary is the documented form of a contact in a list.
type ContactSummary struct {
	ID           uuid.UUID  `json:"id"`
	FirstName    string     `json:"first_name"`
	LastName     string     `json:"last_name"`
	FullName     string     `json:"full_name"`
	Email        string     `json:"email"`
	Company      string     `json:"company"`
	Stage        string     `json:"stage"`
	Status       string     `json:"status"`
	Phone        *string    `json:"phone"` // the primary number; nil: none
	CreatedDate  time.Time  `json:"created_date"`
	LastCallDate *time.Time `json:"last_call_date"` // always nil for now
	Tags         []string   `json:"tags"`
	ExternalID   string     `json:"external_id"` // not in the documented form; "": none
}

func summaryOf(c *contacts.Contact) ContactSummary {
	s := ContactSummary{
		ID:          c.ID,
		FirstName:   c.FirstName,
		LastName:    c.LastName,
		FullName:    fullName(c),
		Email:       c.Email,
		Company:     c.Company,
		Stage:       c.Stage,
		Status:      c.Status,
		CreatedDate: c.CreatedAt,
		Tags:        list(c.Tags),
		ExternalID:  c.ExternalID,
	}
	for i := range c.PhoneNumbers {
		if p := &c.PhoneNumbers[i]; p.Primary {
			s.Phone = &p.PhoneNumber
		}
	}
	return s
}

// A ContactPage is the documented form of a list by page.
type ContactPage struct {
	Count      int              `json:"count"`
	Page       int              `json:"page"`
	Limit      int              `json:"limit"`
	Pages      int              `json:"pages"`
	NextCursor *string          `json:"next_cursor"` // nil: this is the last page
	Contacts   []ContactSummary `json:"contacts"`
	Damaged    []uuid.UUID      `json:"damaged,omitempty"` // contacts of the page that cannot be read
}

// A ContactSlice is the form of a list by cursor.
type ContactSlice struct {
	Limit      int              `json:"limit"`
	NextCursor *string          `json:"next_cursor"` // nil: there are no more
	Contacts   []ContactSummary `json:"contacts"`
	Damaged    []uuid.UUID      `json:"damaged,omitempty"` // those of [ContactPage]
}

// pageOf returns a ContactPage if a page was asked for by its number, else a
// ContactSlice.
func pageOf(p *contacts.ContactPage) any {
	slice := ContactSlice{
		Limit: p.Limit, NextCursor: known(p.NextCursor), Contacts: summariesOf(p.Contacts), Damaged: damagedOf(p.Damaged),
	}
	if p.Page == 0 {
		return slice
	}
	return ContactPage{
		Count: p.Count, Page: p.Page, Limit: p.Limit, Pages: p.Pages,
		NextCursor: slice.NextCursor, Contacts: slice.Contacts, Damaged: slice.Damaged,
	}
}

// damagedOf returns the ids of damaged contacts.
func damagedOf(list []*contacts.DamagedError) (ids []uuid.UUID) {
	for _, d := range list {
		ids = append(ids, d.ContactID)
	}
	return ids
}

func summariesOf(list []*contacts.Contact) []ContactSummary {
	summaries := make([]ContactSummary, len(list))
	for i, c := range list {
		summaries[i] = summaryOf(c)
	}
	return summaries
}

// A DuplicatePage is one page of contacts that share an e-mail address or a phone
// number.
type DuplicatePage struct {
	Limit      int              `json:"limit"`
	NextCursor *string          `json:"next_cursor"` // nil: there are no more
	Groups     []DuplicateGroup `json:"groups"`
}

// A DuplicateGroup is the contacts that share one address or number.
type DuplicateGroup struct {
	Key      contacts.KeyKind `json:"key"`               // of what they share
	Count    int              `json:"count"`             // of all that the key may see
	Contacts []ContactSummary `json:"contacts"`          // the oldest of them, at most 100, the oldest first
	Damaged  []uuid.UUID      `json:"damaged,omitempty"` // those of the oldest that cannot be read
}

func duplicatesOf(p *contacts.DuplicatePage) DuplicatePage {
	d := DuplicatePage{Limit: p.Limit, NextCursor: known(p.NextCursor), Groups: make([]DuplicateGroup, len(p.Groups))}
	for i, g := range p.Groups {
		d.Groups[i] = DuplicateGroup{Key: g.Key, Count: g.Count, Contacts: summariesOf(g.Contacts), Damaged: damagedOf(g.Damaged)}
	}
	return d
}

// An EventHistory is a part of the history of a contact. Events of an account are a
// [contacts.EventPage].
type EventHistory struct {
	Events     []contacts.Event `json:"events"`      // newest first
	NextBefore *int64           `json:"next_before"` // nil: there are no more
}

// A BatchResult is the results of a batch. A replay counts as what the earlier
// create did.
type BatchResult struct {
	Created   int         `json:"created"`
	Existing  int         `json:"existing,omitempty"`  // by the account's policy
	Updated   int         `json:"updated,omitempty"`   // by the account's policy
	Unchanged int         `json:"unchanged,omitempty"` // by the account's policy
	Failed    int         `json:"failed"`
	Results   []BatchItem `json:"results"`
}

// A BatchItem is the result for one contact of a batch: a contact or an error.
type BatchItem struct {
	Index    int             `json:"index"`
	Status   int             `json:"status"`           // of a create of this contact alone; 400 where that is 413
	Result   contacts.Result `json:"result,omitempty"` // "" where Error is set
	Replayed bool            `json:"replayed,omitempty"`
	Contact  *Contact        `json:"contact,omitempty"`

	// DeletedTwin is that of [contacts.CreateResult]; zero: none.
	DeletedTwin uuid.UUID `json:"deleted_twin,omitzero"`

	Error *ErrorBody `json:"error,omitempty"`
}

func itemOf(r *contacts.CreateResult) BatchItem {
	if r.Err != nil {
		f := failureOf(r.Err)
		return BatchItem{Index: r.Index, Status: f.status, Error: f.body()}
	}
	return BatchItem{
		Index: r.Index, Status: statusOfResult(r.Result), Result: r.Result, Replayed: r.Replayed,
		Contact: contactOf(r.Contact), DeletedTwin: r.DeletedTwin,
	}
}

// batchText yields the JSON form of a [BatchResult] in parts, each of which is valid
// until the next one. It makes one result at a time: a few small contacts may match
// a large one, so all results may have a thousand times the size of the request. Of a
// dry run it is a [DryRunBatch]. Results without a JSON form are given to failed.
func batchText(results iter.Seq[contacts.CreateResult], dryRun bool, failed func(error)) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		text.WriteByte('{')
		if dryRun {
			text.WriteString(`"dry_run":true,`)
		}
		text.WriteString(`"results":[`)
		counts := make(map[contacts.Result]int) // failures are ""
		next := ""
		for r := range results {
			text.WriteString(next)
			if err := encoder.Encode(formOf(&r, dryRun)); err != nil {
				failed(err)
				r = contacts.CreateResult{Index: r.Index, Err: contacts.ErrServer}
				_ = encoder.Encode(itemOf(&r)) // it has a JSON form
			}
			counts[r.Result]++
			text.Truncate(text.Len() - 1) // without the line break
			if !yield(text.Bytes()) {
				return
			}
			text.Reset()
			next = ","
		}
		fmt.Fprintf(&text, `],"created":%d`, counts[contacts.ResultCreated])
		for _, r := range []contacts.Result{contacts.ResultExisting, contacts.ResultUpdated, contacts.ResultUnchanged} {
			if n := counts[r]; n > 0 {
				fmt.Fprintf(&text, `,%q:%d`, r, n)
			}
		}
		fmt.Fprintf(&text, ",\"failed\":%d}\n", counts[""])
		yield(text.Bytes())
	}
}

// formOf returns the form of a result of a batch.
func formOf(r *contacts.CreateResult, dryRun bool) any {
	if dryRun {
		return dryItemOf(r)
	}
	return itemOf(r)
}

// display returns a value for people: "Not Contacted" for "not_contacted".
func display(s string) string {
	first := true
	return strings.Map(func(c rune) rune {
		if c == '_' {
			c = ' '
		}
		if first {
			c = unicode.ToTitle(c)
		}
		first = c == ' '
		return c
	}, s)
}

func fullName(c *contacts.Contact) string {
	return strings.TrimSpace(c.FirstName + " " + c.LastName)
}

// list returns a list that is an array in JSON, and never null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func object(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
