package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"example.com/contacts"
)

const (
	cancellationRule = "Cancellation: a call whose context is done returns promptly with an error that matches the context's."
	notStoredRule    = "An error of a write means that nothing was stored, unless it matches ErrOutcomeUnknown."
)

var cancellationCases = []testCase{
	{
		"cancelled before",
		cancellationRule + " A call whose context was done before it started stores nothing.",
		func(t *test, s *store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			doneBefore(ctx, t, s)
		},
	},
	{
		"deadline passed before",
		cancellationRule,
		func(t *test, s *store) {
			ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
			defer cancel()
			doneBefore(ctx, t, s)
		},
	},
	{
		"cancelled with a cause",
		cancellationRule,
		func(t *test, s *store) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errors.New("the caller's reason"))
			doneBefore(ctx, t, s)
		},
	},
	{
		"cancelled in the middle",
		notStoredRule + " " + argumentRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := make([]*contacts.ContactRecord, many)
			for i := range records {
				records[i] = newFullContact(a, 1)
			}
			// What a call was given is the caller's once it has returned, also with ErrOutcomeUnknown.
			errs := cancelInTheMiddle(t, func(ctx context.Context, i int) error {
				given := copyContact(records[i])
				m := create(given)
				m.Journal = []contacts.JournalEntry{newEntry(i)}
				err := s.one(ctx, m).Err
				spoilContact(given)
				clear(m.Journal)
				return err
			})
			s.wantResults(t, records, errs)
			given := map[[32]byte]contacts.JournalEntry{}
			for i := range many {
				given[subject(i)] = newEntry(i)
			}
			read := func() map[[32]byte]bool {
				entries := map[[32]byte]bool{}
				for i, e := range s.entries(t, a) {
					want := given[e.Subject]
					want.Sequence = int64(i + 1)
					wantSame(t, "an entry that ListJournal returned", want, e)
					entries[e.Subject] = true
				}
				return entries
			}
			// Each contact that is stored has its entry, and no other has. Some may be stored
			// only now: what was there before has its contact, and a contact has what is there
			// after.
			before, stored := read(), make([]bool, many)
			for i, r := range records {
				_, err := s.FindContact(t.Context(), a, r.Contact.ID)
				stored[i] = err == nil
			}
			after := read()
			for i := range records {
				if before[subject(i)] && !stored[i] || stored[i] && !after[subject(i)] {
					t.Errorf("a contact is stored: %t; its entry was there before: %t, after: %t", stored[i], before[subject(i)], after[subject(i)])
				}
			}
		},
	},
	{
		"batch cancelled in the middle",
		notStoredRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			batches := make([][]*contacts.ContactRecord, many)
			for i := range batches {
				batches[i] = []*contacts.ContactRecord{newFullContact(a, 1), newContact(a)}
			}
			errs := cancelInTheMiddle(t, func(ctx context.Context, i int) error {
				outcomes, err := s.Apply(ctx, allOrNothing(each(create, batches[i]...)...))
				return errors.Join(err, errors.Join(errorsOf(outcomes)...))
			})
			for i, err := range errs {
				if !errors.Is(err, contacts.ErrOutcomeUnknown) {
					s.wantResults(t, batches[i], []error{err, err})
					continue
				}
				for _, r := range batches[i] { // it may be stored yet, but both then
					if _, err := s.FindContact(t.Context(), a, r.Contact.ID); err == nil {
						s.wantContacts(t, batches[i]...)
						break
					}
				}
			}
		},
	},
	{
		"changes cancelled in the middle",
		notStoredRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			records := make([]*contacts.ContactRecord, many)
			for i := range records {
				records[i] = newFullContact(a, 1)
			}
			s.create(t, records...)
			changes := make([]contacts.ContactChange, many)
			for i, r := range records {
				changes[i] = changeOf(r, func(c *contacts.Contact) { c.Tags = []string{"changed"} })
			}
			errs := cancelInTheMiddle(t, func(ctx context.Context, i int) error { return s.one(ctx, update(changes[i])).Err })
			for i, err := range errs {
				want := records[i]
				got := s.contact(t, a, want.Contact.ID)
				if err == nil || errors.Is(err, contacts.ErrOutcomeUnknown) && got.Contact.Version != want.Contact.Version {
					want = changes[i].Record
				}
				wantSame(t, "FindContact", want, got)
			}
		},
	},
	{
		"reads cancelled in the middle",
		cancellationRule,
		readsInTheMiddle,
	},
}

// readsInTheMiddle has many callers read some hundred records of every kind, and
// cancels them. Each gets all of them, or an error.
func readsInTheMiddle(t *test, s *store) {
	t.Helper()
	a := s.tenant(t)
	var add contacts.Directory
	var mutations []contacts.Mutation
	for i := range 300 {
		add.Teams = append(add.Teams, newTeam(a, int64(i+1)))
		r := newFullContact(a, 0)
		r.Contact.Email = fmt.Sprintf("%d@example.com", i%100)
		m := create(r)
		m.Journal = []contacts.JournalEntry{newEntry(i % 3)}
		mutations = append(mutations, m)
	}
	s.add(t, add)
	s.apply(t, mutations...)
	for name, q := range map[string]contacts.ContactQuery{
		"ListContacts":               {Tag: "vip", Count: true},
		"ListContacts of match keys": {MatchKeys: []contacts.MatchKey{phoneKey("+15551234567")}},
		"ListContacts of groups":     {Shared: contacts.KeyEmail},
	} {
		q.AccountID, q.AllTeams, q.Limit = a, true, 1000
		wantWhole(t, name, func(ctx context.Context) (contacts.ContactList, error) { return s.ListContacts(ctx, q) })
	}
	for name, q := range map[string]contacts.JournalQuery{
		"ListJournal":             {},
		"ListJournal of subjects": {Subjects: [][32]byte{subject(1), subject(2)}},
	} {
		q.AccountID, q.Limit = a, 1000
		wantWhole(t, name, func(ctx context.Context) ([]contacts.JournalEntry, error) { return s.ListJournal(ctx, q) })
	}
	teams := contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: a, Limit: 1000}
	wantWhole(t, "ListDirectory of teams", func(ctx context.Context) (contacts.Directory, error) { return s.ListDirectory(ctx, teams) })
}

// wantWhole checks that a read which is cancelled in the middle returns what it
// returns otherwise, or an error.
func wantWhole[R any](t *test, what string, read func(context.Context) (R, error)) {
	t.Helper()
	want, err := read(t.Context())
	wantErr(t, what, err, nil)
	cancelInTheMiddle(t, func(ctx context.Context, _ int) error {
		got, err := read(ctx)
		if err == nil && !reflect.DeepEqual(want, got) { // a report of what differs would be long
			t.Errorf("%s: it was cancelled, and returned neither an error nor all that is there", what)
		}
		return err
	})
}

// cancelInTheMiddle has many callers do the same at once and cancels their
// context when a part of them has returned. It returns their errors, each of
// which matches the context's.
func cancelInTheMiddle(t *test, f func(ctx context.Context, i int) error) []error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := make([]error, many)
	var returned atomic.Int32
	together(many, func(i int) {
		errs[i] = f(ctx, i)
		if returned.Add(1) == many/4 {
			cancel()
		}
	})
	for _, err := range errs {
		if err != nil {
			wantErr(t, "a call that was cancelled", err, context.Canceled)
		}
	}
	return errs
}

// doneBefore checks every method with a context that is done.
func doneBefore(ctx context.Context, t *test, s *store) {
	t.Helper()
	calls := s.everyCall(t)
	before := s.directory(t)
	a := before.Accounts[0].ID
	stored, entries := s.allContacts(t, a), s.entries(t, a)
	for _, c := range calls {
		wantErr(t, c.name, c.call(ctx), ctx.Err())
	}
	wantSame(t, "the directory afterwards", before, s.directory(t))
	wantSame(t, "the contacts afterwards", stored, s.allContacts(t, a))
	wantSame(t, "the journal afterwards", entries, s.entries(t, a))
}

// wantResults checks that the contacts whose error is nil are stored, and that
// the others are not. Where the outcome is unknown they are stored whole or not
// at all.
func (s *store) wantResults(t *test, records []*contacts.ContactRecord, errs []error) {
	t.Helper()
	for i, r := range records {
		switch {
		case errs[i] == nil:
			s.wantContacts(t, r)
		case !errors.Is(errs[i], contacts.ErrOutcomeUnknown):
			s.wantNoContacts(t, r)
		default:
			got, err := s.FindContact(t.Context(), r.Contact.AccountID, r.Contact.ID)
			if errors.Is(err, contacts.ErrNotFound) {
				continue
			}
			wantErr(t, "FindContact", err, nil)
			wantSame(t, "FindContact", r, got)
		}
	}
}

// A call is one call of a method, which succeeds unless something is in its way.
type call struct {
	name string
	call func(context.Context) error
}

// everyCall returns calls of every method but Close.
func (s *store) everyCall(t *test) []call {
	t.Helper()
	a := s.tenant(t, 1)
	k := s.addKey(t, a)
	old, other, gone := newFullContact(a, 1), newContact(a), newContact(a)
	s.create(t, old, other, gone)
	s.apply(t, journal(a, newEntry(1)))
	once := createOnce(named(a, "", func(c *contacts.Contact) { c.Email = "grace@example.com" }), onceAs("key"))
	once.Claims, once.Journal = once.Contacts[0].Record.MatchKeys(), newEntries(2)
	fresh := each(create, newFullContact(a, 1), newContact(a))
	changes := each(update,
		changeOf(old, func(c *contacts.Contact) { c.Tags = nil }),
		changeOf(other, nil),
	)
	list := func(name string, kind contacts.DirectoryKind) call {
		return call{name, func(ctx context.Context) error {
			_, err := s.ListDirectory(ctx, contacts.DirectoryQuery{Kind: kind, AccountID: a, Limit: 9})
			return err
		}}
	}
	updateDirectory := func(name string, u contacts.DirectoryUpdate) call {
		u.At = noon
		return call{name, func(ctx context.Context) error { return s.UpdateDirectory(ctx, u) }}
	}
	apply := func(name string, batch contacts.MutationBatch) call {
		return call{name, func(ctx context.Context) error {
			_, err := s.Apply(ctx, batch)
			return err
		}}
	}
	dry := batchOf(fresh...)
	dry.DryRun = true
	return []call{
		{"AddToDirectory", func(ctx context.Context) error {
			_, err := s.AddToDirectory(ctx, ownedDirectory())
			return err
		}},
		{"AddToDirectory of a setting", func(ctx context.Context) error {
			_, err := s.AddToDirectory(ctx, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "{}")}})
			return err
		}},
		list("ListDirectory of accounts", contacts.DirectoryAccounts),
		list("ListDirectory of teams", contacts.DirectoryTeams),
		list("ListDirectory of keys", contacts.DirectoryKeys),
		list("ListDirectory of settings", contacts.DirectorySettings),
		updateDirectory("UpdateDirectory of a key", contacts.DirectoryUpdate{KeyID: k.ID}),
		updateDirectory("UpdateDirectory of an account", contacts.DirectoryUpdate{AccountID: a}),
		{"FindKey", func(ctx context.Context) error {
			_, err := s.FindKey(ctx, k.Hash)
			return err
		}},
		{"FindAccount", func(ctx context.Context) error {
			_, err := s.FindAccount(ctx, a)
			return err
		}},
		{"FindContact", func(ctx context.Context) error {
			_, err := s.FindContact(ctx, a, old.Contact.ID)
			return err
		}},
		{"ListContacts", func(ctx context.Context) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 9})
			return err
		}},
		{"ListContacts with a filter and a count", func(ctx context.Context) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: a, Tag: "vip", Search: "ada", Limit: 9, Count: true})
			return err
		}},
		{"ListContacts of groups", func(ctx context.Context) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: a, AllTeams: true, Shared: contacts.KeyEmail, Limit: 9})
			return err
		}},
		{"ListContacts of match keys", func(ctx context.Context) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: a, AllTeams: true, MatchKeys: old.MatchKeys(), Limit: 9})
			return err
		}},
		{"ListJournal", func(ctx context.Context) error {
			_, err := s.ListJournal(ctx, contacts.JournalQuery{AccountID: a, Limit: 9})
			return err
		}},
		apply("Apply of creates", batchOf(fresh...)),
		apply("Apply of creates, all or nothing", allOrNothing(fresh...)),
		apply("Apply with DryRun", dry),
		apply("Apply of one with all that a mutation has", batchOf(once)),
		apply("Apply of changes", batchOf(changes...)),
		apply("Apply of a removal", batchOf(remove(gone))),
		apply("Apply of an entry", batchOf(journal(a, newEntry(2)))),
		apply("Apply of no mutations", batchOf()),
	}
}
