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

// removalFaults break the removal of contacts.
var removalFaults = []fault{
	{"removes no live contact", "removal/live and deleted ones", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		for _, c := range m.Contacts {
			if stored, err := a.data.FindContact(a.ctx, m.AccountID, c.ID); err == nil && c.Record == nil && stored.Contact.DeletedAt.IsZero() {
				return contacts.MutationOutcome{Err: contacts.ErrConflict}, nil
			}
		}
		return a.one(m)
	})},
	{"deletes what it should remove", "removal/live and deleted ones", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if c.Record == nil {
			c.Record = stored
			c.Record.Contact.DeletedAt = time.Unix(0, 0).UTC()
		}
	})},
	{"removes what was restored", "removal/live and deleted ones", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if c.Record == nil {
			c.Version = stored.Contact.Version
		}
	})},
	{"removes all that is deleted", "removal/live and deleted ones", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		for _, m := range a.Mutations {
			stored, _ := a.allContacts(a.ctx, m.AccountID)
			for _, r := range stored {
				if !r.Contact.DeletedAt.IsZero() && slices.ContainsFunc(m.Contacts, func(c contacts.ContactChange) bool { return c.Record == nil }) {
					a.force(contacts.Mutation{AccountID: m.AccountID, Contacts: []contacts.ContactChange{{ID: r.Contact.ID, Version: r.Contact.Version}}})
				}
			}
		}
		return all, err
	})},
	{"removes a hundred at most", "removal/thousands", onBatch(func(batch *contacts.MutationBatch) {
		removals := 0
		batch.Mutations = slices.DeleteFunc(batch.Mutations, func(m contacts.Mutation) bool {
			if len(m.Contacts) == 1 && m.Contacts[0].Record == nil {
				removals++
			}
			return removals > 100 && removals%7 == 0
		})
	})},
	{"hides what it removes", "removal/gone", hideRemoved},
	{"leaves the tags", "removal/nothing comes back", func(p *process) {
		var left sync.Map
		onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
			if c.Record == nil {
				for _, tag := range stored.Contact.Tags {
					left.Store(tag, true)
				}
			}
		})(p)
		onQuery(func(q *contacts.ContactQuery) { // the tags are those of the next contact
			if _, ok := left.Load(q.Tag); ok {
				q.Tag = ""
			}
		})(p)
	}},
	{"leaves the match keys", "claims/removed ones hold nothing", func(p *process) {
		var left sync.Map
		onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
			if c.Record == nil {
				for _, key := range stored.MatchKeys() {
					left.Store(key, stored.Contact.ID)
				}
			}
		})(p)
		onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) {
			for i, key := range m.Claims {
				if id, ok := left.Load(key); ok && o.Err == nil {
					o.Holders = []contacts.Holder{{Key: i, ContactID: id.(uuid.UUID), Deleted: true}}
				}
			}
		})(p)
	}},
	{"forgets keys with their contacts", "idempotency/outlives its contact", func(p *process) {
		forget := forgetfulKeys(p)
		onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
			if c.Record == nil {
				forget(c.ID)
			}
		})(p)
	}},
	{"removes one contact for many", "removal/by many at once", lookFirst},
	{"locks removals for its own process alone", "removal/by two processes", lockItself},
	{"removes what is restored meanwhile", "removal/while contacts are restored", lookFirst},
	{"loses removals on reopening", "removal/after reopening", hideRemoved},
	{"hides what it removes from its own process", "removal/seen by a second process", hideRemoved},
}

// hideRemoved removes nothing, but shows it no more in this process.
func hideRemoved(p *process) {
	var hidden sync.Map
	gone := func(id uuid.UUID) bool {
		_, ok := hidden.Load(id)
		return ok
	}
	onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		for _, c := range m.Contacts {
			if gone(c.ID) && c.Version != 0 {
				return contacts.MutationOutcome{Err: errors.Join(contacts.ErrNotFound)}, nil
			}
		}
		if len(m.Contacts) != 1 || m.Contacts[0].Record != nil {
			return a.one(m)
		}
		o, err := a.judge(m)
		if err == nil && o.Err == nil {
			hidden.Store(m.Contacts[0].ID, true)
		}
		return o, err
	})(p)
	p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
		if gone(id) {
			return nil, contacts.ErrNotFound
		}
		return p.data.FindContact(ctx, account, id)
	}
	listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		return q.Matches(r) && !gone(r.Contact.ID)
	})(p)
}
