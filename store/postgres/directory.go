package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

const (
	insertAccountSQL = `INSERT INTO {schema}.account (account_id, name, created_at, disabled_at, settings_version) VALUES ($1, $2, $3, $4, 0)`
	insertStateSQL   = `INSERT INTO {schema}.account_state (account_id, sequence) VALUES ($1, 0)`
	insertTeamSQL    = `INSERT INTO {schema}.team (account_id, id, name, created_at) VALUES ($1, $2, $3, $4)`
	insertKeySQL     = `INSERT INTO {schema}.api_key (account_id, ` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	keyColumns       = `id, hash, name, permissions, team_ids, all_teams, created_at, expires_at, revoked_at`
	insertSettingSQL = `INSERT INTO {schema}.setting (account_id, version, name, value, at, actor) VALUES ($1, $2, $3, $4, $5, $6)`
	setVersionSQL    = `UPDATE {schema}.account SET settings_version = $2 WHERE account_id = $1`

	settingsVersionsSQL = `SELECT account_id, settings_version FROM {schema}.account WHERE account_id = ANY($1)`
	lastTeamsSQL        = `SELECT account_id, max(id) FROM {schema}.team WHERE account_id = ANY($1) GROUP BY account_id`

	accountColumns  = `account_id, name, created_at, disabled_at`
	listAccountsSQL = `SELECT ` + accountColumns + ` FROM {schema}.account WHERE account_id > $1 ORDER BY account_id LIMIT $2`
	listTeamsSQL    = `SELECT id, name, created_at FROM {schema}.team WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	listKeysSQL     = `SELECT account_id, ` + keyColumns + ` FROM {schema}.api_key WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	listSettingsSQL = `SELECT version, name, value, at, actor FROM {schema}.setting WHERE account_id = $1 AND version > $2 ORDER BY version LIMIT $3`

	revokeKeySQL      = `UPDATE {schema}.api_key SET revoked_at = CASE WHEN revoked_at = 0 THEN $1 ELSE revoked_at END WHERE id = $2`
	disableAccountSQL = `UPDATE {schema}.account SET disabled_at = CASE WHEN disabled_at = 0 THEN $1 ELSE disabled_at END WHERE account_id = $2`
	enableAccountSQL  = `UPDATE {schema}.account SET disabled_at = $1 WHERE account_id = $2`
)

// errNoTeamID: team ids end where an int64 does.
var errNoTeamID = errors.New("the account has a team with the highest id there is, so none can be assigned")

// AddToDirectory implements [contacts.Store].
func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	const op = "postgres: add to directory: %w"
	if err := s.gate.Enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	add = clone(add)
	teams := slices.Clone(add.Teams)
	err := s.transact(ctx, nil, func(ctx context.Context, t *transaction) error {
		copy(add.Teams, teams) // without the ids of an earlier try
		return s.add(ctx, t, &add)
	})
	if err != nil {
		return contacts.Directory{}, fmt.Errorf(op, classify(ctx, err))
	}
	return add, nil
}

// clone returns a copy of d as it comes back: with nil for what is empty.
func clone(d contacts.Directory) contacts.Directory {
	d.Accounts = append([]contacts.Account(nil), d.Accounts...)
	d.Teams = append([]contacts.Team(nil), d.Teams...)
	d.Settings = append([]contacts.SettingRecord(nil), d.Settings...)
	d.Keys = append([]contacts.KeyRecord(nil), d.Keys...)
	for i := range d.Keys {
		k := &d.Keys[i]
		k.Account = nil
		k.Permissions = append([]contacts.Permission(nil), k.Permissions...)
		k.TeamIDs = append([]int64(nil), k.TeamIDs...)
	}
	return d
}

// add stores the records and sets the ids of teams that have none.
func (s *Store) add(ctx context.Context, t *transaction, add *contacts.Directory) error {
	owners := slices.Concat(
		column(add.Teams, func(t contacts.Team) uuid.UUID { return t.AccountID }),
		column(add.Keys, func(k contacts.KeyRecord) uuid.UUID { return k.AccountID }),
		column(add.Settings, func(r contacts.SettingRecord) uuid.UUID { return r.AccountID }))
	s.allow(t, append(column(add.Accounts, func(a contacts.Account) uuid.UUID { return a.ID }), owners...))
	if err := s.addAccounts(ctx, t, add.Accounts); err != nil {
		return err
	}
	if err := s.lockOwners(ctx, t, owners); err != nil {
		return err
	}
	if err := s.addTeams(ctx, t, add.Teams); err != nil {
		return err
	}
	if err := s.addKeys(ctx, t, add.Keys); err != nil {
		return err
	}
	return s.addSettings(ctx, t, add.Settings)
}

func (s *Store) addAccounts(ctx context.Context, t *transaction, accounts []contacts.Account) error {
	for _, a := range sortedBy(accounts, func(a contacts.Account) uuid.UUID { return a.ID }) {
		t.exec(s.statements.insertAccount, pgUUID(a.ID), a.Name, micros(a.CreatedAt), micros(a.DisabledAt))
		t.exec(s.statements.insertState, pgUUID(a.ID))
	}
	return t.insert(ctx)
}

// insert sends what is queued, and returns ErrExists if a row is there already.
func (t *transaction) insert(ctx context.Context) error {
	err := t.flush(ctx)
	if isRace(err) {
		err = contacts.ErrExists
	}
	return err
}

// sortedBy returns the records in the order of ids, so that no two transactions
// that insert them wait for each other.
func sortedBy[R any](records []R, id func(R) uuid.UUID) []R {
	return slices.SortedFunc(slices.Values(records), func(a, b R) int { return compareIDs(id(a), id(b)) })
}

// lockOwners locks the accounts that get teams, keys or settings, as [Store.Apply]
// does. Each of them must exist.
func (s *Store) lockOwners(ctx context.Context, t *transaction, owners []uuid.UUID) error {
	if len(owners) == 0 {
		return nil
	}
	owners = slices.Compact(slices.SortedFunc(slices.Values(owners), compareIDs))
	found := 0
	for _, id := range owners {
		t.query(func(pgx.Rows) error {
			found++
			return nil
		}, s.statements.lockStates, []pgtype.UUID{pgUUID(id)})
	}
	if err := t.flush(ctx); err != nil {
		return err
	}
	if found < len(owners) {
		return contacts.ErrNotFound
	}
	return nil
}

func (s *Store) addTeams(ctx context.Context, t *transaction, teams []contacts.Team) error {
	if len(teams) == 0 {
		return nil
	}
	if err := s.assignIDs(ctx, t, teams); err != nil {
		return err
	}
	for _, team := range teams {
		t.exec(s.statements.insertTeam, pgUUID(team.AccountID), team.ID, team.Name, micros(team.CreatedAt))
	}
	return t.insert(ctx)
}

// assignIDs sets the ids of teams that have none. Their accounts are locked.
func (s *Store) assignIDs(ctx context.Context, t *transaction, teams []contacts.Team) error {
	if !slices.ContainsFunc(teams, func(t contacts.Team) bool { return t.ID == 0 }) {
		return nil
	}
	last, err := t.numbers(ctx, s.statements.lastTeams, column(teams, func(t contacts.Team) pgtype.UUID { return pgUUID(t.AccountID) }))
	if err != nil {
		return err
	}
	for i := range teams {
		t := &teams[i]
		if t.ID == 0 {
			if last[t.AccountID] == math.MaxInt64 {
				return errNoTeamID
			}
			t.ID = last[t.AccountID] + 1
		}
		last[t.AccountID] = max(last[t.AccountID], t.ID)
	}
	return nil
}

// numbers returns the number that a statement has for each of some accounts.
func (t *transaction) numbers(ctx context.Context, sql string, accounts []pgtype.UUID) (map[uuid.UUID]int64, error) {
	found := make(map[uuid.UUID]int64)
	t.query(func(rows pgx.Rows) error {
		var account uuid.UUID
		var n int64
		err := rows.Scan((*[16]byte)(&account), &n)
		found[account] = n
		return err
	}, sql, accounts)
	return found, t.flush(ctx)
}

func (s *Store) addKeys(ctx context.Context, t *transaction, keys []contacts.KeyRecord) error {
	for _, k := range sortedBy(keys, func(k contacts.KeyRecord) uuid.UUID { return k.ID }) {
		t.exec(s.statements.insertKey, pgUUID(k.AccountID), pgUUID(k.ID), k.Hash[:], k.Name, encodeList(k.Permissions), encodeList(k.TeamIDs),
			k.AllTeams, micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt))
	}
	return t.insert(ctx)
}

// addSettings stores settings that have the next versions of their accounts, which
// are locked.
func (s *Store) addSettings(ctx context.Context, t *transaction, settings []contacts.SettingRecord) error {
	if len(settings) == 0 {
		return nil
	}
	newest, err := t.numbers(ctx, s.statements.settingsVersions, column(settings, func(r contacts.SettingRecord) pgtype.UUID { return pgUUID(r.AccountID) }))
	if err != nil {
		return err
	}
	for _, r := range settings {
		if newest[r.AccountID]++; newest[r.AccountID] != r.Version {
			return contacts.ErrExists
		}
	}
	for _, r := range settings {
		t.exec(s.statements.insertSetting, pgUUID(r.AccountID), r.Version, r.Name, r.Value, micros(r.At), encodeJSON(r.Actor))
		t.exec(s.statements.setVersion, pgUUID(r.AccountID), r.Version)
	}
	return nil
}

// ListDirectory implements [contacts.Store].
func (s *Store) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	const op = "postgres: list directory: %w"
	if err := s.gate.Enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	var d contacts.Directory
	err := s.read(ctx, func() (err error) {
		d, err = s.listDirectory(ctx, q)
		return err
	})
	if err != nil {
		return contacts.Directory{}, fmt.Errorf(op, classify(ctx, err))
	}
	return d, nil
}

func (s *Store) listDirectory(ctx context.Context, q contacts.DirectoryQuery) (d contacts.Directory, err error) {
	account, limit := pgUUID(q.AccountID), int64(q.Limit)
	switch q.Kind {
	case contacts.DirectoryAccounts:
		err = s.query(ctx, q.AccountID, func(rows pgx.Rows) error {
			a, err := scanAccount(rows)
			d.Accounts = append(d.Accounts, a)
			return err
		}, s.statements.listAccounts, pgUUID(q.After), limit)
	case contacts.DirectoryTeams:
		err = s.query(ctx, q.AccountID, func(rows pgx.Rows) error {
			t, err := scanTeam(rows, q.AccountID)
			d.Teams = append(d.Teams, t)
			return err
		}, s.statements.listTeams, account, q.AfterTeam, limit)
	case contacts.DirectoryKeys:
		err = s.query(ctx, q.AccountID, func(rows pgx.Rows) error {
			k, err := scanKey(rows)
			d.Keys = append(d.Keys, k)
			return err
		}, s.statements.listKeys, account, pgUUID(q.After), limit)
	case contacts.DirectorySettings:
		err = s.query(ctx, q.AccountID, func(rows pgx.Rows) error {
			r, err := scanSetting(rows, q.AccountID)
			d.Settings = append(d.Settings, r)
			return err
		}, s.statements.listSettings, account, q.AfterVersion, limit)
	default:
		err = fmt.Errorf("there is no kind %d of records", q.Kind)
	}
	return d, err
}

func scanAccount(rows pgx.Rows) (a contacts.Account, err error) {
	var created, disabled int64
	err = rows.Scan((*[16]byte)(&a.ID), &a.Name, &created, &disabled)
	a.CreatedAt, a.DisabledAt = instant(created), instant(disabled)
	return a, err
}

func scanTeam(rows pgx.Rows, account uuid.UUID) (t contacts.Team, err error) {
	var created int64
	err = rows.Scan(&t.ID, &t.Name, &created)
	t.AccountID, t.CreatedAt = account, instant(created)
	return t, err
}

// scanKey returns the key in a row of an account's id, keyColumns and what else
// there is.
func scanKey(rows pgx.Rows, more ...any) (k contacts.KeyRecord, err error) {
	var hash []byte
	var permissions, teamIDs string
	var created, expires, revoked int64
	if err := rows.Scan(append([]any{(*[16]byte)(&k.AccountID), (*[16]byte)(&k.ID), &hash, &k.Name, &permissions, &teamIDs, &k.AllTeams,
		&created, &expires, &revoked}, more...)...); err != nil {
		return k, err
	}
	copy(k.Hash[:], hash)
	k.CreatedAt, k.ExpiresAt, k.RevokedAt = instant(created), instant(expires), instant(revoked)
	if err := decodeJSON(permissions, &k.Permissions); err != nil {
		return k, err
	}
	err = decodeJSON(teamIDs, &k.TeamIDs)
	return k, err
}

func scanSetting(rows pgx.Rows, account uuid.UUID) (r contacts.SettingRecord, err error) {
	var at int64
	var actor string
	if err := rows.Scan(&r.Version, &r.Name, &r.Value, &at, &actor); err != nil {
		return r, err
	}
	r.AccountID, r.At = account, instant(at)
	err = decodeJSON(actor, &r.Actor)
	return r, err
}

// UpdateDirectory implements [contacts.Store].
func (s *Store) UpdateDirectory(ctx context.Context, u contacts.DirectoryUpdate) error {
	const op = "postgres: update directory: %w"
	if err := s.gate.Enter(); err != nil {
		return fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	sql, id := s.statements.disableAccount, u.AccountID
	switch {
	case u.KeyID != uuid.Nil:
		sql, id = s.statements.revokeKey, u.KeyID
	case u.At.IsZero():
		sql = s.statements.enableAccount
	}
	err := s.transact(ctx, nil, func(ctx context.Context, t *transaction) error {
		var n int64
		t.count(&n, sql, micros(u.At), pgUUID(id))
		err := t.flush(ctx)
		if err == nil && n == 0 {
			err = contacts.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf(op, classify(ctx, err))
	}
	return nil
}

// encodeList returns a JSON array, or "" for an empty list.
func encodeList[E any](list []E) string {
	if len(list) == 0 {
		return ""
	}
	return encodeJSON(list)
}

// encodeJSON is for values that are seldom written.
func encodeJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers always have a JSON form
	}
	return string(b)
}

// decodeJSON leaves the value as it is if the text is "".
func decodeJSON(text string, v any) error {
	if text != "" && json.Unmarshal([]byte(text), v) != nil {
		return ErrCorrupt
	}
	return nil
}
