package contacts_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func (w *world) upsert(t testing.TB, in contacts.UpsertContactInput) *contacts.UpsertResult {
	t.Helper()
	r, err := w.svc.UpsertContact(t.Context(), w.writer, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// upsertOf returns the input of a create with the options of an upsert.
func upsertOf(in contacts.CreateContactInput, change func(*contacts.UpsertContactInput)) contacts.UpsertContactInput {
	u := contacts.UpsertContactInput{CreateContactInput: in}
	if change != nil {
		change(&u)
	}
	return u
}

func TestUpsertCreatesWhereNoContactMatches(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		got := w.upsert(t, upsertOf(documented(), nil))
		want := &contacts.UpsertResult{Contact: w.create(t, documented()), Result: contacts.ResultCreated}
		ids := cmpopts.IgnoreFields(contacts.Contact{}, "ID")
		numbers := cmpopts.IgnoreFields(contacts.PhoneNumber{}, "ID")
		if diff := cmp.Diff(want, got, ids, numbers); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		_, err := w.svc.UpsertContact(t.Context(), w.writer, upsertOf(contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com"},
			func(u *contacts.UpsertContactInput) { u.UpdateOnly = true }))
		wantError(t, err, contacts.CodeNotFound)
		_, err = w.svc.UpsertContact(t.Context(), w.writer, upsertOf(contacts.CreateContactInput{FirstName: "Bob"},
			func(u *contacts.UpsertContactInput) { u.UpdateOnly = true }))
		wantError(t, err, contacts.CodeValidationError, wrong("match_on", contacts.FieldRequired))
	})
}

// The first numbers of a contact come with the mark that they were given.
func TestFirstNumbersOfAContactKeepTheirMark(t *testing.T) {
	t.Parallel()
	for _, mode := range []contacts.UpsertMode{contacts.UpsertFill, contacts.UpsertOverwrite} {
		w := newWorld(t, memory.New(), nil)
		ada := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"}
		w.create(t, ada)
		for _, want := range [][]bool{{false, true}, {false, true, false}} { // a later fill moves no mark
			ada.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: "+12025550100"}, {PhoneNumber: "+12025550111", Primary: true}}
			if len(want) == 3 {
				ada.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: "+12025550122", Primary: mode == contacts.UpsertFill}}
			}
			r := w.upsert(t, upsertOf(ada, func(u *contacts.UpsertContactInput) { u.Mode = mode }))
			var got []bool
			for _, p := range r.Contact.PhoneNumbers {
				got = append(got, p.Primary)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: which numbers are primary (-want +got):\n%s", mode, diff)
			}
		}
	}
}

func TestAmbiguousNamesBoth(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		a := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
		b := w.create(t, contacts.CreateContactInput{FirstName: "Bob", TeamID: closedTeam, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})
		in := upsertOf(contacts.CreateContactInput{FirstName: "Cy", Email: a.Email, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}}, nil)
		upsert := func(key string, in contacts.UpsertContactInput) *contacts.Error {
			t.Helper()
			_, err := w.svc.UpsertContact(t.Context(), key, in)
			e, ok := err.(*contacts.Error)
			if !ok {
				t.Fatalf("got %v", err)
			}
			return e
		}
		const number = "phone_numbers[0].phone_number"
		seen, hidden := upsert(w.writer, in), upsert(w.limitedWriter, in)
		for _, c := range []struct {
			err  *contacts.Error
			want []contacts.Conflict
		}{
			{seen, []contacts.Conflict{{Field: "email", ContactID: a.ID}, {Field: number, ContactID: b.ID}}},
			{hidden, []contacts.Conflict{{Field: "email", ContactID: a.ID}, {Field: number, Hidden: true}}},
		} {
			if c.err.Code != contacts.CodeAmbiguousMatch || c.err.Message != "email and "+number+" belong to different contacts" {
				t.Errorf("got %v", c.err)
			}
			if diff := cmp.Diff(c.want, c.err.Conflicts); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
		}

		in.MatchOn = []contacts.KeyKind{contacts.KeyEmail}
		if r := w.upsert(t, in); r.Contact.ID != a.ID || r.Result != contacts.ResultUpdated {
			t.Errorf("a shared line: got %s of %v, want %v", r.Result, r.Contact.ID, a.ID)
		}
		w.setPolicy(t, reject)
		in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: "+12025550100"})
		if r := w.upsert(t, in); r.Result != contacts.ResultUpdated {
			t.Errorf("a number that was shared before the policy: got %s", r.Result)
		}
		c := w.create(t, contacts.CreateContactInput{FirstName: "Cy", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+12025550111"}}})
		in.PhoneNumbers[0].PhoneNumber = "+12025550111"
		wantConflicts(t, upsert(w.writer, in), contacts.Conflict{Field: number, ContactID: c.ID})
		in.MatchOn = nil
		if got := upsert(w.writer, in).Code; got != contacts.CodeAmbiguousMatch {
			t.Errorf("with the keys of the policy: got %s", got)
		}
	})
}

func TestUpsertNamesEveryTakenKey(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		w.setPolicy(t, reject)
		with := func(email string, numbers ...string) contacts.CreateContactInput {
			in := contacts.CreateContactInput{FirstName: "Ada", Email: email}
			for _, n := range numbers {
				in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: n})
			}
			return in
		}
		w.create(t, with("ada@example.com"))
		first, second := w.create(t, with("", "+442079460018")), w.create(t, with("", "+15551234567"))
		_, err := w.svc.UpsertContact(t.Context(), w.writer, contacts.UpsertContactInput{
			CreateContactInput: with("ada@example.com", "+442079460018", "+15551234567"), MatchOn: []contacts.KeyKind{contacts.KeyEmail},
		})
		wantConflicts(t, err,
			contacts.Conflict{Field: "phone_numbers[0].phone_number", ContactID: first.ID},
			contacts.Conflict{Field: "phone_numbers[1].phone_number", ContactID: second.ID})
	})
}

func TestExternalIDOfAnUpsert(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	upsert := func(id, email, mode string) (*contacts.UpsertResult, error) {
		return w.svc.UpsertContact(t.Context(), w.writer, contacts.UpsertContactInput{
			CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", ExternalID: id, Email: email}, Mode: contacts.UpsertMode(mode),
		})
	}
	a := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
	r, err := upsert("A-1", "ada@example.com", "overwrite")
	if err != nil || r.Contact.ID != a.ID || r.Contact.ExternalID != "A-1" {
		t.Fatalf("got %+v, %v", r, err)
	}
	for _, mode := range []string{"fill", "overwrite"} {
		_, err := upsert("A-2", "ada@example.com", mode)
		wantConflicts(t, err, contacts.Conflict{Field: "email", ContactID: a.ID})
	}
	r, err = upsert("A-1", "new@example.com", "overwrite")
	if err != nil || r.Contact.ID != a.ID || r.Contact.Email != "new@example.com" {
		t.Errorf("by external id: got %+v, %v", r, err)
	}
}

func TestRestoreDeleted(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		in := upsertOf(contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: "Paris"},
			func(u *contacts.UpsertContactInput) { u.RestoreDeleted = true })
		remove := func(id uuid.UUID) {
			t.Helper()
			if err := w.svc.DeleteContact(t.Context(), w.writer, id, nil); err != nil {
				t.Fatal(err)
			}
		}
		first := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
		remove(first.ID)
		if r := w.upsert(t, in); r.Contact.ID != first.ID || r.Result != contacts.ResultRestored || r.Contact.City != "Paris" || !r.Contact.DeletedAt.IsZero() {
			t.Errorf("got %s of %+v", r.Result, r.Contact)
		}
		if r := w.upsert(t, in); r.Result != contacts.ResultUnchanged {
			t.Errorf("the restored one: got %s", r.Result)
		}
		remove(first.ID)
		second := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
		remove(second.ID)
		in.UpdateOnly = true
		_, err := w.svc.UpsertContact(t.Context(), w.writer, in)
		wantError(t, err, contacts.CodeNotFound)
		in.UpdateOnly = false
		if r := w.upsert(t, in); r.Result != contacts.ResultCreated || r.DeletedTwin != second.ID {
			t.Errorf("with two deleted: got %s and the twin %v, want the newest, %v", r.Result, r.DeletedTwin, second.ID)
		}
	})
}

func TestReplayOfAnUpsert(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		once := func(key, city string) contacts.UpsertContactInput {
			return upsertOf(contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: city, IdempotencyKey: key}, nil)
		}
		spelled := once("two", "Paris") // its defaults are the same input
		spelled.Mode, spelled.TagsMode = contacts.UpsertFill, contacts.TagsAdd
		created := w.upsert(t, once("one", ""))
		updated := w.upsert(t, once("two", "Paris"))
		unchanged := w.upsert(t, once("three", "Paris"))
		for i, c := range []struct {
			in   contacts.UpsertContactInput
			want *contacts.UpsertResult
		}{
			{once("one", ""), &contacts.UpsertResult{Contact: created.Contact, Result: contacts.ResultCreated, Replayed: true}},
			{once("two", "Paris"), &contacts.UpsertResult{Contact: updated.Contact, Result: contacts.ResultUpdated, Replayed: true}},
			{spelled, &contacts.UpsertResult{Contact: updated.Contact, Result: contacts.ResultUpdated, Replayed: true}},
			{once("three", "Paris"), &contacts.UpsertResult{Contact: unchanged.Contact, Result: contacts.ResultUnchanged, Replayed: true}},
		} {
			if diff := cmp.Diff(c.want, w.upsert(t, c.in)); diff != "" {
				t.Errorf("%d (-want +got):\n%s", i, diff)
			}
		}
		in := once("two", "Paris")
		in.Mode = contacts.UpsertOverwrite
		_, err := w.svc.UpsertContact(t.Context(), w.writer, in)
		wantError(t, err, contacts.CodeIdempotencyConflict)

		if _, err := w.svc.UpdateContact(t.Context(), w.writer, created.Contact.ID, contacts.UpdateContactInput{TeamID: new(closedTeam)}, nil); err != nil {
			t.Fatal(err)
		}
		for _, in := range []contacts.UpsertContactInput{once("one", ""), once("two", "Paris")} {
			_, err := w.svc.UpsertContact(t.Context(), w.limitedWriter, in)
			wantError(t, err, contacts.CodeIdempotencyConflict)
		}
		if err := w.svc.DeleteContact(t.Context(), w.writer, created.Contact.ID, nil); err != nil {
			t.Fatal(err)
		}
		_, err = w.svc.UpsertContact(t.Context(), w.writer, once("two", "Paris"))
		wantError(t, err, contacts.CodeNotFound)
	})
}

// TestNullInAContextClearsNothing: an object of nulls is as blank as a null.
func TestNullInAContextClearsNothing(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	upsert := func(context map[string]any) *contacts.UpsertResult {
		return w.upsert(t, upsertOf(contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", CustomContext: context}, func(u *contacts.UpsertContactInput) {
			u.Mode = contacts.UpsertOverwrite
		}))
	}
	upsert(map[string]any{"plan": "gold"})
	nulls := map[string]any{"plan": map[string]any{"name": nil, "terms": map[string]any{"end": nil}}}
	if r := upsert(nulls); r.Result != contacts.ResultUnchanged || r.Contact.CustomContext["plan"] != "gold" {
		t.Errorf("got %s, %v", r.Result, r.Contact.CustomContext)
	}
	r := upsert(map[string]any{"plan": map[string]any{}}) // by RFC 7396
	if diff := cmp.Diff(map[string]any{"plan": map[string]any{}}, r.Contact.CustomContext); diff != "" {
		t.Errorf("an empty object (-want +got):\n%s", diff)
	}
}

// TestDefaultIsAnotherInput: a default overwrites nothing, so an upsert that overwrites is
// not the same with the default as a given value. One that fills is.
func TestDefaultIsAnotherInput(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	given := map[string]func(*contacts.UpsertContactInput){
		"status":  func(in *contacts.UpsertContactInput) { in.Status = "not_contacted" },
		"stage":   func(in *contacts.UpsertContactInput) { in.Stage = "lead" },
		"country": func(in *contacts.UpsertContactInput) { in.Country = "US" },
		"primary": func(in *contacts.UpsertContactInput) { in.PhoneNumbers[0].Primary = true },
	}
	for field, give := range given {
		for _, mode := range []contacts.UpsertMode{"", contacts.UpsertFill, contacts.UpsertOverwrite} {
			once := func() contacts.UpsertContactInput {
				return upsertOf(contacts.CreateContactInput{
					FirstName: "Ada", Email: "ada@example.com", IdempotencyKey: field + string(mode),
					PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}},
				}, func(u *contacts.UpsertContactInput) { u.Mode = mode })
			}
			w.upsert(t, once())
			if r := w.upsert(t, once()); !r.Replayed {
				t.Errorf("%s, mode %q: the same input is no replay: %+v", field, mode, r)
			}
			other := once()
			give(&other)
			if r, err := w.svc.UpsertContact(t.Context(), w.writer, other); mode == contacts.UpsertOverwrite {
				wantError(t, err, contacts.CodeIdempotencyConflict)
			} else if err != nil || !r.Replayed {
				t.Errorf("%s, mode %q: got %+v, %v, want a replay", field, mode, r, err)
			}
		}
	}
}

func TestManyUpsertsAtTheSameTime(t *testing.T) {
	t.Parallel()
	const callers, rounds = 16, 10
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		for round := range rounds {
			var wait sync.WaitGroup
			results := make([]*contacts.UpsertResult, callers)
			for i := range callers {
				wait.Go(func() {
					results[i] = w.upsert(t, upsertOf(contacts.CreateContactInput{
						FirstName: "Ada", Email: fmt.Sprintf("ada.%d@example.com", round), Tags: []string{fmt.Sprintf("tag %d", i)},
					}, nil))
				})
			}
			wait.Wait()
			if t.Failed() {
				return
			}
			counts := make(map[contacts.Result]int)
			for _, r := range results {
				counts[r.Result]++
				if r.Contact.ID != results[0].Contact.ID {
					t.Errorf("two contacts: %v and %v", r.Contact.ID, results[0].Contact.ID)
				}
			}
			if diff := cmp.Diff(map[contacts.Result]int{contacts.ResultCreated: 1, contacts.ResultUpdated: callers - 1}, counts); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			c, err := w.svc.GetContact(t.Context(), w.writer, results[0].Contact.ID)
			if err != nil || len(c.Tags) != callers {
				t.Errorf("got the tags %v, %v: one was lost", c.Tags, err)
			}
		}
	})
}

func TestWrongUpsertIsRefused(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	_, err := w.svc.UpsertContactJSON(t.Context(), w.writer, "", strings.NewReader(
		`{"first_name": "Ada", "match_on": ["email", "name", "email"], "mode": "merge", "tags_mode": "drop", "policy": 1, "update_only": "yes"}`))
	wantError(t, err, contacts.CodeValidationError, wrong("policy", contacts.FieldUnknown), wrong("update_only", contacts.FieldWrongType),
		wrong("mode", contacts.FieldNotAllowed), wrong("tags_mode", contacts.FieldNotAllowed),
		wrong("match_on[1]", contacts.FieldNotAllowed), wrong("match_on[2]", contacts.FieldDuplicate))

	many := make([]contacts.PhoneNumberInput, 50)
	for i := range many {
		many[i].PhoneNumber = fmt.Sprintf("+1202555%04d", i)
	}
	w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: many})
	_, err = w.svc.UpsertContact(t.Context(), w.writer, upsertOf(contacts.CreateContactInput{
		FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}},
	}, nil))
	wantError(t, err, contacts.CodeValidationError, wrong("phone_numbers", contacts.FieldTooMany))
}
