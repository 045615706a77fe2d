package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

// A querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

var _ querier = (*pgxpool.Pool)(nil)

// query has each read the rows of a statement about one account.
func (s *Store) query(ctx context.Context, account uuid.UUID, each func(pgx.Rows) error, sql string, args ...any) error {
	if s.secured {
		var b pgx.Batch // its statements share a transaction
		b.Queue(allowSQL, account.String())
		b.Queue(sql, args...).Query(func(rows pgx.Rows) error { return eachRow(rows, each) })
		return s.pool.SendBatch(ctx, &b).Close()
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, each)
}

func eachRow(rows pgx.Rows, each func(pgx.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// queryContacts returns the contacts of an account that a statement finds.
func (s *Store) queryContacts(ctx context.Context, account uuid.UUID, sql string, args ...any) ([]*contacts.ContactRecord, error) {
	var found []*contacts.ContactRecord
	err := s.query(ctx, account, func(rows pgx.Rows) error {
		r, err := scanContact(rows, account)
		found = append(found, r)
		return err
	}, sql, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// collect returns what scan makes of each row; nil where there is none.
func collect[T any](ctx context.Context, q querier, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]T(nil), rows, scan)
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
