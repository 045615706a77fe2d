//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts/store/internal/packed"
)

const (
	findLookupSQL   = `SELECT EXISTS (SELECT 1 FROM lookup WHERE account = ? AND kind = ? AND value = ? AND seq = ?)`
	countLookupsSQL = `SELECT count(*) FROM lookup WHERE seq <= ?`
	listLookupsSQL  = `SELECT account, kind, value, seq FROM lookup WHERE (account, kind, value, seq) > (?, ?, ?, ?) ORDER BY account, kind, value, seq LIMIT ?`
	// The ids of an account and of a contact; no row, or NULL, for what is not there.
	lookupOwnerSQL = `SELECT id, (SELECT id FROM contact_data WHERE seq = ?2) FROM account WHERE n = ?1`
)

// How many of some entries are there.
var findLookupsSQL = findLookupSQL + strings.Repeat(strings.Replace(findLookupSQL, "SELECT ", " + ", 1), rowsAtOnce-1)

// A misfit is an entry that the look-ups miss, or that they have and should not.
type misfit struct {
	lookup
	missing              bool
	accountID, contactID uuid.UUID // zero: there is none
}

// checkPage is how many contacts or entries are compared in one state of the file.
const checkPage = 1000

// misfits calls f with each entry that is wrong, after the state that it was seen in
// is let go. Entries of contacts that are not in the look-ups yet are not judged:
// nobody looks there for them.
func (s *Store) misfits(ctx context.Context, f func(misfit) error) error {
	if agree, err := s.lookupsAgree(ctx); agree || err != nil {
		return err
	}
	if err := inPages(int64(0), func(from int64) ([]misfit, int64, error) { return s.missingLookups(ctx, from) }, f); err != nil {
		return err
	}
	first := lookup{math.MinInt64, math.MinInt64, math.MinInt64, math.MinInt64}
	return inPages(first, func(from lookup) ([]misfit, lookup, error) { return s.extraLookups(ctx, from) }, f)
}

// inPages calls f with what is wrong of each page. A page begins after a position,
// and returns that of its end; the same one if it has nothing.
func inPages[P comparable, M any](from P, page func(from P) (wrong []M, next P, err error), f func(M) error) error {
	for more := true; more; {
		wrong, next, err := page(from)
		if err != nil {
			return err
		}
		for _, m := range wrong {
			if err := f(m); err != nil {
				return err
			}
		}
		more, from = next != from, next
	}
	return nil
}

// lookupsAgree reports whether no entry is wrong, in one state of the file. If all
// entries of the contacts are there, and there are no others, none is too many. That
// takes a fraction of the time in which the wrong ones are found.
func (s *Store) lookupsAgree(ctx context.Context) (agree bool, err error) {
	err = s.seeing(ctx, func(c *conn) error {
		agree = false
		mark, err := c.number(findMark)
		if err != nil {
			return err
		}
		wanted, seen := int64(0), 0
		values := make([]driver.Value, 0, 4*rowsAtOnce)
		missing := false
		look := func() {
			var n int64
			for len(values) < cap(values) { // at the end: the same entries again
				values = append(values, values[:4]...)
			}
			if n, err = c.number(findLookups, values...); n != rowsAtOnce {
				missing = true
			}
			values = values[:0]
		}
		var entries []lookup
		failed := c.each(lookupRows, func(row []driver.Value) bool {
			entries = appendLookups(entries[:0], row)
			slices.SortFunc(entries, lookup.compare)
			entries = slices.Compact(entries) // a contact may have a number twice
			wanted += int64(len(entries))
			for _, e := range entries {
				if values = e.values(values); len(values) == cap(values) {
					look()
				}
			}
			if seen++; seen%checkPage == 0 && err == nil {
				err = ctx.Err()
			}
			return err == nil && !missing
		}, int64(0), mark, int64(math.MaxInt64))
		if err == nil && !missing && len(values) > 0 {
			look()
		}
		if err := errors.Join(failed, err); err != nil || missing {
			return err
		}
		there, err := c.number(countLookups, mark)
		agree = there == wanted
		return err
	})
	return agree, err
}

// missingLookups returns the entries that the look-ups miss of a page of contacts,
// and the last of those; the same contact again if there are none.
func (s *Store) missingLookups(ctx context.Context, from int64) (page []misfit, last int64, err error) {
	err = s.seeing(ctx, func(c *conn) error {
		page, last = nil, from
		mark, err := c.number(findMark)
		if err != nil {
			return err
		}
		rows, err := c.rows(ctx, lookupRows, from, mark, int64(checkPage))
		if err != nil {
			return err
		}
		var entries []lookup
		for _, row := range rows {
			last = integer(row[lookupSeq])
			entries = appendLookups(entries[:0], row)
			slices.SortFunc(entries, lookup.compare)
			for _, e := range slices.Compact(entries) { // a contact may have a number twice
				there, err := c.number(findLookup, e.values(nil)...)
				if err != nil {
					return err
				}
				if there == 0 {
					page = append(page, misfit{lookup: e, missing: true})
				}
			}
		}
		return c.nameOwners(page)
	})
	return page, last, err
}

// extraLookups returns the entries of a page of the look-ups that their contacts do
// not have, and the last entry of the page; the same entry again if there are none.
func (s *Store) extraLookups(ctx context.Context, from lookup) (page []misfit, last lookup, err error) {
	err = s.seeing(ctx, func(c *conn) error {
		page, last = nil, from
		mark, err := c.number(findMark)
		if err != nil {
			return err
		}
		rows, err := c.rows(ctx, listLookups, append(from.values(nil), int64(checkPage))...)
		if err != nil {
			return err
		}
		for _, row := range rows {
			last = lookup{integer(row[0]), lookupKind(integer(row[1])), integer(row[2]), integer(row[3])}
			if last.seq > mark {
				continue
			}
			wanted, whole, err := c.wants(last)
			if err != nil {
				return err
			}
			if !wanted && whole {
				page = append(page, misfit{lookup: last})
			}
		}
		return c.nameOwners(page)
	})
	return page, last, err
}

// wants reports whether the contact of an entry has it, and whether the contact can
// be read whole. One that is not there has no entries.
func (c *conn) wants(e lookup) (wanted, whole bool, err error) {
	var row [holderDeletedAt + 1]driver.Value
	found, err := c.row(findHolder, row[:], e.seq)
	if err != nil || !found {
		return false, true, err
	}
	if slices.Contains(appendLookups(nil, row[:]), e) {
		return true, true, nil
	}
	_, phones := packed.ParsePhones(text(row[lookupPhones]))
	_, tags := packed.ParseTags(text(row[lookupTags]))
	return false, phones == nil && tags == nil, nil
}

// nameOwners sets whose entries these are.
func (c *conn) nameOwners(page []misfit) error {
	for i := range page {
		m := &page[i]
		var row [2]driver.Value
		if _, err := c.row(lookupOwner, row[:], m.account, m.seq); err != nil {
			return err
		}
		m.accountID, m.contactID = id(row[0]), id(row[1])
	}
	return nil
}

// RebuildLookups makes the look-ups agree with the contacts: it adds the entries that
// are missing and removes those that no contact has. It does the same for the index of
// idempotency keys. What is right stays as it is, so it writes nothing if nothing is
// wrong. Its error matches those of other writes.
//
// It looks as [Store.Check] does with deep, and writes in transactions of some thousand
// entries, between which other writes take place. Each makes the look-ups more right,
// also if the process dies after it; a second call does the rest. Until its transaction
// is committed, readers in every process see an entry as it was: a search may miss the
// contact.
func (s *Store) RebuildLookups(ctx context.Context) error {
	err := repairAll(ctx, s, repairLookups, lookup.compare, func(f func(lookup) error) error {
		return s.misfits(ctx, func(m misfit) error { return f(m.lookup) })
	})
	if err == nil {
		err = repairAll(ctx, s, repairHashes, hashed.compare, func(f func(hashed) error) error {
			return s.wrongHashes(ctx, func(w wrongHash) error { return f(w.hashed) })
		})
	}
	if err != nil {
		return fmt.Errorf("sqlite: rebuild look-ups: %w", classify(err))
	}
	return nil
}

// repairAll has the entries repaired that find finds, in transactions of their own.
func repairAll[E any](ctx context.Context, s *Store, repair func(*writeConn, []E) error, compare func(a, b E) int, find func(func(E) error) error) error {
	const (
		atOnce = 1 << 16 // in memory; sorted, neighbours share the pages that they dirty
		step   = 4096    // in a transaction
	)
	var wrong []E
	flush := func() error {
		slices.SortFunc(wrong, compare)
		for part := range slices.Chunk(wrong, step) {
			part = slices.Clone(part) // the job may outlive the call
			if err := s.doSolo(ctx, job{run: func(c *writeConn) error { return repair(c, part) }}); err != nil {
				return err
			}
		}
		wrong = wrong[:0]
		return nil
	}
	err := find(func(e E) error {
		if wrong = append(wrong, e); len(wrong) < atOnce {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// doSolo is that of the writer, which Close waits for.
func (s *Store) doSolo(ctx context.Context, j job) error {
	if err := s.gate.Enter(); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.writer.doSolo(ctx, j)
}

// repairLookups adds or removes entries, as their contacts are by now.
func repairLookups(c *writeConn, entries []lookup) error {
	mark, err := c.number(findMark)
	if err != nil {
		return err
	}
	for _, e := range entries {
		wanted, whole, err := c.wants(e)
		switch {
		case err != nil:
		case e.seq > mark: // which can be only after the file was restored
		case wanted:
			err = c.exec(insertLookup, e.values(nil)...)
		case whole:
			err = c.exec(deleteLookup, e.values(nil)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
