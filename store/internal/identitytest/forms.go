package identitytest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// lines are pairs of numbers that reach one line, by each rule in both directions.
// Those of Mexico are apart: a contact is given one of them no more.
var lines = []struct{ form, one, other string }{
	{"br_ninth_digit", "+5511987654321", "+551187654321"},
	{"br_ninth_digit", "+551187654321", "+5511987654321"},
	{"ar_mobile_nine", "+5491123456789", "+541123456789"},
	{"ar_mobile_nine", "+541123456789", "+5491123456789"},
}

const firstNumber, secondNumber = "phone_numbers[0].phone_number", "phone_numbers[1].phone_number"

func withNumbers(name string, numbers ...string) contacts.CreateContactInput {
	in := contacts.CreateContactInput{FirstName: name}
	for _, n := range numbers {
		in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: n})
	}
	return in
}

// formsAreOneKey: where the policy says so, another form of a number is taken with the
// number.
func formsAreOneKey(t *testing.T, s *scene) {
	for _, l := range lines {
		s := newScene(t, s.stores)
		s.setPolicy(t, Both(contacts.DuplicateReject))
		holder := s.create(t, withNumbers("ada", l.one)).Contact
		twin := s.create(t, withNumbers("bob", l.other)).Contact // from before the forms count
		s.setPolicy(t, WithForms(Both(contacts.DuplicateReject)))

		change := func(id uuid.UUID, numbers ...string) error {
			phones := []contacts.UpdatePhoneNumber{}
			for _, n := range numbers {
				phones = append(phones, contacts.UpdatePhoneNumber{PhoneNumber: new(n)})
			}
			_, err := s.service().UpdateContact(t.Context(), s.key, id, contacts.UpdateContactInput{City: new("Oslo"), PhoneNumbers: &phones}, nil)
			return err
		}
		if err := change(twin.ID, l.other, line); err != nil {
			t.Errorf("a contact from before the policy: %v", err)
		}
		wantError(t, change(twin.ID, l.other, l.one), contacts.CodeDuplicateContact, contacts.Conflict{Field: secondNumber, ContactID: holder.ID})
		s.delete(t, twin.ID)

		taken := contacts.Conflict{Field: firstNumber, ContactID: holder.ID, Form: l.form}
		_, err := s.service().CreateContact(t.Context(), s.key, withNumbers("cy", l.other))
		wantError(t, err, contacts.CodeDuplicateContact, taken)
		_, err = s.service().RestoreContact(t.Context(), s.key, twin.ID, nil)
		wantError(t, err, contacts.CodeDuplicateContact, taken)
		_, err = s.service().CreateContact(t.Context(), s.key, withNumbers("cy", l.one))
		wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: firstNumber, ContactID: holder.ID})
		di := s.create(t, withNumbers("di", "+12025550100")).Contact
		taken.Field = secondNumber
		wantError(t, change(di.ID, "+12025550100", l.other), contacts.CodeDuplicateContact, taken)
		_, err = s.service().ReplaceContact(t.Context(), s.key, di.ID, withNumbers("di", "+12025550100", l.other), nil)
		wantError(t, err, contacts.CodeDuplicateContact, taken)

		if err := change(holder.ID, l.one, l.other); err != nil {
			t.Errorf("both forms for one contact: %v", err)
		}
		_, err = s.service().CreateContact(t.Context(), s.key, withNumbers("cy", l.other))
		wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: firstNumber, ContactID: holder.ID})
		_, err = s.service().CreateContact(t.Context(), s.key, withNumbers("cy", l.other, l.one))
		wantError(t, err, contacts.CodeDuplicateContact,
			contacts.Conflict{Field: firstNumber, ContactID: holder.ID}, contacts.Conflict{Field: secondNumber, ContactID: holder.ID})

		if err := change(holder.ID, l.one); err != nil {
			t.Fatal(err)
		}
		s.delete(t, holder.ID)
		if heir := s.create(t, withNumbers("eve", l.other)); heir.DeletedTwin != twin.ID { // the newest
			t.Errorf("got the twin %v, want %v", heir.DeletedTwin, twin.ID)
		}
	}
}

// A number that a contact is given no more is known, where one has it from before.
func formsOfMexico(t *testing.T, s *scene) {
	const old, now = "+5215512345678", "+525512345678"
	s.setPolicy(t, WithForms(Both(contacts.DuplicateReject)))
	account, err := s.stores[0].FindAccount(t.Context(), s.account)
	if err != nil {
		t.Fatal(err)
	}
	holder := *s.create(t, named("ada")).Contact
	record := &contacts.ContactRecord{Contact: holder}
	record.Contact.ID, record.Contact.Email = uuid.Must(uuid.NewV7()), ""
	record.Contact.PhoneNumbers = []contacts.PhoneNumber{{ID: uuid.Must(uuid.NewV7()), PhoneNumber: old, Primary: true}}
	outcomes, err := s.stores[0].Apply(t.Context(), contacts.MutationBatch{Now: holder.CreatedAt, Mutations: []contacts.Mutation{{
		AccountID: s.account, Settings: account.SettingsVersion, Contacts: []contacts.ContactChange{{ID: record.Contact.ID, Record: record}},
	}}})
	if err != nil || outcomes != nil {
		t.Fatal(outcomes, err)
	}
	_, err = s.service().CreateContact(t.Context(), s.key, withNumbers("bob", now))
	wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: firstNumber, ContactID: record.Contact.ID, Form: "mx_mobile_one"})
}

// formsFind: a contact is found by another form of its number, and gets that too.
func formsFind(t *testing.T, s *scene) {
	for i, policy := range []contacts.DuplicatePolicy{{}, Both(contacts.DuplicateReject), Both(contacts.DuplicateReturnExisting), Both(contacts.DuplicateUpsert)} {
		l := lines[i]
		s := newScene(t, s.stores)
		s.setPolicy(t, WithForms(policy))
		holder := s.create(t, withNumbers("ada", l.one)).Contact
		by := []contacts.Conflict{{Field: firstNumber, ContactID: holder.ID, Form: l.form}}
		upsert := func(svc *contacts.Service, key string, city string) *contacts.UpsertResult {
			t.Helper()
			in := contacts.UpsertContactInput{CreateContactInput: withNumbers("ada", l.other), MatchOn: []contacts.KeyKind{contacts.KeyPhoneNumber}, UpdateOnly: true, RestoreDeleted: true}
			in.City, in.IdempotencyKey = city, key
			r, err := svc.UpsertContact(t.Context(), s.key, in)
			if err != nil {
				t.Fatalf("%v: %v", policy, err)
			}
			return r
		}
		want := func(r *contacts.UpsertResult, result contacts.Result, matched []contacts.Conflict, numbers ...string) {
			t.Helper()
			var got []string
			for _, p := range r.Contact.PhoneNumbers {
				got = append(got, p.PhoneNumber)
			}
			if r.Result != result || r.Contact.ID != holder.ID || !r.Contact.PhoneNumbers[0].Primary || !slices.Equal(got, numbers) {
				t.Errorf("%v: got %s of %v with %v, want %s of %v with %v", policy, r.Result, r.Contact.ID, got, result, holder.ID, numbers)
			}
			if diff := cmp.Diff(matched, r.Matched, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%v: matched (-want +got):\n%s", policy, diff)
			}
		}
		if policy.Action == contacts.DuplicateReturnExisting {
			r, err := s.service().CreateContactResult(t.Context(), s.key, withNumbers("ada", l.other))
			if err != nil {
				t.Fatal(err)
			}
			result := contacts.UpsertResult(r)
			want(&result, contacts.ResultExisting, by, l.one)
		}
		s.delete(t, holder.ID)
		want(upsert(s.service().DryRun(), "", ""), contacts.ResultRestored, by, l.one, l.other)
		want(upsert(s.service(), "once", ""), contacts.ResultRestored, by, l.one, l.other)
		want(upsert(s.service(), "once", ""), contacts.ResultRestored, nil, l.one, l.other)
		by[0].Form = "" // it has both by now
		want(upsert(s.service(), "", ""), contacts.ResultUnchanged, by, l.one, l.other)
		want(upsert(s.service(), "", "Oslo"), contacts.ResultUpdated, by, l.one, l.other)
	}
}

// batchSeesForms: the contacts of a batch see each other by the forms of their numbers,
// as the dry run says before.
func batchSeesForms(t *testing.T, s *scene) {
	l := lines[0]
	batch := []contacts.CreateContactInput{
		withNumbers("ada", l.one), withNumbers("bob", line), withNumbers("cy", l.other), withNumbers("di", line, l.other), withNumbers("eve", l.one),
	}
	for _, c := range []struct {
		action contacts.DuplicateAction
		want   []string
		all    []string // together
	}{
		{contacts.DuplicateAllow, []string{"created", "created", "created", "created", "created"}, nil},
		{contacts.DuplicateReject,
			[]string{"created", "created", "duplicate_contact 0:br_ninth_digit", "duplicate_contact 1 0:br_ninth_digit", "duplicate_contact 0"},
			[]string{"batch_failed", "batch_failed", "duplicate_contact 0:br_ninth_digit", "duplicate_contact 1 0:br_ninth_digit", "duplicate_contact 0"}},
		{contacts.DuplicateReturnExisting,
			[]string{"created", "created", "existing 0:br_ninth_digit", "ambiguous_match 1 0:br_ninth_digit", "existing 0"},
			[]string{"batch_failed", "batch_failed", "batch_failed", "ambiguous_match 1 0:br_ninth_digit", "batch_failed"}},
		{contacts.DuplicateUpsert,
			[]string{"created", "created", "updated 0:br_ninth_digit", "ambiguous_match 1 0", "unchanged 0"},
			[]string{"batch_failed", "batch_failed", "batch_failed", "ambiguous_match 1 0", "batch_failed"}},
	} {
		for _, together := range []bool{false, true} {
			want := c.want
			if together && c.all != nil {
				want = c.all
			}
			s := newScene(t, s.stores)
			s.setPolicy(t, WithForms(Both(c.action)))
			service := s.service()
			for _, svc := range []*contacts.Service{service.DryRun(), service} {
				results, err := svc.CreateContacts(t.Context(), s.key, contacts.CreateContactsInput{Contacts: batch, AllOrNothing: together})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, r := range results {
					got = append(got, said(r))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, together %t, dry run %t (-want +got):\n%s", c.action, together, svc.IsDryRun(), diff)
				}
			}
		}
	}
}

// said is what became of a contact of a batch, and by which others of it.
func said(r contacts.CreateResult) string {
	text, by := string(r.Result), r.Matched
	if e, ok := errors.AsType[*contacts.Error](r.Err); ok {
		text, by = string(e.Code), e.Conflicts
	}
	for _, c := range by {
		text += " -"
		if c.Index != nil {
			text = fmt.Sprint(text[:len(text)-1], *c.Index)
		}
		if c.Form != "" {
			text += ":" + c.Form
		}
	}
	return text
}

// formsAtTheSameTime: callers create the two forms of a number at the same time. One is
// stored, and the others name it.
func formsAtTheSameTime(t *testing.T, s *scene) {
	s.setPolicy(t, WithForms(Both(contacts.DuplicateReject)))
	for round := range longtest.Extent(5, 500) {
		const callers = 4
		var ids, named [callers][]uuid.UUID
		var wait sync.WaitGroup
		for i := range callers {
			number := fmt.Sprintf("+55118%07d", round)
			if i%2 == 0 {
				number = fmt.Sprintf("+551198%07d", round)
			}
			service := s.service()
			wait.Go(func() {
				c, err := service.CreateContact(t.Context(), s.key, withNumbers("ada", number))
				switch e, refused := errors.AsType[*contacts.Error](err); {
				case err == nil:
					ids[i] = append(ids[i], c.ID)
				case refused && e.Code == contacts.CodeDuplicateContact && len(e.Conflicts) == 1:
					named[i] = append(named[i], e.Conflicts[0].ContactID)
				default:
					t.Error(err)
				}
			})
		}
		wait.Wait()
		created, others := slices.Concat(ids[:]...), slices.Concat(named[:]...)
		if len(created) != 1 || len(others) != callers-1 || slices.ContainsFunc(others, func(id uuid.UUID) bool { return id != created[0] }) {
			t.Fatalf("round %d: created %v, and the others name %v", round, created, others)
		}
	}
}
