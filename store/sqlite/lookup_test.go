//go:build cgo

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// However far the look-ups have come, a search finds each contact that has what it
// looks for, once, newest first, and no other: in the store that wrote it, in
// another on the same file, and after reopening. Each check has accounts of its
// own in the same file.
func TestSearchFindsTheSameHoweverFarTheLookupsHaveCome(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path := storePath(t)
	var stores [2]*sqlite.Store
	defer func() {
		for _, s := range stores {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		plan := func() *sqlite.Plan { return sqlite.NewPlan().RunLength(rapid.IntRange(1, 30).Draw(rt, "run length")) }
		for i := range stores {
			if plan := plan(); stores[i] == nil {
				stores[i] = mustOpen(rt, plan, path)
			}
		}
		accounts := []uuid.UUID{mustAccount(t, stores[0]), mustAccount(t, stores[0])}
		want := map[string][]uuid.UUID{}
		for range rapid.IntRange(1, 3).Draw(rt, "steps") {
			to := rapid.IntRange(0, 1).Draw(rt, "store")
			var batch []*contacts.ContactRecord
			for range rapid.IntRange(1, 20).Draw(rt, "batch") {
				r := newContact(rapid.SampledFrom(accounts).Draw(rt, "account"))
				n := rapid.IntRange(0, 3).Draw(rt, "n")
				r.Contact.Email = fmt.Sprintf("%d@example.com", n)
				r.Contact.Tags = []string{"all", fmt.Sprintf("Tag %d", n%2)}
				r.Contact.PhoneNumbers[0].PhoneNumber = fmt.Sprintf("+1555000%04d", n)
				r.Contact.PhoneNumbers[1].PhoneNumber = fmt.Sprintf("+3906%02d", n)
				if n == 3 {
					r.Contact.Email, r.Contact.Tags, r.Contact.PhoneNumbers = "", nil, nil
				}
				for _, what := range append(slices.Clone(r.Contact.Tags), r.Contact.Email) {
					key := r.Contact.AccountID.String() + what
					want[key] = append(want[key], r.Contact.ID)
				}
				for _, p := range r.Contact.PhoneNumbers {
					key := r.Contact.AccountID.String() + p.PhoneNumber
					want[key] = append(want[key], r.Contact.ID)
				}
				batch = append(batch, r)
			}
			if err := create(ctx, stores[to], batch...); err != nil {
				rt.Fatal(err)
			}
			if rapid.IntRange(0, 4).Draw(rt, "reopen") == 0 {
				if err := stores[0].Close(); err != nil {
					rt.Fatal(err)
				}
				stores[0] = mustOpen(rt, plan(), path)
			}
			for _, in := range stores {
				for _, a := range accounts {
					check := func(search func(context.Context, uuid.UUID, string) ([]uuid.UUID, error), what string) {
						got, err := search(ctx, a, what)
						if err != nil {
							rt.Fatal(err)
						}
						newest := slices.Clone(want[a.String()+what])
						slices.SortFunc(newest, func(a, b uuid.UUID) int { return -slices.Compare(a[:], b[:]) })
						if !slices.Equal(newest, got) {
							rt.Fatalf("search for %q (-want +got):\n%s", what, cmp.Diff(newest, got))
						}
					}
					for n := range 3 {
						check(in.SearchEmail, fmt.Sprintf("%d@example.com", n))
						check(in.SearchPhone, fmt.Sprintf("+1555000%04d", n))
						check(in.SearchPhone, fmt.Sprintf("+3906%02d", n))
					}
					for _, tag := range []string{"all", "Tag 0", "Tag 1", "tag 0", "none"} {
						check(in.SearchTag, tag)
					}
				}
			}
		}
	})
}

func mustOpen(t rapid.TB, plan *sqlite.Plan, path string) *sqlite.Store {
	t.Helper()
	s, err := plan.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The look-ups keep up with contacts of many numbers and tags.
func TestLookupsCatchUpWithContactsOfManyEntries(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const length = 50
	s := mustOpen(t, sqlite.NewPlan().RunLength(length), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	// On a busy machine they may be late, and catch up.
	kept := func() bool {
		unmerged, err := s.Unmerged(t.Context())
		return err == nil && unmerged <= 10*length
	}
	n := 0
	for ; n < 1500 || n < 6000 && !kept(); n++ {
		r := newContact(a)
		r.Contact.Tags = nil
		for i := range 40 {
			r.Contact.Tags = append(r.Contact.Tags, fmt.Sprint(i))
		}
		if err := create(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
		if n >= 1500 {
			s.AwaitRun()
		}
	}
	if unmerged, err := s.Unmerged(t.Context()); !kept() {
		t.Errorf("%d of %d contacts are not in the look-ups, with runs of %d, %v", unmerged, n, length, err)
	}
}

// The entries of longer runs share the pages of a larger file.
func TestRunsAreLongerInALargerFile(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := mustOpen(t, sqlite.NewPlan().RunLength(20), path)
	a := mustAccount(t, s)
	var got []int
	for _, n := range []int{0, 160, 320, 320} {
		var all []contacts.Mutation
		for range n {
			all = append(all, createOf(newContact(a)))
		}
		if err := apply(t.Context(), s, all...); err != nil {
			t.Fatal(err)
		}
		got = append(got, s.RunLength())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, sqlite.NewPlan().RunLength(20), path)
	defer s.Close()
	if diff := cmp.Diff([]int{20, 20, 30, 40, 40}, append(got, s.RunLength())); diff != "" {
		t.Errorf("contacts in a run, with 0, 160, 480 and 800 in the file, and opened again (-want +got):\n%s", diff)
	}
}

// A seq that was given twice would be one that the look-ups have passed.
func TestContactCreatedAfterTheNewestWasPurgedIsFound(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	s := mustOpen(t, sqlite.NewPlan().RunLength(10), path)
	a := mustAccount(t, s)
	for range 25 {
		mustCreate(t, s, a)
	}
	newest := newContact(a)
	newest.Contact.DeletedAt = noon
	if err := create(t.Context(), s, newest); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // which brings the look-ups up to it
		t.Fatal(err)
	}
	s = mustOpen(t, sqlite.NewPlan().RunLength(10), path)
	if err := apply(t.Context(), s, removalOf(newest)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // nothing in memory knows of the purged one
		t.Fatal(err)
	}
	s = mustOpen(t, sqlite.NewPlan().RunLength(10), path)
	next := newContact(a)
	next.Contact.Tags = []string{"next"}
	if err := create(t.Context(), s, next); err != nil {
		t.Fatal(err)
	}
	if ids, err := s.SearchTag(t.Context(), a, "next"); err != nil || len(ids) != 1 {
		t.Errorf("found %v, %v", ids, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var seq, entries int
	db := plain(t, path)
	if err := db.QueryRowContext(t.Context(), "SELECT max(seq) FROM contact_data").Scan(&seq); err != nil || seq != 27 {
		t.Errorf("the seq of the contact after it is %d, %v; want 27", seq, err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM lookup WHERE seq NOT IN (SELECT seq FROM contact_data)").Scan(&entries); err != nil || entries != 0 {
		t.Errorf("%d look-ups are left of the purged one, %v", entries, err)
	}
}

// A run that was read before another store merged more does not move the mark
// back.
func TestMarkNeverGoesBack(t *testing.T) {
	t.Parallel()
	path := storePath(t)
	plan := func() *sqlite.Plan { return sqlite.NewPlan().RunLength(1000) } // which no contacts here make full
	s := mustOpen(t, plan(), path)
	a := mustAccount(t, s)
	for range 10 {
		mustCreate(t, s, a)
	}
	if err := s.PrepareRun(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, plan(), path)
	for range 20 {
		mustCreate(t, other, a)
	}
	if err := other.Close(); err != nil { // which merges all
		t.Fatal(err)
	}
	for range 10 {
		mustCreate(t, s, a) // which merges its run
	}
	var mark int
	if err := plain(t, path).QueryRowContext(t.Context(), "SELECT seq FROM lookup_state").Scan(&mark); err != nil || mark != 30 {
		t.Errorf("the mark is %d, %v; want 30", mark, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Creates merge the look-ups on their way. Where they have come to an end, a
// search that has too many contacts to read one by one has them merged.
func TestSearchBringsTheLookupsOfAnIdleStoreUpToTheContacts(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	now := &clock{}
	s := mustOpen(t, sqlite.NewPlan().Clock(now.read), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	batch := make([]*contacts.ContactRecord, 5000)
	for i := range batch {
		batch[i] = newContact(a)
	}
	if err := create(t.Context(), s, batch...); err != nil {
		t.Fatal(err)
	}
	if unmerged, err := s.Unmerged(t.Context()); err != nil || unmerged != 5000 {
		t.Fatalf("%d contacts are not in the look-ups, %v", unmerged, err)
	}
	for i := range 3 {
		if ids, err := s.SearchTag(t.Context(), a, "math"); err != nil || len(ids) != 5000 {
			t.Errorf("found %d of 5000, %v", len(ids), err)
		}
		s.AwaitCatchUp()
		if i == 0 {
			if unmerged, err := s.Unmerged(t.Context()); err != nil || unmerged != 5000 {
				t.Errorf("after a search beside creates %d contacts are not in the look-ups, %v", unmerged, err)
			}
			now.add(sqlite.Quiet)
		}
	}
	if unmerged, err := s.Unmerged(t.Context()); err != nil || unmerged != 0 {
		t.Errorf("after a search %d contacts are not in the look-ups, %v", unmerged, err)
	}
}

// A page of a tag that many have is made by walking, and its count all the same by
// the look-ups: that, too, has them brought up to the contacts.
func TestCountBringsTheLookupsUpToTheContacts(t *testing.T) {
	t.Parallel()
	now := &clock{}
	s := mustOpen(t, sqlite.NewPlan().Clock(now.read).CatchUpAfter(10).MaxLookupHits(1), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	for round := range 2 {
		for range 20 {
			mustCreate(t, s, a)
		}
		now.add(sqlite.Quiet)
		for _, count := range []bool{false, true} {
			if round == 0 && !count {
				continue // the look-ups have nothing yet, and are the way
			}
			list, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: "math", Limit: 1, Count: count})
			if err != nil || count && list.Count != 20*(round+1) {
				t.Errorf("%d contacts, %v", list.Count, err)
			}
			s.AwaitCatchUp()
			want := int64(20)
			if count {
				want = 0
			}
			if unmerged, err := s.Unmerged(t.Context()); err != nil || unmerged != want {
				t.Errorf("count is %v: %d contacts are not in the look-ups, %v; want %d", count, unmerged, err, want)
			}
		}
	}
}

// A clock is one that a test sets.
type clock struct{ since atomic.Int64 }

func (c *clock) read() time.Time     { return noon.Add(time.Duration(c.since.Load())) }
func (c *clock) add(d time.Duration) { c.since.Add(int64(d)) }

// A create that comes while a search has look-ups merged has it end with the run
// that it is at, or the next.
func TestCatchUpEndsWhenContactsCome(t *testing.T) {
	t.Parallel()
	const length, run = 10, 4 * 10 // contacts
	now := &clock{}
	var during atomic.Pointer[func()] // called in a commit, once
	s := mustOpen(t, sqlite.NewPlan().RunLength(length).CatchUpAfter(1).Clock(now.read).Connected(func(c *sqlite3.SQLiteConn) error {
		c.RegisterCommitHook(func() int {
			if f := during.Swap(nil); f != nil {
				(*f)()
			}
			return 0
		})
		return nil
	}), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	batch := make([]*contacts.ContactRecord, 5*run)
	for i := range batch {
		batch[i] = newContact(a)
	}
	if err := create(t.Context(), s, batch...); err != nil {
		t.Fatal(err)
	}
	now.add(sqlite.Quiet)
	created := make(chan error, 1)
	f := func() {
		go func() { created <- create(context.Background(), s, newContact(a)) }()
		s.AwaitQueue(1)
	}
	during.Store(&f)
	if ids, err := s.SearchTag(t.Context(), a, "math"); err != nil || len(ids) != len(batch) {
		t.Errorf("found %d of %d, %v", len(ids), len(batch), err)
	}
	s.AwaitCatchUp()
	if err := <-created; err != nil {
		t.Error(err)
	}
	if unmerged, err := s.Unmerged(t.Context()); err != nil || unmerged < 3*run || unmerged > 4*run+1 {
		t.Errorf("%d of %d contacts are not in the look-ups, with runs of %d, %v", unmerged, len(batch)+1, run, err)
	}
}

// Close ends what a search has begun, which must not keep it nor go on after it.
func TestCloseInTheMiddleOfACatchUp(t *testing.T) {
	t.Parallel()
	for range extent(2, 20) {
		path := storePath(t)
		now := &clock{}
		s := mustOpen(t, sqlite.NewPlan().RunLength(10).CatchUpAfter(1).Clock(func() time.Time {
			now.add(sqlite.Quiet) // it is always quiet
			return now.read()
		}), path)
		a := mustAccount(t, s)
		var batch []*contacts.ContactRecord
		for range 100 {
			batch = append(batch, newContact(a))
		}
		if err := create(t.Context(), s, batch...); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					if _, err := s.SearchTag(t.Context(), a, "math"); errors.Is(err, contacts.ErrClosed) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
			wg.Go(func() {
				for {
					if err := create(t.Context(), s, newContact(a)); errors.Is(err, contacts.ErrClosed) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s.AwaitCatchUp()
		wg.Wait()
		wantFiles(t, filepath.Dir(path), "contacts.db")
	}
}

func TestLookupsFollowTheContacts(t *testing.T) {
	t.Parallel()
	const length = 100
	path := storePath(t)
	s := mustOpen(t, sqlite.NewPlan().RunLength(length), path)
	a := mustAccount(t, s)
	created, unmerged := 0, int64(0)
	more := func(callers, each int) {
		t.Helper()
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					if err := create(t.Context(), s, newContact(a)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		created += callers * each
		var err error
		if unmerged, err = s.Unmerged(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	more(8, 250)
	for unmerged > 1000 && created < 6000 { // on a busy machine they may be late, and catch up
		s.AwaitRun()
		more(8, 10)
	}
	if unmerged > 1000 {
		t.Errorf("%d of %d contacts are not in the look-ups, with runs of %d", unmerged, created, length)
	}
	for tries := 1; ; tries++ {
		began := time.Now()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		s = open(t, path)
		var err error
		if unmerged, err = s.Unmerged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if unmerged == 0 {
			break
		}
		// On a busy machine a second is too short for all, and Close begins no more then.
		if took < time.Second || tries == 20 {
			t.Fatalf("after a Close of %s %d contacts are not in the look-ups", took, unmerged)
		}
	}
	if ids, err := s.SearchTag(t.Context(), a, "math"); err != nil || len(ids) != created {
		t.Errorf("found %d of %d, %v", len(ids), created, err)
	}
}
