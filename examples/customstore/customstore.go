// Package customstore is an example of a [contacts.Store] of your own: a journal
// of JSON lines. Every write appends one line and syncs the file. Opening the
// file does all writes again, on an index in memory that answers the reads.
//
// It is whole and keeps the contract, as its test proves with package storetest.
// Its limits: all contacts must fit into memory, the file only grows, and one
// process uses it at a time. No line is ever removed, so a contact that was erased
// or purged stays in the file.
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
	writing chan struct{} // holds one element during a write
	journal *os.File      // nil: closed
	broken  error         // not nil: the end of the journal is not known
}

// An entry is one line of the journal: one write, with its arguments. It holds
// what was asked, not what came of it. The index has no clock and no chance in
// it, so the same writes in the same order have the same results.
type entry struct {
	Add    *contacts.Directory       `json:"add,omitempty"`
	Update *contacts.DirectoryUpdate `json:"update,omitempty"`
	Apply  *contacts.MutationBatch   `json:"apply,omitempty"`
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

// replay does all writes of the journal again. Their results were returned the
// first time. A last line that is torn was never acknowledged, so it is cut off.
func (s *Store) replay(ctx context.Context) error {
	r := bufio.NewReader(s.journal)
	var end int64 // of the last whole line
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // the rest has no end of line
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
		if err := ctx.Err(); err != nil {
			return err
		}
		_, _ = s.do(ctx, &e)
		end += int64(len(line))
	}
	return errors.Join(s.journal.Truncate(end), s.journal.Sync())
}

// A result is what one write returns.
type result struct {
	added    contacts.Directory
	outcomes []contacts.MutationOutcome
}

// do does the write of an entry on the index.
func (s *Store) do(ctx context.Context, e *entry) (r result, err error) {
	ctx = context.WithoutCancel(ctx) // an entry of the journal is always done
	switch {
	case e.Add != nil:
		r.added, err = s.Store.AddToDirectory(ctx, *e.Add)
	case e.Update != nil:
		err = s.Store.UpdateDirectory(ctx, *e.Update)
	case e.Apply != nil:
		r.outcomes, err = s.Store.Apply(ctx, *e.Apply)
	}
	return r, err
}

// write appends the entry to the journal and does its write on the index.
func (s *Store) write(ctx context.Context, e *entry) (result, error) {
	if err := s.begin(ctx); err != nil {
		return result{}, err
	}
	defer s.end()
	if err := s.append(e); err != nil {
		return result{}, err
	}
	return s.do(ctx, e)
}

// begin waits until no other write is under way. One write at a time keeps the
// journal in the order of the index.
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
		// Some of the line may be there, or all of it. The next Open will see.
		s.broken = err
		return fmt.Errorf("customstore: append to %s: %w: %w", s.path, contacts.ErrOutcomeUnknown, err)
	}
	return nil
}

// AddToDirectory implements [contacts.Store].
func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	r, err := s.write(ctx, &entry{Add: &add})
	return r.added, err
}

// UpdateDirectory implements [contacts.Store].
func (s *Store) UpdateDirectory(ctx context.Context, u contacts.DirectoryUpdate) error {
	_, err := s.write(ctx, &entry{Update: &u})
	return err
}

// Apply implements [contacts.Store]. A dry run is no write.
func (s *Store) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if batch.DryRun {
		return s.Store.Apply(ctx, batch)
	}
	r, err := s.write(ctx, &entry{Apply: &batch})
	return r.outcomes, err
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
