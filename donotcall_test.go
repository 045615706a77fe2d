package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A ledgerWorld is a world with a clock that is moved, and a key that may do
// everything.
type ledgerWorld struct {
	*world
	at      time.Time
	manager string
}

func newLedgerWorld(t testing.TB, store contacts.Store, opts contacts.Options) *ledgerWorld {
	t.Helper()
	w := &ledgerWorld{at: noon.UTC().Truncate(time.Microsecond)}
	opts.Now = func() time.Time { return w.at }
	w.world = newWorld(t, store, &opts)
	var err error
	w.manager, _, err = w.admin.IssueKey(t.Context(), contacts.IssueKeyInput{AccountID: w.acme.ID, Name: "manager", AllTeams: true, Permissions: []contacts.Permission{
		contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

const aNumber = "+15551234567"

// block blocks a number.
func (w *ledgerWorld) block(t testing.TB, in contacts.DoNotCallInput) *contacts.DoNotCallStatus {
	t.Helper()
	s, err := w.svc.BlockCalls(t.Context(), w.manager, in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// grant opens a number.
func (w *ledgerWorld) grant(t testing.TB, in contacts.DoNotCallInput) *contacts.DoNotCallStatus {
	t.Helper()
	in.Reason, in.Reference = "asked to be called", "form 12"
	s, err := w.svc.GrantCalls(t.Context(), w.manager, in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listed reports what CanCall says.
func (w *ledgerWorld) listed(t testing.TB, number string) bool {
	t.Helper()
	err := w.svc.CanCall(t.Context(), w.key, number)
	if err != nil && !errors.Is(err, contacts.ErrDoNotCall) {
		t.Fatal(err)
	}
	return err != nil
}

func withNumber(name string, doNotCall bool) contacts.CreateContactInput {
	return contacts.CreateContactInput{FirstName: name, PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: aNumber, DoNotCall: doNotCall}}}
}

func TestPatchFalseIsRefused(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	c := w.create(t, withNumber("Ada", true))
	patch := func(mark string) (*contacts.Contact, error) {
		return w.svc.UpdateContactJSON(t.Context(), w.writer, c.ID, strings.NewReader(`{"phone_numbers": [{"phone_number": "`+aNumber+`", "do_not_call": `+mark+`}]}`), nil)
	}
	_, err := patch("false")
	wantError(t, err, contacts.CodeValidationError, wrong("phone_numbers[0].do_not_call", contacts.FieldDoNotCall))
	w.at = w.at.Add(time.Second)
	w.grant(t, contacts.DoNotCallInput{PhoneNumber: aNumber})
	if got, err := patch("false"); err != nil || got.PhoneNumbers[0].DoNotCall {
		t.Errorf("after a grant: %v, %v", got, err)
	}
}

func TestPutFalseIsKept(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	c := w.create(t, withNumber("Ada", true))
	got, err := w.svc.ReplaceContact(t.Context(), w.writer, c.ID, withNumber("Ada", false), nil)
	if err != nil || !got.PhoneNumbers[0].DoNotCall || got.Version != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPatchNullIsNothing(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	for _, listed := range []bool{false, true} {
		c := w.create(t, withNumber("Ada", listed))
		got, err := w.svc.UpdateContactJSON(t.Context(), w.writer, c.ID, strings.NewReader(`{"phone_numbers": [{"phone_number": "`+aNumber+`", "do_not_call": null}]}`), nil)
		if err != nil || got.PhoneNumbers[0].DoNotCall != listed {
			t.Errorf("listed %t: got %v, %v", listed, got, err)
		}
	}
	if n := len(journal(t, w.store, w.acme.ID)); n != 2 { // the block and its companion
		t.Errorf("the ledger has %d entries, want 2", n)
	}
}

// A block of a contact that stays as it is leaves its version.
func TestUpsertBlocksAlone(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newLedgerWorld(t, store, contacts.Options{})
		in := contacts.UpsertContactInput{CreateContactInput: withNumber("Ada", false), MatchOn: []contacts.KeyKind{contacts.KeyPhoneNumber}}
		for i, want := range []contacts.Result{contacts.ResultCreated, contacts.ResultUnchanged, contacts.ResultUpdated, contacts.ResultUnchanged} {
			in.PhoneNumbers[0].DoNotCall = i >= 2
			got, err := w.svc.UpsertContact(t.Context(), w.writer, in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Result != want || got.Contact.Version != 1 || got.Contact.PhoneNumbers[0].DoNotCall != (i >= 2) {
				t.Errorf("%d: got %s, version %d, %+v; want %s, version 1", i, got.Result, got.Contact.Version, got.Contact.PhoneNumbers, want)
			}
		}
		if n := len(journal(t, store, w.acme.ID)); n != 2 {
			t.Errorf("the ledger has %d entries, want the block and its companion", n)
		}
	})
}

// refusingStore refuses every mutation that stores a contact.
type refusingStore struct{ contacts.Store }

func (s refusingStore) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	for i := range batch.Mutations {
		if len(batch.Mutations[i].Contacts) > 0 {
			return nil, errors.New("the disk is full")
		}
	}
	return s.Store.Apply(ctx, batch)
}

func TestCreateAndBlockAreOne(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newLedgerWorld(t, store, contacts.Options{})
		failing, err := contacts.New(refusingStore{store}, &contacts.Options{Now: func() time.Time { return w.at }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = failing.CreateContact(t.Context(), w.writer, withNumber("Ada", true))
		wantError(t, err, contacts.CodeServerError)
		if entries := journal(t, store, w.acme.ID); len(entries) != 0 || w.listed(t, aNumber) {
			t.Errorf("a create that failed left %v", entries)
		}
		results, err := w.svc.CreateContacts(t.Context(), w.writer, contacts.CreateContactsInput{
			Contacts: []contacts.CreateContactInput{withNumber("Ada", true), {FirstName: "Bob", TeamID: absentTeam}}, AllOrNothing: true,
		})
		if err != nil || results[0].Err == nil || len(journal(t, store, w.acme.ID)) != 0 {
			t.Errorf("a batch that failed: %v, %v", results, err)
		}
		c := w.create(t, withNumber("Ada", true))
		entries := journal(t, store, w.acme.ID)
		read, err := contacts.ReadLedger(entries)
		if err != nil || len(read) != 1 || len(entries) != 2 {
			t.Fatalf("got %v, %v; want a block and its companion", entries, err)
		}
		if b := read[0]; b.ContactID != c.ID || b.Source != "contact" || b.PhoneNumber != aNumber || b.Actor.Kind != contacts.ActorKey || !b.At.Equal(w.at) {
			t.Errorf("got the block %+v", b)
		}
		of, subjects, err := contacts.ReadOrigins(entries)
		if err != nil || len(of) != 1 || of[0] != c.ID || subjects[0] != entries[0].Subject {
			t.Errorf("got the companion of %v, %x, %v", of, subjects, err)
		}
	})
}

// list returns n numbers of a list.
func list(n int) (in []contacts.DoNotCallInput) {
	for i := range n {
		in = append(in, contacts.DoNotCallInput{PhoneNumber: fmt.Sprintf("+1202555%04d", i), Source: "list:a"})
	}
	return in
}

func TestListTwice(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newLedgerWorld(t, store, contacts.Options{})
		const n = 50
		given := append(list(n), list(1)[0], contacts.DoNotCallInput{PhoneNumber: "call me"})
		for i, added := range []int{n, 0} {
			r, err := w.svc.BlockCallsBatch(t.Context(), w.manager, contacts.BlockCallsBatchInput{Entries: given, ExpiresAt: w.at.Add(time.Hour)})
			if err != nil || r.Added != added || r.Unchanged != n+1-added || r.Failed != 1 || r.Errors[0].Index != n+1 {
				t.Errorf("batch %d: got %+v, %v", i, r, err)
			}
		}
		for i, added := range []int{n, 0} { // they have no expiry, so they are others
			var total contacts.BlockCallsResult
			for r, err := range w.svc.BlockCallsStream(t.Context(), w.manager, slices.Values(given), nil) {
				if err != nil {
					t.Fatal(err)
				}
				total.Added, total.Unchanged, total.Failed = total.Added+r.Added, total.Unchanged+r.Unchanged, total.Failed+r.Failed
			}
			if total.Added != added || total.Unchanged != n+1-added || total.Failed != 1 {
				t.Errorf("stream %d: got %+v", i, total)
			}
		}
		listed := 0
		for e, err := range w.svc.DoNotCallEntries(t.Context(), w.manager, contacts.ListDoNotCallInput{Source: "list:a"}) {
			if err != nil || e.Actor.Name != "manager" {
				t.Fatal(e, err)
			}
			listed++
		}
		if listed != 2*n {
			t.Errorf("the ledger lists %d entries, want %d", listed, 2*n)
		}
		page, err := w.svc.ListDoNotCall(t.Context(), w.manager, contacts.ListDoNotCallInput{Limit: 7})
		if err != nil || len(page.Entries) != 7 || page.NextCursor == "" {
			t.Fatalf("got %+v, %v", page, err)
		}
		next, err := w.svc.ListDoNotCall(t.Context(), w.manager, contacts.ListDoNotCallInput{Limit: 7, Cursor: page.NextCursor})
		if err != nil || next.Entries[0].Sequence != page.Entries[6].Sequence+1 {
			t.Errorf("got %+v, %v after %+v", next, err, page)
		}
	})
}

// A dry run of the first block of an account makes no secret and no entry.
func TestDryRunBlocksNothing(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	dry := w.svc.DryRun()
	if s, err := dry.BlockCalls(t.Context(), w.manager, contacts.DoNotCallInput{PhoneNumber: aNumber}); err != nil || !s.DoNotCall {
		t.Errorf("got %+v, %v", s, err)
	}
	for r, err := range dry.BlockCallsStream(t.Context(), w.manager, slices.Values(list(2)), nil) {
		if err != nil || r.Added != 2 {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	d, err := w.store.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: w.acme.ID, Limit: 1})
	if err != nil || len(d.Settings) != 0 || len(journal(t, w.store, w.acme.ID)) != 0 {
		t.Errorf("a dry run stored %v, %v", d.Settings, err)
	}
}

func TestListLeavesGrants(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	w.block(t, contacts.DoNotCallInput{PhoneNumber: list(1)[0].PhoneNumber})
	w.at = w.at.Add(time.Second)
	w.grant(t, contacts.DoNotCallInput{PhoneNumber: list(1)[0].PhoneNumber})
	w.at = w.at.Add(time.Second)
	r, err := w.svc.BlockCallsBatch(t.Context(), w.manager, contacts.BlockCallsBatchInput{Entries: list(3)})
	if err != nil || r.Added != 2 || r.Granted != 1 || w.listed(t, list(1)[0].PhoneNumber) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestOverGrants(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	w.grant(t, contacts.DoNotCallInput{PhoneNumber: aNumber})
	w.at = w.at.Add(time.Second)
	in := contacts.BlockCallsBatchInput{Entries: []contacts.DoNotCallInput{{PhoneNumber: aNumber}}, OverGrants: true}
	for _, added := range []int{1, 0} {
		r, err := w.svc.BlockCallsBatch(t.Context(), w.manager, in)
		if err != nil || r.Added != added || r.Granted != 0 || !w.listed(t, aNumber) {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	c := w.create(t, withNumber("Ada", false))
	end := w.at.Add(time.Hour)
	s := w.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber, ExpiresAt: end})
	if !s.DoNotCall || !s.Until.Equal(end) {
		t.Errorf("got %+v", s)
	}
	if got := w.get(t, c.ID); !got.PhoneNumbers[0].DoNotCall || !got.DoNotCallChangesAt.Equal(end) {
		t.Errorf("got %+v", got)
	}
	w.at = end
	if got := w.get(t, c.ID); got.PhoneNumbers[0].DoNotCall || w.listed(t, aNumber) || !got.DoNotCallChangesAt.IsZero() {
		t.Errorf("when it has ended: %+v", got)
	}
	if page, err := w.svc.ListDoNotCall(t.Context(), w.manager, contacts.ListDoNotCallInput{}); err != nil || len(page.Entries) != 0 {
		t.Errorf("the list has %+v, %v", page, err)
	}
}

func TestGrantExpires(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	w.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber})
	w.at = w.at.Add(time.Second)
	end := w.at.Add(time.Hour)
	if s := w.grant(t, contacts.DoNotCallInput{PhoneNumber: aNumber, ExpiresAt: end}); s.DoNotCall {
		t.Errorf("got %+v", s)
	}
	w.at = end
	if !w.listed(t, aNumber) {
		t.Error("the block does not hold again")
	}
}

func TestOrderIsByAt(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	hours := func(n int) time.Time { return w.at.Add(time.Duration(n) * time.Hour) }
	w.grant(t, contacts.DoNotCallInput{PhoneNumber: aNumber, At: hours(-1)})
	if s := w.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber, At: hours(-2)}); s.DoNotCall || s.Unchanged {
		t.Errorf("a block that was said before the grant: %+v", s)
	}
	if s := w.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber, At: hours(-1)}); !s.DoNotCall {
		t.Errorf("a block of the time of the grant: %+v", s)
	}
	status, err := w.svc.DoNotCallStatus(t.Context(), w.key, aNumber)
	if err != nil || len(status.Entries) != 3 || status.Entries[0].Sequence != 3 {
		t.Errorf("got %+v, %v", status, err)
	}
	_, err = w.svc.BlockCalls(t.Context(), w.writer, contacts.DoNotCallInput{PhoneNumber: aNumber, At: hours(1), ExpiresAt: hours(0), Source: "contact"})
	wantError(t, err, contacts.CodeValidationError, wrong("source", contacts.FieldNotAllowed), wrong("at", contacts.FieldInvalid), wrong("expires_at", contacts.FieldInvalid))
	_, err = w.svc.GrantCalls(t.Context(), w.manager, contacts.DoNotCallInput{PhoneNumber: aNumber})
	wantError(t, err, contacts.CodeValidationError, wrong("reason", contacts.FieldRequired), wrong("reference", contacts.FieldRequired))
	_, err = w.svc.GrantCalls(t.Context(), w.writer, contacts.DoNotCallInput{PhoneNumber: aNumber})
	wantError(t, err, contacts.CodePermissionDenied)
}
