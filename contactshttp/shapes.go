package contactshttp

import (
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A detail is the documented shape of one contact. An absent value is "", [] or
// {}. An unknown one is null.
type detail struct {
	ID              uuid.UUID      `json:"id"`
	FirstName       string         `json:"first_name"`
	LastName        string         `json:"last_name"`
	FullName        string         `json:"full_name"`
	Email           string         `json:"email"`
	Company         string         `json:"company"`
	Website         string         `json:"website"`
	Stage           string         `json:"stage"`
	StageDisplay    string         `json:"stage_display"`
	Status          string         `json:"status"`
	StatusDisplay   string         `json:"status_display"`
	Address         address        `json:"address"`
	Timezone        *string        `json:"timezone"` // always nil
	PhoneNumbers    []phoneNumber  `json:"phone_numbers"`
	Tags            []string       `json:"tags"`
	RecentNotes     []string       `json:"recent_notes"` // always empty
	CustomContext   map[string]any `json:"custom_context"`
	IndustryContext map[string]any `json:"industry_context"`

	// Not in the documented shape.
	TeamID    *int64    `json:"team_id"` // nil: no team
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Version   int64     `json:"version"`
}

type address struct {
	Street  string `json:"street"`
	City    string `json:"city"`
	State   string `json:"state"`
	ZipCode string `json:"zip_code"`
	Country string `json:"country"`
}

type phoneNumber struct {
	ID          uuid.UUID `json:"id"`
	PhoneNumber string    `json:"phone_number"`
	PhoneType   string    `json:"phone_type"`
	Primary     bool      `json:"primary"`
	DoNotCall   bool      `json:"do_not_call"`
	DNCDate     *string   `json:"dnc_date"`   // always nil
	DNCReason   *string   `json:"dnc_reason"` // always nil
}

func detailOf(c *contacts.Contact) *detail {
	d := &detail{
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
		Address:         address{Street: c.Address, City: c.City, State: c.State, ZipCode: c.ZipCode, Country: c.Country},
		PhoneNumbers:    make([]phoneNumber, len(c.PhoneNumbers)),
		Tags:            list(c.Tags),
		RecentNotes:     []string{},
		CustomContext:   object(c.CustomContext),
		IndustryContext: object(c.IndustryContext),
		CreatedAt:       c.CreatedAt,
		UpdatedAt:       c.UpdatedAt,
		Version:         c.Version,
	}
	for i, p := range c.PhoneNumbers {
		d.PhoneNumbers[i] = phoneNumber{
			ID: p.ID, PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary, DoNotCall: p.DoNotCall,
		}
	}
	if c.TeamID != 0 {
		d.TeamID = &c.TeamID
	}
	return d
}

// A summary is the documented shape of a contact in a list.
type summary struct {
	ID           uuid.UUID `json:"id"`
	FirstName    string    `json:"first_name"`
	LastName     string    `json:"last_name"`
	FullName     string    `json:"full_name"`
	Email        string    `json:"email"`
	Company      string    `json:"company"`
	Stage        string    `json:"stage"`
	Status       string    `json:"status"`
	Phone        *string   `json:"phone"` // the primary number; nil: none
	CreatedDate  time.Time `json:"created_date"`
	LastCallDate *string   `json:"last_call_date"` // always nil
	Tags         []string  `json:"tags"`
}

func summaryOf(c *contacts.Contact) summary {
	s := summary{
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
	}
	for i := range c.PhoneNumbers {
		if p := &c.PhoneNumbers[i]; p.Primary {
			s.Phone = &p.PhoneNumber
		}
	}
	return s
}

// A page is the documented shape of a list by page.
type page struct {
	Count      int       `json:"count"`
	Page       int       `json:"page"`
	Limit      int       `json:"limit"`
	Pages      int       `json:"pages"`
	NextCursor *string   `json:"next_cursor"` // nil: this is the last page
	Contacts   []summary `json:"contacts"`
}

// A step is the shape of a list by cursor.
type step struct {
	Limit      int       `json:"limit"`
	NextCursor *string   `json:"next_cursor"` // nil: this is the last step
	Contacts   []summary `json:"contacts"`
}

// pageOf returns a page if one was asked for by its number, else a step.
func pageOf(p *contacts.ContactPage) any {
	summaries := make([]summary, len(p.Contacts))
	for i, c := range p.Contacts {
		summaries[i] = summaryOf(c)
	}
	var next *string
	if p.NextCursor != "" {
		next = &p.NextCursor
	}
	if p.Page == 0 {
		return step{Limit: p.Limit, NextCursor: next, Contacts: summaries}
	}
	return page{Count: p.Count, Page: p.Page, Limit: p.Limit, Pages: p.Pages, NextCursor: next, Contacts: summaries}
}

// A batch is the shape of the results of a batch.
type batch struct {
	Created int           `json:"created"` // including replays
	Failed  int           `json:"failed"`
	Results []batchResult `json:"results"`
}

type batchResult struct {
	Index    int       `json:"index"`
	Status   int       `json:"status"` // of a create of this contact alone
	Replayed bool      `json:"replayed,omitempty"`
	Contact  *detail   `json:"contact,omitempty"`
	Error    *envelope `json:"error,omitempty"`
}

func batchOf(results []contacts.CreateResult) batch {
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
	return b
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

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func object(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
