package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// The columns of a contact behind its ids, in the order of contactArrays and
// scanContact.
const (
	contactColumns = `first_name, last_name, email, company, website, address, city, state, zip_code, country, status, stage, team_id,
		phones, tags, custom_context, industry_context, created_at, updated_at, version, deleted_at`

	findContactSQL = `SELECT id, ` + contactColumns + ` FROM {schema}.contact WHERE account_id = $1 AND id = $2`
)

// A contactRow is a contact in the form of the tables. It shares no memory that
// a caller may change.
type contactRow struct {
	account, id      uuid.UUID
	contact          contacts.Contact // its texts and numbers
	phones, tags     string
	custom, industry string
	search           string
	lookups          []uuid.UUID
}

func encodeContact(r *contacts.ContactRecord) *contactRow {
	c := &r.Contact
	row := &contactRow{
		account: c.AccountID, id: c.ID, contact: *c,
		phones: encodePhones(c.PhoneNumbers), tags: encodeTags(c.Tags),
		custom: r.CustomContext, industry: r.IndustryContext,
		search: r.SearchText(), lookups: lookupsOf(c.Email, c.PhoneNumbers, c.Tags),
	}
	row.contact.PhoneNumbers, row.contact.Tags = nil, nil
	return row
}

// contactArrays returns a column of the rows for each column of the table.
func contactArrays(rows []*contactRow) []any {
	text := func(of func(*contactRow) string) any { return column(rows, of) }
	number := func(of func(*contactRow) int64) any { return column(rows, of) }
	return []any{
		column(rows, func(r *contactRow) pgtype.UUID { return pgUUID(r.account) }),
		column(rows, func(r *contactRow) pgtype.UUID { return pgUUID(r.id) }),
		text(func(r *contactRow) string { return r.contact.FirstName }),
		text(func(r *contactRow) string { return r.contact.LastName }),
		text(func(r *contactRow) string { return r.contact.Email }),
		text(func(r *contactRow) string { return r.contact.Company }),
		text(func(r *contactRow) string { return r.contact.Website }),
		text(func(r *contactRow) string { return r.contact.Address }),
		text(func(r *contactRow) string { return r.contact.City }),
		text(func(r *contactRow) string { return r.contact.State }),
		text(func(r *contactRow) string { return r.contact.ZipCode }),
		text(func(r *contactRow) string { return r.contact.Country }),
		text(func(r *contactRow) string { return r.contact.Status }),
		text(func(r *contactRow) string { return r.contact.Stage }),
		number(func(r *contactRow) int64 { return r.contact.TeamID }),
		text(func(r *contactRow) string { return r.phones }),
		text(func(r *contactRow) string { return r.tags }),
		text(func(r *contactRow) string { return r.custom }),
		text(func(r *contactRow) string { return r.industry }),
		number(func(r *contactRow) int64 { return micros(r.contact.CreatedAt) }),
		number(func(r *contactRow) int64 { return micros(r.contact.UpdatedAt) }),
		number(func(r *contactRow) int64 { return r.contact.Version }),
		number(func(r *contactRow) int64 { return micros(r.contact.DeletedAt) }),
		text(func(r *contactRow) string { return r.search }),
	}
}

// What contactArrays are in a statement: a table n of all columns.
const contactsGiven = `unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		$10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::text[], $17::text[], $18::text[], $19::text[],
		$20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::text[]) AS n (account_id, id, ` + contactColumns + `, search)`

// scanContact returns the contact in a row of an id and contactColumns.
func scanContact(rows pgx.Rows, account uuid.UUID) (*contacts.ContactRecord, error) {
	r := &contacts.ContactRecord{}
	c := &r.Contact
	c.AccountID = account
	var phones, tags string
	var created, updated, deleted int64
	err := rows.Scan((*[16]byte)(&c.ID), &c.FirstName, &c.LastName, &c.Email, &c.Company, &c.Website, &c.Address, &c.City, &c.State, &c.ZipCode,
		&c.Country, &c.Status, &c.Stage, &c.TeamID, &phones, &tags, &r.CustomContext, &r.IndustryContext, &created, &updated, &c.Version, &deleted)
	if err != nil {
		return nil, err
	}
	c.CreatedAt, c.UpdatedAt, c.DeletedAt = instant(created), instant(updated), instant(deleted)
	if c.PhoneNumbers, err = decodePhones(phones); err != nil {
		return nil, err
	}
	if c.Tags, err = decodeTags(tags); err != nil {
		return nil, err
	}
	return r, nil
}

// FindContact implements [contacts.Store].
func (s *Store) FindContact(ctx context.Context, accountID, id uuid.UUID) (*contacts.ContactRecord, error) {
	const op = "postgres: find contact: %w"
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	var found []*contacts.ContactRecord
	err := s.read(ctx, func() (err error) {
		found, err = s.queryContacts(ctx, accountID, s.statements.findContact, pgUUID(accountID), pgUUID(id))
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf(op, classify(ctx, err))
	case len(found) == 0:
		return nil, fmt.Errorf(op, contacts.ErrNotFound)
	}
	return found[0], nil
}

// errDamaged: somebody has written to a table what this package never does.
var errDamaged = errors.New("a column does not hold what it must")
