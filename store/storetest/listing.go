package storetest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	listingRule = "ListContacts returns the contacts of an account that match every field of the query, in descending order of id, at most Limit. A field with the zero value matches everything, unless it says otherwise."
	bytesRule   = "Text is compared byte for byte."
	noneOfRule  = "IDs and MatchKeys that are empty and not nil match nothing."
	goesOnRule  = "The next page starts after the last id of this one, so concurrent writes never make a listing skip or repeat a contact."
)

var listingCases = []testCase{
	{
		"order",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			// Both sides of a sign bit, in no order, and in several calls.
			for _, first := range []byte{0x80, 0x01, 0xfe, 0x7f, 0x40} {
				r := newContact(a)
				r.Contact.ID = idAt(first)
				records = append(records, r)
				s.create(t, r)
				s.wantListed(t, contacts.ContactQuery{AccountID: a, Limit: 9}, records...)
			}
		},
	},
	{
		"whole records",
		"Fidelity: a record comes back equal, field by field.",
		func(t *test, s *store) {
			a := s.tenant(t, 1<<53+1)
			bare := &contacts.ContactRecord{Contact: contacts.Contact{ID: newID(), AccountID: a}}
			full := newFullContact(a, 1<<53+1)
			empty := newContact(a)
			empty.Contact.Tags, empty.Contact.PhoneNumbers = []string{}, []contacts.PhoneNumber{}
			records := []*contacts.ContactRecord{bare, full, empty}
			for _, text := range hostile {
				r := newContact(a)
				r.Contact.Company, r.Contact.Tags = text, []string{text}
				r.Contact.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: text, PhoneType: text}}
				records = append(records, r)
			}
			s.create(t, records...)
			empty.Contact.Tags, empty.Contact.PhoneNumbers = nil, nil
			s.wantListed(t, contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 100}, records...)
		},
	},
	{
		"limit and skip",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			for _, tag := range []string{"", "vip"} {
				for _, limit := range []int{1, 2, 5, len(records) - 1, len(records), len(records) + 1, math.MaxInt} {
					for _, skip := range []int{0, 1, 2, 4, len(records) - 2, len(records) - 1, len(records), math.MaxInt} {
						s.wantListed(t, contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: tag, Skip: skip, Limit: limit}, records...)
					}
				}
			}
		},
	},
	{
		"count",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			for _, q := range filters(records[0]) {
				q.AccountID, q.AllTeams, q.Count = a, true, true
				for _, q.Limit = range []int{1, 100} {
					for _, q.Skip = range []int{0, 1, 100} {
						for _, q.After = range []uuid.UUID{{}, records[1].Contact.ID, idAt(0)} {
							s.wantListed(t, q, records...) // how many match in all, whatever the page
						}
					}
				}
			}
		},
	},
	{
		"pages",
		goesOnRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			for _, tag := range []string{"", "vip"} {
				q := contacts.ContactQuery{AccountID: a, AllTeams: true, Tag: tag, Limit: 100}
				whole := s.listContacts(t, q).Records
				for q.Limit = 1; q.Limit <= len(records); q.Limit++ {
					var got []*contacts.ContactRecord
					q.After = uuid.Nil
					for range len(records) + 1 {
						page := s.listContacts(t, q).Records
						if len(page) == 0 {
							break
						}
						got = append(got, page...)
						q.After = page[len(page)-1].Contact.ID
					}
					wantSame(t, fmt.Sprintf("all pages of %d", q.Limit), whole, got)
				}
			}
			// The position need not be that of a contact, and the rest of the
			// page may be left out too.
			for _, after := range []uuid.UUID{idAt(0), idAt(0xff), idAt(0x50), records[0].Contact.ID} {
				for skip := range 3 {
					s.wantListed(t, contacts.ContactQuery{AccountID: a, AllTeams: true, After: after, Skip: skip, Limit: 3}, records...)
				}
			}
		},
	},
	{
		"each filter",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1, 2)
			records := s.createMixed(t, a)
			for name, q := range filters(records[0]) {
				q.AccountID, q.AllTeams, q.Limit = a, true, 100
				s.wantListed(t, q, records...)
				if n := len(listed(q, records).Records); n == 0 || n == len(records) && name != "none" {
					t.Fatalf("the filter by %s tells nothing apart", name)
				}
			}
			for name, q := range map[string]contacts.ContactQuery{
				"status": {Status: "lost"}, "stage": {Stage: "none"}, "email": {Email: "nobody@example.com"}, "external id": {ExternalID: "A-18"},
				"tag": {Tag: "nothing"}, "number": {PhoneNumber: "+15550000000"}, "team": {TeamID: 2}, "search": {Search: "nobody"},
			} {
				q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 100, true
				wantSame(t, "ListContacts by a "+name+" that none has", contacts.ContactList{}, s.listContacts(t, q))
			}
		},
	},
	{
		"filters together",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			one := records[0]
			all := filters(one)
			for x, qx := range all {
				for y, qy := range all {
					if x < y {
						s.wantListed(t, both(a, qx, qy), records...)
					}
				}
			}
			var every contacts.ContactQuery
			for name, q := range all {
				if !strings.HasPrefix(name, "second") {
					every = both(a, every, q)
				}
			}
			s.wantListed(t, every, records...)
			if n := len(listed(every, records).Records); n == 0 {
				t.Fatal("all filters together do not match the contact that they are made of")
			}
		},
	},
	{
		"letter case",
		bytesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantToldApart(t, a, "vip", "VIP", "Vip", "vIP", "straße", "STRASSE", "strasse", "ı", "i", "I", "İ", "σ", "ς", "Σ", "ﬀ", "ff", "K", "\u212A")
		},
	},
	{
		"alike and different",
		bytesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantToldApart(t, a, "Zoë", "Zoe\u0308", "Zoe", "x", "x ", " x", "x\u200b", "Å", "\u212b", "１", "1", "01", "1.0", "1e0", "true")
		},
	},
	{
		"no patterns",
		bytesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantToldApart(t, a, "%", "_", "100%", "100x", "a_c", "abc", "*", "?", "[a-c]", "a", "^a", ".*", `\`, `\\`, `\%`, `%%`, `a\_c`)
		},
	},
	{
		"hostile text",
		bytesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.wantToldApart(t, a, hostile...)
		},
	},
	{
		"search",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for _, c := range []contacts.Contact{
				{FirstName: "Ada", LastName: "Lovelace", Company: "Analytical Engines", Email: "ada@example.com"},
				{FirstName: "ADA", Email: "countess@Example.COM"},
				{LastName: "Adamson"},
				{FirstName: "Madame", LastName: "Tussaud", Company: "100% Wax_Works \\ Sons"},
				{FirstName: "Zoë", LastName: "Straße", Company: "Ελλάς ΟΔΟΣ"},
				{FirstName: "ZOE\u0308", LastName: "STRASSE", Company: "ελλάς οδος"},
				{FirstName: "İrem", LastName: "Iıi", Company: "ﬁnance ﬀ"},
				{FirstName: "日本", LastName: "太郎", Company: "\u1112\u1161\u11ab 한국"},
				{FirstName: "O'Brien", LastName: `"Bo" b`, Company: "x' OR '1'='1", Email: "o'brien@example.com"},
				{FirstName: "Ada-Lovelace", LastName: "", Company: "👍🏽 ltd", Email: "a+b_c@example.com"},
				{FirstName: "NULL", LastName: "null", City: "Paris", Address: "Ada", Tags: []string{"lovelace"}, Status: "wax"},
				{FirstName: "Ｎúñez", LastName: "Łukasz  Øre", Company: "جَبَّار و أحمد", Email: "bob@bücher.example"},
				{FirstName: "Nunez,\u00a0Lukasz", LastName: "O’Neil", Company: "שָׁלוֹם\u200d ™"},
			} {
				c.ID, c.AccountID, c.Version = newID(), a, 1
				records = append(records, &contacts.ContactRecord{Contact: c, CustomContext: `{"a":"tussaud"}`})
			}
			s.create(t, records...)
			for _, text := range []string{
				"ada", "ada l", "lovelace", "lovelace ada", "ace ada", "ada ada", "ada lovelace analytical", "engines ada@ lace", "lovelaceanalytical", "adalovelace",
				"ada nobody", "nobody ada", "ada lovelace engines nobody", "engines", "@example.com", "@", ".", "a", "", "adam", "madam", "ada-", "-lovelace", "x",
				"%", "100%", "_", "wax_works", "wax%", "waxxworks", `\`, `\\`, `\ s`, "%a", "a%", "_da", "*", "ada*", "ada or", `"ada"`, "ada not x", "ada:", "^ada", "(", ")",
				"'", "''", `"`, `"bo"`, "o'b", "' or '", "1'='1", ";", "--",
				"zoë", "zoe", "zoe\u0308", "ZOË STRASSE", "strasse zoë", "strasse", "straße", "ß", "ss", "ελλάσ", "ελλάς", "οδοσ", "οδ", "λλ",
				"i", "i\u0307", "ı", "irem", "fi", "ff", "ﬁ", "日", "日本 太", "本", "한", "한국", "\u1112\u1161\u11ab", "\u1112", "👍", "👍🏽", "🏽", "ltd",
				"null", "null null", "paris", "wax", "tussaud", "+", "a+b_c", "a+bxc", "n/a",
				"nunez", "NÚÑEZ", "lukasz nunez", "øre", "o'neil", "جبار", "احمد", "أَحْمَد", "שלום", "bucher", "bücher nunez", "tm", "100% wax_ _works", `\ s 100%`, "' or '1'='1",
				"a b c d e f g h i j k l m n o p q r s t u v w x y z", strings.TrimSpace(strings.Repeat("ada ", 50)), "a d c o l n",
			} {
				s.wantListed(t, contacts.ContactQuery{AccountID: a, Search: contacts.FoldSearch(text), Limit: 100, Count: true}, records...)
			}
		},
	},
	{
		"visible teams",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1, 2, 1<<53+1)
			var records []*contacts.ContactRecord
			for _, team := range []int64{0, 1, 2, 1<<53 + 1, 1, 0} {
				records = append(records, named(a, "Ada", func(c *contacts.Contact) {
					c.TeamID, c.Tags, c.Email = team, []string{"vip"}, "ada@example.com"
					c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: "+15551234567"}}
				}))
			}
			s.create(t, records...)
			for _, q := range []contacts.ContactQuery{
				{}, {AllTeams: true}, {Teams: []int64{}}, {Teams: []int64{1}}, {Teams: []int64{2, 1}}, {Teams: []int64{1<<53 + 1}}, {Teams: []int64{1 << 53}},
				{Teams: []int64{99}}, {Teams: []int64{0}}, {Teams: []int64{2}, AllTeams: true}, {Teams: []int64{1, 1, 1}},
				{TeamID: 1}, {TeamID: 1, Teams: []int64{2}}, {TeamID: 2, Teams: []int64{1, 2}}, {TeamID: 1, AllTeams: true}, {TeamID: 99, AllTeams: true},
			} {
				for _, by := range []contacts.ContactQuery{{}, {Tag: "vip"}, {Email: "ada@example.com"}, {PhoneNumber: "+15551234567"}, {Search: "ada"}} {
					by.AccountID, by.Teams, by.AllTeams, by.TeamID, by.Limit, by.Count = a, q.Teams, q.AllTeams, q.TeamID, 100, true
					s.wantListed(t, by, records...)
				}
			}
		},
	},
	{
		"many visible teams",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 39_999, 40_000)
			records := []*contacts.ContactRecord{newContact(a), newContact(a), newContact(a)}
			records[1].Contact.TeamID, records[2].Contact.TeamID = 39_999, 40_000
			s.create(t, records...)
			q := contacts.ContactQuery{AccountID: a, Limit: 9, Count: true}
			for id := range int64(39_999) { // all but the last
				q.Teams = append(q.Teams, id+1)
			}
			s.wantListed(t, q, records...)
		},
	},
	{
		"deleted or not",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			full := newFullContact(a, 0)
			full.Contact.DeletedAt = noon.Add(2 * time.Microsecond)
			records := []*contacts.ContactRecord{named(a, "kept", nil), named(a, "gone", deleted(noon)), newFullContact(a, 0), full}
			s.create(t, records...)
			for _, gone := range []bool{false, true} {
				s.wantListed(t, contacts.ContactQuery{AccountID: a, Deleted: gone, Limit: 9, Count: true}, records...)
			}
		},
	},
	{
		"each filter of deleted ones",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			var gone []*contacts.ContactRecord
			for i, r := range records {
				r = copyContact(r)
				r.Contact.ID, r.Contact.DeletedAt = newID(), noon.Add(time.Duration(i)*time.Second)
				gone = append(gone, r)
			}
			s.create(t, gone...)
			for _, by := range records[:2] {
				for _, q := range filters(by) {
					for _, q.Deleted = range []bool{false, true} {
						q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 100, true
						s.wantListed(t, q, append(gone, records...)...)
						q.After, q.Skip, q.Limit = idAt(0xf0), 1, 2
						s.wantListed(t, q, append(gone, records...)...)
					}
				}
			}
		},
	},
	{
		"ids and match keys",
		listingRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			one := &records[0].Contact
			number := one.PhoneNumbers[0].PhoneNumber
			twice := named(a, "twice", func(c *contacts.Contact) {
				c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: number}, {ID: newID(), PhoneNumber: number}}
				c.Email = number // an address that looks like a number
			})
			swapped := named(a, "swapped", func(c *contacts.Contact) {
				c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: contacts.MatchEmail(one.Email)}}
			})
			s.create(t, twice, swapped)
			records = append(records, twice, swapped)
			var ids []uuid.UUID
			for _, r := range records {
				ids = append(ids, r.Contact.ID)
			}
			ids = slices.DeleteFunc(ids, func(id uuid.UUID) bool { return id == records[1].Contact.ID })
			manyIDs, manyKeys := slices.Clone(ids[3:]), []contacts.MatchKey{phoneKey(number)}
			for i := range 1000 {
				manyIDs = append(manyIDs, idAt(byte(i)))
				manyKeys = append(manyKeys, emailKey(fmt.Sprintf("%d@example.com", i)))
			}
			for _, q := range []contacts.ContactQuery{
				{IDs: []uuid.UUID{newID(), {}}}, {IDs: ids}, {IDs: append(ids, ids...)}, {IDs: manyIDs},
				{MatchKeys: manyKeys},
				{MatchKeys: []contacts.MatchKey{emailKey(one.Email)}}, {MatchKeys: []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: one.Email}}},
				{MatchKeys: []contacts.MatchKey{phoneKey(number)}}, {MatchKeys: []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: number}}},
				{MatchKeys: []contacts.MatchKey{phoneKey(emailKey(one.Email).Value)}}, {MatchKeys: []contacts.MatchKey{{Kind: "external_id", Value: number}}},
				{MatchKeys: slices.Concat(records[0].MatchKeys(), twice.MatchKeys())}, {MatchKeys: twice.MatchKeys(), IDs: ids[:4]},
				{MatchKeys: records[0].MatchKeys(), Tag: "vip", Search: "ada"}, {IDs: ids, PhoneNumber: number, Status: one.Status},
			} {
				for _, teams := range [][]int64{nil, {1}} {
					for _, q.Deleted = range []bool{false, true} {
						q.AccountID, q.Teams, q.AllTeams, q.Count = a, teams, teams == nil, true
						q.After, q.Skip, q.Limit = uuid.Nil, 0, 100
						s.wantListed(t, q, records...)
						q.After, q.Skip, q.Limit = idAt(0xf0), 1, 2
						s.wantListed(t, q, records...)
					}
				}
			}
		},
	},
	{
		"one of none",
		noneOfRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			noIDs, noKeys := []uuid.UUID{}, []contacts.MatchKey{}
			for _, q := range []contacts.ContactQuery{
				{IDs: noIDs}, {MatchKeys: noKeys}, {IDs: noIDs, MatchKeys: noKeys}, {IDs: noIDs, MatchKeys: records[0].MatchKeys()},
				{IDs: []uuid.UUID{records[0].Contact.ID}, MatchKeys: noKeys}, {IDs: noIDs, Tag: "vip"}, {MatchKeys: noKeys, PhoneNumber: "+15551234567"},
				{MatchKeys: noKeys, Search: "ada", Status: records[0].Contact.Status},
			} {
				for _, q.Deleted = range []bool{false, true} {
					q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 9, true
					wantSame(t, "ListContacts", contacts.ContactList{}, s.listContacts(t, q))
				}
			}
		},
	},
	{
		"deleted before",
		listingRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			last := time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
			records := []*contacts.ContactRecord{
				named(a, "then", deleted(noon)),
				named(a, "just before", deleted(noon.Add(-time.Microsecond))),
				named(a, "long before", deleted(time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC))),
				named(a, "after", deleted(noon.Add(time.Microsecond))),
				named(a, "at the end of time", deleted(last)),
				named(a, "not", nil),
				named(b, "before", deleted(noon.AddDate(-1, 0, 0))),
				named(b, "not", nil),
			}
			s.create(t, records...)
			for _, account := range []uuid.UUID{a, b, newID()} {
				for _, before := range []time.Time{time.Unix(-1, 0).UTC(), time.Unix(0, 0).UTC(), noon, noon.Add(time.Microsecond), last, {}} {
					for _, by := range []contacts.ContactQuery{{}, {Status: "not_contacted"}, {IDs: []uuid.UUID{records[0].Contact.ID, records[1].Contact.ID}}, {Search: "before"}} {
						by.AccountID, by.Deleted, by.DeletedBefore, by.Limit, by.Count = account, true, before, 100, true
						s.wantListed(t, by, records...)
						by.Limit, by.Skip = 2, 1
						s.wantListed(t, by, records...)
					}
				}
			}
		},
	},
	{
		"updated after",
		listingRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 1), s.tenant(t)
			last := time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
			var records []*contacts.ContactRecord
			for _, at := range []time.Time{
				noon, noon.Add(-time.Microsecond), noon.Add(time.Microsecond), noon.Add(time.Hour), last, {},
				time.Unix(0, 0).UTC(), time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
			} {
				updated := func(c *contacts.Contact) {
					c.CreatedAt, c.UpdatedAt, c.Tags, c.Email = noon, at, []string{"vip"}, "ada@example.com"
				}
				records = append(records, named(a, "Ada", updated), named(b, "Ada", updated), named(a, "Ada", func(c *contacts.Contact) {
					updated(c)
					c.DeletedAt, c.TeamID = noon, 1
				}))
			}
			s.create(t, records...)
			change := changeOf(records[0], func(c *contacts.Contact) { c.UpdatedAt = noon.Add(time.Hour) })
			s.update(t, change)
			records[0] = change.Record
			for _, after := range []time.Time{
				time.Unix(-1, 0).UTC(), time.Unix(0, 0).UTC(), noon.Add(-time.Microsecond), noon, noon.Add(time.Microsecond), noon.Add(time.Hour),
				last, time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), {},
			} {
				for _, by := range []contacts.ContactQuery{
					{}, {Deleted: true}, {Deleted: true, DeletedBefore: last}, {Deleted: true, AllTeams: true}, {Tag: "vip"}, {Email: "ada@example.com"},
					{Search: "ada"}, {IDs: []uuid.UUID{records[0].Contact.ID, records[3].Contact.ID}}, {MatchKeys: []contacts.MatchKey{emailKey("ada@example.com")}, AllTeams: true},
				} {
					by.AccountID, by.UpdatedAfter, by.Limit, by.Count = a, after, 100, true
					s.wantListed(t, by, records...)
					by.After, by.Limit, by.Skip = records[len(records)/2].Contact.ID, 2, 1
					s.wantListed(t, by, records...)
				}
			}
		},
	},
	{
		"account unknown",
		"An account that does not exist has none.",
		func(t *test, s *store) {
			a := s.tenant(t)
			s.create(t, newContact(a))
			for _, account := range []uuid.UUID{newID(), {}} {
				for _, q := range []contacts.ContactQuery{{}, {Tag: "vip"}, {Search: "j"}, {Deleted: true}, {MatchKeys: []contacts.MatchKey{phoneKey("+15551234567")}}} {
					q.AccountID, q.AllTeams, q.Limit, q.Count = account, true, 9, true
					wantSame(t, "ListContacts of an unknown account", contacts.ContactList{}, s.listContacts(t, q))
				}
			}
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := s.createMixed(t, a)
			again := s.reopen(t)
			for _, q := range filters(records[0]) {
				q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 100, true
				again.wantListed(t, q, records...)
			}
		},
	},
	{
		"seen by a second process",
		laterReadRule,
		func(t *test, s *store) {
			other := s.second(t)
			a := s.tenant(t, 1)
			var records []*contacts.ContactRecord
			check := func() {
				t.Helper()
				for _, s := range []*store{s, other} {
					for _, q := range filters(records[0]) {
						q.AccountID, q.AllTeams, q.Limit, q.Count = a, true, 100, true
						s.wantListed(t, q, records...)
					}
				}
			}
			records = s.createMixed(t, a)
			check()
			records = append(records, other.createMixed(t, a)...)
			check()
		},
	},
}

// newestFirst is the order of a listing.
func newestFirst(x, y *contacts.ContactRecord) int {
	return bytes.Compare(y.Contact.ID[:], x.Contact.ID[:])
}

// listed returns what the query asks for if these are all contacts.
func listed(q contacts.ContactQuery, all []*contacts.ContactRecord) contacts.ContactList {
	var list contacts.ContactList
	for _, r := range slices.SortedFunc(slices.Values(all), newestFirst) {
		if !q.Matches(r) {
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
	return list
}

// wantListed checks that the query lists what it asks for of all contacts.
func (s *store) wantListed(t *test, q contacts.ContactQuery, all ...*contacts.ContactRecord) {
	t.Helper()
	want, got := listed(q, all), s.listContacts(t, q)
	if len(q.Teams) > 9 {
		q.Teams = q.Teams[:9]
	}
	call := fmt.Sprintf("ListContacts(%.500s)", fmt.Sprintf("%+v", q))
	wantSame(t, call+": the contacts", idsOf(want.Records), idsOf(got.Records))
	wantSame(t, call, want, got)
}

// idsOf returns the ids of records. How two lists of them differ is soon explained.
// How the records themselves differ is not, where there are other ones.
func idsOf(records []*contacts.ContactRecord) (ids []string) {
	for _, r := range records {
		if r == nil {
			ids = append(ids, "nil")
			continue
		}
		ids = append(ids, r.Contact.ID.String())
	}
	return ids
}

// createMixed creates contacts that differ in what a query filters by, in no
// order. The first one is in team 1, and all filters that are made of it match it.
func (s *store) createMixed(t *test, account uuid.UUID) []*contacts.ContactRecord {
	t.Helper()
	one := newFullContact(account, 1)
	var records []*contacts.ContactRecord
	for i, change := range []func(*contacts.Contact){
		func(c *contacts.Contact) {},
		func(c *contacts.Contact) { c.Status = "new" },
		func(c *contacts.Contact) { c.Stage = "lead" },
		func(c *contacts.Contact) { c.Email = "grace@example.com" },
		func(c *contacts.Contact) { c.ExternalID = "a-1815" },
		func(c *contacts.Contact) { c.Tags = []string{"navy", "math"} },
		func(c *contacts.Contact) { c.Tags = nil },
		func(c *contacts.Contact) {
			c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: "+15557654321"}, {ID: newID(), PhoneNumber: "+442079460018"}}
		},
		func(c *contacts.Contact) { c.PhoneNumbers = nil },
		func(c *contacts.Contact) { c.TeamID = 0 },
		func(c *contacts.Contact) { c.FirstName, c.LastName, c.Email = "Grace", "Hopper", "" },
		func(c *contacts.Contact) { c.UpdatedAt = noon },
	} {
		r := copyContact(one)
		r.Contact.ID = idAt(byte(i * 97)) // 0, 97, 194, 35, ...
		change(&r.Contact)
		records = append(records, r)
	}
	s.create(t, records[:4]...)
	s.create(t, records[4:]...)
	return records
}

// filters returns queries by one field each, which match the contact.
func filters(r *contacts.ContactRecord) map[string]contacts.ContactQuery {
	c := &r.Contact
	return map[string]contacts.ContactQuery{
		"none":          {},
		"ids":           {IDs: []uuid.UUID{newID(), c.ID, idAt(0)}},
		"status":        {Status: c.Status},
		"stage":         {Stage: c.Stage},
		"email":         {Email: c.Email},
		"external id":   {ExternalID: c.ExternalID},
		"tag":           {Tag: c.Tags[0]},
		"second tag":    {Tag: c.Tags[1]},
		"number":        {PhoneNumber: c.PhoneNumbers[0].PhoneNumber},
		"match keys":    {MatchKeys: []contacts.MatchKey{phoneKey("+15550000000"), emailKey(c.Email)}},
		"second number": {PhoneNumber: c.PhoneNumbers[1].PhoneNumber},
		"team":          {TeamID: c.TeamID},
		"search":        {Search: contacts.FoldSearch(c.FirstName + " " + c.LastName)},
		"update":        {UpdatedAfter: c.UpdatedAt.Add(-time.Microsecond)},
	}
}

// both returns the query that is narrowed down by both.
func both(account uuid.UUID, x, y contacts.ContactQuery) contacts.ContactQuery {
	or := func(x, y string) string {
		if x == "" {
			return y
		}
		return x
	}
	updated := x.UpdatedAfter
	if y.UpdatedAfter.After(updated) {
		updated = y.UpdatedAfter
	}
	return contacts.ContactQuery{
		AccountID: account, AllTeams: true, Limit: 100, Count: true, UpdatedAfter: updated,
		Deleted: x.Deleted || y.Deleted,
		Status:  or(x.Status, y.Status), Stage: or(x.Stage, y.Stage), Email: or(x.Email, y.Email), ExternalID: or(x.ExternalID, y.ExternalID), Tag: or(x.Tag, y.Tag),
		PhoneNumber: or(x.PhoneNumber, y.PhoneNumber), Search: or(x.Search, y.Search),
		TeamID: max(x.TeamID, y.TeamID),
		IDs:    append(x.IDs, y.IDs...), MatchKeys: append(x.MatchKeys, y.MatchKeys...),
	}
}

// wantToldApart checks that each text, as a status, a stage, an e-mail address, an
// external id, a tag and a number, is found by itself and by none of the others.
func (s *store) wantToldApart(t *test, account uuid.UUID, texts ...string) {
	t.Helper()
	var records []*contacts.ContactRecord
	for _, text := range texts {
		r := newContact(account)
		r.Contact.Status, r.Contact.Stage, r.Contact.Email, r.Contact.ExternalID = text, text, text, text
		r.Contact.Tags = []string{"other", text}
		r.Contact.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: "other"}, {ID: newID(), PhoneNumber: text}}
		records = append(records, r)
	}
	s.create(t, records...)
	for _, text := range texts {
		for _, q := range []contacts.ContactQuery{
			{Status: text}, {Stage: text}, {Email: text}, {ExternalID: text}, {Tag: text}, {PhoneNumber: text},
			{MatchKeys: []contacts.MatchKey{{Kind: contacts.KeyEmail, Value: text}}}, {MatchKeys: []contacts.MatchKey{phoneKey(text)}},
			{MatchKeys: []contacts.MatchKey{externalKey(text)}},
		} {
			q.AccountID, q.Limit, q.Count = account, 100, true
			s.wantListed(t, q, records...)
		}
	}
}

// walkWhileWritten walks the contacts of an account from page to page while
// contacts are created, changed, deleted and removed through the second store. It
// checks that every contact that was there throughout comes exactly once, and
// none twice.
func walkWhileWritten(t *test, s, writer *store) {
	t.Helper()
	const n = 240
	a := s.tenant(t, 1)
	var all, kept, doomed, deleted []*contacts.ContactRecord
	for i := range n {
		r := named(a, fmt.Sprint("Ada ", i), func(c *contacts.Contact) { c.Tags = []string{"vip", "math"} })
		switch i % 3 {
		case 0:
			kept = append(kept, r)
		case 1:
			doomed = append(doomed, r)
		default:
			r.Contact.DeletedAt = noon
			deleted = append(deleted, r)
		}
		all = append(all, r)
	}
	s.create(t, all...)

	var done atomic.Bool
	var writers sync.WaitGroup
	writers.Go(func() { // changes those that stay, again and again
		current := slices.Clone(kept)
		for i := 0; !done.Load() && !t.Failed(); i++ {
			at := i * 7 % len(current)
			c := changeOf(current[at], func(c *contacts.Contact) {
				c.LastName, c.Tags = fmt.Sprint(i), []string{"vip", fmt.Sprint("tag ", i)}
				c.TeamID = 1 - c.TeamID
			})
			wantErr(t, "Apply while others read", writer.one(t.Context(), update(c)).Err, nil)
			current[at] = c.Record
		}
	})
	writers.Go(func() { // deletes and removes others, and creates new ones
		apply := func(m contacts.Mutation) {
			wantErr(t, "Apply while others read", writer.one(t.Context(), m).Err, nil)
		}
		for i, r := range doomed {
			if done.Load() || t.Failed() {
				return
			}
			gone := changeOf(r, func(c *contacts.Contact) { c.DeletedAt = noon })
			apply(update(gone))
			apply(mutationOf(a, removalOf(gone.Record), removalOf(deleted[i])))
			apply(create(named(a, "Grace", func(c *contacts.Contact) { c.Tags = []string{"vip"} })))
			old := newContact(a)
			old.Contact.ID, old.Contact.Tags = idAt(0), []string{"vip"} // after all that is there
			apply(create(old))
		}
	})
	stays := make(map[uuid.UUID]string, len(kept))
	for _, r := range kept {
		stays[r.Contact.ID] = r.Contact.FirstName
	}
	for _, q := range []contacts.ContactQuery{{Limit: 10}, {Tag: "vip", Limit: 7}, {Search: "ada", Limit: 25}, {UpdatedAfter: noon.Add(-time.Second), Limit: 11}, {Limit: 1}} {
		q.AccountID, q.AllTeams = a, true
		seen := make(map[uuid.UUID]bool)
		for pages := 0; pages <= 4*n; pages++ {
			list, err := s.ListContacts(t.Context(), q)
			if err != nil {
				t.Errorf("ListContacts while others write: %v", err)
				break
			}
			if len(list.Records) == 0 {
				break
			}
			for _, r := range list.Records {
				if seen[r.Contact.ID] {
					t.Errorf("a walk over pages of %d gets a contact twice", q.Limit)
				}
				seen[r.Contact.ID] = true
				if name := stays[r.Contact.ID]; name != "" && (name != r.Contact.FirstName || r.Contact.Version > 1 && !strings.HasSuffix(r.Contact.Tags[1], " "+r.Contact.LastName)) {
					t.Errorf("a walk gets a part of a change: %+v", r)
				}
			}
			q.After = list.Records[len(list.Records)-1].Contact.ID
		}
		missing := 0
		for id := range stays {
			if !seen[id] {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("a walk over pages of %d, by tag %q, search %q and update after %v, skips %d of the %d contacts that were there throughout", q.Limit, q.Tag, q.Search, q.UpdatedAfter, missing, len(stays))
		}
	}
	done.Store(true)
	writers.Wait()
}
