package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

const (
	insertContactsSQL = `INSERT INTO {schema}.contact (account_id, id, ` + contactColumns + `, search)
		SELECT n.* FROM ` + contactsGiven + `
		WHERE EXISTS (SELECT 1 FROM {schema}.account AS a WHERE a.account_id = n.account_id)
			AND (n.team_id = 0 OR EXISTS (SELECT 1 FROM {schema}.team AS t WHERE t.account_id = n.account_id AND t.id = n.team_id))
		ON CONFLICT (account_id, id) DO NOTHING RETURNING account_id, id`

	// Which of the given have their account and team.
	homesSQL = `SELECT n.place FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS n (account_id, team_id, place)
		WHERE EXISTS (SELECT 1 FROM {schema}.account AS a WHERE a.account_id = n.account_id)
			AND (n.team_id = 0 OR EXISTS (SELECT 1 FROM {schema}.team AS t WHERE t.account_id = n.account_id AND t.id = n.team_id))`
)

// CreateContacts implements [contacts.Store]. Batches that are created at the
// same time share a transaction. A large batch has several transactions, unless
// it is all or nothing. A failure that is not that of one record is that of all
// in its transaction.
func (s *Store) CreateContacts(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
	n := len(batch.Records)
	if n == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return slices.Repeat([]contacts.ContactOutcome{{Err: createError(err)}}, n)
	}
	defer s.calls.Done()

	if n <= mostInGroup || batch.AllOrNothing {
		return s.createContacts(ctx, batch)
	}
	var outcomes []contacts.ContactOutcome // nil while every record is stored
	for i := 0; i < n; i += mostInGroup {
		part, end := batch, min(i+mostInGroup, n)
		part.Records = batch.Records[i:end]
		if batch.Idempotencies != nil {
			part.Idempotencies = batch.Idempotencies[i:end]
		}
		of := s.createContacts(ctx, part)
		if of != nil && outcomes == nil {
			outcomes = make([]contacts.ContactOutcome, n)
		}
		if of != nil {
			copy(outcomes[i:], of)
		}
	}
	return outcomes
}

func createError(err error) error { return fmt.Errorf("postgres: create contacts: %w", err) }

// A creation is a batch in the form of the tables.
type creation struct {
	rows []*newContact
}

// A newContact is a record of a batch, and what became of it.
type newContact struct {
	*contactRow
	once *idempotency // nil: it has none

	decided bool
	stored  bool
	outcome contacts.ContactOutcome
}

func (c *creation) size() int { return len(c.rows) }

// errRecordFailed undoes a batch of all or nothing; no caller sees it.
var errRecordFailed = errors.New("a record of the batch failed")

// createContacts stores the records in one transaction.
func (s *Store) createContacts(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
	if err := ctx.Err(); err != nil {
		return slices.Repeat([]contacts.ContactOutcome{{Err: createError(err)}}, len(batch.Records))
	}
	c := &creation{rows: make([]*newContact, len(batch.Records))}
	for i, r := range batch.Records {
		c.rows[i] = &newContact{contactRow: encodeContact(r)}
		if batch.Idempotencies != nil {
			c.rows[i].once = encodeIdempotency(r.Contact.AccountID, batch.Idempotencies[i], batch.Now)
		}
	}
	var err error
	if batch.AllOrNothing {
		err = s.transact(ctx, nil, func(ctx context.Context, t *transaction) error {
			if err := s.create(ctx, t, c.rows); err != nil {
				return err
			}
			if c.failed() {
				return errRecordFailed
			}
			return nil
		})
	} else {
		err = s.creates.do(ctx, c)
	}
	switch {
	case errors.Is(err, errRecordFailed):
		for _, r := range c.rows {
			if r.outcome.Err == nil {
				r.outcome = contacts.ContactOutcome{Err: createError(contacts.ErrBatchFailed)}
			}
		}
	case err != nil:
		return slices.Repeat([]contacts.ContactOutcome{{Err: createError(classify(ctx, err))}}, len(c.rows))
	}
	s.prune(ctx, c)
	if !slices.ContainsFunc(c.rows, func(r *newContact) bool { return r.outcome != contacts.ContactOutcome{} }) {
		return nil
	}
	return column(c.rows, func(r *newContact) contacts.ContactOutcome { return r.outcome })
}

func (c *creation) failed() bool {
	return slices.ContainsFunc(c.rows, func(r *newContact) bool { return r.outcome.Err != nil })
}

// commitCreations stores the batches of a group in one transaction.
func (s *Store) commitCreations(ctx context.Context, first *pgxpool.Conn, all []*creation) error {
	var rows []*newContact
	for _, c := range all {
		rows = append(rows, c.rows...)
	}
	return s.transact(ctx, first, func(ctx context.Context, t *transaction) error { return s.create(ctx, t, rows) })
}

// A contactKey names a contact.
type contactKey struct{ account, id uuid.UUID }

func (k contactKey) compare(other contactKey) int {
	return cmp.Or(bytes.Compare(k.account[:], other.account[:]), bytes.Compare(k.id[:], other.id[:]))
}

func (r *contactRow) key() contactKey { return contactKey{r.account, r.id} }

// create queues the rows, each on its own, and sets their outcomes. What it
// leaves queued has to be committed.
//
// Rows that have an id or an idempotency in common wait for those before them,
// since what becomes of one decides the next: each pass takes the first of them.
func (s *Store) create(ctx context.Context, t *transaction, rows []*newContact) error {
	for _, r := range rows { // of an earlier run
		r.decided, r.stored, r.outcome = false, false, contacts.ContactOutcome{}
	}
	s.allow(t, column(rows, func(r *newContact) uuid.UUID { return r.account }))
	kept := make(map[onceKey]*idempotency) // those that hold
	for pending := rows; len(pending) > 0; {
		var pass, later []*newContact
		ids, keys := make(map[contactKey]bool, len(pending)), make(map[onceKey]bool)
		for _, r := range pending {
			if r.once != nil {
				if earlier := kept[r.once.onceKey]; earlier != nil {
					r.answer(earlier)
					continue
				}
			}
			if ids[r.key()] || r.once != nil && keys[r.once.onceKey] {
				later = append(later, r)
				// Those behind it wait for it as well.
				ids[r.key()] = true
				if r.once != nil {
					keys[r.once.onceKey] = true
				}
				continue
			}
			ids[r.key()] = true
			if r.once != nil {
				keys[r.once.onceKey] = true
			}
			pass = append(pass, r)
		}
		if err := s.createPass(ctx, t, pass, kept); err != nil {
			return err
		}
		pending = later
	}
	var l lookups
	for _, r := range rows {
		if r.stored {
			l.add(r.account, r.id, r.lookups...)
		}
	}
	l.insert(t, &s.statements)
	return nil
}

// createPass is create for rows that have nothing in common.
func (s *Store) createPass(ctx context.Context, t *transaction, pass []*newContact, kept map[onceKey]*idempotency) error {
	// In the order of their keys, so that no two transactions wait for each
	// other.
	pass = slices.SortedFunc(slices.Values(pass), func(a, b *newContact) int { return a.key().compare(b.key()) })
	if err := s.claim(ctx, t, pass, kept); err != nil {
		return err
	}
	open := slices.DeleteFunc(pass, func(r *newContact) bool { return r.decided })
	if len(open) == 0 {
		return nil
	}
	inserted := make(map[contactKey]bool, len(open))
	t.query(func(rows pgx.Rows) error {
		var k contactKey
		err := rows.Scan((*[16]byte)(&k.account), (*[16]byte)(&k.id))
		inserted[k] = true
		return err
	}, s.statements.insertContacts, contactArrays(column(open, func(r *newContact) *contactRow { return r.contactRow }))...)
	if err := t.flush(ctx); err != nil {
		return err
	}
	failed := slices.DeleteFunc(slices.Clone(open), func(r *newContact) bool { return inserted[r.key()] })
	for _, r := range open {
		if inserted[r.key()] {
			r.decided, r.stored = true, true
			if r.once != nil {
				kept[r.once.onceKey] = r.once
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return s.refuse(ctx, t, failed)
}

// refuse says why the rows were not inserted: where account and team are there,
// the id is taken. Rows of both are never removed, so that is true still.
func (s *Store) refuse(ctx context.Context, t *transaction, failed []*newContact) error {
	for _, r := range failed {
		r.decided, r.outcome.Err = true, createError(contacts.ErrNotFound)
	}
	t.query(func(rows pgx.Rows) error {
		var place int
		if err := rows.Scan(&place); err != nil {
			return err
		}
		failed[place].outcome.Err = createError(contacts.ErrExists)
		return nil
	}, s.statements.homes,
		column(failed, func(r *newContact) pgtype.UUID { return pgUUID(r.account) }),
		column(failed, func(r *newContact) int64 { return r.contact.TeamID }),
		places(len(failed)))
	s.disclaim(t, failed)
	return t.flush(ctx)
}

// places returns 0 to n-1.
func places(n int) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = int64(i)
	}
	return all
}
