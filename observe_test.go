package contacts_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A recorder is an Observer that keeps what it sees.
type recorder struct {
	mu   sync.Mutex
	seen []*observed
}

// observed is a call that a recorder has seen.
type observed struct {
	Call    contacts.Call
	Outcome contacts.Outcome
	Ends    int
}

// insideCall is a key of the context that a recorder returns.
type insideCall struct{}

func (r *recorder) Begin(ctx context.Context, call contacts.Call) (context.Context, func(contacts.Outcome)) {
	o := &observed{Call: call}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, o)
	return context.WithValue(ctx, insideCall{}, true), func(outcome contacts.Outcome) {
		r.mu.Lock()
		defer r.mu.Unlock()
		o.Outcome = outcome
		o.Ends++
	}
}

// take returns what was seen since the last take.
func (r *recorder) take() []*observed {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

// A watchedStore has before called before each of its methods that a Service uses
// for a call. Where that returns an error, it is the method's.
type watchedStore struct {
	contacts.Store
	before func(ctx context.Context, method string) error
}

func (s *watchedStore) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	if err := s.before(ctx, "FindKey"); err != nil {
		return nil, err
	}
	return s.Store.FindKey(ctx, hash)
}

func (s *watchedStore) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	if err := s.before(ctx, "FindAccount"); err != nil {
		return nil, err
	}
	return s.Store.FindAccount(ctx, id)
}

func (s *watchedStore) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	if err := s.before(ctx, "ListDirectory"); err != nil {
		return contacts.Directory{}, err
	}
	return s.Store.ListDirectory(ctx, q)
}

func (s *watchedStore) Apply(ctx context.Context, b contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if err := s.before(ctx, "Apply"); err != nil {
		return nil, err
	}
	return s.Store.Apply(ctx, b)
}

func (s *watchedStore) FindContact(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	if err := s.before(ctx, "FindContact"); err != nil {
		return nil, err
	}
	return s.Store.FindContact(ctx, account, id)
}

func (s *watchedStore) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	if err := s.before(ctx, "ListContacts"); err != nil {
		return contacts.ContactList{}, err
	}
	return s.Store.ListContacts(ctx, q)
}

func (s *watchedStore) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	if err := s.before(ctx, "ListJournal"); err != nil {
		return nil, err
	}
	return s.Store.ListJournal(ctx, q)
}

// A caller uses a Service that is observed.
type caller struct {
	*contacts.Service
	key    string
	john   uuid.UUID // a contact with the external id and the idempotency key "taken"
	absent uuid.UUID // of no contact
}

// A use is a call of a method. It returns the error of the call as a whole.
type use func(context.Context, *caller) error

// only returns the error of a call.
func only[T any](_ T, err error) error { return err }

func lovelace() contacts.CreateContactInput { return contacts.CreateContactInput{FirstName: "Ada"} }

// blocked is a number that must not be called.
const blocked = "+15557654321"

// uses are the methods of a Service that begin and end a call, with good input.
var uses = map[string]struct {
	op    contacts.Operation
	items int
	use   use
}{
	"CreateContact": {contacts.OpCreateContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.CreateContact(ctx, c.key, lovelace()))
	}},
	"CreateContactResult": {contacts.OpCreateContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.CreateContactResult(ctx, c.key, lovelace()))
	}},
	"CreateContactJSON": {contacts.OpCreateContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.CreateContactJSON(ctx, c.key, strings.NewReader(`{"first_name": "Ada"}`)))
	}},
	"CreateContactResultJSON": {contacts.OpCreateContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.CreateContactResultJSON(ctx, c.key, "", strings.NewReader(`{"first_name": "Ada"}`)))
	}},
	"CreateContacts": {contacts.OpCreateContacts, 2, func(ctx context.Context, c *caller) error {
		return only(c.CreateContacts(ctx, c.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{lovelace(), lovelace()}}))
	}},
	"CreateContactsJSON": {contacts.OpCreateContacts, 0, func(ctx context.Context, c *caller) error {
		return only(c.CreateContactsJSON(ctx, c.key, strings.NewReader(`{"contacts": [{"first_name": "Ada"}]}`)))
	}},
	"CreateContactsJSONSeq": {contacts.OpCreateContacts, 0, func(ctx context.Context, c *caller) error {
		return only(c.CreateContactsJSONSeq(ctx, c.key, strings.NewReader(`{"contacts": [{"first_name": "Ada"}]}`)))
	}},
	"CreateContactStream": {contacts.OpCreateContacts, 2, func(ctx context.Context, c *caller) error {
		for _, err := range c.CreateContactStream(ctx, c.key, slices.Values([]contacts.CreateContactInput{lovelace(), lovelace()})) {
			return err // of the call, or nil beside its first result
		}
		return errors.New("no results")
	}},
	"UpsertContact": {contacts.OpUpsertContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.UpsertContact(ctx, c.key, contacts.UpsertContactInput{CreateContactInput: lovelace()}))
	}},
	"UpsertContactJSON": {contacts.OpUpsertContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.UpsertContactJSON(ctx, c.key, "", strings.NewReader(`{"first_name": "Ada"}`)))
	}},
	"UpsertContacts": {contacts.OpUpsertContacts, 2, func(ctx context.Context, c *caller) error {
		two := []contacts.UpsertContactInput{{CreateContactInput: lovelace()}, {CreateContactInput: lovelace()}}
		return only(c.UpsertContacts(ctx, c.key, contacts.UpsertContactsInput{Contacts: two}))
	}},
	"UpsertContactStream": {contacts.OpUpsertContacts, 1, func(ctx context.Context, c *caller) error {
		for _, err := range c.UpsertContactStream(ctx, c.key, slices.Values([]contacts.UpsertContactInput{{CreateContactInput: lovelace()}})) {
			return err
		}
		return errors.New("no results")
	}},
	"GetContact": {contacts.OpGetContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.GetContact(ctx, c.key, c.john))
	}},
	"ListContacts": {contacts.OpListContacts, 0, func(ctx context.Context, c *caller) error {
		return only(c.ListContacts(ctx, c.key, contacts.ListContactsInput{}))
	}},
	"Contacts": {contacts.OpListContacts, 0, func(ctx context.Context, c *caller) error {
		for _, err := range c.Contacts(ctx, c.key, contacts.ListContactsInput{}) {
			return err
		}
		return errors.New("no contacts")
	}},
	"CanCall": {contacts.OpCanCall, 1, func(ctx context.Context, c *caller) error {
		return c.CanCall(ctx, c.key, "+15551234567")
	}},
	"CanCallMany": {contacts.OpCanCallMany, 2, func(ctx context.Context, c *caller) error {
		return only(c.CanCallMany(ctx, c.key, []string{"+15551234567", blocked}))
	}},
	"CanCallManyJSON": {contacts.OpCanCallMany, 0, func(ctx context.Context, c *caller) error {
		return only(c.CanCallManyJSON(ctx, c.key, strings.NewReader(`{"phone_numbers": ["+15551234567"]}`)))
	}},
	"DoNotCallStatus": {contacts.OpDoNotCallStatus, 1, func(ctx context.Context, c *caller) error {
		return only(c.DoNotCallStatus(ctx, c.key, blocked))
	}},
	"BlockCalls": {contacts.OpBlockCalls, 1, func(ctx context.Context, c *caller) error {
		return only(c.BlockCalls(ctx, c.key, contacts.DoNotCallInput{PhoneNumber: "+15551234567"}))
	}},
	"BlockCallsJSON": {contacts.OpBlockCalls, 1, func(ctx context.Context, c *caller) error {
		return only(c.BlockCallsJSON(ctx, c.key, strings.NewReader(`{"phone_number": "+15551234567"}`)))
	}},
	"GrantCalls": {contacts.OpGrantCalls, 1, func(ctx context.Context, c *caller) error {
		return only(c.GrantCalls(ctx, c.key, contacts.DoNotCallInput{PhoneNumber: blocked, Reason: "asked for it", Reference: "form 7"}))
	}},
	"GrantCallsJSON": {contacts.OpGrantCalls, 1, func(ctx context.Context, c *caller) error {
		return only(c.GrantCallsJSON(ctx, c.key, strings.NewReader(`{"phone_number": "`+blocked+`", "reason": "asked for it", "reference": "form 7"}`)))
	}},
	"BlockCallsBatch": {contacts.OpBlockCallsBatch, 2, func(ctx context.Context, c *caller) error {
		return only(c.BlockCallsBatch(ctx, c.key, contacts.BlockCallsBatchInput{Entries: []contacts.DoNotCallInput{{PhoneNumber: "+15551234567"}, {PhoneNumber: blocked}}}))
	}},
	"BlockCallsBatchJSON": {contacts.OpBlockCallsBatch, 0, func(ctx context.Context, c *caller) error {
		return only(c.BlockCallsBatchJSON(ctx, c.key, strings.NewReader(`{"entries": [{"phone_number": "+15551234567"}]}`)))
	}},
	"BlockCallsStream": {contacts.OpBlockCallsBatch, 1, func(ctx context.Context, c *caller) error {
		for _, err := range c.BlockCallsStream(ctx, c.key, slices.Values([]contacts.DoNotCallInput{{PhoneNumber: "+15551234567"}}), nil) {
			return err
		}
		return errors.New("no results")
	}},
	"ListDoNotCall": {contacts.OpListDoNotCall, 0, func(ctx context.Context, c *caller) error {
		return only(c.ListDoNotCall(ctx, c.key, contacts.ListDoNotCallInput{}))
	}},
	"DoNotCallEntries": {contacts.OpListDoNotCall, 0, func(ctx context.Context, c *caller) error {
		for _, err := range c.DoNotCallEntries(ctx, c.key, contacts.ListDoNotCallInput{}) {
			return err
		}
		return errors.New("no entries")
	}},
	"GetContactAsOf": {contacts.OpGetContactAsOf, 1, func(ctx context.Context, c *caller) error {
		return only(c.GetContactAsOf(ctx, c.key, c.john, noon))
	}},
	"Events": {contacts.OpListEvents, 0, func(ctx context.Context, c *caller) error {
		return only(c.Events(ctx, c.key, contacts.EventsInput{}))
	}},
	"History": {contacts.OpListHistory, 0, func(ctx context.Context, c *caller) error {
		for _, err := range c.History(ctx, c.key, c.john) {
			return err
		}
		return errors.New("no events")
	}},
	"FindDuplicates": {contacts.OpFindDuplicates, 0, func(ctx context.Context, c *caller) error {
		return only(c.FindDuplicates(ctx, c.key, contacts.FindDuplicatesInput{}))
	}},
	"Duplicates": {contacts.OpFindDuplicates, 0, func(ctx context.Context, c *caller) error {
		for _, err := range c.Duplicates(ctx, c.key, contacts.FindDuplicatesInput{}) {
			return err
		}
		return nil // no contacts share a key
	}},
	"UpdateContact": {contacts.OpUpdateContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.UpdateContact(ctx, c.key, c.john, contacts.UpdateContactInput{City: new("Rome")}, nil))
	}},
	"UpdateContactJSON": {contacts.OpUpdateContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.UpdateContactJSON(ctx, c.key, c.john, strings.NewReader(`{"city": "Rome"}`), nil))
	}},
	"ReplaceContact": {contacts.OpReplaceContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.ReplaceContact(ctx, c.key, c.john, lovelace(), nil))
	}},
	"ReplaceContactJSON": {contacts.OpReplaceContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.ReplaceContactJSON(ctx, c.key, c.john, strings.NewReader(`{"first_name": "Ada"}`), nil))
	}},
	"DeleteContact": {contacts.OpDeleteContact, 1, func(ctx context.Context, c *caller) error {
		return c.DeleteContact(ctx, c.key, c.john, nil)
	}},
	"RestoreContact": {contacts.OpRestoreContact, 1, func(ctx context.Context, c *caller) error {
		return only(c.RestoreContact(ctx, c.key, c.john, nil))
	}},
}

// refusals are uses that are refused for what they were given.
var refusals = []struct {
	code contacts.Code
	use  use
}{
	{contacts.CodeMissingFirstName, func(ctx context.Context, c *caller) error {
		return only(c.CreateContact(ctx, c.key, contacts.CreateContactInput{}))
	}},
	{contacts.CodeInvalidJSON, func(ctx context.Context, c *caller) error {
		return only(c.CreateContactJSON(ctx, c.key, strings.NewReader("{")))
	}},
	{contacts.CodeInvalidJSON, func(ctx context.Context, c *caller) error {
		return only(c.CreateContactsJSON(ctx, c.key, strings.NewReader("{")))
	}},
	{contacts.CodeValidationError, func(ctx context.Context, c *caller) error {
		return only(c.ListContacts(ctx, c.key, contacts.ListContactsInput{Limit: -1}))
	}},
	{contacts.CodeTeamNotFound, func(ctx context.Context, c *caller) error {
		in := lovelace()
		in.TeamID = absentTeam
		return only(c.UpsertContact(ctx, c.key, contacts.UpsertContactInput{CreateContactInput: in}))
	}},
	{contacts.CodeNotFound, func(ctx context.Context, c *caller) error {
		return only(c.GetContact(ctx, c.key, c.absent))
	}},
	{contacts.CodeNotFound, func(ctx context.Context, c *caller) error {
		return c.DeleteContact(ctx, c.key, c.absent, nil)
	}},
	{contacts.CodeConflict, func(ctx context.Context, c *caller) error {
		return only(c.UpdateContact(ctx, c.key, c.john, contacts.UpdateContactInput{}, &contacts.ChangeOptions{Version: 99}))
	}},
	{contacts.CodeDuplicateContact, func(ctx context.Context, c *caller) error {
		in := lovelace()
		in.ExternalID = "taken"
		return only(c.CreateContact(ctx, c.key, in))
	}},
	{contacts.CodeDoNotCall, func(ctx context.Context, c *caller) error { return c.CanCall(ctx, c.key, blocked) }},
	{contacts.CodeIdempotencyConflict, func(ctx context.Context, c *caller) error {
		in := lovelace()
		in.IdempotencyKey = "taken"
		return only(c.CreateContact(ctx, c.key, in))
	}},
}

// newCaller returns a caller whose key may do everything, and who has already
// created a contact, with that context in each call of the store.
func newCaller(t *testing.T, opts contacts.Options, before func(ctx context.Context, method string) error) (*caller, *recorder, *world) {
	t.Helper()
	r, store := &recorder{}, &watchedStore{closing(t, memory.New()), func(context.Context, string) error { return nil }}
	opts.Observer = r
	w := newWorld(t, store, &opts)
	w.switchOn(t, 0)
	key, _, err := w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, Permissions: append(slices.Clone(all), contacts.PermissionManageDoNotCall), AllTeams: true})
	if err != nil {
		t.Fatal(err)
	}
	in := lovelace()
	in.ExternalID, in.IdempotencyKey = "taken", "taken"
	c := &caller{w.svc, key, w.create(t, in).ID, w.acme.ID}
	if _, err := c.BlockCalls(t.Context(), key, contacts.DoNotCallInput{PhoneNumber: blocked}); err != nil {
		t.Fatal(err)
	}
	r.take()
	if before != nil {
		store.before = before
	}
	return c, r, w
}

// TestEachCallEndsOnce goes through the methods of a Service, so that a new one has
// to be in its table.
func TestEachCallEndsOnce(t *testing.T) {
	t.Parallel()
	unused := maps.Clone(uses)
	for m := range reflect.TypeFor[*contacts.Service]().Methods() {
		takesKey := m.Type.NumIn() > 2 && m.Type.In(2).Kind() == reflect.String && m.Type.In(1) == reflect.TypeFor[context.Context]()
		if !takesKey || m.Name == "Authorize" {
			continue
		}
		if _, ok := unused[m.Name]; !ok {
			t.Errorf("%s is in no table", m.Name)
		}
		delete(unused, m.Name)
	}
	for name := range unused {
		t.Errorf("there is no method %s", name)
	}

	fault := errors.New("disk 7 is on fire")
	findsKey := func(method string) bool { return method == "FindKey" || method == "FindAccount" }
	for _, situation := range []struct {
		name   string
		key    func(*world) string
		before func(method string) error
		done   bool // the context is
		want   contacts.Outcome
	}{
		{name: "all is well"},
		{name: "no key", key: func(*world) string { return "" }, want: contacts.Outcome{Code: contacts.CodeAuthenticationRequired}},
		{name: "an unknown key", key: func(*world) string { return "unknown" }, want: contacts.Outcome{Code: contacts.CodeInvalidKey}},
		{name: "an expired key", key: func(w *world) string { return w.expired }, want: contacts.Outcome{Code: contacts.CodeInvalidKey}},
		{name: "a key that may do nothing", key: func(w *world) string { return w.powerless }, want: contacts.Outcome{Code: contacts.CodePermissionDenied}},
		{name: "a store that fails", before: func(string) error { return fault }, want: contacts.Outcome{Code: contacts.CodeServerError}},
		{name: "a store that fails later", before: func(method string) error {
			if findsKey(method) {
				return nil
			}
			return fault
		}, want: contacts.Outcome{Code: contacts.CodeServerError}},
		{name: "a store that panics", before: func(string) error { panic(fault) }, want: contacts.Outcome{Code: contacts.CodeServerError}},
		{name: "a store that panics later", before: func(method string) error {
			if findsKey(method) {
				return nil
			}
			panic(fault)
		}, want: contacts.Outcome{Code: contacts.CodeServerError}},
		{name: "a done context", done: true, want: contacts.Outcome{Code: contacts.CodeServerError, Canceled: true}},
	} {
		t.Run(situation.name, func(t *testing.T) {
			t.Parallel()
			for name, u := range uses {
				c, r, w := newCaller(t, contacts.Options{}, func(ctx context.Context, method string) error {
					if ctx.Value(insideCall{}) == nil && name != "BlockCallsStream" {
						t.Errorf("%s: %s of the store got a context without what the observer added", name, method)
					}
					if situation.before == nil {
						return nil
					}
					return situation.before(method)
				})
				if situation.key != nil {
					c.key = situation.key(w)
				}
				ctx := t.Context()
				if situation.done {
					ctx = cancelled(t)
				}
				var err error
				var panicked any
				func() {
					defer func() { panicked = recover() }()
					err = u.use(ctx, c)
				}()
				if panicked != nil {
					err = contacts.ErrServer
					if panicked != any(fault) {
						t.Errorf("%s: the panic went on as %v", name, panicked)
					}
				}
				seen := r.take()
				if name == "BlockCallsStream" && err != nil && len(seen) == 0 {
					continue // it checks the key and the ledger before its first call
				}
				if len(seen) != 1 || seen[0].Ends != 1 {
					t.Errorf("%s: %d calls, want one that ended once: %+v", name, len(seen), seen)
					continue
				}
				o := seen[0].Outcome
				if want := (contacts.Call{Operation: u.op, Items: u.items}); seen[0].Call != want {
					t.Errorf("%s: began as %+v, want %+v", name, seen[0].Call, want)
				}
				if o.Code != contacts.CodeOf(err) {
					t.Errorf("%s: ended with code %q, and its error is %v", name, o.Code, err)
				}
				if o.Code != situation.want.Code && (o.Code != "" || o.Failed == 0) || o.Canceled != situation.want.Canceled {
					t.Errorf("%s: ended as %+v, want %+v", name, o, situation.want)
				}
				known := o.Code == "" || o.Code == contacts.CodePermissionDenied
				if known && o.AccountID != w.acme.ID || o.Code == contacts.CodeInvalidKey && o.AccountID != uuid.Nil {
					t.Errorf("%s: ended with the account %v", name, o.AccountID)
				}
			}
		})
	}
	t.Run("a refusal", func(t *testing.T) {
		t.Parallel()
		for _, refusal := range refusals {
			c, r, w := newCaller(t, contacts.Options{}, nil)
			if err := refusal.use(t.Context(), c); contacts.CodeOf(err) != refusal.code {
				t.Errorf("%s: got %v", refusal.code, err)
			}
			seen := r.take()
			if len(seen) != 1 || seen[0].Ends != 1 {
				t.Errorf("%s: %d calls, want one that ended once: %+v", refusal.code, len(seen), seen)
				continue
			}
			seen[0].Outcome.Tries = 0  // some are refused by the store
			seen[0].Outcome.Listed = 0 // of a call that must not be made
			if want := (contacts.Outcome{AccountID: w.acme.ID, Code: refusal.code}); seen[0].Outcome != want {
				t.Errorf("%s: ended as %+v, want %+v", refusal.code, seen[0].Outcome, want)
			}
		}
	})
}

// An Authorize is no call.
func TestAuthorizeIsNotObserved(t *testing.T) {
	t.Parallel()
	c, r, _ := newCaller(t, contacts.Options{}, nil)
	if _, err := c.Authorize(t.Context(), c.key, contacts.OpGetContact); err != nil {
		t.Fatal(err)
	}
	if seen := r.take(); len(seen) != 0 {
		t.Errorf("it was observed: %+v", seen[0])
	}
}

// The counts of a dry run are those that would be.
func TestDryRunIsObserved(t *testing.T) {
	t.Parallel()
	c, r, w := newCaller(t, contacts.Options{}, nil)
	if _, err := c.DryRun().CreateContact(t.Context(), c.key, lovelace()); err != nil {
		t.Fatal(err)
	}
	want := []*observed{{
		contacts.Call{Operation: contacts.OpCreateContact, Items: 1, DryRun: true},
		contacts.Outcome{AccountID: w.acme.ID, Tries: 1, Created: 1}, 1,
	}}
	if d := cmp.Diff(want, r.take()); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

// An iterator makes a call for each page, and a stream one for each thousand.
func TestPagesAndThousands(t *testing.T) {
	t.Parallel()
	c, r, w := newCaller(t, contacts.Options{}, nil)
	source := func(yield func(contacts.CreateContactInput) bool) {
		for range 2500 {
			if !yield(lovelace()) {
				return
			}
		}
	}
	for result, err := range c.CreateContactStream(t.Context(), c.key, source) {
		if err != nil || result.Err != nil {
			t.Fatal(err, result.Err)
		}
	}
	created := func(n int) *observed {
		return &observed{contacts.Call{Operation: contacts.OpCreateContacts, Items: n}, contacts.Outcome{AccountID: w.acme.ID, Tries: 1, Created: n}, 1}
	}
	if d := cmp.Diff([]*observed{created(1000), created(1000), created(500)}, r.take()); d != "" {
		t.Errorf("calls of the stream (-want +got):\n%s", d)
	}
	for _, err := range c.Contacts(t.Context(), c.key, contacts.ListContactsInput{Limit: 100}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var want []*observed
	for left := 2501; left > 0; left -= 100 {
		want = append(want, &observed{contacts.Call{Operation: contacts.OpListContacts}, contacts.Outcome{AccountID: w.acme.ID, Returned: min(left, 100)}, 1})
	}
	if d := cmp.Diff(want, r.take()); d != "" {
		t.Errorf("calls of the walk (-want +got):\n%s", d)
	}
}

func TestPanicInTheLoopOverAHistoryEndsItsCall(t *testing.T) {
	t.Parallel()
	c, r, w := newCaller(t, contacts.Options{}, nil)
	func() {
		defer func() {
			if p := recover(); p != "the loop" {
				t.Errorf("the panic went on as %v", p)
			}
		}()
		for range c.History(t.Context(), c.key, c.john) {
			panic("the loop")
		}
	}()
	want := []*observed{{contacts.Call{Operation: contacts.OpListHistory}, contacts.Outcome{AccountID: w.acme.ID, Code: contacts.CodeServerError, Returned: 1}, 1}}
	if d := cmp.Diff(want, r.take()); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

// TestCounts compares the outcomes of random calls with what the caller got.
func TestCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, r, w := newCaller(t, contacts.Options{Limits: contacts.Limits{Batch: 8}}, nil)
		var in []contacts.CreateContactInput
		for range rapid.IntRange(1, 8).Draw(rt, "contacts") {
			in = append(in, contacts.CreateContactInput{
				FirstName:      rapid.SampledFrom([]string{"Ada", "Ada", "Ada", ""}).Draw(rt, "first name"),
				ExternalID:     rapid.SampledFrom([]string{"", "", "taken", "free"}).Draw(rt, "external id"),
				IdempotencyKey: rapid.SampledFrom([]string{"", "", "taken", "once"}).Draw(rt, "idempotency key"),
				TeamID:         rapid.SampledFrom([]int64{0, team, absentTeam}).Draw(rt, "team"),
			})
		}
		want := contacts.Outcome{AccountID: w.acme.ID}
		count := func(result contacts.Result, replayed bool, err error) {
			switch {
			case err != nil:
				want.Failed++
			case replayed:
				want.Replayed++
			case result == contacts.ResultCreated:
				want.Created++
			case result == contacts.ResultUpdated:
				want.Updated++
			case result == contacts.ResultUnchanged:
				want.Unchanged++
			case result == contacts.ResultRestored:
				want.Restored++
			}
		}
		switch rapid.SampledFrom([]string{"batch", "stream", "one", "upsert"}).Draw(rt, "call") {
		case "batch":
			results, err := c.CreateContacts(t.Context(), c.key, contacts.CreateContactsInput{Contacts: in, AllOrNothing: rapid.Bool().Draw(rt, "all or nothing")})
			if err != nil {
				rt.Fatal(err)
			}
			for _, result := range results {
				count(contacts.ResultCreated, result.Replayed, result.Err)
			}
		case "stream":
			for result, err := range c.CreateContactStream(t.Context(), c.key, slices.Values(in)) {
				if err != nil {
					rt.Fatal(err)
				}
				count(contacts.ResultCreated, result.Replayed, result.Err)
			}
		case "one":
			result, err := c.CreateContactResult(t.Context(), c.key, in[0])
			if want.Code = contacts.CodeOf(err); err == nil {
				count(contacts.ResultCreated, result.Replayed, nil)
			}
		case "upsert":
			result, err := c.UpsertContact(t.Context(), c.key, contacts.UpsertContactInput{CreateContactInput: in[0]})
			if want.Code = contacts.CodeOf(err); err == nil {
				count(result.Result, result.Replayed, nil)
			}
		}
		seen := r.take()
		if len(seen) != 1 {
			rt.Fatalf("%d calls", len(seen))
		}
		got := seen[0].Outcome
		if got.Tries > 1 {
			rt.Errorf("%d tries, and nobody else was writing", got.Tries)
		}
		if got.Tries = 0; got != want {
			rt.Errorf("the outcome is %+v; by what the caller got it is %+v", got, want)
		}
	})
}

// What becomes of one contact in its life.
func TestCountsOfAContact(t *testing.T) {
	t.Parallel()
	c, r, w := newCaller(t, contacts.Options{}, nil)
	upsert := func(city string) use {
		return func(ctx context.Context, c *caller) error {
			in := contacts.UpsertContactInput{CreateContactInput: lovelace(), RestoreDeleted: true}
			in.ExternalID, in.City = "taken", city
			return only(c.UpsertContact(ctx, c.key, in))
		}
	}
	for _, step := range []struct {
		name string
		use  use
		want contacts.Outcome
	}{
		{"get", uses["GetContact"].use, contacts.Outcome{Returned: 1}},
		{"update", uses["UpdateContact"].use, contacts.Outcome{Tries: 1, Updated: 1}},
		{"restore what is live", uses["RestoreContact"].use, contacts.Outcome{Unchanged: 1}},
		{"upsert", upsert("Rome"), contacts.Outcome{Tries: 1, Unchanged: 1}},
		{"delete", uses["DeleteContact"].use, contacts.Outcome{Tries: 1, Deleted: 1}},
		{"restore", uses["RestoreContact"].use, contacts.Outcome{Tries: 1, Restored: 1}},
		{"replace", uses["ReplaceContact"].use, contacts.Outcome{Tries: 1, Updated: 1}},
		{"upsert of another city", upsert("Oslo"), contacts.Outcome{Tries: 1, Updated: 1}},
		{"delete again", uses["DeleteContact"].use, contacts.Outcome{Tries: 1, Deleted: 1}},
		{"upsert of what is deleted", upsert("Oslo"), contacts.Outcome{Tries: 1, Restored: 1}},
	} {
		if err := step.use(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		step.want.AccountID = w.acme.ID
		if got := r.take()[0].Outcome; got != step.want {
			t.Errorf("%s: ended as %+v, want %+v", step.name, got, step.want)
		}
	}
}

// Of many numbers each is counted, also where they come in JSON: those that were
// judged, those that are listed, and those that are no numbers.
func TestCountsOfNumbers(t *testing.T) {
	t.Parallel()
	c, r, w := newCaller(t, contacts.Options{}, nil)
	numbers := []string{"+15551234567", blocked, "no number", "+15551234568"}
	if err := only(c.CanCallMany(t.Context(), c.key, numbers)); err != nil {
		t.Fatal(err)
	}
	if err := only(c.CanCallManyJSON(t.Context(), c.key, strings.NewReader(`{"phone_numbers": ["`+strings.Join(numbers, `", "`)+`"]}`))); err != nil {
		t.Fatal(err)
	}
	if err := only(c.DoNotCallStatus(t.Context(), c.key, blocked)); err != nil {
		t.Fatal(err)
	}
	want := []*observed{}
	for _, items := range []int{len(numbers), 0} {
		want = append(want, &observed{
			contacts.Call{Operation: contacts.OpCanCallMany, Items: items},
			contacts.Outcome{AccountID: w.acme.ID, Returned: 3, Listed: 1, Failed: 1}, 1,
		})
	}
	want = append(want, &observed{ // with the entry of the block
		contacts.Call{Operation: contacts.OpDoNotCallStatus, Items: 1}, contacts.Outcome{AccountID: w.acme.ID, Returned: 1}, 1,
	})
	for _, err := range c.BlockCallsStream(t.Context(), c.key, slices.Values([]contacts.DoNotCallInput{{PhoneNumber: "no number"}}), nil) {
		if err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, &observed{
		contacts.Call{Operation: contacts.OpBlockCallsBatch, Items: 1},
		contacts.Outcome{AccountID: w.acme.ID, Failed: 1}, 1,
	})
	if d := cmp.Diff(want, r.take()); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

// A write that comes second is made again, and a commit may have no answer.
func TestOutcomeOfTheStore(t *testing.T) {
	t.Parallel()
	t.Run("another write comes first", func(t *testing.T) {
		t.Parallel()
		others := 2
		var w *world
		var c *caller
		var r *recorder
		c, r, w = newCaller(t, contacts.Options{}, func(ctx context.Context, method string) error {
			if method != "Apply" || others == 0 {
				return nil
			}
			others--
			left := others
			others = 0 // the other write passes
			err := only(w.svc.UpdateContact(ctx, w.writer, c.john, contacts.UpdateContactInput{State: new("IL")}, nil))
			others = left
			return err
		})
		if err := uses["UpdateContact"].use(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got, want := r.take()[0].Outcome, (contacts.Outcome{AccountID: w.acme.ID, Tries: 3, Updated: 1}); got != want {
			t.Errorf("ended as %+v, want %+v", got, want)
		}
	})
	t.Run("the settings change first", func(t *testing.T) {
		t.Parallel()
		for name, want := range map[string]contacts.Outcome{
			"CreateContact": {Created: 1}, "UpdateContact": {Updated: 1}, "BlockCalls": {Created: 1}, "BlockCallsBatch": {Created: 1, Unchanged: 1},
		} {
			changed := false
			var w *world
			var c *caller
			var r *recorder
			c, r, w = newCaller(t, contacts.Options{}, func(_ context.Context, method string) error {
				if method == "Apply" && !changed {
					changed = true
					return w.admin.SetEvents(t.Context(), w.acme.ID, contacts.EventSettings{On: true, Keep: time.Hour})
				}
				return nil
			})
			if err := uses[name].use(t.Context(), c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want.AccountID, want.Tries = w.acme.ID, 2
			if got := r.take()[0].Outcome; got != want {
				t.Errorf("%s: ended as %+v, want %+v", name, got, want)
			}
		}
	})
	t.Run("the outcome is unknown", func(t *testing.T) {
		t.Parallel()
		c, r, w := newCaller(t, contacts.Options{}, func(_ context.Context, method string) error {
			if method == "Apply" {
				return fmt.Errorf("the line is cut: %w", contacts.ErrOutcomeUnknown)
			}
			return nil
		})
		for name, want := range map[string]contacts.Outcome{
			"CreateContact":  {Code: contacts.CodeServerError},
			"CreateContacts": {Failed: 2},
		} {
			_ = uses[name].use(t.Context(), c)
			want.AccountID, want.OutcomeUnknown, want.Tries = w.acme.ID, true, 1
			if got := r.take()[0].Outcome; got != want {
				t.Errorf("%s: ended as %+v, want %+v", name, got, want)
			}
		}
	})
}

// Without an Observer a call allocates what it did before there were any. The
// numbers are of the commit before the hook. Record new ones when a call itself
// takes more or less.
func TestNoObserver(t *testing.T) { // it is not parallel, because it counts allocations
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	w := memoryWorld(t, nil)
	john := w.create(t, lovelace())
	ctx := t.Context()
	for _, c := range []struct {
		name string
		want float64
		call func() error
	}{
		{"create", 3, func() error { return only(w.svc.CreateContact(ctx, w.key, lovelace())) }},
		{"get", 3, func() error { return only(w.svc.GetContact(ctx, w.key, john.ID)) }},
		{"list", 10, func() error { return only(w.svc.ListContacts(ctx, w.key, contacts.ListContactsInput{Limit: 1})) }},
	} {
		var err error
		got := testing.AllocsPerRun(1000, func() {
			if e := c.call(); e != nil {
				err = e
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if got > c.want {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.want)
		}
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// The log has one line for each server error, with the name of the operation.
func TestLogLines(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		fmt.Fprintf(&log, "%s:\n", name)
		c, _, _ := newCaller(t, contacts.Options{Logger: slog.New(handler)}, func(_ context.Context, method string) error {
			if method == "FindKey" {
				return errors.New("disk 7 is on fire")
			}
			return nil
		})
		wantError(t, uses[name].use(t.Context(), c), contacts.CodeServerError)
	}
	golden := filepath.Join("testdata", "log.golden")
	if *update {
		if err := os.WriteFile(golden, log.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), log.String()); d != "" {
		t.Errorf("log (-want +got), which -update writes anew:\n%s", d)
	}
}
