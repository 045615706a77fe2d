package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// The numbers of the person in the tests of erasure.
const (
	oldNumber   = "+15551110001" // until the person got another one
	number      = "+15551110002"
	otherNumber = "+15551110003"
)

// person creates a contact that has had another number, with entries in the ledger
// and, if events are on, two events.
func (w *world) person(t testing.TB) *contacts.Contact {
	t.Helper()
	c := w.create(t, contacts.CreateContactInput{
		FirstName: "Quendolyn", LastName: "Zyxwarth", Email: "quendolyn@zyxwarth.example", ExternalID: "crm-83911", Tags: []string{"quilting"},
		PhoneNumbers:   []contacts.PhoneNumberInput{{PhoneNumber: oldNumber, DoNotCall: true}, {PhoneNumber: otherNumber}},
		CustomContext:  map[string]any{"source": map[string]any{"the name": "by \"Zyxwarth\""}},
		IdempotencyKey: "person",
	})
	c, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{
		LastName: ptr("Zyxwarth-Born"), PhoneNumbers: &[]contacts.UpdatePhoneNumber{{PhoneNumber: ptr(number)}, {PhoneNumber: ptr(otherNumber)}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.block(t, contacts.DoNotCallInput{PhoneNumber: number, Reason: "Quendolyn asked", Reference: "call of Zyxwarth"})
	return c
}

func (w *world) block(t testing.TB, in contacts.DoNotCallInput) {
	t.Helper()
	if _, err := w.svc.BlockCalls(t.Context(), w.writer, in); err != nil {
		t.Fatal(err)
	}
}

func (w *world) erase(t testing.TB, in contacts.EraseInput) *contacts.Erasure {
	t.Helper()
	in.AccountID = w.acme.ID
	e, err := w.admin.EraseContact(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// journal returns the journal of acme.
func (w *world) journal(t testing.TB) []contacts.JournalEntry {
	t.Helper()
	entries, err := w.store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: w.acme.ID, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// entriesOn returns the entries of the ledger on a number, the oldest first.
func (w *world) entriesOn(t testing.TB, number string) []contacts.DoNotCallEntry {
	t.Helper()
	status, err := w.svc.DoNotCallStatus(t.Context(), w.key, number)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(status.Entries)
	return status.Entries
}

func (w *world) wantListed(t testing.TB, number string) {
	t.Helper()
	wantError(t, w.svc.CanCall(t.Context(), w.key, number), contacts.CodeDoNotCall)
}

func (w *world) verify(t testing.TB, probe contacts.ErasureProbe) []contacts.ErasureFinding {
	t.Helper()
	found, err := w.admin.VerifyErasure(t.Context(), w.acme.ID, probe)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ofThePerson are all values of the person.
func ofThePerson() contacts.ErasureProbe {
	return contacts.ErasureProbe{
		Emails: []string{"Quendolyn@zyxwarth.example"}, PhoneNumbers: []string{oldNumber, number, otherNumber}, ExternalIDs: []string{"crm-83911"},
		Texts: []string{"zyxwarth", "quendolyn", "Quilting"},
	}
}

// atNoon are the options of an Admin for which no event has ended.
func atNoon() *contacts.AdminOptions {
	return &contacts.AdminOptions{Now: func() time.Time { return noon }}
}

func ptr[T any](v T) *T { return &v }

func TestErase(t *testing.T) {
	t.Parallel()
	for _, deleted := range []bool{false, true} {
		for _, events := range []bool{false, true} {
			t.Run(fmt.Sprintf("deleted %t events %t", deleted, events), func(t *testing.T) {
				t.Parallel()
				onEveryStore(t, func(t *testing.T, store contacts.Store) {
					w := newWorld(t, store, nil)
					want := contacts.ErasureCounts{Contacts: 1, LedgerEntries: 2, Numbers: 3}
					if events {
						if err := w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{On: true}); err != nil {
							t.Fatal(err)
						}
						want.Events = 2
					}
					c := w.person(t)
					if deleted {
						if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
							t.Fatal(err)
						}
						if events {
							want.Events++
						}
					}
					if found := w.verify(t, ofThePerson()); len(found) < 10 {
						t.Fatalf("before: %d findings: %v", len(found), found)
					}
					e := w.erase(t, contacts.EraseInput{ContactID: c.ID, Reason: "request"})
					if diff := cmp.Diff(want, e.Removed); diff != "" {
						t.Errorf("removed (-want +got):\n%s", diff)
					}
					if found := w.verify(t, ofThePerson()); found != nil {
						t.Errorf("after: %v", found)
					}
					if _, err := w.svc.GetContact(t.Context(), w.key, c.ID); contacts.CodeOf(err) != contacts.CodeNotFound {
						t.Errorf("GetContact: %v", err)
					}
					if _, err := w.svc.RestoreContact(t.Context(), w.writer, c.ID, nil); contacts.CodeOf(err) != contacts.CodeNotFound {
						t.Errorf("RestoreContact: %v", err)
					}
					w.wantListed(t, oldNumber)
					w.wantListed(t, number)
					if err := w.svc.CanCall(t.Context(), w.key, otherNumber); err != nil {
						t.Errorf("a number that nobody blocked: %v", err)
					}
				})
			})
		}
	}
}

// The digest tells a receipt from every other.
func TestDigestChangesWithEveryField(t *testing.T) {
	t.Parallel()
	receipt := func() *contacts.Erasure {
		return &contacts.Erasure{
			ID: uuid.UUID{1}, AccountID: uuid.UUID{2}, ContactID: uuid.UUID{3}, At: noon.UTC(), Actor: contacts.Actor{Kind: contacts.ActorAdmin, Name: "a"}, Reason: "r",
			Removed: contacts.ErasureCounts{Contacts: 1, Events: 2, LedgerEntries: 3, Numbers: 4}, Kept: []contacts.ErasureKept{{What: "w", Why: "y", Count: 5}},
		}
	}
	first := contacts.DigestOf(receipt())
	if again := contacts.DigestOf(receipt()); again != first {
		t.Errorf("the digest %s is %s the next time", first, again)
	}
	seen := map[string]int{first: -1}
	for i, change := range []func(*contacts.Erasure){
		func(e *contacts.Erasure) { e.ID[15]++ },
		func(e *contacts.Erasure) { e.AccountID[15]++ },
		func(e *contacts.Erasure) { e.ContactID[15]++ },
		func(e *contacts.Erasure) { e.At = e.At.Add(time.Microsecond) },
		func(e *contacts.Erasure) { e.Actor.Name = "b" },
		func(e *contacts.Erasure) { e.Actor.Kind = contacts.ActorSystem },
		func(e *contacts.Erasure) { e.Reason = "q" },
		func(e *contacts.Erasure) { e.Suppressed = true },
		func(e *contacts.Erasure) { e.KeptNotes = true },
		func(e *contacts.Erasure) { e.Removed.Contacts++ },
		func(e *contacts.Erasure) { e.Removed.Events++ },
		func(e *contacts.Erasure) { e.Removed.LedgerEntries += 5 },
		func(e *contacts.Erasure) { e.Removed.Numbers += 7 },
		func(e *contacts.Erasure) { e.Kept[0].What = "v" },
		func(e *contacts.Erasure) { e.Kept[0].Why = "x" },
		func(e *contacts.Erasure) { e.Kept[0].Count++ },
		func(e *contacts.Erasure) { e.Kept = append(e.Kept, contacts.ErasureKept{}) },
		func(e *contacts.Erasure) { e.Reapplies = uuid.UUID{4} },
	} {
		e := receipt()
		change(e)
		digest := contacts.DigestOf(e)
		if other, twice := seen[digest]; twice {
			t.Errorf("change %d gives the digest of change %d", i, other)
		}
		seen[digest] = i
	}
}

// A preview with Suppress stores no secret in an account that has no ledger.
func TestPreviewStoresNoSecret(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.create(t, contacts.CreateContactInput{FirstName: "Ann", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}})
	in := contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID, Suppress: true}
	if _, err := w.admin.PreviewErasure(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	account, err := w.store.FindAccount(t.Context(), w.acme.ID)
	if err != nil || account.SettingsVersion != 0 {
		t.Errorf("the account has %d settings, %v", account.SettingsVersion, err)
	}
	w.erase(t, in)
	w.wantListed(t, number)
	entries := w.entriesOn(t, number)
	if len(entries) != 1 || entries[0].Source != "erasure" || entries[0].PhoneNumber != "" {
		t.Errorf("the ledger has %+v", entries)
	}
}

// What is damaged can be erased too, and the receipt says what was not reached.
func TestEraseWhatIsDamaged(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, wrapped contacts.Store) {
		store := &damagedStore{Store: wrapped, lost: make(map[uuid.UUID]bool)}
		w := newWorld(t, store, nil)
		if err := w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{On: true}); err != nil {
			t.Fatal(err)
		}
		c := w.person(t)
		damage := func(data string) {
			account, err := store.FindAccount(t.Context(), w.acme.ID)
			if err != nil {
				t.Fatal(err)
			}
			entries := w.journal(t)
			event := entries[slices.IndexFunc(entries, func(e contacts.JournalEntry) bool { return e.Kind == contacts.JournalEvent })]
			event.Data = data
			m := contacts.Mutation{AccountID: w.acme.ID, Settings: account.SettingsVersion, Journal: []contacts.JournalEntry{event}}
			if outcomes, err := store.Apply(t.Context(), contacts.MutationBatch{Mutations: []contacts.Mutation{m}, Now: noon}); outcomes != nil || err != nil {
				t.Fatal(outcomes, err)
			}
		}
		store.lost[c.ID] = true
		damage(`{"v":9,"changes":"zyxwarth"}`) // of a newer version
		if _, err := w.admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID}); contacts.CodeOf(err) != contacts.CodeServerError {
			t.Errorf("an event of a newer form: got %v", err)
		}
		damage(`{"v":1,"changes":"zyxwarth`)
		e := w.erase(t, contacts.EraseInput{ContactID: c.ID})
		kept := make(map[string]int)
		for _, k := range e.Kept {
			kept[k.What] = k.Count
		}
		want := map[string]int{"ledger_entries": 2, "events": 1, "unreadable_events": 1, "unread_numbers": 0, "idempotency_records": 0}
		if diff := cmp.Diff(want, kept); diff != "" || e.Removed.Events != 2 || e.Removed.Contacts != 1 {
			t.Errorf("removed %+v, kept (-want +got):\n%s", e.Removed, diff)
		}
		if found := w.verify(t, contacts.ErasureProbe{Texts: []string{"zyxwarth"}}); found != nil {
			t.Errorf("after: %v", found)
		}
		clear(store.lost)
		if again := w.erase(t, contacts.EraseInput{ContactID: c.ID}); again.ID != e.ID {
			t.Errorf("a second call returned %+v", again)
		}
	})
}

// Notes stay with KeepNotes, and the number goes all the same.
func TestKeepNotes(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.create(t, contacts.CreateContactInput{FirstName: "Ann", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}})
	w.block(t, contacts.DoNotCallInput{PhoneNumber: number, Reason: "asked", Reference: "call 7"})
	if e := w.erase(t, contacts.EraseInput{ContactID: c.ID, KeepNotes: true}); !e.KeptNotes {
		t.Error("the receipt does not say that notes stay")
	}
	entries := w.entriesOn(t, number)
	if len(entries) != 1 || entries[0].PhoneNumber != "" || entries[0].Reason != "asked" || entries[0].Reference != "call 7" {
		t.Errorf("the ledger has %+v", entries)
	}
}

func TestEraseRefuses(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		c := w.person(t)
		for name, test := range map[string]struct {
			in   contacts.EraseInput
			code contacts.Code
		}{
			"no account":      {contacts.EraseInput{ContactID: c.ID}, contacts.CodeValidationError},
			"no contact":      {contacts.EraseInput{AccountID: w.acme.ID}, contacts.CodeValidationError},
			"long reason":     {contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID, Reason: strings.Repeat("x", 101)}, contacts.CodeValidationError},
			"unknown account": {contacts.EraseInput{AccountID: uuid.Must(uuid.NewV7()), ContactID: c.ID}, contacts.CodeNotFound},
			"unknown contact": {contacts.EraseInput{AccountID: w.acme.ID, ContactID: uuid.Must(uuid.NewV7())}, contacts.CodeNotFound},
			"another account": {contacts.EraseInput{AccountID: w.other.ID, ContactID: c.ID}, contacts.CodeNotFound},
		} {
			for what, erase := range map[string]func(context.Context, contacts.EraseInput) (*contacts.Erasure, error){"erase": w.admin.EraseContact, "preview": w.admin.PreviewErasure} {
				if e, err := erase(t.Context(), test.in); contacts.CodeOf(err) != test.code {
					t.Errorf("%s, %s: %v, %v; want %s", name, what, e, err, test.code)
				}
			}
		}
		if _, err := w.svc.GetContact(t.Context(), w.key, c.ID); err != nil {
			t.Error(err)
		}
	})
}

// What an account disables does not stand in the way of a right.
func TestEraseInADisabledAccount(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.person(t)
	if err := w.admin.DisableAccount(t.Context(), w.acme.ID); err != nil {
		t.Fatal(err)
	}
	w.erase(t, contacts.EraseInput{ContactID: c.ID})
	if found := w.verify(t, ofThePerson()); found != nil {
		t.Errorf("found %v", found)
	}
}

// A secret that New refuses is refused before it makes a subject of a block.
func TestAdminRefusesShortSecrets(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.person(t)
	before := w.journal(t)
	good := []byte(strings.Repeat("s", 32))
	admin := contacts.NewAdmin(w.store, &contacts.AdminOptions{DoNotCallSecrets: [][]byte{good, []byte("x")}})
	in := contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID, Suppress: true}
	for _, call := range []struct {
		name string
		do   func() error
	}{
		{"EraseContact", func() error { _, err := admin.EraseContact(t.Context(), in); return err }},
		{"PreviewErasure", func() error { _, err := admin.PreviewErasure(t.Context(), in); return err }},
		{"VerifyErasure", func() error { _, err := admin.VerifyErasure(t.Context(), w.acme.ID, ofThePerson()); return err }},
	} {
		t.Run(call.name, func(t *testing.T) {
			wantError(t, call.do(), contacts.CodeValidationError, wrong("do_not_call_secrets[1]", contacts.FieldInvalid))
		})
	}
	if _, err := w.svc.GetContact(t.Context(), w.key, c.ID); err != nil {
		t.Errorf("the contact: %v", err)
	}
	if diff := cmp.Diff(before, w.journal(t)); diff != "" {
		t.Errorf("the journal changed:\n%s", diff)
	}
}

// Without a secret that the ledger needs, entries would be missed.
func TestEraseNeedsTheSecrets(t *testing.T) {
	t.Parallel()
	secrets := [][]byte{[]byte(strings.Repeat("s", 32))}
	w := memoryWorld(t, &contacts.Options{DoNotCallSecrets: secrets})
	c := w.person(t)
	before := w.journal(t)
	if _, err := w.admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID}); contacts.CodeOf(err) != contacts.CodeServerError {
		t.Errorf("without the secret: %v", err)
	}
	if _, err := w.admin.VerifyErasure(t.Context(), w.acme.ID, ofThePerson()); contacts.CodeOf(err) != contacts.CodeServerError {
		t.Errorf("VerifyErasure without the secret: %v", err)
	}
	if diff := cmp.Diff(before, w.journal(t)); diff != "" {
		t.Errorf("the journal changed:\n%s", diff)
	}
	w.admin = contacts.NewAdmin(w.store, &contacts.AdminOptions{DoNotCallSecrets: secrets})
	w.erase(t, contacts.EraseInput{ContactID: c.ID})
	w.wantListed(t, oldNumber)
	if found := w.verify(t, ofThePerson()); found != nil {
		t.Errorf("found %v", found)
	}
}

// An entry on an equivalent form of a number names the person too.
func TestErasedForms(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	const short, long = "+551187654321", "+5511987654321"
	c := w.create(t, contacts.CreateContactInput{FirstName: "Ana", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: long}}})
	w.block(t, contacts.DoNotCallInput{PhoneNumber: short})
	w.erase(t, contacts.EraseInput{ContactID: c.ID})
	if found := w.verify(t, contacts.ErasureProbe{PhoneNumbers: []string{short, long}}); found != nil {
		t.Errorf("found %v", found)
	}
	w.wantListed(t, short)
	w.wantListed(t, long)
}

// Under a policy with equivalent forms, a person has each form of a number.
func TestErasePersonByAForm(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		const short, long = "+551187654321", "+5511987654321"
		one := w.create(t, contacts.CreateContactInput{FirstName: "Ana", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: long}}})
		in := contacts.ErasePersonInput{EraseInput: contacts.EraseInput{AccountID: w.acme.ID}, PhoneNumber: short}
		_, err := w.admin.ErasePerson(t.Context(), in)
		wantError(t, err, contacts.CodeNotFound)
		two := w.create(t, contacts.CreateContactInput{FirstName: "Bia", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: short}}})
		if err := w.admin.SetDuplicatePolicy(t.Context(), w.acme.ID, contacts.DuplicatePolicy{PhoneForms: true}); err != nil {
			t.Fatal(err)
		}
		_, err = w.admin.ErasePerson(t.Context(), in)
		wantError(t, err, contacts.CodeAmbiguousMatch)
		want := []contacts.Conflict{{Field: "phone_number", ContactID: two.ID}, {Field: "phone_number", ContactID: one.ID, Form: "br_ninth_digit"}}
		if diff := cmp.Diff(want, err.(*contacts.Error).Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		in.All = true
		if erasures, err := w.admin.ErasePerson(t.Context(), in); err != nil || len(erasures) != 2 {
			t.Errorf("erased %+v, %v", erasures, err)
		}
	})
}

// A contact that was purged leaves its events and the entries that came from it.
func TestEraseOfAPurgedContact(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		if err := w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{On: true}); err != nil {
			t.Fatal(err)
		}
		c := w.person(t)
		if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
			t.Fatal(err)
		}
		if n, err := w.admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: c.ID}); n != 1 || err != nil {
			t.Fatalf("purged %d, %v", n, err)
		}
		var first *contacts.Erasure // by another call at the same time
		admin := contacts.NewAdmin(&meddling{Store: store, before: func() { first = w.erase(t, contacts.EraseInput{ContactID: c.ID}) }}, atNoon())
		e, err := admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, e); diff != "" {
			t.Errorf("two erasures at the same time (-one +other):\n%s", diff)
		}
		if diff := cmp.Diff(contacts.ErasureCounts{Events: 4, LedgerEntries: 1, Numbers: 1}, e.Removed); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
		probe := ofThePerson()
		probe.PhoneNumbers, probe.Texts = []string{oldNumber}, []string{"Zyxwarth-Born"}
		if found := w.verify(t, probe); found != nil {
			t.Errorf("found %v", found)
		}
		w.wantListed(t, oldNumber)
		if again := w.erase(t, contacts.EraseInput{ContactID: c.ID}); again.ID != e.ID {
			t.Errorf("a second call made another receipt: %+v", again)
		}
	})
}

// An error names up to 100 of the contacts that have a value, and says how many others
// there are.
func TestErasePersonCountsTheContactsThatItDoesNotName(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	twins := slices.Repeat([]contacts.CreateContactInput{{FirstName: "Ana", Email: "ana@example.com"}}, 103)
	if _, err := w.svc.CreateContacts(t.Context(), w.key, contacts.CreateContactsInput{Contacts: twins}); err != nil {
		t.Fatal(err)
	}
	_, err := w.admin.ErasePerson(t.Context(), contacts.ErasePersonInput{EraseInput: contacts.EraseInput{AccountID: w.acme.ID}, Email: "ana@example.com"})
	wantError(t, err, contacts.CodeAmbiguousMatch)
	if e := err.(*contacts.Error); len(e.Conflicts) != 100 || !strings.HasSuffix(e.Message, "; 3 more are not named") {
		t.Errorf("got %d conflicts and %q, want 100 and that 3 more are not named", len(e.Conflicts), e.Message)
	}
}

func TestErasePerson(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		account := contacts.EraseInput{AccountID: w.acme.ID}
		one := w.person(t)
		for _, in := range []contacts.ErasePersonInput{
			{EraseInput: account},
			{EraseInput: account, Email: "a@example.com", ExternalID: "x"},
			{EraseInput: account, Email: "no address"},
			{EraseInput: account, PhoneNumber: "12"},
			{EraseInput: contacts.EraseInput{AccountID: w.acme.ID, ContactID: one.ID}, ExternalID: "x"},
			{ExternalID: "x"},
			{EraseInput: contacts.EraseInput{AccountID: w.acme.ID, Reason: strings.Repeat("x", 101)}, Email: "nobody@example.com"},
		} {
			if _, err := w.admin.ErasePerson(t.Context(), in); contacts.CodeOf(err) != contacts.CodeValidationError {
				t.Errorf("%+v: %v", in, err)
			}
		}
		if _, err := w.admin.ErasePerson(t.Context(), contacts.ErasePersonInput{EraseInput: account, Email: "nobody@example.com"}); contacts.CodeOf(err) != contacts.CodeNotFound {
			t.Errorf("nobody: %v", err)
		}

		two := w.create(t, contacts.CreateContactInput{FirstName: "Twin", Email: one.Email, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}})
		if err := w.svc.DeleteContact(t.Context(), w.writer, two.ID, nil); err != nil {
			t.Fatal(err)
		}
		in := contacts.ErasePersonInput{EraseInput: account, Email: strings.ToUpper(one.Email)}
		_, err := w.admin.ErasePerson(t.Context(), in)
		wantError(t, err, contacts.CodeAmbiguousMatch)
		want := []contacts.Conflict{{Field: "email", ContactID: one.ID}, {Field: "email", ContactID: two.ID}}
		if diff := cmp.Diff(want, err.(*contacts.Error).Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		_, err = w.admin.PreviewErasures(t.Context(), in)
		wantError(t, err, contacts.CodeAmbiguousMatch)
		in.All = true
		journal := w.journal(t)
		previews, err := w.admin.PreviewErasures(t.Context(), in)
		if err != nil || len(previews) != 2 || previews[0].ContactID != one.ID || previews[1].ContactID != two.ID || previews[0].ID != uuid.Nil {
			t.Errorf("previews %+v, %v", previews, err)
		}
		if diff := cmp.Diff(journal, w.journal(t)); diff != "" {
			t.Errorf("the preview changed the journal:\n%s", diff)
		}
		erasures, err := w.admin.ErasePerson(t.Context(), in)
		if err != nil || len(erasures) != 2 || erasures[0].ContactID != one.ID || erasures[1].ContactID != two.ID {
			t.Fatalf("erased %+v, %v", erasures, err)
		}
		if found := w.verify(t, ofThePerson()); found != nil {
			t.Errorf("found %v", found)
		}

		for _, in := range []contacts.ErasePersonInput{
			{EraseInput: account, PhoneNumber: "+1 (555) 111-0002"},
			{EraseInput: account, ExternalID: "crm-83911"},
		} {
			c := w.create(t, contacts.CreateContactInput{FirstName: "Ann", ExternalID: "crm-83911", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}})
			if erasures, err := w.admin.ErasePerson(t.Context(), in); err != nil || len(erasures) != 1 || erasures[0].ContactID != c.ID {
				t.Errorf("%+v: erased %+v, %v", in, erasures, err)
			}
		}
	})
}

// meddling lets a test change the contents between the look of an erasure and its
// commit, once, and between the lists of live and of deleted contacts, once. It lets
// it do something after each commit.
type meddling struct {
	contacts.Store
	before, after, between func()
	unreadable             error // of every list of contacts
}

func (m *meddling) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if f := m.before; f != nil {
		m.before = nil
		f()
	}
	outcomes, err := m.Store.Apply(ctx, batch)
	if m.after != nil {
		m.after()
	}
	return outcomes, err
}

func (m *meddling) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	if m.unreadable != nil {
		return contacts.ContactList{}, m.unreadable
	}
	if f := m.between; f != nil && q.Deleted {
		m.between = nil
		f()
	}
	return m.Store.ListContacts(ctx, q)
}

// What comes between the look and the commit is not missed.
func TestEraseMeetsAWriter(t *testing.T) {
	t.Parallel()
	for name, meddle := range map[string]func(t *testing.T, w *world, c *contacts.Contact) (kept bool){
		"the contact is changed": func(t *testing.T, w *world, c *contacts.Contact) bool {
			if _, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{FirstName: ptr("Other")}, nil); err != nil {
				t.Error(err)
			}
			return false
		},
		"the contact is purged": func(t *testing.T, w *world, c *contacts.Contact) bool {
			if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
				t.Error(err)
			}
			if n, err := w.admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: c.ID}); n != 1 || err != nil {
				t.Error(n, err)
			}
			return false
		},
		"the settings are changed": func(t *testing.T, w *world, _ *contacts.Contact) bool {
			if err := w.admin.SetDuplicatePolicy(t.Context(), w.acme.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}); err != nil {
				t.Error(err)
			}
			return false
		},
		"a number is blocked": func(t *testing.T, w *world, _ *contacts.Contact) bool {
			w.block(t, contacts.DoNotCallInput{PhoneNumber: number, Source: "x", Reason: "Quendolyn"})
			return false
		},
		"a relative is created": func(t *testing.T, w *world, _ *contacts.Contact) bool {
			w.create(t, contacts.CreateContactInput{FirstName: "Relative", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}})
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store contacts.Store) {
				w := newWorld(t, store, nil)
				c := w.person(t)
				kept := false
				admin := contacts.NewAdmin(&meddling{Store: store, before: func() { kept = meddle(t, w, c) }}, atNoon())
				if _, err := admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID}); err != nil {
					t.Fatal(err)
				}
				probe := ofThePerson()
				if kept {
					probe.PhoneNumbers, probe.Texts = []string{oldNumber, otherNumber}, nil
					if entries := w.entriesOn(t, number); entries[0].PhoneNumber != number {
						t.Errorf("a number that a relative has is gone from the ledger: %+v", entries)
					}
				}
				if found := w.verify(t, probe); found != nil {
					t.Errorf("found %v", found)
				}
				w.wantListed(t, number)
				w.wantListed(t, oldNumber)
			})
		})
	}
}

// An erasure that is stored is ended, also when the caller has gone.
func TestEraseGoesOnAfterItsCommit(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		c := w.person(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		admin := contacts.NewAdmin(&meddling{
			Store: store, after: cancel,
			before: func() { w.block(t, contacts.DoNotCallInput{PhoneNumber: number, Source: "x", Reason: "Quendolyn"}) },
		}, atNoon())
		erasures, err := admin.ErasePerson(ctx, contacts.ErasePersonInput{EraseInput: contacts.EraseInput{AccountID: w.acme.ID}, Email: c.Email})
		if err != nil || len(erasures) != 1 || erasures[0].ContactID != c.ID {
			t.Errorf("erased %+v, %v", erasures, err)
		}
		if found := w.verify(t, ofThePerson()); found != nil {
			t.Errorf("found %v", found)
		}
	})
}

// Each of two people with one number is there while the other is erased. No number is
// left of them, and both asked for no calls.
func TestEraseTwoWhoShareANumber(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		phones := []contacts.PhoneNumberInput{{PhoneNumber: number}, {PhoneNumber: otherNumber}}
		one, two := w.create(t, contacts.CreateContactInput{FirstName: "Ann", PhoneNumbers: phones}), w.create(t, contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: phones})
		w.block(t, contacts.DoNotCallInput{PhoneNumber: number, Reason: "Ann and Bob asked"})
		tries := &meddling{Store: store}
		tries.after = func() { // the first was refused: Bob has the numbers
			tries.after = nil
			w.erase(t, contacts.EraseInput{ContactID: two.ID, Suppress: true})
		}
		if _, err := contacts.NewAdmin(tries, atNoon()).EraseContact(t.Context(), contacts.EraseInput{AccountID: w.acme.ID, ContactID: one.ID, Suppress: true}); err != nil {
			t.Fatal(err)
		}
		if found := w.verify(t, contacts.ErasureProbe{PhoneNumbers: []string{number, otherNumber}, Texts: []string{"bob asked"}}); found != nil {
			t.Errorf("left: %v", found)
		}
		w.wantListed(t, number)
		w.wantListed(t, otherNumber)
	})
}

// Where the person was purged meanwhile, nobody was erased.
func TestErasePersonWhoIsPurged(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
	admin := contacts.NewAdmin(&meddling{Store: w.store, before: func() {
		if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
			t.Error(err)
		}
		if n, err := w.admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: c.ID}); n != 1 || err != nil {
			t.Error(n, err)
		}
	}}, atNoon())
	erasures, err := admin.ErasePerson(t.Context(), contacts.ErasePersonInput{EraseInput: contacts.EraseInput{AccountID: w.acme.ID}, Email: c.Email})
	if erasures != nil || contacts.CodeOf(err) != contacts.CodeNotFound {
		t.Errorf("got %+v, %v", erasures, err)
	}
}

// The receipts of a contact that came back more than once are one erasure, which
// removes what one of them removed.
func TestReapplyOfOneContactTwice(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.person(t)
	record, err := w.store.FindContact(t.Context(), w.acme.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	var receipts []contacts.Erasure
	for _, in := range []contacts.EraseInput{{KeepNotes: true, Reason: "retention"}, {Suppress: true, Reason: "request"}} {
		in.ContactID = c.ID
		receipts = append(receipts, *w.erase(t, in))
		account, err := w.store.FindAccount(t.Context(), w.acme.ID)
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := w.store.Apply(t.Context(), contacts.MutationBatch{Now: noon, Mutations: []contacts.Mutation{{
			AccountID: w.acme.ID, Settings: account.SettingsVersion, Contacts: []contacts.ContactChange{{ID: c.ID, Record: record}},
		}}})
		if err != nil || len(outcomes) > 0 && outcomes[0].Err != nil {
			t.Fatal(outcomes, err)
		}
	}
	if n, err := w.admin.Reapply(t.Context(), receipts); n != 1 || err != nil {
		t.Fatalf("Reapply returned %d, %v", n, err)
	}
	again := w.erase(t, contacts.EraseInput{ContactID: c.ID})
	if !again.Suppressed || again.KeptNotes || again.Reapplies != receipts[1].ID || again.Reason != "request" {
		t.Errorf("the receipt is %+v", again)
	}
}

// A receipt that is not as it was stored makes Reapply erase nothing.
func TestReapplyRefuses(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c, gone := w.person(t), w.create(t, contacts.CreateContactInput{FirstName: "Ada"})
	preview, err := w.admin.PreviewErasure(t.Context(), contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID})
	if err != nil {
		t.Fatal(err)
	}
	whole := w.erase(t, contacts.EraseInput{ContactID: gone.ID})
	altered := *whole
	altered.Suppressed = true
	n, err := w.admin.Reapply(t.Context(), []contacts.Erasure{*preview, *whole, altered})
	wantError(t, err, contacts.CodeValidationError)
	var fields []string
	for _, d := range err.(*contacts.Error).Details {
		fields = append(fields, d.Field)
	}
	if diff := cmp.Diff([]string{"erasures[0]", "erasures[2]"}, fields); diff != "" || n != 0 {
		t.Errorf("erased %d; fields (-want +got):\n%s", n, diff)
	}
	if _, err := w.svc.GetContact(t.Context(), w.key, c.ID); err != nil {
		t.Errorf("the contact of the preview: %v", err)
	}
}

// A contact that is restored after the list of live ones was read, and before that
// of deleted ones, is in neither.
func TestEraseMeetsARestore(t *testing.T) {
	t.Parallel()
	for name, erase := range map[string]func(a *contacts.Admin, c *contacts.Contact) (int, error){
		"EraseContact": func(a *contacts.Admin, c *contacts.Contact) (int, error) {
			_, err := a.EraseContact(t.Context(), contacts.EraseInput{AccountID: c.AccountID, ContactID: c.ID})
			return 1, err
		},
		"ErasePerson": func(a *contacts.Admin, c *contacts.Contact) (int, error) {
			erasures, err := a.ErasePerson(t.Context(), contacts.ErasePersonInput{EraseInput: contacts.EraseInput{AccountID: c.AccountID}, Email: c.Email})
			return len(erasures), err
		},
		"VerifyErasure": func(a *contacts.Admin, c *contacts.Contact) (int, error) {
			found, err := a.VerifyErasure(t.Context(), c.AccountID, contacts.ErasureProbe{Emails: []string{c.Email}})
			return len(found), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := memoryWorld(t, nil)
			c := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
			if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
				t.Fatal(err)
			}
			admin := contacts.NewAdmin(&meddling{Store: w.store, between: func() {
				if _, err := w.svc.RestoreContact(t.Context(), w.writer, c.ID, nil); err != nil {
					t.Error(err)
				}
			}}, atNoon())
			if n, err := erase(admin, c); n != 1 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
		})
	}
}

// A receipt that is stored is returned, also when the look after it fails.
func TestEraseReturnsTheReceiptWithAnError(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.person(t)
	broken := errors.New("the disk is broken")
	store := &meddling{Store: w.store}
	store.after = func() { store.unreadable = broken }
	erasures, err := contacts.NewAdmin(store, atNoon()).ErasePerson(t.Context(), contacts.ErasePersonInput{
		EraseInput: contacts.EraseInput{AccountID: w.acme.ID}, Email: c.Email,
	})
	if !errors.Is(err, broken) || contacts.CodeOf(err) != contacts.CodeServerError {
		t.Errorf("the error is %v", err)
	}
	again := w.erase(t, contacts.EraseInput{ContactID: c.ID})
	if diff := cmp.Diff([]contacts.Erasure{*again}, erasures); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

// A second call ends an erasure that was cut off after its commit. What was recorded
// later stays.
func TestASecondCallEndsAnErasure(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		c := w.person(t)
		broken := errors.New("the disk is broken")
		cutOff := &meddling{Store: store}
		cutOff.before = func() {
			w.block(t, contacts.DoNotCallInput{PhoneNumber: number, Source: "x", Reason: "Quendolyn"})
			w.block(t, contacts.DoNotCallInput{PhoneNumber: otherNumber, Reason: "Zyxwarth"})
		}
		cutOff.after = func() { cutOff.unreadable = broken }
		first, err := contacts.NewAdmin(cutOff, atNoon()).EraseContact(t.Context(), contacts.EraseInput{AccountID: w.acme.ID, ContactID: c.ID})
		if first == nil || !errors.Is(err, broken) {
			t.Fatalf("got %+v, %v", first, err)
		}
		if found := w.verify(t, ofThePerson()); len(found) == 0 {
			t.Fatal("nothing is left: the test would see nothing")
		}
		w.block(t, contacts.DoNotCallInput{PhoneNumber: oldNumber, Source: "later"})
		later := []contacts.ErasureFinding{{Value: oldNumber, Sequence: w.entriesOn(t, oldNumber)[1].Sequence, Field: "phone_number"}}
		for range 2 {
			if diff := cmp.Diff(first, w.erase(t, contacts.EraseInput{ContactID: c.ID})); diff != "" {
				t.Errorf("the receipt of another call (-first +second):\n%s", diff)
			}
			if diff := cmp.Diff(later, w.verify(t, ofThePerson())); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		}
		for _, n := range []string{oldNumber, number, otherNumber} {
			w.wantListed(t, n)
		}
	})
}

// Values are found in every field of a contact, whatever its JSON looks like, and
// in no part of another value.
func TestVerifyErasure(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.create(t, contacts.CreateContactInput{
		FirstName: "Zoë", Company: "Zyx Ltd", Email: "joann@example.com", ExternalID: "4711-2", Tags: []string{"ZYX"},
		PhoneNumbers:    []contacts.PhoneNumberInput{{PhoneNumber: number, PhoneType: "zyx line"}},
		CustomContext:   map[string]any{"a": []any{map[string]any{"zyx": 1}}, "b": "x\n\"zyx\""},
		IndustryContext: map[string]any{"n": 990011},
	})
	for _, test := range []struct {
		probe  contacts.ErasureProbe
		fields []string
	}{
		{contacts.ErasureProbe{Texts: []string{"zyx"}}, []string{"company", "tags", "phone_numbers", "custom_context"}},
		{contacts.ErasureProbe{Texts: []string{"ZOE"}}, []string{"first_name"}},
		{contacts.ErasureProbe{Texts: []string{"990011"}}, []string{"industry_context"}},
		{contacts.ErasureProbe{Texts: []string{"\"zyx\""}}, []string{"custom_context"}},
		{contacts.ErasureProbe{Emails: []string{"ann@example.com"}}, nil},
		{contacts.ErasureProbe{Emails: []string{"JOANN@example.com"}}, []string{"email"}},
		{contacts.ErasureProbe{ExternalIDs: []string{"4711"}}, nil},
		{contacts.ErasureProbe{ExternalIDs: []string{"4711-2"}}, []string{"external_id"}},
		{contacts.ErasureProbe{PhoneNumbers: []string{number}}, []string{"phone_numbers"}},
		{contacts.ErasureProbe{Emails: []string{" joann@EXAMPLE.com\n"}}, []string{"email"}},
		{contacts.ErasureProbe{ExternalIDs: []string{" 4711-2 "}}, []string{"external_id"}},
		{contacts.ErasureProbe{PhoneNumbers: []string{" +1 (555) 111-0002"}}, []string{"phone_numbers"}},
	} {
		var fields []string
		for _, f := range w.verify(t, test.probe) {
			if f.ContactID != c.ID || f.Sequence != 0 {
				t.Errorf("%+v: found %+v", test.probe, f)
			}
			fields = append(fields, f.Field)
		}
		if diff := cmp.Diff(test.fields, fields); diff != "" {
			t.Errorf("%+v: fields (-want +got):\n%s", test.probe, diff)
		}
	}
	for _, probe := range []contacts.ErasureProbe{
		{}, {Texts: []string{" , "}}, {Emails: []string{""}}, {Emails: []string{"Jo Ann"}}, {ExternalIDs: []string{" "}},
		{PhoneNumbers: []string{""}}, {PhoneNumbers: []string{"(555) 111-0002"}},
	} {
		if _, err := w.admin.VerifyErasure(t.Context(), w.acme.ID, probe); contacts.CodeOf(err) != contacts.CodeValidationError {
			t.Errorf("%+v: %v", probe, err)
		}
	}
	if _, err := w.admin.VerifyErasure(t.Context(), uuid.Must(uuid.NewV7()), ofThePerson()); contacts.CodeOf(err) != contacts.CodeNotFound {
		t.Errorf("an unknown account: %v", err)
	}
}

// A value is no number: neither one of the journal itself nor one in a context.
func TestVerifyErasureTellsValuesFromNumbers(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	if err := w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	c, other := w.create(t, contacts.CreateContactInput{FirstName: "Ann", ExternalID: "1"}), w.create(t, contacts.CreateContactInput{FirstName: "Bob"})
	for id, in := range map[uuid.UUID]contacts.UpdateContactInput{
		c.ID: {ExternalID: ptr("2")}, other.ID: {CustomContext: &map[string]any{"children": 1}},
	} {
		if _, err := w.svc.UpdateContact(t.Context(), w.writer, id, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	probe := contacts.ErasureProbe{ExternalIDs: []string{"1", "2"}}
	var fields []string
	for _, f := range w.verify(t, probe) {
		if f.ContactID != c.ID {
			t.Errorf("found %+v", f)
		}
		fields = append(fields, f.Value+" "+f.Field)
	}
	if diff := cmp.Diff([]string{"2 external_id", "1 changes", "2 changes"}, fields); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	w.erase(t, contacts.EraseInput{ContactID: c.ID})
	if found := w.verify(t, probe); found != nil {
		t.Errorf("after: %v", found)
	}
}

// An equivalent form of a number is found in contacts, in entries of the ledger and
// in their companions.
func TestVerifyErasureFindsForms(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	const short, long = "+551187654321", "+5511987654321"
	c := w.create(t, contacts.CreateContactInput{FirstName: "Ana", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: long, DoNotCall: true}}})
	want := []contacts.ErasureFinding{{Value: short, ContactID: c.ID, Field: "phone_numbers"}}
	for _, e := range w.journal(t) {
		field := "phone_number"
		if !strings.Contains(e.Data, long) {
			field = "subject" // the companion
		}
		want = append(want, contacts.ErasureFinding{Value: short, ContactID: c.ID, Sequence: e.Sequence, Field: field})
	}
	if diff := cmp.Diff(want, w.verify(t, contacts.ErasureProbe{PhoneNumbers: []string{short}})); diff != "" || len(want) != 3 {
		t.Errorf("%d findings (-want +got):\n%s", len(want), diff)
	}
}

// An earlyStore calls first before the first change of the settings.
type earlyStore struct {
	contacts.Store
	first func()
}

func (s *earlyStore) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	if first := s.first; first != nil && add.Settings != nil {
		s.first = nil
		first()
	}
	return s.Store.AddToDirectory(ctx, add)
}

// An erasure that is to suppress, and another call, both store the first entry of
// the ledger.
func TestEraseWhileTheLedgerBegins(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		early := &earlyStore{Store: store}
		w := newWorld(t, early, nil)
		c := w.create(t, contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}})
		early.first = func() { w.block(t, contacts.DoNotCallInput{PhoneNumber: otherNumber}) }
		if e := w.erase(t, contacts.EraseInput{ContactID: c.ID, Suppress: true}); e.Removed.Contacts != 1 || early.first != nil {
			t.Errorf("got %+v", e)
		}
		for _, n := range []string{number, otherNumber} {
			if err := w.svc.CanCall(t.Context(), w.key, n); contacts.CodeOf(err) != contacts.CodeDoNotCall {
				t.Errorf("CanCall of %s: %v", n, err)
			}
		}
	})
}

// The places that VerifyErasure returns are at most 1,000, wherever they are.
func TestVerifyErasureHasAnEnd(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	if err := w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	in := contacts.CreateContactsInput{Contacts: make([]contacts.CreateContactInput, 1000)}
	for i := range in.Contacts {
		in.Contacts[i] = contacts.CreateContactInput{FirstName: "Zed", Email: "zed@example.com"}
	}
	for range 2 {
		if _, err := w.svc.CreateContacts(t.Context(), w.writer, in); err != nil {
			t.Fatal(err)
		}
	}
	c := w.create(t, contacts.CreateContactInput{FirstName: "Ada"})
	name := "Zed"
	if _, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{LastName: &name}, nil); err != nil {
		t.Fatal(err)
	}
	found, err := w.admin.VerifyErasure(t.Context(), w.acme.ID, contacts.ErasureProbe{Emails: []string{"zed@example.com"}, Texts: []string{"zed"}})
	if err != nil || len(found) != 1000 {
		t.Errorf("%d places, %v, want 1,000", len(found), err)
	}
}
