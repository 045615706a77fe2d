package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// directoryFaults break the directory, its settings and the keys.
var directoryFaults = []fault{
	{"forgets a key's teams", "keys/found", onKey(func(k *contacts.KeyRecord) { k.TeamIDs = nil })},
	{"forgets when an account was disabled", "directory/stored as given", onList(func(_ contacts.DirectoryQuery, d *contacts.Directory) {
		for i := range d.Accounts {
			d.Accounts[i].DisabledAt = time.Time{}
		}
	})},
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
			for _, account := range p.accounts(ctx) {
				for _, team := range add.Teams {
					if p.hasTeam(ctx, account, team.ID) {
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
			q.Limit = max(q.Limit, q.Limit+1)
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
			if err == nil && len(d.Accounts)+len(d.Teams)+len(d.Keys)+len(d.Settings) == 0 {
				err = contacts.ErrNotFound
			}
			return d, err
		}
	}},

	{"keeps no actor", "directory/one of each", onAdd(func(add *contacts.Directory) {
		for i := range add.Settings {
			add.Settings[i].Actor = contacts.Actor{}
		}
	})},

	// Settings.
	{"numbers settings by itself", "settings/versions", func(p *process) {
		onAdd(func(add *contacts.Directory) {
			next := map[uuid.UUID]int64{}
			for i := range add.Settings {
				account := add.Settings[i].AccountID
				if found, err := p.data.FindAccount(context.Background(), account); err == nil && next[account] == 0 {
					next[account] = found.SettingsVersion
				}
				next[account]++
				add.Settings[i].Version = next[account]
			}
		})(p)
	}},
	{"has one version for all accounts", "settings/versions", onAccount(func(a *contacts.AccountRecord) {
		a.SettingsVersion = min(a.SettingsVersion, 1)
	})},
	{"starts settings at version 1", "settings/versions", onAccount(func(a *contacts.AccountRecord) { a.SettingsVersion++ })},
	{"lists the newest settings alone", "settings/every version listed", onList(func(_ contacts.DirectoryQuery, d *contacts.Directory) {
		d.Settings = slices.DeleteFunc(d.Settings, func(x contacts.SettingRecord) bool {
			return slices.ContainsFunc(d.Settings, func(y contacts.SettingRecord) bool { return x.Name == y.Name && x.Version < y.Version })
		})
	})},
	{"lists no settings that are gone", "settings/every version listed", onList(func(_ contacts.DirectoryQuery, d *contacts.Directory) {
		d.Settings = slices.DeleteFunc(d.Settings, func(s contacts.SettingRecord) bool { return s.Value == "" })
	})},
	{"trims values of settings", "settings/every version listed", onAdd(func(add *contacts.Directory) {
		for i := range add.Settings {
			add.Settings[i].Value = strings.TrimSpace(add.Settings[i].Value)
		}
	})},
	{"ignores the settings version", "mutations/stale", func(p *process) {
		onApply(func(a *applying) (outcomes, error) {
			a.Mutations = cloneMutations(a.Mutations)
			for i, m := range a.Mutations {
				if found, err := a.data.FindAccount(a.ctx, m.AccountID); err == nil {
					a.Mutations[i].Settings = found.SettingsVersion
				}
			}
			return a.do()
		})(p)
	}},
	{"takes a later settings version", "contacts/stale", func(p *process) {
		onApply(func(a *applying) (outcomes, error) {
			a.Mutations = cloneMutations(a.Mutations)
			for i, m := range a.Mutations {
				if found, err := a.data.FindAccount(a.ctx, m.AccountID); err == nil {
					a.Mutations[i].Settings = min(m.Settings, found.SettingsVersion)
				}
			}
			return a.do()
		})(p)
	}},
	{"judges no settings of entries", "mutations/stale", func(p *process) {
		onApply(func(a *applying) (outcomes, error) {
			a.Mutations = cloneMutations(a.Mutations)
			for i, m := range a.Mutations {
				if found, err := a.data.FindAccount(a.ctx, m.AccountID); err == nil && m.Contacts == nil {
					a.Mutations[i].Settings = found.SettingsVersion
				}
			}
			return a.do()
		})(p)
	}},
	{"says conflict for stale", "contacts/stale", instead(contacts.ErrStale, contacts.ErrConflict)},
	{"looks before it adds a setting", "settings/one version by many", lookBeforeSetting},
	{"locks settings for its own process alone", "settings/one version by two processes", func(p *process) {
		lookBeforeSetting(p)
		next := p.addToDirectory
		var mu sync.Mutex
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			mu.Lock()
			defer mu.Unlock()
			return next(ctx, add)
		}
	}},
	{"judges by settings of before", "mutations/stale while settings change", lookFirst},
	{"loses settings on reopening", "settings/after reopening", func(p *process) {
		var mine sync.Map
		onAdd(func(add *contacts.Directory) {
			for _, s := range add.Settings {
				mine.Store(s.AccountID, true)
			}
		})(p)
		onAccount(func(a *contacts.AccountRecord) {
			if _, ok := mine.Load(a.ID); !ok {
				a.SettingsVersion, a.Settings = 0, nil
			}
		})(p)
	}},
	{"remembers accounts that it has found", "settings/seen by a second process", func(p *process) {
		var found sync.Map
		p.findAccount = func(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
			if a, ok := found.Load(id); ok {
				return a.(*contacts.AccountRecord), nil
			}
			a, err := p.data.FindAccount(ctx, id)
			if err == nil {
				found.Store(id, a)
			}
			return a, err
		}
	}},
	{"remembers the settings of a key", "keys/settings seen by a second process", func(p *process) {
		var found sync.Map
		changeKeys(p, func(k *contacts.KeyRecord) {
			first, _ := found.LoadOrStore(k.ID, k.Account)
			k.Account = first.(*contacts.AccountRecord)
		})
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
	{"does not say that the account is disabled", "keys/found", onKey(func(k *contacts.KeyRecord) { k.Account.DisabledAt = time.Time{} })},
	{"finds a key without settings", "keys/found", onKey(func(k *contacts.KeyRecord) { k.Account.Settings = nil })},
	{"finds a key without its account", "keys/found", onKey(func(k *contacts.KeyRecord) { k.Account = nil })},
	{"takes every key", "keys/judged with a mutation", func(p *process) {
		p.mayUse = func(contacts.KeyRecord, contacts.Account, *contacts.Mutation) bool { return true }
	}},
	{"takes keys of other accounts", "keys/judged with a mutation", func(p *process) {
		p.mayUse = func(k contacts.KeyRecord, a contacts.Account, m *contacts.Mutation) bool {
			return k.ID == m.KeyID && k.RevokedAt.IsZero() && a.DisabledAt.IsZero()
		}
	}},
	{"takes keys that are not there", "keys/judged with a mutation", func(p *process) {
		p.mayUse = func(k contacts.KeyRecord, a contacts.Account, m *contacts.Mutation) bool {
			return k.ID == uuid.Nil || k.AccountID == m.AccountID && k.RevokedAt.IsZero() && a.DisabledAt.IsZero()
		}
	}},
	{"takes revoked keys", "keys/judged with a mutation", func(p *process) {
		p.mayUse = func(k contacts.KeyRecord, a contacts.Account, m *contacts.Mutation) bool {
			return k.ID == m.KeyID && k.AccountID == m.AccountID && a.DisabledAt.IsZero()
		}
	}},
	{"takes keys of disabled accounts", "keys/judged with a mutation", func(p *process) {
		p.mayUse = func(k contacts.KeyRecord, _ contacts.Account, m *contacts.Mutation) bool {
			return k.ID == m.KeyID && k.AccountID == m.AccountID && k.RevokedAt.IsZero()
		}
	}},
	{"judges when keys end", "keys/judged with a mutation", func(p *process) {
		p.mayUse = func(k contacts.KeyRecord, a contacts.Account, m *contacts.Mutation) bool {
			return k.ID == m.KeyID && k.AccountID == m.AccountID && k.RevokedAt.IsZero() && a.DisabledAt.IsZero() && k.ExpiresAt.IsZero()
		}
	}},
	{"answers replays before it judges the key", "keys/judged with a mutation", func(p *process) {
		next := p.mayUse
		p.mayUse = func(k contacts.KeyRecord, a contacts.Account, m *contacts.Mutation) bool {
			return m.Idempotency != nil || next(k, a, m)
		}
	}},
	{"judges by what its process knows of a key", "keys/judged with a mutation in a second process", func(p *process) {
		var good sync.Map // keys with their accounts
		judge, change := p.mayUse, p.updateDirectory
		p.mayUse = func(k contacts.KeyRecord, a contacts.Account, m *contacts.Mutation) bool {
			at := [2]uuid.UUID{m.KeyID, m.AccountID}
			if _, ok := good.Load(at); ok {
				return true
			}
			ok := judge(k, a, m)
			if ok {
				good.Store(at, true)
			}
			return ok
		}
		p.updateDirectory = func(ctx context.Context, u contacts.DirectoryUpdate) error {
			defer good.Clear()
			return change(ctx, u)
		}
	}},
	{"forgets a revocation", "keys/revoke", func(p *process) {
		p.updateDirectory = func(ctx context.Context, d contacts.DirectoryUpdate) error {
			if d.KeyID != uuid.Nil {
				return nil
			}
			return p.data.UpdateDirectory(ctx, d)
		}
	}},
	{"does not enable again", "keys/disable and enable", func(p *process) {
		p.updateDirectory = func(ctx context.Context, d contacts.DirectoryUpdate) error {
			if d.At.IsZero() {
				return nil
			}
			return p.data.UpdateDirectory(ctx, d)
		}
	}},
	{"overwrites the first time", "keys/the first time stays", func(p *process) {
		var mu sync.Mutex
		last := map[uuid.UUID]time.Time{}
		p.updateDirectory = func(ctx context.Context, d contacts.DirectoryUpdate) error {
			mu.Lock()
			defer mu.Unlock()
			last[d.KeyID] = d.At
			return p.data.UpdateDirectory(ctx, d)
		}
		changeKeys(p, func(k *contacts.KeyRecord) {
			mu.Lock()
			defer mu.Unlock()
			if at, ok := last[k.ID]; ok {
				k.RevokedAt = at
			}
		})
	}},
	{"updates what is not there", "keys/update the unknown", func(p *process) {
		p.updateDirectory = func(ctx context.Context, d contacts.DirectoryUpdate) error {
			if err := p.data.UpdateDirectory(ctx, d); !errors.Is(err, contacts.ErrNotFound) {
				return err
			}
			return nil
		}
	}},
	{"believes the key about its account", "keys/the account's state is the account's", func(p *process) {
		var given sync.Map
		onAdd(func(add *contacts.Directory) {
			for _, k := range add.Keys {
				if k.Account != nil {
					given.Store(k.ID, k.Account)
				}
			}
		})(p)
		changeKeys(p, func(k *contacts.KeyRecord) {
			if a, ok := given.Load(k.ID); ok {
				k.Account = a.(*contacts.AccountRecord)
			}
		})
	}},
	{"returns accounts with the keys that were added", "keys/the account's state is the account's", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			for i, k := range d.Keys {
				d.Keys[i].Account, _ = p.data.FindAccount(ctx, k.AccountID)
			}
			return d, err
		}
	}},
	{"finds settings that are gone", "settings/found", func(p *process) {
		onAccount(func(a *contacts.AccountRecord) {
			all, _ := p.data.ListDirectory(context.Background(), contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: a.ID, Limit: 100})
			a.Settings = nil
			for _, s := range all.Settings {
				if a.Settings == nil {
					a.Settings = map[string]string{}
				}
				a.Settings[s.Name] = s.Value
			}
		})(p)
	}},
	{"returns an empty map for no settings", "settings/found", onAccount(func(a *contacts.AccountRecord) {
		if a.Settings == nil {
			a.Settings = map[string]string{}
		}
	})},
	{"folds names of settings", "settings/found", onAdd(func(add *contacts.Directory) {
		for i := range add.Settings {
			add.Settings[i].Name = strings.ToLower(add.Settings[i].Name)
		}
	})},
	{"finds an account that is not there", "settings/account unknown", func(p *process) {
		p.findAccount = func(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
			a, err := p.data.FindAccount(ctx, id)
			if errors.Is(err, contacts.ErrNotFound) {
				return new(contacts.AccountRecord), nil
			}
			return a, err
		}
	}},
	{"fills a gap when no team id is left", "directory/no team id left", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			if err == nil || errors.Is(err, contacts.ErrExists) || errors.Is(err, contacts.ErrNotFound) {
				return d, err
			}
			add.Teams = slices.Clone(add.Teams)
			for i, team := range add.Teams {
				if team.ID == 0 {
					add.Teams[i].ID = 1
				}
			}
			return p.data.AddToDirectory(ctx, add)
		}
	}},
	{"says exists when no team id is left", "directory/no team id left", func(p *process) {
		p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
			d, err := p.data.AddToDirectory(ctx, add)
			if err != nil && !errors.Is(err, contacts.ErrNotFound) && ctx.Err() == nil {
				err = contacts.ErrExists
			}
			return d, err
		}
	}},
	{"keeps the settings that a key had first", "keys/account found", func(p *process) {
		var first sync.Map
		changeKeys(p, func(k *contacts.KeyRecord) {
			account, _ := first.LoadOrStore(k.ID, k.Account)
			k.Account.Settings = account.(*contacts.AccountRecord).Settings
		})
	}},
	{"judges by the settings version that it saw first", "mutations/stale in a second process", func(p *process) {
		var first sync.Map
		onMutation(func(m *contacts.Mutation) {
			found, err := p.data.FindAccount(context.Background(), m.AccountID)
			if err != nil {
				return
			}
			if version, _ := first.LoadOrStore(m.AccountID, found.SettingsVersion); m.Settings == version {
				m.Settings = found.SettingsVersion
			} else {
				m.Settings = -1
			}
		})(p)
	}},
}

// keepRevocations keeps what is revoked and disabled in the process.
func keepRevocations(p *process) {
	var mu sync.Mutex
	revoked := map[uuid.UUID]time.Time{}
	p.updateDirectory = func(_ context.Context, d contacts.DirectoryUpdate) error {
		mu.Lock()
		defer mu.Unlock()
		id := d.KeyID
		if id == uuid.Nil {
			id = d.AccountID
		}
		revoked[id] = d.At
		return nil
	}
	onAccount(func(a *contacts.AccountRecord) {
		mu.Lock()
		defer mu.Unlock()
		a.DisabledAt = revoked[a.ID]
	})(p)
	changeKeys(p, func(k *contacts.KeyRecord) {
		mu.Lock()
		defer mu.Unlock()
		k.RevokedAt, k.Account.DisabledAt = revoked[k.ID], revoked[k.AccountID]
	})
}

// addInSteps adds accounts, teams, keys and settings one after the other.
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
	d, err := p.data.AddToDirectory(ctx, contacts.Directory{Settings: add.Settings})
	all.Settings = d.Settings
	return all, err
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

// lookBeforeSetting finds out which version is next, and stores it later.
func lookBeforeSetting(p *process) {
	p.addToDirectory = func(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
		if len(add.Settings) != 1 {
			return p.data.AddToDirectory(ctx, add)
		}
		found, err := p.data.FindAccount(ctx, add.Settings[0].AccountID)
		if err != nil {
			return contacts.Directory{}, err
		}
		if found.SettingsVersion+1 != add.Settings[0].Version {
			return contacts.Directory{}, contacts.ErrExists
		}
		dally()
		p.data.AddToDirectory(ctx, add)
		return add, nil
	}
}
