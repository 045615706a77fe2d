package contactshttp_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
)

// documented is the body of the documented example.
const documented = `{
	"first_name": "John", "last_name": "Doe", "email": "john.doe@EXAMPLE.com", "company": "Acme & Sons <Inc>",
	"website": "acme.example.com", "address": "123 Main St", "city": "New York", "state": "NY", "zip_code": "10001",
	"team_id": 101, "tags": ["new", "website"],
	"phone_numbers": [
		{"phone_number": "+15551234567", "phone_type": "mobile"},
		{"phone_number": "+1 (555) 765-4321", "do_not_call": true}
	],
	"custom_context": {"source": "<website> & more", "big": 12345678901234567890.10},
	"industry_context": {"budget": 250000}
}`

const documentedDetail = `{
	"id": "id-1", "first_name": "John", "last_name": "Doe", "full_name": "John Doe", "email": "john.doe@example.com",
	"company": "Acme & Sons <Inc>", "website": "https://acme.example.com",
	"stage": "lead", "stage_display": "Lead", "status": "not_contacted", "status_display": "Not Contacted",
	"address": {"street": "123 Main St", "city": "New York", "state": "NY", "zip_code": "10001", "country": "US"},
	"timezone": null, "created_date": "2026-01-02T12:00:00.123456Z", "last_call_date": null,
	"phone_numbers": [
		{"id": "id-2", "phone_number": "+15551234567", "phone_type": "mobile", "primary": true, "do_not_call": false, "dnc_date": null, "dnc_reason": null},
		{"id": "id-3", "phone_number": "+15557654321", "phone_type": "", "primary": false, "do_not_call": true, "dnc_date": "2026-01-02T12:00:00.123456Z", "dnc_reason": null}
	],
	"tags": ["new", "website"], "recent_notes": [],
	"custom_context": {"big": 12345678901234567890.10, "source": "<website> & more"},
	"industry_context": {"budget": 250000},
	"external_id": "", "team_id": 101, "created_at": "2026-01-02T12:00:00.123456Z", "updated_at": "2026-01-02T12:00:00.123456Z", "version": 1
}`

func TestDocumentedCalls(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	created := s.want(t, 201, ask{method: "POST", path: api + "/contacts/create", key: s.writer, body: documented})
	wantBody(t, documentedDetail, created.body)
	john := decode[contact](t, created.body)
	path := api + "/contacts/" + john.ID
	if got := created.header.Get("Location"); got != path {
		t.Errorf("Location: %q, want %q", got, path)
	}
	if got := created.header.Get("ETag"); got != `"v1.1"` {
		t.Errorf("ETag: %q", got)
	}
	if got, ok := created.header["Idempotency-Replayed"]; ok {
		t.Errorf("Idempotency-Replayed: %q", got)
	}

	got := s.want(t, 200, ask{path: created.header.Get("Location"), key: s.reader})
	if got.body != created.body || got.header.Get("ETag") != `"v1.1"` {
		t.Errorf("GET differs from the create: %s", cmp.Diff(created.body, got.body))
	}

	s.clock.move(time.Second)
	patched := s.want(t, 200, ask{method: "PATCH", path: path + "/update", key: s.writer, header: header("Content-Type", "application/merge-patch+json"),
		body: `{"last_name": null, "stage": "hot_lead", "tags": ["vip"], "custom_context": {"big": null}, "phone_numbers": [{"id": "` + john.PhoneNumbers[1].ID + `", "primary": true}]}`})
	wantBody(t, `{
	"id": "id-1", "first_name": "John", "last_name": "", "full_name": "John", "email": "john.doe@example.com",
	"company": "Acme & Sons <Inc>", "website": "https://acme.example.com",
	"stage": "hot_lead", "stage_display": "Hot Lead", "status": "not_contacted", "status_display": "Not Contacted",
	"address": {"street": "123 Main St", "city": "New York", "state": "NY", "zip_code": "10001", "country": "US"},
	"timezone": null, "created_date": "2026-01-02T12:00:00.123456Z", "last_call_date": null,
	"phone_numbers": [{"id": "id-2", "phone_number": "+15557654321", "phone_type": "", "primary": true, "do_not_call": true, "dnc_date": "2026-01-02T12:00:00.123456Z", "dnc_reason": null}],
	"tags": ["vip"], "recent_notes": [], "custom_context": {"source": "<website> & more"}, "industry_context": {"budget": 250000},
	"external_id": "", "team_id": 101, "created_at": "2026-01-02T12:00:00.123456Z", "updated_at": "2026-01-02T12:00:01.123456Z", "version": 2
	}`, patched.body)
	if got := patched.header.Get("ETag"); got != `"v2.1"` {
		t.Errorf("ETag of the PATCH: %q", got)
	}
	if decode[contact](t, patched.body).PhoneNumbers[0].ID != john.PhoneNumbers[1].ID {
		t.Error("the phone number was not updated in place")
	}

	put := s.want(t, 200, ask{method: "PUT", path: path + "/update", key: s.writer, body: `{"first_name": "Jane"}`})
	wantBody(t, `{
	"id": "id-1", "first_name": "Jane", "last_name": "", "full_name": "Jane", "email": "", "company": "", "website": "",
	"stage": "lead", "stage_display": "Lead", "status": "not_contacted", "status_display": "Not Contacted",
	"address": {"street": "", "city": "", "state": "", "zip_code": "", "country": "US"}, "timezone": null, "created_date": "2026-01-02T12:00:00.123456Z", "last_call_date": null,
	"phone_numbers": [], "tags": [], "recent_notes": [], "custom_context": {}, "industry_context": {},
	"external_id": "", "team_id": null, "created_at": "2026-01-02T12:00:00.123456Z", "updated_at": "2026-01-02T12:00:01.123456Z", "version": 3
	}`, put.body)

	deleted := s.want(t, 204, ask{method: "DELETE", path: path, key: s.writer})
	if deleted.body != "" {
		t.Errorf("DELETE has a body: %s", deleted.body)
	}
	s.send(t, ask{path: path, key: s.reader}).wantFailure(t, 404, "not_found")
	s.send(t, ask{method: "DELETE", path: path, key: s.writer}).wantFailure(t, 404, "not_found")
	s.send(t, ask{method: "PATCH", path: path + "/update", key: s.writer, body: `{}`}).wantFailure(t, 404, "not_found")
	restored := s.want(t, 200, ask{method: "POST", path: path + "/restore", key: s.writer})
	if c := decode[contact](t, restored.body); c.FirstName != "Jane" || c.Version != 5 || restored.header.Get("ETag") != `"v5"` {
		t.Errorf("restored: %s", restored.body)
	}
}

func TestNullInAContextThatIsSentBack(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	path := api + "/contacts/" + s.create(t, s.writer, `{"first_name": "Jane", "custom_context": {"a": null, "b": {"c": null}}}`)
	for _, c := range []struct {
		method string
		want   map[string]any
	}{
		{"PUT", map[string]any{"a": nil, "b": map[string]any{"c": nil}}},
		{"PATCH", map[string]any{"b": map[string]any{}}},
	} {
		read := s.want(t, 200, ask{path: path, key: s.writer}).body
		got := s.want(t, 200, ask{method: c.method, path: path + "/update", key: s.writer, body: read}).body
		if d := cmp.Diff(c.want, decode[contactshttp.Contact](t, got).CustomContext); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.method, d)
		}
	}
}

// A contact without contexts is shown with empty ones. Sent back, they change nothing.
func TestAbsentContextThatIsSentBack(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	if err := s.admin.SetEvents(t.Context(), s.acme.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	officer, _, err := s.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: s.acme.ID, Name: "events", Permissions: []contacts.Permission{contacts.PermissionReadEvents}, AllTeams: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := api + "/contacts/" + s.create(t, s.writer, `{"first_name": "Jane"}`)
	for _, method := range []string{"PUT", "PATCH"} {
		send := ask{method: method, path: path + "/update?dry_run=true", key: s.writer, body: s.want(t, 200, ask{path: path, key: s.writer}).body}
		if got := decode[contactshttp.DryRun](t, s.want(t, 200, send).body).Changes; len(got) != 0 {
			t.Errorf("the dry run of %s: got %v, want no changes", method, got)
		}
		send.path = path + "/update"
		s.want(t, 200, send)
		history := s.want(t, 200, ask{path: path + "/history?limit=1", key: officer}).body
		if e := decode[struct{ Events []contacts.Event }](t, history).Events[0]; e.Type != contacts.EventContactUpdated || len(e.Changes) != 0 {
			t.Errorf("the event of %s: got %s with %v, want no changes", method, e.Type, e.Changes)
		}
	}
}

// A client changes what it has read, and sends the whole back.
func TestWhatWasReadCanBeSentBack(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	for _, body := range []string{documented, `{"first_name": "Jane"}`, `{"first_name": "Jane", "stage": "in_progress", "phone_numbers": [{"phone_number": "+15551234567"}]}`} {
		path := api + "/contacts/" + s.create(t, s.writer, body)
		for _, method := range []string{"PUT", "PATCH"} {
			read := s.want(t, 200, ask{path: path, key: s.writer}).body
			send := func(change func(map[string]any)) reply {
				t.Helper()
				members := decode[map[string]any](t, read)
				change(members)
				text, err := json.Marshal(members)
				if err != nil {
					t.Fatal(err)
				}
				return s.send(t, ask{method: method, path: path + "/update", key: s.writer, body: string(text)})
			}
			for field, value := range map[string]any{
				"id": uuid.NewString(), "full_name": "Someone Else", "stage_display": "Hot", "status_display": nil, "timezone": "Europe/Oslo",
				"created_date": "2020-01-01T00:00:00Z", "last_call_date": "2020-01-01T00:00:00Z", "recent_notes": []string{"called"}, "created_at": "2020-01-01T00:00:00Z", "updated_at": nil, "version": 77,
			} {
				send(func(m map[string]any) { m[field] = value }).wantFailure(t, 400, contacts.CodeValidationError, field)
			}
			send(func(m map[string]any) { m["nickname"] = "Jo" }).wantFailure(t, 400, contacts.CodeValidationError, "nickname")
			send(func(m map[string]any) { m["city"] = "Oslo" }).wantFailure(t, 400, contacts.CodeValidationError, "address.city")
			if strings.Contains(read, "dnc_date") {
				send(func(m map[string]any) { m["phone_numbers"].([]any)[0].(map[string]any)["dnc_reason"] = 7 }).
					wantFailure(t, 400, contacts.CodeValidationError, "phone_numbers[0].dnc_reason")
			}

			got := s.want(t, 200, ask{method: method, path: path + "/update", key: s.writer, body: read}).body
			ignore := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "version" || name == "updated_at" })
			if diff := cmp.Diff(decode[map[string]any](t, read), decode[map[string]any](t, got), ignore); diff != "" {
				t.Errorf("%s changed the contact (-before +after):\n%s", method, diff)
			}
			read = got
			got = send(func(m map[string]any) {
				m["company"] = "New Inc"
				m["address"].(map[string]any)["city"] = "Oslo"
				m["phone_numbers"] = append(m["phone_numbers"].([]any), map[string]any{"phone_number": "+16502530000", "dnc_date": nil, "dnc_reason": nil})
			}).body
			if c := decode[contactshttp.Contact](t, got); c.Company != "New Inc" || c.Address.City != "Oslo" || c.PhoneNumbers[len(c.PhoneNumbers)-1].PhoneNumber != "+16502530000" {
				t.Errorf("%s with changes: %s", method, got)
			}
			s.want(t, 200, ask{method: method, path: path + "/update", key: s.writer, body: undone(t, read, got)})
		}
	}
}

// undone returns the first contact with the version and the time of the second, as a
// client sends it that undoes its change.
func undone(t testing.TB, first, second string) string {
	t.Helper()
	a, b := decode[map[string]any](t, first), decode[map[string]any](t, second)
	a["version"], a["updated_at"] = b["version"], b["updated_at"]
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestList(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	s.create(t, s.writer, documented)
	s.create(t, s.writer, `{"first_name": "Jane", "stage": "customer", "tags": ["vip"]}`)
	gone := s.create(t, s.writer, `{"first_name": "Gone"}`)
	s.want(t, 204, ask{method: "DELETE", path: api + "/contacts/" + gone, key: s.writer})
	s.create(t, s.foreignWriter, `{"first_name": "Foreign"}`)

	got := s.want(t, 200, ask{path: api + "/contacts", key: s.reader})
	wantBody(t, `{"count": 2, "page": 1, "limit": 25, "pages": 1, "next_cursor": null, "contacts": [
		{"id": "id-1", "first_name": "Jane", "last_name": "", "full_name": "Jane", "email": "", "company": "", "stage": "customer", "status": "not_contacted",
			"phone": null, "created_date": "2026-01-02T12:00:00.123456Z", "last_call_date": null, "tags": ["vip"], "external_id": ""},
		{"id": "id-2", "first_name": "John", "last_name": "Doe", "full_name": "John Doe", "email": "john.doe@example.com", "company": "Acme & Sons <Inc>", "stage": "lead", "status": "not_contacted",
			"phone": "+15551234567", "created_date": "2026-01-02T12:00:00.123456Z", "last_call_date": null, "tags": ["new", "website"], "external_id": ""}
	]}`, got.body)

	empty := s.want(t, 200, ask{path: api + "/contacts?tag=none", key: s.reader})
	wantBody(t, `{"count": 0, "page": 1, "limit": 25, "pages": 0, "next_cursor": null, "contacts": []}`, empty.body)
	empty = s.want(t, 200, ask{path: api + "/contacts?tag=none&cursor=", key: s.reader})
	wantBody(t, `{"limit": 25, "next_cursor": null, "contacts": []}`, empty.body)

	for _, c := range []struct {
		name, query, key string
		names            string
	}{
		{"stage", "stage=customer", s.reader, "Jane"},
		{"status", "status=not_contacted", s.reader, "Jane John"},
		{"tag", "tag=website", s.reader, "John"},
		{"search", "search=DOE", s.reader, "John"},
		{"search for two words", "search=d%C3%B6e++JOHN", s.reader, "John"},
		{"changed", "updated_after=2026-01-02T12:00:00.123455Z", s.reader, "Jane John"},
		{"changed, in another zone", "updated_after=2026-01-02T14:00:00.123455%2B02:00", s.reader, "Jane John"},
		{"changed, with a bare plus", "updated_after=2026-01-02T14:00:00.123455+02:00", s.reader, "Jane John"},
		{"not changed", "updated_after=2026-01-02T12:00:00.123456Z", s.reader, ""},
		{"changed and deleted", "deleted=true&updated_after=2026-01-02T12:00:00Z", s.reader, "Gone"},
		{"not changed and deleted", "deleted=true&updated_after=2026-01-02T12:00:01Z", s.reader, ""},
		{"team", "team_id=101", s.reader, "John"},
		{"number", "phone_number=%2B15551234567", s.reader, "John"},
		{"number with a bare plus", "phone_number=+15551234567", s.reader, "John"},
		{"number with a bare plus, after another parameter", "tag=new&phone_number=+15557654321", s.reader, "John"},
		{"number as people write it", "phone_number=%2B1%20(555)%20123-4567", s.reader, "John"},
		{"email", "email=john.doe@Example.COM", s.reader, "John"},
		{"deleted", "deleted=true", s.reader, "Gone"},
		{"not deleted", "deleted=false", s.reader, "Jane John"},
		{"two filters", "stage=lead&tag=vip", s.reader, ""},
		{"page", "page=2&limit=1", s.reader, "John"},
		{"page after the last", "page=9", s.reader, ""},
		{"another account", "", s.foreignWriter, "Foreign"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := s.want(t, 200, ask{path: api + "/contacts?" + c.query, key: c.key})
			if names := strings.Join(namesOf(t, got.body), " "); names != c.names {
				t.Errorf("got %q, want %q", names, c.names)
			}
		})
	}
}

func namesOf(t testing.TB, body string) (names []string) {
	t.Helper()
	for _, c := range decode[struct{ Contacts []contact }](t, body).Contacts {
		names = append(names, c.FirstName)
	}
	return names
}

func TestListWalk(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	var want []string
	for i := range 7 {
		name := "C" + strconv.Itoa(i)
		s.create(t, s.writer, `{"first_name": "`+name+`"}`)
		want = append([]string{name}, want...)
	}
	type page struct {
		Count, Page, Limit, Pages *int
		NextCursor                *string `json:"next_cursor"`
	}
	for _, start := range []string{"cursor=&limit=3", "limit=3"} { // from the empty cursor, and from a page
		var names []string
		for query, steps := start, 0; ; steps++ {
			if steps > 3 {
				t.Fatal("the walk does not end")
			}
			got := s.want(t, 200, ask{path: api + "/contacts?" + query, key: s.reader})
			names = append(names, namesOf(t, got.body)...)
			p := decode[page](t, got.body)
			if *p.Limit != 3 || (p.Page != nil) != (query == "limit=3") || (p.Count != nil) != (query == "limit=3") {
				t.Errorf("?%s: %s", query, got.body)
			}
			if p.NextCursor == nil {
				break
			}
			query = "limit=3&cursor=" + *p.NextCursor
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("?%s (-want +got):\n%s", start, diff)
		}
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	s := newWorld(t, nil)
	send := func(body string) string {
		t.Helper()
		return s.want(t, 200, ask{method: "POST", path: api + "/contacts/batch", key: s.writer, body: body}).body
	}
	type result struct {
		Index    int
		Status   int
		Replayed bool
		Contact  *contact
		Error    *failure
	}
	type answer struct {
		Created, Failed int
		Results         []result
	}
	const two = `{"contacts": [{"first_name": "Jane", "idempotency_key": "k"}, {"email": "joe@example.com"}], "all_or_nothing": `
	failed := send(two + `true}`)
	wantBody(t, `{"results": [
		{"index": 0, "status": 424, "error": {"error": "batch_failed", "message": "not stored, because another contact of the batch could not be stored"}},
		{"index": 1, "status": 400, "error": {"error": "missing_first_name", "message": "first name is required", "details": [
			{"field": "first_name", "code": "required", "message": "is required"}]}}
	], "created": 0, "failed": 2}`, failed)
	first := decode[answer](t, send(two+`false}`))
	again := decode[answer](t, send(two+`false}`))
	if first.Created != 1 || first.Failed != 1 || first.Results[0].Status != 201 || first.Results[0].Replayed || first.Results[1].Error.Code != "missing_first_name" {
		t.Errorf("first: %+v", first)
	}
	if again.Created != 1 || again.Failed != 1 || !again.Results[0].Replayed {
		t.Errorf("again: %+v", again)
	}
	if diff := cmp.Diff(first.Results[0].Contact, again.Results[0].Contact); diff != "" {
		t.Errorf("the replayed one differs:\n%s", diff)
	}
	wantBody(t, `{"results": [], "created": 0, "failed": 0}`, send(`{"contacts": []}`))
	if got := send(`{"contacts": [{"first_name": "A"}]}`); !strings.Contains(got, `"results":[{"index":0,"status":201,"result":"created","contact":{"id":"`) {
		t.Errorf("got %s", got)
	}
}

func TestDisplay(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"not_contacted": "Not Contacted", "lead": "Lead", "": "", "Hot Lead": "Hot Lead", "über_wichtig": "Über Wichtig",
		"a": "A", "__x": "  X", "follow-up": "Follow-up", "VIP": "VIP", "日本": "日本",
	} {
		if got := contactshttp.Display(in); got != want {
			t.Errorf("Display(%q) = %q, want %q", in, got, want)
		}
	}
}
