//go:build cgo

package sqlite_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// However far the look-ups have come, and however a walk is cut into parts, it finds
// the groups that there are: in the store that wrote them, in another on the same
// file, and after reopening.
func TestGroupsAreTheSameHoweverFarTheLookupsHaveCome(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	path := storePath(t)
	plan := func(rt *rapid.T) *sqlite.Plan {
		return sqlite.NewPlan().
			RunLength(rapid.IntRange(1, 30).Draw(rt, "run length")).
			WalkPart(rapid.SampledFrom([]int{1, 2, 5, 1000}).Draw(rt, "walk part"))
	}
	var stores [2]*sqlite.Store
	defer func() {
		for _, s := range stores {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		for i := range stores {
			if stores[i] == nil {
				stores[i] = mustOpen(rt, plan(rt), path)
			}
		}
		a := mustAccount(t, stores[0])
		var all []*contacts.ContactRecord
		for range rapid.IntRange(1, 4).Draw(rt, "steps") {
			to := stores[rapid.IntRange(0, 1).Draw(rt, "store")]
			var batch []contacts.Mutation
			for range rapid.IntRange(1, 15).Draw(rt, "batch") {
				n := rapid.IntRange(0, 20).Draw(rt, "n")
				if rapid.IntRange(0, 3).Draw(rt, "change") == 0 && len(all) > 0 {
					at := rapid.IntRange(0, len(all)-1).Draw(rt, "which")
					if all[at].Contact.Version > 1 {
						continue // of this batch, perhaps
					}
					r := *all[at]
					r.Contact.Version, r.Contact.Email = 2, fmt.Sprintf("%d@example.com", n)
					r.Contact.PhoneNumbers = r.Contact.PhoneNumbers[:1]
					if n == 0 {
						r.Contact.DeletedAt = noon
					}
					all[at], batch = &r, append(batch, updateOf(&r, 1))
					continue
				}
				r := newContact(a)
				r.Contact.Email = fmt.Sprintf("%d@example.com", n)
				// Two texts with one value in the look-ups.
				r.Contact.PhoneNumbers[0].PhoneNumber = fmt.Sprintf("+1555000%04d", n%4)
				r.Contact.PhoneNumbers[1].PhoneNumber = fmt.Sprintf("1555000%04d", n%4)
				all, batch = append(all, r), append(batch, createOf(r))
			}
			for _, o := range outcomesOf(t, to, contacts.MutationBatch{Mutations: batch, Now: noon}) {
				if o.Err != nil {
					rt.Fatal(o.Err)
				}
			}
			if rapid.IntRange(0, 4).Draw(rt, "reopen") == 0 {
				if err := stores[0].Close(); err != nil {
					rt.Fatal(err)
				}
				stores[0] = mustOpen(rt, plan(rt), path)
			}
			for _, s := range stores {
				for _, kind := range []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber} {
					q := contacts.ContactQuery{AccountID: a, AllTeams: true, Shared: kind, Limit: rapid.SampledFrom([]int{1, 2, 100}).Draw(rt, "limit")}
					if diff := cmp.Diff(groupIDs(all, kind), walkGroups(t.Context(), rt, s, q)); diff != "" {
						rt.Fatalf("groups by %s (-want +got):\n%s", kind, diff)
					}
				}
			}
		}
	})
}

// groupIDs returns the ids of the live contacts that share each key, oldest first.
func groupIDs(all []*contacts.ContactRecord, kind contacts.KeyKind) map[string][]uuid.UUID {
	groups := make(map[string][]uuid.UUID)
	byID := func(a, b *contacts.ContactRecord) int { return slices.Compare(a.Contact.ID[:], b.Contact.ID[:]) }
	for _, r := range slices.SortedFunc(slices.Values(all), byID) {
		for _, k := range r.MatchKeys() {
			if k.Kind == kind && r.Contact.DeletedAt.IsZero() {
				groups[k.Value] = append(groups[k.Value], r.Contact.ID)
			}
		}
	}
	for value, ids := range groups {
		if len(ids) < 2 {
			delete(groups, value)
		}
	}
	return groups
}

// walkGroups returns the ids of the contacts in each group. No group may come twice.
func walkGroups(ctx context.Context, t rapid.TB, s *sqlite.Store, q contacts.ContactQuery) map[string][]uuid.UUID {
	t.Helper()
	groups := make(map[string][]uuid.UUID)
	for {
		list, err := s.ListContacts(ctx, q)
		if err != nil || len(list.Groups) > q.Limit {
			t.Fatalf("a page of %d groups of %d, %v", len(list.Groups), q.Limit, err)
		}
		for _, g := range list.Groups {
			if groups[g.Key.Value] != nil {
				t.Fatalf("the group of %s comes twice", g.Key.Value)
			}
			for _, r := range g.Records {
				groups[g.Key.Value] = append(groups[g.Key.Value], r.Contact.ID)
			}
			if g.Count != len(g.Records) {
				t.Fatalf("a group has the count %d and %d contacts", g.Count, len(g.Records))
			}
		}
		if q.Position = list.Position; q.Position == "" {
			return groups
		}
	}
}

// A search for groups has the look-ups brought up to the contacts, as other searches
// do.
func TestGroupsBringTheLookupsUpToTheContacts(t *testing.T) {
	t.Parallel()
	now := &clock{}
	s := mustOpen(t, sqlite.NewPlan().Clock(now.read).CatchUpAfter(10).WalkPart(3), storePath(t))
	defer s.Close()
	a := mustAccount(t, s)
	var records []*contacts.ContactRecord
	for i := range 12 {
		records = append(records, withEmail(a, fmt.Sprintf("%d@example.com", i/2)))
	}
	if err := create(t.Context(), s, records...); err != nil {
		t.Fatal(err)
	}
	now.add(sqlite.Quiet)
	for _, left := range []int64{12, 0} {
		if unmerged, err := s.Unmerged(t.Context()); err != nil || unmerged != left {
			t.Errorf("%d contacts are not in the look-ups, %v; want %d", unmerged, err, left)
		}
		q := contacts.ContactQuery{AccountID: a, AllTeams: true, Shared: contacts.KeyEmail, Limit: 4}
		if diff := cmp.Diff(groupIDs(records, q.Shared), walkGroups(t.Context(), t, s, q)); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
		s.AwaitCatchUp()
	}
}
