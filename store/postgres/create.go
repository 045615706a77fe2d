package postgres

import (
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// createPlainSQL creates contacts with their look-ups and returns the places of
// those that were refused, and why. Homes are what many contacts have in common:
// an account with a settings version, a team and an API key. In the usual case all
// homes exist and no contact is refused. Then the conditions that count are all that
// is evaluated for a row.
const createPlainSQL = storePlainSQL + refusedPlainSQL

// createRecordedSQL is createPlainSQL for contacts of which some have journal entries.
// Those of one that was refused are not appended. The accounts are locked. So the
// newest numbers of the account_state table are right, and where one is missing there
// is an error, because a number is never NULL. Each is read once, for the first entry of
// its account: it has many old versions while others have a long transaction.
const createRecordedSQL = storePlainSQL + `, appended AS (
		INSERT INTO {schema}.journal (account_id, sequence, kind, head, subject, at, ends_at, data)
		SELECT e.account_id, max(e.newest) OVER (PARTITION BY e.account_id) + e.number, e.kind, e.head, e.subject, e.at, e.ends_at, e.data
		FROM (SELECT n.*, row_number() OVER account AS number, CASE row_number() OVER account WHEN 1 THEN (
				SELECT a.sequence FROM {schema}.account_state AS a WHERE a.account_id = n.account_id) END AS newest
			FROM unnest($34::uuid[], $35::uuid[], $36::smallint[], $37::bigint[], $38::bytea[], $39::bigint[], $40::bigint[], $41::text[]) WITH ORDINALITY
				AS n (account_id, contact_id, kind, head, subject, at, ends_at, data, place)
			WHERE ` + isStoredSQL + `
			WINDOW account AS (PARTITION BY n.account_id ORDER BY n.place)) AS e
		RETURNING account_id, sequence
	), numbered AS (
		UPDATE {schema}.account_state AS a SET sequence = n.newest
		FROM (SELECT account_id, max(sequence) FROM appended GROUP BY account_id LIMIT cardinality($30::uuid[])) AS n (account_id, newest)
		WHERE a.account_id = n.account_id
	)` + refusedPlainSQL

const storePlainSQL = `WITH homes AS (
		SELECT h.home FROM (SELECT * FROM unnest($30::uuid[], $31::bigint[], $32::bigint[], $33::uuid[]) WITH ORDINALITY AS given LIMIT cardinality($30::uuid[]))
			AS h (account_id, settings_version, team_id, key_id, home)
		JOIN {schema}.account AS a ON a.account_id = h.account_id AND a.settings_version = h.settings_version
		WHERE (h.team_id = 0 OR EXISTS (SELECT 1 FROM {schema}.team AS t WHERE t.account_id = h.account_id AND t.id = h.team_id))
			AND (h.key_id IS NULL OR a.disabled_at = 0 AND EXISTS (
				SELECT 1 FROM {schema}.api_key AS k WHERE k.id = h.key_id AND k.account_id = h.account_id AND k.revoked_at = 0))
	), stored AS (
		INSERT INTO {schema}.contact (` + allContactColumns + `)
		SELECT ` + allContactColumns + ` FROM unnest(` + contactArraysGiven + `, $26::bigint[]) AS n (` + allContactColumns + `, home)
		WHERE (SELECT count(*) FROM homes) = cardinality($30::uuid[]) OR n.home IN (SELECT home FROM homes)
		ON CONFLICT (account_id, id) DO NOTHING RETURNING account_id, id
	), found AS (
		INSERT INTO {schema}.contact_lookup (account_id, value, contact_id)
		SELECT n.account_id, n.value, n.contact_id FROM unnest($27::uuid[], $28::uuid[], $29::uuid[]) AS n (account_id, value, contact_id)
		WHERE ` + isStoredSQL + `)`

// isStoredSQL is the condition that the contact of a row is stored.
const isStoredSQL = `(SELECT count(*) FROM stored) = cardinality($1::uuid[])
			OR EXISTS (SELECT 1 FROM stored AS s WHERE s.account_id = n.account_id AND s.id = n.contact_id)`

const refusedPlainSQL = `
	SELECT n.place - 1, a.account_id IS NULL,
		a.settings_version IS DISTINCT FROM ($31::bigint[])[n.home] OR ($33::uuid[])[n.home] IS NOT NULL AND (a.disabled_at <> 0 OR NOT EXISTS (
			SELECT 1 FROM {schema}.api_key AS k WHERE k.id = ($33::uuid[])[n.home] AND k.account_id = n.account_id AND k.revoked_at = 0)),
		c.id IS NOT NULL, n.team_id <> 0 AND t.id IS NULL
	FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[], $16::bigint[], $26::bigint[]) WITH ORDINALITY AS given` + givenRows + `)
		AS n (account_id, id, team_id, home, place)
	LEFT JOIN {schema}.account AS a ON a.account_id = n.account_id
	LEFT JOIN {schema}.contact AS c ON c.account_id = n.account_id AND c.id = n.id
	LEFT JOIN {schema}.team AS t ON t.account_id = n.account_id AND t.id = n.team_id
	WHERE (SELECT count(*) FROM stored) < cardinality($1::uuid[]) AND NOT EXISTS (SELECT 1 FROM stored AS s WHERE s.account_id = n.account_id AND s.id = n.id)`

// A home is what a contact needs to exist before it is created.
type home struct {
	account        uuid.UUID
	settings, team int64
	key            uuid.UUID
}

// createPlain queues the plain creates. Their outcomes are there after the flush.
func (s *Store) createPlain(t *transaction, plain []*mutation) {
	if len(plain) == 0 {
		return
	}
	sql, entries := s.statements.createPlain, plainEntries(plain)
	// In the order of their keys, so that no two transactions wait for each
	// other.
	slices.SortFunc(plain, func(a, b *mutation) int { return a.changes[0].compare(b.changes[0].contactKey) })
	var l lookups
	for _, m := range plain {
		m.stored = true
		l.add(m.changes[0].contactKey, m.changes[0].row.lookups...)
	}
	var homes []home
	number := make(map[home]int64) // from 1
	args := contactArrays(column(plain, func(m *mutation) *contactRow { return m.changes[0].row }))
	args = append(args, column(plain, func(m *mutation) int64 {
		h := home{m.account, m.settings, m.changes[0].row.contact.TeamID, m.key}
		if number[h] == 0 {
			homes = append(homes, h)
			number[h] = int64(len(homes))
		}
		return number[h]
	}))
	args = append(args, l.arrays()...)
	args = append(args,
		column(homes, func(h home) pgtype.UUID { return pgUUID(h.account) }),
		column(homes, func(h home) int64 { return h.settings }),
		column(homes, func(h home) int64 { return h.team }),
		column(homes, func(h home) pgtype.UUID { return pgtype.UUID{Bytes: h.key, Valid: h.key != uuid.Nil} }))
	if len(entries) > 0 {
		sql = s.statements.createRecorded
		args = append(args, entries.accounts(), column(entries, func(r journalRow) pgtype.UUID { return pgUUID(r.contact) }))
		args = append(args, entries.rest()...)
	}
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
	}, sql, args...)
}

// plainEntries returns the journal entries of plain creates, in their order.
func plainEntries(plain []*mutation) (rows journalRows) {
	for _, m := range plain {
		for _, e := range m.journal {
			rows = append(rows, journalRow{account: m.account, contact: m.changes[0].id, JournalEntry: e})
		}
	}
	return rows
}
