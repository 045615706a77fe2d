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
	"os"
	"path/filepath"

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
// gives the same results, the failures among them.
type entry struct {
	Add        *contacts.Directory    `json:"add,omitempty"`
	Deactivate *contacts.Deactivation `json:"deactivate,omitempty"`
	Create     *contacts.ContactBatch `json:"create,omitempty"`
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
	}
}

// write appends the entry to the journal and then calls do on the index, with a
// context that is never done: from here on the write happens. Writes take turns,
// so the journal has them in the order in which the index has them.
func (s *Store) write(ctx context.Context, e *entry, do func(context.Context)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(e); err != nil {
		return errors.New("customstore: the record has no JSON form")
	}
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case s.journal == nil:
		return contacts.ErrClosed
	case s.broken != nil:
		return fmt.Errorf("customstore: an earlier write failed, so %s must be opened anew: %w", s.path, s.broken)
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
	do(context.WithoutCancel(ctx))
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
func (s *Store) CreateContacts(ctx context.Context, batch contacts.ContactBatch) (errs []error) {
	failed := s.write(ctx, &entry{Create: &batch}, func(ctx context.Context) {
		errs = s.Store.CreateContacts(ctx, batch)
	})
	if failed != nil {
		errs = make([]error, len(batch.Records))
		for i := range errs {
			errs[i] = failed
		}
	}
	return errs
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
