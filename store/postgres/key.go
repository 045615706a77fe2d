package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
)

const (
	findKeysSQL = `SELECT k.account_id, k.id, k.hash, k.name, k.permissions, k.team_ids, k.all_teams, k.created_at, k.expires_at, k.revoked_at,
		a.name, a.created_at, a.disabled_at, a.settings_version
		FROM (SELECT * FROM unnest($1::bytea[]) AS given LIMIT cardinality($1::bytea[])) AS n (hash)
		JOIN {schema}.api_key AS k ON k.hash = n.hash JOIN {schema}.account AS a ON a.account_id = k.account_id`
	findAccountsSQL = `SELECT ` + accountColumns + `, settings_version FROM (SELECT * FROM unnest($1::uuid[]) AS given` + givenRows + `) AS n (id)
		JOIN {schema}.account ON account_id = n.id`

	// The newest value of each name up to a version.
	findSettingsSQL = `SELECT DISTINCT ON (name) name, value FROM {schema}.setting WHERE account_id = $1 AND version <= $2 ORDER BY name, version DESC`
)

// JudgesKeys implements [contacts.KeyJudge].
func (*Store) JudgesKeys() {}

// FindKey implements [contacts.Store]. It asks the server each time, so that a
// change of the directory holds for the next call in every process. Calls that
// come at the same time share a query.
func (s *Store) FindKey(ctx context.Context, hash [32]byte) (*contacts.KeyRecord, error) {
	const op = "postgres: find key: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()
	search := &search{hash: hash}
	if err := s.find(ctx, search); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	if search.key == nil {
		return nil, fmt.Errorf(op, contacts.ErrNotFound)
	}
	return search.key, nil
}

// FindAccount implements [contacts.Store]. It is like [Store.FindKey].
func (s *Store) FindAccount(ctx context.Context, id uuid.UUID) (*contacts.AccountRecord, error) {
	const op = "postgres: find account: %w"
	if err := s.gate.Enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.gate.Leave()
	search := &search{ofAccount: true, id: id}
	if err := s.find(ctx, search); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	if search.account == nil {
		return nil, fmt.Errorf(op, contacts.ErrNotFound)
	}
	return search.account, nil
}

// A search is a call of FindKey or FindAccount, or of ListJournal about a few
// subjects.
type search struct {
	hash [32]byte
	key  *contacts.KeyRecord // nil: there is no such key

	ofAccount bool
	id        uuid.UUID
	account   *contacts.AccountRecord // nil: there is no such account

	ofEntries *contacts.JournalQuery
	entries   []contacts.JournalEntry
	tooMany   bool // entries: they have to be asked for alone
}

// find makes a search together with others. The caller has entered the gate.
func (s *Store) find(ctx context.Context, search *search) error {
	err := s.searches.Do(ctx, search)
	if errors.Is(err, contacts.ErrOutcomeUnknown) {
		return ctx.Err() // it would have changed nothing
	}
	return classify(ctx, err)
}

// findAll runs the searches of a group with one query of each kind. The query
// begins after each of the calls did.
func (s *Store) findAll(ctx context.Context, conn *pgxpool.Conn, all []*search, _ bool) error {
	keys := make(map[[32]byte]*contacts.KeyRecord, len(all))
	accounts := make(map[uuid.UUID]*contacts.AccountRecord)
	var hashes [][]byte
	var ids []pgtype.UUID
	var entries entrySearch
	for _, search := range all {
		_, known := keys[search.hash]
		_, knownAccount := accounts[search.id]
		switch {
		case search.ofEntries != nil:
			entries.add(search.ofEntries)
		case search.ofAccount && !knownAccount:
			accounts[search.id] = nil
			ids = append(ids, pgUUID(search.id))
		case !search.ofAccount && !known:
			keys[search.hash] = nil
			hashes = append(hashes, search.hash[:])
		}
	}
	first := true
	err := s.read(ctx, func() error {
		b := s.newBatch()
		if hashes != nil {
			addQuery(b, func(rows pgx.Rows) error {
				k, err := scanKeyWithAccount(rows)
				keys[k.Hash] = k
				return err
			}, s.statements.findKeys, hashes)
		}
		if ids != nil {
			addQuery(b, func(rows pgx.Rows) error {
				a, err := scanAccountRecord(rows)
				accounts[a.ID] = a
				return err
			}, s.statements.findAccounts, ids)
		}
		s.addEntrySearch(b, &entries)
		if first {
			first = false
			defer conn.Release()
			return conn.SendBatch(ctx, b).Close()
		}
		return s.pool.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k != nil {
			if k.Account, err = s.withSettings(ctx, k.Account); err != nil {
				return err
			}
		}
	}
	for id, a := range accounts {
		if a != nil {
			if accounts[id], err = s.withSettings(ctx, a); err != nil {
				return err
			}
		}
	}
	for _, search := range all {
		if search.ofEntries != nil {
			search.entries, search.tooMany = entries.of(search.ofEntries)
			continue
		}
		search.key, search.account = keys[search.hash], accounts[search.id]
	}
	return nil
}

func scanKeyWithAccount(rows pgx.Rows) (*contacts.KeyRecord, error) {
	a := &contacts.AccountRecord{}
	var created, disabled int64
	k, err := scanKey(rows, &a.Name, &created, &disabled, &a.SettingsVersion)
	a.ID, a.CreatedAt, a.DisabledAt = k.AccountID, instant(created), instant(disabled)
	k.Account = a
	return &k, err
}

func scanAccountRecord(rows pgx.Rows) (*contacts.AccountRecord, error) {
	var a contacts.AccountRecord
	var created, disabled int64
	err := rows.Scan((*[16]byte)(&a.ID), &a.Name, &created, &disabled, &a.SettingsVersion)
	a.CreatedAt, a.DisabledAt = instant(created), instant(disabled)
	return &a, err
}

// An accountCache keeps accounts with their settings. Settings are never changed:
// those of a version stay what they are.
type accountCache struct {
	mu       sync.Mutex
	accounts map[uuid.UUID]*contacts.AccountRecord
}

// maxCachedAccounts bounds the accounts that are kept.
const maxCachedAccounts = 10_000

func (c *accountCache) get(id uuid.UUID) *contacts.AccountRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accounts[id]
}

func (c *accountCache) put(a *contacts.AccountRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts == nil || len(c.accounts) >= maxCachedAccounts {
		c.accounts = make(map[uuid.UUID]*contacts.AccountRecord)
	}
	c.accounts[a.ID] = a
}

// withSettings returns the account that was just read, with its settings.
func (s *Store) withSettings(ctx context.Context, read *contacts.AccountRecord) (*contacts.AccountRecord, error) {
	cached := s.accounts.get(read.ID)
	switch {
	case read.SettingsVersion == 0:
		return read, nil
	case cached != nil && cached.SettingsVersion == read.SettingsVersion && cached.Account == read.Account:
		return cached, nil
	case cached != nil && cached.SettingsVersion == read.SettingsVersion:
		read.Settings = cached.Settings
	default:
		err := s.read(ctx, func() error {
			read.Settings = nil
			return s.query(ctx, read.ID, func(rows pgx.Rows) error {
				var name, value string
				err := rows.Scan(&name, &value)
				if value != "" {
					if read.Settings == nil {
						read.Settings = make(map[string]string)
					}
					read.Settings[name] = value
				}
				return err
			}, s.statements.findSettings, pgUUID(read.ID), read.SettingsVersion)
		})
		if err != nil {
			return nil, err
		}
	}
	s.accounts.put(read)
	return read, nil
}
