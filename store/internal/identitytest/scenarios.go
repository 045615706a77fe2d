package identitytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/faulttest"
)

// Scenarios makes the calls of each scenario in an account of its own. The stores have
// the same data, and take turns.
func Scenarios(t *testing.T, stores ...contacts.Store) {
	t.Helper()
	for _, s := range []struct {
		name string
		run  func(t *testing.T, s *scene)
	}{
		{"TestAmbiguousNamesBoth", ambiguousNamesBoth},
		{"TestDeletedTwin", deletedTwin},
		{"TestPolicySwitch", policySwitch},
		{"TestCreateDecidedByAnOldPolicy", decidedByAnOldPolicy},
		{"TestBatchSeesItself", batchSeesItself},
		{"TestBatchSeesNewNumbers", batchSeesNewNumbers},
		{"TestBatchesAtTheSameTime", batchesAtTheSameTime},
		{"TestConcurrentCreateStoresOne", concurrentCreateStoresOne},
		{"TestFormsAreOneKey", formsAreOneKey},
		{"TestFormsOfMexico", formsOfMexico},
		{"TestFormsFind", formsFind},
		{"TestBatchSeesForms", batchSeesForms},
		{"TestFormsAtTheSameTime", formsAtTheSameTime},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t, newScene(t, stores))
		})
	}
}

// A scene is a world with teams in which one caller makes calls.
type scene struct {
	*world
	stores  []contacts.Store
	limited string // a key that may access the team alone
	turns   int
}

const (
	team       = 1
	closedTeam = 2 // the limited key may not access it
)

func newScene(t testing.TB, stores []contacts.Store) *scene {
	t.Helper()
	s := &scene{world: newWorld(t, []contacts.DuplicatePolicy{{}}, stores), stores: stores}
	for id := int64(team); id <= closedTeam; id++ {
		if _, err := s.admin.CreateTeam(t.Context(), contacts.Team{AccountID: s.account, ID: id, Name: fmt.Sprint(id)}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.limited, _, err = s.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: s.account, TeamIDs: []int64{team}, Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// service returns the Service whose turn it is.
func (s *scene) service() *contacts.Service {
	s.turns++
	return s.services[s.turns%len(s.services)]
}

func (s *scene) setPolicy(t testing.TB, p contacts.DuplicatePolicy) {
	t.Helper()
	if err := s.admin.SetDuplicatePolicy(t.Context(), s.account, p); err != nil {
		t.Fatal(err)
	}
}

// create creates a contact that must be new.
func (s *scene) create(t testing.TB, in contacts.CreateContactInput) contacts.CreateResult {
	t.Helper()
	r, err := s.service().CreateContactResult(t.Context(), s.key, in)
	if err != nil || r.Result != contacts.ResultCreated {
		t.Fatalf("create: %+v, %v", r, err)
	}
	return r
}

func (s *scene) delete(t testing.TB, id uuid.UUID) {
	t.Helper()
	if err := s.service().DeleteContact(t.Context(), s.key, id, nil); err != nil {
		t.Fatal(err)
	}
}

// stored is what the account has.
type stored struct {
	Live, Deleted []*contacts.ContactRecord
	Journal       []contacts.JournalEntry
	Settings      []contacts.SettingRecord
}

func (s *scene) stored(t testing.TB) (all stored) {
	t.Helper()
	list := func(deleted bool) []*contacts.ContactRecord {
		list, err := s.stores[0].ListContacts(t.Context(), contacts.ContactQuery{AccountID: s.account, AllTeams: true, Deleted: deleted, Limit: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		return list.Records
	}
	journal, err := s.stores[0].ListJournal(t.Context(), contacts.JournalQuery{AccountID: s.account, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	directory, err := s.stores[0].ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: s.account, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return stored{list(false), list(true), journal, directory.Settings}
}

// wantError checks the code and the conflicts of an error.
func wantError(t testing.TB, err error, code contacts.Code, conflicts ...contacts.Conflict) {
	t.Helper()
	e, ok := errors.AsType[*contacts.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	if diff := cmp.Diff(conflicts, e.Conflicts); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	if strings.ContainsAny(e.Message, "@+") {
		t.Errorf("the message holds a value: %s", e.Message)
	}
}

func named(name string) contacts.CreateContactInput {
	return contacts.CreateContactInput{FirstName: name, Email: name + "@example.com"}
}

const line = "+15551234567"

func withLine(in contacts.CreateContactInput) contacts.CreateContactInput {
	in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: line}}
	return in
}

// The e-mail address is that of one contact, and the number that of another.
func ambiguousNamesBoth(t *testing.T, s *scene) {
	a := s.create(t, named("ada")).Contact
	hidden := withLine(named("bob"))
	hidden.TeamID = closedTeam
	b := s.create(t, hidden).Contact
	in := contacts.UpsertContactInput{CreateContactInput: withLine(named("ada"))}
	in.City = "Paris"
	before := s.stored(t)
	_, seen := s.service().UpsertContact(t.Context(), s.key, in)
	wantError(t, seen, contacts.CodeAmbiguousMatch,
		contacts.Conflict{Field: "email", ContactID: a.ID}, contacts.Conflict{Field: "phone_numbers[0].phone_number", ContactID: b.ID})
	_, err := s.service().UpsertContact(t.Context(), s.limited, in)
	wantError(t, err, contacts.CodeAmbiguousMatch,
		contacts.Conflict{Field: "email", ContactID: a.ID}, contacts.Conflict{Field: "phone_numbers[0].phone_number", Hidden: true})
	if err.Error() != seen.Error() {
		t.Errorf("two keys get different words: %v and %v", seen, err)
	}
	if diff := cmp.Diff(before, s.stored(t)); diff != "" {
		t.Errorf("what is stored (-before +after):\n%s", diff)
	}
}

func deletedTwin(t *testing.T, s *scene) {
	s.setPolicy(t, Both(contacts.DuplicateReject))
	in := withLine(named("ada"))
	in.TeamID = closedTeam
	first := s.create(t, in)
	if first.DeletedTwin != uuid.Nil {
		t.Errorf("the first has the twin %v", first.DeletedTwin)
	}
	s.delete(t, first.Contact.ID)
	in.TeamID = 0
	second := s.create(t, in)
	if second.DeletedTwin != first.Contact.ID {
		t.Errorf("got the twin %v, want %v", second.DeletedTwin, first.Contact.ID)
	}
	restore := func() error {
		_, err := s.service().RestoreContact(t.Context(), s.key, first.Contact.ID, nil)
		return err
	}
	wantError(t, restore(), contacts.CodeDuplicateContact,
		contacts.Conflict{Field: "email", ContactID: second.Contact.ID}, contacts.Conflict{Field: "phone_numbers[0].phone_number", ContactID: second.Contact.ID})
	s.delete(t, second.Contact.ID)
	if err := restore(); err != nil {
		t.Errorf("restore of the first: %v", err)
	}
	s.delete(t, first.Contact.ID)
	third, err := s.service().CreateContactResult(t.Context(), s.limited, in)
	if err != nil || third.DeletedTwin != second.Contact.ID {
		t.Errorf("got the twin %v, %v, want the newest one that the key may see, %v", third.DeletedTwin, err, second.Contact.ID)
	}
}

// Duplicates from before a policy stay, and can be changed.
func policySwitch(t *testing.T, s *scene) {
	first, twin, third := s.create(t, named("ada")).Contact, s.create(t, named("ada")).Contact, s.create(t, named("bob")).Contact
	s.setPolicy(t, contacts.DuplicatePolicy{Action: contacts.DuplicateReject})
	change := func(in contacts.UpdateContactInput) error {
		_, err := s.service().UpdateContact(t.Context(), s.key, twin.ID, in, nil)
		return err
	}
	if err := change(contacts.UpdateContactInput{City: new("Paris"), Email: new("ADA@example.com")}); err != nil {
		t.Errorf("another field, and the same address in other letters: %v", err)
	}
	wantError(t, change(contacts.UpdateContactInput{Email: &third.Email}), contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: third.ID})
	_, err := s.service().ReplaceContact(t.Context(), s.key, twin.ID, named("bob"), nil)
	wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: third.ID})
	_, err = s.service().CreateContact(t.Context(), s.key, named("ada"))
	wantError(t, err, contacts.CodeDuplicateContact,
		contacts.Conflict{Field: "email", ContactID: first.ID}, contacts.Conflict{Field: "email", ContactID: twin.ID})
	s.delete(t, twin.ID)
	_, err = s.service().RestoreContact(t.Context(), s.key, twin.ID, nil)
	wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: first.ID})
}

// A late store does something before its next write, which is decided already.
type late struct {
	contacts.Store
	before func()
}

func (l *late) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if before := l.before; before != nil {
		l.before = nil
		before()
	}
	return l.Store.Apply(ctx, batch)
}

// A create that was decided before a policy was set is stored after it. It claims a
// key, so every store refuses it, and it is decided again.
func decidedByAnOldPolicy(t *testing.T, s *scene) {
	first := s.create(t, named("ada")).Contact
	service, err := contacts.New(&late{s.stores[len(s.stores)-1], func() { s.setPolicy(t, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}) }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := named("ada")
	in.ExternalID = "1"
	_, err = service.CreateContact(t.Context(), s.key, in)
	wantError(t, err, contacts.CodeDuplicateContact, contacts.Conflict{Field: "email", ContactID: first.ID})
}

// tens returns contacts of which three in ten share an address.
func tens() []contacts.CreateContactInput {
	batch := make([]contacts.CreateContactInput, faulttest.Extent(50, 1000))
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

// Two callers make the same batch at the same time. Each address is created once.
func batchesAtTheSameTime(t *testing.T, s *scene) {
	batch := tens()
	few := len(batch) / 5
	for _, action := range []contacts.DuplicateAction{contacts.DuplicateReject, contacts.DuplicateReturnExisting, contacts.DuplicateUpsert} {
		for _, together := range []bool{false, true} {
			if together && action == contacts.DuplicateReject {
				continue // a batch that shares addresses is refused
			}
			t.Run(fmt.Sprintf("%s/together=%t", action, together), func(t *testing.T) {
				s := newScene(t, s.stores)
				s.setPolicy(t, contacts.DuplicatePolicy{Action: action})
				var all [2][]contacts.CreateResult
				var errs [2]error
				var wait sync.WaitGroup
				for i := range all {
					service := s.service()
					wait.Go(func() {
						all[i], errs[i] = service.CreateContacts(t.Context(), s.key, contacts.CreateContactsInput{Contacts: batch, AllOrNothing: together})
					})
				}
				wait.Wait()
				if err := errors.Join(errs[:]...); err != nil {
					t.Fatal(err)
				}
				got := results(slices.Concat(all[:]...))
				if got["created"] != len(batch)-few || got["server_error"]+got["batch_failed"] != 0 {
					t.Errorf("got %v, want each of %d addresses created once", got, len(batch)-few)
				}
				if n := len(s.stored(t).Live); n != len(batch)-few {
					t.Errorf("%d contacts are stored, want %d", n, len(batch)-few)
				}
			})
		}
	}
}

// All callers of all stores create one address at the same time.
func concurrentCreateStoresOne(t *testing.T, s *scene) {
	s.setPolicy(t, Both(contacts.DuplicateReject))
	for round := range faulttest.Extent(2, 500) {
		all := make([][]Told, len(s.services))
		var wait sync.WaitGroup
		for i, service := range s.services {
			wait.Go(func() { all[i] = Race(t.Context(), service, s.key, round) })
		}
		wait.Wait()
		WantOne(t, s.services[0], s.key, round, slices.Concat(all...), false)
	}
}
