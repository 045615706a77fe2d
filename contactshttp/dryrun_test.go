package contactshttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactstest"
)

// dryBody returns the body of a dry run of one contact.
func (r *answered) dryBody(t *testing.T) (result string, contact map[string]any, changes, matched string) {
	t.Helper()
	body := r.body.(map[string]any)
	texts := make([]string, 2)
	for i, name := range []string{"changes", "matched"} {
		text, err := json.Marshal(body[name])
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return body["result"].(string), body["contact"].(map[string]any), texts[0], texts[1]
}

// proveDryRuns compares dry runs of one contact with the requests themselves.
func proveDryRuns(t *testing.T, s *proof) {
	last := func() int64 {
		t.Helper()
		n, err := s.f.Admin.LastSequence(t.Context(), s.f.Account.ID)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// both makes the dry run, and then the request itself.
	both := func(status int, result, changes, matched string, r asked) (id string) {
		t.Helper()
		before := last()
		dry := s.want(200, "", r.dry())
		if last() != before {
			t.Errorf("%s %s: the dry run stored something", r.op, r.body)
		}
		if h := dry.header; h.Get("Dry-Run") != "true" || h.Get("Location") != "" || h.Get("ETag") != "" {
			t.Errorf("%s: got the headers %v", r.op, h)
		}
		really := s.want(status, "", r)
		for _, name := range []string{"Contacts-Result", "Contacts-Deleted-Twin", "Idempotency-Replayed"} {
			if got, want := dry.header.Get(name), really.header.Get(name); got != want {
				t.Errorf("%s %s: the dry run has %s: %q, want %q", r.op, r.body, name, got, want)
			}
		}
		gotResult, contact, gotChanges, gotMatched := dry.dryBody(t)
		if diff := cmp.Diff(timeless(really.body), timeless(contact)); diff != "" {
			t.Errorf("%s %s: the contact of the request (-) and of its dry run (+):\n%s", r.op, r.body, diff)
		}
		if gotResult != result || gotChanges != changes || gotMatched != matched {
			t.Errorf("%s %s: got %s, %s, %s\nwant %s, %s, %s", r.op, r.body, gotResult, gotChanges, gotMatched, result, changes, matched)
		}
		id = really.body.(map[string]any)["id"].(string)
		if want := any(id); (status == 201 && contact["id"] != nil) || (status == 200 && contact["id"] != want) {
			t.Errorf("%s %s: the dry run has the id %v", r.op, r.body, contact["id"])
		}
		return id
	}
	ask := func(op, body string) asked {
		r := s.valid(op)
		r.body = body
		return r
	}
	const ada = `{"first_name": "Ada", "email": "ada@dry.example.com"`
	create := ask("createContact", ada+`, "phone_numbers": [{"phone_number": "+12025550160"}]}`)
	_, contact, _, _ := s.want(200, "", create.dry()).dryBody(t)
	if id, has := contact["phone_numbers"].([]any)[0].(map[string]any)["id"]; id != nil || !has {
		t.Errorf("the id of a phone number that would be made is %v", id)
	}
	id := both(201, "created", "[]", "[]", create)
	matched := fmt.Sprintf(`[{"contact_id":%q,"field":"email"}]`, id)

	city := `[{"after":"Rome","before":null,"field":"city"}]`
	both(200, "updated", city, matched, ask("upsertContact", ada+`, "city": "Rome", "match_on": ["email"]}`))
	both(200, "unchanged", "[]", matched, ask("upsertContact", ada+`, "match_on": ["email"]}`))
	both(201, "created", "[]", "[]", ask("upsertContact", `{"first_name": "Bob"}`))

	patch := ask("updateContact", `{"city": null, "team_id": `+fmt.Sprint(s.f.Team.ID)+`, "tags": ["vip"], "custom_context": {"note": ""}}`)
	patch.id = id
	both(200, "updated", fmt.Sprintf(`[{"after":null,"before":"Rome","field":"city"},{"after":%d,"before":null,"field":"team_id"},`+
		`{"after":["vip"],"before":null,"field":"tags"},{"after":{"note":""},"before":null,"field":"custom_context"}]`, s.f.Team.ID), "[]", patch)
	put := ask("replaceContact", ada+`, "phone_numbers": [{"phone_number": "+12025550161", "phone_type": "work"}]}`)
	put.id = id
	_, _, changes, _ := s.want(200, "", put.dry()).dryBody(t)
	for _, want := range []string{`"field":"phone_numbers"`, `"id":null`, `"phone_type":"work"`, `{"after":null,"before":["vip"],"field":"tags"}`} {
		if !strings.Contains(changes, want) {
			t.Errorf("the changes have no %s: %s", want, changes)
		}
	}

	s.want(204, "", asked{op: "deleteContact", id: id})
	both(200, "restored", city, matched, ask("upsertContact", ada+`, "city": "Rome", "restore_deleted": true, "match_on": ["email"]}`))

	once := ask("createContact", `{"first_name": "Cy", "external_id": "dry C"}`)
	once.header.Set("Idempotency-Key", "dry once")
	both(201, "created", "[]", "[]", once)
	if replay := s.want(200, "", once.dry()); replay.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the dry run of a replay has the headers %v", replay.header)
	}
	cy := s.want(201, "", once).body.(map[string]any)["id"].(string)
	s.want(204, "", asked{op: "deleteContact", id: cy})
	for _, op := range []string{"createContact", "upsertContact"} {
		if dry := s.want(200, "", ask(op, `{"first_name": "Cy", "external_id": "dry C"}`).dry()); dry.header.Get("Contacts-Deleted-Twin") != cy {
			t.Errorf("%s: got the deleted twin %q, want %s", op, dry.header.Get("Contacts-Deleted-Twin"), cy)
		}
	}
	upsert := ask("upsertContact", `{"first_name": "Di"}`)
	upsert.header.Set("Idempotency-Key", "dry upsert")
	s.want(201, "", upsert)
	if replay := s.want(200, "", upsert.dry()); replay.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the dry run of a replay has the headers %v", replay.header)
	}

	s.want(404, "team_not_found", ask("createContact", `{"first_name": "Ada", "team_id": 999}`))

	writer := s.issue(t, contacts.IssueKeyInput{Permissions: []contacts.Permission{contacts.PermissionWriteContacts}, AllTeams: true})
	patch.header.Set("X-API-Key", writer) // which may not read
	s.want(200, "", patch.dry())

	limited := s.with(s.f.Service, contactshttp.Options{RateLimit: 1})
	for _, op := range s.operations {
		if !s.hasDryRun(op) {
			continue
		}
		for _, value := range []string{"1", "false", "TRUE", ""} {
			r := s.valid(op.id).dry()
			r.query.Set("dry_run", value)
			if a := s.want(400, "validation_error", r); len(a.fields()) != 1 || a.fields()[0] != "dry_run invalid" || a.header.Get("Dry-Run") != "" {
				t.Errorf("%s: dry_run=%s: got %s", op.id, value, a.text)
			}
		}
		r := s.valid(op.id).dry()
		s.f.FailNext(contacts.CodeServerError)
		s.want(500, "server_error", r)
		r.header.Set("X-API-Key", s.issue(t, contacts.IssueKeyInput{
			Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall}, AllTeams: true,
		}))
		limited.want(200, "", r)
		limited.want(429, "rate_limit_exceeded", r)
	}
}

// proveDryBatches compares dry runs of batches with the batches themselves.
func proveDryBatches(t *testing.T, s *proof) {
	policy := func(action contacts.DuplicateAction) {
		t.Helper()
		if err := s.f.Admin.SetDuplicatePolicy(t.Context(), s.f.Account.ID, contacts.DuplicatePolicy{Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	defer policy(contacts.DuplicateAllow)
	type item struct {
		Index, Status int
		Result        string
		Replayed      bool
		DeletedTwin   string `json:"deleted_twin"`
		Error         *contactshttp.ErrorBody
		Changes       []map[string]any
		Matched       []map[string]any
	}
	type batch struct {
		DryRun                                        bool `json:"dry_run"`
		Created, Existing, Updated, Unchanged, Failed int
		Results                                       []item
	}
	send := func(r asked) (b batch) {
		t.Helper()
		return decode[batch](t, s.want(200, "", r).text)
	}
	ada := s.valid("createContact")
	ada.body = `{"first_name": "Ada", "email": "ada@batch.example.com", "idempotency_key": "dry batch"}`
	id := s.want(201, "", ada).body.(map[string]any)["id"].(string)
	gone := s.valid("createContact")
	gone.body = `{"first_name": "Cy", "email": "cy@batch.example.com"}`
	cy := s.want(201, "", gone).body.(map[string]any)["id"].(string)
	s.want(204, "", asked{op: "deleteContact", id: cy})

	r := s.valid("createContacts")
	r.body = `{"contacts": [` + ada.body + `, {"first_name": "Bob", "email": "bob@batch.example.com"},
		{"first_name": "Ada", "email": "ada@batch.example.com", "city": "Rome"},
		{"first_name": "B", "email": "bob@batch.example.com"}, ` + gone.body + `, {"last_name": "Doe"},
		{"first_name": "Bob", "email": "bob@batch.example.com", "city": "Paris"}]}`
	for _, action := range []contacts.DuplicateAction{contacts.DuplicateReturnExisting, contacts.DuplicateUpsert} {
		policy(action)
		dry := send(r.dry())
		again := send(r.dry())
		if diff := cmp.Diff(dry, again); diff != "" || !dry.DryRun || len(dry.Results) != 7 {
			t.Fatalf("%s: the second dry run differs, so the first stored something:\n%s\n%+v", action, diff, dry)
		}
		if action == contacts.DuplicateUpsert {
			want := []map[string]any{{"field": "city", "before": nil, "after": "Rome"}}
			matched := []map[string]any{{"field": "email", "contact_id": id}}
			if diff := cmp.Diff(item{Index: 2, Status: 200, Result: "updated", Changes: want, Matched: matched}, dry.Results[2]); diff != "" {
				t.Errorf("the third contact (-want +got):\n%s", diff)
			}
			want[0]["after"], matched = "Paris", []map[string]any{{"field": "email", "index": 1.0}}
			if diff := cmp.Diff(item{Index: 6, Status: 200, Result: "updated", Changes: want, Matched: matched}, dry.Results[6]); diff != "" {
				t.Errorf("the last contact (-want +got):\n%s", diff)
			}
			really := send(r)
			really.DryRun = true
			for i := range dry.Results {
				dry.Results[i].Changes, dry.Results[i].Matched = nil, nil
			}
			if diff := cmp.Diff(really, dry); diff != "" {
				t.Errorf("the batch (-) and its dry run (+):\n%s", diff)
			}
		}
	}
}

// proveDryBlocks compares dry runs of blocks with the blocks themselves.
func proveDryBlocks(t *testing.T, s *proof) {
	const number = "+12025550170"
	status := func() string {
		t.Helper()
		return s.want(200, "", asked{op: "getDoNotCall", query: url.Values{"phone_number": {number}}}).text
	}
	for _, c := range []struct {
		op, body string
		status   int
		really   string // what the answer has beside the time
	}{
		{"blockCalls", `{"phone_number": "` + number + `", "reason": "asked"}`, 201, `"dnc_reason":"asked"`},
		{"blockCalls", `{"phone_number": "` + number + `", "reason": "asked"}`, 200, `"unchanged":true`},
		{"blockCallsBatch", `{"entries": [{"phone_number": "` + number + `"}, {"phone_number": "` + number + `"}, {"phone_number": "5"}]}`, 200, `"added":1,"unchanged":1,"granted":0,"failed":1`},
	} {
		before := status()
		dry := s.want(200, "", asked{op: c.op, body: c.body}.dry())
		if after := status(); after != before {
			t.Errorf("%s: a dry run has stored something: %s\nand then %s", c.op, before, after)
		}
		really := s.want(c.status, "", asked{op: c.op, body: c.body})
		if dry.header.Get("Dry-Run") != "true" || really.header.Get("Dry-Run") != "" {
			t.Errorf("%s: got the headers %v and %v", c.op, dry.header, really.header)
		}
		if !strings.Contains(dry.text, c.really) || !strings.Contains(really.text, c.really) {
			t.Errorf("%s: got %s and really %s, want %s", c.op, dry.text, really.text, c.really)
		}
		want := maps.Clone(really.body.(map[string]any))
		want["dry_run"], want["dnc_date"] = true, dry.body.(map[string]any)["dnc_date"]
		if want["dnc_date"] == nil {
			delete(want, "dnc_date")
		}
		if diff := cmp.Diff(any(want), dry.body); diff != "" {
			t.Errorf("%s: the answer (-) and that of the dry run (+):\n%s", c.op, diff)
		}
	}
}

// A busyStore changes the contact after the first look of a dry run at it.
type busyStore struct {
	contacts.Store

	once   sync.Once
	change func()
}

func (s *busyStore) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if batch.DryRun {
		s.once.Do(s.change)
	}
	return s.Store.Apply(ctx, batch)
}

// The changes of a dry run are its own, although another writer comes between.
func TestDryRunOfBusyContact(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, ifMatch string
		status        int
	}{
		{"any version", "", 200},
		{"both versions", `"v1", "v2"`, 200},
		{"the old version", `"v1"`, 412},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := contactstest.New(t, nil)
			ada, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "Ada", City: "Rome"})
			if err != nil {
				t.Fatal(err)
			}
			store := &busyStore{Store: f.Store, change: func() {
				paris := "Paris"
				if _, err := f.Service.UpdateContact(t.Context(), f.Key, ada.ID, contacts.UpdateContactInput{City: &paris}, nil); err != nil {
					t.Error(err)
				}
			}}
			svc, err := contacts.New(store, nil)
			if err != nil {
				t.Fatal(err)
			}
			w := new(world)
			w.url, w.wire = listen(t, svc, nil)
			q := ask{method: "PATCH", path: api + "/contacts/" + ada.ID.String() + "/update?dry_run=true", key: f.Key, body: `{"stage": "customer"}`}
			if test.ifMatch != "" {
				q.header = header("If-Match", test.ifMatch)
			}
			got := w.want(t, test.status, q)
			if test.status == 200 {
				dry := decode[contactshttp.DryRun](t, got.body)
				want := []contacts.FieldChange{{Field: "stage", Before: "lead", After: "customer"}}
				if diff := cmp.Diff(want, dry.Changes); diff != "" || dry.Contact.Address.City != "Paris" || dry.Contact.Version != 3 {
					t.Errorf("got %s\nchanges (-want +got):\n%s", got.body, diff)
				}
			}
		})
	}
}

func TestDryRunOfAChangeThatRepairsADamagedContact(t *testing.T) {
	t.Parallel()
	var store *damagedStore
	s := newWorld(t, &settings{wrap: func(inner contacts.Store) contacts.Store {
		store = &damagedStore{Store: inner}
		return store
	}})
	id := s.create(t, s.writer, `{"first_name": "Ada"}`)
	store.id = uuid.MustParse(id)
	path := api + "/contacts/" + id + "/update"
	for _, c := range []struct {
		method, body, match string
		status              int
	}{
		{"PUT", `{"first_name": "Eva"}`, "*", 200},
		{"PATCH", `{"custom_context": null}`, `"v1"`, 200},
		{"PATCH", `{"custom_context": null}`, `"v2"`, 412},
		{"PATCH", `{"first_name": ""}`, "*", 500}, // it leaves the damage
	} {
		got := s.want(t, c.status, ask{method: c.method, path: path + "?dry_run=true", key: s.writer, body: c.body, header: header("If-Match", c.match)})
		if run := decode[contactshttp.DryRun](t, got.body); c.status == 200 && (run.Contact.Version != 2 || len(run.Changes) != 0) {
			t.Errorf("%s %s: %s", c.method, c.body, got.body)
		}
	}
	s.want(t, 200, ask{method: "PUT", path: path, key: s.writer, body: `{"first_name": "Eva"}`})
}

// An operationAuthenticator notes the operations for which it is asked.
type operationAuthenticator struct {
	contacts.Authenticator
	asked []contacts.Operation
}

func (a *operationAuthenticator) Authenticate(ctx context.Context, key string) (*contacts.Principal, error) {
	a.asked = append(a.asked, contacts.OperationOf(ctx))
	return a.Authenticator.Authenticate(ctx, key)
}

// A host may let a key do one operation and not another.
func TestDryRunOfAChangeIsOneCallOfItsOperation(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	auth := &operationAuthenticator{Authenticator: contacts.KeyAuthenticator(f.Store, nil)}
	svc, err := contacts.New(f.Store, &contacts.Options{Authenticator: auth})
	if err != nil {
		t.Fatal(err)
	}
	w := new(world)
	w.url, w.wire = listen(t, svc, nil)
	id := w.create(t, f.Key, `{"first_name": "Ada"}`)
	for method, operation := range map[string]contacts.Operation{"PUT": contacts.OpReplaceContact, "PATCH": contacts.OpUpdateContact} {
		auth.asked = nil
		w.want(t, 200, ask{method: method, path: api + "/contacts/" + id + "/update?dry_run=true", key: f.Key, body: `{"first_name": "Eve"}`})
		if diff := cmp.Diff([]contacts.Operation{operation}, auth.asked); diff != "" {
			t.Errorf("%s: the operations that the authenticator was asked for (-want +got):\n%s", method, diff)
		}
	}
}
