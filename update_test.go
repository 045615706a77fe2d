package contacts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// update makes an update that must be accepted.
func (w *world) update(t testing.TB, id uuid.UUID, in contacts.UpdateContactInput) *contacts.Contact {
	t.Helper()
	c, err := w.svc.UpdateContact(t.Context(), w.writer, id, in, nil)
	if err != nil {
		t.Fatalf("UpdateContact: %v", err)
	}
	return c
}

func (w *world) get(t testing.TB, id uuid.UUID) *contacts.Contact {
	t.Helper()
	c, err := w.svc.GetContact(t.Context(), w.key, id)
	if err != nil {
		t.Fatalf("GetContact: %v", err)
	}
	return c
}

func TestUpdateChangesWhatIsGivenAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   contacts.UpdateContactInput
		json string
		want func(*contacts.Contact)
	}{
		{"nothing", contacts.UpdateContactInput{}, `{}`, func(*contacts.Contact) {}},
		{"first name", contacts.UpdateContactInput{FirstName: new(" Jane ")}, `{"first_name":" Jane "}`, func(c *contacts.Contact) { c.FirstName = "Jane" }},
		{"every text", contacts.UpdateContactInput{
			LastName: new("Roe"), Email: new("jane@Example.ORG"), Company: new("Initech"), Website: new("example.org"), Address: new("1 Elm St"),
			City: new("Turin"), State: new("TO"), ZipCode: new("10100"), Country: new("it"), Status: new("active"), Stage: new("customer"),
		}, `{"last_name":"Roe","email":"jane@Example.ORG","company":"Initech","website":"example.org","address":"1 Elm St",
			"city":"Turin","state":"TO","zip_code":"10100","country":"it","status":"active","stage":"customer"}`, func(c *contacts.Contact) {
			c.LastName, c.Email, c.Company, c.Website, c.Address = "Roe", "jane@example.org", "Initech", "https://example.org", "1 Elm St"
			c.City, c.State, c.ZipCode, c.Country, c.Status, c.Stage = "Turin", "TO", "10100", "IT", "active", "customer"
		}},
		{"every text cleared", contacts.UpdateContactInput{
			LastName: new(""), Email: new(""), Company: new(""), Website: new(""), Address: new(""),
			City: new(""), State: new(""), ZipCode: new(""), Country: new(""), Status: new(""), Stage: new(""),
		}, `{"last_name":null,"email":null,"company":null,"website":null,"address":null,
			"city":null,"state":null,"zip_code":null,"country":null,"status":null,"stage":null}`, func(c *contacts.Contact) {
			c.LastName, c.Email, c.Company, c.Website, c.Address, c.City, c.State, c.ZipCode = "", "", "", "", "", "", "", ""
		}},
		{"another team", contacts.UpdateContactInput{TeamID: new(closedTeam)}, `{"team_id":102}`, func(c *contacts.Contact) { c.TeamID = closedTeam }},
		{"no team", contacts.UpdateContactInput{TeamID: new(int64(0))}, `{"team_id":null}`, func(c *contacts.Contact) { c.TeamID = 0 }},
		{"tags replaced", contacts.UpdateContactInput{Tags: &[]string{" b ", "a", "b"}}, `{"tags":[" b ","a","b"]}`, func(c *contacts.Contact) { c.Tags = []string{"b", "a"} }},
		{"tags cleared", contacts.UpdateContactInput{Tags: new([]string)}, `{"tags":null}`, func(c *contacts.Contact) { c.Tags = nil }},
		{"phone numbers cleared", contacts.UpdateContactInput{PhoneNumbers: new([]contacts.UpdatePhoneNumber)}, `{"phone_numbers":[]}`, func(c *contacts.Contact) {
			c.PhoneNumbers, c.DoNotCallSequence = nil, 0
		}},
		{"a context merged", contacts.UpdateContactInput{CustomContext: &map[string]any{"source": nil, "nested": map[string]any{"more": time.Duration(7)}}},
			`{"custom_context":{"source":null,"nested":{"more":7}}}`, func(c *contacts.Contact) {
				delete(c.CustomContext, "source")
				c.CustomContext["nested"].(map[string]any)["more"] = json.Number("7")
			}},
		{"a context removed", contacts.UpdateContactInput{IndustryContext: new(map[string]any)}, `{"industry_context":null}`, func(c *contacts.Contact) { c.IndustryContext = nil }},
		{"a context put in place", contacts.UpdateContactInput{IndustryContext: &map[string]any{"industry": map[string]any{"code": nil, "name": "x"}}},
			`{"industry_context":{"industry":{"code":null,"name":"x"}}}`, func(c *contacts.Contact) {
				c.IndustryContext = map[string]any{"industry": map[string]any{"name": "x"}}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store contacts.Store) {
				at := noon
				w := newWorld(t, store, &contacts.Options{Now: func() time.Time { return at }})
				want, other := w.create(t, documented()), w.create(t, documented())
				at = noon.Add(time.Hour)
				c.want(want)
				want.Version, want.UpdatedAt = 2, want.CreatedAt.Add(time.Hour)
				got := w.update(t, want.ID, c.in)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("UpdateContact (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, w.get(t, want.ID)); diff != "" {
					t.Errorf("GetContact (-want +got):\n%s", diff)
				}

				c.want(other)
				other.Version, other.UpdatedAt = 2, other.CreatedAt.Add(time.Hour)
				got, err := w.svc.UpdateContactJSON(t.Context(), w.writer, other.ID, strings.NewReader(c.json), nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(other, got); diff != "" {
					t.Errorf("UpdateContactJSON (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestReplaceKeepsNothingButTheIdentity(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		created := w.create(t, documented())
		want := &contacts.Contact{
			ID: created.ID, AccountID: created.AccountID, CreatedAt: created.CreatedAt, UpdatedAt: created.UpdatedAt, Version: 2,
			FirstName: "Jane", Country: "US", Status: "not_contacted", Stage: "lead",
		}
		got, err := w.svc.ReplaceContact(t.Context(), w.writer, created.ID, contacts.CreateContactInput{FirstName: "Jane"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ReplaceContact (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, w.get(t, created.ID)); diff != "" {
			t.Errorf("GetContact (-want +got):\n%s", diff)
		}

		whole := *created
		whole.Version = 3
		body, err := json.Marshal(documented())
		if err != nil {
			t.Fatal(err)
		}
		got, err = w.svc.ReplaceContactJSON(t.Context(), w.writer, created.ID, strings.NewReader(string(body)), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.PhoneNumbers { // they were gone, so they are new
			if got.PhoneNumbers[i].ID == created.PhoneNumbers[i].ID || got.PhoneNumbers[i].ID == uuid.Nil {
				t.Errorf("phone number %d has id %s again", i, got.PhoneNumbers[i].ID)
			}
			whole.PhoneNumbers[i].ID = got.PhoneNumbers[i].ID
		}
		if diff := cmp.Diff(&whole, got); diff != "" {
			t.Errorf("ReplaceContactJSON (-want +got):\n%s", diff)
		}
	})
}

func TestPhoneNumbersAreChangedInPlace(t *testing.T) {
	t.Parallel()
	const a, b, fresh = "+15551234567", "+15557654321", "+15550001111"
	type number = contacts.PhoneNumber
	var (
		idA = "$A" // in the bodies: the ids of the first two numbers
		idB = "$B"
	)
	for _, c := range []struct {
		name, patch, put string // put: "" where it is the same as the patch
		want             []number
	}{
		{"left alone", `[{"id":"` + idA + `"},{"id":"` + idB + `"}]`, `[{"id":"$A","phone_number":"+15551234567","phone_type":"mobile","primary":true},{"id":"$B","phone_number":"+15557654321","phone_type":"work","do_not_call":true}]`,
			[]number{{PhoneNumber: a, PhoneType: "mobile", Primary: true}, {PhoneNumber: b, PhoneType: "work", DoNotCall: true}}},
		{"one changed", `[{"id":"$A"},{"id":"$B","phone_number":"+1 555 000 1111"}]`, `[{"id":"$A","phone_number":"+15551234567","phone_type":"mobile"},{"id":"$B","phone_number":"+1 555 000 1111","phone_type":"work"}]`,
			[]number{{PhoneNumber: a, PhoneType: "mobile", Primary: true}, {PhoneNumber: fresh, PhoneType: "work"}}},
		{"one removed", `[{"id":"$A"}]`, `[{"id":"$A","phone_number":"+15551234567","phone_type":"mobile"}]`,
			[]number{{PhoneNumber: a, PhoneType: "mobile", Primary: true}}},
		{"the primary removed", `[{"id":"$B"}]`, `[{"id":"$B","phone_number":"+15557654321","phone_type":"work","do_not_call":true}]`,
			[]number{{PhoneNumber: b, PhoneType: "work", Primary: true, DoNotCall: true}}},
		{"the primary moved", `[{"id":"$A"},{"id":"$B","primary":true}]`, `[{"id":"$A","phone_number":"+15551234567","phone_type":"mobile"},{"id":"$B","phone_number":"+15557654321","phone_type":"work","primary":true,"do_not_call":true}]`,
			[]number{{PhoneNumber: a, PhoneType: "mobile"}, {PhoneNumber: b, PhoneType: "work", Primary: true, DoNotCall: true}}},
		{"the order turned", `[{"id":"$B"},{"id":"$A"}]`, `[{"id":"$B","phone_number":"+15557654321","phone_type":"work","do_not_call":true},{"id":"$A","phone_number":"+15551234567","phone_type":"mobile","primary":true}]`,
			[]number{{PhoneNumber: b, PhoneType: "work", DoNotCall: true}, {PhoneNumber: a, PhoneType: "mobile", Primary: true}}},
		{"named by the number", `[{"phone_number":"+15557654321"},{"phone_number":"(555) 123-4567","phone_type":null}]`,
			`[{"phone_number":"+15557654321","phone_type":"work","do_not_call":true},{"phone_number":"(555) 123-4567","primary":true}]`,
			[]number{{PhoneNumber: b, PhoneType: "work", DoNotCall: true}, {PhoneNumber: a, Primary: true}}},
		{"one added", `[{"id":"$A","phone_type":"home"},{"phone_number":"+15550001111"}]`, `[{"id":"$A","phone_number":"+15551234567","phone_type":"home"},{"phone_number":"+15550001111"}]`,
			[]number{{PhoneNumber: a, PhoneType: "home", Primary: true}, {PhoneNumber: fresh}}},
		{"numbers swapped", `[{"id":"$A","phone_number":"+15557654321"},{"id":"$B","phone_number":"+15551234567"}]`,
			`[{"id":"$A","phone_number":"+15557654321","phone_type":"mobile"},{"id":"$B","phone_number":"+15551234567","phone_type":"work"}]`,
			[]number{{PhoneNumber: b, PhoneType: "mobile", Primary: true, DoNotCall: true}, {PhoneNumber: a, PhoneType: "work"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := memoryWorld(t, &contacts.Options{DefaultRegion: "US"})
			for _, method := range []string{"patch", "put"} {
				created := w.create(t, documented())
				ids := map[string]uuid.UUID{a: created.PhoneNumbers[0].ID, b: created.PhoneNumbers[1].ID}
				body := c.patch
				if method == "put" && c.put != "" {
					body = c.put
				}
				named := strings.Contains(body, "$") // and so keep their ids whatever their numbers become
				body = strings.NewReplacer(idA, ids[a].String(), idB, ids[b].String()).Replace(body)
				change := w.svc.UpdateContactJSON
				if method == "put" {
					change = w.svc.ReplaceContactJSON
				}
				got, err := change(t.Context(), w.writer, created.ID, strings.NewReader(`{"first_name":"John","phone_numbers":`+body+`}`), nil)
				if err != nil {
					t.Fatalf("%s: %v", method, err)
				}
				bare := make([]number, len(got.PhoneNumbers))
				for i, p := range got.PhoneNumbers {
					bare[i] = p
					bare[i].ID, bare[i].DoNotCallDate = uuid.Nil, time.Time{}
					switch id, was := ids[p.PhoneNumber]; {
					case p.ID == uuid.Nil:
						t.Errorf("%s: number %d has no id", method, i)
					case c.name == "numbers swapped":
						if p.ID == id {
							t.Errorf("%s: number %d kept the id of its number, want that of its place", method, i)
						}
					case was && p.ID != id, !was && !named && (p.ID == ids[a] || p.ID == ids[b]):
						t.Errorf("%s: number %d has id %s, want %s", method, i, p.ID, id)
					case c.name == "one changed" && i == 1 && p.ID != ids[b]:
						t.Errorf("%s: the changed number has another id", method)
					}
				}
				if diff := cmp.Diff(c.want, bare); diff != "" {
					t.Errorf("%s (-want +got):\n%s", method, diff)
				}
			}
		})
	}
}

func TestMergeOfContextsIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	// RFC 7396, appendix A, as far as both sides are objects.
	for _, c := range []struct{ stored, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"n":1.00}`, `{"m":1e2}`, `{"n":1.00,"m":1e2}`}, // every digit
	} {
		created, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(`{"first_name":"x","custom_context":`+c.stored+`}`))
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.svc.UpdateContactJSON(t.Context(), w.writer, created.ID, strings.NewReader(`{"custom_context":`+c.patch+`}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(`{"first_name":"x","custom_context":`+c.want+`}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.CustomContext, got.CustomContext); diff != "" {
			t.Errorf("%s and %s (-want +got):\n%s", c.stored, c.patch, diff)
		}
	}
}

func TestEmptyContextStaysAbsent(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for name, change := range map[string]func(id uuid.UUID) (*contacts.Contact, error){
		"UpdateContact": func(id uuid.UUID) (*contacts.Contact, error) {
			in := contacts.UpdateContactInput{CustomContext: &map[string]any{}, IndustryContext: &map[string]any{"a": nil}}
			return w.svc.UpdateContact(t.Context(), w.writer, id, in, nil)
		},
		"UpdateContactJSON": func(id uuid.UUID) (*contacts.Contact, error) {
			return w.svc.UpdateContactJSON(t.Context(), w.writer, id, strings.NewReader(`{"custom_context":{},"industry_context":{"a":null}}`), nil)
		},
		"ReplaceContact": func(id uuid.UUID) (*contacts.Contact, error) {
			in := contacts.CreateContactInput{FirstName: "x", CustomContext: map[string]any{}, IndustryContext: map[string]any{}}
			return w.svc.ReplaceContact(t.Context(), w.writer, id, in, nil)
		},
		"ReplaceContactJSON": func(id uuid.UUID) (*contacts.Contact, error) {
			return w.svc.ReplaceContactJSON(t.Context(), w.writer, id, strings.NewReader(`{"first_name":"x","custom_context":{},"industry_context":{}}`), nil)
		},
	} {
		absent, empty := w.create(t, contacts.CreateContactInput{FirstName: "x"}), w.create(t, contacts.CreateContactInput{
			FirstName: "x", CustomContext: map[string]any{}, IndustryContext: map[string]any{},
		})
		for _, created := range []*contacts.Contact{absent, empty} {
			got, err := change(created.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range []*contacts.Contact{got, w.get(t, created.ID)} {
				if diff := cmp.Diff([]contacts.FieldChange(nil), contacts.Changes(created, got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		}
	}
}

func TestWrongChangeIsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	created := w.create(t, documented())
	a := created.PhoneNumbers[0].ID.String()
	big := strings.Repeat("x", 40<<10)
	for _, c := range []struct {
		name, body string
		code       contacts.Code
		details    []contacts.FieldError
	}{
		{"no JSON", `{`, contacts.CodeInvalidJSON, nil},
		{"no object", `[]`, contacts.CodeInvalidJSON, nil},
		{"blank first name", `{"first_name":" ","email":"x"}`, contacts.CodeMissingFirstName, []contacts.FieldError{wrong("first_name", contacts.FieldRequired), wrong("email", contacts.FieldInvalid)}},
		{"null first name", `{"first_name":null}`, contacts.CodeMissingFirstName, []contacts.FieldError{wrong("first_name", contacts.FieldRequired)}},
		{"wrong type", `{"city":1}`, contacts.CodeValidationError, []contacts.FieldError{wrong("city", contacts.FieldWrongType)}},
		{"unknown field", `{"town":"x"}`, contacts.CodeValidationError, []contacts.FieldError{wrong("town", contacts.FieldUnknown)}},
		{"idempotency key", `{"idempotency_key":"x"}`, contacts.CodeValidationError, []contacts.FieldError{wrong("idempotency_key", contacts.FieldInvalid)}},
		{"id that is none", `{"phone_numbers":[{"id":"x"}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("phone_numbers[0].id", contacts.FieldInvalid), wrong("phone_numbers[0].phone_number", contacts.FieldRequired)}},
		{"id that is empty", `{"phone_numbers":[{"id":"","phone_number":"+15550001111"}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("phone_numbers[0].id", contacts.FieldInvalid)}},
		{"id of the wrong type", `{"phone_numbers":[{"id":7,"phone_number":"+15550001111"}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("phone_numbers[0].id", contacts.FieldWrongType)}},
		{"id of another", `{"phone_numbers":[{"id":"` + uuid.NewString() + `","phone_number":"+15550001111"}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("phone_numbers[0].id", contacts.FieldInvalid)}},
		{"id twice", `{"phone_numbers":[{"id":"` + a + `"},{"id":"` + a + `","phone_number":"+15550001111"}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("phone_numbers[1].id", contacts.FieldDuplicate)}},
		{"number twice", `{"phone_numbers":[{"id":"` + a + `"},{"phone_number":"+15551234567"}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("phone_numbers[1].phone_number", contacts.FieldDuplicate)}},
		{"number cleared", `{"phone_numbers":[{"id":"` + a + `","phone_number":null}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("phone_numbers[0].phone_number", contacts.FieldRequired)}},
		{"context too large", `{"custom_context":{"x":"` + big + `","y":"` + big + `"}}`, contacts.CodeValidationError, []contacts.FieldError{wrong("custom_context", contacts.FieldTooLong)}},
		{"team of another account", `{"team_id":103}`, contacts.CodeTeamNotFound, nil},
		{"team that never was", `{"team_id":104}`, contacts.CodeTeamNotFound, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.svc.UpdateContactJSON(t.Context(), w.writer, created.ID, strings.NewReader(c.body), nil)
			wantError(t, err, c.code, c.details...)
			if diff := cmp.Diff(created, w.get(t, created.ID)); diff != "" {
				t.Errorf("changed all the same (-before +after):\n%s", diff)
			}
		})
	}
	_, err := w.svc.UpdateContact(t.Context(), w.limitedWriter, created.ID, contacts.UpdateContactInput{TeamID: new(closedTeam)}, nil)
	wantError(t, err, contacts.CodeTeamAccessDenied)
	_, err = w.svc.ReplaceContact(t.Context(), w.writer, created.ID, contacts.CreateContactInput{}, nil)
	wantError(t, err, contacts.CodeMissingFirstName)
	_, err = w.svc.ReplaceContact(t.Context(), w.writer, created.ID, contacts.CreateContactInput{FirstName: "x", PhoneNumbers: []contacts.PhoneNumberInput{{ID: created.ID, PhoneNumber: "+15550001111"}}}, nil)
	wantError(t, err, contacts.CodeValidationError, wrong("phone_numbers[0].id", contacts.FieldInvalid))
	_, err = w.svc.CreateContact(t.Context(), w.writer, contacts.CreateContactInput{FirstName: "x", PhoneNumbers: []contacts.PhoneNumberInput{{ID: created.PhoneNumbers[0].ID, PhoneNumber: "+15550001111"}}})
	wantError(t, err, contacts.CodeValidationError, wrong("phone_numbers[0].id", contacts.FieldInvalid))
	_, err = w.svc.CreateContactJSON(t.Context(), w.writer, strings.NewReader(`{"first_name":"x","phone_numbers":[{"id":"`+a+`","phone_number":"+15550001111"}]}`))
	wantError(t, err, contacts.CodeValidationError, wrong("phone_numbers[0].id", contacts.FieldUnknown))
}

func TestMergedContextMustFitAsAWhole(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	half := strings.Repeat("x", 40<<10)
	c := w.create(t, contacts.CreateContactInput{FirstName: "x", CustomContext: map[string]any{"a": half}})
	_, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{CustomContext: &map[string]any{"b": half}}, nil)
	wantError(t, err, contacts.CodeValidationError, wrong("custom_context", contacts.FieldTooLong))
	w.update(t, c.ID, contacts.UpdateContactInput{CustomContext: &map[string]any{"a": nil, "b": half}})
}

func TestWhatAnUpdateLeavesAloneIsNotCheckedAgain(t *testing.T) {
	t.Parallel()
	store := closing(t, memory.New())
	before := newWorld(t, store, nil)
	created := before.create(t, documented())
	strict, err := contacts.New(store, &contacts.Options{
		Statuses: []string{"called"}, Stages: []string{"won"}, PhoneTypes: []string{"fax"}, ValidNumbersOnly: true,
		Limits: contacts.Limits{Name: 2, City: 2, ContextBytes: 2, Tags: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := strict.UpdateContact(t.Context(), before.writer, created.ID, contacts.UpdateContactInput{State: new("NY")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	created.State, created.Version, created.UpdatedAt = "NY", 2, got.UpdatedAt
	if diff := cmp.Diff(created, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// So it is with the phone numbers: one may be marked, whatever became of its
	// range.
	_, err = strict.UpdateContact(t.Context(), before.writer, created.ID, contacts.UpdateContactInput{
		PhoneNumbers: &[]contacts.UpdatePhoneNumber{{ID: created.PhoneNumbers[0].ID, DoNotCall: new(true)}, {PhoneNumber: &created.PhoneNumbers[1].PhoneNumber}},
	}, nil)
	wantError(t, err, contacts.CodeValidationError, wrong("phone_numbers[1].phone_number", contacts.FieldInvalid))
	got, err = strict.UpdateContact(t.Context(), before.writer, created.ID, contacts.UpdateContactInput{
		PhoneNumbers: &[]contacts.UpdatePhoneNumber{{ID: created.PhoneNumbers[0].ID, DoNotCall: new(true)}, {ID: created.PhoneNumbers[1].ID}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	created.PhoneNumbers[0].DoNotCall, created.PhoneNumbers[0].DoNotCallDate, created.DoNotCallSequence = true, got.UpdatedAt, 3
	created.Version, created.UpdatedAt = 3, got.UpdatedAt
	if diff := cmp.Diff(created, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChangeOfAnotherVersionIsAConflict(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		c := w.create(t, documented())
		w.update(t, c.ID, contacts.UpdateContactInput{City: new("Turin")})
		ctx := t.Context()
		for name, change := range map[string]func(*contacts.ChangeOptions) error{
			"update": func(o *contacts.ChangeOptions) error {
				_, err := w.svc.UpdateContact(ctx, w.writer, c.ID, contacts.UpdateContactInput{FirstName: new("")}, o)
				return err
			},
			"update from JSON": func(o *contacts.ChangeOptions) error {
				_, err := w.svc.UpdateContactJSON(ctx, w.writer, c.ID, strings.NewReader(`{"city":"Rome"}`), o)
				return err
			},
			"replace": func(o *contacts.ChangeOptions) error {
				_, err := w.svc.ReplaceContact(ctx, w.writer, c.ID, contacts.CreateContactInput{FirstName: "x"}, o)
				return err
			},
			"delete": func(o *contacts.ChangeOptions) error { return w.svc.DeleteContact(ctx, w.writer, c.ID, o) },
			"restore": func(o *contacts.ChangeOptions) error {
				_, err := w.svc.RestoreContact(ctx, w.writer, c.ID, o)
				return err
			},
		} {
			for _, version := range []int64{1, 3, -1} {
				err := change(&contacts.ChangeOptions{Version: version})
				if !errors.Is(err, contacts.ErrConflict) || contacts.CodeOf(err) != contacts.CodeConflict {
					t.Errorf("%s of version %d: got %v, want a conflict", name, version, err)
				}
			}
		}
		if got := w.get(t, c.ID); got.Version != 2 || got.City != "Turin" {
			t.Errorf("got version %d in %s, want 2 in Turin", got.Version, got.City)
		}
		if err := w.svc.DeleteContact(ctx, w.writer, c.ID, &contacts.ChangeOptions{Version: 2}); err != nil {
			t.Error(err)
		}
		if _, err := w.svc.RestoreContact(ctx, w.writer, c.ID, &contacts.ChangeOptions{Version: 3}); err != nil {
			t.Error(err)
		}
	})
}

func TestChangeSaysWhatTheContactWas(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	created := w.create(t, contacts.CreateContactInput{
		FirstName: "John", City: "Rome", CustomContext: map[string]any{"a": map[string]any{"b": "c"}},
		PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}},
	})
	var was []*contacts.Contact
	opts := &contacts.ChangeOptions{Before: func(c *contacts.Contact) { was = append(was, c) }}
	blocked := []contacts.UpdatePhoneNumber{{PhoneNumber: new("+15551234567"), DoNotCall: new(true)}}
	in := contacts.UpdateContactInput{City: new("Oslo"), CustomContext: &map[string]any{"a": map[string]any{"b": nil}}, PhoneNumbers: &blocked}
	for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
		was = nil
		if _, err := svc.UpdateContact(t.Context(), w.writer, created.ID, in, opts); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]*contacts.Contact{created}, was); diff != "" {
			t.Errorf("it was (-want +got):\n%s", diff)
		}
	}
	was = nil
	_, err := w.svc.UpdateContact(t.Context(), w.writer, created.ID, contacts.UpdateContactInput{FirstName: new("")}, opts)
	if wantError(t, err, contacts.CodeMissingFirstName); was != nil {
		t.Errorf("a change that is refused has given %v", was)
	}
	replaced := w.get(t, created.ID)
	if _, err = w.svc.ReplaceContact(t.Context(), w.writer, created.ID, contacts.CreateContactInput{FirstName: "Jane"}, opts); err != nil {
		t.Fatal(err)
	}
	deleted := w.get(t, created.ID)
	if err := w.svc.DeleteContact(t.Context(), w.writer, created.ID, opts); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*contacts.Contact{replaced, deleted}, was); diff != "" {
		t.Errorf("before a replacement and a deletion it was (-want +got):\n%s", diff)
	}
}

func TestUpdatesAtTheSameTimeAreAllMade(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		c := w.create(t, contacts.CreateContactInput{FirstName: "x"})
		const many = 32
		want := make(map[string]any)
		var wg sync.WaitGroup
		for i := range many {
			name := fmt.Sprint("n", i)
			want[name] = json.Number("1")
			wg.Go(func() {
				if _, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{CustomContext: &map[string]any{name: 1}}, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := w.get(t, c.ID)
		if diff := cmp.Diff(want, got.CustomContext); diff != "" || got.Version != 1+many {
			t.Errorf("version %d, want %d (-want +got):\n%s", got.Version, 1+many, diff)
		}
	})
}

func TestDeletedContactIsGoneUntilItIsRestored(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ctx := t.Context()
		created := w.create(t, documented())
		stays := w.create(t, contacts.CreateContactInput{FirstName: "Stays"})
		if err := w.svc.DeleteContact(ctx, w.writer, created.ID, nil); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"get":     second(w.svc.GetContact(ctx, w.key, created.ID)),
			"update":  second(w.svc.UpdateContact(ctx, w.writer, created.ID, contacts.UpdateContactInput{}, nil)),
			"replace": second(w.svc.ReplaceContact(ctx, w.writer, created.ID, documented(), nil)),
			"delete":  w.svc.DeleteContact(ctx, w.writer, created.ID, nil),
		} {
			if contacts.CodeOf(err) != contacts.CodeNotFound {
				t.Errorf("%s of a deleted contact: got %v, want not_found", name, err)
			}
		}
		if got := w.names(t, contacts.ListContactsInput{}); !cmp.Equal(got, []string{"Stays"}) {
			t.Errorf("the list has %v", got)
		}
		if got := w.names(t, contacts.ListContactsInput{Deleted: true, PhoneNumber: "+15551234567"}); !cmp.Equal(got, []string{"John"}) {
			t.Errorf("the list of what was deleted has %v", got)
		}
		restored, err := w.svc.RestoreContact(ctx, w.writer, created.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		created.Version = 3
		if diff := cmp.Diff(created, restored); diff != "" {
			t.Errorf("RestoreContact (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(created, w.get(t, created.ID)); diff != "" {
			t.Errorf("GetContact (-want +got):\n%s", diff)
		}
		again, err := w.svc.RestoreContact(ctx, w.writer, stays.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stays, again); diff != "" {
			t.Errorf("RestoreContact of what is there (-want +got):\n%s", diff)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestPurgedContactIsGoneForGood(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		at := noon
		w := newWorld(t, store, &contacts.Options{Now: func() time.Time { return at }})
		ctx := t.Context()
		ids := make(map[string]uuid.UUID)
		for i, name := range []string{"live", "old", "young", "one"} {
			ids[name] = w.create(t, contacts.CreateContactInput{FirstName: name}).ID
			if i > 0 {
				at = noon.Add(time.Duration(i) * time.Hour)
				if err := w.svc.DeleteContact(ctx, w.writer, ids[name], nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{})
		wantError(t, err, contacts.CodeValidationError, wrong("deleted_before", contacts.FieldRequired))
		for _, c := range []struct {
			name string
			in   contacts.PurgeInput
			want int
			left []string
		}{
			{"a live one", contacts.PurgeInput{ContactID: ids["live"]}, 0, []string{"one", "young", "old"}},
			{"of another account", contacts.PurgeInput{AccountID: w.other.ID}, 0, []string{"one", "young", "old"}},
			{"one", contacts.PurgeInput{AccountID: w.acme.ID, ContactID: ids["one"]}, 1, []string{"young", "old"}},
			{"the old", contacts.PurgeInput{DeletedBefore: noon.Add(2 * time.Hour)}, 1, []string{"young"}},
			{"all of an account", contacts.PurgeInput{AccountID: w.acme.ID}, 1, nil},
		} {
			n, err := w.admin.PurgeContacts(ctx, c.in)
			if err != nil || n != c.want {
				t.Errorf("%s: got %d, %v; want %d", c.name, n, err, c.want)
			}
			if got := w.names(t, contacts.ListContactsInput{Deleted: true}); !cmp.Equal(got, c.left) {
				t.Errorf("%s: %v are left, want %v", c.name, got, c.left)
			}
		}
		if got := w.names(t, contacts.ListContactsInput{}); !cmp.Equal(got, []string{"live"}) {
			t.Errorf("the list has %v", got)
		}
		_, err = w.svc.RestoreContact(ctx, w.writer, ids["old"], nil)
		wantError(t, err, contacts.CodeNotFound)

		// A time before all others is no "whenever".
		at = time.Time{}
		if err := w.svc.DeleteContact(ctx, w.writer, ids["live"], nil); err != nil {
			t.Fatal(err)
		}
		if got := w.names(t, contacts.ListContactsInput{Deleted: true}); !cmp.Equal(got, []string{"live"}) {
			t.Errorf("deleted at the zero time: %v", got)
		}
		if n, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{DeletedBefore: time.Time{}.Add(999)}); n != 0 || err != nil {
			t.Errorf("purged %d of before all time, %v", n, err)
		}
	})
}

// TestForeignContactIsAsOneThatNeverWas goes through every method that takes an
// id, with keys that may not see the contact.
func TestForeignContactIsAsOneThatNeverWas(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ctx := t.Context()
		in := documented()
		in.TeamID = closedTeam
		live, deleted := w.create(t, in), w.create(t, in)
		if err := w.svc.DeleteContact(ctx, w.writer, deleted.ID, nil); err != nil {
			t.Fatal(err)
		}
		body := func(s string) *strings.Reader { return strings.NewReader(s) }
		stale := &contacts.ChangeOptions{Version: 7}
		for name, call := range map[string]func(key string, id uuid.UUID) error{
			"get": func(key string, id uuid.UUID) error { return second(w.svc.GetContact(ctx, key, id)) },
			"update": func(key string, id uuid.UUID) error {
				return second(w.svc.UpdateContact(ctx, key, id, contacts.UpdateContactInput{}, nil))
			},
			"update wrongly": func(key string, id uuid.UUID) error {
				return second(w.svc.UpdateContactJSON(ctx, key, id, body(`{"email":1,"team_id":104}`), stale))
			},
			"replace": func(key string, id uuid.UUID) error {
				return second(w.svc.ReplaceContact(ctx, key, id, documented(), nil))
			},
			"replace wrongly": func(key string, id uuid.UUID) error {
				return second(w.svc.ReplaceContactJSON(ctx, key, id, body(`{}`), stale))
			},
			"delete":  func(key string, id uuid.UUID) error { return w.svc.DeleteContact(ctx, key, id, stale) },
			"restore": func(key string, id uuid.UUID) error { return second(w.svc.RestoreContact(ctx, key, id, stale)) },
		} {
			for _, key := range []string{w.foreignWriter, w.limitedWriter} {
				never := call(key, uuid.New())
				wantError(t, never, contacts.CodeNotFound)
				for _, id := range []uuid.UUID{live.ID, deleted.ID} {
					if err := call(key, id); !cmp.Equal(err.Error(), never.Error()) || !cmp.Equal(jsonOf(t, err), jsonOf(t, never)) {
						t.Errorf("%s: got %v for a foreign contact and %v for none", name, err, never)
					}
				}
			}
		}
		for _, key := range []string{w.foreignWriter, w.limitedWriter} {
			for _, q := range []contacts.ListContactsInput{{}, {Deleted: true}, {Email: live.Email}, {PhoneNumber: "+15551234567"}, {Tag: "vip"}, {Search: "john"}, {Page: 1}} {
				page, err := w.svc.ListContacts(ctx, key, q)
				if err != nil || len(page.Contacts) != 0 || page.Count != 0 {
					t.Errorf("a list %+v has %d of %d contacts, %v", q, len(page.Contacts), page.Count, err)
				}
			}
		}
		if diff := cmp.Diff(live, w.get(t, live.ID)); diff != "" {
			t.Errorf("changed all the same (-before +after):\n%s", diff)
		}
	})
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPermissionsOfTheWholeLife(t *testing.T) {
	t.Parallel()
	store := closing(t, memory.New())
	w := newWorld(t, store, nil)
	c := w.create(t, documented())
	const special contacts.Permission = "can_do_all"
	own := []contacts.Permission{special}
	admin := contacts.NewAdmin(store, &contacts.AdminOptions{Permissions: own})
	secret, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, AllTeams: true, Permissions: own})
	if err != nil {
		t.Fatal(err)
	}
	custom, err := contacts.New(store, &contacts.Options{Permissions: own, CreatePermission: special, ReadPermission: special, WritePermission: special})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	calls := func(svc *contacts.Service, key string) map[string]error {
		return map[string]error{
			"read/get":      second(svc.GetContact(ctx, key, c.ID)),
			"read/list":     second(svc.ListContacts(ctx, key, contacts.ListContactsInput{})),
			"write/update":  second(svc.UpdateContact(ctx, key, c.ID, contacts.UpdateContactInput{}, nil)),
			"write/patch":   second(svc.UpdateContactJSON(ctx, key, c.ID, strings.NewReader(`{}`), nil)),
			"write/replace": second(svc.ReplaceContact(ctx, key, c.ID, documented(), nil)),
			"write/put":     second(svc.ReplaceContactJSON(ctx, key, c.ID, strings.NewReader(`{"first_name":"x"}`), nil)),
			"write/restore": second(svc.RestoreContact(ctx, key, c.ID, nil)),
			"write/delete":  svc.DeleteContact(ctx, key, w.create(t, documented()).ID, nil),
			"create/batch":  second(svc.CreateContacts(ctx, key, contacts.CreateContactsInput{})),
			"create/json":   second(svc.CreateContactsJSON(ctx, key, strings.NewReader(`{"contacts":[]}`))),
			"create/one":    second(svc.CreateContact(ctx, key, documented())),
		}
	}
	for _, k := range []struct {
		name, key string
		svc       *contacts.Service
		may       string
	}{
		{"reader", w.key, w.svc, "read create"},
		{"writer", w.writer, w.svc, "read write create"},
		{"powerless", w.powerless, w.svc, ""},
		{"special", secret, custom, "read write create"},
		{"writer, where the special one is needed", w.writer, custom, ""},
	} {
		for name, err := range calls(k.svc, k.key) {
			kind, _, _ := strings.Cut(name, "/")
			want := contacts.CodePermissionDenied
			if strings.Contains(k.may, kind) {
				want = ""
			}
			if got := contacts.CodeOf(err); got != want {
				t.Errorf("%s, %s: got %q, want %q", k.name, name, got, want)
			}
			need := contacts.PermissionReadContacts
			switch {
			case k.svc == custom:
				need = special
			case kind == "write":
				need = contacts.PermissionWriteContacts
			}
			if err != nil && err.Error() != "contacts: permission_denied: the API key lacks the permission "+string(need) {
				t.Errorf("%s, %s: %v does not name the missing permission", k.name, name, err)
			}
		}
		for name, err := range calls(k.svc, " ") {
			if contacts.CodeOf(err) != contacts.CodeAuthenticationRequired {
				t.Errorf("no key, %s: got %v", name, err)
			}
		}
	}
}

func FuzzUpdateContactJSON(f *testing.F) {
	for _, s := range []string{`{"first_name":"x"}`, `{"email":null,"tags":["a"],"team_id":null}`, `{"custom_context":{"a":null,"b":{"c":1e700}}}`,
		`{"phone_numbers":[{"id":"00000000-0000-7000-8000-000000000000","phone_number":"+15551234567"},{"phone_number":"+15557654321","primary":true}]}`, `{"a":1,"a":2}`, `[[`, `{"phone_numbers":null}`} {
		f.Add(s)
	}
	w := newWorld(f, memory.New(), nil)
	f.Fuzz(func(t *testing.T, body string) {
		c := w.create(t, documented())
		once, err := w.svc.UpdateContactJSON(t.Context(), w.writer, c.ID, strings.NewReader(body), nil)
		if err != nil {
			if code := contacts.CodeOf(err); code == contacts.CodeServerError || code == contacts.CodeNotFound {
				t.Fatal(err)
			}
			c.Version = 1
			if diff := cmp.Diff(c, w.get(t, c.ID)); diff != "" {
				t.Fatalf("refused, and changed all the same:\n%s", diff)
			}
			return
		}
		if diff := cmp.Diff(once, w.get(t, c.ID)); diff != "" {
			t.Fatalf("returned and stored differ:\n%s", diff)
		}
		// A merge patch is idempotent.
		twice, err := w.svc.UpdateContactJSON(t.Context(), w.writer, c.ID, strings.NewReader(body), nil)
		if e, ok := errors.AsType[*contacts.Error](err); ok && !slices.ContainsFunc(e.Details, func(f contacts.FieldError) bool {
			return f.Field != "version" && f.Field != "updated_at"
		}) {
			return // it named the version, which is another one now
		}
		if err != nil {
			t.Fatalf("refused the second time: %v", err)
		}
		once.Version++
		if diff := cmp.Diff(once, twice); diff != "" {
			t.Fatalf("once and twice differ:\n%s", diff)
		}
	})
}

// A number that is corrected by its id is not what another of the input is, too.
func TestCorrectedNumberBesideItsOldOne(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.create(t, contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+12125550100", PhoneType: "mobile"}}})
	id := c.PhoneNumbers[0].ID
	old, corrected := contacts.UpdatePhoneNumber{PhoneNumber: new("+12125550100")}, contacts.UpdatePhoneNumber{ID: id, PhoneNumber: new("+12125550199")}
	for _, list := range [][]contacts.UpdatePhoneNumber{{old, corrected}, {corrected, old}} {
		u, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{PhoneNumbers: &list}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range u.PhoneNumbers {
			is := p.ID == id
			want := contacts.PhoneNumber{ID: p.ID, PhoneNumber: "+12125550100"}
			if is {
				want = contacts.PhoneNumber{ID: id, PhoneNumber: "+12125550199", PhoneType: "mobile", Primary: true}
			}
			if diff := cmp.Diff(want, p); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		back := []contacts.UpdatePhoneNumber{{ID: id, PhoneNumber: new("+12125550100")}}
		w.update(t, c.ID, contacts.UpdateContactInput{PhoneNumbers: &back})
	}
}

// What is stored may be over a limit that was lowered since. It can become less, but not
// more.
func TestUpdateUnderLowerLimits(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.create(t, contacts.CreateContactInput{
		FirstName: "Ada", CustomContext: map[string]any{"deep": map[string]any{"deeper": []any{[]any{"x"}}}, "long": strings.Repeat("x", 100)},
		PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+12125550100"}, {PhoneNumber: "+12125550101"}},
	})
	svc, err := contacts.New(w.store, &contacts.Options{Limits: contacts.Limits{ContextBytes: 40, ContextDepth: 1, PhoneNumbers: 1}})
	if err != nil {
		t.Fatal(err)
	}
	update := func(in contacts.UpdateContactInput) error {
		_, err := svc.UpdateContact(t.Context(), w.writer, c.ID, in, nil)
		return err
	}
	both := []contacts.UpdatePhoneNumber{{ID: c.PhoneNumbers[0].ID}, {ID: c.PhoneNumbers[1].ID}}
	more := append(both, contacts.UpdatePhoneNumber{PhoneNumber: new("+12125550102")})
	for _, test := range []struct {
		name string
		in   contacts.UpdateContactInput
		want string // the field that is wrong
	}{
		{"an empty merge", contacts.UpdateContactInput{CustomContext: &map[string]any{}}, ""},
		{"a longer one", contacts.UpdateContactInput{CustomContext: &map[string]any{"more": "x"}}, "custom_context"},
		{"a deeper one", contacts.UpdateContactInput{CustomContext: &map[string]any{"long": []any{[]any{[]any{[]any{}}}}}}, "custom_context"},
		{"a removal", contacts.UpdateContactInput{CustomContext: &map[string]any{"none": nil}}, ""},
		{"the same numbers", contacts.UpdateContactInput{PhoneNumbers: &both}, ""},
		{"one more", contacts.UpdateContactInput{PhoneNumbers: &more}, "phone_numbers"},
	} {
		err := update(test.in)
		var got string
		if e, ok := errors.AsType[*contacts.Error](err); ok && len(e.Details) > 0 {
			got = e.Details[0].Field
		}
		if got != test.want || err == nil != (test.want == "") {
			t.Errorf("%s: %v, want the field %q", test.name, err, test.want)
		}
	}
}
