package postgres

import (
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// holdersSQL returns the contacts that hold the given values: of each at most $3
// live ones in ascending order, and at most $4 deleted ones in descending order.
const holdersSQL = `SELECT n.account_id, n.value, h.contact_id, h.team_id, h.deleted
	FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS given` + givenRows + `) AS n (account_id, value)
	CROSS JOIN LATERAL (
		(SELECT l.contact_id, c.team_id, false AS deleted FROM {schema}.contact_lookup AS l
			JOIN {schema}.contact AS c ON c.account_id = l.account_id AND c.id = l.contact_id
			WHERE l.account_id = {account} AND l.value = n.value AND c.deleted_at = 0 ORDER BY l.contact_id LIMIT $3)
		UNION ALL
		(SELECT l.contact_id, c.team_id, true FROM {schema}.contact_lookup AS l
			JOIN {schema}.contact AS c ON c.account_id = l.account_id AND c.id = l.contact_id
			WHERE l.account_id = {account} AND l.value = n.value AND c.deleted_at <> 0 ORDER BY l.contact_id DESC LIMIT $4)
	) AS h`

// A claim is a match key that a mutation claims.
type claim struct{ account, value uuid.UUID }

// A claimState is who holds a claimed match key in the transaction.
type claimState struct {
	holders []contacts.Holder // as the tables have them
	changed []uuid.UUID       // contacts to which mutations gave the key; they may have lost it since
}

// hold notes that mutations gave the contact these values.
func (j *judge) hold(k contactKey, values []uuid.UUID) {
	if len(j.claims) == 0 {
		return
	}
	for _, v := range values {
		if st := j.claims[claim{k.account, v}]; st != nil && !slices.Contains(st.changed, k.id) {
			st.changed = append(st.changed, k.id)
		}
	}
}

// readClaims queues the reading of who holds the claims. It asks for so many that
// enough are left without the contacts that mutations are about.
func (j *judge) readClaims(t *transaction, s *statements) {
	if len(j.claims) == 0 {
		return
	}
	claims := slices.Collect(maps.Keys(j.claims))
	moved := len(j.contacts)
	t.query(func(rows pgx.Rows) error {
		var k claim
		var h contacts.Holder
		err := rows.Scan((*[16]byte)(&k.account), (*[16]byte)(&k.value), (*[16]byte)(&h.ContactID), &h.TeamID, &h.Deleted)
		st := j.claims[k]
		st.holders = append(st.holders, h)
		return err
	}, s.holders,
		column(claims, func(k claim) pgtype.UUID { return pgUUID(k.account) }),
		column(claims, func(k claim) pgtype.UUID { return pgUUID(k.value) }),
		contacts.MaxHolders+moved, 1+moved)
}

// holders returns the live contacts outside the mutation that hold its claims, and
// the newest deleted one.
func (j *judge) holders(m *mutation) (live, twin []contacts.Holder) {
	for i, value := range m.claims {
		st := j.claims[claim{m.account, value}]
		var of []contacts.Holder
		add := func(h contacts.Holder) {
			h.Key = i
			switch {
			case m.owns(h.ContactID):
			case !h.Deleted:
				of = append(of, h)
			case twin == nil || compareIDs(h.ContactID, twin[0].ContactID) > 0:
				twin = []contacts.Holder{h}
			}
		}
		for _, h := range st.holders {
			if c := j.contacts[contactKey{m.account, h.ContactID}]; c == nil || !c.changed {
				add(h)
			}
		}
		for _, id := range st.changed {
			if row := j.contacts[contactKey{m.account, id}].row; row != nil && slices.Contains(row.lookups, value) {
				add(contacts.Holder{ContactID: id, TeamID: row.contact.TeamID, Deleted: row.deleted()})
			}
		}
		slices.SortFunc(of, func(a, b contacts.Holder) int { return compareIDs(a.ContactID, b.ContactID) })
		live = append(live, of[:min(len(of), contacts.MaxHolders)]...)
	}
	return live, twin
}
