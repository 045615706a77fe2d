//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// A query is one of the statements that run more than once on a connection.
type query int

const (
	noQuery query = iota

	// What reads.
	findKey
	findAccount
	findContact
	listAccounts
	listTeams
	listKeys
	listSettings
	directoryVersion
	lookupState
	lookupRows
	lookupReach
	findLookup
	findLookups
	countLookups
	listLookups
	lookupOwner
	listPacks
	listHashes
	findHash
	listLiving
	listDeleted
	listFound
	listChosen
	countLiving
	countDeleted
	countFound
	countChosen
	countAll
	endLiving
	endDeleted
	chooseIDs
	chooseKeys
	chooseExpired
	endShared
	sharedValues
	sharedContacts
	listJournal
	listJournalBackwards
	listErasures
	listErasuresBackwards
	listSubjects
	listSubjectsBackwards
	listFewSubjects
	listSoleSubject
	listSoleSubjectBackwards
	beginRead
	endRead

	// What judges a mutation, in a transaction that writes or in a dry run.
	judgeAccount
	judgeKey
	judgeContact
	findTeam
	findHashPacks
	findUsedHashes
	leastMoved
	packsAfter
	findPack
	findHits
	findHolder
	findJournal
	findEntry
	findRun

	// What writes.
	beginWrite
	dataVersion
	commitWrite
	rollback
	savepoint
	rollbackTo
	release
	insertAccount
	accountNumber
	insertTeam
	lastTeam
	insertKey
	insertSetting
	raiseSettings
	revokeKey
	disableAccount
	enableAccount
	insertContact
	updateContact
	deleteContact
	insertLookup
	insertLookups
	deleteLookup
	setLookup
	findMark
	noteLookup
	unnoteLookup
	notedLookups
	unnoteLookups
	insertPack
	endedPacks
	deletePack
	findMoved
	setMoved
	insertHash
	insertHashes
	deleteHash
	insertEntry
	replaceEntry
	insertRun
	replaceRun
	setNewest
	endedEntries
	deleteEntry
	endedRuns
	deleteRun
	raiseNumber
	writeHeader

	queries // how many there are
)

var statementSQL = planOnce([queries]string{
	findKey:                  findKeySQL,
	findAccount:              findAccountSQL,
	findContact:              findContactSQL,
	listAccounts:             listAccountsSQL,
	listTeams:                listTeamsSQL,
	listKeys:                 listKeysSQL,
	listSettings:             listSettingsSQL,
	directoryVersion:         directoryVersionSQL,
	lookupState:              lookupStateSQL,
	lookupRows:               lookupRowsSQL,
	lookupReach:              lookupReachSQL,
	findLookup:               findLookupSQL,
	findLookups:              findLookupsSQL,
	countLookups:             countLookupsSQL,
	listLookups:              listLookupsSQL,
	lookupOwner:              lookupOwnerSQL,
	listPacks:                listPacksSQL,
	listHashes:               listHashesSQL,
	findHash:                 findHashSQL,
	listLiving:               listLivingSQL,
	listDeleted:              listDeletedSQL,
	listFound:                listFoundSQL,
	listChosen:               listChosenSQL,
	countLiving:              countLivingSQL,
	countDeleted:             countDeletedSQL,
	countFound:               countFoundSQL,
	countChosen:              countChosenSQL,
	countAll:                 countAllSQL,
	endLiving:                endLivingSQL,
	endDeleted:               endDeletedSQL,
	chooseIDs:                chooseIDsSQL,
	chooseKeys:               chooseKeysSQL,
	chooseExpired:            chooseExpiredSQL,
	endShared:                endSharedSQL,
	sharedValues:             sharedValuesSQL,
	sharedContacts:           sharedContactsSQL,
	listJournal:              listJournalSQL,
	listJournalBackwards:     listJournalBackwardsSQL,
	listErasures:             listErasuresSQL,
	listErasuresBackwards:    listErasuresBackwardsSQL,
	listSubjects:             listSubjectsSQL,
	listSubjectsBackwards:    listSubjectsBackwardsSQL,
	listFewSubjects:          listFewSubjectsSQL,
	listSoleSubject:          listSoleSubjectSQL,
	listSoleSubjectBackwards: listSoleSubjectBackwardsSQL,
	beginRead:                "BEGIN",
	endRead:                  "COMMIT",

	judgeAccount:   judgeAccountSQL,
	judgeKey:       judgeKeySQL,
	judgeContact:   judgeContactSQL,
	findTeam:       findTeamSQL,
	findHashPacks:  findHashPacksSQL,
	findUsedHashes: findUsedHashesSQL,
	leastMoved:     leastMovedSQL,
	packsAfter:     packsAfterSQL,
	findPack:       findPackSQL,
	findHits:       findHitsSQL,
	findHolder:     findHolderSQL,
	findJournal:    findJournalSQL,
	findEntry:      findEntrySQL,
	findRun:        findRunSQL,

	beginWrite:     "BEGIN IMMEDIATE",
	dataVersion:    "PRAGMA data_version",
	commitWrite:    "COMMIT",
	rollback:       "ROLLBACK",
	savepoint:      "SAVEPOINT batch",
	rollbackTo:     "ROLLBACK TO batch",
	release:        "RELEASE batch",
	insertAccount:  insertAccountSQL,
	accountNumber:  accountNumberSQL,
	insertTeam:     insertTeamSQL,
	lastTeam:       lastTeamSQL,
	insertKey:      insertKeySQL,
	insertSetting:  insertSettingSQL,
	raiseSettings:  raiseSettingsSQL,
	revokeKey:      revokeKeySQL,
	disableAccount: disableAccountSQL,
	enableAccount:  enableAccountSQL,
	insertContact:  insertContactSQL,
	updateContact:  updateContactSQL,
	deleteContact:  deleteContactSQL,
	insertLookup:   insertLookupSQL,
	insertLookups:  insertLookupsSQL,
	deleteLookup:   deleteLookupSQL,
	setLookup:      setLookupSQL,
	findMark:       findMarkSQL,
	noteLookup:     noteLookupSQL,
	unnoteLookup:   unnoteLookupSQL,
	notedLookups:   notedLookupsSQL,
	unnoteLookups:  unnoteLookupsSQL,
	insertPack:     insertPackSQL,
	endedPacks:     endedPacksSQL,
	deletePack:     deletePackSQL,
	findMoved:      findMovedSQL,
	setMoved:       setMovedSQL,
	insertHash:     insertHashSQL,
	insertHashes:   insertHashesSQL,
	deleteHash:     deleteHashSQL,
	insertEntry:    insertEntrySQL,
	replaceEntry:   replaceEntrySQL,
	insertRun:      insertRunSQL,
	replaceRun:     replaceRunSQL,
	setNewest:      setNewestSQL,
	endedEntries:   endedEntriesSQL,
	deleteEntry:    deleteEntrySQL,
	endedRuns:      endedRunsSQL,
	deleteRun:      deleteRunSQL,
	raiseNumber:    raiseNumberSQL,
	writeHeader:    writeHeaderSQL,
})

// planOnce keeps SQLite from preparing statements anew. It does that when a
// parameter gets another value, if the plan could depend on it: a limit, or a
// number that a column must equal. That took 5 to 50 µs for each run, and no plan
// here may depend on a value. SQLite does not look at the value of a parameter that
// has a plus sign, which does nothing else.
func planOnce(statements [queries]string) [queries]string {
	for q := range statements {
		statements[q] = strings.ReplaceAll(statements[q], "?", "+?")
	}
	return statements
}

// A conn is a connection with the statements that it has needed so far. One
// goroutine uses it at a time.
type conn struct {
	db         *sqlite3.SQLiteConn
	statements [queries]statement

	// What a judge reads of a mutation with one contact, which most have.
	judged    [1][]driver.Value
	judgedRow [judgeColumns]driver.Value

	hashes recentHashes // of idempotency records
}

func (c *conn) statement(q query) (*statement, error) {
	s := &c.statements[q]
	if s.SQLiteStmt == nil {
		prepared, err := c.db.Prepare(statementSQL[q])
		if err != nil {
			return nil, err
		}
		s.SQLiteStmt = prepared.(*sqlite3.SQLiteStmt)
	}
	return s, nil
}

// exec runs a statement for what it does.
func (c *conn) exec(q query, values ...driver.Value) error {
	s, err := c.statement(q)
	if err != nil {
		return err
	}
	return s.exec(values...)
}

// row runs a statement for its first row, and reports whether there was one.
func (c *conn) row(q query, dest []driver.Value, values ...driver.Value) (bool, error) {
	s, err := c.statement(q)
	if err != nil {
		return false, err
	}
	return s.row(dest, values...)
}

// number runs a statement for the number in its first row; 0 if there is no row.
func (c *conn) number(q query, values ...driver.Value) (int64, error) {
	var row [1]driver.Value
	_, err := c.row(q, row[:], values...)
	return integer(row[0]), err
}

// rows returns all rows of a statement, which ends when ctx is done.
func (c *conn) rows(ctx context.Context, q query, values ...driver.Value) ([][]driver.Value, error) {
	s, err := c.statement(q)
	if err != nil {
		return nil, err
	}
	return s.rows(ctx, values)
}

// each calls f with each row of a statement, until f returns false. The row is
// used again for the next one.
func (c *conn) each(q query, f func(row []driver.Value) bool, values ...driver.Value) error {
	return c.eachUntil(context.Background(), q, f, values...)
}

// eachUntil is each for a statement that may be long. It ends when ctx is done.
func (c *conn) eachUntil(ctx context.Context, q query, f func(row []driver.Value) bool, values ...driver.Value) error {
	s, err := c.statement(q)
	if err != nil {
		return err
	}
	return s.each(ctx, f, values)
}

// rowsAtOnce is how many rows one statement inserts, or looks for. With more, a statement
// is hardly faster for each of them, and the last ones, which go one by one, become more.
const rowsAtOnce = 16

// insertAll inserts rows: many of them with one statement, and the last ones with another.
func insertAll[R interface {
	values([]driver.Value) []driver.Value
}](c *writeConn, many, one query, rows []R) error {
	var values []driver.Value
	for len(rows) > 0 {
		insert, n := many, rowsAtOnce
		if len(rows) < n {
			insert, n = one, 1
		}
		values = values[:0]
		for _, r := range rows[:n] {
			values = r.values(values)
		}
		if err := c.exec(insert, values...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// close closes the statements first: SQLite keeps the file open while there is
// one.
func (c *conn) close() error {
	var errs []error
	for i := range c.statements {
		if s := c.statements[i].SQLiteStmt; s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, c.db.Close())...)
}
