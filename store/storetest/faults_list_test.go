package storetest_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// listingFaults break ListContacts.
var listingFaults = []fault{
	{"lists contacts in reverse", "listing/order", onListed(func(_ contacts.ContactQuery, list *contacts.ContactList) { slices.Reverse(list.Records) })},
	{"lists ids as signed bytes", "listing/order", onListed(func(_ contacts.ContactQuery, list *contacts.ContactList) {
		slices.SortFunc(list.Records, func(x, y *contacts.ContactRecord) int {
			return int(int8(y.Contact.ID[0])) - int(int8(x.Contact.ID[0]))
		})
	})},
	{"lists without phone numbers", "listing/whole records", onListed(func(_ contacts.ContactQuery, list *contacts.ContactList) {
		for _, r := range list.Records {
			r.Contact.PhoneNumbers = nil
		}
	})},
	{"lists without contexts", "listing/whole records", onListed(func(_ contacts.ContactQuery, list *contacts.ContactList) {
		for _, r := range list.Records {
			r.CustomContext = ""
		}
	})},
	{"lists one contact too many", "listing/limit and skip", onQuery(func(q *contacts.ContactQuery) { q.Limit++ })},
	{"skips none", "listing/limit and skip", onQuery(func(q *contacts.ContactQuery) { q.Skip = 0 })},
	{"skips before it filters", "listing/limit and skip", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			whole := q
			whole.Tag, whole.Limit = "", 1<<20
			list, err := p.data.ListContacts(ctx, whole)
			list.Records = slices.DeleteFunc(list.Records, func(r *contacts.ContactRecord) bool { return !q.Matches(r) })
			list.Records = list.Records[:min(q.Limit, len(list.Records))]
			return list, err
		}
	}},
	{"counts the page", "listing/count", onListed(func(q contacts.ContactQuery, list *contacts.ContactList) {
		if q.Count {
			list.Count = len(list.Records)
		}
	})},
	{"counts from the position", "listing/count", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			q.Skip, q.Limit = 0, 1<<20
			rest, _ := p.data.ListContacts(ctx, q)
			if q.Count {
				list.Count = len(rest.Records)
			}
			return list, err
		}
	}},
	{"counts unasked", "listing/limit and skip", onQuery(func(q *contacts.ContactQuery) { q.Count = true })},
	{"repeats the last contact of a page", "listing/pages", onQuery(func(q *contacts.ContactQuery) {
		if q.After != uuid.Nil {
			q.After[15]++
		}
	})},
	{"knows positions of contacts alone", "listing/pages", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			if _, err := p.data.FindContact(ctx, q.AccountID, q.After); err != nil && q.After != uuid.Nil {
				return contacts.ContactList{}, nil
			}
			return p.data.ListContacts(ctx, q)
		}
	}},
	{"starts again when the position has gone", "removal/the next page after what has gone", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			if _, err := p.data.FindContact(ctx, q.AccountID, q.After); err != nil {
				q.After = uuid.Nil
			}
			return p.data.ListContacts(ctx, q)
		}
	}},
	{"ignores external ids", "listing/each filter", onQuery(func(q *contacts.ContactQuery) { q.ExternalID = "" })},
	{"ignores the stage", "listing/each filter", onQuery(func(q *contacts.ContactQuery) { q.Stage = "" })},
	{"finds by the first number alone", "listing/each filter", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		return q.Matches(r) && (q.PhoneNumber == "" || r.Contact.PhoneNumbers[0].PhoneNumber == q.PhoneNumber)
	})},
	{"finds by the first tag alone", "listing/each filter", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		return q.Matches(r) && (q.Tag == "" || r.Contact.Tags[0] == q.Tag)
	})},
	{"filters by a number and nothing else", "listing/filters together", onQuery(func(q *contacts.ContactQuery) {
		if q.PhoneNumber != "" {
			q.Tag, q.Status, q.Search = "", "", ""
		}
	})},
	{"folds letter case in filters", "listing/letter case", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		if q.Email == "" {
			return q.Matches(r)
		}
		folded := *q
		folded.Email = ""
		return folded.Matches(r) && strings.EqualFold(q.Email, r.Contact.Email)
	})},
	{"folds letter case of external ids among match keys", "listing/letter case", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		rest := *q
		rest.MatchKeys = nil
		return q.Matches(r) || rest.Matches(r) && slices.ContainsFunc(q.MatchKeys, func(key contacts.MatchKey) bool {
			return key.Kind == contacts.KeyExternalID && strings.EqualFold(key.Value, r.Contact.ExternalID)
		})
	})},
	{"normalises filters", "listing/alike and different", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		if q.Status == "" {
			return q.Matches(r)
		}
		normal := *q
		normal.Status = ""
		return normal.Matches(r) && strings.ReplaceAll(q.Status, "e\u0308", "ë") == strings.ReplaceAll(r.Contact.Status, "e\u0308", "ë")
	})},
	{"compares text as numbers", "listing/alike and different", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		same := func(x, y string) bool { return x == y || x == "1" && y == "01" }
		loose := *q
		loose.PhoneNumber = ""
		return loose.Matches(r) && (q.PhoneNumber == "" || slices.ContainsFunc(r.Contact.PhoneNumbers, func(p contacts.PhoneNumber) bool { return same(q.PhoneNumber, p.PhoneNumber) }))
	})},
	{"takes a filter for a pattern", "listing/no patterns", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		if q.Tag == "" {
			return q.Matches(r)
		}
		loose := *q
		loose.Tag = ""
		return loose.Matches(r) && slices.ContainsFunc(r.Contact.Tags, func(tag string) bool { return like(q.Tag, tag) })
	})},
	{"trims filters", "listing/hostile text", onQuery(func(q *contacts.ContactQuery) { q.Tag = strings.TrimSpace(q.Tag) })},
	{"takes a search for a pattern", "listing/search", searchWith(func(word string, r *contacts.ContactRecord) bool {
		return like("%"+word+"%", r.SearchText())
	})},
	{"searches for whole words", "listing/search", searchWith(func(word string, r *contacts.ContactRecord) bool {
		return slices.ContainsFunc(strings.Fields(r.SearchText()), func(other string) bool { return strings.HasPrefix(other, word) })
	})},
	{"searches in lower case of ASCII", "listing/search", searchWith(func(word string, r *contacts.ContactRecord) bool {
		lower := strings.Map(func(c rune) rune {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			return c
		}, r.Contact.FirstName+" "+r.Contact.LastName+"\n"+r.Contact.Company+"\n"+r.Contact.Email)
		return strings.Contains(lower, word)
	})},
	{"searches with accents", "listing/search", searchWith(func(word string, r *contacts.ContactRecord) bool {
		return strings.Contains(strings.ToLower(r.Contact.FirstName+" "+r.Contact.LastName+" "+r.Contact.Company+" "+r.Contact.Email), word)
	})},
	{"searches across fields", "listing/search", searchWith(func(word string, r *contacts.ContactRecord) bool {
		return strings.Contains(strings.ReplaceAll(r.SearchText(), " ", ""), word)
	})},
	{"searches the city", "listing/search", searchWith(func(word string, r *contacts.ContactRecord) bool {
		return strings.Contains(r.SearchText()+" "+contacts.FoldSearch(r.Contact.City), word)
	})},
	{"searches for all words in their order", "listing/search", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		return q.Matches(r) && strings.Contains(r.SearchText(), q.Search)
	})},
	{"searches for the first word alone", "listing/search", onQuery(func(q *contacts.ContactQuery) { q.Search, _, _ = strings.Cut(q.Search, " ") })},
	{"searches for any word", "listing/search", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		rest := *q
		rest.Search = ""
		return rest.Matches(r) && (q.Search == "" || slices.ContainsFunc(q.SearchWords(), func(word string) bool { return strings.Contains(r.SearchText(), word) }))
	})},
	{"hides contacts without a team", "listing/visible teams", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		return q.Matches(r) && (r.Contact.TeamID != 0 || q.AllTeams || len(q.Teams) == 0)
	})},
	{"shows every team by a number", "listing/visible teams", onQuery(func(q *contacts.ContactQuery) { q.AllTeams = q.AllTeams || q.PhoneNumber != "" })},
	{"shows all teams where there are none", "listing/visible teams", onQuery(func(q *contacts.ContactQuery) { q.AllTeams = q.AllTeams || len(q.Teams) == 0 })},
	{"takes a thousand teams", "listing/many visible teams", onQuery(func(q *contacts.ContactQuery) { q.Teams = q.Teams[:min(1000, len(q.Teams))] })},
	{"lists no deleted ones", "listing/deleted or not", onQuery(func(q *contacts.ContactQuery) { q.Deleted = false })},
	{"lists deleted ones too", "listing/deleted or not", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		other := *q
		other.Deleted = !q.Deleted
		return q.Matches(r) || other.Matches(r)
	})},
	{"fails to list the contacts of an unknown account", "listing/account unknown", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			if err == nil && len(list.Records) == 0 {
				err = contacts.ErrNotFound
			}
			return list, err
		}
	}},
	{"ignores ids", "listing/each filter", onQuery(func(q *contacts.ContactQuery) { q.IDs = nil })},
	{"ignores match keys", "listing/each filter", onQuery(func(q *contacts.ContactQuery) { q.MatchKeys = nil })},
	{"takes no ids for any", "listing/one of none", onQuery(func(q *contacts.ContactQuery) {
		if len(q.IDs) == 0 {
			q.IDs = nil
		}
	})},
	{"takes no match keys for any", "listing/one of none", onQuery(func(q *contacts.ContactQuery) {
		if len(q.MatchKeys) == 0 {
			q.MatchKeys = nil
		}
	})},
	{"takes a thousand ids", "listing/ids and match keys", onQuery(func(q *contacts.ContactQuery) { q.IDs = q.IDs[max(0, len(q.IDs)-1000):] })},
	{"takes every key of a contact for one kind", "listing/ids and match keys", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		rest := *q
		rest.MatchKeys = nil
		return rest.Matches(r) && (q.MatchKeys == nil || slices.ContainsFunc(q.MatchKeys, func(key contacts.MatchKey) bool {
			return slices.ContainsFunc(r.MatchKeys(), func(own contacts.MatchKey) bool { return own.Value == key.Value })
		}))
	})},
	{"counts a contact for each of its keys", "listing/ids and match keys", onListed(func(q contacts.ContactQuery, list *contacts.ContactList) {
		if q.Count && q.MatchKeys != nil {
			for _, r := range list.Records {
				seen := 0
				for _, key := range r.MatchKeys() {
					if slices.Contains(q.MatchKeys, key) {
						seen++
					}
				}
				list.Count += max(0, seen-1)
			}
		}
	})},
	{"compares stored addresses with match keys", "listing/ids and match keys", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		rest := *q
		rest.MatchKeys = nil
		return rest.Matches(r) && (q.MatchKeys == nil || slices.ContainsFunc(q.MatchKeys, func(key contacts.MatchKey) bool {
			if key.Kind == contacts.KeyEmail {
				return key.Value == r.Contact.Email
			}
			return slices.Contains(r.MatchKeys(), key)
		}))
	})},
	{"ignores when it was deleted", "listing/deleted before", onQuery(func(q *contacts.ContactQuery) { q.DeletedBefore = time.Time{} })},
	{"lists what was deleted at the time", "listing/deleted before", onQuery(func(q *contacts.ContactQuery) {
		if !q.DeletedBefore.IsZero() {
			q.DeletedBefore = q.DeletedBefore.Add(time.Microsecond)
		}
	})},
	{"compares times of deletion in seconds", "listing/deleted before", onQuery(func(q *contacts.ContactQuery) {
		if !q.DeletedBefore.IsZero() {
			q.DeletedBefore = q.DeletedBefore.Truncate(time.Second)
		}
	})},
	{"takes 1970 for no time", "listing/deleted before", onQuery(func(q *contacts.ContactQuery) {
		if q.DeletedBefore.Equal(time.Unix(0, 0)) {
			q.DeletedBefore = time.Time{}
		}
	})},
	{"ignores when it was updated", "listing/each filter", onQuery(func(q *contacts.ContactQuery) { q.UpdatedAfter = time.Time{} })},
	{"lists what was updated at the time", "listing/updated after", onQuery(func(q *contacts.ContactQuery) {
		if !q.UpdatedAfter.IsZero() {
			q.UpdatedAfter = q.UpdatedAfter.Add(-time.Microsecond)
		}
	})},
	{"compares times of updates in seconds", "listing/updated after", onQuery(func(q *contacts.ContactQuery) {
		if !q.UpdatedAfter.IsZero() {
			q.UpdatedAfter = q.UpdatedAfter.Truncate(time.Second)
		}
	})},
	{"takes 1970 for no time of an update", "listing/updated after", onQuery(func(q *contacts.ContactQuery) {
		if q.UpdatedAfter.Equal(time.Unix(0, 0)) {
			q.UpdatedAfter = time.Time{}
		}
	})},
	{"takes the creation for the last update", "listing/updated after", listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		rest := *q
		rest.UpdatedAfter = time.Time{}
		return rest.Matches(r) && (q.UpdatedAfter.IsZero() || r.Contact.CreatedAt.After(q.UpdatedAfter))
	})},
	{"lists deleted ones whenever they were updated", "listing/updated after", onQuery(func(q *contacts.ContactQuery) {
		if q.Deleted {
			q.UpdatedAfter = time.Time{}
		}
	})},
	{"goes on by place", "concurrency/a walk while others write", goOnByPlace},
	{"goes on by place in another process", "concurrency/a walk while another process writes", goOnByPlace},
	{"lists what its own process has stored", "listing/after reopening", keepToItself},
	{"remembers its listings", "listing/seen by a second process", func(p *process) {
		var mu sync.Mutex
		lists := map[string]contacts.ContactList{}
		forget := func() {
			mu.Lock()
			defer mu.Unlock()
			clear(lists)
		}
		onApply(func(a *applying) (outcomes, error) {
			defer forget()
			return a.do()
		})(p)
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			mu.Lock()
			defer mu.Unlock()
			if list, ok := lists[fmt.Sprint(q)]; ok {
				return list, nil
			}
			list, err := p.data.ListContacts(ctx, q)
			lists[fmt.Sprint(q)] = list
			return list, err
		}
	}},
	{"ignores filters of deleted contacts", "listing/each filter of deleted ones", onQuery(func(q *contacts.ContactQuery) {
		if q.Deleted {
			q.Tag, q.Status = "", ""
		}
	})},
}

func onQuery(change func(*contacts.ContactQuery)) func(*process) {
	return func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			change(&q)
			return p.data.ListContacts(ctx, q)
		}
	}
}

func onListed(change func(contacts.ContactQuery, *contacts.ContactList)) func(*process) {
	return func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			change(q, &list)
			return list, err
		}
	}
}

// listWith lists what matches.
func listWith(match func(*contacts.ContactQuery, *contacts.ContactRecord) bool) func(*process) {
	return func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (list contacts.ContactList, err error) {
			all, err := p.allContacts(ctx, q.AccountID)
			for _, r := range all {
				if !match(&q, r) {
					continue
				}
				if q.Count {
					list.Count++
				}
				switch {
				case q.After != uuid.Nil && bytes.Compare(r.Contact.ID[:], q.After[:]) >= 0:
				case q.Skip > 0:
					q.Skip--
				case len(list.Records) < q.Limit:
					list.Records = append(list.Records, r)
				}
			}
			return list, err
		}
	}
}

// searchWith lists what has each word of the search, and matches the rest of the
// query.
func searchWith(has func(word string, r *contacts.ContactRecord) bool) func(*process) {
	return listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		rest := *q
		rest.Search = ""
		return rest.Matches(r) && !slices.ContainsFunc(q.SearchWords(), func(word string) bool { return !has(word, r) })
	})
}

// like is SQL's.
func like(pattern, text string) bool {
	quoted := strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("(?s)^" + quoted + "$").MatchString(text)
}

// keepListed lists each record once, and from then on the same one.
func keepListed(p *process) {
	var listed sync.Map
	onListed(func(_ contacts.ContactQuery, list *contacts.ContactList) {
		for i, r := range list.Records {
			first, _ := listed.LoadOrStore(r.Contact.ID, r)
			list.Records[i] = first.(*contacts.ContactRecord)
		}
	})(p)
	p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
		if r, ok := listed.Load(id); ok {
			return r.(*contacts.ContactRecord), nil
		}
		return p.data.FindContact(ctx, account, id)
	}
}

// goOnByPlace takes the position of a listing for the number of contacts that
// were before it.
func goOnByPlace(p *process) {
	var mu sync.Mutex
	places := map[string]int{}
	p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
		mu.Lock()
		defer mu.Unlock()
		place := func(id uuid.UUID) string { return fmt.Sprint(q.AccountID, q.Tag, q.Search, q.Limit, id) }
		before := places[place(q.After)]
		whole := q
		whole.After, whole.Skip = uuid.Nil, before+q.Skip
		list, err := p.data.ListContacts(ctx, whole)
		if n := len(list.Records); n > 0 {
			maps.DeleteFunc(places, func(string, int) bool { return q.After == uuid.Nil }) // a new walk
			places[place(list.Records[n-1].Contact.ID)] = whole.Skip + n
		}
		return list, err
	}
}
