package identitytest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// tens returns contacts of which three in ten share an address.
func tens() []contacts.CreateContactInput {
	batch := make([]contacts.CreateContactInput, longtest.Size(50, 1000))
	for i := range batch {
		batch[i] = named(fmt.Sprint(i))
		batch[i].Tags = []string{fmt.Sprint(i)}
		if i%10 < 3 {
			batch[i].Email = named(fmt.Sprint("shared.", i/10)).Email
		}
	}
	return batch
}

// batchSeesItself makes a batch of which each contact sees those before it.
func batchSeesItself(t *testing.T, s *scene) {
	batch := tens()
	few := len(batch) / 5
	for _, c := range []struct {
		policy contacts.DuplicatePolicy
		others contacts.Result // of those that share the address of an earlier one; "": they are refused
	}{
		{contacts.DuplicatePolicy{Action: contacts.DuplicateAllow}, contacts.ResultCreated},
		{contacts.DuplicatePolicy{Action: contacts.DuplicateReject}, ""},
		{contacts.DuplicatePolicy{Action: contacts.DuplicateReturnExisting}, contacts.ResultExisting},
		{contacts.DuplicatePolicy{Action: contacts.DuplicateUpsert}, contacts.ResultUpdated},
	} {
		for _, together := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/together=%t", c.policy.Action, together), func(t *testing.T) {
				s := newScene(t, s.stores)
				s.setPolicy(t, c.policy)
				got, err := s.service().CreateContacts(t.Context(), s.key, contacts.CreateContactsInput{Contacts: batch, AllOrNothing: together})
				if err != nil {
					t.Fatal(err)
				}
				want := make(map[string]int)
				switch {
				case c.others == "" && together:
					want[string(contacts.CodeBatchFailed)] = len(batch) - few
				default:
					want[string(contacts.ResultCreated)] = len(batch) - few
				}
				if c.others == "" {
					want[string(contacts.CodeDuplicateContact)] = few
				} else {
					want[string(c.others)] += few
				}
				if diff := cmp.Diff(want, results(got)); diff != "" {
					t.Fatalf("results (-want +got):\n%s", diff)
				}
				for i, r := range got {
					first := i / 10 * 10
					switch {
					case i%10 == 0 || i%10 > 2 || r.Result == contacts.ResultCreated:
					case c.others == "":
						conflict := contacts.Conflict{Field: "email", Index: &first}
						if !together {
							conflict.ContactID = got[first].Contact.ID
						}
						wantError(t, r.Err, contacts.CodeDuplicateContact, conflict)
					default:
						if diff := cmp.Diff([]contacts.Conflict{{Field: "email", ContactID: got[first].Contact.ID, Index: &first}}, r.Matched); diff != "" {
							t.Fatalf("%d: matched (-want +got):\n%s", i, diff)
						}
						tags := slices.Clone(batch[first].Tags)
						for k := first + 1; k <= i && c.others == contacts.ResultUpdated; k++ {
							tags = append(tags, batch[k].Tags...)
						}
						if diff := cmp.Diff(tags, r.Contact.Tags); diff != "" || r.Contact.ID != got[first].Contact.ID {
							t.Fatalf("%d: tags (-want +got):\n%s", i, diff)
						}
					}
				}
			})
		}
	}
}

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

// The first upsert adds a number to a stored contact, and the third has that number
// alone.
func batchSeesNewNumbers(t *testing.T, s *scene) {
	for _, together := range []bool{false, true} {
		s := newScene(t, s.stores)
		ada := s.create(t, named("ada")).Contact
		var batch contacts.UpsertContactsInput
		for _, in := range []contacts.CreateContactInput{
			withLine(named("ada")), named("bob"), withLine(contacts.CreateContactInput{FirstName: "ada", City: "Paris"}),
		} {
			batch.Contacts = append(batch.Contacts, contacts.UpsertContactInput{CreateContactInput: in})
		}
		batch.AllOrNothing = together
		got, err := s.service().UpsertContacts(t.Context(), s.key, batch)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []contacts.Result{contacts.ResultUpdated, contacts.ResultCreated, contacts.ResultUpdated} {
			if got[i].Result != want || got[i].Err != nil || got[i].Index != i {
				t.Fatalf("%d: got %+v, want %s", i, got[i], want)
			}
		}
		read, err := s.service().GetContact(t.Context(), s.key, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got[2].Contact, read); diff != "" || read.Version != 3 || read.City != "Paris" {
			t.Errorf("(-result +stored):\n%s", diff)
		}
	}
}

// Two callers make the same batch at the same time.
func batchesAtTheSameTime(t *testing.T, s *scene) {
	batchesOfTwo(t, s.stores, func(t *testing.T, s *scene, together bool) map[string]int {
		var all [2][]contacts.CreateResult
		var errs [2]error
		var wait sync.WaitGroup
		for i := range all {
			service := s.service()
			wait.Go(func() {
				all[i], errs[i] = service.CreateContacts(t.Context(), s.key, contacts.CreateContactsInput{Contacts: tens(), AllOrNothing: together})
			})
		}
		wait.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		return results(slices.Concat(all[:]...))
	})
}

// batchesOfTwo checks what becomes of a batch that two callers make at the same time
// under each policy. It is told how many of the contacts of both had which result.
func batchesOfTwo(t *testing.T, stores []contacts.Store, both func(t *testing.T, s *scene, together bool) map[string]int) {
	t.Helper()
	size := len(tens())
	addresses := size - size/5
	once := map[string]int{string(contacts.ResultCreated): addresses}
	for _, c := range []struct {
		action contacts.DuplicateAction
		others []string // what may become of the others
		want   map[string]int
	}{
		{contacts.DuplicateAllow, nil, map[string]int{string(contacts.ResultCreated): 2 * size}},
		{contacts.DuplicateReject, []string{string(contacts.CodeDuplicateContact)}, once},
		{contacts.DuplicateReturnExisting, []string{string(contacts.ResultExisting)}, once},
		{contacts.DuplicateUpsert, []string{string(contacts.ResultUpdated), string(contacts.ResultUnchanged)}, once},
	} {
		for _, together := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/together=%t", c.action, together), func(t *testing.T) {
				s := newScene(t, stores)
				s.setPolicy(t, contacts.DuplicatePolicy{Action: c.action})
				want := c.want
				if together && c.action == contacts.DuplicateReject { // a batch that shares addresses
					want = map[string]int{string(contacts.CodeBatchFailed): 2 * addresses}
				}
				got := both(t, s, together)
				if live := len(s.stored(t).Live); live != want[string(contacts.ResultCreated)] {
					t.Errorf("%d contacts are stored, want %d", live, want[string(contacts.ResultCreated)])
				}
				all := 0
				for _, n := range got {
					all += n
				}
				for _, other := range c.others {
					delete(got, other)
				}
				if diff := cmp.Diff(want, got); diff != "" || all != 2*size {
					t.Errorf("%d results, want %d; without %v (-want +got):\n%s", all, 2*size, c.others, diff)
				}
			})
		}
	}
}
