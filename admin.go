package contacts

import (
	"time"

	"github.com/google/uuid"
)

// An Account is a tenant: it owns teams, keys and contacts, and sees nobody
// else's.
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
