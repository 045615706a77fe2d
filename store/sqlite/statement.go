//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/mattn/go-sqlite3"
)

// A statement is prepared once and used by one goroutine at a time. Most run
// without a context: interrupting one would end the whole transaction, which
// others may share, and each is short.
type statement struct {
	*sqlite3.SQLiteStmt
	args []driver.NamedValue // of the last run, to be used again
}

// query runs the statement until ctx is done. It is used in place of Exec even
// where no rows come back: Exec crosses over to C once for each argument, and
// this once in all.
func (s *statement) query(ctx context.Context, values []driver.Value) (driver.Rows, error) {
	s.args = s.args[:0]
	for i, v := range values {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return s.QueryContext(ctx, s.args)
}

func (s *statement) exec(values ...driver.Value) error {
	rows, err := s.query(context.Background(), values)
	if err != nil {
		return err
	}
	return rows.Close()
}

func (s *statement) row(dest []driver.Value, values ...driver.Value) (bool, error) {
	rows, err := s.query(context.Background(), values)
	if err != nil {
		return false, err
	}
	err = rows.Next(dest)
	if errors.Is(err, io.EOF) {
		return false, rows.Close()
	}
	return err == nil, errors.Join(err, rows.Close())
}

func (s *statement) rows(ctx context.Context, values []driver.Value) (all [][]driver.Value, err error) {
	rows, err := s.query(ctx, values)
	if err != nil {
		return nil, err
	}
	columns := len(rows.Columns())
	for {
		row := make([]driver.Value, columns)
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			return all, rows.Close()
		}
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, row)
	}
}

func (s *statement) each(ctx context.Context, f func([]driver.Value) bool, values []driver.Value) error {
	rows, err := s.query(ctx, values)
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) || err == nil && !f(row) {
			return rows.Close()
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}
