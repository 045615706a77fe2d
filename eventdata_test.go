package contacts_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// all are the permissions that a caller of every method needs.
var all = []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionReadEvents}

// switchOn switches the events of acme on, and returns a key that may do
// everything, and its id.
func (w *world) switchOn(t testing.TB, keep time.Duration) (key string, id uuid.UUID) {
	t.Helper()
	if err := w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{On: true, Keep: keep}); err != nil {
		t.Fatal(err)
	}
	key, k, err := w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, Name: "web <site>", Permissions: all, AllTeams: true})
	if err != nil {
		t.Fatal(err)
	}
	return key, k.ID
}

// journal returns the entries of an account.
func journalOf(t testing.TB, store contacts.Store, account uuid.UUID) []contacts.JournalEntry {
	t.Helper()
	entries, err := store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Limit: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// counted returns a source of ids that count from 1.
func counted() func() uuid.UUID {
	n := byte(0)
	return func() uuid.UUID {
		n++
		return uuid.UUID{15: n}
	}
}

func TestEventData(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 30, 9, 12, 44, 120_031_000, time.UTC)
	w := memoryWorld(t, &contacts.Options{NewID: counted(), Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}})
	const keep = 30 * 24 * time.Hour
	key, keyID := w.switchOn(t, keep+time.Nanosecond) // of which stores keep no part
	ctx := t.Context()
	body := `{"first_name": "Ada", "email": "a@example.com", "phone_numbers": [{"phone_number": "+15551234567", "phone_type": "home"}],
		"custom_context": {"budget": {"max": 100, "min": null}, "a.b\\": 12345678901234567890.5, "list": [1, {"a": null}]}}`
	c, err := w.svc.CreateContactJSON(contacts.WithEventSource(ctx, " import:\x00customers "), key, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{
		`{"city": "Oslo", "tags": ["vip", "x"], "team_id": 101, "phone_numbers": [{"phone_number": "+15551234567", "phone_type": "<work>"}]}`,
		`{"email": null, "city": null, "tags": [], "team_id": null, "phone_numbers": []}`,
		`{"custom_context": {"budget": {"max": null, "new": {}}, "a.b\\": "text"}, "industry_context": {"new": {}}}`,
		`{"custom_context": null}`,
		`{"city": null}`,
	} {
		if _, err := w.svc.UpdateContactJSON(ctx, key, c.ID, strings.NewReader(change), nil); err != nil {
			t.Fatal(err)
		}
	}
	put := `{"first_name": "Ada", "industry_context": {"none": null}}`
	if _, err := w.svc.ReplaceContactJSON(ctx, key, c.ID, strings.NewReader(put), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.DeleteContact(ctx, key, c.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.RestoreContact(ctx, key, c.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.DeleteContact(ctx, key, c.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: w.acme.ID, ContactID: c.ID}); err != nil {
		t.Fatal(err)
	}
	var got []string
	entries := journalOf(t, w.store, w.acme.ID)
	for i, e := range entries {
		if e.Sequence != int64(i+1) || e.Kind != contacts.JournalEvent || e.Subject != [32]byte{15: c.ID[15]} || e.EndsAt != e.At.Add(keep) {
			t.Errorf("entry %d: %+v", i, e)
		}
		got = append(got, strings.ReplaceAll(e.Data, keyID.String(), "KEY"))
	}
	const actor = `"actor":{"kind":"key","key_id":"KEY","name":"web <site>"}`
	previous := func(e contacts.JournalEntry) string { return e.At.Format(time.RFC3339Nano) }
	before := func(version int) string { return `"previous":"` + previous(entries[version-2]) + `",` + actor }
	want := []string{
		`{"v":1,"type":"contact.created","version":1,` + actor + `,"source":"import:customers"}`,
		`{"v":1,"type":"contact.updated","version":2,` + before(2) + `,"changes":[{"field":"city","after":"Oslo"},{"field":"team_id","after":101},` +
			`{"field":"tags","after":["vip","x"]},{"field":"phone_numbers",` +
			`"before":[{"id":"00000000-0000-0000-0000-000000000002","phone_number":"+15551234567","phone_type":"home","primary":true}],` +
			`"after":[{"id":"00000000-0000-0000-0000-000000000002","phone_number":"+15551234567","phone_type":"<work>","primary":true}]}]}`,
		`{"v":1,"type":"contact.updated","version":3,` + before(3) + `,"changes":[{"field":"email","before":"a@example.com"},{"field":"city","before":"Oslo"},` +
			`{"field":"team_id","before":101},{"field":"tags","before":["vip","x"]},{"field":"phone_numbers",` +
			`"before":[{"id":"00000000-0000-0000-0000-000000000002","phone_number":"+15551234567","phone_type":"<work>","primary":true}]}]}`,
		`{"v":1,"type":"contact.updated","version":4,` + before(4) + `,"changes":[{"field":"custom_context","path":["a.b\\"],"before":12345678901234567890.5,"after":"text"},` +
			`{"field":"custom_context","path":["budget","max"],"before":100},{"field":"custom_context","path":["budget","new"],"after":{}},` +
			`{"field":"industry_context","path":[],"after":{"new":{}}}]}`,
		`{"v":1,"type":"contact.updated","version":5,` + before(5) + `,"changes":[{"field":"custom_context","path":[],` +
			`"before":{"a.b\\":"text","budget":{"min":null,"new":{}},"list":[1,{"a":null}]}}]}`,
		`{"v":1,"type":"contact.updated","version":6,` + before(6) + `,"changes":[]}`,
		`{"v":1,"type":"contact.updated","version":7,` + before(7) + `,"changes":[{"field":"industry_context","path":["new"],"before":{}},{"field":"industry_context","path":["none"],"after":null}]}`,
		`{"v":1,"type":"contact.deleted","version":8,` + before(8) + `,"changes":[{"field":"deleted_at","after":"` + previous(entries[7]) + `"}]}`,
		`{"v":1,"type":"contact.restored","version":9,` + before(9) + `,"changes":[{"field":"deleted_at","before":"` + previous(entries[7]) + `"}]}`,
		`{"v":1,"type":"contact.deleted","version":10,` + before(10) + `,"changes":[{"field":"deleted_at","after":"` + previous(entries[9]) + `"}]}`,
		`{"v":1,"type":"contact.purged","version":0,"actor":{"kind":"admin"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestRedactedEventHoldsNothingOfThePerson(t *testing.T) {
	t.Parallel()
	const kept = `{"v":1,"type":"contact.updated","version":3,"previous":"2026-10-30T09:12:44.120031Z","actor":{"kind":"key","name":"web"},` +
		`"batch":"01970000-0000-7000-8000-000000000001",`
	for _, data := range []string{
		kept + `"source":"secret","changes":[{"field":"city","before":"secret","after":"secret"}]}`,
		kept + `"changes":[]}`,
		kept + `"changes":null,"redacted":true}`,
	} {
		got, err := contacts.RedactEvent(data)
		if diff := cmp.Diff(kept+`"changes":null,"redacted":true}`, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	for _, data := range []string{``, `{}`, `[]`, `{"v":1,"type":"contact.updated","version":"secret"}`, `{"v":1,"changes":"secret`} { // damaged
		if got, err := contacts.RedactEvent(data); got != "{}" || err != nil {
			t.Errorf("%q became %q, %v", data, got, err)
		}
	}
	unknown := strings.Replace(kept, "updated", "merged", 1) // by a newer version
	if got, err := contacts.RedactEvent(unknown + `"changes":[],"note":"secret"}`); got != unknown+`"changes":null,"redacted":true}` || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := contacts.RedactEvent(`{"v":2,"type":"contact.merged"}`); err == nil || strings.Contains(err.Error(), "merged") {
		t.Errorf("got %q, %v, want an error without text of the entry", got, err)
	}
}

func TestEventSettings(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	ctx, day := t.Context(), 24*time.Hour
	for _, keep := range []time.Duration{-1, 1, time.Hour - 1, 3654 * day} {
		err := w.admin.SetEvents(ctx, w.acme.ID, contacts.EventSettings{On: true, Keep: keep})
		wantError(t, err, contacts.CodeValidationError, wrong("keep", contacts.FieldInvalid))
	}
	wantError(t, w.admin.SetEvents(ctx, uuid.UUID{1}, contacts.EventSettings{}), contacts.CodeNotFound)
	_, err := w.admin.EventSettings(ctx, uuid.UUID{1})
	wantError(t, err, contacts.CodeNotFound)

	want := contacts.EventSettings{}
	for _, set := range []contacts.EventSettings{{}, {On: true}, {On: true, Keep: time.Hour}, {Keep: 3650 * day}} {
		got, err := w.admin.EventSettings(ctx, w.acme.ID)
		if got != want || err != nil {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		if err := w.admin.SetEvents(ctx, w.acme.ID, set); err != nil {
			t.Fatal(err)
		}
		if want = set; set.On && set.Keep == 0 {
			want.Keep = 30 * day
		}
	}
	account, err := w.store.FindAccount(ctx, w.acme.ID)
	if err != nil || account.Settings["events"] != `{"on":false,"keep":"87600h0m0s"}` {
		t.Errorf("stored as %s, %v", account.Settings["events"], err)
	}
	var read contacts.EventSettings
	if err := json.Unmarshal([]byte(`{"on": true, "keep": "720h0m0s"}`), &read); err != nil || read != (contacts.EventSettings{On: true, Keep: 30 * day}) {
		t.Errorf("read %v, %v", read, err)
	}
}
