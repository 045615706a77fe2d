package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

const (
	entryColumns = `j.sequence, j.kind, j.subject, j.at, j.ends_at, j.data`

	// The newest numbers of the accounts, in the order of all transactions.
	readStatesSQL = `SELECT s.account_id, s.sequence FROM (SELECT * FROM unnest($1::uuid[]) AS given` + givenRows + `) AS n (account_id)
		JOIN {schema}.account_state AS s ON s.account_id = {account} ORDER BY s.account_id`
	lockStatesSQL  = readStatesSQL + ` FOR UPDATE OF s`
	writeStatesSQL = `UPDATE {schema}.account_state AS s SET sequence = n.sequence
		FROM (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS given` + givenRows + `) AS n (account_id, sequence) WHERE s.account_id = {account}`

	readEntriesSQL = `SELECT j.account_id, j.sequence, j.kind, j.subject FROM (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS given` + givenRows + `) AS n (account_id, sequence)
		JOIN {schema}.journal AS j ON j.account_id = {account} AND j.sequence = n.sequence`
	replaceEntriesSQL = `UPDATE {schema}.journal AS j SET data = n.data FROM (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS given` + givenRows + `) AS n (account_id, sequence, data)
		WHERE j.account_id = {account} AND j.sequence = n.sequence`
	appendEntriesSQL = `INSERT INTO {schema}.journal (account_id, sequence, kind, head, subject, at, ends_at, data)
		SELECT {owner}, n.sequence, n.kind, n.head, n.subject, n.at, n.ends_at, n.data
		FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::text[])
			AS n (account_id, sequence, kind, head, subject, at, ends_at, data){owners}`
)

// An entryState is a journal entry as it is in the transaction.
type entryState struct {
	exists  bool
	kind    contacts.JournalKind
	subject [32]byte

	appended *contacts.JournalEntry // by a mutation
	replaced bool                   // its data, which is this
	data     string
}

// readStates queues the reading of the newest numbers, also of other accounts than
// those of its mutations.
func (j *judge) readStates(t *transaction, sql string, others []uuid.UUID) {
	locked := column(others, pgUUID)
	for id, a := range j.accounts {
		if a.locked {
			locked = append(locked, pgUUID(id))
		}
	}
	if len(locked) == 0 {
		return
	}
	t.query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var sequence int64
		err := rows.Scan((*[16]byte)(&id), &sequence)
		if a := j.accounts[id]; a != nil {
			a.sequence, a.newest = sequence, sequence
		}
		return err
	}, sql, locked)
}

// readEntries queues the reading of the entries that mutations name.
func (j *judge) readEntries(t *transaction, s *statements) {
	var accounts []pgtype.UUID
	var sequences []int64
	for id, a := range j.accounts {
		for sequence := range a.entries {
			accounts, sequences = append(accounts, pgUUID(id)), append(sequences, sequence)
		}
	}
	if len(accounts) == 0 {
		return
	}
	t.query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var sequence int64
		var subject []byte
		e := &entryState{exists: true}
		err := rows.Scan((*[16]byte)(&id), &sequence, &e.kind, &subject)
		copy(e.subject[:], subject)
		j.accounts[id].entries[sequence] = e
		return err
	}, s.readEntries, accounts, sequences)
}

// judgeEntries judges the journal entries of the mutation.
func (a *accountState) judgeEntries(m *mutation) error {
	newest := a.newest
	for i := range m.journal {
		e := &m.journal[i]
		switch stored := a.entries[e.Sequence]; {
		case e.Sequence == 0:
			newest++
		case m.verbatim && e.Sequence > newest:
			newest = e.Sequence
		case stored != nil && stored.exists && stored.kind == e.Kind && stored.subject == e.Subject:
		case m.verbatim:
			return contacts.ErrExists
		default:
			return contacts.ErrNotFound
		}
	}
	return nil
}

// append keeps the journal entries of a mutation that passed.
func (a *accountState) append(m *mutation) {
	for _, e := range m.journal {
		if stored := a.entries[e.Sequence]; stored != nil && stored.exists {
			stored.replaced, stored.data = true, e.Data
			continue
		}
		if e.Sequence == 0 {
			e.Sequence = a.newest + 1
		}
		a.newest = e.Sequence
		a.entries[e.Sequence] = &entryState{exists: true, kind: e.Kind, subject: e.Subject, appended: &e}
	}
}

// writeJournal queues the new and the replaced entries, and the newest numbers.
func (j *judge) writeJournal(t *transaction, s *statements) {
	var appended, replaced journalRows
	var accounts []pgtype.UUID
	var newest []int64
	for id, a := range j.accounts {
		if a.newest != a.sequence {
			accounts, newest = append(accounts, pgUUID(id)), append(newest, a.newest)
		}
		for sequence, st := range a.entries {
			switch {
			case st.appended != nil:
				e := *st.appended
				if st.replaced {
					e.Data = st.data
				}
				appended = append(appended, journalRow{account: id, JournalEntry: e})
			case st.replaced:
				replaced = append(replaced, journalRow{account: id, JournalEntry: contacts.JournalEntry{Sequence: sequence, Data: st.data}})
			}
		}
	}
	if len(replaced) > 0 {
		replaced.sort()
		t.exec(s.replaceEntries, replaced.accounts(), replaced.sequences(), column(replaced, func(r journalRow) string { return r.Data }))
	}
	if len(appended) > 0 {
		appended.sort()
		t.exec(s.appendEntries, append([]any{appended.accounts(), appended.sequences()}, appended.rest()...)...)
	}
	if len(accounts) > 0 {
		t.exec(s.writeStates, accounts, newest)
	}
}

// A journalRow is an entry of an account.
type journalRow struct {
	account uuid.UUID
	contact uuid.UUID // that it is stored with, if it is an entry of a plain create
	contacts.JournalEntry
}

type journalRows []journalRow

func (rows journalRows) sort() {
	slices.SortFunc(rows, func(a, b journalRow) int {
		return cmp.Or(compareIDs(a.account, b.account), cmp.Compare(a.Sequence, b.Sequence))
	})
}

func (rows journalRows) accounts() []pgtype.UUID {
	return column(rows, func(r journalRow) pgtype.UUID { return pgUUID(r.account) })
}

func (rows journalRows) sequences() []int64 {
	return column(rows, func(r journalRow) int64 { return r.Sequence })
}

// rest returns the columns after the account and the sequence.
func (rows journalRows) rest() []any {
	return []any{
		column(rows, func(r journalRow) int16 { return int16(r.Kind) }),
		column(rows, func(r journalRow) int64 { return head(r.Subject) }),
		column(rows, func(r journalRow) []byte { return r.Subject[:] }),
		column(rows, func(r journalRow) int64 { return micros(r.At) }),
		column(rows, func(r journalRow) int64 { return micros(r.EndsAt) }),
		column(rows, func(r journalRow) string { return r.Data }),
	}
}

// head returns the first 8 bytes of a subject, which are in the index.
func head(subject [32]byte) int64 { return int64(binary.BigEndian.Uint64(subject[:])) }

// journalKinds are those of the journal's entries.
var journalKinds = []int16{int16(contacts.JournalEvent), int16(contacts.JournalDoNotCall), int16(contacts.JournalErasure)}

// ListJournal implements [contacts.Store].
func (s *Store) ListJournal(ctx context.Context, q contacts.JournalQuery) ([]contacts.JournalEntry, error) {
	const op = "postgres: list journal: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	if isFew(&q) {
		q.Subjects = slices.Clone(q.Subjects) // a call that gives up leaves its search to others
		search := &search{ofEntries: &q}
		if err := s.find(ctx, search); err != nil {
			return nil, fmt.Errorf(op, err)
		}
		if !search.tooMany {
			return search.entries, nil
		}
	}
	var entries []contacts.JournalEntry
	b := journalQuery(&q)
	err := s.read(ctx, func() error {
		entries = nil
		return s.query(ctx, q.AccountID, func(rows pgx.Rows) error {
			e, err := scanEntry(rows)
			entries = append(entries, e)
			return err
		}, s.sql(b.text.String()), b.args...)
	})
	if err != nil {
		return nil, fmt.Errorf(op, classify(ctx, err))
	}
	return entries, nil
}

func journalQuery(q *contacts.JournalQuery) *queryBuilder {
	var b queryBuilder
	b.add("SELECT " + entryColumns + " FROM {schema}.journal AS j")
	sequence := "j.sequence"
	if q.Subjects != nil {
		// A server without statistics would compare a list of heads, or the sequence,
		// with every entry of the account. So rows are looked up one by one, and what
		// is compared with the sequence is in no index.
		sequence = "(j.sequence + 0)"
		kinds, heads, subjects := wantedSubjects(q)
		b.add(" JOIN (SELECT * FROM unnest(?::smallint[], ?::bigint[], ?::bytea[]) AS given LIMIT ?) AS n (kind, head, subject)"+
			" ON j.kind = n.kind AND j.head = n.head AND j.subject = n.subject", kinds, heads, subjects, int64(len(heads)))
	}
	b.add(" WHERE j.account_id = ?", pgUUID(q.AccountID))
	switch {
	case q.Subjects != nil: // which have their kinds
	case q.Kind == contacts.JournalErasure:
		b.add(" AND j.kind = 3") // as the index of erasures says it
	case q.Kind != 0:
		b.add(" AND j.kind = ?", int16(q.Kind))
	}
	switch {
	case !q.Backwards:
		b.add(" AND "+sequence+" > ? ORDER BY "+sequence, q.After)
	case q.After != 0:
		b.add(" AND "+sequence+" < ? ORDER BY "+sequence+" DESC", q.After)
	default:
		b.add(" ORDER BY " + sequence + " DESC")
	}
	b.add(" LIMIT ?", int64(q.Limit))
	return &b
}

// wantedSubjects returns the columns of what a query looks for in journal_subject, each
// row once.
func wantedSubjects(q *contacts.JournalQuery) (kinds []int16, heads []int64, subjects [][]byte) {
	of := journalKinds
	if q.Kind != 0 {
		of = []int16{int16(q.Kind)}
	}
	seen := make(map[[32]byte]bool, len(q.Subjects))
	for _, s := range q.Subjects {
		if seen[s] {
			continue
		}
		seen[s] = true
		for _, kind := range of {
			kinds, heads, subjects = append(kinds, kind), append(heads, head(s)), append(subjects, bytes.Clone(s[:]))
		}
	}
	return kinds, heads, subjects
}

// scanEntry reads entryColumns, after the columns for which it gets places.
func scanEntry(rows pgx.Rows, before ...any) (e contacts.JournalEntry, err error) {
	var kind int16
	var subject []byte
	var at, endsAt int64
	err = rows.Scan(append(before, &e.Sequence, &kind, &subject, &at, &endsAt, &e.Data)...)
	copy(e.Subject[:], subject)
	e.Kind, e.At, e.EndsAt = contacts.JournalKind(kind), instant(at), instant(endsAt)
	return e, err
}
