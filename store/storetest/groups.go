package storetest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	groupsRule      = "With Shared it returns groups in place of contacts, at most Limit. A group is two or more contacts that match the query and have the same match key of that kind."
	groupMadeOfRule = "It has their Count, and the first MaxGroupRecords of them in ascending order of id."
	groupOrderRule  = "The order of the groups is the store's own, and stable."
	groupPagesRule  = "The next page starts after the group at Position, so writes to other contacts never make a walk skip or repeat a group."
)

var groupCases = []testCase{
	{
		"each kind",
		groupsRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t, 1)
			var records []*contacts.ContactRecord
			for i, email := range []string{"ada@example.com", "Ada@example.com", "ADA@example.com", "bob@example.com", "BOB@example.com", "eve@example.com", ""} {
				r := newFullContact(a, 1)
				r.Contact.Email, r.Contact.ExternalID = email, fmt.Sprint(i%6)
				r.Contact.PhoneNumbers[0].PhoneNumber = fmt.Sprintf("+1555000%04d", i%4)
				r.Contact.PhoneNumbers[1].PhoneNumber = fmt.Sprintf("+1555000%04d", i%5+100)
				records = append(records, r, named(a, "without keys", nil))
			}
			other := copyContact(records[10]) // the only one of its account with its keys
			other.Contact.ID, other.Contact.AccountID = newID(), b
			s.create(t, append(records, other)...)
			for _, kind := range []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber, contacts.KeyExternalID} {
				for _, limit := range []int{1, 2, 100, math.MaxInt} {
					s.wantGroups(t, contacts.ContactQuery{AccountID: a, AllTeams: true, Shared: kind, Limit: limit}, records...)
				}
				for _, account := range []uuid.UUID{b, newID()} {
					wantSame(t, "ListContacts of groups in an account that has none", contacts.ContactList{},
						s.listContacts(t, contacts.ContactQuery{AccountID: account, AllTeams: true, Shared: kind, Limit: 9}))
				}
			}
		},
	},
	{
		"groups are narrowed down",
		groupsRule + " After, Skip and Count of the query are not used.",
		func(t *test, s *store) {
			a := s.tenant(t, 1, 2)
			records := s.createMixed(t, a)
			for i, r := range records {
				r = copyContact(r)
				r.Contact.ID = newID()
				if i%3 == 0 {
					r.Contact.TeamID = 2
				}
				if i%4 == 0 {
					r.Contact.DeletedAt = noon
				}
				s.create(t, r)
				records = append(records, r)
			}
			all := filters(records[0])
			all["deleted"] = contacts.ContactQuery{Deleted: true}
			for _, q := range all {
				for _, q.Shared = range []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber} {
					for _, teams := range [][]int64{nil, {}, {1}, {2}} {
						q.AccountID, q.Teams, q.AllTeams, q.Limit = a, teams, teams == nil, 100
						s.wantGroups(t, q, records...)
					}
				}
			}
			s.wantGroups(t, contacts.ContactQuery{AccountID: a, AllTeams: true, Shared: contacts.KeyEmail, Limit: 9, After: idAt(0), Skip: 1, Count: true}, records...)
		},
	},
	{
		"many contacts in a group",
		groupMadeOfRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for i := range contacts.MaxGroupRecords + 20 {
				records = append(records, named(a, fmt.Sprint(i), func(c *contacts.Contact) {
					c.ID, c.Email = idAt(byte(i*97)), "office@example.com"
					c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: fmt.Sprint("+1555000100", i/contacts.MaxGroupRecords)}}
				}))
			}
			s.create(t, records...)
			for _, kind := range []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber} {
				s.wantGroups(t, contacts.ContactQuery{AccountID: a, Shared: kind, Limit: 9}, records...)
			}
		},
	},
	{
		"keys to the letter",
		bytesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			texts := append([]string{
				"+15551234567", "15551234567", "+015551234567", "+1 5551234567", "+", "", "0", "+0", "1", "+1", "01", "1.0", "9223372036854775807", "9223372036854775808",
				"vip", "VIP", "straße", "STRASSE", "Zoë", "Zoe\u0308", "x", "x ", "%", "_",
			}, hostile...)
			var records []*contacts.ContactRecord
			for i, text := range texts {
				twice := []contacts.PhoneNumber{{ID: newID(), PhoneNumber: text}, {ID: newID(), PhoneNumber: text}}
				for n := range 1 + i%2 {
					records = append(records, named(a, "", func(c *contacts.Contact) {
						c.Email, c.ExternalID, c.PhoneNumbers = text, text, twice[n:] // the first of them has it twice, which is no group
					}))
				}
			}
			s.create(t, records...)
			for _, kind := range []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber, contacts.KeyExternalID} {
				s.wantGroups(t, contacts.ContactQuery{AccountID: a, Shared: kind, Limit: 3}, records...)
			}
		},
	},
	{
		"pages of groups",
		groupOrderRule + " " + groupPagesRule + ` Position is "" if no group follows. A page of large groups may have fewer than Limit.`,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.create(t, pairs(a, 0, 12)...)
			q := contacts.ContactQuery{AccountID: a, Shared: contacts.KeyEmail, Limit: 100}
			whole := s.walkGroups(t, q)
			for q.Limit = 1; q.Limit <= 13; q.Limit++ {
				wantSame(t, fmt.Sprintf("all pages of %d groups", q.Limit), whole, s.walkGroups(t, q))
			}
			// Later groups come between the others.
			s.create(t, pairs(a, 12, 40)...)
			later := s.walkGroups(t, q)
			isNew := func(g contacts.ContactGroup) bool {
				return !slices.ContainsFunc(whole, func(w contacts.ContactGroup) bool { return w.Key == g.Key })
			}
			wantSame(t, "the groups from before, in their order", whole, slices.DeleteFunc(slices.Clone(later), isNew))
			// A page of large groups may be short.
			b := s.tenant(t)
			large := pairs(b, 0, 40)
			for i, r := range large {
				r.CustomContext = `{"a":"` + strings.Repeat("a", i%4<<16) + `"}`
			}
			s.create(t, large...)
			s.wantGroups(t, contacts.ContactQuery{AccountID: b, Shared: contacts.KeyEmail, Limit: 100}, large...)
		},
	},
	{
		"groups that change",
		groupPagesRule + " A group that changes meanwhile is returned as it is then.",
		func(t *test, s *store) {
			a := s.tenant(t)
			all := make(map[uuid.UUID]*contacts.ContactRecord)
			for _, r := range append(pairs(a, 0, 8), pairs(a, 0, 8)...) { // four contacts in each
				s.create(t, r)
				all[r.Contact.ID] = r
			}
			change := func(r *contacts.ContactRecord, edit func(*contacts.Contact)) {
				t.Helper()
				c := changeOf(r, edit)
				s.update(t, c)
				all[c.ID] = c.Record
			}
			remove := func(r *contacts.ContactRecord) {
				t.Helper()
				s.remove(t, r)
				delete(all, r.Contact.ID)
			}
			q := contacts.ContactQuery{AccountID: a, Shared: contacts.KeyEmail, Limit: 2}
			order := s.walkGroups(t, q)
			page := s.listContacts(t, q)
			wantSame(t, "the first page of groups", order[:2], page.Groups)
			for _, r := range order[0].Records { // a contact that was on the first page shares another key
				change(r, func(c *contacts.Contact) { c.Email = order[4].Records[0].Contact.Email })
			}
			for _, r := range order[1].Records { // the group at the position goes
				remove(r)
			}
			change(order[2].Records[0], deleted(noon))
			change(order[2].Records[2], func(c *contacts.Contact) { c.Email = "" })
			change(order[3].Records[1], func(c *contacts.Contact) { c.Email = strings.ToUpper(c.Email[:1]) + c.Email[1:] })
			for i, r := range order[5].Records[:3] { // one of the group stays
				if i == 1 {
					remove(r)
				} else {
					change(r, deleted(noon))
				}
			}
			q.Position, q.Limit = page.Position, 100
			var now []*contacts.ContactRecord
			for _, r := range all {
				now = append(now, r)
			}
			want := slices.DeleteFunc(grouped(q, now), func(g contacts.ContactGroup) bool { return g.Key == order[0].Key || g.Key == order[1].Key })
			got := s.walkGroups(t, q)
			slices.SortFunc(got, byKey)
			wantSame(t, "the next pages of groups", want, got)
		},
	},
	{
		"positions of groups",
		"ErrNotFound: the query has a Position that the store never returns.",
		func(t *test, s *store) {
			a := s.tenant(t)
			s.create(t, pairs(a, 0, 2)...)
			for _, position := range []string{"?", " ", "\u00e9", strings.Repeat("?", 10_000), "-"} {
				_, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: a, Shared: contacts.KeyEmail, Position: position, Limit: 9})
				wantErr(t, "ListContacts with a position of no store", err, contacts.ErrNotFound)
			}
		},
	},
	{
		"groups after reopening",
		durabilityRule + " " + groupOrderRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.create(t, pairs(a, 0, 12)...)
			q := contacts.ContactQuery{AccountID: a, Shared: contacts.KeyEmail, Limit: 5}
			whole, page := s.walkGroups(t, q), s.listContacts(t, q)
			again := s.reopen(t)
			wantSame(t, "all groups", whole, again.walkGroups(t, q))
			q.Position = page.Position
			wantSame(t, "the groups after the first page", whole[5:], again.walkGroups(t, q))
		},
	},
}

// pairs returns contacts of which two have an address each. The addresses have those
// numbers.
func pairs(account uuid.UUID, from, to int) (records []*contacts.ContactRecord) {
	for i := from; i < to; i++ {
		for _, name := range []string{"one", "other"} {
			records = append(records, named(account, name, func(c *contacts.Contact) { c.Email = fmt.Sprintf("p%d@example.com", i) }))
		}
	}
	return records
}

func byKey(a, b contacts.ContactGroup) int { return cmp.Compare(a.Key.Value, b.Key.Value) }

// grouped returns all groups that the query asks for if these are all contacts, by
// their keys.
func grouped(q contacts.ContactQuery, all []*contacts.ContactRecord) (groups []contacts.ContactGroup) {
	found := make(map[contacts.MatchKey]*contacts.ContactGroup)
	oldest := slices.SortedFunc(slices.Values(all), newestFirst)
	slices.Reverse(oldest)
	for _, r := range oldest {
		if !q.Matches(r) {
			continue
		}
		keys := r.MatchKeys()
		for i, k := range keys {
			if k.Kind != q.Shared || slices.Contains(keys[:i], k) {
				continue
			}
			if found[k] == nil {
				found[k] = &contacts.ContactGroup{Key: k}
			}
			g := found[k]
			if g.Count++; g.Count <= contacts.MaxGroupRecords {
				g.Records = append(g.Records, r)
			}
		}
	}
	for _, g := range found {
		if g.Count > 1 {
			groups = append(groups, *g)
		}
	}
	slices.SortFunc(groups, byKey)
	return groups
}

// walkGroups returns the groups of all pages from the query's position on.
func (s *store) walkGroups(t *test, q contacts.ContactQuery) (groups []contacts.ContactGroup) {
	t.Helper()
	const enough = 1000
	for range enough {
		list := s.listContacts(t, q)
		groups = append(groups, list.Groups...)
		switch {
		case list.Records != nil || list.Count != 0 || list.Damaged != nil || len(list.Groups) > q.Limit:
			t.Fatalf("ListContacts of %d groups: got %d contacts, a count of %d and %d groups", q.Limit, len(list.Records), list.Count, len(list.Groups))
		case len(list.Groups) == 0 && (list.Position != "" || q.Position != ""):
			t.Fatal("ListContacts of groups: there is a position, and no group follows")
		case list.Position == "":
			return groups
		}
		q.Position = list.Position
	}
	t.Fatalf("ListContacts of groups: no end after %d pages", enough)
	return nil
}

// wantGroups checks that the query lists the groups that it asks for of all contacts.
func (s *store) wantGroups(t *test, q contacts.ContactQuery, all ...*contacts.ContactRecord) {
	t.Helper()
	got := s.walkGroups(t, q)
	slices.SortFunc(got, byKey)
	want, call := grouped(q, all), fmt.Sprintf("ListContacts(%.500s)", fmt.Sprintf("%+v", q))
	outline := func(groups []contacts.ContactGroup) (lines []string) {
		for _, g := range groups {
			lines = append(lines, fmt.Sprint(g.Key, " of ", g.Count, " contacts: ", idsOf(g.Records)))
		}
		return lines
	}
	wantSame(t, call+": the groups", outline(want), outline(got))
	wantSame(t, call, want, got)
}

// walkGroupsWhileWritten walks groups from page to page while contacts are written.
// It checks that every group that was there throughout comes exactly once, whole.
func walkGroupsWhileWritten(t *test, s, writer *store) {
	t.Helper()
	const n = 24
	a := s.tenant(t)
	kept, doomed := pairs(a, 0, n), pairs(a, n, 2*n)
	s.create(t, append(slices.Clone(kept), doomed...)...)
	var done atomic.Bool
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := 0; !done.Load() && !t.Failed(); i++ {
			at := 2 * (i * 7 % n)
			c := changeOf(kept[at], func(c *contacts.Contact) { c.LastName, c.Tags = fmt.Sprint(i), []string{fmt.Sprint(i)} })
			wantErr(t, "Apply while others read", writer.one(t.Context(), update(c)).Err, nil)
			kept[at] = c.Record
		}
	})
	writers.Go(func() {
		for i, r := range doomed {
			if done.Load() || t.Failed() {
				return
			}
			moved := changeOf(r, func(c *contacts.Contact) { c.Email = fmt.Sprintf("q%d@example.com", i/4) })
			for _, m := range []contacts.Mutation{update(moved), update(changeOf(moved.Record, deleted(noon))), create(pairs(a, 2*n+i/2, 2*n+i/2+1)[0])} {
				wantErr(t, "Apply while others read", writer.one(t.Context(), m).Err, nil)
			}
		}
	})
	for _, limit := range []int{1, 7, 50} {
		q := contacts.ContactQuery{AccountID: a, Shared: contacts.KeyEmail, Limit: limit}
		seen := make(map[string]int)
		for pages := 0; pages <= 10*n; pages++ {
			list, err := s.ListContacts(t.Context(), q)
			if err != nil {
				t.Errorf("ListContacts of groups while others write: %v", err)
				break
			}
			for _, g := range list.Groups {
				if seen[g.Key.Value]++; seen[g.Key.Value] > 1 {
					t.Errorf("a walk over pages of %d groups gets a group twice", limit)
				}
				if g.Count < 2 || g.Count != len(g.Records) {
					t.Errorf("a walk gets a group of %d with %d contacts", g.Count, len(g.Records))
				}
			}
			if q.Position = list.Position; q.Position == "" {
				break
			}
		}
		missing := 0
		for i := range n {
			if seen[fmt.Sprintf("p%d@example.com", i)] == 0 {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("a walk over pages of %d groups skips %d of the %d groups that were there throughout", limit, missing, n)
		}
	}
	done.Store(true)
	writers.Wait()
}
