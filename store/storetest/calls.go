package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// The calls that must succeed for a case to go on, and the checks of what a store
// returned.

// tenant adds an account with those teams and returns its id.
func (s *store) tenant(t *test, teams ...int64) uuid.UUID {
	t.Helper()
	account := newAccount()
	s.add(t, contacts.Directory{Accounts: []contacts.Account{account}})
	if len(teams) == 0 {
		return account.ID
	}
	var add contacts.Directory
	for _, id := range teams {
		add.Teams = append(add.Teams, newTeam(account.ID, id))
	}
	s.add(t, add)
	return account.ID
}

func (s *store) add(t *test, add contacts.Directory) contacts.Directory {
	t.Helper()
	added, err := s.AddToDirectory(t.Context(), add)
	if err != nil {
		t.Fatalf("AddToDirectory: %v", err)
	}
	if len(added.Accounts) != len(add.Accounts) || len(added.Teams) != len(add.Teams) || len(added.Keys) != len(add.Keys) || len(added.Settings) != len(add.Settings) {
		t.Fatalf("AddToDirectory returned another number of records than it was given:\n%s", diff(add, added))
	}
	return added
}

// addKey adds a key of the account and returns it as it was given.
func (s *store) addKey(t *test, account uuid.UUID) contacts.KeyRecord {
	t.Helper()
	k := newKey(account)
	s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{k}})
	return k
}

func (s *store) list(t *test, q contacts.DirectoryQuery) contacts.Directory {
	t.Helper()
	d, err := s.ListDirectory(t.Context(), q)
	if err != nil {
		t.Fatalf("ListDirectory(%+v): %v", q, err)
	}
	return d
}

// directory returns all accounts, teams, keys and settings.
func (s *store) directory(t *test) contacts.Directory {
	t.Helper()
	all := s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
	for _, a := range all.Accounts {
		of := func(kind contacts.DirectoryKind) contacts.Directory {
			return s.list(t, contacts.DirectoryQuery{Kind: kind, AccountID: a.ID, Limit: 1000})
		}
		all.Teams = append(all.Teams, of(contacts.DirectoryTeams).Teams...)
		all.Keys = append(all.Keys, of(contacts.DirectoryKeys).Keys...)
		all.Settings = append(all.Settings, of(contacts.DirectorySettings).Settings...)
	}
	return all
}

// key returns the key with its account.
func (s *store) key(t *test, hash [32]byte) contacts.KeyRecord {
	t.Helper()
	k, err := s.FindKey(t.Context(), hash)
	switch {
	case err != nil:
		t.Fatalf("FindKey: %v", err)
	case k == nil:
		t.Fatal("FindKey: neither a key nor an error")
	case k.Account == nil:
		t.Fatal("FindKey: a key without its account")
	}
	return *k
}

// wantKey checks that the key is found as it was given, with its account as
// FindAccount returns it.
func (s *store) wantKey(t *test, what string, want contacts.KeyRecord) {
	t.Helper()
	a := s.account(t, want.AccountID)
	want.Account = &a
	wantSame(t, what, want, s.key(t, want.Hash))
}

func (s *store) account(t *test, id uuid.UUID) contacts.AccountRecord {
	t.Helper()
	a, err := s.FindAccount(t.Context(), id)
	switch {
	case err != nil:
		t.Fatalf("FindAccount: %v", err)
	case a == nil:
		t.Fatal("FindAccount: neither an account nor an error")
	}
	return *a
}

func (s *store) updateDirectory(t *test, u contacts.DirectoryUpdate) {
	t.Helper()
	if err := s.UpdateDirectory(t.Context(), u); err != nil {
		t.Fatalf("UpdateDirectory(%+v): %v", u, err)
	}
}

// outcomes applies the batch and returns the outcomes, some of which may be
// errors.
func (s *store) outcomes(t *test, batch contacts.MutationBatch) []contacts.MutationOutcome {
	t.Helper()
	outcomes, err := s.Apply(t.Context(), batch)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return outcomes
}

// apply applies the mutations in one batch. Each must be stored.
func (s *store) apply(t *test, mutations ...contacts.Mutation) {
	t.Helper()
	if err := errors.Join(errorsOf(s.outcomes(t, batchOf(mutations...)))...); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

// one applies a mutation by itself and returns its outcome. An error of the whole
// call is that of the outcome. It may be called in any goroutine.
func (s *store) one(ctx context.Context, m contacts.Mutation) contacts.MutationOutcome {
	return s.only(ctx, batchOf(m))
}

// only is one for a batch that holds one mutation.
func (s *store) only(ctx context.Context, batch contacts.MutationBatch) contacts.MutationOutcome {
	outcomes, err := s.Apply(ctx, batch)
	switch {
	case err != nil:
		return contacts.MutationOutcome{Err: err}
	case len(outcomes) > 1:
		return contacts.MutationOutcome{Err: fmt.Errorf("got %d outcomes for 1 mutation", len(outcomes))}
	case len(outcomes) == 1:
		return outcomes[0]
	}
	return contacts.MutationOutcome{}
}

// create stores the contacts in one batch.
func (s *store) create(t *test, records ...*contacts.ContactRecord) {
	t.Helper()
	s.apply(t, each(create, records...)...)
}

// update makes the changes in one batch.
func (s *store) update(t *test, changes ...contacts.ContactChange) {
	t.Helper()
	s.apply(t, each(update, changes...)...)
}

// remove removes the contacts in one batch.
func (s *store) remove(t *test, records ...*contacts.ContactRecord) {
	t.Helper()
	s.apply(t, each(remove, records...)...)
}

func (s *store) contact(t *test, account, id uuid.UUID) *contacts.ContactRecord {
	t.Helper()
	r, err := s.FindContact(t.Context(), account, id)
	switch {
	case err != nil:
		t.Fatalf("FindContact: %v", err)
	case r == nil:
		t.Fatal("FindContact: neither a contact nor an error")
	}
	return r
}

func (s *store) listContacts(t *test, q contacts.ContactQuery) contacts.ContactList {
	t.Helper()
	list, err := s.ListContacts(t.Context(), q)
	if err != nil {
		t.Fatalf("ListContacts(%+v): %v", q, err)
	}
	return list
}

// allContacts returns all contacts of the account: the live ones and then the
// deleted ones, newest first.
func (s *store) allContacts(t *test, account uuid.UUID) []*contacts.ContactRecord {
	t.Helper()
	q := contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 1 << 20}
	all := s.listContacts(t, q).Records
	q.Deleted = true
	return append(all, s.listContacts(t, q).Records...)
}

// entries returns the whole journal of the account.
func (s *store) entries(t *test, account uuid.UUID) []contacts.JournalEntry {
	t.Helper()
	return s.listJournal(t, contacts.JournalQuery{AccountID: account, Limit: 1 << 20})
}

func (s *store) listJournal(t *test, q contacts.JournalQuery) []contacts.JournalEntry {
	t.Helper()
	entries, err := s.ListJournal(t.Context(), q)
	if err != nil {
		t.Fatalf("ListJournal: %v", err)
	}
	return entries
}

// numbered returns the entries with the numbers from first on.
func numbered(first int64, entries []contacts.JournalEntry) []contacts.JournalEntry {
	entries = slices.Clone(entries)
	for i := range entries {
		entries[i].Sequence = first + int64(i)
	}
	return entries
}

// wantContacts checks that each of the contacts is found as it was given.
func (s *store) wantContacts(t *test, records ...*contacts.ContactRecord) {
	t.Helper()
	for _, want := range records {
		wantSame(t, "FindContact", want, s.contact(t, want.Contact.AccountID, want.Contact.ID))
	}
}

// wantNoContacts checks that none of the contacts is found.
func (s *store) wantNoContacts(t *test, records ...*contacts.ContactRecord) {
	t.Helper()
	for _, r := range records {
		_, err := s.FindContact(t.Context(), r.Contact.AccountID, r.Contact.ID)
		wantErr(t, "FindContact of what was not stored", err, contacts.ErrNotFound)
	}
}

func wantErr(t *test, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

// wantFault checks that there is an error by which a store says nothing more.
func wantFault(t *test, what string, got error) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: no error", what)
	}
	for _, sentinel := range sentinels {
		if errors.Is(got, sentinel) {
			t.Errorf("%s: got error %v, want a fault that does not match %v", what, got, sentinel)
		}
	}
}

// errorsOf returns the errors of the outcomes; nil for none.
func errorsOf(outcomes []contacts.MutationOutcome) []error {
	var errs []error
	for _, o := range outcomes {
		errs = append(errs, o.Err)
	}
	return errs
}

// withoutErr returns what the outcome says beside its error.
func withoutErr(o contacts.MutationOutcome) contacts.MutationOutcome {
	o.Err = nil
	return o
}

// wantErrs checks the errors of the outcomes, one for each mutation. No errors
// at all stand for outcomes that are nil.
func wantErrs(t *test, outcomes []contacts.MutationOutcome, want ...error) {
	t.Helper()
	got := errorsOf(outcomes)
	if len(got) != len(want) {
		t.Fatalf("Apply: got %d outcomes, want %d: %v", len(got), len(want), errors.Join(got...))
	}
	for i := range want {
		if !errors.Is(got[i], want[i]) {
			t.Errorf("Apply: got error %v for mutation %d, want %v", got[i], i, want[i])
		}
	}
}

// wantRefused checks that the mutation is refused with that error.
func (s *store) wantRefused(t *test, m contacts.Mutation, want error) {
	t.Helper()
	wantErr(t, "Apply", s.one(t.Context(), m).Err, want)
}

// wantStored checks that the mutation is stored and that its outcome says no
// more.
func (s *store) wantStored(t *test, m contacts.Mutation) {
	t.Helper()
	got := s.one(t.Context(), m)
	wantErr(t, "Apply", got.Err, nil)
	if got.Err != nil {
		return
	}
	wantSame(t, "Apply", contacts.MutationOutcome{}, got)
	for _, c := range m.Contacts {
		if c.Record != nil {
			s.wantContacts(t, c.Record)
		}
	}
}

// wantReplay checks that the mutation is answered with the earlier result.
func (s *store) wantReplay(t *test, m contacts.Mutation, result string) {
	t.Helper()
	got := s.one(t.Context(), m)
	wantErr(t, "Apply again", got.Err, nil)
	wantSame(t, "Result of Apply again", result, got.Result)
}

// wantEntries checks the whole journal of the account.
func (s *store) wantEntries(t *test, account uuid.UUID, want ...contacts.JournalEntry) {
	t.Helper()
	got := s.entries(t, account)
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			wantSame(t, fmt.Sprintf("entry %d of %d that ListJournal returned", i, len(got)), want[i], got[i])
		}
	}
	wantSame(t, "number of entries that ListJournal returned", len(want), len(got))
	if len(want) == 0 {
		wantSame(t, "ListJournal", want, got)
	}
}

func wantSame(t *test, what string, want, got any) {
	t.Helper()
	if t.failed.Load() {
		return // nothing more is printed, and a comparison takes its time
	}
	if d := diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// diff says how the two differ. Times in different zones differ, and so do nil
// and empty slices.
func diff(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return "" // the common case, and much faster than a comparison that can explain itself
	}
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() })
	// A report of long texts, byte by byte, is slow to make and of no use.
	type long struct {
		Len        int
		SHA256     string
		Start, End string
	}
	shortened := cmp.FilterValues(func(a, b string) bool { return a != b && len(a)+len(b) > 2000 },
		cmp.Transformer("shortened", func(s string) long {
			return long{len(s), fmt.Sprintf("%x", sha256.Sum256([]byte(s))), s[:min(99, len(s))], s[max(0, len(s)-99):]}
		}))
	d := cmp.Diff(want, got, sameTime, shortened)
	const enough = 8 << 10
	if len(d) > enough {
		d = d[:enough] + "\n…"
	}
	return d
}
