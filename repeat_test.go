package contacts_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
)

// A program that has a contact as JSON changes it there and sends it back.
func TestContactThatWasReadCanBeSentBack(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	ctx := t.Context()
	for name, in := range map[string]contacts.CreateContactInput{"whole": documented(), "least": {FirstName: "John"}} {
		c := w.create(t, in)
		for method, change := range map[string]func(string) (*contacts.Contact, error){
			"PUT": func(body string) (*contacts.Contact, error) {
				return w.svc.ReplaceContactJSON(ctx, w.writer, c.ID, strings.NewReader(body), nil)
			},
			"PATCH": func(body string) (*contacts.Contact, error) {
				return w.svc.UpdateContactJSON(ctx, w.writer, c.ID, strings.NewReader(body), nil)
			},
		} {
			read := w.get(t, c.ID)
			got, err := change(jsonOf(t, read))
			if err != nil {
				t.Errorf("%s, %s: %v", name, method, err)
				continue
			}
			if diff := cmp.Diff(read, got, cmpopts.IgnoreFields(contacts.Contact{}, "Version", "UpdatedAt")); diff != "" {
				t.Errorf("%s, %s changed the contact (-before +after):\n%s", name, method, diff)
			}
			read = w.get(t, c.ID)
			var members map[string]any
			if err := json.Unmarshal([]byte(jsonOf(t, read)), &members); err != nil {
				t.Fatal(err)
			}
			for field, value := range map[string]any{
				"id": uuid.NewString(), "account_id": nil, "version": read.Version + 1, "created_at": read.CreatedAt.Add(time.Second), "updated_at": "yesterday",
				"deleted_at": nil, "nickname": "Jo",
			} {
				was, had := members[field]
				members[field] = value
				_, err := change(jsonOf(t, members))
				want := wrong(field, contacts.FieldInvalid)
				if !had {
					want = wrong(field, contacts.FieldUnknown)
					delete(members, field)
				} else {
					members[field] = was
				}
				wantError(t, err, contacts.CodeValidationError, want)
			}
			if now := w.get(t, c.ID); now.Version != read.Version {
				t.Errorf("%s, %s: a refused change was made", name, method)
			}
		}
	}
}

func TestNestedAddress(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	type address struct{ Address, City, State, ZipCode, Country string }
	stored := address{"123 Main St", "San Francisco", "CA", "94105", "US"}
	of := func(c *contacts.Contact) address { return address{c.Address, c.City, c.State, c.ZipCode, c.Country} }
	refused := func(path, code string) []contacts.FieldError { return []contacts.FieldError{wrong(path, code)} }
	for _, c := range []struct {
		body  string // after the first name
		patch address
		put   address
		want  []contacts.FieldError
	}{
		{`"address": {}`, stored, address{Country: "US"}, nil},
		{`"address": {"street": "1 A St", "city": "Rome", "state": "RM", "zip_code": "1", "country": "it"}`, address{"1 A St", "Rome", "RM", "1", "IT"}, address{"1 A St", "Rome", "RM", "1", "IT"}, nil},
		{`"address": {"city": "Rome"}`, address{"123 Main St", "Rome", "CA", "94105", "US"}, address{City: "Rome", Country: "US"}, nil},
		{`"address": {"city": "Rome"}, "state": "RM"`, address{"123 Main St", "Rome", "RM", "94105", "US"}, address{City: "Rome", State: "RM", Country: "US"}, nil},
		{`"address": {"street": null, "country": null}`, address{"", "San Francisco", "CA", "94105", "US"}, address{Country: "US"}, nil},
		{`"address": {"city": "Rome"}, "city": "Rome"`, address{"123 Main St", "Rome", "CA", "94105", "US"}, address{City: "Rome", Country: "US"}, nil},
		{`"city": null, "address": {"city": ""}`, address{"123 Main St", "", "CA", "94105", "US"}, address{Country: "US"}, nil},
		{`"address": null`, address{"", "San Francisco", "CA", "94105", "US"}, address{Country: "US"}, nil},
		{`"address": {"city": "Rome"}, "city": "Oslo"`, stored, stored, refused("address.city", contacts.FieldInvalid)},
		{`"city": "Oslo", "address": {"city": "Rome"}`, stored, stored, refused("address.city", contacts.FieldInvalid)},
		{`"country": "DE", "address": {"country": null}`, stored, stored, refused("address.country", contacts.FieldInvalid)},
		{`"address": {"city": 7}`, stored, stored, refused("address.city", contacts.FieldWrongType)},
		{`"address": {"city": "Rome\u0000"}`, stored, stored, refused("address.city", contacts.FieldInvalid)},
		{`"address": {"street": "` + strings.Repeat("x", 501) + `"}`, stored, stored, refused("address.street", contacts.FieldTooLong)},
		{`"address": {"planet": "Earth"}`, stored, stored, refused("address.planet", contacts.FieldUnknown)},
		{`"address": {"address": "1 A St"}`, stored, stored, refused("address.address", contacts.FieldUnknown)},
		{`"address": ["1 A St"]`, stored, stored, refused("address", contacts.FieldWrongType)},
	} {
		for method, want := range map[string]address{"PATCH": c.patch, "PUT": c.put} {
			john := w.create(t, contacts.CreateContactInput{
				FirstName: "John", Address: stored.Address, City: stored.City, State: stored.State, ZipCode: stored.ZipCode, Country: stored.Country,
			})
			change := w.svc.UpdateContactJSON
			if method == "PUT" {
				change = w.svc.ReplaceContactJSON
			}
			got, err := change(t.Context(), w.writer, john.ID, strings.NewReader(`{"first_name": "John", `+c.body+`}`), nil)
			if c.want != nil {
				wantError(t, err, contacts.CodeValidationError, c.want...)
				continue
			}
			if err != nil {
				t.Errorf("%s %s: %v", method, c.body, err)
				continue
			}
			if diff := cmp.Diff(want, of(got)); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", method, c.body, diff)
			}
		}
	}
	_, err := w.svc.CreateContactJSON(t.Context(), w.writer, strings.NewReader(`{"first_name": "John", "address": {"city": "Rome"}}`))
	wantError(t, err, contacts.CodeValidationError, wrong("address", contacts.FieldWrongType)) // as documented, a create has it flat
}

// What a client was shown is compared by what it means.
func TestRepeatedMembersAreComparedByTheirValue(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	w := memoryWorld(t, &contacts.Options{Now: func() time.Time { return at }})
	shown := func(c *contacts.Contact) any {
		phones := make([]map[string]any, len(c.PhoneNumbers))
		for i, p := range c.PhoneNumbers {
			phones[i] = map[string]any{"last_digit": p.PhoneNumber[max(len(p.PhoneNumber)-1, 0):], "note": nil}
		}
		return map[string]any{
			"made": c.CreatedAt, "score": 10, "notes": []any{map[string]any{"a": 1, "b": "é"}}, "gone": nil, "phone_numbers": phones,
		}
	}
	for body, want := range map[string][]contacts.FieldError{
		`{"made": "2026-01-02T03:04:05.678901Z"}`:      nil,
		`{"made": "2026-01-02T03:04:05.678901+00:00"}`: nil,
		`{"made": "2026-01-02T05:04:05.678901+02:00"}`: nil,
		`{"made": "2026-01-02T03:04:05.678Z"}`:         nil,
		`{"made": "2026-01-02T03:04:05.679Z"}`:         {wrong("made", contacts.FieldInvalid)},
		`{"made": "2026-01-02T03:04:05Z"}`:             {wrong("made", contacts.FieldInvalid)},
		`{"made": null}`:                               {wrong("made", contacts.FieldInvalid)},
		`{"score" : 1e1 , "gone":null}`:                nil,
		`{"score": "10"}`:                              {wrong("score", contacts.FieldInvalid)},
		`{"notes": [ {"b": "\u00e9", "a": 1.0} ]}`:     nil,
		`{"notes": []}`:                                {wrong("notes", contacts.FieldInvalid)},
		`{"Made": "2026-01-02T03:04:05.678901Z"}`:      {wrong("Made", contacts.FieldUnknown)},
		`{"id": "x"}`:                                  {wrong("id", contacts.FieldUnknown)}, // not shown
		`{"phone_numbers": [{"phone_number": "+15551234567", "last_digit": "7", "note": null}]}`:                                        nil,
		`{"phone_numbers": [{"phone_number": "+15557654321", "last_digit": "1"}, {"phone_number": "+15551234567", "last_digit": "7"}]}`: nil,
		`{"phone_numbers": [{"phone_number": "+15551234567", "last_digit": "3"}]}`:                                                      {wrong("phone_numbers[0].last_digit", contacts.FieldInvalid)},
		`{"phone_numbers": [{"phone_number": "+16502530000", "last_digit": "", "note": null}]}`:                                         nil, // a new number
		`{"phone_numbers": [{"phone_number": "+16502530000", "last_digit": "0"}]}`:                                                      {wrong("phone_numbers[0].last_digit", contacts.FieldInvalid)},
		`{"phone_numbers": [{"phone_number": "+15551234567", "first_digit": "1"}]}`:                                                     {wrong("phone_numbers[0].first_digit", contacts.FieldUnknown)},
	} {
		john := w.create(t, documented())
		_, err := w.svc.UpdateContactJSON(t.Context(), w.writer, john.ID, strings.NewReader(body), &contacts.ChangeOptions{Shown: shown})
		if want == nil {
			if err != nil {
				t.Errorf("%s: %v", body, err)
			}
			continue
		}
		wantError(t, err, contacts.CodeValidationError, want...)
	}
}
