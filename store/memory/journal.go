package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"example.com/contacts"
)

func (s *Store) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	if err := s.enter(ctx, s.mu.RLocker()); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()

	a := s.accounts[q.AccountID]
	if a == nil {
		return nil, nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	entries := slices.All(after(a.journal, q.After, compareEntry))
	if q.Backwards {
		end := len(a.journal)
		if q.After != 0 {
			end, _ = a.entry(q.After)
		}
		entries = slices.Backward(a.journal[:end])
	}
	var list []contacts.JournalEntry
	for i, e := range entries {
		if len(list) == q.Limit {
			break
		}
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if (q.Kind == 0 || q.Kind == e.Kind) && (q.Subjects == nil || hasSubject(q.Subjects, e.Subject)) {
			list = append(list, e)
		}
	}
	return list, nil
}

func hasSubject(subjects [][32]byte, subject [32]byte) bool {
	_, found := slices.BinarySearchFunc(subjects, subject, func(x, y [32]byte) int { return bytes.Compare(x[:], y[:]) })
	return found
}

// newest returns the newest sequence of the account; 0 where there is none.
func (a *account) newest() int64 {
	if len(a.journal) == 0 {
		return 0
	}
	return a.journal[len(a.journal)-1].Sequence
}

// entry returns the place of an entry in the journal and whether it is there.
func (a *account) entry(sequence int64) (at int, found bool) {
	return slices.BinarySearchFunc(a.journal, sequence, compareEntry)
}

func compareEntry(e contacts.JournalEntry, sequence int64) int {
	return cmp.Compare(e.Sequence, sequence)
}

// judgeJournal judges the entries of one mutation.
func (a *account) judgeJournal(entries []contacts.JournalEntry, verbatim bool) error {
	newest := a.newest()
	for i := range entries {
		e := &entries[i]
		if verbatim && e.Sequence > newest {
			newest = e.Sequence
			continue
		}
		if e.Sequence == 0 {
			newest++
			continue
		}
		at, found := a.entry(e.Sequence)
		if found && a.journal[at].Kind == e.Kind && a.journal[at].Subject == e.Subject {
			continue
		}
		if verbatim {
			return contacts.ErrExists
		}
		return contacts.ErrNotFound
	}
	return nil
}

// record appends the entries to the journal, or replaces the data of those that
// are there.
func (a *account) record(entries []contacts.JournalEntry) {
	for _, e := range entries {
		if at, found := a.entry(e.Sequence); found {
			a.journal[at].Data = e.Data
			continue
		}
		if e.Sequence == 0 {
			e.Sequence = a.newest() + 1
		}
		a.journal = append(a.journal, e)
	}
}

// undoJournal returns a function that takes the entries back, which are recorded
// next.
func (a *account) undoJournal(entries []contacts.JournalEntry) func() {
	n := len(a.journal)
	replaced := make(map[int]string)
	for i := range entries {
		if at, found := a.entry(entries[i].Sequence); found {
			replaced[at] = a.journal[at].Data
		}
	}
	return func() {
		a.journal = a.journal[:n]
		for at, data := range replaced {
			a.journal[at].Data = data
		}
	}
}
