package contacts_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// timeOf returns the time of a UUIDv7, to the millisecond.
func timeOf(id uuid.UUID) time.Time {
	milli := int64(0)
	for _, b := range id[:6] {
		milli = milli<<8 | int64(b)
	}
	return time.UnixMilli(milli).UTC()
}

// idsOf returns the ids of a contact in the order in which they are made.
func idsOf(c *contacts.Contact) []uuid.UUID {
	all := []uuid.UUID{c.ID}
	for _, p := range c.PhoneNumbers {
		all = append(all, p.ID)
	}
	return all
}

func TestIDsHaveTheTimeOfTheClockAndAscend(t *testing.T) {
	t.Parallel()
	at := noon
	w := memoryWorld(t, &contacts.Options{Now: func() time.Time { return at }})
	var last uuid.UUID
	for i := range 5_000 {
		c := w.create(t, documented())
		for _, id := range idsOf(c) {
			if bytes.Compare(last[:], id[:]) >= 0 {
				t.Fatalf("create %d: %s comes after %s", i, id, last)
			}
			if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
				t.Fatalf("create %d: %s has version %d and variant %s", i, id, id.Version(), id.Variant())
			}
			// Ids that are made while the clock stands still run ahead of it.
			if d := timeOf(id).Sub(at.Truncate(time.Millisecond)); d < 0 || d > 20*time.Millisecond {
				t.Fatalf("create %d: the time of %s is %s after that of the clock", i, id, d)
			}
			last = id
		}
	}
	at = at.Add(time.Hour)
	if c := w.create(t, documented()); !timeOf(c.ID).Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("the time of %s is %s, want %s", c.ID, timeOf(c.ID), at)
	} else {
		last = c.ID
	}
	for _, at = range []time.Time{noon.Add(-time.Hour), time.Unix(0, 0), time.Unix(-1, 999), {}} {
		for _, id := range idsOf(w.create(t, documented())) {
			if bytes.Compare(last[:], id[:]) >= 0 || id.Version() != 7 {
				t.Errorf("the clock went back to %s: %s comes after %s", at, id, last)
			}
			last = id
		}
	}
}

func TestIDsOfManyGoroutinesDiffer(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	const goroutines, each = 8, 200
	made := make([][]uuid.UUID, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				c, err := w.svc.CreateContact(t.Context(), w.key, documented())
				if err != nil {
					t.Error(err)
					return
				}
				made[g] = append(made[g], idsOf(c)...)
			}
		})
	}
	wg.Wait()
	seen := make(map[uuid.UUID]bool)
	for _, ids := range made {
		for i, id := range ids {
			if seen[id] {
				t.Fatalf("%s was made twice", id)
			}
			seen[id] = true
			if i > 0 && bytes.Compare(ids[i-1][:], id[:]) >= 0 {
				t.Fatalf("%s comes after %s", id, ids[i-1])
			}
		}
	}
}

func TestHostMakesTheIDs(t *testing.T) {
	t.Parallel()
	n := byte(0)
	newID := func() uuid.UUID { n++; return uuid.UUID{15: n} }
	w := memoryWorld(t, &contacts.Options{NewID: newID})
	c := w.create(t, documented())
	if diff := cmp.Diff([]uuid.UUID{{15: 1}, {15: 2}, {15: 3}}, idsOf(c)); diff != "" {
		t.Errorf("a create (-want +got):\n%s", diff)
	}
	c = w.update(t, c.ID, contacts.UpdateContactInput{PhoneNumbers: &[]contacts.UpdatePhoneNumber{{ID: c.PhoneNumbers[1].ID}, {PhoneNumber: new("+15550001111")}}})
	if diff := cmp.Diff([]uuid.UUID{{15: 1}, {15: 3}, {15: 4}}, idsOf(c)); diff != "" {
		t.Errorf("an update (-want +got):\n%s", diff)
	}
	admin := contacts.NewAdmin(w.store, &contacts.AdminOptions{NewID: newID})
	account, err := admin.CreateAccount(t.Context(), "Acme")
	if err != nil || account.ID != (uuid.UUID{15: 5}) {
		t.Errorf("an account: got %+v, %v", account, err)
	}
	_, key, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: account.ID})
	if err != nil || key.ID != (uuid.UUID{15: 6}) {
		t.Errorf("a key: got %+v, %v", key, err)
	}
}

func TestNewIDThatReturnsNoNewIDIsAServerError(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]uuid.UUID{"the zero id": {}, "another id": {15: 1}} { // the second create has it again
		var log strings.Builder
		w := memoryWorld(t, &contacts.Options{NewID: func() uuid.UUID { return id }, Logger: textLogger(&log)})
		_, _ = w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "x"})
		_, err := w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "x"})
		if wantError(t, err, contacts.CodeServerError); log.Len() == 0 {
			t.Errorf("%s: nothing is logged", name)
		}
		if id == uuid.Nil && len(w.names(t, contacts.ListContactsInput{})) != 0 {
			t.Errorf("%s: a contact is stored", name)
		}
	}
	admin := contacts.NewAdmin(memoryWorld(t, nil).store, &contacts.AdminOptions{NewID: func() uuid.UUID { return uuid.Nil }})
	_, err := admin.CreateAccount(t.Context(), "Acme")
	wantError(t, err, contacts.CodeServerError)
}

func TestClockOutsideTheCalendarStoresNothing(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		var log strings.Builder
		at := noon
		w := newWorld(t, store, &contacts.Options{Now: func() time.Time { return at }, Logger: textLogger(&log)})
		ctx := t.Context()
		stays, deleted := w.create(t, documented()), w.create(t, documented())
		if err := w.svc.DeleteContact(ctx, w.writer, deleted.ID, nil); err != nil {
			t.Fatal(err)
		}
		admin := contacts.NewAdmin(store, &contacts.AdminOptions{Now: func() time.Time { return at }})
		for _, wrong := range []time.Time{
			time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -3600)),
			time.Date(0, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC),
		} {
			for name, call := range map[string]func() error{
				"create": func() error { return second(w.svc.CreateContact(ctx, w.key, documented())) },
				"create again": func() error {
					in := documented()
					in.IdempotencyKey = "k"
					return second(w.svc.CreateContact(ctx, w.key, in))
				},
				"batch": func() error {
					return second(w.svc.CreateContacts(ctx, w.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{documented(), {}}}))
				},
				"update": func() error {
					return second(w.svc.UpdateContact(ctx, w.writer, stays.ID, contacts.UpdateContactInput{City: new("Rome")}, nil))
				},
				"replace": func() error { return second(w.svc.ReplaceContact(ctx, w.writer, stays.ID, documented(), nil)) },
				"delete":  func() error { return w.svc.DeleteContact(ctx, w.writer, stays.ID, nil) },
				"restore": func() error { return second(w.svc.RestoreContact(ctx, w.writer, deleted.ID, nil)) },
				"account": func() error { return second(admin.CreateAccount(ctx, "Acme")) },
				"team":    func() error { return second(admin.CreateTeam(ctx, contacts.Team{AccountID: w.acme.ID, Name: "x"})) },
				"key": func() error {
					_, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{AccountID: w.acme.ID})
					return err
				},
				"disable": func() error { return admin.DisableAccount(ctx, w.other.ID) },
				"revoke":  func() error { return admin.RevokeKey(ctx, w.acme.ID) },
				"purge":   func() error { return second(admin.PurgeContacts(ctx, contacts.PurgeInput{ContactID: deleted.ID})) },
			} {
				at = wrong
				log.Reset()
				err := call()
				at = noon
				if contacts.CodeOf(err) != contacts.CodeServerError || !strings.Contains(errors.Unwrap(err).Error(), "the years 1 to 9999") {
					t.Errorf("%s in the year %d: got %v", name, wrong.Year(), err)
				}
				if ofService := !strings.Contains(" account team key disable revoke purge ", " "+name+" "); ofService && !strings.Contains(log.String(), "the years 1 to 9999") {
					t.Errorf("%s in the year %d: the cause is not in the log %q", name, wrong.Year(), &log)
				}
			}
		}
		if names := w.names(t, contacts.ListContactsInput{}); len(names) != 1 {
			t.Errorf("stored all the same: %v", names)
		}
		if diff := cmp.Diff(stays, w.get(t, stays.ID)); diff != "" {
			t.Errorf("changed all the same (-before +after):\n%s", diff)
		}

		// The first and the last time that there is can be used.
		for _, edge := range []time.Time{{}, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
			at = edge
			in := documented()
			in.IdempotencyKey = edge.String()
			c := w.create(t, in)
			if diff := cmp.Diff(c, w.get(t, c.ID)); diff != "" {
				t.Errorf("at %s (-created +stored):\n%s", edge, diff)
			}
			if again := w.create(t, in); again.ID != c.ID {
				t.Errorf("at %s: another contact for the same idempotency key", edge)
			}
			_ = jsonOf(t, c)
		}
	})
}

func TestPurgeTakesATimeOfTheCalendar(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, year := range []int{-5, 0, 10_000, 300_000} {
		_, err := w.admin.PurgeContacts(t.Context(), contacts.PurgeInput{DeletedBefore: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)})
		wantError(t, err, contacts.CodeValidationError, wrong("deleted_before", contacts.FieldInvalid))
	}
}

func TestNoChangeLiesBeforeWhatItChanges(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		at := noon
		w := newWorld(t, store, &contacts.Options{Now: func() time.Time { return at }})
		ctx := t.Context()
		ordered := func(name string, c *contacts.Contact, updated time.Time) {
			t.Helper()
			if want := updated.UTC().Truncate(time.Microsecond); !c.UpdatedAt.Equal(want) || c.CreatedAt.After(c.UpdatedAt) {
				t.Errorf("%s: created at %s, updated at %s, want %s", name, c.CreatedAt, c.UpdatedAt, want)
			}
		}
		c := w.create(t, documented())
		at = noon.Add(-time.Hour)
		ordered("update, the clock went back", w.update(t, c.ID, contacts.UpdateContactInput{City: new("Rome")}), noon)
		at = noon.Add(time.Hour)
		ordered("update", w.update(t, c.ID, contacts.UpdateContactInput{City: new("Turin")}), at)
		at = noon
		c, err := w.svc.ReplaceContact(ctx, w.writer, c.ID, documented(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ordered("replace, the clock went back", c, noon.Add(time.Hour))
		if err := w.svc.DeleteContact(ctx, w.writer, c.ID, nil); err != nil {
			t.Fatal(err)
		}
		for c, err := range w.svc.Contacts(ctx, w.writer, contacts.ListContactsInput{Deleted: true}) {
			if err != nil || !c.DeletedAt.Equal(c.UpdatedAt) {
				t.Errorf("deleted at %s, updated at %s, %v", c.DeletedAt, c.UpdatedAt, err)
			}
			ordered("delete, the clock went back", c, noon.Add(time.Hour))
		}
		at = time.Time{}
		if c, err = w.svc.RestoreContact(ctx, w.writer, c.ID, nil); err != nil {
			t.Fatal(err)
		}
		ordered("restore, the clock went back", c, noon.Add(time.Hour))
	})
}
