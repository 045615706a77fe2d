package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// AddToDirectory implements [contacts.Store].
func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (added contacts.Directory, err error) {
	if err := s.enter(ctx, &s.mu); err != nil {
		return contacts.Directory{}, err
	}
	defer s.mu.Unlock()

	// The records go in one after the other, so that they may refer to each
	// other. If one is refused, those before it go out again, the last one first.
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				f()
			}
		}
	}()
	for _, a := range add.Accounts {
		remove, err := s.addAccount(a)
		if err != nil {
			return added, err
		}
		undo = append(undo, remove)
		added.Accounts = append(added.Accounts, a)
	}
	for _, t := range add.Teams {
		remove, err := s.addTeam(&t)
		if err != nil {
			return added, err
		}
		undo = append(undo, remove)
		added.Teams = append(added.Teams, t)
	}
	for i := range add.Keys {
		k := copyKey(&add.Keys[i])
		remove, err := s.addKey(copyKey(&k))
		if err != nil {
			return added, err
		}
		undo = append(undo, remove)
		added.Keys = append(added.Keys, k)
	}
	for _, set := range add.Settings {
		remove, err := s.addSetting(set)
		if err != nil {
			return added, err
		}
		undo = append(undo, remove)
		added.Settings = append(added.Settings, set)
	}
	return added, nil
}

// addAccount adds an account and returns a function that removes it again, as
// those below do for theirs.
func (s *Store) addAccount(a contacts.Account) (remove func(), err error) {
	at, taken := slices.BinarySearchFunc(s.ordered, a.ID, (*account).compare)
	if taken {
		return nil, contacts.ErrExists
	}
	s.accounts[a.ID] = newAccount(a)
	s.ordered = slices.Insert(s.ordered, at, s.accounts[a.ID])
	return func() {
		delete(s.accounts, a.ID)
		s.ordered = slices.Delete(s.ordered, at, at+1)
	}, nil
}

// addTeam adds a team, and sets its id if it has none.
func (s *Store) addTeam(t *contacts.Team) (remove func(), err error) {
	a := s.accounts[t.AccountID]
	if a == nil {
		return nil, contacts.ErrNotFound
	}
	if t.ID == 0 {
		if t.ID, err = a.nextTeam(); err != nil {
			return nil, err
		}
	}
	at, taken := slices.BinarySearchFunc(a.teams, t.ID, compareTeam)
	if taken {
		return nil, contacts.ErrExists
	}
	a.teams = slices.Insert(a.teams, at, *t)
	return func() { a.teams = slices.Delete(a.teams, at, at+1) }, nil
}

// addKey adds a key, which belongs to the store from then on.
func (s *Store) addKey(k contacts.KeyRecord) (remove func(), err error) {
	a := s.accounts[k.AccountID]
	if a == nil {
		return nil, contacts.ErrNotFound
	}
	if s.keys[k.Hash] != nil || s.keyIDs[k.ID] != nil {
		return nil, contacts.ErrExists
	}
	k.Account = a.AccountRecord
	at, _ := slices.BinarySearchFunc(a.keys, k.ID, (*key).compare)
	entry := &key{&k}
	s.keys[k.Hash], s.keyIDs[k.ID] = entry, entry
	a.keys = slices.Insert(a.keys, at, entry)
	return func() {
		delete(s.keys, k.Hash)
		delete(s.keyIDs, k.ID)
		a.keys = slices.Delete(a.keys, at, at+1)
	}, nil
}

// addSetting adds a setting, which is the next version of those of its account.
func (s *Store) addSetting(set contacts.SettingRecord) (remove func(), err error) {
	a := s.accounts[set.AccountID]
	if a == nil {
		return nil, contacts.ErrNotFound
	}
	if set.Version != a.SettingsVersion+1 {
		return nil, contacts.ErrExists
	}
	before := a.AccountRecord
	a.settings = append(a.settings, set)
	a.replace(func(r *contacts.AccountRecord) {
		r.SettingsVersion = set.Version
		r.Settings = withSetting(r.Settings, set)
	})
	return func() {
		a.settings = a.settings[:len(a.settings)-1]
		a.replace(func(r *contacts.AccountRecord) { *r = *before })
	}, nil
}

func newAccount(a contacts.Account) *account {
	return &account{
		AccountRecord: &contacts.AccountRecord{Account: a},
		contacts:      make(map[uuid.UUID]stored),
		sorted:        true,
		idempotency:   make(map[[32]byte]*contacts.IdempotencyRecord),
		subjects:      make(map[[32]byte][]int64),
		pruneAt:       minPruneAt,
	}
}

// nextTeam returns the id of the account's next team.
func (a *account) nextTeam() (int64, error) {
	if len(a.teams) == 0 {
		return 1, nil
	}
	last := a.teams[len(a.teams)-1].ID
	if last == math.MaxInt64 {
		return 0, errors.New("memory: the account has no free team id")
	}
	return last + 1, nil
}

// withSetting returns a copy of the settings with the newest value of one.
func withSetting(settings map[string]string, set contacts.SettingRecord) map[string]string {
	settings = maps.Clone(settings)
	if set.Value == "" {
		delete(settings, set.Name)
		if len(settings) == 0 {
			return nil
		}
		return settings
	}
	if settings == nil {
		settings = make(map[string]string)
	}
	settings[set.Name] = set.Value
	return settings
}

// ListDirectory implements [contacts.Store].
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
		for _, a := range first(after(s.ordered, q.After, (*account).compare), q.Limit) {
			d.Accounts = append(d.Accounts, a.Account)
		}
	case contacts.DirectoryTeams:
		d.Teams = append(d.Teams, first(after(a.teams, q.AfterTeam, compareTeam), q.Limit)...)
	case contacts.DirectoryKeys:
		for _, k := range first(after(a.keys, q.After, (*key).compare), q.Limit) {
			d.Keys = append(d.Keys, copyKey(k.KeyRecord))
		}
	case contacts.DirectorySettings:
		d.Settings = append(d.Settings, first(after(a.settings, q.AfterVersion, compareSetting), q.Limit)...)
	default:
		return d, fmt.Errorf("memory: no directory kind %d", q.Kind)
	}
	return d, nil
}

// UpdateDirectory implements [contacts.Store].
func (s *Store) UpdateDirectory(ctx context.Context, u contacts.DirectoryUpdate) error {
	if err := s.enter(ctx, &s.mu); err != nil {
		return err
	}
	defer s.mu.Unlock()

	if u.KeyID != uuid.Nil {
		k := s.keyIDs[u.KeyID]
		if k == nil {
			return contacts.ErrNotFound
		}
		k.replace(func(r *contacts.KeyRecord) { r.RevokedAt = earlier(r.RevokedAt, u.At) })
		return nil
	}
	a := s.accounts[u.AccountID]
	if a == nil {
		return contacts.ErrNotFound
	}
	a.replace(func(r *contacts.AccountRecord) {
		if u.At.IsZero() {
			r.DisabledAt = u.At
		} else {
			r.DisabledAt = earlier(r.DisabledAt, u.At)
		}
	})
	return nil
}

// earlier returns the time that is set already, else the other one.
func earlier(set, at time.Time) time.Time {
	if set.IsZero() {
		return at
	}
	return set
}

// FindKey implements [contacts.Store].
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

// FindAccount implements [contacts.Store].
func (s *Store) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()

	a := s.accounts[id]
	if a == nil {
		return nil, contacts.ErrNotFound
	}
	return a.AccountRecord, nil
}

// replace puts a changed copy in the place of the account's record, also in the
// records of its keys.
func (a *account) replace(change func(*contacts.AccountRecord)) {
	r := *a.AccountRecord
	change(&r)
	a.AccountRecord = &r
	for _, k := range a.keys {
		k.replace(func(k *contacts.KeyRecord) { k.Account = &r })
	}
}

// replace puts a changed copy in the place of the record.
func (k *key) replace(change func(*contacts.KeyRecord)) {
	r := *k.KeyRecord
	change(&r)
	k.KeyRecord = &r
}

// hasTeam reports whether a contact may be in the team; 0 is none.
func (a *account) hasTeam(id int64) bool {
	if id == 0 {
		return true
	}
	_, found := slices.BinarySearchFunc(a.teams, id, compareTeam)
	return found
}

func (a *account) compare(id uuid.UUID) int { return compareIDs(a.ID, id) }
func (k *key) compare(id uuid.UUID) int     { return compareIDs(k.ID, id) }

func compareTeam(t contacts.Team, id int64) int { return cmp.Compare(t.ID, id) }
func compareSetting(s contacts.SettingRecord, version int64) int {
	return cmp.Compare(s.Version, version)
}

// copyKey returns a copy that shares no slice with the original and has no
// account.
func copyKey(k *contacts.KeyRecord) contacts.KeyRecord {
	c := *k
	c.Permissions = append([]contacts.Permission(nil), k.Permissions...) // an empty one becomes nil
	c.TeamIDs = append([]int64(nil), k.TeamIDs...)
	c.Account = nil
	return c
}
