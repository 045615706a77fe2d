package memory

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
)

// FindContact implements [contacts.Store].
func (s *Store) FindContact(ctx context.Context, accountID, id uuid.UUID) (*contacts.ContactRecord, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()

	a := s.accounts[accountID]
	if a == nil {
		return nil, contacts.ErrNotFound
	}
	a.mu.RLock()
	r := a.contacts[id]
	a.mu.RUnlock()
	if r == "" {
		return nil, contacts.ErrNotFound
	}
	return r.record(), nil
}

// ListContacts implements [contacts.Store].
func (s *Store) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return contacts.ContactList{}, err
	}
	defer s.mu.RUnlock()

	var list contacts.ContactList
	a := s.accounts[q.AccountID]
	if a == nil {
		return list, nil
	}
	a.lockToList(q.MatchKeys != nil || q.Shared != "")
	defer a.mu.RUnlock()
	if q.Shared != "" {
		return a.groups(ctx, &q)
	}
	ids := a.candidates(&q)
	end := len(ids) // of those after the query's position
	if q.After != uuid.Nil {
		end, _ = slices.BinarySearchFunc(ids, q.After, compareIDs)
	}
	from := end
	if q.Count {
		from = len(ids)
	}
	for i := from - 1; i >= 0; i-- {
		full := len(list.Records) == q.Limit
		if full && !q.Count {
			break
		}
		if i%1024 == 0 && ctx.Err() != nil {
			return contacts.ContactList{}, ctx.Err()
		}
		c := a.contacts[ids[i]]
		if c == "" {
			continue
		}
		r := c.record()
		if !q.Matches(r) {
			continue
		}
		list.Count++
		if i >= end || full {
			continue
		}
		if q.Skip > 0 {
			q.Skip--
			continue
		}
		list.Records = append(list.Records, r)
	}
	if !q.Count {
		list.Count = 0
	}
	return list, nil
}

// candidates returns the ids of all contacts that may match the query, in
// ascending order. It clears the field of the query that they match already.
func (a *account) candidates(q *contacts.ContactQuery) []uuid.UUID {
	var ids []uuid.UUID
	switch {
	case q.IDs != nil:
		ids = slices.Clone(q.IDs)
		q.IDs = nil
	case q.MatchKeys != nil:
		for _, k := range q.MatchKeys {
			ids = append(ids, a.index[k]...)
		}
		q.MatchKeys = nil
	default:
		return a.ids
	}
	slices.SortFunc(ids, compareIDs)
	return slices.Compact(ids)
}

// lockToList locks the account for reading, with its ids in order, and with the
// index of match keys if it is needed.
func (a *account) lockToList(indexed bool) {
	for {
		a.mu.RLock()
		if a.sorted && (!indexed || a.index != nil) {
			return
		}
		a.mu.RUnlock()
		a.mu.Lock()
		a.sort()
		if indexed {
			a.buildIndex()
		}
		a.mu.Unlock()
	}
}
