package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

const findKeysSQL = selectKeysSQL + `WHERE k.hash = ANY($1)`

// FindKey implements [contacts.Store]. It asks the server each time, so that a
// revocation holds for the next call in every process; callers that come at the
// same time share a query.
func (s *Store) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	const op = "postgres: find key: %w"
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	search := &keySearch{hash: hash}
	err := s.keys.do(ctx, search)
	switch {
	case errors.Is(err, contacts.ErrOutcomeUnknown):
		return nil, fmt.Errorf(op, ctx.Err()) // it would have changed nothing
	case err != nil:
		return nil, fmt.Errorf(op, classify(ctx, err))
	case search.found == nil:
		return nil, fmt.Errorf(op, contacts.ErrNotFound)
	}
	return search.found, nil
}

// A keySearch is a call of FindKey.
type keySearch struct {
	hash  [32]byte
	found *contacts.KeyRecord // nil: there is no such key
}

func (*keySearch) size() int { return 1 }

// findKeys runs the searches of a group with one query, which begins after each
// of the calls did.
func (s *Store) findKeys(ctx context.Context, conn *pgxpool.Conn, all []*keySearch) error {
	wanted := make(map[[32]byte]*contacts.KeyRecord, len(all))
	hashes := make([][]byte, 0, len(all))
	for _, search := range all {
		if _, known := wanted[search.hash]; !known {
			wanted[search.hash] = nil
			hashes = append(hashes, search.hash[:])
		}
	}
	first := true
	err := s.read(ctx, func() error {
		var q querier = s.pool
		if first {
			first = false
			defer conn.Release()
			q = conn
		}
		found, err := collect(ctx, q, scanKey, s.statements.findKeys, hashes)
		for i := range found {
			wanted[found[i].Hash] = &found[i]
		}
		return err
	})
	for _, search := range all {
		search.found = wanted[search.hash]
	}
	return err
}

// A teamCache keeps teams, which are never changed or removed. Should somebody
// do it by hand, the statements that write a contact look for its team all the
// same.
type teamCache struct {
	mu    sync.RWMutex
	teams map[teamKey]contacts.Team
}

type teamKey struct {
	account uuid.UUID
	id      int64
}

// mostTeams bounds the teams that are kept.
const mostTeams = 10_000

func (c *teamCache) get(k teamKey) (contacts.Team, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, found := c.teams[k]
	return t, found
}

func (c *teamCache) put(t contacts.Team) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.teams == nil || len(c.teams) >= mostTeams {
		c.teams = make(map[teamKey]contacts.Team)
	}
	c.teams[teamKey{t.AccountID, t.ID}] = t
}

// FindTeam implements [contacts.Store].
func (s *Store) FindTeam(ctx context.Context, accountID uuid.UUID, id int64) (*contacts.Team, error) {
	const op = "postgres: find team: %w"
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.calls.Done()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf(op, err)
	}

	if t, found := s.teams.get(teamKey{accountID, id}); found {
		return &t, nil
	}
	var found []contacts.Team
	err := s.read(ctx, func() (err error) {
		found, err = s.queryTeams(ctx, accountID, s.statements.findTeam, pgUUID(accountID), id)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf(op, classify(ctx, err))
	case len(found) == 0:
		return nil, fmt.Errorf(op, contacts.ErrNotFound)
	}
	s.teams.put(found[0])
	return &found[0], nil
}
