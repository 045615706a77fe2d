package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/memory"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// A world is a store with something of everything.
type world struct {
	store   contacts.Store
	admin   *contacts.Admin
	account uuid.UUID
	key     string
	revoked uuid.UUID
	ids     []uuid.UUID // of contacts

	replaceable contacts.JournalEntry // of the journal
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memoryWorld returns a world in memory, with as many contacts.
func memoryWorld(t *testing.T, size int) *world {
	t.Helper()
	store := memory.New()
	t.Cleanup(func() { store.Close() })
	return newWorld(t, store, size)
}

const severalBatches = pageSize + 10

// newWorld stores two accounts, one of them disabled, with teams, settings, keys, as many
// contacts in all states and a journal with gaps.
func newWorld(t *testing.T, store contacts.Store, size int) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{store: store}
	w.admin = contacts.NewAdmin(w.store, &contacts.AdminOptions{Actor: "test"})
	for _, name := range []string{"Acme", "Other"} {
		account, err := w.admin.CreateAccount(ctx, name)
		must(t, err)
		_, err = w.admin.CreateTeam(ctx, contacts.Team{AccountID: account.ID, ID: 7, Name: "Sales"})
		must(t, err)
		w.account = account.ID
	}
	must(t, w.admin.DisableAccount(ctx, w.account))
	for account, err := range w.admin.Accounts(ctx) {
		must(t, err)
		w.account = account.ID
		break
	}
	for _, action := range []contacts.DuplicateAction{contacts.DuplicateReject, contacts.DuplicateAllow} {
		must(t, w.admin.SetDuplicatePolicy(ctx, w.account, contacts.DuplicatePolicy{Action: action}))
	}
	in := contacts.IssueKeyInput{AccountID: w.account, Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}, AllTeams: true}
	var revoked *contacts.APIKey
	var err error
	_, revoked, err = w.admin.IssueKey(ctx, in)
	must(t, err)
	w.revoked = revoked.ID
	w.key, _, err = w.admin.IssueKey(ctx, in)
	must(t, err)
	w.fill(t, size)
	last, err := newest(ctx, w.store, w.account)
	must(t, err)
	var entries []contacts.JournalEntry
	for i := range pageSize + 5 {
		e := contacts.JournalEntry{Sequence: last + int64(3*i+2), Kind: contacts.JournalDoNotCall, At: noon, Data: fmt.Sprintf(`{"n": %d}`, i)}
		e.Subject[0] = byte(i)
		if i%5 == 0 {
			e.Kind, e.EndsAt = contacts.JournalEvent, noon.AddDate(100, 0, 0)
		}
		entries = append(entries, e)
	}
	w.journal(t, entries...)
	w.replaceable = entries[1]
	return w
}

// service returns a service on the world, which the key of the world may call.
func (w *world) service(t *testing.T) *contacts.Service {
	t.Helper()
	svc, err := contacts.New(w.store, nil)
	must(t, err)
	return svc
}

// fill creates contacts. Of three, one is changed and one deleted.
func (w *world) fill(t *testing.T, n int) {
	t.Helper()
	svc := w.service(t)
	for i := range n {
		c, err := svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{
			FirstName: fmt.Sprintf("N%d", i), Email: fmt.Sprintf("n%d@example.com", i%50), TeamID: 7, Tags: []string{"a"},
			PhoneNumbers:  []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", DoNotCall: i%2 == 0}},
			CustomContext: map[string]any{"n": i},
		})
		must(t, err)
		w.ids = append(w.ids, c.ID)
		switch i % 3 {
		case 1:
			must(t, svc.DeleteContact(t.Context(), w.key, c.ID, nil))
		case 2:
			_, err := svc.UpdateContactJSON(t.Context(), w.key, c.ID, strings.NewReader(`{"stage": "customer"}`), nil)
			must(t, err)
		}
	}
}

// journal appends entries with their numbers, or replaces them.
func (w *world) journal(t *testing.T, entries ...contacts.JournalEntry) {
	t.Helper()
	account, err := w.store.FindAccount(t.Context(), w.account)
	must(t, err)
	outcomes, err := w.store.Apply(t.Context(), contacts.MutationBatch{Now: noon, Verbatim: true, Mutations: []contacts.Mutation{
		{AccountID: w.account, Settings: account.SettingsVersion, Journal: entries},
	}})
	must(t, err)
	for _, o := range outcomes {
		must(t, o.Err)
	}
}

// copier returns what copies the world.
func (w *world) copier(target contacts.Store, remove bool) *copier {
	s := &session{globals: &globals{Quiet: true}, out: newOutput(io.Discard), errors: io.Discard}
	return &copier{from: w.store, to: target, remove: remove, now: noon, s: s}
}

// copyTo copies the world, and returns what differs then.
func (w *world) copyTo(t *testing.T, target contacts.Store, again, remove bool) ([]string, error) {
	t.Helper()
	y := w.copier(target, remove)
	if err := y.copy(t.Context(), again); err != nil {
		return nil, err
	}
	return y.prove(t.Context())
}

// wantCopy copies the world, and fails the test if anything differs then.
func (w *world) wantCopy(t *testing.T, what string, target contacts.Store, again, remove bool) {
	t.Helper()
	differences, err := w.copyTo(t, target, again, remove)
	if err != nil || len(differences) > 0 {
		t.Fatalf("%s: %v; differences: %q", what, err, differences)
	}
}

// TestCopy copies a store into one of another kind and back, while it changes.
func TestCopy(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	ctx := context.Background()
	w := memoryWorld(t, severalBatches)
	target, err := openSQLite(ctx, filepath.Join(t.TempDir(), "contacts.db"))
	must(t, err)
	defer target.Close()
	w.wantCopy(t, "the first copy", target, false, false)
	w.wantCopy(t, "the same again", target, true, false)

	// A key of the source works on the target, and the journal goes on.
	copied := &world{store: target, account: w.account, key: w.key}
	if page, err := copied.service(t).ListContacts(ctx, w.key, contacts.ListContactsInput{Limit: 1}); err != nil || len(page.Contacts) != 1 {
		t.Errorf("the key of the source on the target: %v", err)
	}
	last, err := newest(ctx, target, w.account)
	must(t, err)
	if want, err := newest(ctx, w.store, w.account); err != nil || last != want {
		t.Errorf("the newest entry of the target is %d, of the source %d: %v", last, want, err)
	}

	// What has changed since is brought up to date.
	w.fill(t, 20)
	svc := w.service(t)
	must(t, svc.DeleteContact(ctx, w.key, w.ids[0], nil))
	must(t, w.admin.RevokeKey(ctx, w.revoked))
	must(t, w.admin.SetDuplicatePolicy(ctx, w.account, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}))
	for account, err := range w.admin.Accounts(ctx) {
		must(t, err)
		if account.ID == w.account {
			must(t, w.admin.DisableAccount(ctx, account.ID))
		} else {
			must(t, w.admin.EnableAccount(ctx, account.ID))
		}
	}
	erased := w.replaceable
	erased.Data = "{}"
	end, err := newest(ctx, w.store, w.account)
	must(t, err)
	w.journal(t, erased, contacts.JournalEntry{Sequence: end + 9, Kind: contacts.JournalErasure, At: noon, Data: `{"a":1}`})
	w.wantCopy(t, "after changes", target, true, false)

	// What the source has no longer is reported, and removed if that is wanted.
	must(t, w.admin.EnableAccount(ctx, w.account))
	if n, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: w.account, ContactID: w.ids[1]}); err != nil || n != 1 {
		t.Fatalf("purged %d: %v", n, err)
	}
	differences, err := w.copyTo(t, target, true, false)
	if err != nil || len(differences) != 1 || !strings.Contains(differences[0], "the contacts differ") {
		t.Errorf("a contact was purged: %q, %v", differences, err)
	}
	w.wantCopy(t, "with --remove", target, true, true)

	// And back.
	back := memory.New()
	defer back.Close()
	copied.wantCopy(t, "back", back, false, false)
	w.wantCopy(t, "the copy of the copy", back, true, false)
	wantDump(t, "the copy of the copy", w.store, back)
}

// A dump is all of a store.
type dump struct {
	Accounts contacts.Directory
	Records  map[uuid.UUID]*accountDump // by account
}

// An accountDump is all of an account.
type accountDump struct {
	Directory []contacts.Directory
	Contacts  []*contacts.ContactRecord
	Journal   []*contacts.JournalEntry
}

// dumpOf reads all of a store, through its interface.
func dumpOf(t *testing.T, store contacts.Store) dump {
	t.Helper()
	accounts, err := store.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: pageSize})
	must(t, err)
	d := dump{accounts, make(map[uuid.UUID]*accountDump)}
	for _, account := range accounts.Accounts {
		a := new(accountDump)
		d.Records[account.ID] = a
		for _, kind := range []contacts.DirectoryKind{contacts.DirectoryTeams, contacts.DirectoryKeys, contacts.DirectorySettings} {
			for page, err := range directory(t.Context(), store, kind, account.ID) {
				must(t, err)
				a.Directory = append(a.Directory, page)
			}
		}
		for record, err := range contactsOf(t.Context(), store, account.ID) {
			must(t, err)
			a.Contacts = append(a.Contacts, record)
		}
		for entry, err := range entriesOf(t.Context(), store, account.ID) {
			must(t, err)
			a.Journal = append(a.Journal, entry)
		}
	}
	return d
}

// wantDump fails if two stores do not hold the same, field by field.
func wantDump(t *testing.T, what string, from, to contacts.Store) {
	t.Helper()
	if diff := cmp.Diff(dumpOf(t, from), dumpOf(t, to), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: the copy differs (-from +to):\n%s", what, diff)
	}
}

// A copy that was cut off goes on.
func TestCopyGoesOn(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, severalBatches)
	target := memory.New()
	defer target.Close()
	for batches := 1; ; batches++ {
		ctx, cancel := context.WithCancel(t.Context())
		y := w.copier(&cutStore{Store: target, left: 1, cut: cancel}, false)
		err := y.run(ctx, batches > 1, false)
		cancel()
		if err == nil {
			if batches < 3 {
				t.Errorf("the copy was cut off %d times only", batches-1)
			}
			break
		}
		if !strings.Contains(err.Error(), "--again") {
			t.Fatal(err)
		}
	}
	w.wantCopy(t, "at the end", target, true, false)
}

// TestCopyInUse copies a source that changes while it is listed.
func TestCopyInUse(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, 12)
	svc := w.service(t)
	target := memory.New()
	defer target.Close()

	// A team is new, and so is a contact in it.
	y := w.copier(target, false)
	y.from = &changingStore{w.store, func(q contacts.ContactQuery) {
		if q.AccountID != w.account || q.Deleted || len(w.ids) > 12 {
			return
		}
		_, err := w.admin.CreateTeam(t.Context(), contacts.Team{AccountID: w.account, ID: 8, Name: "New"})
		must(t, err)
		c, err := svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "New", TeamID: 8})
		must(t, err)
		w.ids = append(w.ids, c.ID)
	}}
	if err := y.copy(t.Context(), false); err != nil {
		t.Fatalf("a contact in a new team: %v", err)
	}
	w.wantCopy(t, "a contact in a new team", target, true, false)

	// Contacts are restored after the live ones were listed, and before the deleted ones.
	restored := []uuid.UUID{w.ids[1], w.ids[4], w.ids[7], w.ids[10]}
	for _, remove := range []bool{false, true} {
		y := w.copier(target, remove)
		y.from = &changingStore{w.store, func(q contacts.ContactQuery) {
			if q.AccountID != w.account || !q.Deleted {
				return
			}
			_, err := svc.RestoreContact(t.Context(), w.key, restored[0], nil)
			must(t, err)
			restored = restored[1:]
		}}
		must(t, y.copy(t.Context(), true))
		if y.extra != 0 {
			t.Errorf("%d contacts of the source count as gone", y.extra)
		}
		for _, id := range w.ids {
			if _, err := target.FindContact(t.Context(), w.account, id); err != nil {
				t.Errorf("remove %t: contact %s of the source is gone: %v", remove, id, err)
			}
		}
		w.wantCopy(t, "after contacts were restored", target, true, remove)
	}
}

// A changingStore is changed each time before its contacts are listed.
type changingStore struct {
	contacts.Store
	change func(contacts.ContactQuery)
}

func (s *changingStore) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	s.change(q)
	return s.Store.ListContacts(ctx, q)
}

// What cuts the comparison off says how to go on.
func TestComparisonIsCutOff(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, 10)
	target := memory.New()
	defer target.Close()
	w.wantCopy(t, "the first copy", target, false, false)
	for _, test := range []struct {
		check bool
		looks int // for the accounts of the copy, before the comparison has begun
		want  string
	}{
		{true, 1, "TO: the comparison was interrupted; nothing was changed: run it again"},
		{false, 2, "TO: the copy was interrupted; run it again with --again to go on"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		y := w.copier(&cutComparison{cutStore{Store: target, left: test.looks, cut: cancel}}, false)
		if err := y.run(ctx, true, test.check); err == nil || err.Error() != test.want {
			t.Errorf("check %t: %v, want %s", test.check, err, test.want)
		}
		cancel()
	}
}

// For programs, what differs is in the results, and standard error has the error alone.
func TestCopyForPrograms(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, 10)
	target := memory.New()
	defer target.Close()
	w.wantCopy(t, "the first copy", target, false, false)
	copied := &world{store: target, account: w.account, key: w.key}
	copied.fill(t, 2)
	var out, said bytes.Buffer
	y := w.copier(target, false)
	y.s.globals, y.s.errors, y.s.out = &globals{JSON: true}, &said, &output{w: bufio.NewWriter(&out), json: true}
	code := y.s.fail(y.run(t.Context(), true, false))
	must(t, y.s.out.flush())
	if want := `"differs":["contacts"]`; code != exitFailed || !strings.Contains(out.String(), want) {
		t.Errorf("exit code %d, and it printed %s, want %s", code, &out, want)
	}
	var f failure
	if err := json.Unmarshal(said.Bytes(), &f); err != nil || !strings.Contains(f.Advice, "removes the 2 contacts") {
		t.Errorf("standard error is %s: %v", &said, err)
	}
}

// A cutStore ends a context after a number of batches.
type cutStore struct {
	contacts.Store
	left int
	cut  func()
}

func (s *cutStore) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if s.left--; s.left == 0 {
		defer s.cut()
	}
	return s.Store.Apply(ctx, batch)
}

// A cutComparison ends a context after a number of looks for the accounts.
type cutComparison struct{ cutStore }

func (s *cutComparison) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	if q.Kind == contacts.DirectoryAccounts {
		if s.left--; s.left == 0 {
			defer s.cut()
		}
	}
	return s.Store.ListDirectory(ctx, q)
}

// TestCopyRefuses copies where it would lose something.
func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	scripts(t, "testdata/copy")
	w := memoryWorld(t, 10)
	target := memory.New()
	defer target.Close()
	w.wantCopy(t, "the first copy", target, false, false)
	if _, err := w.copyTo(t, target, false, false); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a store that is not empty: %v", err)
	}
	copied := &world{store: target, account: w.account, key: w.key}
	_, err := copied.service(t).UpdateContactJSON(t.Context(), w.key, w.ids[0], strings.NewReader(`{"stage": "other"}`), nil)
	must(t, err)
	if _, err := w.copyTo(t, target, true, false); err == nil || !strings.Contains(err.Error(), "TO is newer") {
		t.Errorf("over a newer contact: %v", err)
	}
	copied.admin = contacts.NewAdmin(target, nil)
	_, err = copied.admin.CreateAccount(t.Context(), "Third")
	must(t, err)
	if _, err := w.copyTo(t, target, true, false); err == nil || !strings.Contains(err.Error(), "FROM lacks") {
		t.Errorf("over another account: %v", err)
	}
}
