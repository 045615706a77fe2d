//go:build cgo

package sqlite

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/groupcommit"
)

// Triggers count every change of accounts, teams, keys and settings, also one that
// is made with a shell.
const directoryVersionSQL = `SELECT version FROM directory_version`

// A directoryCache answers the look-ups of every call, keys and accounts, from
// memory as long as the directory has not changed. To know that, it reads one
// number from the file for each of them. So a revocation or a setting holds for
// the next call in every process.
type directoryCache struct {
	readers *readers
	version sharedRead

	mu       sync.RWMutex
	at       int64 // all below was read at this version or later
	keys     map[[32]byte]*contacts.KeyRecord
	accounts map[uuid.UUID]*contacts.AccountRecord
}

// maxCached is how many keys and how many accounts are kept. A key takes some
// 500 bytes.
const maxCached = 10_000

func newDirectoryCache(r *readers) *directoryCache {
	d := &directoryCache{readers: r, version: newSharedRead()}
	d.forget()
	return d
}

func (d *directoryCache) forget() {
	d.keys = make(map[[32]byte]*contacts.KeyRecord)
	d.accounts = make(map[uuid.UUID]*contacts.AccountRecord)
}

func (d *directoryCache) findKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	version, err := d.readVersion(ctx)
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
	if k.Account, err = d.accountAt(ctx, version, k.AccountID); err != nil {
		return nil, err
	}
	d.keep(version, func() { d.keys[hash] = k })
	return k, nil
}

func (d *directoryCache) findAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	version, err := d.readVersion(ctx)
	if err != nil {
		return nil, err
	}
	return d.accountAt(ctx, version, id)
}

// accountAt returns the account at that version of the directory or later.
func (d *directoryCache) accountAt(ctx context.Context, version int64, id uuid.UUID) (*contacts.AccountRecord, error) {
	d.mu.RLock()
	a := d.accounts[id]
	current := d.at == version
	d.mu.RUnlock()
	if current && a != nil {
		return a, nil
	}
	rows, err := d.readers.rows(ctx, findAccount, id[:])
	if err != nil {
		return nil, err
	}
	if a, err = decodeAccountRecord(rows); err != nil {
		return nil, err
	}
	d.keep(version, func() { d.accounts[id] = a })
	return a, nil
}

// readVersion returns the version of the directory.
func (d *directoryCache) readVersion(ctx context.Context) (int64, error) {
	return d.version.read(ctx, func() (int64, error) {
		row, err := d.readers.row(ctx, directoryVersion)
		if err != nil {
			return 0, err
		}
		return integer(row[0]), nil
	})
}

// keep calls f to keep a record that was read at that version or later. It does
// not if the cache has a newer version: the record may be older than that.
func (d *directoryCache) keep(version int64, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if version > d.at || len(d.keys) >= maxCached || len(d.accounts) >= maxCached {
		d.forget()
		d.at = max(version, d.at)
	}
	if version == d.at {
		f()
	}
}

// A sharedRead lets callers that come at the same time share one read, which
// began after each of them came.
type sharedRead struct {
	begun atomic.Int64  // how many reads have begun
	turn  chan struct{} // holds one token while a read is under way

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
		groupcommit.Gather(func() int { return int(s.waiting.Load()) })
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
