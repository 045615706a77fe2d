//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"

	"example.com/contacts"
)

const (
	// The columns in the order of appendLookups, and the version.
	storedContactSQL = `SELECT ` + lookupColumns + `, version FROM contact_data WHERE account = ` + accountSQL + ` AND id = ?2`

	// The arguments are those of insertContactSQL without the ids, which stay, and
	// the seq.
	updateContactSQL = `UPDATE contact_data SET first_name = ?1, last_name = ?2, email = ?3, company = ?4, website = ?5,
		address = ?6, city = ?7, state = ?8, zip_code = ?9, country = ?10, status = ?11, stage = ?12, team_id = ?13,
		phones = ?14, tags = ?15, custom_context = ?16, industry_context = ?17,
		created_at = ?18, updated_at = ?19, version = ?20, deleted_at = ?21 WHERE seq = ?22`
)

// UpdateContacts implements [contacts.Store]. Changes that are made at the same
// time, and creates, share a transaction and its sync to the disk.
func (s *Store) UpdateContacts(ctx context.Context, changes []contacts.ContactChange) []error {
	n, most := len(changes), s.writer.most
	if n == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return slices.Repeat([]error{updateError(err)}, n)
	}
	defer s.calls.Done()

	if n <= most {
		return s.updateContacts(ctx, changes)
	}
	var errs []error // nil while every change is stored
	for i := 0; i < n; i += most {
		of := s.updateContacts(ctx, changes[i:min(i+most, n)])
		if of != nil && errs == nil {
			errs = make([]error, n)
		}
		if of != nil {
			copy(errs[i:], of)
		}
	}
	return errs
}

// updateContacts makes the changes in one transaction.
func (s *Store) updateContacts(ctx context.Context, changes []contacts.ContactChange) []error {
	encoded := make([]contactChange, len(changes))
	for i, c := range changes {
		encoded[i] = contactChange{row: encodeContact(c.Record), version: c.Version}
	}
	var errs []error // nil while every change is stored
	err := s.writer.do(ctx, len(encoded), func(c *writeConn) error {
		errs = nil
		for i := range encoded {
			verdict, err := c.changeContact(&encoded[i])
			if err != nil {
				return err
			}
			if verdict == nil {
				continue
			}
			if errs == nil {
				errs = make([]error, len(encoded))
			}
			errs[i] = updateError(verdict)
		}
		return nil
	})
	if err != nil {
		return slices.Repeat([]error{updateError(classify(err))}, len(encoded))
	}
	return errs
}

func updateError(err error) error { return fmt.Errorf("sqlite: update contacts: %w", err) }

// A contactChange is a change in the form of the file.
type contactChange struct {
	row     []driver.Value // of encodeContact
	version int64          // that the stored contact must have
}

// changeContact makes the change. The verdict is what has to do with this contact
// alone, and nothing was changed then.
func (c *writeConn) changeContact(change *contactChange) (verdict, err error) {
	const ids, version = 2, 5 // how many are at the front of a row; the last column of storedContactSQL
	var stored [version + 1]driver.Value
	found, err := c.storedContact.row(stored[:], change.row[:ids]...)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return contacts.ErrNotFound, nil
	case integer(stored[version]) != change.version:
		return contacts.ErrConflict, nil
	}
	if err := c.updateContact.exec(append(change.row[ids:len(change.row):len(change.row)], stored[0])...); err != nil {
		if verdict := constraint(err); verdict != nil {
			return verdict, nil
		}
		return nil, err
	}
	changed := []driver.Value{stored[0], stored[1], change.row[rowEmail], change.row[rowPhones], change.row[rowTags]}
	return nil, c.moveLookups(stored[:version], changed)
}

// moveLookups makes the look-ups of a contact follow its change, from one row of
// lookupColumns to another: entries of what it has no more go, and those of what
// is new to it come. What it keeps is left alone, in the look-ups or still on its
// way there.
func (c *writeConn) moveLookups(stored, changed []driver.Value) error {
	if slices.Equal(stored, changed) {
		return nil
	}
	was, is := appendLookups(nil, stored), appendLookups(nil, changed)
	for _, e := range was {
		if !slices.Contains(is, e) {
			if err := c.removeLookup(e); err != nil {
				return err
			}
		}
	}
	for _, e := range is {
		if !slices.Contains(was, e) {
			if err := c.addLookup(e); err != nil {
				return err
			}
		}
	}
	return nil
}
