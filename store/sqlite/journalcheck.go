//go:build cgo

package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"

	"github.com/google/uuid"

	"example.com/contacts/store/internal/checkup"
)

const (
	entryRowsAfterSQL = `SELECT ` + rowColumns + `, n, (SELECT id FROM account WHERE n = journal.account) FROM journal WHERE n > ? ORDER BY n LIMIT ?`
	findSubjectSQL    = `SELECT EXISTS (SELECT 1 FROM journal_subject WHERE head = ? AND account = ? AND kind = ? AND sequence = ?)`
)

// A missingSubject is an entry that is not found by its subject.
type missingSubject struct {
	subjectEntry
	accountID uuid.UUID // zero: there is none
}

func (s subjectEntry) compare(o subjectEntry) int {
	return cmp.Or(cmp.Compare(s.head, o.head), cmp.Compare(s.account, o.account), cmp.Compare(s.kind, o.kind), cmp.Compare(s.sequence, o.sequence))
}

// missingSubjects calls f with each entry that is not found by its subject, after the
// state that it was seen in is let go. A row of journal_subject without an entry does no
// harm.
func (s *Store) missingSubjects(ctx context.Context, f func(missingSubject) error) error {
	return inPages(int64(0), func(from int64) (page []missingSubject, last int64, err error) {
		err = s.seeing(ctx, func(c *conn) error {
			page, last = nil, from
			rows, err := c.rows(ctx, entryRowsAfter, from, int64(checkPage/rowSize))
			if err != nil {
				return err
			}
			for _, row := range rows {
				r, err := decodeEntryRow(row)
				if err != nil {
					return err
				}
				last = integer(row[rowValues])
				for i := range r.len() {
					found, err := c.number(findSubject, r.subjectEntry(i).values(nil)...)
					if err != nil {
						return err
					}
					if found == 0 {
						page = append(page, missingSubject{r.subjectEntry(i), id(row[rowValues+1])})
					}
				}
			}
			return nil
		})
		return page, last, err
	}, f)
}

// checkSubjects looks up each entry of the journals by its subject.
func (s *Store) checkSubjects(ctx context.Context, deep bool, found checkup.Found) error {
	if !deep {
		return nil
	}
	return s.missingSubjects(ctx, func(m missingSubject) error { return found(checkup.SubjectMissing(m.accountID, m.sequence)) })
}

// repairSubjects has entries found by their subject, if they are still there.
func repairSubjects(c *writeConn, entries []subjectEntry) error {
	for _, e := range entries {
		var row [2]driver.Value
		found, err := c.row(findEntry, row[:], e.account, e.sequence)
		if err != nil {
			return err
		}
		subject := blob(row[1])
		if !found || len(subject) < subjectSize || headOf(subject) != e.head {
			continue // it has ended and was removed
		}
		there, err := c.number(findSubject, e.values(nil)...)
		if err == nil && there == 0 {
			err = c.exec(insertSubject, e.values(nil)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
