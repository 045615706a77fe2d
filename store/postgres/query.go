package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

// query has each read the rows of a statement about one account.
func (s *Store) query(ctx context.Context, account uuid.UUID, each func(pgx.Rows) error, sql string, args ...any) error {
	b := s.newBatch()
	if s.secured {
		b.Queue(allowSQL, account.String())
	}
	addQuery(b, each, sql, args...)
	return s.pool.SendBatch(ctx, b).Close()
}

// newBatch returns statements that share a transaction, without BEGIN, and go to
// the server at once. A batch is for one connection.
func (s *Store) newBatch() *pgx.Batch {
	b := &pgx.Batch{}
	if s.wary {
		b.Queue(settingsSQL)
	}
	return b
}

// addQuery adds a statement whose rows each reads.
func addQuery(b *pgx.Batch, each func(pgx.Rows) error, sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error { return eachRow(rows, each) })
}

func eachRow(rows pgx.Rows, each func(pgx.Rows) error) error {
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// queryContacts returns the contacts of an account that a statement finds.
func (s *Store) queryContacts(ctx context.Context, account uuid.UUID, sql string, args ...any) (list contacts.ContactList, err error) {
	err = s.query(ctx, account, func(rows pgx.Rows) error {
		r, err := scanContact(rows, account)
		if damaged, ok := errors.AsType[*contacts.DamagedError](err); ok {
			list.Damaged, err = append(list.Damaged, damaged), nil
		}
		list.Records = append(list.Records, r)
		return err
	}, sql, args...)
	if err != nil {
		return contacts.ContactList{}, err
	}
	return list, nil
}

// A queryBuilder makes SQL of the parts that a query needs.
type queryBuilder struct {
	text strings.Builder
	args []any
}

// add appends a part, in which each ? is the next of the arguments.
func (b *queryBuilder) add(part string, args ...any) {
	for _, arg := range args {
		before, after, _ := strings.Cut(part, "?")
		b.args = append(b.args, arg)
		fmt.Fprintf(&b.text, "%s$%d", before, len(b.args))
		part = after
	}
	b.text.WriteString(part)
}
