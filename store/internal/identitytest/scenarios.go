package identitytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
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
		{"TestReplayBeforeIdentity", replayBeforeIdentity},
		{"TestPutKeepsExternalID", putKeepsExternalID},
		{"TestUpsertTable", upsertTable},
		{"TestBlankNeverClears", blankNeverClears},
		{"TestHiddenHolder", hiddenHolder},
		{"TestPolicySwitch", policySwitch},
		{"TestCreateDecidedByAnOldPolicy", decidedByAnOldPolicy},
		{"TestStaleSettings", staleSettings},
		{"TestBatchSeesItself", batchSeesItself},
		{"TestBatchSeesNewNumbers", batchSeesNewNumbers},
		{"TestBatchesAtTheSameTime", batchesAtTheSameTime},
		{"TestConcurrentCreateStoresOne", concurrentCreateStoresOne},
		{"TestDryRunMakesNoSecret", dryRunMakesNoSecret},
		{"TestPastOverlay", pastOverlay},
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

// use gives the callers services with these options.
func (s *scene) use(t testing.TB, opts contacts.Options) {
	t.Helper()
	for i, store := range s.stores {
		var err error
		if s.services[i], err = contacts.New(store, &opts); err != nil {
			t.Fatal(err)
		}
	}
}

// noon is the time where a clock stands still.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 123456000, time.UTC) }

// service returns the Service whose turn it is.
func (s *scene) service() *contacts.Service {
	s.turns++
	return s.services[s.turns%len(s.services)]
}

// reader returns a key that may read alone.
func (s *scene) reader(t testing.TB) string {
	t.Helper()
	key, _, err := s.admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: s.account, AllTeams: true, Permissions: []contacts.Permission{contacts.PermissionReadContacts},
	})
	if err != nil {
		t.Fatal(err)
	}
	return key
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
		list, err := s.stores[0].ListContacts(t.Context(), contacts.ContactQuery{AccountID: s.account, AllTeams: true, Deleted: deleted, Limit: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		return list.Records
	}
	journal, err := s.stores[0].ListJournal(t.Context(), contacts.JournalQuery{AccountID: s.account, Limit: 100_000})
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

// wantDetail checks that one field is wrong, and how.
func wantDetail(t testing.TB, err error, want contacts.FieldError) {
	t.Helper()
	wantError(t, err, contacts.CodeValidationError)
	e, _ := errors.AsType[*contacts.Error](err)
	if diff := cmp.Diff([]contacts.FieldError{want}, e.Details, cmpopts.IgnoreFields(contacts.FieldError{}, "Message")); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
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

// The same create again is the first one, whatever is unique.
func replayBeforeIdentity(t *testing.T, s *scene) {
	in := withLine(named("ada"))
	in.ExternalID, in.IdempotencyKey = "1", "once"
	s.setPolicy(t, Both(contacts.DuplicateReject))
	first := s.create(t, in).Contact
	for _, policy := range []contacts.DuplicatePolicy{Both(contacts.DuplicateReject), {Action: contacts.DuplicateReject}, Both(contacts.DuplicateUpsert)} {
		s.setPolicy(t, policy)
		again, err := s.service().CreateContactResult(t.Context(), s.key, in)
		if diff := cmp.Diff(contacts.CreateResult{Contact: first, Result: contacts.ResultCreated, Replayed: true}, again); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", policy, err, diff)
		}
	}
	other := in
	other.ExternalID = "2"
	_, err := s.service().CreateContact(t.Context(), s.key, other)
	wantError(t, err, contacts.CodeIdempotencyConflict)
	s.setPolicy(t, contacts.DuplicatePolicy{Action: contacts.DuplicateReject})
	in.IdempotencyKey = ""
	_, err = s.service().CreateContact(t.Context(), s.key, in)
	wantError(t, err, contacts.CodeDuplicateContact,
		contacts.Conflict{Field: "external_id", ContactID: first.ID}, contacts.Conflict{Field: "email", ContactID: first.ID})
}

func putKeepsExternalID(t *testing.T, s *scene) {
	in := named("ada")
	in.ExternalID = "A-1"
	id := s.create(t, in).Contact.ID
	put := func(body string) (*contacts.Contact, error) {
		return s.service().ReplaceContactJSON(t.Context(), s.key, id, strings.NewReader(body), nil)
	}
	patch := func(body string) (*contacts.Contact, error) {
		return s.service().UpdateContactJSON(t.Context(), s.key, id, strings.NewReader(body), nil)
	}
	for i, c := range []struct {
		change     func(body string) (*contacts.Contact, error)
		body, want string
	}{
		{put, `{"first_name": "Ada"}`, "A-1"},
		{put, `{"first_name": "Ada", "external_id": " A-2 "}`, "A-2"},
		{patch, `{"first_name": "Bob"}`, "A-2"},
		{patch, `{"external_id": "a-2"}`, "a-2"},
		{patch, `{"external_id": null}`, ""},
		{put, `{"first_name": "Ada"}`, ""},
		{patch, `{"external_id": "A-3"}`, "A-3"},
		{patch, `{"external_id": ""}`, ""},
		{put, `{"first_name": "Ada", "external_id": "A-1"}`, "A-1"},
	} {
		got, err := c.change(c.body)
		if err != nil {
			t.Fatalf("%d, %s: %v", i, c.body, err)
		}
		read, err := s.service().GetContact(t.Context(), s.key, id)
		if diff := cmp.Diff(got, read); diff != "" || err != nil {
			t.Errorf("%d, %s: read back: %v (-answer +stored):\n%s", i, c.body, err, diff)
		}
		if read.ExternalID != c.want {
			t.Errorf("%d, %s: got the external id %q, want %q", i, c.body, read.ExternalID, c.want)
		}
	}
	_, err := patch(`{"external_id": "` + strings.Repeat("ä", 256) + `"}`)
	wantDetail(t, err, contacts.FieldError{Field: "external_id", Code: contacts.FieldTooLong})
}

// All callers of all stores create one address at the same time.
func concurrentCreateStoresOne(t *testing.T, s *scene) {
	s.setPolicy(t, Both(contacts.DuplicateReject))
	for round := range longtest.Extent(2, 500) {
		all := make([][]Told, len(s.services))
		var wait sync.WaitGroup
		for i, service := range s.services {
			wait.Go(func() { all[i] = Race(t.Context(), service, s.key, round) })
		}
		wait.Wait()
		WantOne(t, s.services[0], s.key, round, slices.Concat(all...), false)
	}
}
