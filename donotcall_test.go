package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
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

// A block answers as the status does that is read next, also where another one has the
// same time.
func TestBlockAnswersAsTheNextRead(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, memory.New(), contacts.Options{})
	for _, reason := range []string{"by mail", "on the phone", ""} {
		in := contacts.DoNotCallInput{PhoneNumber: aNumber, At: w.at, Reason: reason}
		dry, err := w.svc.DryRun().BlockCalls(t.Context(), w.manager, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.svc.BlockCalls(t.Context(), w.manager, in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := w.svc.DoNotCallStatus(t.Context(), w.manager, aNumber)
		if err != nil {
			t.Fatal(err)
		}
		want.Entries = nil
		if diff := cmp.Diff(want, got); diff != "" || got.Reason != reason {
			t.Errorf("%q (-read +answer):\n%s", reason, diff)
		}
		if diff := cmp.Diff(got, dry); diff != "" {
			t.Errorf("%q (-real +dry run):\n%s", reason, diff)
		}
	}
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

// TestDryListIsTheRealList: the dry run of a list counts as the real one does, also a
// number of an earlier step, which nothing has recorded.
func TestDryListIsTheRealList(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const step, repeated = 10_000, 40
	for _, ledger := range []bool{false, true} {
		t.Run(fmt.Sprintf("ledger=%t", ledger), func(t *testing.T) {
			t.Parallel()
			w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
			number := func(i int) string { return fmt.Sprintf("+1202%07d", 5550000+i) }
			if ledger {
				for i := range repeated / 4 {
					block := contacts.DoNotCallInput{PhoneNumber: number(2 * i), Source: "list:a", ExpiresAt: w.at.Add(2 * time.Hour)}
					grant := contacts.DoNotCallInput{
						PhoneNumber: number(4 * i), At: w.at.Add(-time.Hour), ExpiresAt: w.at.Add(time.Hour), Reason: "asked", Reference: "form 12",
					}
					_, blocked := w.svc.BlockCalls(t.Context(), w.manager, block)
					_, granted := w.svc.GrantCalls(t.Context(), w.manager, grant)
					if err := errors.Join(blocked, granted); err != nil {
						t.Fatal(err)
					}
				}
			}
			var given []contacts.DoNotCallInput
			for i := range step {
				in := contacts.DoNotCallInput{PhoneNumber: number(i), Source: "list:a"}
				if i%2 == 0 {
					in.ExpiresAt = w.at.Add(time.Hour)
				}
				given = append(given, in)
			}
			for i := range repeated {
				for _, in := range []contacts.DoNotCallInput{
					{Source: "list:a"}, {Source: "list:a"}, {Source: "list:b"}, {Source: "list:a", Reason: "asked"},
					{Source: "list:c", At: w.at.Add(-3 * time.Hour), ExpiresAt: w.at.Add(-time.Hour)},
					{Source: "list:c", At: w.at.Add(-4 * time.Hour), ExpiresAt: w.at.Add(-time.Minute)},
					{Source: "list:c", At: w.at.Add(-3 * time.Hour), ExpiresAt: w.at.Add(-time.Hour)},
					{Source: "list:c", At: w.at.Add(-2 * time.Hour), ExpiresAt: w.at.Add(-time.Hour)},
				} {
					in.PhoneNumber = number(i)
					given = append(given, in)
				}
			}
			for _, over := range []bool{false, true} {
				var counts []contacts.BlockCallsResult
				for _, svc := range []*contacts.Service{w.svc.DryRun(), w.svc} {
					var total contacts.BlockCallsResult
					for r, err := range svc.BlockCallsStream(t.Context(), w.manager, slices.Values(given), &contacts.BlockCallsOptions{OverGrants: over}) {
						if err != nil || r.PastOverlay {
							t.Fatal(r.PastOverlay, err)
						}
						total.Added, total.Unchanged, total.Granted = total.Added+r.Added, total.Unchanged+r.Unchanged, total.Granted+r.Granted
					}
					counts = append(counts, total)
				}
				if diff := cmp.Diff(counts[0], counts[1]); diff != "" {
					t.Errorf("over grants %t (-dry +real):\n%s", over, diff)
				}
				if r := counts[1]; r.Unchanged == 0 || r.Added == 0 && !over || ledger && !over && r.Granted == 0 {
					t.Errorf("over grants %t: got %+v, which shows little", over, r)
				}
			}
		})
	}
}

// A stream that cannot read the ledger says which entries it has refused.
func TestListThatFailsReportsRefusedEntries(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{DoNotCallSecrets: [][]byte{[]byte(strings.Repeat("s", 32))}})
	w.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber})
	svc, err := contacts.New(w.store, nil) // without the secret
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r, err := range svc.BlockCallsStream(t.Context(), w.manager, slices.Values([]contacts.DoNotCallInput{{PhoneNumber: "call me"}, {PhoneNumber: aNumber}}), nil) {
		n++
		wantError(t, err, contacts.CodeServerError)
		if r.Failed != 1 || len(r.Errors) != 1 || r.Errors[0].Index != 0 {
			t.Errorf("got %+v", r)
		}
	}
	if n != 1 {
		t.Errorf("%d results", n)
	}
}

// TestPastOverlayOfAList: a dry run that keeps few blocks says so.
func TestPastOverlayOfAList(t *testing.T) {
	t.Parallel()
	const step, keys = 10_000, 100
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{Limits: contacts.Limits{DryRunKeys: keys}})
	var given []contacts.DoNotCallInput
	for i := range step + keys + 1 { // all, and then one more than is kept
		given = append(given, contacts.DoNotCallInput{PhoneNumber: fmt.Sprintf("+1202555%04d", i%step)})
	}
	var got []contacts.BlockCallsResult
	for r, err := range w.svc.DryRun().BlockCallsStream(t.Context(), w.manager, slices.Values(given), nil) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	want := []contacts.BlockCallsResult{{Added: step}, {Added: 1, Unchanged: keys, PastOverlay: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
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

// The zero time of a body is refused: as an absent one, it would be a block or a grant
// without end.
func TestZeroTimeInJSON(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	for _, zero := range []string{"0001-01-01T00:00:00Z", "0001-01-01T05:30:00+05:30", "0000-12-31T19:00:00.000-05:00"} {
		body := fmt.Sprintf(`{"phone_number": %q, "reason": "asked", "reference": "form 7", "at": %q, "expires_at": %[2]q}`, aNumber, zero)
		both := []contacts.FieldError{wrong("at", contacts.FieldInvalid), wrong("expires_at", contacts.FieldInvalid)}
		_, err := w.svc.BlockCallsJSON(t.Context(), w.manager, strings.NewReader(body))
		wantError(t, err, contacts.CodeValidationError, both...)
		_, err = w.svc.GrantCallsJSON(t.Context(), w.manager, strings.NewReader(body))
		wantError(t, err, contacts.CodeValidationError, both...)
		result, err := w.svc.BlockCallsBatchJSON(t.Context(), w.manager, strings.NewReader(`{"entries": [`+body+`]}`))
		if err != nil || result.Failed != 1 {
			t.Fatalf("%s in an entry: got %+v, %v", zero, result, err)
		}
		wantError(t, result.Errors[0].Err, contacts.CodeValidationError, both...)
		_, err = w.svc.BlockCallsBatchJSON(t.Context(), w.manager, strings.NewReader(fmt.Sprintf(`{"entries": [], "at": %q, "expires_at": %[1]q}`, zero)))
		wantError(t, err, contacts.CodeValidationError, both...)
	}
	if n := len(journal(t, w.store, w.acme.ID)); n != 0 {
		t.Errorf("the ledger has %d entries, want none", n)
	}
}

// An askedContext counts how often it is asked whether it is done.
type askedContext struct {
	context.Context
	n atomic.Int64
}

func (c *askedContext) Err() error {
	c.n.Add(1)
	return c.Context.Err()
}

// A batch of many entries on one number is judged in the order of their times, and ends
// with its context.
func TestManyBlocksOfOneNumber(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newLedgerWorld(t, store, contacts.Options{})
		entry := func(i int) contacts.DoNotCallInput {
			return contacts.DoNotCallInput{PhoneNumber: aNumber, Source: "list", Reason: fmt.Sprint(i % 300), At: noon.Add(-time.Duration(i*7%300) * time.Minute)}
		}
		var in contacts.BlockCallsBatchInput
		for i := range 600 { // the second half repeats the first
			in.Entries = append(in.Entries, entry(i))
		}
		ctx := &askedContext{Context: t.Context()}
		result, err := w.svc.BlockCallsBatch(ctx, w.manager, in)
		if err != nil || result.Added != 300 || result.Unchanged != 300 {
			t.Errorf("got %+v, %v", result, err)
		}
		if n := ctx.n.Load(); n < 600 {
			t.Errorf("the context was asked %d times, want each time", n)
		}
		again, err := w.svc.BlockCallsBatch(t.Context(), w.manager, in)
		if err != nil || again.Added != 0 || again.Unchanged != 600 {
			t.Errorf("again: got %+v, %v", again, err)
		}
	})
}
