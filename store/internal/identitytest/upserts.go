package identitytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// storedForUpsert is the contact that a case of the table meets. Each has an e-mail
// address of its own in the place of %s.
const storedForUpsert = `{
	"first_name": "Ada", "company": "Acme", "email": %q, "stage": "customer", "tags": ["vip", "math"],
	"phone_numbers": [{"phone_number": "+15551234567"}],
	"custom_context": {"source": "web", "address": {"street": "Main St", "floor": null}}
}`

// refused is in place of a patch where the upsert is refused.
const refused = ""

// upsertCases have the JSON merge patch that turns the stored contact into the one that
// an upsert of each mode leaves. The last one lists the number of all.
var upsertCases = []struct {
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
	{"tags in their place", `{"tags": ["new"], "tags_mode": "replace"}`, refused, `{"tags": ["new"]}`},
	{"a team", `{"team_id": 1}`, `{"team_id": 1}`, `{"team_id": 1}`},
	{"an external id", `{"external_id": "A-1"}`, `{"external_id": "A-1"}`, `{"external_id": "A-1"}`},
	{"a type of its number", `{"phone_numbers": [{"phone_number": "+1 555 123 4567", "phone_type": "home"}]}`,
		`{"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "home", "primary": true, "do_not_call": false}]}`,
		`{"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "home", "primary": true, "do_not_call": false}]}`},
	{"another number", `{"phone_numbers": [{"phone_number": "+12025550100", "primary": true}]}`,
		`{"phone_numbers": [{"phone_number": "+15551234567", "primary": true, "do_not_call": false}, {"phone_number": "+12025550100", "primary": false, "do_not_call": false}]}`,
		`{"phone_numbers": [{"phone_number": "+15551234567", "primary": false, "do_not_call": false}, {"phone_number": "+12025550100", "primary": true, "do_not_call": false}]}`},
	{"a context", `{"custom_context": {"source": "phone", "score": 7, "none": null, "address": {"street": "Other St", "floor": 2, "city": "Paris"}}, "industry_context": {"field": "law"}}`,
		`{"custom_context": {"source": "web", "score": 7, "address": {"street": "Main St", "floor": null, "city": "Paris"}}, "industry_context": {"field": "law"}}`,
		`{"custom_context": {"source": "phone", "score": 7, "address": {"street": "Other St", "floor": 2, "city": "Paris"}}, "industry_context": {"field": "law"}}`},
	{"its number, not to be called", `{"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "work", "do_not_call": true}]}`,
		`{"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "work", "primary": true, "do_not_call": true, "dnc_date": "2026-01-02T12:00:00.123456Z"}]}`,
		`{"phone_numbers": [{"phone_number": "+15551234567", "phone_type": "work", "primary": true, "do_not_call": true, "dnc_date": "2026-01-02T12:00:00.123456Z"}]}`},
}

// upsertTable makes the upserts of the table from JSON and from Go.
func upsertTable(t *testing.T, s *scene) {
	for _, mode := range []contacts.UpsertMode{contacts.UpsertFill, contacts.UpsertOverwrite} {
		for _, fromGo := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/from Go=%t", mode, fromGo), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, s.stores)
				s.use(t, contacts.Options{Now: noon})
				for i, c := range upsertCases {
					address := fmt.Sprintf("ada.%d@example.com", i)
					stored, err := s.service().CreateContactJSON(t.Context(), s.key, strings.NewReader(fmt.Sprintf(storedForUpsert, address)))
					if err != nil {
						t.Fatalf("%s: %v", c.name, err)
					}
					body := decoded(t, c.in)
					body["first_name"], body["email"], body["match_on"], body["mode"] = "Ada", strings.ToUpper(address[:3])+address[3:], []string{"email"}, mode
					text, err := json.Marshal(body)
					if err != nil {
						t.Fatal(err)
					}
					got, err := s.upsertText(t, text, fromGo)
					patch := c.fill
					if mode == contacts.UpsertOverwrite {
						patch = c.overwrite
					}
					if patch == refused {
						wantDetail(t, err, contacts.FieldError{Field: "tags_mode", Code: contacts.FieldInvalid})
						continue
					}
					if err != nil {
						t.Fatalf("%s: %v", c.name, err)
					}
					wanted := fields(t, stored)
					maps.Copy(wanted, decoded(t, patch))
					if mode == contacts.UpsertOverwrite {
						wanted["email"] = body["email"]
					}
					if diff := cmp.Diff(wanted, fields(t, got.Contact)); diff != "" {
						t.Errorf("%s: contact (-want +got):\n%s", c.name, diff)
					}
					want := contacts.UpsertResult{
						Contact: got.Contact, Result: contacts.ResultUnchanged, Matched: []contacts.Conflict{{Field: "email", ContactID: stored.ID}},
						Changes: contacts.Changes(stored, got.Contact),
					}
					if want.Changes != nil {
						want.Result = contacts.ResultUpdated
					}
					if diff := cmp.Diff(&want, got); diff != "" {
						t.Errorf("%s: result (-want +got):\n%s", c.name, diff)
					}
					if raised := got.Contact.Version - stored.Version; raised != int64(min(len(want.Changes), 1)) {
						t.Errorf("%s: %d changes, and the version was raised by %d", c.name, len(want.Changes), raised)
					}
					read, err := s.service().GetContact(t.Context(), s.key, stored.ID)
					if diff := cmp.Diff(got.Contact, read); diff != "" || err != nil {
						t.Errorf("%s: read back: %v (-result +stored):\n%s", c.name, err, diff)
					}
				}
			})
		}
	}
}

// upsertText makes the upsert of a JSON body, or of the same input from Go.
func (s *scene) upsertText(t testing.TB, text []byte, fromGo bool) (*contacts.UpsertResult, error) {
	t.Helper()
	if !fromGo {
		return s.service().UpsertContactJSON(t.Context(), s.key, "", bytes.NewReader(text))
	}
	var in contacts.UpsertContactInput
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	return s.service().UpsertContact(t.Context(), s.key, in)
}

// fields returns what a contact says of the person, without ids of phone numbers.
func fields(t testing.TB, c *contacts.Contact) map[string]any {
	t.Helper()
	m := jsonOf(t, c)
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

// jsonOf returns the members of the JSON form of v.
func jsonOf(t testing.TB, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, string(text))
}

func decoded(t testing.TB, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// blankNeverClears: whatever an upsert has, a field that it leaves blank stays as it was,
// and nothing of a contact is lost but what is replaced. An upsert of blanks changes
// nothing.
func blankNeverClears(t *testing.T, s *scene) {
	blank := rapid.SampledFrom([]string{"", " ", "\u3164", "\u200b"})
	said := rapid.OneOf(blank, rapid.SampledFrom([]string{"a", "b"}))
	people := 0
	tries(t, longtest.Extent(10, 100), func(rt *rapid.T) {
		people++
		address, externalID := fmt.Sprintf("ada.%d@example.com", people), fmt.Sprint(people)
		input := func(text *rapid.Generator[string]) (in contacts.UpsertContactInput) {
			in.FirstName, in.Email, in.MatchOn = "Ada", address, []contacts.KeyKind{contacts.KeyEmail}
			in.Mode = rapid.SampledFrom([]contacts.UpsertMode{contacts.UpsertFill, contacts.UpsertOverwrite}).Draw(rt, "mode")
			for _, field := range []*string{
				&in.LastName, &in.Company, &in.Address, &in.City, &in.State, &in.ZipCode, &in.Status, &in.Stage,
			} {
				*field = text.Draw(rt, "text")
			}
			return in
		}
		full := func() contacts.UpsertContactInput {
			in := input(said)
			in.Tags, in.CustomContext = dryTags.Draw(rt, "tags"), dryContexts.Draw(rt, "context")
			for _, p := range dryPhones(rt) {
				p.PhoneType = said.Draw(rt, "phone type")
				if !slices.ContainsFunc(in.PhoneNumbers, func(other contacts.PhoneNumberInput) bool { return sameLine(other, p) }) {
					in.PhoneNumbers = append(in.PhoneNumbers, p)
				}
			}
			return in
		}
		upsert := func(in contacts.UpsertContactInput) *contacts.UpsertResult {
			r, err := s.service().UpsertContact(t.Context(), s.key, in)
			if err != nil {
				rt.Fatal(err)
			}
			return r
		}
		first := full()
		first.ExternalID = externalID
		stored := upsert(first).Contact
		second := full()
		second.ExternalID = rapid.SampledFrom([]string{"", " ", externalID}).Draw(rt, "external id")
		got := upsert(second).Contact
		is, given := fields(t, got), jsonOf(t, second.CreateContactInput)
		for name, before := range fields(t, stored) {
			after := is[name]
			switch before := before.(type) {
			case string:
				text, _ := given[name].(string)
				if after != before && (after == "" || strings.Trim(text, " \u3164\u200b") == "") {
					rt.Fatalf("%s: %q became %q, and the upsert has %q", name, before, after, text)
				}
			case map[string]any:
				after, _ := after.(map[string]any)
				for member := range before {
					if _, kept := after[member]; !kept {
						rt.Fatalf("%s lost %q", name, member)
					}
				}
			case []any:
				after, _ := after.([]any)
				for _, one := range before {
					if !slices.ContainsFunc(after, func(other any) bool { return sameElement(one, other) }) {
						rt.Fatalf("%s lost %v", name, one)
					}
				}
			}
		}
		last := upsert(input(blank))
		if diff := cmp.Diff(got, last.Contact); diff != "" || last.Result != contacts.ResultUnchanged {
			rt.Fatalf("an upsert of blanks: %s (-was +is):\n%s", last.Result, diff)
		}
	})
}

// sameLine reports whether two inputs have the same number, however it is written.
func sameLine(a, b contacts.PhoneNumberInput) bool {
	return strings.ReplaceAll(a.PhoneNumber, " ", "") == strings.ReplaceAll(b.PhoneNumber, " ", "")
}

// sameElement reports whether two tags, or two phone numbers, are the same one.
func sameElement(a, b any) bool {
	x, phone := a.(map[string]any)
	if !phone {
		return a == b
	}
	return x["phone_number"] == b.(map[string]any)["phone_number"]
}

// The only holder is in a team that the key may not access. Nothing touches it, and the
// words are those for every key.
func hiddenHolder(t *testing.T, s *scene) {
	in := named("ada")
	in.TeamID = closedTeam
	holder := s.create(t, in).Contact
	in.TeamID, in.City = 0, "Paris"
	create := func(key string) error {
		_, err := s.service().CreateContact(t.Context(), key, in)
		return err
	}
	upsert := func(key string) error {
		_, err := s.service().UpsertContact(t.Context(), key, contacts.UpsertContactInput{CreateContactInput: in})
		return err
	}
	s.setPolicy(t, contacts.DuplicatePolicy{Action: contacts.DuplicateReject})
	seen := create(s.key)
	wantError(t, seen, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: holder.ID})
	for _, c := range []struct {
		policy contacts.DuplicatePolicy
		call   func(key string) error
	}{
		{contacts.DuplicatePolicy{Action: contacts.DuplicateAllow}, upsert},
		{contacts.DuplicatePolicy{Action: contacts.DuplicateReject}, create},
		{contacts.DuplicatePolicy{Action: contacts.DuplicateReject}, upsert},
		{contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting}, create},
		{contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert}, create},
	} {
		s.setPolicy(t, c.policy)
		before := s.stored(t)
		err := c.call(s.limited)
		wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", Hidden: true})
		if err.Error() != seen.Error() {
			t.Errorf("%v: the key is told %q, and one that may see the contact %q", c.policy, err, seen)
		}
		if diff := cmp.Diff(before, s.stored(t)); diff != "" {
			t.Errorf("%v: what is stored (-before +after):\n%s", c.policy, diff)
		}
	}
	if err := upsert(s.key); err != nil {
		t.Errorf("a key that may see the contact: %v", err)
	}
	wantError(t, upsert(s.reader(t)), contacts.CodePermissionDenied)
}
