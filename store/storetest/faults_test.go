package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A fault is a store that is broken on purpose. It breaks one rule, and the case
// that is named for it must fail.
type fault struct {
	name string
	fail string // group/case
	in   func(*process)
}

// String returns a name that no other fault has.
func (f fault) String() string { return f.fail + "/" + f.name }

var faults = slices.Concat(
	directoryFaults, recordFaults, batchFaults, mutationFaults, updateFaults, removalFaults, claimFaults,
	idempotencyFaults, journalFaults, dryRunFaults, listingFaults, groupFaults, guaranteeFaults,
)

// The ways to break a method that more than one fault takes.

type outcomes = []contacts.MutationOutcome

// An applying is one call of Apply, of a fault that has taken its place.
type applying struct {
	*process
	ctx context.Context
	contacts.MutationBatch
	next func(context.Context, contacts.MutationBatch) (outcomes, error) // what was in the place before
}

// do goes on with the call.
func (a *applying) do() (outcomes, error) { return a.next(a.ctx, a.MutationBatch) }

// with returns the same call with other mutations, each on its own.
func (a *applying) with(mutations ...contacts.Mutation) *applying {
	other := *a
	other.Mutations, other.AllOrNothing = mutations, false
	return &other
}

// onApply puts apply in the place of Apply.
func onApply(apply func(*applying) (outcomes, error)) func(*process) {
	return func(p *process) {
		next := p.apply
		p.apply = func(ctx context.Context, batch contacts.MutationBatch) (outcomes, error) {
			return apply(&applying{p, ctx, batch, next})
		}
	}
}

// onAll is onApply for batches that are all or nothing.
func onAll(apply func(*applying) (outcomes, error)) func(*process) {
	return onApply(func(a *applying) (outcomes, error) {
		if !a.AllOrNothing {
			return a.do()
		}
		return apply(a)
	})
}

// onBatch changes each batch that is given.
func onBatch(change func(*contacts.MutationBatch)) func(*process) {
	return onApply(func(a *applying) (outcomes, error) {
		a.Mutations = cloneMutations(a.Mutations)
		change(&a.MutationBatch)
		return a.do()
	})
}

// onMutation changes each mutation that is given.
func onMutation(change func(*contacts.Mutation)) func(*process) {
	return onBatch(func(batch *contacts.MutationBatch) {
		for i := range batch.Mutations {
			change(&batch.Mutations[i])
		}
	})
}

// onOnce changes each idempotency record that is given.
func onOnce(change func(contacts.IdempotencyRecord) *contacts.IdempotencyRecord) func(*process) {
	return onMutation(func(m *contacts.Mutation) {
		if m.Idempotency != nil {
			m.Idempotency = change(*m.Idempotency)
		}
	})
}

// onChange changes each change of a contact that is stored. Its record may be nil.
func onChange(change func(c *contacts.ContactChange, stored *contacts.ContactRecord)) func(*process) {
	return onApply(func(a *applying) (outcomes, error) {
		a.Mutations = cloneMutations(a.Mutations)
		for _, m := range a.Mutations {
			for i, c := range m.Contacts {
				if stored, err := a.data.FindContact(a.ctx, m.AccountID, c.ID); err == nil && c.Version != 0 {
					change(&m.Contacts[i], stored)
				}
			}
		}
		return a.do()
	})
}

// onRecord changes each record that takes the place of a stored one.
func onRecord(change func(next, stored *contacts.ContactRecord)) func(*process) {
	return onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if c.Record != nil {
			change(c.Record, stored)
		}
	})
}

// onOutcomes changes the outcomes, one for each mutation.
func onOutcomes(change func(*applying, outcomes)) func(*process) {
	return onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		if err != nil {
			return all, err
		}
		if all == nil {
			all = make(outcomes, len(a.Mutations))
		}
		change(a, all)
		return compact(all), nil
	})
}

// onOutcome changes each outcome.
func onOutcome(change func(contacts.Mutation, *contacts.MutationOutcome)) func(*process) {
	return onOutcomes(func(a *applying, all outcomes) {
		for i := range all {
			change(a.Mutations[i], &all[i])
		}
	})
}

// onErr changes the error of each outcome.
func onErr(change func(contacts.Mutation, error) error) func(*process) {
	return onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) { o.Err = change(m, o.Err) })
}

// instead returns one error in the place of another.
func instead(of, err error) func(*process) {
	return onErr(func(_ contacts.Mutation, got error) error {
		if errors.Is(got, of) {
			return err
		}
		return got
	})
}

// compact returns nil for outcomes that say nothing.
func compact(all outcomes) outcomes {
	if slices.ContainsFunc(all, func(o contacts.MutationOutcome) bool { return o.Err != nil || o.Result != "" || o.Holders != nil }) {
		return all
	}
	return nil
}

// failAll returns outcomes with that error.
func (a *applying) failAll(err error) outcomes {
	return slices.Repeat(outcomes{{Err: err}}, len(a.Mutations))
}

// onEach applies the mutations in batches of one. Each may change what becomes of
// it.
func onEach(each func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error)) func(*process) {
	return onApply(func(a *applying) (outcomes, error) {
		if len(a.Mutations) == 0 {
			return a.do()
		}
		var all outcomes
		for _, m := range a.Mutations {
			o, err := each(a, m)
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
		return compact(all), nil
	})
}

// one applies one mutation.
func (a *applying) one(m contacts.Mutation) (contacts.MutationOutcome, error) {
	all, err := a.with(m).do()
	if err != nil || all == nil {
		return contacts.MutationOutcome{}, err
	}
	return all[0], nil
}

// judge says what would become of a mutation.
func (a *applying) judge(m contacts.Mutation) (contacts.MutationOutcome, error) {
	look := a.with(m)
	look.DryRun = true
	all, err := look.do()
	if err != nil || all == nil {
		return contacts.MutationOutcome{}, err
	}
	return all[0], nil
}

// force stores the mutation, whatever is in its way.
func (a *applying) force(m contacts.Mutation) {
	for range 1000 {
		o, err := a.one(m)
		if err != nil || o.Err == nil && o.Result == "" {
			return
		}
		m.Idempotency, m.Claims, m.Contacts = nil, nil, slices.Clone(m.Contacts)
		if found, err := a.data.FindAccount(a.ctx, m.AccountID); err == nil {
			m.Settings = found.SettingsVersion
		}
		m.Contacts = slices.DeleteFunc(m.Contacts, func(c contacts.ContactChange) bool {
			_, err := a.data.FindContact(a.ctx, m.AccountID, c.ID)
			return err != nil && c.Record == nil
		})
		for i, c := range m.Contacts {
			m.Contacts[i].Version = 0
			if stored, err := a.data.FindContact(a.ctx, m.AccountID, c.ID); err == nil {
				m.Contacts[i].Version = stored.Contact.Version
			}
		}
	}
}

// lookFirst judges mutations, and stores them later.
func lookFirst(p *process) {
	onApply(func(a *applying) (outcomes, error) {
		if a.DryRun {
			return a.do()
		}
		var all outcomes
		for _, m := range a.Mutations {
			o, err := a.judge(m)
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
		dally()
		for i, m := range a.Mutations {
			if all[i].Err == nil && all[i].Result == "" {
				a.force(m)
			}
		}
		return compact(all), nil
	})(p)
}

// lockItself is lookFirst under a lock of its own process.
func lockItself(p *process) {
	lookFirst(p)
	var mu sync.Mutex
	onApply(func(a *applying) (outcomes, error) {
		mu.Lock()
		defer mu.Unlock()
		return a.do()
	})(p)
}

// put stores the record in the place of the one that is stored.
func (p *process) put(ctx context.Context, r *contacts.ContactRecord) {
	a := applying{p, ctx, contacts.MutationBatch{Now: r.Contact.UpdatedAt}, p.data.Apply}
	a.force(contacts.Mutation{AccountID: r.Contact.AccountID, Contacts: []contacts.ContactChange{{ID: r.Contact.ID, Record: r}}})
}

func cloneMutations(mutations []contacts.Mutation) []contacts.Mutation {
	mutations = slices.Clone(mutations)
	for i := range mutations {
		m := &mutations[i]
		m.Contacts, m.Claims, m.Journal = slices.Clone(m.Contacts), slices.Clone(m.Claims), slices.Clone(m.Journal)
		for j, c := range m.Contacts {
			if c.Record != nil {
				r := *c.Record
				r.Contact.Tags, r.Contact.PhoneNumbers = slices.Clone(r.Contact.Tags), slices.Clone(r.Contact.PhoneNumbers)
				m.Contacts[j].Record = &r
			}
		}
		if m.Idempotency != nil {
			once := *m.Idempotency
			m.Idempotency = &once
		}
	}
	return mutations
}

// isCreate reports whether a mutation stores a new contact and no other.
func isCreate(m contacts.Mutation) bool {
	return len(m.Contacts) == 1 && m.Contacts[0].Record != nil && m.Contacts[0].Version == 0
}

func onContact(change func(*contacts.ContactRecord)) func(*process) {
	return func(p *process) { changeContacts(p, change) }
}

func changeContacts(p *process, change func(*contacts.ContactRecord)) {
	p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
		r, err := p.data.FindContact(ctx, account, id)
		if err == nil {
			change(r)
		}
		return r, err
	}
}

func onKey(change func(*contacts.KeyRecord)) func(*process) {
	return func(p *process) { changeKeys(p, change) }
}

func changeKeys(p *process, change func(*contacts.KeyRecord)) {
	p.findKey = func(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
		k, err := p.data.FindKey(ctx, hash)
		if err != nil {
			return nil, err
		}
		c, account := *k, *k.Account
		c.Account = &account
		change(&c)
		return &c, nil
	}
}

// onAccount changes accounts that are found, by a key or by their id.
func onAccount(change func(*contacts.AccountRecord)) func(*process) {
	return func(p *process) {
		changeKeys(p, func(k *contacts.KeyRecord) { change(k.Account) })
		p.findAccount = func(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
			a, err := p.data.FindAccount(ctx, id)
			if err != nil {
				return nil, err
			}
			c := *a
			change(&c)
			return &c, nil
		}
	}
}

// onAdd changes what AddToDirectory is given.
func onAdd(change func(*contacts.Directory)) func(*process) {
	return func(p *process) {
		next := p.addToDirectory
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			add.Teams, add.Keys, add.Settings = slices.Clone(add.Teams), slices.Clone(add.Keys), slices.Clone(add.Settings)
			change(&add)
			return next(ctx, add)
		}
	}
}

// onList changes what is listed of the directory.
func onList(change func(contacts.DirectoryQuery, *contacts.Directory)) func(*process) {
	return func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			d, err := p.data.ListDirectory(ctx, q)
			change(q, &d)
			return d, err
		}
	}
}

// accounts returns the ids of all accounts.
func (p *process) accounts(ctx context.Context) (ids []uuid.UUID) {
	all, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
	for _, a := range all.Accounts {
		ids = append(ids, a.ID)
	}
	return ids
}

// hasTeam reports whether the account has the team.
func (p *process) hasTeam(ctx context.Context, account uuid.UUID, id int64) bool {
	d, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: account, Limit: 1000})
	return slices.ContainsFunc(d.Teams, func(t contacts.Team) bool { return t.ID == id })
}

// allContacts returns the contacts of an account, live and deleted, newest first.
func (p *process) allContacts(ctx context.Context, account uuid.UUID) ([]*contacts.ContactRecord, error) {
	q := contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 1 << 20}
	live, err := p.data.ListContacts(ctx, q)
	if err != nil {
		return nil, err
	}
	q.Deleted = true
	deleted, err := p.data.ListContacts(ctx, q)
	all := append(live.Records, deleted.Records...)
	slices.SortFunc(all, func(x, y *contacts.ContactRecord) int { return bytes.Compare(y.Contact.ID[:], x.Contact.ID[:]) })
	return all, err
}

// keepToItself finds and lists only what the process itself has created.
func keepToItself(p *process) {
	var mine sync.Map
	onMutation(func(m *contacts.Mutation) {
		for _, c := range m.Contacts {
			mine.Store(c.ID, true)
		}
	})(p)
	isMine := func(id uuid.UUID) bool {
		_, ok := mine.Load(id)
		return ok
	}
	p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
		if !isMine(id) {
			return nil, contacts.ErrNotFound
		}
		return p.data.FindContact(ctx, account, id)
	}
	listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
		return q.Matches(r) && isMine(r.Contact.ID)
	})(p)
}

// dally lets other goroutines come in between.
func dally() {
	for range 20 {
		runtime.Gosched()
	}
}
