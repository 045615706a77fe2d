package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

const (
	// The order is that of all transactions, so that none waits for another
	// that waits for it.
	lockContactsSQL = `SELECT c.account_id, c.id, c.version, c.email, c.phones, c.tags
		FROM unnest($1::uuid[], $2::uuid[]) AS n (account_id, id)
		JOIN {schema}.contact AS c ON c.account_id = n.account_id AND c.id = n.id
		ORDER BY c.account_id, c.id FOR UPDATE OF c`

	updateContactsSQL = `UPDATE {schema}.contact AS c SET first_name = n.first_name, last_name = n.last_name, email = n.email,
			company = n.company, website = n.website, address = n.address, city = n.city, state = n.state, zip_code = n.zip_code,
			country = n.country, status = n.status, stage = n.stage, team_id = n.team_id, phones = n.phones, tags = n.tags,
			custom_context = n.custom_context, industry_context = n.industry_context, search = n.search,
			created_at = n.created_at, updated_at = n.updated_at, version = n.version, deleted_at = n.deleted_at
		FROM ` + contactsGiven + ` WHERE c.account_id = n.account_id AND c.id = n.id`
)

// UpdateContacts implements [contacts.Store]. Changes that are made at the same
// time share a transaction. A large call has several.
func (s *Store) UpdateContacts(ctx context.Context, changes []contacts.ContactChange) []error {
	n := len(changes)
	if n == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return slices.Repeat([]error{updateError(err)}, n)
	}
	defer s.calls.Done()

	var errs []error // nil while every change is stored
	for i := 0; i < n; i += mostInGroup {
		of := s.updateContacts(ctx, changes[i:min(i+mostInGroup, n)])
		if of != nil && errs == nil {
			errs = make([]error, n)
		}
		if of != nil {
			copy(errs[i:], of)
		}
	}
	return errs
}

func updateError(err error) error { return fmt.Errorf("postgres: update contacts: %w", err) }

// An update is a call in the form of the tables.
type update struct{ rows []*changedContact }

func (u *update) size() int { return len(u.rows) }

// A changedContact is a change, and what became of it.
type changedContact struct {
	*contactRow
	expected int64 // the version that the stored contact must have
	err      error
}

// updateContacts makes the changes in one transaction.
func (s *Store) updateContacts(ctx context.Context, changes []contacts.ContactChange) []error {
	u := &update{make([]*changedContact, len(changes))}
	for i, c := range changes {
		u.rows[i] = &changedContact{contactRow: encodeContact(c.Record), expected: c.Version}
	}
	if err := s.updates.do(ctx, u); err != nil {
		return slices.Repeat([]error{updateError(classify(ctx, err))}, len(u.rows))
	}
	if !slices.ContainsFunc(u.rows, func(r *changedContact) bool { return r.err != nil }) {
		return nil
	}
	return column(u.rows, func(r *changedContact) error { return r.err })
}

// commitUpdates makes the changes of a group in one transaction.
func (s *Store) commitUpdates(ctx context.Context, first *pgxpool.Conn, all []*update) error {
	var rows []*changedContact
	for _, u := range all {
		rows = append(rows, u.rows...)
	}
	return s.transact(ctx, first, func(ctx context.Context, t *transaction) error { return s.update(ctx, t, rows) })
}

// A storedContact is what a change has to know of the contact in the table.
type storedContact struct {
	version int64
	lookups []uuid.UUID
}

// update queues the changes, each on its own, and sets their errors. What it
// leaves queued has to be committed.
func (s *Store) update(ctx context.Context, t *transaction, rows []*changedContact) error {
	for _, r := range rows { // of an earlier run
		r.err = nil
	}
	s.allow(t, column(rows, func(r *changedContact) uuid.UUID { return r.account }))
	stored, err := s.lock(ctx, t, rows)
	if err != nil {
		return err
	}
	// A contact may be changed more than once; the last of its rows is what
	// is stored then, and each expects what the one before it left.
	final := make(map[contactKey]*changedContact, len(rows))
	before := make(map[contactKey][]uuid.UUID, len(rows))
	for _, r := range rows {
		c := stored[r.key()]
		switch {
		case r.err != nil:
			continue
		case c == nil:
			r.err = updateError(contacts.ErrNotFound)
			continue
		case c.version != r.expected:
			r.err = updateError(contacts.ErrConflict)
			continue
		}
		if final[r.key()] == nil {
			before[r.key()] = c.lookups
		}
		final[r.key()] = r
		c.version = r.contact.Version
	}
	var changed []*contactRow
	var gone, come lookups
	for k, r := range final {
		changed = append(changed, r.contactRow)
		gone.add(k.account, k.id, without(before[k], r.lookups)...)
		come.add(k.account, k.id, without(r.lookups, before[k])...)
	}
	if len(changed) > 0 {
		t.exec(s.statements.updateContacts, contactArrays(changed)...)
	}
	gone.delete(t, &s.statements)
	come.insert(t, &s.statements)
	return nil
}

// lock returns the contacts of the rows, which nobody else changes from here on,
// and refuses the rows whose team does not exist.
func (s *Store) lock(ctx context.Context, t *transaction, rows []*changedContact) (map[contactKey]*storedContact, error) {
	stored := make(map[contactKey]*storedContact, len(rows))
	keys := make([]contactKey, 0, len(rows))
	for _, r := range rows {
		keys = append(keys, r.key())
	}
	slices.SortFunc(keys, contactKey.compare)
	keys = slices.Compact(keys)
	t.query(func(rows pgx.Rows) error {
		var k contactKey
		var c storedContact
		var err error
		k, c.lookups, err = scanLookups(rows, &c.version)
		stored[k] = &c
		return err
	}, s.statements.lockContacts,
		column(keys, func(k contactKey) pgtype.UUID { return pgUUID(k.account) }),
		column(keys, func(k contactKey) pgtype.UUID { return pgUUID(k.id) }))

	homeless := slices.Repeat([]error{updateError(contacts.ErrNotFound)}, len(rows))
	t.query(func(found pgx.Rows) error {
		var place int
		if err := found.Scan(&place); err != nil {
			return err
		}
		homeless[place] = nil
		return nil
	}, s.statements.homes,
		column(rows, func(r *changedContact) pgtype.UUID { return pgUUID(r.account) }),
		column(rows, func(r *changedContact) int64 { return r.contact.TeamID }),
		places(len(rows)))
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	for i, r := range rows {
		r.err = homeless[i]
	}
	return stored, nil
}

// scanLookups reads the ids of a contact, the given column, and what it is found
// by.
func scanLookups(rows pgx.Rows, more any) (k contactKey, values []uuid.UUID, err error) {
	var email, phones, tags string
	if err := rows.Scan((*[16]byte)(&k.account), (*[16]byte)(&k.id), more, &email, &phones, &tags); err != nil {
		return k, nil, err
	}
	p, err := decodePhones(phones)
	if err != nil {
		return k, nil, err
	}
	t, err := decodeTags(tags)
	return k, lookupsOf(email, p, t), err
}

// without returns the values that are not among the others.
func without(values, others []uuid.UUID) []uuid.UUID {
	return slices.DeleteFunc(slices.Clone(values), func(v uuid.UUID) bool { return slices.Contains(others, v) })
}
