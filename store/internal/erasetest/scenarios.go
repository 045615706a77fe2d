package erasetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/contacts"
)

// Scenarios makes the calls of each scenario in an account of its own.
func Scenarios(t *testing.T, store contacts.Store) {
	t.Helper()
	for _, s := range []struct {
		name string
		run  func(t *testing.T, w *World)
	}{
		{"TestReceipt", receipt},
		{"TestPreviewErasure", preview},
		{"TestVerifyFindsEachPlace", verifyFindsEachPlace},
		{"TestErasedEvents", erasedEvents},
		{"TestEraseAtOnce/live", func(t *testing.T, w *World) { eraseAtOnce(t, w, false) }},
		{"TestEraseAtOnce/purged", func(t *testing.T, w *World) { eraseAtOnce(t, w, true) }},
		{"TestSharedNumber/live", func(t *testing.T, w *World) { sharedNumber(t, w, false) }},
		{"TestSharedNumber/deleted", func(t *testing.T, w *World) { sharedNumber(t, w, true) }},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t, New(t, store))
		})
	}
}

// journal returns the journal of the account.
func (w *World) journal(t testing.TB) []contacts.JournalEntry {
	t.Helper()
	entries, err := w.Store.ListJournal(t.Context(), contacts.JournalQuery{AccountID: w.Account.ID, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// receipt compares a receipt with what the person had. A second call returns it
// again and changes nothing.
func receipt(t *testing.T, w *World) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	w.Admin = contacts.NewAdmin(w.Store, &contacts.AdminOptions{Actor: "data protection", Now: func() time.Time { return now }})
	c := w.Person(t)
	in := contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID, Suppress: true, Reason: " request "}
	e, err := w.Admin.EraseContact(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := &contacts.Erasure{
		AccountID: w.Account.ID, ContactID: c.ID, At: now, Actor: contacts.Actor{Kind: contacts.ActorAdmin, Name: "data protection"}, Reason: "request", Suppressed: true,
		Removed: contacts.ErasureCounts{Contacts: 1, Events: 2, LedgerEntries: 4, Numbers: 3},
		Kept:    []contacts.ErasureKept{{What: "ledger_entries", Count: 4}, {What: "events", Count: 2}, {What: "idempotency_records"}},
	}
	ignore := cmp.Options{cmpopts.IgnoreFields(contacts.Erasure{}, "ID", "Digest"), cmpopts.IgnoreFields(contacts.ErasureKept{}, "Why")}
	if diff := cmp.Diff(want, e, ignore); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	for _, k := range e.Kept {
		if k.Why == "" {
			t.Errorf("%s: the receipt does not say why", k.What)
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if found := Traces(text); found != nil {
		t.Errorf("the receipt has %q", found)
	}
	if digest := digestOf(t, text); e.ID == uuid.Nil || e.Digest != digest {
		t.Errorf("id %v, digest %s, want the digest %s", e.ID, e.Digest, digest)
	}

	before := w.journal(t)
	in.Reason = "another"
	again, err := w.Admin.EraseContact(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, again); diff != "" {
		t.Errorf("a second call (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(before, w.journal(t)); diff != "" {
		t.Errorf("a second call changed the journal:\n%s", diff)
	}
	if diff := cmp.Diff([]contacts.Erasure{*e}, w.erasures(t, now)); diff != "" {
		t.Errorf("Erasures (-want +got):\n%s", diff)
	}
	if later := w.erasures(t, now.Add(time.Microsecond)); later != nil {
		t.Errorf("Erasures since a later time: %v", later)
	}
}

// digestOf computes the digest of a receipt, as its documentation says.
func digestOf(t testing.TB, receipt []byte) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(receipt, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "digest")
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	canonical := jsontext.Value(text)
	if err := canonical.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// preview compares what an erasure would do with what it then does.
func preview(t *testing.T, w *World) {
	c := w.Person(t)
	if _, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{
		FirstName: "Relative", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: Second}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, in := range []contacts.EraseInput{{KeepNotes: true}, {Suppress: true, Reason: "request"}} {
		in.AccountID, in.ContactID = w.Account.ID, c.ID
		before := w.journal(t)
		preview, err := w.Admin.PreviewErasure(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, w.journal(t)); diff != "" {
			t.Errorf("the preview changed the journal:\n%s", diff)
		}
		if _, err := w.Service.GetContact(t.Context(), w.Key, c.ID); err != nil {
			t.Errorf("the preview removed the contact: %v", err)
		}
		if preview.ID != uuid.Nil || preview.Digest != "" || preview.KeptNotes != in.KeepNotes {
			t.Errorf("the preview is %+v", preview)
		}
		if in.KeepNotes {
			continue
		}
		e, err := w.Admin.EraseContact(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, preview, cmpopts.IgnoreFields(contacts.Erasure{}, "ID", "At", "Digest")); diff != "" {
			t.Errorf("receipt and preview differ (-receipt +preview):\n%s", diff)
		}
	}
}

// A mutant is a store that leaves out a part of the first mutation. Then it fails, as
// if the process had ended: an erasure would notice what is left.
type mutant struct {
	contacts.Store
	leaveOut func(*contacts.Mutation)
	ended    bool
}

var errEnded = errors.New("the process has ended")

func (m *mutant) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	m.leaveOut(&batch.Mutations[0])
	m.ended = true
	return m.Store.Apply(ctx, batch)
}

func (m *mutant) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	if m.ended {
		return nil, errEnded
	}
	return m.Store.FindAccount(ctx, id)
}

// verifyFindsEachPlace erases a person by mutants, each of which leaves out one
// removal. VerifyErasure finds what it left.
func verifyFindsEachPlace(t *testing.T, w *World) {
	const text = "qzv"
	for _, test := range []struct {
		name  string
		kind  contacts.JournalKind // 0: the contact stays
		field string               // that stays in the data of an entry, and where it is found
		value string               // that is found; "": the contact's id
	}{
		{"the contact", 0, "first_name", text},
		{"the changes of an event", contacts.JournalEvent, "changes", text},
		{"the source of an event", contacts.JournalEvent, "source", text},
		{"a number", contacts.JournalDoNotCall, "phone_number", Number},
		{"a reason", contacts.JournalDoNotCall, "reason", text},
		{"a reference", contacts.JournalDoNotCall, "reference", text},
		{"the contact's id", contacts.JournalDoNotCall, "contact_id", ""},
		{"a companion", contacts.JournalDoNotCall, "subject", OldNumber},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := New(t, w.Store)
			c := w.Person(t)
			before := w.journal(t)
			admin := contacts.NewAdmin(&mutant{Store: w.Store, leaveOut: func(m *contacts.Mutation) {
				if test.kind == 0 {
					m.Contacts, m.Claims = nil, nil
				}
				for i := range m.Journal {
					if e := &m.Journal[i]; e.Sequence != 0 && e.Kind == test.kind {
						e.Data = keeping(t, test.field, before[e.Sequence-1].Data, e.Data)
					}
				}
			}}, nil)
			if _, err := admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID}); !errors.Is(err, errEnded) {
				t.Fatal(err)
			}
			want := test.value
			if want == "" {
				want = c.ID.String()
			}
			found, err := w.Admin.VerifyErasure(t.Context(), w.Account.ID, contacts.ErasureProbe{
				Emails: []string{c.Email}, PhoneNumbers: []string{OldNumber, Number, Second}, ExternalIDs: []string{c.ExternalID}, Texts: []string{text, c.ID.String()},
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(found, func(f contacts.ErasureFinding) bool { return f.Field == test.field && f.Value == want }) {
				t.Errorf("found %v, want %s in %s", found, want, test.field)
			}
			for _, f := range found {
				if test.kind == 0 && f.Sequence != 0 || test.kind != 0 && (f.Sequence == 0 || f.Field != test.field) {
					t.Errorf("found %+v too, which was removed", f)
				}
			}
		})
	}
}

// keeping returns data of the journal with a member as it was before, if it was
// there.
func keeping(t testing.TB, member, before, after string) string {
	t.Helper()
	var was, is map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal([]byte(before), &was), json.Unmarshal([]byte(after), &is)); err != nil {
		t.Fatal(err)
	}
	if value, there := was[member]; there {
		is[member] = value
	}
	text, err := json.Marshal(is)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// erasedEvents reads the events of a person after the erasure. A late reader gets
// every sequence, redacted, and then contact.erased.
func erasedEvents(t *testing.T, w *World) {
	c := w.Person(t)
	e := w.Erase(t, c, false)
	last, err := w.Admin.LastSequence(t.Context(), w.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		Type     contacts.EventType
		Version  int64
		Redacted bool
	}
	var got []seen
	blocks := 0
	ctx, stop := context.WithTimeout(t.Context(), time.Minute) // if the last event does not come
	defer stop()
	for event, err := range w.Admin.Events(ctx, w.Account.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Changes != nil || event.Source != "" {
			t.Errorf("%+v", event)
		}
		if d := event.DoNotCall; d != nil {
			blocks++
			left := contacts.DoNotCallEntry{Sequence: event.Sequence, Type: d.Type, At: d.At, RecordedAt: event.At, Source: d.Source, Actor: event.Actor}
			if diff := cmp.Diff(&left, d); diff != "" || !event.Redacted || event.ContactID != uuid.Nil {
				t.Errorf("%+v (-want +got):\n%s", event, diff)
			}
			continue
		}
		got = append(got, seen{event.Type, event.Version, event.Redacted})
		if event.Type == contacts.EventContactErased {
			if event.ContactID != c.ID || !event.At.Equal(e.At) || event.Sequence != last-1 {
				t.Errorf("%+v", event)
			}
			break
		}
	}
	want := []seen{
		{contacts.EventContactCreated, 1, true}, {contacts.EventContactUpdated, 2, true}, {contacts.EventContactErased, 0, false},
	}
	const blocked = 4
	if blocks != blocked {
		t.Errorf("%d blocks, want %d", blocks, blocked)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// eraseAtOnce makes several erasures of one contact at the same time, or of what a
// purge has left of it. They are one.
func eraseAtOnce(t *testing.T, w *World, purged bool) {
	c := w.Person(t)
	if purged {
		if err := w.Service.DeleteContact(t.Context(), w.Key, c.ID, nil); err != nil {
			t.Fatal(err)
		}
		if n, err := w.Admin.PurgeContacts(t.Context(), contacts.PurgeInput{ContactID: c.ID}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	receipts := make([]*contacts.Erasure, 4)
	var calls sync.WaitGroup
	for i := range receipts {
		calls.Go(func() {
			var err error
			if receipts[i], err = w.Admin.EraseContact(t.Context(), contacts.EraseInput{AccountID: w.Account.ID, ContactID: c.ID}); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	stored := w.erasures(t, time.Time{})
	if len(stored) != 1 {
		t.Fatalf("%d receipts are stored", len(stored))
	}
	for _, r := range receipts {
		if diff := cmp.Diff(&stored[0], r); diff != "" {
			t.Errorf("a receipt (-stored +returned):\n%s", diff)
		}
	}
	if !purged {
		w.WantErased(t)
	}
}

// sharedNumber erases a person who shares a number with a relative. The number stays
// in the ledger if the relative is live.
func sharedNumber(t *testing.T, w *World, deleted bool) {
	create := func(name string, phones ...contacts.PhoneNumberInput) *contacts.Contact {
		t.Helper()
		c, err := w.Service.CreateContact(t.Context(), w.Key, contacts.CreateContactInput{FirstName: name, PhoneNumbers: phones})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := create("Ann", contacts.PhoneNumberInput{PhoneNumber: Number, DoNotCall: true}, contacts.PhoneNumberInput{PhoneNumber: Second})
	relative := create("Bob", contacts.PhoneNumberInput{PhoneNumber: Number})
	in := contacts.DoNotCallInput{PhoneNumber: Number, Source: "list:x", Reason: "both asked", Reference: "r"}
	if _, err := w.Service.BlockCalls(t.Context(), w.Key, in); err != nil {
		t.Fatal(err)
	}
	if deleted {
		if err := w.Service.DeleteContact(t.Context(), w.Key, relative.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	e := w.Erase(t, c, true)
	w.WantListed(t, Number)
	w.WantListed(t, Second)
	status, err := w.Service.DoNotCallStatus(t.Context(), w.Key, Number)
	if err != nil || len(status.Entries) < 2 {
		t.Fatalf("the status is %+v, %v", status, err)
	}
	slices.Reverse(status.Entries) // the oldest first
	ofPerson, ofList := status.Entries[0], status.Entries[1]
	if ofPerson.ContactID != uuid.Nil {
		t.Error("the entry of the person still has its id")
	}
	kept := slices.IndexFunc(e.Kept, func(k contacts.ErasureKept) bool { return k.What == "shared_numbers" })
	if deleted {
		if kept >= 0 || e.Removed.Numbers != 2 || ofPerson.PhoneNumber != "" || ofList.PhoneNumber != "" || ofList.Reason != "" {
			t.Errorf("receipt %+v, entries %+v", e, status.Entries)
		}
		return
	}
	if kept < 0 || e.Kept[kept].Count != 1 || e.Removed.Numbers != 1 || e.Removed.LedgerEntries != 1 {
		t.Errorf("receipt %+v", e)
	}
	if len(status.Entries) != 2 || ofPerson.PhoneNumber != Number || ofList.PhoneNumber != Number || ofList.Reason != "both asked" || ofList.Reference != "r" {
		t.Errorf("entries of a number that a relative has: %+v", status.Entries)
	}
}
