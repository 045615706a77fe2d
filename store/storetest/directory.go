package storetest

import (
	"math"
	"slices"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	addRule           = "AddToDirectory stores all records of add in one atomic step and returns them as stored, in the order given."
	teamIDRule        = "A team with ID 0 gets the lowest id above every team that its account has then, starting at 1."
	noTeamIDRule      = "Where no id is above, the call is a fault."
	existsRule        = "ErrExists: an account id, a team id within its account, a key id or a key hash is taken, or a setting has another version than the next one."
	listDirectoryRule = "ListDirectory returns the records of one kind in ascending order of id, settings in ascending order of version."
	directoryPageRule = "The page starts after the query's position and has at most Limit records."
)

var directoryCases = []testCase{
	{
		"one of each",
		addRule,
		func(t *test, s *store) {
			a := newAccount()
			want := contacts.Directory{
				Accounts: []contacts.Account{a},
				Teams:    []contacts.Team{newTeam(a.ID, 3)},
				Keys:     []contacts.KeyRecord{newKey(a.ID)},
				Settings: []contacts.SettingRecord{newSetting(a.ID, 1, "events", `{"on": true}`)},
			}
			for _, add := range []contacts.Directory{{Accounts: want.Accounts}, {Teams: want.Teams}, {Keys: want.Keys}, {Settings: want.Settings}} {
				wantSame(t, "AddToDirectory", add, s.add(t, add))
			}
			wantSame(t, "ListDirectory", want, s.directory(t))
		},
	},
	{
		"stored as given",
		addRule + " Every field is kept as given.",
		func(t *test, s *store) {
			a, disabled := newAccount(), newAccount()
			disabled.DisabledAt = noon
			revoked, bare := newKey(a.ID), newKey(a.ID)
			revoked.RevokedAt = noon
			bare.APIKey = contacts.APIKey{ID: bare.ID, AccountID: a.ID}
			first := newSetting(a.ID, 1, "events", `{"on": true}`)
			first.Actor = contacts.Actor{}
			want := contacts.Directory{
				Accounts: []contacts.Account{a, disabled},
				Teams:    []contacts.Team{newTeam(a.ID, 3), newTeam(a.ID, 1<<62)},
				Keys:     []contacts.KeyRecord{revoked, bare},
				Settings: []contacts.SettingRecord{first, newSetting(a.ID, 2, "duplicates", "[]")},
			}
			wantSame(t, "AddToDirectory", want, s.add(t, want))
			wantSame(t, "ListDirectory", want, s.directory(t))
		},
	},
	{
		"assigned team ids",
		teamIDRule,
		func(t *test, s *store) {
			a, b := s.tenant(t), s.tenant(t, 40)
			for _, step := range []struct {
				account   uuid.UUID
				ids, want []int64
			}{
				{a, []int64{0}, []int64{1}},
				{a, []int64{0, 0}, []int64{2, 3}},
				{a, []int64{1 << 53, 0}, []int64{1 << 53, 1<<53 + 1}},
				{a, []int64{7}, []int64{7}},
				{a, []int64{0}, []int64{1<<53 + 2}},
				{b, []int64{0}, []int64{41}},
			} {
				var add contacts.Directory
				for _, id := range step.ids {
					add.Teams = append(add.Teams, newTeam(step.account, id))
				}
				var got []int64
				for _, team := range s.add(t, add).Teams {
					got = append(got, team.ID)
				}
				wantSame(t, "ids that AddToDirectory returned", step.want, got)
				for _, id := range step.want {
					if !s.hasTeam(t, step.account, id) {
						t.Errorf("ListDirectory: no team %d", id)
					}
				}
			}
		},
	},
	{
		"no team id left",
		noTeamIDRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 7, math.MaxInt64), s.tenant(t)
			before := s.directory(t)
			for name, add := range map[string][]contacts.Team{
				"after the highest id":             {newTeam(a, 0)},
				"beside a team that has an id":     {newTeam(a, 8), newTeam(a, 0)},
				"in the call with the highest id":  {newTeam(b, math.MaxInt64), newTeam(b, 0)},
				"beside a team of another account": {newTeam(b, 0), newTeam(a, 0)},
			} {
				_, err := s.AddToDirectory(t.Context(), contacts.Directory{Teams: add})
				wantFault(t, "AddToDirectory of a team "+name, err)
				wantSame(t, "the directory after a team "+name, before, s.directory(t))
			}
			s.add(t, contacts.Directory{Teams: []contacts.Team{newTeam(a, 8), newTeam(b, 0)}})
		},
	},
	{
		"atomic",
		addRule,
		func(t *test, s *store) {
			a := s.tenant(t, 1)
			taken := s.addKey(t, a)
			before := s.directory(t)

			fresh := newAccount()
			good := contacts.Directory{
				Accounts: []contacts.Account{fresh},
				Teams:    []contacts.Team{newTeam(fresh.ID, 5), newTeam(a, 2)},
				Keys:     []contacts.KeyRecord{newKey(fresh.ID), newKey(a)},
			}
			good.Settings = []contacts.SettingRecord{newSetting(fresh.ID, 1, "events", "{}"), newSetting(a, 1, "events", "{}")}
			badAccount, badTeam, badKey, badSetting := good, good, good, good
			badAccount.Accounts = append(slices.Clip(good.Accounts), before.Accounts[0])
			badTeam.Teams = append(slices.Clip(good.Teams), newTeam(newID(), 1))
			sameHash := newKey(a)
			sameHash.Hash = taken.Hash
			badKey.Keys = append(slices.Clip(good.Keys), sameHash)
			badSetting.Settings = append(slices.Clip(good.Settings), newSetting(a, 3, "events", "{}"))
			for name, bad := range map[string]contacts.Directory{"account": badAccount, "team": badTeam, "key": badKey, "setting": badSetting} {
				if _, err := s.AddToDirectory(t.Context(), bad); err == nil {
					t.Errorf("AddToDirectory with a bad %s: no error", name)
				}
				wantSame(t, "the directory after a bad "+name, before, s.directory(t))
			}
			// Nothing of the good records is in the way either.
			s.add(t, good)
		},
	},
	{
		"records refer to each other",
		"Records of one call may refer to each other.",
		func(t *test, s *store) {
			a := newAccount()
			got := s.add(t, contacts.Directory{
				Accounts: []contacts.Account{a},
				Teams:    []contacts.Team{newTeam(a.ID, 0), newTeam(a.ID, 0)},
				Keys:     []contacts.KeyRecord{newKey(a.ID)},
				Settings: []contacts.SettingRecord{newSetting(a.ID, 1, "events", "{}"), newSetting(a.ID, 2, "events", "")},
			})
			wantSame(t, "ListDirectory", got, s.directory(t))
		},
	},
	{
		"team ids per account",
		"Team ids are scoped to their account.",
		func(t *test, s *store) {
			a, b := s.tenant(t, 7), s.tenant(t)
			team := newTeam(b, 7)
			team.Name = "Support"
			s.add(t, contacts.Directory{Teams: []contacts.Team{team}})
			for account, name := range map[uuid.UUID]string{a: "Sales", b: "Support"} {
				teams := s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: account, Limit: 9}).Teams
				if len(teams) != 1 {
					t.Fatalf("ListDirectory: got %d teams, want 1", len(teams))
				}
				wantSame(t, "name of the team", name, teams[0].Name)
			}
		},
	},
	{
		"nothing added",
		addRule,
		func(t *test, s *store) {
			got := s.add(t, contacts.Directory{Accounts: []contacts.Account{}, Teams: []contacts.Team{}, Keys: []contacts.KeyRecord{}, Settings: []contacts.SettingRecord{}})
			wantSame(t, "AddToDirectory", contacts.Directory{}, got)
			wantSame(t, "ListDirectory", contacts.Directory{}, s.directory(t))
		},
	},
	{
		"exists",
		existsRule,
		func(t *test, s *store) {
			a, b := s.tenant(t, 7), s.tenant(t)
			k := s.addKey(t, a)
			account, fresh := newAccount(), newAccount()
			account.ID = a
			sameID, sameHash, freshKey := newKey(b), newKey(b), newKey(b)
			sameID.ID = k.ID
			sameHash.Hash = k.Hash
			twiceID, twiceHash := newKey(a), newKey(a)
			twiceID.ID = freshKey.ID
			twiceHash.Hash = freshKey.Hash
			before := s.directory(t)
			for name, add := range map[string]contacts.Directory{
				"account id":             {Accounts: []contacts.Account{account}},
				"account id in one call": {Accounts: []contacts.Account{fresh, fresh}},
				"team id":                {Teams: []contacts.Team{newTeam(a, 7)}},
				"team id in one call":    {Teams: []contacts.Team{newTeam(a, 8), newTeam(a, 8)}},
				"key id":                 {Keys: []contacts.KeyRecord{sameID}},
				"key id in one call":     {Keys: []contacts.KeyRecord{freshKey, twiceID}},
				"key hash":               {Keys: []contacts.KeyRecord{sameHash}},
				"key hash in one call":   {Keys: []contacts.KeyRecord{freshKey, twiceHash}},
			} {
				_, err := s.AddToDirectory(t.Context(), add)
				wantErr(t, "AddToDirectory of a taken "+name, err, contacts.ErrExists)
			}
			wantSame(t, "the directory afterwards", before, s.directory(t))
		},
	},
	{
		"account unknown",
		"ErrNotFound: the account of a team, a key or a setting does not exist.",
		func(t *test, s *store) {
			s.tenant(t, 7)
			for name, add := range map[string]contacts.Directory{
				"team":                      {Teams: []contacts.Team{newTeam(newID(), 7)}},
				"team whose id is assigned": {Teams: []contacts.Team{newTeam(newID(), 0)}},
				"key":                       {Keys: []contacts.KeyRecord{newKey(newID())}},
				"setting":                   {Settings: []contacts.SettingRecord{newSetting(newID(), 1, "events", "{}")}},
			} {
				_, err := s.AddToDirectory(t.Context(), add)
				wantErr(t, "AddToDirectory of a "+name, err, contacts.ErrNotFound)
			}
		},
	},
	{
		"list order",
		listDirectoryRule,
		func(t *test, s *store) {
			want := s.addMany(t)
			for kind, only := range map[contacts.DirectoryKind]contacts.Directory{
				contacts.DirectoryAccounts: {Accounts: want.Accounts},
				contacts.DirectoryTeams:    {Teams: want.Teams},
				contacts.DirectoryKeys:     {Keys: want.Keys},
				contacts.DirectorySettings: {Settings: want.Settings},
			} {
				q := contacts.DirectoryQuery{Kind: kind, AccountID: want.Teams[0].AccountID, Limit: 100}
				wantSame(t, "ListDirectory", only, s.list(t, q))
			}
		},
	},
	{
		"list pages",
		directoryPageRule,
		func(t *test, s *store) {
			want := s.addMany(t)
			var got contacts.Directory
			for _, kind := range []contacts.DirectoryKind{contacts.DirectoryAccounts, contacts.DirectoryTeams, contacts.DirectoryKeys, contacts.DirectorySettings} {
				q := contacts.DirectoryQuery{Kind: kind, AccountID: want.Teams[0].AccountID, Limit: 2}
				var sizes []int
				for len(sizes) < 4 { // 5 records, so 3 pages and an empty one
					d := s.list(t, q)
					sizes = append(sizes, len(d.Accounts)+len(d.Teams)+len(d.Keys)+len(d.Settings))
					for _, a := range d.Accounts {
						q.After = a.ID
					}
					for _, team := range d.Teams {
						q.AfterTeam = team.ID
					}
					for _, k := range d.Keys {
						q.After = k.ID
					}
					got.Accounts = append(got.Accounts, d.Accounts...)
					got.Teams = append(got.Teams, d.Teams...)
					for _, setting := range d.Settings {
						q.AfterVersion = setting.Version
					}
					got.Keys = append(got.Keys, d.Keys...)
					got.Settings = append(got.Settings, d.Settings...)
				}
				wantSame(t, "sizes of the pages", []int{2, 2, 1, 0}, sizes)
			}
			wantSame(t, "all pages", want, got)

			// The position need not be that of a record.
			account := want.Teams[0].AccountID
			wantSame(t, "accounts from between two", want.Accounts[2:],
				s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, After: idAt(0x50), Limit: math.MaxInt}).Accounts)
			wantSame(t, "teams from between two", want.Teams[2:],
				s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: account, AfterTeam: 5, Limit: math.MaxInt}).Teams)
			wantSame(t, "keys from between two", want.Keys[2:],
				s.list(t, contacts.DirectoryQuery{Kind: contacts.DirectoryKeys, AccountID: account, After: idAt(0x50), Limit: math.MaxInt}).Keys)
		},
	},
	{
		"list scope",
		"Accounts are listed across the store; teams, keys and settings within q.AccountID. An account that does not exist has none.",
		func(t *test, s *store) {
			a, b := s.tenant(t, 1, 2), s.tenant(t, 2, 3)
			ka, kb := s.addKey(t, a), s.addKey(t, b)
			sa, sb := newSetting(a, 1, "events", "1"), newSetting(b, 1, "events", "2")
			s.add(t, contacts.Directory{Settings: []contacts.SettingRecord{sa, sb}})
			for account, want := range map[uuid.UUID]contacts.Directory{
				a: {Teams: []contacts.Team{newTeam(a, 1), newTeam(a, 2)}, Keys: []contacts.KeyRecord{ka}, Settings: []contacts.SettingRecord{sa}},
				b: {Teams: []contacts.Team{newTeam(b, 2), newTeam(b, 3)}, Keys: []contacts.KeyRecord{kb}, Settings: []contacts.SettingRecord{sb}},
			} {
				for kind, only := range map[contacts.DirectoryKind]contacts.Directory{
					contacts.DirectoryTeams: {Teams: want.Teams}, contacts.DirectoryKeys: {Keys: want.Keys}, contacts.DirectorySettings: {Settings: want.Settings},
				} {
					wantSame(t, "ListDirectory of an account", only, s.list(t, contacts.DirectoryQuery{Kind: kind, AccountID: account, Limit: 9}))
				}
			}
			q := contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, AccountID: a, Limit: 100}
			if got := s.list(t, q).Accounts; len(got) != 2 {
				t.Errorf("ListDirectory returned %d accounts of 2", len(got))
			}
			for _, kind := range []contacts.DirectoryKind{contacts.DirectoryTeams, contacts.DirectoryKeys, contacts.DirectorySettings} {
				q := contacts.DirectoryQuery{Kind: kind, AccountID: newID(), Limit: 100}
				wantSame(t, "ListDirectory of an unknown account", contacts.Directory{}, s.list(t, q))
			}
		},
	},
}

// addMany adds five accounts, and to the middle one five teams, five keys and
// five settings. All but the settings are added in no order. It returns them in
// order.
func (s *store) addMany(t *test) contacts.Directory {
	t.Helper()
	firstBytes := []byte{0x01, 0x40, 0x7f, 0x80, 0xfe} // both sides of a sign bit
	teamIDs := []int64{2, 3, 20, 100, 1 << 40}         // not the order of text
	var d contacts.Directory
	for i, first := range firstBytes {
		a := newAccount()
		a.ID = idAt(first)
		d.Accounts = append(d.Accounts, a)
		team := newTeam(uuid.Nil, teamIDs[i])
		d.Teams = append(d.Teams, team)
		k := newKey(uuid.Nil)
		k.ID = idAt(first)
		d.Keys = append(d.Keys, k)
	}
	for i := range firstBytes {
		d.Teams[i].AccountID = d.Accounts[2].ID
		d.Keys[i].AccountID = d.Accounts[2].ID
	}
	for i := range firstBytes {
		d.Settings = append(d.Settings, newSetting(d.Accounts[2].ID, int64(i+1), "events", "{}"))
	}
	order := []int{3, 0, 4, 2, 1}
	var once contacts.Directory
	for _, i := range order {
		once.Accounts = append(once.Accounts, d.Accounts[i])
		once.Teams = append(once.Teams, d.Teams[i])
		once.Keys = append(once.Keys, d.Keys[i])
	}
	once.Settings = d.Settings
	wantSame(t, "AddToDirectory", once, s.add(t, once))
	return d
}
