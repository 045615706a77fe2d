package contacts_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/memory"
)

// groups returns all groups that a key may see, as text: what they share, their
// count and the first names, oldest first. Groups of one kind are sorted.
func (w *world) groups(t testing.TB, key string, in contacts.FindDuplicatesInput) []string {
	t.Helper()
	var groups []string
	kinds := 0 // of the groups before
	for g, err := range w.svc.Duplicates(t.Context(), key, in) {
		if err != nil {
			t.Fatalf("Duplicates(%+v): %v", in, err)
		}
		if len(groups) > kinds && !strings.HasPrefix(groups[kinds], string(g.Key)) {
			kinds = len(groups)
		}
		text := fmt.Sprint(g.Key, " ", g.Count, ":")
		for _, c := range g.Contacts {
			text += " " + c.FirstName
		}
		at, _ := slices.BinarySearch(groups[kinds:], text)
		groups = slices.Insert(groups, kinds+at, text)
	}
	return groups
}

func TestFindDuplicates(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		number := func(numbers ...string) (in []contacts.PhoneNumberInput) {
			for _, n := range numbers {
				in = append(in, contacts.PhoneNumberInput{PhoneNumber: n})
			}
			return in
		}
		for _, in := range []contacts.CreateContactInput{
			{FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: number("+15551234567")},
			{FirstName: "Byron", Email: "byron@example.com", PhoneNumbers: number("+393331234567", "+1 (555) 123-4567")}, // of the same family
			{FirstName: "ADA", Email: "ADA@Example.COM", TeamID: team},
			{FirstName: "Ada2", Email: "Ada@example.com", TeamID: closedTeam},
			{FirstName: "dots", Email: "a.da@example.com"}, // another mailbox
			{FirstName: "tag", Email: "ada+crm@example.com"},
			{FirstName: "open", Email: "mixed@example.com", TeamID: team, ExternalID: "1"},
			{FirstName: "closed", Email: "mixed@example.com", TeamID: closedTeam, ExternalID: "2"},
			{FirstName: "both", Email: "hidden@example.com", TeamID: closedTeam},
			{FirstName: "hidden", Email: "hidden@example.com", TeamID: closedTeam},
			{FirstName: "gone", Email: "a.da@example.com"},
			{FirstName: "nothing"},
			{FirstName: "nothing"},
		} {
			c := w.create(t, in)
			if in.FirstName == "gone" {
				if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := w.svc.CreateContact(t.Context(), w.foreignKey, contacts.CreateContactInput{FirstName: "foreign", Email: "byron@example.com"}); err != nil {
			t.Fatal(err)
		}
		byEmail := []string{"email 2: both hidden", "email 2: open closed", "email 3: Ada ADA Ada2"}
		for _, c := range []struct {
			name string
			key  string
			in   contacts.FindDuplicatesInput
			want []string
		}{
			{"by e-mail", w.key, contacts.FindDuplicatesInput{Key: contacts.KeyEmail}, byEmail},
			{"by phone", w.key, contacts.FindDuplicatesInput{Key: contacts.KeyPhoneNumber}, []string{"phone_number 2: Ada Byron"}},
			{"by external id", w.key, contacts.FindDuplicatesInput{Key: contacts.KeyExternalID}, nil},
			{"by e-mail and then by phone", w.key, contacts.FindDuplicatesInput{}, append(slices.Clone(byEmail), "phone_number 2: Ada Byron")},
			{"one a page", w.key, contacts.FindDuplicatesInput{Limit: 1}, append(slices.Clone(byEmail), "phone_number 2: Ada Byron")},
			{"three a page, as many as one kind has", w.key, contacts.FindDuplicatesInput{Limit: 3}, append(slices.Clone(byEmail), "phone_number 2: Ada Byron")},
			{"what a key with one team sees", w.limitedKey, contacts.FindDuplicatesInput{}, []string{"email 2: Ada ADA", "phone_number 2: Ada Byron"}},
			{"in another account", w.foreignKey, contacts.FindDuplicatesInput{}, nil},
		} {
			if diff := cmp.Diff(c.want, w.groups(t, c.key, c.in)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
		page, err := w.svc.FindDuplicates(t.Context(), w.key, contacts.FindDuplicatesInput{})
		if err != nil || page.Limit != 25 || len(page.Groups) != 4 || page.NextCursor != "" {
			t.Fatalf("got %+v, %v", page, err)
		}
		whole, err := w.svc.GetContact(t.Context(), w.key, page.Groups[0].Contacts[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole, page.Groups[0].Contacts[0]); diff != "" {
			t.Errorf("a contact of a group (-want +got):\n%s", diff)
		}
		for range w.svc.Duplicates(t.Context(), w.key, contacts.FindDuplicatesInput{Limit: 1}) {
			break
		}
	})
}

func TestGroupShowsTheOldestThatTheKeyMaySee(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		var in contacts.CreateContactsInput
		for i := range 210 {
			in.Contacts = append(in.Contacts, contacts.CreateContactInput{FirstName: fmt.Sprint(i), Email: "office@example.com", TeamID: []int64{team, closedTeam}[i%2]})
		}
		if _, err := w.svc.CreateContacts(t.Context(), w.key, in); err != nil {
			t.Fatal(err)
		}
		for key, c := range map[string]struct{ step, count int }{w.key: {1, 210}, w.limitedKey: {2, 105}} {
			want := fmt.Sprint("email ", c.count, ":")
			for i := range 100 {
				want += fmt.Sprint(" ", i*c.step)
			}
			if diff := cmp.Diff([]string{want}, w.groups(t, key, contacts.FindDuplicatesInput{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	})
}

func TestPageOfLargeGroupsIsShort(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		large := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"}
		for i := range 40 {
			large.PhoneNumbers = append(large.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: fmt.Sprint("+155512345", 10+i)})
		}
		for i := range 100 {
			large.Tags = append(large.Tags, fmt.Sprint(10+i, strings.Repeat("\U00020000", 96)))
		}
		in := contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{large}, 5)}
		if _, err := w.svc.CreateContacts(t.Context(), w.key, in); err != nil {
			t.Fatal(err)
		}
		page, err := w.svc.FindDuplicates(t.Context(), w.key, contacts.FindDuplicatesInput{Limit: 100, WithoutContexts: true})
		if err != nil {
			t.Fatal(err)
		}
		if body, err := json.Marshal(page); err != nil || len(body) > 5<<20 || len(page.Groups) < 10 {
			t.Errorf("%d groups have %d bytes: %v", len(page.Groups), len(body), err)
		}
		if groups := w.groups(t, w.key, contacts.FindDuplicatesInput{}); len(groups) != 41 {
			t.Errorf("a walk yields %d groups, want 41", len(groups))
		}
	})
}

// A walk yields every group that is there all the time exactly once, and each as it
// is then, while others create, change, delete and restore.
func TestDuplicatesWhileOthersWrite(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ctx := context.WithoutCancel(t.Context())
		const n = 30
		email := func(i int) string { return fmt.Sprintf("p%d@example.com", i) }
		var in contacts.CreateContactsInput
		for i := range 2 * n { // the second half comes and goes
			for _, name := range []string{"one", "other"} {
				in.Contacts = append(in.Contacts, contacts.CreateContactInput{FirstName: name, Email: email(i)})
			}
		}
		made, err := w.svc.CreateContacts(ctx, w.key, in)
		if err != nil {
			t.Fatal(err)
		}
		var done atomic.Bool
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := 0; !done.Load() && !t.Failed(); i++ {
				stays, moves := made[i%(2*n)].Contact, made[2*n+i%(2*n)].Contact
				_, err1 := w.svc.UpdateContact(ctx, w.writer, stays.ID, contacts.UpdateContactInput{City: new(fmt.Sprint(i))}, nil)
				_, err2 := w.svc.UpdateContact(ctx, w.writer, moves.ID, contacts.UpdateContactInput{Email: new(email(100 + i))}, nil)
				err3 := w.svc.DeleteContact(ctx, w.writer, moves.ID, nil)
				_, err4 := w.svc.RestoreContact(ctx, w.writer, moves.ID, nil)
				_, err5 := w.svc.UpdateContact(ctx, w.writer, moves.ID, contacts.UpdateContactInput{Email: new(moves.Email)}, nil)
				if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
					t.Error(err)
				}
			}
		})
		for _, limit := range []int{1, 7, 0} {
			seen := make(map[string]int)
			for g, err := range w.svc.Duplicates(ctx, w.key, contacts.FindDuplicatesInput{Limit: limit}) {
				if err != nil {
					t.Error(err)
					break
				}
				if g.Count != 2 || len(g.Contacts) != 2 || g.Contacts[0].Email != g.Contacts[1].Email {
					t.Errorf("got a group that never was: %+v", g)
					break
				}
				seen[g.Contacts[0].Email]++
			}
			for i := range n {
				if seen[email(i)] != 1 {
					t.Errorf("%d a page: got the group of %s %d times", limit, email(i), seen[email(i)])
				}
			}
		}
		done.Store(true)
		writer.Wait()
	})
}

func TestWrongSearchForDuplicatesIsRefused(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		for i := range 4 {
			w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: fmt.Sprintf("%d@example.com", i/2)})
		}
		page, err := w.svc.FindDuplicates(t.Context(), w.key, contacts.FindDuplicatesInput{Limit: 1})
		if err != nil || page.NextCursor == "" {
			t.Fatalf("got %+v, %v", page, err)
		}
		list, err := w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name  string
			in    contacts.FindDuplicatesInput
			field string
			code  string
		}{
			{"no kind", contacts.FindDuplicatesInput{Key: "name"}, "key", contacts.FieldNotAllowed},
			{"letter case of a kind", contacts.FindDuplicatesInput{Key: "Email"}, "key", contacts.FieldNotAllowed},
			{"negative limit", contacts.FindDuplicatesInput{Limit: -1}, "limit", contacts.FieldInvalid},
			{"large limit", contacts.FindDuplicatesInput{Limit: 101}, "limit", contacts.FieldInvalid},
			{"cursor of a list", contacts.FindDuplicatesInput{Cursor: list.NextCursor}, "cursor", contacts.FieldInvalid},
			{"cursor of another kind", contacts.FindDuplicatesInput{Key: contacts.KeyPhoneNumber, Cursor: page.NextCursor}, "cursor", contacts.FieldInvalid},
			{"cursor of one byte", contacts.FindDuplicatesInput{Cursor: "Ag"}, "cursor", contacts.FieldInvalid},
			{"no cursor", contacts.FindDuplicatesInput{Cursor: "?"}, "cursor", contacts.FieldInvalid},
			{"cursor of no store", contacts.FindDuplicatesInput{Cursor: cursorAt(1, "?")}, "cursor", contacts.FieldInvalid},
			{"cursor of no kind", contacts.FindDuplicatesInput{Cursor: cursorAt(3, "")}, "cursor", contacts.FieldInvalid},
			{"cursor with NUL", contacts.FindDuplicatesInput{Cursor: cursorAt(1, "\x00")}, "cursor", contacts.FieldInvalid},
			{"cursor that is no text", contacts.FindDuplicatesInput{Cursor: cursorAt(1, "\xff")}, "cursor", contacts.FieldInvalid},
			{"long cursor", contacts.FindDuplicatesInput{Cursor: cursorAt(1, strings.Repeat("x", 10_000))}, "cursor", contacts.FieldInvalid},
		} {
			_, err := w.svc.FindDuplicates(t.Context(), w.key, c.in)
			if contacts.CodeOf(err) != contacts.CodeValidationError {
				t.Errorf("%s: got %v", c.name, err)
				continue
			}
			wantError(t, err, contacts.CodeValidationError, wrong(c.field, c.code))
		}
		if _, err := w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{Cursor: page.NextCursor}); contacts.CodeOf(err) != contacts.CodeValidationError {
			t.Errorf("a list with the cursor of duplicates: got %v", err)
		}
		for key, code := range map[string]contacts.Code{
			"": contacts.CodeAuthenticationRequired, "ck_1": contacts.CodeInvalidKey, w.powerless: contacts.CodePermissionDenied, w.expired: contacts.CodeInvalidKey,
		} {
			for _, err := range w.svc.Duplicates(t.Context(), key, contacts.FindDuplicatesInput{Limit: 500}) {
				wantError(t, err, code)
			}
		}
	})
}

// cursorAt returns a cursor of duplicates after a position, of the kind with that
// number.
func cursorAt(kind byte, position string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{2, kind}, position...))
}

func TestDamagedContactsLeaveTheirGroups(t *testing.T) {
	t.Parallel()
	store := &damagedStore{Store: closing(t, memory.New())}
	var log strings.Builder
	observer := &recorder{}
	w := newWorld(t, store, &contacts.Options{Logger: textLogger(&log), Observer: observer})
	var ids []uuid.UUID
	for _, email := range []string{"ada@example.com", "Ada@example.com", "office@example.com", "Office@example.com", "OFFICE@example.com"} {
		c := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: email, CustomContext: map[string]any{}})
		ids = append(ids, c.ID)
	}
	bad := ids[3]
	store.damage = map[uuid.UUID]func(*contacts.ContactRecord){bad: func(r *contacts.ContactRecord) { r.CustomContext = "{" }}
	store.lost = map[uuid.UUID]bool{ids[4]: true}
	observer.take()
	page, err := w.svc.FindDuplicates(t.Context(), w.key, contacts.FindDuplicatesInput{})
	wantDamaged(t, err, bad)
	if got, want := observer.take()[0].Outcome, (contacts.Outcome{AccountID: w.acme.ID, Returned: 2, Failed: 2}); got != want {
		t.Errorf("the observer is told %+v, want %+v", got, want)
	}
	if len(page.Groups) != 2 || page.Groups[0].Damaged != nil || len(page.Groups[0].Contacts) != 2 {
		t.Fatalf("got %+v", page)
	}
	if g := page.Groups[1]; g.Count != 3 || len(g.Contacts) != 1 || len(g.Damaged) != 2 || g.Damaged[1].ContactID != ids[4] {
		t.Errorf("got %+v", g)
	}
	if !strings.Contains(log.String(), bad.String()) || !strings.Contains(log.String(), ids[4].String()) {
		t.Errorf("the log does not name them: %s", &log)
	}
	seen := 0
	for g, err := range w.svc.Duplicates(t.Context(), w.key, contacts.FindDuplicatesInput{}) {
		if seen++; g.Damaged != nil {
			wantDamaged(t, err, bad)
		} else if err != nil {
			t.Errorf("got %v with %+v", err, g)
		}
	}
	if seen != 2 {
		t.Errorf("got %d groups, want 2", seen)
	}
}

func TestSummariesHaveNoContexts(t *testing.T) {
	t.Parallel()
	store := &damagedStore{Store: closing(t, memory.New()), damage: make(map[uuid.UUID]func(*contacts.ContactRecord))}
	w := newWorld(t, store, nil)
	for range 2 {
		c := w.create(t, contacts.CreateContactInput{
			FirstName: "Ada", Email: "ada@example.com", CustomContext: map[string]any{"a": "b"}, IndustryContext: map[string]any{},
		})
		store.damage[c.ID] = func(r *contacts.ContactRecord) { r.IndustryContext = "{" }
	}
	list, err := w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{WithoutContexts: true})
	if err != nil {
		t.Fatal(err)
	}
	duplicates, err := w.svc.FindDuplicates(t.Context(), w.key, contacts.FindDuplicatesInput{WithoutContexts: true})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(list.Contacts, duplicates.Groups[0].Contacts)
	if len(all) != 4 {
		t.Fatalf("got %d contacts, want 4", len(all))
	}
	for _, c := range all {
		if c.FirstName != "Ada" || c.CustomContext != nil || c.IndustryContext != nil {
			t.Errorf("got %+v", c)
		}
	}
	store.damage = nil
	if list, err = w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{}); err != nil || len(list.Contacts[0].CustomContext) != 1 {
		t.Errorf("without the field: got %+v, %v", list, err)
	}
}
