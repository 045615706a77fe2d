package postgres

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
	"example.com/contacts/store/internal/packed"
)

const (
	// The columns of a contact after its ids, in the order of contactArrays and
	// scanContact.
	contactColumns = `first_name, last_name, email, company, website, address, city, state, zip_code, country, status, stage, external_id, team_id,
		phones, tags, custom_context, industry_context, created_at, updated_at, version, deleted_at`

	allContactColumns = `account_id, id, ` + contactColumns + `, search`

	// contactArrays as the columns of a table.
	contactArraysGiven = `$1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		$10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[], $17::text[], $18::text[], $19::text[],
		$20::text[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[], $25::text[]`
	contactsGiven = `(SELECT * FROM unnest(` + contactArraysGiven + `) AS given` + givenRows + `) AS n (` + allContactColumns + `)`

	findContactSQL = `SELECT id, ` + contactColumns + ` FROM {schema}.contact WHERE account_id = $1 AND id = $2`

	contactKeysGiven = `(SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS given` + givenRows + `) AS n (account_id, id)`

	// What has to be known of a contact before it is changed.
	readContactsSQL = `SELECT c.account_id, c.id, c.version, c.external_id, c.email, c.phones, c.tags FROM ` + contactKeysGiven + `
		JOIN {schema}.contact AS c ON c.account_id = {account} AND c.id = n.id`

	// All transactions lock in this order, so that no two wait for each other.
	lockContactsSQL = readContactsSQL + ` ORDER BY c.account_id, c.id FOR UPDATE OF c`

	insertContactsSQL = `INSERT INTO {schema}.contact (` + allContactColumns + `) SELECT {owner}, id, ` + contactColumns + `, search FROM ` + contactsGiven + `{owners}`

	updateContactsSQL = `UPDATE {schema}.contact AS c SET first_name = n.first_name, last_name = n.last_name, email = n.email,
			company = n.company, website = n.website, address = n.address, city = n.city, state = n.state, zip_code = n.zip_code,
			country = n.country, status = n.status, stage = n.stage, external_id = n.external_id, team_id = n.team_id, phones = n.phones, tags = n.tags,
			custom_context = n.custom_context, industry_context = n.industry_context, search = n.search,
			created_at = n.created_at, updated_at = n.updated_at, version = n.version, deleted_at = n.deleted_at
		FROM ` + contactsGiven + ` WHERE c.account_id = {account} AND c.id = n.id`

	deleteContactsSQL = `DELETE FROM {schema}.contact AS c USING ` + contactKeysGiven + ` WHERE c.account_id = {account} AND c.id = n.id`
)

// A contactKey names a contact.
type contactKey struct{ account, id uuid.UUID }

func (k contactKey) compare(other contactKey) int {
	return cmp.Or(compareIDs(k.account, other.account), compareIDs(k.id, other.id))
}

// contactKeyArrays returns the keys as contactKeysGiven has them.
func contactKeyArrays(keys []contactKey) []any {
	return []any{
		column(keys, func(k contactKey) pgtype.UUID { return pgUUID(k.account) }),
		column(keys, func(k contactKey) pgtype.UUID { return pgUUID(k.id) }),
	}
}

// A contactRow is a contact in the form of the tables. It shares no memory that
// a caller may change.
type contactRow struct {
	contactKey
	contact          contacts.Contact // its texts and numbers
	phones, tags     string
	custom, industry string
	search           string
	lookups          []uuid.UUID
}

func encodeContact(r *contacts.ContactRecord) *contactRow {
	c := &r.Contact
	row := &contactRow{
		contactKey: contactKey{c.AccountID, c.ID}, contact: *c,
		phones: packed.FormatPhones(c.PhoneNumbers), tags: packed.FormatTags(c.Tags),
		custom: r.CustomContext, industry: r.IndustryContext,
		search: r.SearchText(), lookups: lookupsOf(r),
	}
	row.contact.PhoneNumbers, row.contact.Tags = nil, nil
	return row
}

func (r *contactRow) deleted() bool { return !r.contact.DeletedAt.IsZero() }

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
		text(func(r *contactRow) string { return r.contact.ExternalID }),
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

// scanContact returns the contact in a row of an id and contactColumns, after
// columns that it scans into before. With a [*contacts.DamagedError] the other
// columns are there.
func scanContact(rows pgx.Rows, account uuid.UUID, before ...any) (*contacts.ContactRecord, error) {
	r := &contacts.ContactRecord{}
	c := &r.Contact
	c.AccountID = account
	var phones, tags string
	var created, updated, deleted int64
	err := rows.Scan(append(before, (*[16]byte)(&c.ID), &c.FirstName, &c.LastName, &c.Email, &c.Company, &c.Website, &c.Address, &c.City, &c.State, &c.ZipCode,
		&c.Country, &c.Status, &c.Stage, &c.ExternalID, &c.TeamID, &phones, &tags, &r.CustomContext, &r.IndustryContext, &created, &updated, &c.Version, &deleted)...)
	if err != nil {
		return nil, err
	}
	c.CreatedAt, c.UpdatedAt, c.DeletedAt = instant(created), instant(updated), instant(deleted)
	if err := decodeLists(c, phones, tags); err != nil {
		return r, &contacts.DamagedError{ContactID: c.ID, Reason: err}
	}
	return r, nil
}

// decodeLists sets the numbers and the tags of the contact.
func decodeLists(c *contacts.Contact, phones, tags string) (err error) {
	if c.PhoneNumbers, err = packed.ParsePhones(phones); err != nil {
		return fmt.Errorf("%w: column phones: %w", ErrCorrupt, err)
	}
	if c.Tags, err = packed.ParseTags(tags); err != nil {
		return fmt.Errorf("%w: column tags: %w", ErrCorrupt, err)
	}
	return nil
}

// scanContactState returns the contact in a row of readContactsSQL.
func scanContactState(rows pgx.Rows) (k contactKey, st *contactState, err error) {
	var r contacts.ContactRecord
	var phones, tags string
	st = &contactState{stored: true, exists: true}
	if err := rows.Scan((*[16]byte)(&k.account), (*[16]byte)(&k.id), &st.version, &r.Contact.ExternalID, &r.Contact.Email, &phones, &tags); err != nil {
		return k, nil, err
	}
	if err := decodeLists(&r.Contact, phones, tags); err != nil {
		return k, nil, err
	}
	st.lookups = lookupsOf(&r)
	return k, st, nil
}

// FindContact implements [contacts.Store].
func (s *Store) FindContact(ctx context.Context, accountID, id uuid.UUID) (*contacts.ContactRecord, error) {
	const op = "postgres: find contact: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	var found contacts.ContactList
	err := s.read(ctx, func() (err error) {
		found, err = s.queryContacts(ctx, accountID, s.statements.findContact, pgUUID(accountID), pgUUID(id))
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf(op, classify(ctx, err))
	case found.Damaged != nil:
		return nil, fmt.Errorf(op, found.Damaged[0])
	case found.Records == nil:
		return nil, fmt.Errorf(op, contacts.ErrNotFound)
	}
	return found.Records[0], nil
}
