package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// guaranteeFaults break what holds for all methods.
var guaranteeFaults = []fault{
	// Tenancy.
	{"finds the contact of another tenant", "tenancy/contact of another account", func(p *process) {
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			return anyTenant(ctx, p, account, func(a uuid.UUID) (*contacts.ContactRecord, error) { return p.data.FindContact(ctx, a, id) })
		}
	}},
	{"has one contact id for all tenants", "tenancy/one contact id in two accounts", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		if isCreate(m) {
			_, err := anyTenant(a.ctx, a.process, m.AccountID, func(account uuid.UUID) (*contacts.ContactRecord, error) {
				return a.data.FindContact(a.ctx, account, m.Contacts[0].ID)
			})
			if err == nil {
				return contacts.MutationOutcome{Err: contacts.ErrExists}, nil
			}
		}
		return a.one(m)
	})},
	{"lets a contact into a team of another tenant", "tenancy/contact in a team of another account", instead(contacts.ErrTeamNotFound, nil)},
	{"lists the contacts of all tenants", "tenancy/contacts of another account are not listed", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			if err != nil || q.Tag == "" {
				return list, err
			}
			own := q.AccountID
			for _, q.AccountID = range p.accounts(ctx) {
				if q.AccountID != own {
					more, _ := p.data.ListContacts(ctx, q)
					list.Records = append(list.Records, more.Records...)
				}
			}
			return list, err
		}
	}},
	{"changes the contact of another tenant", "tenancy/contact of another account is not changed", inAnyTenant(func(c contacts.ContactChange) bool { return c.Record != nil })},
	{"removes the contact of another tenant", "tenancy/contacts of another account are not removed", inAnyTenant(func(c contacts.ContactChange) bool { return c.Record == nil })},
	{"finds holders in all tenants", "tenancy/keys of another account are not held", onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		for i, key := range m.Claims {
			for _, account := range a.accounts(a.ctx) {
				list, _ := a.data.ListContacts(a.ctx, contacts.ContactQuery{AccountID: account, AllTeams: true, MatchKeys: []contacts.MatchKey{key}, Limit: 1})
				for _, r := range list.Records {
					return contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: []contacts.Holder{{Key: i, ContactID: r.Contact.ID}}}, nil
				}
			}
		}
		return a.one(m)
	})},
	{"has one journal for all tenants", "tenancy/journal of another account", func(p *process) {
		onMutation(func(m *contacts.Mutation) { // what is replaced may be another's
			for i, e := range m.Journal {
				if _, err := p.data.ListJournal(context.Background(), contacts.JournalQuery{AccountID: m.AccountID, Limit: 1}); err == nil && e.Sequence != 0 {
					m.Journal[i].Sequence = 0
				}
			}
		})(p)
	}},
	{"lists the entries of all tenants", "tenancy/journal of another account", func(p *process) {
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) (all []contacts.JournalEntry, err error) {
			if q.Subjects == nil {
				return p.data.ListJournal(ctx, q)
			}
			for _, q.AccountID = range p.accounts(ctx) {
				entries, _ := p.data.ListJournal(ctx, q)
				all = append(all, entries...)
			}
			return all, nil
		}
	}},
	{"lists the keys of all tenants", "tenancy/directory of another account is not listed", func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			d, err := p.data.ListDirectory(ctx, q)
			if err != nil || q.Kind != contacts.DirectoryKeys {
				return d, err
			}
			for _, account := range p.accounts(ctx) {
				if account != q.AccountID {
					more, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: account, Limit: 1000})
					d.Keys = append(d.Keys, more.Keys...)
				}
			}
			return d, err
		}
	}},
	{"finds the settings of all tenants", "tenancy/directory of another account is not listed", func(p *process) {
		onAccount(func(a *contacts.AccountRecord) {
			for _, account := range p.accounts(context.Background()) {
				if found, err := p.data.FindAccount(context.Background(), account); err == nil && found.Settings != nil && account != a.ID {
					a.Settings = found.Settings
				}
			}
		})(p)
	}},
	{"disables all tenants", "tenancy/another account is not disabled", func(p *process) {
		p.updateDirectory = func(ctx context.Context, u contacts.DirectoryUpdate) error {
			for _, account := range p.accounts(ctx) {
				if u.KeyID == uuid.Nil {
					p.data.UpdateDirectory(ctx, contacts.DirectoryUpdate{AccountID: account, At: u.At})
				}
			}
			return p.data.UpdateDirectory(ctx, u)
		}
	}},

	// Ownership.
	{"keeps the caller's record", "ownership/contacts given", keepContacts(func(r *contacts.ContactRecord) *contacts.ContactRecord { return r })},
	{"keeps the caller's tags", "ownership/contacts given", keepContacts(func(r *contacts.ContactRecord) *contacts.ContactRecord {
		c := *r
		c.Contact.PhoneNumbers = slices.Clone(r.Contact.PhoneNumbers)
		return &c
	})},
	{"returns the inner record", "ownership/contacts found", keepFound(func(r *contacts.ContactRecord) *contacts.ContactRecord { return r })},
	{"returns the inner phone numbers", "ownership/contacts found", keepFound(func(r *contacts.ContactRecord) *contacts.ContactRecord {
		c := *r
		c.Contact.Tags = slices.Clone(r.Contact.Tags)
		return &c
	})},
	{"returns one record to many", "ownership/contacts found by many", keepFound(func(r *contacts.ContactRecord) *contacts.ContactRecord { return r })},
	{"lists the inner record", "ownership/contacts listed", keepListed},
	{"lists one record to many", "ownership/contacts listed to many", keepListed},
	{"keeps the caller's change", "ownership/changes given", func(p *process) {
		var kept sync.Map
		onApply(func(a *applying) (outcomes, error) {
			for _, m := range a.Mutations {
				for _, c := range m.Contacts {
					kept.Store(c.ID, c.Record)
				}
			}
			return a.do()
		})(p)
		changeContacts(p, func(r *contacts.ContactRecord) {
			if own, ok := kept.Load(r.Contact.ID); ok {
				r.Contact.Tags = own.(*contacts.ContactRecord).Contact.Tags
			}
		})
	}},
	{"keeps the caller's idempotency record", "ownership/idempotency given", func(p *process) {
		var kept sync.Map
		onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) {
			if first, again := kept.LoadOrStore(m.Idempotency.Key, m.Idempotency); again {
				o.Result = first.(*contacts.IdempotencyRecord).Result
			}
		})(p)
	}},
	{"keeps the caller's entries", "ownership/mutation given", func(p *process) {
		var mu sync.Mutex
		var kept []contacts.JournalEntry
		onApply(func(a *applying) (outcomes, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(a.Mutations) == 1 {
				kept = a.Mutations[0].Journal
			}
			return a.do()
		})(p)
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			mu.Lock()
			defer mu.Unlock()
			entries, err := p.data.ListJournal(ctx, q)
			for i := range min(len(entries), len(kept)) {
				entries[i].Data = kept[i].Data
			}
			return entries, err
		}
	}},
	{"returns the inner entries", "ownership/journal listed", func(p *process) {
		var listed sync.Map
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			entries, err := p.data.ListJournal(ctx, q)
			first, _ := listed.LoadOrStore(q.AccountID, entries)
			return first.([]contacts.JournalEntry), err
		}
	}},
	{"returns the inner holders", "ownership/outcomes returned", func(p *process) {
		var kept sync.Map
		onOutcome(func(m contacts.Mutation, o *contacts.MutationOutcome) {
			if o.Holders != nil {
				first, _ := kept.LoadOrStore(m.AccountID, o.Holders)
				o.Holders = first.([]contacts.Holder)
			}
		})(p)
	}},
	{"sorts the caller's teams", "ownership/argument unchanged", onQuery(func(q *contacts.ContactQuery) { slices.Sort(q.Teams) })},
	{"keeps the caller's permissions", "ownership/directory given", func(p *process) {
		var mu sync.Mutex
		kept := map[uuid.UUID][]contacts.Permission{}
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, k := range add.Keys {
				kept[k.ID] = k.Permissions
			}
			return p.data.AddToDirectory(ctx, add)
		}
		changeKeys(p, func(k *contacts.KeyRecord) {
			mu.Lock()
			defer mu.Unlock()
			k.Permissions = kept[k.ID]
		})
	}},
	{"returns the inner permissions from add", "ownership/directory returned", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			for i, k := range d.Keys {
				if shared, err := p.data.FindKey(ctx, k.Hash); err == nil {
					d.Keys[i].Permissions = shared.Permissions
				}
			}
			return d, err
		}
	}},
	{"sorts the caller's ids", "ownership/argument unchanged", onQuery(func(q *contacts.ContactQuery) {
		slices.SortFunc(q.IDs, func(x, y uuid.UUID) int { return slices.Compare(x[:], y[:]) })
	})},
	{"writes numbers into the caller's entries", "ownership/argument unchanged", onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		for _, m := range a.Mutations {
			for i := range m.Journal {
				m.Journal[i].Sequence = int64(i + 1)
			}
		}
		return all, err
	})},
	{"sorts the caller's claims", "ownership/argument unchanged", onApply(func(a *applying) (outcomes, error) {
		for _, m := range a.Mutations {
			slices.SortFunc(m.Claims, func(x, y contacts.MatchKey) int { return slices.Compare([]byte(x.Value), []byte(y.Value)) })
		}
		return a.do()
	})},
	{"returns the inner permissions from list", "ownership/directory listed", func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			d, err := p.data.ListDirectory(ctx, q)
			for i, k := range d.Keys {
				if shared, err := p.data.FindKey(ctx, k.Hash); err == nil {
					d.Keys[i].Permissions = shared.Permissions
				}
			}
			return d, err
		}
	}},
	{"writes assigned ids into the argument", "ownership/argument unchanged", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			copy(add.Teams, d.Teams)
			return d, err
		}
	}},
	{"changes a key that is held", "ownership/key found is shared", func(p *process) {
		var mu sync.Mutex
		var held []*contacts.AccountRecord
		p.findKey = func(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
			k, err := p.data.FindKey(ctx, hash)
			if err != nil {
				return nil, err
			}
			c, account := *k, *k.Account
			c.Account = &account
			mu.Lock()
			defer mu.Unlock()
			held = append(held, &account)
			return &c, nil
		}
		p.updateDirectory = func(ctx context.Context, u contacts.DirectoryUpdate) error {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range held {
				a.DisabledAt = u.At
			}
			return p.data.UpdateDirectory(ctx, u)
		}
	}},
	{"changes the settings of an account that is held", "ownership/key found is shared", func(p *process) {
		var mu sync.Mutex
		settings := map[uuid.UUID]map[string]string{}
		onAdd(func(add *contacts.Directory) {
			mu.Lock()
			defer mu.Unlock()
			for _, s := range add.Settings {
				if settings[s.AccountID] == nil {
					settings[s.AccountID] = map[string]string{}
				}
				settings[s.AccountID][s.Name] = s.Value
			}
		})(p)
		onAccount(func(a *contacts.AccountRecord) {
			mu.Lock()
			defer mu.Unlock()
			a.Settings = settings[a.ID]
		})(p)
	}},

	// Concurrency.
	{"loses one of many", "concurrency/different contacts", func(p *process) {
		var mu sync.Mutex
		busy := 0
		onApply(func(a *applying) (outcomes, error) {
			mu.Lock()
			busy++
			alone := busy == 1
			mu.Unlock()
			dally()
			defer func() { mu.Lock(); busy--; mu.Unlock() }()
			if !alone {
				return nil, nil
			}
			return a.do()
		})(p)
	}},
	{"looks before it creates", "concurrency/one contact by many", lookFirst},
	{"looks before it adds a team", "concurrency/one team by many", lookBeforeAdd},
	{"looks before it adds an account", "concurrency/one account by many", lookBeforeAdd},
	{"looks before it adds a key", "concurrency/one key hash by many", lookBeforeAdd},
	{"assigns a team id twice", "concurrency/team ids assigned at once", assignTwice},
	{"shows a contact in part", "concurrency/contacts seen whole", func(p *process) {
		var busy sync.Map
		onApply(func(a *applying) (outcomes, error) {
			for _, m := range a.Mutations {
				for _, c := range m.Contacts {
					busy.Store(c.ID, true)
					defer busy.Delete(c.ID)
				}
			}
			all, err := a.do()
			dally()
			return all, err
		})(p)
		changeContacts(p, func(r *contacts.ContactRecord) {
			if _, ok := busy.Load(r.Contact.ID); ok {
				r.Contact.PhoneNumbers = nil
			}
		})
	}},
	{"shows a directory in part", "concurrency/directory seen whole", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			return addInSteps(ctx, p, add)
		}
	}},
	{"copies the account's state into a new key", "concurrency/disabled while keys are added", func(p *process) {
		var copied sync.Map
		onAdd(func(add *contacts.Directory) {
			for _, k := range add.Keys {
				found, err := p.data.FindAccount(context.Background(), k.AccountID)
				if err == nil {
					copied.Store(k.ID, found)
				}
				dally()
			}
		})(p)
		changeKeys(p, func(k *contacts.KeyRecord) {
			if a, ok := copied.Load(k.ID); ok {
				k.Account = a.(*contacts.AccountRecord)
			}
		})
	}},
	{"lets the last revocation win", "concurrency/one revocation of many", func(p *process) {
		var mu sync.Mutex
		last := map[uuid.UUID]time.Time{}
		p.updateDirectory = func(ctx context.Context, d contacts.DirectoryUpdate) error {
			err := p.data.UpdateDirectory(ctx, d)
			mu.Lock()
			defer mu.Unlock()
			last[d.KeyID] = d.At
			return err
		}
		changeKeys(p, func(k *contacts.KeyRecord) {
			mu.Lock()
			defer mu.Unlock()
			if at, ok := last[k.ID]; ok {
				k.RevokedAt = at
			}
		})
	}},

	// Cancellation.
	{"ignores the context", "cancellation/cancelled before", func(p *process) {
		p.findAccount = func(_ context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
			return p.data.FindAccount(context.Background(), id)
		}
	}},
	{"stores though cancelled", "cancellation/cancelled before", thoughCancelled(func(m contacts.Mutation) bool { return isCreate(m) && m.Idempotency == nil })},
	{"changes though cancelled before", "cancellation/cancelled before", thoughCancelled(func(m contacts.Mutation) bool {
		return len(m.Contacts) == 1 && m.Contacts[0].Version != 0 && m.Contacts[0].Record != nil
	})},
	{"removes though cancelled", "cancellation/cancelled before", thoughCancelled(func(m contacts.Mutation) bool {
		return len(m.Contacts) == 1 && m.Contacts[0].Record == nil
	})},
	{"appends though cancelled", "cancellation/cancelled before", thoughCancelled(func(m contacts.Mutation) bool { return m.Contacts == nil })},
	{"lists though cancelled", "cancellation/cancelled before", func(p *process) {
		p.listContacts = func(_ context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			return p.data.ListContacts(context.Background(), q)
		}
	}},
	{"reads the journal though cancelled", "cancellation/cancelled before", func(p *process) {
		p.listJournal = func(_ context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			return p.data.ListJournal(context.Background(), q)
		}
	}},
	{"says cancelled for a deadline", "cancellation/deadline passed before", func(p *process) {
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if ctx.Err() != nil {
				return nil, context.Canceled
			}
			return p.data.FindContact(ctx, account, id)
		}
	}},
	{"returns the cause alone", "cancellation/cancelled with a cause", func(p *process) {
		p.updateDirectory = func(ctx context.Context, u contacts.DirectoryUpdate) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return p.data.UpdateDirectory(ctx, u)
		}
	}},
	{"stores though cancelled in the middle", "cancellation/cancelled in the middle", lateCancellation},
	{"appends though cancelled in the middle", "cancellation/cancelled in the middle", onApply(func(a *applying) (outcomes, error) {
		first := a.with(contacts.Mutation{AccountID: a.Mutations[0].AccountID, Journal: a.Mutations[0].Journal})
		if _, err := first.do(); err != nil {
			return nil, err
		}
		dally()
		a.Mutations = cloneMutations(a.Mutations)
		a.Mutations[0].Journal = nil
		return a.do()
	})},
	{"reads what it was given after it has given up", "cancellation/cancelled in the middle", func(p *process) {
		var mu sync.Mutex
		var later []*applying
		onApply(func(a *applying) (outcomes, error) {
			if a.ctx.Err() != nil {
				return a.do()
			}
			if dally(); a.ctx.Err() == nil {
				return a.do()
			}
			mu.Lock()
			defer mu.Unlock()
			later = append(later, a)
			return nil, fmt.Errorf("%w: %w", contacts.ErrOutcomeUnknown, a.ctx.Err())
		})(p)
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range later {
				a.ctx = ctx
				a.do()
			}
			later = nil
			return p.data.ListJournal(ctx, q)
		}
	}},
	{"stores a part though cancelled", "cancellation/batch cancelled in the middle", onAll(func(a *applying) (outcomes, error) {
		for _, m := range a.Mutations {
			if _, err := a.one(m); err != nil {
				return nil, err
			}
			dally()
		}
		return nil, nil
	})},
	{"changes though cancelled", "cancellation/changes cancelled in the middle", lateCancellation},
	{"lists the contacts that it has read until it was cancelled", "cancellation/reads cancelled in the middle", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			dally()
			if ctx.Err() != nil {
				list.Records = list.Records[:len(list.Records)/2]
			}
			return list, err
		}
	}},
	{"lists the groups that it has read until it was cancelled", "cancellation/reads cancelled in the middle", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			dally()
			if ctx.Err() != nil {
				list.Groups = list.Groups[:len(list.Groups)/2]
			}
			return list, err
		}
	}},
	{"lists the entries that it has read until it was cancelled", "cancellation/reads cancelled in the middle", func(p *process) {
		p.listJournal = func(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
			entries, err := p.data.ListJournal(ctx, q)
			dally()
			if ctx.Err() != nil {
				entries = entries[:len(entries)/2]
			}
			return entries, err
		}
	}},
	{"lists the teams that it has read until it was cancelled", "cancellation/reads cancelled in the middle", func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			d, err := p.data.ListDirectory(ctx, q)
			dally()
			if ctx.Err() != nil {
				d.Teams = d.Teams[:len(d.Teams)/2]
			}
			return d, err
		}
	}},

	// Errors.
	{"says exists and not found at once", "errors/sentinels", onErr(func(_ contacts.Mutation, err error) error {
		if errors.Is(err, contacts.ErrExists) {
			return fmt.Errorf("%w, or %w", err, contacts.ErrNotFound)
		}
		return err
	})},
	{"says not found and team not found at once", "errors/sentinels", onErr(func(_ contacts.Mutation, err error) error {
		if errors.Is(err, contacts.ErrTeamNotFound) {
			return fmt.Errorf("%w: %w", contacts.ErrNotFound, err)
		}
		return err
	})},
	{"stores a part and returns an error", "errors/an error means not stored", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			return addInSteps(ctx, p, add)
		}
	}},
	{"has an e-mail address in an error", "errors/no personal data", onErr(func(m contacts.Mutation, err error) error {
		if err != nil && len(m.Contacts) > 0 && m.Contacts[0].Record != nil {
			return fmt.Errorf("%s: %w", m.Contacts[0].Record.Contact.Email, err)
		}
		return err
	})},
	{"has a claim in an error", "errors/no personal data", onErr(func(m contacts.Mutation, err error) error {
		if errors.Is(err, contacts.ErrDuplicate) {
			return fmt.Errorf("%v: %w", m.Claims, err)
		}
		return err
	})},
	{"has a hash in an error", "errors/no personal data", func(p *process) {
		p.findKey = func(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
			k, err := p.data.FindKey(ctx, hash)
			if err != nil {
				err = fmt.Errorf("key %x: %w", hash, err)
			}
			return k, err
		}
	}},

	// Durability.
	{"loses contacts on reopening", "durability/all is there after reopening", keepToItself},
	{"keeps revocations to itself", "durability/revocation holds after reopening", keepRevocations},
	{"keeps revocations from a second process", "durability/revocation seen by a second process", keepRevocations},
	{"counts team ids from 1 in each process", "durability/identities stay taken after reopening", func(p *process) {
		var mu sync.Mutex
		last := map[uuid.UUID]int64{}
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			mu.Lock()
			defer mu.Unlock()
			add.Teams = slices.Clone(add.Teams)
			for i, team := range add.Teams {
				if team.ID == 0 {
					add.Teams[i].ID = last[team.AccountID] + 1
				}
				last[team.AccountID] = max(last[team.AccountID], add.Teams[i].ID)
			}
			return p.data.AddToDirectory(ctx, add)
		}
	}},
	{"drops what is under way when it closes", "durability/closed while calls run, then reopened", func(p *process) {
		// What was accepted lately is still in a buffer, which Close forgets.
		var buffer sync.Map
		onApply(func(a *applying) (outcomes, error) {
			for _, m := range a.Mutations {
				for _, c := range m.Contacts {
					buffer.Store(c.ID, c.Record)
				}
			}
			return nil, nil
		})(p)
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if r, ok := buffer.Load(id); ok {
				return r.(*contacts.ContactRecord), nil
			}
			return p.data.FindContact(ctx, account, id)
		}
	}},
	{"remembers that a key was not there", "durability/seen by a second process", func(p *process) {
		var mu sync.Mutex
		absent := map[[32]byte]bool{}
		p.findKey = func(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
			mu.Lock()
			defer mu.Unlock()
			if absent[hash] {
				return nil, contacts.ErrNotFound
			}
			k, err := p.data.FindKey(ctx, hash)
			absent[hash] = errors.Is(err, contacts.ErrNotFound)
			return k, err
		}
	}},
	{"remembers that an account was not there", "settings/seen by a second process", func(p *process) {
		var absent sync.Map
		p.findAccount = func(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
			if _, ok := absent.Load(id); ok {
				return nil, contacts.ErrNotFound
			}
			a, err := p.data.FindAccount(ctx, id)
			if errors.Is(err, contacts.ErrNotFound) {
				absent.Store(id, true)
			}
			return a, err
		}
	}},
	{"locks for its own process alone", "durability/one contact by two processes", lockItself},
	{"assigns a team id in two processes", "durability/team ids assigned by two processes", assignTwice},
	{"closes for all processes", "durability/one process closes", func(p *process) {
		p.close = func() error {
			p.data.Close()
			return p.end()
		}
	}},

	// Closing.
	{"does not close", "closing/every method", func(p *process) { p.close = func() error { return nil } }},
	{"answers after Close", "closing/while calls run", func(p *process) { p.close = func() error { return nil } }},
	{"returns an error from the second Close", "closing/twice", func(p *process) {
		var once sync.Once
		p.close = func() error {
			err := contacts.ErrClosed
			once.Do(func() { err = p.end() })
			return err
		}
	}},
	{"returns errors when many close it", "closing/by many at once", func(p *process) {
		var mu sync.Mutex
		p.close = func() error {
			if !mu.TryLock() {
				return errors.New("busy")
			}
			defer mu.Unlock()
			dally()
			return p.end()
		}
	}},
}

// keepContacts keeps what share makes of the caller's records.
func keepContacts(share func(*contacts.ContactRecord) *contacts.ContactRecord) func(*process) {
	return func(p *process) {
		var kept sync.Map
		onApply(func(a *applying) (outcomes, error) {
			for _, m := range a.Mutations {
				for _, c := range m.Contacts {
					kept.Store(c.ID, share(c.Record))
				}
			}
			return a.do()
		})(p)
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if r, ok := kept.Load(id); ok {
				return r.(*contacts.ContactRecord), nil
			}
			return p.data.FindContact(ctx, account, id)
		}
	}
}

// keepFound finds each record once, and then what share makes of it.
func keepFound(share func(*contacts.ContactRecord) *contacts.ContactRecord) func(*process) {
	return func(p *process) {
		var mu sync.Mutex
		found := map[uuid.UUID]*contacts.ContactRecord{}
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			mu.Lock()
			defer mu.Unlock()
			if found[id] == nil {
				r, err := p.data.FindContact(ctx, account, id)
				if err != nil {
					return nil, err
				}
				found[id] = r
			}
			return share(found[id]), nil
		}
	}
}

// anyTenant looks under the account first and then under all others.
func anyTenant[T any](ctx context.Context, p *process, account uuid.UUID, find func(uuid.UUID) (*T, error)) (*T, error) {
	found, err := find(account)
	if !errors.Is(err, contacts.ErrNotFound) {
		return found, err
	}
	for _, other := range p.accounts(ctx) {
		if found, err := find(other); err == nil {
			return found, nil
		}
	}
	return nil, err
}

// inAnyTenant makes changes of that kind under every account.
func inAnyTenant(kind func(contacts.ContactChange) bool) func(*process) {
	return onEach(func(a *applying, m contacts.Mutation) (contacts.MutationOutcome, error) {
		o, err := a.one(m)
		if !errors.Is(o.Err, contacts.ErrNotFound) || len(m.Contacts) != 1 || !kind(m.Contacts[0]) {
			return o, err
		}
		for _, account := range a.accounts(a.ctx) {
			other := cloneMutations([]contacts.Mutation{m})[0]
			other.AccountID = account
			if other.Contacts[0].Record != nil {
				other.Contacts[0].Record.Contact.AccountID = account
			}
			if o, err := a.one(other); err == nil && o.Err == nil {
				return o, nil
			}
		}
		return o, err
	})
}

// thoughCancelled stores mutations of that kind though the context is done.
func thoughCancelled(kind func(contacts.Mutation) bool) func(*process) {
	return onApply(func(a *applying) (outcomes, error) {
		if a.ctx.Err() == nil || a.DryRun || slices.ContainsFunc(a.Mutations, func(m contacts.Mutation) bool { return !kind(m) }) {
			return a.do()
		}
		a.next(context.WithoutCancel(a.ctx), a.MutationBatch)
		return nil, a.ctx.Err()
	})
}

// lateCancellation stores a batch, and then returns the error of its context.
func lateCancellation(p *process) {
	onApply(func(a *applying) (outcomes, error) {
		all, err := a.do()
		dally()
		if err == nil && a.ctx.Err() != nil {
			return nil, a.ctx.Err()
		}
		return all, err
	})(p)
}
