// Package memory keeps contacts in memory. It is for unit tests and short-lived
// programs: nothing survives the process, and no other process sees it.
// Everything else of the contract of [contacts.Store] holds, so a program that
// is tested on it runs unchanged on a store that lasts.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

var _ contacts.Store = (*Store)(nil)

// A Store is a [contacts.Store] in memory. Make one with [New]; its zero value
// is of no use. All its methods may be called from many goroutines at once, and
// calls that create contacts in different accounts do not wait for each other.
type Store struct {
	mu       sync.RWMutex // guards all but the contacts
	closed   bool
	accounts map[uuid.UUID]*account
	ordered  []*account // the same, by id
	keys     map[[32]byte]*key
	keyIDs   map[uuid.UUID]*key
}

// An account holds all that is found under it and nowhere else, which is what
// keeps tenants apart.
type account struct {
	contacts.Account
	teams []contacts.Team // by id
	keys  []*key          // by id

	mu       sync.RWMutex // guards the rest; taken while Store.mu is held for reading
	contacts map[uuid.UUID]*contacts.ContactRecord
	ids      []uuid.UUID // of the contacts, in ascending order if sorted
	sorted   bool

	idempotencies map[[32]byte]*contacts.Idempotency
	sweepAt       int // how many idempotencies are looked through for such as have ended
}

// A key holds the record that FindKey hands out. The record is shared, so it is
// replaced and never changed.
type key struct{ *contacts.KeyRecord }

// New returns an empty store.
func New() *Store {
	return &Store{
		accounts: make(map[uuid.UUID]*account),
		keys:     make(map[[32]byte]*key),
		keyIDs:   make(map[uuid.UUID]*key),
	}
}

// enter locks the store for a call, unless the call's context is done or the
// store is closed.
func (s *Store) enter(ctx context.Context, l sync.Locker) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.Lock()
	if s.closed {
		l.Unlock()
		return contacts.ErrClosed
	}
	return nil
}

func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (_ contacts.Directory, err error) {
	if err := s.enter(ctx, &s.mu); err != nil {
		return contacts.Directory{}, err
	}
	defer s.mu.Unlock()

	// The records go in one after the other, so that they may refer to each
	// other; if one cannot, those before it go out again, the last one first.
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				f()
			}
		}
	}()
	var added contacts.Directory
	for _, a := range add.Accounts {
		at, taken := slices.BinarySearchFunc(s.ordered, a.ID, (*account).compare)
		if taken {
			return contacts.Directory{}, contacts.ErrExists
		}
		entry := &account{Account: a, contacts: make(map[uuid.UUID]*contacts.ContactRecord), sorted: true}
		s.accounts[a.ID] = entry
		s.ordered = slices.Insert(s.ordered, at, entry)
		undo = append(undo, func() {
			delete(s.accounts, a.ID)
			s.ordered = slices.Delete(s.ordered, at, at+1)
		})
		added.Accounts = append(added.Accounts, a)
	}
	for _, t := range add.Teams {
		a := s.accounts[t.AccountID]
		if a == nil {
			return contacts.Directory{}, contacts.ErrNotFound
		}
		if t.ID == 0 {
			t.ID = 1
			if n := len(a.teams); n > 0 {
				last := a.teams[n-1].ID
				if last == math.MaxInt64 {
					return contacts.Directory{}, errors.New("memory: no team id is left in the account")
				}
				t.ID = max(t.ID, last+1)
			}
		}
		at, taken := slices.BinarySearchFunc(a.teams, t.ID, compareTeam)
		if taken {
			return contacts.Directory{}, contacts.ErrExists
		}
		a.teams = slices.Insert(a.teams, at, t)
		undo = append(undo, func() { a.teams = slices.Delete(a.teams, at, at+1) })
		added.Teams = append(added.Teams, t)
	}
	for i := range add.Keys {
		k := copyKey(&add.Keys[i])
		a := s.accounts[k.AccountID]
		if a == nil {
			return contacts.Directory{}, contacts.ErrNotFound
		}
		if s.keys[k.Hash] != nil || s.keyIDs[k.ID] != nil {
			return contacts.Directory{}, contacts.ErrExists
		}
		k.AccountDisabledAt = a.DisabledAt
		at, _ := slices.BinarySearchFunc(a.keys, k.ID, (*key).compare)
		entry := &key{&k}
		s.keys[k.Hash], s.keyIDs[k.ID] = entry, entry
		a.keys = slices.Insert(a.keys, at, entry)
		undo = append(undo, func() {
			delete(s.keys, k.Hash)
			delete(s.keyIDs, k.ID)
			a.keys = slices.Delete(a.keys, at, at+1)
		})
		added.Keys = append(added.Keys, copyKey(&k))
	}
	return added, nil
}

func (s *Store) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return contacts.Directory{}, err
	}
	defer s.mu.RUnlock()

	a := s.accounts[q.AccountID]
	if a == nil {
		a = new(account)
	}
	var d contacts.Directory
	switch q.Kind {
	case contacts.DirectoryAccounts:
		for _, a := range page(s.ordered, q.After, (*account).compare, q.Limit) {
			d.Accounts = append(d.Accounts, a.Account)
		}
	case contacts.DirectoryTeams:
		d.Teams = append(d.Teams, page(a.teams, q.AfterTeam, compareTeam, q.Limit)...)
	case contacts.DirectoryKeys:
		for _, k := range page(a.keys, q.After, (*key).compare, q.Limit) {
			d.Keys = append(d.Keys, copyKey(k.KeyRecord))
		}
	default:
		return d, fmt.Errorf("memory: no directory kind %d", q.Kind)
	}
	return d, nil
}

func (s *Store) Deactivate(ctx context.Context, d contacts.Deactivation) error {
	if err := s.enter(ctx, &s.mu); err != nil {
		return err
	}
	defer s.mu.Unlock()

	if d.KeyID != uuid.Nil {
		k := s.keyIDs[d.KeyID]
		if k == nil {
			return contacts.ErrNotFound
		}
		if k.RevokedAt.IsZero() {
			k.replace(func(r *contacts.KeyRecord) { r.RevokedAt = d.At })
		}
		return nil
	}
	a := s.accounts[d.AccountID]
	if a == nil {
		return contacts.ErrNotFound
	}
	if a.DisabledAt.IsZero() == d.At.IsZero() {
		return nil // it is so already
	}
	a.DisabledAt = d.At
	for _, k := range a.keys {
		k.replace(func(r *contacts.KeyRecord) { r.AccountDisabledAt = d.At })
	}
	return nil
}

func (s *Store) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()

	k := s.keys[hash]
	if k == nil {
		return nil, contacts.ErrNotFound
	}
	return k.KeyRecord, nil
}

func (s *Store) FindTeam(ctx context.Context, accountID uuid.UUID, id int64) (*contacts.Team, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()

	a := s.accounts[accountID]
	if a == nil {
		return nil, contacts.ErrNotFound
	}
	at, found := slices.BinarySearchFunc(a.teams, id, compareTeam)
	if !found {
		return nil, contacts.ErrNotFound
	}
	t := a.teams[at]
	return &t, nil
}

func (s *Store) CreateContacts(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
	l := s.mu.RLocker()
	if batch.AllOrNothing {
		l = &s.mu // nobody sees a part of it
	}
	if err := s.enter(ctx, l); err != nil {
		return slices.Repeat([]contacts.ContactOutcome{{Err: err}}, len(batch.Records))
	}
	defer l.Unlock()

	if len(batch.Records) == 1 {
		if o := s.create(copyContact(batch.Records[0]), batch.Idempotencies, batch.Now); o != (contacts.ContactOutcome{}) {
			return []contacts.ContactOutcome{o}
		}
		return nil
	}
	var outcomes []contacts.ContactOutcome
	failed := false
	records := copyContacts(batch.Records)
	for i := range records {
		var idempotency []*contacts.Idempotency
		if batch.Idempotencies != nil {
			idempotency = batch.Idempotencies[i : i+1]
		}
		o := s.create(&records[i], idempotency, batch.Now)
		if o == (contacts.ContactOutcome{}) {
			continue
		}
		if outcomes == nil {
			outcomes = make([]contacts.ContactOutcome, len(records))
		}
		outcomes[i] = o
		failed = failed || o.Err != nil
	}
	if batch.AllOrNothing && failed {
		s.takeBack(batch, outcomes)
	}
	return outcomes
}

// create keeps the record, which is the store's own copy, and the idempotency if
// there is one.
func (s *Store) create(r *contacts.ContactRecord, idempotency []*contacts.Idempotency, now time.Time) (o contacts.ContactOutcome) {
	a := s.accounts[r.Contact.AccountID]
	if a == nil {
		return contacts.ContactOutcome{Err: contacts.ErrNotFound}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var first *contacts.Idempotency
	if len(idempotency) > 0 {
		first = idempotency[0]
	}
	if first != nil {
		if earlier := a.idempotencies[first.Key]; earlier != nil && earlier.EndsAt.After(now) {
			if earlier.Input != first.Input {
				return contacts.ContactOutcome{Err: contacts.ErrIdempotencyConflict}
			}
			return contacts.ContactOutcome{Result: earlier.Result}
		}
	}
	if !a.hasTeam(r.Contact.TeamID) {
		return contacts.ContactOutcome{Err: contacts.ErrNotFound}
	}
	id := r.Contact.ID
	if a.contacts[id] != nil {
		return contacts.ContactOutcome{Err: contacts.ErrExists}
	}
	a.contacts[id] = r
	if n := len(a.ids); n > 0 && bytes.Compare(a.ids[n-1][:], id[:]) > 0 {
		a.sorted = false
	}
	a.ids = append(a.ids, id)
	if first != nil {
		a.remember(first, now)
	}
	return contacts.ContactOutcome{}
}

// hasTeam reports whether a contact may be in the team; 0 is none.
func (a *account) hasTeam(id int64) bool {
	if id == 0 {
		return true
	}
	_, found := slices.BinarySearchFunc(a.teams, id, compareTeam)
	return found
}

// remember keeps a copy of the idempotency. Whenever twice as many are kept as
// were left the last time, those that have ended are forgotten.
func (a *account) remember(i *contacts.Idempotency, now time.Time) {
	if a.idempotencies == nil {
		a.idempotencies = make(map[[32]byte]*contacts.Idempotency)
	}
	if len(a.idempotencies) >= max(a.sweepAt, 100) {
		maps.DeleteFunc(a.idempotencies, func(_ [32]byte, i *contacts.Idempotency) bool { return !i.EndsAt.After(now) })
		a.sweepAt = 2 * len(a.idempotencies)
	}
	kept := *i
	a.idempotencies[i.Key] = &kept
}

// takeBack removes what a batch has stored before one of its records failed, and
// makes the outcomes of the others say so. The store is locked.
func (s *Store) takeBack(batch contacts.ContactBatch, outcomes []contacts.ContactOutcome) {
	changed := make(map[*account]bool)
	for i, r := range batch.Records {
		if outcomes[i].Err != nil {
			continue
		}
		if outcomes[i].Result == "" {
			a := s.accounts[r.Contact.AccountID]
			delete(a.contacts, r.Contact.ID)
			changed[a] = true
			if batch.Idempotencies != nil && batch.Idempotencies[i] != nil {
				delete(a.idempotencies, batch.Idempotencies[i].Key)
			}
		}
		outcomes[i] = contacts.ContactOutcome{Err: contacts.ErrBatchFailed}
	}
	for a := range changed {
		a.ids = slices.DeleteFunc(a.ids, func(id uuid.UUID) bool { return a.contacts[id] == nil })
	}
}

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
	r := a.contacts[id] // replaced by a change, and never changed itself
	a.mu.RUnlock()
	if r == nil {
		return nil, contacts.ErrNotFound
	}
	return copyContact(r), nil
}

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
	a.readSorted()
	defer a.mu.RUnlock()
	end := len(a.ids) // of what is behind the query's position
	if q.After != uuid.Nil {
		end, _ = slices.BinarySearchFunc(a.ids, q.After, compareIDs)
	}
	from := end
	if q.Count {
		from = len(a.ids)
	}
	for i := from - 1; i >= 0; i-- {
		full := len(list.Records) == q.Limit
		if full && !q.Count {
			break
		}
		if i%1024 == 0 && ctx.Err() != nil {
			return contacts.ContactList{}, ctx.Err()
		}
		r := a.contacts[a.ids[i]]
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
		list.Records = append(list.Records, copyContact(r))
	}
	if !q.Count {
		list.Count = 0
	}
	return list, nil
}

func (s *Store) UpdateContacts(ctx context.Context, changes []contacts.ContactChange) []error {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return slices.Repeat([]error{err}, len(changes))
	}
	defer s.mu.RUnlock()

	var errs []error
	for i, c := range changes {
		if err := s.update(copyContact(c.Record), c.Version); err != nil {
			if errs == nil {
				errs = make([]error, len(changes))
			}
			errs[i] = err
		}
	}
	return errs
}

// update puts the record, which is the store's own copy, in the place of the one
// of that version.
func (s *Store) update(r *contacts.ContactRecord, version int64) error {
	a := s.accounts[r.Contact.AccountID]
	if a == nil || !a.hasTeam(r.Contact.TeamID) {
		return contacts.ErrNotFound
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	stored := a.contacts[r.Contact.ID]
	switch {
	case stored == nil:
		return contacts.ErrNotFound
	case stored.Contact.Version != version:
		return contacts.ErrConflict
	}
	a.contacts[r.Contact.ID] = r
	return nil
}

func (s *Store) PurgeContacts(ctx context.Context, q contacts.PurgeQuery) (int, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()

	n := 0
	for _, a := range s.ordered {
		if q.AccountID == uuid.Nil || q.AccountID == a.ID {
			n += a.purge(q, q.Limit-n)
		}
	}
	return n, nil
}

// purge removes at most limit contacts.
func (a *account) purge(q contacts.PurgeQuery, limit int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	a.ids = slices.DeleteFunc(a.ids, func(id uuid.UUID) bool {
		if n == limit || !q.Matches(a.contacts[id]) {
			return false
		}
		n++
		delete(a.contacts, id)
		return true
	})
	return n
}

// readSorted locks the account for reading, with its ids in order; nearly all of
// them are.
func (a *account) readSorted() {
	for {
		a.mu.RLock()
		if a.sorted {
			return
		}
		a.mu.RUnlock()
		a.mu.Lock()
		slices.SortFunc(a.ids, compareIDs)
		a.sorted = true
		a.mu.Unlock()
	}
}

// Close releases all records.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.accounts, s.ordered, s.keys, s.keyIDs = nil, nil, nil, nil
	return nil
}

func (a *account) compare(id uuid.UUID) int     { return bytes.Compare(a.ID[:], id[:]) }
func (k *key) compare(id uuid.UUID) int         { return bytes.Compare(k.ID[:], id[:]) }
func compareIDs(x, y uuid.UUID) int             { return bytes.Compare(x[:], y[:]) }
func compareTeam(t contacts.Team, id int64) int { return cmp.Compare(t.ID, id) }

// replace puts a changed copy in the place of the record.
func (k *key) replace(change func(*contacts.KeyRecord)) {
	r := *k.KeyRecord
	change(&r)
	k.KeyRecord = &r
}

// page returns at most limit elements of a sorted list, from behind a position.
func page[E, P any](list []E, behind P, compare func(E, P) int, limit int) []E {
	at, found := slices.BinarySearchFunc(list, behind, compare)
	if found {
		at++
	}
	list = list[at:]
	return list[:min(len(list), max(limit, 0))]
}

// copyKey returns a copy that shares no slice with the original.
func copyKey(k *contacts.KeyRecord) contacts.KeyRecord {
	c := *k
	c.Permissions = append([]contacts.Permission(nil), k.Permissions...) // an empty one becomes nil
	c.TeamIDs = append([]int64(nil), k.TeamIDs...)
	return c
}

// copyContact returns a copy that shares no slice with the original. It takes one
// allocation for a contact of common size.
func copyContact(r *contacts.ContactRecord) *contacts.ContactRecord {
	var common struct {
		record contacts.ContactRecord
		phones [2]contacts.PhoneNumber
		tags   [3]string
	}
	if len(r.Contact.PhoneNumbers) > len(common.phones) || len(r.Contact.Tags) > len(common.tags) {
		return &copyContacts([]*contacts.ContactRecord{r})[0]
	}
	c := &common
	c.record = *r
	phones, tags := c.phones[:0], c.tags[:0]
	c.record.Contact.PhoneNumbers = place(&phones, r.Contact.PhoneNumbers)
	c.record.Contact.Tags = place(&tags, r.Contact.Tags)
	return &c.record
}

// copyContacts returns copies that share no slice with the originals. It takes
// three allocations for any number of them.
func copyContacts(records []*contacts.ContactRecord) []contacts.ContactRecord {
	var tags, phones int
	for _, r := range records {
		tags += len(r.Contact.Tags)
		phones += len(r.Contact.PhoneNumbers)
	}
	allTags := make([]string, 0, tags)
	allPhones := make([]contacts.PhoneNumber, 0, phones)
	copies := make([]contacts.ContactRecord, len(records))
	for i, r := range records {
		copies[i] = *r
		copies[i].Contact.Tags = place(&allTags, r.Contact.Tags)
		copies[i].Contact.PhoneNumbers = place(&allPhones, r.Contact.PhoneNumbers)
	}
	return copies
}

// place appends list to all and returns that part of all; nil for an empty one.
func place[E any](all *[]E, list []E) []E {
	if len(list) == 0 {
		return nil
	}
	n := len(*all)
	*all = append(*all, list...)
	return (*all)[n:len(*all):len(*all)]
}
