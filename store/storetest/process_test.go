package storetest_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/storetest"
)

// A process is what one process sees of data that outlives it: the data is a
// memory store that stays open. Each method is a field, so that a fault can put
// itself in its place.
type process struct {
	data *memory.Store

	mu     sync.RWMutex
	closed bool

	addToDirectory func(context.Context, contacts.Directory) (contacts.Directory, error)
	listDirectory  func(context.Context, contacts.DirectoryQuery) (contacts.Directory, error)
	deactivate     func(context.Context, contacts.Deactivation) error
	findKey        func(context.Context, [32]byte) (*contacts.KeyRecord, error)
	findTeam       func(context.Context, uuid.UUID, int64) (*contacts.Team, error)
	createContacts func(context.Context, contacts.ContactBatch) []contacts.ContactOutcome
	findContact    func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error)
	listContacts   func(context.Context, contacts.ContactQuery) (contacts.ContactList, error)
	updateContacts func(context.Context, []contacts.ContactChange) []error
	purgeContacts  func(context.Context, contacts.PurgeQuery) (int, error)
	close          func() error
}

// harness returns one whose stores all have the fault; nil for healthy ones.
func harness(fault func(*process)) storetest.Harness {
	start := func(data *memory.Store) contacts.Store {
		p := &process{
			data:           data,
			addToDirectory: data.AddToDirectory,
			listDirectory:  data.ListDirectory,
			deactivate:     data.Deactivate,
			findKey:        data.FindKey,
			findTeam:       data.FindTeam,
			createContacts: data.CreateContacts,
			findContact:    data.FindContact,
			listContacts:   data.ListContacts,
			updateContacts: data.UpdateContacts,
			purgeContacts:  data.PurgeContacts,
		}
		p.close = p.end
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

func (p *process) Deactivate(ctx context.Context, d contacts.Deactivation) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.mu.RUnlock()
	return p.deactivate(ctx, d)
}

func (p *process) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.mu.RUnlock()
	return p.findKey(ctx, hash)
}

func (p *process) FindTeam(ctx context.Context, account uuid.UUID, id int64) (*contacts.Team, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.mu.RUnlock()
	return p.findTeam(ctx, account, id)
}

func (p *process) CreateContacts(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
	if err := p.enter(); err != nil {
		return failAll(batch, err)
	}
	defer p.mu.RUnlock()
	return p.createContacts(ctx, batch)
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

func (p *process) UpdateContacts(ctx context.Context, changes []contacts.ContactChange) []error {
	if err := p.enter(); err != nil {
		return slices.Repeat([]error{err}, len(changes))
	}
	defer p.mu.RUnlock()
	return p.updateContacts(ctx, changes)
}

func (p *process) PurgeContacts(ctx context.Context, q contacts.PurgeQuery) (int, error) {
	if err := p.enter(); err != nil {
		return 0, err
	}
	defer p.mu.RUnlock()
	return p.purgeContacts(ctx, q)
}

// failAll returns the outcomes of a batch that failed as a whole.
func failAll(batch contacts.ContactBatch, err error) []contacts.ContactOutcome {
	return slices.Repeat([]contacts.ContactOutcome{{Err: err}}, len(batch.Records))
}

func (p *process) Close() error { return p.close() }
