package postgres

import (
	"bytes"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// placesSQL returns the given places that exist: accounts with a team of theirs,
// or with team 0, which is none.
const placesSQL = `SELECT n.account_id, n.team_id, a.settings_version, n.team_id = 0 OR EXISTS (
			SELECT 1 FROM {schema}.team AS t WHERE t.account_id = {account} AND t.id = n.team_id)
		FROM (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS given` + givenRows + `) AS n (account_id, team_id)
		JOIN {schema}.account AS a ON a.account_id = {account}`

// validKeysSQL returns those of the given keys that may be used, with their accounts.
const validKeysSQL = `SELECT k.id, k.account_id FROM (SELECT * FROM unnest($1::uuid[]) AS given` + givenRows + `) AS n (id)
		JOIN {schema}.api_key AS k ON k.id = n.id JOIN {schema}.account AS a ON a.account_id = k.account_id WHERE k.revoked_at = 0 AND a.disabled_at = 0`

// A judge decides mutations one after the other. It first reads what they are
// about, under locks, and keeps what each of them changes, so that each sees what
// the earlier ones stored. In the end it writes the difference.
type judge struct {
	mutations []*mutation

	accounts map[uuid.UUID]*accountState
	keys     map[uuid.UUID]uuid.UUID // the account of each key that may be used, of those that mutations name
	contacts map[contactKey]*contactState
	once     map[onceKey]*onceState
	claims   map[claim]*claimState
}

// An accountState is an account as it is in the transaction.
type accountState struct {
	exists   bool
	settings int64          // their version
	teams    map[int64]bool // those that exist, of those that mutations name

	locked   bool // mutations have claims or journal entries
	newest   int64
	sequence int64                 // newest, as the table has it
	entries  map[int64]*entryState // those that mutations name, and the new ones
}

// A contactState is a contact as it is in the transaction.
type contactState struct {
	stored  bool        // the table has it
	lookups []uuid.UUID // as the table has them

	exists  bool
	version int64
	changed bool
	row     *contactRow // if it was changed; nil: it was removed
}

func newJudge(mutations []*mutation) *judge {
	j := &judge{
		mutations: mutations,
		accounts:  make(map[uuid.UUID]*accountState),
		keys:      make(map[uuid.UUID]uuid.UUID),
		contacts:  make(map[contactKey]*contactState, len(mutations)),
		once:      make(map[onceKey]*onceState),
		claims:    make(map[claim]*claimState),
	}
	for _, m := range mutations {
		a := j.accounts[m.account]
		if a == nil {
			a = &accountState{teams: map[int64]bool{0: false}, entries: make(map[int64]*entryState)}
			j.accounts[m.account] = a
		}
		a.locked = a.locked || m.locks()
		if m.key != uuid.Nil {
			j.keys[m.key] = uuid.Nil
		}
		for _, c := range m.changes {
			j.contacts[c.contactKey] = &contactState{}
			if c.row != nil {
				a.teams[c.row.contact.TeamID] = false
			}
		}
		if m.idempotency != nil {
			j.once[m.idempotency.onceKey] = &onceState{}
		}
		for _, value := range m.claims {
			j.claims[claim{m.account, value}] = &claimState{}
		}
		for _, e := range m.journal {
			if e.Sequence != 0 {
				a.entries[e.Sequence] = &entryState{}
			}
		}
	}
	return j
}

// lock queues the locking of the accounts that need it, and of those of plain creates
// with journal entries. It comes before all other statements: in READ COMMITTED these
// then see everything that was committed before the lock was granted.
func (j *judge) lock(t *transaction, s *statements, plain []*mutation) {
	recorded := make(map[uuid.UUID]bool)
	for _, m := range plain {
		if m.locks() {
			recorded[m.account] = true
		}
	}
	j.readStates(t, s.lockStates, slices.Collect(maps.Keys(recorded)))
}

// read queues the reading of all that is to be known. With lock, nobody else
// changes the contacts until the transaction ends.
func (j *judge) read(t *transaction, s *statements, lock bool) {
	contactsSQL := s.lockContacts
	if !lock {
		j.readStates(t, s.readStates, nil)
		contactsSQL = s.readContacts
	}
	j.readOnce(t, s)
	if keys := slices.Collect(maps.Keys(j.contacts)); len(keys) > 0 {
		t.query(func(rows pgx.Rows) error {
			k, st, err := scanContactState(rows)
			j.contacts[k] = st
			return err
		}, contactsSQL, contactKeyArrays(keys)...)
	}
	j.readKeys(t, s)
	j.readPlaces(t, s)
	j.readClaims(t, s)
	j.readEntries(t, s)
}

func (j *judge) readKeys(t *transaction, s *statements) {
	if len(j.keys) == 0 {
		return
	}
	keys := column(slices.Collect(maps.Keys(j.keys)), pgUUID)
	clear(j.keys)
	t.query(func(rows pgx.Rows) error {
		var key, account uuid.UUID
		err := rows.Scan((*[16]byte)(&key), (*[16]byte)(&account))
		j.keys[key] = account
		return err
	}, s.validKeys, keys)
}

func (j *judge) readPlaces(t *transaction, s *statements) {
	var accounts []pgtype.UUID
	var teams []int64
	for id, a := range j.accounts {
		for team := range a.teams {
			accounts, teams = append(accounts, pgUUID(id)), append(teams, team)
		}
	}
	t.query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var team, settings int64
		var found bool
		if err := rows.Scan((*[16]byte)(&id), &team, &settings, &found); err != nil {
			return err
		}
		a := j.accounts[id]
		a.exists, a.settings, a.teams[team] = true, settings, found
		return nil
	}, s.places, accounts, teams)
}

// decide decides the mutations in their order.
func (j *judge) decide() {
	for _, m := range j.mutations {
		if m.outcome = j.judge(m); m.outcome.Err == nil && m.outcome.Result == "" {
			m.stored = true
			j.store(m)
		}
	}
}

// judge returns the outcome that the mutation has.
func (j *judge) judge(m *mutation) (o contacts.MutationOutcome) {
	a := j.accounts[m.account]
	if !a.exists {
		o.Err = contacts.ErrNotFound
		return o
	}
	if m.key != uuid.Nil && j.keys[m.key] != m.account {
		o.Err = contacts.ErrStale
		return o
	}
	if m.idempotency != nil {
		if earlier := j.once[m.idempotency.onceKey].record(m.now); earlier != nil {
			return m.idempotency.answer(earlier)
		}
	}
	if a.settings != m.settings {
		o.Err = contacts.ErrStale
		return o
	}
	if o.Err = j.judgeChanges(a, m.changes); o.Err != nil {
		return o
	}
	if len(m.claims) > 0 {
		live, twin := j.holders(m)
		if live != nil {
			return contacts.MutationOutcome{Err: contacts.ErrDuplicate, Holders: live}
		}
		o.Holders = twin
	}
	if err := a.judgeEntries(m); err != nil {
		return contacts.MutationOutcome{Err: err}
	}
	return o
}

// judgeChanges judges ids and versions, then teams.
func (j *judge) judgeChanges(a *accountState, changes []change) error {
	for _, c := range changes {
		st := j.contacts[c.contactKey]
		switch {
		case c.version == 0 && st.exists:
			return contacts.ErrExists
		case c.version != 0 && !st.exists:
			return contacts.ErrNotFound
		case c.version != 0 && st.version != c.version:
			return contacts.ErrConflict
		}
	}
	for _, c := range changes {
		if c.row != nil && !a.teams[c.row.contact.TeamID] {
			return contacts.ErrTeamNotFound
		}
	}
	return nil
}

// store keeps what the mutation changes.
func (j *judge) store(m *mutation) {
	a := j.accounts[m.account]
	for _, c := range m.changes {
		st := j.contacts[c.contactKey]
		st.exists, st.changed, st.row = c.row != nil, true, c.row
		if c.row != nil {
			st.version = c.row.contact.Version
			j.hold(c.contactKey, c.row.lookups)
		}
	}
	if m.idempotency != nil {
		j.once[m.idempotency.onceKey].kept = m.idempotency
	}
	a.append(m)
}

// write queues what the mutations have changed, in the order in which all
// transactions do.
func (j *judge) write(t *transaction, s *statements) {
	j.writeOnce(t, s)
	var inserted, updated []*contactRow
	var deleted []contactKey
	var gone, come lookups
	for k, st := range j.contacts {
		switch {
		case !st.changed || !st.stored && st.row == nil:
			continue
		case st.row == nil:
			deleted = append(deleted, k)
			gone.add(k, st.lookups...)
		case st.stored:
			updated = append(updated, st.row)
			gone.add(k, without(st.lookups, st.row.lookups)...)
			come.add(k, without(st.row.lookups, st.lookups)...)
		default:
			inserted = append(inserted, st.row)
			come.add(k, st.row.lookups...)
		}
	}
	gone.exec(t, s.deleteLookups)
	if len(deleted) > 0 {
		t.exec(s.deleteContacts, contactKeyArrays(deleted)...)
	}
	if len(updated) > 0 {
		t.exec(s.updateContacts, contactArrays(updated)...)
	}
	if len(inserted) > 0 {
		slices.SortFunc(inserted, func(a, b *contactRow) int { return a.compare(b.contactKey) })
		t.exec(s.insertContacts, contactArrays(inserted)...)
	}
	come.exec(t, s.insertLookups)
	j.writeJournal(t, s)
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
