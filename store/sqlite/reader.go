//go:build cgo

package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"example.com/contacts"
)

// readers are the connections that only read, each with the statements of the
// reads.
type readers struct {
	db *sql.DB

	findKey, findTeam, findContact    *sql.Stmt
	listAccounts, listTeams, listKeys *sql.Stmt
}

func openReaders(ctx context.Context, c *connector, n int) (*readers, error) {
	r := &readers{db: sql.OpenDB(c)}
	r.db.SetMaxOpenConns(n)
	r.db.SetMaxIdleConns(n)
	for query, stmt := range r.statements() {
		err := retry(ctx, func() (err error) {
			*stmt, err = r.db.PrepareContext(ctx, query)
			return err
		})
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *readers) statements() map[string]**sql.Stmt {
	return map[string]**sql.Stmt{
		findKeySQL:      &r.findKey,
		findTeamSQL:     &r.findTeam,
		findContactSQL:  &r.findContact,
		listAccountsSQL: &r.listAccounts,
		listTeamsSQL:    &r.listTeams,
		listKeysSQL:     &r.listKeys,
	}
}

func (r *readers) close() error {
	var errs []error
	for _, stmt := range r.statements() {
		if *stmt != nil {
			errs = append(errs, (*stmt).Close())
		}
	}
	return errors.Join(append(errs, r.db.Close())...)
}

// rows returns all rows of a read, as the driver gives them. Every read begins
// after all writes that have returned, in this process and in others, and sees
// them.
func (r *readers) rows(ctx context.Context, stmt *sql.Stmt, args ...any) ([][]any, error) {
	var all [][]any
	err := retry(ctx, func() error {
		all = nil
		rows, err := stmt.QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		dest := make([]any, len(columns))
		for rows.Next() {
			row := make([]any, len(columns))
			for i := range row {
				dest[i] = &row[i]
			}
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			all = append(all, row)
		}
		return rows.Err()
	})
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // an interrupted read may say so in other words
	}
	return all, err
}

// row returns the one row of a read, or ErrNotFound.
func (r *readers) row(ctx context.Context, stmt *sql.Stmt, args ...any) ([]any, error) {
	rows, err := r.rows(ctx, stmt, args...)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, contacts.ErrNotFound
	}
	return rows[0], nil
}
