//go:build cgo

package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// wantList checks which contacts a query lists, in their order.
func wantList(t *testing.T, s contacts.Store, q contacts.ContactQuery, want ...*contacts.ContactRecord) {
	t.Helper()
	list, err := s.ListContacts(t.Context(), q)
	if err != nil {
		t.Errorf("ListContacts: %v", err)
		return
	}
	name := func(records []*contacts.ContactRecord) (names []string) {
		for _, r := range records {
			names = append(names, r.Contact.FirstName)
		}
		return names
	}
	if got, want := name(list.Records), name(want); !slices.Equal(got, want) {
		t.Errorf("%+v: got %.500q, want %.500q", q, fmt.Sprint(got), fmt.Sprint(want))
	}
}

// A search finds what contacts.FoldSearch makes of a row, whether SQLite or Go
// does it.
func TestSearchFoldsAsTheContractDoes(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	a := mustAccount(t, s)
	records := make([]*contacts.ContactRecord, 0, 8)
	for _, name := range []string{"Ada", "ÅSA", "A\u030Asa", "Straße", "STRASSE", "İpek", "100% _x_", "ſet", "\u212Aelvin", "a\nb", "Smith,Anna", "ANNA\tSmith", "Ánna, Smith", "<&> \"'"} {
		r := newContact(a)
		r.Contact.FirstName, r.Contact.LastName, r.Contact.Company, r.Contact.Email = name, "", "Ünit Co", ""
		if name[0] < 0x80 {
			r.Contact.Company = "Unit Co"
		}
		records = append(records, r)
	}
	if err := create(t.Context(), s, records...); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(records)
	for _, search := range []string{"ada", "åsa", "strasse", "ss", "ipek", "%", "_", "_x", "x_ %", "set", "kelvin", "k", "unit ada", "co k nit", "a\nb", "ab", "unit", "e", "smith anna", "anna,", "<&> \"'"} {
		q := contacts.ContactQuery{AccountID: a, AllTeams: true, Search: contacts.FoldSearch(search), Limit: 100}
		var want []*contacts.ContactRecord
		for _, r := range records {
			if q.Matches(r) {
				want = append(want, r)
			}
		}
		wantList(t, s, q, want...)
	}
}

// A listing that reads for long ends when its context does, and leaves its
// connection as it was.
func TestListingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const many = 5000
	var calls atomic.Int64
	var cancel func()
	s, err := sqlite.NewPlan().Readers(1).Fold(func(text string) string {
		calls.Add(1)
		if cancel != nil {
			cancel()
			runtime.Gosched() // to the caller that interrupts
		}
		return contacts.FoldSearch(text)
	}).Open(t.Context(), storePath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := mustAccount(t, s)
	batch := make([]*contacts.ContactRecord, many)
	for i := range batch {
		batch[i] = newContact(a)
		batch[i].Contact.FirstName, batch[i].Contact.Email = "Zoë", ""
	}
	if err := create(t.Context(), s, batch...); err != nil {
		t.Fatal(err)
	}
	for _, q := range []contacts.ContactQuery{
		{Search: "nobody"},
		{Search: "zoe"},              // in the middle of its rows
		{Search: "zoe", Count: true}, // in the first of them or in the count
		{Search: "nobody", Tag: "math"},
	} {
		q.AccountID, q.AllTeams, q.Limit = a, true, many
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		calls.Store(0)
		list, err := s.ListContacts(ctx, q)
		cancel()
		cancel = nil
		if !errors.Is(err, context.Canceled) || len(list.Records) > 0 {
			t.Errorf("%+v: got %d contacts and error %v, want context.Canceled", q, len(list.Records), err)
		}
		if n := calls.Load(); n == 0 || n >= many {
			t.Errorf("%+v: it has looked at %d of %d contacts", q, n, many)
		}
		r := mustCreate(t, s, a)
		q.Search = "ada" // the same statement on the same connection, which sees what is new
		wantList(t, s, q, r)
		wantContact(t, s, a, r.Contact.ID)
		change(t, s, r, func(c *contacts.Contact) { c.FirstName, c.Email, c.Tags = "Bob", "", nil })
	}
}

// change makes a change of a contact and stores it.
func change(t *testing.T, s contacts.Store, r *contacts.ContactRecord, f func(*contacts.Contact)) {
	t.Helper()
	next := *r
	f(&next.Contact)
	next.Contact.Version++
	if err := apply(t.Context(), s, updateOf(&next, r.Contact.Version)); err != nil {
		t.Fatal(err)
	}
	*r = next
}

// What an ANALYZE leaves in the file changes no listing.
func TestListingAfterAnalyze(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := open(t, path)
	a := mustAccount(t, s)
	var records []*contacts.ContactRecord
	for i := range 50 {
		r := newContact(a)
		r.Contact.FirstName = fmt.Sprint(i)
		if i%2 == 1 {
			r.Contact.DeletedAt = noon
		}
		records = append(records, r)
	}
	if err := create(t.Context(), s, records...); err != nil {
		t.Fatal(err)
	}
	exec1(t, plain(t, path), "ANALYZE")
	slices.Reverse(records)
	for _, q := range []contacts.ContactQuery{{}, {Deleted: true}, {Tag: "math"}, {Tag: "math", Deleted: true}} {
		q.AccountID, q.AllTeams, q.Limit = a, true, 100
		var want []*contacts.ContactRecord
		for _, r := range records {
			if q.Matches(r) {
				want = append(want, r)
			}
		}
		wantList(t, s, q, want...)
	}
	queries, _ := sqlite.Queries()
	plan, err := s.Explain(t.Context(), queries["list living"])
	if err != nil || !strings.Contains(plan, "(account=? AND id>? AND id<?)") {
		t.Errorf("%s, %v", plan, err)
	}
}

// However a walk is cut into parts, a page has what matches, past what it skips,
// and the count is that of all.
func TestListInPartsIsTheSame(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, sqlite.NewPlan().WalkPart(3).MaxLookupHits(0), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	var records []*contacts.ContactRecord
	for i := range 24 {
		r := newContact(a)
		r.Contact.FirstName = fmt.Sprint(i)
		r.Contact.Tags = []string{fmt.Sprint(i % 5)}
		if i > 4 && i < 13 {
			r.Contact.Status = "contacted" // whole parts of it
		}
		if i%4 == 3 {
			r.Contact.DeletedAt = noon
		}
		records = append(records, r)
	}
	if err := create(t.Context(), s, records...); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(records)
	for _, q := range []contacts.ContactQuery{
		{}, {Deleted: true}, {Status: "contacted"}, {Status: "not_contacted"}, {Status: "contacted", Deleted: true},
		{Status: "none"}, {Tag: "3"}, {Tag: "3", Deleted: true}, {Tag: "none"}, {After: records[7].Contact.ID}, {After: records[7].Contact.ID, Status: "contacted"},
	} {
		for skip := range 13 {
			for _, limit := range []int{1, 2, 3, 4, 7, 25} {
				q.AccountID, q.AllTeams, q.Skip, q.Limit, q.Count = a, true, skip, limit, true
				count := 0
				var want []string
				for _, r := range records {
					if !q.Matches(r) {
						continue
					}
					count++
					if q.After == uuid.Nil || bytes.Compare(r.Contact.ID[:], q.After[:]) < 0 {
						want = append(want, r.Contact.FirstName)
					}
				}
				want = want[min(skip, len(want)):]
				want = want[:min(limit, len(want))]
				list, err := s.ListContacts(t.Context(), q)
				var got []string
				for _, r := range list.Records {
					got = append(got, r.Contact.FirstName)
				}
				if err != nil || !slices.Equal(got, want) || list.Count != count {
					t.Errorf("%+v: got %q of %d, %v; want %q of %d", q, got, list.Count, err, want, count)
				}
			}
		}
	}
}

// A long list shows no more than a part in one state of the file: a change that is
// made while it reads the first is in what it reads later.
func TestLongListHoldsNoStateOfTheFile(t *testing.T) {
	t.Parallel()
	var during func() // called in the middle of a list
	s := mustOpen(t, sqlite.NewPlan().WalkPart(2).Fold(func(text string) string {
		if f := during; f != nil {
			during = nil
			f()
		}
		return contacts.FoldSearch(text)
	}), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	records := make([]*contacts.ContactRecord, 6)
	for i := range records {
		records[i] = newContact(a)
		records[i].Contact.FirstName = "Zoë"
	}
	if err := create(t.Context(), s, records...); err != nil {
		t.Fatal(err)
	}
	oldest := records[0]
	during = func() { change(t, s, oldest, func(c *contacts.Contact) { c.FirstName = "Chloë" }) }
	slices.Reverse(records)
	wantList(t, s, contacts.ContactQuery{AccountID: a, AllTeams: true, Search: "oe", Limit: 9}, records...)
	if name := oldest.Contact.FirstName; name != "Chloë" {
		t.Errorf("the oldest is %s: nothing was changed while the list was made", name)
	}
}

// An account that is purged of what it deleted has no look-ups of it, and those
// of other accounts stay.
func TestPurgeLeavesNoLookups(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := mustOpen(t, sqlite.NewPlan().RunLength(1), path)
	var accounts []uuid.UUID
	for range 2 {
		a := mustAccount(t, s)
		accounts = append(accounts, a)
		for range 20 {
			change(t, s, mustCreate(t, s, a), func(c *contacts.Contact) { c.DeletedAt = noon })
		}
		mustCreate(t, s, a)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, sqlite.NewPlan().RunLength(1), path)
	for _, want := range []int{15, 5, 0} {
		if n := purge(t, s, accounts[0], 15); n != want {
			t.Errorf("purged %d, want %d", n, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := plain(t, path)
	const entries = 5 // of each contact: its address, two numbers, two tags
	for i, want := range []int{entries, 21 * entries} {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM lookup WHERE account = ?", i+1).Scan(&n); err != nil || n != want {
			t.Errorf("account %d: %d look-ups, %v; want %d", i+1, n, err, want)
		}
	}
}
