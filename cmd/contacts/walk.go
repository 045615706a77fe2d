package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"example.com/contacts"
)

// directory yields the records of one kind of an account, a page at a time.
func directory(ctx context.Context, store contacts.Store, kind contacts.DirectoryKind, account uuid.UUID) iter.Seq2[contacts.Directory, error] {
	return func(yield func(contacts.Directory, error) bool) {
		q := contacts.DirectoryQuery{Kind: kind, AccountID: account, Limit: pageSize}
		for {
			page, err := store.ListDirectory(ctx, q)
			if !yield(page, err) || err != nil {
				return
			}
			n := 0
			if k := len(page.Teams); k > 0 {
				n, q.AfterTeam = k, page.Teams[k-1].ID
			}
			if k := len(page.Keys); k > 0 {
				n, q.After = k, page.Keys[k-1].ID
			}
			if k := len(page.Settings); k > 0 {
				n, q.AfterVersion = k, page.Settings[k-1].Version
			}
			if n < pageSize {
				return
			}
		}
	}
}

// contactsOf yields all contacts of an account in descending order of id, live ones and
// deleted ones. One that cannot be read whole ends it with an error.
func contactsOf(ctx context.Context, store contacts.Store, account uuid.UUID) iter.Seq2[*contacts.ContactRecord, error] {
	list := func(deleted bool) iter.Seq2[*contacts.ContactRecord, error] {
		return func(yield func(*contacts.ContactRecord, error) bool) {
			q := contacts.ContactQuery{AccountID: account, AllTeams: true, Deleted: deleted, Limit: pageSize}
			for {
				page, err := store.ListContacts(ctx, q)
				if err == nil && len(page.Damaged) > 0 {
					err = fmt.Errorf("a contact cannot be read whole, and contacts doctor names it: %w", page.Damaged[0])
				}
				if err != nil {
					yield(nil, err)
					return
				}
				for _, r := range page.Records {
					if !yield(r, nil) {
						return
					}
				}
				if len(page.Records) < pageSize {
					return
				}
				q.After = page.Records[len(page.Records)-1].Contact.ID
			}
		}
	}
	return func(yield func(*contacts.ContactRecord, error) bool) {
		for pair, err := range pairs(list(false), list(true), descending) {
			if err != nil {
				yield(nil, err)
				return
			}
			r := pair.from
			// One that was deleted in between is in both lists.
			if r == nil || pair.to != nil && pair.to.Contact.Version > r.Contact.Version {
				r = pair.to
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// descending compares contacts in the order of lists.
func descending(a, b *contacts.ContactRecord) int {
	return bytes.Compare(b.Contact.ID[:], a.Contact.ID[:])
}

// entriesOf yields the journal of an account in the order of its numbers.
func entriesOf(ctx context.Context, store contacts.Store, account uuid.UUID) iter.Seq2[*contacts.JournalEntry, error] {
	return func(yield func(*contacts.JournalEntry, error) bool) {
		q := contacts.JournalQuery{AccountID: account, Limit: pageSize}
		for {
			page, err := store.ListJournal(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			q.After = page[len(page)-1].Sequence
		}
	}
}

// bySequence compares entries in the order of the journal.
func bySequence(a, b *contacts.JournalEntry) int { return cmp.Compare(a.Sequence, b.Sequence) }

// A pair is a record of one list and that of another with the same key. nil: there is
// none.
type pair[T any] struct{ from, to *T }

// pairs walks two lists side by side, each in the order of compare.
func pairs[T any](from, to iter.Seq2[*T, error], compare func(a, b *T) int) iter.Seq2[pair[T], error] {
	return func(yield func(pair[T], error) bool) {
		nextFrom, stopFrom := iter.Pull2(from)
		defer stopFrom()
		nextTo, stopTo := iter.Pull2(to)
		defer stopTo()
		a, errA, moreA := nextFrom()
		b, errB, moreB := nextTo()
		for moreA || moreB {
			if err := cmp.Or(errA, errB); err != nil {
				yield(pair[T]{}, err)
				return
			}
			var p pair[T]
			var order int
			switch {
			case !moreB:
				order = -1
			case !moreA:
				order = 1
			default:
				order = compare(a, b)
			}
			if order <= 0 {
				p.from = a
			}
			if order >= 0 {
				p.to = b
			}
			if !yield(p, nil) {
				return
			}
			if order <= 0 {
				a, errA, moreA = nextFrom()
			}
			if order >= 0 {
				b, errB, moreB = nextTo()
			}
		}
	}
}
