package contacts_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
)

// The policies of these tests.
var (
	returnExisting = contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting}
	upsertPolicy   = contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert}
)

// results counts the results, and the codes of the errors.
func results(all []contacts.CreateResult) map[string]int {
	counts := make(map[string]int)
	for _, r := range all {
		if r.Err != nil {
			counts[string(contacts.CodeOf(r.Err))]++
		} else {
			counts[string(r.Result)]++
		}
	}
	return counts
}

// TestBatchSeesItself: of 1,000 contacts, 300 share 100 addresses.
func TestBatchSeesItself(t *testing.T) {
	t.Parallel()
	batch := make([]contacts.CreateContactInput, 1000)
	for i := range batch {
		batch[i] = contacts.CreateContactInput{FirstName: "Ada", Email: fmt.Sprintf("%d@example.com", i), Tags: []string{fmt.Sprint(i)}}
		if i%10 < 3 {
			batch[i].Email = fmt.Sprintf("shared.%d@example.com", i/10)
		}
	}
	first := func(i int) int { return i / 10 * 10 }
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		for name, c := range map[string]struct {
			policy    contacts.DuplicatePolicy
			want, all map[string]int
		}{
			"allow":    {want: map[string]int{"created": 1000}, all: map[string]int{"created": 1000}},
			"reject":   {reject, map[string]int{"created": 800, "duplicate_contact": 200}, map[string]int{"batch_failed": 800, "duplicate_contact": 200}},
			"existing": {returnExisting, map[string]int{"created": 800, "existing": 200}, map[string]int{"created": 800, "existing": 200}},
			"upsert":   {upsertPolicy, map[string]int{"created": 800, "updated": 200}, map[string]int{"created": 800, "updated": 200}},
		} {
			for _, together := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/together=%t", name, together), func(t *testing.T) {
					w := newWorld(t, store, nil)
					w.setPolicy(t, c.policy)
					got, err := w.svc.CreateContacts(t.Context(), w.writer, contacts.CreateContactsInput{Contacts: batch, AllOrNothing: together})
					if err != nil {
						t.Fatal(err)
					}
					want := c.want
					if together {
						want = c.all
					}
					if diff := cmp.Diff(want, results(got)); diff != "" {
						t.Fatalf("results (-want +got):\n%s", diff)
					}
					for i, r := range got {
						j := first(i)
						switch {
						case i%10 == 0 || i%10 > 2:
						case c.policy.Action == contacts.DuplicateReject:
							conflict := contacts.Conflict{Field: "email", Index: &j}
							if !together {
								conflict.ContactID = got[j].Contact.ID
							}
							wantConflicts(t, r.Err, conflict)
						case r.Result != contacts.ResultCreated:
							if diff := cmp.Diff([]contacts.Conflict{{Field: "email", ContactID: got[j].Contact.ID, Index: &j}}, r.Matched); diff != "" {
								t.Fatalf("%d: matched (-want +got):\n%s", i, diff)
							}
							tags := batch[j].Tags
							if c.policy.Action == contacts.DuplicateUpsert {
								for k := j + 1; k <= i; k++ {
									tags = append(slices.Clip(tags), batch[k].Tags...)
								}
							}
							if diff := cmp.Diff(tags, r.Contact.Tags); diff != "" || r.Contact.ID != got[j].Contact.ID {
								t.Fatalf("%d: tags (-want +got):\n%s", i, diff)
							}
						}
					}
				})
			}
		}
	})
}

// TestBatchSeesNewNumbers: the first upsert adds a number to a stored contact, and the
// third has that number alone.
func TestBatchSeesNewNumbers(t *testing.T) {
	t.Parallel()
	const number = "+15551234567"
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		for _, together := range []bool{false, true} {
			w := newWorld(t, store, nil)
			stored := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
			upsert := func(in contacts.CreateContactInput) contacts.UpsertContactInput {
				return contacts.UpsertContactInput{CreateContactInput: in}
			}
			phones := []contacts.PhoneNumberInput{{PhoneNumber: number}}
			got, err := w.svc.UpsertContacts(t.Context(), w.writer, contacts.UpsertContactsInput{AllOrNothing: together, Contacts: []contacts.UpsertContactInput{
				upsert(contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", PhoneNumbers: phones}),
				upsert(contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com"}),
				upsert(contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: phones, City: "Paris"}),
			}})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []contacts.Result{contacts.ResultUpdated, contacts.ResultCreated, contacts.ResultUpdated} {
				if got[i].Result != want || got[i].Err != nil || got[i].Index != i {
					t.Fatalf("%d: got %+v, want %s", i, got[i], want)
				}
			}
			read, err := w.svc.GetContact(t.Context(), w.writer, stored.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got[2].Contact, read); diff != "" || read.Version != 3 || read.City != "Paris" {
				t.Errorf("(-result +stored):\n%s", diff)
			}
		}
	})
}

// TestAllOrNothingUpserts: one ambiguous upsert refuses the whole batch.
func TestAllOrNothingUpserts(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		stored := w.create(t, ada())
		got, err := w.svc.UpsertContacts(t.Context(), w.writer, contacts.UpsertContactsInput{AllOrNothing: true, Contacts: []contacts.UpsertContactInput{
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: "Paris"}},
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Bob", Email: "bob@example.com"}},
			{CreateContactInput: contacts.CreateContactInput{FirstName: "Cy", ExternalID: "A-1", Email: "BOB@example.com"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		one := 1
		wantError(t, got[0].Err, contacts.CodeBatchFailed)
		wantError(t, got[1].Err, contacts.CodeBatchFailed)
		wantError(t, got[2].Err, contacts.CodeAmbiguousMatch)
		want := []contacts.Conflict{{Field: "external_id", ContactID: stored.ID}, {Field: "email", Index: &one}}
		if diff := cmp.Diff(want, got[2].Err.(*contacts.Error).Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		read, err := w.svc.GetContact(t.Context(), w.writer, stored.ID)
		if diff := cmp.Diff(stored, read); diff != "" || err != nil {
			t.Errorf("the stored contact (-before +after):\n%s%v", diff, err)
		}
	})
}

// TestPolicyChangesCreates: what a create under a policy does, what its key must be
// allowed, and what a replay says.
func TestPolicyChangesCreates(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, &contacts.Options{Permissions: []contacts.Permission{"can_create"}, CreatePermission: "can_create"})
		admin := contacts.NewAdmin(store, &contacts.AdminOptions{Permissions: []contacts.Permission{"can_create"}})
		issue := func(p ...contacts.Permission) string {
			key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: append(p, "can_create"), AllTeams: true})
			if err != nil {
				t.Fatal(err)
			}
			return key
		}
		creator, reader, writer := issue(), issue(contacts.PermissionReadContacts), issue(contacts.PermissionWriteContacts)
		create := func(key, city, once string) contacts.CreateResult {
			r, _ := w.svc.CreateContactResult(t.Context(), key, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", City: city, IdempotencyKey: once})
			return r
		}
		stored := create(creator, "", "one")
		for _, c := range []struct {
			policy contacts.DuplicatePolicy
			allows string
			want   contacts.Result
			city   string
		}{
			{returnExisting, reader, contacts.ResultExisting, ""},
			{upsertPolicy, writer, contacts.ResultUpdated, "Paris"},
			{upsertPolicy, writer, contacts.ResultUnchanged, "Paris"},
			{contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert, Mode: contacts.UpsertOverwrite}, writer, contacts.ResultUpdated, "London"},
		} {
			w.setPolicy(t, c.policy)
			city := "Paris"
			if c.policy.Mode != "" {
				city = "London"
			}
			for _, key := range []string{creator, reader, writer} {
				once := string(c.want) + string(c.policy.Mode)
				r := create(key, city, once)
				if key != c.allows && !r.Replayed {
					wantConflicts(t, r.Err, contacts.Conflict{Field: "email", ContactID: stored.Contact.ID})
					continue
				}
				if r.Err != nil || r.Result != c.want || r.Contact.ID != stored.Contact.ID || r.Contact.City != c.city {
					t.Fatalf("%s: got %+v, want %s", c.policy.Action, r, c.want)
				}
				again := create(key, city, once)
				if diff := cmp.Diff(r.Contact, again.Contact); diff != "" || again.Result != c.want || !again.Replayed {
					t.Errorf("%s: replay: %+v\n%s", c.policy.Action, again, diff)
				}
			}
		}
		if again := create(creator, "", "one"); again.Result != contacts.ResultCreated || !again.Replayed || again.Contact.City != "" {
			t.Errorf("the first create again: got %+v", again)
		}
	})
}

// TestPolicyNeedsOneHolder: a create under a policy whose keys belong to two contacts,
// or to one that the key may not see.
func TestPolicyNeedsOneHolder(t *testing.T) {
	t.Parallel()
	for _, policy := range []contacts.DuplicatePolicy{returnExisting, upsertPolicy} {
		w := memoryWorld(t, nil)
		w.setPolicy(t, policy)
		a := w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com"})
		b := w.create(t, contacts.CreateContactInput{FirstName: "Bob", ExternalID: "B-1", TeamID: closedTeam})
		in := contacts.CreateContactInput{FirstName: "Cy", Email: a.Email, ExternalID: b.ExternalID}
		_, err := w.svc.CreateContact(t.Context(), w.writer, in)
		wantError(t, err, contacts.CodeAmbiguousMatch)
		want := []contacts.Conflict{{Field: "external_id", ContactID: b.ID}, {Field: "email", ContactID: a.ID}}
		if diff := cmp.Diff(want, err.(*contacts.Error).Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		in.Email = ""
		_, err = w.svc.CreateContact(t.Context(), w.limitedWriter, in)
		wantConflicts(t, err, contacts.Conflict{Field: "external_id", Hidden: true})
	}
}

func TestUpsertStreamCountsFromItsStart(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	source := func(yield func(contacts.UpsertContactInput) bool) {
		for i := range 2100 {
			in := contacts.CreateContactInput{FirstName: "Ada", Email: fmt.Sprintf("%d@example.com", i%2050)}
			if i >= 2050 {
				in.Email = "2040@example.com"
			}
			if !yield(contacts.UpsertContactInput{CreateContactInput: in}) {
				return
			}
		}
	}
	n := 0
	for r, err := range w.svc.UpsertContactStream(t.Context(), w.writer, source) {
		if err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
		place := 2040
		matched := []contacts.Conflict{{Field: "email", Index: &place}}
		want := contacts.ResultCreated
		if n >= 2050 {
			want = contacts.ResultUnchanged
			matched[0].ContactID = r.Contact.ID
		} else {
			matched = nil
		}
		if diff := cmp.Diff(matched, r.Matched); diff != "" || r.Index != n || r.Result != want {
			t.Fatalf("%d: got %+v\n%s", n, r, diff)
		}
		n++
	}
	if n != 2100 {
		t.Errorf("got %d results", n)
	}
}

// TestRestoreOfTakenKeys: a contact that an upsert would restore has a number that is
// another's by now.
func TestRestoreOfTakenKeys(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	w.setPolicy(t, reject)
	first := w.create(t, ada())
	if err := w.svc.DeleteContact(t.Context(), w.writer, first.ID, nil); err != nil {
		t.Fatal(err)
	}
	second := w.create(t, contacts.CreateContactInput{FirstName: "Bob", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}}})
	_, err := w.svc.UpsertContact(t.Context(), w.writer, upsertOf(contacts.CreateContactInput{FirstName: "Ada", ExternalID: "A-1"},
		func(u *contacts.UpsertContactInput) { u.RestoreDeleted = true }))
	wantConflicts(t, err, contacts.Conflict{Field: "phone_numbers[1].phone_number", ContactID: second.ID})
}

func TestPolicyModesAreChecked(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	err := w.admin.SetDuplicatePolicy(t.Context(), w.acme.ID, contacts.DuplicatePolicy{
		Action: contacts.DuplicateUpsert, Mode: "merge", TagsMode: contacts.TagsReplace,
	})
	wantError(t, err, contacts.CodeValidationError, wrong("mode", contacts.FieldNotAllowed), wrong("tags_mode", contacts.FieldInvalid))
}
