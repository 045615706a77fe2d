package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/contacts"
)

const (
	// What the look-ups of contacts are made of, a page at a time.
	lookupSourceColumns = `c.external_id, c.email, c.phones, c.tags`
	pageOfSourcesSQL    = `SELECT c.id, ` + lookupSourceColumns + ` FROM {schema}.contact AS c WHERE c.account_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3`

	// Those of the given entries that the look-ups do not have. The LIMIT has the server
	// look for each of them in the index: while the table is new, it would plan to read
	// all look-ups of the account for each, and keep that plan.
	absentLookupsSQL = `SELECT n.value, n.contact_id FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS given` + givenRows + `) AS n (value, contact_id)
		LEFT JOIN LATERAL (SELECT true AS found FROM {schema}.contact_lookup AS l
			WHERE l.account_id = $3 AND l.value = n.value AND l.contact_id = n.contact_id LIMIT 1) AS l ON true
		WHERE l.found IS NULL`

	// A page of the look-ups, with what their contacts say. NULL: there is no contact.
	pageOfLookupsSQL = `SELECT l.value, l.contact_id, c.id IS NOT NULL, coalesce(c.external_id, ''), coalesce(c.email, ''), coalesce(c.phones, ''), coalesce(c.tags, '')
		FROM (SELECT account_id, value, contact_id FROM {schema}.contact_lookup WHERE account_id = $1 AND (value, contact_id) > ($2, $3)
			ORDER BY value, contact_id LIMIT $4) AS l
		LEFT JOIN {schema}.contact AS c ON c.account_id = l.account_id AND c.id = l.contact_id ORDER BY l.value, l.contact_id`
)

// A misfit is an entry that the look-ups miss, or that they have and should not.
type misfit struct {
	lookup
	missing bool
}

// checkPage is how many contacts or entries are compared in one state of the tables.
const checkPage = 1000

// misfits calls f with each entry of an account that is wrong, after the state that it
// was seen in is let go. A contact that cannot be read whole is not judged.
func (s *Store) misfits(ctx context.Context, account uuid.UUID, f func(misfit) error) error {
	var page []misfit
	see := func(part func(context.Context, *transaction) error) error {
		err := s.seeing(ctx, account, part)
		for i := 0; err == nil && i < len(page); i++ {
			err = f(page[i])
		}
		return err
	}
	for from, n := (uuid.UUID{}), checkPage; n == checkPage; {
		var last uuid.UUID
		if err := see(func(ctx context.Context, t *transaction) (err error) {
			page, last, n, err = s.missingLookups(ctx, t, account, from)
			return err
		}); err != nil {
			return err
		}
		from = last
	}
	for from, n := (lookup{account: account}), checkPage; n == checkPage; {
		var last lookup
		if err := see(func(ctx context.Context, t *transaction) (err error) {
			page, last, n, err = s.extraLookups(ctx, t, from)
			return err
		}); err != nil {
			return err
		}
		from = last
	}
	return nil
}

// missingLookups returns the entries that the look-ups miss of a page of contacts, the
// last of the contacts, and how many they are.
func (s *Store) missingLookups(ctx context.Context, t *transaction, account, from uuid.UUID) (page []misfit, last uuid.UUID, n int, err error) {
	var entries lookups
	last = from
	t.query(func(rows pgx.Rows) error {
		var source lookupSource
		if err := rows.Scan(append([]any{(*[16]byte)(&last)}, source.columns()...)...); err != nil {
			return err
		}
		n++
		if values, whole := source.lookups(); whole {
			entries.add(contactKey{account, last}, values...)
		}
		return nil
	}, s.sql(pageOfSourcesSQL), pgUUID(account), pgUUID(from), int64(checkPage))
	if err := t.flush(ctx); err != nil || len(entries) == 0 {
		return nil, last, n, err
	}
	s.absent(t, account, entries, func(l lookup) { page = append(page, misfit{l, true}) })
	return page, last, n, t.flush(ctx)
}

// absent queues the search for those of the entries that the look-ups do not have.
func (s *Store) absent(t *transaction, account uuid.UUID, entries lookups, each func(lookup)) {
	columns := entries.arrays()
	t.query(func(rows pgx.Rows) error {
		l := lookup{account: account}
		err := rows.Scan((*[16]byte)(&l.value), (*[16]byte)(&l.id))
		each(l)
		return err
	}, s.sql(absentLookupsSQL), columns[1], columns[2], pgUUID(account))
}

// extraLookups returns the entries of a page of the look-ups that their contacts do not
// have, the last entry of the page, and how many the page has.
func (s *Store) extraLookups(ctx context.Context, t *transaction, from lookup) (page []misfit, last lookup, n int, err error) {
	last = from
	t.query(func(rows pgx.Rows) error {
		var source lookupSource
		var exists bool
		if err := rows.Scan(append([]any{(*[16]byte)(&last.value), (*[16]byte)(&last.id), &exists}, source.columns()...)...); err != nil {
			return err
		}
		n++
		if values, whole := source.lookups(); whole && (!exists || !slices.Contains(values, last.value)) {
			page = append(page, misfit{lookup: last})
		}
		return nil
	}, s.sql(pageOfLookupsSQL), pgUUID(from.account), pgUUID(from.value), pgUUID(from.id), int64(checkPage))
	err = t.flush(ctx)
	return page, last, n, err
}

// A lookupSource is what the look-ups of a contact are made of, as its row has it.
type lookupSource struct{ externalID, email, phones, tags string }

// columns are those of lookupSourceColumns.
func (l *lookupSource) columns() []any { return []any{&l.externalID, &l.email, &l.phones, &l.tags} }

// lookups returns the values that the contact is found by, and whether it can be read
// whole.
func (l *lookupSource) lookups() (values []uuid.UUID, whole bool) {
	r := contacts.ContactRecord{Contact: contacts.Contact{ExternalID: l.externalID, Email: l.email}}
	err := decodeLists(&r.Contact, l.phones, l.tags)
	return lookupsOf(&r), err == nil
}

// RebuildLookups makes the look-ups agree with the contacts: it adds the entries that
// are missing and removes those that no contact has. What is right stays as it is, so
// it writes nothing if nothing is wrong. A damaged index is not its matter: that is for
// REINDEX. Its errors are those of other writes.
//
// It looks as [Store.Check] does, and writes a thousand entries in a transaction, for
// which changes of the same contacts wait. Each makes the look-ups more right, also if
// the process dies after it; a second call does the rest. Until its transaction is
// committed, readers see an entry as it was: a search may miss the contact.
func (s *Store) RebuildLookups(ctx context.Context) error {
	for account, err := range contacts.NewAdmin(s, nil).Accounts(ctx) {
		if err == nil {
			err = s.rebuildLookups(ctx, account.ID)
		}
		if err != nil {
			return fmt.Errorf("postgres: rebuild look-ups: %w", err)
		}
	}
	return nil
}

func (s *Store) rebuildLookups(ctx context.Context, account uuid.UUID) error {
	var wrong lookups
	repair := func() error {
		if len(wrong) == 0 {
			return nil
		}
		err := s.repairLookups(ctx, account, wrong)
		wrong = nil
		return err
	}
	err := s.misfits(ctx, account, func(m misfit) error {
		if wrong = append(wrong, m.lookup); len(wrong) < checkPage {
			return nil
		}
		return repair()
	})
	if err != nil {
		return err
	}
	return repair()
}

// repairLookups adds or removes entries in one transaction, as their contacts are by
// then. Nobody else changes these contacts until it ends.
func (s *Store) repairLookups(ctx context.Context, account uuid.UUID, entries lookups) error {
	if err := s.gate.Enter(); err != nil {
		return err
	}
	defer s.gate.Leave()
	ids := make(map[uuid.UUID]bool, len(entries))
	var keys []contactKey
	for _, e := range entries {
		if !ids[e.id] {
			ids[e.id] = true
			keys = append(keys, contactKey{account, e.id})
		}
	}
	err := s.transact(ctx, nil, func(ctx context.Context, t *transaction) error {
		s.allow(t, []uuid.UUID{account})
		stored := make(map[uuid.UUID][]uuid.UUID, len(keys))
		t.query(func(rows pgx.Rows) error {
			k, st, err := scanContactState(rows)
			if err == nil {
				stored[k.id] = st.lookups
			}
			return err
		}, s.statements.lockContacts, contactKeyArrays(keys)...)
		if err := t.flush(ctx); err != nil {
			return err
		}
		absent := make(map[lookup]bool)
		s.absent(t, account, entries, func(l lookup) { absent[l] = true })
		if err := t.flush(ctx); err != nil {
			return err
		}
		var gone, come lookups
		for _, e := range entries {
			switch wanted := slices.Contains(stored[e.id], e.value); {
			case wanted && absent[e]:
				come = append(come, e)
			case !wanted && !absent[e]:
				gone = append(gone, e)
			}
		}
		gone.exec(t, s.statements.deleteLookups)
		come.exec(t, s.statements.insertLookups)
		return nil
	})
	return classify(ctx, err)
}
