package contacts_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A damagedStore has records that are damaged, as stores return them.
type damagedStore struct {
	contacts.Store
	damage map[uuid.UUID]func(*contacts.ContactRecord) // what is wrong with the records
	lost   map[uuid.UUID]bool                          // records that cannot be read whole
}

func (s *damagedStore) FindContact(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	r, err := s.Store.FindContact(ctx, account, id)
	if err == nil && s.lost[id] {
		return nil, &contacts.DamagedError{ContactID: id, Reason: errors.New("a flipped bit")}
	}
	if f := s.damage[id]; err == nil && f != nil {
		f(r)
	}
	return r, err
}

func (s *damagedStore) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	list, err := s.Store.ListContacts(ctx, q)
	records := slices.Clone(list.Records)
	for _, g := range list.Groups {
		records = append(records, g.Records...)
	}
	for _, r := range records {
		if f := s.damage[r.Contact.ID]; f != nil {
			f(r)
		}
		if s.lost[r.Contact.ID] {
			list.Damaged = append(list.Damaged, &contacts.DamagedError{ContactID: r.Contact.ID, Reason: errors.New("a flipped bit")})
		}
	}
	return list, err
}

// wantDamaged fails the test unless err is about the damage of that contact alone.
func wantDamaged(t testing.TB, err error, id uuid.UUID) {
	t.Helper()
	wantError(t, err, contacts.CodeServerError)
	damaged, ok := errors.AsType[*contacts.DamagedError](err)
	if !ok || damaged.ContactID != id || !strings.Contains(err.Error(), id.String()) {
		t.Errorf("got %v, want an error that names %s", err, id)
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(damaged.Error(), "secret") {
		t.Errorf("%v, because of %v, tells of the contact", err, damaged)
	}
}

// A contact that cannot be read whole may have what VerifyErasure looks for.
func TestVerifyErasureNamesADamagedContact(t *testing.T) {
	t.Parallel()
	store := &damagedStore{Store: closing(t, memory.New()), damage: make(map[uuid.UUID]func(*contacts.ContactRecord)), lost: make(map[uuid.UUID]bool)}
	w := newWorld(t, store, nil)
	phones := []contacts.PhoneNumberInput{{PhoneNumber: number}}
	lost, whole := w.create(t, contacts.CreateContactInput{FirstName: "Ann", PhoneNumbers: phones}), w.create(t, contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: phones})
	store.damage[lost.ID] = func(r *contacts.ContactRecord) { r.Contact.PhoneNumbers = nil }
	store.lost[lost.ID] = true
	for _, probe := range []contacts.ErasureProbe{{PhoneNumbers: []string{number}}, {Texts: []string{number}}} {
		found, err := w.admin.VerifyErasure(t.Context(), w.acme.ID, probe)
		wantDamaged(t, err, lost.ID)
		if len(found) != 1 || found[0].ContactID != whole.ID {
			t.Errorf("%+v: found %+v", probe, found)
		}
	}
	if found := w.verify(t, contacts.ErasureProbe{Emails: []string{"ada@example.com"}}); found != nil {
		t.Errorf("found %+v", found)
	}
}

func TestDamagedContactsDoNotStandInTheWayOfTheOthers(t *testing.T) {
	t.Parallel()
	store := &damagedStore{Store: closing(t, memory.New()), damage: make(map[uuid.UUID]func(*contacts.ContactRecord)), lost: make(map[uuid.UUID]bool)}
	var log strings.Builder
	observer := &recorder{}
	w := newWorld(t, store, &contacts.Options{Logger: textLogger(&log), Observer: observer})
	ctx := t.Context()
	kinds := map[string]func(*contacts.ContactRecord){
		"context":            func(r *contacts.ContactRecord) { r.CustomContext = `{"secret":tru` },
		"industry context":   func(r *contacts.ContactRecord) { r.IndustryContext = `["secret"]` },
		"end of a context":   func(r *contacts.ContactRecord) { r.CustomContext += `x` },
		"time of creation":   func(r *contacts.ContactRecord) { r.Contact.CreatedAt = time.Date(50_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"time of the change": func(r *contacts.ContactRecord) { r.Contact.UpdatedAt = time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC) },
		"row":                nil,
	}
	var all []string // oldest first; "!" stands for a damaged one
	ids := make(map[string]uuid.UUID)
	for name, f := range kinds {
		w.create(t, contacts.CreateContactInput{FirstName: name})
		c := w.create(t, contacts.CreateContactInput{FirstName: "!" + name, CustomContext: map[string]any{}, IndustryContext: map[string]any{}})
		all, ids[name] = append(all, name, "!"+c.ID.String()), c.ID
		if f != nil {
			store.damage[c.ID] = f
		} else {
			store.lost[c.ID] = true
		}
	}
	slices.Reverse(all)
	for _, limit := range []int{1, 2, 5, 100} {
		var got []string
		for c, err := range w.svc.Contacts(ctx, w.key, contacts.ListContactsInput{Limit: limit}) {
			if err != nil {
				damaged, _ := errors.AsType[*contacts.DamagedError](err)
				if c != nil || damaged == nil {
					t.Fatalf("got %v and %v", c, err)
				}
				wantDamaged(t, err, damaged.ContactID)
				got = append(got, "!"+damaged.ContactID.String())
				continue
			}
			got = append(got, c.FirstName)
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("a walk, %d a page (-want +got):\n%s", limit, diff)
		}
	}
	for range w.svc.Contacts(ctx, w.key, contacts.ListContactsInput{}) {
		break // at a damaged one
	}

	log.Reset()
	observer.take()
	page, err := w.svc.ListContacts(ctx, w.key, contacts.ListContactsInput{Page: 1, Limit: 4})
	if page == nil || len(page.Contacts) != 2 || len(page.Damaged) != 2 || page.Count != 12 || page.Pages != 3 || page.NextCursor == "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	wantDamaged(t, err, page.Damaged[0].ContactID)
	if got, want := observer.take()[0].Outcome, (contacts.Outcome{AccountID: w.acme.ID, Returned: 2, Failed: 2}); got != want {
		t.Errorf("the observer is told %+v, want %+v", got, want)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), page.Damaged[1].ContactID.String()) {
		t.Errorf("want a log line for each damaged contact, got %q", &log)
	}
	if rest, _ := w.svc.ListContacts(ctx, w.key, contacts.ListContactsInput{Cursor: page.NextCursor}); rest == nil || len(rest.Contacts) != 4 || len(rest.Damaged) != 4 {
		t.Errorf("the next page: %+v", rest)
	}

	for name, id := range ids {
		_, err := w.svc.GetContact(ctx, w.key, id)
		if strings.HasPrefix(name, "time") { // the contact is whole, and has no JSON form
			if err != nil {
				t.Errorf("%s: get: %v", name, err)
			}
		} else {
			wantDamaged(t, err, id)
		}
		_, err = w.svc.UpdateContact(ctx, w.writer, id, contacts.UpdateContactInput{City: new("Rome")}, nil)
		if name == "time of the change" { // which an update sets
			if err != nil {
				t.Errorf("%s: update: %v", name, err)
			}
			continue
		}
		wantDamaged(t, err, id)
	}
	// What replaces all that is damaged repairs the contact.
	repaired, err := w.svc.ReplaceContact(ctx, w.writer, ids["context"], documented(), nil)
	if err != nil || repaired.Version != 2 {
		t.Errorf("ReplaceContact: got %+v, %v", repaired, err)
	}
	if _, err := w.svc.UpdateContact(ctx, w.writer, ids["industry context"], contacts.UpdateContactInput{IndustryContext: new(map[string]any)}, nil); err != nil {
		t.Errorf("UpdateContact without the context: %v", err)
	}
	for _, name := range []string{"end of a context", "time of creation"} {
		if err := w.svc.DeleteContact(ctx, w.writer, ids[name], nil); err != nil {
			t.Errorf("DeleteContact of %s: %v", name, err)
		}
	}
	if n, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: w.acme.ID}); n != 2 || err != nil {
		t.Errorf("PurgeContacts: got %d, %v", n, err)
	}
}

// TestReplayOfADamagedContact: what an upsert has changed cannot be shown once it is
// damaged. The replays of other contacts are shown all the same, whether the damaged one
// is deleted or not.
func TestReplayOfADamagedContact(t *testing.T) {
	t.Parallel()
	store := &damagedStore{Store: closing(t, memory.New()), lost: make(map[uuid.UUID]bool)}
	w := newWorld(t, store, nil)
	var in contacts.UpsertContactsInput
	ids := make(map[string]uuid.UUID)
	for _, name := range []string{"damaged", "deleted", "whole"} {
		email := name + "@example.com"
		ids[name] = w.create(t, contacts.CreateContactInput{FirstName: name, Email: email}).ID
		in.Contacts = append(in.Contacts, upsertOf(contacts.CreateContactInput{FirstName: name, Email: email, City: "Oslo", IdempotencyKey: name}, nil))
	}
	upsert := func(key string) []contacts.UpsertResult {
		results, err := w.svc.UpsertContacts(t.Context(), key, in)
		if err != nil {
			t.Fatal(err)
		}
		return results
	}
	for _, r := range upsert(w.writer) {
		if r.Err != nil || r.Result != contacts.ResultUpdated {
			t.Fatalf("got %+v", r)
		}
	}
	if err := w.svc.DeleteContact(t.Context(), w.writer, ids["deleted"], nil); err != nil {
		t.Fatal(err)
	}
	store.lost[ids["damaged"]], store.lost[ids["deleted"]] = true, true
	for _, key := range []string{w.writer, w.limitedWriter} {
		results := upsert(key)
		wantDamaged(t, results[0].Err, ids["damaged"])
		wantError(t, results[1].Err, contacts.CodeNotFound)
		if r := results[2]; r.Err != nil || !r.Replayed || r.Contact.City != "Oslo" {
			t.Errorf("the contact that is whole: got %+v", r)
		}
	}
	in.AllOrNothing = true
	wantDamaged(t, upsert(w.writer)[0].Err, ids["damaged"])
}
