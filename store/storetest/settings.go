package storetest

import (
	"fmt"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	versionRule = "A setting must have the version that is one above its account's; the account then has that version. An account starts at version 0."
	staleRule   = "ErrStale: the account has another settings version."

	findAccountRule = "FindAccount returns an account with its newest settings."
)

// settingSteps are settings that are added one after the other, and the settings
// of the account after each of them.
var settingSteps = []struct {
	name, value string
	want        map[string]string
}{
	{"events", `{"on": true}`, map[string]string{"events": `{"on": true}`}},
	{"duplicates", `[]`, map[string]string{"events": `{"on": true}`, "duplicates": `[]`}},
	{"events", `{"on":false}`, map[string]string{"events": `{"on":false}`, "duplicates": `[]`}},
	{"Events", `1`, map[string]string{"events": `{"on":false}`, "Events": "1", "duplicates": `[]`}},
	{"events", "", map[string]string{"Events": "1", "duplicates": `[]`}},
	{"duplicates", "", map[string]string{"Events": "1"}},
	{"duplicates", "", map[string]string{"Events": "1"}}, // gone already
	{"Events", "", nil},
	{"events", "2", map[string]string{"events": "2"}},
}

var settingCases = []testCase{
	{
		"found",
		findAccountRule + ` A setting whose newest value is "" is left out.`,
		func(t *test, s *store) {
			account, other := newAccount(), newAccount()
			a := account.ID
			s.add(t, contacts.Directory{Accounts: []contacts.Account{account, other}})
			want := contacts.AccountRecord{Account: account}
			wantSame(t, "FindAccount without settings", want, s.account(t, a))
			for _, step := range settingSteps {
				want.SettingsVersion++
				want.Settings = step.want
				s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, want.SettingsVersion, step.name, step.value)}})
				wantSame(t, "FindAccount", want, s.account(t, a))
				wantSame(t, "FindAccount of another", contacts.AccountRecord{Account: other}, s.account(t, other.ID))
			}
		},
	},
	{
		"account unknown",
		"ErrNotFound: there is no such account.",
		func(t *test, s *store) {
			s.tenant(t)
			for _, id := range []uuid.UUID{newID(), {}} {
				_, err := s.FindAccount(t.Context(), id)
				wantErr(t, "FindAccount", err, contacts.ErrNotFound)
			}
		},
	},
	{
		"versions",
		versionRule,
		func(t *test, s *store) {
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
		func(t *test, s *store) {
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
		"one version by many",
		existsRule,
		func(t *test, s *store) { oneSets(t, s) },
	},
	{
		"one version by two processes",
		existsRule,
		func(t *test, s *store) { oneSets(t, s, s.second(t)) },
	},
	{
		"after reopening",
		durabilityRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "1"), newSetting(a, 2, "duplicates", "2"), newSetting(a, 3, "events", "")}})
			before, found := s.directory(t), s.account(t, a)

			again := s.reopen(t)
			wantSame(t, "the directory", before, again.directory(t))
			wantSame(t, "FindAccount", found, again.account(t, a))
			_, err := again.AddToDirectory(t.Context(), contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 3, "events", "{}")}})
			wantErr(t, "AddToDirectory of a version that is taken", err, contacts.ErrExists)
			again.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 4, "events", "4")}})
			wantSame(t, "Settings", map[string]string{"events": "4", "duplicates": "2"}, again.account(t, a).Settings)
		},
	},
	{
		"seen by a second process",
		nextFindRule,
		func(t *test, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			for version := range int64(6) {
				writer, reader := both[version%2], both[1-version%2]
				wantSame(t, "SettingsVersion before", version, reader.account(t, a).SettingsVersion)
				value := fmt.Sprint(version)
				writer.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, version+1, "events", value)}})
				for _, s := range []*store{reader, writer} {
					wantSame(t, "Settings of FindAccount", map[string]string{"events": value}, s.account(t, a).Settings)
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
func oneSets(t *test, stores ...*store) {
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
