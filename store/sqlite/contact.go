//go:build cgo

package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/internal/packed"
)

// A contactField is a column of contact_data, and how it comes out of a record
// and goes into one.
type contactField struct {
	column string
	encode func(*contacts.ContactRecord) driver.Value // shares no memory with the record
	decode func(*contacts.ContactRecord, driver.Value) error
}

// contactFields are all columns of a record except its account. Statements have
// them in this order.
var contactFields = []contactField{
	idField(),
	requiredField("first_name", func(r *contacts.ContactRecord) *string { return &r.Contact.FirstName }),
	textField("last_name", func(r *contacts.ContactRecord) *string { return &r.Contact.LastName }),
	textField("email", func(r *contacts.ContactRecord) *string { return &r.Contact.Email }),
	textField("company", func(r *contacts.ContactRecord) *string { return &r.Contact.Company }),
	textField("website", func(r *contacts.ContactRecord) *string { return &r.Contact.Website }),
	textField("address", func(r *contacts.ContactRecord) *string { return &r.Contact.Address }),
	textField("city", func(r *contacts.ContactRecord) *string { return &r.Contact.City }),
	textField("state", func(r *contacts.ContactRecord) *string { return &r.Contact.State }),
	textField("zip_code", func(r *contacts.ContactRecord) *string { return &r.Contact.ZipCode }),
	requiredField("country", func(r *contacts.ContactRecord) *string { return &r.Contact.Country }),
	requiredField("status", func(r *contacts.ContactRecord) *string { return &r.Contact.Status }),
	requiredField("stage", func(r *contacts.ContactRecord) *string { return &r.Contact.Stage }),
	textField("external_id", func(r *contacts.ContactRecord) *string { return &r.Contact.ExternalID }),
	numberField("team_id", func(r *contacts.ContactRecord) *int64 { return &r.Contact.TeamID }),
	phonesField(),
	tagsField(),
	textField("custom_context", func(r *contacts.ContactRecord) *string { return &r.CustomContext }),
	textField("industry_context", func(r *contacts.ContactRecord) *string { return &r.IndustryContext }),
	timeField("created_at", func(r *contacts.ContactRecord) *time.Time { return &r.Contact.CreatedAt }),
	timeField("updated_at", func(r *contacts.ContactRecord) *time.Time { return &r.Contact.UpdatedAt }),
	numberField("version", func(r *contacts.ContactRecord) *int64 { return &r.Contact.Version }),
	timeField("deleted_at", func(r *contacts.ContactRecord) *time.Time { return &r.Contact.DeletedAt }),
}

func idField() contactField {
	return contactField{"id",
		func(r *contacts.ContactRecord) driver.Value { return bytes.Clone(r.Contact.ID[:]) },
		func(r *contacts.ContactRecord, v driver.Value) error { r.Contact.ID = id(v); return nil }}
}

// requiredField is a text column that does not take NULL.
func requiredField(column string, of func(*contacts.ContactRecord) *string) contactField {
	return contactField{column,
		func(r *contacts.ContactRecord) driver.Value { return *of(r) },
		func(r *contacts.ContactRecord, v driver.Value) error { *of(r) = text(v); return nil }}
}

func textField(column string, of func(*contacts.ContactRecord) *string) contactField {
	return contactField{column,
		func(r *contacts.ContactRecord) driver.Value { return optional(*of(r)) },
		func(r *contacts.ContactRecord, v driver.Value) error { *of(r) = text(v); return nil }}
}

func numberField(column string, of func(*contacts.ContactRecord) *int64) contactField {
	return contactField{column,
		func(r *contacts.ContactRecord) driver.Value { return number(*of(r)) },
		func(r *contacts.ContactRecord, v driver.Value) error { *of(r) = integer(v); return nil }}
}

func timeField(column string, of func(*contacts.ContactRecord) *time.Time) contactField {
	return contactField{column,
		func(r *contacts.ContactRecord) driver.Value { return micros(*of(r)) },
		func(r *contacts.ContactRecord, v driver.Value) error { *of(r) = instant(v); return nil }}
}

func phonesField() contactField {
	return contactField{"phones",
		func(r *contacts.ContactRecord) driver.Value {
			return optional(packed.FormatPhones(r.Contact.PhoneNumbers))
		},
		func(r *contacts.ContactRecord, v driver.Value) (err error) {
			r.Contact.PhoneNumbers, err = packed.ParsePhones(text(v))
			return damaged("phones", err)
		}}
}

func tagsField() contactField {
	return contactField{"tags",
		func(r *contacts.ContactRecord) driver.Value { return optional(packed.FormatTags(r.Contact.Tags)) },
		func(r *contacts.ContactRecord, v driver.Value) (err error) {
			r.Contact.Tags, err = packed.ParseTags(text(v))
			return damaged("tags", err)
		}}
}

// damaged returns the error of a column that does not have its form.
func damaged(column string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: column %s: %w", ErrCorrupt, column, err)
}

// The arguments of a statement that stores a record are a contactRow: the id of
// its account, the settings version, and the fields.
const rowHead = 2

var (
	contactColumns = strings.Join(columns(), ", ")

	// The constraints of the table judge an insert: see judge.refusal.
	insertContactSQL = `INSERT INTO contact_data (account, ` + contactColumns + `) VALUES (
		(SELECT n FROM account WHERE id = ?1 AND settings_version = ?2), ` + placeholders(rowHead+1, len(contactFields)) + `)`

	// The id, which is the first field, stays.
	updateContactSQL = `UPDATE contact_data SET (` + strings.Join(columns()[1:], ", ") + `)
		= (` + placeholders(2, len(contactFields)-1) + `) WHERE seq = ?1`

	findContactSQL = `SELECT ` + contactColumns + ` FROM contact_data WHERE account = ` + accountSQL + ` AND id = ?2`
)

// columns returns the names of contactFields.
func columns() (names []string) {
	for _, f := range contactFields {
		names = append(names, f.column)
	}
	return names
}

// placeholders returns n numbered parameters, from a number on.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "?%d", from+i)
	}
	return b.String()
}

// A contactRow is a record in the form of the file.
type contactRow []driver.Value

// The columns of a contactRow that look-ups are made of, and its team.
var (
	rowTeam       = rowHead + slices.Index(columns(), "team_id")
	rowExternalID = rowHead + slices.Index(columns(), "external_id")
	rowEmail      = rowHead + slices.Index(columns(), "email")
	rowPhones     = rowHead + slices.Index(columns(), "phones")
	rowTags       = rowHead + slices.Index(columns(), "tags")
)

// encodeContact returns the row of a record. It shares no memory that the caller
// may change.
func encodeContact(account driver.Value, settings int64, r *contacts.ContactRecord) contactRow {
	row := make(contactRow, rowHead+len(contactFields))
	row[0], row[1] = account, settings
	for i := range contactFields {
		row[rowHead+i] = contactFields[i].encode(r)
	}
	return row
}

// decodeContact returns the contact in a row of contactColumns. If it is damaged,
// the other columns are there.
func decodeContact(account uuid.UUID, row []driver.Value) (r *contacts.ContactRecord, damaged *contacts.DamagedError) {
	r = new(contacts.ContactRecord)
	r.Contact.AccountID = account
	for i := range contactFields {
		if err := contactFields[i].decode(r, row[i]); err != nil {
			damaged = &contacts.DamagedError{ContactID: r.Contact.ID, Reason: err} // the id is the first field
		}
	}
	return r, damaged
}

// FindContact implements [contacts.Store].
func (s *Store) FindContact(ctx context.Context, accountID, id uuid.UUID) (*contacts.ContactRecord, error) {
	const op = "sqlite: find contact: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	row, err := s.readers.row(ctx, findContact, accountID[:], id[:])
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	r, damaged := decodeContact(accountID, row)
	if damaged != nil {
		return nil, fmt.Errorf(op, damaged)
	}
	return r, nil
}
