package postgres

import (
	"context"
	"errors"

	"example.com/contacts"
	"example.com/contacts/store/internal/meter"
)

// Stats returns what the store has done since it was opened. It reads memory
// alone and may be called at any time, also after Close.
func (s *Store) Stats() contacts.StoreStats {
	stats, pool := s.meter.Stats(), s.pool.Stat()
	stats.Waiting = s.writes.Sum((*write).size)
	stats.Connections, stats.Idle = int(pool.TotalConns()), int(pool.IdleConns())
	return stats
}

// measure begins to measure the transaction of the batches.
func (s *Store) measure(all []*write) meter.Transaction {
	n := 0
	for _, w := range all {
		n += w.size()
	}
	return s.meter.Begin(n, len(all), func(i int) meter.Caller { return all[i].caller })
}

// resultOf returns how the transaction of the batches ended.
func resultOf(ctx context.Context, all []*write, err error) (r meter.Result) {
	if errors.Is(err, errRefused) {
		return meter.Result{Failed: len(all[0].mutations), Undone: true}
	}
	if err != nil {
		return meter.Result{Err: classify(ctx, err)}
	}
	for _, w := range all {
		for _, m := range w.mutations {
			switch {
			case m.stored:
				r.Stored++
			case m.outcome.Err != nil:
				r.Failed++
			}
		}
	}
	return r
}
