//go:build cgo

package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

// A listing finds the contacts of an account in one of four ways: it walks
// through those that are not deleted, or through those that are, in the order of
// their ids; or it reads those that the look-ups name; or it reads those that it
// has chosen before. Every filter is a condition on the row in each of them. The
// indexes are named, so that the way does not depend on what an ANALYZE has left
// in the file.
var (
	eitherSQL  = `iif(:deleted, c.deleted_at IS NOT NULL AND (:deleted_before IS NULL OR c.deleted_at < :deleted_before), c.deleted_at IS NULL)`
	livingSQL  = ` FROM contact_data AS c INDEXED BY sqlite_autoindex_contact_data_1 WHERE c.deleted_at IS NULL`
	deletedSQL = ` FROM contact_data AS c INDEXED BY contact_deleted WHERE c.deleted_at IS NOT NULL
		AND (:deleted_before IS NULL OR c.deleted_at < :deleted_before)`

	// The look-ups, and the contacts that are not in them yet: those that were
	// found in memory, and the rest.
	foundSQL = ` FROM contact_data AS c NOT INDEXED WHERE c.seq IN (
			SELECT seq FROM lookup WHERE account = :number AND kind = :kind AND value = :value
			UNION ALL SELECT value FROM json_each(:seqs)
			UNION ALL SELECT seq FROM contact_data WHERE seq > coalesce(:tail, (SELECT seq FROM lookup_state WHERE one = 1)))
		AND ` + eitherSQL

	chosenSQL = ` FROM contact_data AS c NOT INDEXED WHERE c.seq IN (SELECT value FROM json_each(:seqs))
		AND ` + eitherSQL

	// NULL matches everything.
	filtersSQL = ` AND c.account = :number
		AND (:all_teams OR c.team_id IS NULL OR c.team_id IN (SELECT value FROM json_each(:teams)))
		AND (:team IS NULL OR c.team_id = :team)
		AND (:status IS NULL OR c.status = :status)
		AND (:stage IS NULL OR c.stage = :stage)
		AND (:email IS NULL OR c.email = :email)
		AND (:external IS NULL OR c.external_id = :external)
		AND (:phone IS NULL OR EXISTS (SELECT 1 FROM json_each(c.phones) AS p WHERE p.value ->> 1 = :phone))
		AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(c.tags) AS t WHERE t.value = :tag))
		AND (:updated_after IS NULL OR c.updated_at > :updated_after)
		AND (:word IS NULL OR instr(` + foldedSQL + `, :word))
		AND (:words IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(:words) AS w WHERE NOT instr(` + foldedSQL + `, w.value)))`

	// A part of the ids.
	partSQL = ` AND c.id < :before AND c.id >= :from`
	pageSQL = partSQL + ` ORDER BY c.id DESC LIMIT :limit OFFSET :skip`

	listLivingSQL  = listSQL(`SELECT ` + contactColumns + livingSQL + filtersSQL + pageSQL)
	listDeletedSQL = listSQL(`SELECT ` + contactColumns + deletedSQL + filtersSQL + pageSQL)
	listFoundSQL   = listSQL(`SELECT ` + contactColumns + foundSQL + filtersSQL + pageSQL)
	listChosenSQL  = listSQL(`SELECT ` + contactColumns + chosenSQL + filtersSQL + pageSQL)

	countLivingSQL  = listSQL(`SELECT count(*)` + livingSQL + filtersSQL + partSQL)
	countDeletedSQL = listSQL(`SELECT count(*)` + deletedSQL + filtersSQL + partSQL)
	countFoundSQL   = listSQL(`SELECT count(*)` + foundSQL + filtersSQL)
	countChosenSQL  = listSQL(`SELECT count(*)` + chosenSQL + filtersSQL)

	// The count of an account without any filter reads no rows.
	countAllSQL = listSQL(`SELECT (SELECT count(*) FROM contact_data WHERE account = :number)
		- (SELECT count(*) FROM contact_data INDEXED BY contact_deleted WHERE account = :number AND deleted_at IS NOT NULL)`)
)

const (
	// The last id of a part: after an id, past a number of others. They read no
	// rows.
	endLivingSQL = `SELECT id FROM contact_data INDEXED BY sqlite_autoindex_contact_data_1
		WHERE account = ` + accountSQL + ` AND id < ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3`
	endDeletedSQL = `SELECT id FROM contact_data INDEXED BY contact_deleted
		WHERE account = ` + accountSQL + ` AND id < ?2 AND deleted_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?3`

	// What is chosen before: rows of lookupColumns, to see the keys of the contact.
	chooseIDsSQL = `SELECT ` + lookupColumns + ` FROM contact_data WHERE account = ` + accountSQL + `
		AND id IN (SELECT unhex(value) FROM json_each(?2))`
	chooseKeysSQL = `SELECT ` + lookupColumns + ` FROM contact_data NOT INDEXED WHERE seq IN (
		SELECT value FROM json_each(?2)) AND account = ` + accountSQL
	chooseExpiredSQL = `SELECT seq FROM contact_data INDEXED BY contact_deleted_at
		WHERE account = ` + accountSQL + ` AND deleted_at IS NOT NULL AND deleted_at < ?2 LIMIT ?3`
)

// A listArg is a parameter of the statements that list contacts.
type listArg int

const (
	argAccount listArg = iota
	argAllTeams
	argTeams
	argTeam
	argStatus
	argStage
	argEmail
	argExternalID
	argPhone
	argTag
	argDeletedBefore
	argUpdatedAfter
	argWord   // of a search: the longest
	argWords  // and the others
	argBefore // the part of the ids
	argFrom
	argKind // of the look-ups
	argValue
	argSeqs
	argTail
	argDeleted
	argLimit
	argSkip
	listArgCount
)

// listSQL numbers the parameters of a statement that lists contacts. The number
// of its account is found by the first of them.
func listSQL(named string) string {
	names := [listArgCount]string{
		argAccount: ":account", argAllTeams: ":all_teams", argTeams: ":teams", argTeam: ":team",
		argStatus: ":status", argStage: ":stage", argEmail: ":email", argExternalID: ":external", argPhone: ":phone", argTag: ":tag",
		argDeletedBefore: ":deleted_before", argUpdatedAfter: ":updated_after", argWord: ":word", argWords: ":words",
		argBefore: ":before", argFrom: ":from",
		argKind: ":kind", argValue: ":value", argSeqs: ":seqs", argTail: ":tail", argDeleted: ":deleted",
		argLimit: ":limit", argSkip: ":skip",
	}
	named = strings.ReplaceAll(named, ":number", "(SELECT n FROM account WHERE id = :account)")
	// The longest name first: one may begin with another.
	order := make([]listArg, listArgCount)
	for i := range order {
		order[i] = listArg(i)
	}
	slices.SortFunc(order, func(a, b listArg) int { return len(names[b]) - len(names[a]) })
	for _, a := range order {
		named = strings.ReplaceAll(named, names[a], "?"+strconv.Itoa(int(a)+1))
	}
	return named
}

// listArgs are the arguments of the statements that list contacts. A statement
// takes those up to its last parameter.
type listArgs []driver.Value

func (c *conn) list(ctx context.Context, q query, args listArgs) ([][]driver.Value, error) {
	s, err := c.statement(q)
	if err != nil {
		return nil, err
	}
	return s.rows(ctx, args[:s.NumInput()])
}

// count runs a statement that counts.
func (c *conn) count(ctx context.Context, q query, args listArgs) (int64, error) {
	rows, err := c.list(ctx, q, args)
	if err != nil {
		return 0, err
	}
	return integer(rows[0][0]), nil
}

// A walk shows at most defaultWalkPart contacts in one state of the file, and
// goes on in the next: as long as a state is shown, the -wal file cannot be begun
// anew, and grows by all that is written. The first part is small, since most
// pages are full soon.
const (
	defaultWalkPart = 20_000
	firstWalkPart   = 512
)

// The search text of a row, as contacts.FoldSearch has it. ASCII, which most of
// it is, takes no call of a Go function. It keeps its white space and its commas,
// which no word of a search has.
const (
	searchTextSQL = `(c.first_name || ' ' || coalesce(c.last_name, '') || ' ' || coalesce(c.company, '') || ' ' || coalesce(c.email, ''))`
	foldFunction  = `contacts_fold_search`
	foldedSQL     = `iif(octet_length(` + searchTextSQL + `) = length(` + searchTextSQL + `), lower(` + searchTextSQL + `), ` + foldFunction + `(` + searchTextSQL + `))`
)

// register gives a connection the function of foldedSQL. No other connection of
// the program gets it.
func register(fold func(string) string) func(*sqlite3.SQLiteConn) error {
	return func(c *sqlite3.SQLiteConn) error { return c.RegisterFunc(foldFunction, fold, true) }
}

// defaultMaxLookupHits is up to how many hits of the look-ups a page is made of.
// With more, it is made by walking: if many contacts have a value, a page of them
// is soon full, and sorting all hits would cost more.
const defaultMaxLookupHits = 8192

// ListContacts implements [contacts.Store].
func (s *Store) ListContacts(ctx context.Context, q contacts.ContactQuery) (contacts.ContactList, error) {
	const op = "sqlite: list contacts: %w"
	if err := s.gate.Enter(); err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	find := s.listContacts
	if q.Shared != "" {
		find = s.listGroups
	}
	list, err := find(ctx, &q)
	if err != nil {
		return contacts.ContactList{}, fmt.Errorf(op, classify(err))
	}
	return list, nil
}

func (s *Store) listContacts(ctx context.Context, q *contacts.ContactQuery) (list contacts.ContactList, err error) {
	args, err := encodeQuery(q)
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
	if by.unmerged >= int64(s.index.catchUpAfter) {
		s.index.catchUp(s.writer)
	}
	for _, row := range rows {
		r, damaged := decodeContact(q.AccountID, row)
		list.Records = append(list.Records, r)
		if damaged != nil {
			list.Damaged = append(list.Damaged, damaged)
		}
	}
	return list, nil
}

// page returns the rows of a page.
func (s *Store) page(ctx context.Context, by *way, args listArgs, limit, skip int) (all [][]driver.Value, err error) {
	for w := s.newWalk(by, by.listEnd, args); !w.done && len(all) < limit; {
		var rows [][]driver.Value
		var skipped int64
		err := w.part(ctx, func(c *conn, size int, last bool) (err error) {
			rows, skipped = nil, 0
			if skip < size { // otherwise all of it is skipped
				w.args[argLimit], w.args[argSkip] = int64(limit-len(all)), int64(skip)
				if rows, err = c.list(ctx, by.list, w.args); err != nil || len(rows) > 0 {
					skipped = int64(skip)
					return err
				}
			}
			if skip > 0 && !last {
				skipped, err = c.count(ctx, by.walked, w.args)
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

// count returns how many contacts match, on all pages. A count that is made in
// more than one part is not of one moment.
func (s *Store) count(ctx context.Context, by *way, args listArgs) (int, error) {
	n := int64(0)
	w := s.newWalk(by, by.countEnd, args)
	for w.args[argBefore] = beforeAll; !w.done; {
		var more int64
		err := w.part(ctx, func(c *conn, _ int, _ bool) (err error) {
			more, err = c.count(ctx, by.count, w.args)
			return err
		})
		if err != nil {
			return 0, err
		}
		n += more
	}
	return int(n), nil
}

// A walk goes through the ids of an account, a part of them in each snapshot.
type walk struct {
	readers *readers
	choose  func(context.Context, *conn, listArgs) error
	end     query    // of a part; noQuery: there is one part, which is all
	args    listArgs // for the next part
	size    int      // of the next part, at most
	max     int
	done    bool
}

func (s *Store) newWalk(by *way, end query, args listArgs) *walk {
	return &walk{readers: s.readers, choose: by.choose, end: end, args: slices.Clone(args), size: min(firstWalkPart, s.walkPart), max: s.walkPart}
}

// part runs f for the next part, and tells it how many ids that has at most, and
// whether it is the last. f may be run again, from the start.
func (w *walk) part(ctx context.Context, f func(c *conn, size int, last bool) error) error {
	var end driver.Value
	err := w.readers.snapshot(ctx, func(c *conn) error {
		if w.choose != nil {
			if err := w.choose(ctx, c, w.args); err != nil {
				return err
			}
		}
		if w.end == noQuery {
			return f(c, math.MaxInt, true)
		}
		ends, err := c.rows(ctx, w.end, w.args[argAccount], w.args[argBefore], int64(w.size-1))
		if err != nil {
			return err
		}
		end, w.args[argFrom] = nil, afterAll
		if len(ends) > 0 {
			end, w.args[argFrom] = ends[0][0], ends[0][0]
		}
		return f(c, w.size, end == nil)
	})
	w.args[argBefore], w.done = end, end == nil
	w.size = min(8*w.size, w.max)
	return err
}

// A way is how a listing finds its contacts, and how it counts them.
type way struct {
	list, count       query
	listEnd, countEnd query // of a walk's parts
	walked            query // counts the contacts of a part
	unmerged          int64 // contacts that it may read because they are not in the look-ups

	// choose sets what the arguments say of single contacts, by the state of the
	// file that the connection shows. nil: they say nothing.
	choose func(context.Context, *conn, listArgs) error
}

// chooseWay returns the way that reads the fewest contacts.
func (s *Store) chooseWay(ctx context.Context, q *contacts.ContactQuery, args listArgs) (way, error) {
	w := way{list: listLiving, count: countLiving, listEnd: endLiving}
	if q.Deleted {
		w = way{list: listDeleted, count: countDeleted, listEnd: endDeleted}
	}
	w.walked, w.countEnd = w.count, w.listEnd
	if q.IDs != nil || q.MatchKeys != nil {
		return way{list: listChosen, count: countChosen, choose: s.chooseNamed(q)}, nil
	}
	if e := lookupOf(q); e.kind != 0 {
		reach, err := s.readers.row(ctx, lookupReach, args[argAccount], int64(e.kind), e.value, int64(s.maxLookupHits+1))
		if err != nil {
			return w, err
		}
		w.count, w.countEnd, w.choose = countFound, noQuery, s.chooseUnmerged(e)
		few := integer(reach[0]) <= int64(s.maxLookupHits)
		if few {
			w.list, w.listEnd = listFound, noQuery
		}
		if few || q.Count {
			w.unmerged = integer(reach[1])
		}
		return w, nil
	}
	if q.Deleted && !q.DeletedBefore.IsZero() {
		expired, err := s.readers.rows(ctx, chooseExpired, args[argAccount], args[argDeletedBefore], int64(s.maxLookupHits+1))
		if err != nil || len(expired) > s.maxLookupHits {
			return w, err
		}
		return way{list: listChosen, count: countChosen, choose: chooseExpiredOnes}, nil
	}
	if !q.Deleted && q.DeletedBefore.IsZero() && q.AllTeams && q.TeamID == 0 && q.Status == "" && q.Stage == "" && q.Search == "" && q.UpdatedAfter.IsZero() {
		w.count, w.countEnd = countAll, noQuery
	}
	return w, nil
}

// chooseNamed chooses the contacts that have one of the query's ids, and one of
// its match keys.
func (s *Store) chooseNamed(q *contacts.ContactQuery) func(context.Context, *conn, listArgs) error {
	wanted := make(map[contacts.MatchKey]bool)
	var entries []lookup
	for _, k := range q.MatchKeys {
		wanted[k] = true
		entries = append(entries, lookupOfKey(k))
	}
	return func(ctx context.Context, c *conn, args listArgs) error {
		var rows [][]driver.Value
		var err error
		if q.IDs != nil {
			rows, err = c.rows(ctx, chooseIDs, args[argAccount], jsonHex(q.IDs, func(id *uuid.UUID) []byte { return id[:] }))
		} else {
			rows, err = s.rowsWithEntries(ctx, c, q.AccountID, entries)
		}
		if err != nil {
			return err
		}
		var chosen []int64
		for _, row := range rows {
			if q.MatchKeys == nil || slices.ContainsFunc(matchKeysOf(row), func(k contacts.MatchKey) bool { return wanted[k] }) {
				chosen = append(chosen, integer(row[0]))
			}
		}
		args[argSeqs] = jsonNumbers(chosen)
		return nil
	}
}

// rowsWithEntries returns rows of lookupColumns, of the contacts that may have one
// of the entries.
func (s *Store) rowsWithEntries(ctx context.Context, c *conn, accountID uuid.UUID, entries []lookup) ([][]driver.Value, error) {
	seqs, err := s.unmergedHits(c, accountID[:], entries)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if seqs, err = c.appendHits(ctx, seqs, e); err != nil {
			return nil, err
		}
	}
	return c.rows(ctx, chooseKeys, accountID[:], jsonNumbers(seqs))
}

// appendHits appends the contacts that the look-ups name for an entry.
func (c *conn) appendHits(ctx context.Context, seqs []int64, e lookup) ([]int64, error) {
	err := c.each(findHits, func(row []driver.Value) bool {
		seqs = append(seqs, integer(row[0]))
		return ctx.Err() == nil
	}, e.account, int64(e.kind), e.value)
	return seqs, cmp.Or(err, ctx.Err())
}

// unmergedHits sets the account of the entries, and returns its contacts that may have
// one of them and that the look-ups may not name yet.
func (s *Store) unmergedHits(c *conn, accountID driver.Value, entries []lookup) ([]int64, error) {
	account, err := c.number(accountNumber, accountID)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].account = account
	}
	return s.unmerged.candidates(c, entries, nil)
}

// chooseUnmerged chooses the contacts that may have the entry and are not in the
// look-ups yet, if their keys are kept in memory.
func (s *Store) chooseUnmerged(e lookup) func(context.Context, *conn, listArgs) error {
	if e.kind == byTag {
		return nil // match keys alone are known
	}
	return func(_ context.Context, c *conn, args listArgs) error {
		if !s.unmerged.inUse() {
			return nil
		}
		seqs, err := s.unmergedHits(c, args[argAccount], []lookup{e})
		args[argSeqs], args[argTail] = jsonNumbers(seqs), int64(math.MaxInt64)
		return err
	}
}

// chooseExpiredOnes chooses the contacts that were deleted before the time that
// is asked for.
func chooseExpiredOnes(ctx context.Context, c *conn, args listArgs) error {
	rows, err := c.rows(ctx, chooseExpired, args[argAccount], args[argDeletedBefore], int64(math.MaxInt64))
	if err != nil {
		return err
	}
	seqs := make([]int64, len(rows))
	for i, row := range rows {
		seqs[i] = integer(row[0])
	}
	args[argSeqs] = jsonNumbers(seqs)
	return nil
}

// lookupOf returns the entry by which the look-ups find the query's contacts. Its
// kind is 0 if they do not.
func lookupOf(q *contacts.ContactQuery) lookup {
	switch {
	case q.PhoneNumber != "":
		return newLookup(byPhone, q.PhoneNumber)
	case q.ExternalID != "":
		return newLookup(byExternalID, q.ExternalID)
	case q.Email != "":
		return newLookup(byEmail, contacts.MatchEmail(q.Email))
	case q.Tag != "":
		return newLookup(byTag, q.Tag)
	default:
		return lookup{}
	}
}

// beforeAll is a position before every id, and afterAll one after every id.
var (
	beforeAll = bytes.Repeat([]byte{0xff}, len(uuid.UUID{})+1)
	afterAll  = []byte{}
)

// encodeQuery returns the arguments of the statements that list contacts.
func encodeQuery(q *contacts.ContactQuery) (listArgs, error) {
	teams, err := encodeJSON(q.Teams)
	if err != nil {
		return nil, err
	}
	args := make(listArgs, listArgCount)
	args[argAccount], args[argAllTeams], args[argTeams] = q.AccountID[:], q.AllTeams, teams
	args[argTeam], args[argStatus], args[argStage] = number(q.TeamID), optional(q.Status), optional(q.Stage)
	args[argEmail], args[argPhone], args[argTag] = optional(q.Email), optional(q.PhoneNumber), optional(q.Tag)
	args[argExternalID] = optional(q.ExternalID)
	if args[argWord], args[argWords], err = encodeWords(q.SearchWords()); err != nil {
		return nil, err
	}
	args[argDeleted], args[argDeletedBefore], args[argUpdatedAfter] = q.Deleted, micros(q.DeletedBefore), micros(q.UpdatedAfter)
	args[argBefore], args[argFrom] = beforeAll, afterAll
	if q.After != uuid.Nil {
		args[argBefore] = q.After[:]
	}
	e := lookupOf(q)
	args[argKind], args[argValue] = int64(e.kind), e.value
	args[argLimit], args[argSkip] = int64(q.Limit), int64(q.Skip)
	return args, nil
}

// encodeWords returns the longest word, which the fewest contacts have, and the
// others.
func encodeWords(words []string) (longest, others driver.Value, err error) {
	if len(words) == 0 {
		return nil, nil, nil
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	others, err = encodeJSON(words[1:])
	return words[0], others, err
}

// jsonNumbers returns a JSON array.
func jsonNumbers(numbers []int64) string {
	b := []byte{'['}
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(append(b, ']'))
}
