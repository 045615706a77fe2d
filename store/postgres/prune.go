package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

const (
	// Rows that other transactions remove at the same time are left to them.
	pruneOnceSQL = `DELETE FROM {schema}.idempotency WHERE account_id = $1 AND key IN (
		SELECT key FROM {schema}.idempotency WHERE account_id = $1 AND ends_at <= $2 ORDER BY ends_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING account_id`
	// Of the journal, events alone (kind 1) end.
	pruneEntriesSQL = `DELETE FROM {schema}.journal WHERE account_id = $1 AND sequence IN (
		SELECT sequence FROM {schema}.journal WHERE account_id = $1 AND kind = 1 AND ends_at <> 0 AND ends_at <= $2
			AND sequence < (SELECT sequence FROM {schema}.account_state WHERE account_id = $1)
			ORDER BY ends_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING account_id`

	// Accounts that have something to prune. Of two ended entries one is not the
	// newest.
	prunableSQL = `SELECT s.account_id FROM {schema}.account_state AS s
		WHERE EXISTS (SELECT 1 FROM (SELECT ends_at FROM {schema}.idempotency WHERE account_id = s.account_id AND ends_at <= $1 ORDER BY ends_at LIMIT 1) AS i)
			OR EXISTS (SELECT 1 FROM (SELECT sequence FROM {schema}.journal
				WHERE account_id = s.account_id AND kind = 1 AND ends_at <> 0 AND ends_at <= $1 ORDER BY ends_at LIMIT 2) AS j WHERE j.sequence < s.sequence)
		LIMIT $2`
)

const (
	// pruneEvery is of how many new idempotency records or events one, on average,
	// has twice as many ended ones removed.
	pruneEvery = 64

	// restOfPruned is how long an account is left alone that had nothing more to
	// remove: most events and records last for days.
	restOfPruned = time.Minute

	// maxPruned is how many rows of an account, and how many accounts, one call of
	// Apply without mutations removes rows of.
	maxPruned, maxPrunedAccounts = 1000, 100
)

// pruneAfter removes some of what has ended, where the write has stored new rows
// of that kind. The write is done, so an error has no consequence.
func (s *Store) pruneAfter(ctx context.Context, w *write) {
	var records, entries map[uuid.UUID]int // how many to remove
	var now time.Time
	count := func(of *map[uuid.UUID]int, account uuid.UUID) {
		if *of == nil {
			*of = make(map[uuid.UUID]int)
		}
		(*of)[account] += 2 * pruneEvery
	}
	for _, m := range w.mutations {
		if !m.stored {
			continue
		}
		now = m.now
		if m.idempotency != nil && m.idempotency.key[0]%pruneEvery == 0 {
			count(&records, m.account)
		}
		for i := range m.journal {
			if e := &m.journal[i]; e.Sequence == 0 && !e.EndsAt.IsZero() && prunes(e) {
				count(&entries, m.account)
			}
		}
	}
	for account, n := range records {
		s.pruneUnlessResting(ctx, &s.prunedOnce, s.statements.pruneOnce, account, now, n)
	}
	for account, n := range entries {
		s.pruneUnlessResting(ctx, &s.prunedEntries, s.statements.pruneEntries, account, now, n)
	}
}

// pruneUnlessResting is prune for an account that may have something to remove.
func (s *Store) pruneUnlessResting(ctx context.Context, r *rests, sql string, account uuid.UUID, now time.Time, limit int) {
	if r.has(account, now) {
		return
	}
	if removed, err := s.prune(ctx, sql, account, now, limit); err == nil && removed < limit {
		r.begin(account, now)
	}
}

// rests are the accounts that had nothing more to remove, with when that was by the
// clock of the write. They are safe for concurrent use.
type rests struct {
	mu    sync.Mutex
	since map[uuid.UUID]time.Time
}

// maxRests bounds what rests remember.
const maxRests = 10_000

func (r *rests) has(account uuid.UUID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, ok := r.since[account]
	return ok && now.Sub(since).Abs() < restOfPruned // clocks may go back
}

func (r *rests) begin(account uuid.UUID, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == nil || len(r.since) >= maxRests {
		r.since = make(map[uuid.UUID]time.Time)
	}
	r.since[account] = now
}

// prunes reports whether an event has others removed. It depends on the time, too: an
// account may change the same few contacts again and again. The product spreads times
// that have regular distances.
func prunes(e *contacts.JournalEntry) bool {
	const golden = 0x9e3779b97f4a7c15
	return (uint64(e.At.UnixMicro())*golden>>32+uint64(e.Subject[15]))%pruneEvery == 0
}

// prune removes up to limit rows of an account that have ended, and returns how many
// they were.
func (s *Store) prune(ctx context.Context, sql string, account uuid.UUID, now time.Time, limit int) (removed int, err error) {
	count := func(pgx.Rows) error {
		removed++
		return nil
	}
	err = s.query(ctx, account, count, sql, pgUUID(account), micros(now.Add(-contacts.ClockSkew)), limit)
	return removed, err
}

// pruneAll removes a bounded number of rows that have ended, of any account.
func (s *Store) pruneAll(ctx context.Context, now time.Time) error {
	var accounts []uuid.UUID
	err := s.transact(ctx, nil, func(ctx context.Context, t *transaction) error {
		accounts = nil
		s.allowAll(t)
		t.query(func(rows pgx.Rows) error {
			var id uuid.UUID
			err := rows.Scan((*[16]byte)(&id))
			accounts = append(accounts, id)
			return err
		}, s.statements.prunable, micros(now.Add(-contacts.ClockSkew)), maxPrunedAccounts)
		return t.flush(ctx)
	})
	for _, account := range accounts {
		for _, sql := range []string{s.statements.pruneOnce, s.statements.pruneEntries} {
			if err == nil {
				_, err = s.prune(ctx, sql, account, now, maxPruned)
			}
		}
	}
	return err
}
