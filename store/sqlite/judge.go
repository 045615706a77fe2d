//go:build cgo

package sqlite

import (
	"database/sql/driver"
	"errors"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

const (
	judgeAccountSQL = `SELECT n, settings_version FROM account WHERE id = ?`

	// The contact, if the account has that settings version.
	judgeContactSQL = `SELECT ` + lookupColumns + `, version FROM contact_data
		WHERE account = (SELECT n FROM account WHERE id = ?1 AND settings_version = ?3) AND id = ?2`

	judgeKeySQL = `SELECT 1 FROM api_key AS k JOIN account AS a ON a.n = k.account
		WHERE k.id = ? AND a.id = ? AND k.revoked_at IS NULL AND a.disabled_at IS NULL`

	findTeamSQL = `SELECT 1 FROM team WHERE account = ? AND id = ?`
)

// The columns of judgeContactSQL after those of appendLookups.
const (
	judgeVersion = lookupColumnCount + iota
	judgeColumns
)

// A judge judges the mutations of one application by what a connection shows: the
// one that writes, in its transaction, or one that reads, for a dry run.
type judge struct {
	conn        *conn
	unmerged    *unmergedKeys
	created     *int64 // contacts in the open transaction; nil: in a dry run
	application *application
	keys        map[madeBy]bool // those that passed
	journals    openJournals
	held        map[claim][]contacts.Holder // of claims, since a mutation was stored last
	used        map[int64]bool              // hashes of the keys that have records, also of those that wait to be stored; nil: not known
	opened      openedPack
}

// A verdict is what a mutation that passed needs in order to be stored.
type verdict struct {
	account  int64            // its number; 0: not known yet
	contacts [][]driver.Value // rows of judgeContactSQL, one for each change; nil: not read
}

// stored returns the row of the contact of a change, nil where it was not read.
func (v *verdict) stored(i int) []driver.Value {
	if v.contacts == nil {
		return nil
	}
	return v.contacts[i]
}

// judge judges all of the mutation, teams only if it is asked to. A mutation with
// an error or an earlier result in its outcome does not pass.
func (j *judge) judge(m *mutation, teams bool) (o contacts.MutationOutcome, v verdict, err error) {
	if o.Err, err = j.key(m); err != nil || o.Err != nil {
		return o, v, err
	}
	if v.contacts, err = j.contacts(m); err != nil {
		return o, v, err
	}
	settings := m.settings
	if v.account = accountOf(v.contacts); v.account == 0 {
		var row [2]driver.Value
		found, err := j.conn.row(judgeAccount, row[:], m.account)
		if err != nil {
			return o, v, err
		}
		if !found {
			o.Err = contacts.ErrNotFound
			return o, v, nil
		}
		v.account, settings = integer(row[0]), integer(row[1])
	}
	if o, err = j.replay(m); err != nil || o.Err != nil || o.Result != "" {
		return o, v, err
	}
	if settings != m.settings {
		o.Err = contacts.ErrStale
		return o, v, nil
	}
	if o.Err = versions(m.changes, v.contacts); o.Err != nil {
		return o, v, nil //nolint:nilerr // the mutation is refused, and judging it succeeded
	}
	if teams {
		if o.Err, err = j.teams(m.changes, v.account); err != nil || o.Err != nil {
			return o, v, err
		}
	}
	if len(m.claims) > 0 {
		if o, err = j.claims(m, v.account); err != nil || o.Err != nil {
			return o, v, err
		}
	}
	if len(m.journal) > 0 {
		refused, err := j.journal(m)
		if err != nil || refused != nil {
			return contacts.MutationOutcome{Err: refused}, v, err
		}
	}
	return o, v, nil
}

// A madeBy is an API key and the account that it is said to be of.
type madeBy struct{ account, key uuid.UUID }

// key returns what the key of the mutation refuses it with. Keys that passed are
// remembered until another connection writes, or this one changes a key or an account.
func (j *judge) key(m *mutation) (refused, err error) {
	if m.madeBy.key == uuid.Nil || j.keys[m.madeBy] {
		return nil, nil
	}
	var one [1]driver.Value
	found, err := j.conn.row(judgeKey, one[:], m.madeBy.key[:], m.account)
	if err != nil {
		return nil, err
	}
	if !found {
		return j.stale(m)
	}
	j.keys[m.madeBy] = true
	return nil, nil
}

// stale returns ErrStale, or ErrNotFound if the account of the mutation does not exist.
func (j *judge) stale(m *mutation) (refused, err error) {
	var row [2]driver.Value
	found, err := j.conn.row(judgeAccount, row[:], m.account)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return contacts.ErrNotFound, nil
	default:
		return contacts.ErrStale, nil
	}
}

// contacts returns the rows of the contacts that the mutation changes. They are
// used again for the next mutation. A row is empty where there is no contact, and
// everywhere if the account does not exist or has another settings version.
func (j *judge) contacts(m *mutation) (rows [][]driver.Value, err error) {
	if len(m.changes) == 0 {
		return nil, nil
	}
	rows, all := j.conn.judged[:], j.conn.judgedRow[:]
	clear(all)
	if len(m.changes) > 1 {
		rows = make([][]driver.Value, len(m.changes))
		all = make([]driver.Value, judgeColumns*len(rows))
	}
	for i := range rows {
		rows[i] = all[i*judgeColumns : (i+1)*judgeColumns]
		if _, err := j.conn.row(judgeContact, rows[i], m.account, m.changes[i].id, m.settings); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// accountOf returns the number of the account of contacts, or 0 if there are none.
func accountOf(rows [][]driver.Value) int64 {
	for _, row := range rows {
		if row[lookupAccount] != nil {
			return integer(row[lookupAccount])
		}
	}
	return 0
}

// versions judges ids and versions.
func versions(changes []change, stored [][]driver.Value) error {
	for i := range changes {
		exists, want := stored[i][0] != nil, changes[i].version
		switch {
		case want == 0 && exists:
			return contacts.ErrExists
		case want == 0:
		case !exists:
			return contacts.ErrNotFound
		case integer(stored[i][judgeVersion]) != want:
			return contacts.ErrConflict
		}
	}
	return nil
}

func (j *judge) teams(changes []change, account int64) (refused, err error) {
	for i := range changes {
		if changes[i].row == nil || changes[i].row[rowTeam] == nil {
			continue
		}
		var one [1]driver.Value
		found, err := j.conn.row(findTeam, one[:], account, changes[i].row[rowTeam])
		if err != nil {
			return nil, err
		}
		if !found {
			return contacts.ErrTeamNotFound, nil
		}
	}
	return nil, nil
}

// refusal returns what it means for the mutation that a constraint of
// contact_data was in the way, or err itself if none was.
func (j *judge) refusal(m *mutation, err error) (refused, fault error) {
	switch e, _ := errors.AsType[sqlite3.Error](err); e.ExtendedCode {
	case sqlite3.ErrConstraintUnique:
		return contacts.ErrExists, nil
	case sqlite3.ErrConstraintForeignKey:
		// The reference to the account holds: its number was just read.
		return contacts.ErrTeamNotFound, nil
	case sqlite3.ErrConstraintNotNull:
		// The one column that is ever given NULL where it does not take it is
		// the number of an account that does not exist, or that has another
		// settings version.
		return j.stale(m)
	default:
		return nil, err
	}
}
