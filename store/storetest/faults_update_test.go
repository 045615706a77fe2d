package storetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// updateFaults break changes of contacts.
var updateFaults = []fault{
	{"keeps what is cleared", "updates/replaced whole", onRecord(func(next, stored *contacts.ContactRecord) {
		if next.Contact.Email == "" {
			next.Contact.Email = stored.Contact.Email
		}
	})},
	{"keeps the tags", "updates/replaced whole", onRecord(func(next, stored *contacts.ContactRecord) { next.Contact.Tags = stored.Contact.Tags })},
	{"keeps the contexts", "updates/replaced whole", onRecord(func(next, stored *contacts.ContactRecord) { next.CustomContext = stored.CustomContext })},
	{"counts versions by itself", "updates/replaced whole", onRecord(func(next, stored *contacts.ContactRecord) {
		next.Contact.Version = stored.Contact.Version + 1
	})},
	{"starts versions at 1", "updates/any version at first", onMutation(func(m *contacts.Mutation) {
		if isCreate(*m) {
			m.Contacts[0].Record.Contact.Version = 1
		}
	})},
	{"creates no deleted contact", "updates/any version at first", onErr(func(m contacts.Mutation, err error) error {
		if err == nil && isCreate(m) && !m.Contacts[0].Record.Contact.DeletedAt.IsZero() {
			return errors.New("a new contact is not deleted")
		}
		return err
	})},
	{"checks that the version goes up", "updates/as it is", onErr(func(m contacts.Mutation, err error) error {
		for _, c := range m.Contacts {
			if c.Record != nil && c.Version >= c.Record.Contact.Version {
				return contacts.ErrConflict
			}
		}
		return err
	})},
	{"keeps the later time", "updates/as it is", onRecord(func(next, stored *contacts.ContactRecord) {
		if next.Contact.UpdatedAt.Before(stored.Contact.UpdatedAt) {
			next.Contact.UpdatedAt = stored.Contact.UpdatedAt
		}
	})},
	{"keeps when a contact was created", "updates/as it is", onRecord(func(next, stored *contacts.ContactRecord) { next.Contact.CreatedAt = stored.Contact.CreatedAt })},
	{"keeps the ids of numbers", "updates/as it is", onRecord(func(next, stored *contacts.ContactRecord) {
		for i, p := range next.Contact.PhoneNumbers {
			for _, old := range stored.Contact.PhoneNumbers {
				if old.PhoneNumber == p.PhoneNumber {
					next.Contact.PhoneNumbers[i].ID = old.ID
				}
			}
		}
	})},
	{"makes a number the primary one", "updates/as it is", onRecord(func(next, _ *contacts.ContactRecord) {
		if n := next.Contact.PhoneNumbers; len(n) > 0 && !slices.ContainsFunc(n, func(p contacts.PhoneNumber) bool { return p.Primary }) {
			n[0].Primary = true
		}
	})},
	{"returns empty slices that were changed", "updates/empty slices", func(p *process) {
		onRecord(func(_, _ *contacts.ContactRecord) {
			changeContacts(p, func(r *contacts.ContactRecord) {
				if r.Contact.Tags == nil {
					r.Contact.Tags = []string{}
				}
			})
		})(p)
	}},
	{"appends tags", "updates/lists replaced", onRecord(func(next, stored *contacts.ContactRecord) {
		for _, tag := range stored.Contact.Tags {
			if !slices.Contains(next.Contact.Tags, tag) {
				next.Contact.Tags = append(next.Contact.Tags, tag)
			}
		}
	})},
	{"keeps the order of the numbers", "updates/lists replaced", onRecord(func(next, stored *contacts.ContactRecord) {
		place := func(p contacts.PhoneNumber) int {
			return slices.IndexFunc(stored.Contact.PhoneNumbers, func(old contacts.PhoneNumber) bool { return old.ID == p.ID })
		}
		slices.SortStableFunc(next.Contact.PhoneNumbers, func(x, y contacts.PhoneNumber) int { return place(x) - place(y) })
	})},
	{"clears the tags of all", "updates/others untouched", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		for _, m := range a.Mutations {
			if len(m.Contacts) != 1 || m.Contacts[0].Version == 0 {
				continue
			}
			others, _ := a.allContacts(a.ctx, m.AccountID)
			for _, r := range others {
				if r.Contact.ID != m.Contacts[0].ID {
					r.Contact.Tags = nil
					a.put(a.ctx, r)
				}
			}
		}
		return all, err
	})},
	{"finds no deleted contact to change", "updates/deleted ones too", func(p *process) {
		onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
			for _, c := range m.Contacts {
				if stored, err := a.data.FindContact(a.ctx, m.AccountID, c.ID); err == nil && !stored.Contact.DeletedAt.IsZero() {
					return contacts.MutationOutcome{Err: contacts.ErrNotFound}, nil
				}
			}
			return a.one(m)
		})(p)
	}},
	{"ignores versions", "updates/conflict", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) { c.Version = stored.Contact.Version })},
	{"ignores the version of a removal", "removal/another version", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if c.Record == nil {
			c.Version = stored.Contact.Version
		}
	})},
	{"takes a later version", "updates/conflict", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		c.Version = min(c.Version, stored.Contact.Version)
	})},
	{"compares versions of 32 bits", "updates/conflict", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if uint32(c.Version) == uint32(stored.Contact.Version) {
			c.Version = stored.Contact.Version
		}
	})},
	{"says exists for a conflict", "updates/conflict", instead(contacts.ErrConflict, contacts.ErrExists)},
	{"lists by what a contact was", "updates/listed by what it is now", func(p *process) {
		var first sync.Map
		onMutation(func(m *contacts.Mutation) {
			for _, c := range m.Contacts {
				if c.Record != nil {
					first.LoadOrStore(c.ID, c.Record)
				}
			}
		})(p)
		listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
			was, _ := first.Load(r.Contact.ID)
			old := *was.(*contacts.ContactRecord)
			old.Contact.DeletedAt = time.Time{}
			byNumber := contacts.ContactQuery{AccountID: q.AccountID, AllTeams: true, PhoneNumber: q.PhoneNumber}
			rest := *q
			rest.PhoneNumber = ""
			return byNumber.Matches(&old) && rest.Matches(r)
		})(p)
	}},
	{"finds by keys that a contact had", "updates/listed by what it is now", func(p *process) {
		var had sync.Map
		onMutation(func(m *contacts.Mutation) {
			for _, c := range m.Contacts {
				if c.Record != nil {
					for _, key := range c.Record.MatchKeys() {
						had.Store([2]any{c.ID, key}, true)
					}
				}
			}
		})(p)
		listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
			rest := *q
			rest.MatchKeys = nil
			return rest.Matches(r) && (q.MatchKeys == nil || slices.ContainsFunc(q.MatchKeys, func(key contacts.MatchKey) bool {
				_, ok := had.Load([2]any{r.Contact.ID, key})
				return ok
			}))
		})(p)
	}},
	{"looks before it changes", "updates/one version by many", lookFirst},
	{"loses a change", "updates/no change lost", lookFirst},
	{"locks changes for its own process alone", "updates/one version by two processes", lockItself},
	{"looks at all versions before it changes one", "batches/one version twice in a batch", lookFirst},
	{"changes in two steps", "updates/seen whole", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		if len(m.Contacts) != 1 || m.Contacts[0].Version == 0 {
			return a.one(m)
		}
		half := cloneMutations([]contacts.Mutation{m})[0]
		half.Contacts[0].Record.Contact.PhoneNumbers = nil
		o, err := a.one(half)
		if err == nil && o.Err == nil {
			dally()
			a.put(a.ctx, m.Contacts[0].Record)
		}
		return o, err
	})},
	{"loses changes on reopening", "updates/after reopening", func(p *process) {
		var changed sync.Map
		onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
			if len(m.Contacts) == 1 && m.Contacts[0].Version != 0 {
				changed.Store(m.Contacts[0].ID, m.Contacts[0].Record)
				return contacts.MutationOutcome{}, nil
			}
			return a.one(m)
		})(p)
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if r, ok := changed.Load(id); ok {
				return r.(*contacts.ContactRecord), nil
			}
			return p.data.FindContact(ctx, account, id)
		}
	}},
	{"remembers the contacts that it has found", "updates/seen by a second process", func(p *process) {
		var found sync.Map
		onBatch(func(*contacts.MutationBatch) { found.Clear() })(p)
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if r, ok := found.Load(id); ok {
				return r.(*contacts.ContactRecord), nil
			}
			r, err := p.data.FindContact(ctx, account, id)
			if err == nil {
				found.Store(id, r)
			}
			return r, err
		}
	}},
}
