package contacts

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// A Permission lets a key do one kind of thing. Hosts may have their own.
type Permission string

// The permissions of the documented calls.
const (
	PermissionReadContacts  Permission = "can_read_contacts"
	PermissionWriteContacts Permission = "can_write_contacts"
)

// An APIKey is what is known of an API key besides its secret, which nobody
// keeps.
type APIKey struct {
	ID          uuid.UUID    `json:"id"`
	AccountID   uuid.UUID    `json:"account_id"`
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
	TeamIDs     []int64      `json:"team_ids,omitempty"` // the teams it may access, besides those that AllTeams gives
	AllTeams    bool         `json:"all_teams"`          // every team of the account, later ones too
	CreatedAt   time.Time    `json:"created_at"`
	ExpiresAt   time.Time    `json:"expires_at,omitzero"` // zero: never
	RevokedAt   time.Time    `json:"revoked_at,omitzero"` // zero: not revoked
}

// A Principal is who a call acts for: what an [Authenticator] makes of a key.
type Principal struct {
	AccountID   uuid.UUID
	KeyID       uuid.UUID // zero where the host's authenticator has none
	Permissions []Permission
	TeamIDs     []int64 // the teams it may access, besides those that AllTeams gives
	AllTeams    bool    // every team of the account
}

// Can reports whether the principal has the permission.
func (p *Principal) Can(perm Permission) bool { return slices.Contains(p.Permissions, perm) }

// CanAccessTeam reports whether the principal may access the team. Everybody in
// the account may access what is in no team, id 0.
func (p *Principal) CanAccessTeam(id int64) bool {
	return id == 0 || p.AllTeams || slices.Contains(p.TeamIDs, id)
}
