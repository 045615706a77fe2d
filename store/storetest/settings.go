package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	versionRule = "A setting must have the version that is one above its account's; the account then has that version. An account starts at version 0."
	staleRule   = "ErrStale: the account has another settings version."
)

var settingCases = []testCase{
	{
		"versions",
		versionRule,
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			wantSame(t, "SettingsVersion of a new account", int64(0), s.account(t, a).SettingsVersion)
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "1"), newSetting(b, 1, "events", "2"), newSetting(a, 2, "duplicates", "3")}})
			for account, version := range map[uuid.UUID]int64{a: 2, b: 1} {
				wantSame(t, "SettingsVersion", version, s.account(t, account).SettingsVersion)
				for _, wrong := range []int64{0, -1, 1, version, version + 2, 1 << 40} {
					_, err := s.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{newSetting(account, wrong, "events", "{}")}})
					wantErr(t, fmt.Sprintf("AddToDirectory of version %d after %d", wrong, version), err, contacts.ErrExists)
				}
				for _, versions := range [][]int64{{version + 1, version + 1}, {version + 1, version + 3}, {version + 2, version + 1}} {
					var add contacts.Directory
					for _, v := range versions {
						add.Settings = append(add.Settings, newSetting(account, v, "events", "{}"))
					}
					_, err := s.AddToDirectory(t.Context(), add)
					wantErr(t, fmt.Sprintf("AddToDirectory of the versions %v after %d", versions, version), err, contacts.ErrExists)
				}
				wantSame(t, "SettingsVersion after what was refused", version, s.account(t, account).SettingsVersion)
			}
		},
	},
	{
		"every version listed",
		listDirectoryRule + " Settings are listed in every version.",
		func(t *testing.T, s *store) {
			a, b := s.tenant(t), s.tenant(t)
			var want []contacts.SettingRecord
			for i, value := range append([]string{"1", "", "2", "2", ""}, hostile...) {
				setting := newSetting(a, int64(i+1), []string{"events", "duplicates"}[i%2], value)
				if i >= 5 {
					setting.Name, setting.Actor.Name, setting.Actor.Kind = fmt.Sprintf("%d %.99s", i, value), value, contacts.ActorKind(value)
				}
				want = append(want, setting)
			}
			foreign := newSetting(b, 1, "events", "3")
			s.add(t, contacts.Directory{Settings: append(want[:3:3], foreign)})
			s.add(t, contacts.Directory{Settings: want[3:]})
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
			q := contacts.DirectoryQuery{Kind: contacts.DirectorySettings, AccountID: a, Limit: 1000}
			wantSame(t, "ListDirectory", contacts.Directory{Settings: want}, s.list(t, q))
			q.AfterVersion, q.Limit = 2, 3
			wantSame(t, "ListDirectory of a page", contacts.Directory{Settings: want[2:5]}, s.list(t, q))
			q.AccountID, q.AfterVersion = b, 0
			wantSame(t, "ListDirectory in another account", contacts.Directory{Settings: []contacts.SettingRecord{foreign}}, s.list(t, q))
			values := map[string]string{"duplicates": "2"}
			for _, setting := range want[5:] {
				values[setting.Name] = setting.Value
			}
			wantSame(t, "Settings that FindAccount found", values, s.account(t, a).Settings)
		},
	},
	{
		"stale",
		staleRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			r := newContact(a)
			s.create(t, r)
			kinds := func(version int64) []contacts.Mutation {
				fresh := newContact(a)
				mutations := []contacts.Mutation{
					create(fresh), update(changeOf(r, nil)), remove(r), journal(a, newEntry(1)),
					{AccountID: a, Idempotency: onceAs("key")}, claiming(newContact(a), emailKey("ada@example.com")),
				}
				for i := range mutations {
					mutations[i].Settings = version
				}
				return mutations
			}
			for version := range int64(3) {
				if version > 0 {
					s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, version, "events", "{}")}})
				}
				for _, wrong := range []int64{-1, 0, 1, 2, 3, 1 << 40} {
					if wrong == version {
						continue
					}
					for _, m := range kinds(wrong) {
						s.wantRefused(t, m, contacts.ErrStale)
					}
				}
			}
			s.wantContacts(t, r)
			good := kinds(2)
			for _, m := range append(good[:2], good[3:]...) {
				s.wantStored(t, m)
			}
			// The version of another account is another.
			s.create(t, newContact(s.tenant(t)))
		},
	},
	{
		"one version by many",
		existsRule,
		func(t *testing.T, s *store) { oneSets(t, s) },
	},
	{
		"one version by two processes",
		existsRule,
		func(t *testing.T, s *store) { oneSets(t, s, s.second(t)) },
	},
	{
		"stale while settings change",
		staleRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			var version atomic.Int64 // at least that of the account
			var done atomic.Bool
			var writers sync.WaitGroup
			for range 4 {
				writers.Go(func() {
					for !done.Load() && !t.Failed() {
						found, err := s.FindAccount(t.Context(), a)
						wantErr(t, "FindAccount", err, nil)
						if err != nil {
							return
						}
						m := create(newContact(a))
						m.Settings = found.SettingsVersion
						m.Journal = []contacts.JournalEntry{newEntry(int(found.SettingsVersion))}
						if err := s.one(t.Context(), m).Err; err != nil && !errors.Is(err, contacts.ErrStale) {
							t.Errorf("Apply while settings change: %v", err)
						}
					}
				})
			}
			for range 30 {
				next := version.Load() + 1
				_, err := s.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, next, "events", "{}")}})
				wantErr(t, "AddToDirectory", err, nil)
				version.Store(next)
				// What is decided by the version before is refused from now on.
				late := create(newContact(a))
				late.Settings = next - 1
				wantErr(t, "Apply with the version before", s.one(t.Context(), late).Err, contacts.ErrStale)
			}
			done.Store(true)
			writers.Wait()
			last := int64(0) // the journal is in the order of the commits
			for _, e := range s.entries(t, a) {
				var n int64
				if _, err := fmt.Sscanf(e.Data, `{"n":%d}`, &n); err != nil || n < last {
					t.Fatalf("a mutation that was decided by settings version %d is stored after one that was decided by %d (%v)", n, last, err)
				}
				last = n
			}
		},
	},
	{
		"after reopening",
		durabilityRule,
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "1"), newSetting(a, 2, "duplicates", "2"), newSetting(a, 3, "events", "")}})
			before, found := s.directory(t), s.account(t, a)

			again := s.reopen(t)
			wantSame(t, "the directory", before, again.directory(t))
			wantSame(t, "FindAccount", found, again.account(t, a))
			again.wantKey(t, "FindKey", k)
			again.wantRefused(t, create(newContact(a)), contacts.ErrStale)
			_, err := again.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 3, "events", "{}")}})
			wantErr(t, "AddToDirectory of a version that is taken", err, contacts.ErrExists)
			again.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 4, "events", "4")}})
			wantSame(t, "Settings", map[string]string{"events": "4", "duplicates": "2"}, again.account(t, a).Settings)
		},
	},
	{
		"seen by a second process",
		nextFindRule,
		func(t *testing.T, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			k := s.addKey(t, a)
			for version := range int64(6) {
				writer, reader := both[version%2], both[1-version%2]
				wantSame(t, "SettingsVersion before", version, reader.account(t, a).SettingsVersion)
				wantSame(t, "SettingsVersion before, by the key", version, reader.key(t, k.Hash).Account.SettingsVersion)
				value := fmt.Sprint(version)
				writer.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, version+1, "events", value)}})
				for _, s := range []*store{reader, writer} {
					want := map[string]string{"events": value}
					wantSame(t, "Settings of FindKey", want, s.key(t, k.Hash).Account.Settings)
					wantSame(t, "Settings of FindAccount", want, s.account(t, a).Settings)
					old := create(newContact(a))
					old.Settings = version
					s.wantRefused(t, old, contacts.ErrStale)
					old.Settings = version + 1
					s.wantStored(t, old)
				}
			}
			_, err := both[1].FindAccount(t.Context(), newID())
			wantErr(t, "FindAccount", err, contacts.ErrNotFound)
			account := newAccount() // a store may not remember that it was not there
			_, err = both[1].FindAccount(t.Context(), account.ID)
			wantErr(t, "FindAccount before", err, contacts.ErrNotFound)
			s.add(t, contacts.Directory{Accounts: []contacts.Account{account}})
			wantSame(t, "FindAccount", contacts.AccountRecord{Account: account}, both[1].account(t, account.ID))
		},
	},
}

// oneSets has many callers, spread over the stores, add the next version of the
// settings, and checks that one of them did.
func oneSets(t *testing.T, stores ...*store) {
	t.Helper()
	a := stores[0].tenant(t)
	for version := range int64(4) {
		values := make([]contacts.SettingRecord, many)
		for i := range values {
			values[i] = newSetting(a, version+1, "events", fmt.Sprint(i))
		}
		winner := winnerOf(t, contacts.ErrExists, func(i int) error {
			_, err := stores[i%len(stores)].AddToDirectory(t.Context(), contacts.Directory{Settings: values[i : i+1]})
			return err
		})
		for _, s := range stores {
			wantSame(t, "Settings", map[string]string{"events": fmt.Sprint(winner)}, s.account(t, a).Settings)
		}
	}
}
