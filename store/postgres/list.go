package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
	if err := s.enter(); err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

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
	page := s.pageStatement(q)
	if list.Records, err = s.queryContacts(ctx, q.AccountID, page.sql(), page.args...); err != nil || !q.Count {
		return list, err
	}
	n := len(list.Records)
	if q.After == uuid.Nil && n < q.Limit && (n > 0 || q.Skip == 0) {
		list.Count = q.Skip + n // it is the last page
		return list, nil
	}
	count := s.countStatement(q)
	return list, s.query(ctx, q.AccountID, func(rows pgx.Rows) error { return rows.Scan(&list.Count) }, count.sql(), count.args...)
}

// A statement is SQL that is made of the parts that a query needs.
type statement struct {
	text strings.Builder
	args []any
}

func (s *statement) sql() string { return s.text.String() }

// add appends a part, in which each ? is the next of the arguments.
func (s *statement) add(part string, args ...any) {
	for _, arg := range args {
		before, after, _ := strings.Cut(part, "?")
		s.args = append(s.args, arg)
		fmt.Fprintf(&s.text, "%s$%d", before, len(s.args))
		part = after
	}
	s.text.WriteString(part)
}

func (s *Store) pageStatement(q *contacts.ContactQuery) *statement {
	var st statement
	st.add(s.sql(`SELECT c.id, ` + contactColumns))
	order := s.addSource(&st, q)
	if q.After != uuid.Nil {
		st.add(" AND "+order+" < ?", pgUUID(q.After))
	}
	st.add(" ORDER BY "+order+" DESC LIMIT ?", int64(q.Limit))
	if q.Skip > 0 {
		st.add(" OFFSET ?", int64(q.Skip))
	}
	return &st
}

func (s *Store) countStatement(q *contacts.ContactQuery) *statement {
	var st statement
	st.add("SELECT count(*)")
	s.addSource(&st, q)
	return &st
}

// addSource adds where the contacts come from, and the query's conditions. It
// returns the column of their ids that is in order.
func (s *Store) addSource(st *statement, q *contacts.ContactQuery) (order string) {
	account := pgUUID(q.AccountID)
	var by []uuid.UUID
	for _, l := range []struct {
		kind lookupKind
		text string
	}{{byPhone, q.PhoneNumber}, {byEmail, q.Email}, {byTag, q.Tag}} {
		if l.text != "" {
			by = append(by, l.kind.value(l.text))
		}
	}
	if len(by) == 0 {
		order = "c.id"
		st.add(s.sql(" FROM {schema}.contact AS c WHERE c.account_id = ?"), account)
	} else {
		order = "l.contact_id"
		st.add(s.sql(` FROM {schema}.contact_lookup AS l JOIN {schema}.contact AS c ON c.account_id = l.account_id AND c.id = l.contact_id
			WHERE l.account_id = ? AND l.value = ?`), account, pgUUID(by[0]))
		for _, value := range by[1:] {
			st.add(s.sql(` AND EXISTS (SELECT 1 FROM {schema}.contact_lookup AS m
				WHERE m.account_id = l.account_id AND m.value = ? AND m.contact_id = l.contact_id)`), pgUUID(value))
		}
	}
	if q.Deleted {
		st.add(" AND c.deleted_at <> 0")
	} else {
		st.add(" AND c.deleted_at = 0")
	}
	if !q.AllTeams {
		teams := q.Teams
		if teams == nil {
			teams = []int64{}
		}
		st.add(" AND (c.team_id = 0 OR c.team_id = ANY(?))", teams)
	}
	if q.TeamID != 0 {
		st.add(" AND c.team_id = ?", q.TeamID)
	}
	if q.Status != "" {
		st.add(" AND c.status = ?", q.Status)
	}
	if q.Stage != "" {
		st.add(" AND c.stage = ?", q.Stage)
	}
	if q.Search != "" {
		st.add(" AND strpos(c.search, ?) > 0", q.Search)
	}
	return order
}
