// Package memory keeps contacts in memory. It is for unit tests and short-lived
// programs: nothing survives the process, and no other process sees it.
// Everything else of the contract of [contacts.Store] holds, so a program that
// is tested on it runs unchanged on a store that lasts.
package memory

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"

	"example.com/contacts"
)

var _ contacts.Store = (*Store)(nil)

// A Store is a [contacts.Store] in memory. Make one with [New]; its zero value
// is of no use. Safe for concurrent use. Calls about different accounts do not
// wait for each other, except a batch that mixes accounts and a change of the
// directory.
type Store struct {
	mu       sync.RWMutex // guards the directory
	closed   bool
	accounts map[uuid.UUID]*account
	ordered  []*account // the same, by id
	keys     map[[32]byte]*key
	keyIDs   map[uuid.UUID]*key
}

// An account holds all that is found under it and nowhere else, which keeps
// tenants apart.
type account struct {
	// The directory of the account, guarded by Store.mu.

	*contacts.AccountRecord                 // shared by FindAccount and FindKey: replaced, never changed
	teams                   []contacts.Team // by id
	keys                    []*key          // by id
	settings                []contacts.SettingRecord

	// What Apply stores. A reader holds Store.mu and mu for reading. A writer
	// holds either Store.mu for reading and mu, or Store.mu alone.

	mu       sync.RWMutex
	contacts map[uuid.UUID]stored
	ids      []uuid.UUID // of the contacts, in ascending order if sorted
	sorted   bool
	index    map[contacts.MatchKey][]uuid.UUID // contacts by match key, each list in ascending order; nil until somebody needs it

	idempotency map[[32]byte]*contacts.IdempotencyRecord
	journal     []contacts.JournalEntry // by sequence
	subjects    map[[32]byte][]int64    // sequences of the journal by subject, each list in ascending order
	pruneAt     int                     // how many records of the two are kept before they are pruned
}

// A key holds the record that FindKey returns. The record is shared, so it is
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
	err := ctx.Err() // it may have waited
	if s.closed {
		err = contacts.ErrClosed
	}
	if err != nil {
		l.Unlock()
	}
	return err
}

// Close releases all records.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.accounts, s.ordered, s.keys, s.keyIDs = nil, nil, nil, nil
	return nil
}

func compareIDs(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) }

// after returns the elements of a sorted list that come after a position.
func after[E, P any](list []E, position P, compare func(E, P) int) []E {
	at, found := slices.BinarySearchFunc(list, position, compare)
	if found {
		at++
	}
	return list[at:]
}

// first returns at most limit elements of the list.
func first[E any](list []E, limit int) []E { return list[:min(len(list), limit)] }
