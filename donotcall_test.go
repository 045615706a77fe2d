package contacts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

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

// Whatever is done with contacts, a number that was blocked stays blocked.
func TestNothingClears(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newLedgerWorld(t, store, contacts.Options{})
		ctx := t.Context()
		w.create(t, withNumber("first", true))
		r := rand.New(rand.NewPCG(1, 2))
		var ids []uuid.UUID
		keep := func(c *contacts.Contact, err error) {
			if err != nil && contacts.CodeOf(err) != contacts.CodeNotFound {
				t.Fatal(err)
			}
			if c == nil {
				return
			}
			ids = append(ids, c.ID)
			if len(c.PhoneNumbers) > 0 && !c.PhoneNumbers[0].DoNotCall {
				t.Fatalf("an answer shows %v", c.PhoneNumbers)
			}
		}
		for i := range 60 {
			w.at = w.at.Add(time.Second)
			mark := []string{`, "do_not_call": true`, `, "do_not_call": false`, `, "do_not_call": null`, ``}[r.IntN(4)]
			body := `{"first_name": "Ada", "email": "ada@example.com", "phone_numbers": [{"phone_number": "` + aNumber + `"` + mark + `}]}`
			id := uuid.New()
			if len(ids) > 0 {
				id = ids[r.IntN(len(ids))]
			}
			switch r.IntN(9) {
			case 0:
				keep(w.svc.CreateContactJSON(ctx, w.writer, strings.NewReader(body)))
			case 1:
				keep(w.svc.ReplaceContactJSON(ctx, w.writer, id, strings.NewReader(body), nil))
			case 2:
				if !strings.Contains(mark, "false") { // which is refused
					keep(w.svc.UpdateContactJSON(ctx, w.writer, id, strings.NewReader(body), nil))
				}
			case 3, 4:
				mode := []string{"fill", "overwrite"}[r.IntN(2)]
				u, err := w.svc.UpsertContactJSON(ctx, w.writer, "", strings.NewReader(strings.Replace(body, "{", `{"match_on": ["external_id"], "external_id": "x", "mode": "`+mode+`", `, 1)))
				if err != nil {
					t.Fatal(err)
				}
				keep(u.Contact, nil)
			case 5:
				results, err := w.svc.CreateContactsJSON(ctx, w.writer, strings.NewReader(`{"contacts": [`+body+`,`+body+`]}`))
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range results {
					keep(r.Contact, r.Err)
				}
			case 6:
				if err := w.svc.DeleteContact(ctx, w.writer, id, nil); err != nil && contacts.CodeOf(err) != contacts.CodeNotFound {
					t.Fatal(err)
				}
			case 7:
				keep(w.svc.RestoreContact(ctx, w.writer, id, nil))
			case 8:
				if _, err := w.admin.PurgeContacts(ctx, contacts.PurgeInput{AccountID: w.acme.ID}); err != nil {
					t.Fatal(err)
				}
			}
			if !w.listed(t, aNumber) {
				t.Fatalf("step %d cleared the number", i)
			}
		}
		for c, err := range w.svc.Contacts(ctx, w.key, contacts.ListContactsInput{}) {
			keep(c, err)
		}
	})
}

func TestBornListed(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newLedgerWorld(t, store, contacts.Options{})
		ctx, said := t.Context(), w.at.Add(-time.Hour)
		w.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber, At: said, Reason: "asked on the phone"})
		one := w.create(t, withNumber("one", false))
		many, err := w.svc.CreateContacts(ctx, w.writer, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{withNumber("many", false)}})
		if err != nil {
			t.Fatal(err)
		}
		upserted, err := w.svc.UpsertContact(ctx, w.writer, contacts.UpsertContactInput{
			CreateContactInput: withNumber("upserted", false), MatchOn: []contacts.KeyKind{contacts.KeyEmail},
		})
		if err != nil {
			t.Fatal(err)
		}
		born := []*contacts.Contact{one, many[0].Contact, upserted.Contact}
		for r, err := range w.svc.CreateContactStream(ctx, w.writer, slices.Values([]contacts.CreateContactInput{withNumber("streamed", false)})) {
			if err != nil {
				t.Fatal(err)
			}
			born = append(born, r.Contact)
		}
		for _, c := range born {
			p := c.PhoneNumbers[0]
			if !p.DoNotCall || !p.DoNotCallDate.Equal(said) || p.DoNotCallReason != "asked on the phone" {
				t.Errorf("%s was born with %+v", c.FirstName, p)
			}
			if diff := cmp.Diff(c, w.get(t, c.ID)); diff != "" {
				t.Errorf("%s (-created +read):\n%s", c.FirstName, diff)
			}
		}
		if n := len(journal(t, store, w.acme.ID)); n != 1 {
			t.Errorf("the ledger has %d entries, want 1", n)
		}
	})
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

// brokenLedger damages what it is asked about the ledger.
type brokenLedger struct {
	contacts.Store
	err  error
	data string
}

func (s brokenLedger) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	if s.err != nil {
		return nil, s.err
	}
	entries, err := s.Store.ListJournal(ctx, q)
	for i := range entries {
		entries[i].Data = s.data
	}
	return entries, err
}

func TestFailClosed(t *testing.T) {
	t.Parallel()
	store := closing(t, memory.New())
	w := newLedgerWorld(t, store, contacts.Options{})
	w.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber})
	mine := bytes.Repeat([]byte{1}, 32)
	foreign := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{DoNotCallSecrets: [][]byte{mine}})
	foreign.block(t, contacts.DoNotCallInput{PhoneNumber: aNumber})
	for name, tt := range map[string]struct {
		store contacts.Store
		key   string
		ctx   context.Context
	}{
		"a fault":           {brokenLedger{Store: store, err: errors.New("the disk is gone")}, w.key, t.Context()},
		"an entry":          {brokenLedger{Store: store, data: `{"v":2}`}, w.key, t.Context()},
		"a missing secret":  {foreign.store, foreign.key, t.Context()},
		"a context is done": {store, w.key, cancelled(t)},
	} {
		svc, err := contacts.New(tt.store, &contacts.Options{Now: func() time.Time { return w.at }})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, svc.CanCall(tt.ctx, tt.key, aNumber), contacts.CodeServerError)
		if _, err := svc.CanCallMany(tt.ctx, tt.key, []string{aNumber}); contacts.CodeOf(err) != contacts.CodeServerError {
			t.Errorf("%s: CanCallMany: got %v", name, err)
		}
	}
	wantError(t, w.svc.CanCall(t.Context(), w.key, "call me"), contacts.CodeValidationError)
	many, err := w.svc.CanCallMany(t.Context(), w.key, []string{"call me", "+12025550100", aNumber})
	if err != nil || !many[0].DoNotCall || many[0].Err == nil || many[1].DoNotCall || !many[2].DoNotCall {
		t.Errorf("CanCallMany: got %+v, %v", many, err)
	}
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

// An equivalent form counts, and a grant on one form does not open the other.
func TestFormsAreListed(t *testing.T) {
	t.Parallel()
	w := newLedgerWorld(t, closing(t, memory.New()), contacts.Options{})
	w.block(t, contacts.DoNotCallInput{PhoneNumber: "+52 1 55 1234 5678"})
	err := w.svc.CanCall(t.Context(), w.key, "+525512345678")
	e, _ := errors.AsType[*contacts.Error](err)
	if e == nil || e.Code != contacts.CodeDoNotCall || e.DoNotCall == nil || e.DoNotCall.Form != "mx_mobile_one" || !e.DoNotCall.Date.Equal(w.at) {
		t.Fatalf("got %v", err)
	}
	w.at = w.at.Add(time.Second)
	if s := w.grant(t, contacts.DoNotCallInput{PhoneNumber: "+525512345678"}); !s.DoNotCall || s.Form != "mx_mobile_one" {
		t.Errorf("got %+v", s)
	}
	if s := w.grant(t, contacts.DoNotCallInput{PhoneNumber: "+5215512345678"}); s.DoNotCall {
		t.Errorf("got %+v", s)
	}
}

func TestRotateSecrets(t *testing.T) {
	t.Parallel()
	store := closing(t, memory.New())
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 40)
	stored := newLedgerWorld(t, store, contacts.Options{})
	stored.block(t, contacts.DoNotCallInput{PhoneNumber: "+12025550101"})
	service := func(secrets ...[]byte) *contacts.Service {
		svc, err := contacts.New(store, &contacts.Options{Now: func() time.Time { return stored.at }, DoNotCallSecrets: secrets})
		if err != nil {
			t.Fatal(err)
		}
		return svc
	}
	if _, err := service(first).BlockCalls(t.Context(), stored.manager, contacts.DoNotCallInput{PhoneNumber: "+12025550102"}); err != nil {
		t.Fatal(err)
	}
	rotated := service(second, first)
	if _, err := rotated.BlockCalls(t.Context(), stored.manager, contacts.DoNotCallInput{PhoneNumber: "+12025550103"}); err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{"+12025550101", "+12025550102", "+12025550103"} {
		wantError(t, rotated.CanCall(t.Context(), stored.key, number), contacts.CodeDoNotCall)
	}
	if err := rotated.CheckDoNotCall(t.Context()); err != nil {
		t.Errorf("with every secret: %v", err)
	}
	wantError(t, service(second).CheckDoNotCall(t.Context()), contacts.CodeServerError)
	wantError(t, service().CanCall(t.Context(), stored.key, "+12025550101"), contacts.CodeServerError)
	if _, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: [][]byte{first[:31]}}); err == nil {
		t.Error("New accepts a secret of 31 bytes")
	}
}
