package contacts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// setPolicy sets the policy of the account that owns most keys.
func (w *world) setPolicy(t testing.TB, p contacts.DuplicatePolicy) {
	t.Helper()
	if err := w.admin.SetDuplicatePolicy(t.Context(), w.acme.ID, p); err != nil {
		t.Fatal(err)
	}
}

// reject makes e-mail addresses and phone numbers unique.
var reject = contacts.DuplicatePolicy{
	Action: contacts.DuplicateReject,
	Keys:   []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber},
}

// wantConflicts fails the test unless err is a CodeDuplicateContact with the
// conflicts, and its words name no value.
func wantConflicts(t testing.TB, err error, conflicts ...contacts.Conflict) {
	t.Helper()
	wantError(t, err, contacts.CodeDuplicateContact)
	e, _ := errors.AsType[*contacts.Error](err)
	if diff := cmp.Diff(conflicts, e.Conflicts); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	if strings.ContainsAny(e.Message, "@+") {
		t.Errorf("the message holds a value: %s", e.Message)
	}
	if !errors.Is(err, contacts.ErrDuplicate) {
		t.Error("errors.Is does not find ErrDuplicate")
	}
}

func ada() contacts.CreateContactInput {
	return contacts.CreateContactInput{
		FirstName: "Ada", ExternalID: "A-1", Email: "ada@example.com",
		PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+442079460018"}, {PhoneNumber: "+15551234567"}},
	}
}

func TestPolicyDecidesWhichKeysAreUnique(t *testing.T) {
	t.Parallel()
	sameID := contacts.CreateContactInput{FirstName: "Bob", ExternalID: "A-1"}
	sameEmail := contacts.CreateContactInput{FirstName: "Bob", Email: "ADA@example.com"}
	sameNumber := contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+1 555 123 4567"}}}
	for _, c := range []struct {
		name    string
		policy  contacts.DuplicatePolicy
		refused []contacts.CreateContactInput
		stored  []contacts.CreateContactInput
	}{
		{"none", contacts.DuplicatePolicy{}, []contacts.CreateContactInput{sameID}, []contacts.CreateContactInput{sameEmail, sameNumber}},
		{"allow with keys", contacts.DuplicatePolicy{Action: contacts.DuplicateAllow, Keys: reject.Keys},
			[]contacts.CreateContactInput{sameID}, []contacts.CreateContactInput{sameEmail, sameNumber}},
		{"reject", contacts.DuplicatePolicy{Action: contacts.DuplicateReject},
			[]contacts.CreateContactInput{sameID, sameEmail}, []contacts.CreateContactInput{sameNumber}},
		{"reject by external id alone", contacts.DuplicatePolicy{Action: contacts.DuplicateReject, Keys: []contacts.KeyKind{contacts.KeyExternalID}},
			[]contacts.CreateContactInput{sameID}, []contacts.CreateContactInput{sameEmail, sameNumber}},
		{"reject by all", reject, []contacts.CreateContactInput{sameID, sameEmail, sameNumber}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onEveryStore(t, func(t *testing.T, store contacts.Store) {
				w := newWorld(t, store, nil)
				w.setPolicy(t, c.policy)
				w.create(t, ada())
				for _, in := range c.refused {
					_, err := w.svc.CreateContact(t.Context(), w.key, in)
					wantError(t, err, contacts.CodeDuplicateContact)
				}
				for _, in := range c.stored {
					w.create(t, in)
				}
			})
		})
	}
}

func TestConflictNamesEveryHolder(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		first := w.create(t, ada())
		second := w.create(t, contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})
		w.setPolicy(t, reject)
		in := ada()
		in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: "+12025550100"}, {PhoneNumber: "+15551234567"}}
		_, err := w.svc.CreateContact(t.Context(), w.key, in)
		wantConflicts(t, err,
			contacts.Conflict{Field: "external_id", ContactID: first.ID},
			contacts.Conflict{Field: "email", ContactID: first.ID},
			contacts.Conflict{Field: "phone_numbers[1].phone_number", ContactID: first.ID},
			contacts.Conflict{Field: "phone_numbers[1].phone_number", ContactID: second.ID})
	})
}

// TestConflictsThatAreNotNamedAreCounted: an error names 10 contacts for each field, and
// says how many more there are. A call counts those of a key once.
func TestConflictsThatAreNotNamedAreCounted(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		counted := &countingStore{Store: store}
		w := newWorld(t, counted, nil)
		in := contacts.CreateContactInput{FirstName: "Ada", Email: "team@example.com", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+12025550100"}}}
		mail, both := contacts.CreateContactInput{FirstName: "Ada", Email: in.Email}, in
		for range 12 {
			w.create(t, both)
		}
		w.create(t, mail)
		other := w.create(t, contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com"})
		w.setPolicy(t, reject)

		_, create := w.svc.CreateContact(t.Context(), w.writer, in)
		_, update := w.svc.UpdateContact(t.Context(), w.writer, other.ID, contacts.UpdateContactInput{Email: &in.Email}, nil)
		_, upsert := w.svc.UpsertContact(t.Context(), w.writer, contacts.UpsertContactInput{CreateContactInput: in})
		counted.keys.Store(0)
		batch, err := w.svc.CreateContacts(t.Context(), w.writer, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{mail, mail, mail, in}})
		if err != nil {
			t.Fatal(err)
		}
		if n := counted.keys.Load(); n != 2+2 {
			t.Errorf("the holders of two keys were counted with %d keys in all, want 4", n)
		}
		for name, c := range map[string]struct {
			err        error
			named, not int
		}{
			"create":           {create, 20, 3 + 2},
			"update":           {update, 10, 3},
			"upsert":           {upsert, 20, 3 + 2},
			"first of a batch": {batch[0].Err, 10, 3},
			"last of a batch":  {batch[3].Err, 20, 3 + 2},
		} {
			e, ok := errors.AsType[*contacts.Error](c.err)
			if !ok || len(e.Conflicts) != c.named || !strings.HasSuffix(e.Message, fmt.Sprintf("; %d more are not named", c.not)) {
				t.Errorf("%s: got %v, want an error that names %d contacts, and says that %d more are not named", name, c.err, c.named, c.not)
			}
		}
	})
}

// TestABatchCountsWhatItHasCreated: an error counts the contacts that are not named, with
// those that the batch itself has created.
func TestABatchCountsWhatItHasCreated(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		ada := contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"}
		for range 10 {
			w.create(t, ada)
		}
		upsert := func(on ...contacts.KeyKind) contacts.UpsertContactInput {
			return contacts.UpsertContactInput{CreateContactInput: ada, MatchOn: append([]contacts.KeyKind{}, on...)}
		}
		results, err := w.svc.UpsertContacts(t.Context(), w.writer, contacts.UpsertContactsInput{
			Contacts: []contacts.UpsertContactInput{upsert(contacts.KeyEmail), upsert(), upsert(contacts.KeyEmail)},
		})
		if err != nil || results[1].Result != contacts.ResultCreated {
			t.Fatalf("got %+v, %v", results, err)
		}
		const suffix = "; 1 more are not named"
		if strings.HasSuffix(results[0].Err.Error(), suffix) || !strings.HasSuffix(results[2].Err.Error(), suffix) {
			t.Errorf("got %v before and %v after", results[0].Err, results[2].Err)
		}
	})
}

// TestFormsOfANumberAreOneKey: an error names 10 contacts that have a number or a form
// of it, first those that have the number itself.
func TestFormsOfANumberAreOneKey(t *testing.T) {
	t.Parallel()
	const number, form = "+5511987654321", "+551187654321"
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		with := func(number string) contacts.CreateContactInput {
			return contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}}
		}
		var want []contacts.Conflict
		for i, n := range slices.Repeat([]string{form, number}, 6) {
			conflict := contacts.Conflict{Field: "phone_numbers[0].phone_number", ContactID: w.create(t, with(n)).ID}
			if i%2 == 0 {
				conflict.Form = "br_ninth_digit"
			}
			want = append(want, conflict)
		}
		slices.SortStableFunc(want, func(a, b contacts.Conflict) int { return strings.Compare(a.Form, b.Form) })
		forms := reject
		forms.PhoneForms = true
		w.setPolicy(t, forms)
		_, err := w.svc.CreateContact(t.Context(), w.key, with(number))
		wantConflicts(t, err, want[:10]...)
		if !strings.HasSuffix(err.Error(), "; 2 more are not named") {
			t.Errorf("got %v", err)
		}
		forms.PhoneForms = false
		w.setPolicy(t, forms)
		_, err = w.svc.CreateContact(t.Context(), w.key, with(number))
		wantConflicts(t, err, want[:6]...)
	})
}

// TestFormsInAStream: a contact matches one of an earlier part by another form of its
// number, also in a dry run, which keeps no contacts of that part.
func TestFormsInAStream(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{Batch: 2}})
	w.setPolicy(t, contacts.DuplicatePolicy{PhoneForms: true})
	var stream []contacts.UpsertContactInput
	for _, number := range []string{"+15551234567", "+5511987654321", "+551187654321", "+15551234567"} {
		in := contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number}}}
		stream = append(stream, contacts.UpsertContactInput{CreateContactInput: in})
	}
	for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
		var got []string
		for r, err := range svc.UpsertContactStream(t.Context(), w.writer, slices.Values(stream)) {
			if err != nil || r.Err != nil {
				t.Fatal(err, r.Err)
			}
			said := string(r.Result)
			for _, m := range r.Matched {
				said += " " + m.Form
			}
			got = append(got, said)
		}
		last := "unchanged "
		if svc.IsDryRun() {
			last = "updated " // of a contact that it has not kept
		}
		if diff := cmp.Diff([]string{"created", "created", "updated br_ninth_digit", last}, got); diff != "" {
			t.Errorf("dry run %t (-want +got):\n%s", svc.IsDryRun(), diff)
		}
	}
}

func TestHolderThatTheKeyMayNotSeeIsHidden(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	w.setPolicy(t, reject)
	in := ada()
	in.TeamID = closedTeam
	hidden := w.create(t, in)
	in.TeamID = 0
	_, seen := w.svc.CreateContact(t.Context(), w.key, in)
	_, err := w.svc.CreateContact(t.Context(), w.limitedKey, in)
	fields := []string{"external_id", "email", "phone_numbers[0].phone_number", "phone_numbers[1].phone_number"}
	var open, closed []contacts.Conflict
	for _, f := range fields {
		open = append(open, contacts.Conflict{Field: f, ContactID: hidden.ID})
		closed = append(closed, contacts.Conflict{Field: f, Hidden: true})
	}
	wantConflicts(t, seen, open...)
	wantConflicts(t, err, closed...)
	if seen.Error() != err.Error() {
		t.Errorf("two keys get different words: %v and %v", seen, err)
	}
}

func TestRejectedBatchNamesTheFirst(t *testing.T) {
	t.Parallel()
	contact := func(name string) contacts.CreateContactInput {
		return contacts.CreateContactInput{FirstName: name, Email: name + "@example.com"}
	}
	in := contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{contact("ada"), {}, contact("bob"), contact("ADA"), contact("bob")}}
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		w.setPolicy(t, reject)

		in := in
		in.Contacts = slices.Delete(slices.Clone(in.Contacts), 1, 2)
		in.AllOrNothing = true
		results, err := w.svc.CreateContacts(t.Context(), w.key, in)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, results[0].Err, contacts.CodeBatchFailed)
		wantConflicts(t, results[2].Err, contacts.Conflict{Field: "email", Index: new(0)})
		wantConflicts(t, results[3].Err, contacts.Conflict{Field: "email", Index: new(1)})
	})
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		w.setPolicy(t, reject)
		results, err := w.svc.CreateContacts(t.Context(), w.key, in)
		if err != nil || results[0].Err != nil || results[2].Err != nil {
			t.Fatal(err, results[0].Err, results[2].Err)
		}
		wantError(t, results[1].Err, contacts.CodeMissingFirstName)
		wantConflicts(t, results[3].Err, contacts.Conflict{Field: "email", ContactID: results[0].Contact.ID, Index: new(0)})
		wantConflicts(t, results[4].Err, contacts.Conflict{Field: "email", ContactID: results[2].Contact.ID, Index: new(2)})
	})
}

func TestConflictsOfAStreamCountFromItsStart(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	w.setPolicy(t, reject)
	source := func(yield func(contacts.CreateContactInput) bool) {
		for i := range 1500 {
			in := contacts.CreateContactInput{FirstName: "Ada", Email: fmt.Sprintf("%d@example.com", i)}
			switch i {
			case 1499:
				in.Email = "1200@example.com" // of the same thousand
			case 1498:
				in.Email = "7@example.com" // of an earlier one
			}
			if !yield(in) {
				return
			}
		}
	}
	results := make([]contacts.CreateResult, 0, 1500)
	for r, err := range w.svc.CreateContactStream(t.Context(), w.key, source) {
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	wantConflicts(t, results[1498].Err, contacts.Conflict{Field: "email", ContactID: results[7].Contact.ID})
	wantConflicts(t, results[1499].Err, contacts.Conflict{Field: "email", ContactID: results[1200].Contact.ID, Index: new(1200)})
}

func TestPolicyIsReadBack(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		get := func(want contacts.DuplicatePolicy) {
			t.Helper()
			got, err := w.admin.DuplicatePolicy(t.Context(), w.acme.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		}
		get(contacts.DuplicatePolicy{})
		w.setPolicy(t, reject)
		get(reject)
		withForms := reject
		withForms.PhoneForms = true
		w.setPolicy(t, withForms)
		get(withForms)
		w.setPolicy(t, contacts.DuplicatePolicy{})
		get(contacts.DuplicatePolicy{})

		err := w.admin.SetDuplicatePolicy(t.Context(), w.acme.ID, contacts.DuplicatePolicy{Action: "merge", Keys: []contacts.KeyKind{"email", "name", "email"}})
		wantError(t, err, contacts.CodeValidationError,
			wrong("action", contacts.FieldNotAllowed), wrong("keys[1]", contacts.FieldNotAllowed), wrong("keys[2]", contacts.FieldDuplicate))
		for _, id := range []uuid.UUID{{}, uuid.New()} {
			_, err := w.admin.DuplicatePolicy(t.Context(), id)
			wantError(t, err, contacts.CodeNotFound)
			wantError(t, w.admin.SetDuplicatePolicy(t.Context(), id, reject), contacts.CodeNotFound)
		}
	})
}

func TestPoliciesAtTheSameTimeAreAllSet(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	const callers = 16
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() { w.setPolicy(t, reject) })
	}
	wait.Wait()
	account, err := w.store.FindAccount(t.Context(), w.acme.ID)
	if err != nil || account.SettingsVersion != callers {
		t.Errorf("got version %d, %v, want %d", account.SettingsVersion, err, callers)
	}
}

// An empty list is no absent one: with it no kind of key is unique, and none matches.
func TestEmptyListOfKeysIsNoAbsentOne(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		w.setPolicy(t, contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert, Mode: contacts.UpsertOverwrite, Keys: []contacts.KeyKind{}})
		if p, err := w.admin.DuplicatePolicy(t.Context(), w.acme.ID); err != nil || p.Keys == nil || len(p.Keys) != 0 {
			t.Errorf("got the policy %+v, %v; want an empty list", p, err)
		}
		for _, name := range []string{"Ada", "Bob"} {
			w.create(t, contacts.CreateContactInput{FirstName: name, Email: "family@example.com"})
		}
		in := contacts.UpsertContactInput{CreateContactInput: contacts.CreateContactInput{FirstName: "Cy", Email: "family@example.com"}, MatchOn: []contacts.KeyKind{}}
		if r := w.upsert(t, in); r.Result != contacts.ResultCreated {
			t.Errorf("got %s for a match on nothing", r.Result)
		}
		in.FirstName, in.MatchOn = "Eve", nil
		if r := w.upsert(t, in); r.Result != contacts.ResultCreated {
			t.Errorf("got %s for a match on what is unique, an external id", r.Result)
		}
		body := strings.NewReader(`{"first_name": "Dan", "email": "family@example.com", "match_on": []}`)
		if r, err := w.svc.UpsertContactJSON(t.Context(), w.writer, "", body); err != nil || r.Result != contacts.ResultCreated {
			t.Errorf("got %+v, %v for a match on nothing in JSON", r, err)
		}
		if diff := cmp.Diff([]string{"Dan", "Eve", "Cy", "Bob", "Ada"}, w.names(t, contacts.ListContactsInput{})); diff != "" {
			t.Errorf("contacts (-want +got):\n%s", diff)
		}
	})
}
