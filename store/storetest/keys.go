package storetest

import (
	"testing"
	"time"

	"example.com/contacts"
)

var keyCases = []testCase{
	{
		"found",
		"FindKey returns the key with that hash, and whether its account is disabled.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			// Hashes that differ in one bit, and one with many zero bytes.
			keys := []contacts.KeyRecord{newKey(a), newKey(a), newKey(a), newKey(a)}
			keys[1].Hash = keys[0].Hash
			keys[1].Hash[0] ^= 0x80
			keys[2].Hash = keys[0].Hash
			keys[2].Hash[31] ^= 1
			keys[3].Hash = [32]byte{31: 7}
			s.add(t, contacts.Directory{Keys: keys})
			for _, k := range keys {
				wantSame(t, "FindKey", k, s.key(t, k.Hash))
			}
			s.deactivate(t, contacts.Deactivation{AccountID: a, At: noon})
			for _, k := range keys {
				k.AccountDisabledAt = noon
				wantSame(t, "FindKey in a disabled account", k, s.key(t, k.Hash))
			}
		},
	},
	{
		"key unknown",
		"ErrNotFound: there is no such key.",
		func(t *testing.T, s *store) {
			k := s.addKey(t, s.tenant(t))
			k.Hash[5]++
			for _, hash := range [][32]byte{k.Hash, {}} {
				_, err := s.FindKey(t.Context(), hash)
				wantErr(t, "FindKey", err, contacts.ErrNotFound)
			}
		},
	},
	{
		"inactive keys are found",
		"It does not judge: revoked and expired keys are found too.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			revoked, expired := newKey(a), newKey(a)
			revoked.RevokedAt = noon
			expired.ExpiresAt = noon.AddDate(-20, 0, 0)
			s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{revoked, expired}})
			wantSame(t, "FindKey of a revoked key", revoked, s.key(t, revoked.Hash))
			wantSame(t, "FindKey of an expired key", expired, s.key(t, expired.Hash))
		},
	},
	{
		"revoke",
		"Deactivate revokes a key or disables an account, or enables an account again.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			k, other := s.addKey(t, a), s.addKey(t, a)
			s.key(t, k.Hash) // a store may not remember it
			s.deactivate(t, contacts.Deactivation{KeyID: k.ID, At: noon})
			k.RevokedAt = noon
			wantSame(t, "FindKey of the revoked key", k, s.key(t, k.Hash))
			wantSame(t, "FindKey of another key", other, s.key(t, other.Hash))
			wantSame(t, "ListDirectory", []contacts.KeyRecord{k, other},
				s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: a, Limit: 9}).Keys)
		},
	},
	{
		"disable and enable",
		"Deactivate revokes a key or disables an account, or enables an account again.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			// Disabled, enabled, enabled already, disabled anew.
			for _, at := range []time.Time{noon, {}, {}, noon.Add(time.Hour)} {
				s.deactivate(t, contacts.Deactivation{AccountID: a, At: at})
				k.AccountDisabledAt = at
				wantSame(t, "FindKey", k, s.key(t, k.Hash))
				d := s.directory(t)
				wantSame(t, "DisabledAt of the account", at, d.Accounts[0].DisabledAt)
				wantSame(t, "ListDirectory of keys", []contacts.KeyRecord{k}, d.Keys)
			}
		},
	},
	{
		"the first time stays",
		"A key that is revoked already keeps its first time, and so does an account that is disabled; both are no error.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			for _, at := range []time.Time{noon, noon.Add(time.Hour), noon.Add(-time.Hour)} {
				s.deactivate(t, contacts.Deactivation{KeyID: k.ID, At: at})
				s.deactivate(t, contacts.Deactivation{AccountID: a, At: at})
			}
			k.RevokedAt, k.AccountDisabledAt = noon, noon
			wantSame(t, "FindKey", k, s.key(t, k.Hash))
			wantSame(t, "DisabledAt of the account", noon, s.directory(t).Accounts[0].DisabledAt)
		},
	},
	{
		"deactivate the unknown",
		"ErrNotFound: there is no such key or account.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			k := s.addKey(t, a)
			for name, d := range map[string]contacts.Deactivation{
				"key":                     {KeyID: newID(), At: noon},
				"account":                 {AccountID: newID(), At: noon},
				"account, to enable it":   {AccountID: newID()},
				"key by the account's id": {KeyID: a, At: noon},
				"account by the key's id": {AccountID: k.ID, At: noon},
			} {
				wantErr(t, "Deactivate of an unknown "+name, s.Deactivate(t.Context(), d), contacts.ErrNotFound)
			}
			wantSame(t, "FindKey afterwards", k, s.key(t, k.Hash))
		},
	},
	{
		"disabled is the account's state",
		"The change holds for the next FindKey in every process on the same store.",
		func(t *testing.T, s *store) {
			a := s.tenant(t)
			lies := newKey(a)
			lies.AccountDisabledAt = noon // not for the key to say
			added := s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{lies}})
			lies.AccountDisabledAt = time.Time{}
			wantSame(t, "AddToDirectory", []contacts.KeyRecord{lies}, added.Keys)
			wantSame(t, "FindKey", lies, s.key(t, lies.Hash))

			s.deactivate(t, contacts.Deactivation{AccountID: a, At: noon})
			late := newKey(a) // a key that is added afterwards is no way round it
			added = s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{late}})
			late.AccountDisabledAt = noon
			wantSame(t, "AddToDirectory to a disabled account", []contacts.KeyRecord{late}, added.Keys)
			wantSame(t, "FindKey in a disabled account", late, s.key(t, late.Hash))
		},
	},
}
