//go:build cgo

package sqlite

import (
	"errors"

	"example.com/contacts"
	"example.com/contacts/store/internal/meter"
)

// Stats returns what the store has done since it was opened. It reads memory
// alone and may be called at any time, also after Close. UnmergedContacts knows of
// what other processes write from time to time only.
func (s *Store) Stats() contacts.StoreStats {
	stats := s.meter.Stats()
	stats.Waiting = s.writer.queue.Sum(job.mutations)
	stats.UnmergedContacts = s.index.unmerged.Load()
	stats.LogBytes = s.writer.place.size.Load()
	return stats
}

// mutations returns how many mutations the job applies.
func (j job) mutations() int {
	if j.batch == nil {
		return 0
	}
	return len(j.batch.mutations)
}

// measure begins to measure the transaction of the jobs.
func (w *writer) measure(jobs []job, retry bool) meter.Transaction {
	n := 0
	for i := range jobs {
		n += jobs[i].mutations()
	}
	t := w.meter.Begin(n, len(jobs), func(i int) meter.Caller { return jobs[i].caller })
	if retry {
		t.Retry()
	}
	return t
}

// resultOf returns how the transaction of the jobs ended.
func resultOf(jobs []job, err error) (r meter.Result) {
	if r.Undone = errors.Is(err, errBatchFailed); err != nil && !r.Undone {
		r.Err = classify(err)
		return r
	}
	for i := range jobs {
		if jobs[i].batch == nil {
			continue
		}
		r.Stored += len(jobs[i].batch.mutations)
		for _, o := range jobs[i].batch.outcomes {
			switch {
			case o.Err != nil:
				r.Failed++
				r.Stored--
			case o.Result != "": // an earlier call has stored it
				r.Stored--
			}
		}
	}
	return r
}
