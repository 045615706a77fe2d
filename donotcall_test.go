package contacts_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// A ledgerWorld is a world whose time is known, with a key that may do everything.
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

// A dry run of the first block of an account makes no secret and no entry.
func TestDryRunBlocksNothing(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	dry := w.svc.DryRun()
	if s, err := dry.BlockCalls(t.Context(), w.manager, contacts.DoNotCallInput{PhoneNumber: aNumber}); err != nil || !s.DoNotCall {
		t.Errorf("got %+v, %v", s, err)
	}
	for r, err := range dry.BlockCallsStream(t.Context(), w.manager, slices.Values([]contacts.DoNotCallInput{{PhoneNumber: aNumber}, {PhoneNumber: "+12025550100"}}), nil) {
		if err != nil || r.Added != 2 {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	d, err := w.store.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: w.acme.ID, Limit: 1})
	if err != nil || len(d.Settings) != 0 || len(journal(t, w.store, w.acme.ID)) != 0 {
		t.Errorf("a dry run stored %v, %v", d.Settings, err)
	}
}

func TestBlocksAndGrantsAreValidated(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	_, err := w.svc.BlockCalls(t.Context(), w.writer, contacts.DoNotCallInput{PhoneNumber: aNumber, At: w.at.Add(time.Hour), ExpiresAt: w.at, Source: "contact"})
	wantError(t, err, contacts.CodeValidationError, wrong("source", contacts.FieldNotAllowed), wrong("at", contacts.FieldInvalid), wrong("expires_at", contacts.FieldInvalid))
	_, err = w.svc.GrantCalls(t.Context(), w.manager, contacts.DoNotCallInput{PhoneNumber: aNumber})
	wantError(t, err, contacts.CodeValidationError, wrong("reason", contacts.FieldRequired), wrong("reference", contacts.FieldRequired))
	_, err = w.svc.GrantCalls(t.Context(), w.writer, contacts.DoNotCallInput{PhoneNumber: aNumber})
	wantError(t, err, contacts.CodePermissionDenied)
}
