package contactshttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactstest"
	"example.com/contacts/internal/longtest"
)

func ExampleOpenAPI() {
	var description struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(contactshttp.OpenAPI("/crm/v1"), &description); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("OpenAPI", description.OpenAPI)
	for _, path := range slices.Sorted(maps.Keys(description.Paths)) {
		fmt.Println(path)
	}
	// Output:
	// OpenAPI 3.1.1
	// /crm/v1/contacts
	// /crm/v1/contacts/batch
	// /crm/v1/contacts/create
	// /crm/v1/contacts/duplicates
	// /crm/v1/contacts/upsert
	// /crm/v1/contacts/{id}
	// /crm/v1/contacts/{id}/history
	// /crm/v1/contacts/{id}/restore
	// /crm/v1/contacts/{id}/update
	// /crm/v1/do-not-call
	// /crm/v1/do-not-call/batch
	// /crm/v1/do-not-call/check
	// /crm/v1/do-not-call/grant
	// /crm/v1/events
	// /crm/v1/openapi.json
}

// TestOpenAPI compares the handler with its description, both ways. Every answer
// must be as described. In the end, everything described must have been seen.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	d := loadDescription(t)
	s := newProof(t, d)
	for _, group := range []struct {
		name string
		run  func(*testing.T, *proof)
	}{
		{"paths and methods", proveRoutes},
		{"the life of a contact", proveLife},
		{"lists", proveLists},
		{"identity", proveIdentity},
		{"duplicate policies", provePolicies},
		{"dry runs", proveDryRuns},
		{"dry runs of batches", proveDryBatches},
		{"dry runs of blocks", proveDryBlocks},
		{"duplicates", proveDuplicates},
		{"damaged contacts", proveDamage},
		{"batches", proveBatches},
		{"events", proveEvents},
		{"errors of every operation", proveCommonErrors},
		{"errors of bodies", proveBodyErrors},
		{"errors of contacts", proveContactErrors},
		{"conditions", proveConditions},
		{"teams", proveTeams},
		{"codes of fields", proveFieldCodes},
		{"do not call", proveDoNotCall},
		{"the do-not-call list", proveDoNotCallList},
		{"values", proveValues},
		{"limits of bodies", proveBodyLimits},
		{"limits of parameters", proveParameterLimits},
		{"defaults", proveDefaults},
		{"names of fields", proveNames},
		{"codes", proveCodes},
		{"examples", proveExamples},
	} {
		t.Run(group.name, func(t *testing.T) { group.run(t, s.in(t)) })
	}
	if t.Failed() {
		return // a failed group may not have seen its part
	}
	all := d.described()
	for _, what := range slices.Sorted(maps.Keys(all)) {
		if all[what] && !d.seen[what] {
			t.Errorf("described, but never seen: %s", what)
		}
	}
}

// TestKeyInQueryIsDescribedWhereItIsAccepted: a generated client sends a key in every
// place that the description offers.
func TestKeyInQueryIsDescribedWhereItIsAccepted(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	for _, accepted := range []bool{false, true} {
		h := contactshttp.NewHandler(f.Service, &contactshttp.Options{KeyInQuery: accepted})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", api+"/openapi.json", nil))
		var got struct {
			Security   []map[string]any
			Components struct{ SecuritySchemes map[string]any }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := []string{"bearer", "header"}
		if accepted {
			want = append(want, "query")
		}
		var offered []string
		for _, s := range got.Security {
			offered = slices.AppendSeq(offered, maps.Keys(s))
		}
		if diff := cmp.Diff(want, offered); diff != "" {
			t.Errorf("KeyInQuery %t: security (-want +got):\n%s", accepted, diff)
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got.Components.SecuritySchemes))); diff != "" {
			t.Errorf("KeyInQuery %t: schemes (-want +got):\n%s", accepted, diff)
		}
	}
	if strings.Contains(string(contactshttp.OpenAPI("")), "api_key") {
		t.Error("OpenAPI offers a key in the query, which a handler without options refuses")
	}
}

func proveRoutes(t *testing.T, s *proof) {
	_, paths := s.at("#/paths")
	described := make(map[string][]string)
	for _, op := range s.operations {
		takes := []string{}
		for p := range s.parameters(op) {
			if name, ok := strings.CutPrefix(p, "query "); ok {
				takes = append(takes, name)
			}
		}
		_, body := s.at(op.pointer + "/requestBody/content")
		takes = slices.AppendSeq(takes, maps.Keys(body))
		slices.Sort(takes)
		described[op.method+" "+strings.TrimPrefix(op.path, "/api/v1")] = takes
	}
	if diff := cmp.Diff(contactshttp.Operations(), described, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the operations of the handler (-) and of the description (+), with the parameters and media types that they take:\n%s", diff)
	}
	for path, item := range paths {
		var methods []string
		item := item.(map[string]any)
		for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodPatch, http.MethodPost, http.MethodPut} {
			if item[strings.ToLower(method)] != nil {
				methods = append(methods, method)
			}
		}
		if item["get"] != nil {
			methods = append(methods, http.MethodHead)
		}
		allow := strings.Join(append(methods, http.MethodOptions), ", ")
		concrete := strings.ReplaceAll(path, "{id}", uuid.NewString())
		for _, method := range []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT", "TRACE", "BREW"} {
			a := s.exchange(method, concrete, nil, http.Header{"Authorization": {"Bearer " + s.f.Key}}, "")
			if slices.Contains(methods, method) {
				if a.status == http.StatusMethodNotAllowed {
					t.Errorf("%s %s: got 405", method, path)
				}
				continue
			}
			if a.status != http.StatusMethodNotAllowed && method != "HEAD" {
				t.Errorf("%s %s: got %d, want 405", method, path, a.status)
			}
			if got := a.header.Get("Allow"); got != allow {
				t.Errorf("%s %s: got Allow %q, want %q", method, path, got, allow)
			}
			if method != "HEAD" {
				pointer, node := s.at("#/components/responses/MethodNotAllowed")
				s.checkAnswer("method_not_allowed", pointer, node, a)
			}
		}
		if a := s.exchange(http.MethodOptions, concrete, nil, nil, ""); a.status != http.StatusNoContent || a.header.Get("Allow") != allow {
			t.Errorf("OPTIONS %s: got %d, Allow %q, want 204, %q", path, a.status, a.header.Get("Allow"), allow)
		}
	}
	for _, path := range []string{"/", "/api/v1", "/api/v1/contact", "/api/v1/contacts/x/y"} {
		a := s.exchange(http.MethodGet, path, nil, nil, "")
		if a.status != http.StatusNotFound || a.code() != "not_found" {
			t.Errorf("%s: got %d %s, want 404 not_found", path, a.status, a.code())
		}
		pointer, node := s.at("#/components/responses/NotFound")
		s.checkAnswer("not_found", pointer, node, a)
	}
}

func proveLife(t *testing.T, s *proof) {
	r := s.valid("getOpenAPI")
	r.header.Set("X-Request-ID", "mine")
	if a := s.want(200, "", r); a.text != string(contactshttp.Describe(true)) || a.header.Get("X-Request-ID") != "mine" {
		t.Error("the handler serves another description")
	}
	for _, op := range s.operations {
		for _, key := range []asked{
			{header: http.Header{"X-Request-Id": {"mine"}}},
			{header: http.Header{"X-Api-Key": {s.f.Key}}},
			{query: url.Values{"api_key": {s.f.Key}}},
		} {
			if op.open && (key.query != nil || key.header["X-Api-Key"] != nil) {
				continue
			}
			r := s.valid(op.id)
			r.header = key.header
			maps.Copy(r.query, key.query)
			if a := s.send(r); a.status >= 300 {
				t.Errorf("%s: got %d %s", op.id, a.status, a.text)
			}
		}
	}
	create := s.valid("createContact")
	create.header.Set("Idempotency-Key", "once")
	first, again := s.want(201, "", create), s.want(201, "", create)
	if first.text != again.text || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("got %s, then %s", first.text, again.text)
	}
	if location := s.exchange(http.MethodGet, first.header.Get("Location"), nil, http.Header{"X-Api-Key": {s.f.Key}}, ""); location.text != first.text {
		t.Errorf("at Location: got %s, want %s", location.text, first.text)
	}
	create.body = `{"first_name": "Jane"}`
	s.want(409, "idempotency_conflict", create)
	for _, op := range []string{"replaceContact", "updateContact"} {
		change := s.valid(op)
		change.body = s.want(200, "", asked{op: "getContact", id: change.id}).text
		if sent := s.want(200, "", change); sent.taken() && sent.body.(map[string]any)["full_name"] != "John Doe" {
			t.Errorf("%s: what was read became %s", op, sent.text)
		}
	}
	merge := s.valid("updateContact")
	merge.header.Set("Content-Type", "application/merge-patch+json")
	s.want(200, "", merge)
}

func proveLists(t *testing.T, s *proof) {
	for range 3 {
		s.contact()
	}
	for query, n := range map[string]int{
		"":                                -1,
		"stage=lead&status=not_contacted": -1,
		"tag=none":                        0,
		"search=doe&limit=2":              2,
		"phone_number=%2B1+555+123-4567":  -1,
		"email=nobody@example.com":        0,
		"email=NOBODY@example.com&match_email=true": 0,
		"external_id=none":                          0,
		"match_email=false&limit=1":                 1,
		"deleted=true":                              -1,
		"updated_after=2000-01-01T00:00:00Z":        -1,
		"updated_after=9999-12-31T23:59:59Z":        0,
		"page=2&limit=1":                            1,
		"cursor=&limit=1":                           1,
		"cursor=":                                   -1,
		"team_id=" + fmt.Sprint(s.f.Team.ID):        0,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		a := s.want(200, "", asked{op: "listContacts", query: values})
		body, _ := a.body.(map[string]any)
		list, _ := body["contacts"].([]any)
		if n >= 0 && len(list) != n || n < 0 && len(list) == 0 {
			t.Errorf("%q: got %d contacts, want %d", query, len(list), n)
		}
		_, counted := body["count"]
		if counted == values.Has("cursor") {
			t.Errorf("%q: got %v", query, body)
		}
		if cursor, ok := body["next_cursor"].(string); ok && values.Has("cursor") {
			values.Set("cursor", cursor)
			s.want(200, "", asked{op: "listContacts", query: values})
		}
	}
	s.want(404, "team_not_found", asked{op: "listContacts", query: url.Values{"team_id": {"999"}}})
	s.want(403, "team_access_denied", asked{
		op: "listContacts", query: url.Values{"team_id": {fmt.Sprint(s.other.ID)}}, header: http.Header{"X-Api-Key": {s.limited}},
	})
	s.want(400, "validation_error", asked{op: "listContacts", query: url.Values{"page": {"1"}, "cursor": {""}}})
}

func proveDuplicates(t *testing.T, s *proof) {
	create := s.valid("createContact")
	for _, email := range []string{"twin@example.com", "Twin@example.com", "TWIN@example.com", "other@example.com", "Other@example.com"} {
		create.body = fmt.Sprintf(`{"first_name": "Ada", "email": %q}`, email)
		s.want(201, "", create)
	}
	ask := func(query string) map[string]any {
		t.Helper()
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := s.want(200, "", asked{op: "findDuplicates", query: values}).body.(map[string]any)
		return body
	}
	counts := make(map[string]bool)
	pages := 0
	for cursor := any(""); cursor != nil && pages < 9; pages++ {
		page := ask("key=email&limit=1&cursor=" + cursor.(string))
		for _, g := range page["groups"].([]any) {
			g := g.(map[string]any)
			first := g["contacts"].([]any)[0].(map[string]any)
			counts[fmt.Sprint(g["key"], " ", g["count"], " ", first["email"])] = true
		}
		cursor = page["next_cursor"]
	}
	if want := map[string]bool{"email 3 twin@example.com": true, "email 2 other@example.com": true}; !maps.Equal(want, counts) || pages != 2 {
		t.Errorf("on %d pages: %v, want %v", pages, counts, want)
	}
	if groups := ask("key=external_id&limit=100")["groups"].([]any); len(groups) != 0 {
		t.Errorf("got %v, but external ids are unique", groups)
	}
	if page := ask(""); page["limit"] != json.Number("25") || len(page["groups"].([]any)) < 2 {
		t.Errorf("got %v", page)
	}
	for query, field := range map[string]string{
		"key=": "key", "key=name": "key", "key=Email": "key", "limit=0": "limit", "limit=101": "limit", "limit=": "limit",
		"cursor=x": "cursor", "cursor=AQGZtaR8Hn06nwA8WyoeTW8": "cursor",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		a := s.want(400, "validation_error", asked{op: "findDuplicates", query: values})
		if len(a.fields()) != 1 || !strings.HasPrefix(a.fields()[0], field+" ") {
			t.Errorf("%s: got %s", query, a.text)
		}
	}
}

func proveDamage(t *testing.T, s *proof) {
	create := s.valid("createContact")
	create.body = `{"first_name": "Ada", "email": "damaged@example.com"}`
	s.want(201, "", create)
	id := s.want(201, "", create).body.(map[string]any)["id"].(string)
	s = s.with(s.service(nil, func(store contacts.Store) contacts.Store {
		return &damagedStore{Store: store, id: uuid.MustParse(id)}
	}), contactshttp.Options{RateLimit: 1_000_000})
	for query, op := range map[string]string{
		"page=1&limit=1": "listContacts", "cursor=&limit=1": "listContacts", "key=email&limit=100": "findDuplicates",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if a := s.want(200, "", asked{op: op, query: values}); !strings.Contains(a.text, `"damaged":["`+id+`"]`) {
			t.Errorf("%s: %s", query, a.text)
		}
	}
}

func proveIdentity(t *testing.T, s *proof) {
	create := s.valid("createContact")
	create.body = `{"first_name": "Ada", "external_id": "A-1", "email": "ada@example.com"}`
	ada := s.want(201, "", create)
	wantConflict := func(a *answered, conflicts string) {
		t.Helper()
		body, _ := a.body.(map[string]any)
		got, err := json.Marshal(body["conflicts"])
		if err != nil || string(got) != conflicts {
			t.Errorf("got the conflicts %s, %v, want %s", got, err, conflicts)
		}
	}
	id := func(a *answered) string { return a.body.(map[string]any)["id"].(string) }
	taken := fmt.Sprintf(`[{"contact_id":%q,"field":"external_id"}]`, id(ada))
	wantConflict(s.want(409, "duplicate_contact", create), taken)
	for _, op := range []string{"replaceContact", "updateContact"} {
		r := s.valid(op)
		r.body = `{"first_name": "Bob", "external_id": "A-1"}`
		wantConflict(s.want(409, "duplicate_contact", r), taken)
	}
	batch := s.valid("createContacts")
	batch.body = `{"contacts": [{"first_name": "Bob", "external_id": "B-1"}, {"first_name": "Bob", "external_id": "B-1"}]}`
	if a := s.want(200, "", batch); !strings.Contains(a.text, `"index":0`) || !strings.Contains(a.text, "duplicate_contact") {
		t.Errorf("got %s", a.text)
	}

	s.want(204, "", asked{op: "deleteContact", id: id(ada)})
	again := s.want(201, "", create)
	if twin := again.header.Get("Contacts-Deleted-Twin"); twin != id(ada) {
		t.Errorf("got the deleted twin %q, want %s", twin, id(ada))
	}
	s.want(409, "duplicate_contact", asked{op: "restoreContact", id: id(ada)})
	s.want(204, "", asked{op: "deleteContact", id: id(again)})
	batch.body = `{"contacts": [{"first_name": "Ada", "external_id": "A-1"}]}`
	if a := s.want(200, "", batch); !strings.Contains(a.text, fmt.Sprintf(`"deleted_twin":%q`, id(again))) {
		t.Errorf("got %s", a.text)
	}

	upsert := func(status int, body, result string) *answered {
		t.Helper()
		r := s.valid("upsertContact")
		r.body = body
		a := s.want(status, "", r)
		if got := a.header.Get("Contacts-Result"); got != result {
			t.Errorf("%s: got %q, want %q", body, got, result)
		}
		return a
	}
	cy := upsert(201, `{"first_name": "Cy", "email": "cy@example.com"}`, "created")
	upsert(200, `{"first_name": "Cy", "email": "CY@example.com", "city": "Rome"}`, "updated")
	same := upsert(200, `{"first_name": "Cy", "email": "cy@example.com", "match_on": ["email"]}`, "unchanged")
	if at := s.exchange(http.MethodGet, same.header.Get("Location"), nil, http.Header{"X-Api-Key": {s.f.Key}}, ""); at.text != same.text || id(at) != id(cy) {
		t.Errorf("at Location: got %s, want %s", at.text, same.text)
	}
	s.want(204, "", asked{op: "deleteContact", id: id(cy)})
	upsert(200, `{"first_name": "Cy", "email": "cy@example.com", "restore_deleted": true}`, "restored")

	hidden := s.valid("createContact")
	hidden.body = fmt.Sprintf(`{"first_name": "Di", "team_id": %d, "phone_numbers": [{"phone_number": "+12025550147"}]}`, s.other.ID)
	s.want(201, "", hidden)
	both := s.valid("upsertContact")
	both.header.Set("X-API-Key", s.limited)
	both.body = `{"first_name": "Cy", "email": "cy@example.com", "phone_numbers": [{"phone_number": "+12025550147"}]}`
	wantConflict(s.want(409, "ambiguous_match", both),
		fmt.Sprintf(`[{"contact_id":%q,"field":"email"},{"field":"phone_numbers[0].phone_number","hidden":true}]`, id(cy)))
	both.body = `{"first_name": "Di", "phone_numbers": [{"phone_number": "+12025550147"}]}`
	s.want(409, "duplicate_contact", both)
	both.body = `{"first_name": "Eve", "email": "eve@example.com", "update_only": true}`
	s.want(404, "not_found", both)

	once := s.valid("upsertContact")
	once.header.Set("Idempotency-Key", "upsert once")
	if first, replay := s.want(201, "", once), s.want(201, "", once); first.text != replay.text || replay.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("got %s, then %s", first.text, replay.text)
	}
	update := s.valid("upsertContact")
	update.header.Set("Idempotency-Key", "upsert twice")
	update.body = `{"first_name": "Cy", "email": "cy@example.com", "company": "Acme"}`
	if first, replay := s.want(200, "", update), s.want(200, "", update); first.text != replay.text || replay.header.Get("Contacts-Result") != "updated" {
		t.Errorf("got %s, then %s", first.text, replay.text)
	}
	once.body = `{"first_name": "Eve"}`
	s.want(409, "idempotency_conflict", once)
}

// provePolicies lets a create return or change the contact that is there.
func provePolicies(t *testing.T, s *proof) {
	policy := func(p contacts.DuplicatePolicy) {
		t.Helper()
		if err := s.f.Admin.SetDuplicatePolicy(t.Context(), s.f.Account.ID, p); err != nil {
			t.Fatal(err)
		}
	}
	defer policy(contacts.DuplicatePolicy{Action: contacts.DuplicateAllow})
	create := func(status int, result, body string) *answered {
		t.Helper()
		r := s.valid("createContact")
		r.body = body
		a := s.want(status, "", r)
		if got := a.header.Get("Contacts-Result"); got != result {
			t.Errorf("%s: got %q, want %q", body, got, result)
		}
		return a
	}
	id := func(a *answered) string { return a.body.(map[string]any)["id"].(string) }
	const ada, rome = `{"first_name": "Ada", "email": "ada@policy.example.com"}`, `{"first_name": "A", "email": "ada@policy.example.com", "city": "Rome"}`

	policy(contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting})
	first := create(201, "created", ada)
	existing := create(200, "existing", rome)
	if existing.text != first.text || existing.header.Get("ETag") != first.header.Get("ETag") {
		t.Errorf("got %s, want %s", existing.text, first.text)
	}
	if at := s.exchange(http.MethodGet, existing.header.Get("Location"), nil, http.Header{"X-Api-Key": {s.f.Key}}, ""); at.text != first.text {
		t.Errorf("at Location: got %s, want %s", at.text, first.text)
	}
	policy(contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert})
	updated := create(200, "updated", rome)
	if id(updated) != id(first) || updated.header.Get("ETag") != `"v2"` {
		t.Errorf("got %s, %v", updated.text, updated.header)
	}
	create(200, "unchanged", rome)

	once := s.valid("createContact")
	once.header.Set("Idempotency-Key", "policy once")
	once.body = `{"first_name": "Ada", "email": "ada@policy.example.com", "company": "Acme"}`
	if a, replay := s.want(200, "", once), s.want(200, "", once); a.text != replay.text || replay.header.Get("Contacts-Result") != "updated" {
		t.Errorf("got %s, then %s", a.text, replay.text)
	}
	create(201, "created", `{"first_name": "Bob", "external_id": "policy B"}`)
	r := s.valid("createContact")
	r.body = `{"first_name": "Bob", "external_id": "policy B", "email": "ada@policy.example.com"}`
	s.want(409, "ambiguous_match", r)

	policy(contacts.DuplicatePolicy{Action: contacts.DuplicateReject, Keys: []contacts.KeyKind{contacts.KeyPhoneNumber}, PhoneForms: true})
	create(201, "created", `{"first_name": "Di", "phone_numbers": [{"phone_number": "+5511987654321"}]}`)
	r.body = `{"first_name": "Di", "phone_numbers": [{"phone_number": "+551187654321"}]}`
	if a := s.want(409, "duplicate_contact", r); !strings.Contains(a.text, `"form":"br_ninth_digit"`) {
		t.Errorf("got %s", a.text)
	}
	policy(contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert})
	r.body = `{"first_name": "Bob", "external_id": "policy B", "email": "ada@policy.example.com"}`

	batch := s.valid("createContacts")
	batch.body = `{"contacts": [` + rome + `, {"first_name": "Ada", "email": "ada@policy.example.com", "website": "https://ada.example.com"}, ` +
		`{"first_name": "Cy", "email": "cy@policy.example.com"}, ` + r.body + `]}`
	counts := func(a *answered) string {
		body := a.body.(map[string]any)
		return fmt.Sprintf("%v %v %v %v %v", body["created"], body["existing"], body["updated"], body["unchanged"], body["failed"])
	}
	if a := s.want(200, "", batch); counts(a) != "1 <nil> 1 1 1" {
		t.Errorf("got the counts %s: %s", counts(a), a.text)
	}
	policy(contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting})
	batch.body = `{"contacts": [` + ada + `]}`
	if a := s.want(200, "", batch); counts(a) != "0 1 <nil> <nil> 0" {
		t.Errorf("got the counts %s: %s", counts(a), a.text)
	}

	s.want(204, "", asked{op: "deleteContact", id: id(first)})
	s.want(404, "not_found", once)
	batch.body = `{"contacts": [` + strings.Replace(once.body, "{", `{"idempotency_key": "policy once", `, 1) + `]}`
	if a := s.want(200, "", batch); !strings.Contains(a.text, `"status":404`) {
		t.Errorf("got %s", a.text)
	}
	upsert := s.valid("upsertContact")
	upsert.body = ada
	if a := s.want(201, "", upsert); a.header.Get("Contacts-Deleted-Twin") != id(first) {
		t.Errorf("got the deleted twin %q, want %s", a.header.Get("Contacts-Deleted-Twin"), id(first))
	}
}

func proveEvents(t *testing.T, s *proof) {
	ctx := contacts.WithEventSource(t.Context(), "import:test")
	results, err := s.f.Service.CreateContacts(ctx, s.f.Key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "Ada"}, {FirstName: "Bob"}}})
	if err != nil {
		t.Fatal(err)
	}
	ada, bob := results[0].Contact, results[1].Contact
	change := asked{op: "updateContact", id: ada.ID.String(), body: `{"city": "Rome"}`}
	s.want(200, "", change)
	s.want(204, "", asked{op: "deleteContact", id: bob.ID.String()})
	if _, err := s.f.Admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: s.f.Account.ID, ContactID: bob.ID}); err != nil {
		t.Fatal(err)
	}
	events := func(query string) []any {
		t.Helper()
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		return s.want(200, "", asked{op: "listEvents", query: values}).body.(map[string]any)["events"].([]any)
	}
	last, err := s.f.Admin.LastSequence(ctx, s.f.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		fmt.Sprint("after=", last-5):                              5,
		"after=0&limit=2":                                         2,
		"limit=1000&type=contact.purged&type=contact.erased":      1,
		fmt.Sprint("after=", last):                                0,
		"contact_id=" + ada.ID.String():                           2,
		"contact_id=" + ada.ID.String() + "&type=contact.updated": 1,
	} {
		if got := events(query); len(got) != want {
			t.Errorf("%s: got %v", query, got)
		}
	}
	history := s.want(200, "", asked{op: "getContactHistory", id: change.id, query: url.Values{"limit": {"1"}}})
	next := history.body.(map[string]any)["next_before"]
	s.want(200, "", asked{op: "getContactHistory", id: change.id, query: url.Values{"before": {fmt.Sprint(next)}}})

	as := asked{op: "getContact", id: change.id, query: url.Values{"as_of": {ada.UpdatedAt.Format("2006-01-02T15:04:05.999999Z07:00")}}}
	if was := s.want(200, "", as); was.header.Get("ETag") != "" || fmt.Sprint(was.body.(map[string]any)["version"]) != "1" {
		t.Errorf("as of the create: got %s", was.text)
	}
	s.want(404, "not_found", asked{op: "getContact", id: change.id, query: url.Values{"as_of": {"0001-01-01T00:00:00Z"}}})
	as.header = http.Header{"If-None-Match": {`"v1"`}}
	s.want(400, "validation_error", as)
	for query, op := range map[string]string{
		"as_of=yesterday": "getContact", "as_of=9999-01-01T00:00:00Z": "getContact", "before=0": "getContactHistory", "limit=1001": "getContactHistory",
		"limit=0": "listEvents", "after=-1": "listEvents", "type=x": "listEvents", "type=contact.updated&type=x&type=y": "listEvents", "contact_id=x": "listEvents", "contact_id=00000000-0000-0000-0000-000000000000": "listEvents", "after=1&after=2": "listEvents",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		a := s.want(400, "validation_error", asked{op: op, id: change.id, query: values})
		if name, _, _ := strings.Cut(query, "="); len(a.fields()) != 1 || !strings.HasPrefix(a.fields()[0], name+" ") {
			t.Errorf("%s: got %v", query, a.fields())
		}
	}
	for _, after := range []string{"", "x", "-1", "1.5", "99999999999999999999"} {
		a := s.want(400, "validation_error", asked{op: "listEvents", query: url.Values{"after": {after}}})
		if m := a.body.(map[string]any)["message"]; m != "after: must be from 0 to 9223372036854775807" {
			t.Errorf("after=%s: got %v", after, m)
		}
	}

	later := s.with(s.service(&contacts.Options{Now: func() time.Time { return time.Now().AddDate(1, 0, 0) }}, nil), contactshttp.Options{RateLimit: 1_000_000})
	gone := later.want(410, "events_gone", asked{op: "listEvents", query: url.Values{"after": {"1"}}})
	next = gone.body.(map[string]any)["next_sequence"]
	number, err := strconv.ParseInt(fmt.Sprint(next), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	later.want(200, "", asked{op: "listEvents", query: url.Values{"after": {fmt.Sprint(number - 1)}}})
	as.header = nil
	later.want(410, "events_gone", as)

	account, err := s.f.Store.FindAccount(ctx, s.f.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.f.Store.ListJournal(ctx, contacts.JournalQuery{AccountID: account.ID, After: last - 1, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	entries[0].Data = `{"v":1,"type":"contact.updated","version":2,"actor":{"kind":"key"},"changes":null,"redacted":true}`
	if _, err := s.f.Store.Apply(ctx, contacts.MutationBatch{Now: time.Now(), Mutations: []contacts.Mutation{{
		AccountID: account.ID, Settings: account.SettingsVersion, Journal: entries,
	}}}); err != nil {
		t.Fatal(err)
	}
	if got := events(fmt.Sprint("after=", last-1)); fmt.Sprint(got[0].(map[string]any)["redacted"]) != "true" {
		t.Errorf("got %v", got)
	}

	const subject = "+12025550177"
	for op, more := range map[string]string{"blockCalls": "", "grantCalls": `, "reason": "asked", "reference": "form 7"`} {
		s.want(201, "", asked{op: op, body: `{"phone_number": "` + subject + `"` + more + `}`})
	}
	for _, e := range events(fmt.Sprint("after=", last)) {
		entry, _ := e.(map[string]any)["do_not_call"].(map[string]any)
		if entry["phone_number"] != subject || entry["sequence"] != e.(map[string]any)["sequence"] {
			t.Errorf("got %v", e)
		}
	}
	if got := events(fmt.Sprint("after=", last, "&type=do_not_call.granted")); len(got) != 1 {
		t.Errorf("got the grants %v", got)
	}
}

func proveBatches(t *testing.T, s *proof) {
	r := s.valid("createContacts")
	r.body = fmt.Sprintf(`{"contacts": [
		{"first_name": "John", "idempotency_key": "b1"},
		{"last_name": "Doe"},
		{"first_name": "John", "email": "john"},
		{"first_name": "John", "team_id": 999},
		{"first_name": "John", "team_id": %d},
		{"first_name": "Jane", "idempotency_key": "b1"},
		{"first_name": "John", "idempotency_key": "b1"}]}`, s.other.ID)
	r.header.Set("X-API-Key", s.limited)
	a := s.want(200, "", r)
	body, _ := a.body.(map[string]any)
	if fmt.Sprintf("%v %v", body["created"], body["failed"]) != "2 5" {
		t.Errorf("got %v created, %v failed: %s", body["created"], body["failed"], a.text)
	}
	r = s.valid("createContacts")
	r.body = `{"contacts": [{"first_name": "John"}, {"first_name": "Jane", "email": "jane"}], "all_or_nothing": true}`
	s.want(200, "", r)

	broken := s.with(s.service(nil, func(store contacts.Store) contacts.Store { return &conflictingStore{Store: store} }), contactshttp.Options{RateLimit: 1_000_000})
	broken.want(200, "", s.valid("createContacts"))

	r = s.valid("createContacts")
	r.header.Set("Idempotency-Key", "for all of them")
	s.want(400, "validation_error", r)
}

// A conflictingStore creates nothing. Of every stored contact it says that another
// change came first.
type conflictingStore struct{ contacts.Store }

func (s *conflictingStore) Apply(_ context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	outcomes := make([]contacts.MutationOutcome, len(batch.Mutations))
	for i, m := range batch.Mutations {
		if outcomes[i].Err = contacts.ErrConflict; m.Contacts[0].Version == 0 {
			outcomes[i].Err = errors.New("disk on fire")
		}
	}
	return outcomes, nil
}

func proveCommonErrors(t *testing.T, s *proof) {
	rated := s.with(s.f.Service, contactshttp.Options{RateLimit: 1})
	for _, op := range s.operations {
		r := s.valid(op.id)
		r.query = url.Values{"colour": {"red"}}
		if a := s.want(400, "validation_error", r); !slices.Equal(a.fields(), []string{"colour unknown_field"}) {
			t.Errorf("%s: an unknown parameter: got %s", op.id, a.text)
		}
		if op.open {
			continue
		}
		for _, e := range []struct {
			header http.Header
			status int
			code   string
		}{
			{http.Header{"Authorization": {""}}, 401, "authentication_required"},
			{http.Header{"Authorization": {"Bearer wrong"}}, 401, "invalid_key"},
			{http.Header{"X-Api-Key": {s.f.Key}, "Authorization": {"Bearer " + s.limited}}, 401, "invalid_key"},
			{http.Header{"X-Api-Key": {s.nothing}}, 403, "permission_denied"},
		} {
			r := s.valid(op.id)
			r.header = e.header
			s.want(e.status, e.code, r)
			if e.status == 401 {
				rated.want(e.status, e.code, r) // which takes no key in the query
			}
		}
		r = s.valid(op.id)
		s.f.FailNext(contacts.CodeServerError)
		s.want(500, "server_error", r)

		key := s.issue(t, contacts.IssueKeyInput{
			Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}, AllTeams: true,
		})
		for i, status := range []int{0, 429} {
			r := s.valid(op.id)
			r.header.Set("X-API-Key", key)
			if a := rated.send(r); i == 1 && a.status != status {
				t.Errorf("%s: too many requests: got %d %s", op.id, a.status, a.text)
			}
		}
		if strings.Contains(op.path, "{id}") {
			r := s.valid(op.id)
			for _, id := range []string{uuid.NewString(), "none"} {
				r.id = id
				s.want(404, "not_found", r)
			}
		}
	}
}

// bodied returns the operations that take a body.
func (s *proof) bodied() (ops []*operation) {
	for _, op := range s.operations {
		if _, body := s.at(op.pointer + "/requestBody"); body != nil {
			ops = append(ops, op)
			if body["required"] != true {
				s.t.Errorf("%s: the body is not required", op.id)
			}
		}
	}
	return ops
}

func proveBodyErrors(t *testing.T, s *proof) {
	for _, op := range s.bodied() {
		for name, change := range map[string]func(*asked){
			"415 unsupported_media_type plain text": func(r *asked) { r.header.Set("Content-Type", "text/plain") },
			"415 unsupported_media_type compressed": func(r *asked) { r.header.Set("Content-Encoding", "gzip") },
			"400 invalid_json none at all":          func(r *asked) { r.body = "" },
			"400 invalid_json a list":               func(r *asked) { r.body = "[]" },
			"400 invalid_json twice":                func(r *asked) { r.body = `{"tags": [], "tags": []}` },
			"400 validation_error unknown":          func(r *asked) { r.body = strings.Replace(r.body, "{", `{"phone": "+15551234567", `, 1) },
		} {
			r := s.valid(op.id)
			change(&r)
			words := strings.Fields(name)
			status, _ := strconv.Atoi(words[0])
			a := s.want(status, words[1], r)
			if words[2] == "unknown" && !slices.Equal(a.fields(), []string{"phone unknown_field"}) {
				t.Errorf("%s: got %s", op.id, a.text)
			}
		}
	}
}

func proveContactErrors(t *testing.T, s *proof) {
	for op, body := range map[string]string{
		"createContact":  `{"last_name": "Doe"}`,
		"upsertContact":  `{"last_name": "Doe"}`,
		"replaceContact": `{"last_name": "Doe"}`,
		"updateContact":  `{"first_name": ""}`,
	} {
		r := s.valid(op)
		r.body = body
		if err := s.accepts(s.byID(op), "application/json", body); err == nil {
			t.Errorf("%s: the description accepts %s", op, body)
		}
		s.want(400, "missing_first_name", r)
		r.body = `{"first_name": "John", "email": "john", "phone_numbers": [{"phone_number": "555"}]}`
		a := s.want(400, "validation_error", r)
		if diff := cmp.Diff([]string{"email invalid", "phone_numbers[0].phone_number invalid"}, a.fields()); diff != "" {
			t.Errorf("%s: %s", op, diff)
		}
	}
}

func proveConditions(t *testing.T, s *proof) {
	read := s.valid("getContact")
	read.header.Set("If-None-Match", s.want(200, "", read).header.Get("ETag"))
	s.want(304, "", read)

	broken := s.with(s.service(nil, func(store contacts.Store) contacts.Store { return &conflictingStore{Store: store} }), contactshttp.Options{RateLimit: 1_000_000})
	for _, op := range s.operations {
		if _, takes := s.parameters(op)["header If-Match"]; !takes {
			continue
		}
		r := s.valid(op.id)
		broken.want(409, "conflict", r)
		r.header.Set("If-Match", `"v9"`)
		s.want(412, "conflict", r)
		r.header.Set("If-Match", `"v1", "v2"`)
		if a := s.send(r); a.status >= 300 {
			t.Errorf("%s: If-Match: got %d %s", op.id, a.status, a.text)
		}
		r = s.valid(op.id)
		r.header.Set("If-None-Match", `"v1"`)
		s.want(400, "validation_error", r)
	}
}

func proveTeams(t *testing.T, s *proof) {
	for _, op := range []string{"createContact", "upsertContact", "replaceContact", "updateContact"} {
		for team, want := range map[int64]string{999: "404 team_not_found", s.other.ID: "403 team_access_denied", s.f.Team.ID: "20"} {
			r := s.valid(op)
			r.header.Set("X-API-Key", s.limited)
			r.body = fmt.Sprintf(`{"first_name": "John", "team_id": %d}`, team)
			a := s.send(r)
			if got := fmt.Sprint(a.status, " ", a.code()); !strings.HasPrefix(got, want) {
				t.Errorf("%s: team %d: got %s, want %s", op, team, got, want)
			}
		}
	}
}

func proveDoNotCall(t *testing.T, s *proof) {
	const number = "+5511987654321"
	check := asked{op: "canCall", query: url.Values{"phone_number": {number}}}
	s.want(204, "", check)
	at := time.Now().Add(-time.Hour)
	for _, in := range []contacts.DoNotCallInput{
		{PhoneNumber: "+551187654321", At: at, ExpiresAt: at.AddDate(1, 0, 0)},
		{PhoneNumber: number, At: at},
	} {
		if _, err := s.f.Service.BlockCalls(t.Context(), s.f.Key, in); err != nil {
			t.Fatal(err)
		}
		s.want(403, "do_not_call", check)
	}
	r := s.valid("updateContact")
	r.body = `{"phone_numbers": [{"phone_number": "` + number + `", "do_not_call": false}]}`
	if a := s.want(400, "validation_error", r); !slices.Equal(a.fields(), []string{"phone_numbers[0].do_not_call do_not_call"}) {
		t.Errorf("a number that is said to be not listed: %s", a.text)
	}
	check.header = http.Header{"Idempotency-Key": {"once"}}
	s.want(400, "validation_error", check)
}

func proveDoNotCallList(t *testing.T, s *proof) {
	const listed, form, other = "+12025550101", "+5511963332211", "+551163332211"
	created := s.valid("createContact")
	created.body = `{"first_name": "Ada", "phone_numbers": [{"phone_number": "` + listed + `", "do_not_call": true}]}`
	id := s.want(201, "", created).body.(map[string]any)["id"].(string)
	for _, c := range []struct {
		op     string
		status int
		body   string
	}{
		{"blockCalls", 201, `{"phone_number": "` + listed + `", "at": "2024-01-01T10:00:00Z", "source": "mine", "reason": "asked", "reference": "call 1"}`},
		{"blockCalls", 200, `{"phone_number": "` + listed + `", "source": "mine", "reason": "asked"}`},
		{"blockCalls", 201, `{"phone_number": "` + listed + `", "expires_at": "9999-01-01T00:00:00Z", "source": "mine"}`},
		{"blockCalls", 201, `{"phone_number": "` + other + `", "expires_at": "9999-01-01T00:00:00Z", "source": "mine", "reason": "asked"}`},
		{"grantCalls", 201, `{"phone_number": "` + form + `", "reason": "asked", "reference": "form 7"}`},
	} {
		s.want(c.status, "", asked{op: c.op, body: c.body})
		s.want(400, "validation_error", asked{op: c.op, body: c.body, header: http.Header{"Idempotency-Key": {"once"}}})
	}

	ask := asked{op: "getDoNotCall", query: url.Values{"phone_number": {listed}}}
	status := s.want(200, "", ask).body.(map[string]any)
	entries := status["entries"].([]any)
	if len(entries) != 3 || status["do_not_call"] != true || entries[2].(map[string]any)["contact_id"] != id {
		t.Errorf("got %v", status)
	}
	check := s.want(200, "", asked{op: "canCallMany", body: `{"phone_numbers": ["` + listed + `", "` + form + `", "+12025550100", "555"]}`})
	results := check.body.(map[string]any)["results"].([]any)
	if len(results) != 4 || results[1].(map[string]any)["form"] != "br_ninth_digit" || results[2].(map[string]any)["do_not_call"] != false {
		t.Errorf("got %s", check.text)
	}
	batch := asked{op: "blockCallsBatch", body: `{"entries": [{"phone_number": "` + form + `"}, {"phone_number": "` + listed + `", "reason": "asked"}, {"phone_number": "+12025550102"}, {"phone_number": "555"}], "source": "mine"}`}
	for i, want := range []string{"1 1 1 1", "0 2 1 1"} {
		body := s.want(200, "", batch).body.(map[string]any)
		if got := fmt.Sprint(body["added"], " ", body["unchanged"], " ", body["granted"], " ", body["failed"]); got != want {
			t.Errorf("batch %d: got %s, want %s", i, got, want)
		}
	}

	if _, err := s.f.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: s.f.Account.ID, ContactID: uuid.MustParse(id), Suppress: true}); err != nil {
		t.Fatal(err)
	}
	s.want(403, "do_not_call", asked{op: "canCall", query: url.Values{"phone_number": {listed}}})
	pages := func(query string) (sources map[string]int) {
		t.Helper()
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		sources = make(map[string]int)
		for cursor := any(""); cursor != nil; {
			values.Set("cursor", cursor.(string))
			page := s.want(200, "", asked{op: "getDoNotCall", query: values}).body.(map[string]any)
			for _, e := range page["entries"].([]any) {
				e := e.(map[string]any)
				sources[fmt.Sprint(e["source"], " ", e["type"])]++
			}
			cursor = page["next_cursor"]
		}
		return sources
	}
	if got := pages("source=mine&limit=1"); !maps.Equal(got, map[string]int{"mine block": 4}) {
		t.Errorf("the blocks of the source: %v", got)
	}
	if all := pages("all=true&limit=100"); all["mine block"] != 4 || all["contact block"] == 0 || all["api grant"] == 0 || all["erasure block"] != 1 {
		t.Errorf("all entries: %v", all)
	}
	s.want(403, "permission_denied", asked{op: "getDoNotCall", header: http.Header{"X-Api-Key": {s.limited}}})
	ask.header = http.Header{"X-Api-Key": {s.limited}}
	s.want(200, "", ask)
	for query, field := range map[string]string{
		"all=yes": "all", "limit=0": "limit", "limit=101": "limit", "limit=": "limit", "cursor=x": "cursor", "source=": "source",
		"source=" + strings.Repeat("x", 101): "source", "phone_number=": "phone_number", "phone_number=555": "phone_number",
		"phone_number=%2B12025550101&source=mine": "source", "phone_number=%2B12025550101&limit=5": "limit",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		a := s.want(400, "validation_error", asked{op: "getDoNotCall", query: values})
		if len(a.fields()) != 1 || !strings.HasPrefix(a.fields()[0], field+" ") {
			t.Errorf("%s: got %v, want %s", query, a.fields(), field)
		}
	}
	once := http.Header{"Idempotency-Key": {"once"}}
	s.want(400, "validation_error", asked{op: "getDoNotCall", header: once})
	for _, op := range []string{"blockCallsBatch", "canCallMany"} {
		r := s.valid(op)
		r.header = once
		s.want(400, "validation_error", r)
	}
}

func proveFieldCodes(t *testing.T, s *proof) {
	closed := s.with(s.service(&contacts.Options{Stages: []string{"lead", "customer"}}, nil), contactshttp.Options{})
	for body, want := range map[string]string{
		`{"first_name": 7}`:                                                "first_name wrong_type",
		`{"first_name": "John", "stage": "gone"}`:                          "stage not_allowed",
		`{"first_name": "John", "tags": [""]}`:                             "tags[0] required",
		`{"first_name": "John", "custom_context": {"a":` + deep(32) + `}}`: "custom_context too_deep",
		`{"first_name": "John", "phone_numbers": [{"phone_number": "+15551234567"}, {"phone_number": "+15551234567"}]}`: "phone_numbers[1].phone_number duplicate",
	} {
		r := s.valid("createContact")
		r.body = body
		if a := closed.send(r); !slices.Contains(a.fields(), want) {
			t.Errorf("%s: got %v, want %s", body, a.fields(), want)
		}
	}
}

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// looser are the fields whose form a schema cannot express. The handler may refuse
// values of them that the description accepts.
var looser = []string{"email", "website", "phone_number", "id", "do_not_call"}

// repeated are the fields that a change may repeat and not change. The handler
// refuses all values but the stored one.
var repeated = []string{
	"id", "full_name", "stage_display", "status_display", "timezone", "created_date", "last_call_date", "recent_notes", "created_at", "updated_at", "version", "dnc_date", "dnc_reason",
}

// proveValues sends values of every kind in each field. Handler and description must
// agree about each.
func proveValues(t *testing.T, s *proof) {
	values := []string{
		"null", "true", "false", "0", "-1", "1.5", `""`, `"x"`, `"two words"`, "[]", "{}", `[""]`, `["x"]`, "[null]", "[7]", "[{}]", `{"a": {"b": [null, 1]}}`,
		`"` + uuid.NewString() + `"`, `"+15551234567"`, `"` + strings.Repeat("x", 3000) + `"`,
	}
	for _, c := range []struct{ op, schema, body string }{
		{"createContact", "CreateContact", `{"first_name": "John", %s}`},
		{"createContact", "CreatePhoneNumber", `{"first_name": "John", "phone_numbers": [{"phone_number": "+12025550177", %s}]}`},
		{"upsertContact", "UpsertContact", `{"first_name": "John", "email": "values@example.com", %s}`},
		{"createContacts", "CreateBatch", `{%s}`},
		{"replaceContact", "ReplaceContact", `{"first_name": "John", %s}`},
		{"replaceContact", "ReplacePhoneNumber", `{"first_name": "John", "phone_numbers": [{"phone_number": "+12025550177", %s}]}`},
		{"updateContact", "PatchContact", `{%s}`},
		{"updateContact", "PatchPhoneNumber", `{"phone_numbers": [{"phone_number": "+12025550177", %s}]}`},
		{"replaceContact", "ChangedAddress", `{"first_name": "John", "address": {%s}}`},
		{"updateContact", "ChangedAddress", `{"address": {%s}}`},
		{"blockCalls", "DoNotCallInput", `{"phone_number": "+12025550199", %s}`},
		{"grantCalls", "DoNotCallGrantInput", `{"phone_number": "+12025550199", "reason": "asked", "reference": "form 7", %s}`},
		{"blockCallsBatch", "DoNotCallBatch", `{"entries": [{"phone_number": "+12025550199"}], %s}`},
		{"canCallMany", "DoNotCallNumbers", `{%s}`},
	} {
		_, properties := s.at("#/components/schemas/" + c.schema + "/properties")
		r := s.valid(c.op)
		if c.op == "upsertContact" { // for update_only
			r.body = strings.Replace(c.body, ", %s", "", 1)
			s.want(201, "", r)
		}
		for name := range properties {
			for _, value := range values {
				if name == "id" && value == `""` {
					continue // accepted as no id, which the description does not tell
				}
				member := fmt.Sprintf("%q: %s", name, value)
				r.body = fmt.Sprintf(c.body, member)
				// A field that is in the body already is given once.
				for _, twice := range []string{
					`"first_name": "John", `, `"email": "values@example.com", `, `"phone_number": "+12025550177", `, `"phone_number": "+12025550199", `,
					`"reason": "asked", `, `"reference": "form 7", `, `"entries": [{"phone_number": "+12025550199"}], `,
				} {
					if strings.HasPrefix(twice, fmt.Sprintf("%q", name)) {
						r.body = strings.Replace(r.body, twice, "", 1)
					}
				}
				described := s.accepts(s.byID(c.op), "application/json", r.body)
				a := s.send(r)
				switch {
				case described == nil && !a.taken() && (a.status >= 500 || !slices.Contains(looser, name) && !slices.Contains(repeated, name) && r.body != `{"phone_numbers": [{}]}`):
					t.Errorf("%s: the description accepts %.200s, and the handler answers %s", c.op, r.body, a.text)
				case described != nil && a.taken():
					t.Errorf("%s: %v\nand the handler accepts it: %.200s", c.op, described, r.body)
				}
			}
		}
		_, schema := s.at("#/components/schemas/" + c.schema)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if c.schema == "CreatePhoneNumber" || c.schema == "ReplacePhoneNumber" {
				r.body = `{"first_name": "John", "phone_numbers": [{}]}`
			} else {
				r.body = "{}"
			}
			if a := s.send(r); !strings.Contains(strings.Join(a.fields(), ", "), name.(string)+" required") {
				t.Errorf("%s: without %s: got %s", c.op, name, a.text)
			}
		}
		if schema["additionalProperties"] != false {
			t.Errorf("the schema %s accepts unknown fields", c.schema)
		}
	}
}

// of returns a value of the length that the field takes.
func of(field string, length int) string {
	switch field {
	case "email":
		const local = 64
		host := strings.Repeat(strings.Repeat("d", 49)+".", 10)
		return strings.Repeat("l", local) + "@" + host[:length-local-1-3] + "com"
	case "website":
		return "https://example.com/" + strings.Repeat("x", length-20)
	case "phone_number":
		return "+1" + strings.Repeat(" ", length-12) + "5551234567"
	default:
		return strings.Repeat("é", length)
	}
}

func proveBodyLimits(t *testing.T, s *proof) {
	checked := 0
	check := func(op, field, at, over string) {
		t.Helper()
		checked++
		r := s.valid(op)
		r.body = at
		if a := s.send(r); !a.taken() {
			t.Errorf("%s: %s at its limit: %d %.500s", op, field, a.status, a.text)
		}
		r = s.valid(op)
		r.body = over
		if err := s.accepts(s.byID(op), "application/json", over); err == nil {
			t.Errorf("%s: the description accepts %s over its limit", op, field)
		}
		if a := s.send(r); a.status != 400 || !strings.Contains(strings.Join(a.fields(), ","), field+" too_") && !strings.Contains(strings.Join(a.fields(), ","), field+" invalid") {
			t.Errorf("%s: %s over its limit: %d %.500s", op, field, a.status, a.text)
		}
	}
	number := func(v any) int {
		n, err := strconv.Atoi(fmt.Sprint(v))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for op, schema := range map[string]string{"createContact": "Create", "replaceContact": "Replace", "updateContact": "Patch"} {
		wrap := func(member string) string {
			if strings.HasPrefix(member, `"first_name"`) {
				return "{" + member + "}"
			}
			return `{"first_name": "John", ` + member + "}"
		}
		phone := func(member string) string {
			if !strings.HasPrefix(member, `"phone_number"`) {
				member = `"phone_number": "+15551234567", ` + member
			}
			return `{"first_name": "John", "phone_numbers": [{` + member + `}]}`
		}
		for part, into := range map[string]func(string) string{"Contact": wrap, "PhoneNumber": phone} {
			prefix := map[string]string{"PhoneNumber": "phone_numbers[0]."}[part]
			_, properties := s.at("#/components/schemas/" + schema + part + "/properties")
			for name := range properties {
				_, p := s.at("#/components/schemas/" + schema + part + "/properties/" + name)
				if _, text := s.at("#/components/schemas/" + schema + part + "/properties/" + name + "/anyOf/0"); text != nil {
					p = text
				}
				if limit, ok := p["maxLength"]; ok {
					n := number(limit)
					value := func(n int) string { return fmt.Sprintf("%q: %q", name, of(name, n)) }
					if name == "idempotency_key" { // counted in bytes
						value = func(n int) string { return fmt.Sprintf("%q: %q", name, strings.Repeat("k", n)) }
					}
					check(op, prefix+name, into(value(n)), into(value(n+1)))
				}
				if limit, ok := p["minimum"]; ok && !slices.Contains(repeated, name) {
					n := number(limit)
					check(op, prefix+name, into(fmt.Sprintf("%q: %d", name, n)), into(fmt.Sprintf("%q: %d", name, n-1)))
				}
				if limit, ok := p["maxItems"]; ok {
					n := number(limit)
					check(op, prefix+name, into(items(name, n)), into(items(name, n+1)))
				}
				if _, item := s.at("#/components/schemas/" + schema + part + "/properties/" + name + "/items"); item["maxLength"] != nil {
					n := number(item["maxLength"])
					value := func(n int) string { return fmt.Sprintf("%q: [%q]", name, of(name, n)) }
					check(op, prefix+name+"[0]", into(value(n)), into(value(n+1)))
				}
			}
		}
	}
	if checked < 3*17 {
		t.Errorf("%d limits were checked", checked)
	}

	_, list := s.at("#/components/schemas/CreateBatch/properties/contacts")
	batch := func(n int) string {
		return `{"contacts": [` + strings.TrimSuffix(strings.Repeat(`{"first_name": "John"},`, n), ",") + "]}"
	}
	check("createContacts", "contacts", batch(number(list["maxItems"])), batch(number(list["maxItems"])+1))

	for op, schema := range map[string]string{"blockCalls": "DoNotCallInput", "grantCalls": "DoNotCallGrantInput"} {
		for _, name := range []string{"phone_number", "source", "reason", "reference"} {
			_, p := s.at("#/components/schemas/" + schema + "/properties/" + name)
			value := func(n int) string {
				body := map[string]string{"phone_number": "+12025550199", "reason": "asked", "reference": "form 7"}
				if name == "phone_number" {
					body[name] = "+1" + strings.Repeat(" ", n-len(body[name])) + "2025550199"
				} else {
					body[name] = of(name, n)
				}
				text, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			check(op, name, value(number(p["maxLength"])), value(number(p["maxLength"])+1))
		}
	}
	numbers := func(n int) string {
		return `{"phone_numbers": [` + strings.TrimSuffix(strings.Repeat(`"x",`, n), ",") + "]}"
	}
	_, list = s.at("#/components/schemas/DoNotCallNumbers/properties/phone_numbers")
	check("canCallMany", "phone_numbers", numbers(number(list["maxItems"])), numbers(number(list["maxItems"])+1))
	blocks := func(n int) string {
		return `{"entries": [` + strings.TrimSuffix(strings.Repeat(`{"phone_number": "+12025550199"},`, n), ",") + "]}"
	}
	_, list = s.at("#/components/schemas/DoNotCallBatch/properties/entries")
	check("blockCallsBatch", "entries", blocks(number(list["maxItems"])), blocks(number(list["maxItems"])+1))

	for _, op := range s.bodied() {
		_, body := s.at(op.pointer + "/requestBody")
		limit, ok := map[string]int{"1 MiB": 1 << 20, "16 MiB": 16 << 20}[strings.TrimSuffix(strings.SplitN(body["description"].(string), "up to ", 2)[1], ".")]
		if !ok {
			t.Errorf("%s: no limit in %q", op.id, body["description"])
		}
		r := s.valid(op.id)
		r.body += strings.Repeat(" ", limit-len(r.body))
		if limit <= 1<<20 || longtest.Long() {
			if a := s.send(r); a.status >= 300 {
				t.Errorf("%s: a body at its limit: %d %s", op.id, a.status, a.text)
			}
		}
		r.body += " "
		s.want(413, "body_too_large", r)
	}

	for _, field := range []string{"custom_context", "industry_context"} {
		text := func(n int) string {
			return fmt.Sprintf(`{"first_name": "John", %q: {"a": "%s"}}`, field, strings.Repeat("x", n-len(`{"a":""}`)))
		}
		nested := func(n int) string { return fmt.Sprintf(`{"first_name": "John", %q: {"a": %s}}`, field, deep(n-1)) }
		for _, c := range []struct{ at, over, code string }{{text(65536), text(65537), "too_long"}, {nested(32), nested(33), "too_deep"}} {
			r := s.valid("createContact")
			r.body = c.at
			s.want(201, "", r)
			r.body = c.over
			if a := s.want(400, "validation_error", r); !slices.Equal(a.fields(), []string{field + " " + c.code}) {
				t.Errorf("%s: got %s", field, a.text)
			}
		}
	}
}

// items returns a member with a list of n different elements.
func items(name string, n int) string {
	list := make([]string, n)
	for i := range list {
		if name == "phone_numbers" {
			list[i] = fmt.Sprintf(`{"phone_number": "+1555123%04d"}`, i)
		} else {
			list[i] = fmt.Sprintf(`"tag %d"`, i)
		}
	}
	return fmt.Sprintf("%q: [%s]", name, strings.Join(list, ", "))
}

func proveParameterLimits(t *testing.T, s *proof) {
	for name, at := range s.parameters(s.byID("listContacts")) {
		name, ok := strings.CutPrefix(name, "query ")
		if !ok {
			continue
		}
		_, schema := s.at(at + "/schema")
		var good, bad []string
		for bound, step := range map[string]int{"minimum": -1, "maximum": 1, "maxLength": 1} {
			if schema[bound] == nil {
				continue
			}
			n, err := strconv.Atoi(fmt.Sprint(schema[bound]))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case bound != "maxLength":
				good, bad = append(good, strconv.Itoa(n)), append(bad, strconv.Itoa(n+step))
			case name == "cursor":
				_, next := s.at("#/paths/" + escapeToken("/api/v1/contacts") + "/get/responses/200/content/application~1json/examples/cursor/value")
				good, bad = append(good, next["next_cursor"].(string)), append(bad, next["next_cursor"].(string)+"A")
			default:
				good, bad = append(good, of(name, n)), append(bad, of(name, n+1))
			}
		}
		switch schema["type"] {
		case "boolean":
			good, bad = []string{"true", "false"}, []string{"yes", "1", ""}
		case "integer":
			if bad = append(bad, "many", "1.5", ""); schema["maximum"] == nil {
				good = append(good, strconv.Itoa(1<<62))
			}
			if schema["minimum"] == nil {
				good = append(good, "-1")
			}
		default:
			if schema["format"] == "date-time" {
				good, bad = []string{"2026-01-15T09:30:00Z", "2026-01-15T09:30:00.123456+02:00"}, []string{"yesterday", "2026-01-15", ""}
				break
			}
			if schema["minLength"] != nil {
				bad = append(bad, "", " ")
			}
			if schema["maxLength"] == nil {
				good = append(good, strings.Repeat("x", 5000))
			}
		}
		for _, v := range good {
			if a := s.send(asked{op: "listContacts", query: url.Values{name: {v}}}); a.status >= 300 && a.code() != "team_not_found" {
				t.Errorf("%s=%.100s: %d %s", name, v, a.status, a.text)
			}
		}
		for _, v := range bad {
			a := s.want(400, "validation_error", asked{op: "listContacts", query: url.Values{name: {v}}})
			if len(a.fields()) != 1 || !strings.HasPrefix(a.fields()[0], name+" ") {
				t.Errorf("%s=%s: %s", name, v, a.text)
			}
		}
	}
	// The idempotency key is the header with a limit.
	for length, status := range map[int]int{255: 201, 256: 400} {
		r := s.valid("createContact")
		r.header.Set("Idempotency-Key", strings.Repeat("k", length))
		if a := s.send(r); a.status != status {
			t.Errorf("a key of %d bytes: %d %s", length, a.status, a.text)
		}
	}
}

// defaultOf returns the default that a description names. It is in no keyword:
// generators make fields with a default required.
func defaultOf(schema map[string]any) (value string, ok bool) {
	text, _ := schema["description"].(string)
	_, value, ok = strings.Cut(text, "The default is ")
	return strings.TrimSuffix(value, "."), ok
}

func proveDefaults(t *testing.T, s *proof) {
	if strings.Contains(string(contactshttp.OpenAPI("")), `"default":`) {
		t.Error("the description has a default outside of a text")
	}
	flat := func(detail map[string]any) map[string]any {
		detail["country"] = detail["address"].(map[string]any)["country"]
		return detail
	}
	same := func(what, schema string, got map[string]any) {
		t.Helper()
		_, properties := s.at("#/components/schemas/" + schema + "/properties")
		found := 0
		for name := range properties {
			_, p := s.at("#/components/schemas/" + schema + "/properties/" + name)
			want, described := defaultOf(p)
			if described {
				found++
			}
			set := got[name] != nil && got[name] != "" && name != "first_name" && name != "phone_number" && name != "id"
			if _, isList := got[name].([]any); isList || !described && !set || slices.Contains(repeated, name) {
				continue
			}
			if _, isObject := got[name].(map[string]any); !isObject && fmt.Sprint(got[name]) != want {
				t.Errorf("%s: %s is %v by default, and described as %q", what, name, got[name], want)
			}
		}
		if found == 0 {
			t.Errorf("%s has no defaults", schema)
		}
	}
	for op, schema := range map[string]string{"createContact": "Create", "replaceContact": "Replace"} {
		r := s.valid(op)
		r.body = `{"first_name": "John", "phone_numbers": [{"phone_number": "+15551234567"}, {"phone_number": "+15551234568"}]}`
		detail := s.send(r).body.(map[string]any)
		same(op, schema+"Contact", flat(detail))
		same(op, schema+"PhoneNumber", detail["phone_numbers"].([]any)[1].(map[string]any))
	}
	// A cleared field gets the default of the create.
	r := s.valid("updateContact")
	r.body = `{"country": "DE", "status": "called", "stage": "customer"}`
	s.want(200, "", r)
	r.body = `{"country": null, "status": null, "stage": null}`
	cleared := flat(s.want(200, "", r).body.(map[string]any))
	maps.DeleteFunc(cleared, func(name string, _ any) bool { return !strings.Contains(r.body, name) })
	same("updateContact", "CreateContact", cleared)

	r = s.valid("createContacts")
	r.body = `{"contacts": [{"first_name": "John"}, {}]}`
	body := s.want(200, "", r).body.(map[string]any)
	_, all := s.at("#/components/schemas/CreateBatch/properties/all_or_nothing")
	if want, _ := defaultOf(all); want != fmt.Sprint(fmt.Sprint(body["created"]) == "0") {
		t.Errorf("all_or_nothing is %t by default, and described as %q", want != "true", want)
	}

	list := s.want(200, "", asked{op: "listContacts"})
	found := 0
	for name, at := range s.parameters(s.byID("listContacts")) {
		name = strings.TrimPrefix(name, "query ")
		_, parameter := s.at(at)
		want, ok := defaultOf(parameter)
		if got, told := list.body.(map[string]any)[name]; told && fmt.Sprint(got) != want {
			t.Errorf("%s is %v by default, and described as %q", name, got, want)
		}
		if !ok {
			continue
		}
		found++
		given := s.want(200, "", asked{op: "listContacts", query: url.Values{name: {want}}})
		if given.text != list.text {
			t.Errorf("%s=%v gives another list than the default", name, want)
		}
	}
	if found != 4 {
		t.Errorf("%d parameters of the list have a default, want 4", found)
	}
}

// proveNames compares the fields of the schemas with the JSON tags of the inputs.
func proveNames(t *testing.T, s *proof) {
	names := func(input any, less ...string) (names []string) {
		for f := range fieldsOf(reflect.TypeOf(input)) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !slices.Contains(less, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	both := func(a, b []string) []string {
		all := slices.Concat(a, b)
		slices.Sort(all)
		return slices.Compact(all)
	}
	for schema, want := range map[string][]string{
		"CreateContact":      names(contacts.CreateContactInput{}),
		"CreatePhoneNumber":  names(contacts.PhoneNumberInput{}, "id"),
		"CreateBatch":        names(contacts.CreateContactsInput{}),
		"ReplaceContact":     both(names(contacts.CreateContactInput{}, "idempotency_key"), names(contactshttp.Contact{})),
		"ReplacePhoneNumber": both(names(contacts.PhoneNumberInput{}), names(contactshttp.PhoneNumber{})),
		"PatchContact":       both(both(names(contacts.CreateContactInput{}, "idempotency_key"), names(contactshttp.Contact{})), []string{"add_tags", "remove_tags"}),
		"PatchPhoneNumber":   both(names(contacts.PhoneNumberInput{}), names(contactshttp.PhoneNumber{})),
		"ChangedAddress":     names(contactshttp.Address{}),
		"Contact":            names(contactshttp.Contact{}),
		"ContactSummary":     names(contactshttp.ContactSummary{}),
		"ContactPage":        names(contactshttp.ContactPage{}),
		"ContactSlice":       names(contactshttp.ContactSlice{}),
		"DuplicatePage":      names(contactshttp.DuplicatePage{}),
		"DuplicateGroup":     names(contactshttp.DuplicateGroup{}),
		"BatchResult":        names(contactshttp.BatchResult{}),
		"DryRun":             names(contactshttp.DryRun{}),
		"DryRunContact":      names(contactshttp.Contact{}),
		"DryRunPhoneNumber":  names(contactshttp.PhoneNumber{}),
		"DryRunBatch":        append([]string{"created", "dry_run"}, names(contactshttp.BatchResult{}, "created")...),
		"Error":              names(contactshttp.ErrorBody{}),
		"EventPage":          names(contacts.EventPage{}),
		"EventHistory":       names(contactshttp.EventHistory{}),
		"Event":              names(contacts.Event{}, "-"),
		"FieldChange":        names(contacts.FieldChange{}),
		"Actor":              names(contacts.Actor{}),
		"FieldError":         names(contacts.FieldError{}),

		"DoNotCallInput":       names(contacts.DoNotCallInput{}),
		"DoNotCallGrantInput":  names(contacts.DoNotCallInput{}),
		"DoNotCallBatch":       names(contacts.BlockCallsBatchInput{}),
		"DoNotCallBatchResult": names(contactshttp.BlockCallsResult{}),
		"DoNotCallBatchFailed": names(contactshttp.BlockCallsFailure{}),
		"DoNotCallCheck":       names(contactshttp.DoNotCallCheck{}),
		"DoNotCallResult":      names(contacts.DoNotCallStatus{}, "entries", "unchanged"),
		"DoNotCallStatus":      both(names(contacts.DoNotCallStatus{}, "error"), []string{"dry_run"}),
		"DoNotCallPage":        names(contactshttp.DoNotCallPage{}),
		"DoNotCallEntry":       names(contacts.DoNotCallEntry{}),
	} {
		_, properties := s.at("#/components/schemas/" + schema + "/properties")
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(properties))); diff != "" {
			t.Errorf("the fields of the input (-) and of the schema %s (+):\n%s", schema, diff)
		}
	}
}

func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// proveCodes compares the codes with the constants of both packages.
func proveCodes(t *testing.T, s *proof) {
	fields := stringConstants(t, "../errors.go", "Field")
	ours := stringConstants(t, "../errors.go", "Code")
	both := slices.Concat(ours, stringConstants(t, "errors.go", "Code"))
	for schema, want := range map[string][]string{"FieldErrorCode": fields, "ErrorCode": both} {
		got := s.enum("#/components/schemas/" + schema)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
			t.Errorf("the constants (-) and the schema %s (+):\n%s", schema, diff)
		}
	}
	all := s.described()
	for _, code := range ours {
		status := contacts.Code(code).HTTPStatus()
		found := all["batch result "+code] && all[fmt.Sprint("batch result ", status)]
		for _, op := range s.operations {
			found = found || all[fmt.Sprintf("%s %d %s", op.id, status, code)]
		}
		if !found {
			t.Errorf("no operation has %d %s", status, code)
		}
	}
}

// stringConstants returns the values of the string constants of a file whose names
// begin with the prefix.
func stringConstants(t *testing.T, file, prefix string) (values []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range f.Decls {
		decl, ok := decl.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, spec := range decl.Specs {
			spec := spec.(*ast.ValueSpec)
			for i, name := range spec.Names {
				if !strings.HasPrefix(name.Name, prefix) || i >= len(spec.Values) {
					continue
				}
				if lit, ok := spec.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					value, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, value)
				}
			}
		}
	}
	return values
}

// proveExamples sends the examples of requests and validates those of answers.
func proveExamples(t *testing.T, s *proof) {
	for _, op := range s.operations {
		_, content := s.at(op.pointer + "/requestBody/content")
		for media := range content {
			_, m := s.at(op.pointer + "/requestBody/content/" + escapeToken(media))
			text, err := json.Marshal(m["example"])
			if err != nil {
				t.Fatal(err)
			}
			r := s.valid(op.id)
			r.header.Set("Content-Type", media)
			r.body = string(text)
			if a := s.send(r); a.status >= 300 {
				t.Errorf("%s: the example is refused: %d %s", op.id, a.status, a.text)
			} else if op.id == "createContact" {
				_, want := s.at(op.pointer + "/responses/201/content/application~1json/example")
				if diff := cmp.Diff(timeless(want), timeless(a.body)); diff != "" {
					t.Errorf("the examples of a create and of its answer: (-described +got)\n%s", diff)
				}
			}
		}
		_, responses := s.at(op.pointer + "/responses")
		for status := range responses {
			pointer, _ := s.at(op.pointer + "/responses/" + status)
			at, m := s.at(pointer + "/content/application~1json")
			var examples []any
			if e, ok := m["example"]; ok {
				examples = append(examples, e)
			}
			named, _ := m["examples"].(map[string]any)
			for _, e := range named {
				examples = append(examples, e.(map[string]any)["value"])
			}
			for _, e := range examples {
				if err := s.schema(at + "/schema").Validate(e); err != nil {
					t.Errorf("%s %s: the example is not as described: %v", op.id, status, err)
				}
				for _, m := range messages(e) {
					if !s.seen["message "+m] {
						t.Errorf("%s %s: the handler never said %q, which is in the example", op.id, status, m)
					}
				}
			}
		}
	}
}

// timeless returns a contact without its ids and times.
func timeless(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = timeless(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any)
		for name, v := range v {
			if name != "id" && name != "created_at" && name != "created_date" && name != "updated_at" {
				m[name] = timeless(v)
			}
		}
		return m
	default:
		return v
	}
}

// TestGeneratedClients runs the clients of testdata against servers. .ci/run generates
// them from openapi.json, compiles them, and lists them in CONTACTS_CLIENTS.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	clients := os.Getenv("CONTACTS_CLIENTS")
	if clients == "" {
		t.Skip("CONTACTS_CLIENTS names no compiled clients, which need Node: .ci/run makes and runs them")
	}
	for _, program := range filepath.SplitList(clients) {
		t.Run(filepath.Base(program), func(t *testing.T) {
			t.Parallel()
			f := contactstest.New(t, nil)
			client := exec.CommandContext(t.Context(), program)
			if filepath.Ext(program) == ".js" {
				client = exec.CommandContext(t.Context(), "node", program)
			}
			url, _ := listen(t, f.Service, nil)
			client.Env = append(os.Environ(), "CONTACTS_URL="+url, "CONTACTS_KEY="+f.Key)
			out, err := client.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
			page, err := f.Service.ListContacts(t.Context(), f.Key, contacts.ListContactsInput{})
			if err != nil || len(page.Contacts) == 0 || page.Contacts[0].FirstName == "" {
				t.Errorf("the client created no contact: %+v, %v", page, err)
			}
		})
	}
}
