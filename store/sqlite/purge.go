//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"

	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	// Of one account, or of each; of one contact, or of all between two ids; and
	// deleted before some time.
	deletedOfSQL = `SELECT ` + lookupColumns + ` FROM contact_data INDEXED BY contact_deleted WHERE deleted_at IS NOT NULL
		AND account IN (SELECT n FROM account WHERE id = ?1 UNION ALL SELECT n FROM account WHERE ?1 IS NULL)
		AND id >= ?2 AND id <= ?3 AND deleted_at < ?4 LIMIT ?5`

	deletedOfAllSQL = `SELECT ` + lookupColumns + ` FROM contact_data INDEXED BY contact_deleted_at WHERE deleted_at < ?1 LIMIT ?2`

	deleteContactSQL = `DELETE FROM contact_data WHERE seq = ?`
)

// PurgeContacts implements [contacts.Store].
func (s *Store) PurgeContacts(ctx context.Context, q contacts.PurgeQuery) (int, error) {
	const op = "sqlite: purge contacts: %w"
	if err := s.enter(); err != nil {
		return 0, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	var n int
	err := s.writer.doAlone(ctx, 0, func(c *writeConn) error {
		rows, err := c.deleted(&q)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := c.purge(row); err != nil {
				return err
			}
		}
		n = len(rows)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf(op, classify(err))
	}
	return n, nil
}

// deleted returns the rows, of lookupColumns, of the contacts that the query
// says.
func (c *writeConn) deleted(q *contacts.PurgeQuery) ([][]driver.Value, error) {
	before := int64(math.MaxInt64)
	if !q.DeletedBefore.IsZero() {
		before = q.DeletedBefore.UnixMicro()
	}
	if q.AccountID == uuid.Nil && q.ContactID == uuid.Nil {
		return c.deletedOfAll.rows(context.Background(), []driver.Value{before, int64(q.Limit)})
	}
	var account driver.Value
	if q.AccountID != uuid.Nil {
		account = q.AccountID[:]
	}
	first, last := []byte{}, beforeAll
	if q.ContactID != uuid.Nil {
		first, last = q.ContactID[:], q.ContactID[:]
	}
	return c.deletedOf.rows(context.Background(), []driver.Value{account, first, last, before, int64(q.Limit)})
}

// purge removes the contact in a row of lookupColumns.
func (c *writeConn) purge(row []driver.Value) error {
	for _, e := range appendLookups(nil, row) {
		if err := c.removeLookup(e); err != nil {
			return err
		}
	}
	return c.deleteContact.exec(row[0])
}
