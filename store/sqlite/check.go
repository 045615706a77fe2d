//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
	"example.com/contacts/store/internal/checkup"
)

// The accounts whose numbers of the journal are wrong.
const wrongNumbersSQL = `SELECT id, lowest, highest, newest FROM (SELECT id,
		(SELECT min(s) FROM (SELECT min(sequence) AS s FROM journal WHERE account = a.n
			UNION ALL SELECT min(sequence) FROM event_run WHERE account = a.n)) AS lowest,
		(SELECT max(s) FROM (SELECT max(sequence) AS s FROM journal WHERE account = a.n
			UNION ALL SELECT max(sequence) + length(contacts) / 16 - 1 FROM event_run WHERE account = a.n)) AS highest,
		coalesce((SELECT sequence FROM journal_state WHERE account = a.n), 0) AS newest FROM account AS a)
	WHERE lowest < 1 OR coalesce(highest, 0) <> newest`

// Check looks for what is wrong with what is stored, and yields each finding as it
// comes. It writes nothing itself. Look-ups may be merged meanwhile, as after each
// search. It holds a page of contacts or entries in memory. Other calls, and
// other processes, may write. An error ends it, also that of ctx.
//
// The codes of its findings are integrity, lookup_missing, lookup_extra and
// sequence_wrong, and those of [contacts.CheckStore]. integrity is what SQLite says:
// quick_check, or with deep integrity_check and foreign_key_check, which take longer.
// While one of these runs, and while the look-ups are compared with the contacts, the
// -wal file grows by all that is written. With deep, the index of idempotency keys is
// compared with their records too: its findings have the codes of the look-ups, and
// name no contact.
//
// [Inspect] finds what is wrong with the file and its place.
func (s *Store) Check(ctx context.Context, deep bool) iter.Seq2[contacts.Finding, error] {
	part := func(check func(context.Context, checkup.Found) error) checkup.Part {
		return func(found checkup.Found) error {
			if err := check(ctx, found); err != nil {
				return fmt.Errorf("sqlite: check: %w", classify(err))
			}
			return nil
		}
	}
	isDamage := func(err error) bool { return errors.Is(err, ErrCorrupt) }
	return checkup.Walk(ctx, s, isDamage,
		part(func(ctx context.Context, found checkup.Found) error { return s.checkIntegrity(ctx, deep, found) }),
		part(s.checkLookups),
		part(func(ctx context.Context, found checkup.Found) error { return s.checkHashes(ctx, deep, found) }),
		part(s.checkNumbers))
}

// checkIntegrity has SQLite check its file.
func (s *Store) checkIntegrity(ctx context.Context, deep bool, found checkup.Found) error {
	pragma := "PRAGMA quick_check"
	if deep {
		pragma = "PRAGMA integrity_check"
	}
	rows, err := s.once(ctx, pragma)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if said := text(row[0]); said != "ok" {
			if err := found(checkup.Integrity("SQLite says: " + strings.ReplaceAll(said, "\n", "; "))); err != nil {
				return err
			}
		}
	}
	if !deep {
		return nil
	}
	// A missing team is found with its contact.
	if rows, err = s.once(ctx, `SELECT DISTINCT "table", parent FROM pragma_foreign_key_check WHERE parent <> 'team'`); err != nil {
		return err
	}
	for _, row := range rows {
		if err := found(checkup.Integrity(fmt.Sprintf("a row of the table %s refers to one of %s that is not there", text(row[0]), text(row[1])))); err != nil {
			return err
		}
	}
	return nil
}

// checkLookups compares the look-ups with the contacts, both ways.
func (s *Store) checkLookups(ctx context.Context, found checkup.Found) error {
	return s.misfits(ctx, func(m misfit) error {
		if m.missing {
			return found(checkup.LookupMissing(m.accountID, m.contactID))
		}
		return found(checkup.LookupExtra(m.accountID, m.contactID))
	})
}

// checkHashes compares the hashes with the idempotency records, both ways.
func (s *Store) checkHashes(ctx context.Context, deep bool, found checkup.Found) error {
	if !deep {
		return nil
	}
	return s.wrongHashes(ctx, func(w wrongHash) error {
		if w.missing {
			return found(checkup.KeyMissing(w.accountID))
		}
		return found(checkup.KeyExtra(w.accountID))
	})
}

// checkNumbers compares the numbers of the journal with their counters.
func (s *Store) checkNumbers(ctx context.Context, found checkup.Found) error {
	rows, err := s.once(ctx, wrongNumbersSQL)
	if err != nil {
		return err
	}
	for _, row := range rows {
		n := checkup.Numbering{Lowest: integer(row[1]), Highest: integer(row[2]), Newest: integer(row[3])}
		if err := found(n.Wrong(id(row[0]))); err != nil {
			return err
		}
	}
	return nil
}

// seeing runs f with a connection that shows one state of the file, as
// [readers.snapshot] does. Close waits for f alone, and not for the whole check.
func (s *Store) seeing(ctx context.Context, f func(*conn) error) error {
	if err := s.gate.Enter(); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.readers.snapshot(ctx, f)
}

// once returns the rows of a statement that runs once on a connection.
func (s *Store) once(ctx context.Context, sql string) (rows [][]driver.Value, err error) {
	err = s.seeing(ctx, func(c *conn) error {
		prepared, err := c.db.Prepare(sql)
		if err != nil {
			return err
		}
		st := statement{SQLiteStmt: prepared.(*sqlite3.SQLiteStmt)}
		rows, err = st.rows(ctx, nil)
		return errors.Join(err, st.Close())
	})
	return rows, err
}
