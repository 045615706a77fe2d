package contacts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func (w *world) batch(t testing.TB, in contacts.CreateContactsInput) []contacts.CreateResult {
	t.Helper()
	results, err := w.svc.CreateContacts(t.Context(), w.writer, in)
	if err != nil {
		t.Fatalf("CreateContacts: %v", err)
	}
	if len(results) != len(in.Contacts) {
		t.Fatalf("got %d results for %d contacts", len(results), len(in.Contacts))
	}
	return results
}

// outcomes are the codes of the results, "" for what was created and "again" for
// what had been before.
func outcomes(results []contacts.CreateResult) []string {
	all := make([]string, len(results))
	for i, r := range results {
		all[i] = string(contacts.CodeOf(r.Err))
		if r.Replayed {
			all[i] += "again"
		}
	}
	return all
}

func TestBatchHasOneResultForEachContact(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		in := contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{
			documented(), {}, {FirstName: "x", Email: "x"}, {FirstName: "x", TeamID: absentTeam}, {FirstName: "x", TeamID: foreignTeam}, {FirstName: "last"},
		}}
		results := w.batch(t, in)
		if diff := cmp.Diff([]string{"", "missing_first_name", "validation_error", "team_not_found", "team_not_found", ""}, outcomes(results)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		wantError(t, results[2].Err, contacts.CodeValidationError, wrong("email", contacts.FieldInvalid))
		for i, r := range results {
			if (r.Contact == nil) != (r.Err != nil) {
				t.Errorf("result %d has contact %v and error %v", i, r.Contact, r.Err)
			} else if r.Contact != nil {
				if diff := cmp.Diff(r.Contact, w.get(t, r.Contact.ID)); diff != "" {
					t.Errorf("result %d and what is stored (-result +stored):\n%s", i, diff)
				}
			}
		}
		limited, err := w.svc.CreateContacts(t.Context(), w.limitedKey, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "x", TeamID: closedTeam}, {FirstName: "x", TeamID: team}}})
		if err != nil || !cmp.Equal(outcomes(limited), []string{"team_access_denied", ""}) {
			t.Errorf("got %v, %v", outcomes(limited), err)
		}

		before := w.names(t, contacts.ListContactsInput{})
		in.AllOrNothing = true
		if diff := cmp.Diff([]string{"batch_failed", "missing_first_name", "validation_error", "team_not_found", "team_not_found", "batch_failed"}, outcomes(w.batch(t, in))); diff != "" {
			t.Errorf("all or nothing (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, w.names(t, contacts.ListContactsInput{})); diff != "" {
			t.Errorf("stored all the same (-before +after):\n%s", diff)
		}
		in.Contacts = []contacts.CreateContactInput{{FirstName: "a"}, {FirstName: "b"}}
		w.batch(t, in)
		if got := w.names(t, contacts.ListContactsInput{}); len(got) != len(before)+2 {
			t.Errorf("got %v", got)
		}
		if results := w.batch(t, contacts.CreateContactsInput{}); len(results) != 0 {
			t.Errorf("got %v for no contacts", results)
		}
	})
}

func TestBatchOfThousands(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		in := contacts.CreateContactsInput{Contacts: make([]contacts.CreateContactInput, 3000)}
		for i := range in.Contacts {
			in.Contacts[i].FirstName = fmt.Sprint(i)
		}
		in.Contacts[2999].IdempotencyKey = "the last"
		for i, r := range w.batch(t, in) {
			if r.Err != nil || r.Contact.FirstName != fmt.Sprint(i) {
				t.Fatalf("result %d: %+v", i, r)
			}
		}
		in.AllOrNothing = true
		w.batch(t, in)
		if got := len(w.names(t, contacts.ListContactsInput{})); got != 5999 {
			t.Errorf("%d contacts are there, want 5999", got)
		}
	})
}

func TestBatchFromJSON(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{Batch: 3, BatchBytes: 300}})
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, c := range []struct {
		name, body string
		code       contacts.Code
		details    []contacts.FieldError
		want       []string
	}{
		{"good and bad", `{"contacts":[{"first_name":"a"},{"first_name":1,"x":2},{"first_name":"b","idempotency_key":"k"}],"all_or_nothing":false}`, "", nil, []string{"", "validation_error", ""}},
		{"all or nothing", `{"all_or_nothing":true,"contacts":[{"first_name":"a"},{}]}`, "", nil, []string{"batch_failed", "missing_first_name"}},
		{"no object", `{"contacts":[7,null,{"first_name":"a"}]}`, "", nil, []string{"validation_error", "validation_error", ""}},
		{"none", `{"contacts":[]}`, "", nil, []string{}},
		{"null", `{"contacts":null,"all_or_nothing":null}`, contacts.CodeValidationError, []contacts.FieldError{wrong("contacts", contacts.FieldRequired)}, nil},
		{"nothing", `{}`, contacts.CodeValidationError, []contacts.FieldError{wrong("contacts", contacts.FieldRequired)}, nil},
		{"too many", `{"contacts":[{},{},{},{}]}`, contacts.CodeValidationError, []contacts.FieldError{wrong("contacts", contacts.FieldTooMany)}, nil},
		{"wrong types", `{"contacts":{},"all_or_nothing":1,"more":0}`, contacts.CodeValidationError, []contacts.FieldError{
			wrong("contacts", contacts.FieldWrongType), wrong("all_or_nothing", contacts.FieldWrongType), wrong("more", contacts.FieldUnknown)}, nil},
		{"an array", `[{"first_name":"a"}]`, contacts.CodeInvalidJSON, nil, nil},
		{"a name twice", `{"contacts":[{"first_name":"a","first_name":"b"}]}`, contacts.CodeInvalidJSON, nil, nil},
		{"too long", `{"contacts":[` + strings.Repeat(" ", 300) + `]}`, contacts.CodeInvalidJSON, nil, nil},
		{"a context too deep", `{"contacts":[{"first_name":"a","custom_context":` + deep(33) + `}]}`, "", nil, []string{"validation_error"}},
		{"a body too deep", `{"contacts":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, contacts.CodeInvalidJSON, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			results, err := w.svc.CreateContactsJSON(t.Context(), w.key, strings.NewReader(c.body))
			if c.code != "" {
				wantError(t, err, c.code, c.details...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, outcomes(results)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHugeBatchIsRefusedWithLittle(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{BodyBytes: 1000, ContextBytes: 100}})
	many := func(n int, element string) string { return strings.Repeat(element+",", n-1) + element }
	for _, c := range []struct {
		name, item string
		details    []contacts.FieldError
	}{
		{"phone numbers", `{"first_name":"a","phone_numbers":[` + many(60, `{}`) + `]}`, []contacts.FieldError{wrong("phone_numbers", contacts.FieldTooMany)}},
		{"a context of small values", `{"first_name":"a","custom_context":{"a":[` + many(90, "0") + `],"b":[` + many(90, "{}") + `]}}`, []contacts.FieldError{wrong("custom_context", contacts.FieldTooLong)}},
		{"a contact that is larger than a body", `{"first_name":"a","tags":[` + many(300, `"b"`) + `]}`, []contacts.FieldError{wrong("contacts[0]", contacts.FieldTooLong)}},
		{"white space", `{"first_name":"a"` + strings.Repeat(" ", 1000) + `}`, []contacts.FieldError{wrong("contacts[0]", contacts.FieldTooLong)}},
	} {
		results, err := w.svc.CreateContactsJSON(t.Context(), w.key, strings.NewReader(`{"contacts":[`+c.item+`,{"first_name":"b"}]}`))
		if err != nil || len(results) != 2 {
			t.Errorf("%s: %v, %v", c.name, results, err)
			continue
		}
		wantError(t, results[0].Err, contacts.CodeValidationError, c.details...)
		if results[1].Err != nil {
			t.Errorf("%s: the next contact: %v", c.name, results[1].Err)
		}
	}

	// Of a thousand contacts that are wrong all over each is told so, and a few
	// are told all.
	var wrongAllOver []string
	for range 1000 {
		wrongAllOver = append(wrongAllOver, `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10}`)
	}
	results, err := w.svc.CreateContactsJSON(t.Context(), w.key, strings.NewReader(`{"contacts":[`+strings.Join(wrongAllOver, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	details := 0
	for _, r := range results {
		e, _ := errors.AsType[*contacts.Error](r.Err)
		if e == nil || len(e.Details) == 0 {
			t.Fatalf("result %d: %v", r.Index, r.Err)
		}
		details += len(e.Details)
	}
	if details > 5000 {
		t.Errorf("%d details", details)
	}
}

func TestBatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	w := memoryWorld(t, &contacts.Options{Now: func() time.Time {
		if reads++; reads == 10 {
			cancel()
		}
		return noon
	}})
	in := contacts.CreateContactsInput{Contacts: make([]contacts.CreateContactInput, 1000)}
	for i := range in.Contacts {
		in.Contacts[i].FirstName = "x"
	}
	_, err := w.svc.CreateContacts(ctx, w.key, in)
	if wantError(t, err, contacts.CodeServerError); !errors.Is(err, context.Canceled) || reads > 12 {
		t.Errorf("got %v after %d contacts", err, reads)
	}
	if names := w.names(t, contacts.ListContactsInput{}); len(names) != 0 {
		t.Errorf("%d contacts are stored", len(names))
	}
}

func TestContextsMayNestInABatchAsDeepAsInACreate(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{ContextDepth: 63}})
	contact := `{"first_name":"a","custom_context":` + strings.Repeat(`{"a":`, 63) + "1" + strings.Repeat("}", 63) + `}`
	if _, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(contact)); err != nil {
		t.Error(err)
	}
	results, err := w.svc.CreateContactsJSON(t.Context(), w.key, strings.NewReader(`{"contacts":[`+contact+`]}`))
	if err != nil || !cmp.Equal(outcomes(results), []string{""}) {
		t.Errorf("got %v, %v", outcomes(results), err)
	}
}

func TestFaultOfAStoreIsThatOfEachContactAndOneLogLine(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	store := &brokenStore{Store: memory.New()}
	w := newWorld(t, store, &contacts.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	store.apply = contacts.ErrOutcomeUnknown
	in := contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "a"}, {}, {FirstName: "b"}}}
	results := w.batch(t, in)
	if diff := cmp.Diff([]string{"server_error", "missing_first_name", "server_error"}, outcomes(results)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !errors.Is(results[0].Err, contacts.ErrOutcomeUnknown) || !errors.Is(results[2].Err, contacts.ErrOutcomeUnknown) {
		t.Errorf("got %v and %v, want an unknown outcome", results[0].Err, results[2].Err)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d log lines:\n%s", lines, &log)
	}
	if any(results[0].Err) == any(results[2].Err) {
		t.Error("two results share one error")
	}
	store.listDirectory = errors.New("disk on fire")
	_, err := w.svc.CreateContacts(t.Context(), w.limitedKey, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "a", TeamID: closedTeam}}})
	wantError(t, err, contacts.CodeServerError)
	_, err = w.svc.CreateContacts(cancelled(t), w.key, in)
	wantError(t, err, contacts.CodeServerError)
}

func TestSameIdempotencyKeyIsTheSameContact(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		at := noon
		w := newWorld(t, store, &contacts.Options{Now: func() time.Time { return at }})
		ctx := t.Context()
		in := documented()
		in.IdempotencyKey = "order 66"
		first := w.create(t, in)
		at = noon.Add(time.Hour)

		// The same is what is stored the same.
		same := in
		same.PhoneNumbers = slices.Clone(in.PhoneNumbers)
		same.PhoneNumbers[0].PhoneNumber, same.Country, same.Email = " +1 555-123-4567", "us", "john@EXAMPLE.com"
		for name, create := range map[string]func() (*contacts.Contact, bool, error){
			"again": func() (*contacts.Contact, bool, error) {
				c, err := w.svc.CreateContact(ctx, w.key, in)
				return c, true, err
			},
			"spelled otherwise": func() (*contacts.Contact, bool, error) {
				c, err := w.svc.CreateContact(ctx, w.key, same)
				return c, true, err
			},
			"from JSON": func() (*contacts.Contact, bool, error) {
				r, err := w.svc.CreateContactResultJSON(ctx, w.key, "order 66", strings.NewReader(`{ "industry_context":{"industry":"software"}, "custom_context":{"nested":{"list":[1.5,true,null]},"score":42,"source":"web"},
					"phone_numbers":[{"phone_type":"mobile","phone_number":"+15551234567"},{"do_not_call":true,"phone_number":"+15557654321","phone_type":"work"}],
					"tags":["vip","newsletter"],"team_id":101,"zip_code":"62701","state":"IL","city":"Springfield","address":"123 Main St\nSuite 4","website":"example.com",
					"company":"Acme Inc","email":"john@example.com","last_name":"Doe","first_name":"John","status":null}`))
				return r.Contact, r.Replayed, err
			},
			"in a batch": func() (*contacts.Contact, bool, error) {
				r := w.batch(t, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{in}})[0]
				return r.Contact, r.Replayed, r.Err
			},
		} {
			got, replayed, err := create()
			if err != nil || !replayed {
				t.Errorf("%s: replayed %v, %v", name, replayed, err)
				continue
			}
			if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("%s (-first +again):\n%s", name, diff)
			}
		}

		other := in
		other.IndustryContext = map[string]any{"industry": "law"}
		_, err := w.svc.CreateContact(ctx, w.key, other)
		wantError(t, err, contacts.CodeIdempotencyConflict)
		other = in
		other.CustomContext = map[string]any{"source": "law"}
		_, err = w.svc.CreateContact(ctx, w.key, other)
		wantError(t, err, contacts.CodeIdempotencyConflict)
		other = in
		other.City = "Turin"
		_, err = w.svc.CreateContact(ctx, w.key, other)
		wantError(t, err, contacts.CodeIdempotencyConflict)
		invalid := in
		invalid.FirstName = ""
		_, err = w.svc.CreateContact(ctx, w.key, invalid)
		wantError(t, err, contacts.CodeMissingFirstName)

		// The first result it is, whatever became of the contact.
		w.update(t, first.ID, contacts.UpdateContactInput{City: new("Rome")})
		if err := w.svc.DeleteContact(ctx, w.writer, first.ID, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{ContactID: first.ID}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, w.create(t, in)); diff != "" {
			t.Errorf("after the purge (-first +again):\n%s", diff)
		}

		// Another account has keys of its own, and after a day all is forgotten.
		foreign := contacts.CreateContactInput{FirstName: "x", IdempotencyKey: "order 66"}
		if _, err := w.svc.CreateContact(ctx, w.foreignKey, foreign); err != nil {
			t.Error(err)
		}
		at = noon.Add(24*time.Hour - time.Microsecond)
		_, err = w.svc.CreateContact(ctx, w.key, other)
		wantError(t, err, contacts.CodeIdempotencyConflict)
		at = noon.Add(24 * time.Hour)
		if got := w.create(t, other); got.ID == first.ID || got.City != "Turin" {
			t.Errorf("a day later: got %s in %s", got.ID, got.City)
		}
	})
}

// What differs from the first input in any field is another input.
func TestEachFieldIsOfTheInputOfAKey(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	first := documented()
	first.IdempotencyKey, first.Status, first.Stage, first.ExternalID = "k", "contacted", "customer", "1"
	w.create(t, first)
	type input = contacts.CreateContactInput
	phone := func(change func(p *contacts.PhoneNumberInput)) func(*input) {
		return func(in *input) {
			in.PhoneNumbers = slices.Clone(in.PhoneNumbers)
			change(&in.PhoneNumbers[1])
		}
	}
	changes := map[string]func(in *input){
		"FirstName":                func(in *input) { in.FirstName, in.LastName = "JohnD", "oe" },
		"LastName":                 func(in *input) { in.LastName = "x" },
		"Email":                    func(in *input) { in.Email = "x@example.com" },
		"Company":                  func(in *input) { in.Company = "x" },
		"Website":                  func(in *input) { in.Website = "example.org" },
		"Address":                  func(in *input) { in.Address = "x" },
		"City":                     func(in *input) { in.City = "x" },
		"State":                    func(in *input) { in.State = "x" },
		"ZipCode":                  func(in *input) { in.ZipCode = "x" },
		"Country":                  func(in *input) { in.Country = "DE" },
		"Status":                   func(in *input) { in.Status = "" },
		"Stage":                    func(in *input) { in.Stage = "" },
		"TeamID":                   func(in *input) { in.TeamID = 0 },
		"ExternalID":               func(in *input) { in.ExternalID = "" },
		"Tags":                     func(in *input) { in.Tags = []string{"vipn", "ewsletter"} },
		"PhoneNumbers":             func(in *input) { in.PhoneNumbers = in.PhoneNumbers[:1] },
		"CustomContext":            func(in *input) { in.CustomContext = map[string]any{"x": 1} },
		"IndustryContext":          func(in *input) { in.IndustryContext = map[string]any{"x": 1} },
		"PhoneNumbers.PhoneNumber": phone(func(p *contacts.PhoneNumberInput) { p.PhoneNumber = "+15557654322" }),
		"PhoneNumbers.PhoneType":   phone(func(p *contacts.PhoneNumberInput) { p.PhoneType = "x" }),
		"PhoneNumbers.Primary":     phone(func(p *contacts.PhoneNumberInput) { p.Primary = true }),
		"PhoneNumbers.DoNotCall":   phone(func(p *contacts.PhoneNumberInput) { p.DoNotCall = !p.DoNotCall }),
	}
	want := []string{"PhoneNumbers.ID", "IdempotencyKey"} // are not of the input
	for name, change := range changes {
		other := first
		change(&other)
		if _, err := w.svc.CreateContact(t.Context(), w.key, other); contacts.CodeOf(err) != contacts.CodeIdempotencyConflict {
			t.Errorf("%s: got %v, want a conflict", name, err)
		}
		want = append(want, name)
	}
	var fields []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[input]()) {
		fields = append(fields, f.Name)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[contacts.PhoneNumberInput]()) {
		fields = append(fields, "PhoneNumbers."+f.Name)
	}
	slices.Sort(fields)
	slices.Sort(want)
	if diff := cmp.Diff(fields, want); diff != "" {
		t.Errorf("fields of the input (-all +tested):\n%s", diff)
	}
	w.create(t, first)
}

func TestReplayShowsNothingThatTheKeyMayNotSee(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	in := contacts.CreateContactInput{FirstName: "x", IdempotencyKey: "k"}
	first := w.create(t, in)
	if again, err := w.svc.CreateContact(t.Context(), w.limitedKey, in); err != nil || again.ID != first.ID {
		t.Errorf("a replay by another key: got %v, %v", again, err)
	}
	w.update(t, first.ID, contacts.UpdateContactInput{TeamID: new(closedTeam)})
	_, err := w.svc.CreateContact(t.Context(), w.limitedKey, in)
	wantError(t, err, contacts.CodeIdempotencyConflict)
	results, err := w.svc.CreateContacts(t.Context(), w.limitedKey, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{in}})
	if err != nil || !cmp.Equal(outcomes(results), []string{"idempotency_conflict"}) || results[0].Contact != nil {
		t.Errorf("got %+v, %v", results, err)
	}
	w.create(t, in) // a key that may see it still gets it
}

func TestIdempotencyKeyIsAnyShortText(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, key := range []string{" ", "\t", "a\nb", "a\x00", "\xff", strings.Repeat("x", 256)} {
		_, err := w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "x", IdempotencyKey: key})
		if e, _ := errors.AsType[*contacts.Error](err); contacts.CodeOf(err) != contacts.CodeValidationError || e.Details[0].Field != "idempotency_key" {
			t.Errorf("%q: got %v", key, err)
		}
	}
	seen := make(map[string]bool)
	for _, key := range []string{"x", "X", "x ", "'; --", "猫", strings.Repeat("x", 255)} {
		id := w.create(t, contacts.CreateContactInput{FirstName: "x", IdempotencyKey: key}).ID.String()
		if seen[id] {
			t.Errorf("%q is taken for another key", key)
		}
		seen[id] = true
	}
	_, err := w.svc.CreateContactResultJSON(t.Context(), w.key, "a", strings.NewReader(`{"first_name":"x","idempotency_key":"b"}`))
	wantError(t, err, contacts.CodeValidationError, wrong("idempotency_key", contacts.FieldInvalid))
	again, err := w.svc.CreateContactResultJSON(t.Context(), w.key, "x", strings.NewReader(`{"first_name":"x","idempotency_key":"x"}`))
	if err != nil || !again.Replayed {
		t.Errorf("the same key twice: replayed %v, %v", again.Replayed, err)
	}
}

func TestIdempotencyKeysWithinABatch(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		c := func(name, key string) contacts.CreateContactInput {
			return contacts.CreateContactInput{FirstName: name, IdempotencyKey: key}
		}
		in := contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{c("a", "1"), c("a", "1"), c("b", "1"), c("b", ""), c("b", "2")}}
		results := w.batch(t, in)
		if diff := cmp.Diff([]string{"", "again", "idempotency_conflict", "", ""}, outcomes(results)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(results[0].Contact, results[1].Contact); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
		in.AllOrNothing = true
		if diff := cmp.Diff([]string{"batch_failed", "batch_failed", "idempotency_conflict", "batch_failed", "batch_failed"}, outcomes(w.batch(t, in))); diff != "" {
			t.Errorf("all or nothing (-want +got):\n%s", diff)
		}
		in.Contacts = []contacts.CreateContactInput{c("a", "1"), c("new", "3"), c("new", "3")}
		if diff := cmp.Diff([]string{"again", "", "again"}, outcomes(w.batch(t, in))); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"a", "b", "b", "new"}, slices.Sorted(slices.Values(w.names(t, contacts.ListContactsInput{})))); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

func TestManyCreatesWithOneIdempotencyKeyAreOneContact(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		in := documented()
		in.IdempotencyKey = "once"
		got := make([]*contacts.Contact, 64)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				var err error
				if got[i], err = w.svc.CreateContact(context.Background(), w.key, in); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, c := range got[1:] {
			if diff := cmp.Diff(got[0], c); diff != "" {
				t.Fatalf("two answers differ:\n%s", diff)
			}
		}
		if names := w.names(t, contacts.ListContactsInput{}); len(names) != 1 {
			t.Errorf("%d contacts are stored", len(names))
		}
	})
}

func TestStreamCreatesInOrderAndHoldsLittle(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ahead, most := 0, 0
		source := func(n int) iter.Seq[contacts.CreateContactInput] {
			return func(yield func(contacts.CreateContactInput) bool) {
				for i := range n {
					name := fmt.Sprint(i)
					if i%1000 == 7 {
						name = ""
					}
					ahead++
					most = max(most, ahead)
					if !yield(contacts.CreateContactInput{FirstName: name}) {
						return
					}
				}
			}
		}
		i := 0
		for r, err := range w.svc.CreateContactStream(t.Context(), w.key, source(2500)) {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case i%1000 == 7:
				wantError(t, r.Err, contacts.CodeMissingFirstName)
			case r.Err != nil || r.Contact.FirstName != fmt.Sprint(i):
				t.Fatalf("result %d: %+v", i, r)
			}
			if r.Index != i {
				t.Fatalf("result %d has index %d", i, r.Index)
			}
			i++
			ahead--
		}
		if i != 2500 || most > 1000 {
			t.Errorf("%d results, and %d contacts in hand at most, want 2500 and 1000", i, most)
		}
		if n := len(w.names(t, contacts.ListContactsInput{})); n != 2497 {
			t.Errorf("%d contacts are stored, want 2497", n)
		}

		for range w.svc.CreateContactStream(t.Context(), w.key, source(5000)) {
			break // and no more is taken from the source
		}
		if n := len(w.names(t, contacts.ListContactsInput{})); n != 2497+999 {
			t.Errorf("%d contacts are stored, want 3496", n)
		}
		for range w.svc.CreateContactStream(t.Context(), w.key, source(0)) {
			t.Error("a result for nothing")
		}
	})
}

func TestStreamEndsWhenItsKeyDoes(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	secret, key, err := w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, AllTeams: true, Permissions: []contacts.Permission{contacts.PermissionReadContacts}})
	if err != nil {
		t.Fatal(err)
	}
	results := 0
	var last error
	for _, err := range w.svc.CreateContactStream(t.Context(), secret, func(yield func(contacts.CreateContactInput) bool) {
		for yield(contacts.CreateContactInput{FirstName: "x"}) {
		}
	}) {
		if last = err; err == nil {
			results++
		}
		if results == 1000 {
			if err := w.admin.RevokeKey(t.Context(), key.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if wantError(t, last, contacts.CodeInvalidKey); results != 1000 {
		t.Errorf("%d results, want 1000", results)
	}
}

func TestStreamEndsWithTheStore(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: memory.New()}
	w := newWorld(t, store, nil)
	results := 0
	var last error
	for r, err := range w.svc.CreateContactStream(t.Context(), w.key, func(yield func(contacts.CreateContactInput) bool) {
		for yield(contacts.CreateContactInput{FirstName: "x"}) {
		}
	}) {
		if last = err; err == nil {
			results++
			if want := results > 1000; (r.Err != nil) != want {
				t.Fatalf("result %d: %v", results, r.Err)
			}
		}
		if results == 1000 {
			store.apply = errors.New("disk on fire")
		}
	}
	if wantError(t, last, contacts.CodeServerError); results != 2000 {
		t.Errorf("%d results, want 2000", results)
	}
}

func FuzzCreateContactsJSON(f *testing.F) {
	for _, s := range []string{`{"contacts":[{"first_name":"a","idempotency_key":"k"},{"first_name":"a","idempotency_key":"k"}],"all_or_nothing":true}`,
		`{"contacts":[{},7,null,[]]}`, `{"contacts":null}`, `{"contacts":[{"a":1,"a":2}]}`, `{"all_or_nothing":0}`, `{`} {
		f.Add(s)
	}
	w := newWorld(f, memory.New(), nil)
	f.Fuzz(func(t *testing.T, body string) {
		results, err := w.svc.CreateContactsJSON(t.Context(), w.key, strings.NewReader(body))
		if err != nil {
			if code := contacts.CodeOf(err); code != contacts.CodeInvalidJSON && code != contacts.CodeValidationError || results != nil {
				t.Fatalf("got %v, %v", results, err)
			}
			return
		}
		for _, r := range results {
			if r.Err != nil {
				if contacts.CodeOf(r.Err) == contacts.CodeServerError || r.Contact != nil {
					t.Fatal(r.Err)
				}
				continue
			}
			stored, err := w.svc.GetContact(t.Context(), w.key, r.Contact.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.Contact, stored); diff != "" {
				t.Fatalf("returned and stored differ:\n%s", diff)
			}
		}
	})
}

// A batchRace is a store that does something before the dry run and before the
// write of a batch that is all or nothing.
type batchRace struct {
	contacts.Store
	beforeDryRun, beforeWrite func()
	calls                     []string
}

func (s *batchRace) Apply(ctx context.Context, b contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	do := &s.beforeWrite
	s.calls = append(s.calls, "write")
	if b.DryRun {
		do = &s.beforeDryRun
		s.calls[len(s.calls)-1] = "dry run"
	}
	if f := *do; f != nil {
		*do = nil
		f()
	}
	return s.Store.Apply(ctx, b)
}

func TestHiddenReplayRefusesTheWholeBatch(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		race := &batchRace{Store: store}
		w := newWorld(t, race, nil)
		ctx := t.Context()
		c := func(name, key string) contacts.CreateContactInput {
			return contacts.CreateContactInput{FirstName: name, TeamID: team, IdempotencyKey: key}
		}
		all := func(key string, in ...contacts.CreateContactInput) []string {
			t.Helper()
			race.calls = nil
			results, err := w.svc.CreateContacts(ctx, key, contacts.CreateContactsInput{Contacts: in, AllOrNothing: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if (r.Err == nil) != (r.Contact != nil) {
					t.Errorf("got %+v", r)
				}
			}
			return outcomes(results)
		}
		hide := func(c *contacts.Contact) { w.update(t, c.ID, contacts.UpdateContactInput{TeamID: new(closedTeam)}) }
		stored := func() int { return len(w.names(t, contacts.ListContactsInput{})) }
		hidden, shown, gone := w.create(t, c("hidden", "hidden")), w.create(t, c("shown", "shown")), w.create(t, c("gone", "gone"))
		hide(hidden)
		hide(gone)
		if err := w.svc.DeleteContact(ctx, w.writer, gone.ID, nil); err != nil {
			t.Fatal(err)
		}
		before := stored()
		missing := c("no team", "")
		missing.TeamID = absentTeam
		for _, test := range []struct {
			name string
			in   []contacts.CreateContactInput
			want []string
		}{
			{"one is hidden", []contacts.CreateContactInput{c("hidden", "hidden"), c("new", "")}, []string{"idempotency_conflict", "batch_failed"}},
			{"one is hidden and deleted", []contacts.CreateContactInput{c("new", "new"), c("gone", "gone")}, []string{"batch_failed", "idempotency_conflict"}},
			{"hidden twice, and all else that is wrong", []contacts.CreateContactInput{c("hidden", "hidden"), c("shown", "shown"), c("other", "shown"), c("hidden", "hidden"), missing},
				[]string{"idempotency_conflict", "batch_failed", "batch_failed", "idempotency_conflict", "team_not_found"}},
			{"another input", []contacts.CreateContactInput{c("other", "shown"), c("new", "new")}, []string{"idempotency_conflict", "batch_failed"}},
		} {
			if diff := cmp.Diff(test.want, all(w.limitedKey, test.in...)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
			if diff := cmp.Diff([]string{"dry run"}, race.calls); diff != "" {
				t.Errorf("%s: calls of the store (-want +got):\n%s", test.name, diff)
			}
			if n := stored(); n != before {
				t.Fatalf("%s: %d contacts are stored, want %d", test.name, n, before)
			}
		}

		// Nothing is asked beforehand where nothing can be hidden.
		for name, got := range map[string][]string{
			"a key of all teams": all(w.key, c("hidden", "hidden"), c("all teams", "")),
			"no idempotency key": all(w.limitedKey, c("no key", ""), c("no key", "")),
		} {
			if strings.Contains(strings.Join(got, ""), "_") || !slices.Equal(race.calls, []string{"write"}) {
				t.Errorf("%s: got %v by %v", name, got, race.calls)
			}
		}
		if _, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{ContactID: gone.ID}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"again", "again", ""}, all(w.limitedKey, c("shown", "shown"), c("gone", "gone"), c("new", "new"))); diff != "" {
			t.Errorf("what the key may see (-want +got):\n%s", diff)
		}

		// The answer about a replay is as of the look at it, and that of a contact
		// that was created since is as of its creation.
		race.beforeWrite = func() { hide(shown) }
		if diff := cmp.Diff([]string{"again", ""}, all(w.limitedKey, c("shown", "shown"), c("b", "b"))); diff != "" {
			t.Errorf("moved after the look (-want +got):\n%s", diff)
		}
		race.beforeWrite = func() { hide(w.create(t, c("c", "c"))) }
		if diff := cmp.Diff([]string{"again", ""}, all(w.limitedKey, c("c", "c"), c("d", "d"))); diff != "" {
			t.Errorf("created and moved after the look (-want +got):\n%s", diff)
		}
		race.beforeDryRun = func() { hide(w.create(t, c("e", "e"))) }
		if diff := cmp.Diff([]string{"idempotency_conflict", "batch_failed"}, all(w.limitedKey, c("e", "e"), c("f", "f"))); diff != "" {
			t.Errorf("created and moved before the look (-want +got):\n%s", diff)
		}
	})
}

func TestFaultOfTheLookAtReplaysStoresNothing(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: closing(t, memory.New())}
	w := newWorld(t, store, nil)
	in := contacts.CreateContactsInput{AllOrNothing: true, Contacts: []contacts.CreateContactInput{{FirstName: "a", IdempotencyKey: "k"}, {FirstName: "b"}}}
	store.apply = errors.New("disk on fire")
	_, err := w.svc.CreateContacts(t.Context(), w.limitedKey, in)
	wantError(t, err, contacts.CodeServerError)
	store.apply, store.outcome = nil, contacts.ErrNotFound // the account
	_, err = w.svc.CreateContacts(t.Context(), w.limitedKey, in)
	wantError(t, err, contacts.CodeServerError)
	store.outcome = nil
	if names := w.names(t, contacts.ListContactsInput{}); len(names) != 0 {
		t.Errorf("%v are stored", names)
	}
}
