package storetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	holdsRule    = "A live contact of the account holds a claim if one of its MatchKeys equals it. No live contact outside the mutation may hold one."
	holdersRule  = "ErrDuplicate comes with the holders of all claims: at most 10 for each claim, in ascending order of id."
	twinRule     = "The outcome of a stored mutation with claims has at most one holder: the deleted contact outside the mutation with the highest id that holds one of them."
	noHolderRule = "No other outcome has holders."
	oneClaimRule = "Of mutations that claim one key for their contacts at the same time, in any number of processes, at most one is stored."
)

var claimCases = []testCase{
	{
		"held or not",
		holdsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			const external, email, number, second = "A-1815", "Ada.Lovelace@Example.com", "+15551234567", "+442079460018"
			holder := named(a, "Ada", func(c *contacts.Contact) {
				c.ExternalID, c.Email = external, email
				c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: number}, {ID: newID(), PhoneNumber: second}}
			})
			s.create(t, holder)
			for _, key := range []contacts.MatchKey{externalKey(external), emailKey(email), emailKey("ADA.LOVELACE@Example.com"), phoneKey(number), phoneKey(second)} {
				for _, m := range []contacts.Mutation{claiming(newContact(a), key), claiming(newContact(a), emailKey("nobody@example.com"), key)} {
					got := s.one(t.Context(), m)
					wantErr(t, fmt.Sprintf("Apply with a claim of the %s", key.Kind), got.Err, contacts.ErrDuplicate)
					wantSame(t, "Holders", []contacts.Holder{{Key: len(m.Claims) - 1, ContactID: holder.Contact.ID}}, got.Holders)
				}
			}
			free := []contacts.MatchKey{
				{Kind: contacts.KeyEmail, Value: email}, // not in the form in which addresses are compared
				emailKey("ada.lovelace@example.com"),    // another domain, to the letter
				phoneKey(emailKey(email).Value), {Kind: contacts.KeyEmail, Value: number}, {Kind: "name", Value: "Ada"},
				externalKey(strings.ToLower(external)), externalKey(email), externalKey(number), phoneKey(external), emailKey(external),
				phoneKey(number + "0"), phoneKey(number[:len(number)-1]), phoneKey(""), emailKey(""),
			}
			s.wantStored(t, claiming(newContact(a), free...))
			// What is claimed is no more than looked at.
			for _, key := range free {
				s.wantStored(t, claiming(newContact(a), key))
			}

			// A claim of its own key, or of one that it had before, is no conflict.
			own := changeOf(holder, func(c *contacts.Contact) { c.Email, c.PhoneNumbers = "new@example.com", c.PhoneNumbers[:1] })
			m := update(own)
			m.Claims = append(holder.MatchKeys(), own.Record.MatchKeys()...)
			m.Claims = slices.Compact(slices.SortedFunc(slices.Values(m.Claims), func(x, y contacts.MatchKey) int { return cmp.Compare(x.Value, y.Value) }))
			s.wantStored(t, m)
			s.wantStored(t, claiming(newContact(a), emailKey(email), phoneKey(second)))
			s.wantRefused(t, claiming(newContact(a), emailKey("new@example.com")), contacts.ErrDuplicate)

			// Deleted contacts hold nothing, until they are restored.
			gone := changeOf(own.Record, deleted(noon))
			s.update(t, gone)
			heir := claiming(named(a, "heir", func(c *contacts.Contact) { c.Email = "new@example.com" }), emailKey("new@example.com"))
			got := s.one(t.Context(), heir)
			wantErr(t, "Apply with a claim that a deleted contact has", got.Err, nil)
			back := update(changeOf(gone.Record, restored))
			back.Claims = back.Contacts[0].Record.MatchKeys()
			got = s.one(t.Context(), back)
			wantErr(t, "Apply of a restoration whose key was taken meanwhile", got.Err, contacts.ErrDuplicate)
			wantSame(t, "Holders", []contacts.Holder{{Key: slices.Index(back.Claims, heir.Claims[0]), ContactID: heir.Contacts[0].ID}}, got.Holders)
			s.update(t, changeOf(heir.Contacts[0].Record, deleted(noon)))
			got = s.one(t.Context(), back)
			wantErr(t, "Apply of a restoration whose key is free again", got.Err, nil)
			s.wantRefused(t, claiming(newContact(a), emailKey("new@example.com")), contacts.ErrDuplicate)

			// Without a claim, two may have one key.
			twice := named(a, "twice", func(c *contacts.Contact) { c.Email = "new@example.com" })
			s.wantStored(t, create(twice))
		},
	},
	{
		"a refusal leaves no key",
		holdsRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			holder := named(a, "holder", func(c *contacts.Contact) { c.Email = "ada@example.com" })
			s.create(t, holder)
			refused := func(change func(*contacts.Mutation)) contacts.Mutation {
				m := claiming(named(a, "refused", func(c *contacts.Contact) { c.Email = "grace@example.com" }), emailKey("grace@example.com"))
				change(&m)
				return m
			}
			for _, m := range []contacts.Mutation{
				refused(func(m *contacts.Mutation) { m.Claims = append(m.Claims, emailKey("ada@example.com")) }),
				refused(func(m *contacts.Mutation) { m.Settings = 9 }),
				refused(func(m *contacts.Mutation) { m.Contacts[0].Record.Contact.TeamID = 9 }),
				refused(func(m *contacts.Mutation) { m.Contacts = append(m.Contacts, changeOf(newContact(a), nil)) }),
				refused(func(m *contacts.Mutation) {
					m.Journal = []contacts.JournalEntry{{Sequence: 9, Kind: contacts.JournalEvent}}
				}),
			} {
				if err := s.one(t.Context(), m).Err; err == nil {
					t.Error("Apply of a mutation with something wrong: no error")
				}
			}
			s.wantStored(t, refused(func(*contacts.Mutation) {}))
			// The keys that a change took away are free.
			change := update(changeOf(holder, func(c *contacts.Contact) { c.Email = "" }))
			s.wantStored(t, change)
			s.wantStored(t, claiming(newContact(a), emailKey("ada@example.com")))
		},
	},
	{
		"holders",
		holdersRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1, 2)
			const email, number = "ada@example.com", "+15551234567"
			var byMail, byNumber, others []*contacts.ContactRecord
			for i := range 13 {
				byMail = append(byMail, named(a, "by mail", func(c *contacts.Contact) {
					c.ID, c.Email, c.TeamID = idAt(byte(i*97)), email, int64(i%3)
				}))
			}
			for i := range 3 {
				byNumber = append(byNumber, named(a, "by number", func(c *contacts.Contact) {
					c.ID = idAt(byte(i * 97))
					// One has it twice, and counts once.
					c.PhoneNumbers = slices.Repeat([]contacts.PhoneNumber{{ID: newID(), PhoneNumber: number}}, 1+i%2)
					c.PhoneNumbers[len(c.PhoneNumbers)-1].ID = newID()
				}))
				others = append(others, named(a, "deleted", func(c *contacts.Contact) { c.ID, c.Email, c.DeletedAt = idAt(0xff), email, noon }))
			}
			byNumber[0].Contact.Email = email // holds two
			byMail = append(byMail, byNumber[0])
			for _, records := range [][]*contacts.ContactRecord{byMail[:9], others, byNumber, byMail[9:13]} {
				s.create(t, records...)
			}
			holders := func(key int, records []*contacts.ContactRecord) (all []contacts.Holder) {
				for _, r := range records {
					all = append(all, contacts.Holder{Key: key, ContactID: r.Contact.ID, TeamID: r.Contact.TeamID})
				}
				slices.SortFunc(all, func(x, y contacts.Holder) int { return bytes.Compare(x.ContactID[:], y.ContactID[:]) })
				return all[:min(10, len(all))]
			}
			want := append(holders(1, byMail), holders(2, byNumber)...)
			m := claiming(newContact(a), emailKey("nobody@example.com"), emailKey(email), phoneKey(number))
			outcomes := s.outcomes(t, batchOf(m))
			wantErrs(t, outcomes, contacts.ErrDuplicate)
			wantSame(t, "Holders", want, outcomes[0].Holders)
			// One that is in the mutation is none of them, and one more comes in its place.
			change := update(changeOf(slices.MinFunc(byMail, func(x, y *contacts.ContactRecord) int { return -newestFirst(x, y) }), nil))
			change.Claims = []contacts.MatchKey{emailKey(email)}
			got := s.one(t.Context(), change)
			wantErr(t, "Apply", got.Err, contacts.ErrDuplicate)
			rest := slices.DeleteFunc(slices.Clone(byMail), func(r *contacts.ContactRecord) bool { return r.Contact.ID == change.Contacts[0].ID })
			wantSame(t, "Holders outside the mutation", holders(0, rest), got.Holders)
		},
	},
	{
		"deleted twin",
		twinRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			const email, number = "ada@example.com", "+15551234567"
			twin := func(first byte, change func(*contacts.Contact)) *contacts.ContactRecord {
				r := named(a, "twin", deleted(noon))
				r.Contact.ID = idAt(first)
				change(&r.Contact)
				return r
			}
			byMail := func(c *contacts.Contact) { c.Email = email }
			byNumber := func(c *contacts.Contact) {
				c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: number}}
				c.DeletedAt = noon.AddDate(-1, 0, 0) // the id says which is the newest
				c.TeamID = 1
			}
			oldest, middle, newest := twin(1, byMail), twin(0x7f, byMail), twin(0x80, byNumber)
			s.create(t, newest, oldest, middle, named(a, "other", nil))
			claim := []contacts.MatchKey{emailKey("nobody@example.com"), emailKey(email), phoneKey(number)}
			check := func(m contacts.Mutation, want ...contacts.Holder) {
				t.Helper()
				got := s.one(t.Context(), m)
				wantErr(t, "Apply", got.Err, nil)
				wantSame(t, "Holders", want, got.Holders)
			}
			check(claiming(newContact(a), claim...), contacts.Holder{Key: 2, ContactID: newest.Contact.ID, TeamID: 1, Deleted: true})
			check(claiming(newContact(a), claim[:2]...), contacts.Holder{Key: 1, ContactID: middle.Contact.ID, Deleted: true})
			check(claiming(newContact(a), claim[:1]...))
			check(create(newContact(a))) // nothing is claimed
			// The mutation's own contacts are not among them.
			restoration := update(changeOf(newest, restored))
			restoration.Claims = claim
			check(restoration, contacts.Holder{Key: 1, ContactID: middle.Contact.ID, Deleted: true})
			removal := mutationOf(a, creationOf(newContact(a)), removalOf(middle))
			removal.Claims = claim[1:2]
			check(removal, contacts.Holder{ContactID: oldest.Contact.ID, Deleted: true})
			s.remove(t, oldest)
			check(claiming(newContact(a), claim[1:2]...))
			// A refused mutation names those that hold its claims, and no other.
			back := named(a, "back", func(c *contacts.Contact) { c.Email, c.DeletedAt = email, noon })
			s.create(t, back)
			got := s.one(t.Context(), claiming(newContact(a), claim[1:]...))
			wantErr(t, "Apply", got.Err, contacts.ErrDuplicate)
			wantSame(t, "Holders", []contacts.Holder{{Key: 1, ContactID: newest.Contact.ID, TeamID: 1}}, got.Holders)
		},
	},
	{
		"no holders of what is refused otherwise",
		noHolderRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			gone := named(a, "gone", func(c *contacts.Contact) { c.Email, c.DeletedAt = "ada@example.com", noon })
			live := named(a, "live", func(c *contacts.Contact) { c.Email = "grace@example.com" })
			s.create(t, gone, live)
			missing := contacts.JournalEntry{Sequence: 9, Kind: contacts.JournalEvent}
			for _, address := range []string{"ada@example.com", "grace@example.com"} {
				for name, c := range map[string]struct {
					want   error
					spoilt func(*contacts.Mutation)
				}{
					"an old settings version":  {contacts.ErrStale, func(m *contacts.Mutation) { m.Settings = 9 }},
					"an unknown team":          {contacts.ErrTeamNotFound, func(m *contacts.Mutation) { m.Contacts[0].Record.Contact.TeamID = 9 }},
					"a contact that is there":  {contacts.ErrExists, func(m *contacts.Mutation) { m.Contacts = append(m.Contacts, creationOf(live)) }},
					"an entry that is missing": {contacts.ErrNotFound, func(m *contacts.Mutation) { m.Journal = append(m.Journal, newEntry(1), missing) }},
				} {
					if errors.Is(c.want, contacts.ErrNotFound) && address == "grace@example.com" {
						continue // its claim is refused first
					}
					m := claiming(newContact(a), emailKey(address))
					c.spoilt(&m)
					got := s.one(t.Context(), m)
					wantErr(t, "Apply of a mutation with "+name, got.Err, c.want)
					wantSame(t, "the rest of the outcome", contacts.MutationOutcome{}, withoutErr(got))
				}
			}
			s.wantStored(t, claiming(newContact(a), emailKey("nobody@example.com")))
		},
	},
	{
		"one number twice",
		holdsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			const number, other = "+15551234567", "+15557654321"
			phones := func(numbers ...string) func(*contacts.Contact) {
				return func(c *contacts.Contact) {
					c.PhoneNumbers = nil
					for _, n := range numbers {
						c.PhoneNumbers = append(c.PhoneNumbers, contacts.PhoneNumber{ID: newID(), PhoneNumber: n})
					}
				}
			}
			first, second := named(a, "first", phones(number, number)), named(a, "second", phones(other, number, number))
			s.create(t, first, second)
			for _, step := range [][]string{
				{number}, {number, number}, {other, number}, {number, number}, {number, other, number}, {other, other}, {number, number}, {number, number, number}, {},
			} {
				c := changeOf(first, phones(step...))
				s.update(t, c)
				first = c.Record
				for _, n := range []string{number, other} {
					var want []contacts.Holder
					var records []*contacts.ContactRecord
					for _, r := range []*contacts.ContactRecord{first, second} { // in ascending order of id
						if slices.Contains(r.MatchKeys(), phoneKey(n)) {
							want = append(want, contacts.Holder{ContactID: r.Contact.ID})
							records = append(records, r)
						}
					}
					got := s.one(t.Context(), claiming(newContact(a), phoneKey(n)))
					wantErr(t, "Apply", got.Err, contacts.ErrDuplicate)
					wantSame(t, fmt.Sprintf("Holders of %s when the first has %v", n, step), want, got.Holders)
					slices.Reverse(records)
					for _, q := range []contacts.ContactQuery{{PhoneNumber: n}, {MatchKeys: []contacts.MatchKey{phoneKey(n)}}} {
						q.AccountID, q.Limit, q.Count = a, 9, true
						wantSame(t, "ListContacts", contacts.ContactList{Records: records, Count: len(records)}, s.listContacts(t, q))
					}
				}
			}
			// The keys of one that is removed are free, each of them.
			s.remove(t, second)
			s.wantStored(t, claiming(newContact(a), phoneKey(number), phoneKey(other)))
		},
	},
	{
		"removed ones hold nothing",
		holdsRule + " A change without a Record removes the contact with all that is kept of it.",
		func(t *test, s *store) {
			a := s.tenant(t)
			for _, at := range []time.Time{{}, noon} {
				doomed := newFullContact(a, 0)
				doomed.Contact.DeletedAt = at
				s.create(t, doomed)
				s.remove(t, doomed)
				probe := newContact(a)
				s.wantStored(t, claiming(probe, doomed.MatchKeys()...))
				s.remove(t, probe)
			}
		},
	},
	{
		"without a record",
		holdsRule + " That holds for a mutation that stores no contact, too.",
		func(t *test, s *store) {
			a := s.tenant(t)
			number := func(c *contacts.Contact) {
				c.PhoneNumbers = []contacts.PhoneNumber{{ID: newID(), PhoneNumber: "+15551234567"}}
			}
			doomed, relative := named(a, "doomed", number), named(a, "relative", number)
			s.create(t, doomed, relative)
			removal := mutationOf(a, removalOf(doomed))
			note := contacts.Mutation{AccountID: a, Journal: []contacts.JournalEntry{newEntry(1)}}
			removal.Claims, note.Claims = []contacts.MatchKey{phoneKey("+15551234567")}, []contacts.MatchKey{phoneKey("+15551234567")}
			refused := func(m contacts.Mutation, holders ...contacts.Holder) {
				t.Helper()
				got := s.one(t.Context(), m)
				wantErr(t, "Apply", got.Err, contacts.ErrDuplicate)
				wantSame(t, "Holders", holders, got.Holders)
			}
			refused(removal, contacts.Holder{ContactID: relative.Contact.ID})
			refused(note, contacts.Holder{ContactID: doomed.Contact.ID}, contacts.Holder{ContactID: relative.Contact.ID})
			gone := changeOf(relative, deleted(noon))
			s.update(t, gone)
			for _, m := range []contacts.Mutation{removal, note} {
				wantErr(t, "Apply when no live contact holds the key", s.one(t.Context(), m).Err, nil)
			}
		},
	},
	{
		"to the byte",
		bytesRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			long := strings.Repeat("y", 3000)
			alike := append([]string{
				"Zoë", "Zoe\u0308", "Zoe", "x", "x ", " x", "Å", "\u212b", "1", "01", "%", "_", "ı", "i", "K", "\u212a", "straße", "strasse", long, long + "y",
			}, hostile...)
			slices.Sort(alike)
			alike = slices.Compact(alike)
			var mutations []contacts.Mutation
			for i, text := range alike {
				r := named(a, fmt.Sprint(i), func(c *contacts.Contact) {
					c.ExternalID, c.PhoneNumbers = text, []contacts.PhoneNumber{{ID: newID(), PhoneNumber: text}}
				})
				mutations = append(mutations, claiming(r, phoneKey(text), externalKey(text)))
			}
			s.apply(t, mutations...)
			for i, o := range s.outcomes(t, batchOf(each(func(text string) contacts.Mutation { return claiming(newContact(a), phoneKey(text), externalKey(text)) }, alike...)...)) {
				wantErr(t, "Apply with claims that are held", o.Err, contacts.ErrDuplicate)
				id := mutations[i].Contacts[0].ID
				wantSame(t, "Holders", []contacts.Holder{{Key: 0, ContactID: id}, {Key: 1, ContactID: id}}, o.Holders)
			}
		},
	},
	{
		"many claims",
		holdsRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var holders []*contacts.ContactRecord
			var claims []contacts.MatchKey
			for i := range 200 {
				address := fmt.Sprintf("%d@example.com", i)
				claims = append(claims, emailKey(address))
				if i%50 == 7 {
					holders = append(holders, named(a, "", func(c *contacts.Contact) { c.Email = address }))
				}
			}
			s.create(t, holders...)
			got := s.one(t.Context(), claiming(newContact(a), claims...))
			wantErr(t, "Apply", got.Err, contacts.ErrDuplicate)
			var want []contacts.Holder
			for i, r := range holders {
				want = append(want, contacts.Holder{Key: 50*i + 7, ContactID: r.Contact.ID})
			}
			wantSame(t, "Holders", want, got.Holders)
		},
	},
	{
		"one key by many",
		oneClaimRule,
		func(t *test, s *store) { oneClaims(t, s) },
	},
	{
		"one key by two processes",
		oneClaimRule,
		func(t *test, s *store) { oneClaims(t, s, s.second(t)) },
	},
	{
		"one key of several by many",
		oneClaimRule,
		func(t *test, s *store) {
			// Neighbours share a key: those that are stored have none in common.
			a := s.tenant(t)
			key := func(i int) contacts.MatchKey { return phoneKey(fmt.Sprint("+1555000", i%many)) }
			ids := make(map[uuid.UUID]int, many)
			mutations := make([]contacts.Mutation, many)
			for i := range mutations {
				r := newContact(a)
				for _, k := range []contacts.MatchKey{key(i), key(i + 1)} {
					r.Contact.PhoneNumbers = append(r.Contact.PhoneNumbers, contacts.PhoneNumber{ID: newID(), PhoneNumber: k.Value})
				}
				mutations[i] = claiming(r, r.MatchKeys()...)
				ids[r.Contact.ID] = i
			}
			outcomes := make([]contacts.MutationOutcome, many)
			together(many, func(i int) { outcomes[i] = s.one(t.Context(), mutations[i]) })
			for i, o := range outcomes {
				next := outcomes[(i+1)%many]
				if o.Err == nil {
					wantErr(t, "a mutation that shares a key with one that is stored", next.Err, contacts.ErrDuplicate)
					continue
				}
				wantErr(t, "Apply", o.Err, contacts.ErrDuplicate)
				for _, h := range o.Holders {
					if holder, ok := ids[h.ContactID]; !ok || outcomes[holder].Err != nil || mutations[holder].Contacts[0].Record.MatchKeys()[1-h.Key] != mutations[i].Claims[h.Key] {
						t.Errorf("mutation %d was refused for claim %d and holder %d, which does not hold it", i, h.Key, holder)
					}
				}
				if len(o.Holders) == 0 {
					t.Errorf("mutation %d was refused without a holder", i)
				}
			}
		},
	},
	{
		"seen by a second process",
		laterReadRule,
		func(t *test, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			key := emailKey("ada@example.com")
			give := func(c *contacts.Contact) { c.Email = "ada@example.com" }
			for i := range 6 {
				writer, reader := both[i%2], both[1-i%2]
				r := named(a, "holder", give)
				s.wantStored(t, claiming(newContact(a), emailKey("nobody@example.com")))
				wantErr(t, "Apply of a claim that is free", writer.one(t.Context(), claiming(r, key)).Err, nil)
				got := reader.one(t.Context(), claiming(newContact(a), key))
				wantErr(t, "Apply of a claim that another process has stored", got.Err, contacts.ErrDuplicate)
				wantSame(t, "Holders", []contacts.Holder{{ContactID: r.Contact.ID}}, got.Holders)
				free := changeOf(r, func(c *contacts.Contact) { c.Email = "" })
				if i%3 == 0 {
					free = changeOf(r, deleted(noon))
				}
				reader.update(t, free)
			}
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			holder, gone := named(a, "", func(c *contacts.Contact) { c.Email = "ada@example.com" }), named(a, "", func(c *contacts.Contact) { c.Email, c.DeletedAt = "grace@example.com", noon })
			s.wantStored(t, claiming(holder, holder.MatchKeys()...))
			s.create(t, gone)
			again := s.reopen(t)
			got := again.one(t.Context(), claiming(newContact(a), emailKey("grace@example.com"), emailKey("ada@example.com")))
			wantErr(t, "Apply", got.Err, contacts.ErrDuplicate)
			wantSame(t, "Holders", []contacts.Holder{{Key: 1, ContactID: holder.Contact.ID}}, got.Holders)
			got = again.one(t.Context(), claiming(newContact(a), emailKey("grace@example.com")))
			wantSame(t, "Apply", contacts.MutationOutcome{Holders: []contacts.Holder{{ContactID: gone.Contact.ID, Deleted: true}}}, got)
		},
	},
}

// restored restores the contact.
func restored(c *contacts.Contact) { c.DeletedAt = time.Time{} }

// oneClaims has many callers, spread over the stores, claim one key at the same
// time: with creates, with changes and with restorations, and some of them all or
// nothing. It checks that one of them is stored, and that the others name it.
func oneClaims(t *test, stores ...*store) {
	t.Helper()
	a := stores[0].tenant(t)
	for round := range 4 {
		address := fmt.Sprintf("%d@example.com", round)
		mutations := make([]contacts.Mutation, many)
		var before []*contacts.ContactRecord
		for i := range mutations {
			give := func(c *contacts.Contact) { c.Email = address }
			switch i % 3 {
			case 0:
				mutations[i] = create(named(a, fmt.Sprint(i), give))
			case 1:
				r := named(a, fmt.Sprint(i), nil)
				before = append(before, r)
				mutations[i] = update(changeOf(r, give))
			default:
				r := named(a, fmt.Sprint(i), deleted(noon))
				r.Contact.Email = address
				before = append(before, r)
				mutations[i] = update(changeOf(r, restored))
			}
			mutations[i].Claims = []contacts.MatchKey{emailKey(address)}
		}
		stores[0].create(t, before...)
		holders := make([][]contacts.Holder, many)
		winner := winnerOf(t, contacts.ErrDuplicate, func(i int) error {
			batch := batchOf(mutations[i])
			batch.AllOrNothing = i/2%2 == 1
			o := stores[i%len(stores)].only(t.Context(), batch)
			holders[i] = o.Holders
			return o.Err
		})
		for i := range holders {
			if i != winner {
				wantSame(t, "Holders of those that were refused", []contacts.Holder{{ContactID: mutations[winner].Contacts[0].ID}}, holders[i])
			}
		}
		for _, s := range stores {
			list := s.listContacts(t, contacts.ContactQuery{AccountID: a, MatchKeys: mutations[winner].Claims, Limit: 9, Count: true})
			wantSame(t, "ListContacts of the key", contacts.ContactList{Records: []*contacts.ContactRecord{mutations[winner].Contacts[0].Record}, Count: 1}, list)
		}
	}
}
