package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A fault is a store that is broken on purpose: it breaks one rule, and the case
// that is named for it must fail.
type fault struct {
	name string
	fail string // subject/case
	in   func(*process)
}

var faults = slices.Concat(recordFaults, batchFaults, idempotencyFaults, listingFaults, updateFaults, purgeFaults)

var recordFaults = []fault{
	// Fidelity.
	{"drops the last name", "contacts/full record", onContact(func(r *contacts.ContactRecord) { r.Contact.LastName = "" })},
	{"drops the do-not-call mark", "contacts/full record", onContact(func(r *contacts.ContactRecord) {
		for i := range r.Contact.PhoneNumbers {
			r.Contact.PhoneNumbers[i].DoNotCall = false
		}
	})},
	{"fills in a default", "contacts/minimal record", onContact(func(r *contacts.ContactRecord) {
		if r.Contact.Country == "" {
			r.Contact.Country = "US"
		}
	})},
	{"sorts the tags", "contacts/order of tags and phone numbers", onContact(func(r *contacts.ContactRecord) { slices.Sort(r.Contact.Tags) })},
	{"drops repeated tags", "contacts/no rules", onContact(func(r *contacts.ContactRecord) { r.Contact.Tags = slices.Compact(r.Contact.Tags) })},
	{"returns empty slices for nil", "contacts/minimal record", onContact(func(r *contacts.ContactRecord) {
		if r.Contact.Tags == nil {
			r.Contact.Tags = []string{}
		}
	})},
	{"returns empty slices of a key for nil", "contacts/empty slices", onKey(func(k *contacts.KeyRecord) {
		if k.TeamIDs == nil {
			k.TeamIDs = []int64{}
		}
	})},
	{"truncates times to seconds", "contacts/times", onContact(func(r *contacts.ContactRecord) {
		r.Contact.UpdatedAt = r.Contact.UpdatedAt.Truncate(time.Second)
	})},
	{"returns local times", "contacts/full record", onContact(func(r *contacts.ContactRecord) {
		r.Contact.CreatedAt = r.Contact.CreatedAt.In(time.FixedZone("", 3600))
	})},
	{"keeps times as nanoseconds", "contacts/times", onContact(func(r *contacts.ContactRecord) {
		r.Contact.CreatedAt = time.Unix(0, r.Contact.CreatedAt.UnixNano()).UTC()
	})},
	{"makes the zero time 1970", "contacts/times", onContact(func(r *contacts.ContactRecord) {
		if r.Contact.UpdatedAt.IsZero() {
			r.Contact.UpdatedAt = time.Unix(0, 0).UTC()
		}
	})},
	{"rejects an invalid record", "contacts/no rules", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				if r.Contact.FirstName == "" {
					return failAll(batch, errors.New("first name is missing"))
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"trims text", "text/hostile text in contacts", onContact(func(r *contacts.ContactRecord) { r.Contact.City = strings.TrimSpace(r.Contact.City) })},
	{"trims text of changes", "text/hostile text in changes", onChange(func(c *contacts.ContactChange, _ *contacts.ContactRecord) {
		c.Record.Contact.ZipCode = strings.TrimSpace(c.Record.Contact.ZipCode)
	})},
	{"trims text of the directory", "text/hostile text in the directory", onKey(func(k *contacts.KeyRecord) { k.Name = strings.TrimSpace(k.Name) })},
	{"folds letter case", "text/letter case", onContact(func(r *contacts.ContactRecord) { r.Contact.Email = strings.ToLower(r.Contact.Email) })},
	{"takes tags that differ in case for one", "text/letter case", onContact(func(r *contacts.ContactRecord) {
		r.Contact.Tags = slices.CompactFunc(r.Contact.Tags, strings.EqualFold)
	})},
	{"normalises text", "text/alike and different", onContact(func(r *contacts.ContactRecord) {
		for i, tag := range r.Contact.Tags {
			r.Contact.Tags[i] = strings.ReplaceAll(tag, "e\u0308", "ë")
		}
	})},
	{"re-encodes contexts", "text/contexts verbatim", onContact(func(r *contacts.ContactRecord) {
		r.CustomContext = strings.ReplaceAll(r.CustomContext, " ", "")
	})},

	// The directory.
	{"forgets a key's teams", "directory/stored as given", onKey(func(k *contacts.KeyRecord) { k.TeamIDs = nil })},
	{"starts team ids at 0", "directory/assigned team ids", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			for i, team := range add.Teams {
				if err == nil && team.ID == 0 {
					d.Teams[i].ID--
				}
			}
			return d, err
		}
	}},
	{"does not add as one", "directory/atomic", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			return addInSteps(ctx, p, add)
		}
	}},
	{"shows a directory in part", "concurrency/directory seen whole", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			return addInSteps(ctx, p, add)
		}
	}},
	{"knows no account of the same call", "directory/records refer to each other", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			for _, team := range add.Teams {
				if slices.ContainsFunc(add.Accounts, func(a contacts.Account) bool { return a.ID == team.AccountID }) {
					return contacts.Directory{}, contacts.ErrNotFound
				}
			}
			return p.data.AddToDirectory(ctx, add)
		}
	}},
	{"has one team id for all accounts", "directory/team ids per account", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			all, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
			for _, a := range all.Accounts {
				for _, team := range add.Teams {
					if _, err := p.data.FindTeam(ctx, a.ID, team.ID); err == nil {
						return contacts.Directory{}, contacts.ErrExists
					}
				}
			}
			return p.data.AddToDirectory(ctx, add)
		}
	}},
	{"says not found for exists", "directory/exists", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			if errors.Is(err, contacts.ErrExists) {
				err = contacts.ErrNotFound
			}
			return d, err
		}
	}},
	{"says exists for not found", "directory/account unknown", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			if errors.Is(err, contacts.ErrNotFound) {
				err = contacts.ErrExists
			}
			return d, err
		}
	}},
	{"returns empty slices for nothing added", "directory/nothing added", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			if d.Teams == nil {
				d.Teams = []contacts.Team{}
			}
			return d, err
		}
	}},
	{"lists in reverse", "directory/list order", onList(func(q contacts.DirectoryQuery, d *contacts.Directory) { slices.Reverse(d.Teams) })},
	{"lists ids as text", "directory/list order", onList(func(q contacts.DirectoryQuery, d *contacts.Directory) {
		slices.SortFunc(d.Teams, func(a, b contacts.Team) int { return strings.Compare(fmt.Sprint(a.ID), fmt.Sprint(b.ID)) })
	})},
	{"lists one too many", "directory/list pages", func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			q.Limit++
			return p.data.ListDirectory(ctx, q)
		}
	}},
	{"repeats the last of a page", "directory/list pages", func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			if q.AfterTeam > 0 {
				q.AfterTeam--
			}
			return p.data.ListDirectory(ctx, q)
		}
	}},
	{"fails to list an unknown account", "directory/list scope", func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			d, err := p.data.ListDirectory(ctx, q)
			if err == nil && len(d.Accounts)+len(d.Teams)+len(d.Keys) == 0 {
				err = contacts.ErrNotFound
			}
			return d, err
		}
	}},

	// Keys.
	{"finds no revoked key", "keys/inactive keys are found", func(p *process) {
		p.findKey = func(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
			k, err := p.data.FindKey(ctx, hash)
			if err == nil && !k.RevokedAt.IsZero() {
				return nil, contacts.ErrNotFound
			}
			return k, err
		}
	}},
	{"compares a part of the hash", "keys/key unknown", func(p *process) {
		var mu sync.Mutex
		known := map[byte][32]byte{}
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, k := range add.Keys {
				known[k.Hash[0]] = k.Hash
			}
			return p.data.AddToDirectory(ctx, add)
		}
		p.findKey = func(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
			mu.Lock()
			defer mu.Unlock()
			return p.data.FindKey(ctx, known[hash[0]])
		}
	}},
	{"does not say that the account is disabled", "keys/found", onKey(func(k *contacts.KeyRecord) { k.AccountDisabledAt = time.Time{} })},
	{"forgets a revocation", "keys/revoke", func(p *process) {
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			if d.KeyID != uuid.Nil {
				return nil
			}
			return p.data.Deactivate(ctx, d)
		}
	}},
	{"does not enable again", "keys/disable and enable", func(p *process) {
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			if d.At.IsZero() {
				return nil
			}
			return p.data.Deactivate(ctx, d)
		}
	}},
	{"overwrites the first time", "keys/the first time stays", func(p *process) {
		var mu sync.Mutex
		last := map[uuid.UUID]time.Time{}
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			mu.Lock()
			defer mu.Unlock()
			last[d.KeyID] = d.At
			return p.data.Deactivate(ctx, d)
		}
		changeKeys(p, func(k *contacts.KeyRecord) {
			mu.Lock()
			defer mu.Unlock()
			if at, ok := last[k.ID]; ok {
				k.RevokedAt = at
			}
		})
	}},
	{"deactivates what is not there", "keys/deactivate the unknown", func(p *process) {
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			if err := p.data.Deactivate(ctx, d); !errors.Is(err, contacts.ErrNotFound) {
				return err
			}
			return nil
		}
	}},
	{"believes the key about its account", "keys/disabled is the account's state", func(p *process) {
		var mu sync.Mutex
		given := map[uuid.UUID]time.Time{}
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, k := range add.Keys {
				given[k.ID] = k.AccountDisabledAt
			}
			return p.data.AddToDirectory(ctx, add)
		}
		changeKeys(p, func(k *contacts.KeyRecord) {
			mu.Lock()
			defer mu.Unlock()
			if at := given[k.ID]; !at.IsZero() {
				k.AccountDisabledAt = at
			}
		})
	}},

	// Batches.
	{"stores nothing of a batch after a failure", "contacts/each on its own", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for i, r := range batch.Records {
				if outcomes := p.data.CreateContacts(ctx, contacts.ContactBatch{Records: []*contacts.ContactRecord{r}}); outcomes != nil {
					rest := slices.Repeat(outcomes, len(batch.Records))
					clear(rest[:i])
					return rest
				}
			}
			return nil
		}
	}},
	{"returns only the errors there are", "contacts/one error for each", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			return slices.DeleteFunc(p.data.CreateContacts(ctx, batch), func(o contacts.ContactOutcome) bool { return o.Err == nil })
		}
	}},
	{"returns a slice of nils", "contacts/one error for each", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			if outcomes := p.data.CreateContacts(ctx, batch); outcomes != nil {
				return outcomes
			}
			return make([]contacts.ContactOutcome, len(batch.Records))
		}
	}},
	{"takes all records for the first one's account", "contacts/accounts mixed", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			moved := slices.Clone(batch.Records)
			for i, r := range moved {
				c := *r
				c.Contact.AccountID = moved[0].Contact.AccountID
				moved[i] = &c
			}
			return p.data.CreateContacts(ctx, contacts.ContactBatch{Records: moved})
		}
	}},
	{"returns an error for an empty batch", "contacts/empty batch", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			if len(batch.Records) == 0 {
				return []contacts.ContactOutcome{{Err: errors.New("nothing to do")}}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"stores no more than a hundred at once", "contacts/large batch", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			batch.Records = batch.Records[:min(100, len(batch.Records))]
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"accepts an id twice", "contacts/contact exists", onCreate(func(r *contacts.ContactRecord, err error) error {
		if errors.Is(err, contacts.ErrExists) {
			return nil
		}
		return err
	})},
	{"accepts an unknown account", "contacts/account or team unknown", onCreate(func(r *contacts.ContactRecord, err error) error {
		if errors.Is(err, contacts.ErrNotFound) {
			return nil
		}
		return err
	})},
	{"finds no deleted contact", "contacts/deleted ones are found", func(p *process) {
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			r, err := p.data.FindContact(ctx, account, id)
			if err == nil && !r.Contact.DeletedAt.IsZero() {
				return nil, contacts.ErrNotFound
			}
			return r, err
		}
	}},
	{"drops the time of the deletion", "contacts/full record", onContact(func(r *contacts.ContactRecord) { r.Contact.DeletedAt = time.Time{} })},
	{"keeps versions in 32 bits", "contacts/full record", onContact(func(r *contacts.ContactRecord) { r.Contact.Version = int64(int32(r.Contact.Version)) })},
	{"truncates the time of the deletion", "contacts/times", onContact(func(r *contacts.ContactRecord) {
		r.Contact.DeletedAt = r.Contact.DeletedAt.Truncate(time.Millisecond)
	})},
	{"finds a contact that is not there", "contacts/contact unknown", func(p *process) {
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			r, err := p.data.FindContact(ctx, account, id)
			if errors.Is(err, contacts.ErrNotFound) {
				return new(contacts.ContactRecord), nil
			}
			return r, err
		}
	}},

	// Tenancy.
	{"finds the contact of another tenant", "tenancy/contact of another account", func(p *process) {
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			return anyTenant(ctx, p, account, func(a uuid.UUID) (*contacts.ContactRecord, error) { return p.data.FindContact(ctx, a, id) })
		}
	}},
	{"has one contact id for all tenants", "tenancy/one contact id in two accounts", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				_, err := anyTenant(ctx, p, r.Contact.AccountID, func(a uuid.UUID) (*contacts.ContactRecord, error) {
					return p.data.FindContact(ctx, a, r.Contact.ID)
				})
				if err == nil {
					return failAll(batch, contacts.ErrExists)
				}
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"finds the team of another tenant", "tenancy/team of another account", func(p *process) {
		p.findTeam = func(ctx context.Context, account uuid.UUID, id int64) (*contacts.Team, error) {
			return anyTenant(ctx, p, account, func(a uuid.UUID) (*contacts.Team, error) { return p.data.FindTeam(ctx, a, id) })
		}
	}},
	{"lets a contact into a team of another tenant", "tenancy/contact in a team of another account", onCreate(func(r *contacts.ContactRecord, err error) error {
		if errors.Is(err, contacts.ErrNotFound) && r.Contact.TeamID != 0 {
			return nil
		}
		return err
	})},
	{"lists the contacts of all tenants", "tenancy/contacts of another account are not listed", func(p *process) {
		p.listContacts = func(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			list, err := p.data.ListContacts(ctx, q)
			if err != nil || q.Tag == "" {
				return list, err
			}
			all, err := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
			for _, a := range all.Accounts {
				if q.AccountID != a.ID {
					q.AccountID = a.ID
					more, _ := p.data.ListContacts(ctx, q)
					list.Records = append(list.Records, more.Records...)
				}
			}
			return list, err
		}
	}},
	{"changes the contact of another tenant", "tenancy/contact of another account is not changed", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			errs := p.data.UpdateContacts(ctx, changes)
			for i, err := range errs {
				if !errors.Is(err, contacts.ErrNotFound) {
					continue
				}
				r := changes[i].Record
				_, errs[i] = anyTenant(ctx, p, r.Contact.AccountID, func(a uuid.UUID) (*contacts.ContactRecord, error) {
					c := *r
					c.Contact.AccountID = a
					return &c, errors.Join(p.data.UpdateContacts(ctx, []contacts.ContactChange{{Record: &c, Version: changes[i].Version}})...)
				})
			}
			return errs
		}
	}},
	{"purges one id of all tenants", "tenancy/contacts of another account are not purged", func(p *process) {
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			if q.ContactID != uuid.Nil {
				q.AccountID = uuid.Nil
			}
			return p.data.PurgeContacts(ctx, q)
		}
	}},
	{"lists the keys of all tenants", "tenancy/teams and keys of another account are not listed", func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			d, err := p.data.ListDirectory(ctx, q)
			if err != nil || q.Kind != contacts.DirectoryKeys {
				return d, err
			}
			all, err := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
			for _, a := range all.Accounts {
				if a.ID != q.AccountID {
					more, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: a.ID, Limit: 1000})
					d.Keys = append(d.Keys, more.Keys...)
				}
			}
			return d, err
		}
	}},
	{"disables all tenants", "tenancy/another account is not disabled", func(p *process) {
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			all, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
			for _, a := range all.Accounts {
				if d.KeyID == uuid.Nil {
					p.data.Deactivate(ctx, contacts.Deactivation{AccountID: a.ID, At: d.At})
				}
			}
			return p.data.Deactivate(ctx, d)
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
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			for _, c := range changes {
				kept.Store(c.Record.Contact.ID, c.Record)
			}
			return p.data.UpdateContacts(ctx, changes)
		}
		changeContacts(p, func(r *contacts.ContactRecord) {
			if own, ok := kept.Load(r.Contact.ID); ok {
				r.Contact.Tags = own.(*contacts.ContactRecord).Contact.Tags
			}
		})
	}},
	{"keeps the caller's idempotency", "ownership/idempotency given", func(p *process) {
		var kept sync.Map
		onOutcome(func(once *contacts.Idempotency, o *contacts.ContactOutcome) {
			if first, again := kept.LoadOrStore(once.Key, once); again {
				o.Result = first.(*contacts.Idempotency).Result
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
				shared, _ := p.data.FindKey(ctx, k.Hash)
				d.Keys[i] = *shared
			}
			return d, err
		}
	}},
	{"returns the inner permissions from list", "ownership/directory listed", onList(nil)},
	{"writes assigned ids into the argument", "ownership/argument unchanged", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			copy(add.Teams, d.Teams)
			return d, err
		}
	}},
	{"returns the inner team", "ownership/team found", func(p *process) {
		var mu sync.Mutex
		teams := map[int64]*contacts.Team{}
		p.findTeam = func(ctx context.Context, account uuid.UUID, id int64) (*contacts.Team, error) {
			mu.Lock()
			defer mu.Unlock()
			if team := teams[id]; team != nil {
				return team, nil
			}
			team, err := p.data.FindTeam(ctx, account, id)
			teams[id] = team
			return team, err
		}
	}},
	{"changes a key that is held", "ownership/key found is shared", func(p *process) {
		var mu sync.Mutex
		var held []*contacts.KeyRecord
		p.findKey = func(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
			k, err := p.data.FindKey(ctx, hash)
			if err != nil {
				return nil, err
			}
			c := *k
			mu.Lock()
			defer mu.Unlock()
			held = append(held, &c)
			return &c, nil
		}
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			mu.Lock()
			defer mu.Unlock()
			for _, k := range held {
				k.AccountDisabledAt = d.At
			}
			return p.data.Deactivate(ctx, d)
		}
	}},

	// Concurrency.
	{"loses one of many", "concurrency/different contacts", func(p *process) {
		var mu sync.Mutex
		busy := 0
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			mu.Lock()
			busy++
			alone := busy == 1
			mu.Unlock()
			dally()
			defer func() { mu.Lock(); busy--; mu.Unlock() }()
			if !alone {
				return nil
			}
			return p.data.CreateContacts(ctx, batch)
		}
	}},
	{"looks before it creates", "concurrency/one contact by many", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				if _, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID); err == nil {
					return failAll(batch, contacts.ErrExists)
				}
			}
			dally()
			p.data.CreateContacts(ctx, batch)
			return nil
		}
	}},
	{"looks before it adds a team", "concurrency/one team by many", lookBeforeAdd},
	{"looks before it adds an account", "concurrency/one account by many", lookBeforeAdd},
	{"looks before it adds a key", "concurrency/one key hash by many", lookBeforeAdd},
	{"assigns a team id twice", "concurrency/team ids assigned at once", assignTwice},
	{"shows a contact in part", "concurrency/contacts seen whole", func(p *process) {
		var mu sync.Mutex
		busy := map[uuid.UUID]bool{}
		mark := func(batch contacts.ContactBatch, state bool) {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range batch.Records {
				busy[r.Contact.ID] = state
			}
		}
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			mark(batch, true)
			defer mark(batch, false)
			outcomes := p.data.CreateContacts(ctx, batch)
			dally()
			return outcomes
		}
		changeContacts(p, func(r *contacts.ContactRecord) {
			mu.Lock()
			defer mu.Unlock()
			if busy[r.Contact.ID] {
				r.Contact.PhoneNumbers = nil
			}
		})
	}},
	{"copies the account's state into a new key", "concurrency/disabled while keys are added", func(p *process) {
		var mu sync.Mutex
		copied := map[uuid.UUID]bool{}
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			mu.Lock()
			defer mu.Unlock()
			for _, k := range d.Keys {
				copied[k.ID] = k.AccountDisabledAt.IsZero()
			}
			return d, err
		}
		changeKeys(p, func(k *contacts.KeyRecord) {
			mu.Lock()
			defer mu.Unlock()
			if copied[k.ID] {
				k.AccountDisabledAt = time.Time{}
			}
		})
	}},
	{"lets the last revocation win", "concurrency/one revocation of many", func(p *process) {
		var mu sync.Mutex
		last := map[uuid.UUID]time.Time{}
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			err := p.data.Deactivate(ctx, d)
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
		p.findTeam = func(_ context.Context, account uuid.UUID, id int64) (*contacts.Team, error) {
			return p.data.FindTeam(context.Background(), account, id)
		}
	}},
	{"stores though cancelled", "cancellation/cancelled before", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			outcomes := p.data.CreateContacts(context.Background(), batch)
			if ctx.Err() != nil {
				outcomes = failAll(batch, ctx.Err())
			}
			return outcomes
		}
	}},
	{"stores a part though cancelled", "cancellation/batch cancelled in the middle", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				if ctx.Err() != nil {
					return failAll(batch, ctx.Err())
				}
				p.data.CreateContacts(ctx, contacts.ContactBatch{Records: []*contacts.ContactRecord{r}})
				dally()
			}
			return nil
		}
	}},
	{"changes though cancelled", "cancellation/changes cancelled in the middle", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			errs := p.data.UpdateContacts(ctx, changes)
			dally()
			if errs == nil && ctx.Err() != nil {
				errs = slices.Repeat([]error{ctx.Err()}, len(changes))
			}
			return errs
		}
	}},
	{"changes though cancelled before", "cancellation/cancelled before", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			errs := p.data.UpdateContacts(context.Background(), changes)
			if ctx.Err() != nil {
				errs = slices.Repeat([]error{ctx.Err()}, len(changes))
			}
			return errs
		}
	}},
	{"purges though cancelled", "cancellation/cancelled before", func(p *process) {
		p.purgeContacts = func(ctx context.Context, q contacts.PurgeQuery) (int, error) {
			n, err := p.data.PurgeContacts(context.Background(), q)
			return n, errors.Join(err, ctx.Err())
		}
	}},
	{"lists though cancelled", "cancellation/cancelled before", func(p *process) {
		p.listContacts = func(_ context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
			return p.data.ListContacts(context.Background(), q)
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
		p.deactivate = func(ctx context.Context, d contacts.Deactivation) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return p.data.Deactivate(ctx, d)
		}
	}},
	{"stores though cancelled in the middle", "cancellation/cancelled in the middle", func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			outcomes := p.data.CreateContacts(ctx, batch)
			dally()
			if outcomes == nil && ctx.Err() != nil {
				outcomes = failAll(batch, ctx.Err())
			}
			return outcomes
		}
	}},

	// Errors.
	{"says exists and not found at once", "errors/sentinels", onCreate(func(_ *contacts.ContactRecord, err error) error {
		if errors.Is(err, contacts.ErrExists) {
			return fmt.Errorf("%w, or %w", err, contacts.ErrNotFound)
		}
		return err
	})},
	{"stores a part and returns an error", "errors/an error means not stored", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			return addInSteps(ctx, p, add)
		}
	}},
	{"has an e-mail address in an error", "errors/no personal data", onCreate(func(r *contacts.ContactRecord, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", r.Contact.Email, err)
		}
		return nil
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
		var mu sync.Mutex
		var buffer []*contacts.ContactRecord
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			mu.Lock()
			defer mu.Unlock()
			buffer = append(buffer, batch.Records...)
			return nil
		}
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range buffer {
				if r.Contact.ID == id {
					return r, nil
				}
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
	{"locks for its own process alone", "durability/one contact by two processes", func(p *process) {
		var mu sync.Mutex
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range batch.Records {
				if _, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID); err == nil {
					return failAll(batch, contacts.ErrExists)
				}
			}
			dally()
			p.data.CreateContacts(ctx, batch)
			return nil
		}
	}},
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

// The ways to break a method, for faults that are more than one.

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
		c := *k
		change(&c)
		return &c, nil
	}
}

// onList changes what is listed; nil puts the records in that FindKey shares.
func onList(change func(contacts.DirectoryQuery, *contacts.Directory)) func(*process) {
	return func(p *process) {
		p.listDirectory = func(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
			d, err := p.data.ListDirectory(ctx, q)
			if change != nil {
				change(q, &d)
				return d, err
			}
			for i, k := range d.Keys {
				if shared, err := p.data.FindKey(ctx, k.Hash); err == nil {
					d.Keys[i] = *shared
				}
			}
			return d, err
		}
	}
}

// onCreate changes the error of each record.
func onCreate(change func(*contacts.ContactRecord, error) error) func(*process) {
	return func(p *process) {
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			outcomes := p.data.CreateContacts(ctx, batch)
			for i := range outcomes {
				outcomes[i].Err = change(batch.Records[i], outcomes[i].Err)
			}
			if !slices.ContainsFunc(outcomes, func(o contacts.ContactOutcome) bool { return o != contacts.ContactOutcome{} }) {
				return nil
			}
			return outcomes
		}
	}
}

// keepContacts keeps what share makes of the caller's records.
func keepContacts(share func(*contacts.ContactRecord) *contacts.ContactRecord) func(*process) {
	return func(p *process) {
		var kept sync.Map
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				kept.Store(r.Contact.ID, share(r))
			}
			return p.data.CreateContacts(ctx, batch)
		}
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

// keepToItself finds and lists only the contacts that the process itself has
// created.
func keepToItself(p *process) {
	var mine sync.Map
	p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
		for _, r := range batch.Records {
			mine.Store(r.Contact.ID, true)
		}
		return p.data.CreateContacts(ctx, batch)
	}
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

// keepRevocations keeps what is deactivated in the process.
func keepRevocations(p *process) {
	var mu sync.Mutex
	revoked := map[uuid.UUID]time.Time{}
	p.deactivate = func(_ context.Context, d contacts.Deactivation) error {
		mu.Lock()
		defer mu.Unlock()
		id := d.KeyID
		if id == uuid.Nil {
			id = d.AccountID
		}
		revoked[id] = d.At
		return nil
	}
	changeKeys(p, func(k *contacts.KeyRecord) {
		mu.Lock()
		defer mu.Unlock()
		k.RevokedAt, k.AccountDisabledAt = revoked[k.ID], revoked[k.AccountID]
	})
}

// addInSteps adds accounts, teams and keys one after the other.
func addInSteps(ctx context.Context, p *process, add contacts.Directory) (all contacts.Directory, err error) {
	for _, a := range add.Accounts {
		d, err := p.data.AddToDirectory(ctx, contacts.Directory{Accounts: []contacts.Account{a}})
		if err != nil {
			return contacts.Directory{}, err
		}
		all.Accounts = append(all.Accounts, d.Accounts...)
		dally()
	}
	for _, team := range add.Teams {
		d, err := p.data.AddToDirectory(ctx, contacts.Directory{Teams: []contacts.Team{team}})
		if err != nil {
			return contacts.Directory{}, err
		}
		all.Teams = append(all.Teams, d.Teams...)
		dally()
	}
	for _, k := range add.Keys {
		d, err := p.data.AddToDirectory(ctx, contacts.Directory{Keys: []contacts.KeyRecord{k}})
		if err != nil {
			return contacts.Directory{}, err
		}
		all.Keys = append(all.Keys, d.Keys...)
	}
	return all, nil
}

// lookBeforeAdd finds out whether anything exists, and adds it later.
func lookBeforeAdd(p *process) {
	var seen sync.Map
	p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
		identities := map[any]bool{}
		for _, a := range add.Accounts {
			identities[a.ID] = true
		}
		for _, team := range add.Teams {
			identities[team] = true
		}
		for _, k := range add.Keys {
			identities[k.Hash] = true
		}
		for id := range identities {
			if _, taken := seen.Load(id); taken {
				return contacts.Directory{}, contacts.ErrExists
			}
		}
		dally()
		for id := range maps.Keys(identities) {
			seen.Store(id, true)
		}
		if d, err := p.data.AddToDirectory(ctx, add); err == nil {
			return d, nil
		}
		return add, nil
	}
}

// assignTwice finds out which id is next, and takes it later.
func assignTwice(p *process) {
	p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
		if len(add.Teams) != 1 || add.Teams[0].ID != 0 {
			return p.data.AddToDirectory(ctx, add)
		}
		team := add.Teams[0]
		d, err := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: team.AccountID, Limit: 1000})
		if err != nil {
			return d, err
		}
		team.ID = int64(len(d.Teams) + 1)
		dally()
		p.data.AddToDirectory(ctx, contacts.Directory{Teams: []contacts.Team{team}})
		return contacts.Directory{Teams: []contacts.Team{team}}, nil
	}
}

// anyTenant looks under the account first and then under all others.
func anyTenant[T any](ctx context.Context, p *process, account uuid.UUID, find func(uuid.UUID) (*T, error)) (*T, error) {
	found, err := find(account)
	if !errors.Is(err, contacts.ErrNotFound) {
		return found, err
	}
	all, _ := p.data.ListDirectory(ctx, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 1000})
	for _, a := range all.Accounts {
		if found, err := find(a.ID); err == nil {
			return found, nil
		}
	}
	return nil, err
}

// dally lets other goroutines come in between.
func dally() {
	for range 20 {
		runtime.Gosched()
	}
}
