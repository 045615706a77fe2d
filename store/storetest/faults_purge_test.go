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

var purgeFaults = []fault{
	{"purges what was not deleted", "purge/only deleted ones", func(p *process) {
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			if r, err := p.data.FindContact(ctx, q.AccountID, q.ContactID); err == nil {
				purgeAnyway(ctx, p, r)
				return 1, nil
			}
			return p.data.PurgeContacts(ctx, q)
		}
	}},
	{"purges what was restored", "purge/only deleted ones", func(p *process) {
		var once sync.Map
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				if !r.Contact.DeletedAt.IsZero() {
					once.Store(r, true)
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			once.Range(func(r, _ any) bool {
				purgeAnyway(ctx, p, r.(*contacts.ContactRecord))
				return true
			})
			return p.data.PurgeContacts(ctx, q)
		}
	}},
	{"ignores when it was deleted", "purge/each filter", onPurge(func(q *contacts.PurgeQuery) { q.DeletedBefore = time.Time{} })},
	{"purges up to the time", "purge/each filter", onPurge(func(q *contacts.PurgeQuery) {
		if !q.DeletedBefore.IsZero() {
			q.DeletedBefore = q.DeletedBefore.Add(time.Microsecond)
		}
	})},
	{"compares times of deletion in seconds", "purge/each filter", onPurge(func(q *contacts.PurgeQuery) {
		if !q.DeletedBefore.IsZero() {
			q.DeletedBefore = q.DeletedBefore.Truncate(time.Second)
		}
	})},
	{"purges one id in every account", "purge/each filter", onPurge(func(q *contacts.PurgeQuery) {
		if q.ContactID != uuid.Nil {
			q.AccountID = uuid.Nil
		}
	})},
	{"ignores the limit", "purge/at most the limit", onPurge(func(q *contacts.PurgeQuery) { q.Limit = 1 << 20 })},
	{"limits each account", "purge/at most the limit", func(p *process) {
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (all int, err error) {
			if q.AccountID != uuid.Nil {
				return p.data.PurgeContacts(ctx, q)
			}
			d, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
			for _, a := range d.Accounts {
				q.AccountID = a.ID
				n, err := p.data.PurgeContacts(ctx, q)
				if err != nil {
					return all, err
				}
				all += n
			}
			return all, nil
		}
	}},
	{"returns the limit", "purge/at most the limit", func(p *process) {
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			_, err := p.data.PurgeContacts(ctx, q)
			return q.Limit, err
		}
	}},
	{"purges a thousand at most", "purge/thousands", onPurge(func(q *contacts.PurgeQuery) { q.Limit = min(q.Limit, 1000) })},
	{"hides what it purges", "purge/gone", hidePurged},
	{"leaves the tags behind", "purge/nothing comes back", func(p *process) {
		var mu sync.Mutex
		left := map[string]bool{}
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range purgeable(ctx, p, q) {
				for _, tag := range r.Contact.Tags {
					left[tag] = true
				}
			}
			return p.data.PurgeContacts(ctx, q)
		}
		onQuery(func(q *contacts.ContactQuery) { // the tags are those of whoever comes next
			mu.Lock()
			defer mu.Unlock()
			if left[q.Tag] {
				q.Tag = ""
			}
		})(p)
	}},
	{"forgets idempotencies with their contacts", "purge/idempotency outlives", func(p *process) {
		forget := forgetfulKeys(p)
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			n, err := p.data.PurgeContacts(ctx, q)
			forget(func(r *contacts.ContactRecord) bool {
				_, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID)
				return err != nil
			})
			return n, err
		}
	}},
	{"counts what it finds", "purge/by many at once", lookBeforePurge},
	{"counts what another process purges", "purge/by two processes", lookBeforePurge},
	{"purges what is restored meanwhile", "purge/while contacts are restored", func(p *process) {
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (n int, err error) {
			found := purgeable(ctx, p, q)
			dally()
			for _, r := range found {
				n += purgeAnyway(ctx, p, r)
			}
			return n, nil
		}
	}},
	{"loses purges on reopening", "purge/after reopening", hidePurged},
	{"hides what it purges from its own process", "purge/seen by a second process", hidePurged},
}

func onPurge(change func(*contacts.PurgeQuery)) func(*process) {
	return func(p *process) {
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			change(&q)
			return p.data.PurgeContacts(ctx, q)
		}
	}
}

// purgeable returns the contacts that the query removes.
func purgeable(ctx context.Context, p *process, q contacts.PurgeQuery) (found []*contacts.ContactRecord) {
	d, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
	for _, a := range d.Accounts {
		all, _ := allContacts(ctx, p, a.ID)
		for _, r := range all {
			if q.Matches(r) && len(found) < q.Limit {
				found = append(found, r)
			}
		}
	}
	return found
}

// purgeAnyway purges the contact, deleted or not.
func purgeAnyway(ctx context.Context, p *process, r *contacts.ContactRecord) int {
	stored, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID)
	if err != nil {
		return 0
	}
	if stored.Contact.DeletedAt.IsZero() {
		stored.Contact.DeletedAt = time.Unix(0, 0).UTC()
		changeAnyway(ctx, p, stored)
	}
	n, _ := p.data.PurgeContacts(ctx, contacts.PurgeQuery{AccountID: r.Contact.AccountID, ContactID: r.Contact.ID, Limit: 1})
	return n
}

// lookBeforePurge counts what it finds, and purges it later.
func lookBeforePurge(p *process) {
	p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
		found := purgeable(ctx, p, q)
		dally()
		for _, r := range found {
			purgeAnyway(ctx, p, r)
		}
		return len(found), nil
	}
}

// hidePurged purges nothing, but shows it no more in this process.
func hidePurged(p *process) {
	var hidden sync.Map
	gone := func(r *contacts.ContactRecord) bool {
		_, ok := hidden.Load(r.Contact.ID)
		return ok
	}
	p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
		unlimited := q
		unlimited.Limit = 1 << 20
		found := slices.DeleteFunc(purgeable(ctx, p, unlimited), gone)
		found = found[:min(q.Limit, len(found))]
		for _, r := range found {
			hidden.Store(r.Contact.ID, true)
		}
		return len(found), nil
	}
	p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
		r, err := p.data.FindContact(ctx, account, id)
		if err == nil && gone(r) {
			return nil, contacts.ErrNotFound
		}
		return r, err
	}
	p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
		for _, c := range changes {
			if gone(c.Record) {
				return []error{errors.Join(contacts.ErrNotFound)}
			}
		}
		return p.data.UpdateContacts(ctx, changes)
	}
	listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool { return q.Matches(r) && !gone(r) })(p)
}
