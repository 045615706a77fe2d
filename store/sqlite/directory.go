//go:build cgo

package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"
	"github.com/mattn/go-sqlite3"

	"example.com/contacts"
)

const (
	// The number of the account whose id is the first argument.
	accountSQL = `(SELECT n FROM account WHERE id = ?1)`

	insertAccountSQL  = `INSERT INTO account (id, name, created_at, disabled_at) VALUES (?, ?, ?, ?)`
	accountNumberSQL  = `SELECT n FROM account WHERE id = ?`
	disableAccountSQL = `UPDATE account SET disabled_at = coalesce(disabled_at, ?) WHERE id = ? RETURNING n`
	enableAccountSQL  = `UPDATE account SET disabled_at = NULL WHERE id = ? RETURNING n`
	listAccountsSQL   = `SELECT id, name, created_at, disabled_at FROM account WHERE id > ? ORDER BY id LIMIT ?`

	insertTeamSQL = `INSERT INTO team (account, id, name, created_at) VALUES (?, ?, ?, ?)`
	lastTeamSQL   = `SELECT max(id) FROM team WHERE account = ?`
	listTeamsSQL  = `SELECT id, name, created_at FROM team
		WHERE account = ` + accountSQL + ` AND id > ?2 ORDER BY id LIMIT ?3`

	// The columns in the order of decodeKey.
	keyColumns   = `id, hash, name, permissions, team_ids, all_teams, created_at, expires_at, revoked_at`
	insertKeySQL = `INSERT INTO api_key (account, ` + keyColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	revokeKeySQL = `UPDATE api_key SET revoked_at = coalesce(revoked_at, ?) WHERE id = ? RETURNING 1`
	selectKeySQL = `SELECT k.id, k.hash, k.name, k.permissions, k.team_ids, k.all_teams, k.created_at, k.expires_at, k.revoked_at,
			a.id FROM api_key AS k JOIN account AS a ON a.n = k.account`
	findKeySQL  = selectKeySQL + ` WHERE k.hash = ?`
	listKeysSQL = selectKeySQL + ` WHERE k.account = ` + accountSQL + ` AND k.id > ?2 ORDER BY k.id LIMIT ?3`

	insertSettingSQL = `INSERT INTO setting (account, version, name, value, at, actor) VALUES (?, ?, ?, ?, ?, ?)`
	raiseSettingsSQL = `UPDATE account SET settings_version = ?1 WHERE n = ?2 AND settings_version = ?1 - 1 RETURNING n`
	listSettingsSQL  = `SELECT version, name, value, at, actor FROM setting
		WHERE account = ` + accountSQL + ` AND version > ?2 ORDER BY version LIMIT ?3`

	// The account, once for each setting that it has, with the newest value of
	// the setting. SQLite takes the value from the row that max is of.
	findAccountSQL = `SELECT a.id, a.name, a.created_at, a.disabled_at, a.settings_version, s.name, s.value, max(s.version)
		FROM account AS a LEFT JOIN setting AS s ON s.account = a.n WHERE a.id = ? GROUP BY s.name`
)

// AddToDirectory implements [contacts.Store]. It stores accounts, teams and keys
// in the order given, and a team that has no id gets its own when it is its
// turn.
func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	const op = "sqlite: add to directory: %w"
	if err := s.gate.Enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	add = cloneDirectory(add) // for the job, and then for the caller
	teams := slices.Clone(add.Teams)
	err := s.writer.doSolo(ctx, job{run: func(c *writeConn) error {
		copy(add.Teams, teams) // the ids of an earlier run are void
		return c.addToDirectory(&add)
	}})
	if err != nil {
		return contacts.Directory{}, fmt.Errorf(op, classify(err))
	}
	return add, nil
}

// cloneDirectory returns a copy of d as it comes back: with nil for what is empty.
func cloneDirectory(d contacts.Directory) contacts.Directory {
	d = d.Clone()
	d.Accounts, d.Teams, d.Keys, d.Settings = orNil(d.Accounts), orNil(d.Teams), orNil(d.Keys), orNil(d.Settings)
	for i := range d.Keys {
		k := &d.Keys[i]
		k.Permissions, k.TeamIDs = orNil(k.Permissions), orNil(k.TeamIDs)
	}
	return d
}

func orNil[E any](list []E) []E {
	if len(list) == 0 {
		return nil
	}
	return list
}

func (c *writeConn) addToDirectory(add *contacts.Directory) error {
	for _, a := range add.Accounts {
		if err := c.addAccount(a); err != nil {
			return err
		}
	}
	for i := range add.Teams {
		if err := c.addTeam(&add.Teams[i]); err != nil {
			return err
		}
	}
	for i := range add.Keys {
		if err := c.addKey(&add.Keys[i]); err != nil {
			return err
		}
	}
	for i := range add.Settings {
		if err := c.addSetting(&add.Settings[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *writeConn) addAccount(a contacts.Account) error {
	return existsOr(c.exec(insertAccount, a.ID[:], a.Name, micros(a.CreatedAt), micros(a.DisabledAt)))
}

// account returns the number of an account.
func (c *writeConn) account(id uuid.UUID) (int64, error) {
	n, err := c.number(accountNumber, id[:])
	if err == nil && n == 0 {
		err = contacts.ErrNotFound
	}
	return n, err
}

// addSetting stores the setting and raises the version of its account.
func (c *writeConn) addSetting(s *contacts.SettingRecord) error {
	account, err := c.account(s.AccountID)
	if err != nil {
		return err
	}
	raised, err := c.number(raiseSettings, s.Version, account)
	if err != nil {
		return err
	}
	if raised == 0 {
		return contacts.ErrExists
	}
	actor, err := json.Marshal(s.Actor)
	if err != nil {
		return err
	}
	return c.exec(insertSetting, account, s.Version, s.Name, s.Value, micros(s.At), string(actor))
}

// addTeam stores the team and sets its id, if it has none.
func (c *writeConn) addTeam(t *contacts.Team) error {
	account, err := c.account(t.AccountID)
	if err != nil {
		return err
	}
	if t.ID == 0 {
		last, err := c.number(lastTeam, account)
		if err != nil {
			return err
		}
		if last == math.MaxInt64 {
			return errors.New("the account has a team with the highest id there is, so none can be assigned")
		}
		t.ID = max(last, 0) + 1
	}
	return existsOr(c.exec(insertTeam, account, t.ID, t.Name, micros(t.CreatedAt)))
}

func (c *writeConn) addKey(k *contacts.KeyRecord) error {
	account, err := c.account(k.AccountID)
	if err != nil {
		return err
	}
	permissions, err := encodeJSON(k.Permissions)
	if err != nil {
		return err
	}
	teamIDs, err := encodeJSON(k.TeamIDs)
	if err != nil {
		return err
	}
	return existsOr(c.exec(insertKey, account,
		k.ID[:], k.Hash[:], k.Name, permissions, teamIDs, k.AllTeams,
		micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt)))
}

// existsOr returns ErrExists if err says that a constraint of uniqueness was in
// the way, else err.
func existsOr(err error) error {
	switch e, _ := errors.AsType[sqlite3.Error](err); e.ExtendedCode {
	case sqlite3.ErrConstraintUnique, sqlite3.ErrConstraintPrimaryKey, sqlite3.ErrConstraintRowID:
		return contacts.ErrExists
	default:
		return err
	}
}

// ListDirectory implements [contacts.Store].
func (s *Store) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	const op = "sqlite: list directory: %w"
	if err := s.gate.Enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	d, err := s.listDirectory(ctx, q)
	if err != nil {
		return contacts.Directory{}, fmt.Errorf(op, classify(err))
	}
	return d, nil
}

func (s *Store) listDirectory(ctx context.Context, q contacts.DirectoryQuery) (d contacts.Directory, err error) {
	r := s.readers
	switch q.Kind {
	case contacts.DirectoryAccounts:
		rows, err := r.rows(ctx, listAccounts, q.After[:], int64(q.Limit))
		for _, row := range rows {
			d.Accounts = append(d.Accounts, decodeAccount(row))
		}
		return d, err
	case contacts.DirectoryTeams:
		rows, err := r.rows(ctx, listTeams, q.AccountID[:], q.AfterTeam, int64(q.Limit))
		for _, row := range rows {
			d.Teams = append(d.Teams, decodeTeam(q.AccountID, row))
		}
		return d, err
	case contacts.DirectoryKeys:
		rows, err := r.rows(ctx, listKeys, q.AccountID[:], q.After[:], int64(q.Limit))
		for _, row := range rows {
			k, err := decodeKey(row)
			if err != nil {
				return d, err
			}
			d.Keys = append(d.Keys, *k)
		}
		return d, err
	case contacts.DirectorySettings:
		rows, err := r.rows(ctx, listSettings, q.AccountID[:], q.AfterVersion, int64(q.Limit))
		for _, row := range rows {
			s, err := decodeSetting(q.AccountID, row)
			if err != nil {
				return d, err
			}
			d.Settings = append(d.Settings, s)
		}
		return d, err
	default:
		return d, fmt.Errorf("there is no kind %d of records", q.Kind)
	}
}

// UpdateDirectory implements [contacts.Store].
func (s *Store) UpdateDirectory(ctx context.Context, u contacts.DirectoryUpdate) error {
	const op = "sqlite: update directory: %w"
	if err := s.gate.Enter(); err != nil {
		return fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	ofKey := u.KeyID != uuid.Nil
	switch {
	case ofKey == (u.AccountID != uuid.Nil):
		return fmt.Errorf(op, errors.New("it must name one key or one account"))
	case ofKey && u.At.IsZero():
		return fmt.Errorf(op, errors.New("a revoked key cannot be used again; the update of a key needs a time"))
	}
	err := s.writer.doSolo(ctx, job{run: func(c *writeConn) error {
		clear(c.keys)
		var n int64
		var err error
		switch {
		case ofKey:
			n, err = c.number(revokeKey, micros(u.At), u.KeyID[:])
		case u.At.IsZero():
			n, err = c.number(enableAccount, u.AccountID[:])
		default:
			n, err = c.number(disableAccount, micros(u.At), u.AccountID[:])
		}
		if err == nil && n == 0 {
			err = contacts.ErrNotFound
		}
		return err
	}})
	if err != nil {
		return fmt.Errorf(op, classify(err))
	}
	return nil
}

// JudgesKeys implements [contacts.KeyJudge].
func (*Store) JudgesKeys() {}

// FindKey implements [contacts.Store].
func (s *Store) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	const op = "sqlite: find key: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	k, err := s.directory.findKey(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	return k, nil
}

// FindAccount implements [contacts.Store].
func (s *Store) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	const op = "sqlite: find account: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()

	a, err := s.directory.findAccount(ctx, id)
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	return a, nil
}

// decodeAccount returns the account in a row that begins with its id, its name
// and its times.
func decodeAccount(row []driver.Value) contacts.Account {
	return contacts.Account{ID: id(row[0]), Name: text(row[1]), CreatedAt: instant(row[2]), DisabledAt: instant(row[3])}
}

// decodeAccountRecord returns the account in the rows of findAccountSQL.
func decodeAccountRecord(rows [][]driver.Value) (*contacts.AccountRecord, error) {
	if len(rows) == 0 {
		return nil, contacts.ErrNotFound
	}
	a := &contacts.AccountRecord{Account: decodeAccount(rows[0]), SettingsVersion: integer(rows[0][4])}
	for _, row := range rows {
		name, value := text(row[5]), text(row[6])
		if value == "" {
			continue // there is no setting, or it is gone
		}
		if a.Settings == nil {
			a.Settings = make(map[string]string)
		}
		a.Settings[name] = value
	}
	return a, nil
}

// decodeSetting returns the setting in a row of listSettingsSQL.
func decodeSetting(accountID uuid.UUID, row []driver.Value) (contacts.SettingRecord, error) {
	s := contacts.SettingRecord{
		AccountID: accountID, Version: integer(row[0]), Name: text(row[1]), Value: text(row[2]), At: instant(row[3]),
	}
	return s, damaged("actor", decodeJSON(row[4], &s.Actor))
}

func decodeTeam(accountID uuid.UUID, row []driver.Value) contacts.Team {
	return contacts.Team{AccountID: accountID, ID: integer(row[0]), Name: text(row[1]), CreatedAt: instant(row[2])}
}

// decodeKey returns the key in a row of selectKeySQL.
func decodeKey(row []driver.Value) (*contacts.KeyRecord, error) {
	k := &contacts.KeyRecord{
		APIKey: contacts.APIKey{
			ID: id(row[0]), Name: text(row[2]), AllTeams: integer(row[5]) != 0,
			CreatedAt: instant(row[6]), ExpiresAt: instant(row[7]), RevokedAt: instant(row[8]),
			AccountID: id(row[9]),
		},
	}
	copy(k.Hash[:], blob(row[1]))
	if err := decodeJSON(row[3], &k.Permissions); err != nil {
		return nil, damaged("permissions", err)
	}
	if err := decodeJSON(row[4], &k.TeamIDs); err != nil {
		return nil, damaged("team_ids", err)
	}
	return k, nil
}

// encodeJSON returns a JSON array, or NULL for an empty slice.
func encodeJSON[E any](list []E) (driver.Value, error) {
	if len(list) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(list)
	return string(b), err
}

func decodeJSON(v any, to any) error {
	s := text(v)
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), to)
}
