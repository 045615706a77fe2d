//go:build cgo

package sqlite

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"example.com/contacts"
)

// Triggers count every change of accounts, teams and keys, whoever makes it.
const directoryVersionSQL = `SELECT version FROM directory_version`

// A directory answers the look-ups of every call, keys and teams, from memory
// as long as nothing of them has changed in the file. To know that it reads one
// number from the file for a key, so that a revocation holds for the next call
// in every process. A team it keeps is never changed or removed; should somebody
// do it by hand, the contacts' foreign key still holds.
type directory struct {
	readers *readers
	version sharedRead

	mu    sync.RWMutex
	at    int64 // the version that all below were read at or after
	keys  map[[32]byte]*contacts.KeyRecord
	teams map[teamKey]*contacts.Team
}

type teamKey struct {
	account uuid.UUID
	id      int64
}

// mostCached bounds the keys and the teams that are kept.
const mostCached = 10_000

func newDirectory(r *readers) *directory {
	d := &directory{readers: r, version: newSharedRead()}
	d.forget()
	return d
}

func (d *directory) forget() {
	d.keys = make(map[[32]byte]*contacts.KeyRecord)
	d.teams = make(map[teamKey]*contacts.Team)
}

func (d *directory) findKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	version, err := d.version.read(ctx, func() (int64, error) {
		row, err := d.readers.row(ctx, directoryVersion)
		if err != nil {
			return 0, err
		}
		return integer(row[0]), nil
	})
	if err != nil {
		return nil, err
	}
	d.mu.RLock()
	k := d.keys[hash]
	current := d.at == version
	d.mu.RUnlock()
	if current && k != nil {
		return k, nil
	}

	row, err := d.readers.row(ctx, findKey, hash[:])
	if err != nil {
		return nil, err
	}
	if k, err = decodeKey(row); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if version > d.at || len(d.keys) >= mostCached {
		d.forget()
		d.at = max(version, d.at)
	}
	if version == d.at { // what was read may be older than what others have seen
		d.keys[hash] = k
	}
	return k, nil
}

func (d *directory) findTeam(ctx context.Context, accountID uuid.UUID, id int64) (*contacts.Team, error) {
	key := teamKey{accountID, id}
	d.mu.RLock()
	t := d.teams[key]
	d.mu.RUnlock()
	if t != nil {
		return t, nil
	}
	row, err := d.readers.row(ctx, findTeam, accountID[:], id)
	if err != nil {
		return nil, err
	}
	team := decodeTeam(accountID, row)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.teams) >= mostCached {
		d.forget()
	}
	d.teams[key] = &team
	return &team, nil
}

// A sharedRead lets callers that come at the same time share one read, which
// began after each of them came.
type sharedRead struct {
	begun atomic.Int64  // how many reads have begun
	turn  chan struct{} // holds one token while somebody reads

	waiting atomic.Int64 // callers in read

	// The holder of turn alone touches these.
	last  int64 // the read that value is of
	value int64
	crowd bool // others waited for the last read
}

func newSharedRead() sharedRead { return sharedRead{turn: make(chan struct{}, 1)} }

func (s *sharedRead) read(ctx context.Context, do func() (int64, error)) (int64, error) {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	came := s.begun.Load()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if s.last > came {
		return s.value, nil
	}
	if s.crowd {
		gather(func() int { return int(s.waiting.Load()) })
	}
	this := s.begun.Add(1)
	v, err := do()
	s.crowd = s.waiting.Load() > 1
	if err != nil {
		return 0, err // a reader's own: its context may have ended
	}
	s.last, s.value = this, v
	return v, nil
}

// gather lets others come that were woken together with the caller, as long as
// more of them do, so that they share what it is about to do. It waits for
// nobody who is not ready to run.
func gather(came func() int) {
	const patience = 20
	before := came()
	for range patience {
		runtime.Gosched()
		n := came()
		if n == before {
			return
		}
		before = n
	}
}
