package contactsio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// TestHistory exports a contact with its events. An import says where they come from.
func TestHistory(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, &contacts.Options{EventsPermission: contacts.PermissionReadContacts})
	if _, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "Early"}); err != nil {
		t.Fatal(err)
	}
	if err := f.Admin.SetEvents(t.Context(), f.Account.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	if s, err := importFile(t, f, strings.NewReader("first_name\nAnn\nBob\n"), nil, &contactsio.ImportOptions{Job: "friends"}); err != nil || s.Created != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	for c, err := range f.Service.Contacts(t.Context(), f.Key, contacts.ListContactsInput{Search: "Ann"}) {
		if err != nil {
			t.Fatal(err)
		}
		city := "Springfield"
		if _, err := f.Service.UpdateContact(t.Context(), f.Key, c.ID, contacts.UpdateContactInput{City: &city}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	opts := &contactsio.ExportOptions{Format: contactsio.FormatJSONLines, History: true}
	if n, err := contactsio.Export(t.Context(), f.Service, f.Key, &file, opts); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	var got []string
	for l := range strings.Lines(file.String()) {
		var c struct {
			FirstName string `json:"first_name"`
			History   *[]struct{ Type, Source string }
		}
		if err := json.Unmarshal([]byte(l), &c); err != nil {
			t.Fatal(err)
		}
		if c.History == nil {
			t.Fatalf("the history is no array: %s", l)
		}
		got = append(got, fmt.Sprintf("%s %v", c.FirstName, *c.History))
	}
	want := []string{"Bob [{contact.created import:friends}]", "Ann [{contact.updated } {contact.created import:friends}]", "Early []"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	other := contactstest.New(t, nil)
	if s, err := importFile(t, other, &file, nil, nil); err != nil || s.Created != 3 {
		t.Errorf("imported again: %+v, %v", s, err)
	}
	if _, err := contactsio.Export(t.Context(), f.Service, f.Key, &file, &contactsio.ExportOptions{History: true}); err == nil || !strings.Contains(err.Error(), "jsonl") {
		t.Errorf("a history in CSV: %v", err)
	}
}
