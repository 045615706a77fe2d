package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// A listing walks the contacts of an account in the order of their ids: all of
// them, the deleted ones, or those that contact_lookup has under a value, where
// the query names a phone number, an e-mail address or a tag. Whatever else it
// asks for is a condition on the row. Each statement holds the conditions that
// its query has and no others, so that the server can plan for them.

// ListContacts implements [contacts.Store]. The count is made at another moment
// than the page.
func (s *Store) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	const op = "postgres: list contacts: %w"
	if err := s.gate.Enter(); err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	var list contacts.ContactList
	err := s.read(ctx, func() (err error) {
		list, err = s.listContacts(ctx, &q)
		return err
	})
	if err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, classify(ctx, err))
	}
	return list, nil
}

func (s *Store) listContacts(ctx context.Context, q *contacts.ContactQuery) (list contacts.ContactList, err error) {
	if q.Shared != "" {
		return s.listGroups(ctx, q)
	}
	page := pageQuery(q)
	if list, err = s.queryContacts(ctx, q.AccountID, s.sql(page.text.String()), page.args...); err != nil || !q.Count {
		return list, err
	}
	n := len(list.Records)
	if q.After == uuid.Nil && n < q.Limit && (n > 0 || q.Skip == 0) {
		list.Count = q.Skip + n // it is the last page
		return list, nil
	}
	count := countQuery(q)
	return list, s.query(ctx, q.AccountID, func(rows pgx.Rows) error { return rows.Scan(&list.Count) }, s.sql(count.text.String()), count.args...)
}

func pageQuery(q *contacts.ContactQuery) *queryBuilder {
	var b queryBuilder
	b.add(`SELECT c.id, ` + contactColumns)
	order := addSource(&b, q)
	if q.After != uuid.Nil {
		b.add(" AND "+order+" < ?", pgUUID(q.After))
	}
	b.add(" ORDER BY "+order+" DESC LIMIT ?", int64(q.Limit))
	if q.Skip > 0 {
		b.add(" OFFSET ?", int64(q.Skip))
	}
	return &b
}

func countQuery(q *contacts.ContactQuery) *queryBuilder {
	var b queryBuilder
	b.add("SELECT count(*)")
	addSource(&b, q)
	return &b
}

// addSource adds where the contacts come from, and the query's conditions. It
// returns the column of their ids that is in order.
func addSource(b *queryBuilder, q *contacts.ContactQuery) (order string) {
	account := pgUUID(q.AccountID)
	by := lookupValues(q)
	order = "l.contact_id"
	switch {
	case by != nil:
		b.add(` FROM {schema}.contact_lookup AS l JOIN {schema}.contact AS c ON c.account_id = l.account_id AND c.id = l.contact_id
			WHERE l.account_id = ? AND l.value = ?`, account, by[0])
		addLookups(b, by[1:])
		addMatchKeys(b, q)
	case q.MatchKeys != nil:
		b.add(` FROM (SELECT DISTINCT contact_id FROM {schema}.contact_lookup WHERE account_id = ? AND value = ANY(?)) AS l
			JOIN {schema}.contact AS c ON c.account_id = ? AND c.id = l.contact_id WHERE true`, account, matchKeyValues(q), account)
	default:
		order = "c.id"
		b.add(" FROM {schema}.contact AS c WHERE c.account_id = ?", account)
	}
	addConditions(b, q)
	return order
}

// lookupValues returns the values that contact_lookup must all have of a contact.
func lookupValues(q *contacts.ContactQuery) (by []pgtype.UUID) {
	if q.PhoneNumber != "" {
		by = append(by, pgUUID(byPhone.value(q.PhoneNumber)))
	}
	if q.Email != "" {
		by = append(by, pgUUID(byEmail.value(contacts.MatchEmail(q.Email))))
	}
	if q.ExternalID != "" {
		by = append(by, pgUUID(byID.value(q.ExternalID)))
	}
	if q.Tag != "" {
		by = append(by, pgUUID(byTag.value(q.Tag)))
	}
	return by
}

// matchKeyValues returns the values of which contact_lookup must have one.
func matchKeyValues(q *contacts.ContactQuery) []pgtype.UUID {
	return column(q.MatchKeys, func(k contacts.MatchKey) pgtype.UUID { return pgUUID(keyLookup(k)) })
}

const sameContactSQL = " AND EXISTS (SELECT 1 FROM {schema}.contact_lookup AS m WHERE m.account_id = c.account_id AND m.contact_id = c.id AND m.value = "

// addLookups adds that contact_lookup has all of the values.
func addLookups(b *queryBuilder, values []pgtype.UUID) {
	for _, value := range values {
		b.add(sameContactSQL+"?)", value)
	}
}

// addMatchKeys adds that the contact has one of the match keys.
func addMatchKeys(b *queryBuilder, q *contacts.ContactQuery) {
	if q.MatchKeys != nil {
		b.add(sameContactSQL+"ANY(?))", matchKeyValues(q))
	}
}

// addConditions adds what the query asks of the row of a contact.
func addConditions(b *queryBuilder, q *contacts.ContactQuery) {
	if q.IDs != nil {
		b.add(" AND c.id = ANY(?)", column(q.IDs, pgUUID))
	}
	if q.Email != "" {
		b.add(" AND c.email = ?", q.Email) // the look-ups have its match form
	}
	if q.Deleted {
		b.add(" AND c.deleted_at <> 0")
		if !q.DeletedBefore.IsZero() {
			b.add(" AND c.deleted_at < ?", micros(q.DeletedBefore))
		}
	} else {
		b.add(" AND c.deleted_at = 0")
	}
	if !q.AllTeams {
		teams := q.Teams
		if teams == nil {
			teams = []int64{}
		}
		b.add(" AND (c.team_id = 0 OR c.team_id = ANY(?))", teams)
	}
	if q.TeamID != 0 {
		b.add(" AND c.team_id = ?", q.TeamID)
	}
	if q.Status != "" {
		b.add(" AND c.status = ?", q.Status)
	}
	if q.Stage != "" {
		b.add(" AND c.stage = ?", q.Stage)
	}
	if !q.UpdatedAfter.IsZero() {
		b.add(" AND c.updated_at > ?", micros(q.UpdatedAfter))
	}
	for _, word := range q.SearchWords() {
		b.add(" AND strpos(c.search, ?) > 0", word)
	}
}
