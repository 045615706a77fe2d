package storetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/storetest"
)

// A process is what one process sees of data that outlives it. The data is a
// memory store that stays open. Each method is a field, so that a fault can take
// its place.
type process struct {
	data *memory.Store

	mu     sync.RWMutex
	closed bool

	addToDirectory  func(context.Context, contacts.Directory) (contacts.Directory, error)
	listDirectory   func(context.Context, contacts.DirectoryQuery) (contacts.Directory, error)
	updateDirectory func(context.Context, contacts.DirectoryUpdate) error
	findKey         func(context.Context, [32]byte) (*contacts.KeyRecord, error)
	findAccount     func(context.Context, uuid.UUID) (*contacts.AccountRecord, error)
	apply           func(context.Context, contacts.MutationBatch) ([]contacts.MutationOutcome, error)
	findContact     func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error)
	listContacts    func(context.Context, contacts.ContactQuery) (contacts.ContactList, error)
	listJournal     func(context.Context, contacts.JournalQuery) ([]contacts.JournalEntry, error)
	close           func() error
	mayUse          func(key contacts.KeyRecord, account contacts.Account, m *contacts.Mutation) bool // judges Mutation.KeyID; the key is zero if there is none

	readOnly bool // nothing can be written
}

// harness returns one whose stores all have the fault; nil for healthy ones.
func harness(fault func(*process)) storetest.Harness {
	start := func(data *memory.Store) *process {
		p := &process{
			data:            data,
			addToDirectory:  data.AddToDirectory,
			listDirectory:   data.ListDirectory,
			updateDirectory: data.UpdateDirectory,
			findKey:         data.FindKey,
			findAccount:     data.FindAccount,
			apply:           data.Apply,
			findContact:     data.FindContact,
			listContacts:    data.ListContacts,
			listJournal:     data.ListJournal,
		}
		p.close = p.end
		p.mayUse = func(key contacts.KeyRecord, account contacts.Account, m *contacts.Mutation) bool {
			return key.ID == m.KeyID && key.AccountID == m.AccountID && key.RevokedAt.IsZero() && account.DisabledAt.IsZero()
		}
		if fault != nil {
			fault(p)
		}
		return p
	}
	return storetest.Harness{
		New: func(testing.TB) contacts.Store { return start(memory.New()) },
		Reopen: func(t testing.TB, s contacts.Store) contacts.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return start(s.(*process).data)
		},
		Second: func(_ testing.TB, s contacts.Store) contacts.Store { return start(s.(*process).data) },
		ReadOnly: func(_ testing.TB, s contacts.Store) contacts.Store {
			p := start(s.(*process).data)
			p.readOnly = true
			return p
		},
	}
}

// end waits for the calls that run and refuses later ones.
func (p *process) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// enter admits a call, which calls p.mu.RUnlock when it is over.
func (p *process) enter() error {
	p.mu.RLock()
	if p.closed {
		p.mu.RUnlock()
		return contacts.ErrClosed
	}
	return nil
}

func (p *process) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	if err := p.enter(); err != nil {
		return contacts.Directory{}, err
	}
	defer p.mu.RUnlock()
	return p.addToDirectory(ctx, add)
}

func (p *process) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	if err := p.enter(); err != nil {
		return contacts.Directory{}, err
	}
	defer p.mu.RUnlock()
	return p.listDirectory(ctx, q)
}

func (p *process) UpdateDirectory(ctx context.Context, u contacts.DirectoryUpdate) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.mu.RUnlock()
	return p.updateDirectory(ctx, u)
}

func (p *process) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.mu.RUnlock()
	return p.findKey(ctx, hash)
}

func (p *process) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.mu.RUnlock()
	return p.findAccount(ctx, id)
}

func (p *process) Apply(ctx context.Context, batch contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.mu.RUnlock()
	if p.readOnly && !batch.DryRun {
		return nil, errors.New("nothing can be written")
	}
	return p.apply(ctx, p.judgeKeys(ctx, batch))
}

// JudgesKeys implements [contacts.KeyJudge].
func (*process) JudgesKeys() {}

// judgeKeys has the memory store refuse mutations that are made with keys which may
// not be used. No account has their settings version.
func (p *process) judgeKeys(ctx context.Context, batch contacts.MutationBatch) contacts.MutationBatch {
	batch.Mutations = slices.Clone(batch.Mutations)
	for i := range batch.Mutations {
		m := &batch.Mutations[i]
		if m.KeyID == uuid.Nil {
			continue
		}
		var key contacts.KeyRecord
		accounts, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
		var account contacts.Account
		for _, a := range accounts.Accounts {
			keys, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: a.ID, Limit: 1000})
			for _, k := range keys.Keys {
				if k.ID == m.KeyID {
					key, account = k, a
				}
			}
		}
		if !p.mayUse(key, account, m) {
			m.Settings, m.Idempotency = -1, nil
		}
	}
	return batch
}

func (p *process) FindContact(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.mu.RUnlock()
	return p.findContact(ctx, account, id)
}

func (p *process) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	if err := p.enter(); err != nil {
		return contacts.ContactList{}, err
	}
	defer p.mu.RUnlock()
	return p.listContacts(ctx, q)
}

func (p *process) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.mu.RUnlock()
	return p.listJournal(ctx, q)
}

func (p *process) Close() error { return p.close() }
