// Package customstore is an example of a [contacts.Store] of your own: a journal
// of JSON lines. Every write appends one line and syncs the file; opening the
// file does all writes again, on an index in memory that answers the reads.
//
// It is whole and keeps the contract, as its test proves with package storetest.
// What it does not have: all contacts must fit into memory, the file only grows,
// and it is for one process at a time.
package customstore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

var _ contacts.Store = (*Store)(nil)

// A Store is a [contacts.Store] in a journal. Open one with [Open].
type Store struct {
	*memory.Store // the index, which answers all reads

	path    string
	writing chan struct{} // holds one element while somebody writes
	journal *os.File      // nil: closed
	broken  error         // not nil: the end of the journal is not known
}

// An entry is one line of the journal: one write, with its arguments. It holds
// what was asked, not what came of it. Doing the same writes in the same order
// gives the same results, the failures among them: a create brings the time by
// which its idempotencies are judged. A purge is the exception, since a query
// with a limit does not say which contacts it removes, so the entry does.
type entry struct {
	Add        *contacts.Directory      `json:"add,omitempty"`
	Deactivate *contacts.Deactivation   `json:"deactivate,omitempty"`
	Create     *contacts.ContactBatch   `json:"create,omitempty"`
	Update     []contacts.ContactChange `json:"update,omitempty"`
	Purge      []contacts.PurgeQuery    `json:"purge,omitempty"` // each of one contact
}

// Open opens the journal, or creates it.
func Open(ctx context.Context, path string) (*Store, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("customstore: %w", err)
	}
	s := &Store{Store: memory.New(), path: path, writing: make(chan struct{}, 1), journal: f}
	if err := errors.Join(s.replay(ctx), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(fmt.Errorf("customstore: open %s: %w", path, err), f.Close())
	}
	return s, nil
}

// syncDir makes the name of a new file durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// replay does all writes of the journal again. A last line that is torn was
// never acknowledged, so it is cut off.
func (s *Store) replay(ctx context.Context) error {
	r := bufio.NewReader(s.journal)
	var end int64 // of the last whole line
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what line holds, if anything, has no end
		}
		if err != nil {
			return err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			if _, more := r.Peek(1); errors.Is(more, io.EOF) {
				break
			}
			return fmt.Errorf("line %d is no entry of a journal", n) // the cause may quote a contact
		}
		s.apply(context.WithoutCancel(ctx), &e)
		if err := ctx.Err(); err != nil {
			return err
		}
		end += int64(len(line))
	}
	return errors.Join(s.journal.Truncate(end), s.journal.Sync())
}

// apply does one write of the journal again. What it came to was told to its
// caller then.
func (s *Store) apply(ctx context.Context, e *entry) {
	switch {
	case e.Add != nil:
		_, _ = s.Store.AddToDirectory(ctx, *e.Add)
	case e.Deactivate != nil:
		_ = s.Store.Deactivate(ctx, *e.Deactivate)
	case e.Create != nil:
		_ = s.Store.CreateContacts(ctx, *e.Create)
	case e.Update != nil:
		_ = s.Store.UpdateContacts(ctx, e.Update)
	case e.Purge != nil:
		_ = s.purge(ctx, e.Purge)
	}
}

// write appends the entry to the journal and then calls do on the index, with a
// context that is never done: from here on the write happens.
func (s *Store) write(ctx context.Context, e *entry, do func(context.Context)) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.end()
	if err := s.append(e); err != nil {
		return err
	}
	do(context.WithoutCancel(ctx))
	return nil
}

// begin waits for the turn to write, until end. The journal has the writes in the
// order in which the index has them.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	switch {
	case s.journal == nil:
		err = contacts.ErrClosed
	case s.broken != nil:
		err = fmt.Errorf("customstore: an earlier write failed, so %s must be opened anew: %w", s.path, s.broken)
	}
	if err != nil {
		s.end()
	}
	return err
}

func (s *Store) end() { <-s.writing }

// append adds the entry to the end of the journal, for good.
func (s *Store) append(e *entry) error {
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(e); err != nil {
		return errors.New("customstore: the record has no JSON form") // the cause may quote it
	}
	_, err := s.journal.Write(line.Bytes())
	if err == nil {
		err = s.journal.Sync()
	}
	if err != nil {
		// Some of the line may be there, or all of it. Whoever opens the
		// journal next will see.
		s.broken = err
		return fmt.Errorf("customstore: append to %s: %w: %w", s.path, contacts.ErrOutcomeUnknown, err)
	}
	return nil
}

// AddToDirectory implements [contacts.Store].
func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (added contacts.Directory, err error) {
	failed := s.write(ctx, &entry{Add: &add}, func(ctx context.Context) {
		added, err = s.Store.AddToDirectory(ctx, add)
	})
	return added, errors.Join(failed, err)
}

// Deactivate implements [contacts.Store].
func (s *Store) Deactivate(ctx context.Context, d contacts.Deactivation) (err error) {
	failed := s.write(ctx, &entry{Deactivate: &d}, func(ctx context.Context) {
		err = s.Store.Deactivate(ctx, d)
	})
	return errors.Join(failed, err)
}

// CreateContacts implements [contacts.Store].
func (s *Store) CreateContacts(ctx context.Context, batch contacts.ContactBatch) (outcomes []contacts.ContactOutcome) {
	failed := s.write(ctx, &entry{Create: &batch}, func(ctx context.Context) {
		outcomes = s.Store.CreateContacts(ctx, batch)
	})
	if failed != nil {
		return slices.Repeat([]contacts.ContactOutcome{{Err: failed}}, len(batch.Records))
	}
	return outcomes
}

// UpdateContacts implements [contacts.Store].
func (s *Store) UpdateContacts(ctx context.Context, changes []contacts.ContactChange) (errs []error) {
	failed := s.write(ctx, &entry{Update: changes}, func(ctx context.Context) {
		errs = s.Store.UpdateContacts(ctx, changes)
	})
	if failed != nil {
		return slices.Repeat([]error{failed}, len(changes))
	}
	return errs
}

// PurgeContacts implements [contacts.Store].
func (s *Store) PurgeContacts(ctx context.Context, q contacts.PurgeQuery) (int, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.end()
	found, err := s.purgeable(ctx, q)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	if err := s.append(&entry{Purge: found}); err != nil {
		return 0, err
	}
	return len(found), s.purge(context.WithoutCancel(ctx), found)
}

// purgeable finds the contacts that the query removes. Nobody writes meanwhile.
func (s *Store) purgeable(ctx context.Context, q contacts.PurgeQuery) (found []contacts.PurgeQuery, err error) {
	accounts := contacts.Directory{Accounts: []contacts.Account{{ID: q.AccountID}}}
	if q.AccountID == uuid.Nil {
		accounts, err = s.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: math.MaxInt})
		if err != nil {
			return nil, err
		}
	}
	for _, a := range accounts.Accounts {
		list, err := s.ListContacts(ctx, contacts.ContactQuery{AccountID: a.ID, AllTeams: true, Deleted: true, Limit: math.MaxInt})
		if err != nil {
			return nil, err
		}
		for _, r := range list.Records {
			if len(found) < q.Limit && q.Matches(r) {
				found = append(found, contacts.PurgeQuery{AccountID: a.ID, ContactID: r.Contact.ID, Limit: 1})
			}
		}
	}
	return found, nil
}

// purge removes contacts from the index, one with each query.
func (s *Store) purge(ctx context.Context, found []contacts.PurgeQuery) error {
	for _, q := range found {
		if _, err := s.Store.PurgeContacts(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// Close implements [contacts.Store].
func (s *Store) Close() error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if s.journal == nil {
		return nil
	}
	err := errors.Join(s.journal.Close(), s.Store.Close())
	s.journal = nil
	return err
}
