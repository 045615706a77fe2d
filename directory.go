package contacts

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// An Account is a tenant: it owns teams, keys and contacts, and sees those of no
// other account.
type Account struct {
	ID         uuid.UUID `json:"id"`
	Name       string    `json:"name"`
	CreatedAt  time.Time `json:"created_at"`
	DisabledAt time.Time `json:"disabled_at,omitzero"` // zero: enabled
}

// A Team is a part of an account. A contact in a team is visible to the keys
// that may access the team.
type Team struct {
	AccountID uuid.UUID `json:"account_id"`
	ID        int64     `json:"id"` // unique within the account; 0 in [Admin.CreateTeam]: assigned
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// A Directory is a set of the records that a host sets up.
type Directory struct {
	Accounts []Account
	Teams    []Team
	Keys     []KeyRecord
	Settings []SettingRecord
}

// Clone returns a copy that shares nothing with d, for stores that keep or return
// records. Its keys have no Account. Safe for concurrent use.
func (d Directory) Clone() Directory {
	d.Accounts, d.Teams, d.Settings = slices.Clone(d.Accounts), slices.Clone(d.Teams), slices.Clone(d.Settings)
	d.Keys = slices.Clone(d.Keys)
	for i := range d.Keys {
		k := &d.Keys[i]
		k.Account = nil
		k.Permissions, k.TeamIDs = slices.Clone(k.Permissions), slices.Clone(k.TeamIDs)
	}
	return d
}

// A DirectoryKind says which records of the directory a query lists.
type DirectoryKind int

// The kinds of records in a directory.
const (
	DirectoryAccounts DirectoryKind = iota + 1
	DirectoryTeams
	DirectoryKeys
	DirectorySettings
)

// A DirectoryQuery asks for one page of the directory.
type DirectoryQuery struct {
	Kind         DirectoryKind
	AccountID    uuid.UUID // for teams, keys and settings
	After        uuid.UUID // the page starts after this account or key
	AfterTeam    int64     // the page starts after this team
	AfterVersion int64     // the page starts after this setting
	Limit        int       // at least 1
}

// A DirectoryUpdate names one account or one key: the id that is set.
type DirectoryUpdate struct {
	KeyID     uuid.UUID
	AccountID uuid.UUID
	At        time.Time // zero, for an account only: enable it again
}

// A KeyRecord is an API key as a store keeps it.
type KeyRecord struct {
	APIKey
	Hash [32]byte // SHA-256 of the whole key, which is stored nowhere

	// Account is the key's account. FindKey sets it. It is nil in every other
	// result, and ignored in AddToDirectory.
	Account *AccountRecord
}

// An AccountRecord is an account with its settings.
type AccountRecord struct {
	Account
	SettingsVersion int64             // 0: no setting was ever stored
	Settings        map[string]string // the newest value of each name, JSON; nil where there are none
}

// A SettingRecord is one value of a named setting. An account keeps all of them,
// so that a reader can see who changed what and when.
type SettingRecord struct {
	AccountID uuid.UUID
	Version   int64 // counts all settings of the account, from 1
	Name      string
	Value     string // JSON, kept byte for byte; "": the setting is gone
	At        time.Time
	Actor     Actor
}
