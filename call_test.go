package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

func TestAuthorizeChecksTheKeyAndThePermissionOfTheOperation(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, c := range []struct {
		key  string
		op   contacts.Operation
		want contacts.Code
	}{
		{"", contacts.OpGetContact, contacts.CodeAuthenticationRequired},
		{" ", contacts.OpGetContact, contacts.CodeAuthenticationRequired},
		{"guess", contacts.OpGetContact, contacts.CodeInvalidKey},
		{w.expired, contacts.OpGetContact, contacts.CodeInvalidKey},
		{w.powerless, contacts.OpCreateContact, contacts.CodePermissionDenied},
		{w.key, contacts.OpCreateContact, ""},
		{w.key, contacts.OpCreateContacts, ""},
		{w.key, contacts.OpGetContact, ""},
		{w.key, contacts.OpListContacts, ""},
		{w.key, contacts.OpFindDuplicates, ""},
		{w.key, contacts.OpUpdateContact, contacts.CodePermissionDenied},
		{w.key, contacts.OpReplaceContact, contacts.CodePermissionDenied},
		{w.key, contacts.OpDeleteContact, contacts.CodePermissionDenied},
		{w.key, contacts.OpRestoreContact, contacts.CodePermissionDenied},
		{w.writer, contacts.OpUpdateContact, ""},
		{w.writer, contacts.OpReplaceContact, ""},
		{w.writer, contacts.OpDeleteContact, ""},
		{w.writer, contacts.OpRestoreContact, ""},
		{w.writer, "make_coffee", contacts.CodePermissionDenied},
	} {
		p, err := w.svc.Authorize(t.Context(), c.key, c.op)
		if contacts.CodeOf(err) != c.want || (p == nil) != (err != nil) {
			t.Errorf("Authorize %s: got %v, %v, want code %q", c.op, p, err, c.want)
		}
		if p != nil && p.AccountID != w.acme.ID {
			t.Errorf("Authorize %s: got the account %s", c.op, p.AccountID)
		}
	}
}

// applies is a store that counts the calls of a service, and does something
// before the first Apply.
type applies struct {
	contacts.Store
	before         func()
	fake           func(contacts.MutationBatch) []contacts.MutationOutcome
	listed         func() // is called once, after a list
	batches        []contacts.MutationBatch
	lists, finds   int
	accountsByHand int
}

func (s *applies) Apply(ctx context.Context, b contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	s.batches = append(s.batches, b)
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	if f := s.fake; f != nil {
		s.fake = nil
		return f(b), nil
	}
	return s.Store.Apply(ctx, b)
}

func (s *applies) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	s.lists++
	list, err := s.Store.ListContacts(ctx, q)
	if f := s.listed; f != nil {
		s.listed = nil
		f()
	}
	return list, err
}

func (s *applies) FindContact(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	s.finds++
	return s.Store.FindContact(ctx, account, id)
}

func (s *applies) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	s.accountsByHand++
	return s.Store.FindAccount(ctx, id)
}

func (s *applies) sizes() (sizes []int) {
	for _, b := range s.batches {
		sizes = append(sizes, len(b.Mutations))
	}
	s.batches = nil
	return sizes
}

func countedWorld(t *testing.T, opts *contacts.Options) (*applies, *world) {
	store := &applies{Store: closing(t, memory.New())}
	w := newWorld(t, store, opts)
	return store, w
}

// addSetting gives the account of the world another settings version.
func (w *world) addSetting(t *testing.T, version int64) {
	t.Helper()
	_, err := w.store.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{{
		AccountID: w.acme.ID, Version: version, Name: "colour", Value: `"red"`, At: noon.UTC().Truncate(1000), Actor: contacts.Actor{Kind: contacts.ActorAdmin},
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteDecidedByOldSettingsIsMadeAgain(t *testing.T) {
	t.Parallel()
	store, w := countedWorld(t, nil)
	version := int64(0)
	change := func() { version++; w.addSetting(t, version) }

	store.before = change
	c := w.create(t, contacts.CreateContactInput{FirstName: "a"})
	store.before = change
	c = w.update(t, c.ID, contacts.UpdateContactInput{City: new("Rome")})
	if c.Version != 2 || c.City != "Rome" {
		t.Errorf("got version %d in %s", c.Version, c.City)
	}
	for _, allOrNothing := range []bool{false, true} {
		store.before = change
		results := w.batch(t, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "b"}, {FirstName: "c"}}, AllOrNothing: allOrNothing})
		if diff := cmp.Diff([]string{"", ""}, outcomes(results)); diff != "" {
			t.Errorf("all or nothing %t (-want +got):\n%s", allOrNothing, diff)
		}
	}
	if err := w.svc.DeleteContact(t.Context(), w.writer, c.ID, nil); err != nil {
		t.Fatal(err)
	}
	store.before = change
	if n, err := w.admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: c.ID}); n != 1 || err != nil {
		t.Errorf("PurgeContacts: got %d, %v", n, err)
	}
	if names := w.names(t, contacts.ListContactsInput{}); len(names) != 4 {
		t.Errorf("got %v", names)
	}
}

func TestOnlyWhatWasDecidedByOldSettingsIsMadeAgain(t *testing.T) {
	t.Parallel()
	store, w := countedWorld(t, nil)
	store.fake = func(b contacts.MutationBatch) []contacts.MutationOutcome {
		o := make([]contacts.MutationOutcome, len(b.Mutations))
		o[1].Err = fmt.Errorf("fake: %w", contacts.ErrStale)
		o[2].Err = contacts.ErrTeamNotFound
		return o
	}
	results := w.batch(t, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{{FirstName: "a"}, {FirstName: "b"}, {FirstName: "c"}}})
	if diff := cmp.Diff([]string{"", "", "team_not_found"}, outcomes(results)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{3, 1}, store.sizes()); diff != "" {
		t.Errorf("sizes of the batches (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b"}, w.names(t, contacts.ListContactsInput{})); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestLargeBatchReachesTheStoreInParts(t *testing.T) {
	t.Parallel()
	store, w := countedWorld(t, nil)
	in := contacts.CreateContactsInput{Contacts: make([]contacts.CreateContactInput, 2500)}
	for i := range in.Contacts {
		in.Contacts[i].FirstName = fmt.Sprint(i)
	}
	in.Contacts[7].FirstName = "" // the parts hold what is right
	for _, r := range w.batch(t, in) {
		if want := r.Index == 7; (r.Err != nil) != want || r.Contact != nil && r.Contact.FirstName != in.Contacts[r.Index].FirstName {
			t.Fatalf("result %d: %v", r.Index, r.Err)
		}
	}
	if diff := cmp.Diff([]int{1000, 1000, 499}, store.sizes()); diff != "" {
		t.Errorf("each on its own (-want +got):\n%s", diff)
	}
	in.Contacts, in.AllOrNothing = slices.Delete(in.Contacts, 7, 8), true
	w.batch(t, in)
	if diff := cmp.Diff([]int{2499}, store.sizes()); diff != "" {
		t.Errorf("all or nothing (-want +got):\n%s", diff)
	}
}

func TestReplaysOfABatchAreLookedUpTogether(t *testing.T) {
	t.Parallel()
	store, w := countedWorld(t, nil)
	in := contacts.CreateContactsInput{Contacts: make([]contacts.CreateContactInput, 1500)}
	for i := range in.Contacts {
		in.Contacts[i] = contacts.CreateContactInput{FirstName: "x", IdempotencyKey: fmt.Sprint(i)}
	}
	first := w.batch(t, in)
	deleted, hidden := first[3].Contact.ID, first[4].Contact.ID
	w.update(t, hidden, contacts.UpdateContactInput{TeamID: new(closedTeam)})
	for _, id := range []uuid.UUID{deleted, hidden} {
		if err := w.svc.DeleteContact(t.Context(), w.writer, id, nil); err != nil {
			t.Fatal(err)
		}
	}
	store.lists, store.finds = 0, 0
	again, err := w.svc.CreateContacts(t.Context(), w.limitedKey, in)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range again {
		if i == 4 {
			if wantError(t, r.Err, contacts.CodeIdempotencyConflict); r.Contact != nil || r.Replayed {
				t.Errorf("a hidden contact is shown: %+v", r)
			}
			continue
		}
		if r.Err != nil || !r.Replayed || r.Contact.ID != first[i].Contact.ID || r.Index != i {
			t.Fatalf("result %d: %+v", i, r)
		}
	}
	if store.lists != 3 || store.finds != 0 { // two parts; the two deleted ones
		t.Errorf("the store was asked for %d lists and %d contacts", store.lists, store.finds)
	}
}

func TestAccountIsLookedUpOnlyForAHostsOwnPrincipal(t *testing.T) {
	t.Parallel()
	store, w := countedWorld(t, nil)
	store.accountsByHand = 0
	w.create(t, contacts.CreateContactInput{FirstName: "a"})
	if store.accountsByHand != 0 {
		t.Errorf("the account of a key of the store was looked up %d times", store.accountsByHand)
	}
	foreign, err := w.svc.Authorize(t.Context(), w.foreignKey, contacts.OpCreateContact)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*contacts.Principal{
		"made by the host":     {AccountID: w.acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}},
		"of another account":   {AccountID: w.acme.ID, Permissions: foreign.Permissions},
		"with another account": func() *contacts.Principal { p := *foreign; p.AccountID = w.acme.ID; return &p }(),
	} {
		svc, err := contacts.New(store, &contacts.Options{Authenticator: always{p}})
		if err != nil {
			t.Fatal(err)
		}
		store.accountsByHand = 0
		c, err := svc.CreateContact(t.Context(), "any", contacts.CreateContactInput{FirstName: "a"})
		if err != nil || c.AccountID != w.acme.ID || store.accountsByHand != 1 {
			t.Errorf("%s: got %v, %v; the account was looked up %d times", name, c, err, store.accountsByHand)
		}
	}
}

// Without its account a principal would find nothing, and nobody would see why.
func TestPrincipalOfAnUnknownAccountIsAFaultThatSaysSo(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	both := []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}
	unknown := always{&contacts.Principal{AccountID: uuid.Must(uuid.NewV7()), Permissions: both}}
	svc, err := contacts.New(closing(t, memory.New()), &contacts.Options{Authenticator: unknown, Logger: textLogger(&log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, id := t.Context(), uuid.Must(uuid.NewV7())
	for name, err := range map[string]error{
		"create":  second(svc.CreateContact(ctx, "any", contacts.CreateContactInput{FirstName: "a"})),
		"get":     second(svc.GetContact(ctx, "any", id)),
		"list":    second(svc.ListContacts(ctx, "any", contacts.ListContactsInput{})),
		"team":    second(svc.ListContacts(ctx, "any", contacts.ListContactsInput{TeamID: 1})),
		"update":  second(svc.UpdateContact(ctx, "any", id, contacts.UpdateContactInput{}, nil)),
		"delete":  svc.DeleteContact(ctx, "any", id, nil),
		"restore": second(svc.RestoreContact(ctx, "any", id, nil)),
	} {
		if name == "team" {
			wantError(t, err, contacts.CodeTeamNotFound) // the principal may not access it anyway
			continue
		}
		if wantError(t, err, contacts.CodeServerError); errors.Is(err, contacts.ErrNotFound) {
			t.Errorf("%s: an account that is not there matches ErrNotFound", name)
		}
	}
	if n := strings.Count(log.String(), "the principal's account is not in the store"); n != 6 {
		t.Errorf("%d lines say why, want 6: %s", n, &log)
	}
}

// always is an Authenticator that knows one principal.
type always struct{ p *contacts.Principal }

func (a always) Authenticate(context.Context, string) (*contacts.Principal, error) { return a.p, nil }

func TestChangeTakesOneOfSeveralVersions(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	c := w.create(t, contacts.CreateContactInput{FirstName: "a"})
	version := int64(1)
	for _, o := range []struct {
		opts *contacts.ChangeOptions
		want contacts.Code
	}{
		{nil, ""},
		{&contacts.ChangeOptions{}, ""},
		{&contacts.ChangeOptions{Versions: []int64{}}, contacts.CodeConflict},
		{&contacts.ChangeOptions{Versions: []int64{99}}, contacts.CodeConflict},
		{&contacts.ChangeOptions{Versions: []int64{0}}, contacts.CodeConflict},
		{&contacts.ChangeOptions{Versions: []int64{99, 3}}, ""},
		{&contacts.ChangeOptions{Version: 4, Versions: []int64{99}}, ""},
		{&contacts.ChangeOptions{Version: 99, Versions: []int64{5}}, ""},
		{&contacts.ChangeOptions{Version: 99, Versions: []int64{}}, contacts.CodeConflict},
	} {
		got, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{City: new("Rome")}, o.opts)
		if err == nil {
			version++
		}
		if contacts.CodeOf(err) != o.want || err == nil && got.Version != version {
			t.Errorf("%+v at version %d: got %v, %v, want code %q", o.opts, version, got, err, o.want)
		}
	}
}

func TestFaultIsLoggedWithItsOperation(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	store := &brokenStore{Store: closing(t, memory.New())}
	w := newWorld(t, store, &contacts.Options{Logger: textLogger(&log)})
	store.find = errors.New("disk 7 is on fire")
	_, err := w.svc.UpdateContact(t.Context(), w.writer, uuid.Must(uuid.NewV7()), contacts.UpdateContactInput{}, nil)
	wantError(t, err, contacts.CodeServerError)
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "operation=update_contact") || !strings.Contains(got, "disk 7") {
		t.Errorf("got %q", got)
	}
}

// An Authenticator of the host is told the operation.
func TestOperationOf(t *testing.T) {
	t.Parallel()
	store := closing(t, memory.New())
	var seen []contacts.Operation
	svc, err := contacts.New(store, &contacts.Options{Authenticator: refusing(func(ctx context.Context) {
		seen = append(seen, contacts.OperationOf(ctx))
	})})
	if err != nil {
		t.Fatal(err)
	}
	var want []contacts.Operation
	for _, op := range []contacts.Operation{
		contacts.OpCreateContact, contacts.OpCreateContacts, contacts.OpGetContact, contacts.OpListContacts,
		contacts.OpUpdateContact, contacts.OpReplaceContact, contacts.OpDeleteContact, contacts.OpRestoreContact,
	} {
		want = append(want, op)
		if _, err := svc.Authorize(t.Context(), "key", op); !errors.Is(err, contacts.ErrInvalidKey) {
			t.Errorf("Authorize: %v, want invalid_key", err)
		}
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("operations that the Authenticator saw (-want +got):\n%s", d)
	}
	if op := contacts.OperationOf(t.Context()); op != "" {
		t.Errorf("another context has the operation %q", op)
	}
}

// refusing is an Authenticator that accepts no key.
type refusing func(context.Context)

func (f refusing) Authenticate(ctx context.Context, _ string) (*contacts.Principal, error) {
	f(ctx)
	return nil, contacts.ErrInvalidKey
}
