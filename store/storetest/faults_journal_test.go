package storetest_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// journalFaults break the journal and its pruning.
var journalFaults = []fault{
	{"numbers from 0", "journal/appended", onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		for i := range all {
			all[i].Sequence--
		}
		return all
	})},
	{"appends a thousand entries at most", "journal/appended", onMutation(func(m *contacts.Mutation) { m.Journal = m.Journal[:min(1000, len(m.Journal))] })},
	{"appends the last entry first", "journal/appended", onMutation(func(m *contacts.Mutation) { slices.Reverse(m.Journal) })},
	{"uses up numbers for what is refused", "batches/a refusal uses up no number", func(p *process) {
		var mu sync.Mutex
		lost := int64(0)
		onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) {
			mu.Lock()
			defer mu.Unlock()
			if o.Err != nil {
				lost += int64(len(m.Journal))
			}
		})(p)
		onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
			mu.Lock()
			defer mu.Unlock()
			for i := range all {
				all[i].Sequence += lost
			}
			return all
		})(p)
	}},
	{"appends entries of what is refused", "batches/a refusal uses up no number", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if errors.Is(o.Err, contacts.ErrTeamNotFound) {
			a.one(contacts.Mutation{AccountID: m.AccountID, Journal: m.Journal})
		}
		return o, err
	})},
	{"appends what it should replace", "journal/replaced", onMutation(func(m *contacts.Mutation) {
		for i := range m.Journal {
			m.Journal[i].Sequence = 0
		}
	})},
	{"replaces the times too", "journal/replaced", func(p *process) {
		var replaced sync.Map
		onMutation(func(m *contacts.Mutation) {
			for _, e := range m.Journal {
				if e.Sequence != 0 {
					replaced.Store(e.Sequence, e)
				}
			}
		})(p)
		onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
			for i, e := range all {
				if given, ok := replaced.Load(e.Sequence); ok {
					all[i].EndsAt = given.(contacts.JournalEntry).EndsAt
				}
			}
			return all
		})(p)
	}},
	{"replaces by the number alone", "journal/replaced", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		m = cloneMutations([]contacts.Mutation{m})[0]
		for i, e := range m.Journal {
			found, _ := a.data.ListJournal(a.ctx, contacts.JournalQuery{AccountID: m.AccountID, After: e.Sequence - 1, Limit: 1})
			if e.Sequence != 0 && len(found) == 1 && found[0].Sequence == e.Sequence {
				m.Journal[i].Kind, m.Journal[i].Subject = found[0].Kind, found[0].Subject
			}
		}
		return a.one(m)
	})},
	{"ignores an entry that is not there", "journal/replaced", instead(contacts.ErrNotFound, nil)},
	{"says exists for an entry that is not there", "journal/replaced", instead(contacts.ErrNotFound, contacts.ErrExists)},
	{"appends at a number to come", "journal/replaced", onBatch(func(batch *contacts.MutationBatch) { batch.Verbatim = true })},
	{"lists one entry too many", "journal/pages", onJournal(func(q *contacts.JournalQuery) { q.Limit++ })},
	{"repeats the last entry of a page", "journal/pages", onJournal(func(q *contacts.JournalQuery) {
		if q.After > 0 && !q.Backwards {
			q.After--
		}
	})},
	{"knows no end to start from", "journal/pages", func(p *process) {
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			if q.Backwards && q.After == 0 {
				return nil, nil
			}
			return p.data.ListJournal(ctx, q)
		}
	}},
	{"lists entries in one direction", "journal/pages", onEntries(func(q contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		if q.Backwards {
			slices.Reverse(all)
		}
		return all
	})},
	{"ignores the kind of entries", "journal/pages", onJournal(func(q *contacts.JournalQuery) { q.Kind = 0 })},
	{"finds entries of the first subject", "journal/pages", onJournal(func(q *contacts.JournalQuery) { q.Subjects = q.Subjects[:min(1, len(q.Subjects))] })},
	{"filters entries after the limit", "journal/pages", func(p *process) {
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			all := q
			all.Kind = 0
			entries, err := p.data.ListJournal(ctx, all)
			return slices.DeleteFunc(entries, func(e contacts.JournalEntry) bool { return q.Kind != 0 && e.Kind != q.Kind }), err
		}
	}},
	{"takes a thousand subjects", "journal/many subjects", onJournal(func(q *contacts.JournalQuery) { q.Subjects = q.Subjects[max(0, len(q.Subjects)-1000):] })},
	{"trims data", "journal/byte for byte", onMutation(func(m *contacts.Mutation) {
		for i := range m.Journal {
			m.Journal[i].Data = strings.TrimSpace(m.Journal[i].Data)
		}
	})},
	{"compares a part of the subject", "journal/byte for byte", onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		for i := range all {
			clear(all[i].Subject[16:])
		}
		return all
	})},
	{"fails to list the entries of an unknown account", "journal/account unknown", func(p *process) {
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			entries, err := p.data.ListJournal(ctx, q)
			if err == nil && entries == nil {
				err = contacts.ErrNotFound
			}
			return entries, err
		}
	}},
	{"returns empty slices for no entries", "journal/account unknown", onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		return append([]contacts.JournalEntry{}, all...)
	})},
	{"appends the entries of a mutation one by one", "journal/by many at once", inParts(func(m contacts.Mutation) (parts []contacts.Mutation) {
		for i := range m.Journal {
			part := m
			part.Journal = m.Journal[i : i+1]
			parts = append(parts, part)
		}
		return parts
	})},
	{"shows a number before the one under it", "journal/by many at once", showLate},
	{"shows numbers late in two processes", "journal/by two processes", showLate},
	{"numbers what is brought along", "journal/numbers brought along", onBatch(func(batch *contacts.MutationBatch) {
		if batch.Verbatim {
			batch.Verbatim = false
			for _, m := range batch.Mutations {
				for i := range m.Journal {
					m.Journal[i].Sequence = 0
				}
			}
		}
	})},
	{"knows no numbers from elsewhere", "journal/numbers brought along", onBatch(func(batch *contacts.MutationBatch) { batch.Verbatim = false })},
	{"appends what is there already", "journal/numbers brought along again", func(p *process) {
		onMutation(func(m *contacts.Mutation) {
			newest, _ := p.data.ListJournal(context.Background(), contacts.JournalQuery{AccountID: m.AccountID, Backwards: true, Limit: 1})
			for i, e := range m.Journal {
				if len(newest) == 1 && e.Sequence <= newest[0].Sequence {
					m.Journal[i].Sequence = 0
				}
			}
		})(p)
	}},
	{"refuses what is there already", "journal/numbers brought along again", func(p *process) {
		onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
			for _, e := range m.Journal {
				found, _ := a.data.ListJournal(a.ctx, contacts.JournalQuery{AccountID: m.AccountID, After: e.Sequence - 1, Limit: 1})
				if e.Sequence != 0 && len(found) == 1 && found[0].Sequence == e.Sequence {
					return contacts.MutationOutcome{Err: contacts.ErrExists}, nil
				}
			}
			return a.one(m)
		})(p)
	}},
	{"says not found for another entry", "journal/numbers brought along again", instead(contacts.ErrExists, contacts.ErrNotFound)},
	{"loses entries on reopening", "journal/after reopening", keepEntriesToItself},
	{"keeps entries from a second process", "journal/seen by a second process", keepEntriesToItself},

	// Pruning.
	{"removes what never ends", "pruning/only what has ended", prune(func(e contacts.JournalEntry, now time.Time) bool { return e.EndsAt.Before(now.Add(-time.Hour)) })},
	{"removes after a year what never ends", "pruning/only what has ended", prune(func(e contacts.JournalEntry, now time.Time) bool {
		return e.EndsAt.IsZero() && e.At.Before(now.AddDate(-1, 0, 0))
	})},
	{"removes by the clock", "pruning/only what has ended", prune(func(e contacts.JournalEntry, now time.Time) bool { return !e.EndsAt.IsZero() && !e.EndsAt.After(now) })},
	{"removes all kinds of entries", "pruning/other kinds than events", prune(func(e contacts.JournalEntry, now time.Time) bool {
		return e.Kind != contacts.JournalEvent && !e.EndsAt.IsZero() && !e.EndsAt.After(now.Add(-time.Hour))
	})},
	{"removes deleted contacts", "pruning/only what has ended", removeDeleted(0)},
	{"removes contacts a year after they were deleted", "pruning/only what has ended", removeDeleted(365 * 24 * time.Hour)},
	{"forgets records once they have ended", "pruning/idempotency records within the hour", func(p *process) {
		var mu sync.Mutex
		stored := map[[32]byte]time.Time{} // when each ends
		onBatch(func(batch *contacts.MutationBatch) {
			mu.Lock()
			defer mu.Unlock()
			for i, m := range batch.Mutations {
				if m.Idempotency == nil {
					continue
				}
				if ends, ok := stored[m.Idempotency.Key]; ok && ends.IsZero() {
					batch.Mutations[i].Idempotency = nil
				} else if !ok {
					stored[m.Idempotency.Key] = m.Idempotency.EndsAt
				}
			}
			for key, ends := range stored {
				if !ends.After(batch.Now) {
					stored[key] = time.Time{}
				}
			}
		})(p)
	}},
	{"removes the newest entry", "pruning/the newest entry", prune(func(e contacts.JournalEntry, now time.Time) bool {
		return !e.EndsAt.IsZero() && !e.EndsAt.After(now.Add(-time.Hour))
	})},
	{"returns an error for no mutations", "pruning/without mutations", onApply(func(a *applying) (outcomes, error) {
		if len(a.Mutations) == 0 {
			return nil, errors.New("nothing to do")
		}
		return a.do()
	})},
	{"returns no outcomes in place of nil", "pruning/without mutations", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if len(a.Mutations) == 0 {
			return nil, errors.Join(err, contacts.ErrNotFound)
		}
		return all, err
	})},
	{"removes nothing", "pruning/without mutations", onApply(func(a *applying) (outcomes, error) {
		if len(a.Mutations) == 0 {
			return nil, nil
		}
		return a.do()
	})},
	{"hides what has ended", "pruning/returned as long as it is there", onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		return slices.DeleteFunc(all, func(e contacts.JournalEntry) bool { return !e.EndsAt.IsZero() && !e.EndsAt.After(e.At) })
	})},
	{"lists a thousand entries of a subject", "journal/long pages of subjects", onJournal(func(q *contacts.JournalQuery) {
		if len(q.Subjects) == 1 {
			q.Limit = min(q.Limit, 1000)
		}
	})},
	{"lists a thousand entries of several subjects", "journal/long pages of subjects", onJournal(func(q *contacts.JournalQuery) {
		if len(q.Subjects) > 1 {
			q.Limit = min(q.Limit, 1000)
		}
	})},
	{"knows no numbers from elsewhere for all or nothing", "journal/numbers brought along, all or nothing", onAll(func(a *applying) (outcomes, error) {
		a.Verbatim = false
		return a.do()
	})},
	{"takes no subjects for any", "journal/of no subjects", onJournal(func(q *contacts.JournalQuery) {
		if len(q.Subjects) == 0 {
			q.Subjects = nil
		}
	})},
	{"truncates the end of entries", "journal/times", onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		for i := range all {
			all[i].EndsAt = all[i].EndsAt.Truncate(time.Second)
		}
		return all
	})},
	{"replaces what the same mutation appends", "journal/no entry of its own mutation", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		newest := a.newest(m.AccountID)
		m = cloneMutations([]contacts.Mutation{m})[0]
		m.Journal = slices.DeleteFunc(m.Journal, func(e contacts.JournalEntry) bool { return e.Sequence > newest && !a.Verbatim })
		return a.one(m)
	})},
	{"replaces what the same mutation has brought along", "journal/numbers brought along in any order", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		m = cloneMutations([]contacts.Mutation{m})[0]
		seen := map[int64]bool{}
		m.Journal = slices.DeleteFunc(m.Journal, func(e contacts.JournalEntry) bool {
			again := a.Verbatim && seen[e.Sequence] && e.Sequence != 0
			seen[e.Sequence] = true
			return again
		})
		return a.one(m)
	})},
	{"sorts what is brought along", "journal/numbers brought along in any order", onBatch(func(batch *contacts.MutationBatch) {
		for _, m := range batch.Mutations {
			if batch.Verbatim {
				slices.SortFunc(m.Journal, func(x, y contacts.JournalEntry) int { return cmp.Compare(x.Sequence, y.Sequence) })
			}
		}
	})},
}

// newest returns the number of the newest entry of the account.
func (a *applying) newest(account uuid.UUID) int64 {
	entries, _ := a.data.ListJournal(a.ctx, contacts.JournalQuery{AccountID: account, Backwards: true, Limit: 1})
	if len(entries) == 0 {
		return 0
	}
	return entries[0].Sequence
}

// removeDeleted removes contacts when so much time has passed since they were deleted.
func removeDeleted(after time.Duration) func(*process) {
	return onApply(func(a *applying) (outcomes, error) {
		if len(a.Mutations) == 0 {
			for _, account := range a.accounts(a.ctx) {
				all, _ := a.allContacts(a.ctx, account)
				for _, r := range all {
					if !r.Contact.DeletedAt.IsZero() && a.Now.Sub(r.Contact.DeletedAt) > after {
						a.force(contacts.Mutation{AccountID: account, Contacts: []contacts.ContactChange{{ID: r.Contact.ID, Version: r.Contact.Version}}})
					}
				}
			}
		}
		return a.do()
	})
}

// onJournal changes each query of the journal.
func onJournal(change func(*contacts.JournalQuery)) func(*process) {
	return func(p *process) {
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			change(&q)
			return p.data.ListJournal(ctx, q)
		}
	}
}

// onEntries changes what is listed of the journal.
func onEntries(change func(contacts.JournalQuery, []contacts.JournalEntry) []contacts.JournalEntry) func(*process) {
	return func(p *process) {
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			entries, err := p.data.ListJournal(ctx, q)
			return change(q, entries), err
		}
	}
}

// showLate shows the entries of every other mutation some time after they were
// stored.
func showLate(p *process) {
	var hidden sync.Map
	var mu sync.Mutex
	calls := 0
	onApply(func(a *applying) (outcomes, error) {
		mu.Lock()
		calls++
		late := calls%2 == 0
		mu.Unlock()
		for _, m := range a.Mutations {
			for _, e := range m.Journal {
				if late {
					hidden.Store(e.Data, true)
					defer hidden.Delete(e.Data)
				}
			}
		}
		all, err := a.do()
		for range 5 {
			dally()
		}
		return all, err
	})(p)
	onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		return slices.DeleteFunc(all, func(e contacts.JournalEntry) bool {
			_, ok := hidden.Load(e.Data)
			return ok
		})
	})(p)
}

// keepEntriesToItself lists only what the process itself has appended.
func keepEntriesToItself(p *process) {
	var mine sync.Map
	onMutation(func(m *contacts.Mutation) {
		for _, e := range m.Journal {
			mine.Store(e.Subject, true)
		}
	})(p)
	onEntries(func(_ contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
		return slices.DeleteFunc(all, func(e contacts.JournalEntry) bool {
			_, ok := mine.Load(e.Subject)
			return !ok
		})
	})(p)
}

// prune hides entries with each call without mutations.
func prune(removed func(e contacts.JournalEntry, now time.Time) bool) func(*process) {
	return func(p *process) {
		type place struct {
			account  uuid.UUID
			sequence int64
		}
		var gone sync.Map
		onBatch(func(batch *contacts.MutationBatch) {
			if len(batch.Mutations) > 0 {
				return
			}
			ctx := context.Background()
			for _, account := range p.accounts(ctx) {
				entries, _ := p.data.ListJournal(ctx, contacts.JournalQuery{AccountID: account, Limit: 1 << 20})
				for _, e := range entries {
					if removed(e, batch.Now) {
						gone.Store(place{account, e.Sequence}, true)
					}
				}
			}
		})(p)
		onEntries(func(q contacts.JournalQuery, all []contacts.JournalEntry) []contacts.JournalEntry {
			return slices.DeleteFunc(all, func(e contacts.JournalEntry) bool {
				_, ok := gone.Load(place{q.AccountID, e.Sequence})
				return ok
			})
		})(p)
	}
}
