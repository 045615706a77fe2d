//go:build cgo

package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A listing takes one of three ways to the contacts of an account: in the order
// of their ids past those that were not deleted, or past those that were, or to
// those that the look-ups name. On each of them every filter is a condition on
// the row. The indexes are named, so that the way does not depend on what
// somebody's ANALYZE has left in the file.
const (
	livingSQL  = ` FROM contact_data AS c INDEXED BY sqlite_autoindex_contact_data_1 WHERE c.deleted_at IS NULL`
	deletedSQL = ` FROM contact_data AS c INDEXED BY contact_deleted WHERE c.deleted_at IS NOT NULL`

	// The look-ups, and the contacts that are not in them yet.
	foundSQL = ` FROM contact_data AS c NOT INDEXED WHERE c.seq IN (
			SELECT seq FROM lookup WHERE account = ` + accountSQL + ` AND kind = ?12 AND value = ?13
			UNION ALL SELECT seq FROM contact_data WHERE seq > (SELECT seq FROM lookup_state WHERE one = 1))
		AND (c.deleted_at IS NOT NULL) = ?14`

	// The arguments are those of encodeFilters. NULL matches everything.
	filtersSQL = ` AND c.account = ` + accountSQL + `
		AND (?2 OR c.team_id IS NULL OR c.team_id IN (SELECT value FROM json_each(?3)))
		AND (?4 IS NULL OR c.team_id = ?4)
		AND (?5 IS NULL OR c.status = ?5)
		AND (?6 IS NULL OR c.stage = ?6)
		AND (?7 IS NULL OR c.email = ?7)
		AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(c.phones) AS p WHERE p.value ->> 1 = ?8))
		AND (?9 IS NULL OR EXISTS (SELECT 1 FROM json_each(c.tags) AS t WHERE t.value = ?9))
		AND (?10 IS NULL OR instr(` + foldedSQL + `, ?10))`

	pageSQL = ` AND c.id < ?11 ORDER BY c.id DESC LIMIT ?15 OFFSET ?16`

	listLivingSQL  = `SELECT ` + contactColumns + livingSQL + filtersSQL + pageSQL
	listDeletedSQL = `SELECT ` + contactColumns + deletedSQL + filtersSQL + pageSQL
	listFoundSQL   = `SELECT ` + contactColumns + foundSQL + filtersSQL + pageSQL

	countLivingSQL  = `SELECT count(*)` + livingSQL + filtersSQL
	countDeletedSQL = `SELECT count(*)` + deletedSQL + filtersSQL
	countFoundSQL   = `SELECT count(*)` + foundSQL + filtersSQL

	// That of an account without any filter reads no rows.
	countAllSQL = `SELECT (SELECT count(*) FROM contact_data WHERE account = ` + accountSQL + `)
		- (SELECT count(*) FROM contact_data INDEXED BY contact_deleted WHERE account = ` + accountSQL + ` AND deleted_at IS NOT NULL)`
)

// How many of the arguments of encodeFilters a statement has.
const (
	countAllArgs   = 1
	countArgs      = 10
	countFoundArgs = 14
)

// The search text of a row, as contacts.FoldSearch has it. ASCII, which most of
// it is, takes no call of a Go function.
const (
	searchTextSQL = `(c.first_name || ' ' || coalesce(c.last_name, '') || char(10) || coalesce(c.company, '') || char(10) || coalesce(c.email, ''))`
	foldFunction  = `contacts_fold_search`
	foldedSQL     = `iif(octet_length(` + searchTextSQL + `) = length(` + searchTextSQL + `), lower(` + searchTextSQL + `), ` + foldFunction + `(` + searchTextSQL + `))`
)

// register gives a connection the function of foldedSQL, which no other
// connection of the program gets.
func register(fold func(string) string) func(*sqlite3.SQLiteConn) error {
	return func(c *sqlite3.SQLiteConn) error { return c.RegisterFunc(foldFunction, fold, true) }
}

// defaultFound is up to how many entries of the look-ups a page is made of. With
// more, it is made by walking: where so many have a tag, a page of them is soon
// full, and sorting them all would cost more.
const defaultFound = 8192

// ListContacts implements [contacts.Store].
func (s *Store) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	const op = "sqlite: list contacts: %w"
	if err := s.enter(); err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	list, err := s.listContacts(ctx, &q)
	if err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, classify(err))
	}
	return list, nil
}

func (s *Store) listContacts(ctx context.Context, q *contacts.ContactQuery) (list contacts.ContactList, err error) {
	args, err := encodeFilters(q)
	if err != nil {
		return list, err
	}
	var rows [][]driver.Value
	var by way
	err = s.readers.snapshot(ctx, func(c *readConn) (err error) {
		if by, err = s.chooseWay(ctx, c, q, args); err != nil {
			return err
		}
		if rows, err = c.rows(ctx, by.list, args); err != nil || !q.Count {
			return err
		}
		if q.After == uuid.Nil && len(rows) < q.Limit && (len(rows) > 0 || q.Skip == 0) {
			list.Count = q.Skip + len(rows) // it is the last page
			return nil
		}
		counted, err := c.rows(ctx, by.count, args[:by.countArgs])
		if err == nil {
			list.Count = int(integer(counted[0][0]))
		}
		return err
	})
	if err != nil {
		return contacts.ContactList{}, err
	}
	if by.behind >= int64(s.writer.index.behind) {
		s.writer.index.catchUp(s.writer)
	}
	for _, row := range rows {
		r, err := decodeContact(row)
		if err != nil {
			return contacts.ContactList{}, err
		}
		r.Contact.AccountID = q.AccountID
		list.Records = append(list.Records, r)
	}
	return list, nil
}

// A way is how a listing finds its contacts, and how it counts them.
type way struct {
	list, count query
	countArgs   int
	behind      int64 // contacts that it reads for not being in the look-ups
}

// chooseWay returns the way that reads the fewest contacts.
func (s *Store) chooseWay(ctx context.Context, c *readConn, q *contacts.ContactQuery, args []driver.Value) (way, error) {
	w := way{list: listLiving, count: countLiving, countArgs: countArgs}
	if q.Deleted {
		w.list, w.count = listDeleted, countDeleted
	}
	kind, what := lookupOf(q)
	if kind != 0 {
		reach, err := c.rows(ctx, lookupReach, []driver.Value{args[0], int64(kind), kind.value(what), int64(s.found + 1)})
		if err != nil {
			return w, err
		}
		w.count, w.countArgs = countFound, countFoundArgs
		if integer(reach[0][0]) <= int64(s.found) {
			w.list, w.behind = listFound, integer(reach[0][1])
		}
		return w, nil
	}
	if !q.Deleted && q.AllTeams && q.TeamID == 0 && q.Status == "" && q.Stage == "" && q.Search == "" {
		w.count, w.countArgs = countAll, countAllArgs
	}
	return w, nil
}

// lookupOf returns what the look-ups find the query's contacts by, or 0.
func lookupOf(q *contacts.ContactQuery) (lookupKind, string) {
	switch {
	case q.PhoneNumber != "":
		return byPhone, q.PhoneNumber
	case q.Email != "":
		return byEmail, q.Email
	case q.Tag != "":
		return byTag, q.Tag
	default:
		return 0, ""
	}
}

// beforeAll is a position in front of every id.
var beforeAll = bytes.Repeat([]byte{0xff}, len(uuid.UUID{})+1)

// encodeFilters returns the arguments of the statements that list contacts.
func encodeFilters(q *contacts.ContactQuery) ([]driver.Value, error) {
	teams, err := encodeJSON(q.Teams)
	if err != nil {
		return nil, err
	}
	after := beforeAll
	if q.After != uuid.Nil {
		after = q.After[:]
	}
	kind, what := lookupOf(q)
	return []driver.Value{
		q.AccountID[:], q.AllTeams, teams, number(q.TeamID), optional(q.Status), optional(q.Stage),
		optional(q.Email), optional(q.PhoneNumber), optional(q.Tag), optional(q.Search),
		after, int64(kind), kind.value(what), q.Deleted, int64(q.Limit), int64(q.Skip),
	}, nil
}
