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

	"example.com/contacts"
)

const (
	// The number of the account whose id is the first argument.
	accountSQL = `(SELECT n FROM account WHERE id = ?1)`

	insertAccountSQL  = `INSERT INTO account (id, name, created_at, disabled_at) VALUES (?, ?, ?, ?)`
	findAccountSQL    = `SELECT n, disabled_at FROM account WHERE id = ?`
	disableAccountSQL = `UPDATE account SET disabled_at = coalesce(disabled_at, ?) WHERE id = ? RETURNING n`
	enableAccountSQL  = `UPDATE account SET disabled_at = NULL WHERE id = ? RETURNING n`
	listAccountsSQL   = `SELECT id, name, created_at, disabled_at FROM account WHERE id > ? ORDER BY id LIMIT ?`

	insertTeamSQL = `INSERT INTO team (account, id, name, created_at) VALUES (?, ?, ?, ?)`
	lastTeamSQL   = `SELECT max(id) FROM team WHERE account = ?`
	findTeamSQL   = `SELECT id, name, created_at FROM team
		WHERE account = (SELECT n FROM account WHERE id = ?) AND id = ?`
	listTeamsSQL = `SELECT id, name, created_at FROM team
		WHERE account = (SELECT n FROM account WHERE id = ?) AND id > ? ORDER BY id LIMIT ?`

	// The columns in the order of encodeKey and decodeKey.
	keyColumns   = `id, hash, name, permissions, team_ids, all_teams, created_at, expires_at, revoked_at`
	insertKeySQL = `INSERT INTO api_key (account, ` + keyColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	revokeKeySQL = `UPDATE api_key SET revoked_at = coalesce(revoked_at, ?) WHERE id = ? RETURNING 1`
	selectKeySQL = `SELECT k.id, k.hash, k.name, k.permissions, k.team_ids, k.all_teams, k.created_at, k.expires_at, k.revoked_at,
			a.id, a.disabled_at FROM api_key AS k JOIN account AS a ON a.n = k.account`
	findKeySQL  = selectKeySQL + ` WHERE k.hash = ?`
	listKeysSQL = selectKeySQL + ` WHERE k.account = (SELECT n FROM account WHERE id = ?) AND k.id > ? ORDER BY k.id LIMIT ?`
)

// AddToDirectory implements [contacts.Store]. It stores accounts, teams and keys
// in the order given, and a team that has no id gets its own when it is its
// turn.
func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	const op = "sqlite: add to directory: %w"
	if err := s.enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	add = clone(add) // for the job, and then for the caller
	teams := slices.Clone(add.Teams)
	err := s.writer.doAlone(ctx, 0, func(c *writeConn) error {
		copy(add.Teams, teams) // the ids of an earlier run are void
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
		return nil
	})
	if err != nil {
		return contacts.Directory{}, fmt.Errorf(op, classify(err))
	}
	return add, nil
}

// clone returns a copy of d that shares no memory with it.
func clone(d contacts.Directory) contacts.Directory {
	d.Accounts = append([]contacts.Account(nil), d.Accounts...)
	d.Teams = append([]contacts.Team(nil), d.Teams...)
	d.Keys = append([]contacts.KeyRecord(nil), d.Keys...)
	for i := range d.Keys {
		k := &d.Keys[i]
		k.Permissions = append([]contacts.Permission(nil), k.Permissions...)
		k.TeamIDs = append([]int64(nil), k.TeamIDs...)
	}
	return d
}

func (c *writeConn) addAccount(a contacts.Account) error {
	return verdictOr(c.insertAccount.exec(a.ID[:], a.Name, micros(a.CreatedAt), micros(a.DisabledAt)))
}

// account returns the number of an account, and when it was disabled.
func (c *writeConn) account(id uuid.UUID) (n, disabledAt driver.Value, err error) {
	var row [2]driver.Value
	found, err := c.findAccount.row(row[:], id[:])
	if err == nil && !found {
		err = contacts.ErrNotFound
	}
	return row[0], row[1], err
}

// addTeam stores the team and sets its id, if it has none.
func (c *writeConn) addTeam(t *contacts.Team) error {
	account, _, err := c.account(t.AccountID)
	if err != nil {
		return err
	}
	if t.ID == 0 {
		var last [1]driver.Value
		if _, err := c.lastTeam.row(last[:], account); err != nil {
			return err
		}
		n := max(integer(last[0]), 0)
		if n == math.MaxInt64 {
			return errors.New("the account has a team with the highest id there is, so none can be assigned")
		}
		t.ID = n + 1
	}
	return verdictOr(c.insertTeam.exec(account, t.ID, t.Name, micros(t.CreatedAt)))
}

// addKey stores the key and sets what its account adds to it.
func (c *writeConn) addKey(k *contacts.KeyRecord) error {
	account, disabledAt, err := c.account(k.AccountID)
	if err != nil {
		return err
	}
	k.AccountDisabledAt = instant(disabledAt)
	permissions, err := encodeJSON(k.Permissions)
	if err != nil {
		return err
	}
	teamIDs, err := encodeJSON(k.TeamIDs)
	if err != nil {
		return err
	}
	return verdictOr(c.insertKey.exec(account,
		k.ID[:], k.Hash[:], k.Name, permissions, teamIDs, k.AllTeams,
		micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt)))
}

// verdictOr returns what the contract says of err, or err itself.
func verdictOr(err error) error {
	if verdict := constraint(err); verdict != nil {
		return verdict
	}
	return err
}

// ListDirectory implements [contacts.Store].
func (s *Store) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	const op = "sqlite: list directory: %w"
	if err := s.enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

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
			d.Accounts = append(d.Accounts, contacts.Account{
				ID: id(row[0]), Name: text(row[1]), CreatedAt: instant(row[2]), DisabledAt: instant(row[3]),
			})
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
	default:
		return d, fmt.Errorf("there is no kind %d of records", q.Kind)
	}
}

// Deactivate implements [contacts.Store].
func (s *Store) Deactivate(ctx context.Context, d contacts.Deactivation) error {
	const op = "sqlite: deactivate: %w"
	if err := s.enter(); err != nil {
		return fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	ofKey := d.KeyID != uuid.Nil
	switch {
	case ofKey == (d.AccountID != uuid.Nil):
		return fmt.Errorf(op, errors.New("needs the id of a key or that of an account"))
	case ofKey && d.At.IsZero():
		return fmt.Errorf(op, errors.New("a key that was revoked stays so"))
	}
	err := s.writer.doAlone(ctx, 0, func(c *writeConn) error {
		var row [1]driver.Value
		var found bool
		var err error
		switch {
		case ofKey:
			found, err = c.revokeKey.row(row[:], micros(d.At), d.KeyID[:])
		case d.At.IsZero():
			found, err = c.enableAccount.row(row[:], d.AccountID[:])
		default:
			found, err = c.disableAccount.row(row[:], micros(d.At), d.AccountID[:])
		}
		if err == nil && !found {
			err = contacts.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf(op, classify(err))
	}
	return nil
}

// FindKey implements [contacts.Store].
func (s *Store) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	const op = "sqlite: find key: %w"
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	k, err := s.directory.findKey(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	return k, nil
}

// FindTeam implements [contacts.Store].
func (s *Store) FindTeam(ctx context.Context, accountID uuid.UUID, id int64) (*contacts.Team, error) {
	const op = "sqlite: find team: %w"
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	t, err := s.directory.findTeam(ctx, accountID, id)
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	team := *t
	return &team, nil
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
		AccountDisabledAt: instant(row[10]),
	}
	hash, _ := row[1].([]byte)
	copy(k.Hash[:], hash)
	if decodeJSON(row[3], &k.Permissions) != nil || decodeJSON(row[4], &k.TeamIDs) != nil {
		return nil, fmt.Errorf("%w: a column of api_key", ErrCorrupt)
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
