package memory

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"example.com/contacts"
)

// ListJournal implements [contacts.Store].
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
	var list []contacts.JournalEntry
	for i, e := range a.entries(&q) {
		if len(list) == q.Limit {
			break
		}
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if q.Kind == 0 || q.Kind == e.Kind {
			list = append(list, e)
		}
	}
	return list, nil
}

// entries returns the entries that the query is about, of every kind, in its order.
func (a *account) entries(q *contacts.JournalQuery) iter.Seq2[int, contacts.JournalEntry] {
	if q.Subjects == nil {
		if q.Backwards {
			return slices.Backward(upTo(a.journal, q.After, compareEntry))
		}
		return slices.All(after(a.journal, q.After, compareEntry))
	}
	var sequences []int64
	for _, s := range q.Subjects {
		sequences = append(sequences, a.subjects[s]...)
	}
	slices.Sort(sequences)
	sequences = slices.Compact(sequences) // a subject may be given twice
	if q.Backwards {
		sequences = upTo(sequences, q.After, cmp.Compare)
		slices.Reverse(sequences)
	} else {
		sequences = after(sequences, q.After, cmp.Compare)
	}
	return func(yield func(int, contacts.JournalEntry) bool) {
		for i, sequence := range sequences {
			if at, _ := a.entry(sequence); !yield(i, a.journal[at]) {
				return
			}
		}
	}
}

// upTo returns the elements of a sorted list that come before a sequence; 0 is the
// end.
func upTo[E any](list []E, sequence int64, compare func(E, int64) int) []E {
	if sequence == 0 {
		return list
	}
	end, _ := slices.BinarySearchFunc(list, sequence, compare)
	return list[:end]
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
		a.subjects[e.Subject] = append(a.subjects[e.Subject], e.Sequence)
	}
}

// forget takes entries that are gone from the journal from the lists of their
// subjects.
func (a *account) forget(subjects map[[32]byte]bool) {
	for s := range subjects {
		list := slices.DeleteFunc(a.subjects[s], func(sequence int64) bool {
			_, there := a.entry(sequence)
			return !there
		})
		if a.subjects[s] = list; len(list) == 0 {
			delete(a.subjects, s)
		}
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
		gone := make(map[[32]byte]bool)
		for _, e := range a.journal[n:] {
			gone[e.Subject] = true
		}
		a.journal = a.journal[:n]
		a.forget(gone)
		for at, data := range replaced {
			a.journal[at].Data = data
		}
	}
}
