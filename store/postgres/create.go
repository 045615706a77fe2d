package postgres

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

// createPlainSQL creates contacts with their look-ups and returns the places of
// those that were refused, and why. In the usual case none is, and the conditions
// that ask how many were stored are false for every row after it.
const createPlainSQL = `WITH stored AS (
		INSERT INTO {schema}.contact (` + allContactColumns + `)
		SELECT ` + allContactColumns + ` FROM (SELECT * FROM unnest(` + contactArraysGiven + `, $25::bigint[]) AS given` + givenRows + `) AS n (` + allContactColumns + `, settings_version)
		WHERE EXISTS (SELECT 1 FROM {schema}.account AS a WHERE a.account_id = n.account_id AND a.settings_version = n.settings_version)
			AND (n.team_id = 0 OR EXISTS (SELECT 1 FROM {schema}.team AS t WHERE t.account_id = n.account_id AND t.id = n.team_id))
		ON CONFLICT (account_id, id) DO NOTHING RETURNING account_id, id
	), found AS (
		INSERT INTO {schema}.contact_lookup (account_id, value, contact_id)
		SELECT n.account_id, n.value, n.contact_id FROM unnest($26::uuid[], $27::uuid[], $28::uuid[]) AS n (account_id, value, contact_id)
		WHERE (SELECT count(*) FROM stored) = cardinality($1) OR (n.account_id, n.contact_id) IN (SELECT account_id, id FROM stored)
	)
	SELECT n.place - 1, a.account_id IS NULL, a.settings_version IS DISTINCT FROM n.settings_version, c.id IS NOT NULL, n.team_id <> 0 AND t.id IS NULL
	FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[], $15::bigint[], $25::bigint[]) WITH ORDINALITY AS given` + givenRows + `)
		AS n (account_id, id, team_id, settings_version, place)
	LEFT JOIN {schema}.account AS a ON a.account_id = n.account_id
	LEFT JOIN {schema}.contact AS c ON c.account_id = n.account_id AND c.id = n.id
	LEFT JOIN {schema}.team AS t ON t.account_id = n.account_id AND t.id = n.team_id
	WHERE (SELECT count(*) FROM stored) < cardinality($1) AND (n.account_id, n.id) NOT IN (SELECT account_id, id FROM stored)`

// createPlain queues the plain creates. Their outcomes are there after the flush.
func (s *Store) createPlain(t *transaction, plain []*mutation) {
	if len(plain) == 0 {
		return
	}
	// In the order of their keys, so that no two transactions wait for each
	// other.
	slices.SortFunc(plain, func(a, b *mutation) int { return a.changes[0].compare(b.changes[0].contactKey) })
	var l lookups
	for _, m := range plain {
		m.stored = true
		l.add(m.changes[0].contactKey, m.changes[0].row.lookups...)
	}
	args := contactArrays(column(plain, func(m *mutation) *contactRow { return m.changes[0].row }))
	args = append(args, column(plain, func(m *mutation) int64 { return m.settings }))
	args = append(args, l.arrays()...)
	t.query(func(rows pgx.Rows) error {
		var place int
		var noAccount, stale, taken, noTeam bool
		if err := rows.Scan(&place, &noAccount, &stale, &taken, &noTeam); err != nil {
			return err
		}
		m := plain[place]
		m.stored = false
		switch {
		case noAccount:
			m.outcome.Err = contacts.ErrNotFound
		case stale:
			m.outcome.Err = contacts.ErrStale
		case noTeam && !taken:
			m.outcome.Err = contacts.ErrTeamNotFound
		default: // also where another transaction has stored the id just now
			m.outcome.Err = contacts.ErrExists
		}
		return nil
	}, s.statements.createPlain, args...)
}
