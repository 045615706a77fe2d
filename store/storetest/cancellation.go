package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

var cancellationCases = []testCase{
	{
		"cancelled before",
		"Cancellation: a call whose context is done returns promptly with an error that matches the context's. A call whose context is done before it started stores nothing.",
		func(t *testing.T, s *store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			doneBefore(ctx, t, s)
		},
	},
	{
		"deadline passed before",
		"Cancellation: a call whose context is done returns promptly with an error that matches the context's.",
		func(t *testing.T, s *store) {
			ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
			defer cancel()
			doneBefore(ctx, t, s)
		},
	},
	{
		"cancelled with a cause",
		"Cancellation: a call whose context is done returns promptly with an error that matches the context's.",
		func(t *testing.T, s *store) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errors.New("the caller's reason"))
			doneBefore(ctx, t, s)
		},
	},
	{
		"cancelled in the middle",
		"An error of a write means that nothing was stored, unless it matches ErrOutcomeUnknown.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			records := make([]*contacts.ContactRecord, many)
			errs := make([]error, many)
			for i := range records {
				records[i] = newFullContact(a, 1)
			}
			var returned atomic.Int32
			together(many, func(i int) {
				errs[i] = errors.Join(errorsOf(s.CreateContacts(ctx, contacts.ContactBatch{Records: records[i : i+1]}))...)
				if returned.Add(1) == many/4 {
					cancel()
				}
			})
			for _, err := range errs {
				if err != nil {
					wantErr(t, "CreateContacts", err, context.Canceled)
				}
			}
			s.wantStored(t, records, errs)
		},
	},
	{
		"batch cancelled in the middle",
		"An error of a write means that nothing was stored, unless it matches ErrOutcomeUnknown.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			batches := make([]contacts.ContactBatch, many)
			errs := make([]error, many)
			for i := range batches {
				batches[i] = contacts.ContactBatch{Records: []*contacts.ContactRecord{newFullContact(a, 1), newContact(a)}, AllOrNothing: true}
			}
			var returned atomic.Int32
			together(many, func(i int) {
				errs[i] = errors.Join(errorsOf(s.CreateContacts(ctx, batches[i]))...)
				if returned.Add(1) == many/4 {
					cancel()
				}
			})
			for i, err := range errs {
				if err != nil {
					wantErr(t, "CreateContacts", err, context.Canceled)
				}
				if !errors.Is(err, contacts.ErrOutcomeUnknown) {
					s.wantStored(t, batches[i].Records, []error{err, err})
					continue
				}
				for _, r := range batches[i].Records { // it may be stored yet, but both then
					if _, err := s.FindContact(t.Context(), a, r.Contact.ID); err == nil {
						s.wantContacts(t, batches[i].Records...)
						break
					}
				}
			}
		},
	},
	{
		"changes cancelled in the middle",
		"An error of a write means that nothing was stored, unless it matches ErrOutcomeUnknown.",
		func(t *testing.T, s *store) {
			a := s.tenant(t, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			records := make([]*contacts.ContactRecord, many)
			for i := range records {
				records[i] = newFullContact(a, 1)
			}
			s.create(t, records...)
			changes, errs := make([]contacts.ContactChange, many), make([]error, many)
			for i, r := range records {
				changes[i] = changeOf(r, func(c *contacts.Contact) { c.Tags = []string{"changed"} })
			}
			var returned atomic.Int32
			together(many, func(i int) {
				errs[i] = errors.Join(s.UpdateContacts(ctx, changes[i:i+1])...)
				if returned.Add(1) == many/4 {
					cancel()
				}
			})
			for i, err := range errs {
				if err != nil {
					wantErr(t, "UpdateContacts", err, context.Canceled)
				}
				want := records[i]
				got := s.contact(t, a, want.Contact.ID)
				if err == nil || errors.Is(err, contacts.ErrOutcomeUnknown) && got.Contact.Version != want.Contact.Version {
					want = changes[i].Record
				}
				wantSame(t, "FindContact", want, got)
			}
		},
	},
}

// doneBefore checks every method with a context that is done.
func doneBefore(ctx context.Context, t *testing.T, s *store) {
	t.Helper()
	calls := s.everyCall(t)
	before := s.directory(t)
	stored := s.allContacts(t, before.Accounts[0].ID)
	for _, c := range calls {
		for _, err := range c.call(ctx) {
			wantErr(t, c.name, err, ctx.Err())
		}
	}
	wantSame(t, "the directory afterwards", before, s.directory(t))
	wantSame(t, "the contacts afterwards", stored, s.allContacts(t, before.Accounts[0].ID))
	for _, c := range calls {
		s.wantNoContacts(t, c.creates...)
	}
}

// wantStored checks that the records whose error is nil are stored, and that
// the others are not, or whole where nobody knows.
func (s *store) wantStored(t *testing.T, records []*contacts.ContactRecord, errs []error) {
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

// A call is one call of a method, which succeeds unless something is in its
// way. It returns one error, or one for each record.
type call struct {
	name    string
	call    func(context.Context) []error
	creates []*contacts.ContactRecord
}

// everyCall returns a call of every method but Close.
func (s *store) everyCall(t *testing.T) []call {
	t.Helper()
	a := s.tenant(t, 1)
	k := s.addKey(t, a)
	old, other := newFullContact(a, 1), newContact(a)
	s.create(t, old, other)
	fresh := []*contacts.ContactRecord{newFullContact(a, 1), newContact(a)}

	changes := []contacts.ContactChange{
		changeOf(old, func(c *contacts.Contact) { c.DeletedAt, c.Tags = time.Time{}, nil }),
		changeOf(other, nil),
	}
	one := func(name string, f func(context.Context) error) call {
		return call{name: name, call: func(ctx context.Context) []error { return []error{f(ctx)} }}
	}
	list := func(name string, kind contacts.DirectoryKind) call {
		return one(name, func(ctx context.Context) error {
			_, err := s.ListDirectory(ctx, contacts.DirectoryQuery{Kind: kind, AccountID: a, Limit: 9})
			return err
		})
	}
	deactivate := func(name string, key, account uuid.UUID) call {
		return one(name, func(ctx context.Context) error {
			return s.Deactivate(ctx, contacts.Deactivation{KeyID: key, AccountID: account, At: noon})
		})
	}
	create := func(name string, batch contacts.ContactBatch) call {
		return call{name, func(ctx context.Context) []error {
			return wantForEach(t, name, errorsOf(s.CreateContacts(ctx, batch)), len(batch.Records))
		}, batch.Records}
	}
	return []call{
		one("AddToDirectory", func(ctx context.Context) error {
			_, err := s.AddToDirectory(ctx, ownedDirectory())
			return err
		}),
		list("ListDirectory of accounts", contacts.DirectoryAccounts),
		list("ListDirectory of teams", contacts.DirectoryTeams),
		list("ListDirectory of keys", contacts.DirectoryKeys),
		deactivate("Deactivate a key", k.ID, uuid.Nil),
		deactivate("Deactivate an account", uuid.Nil, a),
		one("FindKey", func(ctx context.Context) error {
			_, err := s.FindKey(ctx, k.Hash)
			return err
		}),
		one("FindTeam", func(ctx context.Context) error {
			_, err := s.FindTeam(ctx, a, 1)
			return err
		}),
		one("FindContact", func(ctx context.Context) error {
			_, err := s.FindContact(ctx, a, old.Contact.ID)
			return err
		}),
		one("ListContacts", func(ctx context.Context) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: a, AllTeams: true, Limit: 9})
			return err
		}),
		one("ListContacts with a filter and a count", func(ctx context.Context) error {
			_, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: a, Tag: "vip", Search: "ada", Deleted: true, Limit: 9, Count: true})
			return err
		}),
		create("CreateContacts", contacts.ContactBatch{Records: fresh}),
		create("CreateContacts of all or nothing", contacts.ContactBatch{Records: fresh, AllOrNothing: true}),
		create("CreateContacts with an idempotency", onceBatch(fresh[0], onceAs("key"))),
		{"UpdateContacts", func(ctx context.Context) []error {
			return wantForEach(t, "UpdateContacts", s.UpdateContacts(ctx, changes), len(changes))
		}, nil},
		one("PurgeContacts", func(ctx context.Context) error {
			_, err := s.PurgeContacts(ctx, contacts.PurgeQuery{Limit: 9})
			return err
		}),
	}
}

// wantForEach returns the errors, of which a call that cannot succeed returns one
// for each of its records.
func wantForEach(t *testing.T, what string, errs []error, n int) []error {
	if len(errs) != n {
		t.Errorf("%s: got %d errors for %d records", what, len(errs), n)
	}
	return errs
}
