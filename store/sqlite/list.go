//go:build cgo

package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A listing takes one of three ways to the contacts of an account: in the order
// of their ids past those that were not deleted, or past those that were, or to
// those that the look-ups name. On each of them every filter is a condition on
// the row. The indexes are named, so that the way does not depend on what
// somebody's ANALYZE has left in the file.
const (
	livingSQL  = ` FROM contact_data AS c INDEXED BY sqlite_autoindex_contact_data_1 WHERE c.deleted_at IS NULL`
	deletedSQL = ` FROM contact_data AS c INDEXED BY contact_deleted WHERE c.deleted_at IS NOT NULL`

	// The look-ups, and the contacts that are not in them yet.
	foundSQL = ` FROM contact_data AS c NOT INDEXED WHERE c.seq IN (
			SELECT seq FROM lookup WHERE account = ` + accountSQL + ` AND kind = ?13 AND value = ?14
			UNION ALL SELECT seq FROM contact_data WHERE seq > (SELECT seq FROM lookup_state WHERE one = 1))
		AND (c.deleted_at IS NOT NULL) = ?15`

	// The arguments are those of encodeFilters. NULL matches everything.
	filtersSQL = ` AND c.account = ` + accountSQL + `
		AND (?2 OR c.team_id IS NULL OR c.team_id IN (SELECT value FROM json_each(?3)))
		AND (?4 IS NULL OR c.team_id = ?4)
		AND (?5 IS NULL OR c.status = ?5)
		AND (?6 IS NULL OR c.stage = ?6)
		AND (?7 IS NULL OR c.email = ?7)
		AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(c.phones) AS p WHERE p.value ->> 1 = ?8))
		AND (?9 IS NULL OR EXISTS (SELECT 1 FROM json_each(c.tags) AS t WHERE t.value = ?9))
		AND (?10 IS NULL OR instr(` + foldedSQL + `, ?10))`

	// A part of the ids.
	partSQL = ` AND c.id < ?11 AND c.id >= ?12`
	pageSQL = partSQL + ` ORDER BY c.id DESC LIMIT ?16 OFFSET ?17`

	listLivingSQL  = `SELECT ` + contactColumns + livingSQL + filtersSQL + pageSQL
	listDeletedSQL = `SELECT ` + contactColumns + deletedSQL + filtersSQL + pageSQL
	listFoundSQL   = `SELECT ` + contactColumns + foundSQL + filtersSQL + pageSQL

	countLivingSQL  = `SELECT count(*)` + livingSQL + filtersSQL + partSQL
	countDeletedSQL = `SELECT count(*)` + deletedSQL + filtersSQL + partSQL
	countFoundSQL   = `SELECT count(*)` + foundSQL + filtersSQL

	// The last id of a part: behind an id, past so many others. They read no rows.
	endLivingSQL = `SELECT id FROM contact_data INDEXED BY sqlite_autoindex_contact_data_1
		WHERE account = ` + accountSQL + ` AND id < ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3`
	endDeletedSQL = `SELECT id FROM contact_data INDEXED BY contact_deleted
		WHERE account = ` + accountSQL + ` AND id < ?2 AND deleted_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?3`

	// That of an account without any filter reads no rows.
	countAllSQL = `SELECT (SELECT count(*) FROM contact_data WHERE account = ` + accountSQL + `)
		- (SELECT count(*) FROM contact_data INDEXED BY contact_deleted WHERE account = ` + accountSQL + ` AND deleted_at IS NOT NULL)`
)

// How many of the arguments of encodeFilters a statement has.
const (
	countAllArgs   = 1
	countArgs      = 12
	countFoundArgs = 15
)

// Where some of them are.
const (
	argBefore = 10 // the part of the ids
	argFrom   = 11
	argLimit  = 15
	argSkip   = 16
)

// A walk shows at most defaultPart contacts in one state of the file, and goes on
// in the next: while a state is being shown, the -wal file cannot be begun anew,
// and grows by all that is written. The first part is a small one, since most
// pages are full soon.
const (
	defaultPart = 20_000
	firstPart   = 512
)

// The search text of a row, as contacts.FoldSearch has it. ASCII, which most of
// it is, takes no call of a Go function.
const (
	searchTextSQL = `(c.first_name || ' ' || coalesce(c.last_name, '') || char(10) || coalesce(c.company, '') || char(10) || coalesce(c.email, ''))`
	foldFunction  = `contacts_fold_search`
	foldedSQL     = `iif(octet_length(` + searchTextSQL + `) = length(` + searchTextSQL + `), lower(` + searchTextSQL + `), ` + foldFunction + `(` + searchTextSQL + `))`
)

// register gives a connection the function of foldedSQL, which no other
// connection of the program gets.
func register(fold func(string) string) func(*sqlite3.SQLiteConn) error {
	return func(c *sqlite3.SQLiteConn) error { return c.RegisterFunc(foldFunction, fold, true) }
}

// defaultFound is up to how many entries of the look-ups a page is made of. With
// more, it is made by walking: where so many have a tag, a page of them is soon
// full, and sorting them all would cost more.
const defaultFound = 8192

// ListContacts implements [contacts.Store].
func (s *Store) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	const op = "sqlite: list contacts: %w"
	if err := s.enter(); err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	list, err := s.listContacts(ctx, &q)
	if err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, classify(err))
	}
	return list, nil
}

func (s *Store) listContacts(ctx context.Context, q *contacts.ContactQuery) (list contacts.ContactList, err error) {
	args, err := encodeFilters(q)
	if err != nil {
		return list, err
	}
	by, err := s.chooseWay(ctx, q, args)
	if err != nil {
		return list, err
	}
	rows, err := s.page(ctx, &by, args, q.Limit, q.Skip)
	switch {
	case err != nil || !q.Count:
	case q.After == uuid.Nil && len(rows) < q.Limit && (len(rows) > 0 || q.Skip == 0):
		list.Count = q.Skip + len(rows) // it is the last page
	default:
		list.Count, err = s.count(ctx, &by, args)
	}
	if err != nil {
		return contacts.ContactList{}, err
	}
	if by.behind >= int64(s.writer.index.behind) {
		s.writer.index.catchUp(s.writer)
	}
	for _, row := range rows {
		r, err := decodeContact(row)
		if err != nil {
			return contacts.ContactList{}, err
		}
		r.Contact.AccountID = q.AccountID
		list.Records = append(list.Records, r)
	}
	return list, nil
}

// page returns the rows of a page.
func (s *Store) page(ctx context.Context, by *way, args []driver.Value, limit, skip int) (all [][]driver.Value, err error) {
	for w := s.newWalk(by.listEnd, args); !w.done && len(all) < limit; {
		var rows [][]driver.Value
		var skipped int64
		err := w.part(ctx, func(c *readConn, size int, last bool) (err error) {
			rows, skipped = nil, 0
			if skip < size { // otherwise all of it is skipped
				w.args[argLimit], w.args[argSkip] = int64(limit-len(all)), int64(skip)
				if rows, err = c.rows(ctx, by.list, w.args); err != nil || len(rows) > 0 {
					skipped = int64(skip)
					return err
				}
			}
			if skip > 0 && !last {
				skipped, err = c.count(ctx, by.walked, w.args[:countArgs])
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		skip -= int(skipped)
	}
	return all, nil
}

// count returns how many contacts match, whatever the page. It is of one moment
// only where it is made in one part.
func (s *Store) count(ctx context.Context, by *way, args []driver.Value) (int, error) {
	n := int64(0)
	w := s.newWalk(by.countEnd, args)
	for w.args[argBefore] = beforeAll; !w.done; {
		var more int64
		err := w.part(ctx, func(c *readConn, _ int, _ bool) (err error) {
			more, err = c.count(ctx, by.count, w.args[:by.countArgs])
			return err
		})
		if err != nil {
			return 0, err
		}
		n += more
	}
	return int(n), nil
}

// count runs a statement that counts.
func (c *readConn) count(ctx context.Context, q query, args []driver.Value) (int64, error) {
	rows, err := c.rows(ctx, q, args)
	if err != nil {
		return 0, err
	}
	return integer(rows[0][0]), nil
}

// A walk goes through the ids of an account, a part of them in each snapshot.
type walk struct {
	readers *readers
	end     query          // of a part; noQuery: there is one part, which is all
	args    []driver.Value // of encodeFilters, for the next part
	size    int            // of the next part, at most
	most    int
	done    bool
}

func (s *Store) newWalk(end query, args []driver.Value) *walk {
	return &walk{readers: s.readers, end: end, args: slices.Clone(args), size: min(firstPart, s.part), most: s.part}
}

// part runs f for the next part, and tells it how many ids that has at most, and
// whether it is the last. f may be run again, from the start.
func (w *walk) part(ctx context.Context, f func(c *readConn, size int, last bool) error) error {
	var end driver.Value
	err := w.readers.snapshot(ctx, func(c *readConn) error {
		if w.end == noQuery {
			return f(c, math.MaxInt, true)
		}
		ends, err := c.rows(ctx, w.end, []driver.Value{w.args[0], w.args[argBefore], int64(w.size - 1)})
		if err != nil {
			return err
		}
		end, w.args[argFrom] = nil, behindAll
		if len(ends) > 0 {
			end, w.args[argFrom] = ends[0][0], ends[0][0]
		}
		return f(c, w.size, end == nil)
	})
	w.args[argBefore], w.done = end, end == nil
	w.size = min(8*w.size, w.most)
	return err
}

// A way is how a listing finds its contacts, and how it counts them.
type way struct {
	list, count       query
	listEnd, countEnd query // of a walk's parts
	walked            query // counts the contacts of a part
	countArgs         int
	behind            int64 // contacts that it may read for not being in the look-ups
}

// chooseWay returns the way that reads the fewest contacts.
func (s *Store) chooseWay(ctx context.Context, q *contacts.ContactQuery, args []driver.Value) (way, error) {
	w := way{list: listLiving, count: countLiving, listEnd: endLiving}
	if q.Deleted {
		w = way{list: listDeleted, count: countDeleted, listEnd: endDeleted}
	}
	w.walked, w.countEnd, w.countArgs = w.count, w.listEnd, countArgs
	kind, what := lookupOf(q)
	if kind != 0 {
		reach, err := s.readers.row(ctx, lookupReach, args[0], int64(kind), kind.value(what), int64(s.found+1))
		if err != nil {
			return w, err
		}
		w.count, w.countEnd, w.countArgs = countFound, noQuery, countFoundArgs
		few := integer(reach[0]) <= int64(s.found)
		if few {
			w.list, w.listEnd = listFound, noQuery
		}
		if few || q.Count {
			w.behind = integer(reach[1])
		}
		return w, nil
	}
	if !q.Deleted && q.AllTeams && q.TeamID == 0 && q.Status == "" && q.Stage == "" && q.Search == "" {
		w.count, w.countEnd, w.countArgs = countAll, noQuery, countAllArgs
	}
	return w, nil
}

// lookupOf returns what the look-ups find the query's contacts by, or 0.
func lookupOf(q *contacts.ContactQuery) (lookupKind, string) {
	switch {
	case q.PhoneNumber != "":
		return byPhone, q.PhoneNumber
	case q.Email != "":
		return byEmail, q.Email
	case q.Tag != "":
		return byTag, q.Tag
	default:
		return 0, ""
	}
}

// beforeAll is a position in front of every id, and behindAll one behind.
var (
	beforeAll = bytes.Repeat([]byte{0xff}, len(uuid.UUID{})+1)
	behindAll = []byte{}
)

// encodeFilters returns the arguments of the statements that list contacts.
func encodeFilters(q *contacts.ContactQuery) ([]driver.Value, error) {
	teams, err := encodeJSON(q.Teams)
	if err != nil {
		return nil, err
	}
	after := beforeAll
	if q.After != uuid.Nil {
		after = q.After[:]
	}
	kind, what := lookupOf(q)
	return []driver.Value{
		q.AccountID[:], q.AllTeams, teams, number(q.TeamID), optional(q.Status), optional(q.Stage),
		optional(q.Email), optional(q.PhoneNumber), optional(q.Tag), optional(q.Search),
		after, behindAll, int64(kind), kind.value(what), q.Deleted, int64(q.Limit), int64(q.Skip),
	}, nil
}
