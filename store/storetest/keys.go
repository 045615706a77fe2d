package storetest

import (
	"time"

	"example.com/contacts"
)

const (
	findKeyRule   = "FindKey returns the key with that hash and its account."
	updateDirRule = "UpdateDirectory revokes a key, disables an account, or enables an account again."
	firstTimeRule = "A key that is revoked already keeps its first time, and so does an account that is disabled. Neither is an error."
	nextFindRule  = "A directory change holds for the next FindKey and FindAccount in every process on the same store."
	judgesRule    = "JudgesKeys says that Apply judges Mutation.KeyID, before all but the account. ErrStale: the account has no such key, the key is revoked, or the account is disabled."
)

var keyCases = []testCase{
	{
		"found",
		findKeyRule,
		func(t *test, s *store) {
			account := newAccount()
			a := account.ID
			s.add(t, contacts.Directory{Accounts: []contacts.Account{account}})
			// Hashes that differ in one bit, and one with many zero bytes.
			keys := []contacts.KeyRecord{newKey(a), newKey(a), newKey(a), newKey(a)}
			keys[1].Hash = keys[0].Hash
			keys[1].Hash[0] ^= 0x80
			keys[2].Hash = keys[0].Hash
			keys[2].Hash[31] ^= 1
			keys[3].Hash = [32]byte{31: 7}
			s.add(t, contacts.Directory{Keys: keys})
			for _, k := range keys {
				k.Account = &contacts.AccountRecord{Account: account}
				wantSame(t, "FindKey", k, s.key(t, k.Hash))
			}
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, 1, "events", "{}"), newSetting(a, 2, "duplicates", "[]")}})
			account.DisabledAt = noon
			for _, k := range keys {
				k.Account = &contacts.AccountRecord{Account: account, SettingsVersion: 2, Settings: map[string]string{"events": "{}", "duplicates": "[]"}}
				wantSame(t, "FindKey in a disabled account with settings", k, s.key(t, k.Hash))
			}
		},
	},
	{
		"key unknown",
		"ErrNotFound: there is no such key.",
		func(t *test, s *store) {
			k := s.addKey(t, s.tenant(t))
			k.Hash[5]++
			for _, hash := range [][32]byte{k.Hash, {}} {
				_, err := s.FindKey(t.Context(), hash)
				wantErr(t, "FindKey", err, contacts.ErrNotFound)
			}
			refused := newKey(k.AccountID)
			_, err := s.AddToDirectory(t.Context(), contacts.Directory{Keys: []contacts.KeyRecord{refused, newKey(newID())}})
			wantErr(t, "AddToDirectory", err, contacts.ErrNotFound)
			_, err = s.FindKey(t.Context(), refused.Hash)
			wantErr(t, "FindKey of a key that was refused with another", err, contacts.ErrNotFound)
		},
	},
	{
		"inactive keys are found",
		"It does not judge: revoked and expired keys are found too.",
		func(t *test, s *store) {
			a := s.tenant(t)
			revoked, expired := newKey(a), newKey(a)
			revoked.RevokedAt = noon
			expired.ExpiresAt = noon.AddDate(-20, 0, 0)
			s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{revoked, expired}})
			s.wantKey(t, "FindKey of a revoked key", revoked)
			s.wantKey(t, "FindKey of an expired key", expired)
		},
	},
	{
		"empty slices",
		"Empty slices come back as nil.",
		func(t *test, s *store) {
			a := s.tenant(t)
			k, bare := newKey(a), newKey(a)
			bare.APIKey = contacts.APIKey{ID: bare.ID, AccountID: a}
			k.Permissions, k.TeamIDs = []contacts.Permission{}, []int64{}
			added := s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{k, bare}})
			k.Permissions, k.TeamIDs = nil, nil
			wantSame(t, "AddToDirectory", []contacts.KeyRecord{k, bare}, added.Keys)
			s.wantKey(t, "FindKey", k)
			s.wantKey(t, "FindKey of a key with nothing more than it needs", bare)
			wantSame(t, "ListDirectory", []contacts.KeyRecord{k, bare}, s.directory(t).Keys)
		},
	},
	{
		"revoke",
		updateDirRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			k, other := s.addKey(t, a), s.addKey(t, a)
			s.key(t, k.Hash) // a store may not remember it
			s.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: noon})
			k.RevokedAt = noon
			s.wantKey(t, "FindKey of the revoked key", k)
			s.wantKey(t, "FindKey of another key", other)
			wantSame(t, "ListDirectory", []contacts.KeyRecord{k, other},
				s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: a, Limit: 9}).Keys)
		},
	},
	{
		"disable and enable",
		updateDirRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			// Disabled, enabled, enabled already, disabled anew.
			for _, at := range []time.Time{noon, {}, {}, noon.Add(time.Hour)} {
				s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: at})
				s.wantKey(t, "FindKey", k)
				wantSame(t, "DisabledAt of the account that FindAccount found", at, s.account(t, a).DisabledAt)
				d := s.directory(t)
				wantSame(t, "DisabledAt of the account", at, d.Accounts[0].DisabledAt)
				wantSame(t, "ListDirectory of keys", []contacts.KeyRecord{k}, d.Keys)
			}
		},
	},
	{
		"the first time stays",
		firstTimeRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			for _, at := range []time.Time{noon, noon.Add(time.Hour), noon.Add(-time.Hour)} {
				s.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: at})
				s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: at})
			}
			k.RevokedAt = noon
			s.wantKey(t, "FindKey", k)
			wantSame(t, "DisabledAt of the account that FindAccount found", noon, s.account(t, a).DisabledAt)
			wantSame(t, "DisabledAt of the account", noon, s.directory(t).Accounts[0].DisabledAt)
		},
	},
	{
		"update the unknown",
		"ErrNotFound: there is no such key or account.",
		func(t *test, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			for name, d := range map[string]contacts.DirectoryUpdate{
				"key":                     {KeyID: newID(), At: noon},
				"account":                 {AccountID: newID(), At: noon},
				"account, to enable it":   {AccountID: newID()},
				"key by the account's id": {KeyID: a, At: noon},
				"account by the key's id": {AccountID: k.ID, At: noon},
			} {
				wantErr(t, "UpdateDirectory of an unknown "+name, s.UpdateDirectory(t.Context(), d), contacts.ErrNotFound)
			}
			s.wantKey(t, "FindKey afterwards", k)
		},
	},
	{
		"the account's state is the account's",
		nextFindRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			lies := newKey(a)
			// It is not for the key to say.
			lies.Account = &contacts.AccountRecord{Account: contacts.Account{ID: a, Name: "lie", DisabledAt: noon}, SettingsVersion: 5}
			added := s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{lies}})
			lies.Account = nil
			wantSame(t, "AddToDirectory", []contacts.KeyRecord{lies}, added.Keys)
			s.wantKey(t, "FindKey", lies)
			wantSame(t, "the account that FindKey found", contacts.AccountRecord{Account: s.directory(t).Accounts[0]}, *s.key(t, lies.Hash).Account)

			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
			late := newKey(a) // a key that is added afterwards is no way round it
			added = s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{late}})
			wantSame(t, "AddToDirectory to a disabled account", []contacts.KeyRecord{late}, added.Keys)
			for _, k := range []contacts.KeyRecord{lies, late} {
				s.wantKey(t, "FindKey in a disabled account", k)
				wantSame(t, "DisabledAt of the account that FindKey found", noon, s.key(t, k.Hash).Account.DisabledAt)
			}
		},
	},
	{
		"account found",
		findKeyRule + " " + nextFindRule,
		func(t *test, s *store) {
			account, other := newAccount(), newAccount()
			a := account.ID
			k := newKey(a)
			s.add(t, contacts.Directory{Accounts: []contacts.Account{account, other}, Keys: []contacts.KeyRecord{k}})
			want := contacts.AccountRecord{Account: account}
			check := func() {
				t.Helper()
				wantSame(t, "FindAccount", want, s.account(t, a))
				wantSame(t, "the account that FindKey found", want, *s.key(t, k.Hash).Account)
				wantSame(t, "FindAccount of another", contacts.AccountRecord{Account: other}, s.account(t, other.ID))
			}
			check()
			for _, step := range settingSteps {
				want.SettingsVersion++
				want.Settings = step.want
				s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, want.SettingsVersion, step.name, step.value)}})
				check()
			}
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
			want.DisabledAt = noon
			check()
		},
	},
	{
		"settings seen by a second process",
		nextFindRule,
		func(t *test, s *store) {
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			k := s.addKey(t, a)
			for version := range int64(4) {
				writer, reader := both[version%2], both[1-version%2]
				wantSame(t, "SettingsVersion before", version, reader.key(t, k.Hash).Account.SettingsVersion)
				writer.add(t, contacts.Directory{Settings: []contacts.SettingRecord{newSetting(a, version+1, "events", "{}")}})
				for _, s := range both {
					wantSame(t, "SettingsVersion", version+1, s.key(t, k.Hash).Account.SettingsVersion)
				}
			}
		},
	},
	{
		"judged with a mutation",
		judgesRule + " The Service judges when a key expires.",
		func(t *test, s *store) {
			if _, ok := s.Store.(contacts.KeyJudge); !ok {
				return // the Service gives it no key to judge
			}
			a, b := s.tenant(t), s.tenant(t)
			k, foreign, ended := s.addKey(t, a), s.addKey(t, b), newKey(a)
			ended.ExpiresAt = noon.Add(-time.Hour)
			s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{ended}})
			stored := newContact(a)
			s.create(t, stored)
			kinds := map[string]func() contacts.Mutation{
				"create": func() contacts.Mutation { return create(newContact(a)) },
				"change": func() contacts.Mutation { return update(changeOf(stored, nil)) },
				"claim": func() contacts.Mutation {
					m := create(newContact(a))
					m.Claims = []contacts.MatchKey{emailKey("nobody@example.com")}
					return m
				},
				"entry":  func() contacts.Mutation { return journal(a, newEntry(1)) },
				"replay": func() contacts.Mutation { return createOnce(newContact(a), onceAs("key")) },
			}
			s.wantStored(t, by(k, createOnce(newContact(a), onceAs("key"))))
			wantErrors := func(what string, batch contacts.MutationBatch, want ...error) {
				t.Helper()
				got := errorsOf(s.outcomes(t, batch))
				if len(got) != len(want) {
					t.Fatalf("%s: got outcomes %v, want %v", what, got, want)
				}
				for i := range want {
					if want[i] != nil || got[i] != nil {
						wantErr(t, what, got[i], want[i])
					}
				}
			}
			wantRefused := func(what string, k contacts.KeyRecord) {
				t.Helper()
				for kind, mutation := range kinds {
					m := by(k, mutation())
					for _, dry := range []bool{true, false} {
						wantErrors(what+": "+kind, contacts.MutationBatch{Mutations: []contacts.Mutation{m}, Now: noon, DryRun: dry}, contacts.ErrStale)
					}
				}
			}
			wantRefused("with a key of another account", foreign)
			wantRefused("with an unknown key", newKey(a))
			s.wantRefused(t, by(k, create(newContact(newID()))), contacts.ErrNotFound)
			for _, k := range []contacts.KeyRecord{k, ended} {
				s.wantStored(t, by(k, kinds["create"]()))
				s.wantStored(t, by(k, kinds["claim"]()))
				s.wantStored(t, by(k, kinds["entry"]()))
				s.wantReplay(t, by(k, kinds["replay"]()), onceAs("key").Result)
			}
			s.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: noon})
			wantRefused("with a revoked key", k)
			s.wantStored(t, by(ended, kinds["create"]()))
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
			wantRefused("in a disabled account", ended)
			s.wantStored(t, kinds["create"]())
			s.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a})
			s.wantStored(t, by(ended, kinds["create"]()))

			both := []contacts.Mutation{by(ended, kinds["create"]()), by(k, kinds["create"]())}
			wantErrors("all or nothing", contacts.MutationBatch{Mutations: both, Now: noon, AllOrNothing: true}, contacts.ErrBatchFailed, contacts.ErrStale)
			wantErrors("a revoked key beside another", contacts.MutationBatch{Mutations: both, Now: noon}, nil, contacts.ErrStale)
			s.wantContacts(t, both[0].Contacts[0].Record)
		},
	},
	{
		"judged with a mutation in a second process",
		judgesRule + " " + laterReadRule,
		func(t *test, s *store) {
			if _, ok := s.Store.(contacts.KeyJudge); !ok {
				return // the Service gives it no key to judge
			}
			both := []*store{s, s.second(t)}
			a := s.tenant(t)
			for i := range both {
				writer, judge := both[i], both[1-i]
				wantStored := func(k contacts.KeyRecord) {
					t.Helper()
					judge.wantStored(t, by(k, create(newContact(a))))
					judge.wantKey(t, "FindKey", k)
				}
				wantRefused := func(k contacts.KeyRecord) {
					t.Helper()
					for _, all := range []bool{false, true} {
						batch := batchOf(by(k, create(newContact(a))))
						batch.AllOrNothing = all
						wantErr(t, "Apply with a key that another process has ended", judge.only(t.Context(), batch).Err, contacts.ErrStale)
					}
					judge.wantRefused(t, by(k, update(changeOf(newContact(a), nil))), contacts.ErrStale)
					judge.wantRefused(t, by(k, journal(a, newEntry(1))), contacts.ErrStale)
				}
				k, kept := s.addKey(t, a), s.addKey(t, a)
				wantStored(k)
				wantStored(kept)
				writer.updateDirectory(t, contacts.DirectoryUpdate{KeyID: k.ID, At: noon})
				wantRefused(k)
				wantStored(kept)
				writer.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a, At: noon})
				wantRefused(kept)
				writer.updateDirectory(t, contacts.DirectoryUpdate{AccountID: a})
				wantStored(kept)
			}
		},
	},
}

// by returns the mutation as it is made with the key.
func by(k contacts.KeyRecord, m contacts.Mutation) contacts.Mutation {
	m.KeyID = k.ID
	return m
}
