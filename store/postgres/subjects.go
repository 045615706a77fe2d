package postgres

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// Every read and every write of a contact in an account with a do-not-call ledger
// looks up a few subjects. Calls that come at the same time share a statement.

// findEntriesSQL returns the entries of the given subjects, in no order.
const findEntriesSQL = `SELECT j.account_id, ` + entryColumns + `
	FROM (SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bytea[]) AS given` + givenRows + `) AS n (account_id, kind, head, subject)
	JOIN {schema}.journal AS j ON j.account_id = {account} AND j.kind = n.kind AND j.head = n.head AND j.subject = n.subject LIMIT $5`

const (
	fewSubjects = 32     // of a query that shares its statement
	fewEntries  = 10_000 // that a shared statement returns
)

// isFew reports whether the query may share a statement with others, which has no limit
// for each of them.
func isFew(q *contacts.JournalQuery) bool {
	return q.Limit >= fewEntries && len(q.Subjects) > 0 && len(q.Subjects) <= fewSubjects && q.Kind != 0 && q.After == 0 && !q.Backwards
}

// A subjectKey is what entries are found by.
type subjectKey struct {
	account uuid.UUID
	kind    contacts.JournalKind
	subject [32]byte
}

// An entrySearch is what a group of queries looks for, and what there is of it.
type entrySearch struct {
	found   map[subjectKey][]contacts.JournalEntry
	tooMany bool
}

func (e *entrySearch) add(q *contacts.JournalQuery) {
	if e.found == nil {
		e.found = make(map[subjectKey][]contacts.JournalEntry)
	}
	for _, subject := range q.Subjects {
		e.found[subjectKey{q.AccountID, q.Kind, subject}] = nil
	}
}

// addEntrySearch queues what finds the entries; on Citus a statement for each
// account.
func (s *Store) addEntrySearch(b *pgx.Batch, e *entrySearch) {
	if e.found == nil {
		return
	}
	keys := make([]subjectKey, 0, len(e.found))
	for k := range e.found {
		e.found[k] = nil // of an earlier try
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b subjectKey) int {
		return cmp.Or(compareIDs(a.account, b.account), cmp.Compare(a.kind, b.kind), bytes.Compare(a.subject[:], b.subject[:]))
	})
	if s.secured {
		b.Queue(allowSQL, accountList(column(keys, func(k subjectKey) uuid.UUID { return k.account })))
	}
	e.tooMany = false
	for _, part := range partsOf(s, keys, func(k subjectKey) uuid.UUID { return k.account }) {
		n := 0
		addQuery(b, func(rows pgx.Rows) error {
			var k subjectKey
			entry, err := scanEntry(rows, (*[16]byte)(&k.account))
			k.kind, k.subject = entry.Kind, entry.Subject
			e.found[k] = append(e.found[k], entry)
			if n++; n == fewEntries {
				e.tooMany = true
			}
			return err
		}, s.statements.findEntries,
			column(part, func(k subjectKey) pgtype.UUID { return pgUUID(k.account) }),
			column(part, func(k subjectKey) int16 { return int16(k.kind) }),
			column(part, func(k subjectKey) int64 { return head(k.subject) }),
			column(part, func(k subjectKey) []byte { return k.subject[:] }),
			int64(fewEntries))
	}
}

// of returns the answer to one of the queries. tooMany: not all entries were read.
func (e *entrySearch) of(q *contacts.JournalQuery) (entries []contacts.JournalEntry, tooMany bool) {
	if e.tooMany {
		return nil, true
	}
	for i, subject := range q.Subjects {
		if !slices.Contains(q.Subjects[:i], subject) {
			entries = append(entries, e.found[subjectKey{q.AccountID, q.Kind, subject}]...)
		}
	}
	slices.SortFunc(entries, func(a, b contacts.JournalEntry) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return entries, false // isFew: not more than the limit
}
