package postgres

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/store/internal/grouplist"
)

// Contacts that share a match key are found in contact_lookup, which is in the
// order of the values. One statement takes the next values that more than one
// contact has. Another reads those of their contacts that match the query, and
// alone decides which groups there are.

// valuesAtOnce is how many values one statement reads the contacts of, and
// contactsAtOnce about how many contacts those may have.
const (
	valuesAtOnce   = 100
	contactsAtOnce = 1000
)

var (
	sharedValuesSQL = `SELECT value, count(*) FROM {schema}.contact_lookup WHERE account_id = $1 AND value > $2 AND value < $3
		GROUP BY value HAVING count(*) > 1 ORDER BY value LIMIT ` + strconv.Itoa(valuesAtOnce)

	// The contacts of groups are found first, so that no more rows are read whole
	// than are returned.
	groupsSQL = `SELECT g.value, g.members, c.id, ` + contactColumns + ` FROM (
		SELECT l.value, l.contact_id, count(*) OVER (PARTITION BY l.value) AS members,
			row_number() OVER (PARTITION BY l.value ORDER BY l.contact_id) AS place
		FROM {schema}.contact_lookup AS l JOIN {schema}.contact AS c ON c.account_id = l.account_id AND c.id = l.contact_id
		WHERE l.account_id = ? AND l.value = ANY(?)`
	endOfGroupsSQL = `) AS g JOIN {schema}.contact AS c ON c.account_id = ? AND c.id = g.contact_id
		WHERE g.members > 1 AND g.place <= ? ORDER BY g.value, g.place`
)

// A group is a group of contacts, with what it is found by.
type group struct {
	contacts.ContactGroup
	value   uuid.UUID
	damaged []*contacts.DamagedError
}

// listGroups returns a page of groups, in the order of their values.
func (s *Store) listGroups(ctx context.Context, q *contacts.ContactQuery) (list contacts.ContactList, err error) {
	kind := lookupKindOf(q.Shared)
	from, end := uuid.UUID{byte(kind)}, uuid.UUID{byte(kind) + 1}
	if q.Position != "" {
		if from, err = parsePosition(q.Position, kind); err != nil {
			return list, err
		}
	}
	page := grouplist.New(q.Limit)
	for page.Position == "" {
		var values []uuid.UUID
		found, members := 0, 0
		err := s.query(ctx, q.AccountID, func(rows pgx.Rows) error {
			var v uuid.UUID
			var count int
			err := rows.Scan((*[16]byte)(&v), &count)
			if found++; members < contactsAtOnce {
				values = append(values, v)
			}
			members += min(count, contacts.MaxGroupRecords)
			return err
		}, s.statements.sharedValues, pgUUID(q.AccountID), pgUUID(from), pgUUID(end))
		if err != nil {
			return list, err
		}
		if found == 0 {
			break
		}
		if err := s.addGroups(ctx, &page, q, values); err != nil {
			return list, err
		}
		if found == len(values) && found < valuesAtOnce {
			break
		}
		from = values[len(values)-1]
	}
	return page.ContactList, nil
}

// addGroups adds the groups that have one of the values, until the page is full.
func (s *Store) addGroups(ctx context.Context, page *grouplist.Page, q *contacts.ContactQuery, values []uuid.UUID) error {
	var b queryBuilder
	b.add(groupsSQL, pgUUID(q.AccountID), column(values, pgUUID))
	addLookups(&b, lookupValues(q))
	addMatchKeys(&b, q)
	addConditions(&b, q)
	b.add(endOfGroupsSQL, pgUUID(q.AccountID), int64(contacts.MaxGroupRecords))
	var g group
	add := func() bool { return g.Records == nil || page.Add(g.ContactGroup, g.damaged, g.value.String()) }
	room := true
	err := s.query(ctx, q.AccountID, func(rows pgx.Rows) error {
		if !room { // the rest is for the next page
			return nil
		}
		var value uuid.UUID
		var members int
		r, err := scanContact(rows, q.AccountID, (*[16]byte)(&value), &members)
		damaged, ok := errors.AsType[*contacts.DamagedError](err)
		if err != nil && !ok {
			return err
		}
		if value != g.value {
			if room = add(); !room {
				return nil
			}
			g = group{ContactGroup: contacts.ContactGroup{Key: contacts.MatchKey{Kind: q.Shared}, Count: members}, value: value}
		}
		g.Records = append(g.Records, r)
		if damaged != nil {
			g.damaged = append(g.damaged, damaged)
		}
		keys := r.MatchKeys() // a damaged contact may have lost the key
		if i := slices.IndexFunc(keys, func(k contacts.MatchKey) bool { return k.Kind == q.Shared && keyLookup(k) == value }); i >= 0 {
			g.Key = keys[i]
		}
		return nil
	}, s.sql(b.text.String()), b.args...)
	if room {
		add()
	}
	return err
}

// parsePosition returns the value of the group at a position.
func parsePosition(position string, kind lookupKind) (uuid.UUID, error) {
	value, err := uuid.Parse(position)
	if err != nil || value.String() != position || value[0] != byte(kind) {
		return uuid.UUID{}, contacts.ErrNotFound
	}
	return value, nil
}
