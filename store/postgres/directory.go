package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

const (
	insertAccountsSQL = `INSERT INTO {schema}.account (account_id, name, created_at, disabled_at)
		SELECT n.* FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS n (account_id, name, created_at, disabled_at)
		ORDER BY n.account_id ON CONFLICT DO NOTHING`
	insertTeamsSQL = `INSERT INTO {schema}.team (account_id, id, name, created_at)
		SELECT n.* FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[]) AS n (account_id, id, name, created_at)
		ON CONFLICT DO NOTHING`
	insertKeysSQL = `INSERT INTO {schema}.api_key (account_id, ` + keyColumns + `)
		SELECT n.* FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::bigint[], $9::bigint[], $10::bigint[])
			AS n (account_id, ` + keyColumns + `)
		ORDER BY n.id ON CONFLICT DO NOTHING`
	keyColumns = `id, hash, name, permissions, team_ids, all_teams, created_at, expires_at, revoked_at`

	// Whoever adds a team or a key, or disables the account, waits for others
	// that do.
	lockAccountsSQL = `SELECT account_id, disabled_at FROM {schema}.account WHERE account_id = ANY($1) ORDER BY account_id FOR UPDATE`
	lastTeamsSQL    = `SELECT account_id, max(id) FROM {schema}.team WHERE account_id = ANY($1) GROUP BY account_id`

	listAccountsSQL = `SELECT account_id, name, created_at, disabled_at FROM {schema}.account WHERE account_id > $1 ORDER BY account_id LIMIT $2`
	listTeamsSQL    = `SELECT id, name, created_at FROM {schema}.team WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	findTeamSQL     = `SELECT id, name, created_at FROM {schema}.team WHERE account_id = $1 AND id = $2`
	selectKeysSQL   = `SELECT k.id, k.hash, k.name, k.permissions, k.team_ids, k.all_teams, k.created_at, k.expires_at, k.revoked_at,
		a.account_id, a.disabled_at FROM {schema}.api_key AS k JOIN {schema}.account AS a ON a.account_id = k.account_id `
	listKeysSQL = selectKeysSQL + `WHERE k.account_id = $1 AND k.id > $2 ORDER BY k.id LIMIT $3`

	revokeKeySQL      = `UPDATE {schema}.api_key SET revoked_at = CASE WHEN revoked_at = 0 THEN $1 ELSE revoked_at END WHERE id = $2`
	disableAccountSQL = `UPDATE {schema}.account SET disabled_at = CASE WHEN disabled_at = 0 THEN $1 ELSE disabled_at END WHERE account_id = $2`
	enableAccountSQL  = `UPDATE {schema}.account SET disabled_at = $1 WHERE account_id = $2`
)

// errNoTeamID: team ids end where an int64 does.
var errNoTeamID = errors.New("the account has a team with the highest id there is, so none can be assigned")

// AddToDirectory implements [contacts.Store].
func (s *Store) AddToDirectory(ctx context.Context, add contacts.Directory) (contacts.Directory, error) {
	const op = "postgres: add to directory: %w"
	if err := s.enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	add = clone(add)
	teams := slices.Clone(add.Teams)
	err := s.transact(ctx, nil, func(ctx context.Context, t *transaction) error {
		copy(add.Teams, teams) // the ids of an earlier run are void
		s.allow(t, column(add.Teams, func(t contacts.Team) uuid.UUID { return t.AccountID }))
		return s.add(ctx, t, &add)
	})
	if err != nil {
		return contacts.Directory{}, fmt.Errorf(op, classify(ctx, err))
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

// add stores the records, and sets the ids of teams that have none and what the
// keys have of their accounts.
func (s *Store) add(ctx context.Context, t *transaction, add *contacts.Directory) error {
	if n := len(add.Accounts); n > 0 {
		if err := t.insert(ctx, n, s.statements.insertAccounts,
			column(add.Accounts, func(a contacts.Account) pgtype.UUID { return pgUUID(a.ID) }),
			column(add.Accounts, func(a contacts.Account) string { return a.Name }),
			column(add.Accounts, func(a contacts.Account) int64 { return micros(a.CreatedAt) }),
			column(add.Accounts, func(a contacts.Account) int64 { return micros(a.DisabledAt) })); err != nil {
			return err
		}
	}
	disabledAt, err := s.lockAccounts(ctx, t, add)
	if err != nil {
		return err
	}
	if n := len(add.Teams); n > 0 {
		if err := s.assignIDs(ctx, t, add.Teams); err != nil {
			return err
		}
		if err := t.insert(ctx, n, s.statements.insertTeams,
			column(add.Teams, func(t contacts.Team) pgtype.UUID { return pgUUID(t.AccountID) }),
			column(add.Teams, func(t contacts.Team) int64 { return t.ID }),
			column(add.Teams, func(t contacts.Team) string { return t.Name }),
			column(add.Teams, func(t contacts.Team) int64 { return micros(t.CreatedAt) })); err != nil {
			return err
		}
	}
	if n := len(add.Keys); n > 0 {
		for i := range add.Keys {
			add.Keys[i].AccountDisabledAt = disabledAt[add.Keys[i].AccountID]
		}
		of := func(value func(*contacts.KeyRecord) string) []string {
			return column(add.Keys, func(k contacts.KeyRecord) string { return value(&k) })
		}
		at := func(value func(*contacts.KeyRecord) time.Time) []int64 {
			return column(add.Keys, func(k contacts.KeyRecord) int64 { return micros(value(&k)) })
		}
		return t.insert(ctx, n, s.statements.insertKeys,
			column(add.Keys, func(k contacts.KeyRecord) pgtype.UUID { return pgUUID(k.AccountID) }),
			column(add.Keys, func(k contacts.KeyRecord) pgtype.UUID { return pgUUID(k.ID) }),
			column(add.Keys, func(k contacts.KeyRecord) []byte { return k.Hash[:] }),
			of(func(k *contacts.KeyRecord) string { return k.Name }),
			of(func(k *contacts.KeyRecord) string { return encodeList(k.Permissions) }),
			of(func(k *contacts.KeyRecord) string { return encodeList(k.TeamIDs) }),
			column(add.Keys, func(k contacts.KeyRecord) bool { return k.AllTeams }),
			at(func(k *contacts.KeyRecord) time.Time { return k.CreatedAt }),
			at(func(k *contacts.KeyRecord) time.Time { return k.ExpiresAt }),
			at(func(k *contacts.KeyRecord) time.Time { return k.RevokedAt }))
	}
	return nil
}

// insert inserts n rows, or returns ErrExists.
func (t *transaction) insert(ctx context.Context, n int, sql string, args ...any) error {
	var inserted int64
	t.count(&inserted, sql, args...)
	err := t.flush(ctx)
	if err == nil && inserted != int64(n) {
		err = contacts.ErrExists
	}
	return err
}

// lockAccounts returns when the accounts of teams and keys were disabled, and
// keeps them so until the transaction ends.
func (s *Store) lockAccounts(ctx context.Context, t *transaction, add *contacts.Directory) (map[uuid.UUID]time.Time, error) {
	ids := slices.Concat(
		column(add.Teams, func(t contacts.Team) pgtype.UUID { return pgUUID(t.AccountID) }),
		column(add.Keys, func(k contacts.KeyRecord) pgtype.UUID { return pgUUID(k.AccountID) }))
	if len(ids) == 0 {
		return nil, nil
	}
	disabledAt := make(map[uuid.UUID]time.Time)
	t.query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var at int64
		err := rows.Scan((*[16]byte)(&id), &at)
		disabledAt[id] = instant(at)
		return err
	}, s.statements.lockAccounts, ids)
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, found := disabledAt[id.Bytes]; !found {
			return nil, contacts.ErrNotFound
		}
	}
	return disabledAt, nil
}

// assignIDs sets the ids of teams that have none. Their accounts are locked.
func (s *Store) assignIDs(ctx context.Context, t *transaction, teams []contacts.Team) error {
	if !slices.ContainsFunc(teams, func(t contacts.Team) bool { return t.ID == 0 }) {
		return nil
	}
	last := make(map[uuid.UUID]int64)
	t.query(func(rows pgx.Rows) error {
		var account uuid.UUID
		var id int64
		err := rows.Scan((*[16]byte)(&account), &id)
		last[account] = id
		return err
	}, s.statements.lastTeams, column(teams, func(t contacts.Team) pgtype.UUID { return pgUUID(t.AccountID) }))
	if err := t.flush(ctx); err != nil {
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

// ListDirectory implements [contacts.Store].
func (s *Store) ListDirectory(ctx context.Context, q contacts.DirectoryQuery) (contacts.Directory, error) {
	const op = "postgres: list directory: %w"
	if err := s.enter(); err != nil {
		return contacts.Directory{}, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

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
	limit := int64(q.Limit)
	switch q.Kind {
	case contacts.DirectoryAccounts:
		d.Accounts, err = collect(ctx, s.pool, scanAccount, s.statements.listAccounts, pgUUID(q.After), limit)
	case contacts.DirectoryTeams:
		d.Teams, err = s.queryTeams(ctx, q.AccountID, s.statements.listTeams, pgUUID(q.AccountID), q.AfterTeam, limit)
	case contacts.DirectoryKeys:
		d.Keys, err = collect(ctx, s.pool, scanKey, s.statements.listKeys, pgUUID(q.AccountID), pgUUID(q.After), limit)
	default:
		err = fmt.Errorf("there is no kind %d of records", q.Kind)
	}
	return d, err
}

// collect returns what scan makes of each row; nil where there is none.
func collect[T any](ctx context.Context, q querier, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]T(nil), rows, scan)
}

func scanAccount(row pgx.CollectableRow) (a contacts.Account, err error) {
	var created, disabled int64
	err = row.Scan((*[16]byte)(&a.ID), &a.Name, &created, &disabled)
	a.CreatedAt, a.DisabledAt = instant(created), instant(disabled)
	return a, err
}

func scanTeam(row pgx.CollectableRow, account uuid.UUID) (t contacts.Team, err error) {
	var created int64
	err = row.Scan(&t.ID, &t.Name, &created)
	t.AccountID, t.CreatedAt = account, instant(created)
	return t, err
}

// scanKey returns the key in a row of selectKeysSQL.
func scanKey(row pgx.CollectableRow) (k contacts.KeyRecord, err error) {
	var hash []byte
	var permissions, teamIDs string
	var created, expires, revoked, disabled int64
	if err := row.Scan((*[16]byte)(&k.ID), &hash, &k.Name, &permissions, &teamIDs, &k.AllTeams, &created, &expires, &revoked,
		(*[16]byte)(&k.AccountID), &disabled); err != nil {
		return k, err
	}
	copy(k.Hash[:], hash)
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.AccountDisabledAt = instant(created), instant(expires), instant(revoked), instant(disabled)
	if k.Permissions, err = decodeList[contacts.Permission](permissions); err != nil {
		return k, err
	}
	k.TeamIDs, err = decodeList[int64](teamIDs)
	return k, err
}

// Deactivate implements [contacts.Store].
func (s *Store) Deactivate(ctx context.Context, d contacts.Deactivation) error {
	const op = "postgres: deactivate: %w"
	if err := s.enter(); err != nil {
		return fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	sql, id := s.statements.revokeKey, d.KeyID
	switch ofKey := d.KeyID != uuid.Nil; {
	case ofKey == (d.AccountID != uuid.Nil):
		return fmt.Errorf(op, errors.New("needs the id of a key or that of an account"))
	case ofKey && d.At.IsZero():
		return fmt.Errorf(op, errors.New("a key that was revoked stays so"))
	case !ofKey && d.At.IsZero():
		sql, id = s.statements.enableAccount, d.AccountID
	case !ofKey:
		sql, id = s.statements.disableAccount, d.AccountID
	}
	err := s.transact(ctx, nil, func(ctx context.Context, t *transaction) error {
		var n int64
		t.count(&n, sql, micros(d.At), pgUUID(id))
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
