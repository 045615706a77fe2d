package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	idempotencyRule = "A record with an idempotency is stored together with it, in one atomic step, unless the account has one of that Key already which has not ended by batch.Now."
	replayRule      = "Then nothing is stored for it, whatever its id and its team: if the Input of both is the same, the outcome holds the earlier one's Result, and no error; if not, the outcome is ErrIdempotencyConflict."
	oneKeyRule      = "Of any number of creates with one Key at the same time, in any number of processes, one stores its contact."
	forgottenRule   = "An idempotency that has ended may be forgotten, and one that has not never is."
)

var idempotencyCases = []testCase{
	{
		"same input",
		idempotencyRule + " " + replayRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			first, again := named(a, "first", nil), named(a, "again", nil)
			s.wantStoredOnce(t, first, onceAs("key"))
			// Whoever sends it again makes another result of it.
			sent := onceAs("key")
			sent.Result, sent.EndsAt = `{"another":"result"}`, sent.EndsAt.Add(time.Hour)
			for range 2 {
				s.wantReplay(t, again, sent, onceAs("key").Result)
			}
			wantSame(t, "ListContacts", []*contacts.ContactRecord{first}, s.allContacts(t, a))
			// Another key is another create, and so is none.
			other := named(a, "other", nil)
			s.wantStoredOnce(t, other, onceAs("other key"))
			s.create(t, again)
			s.wantContacts(t, first, other, again)
		},
	},
	{
		"other input",
		replayRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			first, other := named(a, "first", nil), named(a, "other", nil)
			s.wantStoredOnce(t, first, onceAs("key"))
			for _, bit := range []int{0, 31} {
				sent := onceAs("key")
				sent.Input[bit] ^= 1
				got := s.createOnce(t, other, sent)
				wantErr(t, "CreateContacts of another input", got.Err, contacts.ErrIdempotencyConflict)
				wantSame(t, "Result of another input", "", got.Result)
			}
			wantSame(t, "ListContacts", []*contacts.ContactRecord{first}, s.allContacts(t, a))
			s.wantReplay(t, other, onceAs("key"), onceAs("key").Result)
		},
	},
	{
		"keys to the bit",
		idempotencyRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			first, second := onceAs("key"), onceAs("key")
			second.Key[31] ^= 1
			third := onceAs("key")
			third.Key[0] ^= 0x80
			zero, nearly := onceAs("key"), onceAs("key")
			zero.Key, nearly.Key = [32]byte{}, [32]byte{31: 1}
			for i, once := range []*contacts.Idempotency{first, second, third, zero, nearly} {
				once.Result = fmt.Sprint(i)
				s.wantStoredOnce(t, newContact(a), once)
			}
			for i, once := range []*contacts.Idempotency{first, second, third, zero, nearly} {
				s.wantReplay(t, newContact(a), once, fmt.Sprint(i))
			}
		},
	},
	{
		"ended",
		"unless the account has one of that Key already which has not ended by batch.Now.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			first, ends := named(a, "first", nil), onceAs("key").EndsAt
			s.wantStoredOnce(t, first, onceAs("key"))

			late := onceBatch(named(a, "late", nil), onceAs("key"))
			late.Now = ends.Add(-time.Microsecond)
			late.Idempotencies[0].Result, late.Idempotencies[0].EndsAt = "late", ends.Add(time.Hour)
			late.Idempotencies[0].Input[0]++
			wantErrs(t, s.CreateContacts(t.Context(), late), contacts.ErrIdempotencyConflict)
			s.wantNoContacts(t, late.Records...)

			late.Now = ends // by now it has
			wantSame(t, "CreateContacts when the earlier one has ended", []contacts.ContactOutcome(nil), s.CreateContacts(t.Context(), late))
			s.wantContacts(t, first, late.Records[0])

			// The second one stands in the place of the first.
			sent := onceBatch(named(a, "again", nil), late.Idempotencies[0])
			sent.Now = ends.Add(time.Hour - time.Microsecond)
			wantSame(t, "CreateContacts of the second input", []contacts.ContactOutcome{{Result: "late"}}, s.CreateContacts(t.Context(), sent))
			sent.Now = ends.Add(time.Hour)
			wantSame(t, "CreateContacts when the second has ended", []contacts.ContactOutcome(nil), s.CreateContacts(t.Context(), sent))
			s.wantContacts(t, sent.Records...)
		},
	},
	{
		"scoped by account",
		idempotencyRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			ra, rb := named(a, "Ada", nil), named(b, "Grace", nil)
			s.wantStoredOnce(t, ra, onceAs("key"))
			other := onceAs("key")
			other.Input[0]++
			other.Result = "of the other account"
			s.wantStoredOnce(t, rb, other)
			s.wantReplay(t, newContact(a), onceAs("key"), onceAs("key").Result)
			s.wantReplay(t, newContact(b), other, "of the other account")
			s.wantContacts(t, ra, rb)
		},
	},
	{
		"within a batch",
		"That holds within a batch as well.",
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			first, same, conflict := named(a, "first", nil), named(a, "same", nil), named(a, "conflict", nil)
			foreign, none := named(b, "of another account", nil), named(a, "of no key", nil)
			other := onceAs("key")
			other.Input[0]++
			outcomes := s.CreateContacts(t.Context(), contacts.ContactBatch{
				Records:       []*contacts.ContactRecord{first, same, none, conflict, foreign},
				Idempotencies: []*contacts.Idempotency{onceAs("key"), onceAs("key"), nil, other, onceAs("key")},
				Now:           noon,
			})
			wantErrs(t, outcomes, nil, nil, nil, contacts.ErrIdempotencyConflict, nil)
			for i, want := range []string{"", onceAs("key").Result, "", "", ""} {
				wantSame(t, fmt.Sprint("Result of record ", i), want, outcomes[i].Result)
			}
			s.wantContacts(t, first, foreign, none)
			s.wantNoContacts(t, same, conflict)
		},
	},
	{
		"with and without in a batch",
		"CreateContacts stores the records of the batch, each on its own: one that fails takes no other with it.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			s.wantStoredOnce(t, newContact(a), onceAs("old"))
			fresh, plain, again, homeless := newContact(a), newContact(a), newContact(a), named(a, "", func(c *contacts.Contact) { c.TeamID = 9 })
			outcomes := s.CreateContacts(t.Context(), contacts.ContactBatch{
				Records:       []*contacts.ContactRecord{plain, homeless, again, fresh},
				Idempotencies: []*contacts.Idempotency{nil, onceAs("homeless"), onceAs("old"), onceAs("fresh")},
				Now:           noon,
			})
			wantErrs(t, outcomes, nil, contacts.ErrNotFound, nil, nil)
			wantSame(t, "Result of the one that was sent again", onceAs("old").Result, outcomes[2].Result)
			s.wantContacts(t, plain, fresh)
			s.wantNoContacts(t, homeless, again)
			s.wantReplay(t, newContact(a), onceAs("fresh"), onceAs("fresh").Result)
			s.wantStoredOnce(t, newContact(a), onceAs("homeless"))
		},
	},
	{
		"sent again as it was",
		replayRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newFullContact(a, 0)
			s.wantStoredOnce(t, r, onceAs("key"))
			s.wantReplay(t, r, onceAs("key"), onceAs("key").Result) // though its id is taken
			homeless := named(a, "of a team that is not there", func(c *contacts.Contact) { c.TeamID = 9 })
			s.wantReplay(t, homeless, onceAs("key"), onceAs("key").Result)
			s.wantContacts(t, r)
			s.wantNoContacts(t, homeless)
		},
	},
	{
		"contact changed meanwhile",
		replayRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.wantStoredOnce(t, r, onceAs("key"))
			for _, change := range []func(*contacts.Contact){func(c *contacts.Contact) { c.FirstName = "Jane" }, deleted(noon)} {
				c := changeOf(r, change)
				s.update(t, c)
				r = c.Record
				s.wantReplay(t, newContact(a), onceAs("key"), onceAs("key").Result)
			}
			wantSame(t, "ListContacts", []*contacts.ContactRecord{r}, s.allContacts(t, a))
		},
	},
	{
		"a failure leaves none",
		idempotencyRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			taken := newContact(a)
			s.create(t, taken)
			for name, bad := range map[string]*contacts.ContactRecord{
				"unknown account": newContact(newID()),
				"unknown team":    named(a, "", func(c *contacts.Contact) { c.TeamID = 9 }),
				"taken id":        taken,
			} {
				if got := s.createOnce(t, bad, onceAs(name)); got.Err == nil {
					t.Errorf("CreateContacts with an %s: no error", name)
				}
				good, other := newContact(a), onceAs(name)
				other.Input[0]++ // a mended input is another one
				s.wantStoredOnce(t, good, other)
				s.wantContacts(t, good)
			}
			s.wantContacts(t, taken)
		},
	},
	{
		"cancelled leaves none",
		"A call whose context is done before it started stores nothing.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			other := onceAs("key")
			other.Input[0]++
			wantErrs(t, s.CreateContacts(cancelled, onceBatch(newContact(a), other)), context.Canceled)
			s.wantStoredOnce(t, newContact(a), onceAs("key"))
		},
	},
	{
		"hostile results",
		"text byte for byte whatever it holds (NUL excepted, which never arrives)",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			// A Service keeps JSON in them, which a store has no use for.
			var batch contacts.ContactBatch
			for i, text := range hostile {
				one := onceBatch(newContact(a), onceAs(fmt.Sprint("key ", i)))
				one.Idempotencies[0].Result = text
				batch.Records = append(batch.Records, one.Records...)
				batch.Idempotencies = append(batch.Idempotencies, one.Idempotencies...)
			}
			batch.Now = noon
			if outcomes := s.CreateContacts(t.Context(), batch); outcomes != nil {
				t.Fatalf("CreateContacts: %v", errors.Join(errorsOf(outcomes)...))
			}
			for i, text := range hostile {
				s.wantReplay(t, newContact(a), batch.Idempotencies[i], text)
			}
		},
	},
	{
		"never forgotten before its end",
		forgottenRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			// Some that last among thousands that end at once, and of another
			// account.
			lasting := func(i int) *contacts.Idempotency {
				once := onceAs(fmt.Sprint("lasting ", i))
				once.EndsAt = noon.AddDate(0, 0, 1).Add(time.Duration(i) * time.Microsecond)
				return once
			}
			const rounds = 20
			for i := range rounds {
				batch := onceBatch(newContact(a), lasting(i))
				for j := range 150 {
					short := onceAs(fmt.Sprint("short ", i, j))
					short.EndsAt = noon.Add(time.Duration(i) * time.Second)
					batch.Records = append(batch.Records, newContact([]uuid.UUID{a, b}[j%2]))
					batch.Idempotencies = append(batch.Idempotencies, short)
				}
				batch.Now = noon.Add(time.Duration(i) * time.Minute) // when many have ended
				if outcomes := s.CreateContacts(t.Context(), batch); outcomes != nil {
					t.Fatalf("CreateContacts: %v", errors.Join(errorsOf(outcomes)...))
				}
			}
			for i := range rounds {
				sent := onceBatch(newContact(a), lasting(i))
				sent.Now = noon.AddDate(0, 0, 1).Add(-time.Microsecond) // the last moment of the first
				want := []contacts.ContactOutcome{{Result: lasting(i).Result}}
				wantSame(t, "CreateContacts again", want, s.CreateContacts(t.Context(), sent))
			}
		},
	},
	{
		"one key by many",
		oneKeyRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			oneStores(t, a, s)
		},
	},
	{
		"one key by two processes",
		oneKeyRule,
		func(t *testing.T, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			oneStores(t, a, s, other)
		},
	},
	{
		"one key by many inputs",
		oneKeyRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			records := make([]*contacts.ContactRecord, many)
			for i := range records {
				records[i] = newContact(a)
			}
			winner := winnerOf(t, contacts.ErrIdempotencyConflict, func(i int) error {
				once := onceAs("key")
				once.Input[0] = byte(i)
				return s.createOnce(t, records[i], once).Err
			})
			wantSame(t, "ListContacts", records[winner:winner+1], s.allContacts(t, a))
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			lasting := onceAs("key")
			lasting.EndsAt = noon.AddDate(1000, 0, 0)
			s.wantStoredOnce(t, r, lasting)
			s.wantStoredOnce(t, newContact(a), onceAs("ended"))

			again := s.reopen(t)
			late := onceBatch(newContact(a), lasting)
			late.Now = lasting.EndsAt.Add(-time.Microsecond)
			wantSame(t, "CreateContacts again", []contacts.ContactOutcome{{Result: lasting.Result}}, again.CreateContacts(t.Context(), late))
			other := onceBatch(newContact(a), onceAs("ended"))
			other.Now = other.Idempotencies[0].EndsAt
			other.Idempotencies[0].EndsAt = noon.AddDate(1, 0, 0)
			wantSame(t, "CreateContacts when the earlier one has ended", []contacts.ContactOutcome(nil), again.CreateContacts(t.Context(), other))

			again = again.reopen(t)
			conflict := onceAs("ended")
			conflict.Input[0]++
			wantErr(t, "CreateContacts of another input", again.createOnce(t, newContact(a), conflict).Err, contacts.ErrIdempotencyConflict)
			again.wantContacts(t, r, other.Records[0])
			again.wantNoContacts(t, late.Records...)
		},
	},
	{
		"seen by a second process",
		"Every later read sees it, from any process on the same store.",
		func(t *testing.T, s *store) {
			other := s.second(t)
			a := s.tenant(t)
			// Nobody may remember that a key was not there.
			other.wantStoredOnce(t, newContact(a), onceAs("other key"))
			r := newContact(a)
			s.wantStoredOnce(t, r, onceAs("key"))
			other.wantReplay(t, newContact(a), onceAs("key"), onceAs("key").Result)
			s.wantReplay(t, newContact(a), onceAs("other key"), onceAs("other key").Result)
			other.wantContacts(t, r)
		},
	},
}

// onceAs returns an idempotency that is made of the name, and ends an hour after
// noon.
func onceAs(name string) *contacts.Idempotency {
	return &contacts.Idempotency{
		Key:    sha256.Sum256([]byte("key of " + name)),
		Input:  sha256.Sum256([]byte("input of " + name)),
		Result: fmt.Sprintf(`{"first":%q}`, name),
		EndsAt: noon.Add(time.Hour),
	}
}

// onceBatch returns the batch of one contact with an idempotency, at noon.
func onceBatch(r *contacts.ContactRecord, once *contacts.Idempotency) contacts.ContactBatch {
	return contacts.ContactBatch{
		Records:       []*contacts.ContactRecord{r},
		Idempotencies: []*contacts.Idempotency{once},
		Now:           noon,
	}
}

// createOnce creates one contact with an idempotency, at noon. It may be called
// in any goroutine.
func (s *store) createOnce(t *testing.T, r *contacts.ContactRecord, once *contacts.Idempotency) contacts.ContactOutcome {
	outcomes := s.CreateContacts(t.Context(), onceBatch(r, once))
	switch len(outcomes) {
	case 0:
		return contacts.ContactOutcome{}
	case 1:
		return outcomes[0]
	default:
		return contacts.ContactOutcome{Err: fmt.Errorf("got %d outcomes for 1 record", len(outcomes))}
	}
}

// wantStoredOnce checks that the contact is stored with its idempotency.
func (s *store) wantStoredOnce(t *testing.T, r *contacts.ContactRecord, once *contacts.Idempotency) {
	t.Helper()
	got := s.createOnce(t, r, once)
	wantErr(t, "CreateContacts with an idempotency", got.Err, nil)
	wantSame(t, "Result of a create that is not one again", "", got.Result)
	if !t.Failed() {
		s.wantContacts(t, r)
	}
}

// wantReplay checks that the contact is answered with the earlier result.
func (s *store) wantReplay(t *testing.T, r *contacts.ContactRecord, once *contacts.Idempotency, result string) {
	t.Helper()
	got := s.createOnce(t, r, once)
	wantErr(t, "CreateContacts again", got.Err, nil)
	wantSame(t, "Result of CreateContacts again", result, got.Result)
}

// oneStores has many callers, spread over the stores, send one create at the same
// time, each with a contact of its own. It checks that one stored it, and that
// the others got its result, whose contact was there to be found.
func oneStores(t *testing.T, account uuid.UUID, stores ...*store) {
	t.Helper()
	const keys = 8
	for k := range keys {
		outcomes := make([]contacts.ContactOutcome, many)
		missing := make([]error, many)
		records := make(map[string]*contacts.ContactRecord, many) // by Result
		sent := make([]*contacts.Idempotency, many)
		for i := range sent {
			r := newFullContact(account, 0)
			sent[i] = onceAs(fmt.Sprint("key ", k))
			sent[i].Result = r.Contact.ID.String()
			records[sent[i].Result] = r
		}
		together(many, func(i int) {
			s := stores[i%len(stores)]
			outcomes[i] = s.createOnce(t, records[sent[i].Result], sent[i])
			if r := records[outcomes[i].Result]; r != nil {
				_, missing[i] = s.FindContact(t.Context(), account, r.Contact.ID)
			}
		})
		winner := ""
		for i, o := range outcomes {
			wantErr(t, "CreateContacts with one key at the same time", o.Err, nil)
			wantErr(t, "FindContact of the contact of the result", missing[i], nil)
			if o.Result != "" || o.Err != nil {
				continue
			}
			if winner != "" {
				t.Fatal("more than one of many that have one key stored its contact")
			}
			winner = sent[i].Result
		}
		if winner == "" {
			t.Fatal("none of many that have one key stored its contact")
		}
		for i, o := range outcomes {
			if sent[i].Result != winner {
				wantSame(t, "Result of those that did not store theirs", winner, o.Result)
				stores[0].wantNoContacts(t, records[sent[i].Result])
			}
		}
		stores[0].wantContacts(t, records[winner])
	}
}
