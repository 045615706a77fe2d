package contacts_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
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

// storedForUpsert is the contact that the cases of the table meet.
const storedForUpsert = `{
	"first_name": "Ada", "company": "Acme", "email": "ada@example.com", "stage": "customer", "tags": ["vip", "math"],
	"phone_numbers": [{"phone_number": "+15551234567"}],
	"custom_context": {"source": "web", "address": {"street": "Main St", "floor": null}}
}`

// TestUpsertTable has the JSON merge patch that turns the stored contact into the
// one that each upsert leaves.
func TestUpsertTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, fill, overwrite string
	}{
		{"nothing new", `{"company": "Acme"}`, `{}`, `{}`},
		{"a field that the contact has", `{"company": "Other"}`, `{}`, `{"company": "Other"}`},
		{"a field that it does not have", `{"city": "Paris"}`, `{"city": "Paris"}`, `{"city": "Paris"}`},
		{"blank and null", `{"company": " ", "stage": "", "city": null, "tags": [], "phone_numbers": null, "custom_context": {}}`, `{}`, `{}`},
		{"fillers, which show nothing", `{"stage": "\u3164", "status": "\u3164 \u200b", "country": "\u200b"}`, `{}`, `{}`},
		{"another stage", `{"stage": "lost"}`, `{}`, `{"stage": "lost"}`},
		{"a default that is given", `{"stage": "lead", "status": "not_contacted"}`, `{}`, `{"stage": "lead"}`},
		{"a country", `{"country": "fr"}`, `{}`, `{"country": "FR"}`},
		{"tags", `{"tags": ["new", "vip"]}`, `{"tags": ["vip", "math", "new"]}`, `{"tags": ["vip", "math", "new"]}`},
		{"tags in their place", `{"tags": ["new"], "tags_mode": "replace"}`, `refused`, `{"tags": ["new"]}`},
		{"a team", `{"team_id": 101}`, `{"team_id": 101}`, `{"team_id": 101}`},
		{"an external id", `{"external_id": "A-1"}`, `{"external_id": "A-1"}`, `{"external_id": "A-1"}`},
		{"a number that it has", `{"phone_numbers": [{"phone_number": "+1 555 123 4567", "phone_type": "home", "do_not_call": true}]}`,
			`{"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "home", "primary": true, "do_not_call": true, "dnc_date": "2026-01-02T11:00:00.123456Z"}]}`,
			`{"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "home", "primary": true, "do_not_call": true, "dnc_date": "2026-01-02T11:00:00.123456Z"}]}`},
		{"another number", `{"phone_numbers": [{"phone_number": "+12025550100", "primary": true}]}`,
			`{"phone_numbers": [{"phone_number": "+15551234567", "primary": true, "do_not_call": false}, {"phone_number": "+12025550100", "primary": false, "do_not_call": false}]}`,
			`{"phone_numbers": [{"phone_number": "+15551234567", "primary": false, "do_not_call": false}, {"phone_number": "+12025550100", "primary": true, "do_not_call": false}]}`},
		{"a context", `{"custom_context": {"source": "phone", "score": 7, "none": null, "address": {"street": "Other St", "floor": 2, "city": "Paris"}}, "industry_context": {"field": "law"}}`,
			`{"custom_context": {"source": "web", "score": 7, "address": {"street": "Main St", "floor": null, "city": "Paris"}}, "industry_context": {"field": "law"}}`,
			`{"custom_context": {"source": "phone", "score": 7, "address": {"street": "Other St", "floor": 2, "city": "Paris"}}, "industry_context": {"field": "law"}}`},
	} {
		for mode, want := range map[string]string{"fill": c.fill, "overwrite": c.overwrite} {
			t.Run(c.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				w := memoryWorld(t, nil)
				stored, err := w.svc.CreateContactJSON(t.Context(), w.writer, strings.NewReader(storedForUpsert))
				if err != nil {
					t.Fatal(err)
				}
				var body map[string]any
				if err := json.Unmarshal([]byte(c.in), &body); err != nil {
					t.Fatal(err)
				}
				body["first_name"], body["email"], body["mode"] = "Ada", "ADA@example.com", mode
				body["match_on"] = []string{"email"}
				text, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				got, err := w.svc.UpsertContactJSON(t.Context(), w.writer, "", strings.NewReader(string(text)))
				if want == "refused" {
					wantError(t, err, contacts.CodeValidationError, wrong("tags_mode", contacts.FieldInvalid))
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				wanted := fields(t, stored)
				for name, v := range decoded(t, want) {
					wanted[name] = v
				}
				if mode == "overwrite" {
					wanted["email"] = "ADA@example.com"
				}
				if diff := cmp.Diff(wanted, fields(t, got.Contact)); diff != "" {
					t.Errorf("contact (-want +got):\n%s", diff)
				}
				wantResult(t, got, stored)
				read, err := w.svc.GetContact(t.Context(), w.writer, stored.ID)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(got.Contact, read); diff != "" {
					t.Errorf("read back (-result +stored):\n%s", diff)
				}

				var in contacts.UpsertContactInput // the same, from Go
				if err := json.Unmarshal(text, &in); err != nil {
					t.Fatal(err)
				}
				other := memoryWorld(t, nil)
				if _, err := other.svc.CreateContactJSON(t.Context(), other.writer, strings.NewReader(storedForUpsert)); err != nil {
					t.Fatal(err)
				}
				from := other.upsert(t, in)
				wanted["id"], wanted["account_id"] = from.Contact.ID.String(), from.Contact.AccountID.String()
				if diff := cmp.Diff(wanted, fields(t, from.Contact)); diff != "" || from.Result != got.Result {
					t.Errorf("from Go: got %s, want %s (-want +got):\n%s", from.Result, got.Result, diff)
				}
			})
		}
	}
}

// TestBlankNeverClears: whatever an upsert has, a field that it leaves blank stays as it
// was, and nothing of a contact is lost but what is replaced. An upsert of blanks
// changes nothing.
func TestBlankNeverClears(t *testing.T) {
	t.Parallel()
	blank := rapid.SampledFrom([]string{"", " ", "\u3164", "\u200b"})
	rapid.Check(t, func(rt *rapid.T) {
		w := memoryWorld(t, nil)
		text := rapid.OneOf(blank, rapid.SampledFrom([]string{"a", "b"}))
		phones := func(name string) (all []contacts.PhoneNumberInput) {
			numbers := rapid.SampledFrom([]string{"+15551234567", "+15557654321", "+393331234567"})
			for _, n := range rapid.SliceOfNDistinct(numbers, 0, 2, rapid.ID[string]).Draw(rt, name) {
				all = append(all, contacts.PhoneNumberInput{PhoneNumber: n, PhoneType: text.Draw(rt, "phone type"), DoNotCall: rapid.Bool().Draw(rt, "do not call")})
			}
			return all
		}
		input := func(text *rapid.Generator[string]) (in contacts.UpsertContactInput) {
			in.FirstName, in.Email = "Ada", "ada@example.com"
			in.MatchOn = []contacts.KeyKind{contacts.KeyEmail}
			in.Mode = rapid.SampledFrom([]contacts.UpsertMode{contacts.UpsertFill, contacts.UpsertOverwrite}).Draw(rt, "mode")
			for _, field := range []*string{
				&in.LastName, &in.Company, &in.Address, &in.City, &in.State, &in.ZipCode, &in.Status, &in.Stage,
			} {
				*field = text.Draw(rt, "text")
			}
			return in
		}
		first := input(text)
		first.ExternalID = "1"
		first.Tags, first.CustomContext, first.PhoneNumbers = lifeTags.Draw(rt, "tags"), lifeContext(rt, "context"), phones("phones")
		stored := w.create(t, first.CreateContactInput)

		second := input(text)
		second.ExternalID = rapid.SampledFrom([]string{"", " ", "1"}).Draw(rt, "external id")
		second.Tags, second.CustomContext, second.PhoneNumbers = lifeTags.Draw(rt, "tags"), lifeContext(rt, "context"), phones("phones")
		got := w.upsert(t, second).Contact
		was, is, given := fields(t, stored), fields(t, got), decodedInput(t, second.CreateContactInput)
		for name, before := range was {
			after, changed := is[name], !cmp.Equal(before, is[name])
			switch before := before.(type) {
			case string:
				said, _ := given[name].(string)
				if changed && (after == "" || strings.Trim(said, " \u3164\u200b") == "") {
					rt.Fatalf("%s: %q became %q, and the upsert has %q", name, before, after, said)
				}
			case map[string]any:
				is, _ := after.(map[string]any)
				for member := range before {
					if _, kept := is[member]; !kept {
						rt.Fatalf("%s lost %q", name, member)
					}
				}
			case []any:
				is, _ := after.([]any)
				for _, one := range before {
					if !slices.ContainsFunc(is, func(other any) bool { return sameElement(one, other) }) {
						rt.Fatalf("%s lost %v", name, one)
					}
				}
			}
		}

		blanks := input(blank)
		last := w.upsert(t, blanks)
		if diff := cmp.Diff(got, last.Contact); diff != "" || last.Result != contacts.ResultUnchanged {
			rt.Fatalf("an upsert of blanks: %s (-was +is):\n%s", last.Result, diff)
		}
	})
}

// decodedInput returns the JSON form of an input.
func decodedInput(t *testing.T, in contacts.CreateContactInput) map[string]any {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, string(text))
}

// sameElement reports whether two tags, or two phone numbers, are the same one.
func sameElement(a, b any) bool {
	x, phone := a.(map[string]any)
	if !phone {
		return a == b
	}
	return x["phone_number"] == b.(map[string]any)["phone_number"]
}

// wantResult fails the test unless result, version and changes agree.
func wantResult(t *testing.T, got *contacts.UpsertResult, stored *contacts.Contact) {
	t.Helper()
	result, version := contacts.ResultUnchanged, stored.Version
	changes := contacts.Changes(stored, got.Contact)
	if changes != nil {
		result, version = contacts.ResultUpdated, version+1
	}
	if got.Result != result || got.Contact.Version != version {
		t.Errorf("got %s with version %d, want %s with %d", got.Result, got.Contact.Version, result, version)
	}
	if diff := cmp.Diff(changes, got.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]contacts.Conflict{{Field: "email", ContactID: stored.ID}}, got.Matched); diff != "" {
		t.Errorf("matched (-want +got):\n%s", diff)
	}
}

func decoded(t *testing.T, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// fields returns what a contact says of the person, without ids of phone numbers.
func fields(t *testing.T, c *contacts.Contact) map[string]any {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	m := decoded(t, string(text))
	for _, name := range []string{"updated_at", "version"} {
		delete(m, name)
	}
	if phones, ok := m["phone_numbers"].([]any); ok {
		for _, p := range phones {
			delete(p.(map[string]any), "id")
		}
	}
	return m
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
			if c.err.Code != contacts.CodeAmbiguousMatch || c.err.Message != seen.Message {
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

func TestHiddenHolder(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	stored := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", TeamID: closedTeam})
	in := upsertOf(contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: "Paris"}, nil)
	_, err := w.svc.UpsertContact(t.Context(), w.limitedWriter, in)
	wantConflicts(t, err, contacts.Conflict{Field: "email", Hidden: true})
	if r := w.upsert(t, in); r.Contact.Version != stored.Version+1 {
		t.Errorf("the hidden contact was touched: version %d", r.Contact.Version)
	}
	_, err = w.svc.UpsertContact(t.Context(), w.key, in)
	wantError(t, err, contacts.CodePermissionDenied)
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
		remove(w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"}).ID)
		in.UpdateOnly = true
		_, err := w.svc.UpsertContact(t.Context(), w.writer, in)
		wantError(t, err, contacts.CodeNotFound)
		in.UpdateOnly = false
		if r := w.upsert(t, in); r.Result != contacts.ResultCreated {
			t.Errorf("with two deleted: got %s", r.Result)
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
		created := w.upsert(t, once("one", ""))
		updated := w.upsert(t, once("two", "Paris"))
		unchanged := w.upsert(t, once("three", "Paris"))
		for i, c := range []struct {
			in   contacts.UpsertContactInput
			want *contacts.UpsertResult
		}{
			{once("one", ""), &contacts.UpsertResult{Contact: created.Contact, Result: contacts.ResultCreated, Replayed: true}},
			{once("two", "Paris"), &contacts.UpsertResult{Contact: updated.Contact, Result: contacts.ResultUpdated, Replayed: true}},
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
