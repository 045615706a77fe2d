package eventtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// A Copy is what a host keeps of the contacts of an account. It is made of events
// alone. The zero value is that of an account without events.
type Copy struct {
	Last     int64                        // the number of the newest event that is in it
	Ended    bool                         // that is the one of End
	Contacts map[uuid.UUID]map[string]any // in their JSON form; nil: it was removed, as a later event says
	Entries  int                          // of the do-not-call ledger
}

// Add does what the event says. An event that comes twice, or that follows on one
// that is missing, is an error.
func (c *Copy) Add(ctx context.Context, admin *contacts.Admin, e contacts.Event) error {
	if e.Sequence <= c.Last {
		return fmt.Errorf("the event %d comes after %d", e.Sequence, c.Last)
	}
	c.Last = e.Sequence
	if e.DoNotCall != nil {
		c.Entries++
		c.Ended = isEnd(e)
		return nil
	}
	contact, known := c.Contacts[e.ContactID]
	if created := e.Type == contacts.EventContactCreated; created == known {
		return fmt.Errorf("%s of a contact that is known: %t", e.Type, known)
	}
	switch e.Type {
	case contacts.EventContactCreated:
		if c.Contacts == nil {
			c.Contacts = make(map[uuid.UUID]map[string]any)
		}
		after, err := admin.ContactAfter(ctx, e)
		switch contacts.CodeOf(err) {
		case "":
			c.Contacts[e.ContactID], err = formOf(after)
			return err
		case contacts.CodeNotFound: // it is removed by now
			c.Contacts[e.ContactID] = nil
			return nil
		default:
			return fmt.Errorf("the contact after event %d: %w", e.Sequence, err)
		}
	case contacts.EventContactPurged, contacts.EventContactErased:
		delete(c.Contacts, e.ContactID)
		return nil
	}
	if contact == nil || e.Redacted { // the contact is removed later
		c.Contacts[e.ContactID] = nil
		return nil
	}
	return change(contact, e)
}

// change makes the changes of an event.
func change(contact map[string]any, e contacts.Event) error {
	if before := fmt.Sprint(contact["version"]); before != fmt.Sprint(e.Version-1) {
		return fmt.Errorf("the event %d makes version %d of version %s", e.Sequence, e.Version, before)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	var form struct {
		At      string
		Version json.Number
		Changes []struct {
			Field         string
			Before, After any
		}
	}
	if err := decode(text, &form); err != nil {
		return err
	}
	for _, f := range form.Changes {
		path := strings.Split(strings.NewReplacer(`\\`, `\`, `\.`, "\x00", ".", "\x01").Replace(f.Field), "\x01")
		object := contact
		for i, name := range path {
			name = strings.ReplaceAll(name, "\x00", ".")
			if i < len(path)-1 {
				if object, _ = object[name].(map[string]any); object == nil {
					return fmt.Errorf("the event %d changes %s, and there is no %s", e.Sequence, f.Field, name)
				}
				continue
			}
			if before := object[name]; !reflect.DeepEqual(before, f.Before) {
				return fmt.Errorf("the event %d changes %s from %v, which is %v", e.Sequence, f.Field, f.Before, before)
			}
			if object[name] = f.After; f.After == nil {
				delete(object, name)
			}
		}
	}
	contact["version"], contact["updated_at"] = form.Version, form.At
	return nil
}

// formOf returns the JSON form of a contact, without what the do-not-call ledger
// says of its numbers.
func formOf(c *contacts.Contact) (form map[string]any, err error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if err := decode(text, &form); err != nil {
		return nil, err
	}
	phones, _ := form["phone_numbers"].([]any)
	for _, phone := range phones {
		p := phone.(map[string]any)
		for _, name := range []string{"do_not_call", "dnc_date", "dnc_reason"} {
			delete(p, name)
		}
		if p["primary"] == false { // as in an event
			delete(p, "primary")
		}
	}
	return form, nil
}

// decode reads JSON and keeps the digits of numbers.
func decode(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(to)
}

// Want checks that the contacts of the store, deleted ones too, are those of the
// copy, and that the ledger has as many entries.
func (c *Copy) Want(t testing.TB, w *World) {
	t.Helper()
	want := make(map[uuid.UUID]map[string]any)
	for _, deleted := range []bool{false, true} {
		q := contacts.ContactQuery{AccountID: w.Account, AllTeams: true, Deleted: deleted, Limit: 1000}
		for more := true; more; {
			list, err := w.Store.ListContacts(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list.Records {
				if want[r.Contact.ID], err = stored(r); err != nil {
					t.Fatal(err)
				}
				q.After = r.Contact.ID
			}
			more = len(list.Records) == q.Limit
		}
	}
	got := c.Contacts
	if got == nil {
		got = make(map[uuid.UUID]map[string]any)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contacts (-stored +of the events):\n%s", diff)
	}
	entries := 0
	for _, err := range w.Service.DoNotCallEntries(t.Context(), w.Key, contacts.ListDoNotCallInput{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		entries++
	}
	if entries != c.Entries {
		t.Errorf("the ledger has %d entries, and there were events of %d", entries, c.Entries)
	}
}

// stored returns the JSON form of a contact as a store returns it.
func stored(r *contacts.ContactRecord) (map[string]any, error) {
	form, err := formOf(&r.Contact)
	for name, text := range map[string]string{"custom_context": r.CustomContext, "industry_context": r.IndustryContext} {
		if err == nil && text != "" {
			var context any
			err = decode([]byte(text), &context)
			form[name] = context
		}
	}
	return form, err
}

// Host is a program that keeps a Copy in a file. It may be killed at any moment, and
// begins anew where it was. step is called twice for each event: when the event is
// in the copy, and when the copy is saved. An error of it is that of Host. Host
// returns nil when it has saved the event of End.
func Host(ctx context.Context, w *World, path string, step func(saved bool) error) error {
	c, err := load(path)
	if err != nil || c.Ended {
		return err
	}
	for e, err := range w.Admin.Events(ctx, w.Account, c.Last) {
		if err == nil {
			err = c.Add(ctx, w.Admin, e)
		}
		if err == nil {
			err = step(false)
		}
		if err == nil {
			err = c.save(path)
		}
		if err == nil {
			err = step(true)
		}
		if err != nil || c.Ended {
			return err
		}
	}
	return ctx.Err()
}

// WantHost checks what a host has in its file when it has the event of End.
func WantHost(t testing.TB, w *World, path string) {
	t.Helper()
	c, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Ended {
		t.Fatal("the host has not come to the end")
	}
	c.Want(t, w)
}

// load reads a copy; there is none at the beginning.
func load(path string) (c Copy, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	return c, decode(text, &c)
}

// save replaces the file at once.
func (c *Copy) save(path string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
