package storetest_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"example.com/contacts"
)

// groupFaults break ListContacts with Shared.
var groupFaults = []fault{
	{"takes one contact for a group", "groups/each kind", groupWith(grouping{least: 1})},
	{"compares stored addresses in groups", "groups/each kind", groupWith(grouping{keys: func(r *contacts.ContactRecord) []contacts.MatchKey {
		keys := r.MatchKeys()
		for i := range keys {
			if keys[i].Kind == contacts.KeyEmail {
				keys[i].Value = r.Contact.Email
			}
		}
		return keys
	}})},
	{"groups by the first number alone", "groups/each kind", groupWith(grouping{keys: func(r *contacts.ContactRecord) []contacts.MatchKey {
		keys := r.MatchKeys()
		if i := slices.IndexFunc(keys, func(k contacts.MatchKey) bool { return k.Kind == contacts.KeyPhoneNumber }); i >= 0 {
			keys = keys[:i+1]
		}
		return keys
	}})},
	{"groups addresses alone", "groups/each kind", onGrouped(func(q *contacts.ContactQuery) { q.Shared = contacts.KeyEmail })},
	{"returns one group too many", "groups/each kind", onGrouped(func(q *contacts.ContactQuery) {
		if q.Limit < 100 {
			q.Limit++
		}
	})},
	{"returns contacts beside groups", "groups/each kind", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			if q.Shared != "" {
				q.Shared = ""
				more, _ := p.data.ListContacts(ctx, q)
				list.Records = more.Records
			}
			return list, err
		}
	}},
	{"shows every team in groups", "groups/groups are narrowed down", onGrouped(func(q *contacts.ContactQuery) { q.AllTeams = true })},
	{"groups deleted contacts with others", "groups/groups are narrowed down", groupWith(grouping{match: func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		either := *q
		either.Deleted = !r.Contact.DeletedAt.IsZero()
		return either.Matches(r)
	}})},
	{"groups contacts with others that do not match", "groups/groups are narrowed down", groupWith(grouping{least: 1, all: true})},
	{"skips groups", "groups/groups are narrowed down", onGroups(func(q contacts.ContactQuery, list *contacts.ContactList) {
		list.Groups = list.Groups[min(q.Skip, len(list.Groups)):]
	})},
	{"counts the records of a group", "groups/many contacts in a group", onGroups(func(_ contacts.ContactQuery, list *contacts.ContactList) {
		for i := range list.Groups {
			list.Groups[i].Count = len(list.Groups[i].Records)
		}
	})},
	{"returns the newest contacts of a group", "groups/many contacts in a group", onGroups(func(_ contacts.ContactQuery, list *contacts.ContactList) {
		for i := range list.Groups {
			slices.Reverse(list.Groups[i].Records)
		}
	})},
	{"takes a number that a contact has twice for a group", "groups/keys to the letter", groupWith(grouping{twice: true})},
	{"groups numbers by their digits", "groups/keys to the letter", groupWith(grouping{keys: func(r *contacts.ContactRecord) []contacts.MatchKey {
		keys := r.MatchKeys()
		for i := range keys {
			if keys[i].Kind == contacts.KeyPhoneNumber {
				keys[i].Value = strings.TrimPrefix(keys[i].Value, "+")
			}
		}
		return keys
	}})},
	{"groups external ids in any letter case", "groups/keys to the letter", groupWith(grouping{keys: func(r *contacts.ContactRecord) []contacts.MatchKey {
		keys := r.MatchKeys()
		for i := range keys {
			if keys[i].Kind == contacts.KeyExternalID {
				keys[i].Value = strings.ToLower(keys[i].Value)
			}
		}
		return keys
	}})},
	{"shuffles groups", "groups/pages of groups", onGroups(func(_ contacts.ContactQuery, list *contacts.ContactList) {
		rand.Shuffle(len(list.Groups), func(i, j int) { list.Groups[i], list.Groups[j] = list.Groups[j], list.Groups[i] })
	})},
	{"has a position at the end", "groups/pages of groups", groupWith(grouping{more: true})},
	{"starts again with each page of groups", "groups/pages of groups", onGrouped(func(q *contacts.ContactQuery) { q.Position = "" })},
	{"goes on by the place of a group", "groups/groups that change", goOnByGroup},
	{"keeps groups as they were", "groups/groups that change", func(p *process) {
		var mu sync.Mutex
		first := make(map[contacts.MatchKey]contacts.ContactGroup)
		onGroups(func(_ contacts.ContactQuery, list *contacts.ContactList) {
			mu.Lock()
			defer mu.Unlock()
			for i, g := range list.Groups {
				if old, ok := first[g.Key]; ok {
					list.Groups[i] = old
				} else {
					first[g.Key] = g
				}
			}
		})(p)
	}},
	{"takes any position of a group", "groups/positions of groups", onGrouped(func(q *contacts.ContactQuery) {
		if !strings.HasPrefix(q.Position, "x") {
			q.Position = ""
		}
	})},
	{"orders groups anew in each process", "groups/groups after reopening", func(p *process) {
		seed := fmt.Sprint(rand.Uint64())
		groupWith(grouping{order: func(k contacts.MatchKey) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(seed+k.Value))) }})(p)
	}},
	{"goes on by the place of a group while others write", "concurrency/a walk over groups while others write", goOnByGroup},
	{"goes on by the place of a group while another process writes", "concurrency/a walk over groups while another process writes", goOnByGroup},
}

// onGrouped changes each query for groups.
func onGrouped(change func(*contacts.ContactQuery)) func(*process) {
	return onQuery(func(q *contacts.ContactQuery) {
		if q.Shared != "" {
			change(q)
		}
	})
}

// onGroups changes each list of groups.
func onGroups(change func(contacts.ContactQuery, *contacts.ContactList)) func(*process) {
	return onListed(func(q contacts.ContactQuery, list *contacts.ContactList) {
		if q.Shared != "" {
			change(q, list)
		}
	})
}

// A grouping is how a broken store makes groups. Its zero value breaks nothing.
type grouping struct {
	match func(*contacts.ContactQuery, *contacts.ContactRecord) bool
	keys  func(*contacts.ContactRecord) []contacts.MatchKey
	order func(contacts.MatchKey) string
	least int  // contacts of a group that match; 0: two
	twice bool // a contact counts for each time that it has a key
	all   bool // contacts that do not match are counted, if there is one that does
	more  bool // each page has a position
}

// groupWith lists the groups of a grouping.
func groupWith(by grouping) func(*process) {
	if by.match == nil {
		by.match = (*contacts.ContactQuery).Matches
	}
	if by.keys == nil {
		by.keys = (*contacts.ContactRecord).MatchKeys
	}
	if by.order == nil {
		by.order = func(k contacts.MatchKey) string { return k.Value }
	}
	return func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (list contacts.ContactList, err error) {
			if q.Shared == "" {
				return p.data.ListContacts(ctx, q)
			}
			all, err := p.allContacts(ctx, q.AccountID)
			if err != nil {
				return list, err
			}
			slices.Reverse(all)
			for _, g := range by.groups(q, all) {
				position := "x" + by.order(g.Key)
				switch {
				case q.Position != "" && position <= q.Position:
				case len(list.Groups) == q.Limit:
					return list, nil
				default:
					list.Groups, list.Position = append(list.Groups, g), position
				}
			}
			if !by.more {
				list.Position = ""
			}
			return list, nil
		}
	}
}

// groups returns all groups, in their order.
func (by grouping) groups(q contacts.ContactQuery, oldest []*contacts.ContactRecord) (groups []contacts.ContactGroup) {
	found := make(map[contacts.MatchKey]*contacts.ContactGroup)
	matching := make(map[contacts.MatchKey]int)
	for _, r := range oldest {
		keys := by.keys(r)
		for i, k := range keys {
			if k.Kind != q.Shared || !by.twice && slices.Contains(keys[:i], k) {
				continue
			}
			matches := by.match(&q, r)
			if matches {
				matching[k]++
			}
			if !matches && !by.all {
				continue
			}
			if found[k] == nil {
				found[k] = &contacts.ContactGroup{Key: k}
			}
			found[k].Count++
			found[k].Records = append(found[k].Records, r)
		}
	}
	for k, g := range found {
		if matching[k] >= cmp.Or(by.least, 2) && (!by.all || g.Count > 1) {
			groups = append(groups, *g)
		}
	}
	slices.SortFunc(groups, func(a, b contacts.ContactGroup) int { return cmp.Compare(by.order(a.Key), by.order(b.Key)) })
	return groups
}

// goOnByGroup takes the position of a group for the number of groups before it.
func goOnByGroup(p *process) {
	var mu sync.Mutex
	before := make(map[string]int)
	p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
		if q.Shared == "" {
			return p.data.ListContacts(ctx, q)
		}
		mu.Lock()
		defer mu.Unlock()
		at := before[q.Position]
		whole := q
		whole.Position, whole.Limit = "", at+q.Limit
		list, err := p.data.ListContacts(ctx, whole)
		list.Groups = list.Groups[min(at, len(list.Groups)):]
		if list.Position != "" {
			before[list.Position] = at + len(list.Groups)
		}
		return list, err
	}
}
