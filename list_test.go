package contacts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// names returns the first names that a list has, in its order, all pages.
func (w *world) names(t testing.TB, in contacts.ListContactsInput) []string {
	t.Helper()
	var names []string
	for c, err := range w.svc.Contacts(t.Context(), w.writer, in) {
		if err != nil {
			t.Fatalf("Contacts(%+v): %v", in, err)
		}
		names = append(names, c.FirstName)
	}
	return names
}

func TestListIsNarrowedDownByEachFilter(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{DefaultRegion: "US"})
		for _, in := range []contacts.CreateContactInput{
			{FirstName: "Ada", LastName: "Lovelace", ExternalID: "A-1", Email: "Ada@Example.com", Company: "Analytical Engines", Stage: "customer", Tags: []string{"vip", "100%"}},
			{FirstName: "Bob", Email: "bob@example.com", Status: "active", TeamID: team, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}, {PhoneNumber: "+393331234567"}}},
			{FirstName: "Çelik", LastName: "İstanbul", Company: "Straße_GmbH", TeamID: closedTeam, Tags: []string{"VIP"}},
			{FirstName: "Dora", LastName: "O'Neil", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}},
		} {
			w.create(t, in)
		}
		for _, c := range []struct {
			name string
			in   contacts.ListContactsInput
			want string
		}{
			{"all, newest first", contacts.ListContactsInput{}, "Dora Çelik Bob Ada"},
			{"stage", contacts.ListContactsInput{Stage: "customer"}, "Ada"},
			{"default stage", contacts.ListContactsInput{Stage: "lead"}, "Dora Çelik Bob"},
			{"stage to the letter", contacts.ListContactsInput{Stage: "Customer"}, ""},
			{"status", contacts.ListContactsInput{Status: "active"}, "Bob"},
			{"tag", contacts.ListContactsInput{Tag: "vip"}, "Ada"},
			{"stage with hidden characters", contacts.ListContactsInput{Stage: "cus\u00adtomer\u200b"}, "Ada"},
			{"status with hidden characters", contacts.ListContactsInput{Status: "\ufeffactive"}, "Bob"},
			{"tag with hidden characters", contacts.ListContactsInput{Tag: "v\u200bip\u200e"}, "Ada"},
			{"e-mail with hidden characters", contacts.ListContactsInput{Email: "\u200bＡda@exam\u00adple.com"}, "Ada"},
			{"phone number with hidden characters", contacts.ListContactsInput{PhoneNumber: "\u202d+15551234567\u202c"}, "Dora Bob"},
			{"tag with a wildcard", contacts.ListContactsInput{Tag: "100%"}, "Ada"},
			{"tag that nobody has", contacts.ListContactsInput{Tag: "%"}, ""},
			{"team", contacts.ListContactsInput{TeamID: team}, "Bob"},
			{"e-mail", contacts.ListContactsInput{Email: "Ada@EXAMPLE.com"}, "Ada"},
			{"e-mail to the letter before the @", contacts.ListContactsInput{Email: "ada@example.com"}, ""},
			{"e-mail as a policy compares it", contacts.ListContactsInput{Email: "ADA@example.com", MatchEmail: true}, "Ada"},
			{"e-mail of somebody else", contacts.ListContactsInput{Email: "eve@example.com", MatchEmail: true}, ""},
			{"external id", contacts.ListContactsInput{ExternalID: " A-1 "}, "Ada"},
			{"external id to the letter", contacts.ListContactsInput{ExternalID: "a-1"}, ""},
			{"external id and e-mail", contacts.ListContactsInput{ExternalID: "A-1", Email: "bob@example.com", MatchEmail: true}, ""},
			{"blank external id", contacts.ListContactsInput{ExternalID: " "}, "error"},
			{"phone number", contacts.ListContactsInput{PhoneNumber: "(555) 123-4567"}, "Dora Bob"},
			{"second phone number", contacts.ListContactsInput{PhoneNumber: "+39 333 1234567"}, "Bob"},
			{"part of a phone number", contacts.ListContactsInput{PhoneNumber: "+39333123456"}, ""},
			{"search in the first name", contacts.ListContactsInput{Search: "DOR"}, "Dora"},
			{"search in the full name", contacts.ListContactsInput{Search: "ada love"}, "Ada"},
			{"search in the company", contacts.ListContactsInput{Search: "engine"}, "Ada"},
			{"search in the e-mail", contacts.ListContactsInput{Search: "@example"}, "Bob Ada"},
			{"search beyond ASCII", contacts.ListContactsInput{Search: "ÇELİK"}, "Çelik"},
			{"search without the accents", contacts.ListContactsInput{Search: "celik istanbul"}, "Çelik"},
			{"search with accents", contacts.ListContactsInput{Search: "Ádá"}, "Ada"},
			{"search in another order", contacts.ListContactsInput{Search: "lovelace ada"}, "Ada"},
			{"search in two fields", contacts.ListContactsInput{Search: "engines ada@"}, "Ada"},
			{"search with white space", contacts.ListContactsInput{Search: " \u00a0ada \u3000  lovelace "}, "Ada"},
			{"search with a comma", contacts.ListContactsInput{Search: "Lovelace, Ada"}, "Ada"},
			{"search with a word that it has not", contacts.ListContactsInput{Search: "ada hopper"}, ""},
			{"search across fields without a space", contacts.ListContactsInput{Search: "lovelaceanalytical"}, ""},
			{"search of nothing", contacts.ListContactsInput{Search: "  "}, "error"},
			{"search with letters that fold to two", contacts.ListContactsInput{Search: "STRASSE"}, "Çelik"},
			{"search across fields", contacts.ListContactsInput{Search: "lovelace\u2028analytical"}, "error"},
			{"search with wildcards", contacts.ListContactsInput{Search: "%"}, ""},
			{"search with an underscore", contacts.ListContactsInput{Search: "e_g"}, "Çelik"},
			{"search with a quote", contacts.ListContactsInput{Search: "o'n"}, "Dora"},
			{"all together", contacts.ListContactsInput{Stage: "lead", Status: "active", TeamID: team, Search: "bob", Email: "bob@example.com", PhoneNumber: "+15551234567"}, "Bob"},
			{"together nothing", contacts.ListContactsInput{Stage: "customer", Search: "bob"}, ""},
		} {
			var got []string
			for contact, err := range w.svc.Contacts(t.Context(), w.key, c.in) {
				if err != nil {
					got = append(got, "error")
					break
				}
				got = append(got, contact.FirstName)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			}
		}
	})
}

func TestListShowsWhatTheKeyMaySee(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		for name, id := range map[string]int64{"none": 0, "open": team, "closed": closedTeam} {
			w.create(t, contacts.CreateContactInput{FirstName: name, TeamID: id})
		}
		_, err := w.svc.CreateContact(t.Context(), w.foreignKey, contacts.CreateContactInput{FirstName: "foreign", TeamID: foreignTeam})
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string][]string{w.key: {"closed", "none", "open"}, w.limitedKey: {"none", "open"}, w.foreignKey: {"foreign"}} {
			page, err := w.svc.ListContacts(t.Context(), key, contacts.ListContactsInput{Page: 1})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range page.Contacts {
				got = append(got, c.FirstName)
			}
			slices.Sort(got)
			if !cmp.Equal(got, want) || page.Count != len(want) {
				t.Errorf("got %v of %d, want %v", got, page.Count, want)
			}
		}
		for id, want := range map[int64]contacts.Code{team: "", closedTeam: contacts.CodeTeamAccessDenied, foreignTeam: contacts.CodeTeamNotFound, absentTeam: contacts.CodeTeamNotFound} {
			_, err := w.svc.ListContacts(t.Context(), w.limitedKey, contacts.ListContactsInput{TeamID: id})
			if got := contacts.CodeOf(err); got != want {
				t.Errorf("list of team %d: got %q, want %q", id, got, want)
			}
		}
	})
}

func TestPagesByNumberAndByCursor(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ctx := t.Context()
		var want []uuid.UUID
		for i := range 57 {
			in := contacts.CreateContactInput{FirstName: fmt.Sprint(i)}
			if i%2 == 0 {
				in.Tags = []string{"even"}
			}
			want = append(want, w.create(t, in).ID)
		}
		slices.SortFunc(want, func(a, b uuid.UUID) int { return strings.Compare(b.String(), a.String()) })
		for _, limit := range []int{0, 1, 10, 57, 100} {
			size := limit
			if size == 0 {
				size = 25
			}
			var byNumber []uuid.UUID
			pages := (57 + size - 1) / size
			for number := 1; number <= pages+1; number++ {
				page, err := w.svc.ListContacts(ctx, w.key, contacts.ListContactsInput{Limit: limit, Page: number})
				if err != nil {
					t.Fatal(err)
				}
				if page.Count != 57 || page.Pages != pages || page.Page != number || page.Limit != size || (page.NextCursor == "") != (number >= pages) {
					t.Errorf("page %d of %d: %+v", number, size, page)
				}
				for _, c := range page.Contacts {
					byNumber = append(byNumber, c.ID)
				}
			}
			if diff := cmp.Diff(want, byNumber); diff != "" {
				t.Errorf("by number, %d a page (-want +got):\n%s", size, diff)
			}
			var byCursor []uuid.UUID
			for in := (contacts.ListContactsInput{Limit: limit}); ; {
				page, err := w.svc.ListContacts(ctx, w.key, in)
				if err != nil {
					t.Fatal(err)
				}
				if page.Count != 0 || page.Pages != 0 || page.Page != 0 || page.Limit != size {
					t.Errorf("by cursor: %+v", page)
				}
				for _, c := range page.Contacts {
					byCursor = append(byCursor, c.ID)
				}
				if in.Cursor = page.NextCursor; in.Cursor == "" {
					break
				}
			}
			if diff := cmp.Diff(want, byCursor); diff != "" {
				t.Errorf("by cursor, %d a page (-want +got):\n%s", size, diff)
			}
		}
		page, err := w.svc.ListContacts(ctx, w.key, contacts.ListContactsInput{Tag: "even", Page: 2, Limit: 10})
		if err != nil || page.Count != 29 || page.Pages != 3 || len(page.Contacts) != 10 {
			t.Errorf("the second page of a tag: %+v, %v", page, err)
		}
	})
}

func TestWrongListIsRefusedWithEachReason(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, c := range []struct {
		in   contacts.ListContactsInput
		want []contacts.FieldError
	}{
		{contacts.ListContactsInput{Email: " ", Status: "\t", Stage: "\u00a0", Tag: " ", Search: "  "}, []contacts.FieldError{
			wrong("email", contacts.FieldRequired), wrong("status", contacts.FieldRequired), wrong("stage", contacts.FieldRequired),
			wrong("tag", contacts.FieldRequired), wrong("search", contacts.FieldRequired),
		}}, // blank filters would list everything
		{contacts.ListContactsInput{PhoneNumber: " "}, []contacts.FieldError{wrong("phone_number", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Limit: 101}, []contacts.FieldError{wrong("limit", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Limit: -1}, []contacts.FieldError{wrong("limit", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Page: -1}, []contacts.FieldError{wrong("page", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Page: 1 << 30}, []contacts.FieldError{wrong("page", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Page: 1, Cursor: "x"}, []contacts.FieldError{wrong("cursor", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Cursor: "x"}, []contacts.FieldError{wrong("cursor", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Cursor: "AQGc8cAAAHAAgAAAAAAAAAF"}, []contacts.FieldError{wrong("cursor", contacts.FieldInvalid)}}, // bits after the last byte
		{contacts.ListContactsInput{Cursor: "AgGc8cAAAHAAgAAAAAAAAAE"}, []contacts.FieldError{wrong("cursor", contacts.FieldInvalid)}}, // another form
		{contacts.ListContactsInput{Cursor: strings.Repeat("A", 1<<20)}, []contacts.FieldError{wrong("cursor", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Search: "\u0301"}, []contacts.FieldError{wrong("search", contacts.FieldRequired)}}, // a mark alone
		{contacts.ListContactsInput{Search: ", ,"}, []contacts.FieldError{wrong("search", contacts.FieldRequired)}},
		{contacts.ListContactsInput{UpdatedAfter: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, []contacts.FieldError{wrong("updated_after", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{UpdatedAfter: time.Time{}.Add(-time.Hour)}, []contacts.FieldError{wrong("updated_after", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{UpdatedAfter: time.Unix(1<<62, 0)}, []contacts.FieldError{wrong("updated_after", contacts.FieldInvalid)}},
		{contacts.ListContactsInput{Email: "x", Tag: "\x00", PhoneNumber: "x", TeamID: -1, Search: strings.Repeat("x", 201), Stage: strings.Repeat("x", 65), Status: "\xff"}, []contacts.FieldError{
			wrong("email", contacts.FieldInvalid), wrong("status", contacts.FieldInvalid), wrong("stage", contacts.FieldTooLong), wrong("team_id", contacts.FieldInvalid),
			wrong("tag", contacts.FieldInvalid), wrong("search", contacts.FieldTooLong), wrong("phone_number", contacts.FieldInvalid)}},
	} {
		_, err := w.svc.ListContacts(t.Context(), w.key, c.in)
		wantError(t, err, contacts.CodeValidationError, c.want...)
	}
	for _, err := range w.svc.Contacts(t.Context(), w.key, contacts.ListContactsInput{Page: 1}) {
		wantError(t, err, contacts.CodeValidationError, wrong("page", contacts.FieldInvalid))
	}
	for _, err := range w.svc.Contacts(t.Context(), "", contacts.ListContactsInput{Page: 1}) {
		wantError(t, err, contacts.CodeAuthenticationRequired)
	}
	for _, err := range w.svc.Contacts(t.Context(), w.expired, contacts.ListContactsInput{}) {
		wantError(t, err, contacts.CodeInvalidKey)
	}
	_, err := w.svc.ListContacts(cancelled(t), w.key, contacts.ListContactsInput{})
	wantError(t, err, contacts.CodeServerError)
}

func TestCursorHoldsForOtherFilters(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for i := range 4 {
		w.create(t, contacts.CreateContactInput{FirstName: fmt.Sprint(i)})
	}
	page, err := w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	rest, err := w.svc.ListContacts(t.Context(), w.limitedKey, contacts.ListContactsInput{Stage: "lead", Cursor: page.NextCursor})
	if err != nil || len(rest.Contacts) != 2 {
		t.Errorf("got %+v, %v", rest, err)
	}
	// The walk may begin in the middle, and be broken off.
	n := 0
	for _, err := range w.svc.Contacts(t.Context(), w.key, contacts.ListContactsInput{Limit: 1, Cursor: page.NextCursor}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		break
	}
	if n != 1 {
		t.Errorf("the walk yielded %d times", n)
	}
}

func TestWalkHasWhatStaysExactlyOnceWhileOthersWrite(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		const writers = 8
		var want []uuid.UUID
		var passing [writers][]uuid.UUID // deleted and created while the walk goes on
		for i := range 300 {
			c := w.create(t, contacts.CreateContactInput{FirstName: "stays", Tags: []string{"t"}})
			want = append(want, c.ID)
			passing[i%writers] = append(passing[i%writers], w.create(t, contacts.CreateContactInput{FirstName: "goes", Tags: []string{"t"}}).ID)
		}
		slices.SortFunc(want, func(a, b uuid.UUID) int { return strings.Compare(b.String(), a.String()) })

		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, mine := range passing {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					c, err := w.svc.CreateContact(t.Context(), w.writer, contacts.CreateContactInput{FirstName: "comes", Tags: []string{"t"}})
					if err != nil {
						t.Error(err)
						return
					}
					gone := c.ID
					if i < len(mine) {
						gone = mine[i]
					}
					if err := w.svc.DeleteContact(t.Context(), w.writer, gone, nil); err != nil {
						t.Error(err)
					}
					if _, err := w.admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: gone}); err != nil {
						t.Error(err)
					}
					// What stays is changed, too, as it is walked over.
					if _, err := w.svc.UpdateContact(t.Context(), w.writer, want[i%len(want)], contacts.UpdateContactInput{City: new("Turin")}, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for _, in := range []contacts.ListContactsInput{{Limit: 7}, {Limit: 7, Tag: "t"}, {Limit: 1, Search: "stays"}, {Stage: "lead"}} {
			var got []uuid.UUID
			for c, err := range w.svc.Contacts(t.Context(), w.key, in) {
				if err != nil {
					t.Error(err)
					break
				}
				if c.FirstName == "stays" {
					got = append(got, c.ID)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", in, diff)
			}
		}
		stop()
		wg.Wait()
	})
}

// length walks a sequence to its end.
func length[T any](t *testing.T, walk iter.Seq2[T, error]) (n int) {
	t.Helper()
	for _, err := range walk {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Each loop over a walk of several pages begins at the first one.
func TestWalkBeginsAgain(t *testing.T) {
	t.Parallel()
	const n = 1001
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	in := contacts.CreateContactsInput{Contacts: make([]contacts.CreateContactInput, n)}
	for i := range in.Contacts {
		in.Contacts[i] = contacts.CreateContactInput{
			FirstName: "Ada", Email: fmt.Sprintf("%d@example.com", i/2),
			PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: fmt.Sprintf("+1555123%04d", i), DoNotCall: true}},
		}
	}
	if _, err := w.svc.CreateContacts(t.Context(), w.manager, in); err != nil {
		t.Fatal(err)
	}
	all := w.svc.Contacts(t.Context(), w.manager, contacts.ListContactsInput{})
	groups := w.svc.Duplicates(t.Context(), w.manager, contacts.FindDuplicatesInput{})
	entries := w.svc.DoNotCallEntries(t.Context(), w.manager, contacts.ListDoNotCallInput{})
	for try := range 2 {
		got := []int{length(t, all), length(t, groups), length(t, entries)}
		if want := []int{n, n / 2, n}; !slices.Equal(got, want) {
			t.Errorf("walk %d yields %v contacts, groups and entries, want %v", try, got, want)
		}
	}
}

// A copy that asks for what has changed is the same as the account in the end.
func TestCopyFollowsTheChanges(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
		w := newWorld(t, store, &contacts.Options{Now: func() time.Time { return now }})
		copied, walks := map[uuid.UUID]int64{}, 0 // the versions of the contacts
		var last time.Time
		follow := func(want ...string) {
			t.Helper()
			began, changed := now, []string{}
			for _, deleted := range []bool{false, true} {
				for c, err := range w.svc.Contacts(t.Context(), w.key, contacts.ListContactsInput{UpdatedAfter: last, Deleted: deleted, Limit: 2}) {
					if err != nil {
						t.Fatal(err)
					}
					if changed = append(changed, c.FirstName); deleted {
						delete(copied, c.ID)
					} else {
						copied[c.ID] = c.Version
					}
				}
			}
			if walks++; !cmp.Equal(changed, want, cmpopts.EquateEmpty()) {
				t.Errorf("walk %d: got %q, want %q", walks, changed, want)
			}
			all := map[uuid.UUID]int64{}
			for c, err := range w.svc.Contacts(t.Context(), w.key, contacts.ListContactsInput{}) {
				if err != nil {
					t.Fatal(err)
				}
				all[c.ID] = c.Version
			}
			if diff := cmp.Diff(all, copied); diff != "" {
				t.Errorf("walk %d: the copy differs (-want +got):\n%s", walks, diff)
			}
			last, now = began.Add(-time.Second), now.Add(time.Minute)
		}
		var made []*contacts.Contact
		for _, name := range []string{"Ada", "Bob", "Cleo", "Dora", "Emma"} {
			made = append(made, w.create(t, contacts.CreateContactInput{FirstName: name}))
		}
		follow("Emma", "Dora", "Cleo", "Bob", "Ada")
		follow("Emma", "Dora", "Cleo", "Bob", "Ada") // not later than a second before
		follow()
		if _, err := w.svc.UpdateContact(t.Context(), w.writer, made[0].ID, contacts.UpdateContactInput{City: new("Rome")}, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.svc.DeleteContact(t.Context(), w.writer, made[3].ID, nil); err != nil {
			t.Fatal(err)
		}
		w.create(t, contacts.CreateContactInput{FirstName: "Fay"})
		follow("Fay", "Ada", "Dora")
		if _, err := w.svc.RestoreContact(t.Context(), w.writer, made[3].ID, nil); err != nil {
			t.Fatal(err)
		}
		follow("Fay", "Dora", "Ada")
		follow("Dora")
		page, err := w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{UpdatedAfter: now.Add(-time.Hour), Page: 2, Limit: 4})
		if err != nil || page.Count != 6 || page.Pages != 2 || len(page.Contacts) != 2 {
			t.Errorf("the second page of what has changed: %+v, %v", page, err)
		}
		page, err = w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{UpdatedAfter: made[1].UpdatedAt.Add(999), Page: 1})
		if err != nil || page.Count != 3 {
			t.Errorf("what has changed after a part of a microsecond: %+v, %v", page, err)
		}
	})
}

func FuzzCursor(f *testing.F) {
	w := memoryWorld(f, nil)
	c := w.create(f, contacts.CreateContactInput{FirstName: "x"})
	own := contacts.EncodeCursor(c.ID)
	for _, s := range []string{own, own + "=", own[1:], own[:2] + "\r" + own[2:], "", "AQ", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		id, ok := contacts.DecodeCursor(cursor)
		if ok && contacts.EncodeCursor(id) != cursor {
			t.Fatalf("%q is another way to write the cursor of %s", cursor, id)
		}
		page, err := w.svc.ListContacts(t.Context(), w.key, contacts.ListContactsInput{Cursor: cursor})
		switch {
		case !ok && cursor != "":
			wantError(t, err, contacts.CodeValidationError, wrong("cursor", contacts.FieldInvalid))
		case err != nil:
			t.Fatal(err)
		case len(page.Contacts) == 1 != (cursor == "" || c.ID.String() < id.String()):
			t.Fatalf("after %s there are %d contacts; %s is the only one", id, len(page.Contacts), c.ID)
		}
	})
}

// What a list and a batch return has the names of the REST call.
func TestResultsHaveJSONNames(t *testing.T) {
	t.Parallel()
	john := &contacts.Contact{FirstName: "John"}
	_, wrongName := memoryWorld(t, nil).svc.GetContact(t.Context(), "", uuid.Nil)
	for name, c := range map[string]struct {
		value any
		want  []string
	}{
		"page":         {contacts.ContactPage{Contacts: []*contacts.Contact{john}, NextCursor: "x"}, []string{"contacts", "count", "limit", "next_cursor", "page", "pages"}},
		"last page":    {contacts.ContactPage{}, []string{"contacts", "count", "limit", "page", "pages"}},
		"created":      {contacts.CreateResult{Contact: john}, []string{"contact", "index"}},
		"replayed":     {contacts.CreateResult{Contact: john, Replayed: true}, []string{"contact", "index", "replayed"}},
		"refused":      {contacts.CreateResult{Err: wrongName}, []string{"error", "index"}},
		"error itself": {wrongName, []string{"error", "message"}},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(jsonOf(t, c.value)), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSearchFindsBothFormsOfAnIdeograph(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		w.create(t, contacts.CreateContactInput{FirstName: "\ufa19"})
		w.create(t, contacts.CreateContactInput{FirstName: "\u795e"})
		for _, search := range []string{"\ufa19", "\u795e"} {
			if diff := cmp.Diff([]string{"\u795e", "\ufa19"}, w.names(t, contacts.ListContactsInput{Search: search})); diff != "" {
				t.Errorf("search for %+q (-want +got):\n%s", search, diff)
			}
		}
	})
}
